// SPDX-License-Identifier: Apache-2.0
package peer;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.stream.Stream;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.StoredField;
import org.apache.lucene.document.TextField;
import org.apache.lucene.index.ConcurrentMergeScheduler;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.LogByteSizeMergePolicy;
import org.apache.lucene.index.MergePolicy;
import org.apache.lucene.index.SerialMergeScheduler;
import org.apache.lucene.misc.index.BPIndexReorderer;
import org.apache.lucene.misc.index.BPReorderingMergePolicy;
import org.apache.lucene.store.FSDirectory;

/** Builds an index. With one thread and no --reorder, document numbers follow the order of the file. */
final class IndexCommand {
  private static final int BATCH = 500;

  private record Doc(String id, String[] values) {}

  private IndexCommand() {}

  static void run(Options options) throws Exception {
    List<String> fields = options.list("fields", "title,text");
    String analyzer = options.text("analyzer", "standard");
    int threads = options.number("threads", 1);
    Path out = Path.of(options.required("out"));
    emptyFolder(out);

    IndexWriterConfig config = new IndexWriterConfig(Analyzers.named(analyzer));
    config.setOpenMode(IndexWriterConfig.OpenMode.CREATE);
    config.setSimilarity(Similarities.named("lucene"));
    config.setRAMBufferSizeMB(options.number("ram-mb", 256));
    config.setUseCompoundFile(false);
    MergePolicy policy = new LogByteSizeMergePolicy(); // merges neighbours only, so the order of documents is kept
    if (options.on("reorder")) {
      BPIndexReorderer reorderer = new BPIndexReorderer();
      reorderer.setFields(Set.copyOf(fields));
      reorderer.setRAMBudgetMB(1024);
      BPReorderingMergePolicy reordering = new BPReorderingMergePolicy(policy, reorderer);
      reordering.setMinNaturalMergeNumDocs(Integer.MAX_VALUE); // only the last, forced merge
      policy = reordering;
      config.setRAMBufferSizeMB(options.number("ram-mb", 16)); // a single segment would not be merged at all
    }
    config.setMergePolicy(policy);
    config.setMergeScheduler(threads == 1 ? new SerialMergeScheduler() : new ConcurrentMergeScheduler());

    double wallStart = Clock.wall();
    double cpuStart = Clock.processCpu();
    Totals totals;
    try (FSDirectory directory = FSDirectory.open(out);
        IndexWriter writer = new IndexWriter(directory, config)) {
      totals = feed(options.required("corpus"), fields, options.on("store"), threads, writer);
      if (options.on("merge")) {
        writer.forceMerge(1);
      }
      writer.commit();
    }
    double wall = Clock.wall() - wallStart;
    double cpu = Clock.processCpu() - cpuStart;
    Files.writeString(out.resolve(Opened.ANALYZER_FILE), analyzer + "\n");

    double wallIndex = wall - (threads == 1 ? totals.parseWall : 0);
    double cpuIndex = cpu - totals.parseCpu;
    double mb = totals.bytes / 1e6;
    System.out.printf(
        Locale.ROOT,
        "engine=lucene docs=%d text_mb=%.1f wall_s=%.2f parse_wall_s=%.2f cpu_s=%.2f parse_cpu_s=%.2f "
            + "docs_per_s=%.0f mb_per_s=%.2f mb_per_cpu_s=%.2f index_bytes=%d threads=%d merge=%b%n",
        totals.docs, mb, wall, totals.parseWall, cpu, totals.parseCpu,
        totals.docs / wallIndex, mb / wallIndex, mb / cpuIndex, folderBytes(out), threads, options.on("merge"));
  }

  private static final class Totals {
    long docs;
    long bytes;
    double parseWall;
    double parseCpu;
  }

  private static Totals feed(String corpus, List<String> fields, boolean store, int threads, IndexWriter writer)
      throws Exception {
    BlockingQueue<List<Doc>> queue = new ArrayBlockingQueue<>(threads * 4);
    List<Thread> workers = new ArrayList<>();
    for (int i = 0; i < threads && threads > 1; i++) {
      workers.add(Thread.ofPlatform().start(() -> drain(queue, fields, store, writer)));
    }
    Totals totals = new Totals();
    try (Jsonl lines = new Jsonl(corpus)) {
      for (List<Doc> batch; !(batch = readBatch(lines, fields, totals)).isEmpty(); ) {
        if (threads > 1) {
          queue.put(batch);
        } else {
          addAll(batch, fields, store, writer);
        }
      }
    }
    for (int i = 0; i < workers.size(); i++) {
      queue.put(List.of()); // an empty batch ends one worker
    }
    for (Thread worker : workers) {
      worker.join();
    }
    return totals;
  }

  private static List<Doc> readBatch(Jsonl lines, List<String> fields, Totals totals) throws IOException {
    double wallStart = Clock.wall();
    double cpuStart = Clock.threadCpu();
    List<Doc> batch = new ArrayList<>(BATCH);
    for (Map<String, String> line; batch.size() < BATCH && (line = lines.next()) != null; ) {
      String[] values = new String[fields.size()];
      for (int i = 0; i < values.length; i++) {
        values[i] = line.getOrDefault(fields.get(i), "");
        totals.bytes += utf8Length(values[i]);
      }
      batch.add(new Doc(line.get("_id"), values));
    }
    totals.docs += batch.size();
    totals.parseWall += Clock.wall() - wallStart;
    totals.parseCpu += Clock.threadCpu() - cpuStart;
    return batch;
  }

  private static void drain(BlockingQueue<List<Doc>> queue, List<String> fields, boolean store, IndexWriter writer) {
    try {
      for (List<Doc> batch; !(batch = queue.take()).isEmpty(); ) {
        addAll(batch, fields, store, writer);
      }
    } catch (IOException | InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void addAll(List<Doc> batch, List<String> fields, boolean store, IndexWriter writer)
      throws IOException {
    for (Doc doc : batch) {
      Document document = new Document();
      document.add(new StoredField("_id", doc.id));
      for (int i = 0; i < doc.values.length; i++) {
        document.add(new TextField(fields.get(i), doc.values[i], store ? Field.Store.YES : Field.Store.NO));
      }
      writer.addDocument(document);
    }
  }

  private static long utf8Length(String text) {
    long ascii = text.length();
    for (int i = 0; i < text.length(); i++) {
      if (text.charAt(i) > 127) {
        return text.getBytes(StandardCharsets.UTF_8).length;
      }
    }
    return ascii;
  }

  private static void emptyFolder(Path folder) throws IOException {
    Files.createDirectories(folder);
    try (Stream<Path> old = Files.list(folder)) {
      if (old.findAny().isPresent() && !Files.exists(folder.resolve(Opened.ANALYZER_FILE))) {
        throw new IllegalArgumentException("--out is not empty and not an index of this tool: " + folder);
      }
    }
    try (Stream<Path> old = Files.list(folder)) {
      for (Path path : (Iterable<Path>) old::iterator) {
        Files.delete(path);
      }
    }
  }

  private static long folderBytes(Path folder) throws IOException {
    long sum = 0;
    try (Stream<Path> files = Files.list(folder)) {
      for (Path path : (Iterable<Path>) files::iterator) {
        sum += Files.size(path);
      }
    }
    return sum;
  }
}

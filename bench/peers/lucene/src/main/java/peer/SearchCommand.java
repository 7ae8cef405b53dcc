// SPDX-License-Identifier: Apache-2.0
package peer;

import java.io.BufferedWriter;
import java.io.IOException;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import org.apache.lucene.index.StoredFields;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TopDocs;
import org.apache.lucene.search.TopScoreDocCollectorManager;

/** Runs a query file and writes {@code query TAB document TAB rank TAB score}, best first, ties by index order. */
final class SearchCommand {
  private SearchCommand() {}

  static void run(Options options) throws IOException {
    try (Opened index = new Opened(options);
        PrintWriter out = writer(options.text("out", "-"))) {
      QueryMaker maker = new QueryMaker(index.analyzer, options);
      int k = options.number("k", 10);
      k = k == 0 ? Math.max(1, index.reader.maxDoc()) : k; // 0: every document that matches
      int threshold = options.text("mode", "exact").equals("exact") ? Integer.MAX_VALUE : k;
      StoredFields stored = index.reader.storedFields();
      for (Topic topic : Topic.read(options.required("queries"))) {
        Query query = maker.make(topic.text());
        TopDocs top = index.searcher.search(query, new TopScoreDocCollectorManager(k, null, threshold));
        int rank = 0;
        for (ScoreDoc hit : top.scoreDocs) {
          String id = stored.document(hit.doc).get("_id");
          out.print(topic.id() + "\t" + id + "\t" + ++rank + "\t" + digits(hit.score) + "\n");
        }
      }
    }
  }

  /** Nine significant digits: enough to give the same float back. */
  static String digits(float score) {
    String text = String.format(Locale.ROOT, "%.8e", score);
    return new java.math.BigDecimal(text).stripTrailingZeros().toPlainString();
  }

  static PrintWriter writer(String path) throws IOException {
    Writer raw =
        path.equals("-")
            ? new OutputStreamWriter(System.out, StandardCharsets.UTF_8)
            : Files.newBufferedWriter(Path.of(path), StandardCharsets.UTF_8);
    return new PrintWriter(new BufferedWriter(raw, 1 << 16));
  }
}

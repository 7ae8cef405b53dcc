// SPDX-License-Identifier: Apache-2.0
package peer;

import java.io.IOException;
import java.io.PrintWriter;
import java.lang.management.CompilationMXBean;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import org.apache.lucene.search.TopDocs;
import org.apache.lucene.search.TopScoreDocCollectorManager;

/**
 * Latency of each query, one thread. Timed: analysis, query construction and the search for the k best document numbers
 * with scores; not timed: fetching stored fields. Every round runs all queries in file order.
 */
final class BenchCommand {
  private BenchCommand() {}

  static void run(Options options) throws IOException {
    try (Opened index = new Opened(options)) {
      QueryMaker maker = new QueryMaker(index.analyzer, options);
      List<Topic> topics = Topic.read(options.required("queries"));
      int k = options.number("k", 10);
      int warmup = options.number("warmup", 5);
      double warmupSeconds = options.number("warmup-s", 10);
      int rounds = options.number("rounds", 10);
      int threshold = options.text("count", "none").equals("exact") ? Integer.MAX_VALUE : k;

      long[][] nanos = new long[topics.size()][rounds];
      long[] hits = new long[topics.size()];
      float[] best = new float[topics.size()];
      double start = Clock.wall();
      QuietCompiler compiler = new QuietCompiler();
      for (int round = 0; round < warmup || Clock.wall() - start < warmupSeconds || !compiler.quiet(); round++) {
        for (Topic topic : topics) {
          search(index, maker, topic, k, threshold);
        }
      }
      Turns turns = new Turns(options, rounds);
      for (int round = 0; round < rounds; round++) {
        turns.before(round);
        for (int i = 0; i < nanos.length; i++) {
          long before = System.nanoTime();
          TopDocs top = search(index, maker, topics.get(i), k, threshold);
          nanos[i][round] = System.nanoTime() - before;
          hits[i] = threshold == k ? top.scoreDocs.length : top.totalHits.value();
          best[i] = top.scoreDocs.length > 0 ? top.scoreDocs[0].score : 0;
        }
        turns.after();
      }
      report("lucene", options, topics, nanos, hits, best, turns.cpuShare());
    }
  }

  /**
   * Says when the just-in-time compiler has come to rest: three windows of two seconds in a row with under 2 % of the
   * time spent compiling. One is not enough, as a long compilation is counted only when it ends.
   */
  private static final class QuietCompiler {
    private static final double WINDOW = 2;
    private static final double PATIENCE = 90; // then it is taken as it is
    private final CompilationMXBean bean = ManagementFactory.getCompilationMXBean();
    private final double start = Clock.wall();
    private double windowStart = start;
    private long compiledMillis = bean.getTotalCompilationTime();
    private int restingWindows;

    boolean quiet() {
      double now = Clock.wall();
      if (now - windowStart >= WINDOW) {
        long total = bean.getTotalCompilationTime();
        boolean resting = total - compiledMillis < 0.02 * 1000 * (now - windowStart);
        restingWindows = resting ? restingWindows + 1 : 0;
        windowStart = now;
        compiledMillis = total;
      }
      return restingWindows >= 3 || now - start > PATIENCE;
    }
  }

  private static TopDocs search(Opened index, QueryMaker maker, Topic topic, int k, int threshold) throws IOException {
    // A manager carries the score to beat from segment to segment, so every search needs one of its own.
    return index.searcher.search(maker.make(topic.text()), new TopScoreDocCollectorManager(k, null, threshold));
  }

  private static void report(
      String engine, Options options, List<Topic> topics, long[][] nanos, long[] hits, float[] best, double cpuShare)
      throws IOException {
    int n = nanos.length;
    double[] min = new double[n];
    double[] median = new double[n];
    long totalHits = 0;
    double minSum = 0;
    for (int i = 0; i < n; i++) {
      Arrays.sort(nanos[i]);
      min[i] = nanos[i][0] / 1e3;
      median[i] = nanos[i][nanos[i].length / 2] / 1e3;
      totalHits += hits[i];
      minSum += min[i];
    }
    if (options.on("out")) {
      try (PrintWriter out = SearchCommand.writer(options.required("out"))) {
        out.print("query\thits\tbest_score\tmin_us\tmedian_us\tmax_us\n");
        for (int i = 0; i < n; i++) {
          out.printf(
              Locale.ROOT, "%s\t%d\t%s\t%.1f\t%.1f\t%.1f\n",
              topics.get(i).id(), hits[i], SearchCommand.digits(best[i]),
              min[i], median[i], nanos[i][nanos[i].length - 1] / 1e3);
        }
      }
    }
    double geoMin = geomean(min);
    double geoMedian = geomean(median);
    Arrays.sort(median);
    System.out.printf(
        Locale.ROOT,
        "engine=%s op=%s k=%s count=%s queries=%d geomean_min_us=%.1f geomean_us=%.1f p50_us=%.1f p90_us=%.1f "
            + "p99_us=%.1f mean_min_us=%.1f hits=%d mhits_per_s=%.1f cpu_share=%.2f%n",
        engine, options.text("op", "or"), options.text("k", "10"), options.text("count", "none"), n,
        geoMin, geoMedian, at(median, 0.50), at(median, 0.90), at(median, 0.99), minSum / Math.max(1, n),
        totalHits, minSum > 0 ? totalHits / minSum : 0, cpuShare);
  }

  private static double geomean(double[] values) {
    double sum = 0;
    for (double value : values) {
      sum += Math.log(Math.max(value, 1e-3));
    }
    return values.length == 0 ? 0 : Math.exp(sum / values.length);
  }

  private static double at(double[] sorted, double share) {
    return sorted.length == 0 ? 0 : sorted[Math.min(sorted.length - 1, (int) (share * sorted.length))];
  }
}

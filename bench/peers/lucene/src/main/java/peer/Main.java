// SPDX-License-Identifier: Apache-2.0
package peer;

import java.util.Arrays;

/** Entry point: the first argument names the command, the rest are its options. */
public final class Main {
  private static final String USAGE =
      """
      usage: lucene-peer COMMAND OPTIONS

        index    --corpus FILE.jsonl --out DIR [--fields title,text] [--analyzer english|standard|whitespace]
                 [--threads 1] [--ram-mb 256] [--merge] [--store] [--reorder (with --merge)]
        search   --index DIR --queries FILE [--fields text] [--op or|and|phrase] [--combine max|sum] [--k 10]
                 [--mode exact|pruned] [--similarity lucene|elasticsearch] [--out run.tsv]
        bench    --index DIR --queries FILE [--fields text] [--op or|and|phrase] [--combine max|sum] [--k 10]
                 [--warmup 5] [--warmup-s 10] [--rounds 10] [--count none|exact] [--turns 0] [--similarity ...] [--out latencies.tsv]
        analyze  --strings FILE.jsonl --analyzer english|standard|whitespace [--out tokens.jsonl]
        stem     --words FILE [--out stems.tsv]
        explain  --index DIR --queries FILE --id DOC [--fields text] [--op or|and|phrase] [--combine max|sum]
        expr     --data DIR (as bench_expr DIR writes it)
        version
      """;

  public static void main(String[] argv) throws Exception {
    if (argv.length == 0) {
      System.err.print(USAGE);
      System.exit(2);
    }
    Options options = new Options(Arrays.copyOfRange(argv, 1, argv.length));
    try {
      switch (argv[0]) {
        case "index" -> IndexCommand.run(options);
        case "search" -> SearchCommand.run(options);
        case "bench" -> BenchCommand.run(options);
        case "analyze" -> AnalyzeCommand.run(options);
        case "stem" -> StemCommand.run(options);
        case "explain" -> ExplainCommand.run(options);
        case "expr" -> ExprCommand.run(options);
        case "version" -> System.out.println(
            "lucene " + org.apache.lucene.util.Version.LATEST + " java " + Runtime.version());
        default -> {
          System.err.print(USAGE);
          System.exit(2);
        }
      }
    } catch (IllegalArgumentException e) {
      System.err.println("lucene-peer: " + e.getMessage());
      System.exit(2);
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
package peer;

import java.io.IOException;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.text.ParseException;
import java.util.List;
import java.util.Locale;
import org.apache.lucene.expressions.Expression;
import org.apache.lucene.expressions.js.JavascriptCompiler;
import org.apache.lucene.search.DoubleValues;

/**
 * Formulas by Lucene's expressions module over columns in memory: compiling, evaluating, both together. Answers are
 * compared first; every figure is the best of many rounds in a JVM whose compiler has come to rest on that formula.
 */
final class ExprCommand {
  private ExprCommand() {}

  private static final int[] SIZES = {1_000, 100_000, 1_000_000};
  private static final int DOCS = 1_000_000;
  private static final int SHARED_DOCS = 100_000;

  static void run(Options options) throws Exception {
    Path data = Path.of(options.required("data"));
    List<String> names = Files.readAllLines(data.resolve("names.txt"));
    double[][] columns = read(data.resolve("columns.bin"), names.size(), DOCS);
    List<String> formulas = Files.readAllLines(data.resolve("formulas.tsv"));
    double[][] answers = read(data.resolve("answers.bin"), formulas.size(), SHARED_DOCS);
    double[] out = new double[DOCS];
    for (int f = 0; f < formulas.size(); f++) {
      String[] fields = formulas.get(f).split("\t");
      compare(fields, names, columns, answers[f], out);
      for (int size : SIZES) {
        measure(fields, names, columns, size, out);
      }
    }
  }

  private static double[][] read(Path path, int count, int each) throws IOException {
    double[][] read = new double[count][each];
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      for (int i = 0; i < count; i++) {
        DoubleBuffer part =
            channel
                .map(FileChannel.MapMode.READ_ONLY, 8L * i * each, 8L * each)
                .order(ByteOrder.LITTLE_ENDIAN)
                .asDoubleBuffer();
        part.get(read[i]);
      }
    }
    return read;
  }

  /** A column as Lucene sees one: the value of the document last advanced to. */
  private static final class Column extends DoubleValues {
    private final double[] values;
    private int doc;

    Column(double[] values) {
      this.values = values;
    }

    @Override
    public double doubleValue() {
      return values[doc];
    }

    @Override
    public boolean advanceExact(int target) {
      doc = target;
      return true;
    }
  }

  private static Expression compile(String text) throws ParseException {
    return JavascriptCompiler.compile(text);
  }

  private static void evaluate(Expression e, List<String> names, double[][] columns, int n, double[] out)
      throws IOException {
    DoubleValues[] inputs = new DoubleValues[e.variables.length];
    for (int i = 0; i < inputs.length; i++) {
      inputs[i] = new Column(columns[names.indexOf(e.variables[i])]);
    }
    for (int doc = 0; doc < n; doc++) {
      for (DoubleValues input : inputs) {
        input.advanceExact(doc);
      }
      out[doc] = e.evaluate(inputs);
    }
  }

  private static void compare(String[] formula, List<String> names, double[][] columns, double[] want, double[] out)
      throws Exception {
    evaluate(compile(formula[1]), names, columns, SHARED_DOCS, out);
    for (int doc = 0; doc < SHARED_DOCS; doc++) {
      // haversinMeters() is an approximation.
      double tolerance = formula[0].equals("near") ? 1e-4 : 1e-9 * Math.max(1, Math.abs(want[doc]));
      if (!(Math.abs(out[doc] - want[doc]) <= tolerance)) {
        throw new IllegalStateException(formula[0] + ": document " + doc + ": " + out[doc] + ", not " + want[doc]);
      }
    }
  }

  private static void measure(String[] formula, List<String> names, double[][] columns, int n, double[] out)
      throws Exception {
    Expression e = compile(formula[1]);
    // Warmed: two seconds of it, then rounds for half a second at least.
    long warm = System.nanoTime() + 2_000_000_000L;
    while (System.nanoTime() < warm) {
      evaluate(e, names, columns, n, out);
    }
    double run = Double.MAX_VALUE;
    double compile = Double.MAX_VALUE;
    double total = Double.MAX_VALUE;
    long limit = System.nanoTime() + 500_000_000L;
    for (int round = 0; round < 5 || System.nanoTime() < limit; round++) {
      long begin = System.nanoTime();
      evaluate(e, names, columns, n, out);
      run = Math.min(run, (System.nanoTime() - begin) / 1e3);
    }
    limit = System.nanoTime() + 1_000_000_000L;
    for (int round = 0; round < 5 || System.nanoTime() < limit; round++) {
      long begin = System.nanoTime();
      Expression fresh = compile(formula[1]);
      compile = Math.min(compile, (System.nanoTime() - begin) / 1e3);
      evaluate(fresh, names, columns, n, out);
      total = Math.min(total, (System.nanoTime() - begin) / 1e3);
    }
    System.out.printf(
        Locale.ROOT,
        "{\"formula\": \"%s\", \"docs\": %d, \"lucene\": {\"mdocs_s\": %.1f, \"compile_us\": %.0f, \"total_us\": %.1f}}%n",
        formula[0],
        n,
        n / run,
        compile,
        total);
  }
}

// SPDX-License-Identifier: Apache-2.0
package peer;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.core.KeywordTokenizer;
import org.apache.lucene.analysis.en.PorterStemFilter;
import org.apache.lucene.analysis.tokenattributes.CharTermAttribute;

/** Writes {@code word TAB stem} for a file of words, one a line: PorterStemFilter and nothing else. */
final class StemCommand {
  private StemCommand() {}

  static void run(Options options) throws IOException {
    KeywordTokenizer source = new KeywordTokenizer();
    try (TokenStream stems = new PorterStemFilter(source);
        PrintWriter out = SearchCommand.writer(options.text("out", "-"))) {
      CharTermAttribute stem = stems.getAttribute(CharTermAttribute.class);
      for (String word : Files.readAllLines(Path.of(options.required("words")), StandardCharsets.UTF_8)) {
        source.setReader(new StringReader(word));
        stems.reset();
        stems.incrementToken();
        out.print(word + "\t" + stem + "\n");
        stems.end();
        stems.close();
      }
    }
  }
}

// SPDX-License-Identifier: Apache-2.0
package peer;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.json.JsonWriteFeature;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.tokenattributes.CharTermAttribute;
import org.apache.lucene.analysis.tokenattributes.OffsetAttribute;
import org.apache.lucene.analysis.tokenattributes.PositionIncrementAttribute;
import org.apache.lucene.analysis.tokenattributes.TypeAttribute;

/** Writes the tokens of each string, with the names of Elasticsearch's _analyze plus byte offsets. */
final class AnalyzeCommand {
  private AnalyzeCommand() {}

  static void run(Options options) throws IOException {
    try (Analyzer analyzer = Analyzers.named(options.required("analyzer"));
        Jsonl lines = new Jsonl(options.required("strings"));
        PrintWriter out = SearchCommand.writer(options.text("out", "-"))) {
      for (Map<String, String> line; (line = lines.next()) != null; ) {
        out.print(tokens(analyzer, line.get("_id"), line.get("text")) + "\n");
      }
    }
  }

  private static String tokens(Analyzer analyzer, String id, String text) throws IOException {
    StringWriter json = new StringWriter();
    // All ASCII: no reader trips over U+2028, marks that join the quote, or invisible characters.
    try (JsonGenerator to =
            new JsonFactory().createGenerator(json).enable(JsonWriteFeature.ESCAPE_NON_ASCII.mappedFeature());
        TokenStream stream = analyzer.tokenStream("text", text)) {
      var term = stream.addAttribute(CharTermAttribute.class);
      var offset = stream.addAttribute(OffsetAttribute.class);
      var increment = stream.addAttribute(PositionIncrementAttribute.class);
      var type = stream.addAttribute(TypeAttribute.class);
      to.writeStartObject();
      to.writeStringField("_id", id);
      to.writeStringField("text", text);
      to.writeArrayFieldStart("tokens");
      int position = -1;
      stream.reset();
      while (stream.incrementToken()) {
        position += increment.getPositionIncrement();
        to.writeStartObject();
        to.writeStringField("token", term.toString());
        to.writeNumberField("start_offset", offset.startOffset());
        to.writeNumberField("end_offset", offset.endOffset());
        to.writeNumberField("start_byte", bytes(text, offset.startOffset()));
        to.writeNumberField("end_byte", bytes(text, offset.endOffset()));
        to.writeStringField("type", type.type());
        to.writeNumberField("position", position);
        to.writeEndObject();
      }
      stream.end();
      to.writeEndArray();
      to.writeEndObject();
    }
    return json.toString();
  }

  private static int bytes(String text, int end) {
    return text.substring(0, end).getBytes(StandardCharsets.UTF_8).length;
  }
}

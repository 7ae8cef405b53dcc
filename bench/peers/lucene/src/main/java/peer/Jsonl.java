// SPDX-License-Identifier: Apache-2.0
package peer;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.BufferedInputStream;
import java.io.Closeable;
import java.io.FileInputStream;
import java.io.IOException;
import java.util.HashMap;
import java.util.Map;

/** Reads one flat JSON object per line; nested values and nulls are skipped, scalars become text. */
final class Jsonl implements Closeable {
  private final JsonParser parser;

  Jsonl(String path) throws IOException {
    parser = new JsonFactory().createParser(new BufferedInputStream(new FileInputStream(path), 1 << 20));
  }

  /** The next object, or null at the end. */
  Map<String, String> next() throws IOException {
    JsonToken token = parser.nextToken();
    if (token == null) {
      return null;
    }
    if (token != JsonToken.START_OBJECT) {
      throw new IOException("expected an object at " + parser.currentLocation());
    }
    Map<String, String> object = new HashMap<>();
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String name = parser.currentName();
      JsonToken value = parser.nextToken();
      if (value.isStructStart()) {
        parser.skipChildren();
      } else if (value != JsonToken.VALUE_NULL) {
        object.put(name, parser.getText());
      }
    }
    return object;
  }

  @Override
  public void close() throws IOException {
    parser.close();
  }
}

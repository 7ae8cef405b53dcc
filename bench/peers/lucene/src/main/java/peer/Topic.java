// SPDX-License-Identifier: Apache-2.0
package peer;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** One query of a query file: {@code id TAB text} lines, or JSONL with {@code _id} and {@code text}. */
record Topic(String id, String text) {
  static List<Topic> read(String path) throws IOException {
    List<Topic> topics = new ArrayList<>();
    if (path.endsWith(".jsonl")) {
      try (Jsonl lines = new Jsonl(path)) {
        for (Map<String, String> line; (line = lines.next()) != null; ) {
          topics.add(new Topic(line.get("_id"), line.getOrDefault("text", "")));
        }
      }
      return topics;
    }
    for (String line : Files.readAllLines(Path.of(path), StandardCharsets.UTF_8)) {
      int tab = line.indexOf('\t');
      if (tab > 0) {
        topics.add(new Topic(line.substring(0, tab), line.substring(tab + 1)));
      }
    }
    return topics;
  }
}

// SPDX-License-Identifier: Apache-2.0
package peer;

import java.io.IOException;
import org.apache.lucene.index.StoredFields;
import org.apache.lucene.search.Query;

/** Prints Lucene's explanation of one document's score for every query of a file. */
final class ExplainCommand {
  private ExplainCommand() {}

  static void run(Options options) throws IOException {
    try (Opened index = new Opened(options)) {
      QueryMaker maker = new QueryMaker(index.analyzer, options);
      int doc = find(index, options.required("id"));
      for (Topic topic : Topic.read(options.required("queries"))) {
        Query query = maker.make(topic.text());
        System.out.println("query " + topic.id() + ": " + query);
        System.out.println(index.searcher.explain(query, doc));
      }
    }
  }

  private static int find(Opened index, String id) throws IOException {
    StoredFields stored = index.reader.storedFields();
    for (int doc = 0; doc < index.reader.maxDoc(); doc++) {
      if (id.equals(stored.document(doc).get("_id"))) {
        return doc;
      }
    }
    throw new IllegalArgumentException("no such document: " + id);
  }
}

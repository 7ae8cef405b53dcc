// SPDX-License-Identifier: Apache-2.0
package peer;

import java.util.ArrayList;
import java.util.List;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.search.BooleanClause.Occur;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.DisjunctionMaxQuery;
import org.apache.lucene.search.MatchNoDocsQuery;
import org.apache.lucene.search.Query;
import org.apache.lucene.util.QueryBuilder;

/**
 * Text to query, the way Elasticsearch's {@code match}, {@code match_phrase} and {@code multi_match} do it: the text is
 * analysed once per field; several fields are joined by a dis_max with tie 0 (best_fields) or by a sum.
 */
final class QueryMaker {
  private final QueryBuilder builder;
  private final List<String> fields;
  private final String op;
  private final boolean sum;

  QueryMaker(Analyzer analyzer, Options options) {
    builder = new QueryBuilder(analyzer);
    fields = options.list("fields", "text");
    op = options.text("op", "or");
    sum = options.text("combine", "max").equals("sum");
  }

  Query make(String text) {
    List<Query> perField = new ArrayList<>();
    for (String field : fields) {
      Query query = one(field, text);
      if (query != null) { // null: analysis left nothing
        perField.add(query);
      }
    }
    if (perField.isEmpty()) {
      return new MatchNoDocsQuery();
    }
    if (perField.size() == 1) {
      return perField.get(0);
    }
    if (!sum) {
      return new DisjunctionMaxQuery(perField, 0f);
    }
    BooleanQuery.Builder all = new BooleanQuery.Builder();
    for (Query query : perField) {
      all.add(query, Occur.SHOULD);
    }
    return all.build();
  }

  private Query one(String field, String text) {
    return switch (op) {
      case "or" -> builder.createBooleanQuery(field, text, Occur.SHOULD);
      case "and" -> builder.createBooleanQuery(field, text, Occur.MUST);
      case "phrase" -> builder.createPhraseQuery(field, text);
      default -> throw new IllegalArgumentException("unknown op: " + op);
    };
  }
}

// SPDX-License-Identifier: Apache-2.0
package peer;

import org.apache.lucene.index.FieldInvertState;
import org.apache.lucene.search.CollectionStatistics;
import org.apache.lucene.search.TermStatistics;
import org.apache.lucene.search.similarities.BM25Similarity;
import org.apache.lucene.search.similarities.Similarity;

/** BM25 with k1 = 1.2 and b = 0.75, in Lucene's scale or in Elasticsearch's. */
final class Similarities {
  static final float K1 = 1.2f;
  static final float B = 0.75f;

  private Similarities() {}

  static Similarity named(String name) {
    return switch (name) {
      case "lucene" -> new BM25Similarity(K1, B);
      case "elasticsearch" -> new Scaled(new BM25Similarity(K1, B), 1 + K1);
      default -> throw new IllegalArgumentException("unknown similarity: " + name);
    };
  }

  /** Elasticsearch keeps the classic (k1 + 1) in the numerator by handing it down as a boost. */
  private static final class Scaled extends Similarity {
    private final Similarity inner;
    private final float factor;

    Scaled(Similarity inner, float factor) {
      this.inner = inner;
      this.factor = factor;
    }

    @Override
    public long computeNorm(FieldInvertState state) {
      return inner.computeNorm(state);
    }

    @Override
    public SimScorer scorer(float boost, CollectionStatistics collection, TermStatistics... terms) {
      return inner.scorer(boost * factor, collection, terms);
    }
  }
}

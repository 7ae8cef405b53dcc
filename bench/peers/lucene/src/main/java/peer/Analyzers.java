// SPDX-License-Identifier: Apache-2.0
package peer;

import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.analysis.CharArraySet;
import org.apache.lucene.analysis.core.WhitespaceAnalyzer;
import org.apache.lucene.analysis.en.EnglishAnalyzer;
import org.apache.lucene.analysis.standard.StandardAnalyzer;

/** The analyzers by the names that Elasticsearch gives them. */
final class Analyzers {
  private Analyzers() {}

  static Analyzer named(String name) {
    return switch (name) {
      // StandardTokenizer, EnglishPossessiveFilter, LowerCaseFilter, StopFilter(33 words), PorterStemFilter.
      case "english" -> new EnglishAnalyzer();
      // StandardTokenizer, LowerCaseFilter; no stop words, which is Elasticsearch's default.
      case "standard" -> new StandardAnalyzer(CharArraySet.EMPTY_SET);
      case "whitespace" -> new WhitespaceAnalyzer();
      default -> throw new IllegalArgumentException("unknown analyzer: " + name);
    };
  }
}

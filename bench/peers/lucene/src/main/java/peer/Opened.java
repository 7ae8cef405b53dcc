// SPDX-License-Identifier: Apache-2.0
package peer;

import java.io.Closeable;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.lucene.analysis.Analyzer;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.store.FSDirectory;

/** An index folder opened for search, with the analyzer that built it and no query cache. */
final class Opened implements Closeable {
  static final String ANALYZER_FILE = "peer-analyzer";

  final FSDirectory directory;
  final DirectoryReader reader;
  final IndexSearcher searcher;
  final Analyzer analyzer;

  Opened(Options options) throws IOException {
    Path path = Path.of(options.required("index"));
    directory = FSDirectory.open(path);
    reader = DirectoryReader.open(directory);
    searcher = new IndexSearcher(reader);
    searcher.setQueryCache(null);
    searcher.setSimilarity(Similarities.named(options.text("similarity", "lucene")));
    analyzer = Analyzers.named(Files.readString(path.resolve(ANALYZER_FILE)).trim());
  }

  @Override
  public void close() throws IOException {
    reader.close();
    directory.close();
  }
}

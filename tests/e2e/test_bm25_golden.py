# SPDX-License-Identifier: Apache-2.0
"""Analysis and BM25 against files that Lucene wrote: the same tokens, the same documents, the
same scores. Reads data/golden-bm25, data/beir-scifact and data/cranfield of QUERN_SHARED."""
import gzip
import http.client
import json
import subprocess
import sys
import unittest

from harness import QUERN, Folder, Server, need_shared, run

SHARED = need_shared("data/golden-bm25", "data/beir-scifact", "data/cranfield")
GOLDEN = SHARED / "data/golden-bm25"
CORPORA = {"scifact": "beir-scifact", "cranfield": "cranfield"}
ES_FACTOR = 2.2  # Elasticsearch keeps k1 + 1
ES_CLOSE, HA3_CLOSE = 2e-6, 1e-6


def golden_run(name):
    """{query: {document: score}} and {query: least score}."""
    scores = {}
    with gzip.open(GOLDEN / f"{name}.tsv.gz", "rt") as lines:
        for line in lines:
            query, document, _, score = line.rstrip("\n").split("\t")
            scores.setdefault(query, {})[document] = float(score)
    return scores


def queries(corpus, kind):
    with open(GOLDEN / f"queries/{corpus}.{kind}.tsv") as lines:
        return [line.rstrip("\n").split("\t", 1) for line in lines]


class Analysis(unittest.TestCase):
    def check(self, analyzer):
        with Server() as server, open(GOLDEN / f"analysis-{analyzer}.jsonl") as lines:
            count = 0
            for line in lines:
                row = json.loads(line)
                status, reply = server.request("POST", "/_analyze", {"analyzer": analyzer, "text": row["text"]})
                self.assertEqual(status, 200, reply)
                keys = ("token", "start_offset", "end_offset", "type", "position")
                got = [tuple(t[k] for k in keys) for t in reply["tokens"]]
                want = [tuple(t[k] for k in keys) for t in row["tokens"]]
                self.assertEqual(got, want, row["_id"])
                count += 1
        self.assertGreater(count, 200)

    def test_standard(self):
        self.check("standard")

    def test_english(self):
        self.check("english")

    def test_command_line(self):
        """Bytes as well; a sample, since each is a process."""
        for analyzer in ("standard", "english"):
            with open(GOLDEN / f"analysis-{analyzer}.jsonl") as lines, Folder() as data:
                for row in [json.loads(line) for line in lines][::8]:
                    if "\0" in row["text"] or row["text"].startswith("-"):
                        continue  # not to be had on a command line
                    code, out, err = run("analyze", "--analyzer", analyzer, "--format", "json",
                                         "--", row["text"], data=None, env={"QUERN_DATA": str(data)})
                    self.assertEqual((code, json.loads(out)), (0, row["tokens"]), (row["_id"], err))


class Scores(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        for corpus, folder in CORPORA.items():
            for analyzer in ("standard", "english"):
                table = f"{corpus}-{analyzer}"
                mapping = {"mappings": {"dynamic": False, "properties": {
                    f: {"type": "text", "analyzer": analyzer} for f in ("title", "text")}}}
                code, _, err = run("table", "create", table, "--schema", "-", data=cls.server.data,
                                   stdin=json.dumps(mapping))
                assert code == 0, err
                subprocess.run([QUERN, "ingest", table, SHARED / "data" / folder / "corpus.jsonl", "--quiet",
                                "--data", cls.server.data], check=True)
                code, _, err = run("table", "optimize", table, data=cls.server.data)
                assert code == 0, err
        cls.server.start()
        cls.connection = http.client.HTTPConnection("127.0.0.1", cls.server.port, timeout=60)

    @classmethod
    def tearDownClass(cls):
        cls.connection.close()
        cls.server.__exit__()

    def search(self, table, query, k):
        body = json.dumps({"query": query, "size": k, "_source": False, "track_total_hits": False})
        self.connection.request("POST", f"/{table}/_search", body, {"Content-Type": "application/json"})
        reply = json.loads(self.connection.getresponse().read())
        return [(h["_id"], h["_score"]) for h in reply["hits"]["hits"]]

    def compare(self, got, want, k, close, factor, where):
        """Equal documents and scores; whoever ties at the cut may be another."""
        self.assertEqual(len(got), len(want), where)
        if not want:
            return 0
        worst, cut = 0.0, min(want.values())
        full = len(want) == k
        for (document, score), expected in zip(got, sorted(want.values(), reverse=True)):
            off = abs(score / factor - expected) / expected
            self.assertLess(off, close, (where, document, score, expected))
            worst = max(worst, off)
            if document in want:
                own = abs(score / factor - want[document]) / want[document]
                self.assertLess(own, close, (where, document, score, want[document]))
            else:
                self.assertTrue(full and abs(expected - cut) <= 1e-6 * cut, (where, document))
        return worst

    def each(self, kind, suffix, k, make, factor=ES_FACTOR):
        compared, worst = 0, 0.0
        for corpus in CORPORA:
            for analyzer in ("standard", "english"):
                golden = golden_run(f"{corpus}.{analyzer}{suffix}")
                for name, text in queries(corpus, kind):
                    got = self.search(f"{corpus}-{analyzer}", make(text), k)
                    where = f"{corpus} {analyzer} {kind} {name}"
                    worst = max(worst, self.compare(got, golden.get(name, {}), k, ES_CLOSE, factor, where))
                    compared += len(got)
        print(f"{kind}{suffix}: {compared} scores, worst relative difference {worst:.1e}", file=sys.stderr)
        self.assertGreater(compared, 1000)

    def test_any_word(self):
        self.each("real", "", 100, lambda text: {"match": {"text": text}})

    def test_best_fields(self):
        self.each("real", ".best_fields", 50, lambda text: {
            "multi_match": {"query": text, "fields": ["title", "text"]}})

    def test_all_words(self):
        self.each("intersection", ".and", 100, lambda text: {"match": {"text": {"query": text, "operator": "and"}}})

    def test_phrases(self):
        self.each("phrase", ".phrase", 100, lambda text: {"match_phrase": {"text": text}})

    def test_same_through_ha3(self):
        """bm25(text) of the ranking language is Lucene's own scale."""
        for corpus in CORPORA:
            for analyzer in ("standard", "english"):
                golden = golden_run(f"{corpus}.{analyzer}")
                for name, text in queries(corpus, "real")[::4]:
                    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
                    if "&&" in quoted:
                        continue
                    items = self.server.items(
                        f"query=text:'{quoted}'&&config=format:json,hit:100,default_operator:OR"
                        "&&kvpairs=first_formula:bm25(text)&&attribute=", f"{corpus}-{analyzer}")
                    want = golden.get(name, {})
                    self.assertEqual(len(items), len(want))
                    for item, expected in zip(items, sorted(want.values(), reverse=True)):
                        score = float(item["sortExprValues"][0]) - 10000
                        self.assertLess(abs(score - expected) / expected, HA3_CLOSE, (corpus, analyzer, name))


if __name__ == "__main__":
    unittest.main()

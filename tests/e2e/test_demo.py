# SPDX-License-Identifier: Apache-2.0
"""`quern demo` as a newcomer runs it, then the table it made: searches in every way, the
model's deadline, the console. The films are embedded once for all of it."""
import json
import math
import re
import unittest

from harness import ROOT, Folder, Server, run

FILMS = 9750
MINUTES = 60


class Demo(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Folder()
        cls.data = cls.folder.__enter__()
        cls.code, cls.out, cls.err = run("demo", "--no-serve", data=cls.data, timeout=15 * MINUTES)
        assert cls.code == 0, (cls.out, cls.err)

    @classmethod
    def tearDownClass(cls):
        cls.folder.__exit__()

    def search(self, words, *arguments):
        code, out, err = run("search", "movies", words, "--format", "json", *arguments, data=self.data)
        self.assertEqual(code, 0, err)
        return json.loads(out)

    def test_three_searches_with_every_stage(self):
        self.assertEqual(re.findall(r"^(\d)\. ", self.out, re.M), ["1", "2", "3"])
        titles = [line for line in self.out.splitlines() if re.match(r"#\s+", line)]
        self.assertEqual(len(titles), 3)
        for line in titles:
            for column in ("id", "title", "text", "vector", "rough", "fine", "neural", "score"):
                self.assertIn(column, line)
        self.assertIn("Ratatouille", self.out)
        self.assertIn("Star Wars", self.out)

    def test_again_is_quick_and_the_same(self):
        code, out, err = run("demo", "--no-serve", data=self.data)
        self.assertEqual(code, 0, err)
        self.assertIn("is there already", out)

        def tables(text):  # times differ
            return [line for line in text.splitlines() if re.match(r"\d+ +[-+=]", line)]
        self.assertEqual(len(tables(out)), 15)
        self.assertEqual(tables(out), tables(self.out))

    def test_the_table(self):
        code, out, err = run("table", "stats", "movies", data=self.data)
        self.assertEqual(json.loads(out)["documents"], FILMS)
        code, out, err = run("table", "check", "movies", data=self.data)
        self.assertEqual((code, json.loads(out)["damaged"]), (0, []))

    def test_ways_to_recall(self):
        query = "rat who wants to become a chef"
        words = self.search(query, "--pipeline", "bm25")
        vectors = self.search(query, "--pipeline", "vector")
        both = self.search(query, "--pipeline", "hybrid")
        self.assertEqual(vectors["hits"][0]["source"]["title"], "Ratatouille")
        self.assertTrue(all(h["stages"]["vector"] is None for h in words["hits"]))
        self.assertTrue(all(h["stages"]["text"] is None for h in vectors["hits"]))
        found = {h["id"] for h in words["hits"]} | {h["id"] for h in vectors["hits"]}
        self.assertGreater(len(found & {h["id"] for h in both["hits"]}), 4)
        self.assertNotIn("embedding", vectors["hits"][0]["source"])

    def test_model_reorders_the_window(self):
        query = "boy finds out that he is a wizard"
        plain = self.search(query, "--size", "20", "--pipeline", "words")
        ranked = self.search(query, "--size", "20", "--pipeline", "words", "--rerank", "reranker-minilm-l6", "--window", "10")
        self.assertEqual(ranked["rerank"]["of"], 10)
        self.assertEqual(ranked["rerank"]["scored"], 10)
        self.assertEqual({h["id"] for h in ranked["hits"][:10]}, {h["id"] for h in plain["hits"][:10]})
        self.assertEqual([h["id"] for h in ranked["hits"][10:]], [h["id"] for h in plain["hits"][10:]])
        logits = [h["stages"]["neural"] for h in ranked["hits"][:10]]
        self.assertEqual(logits, sorted(logits, reverse=True))
        for hit in ranked["hits"][:10]:
            self.assertTrue(math.isclose(hit["stages"]["neural_score"], 1 / (1 + math.exp(-hit["stages"]["neural"])),
                                         rel_tol=1e-5))

    def test_own_model_takes_the_place_of_the_pipelines(self):
        ranked = self.search("batman joker", "--rerank", "reranker-minilm-l6", "--window", "7", "--budget", "60000")
        self.assertEqual((ranked["rerank"]["of"], ranked["rerank"]["scored"]), (7, 7))
        own = self.search("batman joker", "--pipeline", "blend", "--budget", "60000")
        self.assertEqual(own["rerank"]["of"], 50)

    def test_deadline_leaves_the_rest_in_place(self):
        query = "boy finds out that he is a wizard"
        plain = [h["id"] for h in self.search(query, "--size", "200", "--pipeline", "bm25")["hits"]]
        ranked = self.search(query, "--size", "200", "--pipeline", "bm25", "--rerank", "reranker-minilm-l6", "--window", "200", "--budget", "30")
        told = ranked["rerank"]
        self.assertEqual(told["of"], 200)
        self.assertTrue(told["timed_out"] and told["scored"] < 200, told)
        ids = [h["id"] for h in ranked["hits"]]
        self.assertEqual(sorted(ids), sorted(plain))
        # the most promising were scored, best first; the others stand behind as they were
        self.assertEqual(set(ids[:told["scored"]]), set(plain[:told["scored"]]))
        self.assertEqual(ids[told["scored"]:], plain[told["scored"]:])

    def test_quality_on_judged_queries(self):
        movies = ROOT / "examples/movies"
        code, out, err = run("eval", "movies", "--queries", movies / "queries.tsv", "--qrels", movies / "qrels.tsv",
                             "--limit", "30", "--pipeline", "bm25", "--pipeline", "vector", "--pipeline", "hybrid",
                             "--metrics", "ndcg@10", "--format", "json", data=self.data)
        self.assertEqual(code, 0, err)
        ndcg = {p["pipeline"]: p["ndcg@10"] for p in json.loads(out)["pipelines"]}
        self.assertTrue(all(v > 0.3 for v in ndcg.values()), ndcg)
        self.assertGreater(ndcg["hybrid"], ndcg["vector"])

    def test_served(self):
        with Server(self.data) as server:
            status, headers, text = server.raw("GET", "/_console/")
            self.assertEqual(status, 200)
            self.assertIn("text/html", headers["Content-Type"])
            for path in set(re.findall(r'(?:src|href)="([^"#:]+)"', text)):
                self.assertEqual(server.raw("GET", "/_console/" + path.removeprefix("/_console/"))[0], 200, path)
            here = server.request("POST", "/_quern/search", {"table": "movies", "query": "toy story", "pipeline": "hybrid"})
            self.assertEqual(here[0], 200, here)
            self.assertIn("Toy Story", here[1]["hits"][0]["source"]["title"] + here[1]["hits"][1]["source"]["title"])
            es = server.request("POST", "/movies/_search", {"query": {"multi_match": {
                "query": "toy story", "fields": ["title^2", "overview"]}}, "_source": ["title"]})[1]["hits"]["hits"]
            self.assertEqual(es[0]["_source"], {"title": "Toy Story"})


if __name__ == "__main__":
    unittest.main()

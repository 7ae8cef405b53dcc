# SPDX-License-Identifier: Apache-2.0
"""What query analysis is worth on judged queries: misspelt SciFact claims with and without
spelling, Cranfield's questions as ANDs with and without a second attempt. Prints the figures
and holds floors a little below them. Needs QUERN_SHARED."""
import json
import math
import random
import unittest
import urllib.parse

from harness import Server, need_shared

SHARED = need_shared("data/beir-scifact", "data/cranfield", "data/spelling-errors")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SEED = 20261122


def lines(path):
    return (SHARED / "data" / path).read_text().splitlines()


def read(collection):
    """Documents, queries that have judgements, judgements."""
    documents = [json.loads(x) for x in lines(f"{collection}/corpus.jsonl")]
    judged = {}
    for row in lines(f"{collection}/qrels/test.tsv")[1:]:
        query, document, grade = row.split("\t")
        if int(grade) > 0:
            judged.setdefault(query, {})[document] = int(grade)
    queries = {q["_id"]: q["text"] for q in map(json.loads, lines(f"{collection}/queries.jsonl"))}
    return documents, {q: queries[q] for q in judged}, judged


def known_slips():
    """word -> misspellings of it, as people made them."""
    found = {}
    for name in ("wikipedia", "birkbeck", "aspell"):
        for line in lines(f"spelling-errors/{name}.txt"):
            right, _, wrong = line.partition(": ")
            found.setdefault(right.lower(), []).extend(
                w.lower() for w in wrong.split() if w.isalpha() and abs(len(w) - len(right)) < 3)
    return found


def slip(word, slips, rng):
    """A misspelling: one that people made of this word, else one random edit."""
    if slips.get(word.lower()):
        return rng.choice(slips[word.lower()])
    at, kind = rng.randrange(1, len(word)), rng.randrange(4)
    if kind == 0:
        return word[:at] + word[at + 1:]
    if kind == 1:
        return word[:at] + rng.choice(LETTERS) + word[at:]
    if kind == 2:
        return word[:at] + rng.choice(LETTERS.replace(word[at].lower(), "")) + word[at + 1:]
    return word[:at - 1] + word[at] + word[at - 1] + word[at + 1:]


def misspell(text, slips, rng, share=0.3):
    """That share of the words of five letters and more, at least one."""
    words = text.split()
    long = [i for i, w in enumerate(words) if w.isalpha() and len(w) >= 5]
    for i in rng.sample(long, min(len(long), max(1, round(len(long) * share)))):
        words[i] = slip(words[i], slips, rng)
    return " ".join(words)


def ndcg(found, judged, depth=10):
    gain = sum(judged.get(d, 0) / math.log2(i + 2) for i, d in enumerate(found[:depth]))
    best = sum(g / math.log2(i + 2) for i, g in enumerate(sorted(judged.values(), reverse=True)[:depth]))
    return gain / best


def recall(found, judged, depth=100):
    return len(set(found[:depth]) & set(judged)) / len(judged)


class Worth(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def call(self, method, path, body=None):
        status, reply = self.server.request(method, path, body, {"Content-Type": "application/json"}, timeout=300)
        self.assertEqual(status, 200, reply)
        return reply

    def load(self, table, documents):
        mapping = {"mappings": {"properties": {f: {"type": "text", "analyzer": "english"} for f in ("title", "text")}}}
        self.call("PUT", f"/{table}", json.dumps(mapping))
        for at in range(0, len(documents), 1000):
            self.call("POST", f"/{table}/_bulk", "".join(
                json.dumps({"index": {"_id": d["_id"]}}) + "\n" +
                json.dumps({"key": d["_id"], "title": d["title"], "text": d["text"]}) + "\n" for d in documents[at:at + 1000]))
        self.call("POST", f"/{table}/_refresh")

    def store(self, table, name, rule):
        self.call("PUT", f"/_quern/tables/{table}/analysis/rules/{name}", json.dumps(rule))

    def words(self, table, text, rules):
        reply = self.call("POST", "/_quern/search", json.dumps(
            {"table": table, "query": text, "size": 100, "analysis": rules}))
        return [h["id"] for h in reply["hits"]]

    def ha3(self, table, text, rules):
        quoted = text.replace("\\", " ").replace("'", " ")
        request = f"query=text:'{quoted}'&&config=hit:100,format:json,default_operator:AND"
        reply = self.call("GET", "/query?" + urllib.parse.urlencode(
            {"table": table, "query": request, "qp": rules}))
        return [i["fields"]["key"] for i in reply["result"]["items"]]

    def score(self, name, queries, judged, search):
        found = {q: search(text) for q, text in queries.items()}
        mean = [sum(f(found[q], judged[q]) for q in queries) / len(queries) for f in (ndcg, recall)]
        print(f"{name:48} nDCG@10 {mean[0]:.4f}  recall@100 {mean[1]:.4f}")
        return mean

    def test_misspelt_claims(self):
        documents, queries, judged = read("beir-scifact")
        slips = known_slips()
        self.load("claims", documents)
        self.store("claims", "spell", {"processors": [{"name": "spell_check"}]})
        clean = self.score("claims", queries, judged, lambda t: self.words("claims", t, ""))
        same = self.score("claims, spelling on", queries, judged, lambda t: self.words("claims", t, "spell"))
        self.assertGreater(same[0], clean[0] - 0.01)
        for share in (0.3, 0.7):
            rng = random.Random(SEED)
            wrong = {q: misspell(text, slips, rng, share) for q, text in queries.items()}
            name = f"claims, {share:.0%} of long words misspelt"
            without = self.score(name, wrong, judged, lambda t: self.words("claims", t, ""))
            mended = self.score(f"{name}, spelling", wrong, judged, lambda t: self.words("claims", t, "spell"))
            self.assertGreater(mended[0], without[0] + 0.5 * (clean[0] - without[0]))
            self.assertGreater(mended[1], without[1] + 0.5 * (clean[1] - without[1]))

    def test_second_attempt(self):
        documents, queries, judged = read("cranfield")
        self.load("wings", documents)
        self.store("wings", "again", {"rewrite": ["AND", "OR"]})
        self.store("wings", "lean", {"processors": [{"name": "stop_word"}, {"name": "term_weighting"}]})
        without = self.score("questions, AND", queries, judged, lambda t: self.ha3("wings", t, ""))
        again = self.score("questions, AND then OR", queries, judged, lambda t: self.ha3("wings", t, "again"))
        lean = self.score("the same, stop words and weights", queries, judged,
                          lambda t: self.ha3("wings", t, "lean"))
        self.assertGreater(again[0], without[0] + 0.2)
        self.assertGreater(again[1], 0.6)
        self.assertGreater(lean[0], again[0])


if __name__ == "__main__":
    unittest.main()

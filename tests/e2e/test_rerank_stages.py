# SPDX-License-Identifier: Apache-2.0
"""Models over searches from outside: stages in a list, passages of long documents and
retrievers, through a server and the command line, with the shipped reranker."""
import gzip
import json
import math
import pathlib
import shutil
import unittest

from harness import ROOT, Folder, Server, float32, run



def documents(count=24, joined=3):
    """Films about wars; every third one with the stories of others behind its own, to be long."""
    with gzip.open(ROOT / "examples/movies/movies.jsonl.gz", "rt", encoding="utf-8") as lines:
        films = [f for f in map(json.loads, lines) if " war " in (f.get("overview") or "")][:count * joined]
    made = []
    for i, film in enumerate(films[:count]):
        others = films[count + i:count * joined:count] if i % 3 == 0 else []
        made.append({"_id": str(i), "title": film["title"],
                     "text": " ".join(f["overview"] for f in (film, *others))})
    return made


DOCUMENTS = documents()
QUERY = "a soldier far from home in the war"
MODEL = "reranker-minilm-l6"


class Stages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        models = cls.server.data / "models"
        models.mkdir()
        shutil.copy(ROOT / f"models/{MODEL}.qnm", models / "small.qnm")
        cls.server.__enter__()
        cls.ask("PUT", "/t", {"mappings": {"properties": {"title": {"type": "text"}, "text": {"type": "text"}}}})
        cls.server.bulk("t", [(d["_id"], {"title": d["title"], "text": d["text"]}) for d in DOCUMENTS])

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    @classmethod
    def ask(cls, method, path, body=None, want=200):
        status, reply = cls.server.request(method, path, None if body is None else json.dumps(body))
        assert status == want, (status, reply)
        return reply

    def search(self, **more):
        return self.ask("POST", "/_quern/search", {"table": "t", "query": QUERY, "size": 50, **more})

    def logits(self, texts, **more):
        """What the model says of each text alone."""
        reply = self.ask("POST", "/rerank", {"query": QUERY, "texts": texts, "raw_scores": True, **more})
        return [r["score"] for r in sorted(reply, key=lambda r: r["index"])]

    def test_small_on_many_large_on_few(self):
        plain = [h["id"] for h in self.search()["hits"]]
        reply = self.search(rerank=f"small:6,{MODEL}:3")
        ids = [h["id"] for h in reply["hits"]]
        self.assertEqual(sorted(ids), sorted(plain))  # none is lost
        self.assertEqual(ids[6:], plain[6:])
        self.assertEqual(sorted(ids[:6]), sorted(plain[:6]))
        scores = [h["score"] for h in reply["hits"]]
        self.assertEqual(scores, sorted(scores, reverse=True))
        stages = reply["rerank"]["stages"]
        self.assertEqual([(s["model"], s["scored"], s["of"]) for s in stages], [(MODEL, 6, 6), (MODEL, 3, 3)])
        self.assertTrue(all(h["neural"][0]["logit"] is not None for h in reply["hits"][:6]))
        self.assertTrue(all(h["neural"][1]["logit"] is None for h in reply["hits"][3:]))

    def test_no_time_loses_nothing(self):
        query = "the war seen by a child"  # of which nothing is known yet
        plain = [h["id"] for h in self.search(query=query)["hits"]]
        reply = self.search(query=query, rerank=f"small:20,{MODEL}:10", budget_ms=1)
        self.assertEqual(sorted(h["id"] for h in reply["hits"]), sorted(plain))
        self.assertTrue(reply["rerank"]["timed_out"])

    def test_best_passage_of_long_documents(self):
        reply = self.search(rerank=MODEL, chunking="sentence:40:0")
        long = [h for h in reply["hits"] if "passage" in h]
        self.assertGreater(len(long), 3)
        for hit in long:
            passage, source = hit["passage"], hit["source"]
            text = " ".join((source["title"], source["text"])).encode()
            words = passage["text"].encode()
            self.assertEqual(text[passage["offset"]:passage["offset"] + len(words)], words)
            self.assertEqual(float32(self.logits([passage["text"]])[0]), hit["stages"]["neural"])

    def test_retrievers_inside_one_another(self):
        def over(child, window, model, **more):
            return {"text_similarity_reranker": {"retriever": child, "field": "text", "inference_id": model,
                                                 "inference_text": QUERY, "rank_window_size": window, **more}}
        words = {"standard": {"query": {"match": {"text": QUERY}}}}
        one = self.ask("POST", "/t/_search", {"size": 4, "retriever": over(words, 8, MODEL)})
        for hit in one["hits"]["hits"]:
            logit = self.logits([hit["_source"]["text"]])[0]
            self.assertAlmostEqual(hit["_score"], max(logit, 0) + min(math.exp(logit), 1), places=5)
        two = self.ask("POST", "/t/_search", {"size": 4, "retriever": over(over(words, 8, "small"), 4, MODEL)})
        self.assertEqual([h["_id"] for h in two["hits"]["hits"]], [h["_id"] for h in one["hits"]["hits"]])
        best = one["hits"]["hits"][0]["_score"]
        least = self.ask("POST", "/t/_search", {"size": 4, "retriever": over(words, 8, MODEL, min_score=best)})
        self.assertEqual(len(least["hits"]["hits"]), 1)
        chunks = self.ask("POST", "/t/_search", {"size": 4, "retriever": over(
            words, 8, MODEL, chunk_rescorer={"size": 2, "chunking_settings": {
                "strategy": "word", "max_chunk_size": 30, "overlap": 10}})})
        self.assertEqual(len(chunks["hits"]["hits"]), 4)
        bad = self.ask("POST", "/t/_search", {"size": 3, "retriever": over(words, 8, "gone")}, want=404)
        self.assertIn("Inference endpoint not found [gone]", json.dumps(bad))
        kept = self.ask("POST", "/t/_search", {"size": 3, "retriever": over(
            words, 8, "gone", allow_rerank_failures=True)})
        self.assertEqual(len(kept["hits"]["hits"]), 3)

    def test_endpoints_of_retrievers(self):
        """What PUT _inference named is what a retriever and a query vector mean by it."""
        for task, name, model in (("rerank", "mine", MODEL), ("text_embedding", "vectors", "minilm-l6-v2")):
            self.ask("PUT", f"/_inference/{task}/{name}", {"service": "elasticsearch", "service_settings": {
                "model_id": model, "num_threads": 1, "num_allocations": 1}})
        self.ask("PUT", "/v", {"mappings": {"properties": {
            "text": {"type": "text"}, "vector": {"type": "dense_vector", "dims": 384, "similarity": "cosine"}}}})
        texts = [d["text"] for d in DOCUMENTS[:8]]
        vectors = self.ask("POST", "/_inference/text_embedding/vectors", {"input": texts})["text_embedding"]
        self.server.bulk("v", [(str(i), {"text": t, "vector": v["embedding"]}) for i, (t, v) in enumerate(zip(texts, vectors))])

        def searched(embedder, reranker, size=5):
            knn = {"knn": {"field": "vector", "k": size + 1, "num_candidates": 10, "query_vector_builder": {
                "text_embedding": {"model_id": embedder, "model_text": QUERY}}}}
            found = self.ask("POST", "/v/_search", {"size": size, "retriever": {"text_similarity_reranker": {
                "retriever": knn, "field": "text", "inference_id": reranker, "inference_text": QUERY}}})
            return [(h["_id"], h["_score"]) for h in found["hits"]["hits"]]
        named = searched("vectors", "mine")
        self.assertEqual(len(named), 5)
        self.assertEqual(named, searched("minilm-l6-v2", MODEL))
        counted = self.ask("POST", "/v/_count", {"query": {"knn": {"field": "vector", "k": 3, "query_vector_builder": {
            "text_embedding": {"model_id": "vectors", "model_text": QUERY}}}}})
        self.assertEqual(counted["count"], 3)
        self.ask("PUT", "/_inference/rerank/parts", {"service": "elasticsearch", "service_settings": {
            "model_id": MODEL, "num_threads": 1, "num_allocations": 1, "long_document_strategy": "chunk"}})
        long = max((d["text"] for d in DOCUMENTS), key=len) * 5
        self.server.bulk("v", [("long", {"text": long, "vector": vectors[0]["embedding"]})])
        told = self.ask("POST", "/_inference/rerank/parts", {"query": QUERY, "input": [long]})["rerank"][0]["relevance_score"]
        whole = self.ask("POST", "/_inference/rerank/mine", {"query": QUERY, "input": [long]})["rerank"][0]["relevance_score"]
        self.assertNotEqual(told, whole)
        for name, logit in (("parts", told), ("mine", whole)):
            score = dict(searched("vectors", name, size=9))["long"]
            self.assertAlmostEqual(score, max(logit, 0) + min(math.exp(logit), 1), places=5)
        self.ask("DELETE", "/_inference/parts")
        bad = self.ask("POST", "/_inference/completion/mine", {"input": "a"}, want=400)
        self.assertIn("the requested type [completion] does not match the model type [rerank]", json.dumps(bad))
        for name in ("mine", "vectors"):
            self.ask("DELETE", f"/_inference/{name}")
        knn = {"field": "vector", "k": 3, "query_vector_builder": {"text_embedding": {"model_id": "vectors", "model_text": QUERY}}}
        self.assertIn("[vectors]", json.dumps(self.ask("POST", "/v/_search", {"knn": knn}, want=404)))

    def test_cohere_passages(self):
        document = max((d["text"] for d in DOCUMENTS), key=len) * 4
        asked = {"query": QUERY, "documents": [document], "model": MODEL}
        first = self.ask("POST", "/v1/rerank", {**asked, "max_chunks_per_doc": 1})
        several = self.ask("POST", "/v1/rerank", {**asked, "max_chunks_per_doc": 4})
        self.assertGreaterEqual(several["results"][0]["relevance_score"], first["results"][0]["relevance_score"])

    def test_caches_in_metrics(self):
        self.search(rerank=MODEL)
        _, before = self.server.request("GET", "/metrics")
        self.search(rerank=MODEL)
        _, after = self.server.request("GET", "/metrics")

        def value(text, name):
            return int(next(line.split()[1] for line in text.splitlines() if line.startswith(name + " ")))
        self.assertGreater(value(after, "quern_score_cache_hits_total"), value(before, "quern_score_cache_hits_total"))
        self.assertGreater(value(after, "quern_token_cache_bytes"), 0)

    def test_command_line(self):
        self.folder = self.enterContext(Folder()) if hasattr(self, "enterContext") else self.server.data / "none"
        text = " ".join(d["text"] for d in DOCUMENTS[:3])
        code, out, err = run("rerank", "--query", QUERY, "--chunk", "sentence:60:0", "--raw",
                             stdin=json.dumps({"text": text}) + "\n", data=self.folder)
        self.assertEqual(code, 0, err)
        row = json.loads(out)
        passage = text.encode()[row["passage"]["start"]:row["passage"]["end"]].decode()
        self.assertGreater(row["passage"]["of"], 3)
        self.assertEqual(self.logits([passage])[0], row["score"])
        code, _, err = run("rerank", "--query", QUERY, "--chunk", "paragraph", stdin="x\n",
                           data=self.folder)
        self.assertNotEqual(code, 0)
        self.assertIn("Invalid chunkingStrategy paragraph", err)


if __name__ == "__main__":
    unittest.main()

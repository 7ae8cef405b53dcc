# SPDX-License-Identifier: Apache-2.0
"""Models that do more than one vector a text or one score a pair, over HTTP and on the command
line: sparse vectors and vectors of tokens, from the small models of tests/golden/nn."""
import json
import math
import pathlib
import shutil
import tempfile
import unittest

from harness import ROOT, Server, run

GOLDEN = ROOT / "tests/golden/nn"
SPARSE, TOKENS, DENSE, LABELS = "tiny-splade", "tiny-colbert", "tiny-embed", "tiny-labels"


def imported(data, *names):
    for name in names:
        code, out, err = run("model", "import", GOLDEN / name, "--name", name, "--dtype", "f32", data=data)
        assert code == 0, (out, err)


def golden(name, count=6):
    cases = json.loads((GOLDEN / f"{name}.json").read_text())
    return [c for c in cases if 0 < len(c["text"]) < 100][:count]  # none of them is cut


class Base(unittest.TestCase):
    MODELS = ()
    ARGUMENTS = ()

    @classmethod
    def setUpClass(cls):
        cls.data = pathlib.Path(tempfile.mkdtemp(prefix="quern-e2e-"))
        imported(cls.data, *cls.MODELS)
        cls.server = Server(cls.data, cls.ARGUMENTS).__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()
        shutil.rmtree(cls.data, ignore_errors=True)

    def post(self, path, body, want=200):
        status, reply = self.server.request("POST", path, body)
        self.assertEqual(status, want, reply)
        return reply

    def ask(self, method, path, body=None, want=200):
        status, reply = self.server.request(method, path, body)
        self.assertEqual(status, want, reply)
        return reply

    def headers(self, path, body, headers=None, want=200):
        status, told, text = self.server.raw("POST", path, json.dumps(body), headers)
        self.assertEqual(status, want, text)
        return {name.lower(): value for name, value in told.items()}


class Sparse(Base):
    """The weights are the reference's in every dialect, under each dialect's names."""
    MODELS = (SPARSE,)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cases = golden(SPARSE)
        cls.texts = [c["text"] for c in cls.cases]
        # Token ids and names as the model's own vocabulary has them.
        vocabulary = json.loads((GOLDEN / SPARSE / "tokenizer.json").read_text())["model"]["vocab"]
        cls.names = {i: t for t, i in vocabulary.items()}

    def same(self, terms, case, rel=1e-4):
        """{id: weight} is what the reference gave."""
        want = {i: w for i, w in enumerate(case["vector"]) if w > 0}
        self.assertEqual(set(terms), set(want))
        for i, weight in want.items():
            self.assertTrue(math.isclose(terms[i], weight, rel_tol=rel, abs_tol=1e-5), (i, terms[i], weight))

    def test_tei(self):
        reply = self.post("/embed_sparse", {"inputs": self.texts})
        for entry, case in zip(reply, self.cases):
            self.same({t["index"]: t["value"] for t in entry}, case)
        headers = self.headers("/embed_sparse", {"inputs": self.texts[0]})
        self.assertEqual(int(headers["x-compute-characters"]), len(self.texts[0]))
        few = self.post("/embed_sparse", {"inputs": self.texts[0], "top_k": 3})[0]
        best = sorted(reply[0], key=lambda t: -t["value"])[:3]
        self.assertEqual(few, sorted(best, key=lambda t: t["index"]))

    def test_elasticsearch(self):
        for path in (f"/_inference/sparse_embedding/{SPARSE}", f"/_inference/{SPARSE}"):
            reply = self.post(path, {"input": self.texts, "input_type": "ingest"})["sparse_embedding"]
            self.assertEqual([set(e) for e in reply], [{"is_truncated", "embedding"}] * len(self.texts))
            ids = {t: i for i, t in self.names.items()}
            for entry, case in zip(reply, self.cases):
                self.assertFalse(entry["is_truncated"])
                self.same({ids[t]: w for t, w in entry["embedding"].items()}, case)
        long = self.post(f"/_inference/sparse_embedding/{SPARSE}", {"input": "a b c d " * 2000})
        self.assertTrue(long["sparse_embedding"][0]["is_truncated"])
        put = {"service": "elasticsearch", "service_settings": {"model_id": SPARSE, "num_threads": 1, "num_allocations": 1}}
        made = self.ask("PUT", "/_inference/sparse_embedding/elser", put)
        self.assertEqual([made["task_type"], made["service_settings"]["model_id"]], ["sparse_embedding", SPARSE])
        self.assertEqual(self.post("/_inference/sparse_embedding/elser", {"input": self.texts[:1]})["sparse_embedding"],
                         reply[:1])
        for settings in ({"strategy": "sentence", "max_chunk_size": 250, "sentence_overlap": 1}, {"strategy": "word"}):
            refused = self.ask("PUT", "/_inference/sparse_embedding/cut", {**put, "chunking_settings": settings}, 400)
            self.assertIn("semantic_text", refused["error"]["reason"])
        self.ask("PUT", "/_inference/sparse_embedding/cut", {**put, "chunking_settings": {"strategy": "none"}})
        self.post(f"/_inference/text_embedding/{SPARSE}", {"input": "a"}, 400)

    def test_dashscope(self):
        path = "/api/v1/services/embeddings/text-embedding/text-embedding"
        reply = self.post(path, {"model": SPARSE, "input": {"texts": self.texts}, "parameters": {"output_type": "sparse"}})
        entries = reply["output"]["embeddings"]
        self.assertEqual([e["text_index"] for e in entries], list(range(len(self.texts))))
        for entry, case in zip(entries, self.cases):
            self.assertEqual(set(entry), {"text_index", "sparse_embedding"})
            self.same({t["index"]: t["value"] for t in entry["sparse_embedding"]}, case)
            for t in entry["sparse_embedding"]:
                self.assertEqual(t["token"], self.names[t["index"]])
        for model in (SPARSE, "minilm-l6-v2"):  # the other kind from whoever makes it
            both = self.post(path, {"model": model, "input": {"texts": self.texts[:2]},
                                    "parameters": {"output_type": "dense&sparse", "dimension": 8}})["output"]["embeddings"]
            self.assertEqual([len(e["embedding"]) for e in both], [8, 8])
            self.assertEqual([e["sparse_embedding"] for e in both], [e["sparse_embedding"] for e in entries[:2]])
        self.post(path, {"model": SPARSE, "input": {"texts": ["a"]}}, 400)

    def test_ai_search(self):
        path = f"/v3/openapi/workspaces/default/text-sparse-embedding/{SPARSE}"
        reply = self.post(path, {"input": self.texts, "input_type": "query", "return_token": True})
        self.assertGreater(reply["usage"]["token_count"], len(self.texts))
        for entry, case in zip(reply["result"]["sparse_embeddings"], self.cases):
            self.same({t["token_id"]: t["weight"] for t in entry["embedding"]}, case)
            self.assertEqual([t["token"] for t in entry["embedding"]],
                             [self.names[t["token_id"]] for t in entry["embedding"]])
        bare = self.post(path, {"input": self.texts[0]})["result"]["sparse_embeddings"]
        self.assertEqual([bare[0]["index"], set(bare[0]["embedding"][0])], [0, {"token_id", "weight"}])


if __name__ == "__main__":
    unittest.main()

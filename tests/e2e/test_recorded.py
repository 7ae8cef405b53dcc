# SPDX-License-Identifier: Apache-2.0
"""Requests as frameworks send them that are too heavy to install here (LangChain, LlamaIndex,
Haystack, LiteLLM, Dify, Open WebUI, RAGFlow, rerankers, infinity's and Hugging Face's
clients): bodies recorded from them, replies read the way that they read."""
import base64
import math
import struct
import unittest

from harness import Server

QUERY = "how do mills grind grain"
TEXTS = ["The capital of France is Paris.", "A mill grinds grain between two stones.",
         "Grain is ground into flour by turning millstones."]
RERANKER, EMBEDDER = "reranker-minilm-l6", "minilm-l6-v2"
ASKED = {"model": RERANKER, "query": QUERY, "documents": TEXTS}
PASSED = {"query": QUERY, "texts": TEXTS}


def results(reply):
    return [(r["index"], r["relevance_score"], None) for r in reply["results"]]


def bare(reply):
    return [(r["index"], r["score"], r.get("text")) for r in reply]


# name, path, body, how its client reads a reply: (index, score, text or None) of each
RERANKS = [
    ("LangChain, Cohere", "/v2/rerank", {**ASKED, "top_n": 3, "max_tokens_per_doc": None}, results),
    ("LangChain, Jina", "/v1/rerank", {**ASKED, "top_n": 3}, results),
    ("LangChain, Voyage", "/v1/rerank", {**ASKED, "top_k": 3, "truncation": True},
     lambda reply: [(r["index"], r["relevance_score"], None) for r in reply["data"]]),
    ("LlamaIndex, TEI", "/rerank", PASSED, bare),
    ("LlamaIndex, Jina", "/v1/rerank", {**ASKED, "top_n": 3}, results),
    ("Haystack, TEI", "/rerank", {**PASSED, "raw_scores": False}, bare),
    ("Haystack, Jina", "/v1/rerank", {**ASKED, "top_n": None}, results),
    ("Haystack, Cohere", "/v2/rerank", {**ASKED, "top_n": 3, "max_tokens_per_doc": 4096}, results),
    ("LiteLLM, Cohere", "/v2/rerank", {**ASKED, "top_n": 3, "return_documents": True},
     lambda reply: [(r["index"], r["relevance_score"], r["document"]["text"]) for r in reply["results"]]),
    ("LiteLLM, vLLM", "/rerank", {**ASKED, "top_n": 3, "return_documents": True},
     lambda reply: [(r["index"], r["relevance_score"], r["document"]["text"]) for r in reply["results"]]),
    ("LiteLLM, Voyage", "/v1/rerank", {**ASKED, "top_k": 3, "return_documents": True},
     lambda reply: [(r["index"], r["relevance_score"], r["document"]) for r in reply["data"]]),
    ("LiteLLM, Hugging Face", "/rerank",
     {**PASSED, "raw_scores": False, "truncate": False, "truncation_direction": "Right", "top_n": 3, "return_text": True}, bare),
    ("infinity", "/rerank", {**ASKED, "return_documents": True, "raw_scores": False},
     lambda reply: [(r["index"], r["relevance_score"], r["document"]) for r in reply["results"]]),
    ("rerankers, TEI", "/rerank", {**PASSED, "model": RERANKER, "top_n": 3, "return_text": True}, bare),
    ("rerankers, Mixedbread", "/v1/reranking",
     {"model": RERANKER, "query": QUERY, "input": TEXTS, "top_k": 3, "return_input": True},
     lambda reply: [(r["index"], r["score"], r["input"]) for r in reply["data"]]),
    ("Dify", "/v1/rerank", {**ASKED, "top_n": 3, "return_documents": True},
     lambda reply: [(r["index"], r["relevance_score"], r["document"]["text"]) for r in reply["results"]]),
    ("gateways", "/api/v1/rerank", {**ASKED, "top_n": 3}, results),
    ("Open WebUI", "/v1/rerank", {**ASKED, "top_n": len(TEXTS)}, results),
    ("RAGFlow, TEI", "/rerank", {**PASSED, "raw_scores": False, "truncate": True}, bare),
]

EMBEDDINGS = [
    ("LangChain, OpenAI", "/v1/embeddings", {"model": EMBEDDER, "input": TEXTS, "encoding_format": "base64"},
     lambda reply: [struct.unpack(f"<{384}f", base64.b64decode(d["embedding"])) for d in reply["data"]]),
    ("gateways", "/api/v1/embeddings", {"model": EMBEDDER, "input": TEXTS}, lambda reply: [d["embedding"] for d in reply["data"]]),
    ("LangChain, Jina", "/v1/embeddings", {"model": EMBEDDER, "input": TEXTS},
     lambda reply: [d["embedding"] for d in sorted(reply["data"], key=lambda d: d["index"])]),
    ("LangChain, Cohere", "/v1/embed", {"model": EMBEDDER, "texts": TEXTS, "input_type": "search_document",
                                        "embedding_types": ["float"], "truncate": None},
     lambda reply: reply["embeddings"]["float"]),
    ("LangChain, DashScope", "/api/v1/services/embeddings/text-embedding/text-embedding",
     {"model": EMBEDDER, "parameters": {"text_type": "document"}, "input": {"texts": TEXTS}},
     lambda reply: [e["embedding"] for e in sorted(reply["output"]["embeddings"], key=lambda e: e["text_index"])]),
    ("LlamaIndex, TEI", "/embed", {"inputs": TEXTS, "truncate": True}, lambda reply: reply),
    ("Haystack, Cohere", "/v2/embed", {"model": EMBEDDER, "texts": TEXTS, "input_type": "search_document",
                                       "embedding_types": ["float"], "truncate": "END"},
     lambda reply: reply["embeddings"]["float"]),
    ("Hugging Face", "/", {"inputs": TEXTS, "normalize": True, "truncate": True}, lambda reply: reply),
    ("Hugging Face, JavaScript", "/", {"inputs": TEXTS, "parameters": {"normalize": True}}, lambda reply: reply),
    ("infinity", "/embeddings", {"model": EMBEDDER, "input": TEXTS, "dimensions": 0, "modality": "text"},
     lambda reply: [d["embedding"] for d in reply["data"]]),
]


class Recorded(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().__enter__()
        logits = cls.server.request("POST", "/rerank", {**PASSED, "raw_scores": True})[1]
        cls.want = [(r["index"], 1 / (1 + math.exp(-r["score"]))) for r in logits]
        cls.vectors = cls.server.request("POST", "/embed", {"inputs": TEXTS})[1]

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def post(self, path, body, want=200):
        status, reply = self.server.request("POST", path, body, {"Authorization": "Bearer any", "Accept": "application/json"})
        self.assertEqual(status, want, reply)
        return reply

    def test_reranks(self):
        for name, path, body, read in RERANKS:
            for slash in ("", "/"):
                with self.subTest(name + slash):
                    got = read(self.post(path + slash, body))
                    self.assertEqual([index for index, _, _ in got], [index for index, _ in self.want])
                    for (index, score, text), (_, want) in zip(got, self.want):
                        self.assertAlmostEqual(score, want, places=6)
                        self.assertIn(text, (None, TEXTS[index]))

    def test_embeddings(self):
        for name, path, body, read in EMBEDDINGS:
            with self.subTest(name):
                got = read(self.post(path, body))
                self.assertEqual(len(got), len(TEXTS))
                for a, b in zip(got, self.vectors):
                    self.assertLess(max(abs(x - y) for x, y in zip(a, b)), 1e-6)

    def test_the_best(self):
        """top_n of one or two."""
        for name, path, body, read in RERANKS:
            for n in (1, 2):
                cut = {k: n if k in ("top_n", "top_k") else v for k, v in body.items()}
                if cut == body:
                    continue
                with self.subTest(name):
                    self.assertEqual([r[0] for r in read(self.post(path, cut))], [i for i, _ in self.want[:n]])

    def test_what_differs(self):
        reply = self.post("/rerank", {**ASKED, "return_documents": False, "raw_scores": False})
        self.assertEqual(reply["object"], "rerank")  # infinity's own client reads no other word
        self.assertEqual(self.post("/rerank", ASKED)["object"], "list")
        reply = self.post("/v1/reranking", {"query": QUERY, "input": TEXTS, "top_k": 2})
        self.assertEqual([reply["top_k"], reply["return_input"], set(reply["data"][0])], [2, False, {"index", "score", "object"}])
        objects = [{"title": "a", "text": t} for t in TEXTS]
        reply = self.post("/v2/rerank", {**ASKED, "documents": objects, "rank_fields": ["text"], "return_documents": True})
        self.assertEqual(reply["results"][0]["document"], objects[self.want[0][0]])

    def test_unknown_models(self):
        """Voyage's client has an exception of its own for 400, Cohere's for 404."""
        asked = {**ASKED, "model": "none"}
        self.assertIn("[none]", self.post("/v1/rerank", {**asked, "truncation": True, "top_k": None}, 400)["detail"])
        self.assertIn("[none]", self.post("/v1/rerank", asked, 404)["message"])
        asked = {"model": "none", "input": TEXTS}
        self.assertIn("[none]", self.post("/v1/embeddings", {**asked, "truncation": True}, 400)["detail"])
        self.assertEqual(self.post("/v1/embeddings", asked, 404)["error"]["code"], "model_not_found")
        asked = {**ASKED, "model": "none"}
        self.assertIn("[none]", self.post("/v2/rerank", asked, 404)["message"])

    def test_labels_at_the_bare_address(self):
        """Hugging Face's client sends parameters when it asks for labels."""
        for parameters in ({}, {"function_to_apply": "sigmoid"}, {"top_k": 1}):
            got = self.post("/", {"inputs": TEXTS[0], "parameters": parameters})
            self.assertEqual([set(label) for label in got], [{"label", "score"}])
        self.post("/v1/embeddings", {"input": TEXTS, "dimensions": 0}, 400)

    def test_models(self):
        """One list, read by OpenAI's and by Cohere's client."""
        reply = self.server.request("GET", "/v1/models")[1]
        self.assertEqual([m["name"] for m in reply["models"]], [m["id"] for m in reply["data"]])
        self.assertEqual({m["name"]: m["endpoints"] for m in reply["models"]}, {RERANKER: ["rerank"], EMBEDDER: ["embed"]})

    def test_health(self):
        for path in ("/health", "/ping"):
            status, reply = self.server.request("GET", path)
            self.assertEqual([status, reply["status"]], [200, "ok"])  # llama.cpp
            self.assertGreater(reply["unix"], 1.7e9)  # infinity

    def test_ids_back(self):
        """vLLM's and Cohere's clients read the same reply of /v1/detokenize."""
        ids = self.post("/v1/tokenize", {"model": EMBEDDER, "prompt": "two stones", "add_special_tokens": False})["tokens"]
        reply = self.post("/v1/detokenize", {"model": EMBEDDER, "tokens": ids})
        self.assertEqual([reply["prompt"], reply["text"]], ["two stones"] * 2)

    def test_methods(self):
        """405 names what is allowed."""
        for method, path in (("GET", "/v1/rerank"), ("DELETE", "/rerank"), ("PUT", "/v1/embeddings")):
            status, headers, _ = self.server.raw(method, path)
            self.assertEqual([status, headers.get("Allow")], [405, "POST"])


if __name__ == "__main__":
    unittest.main()

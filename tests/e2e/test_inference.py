# SPDX-License-Identifier: Apache-2.0
"""The inference dialects: every shape as its clients read it, by bare requests and by the
clients themselves. cohere, openai and elasticsearch are installed for it; voyageai,
huggingface_hub, dashscope and AI Search's client take part where they are installed."""
import base64
import importlib.util
import json
import math
import pathlib
import struct
import tempfile
import unittest

import cohere
import elasticsearch
import openai

from harness import ROOT, Server, float32, run

QUERY = "how do mills grind grain"
TEXTS = ["The capital of France is Paris.", "A mill grinds grain between two stones.",
         "Grain is ground into flour by turning millstones."]
LONG = "stone " * 700
RERANKER, EMBEDDER = "reranker-minilm-l6", "minilm-l6-v2"


def near(a, b, rel=1e-5, absolute=1e-6):
    return math.isclose(a, b, rel_tol=rel, abs_tol=absolute)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def needs(module):
    return unittest.skipUnless(importlib.util.find_spec(module), f"{module} is not installed")


class Base(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().__enter__()
        ranks = cls.server.request("POST", "/rerank", {"query": QUERY, "texts": TEXTS, "raw_scores": True})[1]
        cls.order = [r["index"] for r in ranks]
        cls.logits = {r["index"]: r["score"] for r in ranks}
        cls.vectors = cls.server.request("POST", "/embed", {"inputs": TEXTS})[1]

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def post(self, path, body, want=200):
        status, reply = self.server.request("POST", path, body)
        self.assertEqual(status, want, reply)
        return reply

    def headers(self, path, body):
        status, headers, text = self.server.raw("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        self.assertEqual(status, 200, text)
        return {name.lower(): value for name, value in headers.items()}

    def scored(self, results, key="relevance_score", raw=False, order=True):
        """Results equal what TEI's path gave, in its order."""
        if order:
            self.assertEqual([r["index"] for r in results], self.order[:len(results)])
        for r in results:
            logit = self.logits[r["index"]]
            self.assertTrue(near(r[key], logit if raw else sigmoid(logit)), (r, logit))


class Shapes(Base):
    def test_tei_rerank(self):
        plain = self.post("/rerank", {"query": QUERY, "texts": TEXTS})
        self.scored(plain, "score")
        self.assertEqual(set(plain[0]), {"index", "score"})
        told = self.post("/rerank", {"query": QUERY, "texts": TEXTS, "return_text": True, "truncate": None})
        self.assertEqual([set(r) for r in told], [{"index", "text", "score"}] * 3)
        headers = self.headers("/rerank", {"query": QUERY, "texts": TEXTS})
        self.assertEqual(headers["x-compute-type"], "cpu")
        self.assertGreater(int(headers["x-compute-tokens"]), 20)
        self.assertEqual(int(headers["x-compute-characters"]), sum(map(len, TEXTS)))
        self.assertNotIn("x-quern-truncated", headers)
        self.assertEqual(self.headers("/rerank", {"query": QUERY, "texts": [LONG, "a", LONG]})["x-quern-truncated"], "2")
        reply = self.post("/rerank", {"query": QUERY, "texts": ["a", LONG], "truncate": False}, 422)
        self.assertEqual(reply["error_type"], "Validation")
        self.assertIn("document 1", reply["error"])

    def test_tei_predict(self):
        one = self.post("/predict", {"inputs": [QUERY, TEXTS[1]]})
        self.assertEqual([p["label"] for p in one], ["LABEL_0"])
        self.assertTrue(near(one[0]["score"], sigmoid(self.logits[1])))
        pairs = [[QUERY, TEXTS[0]], ["another question", TEXTS[1]], [QUERY, TEXTS[2]]]
        many = self.post("/predict", {"inputs": pairs, "raw_scores": True})
        self.assertEqual([len(p) for p in many], [1, 1, 1])
        self.assertEqual(many[0][0]["score"], self.logits[0])
        self.assertEqual(many[2][0]["score"], self.logits[2])
        alone = self.post("/rerank", {"query": pairs[1][0], "texts": [pairs[1][1]], "raw_scores": True})
        self.assertEqual(many[1][0]["score"], alone[0]["score"])

    def test_tei_embed(self):
        self.assertEqual(self.post("/embed", {"inputs": TEXTS[0]}), [self.vectors[0]])
        ids = [t["id"] for t in self.post("/tokenize", {"inputs": TEXTS[0], "model": EMBEDDER})[0]]
        self.assertEqual(self.post("/embed", {"inputs": ids}), [self.vectors[0]])
        self.assertEqual(self.post("/embed", {"inputs": [ids, TEXTS[1]]}), self.vectors[:2])
        pooled = self.post("/embed", {"inputs": TEXTS[0], "normalize": False})[0]
        length = math.sqrt(sum(x * x for x in pooled))
        self.assertFalse(near(length, 1, 1e-3))
        for a, b in zip(pooled, self.vectors[0]):
            self.assertTrue(near(a / length, b, 1e-4, 1e-6))
        short = self.post("/embed", {"inputs": TEXTS[0], "dimensions": 16})[0]
        length = math.sqrt(sum(x * x for x in self.vectors[0][:16]))
        self.assertEqual(len(short), 16)
        for a, b in zip(short, self.vectors[0]):
            self.assertTrue(near(a, b / length, 1e-4, 1e-6))
        self.assertEqual(self.post("/embed", {"inputs": "a", "dimensions": 1000}, 422)["error_type"], "Validation")
        self.assertEqual(self.post("/embed", {"inputs": []}, 400)["error_type"], "Empty")
        self.assertEqual(self.post("/embed", {"inputs": ["a"] * 5000}, 422)["error_type"], "Validation")
        self.assertEqual(self.post("/embed", {"inputs": LONG, "truncate": False}, 422)["error_type"], "Validation")
        self.assertEqual(self.post("/embed", {"inputs": "a", "model": RERANKER}, 424)["error_type"], "Backend")

    def test_tei_truncation_direction(self):
        """Cut at the beginning: what counts is the end."""
        end = "the very end of it"
        right, left, again = (self.post("/embed", {"inputs": head + LONG + end, "truncation_direction": side})[0]
                              for head, side in (("", "Right"), ("", "Left"), ("another beginning ", "left")))
        self.assertNotEqual(right, left)
        self.assertEqual(left, again)

    def test_tei_tokens(self):
        tokens = self.post("/tokenize", {"inputs": "Millstones grind."})[0]
        self.assertEqual([t["special"] for t in tokens], [True] + [False] * (len(tokens) - 2) + [True])
        self.assertEqual([tokens[0]["text"], tokens[0]["start"], tokens[-1]["text"]], ["[CLS]", None, "[SEP]"])
        for t in tokens[1:-1]:
            self.assertEqual(t["text"], "Millstones grind."[t["start"]:t["stop"]])
        bare = self.post("/tokenize", {"inputs": ["Millstones grind.", "a"], "add_special_tokens": False})
        self.assertEqual([len(bare), bare[0]], [2, tokens[1:-1]])

    def test_tei_similarity_and_the_bare_address(self):
        body = {"inputs": {"source_sentence": QUERY, "sentences": TEXTS}}
        near_ = self.post("/similarity", body)
        query = self.post("/embed", {"inputs": QUERY})[0]
        for s, v in zip(near_, self.vectors):
            self.assertTrue(near(s, sum(a * b for a, b in zip(query, v)), 1e-4))
        self.assertEqual(self.post("/", body), near_)
        self.assertEqual(self.post("/", {"inputs": TEXTS}), self.vectors)
        self.scored(self.post("/", {"query": QUERY, "texts": TEXTS}), "score")
        self.assertEqual(len(self.post("/invocations", {"inputs": [["a", "b"]]})[0]), 1)

    def test_tei_facts(self):
        info = self.server.request("GET", "/info")[1]
        self.assertEqual([info["model_id"], info["max_input_length"], info["auto_truncate"]], [RERANKER, 512, True])
        self.assertEqual(info["model_type"]["reranker"]["id2label"], {"0": "LABEL_0"})
        info = self.server.request("GET", f"/info?model={EMBEDDER}")[1]
        self.assertEqual(info["model_type"], {"embedding": {"pooling": "mean"}})
        self.assertEqual(self.server.raw("GET", "/health")[0], 200)

    def test_documents(self):
        """/v1/rerank is a superset; which documents come back, and in which form."""
        for path in ("/v1/rerank", "/rerank", "/compatible-api/v1/reranks"):
            reply = self.post(path, {"model": RERANKER, "query": QUERY, "documents": TEXTS, "top_n": 2})
            self.assertEqual(set(reply), {"id", "object", "model", "created", "results", "data", "usage", "meta"})
            self.assertEqual([set(r) for r in reply["results"]], [{"index", "relevance_score"}] * 2)
            self.scored(reply["results"])
            self.assertEqual(reply["data"], reply["results"])
            self.assertEqual(reply["meta"]["billed_units"], {"search_units": 1})
            self.assertEqual(reply["usage"]["total_tokens"], reply["usage"]["prompt_tokens"])
        objects = [{"text": t, "page": n} for n, t in enumerate(TEXTS)]
        reply = self.post("/v1/rerank", {"query": QUERY, "documents": objects, "return_documents": True})
        self.scored(reply["results"])
        for r in reply["results"]:
            self.assertEqual(r["document"], objects[r["index"]])
        reply = self.post("/v1/rerank", {"query": QUERY, "documents": TEXTS, "return_documents": True})
        self.assertEqual(reply["results"][0]["document"], {"text": TEXTS[self.order[0]]})
        self.assertEqual(reply["data"][0]["document"], TEXTS[self.order[0]])  # Voyage
        reply = self.post("/rerank", {"query": QUERY, "documents": TEXTS, "truncate_prompt_tokens": 256})  # vLLM
        self.assertEqual(reply["results"][0]["document"], {"text": TEXTS[self.order[0]]})
        self.scored(self.post("/rerank", {"query": QUERY, "documents": TEXTS, "raw_scores": True})["results"], raw=True)
        many = self.post("/v2/rerank", {"model": RERANKER, "query": "a", "documents": ["b"] * 101})
        self.assertEqual(many["meta"]["billed_units"], {"search_units": 2})

    def test_rank_fields(self):
        objects = [{"title": f"t{n}", "text": t} for n, t in enumerate(TEXTS)]
        reply = self.post("/v1/rerank", {"query": QUERY, "documents": objects, "rank_fields": ["title", "text"]})
        joined = self.post("/v1/rerank", {"query": QUERY, "documents": [f"t{n}\n{t}" for n, t in enumerate(TEXTS)]})
        self.assertEqual(reply["results"], joined["results"])

    def test_caps(self):
        """A cap on a document's tokens is as if it ended there."""
        documents = ["A mill grinds grain between two stones and sings", "Paris"]
        capped = self.post("/v2/rerank", {"model": RERANKER, "query": QUERY, "documents": documents, "max_tokens_per_doc": 4})
        cut = self.post("/v2/rerank", {"model": RERANKER, "query": QUERY, "documents": ["A mill grinds grain", "Paris"]})
        tokens = self.post("/tokenize", {"inputs": "A mill grinds grain", "add_special_tokens": False})[0]
        if len(tokens) == 4:
            self.assertEqual(capped["results"], cut["results"])
        reply = self.post("/v1/rerank", {"query": QUERY, "documents": [LONG], "truncation": False}, 400)
        self.assertEqual(set(reply), {"message", "detail"})

    def test_scores(self):
        """vLLM's pairs, llama.cpp's logits."""
        for path in ("/score", "/v1/score"):
            reply = self.post(path, {"model": RERANKER, "text_1": QUERY, "text_2": TEXTS})
            self.assertEqual([d["index"] for d in reply["data"]], [0, 1, 2])
            self.assertEqual([d["object"] for d in reply["data"]], ["score"] * 3)
            self.scored(reply["data"], "score", order=False)
            self.assertEqual([reply["object"], reply["usage"]["completion_tokens"]], ["list", 0])
        reply = self.post("/score", {"queries": [QUERY, "b"], "documents": TEXTS[:2], "use_activation": False})
        self.assertEqual(reply["data"][0]["score"], self.logits[0])
        reply = self.post("/score", {"text_1": QUERY, "text_2": TEXTS[1]})
        self.assertEqual(len(reply["data"]), 1)
        for path in ("/reranking", "/v1/reranking"):
            reply = self.post(path, {"query": QUERY, "documents": TEXTS, "top_n": 2})
            self.assertEqual(set(reply), {"model", "object", "usage", "results"})
            self.scored(reply["results"], raw=True)
        self.scored(self.post("/reranking", {"query": QUERY, "texts": TEXTS}), "score", raw=True)
        error = self.post("/score", {"text_1": ["a", "b"], "text_2": ["a"]}, 400)["error"]
        self.assertEqual([error["type"], error["code"]], ["BadRequestError", 400])

    def test_embeddings(self):
        for path in ("/v1/embeddings", "/embeddings", "/compatible-mode/v1/embeddings"):
            reply = self.post(path, {"model": EMBEDDER, "input": TEXTS, "user": "u"})
            self.assertEqual([d["embedding"] for d in reply["data"]], self.vectors)
        ids = [t["id"] for t in self.post("/tokenize", {"inputs": TEXTS[0], "model": EMBEDDER})[0]]
        for given in (ids, [ids]):
            reply = self.post("/v1/embeddings", {"input": given})
            self.assertEqual(reply["data"][0]["embedding"], self.vectors[0])
            self.assertEqual(reply["usage"], {"prompt_tokens": len(ids), "total_tokens": len(ids)})
        packed = self.post("/v1/embeddings", {"input": TEXTS[0], "encoding_format": "base64", "dimensions": 4})
        self.assertEqual(len(base64.b64decode(packed["data"][0]["embedding"])), 16)
        jina = self.post("/v1/embeddings", {"input": [{"text": TEXTS[0]}], "task": "retrieval.query", "normalized": True})
        self.assertEqual(jina["data"][0]["embedding"], self.vectors[0])
        error = self.post("/v1/embeddings", {"model": "none", "input": "a"}, 404)
        self.assertEqual(error["error"]["code"], "model_not_found")
        reply = self.post("/v1/embeddings", {"input": LONG, "truncation": False}, 400)
        self.assertIn("tokens", reply["detail"])

    def test_attribute(self):
        """Every effect is a difference of two scores that /rerank gives."""
        text = TEXTS[1]
        reply = self.post("/_quern/attribute", {"query": QUERY, "text": text, "timeout_ms": 60000})
        self.assertEqual([reply["method"], reply["how"], reply["partial"]], ["occlusion", "remove", False])
        self.assertEqual(reply["logit"], self.logits[1])
        words = {w["text"]: w for w in reply["document"]}
        self.assertEqual([w["text"] for w in reply["query"]], QUERY.split())
        shorter = [text.replace("grinds ", ""), text.replace("two ", "")]
        scores = {r["index"]: r["score"] for r in self.post("/rerank", {"query": QUERY, "texts": shorter, "raw_scores": True})}
        for n, word in enumerate(("grinds", "two")):
            self.assertTrue(near(words[word]["effect"], self.logits[1] - scores[n], 1e-4, 1e-5), word)
        self.assertGreater(words["grinds"]["effect"], 0.3)
        self.assertEqual(self.post("/_quern/attribute", {"query": "q"}, 400)["error"]["code"], "EINVAL")
        self.post("/_quern/attribute", {"query": "q", "text": "a", "model": EMBEDDER}, 400)
        self.post("/_quern/attribute", {"query": "q", "text": "a", "how": "blur"}, 400)
        status, partial = self.server.request("POST", "/_quern/attribute", {"query": QUERY, "text": LONG, "timeout_ms": 150})
        if status == 200:  # on a slow day time is up before the pair itself
            self.assertTrue(partial["partial"])

    def test_dashscope(self):
        flat = {"model": RERANKER, "query": QUERY, "documents": TEXTS, "top_n": 2, "instruct": "i"}
        nested = {"model": RERANKER, "input": {"query": QUERY, "documents": TEXTS},
                  "parameters": {"top_n": 2, "return_documents": True}}
        for body in (flat, nested):
            reply = self.post("/api/v1/services/rerank/text-rerank/text-rerank", body)
            self.assertEqual(set(reply), {"output", "usage", "request_id"})
            self.scored(reply["output"]["results"])
        self.assertEqual(reply["output"]["results"][0]["document"], {"text": TEXTS[self.order[0]]})
        path = "/api/v1/services/embeddings/text-embedding/text-embedding"
        reply = self.post(path, {"model": EMBEDDER, "input": {"texts": TEXTS}, "parameters": {"text_type": "query"}})
        self.assertEqual([e["text_index"] for e in reply["output"]["embeddings"]], [0, 1, 2])
        self.assertEqual([e["embedding"] for e in reply["output"]["embeddings"]], self.vectors)
        self.assertGreater(reply["usage"]["total_tokens"], 20)
        reply = self.post(f"/v3/openapi/workspaces/default/ranker/{RERANKER}", {"query": QUERY, "docs": TEXTS})
        self.assertEqual(set(reply), {"request_id", "latency", "usage", "result"})
        self.scored(reply["result"]["scores"], "score")
        reply = self.post(f"/v3/openapi/workspaces/default/text-embedding/{EMBEDDER}", {"input": TEXTS})
        self.assertEqual([e["embedding"] for e in reply["result"]["embeddings"]], self.vectors)


class Kinds(unittest.TestCase):
    """Models that make something else than one vector, beside what was computed for them
    (tests/golden/nn, tests/oracle/nn_make_tails.py)."""

    @classmethod
    def setUpClass(cls):
        cls.golden = pathlib.Path(__file__).parent.parent / "golden" / "nn"
        cls.folder = tempfile.TemporaryDirectory()
        for name in ("tiny-splade", "tiny-colbert", "tiny-modules"):
            code, out, err = run("model", "import", str(cls.golden / name), "--name", name, "--dtype", "f32",
                                 data=cls.folder.name)
            assert code == 0, err
        cls.server = Server(data=cls.folder.name).__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()
        cls.folder.cleanup()

    def post(self, path, body, want=200):
        status, reply = self.server.request("POST", path, body)
        self.assertEqual(status, want, reply)
        return reply

    def cases(self, name):
        return json.loads((self.golden / f"{name}.json").read_text())

    def test_sparse(self):
        cases = self.cases("tiny-splade")
        replies = self.post("/embed_sparse", {"inputs": [c["text"] for c in cases]})
        for case, terms in zip(cases, replies):
            dense = dict((t["index"], t["value"]) for t in terms)
            for i, want in enumerate(case["vector"]):
                self.assertTrue(near(dense.get(i, 0.0), want, 1e-4, 2e-5), (i, want))
        few = self.post("/embed_sparse", {"inputs": "flour", "top_k": 3, "min_weight": 0.1})
        self.assertEqual(len(few[0]), 3)
        self.post("/embed_sparse", {"inputs": "flour", "min_weight": -1}, 422)
        self.post("/embed_sparse", {"inputs": "flour", "model": "tiny-colbert"}, 424)

    def test_tokens(self):
        for case in self.cases("tiny-colbert")["texts"]:
            for role in ("query", "document"):
                rows = self.post("/embed_all", {"inputs": case["text"], "input_type": role})[0]
                flat = [x for row in rows for x in row]
                self.assertEqual(len(flat), len(case[role]))
                for a, b in zip(flat, case[role]):
                    self.assertTrue(near(a, b, 1e-4, 2e-5))
        self.post("/embed_all", {"inputs": "x", "input_type": "title"}, 422)

    def test_prompts(self):
        for case in self.cases("tiny-modules"):
            body = {"inputs": case["text"], "model": "tiny-modules"}
            openai_body = {"input": case["text"] or " ", "model": "tiny-modules", "input_type": "query"}
            query = self.post("/embed", {**body, "prompt_name": "query"})[0]
            for got, want in ((self.post("/embed", body)[0], case["default"]), (query, case["query"])):
                for a, b in zip(got, want):
                    self.assertTrue(near(a, b, 1e-4, 2e-5))
            if case["text"]:
                same = self.post("/v1/embeddings", openai_body)["data"][0]["embedding"]
                self.assertTrue(all(near(a, b, 1e-4, 2e-5) for a, b in zip(same, query)))
        reply = self.post("/embed", {"inputs": "x", "model": "tiny-modules", "prompt_name": "title"}, 422)
        self.assertIn("it has: document, query", reply["error"])
class Labels(unittest.TestCase):
    """A classifier of three labels: every logit as the reference framework has it."""

    def test_predict(self):
        with tempfile.TemporaryDirectory() as folder:
            golden = ROOT / "tests/golden/nn"
            code, _, err = run("model", "import", golden / "tiny-deberta-v2", "--name", "three", "--dtype", "f32", data=folder)
            self.assertEqual(code, 0, err)
            cases = [c for c in json.loads((golden / "tiny-deberta-v2.json").read_text()) if len(c["texts"]) == 2]
            pairs = [c["texts"] for c in cases]
            with Server(folder) as server:
                status, raw = server.request("POST", "/predict", {"model": "three", "inputs": pairs, "raw_scores": True})
                self.assertEqual(status, 200, raw)
                for found, case in zip(raw, cases):
                    self.assertEqual([p["score"] for p in found], sorted((p["score"] for p in found), reverse=True))
                    for p in found:
                        self.assertTrue(near(p["score"], case["logits"][int(p["label"][6:])], 1e-3, 2e-4), (p, case["logits"]))
                status, soft = server.request("POST", "/predict", {"model": "three", "inputs": pairs[-1]})
                self.assertTrue(near(sum(p["score"] for p in soft), 1))
                powers = [math.exp(p["score"]) for p in raw[-1]]
                for p, x in zip(soft, powers):
                    self.assertTrue(near(p["score"], x / sum(powers), 1e-4))
                info = server.request("GET", "/info?model=three")[1]
                self.assertEqual(info["model_type"]["classifier"]["label2id"], {"LABEL_0": 0, "LABEL_1": 1, "LABEL_2": 2})
                status, reply = server.request("POST", "/rerank", {"model": "three", "query": "a", "texts": ["b"]})
                self.assertEqual((status, reply["error_type"]), (424, "Backend"))


class CommandLine(Base):
    """rerank, embed and words through a server: as the server gives them."""

    def test_remote(self):
        lines = "".join(json.dumps(t) + "\n" for t in TEXTS)
        code, out, err = run("rerank", "--server", self.server.url, "--query", QUERY, "--raw", "--json", stdin=lines)
        self.assertEqual(code, 0, err)
        self.scored(json.loads(out), "score", raw=True)
        code, out, err = run("embed", "--server", self.server.url, stdin=lines)
        self.assertEqual([json.loads(line)["embedding"] for line in out.splitlines()], self.vectors)
        code, out, err = run("rerank", "--server", self.server.url, "--query", QUERY, "--explain-words", "--json",
                             "--top", "1", stdin=lines)
        words = json.loads(out)
        self.assertEqual([len(words), words[0]["index"]], [1, self.order[0]])
        self.assertEqual(words[0]["words"]["logit"], self.logits[self.order[0]])
        self.assertEqual(run("rerank", "--server", self.server.url, "--query", QUERY, "--timeout", "5", stdin=lines)[0], 2)
        self.assertEqual(run("rerank", "--server", self.server.url, "--query", QUERY, "--model", "x", stdin=lines)[0], 1)


class Endpoints(unittest.TestCase):
    """_inference as Elasticsearch's client uses it: put, list, run, change, drop, and after a
    new start."""

    SETTINGS = {"model_id": RERANKER, "num_threads": 1,
                "adaptive_allocations": {"enabled": True, "min_number_of_allocations": 1, "max_number_of_allocations": 4}}

    def test_life(self):
        with tempfile.TemporaryDirectory() as folder:
            folder += "/data"
            with Server(folder) as server:
                self.use(elasticsearch.Elasticsearch(server.url), server)
            with Server(folder) as server:
                client = elasticsearch.Elasticsearch(server.url)
                settings = client.inference.get(inference_id="mine").body["endpoints"][0]["service_settings"]
                self.assertEqual(settings["num_allocations"], 2)
                reply = client.inference.rerank(inference_id="mine", query=QUERY, input=TEXTS)
                self.assertEqual(len(reply.body["rerank"]), 3)
                self.assertEqual(client.inference.delete(inference_id="mine").body["acknowledged"], True)
                with self.assertRaises(elasticsearch.NotFoundError):
                    client.inference.get(inference_id="mine")

    def use(self, client, server):
        config = {"service": "elasticsearch", "service_settings": self.SETTINGS, "task_settings": {"return_documents": False}}
        made = client.inference.put(task_type="rerank", inference_id="mine", inference_config=config).body
        self.assertEqual([made["inference_id"], made["task_type"], made["service"]], ["mine", "rerank", "elasticsearch"])
        self.assertEqual(made["service_settings"], self.SETTINGS)
        self.assertEqual(made["task_settings"], {"return_documents": False})
        self.assertEqual(client.inference.get(task_type="rerank", inference_id="mine").body["endpoints"], [made])
        listed = [e["inference_id"] for e in client.inference.get().body["endpoints"]]
        self.assertEqual(listed, ["mine", EMBEDDER, RERANKER])
        reply = client.inference.rerank(inference_id="mine", query=QUERY, input=TEXTS).body["rerank"]
        by_name = client.inference.rerank(inference_id=RERANKER, query=QUERY, input=TEXTS).body["rerank"]
        self.assertEqual([(r["index"], r["relevance_score"]) for r in reply],
                         [(r["index"], r["relevance_score"]) for r in by_name])
        self.assertEqual([("text" in reply[0]), ("text" in by_name[0])], [False, True])
        told = client.inference.rerank(inference_id="mine", query=QUERY, input=TEXTS, return_documents=True, top_n=1)
        self.assertEqual(told.body["rerank"][0]["text"], TEXTS[reply[0]["index"]])
        plain = client.inference.inference(inference_id="mine", query=QUERY, input=TEXTS).body["rerank"]
        self.assertEqual(plain, reply)
        for bad, status, says in (
                ({**config, "service": "cohere"}, 400, "Unknown service [cohere]"),
                ({"service_settings": self.SETTINGS}, 400, "missing a service"),
                ({"service": "elasticsearch", "service_settings": {"model_id": RERANKER, "num_threads": 1}}, 400, "num_allocations, adaptive_allocations"),
                ({"service": "elasticsearch", "service_settings": {"model_id": RERANKER, "num_threads": 3, "num_allocations": 1}}, 400, "power of 2"),
                ({"service": "elasticsearch", "service_settings": {**self.SETTINGS, "num_allocations": 2}}, 400, "adaptive allocations is enabled"),
                ({"service": "elasticsearch", "service_settings": {**self.SETTINGS, "model_id": ".rerank-v1"}}, 404, ".rerank-v1"),
                ({"service": "elasticsearch", "service_settings": {**self.SETTINGS, "model_id": EMBEDDER}}, 400, "is for [text_embedding]")):
            status_, reply_ = server.request("PUT", "/_inference/rerank/other", bad)
            self.assertEqual((status_, says in json.dumps(reply_)), (status, True), reply_)
        for path, status in (("/_inference/rerank/mine", 400), (f"/_inference/rerank/{RERANKER}", 400), ("/_inference/x/y", 400)):
            self.assertEqual(server.request("PUT", path, config)[0], status, path)
        status, reply = server.request("POST", "/_inference/text_embedding/mine", {"input": "a"})
        self.assertEqual((status, "does not match the model type [rerank]" in json.dumps(reply)), (400, True))
        self.assertEqual(server.request("PUT", "/_inference/mine/_update", {"service_settings": {"num_allocations": 2}})[0], 200)
        vectors = client.inference.text_embedding(inference_id=EMBEDDER, input=TEXTS, input_type="search").body
        self.assertEqual(len(vectors["text_embedding"]), 3)
        put = {"service": "elasticsearch", "service_settings": {"model_id": EMBEDDER, "num_threads": 1, "num_allocations": 1},
               "chunking_settings": {"strategy": "sentence", "max_chunk_size": 250, "sentence_overlap": 1}}
        made = client.inference.put(task_type="text_embedding", inference_id="vectors", inference_config=put).body
        self.assertEqual(made["chunking_settings"], put["chunking_settings"])
        self.assertEqual(client.inference.text_embedding(inference_id="vectors", input=TEXTS).body, vectors)
        self.assertEqual(server.request("DELETE", "/_inference/vectors?dry_run=true")[1]["acknowledged"], False)
        self.assertEqual(server.request("DELETE", f"/_inference/{RERANKER}")[0], 400)


class Clients(Base):
    """What the clients make of the replies."""

    def test_cohere(self):
        client = cohere.Client(api_key="any", base_url=self.server.url)
        documents = [{"text": t, "page": n} for n, t in enumerate(TEXTS)]
        reply = client.rerank(query=QUERY, documents=documents, rank_fields=["text"], return_documents=True,
                              max_chunks_per_doc=2, top_n=2)
        self.scored([{"index": r.index, "relevance_score": r.relevance_score} for r in reply.results])
        self.assertEqual(reply.results[0].document.text, TEXTS[self.order[0]])
        self.assertEqual(reply.meta.billed_units.search_units, 1)
        vectors = client.embed(texts=TEXTS, model=EMBEDDER, input_type="search_document")
        self.assertEqual([list(map(float32, v)) for v in vectors.embeddings], [list(map(float32, v)) for v in self.vectors])
        client = cohere.ClientV2(api_key="any", base_url=self.server.url)
        reply = client.rerank(model=RERANKER, query=QUERY, documents=TEXTS, max_tokens_per_doc=100, priority=1)
        self.scored([{"index": r.index, "relevance_score": r.relevance_score} for r in reply.results])
        vectors = client.embed(model=EMBEDDER, input_type="search_query", texts=TEXTS[:1],
                               embedding_types=["float", "base64"], output_dimension=8)
        self.assertEqual(len(vectors.embeddings.float_[0]), 8)
        self.assertEqual(list(struct.unpack("<8f", base64.b64decode(vectors.embeddings.base64[0]))),
                         [float32(x) for x in vectors.embeddings.float_[0]])
        with self.assertRaises(cohere.BadRequestError):
            client.embed(model=EMBEDDER, input_type="image", images=["data:image/png;base64,AA=="])

    def test_openai(self):
        client = openai.OpenAI(api_key="any", base_url=self.server.url + "/v1", max_retries=0)
        reply = client.embeddings.create(model=EMBEDDER, input=TEXTS)  # base64 on the wire
        self.assertEqual([[float32(x) for x in d.embedding] for d in reply.data],
                         [[float32(x) for x in v] for v in self.vectors])
        self.assertEqual(len(client.embeddings.create(model=EMBEDDER, input=[[101, 102]], dimensions=5).data[0].embedding), 5)
        self.assertEqual([m.id for m in client.models.list()], [EMBEDDER, RERANKER])
        self.assertEqual(client.models.retrieve(RERANKER).owned_by, "quern")
        with self.assertRaises(openai.NotFoundError) as caught:
            client.embeddings.create(model="none", input="a")
        self.assertEqual(caught.exception.code, "model_not_found")
        with self.assertRaises(openai.BadRequestError):
            client.embeddings.create(model=RERANKER, input="a")

    @needs("voyageai")
    def test_voyage(self):
        import voyageai
        client = voyageai.Client(api_key="any", base_url=self.server.url + "/v1", max_retries=1)
        reply = client.rerank(QUERY, TEXTS, model=RERANKER, top_k=2)
        self.scored([{"index": r.index, "relevance_score": r.relevance_score} for r in reply.results])
        self.assertEqual(reply.results[0].document, TEXTS[self.order[0]])
        self.assertGreater(reply.total_tokens, 20)
        self.assertEqual(len(client.embed(TEXTS, model=EMBEDDER, input_type="query", output_dimension=16).embeddings[0]), 16)
        with self.assertRaises(voyageai.error.InvalidRequestError):
            client.rerank(QUERY, [LONG], model=RERANKER, truncation=False)

    @needs("huggingface_hub")
    def test_hugging_face(self):
        from huggingface_hub import InferenceClient
        for address in (self.server.url, self.server.url + "/embed"):
            vectors = InferenceClient(model=address).feature_extraction(TEXTS, normalize=True, truncate=True)
            self.assertEqual(vectors.tolist(), [list(map(float32, v)) for v in self.vectors])
        near_ = InferenceClient(model=self.server.url).sentence_similarity(QUERY, other_sentences=TEXTS)
        self.assertEqual(near_, self.post("/similarity", {"inputs": {"source_sentence": QUERY, "sentences": TEXTS}}))
        found = InferenceClient(model=self.server.url + "/predict").text_classification([QUERY, TEXTS[1]])
        self.assertEqual(found.label, "LABEL_0")

    @needs("dashscope")
    def test_dashscope(self):
        import dashscope
        dashscope.base_http_api_url = self.server.url + "/api/v1"
        reply = dashscope.TextReRank.call(model=RERANKER, query=QUERY, documents=TEXTS, top_n=2, return_documents=True,
                                          api_key="any")
        self.scored([{"index": r["index"], "relevance_score": r["relevance_score"]} for r in reply.output["results"]])
        reply = dashscope.TextEmbedding.call(model=EMBEDDER, input=TEXTS, dimension=8, text_type="document", api_key="any")
        self.assertEqual([len(e["embedding"]) for e in reply.output["embeddings"]], [8, 8, 8])
        reply = dashscope.TextEmbedding.call(model="none", input="a", api_key="any")
        self.assertEqual([reply.status_code, reply.code], [404, "NotFound"])

    @needs("alibabacloud_searchplat20240529")
    def test_ai_search(self):
        from alibabacloud_searchplat20240529 import client, models
        from alibabacloud_tea_openapi.models import Config
        c = client.Client(Config(bearer_token="any", endpoint=self.server.url.removeprefix("http://"), protocol="http"))
        reply = c.get_document_rank("default", RERANKER, models.GetDocumentRankRequest(query=QUERY, docs=TEXTS))
        self.scored(reply.body.to_map()["result"]["scores"], "score")
        reply = c.get_text_embedding("default", EMBEDDER, models.GetTextEmbeddingRequest(input=TEXTS, input_type="query"))
        self.assertEqual(len(reply.body.result.embeddings), 3)


if __name__ == "__main__":
    unittest.main()

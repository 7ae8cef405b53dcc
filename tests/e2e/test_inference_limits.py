# SPDX-License-Identifier: Apache-2.0
"""What every inference dialect says when it cannot do all: the queue is full, time is up, texts
are cut; what it says was used; and deployments, over restarts."""
import json
import pathlib
import re
import shutil
import tempfile
import threading
import time
import unittest

from harness import Commands, Server, run
from test_inference_kinds import EMBEDDER, LABELS, SPARSE, TOKENS, imported

RERANKER = "reranker-minilm-l6"
LONG = "stone " * 500
AI = "/v3/openapi/workspaces/default"
DASH = "/api/v1/services"


def ranking(texts):
    """(path, body) of every request that orders texts, and of those whose reply has to be whole."""
    few = texts[:3]
    return {
        "tei": ("/rerank", {"query": "q", "texts": texts}),
        "jina": ("/rerank", {"query": "q", "documents": texts}),
        "cohere1": ("/v1/rerank", {"query": "q", "documents": texts}),
        "cohere2": ("/v2/rerank", {"model": RERANKER, "query": "q", "documents": texts}),
        "vllm": ("/score", {"text_1": "q", "text_2": texts}),
        "llama": ("/reranking", {"query": "q", "documents": texts}),
        "predict": ("/predict", {"inputs": [["q", t] for t in texts]}),
        "classify": ("/classify", {"input": texts, "model": LABELS}),
        "dashscope": (f"{DASH}/rerank/text-rerank/text-rerank", {"input": {"query": "q", "documents": texts}}),
        "aisearch": (f"{AI}/ranker/{RERANKER}", {"query": "q", "docs": texts}),
        "elasticsearch": (f"/_inference/rerank/{RERANKER}", {"query": "q", "input": texts}),
        "attribute": ("/_quern/attribute", {"query": "what is this", "text": few[0]}),
    }


def embedding(texts):
    return {
        "tei": ("/embed", {"inputs": texts}),
        "tei sparse": ("/embed_sparse", {"inputs": texts}),
        "tei all": ("/embed_all", {"inputs": texts}),
        "tei similarity": ("/similarity", {"inputs": {"source_sentence": "a", "sentences": texts}}),
        "openai": ("/v1/embeddings", {"input": texts}),
        "cohere1": ("/v1/embed", {"texts": texts}),
        "cohere2": ("/v2/embed", {"model": EMBEDDER, "texts": texts}),
        "dashscope": (f"{DASH}/embeddings/text-embedding/text-embedding", {"input": {"texts": texts}}),
        "aisearch": (f"{AI}/text-embedding/{EMBEDDER}", {"input": texts}),
        "aisearch sparse": (f"{AI}/text-sparse-embedding/{SPARSE}", {"input": texts}),
        "elasticsearch": (f"/_inference/text_embedding/{EMBEDDER}", {"input": texts}),
        "elasticsearch sparse": (f"/_inference/sparse_embedding/{SPARSE}", {"input": texts}),
    }


# The shape of an error, by the first word of the name: members that it has and their values.
SHAPES = {
    "tei": lambda e, says: e == {"error": says(e["error"]), "error_type": "Overloaded"},
    "predict": lambda e, says: e == {"error": says(e["error"]), "error_type": "Overloaded"},
    "jina": lambda e, says: e == {"message": says(e["message"]), "detail": e["message"]},
    "cohere1": lambda e, says: e == {"message": says(e["message"]), "detail": e["message"]},
    "cohere2": lambda e, says: e == {"message": says(e["message"]), "detail": e["message"]},
    "vllm": lambda e, says: (e["error"]["type"], e["error"]["code"]) == ("RateLimitError", 429) and says(e["error"]["message"]),
    "classify": lambda e, says: (e["error"]["type"], e["error"]["code"]) == ("RateLimitError", 429) and says(e["error"]["message"]),
    "llama": lambda e, says: (e["error"]["type"], e["error"]["code"]) == ("RateLimitError", 429) and says(e["error"]["message"]),
    "openai": lambda e, says: (e["error"]["type"], e["error"]["code"]) == ("rate_limit_error", "rate_limit_exceeded") and says(e["error"]["message"]),
    "dashscope": lambda e, says: set(e) == {"request_id", "code", "message"} and e["code"] == "Throttling" and says(e["message"]),
    "aisearch": lambda e, says: set(e) == {"request_id", "latency", "code", "message"} and e["code"] == "Throttling" and says(e["message"]),
    "elasticsearch": lambda e, says: e["status"] == 429 and e["error"]["type"] == "es_rejected_execution_exception" and says(e["error"]["reason"]),
    "attribute": lambda e, says: e["error"]["code"] == "EBUSY" and says(e["error"]["text"]),
}


class Base(unittest.TestCase):
    ARGUMENTS = ()

    @classmethod
    def setUpClass(cls):
        cls.data = pathlib.Path(tempfile.mkdtemp(prefix="quern-e2e-"))
        imported(cls.data, SPARSE, TOKENS, LABELS)
        cls.server = Server(cls.data, cls.ARGUMENTS).__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()
        shutil.rmtree(cls.data, ignore_errors=True)

    def raw(self, path, body, headers=None):
        status, told, text = self.server.raw("POST", path, json.dumps(body), headers)
        return status, {k.lower(): v for k, v in told.items()}, json.loads(text)


class FullQueue(Base):
    ARGUMENTS = ("--neural-queue-tokens", "1024", "--neural-threads", "1")

    def test_every_dialect_refuses_in_its_own_words(self):
        busy = threading.Thread(target=self.server.request, args=(
            "POST", "/rerank", {"query": "q", "texts": [f"{i} {LONG}" for i in range(80)]}))
        busy.start()
        deadline = time.time() + 30
        while time.time() < deadline:  # seen from aside: a call of ours could keep it out
            if self.server.request("GET", f"/_quern/models/{RERANKER}/deployment")[1]["tokens_waiting"] > 10000:
                break
        seen = 0
        for name, (path, body) in [*ranking(["a"]).items(), *embedding(["a"]).items()]:
            with self.subTest(name=name, path=path):
                status, headers, reply = self.raw(path, body)
                self.assertEqual(status, 429, reply)
                self.assertTrue(SHAPES[name.split()[0]](reply, lambda t: t if "queue is full" in t else None), reply)
                self.assertRegex(headers["retry-after"], r"^[1-9]\d*$")
                seen += 1
        self.assertEqual(seen, 24)
        busy.join()
        self.assertEqual(self.raw("/rerank", {"query": "q", "texts": ["a"]})[0], 200)
        refused = re.search(r'quern_model_refused_total{model="%s"} (\d+)' % RERANKER, self.server.raw("GET", "/metrics")[2])
        self.assertGreaterEqual(int(refused[1]), 10)


class NoTime(Base):
    ARGUMENTS = ("--neural-threads", "1")

    @staticmethod
    def texts(name):
        """Too many for the time, and other ones for every call: scores are kept."""
        return [f"{name} {i} {LONG}" for i in range(80)]

    def test_partial_replies_say_so(self):
        for name in ("jina", "cohere1", "cohere2", "dashscope", "aisearch", "llama"):
            with self.subTest(name=name):
                texts = self.texts(f"{name} {self.id()}")
                path, body = ranking(texts)[name]
                status, headers, reply = self.raw(path, body, {"X-Quern-Timeout": "300"})
                self.assertEqual(status, 200, reply)
                results = (reply.get("results") or reply.get("output", {}).get("results")
                           or reply.get("result", {}).get("scores") or [])
                self.assertLess(len(results), len(texts))
                self.assertEqual(int(headers["x-quern-unscored"]), len(texts) - len(results))
                if name.startswith("cohere"):
                    self.assertIn(f"{len(results)} of {len(texts)}", reply["meta"]["warnings"][0])

    def test_whole_replies_fail(self):
        for name in ("tei", "vllm", "predict", "elasticsearch"):
            with self.subTest(name=name):
                texts = self.texts(f"{name} {self.id()}")
                path, body = ranking(texts)[name]
                started = time.time()
                status, _, reply = self.raw(path, body, {"X-Quern-Timeout": "300"})
                self.assertIn(status, (408, 429, 503, 504), reply)
                self.assertLess(time.time() - started, 5)
        path, body = ranking(self.texts("with a timeout"))["elasticsearch"]
        status, _, reply = self.raw(path, {**body, "timeout": "300ms"})
        self.assertIn(status, (408, 429), reply)

    def test_headers_that_are_wrong(self):
        for headers, says in (({"X-Quern-Timeout": "soon"}, "X-Quern-Timeout [soon]"),
                              ({"X-Quern-Timeout": "0"}, "X-Quern-Timeout [0]"),
                              ({"X-Quern-Priority": "high"}, "X-Quern-Priority [high]")):
            for requests in (ranking(["a"]), embedding(["a"])):
                for name, (path, body) in requests.items():
                    if name == "attribute":
                        continue
                    with self.subTest(name=name, headers=headers):
                        status, _, reply = self.raw(path, body, headers)
                        self.assertIn(status, (400, 422), reply)
                        self.assertIn(says, json.dumps(reply))


class Used(Base):
    """Counts, ids and headers of replies."""

    def test_usage(self):
        texts = ["the mill by the river", "water"]
        r, e = ranking(texts), embedding(texts)
        tei = self.raw(*r["tei"])[1]
        tokens = int(tei["x-compute-tokens"])
        self.assertEqual(tei["x-compute-type"], "cpu")
        self.assertGreaterEqual(int(tei["x-total-time"]), 0)
        self.assertEqual(int(self.raw(*r["predict"])[1]["x-compute-tokens"]), tokens)
        self.assertEqual(self.raw(*r["cohere1"])[2]["usage"]["total_tokens"], tokens)
        self.assertEqual(self.raw(*r["vllm"])[2]["usage"], {"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0})
        self.assertEqual(self.raw(*r["llama"])[2]["usage"]["prompt_tokens"], tokens)
        self.assertEqual(self.raw(*r["dashscope"])[2]["usage"]["total_tokens"], tokens)
        self.assertEqual(self.raw(*r["aisearch"])[2]["usage"], {"doc_count": 2})
        tokens = int(self.raw(*e["tei"])[1]["x-compute-tokens"])
        self.assertEqual(self.raw(*e["openai"])[2]["usage"], {"prompt_tokens": tokens, "total_tokens": tokens})
        for name in ("cohere1", "cohere2"):
            self.assertEqual(self.raw(*e[name])[2]["meta"]["billed_units"], {"input_tokens": tokens})
        self.assertEqual(self.raw(*e["dashscope"])[2]["usage"]["total_tokens"], tokens)
        self.assertEqual(self.raw(*e["aisearch"])[2]["usage"], {"token_count": tokens})
        for documents, units in ((["a"], 1), (["a"] * 100, 1), (["a"] * 101, 2), (["a"] * 99 + [LONG + LONG], 2)):
            reply = self.raw("/v2/rerank", {"model": RERANKER, "query": "q", "documents": documents})[2]
            self.assertEqual(reply["meta"]["billed_units"], {"search_units": units}, len(documents))

    def test_ids_are_fresh(self):
        for name in ("cohere1", "cohere2", "vllm", "classify"):
            path, body = ranking(["a"])[name]
            self.assertNotEqual(self.raw(path, body)[2]["id"], self.raw(path, body)[2]["id"])
        for path, body in (ranking(["a"])["dashscope"], ranking(["a"])["aisearch"], embedding(["a"])["aisearch sparse"]):
            first, second = (self.raw(path, body)[2]["request_id"] for _ in "ab")
            self.assertNotEqual(first, second)

    def test_cut_texts_are_told(self):
        for requests in (ranking([LONG + LONG, "a"]), embedding([LONG * 3, "a"])):
            for name, (path, body) in requests.items():
                if name == "attribute":
                    self.assertTrue(self.raw(path, {**body, "text": LONG * 2, "timeout_ms": 60000})[2]["truncated"])
                    continue
                with self.subTest(name=name):
                    status, headers, reply = self.raw(path, body)
                    self.assertEqual([status, headers.get("x-quern-truncated")], [200, "1"], reply)


class Deployments(Commands):
    """Made, changed and dropped over HTTP, as endpoints, and by commands; kept over restarts."""
    ADAPTIVE = {"adaptive": True, "min_allocations": 1, "max_allocations": 3, "idle_ms": 5000, "threads": 1}

    def settings(self, server, model=RERANKER):
        status, reply = server.request("GET", f"/_quern/models/{model}/deployment")
        self.assertEqual(status, 200, reply)
        return reply["settings"]

    def test_over_http(self):
        path = f"/_quern/models/{RERANKER}/deployment"
        self.data.mkdir()
        with Server(self.data) as server:
            unset = self.settings(server)
            self.assertEqual(server.request("PUT", path, {"allocations": 2, "threads": 2})[1]["settings"],
                             {"adaptive": False, "allocations": 2, "threads": 2})
            self.assertEqual(server.request("PUT", path, self.ADAPTIVE)[1]["settings"], self.ADAPTIVE)
            for body in ({"allocations": 0}, {"threads": 33}, {"adaptive": True, "min_allocations": 5, "max_allocations": 2}, {"many": 1}):
                status, reply = server.request("PUT", path, body)
                self.assertEqual(status, 400, reply)
            self.assertEqual(self.settings(server), self.ADAPTIVE)
            self.assertEqual(server.request("PUT", "/_quern/models/none/deployment", {"allocations": 1})[0], 404)
            server.kill()
        with Server(self.data) as server:
            self.assertEqual(self.settings(server), self.ADAPTIVE)
            self.assertEqual(server.request("POST", "/rerank", {"query": "q", "texts": ["a"]})[0], 200)
            self.assertEqual(server.request("DELETE", path)[1]["settings"], unset)
        with Server(self.data) as server:
            self.assertEqual(self.settings(server), unset)

    def test_as_endpoints(self):
        config = {"service": "elasticsearch", "service_settings": {"model_id": EMBEDDER, "num_threads": 1, "num_allocations": 2}}
        self.data.mkdir()
        with Server(self.data) as server:
            self.assertEqual(server.request("PUT", "/_inference/text_embedding/mine", config)[0], 200)
            self.assertEqual(self.settings(server, EMBEDDER), {"adaptive": False, "allocations": 2, "threads": 1})
            update = {"service_settings": {"adaptive_allocations": {"enabled": True, "min_number_of_allocations": 1, "max_number_of_allocations": 4}}}
            self.assertEqual(server.request("PUT", "/_inference/mine/_update", update)[0], 200)
        with Server(self.data) as server:
            told = self.settings(server, EMBEDDER)
            self.assertEqual([told["adaptive"], told["min_allocations"], told["max_allocations"]], [True, 1, 4])
            self.assertEqual(server.request("POST", "/_inference/text_embedding/mine", {"input": "a"})[0], 200)
            self.assertEqual(server.request("DELETE", "/_inference/text_embedding/mine")[0], 200)
            self.assertEqual(server.request("POST", "/_inference/text_embedding/mine", {"input": "a"})[0], 404)
            self.assertFalse(self.settings(server, EMBEDDER)["adaptive"])
        with Server(self.data) as server:
            self.assertEqual(server.request("GET", "/_inference/mine")[0], 404)

    def test_by_commands(self):
        def listed():
            return {m["name"]: m["deployment"] for m in json.loads(self.ok("model", "list", "--format", "json"))}
        unset = listed()[EMBEDDER]
        self.assertIn("2 of 1 thread", self.ok("model", "deploy", EMBEDDER, "--allocations", "2"))
        self.ok("model", "deploy", RERANKER, "--adaptive", "--min", "1", "--max", "3", "--idle-ms", "5000")
        self.assertEqual(listed(), {EMBEDDER: {"adaptive": False, "allocations": 2, "threads": 1}, RERANKER: self.ADAPTIVE})
        self.assertIn("1 to 3 of 1 thread", self.ok("model", "list", "--format", "table"))
        self.assertIn("1 to 3 of 1 thread", self.ok("model", "show", RERANKER, "--format", "table"))
        for code, arguments in ((2, [EMBEDDER, "--min", "1"]), (2, [EMBEDDER, "--adaptive", "--allocations", "1"]), (2, []),
                                (3, ["none", "--allocations", "1"]), (1, [EMBEDDER, "--adaptive", "--min", "3", "--max", "2"])):
            self.fails(code, "model", "deploy", *arguments)
        self.assertEqual(listed()[EMBEDDER], {"adaptive": False, "allocations": 2, "threads": 1})
        with Server(self.data) as server:
            self.assertEqual(self.settings(server), self.ADAPTIVE)
            code, out, err = run("model", "deploy", RERANKER, "--allocations", "1", "--threads", "2", "--server", server.url)
            self.assertEqual(code, 0, err)
            self.assertEqual(self.settings(server), {"adaptive": False, "allocations": 1, "threads": 2})
            self.assertEqual(run("model", "undeploy", EMBEDDER, "--server", server.url)[0], 0)
        self.assertEqual(listed()[EMBEDDER], unset)
        self.ok("model", "undeploy", RERANKER)
        self.assertEqual(listed()[RERANKER], unset)


if __name__ == "__main__":
    unittest.main()

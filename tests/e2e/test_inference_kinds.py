# SPDX-License-Identifier: Apache-2.0
"""Models that do more than one vector a text or one score a pair, over HTTP and on the command
line: sparse vectors, vectors of tokens, labels, from the small models of tests/golden/nn; vectors
as bytes and bits."""
import base64
import json
import math
import pathlib
import shutil
import struct
import tempfile
import unittest

from harness import ROOT, Commands, Server, run

GOLDEN = ROOT / "tests/golden/nn"
SPARSE, TOKENS, RERANK, LABELS = "tiny-splade", "tiny-colbert", "tiny-rerank", "tiny-labels"
EMBEDDER = "minilm-l6-v2"
NAMES = ["neutral", "entailment", "contradiction"]
FACTORS = (1, 2, -1)  # the logits of LABELS, as multiples of that of RERANK


def imported(data, *names):
    for name in names:
        with tempfile.TemporaryDirectory() as scratch:
            folder = GOLDEN / name
            if name == LABELS:
                folder = pathlib.Path(scratch) / name
                with_labels(folder)
            code, out, err = run("model", "import", folder, "--name", name, "--dtype", "f32", data=data)
            assert code == 0, (out, err)


def with_labels(folder):
    """RERANK with a head of three labels with names."""
    shutil.copytree(GOLDEN / RERANK, folder)
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {str(i): name for i, name in enumerate(NAMES)}
    config["label2id"] = {name: i for i, name in enumerate(NAMES)}
    (folder / "config.json").write_text(json.dumps(config))
    data = (folder / "model.safetensors").read_bytes()
    size, = struct.unpack("<Q", data[:8])
    header, data = json.loads(data[8:8 + size]), data[8 + size:]
    tensors, out = {}, b""
    for name, t in header.items():
        if name == "__metadata__":
            continue
        raw = data[slice(*t["data_offsets"])]
        if name.startswith("classifier."):
            row = struct.unpack(f"<{len(raw) // 4}f", raw)
            raw = b"".join(struct.pack(f"<{len(row)}f", *(f * x for x in row)) for f in FACTORS)
            t = {**t, "shape": [3, *t["shape"][1:]]}
        tensors[name] = {**t, "data_offsets": [len(out), len(out) + len(raw)]}
        out += raw
    text = json.dumps(tensors).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + out)


def softmax(values):
    exps = [math.exp(v - max(values)) for v in values]
    return [e / sum(exps) for e in exps]


def golden(name, count=6):
    cases = json.loads((GOLDEN / f"{name}.json").read_text())
    cases = cases["texts"] if isinstance(cases, dict) else cases
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
        for settings in ({"strategy": "by page"}, {"max_chunk_size": 250}, {"strategy": "sentence", "max_chunk_size": 1}):
            self.ask("PUT", "/_inference/sparse_embedding/cut", {**put, "chunking_settings": settings}, 400)
        for settings in ({"strategy": "none"}, {"strategy": "sentence", "max_chunk_size": 250, "sentence_overlap": 1}):
            made = self.ask("PUT", f"/_inference/sparse_embedding/{settings['strategy']}", {**put, "chunking_settings": settings})
            self.assertEqual(made["chunking_settings"], settings)
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
        for model in (SPARSE, EMBEDDER):  # the other kind from whoever makes it
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


class Labels(Base):
    """Classifiers of single texts and of pairs. The logits are those of the transformers library for
    the same files."""
    TEXTS = {"the mill by the river": -0.38206258, "water": -0.66122580}
    LONG, LONG_CUT, LONG_LEFT = "stone " * 60 + "river", -0.70239741, -0.64886355

    MODELS = (RERANK, LABELS)

    def near(self, got, want):
        self.assertTrue(math.isclose(got, want, rel_tol=1e-3, abs_tol=2e-4), (got, want))

    def shown(self, entry, logit, raw=False):
        """An entry of /predict: every label by its name, best first."""
        values = [f * logit for f in FACTORS]
        want = dict(zip(NAMES, values if raw else softmax(values)))
        self.assertEqual([e["label"] for e in entry], sorted(want, key=lambda n: -want[n]))
        for e in entry:
            self.near(e["score"], want[e["label"]])

    def test_predict(self):
        for text, logit in self.TEXTS.items():
            self.shown(self.post("/predict", {"inputs": text, "model": LABELS}), logit)
            self.shown(self.post("/predict", {"inputs": [text], "model": LABELS, "raw_scores": True}), logit, True)
            one = self.post("/predict", {"inputs": text, "model": RERANK, "raw_scores": True})
            self.assertEqual([e["label"] for e in one], ["LABEL_0"])
            self.near(one[0]["score"], logit)
        first, second = self.TEXTS
        mixed = self.post("/predict", {"inputs": [[first], [first, second], [second]], "model": LABELS})
        self.shown(mixed[0], self.TEXTS[first])
        self.shown(mixed[2], self.TEXTS[second])
        pair = self.post("/rerank", {"query": first, "texts": [second], "raw_scores": True, "model": RERANK})[0]["score"]
        self.shown(mixed[1], pair)
        best = self.post("/predict", {"inputs": first, "model": LABELS, "parameters": {"top_k": 1, "function_to_apply": "sigmoid"}})
        self.assertEqual([e["label"] for e in best], ["contradiction"])
        self.near(best[0]["score"], 1 / (1 + math.exp(self.TEXTS[first])))
        self.post("/predict", {"inputs": first, "model": EMBEDDER}, 424)
        told = self.ask("GET", f"/info?model={LABELS}")["model_type"]["classifier"]
        self.assertEqual(told, {"id2label": {str(i): n for i, n in enumerate(NAMES)},
                                "label2id": {n: i for i, n in enumerate(NAMES)}})

    def test_directions(self):
        for side, logit in (("Right", self.LONG_CUT), ("Left", self.LONG_LEFT)):
            body = {"inputs": self.LONG, "model": RERANK, "raw_scores": True, "truncation_direction": side}
            self.near(self.post("/predict", body)[0]["score"], logit)
            self.assertEqual(self.headers("/predict", body)["x-quern-truncated"], "1")
        # The document alone is over half of the room; then both are.
        document = "stone " * 60 + "water of the river"
        for side, logit in (("right", -0.46302515), ("left", -0.50663221)):
            body = {"query": "the mill by the river", "texts": [document], "model": RERANK, "raw_scores": True,
                    "truncation_direction": side}
            self.near(self.post("/rerank", body)[0]["score"], logit)
            self.near(self.post("/rerank", body)[0]["score"], logit)  # kept apart from the other side's
        body = {"query": "grain " * 40 + "by the mill", "texts": [document], "model": RERANK, "raw_scores": True,
                "truncation_direction": "Left"}
        self.near(self.post("/rerank", body)[0]["score"], -0.69972599)

    def test_vllm(self):
        reply = self.post("/classify", {"model": LABELS, "input": list(self.TEXTS)})
        self.assertEqual([set(reply), reply["object"], reply["id"][:9]],
                         [{"id", "object", "created", "model", "data", "usage"}, "list", "classify-"])
        for i, (d, logit) in enumerate(zip(reply["data"], self.TEXTS.values())):
            self.assertEqual([d["index"], d["num_classes"], d["label"]], [i, 3, "contradiction"])
            for got, want in zip(d["probs"], softmax([f * logit for f in FACTORS])):
                self.near(got, want)
        raw = self.post("/classify", {"model": LABELS, "input": "water", "use_activation": False})
        self.near(raw["data"][0]["probs"][1], 2 * self.TEXTS["water"])


class Pieces(Base):
    """Texts to ids and back; what vLLM makes of a text, by model."""
    MODELS = (SPARSE, TOKENS)

    def test_there_and_back(self):
        text = "a mill grinds grain, slowly."
        tei = self.post("/tokenize", {"inputs": text})[0]
        ids = [t["id"] for t in tei]
        vllm = self.post("/tokenize", {"prompt": text, "return_token_strs": True})
        self.assertEqual([vllm["tokens"], vllm["count"], vllm["max_model_len"]], [ids, len(ids), 512])
        self.assertEqual(vllm["token_strs"], [t["text"] for t in tei])
        self.assertIsNone(self.post("/v1/tokenize", {"prompt": text})["token_strs"])
        bare = self.post("/tokenize", {"prompt": text, "add_special_tokens": False})["tokens"]
        self.assertEqual(bare, ids[1:-1])
        self.assertEqual(self.post("/decode", {"ids": ids}), [text])
        self.assertEqual(self.post("/decode", {"ids": [ids, bare[:2]], "skip_special_tokens": False}),
                         ["[CLS] " + text + " [SEP]", "a mill"])
        self.assertEqual(self.post("/detokenize", {"tokens": bare}), {"prompt": text, "text": text})
        self.assertEqual(self.post("/decode", {"ids": [5], "model": SPARSE}), ["a"])
        for path, body, status, says in (
                ("/decode", {"ids": []}, 400, "empty"), ("/decode", {"ids": "a"}, 422, "token ids"), ("/decode", {}, 422, "required"),
                ("/decode", {"ids": [1, 10 ** 6]}, 422, "vocabulary ends"), ("/decode", {"ids": [1.5]}, 422, "whole number"),
                ("/detokenize", {"tokens": [[1]]}, 400, "one list"), ("/detokenize", {"tokens": [10 ** 6]}, 400, "vocabulary ends"),
                ("/tokenize", {"messages": []}, 400, "chat template"), ("/v1/tokenize", {}, 400, "[prompt] is required")):
            self.assertIn(says, json.dumps(self.post(path, body, status)))

    def test_pooling(self):
        text = golden(TOKENS, 1)[0]["text"]
        reply = self.post("/pooling", {"model": EMBEDDER, "input": [text, "a"]})
        self.assertEqual([d["data"] for d in reply["data"]], self.post("/embed", {"inputs": [text, "a"]}))
        self.assertEqual([reply["object"], reply["id"][:5], reply["data"][1]["object"], reply["data"][1]["index"]],
                         ["list", "pool-", "pooling", 1])
        for body in ({"model": TOKENS}, {"task": "token_embed"}):
            rows = self.post("/pooling", {"input": text, **body})["data"][0]["data"]
            self.assertEqual([rows], self.post("/embed_all", {"inputs": text}))
        packed = self.post("/v1/pooling", {"model": EMBEDDER, "input": "a", "encoding_format": "base64"})["data"][0]["data"]
        self.assertEqual(len(base64.b64decode(packed)), 384 * 4)
        for body, says in (({"task": "classify"}, "/classify"), ({"model": TOKENS, "dimensions": 3}, "[dimensions]"),
                           ({"model": TOKENS, "encoding_format": "base64"}, "must be float")):
            self.assertIn(says, json.dumps(self.post("/pooling", {"input": "a", **body}, 400)))


class Numbers(Base):
    """Vectors as bytes and bits, in the names that each dialect has for them."""
    TEXTS = ["A mill grinds grain.", "The capital of France is Paris."]

    @staticmethod
    def form(vector, name):
        """What a vector is in a form, by its definition."""
        if name in ("int8", "uint8"):
            scale = 127 * max(1, math.sqrt(len(vector)) / 6) / math.sqrt(sum(x * x for x in vector))
            return [max(-127, min(127, round(x * scale))) + (128 if name == "uint8" else 0) for x in vector]
        bits = "".join("1" if x > 0 else "0" for x in vector)
        bytes_ = [int(bits[i:i + 8].ljust(8, "0"), 2) for i in range(0, len(bits), 8)]
        return [b - 128 for b in bytes_] if name == "binary" else bytes_

    def same(self, got, vector, name):
        want = self.form(vector, name)
        self.assertEqual(len(got), len(want))
        slack = 1 if name in ("int8", "uint8") else 0  # the vector is printed, not exact
        for a, b in zip(got, want):
            self.assertLessEqual(abs(a - b), slack)

    def test_forms(self):
        vectors = self.post("/embed", {"inputs": self.TEXTS})
        forms = ["int8", "uint8", "binary", "ubinary"]
        reply = self.post("/v2/embed", {"model": EMBEDDER, "input_type": "search_document", "texts": self.TEXTS,
                                        "embedding_types": ["float", *forms, "base64"]})["embeddings"]
        self.assertEqual(list(reply), ["float", *forms, "base64"])
        self.assertEqual(reply["float"], vectors)
        for name in forms:
            for got, vector in zip(reply[name], vectors):
                self.same(got, vector, name)
        for name in forms:
            voyage = self.post("/v1/embeddings", {"model": EMBEDDER, "input": self.TEXTS, "output_dtype": name})
            self.assertEqual([d["embedding"] for d in voyage["data"]], reply[name])
            packed = self.post("/v1/embeddings", {"model": EMBEDDER, "input": self.TEXTS, "output_dtype": name,
                                                  "encoding_format": "base64"})
            kind = "b" if name in ("int8", "binary") else "B"
            for d, want in zip(packed["data"], reply[name]):
                self.assertEqual(list(struct.unpack(f"{len(want)}{kind}", base64.b64decode(d["embedding"]))), want)
        for body in ({"embedding_type": "binary"}, {"embedding_type": ["binary"]}, {"encoding_format": "binary"}):
            jina = self.post("/v1/embeddings", {"model": EMBEDDER, "input": self.TEXTS, "task": "retrieval.passage", **body})
            self.assertEqual([d["embedding"] for d in jina["data"]], reply["binary"])
        odd = self.post("/v2/embed", {"model": EMBEDDER, "texts": ["a"], "output_dimension": 12,
                                      "embedding_types": ["ubinary", "float"]})["embeddings"]
        self.assertEqual(odd["ubinary"][0], self.form(odd["float"][0], "ubinary"))
        self.assertEqual(len(odd["ubinary"][0]), 2)
        pooled = self.post("/v1/embeddings", {"model": EMBEDDER, "input": "a", "normalized": False})["data"][0]["embedding"]
        self.assertEqual(pooled, self.post("/embed", {"inputs": "a", "normalize": False})[0])


class OnTheCommandLine(Commands):
    """quern embed by what the model makes; --explain-words of what the model reads."""

    def lines(self, *arguments, text, **more):
        return [json.loads(x) for x in self.ok(*arguments, stdin=text, **more).splitlines()]

    def test_embed(self):
        imported(self.data, SPARSE, TOKENS)
        text = "".join(c["text"].replace("\n", " ") + "\n" for c in golden(SPARSE, 3))
        vectors = golden(TOKENS, 1)
        sparse = self.lines("embed", "--model", SPARSE, text=text)
        for got, case in zip(sparse, golden(SPARSE, 3)):
            self.assertEqual([t["index"] for t in got["sparse_embedding"]], [i for i, w in enumerate(case["vector"]) if w > 0])
        few = self.lines("embed", "--model", SPARSE, "--top-k", "2", text=text)
        self.assertEqual([len(x["sparse_embedding"]) for x in few], [2] * 3)
        for role in ("query", "document"):
            rows = self.lines("embed", "--model", TOKENS, "--role", role, text=vectors[0]["text"] + "\n")[0]["embeddings"]
            flat = [x for row in rows for x in row]
            self.assertEqual(len(flat), len(vectors[0][role]))
            for a, b in zip(flat, vectors[0][role]):
                self.assertTrue(math.isclose(a, b, rel_tol=1e-3, abs_tol=2e-4), (a, b))
        self.fails(2, "embed", "--model", SPARSE, "--dims", "3", stdin="a\n")
        self.fails(2, "embed", "--top-k", "3", stdin="a\n")
        self.fails(1, "embed", "--role", "reader", stdin="a\n")
        with Server(self.data) as server:
            there = [json.loads(x) for x in run("embed", "--model", SPARSE, "--server", server.url, stdin=text)[1].splitlines()]
            self.assertEqual([[t["index"] for t in x["sparse_embedding"]] for x in there],
                             [[t["index"] for t in x["sparse_embedding"]] for x in sparse])
            code, out, _ = run("embed", "--model", TOKENS, "--role", "document", "--server", server.url, stdin=vectors[0]["text"] + "\n")
            self.assertEqual([code, json.loads(out)["embeddings"]], [0, rows])
        end = self.lines("embed", "--keep-ends", text="stone " * 600 + "river\n" + "x " + "stone " * 600 + "river\n")
        self.assertEqual(end[0]["embedding"], end[1]["embedding"])

    def test_words_that_are_read(self):
        document = "the river turns the mill and the water flows\n"
        def words(*options, text=document):
            out = self.ok("rerank", "--query", "who turns the mill", "--explain-words", "--json", *options, stdin=text)
            return json.loads(out)[0]
        def read(told, side="document"):
            return [w["text"] for w in told["words"][side]]
        self.assertEqual(len(read(words())), 9)
        self.assertEqual(read(words("--max-document-tokens", "4")), ["the", "river", "turns", "the"])
        self.assertEqual(read(words("--max-query-tokens", "2"), "query"), ["who", "turns"])
        capped = words("--max-tokens", "10")["words"]
        self.assertEqual([capped["tokens"], capped["truncated"]], [10, True])
        self.assertEqual(len(capped["query"]) + len(capped["document"]), 7)
        alone = self.lines("rerank", "--query", "who turns the mill", "--raw", "--max-document-tokens", "4", text=document)
        self.assertAlmostEqual(words("--max-document-tokens", "4")["words"]["logit"], alone[0]["score"], places=4)
        long = "Stones lie about. " * 40 + "The river turns the mill. " + "Grass grows on it. " * 40 + "\n"
        told = words("--chunk", "sentence:20", text=long)
        part = long.encode()[told["passage"]["start"]:told["passage"]["end"]].decode()
        self.assertIn("The river turns the mill", part)
        self.assertEqual(read(told)[0], part.split()[0])


if __name__ == "__main__":
    unittest.main()

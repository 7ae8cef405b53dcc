#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""quality.py -- what bf16 and int8 cost in ranking: the reranker of models/ in its three
dtypes over first-stage lists of four test sets.

    ./dev bench quality [scifact] [dl21] [wikiqa] [trecqa] [dtypes=f32,bf16,int8]
                        [depth=20] [kernels=avx2] [threads=2] [peers=on]

Prints nDCG@10 and MAP per set and dtype, their difference from f32, and how far logits
moved; `ndcg10_change_error` is the standard error of that mean over lists. Gates: nDCG@10 loses
at most 0.002 (bf16) and 0.004 (int8) of f32's; the exit status says whether they hold. peers=on
adds ONNX Runtime's int8 of the same model over the same lists. Data: QUERN_SHARED (default
../shared); `depth` is SciFact's, whose abstracts are long; the other lists are taken whole.

Scores are kept in build/bench-models/scores as they come: a run that was stopped goes on,
and those of f32 are computed once for a model and a set of lists. Those of other dtypes
belong to the program that computed them as well.
"""
import csv
import hashlib
import json
import math
import os
import pathlib
import re
import subprocess
import sys
from collections import Counter, defaultdict

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARED = pathlib.Path(os.environ.get("QUERN_SHARED", ROOT.parent / "shared")) / "data"
WORK = ROOT / "build" / "bench-models"
BUILD = ROOT / "build" / "release"
PROGRAM = BUILD / "bench" / "bench_neural"
WITHIN = {"bf16": 0.002, "int8": 0.004}


# ---- lists: (query, texts, gains of them, all gains of the query) -----------------------

class Bm25:
    def __init__(self, texts, k1=0.9, b=0.4):
        counts = [Counter(re.findall(r"[a-z0-9]+", t.lower())) for t in texts]
        lengths = [sum(c.values()) for c in counts]
        mean = sum(lengths) / len(texts)
        self.lists = defaultdict(list)
        for i, c in enumerate(counts):
            for word, n in c.items():
                self.lists[word].append((i, n / (n + k1 * (1 - b + b * lengths[i] / mean))))
        self.idf = {w: math.log(1 + (len(texts) - len(p) + 0.5) / (len(p) + 0.5))
                    for w, p in self.lists.items()}

    def top(self, query, k):
        scores = defaultdict(float)
        for word in re.findall(r"[a-z0-9]+", query.lower()):
            for i, v in self.lists.get(word, ()):
                scores[i] += self.idf[word] * v
        return sorted(scores, key=lambda i: (-scores[i], i))[:k]


def scifact(depth):
    docs = [json.loads(line) for line in open(SHARED / "beir-scifact/corpus.jsonl")]
    texts = [(d["title"] + " " + d["text"]).strip() for d in docs]
    gains = defaultdict(dict)
    for r in csv.DictReader(open(SHARED / "beir-scifact/qrels/test.tsv"), delimiter="\t"):
        gains[r["query-id"]][r["corpus-id"]] = int(r["score"])
    bm25 = Bm25(texts)
    for line in open(SHARED / "beir-scifact/queries.jsonl"):
        q = json.loads(line)
        if q["_id"] in gains:
            top = bm25.top(q["text"], depth)
            of = gains[q["_id"]]
            yield (q["text"], [texts[i] for i in top], [of.get(docs[i]["_id"], 0) for i in top],
                   list(of.values()))


def dl21(_):
    gains = defaultdict(dict)
    for line in open(SHARED / "trec-dl21-rerank/qrels.dl21-passage.txt"):
        q, _, d, g = line.split()
        gains[q][d] = int(g)
    for pool in json.load(open(SHARED / "trec-dl21-rerank/bm25.dl21.top100.json")):
        of = gains.get(str(pool["hits"][0]["qid"]))
        if of:
            yield (pool["query"], [h["content"] for h in pool["hits"]],
                   [of.get(h["docid"], 0) for h in pool["hits"]], list(of.values()))


def answers(rows, keep):
    lists = defaultdict(list)
    for q, a, y in rows:
        lists[q].append((a, y))
    for q, items in lists.items():
        gains = [y for _, y in items]
        if keep(gains):
            yield q, [a for a, _ in items], gains, gains


def wikiqa(_):
    rows = [line.rstrip("\n").split("\t")
            for line in open(SHARED / "wikiqa/WikiQASent-test.txt", encoding="utf-8")]
    return answers([(q, a, int(y)) for q, a, y in rows], any)


def trecqa(_):
    rows = csv.DictReader(open(SHARED / "trecqa-wang/test.csv"))
    return answers([(r["qtext"], r["atext"], int(r["label"])) for r in rows],
                   lambda g: 0 < sum(g) < len(g))


SETS = {"scifact": scifact, "dl21": dl21, "wikiqa": wikiqa, "trecqa": trecqa}


# ---- metrics ----------------------------------------------------------------------------

def ndcg(gains, all_gains, k=10):
    def dcg(g):
        return sum(max(x, 0) / math.log2(i + 2) for i, x in enumerate(g[:k]))
    best = dcg(sorted(all_gains, reverse=True))
    return dcg(gains) / best if best else 0.0


def average_precision(gains):
    hits, total = 0, 0.0
    for i, g in enumerate(gains):
        if g > 0:
            hits += 1
            total += hits / (i + 1)
    return total / hits if hits else 0.0


def measured(lists, logits):
    """(nDCG@10, average precision) of each list"""
    rows = []
    for (_, _, gains, all_gains), s in zip(lists, logits):
        ranked = [gains[i] for i in sorted(range(len(s)), key=lambda i: -s[i])]
        rows.append((ndcg(ranked, all_gains), average_precision(ranked)))
    return rows


def mean(values):
    return sum(values) / len(values)


def error_of_mean(values):
    middle, n = mean(values), len(values)
    return math.sqrt(sum((v - middle) ** 2 for v in values) / max(n - 1, 1) / n)


# ---- scores -----------------------------------------------------------------------------

CHUNK = 20  # lists a time: how much of a stopped run is lost


def digest(*parts):
    h = hashlib.sha256()
    for part in parts:
        h.update(part.read_bytes() if isinstance(part, pathlib.Path) else part.encode())
    return h.hexdigest()[:12]


def kept(name, lists, compute):
    """A list of logits for each of the lists: from the file of that name, as far as it has
    them, the rest from compute(lists), which the file then gets."""
    path = WORK / "scores" / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text().splitlines() if path.exists() else []
    logits = [json.loads(line) for line in lines[:len(lists)]]
    for at in range(len(logits), len(lists), CHUNK):
        new = compute(lists[at:at + CHUNK])
        with open(path, "a") as f:
            f.write("".join(json.dumps(x) + "\n" for x in new))
        logits += new
    return logits


class Quern:
    def __init__(self, model, threads, env):
        self.process = subprocess.Popen([str(PROGRAM), str(model)], text=True, env=env,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.backend = json.loads(self.process.stdout.readline())["backend"]
        self.tell(f"threads {threads}")

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        if not self.process.stdout.readline():
            raise SystemExit("bench_neural ended")

    def __call__(self, lists):
        requests, scores = WORK / f"quality-{os.getpid()}.in", WORK / f"quality-{os.getpid()}.out"
        requests.write_text("".join(json.dumps({"query": q, "docs": d}) + "\n"
                                    for q, d, _, _ in lists))
        self.tell(f"load {requests}")
        self.tell(f"scores {scores}")
        logits = [json.loads(line)["logits"] for line in open(scores)]
        requests.unlink()
        scores.unlink()
        return logits

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def own_scores(dtype, lists, key, threads, env):
    """(who multiplied, logits)"""
    model = model_of(dtype)
    quern = Quern(model, threads, env)
    program = [] if dtype == "f32" else [PROGRAM]
    name = f"{key}-{dtype}-{quern.backend.replace(' ', '_')}-{digest(model, *program)}"
    logits = kept(name, lists, quern)
    quern.close()
    return quern.backend, logits


def peer_scores(lists, key, threads):
    """Dynamic quantisation, a batch of one pair at a time: the scales of its activations
    are of a whole batch, and so belong to the pair alone."""
    sys.path.insert(0, str(ROOT / "bench" / "peers"))
    import neural_peers
    folder = SHARED / "models" / "reranker-minilm-l6"
    graph = neural_peers.export(folder, WORK / "onnx-minilm")["int8"]
    peer = neural_peers.OnnxRuntime(folder, graph, threads)

    def compute(part):
        return [[float(peer.logits(peer.encode([(q, d)]))[0]) for d in docs]
                for q, docs, _, _ in part]
    return kept(f"{key}-onnxruntime-{digest(graph)}", lists, compute)


def fresh(path):
    """Whether a model is there that the importer as it is now has made."""
    return path.exists() and path.stat().st_mtime > max(
        p.stat().st_mtime for p in (ROOT / "src" / "nn").rglob("import*.c"))


def model_of(dtype):
    path = WORK / "models" / f"minilm-{dtype}.qnm"
    if not fresh(path):
        WORK.mkdir(parents=True, exist_ok=True)
        subprocess.run([str(BUILD / "quern"), "model", "import",
                        str(SHARED / "models/reranker-minilm-l6"), "--name", f"minilm-{dtype}",
                        "--dtype", dtype, "--data", str(WORK), "--quiet"], check=True,
                       stdout=subprocess.DEVNULL)
    return path


def told(name, lists, dtype, backend, logits, plain):
    """Prints a row; whether it is within its bound of `plain`, f32's logits."""
    rows = measured(lists, logits)
    row = {"bench": "quality", "set": name, "queries": len(lists),
           "pairs": sum(len(s) for s in logits), "dtype": dtype, "backend": backend,
           "ndcg10": round(mean([n for n, _ in rows]), 5),
           "map": round(mean([m for _, m in rows]), 5)}
    change = 0.0
    if plain is not None:
        before = measured(lists, plain)
        changes = [x - y for (x, _), (y, _) in zip(rows, before)]
        change = mean(changes)
        moved = [abs(x - y) for a, b in zip(plain, logits) for x, y in zip(a, b)]
        row.update(ndcg10_change=round(change, 5),
                   ndcg10_change_error=round(error_of_mean(changes), 5),
                   map_change=round(mean([x - y for (_, x), (_, y) in zip(rows, before)]), 5),
                   logit_change_mean=round(mean(moved), 5),
                   logit_change_max=round(max(moved), 5))
    print(json.dumps(row), flush=True)
    return -change <= WITHIN.get(dtype, 1.0)


def main():
    options = dict(w.split("=") for w in sys.argv[1:] if "=" in w)
    names = [w for w in sys.argv[1:] if w in SETS] or list(SETS)
    dtypes = options.get("dtypes", "f32,bf16,int8").split(",")
    threads = int(options.get("threads", 2))
    env = dict(os.environ)
    if "kernels" in options:
        env["QUERN_KERNELS"] = options["kernels"]
    held = True
    for name in names:
        lists = list(SETS[name](int(options.get("depth", 20))))
        key = f"{name}-{digest(json.dumps(lists))}"
        plain = None
        for dtype in dtypes:
            backend, logits = own_scores(dtype, lists, key, threads, env)
            held = told(name, lists, dtype, backend, logits, plain) and held
            plain = logits if dtype == "f32" else plain
        if options.get("peers") == "on":
            told(name, lists, "onnxruntime int8", "onnxruntime",
                 peer_scores(lists, key, threads), plain)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())

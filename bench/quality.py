#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""quality.py -- what bf16 and int8 cost in ranking: the reranker of models/ in its three
dtypes over first-stage lists of four test sets.

    ./dev bench quality [scifact] [dl21] [wikiqa] [trecqa] [dtypes=f32,bf16,int8]
                        [depth=20] [kernels=avx2]

Prints nDCG@10 and MAP per set and dtype, their difference from f32, and how far logits
moved. Gates: nDCG@10 loses at most 0.002 (bf16) and 0.004 (int8) of f32's; the exit
status says whether they hold. Data: QUERN_SHARED (default ../shared); `depth` is SciFact's, whose
abstracts are long; the other lists are taken whole.
"""
import csv
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


def measure(lists, logits):
    rows = []
    for (_, _, gains, all_gains), s in zip(lists, logits):
        ranked = [gains[i] for i in sorted(range(len(s)), key=lambda i: -s[i])]
        rows.append((ndcg(ranked, all_gains), average_precision(ranked)))
    return [sum(r[i] for r in rows) / len(rows) for i in (0, 1)]


# ---- scores -----------------------------------------------------------------------------

def score(model, lists, env):
    requests, scores = WORK / f"quality-{os.getpid()}.in", WORK / f"quality-{os.getpid()}.out"
    requests.write_text("".join(json.dumps({"query": q, "docs": d}) + "\n"
                                for q, d, _, _ in lists))
    script = f"load {requests}\nthreads 2\nscores {scores}\n"
    done = subprocess.run([str(BUILD / "bench" / "bench_neural"), str(model)], input=script,
                          text=True, check=True, stdout=subprocess.PIPE, env=env)
    backend = json.loads(done.stdout.splitlines()[0])["backend"]
    logits = [json.loads(line)["logits"] for line in open(scores)]
    requests.unlink()
    scores.unlink()
    return backend, logits


def model_of(dtype):
    path = WORK / "models" / f"minilm-{dtype}.qnm"
    if not path.exists():
        WORK.mkdir(parents=True, exist_ok=True)
        subprocess.run([str(BUILD / "quern"), "model", "import",
                        str(SHARED / "models/reranker-minilm-l6"), "--name", f"minilm-{dtype}",
                        "--dtype", dtype, "--data", str(WORK), "--quiet"], check=True,
                       stdout=subprocess.DEVNULL)
    return path


def main():
    options = dict(w.split("=") for w in sys.argv[1:] if "=" in w)
    names = [w for w in sys.argv[1:] if w in SETS] or list(SETS)
    dtypes = options.get("dtypes", "f32,bf16,int8").split(",")
    env = dict(os.environ)
    if "kernels" in options:
        env["QUERN_KERNELS"] = options["kernels"]
    held = True
    for name in names:
        lists = list(SETS[name](int(options.get("depth", 20))))
        plain, before = None, None
        for dtype in dtypes:
            backend, logits = score(model_of(dtype), lists, env)
            n, m = measure(lists, logits)
            row = {"bench": "quality", "set": name, "queries": len(lists),
                   "pairs": sum(len(s) for s in logits), "dtype": dtype, "backend": backend,
                   "ndcg10": round(n, 5), "map": round(m, 5)}
            if dtype == "f32":
                plain, before = logits, (n, m)
            elif plain is not None:
                moved = [abs(x - y) for a, b in zip(plain, logits) for x, y in zip(a, b)]
                row.update(ndcg10_change=round(n - before[0], 5),
                           map_change=round(m - before[1], 5),
                           logit_change_mean=round(sum(moved) / len(moved), 5),
                           logit_change_max=round(max(moved), 5))
                held = held and before[0] - n <= WITHIN[dtype]
            print(json.dumps(row), flush=True)
    return 0 if held else 1


sys.exit(main())

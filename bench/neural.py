#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""neural.py -- rerankers beside ONNX Runtime and PyTorch, in turns.

    ./dev bench neural [minilm] [deberta] [128 256 512 mixed short] [threads=1,2]
                       [rounds=5] [seconds=16] [kernels=avx2]
    ./dev bench neural start [minilm] [deberta] [rounds=5] [kernels=avx2]

Two shapes: MiniLM-L6 with the real weights and DeBERTa-v3-base with random ones, made
here. Scores are compared first (f32 with f32). Then every engine does the same pairs,
one after another, again and again; of each the fastest round counts, by CPU time of its
process, and the median is printed beside it. A row ends after `rounds` rounds, or after
`seconds` seconds and two rounds; PyTorch, the slowest, does two. All of it takes under ten
minutes on a quiet machine of two cores; each part says how long it took, and parts are named
to do them alone.

  128 256 512   pairs of exactly so many tokens
  mixed         requests of real queries and texts; peers once in batches of equal length
                ("sorted", tokenised beforehand), once as sentence-transformers feeds them
                ("fed"); Quern always gets the requests as they are, and tokenises
  short         one pair of 32 tokens at a time: latency
  start         without peers: from nothing to the first score, with the packed copy and
                both files in the page cache (warm), after they were thrown out of it
                (cold), and without a copy, which is then made (pack); by the wall and by
                CPU time. Then the resident memory beyond the mapped weights, before and
                after 30 pairs of 512 tokens
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SHARED = pathlib.Path(os.environ.get("QUERN_SHARED", ROOT.parent / "shared")) / "data"
WORK = ROOT / "build" / "bench-models"
BUILD = ROOT / "build" / "release"
WORDS = "water stone house river table light green night".split()

sys.path.insert(0, str(ROOT / "bench" / "peers"))


class Quern:
    def __init__(self, path, env=None):
        self.process = subprocess.Popen(
            [str(BUILD / "bench" / "bench_neural"), str(path), str(WORK / "packed")], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, **(env or {})})
        self.opened = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("bench_neural ended")
        return json.loads(line)

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.answer()

    def prepare(self, requests, threads):
        path = WORK / f"requests-{os.getpid()}.jsonl"
        path.write_text("".join(json.dumps({"query": q, "docs": d}) + "\n"
                                for q, d in requests))
        self.tell(f"load {path}")
        self.tell(f"threads {threads}")
        path.unlink()

    def timed(self):
        r = self.tell("run")
        return r["wall_ns"] * 1e-9, r["cpu_ns"] * 1e-9

    def scores(self):
        path = WORK / f"scores-{os.getpid()}.jsonl"
        self.tell(f"scores {path}")
        rows = [json.loads(line) for line in open(path)]
        path.unlink()
        return ([x for r in rows for x in r["logits"]], [x for r in rows for x in r["tokens"]])

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# ---- work ---------------------------------------------------------------------------

def equal_pairs(tokenizer, tokens, count):
    """One request of `count` pairs of exactly `tokens` tokens."""
    query = " ".join(WORDS[i % 8] for i in range(8))
    docs = []
    for i in range(count):
        words = [WORDS[(k * 5 + k // 8 + i * 3 + i * k) % 8] for k in range(tokens)]
        while len(tokenizer(query, " ".join(words))["input_ids"]) > tokens:
            words.pop()
        docs.append(" ".join(words))
        assert len(tokenizer(query, docs[-1])["input_ids"]) == tokens
    return [(query, docs)]


def best_texts(query, texts, count):
    """Those that share most words with the query: what a first stage would hand over."""
    words = set(query.lower().split())
    return sorted(texts, key=lambda t: (-len(words & set(t.lower().split())), t))[:count]


def mixed_requests(tokenizer, docs_each):
    """Queries of SciFact with abstracts and of TrecQA with sentences, in turns."""
    import csv
    corpus = []
    for line in open(SHARED / "beir-scifact/corpus.jsonl"):
        d = json.loads(line)
        corpus.append((d["title"] + " " + d["text"]).strip())
    queries = [json.loads(line)["text"] for line in open(SHARED / "beir-scifact/queries.jsonl")]
    rows = list(csv.DictReader(open(SHARED / "trecqa-wang/test.csv")))
    sentences = sorted({r["atext"] for r in rows})
    questions = sorted({r["qtext"] for r in rows})
    out = []
    for i in range(2):
        for query, texts in ((queries[i * 101], corpus), (questions[i * 31], sentences)):
            docs = []
            for text in best_texts(query, texts, docs_each):
                words = text.split()  # nothing is cut off: every engine sees the same
                while len(tokenizer(query, " ".join(words))["input_ids"]) > 512:
                    words = words[:-8]
                docs.append(" ".join(words))
            out.append((query, docs))
    return out


# ---- models -------------------------------------------------------------------------

def folder_of(shape):
    if shape == "minilm":
        return SHARED / "models" / "reranker-minilm-l6"
    folder = WORK / "deberta-v3-base"
    if not (folder / "config.json").exists():
        import neural_peers
        neural_peers.make_deberta(folder, SHARED / "deberta-v3-tokenizer")
    return folder


def import_models(shape, folder):
    """Anew when the importer changed."""
    importer = max(p.stat().st_mtime for p in (ROOT / "src" / "nn").rglob("import*.c"))
    out = {}
    for dtype in ("f32", "bf16", "int8"):
        path = WORK / "models" / f"{shape}-{dtype}.qnm"
        if not path.exists() or path.stat().st_mtime < importer:
            subprocess.run([str(BUILD / "quern"), "model", "import", str(folder), "--name",
                            f"{shape}-{dtype}", "--dtype", dtype, "--data", str(WORK),
                            "--quiet"], check=True, stdout=subprocess.DEVNULL)
        out[dtype] = path
    return out


# ---- measuring ----------------------------------------------------------------------

def check_equal(own, peers):
    """f32 against f32 before anything is timed."""
    logits, tokens = own["quern f32"].scores()
    for name, peer in peers.items():
        if "f32" not in name or peer.order is None:
            continue
        theirs = peer.scores()
        worst = max(abs(a - float(b)) for a, b in zip(logits, theirs))
        print(json.dumps({"compared": name, "pairs": len(logits), "worst": worst}), flush=True)
        if worst > 2e-4:
            raise SystemExit(f"{name} gives other scores")
    return sum(tokens) / len(tokens)


def in_turns(engines, rounds, repeat, seconds):
    times = {name: [] for name in engines}
    begin = time.monotonic()
    for number in range(rounds):
        if number >= 2 and time.monotonic() - begin > seconds:
            break
        for name, engine in engines.items():
            if name.startswith("pytorch") and number >= 2:
                continue
            for _ in range(repeat):
                times[name].append(engine.timed())
    return times


def report(shape, what, threads, pairs, times, kernels, tokens):
    best = {n: min(c for _, c in t) / pairs * 1e3 for n, t in times.items()}
    for name, t in times.items():
        row = {"bench": "neural", "shape": shape, "work": what, "threads": threads,
               "engine": name, "kernels": kernels, "pairs": pairs,
               "tokens_mean": round(tokens, 1), "cpu_ms_a_pair": round(best[name], 3),
               "cpu_ms_median": round(statistics.median(c for _, c in t) / pairs * 1e3, 3),
               "wall_ms_a_pair": round(min(w for w, _ in t) / pairs * 1e3, 3),
               "runs": len(t),
               "load": round(os.getloadavg()[0], 1)}
        if name.startswith("quern"):
            row["ratios"] = {p: round(best[p] / best[name], 2) for p in best
                             if not p.startswith("quern")}
        print(json.dumps(row), flush=True)


def best_batch(peer, requests, sizes):
    """The batch size that suits the peer best, by one run each."""
    if len(sizes) == 1:
        return sizes[0]
    found = {}
    for batch in sizes:
        peer.prepare(requests, "sorted", batch)
        found[batch] = peer.timed()[1]
    return min(found, key=found.get)


def measure(shape, what, threads, limits, kernels, own, peers):
    begin = time.monotonic()
    tokenizer = next(iter(peers.values())).tokenizer
    scale = 1 if shape == "minilm" else 4
    repeat = 1
    if what == "mixed":
        requests = mixed_requests(tokenizer, 16 if shape == "minilm" else 4)
    elif what == "short":
        requests, repeat = equal_pairs(tokenizer, 32, 1), 40 // scale
    else:
        requests = equal_pairs(tokenizer, int(what), max(2, 2048 // int(what) // scale))
    pairs = sum(len(d) for _, d in requests)
    for engine in own.values():
        engine.prepare(requests, threads)
    sizes = (1,) if what == "short" else (1, 8, 32) if shape == "minilm" else (1, 4)
    for peer in peers.values():
        peer.prepare(requests, "sorted",
                     best_batch(peer, requests, [s for s in sizes if s <= pairs]))
    tokens = check_equal(own, peers)
    feedings = ("sorted", "fed") if what == "mixed" else ("sorted",)
    for feeding in feedings:
        if feeding == "fed":
            for peer in peers.values():
                peer.prepare(requests, "fed", 32)
        engines = {}
        for i, (name, peer) in enumerate(list(peers.items())):  # Quern between its peers
            engines[name] = peer
            if i == 0:
                engines.update(own)
        times = in_turns(engines, limits[0], repeat, limits[1])
        title = f"mixed {feeding}" if what == "mixed" else what
        report(shape, title, threads, pairs, times, kernels or "best", tokens)
    print(json.dumps({"bench": "took", "shape": shape, "work": what, "threads": threads,
                      "seconds": round(time.monotonic() - begin, 1)}), flush=True)


# ---- start --------------------------------------------------------------------------

def throw_out(path):
    """Of the page cache; what is dirty is written first."""
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def opened(path, env):
    engine = Quern(path, env)
    engine.close()
    return engine.opened


def start(shape, dtype, path, rounds, env):
    def tell(how, runs):
        best = min(runs, key=lambda r: r["first_score_ms"])
        print(json.dumps({"bench": "start", "shape": shape, "dtype": dtype, "how": how,
                          "runs": len(runs), "backend": best["backend"],
                          "opened_ms": best["opened_ms"],
                          "first_score_ms": best["first_score_ms"],
                          "cpu_ms": min(r["first_score_cpu_ms"] for r in runs),
                          "load": round(os.getloadavg()[0], 1)}), flush=True)

    def copies():
        return list((WORK / "packed").glob(f"{path.stem}.*.qnp"))

    for copy in copies():
        copy.unlink()
    tell("pack", [opened(path, env)])
    tell("warm", [opened(path, env) for _ in range(rounds)])
    cold = []
    for _ in range(min(rounds, 3)):
        for file in (path, *copies()):
            throw_out(file)
        cold.append(opened(path, env))
    tell("cold", cold)


def memory(shape, dtype, path, env):
    engine = Quern(path, env)
    before = engine.tell("memory")["rss_anon_kb"]
    words = [WORDS[i % 8] for i in range(600)]  # cut to 512 tokens
    engine.prepare([("water and stone", [" ".join(words[i:] + words[:i]) for i in range(30)])], 1)
    engine.tell("run")
    print(json.dumps({"bench": "memory", "shape": shape, "dtype": dtype, "pairs": 30,
                      "tokens": 512, "threads": 1, "beyond_weights_mb_at_start":
                      round(before / 1024, 1), "beyond_weights_mb":
                      round(engine.tell("memory")["rss_anon_kb"] / 1024, 1)}), flush=True)
    engine.close()


def main():
    words = sys.argv[1:]
    options = dict(w.split("=") for w in words if "=" in w)
    shapes = [w for w in words if w in ("minilm", "deberta")] or ["minilm", "deberta"]
    if "start" in words:
        kernels = options.get("kernels", "")
        env = {"QUERN_KERNELS": kernels} if kernels else None
        WORK.mkdir(parents=True, exist_ok=True)
        for shape in shapes:
            for dtype, path in import_models(shape, folder_of(shape)).items():
                start(shape, dtype, path, int(options.get("rounds", 5)), env)
                memory(shape, dtype, path, env)
        return
    import neural_peers
    works = [w for w in words if w in ("128", "256", "512", "mixed", "short")] or \
        ["128", "256", "512", "mixed", "short"]
    limits = int(options.get("rounds", 5)), float(options.get("seconds", 16))
    kernels = options.get("kernels", "")
    env = {"QUERN_KERNELS": kernels} if kernels else None
    WORK.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    for shape in shapes:
        folder = folder_of(shape)
        graphs = neural_peers.export(folder, WORK / f"onnx-{shape}")
        own = {f"quern {d}": Quern(p, env) for d, p in import_models(shape, folder).items()}
        for engine in own.values():
            print(json.dumps({"bench": "open", "shape": shape, **engine.opened}), flush=True)
        for threads in map(int, options.get("threads", "1,2").split(",")):
            peers = {"onnxruntime f32": neural_peers.OnnxRuntime(folder, graphs["f32"], threads),
                     "onnxruntime int8": neural_peers.OnnxRuntime(folder, graphs["int8"], threads),
                     "pytorch f32": neural_peers.Torch(folder, threads)}
            for what in works:
                measure(shape, what, threads, limits, kernels, own, peers)
        for engine in own.values():
            print(json.dumps({"bench": "memory", "shape": shape, "dtype": engine.opened["dtype"],
                              **engine.tell("memory")}), flush=True)
            engine.close()
    print(json.dumps({"bench": "took", "work": "all", "seconds":
                      round(time.monotonic() - begin, 1)}), flush=True)


main()

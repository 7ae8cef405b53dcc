#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Text search and indexing beside Lucene and Tantivy, in one run.

    text.py text        [CORPUS...]   equal answers, then unions, intersections, phrases
    text.py equality    [CORPUS...]   every document's score against Lucene's
    text.py single      [CORPUS...]   the most frequent words, one a query
    text.py exhaustive  [CORPUS...]   every match scored, top 100 and exact count
    text.py filtered    [CORPUS]      a namespace filter that drops 50, 90, 99 %
    text.py ingest      [CORPUS...]   MB of text per CPU second; bytes per document
    text.py open        [CORPUS]      cold open and first query
    text.py growth      [CORPUS...]   top-10 latency over corpora of growing size
    text.py mixed       [CORPUS]      searches while documents arrive

Corpora are names in the folder QUERN_BENCH_DATA (build/bench-data): scifact, cranfield,
debian-plain, zipf, zipf-200k, ...; missing ones are made where that is possible. Engines are
warmed first and then measured in turns, so that all meet the same machine; latency is the
geometric mean over the queries of the fastest of all rounds. One JSON line per figure goes to
standard output, a table to standard error.

    TURNS=4 ROUNDS=20     how often the engines change places; rounds in all
    PEERS="lucene tantivy"  which peers run
    CPU=1                 pins searches to that core
"""
import http.client
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = pathlib.Path(os.environ.get("QUERN_BENCH_DATA", ROOT / "build/bench-data")).absolute()
INDEXES = DATA / "indexes"
OWN = pathlib.Path(os.environ.get("QUERN_BUILD", ROOT / "build/release")) / "bench/bench_text"
PEERS = ROOT / "bench/peers"
SHARED = pathlib.Path(os.environ.get("QUERN_SHARED", ROOT.parent / "shared"))
TURNS, ROUNDS = int(os.environ.get("TURNS", 4)), int(os.environ.get("ROUNDS", 20))
TOOLS = {"quern": [OWN], "lucene": [PEERS / "lucene/lucene-peer"], "tantivy": [PEERS / "tantivy/tantivy-peer"]}
OPERATORS = {"union": "or", "intersection": "and", "phrase": "phrase", "single": "or"}
ENGINES = ["quern"] + os.environ.get("PEERS", "lucene tantivy").split()
# Tantivy's analysis differs from Lucene's except on plain corpora; none of its own for `english`.
ANALYZERS = {"quern": "standard", "lucene": "standard", "tantivy": "default"}


def say(**figures):
    print(json.dumps(figures), flush=True)


def note(text=""):
    print(text, file=sys.stderr, flush=True)


def run(engine, *arguments):
    with open(INDEXES / f"{engine}.log", "a", encoding="utf-8") as log:
        done = subprocess.run([str(a) for a in TOOLS[engine] + list(arguments)], stdout=subprocess.PIPE, stderr=log,
                              text=True)
    if done.returncode != 0:
        sys.exit(f"{engine} {' '.join(map(str, arguments))}: exit status {done.returncode}, see {log.name}")
    return done.stdout


def figures(line):
    """engine=quern docs=3 ... -> a dictionary"""
    out = {}
    for item in line.split():
        key, _, value = item.partition("=")
        try:
            out[key] = float(value)
        except ValueError:
            out[key] = value
    return out


# --- corpora ------------------------------------------------------------------------------------------------------------


def python_with_numpy():
    try:
        import numpy  # noqa: F401
        return sys.executable
    except ImportError:
        folder = DATA / "venv"
        if not (folder / "bin/python").exists():
            note(f"installing numpy into {folder}")
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            subprocess.run([folder / "bin/pip", "install", "-q", "--disable-pip-version-check", "numpy"], check=True)
        return folder / "bin/python"


def make(*arguments, python=sys.executable):
    subprocess.run([str(a) for a in (python, PEERS / "corpora/make.py", *arguments)], check=True, stdout=sys.stderr)


def documents_of(name):
    """zipf-200k -> 200000"""
    _, _, size = name.partition("-")
    return int(size[:-1]) * {"k": 1000, "m": 1000000}[size[-1]] if size else 1000000


def corpus(name):
    path = DATA / f"{name}.jsonl"
    if not path.exists():
        note(f"making {path}")
        base = name.removesuffix("-plain")
        if base in ("scifact", "cranfield"):
            folder = SHARED / "data" / {"scifact": "beir-scifact"}.get(base, base)
            if not folder.exists():
                sys.exit(f"{name}: {folder} is not there; QUERN_SHARED names the folder that has data/")
            make(base, "--data", folder, "--out", DATA, "--plain")
        elif base == "debian":
            lists = DATA / "lists"
            (lists / "partial").mkdir(parents=True, exist_ok=True)
            subprocess.run(["apt-get", "update", "-qq", "-o", "Acquire::Languages=en",
                            "-o", f"Dir::State::lists={lists}"], check=True, stdout=sys.stderr)
            make("debian", "--lists", lists, "--out", DATA, "--plain")
        elif base.startswith("zipf"):
            make("zipf", "--docs", documents_of(name), "--name", name, "--out", DATA, python=python_with_numpy())
        else:
            sys.exit(f"unknown corpus {name}")
    if not (DATA / f"{name}.single.tsv").exists():
        make("queries", "--corpus", path, "--out", DATA)
    return path


def index(engine, name, *more, fresh=False, suffix="", analyzer=None):
    """Builds the index unless it is there; returns its folder and the tool's figures (or None)."""
    path = corpus(name)
    folder = INDEXES / f"{name}.{engine}{suffix}"
    report = INDEXES / f"{name}.{engine}{suffix}.report"
    newest = OWN.stat().st_mtime if engine == "quern" else 0
    if fresh or not report.exists() or report.stat().st_mtime < newest:
        report.unlink(missing_ok=True)
        line = run(engine, "index", "--corpus", path, "--analyzer", analyzer or ANALYZERS[engine], "--out", folder,
                   "--merge", *more)
        report.write_text(line)
    return folder, figures(report.read_text())


# --- equal answers ------------------------------------------------------------------------------------------------------


def read_run(path):
    found = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            query, doc, _, score = line.rstrip("\n").split("\t")
            found.setdefault(query, []).append((doc, float(score)))
    return found


def compare(want, got, factor=1.0, tolerance=1e-6, order=True):
    """How two runs differ: the greatest relative difference of scores by rank, documents that are on one side alone
    without a tie at the end of the list, and queries whose order differs."""
    worst, missing, reordered = 0.0, 0, 0
    for query in want.keys() | got.keys():
        left, right = want.get(query, []), got.get(query, [])
        if len(left) != len(right):
            missing += abs(len(left) - len(right))
        a, b = dict(left), {doc: score * factor for doc, score in right}
        for doc in a.keys() & b.keys():
            worst = max(worst, abs(a[doc] - b[doc]) / max(abs(a[doc]), 1e-30))
        edge = min(list(a.values()) or [0]), min(list(b.values()) or [0])
        for doc in a.keys() ^ b.keys():
            score, end = (a[doc], edge[1]) if doc in a else (b[doc], edge[0])
            missing += abs(score - end) > max(tolerance, 1e-4 if factor != 1.0 else 0) * abs(end)
        reordered += order and [d for d, _ in left] != [d for d, _ in right]
    return {"worst_relative": worst, "missing": missing, "reordered": reordered,
            "queries": len(want.keys() | got.keys())}


def search(engine, folder, name, kind, k, *more, op=None, fields="text"):
    out = INDEXES / f"{name}.{engine}.{kind}.run"
    run(engine, "search", "--index", folder, "--queries", DATA / f"{name}.{kind}.tsv", "--fields", fields,
        "--op", op or OPERATORS[kind], "--k", k, "--out", out, *more)
    return read_run(out)


def check_equal(name, kind, folders, k=10):
    """Quern against Lucene to 1e-6 with the order; Tantivy against Lucene to 1e-4 but for its constant factor."""
    runs = {e: search(e, folders[e], name, kind, k) for e in ENGINES}
    equal = True
    for engine in ("quern", "tantivy"):
        if engine not in runs or "lucene" not in runs:
            continue
        own = engine == "quern"
        result = compare(runs["lucene"], runs[engine], 1.0 if own else 1 / 2.2, 1e-6, own)
        good = result["worst_relative"] <= (1e-6 if own else 1e-4) and not result["missing"] and not result["reordered"]
        say(bench="equal", corpus=name, kind=kind, engine=engine, equal=good, **result)
        equal = equal and (good or not own)
    if not equal:
        note(f"{name} {kind}: THE ANSWERS DIFFER; no times are taken")
    return equal


# --- latency in turns -----------------------------------------------------------------------------------------------------


def start(engine, folder, queries, op, k, count, *more):
    pin = ["taskset", "-c", os.environ["CPU"]] if "CPU" in os.environ else []
    log = open(INDEXES / f"{engine}.log", "a", encoding="utf-8")
    return subprocess.Popen(
        [str(a) for a in pin + TOOLS[engine] +
         ["bench", "--index", folder, "--queries", queries, "--op", op, "--k", k, "--count", count,
          "--rounds", ROUNDS, "--turns", TURNS, *more]],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)


def wait_for(process, word):
    line = process.stdout.readline().strip()
    if line != word:
        sys.exit(f"{' '.join(process.args)}: said {line!r} instead of {word!r}")


def latency(jobs):
    """jobs: name -> arguments of start(). Warmed one after the other, then measured in turns."""
    running = {}
    for name, arguments in jobs.items():
        running[name] = start(*arguments)
        wait_for(running[name], "ready")
    part = max(1, ROUNDS // TURNS)
    for _ in range(math.ceil(ROUNDS / part)):
        for process in running.values():
            process.stdin.write("go\n")
            process.stdin.flush()
            wait_for(process, "done")
    out = {}
    for name, process in running.items():
        out[name] = figures(process.stdout.readline())
        process.stdin.close()
        if process.wait() != 0:
            sys.exit(f"{name}: exit status {process.returncode}")
    return out


def compare_latency(name, kind, count="none", k=10):
    folders = {e: index(e, name)[0] for e in ENGINES}
    if not check_equal(name, kind, folders, k):
        return False
    queries = DATA / f"{name}.{kind}.tsv"
    result = latency({e: (e, folders[e], queries, OPERATORS[kind], k, count) for e in ENGINES})
    own = result["quern"]["geomean_min_us"]
    peers = {e: result[e]["geomean_min_us"] for e in ENGINES if e != "quern"}
    if count == "exact" and len({r["hits"] for r in result.values()}) != 1:
        note(f"{name} {kind}: hit counts differ: {({e: r['hits'] for e, r in result.items()})}")
    for engine, r in result.items():
        say(bench="latency", corpus=name, kind=kind, k=k, count=count, engine=engine,
            geomean_min_us=r["geomean_min_us"], p50_us=r["p50_us"], p99_us=r["p99_us"], hits=r["hits"],
            mhits_per_s=r["mhits_per_s"], cpu_share=r["cpu_share"])
    row = f"{name:<14}{kind:<14}{count:<6}k={k:<5}"
    for engine in ENGINES:
        row += f"{engine} {result[engine]['geomean_min_us']:>8.1f} ({result[engine]['p50_us']:.0f})  "
    if peers:
        best = min(peers, key=peers.get)
        say(bench="ratio", corpus=name, kind=kind, k=k, count=count, faster_peer=best,
            times_faster={e: round(us / own, 2) for e, us in peers.items()})
        row += f"faster peer/quern {peers[best] / own:.2f}"
    if count == "exact":
        row += f"  {result['quern']['mhits_per_s']:.0f} M matches/s"
    note(row)
    return True


# --- the benchmarks -------------------------------------------------------------------------------------------------------


def text(names):
    good = True
    for name in names or ["debian-plain", "zipf"]:
        for kind in ("union", "intersection", "phrase"):
            good = compare_latency(name, kind) and good
    return good


def single(names):
    return all([compare_latency(name, "single") for name in names or ["debian-plain", "zipf"]])


def exhaustive(names):
    return all([compare_latency(name, "union", "exact", 100) for name in names or ["debian-plain", "zipf"]])


def equality(names):
    """Every document of every query, standard and english, one field and two."""
    good = True
    for name in names or ["scifact", "cranfield", "debian"]:
        for analyzer in ("standard", "english"):
            folders = {e: index(e, name, suffix=f".{analyzer}", analyzer=analyzer)[0] for e in ("quern", "lucene")}
            kinds = ["union", "intersection", "phrase"]
            if (DATA / f"{name}.real.tsv").exists():
                kinds.append("real")
            for kind in kinds:
                for fields in ("text", "title,text"):
                    op, k = OPERATORS.get(kind, "or"), 0 if name != "debian" else 1000
                    runs = [search(e, folders[e], name, kind, k, op=op, fields=fields) for e in ("lucene", "quern")]
                    result = compare(*runs)
                    equal = result["worst_relative"] <= 1e-6 and not result["missing"] and not result["reordered"]
                    good = good and equal
                    say(bench="equality", corpus=name, analyzer=analyzer, kind=kind, fields=fields, equal=equal,
                        pairs=sum(map(len, runs[0].values())), **result)
    return good


def twin(folder, name):
    """The same files under another name: a folder is open in one process at a time."""
    other = folder.with_name(f"{folder.name}.{name}")
    shutil.rmtree(other, ignore_errors=True)
    shutil.copytree(folder, other, copy_function=os.link, ignore=shutil.ignore_patterns("quern.lock"))
    return other


def filtered(names):
    name = (names or ["zipf"])[0]
    folder, _ = index("quern", name, "--namespaces", suffix=".namespaces")
    rates = {0: "no filter", 50: "drops 50 %", 90: "drops 90 %", 99: "drops 99 %"}
    folders = {rate: twin(folder, rate) for rate in rates}
    for kind in ("union", "intersection", "phrase"):
        queries = DATA / f"{name}.{kind}.tsv"
        jobs = {job: ("quern", folders[rate], queries, OPERATORS[kind], 10, "none",
                      *(["--filter", f"ns{rate}=in"] if rate else [])) for rate, job in rates.items()}
        result = latency(jobs)
        plain = result["no filter"]
        for job, r in result.items():
            ratio = plain["mean_min_us"] / r["mean_min_us"]
            say(bench="filtered", corpus=name, kind=kind, filter=job, mean_min_us=r["mean_min_us"],
                geomean_min_us=r["geomean_min_us"], queries_per_second_ratio=round(ratio, 2))
            note(f"{name:<14}{kind:<14}{job:<12} mean {r['mean_min_us']:>8.1f} us  "
                 f"geomean {r['geomean_min_us']:>8.1f} us  queries/s of unfiltered {ratio:.2f}")
    return True


def ingest(names):
    """In turns, the best of each counts. Quern through quern_write() pays for JSON, log and stored sources, which the
    peers do not have or are not charged for, and is given with and without the merge to one segment; `builder` does
    what the peers do. `_bulk` is the server's CPU, beside quern_write() without the merge. Bytes are those of the
    index: without stored sources, and without the look-up of documents by id, which the peers do not have."""
    for name in names or ["debian-plain", "zipf"]:
        best, sizes = {}, {}
        for _ in range(int(os.environ.get("REPEAT", 2))):
            jobs = {e: index(e, name, fresh=True)[1] for e in ENGINES}
            jobs["quern, unmerged"] = {**jobs["quern"], "mb_per_cpu_s": jobs["quern"]["mb_per_cpu_s_unmerged"]}
            jobs["quern builder"] = index("quern", name, "--via", "builder", fresh=True, suffix=".segment")[1]
            jobs["quern _bulk"] = bulk(name)
            for engine, r in jobs.items():
                best[engine] = max(best.get(engine, 0), r["mb_per_cpu_s"])
                if "index_bytes" in r:
                    sizes[engine] = (r["index_bytes"] - r.get("id_bytes", 0)) / r["docs"]
                say(bench="ingest", corpus=name, **({**r, "engine": engine}))
        for engine in best:
            ratios = " ".join(f"{best[engine] / best[e]:>5.2f} x {e}" for e in ENGINES if e != "quern")
            size = f"{sizes[engine]:>6.1f} bytes/document" if engine in sizes else " " * 21
            note(f"{name:<14}{engine:<16} {best[engine]:>6.1f} MB per CPU s {size}  {ratios}")
    return True


def bulk_bodies(path, documents=1000):
    """Bodies of _bulk and the bytes of text in each."""
    body, text, n = [], 0, 0
    with open(path, "rb") as lines:
        for line in lines:
            id_end = line.index(b'", "')
            body += [b'{"index":{"_id":"', line[9:id_end], b'"}}\n', b"{", line[id_end + 3:]]
            row = json.loads(line)
            text += len(row["title"].encode()) + len(row["text"].encode())
            n += 1
            if n % documents == 0:
                yield b"".join(body), text
                body, text = [], 0
    if body:
        yield b"".join(body), text


def cpu_seconds(pid):
    """Of a process, its own and the kernel's for it."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask(connection, method, path, body=None):
    connection.request(method, path, body, {"Content-Type": "application/x-ndjson" if path.endswith("_bulk")
                                            else "application/json"} if body else {})
    reply = connection.getresponse()
    text = reply.read()
    if reply.status != 200 or b'"errors":true' in text[:40]:
        sys.exit(f"{method} {path}: {reply.status} {text[:300]}")


def bulk(name):
    """Over HTTP, every request on disk before its reply: MB of text per CPU second of the server."""
    data = INDEXES / f"{name}.http"
    shutil.rmtree(data, ignore_errors=True)
    server = subprocess.Popen([OWN.parent.parent / "quern", "serve", "--data", data, "--listen", "127.0.0.1:0"],
                              stderr=subprocess.PIPE, text=True)
    try:
        port = int(re.search(r":(\d+)", server.stderr.readline().split("//")[1]).group(1))
        threading.Thread(target=server.stderr.read, daemon=True).start()
        connection = http.client.HTTPConnection("127.0.0.1", port)
        text = {"type": "text", "analyzer": "standard"}
        ask(connection, "PUT", "/bench", json.dumps({"mappings": {
            "dynamic": "false", "properties": {"title": text, "text": text}}}))
        before, mb, wall = cpu_seconds(server.pid), 0.0, 0.0
        for body, size in bulk_bodies(corpus(name)):
            start = time.monotonic()
            ask(connection, "POST", "/bench/_bulk", body)
            wall += time.monotonic() - start
            mb += size / 1e6
        ask(connection, "POST", "/bench/_flush")
        return {"text_mb": round(mb, 1), "wall_s": round(wall, 2),
                "mb_per_cpu_s": mb / (cpu_seconds(server.pid) - before)}
    finally:
        server.terminate()
        server.wait()


def cold_open(names):
    name = (names or ["zipf"])[0]
    folder, _ = index("quern", name)
    line = run("quern", "open", "--index", folder, "--queries", DATA / f"{name}.union.tsv", "--rounds", 20)
    say(bench="open", corpus=name, **figures(line))
    note(line.strip())
    return True


def growth(names):
    """The same queries over prefixes of one corpus."""
    names = names or ["zipf-100k", "zipf", "zipf-4m"]
    folders = {n: index("quern", n)[0] for n in names}
    for kind in ("union", "intersection", "phrase"):
        queries = DATA / f"{names[0]}.{kind}.tsv"
        result = latency({n: ("quern", folders[n], queries, OPERATORS[kind], 10, "none") for n in names})
        points = [(math.log(documents_of(n)), math.log(result[n]["geomean_min_us"])) for n in names]
        mx, my = (sum(p[i] for p in points) / len(points) for i in (0, 1))
        slope = sum((x - mx) * (y - my) for x, y in points) / sum((x - mx) ** 2 for x, _ in points)
        say(bench="growth", kind=kind, geomean_min_us={n: result[n]["geomean_min_us"] for n in names},
            exponent=round(slope, 3))
        note(f"{kind:<14}" + "  ".join(f"{n} {result[n]['geomean_min_us']:.1f} us" for n in names) +
             f"  exponent {slope:.2f}")
    return True


def mixed(names):
    name = (names or ["zipf"])[0]
    folder, _ = index("quern", name)
    scratch = INDEXES / "mixed"
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(folder, scratch)
    lines = run("quern", "mixed", "--index", scratch, "--queries", DATA / f"{name}.union.tsv",
                "--corpus", corpus(name), "--seconds", os.environ.get("SECONDS_EACH", "20"))
    shutil.rmtree(scratch)
    phases = {}
    for line in lines.splitlines():
        r = figures(line)
        phases[r.get("phase", "rate")] = r
        note(line)
    idle = max(phases["idle"]["p99_us"], phases["idle-again"]["p99_us"])
    say(bench="mixed", corpus=name, p99_idle_us=idle, p99_ingest_us=phases["ingest"]["p99_us"],
        ratio=round(phases["ingest"]["p99_us"] / idle, 2), ingested=phases["rate"]["ingested"],
        mb_per_s=phases["rate"]["mb_per_s"])
    return True


def main():
    commands = {"text": text, "equality": equality, "single": single, "exhaustive": exhaustive, "filtered": filtered,
                "ingest": ingest, "open": cold_open, "growth": growth, "mixed": mixed}
    if len(sys.argv) < 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    INDEXES.mkdir(parents=True, exist_ok=True)
    sys.exit(0 if commands[sys.argv[1]](sys.argv[2:]) else 1)


if __name__ == "__main__":
    main()

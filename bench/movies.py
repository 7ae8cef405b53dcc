#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The film table from outside: ingest rates, start-up time and memory of the server, search
latency inside the process and over HTTP. One JSON line per figure."""
import gzip
import http.client
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("QUERN_BUILD", ROOT / "build/release"))
QUERN, MODELS = BUILD / "quern", ROOT / "models"
MOVIES = ROOT / "examples/movies"


def say(**figures):
    print(json.dumps(figures), flush=True)


def run(*arguments):
    return subprocess.run([str(a) for a in arguments], check=True, capture_output=True, text=True)


def ingest(data):
    """Documents per second: words alone through the command line, and with vectors."""
    plain = json.loads((MOVIES / "schema.json").read_text())
    del plain["mappings"]["properties"]["embedding"], plain["quern"]
    (data / "plain.json").write_text(json.dumps(plain))
    for name, schema in (("words", data / "plain.json"), ("words and vectors", MOVIES / "schema.json")):
        table = "movies" if "vectors" in name else "plain"
        run(QUERN, "table", "create", table, "--schema", schema, "--data", data)
        began = time.time()
        run(QUERN, "ingest", table, MOVIES / "movies.jsonl.gz", "--data", data, "--models", MODELS)
        say(bench="ingest", what=name, documents=9750, seconds=round(time.time() - began, 2),
            per_second=round(9750 / (time.time() - began)))


def start(data):
    """The server from exec to ready, and its memory then and after a search of each kind."""
    began = time.time()
    server = subprocess.Popen([str(QUERN), "serve", "--data", str(data), "--models", str(MODELS),
                               "--listen", "127.0.0.1:0"], stderr=subprocess.PIPE, text=True)
    line = server.stderr.readline()
    port = int(re.search(r":(\d+)", line.split("//")[1]).group(1))
    ask(http.client.HTTPConnection("127.0.0.1", port), "GET", "/_quern/ready")
    ready = time.time() - began
    say(bench="start", ms=round(ready * 1000), memory_mb=memory(server.pid))
    return server, port


def memory(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return round(int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) / 1024)


def ask(connection, method, path, body=None):
    connection.request(method, path, json.dumps(body) if body else None,
                       {"Content-Type": "application/json"} if body else {})
    reply = connection.getresponse()
    text = reply.read()
    if reply.status != 200:
        sys.exit(f"{method} {path}: {reply.status} {text[:300]}")
    return text


def questions():
    return [line.split("\t")[1] for line in (MOVIES / "queries.tsv").read_text().splitlines()]


def http_search(port, threads):
    """match over the title and overview, 10 hits, keep-alive connections."""
    times, lock = [], threading.Lock()

    def client():
        connection, mine = http.client.HTTPConnection("127.0.0.1", port), []
        for words in questions():
            began = time.perf_counter()
            ask(connection, "POST", "/movies/_search", {"query": {"multi_match": {
                "query": words, "fields": ["title^2", "overview"]}}, "_source": ["title"]})
            mine.append(time.perf_counter() - began)
        with lock:
            times.extend(mine)

    workers = [threading.Thread(target=client) for _ in range(threads)]
    began = time.time()
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    seconds = time.time() - began
    times.sort()
    say(bench="search over HTTP", clients=threads, queries=len(times), p50_us=round(times[len(times) // 2] * 1e6),
        p99_us=round(times[len(times) * 99 // 100] * 1e6), per_second=round(len(times) / seconds))


def http_bulk(port):
    lines = []
    with gzip.open(MOVIES / "movies.jsonl.gz", "rt") as movies:
        for line in movies:
            lines.append(json.dumps({"index": {"_id": json.loads(line)["id"]}}) + "\n" + line)
    connection = http.client.HTTPConnection("127.0.0.1", port)
    began = time.time()
    for i in range(0, len(lines), 500):
        connection.request("POST", "/copy/_bulk", "".join(lines[i:i + 500]).encode(),
                           {"Content-Type": "application/x-ndjson"})
        reply = connection.getresponse()
        assert not json.loads(reply.read())["errors"]
    say(bench="ingest over HTTP", what="words, _bulk of 500, every request on disk before its reply",
        documents=len(lines), per_second=round(len(lines) / (time.time() - began)))


def main():
    with tempfile.TemporaryDirectory(prefix="quern-bench-") as folder:
        data = pathlib.Path(folder)
        ingest(data)
        print(run(BUILD / "bench/bench_search", data, "movies", MOVIES / "queries.tsv", MODELS, 3,
                  "bm25", "vector", "hybrid", "words", "blend").stdout, end="", flush=True)
        server, port = start(data)
        try:
            http_search(port, 1)
            http_search(port, 4)
            http_bulk(port)
            say(bench="memory", after="searches and a bulk load", memory_mb=memory(server.pid))
        finally:
            server.terminate()
            server.wait()


main()

# SPDX-License-Identifier: Apache-2.0
"""deadline_http.py FOLDER MODEL... [clients=1,8] [budget_ms=800] [docs=50] [words=600] [seconds=20]

Do searches with a neural stage, and requests to rerank, keep their time as a client over HTTP
sees it? A server of its own over the models of a folder; clients, each a process with one kept
connection, ask without a pause: a search of 50 documents of over 512 tokens with
budget_ms, and /v1/rerank and /v2/rerank with X-Quern-Timeout. One JSON line for each model,
route and number of clients: milliseconds from the first byte sent to the last byte received, less
the budget (0: not late), documents scored a call, calls that scored none, cut ones. A reply that
is an error, has a score that is not to the bit that of a call without a limit, loses a document,
is not in order (what has no score: in the order it had) or does not say that it was cut is
invalid."""
import json
import multiprocessing
import os
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/e2e"))
os.environ.setdefault("QUERN", str(ROOT / "build/release/quern"))
from harness import Folder, Server  # noqa: E402
from serving import QUERY, Client, check_rerank, check_search, texts  # noqa: E402

OPTIONS = {"clients": "1,8", "budget_ms": "800", "docs": "50", "words": "600", "seconds": "20"}


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, int(p * len(values)))] if values else 0.0


class Route:
    """One kind of request: what is sent, and what a reply has and lacks."""

    def __init__(self, name, path, body, headers, check, count):
        self.name, self.path, self.headers = name, path, headers
        self.body = json.dumps(body).encode()
        self.check, self.count = check, count

    def ask_until(self, port, end, budget):
        """[(milliseconds late, documents scored, why it is not valid or None)]"""
        client, calls = Client(port), []
        while time.monotonic() < end:
            status, headers, reply, seconds = client.send(self.path, self.body, self.headers)
            wrong = f"{status}: {reply}" if status != 200 else self.check(reply, headers)
            calls.append((seconds * 1000 - budget, 0 if wrong else self.count(reply), wrong))
        return calls


def routes(server, model, documents, budget):
    def body(path):
        return {"model": model, "query": QUERY, "documents": documents}
    status, reply = server.request("POST", "/v1/rerank", body("/v1/rerank"), timeout=3600)
    assert status == 200, reply
    scores = {r["index"]: r["relevance_score"] for r in reply["results"]}
    assert len(scores) == len(documents), "the scores without a limit are not whole"
    limit = {"X-Quern-Timeout": str(budget)}
    for path in ("/v1/rerank", "/v2/rerank"):
        yield Route(path, path, body(path), limit,
                    lambda reply, headers: check_rerank(reply, headers, scores, len(documents)),
                    lambda reply: len(reply["results"]))
    asked = {"table": "t", "query": "mill grain stone", "size": len(documents)}
    _, plain = server.request("POST", "/_quern/search", asked)
    order = [h["id"] for h in plain["hits"]]
    assert len(order) == len(documents), "the words do not find all documents"
    asked["rerank"] = f"{model}:{len(documents)}"
    _, whole = server.request("POST", "/_quern/search", {**asked, "budget_ms": 3600000, "timeout_ms": 3600000}, timeout=3600)
    logits = {h["id"]: h["stages"]["neural"] for h in whole["hits"]}
    assert None not in logits.values(), "the scores without a limit are not whole"
    yield Route("search", "/_quern/search", {**asked, "budget_ms": budget}, {},
                lambda reply, headers: check_search(reply, logits, order, len(documents)),
                lambda reply: reply["rerank"]["scored"])


def measure(server, route, clients, budget, seconds):
    fork = multiprocessing.get_context("fork")
    queue = fork.SimpleQueue()
    end = time.monotonic() + seconds
    running = [fork.Process(target=lambda: queue.put(route.ask_until(server.port, end, budget)))
               for _ in range(clients)]
    for p in running:
        p.start()
    calls = [c for _ in running for c in queue.get()]
    for p in running:
        p.join()
    return calls


def row(model, route, clients, budget, documents, calls):
    over = [max(0.0, late) for late, _, _ in calls]
    invalid = [wrong for _, _, wrong in calls if wrong]
    for wrong in invalid[:3]:
        print(f"deadline_http: {wrong[:300]}", file=sys.stderr)
    print(json.dumps({
        "bench": "deadline-http", "model": model, "route": route.name, "clients": clients, "budget_ms": budget,
        "docs": documents, "calls": len(calls),
        "over_ms": {name: round(percentile(over, p), 2) for name, p in (("p50", .5), ("p90", .9), ("p99", .99), ("max", 1))},
        "scored": round(sum(n for _, n, _ in calls) / max(1, len(calls)), 1),
        "none": sum(n == 0 and not wrong for _, n, wrong in calls),
        "cut": sum(n < documents and not wrong for _, n, wrong in calls),
        "invalid": len(invalid), "load": round(os.getloadavg()[0], 1)}), flush=True)
    return len(invalid)


def main():
    options = dict(OPTIONS)
    words = []
    for argument in sys.argv[1:]:
        name, is_option, value = argument.partition("=")
        if not is_option:
            words.append(argument)
        elif name in options:
            options[name] = value
        else:
            sys.exit(f"deadline_http: what is {argument}?")
    if len(words) < 2:
        sys.exit(__doc__)
    folder, models = pathlib.Path(words[0]).resolve(), words[1:]
    budget, count, seconds = int(options["budget_ms"]), int(options["docs"]), float(options["seconds"])
    documents = texts(count, int(options["words"]))
    invalid = 0
    with Folder() as data:
        (data / "models").mkdir()
        for model in models:
            (data / f"models/{model}.qnm").symlink_to(folder / f"{model}.qnm")
        with Server(data=data, arguments=["--score-cache-mb", "0", "--neural-threads", "2",
                                          "--rerank-timeout-ms", "3600000"]) as server:
            server.bulk("t", [(i, {"text": t}) for i, t in enumerate(documents)])
            for model in models:
                for route in routes(server, model, documents, budget):
                    for clients in map(int, options["clients"].split(",")):
                        calls = measure(server, route, clients, budget, seconds)
                        invalid += row(model, route, clients, budget, count, calls)
    sys.exit(1 if invalid else 0)


if __name__ == "__main__":
    main()

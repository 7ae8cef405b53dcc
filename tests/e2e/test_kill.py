# SPDX-License-Identifier: Apache-2.0
"""kill -9 during ingest at a random point, again and again on one data folder: every
document that was acknowledged is there afterwards, with what was written last, searches
find exactly what is there, and no byte on disk is damaged."""
import http.client
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time

from harness import Server, run

ROUNDS = int(os.environ.get("QUERN_KILL_ROUNDS", "50"))
SEED = int(os.environ.get("QUERN_SEED", str(int(time.time()))))
MAPPING = {"mappings": {"properties": {"word": {"type": "text"}, "n": {"type": "long"}}}}


class Writer(threading.Thread):
    """Writes batches until the server dies; remembers what was acknowledged."""

    def __init__(self, server, truth, first, rng):
        super().__init__()
        self.server, self.truth, self.next, self.rng = server, truth, first, rng
        self.unsure = {}

    def run(self):
        while True:
            batch = {}
            for _ in range(self.rng.randint(1, 40)):
                action = self.rng.random()
                known = list(self.truth)[-200:]
                if action < 0.7 or not known:
                    batch[f"d{self.next}"] = self.next
                    self.next += 1
                elif action < 0.85:
                    batch[self.rng.choice(known)] = self.rng.randint(0, 10**9)
                else:
                    batch[self.rng.choice(known)] = None
            lines = []
            for name, n in batch.items():
                if n is None:
                    lines.append(json.dumps({"delete": {"_id": name}}))
                else:
                    lines.append(json.dumps({"index": {"_id": name}}))
                    lines.append(json.dumps({"word": f"w{n % 97} grind", "n": n}))
            path = "/t/_bulk" + ("?refresh=true" if self.rng.random() < 0.1 else "")
            self.unsure = batch
            try:
                if self.rng.random() < 0.05:
                    verb = "_forcemerge" if self.rng.random() < 0.4 else "_flush"
                    self.server.request("POST", f"/t/{verb}")
                status, reply = self.server.request("POST", path, "\n".join(lines) + "\n")
            except (OSError, http.client.HTTPException):
                return  # the server is gone
            assert status == 200, reply
            assert all(next(iter(i.values()))["status"] in (200, 201, 404) for i in reply["items"]), reply
            self.truth.update(batch)
            self.unsure = {}


def check(server, truth, unsure, rng, everything):
    server.request("POST", "/t/_refresh")
    names = list(truth) if everything else rng.sample(list(truth), min(len(truth), 300))
    names += [n for n in truth if n in unsure]
    lost = 0
    for name in names:
        status, reply = server.request("GET", f"/t/_doc/{name}")
        got = reply["_source"]["n"] if status == 200 else None
        allowed = {truth[name]} | ({unsure[name]} if name in unsure else set())
        if got not in allowed:
            print(f"{name}: acknowledged {truth[name]}, found {got}", file=sys.stderr)
            lost += 1
    for name, n in unsure.items():  # what the store decided is the truth from now on
        status, reply = server.request("GET", f"/t/_doc/{name}")
        truth[name] = reply["_source"]["n"] if status == 200 else None
    live = sum(1 for n in truth.values() if n is not None)
    status, reply = server.request("GET", "/t/_count")
    if reply["count"] != live:
        print(f"count {reply['count']}, want {live}", file=sys.stderr)
        lost += 1
    for word in rng.sample(range(97), 5):
        want = sorted(n for n, v in truth.items() if v is not None and v % 97 == word)
        status, reply = server.request("POST", "/t/_search", {
            "query": {"match": {"word": f"w{word}"}}, "size": 10000, "_source": ["n"]})
        got = sorted(h["_id"] for h in reply["hits"]["hits"] if h["_source"]["n"] == truth[h["_id"]])
        if got != want[:10000] and len(want) < 10000:
            print(f"w{word}: found {len(got)}, want {len(want)}", file=sys.stderr)
            lost += 1
    return lost


def main():
    print(f"{ROUNDS} rounds, QUERN_SEED={SEED}")
    rng, truth, lost = random.Random(SEED), {}, 0
    data = tempfile.mkdtemp(prefix="quern-kill-")
    try:
        first = 0
        server = Server(data).start()
        assert server.request("PUT", "/t", MAPPING)[0] == 200
        for number in range(ROUNDS):
            writer = Writer(server, truth, first, rng)
            writer.start()
            time.sleep(rng.uniform(0.01, 0.5))
            server.kill()
            writer.join()
            first = writer.next
            server = Server(data).start()
            lost += check(server, truth, writer.unsure, rng, number == ROUNDS - 1)
        code = server.stop()
        assert code == 0, f"the server ended with {code}"
        code, out, err = run("table", "check", "t", data=data)
        assert code == 0, (out, err)
    finally:
        shutil.rmtree(data, ignore_errors=True)
    print(f"{len(truth)} documents written, lost or wrong: {lost}")
    sys.exit(1 if lost else 0)


main()

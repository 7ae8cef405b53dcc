# SPDX-License-Identifier: Apache-2.0
"""kill -9 at a random point, again and again on one data folder, while several writers
index, update and delete, and another thread flushes, merges and makes backups; now and then
while the server is still recovering. A model decides: every document that was acknowledged is there
afterwards with what was written last, one that was not is as before or as wanted, searches
find exactly what is there, and no byte on disk is damaged.

    QUERN_KILL_ROUNDS=1000 QUERN_SEED=7 test_kill.py
"""
import http.client
import json
import os
import pathlib
import random
import shutil
import sys
import tempfile
import threading
import time

from harness import Server, run

ROUNDS = int(os.environ.get("QUERN_KILL_ROUNDS", "50"))
SEED = int(os.environ.get("QUERN_SEED", str(int(time.time()))))
WRITERS = 3
WORDS = 97
MAPPING = {"mappings": {"properties": {"word": {"type": "text"}, "n": {"type": "long"},
                                       "owner": {"type": "keyword"},
                                       "v": {"type": "dense_vector", "dims": 2, "similarity": "l2_norm"}}}}
GONE = (OSError, http.client.HTTPException)


def source(owner, n, word):
    return {"word": f"w{word} grind", "n": n, "owner": f"writer{owner}", "v": [n % 7, word]}


class Writer(threading.Thread):
    """Writes batches of its own documents until the server dies. `truth`: name -> (n, word)
    or None, as acknowledged; `unsure`: what the last batch wanted."""

    def __init__(self, number, server, truth, first, rng):
        super().__init__()
        self.number, self.server, self.truth, self.next, self.rng = number, server, truth, first, rng
        self.unsure, self.wrong, self.batches = {}, None, 0

    def batch(self):
        """{name: wanted}, and the lines that ask for it."""
        wanted, lines, known = {}, [], list(self.truth)[-200:]
        for _ in range(self.rng.choice((1, 1, 3, 40))):
            action, n, word = self.rng.random(), self.rng.randint(0, 10**9), self.rng.randrange(WORDS)
            if action < 0.6 or not known:
                name, self.next = f"d{self.number}-{self.next}", self.next + 1
            else:
                name = self.rng.choice(known)
            if name in wanted:
                continue
            old = self.truth.get(name)
            if action < 0.68 or name not in self.truth:
                wanted[name] = (n, word)
                lines += [{"index": {"_id": name}}, source(self.number, n, word)]
            elif action < 0.9 and old is not None:  # in place, where the document is in a segment
                wanted[name] = (n, old[1])
                lines += [{"update": {"_id": name}}, {"doc": {"n": n}}]
            else:
                wanted[name] = None
                lines += [{"delete": {"_id": name}}]
        return wanted, "".join(json.dumps(line) + "\n" for line in lines)

    def run(self):
        while True:
            wanted, body = self.batch()
            path = "/t/_bulk" + ("?refresh=true" if self.rng.random() < 0.1 else "")
            self.unsure = wanted
            try:
                status, reply = self.server.request("POST", path, body)
            except GONE:
                return
            if status != 200 or not all(next(iter(i.values()))["status"] in (200, 201, 404)
                                        for i in reply["items"]):
                self.wrong = (status, reply)
                return
            self.truth.update(wanted)
            self.unsure = {}
            self.batches += 1


class Keeper(threading.Thread):
    """Flushes, merges and backs up until the server dies. `copy`: the name of the last whole
    backup, and the documents that nobody touched while it was made."""

    def __init__(self, server, writers, number, rng):
        super().__init__()
        self.server, self.writers, self.number, self.rng = server, writers, number, rng
        self.wrong, self.copy = None, None

    def settled(self):
        settled = {}
        for w in self.writers:
            unsure = w.unsure  # before the truth: an operation in between shows in one of them
            settled.update((k, v) for k, v in dict(w.truth).items() if k not in unsure)
        return settled

    def backup(self, count):
        name, before = f"b{self.number}-{count}", self.settled()
        status, reply = self.server.request("POST", "/_quern/tables/t/backup", {"name": name})
        after = self.settled()
        if status == 200:
            self.copy = name, {k: v for k, v in before.items() if k in after and after[k] == v}
        return status, reply

    def run(self):
        for count in range(10**9):
            verb = self.rng.choice(("_flush", "_flush", "_refresh", "_forcemerge", "backup"))
            time.sleep(self.rng.uniform(0, 0.08))
            try:
                if verb == "backup":
                    status, reply = self.backup(count)
                else:
                    status, reply = self.server.request("POST", f"/t/{verb}")
            except GONE:
                return
            if status != 200:
                self.wrong = (verb, status, reply)
                return


def found(server, name, table="t"):
    """(n, word) or None."""
    status, reply = server.request("GET", f"/{table}/_doc/{name}")
    if status != 200:
        assert status == 404, (name, status, reply)
        return None
    whole = reply["_source"]
    n, word = whole["n"], int(whole["word"].split()[0][1:])
    assert {k: v for k, v in whole.items() if k not in ("n", "v")} == \
        {k: v for k, v in source(int(name[1]), n, word).items() if k not in ("n", "v")}, (name, whole)
    return n, word


def check_writer(server, writer, rng, everything):
    """How many of its documents are wrong; afterwards its truth is what is there."""
    truth, unsure, lost = writer.truth, writer.unsure, 0
    names = list(truth) if everything else rng.sample(list(truth), min(len(truth), 100))
    for name in sorted(set(names) | set(unsure)):
        got = found(server, name)
        allowed = [truth.get(name)] + ([unsure[name]] if name in unsure else [])
        if got not in allowed:
            print(f"{name}: found {got}, allowed {allowed}", file=sys.stderr)
            lost += 1
        truth[name] = got
    return lost


def check_searches(server, live, rng):
    lost = 0
    status, reply = server.request("GET", "/t/_count")
    if reply["count"] != len(live):
        print(f"count {reply['count']}, want {len(live)}", file=sys.stderr)
        lost += 1
    for word in rng.sample(range(WORDS), 5):
        want = sorted(name for name, (_, w) in live.items() if w == word)
        status, reply = server.request("POST", "/t/_search", {
            "query": {"match": {"word": f"w{word}"}}, "size": 10000, "_source": ["n"]})
        got = sorted(h["_id"] for h in reply["hits"]["hits"] if h["_source"]["n"] == live.get(h["_id"], [None])[0])
        if got != want or len(reply["hits"]["hits"]) != len(want):
            print(f"w{word}: found {len(got)} of {len(reply['hits']['hits'])}, want {len(want)}", file=sys.stderr)
            lost += 1
    low = rng.randint(0, 10**9)
    want = sum(1 for n, _ in live.values() if n >= low)
    status, reply = server.request("POST", "/t/_count", {"query": {"range": {"n": {"gte": low}}}})
    if reply["count"] != want:
        print(f"n >= {low}: {reply['count']}, want {want}", file=sys.stderr)
        lost += 1
    return lost


def check(server, writers, rng, everything):
    server.request("POST", "/t/_refresh")
    lost = sum(check_writer(server, w, rng, everything) for w in writers)
    live = {name: v for w in writers for name, v in w.truth.items() if v is not None}
    return lost + check_searches(server, live, rng)


def check_copy(server, keeper, rng):
    """The last backup that was acknowledged becomes a table, and has what it must have."""
    if keeper.copy is None:
        return 0
    name, want = keeper.copy
    status, reply = server.request("POST", "/_quern/tables/copy/restore", {"name": name})
    assert status == 200, (name, status, reply)
    lost = 0
    for document in rng.sample(list(want), min(len(want), 50)):
        got = found(server, document, "copy")
        if got != want[document]:
            print(f"{document} in the backup {name}: found {got}, want {want[document]}", file=sys.stderr)
            lost += 1
    assert server.request("DELETE", "/copy")[0] == 200
    return lost


def serve(data):
    return Server(data, ["--backup-dir", data + "-backups"])


def start(data, rng):
    """A server on the folder; now and then one that is killed while it starts came first."""
    while rng.random() < 0.2:
        early = serve(data)
        early.start_only()
        time.sleep(rng.uniform(0, 0.15))
        early.kill()
    return serve(data).start()


def main():
    print(f"{ROUNDS} rounds, QUERN_SEED={SEED}", flush=True)
    rng, lost, batches = random.Random(SEED), 0, 0
    truths, first = [{} for _ in range(WRITERS)], [0] * WRITERS
    data = tempfile.mkdtemp(prefix="quern-kill-")
    try:
        os.mkdir(data + "-backups")
        server = serve(data).start()
        assert server.request("PUT", "/t", MAPPING)[0] == 200
        for number in range(ROUNDS):
            writers = [Writer(k, server, truths[k], first[k], random.Random(rng.random()))
                       for k in range(WRITERS)]
            keeper = Keeper(server, writers, number, random.Random(rng.random()))
            for thread in (*writers, keeper):
                thread.start()
            time.sleep(rng.uniform(0.01, 0.5))
            server.kill()
            for thread in (*writers, keeper):
                thread.join()
                assert thread.wrong is None, (number, thread.wrong)
            first = [w.next for w in writers]
            batches += sum(w.batches for w in writers)
            server = start(data, rng)
            bad = check(server, writers, rng, number % 25 == 24 or number == ROUNDS - 1)
            bad += check_copy(server, keeper, rng)
            for entry in pathlib.Path(data + "-backups").iterdir():
                shutil.rmtree(entry)
            if bad:
                print(f"round {number}: {bad} wrong", file=sys.stderr)
            lost += bad
        code = server.stop()
        assert code == 0, f"the server ended with {code}"
        code, out, err = run("table", "check", "t", data=data)
        assert code == 0, (out, err)
    finally:
        shutil.rmtree(data, ignore_errors=True)
        shutil.rmtree(data + "-backups", ignore_errors=True)
        pathlib.Path(data + ".log").unlink(missing_ok=True)
    names = sum(len(t) for t in truths)
    print(f"{names} documents in {batches} acknowledged batches, lost or wrong: {lost}")
    sys.exit(1 if lost else 0)


main()

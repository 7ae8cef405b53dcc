# SPDX-License-Identifier: Apache-2.0
"""What the tests and the benchmark of models under load share: texts, calls over one kept
connection, values of /metrics."""
import http.client
import json
import random
import re
import socket
import threading
import time

WORDS = ("stone water wheel grain flour miller river wind gear shaft bread sack dust harvest field "
         "mountain quern hand turn slow heavy old village market").split()
QUERY = "how does a mill grind grain between two stones"


def texts(count, words, seed=42):
    """That many texts of so many words each, the same ones every time."""
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=words)) for _ in range(count)]


class Client:
    """One connection that is kept; `send` measures from the first byte sent to the last byte
    received."""

    def __init__(self, port, timeout=300):
        self.port, self.timeout = port, timeout
        self.connection = None

    def send(self, path, body, headers=None, method="POST"):
        """(status, headers in lower case, parsed reply, seconds)."""
        if not isinstance(body, (bytes, type(None))):
            body = json.dumps(body).encode()
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
            self.connection.connect()
            self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        begin = time.monotonic()
        self.connection.request(method, path, body, {"Content-Type": "application/json", **(headers or {})})
        reply = self.connection.getresponse()
        text = reply.read()
        seconds = time.monotonic() - begin
        found = {name.lower(): value for name, value in reply.getheaders()}
        try:
            parsed = json.loads(text)
        except ValueError:
            parsed = text.decode("utf-8", "replace")
        return reply.status, found, parsed, seconds

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    __del__ = close


def begin_request(port, path, body, headers=None):
    """Sends a request and waits for nothing: the socket."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    s = socket.create_connection(("127.0.0.1", port))
    s.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
    return s


def metric(server, name, model=None):
    """A value of /metrics; 0 when it is not there."""
    label = "" if model is None else r'\{[^}]*model="%s"[^}]*\}' % re.escape(model)
    found = re.search(r"^%s%s (\S+)$" % (re.escape(name), label), server.raw("GET", "/metrics")[2], re.M)
    return float(found.group(1)) if found else 0.0


def wait_for(what, seconds=120):
    """Until what() is true; whether it was."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return False


def at_once(count, work):
    """work(number) on so many threads; their results in order. The first failure is raised."""
    results, failures = [None] * count, []

    def run(i):
        try:
            results[i] = work(i)
        except BaseException as e:  # pylint: disable=broad-except
            failures.append(e)
    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failures:
        raise failures[0]
    return results


def check_rerank(reply, headers, logits, asked):
    """Why a reply of /v1/rerank with part of its documents is not valid, or None. `logits`:
    what each document's relevance_score is without a limit."""
    results = reply.get("results")
    if not isinstance(results, list):
        return f"no results: {reply}"
    seen = [r["index"] for r in results]
    if len(set(seen)) != len(seen) or any(not 0 <= i < asked for i in seen):
        return f"indices {seen}"
    wrong = [i for i, r in zip(seen, results) if logits is not None and r["relevance_score"] != logits[i]]
    if wrong:
        return f"documents {wrong} have other scores than without a limit"
    if results != sorted(results, key=lambda r: (-r["relevance_score"], r["index"])):
        return "not in order"
    missing = asked - len(seen)
    if int(headers.get("x-quern-unscored", "0")) != missing:
        return f"{missing} are missing, the header says {headers.get('x-quern-unscored')}"
    if (missing > 0) != bool(reply["meta"].get("warnings")):
        return f"{missing} are missing, the warnings are {reply['meta'].get('warnings')}"
    return None


def check_search(reply, logits, order, window):
    """The same of /_quern/search. `order`: ids without reranking, best first; `logits`: by id."""
    hits = reply["hits"]
    ids = [h["id"] for h in hits]
    if sorted(ids) != sorted(order):
        return f"{len(ids)} hits, {len(order)} expected"
    if "rerank" not in reply:
        return "no account of the reranking"
    told = reply["rerank"]
    scored = [h for h in hits if h["stages"].get("neural") is not None]
    if told["scored"] != len(scored) or told["of"] != window:
        return f"{len(scored)} have scores, told are {told}"
    if told["timed_out"] != (len(scored) < window):
        return f"timed_out is {told['timed_out']} with {len(scored)} of {window}"
    if ids[:len(scored)] != [h["id"] for h in scored]:
        return "what has a score does not stand in front"
    values = [h["stages"]["neural"] for h in scored]
    if values != sorted(values, reverse=True):
        return "not in order"
    if logits is not None and any(h["stages"]["neural"] != logits[h["id"]] for h in scored):
        return "other scores than without a limit"
    left = [i for i in order if i not in set(ids[:len(scored)])]
    if ids[len(scored):] != left:
        return "what has no score is not in the order it had"
    shown = [h["score"] for h in hits]
    if shown != sorted(shown, reverse=True):
        return "shown scores rise"
    return None

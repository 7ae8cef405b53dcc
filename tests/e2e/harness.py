# SPDX-License-Identifier: Apache-2.0
"""What every end-to-end test uses: the real program, in a folder of its own, on a port of
its own.

    with Server() as server:
        status, body = server.request("GET", "/")
    code, out, err = run("version")

QUERN names the program; ctest sets it. QUERN_SHARED names the folder of collections and
models that `eval` tests read.
"""
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
QUERN = os.environ.get("QUERN", str(ROOT / "build/dev/quern"))
SHARED = pathlib.Path(os.environ.get("QUERN_SHARED") or ROOT.parent / "shared")
START_SECONDS = 60
SKIPPED = 77  # the exit code that ctest counts as skipped


def run(*arguments, data=None, stdin=None, env=None, timeout=300):
    """Runs the program; (exit code, standard output, standard error)."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("QUERN_")}
    environment.update(env or {})
    command = [QUERN, *map(str, arguments)]
    if data is not None:
        command += ["--data", str(data)]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, env=environment,
                          timeout=timeout)
    return done.returncode, done.stdout, done.stderr


def float32(value):
    """The value as a 32-bit float has it."""
    return struct.unpack("<f", struct.pack("<f", value))[0]


def rank(value):
    """RANK of a formula's value, as HA3 prints it: 32-bit float on a base of 10000."""
    return "%.10f" % (10000 + float32(value))


def need_shared(*paths):
    """The folder of collections, or the end of the test as skipped."""
    for path in paths:
        if not (SHARED / path).exists():
            print(f"skipped: {path} is not in {SHARED} (QUERN_SHARED)", file=sys.stderr)
            sys.exit(SKIPPED)
    return SHARED


def engine_schema(name, fields, packs=None, vector=None):
    """A Retrieval Engine schema. fields: {"title": "TEXT:chn_standard", "age": "INT32",
    "tags": "STRING*"}, the first is the primary key, * marks several values; every text field
    has an index of its name, everything else is an attribute. packs: {index: [field or
    (field, boost)]}; vector: (index, field, dimension, distance)."""
    key = next(iter(fields))
    schema = {"table_name": name, "fields": [], "attributes": [],
              "summarys": {"summary_fields": list(fields)},
              "indexs": [{"index_name": "pk_index", "index_type": "PRIMARYKEY64",
                          "index_fields": key, "has_primary_key_attribute": True}]}
    for field, kind in fields.items():
        kind, _, analyzer = kind.partition(":")
        entry = {"field_name": field, "field_type": kind.rstrip("*")}
        if kind.endswith("*"):
            entry["multi_value"] = True
        if analyzer:
            entry["analyzer"] = analyzer
            if field not in (packs or {}):
                schema["indexs"].append({"index_name": field, "index_type": "TEXT",
                                         "index_fields": field})
        else:
            schema["attributes"].append(field)
            if kind == "STRING" and field != key:
                schema["indexs"].append({"index_name": field, "index_type": "STRING",
                                         "index_fields": field})
        schema["fields"].append(entry)
    for index, members in (packs or {}).items():
        members = [m if isinstance(m, tuple) else (m, 1) for m in members]
        schema["indexs"].append({
            "index_name": index, "index_type": "PACK",
            "index_fields": [{"field_name": m, "boost": b} for m, b in members]})
    if vector:
        index, field, dimension, distance = vector
        schema["indexs"].append({
            "index_name": index, "index_type": "CUSTOMIZED", "indexer": "aitheta2_indexer",
            "index_fields": [{"field_name": key, "boost": 1}, {"field_name": field, "boost": 1}],
            "parameters": {"dimension": str(dimension), "distance_type": distance}})
    return schema


def clauses(query, config="", **more):
    """A whole HA3 request; commas of `formula` and `first_formula` are escaped."""
    request = [f"query={query}", "config=" + ",".join(filter(None, ["format:json", config]))]
    pairs = []
    for key in ("first_formula", "formula"):
        if key in more:
            pairs.append(key + ":" + more.pop(key).replace("\\", "\\\\").replace(",", "\\,"))
    if "kvpairs" in more:
        pairs.append(more.pop("kvpairs"))
    if pairs:
        request.append("kvpairs=" + ",".join(pairs))
    request += [f"{name}={text}" for name, text in more.items()]
    return "&&".join(request)


class Commands(unittest.TestCase):
    """Tests of the command line: a temporary folder, and in it the data folder of every
    command."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="quern-e2e-"))
        self.data = self.folder / "data"

    def tearDown(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def ok(self, *arguments, **more):
        code, out, err = run(*arguments, data=more.pop("data", self.data), **more)
        self.assertEqual(code, 0, (arguments, out, err))
        return out

    def fails(self, want, *arguments, **more):
        code, out, err = run(*arguments, data=more.pop("data", self.data), **more)
        self.assertEqual(code, want, (arguments, out, err))
        self.assertTrue(err.strip(), "a failure says why")
        return err


class Folder:
    """A temporary data folder, removed at the end."""

    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="quern-e2e-"))
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


class Server:
    """`quern serve` on a free port. Attributes: port, url, data, process."""

    def __init__(self, data=None, arguments=()):
        self.own_folder = data is None
        self.data = pathlib.Path(data or tempfile.mkdtemp(prefix="quern-e2e-"))
        self.arguments = list(arguments)
        self.process = None

    def start(self, ready="/_quern/ready"):
        """Runs it and waits until that path answers 200."""
        self.ready = ready
        self.start_only()
        deadline = time.time() + START_SECONDS
        while time.time() < deadline:
            found = re.search(r"http://127\.0\.0\.1:(\d+)", self.output())
            if found:
                self.port = int(found.group(1))
                self.url = f"http://127.0.0.1:{self.port}"
                if self._ready():
                    return self
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError(f"the server did not start: {self.output()}")

    def start_only(self):
        """Runs it."""
        self.log = open(self.data.parent / (self.data.name + ".log"), "w+b")
        self.process = subprocess.Popen(
            [QUERN, "serve", "--data", str(self.data), "--listen", "127.0.0.1:0", *self.arguments],
            stdout=self.log, stderr=subprocess.STDOUT)

    def _ready(self):
        try:
            return self.request("GET", self.ready)[0] == 200
        except OSError:
            return False

    def output(self):
        self.log.flush()
        return pathlib.Path(self.log.name).read_text(errors="replace")

    def request(self, method, path, body=None, headers=None, timeout=60):
        """(status, parsed JSON or text)."""
        status, _, text = self.raw(method, path, body, headers, timeout)
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def raw(self, method, path, body=None, headers=None, timeout=60):
        """(status, headers, text)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        headers = dict(headers or {})
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        text = reply.read().decode("utf-8", "replace")
        connection.close()
        return reply.status, dict(reply.getheaders()), text

    def query(self, ha3, table=None):
        """An HA3 request string through GET /query, percent-encoded as clients do."""
        path = "/query?query=" + urllib.parse.quote(ha3, safe="")
        if table:
            path += "&table=" + table
        return self.request("GET", path)

    def items(self, ha3, table=None):
        """The items of an HA3 request that is expected to succeed."""
        status, reply = self.query(ha3, table)
        assert status == 200 and isinstance(reply, dict), (status, reply)
        assert reply.get("errors") == [], (ha3, reply.get("errors"))
        return reply["result"]["items"]

    def create(self, table, schema):
        status, reply = self.request("PUT", f"/{table}", schema)
        assert status == 200, (status, reply)
        return reply

    def push(self, table, documents, command="add"):
        """Pushes [{field: value}] as Alibaba's clients do, visible at once; the first field is
        the primary key."""
        body = [{"cmd": command, "fields": d} for d in documents]
        headers = {"X-Opensearch-Swift-PK-Field": next(iter(documents[0]))}
        status, reply = self.request("POST", f"/update/{table}/actions/bulk", body, headers)
        assert status == 200, (status, reply)
        status, reply = self.request("POST", f"/{table}/_refresh")
        assert status == 200, (status, reply)

    def bulk(self, index, documents):
        """Indexes [(id, document)], visible at once."""
        lines = []
        for name, document in documents:
            lines.append(json.dumps({"index": {"_id": str(name)}}))
            lines.append(json.dumps(document))
        status, reply = self.request("POST", f"/{index}/_bulk?refresh=true", "\n".join(lines) + "\n",
                                     {"Content-Type": "application/x-ndjson"})
        assert status == 200, (status, reply)
        return reply

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Asks politely; the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise RuntimeError("the server did not stop within 60 s")

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        try:
            code = self.stop()
            if code not in (0, -signal.SIGKILL):  # sanitizers and crashes say it here
                raise RuntimeError(f"the server ended with {code}: {self.output()[-4000:]}")
        finally:
            self.log.close()
            pathlib.Path(self.log.name).unlink(missing_ok=True)
            if self.own_folder:
                shutil.rmtree(self.data, ignore_errors=True)

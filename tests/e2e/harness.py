# SPDX-License-Identifier: Apache-2.0
"""What every end-to-end test uses: the real program, in a folder of its own, on a port of
its own.

    with Server() as server:
        status, body = server.request("GET", "/")
    code, out, err = run("version")

QUERN names the program; ctest sets it.
"""
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
QUERN = os.environ.get("QUERN", str(ROOT / "build/dev/quern"))
START_SECONDS = 60


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

    def start(self):
        self.log = open(self.data.parent / (self.data.name + ".log"), "w+b")
        self.process = subprocess.Popen(
            [QUERN, "serve", "--data", str(self.data), "--listen", "127.0.0.1:0", *self.arguments],
            stdout=self.log, stderr=subprocess.STDOUT)
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

    def _ready(self):
        try:
            return self.request("GET", "/_quern/ready")[0] == 200
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
            self.stop()
        finally:
            self.log.close()
            pathlib.Path(self.log.name).unlink(missing_ok=True)
            if self.own_folder:
                shutil.rmtree(self.data, ignore_errors=True)

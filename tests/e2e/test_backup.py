# SPDX-License-Identifier: Apache-2.0
"""Copies of tables through the command line, in a folder of its own and through a server that
is written to meanwhile; damage found by check and by restore."""
import json
import pathlib
import shutil
import threading
import time
import unittest

from harness import Commands, Server, run


class Backup(Commands):
    def fill(self, n):
        schema = self.folder / "schema.json"
        schema.write_text('{"mappings":{"properties":{"t":{"type":"text"},"n":{"type":"long"}}}}')
        lines = self.folder / "films.jsonl"
        lines.write_text("".join(json.dumps({"_id": str(i), "t": f"film number {i}", "n": i}) + "\n"
                                 for i in range(n)))
        self.ok("table", "create", "films", "--schema", schema)
        self.ok("ingest", "films", lines)

    def test_on_its_own(self):
        self.fill(200)
        copy = self.folder / "copy"
        report = json.loads(self.ok("table", "backup", "films", copy))
        self.assertEqual(report["table"], "films")
        self.assertEqual(report["files"], len(list(copy.iterdir())) - 1)
        self.assertIn("never written over", self.fails(1, "table", "backup", "films", copy))
        self.assertIn("drop that table first", self.fails(1, "table", "restore", copy, "films"))
        self.assertIn("no file BACKUP", self.fails(3, "table", "restore", self.folder, "other"))
        self.ok("table", "restore", copy, "again")
        found = json.loads(self.ok("search", "again", "number 77", "--format", "json"))
        self.assertEqual(found["hits"][0]["_id"] if "_id" in found["hits"][0]
                         else found["hits"][0]["id"], "77")
        # Into another data folder, from a copy of the copy.
        moved = self.folder / "moved"
        shutil.copytree(copy, moved)
        self.ok("table", "restore", moved, "films", data=self.folder / "elsewhere")
        show = json.loads(self.ok("table", "stats", "films", data=self.folder / "elsewhere"))
        self.assertEqual(show["documents"], 200)
        self.ok("table", "check", "again")

    def test_damage(self):
        self.fill(50)
        copy = self.folder / "copy"
        self.ok("table", "backup", "films", copy)
        # The copy's segments may be the table's own bytes: one of its own is damaged.
        moved = self.folder / "moved"
        shutil.copytree(copy, moved)
        segment = next(moved.glob("seg-*.qns"))
        text = bytearray(segment.read_bytes())
        text[len(text) // 2] ^= 1
        segment.write_bytes(text)
        self.assertIn(segment.name, self.fails(1, "table", "restore", moved, "films2"))
        self.assertNotIn("films2", self.ok("table", "list"))
        # And of the table: check names it, with the exit code of a failure.
        own = next((self.data / "tables/films").glob("seg-*.qns"))
        own.unlink()
        own.write_bytes(text)
        code, out, err = run("table", "check", "films", data=self.data)
        self.assertEqual(code, 1, (out, err))
        report = json.loads(out)
        self.assertEqual(len(report["damaged"]), 1)
        self.assertIn(own.name, report["damaged"][0]["file"])
        # The copy is sound, and brings it back.
        self.ok("table", "restore", copy, "films3")
        self.ok("table", "check", "films3")

    def test_while_serving(self):
        root = self.folder / "backups"
        root.mkdir()
        with Server(arguments=["--backup-dir", str(root)]) as server:
            stop, written = threading.Event(), []

            def write():
                i = 0
                while not stop.is_set():
                    status, _ = server.request("PUT", f"/live/_doc/{i}", {"n": i})
                    if status == 201:
                        written.append(i)
                    i += 1

            server.request("PUT", "/live/_doc/first", {"n": -1})
            writer = threading.Thread(target=write)
            writer.start()
            try:
                while len(written) < 20:
                    time.sleep(0.01)
                before = len(written)
                out = self.ok("table", "backup", "live", "one", "--server", server.url, data=None)
                self.assertEqual(json.loads(out)["table"], "live")
            finally:
                stop.set()
                writer.join()
            for name in ("", "../x", "a/b", "/tmp/x"):
                status, body = server.request("POST", "/_quern/tables/live/backup", {"name": name})
                self.assertEqual(status, 400, body)
            status, body = server.request("POST", "/_quern/tables/live/backup", {"name": "one"})
            self.assertEqual((status, body["error"]["code"]), (400, "EEXISTS"))
            status, body = server.request("POST", "/_quern/tables/none/backup", {"name": "two"})
            self.assertEqual(status, 404)
            self.ok("table", "restore", "one", "back", "--server", server.url, data=None)
            server.request("POST", "/back/_refresh")
            _, count = server.request("GET", "/back/_count")
            self.assertGreaterEqual(count["count"], before + 1)
            status, body = server.request("POST", "/_quern/tables/back/restore", {"name": "one"})
            self.assertEqual((status, body["error"]["code"]), (400, "ETABLEEXISTS"))
        with Server() as server:
            server.request("PUT", "/live/_doc/1", {"n": 1})
            status, body = server.request("POST", "/_quern/tables/live/backup", {"name": "one"})
            self.assertEqual(status, 400)
            self.assertIn("--backup-dir", body["error"]["text"])


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""The command line: every command, its help, its formats in and out, its exit codes, on a
folder of its own and through a server."""
import gzip
import json
import math
import re
import unittest

from harness import ROOT, Commands, Folder, Server, run

COMMANDS = [
    "serve", "demo", "table create", "table list", "table show", "table drop", "table stats",
    "analysis put", "analysis entries", "analysis list", "analysis show", "analysis activate",
    "analysis rollback", "analysis drop", "analysis test",
    "table check", "table set", "table backup", "table restore", "table optimize", "ingest", "query", "search", "explain", "analyze", "embed",
    "rerank", "model list", "model show", "model import", "model verify", "model rm", "model deploy", "model undeploy", "eval", "bench expr",
    "policy create", "policy list", "policy show", "policy test", "policy activate", "policy rollback", "policy drop",
    "plugin check", "plugin put", "plugin list", "plugin show", "plugin test", "plugin activate", "plugin rollback",
    "plugin drop", "version",
]
MAPPING = {"mappings": {"properties": {
    "title": {"type": "text", "analyzer": "english"}, "text": {"type": "text"},
    "tag": {"type": "keyword"}, "year": {"type": "integer"}, "price": {"type": "float"}}}}
FILMS = [
    {"_id": "1", "title": "The running man", "text": "a man runs from hunters", "tag": "a", "year": 1987, "price": 1.5},
    {"_id": "2", "title": "Running on empty", "text": "a family, on the run", "tag": "b", "year": 1988, "price": 2.5},
    {"_id": "3", "title": "The man who fell to earth", "text": "he \"fell\"\nfrom the sky", "tag": "a", "year": 1976, "price": 3.5},
    {"_id": "4", "title": "Earth", "text": "a film about 地球 and the sea", "tag": "c", "year": 2007, "price": 0.5},
]


def source(film):
    return {k: v for k, v in film.items() if k != "_id"}


class Base(Commands):
    def json(self, *arguments, **more):
        return json.loads(self.ok(*arguments, **more))

    def file(self, name, text):
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def films(self, table="films"):
        schema = self.file("schema.json", json.dumps(MAPPING))
        self.ok("table", "create", table, "--schema", schema)
        lines = self.file("films.jsonl", "".join(json.dumps(f) + "\n" for f in FILMS))
        self.ok("ingest", table, lines)

    def hits(self, *arguments, **more):
        return [h["id"] for h in self.json("search", *arguments, "--format", "json", **more)["hits"]]


class Bench(Base):
    def test_a_formula_is_measured(self):
        self.films()
        out = self.ok("bench", "expr", "films", "--formula", "year*2+ln(price+1)")
        self.assertRegex(out, r"documents +4\n")
        self.assertRegex(out, r"compile +[0-9.]+ us\n")
        self.assertRegex(out, r"interpreted +[0-9]+ documents/s\n")
        self.assertRegex(out, r"machine code +([0-9]+ documents/s, made in|none: no LLVM)")

    def test_a_wrong_formula_is_pointed_at(self):
        self.films()
        err = self.fails(1, "bench", "expr", "films", "--formula", "year*lm(price)")
        self.assertIn("no function 'lm'; did you mean 'ln'", err)
        self.assertIn("--formula", self.fails(2, "bench", "expr", "films"))


class Help(Base):
    def test_every_command_has_help(self):
        _, overview, _ = run("--help")
        for command in COMMANDS:
            with self.subTest(command=command):
                code, out, err = run(*command.split(), "--help")
                self.assertEqual((code, err), (0, ""))
                self.assertTrue(out.startswith(f"quern {command}"), out)
                self.assertIn("--help", out)
                self.assertIn("Exit codes", out)
                self.assertIn(command, overview)

    def test_no_other_commands(self):
        _, overview, _ = run("--help")
        listed = re.findall(r"^  ([a-z]+(?: [a-z]+)?) +\S", overview, re.M)
        self.assertEqual(sorted(listed), sorted(COMMANDS))

    def test_levels(self):
        code, out, _ = run("table", "--help")
        self.assertEqual(code, 0)
        self.assertIn("table create", out)
        self.assertNotIn("model import", out)
        code, out, err = run()
        self.assertEqual((code, out), (2, ""))
        self.assertIn("Usage", err)
        code, out, err = run("model")
        self.assertEqual(code, 2)
        self.assertIn("model import", err)

    def test_wrong_command_lines(self):
        rows = [
            (["serach", "t", "x"], "search"), (["tabel", "list"], "table"),
            (["search", "t", "x", "--explian"], "--explain"), (["eval", "t", "--querys", "f"], "--queries"),
            (["search", "t"], "words or --dsl"), (["query", "t"], "expected"),
            (["search", "t", "x", "--size", "many"], "whole number"), (["search", "t", "x", "--size", "-1"], "may be"),
            (["search", "t", "x", "--explain=1"], "takes no value"),
            (["search", "t", "x", "--format", "yaml"], "yaml"), (["search", "t", "x", "-k"], "-k"),
            (["table", "create", "t"], "--schema"), (["table", "create"], "expected"),
            (["model", "import", "x"], "--name"), (["rerank"], "--query"), (["eval", "t"], "--qrels"),
            (["analyze", "--field", "x", "y"], "--table"), (["ingest", "t"], "expected"),
            (["ingest", "t", "f", "--format", "xml"], "xml"), (["table", "frobnicate"], "table"),
        ]
        for arguments, said in rows:
            with self.subTest(arguments=arguments):
                self.assertIn(said, self.fails(2, *arguments))

    def test_a_value_is_missing(self):
        code, _, err = run("search", "t", "x", "--size")
        self.assertEqual(code, 2)
        self.assertIn("needs a value", err)

    def test_version(self):
        code, out, err = run("version")
        self.assertEqual((code, err), (0, ""))
        self.assertRegex(out, r"^quern \d+\.\d+\.\d+\n$")
        self.assertEqual(run("--version")[1], out)
        built = run("version", "--build")[1]
        self.assertTrue(built.startswith(out))
        for line in built.splitlines()[1:]:
            self.assertRegex(line, r"^[a-z0-9 ]+: .+")


class Tables(Base):
    def test_life_of_a_table(self):
        self.assertEqual(self.json("table", "list", "--format", "json"), [])
        self.films()
        self.assertEqual(self.json("table", "list", "--format", "json"), [{"name": "films", "documents": 4}])
        self.assertIn("films", self.ok("table", "list"))
        shown = self.json("table", "show", "films")
        self.assertEqual(shown["name"], "films")
        self.assertEqual(shown["mappings"]["properties"]["year"]["type"], "integer")
        self.assertEqual(shown["schema"], MAPPING)
        stats = self.json("table", "stats", "films")
        self.assertEqual((stats["documents"], stats["deleted"]), (4, 0))
        checked = self.json("table", "check", "films")
        self.assertEqual(checked["damaged"], [])
        self.assertGreater(checked["files"], 0)
        self.ok("table", "optimize", "films")
        self.assertEqual(len(self.json("table", "stats", "films")["segments"]), 1)
        self.fails(1, "table", "create", "films", "--schema", self.folder / "schema.json")
        self.ok("table", "drop", "films")
        self.assertEqual(self.json("table", "list", "--format", "json"), [])

    def test_not_found_is_3(self):
        for arguments in (["table", "show"], ["table", "drop"], ["table", "stats"], ["table", "check"],
                          ["table", "optimize"]):
            with self.subTest(arguments=arguments):
                self.assertIn("nothing", self.fails(3, *arguments, "nothing"))
        self.assertIn("nothing", self.fails(3, "search", "nothing", "words"))
        self.assertIn("nothing", self.fails(3, "query", "nothing", "query=a:'b'"))
        self.assertIn("nothing", self.fails(3, "model", "show", "nothing"))
        self.assertIn("nothing", self.fails(3, "model", "verify", "nothing"))
        self.films()
        self.fails(3, "explain", "films", "no such id", "running")

    def test_schema_on_standard_input(self):
        self.ok("table", "create", "t", "--schema", "-", stdin=json.dumps(MAPPING))
        err = self.fails(1, "table", "create", "u", "--schema", "-", stdin='{"mappings": {"properties"')
        self.assertIn("^", err)  # a caret under the place
        self.fails(3, "table", "create", "u", "--schema", self.folder / "absent.json")

    def test_engine_schema(self):
        schema = ROOT / "tests/e2e/seed_schema.json"
        self.ok("table", "create", "main", "--schema", schema)
        self.assertEqual(self.json("table", "show", "main")["schema"], json.loads(schema.read_text()))


class Ingest(Base):
    """The same four films in every format are the same table."""

    def check(self, table, numbers_as_text=False):
        self.assertEqual(self.json("table", "stats", table)["documents"], 4)
        hits = self.json("search", table, "earth", "--format", "json")["hits"]
        self.assertEqual({h["id"] for h in hits}, {"3", "4"})
        for hit in hits:
            want = source(next(f for f in FILMS if f["_id"] == hit["id"]))
            got = {k: v for k, v in hit["source"].items() if k not in ("_id", "id")}
            if numbers_as_text:
                want = {k: str(v) for k, v in want.items()}
            self.assertEqual(got, want)
        dsl = self.file("years.json", json.dumps({"query": {"range": {"year": {"gte": 1980, "lt": 2000}}}}))
        self.assertEqual(sorted(self.hits(table, "--dsl", dsl)), ["1", "2"])

    def create(self, table):
        self.ok("table", "create", table, "--schema", self.file("schema.json", json.dumps(MAPPING)))

    def test_jsonl(self):
        lines = "".join(json.dumps(f) + "\n" for f in FILMS)
        self.create("a")
        self.ok("ingest", "a", self.file("f.jsonl", lines))
        self.check("a")
        self.create("b")
        self.ok("ingest", "b", self.file("f.jsonl.gz", gzip.compress(lines.encode())))
        self.check("b")
        self.create("c")
        self.ok("ingest", "c", "-", stdin=lines)
        self.check("c")
        self.create("d")
        halves = [self.file("1.jsonl", "".join(json.dumps(f) + "\r\n" for f in FILMS[:2])),
                  self.file("2.jsonl", "\n".join(json.dumps(f) for f in FILMS[2:]))]
        self.ok("ingest", "d", *halves, "--batch", "1")
        self.check("d")

    def test_id_field(self):
        lines = "".join(json.dumps({**source(f), "key": int(f["_id"])}) + "\n" for f in FILMS)
        self.create("a")
        self.ok("ingest", "a", "-", "--id", "key", stdin=lines)
        self.assertEqual(sorted(self.hits("a", "earth")), ["3", "4"])
        self.ok("ingest", "a", "-", "--id", "key", stdin=lines)  # replaces
        self.assertEqual(self.json("table", "stats", "a")["documents"], 4)
        err = self.fails(1, "ingest", "a", "-", "--id", "absent", stdin=lines)
        self.assertIn("--id", err)

    def test_bulk(self):
        lines = []
        for film in FILMS:
            lines += [json.dumps({"index": {"_id": film["_id"]}}), json.dumps(source(film))]
        lines += [json.dumps({"create": {"_id": "9"}}), json.dumps({"title": "gone", "year": 1}),
                  json.dumps({"update": {"_id": "9"}}), json.dumps({"doc": {"year": 2}}),
                  json.dumps({"delete": {"_id": "9"}})]
        self.create("a")
        self.ok("ingest", "a", self.file("f.ndjson", "\n".join(lines) + "\n"))
        self.check("a")
        self.create("b")
        self.ok("ingest", "b", self.file("f.txt", "\n".join(lines) + "\n"), "--format", "bulk")
        self.check("b")

    def test_csv(self):
        def cell(value):
            return '"' + str(value).replace('"', '""') + '"'
        films = [{**f, "text": f["text"].replace("\n", " ")} for f in FILMS]
        names = list(films[0])
        lines = [",".join(names)] + [",".join(cell(f[n]) for n in names) for f in films]
        self.create("a")
        self.ok("ingest", "a", self.file("f.csv", "\n".join(lines) + "\n"))
        hit = next(h for h in self.json("search", "a", "earth", "--format", "json")["hits"] if h["id"] == "3")
        self.assertEqual(hit["source"]["text"], "he \"fell\" from the sky")
        self.assertEqual(self.json("table", "stats", "a")["documents"], 4)
        dsl = self.file("years.json", json.dumps({"query": {"range": {"year": {"gte": 1980, "lt": 2000}}}}))
        self.assertEqual(sorted(self.hits("a", "--dsl", dsl)), ["1", "2"])

    def test_csv_cells_may_hold_line_breaks(self):
        text = '_id,title,text\n1,one,"first\nsecond"\n2,two,plain\n'
        self.create("a")
        self.ok("ingest", "a", self.file("f.csv", text))
        self.assertEqual(self.json("search", "a", "one", "--format", "json")["hits"][0]["source"]["text"],
                         "first\nsecond")

    def test_tsv(self):
        films = [{**f, "text": f["text"].replace("\n", " ")} for f in FILMS]
        lines = ["\t".join(films[0])] + ["\t".join(map(str, f.values())) for f in films]
        self.create("a")
        self.ok("ingest", "a", self.file("f.tsv.gz", gzip.compress("\n".join(lines).encode())))
        self.assertEqual(self.json("table", "stats", "a")["documents"], 4)
        self.assertEqual(sorted(self.hits("a", "earth")), ["3", "4"])

    def test_ha3(self):
        documents = ""
        for film in FILMS:
            documents += "CMD=add\x1f\nid=" + film["_id"] + "\x1f\n"
            documents += "".join(f"{k}={v}\x1f\n" for k, v in source(film).items()) + "\x1e\n"
        documents += "CMD=add\x1f\nid=9\x1f\ntitle=gone\x1f\n\x1e\nCMD=delete\x1f\nid=9\x1f\n\x1e\n"
        self.create("a")
        self.ok("ingest", "a", self.file("f.ha3", documents))
        self.check("a", numbers_as_text=True)

    def test_table_made_on_the_way(self):
        self.ok("ingest", "fresh", "-", stdin=json.dumps(source(FILMS[0])) + "\n")
        self.assertEqual(self.json("table", "show", "fresh")["mappings"]["properties"]["year"]["type"], "long")

    def test_bad_documents_are_named_and_the_rest_kept(self):
        self.create("a")
        path = self.file("f.jsonl", '{"_id":"1","title":"good"}\n{"_id":"2","year":"soon"}\n'
                                    '{"_id":"3","title":\n[1]\n\n{"_id":"4","title":"good too"}\n')
        err = self.fails(1, "ingest", "a", path)
        for line in (2, 3, 4):
            self.assertIn(f"f.jsonl:{line}:", err)
        self.assertIn("year", err)
        self.assertEqual(sorted(self.hits("a", "good")), ["1", "4"])
        self.fails(3, "ingest", "a", self.folder / "absent.jsonl")
        self.fails(1, "ingest", "a", self.file("cut.jsonl.gz", gzip.compress(b'{"a":1}\n' * 1000)[:-20]))


class Search(Base):
    def setUp(self):
        super().setUp()
        self.films()

    def test_words(self):
        reply = self.json("search", "films", "running man", "--format", "json", "--explain")
        self.assertEqual([h["id"] for h in reply["hits"]][0], "1")
        self.assertEqual(reply["total"], 3)
        hit = reply["hits"][0]
        self.assertTrue(math.isclose(hit["explanation"]["value"], hit["score"], rel_tol=1e-5))
        self.assertEqual([s["name"] for s in reply["stages"]][0], "recall")
        self.assertEqual(hit["source"]["year"], 1987)
        self.assertEqual(self.hits("films", "running man", "--size", "1"), ["1"])
        self.assertEqual(self.hits("films", "running man", "--from", "1"), [h["id"] for h in reply["hits"]][1:])
        table = self.ok("search", "films", "running man")
        self.assertIn("The running man (1987)", table)
        self.assertIn("3 found", table)

    def test_pipeline_file(self):
        path = self.file("p.json", json.dumps({"recall": {"text": {"fields": ["title"], "operator": "and"}}}))
        self.assertEqual(self.hits("films", "running man", "--pipeline", path), ["1"])
        bad = self.file("bad.json", json.dumps({"recal": {}}))
        self.assertIn("recall", self.fails(1, "search", "films", "x", "--pipeline", bad))
        self.assertIn("nosuch", self.fails(3, "search", "films", "x", "--pipeline", "nosuch"))

    def test_dsl(self):
        path = self.file("q.json", json.dumps({"query": {"match": {"title": "man"}}, "size": 1}))
        reply = self.json("search", "films", "--dsl", path, "--format", "json")
        self.assertEqual((reply["total"], len(reply["hits"])), (2, 1))
        bad = self.file("bad.json", '{"query": {"match": {"title": "man"}')
        self.fails(1, "search", "films", "--dsl", bad)

    def test_query(self):
        reply = self.json("query", "films", "query=title:'running man'&&config=hit:5&&kvpairs=formula:year",
                          "--format", "json")
        self.assertEqual([h["id"] for h in reply["hits"]], ["1"])
        self.assertEqual(reply["hits"][0]["score"], 11987)
        asked = [["query=title:'man'&&kvpairs=formula:year", "--ha3"],
                 ["running man", "--pipeline", self.file("p.json", '{"rough": {"formula": "year*2"}}')],
                 ["--dsl", self.file("q.json", '{"query": {"match": {"title": "man"}}}')]]
        with Server(self.data) as server:
            for request in asked:
                told = json.loads(self.ok("explain", "films", "1", *request, "--server", server.url))
                self.assertEqual([h["id"] for h in told["hits"]], ["1"])
                self.assertGreater(told["hits"][0]["score"], 0)
        for request in asked:
            here = self.json("explain", "films", "1", *request, "--format", "json")
            self.assertEqual([h["id"] for h in here["hits"]], ["1"])
        self.fails(2, "explain", "films", "1")
        self.fails(2, "explain", "films", "1", "x", "--dsl", "q.json")
        self.assertIn("11987.0000", self.ok("query", "films", "query=title:'man'&&kvpairs=formula:year"))
        err = self.fails(1, "query", "films", "query=title:'man'&&kvpairs=formula:yeer+1")
        self.assertIn("year", err)
        full = self.json("query", "films", "query=title:'man'", "--format", "fulljson", "--explain")
        self.assertEqual(len(full["hits"]), 2)

    def test_explain(self):
        found = {h["id"]: h for h in self.json("search", "films", "running man", "--format", "json")["hits"]}
        for name, hit in found.items():
            reply = self.json("explain", "films", name, "running man", "--format", "json")
            self.assertEqual([h["id"] for h in reply["hits"]], [name])
            self.assertTrue(math.isclose(reply["hits"][0]["explanation"]["value"], hit["score"], rel_tol=1e-5))
        self.assertIn("idf, computed as", self.ok("explain", "films", "1", "running man"))
        reply = self.json("explain", "films", "1", "query=title:'man'&&kvpairs=formula:year", "--ha3",
                          "--format", "json")
        self.assertEqual(reply["hits"][0]["score"], 11987)

    def test_analyze(self):
        tokens = self.json("analyze", "--analyzer", "english", "The runner's dogs", "--format", "json")
        self.assertEqual([t["token"] for t in tokens], ["runner", "dog"])
        self.assertEqual([t["position"] for t in tokens], [1, 2])
        tokens = self.json("analyze", "--table", "films", "--field", "title", "The dogs", "--format", "json")
        self.assertEqual([t["token"] for t in tokens], ["dog"])
        tokens = self.json("analyze", "é😀 b", "--format", "json")
        self.assertEqual([(t["token"], t["start_offset"], t["end_offset"], t["start_byte"]) for t in tokens],
                         [("é", 0, 1, 0), ("😀", 1, 3, 2), ("b", 4, 5, 7)])
        self.assertIn("runner", self.ok("analyze", "--analyzer", "english", "the runners"))
        self.assertIn("english", self.fails(1, "analyze", "--analyzer", "englsh", "x"))


class ThroughServer(Base):
    """The same commands with --server: what the folder's holder answers."""

    def test_commands(self):
        with Server(self.data) as server:
            url = ["--server", server.url]
            with Folder() as elsewhere:
                schema = self.file("schema.json", json.dumps(MAPPING))
                self.ok("table", "create", "films", "--schema", schema, *url, data=elsewhere)
                lines = self.file("f.jsonl", "".join(json.dumps(f) + "\n" for f in FILMS))
                self.ok("ingest", "films", lines, *url, data=elsewhere)
                self.assertEqual(server.request("GET", "/films/_count")[1]["count"], 4)
                self.assertIn("films", json.dumps(self.json("table", "list", *url, data=elsewhere)))
                self.assertEqual(self.json("table", "show", "films", *url, data=elsewhere)
                                 ["films"]["mappings"]["properties"]["year"]["type"], "integer")
                self.assertTrue(self.json("table", "stats", "films", *url, data=elsewhere))
                self.ok("table", "optimize", "films", *url, data=elsewhere)
                reply = self.json("search", "films", "running man", "--format", "json", *url, data=elsewhere)
                self.assertEqual(reply["hits"][0]["id"], "1")
                reply = self.json("search", "films", "--dsl", self.file("q.json", '{"query":{"match_all":{}}}'),
                                  "--format", "json", *url, data=elsewhere)
                self.assertEqual(reply["hits"]["total"]["value"], 4)
                reply = self.json("query", "films", "query=title:'man'&&config=format:json", *url, data=elsewhere)
                self.assertEqual(reply["result"]["totalHits"], 2)
                self.assertIn("films", json.dumps(self.json("table", "list", data=elsewhere,
                                                            env={"QUERN_SERVER": server.url})))
                err = self.fails(3, "search", "nothing", "x", *url, data=elsewhere)
                self.assertIn("nothing", err)
                self.ok("table", "drop", "films", *url, data=elsewhere)
                self.fails(3, "table", "show", "films", *url, data=elsewhere)
            # without --server the folder is held, and the error says how to go on
            err = self.fails(1, "table", "list")
            self.assertIn("--server", err)
            self.assertIn(str(server.process.pid), err)
        self.assertEqual(self.json("table", "list", "--format", "json"), [])

    def test_no_server_there(self):
        err = self.fails(1, "table", "list", "--server", "http://127.0.0.1:9")
        self.assertIn("127.0.0.1:9", err)

    def test_print_config(self):
        code, out, _ = run("serve", "--print-config", "--queue-max", "7", env={"QUERN_WORKERS": "3"}, data=self.data)
        self.assertEqual(code, 0)
        values = dict(re.findall(r"^([a-z_]+) *= *(.*)$", out, re.M))
        self.assertEqual((values["queue_max"], values["workers"], values["listen"]), ("7", "3", "127.0.0.1:9200"))
        config = self.file("quern.conf", out.replace("queue_max = 7", "queue_max = 9"))
        again = run("serve", "--print-config", "--config", config, data=self.data)[1]
        self.assertIn("queue_max = 9", again)
        flagged = run("serve", "--print-config", "--config", config, "--queue-max", "8", data=self.data)[1]
        self.assertIn("queue_max = 8", flagged)
        for arguments, said in ((["--queue-maks", "1"], "queue-max"), (["--queue-max", "0"], "queue"),
                                (["--config", self.file("bad.conf", "queue_maxx = 1\n")], "queue_max")):
            err = self.fails(2, "serve", "--print-config", *arguments)
            self.assertIn(said, err)


class Models(Base):
    """Shipped models where they are, and tiny ones imported."""

    def setUp(self):
        super().setUp()
        self.golden = ROOT / "tests/golden/nn"

    def test_import_and_use(self):
        self.assertIn("tiny", self.ok("model", "import", self.golden / "tiny-rerank", "--name", "tiny-r",
                                      "--dtype", "f32"))
        self.ok("model", "import", self.golden / "tiny-embed", "--name", "tiny-e", "--dtype", "f32")
        listed = {m["name"]: m for m in self.json("model", "list", "--format", "json")}
        self.assertEqual((listed["tiny-r"]["task"], listed["tiny-e"]["task"]), ("rerank", "embed"))
        self.assertEqual(listed["tiny-r"]["dtype"], "f32")
        self.assertIn("tiny-r", self.ok("model", "list"))
        self.assertEqual(self.json("model", "show", "tiny-e", "--format", "json")["dims"], 32)
        self.assertIn("tiny-e", self.ok("model", "show", "tiny-e"))
        self.assertIn("right", self.ok("model", "verify", "tiny-r"))
        code, _, err = run("model", "import", self.folder, "--name", "nothing-there", data=self.data)
        self.assertIn(code, (1, 3), err)
        self.assertIn("not f64", self.fails(2, "model", "import", self.golden / "tiny-rerank", "--name", "x", "--dtype", "f64"))
        self.assertIn("truncation  ", self.ok("model", "show", "tiny-r"))
        self.assertIn("pooling     ", self.ok("model", "show", "tiny-e"))
        self.assertIn("truncation", self.json("model", "show", "tiny-r", "--format", "json"))
        self.check_golden()
        self.check_damage()
        self.ok("model", "rm", "tiny-e")
        self.fails(3, "model", "show", "tiny-e")

    def check_golden(self):
        texts = ["a quern grinds grain", "", "{\"text\": \"a mill\"}", "\"a stone\""]
        out = self.ok("embed", "--model", "tiny-e", stdin="\n".join(texts) + "\n")
        vectors = [json.loads(line)["embedding"] for line in out.splitlines()]
        self.assertEqual([len(v) for v in vectors], [32] * 4)
        again = self.ok("embed", "--model", "tiny-e", self.file("t.txt", "a mill\n"))
        self.assertEqual(json.loads(again)["embedding"], vectors[2])
        documents = ["one stone", "two stones", "a mill of stones"]
        lines = "".join(d + "\n" for d in documents)
        raw = [json.loads(x) for x in self.ok("rerank", "--model", "tiny-r", "--query", "stones", "--raw",
                                              stdin=lines).splitlines()]
        self.assertEqual(sorted(r["index"] for r in raw), [0, 1, 2])
        self.assertEqual([r["score"] for r in raw], sorted((r["score"] for r in raw), reverse=True))
        plain = [json.loads(x) for x in self.ok("rerank", "--model", "tiny-r", "--query", "stones",
                                                stdin=lines).splitlines()]
        for a, b in zip(raw, plain):
            self.assertEqual(a["index"], b["index"])
            self.assertTrue(math.isclose(b["score"], 1 / (1 + math.exp(-a["score"])), rel_tol=1e-5))
        top = self.ok("rerank", "--model", "tiny-r", "--query", "stones", "--top", "1", stdin=lines)
        self.assertEqual([json.loads(x)["index"] for x in top.splitlines()], [plain[0]["index"]])
        # a document's score does not depend on its neighbours
        self.assertIn('line 2: a JSON object needs the text in "text"',
                      self.fails(1, "rerank", "--model", "tiny-r", "--query", "stones", stdin='a\n{"body": "b"}\n'))
        alone = json.loads(self.ok("rerank", "--model", "tiny-r", "--query", "stones", "--raw",
                                   stdin=documents[1] + "\n"))
        self.assertEqual(alone["score"], next(r["score"] for r in raw if r["index"] == 1))
        listed = json.loads(self.ok("rerank", "--model", "tiny-r", "--query", "stones", "--json", "--text", stdin=lines))
        self.assertEqual([(r["index"], r["score"]) for r in listed], [(r["index"], r["score"]) for r in plain])
        self.assertTrue(all(r["text"] for r in listed))
        table = self.ok("rerank", "--model", "tiny-r", "--query", "stones", "--format", "table", stdin=lines)
        self.assertEqual(len(table.splitlines()), len(plain) + 1)
        self.fails(2, "rerank", "--model", "tiny-r", "--query", "x", "--format", "xml", stdin=lines)
        self.fails(2, "rerank", "--model", "tiny-r", "--query", "x", "--mask", stdin=lines)
        words = json.loads(self.ok("rerank", "--model", "tiny-r", "--query", "stones", "--explain-words", "--json",
                                   "--top", "1", stdin=lines))[0]
        self.assertEqual(words["index"], plain[0]["index"])
        self.assertEqual([w["text"] for w in words["words"]["query"]], ["stones"])
        self.assertEqual(words["words"]["partial"], False)
        bars = self.ok("rerank", "--model", "tiny-r", "--query", "stones", "--explain-words", "--top", "1", stdin=lines)
        self.assertIn("stones", bars)
        self.assertIn("|", bars)
        short = [json.loads(x)["embedding"] for x in self.ok("embed", "--model", "tiny-e", "--dims", "3",
                                                             stdin="a mill\n").splitlines()]
        self.assertEqual(len(short[0]), 3)
        self.fails(1, "embed", "--model", "tiny-e", "--dims", "3000", stdin="a mill\n")
        self.fails(2, "embed", "--model", "tiny-e", "--format", "table", stdin="a mill\n")
        self.fails(1, "rerank", "--model", "tiny-e", "--query", "x", stdin=lines)
        self.fails(1, "embed", "--model", "tiny-r", stdin=lines)

    def check_damage(self):
        path = next((self.data / "models").glob("tiny-r*"))
        bytes_ = bytearray(path.read_bytes())
        bytes_[len(bytes_) // 2] ^= 1
        path.write_bytes(bytes_)
        err = self.fails(1, "model", "verify", "tiny-r")
        self.assertIn(path.name, err)


class Evaluation(Base):
    def test_metrics_by_hand(self):
        self.films()
        queries = self.file("q.tsv", "q1\trunning\nq2\tearth\nq3\tnothing at all\nq4\tunjudged\n")
        qrels = self.file("r.tsv", "query-id\tcorpus-id\tscore\nq1\t2\t1\nq2\t3\t2\nq2\t4\t1\nq3\t1\t1\n")
        trec = self.file("r.trec", "q1 0 2 1\nq2 0 3 2\nq2 0 4 1\nq3 0 1 1\n")
        got = self.json("eval", "films", "--queries", queries, "--qrels", qrels, "--format", "json",
                        "--metrics", "mrr@10,recall@100,ndcg@10,map", "--per-query", self.folder / "per.tsv")
        order = self.hits("films", "running")
        mrr = (1 / (order.index("2") + 1) + 1 + 0) / 3
        self.assertEqual(got["queries"], 3)
        self.assertAlmostEqual(got["pipelines"][0]["mrr@10"], mrr, places=5)
        self.assertAlmostEqual(got["pipelines"][0]["recall@100"], 2 / 3, places=5)
        self.assertEqual(self.json("eval", "films", "--queries", queries, "--qrels", trec, "--format", "json",
                                   "--metrics", "mrr@10")["pipelines"][0]["mrr@10"],
                         got["pipelines"][0]["mrr@10"])
        rows = [line.split("\t") for line in (self.folder / "per.tsv").read_text().splitlines()[1:]]
        self.assertEqual(len(rows), 3 * 4)
        mean = sum(float(r[3]) for r in rows if r[2] == "ndcg@10") / 3
        self.assertAlmostEqual(got["pipelines"][0]["ndcg@10"], mean, places=5)
        dcg = {q: [r for r in rows if r[0] == q and r[2] == "ndcg@10"][0][3] for q in ("q2", "q3")}
        self.assertEqual(float(dcg["q3"]), 0)
        gains = [{"3": 2, "4": 1}.get(i, 0) for i in self.hits("films", "earth")]
        want = sum(g / math.log2(i + 2) for i, g in enumerate(gains)) / (2 + 1 / math.log2(3))
        self.assertAlmostEqual(float(dcg["q2"]), want, places=5)
        self.fails(1, "eval", "films", "--queries", queries, "--qrels", self.file("bad", "q1 0\n"))
        self.fails(1, "eval", "films", "--queries", queries, "--qrels", qrels, "--metrics", "ndgc@10")

    def test_movies(self):
        """Real queries over the shipped films, words alone."""
        movies = ROOT / "examples/movies"
        schema = json.loads((movies / "schema.json").read_text())
        schema["mappings"]["properties"] = {k: v for k, v in schema["mappings"]["properties"].items()
                                            if "quern_model" not in v}
        self.ok("table", "create", "movies", "--schema", self.file("schema.json", json.dumps(schema)))
        self.ok("ingest", "movies", movies / "movies.jsonl.gz")
        title = self.file("title.json", json.dumps({"recall": {"text": {"fields": ["title"]}}}))
        got = self.json("eval", "movies", "--queries", movies / "queries.tsv", "--qrels", movies / "qrels.tsv",
                        "--limit", "60", "--pipeline", "bm25", "--pipeline", title, "--format", "json")
        self.assertEqual(got["queries"], 60)
        self.assertEqual([p["pipeline"] for p in got["pipelines"]], ["bm25", "title.json"])
        for pipeline in got["pipelines"]:
            for metric in ("ndcg@10", "mrr@10", "recall@100", "map"):
                self.assertTrue(0 < pipeline[metric] <= 1, (pipeline, metric))


if __name__ == "__main__":
    unittest.main()

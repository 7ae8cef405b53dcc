# SPDX-License-Identifier: Apache-2.0
"""Plug-ins in Cava over HTTP and the command line: from a source with a mistake to a score in
a search, versions, what is refused and how; plug-ins that would never end beside other
requests."""
import json
import re
import unittest

from harness import ROOT, Commands, Server, clauses, engine_schema, rank

TABLE = "/_quern/tables/goods/plugins"
SCHEMA = {"id": "STRING", "n": "INT32", "price": "DOUBLE", "tags": "STRING*", "title": "TEXT:standard"}
DOCS = [
    {"id": "d1", "n": 1, "price": 10.0, "tags": ["red", "new"], "title": "red lamp"},
    {"id": "d2", "n": 2, "price": 30.0, "tags": ["green"], "title": "green lamp shade"},
    {"id": "d3", "n": 3, "price": 20.0, "tags": [], "title": "lamp"},
    {"id": "d4", "n": 4, "price": 40.0, "tags": ["red"], "title": "red carpet"},
]

# The two documented forms. Each scores 100 * price + wanted.
OPS = """package users.scorer;
import com.aliyun.opensearch.cava.framework.OpsScoreParams;
import com.aliyun.opensearch.cava.framework.OpsScorerInitParams;
import com.aliyun.opensearch.cava.framework.OpsDoc;

class BasicSimilarityScorer {
    double _wanted;
    boolean init(OpsScorerInitParams params) {
        _wanted = params.getRequest().getKVPairs().getDouble("wanted");
        return params.getDoc().requireAttribute("price");
    }
    double score(OpsScoreParams params) {
        OpsDoc doc = params.getDoc();
        doc.trace("price", doc.docFieldDouble("price"));
        return doc.docFieldDouble("price") * 100 + _wanted;
    }
};
"""
HA3 = """package plugins;
import ha3.*;
class Price {
    DoubleRef price;
    double wanted;
    boolean init(ha3.ScorerProvider provider) {
        wanted = provider.getKVMapApi().getDouble("wanted");
        price = provider.getRefManager().requireDouble("price");
        return price != null;
    }
    double process(MatchDoc doc) { return price.get(doc) * 100 + wanted; }
}
"""
BAD = OPS.replace("* 100 + _wanted", "* 100 + _wonted")
CARET = ("%s:15.52-15.58 [30002] no variable '_wonted'\n"
         "            return doc.docFieldDouble(\"price\") * 100 + _wonted;\n"
         "                                                       ^~~~~~~\n")


def constant(value):
    """A plug-in of the HA3 form that gives every document this."""
    return "import ha3.*;\nclass Same { double process(MatchDoc d) { return %s; } }\n" % value


def body(*statements, members=""):
    """A plug-in of the OpenSearch form with these statements in score()."""
    return ("package users.scorer;\nimport com.aliyun.opensearch.cava.framework.*;\n"
            "class BasicSimilarityScorer {\n%s"
            "    boolean init(OpsScorerInitParams p) { return p.getDoc().requireAttribute(\"n\"); }\n"
            "    double score(OpsScoreParams p) {\n        %s\n    }\n}\n"
            % (members, "\n        ".join(statements)))


class Goods(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().__enter__()
        cls.server.create("goods", engine_schema("goods", SCHEMA))
        cls.server.push("goods", DOCS)

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def setUp(self):
        for name in {p["name"] for p in self.call("GET", TABLE)["plugins"]}:
            self.call("DELETE", f"{TABLE}/{name}")

    def call(self, method, path, data=None, status=200):
        got, reply = self.server.request(method, path, data)
        self.assertEqual(got, status, reply)
        return reply

    def refused(self, status, said, method, path, data=None):
        self.assertIn(said, self.call(method, path, data, status)["error"]["text"])

    def put(self, name, source, query=""):
        return self.call("PUT", f"{TABLE}/{name}{query}", source)

    def ask(self, request):
        status, reply = self.server.query(request, "goods")
        self.assertEqual(status, 200, reply)
        return reply

    def ranks(self, kvpairs="", config="hit:10", query="title:'lamp'", **more):
        """[(id, RANK)] in the order of the reply."""
        if kvpairs:
            more["kvpairs"] = kvpairs
        items = self.server.items(clauses(query, config, **more), "goods")
        return [(i["fields"]["id"], i["sortExprValues"][0]) for i in items]

    def error(self, request):
        errors = self.ask(request)["errors"]
        self.assertEqual(len(errors), 1, errors)
        return errors[0]["message"]

    WANTED = [("d2", rank(3007)), ("d3", rank(2007)), ("d1", rank(1007))]


class Http(Goods):
    def test_from_a_mistake_to_a_score(self):
        reply = self.call("POST", "/_quern/plugins/check?name=dear", BAD)
        self.assertFalse(reply["ok"])
        self.assertEqual(reply["text"], CARET % "dear.cava")
        self.assertEqual(reply["diagnostics"], [{
            "file": "dear.cava", "line": 15, "column": 52, "end_line": 15, "end_column": 58,
            "code": 30002, "message": "no variable '_wonted'"}])
        self.assertEqual(self.call("POST", "/_quern/plugins/check", OPS), {"ok": True, "diagnostics": [], "text": ""})
        # what does not compile is not stored
        reply = self.call("PUT", f"{TABLE}/dear", BAD, 400)
        self.assertEqual(reply["text"], CARET % "dear.cava")
        self.assertEqual(self.call("GET", TABLE), {"table": "goods", "plugins": []})

        for source in (OPS, HA3):
            with self.subTest(source=source[:20]):
                reply = self.put("dear", source, "?draft")
                self.assertEqual((reply["name"], reply["version"], reply["active"]), ("dear", 1, False))
                self.assertEqual(reply["files"], [{"name": "dear.cava", "source": source}])
                self.assertEqual([(p["name"], p["version"], p["active"]) for p in self.call("GET", TABLE)["plugins"]],
                                 [("dear", 1, False)])
                self.refused(404, "no active version", "GET", f"{TABLE}/dear")
                self.assertIn("no active version", self.error(clauses(
                    "title:'lamp'", kvpairs="second_rank_name:dear,second_rank_type:cava_script")))
                self.assertEqual(self.call("GET", f"{TABLE}/dear?version=1")["files"][0]["source"], source)
                self.check_test_route(source is OPS)
                reply = self.call("POST", f"{TABLE}/dear/activate", {"version": 1})
                self.assertEqual((reply["version"], reply["active"]), (1, True))
                self.check_searches()
                self.call("DELETE", f"{TABLE}/dear")

    def check_test_route(self, traced):
        reply = self.call("POST", f"{TABLE}/dear/test", {
            "id": "d1", "query": clauses("title:'lamp'", kvpairs="wanted:7"), "kind": "ha3", "version": 1})
        self.assertEqual((reply["found"], reply["id"], reply["scored"], reply["plugin_score"], reply["score"],
                          reply["warnings"]), (True, "d1", True, 1007, 11007, []))
        fine = [t for t in reply["trace"] if t["stage"] == "fine"][0]
        self.assertEqual((fine["plugin"], fine["value"]), ("dear", 1007))
        if traced:
            self.assertEqual(fine["log"], "[dear.cava:14][price 10]\n")

    def check_searches(self):
        self.assertEqual(self.ranks("second_rank_name:dear,second_rank_type:cava_script,wanted:7"), self.WANTED)
        self.assertEqual(self.ranks("second_rank_name:dear,wanted:7"), self.WANTED)
        self.assertEqual(self.ranks("wanted:7", rank="rank_profile:dear"), self.WANTED)
        # only the best of the rough sort are scored; those come first
        got = self.ranks("second_rank_name:dear,wanted:7", "hit:10,rerank_size:1", first_formula="n")
        self.assertEqual(got, [("d3", rank(2007)), ("d2", rank(2)), ("d1", rank(1))])
        status, reply = self.server.request("POST", "/_quern/search", {
            "table": "goods", "query": "lamp", "pipeline": {"fine": {"plugin": "dear", "keep": 10}}})
        self.assertEqual(status, 200, reply)
        self.assertEqual([(h["id"], h["score"]) for h in reply["hits"]], [("d2", 3000), ("d3", 2000), ("d1", 1000)])

    def test_versions(self):
        for n in (1, 2, 3):
            self.assertEqual(self.put("same", constant(n))["version"], n)
        score = lambda: {r for _, r in self.ranks("second_rank_name:same")}
        self.assertEqual(score(), {rank(3)})
        self.put("same", constant(4), "?draft=true")
        self.assertEqual(score(), {rank(3)})
        reply = self.call("POST", f"{TABLE}/same/rollback")
        self.assertEqual((reply["version"], reply["active"]), (2, True))
        self.assertEqual(score(), {rank(2)})
        self.call("POST", f"{TABLE}/same/rollback")
        self.assertEqual(score(), {rank(1)})
        self.refused(404, "no version before", "POST", f"{TABLE}/same/rollback")
        self.call("POST", f"{TABLE}/same/activate", {"version": 4})
        self.assertEqual(score(), {rank(4)})
        self.assertEqual([p["version"] for p in self.call("GET", TABLE)["plugins"] if p["active"]], [4])
        # a test takes what it is given, and stores nothing
        tried = {"id": "d4", "query": "carpet", "kind": "words"}
        self.assertEqual(self.call("POST", f"{TABLE}/same/test", tried)["plugin_score"], 4)
        self.assertEqual(self.call("POST", f"{TABLE}/same/test", dict(tried, version=2))["plugin_score"], 2)
        self.assertEqual(self.call("POST", f"{TABLE}/same/test", dict(tried, source=constant(9)))["plugin_score"], 9)
        self.assertEqual(self.call("POST", f"{TABLE}/same/test", {
            "id": "d4", "kind": "dsl", "query": {"query": {"match": {"title": "carpet"}}}})["plugin_score"], 4)
        self.assertEqual(score(), {rank(4)})
        self.assertEqual(self.call("DELETE", f"{TABLE}/same"), {"dropped": True})
        self.assertIn("no Cava plug-in [same]", self.error(
            clauses("title:'lamp'", kvpairs="second_rank_name:same,second_rank_type:cava_script")))
        self.refused(404, "[same]", "DELETE", f"{TABLE}/same")

    def test_several_files(self):
        files = [{"name": "s.cava", "source": "import ha3.*; class S { double process(MatchDoc d) "
                                              "{ return T.v(); } }"},
                 {"name": "t.cava", "source": "class T { static double v() { return 5; } }"}]
        reply = self.put("two", {"files": files, "description": "of two files"})
        self.assertEqual((reply["files"], reply["description"]), (files, "of two files"))
        self.assertEqual({r for _, r in self.ranks("second_rank_name:two")}, {rank(5)})
        files[1]["source"] = "class T { static double v() {\n  return x; } }"
        reply = self.call("PUT", f"{TABLE}/two", {"files": files}, 400)
        self.assertEqual([(d["file"], d["line"]) for d in reply["diagnostics"]], [("t.cava", 2)])
        many = [{"name": f"{n}.cava", "source": "class C%d { }" % n} for n in range(6)]
        for wrong, said in ((many, "more than 5 files"), ([], "missing or empty"), ([files[0], files[0]], "two files"),
                            ([dict(files[0], code="x")], '"code"'), ([{"name": "a b", "source": ""}], "blanks"),
                            ([7], '"source"')):
            self.refused(400, said, "PUT", f"{TABLE}/two", {"files": wrong})

    def test_profiles_beside_policies(self):
        """A profile is the rough policy and the plug-in of its name; what the request says
        itself goes before both, and a fine policy before a plug-in."""
        self.put("p", constant(5))
        self.call("PUT", "/_quern/tables/goods/policies/rough/p", {"formula": "n"})
        got = self.ranks(config="hit:10,rerank_size:1", rank="rank_profile:p")
        self.assertEqual(got, [("d3", rank(5)), ("d2", rank(2)), ("d1", rank(1))])
        got = self.ranks(rank="rank_profile:p", formula="n*7")
        self.assertEqual(got, [("d3", rank(21)), ("d2", rank(14)), ("d1", rank(7))])
        self.call("PUT", "/_quern/tables/goods/policies/fine/p", {"formula": "n*3"})
        want = [("d3", rank(9)), ("d2", rank(6)), ("d1", rank(3))]
        for how in ({"rank": "rank_profile:p"}, {"kvpairs": "second_rank_name:p"},
                    {"kvpairs": "second_rank_name:p,second_rank_type:expression"}):
            self.assertEqual(self.ranks(**how), want, how)
        self.assertEqual({r for _, r in self.ranks("second_rank_name:p,second_rank_type:cava_script")}, {rank(5)})
        for stage in ("rough", "fine"):
            self.call("DELETE", f"/_quern/tables/goods/policies/{stage}/p")
        self.assertIn("no fine policy [p]", self.error(clauses(
            "title:'lamp'", kvpairs="second_rank_name:p,second_rank_type:expression")))

    def test_wrong_names(self):
        self.put("dear", OPS)
        lamp = "query=title:'lamp'&&config=format:json"
        rows = [
            ("kvpairs=second_rank_name:deer,second_rank_type:cava_script", "did you mean [dear]"),
            ("kvpairs=second_rank_name:dear,second_rank_type:cava", "not 'cava'"),
            ("kvpairs=second_rank_type:cava_script", "needs second_rank_name"),
            ("kvpairs=second_rank_name:dear,second_rank_type:cava_script,formula:n", "one of them must go"),
            ("rank=rank_profile:deer", "[deer], nor a plug-in"),
        ]
        for more, said in rows:
            with self.subTest(more=more):
                self.assertIn(said, self.error(f"{lamp}&&{more}"))
        reply = self.ask(f"{lamp}&&kvpairs=second_rank_name:dear,scorer_class_name:plugins.No")
        self.assertIn("no scorer [plugins.No]", reply["errors"][0]["message"])
        status, reply = self.server.request("POST", "/_quern/search", {
            "table": "goods", "query": "lamp", "pipeline": {"fine": {"plugin": "deer"}}})
        self.assertEqual(status, 404, reply)
        self.assertIn("did you mean [dear]", json.dumps(reply))

    def test_wrong_input(self):
        self.put("dear", OPS)
        test = {"id": "d1", "query": "lamp"}
        rows = [
            (400, "is empty", "PUT", "dear", ""),
            (400, "byte", "PUT", "dear", "{oh"),
            (400, '"file"', "PUT", "dear", {"file": []}),
            (400, "[maybe]", "PUT", "dear?draft=maybe", OPS),
            (400, "64 letters", "PUT", "a%20b", OPS),
            (404, "did you mean [dear]", "GET", "deer", None),
            (400, "'x'", "GET", "dear?version=x", None),
            (404, "the newest is 1", "GET", "dear?version=2", None),
            (400, "[version] is required", "POST", "dear/activate", {}),
            (404, "the newest is 1", "POST", "dear/activate", {"version": 2}),
            (404, "no version before", "POST", "dear/rollback", None),
            (404, "[deer]", "DELETE", "deer", None),
            (400, "[id] and [query]", "POST", "dear/test", {"id": "d1"}),
            (400, "words, ha3 or dsl", "POST", "dear/test", dict(test, kind="sql")),
            (404, "the newest is 1", "POST", "dear/test", dict(test, version=2)),
            (404, "[d9]", "POST", "dear/test", dict(test, id="d9")),
            (404, "[deer]", "POST", "deer/test", test),
            (400, "dear.cava:15.52", "POST", "dear/test", dict(test, source=BAD)),
        ]
        for status, said, method, path, data in rows:
            with self.subTest(path=path, said=said):
                self.refused(status, said, method, f"{TABLE}/{path}", data)
        self.refused(404, "[bads]", "PUT", "/_quern/tables/bads/plugins/x", OPS)
        reply = self.call("PUT", f"{TABLE}/none", "class A { }", 400)
        self.assertIn("no entry point", reply["error"])
        reply = self.call("PUT", f"{TABLE}/none", OPS + "// " + "x" * 10240, 400)
        self.assertIn("10240", reply["error"]["text"])


class CommandLine(Commands):
    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def json(self, *arguments, **more):
        return json.loads(self.ok(*arguments, **more))

    def everything(self, server, **where):
        """All commands, on the folder or through a server."""
        ok = lambda *a: self.ok("plugin", *a, *server, **where)
        fails = lambda code, *a: self.fails(code, "plugin", *a, *server, **where)
        self.ok("table", "create", "goods", "--schema", self.write("schema.json", json.dumps(
            {"mappings": {"properties": {"title": {"type": "text"}, "price": {"type": "double"}}}})), *server, **where)
        lines = "".join(json.dumps({k: d[k] for k in ("id", "title", "price")}) + "\n" for d in DOCS)
        self.ok("ingest", "goods", self.write("goods.jsonl", lines), *server, **where)
        bad, ops, ha3 = (self.write(f"{name}.cava", source)
                         for name, source in (("bad", BAD), ("ops", OPS), ("ha3", HA3)))
        self.assertEqual(self.fails(1, "plugin", "check", bad), CARET % "bad.cava")
        self.assertIn("compiles", self.ok("plugin", "check", ops))
        self.assertIn(CARET % "bad.cava", fails(1, "put", "goods", "dear", bad))
        self.assertEqual(json.loads(ok("list", "goods"))["plugins"], [])
        lamp = "query=title:'lamp'&&kvpairs=wanted:7"
        for name, path, source in (("one", ops, OPS), ("two", ha3, HA3)):
            reply = json.loads(ok("put", "goods", name, path, "--draft"))
            self.assertEqual((reply["name"], reply["version"], reply["active"]), (name, 1, False))
            self.assertIn("no active version", fails(3, "show", "goods", name))
            self.assertEqual(json.loads(ok("show", "goods", name, "--version", "1"))["files"],
                             [{"name": path.name, "source": source}])
            tried = ["test", "goods", name, "--kind", "ha3", "--query", lamp, "--id", "d1"]
            self.assertEqual(json.loads(ok(*tried, "--version", "1"))["plugin_score"], 1007)
            ok("activate", "goods", name, "--version", "1")
            self.assertEqual(json.loads(ok(*tried))["score"], 11007)
            other = self.write("other.cava", constant(3))
            self.assertEqual(json.loads(ok(*tried, "--file", other))["plugin_score"], 3)
            request = lamp + f",second_rank_name:{name},second_rank_type:cava_script&&config=format:json"
            self.assertEqual(self.scores(request, server, where), [("d2", 13007), ("d3", 12007), ("d1", 11007)])
            self.assertEqual(json.loads(ok("put", "goods", name, other))["version"], 2)
            self.assertEqual({s for _, s in self.scores(request, server, where)}, {10003})
            ok("rollback", "goods", name)
            self.assertEqual({s for _, s in self.scores(request, server, where)}, {13007, 12007, 11007})
            self.assertIn("no version before", fails(3, "rollback", "goods", name))
        listed = [(p["name"], p["version"], p["active"]) for p in json.loads(ok("list", "goods"))["plugins"]]
        self.assertEqual(listed, [("one", 1, True), ("one", 2, False), ("two", 1, True), ("two", 2, False)])
        ok("drop", "goods", "two")
        rows = [(3, "[two]", "drop", "goods", "two"), (3, "did you mean [one]", "show", "goods", "ome"),
                (3, "the newest is 2", "activate", "goods", "one", "--version", "9"),
                (1, "64 letters", "put", "goods", "a b/c?d", ops), (3, "[bads]", "put", "bads", "x", ops),
                (3, "[bads]", "list", "bads"), (1, "no entry point", "put", "goods", "x", self.write("x.cava", "class A { }")),
                (3, "[d9]", "test", "goods", "one", "--query", "lamp", "--id", "d9"),
                (2, "--version", "activate", "goods", "one"), (2, "--id", "test", "goods", "one", "--query", "x"),
                (1, "[30002]", "test", "goods", "one", "--query", "lamp", "--id", "d1", "--file", bad)]
        for code, said, *arguments in rows:
            with self.subTest(arguments=arguments):
                self.assertIn(said, fails(code, *arguments))

    def scores(self, request, server, where):
        if server:  # through a server the reply is the dialect's own
            reply = self.json("query", "goods", request, *server, **where)
            return [(i["fields"]["id"], float(i["sortExprValues"][0])) for i in reply["result"]["items"]]
        reply = self.json("query", "goods", request, "--format", "json", **where)
        return [(h["id"], h["score"]) for h in reply["hits"]]

    def test_on_the_folder(self):
        self.everything([])

    def test_through_a_server(self):
        with Server(self.data) as server:
            self.everything(["--server", server.url], data=self.folder / "elsewhere")

    def test_checking_needs_no_folder(self):
        self.ok("plugin", "check", self.write("ops.cava", OPS))
        self.assertFalse(self.data.exists())

    def test_the_documented_example(self):
        page = (ROOT / "docs/reference/cava.md").read_text()
        source = re.search(r"```java\n(.*?)```", page, re.S)[1]
        self.ok("plugin", "check", self.write("price.cava", source))
        shown = re.search(r"```text\n(   price\.cava:.*?)   ```", page, re.S)[1]
        wrong = self.write("price.cava", source.replace("return _text.", "return _texz."))
        self.assertEqual(self.fails(1, "plugin", "check", wrong), re.sub("^   ", "", shown, flags=re.M))


if __name__ == "__main__":
    unittest.main()

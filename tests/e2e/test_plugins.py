# SPDX-License-Identifier: Apache-2.0
"""Plug-ins in Cava over HTTP and the command line: from a source with a mistake to a score in
a search, versions, what is refused and how; plug-ins that would never end beside other
requests."""
import json
import re
import threading
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

    def test_categories(self):
        """CategoryScore is category_score() of a formula: what query analysis predicts."""
        analysis = "/_quern/tables/goods/analysis"
        self.call("PUT", f"{analysis}/dictionaries/kinds", {"type": "category_prediction", "entries": [
            {"word": "lamp", "relevance": {"2": "2", "3": "1"}}]})
        self.call("PUT", f"{analysis}/rules/kind", {"processors": [
            {"name": "category_prediction", "intervention_dictionary": "kinds"}]})
        self.put("kind", body("return kind.evaluate(p) * 10 + 1;", members="    CategoryScore kind;\n")
                 .replace("class ", "import com.aliyun.opensearch.cava.features.algo.CategoryScore;\nclass ", 1)
                 .replace("return p.getDoc()", 'kind = CategoryScore.create(p, "n"); return p.getDoc()'))
        want = [("d2", rank(21)), ("d3", rank(11)), ("d1", rank(1))]
        more = "raw_query:lamp,qp:kind"
        self.assertEqual(self.ranks(f"second_rank_name:kind,{more}"), want)
        self.assertEqual(self.ranks(more, formula="category_score(n)*10+1"), want)
        self.assertEqual({r for _, r in self.ranks("second_rank_name:kind,raw_query:carpet,qp:kind")}, {rank(1)})
        self.call("DELETE", f"{analysis}/rules/kind")
        self.call("DELETE", f"{analysis}/dictionaries/kinds")

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


ENDLESS = "out of fuel: a run has 10000000 rounds of loops and calls"
MEMORY = "out of memory: a run has 41943040 bytes"
DEEP = "nested too deep: at most 512"


class Hostile(Goods):
    """What a plug-in does wrong ends in a warning with its place; the search's other parts, and
    other searches, go on."""

    # name, what the warning says, statements of score(), members of the class
    ROWS = [
        ("endless for", ENDLESS, "for (;;) { }"),
        ("endless while", ENDLESS, "long n = 0; while (true) n += n * 31 + 7;"),
        ("loops in loops", ENDLESS, "long n = 0; for (int i = 0; i < 2000000000; i++)"
                                    " for (int k = 0; k < 2000000000; k++) n += i ^ k; return n;"),
        ("endless recursion", DEEP, "return deep(1);", "int deep(int n) { return deep(n + 1) + 1; }"),
        ("two that call each other", DEEP, "return a(1);",
         "double a(double x) { return b(x) * 2; } double b(double x) { return a(x) * 3; }"),
        ("a tree of calls", ENDLESS, "return tree(500);",
         "long tree(int n) { return n < 2 ? 1 : tree(n - 1) + tree(n - 2); }"),
        ("a giant array", MEMORY, "long[] a = new long[2000000000]; return a[7];"),
        ("arrays without end", MEMORY, "int n = 0; for (;;) { byte[] a = new byte[100000]; n += a.length; }"),
        ("objects without end", MEMORY, "Node l = null; for (;;) { Node n = new Node(); n.next = l; l = n; }"),
        ("a negative length", "an array of -1 items", "int n = -1; int[] a = new int[n]; return a.length;"),
        ("division by zero", "division by zero", "int z = 0; return 7 / z;"),
        ("remainder by zero", "division by zero", "long z = 0; return 7 % z;"),
        ("out of bounds", "index 3 out of an array of 3 items", "int[] a = new int[3]; return a[3];"),
        ("below the bounds", "index -1 out", "int[] a = new int[3]; int i = -1; a[i] = 5; return 1;"),
        ("no array", "null array", "int[] a = null; return a[0];"),
        ("no object", "null object", "Node n = null; return n.next == null ? 1 : 2;"),
        ("past a string", "byte 99 of a string of 3", 'CString s = "abc"; return s.byteAt(99);'),
        ("long searches", ENDLESS,
         'CString s = new CString(new byte[1000000], 0, 1000000); CString t = "no"; int n = 0;'
         " for (int i = 0; i < 9000000; i++) n += s.indexOf(t); return n;"),
        ("long values of the request", ENDLESS,
         "int n = 0; for (int i = 0; i < 9000000; i++) n += kv.getLongArray(\"long\", \"no\").length; return n;"),
        ("long numbers of the request", ENDLESS,
         "double n = 0; for (int i = 0; i < 9000000; i++) n += kv.getDouble(\"digits\"); return n;"),
        ("endless traces", "out of", "for (;;) p.getDoc().trace(\"again\", 1);"),
    ]
    LONG = f"long:{'a' * 50000},digits:{'1' * 50000}"

    def hostile(self, statements, members=""):
        source = body(statements, members="    OpsKvPairs kv;\n    %s\n" % members)
        return (source.replace("{ return p.getDoc()", "{ kv = p.getRequest().getKVPairs(); return p.getDoc()")
                + "class Node { Node next; long a; }\n")

    def warned(self, name, config="hit:10,rank_trace:INFO", **more):
        """Searches with that plug-in; all documents come back, and one warning."""
        request = {"table": "goods", "kind": "ha3", "query": clauses(
            "title:'lamp'", config, kvpairs=f"second_rank_name:{name},{self.LONG}", **more)}
        status, reply = self.server.request("POST", "/_quern/search", request)
        self.assertEqual(status, 200, reply)
        self.assertEqual(sorted(h["id"] for h in reply["hits"]), ["d1", "d2", "d3"])
        self.assertEqual(len(reply["warnings"]), 1, reply)
        return reply

    def test_each_ends_with_a_warning(self):
        for name, said, *code in self.ROWS:
            with self.subTest(name=name):
                self.put("bad", self.hostile(*code))
                text = self.warned("bad")["warnings"][0]["text"]
                self.assertIn("plug-in bad: bad.cava:", text)
                self.assertIn(said, text)
                # the same in init(): nothing is scored
                source = self.hostile("return 1;", "double first(OpsScorerInitParams p) { %s } %s" % (
                    code[0], code[1] if len(code) > 1 else ""))
                if "p.getDoc().trace" not in code[0]:
                    self.put("early", source.replace("return p.getDoc()", "return first(p) < 5 && p.getDoc()"))
                    self.assertIn(said, self.warned("early")["warnings"][0]["text"])

    def test_the_other_form(self):
        """What fails scores 0, and all after it."""
        for name, said, code in (("loop", ENDLESS, "for (;;) { }"), ("zero", "division by zero", "return 7 / n;"),
                                 ("deep", DEEP, "return process(doc);")):
            self.put(name, "import ha3.*;\nclass S { int n; double process(MatchDoc doc) { %s } }\n" % code)
            reply = self.warned(name)
            self.assertIn(said, reply["warnings"][0]["text"])
            self.assertEqual({h["score"] for h in reply["hits"]}, {10000})

    def test_odd_numbers(self):
        """What Java makes of them; a score that is no finite number is 0."""
        rows = [("long a = -9223372036854775807L - 1, b = -1; return a / b == a && a % b == 0 ? 3 : 4;", rank(3)),
                ("int a = -2147483647 - 1, b = -1; return a / b == a && a % b == 0 ? 3 : 4;", rank(3)),
                ("int a = 2147483647; a++; return a < 0 && 1 << 33 == 2 ? 3 : 4;", rank(3)),
                ("double z = 0; return (int) (1 / z) == 2147483647 && (long) (z / z) == 0 ? 3 : 4;", rank(3))]
        for code, want in rows:
            self.put("odd", body(code))
            self.assertEqual({r for _, r in self.ranks("second_rank_name:odd")}, {want}, code)
        self.put("odd", body("double z = 0; return z / z;"))
        self.assertEqual({r for _, r in self.ranks("second_rank_name:odd")}, {rank(0)})

    def test_sources(self):
        """Sources that would keep a careless compiler busy, or end it."""
        rows = ["return " + "(" * 4000 + "1" + ")" * 4000 + ";", "return " + "-" * 4900 + "1;",
                "return " + "!" * 4900 + "true ? 1 : 2;", "{" * 4000 + "}" * 4000, "return 1" + "+1" * 4500 + ";",
                "return " + "true ? 1 : " * 800 + "2;", "if (true) " * 900 + "return 1; return 2;", "for (;;) " * 1000 + ";",
                "return " + "p.getDoc()." * 800 + "x;", "int " + ",".join(f"v{n}" for n in range(1500)) + "; return 1;",
                "int" + "[]" * 4000 + " a; return 1;", "return 9" + "9" * 5000 + ";", 'CString s = "' + "\\" * 5000]
        for code in rows:
            with self.subTest(code=code[:30]):
                reply = self.call("POST", "/_quern/plugins/check", body(code))
                if not reply["ok"]:
                    self.assertGreaterEqual(len(reply["diagnostics"]), 1, reply)
                    self.assertIn("^", reply["text"])

    def test_others_are_answered_meanwhile(self):
        """Many searches with endless plug-ins at once: every one ends, and every other request
        beside them succeeds."""
        self.put("loop", self.hostile(self.ROWS[0][2]))
        self.put("tree", self.hostile(*self.ROWS[5][2:]))
        self.put("good", constant(5))
        failures, over = [], threading.Event()

        def attempt(work):
            try:
                work()
            except Exception as problem:  # also of the connection: said at the end
                failures.append(problem)

        def attack(name):
            for _ in range(2):
                attempt(lambda: self.assertIn(ENDLESS, self.warned(name)["warnings"][0]["text"]))

        def bystand(count):
            while not over.is_set() or count[0] == 0:
                attempt(lambda: self.assertEqual(len(self.ranks("second_rank_name:good")), 3))
                attempt(lambda: self.assertEqual(self.server.request("GET", "/_quern/ready")[0], 200))
                count[0] += 1

        counts = [[0], [0]]
        attackers = [threading.Thread(target=attack, args=(n,)) for n in ("loop", "tree") * 4]
        bystanders = [threading.Thread(target=bystand, args=(c,)) for c in counts]
        for thread in attackers + bystanders:
            thread.start()
        for thread in attackers:
            thread.join()
        over.set()
        for thread in bystanders:
            thread.join()
        self.assertEqual(failures, [])
        self.assertTrue(all(c[0] > 0 for c in counts))

    def test_those_with_a_plugin_have_workers_of_their_own(self):
        def deferred():
            text = self.server.request("GET", "/metrics")[1]
            return int(re.search(r"^quern_http_deferred_total (\d+)", text, re.M)[1])

        self.put("good", constant(5))
        query = {"id": "d1", "query": clauses("title:'lamp'", "hit:1"), "kind": "ha3"}
        rows = [(0, lambda: self.ranks()), (1, lambda: self.ranks("second_rank_name:good")),
                (1, lambda: self.call("POST", f"{TABLE}/good/test", query)),
                (0, lambda: self.call("GET", f"{TABLE}/good"))]
        for more, ask in rows:
            before = deferred()
            ask()
            self.assertEqual(deferred() - before, more)


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

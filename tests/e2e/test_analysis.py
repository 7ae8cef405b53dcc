# SPDX-License-Identifier: Apache-2.0
"""Query analysis over HTTP and by the command line: rules and dictionaries stored, used by
HA3 queries and by words, switched off, told in replies; the practice guide's case of OR."""
import json
import unittest
import urllib.parse

from harness import Commands, Server, clauses, engine_schema

SONGS = [
    "黑色幽默,又称为“黑色喜剧”,是产生于1960年代美国的一个现代主义文学流派",
    "《黑色幽默》是周杰伦演唱的一首歌曲",
    "周杰伦,台湾华语流行歌曲男歌手、音乐家、编曲家、唱片制片人、魔术师。",
    "黑夜将至,周围一切都是黑色的,为了缓解压抑的气氛,周杰伦很幽默的说了一个笑话",
    "黑色幽默女版(原唱:周杰伦Jay Chou)",
    "Jay Chou 周杰伦【黑色幽默 Black Humor】-Official Music Video",
]
GOODS = [
    {"title": "red running shoes", "note": "light sneakers for the road", "kind": 1},
    {"title": "blue sneakers", "note": "canvas sneakers", "kind": 1},
    {"title": "new york city map", "note": "streets of the big apple", "kind": 2},
    {"title": "nyc hotels", "note": "hotels in new york", "kind": 3},
]


class OverHttp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.server.start()
        cls.call("PUT", "/songs", engine_schema("songs", {"id": "INT32", "name": "TEXT:chn_standard"}))
        cls.push("songs", [{"id": i + 1, "name": name} for i, name in enumerate(SONGS)])
        cls.call("PUT", "/goods", engine_schema(
            "goods", {"id": "INT32", "title": "TEXT:simple", "note": "TEXT:eng_standard", "kind": "INT32"}))
        cls.push("goods", [dict(one, id=i + 1) for i, one in enumerate(GOODS)])

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    @classmethod
    def call(cls, method, path, body=None, want=200):
        text = body if body is None or isinstance(body, str) else json.dumps(body)
        status, reply = cls.server.request(method, path, text, {"Content-Type": "application/json"})
        assert status == want, (method, path, status, reply)
        return reply

    @classmethod
    def push(cls, table, documents):
        cls.call("POST", f"/{table}/_bulk?refresh=true", "".join(
            json.dumps({"index": {"_id": str(d["id"])}}) + "\n" +
            json.dumps(d, ensure_ascii=False) + "\n" for d in documents))

    def query(self, table, request, **parameters):
        parameters = dict(parameters, table=table, query=request)
        return self.call("GET", "/query?" + urllib.parse.urlencode(parameters))

    def ids(self, table, request, **parameters):
        reply = self.query(table, request, **parameters)
        self.assertEqual(reply["errors"], [], reply)
        return [item["fields"]["id"] for item in reply["result"]["items"]]

    def store(self, table, kind, name, body):
        return self.call("PUT", f"/_quern/tables/{table}/analysis/{kind}/{name}", body)

    def forget(self, table):
        listed = self.call("GET", f"/_quern/tables/{table}/analysis")["analysis"]
        for one in sorted({(r["kind"], r["name"]) for r in listed}, reverse=True):
            kind = "rules" if one[0] == "rule" else "dictionaries"
            self.call("DELETE", f"/_quern/tables/{table}/analysis/{kind}/{one[1]}")

    def tearDown(self):
        self.forget("songs")
        self.forget("goods")

    def test_practice_case_1_and_2(self):
        """AND recalls what has all words; the rule with OR recalls the others behind them."""
        request = clauses("name:'黑色幽默周杰伦'", first_formula="static_bm25()", formula="text_relevance(name)")
        first = self.ids("songs", request)
        self.assertEqual(set(first), {"2", "4", "5", "6"})
        self.assertEqual(first[-1], "4")
        self.store("songs", "rules", "test_qp", {"rewrite": "OR"})
        found = self.ids("songs", request, qp="test_qp")
        self.assertEqual(set(found), {"1", "2", "3", "4", "5", "6"})
        self.assertEqual(set(found[:3]), {"2", "5", "6"})
        self.assertLess(found.index("1"), found.index("3"))
        self.assertEqual(self.ids("songs", request), first, "the rule is not active")

    def test_spelling_is_told(self):
        self.store("goods", "rules", "spell", {"processors": [{"name": "spell_check"}], "active": True})
        reply = self.query("goods", clauses("title:'snaekers'", "trace:INFO"))
        self.assertEqual([i["fields"]["id"] for i in reply["result"]["items"]], ["2"])
        self.assertEqual(reply["qp"], [{"app_name": "goods", "query_correction_info": [
            {"index": "title", "original_query": "snaekers", "corrected_query": "sneakers",
             "correction_level": 1}]}])
        self.assertIn("query analysis: {", reply["requestTrace"])
        for off in ("qp", "qp:spell_check", "qp:stop_word,qp:spell_check", "qp:spell_check:note|title"):
            with self.subTest(off=off):
                self.assertEqual(self.ids("goods", clauses("title:'snaekers'"), disable=off), [])
        self.assertEqual(self.ids("goods", clauses("title:'snaekers'"), disable="qp:spell_check:note"), ["2"])
        self.assertEqual(self.ids("goods", clauses("title:'snaekers'", kvpairs="disable:qp")), [])

    def test_synonyms_by_entries(self):
        self.store("goods", "dictionaries", "words", {"type": "synonym", "entries": []})
        self.store("goods", "rules", "same", {"processors": [
            {"name": "synonym", "intervention_dictionary": "words"}]})
        request = clauses("title:'trainers'", kvpairs="qp:same")
        self.assertEqual(self.ids("goods", request), [])
        self.call("POST", "/_quern/tables/goods/analysis/dictionaries/words/entries",
                  [{"cmd": "add", "word": "trainers", "alias": ["sneakers", "running shoes"]}])
        self.assertEqual(sorted(self.ids("goods", request)), ["1", "2"])
        self.call("POST", "/_quern/tables/goods/analysis/dictionaries/words/rollback")
        self.assertEqual(self.ids("goods", request), [])
        self.call("DELETE", "/_quern/tables/goods/analysis/dictionaries/words", want=400)

    def test_words_and_test_route(self):
        self.store("goods", "dictionaries", "kinds", {"type": "category_prediction", "entries": [
            {"word": "new york", "relevance": {"3": "2"}}]})
        self.store("goods", "rules", "all", {"active": True, "processors": [
            {"name": "spell_check"}, {"name": "stop_word"},
            {"name": "category_prediction", "field": "kind", "boost": 9, "intervention_dictionary": "kinds"}]})
        body = {"table": "goods", "query": "where is new yrok", "size": 10}
        reply = self.call("POST", "/_quern/search", body)
        self.assertEqual(reply["hits"][0]["id"], "4")
        told = reply["analysis"]
        self.assertEqual((told["rules"], told["categories"]), (["all"], {"3": 2}))
        self.assertEqual(told["queries"][0]["corrected_query"], "where is new york")
        plain = self.call("POST", "/_quern/search", dict(body, analysis=""))
        self.assertNotIn("analysis", plain)
        tried = self.call("POST", "/_quern/tables/goods/analysis/test",
                          {"query": "sneekers", "rule": {"processors": [{"name": "spell_check"}]}})
        self.assertEqual((tried["total"], tried["analysis"]["queries"][0]["corrected_query"]), (2, "sneakers"))
        tried = self.call("POST", "/_quern/tables/goods/analysis/test", {"query": "sneekers", "rules": ""})
        self.assertEqual(tried, {"total": 0, "analysis": None})

    def test_retry_threshold_of_the_request(self):
        self.store("goods", "rules", "again", {"active": True, "retry_below": 1})
        self.assertEqual(self.ids("goods", clauses("title:'blue sneakers'")), ["2"])
        self.assertEqual(sorted(self.ids("goods", clauses("title:'nyc sneakers'"))), ["2", "4"])
        again = self.query("goods", clauses("title:'running shoes'", "research_threshold:2,trace:INFO"))
        self.assertIn('"rewrite":"OR"', again["requestTrace"])

    def test_wrong_input(self):
        wrong = [
            ("rules/x", {"procesors": []}, "did you mean"),
            ("rules/x", {"processors": [{"name": "synonym", "intervention_dictionary": "no"}]}, "no dictionary"),
            ("rules/x", {"indexes": ["titel"]}, "did you mean title"),
            ("rules/bad name", {}, "name"),
            ("things/x", {}, "rules and dictionaries"),
            ("dictionaries/x", {"type": "synonym", "text": "a => b => c"}, "line 1"),
            ("dictionaries/x", {"type": "hot"}, "not supported"),
        ]
        for path, body, why in wrong:
            with self.subTest(path=path, why=why):
                status, reply = self.server.request(
                    "PUT", "/_quern/tables/goods/analysis/" + urllib.parse.quote(path), json.dumps(body),
                    {"Content-Type": "application/json"})
                self.assertIn(status, (400, 404), reply)
                self.assertIn(why, reply["error"]["text"])
        reply = self.query("goods", clauses("title:'x'"), qp="nobody")
        self.assertIn("[nobody]", reply["errors"][0]["message"])


class ByCommand(Commands):
    def test_all_of_it(self):
        schema = self.folder / "s.json"
        schema.write_text('{"mappings":{"properties":{"title":{"type":"text"}}}}')
        self.ok("table", "create", "t", "--schema", schema)
        lines = self.folder / "d.jsonl"
        lines.write_text('{"_id":"1","title":"blue sneakers"}\n{"_id":"2","title":"red shoes"}\n')
        self.ok("ingest", "t", lines)
        words, rule, entries = (self.folder / n for n in ("w.txt", "r.json", "e.json"))
        words.write_text("# shop\nsneakers, trainers\n")
        rule.write_text(json.dumps({"active": True, "processors": [
            {"name": "synonym", "intervention_dictionary": "w"}, {"name": "spell_check"}]}))
        entries.write_text('[{"word":"boots","alias":["shoes"]}]')
        self.ok("analysis", "put", "t", "w", words, "--dictionary", "--type", "synonym")
        self.ok("analysis", "put", "t", "r", rule)
        self.assertIn('"1"', self.ok("search", "t", "trainers", "--format", "json"))
        self.assertIn("searched for: blue sneakers (typed: blue snaekers)", self.ok("search", "t", "blue snaekers"))
        self.assertNotIn('"1"', self.ok("search", "t", "trainers", "--format", "json", "--analysis", ""))
        self.assertNotIn('"1"', self.ok("search", "t", "trainers", "--format", "json", "--disable", "qp:synonym"))
        self.ok("analysis", "entries", "t", "w", entries)
        self.assertEqual(json.loads(self.ok("analysis", "test", "t", "boots"))["total"], 1)
        self.assertIn("version 1 is active", self.ok("analysis", "rollback", "t", "w", "--dictionary"))
        self.assertEqual(json.loads(self.ok("analysis", "test", "t", "boots"))["total"], 0)
        self.ok("analysis", "activate", "t", "w", "--dictionary", "--version", "2")
        shown = json.loads(self.ok("analysis", "show", "t", "w", "--dictionary"))
        self.assertEqual((shown["version"], shown["active"]), (2, True))
        self.assertEqual(len(json.loads(self.ok("analysis", "list", "t"))["analysis"]), 3)
        self.assertIn("read by the rule", self.fails(1, "analysis", "drop", "t", "w", "--dictionary"))
        self.ok("analysis", "drop", "t", "r")
        self.ok("analysis", "drop", "t", "w", "--dictionary")
        words.write_text("a => b => c\n")
        self.assertIn("line 1", self.fails(1, "analysis", "put", "t", "w", words, "--dictionary", "--type", "synonym"))
        self.fails(3, "analysis", "show", "t", "w", "--dictionary")
        self.fails(2, "analysis", "put", "t", "w", words, "--type", "synonym")


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""Named rank policies over HTTP and the command line: made, used, versions, dropped; what is
wrong with one is said with its name and place."""
import json
import pathlib
import tempfile
import unittest

from harness import Server, clauses, engine_schema, rank, run

TABLE = "/_quern/tables/t/policies"


class Policies(unittest.TestCase):
    N = 30

    @classmethod
    def setUpClass(cls):
        cls.server = Server().__enter__()
        cls.server.create("t", engine_schema("t", {
            "id": "STRING", "kind": "STRING", "n": "INT32", "price": "DOUBLE",
            "name": "TEXT:standard"}))
        cls.server.push("t", [{"id": f"d{n}", "kind": "k", "n": n, "price": n / 4,
                               "name": f"word{n} thing"} for n in range(cls.N)])

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def setUp(self):
        for p in self.call("GET", TABLE)["policies"]:
            if p["version"] == 1:
                self.call("DELETE", f"{TABLE}/{p['stage']}/{p['name']}")

    def call(self, method, path, body=None, status=200):
        if body is not None and not isinstance(body, str):
            body = json.dumps(body)
        got, reply = self.server.request(method, path, body)
        self.assertEqual(got, status, reply)
        return reply

    def put(self, stage, name, body, **more):
        return self.call("PUT", f"{TABLE}/{stage}/{name}{more.get('query', '')}", body,
                         more.get("status", 200))

    def ranks(self, kvpairs="", config="hit:100", **more):
        if kvpairs:
            more["kvpairs"] = kvpairs
        items = self.server.items(clauses("kind:'k'", config, **more), "t")
        return {i["fields"]["id"]: i["sortExprValues"][0] for i in items}

    def test_rough_and_fine_by_name(self):
        self.put("rough", "mine", {"formula": "n*2"})
        self.put("fine", "best", {"formula": "n*3"})
        got = self.ranks("first_rank_name:mine")
        self.assertEqual(got, {f"d{n}": rank(2 * n) for n in range(self.N)})
        got = self.ranks("first_rank_name:mine,second_rank_name:best", "hit:100,rerank_size:5")
        self.assertEqual(got, {f"d{n}": rank(n * 3 if n >= 25 else n * 2) for n in range(self.N)})
        got = self.ranks("second_rank_name:best")
        self.assertEqual(got, {f"d{n}": rank(3 * n) for n in range(self.N)})

    def test_features_and_weights(self):
        """The rough policy of the console: features, each with a weight."""
        reply = self.put("rough", "weighted", {"features": [
            {"attribute": "static_bm25()", "arg": "", "weight": 10},
            {"attribute": "price", "weight": 0.08}]})
        self.assertEqual(reply["formula"], "static_bm25()*10+price*0.08")
        got = self.ranks("first_rank_name:weighted")
        want = self.ranks(first_formula="static_bm25()*10+price*0.08")
        self.assertEqual(got, want)
        reply = self.put("rough", "api", {"type": "STRUCT", "meta": [
            {"attribute": "exact_match_boost()", "arg": "sum", "weight": -2},
            {"attribute": "n", "arg": "", "weight": 1}]})
        self.assertEqual(reply["formula"], "exact_match_boost(sum)*-2+n*1")
        reply = self.put("rough", "api", {"type": "STRING", "meta": "random()*100+now()"})
        self.assertEqual((reply["version"], reply["formula"]), (2, "random()*100+now()"))

    def test_default_is_used_without_a_name(self):
        built_in = self.ranks()
        self.assertEqual(self.ranks("first_rank_name:default,second_rank_name:default"), built_in)
        self.put("rough", "default", "n")
        self.assertEqual(self.ranks(), {f"d{n}": rank(n) for n in range(self.N)})
        self.put("fine", "default", "n*5")
        self.assertEqual(self.ranks(), {f"d{n}": rank(n * 5) for n in range(self.N)})
        self.put("fine", "other", "n*7")
        self.assertEqual(self.ranks("second_rank_name:other"),
                         {f"d{n}": rank(n * 7) for n in range(self.N)})
        self.assertEqual(self.ranks(formula="1"), {f"d{n}": rank(1) for n in range(self.N)})
        # sorted by a field alone, no policy is asked
        items = self.server.items(clauses("kind:'k'", "hit:1", sort="+n"), "t")
        self.assertEqual(items[0]["sortExprValues"], ["0"])

    def test_versions(self):
        for n in (1, 2, 3):
            self.put("fine", "v", f"n*{n}")
        self.assertEqual(self.ranks("second_rank_name:v")["d7"], rank(21))
        self.assertEqual(self.put("fine", "v", "n*4", query="?draft")["active"], False)
        self.assertEqual(self.ranks("second_rank_name:v")["d7"], rank(21))
        self.assertEqual(self.call("POST", f"{TABLE}/fine/v/activate", {"version": 4})["formula"], "n*4")
        self.assertEqual(self.ranks("second_rank_name:v")["d7"], rank(28))
        self.assertEqual(self.call("POST", f"{TABLE}/fine/v/rollback")["version"], 3)
        self.assertEqual(self.call("POST", f"{TABLE}/fine/v/rollback")["version"], 2)
        self.assertEqual(self.ranks("second_rank_name:v")["d7"], rank(14))
        self.assertEqual(self.call("GET", f"{TABLE}/fine/v?version=1")["formula"], "n*1")
        listed = self.call("GET", TABLE)["policies"]
        self.assertEqual([(p["version"], p["active"]) for p in listed],
                         [(1, False), (2, True), (3, False), (4, False)])
        self.call("POST", f"{TABLE}/fine/v/rollback")
        reply = self.call("POST", f"{TABLE}/fine/v/rollback", status=404)
        self.assertIn("no version before the active one", reply["error"]["text"])
        self.call("DELETE", f"{TABLE}/fine/v")
        self.call("GET", f"{TABLE}/fine/v", status=404)

    def test_in_pipelines(self):
        self.put("fine", "pipe", "n")
        body = {"query": "thing", "table": "t", "size": 3,
                "pipeline": {"fine": {"policy": "pipe", "keep": 100}}}
        reply = self.call("POST", "/_quern/search", body)
        self.assertEqual([h["id"] for h in reply["hits"]], ["d29", "d28", "d27"])
        body["pipeline"] = {"fine": {"policy": "pip"}}
        reply = self.call("POST", "/_quern/search", body, status=404)
        self.assertIn("did you mean [pipe]", reply["error"]["text"])
        body["pipeline"] = {"fine": {"policy": "pipe", "formula": "1"}}
        self.call("POST", "/_quern/search", body, status=400)

    def test_refused(self):
        rows = [
            ("fine", "x", "nn+1", 400, "nn", "did you mean"),
            ("fine", "x", "n+", 400, "expected a value", ""),
            ("fine", "x", "static_bm25()", 400, "static_bm25", ""),
            ("rough", "x", "text_relevance(name)", 400, "text_relevance", ""),
            ("fine", "x", "", 400, "empty", ""),
            ("fine", "x", {"formula": "n", "features": []}, 400, "one of", ""),
            ("fine", "x", {"features": [{"attribute": "n", "weight": 1}]}, 400, "rough policy", ""),
            ("fine", "x", {"formla": "n"}, 400, "formla", "did you mean \"formula\""),
            ("rough", "x", {"features": [{"attribute": "n", "weight": 0}]}, 400, "weight", ""),
            ("rough", "x", {"features": [{"attribute": "n", "weight": 100001}]}, 400, "weight", ""),
            ("rough", "x", {"features": [{"attribute": "n+1", "weight": 1}]}, 400, "attribute", ""),
            ("rough", "x", {"features": [{"attribute": "n", "weight": 1}] * 5}, 400, "at most 4", ""),
            ("rough", "x", {"features": [{"attribute": "n", "arg": "m", "weight": 1}]}, 400, "arg", ""),
            ("fine", "-x", "n", 400, "letters, digits", ""),
            ("fine", "x" * 65, "n", 400, "letters, digits", ""),
            ("middle", "x", "n", 400, "rough or fine", ""),
        ]
        for stage, name, body, status, says, more in rows:
            with self.subTest(body=body, name=name):
                reply = self.call("PUT", f"{TABLE}/{stage}/{name}", body, status)
                self.assertIn(says, reply["error"]["text"])
                self.assertIn(more, reply["error"]["text"])
        self.assertEqual(self.call("PUT", f"{TABLE}/fine/x", "n+nn", 400)["error"]["at"], 2)
        self.call("PUT", "/_quern/tables/none/policies/fine/x", "1", 404)
        self.assertEqual(self.call("GET", TABLE)["policies"], [])
        # a request that names what is not there, or both ways at once
        for pairs, says in (("second_rank_name:nobody", "no fine policy [nobody]"),
                            ("first_rank_name:nobody", "no rough policy [nobody]"),
                            ("second_rank_name:nobody,formula:1", "one of them must go")):
            _, reply = self.server.query(clauses("kind:'k'", kvpairs=pairs), "t")
            self.assertIn(says, reply["errors"][0]["message"])

    def test_profiles_and_sizes(self):
        self.put("rough", "shop", "n")
        self.put("fine", "shop", "n*3")
        got = self.ranks(rank="rank_profile:shop", config="hit:100,rerank_size:5")
        self.assertEqual(got, {f"d{n}": rank(n * 3 if n >= 25 else n) for n in range(self.N)})
        self.call("DELETE", f"{TABLE}/rough/shop")
        got = self.ranks(rank="rank_profile:shop", formula="n")  # the request's own comes first
        self.assertEqual(got, {f"d{n}": rank(n) for n in range(self.N)})
        _, reply = self.server.query(clauses("kind:'k'", rank="rank_profile:shopp"), "t")
        self.assertIn("neither a rough nor a fine policy [shopp]", reply["errors"][0]["message"])
        # rank_size is a budget of documents in their order; the total is of all
        _, reply = self.server.query(clauses("kind:'k'", "hit:100,rank_size:7", first_formula="n"), "t")
        self.assertEqual([i["fields"]["id"] for i in reply["result"]["items"]],
                         [f"d{n}" for n in range(6, -1, -1)])
        self.assertEqual(reply["result"]["totalHits"], self.N)

    def test_trial(self):
        """What a policy would make of documents, nothing stored."""
        body = {"stage": "fine", "policy": {"formula": "query_match_ratio(name)*10+n+first_phase_score()"},
                "query": "query=name:'thing'&&kvpairs=first_formula:100", "ids": ["d3", "d4", "nobody"]}
        reply = self.call("POST", f"{TABLE}/test", body)
        self.assertEqual([d.get("value") for d in reply["documents"]], [113, 114, None])
        self.assertIn("document missing", reply["documents"][2]["error"])
        self.assertEqual(reply["matched"], self.N)
        parts = reply["documents"][0]["trace"][0]["parts"][0]["parts"]
        self.assertEqual([p["value"] for p in parts], [10, 3, 100])
        # a document that the query does not recall
        reply = self.call("POST", f"{TABLE}/test", {**body, "query": "name:'word4'", "ids": ["d3", "d4"]})
        self.assertEqual([d["recalled"] for d in reply["documents"]], [False, True])
        self.assertEqual(reply["documents"][0]["value"], 3)
        self.put("rough", "kept", "n*2")
        reply = self.call("POST", f"{TABLE}/test", {"stage": "rough", "name": "kept", "query": "kind:'k'",
                                                    "ids": ["d9"]})
        self.assertEqual((reply["formula"], reply["documents"][0]["value"]), ("n*2", 18))
        self.assertEqual(len(self.call("GET", TABLE)["policies"]), 1)
        for change, says in (({"policy": "nn"}, "nn"), ({"query": ""}, "a query is needed"),
                             ({"ids": []}, "1 to 100"), ({"ids": ["x"] * 101}, "1 to 100"),
                             ({"name": "kept"}, "or the name"), ({"stage": "x"}, "rough or fine"),
                             ({"ids": [1]}, "list of strings"), ({"query": "name:("}, "")):
            reply = self.call("POST", f"{TABLE}/test", {**body, **change}, 400)
            self.assertIn(says, reply["error"]["text"])

    def test_command_line(self):
        with tempfile.TemporaryDirectory() as folder:
            schema = pathlib.Path(folder) / "s.json"
            schema.write_text(json.dumps(engine_schema("c", {"id": "STRING", "n": "INT32"})))
            self.assertEqual(run("table", "create", "c", "--schema", schema, data=folder)[0], 0)
            for formula in ("n", "n*2"):
                code, out, err = run("policy", "create", "c", "fine", "p", "--formula", formula, data=folder)
                self.assertEqual(code, 0, err)
            self.assertEqual(json.loads(out)["version"], 2)
            run("ingest", "c", "-", data=folder, stdin='{"id":"a","n":4}\n')
            code, out, _ = run("policy", "test", "c", "fine", "--name", "p", "--query", "pk_index:'a'",
                               "--id", "a", data=folder)
            self.assertEqual((code, json.loads(out)["documents"][0]["value"]), (0, 8))
            code, out, _ = run("policy", "rollback", "c", "fine", "p", data=folder)
            self.assertEqual((code, json.loads(out)["version"]), (0, 1))
            code, out, _ = run("policy", "activate", "c", "fine", "p", "--version", 2, data=folder)
            self.assertEqual((code, json.loads(out)["version"]), (0, 2))
            code, out, _ = run("policy", "show", "c", "fine", "p", "--version", 1, data=folder)
            self.assertEqual((code, json.loads(out)["formula"]), (0, "n"))
            code, _, err = run("policy", "create", "c", "fine", "p", "--formula", "n+m", data=folder)
            self.assertEqual(code, 1)
            self.assertIn("no attribute", err)
            self.assertIn("^", err)
            self.assertEqual(run("policy", "create", "c", "fin", "p", "--formula", "n", data=folder)[0], 2)
            self.assertEqual(run("policy", "create", "c", "fine", "p", data=folder)[0], 2)
            self.assertEqual(run("policy", "show", "c", "fine", "q", data=folder)[0], 3)
            self.assertEqual(run("policy", "drop", "c", "fine", "p", data=folder)[0], 0)
            code, out, _ = run("policy", "list", "c", data=folder)
            self.assertEqual((code, json.loads(out)["policies"]), (0, []))

    def test_command_line_through_a_server(self):
        url = f"http://127.0.0.1:{self.server.port}"
        code, out, err = run("policy", "create", "t", "rough", "remote", "--formula", "n*2", "--server", url)
        self.assertEqual(code, 0, err)
        code, out, _ = run("policy", "test", "t", "rough", "--name", "remote", "--query", "kind:'k'",
                           "--id", "d2", "--server", url)
        self.assertEqual(json.loads(out)["documents"][0]["value"], 4)
        self.assertEqual(run("policy", "drop", "t", "rough", "remote", "--server", url)[0], 0)
        self.assertEqual(run("policy", "show", "t", "rough", "remote", "--server", url)[0], 3)

    def test_dropped_table(self):
        schema = engine_schema("gone", {"id": "STRING", "n": "INT32"})
        self.server.create("gone", schema)
        self.call("PUT", "/_quern/tables/gone/policies/fine/p", "n")
        self.call("DELETE", "/gone")
        self.call("GET", "/_quern/tables/gone/policies", status=404)
        self.server.create("gone", schema)
        self.assertEqual(self.call("GET", "/_quern/tables/gone/policies")["policies"], [])


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""Named rank policies over HTTP and the command line: made, used, versions, dropped; what is
wrong with one is said with its name and place."""
import json
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

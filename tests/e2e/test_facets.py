# SPDX-License-Identifier: Apache-2.0
"""Aggregations, distinct and the functions of formulas over HTTP, against what the documents
say; a cross-encoder as a term of the fine formula."""
import collections
import math
import unittest
import urllib.parse
import xml.etree.ElementTree

from harness import Server, clauses, engine_schema, float32

BRANDS = ["acme", "bolt & co", "core", ""]
TAGS = ["new", "sale", "红色"]


def documents():
    for n in range(60):
        yield {"id": f"d{n:02}", "kind": "k", "brand": BRANDS[n * 7 % 4], "shop": n % 5,
               "price": (n * 37 % 60) / 4, "tags": [t for i, t in enumerate(TAGS) if n >> i & 1],
               "name": "mill stone" if n % 2 else "mill"}


class Facets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().__enter__()
        cls.server.create("t", engine_schema("t", {
            "id": "STRING", "kind": "STRING", "brand": "STRING", "shop": "INT32", "price": "DOUBLE",
            "tags": "STRING*", "name": "TEXT:standard"}))
        cls.documents = list(documents())
        cls.server.push("t", cls.documents)

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def reply(self, config="", **more):
        status, reply = self.server.request(
            "GET", "/query?query=" + urllib.parse.quote(clauses("kind:'k'", config, **more)))
        self.assertEqual(status, 200, reply)
        return reply

    def facet(self, aggregate, config="", **more):
        reply = self.reply(config, aggregate=aggregate, **more)
        self.assertEqual(reply["errors"], [])
        self.assertEqual(len(reply["result"]["facet"]), aggregate.count(";") + 1)
        return reply["result"]["facet"]

    def wanted(self, key, *functions):
        """Groups by key ascending: {"value", then the functions over a group's documents}."""
        groups = collections.defaultdict(list)
        for d in self.documents:
            for value in key(d):
                groups[value].append(d)
        return [{"value": str(v), **{name: str(f(groups[v])) for name, f in functions}}
                for v in sorted(groups)]

    COUNT = ("count()", len)

    def test_counts(self):
        facet = self.facet("group_key:brand,agg_fun:count()")[0]
        self.assertEqual(facet, {"key": "brand", "items": self.wanted(lambda d: [d["brand"]], self.COUNT)})
        facet = self.facet("group_key:tags,agg_fun:count()")[0]
        self.assertEqual(facet["items"], self.wanted(lambda d: d["tags"], self.COUNT))

    def test_functions(self):
        facet = self.facet("group_key:shop*2,agg_fun:max(price)#min(shop)#sum(shop+1)#count()#distinct_count(brand)")[0]
        self.assertEqual(facet["key"], "(shop*2)")
        self.assertEqual(facet["items"], self.wanted(
            lambda d: [d["shop"] * 2],
            ("max(price)", lambda g: "%g" % max(d["price"] for d in g)),
            ("min(shop)", lambda g: min(d["shop"] for d in g)),
            ("sum((shop+1))", lambda g: sum(d["shop"] + 1 for d in g)),
            self.COUNT,
            ("distinct_count(brand)", lambda g: len({d["brand"] for d in g}))))

    def test_range_filter_order(self):
        facet = self.facet("group_key:shop,agg_fun:count(),range:1~3,agg_filter:price<10.0")[0]
        cheap = [d for d in self.documents if d["price"] < 10]
        self.assertEqual(facet["items"], [
            {"value": "-2147483648:1", "count()": str(sum(d["shop"] < 1 for d in cheap))},
            {"value": "1:3", "count()": str(sum(1 <= d["shop"] < 3 for d in cheap))},
            {"value": "3:2147483647", "count()": str(sum(d["shop"] >= 3 for d in cheap))}])
        counts = collections.Counter(t for d in self.documents for t in d["tags"])
        facet = self.facet("group_key:tags,agg_fun:count(),order_by:count,max_group:2")[0]
        self.assertEqual([(i["value"], i["count()"]) for i in facet["items"]],
                         [(t, str(n)) for t, n in sorted(counts.items(), key=lambda x: (-x[1], x[0]))[:2]])

    def test_several_and_no_hits(self):
        reply = self.reply("hit:0", aggregate="group_key:brand,agg_fun:count();group_key:[brand,shop],agg_fun:count()",
                           filter="shop<2")
        self.assertEqual(reply["result"]["numHits"], 0)
        first, second = reply["result"]["facet"]
        some = [d for d in self.documents if d["shop"] < 2]
        self.assertEqual(sum(int(i["count()"]) for i in first["items"]), len(some))
        pairs = collections.Counter((d["brand"], d["shop"]) for d in some)
        self.assertEqual([(i["value"], int(i["count()"])) for i in second["items"]],
                         [(f"[{b}, {s}]", n) for (b, s), n in sorted(pairs.items())])

    def test_sampling(self):
        facet = self.facet("group_key:kind,agg_fun:count()#sum(shop),agg_sampler_threshold:7,agg_sampler_step:4")[0]
        sampled = self.documents[:7] + [d for i, d in enumerate(self.documents[7:]) if i % 4 == 3] * 4
        self.assertEqual(facet["items"], [{"value": "k", "count()": str(len(sampled)),
                                           "sum(shop)": str(sum(d["shop"] for d in sampled))}])

    def test_xml(self):
        request = "config=format:xml,hit:1&&query=kind:'k'&&aggregate=group_key:brand,agg_fun:count()#max(shop+1)"
        status, text = self.server.request("GET", "/query?query=" + urllib.parse.quote(request))
        self.assertEqual(status, 200)
        body = text[text.index("<AggregateResults>"):text.index("</AggregateResults>")]
        self.assertIn("key='brand'", body)
        self.assertIn("<group value='bolt &amp; co'><count()>15</count()>", body)

    def test_wrong(self):
        for aggregate, code, says in (("group_key:brnd,agg_fun:count()", 2000, "brand"),
                                      ("group_key:shop,agg_fun:sum(brand)", 1045, "sum(brand)"),
                                      ("group_key:brand,agg_fun:count(),range:1~2", 1042, "text"),
                                      ("agg_fun:count()", 1053, "")):
            errors = self.reply(aggregate=aggregate)["errors"]
            self.assertEqual([e["code"] for e in errors], [code], aggregate)
            self.assertIn(says, errors[0]["message"])

    # ---- distinct

    def order(self, distinct, **more):
        reply = self.reply("hit:100", distinct=distinct, **more)
        self.assertEqual(reply["errors"], [])
        return [i["fields"]["id"] for i in reply["result"]["items"]], reply["result"]["totalHits"]

    def rounds(self, ordered, key, count, times):
        seen, out = collections.Counter(), []
        for place, d in enumerate(ordered):
            out.append((min(seen[key(d)] // count, times), place, d["id"]))
            seen[key(d)] += 1
        return [(i, r == times) for r, _, i in sorted(out)]

    def test_distinct(self):
        ranked = sorted(self.documents, key=lambda d: -d["price"])
        want = self.rounds(ranked, lambda d: d["shop"], 2, 1)
        got, total = self.order("dist_key:shop,dist_count:2", kvpairs="first_formula:price")
        self.assertEqual((got, total), ([i for i, _ in want], 60))
        got, total = self.order("dist_key:shop,dist_count:2,reserved:false", kvpairs="first_formula:price")
        self.assertEqual((got, total), ([i for i, left in want if not left], 60))
        got, total = self.order("dist_key:shop,dist_count:2,reserved:false,update_total_hit:true",
                                kvpairs="first_formula:price")
        self.assertEqual((got, total), ([i for i, left in want if not left], 10))
        got, total = self.order("dist_key:shop,dist_count:2,reserved:false",
                                kvpairs="first_formula:price,duniqfield:shop")
        self.assertEqual(total, 10)
        by_price = sorted(self.documents, key=lambda d: d["price"])
        want = self.rounds(by_price, lambda d: d["brand"], 1, 2)
        got, _ = self.order("dist_key:brand,dist_times:2", sort="+price")
        self.assertEqual(got, [i for i, _ in want])

    # ---- functions

    def value(self, formula, of="d07", **pairs):
        extra = {"kvpairs": ",".join(f"{k}:{v}" for k, v in pairs.items())} if pairs else {}
        items = self.server.items(clauses("name:'mill'", "hit:100", formula=formula, **extra), "t")
        return next(float(i["sortExprValues"][0]) - 10000 for i in items if i["fields"]["id"] == of)

    def test_function_values(self):
        d = self.documents[7]
        for formula, want in (("value_count(tags)", len(d["tags"])), ("int32_param(n,\"5\")+shop", 5 + d["shop"]),
                              ("rrf(text,k,0)*0+linear(text)*0+3", 3),
                              ("if(ha_in(tags,\"sale|x\"),2,0)", 2)):
            self.assertAlmostEqual(self.value(formula), float32(want), places=4, msg=formula)
        self.assertAlmostEqual(self.value("int32_param(n)", n=9), 9)

    def test_refused(self):
        for formula, code, says in (("popularity(x)", 2, "attribute"), ("sub_count()", 2, "value_count"),
                                    ("neural_score()", 2101, "neural_score(\"model\")"),
                                    ("text_relevanc(name)", 2100, "text_relevance"), ("int8_param(n)", 2103, "kvpairs")):
            errors = self.reply(formula=formula)["errors"]
            self.assertEqual(errors[0]["code"], code, errors)
            self.assertIn(says, errors[0]["message"])

    def test_model_in_formula(self):
        model = "reranker-minilm-l6"
        logits = {i: self.value(f"neural_logit(\"{model}\")", i) for i in ("d06", "d07")}
        status, raw = self.server.request("POST", "/rerank", {"query": "mill", "texts": ["mill", "mill stone"],
                                                              "raw_scores": True})
        self.assertEqual(status, 200, raw)
        scores = {r["index"]: r["score"] for r in raw}
        self.assertAlmostEqual(logits["d06"], scores[0], places=2)
        self.assertAlmostEqual(logits["d07"], scores[1], places=2)
        got = self.value(f"neural_score(\"{model}\")*2+shop", "d07")
        self.assertAlmostEqual(got, 2 / (1 + math.exp(-scores[1])) + self.documents[7]["shop"], places=2)
        got = self.value(f"text_relevance_llm(\"{model}\",\"name\")", "d07")
        self.assertAlmostEqual(got, 1 / (1 + math.exp(-scores[1])), places=2)


if __name__ == "__main__":
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""One table through every dialect: equal questions get equal documents in equal order with
equal scores after each dialect's mapping, whichever dialect made the table. Random small
documents; the seed is printed and taken from QUERN_SEED. Then the inference dialects, and
writers and readers at the same time."""
import json
import math
import os
import random
import sys
import threading
import time
import unittest
import urllib.parse
import xml.etree.ElementTree

import cohere

from harness import Server, clauses, engine_schema, float32

SEED = int(os.environ.get("QUERN_SEED", str(int(time.time()))))
ES_FACTOR = 2.2
WORDS = ["mill", "stone", "grain", "flour", "water", "wheel", "river", "bread", "oven", "the", "running", "runs",
         "stones", "old", "new", "house"]
DIMS = 4


def near(a, b, rel=3e-6, absolute=2e-6):
    return math.isclose(a, b, rel_tol=rel, abs_tol=absolute)


def documents(rng, count):
    for i in range(count):
        document = {"title": " ".join(rng.choices(WORDS, k=rng.randint(1, 8))),
                    "body": " ".join(rng.choices(WORDS, k=rng.randint(0, 30))),
                    "tag": rng.choice(["a", "b", "c d", "a"]), "year": rng.randint(1990, 2010),
                    "price": rng.randint(0, 400) / 4, "vector": [rng.randint(-8, 8) / 4 for _ in range(DIMS)]}
        if rng.random() < 0.1:
            del document["body"]
        yield f"d{i}", document


def mapping(metric):
    return {"mappings": {"properties": {
        "id": {"type": "keyword"}, "title": {"type": "text", "analyzer": "english"},
        "body": {"type": "text", "analyzer": "english"}, "tag": {"type": "keyword"}, "year": {"type": "integer"},
        "price": {"type": "double"}, "vector": {"type": "dense_vector", "dims": DIMS, "similarity": metric}}}}


def engine(name, metric):
    kind = {"l2_norm": "SquaredEuclidean", "max_inner_product": "InnerProduct"}[metric]
    return engine_schema(name, {"id": "STRING", "title": "TEXT:english", "body": "TEXT:english", "tag": "STRING",
                                "year": "INT32", "price": "DOUBLE", "vector": "FLOAT*"},
                         vector=("vector", "vector", DIMS, kind))


class OneTable(unittest.TestCase):
    """Four tables with the same documents: made from a mapping and from a schema, written by
    bulk and by push; squared distance and inner product."""

    COUNT = 120

    @classmethod
    def setUpClass(cls):
        print(f"QUERN_SEED={SEED}", file=sys.stderr)
        cls.rng = random.Random(SEED)
        cls.server = Server().__enter__()
        cls.documents = dict(documents(cls.rng, cls.COUNT))
        cls.metrics = {"es-l2": "l2_norm", "es-ip": "max_inner_product", "ha3-l2": "l2_norm",
                       "ha3-ip": "max_inner_product"}
        for table, metric in cls.metrics.items():
            cls.server.create(table, mapping(metric) if table.startswith("es") else engine(table, metric))
            full = [{"id": i, **d} for i, d in cls.documents.items()]
            if table.endswith("l2"):
                for begin in range(0, len(full), 50):
                    cls.server.bulk(table, [(d["id"], d) for d in full[begin:begin + 50]])
            else:
                cls.server.push(table, full)
            # some are replaced, some deleted: the rest has to be the same everywhere
        cls.changed = {i: {"title": "new mill", "body": "the old river", "tag": "b", "year": 2005, "price": 7.25,
                           "vector": [1, 0, -1, 0.5]} for i in list(cls.documents)[5:20:5]}
        cls.gone = list(cls.documents)[3:60:11]
        for table in cls.metrics:
            if table.startswith("es"):
                cls.server.push(table, [{"id": i, **d} for i, d in cls.changed.items()])
                for name in cls.gone:
                    status, reply = cls.server.request("DELETE", f"/{table}/_doc/{name}?refresh=true")
                    assert status == 200, reply
            else:
                cls.server.bulk(table, [(i, {"id": i, **d}) for i, d in cls.changed.items()])
                cls.server.push(table, [{"id": i} for i in cls.gone], "delete")
        cls.documents.update(cls.changed)
        for name in cls.gone:
            del cls.documents[name]

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def es(self, table, **body):
        status, reply = self.server.request("POST", f"/{table}/_search", {"size": 500, **body})
        self.assertEqual(status, 200, reply)
        hits = reply["hits"]["hits"]
        self.assertEqual(reply["hits"]["total"]["value"], max(len(hits), reply["hits"]["total"]["value"]))
        return [(h["_id"], h["_score"]) for h in hits]

    def ha3(self, table, query, rough="bm25()", operator="OR", **more):
        items = self.server.items(clauses(query, f"hit:500,default_operator:{operator}", first_formula=rough, **more),
                                  table)
        return [(i["fields"]["id"], float(i["sortExprValues"][0]) - 10000) for i in items]

    def equal(self, where, *answers):
        """Each answer: ([(id, score)], factor). Equal ids and order, equal scores times factor; equal
        scores may stand in any order where the mapping rounds differently."""
        first, scale = answers[0]
        for other, factor in answers[1:]:
            self.assertEqual(sorted(i for i, _ in first), sorted(i for i, _ in other), where)
            self.assertEqual([i for i, _ in first], [i for i, _ in other], where)
            for (name, a), (_, b) in zip(first, other):
                self.assertTrue(near(a / scale, b / factor), (where, name, a / scale, b / factor))

    def words(self, most=4):
        return self.rng.choices(WORDS[:9] + WORDS[10:], k=self.rng.randint(1, most))

    def everywhere(self, where, es_body, ha3_query, **ha3):
        answers = []
        for table in self.metrics:
            answers.append((self.es(table, **es_body), ES_FACTOR))
            answers.append((self.ha3(table, ha3_query, **ha3), 1))
        self.equal(where, *answers)
        return answers[0][0]

    def test_words(self):
        for _ in range(25):
            text = " ".join(self.words())
            field = self.rng.choice(["title", "body"])
            for operator in ("or", "and"):
                hits = self.everywhere((field, text, operator),
                                       {"query": {"match": {field: {"query": text, "operator": operator}}}},
                                       f"{field}:'{text}'", rough=f"bm25({field})", operator=operator.upper())
                if operator == "or" and field == "title":
                    stems = {w.rstrip("s") for w in text.split()}
                    found = any(s in d["title"] for d in self.documents.values() for s in stems)
                    self.assertEqual(bool(hits), found or bool(hits))

    def test_phrases(self):
        for _ in range(25):
            words = self.words(3) if self.rng.random() < 0.5 else None
            if words is None:  # one that stands somewhere
                title = self.rng.choice([d["body"] for d in self.documents.values() if d.get("body")]).split()
                begin = self.rng.randrange(len(title))
                words = title[begin:begin + 3]
            if words == ["the"] * len(words):
                continue
            text = " ".join(words)
            self.everywhere(("phrase", text), {"query": {"match_phrase": {"body": text}}}, f'body:"{text}"',
                            rough="bm25(body)", operator="AND")

    def test_filters(self):
        for _ in range(15):
            text, low = " ".join(self.words()), self.rng.randint(1988, 2011)
            high, price = low + self.rng.randint(0, 8), self.rng.randint(0, 100)
            tag = self.rng.choice(["a", "b", "c d", "e"])
            hits = self.everywhere(
                (text, low, high, price, tag),
                {"query": {"bool": {"must": {"match": {"title": text}}, "filter": [
                    {"range": {"year": {"gte": low, "lte": high}}}, {"range": {"price": {"lt": price}}}],
                    "must_not": {"term": {"tag": tag}}}}},
                f"title:'{text}'", rough="bm25(title)",
                filter=f'year>={low} AND year<={high} AND price<{price:.1f} AND tag!="{tag}"')
            for name, _ in hits:
                document = self.documents[name]
                self.assertTrue(low <= document["year"] <= high and document["price"] < price and document["tag"] != tag)

    def test_filter_alone(self):
        """Everything that a filter lets through, sorted by fields: no scores in play."""
        for _ in range(10):
            low, tag = self.rng.randint(1990, 2009), self.rng.choice(["a", "b", "c d"])
            want = sorted((n for n, d in self.documents.items() if d["year"] > low and d["tag"] == tag),
                          key=lambda n: (-self.documents[n]["price"], self.documents[n]["year"]))
            for table in self.metrics:
                es = self.es(table, query={"bool": {"filter": [{"term": {"tag": tag}}, {"range": {"year": {"gt": low}}}]}},
                             sort=[{"price": "desc"}, {"year": "asc"}])
                items = self.server.items(clauses(f"tag:'{tag}'", "hit:500", filter=f"year>{low}", sort="-price;+year"), table)
                keys = [(self.documents[n]["price"], self.documents[n]["year"]) for n, _ in es]
                self.assertEqual(keys, [(self.documents[n]["price"], self.documents[n]["year"]) for n in want])
                self.assertEqual([n for n, _ in es], [i["fields"]["id"] for i in items])

    def test_pages_by_search_after(self):
        """Page after page covers every document exactly once, in the order of one long page."""
        sorts = ([{"year": "desc"}, "price", "_doc"], [{"tag": {"missing": "_first"}}, "_doc"], ["_score", "_doc"],
                 ["_doc"])
        for table in self.metrics:
            for sort in sorts:
                for query in ({"match_all": {}}, {"match": {"body": "river"}}):
                    long = [n for n, _ in self.es(table, query=query, sort=sort)]
                    seen, after = [], []
                    while True:
                        status, reply = self.server.request("POST", f"/{table}/_search", {
                            "query": query, "sort": sort, "size": 7, "track_total_hits": 20,
                            **({"search_after": after} if after else {})})
                        self.assertEqual(status, 200, reply)
                        if not reply["hits"]["hits"]:
                            break
                        total = reply["hits"]["total"]
                        self.assertEqual(total, {"value": min(20, len(long)),
                                                 "relation": "gte" if len(long) > 20 else "eq"})
                        seen += [h["_id"] for h in reply["hits"]["hits"]]
                        after = reply["hits"]["hits"][-1]["sort"]
                    self.assertEqual(seen, long, (table, sort))

    def test_or_and_not(self):
        for _ in range(15):
            a, b, c = self.words(2), self.words(2), self.words(1)
            a, b, c = " ".join(a), " ".join(b), " ".join(c)
            self.everywhere(("or", a, b), {"query": {"bool": {"should": [{"match": {"title": a}}, {"match": {"body": b}}]}}},
                            f"title:'{a}' OR body:'{b}'", rough="bm25()")
            self.everywhere(("and", a, b), {"query": {"bool": {"must": [{"match": {"title": a}}, {"match": {"body": b}}]}}},
                            f"title:'{a}' AND body:'{b}'", rough="bm25()")
            self.everywhere(("not", a, c), {"query": {"bool": {"must": {"match": {"body": a}}, "must_not": {"match": {"title": c}}}}},
                            f"body:'{a}' ANDNOT title:'{c}'", rough="bm25(body)")

    def test_several_fields(self):
        """An index over two fields is, word by word, the best of its fields."""
        for table, metric in (("pack", "l2_norm"),):
            schema = engine(table, metric)
            schema["indexs"] += [{"index_name": "both", "index_type": "PACK", "index_fields": [
                {"field_name": "title", "boost": 2}, {"field_name": "body", "boost": 1}]}]
            self.server.create(table, schema)
            self.server.push(table, [{"id": i, **d} for i, d in self.documents.items()])
        for _ in range(15):
            words = [w for w in self.words() if w != "the"]
            text = " ".join(words)
            for operator, clause in (("or", "should"), ("and", "must")):
                per_word = [{"dis_max": {"queries": [{"match": {"title": {"query": w, "boost": 2}}},
                                                     {"match": {"body": w}}]}} for w in words]
                ha3 = self.ha3("pack", f"both:'{text}'", rough="bm25(both)", operator=operator.upper())
                self.equal((text, operator), (self.es("pack", query={"bool": {clause: per_word}}), ES_FACTOR), (ha3, 1))
                same = self.es("pack", query={"match": {"both": {"query": text, "operator": operator}}})
                self.equal((text, operator, "match"), (same, ES_FACTOR), (ha3, 1))

    def test_nearest_vectors(self):
        def squared(a, b):
            return sum((x - y) ** 2 for x, y in zip(a, b))

        def inner(a, b):
            return sum(x * y for x, y in zip(a, b))
        for _ in range(20):
            vector, k = [self.rng.randint(-8, 8) / 4 for _ in range(DIMS)], self.rng.randint(1, 20)
            text = ",".join(map(str, vector))
            for table, metric in self.metrics.items():
                euclid = metric == "l2_norm"
                raw = {n: (squared if euclid else inner)(vector, d["vector"]) for n, d in self.documents.items()}
                es = self.es(table, size=k, knn={"field": "vector", "query_vector": vector, "k": k, "num_candidates": 200})
                best = sorted(raw.values(), reverse=not euclid)[:k]
                for (name, score), distance in zip(es, best):
                    self.assertAlmostEqual(raw[name], distance, delta=1e-5)
                    mapped = 1 / (1 + distance) if euclid else (distance + 1 if distance >= 0 else 1 / (1 - distance))
                    self.assertTrue(near(score, mapped), (table, name, score, mapped))
                formula = "-proxima_score(vector)" if euclid else "proxima_score(vector)"
                ha3 = self.ha3(table, f"vector:'{text}&n={k}'", rough=formula)
                self.assertEqual(len(ha3), k)
                self.assertEqual([n for n, _ in es], [n for n, _ in ha3], (table, vector, k))
                for (name, score), distance in zip(ha3, best):
                    self.assertAlmostEqual(score, -distance if euclid else distance, delta=1e-4)

    def test_nearest_among_filtered(self):
        for _ in range(10):
            vector, low = [self.rng.randint(-8, 8) / 4 for _ in range(DIMS)], self.rng.randint(1995, 2008)
            for table in self.metrics:
                es = self.es(table, size=5, knn={"field": "vector", "query_vector": vector, "k": 5, "num_candidates": 50,
                                                 "filter": {"range": {"year": {"gt": low}}}})
                sign = "-" if table.endswith("l2") else ""
                ha3 = self.ha3(table, f"vector:'{','.join(map(str, vector))}&n=5'", rough=f"{sign}proxima_score(vector)",
                               filter=f"year>{low}")
                self.assertEqual(len(es), min(5, sum(d["year"] > low for d in self.documents.values())))
                self.assertEqual([n for n, _ in es], [n for n, _ in ha3])

    def test_words_and_vectors(self):
        """Elasticsearch adds the scores of knn and query; the same sum as a formula."""
        for _ in range(10):
            vector, word = [self.rng.randint(-8, 8) / 4 for _ in range(DIMS)], self.rng.choice(WORDS[:9])
            for table in ("es-l2", "ha3-l2"):
                es = self.es(table, query={"match": {"title": word}},
                             knn={"field": "vector", "query_vector": vector, "k": 7, "num_candidates": 50})
                ha3 = self.ha3(table, f"title:'{word}' OR vector:'{','.join(map(str, vector))}&n=7'",
                               rough="2.2*bm25(title)+if(proxima_score(vector)<10000,1/(1+proxima_score(vector)),0)")
                self.assertEqual(sorted(n for n, _ in es), sorted(n for n, _ in ha3))
                scores = dict(ha3)
                for name, score in es:
                    self.assertTrue(near(score, scores[name], 1e-5, 1e-5), (name, score, scores[name]))

    def test_every_table_says_what_it_is(self):
        for table in self.metrics:
            for path in (f"/{table}", f"/{table}/_mapping", f"/{table}/_settings", f"/{table}/_stats", f"/_cat/indices/{table}"):
                self.assertEqual(self.server.request("GET", path)[0], 200, path)
            settings = self.server.request("GET", f"/{table}/_settings")[1][table]["settings"]["index"]
            self.assertEqual((settings["number_of_shards"], settings["provided_name"]), ("1", table))
            mapped = self.server.request("GET", f"/{table}/_mapping")[1][table]["mappings"]["properties"]
            self.assertEqual(mapped["title"]["type"], "text")
            self.assertEqual(mapped["vector"]["dims"], DIMS)
            self.assertEqual(self.server.request("GET", f"/{table}/_count")[1]["count"], len(self.documents))
            name = next(iter(self.documents))
            got = self.server.request("GET", f"/{table}/_doc/{name}")[1]["_source"]
            self.assertEqual(got["title"], self.documents[name]["title"])
            pushed = self.server.items(clauses(f"title:'{self.documents[name]['title']}'", "hit:500"), table)
            fields = next(i["fields"] for i in pushed if i["fields"]["id"] == name)
            self.assertEqual(fields["year"], str(self.documents[name]["year"]))  # texts in this dialect

    def test_plain_words_and_explanations(self):
        for table in ("es-l2", "ha3-l2"):
            status, reply = self.server.request("POST", "/_quern/search", {"table": table, "query": "old mill", "size": 5,
                                                                           "explain": True, "pipeline": {
                                                                               "recall": {"text": {"fields": ["title"]}}}})
            self.assertEqual(status, 200, reply)
            es = self.es(table, query={"match": {"title": "old mill"}}, size=5)
            self.assertEqual([h["id"] for h in reply["hits"]], [n for n, _ in es])
            for hit, (_, score) in zip(reply["hits"], es):
                self.assertTrue(near(hit["score"] * ES_FACTOR, score))
                status, told = self.server.request("POST", f"/{table}/_explain/{hit['id']}",
                                                   {"query": {"match": {"title": "old mill"}}})
                self.assertTrue(told["matched"])
                self.assertTrue(near(told["explanation"]["value"], score), (told, score))
                self.check_tree(told["explanation"])

    def check_tree(self, node):
        """A sum is the sum of its parts; the greatest is the greatest of its parts."""
        parts = [d["value"] for d in node["details"]]
        if node["description"].startswith("sum of"):
            self.assertTrue(near(sum(parts), node["value"], 1e-5), node)
        if node["description"].startswith("max of"):
            self.assertTrue(near(max(parts), node["value"], 1e-5), node)
        if node["description"].startswith("score(freq="):
            self.assertTrue(near(math.prod(parts), node["value"], 1e-5), node)
        for part in node["details"]:
            self.check_tree(part)


class Ha3Forms(unittest.TestCase):
    """One request in its several forms; what a reply says beside the fields."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server().__enter__()
        cls.server.create("h", engine_schema("h", {
            "id": "STRING", "title": "TEXT:standard", "year": "INT32", "price": "DOUBLE", "ratio": "FLOAT",
            "tags": "STRING*", "counts": "INT64*"}))
        cls.server.push("h", [
            {"id": "a", "title": "red <car> & more", "year": "2001", "price": 1.5, "ratio": 0.1, "tags": ["x", "y"],
             "counts": [3, 1, 2]},
            {"id": "b", "title": "blue car", "year": 2002, "price": "2.5", "tags": "x\x1dz", "counts": "4\x1d5"},
            {"id": "c", "title": "grey car ]]> end"}])

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def test_attributes_are_typed(self):
        items = self.server.items(clauses("title:'car'", sort="+id", attribute="year,price,ratio,tags,counts,double",
                                          virtual_attribute="double:year*2"))
        self.assertEqual([i["attributes"] for i in items], [
            {"year": 2001, "price": 1.5, "ratio": 0.1, "tags": ["x", "y"], "counts": [3, 1, 2], "double": 4002},
            {"year": 2002, "price": 2.5, "ratio": 0, "tags": ["x", "z"], "counts": [4, 5], "double": 4004},
            {"year": 0, "price": 0, "ratio": 0, "tags": [], "counts": [], "double": 0}])
        self.assertEqual([i["fields"].get("year") for i in items], ["2001", "2002", None])
        for wrong in ("title", "yeer", "year,nothing"):
            reply = self.server.query(clauses("title:'car'", attribute=wrong))[1]
            self.assertEqual(reply["errors"][0]["code"], 2000, reply)

    def test_what_is_missing_sorts_as_zero(self):
        for key, want in (("+year", ["c", "a", "b"]), ("-year", ["b", "a", "c"]), ("+price;+id", ["c", "a", "b"])):
            items = self.server.items(clauses("title:'car'", sort=key))
            self.assertEqual([i["fields"]["id"] for i in items], want, key)
        self.assertEqual(items[0]["sortExprValues"], ["0", "c"])

    def test_xml_says_the_same(self):
        request = clauses("title:'car'", "rank_trace:INFO", sort="-year;-RANK", attribute="year,tags", formula="price")
        items = self.server.items(request)
        status, headers, text = self.server.raw("GET", "/query?query=" + urllib.parse.quote(
            request.replace("format:json", "format:xml")))
        self.assertEqual(status, 200)
        self.assertTrue(headers["Content-Type"].startswith("text/xml"))
        root = xml.etree.ElementTree.fromstring(text.encode())
        self.assertEqual(root.find("SortExprMeta").text, "-year;-RANK")
        self.assertEqual(root.find("Error/ErrorCode").text, "0")
        hits = root.findall("hits/hit")
        self.assertEqual(root.find("hits").get("totalhits"), "3")
        for hit, item in zip(hits, items):
            fields = {f.tag: f.text or "" for f in hit.find("fields")}
            self.assertEqual({k: v.replace("]]&gt;", "]]>") for k, v in fields.items()}, item["fields"])
            self.assertEqual(hit.find("sortExprValues").text, "; ".join(item["sortExprValues"]))
            self.assertEqual(hit.find("attribute/year").text, str(item["attributes"]["year"]))
            self.assertEqual((hit.find("attribute/tags").text or "").split(), item["attributes"]["tags"])
            self.assertEqual(hit.find("trace_info").text, item["tracerInfo"])

    def test_forms_of_one_request(self):
        plain = self.server.items("query=title:'car'&&config=format:json&&sort=+year")
        for request in (" query = title:'car' && config = format:json &&\n sort = +year ",
                        "sort=+year&&config=format:json&&query=title:'car'",
                        "config=format:xml&&query=title:'boat'&&sort=+year&&query=title:'car'&&config=format:json",
                        "query=title:'car'&&config=format:json,cluster:h&&sort=+year",
                        "cluster=general&&query=title:'car'&&config=format:json,colour:red&&sort=+year"):
            self.assertEqual(self.server.items(request), plain, request)
        request = "query=title:'car'&&config=format:json&&sort=+year"
        for method, path, body in (("POST", "/query", {"assemblyQuery": request}), ("POST", "/query?table=h", {"assemblyQuery": request}),
                                   ("GET", "/query?query=" + urllib.parse.quote(request, safe="=:'+"), None)):
            status, reply = self.server.request(method, path, body)
            self.assertEqual((status, reply["result"]["items"]), (200, plain), path)

    def test_pages_and_fields(self):
        items = self.server.items(clauses("title:'car'", "start:1,hit:1", sort="+id", kvpairs="fetch_fields:id;price"))
        self.assertEqual([i["fields"] for i in items], [{"id": "b", "price": "2.5"}])
        status, reply = self.server.query(clauses("title:'car'", "hit:0"))
        self.assertEqual((reply["result"]["numHits"], reply["result"]["totalHits"]), (0, 3))
        items = self.server.items(clauses("title:'car'", "no_summary:yes"))
        self.assertEqual([i["fields"] for i in items], [{}, {}, {}])


class Inference(unittest.TestCase):
    """TEI, Cohere, Jina, Voyage, OpenAI: one model behind all of them."""

    QUERY = "how do mills grind grain"
    TEXTS = ["The capital of France is Paris.", "A mill grinds grain between two stones.",
             "Grain is ground into flour by turning millstones.", "", "磨坊用石头磨粮食。"]

    @classmethod
    def setUpClass(cls):
        cls.server = Server().__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def post(self, path, body):
        status, reply = self.server.request("POST", path, body)
        self.assertEqual(status, 200, reply)
        return reply

    def test_rerank(self):
        raw = self.post("/rerank", {"query": self.QUERY, "texts": self.TEXTS, "raw_scores": True})
        plain = self.post("/rerank", {"query": self.QUERY, "texts": self.TEXTS, "return_text": True})
        self.assertEqual(sorted(r["index"] for r in raw), [0, 1, 2, 3, 4])
        self.assertEqual([r["index"] for r in raw], [r["index"] for r in plain])
        self.assertEqual([r["score"] for r in raw], sorted((r["score"] for r in raw), reverse=True))
        self.assertIn(raw[0]["index"], (1, 2))
        for a, b in zip(raw, plain):
            self.assertTrue(near(b["score"], 1 / (1 + math.exp(-a["score"])), 1e-5))
            self.assertEqual(b["text"], self.TEXTS[b["index"]])
            self.assertNotIn("text", a)
        alone = self.post("/rerank", {"query": self.QUERY, "texts": [self.TEXTS[2]], "raw_scores": True})
        self.assertEqual(alone[0]["score"], next(r["score"] for r in raw if r["index"] == 2))
        v2 = self.post("/v2/rerank", {"model": "reranker-minilm-l6", "query": self.QUERY, "documents": self.TEXTS, "top_n": 2})
        self.assertEqual(set(v2), {"id", "results", "meta"})
        self.assertEqual([(r["index"], r["relevance_score"]) for r in v2["results"]],
                         [(r["index"], r["score"]) for r in plain[:2]])
        v1 = self.post("/v1/rerank", {"query": self.QUERY, "documents": [{"text": t} for t in self.TEXTS],
                                      "return_documents": True})
        self.assertEqual([r["index"] for r in v1["results"]], [r["index"] for r in plain])
        self.assertEqual(v1["results"][0]["document"], {"text": self.TEXTS[plain[0]["index"]]})
        self.assertEqual([r["index"] for r in v1["data"]], [r["index"] for r in plain])  # Voyage
        self.assertGreater(v1["usage"]["total_tokens"], 0)  # Jina

    def test_cohere_client(self):
        client = cohere.ClientV2(api_key="any", base_url=self.server.url)
        reply = client.rerank(model="reranker-minilm-l6", query=self.QUERY, documents=self.TEXTS, top_n=3)
        plain = self.post("/rerank", {"query": self.QUERY, "texts": self.TEXTS})
        self.assertEqual([(r.index, float32(r.relevance_score)) for r in reply.results],
                         [(r["index"], float32(r["score"])) for r in plain[:3]])
        with self.assertRaises(cohere.NotFoundError):
            client.rerank(model="no-such-model", query="q", documents=["d"])

    def test_embed(self):
        vectors = self.post("/embed", {"inputs": self.TEXTS})
        self.assertEqual([len(v) for v in vectors], [384] * len(self.TEXTS))
        for vector in vectors:
            self.assertTrue(near(sum(x * x for x in vector), 1, 1e-4))
        self.assertEqual(self.post("/embed", {"inputs": self.TEXTS[1]}), [vectors[1]])
        query = self.post("/embed", {"inputs": self.QUERY})[0]
        nearness = [sum(a * b for a, b in zip(query, v)) for v in vectors]
        self.assertIn(nearness.index(max(nearness)), (1, 2))
        reply = self.post("/v1/embeddings", {"model": "minilm-l6-v2", "input": self.TEXTS})
        self.assertEqual(reply["object"], "list")
        self.assertEqual([d["index"] for d in reply["data"]], list(range(len(self.TEXTS))))
        self.assertEqual([d["embedding"] for d in reply["data"]], vectors)
        self.assertGreater(reply["usage"]["total_tokens"], 0)
        packed = self.post("/v1/embeddings", {"input": self.TEXTS[1], "encoding_format": "base64"})
        import base64
        import struct
        floats = struct.unpack("<384f", base64.b64decode(packed["data"][0]["embedding"]))
        self.assertEqual([float32(x) for x in vectors[1]], list(floats))

    def test_vectors_made_from_texts(self):
        mapping_ = {"mappings": {"properties": {"text": {"type": "text"}, "vector": {
            "type": "dense_vector", "dims": 384, "similarity": "cosine", "quern_model": "minilm-l6-v2",
            "quern_source": ["text"]}}}}
        self.server.create("made", mapping_)
        self.server.bulk("made", [(str(i), {"text": t}) for i, t in enumerate(self.TEXTS[:3])])
        vectors = self.post("/embed", {"inputs": self.TEXTS[:3]})
        query = self.post("/embed", {"inputs": self.QUERY})[0]
        hits = self.post("/made/_search", {"knn": {"field": "vector", "query_vector": query, "k": 3, "num_candidates": 3}})
        for hit in hits["hits"]["hits"]:
            cosine = sum(a * b for a, b in zip(query, vectors[int(hit["_id"])]))
            self.assertTrue(near(hit["_score"], (1 + cosine) / 2, 1e-4), hit)
        for pipeline in ("vector", "hybrid", "hybrid+rerank", "bm25+rerank"):
            reply = self.post("/_quern/search", {"table": "made", "query": self.QUERY, "pipeline": pipeline})
            self.assertIn(reply["hits"][0]["id"], ("1", "2"), pipeline)
        reply = self.post("/_quern/search", {"table": "made", "query": self.QUERY, "rerank": "reranker-minilm-l6"})
        plain = {r["index"]: r["score"] for r in self.post("/rerank", {"query": self.QUERY, "texts": self.TEXTS[:3],
                                                                       "raw_scores": True})}
        for hit in reply["hits"]:
            self.assertTrue(near(hit["stages"]["neural"], plain[int(hit["id"])], 1e-4), (hit, plain))

    def test_facts(self):
        self.assertEqual(self.server.request("GET", "/_quern/health")[0], 200)
        self.assertEqual(self.server.request("GET", "/_quern/ready")[0], 200)
        models = json.dumps(self.server.request("GET", "/_quern/models")[1])
        for name in ("minilm-l6-v2", "reranker-minilm-l6"):
            self.assertIn(name, models)
        self.assertEqual(self.server.request("GET", "/info")[1]["model_id"], "reranker-minilm-l6")
        self.assertEqual(self.server.request("GET", "/network/active")[0], 200)
        status, headers, text = self.server.raw("GET", "/metrics")
        self.assertEqual(status, 200)
        self.assertTrue(headers["Content-Type"].startswith("text/plain"))
        names = set()
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            self.assertRegex(line, r'^[a-z_:][a-z0-9_:]*(\{[^}]*\})? [-+0-9.eE]+(inf|nan)?$')
            names.add(line.split("{")[0].split(" ")[0])
        self.assertGreater(len(names), 3)


class AtTheSameTime(unittest.TestCase):
    """Writers and readers at once: every answer is one that a moment of the table gives."""

    def test_writers_and_readers(self):
        with Server() as server:
            server.create("t", {"mappings": {"properties": {"word": {"type": "text"}, "n": {"type": "long"},
                                                            "version": {"type": "long"}}}})
            wrong, stop = [], threading.Event()
            rounds, keys = 25, 40

            def write(writer):
                for version in range(1, rounds + 1):
                    batch = [(f"w{writer}-{k}", {"word": f"common writer{writer}", "n": k, "version": version})
                             for k in range(keys)]
                    try:
                        lines = "".join(json.dumps({"index": {"_id": i}}) + "\n" + json.dumps(d) + "\n" for i, d in batch)
                        refresh = "?refresh=true" if version % 3 == 0 else ""
                        status, reply = server.request("POST", f"/t/_bulk{refresh}", lines)
                        if status != 200 or reply["errors"]:
                            wrong.append(("write", status, reply))
                        if version % 8 == 0:
                            server.request("POST", "/t/_flush")
                        status, got = server.request("GET", f"/t/_doc/w{writer}-0")  # as acknowledged
                        if status != 200 or got["_source"]["version"] != version:
                            wrong.append(("get", version, got))
                    except OSError as failure:
                        wrong.append(("write", str(failure)))

            def read(reader):
                seen = {}
                while not stop.is_set():
                    writer = reader % 3
                    try:
                        if reader % 2:
                            status, reply = server.request("POST", "/t/_search", {
                                "query": {"match": {"word": f"writer{writer}"}}, "size": 100})
                            hits = [(h["_id"], h["_source"]) for h in reply["hits"]["hits"]]
                        else:
                            items = server.items(clauses(f"word:'writer{writer}'", "hit:100"), "t")
                            hits = [(None, {"version": int(i["fields"]["version"]), "n": int(i["fields"]["n"])})
                                    for i in items]
                    except (OSError, AssertionError, KeyError) as failure:
                        wrong.append(("read", repr(failure)))
                        return
                    ns = [d["n"] for _, d in hits]
                    if len(ns) != len(set(ns)) or len(ns) not in (0, keys):
                        wrong.append(("a batch is whole and once", sorted(ns)))
                    versions = {d["version"] for _, d in hits}
                    if len(versions) > 1:
                        wrong.append(("one batch, one version", versions))
                    if versions and min(versions) < seen.get(writer, 0):
                        wrong.append(("never back", versions, seen))
                    seen[writer] = max(versions, default=0)

            writers = [threading.Thread(target=write, args=(n,)) for n in range(3)]
            readers = [threading.Thread(target=read, args=(n,)) for n in range(4)]
            for thread in writers + readers:
                thread.start()
            for thread in writers:
                thread.join()
            stop.set()
            for thread in readers:
                thread.join()
            self.assertEqual(wrong[:3], [])
            server.request("POST", "/t/_refresh")
            for writer in range(3):
                status, reply = server.request("POST", "/t/_search", {
                    "query": {"bool": {"must": {"match": {"word": f"writer{writer}"}},
                                       "filter": {"term": {"version": rounds}}}}})
                self.assertEqual(reply["hits"]["total"]["value"], keys)
            self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()

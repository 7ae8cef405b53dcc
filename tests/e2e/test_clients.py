# SPDX-License-Identifier: Apache-2.0
"""Two real clients, one table: Elasticsearch's Python client and Alibaba's HA3 client ask
the same questions of the movies and get the same documents in the same order."""
import gzip
import json
import unittest

from alibabacloud_ha3engine import client as ha3_client
from alibabacloud_ha3engine import models as ha3_models
from elasticsearch import Elasticsearch, NotFoundError, BadRequestError, helpers

from harness import ROOT, Server

MAPPING = {
    "properties": {
        "id": {"type": "keyword"},
        "title": {"type": "text", "analyzer": "english"},
        "overview": {"type": "text", "analyzer": "english"},
        "genres": {"type": "keyword"},
        "year": {"type": "integer"},
        "votes": {"type": "integer"},
        "rating": {"type": "float"},
        "popularity": {"type": "float"},
        "vector": {"type": "dense_vector", "dims": 3, "similarity": "l2_norm"},
    }
}
QUESTIONS = ["black adam", "the dark knight rises", "space war among the stars", "haunted house",
             "young wizard school", "toy story", "dinosaurs on an island", "love in paris"]


def movies():
    with gzip.open(ROOT / "examples/movies/movies.jsonl.gz", "rt") as lines:
        for line in lines:
            movie = json.loads(line)
            kept = {k: movie[k] for k in MAPPING["properties"] if k in movie}
            kept["vector"] = [kept.get("year", 0) / 1000.0, kept.get("rating", 0.0) / 10.0, 1.0]
            yield kept


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server().__enter__()
        cls.es = Elasticsearch(cls.server.url)
        cls.es.indices.create(index="films", mappings=MAPPING)
        actions = ({"_index": "films", "_id": m["id"], "_source": m} for m in movies())
        cls.indexed, errors = helpers.bulk(cls.es, actions, chunk_size=1000)
        assert not errors
        cls.es.indices.refresh(index="films")
        config = ha3_models.Config(endpoint=f"127.0.0.1:{cls.server.port}", protocol="http",
                                   access_user_name="user", access_pass_word="secret")
        cls.ha3 = ha3_client.Client(config)

    @classmethod
    def tearDownClass(cls):
        cls.es.close()
        cls.server.__exit__()

    def ask_ha3(self, query, formula="bm25(title)", hits=10, operator="AND", filter=None):
        """A request as Alibaba's own builder writes it."""
        text = self.ha3.build_ha_search_query(ha3_models.HaQuery(
            query=query, filter=filter, sort=[ha3_models.HaQuerySortClause("RANK", "-")],
            config=ha3_models.HaQueryconfigClause("0", str(hits), "json", {
                "rerank_size": "2000", "default_operator": operator}),
            kvpairs={"formula": formula.replace(",", "\\,")}))
        reply = self.ha3.search(ha3_models.SearchRequestModel({}, ha3_models.SearchQuery(query=text)))
        body = json.loads(reply.body) if isinstance(reply.body, str) else reply.body
        self.assertEqual(body.get("errors", []), [], body)
        return body["result"]["items"]

    def ids_ha3(self, *args, **kwargs):
        return [item["fields"]["id"] for item in self.ask_ha3(*args, **kwargs)]

    def ids_es(self, **body):
        return [hit["_id"] for hit in self.es.search(index="films", **body)["hits"]["hits"]]

    def test_connects_and_counts(self):
        self.assertTrue(self.es.ping())
        self.assertTrue(self.es.info()["version"]["number"])
        self.assertEqual(self.indexed, 9750)
        self.assertEqual(self.es.count(index="films")["count"], 9750)
        self.assertTrue(self.es.indices.exists(index="films"))
        self.assertFalse(self.es.indices.exists(index="nothing"))

    def test_match_equals_ha3_or_and_and(self):
        for question in QUESTIONS:
            for operator in ("OR", "AND"):
                with self.subTest(question=question, operator=operator):
                    es = self.ids_es(query={"match": {"title": {"query": question, "operator": operator}}})
                    ha3 = self.ids_ha3(f"title:'{question}'", operator=operator)
                    self.assertEqual(es, ha3)

    def test_match_scores_are_bm25_times_k1_plus_1(self):
        question = "the dark knight rises"
        hits = self.es.search(index="films", query={"match": {"title": question}})["hits"]["hits"]
        items = self.ask_ha3(f"title:'{question}'", operator="OR")
        self.assertEqual(len(hits), len(items))
        for hit, item in zip(hits, items):
            rank = float(item["sortExprValues"][0]) - 10000
            self.assertAlmostEqual(hit["_score"] / 2.2, rank, delta=2e-5)

    def test_bool_with_filter(self):
        hits = self.es.search(index="films", size=20, query={"bool": {
            "must": {"match": {"overview": "war"}},
            "filter": [{"range": {"year": {"gte": 2000, "lt": 2010}}}, {"term": {"genres": "drama"}}],
            "must_not": {"term": {"genres": "action"}}}})["hits"]["hits"]
        self.assertTrue(hits)
        for hit in hits:
            self.assertTrue(2000 <= hit["_source"]["year"] < 2010)
            self.assertIn("drama", hit["_source"]["genres"])
            self.assertNotIn("action", hit["_source"]["genres"])
        ha3 = self.ids_ha3("overview:'war'", formula="bm25(overview)", hits=50,
                           filter="year>=2000 AND year<2010")
        es = self.ids_es(size=50, query={"bool": {"must": {"match": {"overview": "war"}},
                                                  "filter": {"range": {"year": {"gte": 2000, "lt": 2010}}}}})
        self.assertEqual(es, ha3)

    def test_knn_equals_ha3_vector(self):
        es = self.es.search(index="films", knn={"field": "vector", "query_vector": [1.999, 0.82, 1.0],
                                                "k": 10, "num_candidates": 100})["hits"]["hits"]
        scores = [hit["_score"] for hit in es]
        self.assertEqual(scores, sorted(scores, reverse=True))
        ha3 = self.ids_ha3("vector:'1.999,0.82,1.0&n=10'", formula="-proxima_score(vector)")
        self.assertEqual([hit["_id"] for hit in es], ha3)

    def test_sort_by_field_and_paging(self):
        first = self.ids_es(query={"match": {"title": "the"}}, sort=[{"year": "desc"}], size=5)
        both = self.ids_es(query={"match": {"title": "the"}}, sort=[{"year": "desc"}], size=10)
        second = self.ids_es(query={"match": {"title": "the"}}, sort=[{"year": "desc"}], size=5, from_=5)
        self.assertEqual(both, first + second)

    def test_one_document(self):
        self.assertEqual(self.es.get(index="films", id="436270")["_source"]["title"], "Black Adam")
        with self.assertRaises(NotFoundError):
            self.es.get(index="films", id="no such film")
        with self.assertRaises(NotFoundError) as caught:
            self.es.search(index="nothing", query={"match_all": {}})
        self.assertEqual(caught.exception.body["error"]["type"], "index_not_found_exception")
        with self.assertRaises(BadRequestError) as caught:
            self.es.search(index="films", query={"macth": {"title": "x"}})
        self.assertIn("macth", str(caught.exception.body))

    def test_explain_is_a_tree(self):
        hit = self.es.search(index="films", query={"match": {"title": "black adam"}}, explain=True)["hits"]["hits"][0]
        self.assertAlmostEqual(hit["_explanation"]["value"], hit["_score"], delta=1e-4)
        self.assertTrue(hit["_explanation"]["details"])

    def ha3_reply(self, method="GET", **clauses):
        text = self.ha3.build_ha_search_query(ha3_models.HaQuery(
            config=ha3_models.HaQueryconfigClause("0", "5", "json"), **clauses))
        reply = self.ha3.search(ha3_models.SearchRequestModel(
            {}, ha3_models.SearchQuery(query=text), method=method))
        body = json.loads(reply.body) if isinstance(reply.body, str) else reply.body
        self.assertEqual(body["errors"], [], body)
        return body["result"]

    def test_ha3_groups_as_the_builder_writes_them(self):
        result = self.ha3_reply(query="overview:'man'", aggregate=[
            ha3_models.HaQueryAggregateClause(group_key="year", agg_fun="count()#max(votes)",
                                              range="1990~2010", agg_filter="votes>100",
                                              max_group="50"),
            ha3_models.HaQueryAggregateClause(group_key="year", agg_fun="sum(votes)")])
        self.assertEqual([f["key"] for f in result["facet"]], ["year", "year"])
        counts = self.es.search(index="films", size=0, track_total_hits=True, query={"bool": {
            "must": {"match": {"overview": "man"}}, "filter": [
                {"range": {"votes": {"gt": 100}}}]}})
        self.assertEqual(sum(int(g["count()"]) for g in result["facet"][0]["items"]),
                         counts["hits"]["total"]["value"])

    def test_ha3_thins_out_as_the_builder_writes_it(self):
        result = self.ha3_reply(
            "POST", query="overview:'man'", sort=[ha3_models.HaQuerySortClause("year", "-")],
            distinct=[ha3_models.HaQueryDistinctClause(
                dist_key="year", dist_count="1", dist_times="1", reserved="false",
                update_total_hit="true")])
        years = [item["fields"]["year"] for item in result["items"]]
        self.assertEqual((years, len(set(years))), (sorted(years, reverse=True), 5))

    def test_ha3_request_as_json(self):
        reply = self.ha3.search_rest(ha3_models.SearchRequestModel({}, None, body={
            "query": "overview:'man'", "config": {"hit": 3}, "sort": "-year",
            "kvpairs": {"fetch_fields": "year"}}), "films")
        body = json.loads(reply.body) if isinstance(reply.body, str) else reply.body
        self.assertEqual(body["errors"], [])
        self.assertEqual([list(i["fields"]) for i in body["result"]["items"]], [["year"]] * 3)

    def test_ha3_push_then_get(self):
        reply = self.ha3.push_documents("films", "id", ha3_models.PushDocumentsRequestModel(
            {}, [{"cmd": "add", "fields": {"id": "q-1", "title": "a quern grinds twice"}}]))
        self.assertTrue(reply)
        self.es.indices.refresh(index="films")
        self.assertEqual(self.ids_es(query={"match": {"title": "quern"}}), ["q-1"])
        self.ha3.push_documents("films", "id", ha3_models.PushDocumentsRequestModel(
            {}, [{"cmd": "delete", "fields": {"id": "q-1"}}]))
        self.es.indices.refresh(index="films")
        self.assertEqual(self.ids_es(query={"match": {"title": "quern"}}), [])


if __name__ == "__main__":
    unittest.main()

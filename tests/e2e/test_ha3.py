# SPDX-License-Identifier: Apache-2.0
"""The HA3 request over HTTP: layers and their quotas, the second phase alone, primary keys,
analyzers, and the three forms of a reply, byte for byte where the protocol fixes them."""
import json
import re
import unittest

from harness import Server, clauses, engine_schema


def errors_of(reply):
    """(code, text) of every error of a reply, whichever form it has."""
    if isinstance(reply, dict):
        return [(e["code"], e["message"]) for e in reply["errors"]]
    found = re.findall(r"<ErrorCode>(\d+)</ErrorCode>\s*<ErrorDescription><!\[CDATA\[(.*?)\]\]>", reply)
    return [(int(code), text) for code, text in found]


class Ha3(unittest.TestCase):
    N = 20

    @classmethod
    def setUpClass(cls):
        cls.server = Server().__enter__()
        cls.server.create("t", engine_schema("t", {
            "id": "STRING", "kind": "STRING", "n": "INT32", "price": "DOUBLE",
            "name": "TEXT:standard"}))
        cls.server.push("t", [{"id": f"d{n}", "kind": "even" if n % 2 == 0 else "odd", "n": n,
                               "price": n / 4, "name": f"Word{n} thing <&>"} for n in range(cls.N)])

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def numbers(self, query, config="hit:100", **more):
        more.setdefault("sort", "+n")
        return [int(i["fields"]["n"]) for i in self.server.items(clauses(query, config, **more), "t")]

    def reply(self, request):
        status, reply = self.server.query(request, "t")
        self.assertEqual(status, 200, reply)
        return reply

    def code(self, request):
        found = errors_of(self.reply(request))
        self.assertEqual(len(found), 1, found)
        return found[0]

    # ---- layers

    def test_layers_take_their_quotas_in_order(self):
        rows = [
            ("quota:3", [0, 1, 2]),
            ("quota:UNLIMITED", list(range(20))),
            ("range:%docid{[5,10)},quota:2", [5, 6]),
            ("range:%docid{[5,10)},quota:UNLIMITED", [5, 6, 7, 8, 9]),
            ("range:%docid{[5,10]},quota:UNLIMITED", [5, 6, 7, 8, 9]),
            ("range:%docid{7,9},quota:UNLIMITED", [7, 9]),
            ("range:%docid{[,3)},quota:UNLIMITED", [0, 1, 2]),
            ("range:%docid{[17,]},quota:UNLIMITED", [17, 18, 19]),
            ("range:%percent{[50,100)},quota:3", [10, 11, 12]),
            ("range:%docid{[0,3)},quota:2;range:%docid{[10,20)},quota:3", [0, 1, 10, 11, 12]),
            # what a layer leaves goes to the next, whose default is nothing
            ("range:%docid{[0,3)},quota:5;range:%docid{[10,20)}", [0, 1, 2, 10, 11]),
            ("range:%docid{[0,5)},quota:1;range:%other,quota:2", [0, 5, 6]),
            ("range:n{[3,5],9},quota:UNLIMITED", [3, 4, 5, 9]),
            ("range:n{[3,5)},quota:UNLIMITED", [3, 4, 5]),
            ("range:n{[3,10]}*%percent{[0,25)},quota:UNLIMITED", [3, 4]),
            ("range:%sorted,quota:2", [0, 1]),
            ("range:%unsorted,quota:UNLIMITED", []),
            ("range:%docid{[0,5),[10,15)},quota:4", [0, 1, 10, 11]),
            # ranges share in proportion to their lengths, evenly, or have it each
            ("range:%docid{[0,2),[10,18)},quota:5", [0, 10, 11, 12, 13]),
            ("range:%docid{[0,2),[10,18)},quota:4#1", [0, 1, 10, 11]),
            ("range:%docid{[0,2),[10,18)},quota:3#2", [0, 1, 10, 11, 12]),
            ("range:%segmentid{0},quota:1", [0]),
            ("quota:0", []),
        ]
        for layer, want in rows:
            with self.subTest(layer=layer):
                self.assertEqual(self.numbers("name:thing", layer=layer), want)

    def test_layers_have_queries_of_their_own(self):
        layer = "range:%docid{[0,10)},quota:2;range:%docid{[10,20)},quota:3;range:%other,quota:9"
        self.assertEqual(self.numbers("kind:odd;kind:even", layer=layer), [1, 3, 10, 12, 14])
        self.assertEqual(self.numbers("kind:odd;kind:even", layer="quota:2"), [1, 3])
        self.assertEqual(self.numbers("kind:odd;kind:even"), list(range(1, 20, 2)))
        # a filter counts before the quota; a document is taken once
        self.assertEqual(self.numbers("name:thing", layer="quota:2", filter="n>5"), [6, 7])
        self.assertEqual(self.numbers("name:thing", layer="quota:2;quota:2"), [0, 1, 2, 3])
        reply = self.reply(clauses("name:thing", "hit:1", layer="range:%docid{[0,10)},quota:2"))
        self.assertEqual((reply["result"]["numHits"], reply["result"]["totalHits"]), (1, 10))

    # ---- documents by address

    def gids(self):
        text = self.reply("query=name:thing&&config=no_summary:yes,hit:3&&sort=+n")
        self.assertIn("\t\t<fields>\n\t\t</fields>\n", text)
        return re.findall(r' gid="([^"]*)"', text)

    def test_fetch_summary(self):
        gids = self.gids()
        self.assertEqual(len(gids), 3)
        self.assertEqual([len(g.split("|")) for g in gids], [7, 7, 7])
        for how in ("docid", "pk"):
            got = self.reply(f"config=format:json,fetch_summary_type:{how}&&fetch_summary={gids[2]},{gids[0]}")
            self.assertEqual(got["errors"], [])
            self.assertEqual([i["fields"]["id"] for i in got["result"]["items"]], ["d2", "d0"])
            self.assertEqual(got["result"]["items"][0]["sortExprValues"], [])
        got = self.reply("config=format:json,fetch_summary_type:rawpk&&fetch_summary=t:d4,d\\5,nobody")
        self.assertEqual([i["fields"].get("id") for i in got["result"]["items"]], ["d4", "d5", None])
        self.assertEqual(got["errors"], [{"code": 10010, "message": (
            "Lack of summary. The size of returned hits[2] is not equal the size of required hits[3]")}])
        text = self.reply("config=fetch_summary_type:rawpk&&fetch_summary=t:d4")
        self.assertIn("\t\t<raw_pk><![CDATA[d4]]></raw_pk>\n", text)
        got = self.reply(f"config=format:json&&fetch_summary=t_0_0_0_{gids[1].split('|')[4]}")
        self.assertEqual([i["fields"]["id"] for i in got["result"]["items"]], ["d1"])

    def test_long_keys_are_found_by_hash(self):
        self.server.push("t", [{"id": "a-key-of-more-than-sixteen-bytes", "kind": "long", "n": 99,
                                "price": 1, "name": "lengthy"}])
        text = self.reply("query=name:lengthy&&config=no_summary:yes")
        gid = re.search(r' gid="([^"]*)"', text)[1]
        got = self.reply(f"config=format:json,fetch_summary_type:pk&&fetch_summary={gid}")
        self.assertEqual([i["fields"]["n"] for i in got["result"]["items"]], ["99"])
        self.server.push("t", [{"id": "a-key-of-more-than-sixteen-bytes"}], command="delete")

    def test_pkfilter(self):
        self.assertEqual(self.numbers("name:thing", pkfilter="d7"), [7])
        self.assertEqual(self.numbers("kind:even", pkfilter="d7"), [])
        self.assertEqual(self.code("query=name:thing&&pkfilter=")[0], 1064)

    # ---- how words are cut

    def test_analyzers(self):
        self.assertEqual(self.numbers("name:WORD3"), [3])
        self.assertEqual(self.numbers("name:WORD3", "hit:9,no_tokenize_indexes:name"), [])
        self.assertEqual(self.numbers("name:word3", "hit:9,no_tokenize_indexes:name"), [3])
        self.assertEqual(self.numbers("name:WORD3", analyzer="no_tokenize_indexes:name"), [])
        self.assertEqual(self.numbers("name:WORD3", analyzer="specific_index_analyzer:name#keyword"), [])
        self.assertEqual(self.numbers("name:WORD3", analyzer="specific_index_analyzer:other#keyword"), [3])
        self.assertEqual(self.numbers("name:WORD3", analyzer="global_analyzer:keyword"), [])
        self.assertEqual(self.numbers("name:'word3 word4'"), [])
        self.assertEqual(self.numbers("name:'word3 word4'", "hit:9,default_operator:OR"), [3, 4])
        self.assertEqual(self.numbers("name:'word3 word4'", "hit:9,default_operator:or"), [])
        self.assertEqual(self.code(clauses("name:x", analyzer="global_analyzer:nobody"))[0], 3500)

    # ---- paths of recall

    def test_paths_together_and_apart(self):
        """Text OR a number OR a key, and the terms that only help to rank."""
        self.assertEqual(self.numbers("name:word3 OR n:5 OR kind:nothing"), [3, 5])
        self.assertEqual(self.numbers("name:word3 OR n:[5,6] OR id:d9"), [3, 5, 6, 9])
        self.assertEqual(self.numbers("n:(17,) ANDNOT kind:odd"), [18])
        self.assertEqual(self.numbers("(name:word3 OR name:word4)@words AND kind:even"), [4])
        self.assertEqual(self.numbers("name:('word3'||'thing'||'word5')^2"), [3, 5])
        self.assertEqual(self.numbers("kind:'odd'|'even' AND n:<2"), [0, 1])
        self.assertEqual(self.numbers("n:>17 RANK name:word18", sort="-RANK;+n"), [18, 19])

    # ---- groups and thinning out, in each form of a reply

    def test_facets(self):
        aggregate = "group_key:kind,agg_fun:count()#max(n+1);group_key:n,agg_fun:sum(price),range:5~15"
        reply = self.reply(clauses("name:thing", "hit:0", aggregate=aggregate))
        low, high = -2 ** 31, 2 ** 31 - 1
        self.assertEqual(reply["result"]["facet"], [
            {"key": "kind", "items": [{"value": "even", "count()": "10", "max((n+1))": "19"},
                                      {"value": "odd", "count()": "10", "max((n+1))": "20"}]},
            {"key": "n", "items": [{"value": f"{low}:5", "sum(price)": "2.5"},
                                   {"value": "5:15", "sum(price)": "23.75"},
                                   {"value": f"15:{high}", "sum(price)": "21.25"}]}])
        full = self.reply("query=name:thing&&config=format:fulljson,hit:0&&aggregate=" + aggregate)
        self.assertEqual(full["result"]["facet"][0]["items"][0],
                         {"value": "even", "count()": "10", "max((n+1))": "19", "count": 10, "max": 19})
        text = self.reply("query=name:thing&&config=hit:0&&aggregate=group_key:kind,agg_fun:count()#max(n+1)")
        self.assertIn("<AggregateResults>\n\t<AggregateResult key='kind'>\n"
                      "\t\t<group value='even'><count()>10</count()><max((n+1))>19</max((n+1))></group>\n", text)

    def test_facets_on_the_other_surfaces(self):
        aggregate = "group_key:kind,agg_fun:count()#max(n)"
        status, reply = self.server.request("POST", "/_quern/search", {
            "table": "t", "kind": "ha3",
            "query": "query=name:thing&&config=hit:1&&attribute=n&&aggregate=" + aggregate})
        self.assertEqual(status, 200, reply)
        self.assertEqual(reply["facets"], [{"key": "kind", "groups": [
            {"value": "even", "count()": "10", "max(n)": "18"},
            {"value": "odd", "count()": "10", "max(n)": "19"}]}])
        self.assertEqual(list(reply["hits"][0]["attributes"]), ["n"])

    def test_distinct(self):
        self.assertEqual(self.numbers("name:thing", "hit:4", sort="-n", distinct="dist_key:kind"), [19, 18, 17, 16])
        self.assertEqual(self.numbers("name:thing", "hit:9", sort="-n", distinct="dist_key:kind,reserved:false"),
                         [19, 18])

    # ---- replies

    def test_xml(self):
        text = self.reply("query=name:word3&&config=cache_info:yes,hit:1&&sort=-RANK;+n&&attribute=n,price"
                          "&&kvpairs=formula:n,fetch_fields:name;kind")
        want = re.compile(
            r'<\?xml version="1.0" encoding="UTF-8"\?>\n<Root>\n<TotalTime>\d+\.\d{3}</TotalTime>\n'
            r'<SortExprMeta><!\[CDATA\[-RANK;\+n\]\]></SortExprMeta>\n'
            r'<hits numhits="1" totalhits="1" coveredPercent="100.00">\n'
            r'\t<hit cluster_name="t.default" hash_id="0" docid="\d+">\n'
            r'\t\t<fields>\n\t\t\t<name><!\[CDATA\[Word3 thing <&>\]\]></name>\n'
            r'\t\t\t<kind><!\[CDATA\[odd\]\]></kind>\n\t\t</fields>\n'
            r'\t\t<property>\n\t\t</property>\n'
            r'\t\t<attribute>\n\t\t\t<n>3</n>\n\t\t\t<price>0.75</price>\n\t\t</attribute>\n'
            r'\t\t<sortExprValues>10003.0000000000; 3</sortExprValues>\n\t</hit>\n</hits>\n'
            r'<AggregateResults>\n</AggregateResults>\n'
            r'<Error>\n\t<ErrorCode>0</ErrorCode>\n\t<ErrorDescription></ErrorDescription>\n</Error>\n'
            r'<fromCache>no</fromCache>\n</Root>\n')
        self.assertRegex(text, want)
        self.assertEqual(want.match(text).end(), len(text))

    def test_json_keys_in_order(self):
        status, _, text = self.server.raw(
            "GET", "/query?table=t&query=query%3Dname:word3%26%26config%3Dformat:json,rank_trace:INFO,trace:INFO")
        self.assertEqual(status, 200)
        pairs = json.loads(text, object_pairs_hook=lambda p: p)
        self.assertEqual([k for k, _ in pairs], ["result", "errors", "requestTrace"])
        result = pairs[0][1]
        self.assertEqual([k for k, _ in result], [
            "searchtime", "numHits", "totalHits", "coveredPercent", "items", "facet"])
        self.assertEqual([k for k, _ in dict(result)["items"][0]], [
            "fields", "properties", "attributes", "variableValues", "sortExprValues", "tracerInfo"])

    def test_fulljson_has_the_hosted_names_too(self):
        reply = self.reply("query=kind:odd&&config=format:fulljson,hit:2")
        self.assertEqual(reply["status"], "OK")
        result = reply["result"]
        self.assertEqual((result["total"], result["viewtotal"], result["num"]), (10, 10, 2))
        self.assertEqual((result["totalHits"], result["numHits"]), (10, 2))
        self.assertEqual(result["items"][0]["variableValue"], {})
        self.assertEqual(result["items"][0]["property"], {})
        reply = self.reply("query=nowhere:x&&config=format:fulljson")
        self.assertEqual((reply["status"], reply["errors"][0]["code"]), ("FAIL", 1013))

    def test_texts_of_errors(self):
        rows = [
            ("query=nowhere:x", 1013, "QueryClause: index not exist. "),
            ("query=name:x&&colour=red", 1056, "Error: Unknown clause. "),
            ("query=name:x&&sort=", 1031, "SortClause: sort description not exist."),
            ("query=name:x&&sort=n;n", 1032, "SortClause: two sort description with same expression. "),
            ("query=name:x&&kvpairs=alone", 2090, "unknown error. "),
            ("query=name:x&&rank=colour:1", 1063, "RankClause: Unkonwn key. "),
            ("query=name:[5,3]", 1051, "Query clause error. Parse query failed! error description: "
                                       "Invalid Range: [5, 3]., queryClauseStr:name:[5,3]"),
            ("config=hit:1", 1012, "QueryClause: clause not exist."),
            ("query=name:x&&layer=range:%docid{[-1,3)}", 2042, "layer range or value less than 0 "),
            ("query=name:x&&layer=range:nothing{1}", 2000, "attribute not exist. "),
            ("query=name:x&&aux_filter=a=1", 1082, "No ScanJoinCluster cannot execute aux query or filter"),
            ("query=name:x&&level=second_level_cluster:c", 2, "general error. "),
        ]
        for request, code, text in rows:
            for form in ("", "&&config=format:json"):
                with self.subTest(request=request + form):
                    if "config" in request and form:
                        continue
                    got, message = self.code(request + form)
                    self.assertEqual(got, code)
                    self.assertTrue(message.startswith(text), message)

    def test_errors_of_config_are_xml(self):
        for config, code in (("start:x", 2022), ("hit:x", 2023), ("searcher_return_hits:x", 2023),
                             ("total_rank_size:x", 2033), ("total_rerank_size:x", 2034), ("sub_doc:x", 2031),
                             ("fetch_summary_type:x", 2027), ("join_type:x", 2030), ("version:x", 2032),
                             ("research_threshold:x", 2029), ("proto_format_option:x", 2028),
                             ("qrs_chain:x", 10005), ("kvpairs:x", 1002), ("format:protobuf", 1007)):
            reply = self.reply(f"query=name:x&&config=format:json,{config}")
            self.assertIsInstance(reply, str, config)
            self.assertEqual([c for c, _ in errors_of(reply)], [code], config)


    # ---- the request as JSON

    def rest(self, body, table="t"):
        status, reply = self.server.request("POST", f"/{table}/search", body)
        self.assertEqual(status, 200, reply)
        return reply

    def test_rest(self):
        got = self.rest({"query": "name:thing", "config": {"start": 1, "hit": 2}, "filter": "n>5",
                         "sort": ["-kind", "+n"], "attribute": ["n", "price"],
                         "kvpairs": {"formula": "if(n>7,1,0)", "fetch_fields": "id;kind"}})
        self.assertEqual([i["fields"] for i in got["result"]["items"]],
                         [{"id": "d9", "kind": "odd"}, {"id": "d11", "kind": "odd"}])
        self.assertEqual(got["result"]["items"][0]["attributes"], {"n": 9, "price": 2.25})
        self.assertEqual(got["result"]["totalHits"], 14)
        got = self.rest({"query": "name:thing", "kvpairs": {"formula": "if(n>7,n,0)"}, "config": {"hit": 1}})
        self.assertEqual(got["result"]["items"][0]["sortExprValues"], ["10019.0000000000"])
        got = self.rest({"query": "name:thing", "config": {"hit": 0}, "aggs": [
            {"group_key": "n", "agg_fun": ["count()", "max(n)"], "agg_range": [5, 15], "agg_filter": "n<16"}]})
        self.assertEqual([g["count()"] for g in got["result"]["facet"][0]["items"]], ["5", "10", "1"])
        got = self.rest({"query": "name:thing", "sort": "-n", "distinct": {"dist_key": "kind", "reserved": False}})
        self.assertEqual([i["fields"]["id"] for i in got["result"]["items"]], ["d19", "d18"])
        self.assertTrue(self.rest({"query": "name:thing", "config": {"format": "xml"}}).startswith("<?xml"))

    def test_rest_refuses(self):
        self.assertEqual(errors_of(self.rest({"query": "nowhere:x"}))[0][0], 1013)
        self.assertEqual(errors_of(self.rest({"query": "name:x", "colour": "red"}))[0][0], 1056)
        self.assertEqual(errors_of(self.rest({"query": "name:x"}, "nothing"))[0][0], 1001)
        for body in ({"query": "name:x&&config=hit:1"}, {"query": ["name:x"]}, {"query": "name:x", "config": 5},
                     {"query": "name:x", "sort": [["n"]]}, {"query": None}, [], "{"):
            status, reply = self.server.request("POST", "/t/search", json.dumps(body) if body != "{" else body)
            self.assertEqual((status, reply["status"]), (400, "FAIL"), body)


if __name__ == "__main__":
    unittest.main()

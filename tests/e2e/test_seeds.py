# SPDX-License-Identifier: Apache-2.0
"""The exercises of the vendor's pages on ranking, each on small documents made for it: what
the pages promise in words or numbers holds through HTTP."""
import math
import random
import re
import time
import unittest

from harness import ROOT, Server, clauses, engine_schema, float32, rank

QUESTION = "What happened in Chengnanzhuang in 1948"


class Exercises(unittest.TestCase):
    """One table per exercise, all on one server."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server().__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def table(self, name, fields, documents, **more):
        self.server.create(name, engine_schema(name, fields, **more))
        self.server.push(name, documents)
        self.name = name

    def ask(self, query, config="hit:100", **more):
        """[(id, values of the sort keys)] in order."""
        key = "id"
        items = self.server.items(clauses(query, config, **more), self.name)
        return [(item["fields"][key], item["sortExprValues"]) for item in items]

    def scores(self, query, config="hit:100", **more):
        """{id: RANK} and the order of the ids."""
        rows = self.ask(query, config, **more)
        return {i: values[0] for i, values in rows}, [i for i, _ in rows]

    # ---- exercise 1: conditions that add points ------------------------------------------

    def test_points_for_age_and_weight(self):
        people = [(10, 60), (11, 60), (40, 61), (41, 60), (50, 70), (5, 70), (41, 61)]
        self.table("people", {"id": "STRING", "kind": "STRING", "age": "INT32", "weight": "INT32"},
                   [{"id": f"p{i}", "kind": "person", "age": a, "weight": w}
                    for i, (a, w) in enumerate(people)])
        for formula in ("(age>10)*10+(age>40)*20+(weight>60)*30",
                        "if(age>10,10,0) + if(age>40,20,0) +if(weight>60,30,0)"):
            with self.subTest(formula=formula):
                got, order = self.scores("kind:'person'", formula=formula)
                want = {f"p{i}": (a > 10) * 10 + (a > 40) * 20 + (w > 60) * 30
                        for i, (a, w) in enumerate(people)}
                self.assertEqual(got, {i: rank(v) for i, v in want.items()})
                self.assertEqual(order, sorted(want, key=lambda i: -want[i]))

    # ---- exercises 2 and 3: the shorter of two fields --------------------------------------

    def test_whole_name_before_branch_office(self):
        self.table("companies", {"id": "STRING", "title": "TEXT:chn_standard"},
                   [{"id": "branch", "title": "abc杭州分公司"}, {"id": "whole", "title": "abc公司"}])
        for query in ("title:'abc公司'", "title:'abc'"):
            got, order = self.scores(query, "hit:10,default_operator:OR",
                                     formula="field_match_ratio(title)")
            self.assertEqual(order, ["whole", "branch"], query)
            self.assertLess(float(got["branch"]), float(got["whole"]))
        got, _ = self.scores("title:'abc公司'", formula="field_match_ratio(title)")
        self.assertEqual(got["whole"], rank(1))

    def test_table_name_before_longer_table_name(self):
        self.table("tables", {"id": "STRING", "detail": "TEXT:chn_standard"},
                   [{"id": "long", "detail": "dim_itm_tb_dst_itm_relation_dd"},
                    {"id": "short", "detail": "dim_itm_tb"},
                    {"id": "other", "detail": "dim_tb"}],
                   packs={"all": ["detail"]})
        got, order = self.scores("all:'dim_itm_tb'", formula="field_match_ratio(detail)")
        self.assertEqual(order, ["short", "long"])
        self.assertEqual(got["short"], rank(1))
        self.assertEqual(got["long"], rank(4 / 7))  # occurrences count: itm stands twice

    # ---- exercises 4 and 5: words that stand together --------------------------------------

    def test_phrase_or_words(self):
        self.table("items", {"id": "STRING", "item": "TEXT:standard"},
                   [{"id": "case", "item": "iphone case for 8 plus"},
                    {"id": "phone", "item": "apple iphone 8 256g"},
                    {"id": "turned", "item": "8 iphone"},
                    {"id": "half", "item": "iphone 7"}])
        query = "item:\"iphone 8\" OR item:'iphone 8'"
        got, order = self.scores(query, formula="query_min_slide_window(item)")
        self.assertEqual(got, {"phone": rank(1), "turned": rank(1), "case": rank(0.5)})
        self.assertEqual(order[-1], "case")
        got, order = self.scores(query, formula="query_min_slide_window(item,true)")
        self.assertEqual(got, {"phone": rank(1), "case": rank(0.5), "turned": rank(0)})
        self.assertEqual(order, ["phone", "case", "turned"])
        for spelling in ("query_min_slide_window(item,true,item)",
                         "query_min_slide_window(item,item,true)"):
            self.assertEqual(self.scores(query, formula=spelling)[0], got, spelling)

    def test_window_of_the_manual(self):
        self.table("manuals", {"id": "STRING", "title": "TEXT:whitespace"},
                   [{"id": "manual", "title": "开放 搜索 用户 手册"}])
        got, _ = self.scores("title:'搜索 手册'", formula="query_min_slide_window(title)")
        self.assertEqual(got, {"manual": rank(2 / 3)})
        got, _ = self.scores("title:'手册 搜索'", formula="query_min_slide_window(title)")
        self.assertEqual(got, {"manual": rank(2 / 3)})
        got, _ = self.scores("title:'手册 搜索'", formula="query_min_slide_window(title,true)")
        self.assertEqual(got, {"manual": rank(0)})

    def test_exact_title_first_among_equal_windows(self):
        titles = {"fun": "民国趣闻-民国", "history": "中国民族史-民国", "exact": "民国"}
        self.table("republic", {"id": "STRING", "title": "TEXT:chn_standard"},
                   [{"id": i, "title": t} for i, t in titles.items()])
        for formula in ("query_min_slide_window(title)", "text_relevance(title)"):
            got, order = self.scores("title:'民国'", formula=formula)
            self.assertEqual(set(got), set(titles))
            self.assertEqual(order[0], "exact", formula)
        got, _ = self.scores("title:'民国'", formula="query_min_slide_window(title)")
        self.assertEqual(set(got.values()), {rank(1)})

    # ---- exercises 6 and 7: words said again and again -----------------------------------

    def test_repeats_do_not_pay(self):
        self.table("repeats", {"id": "STRING", "title": "TEXT:standard"},
                   [{"id": "once", "title": "cheap shoes here"},
                    {"id": "often", "title": "shoes shoes shoes"},
                    {"id": "none", "title": "hats"}])
        got, order = self.scores("title:'shoes'", first_formula="static_bm25()")
        self.assertEqual(order, ["often", "once"])
        self.assertGreater(float(got["often"]), float(got["once"]))
        for score in got.values():
            self.assertTrue(10000 < float(score) < 10001)  # in [0, 1]
        got, _ = self.scores("title:'shoes'", formula="query_match_ratio(title)")
        self.assertEqual(got, {"once": rank(1), "often": rank(1)})
        got, _ = self.scores("title:'shoes hats'", "hit:10,default_operator:OR",
                             formula="query_match_ratio(title)")
        self.assertEqual(got, {"once": rank(0.5), "often": rank(0.5), "none": rank(0.5)})

    def test_stuffed_titles_go_last(self):
        self.table("stuffed", {"id": "STRING", "title": "TEXT:standard"},
                   [{"id": "stuffed", "title": "lamp lamp lamp lamp"},
                    {"id": "three", "title": "lamp lamp lamp"},
                    {"id": "plain", "title": "a lamp"}])
        got, order = self.scores("title:'lamp'", formula="if(field_term_match_count(title)>3,1,10)")
        self.assertEqual(got, {"stuffed": rank(1), "three": rank(10), "plain": rank(10)})
        self.assertEqual(order[-1], "stuffed")

    # ---- exercise 8 -----------------------------------------------------------------------

    def test_mark_of_a_filled_field(self):
        self.table("marked", {"id": "STRING", "kind": "STRING", "mark": "INT8"},
                   [{"id": "a", "kind": "k", "mark": 0}, {"id": "b", "kind": "k", "mark": 1},
                    {"id": "c", "kind": "k"}])
        got, order = self.scores("kind:'k'", formula="if(mark==1,500,0)")
        self.assertEqual(got, {"a": rank(0), "b": rank(500), "c": rank(0)})
        self.assertEqual(order, ["b", "a", "c"])

    # ---- the two cases -----------------------------------------------------------------------

    NAMES = {
        "1": "黑色幽默,又称为“黑色喜剧”,是产生于1960年代美国的一个现代主义文学流派",
        "2": "《黑色幽默》是周杰伦演唱的一首歌曲",
        "3": "周杰伦,台湾华语流行歌曲男歌手、音乐家、编曲家、唱片制片人、魔术师。",
        "4": "黑夜将至,周围一切都是黑色的,为了缓解压抑的气氛,周杰伦很幽默的说了一个笑话",
        "5": "黑色幽默女版(原唱:周杰伦Jay Chou)",
        "6": "Jay Chou 周杰伦【黑色幽默 Black Humor】-Official Music Video",
    }

    def songs(self, operator):
        if self.server.request("GET", "/songs")[0] == 404:
            schema = engine_schema("songs", {"id": "STRING", "name": "TEXT:chn_standard"},
                                   packs={"title": ["name"]})
            self.server.create("songs", schema)
            self.server.push("songs", [{"id": i, "name": n} for i, n in self.NAMES.items()])
        self.name = "songs"
        return self.scores("title:'黑色幽默周杰伦'", f"hit:10,default_operator:{operator}",
                           first_formula="static_bm25()", formula="text_relevance(name)")

    def test_case_one_all_words(self):
        got, order = self.songs("AND")
        self.assertEqual(set(order), {"2", "4", "5", "6"})
        self.assertEqual((order[0], order[-1]), ("2", "4"))
        for score in got.values():
            self.assertTrue(10000 <= float(score) <= 10001)

    def test_case_two_any_word(self):
        _, order = self.songs("OR")
        self.assertEqual(set(order), set(self.NAMES))
        self.assertEqual(set(order[:3]), {"2", "5", "6"})  # both
        self.assertEqual(order[3], "1")  # then the song's words, then the singer's
        self.assertEqual(order[0], "2")


class Functions(unittest.TestCase):
    """Every operation and function of the page on sort expressions."""

    FIELDS = {"a": 1, "b": 2, "i": 5, "age": 50, "weight": 70, "mark": 1, "width": 400,
              "height": 300, "price": 12, "pubtime": 10, "ratio": 0.25}

    @classmethod
    def setUpClass(cls):
        cls.server = Server().__enter__()
        fields = {"id": "STRING", "kind": "STRING"}
        fields.update({k: "DOUBLE" if isinstance(v, float) else "INT64" for k, v in cls.FIELDS.items()})
        fields.update({"text": "TEXT:standard", "tags": "DOUBLE*"})
        cls.server.create("f", engine_schema("f", fields))
        cls.server.push("f", [{"id": "d", "kind": "k", "text": "x", "tags": [1, 0.5, 5, 0.5, 3, 0.1],
                               **cls.FIELDS}])

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def value(self, formula, place="formula", **more):
        items = self.server.items(clauses("kind:'k'", **{place: formula}, **more), "f")
        self.assertEqual(len(items), 1)
        return items[0]["sortExprValues"][0]

    def test_values(self):
        rows = [
            # conditions and sets
            ("if(2, 3, 5)", 3), ("if(0, 3, 5)", 5), ("if(1,5,10)", 5), ("if(0,5,10)", 10),
            ("if(a==1,5,10)", 5), ("if(a==2,5,10)", 10), ("if(mark==1,500,0)", 500),
            ("if(ratio, 0.5, 7)", 0.5), ("2 in (2, 4, 6)", 1), ("3 in (2, 4, 6)", 0),
            ("i in (1,2,3,4,5)", 1), ("i in (6,7,8,9)", 0), ("(i in (5))*3+1", 4),
            ("if(i in (1,5),if(b>1,11,12),13)", 11),
            # arithmetic
            ("width / 10", 40), ("-1", -1), ("-max(width, height)", -400), ("--a", 1),
            ("2+3*4", 14), ("(2+3)*4", 20), ("7-2-1", 4), ("64/4/2", 8), ("-a+b", 1),
            ("a-b*-2", 5), ("ratio*2", 0.5), ("1/4.0", 0.25), ("0.1+0.2", 0.1 + 0.2),
            # relations give 1 and 0
            ("width>=400", 1), ("width>400", 0), ("width<=399", 0), ("width!=400", 0),
            ("width==400", 1), ("height<400", 1), ("(age>10)*10+(age>40)*20+(weight>60)*30", 60),
            ("if(age>10,10,0) + if(age>40,20,0) +if(weight>60,30,0)", 60),
            # logic
            ("width>=400 and height >= 300", 1), ("width>400 and height >= 300", 0),
            ("width>400 or height >= 300", 1), ("!(a > 1 and b < 2)", 1), ("!(a > 0)", 0),
            ("!0", 1), ("!a", 0), ("a==2 or a==1 and b==3", 0), ("(a==1 or a==2) and b==2", 1),
            # bits: + binds tighter than &
            ("price ^ pubtime", 12 ^ 10), ("price | pubtime", 12 | 10), ("price & pubtime", 12 & 10),
            ("3 & (price ^ pubtime) + (price | pubtime)", 3 & ((12 ^ 10) + (12 | 10))),
            ("1 | 2 ^ 3 & 1", 1 | (2 ^ (3 & 1))),
            # functions
            ("max(a, b)", 2), ("min(a,b)", 1), ("max(ratio, 0.5)", 0.5),
            ("ceil(4.2)", 5), ("floor(4.6)", 4), ("ceil(-4.2)", -4), ("floor(-4.6)", -5),
            ("sqrt(4)", 2), ("pow(2, 3)", 8), ("pow(2,0.5)", 2 ** 0.5),
            ("ln(10)", math.log(10)), ("log2(8)", 3), ("log10(1000)", 3), ("log2(10)", math.log2(10)),
            ("sin(1)", math.sin(1)), ("cos(1)", math.cos(1)), ("tan(1)", math.tan(1)),
            ("asin(0.5)", math.asin(0.5)), ("acos(0.5)", math.acos(0.5)), ("atan(2)", math.atan(2)),
            ("sqrt(width/100)*ceil(ratio)", 2), ("floor(width/height)", 1),
            # shaping
            ("normalize(1)", 0.5), ("normalize(-3)", 0), ("normalize(5,10,0)", 0.5),
            ("normalize(20,10,0)", 1), ("normalize(10,100)", 0.5),
            ("linear_decay(0,5,10,0.5,0)", 0.75), ("gauss_decay(0,10,10,0.5,0)", 0.5),
            ("exp_decay(0,10,10,0.5,0)", 0.5), ("exp_decay(0,3,10,0.5,5)", 1),
            ("timeliness(now()+100)", 0),
            # newlines and blanks are free
            ("if(a==1,\n   2,\n  3)\n  + 1", 3), (" ( a+b ) ", 3),
        ]
        for formula, want in rows:
            with self.subTest(formula=formula):
                got = self.value(formula)
                self.assertEqual(got, rank(want))
                if want >= 0:
                    self.assertEqual(self.value(formula, "first_formula"), got)

    def test_now_and_random(self):
        before = time.time()
        got = float(self.value("now()")) - 10000
        self.assertAlmostEqual(got, before, delta=300)  # a 32-bit float is 128 s wide here
        for _ in range(20):
            self.assertTrue(0 <= float(self.value("random()")) - 10000 <= 1)

    def test_tag_match(self):
        pairs = "query_tags:5=0.6:1=0.3:77,cats:1:3,none:"
        for formula, want in (("tag_match(query_tags, tags, mul, sum, false, true, 100)", 0.45),
                              ("tag_match(query_tags, tags, mul, max)", 0.3),
                              ("tag_match(query_tags, tags, sum, min)", 0.8),
                              ("tag_match(query_tags, tags, query_value, sum)", 0.9),
                              ("tag_match(query_tags, tags, doc_value, avg)", 0.5),
                              ("tag_match(query_tags, tags, 2, sum)", 4),
                              ("tag_match(query_tags, tags, query_value, first_match)", 0.3),
                              ("tag_match(cats, tags, mul, sum)", 0.6),
                              ("tag_match(query_tags, tags, mul, sum, false, true, 1)", 0.15),
                              ("tag_match(query_tags, tags, sum, max, true, true)", 1),
                              ("tag_match(cats, tags, sum, max, false, false)", 2),
                              ("tag_match(no_such_key, tags, mul, sum)", 0)):
            with self.subTest(formula=formula):
                self.assertAlmostEqual(float(self.value(formula, kvpairs=pairs)),
                                       float(rank(want)), delta=2e-7)
        for formula in ("tag_match(query_tags, tags, mul, mul)", "tag_match(query_tags, text, mul, sum)",
                        "tag_match(query_tags, tags, nonsense, sum)", "tag_match(query_tags, tags, mul, sum, 7)",
                        "tag_match(query_tags, tags)"):
            status, reply = self.server.query(clauses("kind:'k'", formula=formula, kvpairs=pairs), "f")
            self.assertTrue(reply["errors"], formula)
        for clause, found in (('tag_match("query_tags", tags, "mul", "sum", "false", "true", 100)>0.4', 1),
                              ('tag_match("query_tags", tags, "mul", "sum")>0.5', 0)):
            items = self.server.items(clauses("kind:'k'", filter=clause, kvpairs=pairs), "f")
            self.assertEqual(len(items), found, clause)
        items = self.server.items(clauses("kind:'k'", sort='-tag_match("query_tags", tags, "mul", "sum")',
                                          kvpairs=pairs), "f")
        self.assertAlmostEqual(float(items[0]["sortExprValues"][0]), 0.45)

    def test_kvpairs_value(self):
        self.assertEqual(self.value("kvpairs_value(w,DOUBLE)*2", kvpairs="w:1.25"), rank(2.5))
        self.assertEqual(self.value("kvpairs_value(w,INT)", kvpairs="w:3"), rank(3))
        self.assertEqual(self.value("kvpairs_value(absent,FLOAT)"), rank(0))

    def test_text_is_refused(self):
        for formula in ("text", "text+1", "if(text==1,2,3)", "kind*2", "max(kind,1)"):
            with self.subTest(formula=formula):
                status, reply = self.server.query(clauses("kind:'k'", formula=formula), "f")
                self.assertTrue(isinstance(reply, dict) and reply["errors"], reply)

    def test_both_spellings(self):
        for formula, want in (("width = 400 AND height = 300", 1), ("a = 2 OR b = 2", 1)):
            self.assertEqual(self.value(formula), rank(want))


class TwoStages(unittest.TestCase):
    """Rough and fine: 10000 as the base, the cap of 20000, who takes part in the fine sort."""

    N = 250

    @classmethod
    def setUpClass(cls):
        cls.server = Server().__enter__()
        cls.server.create("t", engine_schema(
            "t", {"id": "STRING", "kind": "STRING", "n": "INT32", "age": "INT32", "price": "DOUBLE",
                  "name": "TEXT:standard"}))
        cls.order = list(range(1, cls.N + 1))
        random.Random(7).shuffle(cls.order)
        cls.server.push("t", [{"id": str(n), "kind": "k", "n": n, "age": n % 7, "price": n / 4,
                               "name": f"word{n} thing"} for n in cls.order])

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def rows(self, config="", query="kind:'k'", **more):
        config = ",".join(filter(None, [f"hit:{self.N}", config]))
        items = self.server.items(clauses(query, config, **more), "t")
        return [(int(i["fields"]["id"]), i["sortExprValues"]) for i in items]

    def scores(self, *args, **more):
        return {n: values[0] for n, values in self.rows(*args, **more)}

    def test_rough_only_is_capped(self):
        got = self.scores(first_formula="n*100")
        self.assertEqual(got, {n: "%.10f" % min(10000 + n * 100, 20000) for n in self.order})

    def test_fine_only_is_not_capped(self):
        got = self.scores("rerank_size:2000", formula="n*100")
        self.assertEqual(got, {n: rank(n * 100) for n in self.order})

    def test_neither(self):
        rows = self.rows(query="name:'thing'")
        self.assertEqual(len(rows), self.N)
        for _, values in rows:
            self.assertTrue(10000 <= float(values[0]) <= 20000)

    def test_rerank_size_is_the_border(self):
        for size in (1, 5, 100, 249, 250):
            with self.subTest(size=size):
                got = self.scores(f"rerank_size:{size}", first_formula="n", formula="500-n")
                fine = set(range(self.N - size + 1, self.N + 1))
                self.assertEqual(got, {n: rank(500 - n if n in fine else n) for n in self.order})

    def test_200_take_part_unless_told(self):
        got = self.scores(first_formula="n", formula="n+1000")
        fine = set(range(self.N - 199, self.N + 1))
        self.assertEqual(got, {n: rank(n + 1000 if n in fine else n) for n in self.order})

    def test_rough_of_the_rest_is_capped(self):
        got = self.scores("rerank_size:10", first_formula="n*1000", formula="1")
        fine = set(range(self.N - 9, self.N + 1))
        self.assertEqual(got, {n: rank(1) if n in fine else "%.10f" % min(10000 + n * 1000, 20000)
                               for n in self.order})

    def test_fine_only_leaves_the_rest_at_the_base(self):
        got = self.scores("rerank_size:3", formula="n+1")
        self.assertEqual(sorted(got.values()).count("10000.0000000000"), self.N - 3)

    def test_fine_below_zero_sinks(self):
        rows = self.rows("rerank_size:5", first_formula="n", formula="-n")
        self.assertEqual([n for n, _ in rows[-5:]], [246, 247, 248, 249, 250])
        self.assertEqual(rows[0][0], 245)

    def test_rough_score_in_the_fine_formula(self):
        got = self.scores("rerank_size:2000", first_formula="n*2", formula="first_phase_score()+1")
        self.assertEqual(got, {n: rank(2 * n + 1) for n in self.order})

    def test_sort_by_field_then_rank(self):
        rows = self.rows("rerank_size:2000", sort="+age;-RANK", formula="price")
        self.assertEqual([n for n, _ in rows], sorted(self.order, key=lambda n: (n % 7, -n)))
        for n, values in rows:
            self.assertEqual(values, [str(n % 7), rank(n / 4)])
        rows = self.rows("rerank_size:2000", sort="-age;+RANK", formula="price")
        self.assertEqual([n for n, _ in rows], sorted(self.order, key=lambda n: (-(n % 7), n)))

    def test_a_key_without_a_sign(self):
        """The vendor's two pages differ; an option of serve takes the other one's side."""
        rows = self.rows("rerank_size:2000", sort="age;-RANK", formula="price")
        self.assertEqual([n for n, _ in rows], sorted(self.order, key=lambda n: (-(n % 7), -n)))
        with Server(arguments=["--ha3-sort-ascending"]) as server:
            server.create("t", engine_schema("t", {"id": "STRING", "kind": "STRING", "age": "INT32"}))
            server.push("t", [{"id": str(n), "kind": "k", "age": n} for n in (20, 13, 40)])
            items = server.items(clauses("kind:'k'", sort="age;-RANK", formula="1"), "t")
            self.assertEqual([i["sortExprValues"] for i in items], [[a, rank(1)] for a in ("13", "20", "40")])

    def test_values_read_as_on_the_page(self):
        rows = self.rows("rerank_size:2000", query="name:'word13 thing'", sort="n;-RANK",
                         formula="text_relevance(name)", first_formula="static_bm25()")
        self.assertEqual([n for n, _ in rows], [13])
        first, second = rows[0][1]
        self.assertEqual(first, "13")
        self.assertRegex(second, r"^1000[01]\.\d{10}$")
        self.assertEqual(second, "%.10f" % (10000 + float32(float(second) - 10000)))

    def test_sort_without_rank_asks_no_formula(self):
        rows = self.rows(sort="-price", formula="n")
        self.assertEqual([n for n, _ in rows], sorted(self.order, reverse=True))
        self.assertTrue(all(len(values) == 1 for _, values in rows))

    def test_sort_by_expression(self):
        rows = self.rows(sort="-(n+age);+n")
        self.assertEqual([n for n, _ in rows], sorted(self.order, key=lambda n: (-(n + n % 7), n)))

    def test_pages_are_cut_from_one_order(self):
        whole = self.rows("rerank_size:20", first_formula="n", formula="n*3")
        cut = []
        for start in range(0, self.N, 30):
            items = self.server.items(clauses("kind:'k'", f"start:{start},hit:30,rerank_size:20",
                                              first_formula="n", formula="n*3"), "t")
            cut += [int(i["fields"]["id"]) for i in items]
        self.assertEqual(cut, [n for n, _ in whole])

    def test_ties_come_in_order_of_arrival(self):
        self.assertEqual([n for n, _ in self.rows(first_formula="1")], self.order)
        self.assertEqual([n for n, _ in self.rows("rerank_size:2000", formula="1")], self.order)

    def test_trace_tells_both_stages(self):
        items = self.server.items(clauses("name:'word13 thing'", "rank_trace:INFO",
                                          first_formula="static_bm25()", formula="text_relevance(name)"), "t")
        trace = items[0]["tracerInfo"]
        found = re.search(r"FirstRank:\s*expression\[static_bm25\(\)\], result\[([0-9.e+-]+)\]\.\s*"
                          r"SecondRank:\s*expression\[text_relevance\(name\)\], result\[([0-9.e+-]+)\]\.", trace)
        self.assertTrue(found, trace)
        self.assertAlmostEqual(float(found.group(2)), float(items[0]["sortExprValues"][0]) - 10000, delta=1e-5)

    def traces(self, level):
        items = self.server.items(clauses("name:'word13 thing' OR name:'word14 thing'",
                                          f"rerank_size:1,rank_trace:{level}", first_formula="n*2+1",
                                          formula="query_match_ratio(name)*2+if(n>3,max(price,1),0)-n/2"), "t")
        return {i["fields"]["id"]: i.get("tracerInfo", "") for i in items}

    def test_levels_of_trace(self):
        for level in ("NONE", "WARN", "ERROR", "FATAL", "nonsense"):
            self.assertEqual(set(self.traces(level).values()), {""}, level)
        terms = self.traces("info")
        self.assertIn("FirstRank:\nexpression[n*2], result[28].\nexpression[1], result[1].\nSecondRank:\n"
                      "expression[query_match_ratio(name)*2], result[1.5].\n"
                      "expression[if(n>3,max(price,1),0)], result[3.5].\nexpression[-n/2], result[-7].\n",
                      terms["14"])
        self.assertNotIn("input[", terms["14"])
        self.assertIn("not in the fine sort: place 2 of the rough sort, and the best 1 are", terms["13"])
        self.assertNotIn("SecondRank", terms["13"])
        inputs = self.traces("DEBUG")["14"]
        self.assertIn("  input[query_match_ratio(name)], value[0.75].\n"
                      "    word[word13], field[name], count[0], positions[], length[2]", inputs)
        self.assertIn("    word[thing], field[name], count[1], positions[1], length[2]", inputs)
        self.assertIn("  input[price], value[3.5].\n", inputs)
        self.assertNotIn("part[", inputs)
        for level in ("TRACE1", "TRACE3", "ALL"):
            parts = self.traces(level)["14"]
            for line in ("  part[n*2+1], value[29].", "    part[n*2], value[28].",
                         "    part[if(n>3,max(price,1),0)], value[3.5].", "      part[n>3], value[1].",
                         "      part[max(price,1)], value[3.5].", "    part[n/2], value[7]."):
                self.assertIn(line + "\n", parts)

    def test_explain_as_json(self):
        """Every sub-expression, the words that features saw, and why not."""
        query = clauses("name:'thing'", "rerank_size:3", first_formula="n*2", formula="text_relevance(name)+n")
        status, reply = self.server.request("POST", "/_quern/explain", {
            "query": query, "kind": "ha3", "table": "t", "id": str(self.N - 1)})
        self.assertEqual(status, 200, reply)
        rough, fine = reply["hits"][0]["stages_trace"]
        self.assertEqual((rough["stage"], rough["scored"], rough["value"]), ("rough", True, 2 * self.N - 2))
        self.assertEqual(fine["terms"][1], {"expression": "n", "value": self.N - 1})
        words = fine["inputs"][0]["words"]
        self.assertEqual([(w["word"], w["field"], w["count"]) for w in words], [("thing", "name", 1)])
        whole = fine["parts"][0]
        self.assertEqual(whole["expression"], "text_relevance(name)+n")
        self.assertAlmostEqual(whole["value"], sum(p["value"] for p in whole["parts"]), places=5)
        status, reply = self.server.request("POST", "/_quern/explain", {
            "query": query, "kind": "ha3", "table": "t", "id": "5"})
        fine = reply["hits"][0]["stages_trace"][1]
        self.assertEqual((fine["stage"], fine["scored"]), ("fine", False))
        self.assertIn(f"place {self.N - 4} of the rough sort, and the best 3", fine["why"])
        status, reply = self.server.request("POST", "/_quern/explain", {
            "query": clauses("name:'word7'"), "kind": "ha3", "table": "t", "id": "5"})
        self.assertEqual((status, reply["hits"]), (200, []))
        self.assertIn("[5] is not recalled", reply["trace"])

    def test_fulljson(self):
        items = self.server.items(clauses("kind:'k'", "hit:1", first_formula="n").replace(
            "format:json", "format:fulljson"), "t")
        self.assertEqual(items[0]["sortExprValues"], [rank(self.N)])
        self.assertEqual(items[0]["fields"]["id"], str(self.N))


class Configured(unittest.TestCase):
    """The page on sorting policies: its procedure, by its own names, and what it says of them."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server().__enter__()
        fields = {"id": "STRING", "brand": "TEXT:standard", "title": "TEXT:standard", "body": "TEXT:standard",
                  "sale_price": "DOUBLE", "price": "INT64", "created": "INT64", "replies": "INT32",
                  "reads": "INT32", "likes": "INT32", "sticky": "INT8", "elite": "INT8", "sales": "INT64",
                  "stock": "INT32", "score": "DOUBLE", "lon": "DOUBLE", "lat": "DOUBLE", "width": "INT32",
                  "height": "INT32"}
        cls.server.create("shop", engine_schema("shop", fields, packs={"default": ["title", "body"]}))
        now = int(time.time())
        cls.documents = [
            {"id": str(n), "brand": "quern mill" if n % 2 else "quern quern stone", "title": f"a quern number {n}",
             "body": "stones that mill " + "grain " * n, "sale_price": n * 12.5, "price": n * 3,
             "created": now - 86400 * n, "replies": n * 7 % 50, "reads": n * 100, "likes": n * 3 % 11,
             "sticky": int(n == 3), "elite": int(n % 4 == 0), "sales": n * n, "stock": n % 5,
             "score": n / 20, "lon": 120 + n / 100, "lat": 30, "width": n * 100, "height": 300}
            for n in range(1, 13)]
        cls.server.push("shop", cls.documents)

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def put(self, stage, name, policy):
        status, reply = self.server.request("PUT", f"/_quern/tables/shop/policies/{stage}/{name}", policy)
        self.assertEqual(status, 200, reply)
        return reply

    def items(self, kvpairs, config="hit:100", query="brand:'quern'", **more):
        return self.server.items(clauses(query, config, kvpairs=kvpairs, **more), "shop")

    def test_procedure(self):
        self.put("rough", "test_1", {"features": [{"attribute": "static_bm25()", "arg": "", "weight": 10},
                                                  {"attribute": "sale_price", "arg": "", "weight": 0.08}]})
        self.put("fine", "test_2", {"formula": "text_relevance(brand)"})
        parts = {i["fields"]["id"]: i["sortExprValues"][0]
                 for i in self.items("x:1", first_formula="static_bm25()*10")}
        rough = {i["fields"]["id"]: i["sortExprValues"][0] for i in self.items("first_rank_name:test_1")}
        for d in self.documents:
            self.assertAlmostEqual(float(rough[d["id"]]), float(parts[d["id"]]) + d["sale_price"] * 0.08, places=4)
        order = [i["fields"]["id"] for i in self.items("first_rank_name:test_1")]
        items = self.items("first_rank_name:test_1,second_rank_name:test_2",
                           "hit:100,rerank_size:5,rank_trace:INFO")
        fine = {i["fields"]["id"] for i in items if "SecondRank" in i["tracerInfo"]}
        self.assertEqual(fine, set(order[:5]))
        for item in items:
            found = re.match(r"FirstRank:\nexpression\[static_bm25\(\)\*10\], result\[[0-9.e+-]+\]\.\n"
                             r"expression\[sale_price\*0\.08\], result\[[0-9.e+-]+\]\.\n"
                             r"(SecondRank:\nexpression\[text_relevance\(brand\)\], result\[([0-9.e+-]+)\]\.|not in)",
                             item["tracerInfo"])
            self.assertTrue(found, item["tracerInfo"])
            if item["fields"]["id"] in fine:
                self.assertAlmostEqual(float(item["sortExprValues"][0]), 10000 + float(found.group(2)), places=4)
            else:
                self.assertEqual(item["sortExprValues"][0], rough[item["fields"]["id"]])

    def test_default_names_of_the_sdk(self):
        got = self.items("first_rank_name:default,second_rank_name:default", "hit:100,rerank_size:5")
        want = self.items("x:1")
        self.assertEqual([i["sortExprValues"] for i in got], [i["sortExprValues"] for i in want])

    def test_values_of_the_sort_clause(self):
        items = self.items("x:1", sort="-price;-RANK", formula="1")
        self.assertEqual([i["sortExprValues"] for i in items],
                         [[str(d["price"]), rank(1)] for d in reversed(self.documents)])

    def test_printing_of_given_numbers(self):
        """How the pages print scores, of numbers that are given here as constants."""
        for number, full, short in ((0.2259030193, "10000.2259030193", "0.225903"),
                                    (0.0399786383, "10000.0399786383", "0.0399786"),
                                    (0.0340123586, "10000.0340123586", "0.0340124")):
            items = self.items("x:1", "hit:1,rank_trace:INFO", formula=f"{number}+price*0")
            self.assertEqual(items[0]["sortExprValues"], [full])
            self.assertIn(f"expression[{number}], result[{short}].", items[0]["tracerInfo"])

    TEMPLATES = {
        "forum": "text_relevance(title)*3+text_relevance(body)+if(sticky==1,10,0)+if(elite==1,2,0)"
                 "+log10(replies+1)*0.5+log10(reads+1)*0.2+timeliness(created)",
        "news": "text_relevance(title)*2+text_relevance(body)*0.5+timeliness(created)*3",
        "shop": "text_relevance(title)*3+normalize(sales,10000)+if(stock==0,-5,0)+normalize(score,1,0)*0.5"
                "-normalize(sale_price,100000)*0.1",
        "video": "query_min_slide_window(title)*2+log2(reads+1)*0.3+likes/(reads+1.0)",
        "nearby": "text_relevance(title)+1/(1+distance(lon,lat,\"120.5\",\"30\"))",
        "pictures": "if(width>=400 and height>=300,2,0)+field_match_ratio(title)",
    }

    def test_templates(self):
        """Formulas as the templates for such applications have them: they run, score every
        document by arithmetic that adds up, and order by it."""
        for name, formula in self.TEMPLATES.items():
            with self.subTest(template=name):
                self.put("fine", name, {"formula": formula, "description": name})
                items = self.items(f"second_rank_name:{name}", "hit:100,rank_trace:INFO",
                                   "default:'quern mill'")
                self.assertEqual(len(items), len(self.documents))
                scores = [float(i["sortExprValues"][0]) for i in items]
                self.assertEqual(scores, sorted(scores, reverse=True))
                self.assertGreater(len(set(scores)), 1)
                for item, score in zip(items, scores):
                    terms = re.findall(r"result\[([0-9.e+-]+)\]",
                                       item["tracerInfo"].split("SecondRank:")[1])
                    self.assertAlmostEqual(sum(map(float, terms)), score - 10000, delta=2e-3)


class MultiPath(unittest.TestCase):
    """The page on recall over text and vectors: its schema and its query as they stand there."""

    DIMENSION = 128

    @classmethod
    def setUpClass(cls):
        cls.server = Server().__enter__()
        schema = (ROOT / "tests/e2e/seed_schema.json").read_text()
        cls.server.create("main", schema)
        cls.vector = [round(math.sin(i) / 16, 6) for i in range(cls.DIMENSION)]
        cls.documents = [
            ("near", "a report about trains", "trains", 0.1),
            ("asked", QUESTION + " was told later", QUESTION, 0.2),
            ("far", "an essay on rivers", "rivers", 3.0),
            ("text only", "they say that " + QUESTION + " and why", "a village", 3.0),
            ("half", "Chengnanzhuang is a village", "a place", 0.9),
        ]
        cls.server.push("main", [
            {"pk": pk, "chunk_id": f"c{i}", "doc_id": f"d{i // 2}", "content": content,
             "title": title, "embedding": cls.at(distance), "url": f"http://x/{i}",
             "namespace": "n"} for i, (pk, content, title, distance) in enumerate(cls.documents)])

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    @classmethod
    def at(cls, squared):
        """A vector at that squared distance of the query's."""
        moved = list(cls.vector)
        moved[3] += math.sqrt(squared)
        return moved

    def numbers(self):
        return ",".join(map(str, self.vector))

    def seed_query(self, vector_part, formula):
        return (f"query=vector:'{self.numbers()}{vector_part}' OR default:\"{QUESTION}\" \n"
                f"OR title:'{QUESTION}'&&cluster=general&&sort=-RANK\n"
                "&&config=start:0,hit:3,rerank_size:100,format:json\n"
                "&&kvpairs=fetch_fields:pk;content,\n  formula:" + formula)

    FORMULA = ("if(query_min_slide_window(title\\, true\\, title)>0.99\\, 1\\, 0)\n"
               "    +if(query_min_slide_window(content\\, true\\, default)>0.99\\, 0.5\\, 0)\n"
               "      +text_relevance(content)*0.2+normalize(score)*0.1-proxima_score(vector)")

    def test_query_as_it_stands(self):
        status, reply = self.server.query(self.seed_query("&n=100&sf=1.100000", self.FORMULA), "main")
        self.assertEqual(status, 200, reply)
        self.assertEqual(reply["errors"], [])
        items = reply["result"]["items"]
        self.assertEqual(reply["result"]["totalHits"], 4)  # far is over sf and has no word
        self.assertEqual(len(items), 3)
        for item in items:
            self.assertEqual(set(item["fields"]), {"pk", "content"})
        self.assertEqual([i["fields"]["pk"] for i in items], ["asked", "near", "half"])
        asked = float(items[0]["sortExprValues"][0]) - 10000
        self.assertTrue(1.5 - 0.2 <= asked <= 1.5 + 0.2 + 0.1 - 0.2 + 1e-4, asked)
        near = float(items[1]["sortExprValues"][0]) - 10000
        self.assertTrue(-0.1 - 1e-4 <= near <= 0.1, near)

    def test_table_of_cluster_general_is_the_only_one(self):
        status, reply = self.server.query(self.seed_query("&n=100&sf=1.100000", self.FORMULA))
        self.assertEqual((status, reply["errors"]), (200, []))
        self.assertEqual(reply["result"]["totalHits"], 4)

    def scores(self, query, formula, operator="AND"):
        items = self.server.items(clauses(query, f"hit:10,rerank_size:100,default_operator:{operator}",
                                          formula=formula), "main")
        return {i["fields"]["pk"]: float(i["sortExprValues"][0]) - 10000 for i in items}

    def test_distance_and_defaults(self):
        query = f"vector:'{self.numbers()}&n=100&sf=1.1' OR default:\"{QUESTION}\""
        got = self.scores(query, "proxima_score(vector)")
        want = {"near": 0.1, "asked": 0.2, "half": 0.9, "text only": 10000}
        self.assertEqual(set(got), set(want))
        for pk, distance in want.items():
            self.assertAlmostEqual(got[pk], distance, delta=1e-4)
        got = self.scores(query, "proxima_score(vector,7)")
        self.assertAlmostEqual(got["text only"], 7)
        got = self.scores(query, "if(proxima_score(vector)<10000,proxima_score(vector),0)")
        self.assertAlmostEqual(got["text only"], 0)
        self.assertAlmostEqual(got["half"], 0.9, delta=1e-4)

    def test_and_looks_for_words_within_the_nearest(self):
        for n, want in ((1, set()), (2, {"asked"}), (100, {"asked", "text only"})):
            got = self.scores(f"default:\"{QUESTION}\" AND vector:'{self.numbers()}&n={n}'",
                              "-proxima_score(vector)")
            self.assertEqual(set(got), want, n)

    def test_or_joins_both(self):
        got = self.scores(f"default:\"{QUESTION}\" OR vector:'{self.numbers()}&n=1'", "1")
        self.assertEqual(set(got), {"near", "asked", "text only"})

    def test_vector_alone(self):
        got = self.scores(f"vector:'{self.numbers()}&n=3'", "-proxima_score(vector)")
        self.assertEqual(list(got), ["near", "asked", "half"])

    def test_default_operator(self):
        self.assertEqual(set(self.scores("default:'Chengnanzhuang trains'", "1")), set())
        self.assertEqual(set(self.scores("default:'Chengnanzhuang trains'", "1", "OR")),
                         {"near", "asked", "text only", "half"})

    def test_copied_and_keyword_fields(self):
        items = self.server.items(clauses("doc_id:'d0' AND chunk_id:'c1'"), "main")
        self.assertEqual([i["fields"]["pk"] for i in items], ["asked"])
        self.assertEqual(items[0]["fields"]["DUP_content"], QUESTION + " was told later")
        items = self.server.items(clauses("pk:'far'"), "main")
        self.assertEqual([i["fields"]["pk"] for i in items], ["far"])

    def test_update_and_delete(self):
        self.server.push("main", [{"pk": "new", "content": "a quern", "title": "q",
                                   "embedding": self.at(50)}])
        self.assertEqual(set(self.scores("default:'quern'", "1")), {"new"})
        self.server.push("main", [{"pk": "new", "content": "a mill", "title": "q",
                                   "embedding": self.at(50)}])
        self.assertEqual(set(self.scores("default:'quern'", "1")), set())
        self.assertEqual(set(self.scores("default:'mill'", "1")), {"new"})
        self.server.push("main", [{"pk": "new"}], "delete")
        self.assertEqual(set(self.scores("default:'mill'", "1")), set())


if __name__ == "__main__":
    unittest.main()

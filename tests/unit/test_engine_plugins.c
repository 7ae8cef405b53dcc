/* SPDX-License-Identifier: Apache-2.0 */
/* Plug-ins from upload to score: the vendor's documented forms, HA3's, what fails. */
#include "engine_fixture.h"

#include <math.h>

static const char schema[] =
    "{\"mappings\":{\"properties\":{\"title\":{\"type\":\"text\"},"
    "\"tags\":{\"type\":\"keyword\"},\"price\":{\"type\":\"long\"},"
    "\"rate\":{\"type\":\"double\"},\"place\":{\"type\":\"geo_point\"},"
    "\"lon\":{\"type\":\"float\"},\"lat\":{\"type\":\"float\"}}}}";

static void fill(fixture *f)
{
    static const char *const docs[][2] = {
        {"1", "{\"title\":\"red apple\",\"tags\":\"a\",\"price\":10,\"rate\":0.5,"
              "\"lon\":120.0,\"lat\":30.0,\"place\":{\"lat\":30,\"lon\":120}}"},
        {"2", "{\"title\":\"green apple pie\",\"tags\":\"b\",\"price\":30,\"rate\":1.5,"
              "\"lon\":121.0,\"lat\":30.0}"},
        {"3", "{\"title\":\"apple\",\"tags\":\"c\",\"price\":20,\"rate\":2.5}"},
    };
    quern_op ops[3];
    quern_op_result results[3];
    quern_write_options o = QUERN_WRITE_OPTIONS_INIT;
    o.refresh = true;
    for (size_t i = 0; i < 3; i++)
        ops[i] = op_of(QUERN_OP_INDEX, docs[i][0], docs[i][1]);
    fixture_table(f, "t", schema);
    T_CALL(quern_write(f->q, "t", ops, 3, &o, results, &f->err), &f->err);
    for (size_t i = 0; i < 3; i++) T_EQ_I(results[i].status, QN_OK);
}

static qn_status put_plugin(fixture *f, const char *name, const char *source)
{
    return quern_plugin_put(f->q, "t", name, source, strlen(source), false, NULL, NULL,
                            &f->err);
}

static quern_reply *ask(fixture *f, const char *text)
{
    quern_reply *r = NULL;
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    o.kind = QUERN_QUERY_HA3;
    o.query = text;
    o.query_size = strlen(text);
    T_CALL(quern_search(f->q, "t", &o, &r, &f->err), &f->err);
    return r;
}

/* "3 2 1": ids of the hits. */
static const char *order(const quern_reply *r)
{
    static char text[256];
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < r->hit_count; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%.*s", i > 0 ? " " : "",
                              (int)r->hits[i].id_size, r->hits[i].id);
    return text;
}

#define OPS(body_of_class)                                                             \
    "package users.scorer;\n"                                                          \
    "import com.aliyun.opensearch.cava.framework.OpsScoreParams;\n"                    \
    "import com.aliyun.opensearch.cava.framework.OpsScorerInitParams;\n"               \
    "import com.aliyun.opensearch.cava.framework.*;\n"                                 \
    "import com.aliyun.opensearch.cava.features.*;\n"                                  \
    "import com.aliyun.opensearch.cava.features.similarity.*;\n"                       \
    "import com.aliyun.opensearch.cava.features.similarity.fieldmatch.*;\n"            \
    "import com.aliyun.opensearch.cava.features.similarity.querymatch.*;\n"            \
    "import com.aliyun.opensearch.cava.features.similarity.distribution.*;\n"          \
    "class BasicSimilarityScorer {\n" body_of_class "\n};"
#define REQUEST                                                                        \
    "config=start:0,hit:10,format:fulljson,rank_trace:INFO&&query=title:'apple'"
#define NAMED(name)                                                                    \
    REQUEST "&&kvpairs=second_rank_name:" name                                         \
            ",second_rank_type:cava_script,k:7,ks:1;2;3,lon:120.0,lat:30.0"

/* A feature of a plug-in is the formula's, whatever it is. */
static const struct {
    const char *name, *create, *type, *formula;
} same_rows[] = {
    {"relevance", "TextRelevance.create(p, \"title\", \"title\")", "TextRelevance",
     "text_relevance(title,title)"},
    {"bm25", "BM25.create(p, \"title\", \"title\")", "BM25", "field_bm25(title,title)"},
    {"bm25f", "BM25F.create(p, \"title\")", "BM25F", "field_bm25(title,title)"},
    {"weighted", "FieldMatchWeighted.create(p, \"title\", \"title\")",
     "FieldMatchWeighted", "field_match_weighted(title,title)"},
    {"field ratio", "FieldMatchRatio.create(p, \"title\", \"title\")",
     "FieldMatchRatio", "field_match_ratio(title,title)"},
    {"length", "FieldLength.create(p, \"title\", \"title\")", "FieldLength",
     "field_length(title,title)"},
    {"field count", "FieldTermMatchCount.create(p, \"title\", \"title\")",
     "FieldTermMatchCount", "field_term_match_count(title,title)"},
    {"keywords", "KeyWordsMatched.create(p, \"title\", \"title\")", "KeyWordsMatched",
     "query_match_ratio(title,title)"},
    {"query ratio", "QueryMatchRatio.create(p)", "QueryMatchRatio",
     "query_match_ratio()"},
    {"query ratio of an index", "QueryMatchRatio.create(p, \"title\")",
     "QueryMatchRatio", "query_match_ratio(title,title)"},
    {"query ratio of a field", "QueryMatchRatio.create(p, \"title\", \"title\")",
     "QueryMatchRatio", "query_match_ratio(title,title)"},
    {"term count", "QueryTermCount.create(p)", "QueryTermCount", "query_term_count()"},
    {"term count of an index", "QueryTermCount.create(p, \"title\")", "QueryTermCount",
     "query_term_count(title)"},
    {"match count", "QueryTermMatchCount.create(p)", "QueryTermMatchCount",
     "query_term_match_count()"},
    {"window", "QueryMinSlideWindow.create(p, \"title\", \"title\", true)",
     "QueryMinSlideWindow", "query_min_slide_window(title,true,title)"},
    {"proximity", "FieldTermProximity.create(p, \"title\", \"title\")",
     "FieldTermProximity", "fieldterm_proximity(title,title)"},
    {"first phase", "FirstPhaseScore.create(p)", "FirstPhaseScore",
     "first_phase_score()"},
    {"distance", "Distance.create(p, \"lon\", \"lat\", \"lon\", \"lat\")", "Distance",
     "distance(lon,lat,\\\"120\\\",\\\"30\\\")"},
};

static void test_features(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f);
    fill(&f);
    for (size_t i = 0; i < sizeof same_rows / sizeof *same_rows; i++) {
        char source[4096], request[1024], formula[256];
        T_ROW(same_rows[i].name);
        (void)snprintf(
            source, sizeof source,
            OPS("  %s _f;\n"
                "  boolean init(OpsScorerInitParams p) { _f = %s; return true; }\n"
                "  double score(OpsScoreParams p) { float s = _f.evaluate(p); "
                "return s; }"),
            same_rows[i].type, same_rows[i].create);
        T_CALL(put_plugin(&f, "p", source), &f.err);
        size_t n = 0;
        for (const char *s = same_rows[i].formula; *s != '\0'; s++) {
            if (*s == ',') formula[n++] = '\\';
            if (*s != '\\') formula[n++] = *s;
        }
        formula[n] = '\0';
        (void)snprintf(request, sizeof request, REQUEST "&&kvpairs=formula:%s",
                       formula);
        quern_reply *a = ask(&f, NAMED("p")), *b = ask(&f, request);
        T_EQ_I(a->warning_count, 0);
        T_EQ_I(a->hit_count, 3);
        for (size_t h = 0; h < 3; h++) {
            T_OK(a->hits[h].stages.fine == b->hits[h].stages.fine);
            T_OK(!isnan(a->hits[h].stages.fine));
        }
        quern_reply_free(a);
        quern_reply_free(b);
    }
    fixture_end(&f);
}

/* Whole plug-ins, with the order and the first document's score. */
static const struct {
    const char *name, *source, *order;
    double score;
} plugin_rows[] = {
    {"the vendor's first example",
     OPS("  boolean init(OpsScorerInitParams params) { return true; }\n"
         "  double score(OpsScoreParams params) { return 0.0; }"),
     "3 1 2", 10000},
    {"attributes",
     OPS("  boolean init(OpsScorerInitParams params) {\n"
         "    OpsDoc doc = params.getDoc();\n"
         "    return doc.requireAttribute(\"price\") && "
         "doc.requireAttribute(\"rate\");\n"
         "  }\n"
         "  double score(OpsScoreParams params) {\n"
         "    OpsDoc doc = params.getDoc();\n"
         "    return doc.docFieldLong(\"price\") + doc.docFieldDouble(\"rate\");\n"
         "  }"),
     "2 3 1", 10031.5},
    {"strings and kvpairs",
     OPS("  boolean init(OpsScorerInitParams params) {\n"
         "    return params.getDoc().requireAttribute(\"tags\");\n"
         "  }\n"
         "  double score(OpsScoreParams params) {\n"
         "    OpsKvPairs kv = params.getRequest().getKVPairs();\n"
         "    CString tag = params.getDoc().docFieldLiteral(\"tags\");\n"
         "    if (tag.equals(\"c\")) return kv.getDouble(\"k\");\n"
         "    if (kv.getValue(\"none\") == null && tag.equals(\"b\")) return 1;\n"
         "    return 0;\n"
         "  }"),
     "3 2 1", 10007},
    {"arrays of kvpairs, loops, classes, static methods",
     OPS("  long[] ks;\n"
         "  boolean init(OpsScorerInitParams params) {\n"
         "    ks = params.getRequest().getKVPairs().getLongArray(\"ks\", \";\");\n"
         "    return params.getDoc().requireAttribute(\"price\");\n"
         "  }\n"
         "  double score(OpsScoreParams params) {\n"
         "    Sum s = new Sum(params.getDoc().docFieldLong(\"price\"));\n"
         "    for (int i = 0; i < ks.length; i++) s.add(ks[i]);\n"
         "    return Sum.half(s.total);\n"
         "  }\n"
         "};\n"
         "class Sum {\n"
         "  double total;\n"
         "  Sum(long first) { total = first; }\n"
         "  void add(long x) { total += x; }\n"
         "  static double half(double x) { return x / 2; }"),
     "2 3 1", 10018},
    {"variables, a second class over the first",
     OPS("  boolean init(OpsScorerInitParams params) {\n"
         "    OpsDoc doc = params.getDoc();\n"
         "    doc.declareLongVariable(\"seen\", true);\n"
         "    return doc.requireAttribute(\"price\");\n"
         "  }\n"
         "  double score(OpsScoreParams params) {\n"
         "    OpsDoc doc = params.getDoc();\n"
         "    doc.setLongVariable(\"seen\", doc.docFieldLong(\"price\") * 2);\n"
         "    doc.trace(\"price\", doc.docFieldLong(\"price\"));\n"
         "    return 5;\n"
         "  }\n"
         "};\n"
         "class IntelligenceAlgorithmScorer {\n"
         "  BasicSimilarityScore _basic;\n"
         "  boolean init(OpsScorerInitParams params) {\n"
         "    _basic = BasicSimilarityScore.create(params);\n"
         "    return true;\n"
         "  }\n"
         "  double score(OpsScoreParams params) {\n"
         "    return _basic.evaluate(params) - "
         "params.getDoc().getLongVariable(\"seen\") / "
         "10.0;\n"
         "  }"),
     "1 3 2", 10003},
    {"points and times",
     OPS("  boolean init(OpsScorerInitParams params) {\n"
         "    return params.getDoc().requireAttribute(\"place\");\n"
         "  }\n"
         "  double score(OpsScoreParams params) {\n"
         "    OpsGeoPoint p = params.getDoc().docFieldGeoPoint(\"place\");\n"
         "    if (p == null) return Time.now() > 1000 ? 1 : 0;\n"
         "    return Math.floor(p.getLongitude() + 0.5);\n"
         "  }"),
     "1 3 2", 10120},
    {"HA3's form",
     "package plugins; import ha3.*;\n"
     "class DefaultScorer {\n"
     "  Int64Ref price; DoubleRef seen; MatchInfoReader info;\n"
     "  boolean init(ha3.ScorerProvider p) {\n"
     "    price = p.getRefManager().requireInt64(\"price\");\n"
     "    seen = p.getRefManager().declareDouble(\"seen\", true);\n"
     "    info = p.getMatchInfoReader();\n"
     "    return price != null && seen != null;\n"
     "  }\n"
     "  double process(MatchDoc doc) {\n"
     "    seen.set(doc, price.get(doc));\n"
     "    if (price.get(doc) == 20) doc.setDeleted();\n"
     "    double score = seen.get(doc) + info.getQuerySize();\n"
     "    if (info.isMatch(info.getSimpleMatchData(doc), (uint)0)) score += 100;\n"
     "    return score;\n"
     "  }\n"
     "}",
     "2 1", 10131},
    {"HA3's other provider",
     "package plugins; import suez.turing.ScorerProvider; import suez.turing.*;\n"
     "class S {\n"
     "  boolean init(ScorerProvider p) { return p.getKVMapApi().getLong(\"k\") == 7; "
     "}\n"
     "  double process(MatchDoc doc) { return 2; }\n"
     "}",
     "3 1 2", 10002},
};

static void test_plugins(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f);
    fill(&f);
    for (size_t i = 0; i < sizeof plugin_rows / sizeof *plugin_rows; i++) {
        T_ROW(plugin_rows[i].name);
        T_CALL(put_plugin(&f, "p", plugin_rows[i].source), &f.err);
        quern_reply *r = ask(&f, NAMED("p"));
        if (r->warning_count > 0) T_FAIL("%s", r->warnings[0].text);
        T_EQ_S(order(r), plugin_rows[i].order);
        T_NEAR(r->hits[0].score, plugin_rows[i].score, 1e-9);
        quern_reply_free(r);
    }
    /* Variables and traces go with the documents. */
    T_ROW("reply");
    T_CALL(put_plugin(&f, "p", plugin_rows[4].source), &f.err);
    quern_reply *r = ask(&f, NAMED("p"));
    T_OK(r->hits[0].variables != NULL);
    T_EQ_S(r->hits[0].variables, "{\"seen\":20}");
    T_OK(strstr(r->hits[0].trace, "plugin[p], result[3].") != NULL);
    T_OK(strstr(r->hits[0].trace, "][price 10]") != NULL);
    quern_reply_free(r);
    fixture_end(&f);
}

/* ---- what goes wrong -------------------------------------------------------------------- */

static const struct {
    const char *name, *source, *warning;
    bool ha3;
    double first, last; /* scores of the first and of the last hit */
} failure_rows[] = {
    {"division by zero after one document",
     OPS("  int n;\n"
         "  boolean init(OpsScorerInitParams p) { return true; }\n"
         "  double score(OpsScoreParams p) {\n"
         "    n++;\n"
         "    return 100 / (2 - n); }"),
     "plug-in p: p.cava:15: division by zero (in score)", false, 10100, 10000},
    {"endless loop",
     OPS("  boolean init(OpsScorerInitParams p) { return true; }\n"
         "  double score(OpsScoreParams p) { for (;;) { } }"),
     "plug-in p: p.cava:12: out of fuel: a run has 10000000 rounds of loops and calls "
     "(in "
     "score)",
     false, 10000, 10000},
    {"a failure in init",
     OPS("  boolean init(OpsScorerInitParams p) { int[] a = new int[1]; return a[1] == "
         "0; }\n"
         "  double score(OpsScoreParams p) { return 1; }"),
     "plug-in p: p.cava:11: index 1 out of an array of 1 items (in init)", false, 10000,
     10000},
    {"a field that the table lacks",
     OPS("  boolean init(OpsScorerInitParams p) { TextRelevance.create(p, \"title\", "
         "\"nothing\"); return true; }\n"
         "  double score(OpsScoreParams p) { return 1; }"),
     "plug-in p: p.cava:11: feature: no field 'nothing' (in init)", false, 10000,
     10000},
    {"an abort",
     OPS("  boolean init(OpsScorerInitParams p) { return true; }\n"
         "  double score(OpsScoreParams p) { Abort.abort(\"no more\"); return 1; }"),
     "plug-in p: p.cava:12: aborted: no more (in score)", false, 10000, 10000},
    {"HA3: every later document scores 0",
     "import ha3.*; class S { int n; boolean init(ha3.ScorerProvider p) { return true; "
     "}\n"
     "double process(MatchDoc d) { n++; return 100 / (2 - n); } }",
     "plug-in p: p.cava:2: division by zero (in process)", true, 10100, 10000},
    {"HA3: init says no",
     "import ha3.*; class S { boolean init(ha3.ScorerProvider p) { return false; }\n"
     "double process(MatchDoc d) { return 1; } }",
     "plug-in p: init() returned false", true, 10000, 10000},
};

static void test_failures(void **state)
{
    (void)state;
    fixture f;
    fixture_begin(&f);
    fill(&f);
    for (size_t i = 0; i < sizeof failure_rows / sizeof *failure_rows; i++) {
        T_ROW(failure_rows[i].name);
        T_CALL(put_plugin(&f, "p", failure_rows[i].source), &f.err);
        quern_reply *r = ask(&f, NAMED("p"));
        T_EQ_I(r->hit_count, 3);
        T_EQ_I(r->warning_count, 1);
        T_EQ_S(r->warnings[0].text, failure_rows[i].warning);
        T_NEAR(r->hits[0].score, failure_rows[i].first, 1e-9);
        T_NEAR(r->hits[2].score, failure_rows[i].last, 1e-9);
        T_OK(isnan(r->hits[2].stages.fine) != failure_rows[i].ha3);
        quern_reply_free(r);
    }
    T_ROW("init() says no");
    T_CALL(put_plugin(&f, "p",
                      OPS("  boolean init(OpsScorerInitParams p) { return false; }\n"
                          "  double score(OpsScoreParams p) { return 1; }")),
           &f.err);
    quern_reply *r = NULL;
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    o.kind = QUERN_QUERY_HA3;
    o.query = NAMED("p");
    o.query_size = strlen(o.query);
    T_EQ_I(quern_search(f.q, "t", &o, &r, &f.err), QN_EPLUGIN);
    T_EQ_S(f.err.text, "plug-in p: init() returned false");
    fixture_end(&f);
}

/* A search has its time, whatever fuel is left; who keeps other threads for plug-ins is told
 * before anything runs. */
static void test_time(void **state)
{
    (void)state;
    fixture f;
    quern_reply *r = NULL;
    fixture_begin(&f);
    fill(&f);
    T_CALL(put_plugin(&f, "p",
                      OPS("  boolean init(OpsScorerInitParams p) { return true; }\n"
                          "  double score(OpsScoreParams p) {\n"
                          "    double x = 1;\n"
                          "    for (;;) { x = Math.pow(x + 1, 0.5); } }")),
           &f.err);
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    o.kind = QUERN_QUERY_HA3;
    o.query = NAMED("p");
    o.query_size = strlen(o.query);
    o.timeout_ms = 50; /* the loop has fuel for ten times that */
    T_CALL(quern_search(f.q, "t", &o, &r, &f.err), &f.err);
    T_EQ_I(r->warning_count, 1);
    T_OK(strstr(r->warnings[0].text, ": out of time (in ") != NULL);
    T_EQ_I(r->hit_count, 3);
    quern_reply_free(r);

    T_ROW("deferred");
    o.defer_plugins = true;
    T_EQ_I(quern_search(f.q, "t", &o, &r, &f.err), QN_EDEFERRED);
    T_EQ_I(quern_explain(f.q, "t", "1", 1, &o, &r, &f.err), QN_EDEFERRED);
    o.query = REQUEST;
    o.query_size = strlen(o.query);
    o.timeout_ms = 0;
    T_CALL(quern_search(f.q, "t", &o, &r, &f.err), &f.err);
    T_EQ_I(r->hit_count, 3);
    quern_reply_free(r);
    fixture_end(&f);
}

/* ---- the store -------------------------------------------------------------------------- */

static void test_store(void **state)
{
    (void)state;
    fixture f;
    char *json = NULL;
    size_t n = 0;
    uint32_t version = 0;
    static const char one[] =
        "import ha3.*; class S { double process(MatchDoc d) { return 1; } }";
    static const char two[] =
        "{\"files\":[{\"name\":\"s.cava\",\"source\":\"import ha3.*; class S { double "
        "process(MatchDoc d) { return T.v(); } }\"},{\"name\":\"t.cava\",\"source\":"
        "\"class T { static double v() { return 2; } }\"}]}";
    static const char wrong[] = "class S {\n  double process(int x) { return y; }\n}";
    fixture_begin(&f);
    fill(&f);
    T_ROW("versions");
    T_CALL(put_plugin(&f, "p", one), &f.err);
    T_CALL(put_plugin(&f, "p", two), &f.err);
    quern_reply *r = ask(&f, NAMED("p"));
    T_NEAR(r->hits[0].score, 10002, 0);
    quern_reply_free(r);
    T_CALL(quern_plugin_roll_back(f.q, "t", "p", &version, &f.err), &f.err);
    T_EQ_I(version, 1);
    r = ask(&f, NAMED("p"));
    T_NEAR(r->hits[0].score, 10001, 0);
    quern_reply_free(r);
    T_CALL(quern_plugin_activate(f.q, "t", "p", 2, &f.err), &f.err);
    fixture_reopen(&f);
    r = ask(&f, REQUEST "&&rank=rank_profile:p");
    T_NEAR(r->hits[0].score, 10002, 0);
    quern_reply_free(r);
    r = ask(&f, REQUEST "&&kvpairs=second_rank_name:p,scorer_class_name:Other");
    T_NEAR(r->hits[0].score, 10000, 0);
    T_EQ_S(r->warnings[0].text, "no scorer [Other] found in the plug-in p");
    quern_reply_free(r);

    T_ROW("wrong source");
    T_EQ_I(
        quern_plugin_put(f.q, "t", "p", wrong, strlen(wrong), false, &json, &n, &f.err),
        QN_EPLUGINCODE);
    T_EQ_S(f.err.text, "p.cava:2.34 [30002] no variable 'y'");
    T_OK(strstr(json, "\"line\":2,\"column\":34") != NULL);
    quern_free(json);
    T_EQ_I(put_plugin(&f, "p", "class S { }"), QN_EPLUGINCODE);
    T_OK(strstr(f.err.text, "no entry point") != NULL);
    T_CALL(quern_plugin_list(f.q, "t", &json, &n, &f.err), &f.err);
    T_OK(strstr(json, "\"version\":2,\"active\":true") != NULL);
    T_OK(strstr(json, "\"version\":3") == NULL);
    quern_free(json);

    T_ROW("test on a document");
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    o.kind = QUERN_QUERY_HA3;
    o.query = REQUEST;
    o.query_size = strlen(o.query);
    o.plugin = "p";
    o.plugin_version = 1;
    T_CALL(quern_plugin_test(f.q, "t", "2", 1, &o, &json, &n, &f.err), &f.err);
    T_OK(strstr(json, "\"id\":\"2\",\"scored\":true,\"plugin_score\":1") != NULL);
    quern_free(json);
    o.plugin_body = two;
    o.plugin_body_size = strlen(two);
    T_CALL(quern_plugin_test(f.q, "t", "2", 1, &o, &json, &n, &f.err), &f.err);
    T_OK(strstr(json, "\"plugin_score\":2") != NULL);
    quern_free(json);

    T_ROW("pipeline");
    quern_reply *p = NULL;
    o = (quern_search_options)QUERN_SEARCH_OPTIONS_INIT;
    o.query = "apple";
    o.query_size = 5;
    o.from = 0;
    o.hits = 3;
    o.pipeline = "{\"fine\":{\"plugin\":\"p\"}}";
    T_CALL(quern_search(f.q, "t", &o, &p, &f.err), &f.err);
    T_NEAR(p->hits[0].score, 2, 0);
    quern_reply_free(p);

    T_ROW("drop");
    T_CALL(quern_plugin_drop(f.q, "t", "p", &f.err), &f.err);
    T_EQ_I(quern_plugin_show(f.q, "t", "p", 0, &json, &n, &f.err), QN_ENOTFOUND);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_features), cmocka_unit_test(test_plugins),
        cmocka_unit_test(test_failures), cmocka_unit_test(test_time),
        cmocka_unit_test(test_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

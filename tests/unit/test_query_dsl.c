/* SPDX-License-Identifier: Apache-2.0 */
#include "io/json.h"
#include "query/dates.h"
#include "query_golden.h"

static qn_status parse_object(qn_arena *arena, const qn_query_env *env, qn_slice text,
                              qn_buf *dump, qn_error *err)
{
    const qn_json *json;
    const qn_query *q;
    QN_TRY(qn_json_parse(arena, text, &json, err));
    QN_TRY(qn_dsl_parse_query(arena, env, text, json, &q, err));
    qn_query_dump(q, dump);
    return QN_OK;
}

static void test_golden_objects(void **state)
{
    (void)state;
    T_OK(golden_run("dsl.tsv", parse_object) >= 120);
}

/* ---- bodies ------------------------------------------------------------------------ */

typedef struct body_run {
    qn_arena arena;
    qn_analyzers *analyzers;
    qn_query_env env;
    qn_error err;
    const qn_request *request;
} body_run;

static const char *const others[] = {"highlight", "aggs", NULL};

static qn_status fake_embed(void *ctx, const qn_field *field, const char *model,
                            qn_slice text, float *out, qn_error *err)
{
    (void)ctx;
    if (model != NULL && strcmp(model, "m") != 0)
        return qn_fail(err, QN_ENOMODEL, "no model %s", model);
    for (uint32_t i = 0; i < field->dims; i++) out[i] = (float)text.n;
    return QN_OK;
}

static qn_status run_in(body_run *r, qn_alloc *alloc, const char *text)
{
    qn_slice s = qn_slice_of(text);
    *r = (body_run){0};
    qn_arena_init(&r->arena, alloc, 0);
    T_CALL(qn_analyzers_create(qn_alloc_heap(), &r->analyzers, &r->err), &r->err);
    r->env = (qn_query_env){
        .schema = &fix_schema, .analyzers = r->analyzers, .embed = fake_embed};
    const qn_json *json;
    QN_TRY(qn_json_parse(&r->arena, s, &json, &r->err));
    return qn_dsl_parse(&r->arena, &r->env, s, json, others, &r->request, &r->err);
}

static qn_status run(body_run *r, const char *text)
{
    return run_in(r, qn_alloc_heap(), text);
}

static void end(body_run *r)
{
    qn_arena_deinit(&r->arena);
    qn_analyzers_destroy(r->analyzers);
}

static void dump_is(const body_run *r, const char *want)
{
    qn_buf dump = {.alloc = qn_alloc_heap()};
    qn_query_dump(r->request->query, &dump);
    T_EQ_S(dump.p, want);
    qn_buf_deinit(&dump);
}

static const struct {
    const char *name, *body, *tree;
} bodies[] = {
    {"empty", "{}", "(all)"},
    {"query", "{\"query\":{\"match\":{\"title\":\"a\"}}}", "(term title 'a')"},
    {"knn alone",
     "{\"size\":3,\"knn\":{\"field\":\"embedding\",\"query_vector\":[1,2]}}",
     "(vector embedding :dims 2 :k 3 :candidates 4)"},
    {"two sections",
     "{\"knn\":[{\"field\":\"embedding\",\"query_vector\":[1,2],\"k\":1},"
     "{\"field\":\"pixels\",\"query_vector\":[1,2],\"k\":2,\"num_candidates\":2}]}",
     "(or (vector embedding :dims 2 :k 1) (vector pixels :dims 2 :k 2))"},
    {"query and knn",
     "{\"query\":{\"match\":{\"title\":\"a b\"}},"
     "\"knn\":{\"field\":\"embedding\",\"query_vector\":[1,2],\"k\":1,\"boost\":2}}",
     "(or (term title 'a') (term title 'b') (vector embedding :dims 2 :k 1)^2)"},
    {"builder",
     "{\"knn\":{\"field\":\"embedding\",\"k\":1,\"query_vector_builder\":"
     "{\"text_embedding\":{\"model_id\":\"m\",\"model_text\":\"abc\"}}}}",
     "(vector embedding :dims 2 :k 1)"},
    {"others pass", "{\"highlight\":{\"x\":1},\"aggs\":{}}", "(all)"},
};

static void test_bodies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        T_ROW(bodies[i].name);
        body_run r;
        T_CALL(run(&r, bodies[i].body), &r.err);
        dump_is(&r, bodies[i].tree);
        T_OK(r.request->vector_in_score && r.request->score_scale == 2.2f);
        end(&r);
    }
}

static void test_members(void **state)
{
    (void)state;
    body_run r;
    T_CALL(run(&r, "{\"from\":5,\"size\":\"20\",\"track_total_hits\":true,"
                   "\"explain\":true,\"min_score\":0.5,\"timeout\":\"1.5s\","
                   "\"sort\":[\"_score\",{\"year\":\"desc\"},{\"price\":{\"order\":"
                   "\"asc\",\"missing\":\"_first\"}},{\"tag\":{\"missing\":\"zz\"}},"
                   "\"_doc\",{\"nope\":{\"unmapped_type\":\"long\"}}],"
                   "\"_source\":{\"includes\":[\"a.*\",\"b\"],\"excludes\":\"c\"}}"),
           &r.err);
    const qn_request *q = r.request;
    T_EQ_I(q->from, 5);
    T_EQ_I(q->size, 20);
    T_OK(q->track_total == QN_TOTAL_EXACT && q->explain && q->has_min_score);
    T_NEAR(q->min_score, 0.5, 0);
    T_EQ_I(q->timeout_ms, 1500);
    T_EQ_I(q->sort_count, 5);
    T_OK(q->sort[0].kind == QN_SORT_SCORE && q->sort[0].descending);
    T_OK(q->sort[1].kind == QN_SORT_FIELD && q->sort[1].descending);
    T_OK(q->sort[2].missing == QN_MISSING_FIRST && !q->sort[2].descending);
    T_OK(q->sort[3].missing == QN_MISSING_VALUE);
    T_OK(qn_slice_eq_str(q->sort[3].missing_text, "zz"));
    T_EQ_I(q->sort[4].kind, QN_SORT_DOC);
    T_EQ_I(q->source.include_count, 2);
    T_EQ_I(q->source.exclude_count, 1);
    end(&r);
    T_CALL(run(&r, "{\"_source\":false,\"track_total_hits\":5,\"timeout\":\"-1\"}"),
           &r.err);
    T_OK(r.request->source.none);
    T_EQ_I(r.request->track_total, 5);
    T_EQ_I(r.request->timeout_ms, 0);
    end(&r);
}

static const struct {
    const char *body;
    qn_status st;
    const char *text; /* part of the message */
} refused[] = {
    {"[]", QN_ESYNTAX, "Expected [START_OBJECT]"},
    {"{\"foo\":{}}", QN_ESYNTAX, "Unknown key for a START_OBJECT in [foo]."},
    {"{\"foo\":1}", QN_ESYNTAX, "Unknown key for a VALUE_NUMBER in [foo]."},
    {"{\"from\":-1}", QN_EINVAL, "[from] parameter cannot be negative"},
    {"{\"size\":1.5}", QN_ESYNTAX, "whole number"},
    {"{\"size\":10001}", QN_EWINDOW, "Result window is too large"},
    {"{\"size\":10000}", QN_OK, ""},
    {"{\"from\":1,\"size\":10000}", QN_EWINDOW, "but was [10001]"},
    {"{\"timeout\":\"5\"}", QN_EINVAL, "time value"},
    {"{\"track_total_hits\":-2}", QN_EINVAL, "equals to -1"},
    {"{\"sort\":\"nope\"}", QN_ESORT, "No mapping found for [nope]"},
    {"{\"sort\":\"title\"}", QN_ESORT, "no column"},
    {"{\"sort\":{\"year\":\"up\"}}", QN_EINVAL, "either [asc] or [desc]"},
    {"{\"sort\":5}", QN_EINVAL, "malformed sort"},
    {"{\"sort\":{\"year\":{\"mode\":\"mean\"}}}", QN_EINVAL, "Unknown SortMode [mean]"},
    {"{\"sort\":{\"tag\":{\"mode\":\"avg\"}}}", QN_ESORT,
     "we only support AVG, MEDIAN"},
    {"{\"search_after\":[1]}", QN_EINVAL, "Sort must contain at least one field"},
    {"{\"sort\":\"year\",\"search_after\":[]}", QN_EINVAL, "at least one value"},
    {"{\"sort\":\"year\",\"search_after\":[1,2]}", QN_EINVAL,
     "search_after has 2 value(s) but sort has 1."},
    {"{\"sort\":\"year\",\"search_after\":5}", QN_ESYNTAX, "takes a list"},
    {"{\"sort\":\"year\",\"search_after\":[1],\"from\":3}", QN_EINVAL,
     "`from` parameter must be set to 0"},
    {"{\"sort\":\"year\",\"search_after\":[\"x\"]}", QN_EINVAL,
     "Failed to parse search_after value for field [year]."},
    {"{\"sort\":\"year\",\"search_after\":[{}]}", QN_EINVAL,
     "Failed to parse search_after value for field [year]."},
    {"{\"sort\":{\"_geo_distance\":{\"year\":[1,2]}}}", QN_ESORT,
     "failed to find mapper for [year]"},
    {"{\"min_score\":\"x\"}", QN_ESYNTAX, "must be a number"},
    {"{\"_source\":{\"foo\":1}}", QN_ESYNTAX, "[foo]"},
    {"{\"query\":{\"mtach\":{}}}", QN_ESYNTAX,
     "unknown query [mtach] did you mean [match]?"},
    {"{\"query\":{}}", QN_ESYNTAX, "empty clause"},
    {"{\"knn\":{\"field\":\"embedding\",\"query_vector_builder\":{\"text_embedding\":"
     "{\"model_id\":\"other\",\"model_text\":\"x\"}}}}",
     QN_ENOMODEL, "no model other"},
};

static void test_refused_bodies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        T_ROW(refused[i].body);
        body_run r;
        T_EQ_I(run(&r, refused[i].body), refused[i].st);
        if (strstr(r.err.text, refused[i].text) == NULL)
            T_FAIL("message is \"%s\"", r.err.text);
        end(&r);
    }
}

/* ---- limits ------------------------------------------------------------------------- */

static qn_status run_repeated(const char *begin, const char *piece, size_t count,
                              const char *middle, const char *close, size_t closes)
{
    qn_buf b = {.alloc = qn_alloc_heap()};
    qn_buf_add_str(&b, begin);
    for (size_t i = 0; i < count; i++) qn_buf_add_str(&b, piece);
    qn_buf_add_str(&b, middle);
    for (size_t i = 0; i < closes; i++) qn_buf_add_str(&b, close);
    body_run r;
    qn_status st = run(&r, b.p);
    end(&r);
    qn_buf_deinit(&b);
    return st;
}

static void test_limits(void **state)
{
    (void)state;
    T_ROW("clauses");
    const char *open = "{\"query\":{\"bool\":{\"should\":[{\"match_all\":{}}";
    T_EQ_I(run_repeated(open, ",{\"term\":{\"tag\":\"a\"}}", 1023, "]}}}", "", 0),
           QN_OK);
    T_EQ_I(run_repeated(open, ",{\"term\":{\"tag\":\"a\"}}", 1024, "]}}}", "", 0),
           QN_ELIMIT);
    T_ROW("leaves of several groups");
    T_EQ_I(run_repeated(open, ",{\"match\":{\"title\":\"a b\"}}", 511, "]}}}", "", 0),
           QN_OK);
    T_EQ_I(run_repeated(open, ",{\"match\":{\"title\":\"a b\"}}", 512, "]}}}", "", 0),
           QN_ELIMIT);
    T_ROW("depth"); /* JSON may be nested 128 deep: two levels a bool, three more */
    const char *level = "{\"bool\":{\"must_not\":";
    T_EQ_I(run_repeated("{\"query\":", level, 62, "{\"match_all\":{}}", "}", 125),
           QN_OK);
    T_EQ_I(run_repeated("{\"query\":", level, 63, "{\"match_all\":{}}", "}", 127),
           QN_ELIMIT);
    T_ROW("set");
    T_EQ_I(
        run_repeated("{\"query\":{\"terms\":{\"year\":[1", ",1", 65535, "]}}}", "", 0),
        QN_OK);
    T_EQ_I(
        run_repeated("{\"query\":{\"terms\":{\"year\":[1", ",1", 65536, "]}}}", "", 0),
        QN_ELIMIT);
    T_EQ_I(
        run_repeated("{\"query\":{\"ids\":{\"values\":[1", ",1", 65536, "]}}}", "", 0),
        QN_ELIMIT);
    T_ROW("term");
    T_EQ_I(run_repeated("{\"query\":{\"term\":{\"tag\":\"", "x", 32766, "\"}}}", "", 0),
           QN_OK);
    T_EQ_I(run_repeated("{\"query\":{\"term\":{\"tag\":\"", "x", 32767, "\"}}}", "", 0),
           QN_ELIMIT);
    T_ROW("vectors");
    const char *knn = "{\"knn\":[{\"field\":\"pixels\",\"query_vector\":[1,2]}";
    const char *more = ",{\"field\":\"pixels\",\"query_vector\":[1,2]}";
    T_EQ_I(run_repeated(knn, more, 15, "]}", "", 0), QN_OK);
    T_EQ_I(run_repeated(knn, more, 16, "]}", "", 0), QN_ELIMIT);
    T_ROW("bytes");
    T_EQ_I(run_repeated("{}", " ", QN_QUERY_BODY_MAX - 2, "", "", 0), QN_OK);
    T_EQ_I(run_repeated("{}", " ", QN_QUERY_BODY_MAX - 1, "", "", 0), QN_ELIMIT);
    T_ROW("sort keys");
    T_EQ_I(run_repeated("{\"sort\":[\"_doc\"", ",\"_doc\"", 31, "]}", "", 0), QN_OK);
    T_EQ_I(run_repeated("{\"sort\":[\"_doc\"", ",\"_doc\"", 32, "]}", "", 0),
           QN_ELIMIT);
}

/* Nesting of a tree that JSON's own limit does not stop first. */
static void test_tree_depth(void **state)
{
    (void)state;
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_error err;
    const qn_query *inner = qn_query_new(&arena, QN_QUERY_ALL, 0), *out;
    for (int depth = 2; depth <= QN_QUERY_DEPTH_MAX + 1; depth++) {
        qn_query *q = qn_query_new(&arena, QN_QUERY_CONSTANT, 0);
        q->u.child = inner;
        inner = q;
        qn_status st = qn_query_rewrite(&arena, inner, &out, &err);
        T_EQ_I(st, depth <= QN_QUERY_DEPTH_MAX ? QN_OK : QN_ELIMIT);
    }
    qn_arena_deinit(&arena);
}

static void test_no_memory(void **state)
{
    (void)state;
    static const char text[] =
        "{\"query\":{\"bool\":{\"must\":[{\"match\":{\"title\":\"a "
        "b\"}},{\"multi_match\":"
        "{\"query\":\"x y\",\"fields\":[\"title^2\",\"body\"]}}],\"filter\":{\"terms\":"
        "{\"tag\":[\"b\",\"a\"]}},\"should\":{\"dis_max\":{\"queries\":[{\"ids\":"
        "{\"values\":[\"1\"]}},{\"range\":{\"day\":{\"gte\":\"2024\"}}}]}}}},"
        "\"knn\":{\"field\":\"pixels\",\"query_vector\":[1,2],\"filter\":{\"exists\":"
        "{\"field\":\"default\"}}},\"sort\":[{\"year\":\"desc\"}],\"_source\":[\"a\"]}";
    qn_status st = QN_ENOMEM;
    for (long n = 1; st != QN_OK; n++) {
        qn_alloc alloc = {.fail_countdown = n};
        body_run r;
        st = run_in(&r, &alloc, text);
        T_OK(st == QN_OK || st == QN_ENOMEM);
        T_OK(n < 10000);
        end(&r);
        T_EQ_I(alloc.live_bytes, 0);
    }
}

/* ---- dates -------------------------------------------------------------------------- */

static const struct {
    const char *text;
    int64_t down, up; /* -1: no date */
} dates[] = {
    {"1970", 0, 31535999999},
    {"2024-02", 1706745600000, 1709251199999},
    {"2024-02-29", 1709164800000, 1709251199999},
    {"2023-02-29", -1, -1},
    {"2024-02-29T12", 1709208000000, 1709211599999},
    {"2024-02-29T12:30", 1709209800000, 1709209859999},
    {"2024-02-29T12:30:15", 1709209815000, 1709209815999},
    {"2024-02-29T12:30:15.5Z", 1709209815500, 1709209815599},
    {"2024-02-29T12:30:15.123456789Z", 1709209815123, 1709209815123},
    {"2024-02-29T12:30:15+08:00", 1709181015000, 1709181015999},
    {"2024-02-29T12:30:15-0130", 1709215215000, 1709215215999},
    {"1709164800000", 1709164800000, 1709164800000},
    {"-1", -1, -1},
    {"now", 1700000000000, 1700000000000},
    {"now-1d", 1699913600000, 1699913600000},
    {"now/d", 1699920000000, 1700006399999},
    {"now/w", 1699833600000, 1700438399999},
    {"now-1M/M", 1696118400000, 1698796799999},
    {"now+2h/h", 1700006400000, 1700009999999},
    {"now/y", 1672531200000, 1704067199999},
    {"2024-01-31||+1M", 1709164800000, 1709164800000},
    {"2024-01-31||/M", 1704067200000, 1706745599999},
    {"now-", -1, -1},
    {"now*1d", -1, -1},
    {"now-1x", -1, -1},
    {"2024-13", -1, -1},
    {"2024-01-01T25", -1, -1},
    {"2024-01-01 10:00", -1, -1},
    {"yesterday", -1, -1},
    {"", -1, -1},
};

static void test_dates(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof dates / sizeof *dates; i++) {
        T_ROW(dates[i].text);
        int64_t down = -1, up = -1;
        qn_slice s = qn_slice_of(dates[i].text);
        if (!qn_date_parse(s, 1700000000000, false, &down)) down = -1;
        if (!qn_date_parse(s, 1700000000000, true, &up)) up = -1;
        T_EQ_I(down, dates[i].down);
        T_EQ_I(up, dates[i].up);
    }
    T_ROW("days and back");
    for (int64_t ms = -62135596800000; ms < 253402300800000; ms += 8380812345) {
        char text[QN_DATE_TEXT_MAX];
        int64_t back;
        qn_date_format(ms, text);
        T_OK(qn_date_parse(qn_slice_of(text), 0, false, &back));
        T_EQ_I(back, ms);
    }
}

/* ---- one tree for both dialects ------------------------------------------------------ */

static const struct {
    const char *ha3, *dsl;
} equals[] = {
    {"title:'red car'",
     "{\"match\":{\"title\":{\"query\":\"red car\",\"operator\":\"and\"}}}"},
    {"title:red|car", "{\"match\":{\"title\":\"red car\"}}"},
    {"title:\"red car\"", "{\"match_phrase\":{\"title\":\"red car\"}}"},
    {"default:car", "{\"match\":{\"default\":\"car\"}}"},
    {"body:'the dogs'", "{\"match\":{\"body\":\"the dogs\"}}"},
    {"tag:'Red Car'", "{\"term\":{\"tag\":\"Red Car\"}}"},
    {"year:2010", "{\"term\":{\"year\":2010}}"},
    {"year:[2000,2010)", "{\"range\":{\"year\":{\"gte\":2000,\"lt\":2010}}}"},
    {"price:(1,5]", "{\"range\":{\"price\":{\"gt\":1,\"lte\":5}}}"},
    {"id:k1", "{\"ids\":{\"values\":[\"k1\"]}}"},
    {"vector:'1,2&n=5'", "{\"knn\":{\"field\":\"vector\",\"query_vector\":[1,2],\"k\":"
                         "5,\"num_candidates\":5}}"},
    {"title:a AND tag:b", "{\"bool\":{\"must\":[{\"match\":{\"title\":\"a\"}},{"
                          "\"term\":{\"tag\":\"b\"}}]}}"},
    {"title:a OR tag:b", "{\"bool\":{\"should\":[{\"match\":{\"title\":\"a\"}},{"
                         "\"term\":{\"tag\":\"b\"}}]}}"},
    {"title:a ANDNOT tag:b", "{\"bool\":{\"must\":{\"match\":{\"title\":\"a\"}},\"must_"
                             "not\":{\"term\":{\"tag\":\"b\"}}}}"},
    {"title:a RANK tag:b", "{\"bool\":{\"must\":{\"match\":{\"title\":\"a\"}},"
                           "\"should\":{\"term\":{\"tag\":\"b\"}}}}"},
    {"title:(a||b||c)^2",
     "{\"match\":{\"title\":{\"query\":\"a b c\",\"minimum_should_match\":2}}}"},
};

static void test_same_tree(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof equals / sizeof *equals; i++) {
        T_ROW(equals[i].ha3);
        body_run r;
        T_CALL(run(&r, "{}"), &r.err);
        const qn_ha3_query_options options = {.default_index = {"", 0}};
        const qn_query *q;
        qn_buf ha3 = {.alloc = qn_alloc_heap()}, dsl = {.alloc = qn_alloc_heap()};
        T_CALL(qn_ha3_parse_query(&r.arena, &r.env, qn_slice_of(equals[i].ha3),
                                  &options, &q, &r.err),
               &r.err);
        qn_query_dump(q, &ha3);
        T_CALL(parse_object(&r.arena, &r.env, qn_slice_of(equals[i].dsl), &dsl, &r.err),
               &r.err);
        T_EQ_S(ha3.p, dsl.p);
        qn_buf_deinit(&ha3);
        qn_buf_deinit(&dsl);
        end(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_objects), cmocka_unit_test(test_bodies),
        cmocka_unit_test(test_members),        cmocka_unit_test(test_refused_bodies),
        cmocka_unit_test(test_limits),         cmocka_unit_test(test_tree_depth),
        cmocka_unit_test(test_no_memory),      cmocka_unit_test(test_dates),
        cmocka_unit_test(test_same_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

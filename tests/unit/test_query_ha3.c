/* SPDX-License-Identifier: Apache-2.0 */
#include "query_golden.h"

static qn_status parse_and(qn_arena *arena, const qn_query_env *env, qn_slice text,
                           qn_buf *dump, qn_error *err)
{
    const qn_ha3_query_options options = {.default_index = {"", 0}};
    const qn_query *q;
    QN_TRY(qn_ha3_parse_query(arena, env, text, &options, &q, err));
    qn_query_dump(q, dump);
    return QN_OK;
}

static void test_golden_clauses(void **state)
{
    (void)state;
    T_OK(golden_run("ha3.tsv", parse_and) >= 120);
}

/* ---- whole requests ---------------------------------------------------------------- */

typedef struct request_run {
    qn_arena arena;
    qn_analyzers *analyzers;
    qn_query_env env;
    qn_error err;
    const qn_request *request;
} request_run;

static qn_status run(request_run *r, const char *text)
{
    *r = (request_run){0};
    qn_arena_init(&r->arena, qn_alloc_heap(), 0);
    T_CALL(qn_analyzers_create(qn_alloc_heap(), &r->analyzers, &r->err), &r->err);
    r->env = (qn_query_env){.schema = &fix_schema, .analyzers = r->analyzers};
    return qn_ha3_parse(&r->arena, &r->env, qn_slice_of(text), &r->request, &r->err);
}

static void end(request_run *r)
{
    qn_arena_deinit(&r->arena);
    qn_analyzers_destroy(r->analyzers);
}

static void slice_is(qn_slice got, const char *want)
{
    if (!qn_slice_eq_str(got, want))
        T_FAIL("got \"%.*s\", want \"%s\"", QN_SLICE_ARG(got), want);
}

/* The reference query of the multi-path recall practice, newlines and all. */
static void test_practice_query(void **state)
{
    (void)state;
    static const char text[] =
        "query=vector:'0.5,-1&n=100&sf=1.100000' OR default:\"What happened in "
        "Chengnanzhuang in 1948\" \n"
        "OR title:'What happened in Chengnanzhuang in "
        "1948'&&cluster=general&&sort=-RANK\n"
        "&&config=start:0,hit:3,rerank_size:100,format:json\n"
        "&&kvpairs=fetch_fields:pk;content,\n"
        "  formula:if(query_min_slide_window(title\\, true\\, title)>0.99\\, 1\\, 0)\n"
        "    +text_relevance(content)*0.2+normalize(score)*0.1-proxima_score(vector)";
    request_run r;
    T_CALL(run(&r, text), &r.err);
    const qn_request *q = r.request;
    qn_buf dump = {.alloc = qn_alloc_heap()};
    qn_query_dump(q->query, &dump);
    T_EQ_S(dump.p,
           "(or (vector vector :dims 2 :k 100 < 1.10000002) "
           "(phrase default 'what' 'happened' 'in' 'chengnanzhuang' 'in' '1948') "
           "(and (term title 'what') (term title 'happened') (term title 'in') "
           "(term title 'chengnanzhuang') (term title 'in') (term title '1948')))");
    qn_buf_deinit(&dump);
    T_EQ_I(q->size, 3);
    T_EQ_I(q->from, 0);
    T_EQ_I(q->rerank_size, 100);
    T_EQ_I(q->sort_count, 1);
    T_EQ_I(q->sort[0].kind, QN_SORT_SCORE);
    T_OK(q->sort[0].descending && q->sort[0].signed_key);
    slice_is(q->format, "json");
    T_EQ_I(q->cluster_count, 1);
    slice_is(q->clusters[0], "general");
    T_EQ_I(q->fetch_field_count, 2);
    slice_is(q->fetch_fields[0], "pk");
    slice_is(q->fetch_fields[1], "content");
    slice_is(
        q->formula,
        "if(query_min_slide_window(title, true, title)>0.99, 1, 0)\n"
        "    +text_relevance(content)*0.2+normalize(score)*0.1-proxima_score(vector)");
    end(&r);
}

static void test_clauses(void **state)
{
    (void)state;
    request_run r;
    T_CALL(run(&r,
               " && config = start:2 , hit:7,nothing:here,trace:INFO,no_summary:Yes,"
               "timeout:250,default_index:title,default_operator:OR,kvpairs:a#b;c#d"
               " && query=red car&&query=red bike&&filter= year>2000 AND price<3.5"
               "&&sort=year;+price;-(year+1)&&kvpairs=a:x\\:y\\,z , e : f:g,:"
               "&&attribute=year,price&&virtual_attribute=;v:year+1;w:v*2;"
               "&&rank=rank_profile:p&&healthcheck=check:true&&"
               "cluster=t1.default:part_ids=0|3,t2,t1"),
           &r.err);
    const qn_request *q = r.request;
    T_EQ_I(q->from, 2);
    T_EQ_I(q->size, 7);
    T_EQ_I(q->timeout_ms, 250);
    T_OK(q->no_summary);
    slice_is(q->trace, "INFO");
    slice_is(q->format, "xml");
    slice_is(q->query_text, "red bike");
    T_EQ_I(q->query->u.boolean.should.n, 2);
    slice_is(q->query->u.boolean.should.p[0]->index->name, "title");
    slice_is(q->filter, "year>2000 AND price<3.5");
    T_EQ_I(q->sort_count, 3);
    T_OK(q->sort[0].kind == QN_SORT_FIELD && q->sort[0].descending);
    T_OK(!q->sort[0].signed_key);
    T_OK(q->sort[1].kind == QN_SORT_FIELD && !q->sort[1].descending);
    T_OK(q->sort[2].kind == QN_SORT_EXPR && q->sort[2].descending);
    slice_is(q->sort[2].text, "(year+1)");
    slice_is(qn_request_kvpair(q, "a")->value, "x:y,z");
    slice_is(qn_request_kvpair(q, "c")->value, "d");
    slice_is(qn_request_kvpair(q, "e")->value, "f:g");
    slice_is(qn_request_kvpair(q, "")->value, "");
    T_OK(qn_request_kvpair(q, "zz") == NULL);
    T_EQ_I(q->attribute_count, 2);
    T_EQ_I(q->virtual_attribute_count, 2);
    slice_is(q->virtual_attributes[1].value, "v*2");
    T_EQ_I(q->cluster_count, 2);
    slice_is(q->clusters[0], "t1");
    end(&r);
}

/* ha3: the code that HA3's clients see. */
static const struct {
    const char *text;
    int ha3;
    int at; /* -1: none */
} refused[] = {
    {"", 1050, 0},
    {"  \n", 1050, 0},
    {"config=hit:1", 1012, 0},
    {"query=", 1012, 0},
    {"query", 1002, 0},
    {"query=a&&Sort=a", 1056, 9},
    {"query=a&&timeout=5", 1056, 9},
    {"query=t:'a&&b'", 1002, 12},
    {"config=start:x&&query=a", 2022, 13},
    {"config=start:-1&&query=a", 2022, 13},
    {"config=hit:4294967296&&query=a", 2023, 11},
    {"config=hit:1.5&&query=a", 2023, 11},
    {"config=rank_size:x&&query=a", 2024, 17},
    {"config=rerank_size:x&&query=a", 2025, 19},
    {"config=timeout:x&&query=a", 2026, 15},
    {"config=start:&&query=a", 1002, 7},
    {"config=start:1:2&&query=a", 1002, 7},
    {"config=kvpairs:a&&query=a", 1002, 15},
    {"config=start:4991&&query=a", 1005, -1},
    {"config=start:4990&&query=a", 0, -1},
    {"config=format:fb_summary&&query=a", 1007, 14},
    {"config=cluster:&&query=a", 1002, 7},
    {"cluster=&&query=a", 1001, 8},
    {"query=a OR", 1051, 10},
    {"query=nothing:a", 1013, 6},
    {"query=a&&query=b c)", 1051, 18},
    {"query=a&&sort=", 1031, 14},
    {"query=a&&sort=year;-year", 1032, 20},
    {"query=a&&sort=RANK;-RANK", 1032, 20},
    {"query=a&&sort=a+b;-a + b", 1032, 19},
    {"query=a&&sort=+", 1054, 15},
    {"query=a&&kvpairs=x", 2090, 17},
    {"query=a&&kvpairs=x:1,y", 2090, 21},
    {"query=a&&virtual_attribute=year:1", 2070, 27},
    {"query=a&&virtual_attribute=v:1;v:2", 2070, 31},
    {"query=a&&rank=foo:1", 1063, 14},
    {"query=a&&rank=foo", 1002, 14},
    {"query=a&&distinct=dist_key:year", 0, -1},
    {"query=a&&distinct=dist_count:2", 1073, 18},
    {"query=a&&distinct=dist_key:year,dist_count:0", 1070, 43},
    {"query=a&&distinct=dist_key:year,dist_count:x", 1070, 43},
    {"query=a&&distinct=dist_key:year,dist_times:-1", 1071, 43},
    {"query=a&&distinct=dist_key:year,max_item_count:-1", 1077, 47},
    {"query=a&&distinct=dist_key:year,reserved:1", 1072, 41},
    {"query=a&&distinct=dist_key:year,update_total_hit:yes", 1078, 49},
    {"query=a&&distinct=dist_key:year,grade:3|x", 1075, 40},
    {"query=a&&distinct=dist_key:year;none_dist;none_dist", 1076, 42},
    {"query=a&&distinct=dist_key:year,other:1", 1055, 32},
    {"query=a&&distinct=dist_key:-year", 1055, 28},
    {"query=a&&distinct=", 1055, 18},
    {"query=a&&aggregate=group_key:year,agg_fun:count()", 0, -1},
    {"query=a&&aggregate=group_key:year", 1053, 19},
    {"query=a&&aggregate=agg_fun:count()", 1053, 19},
    {"query=a&&aggregate=group_key:year,agg_fun:avg(year)", 1043, 42},
    {"query=a&&aggregate=group_key:year,agg_fun:count(year)", 1053, 48},
    {"query=a&&aggregate=group_key:year,agg_fun:max()", 1053, 46},
    {"query=a&&aggregate=group_key:year,agg_fun:count(),range:2~1", 1041, 58},
    {"query=a&&aggregate=group_key:year,agg_fun:count(),range:2~2", 1041, 58},
    {"query=a&&aggregate=group_key:year,agg_fun:count(),max_group:x", 1053, 60},
    {"query=a&&aggregate=group_key:year,agg_fun:count();", 1053, 50},
    {"query=body:the", 1012, 6},
    {"query=body:the ANDNOT a", 1033, 6},
    {"query=year(title):1", 1016, 11},
    {"query=default(tag):1", 1017, 14},
    {"query=body:\"the\"", 1011, 11},
    {"query=vector:'1'", 32003, 13},
    {"query=a&&config=analyzer:nothing", 3500, -1},
};

static void test_refused_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        T_ROW(refused[i].text);
        request_run r;
        qn_status st = run(&r, refused[i].text);
        T_EQ_I(qn_status_describe(st)->ha3_code, refused[i].ha3);
        if (refused[i].at >= 0) T_EQ_I(r.err.at, refused[i].at);
        T_OK((st == QN_OK) == (r.request != NULL));
        end(&r);
    }
}

static void test_aggregates(void **state)
{
    (void)state;
    request_run r;
    T_CALL(run(&r, "query=a&&aggregate=agg_fun:max(id+1)#max(id+(1))#count()#"
                   "distinct_count(f(a,\"x\\\"y\\z\")),group_key:a & 1 * 2,"
                   "range:-5~2.5~0x10,agg_filter:a+b<c AND d=10,max_group:-3,"
                   "agg_sampler_threshold:7,agg_sampler_step:2,order_by:count;"
                   "group_key:[a, b+1],agg_fun:sum(c)"),
           &r.err);
    T_EQ_I(r.request->aggregate_count, 2);
    const qn_aggregate *a = r.request->aggregates;
    slice_is(a->key_name, "(a&(1*2))");
    T_EQ_I(a->function_count, 3);
    slice_is(a->functions[0].name, "max((id+1))");
    slice_is(a->functions[0].argument.text, "id+1");
    slice_is(a->functions[1].name, "count()");
    slice_is(a->functions[2].name, "distinct_count(f(a , \"x\\\"yz\"))");
    T_EQ_I(a->bound_count, 3);
    T_EQ_I(a->bounds[0].i64, -5);
    T_OK(!a->bounds[1].whole && a->bounds[1].f64 == 2.5);
    T_EQ_I(a->bounds[2].i64, 16);
    slice_is(a->filter.normalized, "(((a+b)<c) AND (d=10))");
    T_EQ_I(a->max_group, 0);
    T_EQ_I(a->sampler_threshold, 7);
    T_EQ_I(a->sampler_step, 2);
    T_OK(a->order_by_count);
    slice_is(a[1].key_name, "[a, (b+1)]");
    T_EQ_I(a[1].max_group, QN_AGG_GROUPS_DEFAULT);
    T_OK(!a[1].order_by_count);
    slice_is(a[1].filter.text, "");
    end(&r);
}

static void test_distincts(void **state)
{
    (void)state;
    request_run r;
    T_CALL(run(&r,
               "query=a&&distinct=none_dist;dist_key:year,dist_count:2,dist_times:3,"
               "reserved:false,update_total_hit:true,dist_filter:price>1,"
               "grade:3|-1|2.5,max_item_count:9"),
           &r.err);
    T_EQ_I(r.request->distinct_count, 2);
    T_OK(r.request->distincts[0].none);
    const qn_distinct *d = &r.request->distincts[1];
    slice_is(d->key.text, "year");
    T_EQ_I(d->count, 2);
    T_EQ_I(d->times, 3);
    T_OK(!d->reserved && d->update_total_hit);
    slice_is(d->filter.normalized, "(price>1)");
    T_EQ_I(d->grade_count, 3);
    T_OK(d->grades[0] == -1 && d->grades[1] == 2.5 && d->grades[2] == 3);
    T_EQ_I(d->max_item_count, 9);
    end(&r);
}

static void test_table_of(void **state)
{
    (void)state;
    static const struct {
        const char *text, *table;
    } rows[] = {
        {"query=a", ""},
        {"query=a&&cluster=general", "general"},
        {"query=a&&cluster= t1.default:part_ids=0,t2", "t1"},
        {"config=start:0,cluster:a.default&b&&query=", "a"},
        {"config=cluster:a&&cluster=b", "b"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].text);
        qn_error err;
        qn_slice table;
        T_CALL(qn_ha3_table_of(qn_slice_of(rows[i].text), &table, &err), &err);
        slice_is(table, rows[i].table);
    }
}

/* ---- limits ---------------------------------------------------------------------- */

/* `count` times `piece` between the two ends. */
static qn_status run_repeated(const char *begin, const char *piece, size_t count,
                              const char *middle, const char *close, size_t closes)
{
    qn_buf b = {.alloc = qn_alloc_heap()};
    qn_buf_add_str(&b, begin);
    for (size_t i = 0; i < count; i++) qn_buf_add_str(&b, piece);
    qn_buf_add_str(&b, middle);
    for (size_t i = 0; i < closes; i++) qn_buf_add_str(&b, close);
    request_run r;
    qn_status st = run(&r, b.p);
    end(&r);
    qn_buf_deinit(&b);
    return st;
}

static void test_limits(void **state)
{
    (void)state;
    T_ROW("clauses");
    T_EQ_I(run_repeated("query=", "ab ", 1024, "", "", 0), QN_OK);
    T_EQ_I(run_repeated("query=", "ab ", 1025, "", "", 0), QN_ELIMIT);
    T_EQ_I(run_repeated("query='", "ab ", 1024, "'", "", 0), QN_OK);
    T_EQ_I(run_repeated("query='", "ab ", 1025, "'", "", 0), QN_ELIMIT);
    T_EQ_I(run_repeated("query=\"", "ab ", 1024, "\"", "", 0), QN_OK);
    T_EQ_I(run_repeated("query=\"", "ab ", 1025, "\"", "", 0), QN_ELIMIT);
    T_EQ_I(run_repeated("query=title:a", "|a", 1023, "", "", 0), QN_OK);
    T_EQ_I(run_repeated("query=title:a", "|a", 1024, "", "", 0), QN_ELIMIT);
    T_ROW("depth");
    T_EQ_I(run_repeated("query=", "(", 64, "a", ")", 64), QN_OK);
    T_EQ_I(run_repeated("query=", "(", 65, "a", ")", 65), QN_ELIMIT);
    T_EQ_I(run_repeated("query=title:", "(", 64, "a", ")", 64), QN_OK);
    T_EQ_I(run_repeated("query=title:", "(", 65, "a", ")", 65), QN_ELIMIT);
    T_ROW("vectors");
    T_EQ_I(run_repeated("query=a", " OR vector:'1,2'", 16, "", "", 0), QN_OK);
    T_EQ_I(run_repeated("query=a", " OR vector:'1,2'", 17, "", "", 0), QN_ELIMIT);
    T_ROW("bytes");
    size_t room = QN_QUERY_BYTES_MAX - 7;
    T_EQ_I(run_repeated("query=a", " ", room, "", "", 0), QN_OK);
    T_EQ_I(run_repeated("query=a", " ", room + 1, "", "", 0), QN_ELIMIT);
    T_ROW("term");
    T_EQ_I(run_repeated("query=tag:'", "x", 32766, "'", "", 0), QN_OK);
    T_EQ_I(run_repeated("query=tag:'", "x", 32767, "'", "", 0), QN_ELIMIT);
    T_ROW("kvpairs");
    T_EQ_I(run_repeated("query=a&&kvpairs=", "k:v,", 256, "", "", 0), QN_OK);
    T_EQ_I(run_repeated("query=a&&kvpairs=", "k:v,", 257, "", "", 0), QN_ELIMIT);
}

/* Fails every allocation of a request in turn: an error each time, never a crash. */
static void test_no_memory(void **state)
{
    (void)state;
    static const char text[] = "query=red AND title:'a b'|c RANK vector:'1,2&n=5' OR "
                               "picture:'x#1,2'&&kvpairs=a:b&&sort=-year;price";
    qn_error err = {0};
    qn_analyzers *analyzers;
    T_CALL(qn_analyzers_create(qn_alloc_heap(), &analyzers, &err), &err);
    qn_query_env env = {.schema = &fix_schema, .analyzers = analyzers};
    qn_status st = QN_ENOMEM;
    for (long n = 1; st != QN_OK; n++) {
        qn_alloc alloc = {.fail_countdown = n};
        qn_arena arena;
        qn_arena_init(&arena, &alloc, 0);
        const qn_request *request;
        st = qn_ha3_parse(&arena, &env, qn_slice_of(text), &request, &err);
        T_OK(st == QN_OK || st == QN_ENOMEM);
        T_OK(n < 10000);
        qn_arena_deinit(&arena);
        T_EQ_I(alloc.live_bytes, 0);
    }
    qn_analyzers_destroy(analyzers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_clauses), cmocka_unit_test(test_practice_query),
        cmocka_unit_test(test_clauses),        cmocka_unit_test(test_refused_requests),
        cmocka_unit_test(test_aggregates),     cmocka_unit_test(test_distincts),
        cmocka_unit_test(test_table_of),       cmocka_unit_test(test_limits),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

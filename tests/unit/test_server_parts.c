/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the server that need no tables: router, options, filters, XML. */
#include "../qn_test.h"

#include "io/file.h"
#include "server/aliyun/api_aliyun.h"
#include "server/es/api_es.h"
#include "server/server_internal.h"

#include <unistd.h>

int test_server_parts(void);

/* ---- router ------------------------------------------------------------------------- */

static void test_router(void **state)
{
    (void)state;
    static const struct {
        const char *method, *target;
        const char *pattern; /* NULL: none */
        const char *arg, *value, *allowed;
    } rows[] = {
        {"GET", "/", "/", "", "", ""},
        {"HEAD", "/", "/", "", "", ""},
        {"POST", "/", "/", "", "", ""},
        {"DELETE", "/", NULL, "", "", "GET, POST"},
        {"PUT", "/films", "/{index}", "index", "films", ""},
        {"HEAD", "/films", "/{index}", "index", "films", ""},
        {"GET", "/_search", "/_search", "", "", ""},
        {"POST", "/films/_search", "/{index}/_search", "index", "films", ""},
        {"DELETE", "/films/_search", NULL, "", "", "GET, POST"},
        {"GET", "/_serach", NULL, "", "", ""},
        {"GET", "/_serach/_search", NULL, "", "", ""},
        {"GET", "/films/_doc/a%2Fb", "/{index}/_doc/{id}", "id", "a/b", ""},
        {"GET", "/films/_doc/_search", "/{index}/_doc/{id}", "id", "_search", ""},
        {"POST", "/query", "/query", "", "", ""},
        {"GET", "/query?query=x", "/query", "", "", ""},
        {"PUT", "/query", NULL, "", "", "GET, POST"},
        {"GET", "/v1", NULL, "", "", ""},
        {"POST", "/update/a_b/actions/bulk", "/update/{source}/actions/bulk", "source",
         "a_b", ""},
        {"GET", "/_console", "/_console", "", "", ""},
        {"GET", "/_console/", "/_console", "", "", ""},
        {"GET", "/_console/js/app.js", "/_console/{path*}", "", "", ""},
        {"GET", "/a/b/c/d", NULL, "", "", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].target);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        qn_url url;
        qn_error err = {0};
        T_CALL(qn_url_parse(&arena, qn_slice_of(rows[i].target), &url, &err), &err);
        qn_route_match m;
        bool found = qn_route_find(qn_routes, qn_route_count,
                                   qn_slice_of(rows[i].method), &url, &m);
        T_EQ_I(found, rows[i].pattern != NULL);
        if (found) T_EQ_S(m.route->pattern, rows[i].pattern);
        T_OK(qn_slice_eq_str(qn_route_arg(&m, rows[i].arg), rows[i].value));
        if (!found) T_EQ_S(m.allowed, rows[i].allowed);
        qn_arena_deinit(&arena);
    }
}

/* Every row can be reached by the path that it shows. */
static void test_every_route(void **state)
{
    (void)state;
    for (size_t i = 0; i < qn_route_count; i++) {
        T_ROW(qn_routes[i].pattern);
        T_OK(qn_routes[i].summary[0] != '\0');
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        qn_buf target = {.alloc = qn_alloc_heap()};
        for (const char *c = qn_routes[i].pattern; *c != '\0'; c++)
            if (strchr("{}*", *c) == NULL) qn_buf_add_char(&target, *c);
        qn_url url;
        qn_route_match m;
        char method[8] = {0};
        memcpy(method, qn_routes[i].methods, strcspn(qn_routes[i].methods, ","));
        T_EQ_I(qn_url_parse(&arena, qn_buf_slice(&target), &url, NULL), QN_OK);
        T_OK(qn_route_find(qn_routes, qn_route_count, qn_slice_of(method), &url, &m));
        T_EQ_S(m.route->pattern, qn_routes[i].pattern);
        qn_buf_deinit(&target);
        qn_arena_deinit(&arena);
    }
}

/* ---- filter_path ---------------------------------------------------------------------- */

static void test_filter_path(void **state)
{
    (void)state;
    static const char text[] = "{\"took\":1,\"hits\":{\"total\":{\"value\":2},\"hits\":"
                               "[{\"_id\":\"a\",\"_source\":"
                               "{\"t\":1,\"u\":{\"v\":2}}},{\"_id\":\"b\"}]},\"e\":{}}";
    static const struct {
        const char *patterns, *want;
    } rows[] = {
        {"took", "{\"took\":1}"},
        {"hits.hits._id", "{\"hits\":{\"hits\":[{\"_id\":\"a\"},{\"_id\":\"b\"}]}}"},
        {"hits.hits._source.u",
         "{\"hits\":{\"hits\":[{\"_source\":{\"u\":{\"v\":2}}}]}}"},
        {"hits.*.value", "{\"hits\":{\"total\":{\"value\":2}}}"},
        {"**.v", "{\"hits\":{\"hits\":[{\"_source\":{\"u\":{\"v\":2}}}]}}"},
        {"h*.total", "{\"hits\":{\"total\":{\"value\":2}}}"},
        {"-hits", "{\"took\":1,\"e\":{}}"},
        {"hits.hits,-**._source,-hits.hits.u",
         "{\"hits\":{\"hits\":[{\"_id\":\"a\"},{\"_id\":\"b\"}]}}"},
        {"e", "{\"e\":{}}"},
        {"nothing", "{}"},
        {"", "{\"took\":1,\"hits\":{\"total\":{\"value\":2},\"hits\":[{\"_id\":\"a\","
             "\"_source\":{\"t\":1,\"u\":{\"v\":2}}},{\"_id\":\"b\"}]},\"e\":{}}"},
    };
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    const qn_json *tree = NULL;
    qn_error err = {0};
    T_CALL(qn_json_parse(&arena, qn_slice_of(text), &tree, &err), &err);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].patterns);
        qn_buf out = {.alloc = qn_alloc_heap()};
        T_CALL(qn_es_filter(&arena, tree, qn_slice_of(rows[i].patterns), false, &out,
                            &err),
               &err);
        T_EQ_S(out.p, rows[i].want);
        qn_buf_deinit(&out);
    }
    qn_buf many = {.alloc = qn_alloc_heap()}, out = {.alloc = qn_alloc_heap()};
    for (int i = 0; i < QN_LIMIT_FILTER_PATHS; i++) qn_buf_add_str(&many, "took,");
    T_ROW("at the limit");
    T_CALL(qn_es_filter(&arena, tree, qn_buf_slice(&many), false, &out, &err), &err);
    T_ROW("one past it");
    qn_buf_add_str(&many, "took");
    T_EQ_I(qn_es_filter(&arena, tree, qn_buf_slice(&many), false, &out, &err),
           QN_ELIMIT);
    qn_buf_deinit(&many);
    qn_buf_deinit(&out);
    qn_arena_deinit(&arena);
}

/* ---- HA3 texts -------------------------------------------------------------------------- */

static void test_xml(void **state)
{
    (void)state;
    static const struct {
        const char *text, *as_text, *as_cdata;
    } rows[] = {
        {"plain", "plain", "<![CDATA[plain]]>"},
        {"a<b>&'\"", "a&lt;b&gt;&amp;&apos;&quot;", "<![CDATA[a<b>&'\"]]>"},
        {"x]]>y", "x]]&gt;y", "<![CDATA[x]]&gt;y]]>"},
        {"]]>]]>", "]]&gt;]]&gt;", "<![CDATA[]]&gt;]]&gt;]]>"},
        {"a\x01\x1d\nb", "a\t\t\nb", "<![CDATA[a\t\t\nb]]>"},
        {"\xC2\x7F", "\xC2\x7F", "<![CDATA[\xC2]]>"},
        {"\xEF\xBF\xBF\xE4\xBD\xA0", "\xEF\xBF\xBF\xE4\xBD\xA0",
         "<![CDATA[\xE4\xBD\xA0]]>"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].as_text);
        qn_buf out = {.alloc = qn_alloc_heap()};
        qn_ha3_xml_text(&out, qn_slice_of(rows[i].text));
        T_EQ_S(out.p, rows[i].as_text);
        qn_buf_reset(&out);
        if (i != 5) { /* that row is not UTF-8: CDATA gets valid text only */
            qn_ha3_xml_cdata(&out, qn_slice_of(rows[i].text));
            T_EQ_S(out.p, rows[i].as_cdata);
        }
        qn_buf_deinit(&out);
    }
}

static void test_format_of(void **state)
{
    (void)state;
    static const struct {
        const char *request;
        qn_ha3_format want;
    } rows[] = {
        {"query=a:'b'", QN_HA3_XML},
        {"config=format:json&&query=a:'b'", QN_HA3_JSON},
        {"query=a:'b'&&config=start:0, format : fulljson ,hit:1", QN_HA3_FULLJSON},
        {"query=a:'config=format:json'", QN_HA3_XML},
        {"config=format:xml&&query=x", QN_HA3_XML},
        {"", QN_HA3_XML},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].request);
        T_EQ_I(qn_ha3_format_of(qn_slice_of(rows[i].request)), rows[i].want);
    }
}

/* ---- options ------------------------------------------------------------------------------ */

static void test_options(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        qn_status st;
        const char *says;
    } rows[] = {
        {"listen", "127.0.0.1:1", QN_OK, ""},
        {"body-max-bytes", "2048", QN_OK, ""},
        {"body_max_bytes", "1023", QN_EUSAGE, "from 1024 to"},
        {"body_max_bytes", "x", QN_EUSAGE, "not 'x'"},
        {"insecure", "yes", QN_OK, ""},
        {"insecure", "maybe", QN_EUSAGE, "true or false"},
        {"lisen", "x", QN_EUSAGE, "did you mean 'listen'?"},
        {"nothing_like_it", "x", QN_EUSAGE, "unknown option"},
    };
    qn_server_options o;
    qn_server_options_init(&o);
    T_ROW("defaults");
    T_EQ_S(o.listen, "127.0.0.1:9200");
    T_EQ_I(o.body_max_bytes, 104857600);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_error err = {0};
        T_EQ_I(qn_server_options_set(&o, rows[i].name, rows[i].value, &err),
               rows[i].st);
        if (rows[i].st != QN_OK) T_OK(strstr(err.text, rows[i].says) != NULL);
    }
    T_OK(o.insecure && o.body_max_bytes == 2048);
}

static char *fake_environment(const char *name)
{
    static char value[] = "7";
    return strcmp(name, "QUERN_WORKERS") == 0 ? value : NULL;
}

/* What --print-config writes reads back as the same options. */
static void test_options_files(void **state)
{
    (void)state;
    char path[256];
    qn_error err = {0};
    (void)snprintf(path, sizeof path, "%s/test_server.%ld.conf", QN_BUILD_DIR,
                   (long)getpid());
    qn_server_options a, b;
    qn_server_options_init(&a);
    T_CALL(qn_server_options_set(&a, "model_aliases", "x = y,z=w", &err), &err);
    T_CALL(qn_server_options_read_environment(&a, fake_environment, &err), &err);
    T_EQ_I(a.workers, 7);
    qn_buf text = {.alloc = qn_alloc_heap()};
    qn_server_options_print(&a, &text);
    T_CALL(qn_file_replace(path, text.p, text.n, &err), &err);
    qn_server_options_init(&b);
    T_CALL(qn_server_options_read_file(&b, path, &err), &err);
    T_OK(memcmp(&a, &b, sizeof a) == 0);
    T_CALL(qn_file_replace(path, "\n# x\nlisten 1\n", 14, &err), &err);
    T_EQ_I(qn_server_options_read_file(&b, path, &err), QN_EUSAGE);
    T_OK(strstr(err.text, "line 3") != NULL);
    T_CALL(qn_file_remove(path, &err), &err);
    qn_buf_deinit(&text);
}

static void test_metrics_text(void **state)
{
    (void)state;
    static qn_metrics m;
    qn_metrics_request(&m, QN_API_ES, 200);
    qn_metrics_request(&m, QN_API_ES, 404);
    qn_metrics_add(&m, QN_METRIC_RERANK_PAIRS, 5);
    qn_metrics_time(&m, QN_METRIC_SEARCH_SECONDS, 3000000);
    qn_buf out = {.alloc = qn_alloc_heap()};
    qn_metrics_write(&m, &out);
    static const char *const wanted[] = {
        "quern_http_requests_total{dialect=\"elasticsearch\",status=\"2xx\"} 1\n",
        "quern_http_requests_total{dialect=\"elasticsearch\",status=\"4xx\"} 1\n",
        "quern_rerank_pairs_total 5\n",
        "quern_search_seconds_bucket{le=\"0.0025\"} 0\n",
        "quern_search_seconds_bucket{le=\"0.005\"} 1\n",
        "quern_search_seconds_bucket{le=\"+Inf\"} 1\n",
        "quern_search_seconds_sum 0.003000\n",
        "quern_search_seconds_count 1\n",
    };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        T_ROW(wanted[i]);
        T_OK(strstr(out.p, wanted[i]) != NULL);
    }
    qn_buf_deinit(&out);
}

int test_server_parts(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_router),        cmocka_unit_test(test_every_route),
        cmocka_unit_test(test_filter_path),   cmocka_unit_test(test_xml),
        cmocka_unit_test(test_format_of),     cmocka_unit_test(test_options),
        cmocka_unit_test(test_options_files), cmocka_unit_test(test_metrics_text),
    };
    return cmocka_run_group_tests_name("server/parts", tests, NULL, NULL);
}

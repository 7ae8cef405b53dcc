/* SPDX-License-Identifier: Apache-2.0 */
/* Whole requests through the routes, without a socket: what each dialect answers, over a
 * real table. */
#include "../qn_test.h"

#include "io/file.h"
#include "server/server_internal.h"

#include <unistd.h>

int test_server_parts(void);

typedef struct fixture {
    qn_server server;
    char dir[256];
} fixture;

static fixture f;

enum { HEADERS = 2 };

/* One request; the body of the answer goes to `out`. */
static int ask(const char *method, const char *target, const char *type,
               const char *accept, const char *body, qn_buf *out,
               qn_http_response *response)
{
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    const qn_param headers[HEADERS] = {
        {.name = QN_SLICE_LIT("Content-Type"), .value = qn_slice_of(type)},
        {.name = QN_SLICE_LIT("Accept"), .value = qn_slice_of(accept)},
    };
    qn_http_request r = {.method = qn_slice_of(method),
                         .target = qn_slice_of(target),
                         .headers = headers,
                         .header_count = HEADERS,
                         .body = qn_slice_of(body),
                         .arena = &arena};
    *response = (qn_http_response){0};
    qn_buf_init(&response->body, qn_alloc_heap());
    if (qn_url_parse(&arena, r.target, &r.url, &r.failure) != QN_OK)
        r.url = (qn_url){.path = r.target};
    qn_server_handle(&f.server, &r, response);
    qn_buf_reset(out);
    qn_buf_add_slice(out, qn_buf_slice(&response->body));
    qn_buf_deinit(&response->body);
    qn_arena_deinit(&arena);
    return response->status;
}

typedef struct row {
    const char *name, *method, *target, *type, *body;
    int status;
    const char *has, *has_too; /* in the answer; NULL: no matter */
} row;

#define JSON "application/json"
#define NDJSON "application/x-ndjson"

static void run_rows(const row *rows, size_t count)
{
    qn_buf out = {.alloc = qn_alloc_heap()};
    for (size_t i = 0; i < count; i++) {
        const row *r = &rows[i];
        qn_http_response response;
        T_ROW(r->name);
        int status =
            ask(r->method, r->target, r->type, "*/*", r->body, &out, &response);
        const char *text = qn_buf_slice(&out).p;
        if (status != r->status)
            T_FAIL("status %d, want %d: %s", status, r->status, text);
        if (r->has != NULL && strstr(text, r->has) == NULL)
            T_FAIL("no %s in %s", r->has, text);
        if (r->has_too != NULL && strstr(text, r->has_too) == NULL)
            T_FAIL("no %s in %s", r->has_too, text);
    }
    qn_buf_deinit(&out);
}

static const row es_rows[] = {
    {"root", "GET", "/", "", "", 200, "\"tagline\":\"You Know, for Search\"", NULL},
    {"exists, not yet", "HEAD", "/films", "", "", 404, NULL, NULL},
    {"create", "PUT", "/films", JSON,
     "{\"mappings\":{\"properties\":{\"title\":{\"type\":\"text\"},\"year\":{\"type\":"
     "\"integer\"}}}}",
     200, "\"acknowledged\":true", "\"index\":\"films\""},
    {"exists", "HEAD", "/films", "", "", 200, NULL, NULL},
    {"create again", "PUT", "/films", JSON, "{}", 400,
     "\"type\":\"resource_already_exists_exception\"", "index [films/films] already"},
    {"bad name", "PUT", "/Films", JSON, "{}", 400, "invalid_index_name_exception",
     NULL},
    {"put", "PUT", "/films/_doc/1", JSON, "{\"title\":\"black adam\",\"year\":2022}",
     201, "\"result\":\"created\"", "\"_seq_no\":0"},
    {"put again", "PUT", "/films/_doc/1?refresh", JSON,
     "{\"title\":\"black adam\",\"year\":2023}", 200, "\"result\":\"updated\"",
     "\"forced_refresh\":true"},
    {"create over it", "PUT", "/films/_create/1", JSON, "{\"title\":\"x\"}", 409,
     "version_conflict_engine_exception", NULL},
    {"put with a stale seq_no", "PUT", "/films/_doc/1?if_seq_no=0&if_primary_term=1",
     JSON, "{\"title\":\"x\"}", 409, "version_conflict_engine_exception", NULL},
    {"fresh id", "POST", "/films/_doc", JSON, "{\"title\":\"white dog\"}", 201,
     "\"result\":\"created\"", NULL},
    {"get", "GET", "/films/_doc/1", "", "", 200, "\"found\":true",
     "{\"title\":\"black adam\",\"year\":2023}"},
    {"get, source filtered", "GET", "/films/_doc/1?_source=year", "", "", 200,
     "\"_source\":{\"year\":2023}", NULL},
    {"get, no source", "GET", "/films/_doc/1?_source=false", "", "", 200,
     "\"found\":true}", NULL},
    {"source alone", "GET", "/films/_source/1", "", "", 200, "{\"title\":", NULL},
    {"get what is not there", "GET", "/films/_doc/none", "", "", 404, "\"found\":false",
     NULL},
    {"update", "POST", "/films/_update/1", JSON, "{\"doc\":{\"year\":2024}}", 200,
     "\"result\":\"updated\"", NULL},
    {"update what is not there", "POST", "/films/_update/none", JSON,
     "{\"doc\":{\"year\":2024}}", 404, "document_missing_exception", NULL},
    {"update without a doc", "POST", "/films/_update/1", JSON, "{}", 400,
     "script or doc is missing", NULL},
    {"update with a script", "POST", "/films/_update/1", JSON,
     "{\"script\":\"ctx._source.year++\"}", 400, "there is no script language", NULL},
    {"update that changes nothing", "POST", "/films/_update/1", JSON,
     "{\"doc\":{\"year\":2024}}", 200, "\"result\":\"noop\"", "\"total\":0"},
    {"the same, but written", "POST", "/films/_update/1", JSON,
     "{\"doc\":{\"year\":2024},\"detect_noop\":false}", 200, "\"result\":\"updated\"",
     NULL},
    {"update or this", "POST", "/films/_update/up", JSON,
     "{\"doc\":{\"year\":1},\"upsert\":{\"year\":2}}", 201, "\"result\":\"created\"",
     NULL},
    {"update, and what became of it", "POST", "/films/_update/up?_source=true", JSON,
     "{\"doc\":{\"title\":\"b\"}}", 200,
     "\"found\":true,\"_source\":{\"year\":2,\"title\":\"b\"}", "\"_primary_term\":1"},
    {"some of it, asked for in the body", "POST", "/films/_update/up", JSON,
     "{\"doc\":{\"title\":null},\"_source\":[\"year\"]}", 200,
     "\"_source\":{\"year\":2}}}", NULL},
    {"some of it, left out", "POST", "/films/_update/up?_source_excludes=title", JSON,
     "{\"doc\":{\"year\":2}}", 200, "\"_source\":{\"year\":2}}}",
     "\"result\":\"noop\""},
    {"none of it", "POST", "/films/_update/up?_source=false", JSON,
     "{\"doc\":{\"year\":2}}", 200, "\"_primary_term\":1}", NULL},
    {"a _source that is none", "POST", "/films/_update/up", JSON,
     "{\"doc\":{\"year\":2},\"_source\":7}", 400, "[_source] of an update", NULL},
    {"upsert was taken", "GET", "/films/_source/up", "", "", 200,
     "{\"year\":2,\"title\":null}", NULL},
    {"update on a condition or this", "POST",
     "/films/_update/up?if_seq_no=1&if_primary_term=1", JSON,
     "{\"doc\":{\"year\":1},\"upsert\":{\"year\":2}}", 400,
     "upsert requests don't support `if_seq_no`", NULL},
    {"delete", "DELETE", "/films/_doc/up", "", "", 200, "\"result\":\"deleted\"",
     "\"_version\":4"},
    {"delete again", "DELETE", "/films/_doc/up", "", "", 404,
     "\"result\":\"not_found\"", "\"_version\":5"},
    {"external version", "PUT", "/films/_doc/ext?version=10&version_type=external",
     JSON, "{\"year\":3}", 201, "\"_version\":10", NULL},
    {"external version, late", "PUT",
     "/films/_doc/ext?version=10&version_type=external", JSON, "{\"year\":3}", 409,
     "current version [10] is higher or equal to the one provided [10]", NULL},
    {"external version, equal will do", "PUT",
     "/films/_doc/ext?version=10&version_type=external_gte", JSON, "{\"year\":4}", 200,
     "\"_version\":10", NULL},
    {"internal version given", "PUT", "/films/_doc/ext?version=10", JSON,
     "{\"year\":3}", 400, "internal versioning can not be used", NULL},
    {"external version of none", "PUT", "/films/_doc/ext?version_type=external", JSON,
     "{\"year\":3}", 400, "illegal version value [-3] for version type [EXTERNAL]",
     NULL},
    {"unknown version type", "PUT", "/films/_doc/ext?version=1&version_type=mine", JSON,
     "{\"year\":3}", 400, "No version type match [mine]", NULL},
    {"create with a condition", "PUT",
     "/films/_create/new?if_seq_no=1&if_primary_term=1", JSON, "{\"year\":3}", 400,
     "create operations do not support compare and set", NULL},
    {"bulk with external versions", "POST", "/films/_bulk", NDJSON,
     "{\"delete\":{\"_id\":\"ext\",\"version\":11,\"version_type\":\"external\"}}\n"
     "{\"index\":{\"_id\":\"ext\",\"version\":9,\"version_type\":\"external\"}}\n"
     "{\"year\":1}\n",
     200, "\"_version\":11,\"result\":\"deleted\"", "current version [11] is higher"},
    {"settings, changed", "PUT", "/films/_settings", JSON,
     "{\"index\":{\"translog\":{\"durability\":\"async\",\"sync_interval\":\"500ms\"}}"
     "}",
     200, "\"acknowledged\":true", NULL},
    {"settings, shown", "GET", "/films/_settings", "", "", 200,
     "\"translog\":{\"durability\":\"async\",\"sync_interval\":\"500ms\"}", NULL},
    {"settings, back", "PUT", "/films/_settings", JSON,
     "{\"index.translog.durability\":\"request\"}", 200, "\"acknowledged\":true", NULL},
    {"settings, not to be changed", "PUT", "/films/_settings", JSON,
     "{\"index\":{\"number_of_shards\":3}}", 400,
     "the setting [index.number_of_shards] cannot be changed", NULL},
    {"bulk", "POST", "/_bulk?refresh=true", NDJSON,
     "{\"index\":{\"_index\":\"films\",\"_id\":\"2\"}}\n{\"title\":\"black "
     "dog\",\"year\":"
     "2000}\n{\"delete\":{\"_index\":\"films\",\"_id\":\"none\"}}\n",
     200, "\"errors\":false", "\"result\":\"not_found\""},
    {"bulk with a bad document", "POST", "/films/_bulk", NDJSON,
     "{\"index\":{\"_id\":\"3\"}}\n{\"year\":\"no "
     "number\"}\n{\"create\":{\"_id\":\"1\"}}\n"
     "{\"title\":\"x\"}\n",
     200, "\"errors\":true", "document_parsing_exception"},
    {"bulk, broken source", "POST", "/films/_bulk", NDJSON,
     "{\"index\":{\"_id\":\"3\"}}\n{\"year\":\n", 200, "\"errors\":true", NULL},
    {"bulk without a last newline", "POST", "/films/_bulk", NDJSON,
     "{\"delete\":{\"_id\":\"3\"}}", 400, "must be terminated by a newline", NULL},
    {"bulk, unknown action", "POST", "/films/_bulk", NDJSON, "{\"drop\":{}}\n", 400,
     "expected one of [create, delete, index, update]", NULL},
    {"bulk, unknown key", "POST", "/films/_bulk", NDJSON, "{\"delete\":{\"_idd\":1}}\n",
     400, "did you mean [_id]?", NULL},
    {"bulk, no index", "POST", "/_bulk", NDJSON, "{\"delete\":{\"_id\":\"1\"}}\n", 400,
     "index is missing", NULL},
    {"refresh", "POST", "/films/_refresh", "", "", 200, "\"_shards\"", NULL},
    {"search", "POST", "/films/_search", JSON,
     "{\"query\":{\"match\":{\"title\":\"black\"}}}", 200,
     "\"total\":{\"value\":2,\"relation\":\"eq\"}", "\"_score\":0."},
    {"search, everything", "GET", "/films/_search", "", "", 200, "\"hits\":[{", NULL},
    {"search, one address says more", "POST",
     "/films/_search?size=1&_source=title&sort=year:desc&version=true", JSON,
     "{\"query\":{\"match_all\":{}},\"size\":5}", 200, "\"_version\":",
     "\"_score\":null,\"_source\":{\"title\":\"black adam\"},\"sort\":[2024]"},
    {"search, seq_no", "POST", "/films/_search", JSON, "{\"seq_no_primary_term\":true}",
     200, "\"_primary_term\":1", NULL},
    {"search, total as a number", "GET", "/films/_search?rest_total_hits_as_int=true",
     "", "", 200, "\"hits\":{\"total\":3,", NULL},
    {"search, filtered reply", "GET", "/films/_search?filter_path=hits.total.value", "",
     "", 200, "{\"hits\":{\"total\":{\"value\":3}}}", NULL},
    {"search, explained", "POST", "/films/_search?explain=true", JSON,
     "{\"query\":{\"match\":{\"title\":\"adam\"}}}", 200,
     "\"_explanation\":{\"value\":", NULL},
    {"search without a table", "GET", "/_search", "", "", 200, "\"_index\":\"films\"",
     NULL},
    {"search, unknown parameter", "GET", "/films/_search?sise=1", "", "", 400,
     "contains unrecognized parameter: [sise]", NULL},
    {"search, q", "GET", "/films/_search?q=x", "", "", 400, "[q] is not supported",
     NULL},
    {"search, bad size", "GET", "/films/_search?size=x", "", "", 400,
     "Failed to parse parameter [size]", NULL},
    {"search, unknown key", "POST", "/films/_search", JSON, "{\"qurey\":{}}", 400,
     "Unknown key for a START_OBJECT in [qurey].", "\"line\":1,\"col\":10"},
    {"search, broken JSON", "POST", "/films/_search", JSON, "{\"query\":\n{", 400,
     "x_content_parse_exception", "\"line\":2,\"col\":2"},
    {"search, unknown sort field", "POST", "/films/_search", JSON,
     "{\"sort\":[\"nope\"]}", 400, "search_phase_execution_exception",
     "\"root_cause\":[{\"type\":\"query_shard_"},
    {"search, window", "GET", "/films/_search?from=9999&size=2", "", "", 400,
     "Result window is too large", NULL},
    {"search, no such table", "GET", "/nope/_search", "", "", 404,
     "\"reason\":\"no such index [nope]\"", "\"resource.id\":\"nope\""},
    {"search, many tables", "GET", "/films,others/_search", "", "", 400,
     "one index per request", NULL},
    {"count", "GET", "/films/_count", "", "", 200, "{\"count\":3,", NULL},
    {"count a query", "POST", "/films/_count", JSON,
     "{\"query\":{\"match\":{\"title\":\"adam\"}}}", 200, "{\"count\":1,", NULL},
    {"explain", "POST", "/films/_explain/1", JSON,
     "{\"query\":{\"match\":{\"title\":\"adam\"}}}", 200, "\"matched\":true", NULL},
    {"analyze", "POST", "/_analyze", JSON, "{\"text\":\"Black Adam\"}", 200,
     "{\"token\":\"adam\",\"start_offset\":6,\"end_offset\":10,", NULL},
    {"msearch", "POST", "/_msearch", NDJSON,
     "{\"index\":\"films\"}\n{\"size\":0}\n{\"index\":\"nope\"}\n{}\n", 200,
     "{\"responses\":[{\"took\":", "\"status\":200},{\"error\":{"},
    {"msearch, no body", "POST", "/films/_msearch", NDJSON, "{}\n", 400, "has no body",
     NULL},
    {"mget", "POST", "/_mget", JSON,
     "{\"docs\":[{\"_index\":\"films\",\"_id\":\"1\",\"_source\":[\"year\"]},{\"_"
     "index\":"
     "\"nope\",\"_id\":\"1\"}]}",
     200, "\"_source\":{\"year\":2024}},{\"_index\":\"nope\",\"_id\":\"1\",\"error\":{",
     NULL},
    {"mget, ids", "POST", "/films/_mget", JSON, "{\"ids\":[\"1\",\"none\"]}", 200,
     "\"found\":true", "\"found\":false"},
    {"inference, unknown", "POST", "/_inference/rerank/nope", JSON,
     "{\"query\":\"q\",\"input\":[\"a\"]}", 404, "Inference endpoint not found [nope]",
     "resource_not_found_exception"},
    {"inference, no such task", "POST", "/_inference/completion/nope", JSON,
     "{\"input\":\"a\"}", 404, "Inference endpoint not found [nope]", NULL},
    {"inference, no query", "POST", "/_inference/rerank/nope", JSON,
     "{\"input\":[\"a\"]}", 400, "Field [query] cannot be null for task type [rerank]",
     NULL},
    {"mapping", "GET", "/films/_mapping", "", "", 200, "{\"films\":{\"mappings\":{",
     NULL},
    {"index", "GET", "/films", "", "", 200, "\"aliases\":{}", "\"settings\":{"},
    {"cat", "GET", "/_cat/indices?v", "", "", 200, "health status index", "open films"},
    {"cat as JSON", "GET", "/_cat/indices?format=json", "", "", 200,
     "\"docs.count\":\"3\"", NULL},
    {"health", "GET", "/_cluster/health", "", "", 200, "\"status\":\"green\"", NULL},
    {"unknown path", "GET", "/_nothing", "", "", 400,
     "{\"error\":\"no handler found for uri [/_nothing] and method [GET]\"", NULL},
    {"wrong method", "DELETE", "/films/_search", "", "", 405, "allowed: [GET, POST]",
     NULL},
    {"form body", "POST", "/films/_search", "application/x-www-form-urlencoded", "{}",
     406, "Content-Type header [application/x-www-form-urlencoded] is not supported",
     NULL},
    {"vendor type", "POST", "/films/_search",
     "application/vnd.elasticsearch+json; compatible-with=9", "{}", 200, "\"hits\"",
     NULL},
    {"vendor type of the future", "POST", "/films/_search",
     "application/vnd.elasticsearch+json; compatible-with=10", "{}", 400,
     "media_type_header_exception", NULL},
    {"broken escape", "GET", "/films/_doc/%4", "", "", 400, "hexadecimal", NULL},
    {"delete", "DELETE", "/films/_doc/2", "", "", 200, "\"result\":\"deleted\"", NULL},
    {"delete again", "DELETE", "/films/_doc/2", "", "", 404, "\"result\":\"not_found\"",
     NULL},
    {"flush", "POST", "/films/_flush", "", "", 200, NULL, NULL},
    {"force merge", "POST", "/films/_forcemerge", "", "", 200, NULL, NULL},
    {"stats", "GET", "/films/_stats", "", "", 200, "\"documents\":2", NULL},
};

static void test_elasticsearch(void **state)
{
    (void)state;
    run_rows(es_rows, sizeof es_rows / sizeof *es_rows);
}

static const row ha3_rows[] = {
    {"JSON", "GET",
     "/query?query=query%3Dtitle%3A%27black%27%26%26config%3Dformat%3Ajson", "", "",
     200, "{\"result\":{\"searchtime\":",
     "\"fields\":{\"title\":\"black adam\",\"year\":\"2024\"}"},
    {"XML is the default", "GET", "/query?query=query%3Dtitle%3A%27black%27", "", "",
     200, "<hits numhits=\"1\" totalhits=\"1\" coveredPercent=\"100.00\">",
     "<title><![CDATA[black adam]]></title>"},
    {"plus is a sign", "GET", "/query?query=query=title:%27black%27%26%26sort=+year",
     "", "", 200, "<SortExprMeta><![CDATA[+year]]></SortExprMeta>", NULL},
    {"POST", "POST", "/query", JSON,
     "{\"assemblyQuery\":\"query=title:'black'&&config=format:json&&cluster=general\"}",
     200, "\"totalHits\":1,", "\"errors\":[]"},
    {"error inside a JSON reply", "GET",
     "/query?query=query%3Dtitle%3A%27black%26%26config%3Dformat%3Ajson", "", "", 200,
     "\"errors\":[{\"code\":1051,", NULL},
    {"error inside an XML reply", "GET", "/query?query=query%3Dnofield%3A%27black%27",
     "", "", 200, "<ErrorCode>2</ErrorCode>", "<ErrorCode>1013</ErrorCode>"},
    {"no query", "GET", "/query", "", "", 200, "<ErrorCode>1050</ErrorCode>", NULL},
    {"SQL", "GET", "/query?sql=select", "", "", 200, "SQL is not supported", NULL},
    {"hosted search", "GET",
     "/v3/openapi/apps/films/search?query=query%3Dtitle%3A%27black%27", "", "", 200,
     "{\"status\":\"OK\",\"request_id\":\"",
     "\"fields\":{\"title\":\"black adam\",\"year\":\"2024\",\"index_name\":\"films\"},"
     "\"variableValue\":{},\"property\":{},\"sortExprValues\":[\"10003."},
    {"hosted search, result", "GET",
     "/v3/openapi/apps/films/search?query=config%3Dstart%3A0%2Chit%3A1%26%26query%3D"
     "title%3A%27black%27%26%26aggregate%3Dgroup_key%3Ayear%2Cagg_fun%3Acount()%23max("
     "year)&user_id=1&abtest=scene_tag%3Aa",
     "", "", 200, "\"total\":1,\"num\":1,\"viewtotal\":1,\"items\":[",
     "\"facet\":[{\"key\":\"year\",\"items\":[{\"value\":\"2024\",\"count\":1,\"max\":"
     "2024}]}"
     "]},\"errors\":[],\"tracer\":\"\"}"},
    {"hosted search, json", "GET",
     "/v3/openapi/apps/films/search?format=json&query=query%3Dtitle%3A%27black%27", "",
     "", 200,
     "\"items\":[{\"title\":\"black "
     "adam\",\"year\":\"2024\",\"index_name\":\"films\"}]},",
     NULL},
    {"hosted search, pairs behind those of the clause", "GET",
     "/v3/openapi/apps/films/search?fetch_fields=year%3B_id&query=kvpairs%3Dformula%3A7"
     "%26%26query%3Dtitle%3A%27black%27",
     "", "", 200, "\"fields\":{\"year\":\"2024\",\"index_name\":\"films\"}",
     "\"sortExprValues\":[\"10007.0000000000\"]"},
    {"hosted search, format of the clause", "GET",
     "/v3/openapi/apps/films/search?query=query=title:%27black%27%26%26sort=year;"
     "-RANK%26%26config=format:json",
     "", "", 200, "\"items\":[{\"title\"", NULL},
    {"hosted search, signed", "GET",
     "/v3/openapi/apps/films/search?query=query%3Dtitle%3A%27nothing%27", "", "", 200,
     "\"total\":0,\"num\":0,\"viewtotal\":0,\"items\":[],\"facet\":[]}", NULL},
    {"hosted search, no query", "GET", "/v3/openapi/apps/films/search", "", "", 200,
     "{\"status\":\"FAIL\",\"request_id\":\"", "\"errors\":[{\"code\":6001,"},
    {"hosted search, no app", "GET",
     "/v3/openapi/apps/filmz/search?query=query%3Dtitle%3A%27black%27", "", "", 200,
     "\"status\":\"FAIL\"", "\"errors\":[{\"code\":2001,"},
    {"hosted search, unknown parameter", "GET",
     "/v3/openapi/apps/films/search?fetch_field=year&query=query%3Dtitle%3A%27black%27",
     "", "", 200, "\"code\":6002,",
     "unknown parameter [fetch_field], did you mean [fetch_fields]?"},
    {"hosted search, not supported", "GET",
     "/v3/openapi/apps/films/search?scroll=1m&query=query%3Dtitle%3A%27black%27", "",
     "", 200, "\"code\":6002,", "[scroll] is not supported"},
    {"hosted search, unknown clause", "GET",
     "/v3/openapi/apps/films/search?query=query%3Dtitle%3A%27black%27%26%26filtr%3Da",
     "", "", 200, "\"code\":6117,", NULL},
    {"hosted search, unknown index", "GET",
     "/v3/openapi/apps/films/search?query=query%3Dnone%3A%27black%27", "", "", 200,
     "\"code\":6101,", NULL},
    {"hosted search, XML", "GET",
     "/v3/openapi/apps/films/search?format=xml&query=query%3Dtitle%3A%27black%27", "",
     "", 200, "\"code\":6002,", "format is json or fulljson here"},
    {"hosted search, method", "POST", "/v3/openapi/apps/films/search", JSON, "{}", 405,
     "\"status\":\"FAIL\"", NULL},
    {"push", "POST", "/update/instance_films/actions/bulk", JSON,
     "[{\"cmd\":\"add\",\"fields\":{\"_id\":\"9\",\"title\":\"red sea\"}}]", 200,
     "\"status\":\"OK\"", NULL},
    {"push, unknown table", "POST", "/update/instance_xfilms/actions/bulk", JSON, "[]",
     404, "\"status\":\"FAIL\"", "\"code\":1001"},
    {"push, unknown command", "POST", "/update/films/actions/bulk", JSON,
     "[{\"cmd\":\"drop\",\"fields\":{}}]", 400, "cmd must be add", NULL},
    {"push, no array", "POST", "/update/films/actions/bulk", JSON, "{}", 400,
     "must be an array", NULL},
    {"active", "GET", "/network/active", "", "", 200, NULL, NULL},
    {"wrong method", "DELETE", "/network/active", "", "", 405, "\"status\":\"FAIL\"",
     NULL},
};

static void test_ha3(void **state)
{
    (void)state;
    run_rows(ha3_rows, sizeof ha3_rows / sizeof *ha3_rows);
}

static const row inference_rows[] = {
    {"TEI, no query", "POST", "/rerank", JSON, "{\"texts\":[\"a\"]}", 422,
     "\"error_type\":\"Validation\"", "[query] is required"},
    {"TEI, no texts", "POST", "/rerank", JSON, "{\"query\":\"q\",\"texts\":[]}", 400,
     "[texts] is empty", "\"error_type\":\"Empty\""},
    {"TEI, unknown key", "POST", "/rerank", JSON, "{\"query\":\"q\",\"text\":[]}", 422,
     "did you mean [texts]?", "(byte 20 of the body)\""},
    {"TEI, upwards", "POST", "/rerank", JSON,
     "{\"query\":\"q\",\"texts\":[\"a\"],\"truncation_direction\":\"Up\"}", 422,
     "must be Right or Left", NULL},
    {"TEI, sideways", "POST", "/embed", JSON,
     "{\"inputs\":\"a\",\"truncation_direction\":\"Up\"}", 422, "Right or Left", NULL},
    {"TEI, wrong method", "GET", "/rerank", "", "", 405, "\"error_type\"", NULL},
    {"TEI, unknown model", "POST", "/embed", JSON,
     "{\"model\":\"nope\",\"inputs\":\"a\"}", 424, "\"error_type\":\"Backend\"",
     "[nope]"},
    {"TEI, predict a number", "POST", "/predict", JSON, "{\"inputs\":[[1]]}", 422,
     "must be a string, a pair", "(byte 11"},
    {"TEI, predict a list", "POST", "/predict", JSON, "{\"inputs\":[[\"a\"],\"b\"]}",
     422, "must be a string, a pair", NULL},
    {"TEI, a function", "POST", "/predict", JSON,
     "{\"inputs\":\"a\",\"parameters\":{\"function_to_apply\":\"tanh\"}}", 422,
     "must be sigmoid, softmax or none", NULL},
    {"vLLM, classify nothing", "POST", "/classify", JSON, "{\"input\":[]}", 400,
     "[input] is empty", "BadRequestError"},
    {"TEI, predict three", "POST", "/predict", JSON,
     "{\"inputs\":[[\"a\",\"b\",\"c\"]]}", 422, "must be a string, a pair", NULL},
    {"TEI, predict nothing", "POST", "/predict", JSON, "{\"inputs\":[]}", 400,
     "\"error_type\":\"Empty\"", NULL},
    {"TEI, similarity to nothing", "POST", "/similarity", JSON,
     "{\"inputs\":{\"source_sentence\":\"a\",\"sentences\":[]}}", 400,
     "\"error_type\":\"Empty\"", NULL},
    {"TEI, similarity of what", "POST", "/similarity", JSON, "{\"inputs\":\"a\"}", 422,
     "source_sentence", NULL},
    {"TEI, no ids", "POST", "/embed", JSON, "{\"inputs\":[[]]}", 400,
     "\"error_type\":\"Empty\"", NULL},
    {"TEI, ids that are none", "POST", "/embed", JSON, "{\"inputs\":[1,-1]}", 422,
     "a token id is a whole number", NULL},
    {"TEI, ids and a number", "POST", "/embed", JSON, "{\"inputs\":[[1],7]}", 422,
     "must hold strings", NULL},
    {"TEI, the bare address", "POST", "/", JSON, "{}", 422, "[inputs] to embed", NULL},
    {"TEI, the bare address embeds", "POST", "/", JSON, "{\"inputs\":[]}", 400,
     "[inputs] is empty", NULL},
    {"TEI, the bare address ranks", "POST", "/invocations", JSON, "{\"texts\":[]}", 422,
     "[query] is required", NULL},
    {"TEI, health", "GET", "/health", "", "", 200, NULL, NULL},
    {"documents at TEI's path", "POST", "/rerank", JSON,
     "{\"query\":\"q\",\"documents\":[]}", 400, "{\"message\":\"[documents] is empty\"",
     "\"detail\":"},
    {"Cohere v2 needs a model", "POST", "/v2/rerank", JSON,
     "{\"query\":\"q\",\"documents\":[\"a\"]}", 400,
     "{\"message\":\"[model] is required\"", NULL},
    {"Cohere, unknown model", "POST", "/v2/rerank", JSON,
     "{\"model\":\"nope\",\"query\":\"q\",\"documents\":[\"a\"]}", 404,
     "\"message\":", "nope"},
    {"Cohere v2 gives no logits", "POST", "/v2/rerank", JSON,
     "{\"model\":\"x\",\"raw_scores\":true}", 400, "unknown key", NULL},
    {"Voyage, unknown model", "POST", "/v1/rerank", JSON,
     "{\"model\":\"nope\",\"query\":\"q\",\"documents\":[\"a\"],\"truncation\":true}",
     400, "\"detail\":", "nope"},
    {"Mixedbread, no query", "POST", "/v1/reranking", JSON, "{\"input\":[\"a\"]}", 400,
     "[query] is required", NULL},
    {"Cohere, no string", "POST", "/v1/rerank", JSON,
     "{\"query\":\"q\",\"documents\":[1]}", 400, "[documents] must hold strings", NULL},
    {"Cohere, none of the fields", "POST", "/v1/rerank", JSON,
     "{\"query\":\"q\",\"documents\":[{\"a\":\"b\"}],\"rank_fields\":[\"x\",\"y\"]}",
     400, "none of the [rank_fields]", "(byte 26"},
    {"Cohere, fields that are none", "POST", "/v1/rerank", JSON,
     "{\"query\":\"q\",\"documents\":[\"a\"],\"rank_fields\":\"text\"}", 400,
     "must be a list of names", NULL},
    {"Cohere embed, bytes", "POST", "/v2/embed", JSON,
     "{\"model\":\"m\",\"texts\":[\"a\"],\"embedding_types\":[\"int4\"]}", 400,
     "[embedding_types] may have float, int8", NULL},
    {"Cohere embed, no forms", "POST", "/v2/embed", JSON,
     "{\"model\":\"m\",\"texts\":[\"a\"],\"embedding_types\":[]}", 400,
     "[embedding_types] must be a list", NULL},
    {"Cohere embed, pictures", "POST", "/v1/embed", JSON,
     "{\"images\":[\"data:image/png\"]}", 400, "[images] are not embedded", NULL},
    {"Cohere embed, a picture among inputs", "POST", "/v2/embed", JSON,
     "{\"model\":\"m\",\"inputs\":[{\"content\":[{\"type\":\"image_url\"}]}]}", 400,
     "must be one text", NULL},
    {"Cohere embed, truncate", "POST", "/v1/embed", JSON,
     "{\"texts\":[\"a\"],\"truncate\":\"MIDDLE\"}", 400, "NONE, START or END", NULL},
    {"vLLM, lists of unlike lengths", "POST", "/score", JSON,
     "{\"text_1\":[\"a\",\"b\"],\"text_2\":[\"a\",\"b\",\"c\"]}", 400,
     "has 2 texts and [text_2] 3",
     "\"type\":\"BadRequestError\",\"param\":null,\"code\":400"},
    {"vLLM, half a pair", "POST", "/v1/score", JSON, "{\"text_1\":\"a\"}", 400,
     "are required", NULL},
    {"vLLM, unknown model", "POST", "/score", JSON,
     "{\"model\":\"nope\",\"queries\":\"a\",\"documents\":[\"b\"]}", 404,
     "\"type\":\"NotFoundError\"", "nope"},
    {"llama.cpp, no documents", "POST", "/reranking", JSON, "{\"query\":\"q\"}", 400,
     "[documents] is required", "\"error\":{\"message\""},
    {"DashScope, unknown model", "POST",
     "/api/v1/services/rerank/text-rerank/text-rerank", JSON,
     "{\"model\":\"nope\",\"input\":{\"query\":\"q\",\"documents\":[\"a\"]}}", 404,
     "\"code\":\"NotFound\"", "\"request_id\":"},
    {"DashScope, sparse vectors", "POST",
     "/api/v1/services/embeddings/text-embedding/text-embedding", JSON,
     "{\"input\":{\"texts\":[\"a\"]},\"parameters\":{\"output_type\":\"sparse\"}}", 404,
     "\"code\":\"NotFound\"", "no model here has the task sparse"},
    {"DashScope, vectors of what", "POST",
     "/api/v1/services/embeddings/text-embedding/text-embedding", JSON,
     "{\"input\":{\"texts\":[\"a\"]},\"parameters\":{\"output_type\":\"thick\"}}", 400,
     "\"code\":\"InvalidParameter\"", "[output_type] must be dense, sparse"},
    {"AI Search, sparse, no such service", "POST",
     "/v3/openapi/workspaces/default/text-sparse-embedding/x", JSON,
     "{\"input\":[\"a\"],\"return_token\":true}", 400, "\"code\":\"ServiceIdNotExist\"",
     "\"latency\":"},
    {"AI Search, tokens of dense vectors", "POST",
     "/v3/openapi/workspaces/default/text-embedding/x", JSON,
     "{\"input\":[\"a\"],\"return_token\":true}", 400, "unknown key", NULL},
    {"Elasticsearch, sparse, unknown", "POST", "/_inference/sparse_embedding/nope",
     JSON, "{\"input\":\"a\"}", 404, "Inference endpoint not found [nope]", NULL},
    {"Elasticsearch, sparse with a query", "POST", "/_inference/sparse_embedding/nope",
     JSON, "{\"input\":\"a\",\"query\":\"q\"}", 400,
     "Field [query] cannot be specified for task type [sparse_embedding]", NULL},
    {"Elasticsearch, input of what", "POST", "/_inference/text_embedding/nope", JSON,
     "{\"input\":\"a\",\"input_type\":\"eaten\"}", 400, "[input_type] must be ingest",
     NULL},
    {"DashScope, no texts", "POST",
     "/api/v1/services/embeddings/text-embedding/text-embedding", JSON,
     "{\"model\":\"m\",\"input\":{}}", 400, "[texts] is required", NULL},
    {"AI Search, no query", "POST", "/v3/openapi/workspaces/default/ranker/x", JSON,
     "{}", 400, "\"code\":\"InvalidParameter\"", NULL},
    {"AI Search, no such service", "POST", "/v3/openapi/workspaces/default/ranker/x",
     JSON, "{\"query\":\"q\",\"docs\":[\"a\"]}", 400, "\"code\":\"ServiceIdNotExist\"",
     "\"latency\":"},
    {"OpenAI, unknown model", "POST", "/v1/embeddings", JSON,
     "{\"model\":\"nope\",\"input\":\"a\"}", 404,
     "{\"error\":{\"message\":", "\"code\":\"model_not_found\""},
    {"OpenAI, encoding", "POST", "/v1/embeddings", JSON,
     "{\"input\":\"a\",\"encoding_format\":\"hex\"}", 400, "float or base64", NULL},
    {"Voyage, bytes", "POST", "/v1/embeddings", JSON,
     "{\"input\":\"a\",\"output_dtype\":\"int4\"}", 400, "[output_dtype] must be float",
     NULL},
    {"Jina, late chunking", "POST", "/v1/embeddings", JSON,
     "{\"input\":\"a\",\"late_chunking\":true}", 400, "[late_chunking] is not done",
     NULL},
    {"Jina, task", "POST", "/v1/embeddings", JSON,
     "{\"input\":\"a\",\"task\":\"cooking\"}", 400, "not [cooking]", NULL},
    {"Jina, two forms", "POST", "/v1/embeddings", JSON,
     "{\"input\":\"a\",\"embedding_type\":[\"float\",\"binary\"]}", 400,
     "must be one name", NULL},
    {"Mixedbread, a prompt", "POST", "/v1/embeddings", JSON,
     "{\"input\":\"a\",\"prompt\":\"Find: \"}", 400, "[prompt]: put the words", NULL},
    {"infinity, pictures", "POST", "/embeddings", JSON,
     "{\"input\":\"a\",\"modality\":\"image\"}", 400, "[modality] must be text", NULL},
    {"OpenAI, models", "GET", "/v1/models", "", "", 200,
     "{\"object\":\"list\",\"data\":[", NULL},
    {"OpenAI, no such model", "GET", "/v1/models/nope", "", "", 404, "model_not_found",
     NULL},
};

static void test_inference(void **state)
{
    (void)state;
    run_rows(inference_rows, sizeof inference_rows / sizeof *inference_rows);
}

static const row own_rows[] = {
    {"health", "GET", "/_quern/health", "", "", 200, "\"status\":\"ok\"", NULL},
    {"ready", "GET", "/_quern/ready", "", "", 200, "\"ready\":true,\"tables\":1", NULL},
    {"search", "POST", "/_quern/search", JSON, "{\"query\":\"black adam\"}", 200,
     "\"stages\":[{\"name\":\"recall\"", "\"neural\":null"},
    {"search, DSL", "POST", "/_quern/search", JSON,
     "{\"table\":\"films\",\"kind\":\"dsl\",\"query\":{\"query\":{\"match_all\":{}}}}",
     200, "\"hits\":[{\"id\":", NULL},
    {"search, HA3", "POST", "/_quern/search", JSON,
     "{\"kind\":\"ha3\",\"query\":\"query=title:'black'\"}", 200, "\"total\":1", NULL},
    {"search, unknown kind", "POST", "/_quern/search", JSON,
     "{\"kind\":\"x\",\"query\":\"y\"}", 400, "[kind] must be words, ha3 or dsl", NULL},
    {"search, unknown key", "POST", "/_quern/search", JSON, "{\"querry\":\"y\"}", 400,
     "did you mean [query]?", "\"code\":\"EINVAL\""},
    {"explain", "POST", "/_quern/explain", JSON, "{\"query\":\"black\",\"id\":\"1\"}",
     200, "\"explanation\":{\"value\":", NULL},
    {"words, no query", "POST", "/_quern/attribute", JSON, "{\"text\":\"a\"}", 400,
     "[query] is required", NULL},
    {"words, no text", "POST", "/_quern/attribute", JSON, "{\"query\":\"a\"}", 400,
     "[text] is required", NULL},
    {"words, no model", "POST", "/_quern/attribute", JSON,
     "{\"query\":\"a\",\"text\":\"b\",\"model\":\"nope\"}", 404, "[nope]", NULL},
    {"tables", "GET", "/_quern/tables", "", "", 200, "{\"tables\":[{\"name\":\"films\"",
     "\"stats\":{\"documents\":"},
    {"models", "GET", "/_quern/models", "", "", 200, "\"models\":[", NULL},
    {"routes", "GET", "/_quern/routes", "", "", 200, "\"path\":\"/_quern/routes\"",
     NULL},
    {"console", "GET", "/_console/", "", "", 200, "<!doctype html>", NULL},
    {"console, to the first page", "GET", "/_console", "", "", 302, NULL, NULL},
    {"console, no such file", "GET", "/_console/../x", "", "", 404, "ENOTFOUND", NULL},
    {"drop", "DELETE", "/films", "", "", 200, "\"acknowledged\":true", NULL},
    {"drop again", "DELETE", "/films", "", "", 404, "index_not_found_exception", NULL},
    {"no table left to guess", "GET", "/_search", "", "", 404, NULL, NULL},
};

static void test_own(void **state)
{
    (void)state;
    run_rows(own_rows, sizeof own_rows / sizeof *own_rows);
}

/* `unit` repeated between head and tail: at the limit it is not what is refused, one
 * more is. */
static const struct {
    const char *name, *target, *head, *unit, *separator, *tail;
    size_t limit; /* of units, or of bytes when `bytes` */
    bool bytes;
    const char *says;
} limit_rows[] = {
    {"texts to rank", "/rerank", "{\"query\":\"q\",\"texts\":[", "\"a\"", ",", "]}",
     QN_LIMIT_RERANK_DOCUMENTS, false, "at most 10000 are allowed"},
    {"texts to embed", "/embed", "{\"inputs\":[", "\"a\"", ",", "]}",
     QN_LIMIT_EMBED_TEXTS, false, "at most 4096 are allowed"},
    {"ids of a text", "/embed", "{\"inputs\":[", "7", ",", "]}", QN_LIMIT_TOKEN_IDS,
     false, "1 to 32768 of them"},
    {"pairs", "/predict", "{\"inputs\":[", "[\"a\",\"b\"]", ",", "]}",
     QN_LIMIT_RERANK_DOCUMENTS, false, "at most 10000 are allowed"},
    {"bytes of a text", "/rerank", "{\"query\":\"q\",\"texts\":[\"", "a", "", "\"]}",
     QN_LIMIT_RERANK_TEXT_BYTES, false, "is longer than 1048576 bytes"},
    {"documents of a push", "/update/films/actions/bulk", "[", "{}", ",", "]",
     QN_LIMIT_BULK_OPERATIONS, false, "more than 100000 documents"},
    {"documents of _mget", "/films/_mget", "{\"ids\":[", "\"a\"", ",", "]}",
     QN_LIMIT_MULTI_REQUESTS, false, "more than 1000 requests"},
    {"plain words", "/_quern/search", "{\"query\":\"", "a", "", "\"}",
     QN_LIMIT_WORDS_BYTES, false, "at most 65536 bytes"},
    {"a search body", "/films/_search", "{", " ", "", "}", QN_LIMIT_SEARCH_BODY_BYTES,
     true, "at most 8388608 bytes"},
    {"an HA3 query", "/query", "query=title:'", "a", "", "'", QN_LIMIT_HA3_QUERY_BYTES,
     true, "at most 1048576 bytes"},
};

static void test_limits(void **state)
{
    (void)state;
    qn_buf body = {.alloc = qn_alloc_heap()}, out = {.alloc = qn_alloc_heap()};
    for (size_t i = 0; i < 2 * sizeof limit_rows / sizeof *limit_rows; i++) {
        T_ROW(limit_rows[i / 2].name);
        const char *head = limit_rows[i / 2].head, *tail = limit_rows[i / 2].tail;
        size_t count = limit_rows[i / 2].limit + i % 2;
        if (limit_rows[i / 2].bytes) count -= strlen(head) + strlen(tail);
        qn_buf_reset(&body);
        qn_buf_add_str(&body, head);
        for (size_t k = 0; k < count; k++) {
            if (k > 0) qn_buf_add_str(&body, limit_rows[i / 2].separator);
            qn_buf_add_str(&body, limit_rows[i / 2].unit);
        }
        qn_buf_add_str(&body, tail);
        qn_http_response response;
        int status =
            ask("POST", limit_rows[i / 2].target, JSON, "*/*", body.p, &out, &response);
        bool refused = strstr(qn_buf_slice(&out).p, limit_rows[i / 2].says) != NULL;
        if (refused != (i % 2 == 1))
            T_FAIL("%zu units, status %d: %.300s", count, status, qn_buf_slice(&out).p);
    }
    qn_buf_deinit(&body);
    qn_buf_deinit(&out);
}

static const char *header_of(const qn_http_response *r, const char *name)
{
    const qn_param *h = qn_header_find(r->headers, r->header_count, name);
    return h == NULL ? "" : h->value.p;
}

/* What official clients check before they work. */
static void test_client_gate(void **state)
{
    (void)state;
    static const struct {
        const char *target, *accept, *type;
    } rows[] = {
        {"/", "application/vnd.elasticsearch+json; compatible-with=9",
         "application/vnd.elasticsearch+json;compatible-with=9"},
        {"/", "application/vnd.elasticsearch+json;compatible-with=8",
         "application/vnd.elasticsearch+json;compatible-with=8"},
        {"/none/_doc/1",
         "application/vnd.elasticsearch+json; compatible-with=9,text/plain",
         "application/vnd.elasticsearch+json;compatible-with=9"},
        {"/", "application/json", "application/json"},
        {"/_nothing", "*/*", "application/json"},
    };
    qn_buf out = {.alloc = qn_alloc_heap()};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].accept);
        qn_http_response response;
        (void)ask("GET", rows[i].target, "", rows[i].accept, "", &out, &response);
        T_EQ_S(response.content_type, rows[i].type);
        T_EQ_S(header_of(&response, "X-Elastic-Product"), "Elasticsearch");
    }
    qn_buf_deinit(&out);
}

static int setup(void **state)
{
    (void)state;
    qn_error err = {0};
    (void)snprintf(f.dir, sizeof f.dir, "%s/test_server.%ld", QN_BUILD_DIR,
                   (long)getpid());
    quern_options o = QUERN_OPTIONS_INIT;
    o.data_dir = f.dir;
    qn_server_options_init(&f.server.options);
    f.server.alloc = qn_alloc_heap();
    T_ROW("open");
    T_CALL(quern_open(&o, &f.server.q, &err), &err);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    quern_close(f.server.q);
    return qn_dir_remove(f.dir, NULL) == QN_OK ? 0 : 1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_gate), cmocka_unit_test(test_elasticsearch),
        cmocka_unit_test(test_ha3),         cmocka_unit_test(test_inference),
        cmocka_unit_test(test_limits),      cmocka_unit_test(test_own),
    };
    return cmocka_run_group_tests_name("server", tests, setup, teardown) +
           test_server_parts();
}

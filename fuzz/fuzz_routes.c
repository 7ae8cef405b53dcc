/* SPDX-License-Identifier: Apache-2.0 */
/* Any request to any route: "METHOD TARGET\nTYPE\nBODY". Whatever it is, the answer has a
 * status, never an internal error, and a JSON type means JSON. Tables come and go; there
 * are never many. */
#include "engine_target.h"
#include "io/json.h"
#include "server/server_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { TABLES_MAX = 16 };

static const char films[] =
    "{\"mappings\":{\"properties\":{\"title\":{\"type\":\"text\"},\"year\":{\"type\":"
    "\"integer\"},\"v\":{\"type\":\"dense_vector\",\"dims\":2}}}}";

static qn_server *server(void)
{
    static qn_server s;
    if (s.q != NULL) return &s;
    s.alloc = qn_alloc_heap();
    qn_server_options_init(&s.options);
    s.q = target_open();
    target_table(s.q, "films", films);
    target_put(s.q, "films", "1", "{\"title\":\"stone mill\",\"year\":2001}", false);
    target_put(s.q, "films", "2", "{\"title\":\"mill race\",\"year\":2002}", true);
    return &s;
}

static bool count_table(void *ctx, const char *name)
{
    size_t *count = ctx;
    (void)name;
    ++*count;
    return true;
}

/* The name of one table that is not ours. */
static bool name_other(void *ctx, const char *name)
{
    char *out = ctx;
    if (strcmp(name, "films") == 0) return true;
    (void)snprintf(out, 256, "%s", name);
    return false;
}

static void tidy(quern *q)
{
    size_t count = 0;
    qn_error err = {0};
    qn_assert(quern_table_list(q, count_table, &count, &err) == QN_OK);
    while (count-- > TABLES_MAX) {
        char name[256] = "";
        qn_assert(quern_table_list(q, name_other, name, &err) == QN_OK);
        if (name[0] != '\0') qn_assert(quern_table_drop(q, name, &err) == QN_OK);
    }
    if (!quern_table_exists(q, "films")) target_table(q, "films", films);
}

static qn_slice until(qn_slice *rest, char stop)
{
    const char *end = rest->n == 0 ? NULL : memchr(rest->p, stop, rest->n);
    qn_slice part = {rest->p, end == NULL ? rest->n : (size_t)(end - rest->p)};
    size_t step = part.n + (end != NULL);
    *rest = (qn_slice){rest->p + step, rest->n - step};
    return part;
}

static void check_answer(qn_arena *arena, const qn_http_request *r,
                         const qn_http_response *out)
{
    int status = out->status == 0 ? 200 : out->status;
    qn_assert(status >= 200 && status < 600 && status != 500);
    const qn_json *json = NULL;
    if (out->content_type == NULL || out->body.n == 0 ||
        strstr(out->content_type, "json") == NULL)
        return;
    if (qn_slice_eq_str(r->method, "HEAD")) return;
    qn_assert(qn_json_parse(arena, qn_buf_slice(&out->body), &json, NULL) == QN_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    qn_server *s = server();
    qn_slice rest = {(const char *)bytes, n};
    qn_slice line = until(&rest, '\n');
    qn_slice method = until(&line, ' '), type = until(&rest, '\n');
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    const qn_param headers[] = {{.name = QN_SLICE_LIT("Content-Type"), .value = type}};
    qn_http_request r = {.method = method,
                         .target = line,
                         .headers = headers,
                         .header_count = 1,
                         .body = rest,
                         .arena = &arena};
    qn_http_response out = {0};
    qn_buf_init(&out.body, qn_alloc_heap());
    if (qn_url_parse(&arena, r.target, &r.url, &r.failure) != QN_OK)
        r.url = (qn_url){.path = r.target};
    qn_server_handle(s, &r, &out);
    check_answer(&arena, &r, &out);
    qn_buf_deinit(&out.body);
    qn_arena_deinit(&arena);
    tidy(s->q);
    return 0;
}

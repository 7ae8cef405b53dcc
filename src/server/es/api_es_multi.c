/* SPDX-License-Identifier: Apache-2.0 */
/* _mget and _msearch: several requests in one, each answered as it would be alone. */
#include "server/handlers.h"

#include "server/es/api_es.h"

/* Runs `run` as if it had been asked alone for `table` (and `id`), and puts what it
 * answered into the writer, an error envelope included. *status: its status. */
static void ask_alone(qn_call *c, qn_call_handler *run, qn_slice table, qn_slice id,
                      const qn_url *url, qn_slice body, qn_buf *answer, int *status)
{
    qn_http_request request = *c->request;
    qn_http_response response = {0};
    qn_buf_init(&response.body, answer->alloc);
    request.body = body;
    request.url.params = url == NULL ? NULL : url->params;
    request.url.param_count = url == NULL ? 0 : url->param_count;
    qn_call alone = *c;
    alone.request = &request;
    alone.out = &response;
    alone.body = NULL;
    alone.table[0] = '\0';
    alone.match.args[0] = (qn_param){.name = QN_SLICE_LIT("index"), .value = table};
    alone.match.args[1] = (qn_param){.name = QN_SLICE_LIT("id"), .value = id};
    alone.match.arg_count = 2;
    qn_error err = {0};
    qn_status st = run(&alone, &err);
    err.code = st;
    if (st != QN_OK) qn_es_error(&alone, &err);
    c->out->deferred = c->out->deferred || response.deferred;
    *status = response.status;
    qn_buf_reset(answer);
    qn_buf_add_slice(answer, qn_buf_slice(&response.body));
    qn_buf_deinit(&response.body);
}

/* ---- _msearch --------------------------------------------------------------------------- */

static qn_slice next_line(qn_slice *rest)
{
    const char *end = memchr(rest->p, '\n', rest->n);
    qn_slice line = {rest->p, end == NULL ? rest->n : (size_t)(end - rest->p)};
    size_t used = line.n + (end != NULL);
    *rest = (qn_slice){rest->p + used, rest->n - used};
    return qn_slice_trim(line);
}

static qn_status read_head(qn_call *c, qn_slice line, qn_slice *table, qn_error *err)
{
    const qn_json *head = NULL, *index = NULL;
    const qn_member members[] = {
        {"index", QN_MEMBER_ANY, &index, 0, 0},
        {"preference", QN_MEMBER_IGNORE, NULL, 0, 0},
        {"routing", QN_MEMBER_IGNORE, NULL, 0, 0},
        {"search_type", QN_MEMBER_IGNORE, NULL, 0, 0},
        {"request_cache", QN_MEMBER_IGNORE, NULL, 0, 0},
        {"ignore_unavailable", QN_MEMBER_IGNORE, NULL, 0, 0},
        {"allow_no_indices", QN_MEMBER_IGNORE, NULL, 0, 0},
        {"expand_wildcards", QN_MEMBER_IGNORE, NULL, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    *table = qn_route_arg(&c->match, "index");
    if (line.n == 0) return QN_OK;
    QN_TRY(qn_json_parse(c->arena, line, &head, err));
    QN_TRY(qn_call_members(head, members, line, err));
    if (index == NULL) return QN_OK;
    if (index->kind == QN_JSON_ARRAY && index->count == 1) index = index->first;
    if (index->kind != QN_JSON_STRING)
        return qn_fail(err, QN_EUNSUPPORTED, "one index per search");
    *table = index->string;
    return QN_OK;
}

/* {"took":..} becomes {"took":..,"status":200}; errors have their status already. */
static void write_answer(qn_json_writer *w, qn_buf *answer, int status)
{
    if (status == 200 && answer->n > 1) {
        answer->n--;
        qn_buf_printf(answer, ",\"status\":%d}", status);
    }
    qn_json_raw(w, qn_buf_slice(answer));
}

qn_status qn_es_msearch(qn_call *c, qn_error *err)
{
    qn_slice rest = c->request->body;
    if (rest.n == 0) return qn_fail(err, QN_EINVAL, "request body is required");
    if (rest.p[rest.n - 1] != '\n')
        return qn_fail(err, QN_EINVAL,
                       "The msearch request must be terminated by a newline [\\n]");
    int64_t begin = qn_clock_mono_ns();
    qn_buf answer = {.alloc = c->out->body.alloc};
    qn_status st = QN_OK;
    qn_call_json(c, 200);
    qn_json_begin_object(&c->w);
    qn_json_key(&c->w, "responses");
    qn_json_begin_array(&c->w);
    for (int count = 0; rest.n > 0 && st == QN_OK; count++) {
        qn_slice table, head = next_line(&rest);
        int status = 0;
        if (count == QN_LIMIT_MULTI_REQUESTS)
            st = qn_fail(err, QN_ELIMIT, "more than %d requests in one",
                         QN_LIMIT_MULTI_REQUESTS);
        else if (rest.n == 0)
            st = qn_fail(err, QN_EINVAL, "the last search has no body");
        if (st == QN_OK) st = read_head(c, head, &table, err);
        if (st != QN_OK) break;
        ask_alone(c, qn_es_search, table, (qn_slice){"", 0}, NULL, next_line(&rest),
                  &answer, &status);
        write_answer(&c->w, &answer, status);
    }
    qn_buf_deinit(&answer);
    qn_json_end_array(&c->w);
    qn_json_member_int(&c->w, "took", (qn_clock_mono_ns() - begin) / 1000000);
    qn_json_end_object(&c->w);
    return st;
}

/* ---- _mget ------------------------------------------------------------------------------- */

/* "_source" of one document as the parameter that GET takes. */
static qn_status source_param(qn_call *c, const qn_json *v, qn_url *url, qn_error *err)
{
    *url = c->request->url;
    if (v == NULL) return QN_OK;
    qn_param *p = qn_arena_new(c->arena, sizeof *p);
    qn_buf names = {.alloc = c->out->body.alloc};
    if (v->kind == QN_JSON_BOOL) qn_buf_add_str(&names, v->boolean ? "true" : "false");
    if (v->kind == QN_JSON_STRING) qn_buf_add_slice(&names, v->string);
    for (const qn_json *it = v->kind == QN_JSON_ARRAY ? v->first : NULL; it != NULL;
         it = it->next) {
        qn_buf_add_slice(&names, it->string);
        if (it->next != NULL) qn_buf_add_char(&names, ',');
    }
    qn_slice value = qn_arena_slice(c->arena, qn_buf_slice(&names));
    qn_buf_deinit(&names);
    if (p == NULL || value.p == NULL) return qn_fail(err, QN_ENOMEM, "no memory");
    if (v->kind == QN_JSON_OBJECT)
        return qn_fail(err, QN_EUNSUPPORTED,
                       "[_source] of [_mget] must be a boolean, a string or a list");
    *p = (qn_param){.name = QN_SLICE_LIT("_source"), .value = value};
    url->params = p;
    url->param_count = 1;
    return QN_OK;
}

static qn_status get_one(qn_call *c, qn_slice table, qn_slice id, const qn_json *source,
                         qn_buf *answer, qn_error *err)
{
    qn_url url;
    int status = 0;
    QN_TRY(source_param(c, source, &url, err));
    if (table.n == 0)
        return qn_fail(err, QN_EINVAL, "Validation Failed: 1: index is missing;");
    ask_alone(c, qn_es_doc_get, table, id, &url, (qn_slice){"", 0}, answer, &status);
    if (status == 200 || strstr(qn_buf_slice(answer).p, "\"found\":false") != NULL) {
        qn_json_raw(&c->w, qn_buf_slice(answer));
        return QN_OK;
    }
    qn_json_begin_object(&c->w);
    qn_json_member_slice(&c->w, "_index", table);
    qn_json_member_slice(&c->w, "_id", id);
    const qn_json *envelope = NULL;
    qn_slice copy = qn_arena_slice(c->arena, qn_buf_slice(answer));
    QN_TRY(qn_json_parse(c->arena, copy, &envelope, err));
    qn_json_key(&c->w, "error");
    qn_json_raw(&c->w, qn_json_get(envelope, "error")->raw);
    qn_json_end_object(&c->w);
    return QN_OK;
}

static qn_status get_doc(qn_call *c, const qn_json *doc, qn_buf *answer, qn_error *err)
{
    qn_slice table = qn_route_arg(&c->match, "index"), id = {"", 0};
    const qn_json *source = NULL;
    if (doc->kind == QN_JSON_STRING)
        return get_one(c, table, doc->string, NULL, answer, err);
    const qn_member members[] = {{"_index", QN_MEMBER_STRING, &table, 0, 0},
                                 {"_id", QN_MEMBER_STRING, &id, 0, 0},
                                 {"_source", QN_MEMBER_ANY, &source, 0, 0},
                                 {"routing", QN_MEMBER_IGNORE, NULL, 0, 0},
                                 {NULL, QN_MEMBER_IGNORE, NULL, 0, 0}};
    if (doc->kind != QN_JSON_OBJECT)
        return qn_fail(err, QN_EINVAL, "[docs] must hold objects, [ids] strings");
    QN_TRY(qn_call_members(doc, members, c->request->body, err));
    if (id.n == 0)
        return qn_fail(err, QN_EINVAL, "Validation Failed: 1: id is missing;");
    return get_one(c, table, id, source, answer, err);
}

qn_status qn_es_mget(qn_call *c, qn_error *err)
{
    const qn_json *body = NULL, *docs = NULL, *ids = NULL;
    const qn_member members[] = {{"docs", QN_MEMBER_ANY, &docs, 0, 0},
                                 {"ids", QN_MEMBER_ANY, &ids, 0, 0},
                                 {NULL, QN_MEMBER_IGNORE, NULL, 0, 0}};
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    const qn_json *list = docs != NULL ? docs : ids;
    if (list == NULL || list->kind != QN_JSON_ARRAY || list->count == 0)
        return qn_fail(err, QN_EINVAL, "Validation Failed: 1: no documents to get;");
    if (list->count > QN_LIMIT_MULTI_REQUESTS)
        return qn_fail(err, QN_ELIMIT, "more than %d requests in one",
                       QN_LIMIT_MULTI_REQUESTS);
    qn_buf answer = {.alloc = c->out->body.alloc};
    qn_status st = QN_OK;
    qn_call_json(c, 200);
    qn_json_begin_object(&c->w);
    qn_json_key(&c->w, "docs");
    qn_json_begin_array(&c->w);
    for (const qn_json *it = list->first; it != NULL && st == QN_OK; it = it->next)
        st = get_doc(c, it, &answer, err);
    qn_buf_deinit(&answer);
    QN_TRY(st);
    qn_json_end_array(&c->w);
    qn_json_end_object(&c->w);
    return QN_OK;
}

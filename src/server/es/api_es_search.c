/* SPDX-License-Identifier: Apache-2.0 */
/* _search and _count. The body goes to quern_search() as it is; parameters of the
 * address that say the same as a member of the body take its place. */
#include "server/handlers.h"

#include "server/es/api_es.h"
#include "server/es/api_es_endpoints.h"
#include "server/reply_json.h"
#include "server/server_internal.h"

#include <math.h>

typedef struct search_flags {
    bool version, seq_no, total_as_int;
    bool sort; /* the request has one: hits say their keys */
} search_flags;

/* ---- the request ------------------------------------------------------------------------ */

/* Parameters that become members of the body, and how their value is written. */
typedef enum param_form { FORM_NUMBER, FORM_BOOL, FORM_STRING, FORM_TOTAL } param_form;
static const struct {
    const char *name;
    param_form form;
} body_params[] = {
    {"from", FORM_NUMBER},    {"size", FORM_NUMBER},
    {"explain", FORM_BOOL},   {"track_total_hits", FORM_TOTAL},
    {"timeout", FORM_STRING}, {"min_score", FORM_NUMBER},
};
enum { BODY_PARAMS = sizeof body_params / sizeof *body_params };

static qn_status write_param(qn_json_writer *w, const char *name, param_form form,
                             qn_slice v, qn_error *err)
{
    double number = 0;
    bool is_bool =
        v.n == 0 || qn_slice_eq_str(v, "true") || qn_slice_eq_str(v, "false");
    bool is_number = qn_slice_to_f64(v, &number);
    bool good = form == FORM_STRING || (form == FORM_NUMBER && is_number) ||
                (form == FORM_BOOL && is_bool) ||
                (form == FORM_TOTAL && (is_bool || is_number));
    if (!good)
        return qn_fail(err, QN_EINVAL,
                       "Failed to parse parameter [%s] with value [%.*s]", name,
                       v.n > 60 ? 60 : (int)v.n, v.p);
    qn_json_key(w, name);
    if (form == FORM_STRING)
        qn_json_string(w, v);
    else if (is_bool)
        qn_json_bool(w, !qn_slice_eq_str(v, "false"));
    else
        qn_json_raw(w, v);
    return QN_OK;
}

/* ?sort=a,b:desc */
static void write_sort(qn_json_writer *w, qn_slice v)
{
    qn_json_key(w, "sort");
    qn_json_begin_array(w);
    while (v.n > 0) {
        const char *comma = memchr(v.p, ',', v.n);
        qn_slice part = {v.p, comma == NULL ? v.n : (size_t)(comma - v.p)};
        size_t used = part.n + (comma != NULL);
        v = (qn_slice){v.p + used, v.n - used};
        const char *colon = part.n == 0 ? NULL : memchr(part.p, ':', part.n);
        if (colon == NULL) {
            qn_json_string(w, part);
            continue;
        }
        qn_slice field = {part.p, (size_t)(colon - part.p)};
        qn_json_begin_object(w);
        qn_json_key_slice(w, field);
        qn_json_string(w, (qn_slice){colon + 1, part.n - field.n - 1});
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
}

static void write_list(qn_json_writer *w, const char *key, qn_slice v)
{
    qn_json_key(w, key);
    qn_json_begin_array(w);
    while (v.n > 0) {
        const char *comma = memchr(v.p, ',', v.n);
        qn_slice part = {v.p, comma == NULL ? v.n : (size_t)(comma - v.p)};
        size_t used = part.n + (comma != NULL);
        v = (qn_slice){v.p + used, v.n - used};
        qn_json_string(w, part);
    }
    qn_json_end_array(w);
}

/* ?_source, ?_source_includes, ?_source_excludes; false when there is none. */
static bool write_source(const qn_call *c, qn_json_writer *w)
{
    const qn_slice *value = qn_call_param(c, "_source");
    const qn_slice *includes = qn_call_param(c, "_source_includes");
    const qn_slice *excludes = qn_call_param(c, "_source_excludes");
    if (value == NULL && includes == NULL && excludes == NULL) return false;
    bool yes = value != NULL && (value->n == 0 || qn_slice_eq_str(*value, "true"));
    bool no = value != NULL && qn_slice_eq_str(*value, "false");
    if (no || (yes && includes == NULL && excludes == NULL)) {
        qn_json_member_bool(w, "_source", yes);
        return true;
    }
    qn_json_key(w, "_source");
    qn_json_begin_object(w);
    if (includes == NULL && value != NULL && !yes) includes = value;
    if (includes != NULL) write_list(w, "includes", *includes);
    if (excludes != NULL) write_list(w, "excludes", *excludes);
    qn_json_end_object(w);
    return true;
}

static qn_status read_own_flag(const qn_json *v, bool *to, qn_slice text, qn_error *err)
{
    if (v->kind != QN_JSON_BOOL)
        return qn_fail_at(err, QN_EINVAL, qn_json_offset(v, text),
                          "[%.*s] must be true or false", QN_SLICE_ARG(v->key));
    *to = v->boolean;
    return QN_OK;
}

static bool has_param_for(const qn_call *c, qn_slice key)
{
    for (size_t i = 0; i < BODY_PARAMS; i++)
        if (qn_slice_eq_str(key, body_params[i].name))
            return qn_call_param(c, body_params[i].name) != NULL;
    if (qn_slice_eq_str(key, "sort")) return qn_call_param(c, "sort") != NULL;
    if (qn_slice_eq_str(key, "_source"))
        return qn_call_param(c, "_source") != NULL ||
               qn_call_param(c, "_source_includes") != NULL ||
               qn_call_param(c, "_source_excludes") != NULL;
    return false;
}

/* Members of the body that the reply's form needs and the search does not. */
static qn_status copy_member(qn_call *c, qn_json_writer *w, const qn_json *m,
                             search_flags *flags, bool *changed, qn_error *err)
{
    qn_slice text = c->request->body;
    if (qn_slice_eq_str(m->key, "sort")) flags->sort = true;
    bool version = qn_slice_eq_str(m->key, "version");
    bool seq_no = qn_slice_eq_str(m->key, "seq_no_primary_term");
    if (version || seq_no || has_param_for(c, m->key)) *changed = true;
    if (version) return read_own_flag(m, &flags->version, text, err);
    if (seq_no) return read_own_flag(m, &flags->seq_no, text, err);
    if (has_param_for(c, m->key)) return QN_OK;
    qn_json_key_slice(w, m->key);
    qn_json_raw(w, m->raw);
    return QN_OK;
}

/* The body that quern_search() gets: the client's own bytes where nothing has to be
 * changed, so that offsets in errors are the client's. */
static qn_status make_body(qn_call *c, qn_buf *made, search_flags *flags, qn_slice *out,
                           qn_error *err)
{
    const qn_json *body = NULL;
    qn_json_writer w;
    bool changed = false;
    if (c->request->body.n > QN_LIMIT_SEARCH_BODY_BYTES)
        return qn_fail(err, QN_EBODY, "a search body has at most %d bytes",
                       QN_LIMIT_SEARCH_BODY_BYTES);
    QN_TRY(qn_call_body(c, &body, err));
    if (body != NULL && body->kind != QN_JSON_OBJECT)
        return qn_fail_at(err, QN_ESYNTAX, 0, "Expected [START_OBJECT] but found [%s]",
                          qn_json_kind_name(body->kind));
    if (qn_call_param(c, "q") != NULL)
        return qn_fail(
            err, QN_EUNSUPPORTED,
            "the parameter [q] is not supported: send a [query] in the body");
    qn_json_writer_init(&w, made, false);
    qn_json_begin_object(&w);
    for (const qn_json *m = qn_json_items(body); m != NULL; m = m->next)
        QN_TRY(copy_member(c, &w, m, flags, &changed, err));
    for (size_t i = 0; i < BODY_PARAMS; i++) {
        const qn_slice *v = qn_call_param(c, body_params[i].name);
        if (v == NULL) continue;
        changed = true;
        QN_TRY(write_param(&w, body_params[i].name, body_params[i].form, *v, err));
    }
    const qn_slice *sort = qn_call_param(c, "sort");
    if (sort != NULL) write_sort(&w, *sort);
    flags->sort |= sort != NULL;
    bool source = write_source(c, &w);
    qn_json_end_object(&w);
    QN_TRY(qn_call_flag(c, "version", &flags->version, err));
    QN_TRY(qn_call_flag(c, "seq_no_primary_term", &flags->seq_no, err));
    QN_TRY(qn_call_flag(c, "rest_total_hits_as_int", &flags->total_as_int, err));
    if (made->failed) return qn_fail(err, QN_ENOMEM, "no memory for the search");
    bool same = body != NULL && !changed && sort == NULL && !source;
    *out = same ? c->request->body : qn_buf_slice(made);
    return QN_OK;
}

/* ---- the reply --------------------------------------------------------------------------- */

static void write_sort_value(qn_json_writer *w, const quern_value *v)
{
    switch (v->kind) {
    case QUERN_VALUE_NULL:
        qn_json_null(w);
        break;
    case QUERN_VALUE_INT:
        qn_json_int(w, v->integer);
        break;
    case QUERN_VALUE_DOUBLE:
        qn_json_double(w, v->number);
        break;
    case QUERN_VALUE_SCORE:
        qn_json_float(w, (float)v->number);
        break;
    case QUERN_VALUE_TEXT:
        qn_json_string(w, (qn_slice){v->text, v->text_size});
        break;
    }
}

static void write_score(qn_json_writer *w, const char *key, double score)
{
    qn_json_key(w, key);
    qn_json_float(w, (float)score); /* NaN: null */
}

static void write_hit(qn_call *c, const quern_reply *r, const quern_hit *h,
                      const search_flags *flags)
{
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    if (h->explanation != NULL) {
        qn_json_member_str(w, "_shard", "[0]");
        qn_json_member_str(w, "_node", "quern");
    }
    qn_json_member_str(w, "_index", c->table);
    qn_json_member_slice(w, "_id", (qn_slice){h->id, h->id_size});
    if (flags->version) qn_json_member_int(w, "_version", h->version);
    if (flags->seq_no) {
        qn_json_member_int(w, "_seq_no", h->seq_no);
        qn_json_member_int(w, "_primary_term", 1);
    }
    write_score(w, "_score", r->sorted_by_field ? (double)NAN : h->score);
    if (h->source != NULL) {
        qn_json_key(w, "_source");
        qn_json_raw(w, (qn_slice){h->source, h->source_size});
    }
    if (flags->sort && h->sort_value_count > 0) {
        qn_json_key(w, "sort");
        qn_json_begin_array(w);
        for (size_t i = 0; i < h->sort_value_count; i++)
            write_sort_value(w, &h->sort_values[i]);
        qn_json_end_array(w);
    }
    if (h->explanation != NULL) {
        qn_json_key(w, "_explanation");
        qn_es_explanation(w, h->explanation);
    }
    qn_json_end_object(w);
}

static void write_total(qn_json_writer *w, const quern_reply *r, bool as_int)
{
    if (!r->track_total) return;
    if (as_int) {
        qn_json_member_int(w, "total", (int64_t)r->total);
        return;
    }
    qn_json_key(w, "total");
    qn_json_begin_object(w);
    qn_json_member_int(w, "value", (int64_t)r->total);
    qn_json_member_str(w, "relation", r->total_is_lower_bound ? "gte" : "eq");
    qn_json_end_object(w);
}

static void write_reply(qn_call *c, const quern_reply *r, const search_flags *flags)
{
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_member_int(w, "took", (int64_t)r->took_ms);
    qn_json_member_bool(w, "timed_out", r->timed_out);
    qn_es_search_shards(c, w, r);
    qn_json_key(w, "hits");
    qn_json_begin_object(w);
    write_total(w, r, flags->total_as_int);
    write_score(w, "max_score", r->max_score);
    qn_json_key(w, "hits");
    qn_json_begin_array(w);
    for (size_t i = 0; i < r->hit_count; i++) write_hit(c, r, &r->hits[i], flags);
    qn_json_end_array(w);
    qn_json_end_object(w);
    if (r->reranked) {
        qn_json_key(w, "rerank");
        qn_json_begin_object(w);
        qn_json_member_int(w, "scored", (int64_t)r->rerank_scored);
        qn_json_member_int(w, "of", (int64_t)r->rerank_of);
        qn_json_member_bool(w, "timed_out", r->rerank_timed_out);
        if (r->neural_stage_count > 1) qn_reply_neural_json(w, r);
        qn_json_end_object(w);
    }
    qn_json_end_object(w);
}

static qn_status run_search(qn_call *c, const char *table, qn_slice body,
                            const search_flags *flags, qn_error *err)
{
    quern_reply *reply = NULL;
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    o.kind = QUERN_QUERY_DSL;
    o.model_of = qn_es_endpoint_model;
    o.chunking_of = qn_es_endpoint_chunking;
    o.model_of_ctx = c;
    o.query = body.p;
    o.query_size = body.n;
    o.cancel = c->request->cancelled;
    QN_TRY(qn_server_search(c, table, &o, &reply, err));
    write_reply(c, reply, flags);
    quern_reply_free(reply);
    return QN_OK;
}

qn_status qn_es_search(qn_call *c, qn_error *err)
{
    const char *table = NULL;
    search_flags flags = {0};
    qn_slice body = {"", 0};
    QN_TRY(qn_call_table_or_default(c, &table, err));
    qn_buf made = {.alloc = c->out->body.alloc};
    qn_status st = make_body(c, &made, &flags, &body, err);
    if (st == QN_OK) st = run_search(c, table, body, &flags, err);
    qn_buf_deinit(&made);
    return st;
}

/* ---- _count -------------------------------------------------------------------------------- */

static qn_status count_query(qn_call *c, const char *table, const qn_json *body,
                             uint64_t *count, qn_error *err)
{
    const qn_json *query = NULL;
    const qn_member members[] = {{"query", QN_MEMBER_ANY, &query, 0, 0},
                                 {NULL, QN_MEMBER_IGNORE, NULL, 0, 0}};
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    if (query == NULL) return quern_count_all(c->q, table, count, err);
    const char *text = qn_arena_printf(
        c->arena, "{\"track_total_hits\":true,\"size\":0,\"query\":%.*s}",
        QN_SLICE_ARG(query->raw));
    if (text == NULL) return qn_fail(err, QN_ENOMEM, "no memory to count");
    quern_reply *reply = NULL;
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    o.kind = QUERN_QUERY_DSL;
    o.model_of = qn_es_endpoint_model;
    o.chunking_of = qn_es_endpoint_chunking;
    o.model_of_ctx = c;
    o.query = text;
    o.query_size = strlen(text);
    o.count_only = true;
    o.cancel = c->request->cancelled;
    QN_TRY(qn_server_search(c, table, &o, &reply, err));
    *count = reply->total;
    quern_reply_free(reply);
    return QN_OK;
}

qn_status qn_es_count(qn_call *c, qn_error *err)
{
    const char *table = NULL;
    const qn_json *body = NULL;
    uint64_t count = 0;
    QN_TRY(qn_call_table_or_default(c, &table, err));
    if (qn_slice_trim(c->request->body).n > 0) QN_TRY(qn_call_object(c, &body, err));
    if (body == NULL)
        QN_TRY(quern_count_all(c->q, table, &count, err));
    else if (body->kind == QN_JSON_OBJECT)
        QN_TRY(count_query(c, table, body, &count, err));
    else
        return qn_fail_at(err, QN_ESYNTAX, 0, "Expected [START_OBJECT] but found [%s]",
                          qn_json_kind_name(body->kind));
    qn_call_json(c, 200);
    qn_json_begin_object(&c->w);
    qn_json_member_int(&c->w, "count", (int64_t)count);
    qn_es_shards(&c->w, false);
    qn_json_end_object(&c->w);
    return QN_OK;
}

/* ---- _explain -------------------------------------------------------------------------------- */

qn_status qn_es_explain(qn_call *c, qn_error *err)
{
    const char *table = NULL;
    const qn_json *body = NULL;
    QN_TRY(qn_call_table(c, &table, err));
    QN_TRY(qn_call_object(c, &body, err));
    qn_slice id = qn_route_arg(&c->match, "id");
    quern_reply *reply = NULL;
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    o.kind = QUERN_QUERY_DSL;
    o.model_of = qn_es_endpoint_model;
    o.chunking_of = qn_es_endpoint_chunking;
    o.model_of_ctx = c;
    o.query = c->request->body.p;
    o.query_size = c->request->body.n;
    o.explain = true;
    o.cancel = c->request->cancelled;
    QN_TRY(qn_server_explain(c, table, id, &o, &reply, err));
    bool matched = reply->hit_count > 0 && reply->hits[0].explanation != NULL;
    qn_call_json(c, 200);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_member_str(w, "_index", table);
    qn_json_member_slice(w, "_id", id);
    qn_json_member_bool(w, "matched", matched);
    if (matched) {
        qn_json_key(w, "explanation");
        qn_es_explanation(w, reply->hits[0].explanation);
    }
    qn_json_end_object(w);
    quern_reply_free(reply);
    return QN_OK;
}

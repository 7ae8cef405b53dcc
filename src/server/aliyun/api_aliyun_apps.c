/* SPDX-License-Identifier: Apache-2.0 */
/* /v3/openapi/apps/{app}/search of the hosted OpenSearch: a clause string and parameters
 * beside it. The parameters become clauses, the rest is the HA3 dialect; the reply has the
 * hosted product's members, an error its code, and status 200 as its clients want it. */
#include "server/handlers.h"

#include "server/aliyun/api_aliyun.h"
#include "server/server_internal.h"

#include "base/nearest.h"

#include <inttypes.h>
#include <stdio.h>

/* What a parameter is for. */
typedef enum use {
    USE_OWN,     /* read by name */
    USE_PAIR,    /* a pair of kvpairs */
    USE_NOTHING, /* for the vendor's statistics and training: no effect on the answer */
    USE_REFUSED,
} use;

static const struct {
    const char *name;
    use use;
} params[] = {
    {"query", USE_OWN},
    {"format", USE_OWN},
    {"qp", USE_OWN},
    {"disable", USE_OWN},
    {"raw_query", USE_OWN},
    {"fetch_fields", USE_PAIR},
    {"first_rank_name", USE_PAIR},
    {"second_rank_name", USE_PAIR},
    {"second_rank_type", USE_PAIR},
    {"user_id", USE_NOTHING},
    {"biz", USE_NOTHING},
    {"from_request_id", USE_NOTHING},
    {"route_value", USE_NOTHING},
    {"abtest", USE_NOTHING},
    {"summary", USE_REFUSED},
    {"category_prediction", USE_REFUSED},
    {"re_search", USE_REFUSED},
    {"search_strategy", USE_REFUSED},
    {"vector_search", USE_REFUSED},
    {"search_type", USE_REFUSED},
    {"scroll", USE_REFUSED},
    {"scroll_id", USE_REFUSED},
    {"chat", USE_REFUSED},
};

/* The hosted product's codes; others are HA3's. */
static const struct {
    qn_status st;
    int code;
} codes[] = {
    {QN_EINVAL, 6002},      {QN_EUNSUPPORTED, 6002}, {QN_ELIMIT, 6009},
    {QN_EEMPTYQUERY, 6001}, {QN_ENULLQUERY, 6001},   {QN_ENULLPHRASE, 6100},
    {QN_ENOFIELD, 6101},    {QN_ESYNTAX, 6112},      {QN_EQUERYSIDE, 6106},
    {QN_ECLAUSE, 6117},     {QN_EFILTER, 6113},      {QN_ERESULTTYPE, 6103},
    {QN_ESORT, 6115},       {QN_ESORTEMPTY, 6115},   {QN_ESORTTWICE, 6105},
    {QN_ESORTRESULT, 6104}, {QN_EAGGREGATE, 6114},   {QN_EDISTINCT, 6116},
    {QN_EHIT, 6016},        {QN_ESTART, 6013},       {QN_EWINDOW, 6013},
    {QN_ERERANKSIZE, 6010}, {QN_ENOTABLE, 2001},     {QN_ENOATTR, 6127},
    {QN_EINDEXKIND, 1003},  {QN_ECONSTTYPE, 6135},   {QN_ETIMEOUT, 1000},
};

static int code_of(qn_status st)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i].st == st) return codes[i].code;
    return qn_status_describe(st)->ha3_code;
}

/* ---- the request ------------------------------------------------------------------------- */

static qn_status check_params(const qn_call *c, qn_error *err)
{
    const qn_url *url = &c->request->url;
    for (size_t i = 0; i < url->param_count; i++) {
        const qn_param *p = &url->params[i];
        qn_nearest near = qn_nearest_begin(p->name);
        size_t k = 0;
        for (; k < sizeof params / sizeof *params; k++) {
            if (qn_slice_eq_str(p->name, params[k].name)) break;
            qn_nearest_offer(&near, qn_slice_of(params[k].name));
        }
        if (k == sizeof params / sizeof *params)
            return qn_fail(err, QN_EINVAL, "unknown parameter [%.*s]%s%.*s%s",
                           QN_SLICE_ARG(p->name),
                           near.best.n == 0 ? "" : ", did you mean [",
                           QN_SLICE_ARG(near.best), near.best.n == 0 ? "" : "]?");
        if (params[k].use == USE_REFUSED && p->value.n > 0)
            return qn_fail(err, QN_EUNSUPPORTED, "[%s] is not supported",
                           params[k].name);
    }
    return QN_OK;
}

/* "key:value,..." has the key. */
static bool has_pair(qn_slice pairs, const char *key)
{
    qn_slice rest = pairs, pair;
    while (rest.n > 0) {
        const char *comma = memchr(rest.p, ',', rest.n);
        pair = (qn_slice){rest.p, comma == NULL ? rest.n : (size_t)(comma - rest.p)};
        size_t used = pair.n + (comma != NULL);
        rest = (qn_slice){rest.p + used, rest.n - used};
        const char *colon = pair.n == 0 ? NULL : memchr(pair.p, ':', pair.n);
        if (colon == NULL) continue;
        pair.n = (size_t)(colon - pair.p);
        if (qn_slice_eq_str(qn_slice_trim(pair), key)) return true;
    }
    return false;
}

static void add_format(const qn_call *c, qn_slice config, qn_buf *out)
{
    const qn_slice *format = qn_call_param(c, "format");
    if (has_pair(config, "format")) return;
    if (config.n > 0) qn_buf_add_char(out, ',');
    qn_buf_add_str(out, "format:");
    qn_buf_add_slice(out, format == NULL || format->n == 0 ? QN_SLICE_LIT("fulljson")
                                                           : *format);
}

/* The parameters that are pairs, behind those of the clause. */
static qn_status add_pairs(const qn_call *c, bool first, qn_buf *out, qn_error *err)
{
    for (size_t i = 0; i < sizeof params / sizeof *params; i++) {
        const qn_slice *v =
            params[i].use == USE_PAIR ? qn_call_param(c, params[i].name) : NULL;
        if (v == NULL || v->n == 0) continue;
        if (!first) qn_buf_add_char(out, ',');
        first = false;
        qn_buf_add_str(out, params[i].name);
        qn_buf_add_char(out, ':');
        for (size_t k = 0; k < v->n; k++) {
            if (v->p[k] == '&')
                return qn_fail(err, QN_EINVAL, "[%s] cannot hold '&'", params[i].name);
            if (v->p[k] == ',' || v->p[k] == '\\') qn_buf_add_char(out, '\\');
            qn_buf_add_char(out, v->p[k]);
        }
    }
    return QN_OK;
}

/* A key without a sign is ascending here. */
static void add_sort(qn_slice keys, qn_buf *out)
{
    bool begins = true;
    for (size_t i = 0; i < keys.n; i++) {
        bool blank = keys.p[i] == ' ';
        if (begins && !blank && keys.p[i] != '+' && keys.p[i] != '-')
            qn_buf_add_char(out, '+');
        begins = keys.p[i] == ';' || (begins && blank);
        qn_buf_add_char(out, keys.p[i]);
    }
}

static bool next_clause(qn_slice *rest, qn_slice *clause)
{
    if (rest->p == NULL) return false;
    size_t end = 0;
    while (end < rest->n &&
           !(rest->p[end] == '&' && end + 1 < rest->n && rest->p[end + 1] == '&'))
        end++;
    *clause = (qn_slice){rest->p, end};
    *rest = end == rest->n ? (qn_slice){NULL, 0}
                           : (qn_slice){rest->p + end + 2, rest->n - end - 2};
    return true;
}

/* The whole request as one HA3 string. */
static qn_status assemble(const qn_call *c, qn_slice query, qn_buf *out, qn_error *err)
{
    bool config = false, pairs = false;
    qn_slice rest = query, clause;
    while (next_clause(&rest, &clause)) {
        const char *equals = clause.n == 0 ? NULL : memchr(clause.p, '=', clause.n);
        qn_slice name = {clause.p, equals == NULL ? 0 : (size_t)(equals - clause.p)};
        name = qn_slice_trim(name);
        qn_slice text = {clause.p + (equals == NULL ? 0 : equals - clause.p + 1), 0};
        text.n = (size_t)(clause.p + clause.n - text.p);
        if (out->n > 0) qn_buf_add_str(out, "&&");
        if (qn_slice_eq_str(name, "sort")) {
            qn_buf_add_str(out, "sort=");
            add_sort(text, out);
            continue;
        }
        qn_buf_add_slice(out, clause);
        if (qn_slice_eq_str(name, "config")) {
            config = true;
            add_format(c, text, out);
        } else if (qn_slice_eq_str(name, "kvpairs")) {
            pairs = true;
            QN_TRY(add_pairs(c, qn_slice_trim(text).n == 0, out, err));
        }
    }
    if (!config) {
        qn_buf_add_str(out, "&&config=");
        add_format(c, (qn_slice){"", 0}, out);
    }
    size_t before = out->n;
    if (pairs) return QN_OK;
    qn_buf_add_str(out, "&&kvpairs=");
    size_t begin = out->n;
    QN_TRY(add_pairs(c, true, out, err));
    if (out->n == begin) out->n = before;
    return QN_OK;
}

static qn_status read_request(qn_call *c, qn_slice *out, qn_error *err)
{
    const qn_url *url = &c->request->url;
    const qn_param *p = qn_param_find(url->params, url->param_count, "query");
    qn_slice query = {"", 0};
    QN_TRY(check_params(c, err));
    if (p != NULL) QN_TRY(qn_ha3_decode(c, p, &query, err));
    if (query.n == 0) return qn_fail(err, QN_EEMPTYQUERY, "[query] is required");
    if (query.n > QN_LIMIT_HA3_QUERY_BYTES)
        return qn_fail(err, QN_ELIMIT, "a query string has at most %d bytes",
                       QN_LIMIT_HA3_QUERY_BYTES);
    qn_buf text = {.alloc = c->out->body.alloc};
    qn_status st = assemble(c, query, &text, err);
    *out = qn_arena_slice(c->arena, qn_buf_slice(&text));
    if (st == QN_OK && (text.failed || out->p == NULL))
        st = qn_fail(err, QN_ENOMEM, "no memory for the request");
    qn_buf_deinit(&text);
    return st;
}

/* Names of rules and switches are joined by ',' or ';'. */
static qn_status read_analysis(qn_call *c, quern_search_options *o, qn_error *err)
{
    QN_TRY(qn_ha3_read_analysis(c, o, err));
    const char **lists[] = {&o->analysis, &o->analysis_off};
    for (size_t i = 0; i < 2; i++) {
        if (*lists[i] == NULL) continue;
        char *copy = qn_arena_strndup(c->arena, *lists[i], strlen(*lists[i]));
        if (copy == NULL) return qn_fail(err, QN_ENOMEM, "no memory");
        for (char *s = copy; *s != '\0'; s++)
            if (*s == ';') *s = ',';
        *lists[i] = copy;
    }
    return QN_OK;
}

/* ---- the reply ---------------------------------------------------------------------------- */

static void begin_reply(qn_call *c, const char *status)
{
    char id[40];
    (void)snprintf(id, sizeof id, "%016" PRIX64 "%016" PRIX64, qn_clock_seed(),
                   qn_clock_seed());
    qn_call_json(c, 200);
    qn_json_begin_object(&c->w);
    qn_json_member_str(&c->w, "status", status);
    qn_json_member_str(&c->w, "request_id", id);
}

static void write_error(qn_call *c, const qn_error *err)
{
    qn_json_begin_object(&c->w);
    qn_json_member_int(&c->w, "code", code_of(err->code));
    qn_json_member_str(&c->w, "message", err->text);
    qn_json_end_object(&c->w);
}

static void write_field(void *ctx, qn_slice name, qn_slice value)
{
    qn_call *c = ctx;
    qn_json_key_slice(&c->w, name);
    qn_json_string(&c->w, value);
}

static void write_fields(qn_call *c, const quern_reply *r, const quern_hit *h)
{
    qn_json_begin_object(&c->w);
    qn_ha3_fields(c, r, h, write_field, c);
    qn_json_member_str(&c->w, "index_name", c->table);
    qn_json_end_object(&c->w);
}

static void write_item(qn_call *c, const quern_reply *r, const quern_hit *h)
{
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_key(w, "fields");
    write_fields(c, r, h);
    qn_json_key(w, "variableValue");
    qn_json_raw(w, h->variables == NULL ? QN_SLICE_LIT("{}")
                                        : (qn_slice){h->variables, h->variables_size});
    qn_json_key(w, "property");
    qn_json_raw(w, QN_SLICE_LIT("{}"));
    qn_json_key(w, "sortExprValues");
    qn_ha3_write_sort_values(c, h);
    if (h->trace != NULL)
        qn_json_member_slice(w, "tracerInfo", (qn_slice){h->trace, h->trace_size});
    qn_json_end_object(w);
}

static void write_result(qn_call *c, const quern_reply *r)
{
    qn_json_writer *w = &c->w;
    bool full = r->format == NULL || strcmp(r->format, "fulljson") == 0;
    qn_json_key(w, "result");
    qn_json_begin_object(w);
    qn_json_member_double(w, "searchtime", r->took_ms / 1000);
    qn_json_member_int(w, "total", (int64_t)r->total);
    qn_json_member_int(w, "num", (int64_t)r->hit_count);
    qn_json_member_int(w, "viewtotal", (int64_t)r->total);
    qn_json_key(w, "items");
    qn_json_begin_array(w);
    for (size_t i = 0; i < r->hit_count; i++) {
        if (full)
            write_item(c, r, &r->hits[i]);
        else
            write_fields(c, r, &r->hits[i]);
    }
    qn_json_end_array(w);
    if (full) qn_ha3_write_hosted_facets(c, r);
    qn_json_end_object(w);
}

static void write_reply(qn_call *c, const quern_reply *r)
{
    qn_json_writer *w = &c->w;
    begin_reply(c, "OK");
    write_result(c, r);
    qn_ha3_write_corrections(c, r);
    qn_json_key(w, "errors");
    qn_json_begin_array(w);
    for (size_t i = 0; i < r->warning_count; i++) write_error(c, &r->warnings[i]);
    if (r->timed_out) write_error(c, &qn_ha3_out_of_time);
    qn_json_end_array(w);
    qn_json_member_slice(w, "tracer",
                         (qn_slice){r->trace == NULL ? "" : r->trace, r->trace_size});
    qn_json_end_object(w);
}

static void write_failure(qn_call *c, qn_status st, qn_error *err)
{
    qn_json_writer *w = &c->w;
    err->code = st;
    begin_reply(c, "FAIL");
    qn_json_key(w, "errors");
    qn_json_begin_array(w);
    write_error(c, err);
    qn_json_end_array(w);
    qn_json_end_object(w);
}

/* ---- the route ------------------------------------------------------------------------------ */

static qn_status run(qn_call *c, qn_error *err)
{
    qn_slice request = {"", 0}, app = qn_route_arg(&c->match, "app");
    quern_reply *reply = NULL;
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    (void)snprintf(c->table, sizeof c->table, "%.*s", QN_SLICE_ARG(app));
    QN_TRY(read_request(c, &request, err));
    o.kind = QUERN_QUERY_HA3;
    o.query = request.p;
    o.query_size = request.n;
    o.cancel = c->request->cancelled;
    QN_TRY(read_analysis(c, &o, err));
    QN_TRY(qn_server_search(c, c->table, &o, &reply, err));
    bool json = reply->format != NULL && strstr(reply->format, "json") != NULL;
    if (json) write_reply(c, reply);
    quern_reply_free(reply);
    return json ? QN_OK
                : qn_fail(err, QN_EUNSUPPORTED, "format is json or fulljson here");
}

qn_status qn_apps_search(qn_call *c, qn_error *err)
{
    qn_status st = run(c, err);
    if (st == QN_OK || qn_status_describe(st)->http_status >= 500 ||
        st == QN_ECANCELLED || st == QN_EBUSY || st == QN_EDEFERRED)
        return st;
    write_failure(c, st, err);
    return QN_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* /{index}/search of the Retrieval Engine: the same request as a JSON object.
 *
 *     {"query": "title:'x'", "config": {"start":0,"hit":10}, "filter": "a>1",
 *      "sort": ["+a","-RANK"], "aggs": [{"group_key":"a","agg_fun":["count()"]}],
 *      "distinct": {"dist_key":"b"}, "kvpairs": {"formula":"a*2"}}
 *
 * becomes a request string; other clauses are members with their text. JSON comes back
 * unless config says otherwise. */
#include "server/handlers.h"

#include "server/aliyun/api_aliyun.h"

typedef struct builder {
    qn_call *c;
    qn_buf out;
    qn_slice member; /* being written, for messages */
} builder;

static qn_status wrong(builder *b, const qn_json *v, const char *what, qn_error *err)
{
    return qn_fail_at(err, QN_EINVAL, qn_json_offset(v, b->c->request->body),
                      "[%.*s] %s", QN_SLICE_ARG(b->member), what);
}

/* A text or a number as it stands. Nothing inside a clause can hold "&&". */
static qn_status add_scalar(builder *b, const qn_json *v, qn_error *err)
{
    bool text = v->kind == QN_JSON_STRING;
    if (!text && v->kind != QN_JSON_INT && v->kind != QN_JSON_DOUBLE &&
        v->kind != QN_JSON_BOOL)
        return wrong(b, v, "must hold texts and numbers", err);
    qn_slice s = text ? v->string : v->raw;
    for (size_t i = 0; i + 1 < s.n; i++)
        if (s.p[i] == '&' && s.p[i + 1] == '&')
            return wrong(b, v, "cannot hold '&&': it separates clauses", err);
    qn_buf_add_slice(&b->out, s);
    return QN_OK;
}

/* A scalar, or several with `separator` between. */
static qn_status add_list(builder *b, const qn_json *v, char separator, qn_error *err)
{
    if (v->kind != QN_JSON_ARRAY) return add_scalar(b, v, err);
    for (const qn_json *it = v->first; it != NULL; it = it->next) {
        if (it != v->first) qn_buf_add_char(&b->out, separator);
        QN_TRY(add_scalar(b, it, err));
    }
    return QN_OK;
}

/* {"k": v, ...} as "k:v,k:v"; lists inside join by the mark of their key. */
static qn_status add_object(builder *b, const qn_json *v, qn_error *err)
{
    if (v->kind != QN_JSON_OBJECT) return add_scalar(b, v, err);
    for (const qn_json *it = v->first; it != NULL; it = it->next) {
        bool range = qn_slice_eq_str(it->key, "agg_range");
        if (it != v->first) qn_buf_add_char(&b->out, ',');
        if (range)
            qn_buf_add_str(&b->out, "range");
        else
            qn_buf_add_slice(&b->out, it->key);
        qn_buf_add_char(&b->out, ':');
        char mark = range                                 ? '~'
                    : qn_slice_eq_str(it->key, "agg_fun") ? '#'
                    : qn_slice_eq_str(it->key, "grade")   ? '|'
                    : qn_slice_eq_str(it->key, "cluster") ? '&'
                                                          : ';';
        QN_TRY(add_list(b, it, mark, err));
    }
    return QN_OK;
}

/* One object or several, ';' between. */
static qn_status add_objects(builder *b, const qn_json *v, qn_error *err)
{
    if (v->kind != QN_JSON_ARRAY) return add_object(b, v, err);
    for (const qn_json *it = v->first; it != NULL; it = it->next) {
        if (it != v->first) qn_buf_add_char(&b->out, ';');
        QN_TRY(add_object(b, it, err));
    }
    return QN_OK;
}

static void add_escaped(qn_buf *out, qn_slice s, const char *marks)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' || (s.p[i] != '\0' && strchr(marks, s.p[i]) != NULL))
            qn_buf_add_char(out, '\\');
        qn_buf_add_char(out, s.p[i]);
    }
}

/* kvpairs: texts as they are meant, escaped here. */
static qn_status add_pairs(builder *b, const qn_json *v, qn_error *err)
{
    if (v->kind != QN_JSON_OBJECT) return add_scalar(b, v, err);
    for (const qn_json *it = v->first; it != NULL; it = it->next) {
        size_t begin = b->out.n;
        QN_TRY(add_scalar(b, it, err));
        b->out.n = begin;
        if (it != v->first) qn_buf_add_char(&b->out, ',');
        add_escaped(&b->out, it->key, ":,");
        qn_buf_add_char(&b->out, ':');
        add_escaped(&b->out, it->kind == QN_JSON_STRING ? it->string : it->raw, ",");
    }
    return QN_OK;
}

static qn_status add_config(builder *b, const qn_json *v, qn_error *err)
{
    if (v->kind != QN_JSON_OBJECT) return wrong(b, v, "must be an object", err);
    QN_TRY(add_object(b, v, err));
    if (qn_json_get(v, "format") != NULL) return QN_OK;
    qn_buf_add_str(&b->out, v->first == NULL ? "format:json" : ",format:json");
    return QN_OK;
}

static qn_status add_sort(builder *b, const qn_json *v, qn_error *err)
{
    return add_list(b, v, ';', err);
}

static qn_status add_names(builder *b, const qn_json *v, qn_error *err)
{
    return add_list(b, v, ',', err);
}

/* The members that have a form of their own; any other is a clause with its text. */
static const struct {
    const char *member, *clause;
    qn_status (*add)(builder *b, const qn_json *v, qn_error *err);
} members[] = {
    {"config", "config", add_config},      {"sort", "sort", add_sort},
    {"aggs", "aggregate", add_objects},    {"aggregate", "aggregate", add_objects},
    {"distinct", "distinct", add_objects}, {"kvpairs", "kvpairs", add_pairs},
    {"attribute", "attribute", add_names},
};

static qn_status add_member(builder *b, const qn_json *v, qn_error *err)
{
    b->member = v->key;
    if (b->out.n > 0) qn_buf_add_str(&b->out, "&&");
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (!qn_slice_eq_str(v->key, members[i].member)) continue;
        qn_buf_add_str(&b->out, members[i].clause);
        qn_buf_add_char(&b->out, '=');
        return members[i].add(b, v, err);
    }
    qn_buf_add_slice(&b->out, v->key);
    qn_buf_add_char(&b->out, '=');
    return add_scalar(b, v, err);
}

qn_status qn_ha3_search_rest(qn_call *c, qn_error *err)
{
    const qn_json *body = NULL;
    QN_TRY(qn_call_object(c, &body, err));
    builder b = {.c = c, .out = {.alloc = c->out->body.alloc}};
    qn_status st = QN_OK;
    for (const qn_json *it = body == NULL ? NULL : body->first;
         it != NULL && st == QN_OK; it = it->next)
        st = add_member(&b, it, err);
    if (st == QN_OK && (body == NULL || qn_json_get(body, "config") == NULL))
        qn_buf_add_str(&b.out, "&&config=format:json");
    qn_slice text = qn_arena_slice(c->arena, qn_buf_slice(&b.out));
    if (st == QN_OK && (b.out.failed || text.p == NULL))
        st = qn_fail(err, QN_ENOMEM, "no memory for the request");
    qn_buf_deinit(&b.out);
    return st == QN_OK ? qn_ha3_answer(c, text, err) : st;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/call.h"

#include "base/nearest.h"
#include "server/es/api_es.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- reading ----------------------------------------------------------------------- */

const char *qn_call_arg(qn_call *c, const char *name)
{
    qn_slice value = qn_route_arg(&c->match, name);
    char *text = qn_arena_strndup(c->arena, value.p, value.n);
    return text == NULL ? "" : text;
}

qn_status qn_call_table(qn_call *c, const char **table, qn_error *err)
{
    const char *name = qn_call_arg(c, "index");
    *table = name;
    (void)snprintf(c->table, sizeof c->table, "%s", name);
    if (strpbrk(name, "*,?") != NULL)
        return qn_fail(err, QN_EUNSUPPORTED,
                       "one index per request: lists and patterns such as [%.100s] are "
                       "not supported",
                       name);
    return QN_OK;
}

qn_status qn_call_table_or_default(qn_call *c, const char **table, qn_error *err)
{
    if (qn_route_arg(&c->match, "index").n > 0) return qn_call_table(c, table, err);
    QN_TRY(quern_default_table(c->q, c->table, sizeof c->table, err));
    *table = c->table;
    return QN_OK;
}

const qn_slice *qn_call_param(const qn_call *c, const char *name)
{
    const qn_url *url = &c->request->url;
    const qn_param *p = qn_param_find(url->params, url->param_count, name);
    return p == NULL ? NULL : &p->value;
}

qn_status qn_call_flag(const qn_call *c, const char *name, bool *value, qn_error *err)
{
    const qn_slice *p = qn_call_param(c, name);
    if (p == NULL) return QN_OK;
    *value = p->n == 0 || qn_slice_eq_str(*p, "true");
    if (*value || qn_slice_eq_str(*p, "false")) return QN_OK;
    return qn_fail(
        err, QN_EINVAL,
        "Failed to parse value [%.*s] as only [true] or [false] are allowed.",
        p->n > 100 ? 100 : (int)p->n, p->p);
}

qn_status qn_call_body(qn_call *c, const qn_json **body, qn_error *err)
{
    qn_slice text = c->request->body;
    if (c->body == NULL && qn_slice_trim(text).n > 0)
        QN_TRY(qn_json_parse(c->arena, text, &c->body, err));
    *body = c->body;
    return QN_OK;
}

qn_status qn_call_object(qn_call *c, const qn_json **body, qn_error *err)
{
    QN_TRY(qn_call_body(c, body, err));
    if (*body == NULL) return qn_fail(err, QN_EINVAL, "request body is required");
    if ((*body)->kind == QN_JSON_OBJECT) return QN_OK;
    return qn_fail_at(err, QN_EINVAL, qn_json_offset(*body, c->request->body),
                      "the request body must be a JSON object, not %s",
                      qn_json_kind_name((*body)->kind));
}

static qn_status read_member(const qn_json *v, const qn_member *m, uint64_t at,
                             qn_error *err)
{
    bool is_null = v->kind == QN_JSON_NULL; /* as if it were not there */
    switch (m->kind) {
    case QN_MEMBER_STRING:
        if (is_null) return QN_OK;
        if (v->kind != QN_JSON_STRING)
            return qn_fail_at(err, QN_EINVAL, at, "[%s] must be a string, not %s",
                              m->name, qn_json_kind_name(v->kind));
        *(qn_slice *)m->to = v->string;
        return QN_OK;
    case QN_MEMBER_INT:
        if (is_null) return QN_OK;
        if (v->kind != QN_JSON_INT || v->integer < m->min || v->integer > m->max)
            return qn_fail_at(err, QN_EINVAL, at,
                              "[%s] must be a whole number from %" PRId64
                              " to %" PRId64,
                              m->name, m->min, m->max);
        *(int64_t *)m->to = v->integer;
        return QN_OK;
    case QN_MEMBER_BOOL:
        if (is_null) return QN_OK;
        if (v->kind != QN_JSON_BOOL)
            return qn_fail_at(err, QN_EINVAL, at, "[%s] must be true or false, not %s",
                              m->name, qn_json_kind_name(v->kind));
        *(bool *)m->to = v->boolean;
        return QN_OK;
    case QN_MEMBER_ANY:
        if (!is_null) *(const qn_json **)m->to = v;
        return QN_OK;
    case QN_MEMBER_IGNORE:
        return QN_OK;
    }
    return QN_OK;
}

qn_status qn_call_members(const qn_json *object, const qn_member *table, qn_slice text,
                          qn_error *err)
{
    for (const qn_json *v = qn_json_items(object); v != NULL; v = v->next) {
        uint64_t at = qn_json_offset(v, text);
        qn_nearest near = qn_nearest_begin(v->key);
        const qn_member *m = table;
        while (m->name != NULL && !qn_slice_eq_str(v->key, m->name)) {
            qn_nearest_offer(&near, qn_slice_of(m->name));
            m++;
        }
        if (m->name != NULL) {
            QN_TRY(read_member(v, m, at, err));
            continue;
        }
        int n = v->key.n > 100 ? 100 : (int)v->key.n;
        if (near.best.p == NULL)
            return qn_fail_at(err, QN_EINVAL, at, "unknown key [%.*s]", n, v->key.p);
        return qn_fail_at(err, QN_EINVAL, at,
                          "unknown key [%.*s], did you mean [%.*s]?", n, v->key.p,
                          QN_SLICE_ARG(near.best));
    }
    return QN_OK;
}

const char *qn_call_error_text(const qn_call *c, const qn_error *err)
{
    if (err->at == QN_AT_NONE || err->file[0] != '\0' || err->at > c->request->body.n ||
        c->request->body.n == 0)
        return err->text;
    const char *text = qn_arena_printf(c->arena, "%s (byte %" PRIu64 " of the body)",
                                       err->text, err->at);
    return text == NULL ? err->text : text;
}

/* ---- writing ------------------------------------------------------------------------ */

void qn_call_json(qn_call *c, int status)
{
    c->out->status = status;
    c->out->content_type =
        c->api == QN_API_ES ? qn_es_content_type(c) : "application/json";
    qn_buf_reset(&c->out->body);
    qn_json_writer_init(&c->w, &c->out->body, false);
}

void qn_call_text(qn_call *c, int status, const char *content_type, qn_slice text)
{
    c->out->status = status;
    c->out->content_type = content_type;
    qn_buf_reset(&c->out->body);
    qn_buf_add_slice(&c->out->body, text);
}

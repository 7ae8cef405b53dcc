/* SPDX-License-Identifier: Apache-2.0 */
#include "query/analysis/analysis_json.h"

#include "base/nearest.h"

#include <stdio.h>

qn_status qn_qa__wrong(qn_qa_reader *r, qn_status code, const qn_json *v,
                       const char *fmt, ...)
{
    char text[300];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return qn_fail_at(r->err, code, qn_json_offset(v, r->text), "%s: %s", r->what,
                      text);
}

static qn_status unknown(qn_qa_reader *r, const qn_json *v, const qn_qa_member *known)
{
    qn_nearest near = qn_nearest_begin(v->key);
    qn_buf list;
    qn_buf_init(&list, qn_alloc_heap());
    for (const qn_qa_member *m = known; m->key != NULL; m++) {
        qn_nearest_offer(&near, qn_slice_of(m->key));
        qn_buf_printf(&list, "%s%s", m == known ? "" : ", ", m->key);
    }
    qn_slice all = qn_buf_slice(&list);
    int n = v->key.n > 60 ? 60 : (int)v->key.n;
    qn_status st =
        near.best.p != NULL
            ? qn_qa__wrong(r, QN_EJSON, v,
                           "unknown key \"%.*s\", did you mean \"%.*s\"?", n, v->key.p,
                           QN_SLICE_ARG(near.best))
            : qn_qa__wrong(r, QN_EJSON, v, "unknown key \"%.*s\"; known: %.*s", n,
                           v->key.p, QN_SLICE_ARG(all));
    qn_buf_deinit(&list);
    return st;
}

static qn_status wrong_kind(qn_qa_reader *r, const qn_json *v, const char *wanted)
{
    return qn_qa__wrong(r, QN_EJSON, v, "\"%.*s\" takes %s, not %s",
                        v->key.n > 60 ? 60 : (int)v->key.n, v->key.p, wanted,
                        qn_json_kind_name(v->kind));
}

static qn_status take(qn_qa_reader *r, const qn_json *v, const qn_qa_member *m)
{
    bool number = v->kind == QN_JSON_INT || v->kind == QN_JSON_DOUBLE;
    switch (m->kind) {
    case QN_QA_TEXT:
        if (v->kind != QN_JSON_STRING) return wrong_kind(r, v, "a text");
        *(qn_slice *)m->out = v->string;
        return QN_OK;
    case QN_QA_FLAG:
        if (v->kind != QN_JSON_BOOL) return wrong_kind(r, v, "true or false");
        *(bool *)m->out = v->boolean;
        return QN_OK;
    case QN_QA_WHOLE:
        if (v->kind != QN_JSON_INT) return wrong_kind(r, v, "a whole number");
        break;
    case QN_QA_SHARE:
        if (!number) return wrong_kind(r, v, "a number");
        break;
    case QN_QA_NODE:
        *(const qn_json **)m->out = v;
        return QN_OK;
    case QN_QA_ANY:
        return QN_OK;
    }
    if (!(v->number >= m->min && v->number <= m->max))
        return qn_qa__wrong(r, QN_ELIMIT, v, "\"%s\" is from %g to %g, not %.*s",
                            m->key, m->min, m->max, v->raw.n > 40 ? 40 : (int)v->raw.n,
                            v->raw.p);
    if (m->kind == QN_QA_WHOLE)
        *(int64_t *)m->out = v->integer;
    else
        *(double *)m->out = v->number;
    return QN_OK;
}

qn_status qn_qa__members(qn_qa_reader *r, const qn_json *v, const qn_qa_member *known)
{
    if (v->kind != QN_JSON_OBJECT)
        return qn_qa__wrong(r, QN_EJSON, v, "expected an object, not %s",
                            qn_json_kind_name(v->kind));
    for (const qn_json *it = v->first; it != NULL; it = it->next) {
        const qn_qa_member *m = known;
        while (m->key != NULL && !qn_slice_eq_str(it->key, m->key)) m++;
        if (m->key == NULL) return unknown(r, it, known);
        QN_TRY(take(r, it, m));
    }
    return QN_OK;
}

qn_status qn_qa__strings(qn_qa_reader *r, const qn_json *v, size_t most,
                         const qn_slice **out, size_t *count)
{
    *count = 0;
    if (v == NULL) return QN_OK;
    bool one = v->kind == QN_JSON_STRING;
    if (!one && v->kind != QN_JSON_ARRAY) return wrong_kind(r, v, "a list of texts");
    size_t n = one ? 1 : v->count;
    if (n > most)
        return qn_qa__wrong(r, QN_ELIMIT, v, "\"%.*s\" has %zu texts, at most %zu",
                            QN_SLICE_ARG(v->key), n, most);
    qn_slice *list = qn_arena_array(r->arena, n + 1, sizeof *list);
    if (list == NULL) return qn_fail(r->err, QN_ENOMEM, "%s", r->what);
    for (const qn_json *it = one ? v : v->first; it != NULL; it = it->next) {
        if (it->kind != QN_JSON_STRING) return wrong_kind(r, v, "a list of texts");
        list[(*count)++] = it->string;
        if (one) break;
    }
    *out = list;
    return QN_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/file/meta_reader.h"

const qn_json *qn_meta_find(const qn_meta_reader *r, const char *key)
{
    return r->st == QN_OK ? qn_json_get(r->object, key) : NULL;
}

const qn_json *qn_meta_need(qn_meta_reader *r, const char *key, qn_json_kind kind)
{
    if (r->st != QN_OK) return NULL;
    const qn_json *v = qn_json_get(r->object, key);
    if (v != NULL && v->kind == kind) return v;
    r->st = qn_fail(r->err, QN_EMODEL, "description: \"%s\" is no %s", key,
                    qn_json_kind_name(kind));
    return NULL;
}

void qn_meta_unsupported(qn_meta_reader *r, const char *key, const qn_json *value)
{
    int n = value->raw.n < 100 ? (int)value->raw.n : 100;
    r->st = qn_fail(r->err, QN_EUNSUPPORTED, "description: \"%s\" is %.*s", key, n,
                    value->raw.p);
}

void qn_meta_out_of_range(qn_meta_reader *r, const char *key)
{
    r->st = qn_fail(r->err, QN_EMODEL, "description: \"%s\" is out of range", key);
}

uint32_t qn_meta_u32(qn_meta_reader *r, const char *key)
{
    const qn_json *v = qn_meta_need(r, key, QN_JSON_INT);
    if (v == NULL) return 0;
    if (v->integer >= 0 && v->integer <= UINT32_MAX) return (uint32_t)v->integer;
    qn_meta_out_of_range(r, key);
    return 0;
}

float qn_meta_float(qn_meta_reader *r, const char *key)
{
    const qn_json *v = qn_meta_find(r, key);
    bool number = v != NULL && (v->kind == QN_JSON_DOUBLE || v->kind == QN_JSON_INT);
    if (number) return (float)v->number;
    (void)qn_meta_need(r, key, QN_JSON_DOUBLE);
    return 0.0f;
}

bool qn_meta_bool(qn_meta_reader *r, const char *key)
{
    const qn_json *v = qn_meta_need(r, key, QN_JSON_BOOL);
    return v != NULL && v->boolean;
}

const char *qn_meta_string(qn_meta_reader *r, const char *key)
{
    const qn_json *v = qn_meta_need(r, key, QN_JSON_STRING);
    if (v == NULL) return "";
    const char *s = qn_arena_strndup(r->arena, v->string.p, v->string.n);
    if (s != NULL) return s;
    r->st = qn_fail(r->err, QN_ENOMEM, "model description");
    return "";
}

int qn_meta_name(qn_meta_reader *r, const char *key, const char *const *names, size_t n)
{
    const qn_json *v = qn_meta_need(r, key, QN_JSON_STRING);
    if (v == NULL) return 0;
    for (size_t i = 0; i < n; i++)
        if (qn_slice_eq_str(v->string, names[i])) return (int)i;
    qn_meta_unsupported(r, key, v);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "query/dsl/dsl_internal.h"

#include <math.h>

qn_status qn_dsl__text(qn_dsl *d, const qn_json *v, qn_slice *out)
{
    switch (v->kind) {
    case QN_JSON_STRING:
        *out = v->string;
        return QN_OK;
    case QN_JSON_BOOL:
    case QN_JSON_INT:
    case QN_JSON_DOUBLE:
        *out = v->raw;
        return QN_OK;
    default:
        return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, v),
                          "[%.*s] expected a value but found %s", QN_SLICE_ARG(v->key),
                          qn_json_kind_name(v->kind));
    }
}

/* Numbers may come as strings, as Elasticsearch lets them. */
qn_status qn_dsl__float(qn_dsl *d, const qn_json *v, float *out)
{
    double number = v->number;
    bool ok = v->kind == QN_JSON_INT || v->kind == QN_JSON_DOUBLE ||
              (v->kind == QN_JSON_STRING && qn_slice_to_f64(v->string, &number));
    *out = (float)number;
    if (ok && isfinite(*out)) return QN_OK;
    return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, v),
                      "[%.*s] must be a number", QN_SLICE_ARG(v->key));
}

qn_status qn_dsl__i64(qn_dsl *d, const qn_json *v, int64_t *out)
{
    bool whole = v->kind == QN_JSON_DOUBLE && v->number == floor(v->number) &&
                 fabs(v->number) < 0x1p62;
    *out = v->kind == QN_JSON_INT ? v->integer : 0;
    if (whole) *out = (int64_t)v->number;
    if (v->kind == QN_JSON_INT || whole) return QN_OK;
    if (v->kind == QN_JSON_STRING && qn_slice_to_i64(v->string, out)) return QN_OK;
    return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, v),
                      "[%.*s] must be a whole number", QN_SLICE_ARG(v->key));
}

qn_status qn_dsl__flag(qn_dsl *d, const qn_json *v, bool *out)
{
    bool text_true = v->kind == QN_JSON_STRING && qn_slice_eq_str(v->string, "true");
    bool text_false = v->kind == QN_JSON_STRING && qn_slice_eq_str(v->string, "false");
    *out = v->kind == QN_JSON_BOOL ? v->boolean : text_true;
    if (v->kind == QN_JSON_BOOL || text_true || text_false) return QN_OK;
    return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, v),
                      "[%.*s] must be true or false", QN_SLICE_ARG(v->key));
}

qn_status qn_dsl__object(qn_dsl *d, const char *type, const qn_json *v)
{
    if (v->kind == QN_JSON_OBJECT) return QN_OK;
    return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, v),
                      "[%s] query malformed, no start_object after query name", type);
}

qn_status qn_dsl__unknown_key(qn_dsl *d, const char *type, const qn_json *member)
{
    return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, member),
                      "[%s] query does not support [%.*s]", type,
                      (int)(member->key.n > 100 ? 100 : member->key.n), member->key.p);
}

qn_status qn_dsl__common(qn_dsl *d, const char *type, const qn_json *member,
                         qn_dsl_common *c, bool *taken)
{
    *taken = true;
    if (qn_dsl__key_is(member, "_name")) return qn_dsl__text(d, member, &c->name);
    *taken = qn_dsl__key_is(member, "boost");
    if (!*taken) return QN_OK;
    QN_TRY(qn_dsl__float(d, member, &c->boost));
    if (c->boost >= 0) return QN_OK;
    return qn_fail_at(d->make.err, QN_EINVAL, qn_dsl__at(d, member),
                      "negative [boost] are not allowed in [%s], use a value between 0 "
                      "and 1 to deboost",
                      type);
}

qn_status qn_dsl__finish(qn_dsl *d, const qn_json *v, qn_query *node,
                         const qn_dsl_common *c, const qn_query **out)
{
    if (node == NULL) return qn_leaf_none(&d->make, qn_dsl__at(d, v), out);
    node->boost *= c->boost;
    if (c->name.n > 0) node->label = c->name;
    *out = node;
    return QN_OK;
}

qn_status qn_dsl__one_field(qn_dsl *d, const char *type, const qn_json *body,
                            qn_dsl_common *c, const qn_json **out)
{
    QN_TRY(qn_dsl__object(d, type, body));
    *out = NULL;
    for (const qn_json *m = body->first; m != NULL; m = m->next) {
        bool taken;
        QN_TRY(qn_dsl__common(d, type, m, c, &taken));
        if (taken) continue;
        if (*out != NULL)
            return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, m),
                              "[%s] query doesn't support multiple fields, found "
                              "[%.*s] and [%.*s]",
                              type, QN_SLICE_ARG((*out)->key), QN_SLICE_ARG(m->key));
        *out = m;
    }
    if (*out != NULL) return QN_OK;
    return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, body),
                      "[%s] query malformed, no field given", type);
}

qn_status qn_dsl__target(qn_dsl *d, qn_slice name, const qn_json *v,
                         qn_leaf_target *out, bool *known)
{
    const qn_schema *schema = d->make.env->schema;
    *known = true;
    if (qn_slice_eq_str(name, "_id")) {
        *out = (qn_leaf_target){.kind = QN_INDEX_PRIMARY};
        return QN_OK;
    }
    *known =
        qn_schema_index(schema, name) != NULL || qn_schema_field(schema, name) != NULL;
    if (!*known) return QN_OK;
    return qn_leaf_target_find(&d->make, name, qn_dsl__at(d, v), out);
}

bool qn_dsl__pattern_matches(qn_slice pattern, qn_slice name)
{
    size_t p = 0, n = 0, star = SIZE_MAX, resume = 0;
    while (n < name.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            resume = n;
        } else if (p < pattern.n && pattern.p[p] == name.p[n]) {
            p++;
            n++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            n = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*') p++;
    return p == pattern.n;
}

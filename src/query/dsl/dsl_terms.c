/* SPDX-License-Identifier: Apache-2.0 */
/* term, terms, range, ids, exists. */
#include "query/dsl/dsl_internal.h"

#include <stdlib.h>

qn_status qn_dsl__term(qn_dsl *d, const char *type, const qn_json *body,
                       const qn_query **out)
{
    qn_dsl_common common = QN_DSL_COMMON;
    const qn_json *field, *value;
    QN_TRY(qn_dsl__one_field(d, type, body, &common, &field));
    value = field->kind == QN_JSON_OBJECT ? NULL : field;
    for (const qn_json *m = value == NULL ? field->first : NULL; m != NULL;
         m = m->next) {
        bool taken, insensitive;
        QN_TRY(qn_dsl__common(d, type, m, &common, &taken));
        if (taken) continue;
        if (qn_dsl__key_is(m, "value") || qn_dsl__key_is(m, "term")) {
            value = m;
        } else if (qn_dsl__key_is(m, "case_insensitive")) {
            QN_TRY(qn_dsl__flag(d, m, &insensitive));
            if (insensitive)
                return qn_fail_at(d->make.err, QN_EUNSUPPORTED, qn_dsl__at(d, m),
                                  "[term] query: [case_insensitive] is not supported");
        } else {
            return qn_dsl__unknown_key(d, type, m);
        }
    }
    if (value == NULL || value->kind == QN_JSON_NULL)
        return qn_fail_at(d->make.err, QN_EINVAL, qn_dsl__at(d, body),
                          "value cannot be null");
    qn_slice text;
    QN_TRY(qn_dsl__text(d, value, &text));
    qn_leaf_target target;
    bool known;
    QN_TRY(qn_dsl__target(d, field->key, field, &target, &known));
    qn_query *q = NULL;
    uint64_t at = qn_dsl__at(d, value);
    if (known && target.kind == QN_INDEX_TEXT)
        QN_TRY(qn_leaf_term(&d->make, &target, text, at, &q));
    else if (known)
        QN_TRY(qn_leaf_value(&d->make, &target, text, at, &q));
    return qn_dsl__finish(d, body, q, &common, out);
}

/* ---- sets ------------------------------------------------------------------------- */

static int compare_i64(const void *a, const void *b)
{
    int64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static int compare_f64(const void *a, const void *b)
{
    double x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

static int compare_terms(const void *a, const void *b)
{
    const qn_query_term *x = a, *y = b;
    return qn_slice_compare(x->bytes, y->bytes);
}

static qn_status set_of_bytes(qn_dsl *d, const qn_json *values, qn_query *q)
{
    qn_query_term *terms =
        qn_arena_array(d->make.arena, values->count + 1, sizeof *terms);
    if (terms == NULL) return qn_fail(d->make.err, QN_ENOMEM, "terms query");
    size_t n = 0;
    for (const qn_json *v = values->first; v != NULL; v = v->next) {
        qn_slice text;
        QN_TRY(qn_dsl__text(d, v, &text));
        if (text.n > QN_QUERY_TERM_BYTES_MAX)
            return qn_fail_at(d->make.err, QN_ELIMIT, qn_dsl__at(d, v),
                              "a term of %zu bytes, at most %d are allowed", text.n,
                              QN_QUERY_TERM_BYTES_MAX);
        terms[n].bytes = qn_arena_slice(d->make.arena, text);
        if (terms[n++].bytes.p == NULL)
            return qn_fail(d->make.err, QN_ENOMEM, "terms query");
    }
    qsort(terms, n, sizeof *terms, compare_terms);
    q->terms = terms;
    q->term_count = n;
    return QN_OK;
}

static qn_status set_of_numbers(qn_dsl *d, const qn_field *f, const qn_json *values,
                                qn_query *q)
{
    bool floats = qn_field_is_float(f);
    int64_t *ints = qn_arena_array(d->make.arena, values->count + 1, sizeof *ints);
    double *reals = qn_arena_array(d->make.arena, values->count + 1, sizeof *reals);
    if (ints == NULL || reals == NULL)
        return qn_fail(d->make.err, QN_ENOMEM, "terms query");
    size_t n = 0;
    for (const qn_json *v = values->first; v != NULL; v = v->next) {
        qn_slice text;
        bool in_range = true;
        uint64_t at = qn_dsl__at(d, v);
        QN_TRY(qn_dsl__text(d, v, &text));
        if (floats)
            QN_TRY(qn_leaf_parse_f64(&d->make, f, text, at, &reals[n]));
        else
            QN_TRY(qn_leaf_parse_i64(&d->make, f, text, at, &ints[n], &in_range));
        if (in_range) n++;
    }
    qsort(reals, floats ? n : 0, sizeof *reals, compare_f64);
    qsort(ints, floats ? 0 : n, sizeof *ints, compare_i64);
    q->u.set.values = floats ? NULL : ints;
    q->u.set.floats = floats ? reals : NULL;
    q->u.set.count = n;
    return QN_OK;
}

static qn_status build_set(qn_dsl *d, const qn_leaf_target *t, const qn_json *values,
                           qn_query **out)
{
    uint64_t at = qn_dsl__at(d, values);
    if (values->count > QN_QUERY_SET_MAX)
        return qn_fail_at(d->make.err, QN_ELIMIT, at,
                          "The number of terms [%zu] used in the Terms Query request "
                          "has exceeded the allowed maximum of [%d]",
                          values->count, QN_QUERY_SET_MAX);
    if (t->kind == QN_INDEX_PRIMARY) {
        QN_TRY(qn_leaf_new(&d->make, QN_QUERY_IDS, t, at, out));
        return set_of_bytes(d, values, *out);
    }
    if (t->field_count != 1 || t->kind == QN_INDEX_VECTOR)
        return qn_fail_at(d->make.err, QN_EINDEXKIND, at,
                          "[terms] query: [%.*s] is not one field of values",
                          QN_SLICE_ARG(qn_leaf_target_name(t)));
    const qn_field *f = t->fields[0].field;
    bool bytes = f->type == QN_FIELD_TEXT || f->type == QN_FIELD_KEYWORD;
    if (!f->column && !(bytes && f->indexed))
        return qn_fail_at(d->make.err, QN_EINDEXKIND, at,
                          "cannot search on field [%.*s]: it is not indexed and has no "
                          "column",
                          QN_SLICE_ARG(f->name));
    QN_TRY(qn_leaf_new(&d->make, QN_QUERY_SET, t, at, out));
    return bytes ? set_of_bytes(d, values, *out) : set_of_numbers(d, f, values, *out);
}

qn_status qn_dsl__terms(qn_dsl *d, const char *type, const qn_json *body,
                        const qn_query **out)
{
    qn_dsl_common common = QN_DSL_COMMON;
    const qn_json *field;
    QN_TRY(qn_dsl__one_field(d, type, body, &common, &field));
    if (field->kind == QN_JSON_OBJECT)
        return qn_fail_at(d->make.err, QN_EUNSUPPORTED, qn_dsl__at(d, field),
                          "[terms] query: looking terms up in another document is not "
                          "supported");
    if (field->kind != QN_JSON_ARRAY) return qn_dsl__unknown_key(d, type, field);
    qn_leaf_target target;
    bool known;
    QN_TRY(qn_dsl__target(d, field->key, field, &target, &known));
    qn_query *q = NULL;
    if (known && field->count > 0) QN_TRY(build_set(d, &target, field, &q));
    return qn_dsl__finish(d, body, q, &common, out);
}

qn_status qn_dsl__ids(qn_dsl *d, const char *type, const qn_json *body,
                      const qn_query **out)
{
    QN_TRY(qn_dsl__object(d, type, body));
    qn_dsl_common common = QN_DSL_COMMON;
    const qn_json *values = NULL;
    for (const qn_json *m = body->first; m != NULL; m = m->next) {
        bool taken;
        QN_TRY(qn_dsl__common(d, type, m, &common, &taken));
        if (taken) continue;
        if (!qn_dsl__key_is(m, "values")) return qn_dsl__unknown_key(d, type, m);
        values = m;
    }
    if (values == NULL)
        return qn_fail_at(d->make.err, QN_EINVAL, qn_dsl__at(d, body),
                          "[ids] requires providing [values]");
    qn_leaf_target target = {.kind = QN_INDEX_PRIMARY};
    qn_query *q = NULL;
    qn_slice text;
    if (values->kind == QN_JSON_ARRAY && values->count > 0) {
        QN_TRY(build_set(d, &target, values, &q));
    } else if (values->kind != QN_JSON_ARRAY) {
        QN_TRY(qn_dsl__text(d, values, &text));
        QN_TRY(qn_leaf_value(&d->make, &target, text, qn_dsl__at(d, values), &q));
    }
    return qn_dsl__finish(d, body, q, &common, out);
}

/* ---- range ------------------------------------------------------------------------- */

static qn_status read_end(qn_dsl *d, const qn_json *m, bool inclusive, qn_leaf_end *end)
{
    *end = (qn_leaf_end){{NULL, 0}, inclusive, qn_dsl__at(d, m)};
    return m->kind == QN_JSON_NULL ? QN_OK : qn_dsl__text(d, m, &end->text);
}

/* Formats that say what is read anyway. */
static bool known_format(qn_slice s)
{
    while (s.n > 0) {
        size_t n = 0;
        while (n + 1 < s.n && !(s.p[n] == '|' && s.p[n + 1] == '|')) n++;
        bool last = n + 1 >= s.n;
        qn_slice one = {s.p, last ? s.n : n};
        if (!qn_slice_eq_str(one, "epoch_millis") &&
            !qn_slice_eq_str(one, "strict_date_optional_time") &&
            !qn_slice_eq_str(one, "date_optional_time") &&
            !qn_slice_eq_str(one, "yyyy-MM-dd"))
            return false;
        size_t used = last ? s.n : n + 2;
        s = (qn_slice){s.p + used, s.n - used};
    }
    return true;
}

static qn_status range_member(qn_dsl *d, const qn_json *m, qn_leaf_end *low,
                              qn_leaf_end *high)
{
    if (qn_dsl__key_is(m, "gte") || qn_dsl__key_is(m, "from"))
        return read_end(d, m, true, low);
    if (qn_dsl__key_is(m, "gt")) return read_end(d, m, false, low);
    if (qn_dsl__key_is(m, "lte") || qn_dsl__key_is(m, "to"))
        return read_end(d, m, true, high);
    if (qn_dsl__key_is(m, "lt")) return read_end(d, m, false, high);
    if (qn_dsl__key_is(m, "relation")) return QN_OK; /* one value is no range */
    bool format = qn_dsl__key_is(m, "format"), zone = qn_dsl__key_is(m, "time_zone");
    if (!format && !zone) return qn_dsl__unknown_key(d, "range", m);
    qn_slice s;
    QN_TRY(qn_dsl__text(d, m, &s));
    bool known = format ? known_format(s)
                        : qn_slice_eq_str(s, "UTC") || qn_slice_eq_str(s, "Z") ||
                              qn_slice_eq_str(s, "+00:00");
    if (known) return QN_OK;
    return qn_fail_at(d->make.err, QN_EUNSUPPORTED, qn_dsl__at(d, m),
                      "[range] query: %.*s [%.*s] is not supported: dates are "
                      "milliseconds or ISO 8601",
                      QN_SLICE_ARG(m->key), QN_SLICE_ARG(s));
}

qn_status qn_dsl__range(qn_dsl *d, const char *type, const qn_json *body,
                        const qn_query **out)
{
    qn_dsl_common common = QN_DSL_COMMON;
    const qn_json *field;
    QN_TRY(qn_dsl__one_field(d, type, body, &common, &field));
    if (field->kind != QN_JSON_OBJECT) return qn_dsl__unknown_key(d, type, field);
    qn_leaf_end low = {{NULL, 0}, true, 0}, high = low;
    for (const qn_json *m = field->first; m != NULL; m = m->next) {
        bool taken;
        QN_TRY(qn_dsl__common(d, type, m, &common, &taken));
        if (!taken) QN_TRY(range_member(d, m, &low, &high));
    }
    qn_leaf_target target;
    bool known;
    QN_TRY(qn_dsl__target(d, field->key, field, &target, &known));
    qn_query *q = NULL;
    if (known)
        QN_TRY(qn_leaf_range(&d->make, &target, &low, &high, qn_dsl__at(d, field), &q));
    return qn_dsl__finish(d, body, q, &common, out);
}

/* ---- exists ------------------------------------------------------------------------ */

static qn_status build_exists(qn_dsl *d, const qn_leaf_target *t, const qn_json *v,
                              qn_query **out)
{
    uint64_t at = qn_dsl__at(d, v);
    qn_query *nodes[QN_QUERY_FIELDS_MAX], *joined;
    for (size_t i = 0; i < t->field_count; i++) {
        qn_leaf_target one;
        QN_TRY(qn_leaf_target_field(&d->make, t->fields[i].field, &one));
        QN_TRY(qn_leaf_new(&d->make, QN_QUERY_EXISTS, &one, at, &nodes[i]));
    }
    if (t->kind == QN_INDEX_PRIMARY)
        return qn_leaf_new(&d->make, QN_QUERY_ALL, NULL, at, out);
    QN_TRY(
        qn_leaf_join_nodes(&d->make, QN_JOIN_OR, nodes, t->field_count, at, &joined));
    *out = joined;
    if (t->field_count < 2) return QN_OK;
    QN_TRY(qn_leaf_new(&d->make, QN_QUERY_CONSTANT, NULL, at, out));
    (*out)->u.child = joined;
    return QN_OK;
}

qn_status qn_dsl__exists(qn_dsl *d, const char *type, const qn_json *body,
                         const qn_query **out)
{
    QN_TRY(qn_dsl__object(d, type, body));
    qn_dsl_common common = QN_DSL_COMMON;
    const qn_json *field = NULL;
    qn_slice name;
    for (const qn_json *m = body->first; m != NULL; m = m->next) {
        bool taken;
        QN_TRY(qn_dsl__common(d, type, m, &common, &taken));
        if (taken) continue;
        if (!qn_dsl__key_is(m, "field")) return qn_dsl__unknown_key(d, type, m);
        field = m;
    }
    if (field == NULL)
        return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, body),
                          "[exists] must be provided with a [field]");
    QN_TRY(qn_dsl__text(d, field, &name));
    qn_leaf_target target;
    bool known;
    QN_TRY(qn_dsl__target(d, name, field, &target, &known));
    qn_query *q = NULL;
    if (known) QN_TRY(build_exists(d, &target, field, &q));
    return qn_dsl__finish(d, body, q, &common, out);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Vector terms:
 *
 *     term    = queries { "&" key "=" value }     key: n, sf, search_params
 *     queries = q { ";" q }
 *     q       = [ category { "," category } "#" ] number { "," number }
 *
 * Percent signs are decoded first; "+" stays, since numbers use it. Keys may come in
 * any order; search_params takes the rest of the text, as its JSON may hold "&".
 * Unknown keys are passed over. A text that does not begin like a number is embedded by
 * the field's model. */
#include "query/ha3/ha3_internal.h"

#include <math.h>

enum { N_DEFAULT = 100 };

typedef struct vector_term {
    qn_slice queries, n, sf, search_params;
} vector_term;

static qn_status wrong_term(qn_leaf_maker *m, const qn_leaf_target *t, uint64_t at,
                            const char *what, qn_slice text)
{
    return qn_fail_at(m->err, QN_EVECTORTERM, at,
                      "vector term for index [%.*s]: %s [%.*s]",
                      QN_SLICE_ARG(qn_leaf_target_name(t)), what,
                      (int)(text.n > 60 ? 60 : text.n), text.p);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* %XX decoded; a lone percent sign stays. */
static qn_status decode(qn_leaf_maker *m, qn_slice *text)
{
    if (memchr(text->p, '%', text->n) == NULL) return QN_OK;
    char *p = qn_arena_new(m->arena, text->n + 1);
    if (p == NULL) return qn_fail(m->err, QN_ENOMEM, "vector term");
    size_t n = 0;
    for (size_t i = 0; i < text->n; i++) {
        bool pair = text->p[i] == '%' && i + 2 < text->n &&
                    hex_value(text->p[i + 1]) >= 0 && hex_value(text->p[i + 2]) >= 0;
        if (pair)
            p[n++] = (char)(hex_value(text->p[i + 1]) * 16 + hex_value(text->p[i + 2]));
        else
            p[n++] = text->p[i];
        if (pair) i += 2;
    }
    *text = (qn_slice){p, n};
    return QN_OK;
}

/* Cuts "&n=10&sf=0.5&search_params={...}" off the numbers. */
static qn_status split_keys(qn_leaf_maker *m, const qn_leaf_target *t, qn_slice text,
                            uint64_t at, vector_term *out)
{
    const char *amp = memchr(text.p, '&', text.n), *end = text.p + text.n;
    out->queries = (qn_slice){text.p, amp == NULL ? text.n : (size_t)(amp - text.p)};
    while (amp != NULL) {
        qn_slice rest = {amp + 1, (size_t)(end - amp - 1)};
        amp = memchr(rest.p, '&', rest.n);
        qn_slice pair = {rest.p, amp == NULL ? rest.n : (size_t)(amp - rest.p)};
        qn_slice *value = NULL;
        size_t key_n = 0;
        if (qn_slice_starts_with(pair, "n=")) {
            value = &out->n;
            key_n = 2;
        } else if (qn_slice_starts_with(pair, "sf=")) {
            value = &out->sf;
            key_n = 3;
        } else if (qn_slice_starts_with(pair, "search_params=")) {
            value = &out->search_params;
            key_n = 14;
            pair = rest;
            amp = NULL;
        }
        if (value == NULL) continue;
        if (value->p != NULL)
            return wrong_term(m, t, at, "given twice:", (qn_slice){pair.p, key_n - 1});
        *value = qn_slice_trim((qn_slice){pair.p + key_n, pair.n - key_n});
    }
    return QN_OK;
}

static qn_status read_settings(qn_leaf_maker *m, const qn_leaf_target *t, uint64_t at,
                               const vector_term *term, qn_query_vector *v)
{
    v->k = N_DEFAULT;
    if (term->n.n > 0) {
        int64_t n;
        if (!qn_slice_to_i64(term->n, &n) || n < 0 || term->n.p[0] == '+')
            return wrong_term(m, t, at, "n is no number:", term->n);
        if (n > QN_QUERY_VECTOR_K_MAX)
            return qn_fail_at(m->err, QN_ELIMIT, at, "n cannot exceed %d but was %lld",
                              QN_QUERY_VECTOR_K_MAX, (long long)n);
        v->k = (uint32_t)n;
    }
    v->num_candidates = v->k;
    if (term->sf.n > 0) {
        double sf;
        if (!qn_slice_to_f64(term->sf, &sf))
            return wrong_term(m, t, at, "sf is no number:", term->sf);
        v->has_threshold = v->strict = true;
        v->threshold = (float)sf;
    }
    v->search_params =
        term->search_params.n > 0 ? term->search_params : QN_SLICE_LIT("");
    return QN_OK;
}

static bool begins_number(qn_slice s)
{
    s = qn_slice_trim(s);
    return s.n == 0 || strchr("0123456789+-.", s.p[0]) != NULL;
}

/* Exactly field->dims numbers. Empty pieces are passed over. */
static qn_status read_numbers(qn_leaf_maker *m, const qn_leaf_target *t, qn_slice text,
                              uint64_t at, float *out)
{
    uint32_t dims = t->fields[0].field->dims, n = 0;
    qn_slice piece;
    while (qn_ha3__next_piece(&text, ',', &piece)) {
        double v;
        if (!qn_slice_to_f64(piece, &v) || !isfinite((float)v))
            return wrong_term(m, t, at, "not a number:", piece);
        if (n < dims) out[n] = (float)v;
        n++;
    }
    if (n != dims)
        return qn_fail_at(m->err, QN_EVECTORTERM, at,
                          "the query vector has %u numbers, index [%.*s] has %u "
                          "dimensions",
                          n, QN_SLICE_ARG(qn_leaf_target_name(t)), dims);
    return QN_OK;
}

/* The index's second field that is neither vector nor key: what `category#` asks. */
static const qn_field *category_field(const qn_leaf_maker *m, const qn_leaf_target *t)
{
    const qn_schema *s = m->env->schema;
    for (size_t i = 0; t->index != NULL && i < t->index->field_count; i++) {
        const qn_field *f = qn_schema_field_by_id(s, t->index->fields[i]);
        if (f != NULL && f->type != QN_FIELD_VECTOR && f->id != s->primary_key)
            return f;
    }
    return NULL;
}

static qn_status read_categories(qn_leaf_maker *m, const qn_leaf_target *t,
                                 qn_slice names, uint64_t at, const qn_query **out)
{
    const qn_field *field = category_field(m, t);
    if (field == NULL)
        return wrong_term(m, t, at, "the index has no category field for", names);
    qn_leaf_target target;
    QN_TRY(qn_leaf_target_field(m, field, &target));
    qn_query *nodes[64], *joined;
    size_t n = 0;
    qn_slice name;
    while (qn_ha3__next_piece(&names, ',', &name)) {
        if (n == sizeof nodes / sizeof *nodes)
            return qn_fail_at(m->err, QN_ELIMIT, at, "over 64 categories in one term");
        QN_TRY(qn_leaf_value(m, &target, name, at, &nodes[n++]));
    }
    QN_TRY(qn_leaf_join_nodes(m, QN_JOIN_OR, nodes, n, at, &joined));
    *out = joined;
    return QN_OK;
}

/* One q: a VECTOR leaf. */
static qn_status build_one(qn_leaf_maker *m, const qn_leaf_target *t, qn_slice text,
                           uint64_t at, const qn_query_vector *settings, qn_query **out)
{
    const qn_field *f = t->fields[0].field;
    float *values = qn_arena_array(m->arena, (size_t)f->dims + 1, sizeof *values);
    if (values == NULL) return qn_fail(m->err, QN_ENOMEM, "vector term");
    QN_TRY(qn_leaf_new(m, QN_QUERY_VECTOR, t, at, out));
    (*out)->u.vector = *settings;
    (*out)->u.vector.values = values;
    if (!begins_number(text) && m->env->embed != NULL && f->model != NULL)
        return m->env->embed(m->env->embed_ctx, f, NULL, qn_slice_trim(text), values,
                             m->err);
    const char *hash = memchr(text.p, '#', text.n);
    if (hash != NULL) {
        size_t n = (size_t)(hash - text.p);
        QN_TRY(
            read_categories(m, t, (qn_slice){text.p, n}, at, &(*out)->u.vector.filter));
        text = (qn_slice){hash + 1, text.n - n - 1};
        if (memchr(text.p, '#', text.n) != NULL)
            return wrong_term(m, t, at, "two '#' in one vector:", text);
    }
    return read_numbers(m, t, text, at, values);
}

qn_status qn_ha3__vector_term(qn_leaf_maker *m, const qn_leaf_target *t, qn_slice text,
                              uint64_t at, qn_query **out)
{
    QN_TRY(decode(m, &text));
    vector_term term = {0};
    QN_TRY(split_keys(m, t, text, at, &term));
    qn_query_vector settings = {0};
    QN_TRY(read_settings(m, t, at, &term, &settings));
    if (settings.k == 0) return qn_leaf_new(m, QN_QUERY_NONE, NULL, at, out);
    qn_query *nodes[QN_QUERY_VECTORS_MAX];
    size_t n = 0;
    qn_slice rest = term.queries, one;
    while (qn_ha3__next_piece(&rest, ';', &one)) {
        if (n == QN_QUERY_VECTORS_MAX)
            return qn_fail_at(m->err, QN_ELIMIT, at,
                              "at most %d vector clauses are allowed",
                              QN_QUERY_VECTORS_MAX);
        QN_TRY(build_one(m, t, one, at, &settings, &nodes[n++]));
    }
    if (n == 0) return read_numbers(m, t, rest, at, &(float){0});
    return qn_leaf_join_nodes(m, QN_JOIN_OR, nodes, n, at, out);
}

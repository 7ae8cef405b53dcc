/* SPDX-License-Identifier: Apache-2.0 */
#include "query/dsl/dsl_internal.h"

#include <math.h>

typedef struct knn_section {
    const qn_json *field, *vector, *builder, *filter, *similarity;
    int64_t k, candidates;
    const qn_json *k_at, *candidates_at;
    qn_dsl_common common;
} knn_section;

static qn_status fail_knn(qn_dsl *d, const qn_json *v, const char *text)
{
    return qn_fail_at(d->make.err, QN_EINVAL, qn_dsl__at(d, v), "%s", text);
}

static qn_status knn_member(qn_dsl *d, const qn_json *m, knn_section *s)
{
    bool taken;
    QN_TRY(qn_dsl__common(d, "knn", m, &s->common, &taken));
    if (taken) return QN_OK;
    if (qn_dsl__key_is(m, "field")) {
        s->field = m;
    } else if (qn_dsl__key_is(m, "query_vector")) {
        s->vector = m;
    } else if (qn_dsl__key_is(m, "query_vector_builder")) {
        s->builder = m;
    } else if (qn_dsl__key_is(m, "filter")) {
        s->filter = m;
    } else if (qn_dsl__key_is(m, "similarity")) {
        s->similarity = m;
    } else if (qn_dsl__key_is(m, "k")) {
        s->k_at = m;
        return qn_dsl__i64(d, m, &s->k);
    } else if (qn_dsl__key_is(m, "num_candidates")) {
        s->candidates_at = m;
        return qn_dsl__i64(d, m, &s->candidates);
    } else if (!qn_dsl__key_is(m, "rescore_vector") &&
               !qn_dsl__key_is(m, "visit_percentage")) {
        /* Those two tune approximate search. */
        return qn_dsl__unknown_key(d, "knn", m);
    }
    return QN_OK;
}

/* How many to keep and to look at. */
static qn_status knn_sizes(qn_dsl *d, const qn_json *v, uint32_t size, bool section,
                           knn_section *s)
{
    const int64_t most = QN_QUERY_VECTOR_K_MAX;
    if (s->k_at == NULL)
        s->k = !section && s->candidates_at != NULL ? s->candidates : (int64_t)size;
    if (s->k_at == NULL && s->k < 1) s->k = 1;
    if (s->candidates_at == NULL) {
        s->candidates = (int64_t)((double)s->k * 1.5);
        if (s->candidates > most) s->candidates = most;
        if (s->candidates < s->k) s->candidates = s->k;
    }
    if (s->k_at == NULL && s->k > s->candidates) s->k = s->candidates;
    if (s->k < 1) return fail_knn(d, v, "[k] must be greater than 0");
    if (s->candidates_at != NULL && s->candidates > most)
        return fail_knn(d, s->candidates_at, "[num_candidates] cannot exceed [10000]");
    if (s->k > most) return fail_knn(d, v, "[k] cannot exceed [10000]");
    if (s->candidates < s->k)
        return fail_knn(d, v, "[num_candidates] cannot be less than [k]");
    return QN_OK;
}

static qn_status read_vector(qn_dsl *d, const qn_json *v, const qn_field *f, float *out)
{
    if (v->kind != QN_JSON_ARRAY)
        return qn_fail_at(d->make.err, QN_EUNSUPPORTED, qn_dsl__at(d, v),
                          "[query_vector] must be an array of numbers");
    if (v->count != f->dims)
        return qn_fail_at(d->make.err, QN_EDIMS, qn_dsl__at(d, v),
                          "the query vector has a different dimension [%zu] than the "
                          "index vectors [%u]",
                          v->count, f->dims);
    for (const qn_json *x = v->first; x != NULL; x = x->next)
        QN_TRY(qn_dsl__float(d, x, out++));
    return QN_OK;
}

/* {"text_embedding": {"model_id": ..., "model_text": ...}} */
static qn_status build_vector(qn_dsl *d, const qn_json *v, const qn_field *f,
                              float *out)
{
    const qn_json *how = qn_json_get(v, "text_embedding");
    const qn_json *text = qn_json_get(how, "model_text");
    const qn_json *model = qn_json_get(how, "model_id");
    if (text == NULL || text->kind != QN_JSON_STRING)
        return qn_fail_at(d->make.err, QN_EUNSUPPORTED, qn_dsl__at(d, v),
                          "[query_vector_builder] must be a [text_embedding] with a "
                          "[model_text]");
    if (d->make.env->embed == NULL)
        return qn_fail_at(d->make.err, QN_EUNSUPPORTED, qn_dsl__at(d, v),
                          "[query_vector_builder]: there is no model to embed with");
    char *name = NULL;
    if (model != NULL && model->kind == QN_JSON_STRING) {
        name = qn_arena_strndup(d->make.arena, model->string.p, model->string.n);
        if (name == NULL) return qn_fail(d->make.err, QN_ENOMEM, "knn query");
    }
    return d->make.env->embed(d->make.env->embed_ctx, f, name, text->string, out,
                              d->make.err);
}

/* The raw metric that is still let through. Elasticsearch's l2_norm similarity is a
 * distance, ours its square. */
static qn_status read_similarity(qn_dsl *d, const knn_section *s, const qn_field *f,
                                 qn_query_vector *v)
{
    if (s->similarity == NULL || s->similarity->kind == QN_JSON_NULL) return QN_OK;
    QN_TRY(qn_dsl__float(d, s->similarity, &v->threshold));
    v->has_threshold = true;
    if (f->metric == QN_METRIC_L2) v->threshold *= v->threshold;
    return QN_OK;
}

/* A query or an array of them, and the filter from outside. */
static qn_status read_filter(qn_dsl *d, const knn_section *s, const qn_query *outer,
                             const qn_query **out)
{
    *out = outer;
    if (s->filter == NULL) return QN_OK;
    bool array = s->filter->kind == QN_JSON_ARRAY;
    const qn_json *v = array ? s->filter->first : s->filter;
    size_t n = array ? s->filter->count : 1;
    if (n > QN_QUERY_CLAUSES_MAX)
        return qn_fail_at(d->make.err, QN_ELIMIT, qn_dsl__at(d, s->filter),
                          "too many clauses, maxClauseCount is set to %d",
                          QN_QUERY_CLAUSES_MAX);
    const qn_query **p = qn_arena_array(d->make.arena, n + 1, sizeof *p);
    if (p == NULL) return qn_fail(d->make.err, QN_ENOMEM, "knn query");
    n = 0;
    for (; v != NULL; v = array ? v->next : NULL) {
        QN_TRY(qn_dsl__query(d, v, &p[n]));
        n++;
    }
    if (outer != NULL) p[n++] = outer;
    if (n == 0) return QN_OK;
    qn_query *q;
    QN_TRY(qn_leaf_new(&d->make, QN_QUERY_BOOL, NULL, qn_dsl__at(d, s->filter), &q));
    q->u.boolean.filter = (qn_query_list){p, n};
    *out = n == 1 ? p[0] : q;
    return QN_OK;
}

static qn_status knn_leaf(qn_dsl *d, const qn_json *body, const knn_section *s,
                          const qn_leaf_target *t, const qn_query *outer,
                          qn_query **out)
{
    const qn_field *f = t->field_count > 0 ? t->fields[0].field : NULL;
    if (f == NULL || f->type != QN_FIELD_VECTOR)
        return qn_fail_at(d->make.err, QN_EFIELDTYPE, qn_dsl__at(d, s->field),
                          "[knn] queries are only supported on [dense_vector] fields");
    float *values = qn_arena_array(d->make.arena, (size_t)f->dims + 1, sizeof *values);
    if (values == NULL) return qn_fail(d->make.err, QN_ENOMEM, "knn query");
    if (s->vector != NULL)
        QN_TRY(read_vector(d, s->vector, f, values));
    else
        QN_TRY(build_vector(d, s->builder, f, values));
    QN_TRY(qn_leaf_new(&d->make, QN_QUERY_VECTOR, t, qn_dsl__at(d, body), out));
    qn_query_vector *v = &(*out)->u.vector;
    *v = (qn_query_vector){.values = values,
                           .k = (uint32_t)s->k,
                           .num_candidates = (uint32_t)s->candidates,
                           .search_params = {"", 0}};
    QN_TRY(read_similarity(d, s, f, v));
    return read_filter(d, s, outer, &v->filter);
}

/* `section`: the top-level form. */
static qn_status parse_knn(qn_dsl *d, const qn_json *body, uint32_t size, bool section,
                           const qn_query *outer, const qn_query **out)
{
    QN_TRY(qn_dsl__object(d, "knn", body));
    knn_section s = {.common = QN_DSL_COMMON};
    for (const qn_json *m = body->first; m != NULL; m = m->next)
        QN_TRY(knn_member(d, m, &s));
    if (s.field == NULL || s.field->kind != QN_JSON_STRING)
        return fail_knn(d, body, "[knn] requires a [field]");
    if ((s.vector == NULL) == (s.builder == NULL))
        return fail_knn(d, body,
                        "[knn] requires either [query_vector] or "
                        "[query_vector_builder], and not both");
    QN_TRY(knn_sizes(d, body, size, section, &s));
    qn_leaf_target target;
    bool known;
    QN_TRY(qn_dsl__target(d, s.field->string, s.field, &target, &known));
    qn_query *q = NULL;
    if (known) QN_TRY(knn_leaf(d, body, &s, &target, outer, &q));
    return qn_dsl__finish(d, body, q, &s.common, out);
}

qn_status qn_dsl__knn(qn_dsl *d, const char *type, const qn_json *body,
                      const qn_query **out)
{
    (void)type;
    return parse_knn(d, body, d->size, false, NULL, out);
}

qn_status qn_dsl_parse_knn(qn_arena *arena, const qn_query_env *env, qn_slice text,
                           const qn_json *node, uint32_t size,
                           QN_NULLABLE const qn_query *filter, const qn_query **out,
                           qn_error *err)
{
    qn_dsl d = {.make = {arena, env, err}, .text = text, .size = size};
    return parse_knn(&d, node, size, true, filter, out);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Vector leaves run before anything else, over the whole snapshot: each segment gives
 * its best k, the best k of all are kept and become a list of documents. Filters come
 * first: the leaf's own, the request's filter clause, and deletions. */
#include "query/filters.h"
#include "vec/vindex.h"

#include <math.h>
#include <stdlib.h>

static qn_status no_memory(qn_planner *p)
{
    return qn_fail(p->err, QN_ENOMEM, "vector query");
}

static bool nearer(const qn_field *f, float a, float b)
{
    return f->metric == QN_METRIC_L2 ? a < b : a > b;
}

float qn_vector_score(const qn_field *field, float metric)
{
    if (field->metric == QN_METRIC_L2) return 1.0f / (1.0f + metric);
    if (field->metric == QN_METRIC_DOT && field->any_length)
        return metric < 0.0f ? 1.0f / (1.0f - metric) : metric + 1.0f;
    if (field->metric == QN_METRIC_DOT && field->element == QN_ELEMENT_I8)
        return 0.5f + metric / (float)(field->dims * 32768.0);
    float score = (1.0f + metric) / 2.0f;
    return score > 0.0f ? score : 0.0f;
}

float qn_plan_vector_score(const qn_planner *p, const qn_plan *plan, float metric)
{
    if (!p->options->vector_in_score) return 0.0f;
    return plan->boost * qn_vector_score(plan->query->fields[0].field, metric);
}

/* ---- what a segment lets through -------------------------------------------------- */

/* Bits of the documents that the request's filter keeps, asked for once. */
static qn_status accept_filter(qn_planner *p, size_t segment, uint64_t *bits)
{
    enum { RUN = 256 };
    const qn_exec_options *o = p->options;
    uint32_t docs[RUN];
    bool keep[RUN];
    uint32_t count = p->snapshot->segments[segment].doc_count;
    for (uint32_t doc = 0; doc < count;) {
        size_t n = 0;
        for (; doc < count && n < RUN; doc++)
            if (qn_bitset_has(bits, doc)) docs[n++] = doc;
        if (n == 0) continue;
        QN_TRY(o->filter(o->filter_ctx, segment, docs, n, keep, p->err));
        for (size_t i = 0; i < n; i++)
            if (!keep[i]) qn_bitset_remove(bits, docs[i]);
    }
    return QN_OK;
}

static qn_status accept_subtree(qn_planner *p, size_t segment, const qn_query *filter,
                                qn_arena *scratch, uint64_t *bits)
{
    qn_plan *plan;
    QN_TRY(qn_plan_build(p, filter, 1.0f, false, &plan));
    qn_iter_maker m = {.planner = p,
                       .segment = segment,
                       .view = &p->snapshot->segments[segment],
                       .scratch = scratch,
                       .err = p->err};
    qn_filter_bits found;
    QN_TRY(qn_filter_fill(&m, plan, &found));
    memcpy(bits, found.words, qn_bitset_words(m.view->doc_count) * sizeof *bits);
    return QN_OK;
}

/* NULL when every document is let through. */
static qn_status accept_bits(qn_planner *p, size_t segment, const qn_query *filter,
                             qn_arena *scratch, uint64_t **out)
{
    const qn_segment_view *s = &p->snapshot->segments[segment];
    *out = NULL;
    if (filter == NULL && p->options->filter == NULL && s->deleted == NULL)
        return QN_OK;
    size_t words = qn_bitset_words(s->doc_count);
    uint64_t *bits = *out = qn_arena_array(scratch, words + 1, sizeof *bits);
    if (bits == NULL) return no_memory(p);
    if (filter != NULL)
        QN_TRY(accept_subtree(p, segment, filter, scratch, bits));
    else
        memset(bits, 0xFF, words * sizeof *bits);
    for (size_t i = 0; s->deleted != NULL && i < words; i++) bits[i] &= ~s->deleted[i];
    if (s->doc_count % 64 != 0)
        bits[words - 1] &= UINT64_MAX >> (64 - s->doc_count % 64);
    return p->options->filter == NULL ? QN_OK : accept_filter(p, segment, bits);
}

/* ---- one leaf ------------------------------------------------------------------------ */

/* The greatest (or least) metric still let through. */
static float threshold_of(const qn_query_vector *v, const qn_field *f)
{
    if (!v->strict) return v->threshold;
    return nextafterf(v->threshold, f->metric == QN_METRIC_L2 ? -HUGE_VALF : HUGE_VALF);
}

static const struct qn_vindex *index_of(const qn_segment_view *s, const qn_field *f)
{
    for (size_t i = 0; i < s->vector_count; i++)
        if (s->vectors[i].field_id == f->id) return s->vectors[i].index;
    return NULL;
}

/* Searches one segment, appending to `hits`. Out of time is no error: what was found
 * stays. */
static qn_status search_segment(qn_planner *p, const qn_query *q, size_t segment,
                                qn_vec_hit *found, qn_vector_hits *hits,
                                qn_vector_hit *room)
{
    const qn_field *f = q->fields[0].field;
    const qn_segment_view *s = &p->snapshot->segments[segment];
    const struct qn_vindex *index = index_of(s, f);
    if (index == NULL) return QN_OK;
    qn_arena scratch;
    qn_arena_init(&scratch, p->arena->alloc, p->arena->limit_bytes);
    uint64_t *accept;
    size_t n = 0;
    qn_status st = accept_bits(p, segment, q->u.vector.filter, &scratch, &accept);
    if (st == QN_OK) {
        qn_vindex_query ask = {.vector = q->u.vector.values,
                               .dims = f->dims,
                               .k = q->u.vector.k,
                               .has_threshold = q->u.vector.has_threshold,
                               .threshold = threshold_of(&q->u.vector, f),
                               .accept = accept,
                               .deadline = p->options->deadline};
        st = qn_vindex_search(index, &ask, found, &n, p->err);
    }
    if (st == QN_ETIMEOUT) {
        p->timed_out = true;
        st = QN_OK;
    }
    for (size_t i = 0; st == QN_OK && i < n; i++)
        room[hits->count++] =
            (qn_vector_hit){(uint32_t)segment, found[i].doc, found[i].value};
    qn_arena_deinit(&scratch);
    return st;
}

/* Document order. */
static int by_place(const void *a, const void *b)
{
    const qn_vector_hit *x = a, *y = b;
    if (x->segment != y->segment) return x->segment < y->segment ? -1 : 1;
    return (x->doc > y->doc) - (x->doc < y->doc);
}

static int by_least(const void *a, const void *b)
{
    const qn_vector_hit *x = a, *y = b;
    if (x->metric != y->metric) return x->metric < y->metric ? -1 : 1;
    return by_place(a, b);
}

static int by_greatest(const void *a, const void *b)
{
    const qn_vector_hit *x = a, *y = b;
    if (x->metric != y->metric) return x->metric > y->metric ? -1 : 1;
    return by_place(a, b);
}

static qn_status run_leaf(qn_planner *p, const qn_query *q, qn_vector_hits *hits)
{
    size_t k = q->u.vector.k, segments = p->snapshot->segment_count;
    hits->leaf = q;
    qn_alloc *alloc = p->arena->alloc;
    /* A segment's k, and those kept so far with the next segment's. */
    qn_vec_hit *found = qn_new_array(alloc, k, sizeof *found);
    qn_vector_hit *room = qn_new_array(alloc, 2 * k, sizeof *room);
    qn_status st = found == NULL || room == NULL ? no_memory(p) : QN_OK;
    bool l2 = q->fields[0].field->metric == QN_METRIC_L2;
    for (size_t i = 0; st == QN_OK && i < segments && !p->timed_out; i++) {
        st = search_segment(p, q, i, found, hits, room);
        if (st != QN_OK || hits->count <= k) continue;
        qsort(room, hits->count, sizeof *room, l2 ? by_least : by_greatest);
        hits->count = k;
    }
    if (st == QN_OK) {
        qsort(room, hits->count, sizeof *room, by_place);
        qn_vector_hit *kept = qn_arena_array(p->arena, hits->count + 1, sizeof *kept);
        if (kept == NULL) st = no_memory(p);
        if (kept != NULL) memcpy(kept, room, hits->count * sizeof *kept);
        hits->hits = kept;
    }
    qn_delete(alloc, found);
    qn_delete(alloc, room);
    return st;
}

/* ---- the tree -------------------------------------------------------------------------- */

static qn_status visit(qn_planner *p, const qn_query *q);

static qn_status visit_list(qn_planner *p, qn_query_list list)
{
    for (size_t i = 0; i < list.n; i++) QN_TRY(visit(p, list.p[i]));
    return QN_OK;
}

static qn_status visit(qn_planner *p, const qn_query *q)
{
    switch (q->kind) {
    case QN_QUERY_BOOL:
        QN_TRY(visit_list(p, q->u.boolean.must));
        QN_TRY(visit_list(p, q->u.boolean.should));
        QN_TRY(visit_list(p, q->u.boolean.filter));
        return visit_list(p, q->u.boolean.must_not);
    case QN_QUERY_DISMAX:
        return visit_list(p, q->u.dismax.children);
    case QN_QUERY_CONSTANT:
        return visit(p, q->u.child);
    case QN_QUERY_VECTOR:
        if (q->u.vector.filter != NULL) QN_TRY(visit(p, q->u.vector.filter));
        if (p->vector_count == QN_QUERY_VECTORS_MAX)
            return qn_fail_at(p->err, QN_ELIMIT, q->at,
                              "at most %d vector clauses are allowed",
                              QN_QUERY_VECTORS_MAX);
        QN_TRY(run_leaf(p, q, &p->vectors[p->vector_count]));
        p->vector_count++;
        return QN_OK;
    default:
        return QN_OK;
    }
}

qn_status qn_plan_vectors(qn_planner *p, const qn_query *query)
{
    p->vectors = qn_arena_array(p->arena, QN_QUERY_VECTORS_MAX, sizeof *p->vectors);
    if (p->vectors == NULL) return no_memory(p);
    return visit(p, query);
}

bool qn_exec_vector_metric(const qn_exec_result *r, uint32_t field_id, uint32_t segment,
                           uint32_t doc, float *metric)
{
    bool found = false;
    const qn_vector_hit wanted = {segment, doc, 0};
    for (size_t i = 0; i < r->vector_count; i++) {
        const qn_vector_hits *v = &r->vectors[i];
        const qn_field *f = v->leaf->fields[0].field;
        if (f->id != field_id || v->count == 0) continue;
        const qn_vector_hit *hit =
            bsearch(&wanted, v->hits, v->count, sizeof *v->hits, by_place);
        if (hit == NULL || (found && !nearer(f, hit->metric, *metric))) continue;
        *metric = hit->metric;
        found = true;
    }
    return found;
}

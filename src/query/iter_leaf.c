/* SPDX-License-Identifier: Apache-2.0 */
/* Iterators that need no postings, and the choice of one for a plan. */
#include "query/filters.h"

static qn_status no_memory(qn_iter_maker *m)
{
    return qn_fail(m->err, QN_ENOMEM, "query iterator");
}

qn_status qn_iter_window_by_steps(qn_iter *it, qn_window *w, qn_error *err)
{
    QN_TRY(qn_iter_reach(it, w->base, err));
    while (it->doc < w->limit) {
        float score;
        QN_TRY(it->kind->score(it, &score, err));
        qn_window_add(w, it->doc, score);
        QN_TRY(it->kind->next(it, err));
    }
    return QN_OK;
}

/* ---- all ------------------------------------------------------------------------- */

typedef struct all_iter {
    qn_iter base;
    uint32_t limit;
    float score;
} all_iter;

static qn_status all_seek(qn_iter *it, uint32_t target, qn_error *err)
{
    (void)err;
    if (target > it->doc)
        it->doc = target < ((all_iter *)it)->limit ? target : QN_DOC_END;
    return QN_OK;
}

static qn_status all_next(qn_iter *it, qn_error *err)
{
    return it->doc == QN_DOC_END ? QN_OK : all_seek(it, it->doc + 1, err);
}

static qn_status all_score(qn_iter *it, float *score, qn_error *err)
{
    (void)err;
    *score = ((all_iter *)it)->score;
    return QN_OK;
}

static const qn_iter_kind all_kind = {all_next, all_seek, all_score, NULL};

qn_status qn_iter_make_all(qn_iter_maker *m, float score, qn_iter **out)
{
    *out = NULL;
    if (m->view->doc_count == 0) return QN_OK;
    all_iter *it = qn_arena_new(m->scratch, sizeof *it);
    if (it == NULL) return no_memory(m);
    *it = (all_iter){{&all_kind, 0, m->view->doc_count}, m->view->doc_count, score};
    *out = &it->base;
    return QN_OK;
}

/* ---- a list ---------------------------------------------------------------------- */

typedef struct list_iter {
    qn_iter base;
    const uint32_t *docs;
    const float *scores;
    size_t n, i;
    float score;
} list_iter;

static qn_status list_to(list_iter *it, size_t i)
{
    it->i = i;
    it->base.doc = i < it->n ? it->docs[i] : QN_DOC_END;
    return QN_OK;
}

static qn_status list_next(qn_iter *it, qn_error *err)
{
    (void)err;
    list_iter *l = (list_iter *)it;
    return list_to(l, l->i < l->n ? l->i + 1 : l->n);
}

static qn_status list_seek(qn_iter *it, uint32_t target, qn_error *err)
{
    (void)err;
    list_iter *l = (list_iter *)it;
    size_t low = l->i, high = l->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (l->docs[middle] < target)
            low = middle + 1;
        else
            high = middle;
    }
    return list_to(l, low);
}

static qn_status list_score(qn_iter *it, float *score, qn_error *err)
{
    (void)err;
    const list_iter *l = (const list_iter *)it;
    *score = l->scores == NULL ? l->score : l->scores[l->i];
    return QN_OK;
}

static const qn_iter_kind list_kind = {list_next, list_seek, list_score, NULL};

qn_status qn_iter_make_list(qn_iter_maker *m, const uint32_t *docs, const float *scores,
                            size_t n, float score, qn_iter **out)
{
    *out = NULL;
    if (n == 0) return QN_OK;
    list_iter *it = qn_arena_new(m->scratch, sizeof *it);
    if (it == NULL) return no_memory(m);
    *it = (list_iter){{&list_kind, docs[0], n}, docs, scores, n, 0, score};
    *out = &it->base;
    return QN_OK;
}

/* ---- a bit set -------------------------------------------------------------------- */

typedef struct bits_iter {
    qn_iter base;
    const uint64_t *bits;
    uint32_t limit;
    float score;
} bits_iter;

static qn_status bits_seek(qn_iter *it, uint32_t target, qn_error *err)
{
    (void)err;
    const bits_iter *b = (const bits_iter *)it;
    it->doc = QN_DOC_END;
    if (target >= b->limit) return QN_OK;
    size_t word = target / 64, words = qn_bitset_words(b->limit);
    uint64_t left = b->bits[word] & (UINT64_MAX << (target % 64));
    while (left == 0 && ++word < words) left = b->bits[word];
    if (left != 0) it->doc = (uint32_t)(word * 64) + (uint32_t)__builtin_ctzll(left);
    return QN_OK;
}

static qn_status bits_next(qn_iter *it, qn_error *err)
{
    return it->doc == QN_DOC_END ? QN_OK : bits_seek(it, it->doc + 1, err);
}

static qn_status bits_score(qn_iter *it, float *score, qn_error *err)
{
    (void)err;
    *score = ((const bits_iter *)it)->score;
    return QN_OK;
}

static const qn_iter_kind bits_kind = {bits_next, bits_seek, bits_score, NULL};

qn_status qn_iter_make_bits(qn_iter_maker *m, const uint64_t *bits, float score,
                            qn_iter **out)
{
    uint64_t count = 0;
    for (size_t i = 0; i < qn_bitset_words(m->view->doc_count); i++)
        count += (uint64_t)__builtin_popcountll(bits[i]);
    return qn_iter_make_counted_bits(m, bits, count, score, out);
}

qn_status qn_iter_make_counted_bits(qn_iter_maker *m, const uint64_t *bits,
                                    uint64_t count, float score, qn_iter **out)
{
    *out = NULL;
    if (count == 0) return QN_OK;
    bits_iter *it = qn_arena_new(m->scratch, sizeof *it);
    if (it == NULL) return no_memory(m);
    *it = (bits_iter){{&bits_kind, 0, count}, bits, m->view->doc_count, score};
    *out = &it->base;
    return bits_seek(&it->base, 0, m->err);
}

/* ---- another score ------------------------------------------------------------------ */

typedef struct constant_iter {
    qn_iter base;
    qn_iter *child;
    float score;
} constant_iter;

static qn_status constant_next(qn_iter *it, qn_error *err)
{
    constant_iter *c = (constant_iter *)it;
    QN_TRY(c->child->kind->next(c->child, err));
    it->doc = c->child->doc;
    return QN_OK;
}

static qn_status constant_seek(qn_iter *it, uint32_t target, qn_error *err)
{
    constant_iter *c = (constant_iter *)it;
    QN_TRY(qn_iter_reach(c->child, target, err));
    it->doc = c->child->doc;
    return QN_OK;
}

static qn_status constant_score(qn_iter *it, float *score, qn_error *err)
{
    (void)err;
    *score = ((const constant_iter *)it)->score;
    return QN_OK;
}

static const qn_iter_kind constant_kind = {constant_next, constant_seek, constant_score,
                                           NULL};

qn_status qn_iter_make_constant(qn_iter_maker *m, qn_iter *child, float score,
                                qn_iter **out)
{
    *out = NULL;
    if (child == NULL) return QN_OK;
    constant_iter *it = qn_arena_new(m->scratch, sizeof *it);
    if (it == NULL) return no_memory(m);
    *it = (constant_iter){{&constant_kind, child->doc, child->cost}, child, score};
    *out = &it->base;
    return QN_OK;
}

/* ---- vectors' hits, ids ------------------------------------------------------------ */

static qn_status make_vector(qn_iter_maker *m, const qn_plan *plan, qn_iter **out)
{
    const qn_planner *p = m->planner;
    *out = NULL;
    if (plan->vector >= p->vector_count) return QN_OK;
    const qn_vector_hits *hits = &p->vectors[plan->vector];
    size_t begin = 0, end;
    while (begin < hits->count && hits->hits[begin].segment < m->segment) begin++;
    for (end = begin; end < hits->count && hits->hits[end].segment == m->segment;)
        end++;
    uint32_t *docs = qn_arena_array(m->scratch, end - begin + 1, sizeof *docs);
    float *scores = qn_arena_array(m->scratch, end - begin + 1, sizeof *scores);
    if (docs == NULL || scores == NULL) return no_memory(m);
    for (size_t i = begin; i < end; i++) {
        docs[i - begin] = hits->hits[i].doc;
        if (plan->scores)
            scores[i - begin] = qn_plan_vector_score(p, plan, hits->hits[i].metric);
    }
    return qn_iter_make_list(m, docs, scores, end - begin, 0.0f, out);
}

static qn_status make_ids(qn_iter_maker *m, const qn_plan *plan, qn_iter **out)
{
    const qn_query *q = plan->query;
    size_t words = qn_bitset_words(m->view->doc_count);
    uint64_t *bits = qn_arena_array(m->scratch, words + 1, sizeof *bits);
    if (bits == NULL) return no_memory(m);
    for (size_t i = 0; i < q->term_count; i++) {
        uint32_t doc;
        QN_TRY(qn_segment_find(m->view->segment, q->terms[i].bytes, &doc, m->err));
        if (doc != QN_DOC_END) qn_bitset_add(bits, doc);
    }
    return qn_iter_make_bits(m, bits, plan->scores ? plan->boost : 0.0f, out);
}

static qn_status make_constant(qn_iter_maker *m, const qn_plan *plan, qn_iter **out)
{
    qn_iter *child;
    QN_TRY(qn_filter_iter(m, plan->child, &child));
    return qn_iter_make_constant(m, child, plan->scores ? plan->boost : 0.0f, out);
}

qn_status qn_iter_make(qn_iter_maker *m, const qn_plan *plan, qn_iter **out)
{
    *out = NULL;
    switch (plan->query->kind) {
    case QN_QUERY_ALL:
        return qn_iter_make_all(m, plan->scores ? plan->boost : 0, out);
    case QN_QUERY_NONE:
        return QN_OK;
    case QN_QUERY_TERM:
        return qn_iter_make_term(m, plan, out);
    case QN_QUERY_PHRASE:
        return qn_iter_make_phrase(m, plan, out);
    case QN_QUERY_RANGE:
    case QN_QUERY_SET:
    case QN_QUERY_EXISTS:
        return qn_iter_make_values(m, plan, out);
    case QN_QUERY_GEO:
        return qn_iter_make_geo(m, plan, out);
    case QN_QUERY_IDS:
        return make_ids(m, plan, out);
    case QN_QUERY_VECTOR:
        return make_vector(m, plan, out);
    case QN_QUERY_BOOL:
    case QN_QUERY_DISMAX:
        return qn_iter_make_bool(m, plan, out);
    case QN_QUERY_CONSTANT:
        return make_constant(m, plan, out);
    }
    return QN_OK;
}

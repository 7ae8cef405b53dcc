/* SPDX-License-Identifier: Apache-2.0 */
#include "query/filters.h"

#include "index/column_overlay.h"

enum { DENSE = 64 }; /* a word in every 64th document or more is kept as bits */

static qn_status no_memory(qn_iter_maker *m)
{
    return qn_fail(m->err, QN_ENOMEM, "filter");
}

/* ---- making -------------------------------------------------------------------------- */

static uint32_t count_bits(const uint64_t *words, uint32_t doc_count)
{
    uint64_t n = 0;
    for (size_t i = 0; i < qn_bitset_words(doc_count); i++)
        n += (uint64_t)__builtin_popcountll(words[i]);
    return (uint32_t)n;
}

static qn_status new_words(qn_iter_maker *m, uint64_t **out)
{
    size_t words = qn_bitset_words(m->view->doc_count);
    *out = qn_arena_array(m->scratch, words + 1, sizeof **out);
    return *out == NULL ? no_memory(m) : QN_OK;
}

static qn_status make_bits(qn_iter_maker *m, const qn_plan *plan, qn_filter_bits *out)
{
    uint64_t *words = NULL;
    bool done = false;
    QN_TRY(new_words(m, &words));
    QN_TRY(qn_iter_values_bits(m, plan, words, &done));
    if (!done) {
        qn_iter *it;
        QN_TRY(qn_iter_make(m, plan, &it));
        while (it != NULL && it->doc != QN_DOC_END) {
            qn_bitset_add(words, it->doc);
            QN_TRY(it->kind->next(it, m->err));
        }
    }
    *out = (qn_filter_bits){words, count_bits(words, m->view->doc_count), NULL};
    return QN_OK;
}

/* ---- the cache ------------------------------------------------------------------------ */

/* Rare words and simple walks are as quick without. */
static qn_status is_worth_keeping(qn_iter_maker *m, const qn_plan *plan, bool *yes)
{
    const qn_query *q = plan->query;
    *yes = false;
    if (m->planner->held == NULL || m->planner->snapshot->filters == NULL ||
        m->view->uid == 0 ||
        m->view->doc_count < qn_filter_cache_docs_min(m->planner->snapshot->filters))
        return QN_OK;
    *yes = q->kind != QN_QUERY_ALL && q->kind != QN_QUERY_NONE &&
           q->kind != QN_QUERY_IDS && q->kind != QN_QUERY_VECTOR;
    if (q->kind != QN_QUERY_TERM) return QN_OK;
    uint64_t df = 0;
    for (size_t f = 0; f < q->field_count; f++) {
        for (size_t t = 0; t < q->term_count; t++) {
            qn_term term;
            QN_TRY(qn_segment_term(m->view->segment, q->fields[f].field->id,
                                   q->terms[t].bytes, &term, m->err));
            df += term.doc_freq;
        }
    }
    *yes = df >= m->view->doc_count / DENSE;
    return QN_OK;
}

static bool any_is_newer(const qn_query_list *list, const qn_segment *seg);

/* Does the query ask for a column of which the segment has newer values? */
static bool asks_newer(const qn_query *q, const qn_segment *seg)
{
    for (size_t i = 0; i < q->field_count; i++)
        if (qn_segment_is_newer(seg, q->fields[i].field->id)) return true;
    const qn_query_bool *b = &q->u.boolean;
    switch (q->kind) {
    case QN_QUERY_BOOL:
        return any_is_newer(&b->must, seg) || any_is_newer(&b->should, seg) ||
               any_is_newer(&b->filter, seg) || any_is_newer(&b->must_not, seg);
    case QN_QUERY_DISMAX:
        return any_is_newer(&q->u.dismax.children, seg);
    case QN_QUERY_CONSTANT:
        return asks_newer(q->u.child, seg);
    case QN_QUERY_VECTOR:
        return q->u.vector.filter != NULL && asks_newer(q->u.vector.filter, seg);
    default:
        return false;
    }
}

static bool any_is_newer(const qn_query_list *list, const qn_segment *seg)
{
    for (size_t i = 0; i < list->n; i++)
        if (asks_newer(list->p[i], seg)) return true;
    return false;
}

/* What is kept of a segment outlives its updates, but for filters of what they touch. */
static uint64_t uid_for(const qn_segment_view *v, const qn_query *q)
{
    return v->newer_uid != 0 && asks_newer(q, v->segment) ? v->newer_uid : v->uid;
}

static qn_status find_keyed(qn_iter_maker *m, const qn_plan *plan, qn_slice key,
                            qn_filter_bits *out)
{
    qn_filter_cache *cache = m->planner->snapshot->filters;
    bool wanted = false;
    uint64_t uid = uid_for(m->view, plan->query);
    if (!qn_filter_cache_get(cache, uid, key, out, &wanted)) {
        if (!wanted) return QN_OK;
        QN_TRY(make_bits(m, plan, out));
        const uint64_t *words = out->words;
        uint32_t count = out->count;
        if (!qn_filter_cache_put(cache, uid, key, words, m->view->doc_count, count,
                                 out))
            *out = (qn_filter_bits){words, count, NULL};
    }
    if (out->entry == NULL || qn_planner_hold(m->planner, *out)) return QN_OK;
    qn_filter_bits_release(out);
    return no_memory(m);
}

qn_status qn_filter_find(qn_iter_maker *m, const qn_plan *plan, qn_filter_bits *out)
{
    *out = (qn_filter_bits){0};
    bool worth;
    QN_TRY(is_worth_keeping(m, plan, &worth));
    if (!worth) return QN_OK;
    qn_buf key;
    qn_buf_init(&key, m->scratch->alloc);
    qn_status st = QN_OK;
    if (qn_filter_key(plan->query, &key) && !key.failed)
        st = find_keyed(m, plan, qn_buf_slice(&key), out);
    qn_buf_deinit(&key);
    return st;
}

qn_status qn_filter_fill(qn_iter_maker *m, const qn_plan *plan, qn_filter_bits *out)
{
    QN_TRY(qn_filter_find(m, plan, out));
    return out->words != NULL ? QN_OK : make_bits(m, plan, out);
}

qn_status qn_filter_iter(qn_iter_maker *m, const qn_plan *plan, qn_iter **out)
{
    qn_filter_bits bits;
    QN_TRY(qn_filter_find(m, plan, &bits));
    if (bits.words == NULL) return qn_iter_make(m, plan, out);
    return qn_iter_make_counted_bits(m, bits.words, bits.count, 0.0f, out);
}

/* ---- all together ----------------------------------------------------------------------- */

/* The set becomes the maker's own, to be narrowed. */
static qn_status own(qn_iter_maker *m, qn_filter_bits *b, uint64_t **words)
{
    size_t n = qn_bitset_words(m->view->doc_count);
    QN_TRY(new_words(m, words));
    if (b->words != NULL) {
        memcpy(*words, b->words, n * sizeof **words);
    } else {
        memset(*words, 0xFF, n * sizeof **words);
        if (m->view->doc_count % 64 != 0)
            (*words)[n - 1] = UINT64_MAX >> (64 - m->view->doc_count % 64);
    }
    *b = (qn_filter_bits){*words, 0, NULL};
    return QN_OK;
}

static qn_status narrow(qn_iter_maker *m, qn_filter_bits *all, uint64_t **words,
                        const uint64_t *by, bool without)
{
    size_t n = qn_bitset_words(m->view->doc_count);
    if (*words == NULL) QN_TRY(own(m, all, words));
    for (size_t i = 0; i < n; i++) (*words)[i] &= without ? ~by[i] : by[i];
    return QN_OK;
}

qn_status qn_filter_accept(qn_iter_maker *m, qn_plan_list filters,
                           qn_plan_list must_not, qn_filter_bits *out)
{
    uint64_t *words = NULL; /* of our own, once there are two sets */
    *out = (qn_filter_bits){0};
    if (m->view->doc_count == 0) return QN_OK;
    for (size_t i = 0; i < filters.n; i++) {
        qn_filter_bits one;
        QN_TRY(qn_filter_fill(m, filters.p[i], &one));
        if (i == 0)
            *out = one;
        else
            QN_TRY(narrow(m, out, &words, one.words, false));
    }
    for (size_t i = 0; i < must_not.n; i++) {
        qn_filter_bits one;
        QN_TRY(qn_filter_fill(m, must_not.p[i], &one));
        QN_TRY(narrow(m, out, &words, one.words, true));
    }
    if (m->view->deleted != NULL)
        QN_TRY(narrow(m, out, &words, m->view->deleted, true));
    if (words != NULL) out->count = count_bits(words, m->view->doc_count);
    return QN_OK;
}

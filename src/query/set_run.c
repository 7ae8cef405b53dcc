/* SPDX-License-Identifier: Apache-2.0 */
#include "query/set_run.h"

#include "query/filters.h"

/* The live documents of [64 * word, 64 * word + 64) whose bit is set. */
static uint64_t live_word(const qn_segment_view *v, const uint64_t *accept, size_t word)
{
    uint64_t left = accept == NULL ? UINT64_MAX : accept[word];
    if (v->deleted != NULL) left &= ~v->deleted[word];
    if (v->doc_count - word * 64 < 64)
        left &= UINT64_MAX >> (64 - (v->doc_count - word * 64));
    return left;
}

uint64_t qn_set_count(const qn_segment_view *v, const uint64_t *accept)
{
    uint64_t count = 0;
    for (size_t i = 0; i < qn_bitset_words(v->doc_count); i++)
        count += (uint64_t)__builtin_popcountll(live_word(v, accept, i));
    return count;
}

/* Have all matches of the plan one score, and are they quickly known as a set? */
static bool is_set(const qn_plan *plan, bool no_scores)
{
    switch (plan->query->kind) {
    case QN_QUERY_ALL:
    case QN_QUERY_RANGE:
    case QN_QUERY_EXISTS:
    case QN_QUERY_GEO:
        return true;
    case QN_QUERY_CONSTANT:
        return is_set(plan->child, true);
    case QN_QUERY_BOOL: /* filters score nought */
        return plan->must.n + plan->should.n == 0 &&
               (plan->filter.n > 0 || (no_scores && plan->must_not.n > 0));
    default:
        return false;
    }
}

static qn_status bits_of(qn_iter_maker *m, const qn_plan *plan, qn_filter_bits *out)
{
    *out = (qn_filter_bits){0};
    while (plan->query->kind == QN_QUERY_CONSTANT) plan = plan->child;
    if (plan->query->kind == QN_QUERY_ALL) return QN_OK;
    if (plan->query->kind == QN_QUERY_BOOL)
        return qn_filter_accept(m, plan->filter, plan->must_not, out);
    return qn_filter_fill(m, plan, out);
}

/* The first documents, as many as can still be kept. */
static qn_status add_first(qn_collector *c, const qn_segment_view *v,
                           const uint64_t *accept, float score, uint64_t *added)
{
    uint64_t wanted = c->options->top_n;
    *added = 0;
    for (size_t i = 0; i < qn_bitset_words(v->doc_count); i++) {
        for (uint64_t left = live_word(v, accept, i); left != 0; left &= left - 1) {
            if (*added == wanted) return QN_OK;
            uint32_t doc = (uint32_t)(i * 64) + (uint32_t)__builtin_ctzll(left);
            QN_TRY(qn_collector_add(c, doc, score));
            ++*added;
        }
    }
    return QN_OK;
}

qn_status qn_set_segment(qn_iter_maker *m, const qn_plan *plan, qn_collector *c,
                         bool *done)
{
    const qn_exec_options *o = c->options;
    qn_filter_bits set;
    *done = o->top_n > 0 && o->filter == NULL && !o->has_min_score &&
            is_set(plan, o->no_scores);
    if (!*done) return QN_OK;
    QN_TRY(bits_of(m, plan, &set));
    bool scored = plan->scores && plan->query->kind != QN_QUERY_BOOL;
    uint64_t added = 0, count = qn_set_count(m->view, set.words);
    QN_TRY(add_first(c, m->view, set.words, scored ? plan->boost : 0.0f, &added));
    QN_TRY(qn_collector_flush(c));
    c->total += count - added;
    return QN_OK;
}

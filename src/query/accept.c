/* SPDX-License-Identifier: Apache-2.0 */
#include "query/accept.h"

static void add_bits(qn_accept *a, const uint64_t *words, bool needed)
{
    a->bits[a->bits_count].words = words;
    a->bits[a->bits_count++].flip = needed ? 0 : UINT64_MAX;
}

/* A word that is not very rare is made into bits: cheaper than asking its list for one
 * document after another. *words is NULL when it is not. */
static qn_status word_bits(qn_iter_maker *m, const qn_plan *plan, uint64_t **words)
{
    enum { FROM = 128 };
    *words = NULL;
    if (plan->query->kind != QN_QUERY_TERM || plan->query->term_count != 1 ||
        plan->field_count != 1)
        return QN_OK;
    const qn_term *term = qn_plan_term(plan, 0, 0, m->segment);
    if (term->doc_freq < FROM) return QN_OK;
    qn_postings *p = qn_arena_new(m->scratch, sizeof *p);
    *words = qn_arena_array(m->scratch, qn_bitset_words(m->view->doc_count) + 1,
                            sizeof **words);
    if (p == NULL || *words == NULL)
        return qn_fail(m->err, QN_ENOMEM, "query iterator");
    QN_TRY(qn_segment_postings_open(m->view->segment, term, QN_POSTINGS_LAZY, NULL, p,
                                    m->err));
    return qn_postings_or_bits(p, 0, m->view->doc_count, *words, m->err);
}

/* The filter's bits when the cache has them or they are soon made, else an iterator. */
static qn_status open_one(qn_iter_maker *m, qn_accept *a, const qn_plan *plan,
                          bool needed)
{
    qn_filter_bits bits = {0};
    qn_iter *one = NULL;
    if (a->bits_count < QN_ACCEPT_BITS_MAX) {
        uint64_t *words;
        QN_TRY(qn_filter_find(m, plan, &bits));
        if (bits.words == NULL) {
            QN_TRY(word_bits(m, plan, &words));
            bits.words = words;
            if (words != NULL)
                bits.count = qn_plan_term(plan, 0, 0, m->segment)->doc_freq;
        }
    }
    if (bits.words != NULL) {
        add_bits(a, bits.words, needed);
        if (needed)
            QN_TRY(qn_iter_make_counted_bits(m, bits.words, bits.count, 0.0f, &one));
    } else {
        QN_TRY(qn_iter_make(m, plan, &one));
        if (one != NULL && needed) a->filters[a->filter_count++] = one;
        if (one != NULL && !needed) a->excluded[a->excluded_count++] = one;
    }
    if (!needed) return QN_OK;
    if (one == NULL)
        a->none = true;
    else if (a->lead == NULL || one->cost < a->lead->cost)
        a->lead = one;
    return QN_OK;
}

static qn_status open_lists(qn_iter_maker *m, qn_accept *a, const qn_plan_list *lists,
                            size_t count, bool needed)
{
    size_t room = 0;
    for (size_t i = 0; i < count; i++) room += lists[i].n;
    qn_iter **list = qn_arena_array(m->scratch, room + 1, sizeof(qn_iter *));
    if (list == NULL) return qn_fail(m->err, QN_ENOMEM, "query iterator");
    if (needed)
        a->filters = list;
    else
        a->excluded = list;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < lists[i].n; k++)
            QN_TRY(open_one(m, a, lists[i].p[k], needed));
    return QN_OK;
}

qn_status qn_accept_open(qn_iter_maker *m, const qn_plan_list *filters,
                         size_t filter_lists, const qn_plan_list *excluded,
                         size_t excluded_lists, qn_accept *out)
{
    bool jumps = m->jumps;
    *out = (qn_accept){.none = m->view->doc_count == 0};
    if (m->view->deleted != NULL) add_bits(out, m->view->deleted, false);
    if (filter_lists + excluded_lists == 0) return QN_OK;
    m->jumps = true;
    QN_TRY(open_lists(m, out, filters, filter_lists, true));
    QN_TRY(open_lists(m, out, excluded, excluded_lists, false));
    m->jumps = jumps;
    return QN_OK;
}

qn_iter *qn_accept_lead(qn_accept *a, uint64_t cost)
{
    qn_iter *lead = a->lead;
    if (lead == NULL || lead->cost >= cost) return NULL;
    size_t kept = 0;
    for (size_t i = 0; i < a->filter_count; i++)
        if (a->filters[i] != lead) a->filters[kept++] = a->filters[i];
    a->filter_count = kept;
    a->lead = NULL;
    return lead;
}

static qn_status ask(qn_accept *a, uint32_t doc, bool *keep, qn_error *err)
{
    for (size_t i = 0; i < a->filter_count && *keep; i++) {
        QN_TRY(qn_iter_reach(a->filters[i], doc, err));
        *keep = a->filters[i]->doc == doc;
    }
    for (size_t i = 0; i < a->excluded_count && *keep; i++) {
        QN_TRY(qn_iter_reach(a->excluded[i], doc, err));
        *keep = a->excluded[i]->doc != doc;
    }
    return QN_OK;
}

qn_status qn_accept_test(qn_accept *a, const uint32_t *docs, size_t n, bool bits_said,
                         bool *keep, qn_error *err)
{
    bool asks = qn_accept_asks(a);
    for (size_t i = 0; i < n; i++) {
        keep[i] = !a->none && (bits_said || qn_accept_bit(a, docs[i]));
        if (asks && keep[i]) QN_TRY(ask(a, docs[i], &keep[i], err));
    }
    return QN_OK;
}

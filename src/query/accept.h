/* SPDX-License-Identifier: Apache-2.0 */
/* query/accept.h -- which documents may be among the results, whatever their score: not
 * deleted, let through by every filter, hit by no must_not clause. Private to this
 * module.
 *
 * Bits are tested for whole windows and first; iterators are asked for single documents,
 * in ascending order.
 *
 * Lifetime   in the segment's scratch arena. */
#ifndef QN_QUERY_ACCEPT_H
#define QN_QUERY_ACCEPT_H

#include "query/filters.h"

enum { QN_ACCEPT_BITS_MAX = 8 };

typedef struct qn_accept {
    bool none; /* no document passes */
    struct {
        const uint64_t *words;
        uint64_t flip; /* all ones: those not in it pass */
    } bits[QN_ACCEPT_BITS_MAX];
    size_t bits_count;
    qn_iter **filters, **excluded;
    size_t filter_count, excluded_count;
    QN_NULLABLE qn_iter *lead; /* the filter with the fewest documents */
} qn_accept;

/* `filters` must all match, none of `excluded` may. */
QN_MUST_CHECK qn_status qn_accept_open(qn_iter_maker *m, const qn_plan_list *filters,
                                       size_t filter_lists,
                                       const qn_plan_list *excluded,
                                       size_t excluded_lists, qn_accept *out);

/* The filter that leads when it has fewer than `cost` documents: its documents are then
 * walked, and it is not asked any more. NULL: none does. */
QN_NULLABLE qn_iter *qn_accept_lead(qn_accept *a, uint64_t cost);

/* Nothing to test? */
static inline bool qn_accept_all(const qn_accept *a)
{
    return a->bits_count == 0 && a->filter_count == 0 && a->excluded_count == 0 &&
           !a->none;
}

/* Is there anything that bits do not say? */
static inline bool qn_accept_asks(const qn_accept *a)
{
    return a->filter_count + a->excluded_count > 0;
}

/* What the bits say of documents [64 * word, 64 * word + 64). */
static inline uint64_t qn_accept_word(const qn_accept *a, size_t word)
{
    uint64_t w = UINT64_MAX;
    for (size_t i = 0; i < a->bits_count; i++)
        w &= a->bits[i].words[word] ^ a->bits[i].flip;
    return w;
}

static inline bool qn_accept_bit(const qn_accept *a, uint32_t doc)
{
    return a->bits_count == 0 || ((qn_accept_word(a, doc / 64) >> (doc % 64)) & 1) != 0;
}

/* keep[i]: does docs[i] pass? Documents ascend, also from call to call; with `bits_said`
 * the bits have been looked at already. */
QN_MUST_CHECK qn_status qn_accept_test(qn_accept *a, const uint32_t *docs, size_t n,
                                       bool bits_said, bool *keep, qn_error *err);

#endif

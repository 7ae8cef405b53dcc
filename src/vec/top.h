/* SPDX-License-Identifier: Apache-2.0 */
/* vec/top.h -- the best k of a stream of hits, kept in the caller's array.
 *
 * The array is a heap with the worst kept hit in front, so most candidates are turned
 * away by one comparison. Order is by key, greater first, then by document ascending; a
 * kind that measures distances passes them negated. NaN is never kept.
 *
 * Threads   one collector, one thread. */
#ifndef QN_VEC_TOP_H
#define QN_VEC_TOP_H

#include "vec/vindex.h"

typedef struct qn_top {
    qn_vec_hit *hits; /* value: the key */
    size_t n, k;
    float least; /* a key below this one is of no use */
} qn_top;

/* `least`: -INFINITY where there is no threshold. */
void qn_top_init(qn_top *t, qn_vec_hit *hits, size_t k, float least);
void qn_top__push(qn_top *t, uint32_t doc, float key);
/* Sorts the hits, best first, and returns how many there are. */
size_t qn_top_finish(qn_top *t);

static inline void qn_top_offer(qn_top *t, uint32_t doc, float key)
{
    if (key >= t->least) qn_top__push(t, doc, key); /* false for NaN */
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* check_tree.h -- what holds for every tree that a front end gives out. */
#ifndef QN_FUZZ_CHECK_TREE_H
#define QN_FUZZ_CHECK_TREE_H

#include "query/tree.h"

/* Within the limits, and rewriting it again changes nothing. */
static inline void check_tree(const qn_query *q, qn_arena *arena)
{
    qn_error err = {0};
    const qn_query *again;
    qn_assert(qn_query_check_limits(q, &err) == QN_OK);
    qn_assert(qn_query_rewrite(arena, q, &again, &err) == QN_OK);
    qn_buf a = {.alloc = qn_alloc_heap()}, b = {.alloc = qn_alloc_heap()};
    qn_query_dump(q, &a);
    qn_query_dump(again, &b);
    qn_assert(a.n > 0 && qn_slice_eq(qn_buf_slice(&a), qn_buf_slice(&b)));
    qn_buf_deinit(&a);
    qn_buf_deinit(&b);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* rank/rank_policy.h -- a named policy of the rough or the fine sort, as people write it.
 *
 *   {"formula": "static_bm25()*10 + sale_price*0.08", "description": "..."}
 *   {"features": [{"attribute": "static_bm25()", "weight": 10},          rough only
 *                 {"attribute": "sale_price", "weight": 0.08}]}
 *   {"type": "STRING", "meta": "..."}, {"type": "STRUCT", "meta": [...]}   the same, as
 *                                                         Alibaba's management API has them
 *   static_bm25()*10                                        a bare formula
 *
 * A feature is an attribute or a call; "arg" is what stands between the call's parentheses.
 * Features become the formula (feature)*weight + ..., so a trace tells each of them.
 *
 * Lifetime   texts live in the arena.
 * Errors     QN_EINVAL, QN_ELIMIT with the member's name; QN_EJSON with the place. */
#ifndef QN_RANK_RANK_POLICY_H
#define QN_RANK_RANK_POLICY_H

#include "base/arena.h"

enum {
    QN_RANK_POLICY_FEATURES_MAX = 4, /* of a rough policy */
    QN_RANK_POLICY_WEIGHT_MAX = 100000,
};

typedef struct qn_rank_policy {
    qn_slice formula;
    qn_slice description; /* "" */
} qn_rank_policy;

/* `features`: whether that form may be (a rough policy). */
QN_MUST_CHECK qn_status qn_rank_policy_parse(qn_slice text, bool features,
                                             qn_arena *arena, qn_rank_policy *out,
                                             qn_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* engine/table/merge_policy.h -- which segments to join next.
 *
 * Sizes fall into tiers, each `fan_in` times the one below (what is under `floor_bytes`
 * is all one tier). Only neighbours are joined, because the order of segments is that
 * of arrival. From old to new: a stretch that holds nothing above the tier of its
 * largest is filled until it has `fan_in` segments, which then become one of the tier
 * above. So each document is copied about once a tier.
 *
 * Besides: a segment of which more than `deleted_percent` is deleted, or more than
 * `updated_percent` updated in place, is written anew, alone; when more than `segments_max` stand, the cheapest neighbours are joined, full
 * tier or not. Nothing is joined to more than `bytes_max`. Deleted documents do not
 * count into sizes.
 *
 * Threads    pure functions. */
#ifndef QN_ENGINE_MERGE_POLICY_H
#define QN_ENGINE_MERGE_POLICY_H

#include "engine/table/table.h"

typedef struct qn_merge_policy {
    size_t fan_in;       /* >= 2 */
    size_t segments_max; /* at most so many, as far as bytes_max lets */
    uint64_t floor_bytes, bytes_max;
    uint32_t docs_max;
    unsigned deleted_percent, updated_percent;
} qn_merge_policy;

typedef struct qn_merge_shape {
    uint64_t bytes; /* of the file, deleted documents and all */
    uint32_t docs, deleted, updated;
} qn_merge_shape;

typedef struct qn_merge_choice {
    size_t first, count; /* count 0: nothing to do */
} qn_merge_choice;

qn_merge_choice qn_merge_policy_choose(const qn_merge_policy *p,
                                       const qn_merge_shape *s, size_t n);
/* The same for segments [first, first + n) of the table; under its `write`. */
QN_MUST_CHECK qn_status qn_merge_choose(const qn_table *t, size_t first, size_t n,
                                        const qn_merge_policy *p, qn_merge_choice *out,
                                        qn_error *err);

#endif

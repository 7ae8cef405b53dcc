/* SPDX-License-Identifier: Apache-2.0 */
/* rank/aggregate.h -- groups of matching documents, with counts, sums and extremes: HA3's
 * aggregate clause.
 *
 *     matches of one segment --key--> group numbers --functions--> arrays by group
 *     all groups --order, cut--> qn_facet
 *
 * Everything works on batches: a column's values are decoded together, a keyword's ordinal
 * becomes a group number through one table a segment, and each function is one loop over
 * group numbers and values. Expressions are compiled once and run in the same batches.
 *
 *   key       an attribute or expression; of several values the document counts once in
 *             each group; a tuple [a,b] of single values; with a range the boundary below it.
 *             A document without a value counts as 0 or "", as everywhere in expressions.
 *   sampling  the first `sampler_threshold` documents, then every `sampler_step`-th, whose
 *             counts and sums weigh `sampler_step`; agg_filter comes after the choice
 *   order     by key ascending, or by count descending and then by key; more than
 *             max_group: those of the greatest counts
 *
 * Lifetime   facets live in the arena.
 * Threads    one call, one thread.
 * Errors     what is wrong with an expression, with its place in the request; QN_EAGGTYPE
 *            for functions of texts; QN_EAGGRANGETYPE for ranges over texts. Out of time
 *            is none: what was counted so far is told. Groups past QN_FACET_GROUPS_MAX are
 *            left out with a warning. */
#ifndef QN_RANK_AGGREGATE_H
#define QN_RANK_AGGREGATE_H

#include "rank/pipeline.h"

enum {
    QN_FACET_GROUPS_MAX = 1 << 20,   /* of one aggregation */
    QN_FACET_DISTINCT_MAX = 1 << 22, /* (group, value) pairs of one distinct_count() */
    QN_FACET_WARNINGS_MAX = 8,
};

typedef struct qn_facet_group {
    qn_slice label;
    const qn_sort_value *values; /* one a function: INT or DOUBLE, or of the argument's
                                  * type */
} qn_facet_group;

typedef struct qn_facet {
    const qn_aggregate *asked;
    const qn_facet_group *groups;
    size_t group_count;
    uint64_t groups_found; /* before max_group cut them */
    uint64_t documents;    /* that were looked at */
} qn_facet;

typedef struct qn_facets {
    const qn_facet *p;
    size_t n;
    qn_error warnings[QN_FACET_WARNINGS_MAX];
    size_t warning_count;
    bool timed_out;
} qn_facets;

/* `docs` are all that matched, by (segment, doc). */
QN_MUST_CHECK qn_status qn_aggregate_run(const qn_rank_input *in, qn_arena *arena,
                                         const qn_aggregate *asked, size_t n,
                                         const qn_candidate *docs, size_t count,
                                         qn_facets *out, qn_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* query/plan.h -- a tree made ready for one snapshot: statistics looked up, weights
 * computed, equal clauses joined, vectors searched. Private to this module.
 *
 * What Lucene does before it scores is done here the same way:
 *   - boosts multiply as floats from the root to the leaf;
 *   - equal must clauses, and equal should clauses where one is enough, become one
 *     clause whose boost is the sum (in double) of theirs.
 *
 * Lifetime   a plan lives in the request's arena and borrows snapshot and tree.
 * Threads    immutable once built. */
#ifndef QN_QUERY_PLAN_H
#define QN_QUERY_PLAN_H

#include "index/bm25.h"
#include "index/segment.h"
#include "query/exec.h"
#include "query/filter_cache.h"

/* A leaf in one of its fields. */
typedef struct qn_plan_field {
    const qn_field *field;
    const qn_bm25_field *stats;
    const uint64_t *doc_freqs; /* one a term of the leaf */
    uint64_t doc_freq;         /* TERM: the greatest of them */
    const qn_term *found;      /* segment by segment, the leaf's terms */
    float boost;               /* all boosts and the scale */
    float idf;
    qn_bm25_term bm25;
} qn_plan_field;

typedef struct qn_plan qn_plan;

typedef struct qn_plan_list {
    qn_plan *const *p;
    size_t n;
} qn_plan_list;

struct qn_plan {
    const qn_query *query;
    float boost;           /* from the root down to here, the scale left out */
    bool scores;           /* false under filter, must_not, CONSTANT */
    qn_plan_field *fields; /* TERM, PHRASE */
    size_t field_count;
    size_t vector; /* VECTOR: index into qn_planner.vectors */
    qn_plan_list must, should, filter, must_not; /* should: DISMAX's children too */
    uint32_t should_min;
    qn_plan *child; /* CONSTANT */
};

typedef struct qn_planner {
    const qn_snapshot_view *snapshot;
    const qn_exec_options *options;
    qn_arena *arena;
    qn_error *err;
    float scale;
    qn_bm25_field **stats; /* by place in schema->fields; NULL until asked */
    qn_vector_hits *vectors;
    size_t vector_count;
    bool timed_out;
    struct qn_planner_held *held; /* cached filters in use; private to plan.c */
} qn_planner;

QN_MUST_CHECK qn_status qn_planner_init(qn_planner *p, const qn_snapshot_view *snapshot,
                                        const qn_exec_options *options, qn_arena *arena,
                                        qn_error *err);
/* Lets go of cached filters. Also after init failed. */
void qn_planner_deinit(qn_planner *p);
/* Takes over cached bits until then; false when out of memory. By any thread. */
bool qn_planner_hold(const qn_planner *p, qn_filter_bits bits);

/* `scores`: weights are wanted. */
QN_MUST_CHECK qn_status qn_plan_build(qn_planner *p, const qn_query *query, float boost,
                                      bool scores, qn_plan **out);

/* Runs every VECTOR leaf of the tree, left to right, filters first. Called once before
 * qn_plan_build(). */
QN_MUST_CHECK qn_status qn_plan_vectors(qn_planner *p, const qn_query *query);

/* The leaf's term `which` in `field` as one segment knows it. */
static inline const qn_term *qn_plan_term(const qn_plan *plan, size_t field,
                                          size_t which, size_t segment)
{
    return &plan->fields[field].found[segment * plan->query->term_count + which];
}

/* The score that a vector leaf gives: mapped and boosted, or nought. */
float qn_plan_vector_score(const qn_planner *p, const qn_plan *plan, float metric);

#endif

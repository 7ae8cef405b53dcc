/* SPDX-License-Identifier: Apache-2.0 */
/* query/run.h -- the bulk executors: shapes of queries that are common enough to be run
 * by the block and by the window instead of document by document. Private to this
 * module.
 *
 *     ANY    a word; a union of words; the best of several unions over several fields
 *     PHRASE a phrase without slop
 *     ALL    words and phrases that must match, with words that may
 *
 * either with filters and exclusions around. Everything else is walked by iterators
 * (query/iter.h); what is found is the same to the last bit.
 *
 * `pruning`: once more than total_limit matches are counted and the best n are had,
 * documents that cannot get among them are passed over by upper bounds, and the total
 * stays behind. */
#ifndef QN_QUERY_RUN_H
#define QN_QUERY_RUN_H

#include "query/accept.h"
#include "query/collect.h"
#include "query/word.h"

enum { QN_SHAPE_LISTS_MAX = 8, QN_SHAPE_CLAUSES_MAX = 64, QN_PHRASE_WORDS_MAX = 32 };

typedef enum qn_shape_kind {
    QN_SHAPE_OTHER,
    QN_SHAPE_ANY,
    QN_SHAPE_PHRASE,
    QN_SHAPE_ALL
} qn_shape_kind;

typedef struct qn_shape {
    qn_shape_kind kind;
    const qn_plan *scored; /* what gives the scores; around it only: */
    qn_plan_list filters[QN_SHAPE_LISTS_MAX], excluded[QN_SHAPE_LISTS_MAX];
    size_t filter_lists, excluded_lists;
} qn_shape;

/* Which executor takes a plan. */
void qn_shape_of(const qn_plan *plan, const qn_exec_options *options, qn_shape *out);

/* What an executor works with, over one segment. */
typedef struct qn_run {
    qn_iter_maker *m;
    qn_collector *c;
    const qn_shape *shape;
    qn_accept accept;
    bool pruning;  /* matches may be passed over */
    bool counting; /* matches at or under `cut` need only be counted */
    float floor;   /* while pruning: scores up to it are of no use; else -inf */
    float cut;     /* while counting: likewise; else -inf */
    float seed;    /* top_n documents score as much or more */
    uint64_t known, before; /* matches there are at least here; counted before */
    bool *exact, *timed_out;
    uint32_t looks;
} qn_run;

QN_MUST_CHECK qn_status qn_run_segment(qn_iter_maker *m, const qn_shape *shape,
                                       qn_collector *c, bool *exact, bool *timed_out);
QN_MUST_CHECK qn_status qn_run_any(qn_run *r);
QN_MUST_CHECK qn_status qn_run_phrase(qn_run *r);
QN_MUST_CHECK qn_status qn_run_all(qn_run *r);

/* Looks at the floor and, now and then, at the clock. To be called where everything
 * found so far has been handed over. */
QN_MUST_CHECK qn_status qn_run_look(qn_run *r);

static inline bool qn_run_hopeless(const qn_run *r, double bound)
{
    return bound * QN_SUM_SLACK <= (double)r->floor;
}

/* A leaf that is a word in each of its fields, the best of which counts. */
bool qn_shape_is_word(const qn_plan *plan);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* rank/distinct.h -- documents of one key thinned out: HA3's distinct clause.
 *
 *     an order of documents --> grade, then rounds, then the order itself
 *
 * Documents of one key and one grade stand in the order given: the first dist_count of them
 * belong to round 1, the next to round 2, and so on to dist_times; what is left over comes
 * after all rounds, or with reserved:false goes. grade is how many thresholds are at or
 * below the first sort value. A document that passes dist_filter belongs to round 1 and is
 * not counted. A document without a value has the key 0 or ""; of several values all
 * together are the key.
 *
 * Lifetime   a thinner borrows the input and the arena.
 * Threads    one thinner, one thread.
 * Errors     what is wrong with an expression, with its place in the request; QN_ERESULTTYPE
 *            for keys that are neither integers nor texts. */
#ifndef QN_RANK_DISTINCT_H
#define QN_RANK_DISTINCT_H

#include "rank/pipeline.h"

typedef struct qn_thinner qn_thinner;

QN_MUST_CHECK qn_status qn_thinner_open(const qn_rank_input *in, qn_arena *arena,
                                        const qn_distinct *asked,
                                        QN_OWNED qn_thinner **out, qn_error *err);
void qn_thinner_close(QN_OWNED QN_NULLABLE qn_thinner *t);

/* What is put in order: n documents, ascending by (segment, doc), and places into them. */
typedef struct qn_thin_job {
    const uint32_t *segments, *docs;
    size_t n;
    /* In: the places 0 .. n-1, first document first. Out: the order made of it. */
    uint32_t *order;
    size_t kept; /* out: of `order` */
    /* First sort values by place, for grades; NULL: all of grade 0. */
    const double *first;
    bool descending; /* the first sort key: the highest grade first */
} qn_thin_job;

QN_MUST_CHECK qn_status qn_thinner_run(qn_thinner *t, qn_thin_job *job, qn_error *err);

#endif

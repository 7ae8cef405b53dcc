/* SPDX-License-Identifier: Apache-2.0 */
/* query/collect.h -- what becomes of matches: counted, filtered, and the best kept.
 * Private to this module.
 *
 * Lifetime   kept candidates are in the allocator until qn_collector_deinit(). */
#ifndef QN_QUERY_COLLECT_H
#define QN_QUERY_COLLECT_H

#include "base/vec.h"
#include "query/sort.h"

#include <stdatomic.h>

enum { QN_COLLECT_RUN = 256 }; /* documents filtered and kept together */

/* What collectors of one query, each with segments of its own, tell each other. */
typedef struct qn_collect_shared {
    _Atomic uint32_t floor; /* bits of a score that is not negative: n documents of one
                             * collector score as much or more */
    _Atomic uint64_t total; /* matches counted by all */
} qn_collect_shared;

typedef struct qn_collector {
    const qn_exec_options *options;
    qn_alloc *alloc;
    qn_error *err;
    uint64_t total;
    float max_score;

    QN_NULLABLE qn_sorter *sorter; /* keeps the best instead, by its keys */

    QN_NULLABLE qn_collect_shared *shared;
    uint64_t told; /* of `total`, in shared->total already */

    /* Private to collect.c. */
    QN_VEC(qn_candidate)
    kept; /* top_n 0: all, in order; else a heap, the worst first */
    uint32_t segment;
    size_t n;
    uint32_t docs[QN_COLLECT_RUN];
    float scores[QN_COLLECT_RUN];
} qn_collector;

void qn_collector_init(qn_collector *c, const qn_exec_options *options, qn_alloc *alloc,
                       qn_error *err);
void qn_collector_deinit(qn_collector *c);
/* Matches come in document order within a segment; deleted ones are the caller's to
 * leave out. */
void qn_collector_begin(qn_collector *c, size_t segment);
QN_MUST_CHECK qn_status qn_collector_flush(qn_collector *c);
QN_MUST_CHECK qn_status qn_collector_finish(qn_collector *c, qn_arena *arena,
                                            qn_exec_result *out);

static inline qn_status qn_collector_add(qn_collector *c, uint32_t doc, float score)
{
    c->docs[c->n] = doc;
    c->scores[c->n] = score;
    return ++c->n == QN_COLLECT_RUN ? qn_collector_flush(c) : QN_OK;
}

/* Takes over what another collector of the same query kept and counted. */
QN_MUST_CHECK qn_status qn_collector_absorb(qn_collector *c, const qn_collector *other);
/* Tells the others; gives what they know: their floor and all matches so far. */
void qn_collector_share(qn_collector *c, float *floor, uint64_t *total);

/* Only a greater score can still get into the best n from document `from` of the segment
 * on; false when any can. To be asked after a flush. */
bool qn_collector_floor(const qn_collector *c, uint32_t from, float *floor);

#endif

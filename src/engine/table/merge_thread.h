/* SPDX-License-Identifier: Apache-2.0 */
/* engine/table/merge_thread.h -- one thread of an engine that joins files of its tables.
 *
 * It looks at every open table when something was flushed, and every few seconds; takes
 * the merge that the policy names; and looks again. One merge at a time, at low priority
 * and at a bounded rate, unless a table has more segments than it should: then as fast
 * as it goes. A merge that failed is tried again after a second, two, four ... up to
 * five minutes.
 *
 * Lifetime   between start() and stop() of an open engine; stop() waits for the thread,
 *            and a running merge ends at its next look at the flag.
 * Threads    it takes the engine's `tables_lock` for a moment and holds it never
 *            together with locks of a table.
 * Errors     logged, and kept in the statistics of the table. */
#ifndef QN_ENGINE_MERGE_THREAD_H
#define QN_ENGINE_MERGE_THREAD_H

#include "engine/table/merge_policy.h"
#include "io/json.h"

typedef struct qn_merger {
    pthread_t thread;
    bool runs;
    pthread_mutex_t lock;
    pthread_cond_t signal;
    bool stopping, work; /* guarded by `lock` */
    uint64_t bytes_per_second;
    qn_merge_policy policy;
} qn_merger;

struct quern;
QN_MUST_CHECK qn_status qn_merger_start(struct quern *q, uint64_t bytes_per_second,
                                        uint64_t segment_bytes_max, qn_error *err);
void qn_merger_stop(struct quern *q);
/* There may be something to join. */
void qn_engine_wake_merges(struct quern *q);
/* The member "merges" of a table's statistics. */
void qn_table_print_merges(qn_table *t, qn_json_writer *w);

#endif

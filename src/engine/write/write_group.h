/* SPDX-License-Identifier: Apache-2.0 */
/* engine/write/write_group.h -- calls that write to one table at the same time, carried out
 * together.
 *
 *     callers    prepare on their own, then queue; the first one leads
 *     leader     takes the queue, applies all under the table's lock, in order of arrival;
 *                waits for the sync before its own, taking who came meanwhile; hands the
 *                queue to the next leader; syncs the log once; wakes them all
 *
 * So a caller sleeps once, the lock is taken once for many, and while one group is with
 * the disk the next one is applied.
 *
 * Lifetime   a member of its table.
 * Threads    any. Operations of one call are applied in order and next to each other;
 *            calls in the order in which they queued.
 * Errors     each operation's own in its result; what run() returns is the log's. */
#ifndef QN_ENGINE_WRITE_GROUP_H
#define QN_ENGINE_WRITE_GROUP_H

#include <pthread.h>
#include <stdbool.h>

struct qn_write_ticket;

typedef struct qn_write_group {
    pthread_mutex_t lock;
    /* All below: guarded by `lock`. */
    struct qn_write_ticket *first, **last; /* queued */
    bool led;                              /* somebody applies, or is about to */
    bool syncing;                          /* a group is with the disk */
    pthread_cond_t sync_done;              /* for the one leader that waits for it */
} qn_write_group;

void qn_write_group_init(qn_write_group *g);
void qn_write_group_deinit(qn_write_group *g);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* engine/write/sync_thread.h -- the thread that brings to the disk what tables with async
 * durability have acknowledged already.
 *
 * It sleeps until there is something, then looks ten times a second and syncs the logs
 * whose interval is over.
 *
 * Lifetime   between start() and stop() of an open engine; stop() syncs nothing: closing a
 *            table does.
 * Threads    never holds a lock while it syncs.
 * Errors     a failed sync makes its table read-only, as with durability "request". */
#ifndef QN_ENGINE_SYNC_THREAD_H
#define QN_ENGINE_SYNC_THREAD_H

#include "base/status.h"

#include <pthread.h>

struct quern;

typedef struct qn_sync_thread {
    pthread_t thread;
    bool runs;
    pthread_mutex_t lock;
    pthread_cond_t signal;
    bool stopping, work; /* guarded by `lock` */
} qn_sync_thread;

QN_MUST_CHECK qn_status qn_sync_thread_start(struct quern *q, qn_error *err);
void qn_sync_thread_stop(struct quern *q);
/* A table has something that is not on the disk. */
void qn_sync_thread_wake(struct quern *q);

#endif

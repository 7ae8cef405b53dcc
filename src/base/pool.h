/* SPDX-License-Identifier: Apache-2.0 */
/* base/pool.h -- a fixed set of threads for work that splits.
 *
 *     qn_pool_run(pool, count, fn, arg)   calls fn(arg, i, worker) for every i in
 *                                         [0, count), on all threads and the caller,
 *                                         and returns when all are done
 *     qn_pool_submit(pool, fn, arg)       runs fn(arg) some time, on one thread
 *
 * `worker` is in [0, qn_pool_width): scratch memory per worker needs no lock. Two
 * runs at the same time share the threads; each caller works on its own run, so a
 * run never waits for a free thread. A run inside a run is served by its caller.
 *
 * Lifetime   destroy() waits for what was submitted. */
#ifndef QN_BASE_POOL_H
#define QN_BASE_POOL_H

#include "base/alloc.h"

typedef struct qn_pool qn_pool;
typedef void qn_pool_fn(void *arg, size_t index, size_t worker);
typedef void qn_pool_job(void *arg);

/* `threads` more threads besides the callers; 0 is valid: callers do all the work,
 * submitted jobs run at once inside qn_pool_submit(). */
QN_MUST_CHECK qn_status qn_pool_create(qn_alloc *a, size_t threads,
                                       QN_OWNED qn_pool **out, qn_error *err);
void qn_pool_destroy(QN_OWNED QN_NULLABLE qn_pool *pool);
/* Upper bound of `worker` within one run: threads + 1. */
size_t qn_pool_width(QN_NULLABLE const qn_pool *pool);
/* pool NULL: all on the caller. */
void qn_pool_run(QN_NULLABLE qn_pool *pool, size_t count, qn_pool_fn *fn, void *arg);
QN_MUST_CHECK qn_status qn_pool_submit(qn_pool *pool, qn_pool_job *fn, void *arg,
                                       qn_error *err);

/* This thread gives way to others from now on: 1 (a little) to 19. */
void qn_thread_lower_priority(int by);

#endif

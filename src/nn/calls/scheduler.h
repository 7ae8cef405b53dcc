/* SPDX-License-Identifier: Apache-2.0 */
/* nn/calls/scheduler.h -- who computes next: the calls of all models share a few threads.
 *
 * A call is a list of items (pairs, texts) that threads work off in batches. A thread
 * that is free picks a lane, then in it the call that had the least time so far, takes
 * one batch of it, runs it, and picks again. So a call of ten documents that comes while
 * one of a thousand runs is served every other batch.
 *
 *     lane          what                                                  weight
 *     QUICK         interactive, under 20 ms of work in all (a query)     64
 *     INTERACTIVE   reranking                                             16
 *     BULK          embeddings of documents that are being written        1
 *
 * Lanes share time by weight as long as both have work, so no lane starves. A batch
 * that runs while a better lane has work stands aside at the next place where it looks
 * at its deadline, and goes on later from where it was.
 *
 * At most `threads` batches run at the same time, and of one group (the calls of one
 * model) at most its limit. A call whose time is up leaves at once: its batches stop at
 * the next look at the deadline, and what they had is dropped.
 *
 * A few tokens are computed by the thread that asks, when a place is free: waking
 * another one would take longer.
 *
 * Lifetime   groups go before the scheduler, calls before their group. A call's job
 *            lives until end(); a batch may outlive its call.
 * Threads    any number begin and end calls.
 * Errors     QN_EBUSY: the queue is full, or a call that wants all or nothing cannot be
 *            done in its time. */
#ifndef QN_NN_SCHEDULER_H
#define QN_NN_SCHEDULER_H

#include "base/alloc.h"
#include "base/clock.h"
#include "base/slice.h"

typedef struct qn_scheduler qn_scheduler;
typedef struct qn_schedule_group qn_schedule_group;
typedef struct qn_ticket qn_ticket; /* a call that was let in */

/* Zero-initialised options are the defaults. */
typedef struct qn_scheduler_options {
    size_t threads;            /* 0: none; whoever waits computes */
    uint64_t queue_tokens;     /* of all calls of one priority; 0: no limit. A call that
                            * finds no other one is let in whatever its size. */
    int64_t (*now)(void *ctx); /* nanoseconds; NULL: qn_clock_mono_ns() */
    void *now_ctx;
} qn_scheduler_options;

QN_MUST_CHECK qn_status qn_scheduler_create(qn_alloc *a,
                                            const qn_scheduler_options *options,
                                            QN_OWNED qn_scheduler **out, qn_error *err);
void qn_scheduler_destroy(QN_OWNED QN_NULLABLE qn_scheduler *s);
size_t qn_scheduler_threads(const qn_scheduler *s); /* at least 1 */

/* ---- groups ---------------------------------------------------------------------- */

/* limit: batches at the same time, 0: as many as there are threads. */
QN_MUST_CHECK qn_status qn_schedule_group_create(qn_scheduler *s, size_t limit,
                                                 QN_OWNED qn_schedule_group **out,
                                                 qn_error *err);
void qn_schedule_group_destroy(QN_OWNED QN_NULLABLE qn_schedule_group *g);
void qn_schedule_group_limit(qn_schedule_group *g, size_t limit);
/* Batches that may run at the same time: the limit, but no more than threads. */
size_t qn_schedule_group_width(qn_schedule_group *g);

/* Since the start, and now. */
typedef struct qn_schedule_stats {
    uint64_t calls, refused, timed_out, cancelled;
    uint64_t items_asked, items_done; /* asked: of calls that were let in */
    uint64_t turns, pauses;
    int64_t busy_ns; /* time of threads inside batches */
    int64_t wait_ns; /* of calls, until their first batch */
    size_t limit, running, calls_now;
    uint64_t tokens_now;
    int64_t work_ns_now; /* estimated, on one thread */
} qn_schedule_stats;
void qn_schedule_group_stats(qn_schedule_group *g, qn_schedule_stats *out);
void qn_scheduler_stats(qn_scheduler *s, qn_schedule_stats *out); /* of all groups */

/* ---- calls ----------------------------------------------------------------------- */

typedef enum qn_priority { QN_PRIORITY_INTERACTIVE, QN_PRIORITY_BULK } qn_priority;
/* "interactive", "bulk"; false for other names. */
bool qn_priority_parse(qn_slice name, qn_priority *out);

typedef struct qn_turn {
    size_t items;
    int64_t cost_ns; /* estimate; 0: not known */
} qn_turn;

/* What a call does. take() and give() are called while the caller waits in end(); run()
 * may outlive the call and touches the batch alone. Several threads call them at the
 * same time, for batches of their own. */
typedef struct qn_schedule_work {
    /* The next batch, or false: there is nothing left to take. */
    bool (*take)(void *job, void **batch, qn_turn *turn);
    /* `deadline` is to be looked at every few milliseconds; *paused_ns: how long the
     * batch stood aside so far. */
    void (*run)(void *batch, const qn_deadline *deadline, const int64_t *paused_ns);
    /* The end of a batch, always called. job NULL: the call is gone. */
    void (*give)(QN_NULLABLE void *job, void *batch);
} qn_schedule_work;

typedef struct qn_schedule_call {
    qn_schedule_group *group;
    qn_priority priority;
    QN_NULLABLE const qn_deadline *deadline;
    size_t items;
    uint64_t tokens; /* estimate */
    int64_t cost_ns; /* of all on one thread, estimate; 0: not known */
    bool whole;  /* a part of the answer is of no use: refused when it would be late */
    bool always; /* never refused */
    const qn_schedule_work *work;
    void *job;
} qn_schedule_call;

/* How a call of a model is to be served, for those who make one (rerank.h, embed.h). */
typedef struct qn_serving {
    qn_schedule_group *group;
    qn_priority priority;
    bool always; /* never refused */
} qn_serving;

/* Begins, waits, ends. Running out of time is no error: the job knows what it has. */
QN_MUST_CHECK qn_status qn_scheduler_run(const qn_schedule_call *call, qn_error *err);

/* The same in steps. begin() lets in or refuses; *call is copied. */
QN_MUST_CHECK qn_status qn_scheduler_begin(const qn_schedule_call *call,
                                           QN_OWNED qn_ticket **out, qn_error *err);
/* Waits until all is done, the time is up or the call is cancelled, whichever is first.
 * When it returns no thread touches the job any more. */
void qn_scheduler_end(QN_OWNED qn_ticket *t);
/* One batch of whatever is next, on the calling thread; false: there was nothing to do,
 * or no place. For schedulers without threads. */
bool qn_scheduler_step(qn_scheduler *s);

#endif

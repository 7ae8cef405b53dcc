/* SPDX-License-Identifier: Apache-2.0 */
/* scheduler_internal.h -- what scheduler.c, scheduler_turns.c and scheduler_calls.c share;
 * not for other files. One lock guards all of it. */
#ifndef QN_NN_SCHEDULER_INTERNAL_H
#define QN_NN_SCHEDULER_INTERNAL_H

#include "nn/calls/scheduler.h"

#include <pthread.h>

enum {
    QN_LANE_QUICK,
    QN_LANE_INTERACTIVE,
    QN_LANE_BULK,
    QN_LANES,
};

struct qn_ticket {
    qn_ticket *next; /* in its lane */
    qn_scheduler *s;
    qn_schedule_call call;
    qn_deadline deadline;
    int lane;
    bool own; /* the caller computes; it holds a place from begin to end */
    bool begun, exhausted;
    int64_t arrived_ns;
    int64_t served_ns, left_ns; /* estimates */
    size_t width;               /* threads at the same time, at most */
    size_t running;             /* batches, those that stand aside included */
    size_t paused;              /* of them, that stand aside */
    size_t inside;              /* threads that touch the job */
    size_t refs;
    atomic_bool gone; /* the caller does not wait any more */
    pthread_cond_t changed;
};

struct qn_schedule_group {
    qn_schedule_group *next;
    qn_scheduler *s;
    size_t limit; /* 0: none of its own */
    bool closing;
    qn_schedule_stats stats;
};

typedef struct qn_lane {
    qn_ticket *calls;
    int64_t clock_ns;    /* time it got, divided by its weight */
    size_t paused;       /* batches */
    atomic_size_t count; /* of calls */
} qn_lane;

struct qn_scheduler {
    qn_alloc *alloc;
    qn_scheduler_options options;
    size_t places; /* batches at the same time */
    size_t thread_count;
    pthread_t *threads;
    pthread_mutex_t lock; /* guards all below, groups and tickets */
    pthread_cond_t wake, resume, quiet;
    qn_lane lanes[QN_LANES];
    qn_schedule_group *groups;
    size_t running, idle;
    uint64_t tokens[2]; /* of calls of either priority */
    bool stopping;
};

/* ---- scheduler.c ----------------------------------------------------------------- */

int64_t qn_scheduler__now(const qn_scheduler *s);
/* Batches of a group at the same time. */
size_t qn_scheduler__limit(const qn_schedule_group *g);
/* A condition whose waits are timed by the clock that only goes forward. */
void qn_scheduler__cond_create(pthread_cond_t *cond);

/* ---- scheduler_turns.c; all under the lock --------------------------------------- */

bool qn_scheduler__has_place(const qn_scheduler *s, const qn_schedule_group *g);
void qn_scheduler__take_place(qn_schedule_group *g);
void qn_scheduler__give_place(qn_schedule_group *g);
/* A place is free that somebody may be waiting for. */
void qn_scheduler__offer_place(qn_scheduler *s);
void qn_scheduler__join_lane(qn_ticket *t);
void qn_scheduler__leave_lane(qn_ticket *t);
/* One batch of the call, or finds out that there is none. */
void qn_scheduler__serve(qn_ticket *t);
/* One batch of whatever is next; false: there is none, or no place. */
bool qn_scheduler__step(qn_scheduler *s);
void qn_scheduler__unref(qn_ticket *t);

#endif

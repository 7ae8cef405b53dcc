/* SPDX-License-Identifier: Apache-2.0 */
/* scheduler_turns.c -- who is next, and its batch: run, standing aside, given back. */
#include "nn/calls/scheduler_internal.h"

enum { WEIGHT_OF_ONE = 64 };
/* A lane that had no work may be so far ahead of the others when it has some again, by
 * its weight: two seconds of quick calls, 31 ms of bulk. */
static const int64_t burst_ns = 2000000000;
/* A batch of unknown cost counts as that much. */
static const int64_t unknown_ns = 1000000;

static const int64_t lane_weight[QN_LANES] = {
    [QN_LANE_QUICK] = 64,
    [QN_LANE_INTERACTIVE] = 16,
    [QN_LANE_BULK] = 1,
};

/* ---- choosing, under the lock ---------------------------------------------------- */

bool qn_scheduler__has_place(const qn_scheduler *s, const qn_schedule_group *g)
{
    return s->running < s->places && g->stats.running < qn_scheduler__limit(g);
}

static bool can_be_served(const qn_ticket *t)
{
    return !t->exhausted && t->running < t->width &&
           t->call.group->stats.running < qn_scheduler__limit(t->call.group);
}

/* Of a lane the call that had the least; NULL: none can be served. */
static qn_ticket *first_in(const qn_lane *l)
{
    qn_ticket *best = NULL;
    for (qn_ticket *t = l->calls; t != NULL; t = t->next)
        if (can_be_served(t) && (best == NULL || t->served_ns < best->served_ns))
            best = t;
    return best;
}

/* One of its batches stands aside and has a place in its group again. */
static bool can_go_on(const qn_lane *l)
{
    if (l->paused == 0) return false;
    for (const qn_ticket *t = l->calls; t != NULL; t = t->next)
        if (t->paused > 0 &&
            t->call.group->stats.running < qn_scheduler__limit(t->call.group))
            return true;
    return false;
}

/* Which lane is next: the one that had the least, by weight. QN_LANES: none. *call: what
 * to serve of it; NULL: one of its batches stands aside and goes on. */
static int next_lane(const qn_scheduler *s, qn_ticket **call)
{
    int best = QN_LANES;
    *call = NULL;
    for (int i = 0; i < QN_LANES; i++) {
        const qn_lane *l = &s->lanes[i];
        if (best != QN_LANES && l->clock_ns >= s->lanes[best].clock_ns) continue;
        bool goes_on = can_go_on(l);
        qn_ticket *t = goes_on ? NULL : first_in(l);
        if (t == NULL && !goes_on) continue;
        best = i;
        *call = t;
    }
    return best;
}

static void charge(qn_ticket *t, int64_t cost_ns)
{
    if (cost_ns <= 0) cost_ns = unknown_ns;
    qn_schedule_stats *stats = &t->call.group->stats;
    int64_t known = cost_ns < t->left_ns ? cost_ns : t->left_ns;
    t->left_ns -= known;
    stats->work_ns_now -= known;
    t->served_ns += cost_ns;
    t->s->lanes[t->lane].clock_ns += cost_ns * WEIGHT_OF_ONE / lane_weight[t->lane];
}

/* A newcomer is not owed what others got before it came. */
void qn_scheduler__join_lane(qn_ticket *t)
{
    qn_scheduler *s = t->s;
    qn_lane *l = &s->lanes[t->lane];
    if (l->calls == NULL) {
        int64_t least = INT64_MAX;
        for (int i = 0; i < QN_LANES; i++)
            if (s->lanes[i].calls != NULL && s->lanes[i].clock_ns < least)
                least = s->lanes[i].clock_ns;
        if (least != INT64_MAX && l->clock_ns < least - burst_ns)
            l->clock_ns = least - burst_ns;
    } else {
        t->served_ns = INT64_MAX;
        for (const qn_ticket *o = l->calls; o != NULL; o = o->next)
            if (o->served_ns < t->served_ns) t->served_ns = o->served_ns;
    }
    qn_ticket **at = &l->calls;
    while (*at != NULL) at = &(*at)->next;
    *at = t;
    atomic_fetch_add(&l->count, 1);
}

void qn_scheduler__leave_lane(qn_ticket *t)
{
    qn_lane *l = &t->s->lanes[t->lane];
    for (qn_ticket **at = &l->calls; *at != NULL; at = &(*at)->next) {
        if (*at != t) continue;
        *at = t->next;
        atomic_fetch_sub(&l->count, 1);
        return;
    }
}

/* A place is free that somebody may be waiting for. */
void qn_scheduler__offer_place(qn_scheduler *s)
{
    for (int i = 0; i < QN_LANES; i++)
        if (s->lanes[i].paused > 0) {
            (void)pthread_cond_broadcast(&s->resume);
            break;
        }
    if (s->idle > 0) (void)pthread_cond_signal(&s->wake);
}
/* ---- a batch --------------------------------------------------------------------- */

typedef struct batch_run {
    qn_ticket *t;
    int64_t paused_ns;
} batch_run;

void qn_scheduler__unref(qn_ticket *t)
{
    if (--t->refs > 0) return;
    (void)pthread_cond_destroy(&t->changed);
    qn_delete(t->s->alloc, t);
}

void qn_scheduler__take_place(qn_schedule_group *g)
{
    g->s->running++;
    g->stats.running++;
}

void qn_scheduler__give_place(qn_schedule_group *g)
{
    g->s->running--;
    if (--g->stats.running == 0 && g->closing)
        (void)pthread_cond_broadcast(&g->s->quiet);
}

/* A better lane has work that only this batch's place is there for, and a thread. */
static bool must_stand_aside(const qn_ticket *t)
{
    const qn_scheduler *s = t->s;
    qn_schedule_group *g = t->call.group;
    if (s->idle == 0 || s->stopping) return false;
    if (s->running < s->places && g->stats.running < qn_scheduler__limit(g))
        return false;
    bool better = false;
    g->stats.running--; /* as if it had */
    for (int i = 0; i < t->lane; i++)
        better = better || (s->lanes[i].clock_ns <= s->lanes[t->lane].clock_ns &&
                            first_in(&s->lanes[i]) != NULL);
    g->stats.running++;
    return better;
}

static bool may_go_on(const qn_ticket *t)
{
    const qn_scheduler *s = t->s;
    if (s->stopping || atomic_load(&t->gone)) return true;
    qn_ticket *other;
    return qn_scheduler__has_place(s, t->call.group) && next_lane(s, &other) >= t->lane;
}

/* At every look at the deadline of a batch. */
static void breathe(void *ctx)
{
    batch_run *r = ctx;
    qn_ticket *t = r->t;
    qn_scheduler *s = t->s;
    size_t better = 0;
    for (int i = 0; i < t->lane; i++)
        better += atomic_load_explicit(&s->lanes[i].count, memory_order_relaxed);
    if (better == 0) return;
    (void)pthread_mutex_lock(&s->lock);
    if (must_stand_aside(t)) {
        int64_t begin = qn_scheduler__now(s);
        qn_lane *l = &s->lanes[t->lane];
        t->call.group->stats.pauses++;
        qn_scheduler__give_place(t->call.group);
        l->paused++;
        t->paused++;
        qn_scheduler__offer_place(s);
        while (!may_go_on(t)) (void)pthread_cond_wait(&s->resume, &s->lock);
        l->paused--;
        t->paused--;
        qn_scheduler__take_place(t->call.group);
        r->paused_ns += qn_scheduler__now(s) - begin;
    }
    (void)pthread_mutex_unlock(&s->lock);
}

static void enter(qn_ticket *t)
{
    t->inside++;
    (void)pthread_mutex_unlock(&t->s->lock);
}

static void leave(qn_ticket *t)
{
    (void)pthread_mutex_lock(&t->s->lock);
    if (--t->inside == 0 && atomic_load(&t->gone))
        (void)pthread_cond_signal(&t->changed);
}

static void run_batch(qn_ticket *t, void *batch, const qn_turn *turn)
{
    qn_scheduler *s = t->s;
    const qn_schedule_work *work = t->call.work;
    batch_run r = {.t = t};
    qn_deadline d = t->deadline;
    if (!t->own) {
        /* The caller's flag is the caller's, who may go. */
        d.cancelled = &t->gone;
        d.breathe = breathe;
        d.breathe_ctx = &r;
    }
    (void)pthread_mutex_unlock(&s->lock);
    int64_t begin = qn_scheduler__now(s);
    work->run(batch, &d, &r.paused_ns);
    int64_t busy_ns = qn_scheduler__now(s) - begin - r.paused_ns;
    (void)pthread_mutex_lock(&s->lock);
    bool wanted = !atomic_load(&t->gone);
    if (wanted) {
        enter(t);
        work->give(t->call.job, batch);
        leave(t);
        t->call.group->stats.items_done += turn->items;
    } else {
        (void)pthread_mutex_unlock(&s->lock);
        work->give(NULL, batch);
        (void)pthread_mutex_lock(&s->lock);
    }
    t->call.group->stats.busy_ns += busy_ns;
    t->call.group->stats.turns++;
}

/* One batch of the call, or finds out that there is none. Called and returns with the
 * lock held. */
void qn_scheduler__serve(qn_ticket *t)
{
    qn_scheduler *s = t->s;
    qn_schedule_group *g = t->call.group;
    if (!t->own) qn_scheduler__take_place(g);
    t->running++;
    t->refs++;
    if (!t->begun) g->stats.wait_ns += qn_scheduler__now(s) - t->arrived_ns;
    t->begun = true;
    void *batch = NULL;
    qn_turn turn = {0};
    enter(t);
    bool got = t->call.work->take(t->call.job, &batch, &turn);
    leave(t);
    if (got) {
        charge(t, turn.cost_ns);
        run_batch(t, batch, &turn);
    } else {
        t->exhausted = true;
    }
    if (!t->own) qn_scheduler__give_place(g);
    if (--t->running == 0 && t->exhausted) (void)pthread_cond_signal(&t->changed);
    qn_scheduler__unref(t);
}

bool qn_scheduler__step(qn_scheduler *s)
{
    qn_ticket *t = NULL;
    if (s->running >= s->places || next_lane(s, &t) == QN_LANES) return false;
    if (t == NULL)
        return false; /* one that stands aside is next, and wakes by itself */
    qn_scheduler__serve(t);
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/scheduler.h"

#include <pthread.h>
#include <time.h>

enum {
    QUICK,
    INTERACTIVE,
    BULK,
    LANES,
    WEIGHT_OF_ONE = 64,
    FEW_TOKENS = 64, /* computed by who asks */
};
/* Less work than that in all is quick. */
static const int64_t quick_ns = 20000000;
/* How often a waiting caller looks whether it was cancelled. */
static const int64_t look_ns = 4000000;
/* A lane that had no work may be so far ahead of the others when it has some again, by
 * its weight: two seconds of quick calls, 31 ms of bulk. */
static const int64_t burst_ns = 2000000000;
/* A batch of unknown cost counts as that much. */
static const int64_t unknown_ns = 1000000;

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
    size_t running;             /* batches */
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

typedef struct lane {
    qn_ticket *calls;
    int64_t clock_ns;    /* time it got, divided by its weight */
    size_t paused;       /* batches */
    atomic_size_t count; /* of calls */
} lane;

struct qn_scheduler {
    qn_alloc *alloc;
    qn_scheduler_options options;
    size_t places; /* batches at the same time */
    size_t thread_count;
    pthread_t *threads;
    pthread_mutex_t lock; /* guards all below, groups and tickets */
    pthread_cond_t wake, resume, quiet;
    lane lanes[LANES];
    qn_schedule_group *groups;
    size_t running, idle;
    uint64_t tokens[2]; /* of calls of either priority */
    bool stopping;
};

static const int64_t lane_weight[LANES] = {
    [QUICK] = 64,
    [INTERACTIVE] = 16,
    [BULK] = 1,
};

bool qn_priority_parse(qn_slice name, qn_priority *out)
{
    bool bulk = qn_slice_eq_str(name, "bulk");
    if (!bulk && !qn_slice_eq_str(name, "interactive")) return false;
    *out = bulk ? QN_PRIORITY_BULK : QN_PRIORITY_INTERACTIVE;
    return true;
}

static int64_t now(const qn_scheduler *s)
{
    return s->options.now == NULL ? qn_clock_mono_ns()
                                  : s->options.now(s->options.now_ctx);
}

static bool is_late(const qn_ticket *t)
{
    return t->deadline.at_ns != 0 && now(t->s) >= t->deadline.at_ns;
}

static size_t limit_of(const qn_schedule_group *g)
{
    return g->limit == 0 || g->limit > g->s->places ? g->s->places : g->limit;
}

/* Waits until signalled or until at_ns; 0: as long as it takes. */
static void wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t at_ns)
{
    if (at_ns == 0) {
        (void)pthread_cond_wait(cond, lock);
        return;
    }
    struct timespec at = {.tv_sec = (time_t)(at_ns / 1000000000),
                          .tv_nsec = (long)(at_ns % 1000000000)};
    (void)pthread_cond_timedwait(cond, lock, &at);
}

static void cond_create(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(cond, &attr);
    (void)pthread_condattr_destroy(&attr);
}

/* ---- choosing, under the lock ---------------------------------------------------- */

static bool has_place(const qn_scheduler *s, const qn_schedule_group *g)
{
    return s->running < s->places && g->stats.running < limit_of(g);
}

static bool can_be_served(const qn_ticket *t)
{
    return !t->exhausted && t->running < t->width &&
           t->call.group->stats.running < limit_of(t->call.group);
}

/* Of a lane the call that had the least; NULL: none can be served. */
static qn_ticket *first_in(const lane *l)
{
    qn_ticket *best = NULL;
    for (qn_ticket *t = l->calls; t != NULL; t = t->next)
        if (can_be_served(t) && (best == NULL || t->served_ns < best->served_ns))
            best = t;
    return best;
}

/* Which lane is next: the one that had the least, by weight. LANES: none. *call: what to
 * serve of it; NULL: one of its batches stands aside and goes on. */
static int next_lane(const qn_scheduler *s, qn_ticket **call)
{
    int best = LANES;
    *call = NULL;
    for (int i = 0; i < LANES; i++) {
        const lane *l = &s->lanes[i];
        if (best != LANES && l->clock_ns >= s->lanes[best].clock_ns) continue;
        qn_ticket *t = l->paused > 0 ? NULL : first_in(l);
        if (t == NULL && l->paused == 0) continue;
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
static void join_lane(qn_ticket *t)
{
    qn_scheduler *s = t->s;
    lane *l = &s->lanes[t->lane];
    if (l->calls == NULL) {
        int64_t least = INT64_MAX;
        for (int i = 0; i < LANES; i++)
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

static void leave_lane(qn_ticket *t)
{
    lane *l = &t->s->lanes[t->lane];
    for (qn_ticket **at = &l->calls; *at != NULL; at = &(*at)->next) {
        if (*at != t) continue;
        *at = t->next;
        atomic_fetch_sub(&l->count, 1);
        return;
    }
}

/* A place is free that somebody may be waiting for. */
static void offer_place(qn_scheduler *s)
{
    for (int i = 0; i < LANES; i++)
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

static void unref(qn_ticket *t)
{
    if (--t->refs > 0) return;
    (void)pthread_cond_destroy(&t->changed);
    qn_delete(t->s->alloc, t);
}

static void take_place(qn_schedule_group *g)
{
    g->s->running++;
    g->stats.running++;
}

static void give_place(qn_schedule_group *g)
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
    if (s->running < s->places && g->stats.running < limit_of(g)) return false;
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
    return has_place(s, t->call.group) && next_lane(s, &other) >= t->lane;
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
        int64_t begin = now(s);
        lane *l = &s->lanes[t->lane];
        t->call.group->stats.pauses++;
        give_place(t->call.group);
        l->paused++;
        offer_place(s);
        while (!may_go_on(t)) (void)pthread_cond_wait(&s->resume, &s->lock);
        l->paused--;
        take_place(t->call.group);
        r->paused_ns += now(s) - begin;
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
    int64_t begin = now(s);
    work->run(batch, &d, &r.paused_ns);
    int64_t busy_ns = now(s) - begin - r.paused_ns;
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
static void serve(qn_ticket *t)
{
    qn_scheduler *s = t->s;
    qn_schedule_group *g = t->call.group;
    if (!t->own) take_place(g);
    t->running++;
    t->refs++;
    if (!t->begun) g->stats.wait_ns += now(s) - t->arrived_ns;
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
    if (!t->own) give_place(g);
    if (--t->running == 0 && t->exhausted) (void)pthread_cond_signal(&t->changed);
    unref(t);
}

static bool step(qn_scheduler *s)
{
    qn_ticket *t = NULL;
    if (s->running >= s->places || next_lane(s, &t) == LANES) return false;
    if (t == NULL)
        return false; /* one that stands aside is next, and wakes by itself */
    serve(t);
    return true;
}

bool qn_scheduler_step(qn_scheduler *s)
{
    (void)pthread_mutex_lock(&s->lock);
    bool did = step(s);
    (void)pthread_mutex_unlock(&s->lock);
    return did;
}

static void *thread_main(void *arg)
{
    qn_scheduler *s = arg;
    (void)pthread_mutex_lock(&s->lock);
    while (!s->stopping) {
        if (step(s)) continue;
        /* This thread's place may be what another one waits for. */
        (void)pthread_cond_broadcast(&s->resume);
        s->idle++;
        (void)pthread_cond_wait(&s->wake, &s->lock);
        s->idle--;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- calls ----------------------------------------------------------------------- */

static int lane_of(const qn_schedule_call *c)
{
    if (c->priority == QN_PRIORITY_BULK) return BULK;
    if (c->cost_ns == 0) return c->tokens <= FEW_TOKENS ? QUICK : INTERACTIVE;
    return c->cost_ns <= quick_ns ? QUICK : INTERACTIVE;
}

/* Fewer than FEW_TOKENS are not worth another thread. */
static size_t width_of(const qn_scheduler *s, const qn_schedule_call *c)
{
    size_t width = (size_t)(c->tokens / FEW_TOKENS) + 1;
    if (width > c->items) width = c->items;
    if (width > s->places) width = s->places;
    return width == 0 ? 1 : width;
}

/* When the call would be done if it began now: others get no more than it gets. */
static int64_t time_to_do(const qn_scheduler *s, const qn_schedule_call *c, int lane_no)
{
    int64_t sum_ns = c->cost_ns;
    for (int i = 0; i <= lane_no; i++)
        for (const qn_ticket *t = s->lanes[i].calls; t != NULL; t = t->next)
            sum_ns += t->left_ns < c->cost_ns ? t->left_ns : c->cost_ns;
    size_t width = width_of(s, c), limit = limit_of(c->group);
    int64_t alone_ns = c->cost_ns / (int64_t)(width < limit ? width : limit);
    int64_t shared_ns = sum_ns / (int64_t)limit;
    return alone_ns > shared_ns ? alone_ns : shared_ns;
}

static qn_status admit(const qn_scheduler *s, const qn_schedule_call *c, int lane_no,
                       qn_error *err)
{
    if (c->always) return QN_OK;
    uint64_t most = s->options.queue_tokens;
    uint64_t waiting = s->tokens[c->priority];
    if (most != 0 && waiting > 0 && waiting + c->tokens > most)
        return qn_fail(err, QN_EBUSY,
                       "the models' queue is full: about %llu tokens wait, %llu more "
                       "are over %llu",
                       (unsigned long long)waiting, (unsigned long long)c->tokens,
                       (unsigned long long)most);
    if (!c->whole || c->deadline == NULL || c->deadline->at_ns == 0) return QN_OK;
    int64_t need_ns = time_to_do(s, c, lane_no), left_ns = c->deadline->at_ns - now(s);
    if (c->cost_ns == 0 || need_ns <= left_ns || left_ns <= 0) return QN_OK;
    return qn_fail(err, QN_EBUSY,
                   "about %lld ms of work are ahead, %lld ms are left for this call",
                   (long long)(need_ns / 1000000), (long long)(left_ns / 1000000));
}

qn_status qn_scheduler_begin(const qn_schedule_call *call, qn_ticket **out,
                             qn_error *err)
{
    qn_scheduler *s = call->group->s;
    *out = NULL;
    qn_ticket *t = qn_new0(s->alloc, sizeof *t);
    if (t == NULL) return qn_fail(err, QN_ENOMEM, "call of a model");
    t->s = s;
    t->call = *call;
    if (call->deadline != NULL) t->deadline = *call->deadline;
    t->call.deadline = NULL;
    t->left_ns = call->cost_ns;
    t->lane = lane_of(call);
    t->width = width_of(s, call);
    t->refs = 1;
    t->arrived_ns = now(s);
    cond_create(&t->changed);
    qn_schedule_group *g = call->group;
    (void)pthread_mutex_lock(&s->lock);
    qn_status st = admit(s, call, t->lane, err);
    if (st != QN_OK) {
        g->stats.refused++;
        unref(t);
        (void)pthread_mutex_unlock(&s->lock);
        return st;
    }
    g->stats.calls++;
    g->stats.calls_now++;
    g->stats.items_asked += call->items;
    g->stats.tokens_now += call->tokens;
    g->stats.work_ns_now += call->cost_ns;
    s->tokens[call->priority] += call->tokens;
    t->own = call->tokens <= FEW_TOKENS && s->thread_count > 0 && has_place(s, g);
    if (t->own) {
        take_place(g);
    } else {
        join_lane(t);
        for (size_t i = 0; i < t->width && i < s->idle; i++)
            (void)pthread_cond_signal(&s->wake);
    }
    (void)pthread_mutex_unlock(&s->lock);
    *out = t;
    return QN_OK;
}

static bool is_done(const qn_ticket *t)
{
    return t->exhausted && t->running == 0;
}

/* With the lock held: until the call is done or must not go on. */
static void wait_for(qn_ticket *t)
{
    qn_scheduler *s = t->s;
    while (!is_done(t) && !is_late(t) && !qn_deadline_cancelled(&t->deadline)) {
        if (t->own) {
            serve(t);
            continue;
        }
        if (s->thread_count == 0 && step(s)) continue;
        int64_t at_ns = t->deadline.at_ns;
        if (t->deadline.cancelled != NULL || s->thread_count == 0) {
            int64_t look = qn_clock_mono_ns() + look_ns;
            if (at_ns == 0 || look < at_ns) at_ns = look;
        }
        wait_until(&t->changed, &s->lock, at_ns);
    }
}

void qn_scheduler_end(qn_ticket *t)
{
    qn_scheduler *s = t->s;
    qn_schedule_stats *stats = &t->call.group->stats;
    (void)pthread_mutex_lock(&s->lock);
    wait_for(t);
    if (qn_deadline_cancelled(&t->deadline))
        stats->cancelled++;
    else if (is_late(t))
        stats->timed_out++;
    atomic_store(&t->gone, true);
    if (t->own) {
        give_place(t->call.group);
        offer_place(s);
    } else {
        leave_lane(t);
        if (s->lanes[t->lane].paused > 0) (void)pthread_cond_broadcast(&s->resume);
    }
    while (t->inside > 0) (void)pthread_cond_wait(&t->changed, &s->lock);
    stats->calls_now--;
    stats->tokens_now -= t->call.tokens;
    stats->work_ns_now -= t->left_ns;
    t->left_ns = 0;
    s->tokens[t->call.priority] -= t->call.tokens;
    unref(t);
    (void)pthread_mutex_unlock(&s->lock);
}

qn_status qn_scheduler_run(const qn_schedule_call *call, qn_error *err)
{
    qn_ticket *t = NULL;
    QN_TRY(qn_scheduler_begin(call, &t, err));
    qn_scheduler_end(t);
    return QN_OK;
}

/* ---- groups ---------------------------------------------------------------------- */

qn_status qn_schedule_group_create(qn_scheduler *s, size_t limit,
                                   qn_schedule_group **out, qn_error *err)
{
    qn_schedule_group *g = *out = qn_new0(s->alloc, sizeof *g);
    if (g == NULL) return qn_fail(err, QN_ENOMEM, "model");
    g->s = s;
    g->limit = limit;
    (void)pthread_mutex_lock(&s->lock);
    g->next = s->groups;
    s->groups = g;
    (void)pthread_mutex_unlock(&s->lock);
    return QN_OK;
}

void qn_schedule_group_destroy(qn_schedule_group *g)
{
    if (g == NULL) return;
    qn_scheduler *s = g->s;
    (void)pthread_mutex_lock(&s->lock);
    qn_assert(g->stats.calls_now == 0);
    g->closing = true;
    while (g->stats.running > 0) (void)pthread_cond_wait(&s->quiet, &s->lock);
    for (qn_schedule_group **at = &s->groups; *at != NULL; at = &(*at)->next) {
        if (*at != g) continue;
        *at = g->next;
        break;
    }
    (void)pthread_mutex_unlock(&s->lock);
    qn_delete(s->alloc, g);
}

void qn_schedule_group_limit(qn_schedule_group *g, size_t limit)
{
    (void)pthread_mutex_lock(&g->s->lock);
    g->limit = limit;
    (void)pthread_cond_broadcast(&g->s->wake);
    (void)pthread_cond_broadcast(&g->s->resume);
    (void)pthread_mutex_unlock(&g->s->lock);
}

size_t qn_schedule_group_width(qn_schedule_group *g)
{
    (void)pthread_mutex_lock(&g->s->lock);
    size_t width = limit_of(g);
    (void)pthread_mutex_unlock(&g->s->lock);
    return width;
}

void qn_schedule_group_stats(qn_schedule_group *g, qn_schedule_stats *out)
{
    (void)pthread_mutex_lock(&g->s->lock);
    *out = g->stats;
    out->limit = limit_of(g);
    (void)pthread_mutex_unlock(&g->s->lock);
}

void qn_scheduler_stats(qn_scheduler *s, qn_schedule_stats *out)
{
    *out = (qn_schedule_stats){0};
    (void)pthread_mutex_lock(&s->lock);
    for (const qn_schedule_group *g = s->groups; g != NULL; g = g->next) {
        const qn_schedule_stats *x = &g->stats;
        out->calls += x->calls;
        out->refused += x->refused;
        out->timed_out += x->timed_out;
        out->cancelled += x->cancelled;
        out->items_asked += x->items_asked;
        out->items_done += x->items_done;
        out->turns += x->turns;
        out->pauses += x->pauses;
        out->busy_ns += x->busy_ns;
        out->wait_ns += x->wait_ns;
        out->calls_now += x->calls_now;
        out->tokens_now += x->tokens_now;
        out->work_ns_now += x->work_ns_now;
    }
    out->limit = s->places;
    out->running = s->running;
    (void)pthread_mutex_unlock(&s->lock);
}

/* ---- the scheduler --------------------------------------------------------------- */

qn_status qn_scheduler_create(qn_alloc *a, const qn_scheduler_options *options,
                              qn_scheduler **out, qn_error *err)
{
    *out = NULL;
    qn_scheduler *s = qn_new0(a, sizeof *s);
    if (s == NULL) return qn_fail(err, QN_ENOMEM, "scheduler");
    s->alloc = a;
    if (options != NULL) s->options = *options;
    s->places = s->options.threads == 0 ? 1 : s->options.threads;
    (void)pthread_mutex_init(&s->lock, NULL);
    cond_create(&s->wake);
    cond_create(&s->resume);
    cond_create(&s->quiet);
    /* As many again for when batches stand aside. */
    size_t want = 2 * s->options.threads;
    s->threads = qn_new_array(a, want + 1, sizeof *s->threads);
    qn_status st = s->threads == NULL ? qn_fail(err, QN_ENOMEM, "scheduler") : QN_OK;
    for (size_t i = 0; st == QN_OK && i < want; i++) {
        if (pthread_create(&s->threads[i], NULL, thread_main, s) != 0)
            st = qn_fail(err, QN_EBUSY, "cannot start thread %zu of %zu", i + 1, want);
        else
            s->thread_count++;
    }
    if (st != QN_OK) {
        qn_scheduler_destroy(s);
        return st;
    }
    *out = s;
    return QN_OK;
}

void qn_scheduler_destroy(qn_scheduler *s)
{
    if (s == NULL) return;
    (void)pthread_mutex_lock(&s->lock);
    s->stopping = true;
    (void)pthread_cond_broadcast(&s->wake);
    (void)pthread_cond_broadcast(&s->resume);
    (void)pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < s->thread_count; i++)
        (void)pthread_join(s->threads[i], NULL);
    qn_assert(s->groups == NULL);
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_cond_destroy(&s->wake);
    (void)pthread_cond_destroy(&s->resume);
    (void)pthread_cond_destroy(&s->quiet);
    qn_delete(s->alloc, s->threads);
    qn_delete(s->alloc, s);
}

size_t qn_scheduler_threads(const qn_scheduler *s)
{
    return s->places;
}

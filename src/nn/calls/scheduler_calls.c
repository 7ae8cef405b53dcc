/* SPDX-License-Identifier: Apache-2.0 */
/* scheduler_calls.c -- calls: let in or refused, waited for, ended. */
#include "nn/calls/scheduler_internal.h"

#include <time.h>

enum { FEW_TOKENS = 64 }; /* computed by who asks */
/* Less work than that in all is quick. */
static const int64_t quick_ns = 20000000;
/* How often a waiting caller looks whether it was cancelled. */
static const int64_t look_ns = 4000000;

bool qn_priority_parse(qn_slice name, qn_priority *out)
{
    bool bulk = qn_slice_eq_str(name, "bulk");
    if (!bulk && !qn_slice_eq_str(name, "interactive")) return false;
    *out = bulk ? QN_PRIORITY_BULK : QN_PRIORITY_INTERACTIVE;
    return true;
}

static bool is_late(const qn_ticket *t)
{
    return t->deadline.at_ns != 0 && qn_scheduler__now(t->s) >= t->deadline.at_ns;
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

static int lane_of(const qn_schedule_call *c)
{
    if (c->priority == QN_PRIORITY_BULK) return QN_LANE_BULK;
    if (c->cost_ns == 0)
        return c->tokens <= FEW_TOKENS ? QN_LANE_QUICK : QN_LANE_INTERACTIVE;
    return c->cost_ns <= quick_ns ? QN_LANE_QUICK : QN_LANE_INTERACTIVE;
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
    size_t width = width_of(s, c), limit = qn_scheduler__limit(c->group);
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
    int64_t need_ns = time_to_do(s, c, lane_no),
            left_ns = c->deadline->at_ns - qn_scheduler__now(s);
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
    t->arrived_ns = qn_scheduler__now(s);
    qn_scheduler__cond_create(&t->changed);
    qn_schedule_group *g = call->group;
    (void)pthread_mutex_lock(&s->lock);
    qn_status st = admit(s, call, t->lane, err);
    if (st != QN_OK) {
        g->stats.refused++;
        qn_scheduler__unref(t);
        (void)pthread_mutex_unlock(&s->lock);
        return st;
    }
    g->stats.calls++;
    g->stats.calls_now++;
    g->stats.items_asked += call->items;
    g->stats.tokens_now += call->tokens;
    g->stats.work_ns_now += call->cost_ns;
    s->tokens[call->priority] += call->tokens;
    t->own = call->tokens <= FEW_TOKENS && s->thread_count > 0 &&
             qn_scheduler__has_place(s, g);
    if (t->own) {
        qn_scheduler__take_place(g);
    } else {
        qn_scheduler__join_lane(t);
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
            qn_scheduler__serve(t);
            continue;
        }
        if (s->thread_count == 0 && qn_scheduler__step(s)) continue;
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
        qn_scheduler__give_place(t->call.group);
        qn_scheduler__offer_place(s);
    } else {
        qn_scheduler__leave_lane(t);
        if (s->lanes[t->lane].paused > 0) (void)pthread_cond_broadcast(&s->resume);
    }
    while (t->inside > 0) (void)pthread_cond_wait(&t->changed, &s->lock);
    stats->calls_now--;
    stats->tokens_now -= t->call.tokens;
    stats->work_ns_now -= t->left_ns;
    t->left_ns = 0;
    s->tokens[t->call.priority] -= t->call.tokens;
    qn_scheduler__unref(t);
    (void)pthread_mutex_unlock(&s->lock);
}

qn_status qn_scheduler_run(const qn_schedule_call *call, qn_error *err)
{
    qn_ticket *t = NULL;
    QN_TRY(qn_scheduler_begin(call, &t, err));
    qn_scheduler_end(t);
    return QN_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Who is next and what happens to a batch: scheduler_turns.c. Calls: scheduler_calls.c. */
#include "nn/calls/scheduler_internal.h"

int64_t qn_scheduler__now(const qn_scheduler *s)
{
    return s->options.now == NULL ? qn_clock_mono_ns()
                                  : s->options.now(s->options.now_ctx);
}

size_t qn_scheduler__limit(const qn_schedule_group *g)
{
    return g->limit == 0 || g->limit > g->s->places ? g->s->places : g->limit;
}

void qn_scheduler__cond_create(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(cond, &attr);
    (void)pthread_condattr_destroy(&attr);
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
    size_t width = qn_scheduler__limit(g);
    (void)pthread_mutex_unlock(&g->s->lock);
    return width;
}

void qn_schedule_group_stats(qn_schedule_group *g, qn_schedule_stats *out)
{
    (void)pthread_mutex_lock(&g->s->lock);
    *out = g->stats;
    out->limit = qn_scheduler__limit(g);
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

bool qn_scheduler_step(qn_scheduler *s)
{
    (void)pthread_mutex_lock(&s->lock);
    bool did = qn_scheduler__step(s);
    (void)pthread_mutex_unlock(&s->lock);
    return did;
}

static void *thread_main(void *arg)
{
    qn_scheduler *s = arg;
    (void)pthread_mutex_lock(&s->lock);
    while (!s->stopping) {
        if (qn_scheduler__step(s)) continue;
        /* This thread's place may be what another one waits for. */
        (void)pthread_cond_broadcast(&s->resume);
        s->idle++;
        (void)pthread_cond_wait(&s->wake, &s->lock);
        s->idle--;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return NULL;
}

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
    qn_scheduler__cond_create(&s->wake);
    qn_scheduler__cond_create(&s->resume);
    qn_scheduler__cond_create(&s->quiet);
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

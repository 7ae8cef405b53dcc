/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/models/deployments.h"

static const int64_t interval_ns = 10000000000;

struct qn_deployment {
    qn_alloc *alloc;
    qn_scheduler *scheduler;
    qn_schedule_group *group;
    qn_deployment_settings settings;
    qn_allocations allocations;
    qn_schedule_stats sampled; /* as they were then */
    int64_t sampled_ns;
};

qn_status qn_deployment_check(const qn_deployment_settings *s, qn_error *err)
{
    if (s->threads > QN_ALLOCATION_THREADS_MAX)
        return qn_fail(err, QN_EINVAL, "num_threads is %u, at most %d", s->threads,
                       QN_ALLOCATION_THREADS_MAX);
    if (s->count > QN_ALLOCATIONS_MAX)
        return qn_fail(err, QN_EINVAL, "num_allocations is %u, at most %d", s->count,
                       QN_ALLOCATIONS_MAX);
    if (s->max > QN_ALLOCATIONS_MAX)
        return qn_fail(err, QN_EINVAL, "max_number_of_allocations is %u, at most %d",
                       s->max, QN_ALLOCATIONS_MAX);
    if (s->adaptive && s->count != 0)
        return qn_fail(err, QN_EINVAL,
                       "num_allocations cannot be set while adaptive_allocations are "
                       "enabled");
    if (!s->adaptive && (s->min != 0 || s->max != 0))
        return qn_fail(err, QN_EINVAL,
                       "min_number_of_allocations and max_number_of_allocations are "
                       "for adaptive_allocations, which are not enabled");
    if (s->max != 0 && s->min > s->max)
        return qn_fail(err, QN_EINVAL,
                       "min_number_of_allocations is %u, max_number_of_allocations %u",
                       s->min, s->max);
    if (s->idle_ms < 0) return qn_fail(err, QN_EINVAL, "the idle time is negative");
    return QN_OK;
}

static unsigned threads_of(const qn_deployment_settings *s)
{
    return s->threads == 0 ? 1 : s->threads;
}

static qn_allocation_rule rule_of(const qn_deployment_settings *s)
{
    int64_t idle = s->idle_ms == 0 ? QN_ALLOCATIONS_IDLE_MS : s->idle_ms;
    return (qn_allocation_rule){.min = s->min,
                                .max = s->max,
                                .threads = threads_of(s),
                                .idle_seconds = (double)idle / 1000.0};
}

static void apply(qn_deployment *d)
{
    unsigned count = d->allocations.count;
    /* Without allocations there are no calls, and a limit of 0 would be none at all. */
    if (count > 0)
        qn_schedule_group_limit(d->group, (size_t)count * threads_of(&d->settings));
}

void qn_deployment_set(qn_deployment *d, const qn_deployment_settings *settings)
{
    d->settings = *settings;
    if (settings->adaptive) {
        qn_allocation_rule rule = rule_of(settings);
        unsigned max = rule.max;
        if (d->allocations.count < rule.min) d->allocations.count = rule.min;
        if (max != 0 && d->allocations.count > max) d->allocations.count = max;
        qn_allocations_wake(&d->allocations, &rule);
    } else {
        unsigned threads = threads_of(settings);
        size_t all = (qn_scheduler_threads(d->scheduler) + threads - 1) / threads;
        d->allocations.count = settings->count == 0 ? (unsigned)all : settings->count;
    }
    d->allocations.changed = true;
    apply(d);
}

qn_status qn_deployment_create(qn_alloc *a, qn_scheduler *s,
                               const qn_deployment_settings *settings, int64_t now_ns,
                               qn_deployment **out, qn_error *err)
{
    *out = NULL;
    qn_deployment *d = qn_new0(a, sizeof *d);
    if (d == NULL) return qn_fail(err, QN_ENOMEM, "deployment");
    d->alloc = a;
    d->scheduler = s;
    d->sampled_ns = now_ns;
    qn_status st = qn_schedule_group_create(s, 0, &d->group, err);
    if (st != QN_OK) {
        qn_delete(a, d);
        return st;
    }
    qn_deployment_set(d, settings);
    *out = d;
    return QN_OK;
}

void qn_deployment_destroy(qn_deployment *d)
{
    if (d == NULL) return;
    qn_schedule_group_destroy(d->group);
    qn_delete(d->alloc, d);
}

void qn_deployment_settings_get(const qn_deployment *d, qn_deployment_settings *out)
{
    *out = d->settings;
}

qn_schedule_group *qn_deployment_group(const qn_deployment *d)
{
    return d->group;
}

void qn_deployment_wake(qn_deployment *d)
{
    if (!d->settings.adaptive) return;
    qn_allocation_rule rule = rule_of(&d->settings);
    bool none = d->allocations.count == 0;
    qn_allocations_wake(&d->allocations, &rule);
    if (none) apply(d);
}

void qn_deployment_tick(qn_deployment *d, int64_t now_ns)
{
    int64_t passed_ns = now_ns - d->sampled_ns;
    if (passed_ns < interval_ns) return;
    qn_schedule_stats stats;
    qn_schedule_group_stats(d->group, &stats);
    const qn_allocation_sample sample = {
        .seconds = (double)passed_ns / 1e9,
        .asked = stats.items_asked - d->sampled.items_asked,
        .done = stats.items_done - d->sampled.items_done,
        .busy_seconds = (double)(stats.busy_ns - d->sampled.busy_ns) / 1e9,
    };
    d->sampled = stats;
    d->sampled_ns = now_ns;
    if (!d->settings.adaptive) return;
    qn_allocation_rule rule = rule_of(&d->settings);
    if (stats.calls_now > 0) d->allocations.idle_seconds = 0.0;
    if (stats.calls_now > 0 && sample.asked == 0)
        rule.min = rule.min == 0 ? 1 : rule.min;
    (void)qn_allocations_step(&d->allocations, &rule, &sample);
    apply(d);
}

unsigned qn_deployment_count(const qn_deployment *d)
{
    return d->allocations.count;
}

void qn_deployment_load(const qn_deployment *d, double *rate, double *seconds)
{
    *rate = d->allocations.rate.known ? d->allocations.rate.value : 0.0;
    *seconds = d->allocations.time.known ? d->allocations.time.value : 0.0;
}

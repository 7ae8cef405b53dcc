/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/models/allocations.h"

#include <math.h>

static const double remembered = 100.0; /* measurements */
static const double jump_deviations = 10.0;
static const double load_up = 0.90, load_down = 0.85;

static double squared(double x)
{
    return x * x;
}

void qn_estimate_add(qn_estimate *e, double value, double variance, bool jump,
                     bool detect)
{
    if (!e->known) {
        *e = (qn_estimate){value, variance, true, true};
        return;
    }
    if (detect)
        jump = jump || squared(value - e->value) >
                           squared(jump_deviations) * (variance + e->variance);
    /* How much the quantity itself may have moved since the last measurement. */
    double drift = jump || e->jumped ? squared(value) : variance / remembered;
    double before = e->variance + drift;
    double gain = before + variance > 0.0 ? before / (before + variance) : 1.0;
    e->value += gain * (value - e->value);
    e->variance = (1.0 - gain) * before;
    e->jumped = jump;
}

double qn_estimate_lower(const qn_estimate *e)
{
    return fmax(0.0, e->value - sqrt(e->variance));
}

double qn_estimate_upper(const qn_estimate *e)
{
    return e->value + sqrt(e->variance);
}

static void measure(qn_allocations *a, const qn_allocation_sample *s)
{
    double rate = (double)s->asked / s->seconds;
    double mean = a->rate.known ? a->rate.value : rate;
    qn_estimate_add(&a->rate, rate, fmax(1.0, mean * s->seconds) / squared(s->seconds),
                    false, true);
    if (s->done == 0) return;
    double time = s->busy_seconds / (double)s->done;
    double typical = a->time.known ? a->time.value : time;
    qn_estimate_add(&a->time, time, squared(typical) / (double)s->done, a->changed,
                    false);
    a->changed = false;
}

static unsigned clamped(unsigned n, const qn_allocation_rule *rule)
{
    unsigned max = rule->max == 0 ? QN_ALLOCATIONS_MOST : rule->max;
    if (n < rule->min) n = rule->min;
    return n > max ? max : n;
}

unsigned qn_allocations_step(qn_allocations *a, const qn_allocation_rule *rule,
                             const qn_allocation_sample *sample)
{
    if (sample->seconds <= 0.0) return a->count;
    unsigned before = a->count;
    a->idle_seconds = sample->asked > 0 ? 0.0 : a->idle_seconds + sample->seconds;
    measure(a, sample);
    if (rule->min == 0 && a->idle_seconds >= rule->idle_seconds) {
        a->count = 0;
    } else if (a->count > 0 && a->time.known) {
        double threads = rule->threads == 0 ? 1.0 : (double)rule->threads;
        double lower = qn_estimate_lower(&a->rate) * qn_estimate_lower(&a->time);
        double upper = qn_estimate_upper(&a->rate) * qn_estimate_upper(&a->time);
        unsigned n = a->count, max = rule->max == 0 ? QN_ALLOCATIONS_MOST : rule->max;
        while (n < max && lower / threads / (double)n > load_up) n++;
        while (n > 1 && upper / threads / (double)(n - 1) < load_down) n--;
        a->count = clamped(n, rule);
    } else if (a->count > 0) {
        a->count = clamped(a->count, rule);
    }
    if (a->count != before) a->changed = true;
    return a->count;
}

void qn_allocations_wake(qn_allocations *a, const qn_allocation_rule *rule)
{
    a->idle_seconds = 0.0;
    if (a->count > 0) return;
    a->count = clamped(1, rule);
    a->changed = true;
}

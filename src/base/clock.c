/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stddef.h>
#include <sys/random.h>
#include <time.h>

static int64_t read_ns(clockid_t id)
{
    struct timespec t = {0};
    (void)clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t qn_clock_mono_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

int64_t qn_clock_wall_ms(void)
{
    return read_ns(CLOCK_REALTIME) / 1000000;
}

int64_t qn_clock_cpu_ns(void)
{
    return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t qn_clock_seed(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        qn_rng mix = {(uint64_t)read_ns(CLOCK_REALTIME) ^ (uint64_t)(uintptr_t)&seed};
        seed = qn_rng_next(&mix);
    }
    return seed;
}

qn_deadline qn_deadline_in_ms(int64_t ms, const atomic_bool *cancelled)
{
    int64_t at = ms <= 0 ? 0 : qn_clock_mono_ns() + ms * 1000000;
    return (qn_deadline){.at_ns = at, .cancelled = cancelled};
}

bool qn_deadline_cancelled(const qn_deadline *d)
{
    return d != NULL && d->cancelled != NULL &&
           atomic_load_explicit(d->cancelled, memory_order_relaxed);
}

bool qn_deadline_passed(const qn_deadline *d)
{
    if (d == NULL) return false;
    if (d->breathe != NULL) d->breathe(d->breathe_ctx);
    if (qn_deadline_cancelled(d)) return true;
    return d->at_ns != 0 && qn_clock_mono_ns() >= d->at_ns;
}

int64_t qn_deadline_left_ns(const qn_deadline *d)
{
    if (d == NULL) return INT64_MAX;
    if (qn_deadline_cancelled(d)) return 0;
    if (d->at_ns == 0) return INT64_MAX;
    int64_t left = d->at_ns - qn_clock_mono_ns();
    return left > 0 ? left : 0;
}

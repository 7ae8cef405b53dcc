/* SPDX-License-Identifier: Apache-2.0 */
/* base/clock.h -- time, deadlines and randomness, all injected where results depend
 * on them. */
#ifndef QN_BASE_CLOCK_H
#define QN_BASE_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Nanoseconds that only go forward; for durations. */
int64_t qn_clock_mono_ns(void);
/* Milliseconds since 1970 UTC. */
int64_t qn_clock_wall_ms(void);
/* CPU time of this thread, nanoseconds. */
int64_t qn_clock_cpu_ns(void);
/* Sixty-four unpredictable bits from the system. */
uint64_t qn_clock_seed(void);

/* When a piece of work must stop. Zero-initialised: never. Passed by pointer, NULL
 * means never as well. */
typedef struct qn_deadline {
    int64_t at_ns;                /* on qn_clock_mono_ns(); 0: no limit */
    const atomic_bool *cancelled; /* NULL, or set by whoever gave up waiting */
    /* NULL, or called by qn_deadline_passed(): a place where the work may be held up in
     * favour of other work, for any time. */
    void (*breathe)(void *ctx);
    void *breathe_ctx;
} qn_deadline;

qn_deadline qn_deadline_in_ms(int64_t ms, const atomic_bool *cancelled);
/* Past the limit or cancelled. */
bool qn_deadline_passed(const qn_deadline *d);
bool qn_deadline_cancelled(const qn_deadline *d);
/* Nanoseconds left, INT64_MAX when there is no limit, 0 when passed. */
int64_t qn_deadline_left_ns(const qn_deadline *d);

/* splitmix64: a stream of well-mixed numbers from any seed. */
typedef struct qn_rng {
    uint64_t state;
} qn_rng;

static inline uint64_t qn_rng_next(qn_rng *r)
{
    uint64_t z = (r->state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Uniform in [0, 1). */
static inline double qn_rng_unit(qn_rng *r)
{
    return (double)(qn_rng_next(r) >> 11) * 0x1.0p-53;
}

#endif

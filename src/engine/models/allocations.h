/* SPDX-License-Identifier: Apache-2.0 */
/* engine/models/allocations.h -- how many allocations a model's deployment should have.
 *
 * An allocation is the right to keep `threads` threads busy. Every ten seconds it is
 * measured how many items (pairs, texts) were asked for a second, and how long one took
 * on one thread. Both go through a Kalman filter of one dimension that remembers about a
 * hundred measurements; their product is the load, in busy threads:
 *
 *     more     while   lower(load) / n       > 0.90
 *     fewer    while   upper(load) / (n - 1) < 0.85
 *
 * lower and upper are one standard deviation off, so that few measurements or wavering
 * ones change nothing. Counting is a Poisson process: the variance of a rate over t
 * seconds is max(1, rate t) / t^2. How long items take is not known in form: the
 * variance of a mean of n is taken as mean^2 / n. A rate that is ten deviations off, and
 * a time after n changed, are believed rather than averaged.
 *
 * Threads   none of its own; the caller keeps calls apart. No clock: time is given. */
#ifndef QN_ENGINE_ALLOCATIONS_H
#define QN_ENGINE_ALLOCATIONS_H

#include <stdbool.h>
#include <stdint.h>

/* Adaptive allocations of a deployment that names no most. */
#define QN_ALLOCATIONS_MOST 32u
/* Idle for so long, a model goes from memory when it may: a quarter of an hour. */
#define QN_ALLOCATIONS_IDLE_MS 900000

typedef struct qn_estimate {
    double value, variance;
    bool known, jumped; /* jumped: the last measurement was believed */
} qn_estimate;

/* `jump`: what is measured may have changed; `detect`: find that out from the numbers. */
void qn_estimate_add(qn_estimate *e, double value, double variance, bool jump,
                     bool detect);
double qn_estimate_lower(const qn_estimate *e); /* not below 0 */
double qn_estimate_upper(const qn_estimate *e);

typedef struct qn_allocation_rule {
    unsigned min, max;   /* max 0: 32 */
    unsigned threads;    /* of one allocation */
    double idle_seconds; /* without a request, then none are left if min is 0 */
} qn_allocation_rule;

typedef struct qn_allocation_sample {
    double seconds;       /* since the last one */
    uint64_t asked, done; /* items in that time */
    double busy_seconds;  /* of threads, for those that were done */
} qn_allocation_sample;

/* Zero-initialised, with `count` set: a fresh one. */
typedef struct qn_allocations {
    unsigned count;
    qn_estimate rate, time;
    double idle_seconds;
    bool changed;
} qn_allocations;

/* The new count; also in a->count. */
unsigned qn_allocations_step(qn_allocations *a, const qn_allocation_rule *rule,
                             const qn_allocation_sample *sample);
/* Somebody asks: at least one, at least min. */
void qn_allocations_wake(qn_allocations *a, const qn_allocation_rule *rule);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* num_test.h -- what the tests of num/ share: random vectors, and the walk over the
 * kernel sets. A set that this CPU cannot run is named on standard output as skipped.
 */
#ifndef QN_NUM_TEST_H
#define QN_NUM_TEST_H

#include "../qn_test.h"

#include "base/clock.h"
#include "num/kernels.h"

#include <float.h>
#include <math.h>

/* The set under test, in front of every row's name. */
static char num_row[96];
#define NUM_ROW(k, ...)                                                                \
    do {                                                                               \
        char num_what_[64];                                                            \
        (void)snprintf(num_what_, sizeof num_what_, __VA_ARGS__);                      \
        (void)snprintf(num_row, sizeof num_row, "%s: %s", (k)->name, num_what_);       \
        T_ROW(num_row);                                                                \
    } while (0)

static inline void num_each_set(void (*check)(const qn_kernels *k))
{
    for (size_t i = 0; i < qn_kernel_set_count; i++) {
        if (qn_kernel_sets[i].usable())
            check(&qn_kernel_sets[i]);
        else
            print_message("skipped: %s\n", qn_kernel_sets[i].name);
    }
}

static inline const qn_kernels *num_scalar(void)
{
    return &qn_kernel_sets[qn_kernel_set_count - 1];
}

/* Uniform in [-most, most). */
static inline void num_fill(qn_rng *r, float *x, size_t n, double most)
{
    for (size_t i = 0; i < n; i++) x[i] = (float)((qn_rng_unit(r) * 2 - 1) * most);
}

/* lowest .. 127 */
static inline void num_fill_i8(qn_rng *r, int8_t *x, size_t n, int lowest)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t span = (uint64_t)(128 - lowest);
        x[i] = (int8_t)(lowest + (int)(qn_rng_next(r) % span));
    }
}

#endif

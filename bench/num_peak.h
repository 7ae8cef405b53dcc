/* SPDX-License-Identifier: Apache-2.0 */
/* num_peak.h -- what one core can multiply at most, measured: loops of nothing but the
 * instruction that a kernel set's products rest on, over twelve independent chains in
 * registers. Products are reported as shares of it. */
#ifndef QN_BENCH_NUM_PEAK_H
#define QN_BENCH_NUM_PEAK_H

#include "num/gemm.h"

/* Multiplications and additions of one pass of the loop, and the pass; NULL where there
 * is none for the set. An int8 product of AVX2 is a vpmaddwd and a vpaddd. */
typedef struct num_peak {
    const char *set;
    qn_gemm_type type;
    double ops;
    void (*run)(void *unused);
} num_peak;

const num_peak *num_peak_find(const char *set, qn_gemm_type type);

#endif

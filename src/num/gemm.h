/* SPDX-License-Identifier: Apache-2.0 */
/* num/gemm.h -- the big matrix products of a model: activations times a weight matrix
 * that never changes.
 *
 *     Y[m][n] = sum_k X[m][k] * W[n][k] + bias[n]        X: M x K, W: N x K, row-major
 *
 * The weight is packed once, at load, into the form that the kernel set multiplies
 * fastest. Two kinds of weight: f32, and int8 with one scale per row n. For int8 the
 * activations are quantised per row m at run time (symmetric, [-127, 127]) and products
 * are summed exactly in int32:
 *
 *     Y[m][n] = sx[m] * sw[n] * sum_k Xq[m][k] * Wq[n][k] + bias[n]
 *
 * so every kernel set and every batch gives the same int32 sums, and the same floats,
 * since scaling is done in one fixed way.
 *
 * Row m of Y has the same bits whatever M is and whatever the other rows are. In f32
 * each value is one chain over k, in order: sets with fused multiply-add (avx2,
 * avx512vnni, neon) agree to the bit, scalar within the rounding of K terms.
 *
 * Lifetime   a packed weight owns its memory; the source may go after packing.
 * Threads    a packed weight is immutable: any number of threads multiply with it, each
 *            with its own scratch. A product runs on the calling thread alone.
 * Errors     packing can run out of memory; products cannot fail. */
#ifndef QN_NUM_GEMM_H
#define QN_NUM_GEMM_H

#include "base/alloc.h"
#include "num/kernels.h"

typedef struct qn_gemm qn_gemm; /* one packed weight */

/* W: N x K. Both at least 1, K at most 65536. */
QN_MUST_CHECK qn_status qn_gemm_pack_f32(qn_alloc *a, const qn_kernels *kernels,
                                         const float *W, size_t N, size_t K,
                                         QN_OWNED qn_gemm **out, qn_error *err);
/* W: N x K in [-127, 127], scale: N. */
QN_MUST_CHECK qn_status qn_gemm_pack_i8(qn_alloc *a, const qn_kernels *kernels,
                                        const int8_t *W, const float *scale, size_t N,
                                        size_t K, QN_OWNED qn_gemm **out,
                                        qn_error *err);
void qn_gemm_destroy(QN_OWNED QN_NULLABLE qn_gemm *g);

size_t qn_gemm_rows(const qn_gemm *g);    /* N */
size_t qn_gemm_columns(const qn_gemm *g); /* K */
size_t qn_gemm_bytes(const qn_gemm *g);   /* memory held */
/* Who multiplies: "own avx2 i8", ... for `quern version --build`. */
const char *qn_gemm_backend(const qn_gemm *g);

/* Bytes of scratch that a product of M rows needs. */
size_t qn_gemm_scratch_bytes(const qn_gemm *g, size_t M);
/* Y: M x N with leading dimension ldy >= N; X: M x K, contiguous rows with ldx >= K.
 * bias: N values or NULL. `scratch`: qn_gemm_scratch_bytes(g, M), aligned to 64. */
void qn_gemm_run(const qn_gemm *g, size_t M, const float *X, size_t ldx,
                 QN_NULLABLE const float *bias, float *Y, size_t ldy, void *scratch);

/* What follows a product, done while its tile is still in the cache. */
typedef struct qn_gemm_after {
    qn_pointwise pointwise;            /* Y = f(Y) */
    QN_NULLABLE const float *residual; /* then Y += residual: M x N, apart from Y */
    size_t ldr;
} qn_gemm_after;

/* qn_gemm_run() and then `after`, with the bits of doing it in two steps. */
void qn_gemm_run_after(const qn_gemm *g, size_t M, const float *X, size_t ldx,
                       QN_NULLABLE const float *bias, const qn_gemm_after *after,
                       float *Y, size_t ldy, void *scratch);

#endif

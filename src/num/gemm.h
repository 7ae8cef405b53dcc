/* SPDX-License-Identifier: Apache-2.0 */
/* num/gemm.h -- the big matrix products of a model: activations times a weight matrix
 * that never changes.
 *
 *     Y[m][n] = sum_k X[m][k] * W[n][k] + bias[n]        X: M x K, W: N x K, row-major
 *
 * The weight is packed once into the form that the kernel set multiplies fastest. Three
 * kinds of weight:
 *
 *     f32
 *     bf16   where the set multiplies bf16, activations are rounded to bf16 (nearest,
 *            halves to even) and products summed in f32, two k at a time; elsewhere the
 *            weight is converted and the product is one in f32: qn_gemm_backend() says
 *            "as f32"
 *     int8   one scale per row n. Activations are quantised per row m at run time
 *            (symmetric, [-127, 127]) and products are summed exactly in int32:
 *                Y[m][n] = sx[m] * sw[n] * sum_k Xq[m][k] * Wq[n][k] + bias[n]
 *            so every kernel set and every batch gives the same int32 sums, and the same
 *            floats, since scaling is done in one fixed way
 *
 * int8 with centered activations is for values that are not symmetric about zero, as
 * GELU's, which never go under -0.17. K is cut into parts; each part of a row is moved
 * by the middle of its values before it is quantised, and what was taken away comes back
 * exactly, as the middle times the sum of the weight's row:
 *
 *     Y[m][n] = sum over parts p of sx[m][p] * sw[n] * (Xq[m][p] . Wq[n][p])
 *                                   + middle[m][p] * sw[n] * sum Wq[n][p]   + bias[n]
 *
 * Row m of Y has the same bits whatever M is and whatever the other rows are. In f32
 * each value is one chain over k, in order: sets with fused multiply-add (all but
 * scalar) agree to the bit, scalar within the rounding of K terms.
 *
 * Lifetime   a packed weight owns its memory; the source may go after packing. One that
 *            was opened from bytes borrows them.
 * Threads    a packed weight is immutable: any number of threads multiply with it, each
 *            with its own scratch. A product runs on the calling thread alone.
 * Errors     packing can run out of memory; products cannot fail. */
#ifndef QN_NUM_GEMM_H
#define QN_NUM_GEMM_H

#include "base/alloc.h"
#include "num/kernels.h"

typedef struct qn_gemm qn_gemm; /* one packed weight */

typedef enum qn_gemm_type { QN_GEMM_F32, QN_GEMM_I8, QN_GEMM_BF16 } qn_gemm_type;

/* W: N x K. Both at least 1, K at most 65536. */
QN_MUST_CHECK qn_status qn_gemm_pack_f32(qn_alloc *a, const qn_kernels *kernels,
                                         const float *W, size_t N, size_t K,
                                         QN_OWNED qn_gemm **out, qn_error *err);
/* W: N x K in [-127, 127], scale: N. */
QN_MUST_CHECK qn_status qn_gemm_pack_i8(qn_alloc *a, const qn_kernels *kernels,
                                        const int8_t *W, const float *scale, size_t N,
                                        size_t K, QN_OWNED qn_gemm **out,
                                        qn_error *err);
/* The same with centered activations, in `parts` parts, which divide K. */
QN_MUST_CHECK qn_status qn_gemm_pack_i8_centered(qn_alloc *a, const qn_kernels *kernels,
                                                 const int8_t *W, const float *scale,
                                                 size_t N, size_t K, size_t parts,
                                                 QN_OWNED qn_gemm **out, qn_error *err);
/* W: N x K, the upper halves of floats. */
QN_MUST_CHECK qn_status qn_gemm_pack_bf16(qn_alloc *a, const qn_kernels *kernels,
                                          const uint16_t *W, size_t N, size_t K,
                                          QN_OWNED qn_gemm **out, qn_error *err);

/* A packed weight as bytes, to be kept in a file: a multiple of 64 of them, the same for
 * the same weight and set. Valid as long as the weight. */
const void *qn_gemm_packed_view(const qn_gemm *g, size_t *size);
/* Opens those bytes in place; they begin on a line of 64 bytes and stay as long as the
 * weight. Only the head is looked at: the caller knows that the bytes are whole.
 * QN_EMODEL when they were packed for another set of kernels or by another version:
 * whoever keeps such bytes packs anew then. */
QN_MUST_CHECK qn_status qn_gemm_packed_open(qn_alloc *a, const qn_kernels *kernels,
                                            const void *bytes, size_t size,
                                            QN_OWNED qn_gemm **out, qn_error *err);
/* Changes with the layout of any set; a part of a file's name or key. */
enum { QN_GEMM_PACKED_VERSION = 1 };

void qn_gemm_destroy(QN_OWNED QN_NULLABLE qn_gemm *g);

qn_gemm_type qn_gemm_type_of(const qn_gemm *g);
size_t qn_gemm_rows(const qn_gemm *g);    /* N */
size_t qn_gemm_columns(const qn_gemm *g); /* K */
size_t qn_gemm_bytes(const qn_gemm *g);   /* memory held, without borrowed bytes */
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

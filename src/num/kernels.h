/* SPDX-License-Identifier: Apache-2.0 */
/* num/kernels.h -- the numeric inner loops, one table of functions per instruction set.
 *
 * `scalar` is the meaning of each kernel: plain, wide where it costs nothing, never
 * optimised. `avx2`, `avx512vnni` and `neon` are tested against it with a
 * derived bound, int8 kernels to the bit. The set is picked once, by
 * qn_kernels_best(), and handed down; there is no global.
 *
 * Every kernel treats element i of row r in one way, whatever the other rows are and
 * wherever the pointers lie: a batch changes nothing.
 *
 * Shapes    n: elements; rows: vectors, one after another, `n` elements each.
 * Pointers  need no alignment; inputs and outputs do not overlap unless a comment
 *           says "in place".
 * Threads   pure functions. */
#ifndef QN_NUM_KERNELS_H
#define QN_NUM_KERNELS_H

#include "base/status.h"

typedef struct qn_kernels {
    const char *name; /* "scalar", "avx2", "avx512vnni", "neon" */
    bool (*usable)(void);

    /* sum a[i] * b[i]; sum (a[i] - b[i])^2 */
    float (*dot_f32)(const float *a, const float *b, size_t n);
    float (*l2_f32)(const float *a, const float *b, size_t n);
    /* The same over int8, all of [-128, 127], exact: n at most 65536 for dot_i8, 32768
     * for l2_i8. */
    int32_t (*dot_i8)(const int8_t *a, const int8_t *b, size_t n);
    int32_t (*l2_i8)(const int8_t *a, const int8_t *b, size_t n);
    /* One query against `rows` vectors: out[r]. Each value has the bits of the single
     * function above. */
    void (*dot_f32_rows)(const float *q, const float *v, size_t rows, size_t n,
                         float *out);
    void (*l2_f32_rows)(const float *q, const float *v, size_t rows, size_t n,
                        float *out);
    void (*dot_i8_rows)(const int8_t *q, const int8_t *v, size_t rows, size_t n,
                        int32_t *out);
    void (*l2_i8_rows)(const int8_t *q, const int8_t *v, size_t rows, size_t n,
                       int32_t *out);
    /* scale * max|x| = 127: fills q and returns the scale (x ~ q * scale); all zero
     * gives scale 0, and so does max|x| < QN_QUANTIZE_TINY. Rounds half to even. An
     * infinity or a NaN in x gives scale NaN and q all zero: it must not get lost. The
     * same bits in every set. */
    float (*quantize_i8)(const float *x, size_t n, int8_t *q);

    /* x = exp(x - max) / sum, in place; -inf gives 0 beside a finite value. */
    void (*softmax)(float *x, size_t n);
    /* The same without the division: returns the sum. n at least 1. */
    float (*softmax_sum)(float *x, size_t n);
    /* y[i] = x[index[i] - from], or y[i] += it. The index goes up or goes down, by 0 or
     * 1 a step where it shall be fast; x has room for 15 values past the last one. */
    void (*pick)(const float *x, const int32_t *index, int32_t from, size_t n, bool add,
                 float *y);
    /* x *= a */
    void (*scale)(float *x, float a, size_t n);
    /* out = (x - mean) / sqrt(var + eps) * gamma + beta; out may be x. beta NULL: the
     * same bits as a beta of zeros. */
    void (*layer_norm)(const float *x, const float *gamma,
                       QN_NULLABLE const float *beta, float eps, size_t n, float *out);
    /* x * Phi(x), the exact (erf) form; in place. |error| <= 1e-6 of max(1, |x|). */
    void (*gelu)(float *x, size_t n);
    /* x / 2 * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), in place; the same bound. */
    void (*gelu_tanh)(float *x, size_t n);
    /* x / (1 + e^-x), in place; the same bound. */
    void (*silu)(float *x, size_t n);
    /* max(x, 0), in place; NaN stays NaN. */
    void (*relu)(float *x, size_t n);
    /* Rotary positions: `count` vectors of 2 * half values, one after another, each pair
     * (x[i], x[i + half]) turned by the angle whose cosine is c[i] and sine s[i]; each
     * step rounded: the same bits in every set. */
    void (*rotate)(float *x, const float *c, const float *s, size_t half, size_t count);
    /* y += x; y += a * x */
    void (*add)(float *y, const float *x, size_t n);
    void (*axpy)(float a, const float *x, float *y, size_t n);
    /* out = x * y, element by element; out may be x. */
    void (*mul)(const float *x, const float *y, float *out, size_t n);
    /* Subtracts the middle of the smallest and the largest value, in place, and returns
     * it; 0 for n = 0. The same bits in every set. */
    float (*center)(float *x, size_t n);
    /* x = tanh(x), in place. */
    void (*tanh)(float *x, size_t n);

    /* Numbers of `bits` bits each (0 to 56, or 64), low first, from the first bit of
     * `data` on, which is whole words of 64 and one word more: bit i of out (whole
     * words) says whether low <= number i <= low + span. The same bits in every set. */
    void (*match_packed)(const uint8_t *data, unsigned bits, size_t n, uint64_t low,
                         uint64_t span, uint64_t *out);

    /* C[m][n] = alpha * sum_k A[m][k] * B[n][k]: rows of A against rows of B, with
     * leading dimensions; the small products inside attention. */
    void (*matmul_nt)(size_t M, size_t N, size_t K, float alpha, const float *A,
                      size_t lda, const float *B, size_t ldb, float *C, size_t ldc);
    /* C[m][n] = sum_k A[m][k] * B[k][n]. */
    void (*matmul_nn)(size_t M, size_t N, size_t K, const float *A, size_t lda,
                      const float *B, size_t ldb, float *C, size_t ldc);

    const struct qn_lists *lists; /* posting lists: num/lists.h */
    /* What gemm.h is built on; private to num/. */
    const struct qn_tiles *tiles;
    const struct qn_tiles_i8 *tiles_i8;
    QN_NULLABLE const struct qn_tiles_bf16 *tiles_bf16; /* bf16 is run in f32 without */
} qn_kernels;

#define QN_QUANTIZE_TINY 1e-30f

typedef enum qn_pointwise {
    QN_POINTWISE_NONE,
    QN_POINTWISE_GELU,
    QN_POINTWISE_GELU_TANH,
    QN_POINTWISE_RELU,
    QN_POINTWISE_SILU,
    QN_POINTWISE_TANH,
} qn_pointwise;

/* x = f(x), in place. */
void qn_pointwise_apply(const qn_kernels *kernels, qn_pointwise f, float *x, size_t n);

/* Fastest first; `scalar` is last and always usable. */
extern const qn_kernels qn_kernel_sets[];
extern const size_t qn_kernel_set_count;

/* The fastest set this CPU can run; $QUERN_KERNELS names another one (an unusable or
 * unknown name is ignored with a warning in the log). */
const qn_kernels *qn_kernels_best(void);
/* By name, NULL when not compiled in or not usable here. */
QN_NULLABLE const qn_kernels *qn_kernels_find(const char *name);

#endif

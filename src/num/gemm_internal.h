/* SPDX-License-Identifier: Apache-2.0 */
/* num/gemm_internal.h -- the seam between gemm.c and who multiplies. A back end fills
 * `state` when packing and gives it back in destroy(); gemm.c owns the rest. */
#ifndef QN_NUM_GEMM_INTERNAL_H
#define QN_NUM_GEMM_INTERNAL_H

#include "num/gemm.h"
#include "num/tiles.h"

typedef struct qn_gemm_maker {
    const char *name;
    /* g->alloc .. g->centered are set. On failure nothing is left in g->state. */
    qn_status (*pack_f32)(qn_gemm *g, const float *W, qn_error *err);
    qn_status (*pack_i8)(qn_gemm *g, const int8_t *W, const float *scale,
                         qn_error *err);
    size_t (*scratch_bytes)(const qn_gemm *g, size_t M);
    /* `after` is never NULL. */
    void (*run)(const qn_gemm *g, size_t M, const float *X, size_t ldx,
                const float *bias, const qn_gemm_after *after, float *Y, size_t ldy,
                void *scratch);
    void (*destroy)(qn_gemm *g);
} qn_gemm_maker;

struct qn_gemm {
    qn_alloc *alloc;
    const qn_kernels *kernels;
    const qn_gemm_maker *backend;
    size_t N, K;
    qn_gemm_type type;
    size_t parts;  /* of K, in which int8 activations are quantised */
    bool centered; /* about the middle of each part */
    size_t bytes;  /* held by the back end */
    void *state;
    char name[48]; /* "own avx2 i8" */
};

extern const qn_gemm_maker qn_num__gemm_own;
/* The library, as a second opinion in tests and benchmarks: gemm_onednn.c, a target of
 * its own (quern_gemm_onednn) that the product does not link. */
extern const qn_gemm_maker qn_num__gemm_onednn;

/* qn_gemm_pack_f32() and _i8() by a back end of choice. */
QN_MUST_CHECK qn_status qn_num__gemm_pack_f32(qn_alloc *a, const qn_gemm_maker *maker,
                                              const qn_kernels *kernels, const float *W,
                                              size_t N, size_t K, qn_gemm **out,
                                              qn_error *err);
QN_MUST_CHECK qn_status qn_num__gemm_pack_i8(qn_alloc *a, const qn_gemm_maker *maker,
                                             const qn_kernels *kernels, const int8_t *W,
                                             const float *scale, size_t N, size_t K,
                                             qn_gemm **out, qn_error *err);

/* Y = f(Y), Y += residual over a part of Y that starts at row m, column n. */
void qn_num__gemm_finish(const qn_kernels *kernels, const qn_gemm_after *after,
                         size_t m, size_t n, size_t rows, size_t cols, float *y,
                         size_t ldy);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* gemm.c -- the seam: checks and ownership; who multiplies is behind qn_gemm_maker. */
#include "num/gemm.h"

#include "num/gemm_internal.h"

#include <stdio.h>

enum { DEPTH_MAX = 65536 }; /* 255 * 127 * K must fit int32 */

static qn_status gemm_new(qn_alloc *a, const qn_gemm_maker *maker,
                          const qn_kernels *kernels, size_t N, size_t K, bool int8,
                          qn_gemm **out, qn_error *err)
{
    *out = NULL;
    if (N < 1 || K < 1 || K > DEPTH_MAX || N > SIZE_MAX / 16 / DEPTH_MAX)
        return qn_fail(err, QN_EINVAL,
                       "a weight of %zu x %zu: both sides are at least 1, columns at "
                       "most %d",
                       N, K, DEPTH_MAX);
    qn_gemm *g = qn_new0(a, sizeof *g);
    if (g == NULL) return qn_fail(err, QN_ENOMEM, "a packed weight");
    g->alloc = a;
    g->kernels = kernels;
    g->backend = maker;
    g->N = N;
    g->K = K;
    g->int8 = int8;
    bool own = maker == &qn_num__gemm_own;
    (void)snprintf(g->name, sizeof g->name, "%s%s%s %s", maker->name, own ? " " : "",
                   own ? kernels->name : "", int8 ? "i8" : "f32");
    *out = g;
    return QN_OK;
}

qn_status qn_num__gemm_pack_f32(qn_alloc *a, const qn_gemm_maker *maker,
                                const qn_kernels *kernels, const float *W, size_t N,
                                size_t K, qn_gemm **out, qn_error *err)
{
    qn_status st;
    QN_TRY(gemm_new(a, maker, kernels, N, K, false, out, err));
    QN_TRY_TO(fail, (*out)->backend->pack_f32(*out, W, err));
    return QN_OK;
fail:
    qn_delete(a, *out);
    *out = NULL;
    return st;
}

qn_status qn_num__gemm_pack_i8(qn_alloc *a, const qn_gemm_maker *maker,
                               const qn_kernels *kernels, const int8_t *W,
                               const float *scale, size_t N, size_t K, qn_gemm **out,
                               qn_error *err)
{
    qn_status st;
    QN_TRY(gemm_new(a, maker, kernels, N, K, true, out, err));
    QN_TRY_TO(fail, (*out)->backend->pack_i8(*out, W, scale, err));
    return QN_OK;
fail:
    qn_delete(a, *out);
    *out = NULL;
    return st;
}

qn_status qn_gemm_pack_f32(qn_alloc *a, const qn_kernels *kernels, const float *W,
                           size_t N, size_t K, qn_gemm **out, qn_error *err)
{
    return qn_num__gemm_pack_f32(a, &qn_num__gemm_own, kernels, W, N, K, out, err);
}

qn_status qn_gemm_pack_i8(qn_alloc *a, const qn_kernels *kernels, const int8_t *W,
                          const float *scale, size_t N, size_t K, qn_gemm **out,
                          qn_error *err)
{
    return qn_num__gemm_pack_i8(a, &qn_num__gemm_own, kernels, W, scale, N, K, out,
                                err);
}

void qn_gemm_destroy(qn_gemm *g)
{
    if (g == NULL) return;
    g->backend->destroy(g);
    qn_delete(g->alloc, g);
}

size_t qn_gemm_rows(const qn_gemm *g)
{
    return g->N;
}

size_t qn_gemm_columns(const qn_gemm *g)
{
    return g->K;
}

size_t qn_gemm_bytes(const qn_gemm *g)
{
    return g->bytes + sizeof *g;
}

const char *qn_gemm_backend(const qn_gemm *g)
{
    return g->name;
}

size_t qn_gemm_scratch_bytes(const qn_gemm *g, size_t M)
{
    return g->backend->scratch_bytes(g, M);
}

void qn_gemm_run(const qn_gemm *g, size_t M, const float *X, size_t ldx,
                 const float *bias, float *Y, size_t ldy, void *scratch)
{
    const qn_gemm_after nothing = {0};
    qn_gemm_run_after(g, M, X, ldx, bias, &nothing, Y, ldy, scratch);
}

void qn_gemm_run_after(const qn_gemm *g, size_t M, const float *X, size_t ldx,
                       const float *bias, const qn_gemm_after *after, float *Y,
                       size_t ldy, void *scratch)
{
    qn_assert(ldx >= g->K && ldy >= g->N);
    qn_assert(after->residual == NULL || after->ldr >= g->N);
    if (M > 0) g->backend->run(g, M, X, ldx, bias, after, Y, ldy, scratch);
}

void qn_num__gemm_finish(const qn_kernels *kernels, const qn_gemm_after *after,
                         size_t m, size_t n, size_t rows, size_t cols, float *y,
                         size_t ldy)
{
    for (size_t i = 0; i < rows; i++) {
        qn_pointwise_apply(kernels, after->pointwise, y + i * ldy, cols);
        if (after->residual != NULL)
            kernels->add(y + i * ldy, after->residual + (m + i) * after->ldr + n, cols);
    }
}

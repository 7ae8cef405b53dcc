/* SPDX-License-Identifier: Apache-2.0 */
/* gemm.c -- the seam: checks and ownership; who multiplies is behind qn_gemm_maker. */
#include "num/gemm.h"

#include "num/gemm_packed.h"

#include <stdio.h>

enum { DEPTH_MAX = 65536 }; /* 255 * 127 * K must fit int32 */

static qn_status check_shape(size_t N, size_t K, qn_error *err)
{
    if (N >= 1 && K >= 1 && K <= DEPTH_MAX && N <= SIZE_MAX / 16 / DEPTH_MAX)
        return QN_OK;
    return qn_fail(
        err, QN_EINVAL,
        "a weight of %zu x %zu: both sides are at least 1, columns at most %d", N, K,
        DEPTH_MAX);
}

static void set_name(qn_gemm *g)
{
    static const char *const types[] = {"f32", "i8", "bf16"}; /* ORDER qn_gemm_type */
    bool own = g->backend == &qn_num__gemm_own;
    bool converted = own && g->type == QN_GEMM_BF16 && qn_num__packed_is_f32(g);
    (void)snprintf(g->name, sizeof g->name, "%s%s%s %s%s", g->backend->name,
                   own ? " " : "", own ? g->kernels->name : "", types[g->type],
                   converted ? " as f32" : "");
}

static qn_status gemm_new(qn_alloc *a, const qn_gemm_maker *maker,
                          const qn_kernels *kernels, size_t N, size_t K,
                          qn_gemm_type type, qn_gemm **out, qn_error *err)
{
    *out = NULL;
    QN_TRY(check_shape(N, K, err));
    qn_gemm *g = qn_new0(a, sizeof *g);
    if (g == NULL) return qn_fail(err, QN_ENOMEM, "a packed weight");
    g->alloc = a;
    g->kernels = kernels;
    g->backend = maker;
    g->N = N;
    g->K = K;
    g->type = type;
    g->parts = 1;
    set_name(g);
    *out = g;
    return QN_OK;
}

qn_status qn_num__gemm_pack_f32(qn_alloc *a, const qn_gemm_maker *maker,
                                const qn_kernels *kernels, const float *W, size_t N,
                                size_t K, qn_gemm **out, qn_error *err)
{
    qn_status st;
    QN_TRY(gemm_new(a, maker, kernels, N, K, QN_GEMM_F32, out, err));
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
    QN_TRY(gemm_new(a, maker, kernels, N, K, QN_GEMM_I8, out, err));
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

qn_status qn_gemm_pack_i8_centered(qn_alloc *a, const qn_kernels *kernels,
                                   const int8_t *W, const float *scale, size_t N,
                                   size_t K, size_t parts, qn_gemm **out, qn_error *err)
{
    qn_status st;
    QN_TRY(gemm_new(a, &qn_num__gemm_own, kernels, N, K, QN_GEMM_I8, out, err));
    qn_assert(parts >= 1 && K % parts == 0);
    (*out)->parts = parts;
    (*out)->centered = true;
    QN_TRY_TO(fail, qn_num__pack_i8(*out, W, scale, err));
    return QN_OK;
fail:
    qn_delete(a, *out);
    *out = NULL;
    return st;
}

qn_status qn_gemm_pack_bf16(qn_alloc *a, const qn_kernels *kernels, const uint16_t *W,
                            size_t N, size_t K, qn_gemm **out, qn_error *err)
{
    qn_status st;
    QN_TRY(gemm_new(a, &qn_num__gemm_own, kernels, N, K, QN_GEMM_BF16, out, err));
    QN_TRY_TO(fail, qn_num__pack_bf16(*out, W, err));
    return QN_OK;
fail:
    qn_delete(a, *out);
    *out = NULL;
    return st;
}

const void *qn_gemm_packed_view(const qn_gemm *g, size_t *size)
{
    qn_assert(g->backend == &qn_num__gemm_own);
    const qn_packed *p = g->state;
    *size = p->bytes;
    return p->block;
}

qn_status qn_gemm_packed_open(qn_alloc *a, const qn_kernels *kernels, const void *bytes,
                              size_t size, qn_gemm **out, qn_error *err)
{
    qn_status st;
    QN_TRY(gemm_new(a, &qn_num__gemm_own, kernels, 1, 1, QN_GEMM_F32, out, err));
    QN_TRY_TO(fail, qn_num__packed_head(*out, bytes, size, err));
    if (check_shape((*out)->N, (*out)->K, NULL) != QN_OK) {
        st = qn_fail(err, QN_EMODEL, "a packed weight with a damaged head");
        goto fail;
    }
    QN_TRY_TO(fail, qn_num__packed_open(*out, bytes, size, err));
    set_name(*out);
    return QN_OK;
fail:
    qn_delete(a, *out);
    *out = NULL;
    return st;
}

qn_gemm_type qn_gemm_type_of(const qn_gemm *g)
{
    return g->type;
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

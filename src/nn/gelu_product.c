/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/gelu_product.h"

enum { LANES = 16 };

/* Columns [begin, begin + K) of an int8 matrix as a packed weight of their own. */
static qn_status pack_part(qn_gelu_product *g, const qn_kernels *kernels,
                           const qn_tensor *W, size_t p, qn_error *err)
{
    size_t K = g->K / g->parts, begin = p * K;
    qn_status st;
    int8_t *columns = qn_new_array(g->alloc, g->N, K);
    g->row_sum[p] = qn_new_array(g->alloc, g->N, sizeof(float));
    if (columns == NULL || g->row_sum[p] == NULL) {
        st = qn_fail(err, QN_ENOMEM, "model weights");
        goto out;
    }
    for (size_t n = 0; n < g->N; n++) {
        int32_t sum = 0; /* at most 127 * 65536 */
        memcpy(columns + n * K, (const int8_t *)W->data + n * g->K + begin, K);
        for (size_t k = 0; k < K; k++) sum += columns[n * K + k];
        g->row_sum[p][n] = W->scale[n] * (float)sum;
    }
    st = qn_gemm_pack_i8(g->alloc, kernels, columns, W->scale, g->N, K, &g->part[p],
                         err);
out:
    qn_delete(g->alloc, columns);
    return st;
}

static qn_status pack_plain(qn_gelu_product *g, const qn_kernels *kernels,
                            const qn_tensor *W, qn_error *err)
{
    float *values = qn_new_array(g->alloc, g->N * g->K, sizeof *values);
    if (values == NULL) return qn_fail(err, QN_ENOMEM, "model weights");
    qn_tensor_to_f32(W, values);
    qn_status st =
        qn_gemm_pack_f32(g->alloc, kernels, values, g->N, g->K, &g->part[0], err);
    qn_delete(g->alloc, values);
    return st;
}

qn_status qn_gelu_product_init(qn_gelu_product *g, qn_alloc *a,
                               const qn_kernels *kernels, const qn_tensor *W,
                               qn_error *err)
{
    *g = (qn_gelu_product){.alloc = a, .parts = 1, .N = W->rows, .K = W->columns};
    if (W->dtype != QN_MODEL_INT8) return pack_plain(g, kernels, W, err);
    if (g->K % QN_GELU_PARTS == 0) g->parts = QN_GELU_PARTS;
    for (size_t p = 0; p < g->parts; p++) QN_TRY(pack_part(g, kernels, W, p, err));
    return QN_OK;
}

void qn_gelu_product_deinit(qn_gelu_product *g)
{
    for (size_t p = 0; p < g->parts; p++) {
        qn_gemm_destroy(g->part[p]);
        qn_delete(g->alloc, g->row_sum[p]);
    }
    *g = (qn_gelu_product){0};
}

/* The products' own scratch, the output of the second part, a middle a row. */
size_t qn_gelu_product_scratch(const qn_gelu_product *g, size_t M)
{
    size_t gemm = (qn_gemm_scratch_bytes(g->part[0], M) + 63) / 64 * 16;
    return gemm + (M * g->N + LANES - 1) / LANES * LANES + M;
}

void qn_gelu_product_run(const qn_gelu_product *g, const qn_kernels *kernels, size_t M,
                         float *X, const float *bias, float *Y, float *scratch)
{
    size_t gemm = (qn_gemm_scratch_bytes(g->part[0], M) + 63) / 64 * 16;
    if (g->row_sum[0] == NULL) {
        qn_gemm_run(g->part[0], M, X, g->K, bias, Y, g->N, scratch);
        return;
    }
    float *second = scratch + gemm;
    float *middle = second + (M * g->N + LANES - 1) / LANES * LANES;
    size_t K = g->K / g->parts;
    for (size_t p = 0; p < g->parts; p++) {
        float *out = p == 0 ? Y : second;
        for (size_t m = 0; m < M; m++)
            middle[m] = kernels->center(X + m * g->K + p * K, K);
        qn_gemm_run(g->part[p], M, X + p * K, g->K, p == 0 ? bias : NULL, out, g->N,
                    scratch);
        if (p > 0) kernels->add(Y, second, M * g->N);
        for (size_t m = 0; m < M; m++)
            kernels->axpy(middle[m], g->row_sum[p], Y + m * g->N, g->N);
    }
}

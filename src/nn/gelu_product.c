/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/gelu_product.h"

enum { PARTS = 2 }; /* of a row of int8 activations, where they divide it */

qn_status qn_gelu_product_init(qn_gelu_product *g, qn_alloc *a,
                               const qn_kernels *kernels, const qn_tensor *W,
                               qn_error *err)
{
    *g = (qn_gelu_product){0};
    size_t N = W->rows, K = W->columns;
    if (W->dtype == QN_MODEL_INT8)
        return qn_gemm_pack_i8_centered(a, kernels, W->data, W->scale, N, K,
                                        K % PARTS == 0 ? PARTS : 1, &g->gemm, err);
    float *values = qn_new_array(a, N * K, sizeof *values);
    if (values == NULL) return qn_fail(err, QN_ENOMEM, "model weights");
    qn_tensor_to_f32(W, values);
    qn_status st = qn_gemm_pack_f32(a, kernels, values, N, K, &g->gemm, err);
    qn_delete(a, values);
    return st;
}

void qn_gelu_product_deinit(qn_gelu_product *g)
{
    qn_gemm_destroy(g->gemm);
    *g = (qn_gelu_product){0};
}

size_t qn_gelu_product_scratch(const qn_gelu_product *g, size_t M)
{
    return (qn_gemm_scratch_bytes(g->gemm, M) + sizeof(float) - 1) / sizeof(float);
}

void qn_gelu_product_run(const qn_gelu_product *g, size_t M, const float *X,
                         const float *bias, float *Y, float *scratch)
{
    size_t N = qn_gemm_rows(g->gemm), K = qn_gemm_columns(g->gemm);
    qn_gemm_run(g->gemm, M, X, K, bias, Y, N, scratch);
}

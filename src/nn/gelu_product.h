/* SPDX-License-Identifier: Apache-2.0 */
/* nn/gelu_product.h -- the product that follows GELU, Y = X W^T + bias.
 *
 * GELU never goes under -0.17, so int8 steps that are symmetric about zero waste half of
 * their range on it, and a single firing unit takes the steps from all others of its
 * row. An int8 weight is therefore packed for activations that are centered in two parts
 * (num/gemm.h). On MiniLM this halves what int8 costs in accuracy. An f32 weight is
 * one plain product.
 *
 * Lifetime   owns its packed weight.
 * Threads    immutable once open. */
#ifndef QN_NN_GELU_PRODUCT_H
#define QN_NN_GELU_PRODUCT_H

#include "nn/tensor.h"
#include "num/gemm.h"

/* Zero is empty. */
typedef struct qn_gelu_product {
    qn_gemm *gemm;
} qn_gelu_product;

/* W: an int8, bf16 or f32 matrix. Ended by deinit, also after a failure. */
QN_MUST_CHECK qn_status qn_gelu_product_init(qn_gelu_product *g, qn_alloc *a,
                                             const qn_kernels *kernels,
                                             const qn_tensor *W, qn_error *err);
void qn_gelu_product_deinit(qn_gelu_product *g);

/* Floats of scratch for M rows. */
size_t qn_gelu_product_scratch(const qn_gelu_product *g, size_t M);
/* X: M x K contiguous; Y: M x N contiguous; scratch aligned to 64. */
void qn_gelu_product_run(const qn_gelu_product *g, size_t M, const float *X,
                         const float *bias, float *Y, float *scratch);

#endif

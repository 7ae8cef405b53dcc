/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/attention.h"

enum { BLOCK = 32 };

size_t qn_attention_scratch(size_t keys)
{
    return BLOCK * keys;
}

void qn_attention_head(const qn_kernels *kernels, size_t d, float alpha, const float *Q,
                       size_t queries, const float *K, const float *V, size_t keys,
                       size_t ld, float *out, size_t ldo, float *scratch)
{
    for (size_t at = 0; at < queries; at += BLOCK) {
        size_t m = queries - at < BLOCK ? queries - at : BLOCK;
        kernels->matmul_nt(m, keys, d, alpha, Q + at * ld, ld, K, ld, scratch, keys);
        for (size_t r = 0; r < m; r++) kernels->softmax(scratch + r * keys, keys);
        kernels->matmul_nn(m, d, keys, scratch, keys, V, ld, out + at * ldo, ldo);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* nn/attention.h -- softmax(alpha Q K^T) V for one sequence and one head.
 *
 * Query rows go through in blocks, so the scores of a block stay in the cache.
 *
 * Threads   pure; scratch belongs to the caller. */
#ifndef QN_NN_ATTENTION_H
#define QN_NN_ATTENTION_H

#include "num/kernels.h"

#include <stddef.h>

/* Floats of scratch for sequences of up to `keys` tokens. */
size_t qn_attention_scratch(size_t keys);

/* Q: queries x d, K and V: keys x d, all with leading dimension ld;
 * out: queries x d with leading dimension ldo. */
void qn_attention_head(const qn_kernels *kernels, size_t d, float alpha, const float *Q,
                       size_t queries, const float *K, const float *V, size_t keys,
                       size_t ld, float *out, size_t ldo, float *scratch);

#endif

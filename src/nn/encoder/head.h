/* SPDX-License-Identifier: Apache-2.0 */
/* nn/encoder/head.h -- from a pooled row to logits: the head of sequence classification.
 *
 *     logits = C LN(act(D x + d)) + c          x: the first row, or the mean of all rows
 *
 *                  act              LN     tensors in the libraries
 *     bert         tanh             no     pooler.dense, classifier
 *     roberta      tanh             no     classifier.dense, classifier.out_proj
 *     deberta-v2   as configured    no     pooler.dense, classifier
 *     modernbert   as configured    yes    head.dense, head.norm, classifier
 *
 * Small, and every error in it reaches the logits: f32 in every model.
 *
 * Lifetime   borrows the model file.
 * Threads    immutable; each thread has a scratch of its own.
 * Errors     QN_EMODEL with the tensor's name. */
#ifndef QN_NN_HEAD_H
#define QN_NN_HEAD_H

#include "nn/encoder/encoder_config.h"
#include "nn/encoder/pack_weight.h"

enum { QN_LABELS_MAX = 4096 };

typedef struct qn_head_config {
    uint32_t labels; /* at least 1 */
    uint32_t hidden;
    qn_act act;
    bool dense_bias, norm, norm_bias;
    float eps; /* of the norm */
} qn_head_config;

/* The head's tensors, in order; names are "pooler...." and "classifier....". */
size_t qn_head_spec_count(const qn_head_config *c);
void qn_head_spec_at(const qn_head_config *c, size_t i, qn_tensor_spec *out);

/* Zero is empty. */
typedef struct qn_head {
    const qn_kernels *kernels;
    qn_head_config config;
    qn_gemm *dense;
    const float *dense_bias, *gamma, *beta, *classifier, *classifier_bias;
} qn_head;

QN_MUST_CHECK qn_status qn_head_open(const qn_weight_source *from,
                                     const qn_head_config *config, qn_head *out,
                                     qn_error *err);
void qn_head_close(qn_head *h);
size_t qn_head_memory(const qn_head *h); /* bytes of packed weights */

/* Bytes of scratch, aligned to 64, of a run. */
size_t qn_head_scratch_bytes(const qn_head *h);
/* x: one pooled row; logits: config.labels values. A row's logits have the same bits
 * whatever its batch. */
void qn_head_run(const qn_head *h, const float *x, float *logits, void *scratch);

/* out = the mean of n rows of H, or a copy of one. Sums in f64: the order of rows is
 * fixed, so the result is too, and it is nearer to the truth than f32. */
void qn_pool_rows(const float *rows, size_t n, size_t H, float *out);

#endif

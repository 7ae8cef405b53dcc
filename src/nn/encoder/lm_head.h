/* SPDX-License-Identifier: Apache-2.0 */
/* nn/encoder/lm_head.h -- the masked-language head, as SPLADE uses it (arXiv 2109.10086): from
 * the rows of a text to one weight for each token of the vocabulary.
 *
 *     logits(row) = E LN(act(D row + d)) + e         E: V x H, often the word embeddings
 *     weight[v]   = log(1 + max(0, largest logits(row)[v] over the rows))
 *
 * or the sum of the logarithms over rows, and the logarithm taken twice, as the model
 * says. The transform is f32 in every model; E is in the model's type, and a product as
 * large as the layers' together: one row costs V H multiplications.
 *
 * Lifetime   borrows the model file.
 * Threads    immutable; each thread has a scratch of its own.
 * Errors     QN_EMODEL with the tensor's name. */
#ifndef QN_NN_LM_HEAD_H
#define QN_NN_LM_HEAD_H

#include "base/clock.h"
#include "nn/encoder/encoder_config.h"
#include "nn/file/meta_reader.h"
#include "nn/encoder/pack_weight.h"

typedef struct qn_lm_config {
    uint32_t hidden, vocab;
    qn_act act;
    bool dense_bias, norm_bias, tied;
    float eps; /* of the norm */
    bool sum;  /* over rows; else the largest */
    bool log_twice;
} qn_lm_config;

/* "lm.dense.weight" and so on, in order; tied: no "lm.decoder.weight". */
size_t qn_lm_spec_count(const qn_lm_config *c);
void qn_lm_spec_at(const qn_lm_config *c, size_t i, qn_tensor_spec *out);

/* "lm" of a model's description. */
void qn_lm_meta_write(const qn_lm_config *c, qn_json_writer *w);
void qn_lm_meta_read(qn_meta_reader *r, const qn_encoder_config *encoder,
                     qn_lm_config *c);

/* Zero is empty. */
typedef struct qn_lm_head {
    const qn_kernels *kernels;
    qn_lm_config config;
    qn_gemm *dense, *decoder;
    const float *dense_bias, *gamma, *beta, *decoder_bias;
} qn_lm_head;

QN_MUST_CHECK qn_status qn_lm_head_open(const qn_weight_source *from,
                                        const qn_lm_config *config, qn_lm_head *out,
                                        qn_error *err);
void qn_lm_head_close(qn_lm_head *h);
size_t qn_lm_head_memory(const qn_lm_head *h);
size_t qn_lm_head_scratch_bytes(const qn_lm_head *h); /* aligned to 64 */

/* out: config.vocab weights, none negative. False when the deadline passed before the
 * end: `out` is then worthless. It is looked at every few rows. A text's weights have the
 * same bits whatever its batch. */
QN_MUST_CHECK bool qn_lm_head_run(const qn_lm_head *h, const float *rows, size_t n,
                                  QN_NULLABLE const qn_deadline *deadline, float *out,
                                  void *scratch);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* nn/encoder/tail.h -- from the rows of an encoder to vectors: what sentence-transformers calls
 * the modules after the transformer.
 *
 *     rows of a text -> poolings, one behind the other -> steps -> one vector
 *     rows of a text -> steps, each row                         -> a vector a token
 *
 *     cls, lasttoken     the first, the last row
 *     max                the largest value of each column
 *     mean               sum / n         mean_sqrt_len   sum / sqrt(n)
 *     weightedmean       sum of i x_i / sum of i, i the place of a row, from 1
 *
 *     dense    y = act(W x + b)       norm    LayerNorm       unit    x / max(|x|, 1e-12)
 *     cut      the first values
 *
 * Small, and every error in it reaches the vector: f32 in every model.
 *
 * Lifetime   borrows the model file.
 * Threads    immutable; each thread has a scratch of its own.
 * Errors     QN_EMODEL with the tensor's name or the key. */
#ifndef QN_NN_TAIL_H
#define QN_NN_TAIL_H

#include "nn/encoder/encoder_config.h"
#include "nn/file/meta_reader.h"
#include "nn/encoder/pack_weight.h"

enum {
    QN_TAIL_STEPS_MAX = 8,
    QN_TAIL_WIDTH_MAX = 65536, /* values of a vector at any step */
};

typedef enum qn_tail_kind {
    QN_TAIL_DENSE,
    QN_TAIL_NORM,
    QN_TAIL_UNIT,
    QN_TAIL_CUT,
} qn_tail_kind;

typedef struct qn_tail_step {
    qn_tail_kind kind;
    uint32_t in, out; /* the same but for dense and cut */
    bool bias;        /* of dense */
    qn_act act;       /* of dense */
    float eps;        /* of norm */
} qn_tail_step;

typedef struct qn_tail_config {
    uint32_t hidden;
    uint32_t poolings; /* 0: a vector a token */
    qn_pooling pooling[QN_POOLINGS];
    bool skip_prompt; /* rows of the prompt are not pooled */
    uint32_t steps;
    qn_tail_step step[QN_TAIL_STEPS_MAX];
} qn_tail_config;

/* The names of qn_pooling_name(). */
bool qn_pooling_parse(qn_slice name, qn_pooling *out);

/* Values of a vector before the first and after the last step. */
uint32_t qn_tail_pooled(const qn_tail_config *c);
uint32_t qn_tail_dims(const qn_tail_config *c);
/* Each step's input is the output of the one before; all in range. */
QN_MUST_CHECK qn_status qn_tail_check(const qn_tail_config *c, qn_error *err);

/* "tail.<step>.weight", "tail.<step>.bias"; `step` may be NULL. */
size_t qn_tail_spec_count(const qn_tail_config *c);
void qn_tail_spec_at(const qn_tail_config *c, size_t i, qn_tensor_spec *out,
                     QN_NULLABLE uint32_t *step);

/* "pooling", "skip_prompt" and "steps" of a model's description. */
void qn_tail_meta_write(const qn_tail_config *c, qn_json_writer *w);
void qn_tail_meta_read(qn_meta_reader *r, bool pools, uint32_t hidden,
                       qn_tail_config *c);

/* Zero is empty. */
typedef struct qn_tail {
    const qn_kernels *kernels;
    qn_tail_config config;
    qn_gemm *dense[QN_TAIL_STEPS_MAX];
    const float *weight[QN_TAIL_STEPS_MAX], *bias[QN_TAIL_STEPS_MAX];
} qn_tail;

QN_MUST_CHECK qn_status qn_tail_open(const qn_weight_source *from,
                                     const qn_tail_config *config, qn_tail *out,
                                     qn_error *err);
void qn_tail_close(qn_tail *t);
size_t qn_tail_memory(const qn_tail *t);        /* bytes of packed weights */
size_t qn_tail_scratch_bytes(const qn_tail *t); /* of a run, aligned to 64 */

/* Rows of one text, `n` of `hidden`; the first `skip` are not pooled, unless there are
 * no others. out: qn_tail_dims() values. */
void qn_tail_run(const qn_tail *t, const float *rows, size_t n, size_t skip, float *out,
                 void *scratch);
/* One row through the steps alone. */
void qn_tail_run_row(const qn_tail *t, const float *row, float *out, void *scratch);

/* v / max(|v|, 1e-12) */
void qn_tail_unit(float *v, size_t n);

#endif

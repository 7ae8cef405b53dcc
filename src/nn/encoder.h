/* SPDX-License-Identifier: Apache-2.0 */
/* nn/encoder.h -- the encoder over packed sequences.
 *
 * Sequences of a batch lie one after another, without padding:
 *
 *     ids     [CLS] a b [SEP] | [CLS] c d e [SEP] | ...      T tokens
 *     starts  0                 4                   9        sequences + 1
 *
 * The matrix products run over all T rows, attention over one sequence and head at a
 * time. Each row's arithmetic is the same whatever lies around it, so a sequence has
 * the same bits in any batch.
 *
 * Post-LN layers: x = LN(x + Wo attention(x)); x = LN(x + W2 gelu(W1 x)). Where only
 * the first token of each sequence is wanted (classifiers, cls pooling), the last layer
 * computes keys and values for all tokens and everything else for those rows alone.
 *
 * Letters   T tokens, H hidden, F intermediate, A heads, d = H / A, V vocabulary.
 * Lifetime  the encoder borrows the model file: close it before the file.
 * Threads   an encoder is immutable; each thread runs it with a scratch of its own.
 * Errors    opening: QN_EMODEL with the tensor's name. Running: QN_ETIMEOUT or
 *           QN_ECANCELLED when the deadline passes; it is looked at every few
 *           milliseconds of work. */
#ifndef QN_NN_ENCODER_H
#define QN_NN_ENCODER_H

#include "nn/qnm.h"

typedef struct qn_encoder_config {
    uint32_t vocab, hidden, layers, heads, intermediate, positions, types;
    float eps; /* of LayerNorm */
} qn_encoder_config;

/* In range, and heads divide hidden; the message names the key of config.json. */
QN_MUST_CHECK qn_status qn_encoder_config_check(const qn_encoder_config *c,
                                                qn_error *err);

/* One tensor that a model of this configuration has. */
typedef struct qn_encoder_spec {
    char name[96];
    uint32_t rank, rows, columns;
    bool quantize; /* a big matrix, stored in the model's dtype; else f32 */
} qn_encoder_spec;

/* `head`: with pooler and a one-label classifier. */
size_t qn_encoder_spec_count(const qn_encoder_config *c, bool head);
void qn_encoder_spec_at(const qn_encoder_config *c, size_t i, qn_encoder_spec *out);

/* The products of a layer, by what goes in. */
typedef enum qn_encoder_input {
    QN_INTO_QKV,
    QN_INTO_OUT,
    QN_INTO_UP,
    QN_INTO_DOWN,
    QN_ENCODER_INPUTS,
} qn_encoder_input;

/* An int8 model may scale the columns that go into a product, so that no column is so
 * large that the others drown in the rounding of a row (SmoothQuant, arXiv 2211.10438):
 * X W^T = (X s) (W / s)^T. The name of s; K values. QN_INTO_OUT has none: its scale
 * is folded into the value weights. */
void qn_encoder_scale_spec(const qn_encoder_config *c, uint32_t layer,
                           qn_encoder_input which, qn_encoder_spec *out);

/* A tensor of the file, checked against the shape. */
QN_MUST_CHECK qn_status qn_encoder_tensor(const qn_qnm *file,
                                          const qn_encoder_spec *spec,
                                          const qn_tensor **out, qn_error *err);

typedef struct qn_encoder qn_encoder;

/* first_only: results are the first row of each sequence. */
QN_MUST_CHECK qn_status qn_encoder_open(qn_alloc *a, const qn_kernels *kernels,
                                        const qn_qnm *file,
                                        const qn_encoder_config *config,
                                        bool first_only, QN_OWNED qn_encoder **out,
                                        qn_error *err);
void qn_encoder_close(QN_OWNED QN_NULLABLE qn_encoder *b);
size_t qn_encoder_memory(const qn_encoder *b); /* bytes of packed weights */
const char *
qn_encoder_backend(const qn_encoder *b); /* qn_gemm_backend() of its products */

typedef struct qn_encoder_scratch qn_encoder_scratch;
/* For batches of up to `tokens`. */
QN_MUST_CHECK qn_status qn_encoder_scratch_create(qn_alloc *a, const qn_encoder *b,
                                                  size_t tokens,
                                                  QN_OWNED qn_encoder_scratch **out,
                                                  qn_error *err);
void qn_encoder_scratch_destroy(QN_OWNED QN_NULLABLE qn_encoder_scratch *s);

typedef struct qn_encoder_batch {
    const uint32_t *ids;    /* each below config.vocab */
    const uint8_t *types;   /* each below config.types */
    const uint32_t *starts; /* sequences + 1; none empty or over config.positions */
    size_t sequences;
} qn_encoder_batch;

/* A look inside, for tests and for calibration; either may be NULL. */
typedef struct qn_encoder_trace {
    /* The rows after the embeddings (layer 0) and after layer 1, 2, ... */
    void (*rows)(void *ctx, uint32_t layer, const float *x, size_t n);
    /* What goes into a product of layer 0, 1, ...: n rows of K, before input scales. */
    void (*input)(void *ctx, uint32_t layer, qn_encoder_input which, const float *x,
                  size_t n, size_t K);
    void *ctx;
} qn_encoder_trace;

/* *rows: T x H, or sequences x H with first_only; valid until the scratch is used
 * again. */
QN_MUST_CHECK qn_status qn_encoder_run(const qn_encoder *b, qn_encoder_scratch *s,
                                       const qn_encoder_batch *batch,
                                       QN_NULLABLE const qn_deadline *deadline,
                                       QN_NULLABLE const qn_encoder_trace *trace,
                                       const float **rows, qn_error *err);

#endif

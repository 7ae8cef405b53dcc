/* SPDX-License-Identifier: Apache-2.0 */
/* nn/encoder_bert.h -- the BERT encoder over packed sequences.
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
#ifndef QN_NN_ENCODER_BERT_H
#define QN_NN_ENCODER_BERT_H

#include "nn/qnm.h"

typedef struct qn_bert_config {
    uint32_t vocab, hidden, layers, heads, intermediate, positions, types;
    float eps; /* of LayerNorm */
} qn_bert_config;

/* In range, and heads divide hidden; the message names the key of config.json. */
QN_MUST_CHECK qn_status qn_bert_config_check(const qn_bert_config *c, qn_error *err);

/* One tensor that a model of this configuration has. */
typedef struct qn_bert_spec {
    char name[96];
    uint32_t rank, rows, columns;
    bool quantize; /* a big matrix, stored in the model's dtype; else f32 */
} qn_bert_spec;

/* `head`: with pooler and a one-label classifier. */
size_t qn_bert_spec_count(const qn_bert_config *c, bool head);
void qn_bert_spec_at(const qn_bert_config *c, size_t i, qn_bert_spec *out);

/* The products of a layer, by what goes in. */
typedef enum qn_bert_input {
    QN_BERT_INTO_QKV,
    QN_BERT_INTO_OUT,
    QN_BERT_INTO_UP,
    QN_BERT_INTO_DOWN,
    QN_BERT_INPUTS,
} qn_bert_input;

/* An int8 model may scale the columns that go into a product, so that no column is so
 * large that the others drown in the rounding of a row (SmoothQuant, arXiv 2211.10438):
 * X W^T = (X s) (W / s)^T. The name of s; K values. QN_BERT_INTO_OUT has none: its scale
 * is folded into the value weights. */
void qn_bert_scale_spec(const qn_bert_config *c, uint32_t layer, qn_bert_input which,
                        qn_bert_spec *out);

/* A tensor of the file, checked against the shape. */
QN_MUST_CHECK qn_status qn_bert_tensor(const qn_qnm *file, const qn_bert_spec *spec,
                                       const qn_tensor **out, qn_error *err);

typedef struct qn_bert qn_bert;

/* first_only: results are the first row of each sequence. */
QN_MUST_CHECK qn_status qn_bert_open(qn_alloc *a, const qn_kernels *kernels,
                                     const qn_qnm *file, const qn_bert_config *config,
                                     bool first_only, QN_OWNED qn_bert **out,
                                     qn_error *err);
void qn_bert_close(QN_OWNED QN_NULLABLE qn_bert *b);
size_t qn_bert_memory(const qn_bert *b);       /* bytes of packed weights */
const char *qn_bert_backend(const qn_bert *b); /* qn_gemm_backend() of its products */

typedef struct qn_bert_scratch qn_bert_scratch;
/* For batches of up to `tokens`. */
QN_MUST_CHECK qn_status qn_bert_scratch_create(qn_alloc *a, const qn_bert *b,
                                               size_t tokens,
                                               QN_OWNED qn_bert_scratch **out,
                                               qn_error *err);
void qn_bert_scratch_destroy(QN_OWNED QN_NULLABLE qn_bert_scratch *s);

typedef struct qn_bert_batch {
    const uint32_t *ids;    /* each below config.vocab */
    const uint8_t *types;   /* each below config.types */
    const uint32_t *starts; /* sequences + 1; none empty or over config.positions */
    size_t sequences;
} qn_bert_batch;

/* A look inside, for tests and for calibration; either may be NULL. */
typedef struct qn_bert_trace {
    /* The rows after the embeddings (layer 0) and after layer 1, 2, ... */
    void (*rows)(void *ctx, uint32_t layer, const float *x, size_t n);
    /* What goes into a product of layer 0, 1, ...: n rows of K, before input scales. */
    void (*input)(void *ctx, uint32_t layer, qn_bert_input which, const float *x,
                  size_t n, size_t K);
    void *ctx;
} qn_bert_trace;

/* *rows: T x H, or sequences x H with first_only; valid until the scratch is used
 * again. */
QN_MUST_CHECK qn_status qn_bert_run(const qn_bert *b, qn_bert_scratch *s,
                                    const qn_bert_batch *batch,
                                    QN_NULLABLE const qn_deadline *deadline,
                                    QN_NULLABLE const qn_bert_trace *trace,
                                    const float **rows, qn_error *err);

#endif

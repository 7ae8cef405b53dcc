/* SPDX-License-Identifier: Apache-2.0 */
/* nn/encoder/encoder.h -- the encoder over packed sequences, of every family.
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
 * A layer is, with the norm after (BERT, RoBERTa, DeBERTa) or before (ModernBERT):
 *
 *     x = LN(x + Wo attention(x))              x = x + Wo attention(LN(x))
 *     x = LN(x + W2 act(W1 x))                 x = x + W2 (act(W1 LN(x)) * Wg LN(x))
 *
 * Where only the first token of each sequence is wanted (classifiers, cls pooling), the
 * last layer computes keys and values for all tokens and everything else for those rows
 * alone. What depends on weights alone is computed once, at open: the projections of
 * DeBERTa's relative table, sines and cosines.
 *
 * Lifetime  the encoder borrows the model file: close it before the file.
 * Threads   an encoder is immutable; each thread runs it with a scratch of its own.
 * Errors    opening: QN_EMODEL with the tensor's name. Running: QN_ETIMEOUT or
 *           QN_ECANCELLED when the deadline passes; it is looked at every few
 *           milliseconds of work. */
#ifndef QN_NN_ENCODER_H
#define QN_NN_ENCODER_H

#include "nn/encoder/encoder_config.h"
#include "nn/encoder/pack_weight.h"

typedef struct qn_encoder qn_encoder;

/* first_only: results are the first row of each sequence. */
QN_MUST_CHECK qn_status qn_encoder_open(qn_alloc *a, const qn_kernels *kernels,
                                        const qn_qnm *file,
                                        const qn_encoder_config *config,
                                        bool first_only, QN_OWNED qn_encoder **out,
                                        qn_error *err);
/* The same with weights that may come from a packed copy; `from` may go after. */
QN_MUST_CHECK qn_status qn_encoder_open_packed(const qn_weight_source *from,
                                               const qn_encoder_config *config,
                                               bool first_only,
                                               QN_OWNED qn_encoder **out,
                                               qn_error *err);
void qn_encoder_close(QN_OWNED QN_NULLABLE qn_encoder *e);
size_t qn_encoder_memory(const qn_encoder *e); /* bytes of packed weights and tables */
/* qn_gemm_backend() of most of its products: some may be of a finer type. */
const char *qn_encoder_backend(const qn_encoder *e);
/* For calibration: where a product's weight is; NULL there when it is packed in two. While
 * nothing runs, another of the same shape may stand in its place. */
qn_gemm **qn_encoder_product(qn_encoder *e, uint32_t layer, qn_encoder_input which);

typedef struct qn_encoder_scratch qn_encoder_scratch;
/* For batches of up to `tokens`. */
QN_MUST_CHECK qn_status qn_encoder_scratch_create(qn_alloc *a, const qn_encoder *e,
                                                  size_t tokens,
                                                  QN_OWNED qn_encoder_scratch **out,
                                                  qn_error *err);
void qn_encoder_scratch_destroy(QN_OWNED QN_NULLABLE qn_encoder_scratch *s);

typedef struct qn_encoder_batch {
    const uint32_t *ids;    /* each below config.vocab */
    const uint8_t *types;   /* below config.types; families that use none do not look */
    const uint32_t *starts; /* sequences + 1; none empty or over qn_encoder_longest() */
    size_t sequences;
    /* Of each sequence: so many tokens, from the first on, are seen by all; the rest see
     * without being seen. NULL: all are. */
    QN_NULLABLE const uint32_t *keys;
} qn_encoder_batch;

/* A look inside, for tests and for calibration; either may be NULL. */
typedef struct qn_encoder_trace {
    /* The rows after the embeddings (layer 0) and after layer 1, 2, ...; of the last
     * layer after the last norm, if there is one. */
    void (*rows)(void *ctx, uint32_t layer, const float *x, size_t n);
    /* What goes into a product of layer 0, 1, ...: n rows of K, before input scales. Of
     * one layer and input it may be called several times, with some of the rows each. */
    void (*input)(void *ctx, uint32_t layer, qn_encoder_input which, const float *x,
                  size_t n, size_t K);
    void *ctx;
} qn_encoder_trace;

/* *rows: T x H, or sequences x H with first_only; valid until the scratch is used
 * again. */
QN_MUST_CHECK qn_status qn_encoder_run(const qn_encoder *e, qn_encoder_scratch *s,
                                       const qn_encoder_batch *batch,
                                       QN_NULLABLE const qn_deadline *deadline,
                                       QN_NULLABLE const qn_encoder_trace *trace,
                                       const float **rows, qn_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* nn_internal.h -- what model.c, embed.c and rerank.c share; not for other modules. */
#ifndef QN_NN_INTERNAL_H
#define QN_NN_INTERNAL_H

#include "nn/encoder.h"
#include "nn/model_meta.h"
#include "num/gemm.h"

#include <pthread.h>
#include <stdatomic.h>

/* A batch is full when it has this many tokens. Enough for the products to run at full
 * speed, few enough that a deadline is met and small requests split over threads. */
enum { QN_BATCH_TOKENS = 256 };

struct qn_model {
    qn_alloc *alloc;
    const qn_kernels *kernels;
    qn_qnm *file;
    qn_arena arena; /* strings of info */
    qn_model_info info;
    qn_encoder_config config;
    qn_tokenizer *tokenizer;
    qn_encoder *encoder;
    qn_gemm *pooler; /* of rerankers */
    const float *pooler_bias, *classifier, *classifier_bias;

    pthread_mutex_t lock;
    struct qn_nn_scratch *idle; /* a list; under lock */
    atomic_llong
        token_ps; /* picoseconds a token takes on one thread; 0: not known yet */
};

/* What one thread needs to tokenize and run batches. */
typedef struct qn_nn_scratch {
    struct qn_nn_scratch *next;
    qn_encoder_scratch *encoder;
    float *head; /* capacity x hidden, and the scratch of the pooler */
    void *head_gemm;
    uint32_t *ids, *starts, *item; /* item: which text a sequence is */
    uint8_t *types;
    size_t capacity, sequences, tokens;
} qn_nn_scratch;

/* From the model's idle list, or new. The batch is empty. */
QN_MUST_CHECK qn_status qn_nn__scratch_take(qn_model *m, qn_nn_scratch **out,
                                            qn_error *err);
void qn_nn__scratch_give(qn_model *m, qn_nn_scratch *s);
void qn_nn__scratch_destroy(qn_model *m, qn_nn_scratch *s);

/* The pieces of a text, but no more of a very long one than `most` tokens need: the
 * rest of the text is not looked at. */
QN_MUST_CHECK qn_status qn_nn__encode(const qn_model *m, qn_slice text,
                                      bool specials_are_text, size_t most,
                                      qn_arena *arena, qn_pieces *out, qn_error *err);
/* Adds a sequence; the batch has room as long as it is not full. */
void qn_nn__batch_add(qn_nn_scratch *s, const qn_encoding *e, size_t item);
bool qn_nn__batch_full(const qn_nn_scratch *s);
/* Runs the encoder, counts the time into the model's speed and empties the batch. */
QN_MUST_CHECK qn_status qn_nn__batch_run(qn_model *m, qn_nn_scratch *s,
                                         const qn_deadline *deadline,
                                         const float **rows, qn_error *err);

/* Several threads report failures of one call: the first is kept. */
typedef struct qn_nn_failure {
    atomic_bool stop; /* others need not go on */
    pthread_mutex_t lock;
    qn_status st;
    qn_error err;
} qn_nn_failure;

void qn_nn__failure_init(qn_nn_failure *f);
void qn_nn__failure_set(qn_nn_failure *f, qn_status st, const qn_error *err);
/* Ends it: the status, with *err filled. */
QN_MUST_CHECK qn_status qn_nn__failure_finish(qn_nn_failure *f, qn_error *err);

#endif

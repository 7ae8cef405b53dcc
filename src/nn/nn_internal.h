/* SPDX-License-Identifier: Apache-2.0 */
/* nn_internal.h -- what model.c, embed.c and rerank.c share; not for other modules. */
#ifndef QN_NN_INTERNAL_H
#define QN_NN_INTERNAL_H

#include "nn/calls/embed.h"
#include "nn/encoder/encoder.h"
#include "nn/encoder/head.h"
#include "nn/encoder/lm_head.h"
#include "nn/file/model_meta.h"
#include "nn/calls/scheduler.h"
#include "nn/calls/speed.h"
#include "nn/encoder/tail.h"
#include "nn/calls/token_cache.h"

#include <pthread.h>
#include <stdatomic.h>

/* A batch is full when it has this many tokens. Enough for the products to run at full
 * speed, few enough that a deadline is met and small requests split over threads. */
enum { QN_BATCH_TOKENS = 256 };

/* A prompt that is one token of the vocabulary ("[Q] "): it becomes that token. */
typedef struct qn_nn_marker {
    bool one_token;
    uint32_t id;
} qn_nn_marker;

struct qn_model {
    qn_alloc *alloc;
    const qn_kernels *kernels;
    qn_qnm *file;
    qn_packed_place packed;
    qn_packed_copy *copy; /* NULL: none; closed after the encoder and the head */
    qn_arena arena;       /* strings of info */
    qn_model_info info;
    qn_encoder_config config;
    qn_tokenizer *tokenizer;
    qn_encoder *encoder;
    bool first_only;       /* the encoder gives first rows alone */
    bool untyped;          /* all tokens are of type 0 */
    qn_head head;          /* of rerankers */
    qn_tail tail;          /* of models of vectors */
    qn_lm_head lm;         /* of sparse models */
    qn_multi_config multi; /* of models of token vectors */
    qn_nn_marker *markers; /* one a prompt */

    pthread_mutex_t lock;       /* of the next two */
    struct qn_nn_scratch *idle; /* a list */
    size_t in_use;              /* scratches that were taken */
    pthread_cond_t unused;      /* in_use came to 0 */
    qn_speed speed;
};

/* What one thread needs to tokenize and run batches. */
typedef struct qn_nn_scratch {
    struct qn_nn_scratch *next;
    qn_model *model;
    qn_encoder_scratch *encoder;
    float *pooled, *logits;        /* one row; one pair's logits */
    void *head;                    /* scratch of the head */
    uint32_t *ids, *starts, *item; /* item: which text a sequence is */
    uint32_t *keys, *skip; /* of a sequence: tokens seen by all; tokens of the prompt */
    float *vector;         /* of one text; sparse models */
    void *tail;            /* scratch of tail or of the language head */
    uint8_t *types;
    size_t capacity, sequences, tokens;
    /* What the last run gave. */
    qn_status st;
    qn_error err;
    const float *rows;
} qn_nn_scratch;

/* From the model's idle list, or new. The batch is empty. */
QN_MUST_CHECK qn_status qn_nn__scratch_take(qn_model *m, qn_nn_scratch **out,
                                            qn_error *err);
void qn_nn__scratch_give(qn_model *m, qn_nn_scratch *s);
void qn_nn__scratch_destroy(qn_model *m, qn_nn_scratch *s);

/* The pieces of a text, but no more of a very long one than `most` tokens need: the
 * rest of the text is not looked at, and nothing beyond 256 KB or 128 bytes a token. */
QN_MUST_CHECK qn_status qn_nn__encode(const qn_model *m, qn_slice text,
                                      bool specials_are_text, size_t most,
                                      qn_arena *arena, qn_pieces *out, qn_error *err);
/* All pieces of a text; of a very long one those of its end, many times `most`. */
QN_MUST_CHECK qn_status qn_nn__encode_end(const qn_model *m, qn_slice text,
                                          bool specials_are_text, size_t most,
                                          qn_arena *arena, qn_pieces *out,
                                          qn_error *err);
/* The same through a cache (NULL: none): ids alone, where they were known. */
QN_MUST_CHECK qn_status qn_nn__encode_kept(const qn_model *m,
                                           QN_NULLABLE qn_token_cache *cache,
                                           qn_slice text, bool specials_are_text,
                                           size_t most, qn_arena *arena, qn_pieces *out,
                                           qn_error *err);
/* Of a text's pieces the last n, no more than there are. */
void qn_nn__keep_end(qn_pieces *p, size_t n);
/* Cuts off the beginnings of what will not fit into length_max, specials included: joined,
 * nothing of them is cut any more. `second` NULL: a text alone. */
qn_status qn_nn__keep_ends(const qn_tokenizer *t, qn_pieces *first,
                           QN_NULLABLE qn_pieces *second, size_t length_max,
                           qn_truncation how, bool *cut, qn_error *err);

/* Adds a sequence; the batch has room as long as it is not full. */
void qn_nn__batch_add(qn_nn_scratch *s, const qn_encoding *e, size_t item);
/* The last `more` of its tokens are not seen by others; `skip` of them are a prompt. */
void qn_nn__batch_add_text(qn_nn_scratch *s, const qn_encoding *e, size_t more,
                           size_t skip, size_t item);
bool qn_nn__batch_full(const qn_nn_scratch *s);
/* By the measured speed, and an eighth more; 0: not known. */
int64_t qn_nn__batch_time(const qn_nn_scratch *s);
void qn_nn__batch_drop_last(qn_nn_scratch *s);

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

/* ---- work ------------------------------------------------------------------------ */

/* What reranking and embedding have in common: texts become batches, rows of batches
 * become results. Functions are called by several threads, each with its own scratch. */
typedef struct qn_nn_work qn_nn_work;
struct qn_nn_work {
    qn_model *model;
    size_t items;
    uint64_t tokens; /* estimate of all */
    /* Adds to s, which is empty; leaves it empty when there is nothing left. */
    qn_status (*fill)(qn_nn_work *w, qn_nn_scratch *s, qn_error *err);
    /* The batch ran; s->st says how. */
    qn_status (*use)(qn_nn_work *w, qn_nn_scratch *s, qn_error *err);
    QN_NULLABLE const qn_deadline *deadline;
    QN_NULLABLE qn_pool *pool;
    QN_NULLABLE const qn_serving *serving; /* then pool is not used */
    bool whole;                            /* a part of the results is of no use */
    size_t workers;                        /* set by qn_nn__work_prepare() */
    atomic_size_t next;                    /* first item that nobody took */
    qn_nn_failure failure;
};

/* How many tokens a text is likely to have. */
uint64_t qn_nn__guess_tokens(qn_slice text, size_t most);
/* Sets `workers`: threads that will fill and use. */
void qn_nn__work_prepare(qn_nn_work *w);
/* Returns when nobody touches w any more. QN_EBUSY: refused. Running out of time is no
 * error of its own. */
QN_MUST_CHECK qn_status qn_nn__work_run(qn_nn_work *w, qn_error *err);

/* ---- texts ----------------------------------------------------------------------- */

/* A call that makes something of each of its texts. */
typedef struct qn_nn_texts qn_nn_texts;
struct qn_nn_texts {
    qn_nn_work work; /* first: its functions get the job */
    const qn_slice *texts;
    size_t max_tokens;
    const qn_embed_options *options;
    qn_embed_item *items;
    const qn_prompt *prompt; /* NULL: none */
    qn_nn_marker marker;
    atomic_size_t done;
    /* Text number `item` was read: its rows, and its ids. */
    qn_status (*each)(qn_nn_texts *j, qn_nn_scratch *s, size_t sequence,
                      const float *rows, size_t n, qn_error *err);
    void *ctx;
};

/* `task` is what the model must do. */
QN_MUST_CHECK qn_status qn_nn__texts_run(qn_nn_texts *j, qn_model_task task,
                                         const char *makes, qn_error *err);

#endif

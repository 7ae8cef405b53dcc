/* SPDX-License-Identifier: Apache-2.0 */
/* nn/embed.h -- texts to vectors.
 *
 * A text becomes tokens, the encoder's last layer is pooled (mean over all tokens or
 * the first one, as the model says) and, if the model says so, scaled to length 1. A
 * vector depends on its text alone: the same bits in any batch and on any number of
 * threads. The empty text has a vector too, that of the special tokens.
 *
 * Threads   any number of calls at the same time on one model and one pool.
 * Errors    QN_EMODELTASK: not an embedding model. QN_ETOOLONG: naming the text, when
 *           cutting was not allowed. QN_ETIMEOUT or QN_ECANCELLED: the deadline passed;
 *           nothing in `out` may be used. */
#ifndef QN_NN_EMBED_H
#define QN_NN_EMBED_H

#include "nn/model.h"
#include "nn/scheduler.h"

/* A text that was tokenized elsewhere: ids of the model's vocabulary, read as they are. */
typedef struct qn_embed_ids {
    const uint32_t *ids; /* NULL: the text is text */
    size_t n;
} qn_embed_ids;

/* Zero-initialised options are the defaults. */
typedef struct qn_embed_options {
    uint32_t max_tokens;                   /* special tokens included; 0: the model's */
    const qn_deadline *deadline;           /* NULL: none */
    QN_NULLABLE const qn_serving *serving; /* as in rerank.h */
    QN_NULLABLE qn_pool *pool;             /* both NULL: on the caller alone */
    bool refuse_long;        /* a text over max_tokens is an error, not cut */
    bool specials_are_text;  /* "[SEP]" in a text is five characters, not the token */
    bool as_pooled;          /* not scaled to length 1, even if the model says so */
    const qn_embed_ids *ids; /* one for each text, or NULL */
} qn_embed_options;

typedef struct qn_embed_item {
    uint32_t tokens; /* special tokens included, after cutting */
    bool truncated;
} qn_embed_item;

/* out: n rows of qn_model_describe(model)->dims floats. items: n entries or NULL. */
QN_MUST_CHECK qn_status qn_embed_run(qn_model *model, const qn_slice *texts, size_t n,
                                     QN_NULLABLE const qn_embed_options *options,
                                     float *out, QN_NULLABLE qn_embed_item *items,
                                     qn_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* nn/calls/embed.h -- texts to vectors.
 *
 * A text becomes tokens, the rows of the encoder's last layer become what the model makes
 * of them (tail.h, lm_head.h):
 *
 *     embed     one vector                           qn_embed_run
 *     sparse    weights of the vocabulary's tokens   qn_sparse_run
 *     tokens    a vector for each token              qn_token_vectors_run, qn_max_sim
 *
 * A result depends on its text alone: the same bits in any batch and on any number of
 * threads. The empty text has one too, that of the special tokens.
 *
 * Models may have prompts, texts that stand in front: "query: ". The named one, else that
 * of the role ("query"; "document", "passage" or "corpus"), else the model's default.
 *
 * Threads   any number of calls at the same time on one model and one pool.
 * Errors    QN_EMODELTASK: the model makes something else. QN_EINVAL: no such prompt,
 *           with the names that there are. QN_ETOOLONG: naming the text, when
 *           cutting was not allowed. QN_ETIMEOUT or QN_ECANCELLED: the deadline passed;
 *           nothing in `out` may be used. */
#ifndef QN_NN_EMBED_H
#define QN_NN_EMBED_H

#include "nn/model.h"
#include "nn/calls/scheduler.h"

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
    bool keep_ends;          /* what is too long loses its beginning; else its end */
    bool specials_are_text;  /* "[SEP]" in a text is five characters, not the token */
    bool as_pooled;          /* not scaled to length 1, even if the model says so */
    const qn_embed_ids *ids; /* one for each text, or NULL; those get no prompt */
    qn_text_role role;
    QN_NULLABLE const char *prompt_name;
    QN_NULLABLE const char *prompt; /* this text instead; "": none */
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

/* ---- sparse ----------------------------------------------------------------- */

typedef struct qn_sparse_term {
    uint32_t id; /* of the vocabulary */
    float weight;
} qn_sparse_term;

/* Zero is empty. */
typedef struct qn_sparse_vector {
    qn_sparse_term *terms; /* by id, weights over 0 */
    size_t n;
} qn_sparse_vector;

/* Zero-initialised options are the defaults. */
typedef struct qn_sparse_options {
    const qn_embed_options *text; /* NULL: the defaults */
    size_t top_k;                 /* the greatest weights, the lower id first; 0: all */
    float min_weight;             /* only greater ones */
} qn_sparse_options;

/* out: n vectors, empty before; ended by qn_sparse_free(), also after a failure. */
QN_MUST_CHECK qn_status qn_sparse_run(qn_model *model, const qn_slice *texts, size_t n,
                                      QN_NULLABLE const qn_sparse_options *options,
                                      qn_alloc *a, qn_sparse_vector *out,
                                      QN_NULLABLE qn_embed_item *items, qn_error *err);
void qn_sparse_free(qn_alloc *a, qn_sparse_vector *v, size_t n);
/* Sum of products over the ids that both have. */
double qn_sparse_dot(const qn_sparse_vector *a, const qn_sparse_vector *b);

/* ---- token vectors ---------------------------------------------------------- */

/* Zero is empty. */
typedef struct qn_token_vectors {
    float *values; /* n rows of the model's dims */
    uint32_t *ids; /* n tokens */
    size_t n;
} qn_token_vectors;

/* The role decides about prompts, lengths, added tokens and left-out ones. out: n, empty
 * before; ended by qn_token_vectors_free(), also after a failure. */
QN_MUST_CHECK qn_status qn_token_vectors_run(
    qn_model *model, const qn_slice *texts, size_t n,
    QN_NULLABLE const qn_embed_options *options, qn_alloc *a, qn_token_vectors *out,
    QN_NULLABLE qn_embed_item *items, qn_error *err);
void qn_token_vectors_free(qn_alloc *a, qn_token_vectors *v, size_t n);
/* Late interaction (ColBERT, arXiv 2004.12832): the sum over the query's vectors of the
 * greatest dot product with one of the document's; 0 for a document without vectors. */
float qn_max_sim(const qn_kernels *kernels, const qn_token_vectors *query,
                 const qn_token_vectors *document, size_t dims);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* nn/calls/rerank.h -- a cross-encoder over a query and documents, inside a time budget.
 *
 * Documents are given most promising first. Each thread takes the next ones in that
 * order, packs a few hundred tokens without padding and runs them; before each run it
 * compares the time left with the measured speed and keeps only what will fit. So
 * when time is short the first documents have scores and the last have none. A
 * document without a score is not an error, nor is a call that scored nothing.
 *
 * Where the model has a default prompt, it stands in front of the query.
 *
 * A pair's logit depends on its two texts and the truncation alone: the same bits in
 * any batch, in any order, with any number of threads.
 *
 * Threads   any number of calls at the same time on one model and one pool.
 * Errors    QN_EMODELTASK: not a reranker, or one of several labels without `logits`. QN_ETOOLONG: with QN_TRUNCATE_NONE, naming
 *           the document. QN_EMODEL: the logit is not a number. Running out of time is
 *           not an error. */
#ifndef QN_NN_RERANK_H
#define QN_NN_RERANK_H

#include "nn/model.h"
#include "nn/calls/scheduler.h"
#include "nn/calls/token_cache.h"

/* Zero-initialised options are the defaults. */
typedef struct qn_rerank_options {
    bool truncation_given; /* else as the model was trained */
    qn_truncation truncation;
    uint32_t max_tokens; /* of a pair, special tokens included; 0: the model's */
    /* Of either text alone, without special tokens, cut before the pair is; 0: no cap. */
    uint32_t query_tokens_max, doc_tokens_max;
    const qn_deadline *deadline; /* NULL: none */
    /* Whose threads compute: those that all calls share, or a pool of the caller's, or
     * (both NULL) the caller alone. */
    QN_NULLABLE const qn_serving *serving;
    QN_NULLABLE qn_pool *pool;
    bool whole; /* scores of some documents are of no use: QN_EBUSY at once when the
                 * estimate says so */
    /* n x labels: every logit of a scored document; needed for several labels, of which
     * `logit` is the first. */
    QN_NULLABLE float *logits;
    QN_NULLABLE qn_token_cache *token_cache; /* of documents */
    QN_NULLABLE const uint32_t *numbers; /* of documents, in messages; NULL: from 0 */
    /* What is too long loses its beginning; else its end. */
    bool keep_ends;
    /* Texts are scored alone, without the query: classifiers of one text. */
    bool single;
    bool specials_are_text; /* "[SEP]" in a text is five characters, not the token
                                  * (the reference libraries make it the token) */
} qn_rerank_options;

typedef struct qn_rerank_doc {
    float logit;     /* raw; 0 when not scored */
    uint32_t tokens; /* of the pair, special tokens included; 0 when not reached */
    bool scored;
    bool truncated; /* some of the query or the document was cut */
} qn_rerank_doc;

typedef struct qn_rerank_stats {
    size_t scored;
    uint64_t tokens; /* of the scored pairs */
    bool timed_out;  /* the deadline left documents without a score */
    int64_t took_ns;
} qn_rerank_stats;

/* out: n entries, in the order of docs. Texts are UTF-8. */
QN_MUST_CHECK qn_status qn_rerank_run(qn_model *model, qn_slice query,
                                      const qn_slice *docs, size_t n,
                                      QN_NULLABLE const qn_rerank_options *options,
                                      qn_rerank_doc *out,
                                      QN_NULLABLE qn_rerank_stats *stats,
                                      qn_error *err);

/* 1 / (1 + exp(-logit)). */
float qn_rerank_score(float logit);
/* The activation that the model names for its scores: identity or sigmoid. */
float qn_rerank_activate(const qn_model *model, float logit);

#endif

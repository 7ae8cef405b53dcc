/* SPDX-License-Identifier: Apache-2.0 */
/* server/inference/inference.h -- the one reranking and the one embedding call behind all the
 * inference dialects, and reading their texts.
 *
 * Inside a score is a logit; what is shown is made of it where a dialect writes it: its
 * sigmoid, or the logit itself where the dialect has raw scores. */
#ifndef QN_SERVER_INFERENCE_H
#define QN_SERVER_INFERENCE_H

#include "server/call.h"

/* Strings, or objects with a member `text`, into texts; `one`: a bare string will do. An
 * empty list is QN_EEMPTY, one over `max` QN_ELIMIT. */
QN_MUST_CHECK qn_status qn_inference_texts(qn_call *c, const qn_json *list,
                                           const char *name, size_t max, bool one,
                                           quern_text **out, size_t *count,
                                           qn_error *err);
/* The same where an object is ranked by several of its members: their values, one a
 * line. `fields` NULL: `text` alone. */
QN_MUST_CHECK qn_status qn_inference_documents(qn_call *c, const qn_json *list,
                                               const qn_json *fields, quern_text **out,
                                               size_t *count, qn_error *err);

/* Texts as embedding requests write them: a string, strings, objects with `text`, a list
 * of token ids, lists of token ids. */
typedef struct qn_inputs {
    quern_text *texts;
    quern_token_ids *ids; /* NULL: no text came as ids */
    size_t count;
    bool one; /* not written as a list of texts */
} qn_inputs;
QN_MUST_CHECK qn_status qn_inference_inputs(qn_call *c, const qn_json *list,
                                            const char *name, qn_inputs *out,
                                            qn_error *err);

/* ---- reranking ---------------------------------------------------------------------- */

typedef struct qn_rank_request {
    qn_slice model; /* as the client names it; empty: the default reranker */
    qn_slice query;
    const quern_text *texts;
    size_t count;
    uint32_t tokens_max, query_tokens_max, document_tokens_max; /* 0: no cap */
    /* Long documents in passages: quern_rerank_options.chunking; NULL: whole. */
    const char *chunking;
    uint32_t passages_max;
    int64_t timeout_ms; /* what the request asks for; 0: what the server gives */
    size_t labels;      /* of the model; 0: one */
    float *logits; /* of several labels: for each pair as many, in the order of pairs */
    bool refuse_long; /* a pair over the model's length is QN_ETOOLONG, not cut */
    bool keep_ends;   /* cut at the beginning */
    bool single;      /* texts alone, without the query */
    bool whole;       /* time up before all are scored is QN_ETIMEOUT */
} qn_rank_request;

typedef struct qn_ranked {
    size_t index; /* of the document */
    float score, logit;
    uint32_t tokens;
} qn_ranked;

typedef struct qn_ranking {
    const char *model;
    const qn_ranked *items; /* scored ones, best first; equal scores by index */
    size_t count;
    size_t unscored;  /* the time was up before them */
    size_t truncated; /* pairs cut to the model's length, or to a cap */
    uint64_t tokens;
} qn_ranking;

/* Sets the headers X-Quern-Truncated and X-Quern-Unscored where there are such texts:
 * few dialects have room for it. */
QN_MUST_CHECK qn_status qn_inference_rerank(qn_call *c, const qn_rank_request *r,
                                            qn_ranking *out, qn_error *err);

typedef struct qn_text_pair {
    qn_slice query, text;
} qn_text_pair;
/* Pairs, each with a query of its own; r->query and r->texts do not matter. `out->items`
 * are in the order of the pairs, all of them scored. Sets no headers. */
QN_MUST_CHECK qn_status qn_inference_pairs(qn_call *c, const qn_rank_request *r,
                                           const qn_text_pair *pairs, size_t count,
                                           qn_ranking *out, qn_error *err);

/* ---- embedding ---------------------------------------------------------------------- */

typedef struct qn_embed_request {
    qn_slice model;     /* as the client names it; empty: the default embedder */
    int64_t timeout_ms; /* what the request asks for; 0: what the server gives */
    qn_inputs inputs;
    uint32_t dims, tokens_max; /* 0: the model's */
    quern_vector_length length;
    bool refuse_long, keep_ends;
    size_t terms_max; /* sparse vectors: only the greatest weights; 0: all */
    float weight_min; /* and only greater ones */
    /* The model's prompt of this name; what texts are: "query", "document"; or empty. */
    qn_slice prompt_name, role;
} qn_embed_request;

typedef struct qn_vectors {
    const char *model;
    const float *floats; /* count x dims */
    size_t count, dims;
    size_t truncated; /* texts */
    uint64_t tokens;
} qn_vectors;

/* Sets X-Quern-Truncated. */
QN_MUST_CHECK qn_status qn_inference_embed(qn_call *c, const qn_embed_request *r,
                                           qn_vectors *out, qn_error *err);

typedef struct qn_sparse_text {
    const quern_term *terms; /* by id */
    size_t count;
    uint32_t tokens; /* read */
    bool truncated;
} qn_sparse_text;

typedef struct qn_sparse_texts {
    const char *model;
    const qn_sparse_text *texts;
    size_t count, truncated;
    uint64_t tokens;
} qn_sparse_texts;

/* Weights of the vocabulary's tokens. r->model empty: the only model of the task, since
 * there is no default one. Sets X-Quern-Truncated. */
QN_MUST_CHECK qn_status qn_inference_sparse(qn_call *c, const qn_embed_request *r,
                                            qn_sparse_texts *out, qn_error *err);

typedef struct qn_token_text {
    const float *vectors; /* count x dims of qn_token_texts */
    size_t count;
} qn_token_text;

typedef struct qn_token_texts {
    const char *model;
    const qn_token_text *texts;
    size_t count, dims, truncated;
    uint64_t tokens;
} qn_token_texts;

/* A vector for each token; otherwise as qn_inference_sparse(). */
QN_MUST_CHECK qn_status qn_inference_tokens(qn_call *c, const qn_embed_request *r,
                                            qn_token_texts *out, qn_error *err);

/* ---- for the files of this module ---------------------------------------------------- */

/* All of the options but the model. */
QN_MUST_CHECK qn_status qn_inference_embed_options(qn_call *c,
                                                   const qn_embed_request *r,
                                                   quern_embed_options *o,
                                                   qn_error *err);
/* Header `name` with a count that is not 0. */
void qn_inference_count_header(qn_call *c, const char *name, size_t count);
/* The task of a model, as quern_model_info has it; "" when there is none of the name. */
const char *qn_inference_task(qn_call *c, qn_slice model);

/* ---- writing ------------------------------------------------------------------------ */

/* [0.1,0.2,...] as the next value. */
void qn_inference_write_vector(qn_call *c, const float *v, size_t dims);
/* Forms of vectors in which clients want fewer bytes. */
typedef enum qn_number_form {
    QN_NUMBERS_FLOAT,
    QN_NUMBERS_INT8,    /* -127..127, the greatest number of each vector being 127 */
    QN_NUMBERS_UINT8,   /* the same and 128 more */
    QN_NUMBERS_BINARY,  /* eight signs a number, the first on top, less 128 */
    QN_NUMBERS_UBINARY, /* eight signs a number, 0..255 */
} qn_number_form;
const char *qn_number_form_name(qn_number_form form);
bool qn_number_form_parse(qn_slice name, qn_number_form *out);
/* As the next value: a list, or base64 of little-endian numbers. */
QN_MUST_CHECK qn_status qn_inference_write_numbers(qn_call *c, const float *v,
                                                   size_t dims, qn_number_form form,
                                                   bool base64, qn_error *err);
/* Bytes as a JSON string of base64. */
void qn_inference_write_base64(qn_call *c, const void *bytes, size_t n);
/* "id": prefix and a random UUID. */
void qn_inference_write_id(qn_call *c, const char *prefix);
/* {"prompt_tokens":n,"total_tokens":n} as the next value, more with `completion`. */
void qn_inference_write_usage(qn_call *c, uint64_t tokens, bool completion);
/* What vLLM's replies have around their entries: {"id",..."data":[ and ],"usage":{}}. */
void qn_vllm_begin_list(qn_call *c, const char *id_prefix, const char *model);
void qn_vllm_end_list(qn_call *c, uint64_t tokens);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* server/inference.h -- the one reranking and the one embedding call behind all the
 * inference dialects, and reading their texts. */
#ifndef QN_SERVER_INFERENCE_H
#define QN_SERVER_INFERENCE_H

#include "server/call.h"

/* Strings, or objects with a member `text`, into texts; `one`: a bare string will do. */
QN_MUST_CHECK qn_status qn_inference_texts(qn_call *c, const qn_json *list,
                                           const char *name, size_t max, bool one,
                                           quern_text **out, size_t *count,
                                           qn_error *err);

typedef struct qn_ranked {
    size_t index; /* of the document */
    float score, logit;
} qn_ranked;

typedef struct qn_ranking {
    const char *model;
    const qn_ranked *items; /* scored ones, best first; equal scores by index */
    size_t count;
    size_t unscored; /* the time was up before them */
    bool truncated;  /* at least one pair was cut to the model's length */
    uint64_t tokens;
} qn_ranking;

QN_MUST_CHECK qn_status qn_inference_rerank(qn_call *c, qn_slice model, qn_slice query,
                                            const quern_text *texts, size_t count,
                                            qn_ranking *out, qn_error *err);

typedef struct qn_vectors {
    const char *model;
    const float *floats; /* count x dims */
    size_t count, dims;
    uint64_t tokens;
} qn_vectors;

QN_MUST_CHECK qn_status qn_inference_embed(qn_call *c, qn_slice model,
                                           const quern_text *texts, size_t count,
                                           qn_vectors *out, qn_error *err);

#endif

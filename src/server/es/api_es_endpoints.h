/* SPDX-License-Identifier: Apache-2.0 */
/* server/es/api_es_endpoints.h -- inference endpoints, for those who run them. */
#ifndef QN_SERVER_API_ES_ENDPOINTS_H
#define QN_SERVER_API_ES_ENDPOINTS_H

#include "server/call.h"

typedef struct qn_es_endpoint {
    qn_slice model;
    bool return_documents;
    const char *chunking; /* of a reranker: as in qn_rank_request */
    uint32_t passages_max;
} qn_es_endpoint;

/* What {id} of the route stands for: an endpoint, else the model it names. An endpoint of
 * another task is QN_EINVAL. */
QN_MUST_CHECK qn_status qn_es_endpoint_use(qn_call *c, const char *task,
                                           qn_es_endpoint *out, qn_error *err);
/* The model that `id` stands for, of an endpoint or an alias; `id` itself where it is
 * neither. For quern_search_options.model_of, hence the call as a void *. In the arena. */
const char *qn_es_endpoint_model(void *call, const char *id);
/* And for chunking_of. */
const char *qn_es_endpoint_chunking(void *call, const char *id, uint32_t *passages_max);
/* Deployments as stored endpoints have them. */
void qn_es_endpoints_start(quern *q);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* server_internal.h -- the server as its handlers see it. */
#ifndef QN_SERVER_SERVER_INTERNAL_H
#define QN_SERVER_SERVER_INTERNAL_H

#include "net/http_server.h"
#include "server/call.h"
#include "server/server_metrics.h"
#include "server/server.h"

struct qn_server {
    quern *q;
    qn_alloc *alloc;
    qn_server_options options;
    qn_metrics metrics;
    int64_t started_ms;
    /* Set once the listener runs; its first requests may come before that. */
    _Atomic(qn_http_server *) http;
};

extern const qn_route qn_routes[];
extern const size_t qn_route_count;

/* One request from the target to the finished response; what the HTTP server calls. */
void qn_server_handle(void *server, const qn_http_request *request,
                      qn_http_response *response);

/* Appends " (byte N)" to an error about a text that was parsed. */
void qn_server_tell_place(const qn_call *c, qn_error *err);

/* quern_search() with the server's default timeout, counted in the metrics. Where a plug-in
 * would score the request is deferred. */
QN_MUST_CHECK qn_status qn_server_search(qn_call *c, const char *table,
                                         quern_search_options *o, quern_reply **out,
                                         qn_error *err);
QN_MUST_CHECK qn_status qn_server_explain(qn_call *c, const char *table, qn_slice id,
                                          quern_search_options *o, quern_reply **out,
                                          qn_error *err);
/* For what takes long by nature: fails where the request is to be handled by the slow
 * workers, once; passes there. */
QN_MUST_CHECK qn_status qn_server_take_time(qn_call *c, qn_error *err);
/* The model that `name` means: itself, what model_aliases maps it to, `fallback` for an
 * empty one. Zero-terminated, in the arena. */
QN_MUST_CHECK qn_status qn_server_model(qn_call *c, qn_slice name, const char *fallback,
                                        const char **out, qn_error *err);

/* The error envelopes of the other dialects. */
void qn_ha3_error(qn_call *c, const qn_error *err);
void qn_tei_error(qn_call *c, const qn_error *err);
void qn_cohere_error(qn_call *c, const qn_error *err);
void qn_vllm_error(qn_call *c, const qn_error *err);
void qn_dashscope_error(qn_call *c, const qn_error *err);
void qn_openai_error(qn_call *c, const qn_error *err);
void qn_admin_error(qn_call *c, const qn_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_message.h -- a request as a handler sees it, and the response it fills.
 *
 * Lifetime   a request and all that it points to: until the handler returns. What a
 *            response points to (content type, header texts) must live until then too,
 *            best in the request's arena; the body is owned by the response.
 * Errors     what went wrong before the handler (body over the limit, broken encoding,
 *            broken address) comes in `failure`: the handler answers it in the dialect
 *            of the path. */
#ifndef QN_NET_HTTP_MESSAGE_H
#define QN_NET_HTTP_MESSAGE_H

#include "base/clock.h"
#include "net/url.h"

enum { QN_HTTP_HEADERS_MAX = 16 };

typedef struct qn_http_request {
    qn_slice method; /* "GET" */
    qn_slice target; /* as sent: path and query */
    qn_url url;
    const qn_param *headers;
    size_t header_count;
    qn_slice body; /* decompressed */
    qn_arena *arena;
    const atomic_bool *cancelled; /* the client went away, or the server stops */
    int64_t arrived_ns;           /* on qn_clock_mono_ns() */
    /* A handler that sees long work ahead may set `deferred` of the response and return: it
     * is called once more, among the slow requests, and then has to do it. */
    bool may_defer;
    qn_error failure; /* code QN_OK: none */
} qn_http_request;

typedef struct qn_http_response {
    int status;               /* 200 unless set */
    const char *content_type; /* NULL: no such header */
    qn_param headers[QN_HTTP_HEADERS_MAX];
    size_t header_count;
    qn_buf body;
    bool deferred; /* nothing was done; with `may_defer` only */
} qn_http_response;

typedef void qn_http_handler(void *ctx, const qn_http_request *request,
                             qn_http_response *response);

/* `name` and `value` must be zero-terminated. More than QN_HTTP_HEADERS_MAX: dropped. */
void qn_http_add_header(qn_http_response *r, const char *name, const char *value);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_client.h -- one request, one reply, with a deadline.
 *
 * Connections are kept between calls of one client. Redirects are not followed.
 *
 * Threads   a client belongs to one thread at a time.
 * Errors    QN_ENET with the address and the reason, QN_ETIMEOUT, QN_ECANCELLED,
 *           QN_ELIMIT for a reply over the limit. A reply with any status is QN_OK. */
#ifndef QN_NET_HTTP_CLIENT_H
#define QN_NET_HTTP_CLIENT_H

#include "base/clock.h"
#include "net/url.h"

typedef struct qn_http_call {
    const char *method, *url;
    const char *content_type; /* of the body; NULL: no such header */
    const qn_param *headers;
    size_t header_count;
    qn_slice body;
    qn_deadline deadline;
    size_t reply_max_bytes; /* 0: 256 MB */
} qn_http_call;

typedef struct qn_http_reply {
    int status;
    char content_type[128]; /* "" when there was none */
    qn_buf body;            /* initialised by the caller; appended to */
} qn_http_reply;

typedef struct qn_http_client qn_http_client;

QN_MUST_CHECK qn_status qn_http_client_create(qn_alloc *a,
                                              QN_OWNED qn_http_client **out,
                                              qn_error *err);
void qn_http_client_destroy(QN_OWNED QN_NULLABLE qn_http_client *c);
QN_MUST_CHECK qn_status qn_http_fetch(qn_http_client *c, const qn_http_call *call,
                                      qn_http_reply *reply, qn_error *err);

#endif

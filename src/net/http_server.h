/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_server.h -- HTTP/1.1 in front of one handler.
 *
 * A few threads of libmicrohttpd move bytes (epoll); requests are handled by a pool of
 * workers, so that a slow one holds nobody up; what a handler defers is handled by a few
 * workers of low priority, so that many slow ones hold nobody up either. While a request
 * waits or runs, its connection rests. A body is collected in memory up to a limit; gzip and deflate
 * bodies are unpacked up to the same limit.
 *
 * Lifetime   destroy() stops listening, lets running requests end for `grace_ms`, then
 *            sets their cancel flags and waits for them.
 * Threads    the handler is called from several threads at once.
 * Errors     QN_EPORT names the address and the way out; QN_EUSAGE for an address that
 *            is none, or that is not local while nobody is asked for a password. */
#ifndef QN_NET_HTTP_SERVER_H
#define QN_NET_HTTP_SERVER_H

#include "net/http_message.h"

typedef struct qn_http_server_options {
    const char *listen;  /* "127.0.0.1:9200", "[::1]:0"; port 0: any free one */
    bool allow_remote;   /* addresses other than loopback: authentication is
                              * configured, or the user insists */
    unsigned workers;    /* requests handled at once; 0: one per core, at least 16 */
    unsigned io_threads; /* 0: one per 4 cores */
    unsigned connections_max; /* 0: 4096 */
    unsigned queue_max;       /* requests waiting for a worker; 0: 1000. Over it the
                                * handler is asked to answer QN_EBUSY at once */
    unsigned slow_workers;    /* deferred requests handled at once; 0: one per 2 cores,
                                * at least 1 */
    unsigned
        slow_queue_max; /* deferred ones that wait or run; 0: 100. Over it: QN_EBUSY */
    size_t body_max_bytes; /* 0: 100 MB */
    int64_t grace_ms;      /* 0: 10 s */
    qn_http_handler *handler;
    void *ctx;
} qn_http_server_options;

typedef struct qn_http_server qn_http_server;

QN_MUST_CHECK qn_status qn_http_server_create(qn_alloc *a,
                                              const qn_http_server_options *options,
                                              QN_OWNED qn_http_server **out,
                                              qn_error *err);
void qn_http_server_destroy(QN_OWNED QN_NULLABLE qn_http_server *s);
/* The real port, also when 0 was asked for. */
uint16_t qn_http_server_port(const qn_http_server *s);
/* "http://127.0.0.1:9200" */
const char *qn_http_server_url(const qn_http_server *s);
/* Requests that wait or run now. */
size_t qn_http_server_in_flight(QN_NULLABLE const qn_http_server *s);

#endif

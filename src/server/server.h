/* SPDX-License-Identifier: Apache-2.0 */
/* server/server.h -- every dialect on one address: HTTP to quern.h and back.
 *
 *     qn_server *s;
 *     qn_server_create(q, &options, &s, &err);
 *     printf("listening on %s\n", qn_server_url(s));
 *     ... until told to stop ...
 *     qn_server_destroy(s);           ends running requests first
 *
 * Lifetime   `q` outlives the server.
 * Threads    create and destroy by one thread; requests run on the server's own.
 * Errors     QN_EPORT, QN_EUSAGE: see net/http_server.h. */
#ifndef QN_SERVER_SERVER_H
#define QN_SERVER_SERVER_H

#include "server/server_options.h"

typedef struct qn_server qn_server;

QN_MUST_CHECK qn_status qn_server_create(quern *q, const qn_server_options *options,
                                         QN_OWNED qn_server **out, qn_error *err);
void qn_server_destroy(QN_OWNED QN_NULLABLE qn_server *s);
uint16_t qn_server_port(const qn_server *s);
/* "http://127.0.0.1:9200" */
const char *qn_server_url(const qn_server *s);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_address.h -- "host:port" to a listening socket.
 *
 * Errors     QN_EUSAGE, QN_EPORT; each names the address and the way out. */
#ifndef QN_NET_HTTP_ADDRESS_H
#define QN_NET_HTTP_ADDRESS_H

#include "base/slice.h"

#include <stdint.h>

enum { QN_HTTP_URL_MAX = 300 };

typedef struct qn_http_listener {
    int fd; /* to be closed by the caller */
    uint16_t port;
    char url[QN_HTTP_URL_MAX];
} qn_http_listener;

QN_MUST_CHECK qn_status qn_http_listen(const char *address, bool allow_remote,
                                       qn_http_listener *out, qn_error *err);

#endif

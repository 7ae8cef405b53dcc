/* SPDX-License-Identifier: Apache-2.0 */
/* net/http_encoding.h -- compressed bodies, both ways.
 *
 * Errors     QN_EBODY over the limit (a small body may unpack to a huge one), QN_EMEDIA
 *            for an encoding we do not know, QN_EINVAL for broken data. */
#ifndef QN_NET_HTTP_ENCODING_H
#define QN_NET_HTTP_ENCODING_H

#include "base/slice.h"

/* `encoding`: the Content-Encoding header: "gzip", "deflate" (a zlib stream, or raw as
 * some clients send it), "identity" or empty. Appends to `out`. */
QN_MUST_CHECK qn_status qn_http_unpack(qn_slice encoding, qn_slice packed,
                                       size_t limit_bytes, qn_buf *out, qn_error *err);
/* Appends `plain` as gzip; false when that failed. */
bool qn_http_gzip(qn_slice plain, qn_buf *out);

#endif

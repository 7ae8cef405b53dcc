/* SPDX-License-Identifier: Apache-2.0 */
/* net/url.h -- the target of a request taken apart: path segments and parameters, both
 * percent-decoded.
 *
 *     /films/_doc/a%2Fb?pretty&q=black+adam
 *     segments  "films" "_doc" "a/b"        split before decoding
 *     params    pretty "" | q "black adam"  '+' is a blank here; `raw` keeps the bytes
 *
 * Lifetime   slices point into the arena or into the target.
 * Errors     QN_EINVAL for a broken escape, QN_EUTF8 when the decoded bytes are not
 *            UTF-8, QN_ELIMIT for too many parts; `at` is the offset in the target. */
#ifndef QN_NET_URL_H
#define QN_NET_URL_H

#include "base/arena.h"

enum { QN_URL_SEGMENTS_MAX = 32, QN_URL_PARAMS_MAX = 256 };

typedef struct qn_param {
    qn_slice name, value;
    qn_slice raw; /* the value as sent, not decoded; headers: empty */
} qn_param;

typedef struct qn_url {
    qn_slice path; /* as sent, without the query */
    const qn_slice *segments;
    size_t segment_count; /* of "/": 0; a slash at the end adds none */
    const qn_param *params;
    size_t param_count;
} qn_url;

QN_MUST_CHECK qn_status qn_url_parse(qn_arena *arena, qn_slice target, qn_url *out,
                                     qn_error *err);
/* "a%20b" to "a b"; `plus_is_blank`: '+' too. No escape: the slice itself. */
QN_MUST_CHECK qn_status qn_url_decode(qn_arena *arena, qn_slice s, bool plus_is_blank,
                                      qn_slice *out, qn_error *err);
/* Everything but letters, digits, '-', '.', '_', '~' as %XX. */
void qn_url_encode(qn_buf *out, qn_slice s);
/* The last parameter `name`; NULL when absent. */
QN_NULLABLE const qn_param *qn_param_find(const qn_param *params, size_t count,
                                          const char *name);
/* Headers: without regard to case. */
QN_NULLABLE const qn_param *qn_header_find(const qn_param *headers, size_t count,
                                           const char *name);
/* Strict UTF-8: no surrogates, nothing longer than needed. */
bool qn_url_is_utf8(qn_slice s);

#endif

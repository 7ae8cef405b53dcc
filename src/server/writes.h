/* SPDX-License-Identifier: Apache-2.0 */
/* server/writes.h -- what single documents and bulk requests have in common. */
#ifndef QN_SERVER_WRITES_H
#define QN_SERVER_WRITES_H

#include "server/call.h"

/* The body of an update, {"doc":{...},"doc_as_upsert":true}, into kind and source; the
 * condition (if_seq_no) is read before. `wanted`: its member _source, NULL when it has
 * none; NULL: it may have none. */
QN_MUST_CHECK qn_status qn_write_read_update(const qn_json *body, qn_slice text,
                                             quern_op *op,
                                             QN_NULLABLE const qn_json **wanted,
                                             qn_error *err);
/* `version` and `version_type` ("" when absent) of an operation whose kind and condition
 * are known. */
QN_MUST_CHECK qn_status qn_write_read_version(quern_op *op, qn_slice type,
                                              bool has_version, int64_t version,
                                              qn_error *err);
/* _index, _id, _version, result, _shards, _seq_no, _primary_term. */
void qn_write_result_members(qn_json_writer *w, const char *table,
                             const quern_op_result *result);
/* The status of one operation in Elasticsearch's terms: 201, 200, 404, 409 ... */
int qn_write_result_status(const quern_op *op, const quern_op_result *result);

#endif

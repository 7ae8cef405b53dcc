/* SPDX-License-Identifier: Apache-2.0 */
/* records.h -- what the routes of policies, plug-ins and query analysis have in common: named
 * records of a table, kept in versions.
 *
 * Errors   QN_EINVAL naming the parameter or member. */
#ifndef QN_SERVER_RECORDS_H
#define QN_SERVER_RECORDS_H

#include "server/call.h"

/* Answers with what a call of the library gave, and frees it. Always QN_OK. */
qn_status qn_records_answer(qn_call *c, int status, char *json, size_t n);
/* {"dropped":true}. Always QN_OK. */
qn_status qn_records_dropped(qn_call *c);
/* ?version=N of the address; 0 when absent: the active one. */
QN_MUST_CHECK qn_status qn_records_version(const qn_call *c, uint32_t *out,
                                           qn_error *err);
/* {"version":N} of the body, which must be there. */
QN_MUST_CHECK qn_status qn_records_body_version(qn_call *c, uint32_t *out,
                                                qn_error *err);

#endif

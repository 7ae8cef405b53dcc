/* SPDX-License-Identifier: Apache-2.0 */
/* server/handlers.h -- the functions that routes.def names, one declaration each, and
 * the few helpers they share across files. */
#ifndef QN_SERVER_HANDLERS_H
#define QN_SERVER_HANDLERS_H

#include "server/call.h"

#define ROW(methods, pattern, params, api, run, summary)                               \
    qn_status run(qn_call *c, qn_error *err);
#include "server/routes.def"
#undef ROW

/* ?refresh in its forms; wait_for counts as true. */
QN_MUST_CHECK qn_status qn_es_refresh_param(const qn_call *c, bool *refresh,
                                            qn_error *err);

/* What a model's deployment is and does, as the next value. */
void qn_deployment_write(qn_call *c, const char *model);
/* Rows of /metrics about models. */
QN_MUST_CHECK qn_status qn_deployment_metrics(qn_call *c, qn_error *err);

#endif

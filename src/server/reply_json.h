/* SPDX-License-Identifier: Apache-2.0 */
/* server/reply_json.h -- a reply with everything in it, in Quern's own form: what
 * /_quern/search and the command line's --format json print.
 *
 *     {"table","total","total_is_lower_bound","took_ms","timed_out",
 *      "stages":[{"name","in","out","ms"}], "rerank":{"model","scored","of","timed_out"},
 *      "hits":[{"id","score","stages":{...},"sort":[],"source":{},"explanation":{}}],
 *      "warnings":[{"code","text"}], "trace":"..."}
 *
 * What a stage did not say is null. */
#ifndef QN_SERVER_REPLY_JSON_H
#define QN_SERVER_REPLY_JSON_H

#include "io/json.h"
#include "quern/quern.h"

/* As one value of the writer. */
/* "stages": what became of each neural stage. */
void qn_reply_neural_json(qn_json_writer *w, const quern_reply *reply);
void qn_reply_json(qn_json_writer *w, const char *table, const quern_reply *r);
/* What quern_model_deployment() says is set, as one value. */
void qn_reply_deployment_json(qn_json_writer *w, const quern_deployment *d);

#endif

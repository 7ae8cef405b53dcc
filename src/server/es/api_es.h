/* SPDX-License-Identifier: Apache-2.0 */
/* server/es/api_es.h -- what the Elasticsearch dialect's files share: headers and content
 * types, the error envelope, what is done to every reply. */
#ifndef QN_SERVER_API_ES_H
#define QN_SERVER_API_ES_H

#include "server/call.h"

#define QN_ES_VERSION "9.0.0" /* the REST API that is spoken, see GET / */

/* Headers of every reply. */
void qn_es_headers(qn_call *c);
/* Content-Type and Accept of the request: kinds and versions we speak. */
QN_MUST_CHECK qn_status qn_es_check_media(const qn_call *c, qn_error *err);
/* Every parameter of the address is one that the route reads. */
QN_MUST_CHECK qn_status qn_es_check_params(const qn_call *c, qn_error *err);
/* "application/json", or the vendor type that the client asked for. */
const char *qn_es_content_type(const qn_call *c);

/* Fills the response with the error envelope. */
void qn_es_error(qn_call *c, const qn_error *err);
/* {"type","reason",...} of an error, as an object of the writer: also for items of a
 * bulk reply. */
void qn_es_error_object(qn_call *c, qn_json_writer *w, const qn_error *err,
                        const char *table);
/* The sentence for `err` in Elasticsearch's words. */
const char *qn_es_reason(const qn_error *err, const char *table, char room[600]);

/* filter_path and pretty, over the finished JSON reply. */
QN_MUST_CHECK qn_status qn_es_finish(qn_call *c, qn_error *err);
/* Keeps of `v` what the patterns ("hits.hits._id,-took") ask for. */
QN_MUST_CHECK qn_status qn_es_filter(qn_arena *arena, const qn_json *v,
                                     qn_slice patterns, bool pretty, qn_buf *out,
                                     qn_error *err);

/* _source filtering of one document by the parameters _source, _source_includes,
 * _source_excludes. Appends the kept JSON. As: with another value in place of the
 * parameter _source, NULL: none. */
QN_MUST_CHECK qn_status qn_es_filter_source_as(const qn_call *c, qn_slice source,
                                               QN_NULLABLE const qn_slice *value,
                                               qn_buf *out, bool *none, qn_error *err);
QN_MUST_CHECK qn_status qn_es_filter_source(const qn_call *c, qn_slice source,
                                            qn_buf *out, bool *none, qn_error *err);

/* {"total":1,"successful":1,...} as the member _shards; `writes`: without "skipped". */
void qn_es_shards(qn_json_writer *w, bool writes);
/* The same of a search: each damaged part that was left out is a failed shard. */
void qn_es_search_shards(qn_call *c, qn_json_writer *w, const quern_reply *r);
void qn_es_explanation(qn_json_writer *w, const quern_explanation *e);

#endif

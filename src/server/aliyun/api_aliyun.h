/* SPDX-License-Identifier: Apache-2.0 */
/* server/aliyun/api_aliyun.h -- what the files of the HA3 dialect share: its two reply forms. */
#ifndef QN_SERVER_API_ALIYUN_H
#define QN_SERVER_API_ALIYUN_H

#include "server/call.h"

typedef enum qn_ha3_format { QN_HA3_XML, QN_HA3_JSON, QN_HA3_FULLJSON } qn_ha3_format;

/* The format that a request string asks for in its config clause; XML unless said. Found
 * without parsing, so that errors have their form too. */
qn_ha3_format qn_ha3_format_of(qn_slice request);

/* Runs a request string and answers as /query does; the table is the path's, if it has
 * one. */
QN_MUST_CHECK qn_status qn_ha3_answer(qn_call *c, qn_slice request, qn_error *err);

/* A reply. `table`: for cluster_name. */
void qn_ha3_write_json(qn_call *c, const quern_reply *r);
void qn_ha3_write_xml(qn_call *c, const quern_reply *r, const char *table);
/* A reply that has nothing but an error. */
void qn_ha3_write_json_error(qn_call *c, bool full, const qn_error *err);
void qn_ha3_write_xml_error(qn_call *c, const qn_error *err);

/* Told beside the hits of a search that ran out of time. */
extern const qn_error qn_ha3_out_of_time;
/* HA3's text of the code, a blank, and what happened. */
const char *qn_ha3_error_text(qn_call *c, const qn_error *err);

/* Visits the summary fields of a hit as texts: strings as they are, numbers as written,
 * several values joined by tabs; only those that the request fetches. */
void qn_ha3_fields(qn_call *c, const quern_reply *r, const quern_hit *h,
                   void (*each)(void *ctx, qn_slice name, qn_slice value), void *ctx);
/* "sortExprValues" of a hit: an array of texts. */
void qn_ha3_write_sort_values(qn_call *c, const quern_hit *h);
/* The member "facet", with the hosted product's names only. */
void qn_ha3_write_hosted_facets(qn_call *c, const quern_reply *r);
/* The value of a parameter that holds clauses. */
QN_MUST_CHECK qn_status qn_ha3_decode(qn_call *c, const qn_param *p, qn_slice *out,
                                      qn_error *err);
/* A sort value as decimal text. */
void qn_ha3_sort_value(qn_buf *out, const quern_value *v);
/* Without what neither XML nor the format allows: control bytes become tabs,
 * non-characters are left out. The text is valid UTF-8. */
void qn_ha3_clean(qn_buf *out, qn_slice s);
/* Text between tags, and inside CDATA. */
void qn_ha3_xml_text(qn_buf *out, qn_slice s);
void qn_ha3_xml_cdata(qn_buf *out, qn_slice s);

/* Parameters of the address about query analysis: qp, disable, raw_query. */
QN_MUST_CHECK qn_status qn_ha3_read_analysis(qn_call *c, quern_search_options *o,
                                             qn_error *err);
/* "qp":[{"app_name","query_correction_info":[...]}] of a JSON reply, when something was
 * mistyped. */
void qn_ha3_write_corrections(qn_call *c, const quern_reply *r);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* /query of the Retrieval Engine: a whole request string in, XML or JSON out. */
#include "server/handlers.h"

#include "server/aliyun/api_aliyun.h"
#include "server/server_internal.h"

#include <stdio.h>
#include <string.h>

/* What a '+' in the URL means: clients that encode everything write blanks as '+' and
 * signs as %2B; a URL written by hand has its '=' as they are, and "sort=+price" is a sign. */
static bool plus_is_blank(qn_slice raw)
{
    return memchr(raw.p, '=', raw.n) == NULL;
}

qn_status qn_ha3_decode(qn_call *c, const qn_param *p, qn_slice *out, qn_error *err)
{
    return qn_url_decode(c->arena, p->raw, plus_is_blank(p->raw), out, err);
}

/* The request string: ?query=, or {"assemblyQuery":"..."}, or the bare body. */
static qn_status read_request(qn_call *c, qn_slice *out, qn_error *err)
{
    const qn_url *url = &c->request->url;
    const qn_param *p = qn_param_find(url->params, url->param_count, "query");
    const qn_param *sql = qn_param_find(url->params, url->param_count, "sql");
    const qn_param *type = qn_param_find(url->params, url->param_count, "type");
    if (sql != NULL || (type != NULL && qn_slice_eq_str(type->value, "sql")))
        return qn_fail(err, QN_EUNSUPPORTED, "SQL is not supported, send an HA3 query");
    qn_slice body = qn_slice_trim(c->request->body);
    if (p != NULL) {
        QN_TRY(qn_ha3_decode(c, p, out, err));
    } else if (body.n > 0 && body.p[0] == '{') {
        const qn_json *object = NULL;
        QN_TRY(qn_call_object(c, &object, err));
        *out = (qn_slice){"", 0};
        const qn_member members[] = {{"assemblyQuery", QN_MEMBER_STRING, out, 0, 0},
                                     {NULL, QN_MEMBER_IGNORE, NULL, 0, 0}};
        QN_TRY(qn_call_members(object, members, c->request->body, err));
    } else {
        *out = body;
    }
    if (out->n == 0)
        return qn_fail(err, QN_EEMPTYQUERY,
                       "no query: send ?query=... or {\"assemblyQuery\":\"...\"}");
    if (out->n > QN_LIMIT_HA3_QUERY_BYTES)
        return qn_fail(err, QN_ELIMIT, "a query string has at most %d bytes",
                       QN_LIMIT_HA3_QUERY_BYTES);
    return QN_OK;
}

static qn_status run(qn_call *c, qn_slice request, qn_error *err)
{
    quern_reply *reply = NULL;
    const qn_slice *named = qn_call_param(c, "table");
    qn_slice index = qn_route_arg(&c->match, "index");
    if (index.n > 0)
        (void)snprintf(c->table, sizeof c->table, "%.*s", QN_SLICE_ARG(index));
    else if (named != NULL)
        (void)snprintf(c->table, sizeof c->table, "%.*s", QN_SLICE_ARG(*named));
    else
        QN_TRY(quern_ha3_table(c->q, request.p, request.n, c->table, sizeof c->table,
                               err));
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    o.kind = QUERN_QUERY_HA3;
    o.query = request.p;
    o.query_size = request.n;
    o.cancel = c->request->cancelled;
    QN_TRY(qn_ha3_read_analysis(c, &o, err));
    QN_TRY(qn_server_search(c, c->table, &o, &reply, err));
    if (reply->format != NULL && strstr(reply->format, "json") != NULL)
        qn_ha3_write_json(c, reply);
    else
        qn_ha3_write_xml(c, reply, c->table);
    quern_reply_free(reply);
    return QN_OK;
}

/* What is wrong with the config clause is found before the format counts: XML tells it,
 * whatever was asked. */
static bool is_of_config(qn_status st)
{
    static const qn_status codes[] = {
        QN_ECONFIG,     QN_ESTART,       QN_EHIT,         QN_ERANKSIZE,
        QN_ERERANKSIZE, QN_ETIMEOUTTEXT, QN_ESUMMARYTYPE, QN_EPROTOOPTION,
        QN_ERESEARCH,   QN_EJOINTYPE,    QN_ESUBDOC,      QN_EINDEXVERSION,
        QN_ETOTALRANK,  QN_ETOTALRERANK, QN_ESUMMARYKEY,  QN_ENOCHAIN,
        QN_EFORMAT,
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i] == st) return true;
    return false;
}

/* What is wrong with a query is told inside a reply of the format it asked for, with
 * status 200, as the original does; clients read `errors`. */
static qn_status tell(qn_call *c, qn_status st, qn_slice request, qn_error *err)
{
    int http = qn_status_describe(st)->http_status;
    if (st == QN_OK || http >= 500 || st == QN_ECANCELLED || st == QN_EBUSY ||
        st == QN_EDEFERRED)
        return st;
    qn_error told = *err;
    told.code = st;
    qn_server_tell_place(c, &told);
    c->out->status = 200;
    qn_ha3_format format = qn_ha3_format_of(request);
    if (format != QN_HA3_XML && !is_of_config(st)) {
        qn_call_json(c, 200);
        qn_ha3_write_json_error(c, format == QN_HA3_FULLJSON, &told);
    } else {
        qn_ha3_write_xml_error(c, &told);
    }
    return QN_OK;
}

qn_status qn_ha3_query(qn_call *c, qn_error *err)
{
    qn_slice request = {"", 0};
    qn_status st = read_request(c, &request, err);
    if (st == QN_OK) st = run(c, request, err);
    return tell(c, st, request, err);
}

qn_status qn_ha3_answer(qn_call *c, qn_slice request, qn_error *err)
{
    qn_status st = run(c, request, err);
    /* Places in a request string that the client did not write help nobody. */
    if (st != QN_OK) err->at = QN_AT_NONE;
    return tell(c, st, request, err);
}

qn_status qn_ha3_active(qn_call *c, qn_error *err)
{
    (void)err;
    qn_call_text(c, 200, NULL, (qn_slice){"", 0});
    return QN_OK;
}

/* Whatever else fails under these paths: JSON, which the client libraries parse. */
void qn_ha3_error(qn_call *c, const qn_error *err)
{
    qn_call_json(c, qn_status_describe(err->code)->http_status);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_member_str(w, "status", "FAIL");
    qn_json_key(w, "errors");
    qn_json_begin_array(w);
    qn_json_begin_object(w);
    qn_json_member_int(w, "code", qn_status_describe(err->code)->ha3_code);
    qn_json_member_str(w, "message", qn_call_error_text(c, err));
    qn_json_end_object(w);
    qn_json_end_array(w);
    qn_json_end_object(w);
}

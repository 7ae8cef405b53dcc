/* SPDX-License-Identifier: Apache-2.0 */
#include "server/es/api_es.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- headers and content types ------------------------------------------------------ */

void qn_es_headers(qn_call *c)
{
    /* Official clients refuse to work without it. */
    qn_http_add_header(c->out, "X-Elastic-Product", "Elasticsearch");
    const qn_http_request *r = c->request;
    const qn_param *id = qn_header_find(r->headers, r->header_count, "X-Opaque-Id");
    if (id != NULL) qn_http_add_header(c->out, "X-Opaque-Id", id->value.p);
}

static qn_slice header(const qn_call *c, const char *name)
{
    const qn_param *h =
        qn_header_find(c->request->headers, c->request->header_count, name);
    return h == NULL ? (qn_slice){"", 0} : h->value;
}

/* The number behind "compatible-with="; 0 when there is none, -1 when it is no number. */
static int compatible_with(qn_slice value)
{
    static const char key[] = "compatible-with=";
    for (size_t i = 0; i + sizeof key - 1 <= value.n; i++) {
        qn_slice rest = {value.p + i, value.n - i};
        if (!qn_slice_starts_with(rest, key)) continue;
        int n = 0;
        size_t k = sizeof key - 1;
        for (; k < rest.n && rest.p[k] >= '0' && rest.p[k] <= '9' && n < 1000; k++)
            n = n * 10 + (rest.p[k] - '0');
        return k == sizeof key - 1 ? -1 : n;
    }
    return 0;
}

static qn_slice media_type(qn_slice value)
{
    const char *end = value.n == 0 ? NULL : memchr(value.p, ';', value.n);
    if (end != NULL) value.n = (size_t)(end - value.p);
    return qn_slice_trim(value);
}

static qn_status check_version(const char *name, qn_slice value, qn_error *err)
{
    int version = compatible_with(value);
    if (version == 0 || (version >= 7 && version <= 9)) return QN_OK;
    return qn_fail(err, QN_EMEDIA,
                   "%s version must be 9, 8 or 7, but found %d. %s=%.*s", name, version,
                   name, value.n > 200 ? 200 : (int)value.n, value.p);
}

qn_status qn_es_check_media(const qn_call *c, qn_error *err)
{
    static const char *const known[] = {"application/json", "application/x-ndjson",
                                        "application/vnd.elasticsearch+json",
                                        "application/vnd.elasticsearch+x-ndjson"};
    qn_slice accept = header(c, "Accept"), type = header(c, "Content-Type");
    QN_TRY(check_version("Accept", accept, err));
    if (c->request->body.n == 0) return QN_OK;
    QN_TRY(check_version("Content-Type", type, err));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (qn_slice_eq_nocase(media_type(type), known[i])) return QN_OK;
    if (type.n == 0) return qn_fail(err, QN_EMEDIA, "Content-Type header is missing");
    return qn_fail(err, QN_EMEDIA, "Content-Type header [%.*s] is not supported",
                   type.n > 200 ? 200 : (int)type.n, type.p);
}

const char *qn_es_content_type(const qn_call *c)
{
    static const char *const vendor[] = {
        "application/vnd.elasticsearch+json;compatible-with=7",
        "application/vnd.elasticsearch+json;compatible-with=8",
        "application/vnd.elasticsearch+json;compatible-with=9",
    };
    int version = compatible_with(header(c, "Accept"));
    return version >= 7 && version <= 9 ? vendor[version - 7] : "application/json";
}

qn_status qn_es_check_params(const qn_call *c, qn_error *err)
{
    static const char *const common[] = {"pretty",      "human",  "error_trace",
                                         "filter_path", "format", NULL};
    const qn_url *url = &c->request->url;
    for (size_t i = 0; i < url->param_count; i++) {
        qn_slice name = url->params[i].name;
        bool known = qn_route_has_param(c->route, name);
        for (size_t k = 0; common[k] != NULL; k++)
            known = known || qn_slice_eq_str(name, common[k]);
        if (known) continue;
        return qn_fail(err, QN_EINVAL,
                       "request [%.*s] contains unrecognized parameter: [%.*s]",
                       url->path.n > 200 ? 200 : (int)url->path.n, url->path.p,
                       name.n > 100 ? 100 : (int)name.n, name.p);
    }
    return QN_OK;
}

/* ---- errors ------------------------------------------------------------------------- */

const char *qn_es_reason(const qn_error *err, const char *table, char room[600])
{
    if (err->code == QN_ENOTABLE && table[0] != '\0')
        (void)snprintf(room, 600, "no such index [%s]", table);
    else if (err->code == QN_ETABLEEXISTS && table[0] != '\0')
        (void)snprintf(room, 600, "index [%s/%s] already exists", table, table);
    else
        (void)snprintf(room, 600, "%s", err->text);
    return room;
}

/* Line and column, from 1, of a byte of the request's body. */
static void write_place(const qn_call *c, qn_json_writer *w, const qn_error *err)
{
    qn_slice body = c->request->body;
    if (err->at == QN_AT_NONE || err->file[0] != '\0' || err->at > body.n ||
        body.n == 0)
        return;
    int64_t line = 1, column = 1;
    for (size_t i = 0; i < err->at; i++) {
        column = body.p[i] == '\n' ? 1 : column + 1;
        line += body.p[i] == '\n';
    }
    qn_json_member_int(w, "line", line);
    qn_json_member_int(w, "col", column);
}

/* One status of ours may be several types of theirs. */
static const char *type_of(const qn_error *err)
{
    if (err->code == QN_EDOCUMENT && strstr(err->text, "mapping set to strict") != NULL)
        return "strict_dynamic_mapping_exception";
    return qn_status_describe(err->code)->es_type;
}

static void write_details(qn_call *c, qn_json_writer *w, const qn_error *err,
                          const char *table)
{
    char room[600];
    qn_json_member_str(w, "type", type_of(err));
    qn_json_member_str(w, "reason", qn_es_reason(err, table, room));
    bool parsing = err->code == QN_EJSON || err->code == QN_ESYNTAX ||
                   err->code == QN_ECLAUSE || err->code == QN_EUTF8;
    if (parsing) write_place(c, w, err);
    if (err->code == QN_ENOTABLE && table[0] != '\0') {
        qn_json_member_str(w, "resource.type", "index_or_alias");
        qn_json_member_str(w, "resource.id", table);
        qn_json_member_str(w, "index_uuid", "_na_");
        qn_json_member_str(w, "index", table);
    }
}

void qn_es_error_object(qn_call *c, qn_json_writer *w, const qn_error *err,
                        const char *table)
{
    qn_json_begin_object(w);
    write_details(c, w, err, table);
    qn_json_end_object(w);
}

/* Failures that Elasticsearch finds on the shards, while it runs the search. */
static bool is_shard_failure(const qn_call *c, const qn_error *err)
{
    if (c->route == NULL || strstr(c->route->pattern, "_search") == NULL) return false;
    const char *type = qn_status_describe(err->code)->es_type;
    return strcmp(type, "query_shard_exception") == 0 ||
           strcmp(type, "script_exception") == 0 || err->code == QN_EWINDOW ||
           err->code == QN_EDIMS;
}

static void write_failed_shards(qn_call *c, qn_json_writer *w, const qn_error *err)
{
    qn_json_member_str(w, "type", "search_phase_execution_exception");
    qn_json_member_str(w, "reason", "all shards failed");
    qn_json_member_str(w, "phase", "query");
    qn_json_member_bool(w, "grouped", true);
    qn_json_key(w, "failed_shards");
    qn_json_begin_array(w);
    qn_json_begin_object(w);
    qn_json_member_int(w, "shard", 0);
    qn_json_member_str(w, "index", c->table);
    qn_json_member_str(w, "node", "quern");
    qn_json_key(w, "reason");
    qn_es_error_object(c, w, err, c->table);
    qn_json_end_object(w);
    qn_json_end_array(w);
    qn_json_key(w, "caused_by");
    qn_es_error_object(c, w, err, c->table);
}

void qn_es_error(qn_call *c, const qn_error *err)
{
    int status = qn_status_describe(err->code)->http_status;
    bool version =
        err->code == QN_EMEDIA && strstr(err->text, " version must be ") != NULL;
    if (version) status = 400;
    if (err->code == QN_EROUTE) status = 400;
    qn_call_json(c, status);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_key(w, "error");
    if ((err->code == QN_EMEDIA && !version) || err->code == QN_EROUTE ||
        err->code == QN_EMETHOD) {
        qn_json_str(w, err->text);
    } else {
        qn_json_begin_object(w);
        qn_json_key(w, "root_cause");
        qn_json_begin_array(w);
        qn_es_error_object(c, w, err, c->table);
        qn_json_end_array(w);
        if (is_shard_failure(c, err))
            write_failed_shards(c, w, err);
        else
            write_details(c, w, err, c->table);
        qn_json_end_object(w);
    }
    qn_json_member_int(w, "status", status);
    qn_json_end_object(w);
}

/* ---- small pieces ------------------------------------------------------------------- */

void qn_es_shards(qn_json_writer *w, bool writes)
{
    qn_json_key(w, "_shards");
    qn_json_begin_object(w);
    qn_json_member_int(w, "total", 1);
    qn_json_member_int(w, "successful", 1);
    if (!writes) qn_json_member_int(w, "skipped", 0);
    qn_json_member_int(w, "failed", 0);
    qn_json_end_object(w);
}

static void write_failure(qn_call *c, qn_json_writer *w, int64_t shard,
                          const qn_error *e)
{
    qn_json_begin_object(w);
    qn_json_member_int(w, "shard", shard);
    qn_json_member_str(w, "index", c->table);
    qn_json_key(w, "reason");
    qn_json_begin_object(w);
    qn_json_member_str(w, "type", quern_status_describe(e->code)->es_type);
    qn_json_member_str(w, "reason", e->text);
    if (e->file[0] != '\0') qn_json_member_str(w, "file", e->file);
    if (e->at != QN_AT_NONE) qn_json_member_int(w, "offset", (int64_t)e->at);
    qn_json_end_object(w);
    qn_json_end_object(w);
}

void qn_es_search_shards(qn_call *c, qn_json_writer *w, const quern_reply *r)
{
    int64_t failed = 0;
    for (size_t i = 0; i < r->warning_count; i++)
        failed += r->warnings[i].code == QN_ECORRUPT;
    if (failed == 0) {
        qn_es_shards(w, false);
        return;
    }
    qn_json_key(w, "_shards");
    qn_json_begin_object(w);
    qn_json_member_int(w, "total", 1 + failed);
    qn_json_member_int(w, "successful", 1);
    qn_json_member_int(w, "skipped", 0);
    qn_json_member_int(w, "failed", failed);
    qn_json_key(w, "failures");
    qn_json_begin_array(w);
    int64_t shard = 1;
    for (size_t i = 0; i < r->warning_count; i++)
        if (r->warnings[i].code == QN_ECORRUPT)
            write_failure(c, w, shard++, &r->warnings[i]);
    qn_json_end_array(w);
    qn_json_end_object(w);
}

void qn_es_explanation(qn_json_writer *w, const quern_explanation *e)
{
    qn_json_begin_object(w);
    qn_json_key(w, "value");
    qn_json_float(w, (float)e->value);
    qn_json_member_str(w, "description", e->description);
    qn_json_key(w, "details");
    qn_json_begin_array(w);
    for (size_t i = 0; i < e->detail_count; i++) qn_es_explanation(w, &e->details[i]);
    qn_json_end_array(w);
    qn_json_end_object(w);
}

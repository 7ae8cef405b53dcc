/* SPDX-License-Identifier: Apache-2.0 */
/* Single documents: _doc, _create, _update, _source. */
#include "server/handlers.h"

#include "server/es/api_es.h"
#include "server/writes.h"

#include <inttypes.h>

/* ?refresh, ?refresh=true, wait_for, false */
qn_status qn_es_refresh_param(const qn_call *c, bool *refresh, qn_error *err)
{
    const qn_slice *value = qn_call_param(c, "refresh");
    if (value == NULL) return QN_OK;
    if (qn_slice_eq_str(*value, "wait_for")) {
        *refresh = true;
        return QN_OK;
    }
    return qn_call_flag(c, "refresh", refresh, err);
}

static qn_status number_param(const qn_call *c, const char *name, int64_t *out,
                              qn_error *err)
{
    const qn_slice *value = qn_call_param(c, name);
    if (value == NULL || qn_slice_to_i64(*value, out)) return QN_OK;
    return qn_fail(err, QN_EINVAL, "Failed to parse parameter [%s] with value [%.*s]",
                   name, value->n > 60 ? 60 : (int)value->n, value->p);
}

/* if_seq_no and if_primary_term, which is always 1 here; version and version_type. */
static qn_status read_condition(const qn_call *c, quern_op *op, qn_error *err)
{
    int64_t term = 1, version = 0;
    const qn_slice *type = qn_call_param(c, "version_type");
    bool has_version = qn_call_param(c, "version") != NULL;
    op->if_seq_no = QUERN_SEQ_NONE;
    QN_TRY(number_param(c, "version", &version, err));
    QN_TRY(number_param(c, "if_seq_no", &op->if_seq_no, err));
    QN_TRY(number_param(c, "if_primary_term", &term, err));
    if (term != 1)
        return qn_fail(err, QN_ECONFLICT,
                       "version conflict, required primary term [%" PRId64
                       "], current primary term [1]",
                       term);
    return qn_write_read_version(op, type == NULL ? (qn_slice){"", 0} : *type,
                                 has_version, version, err);
}

/* An update may ask for the document as it left it: "get" in the reply, with what
 * _source says of it. Somebody may have changed it again by then; the numbers say so. */
static qn_status write_get(qn_call *c, const char *table, const quern_op_result *result,
                           qn_slice wanted, qn_error *err)
{
    quern_document doc;
    qn_buf source = {.alloc = c->out->body.alloc};
    bool none = false;
    QN_TRY(quern_get(c->q, table, result->id, strlen(result->id), &doc, err));
    qn_status st = qn_es_filter_source_as(c, (qn_slice){doc.source, doc.source_size},
                                          &wanted, &source, &none, err);
    if (st == QN_OK && !none) {
        qn_json_key(&c->w, "get");
        qn_json_begin_object(&c->w);
        qn_json_member_int(&c->w, "_seq_no", doc.seq_no);
        qn_json_member_int(&c->w, "_primary_term", 1);
        qn_json_member_bool(&c->w, "found", true);
        qn_json_key(&c->w, "_source");
        qn_json_raw(&c->w, qn_buf_slice(&source));
        qn_json_end_object(&c->w);
    }
    quern_document_free(&doc);
    qn_buf_deinit(&source);
    return st;
}

/* `wanted` NULL: the reply is without the document. */
static qn_status run_op(qn_call *c, const char *table, quern_op *op,
                        const qn_slice *wanted, qn_error *err)
{
    bool refresh = false;
    quern_op_result result;
    quern_write_options o = QUERN_WRITE_OPTIONS_INIT;
    QN_TRY(qn_es_refresh_param(c, &refresh, err));
    o.refresh = refresh;
    o.create_table = op->kind != QUERN_OP_DELETE &&
                     (op->kind != QUERN_OP_UPDATE || op->upsert != NULL);
    QN_TRY(quern_write(c->q, table, op, 1, &o, &result, err));
    bool missing = op->kind == QUERN_OP_DELETE && result.status == QN_ENODOC;
    if (result.status != QN_OK && !missing) {
        if (err != NULL) *err = result.error;
        return result.status;
    }
    qn_call_json(c, missing ? 404 : result.created ? 201 : 200);
    qn_json_begin_object(&c->w);
    qn_write_result_members(&c->w, table, &result);
    if (refresh) qn_json_member_bool(&c->w, "forced_refresh", true);
    if (wanted != NULL) QN_TRY(write_get(c, table, &result, *wanted, err));
    qn_json_end_object(&c->w);
    return QN_OK;
}

static qn_status put(qn_call *c, quern_op_kind kind, qn_error *err)
{
    const char *table = NULL;
    const qn_json *body = NULL;
    QN_TRY(qn_call_table(c, &table, err));
    QN_TRY(qn_call_object(c, &body, err));
    qn_slice id = qn_route_arg(&c->match, "id");
    quern_op op = {.kind = kind,
                   .id = id.n == 0 ? NULL : id.p,
                   .id_size = id.n,
                   .source = body->raw.p,
                   .source_size = body->raw.n};
    const qn_slice *op_type = qn_call_param(c, "op_type");
    if (op_type != NULL && qn_slice_eq_str(*op_type, "create"))
        op.kind = QUERN_OP_CREATE;
    QN_TRY(read_condition(c, &op, err));
    return run_op(c, table, &op, NULL, err);
}

qn_status qn_es_doc_put(qn_call *c, qn_error *err)
{
    return put(c, QUERN_OP_INDEX, err);
}

qn_status qn_es_doc_create(qn_call *c, qn_error *err)
{
    return put(c, QUERN_OP_CREATE, err);
}

qn_status qn_es_doc_delete(qn_call *c, qn_error *err)
{
    const char *table = NULL;
    QN_TRY(qn_call_table(c, &table, err));
    qn_slice id = qn_route_arg(&c->match, "id");
    quern_op op = {.kind = QUERN_OP_DELETE, .id = id.p, .id_size = id.n};
    QN_TRY(read_condition(c, &op, err));
    return run_op(c, table, &op, NULL, err);
}

/* _source of an update: in the address or in the body; true, false, or names. */
static qn_status read_wanted(const qn_call *c, const qn_json *v, qn_slice *list,
                             bool *any, qn_error *err)
{
    const qn_slice *param = qn_call_param(c, "_source");
    *any = param != NULL || qn_call_param(c, "_source_includes") != NULL ||
           qn_call_param(c, "_source_excludes") != NULL;
    *list = param == NULL ? QN_SLICE_LIT("true") : *param;
    if (*any || v == NULL) return QN_OK;
    *any = true;
    if (v->kind == QN_JSON_BOOL) {
        *list = v->boolean ? QN_SLICE_LIT("true") : QN_SLICE_LIT("false");
        return QN_OK;
    }
    qn_buf names = {.alloc = c->arena->alloc};
    bool good = v->kind == QN_JSON_STRING || v->kind == QN_JSON_ARRAY;
    if (v->kind == QN_JSON_STRING) qn_buf_add_slice(&names, v->string);
    for (const qn_json *it = good ? qn_json_items(v) : NULL; it != NULL;
         it = it->next) {
        good = good && it->kind == QN_JSON_STRING;
        qn_buf_add_slice(&names,
                         it->kind == QN_JSON_STRING ? it->string : (qn_slice){"", 0});
        if (it->next != NULL) qn_buf_add_char(&names, ',');
    }
    *list = qn_arena_slice(c->arena, qn_buf_slice(&names));
    bool kept = !names.failed && list->p != NULL;
    qn_buf_deinit(&names);
    if (!good)
        return qn_fail_at(err, QN_EINVAL, qn_json_offset(v, c->request->body),
                          "[_source] of an update is true, false, a name or a list of "
                          "names");
    return kept ? QN_OK : qn_fail(err, QN_ENOMEM, "no memory to read a request");
}

qn_status qn_es_doc_update(qn_call *c, qn_error *err)
{
    const char *table = NULL;
    const qn_json *body = NULL;
    QN_TRY(qn_call_table(c, &table, err));
    QN_TRY(qn_call_object(c, &body, err));
    qn_slice id = qn_route_arg(&c->match, "id");
    quern_op op = {.kind = QUERN_OP_UPDATE, .id = id.p, .id_size = id.n};
    QN_TRY(read_condition(c, &op, err));
    const qn_json *source = NULL;
    qn_slice wanted;
    bool any = false;
    QN_TRY(qn_write_read_update(body, c->request->body, &op, &source, err));
    QN_TRY(read_wanted(c, source, &wanted, &any, err));
    return run_op(c, table, &op, any ? &wanted : NULL, err);
}

/* ---- reading --------------------------------------------------------------------------- */

static qn_status write_found(qn_call *c, const char *table, const quern_document *doc,
                             qn_error *err)
{
    qn_buf source = {.alloc = c->out->body.alloc};
    bool none = false;
    qn_status st = qn_es_filter_source(c, (qn_slice){doc->source, doc->source_size},
                                       &source, &none, err);
    if (st == QN_OK) {
        qn_call_json(c, 200);
        qn_json_writer *w = &c->w;
        qn_json_begin_object(w);
        qn_json_member_str(w, "_index", table);
        qn_json_member_slice(w, "_id", (qn_slice){doc->id, doc->id_size});
        qn_json_member_int(w, "_version", doc->version);
        qn_json_member_int(w, "_seq_no", doc->seq_no);
        qn_json_member_int(w, "_primary_term", 1);
        qn_json_member_bool(w, "found", true);
        if (!none) {
            qn_json_key(w, "_source");
            qn_json_raw(w, qn_buf_slice(&source));
        }
        qn_json_end_object(w);
    }
    qn_buf_deinit(&source);
    return st;
}

qn_status qn_es_doc_get(qn_call *c, qn_error *err)
{
    const char *table = NULL;
    quern_document doc;
    QN_TRY(qn_call_table(c, &table, err));
    qn_slice id = qn_route_arg(&c->match, "id");
    qn_status st = quern_get(c->q, table, id.p, id.n, &doc, err);
    if (st == QN_ENODOC) {
        qn_call_json(c, 404);
        qn_json_begin_object(&c->w);
        qn_json_member_str(&c->w, "_index", table);
        qn_json_member_slice(&c->w, "_id", id);
        qn_json_member_bool(&c->w, "found", false);
        qn_json_end_object(&c->w);
        return QN_OK;
    }
    QN_TRY(st);
    st = write_found(c, table, &doc, err);
    quern_document_free(&doc);
    return st;
}

qn_status qn_es_source_get(qn_call *c, qn_error *err)
{
    const char *table = NULL;
    quern_document doc;
    QN_TRY(qn_call_table(c, &table, err));
    qn_slice id = qn_route_arg(&c->match, "id");
    QN_TRY(quern_get(c->q, table, id.p, id.n, &doc, err));
    bool none = false;
    qn_call_json(c, 200);
    qn_status st = qn_es_filter_source(c, (qn_slice){doc.source, doc.source_size},
                                       &c->out->body, &none, err);
    quern_document_free(&doc);
    return st;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/writes.h"

#include "server/es/api_es.h"

/* What Elasticsearch finds wrong with an update before it looks at the document. */
static qn_status check_update(const quern_op *op, const qn_json *doc,
                              const qn_json *script, bool as_upsert, qn_error *err)
{
    const char *wrong = NULL;
    if (script != NULL && doc != NULL)
        wrong = "can't provide both script and doc";
    else if (script == NULL && doc == NULL && as_upsert)
        wrong = "doc must be specified if doc_as_upsert is enabled";
    else if (script == NULL && (doc == NULL || doc->kind != QN_JSON_OBJECT))
        wrong = "script or doc is missing";
    else if (op->if_seq_no != QUERN_SEQ_NONE && as_upsert)
        wrong = "compare and write operations can not be used with upsert";
    else if (op->if_seq_no != QUERN_SEQ_NONE && op->upsert != NULL)
        wrong = "upsert requests don't support `if_seq_no` and `if_primary_term`";
    if (wrong == NULL) return QN_OK;
    return qn_fail(err, QN_EINVAL, "Validation Failed: 1: %s;", wrong);
}

qn_status qn_write_read_update(const qn_json *body, qn_slice text, quern_op *op,
                               const qn_json **wanted, qn_error *err)
{
    const qn_json *doc = NULL, *script = NULL, *upsert = NULL;
    bool as_upsert = false, scripted = false, detect_noop = true;
    const qn_member members[] = {
        {"doc", QN_MEMBER_ANY, &doc, 0, 0},
        {"doc_as_upsert", QN_MEMBER_BOOL, &as_upsert, 0, 0},
        {"script", QN_MEMBER_ANY, &script, 0, 0},
        {"scripted_upsert", QN_MEMBER_BOOL, &scripted, 0, 0},
        {"upsert", QN_MEMBER_ANY, &upsert, 0, 0},
        {"detect_noop", QN_MEMBER_BOOL, &detect_noop, 0, 0},
        {wanted == NULL ? NULL : "_source", QN_MEMBER_ANY, wanted, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_members(body, members, text, err));
    if (upsert != NULL) {
        if (upsert->kind != QN_JSON_OBJECT)
            return qn_fail_at(err, QN_EINVAL, qn_json_offset(upsert, text),
                              "[upsert] must be an object");
        op->upsert = upsert->raw.p;
        op->upsert_size = upsert->raw.n;
    }
    QN_TRY(check_update(op, doc, script, as_upsert, err));
    if (script != NULL || scripted)
        return qn_fail_at(err, QN_EUNSUPPORTED,
                          script == NULL ? QN_AT_NONE : qn_json_offset(script, text),
                          "scripted updates are not supported: there is no script "
                          "language for documents. Send the changed fields as [doc], "
                          "with [upsert] or [doc_as_upsert] for a document that may be "
                          "missing");
    op->kind = as_upsert ? QUERN_OP_UPSERT : QUERN_OP_UPDATE;
    op->source = doc->raw.p;
    op->source_size = doc->raw.n;
    op->always = !detect_noop;
    return QN_OK;
}

qn_status qn_write_read_version(quern_op *op, qn_slice type, bool has_version,
                                int64_t version, qn_error *err)
{
    static const struct {
        const char *name;
        quern_version_type type;
    } types[] = {
        {"internal", QUERN_VERSION_INTERNAL},
        {"external", QUERN_VERSION_EXTERNAL},
        {"external_gt", QUERN_VERSION_EXTERNAL},
        {"external_gte", QUERN_VERSION_EXTERNAL_GTE},
    };
    if (type.n == 0) type = QN_SLICE_LIT("internal");
    size_t i = 0, n = sizeof types / sizeof *types;
    while (i < n && !qn_slice_eq_str(type, types[i].name)) i++;
    if (i == n)
        return qn_fail(err, QN_EINVAL, "No version type match [%.*s]",
                       type.n > 60 ? 60 : (int)type.n, type.p);
    op->version_type = types[i].type;
    op->version = has_version ? version : -3; /* "any version" in Elasticsearch */
    bool external = op->version_type != QUERN_VERSION_INTERNAL;
    const char *wrong = NULL;
    if (op->kind == QUERN_OP_CREATE && external)
        wrong = "create operations only support internal versioning. use index instead";
    else if (op->kind == QUERN_OP_CREATE && has_version)
        wrong = "create operations do not support explicit versions. use index instead";
    else if (op->kind == QUERN_OP_CREATE && op->if_seq_no != QUERN_SEQ_NONE)
        wrong = "create operations do not support compare and set. use index instead";
    else if (!external && has_version)
        wrong = "internal versioning can not be used for optimistic concurrency "
                "control. Please use `if_seq_no` and `if_primary_term` instead";
    else if (external && op->if_seq_no != QUERN_SEQ_NONE)
        wrong = "compare and write operations can not use versioning";
    if (wrong == NULL) return QN_OK;
    return qn_fail(err, QN_EINVAL, "Validation Failed: 1: %s;", wrong);
}

void qn_write_result_members(qn_json_writer *w, const char *table,
                             const quern_op_result *result)
{
    static const char *const words[] = {/* ORDER quern_outcome */
                                        "created", "updated", "deleted", "noop",
                                        "not_found"};
    bool noop = result->outcome == QUERN_NOOP;
    qn_json_member_str(w, "_index", table);
    qn_json_member_str(w, "_id", result->id);
    qn_json_member_int(w, "_version", result->version);
    qn_json_member_str(w, "result", words[result->outcome]);
    if (noop) { /* no shard had anything to do */
        qn_json_key(w, "_shards");
        qn_json_raw(w, QN_SLICE_LIT("{\"total\":0,\"successful\":0,\"failed\":0}"));
    } else {
        qn_es_shards(w, true);
    }
    qn_json_member_int(w, "_seq_no", result->seq_no);
    qn_json_member_int(w, "_primary_term", 1);
}

int qn_write_result_status(const quern_op *op, const quern_op_result *result)
{
    if (result->status != QN_OK) return qn_status_describe(result->status)->http_status;
    return result->created && op->kind != QUERN_OP_DELETE ? 201 : 200;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/writes.h"

#include "server/api_es.h"

qn_status qn_write_read_update(const qn_json *body, qn_slice text, quern_op *op,
                               qn_error *err)
{
    const qn_json *doc = NULL, *script = NULL, *upsert = NULL;
    bool as_upsert = false;
    const qn_member members[] = {
        {"doc", QN_MEMBER_ANY, &doc, 0, 0},
        {"doc_as_upsert", QN_MEMBER_BOOL, &as_upsert, 0, 0},
        {"script", QN_MEMBER_ANY, &script, 0, 0},
        {"upsert", QN_MEMBER_ANY, &upsert, 0, 0},
        {"detect_noop", QN_MEMBER_IGNORE, NULL, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_members(body, members, text, err));
    if (script != NULL || upsert != NULL)
        return qn_fail_at(
            err, QN_EUNSUPPORTED,
            qn_json_offset(script != NULL ? script : upsert, text),
            "updates take [doc] and [doc_as_upsert]; [script] and [upsert] "
            "are not supported");
    if (doc == NULL || doc->kind != QN_JSON_OBJECT)
        return qn_fail(err, QN_EINVAL,
                       "Validation Failed: 1: script or doc is missing;");
    op->kind = as_upsert ? QUERN_OP_UPSERT : QUERN_OP_UPDATE;
    op->source = doc->raw.p;
    op->source_size = doc->raw.n;
    return QN_OK;
}

void qn_write_result_members(qn_json_writer *w, const char *table, const quern_op *op,
                             const quern_op_result *result)
{
    const char *word = result->created ? "created" : "updated";
    if (op->kind == QUERN_OP_DELETE)
        word = result->status == QN_ENODOC ? "not_found" : "deleted";
    qn_json_member_str(w, "_index", table);
    qn_json_member_str(w, "_id", result->id);
    qn_json_member_int(w, "_version", result->version < 1 ? 1 : result->version);
    qn_json_member_str(w, "result", word);
    qn_es_shards(w, true);
    qn_json_member_int(w, "_seq_no", result->seq_no);
    qn_json_member_int(w, "_primary_term", 1);
}

int qn_write_result_status(const quern_op *op, const quern_op_result *result)
{
    if (result->status != QN_OK) return qn_status_describe(result->status)->http_status;
    return result->created && op->kind != QUERN_OP_DELETE ? 201 : 200;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* write_prepare.c -- the part of a write that needs no lock: parsing and embedding. */
#include "engine/table/names.h"
#include "engine/write/write.h"
#include "nn/calls/embed.h"

void qn_write__fail(qn_write_op *w, qn_status st, const qn_error *err)
{
    w->failed = true;
    w->result->status = st;
    w->result->error = *err;
    w->result->error.code = st;
}

static qn_status take_id(const qn_table_schema *schema, qn_write_op *w, qn_arena *arena,
                         qn_error *err)
{
    const quern_op *op = w->op;
    const qn_field *key =
        qn_schema_field_by_id(&schema->schema, schema->schema.primary_key);
    if (op->id != NULL) {
        w->id = (qn_slice){op->id, op->id_size};
    } else if (key != NULL && w->root != NULL) {
        QN_TRY(qn_document_key(arena, w->root, key->path, &w->id, err));
    } else if (op->kind == QUERN_OP_INDEX || op->kind == QUERN_OP_CREATE) {
        uint64_t entropy[2] = {qn_clock_seed(), qn_clock_seed()};
        char *made = qn_arena_new(arena, QN_AUTO_ID_SIZE + 1);
        if (made == NULL) return qn_fail(err, QN_ENOMEM, "id");
        qn_name_make_id(made, entropy);
        w->id = (qn_slice){made, QN_AUTO_ID_SIZE};
    } else {
        return qn_fail(err, QN_EDOCUMENT, "this operation needs an _id");
    }
    QN_TRY(qn_name_check_id(w->id, err));
    memcpy(w->result->id, w->id.p, w->id.n);
    w->result->id[w->id.n] = 0;
    return QN_OK;
}

static qn_status parse(qn_arena *arena, const char *text, size_t size, qn_slice *source,
                       const qn_json **root, qn_error *err)
{
    if (size > QN_DOCUMENT_BYTES_MAX)
        return qn_fail(err, QN_EDOCTOOLARGE,
                       "a document of %zu bytes, at most %d are allowed", size,
                       QN_DOCUMENT_BYTES_MAX);
    *source = (qn_slice){text == NULL ? "" : text, size};
    QN_TRY(qn_json_parse(arena, *source, root, err));
    if ((*root)->kind == QN_JSON_OBJECT) return QN_OK;
    return qn_fail_at(err, QN_EDOCUMENT, 0, "a document must be a JSON object, not %s",
                      qn_json_kind_name((*root)->kind));
}

static qn_status check_versioning(const quern_op *op, qn_error *err)
{
    if (op->version_type == QUERN_VERSION_INTERNAL) return QN_OK;
    if (op->kind != QUERN_OP_INDEX && op->kind != QUERN_OP_DELETE)
        return qn_fail(err, QN_EINVAL,
                       "external versions are for index and delete operations");
    if (op->if_seq_no != QUERN_SEQ_NONE)
        return qn_fail(err, QN_EINVAL,
                       "compare and write operations can not use versioning");
    if (op->version < 0)
        return qn_fail(
            err, QN_EINVAL, "illegal version value [%lld] for version type [%s]",
            (long long)op->version,
            op->version_type == QUERN_VERSION_EXTERNAL ? "EXTERNAL" : "EXTERNAL_GTE");
    return QN_OK;
}

static qn_status prepare(const qn_table_schema *schema, qn_write_op *w, qn_arena *arena,
                         qn_error *err)
{
    const quern_op *op = w->op;
    QN_TRY(check_versioning(op, err));
    if (op->kind != QUERN_OP_DELETE || (op->id == NULL && op->source != NULL))
        QN_TRY(parse(arena, op->source, op->source_size, &w->source, &w->root, err));
    if (op->kind == QUERN_OP_UPDATE && op->upsert != NULL)
        QN_TRY(parse(arena, op->upsert, op->upsert_size, &w->upsert, &w->upsert_root,
                     err));
    return take_id(schema, w, arena, err);
}

void qn_write__prepare(qn_table *t, const qn_table_schema *schema, qn_write_op *w,
                       qn_arena *arena)
{
    (void)t;
    qn_error err = {.at = QN_AT_NONE};
    *w->result = (quern_op_result){.seq_no = -1, .error.at = QN_AT_NONE};
    qn_status st = prepare(schema, w, arena, &err);
    if (st != QN_OK) qn_write__fail(w, st, &err);
}

/* ---- embedding -----------------------------------------------------------------------
 */

static bool gives_value(const qn_json *root, const qn_field *f)
{
    const qn_json *v = qn_document_at(root, f->path);
    return v != NULL && v->kind != QN_JSON_NULL;
}

/* The operations of one batch whose text one field's model embeds. */
typedef struct embed_list {
    qn_slice *texts;
    qn_write_op **ops;
    size_t n;
} embed_list;

static qn_status collect(const qn_field *f, qn_write_op *ops, size_t n,
                         embed_list *list, qn_arena *arena, qn_error *err)
{
    list->n = 0;
    list->texts = qn_arena_array(arena, n + 1, sizeof *list->texts);
    list->ops = qn_arena_array(arena, n + 1, sizeof *list->ops);
    if (list->texts == NULL || list->ops == NULL)
        return qn_fail(err, QN_ENOMEM, "embedding");
    for (size_t i = 0; i < n; i++) {
        qn_write_op *w = &ops[i];
        if (w->failed || w->root == NULL || gives_value(w->root, f)) continue;
        qn_slice text = {0};
        QN_TRY(qn_document_embed_text(arena, f, w->root, &text, err));
        if (text.n == 0) continue;
        list->texts[list->n] = text;
        list->ops[list->n++] = w;
    }
    return QN_OK;
}

static qn_status keep(qn_write_op *w, const qn_field *f, const float *values,
                      size_t field_count, qn_arena *arena, qn_error *err)
{
    if (w->made == NULL) {
        w->made = qn_arena_array(arena, field_count + 1, sizeof *w->made);
        if (w->made == NULL) return qn_fail(err, QN_ENOMEM, "embedding");
    }
    w->made[w->made_count++] =
        (qn_made_vector){.field = f->id, .dims = f->dims, .values = values};
    return QN_OK;
}

/* Nobody waits for it as for an answer: it gives way to searches, and is not refused. */
static qn_status embed_list_run(quern *q, qn_model *model, const qn_field *f,
                                const embed_list *list, const quern_cancel *cancel,
                                qn_arena *arena, float **values, qn_error *err)
{
    uint32_t dims = qn_model_describe(model)->dims;
    if (dims != f->dims)
        return qn_fail(err, QN_EDIMS,
                       "[%.*s] has %u dims, its model %s makes vectors of %u",
                       QN_SLICE_ARG(f->name), f->dims, f->model, dims);
    *values = qn_arena_array(arena, list->n, dims * sizeof **values);
    if (*values == NULL) return qn_fail(err, QN_ENOMEM, "embedding");
    qn_serving serving = qn_models_serving(q->models, model, QN_PRIORITY_BULK);
    serving.always = true;
    qn_deadline deadline = {.cancelled = cancel};
    qn_embed_options options = {
        .deadline = &deadline, .serving = &serving, .role = QN_TEXT_DOCUMENT};
    return qn_embed_run(model, list->texts, list->n, &options, *values, NULL, err);
}

static qn_status embed_field(quern *q, const qn_table_schema *schema, const qn_field *f,
                             qn_write_op *ops, size_t n, const quern_cancel *cancel,
                             qn_arena *arena, qn_error *err)
{
    embed_list list;
    QN_TRY(collect(f, ops, n, &list, arena, err));
    if (list.n == 0) return QN_OK;
    qn_model *model = NULL;
    QN_TRY(qn_models_get(q->models, f->model, QN_MODEL_EMBED, &model, err));
    float *values = NULL;
    qn_status st = embed_list_run(q, model, f, &list, cancel, arena, &values, err);
    uint32_t dims = qn_model_describe(model)->dims;
    qn_models_release(q->models, model);
    QN_TRY(st);
    for (size_t i = 0; i < list.n; i++)
        QN_TRY(keep(list.ops[i], f, values + i * dims, schema->schema.field_count,
                    arena, err));
    return QN_OK;
}

void qn_write__embed(quern *q, const qn_table_schema *schema, qn_write_op *ops,
                     size_t n, const quern_cancel *cancel, qn_arena *arena)
{
    for (size_t i = 0; i < schema->schema.field_count; i++) {
        const qn_field *f = &schema->schema.fields[i];
        if (f->type != QN_FIELD_VECTOR || f->model == NULL) continue;
        qn_error err = {.at = QN_AT_NONE};
        qn_status st = embed_field(q, schema, f, ops, n, cancel, arena, &err);
        if (st == QN_OK) continue;
        for (size_t k = 0; k < n; k++)
            if (!ops[k].failed && ops[k].root != NULL && !gives_value(ops[k].root, f))
                qn_write__fail(&ops[k], st, &err);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/neural.h"

#include "engine/table_overlay.h"

#include "nn/rerank.h"

/* Sub-fields and copies hold what another field holds already. */
static qn_status all_text_fields(const qn_schema *schema, qn_arena *arena,
                                 qn_slice **out, size_t *count, qn_error *err)
{
    *count = 0;
    *out = qn_arena_array(arena, schema->field_count + 1, sizeof **out);
    if (*out == NULL) return qn_fail(err, QN_ENOMEM, "rerank");
    for (size_t i = 0; i < schema->field_count; i++) {
        const qn_field *f = &schema->fields[i];
        if (f->type == QN_FIELD_TEXT && qn_slice_eq(f->name, f->path))
            (*out)[(*count)++] = f->path;
    }
    return QN_OK;
}

/* Fields are named as queries name them: a boost is left out, a copy read where it is. */
static qn_slice path_of(const qn_schema *schema, qn_slice name)
{
    const char *hat = memchr(name.p, '^', name.n);
    if (hat != NULL) name.n = (size_t)(hat - name.p);
    const qn_field *f = qn_schema_field(schema, name);
    return f == NULL ? name : f->path;
}

qn_status qn_neural_text(qn_arena *arena, const qn_schema *schema,
                         const qn_slice *fields, size_t field_count, qn_slice source,
                         qn_slice *out, qn_error *err)
{
    qn_slice *all = NULL;
    if (field_count == 0) {
        QN_TRY(all_text_fields(schema, arena, &all, &field_count, err));
        fields = all;
    }
    qn_slice *paths = qn_arena_array(arena, field_count + 1, sizeof *paths);
    if (paths == NULL) return qn_fail(err, QN_ENOMEM, "rerank");
    for (size_t i = 0; i < field_count; i++) paths[i] = path_of(schema, fields[i]);
    const qn_json *root = NULL;
    QN_TRY(qn_json_parse(arena, source, &root, err));
    const qn_field shape = {.model_paths = paths, .model_path_count = field_count};
    return qn_document_embed_text(arena, &shape, root, out, err);
}

typedef struct pending {
    qn_slice *texts;
    qn_score_key *keys;
    size_t *places; /* in the caller's order */
    size_t n;
} pending;

/* What identifies a model's scores. */
static qn_status identity(const qn_neural_job *job, const qn_model *model,
                          qn_slice *out, qn_error *err)
{
    const qn_model_info *info = qn_model_describe(model);
    char *p = qn_arena_printf(job->arena, "%s|%s|%llu|%s|%u",
                              qn_models_path_of(job->q->models, model),
                              info->source_hash, (unsigned long long)info->file_bytes,
                              qn_model_dtype_name(info->dtype), job->tokens_max);
    if (p == NULL) return qn_fail(err, QN_ENOMEM, "rerank");
    *out = qn_slice_of(p);
    return QN_OK;
}

static qn_status read_text(const qn_neural_job *job, uint32_t segment, uint32_t doc,
                           qn_buf *scratch, qn_slice *text, qn_error *err)
{
    qn_slice source = {0};
    QN_TRY(qn_patched_source(job->snapshot->view.segments[segment].segment, doc,
                             scratch, &source, err));
    source = qn_arena_slice(job->arena, source);
    if (source.p == NULL) return qn_fail(err, QN_ENOMEM, "rerank");
    return qn_neural_text(job->arena, job->snapshot->view.schema, job->fields,
                          job->field_count, source, text, err);
}

/* Looks every document up in the cache; the others go on the list. */
static qn_status look_up(const qn_neural_job *job, qn_slice model,
                         const uint32_t *segments, const uint32_t *docs, size_t n,
                         float *logits, bool *scored, pending *p, qn_error *err)
{
    qn_buf scratch;
    qn_buf_init(&scratch, job->arena->alloc);
    qn_status st = QN_OK;
    for (size_t i = 0; i < n && st == QN_OK; i++) {
        qn_slice text = {0};
        st = read_text(job, segments[i], docs[i], &scratch, &text, err);
        if (st != QN_OK) break;
        qn_score_key key = qn_score_cache_key(model, 0, job->query, text);
        scored[i] = qn_score_cache_get(job->q->scores, key, &logits[i]);
        if (scored[i]) continue;
        p->texts[p->n] = text;
        p->keys[p->n] = key;
        p->places[p->n++] = i;
    }
    qn_buf_deinit(&scratch);
    return st;
}

qn_status qn_neural_score(void *ctx, const char *model_name, const qn_slice *fields,
                          size_t field_count, const uint32_t *segments,
                          const uint32_t *docs, size_t n, const qn_deadline *deadline,
                          float *logits, bool *scored, qn_error *err)
{
    qn_neural_job *whole = ctx, own = *whole, *job = &own;
    if (field_count > 0) {
        own.fields = fields;
        own.field_count = field_count;
    }
    qn_model *model = NULL;
    qn_slice name = {0};
    QN_TRY(qn_models_get(job->q->models, model_name, QN_MODEL_RERANK, &model, err));
    whole->model_name = qn_model_describe(model)->name;
    QN_TRY(identity(job, model, &name, err));
    pending p = {
        .texts = qn_arena_array(job->arena, n + 1, sizeof *p.texts),
        .keys = qn_arena_array(job->arena, n + 1, sizeof *p.keys),
        .places = qn_arena_array(job->arena, n + 1, sizeof *p.places),
    };
    qn_rerank_doc *out = qn_arena_array(job->arena, n + 1, sizeof *out);
    if (p.texts == NULL || p.keys == NULL || p.places == NULL || out == NULL)
        return qn_fail(err, QN_ENOMEM, "rerank");
    QN_TRY(look_up(job, name, segments, docs, n, logits, scored, &p, err));
    if (p.n == 0) return QN_OK;
    qn_rerank_options options = {.deadline = deadline,
                                 .max_tokens = job->tokens_max,
                                 .pool = job->q->neural_pool};
    QN_TRY(qn_rerank_run(model, job->query, p.texts, p.n, &options, out, NULL, err));
    for (size_t i = 0; i < p.n; i++) {
        scored[p.places[i]] = out[i].scored;
        if (!out[i].scored) continue;
        logits[p.places[i]] = out[i].logit;
        qn_score_cache_put(job->q->scores, p.keys[i], out[i].logit);
    }
    return QN_OK;
}

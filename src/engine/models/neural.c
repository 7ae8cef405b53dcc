/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/models/neural.h"

#include "engine/models/passages.h"
#include "engine/table/table_overlay.h"

/* How long documents are read after the time is up. */
static const int64_t grace_ns = 10000000;

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

static qn_status read_text(const qn_neural_job *job, const qn_rank_neural_ask *ask,
                           size_t i, qn_buf *scratch, qn_slice *text, qn_error *err)
{
    qn_slice source = {0};
    bool own = ask->field_count > 0;
    QN_TRY(qn_patched_source(job->snapshot->view.segments[ask->segments[i]].segment,
                             ask->docs[i], scratch, &source, err));
    source = qn_arena_slice(job->arena, source);
    if (source.p == NULL) return qn_fail(err, QN_ENOMEM, "rerank");
    return qn_neural_text(job->arena, job->snapshot->view.schema,
                          own ? ask->fields : job->fields,
                          own ? ask->field_count : job->field_count, source, text, err);
}

/* A little beyond its time too: of what is read the score may be known already. */
static bool may_read(const qn_deadline *d)
{
    if (d == NULL || !qn_deadline_passed(d)) return true;
    return !qn_deadline_cancelled(d) && qn_clock_mono_ns() < d->at_ns + grace_ns;
}

/* *n: how many were read in their time, the first ones. */
static qn_status read_texts(const qn_neural_job *job, const qn_rank_neural_ask *ask,
                            qn_slice *texts, size_t *n, qn_error *err)
{
    qn_buf scratch;
    qn_buf_init(&scratch, job->arena->alloc);
    qn_status st = QN_OK;
    *n = 0;
    while (*n < ask->n && may_read(ask->deadline) && st == QN_OK) {
        st = read_text(job, ask, *n, &scratch, &texts[*n], err);
        if (st == QN_OK) ++*n;
    }
    qn_buf_deinit(&scratch);
    return st;
}

static qn_status score(const qn_neural_job *job, const qn_rank_neural_ask *ask,
                       qn_model *model, qn_rank_neural_answer *answers, qn_error *err)
{
    qn_slice *texts = qn_arena_array(job->arena, ask->n + 1, sizeof *texts);
    qn_passage_score *scores = qn_arena_array(job->arena, ask->n + 1, sizeof *scores);
    if (texts == NULL || scores == NULL) return qn_fail(err, QN_ENOMEM, "rerank");
    size_t n = 0;
    QN_TRY(read_texts(job, ask, texts, &n, err));
    /* A search is never refused: at worst nothing is scored in its time. */
    qn_serving serving =
        qn_models_serving(job->q->models, model, QN_PRIORITY_INTERACTIVE);
    serving.always = true;
    const qn_passage_job passages = {
        .q = job->q,
        .model = model,
        .query =
            ask->query == NULL ? job->query : (qn_slice){ask->query, ask->query_size},
        .options = ask->passages,
        .how = {.deadline = ask->deadline,
                .max_tokens = ask->tokens_max > 0 ? ask->tokens_max : job->tokens_max,
                .serving = &serving},
        .kept = true,
    };
    size_t scored = 0;
    QN_TRY(qn_passages_score(&passages, texts, n, scores, &scored, err));
    for (size_t i = 0; i < ask->n; i++)
        answers[i] = (qn_rank_neural_answer){
            .scored = scores[i].scored,
            .logit = scores[i].logit,
            .passage_start = scores[i].start,
            .passage_end = scores[i].end,
            .passage = scores[i].passage,
            .passages = scores[i].passages,
        };
    return QN_OK;
}

qn_status qn_neural_score(void *ctx, const qn_rank_neural_ask *ask,
                          qn_rank_neural_answer *answers, const char **model_name,
                          qn_error *err)
{
    qn_neural_job *job = ctx;
    qn_model *model = NULL;
    qn_status st = qn_models_get_by(job->q->models, ask->model, QN_MODEL_RERANK,
                                    ask->deadline, &model, err);
    if (st == QN_ETIMEOUT) {
        /* Still being opened: nothing is scored. */
        *model_name = "";
        for (size_t i = 0; i < ask->n; i++) answers[i] = (qn_rank_neural_answer){0};
        return QN_OK;
    }
    QN_TRY(st);
    job->model_name = *model_name = qn_models_info_of(job->q->models, model)->name;
    st = score(job, ask, model, answers, err);
    qn_models_release(job->q->models, model);
    return st;
}

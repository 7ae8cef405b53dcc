/* SPDX-License-Identifier: Apache-2.0 */
/* models_api.c -- the public calls about models. */
#include "base/bits.h"
#include "engine/engine_internal.h"
#include "nn/import/import.h"
#include "engine/models/passages.h"
#include "nn/calls/rerank.h"

#include <stdio.h>

static void fill_info(const qn_model_info *i, const char *name, const char *path,
                      quern_model_info *out)
{
    *out = (quern_model_info){
        .name = name,
        .task = qn_model_task_name(i->task),
        .family = i->architecture,
        .dtype = qn_model_dtype_name(i->dtype),
        .path = path,
        .dims = i->dims,
        .layers = i->layers,
        .max_tokens = i->max_tokens,
        .parameters = i->parameters,
        .file_bytes = i->file_bytes,
        .packed_bytes = i->packed_bytes,
        .licence = i->licence,
        .origin = i->origin,
        .activation = i->task != QN_MODEL_RERANK               ? ""
                      : i->activation == QN_ACTIVATION_SIGMOID ? "sigmoid"
                                                               : "identity",
        .truncation =
            i->task == QN_MODEL_RERANK ? qn_truncation_name(i->truncation) : "",
        .pooling = i->task == QN_MODEL_EMBED ? qn_pooling_name(i->pooling) : "",
        .normalized = i->normalize,
        .labels = i->task == QN_MODEL_RERANK ? i->labels : 0,
        .label_names = i->label_names,
    };
}

typedef struct listing {
    quern *q;
    bool (*each)(void *ctx, const quern_model_info *info);
    void *ctx;
} listing;

/* A file that does not open is listed with its name alone: it can still be removed. */
static bool list_one(void *ctx, const char *name, const char *path)
{
    listing *l = ctx;
    quern_model_info info = {.name = name,
                             .path = path,
                             .task = "",
                             .family = "",
                             .dtype = "",
                             .licence = "",
                             .origin = "",
                             .activation = "",
                             .truncation = "",
                             .pooling = ""};
    const qn_model_info *known = NULL;
    qn_error ignored;
    if (qn_models_info(l->q->models, name, &known, NULL, &ignored) == QN_OK)
        fill_info(known, name, path, &info);
    return l->each(l->ctx, &info);
}

qn_status quern_model_list(quern *q,
                           bool (*each)(void *ctx, const quern_model_info *info),
                           void *ctx, qn_error *err)
{
    listing l = {q, each, ctx};
    return qn_models_list(q->models, list_one, &l, err);
}

qn_status quern_model_info_get(quern *q, const char *name, quern_model_info *out,
                               qn_error *err)
{
    const qn_model_info *info = NULL;
    const char *path = NULL;
    *out = (quern_model_info){0};
    QN_TRY(qn_models_info(q->models, name, &info, &path, err));
    fill_info(info, info->name, path, out);
    return QN_OK;
}

qn_status quern_model_verify(quern *q, const char *name, qn_error *err)
{
    qn_buf path;
    qn_buf_init(&path, q->alloc);
    qn_model *model = NULL;
    qn_status st = qn_models_path(q->models, name, &path, err);
    const qn_model_info *info = NULL;
    if (st == QN_OK && path.n == 0)
        st = qn_models_info(q->models, name, &info, NULL,
                            err); /* says which there are */
    else if (st == QN_OK)
        st = qn_model_open(q->alloc, path.p, NULL, &model, err);
    if (path.n != 0) qn_model_close(model);
    qn_buf_deinit(&path);
    return st;
}

qn_status quern_model_remove(quern *q, const char *name, qn_error *err)
{
    if (q->read_only)
        return qn_fail(err, QN_EREADONLY, "the data folder is open read-only");
    qn_buf path;
    qn_buf_init(&path, q->alloc);
    qn_status st = qn_models_new_path(q->models, name, &path, err);
    if (st == QN_OK && !qn_file_exists(path.p)) {
        const qn_model_info *info = NULL;
        st = qn_models_info(q->models, name, &info, NULL, err);
        if (st == QN_OK)
            st = qn_fail(err, QN_EINVAL,
                         "the model [%s] is shipped with the program, not in the data "
                         "folder",
                         name);
    } else if (st == QN_OK) {
        /* First the file: a call that comes now must not open it again. */
        st = qn_file_remove(path.p, err);
        if (st == QN_OK) st = qn_models_forget_copies(q->models, name, err);
    }
    qn_buf_deinit(&path);
    return st;
}

/* What a smaller type did, for a person. */
static void print_summary(qn_json_writer *w, qn_model_dtype dtype,
                          const qn_import_report *r)
{
    char text[400];
    const char *score = r->task == QN_MODEL_RERANK ? "a logit" : "a score of two texts";
    (void)snprintf(
        text, sizeof text,
        "Against f32, over %zu built-in pairs: %s moves by %.2g on average "
        "and %.2g at most, where scores spread by %.2g; orders of %zu "
        "questions agree to %.3f (Kendall's tau, 1: nothing changed places). "
        "%zu of %zu products, %.2g %% of the arithmetic, stay in %s.",
        r->samples, score, r->score_change_mean, r->score_change_max, r->score_spread,
        r->rankings, r->tau_mean, r->products_finer, r->products,
        100.0 * r->finer_share, dtype == QN_MODEL_INT8 ? "bf16" : "f32");
    qn_json_member_str(w, "summary", text);
}

static void print_report(qn_json_writer *w, const char *name, qn_model_dtype dtype,
                         const qn_import_report *r)
{
    qn_json_begin_object(w);
    qn_json_member_str(w, "name", name);
    qn_json_member_str(w, "task", qn_model_task_name(r->task));
    qn_json_member_str(w, "dtype", qn_model_dtype_name(dtype));
    qn_json_member_int(w, "tensors", (int64_t)r->tensors);
    qn_json_member_int(w, "ignored", (int64_t)r->ignored);
    qn_json_member_int(w, "parameters", (int64_t)r->parameters);
    qn_json_member_int(w, "source_bytes", (int64_t)r->source_bytes);
    qn_json_member_int(w, "output_bytes", (int64_t)r->output_bytes);
    qn_json_member_int(w, "samples", (int64_t)r->samples);
    if (r->samples != 0) {
        qn_json_member_int(w, "products", (int64_t)r->products);
        qn_json_member_int(w, "products_finer", (int64_t)r->products_finer);
        qn_json_member_double(w, "products_finer_share", r->finer_share);
        qn_json_member_double(w, "score_change_mean", r->score_change_mean);
        qn_json_member_double(w, "score_change_max", r->score_change_max);
        qn_json_member_double(w, "score_spread", r->score_spread);
        qn_json_member_int(w, "rankings", (int64_t)r->rankings);
        qn_json_member_double(w, "kendall_tau_mean", r->tau_mean);
        qn_json_member_double(w, "kendall_tau_min", r->tau_min);
        if (r->task != QN_MODEL_RERANK) {
            qn_json_member_double(w, "cosine_mean", r->cosine_mean);
            qn_json_member_double(w, "cosine_min", r->cosine_min);
        }
        print_summary(w, dtype, r);
    }
    qn_json_end_object(w);
}

qn_status quern_model_import(quern *q, const char *folder, const char *name,
                             const char *dtype, char **report, size_t *report_size,
                             qn_error *err)
{
    return quern_model_import_as(q, folder, name, dtype, NULL, report, report_size,
                                 err);
}

qn_status quern_model_import_as(quern *q, const char *folder, const char *name,
                                const char *dtype, const char *task, char **report,
                                size_t *report_size, qn_error *err)
{
    if (report != NULL) *report = NULL;
    if (q->read_only)
        return qn_fail(err, QN_EREADONLY, "the data folder is open read-only");
    qn_import_options options = {.name = name, .dtype = QN_MODEL_INT8};
    if (dtype != NULL && !qn_model_dtype_parse(qn_slice_of(dtype), &options.dtype))
        return qn_fail(err, QN_EINVAL, "dtype [%s]: known are f32, bf16, int8", dtype);
    options.task_given = task != NULL;
    if (task != NULL && !qn_model_task_parse(qn_slice_of(task), &options.task))
        return qn_fail(err, QN_EINVAL,
                       "task [%.64s]: known are embed, rerank, sparse, tokens", task);
    qn_buf path, json;
    qn_buf_init(&path, q->alloc);
    qn_buf_init(&json, q->alloc);
    qn_import_report r = {0};
    qn_status st = qn_models_new_path(q->models, name, &path, err);
    if (st == QN_OK) st = qn_import_run(q->alloc, folder, path.p, &options, &r, err);
    if (st == QN_OK) qn_models_forget(q->models, name);
    if (st == QN_OK && report != NULL) {
        qn_json_writer w;
        qn_json_writer_init(&w, &json, false);
        print_report(&w, name, options.dtype, &r);
        *report = qn_buf_take(&json, report_size);
        if (*report == NULL) st = qn_fail(err, QN_ENOMEM, "report");
    }
    qn_buf_deinit(&path);
    qn_buf_deinit(&json);
    return st;
}

/* ---- running -----------------------------------------------------------------------------
 */

/* The conversion costs one array a call; a call runs a model. */
static qn_slice *as_slices(quern *q, const quern_text *texts, size_t count)
{
    qn_slice *s = qn_new_array(q->alloc, count + 1, sizeof *s);
    for (size_t i = 0; s != NULL && i < count; i++)
        s[i] = (qn_slice){texts[i].text, texts[i].size};
    return s;
}

static qn_status rerank_options(const quern_rerank_options *given,
                                quern_rerank_options *o, qn_rerank_options *out,
                                qn_error *err)
{
    *o = (quern_rerank_options)QUERN_RERANK_OPTIONS_INIT;
    if (given != NULL) {
        if (given->size > sizeof *o)
            return qn_fail(err, QN_EINVAL, "quern_rerank_options of a newer version");
        memcpy(o, given, given->size);
    }
    out->max_tokens = o->tokens_max;
    out->logits = o->logits;
    out->query_tokens_max = o->query_tokens_max;
    out->doc_tokens_max = o->document_tokens_max;
    out->specials_are_text = o->plain_special_tokens;
    out->whole = o->whole;
    out->keep_ends = o->keep_ends;
    out->single = o->single;
    if (o->priority != QUERN_PRIORITY_INTERACTIVE && o->priority != QUERN_PRIORITY_BULK)
        return qn_fail(err, QN_EINVAL, "priority %d is none", (int)o->priority);
    if (o->truncation == NULL) return QN_OK;
    out->truncation_given = true;
    if (qn_truncation_parse(qn_slice_of(o->truncation), &out->truncation)) return QN_OK;
    return qn_fail(err, QN_EINVAL,
                   "truncation [%s]: known are balanced, longest_first, only_second, "
                   "none",
                   o->truncation);
}

/* How documents are cut, and what is made of their passages. */
static qn_status passage_options(const quern_rerank_options *o, qn_arena *arena,
                                 qn_passage_options *out, qn_error *err)
{
    *out = (qn_passage_options){
        .most = o->passages_max, .best_by_words = o->passages_best, .top = o->join_top};
    if (o->join != NULL && !qn_passage_join_parse(qn_slice_of(o->join), &out->join))
        return qn_fail(err, QN_EINVAL, "join [%s]: known are max, first, mean, sum",
                       o->join);
    if (o->chunking == NULL) return QN_OK;
    return qn_chunk_settings_parse(qn_slice_of(o->chunking), arena, &out->chunking,
                                   err);
}

static quern_rerank_score told(const qn_passage_score *s)
{
    return (quern_rerank_score){
        .scored = s->scored,
        .logit = s->logit,
        .score = s->scored ? qn_rerank_score(s->logit) : 0,
        .tokens = s->tokens,
        .truncated = s->truncated,
        .passage_start = s->start,
        .passage_end = s->end,
        .passage = s->passage,
        .passages = s->passages,
    };
}

static qn_status rerank(quern *q, const quern_rerank_options *o, qn_passage_job *job,
                        const quern_text *documents, size_t count,
                        quern_rerank_score *scores, size_t *scored, qn_arena *arena,
                        qn_error *err)
{
    qn_passage_options options;
    QN_TRY(passage_options(o, arena, &options, err));
    qn_slice *slices = as_slices(q, documents, count);
    qn_passage_score *found = qn_new_array(q->alloc, count + 1, sizeof *found);
    qn_status st =
        slices == NULL || found == NULL ? qn_fail(err, QN_ENOMEM, "rerank") : QN_OK;
    job->options = &options;
    if (st == QN_OK) st = qn_passages_score(job, slices, count, found, scored, err);
    if (st == QN_OK && qn_deadline_cancelled(job->how.deadline))
        st = qn_fail(err, QN_ECANCELLED, "the call was cancelled");
    for (size_t i = 0; st == QN_OK && i < count; i++) scores[i] = told(&found[i]);
    qn_delete(q->alloc, slices);
    qn_delete(q->alloc, found);
    return st;
}

qn_status quern_rerank(quern *q, const quern_rerank_options *given, quern_text query,
                       const quern_text *documents, size_t count,
                       quern_rerank_score *scores, size_t *scored, qn_error *err)
{
    quern_rerank_options o;
    size_t ignored = 0;
    if (scored == NULL) scored = &ignored;
    *scored = 0;
    qn_passage_job job = {.q = q, .query = {query.text, query.size}};
    QN_TRY(rerank_options(given, &o, &job.how, err));
    qn_deadline deadline = {.cancelled = o.cancel};
    if (o.timeout_ms > 0) deadline = qn_deadline_in_ms(o.timeout_ms, o.cancel);
    job.how.deadline = &deadline;
    qn_status st = qn_models_get_by(q->models, o.model, QN_MODEL_RERANK, &deadline,
                                    &job.model, err);
    if (st == QN_ETIMEOUT && !o.whole) {
        /* Not open in time: nothing is scored, as with any other lack of time. */
        for (size_t i = 0; i < count; i++) scores[i] = (quern_rerank_score){0};
        return QN_OK;
    }
    QN_TRY(st);
    qn_serving serving =
        qn_models_serving(q->models, job.model, (qn_priority)o.priority);
    job.how.serving = &serving;
    job.kept = !o.not_kept;
    qn_arena arena;
    qn_arena_init(&arena, q->alloc, 0);
    st = rerank(q, &o, &job, documents, count, scores, scored, &arena, err);
    qn_arena_deinit(&arena);
    qn_models_release(q->models, job.model);
    return st;
}

void quern_cache_stats_get(quern *q, quern_cache_stats *out)
{
    qn_score_cache_stats s = qn_score_cache_stats_get(q->scores);
    qn_token_cache_stats t = qn_token_cache_stats_get(q->tokens);
    size_t size = out->size < sizeof *out ? out->size : sizeof *out;
    const quern_cache_stats all = {
        .size = size,
        .score_hits = s.hits,
        .score_misses = s.misses,
        .score_entries = s.entries,
        .score_entries_max = s.capacity,
        .token_hits = t.hits,
        .token_misses = t.misses,
        .token_entries = t.entries,
        .token_bytes = t.bytes,
        .token_bytes_max = t.bytes_max,
    };
    memcpy(out, &all, size);
}

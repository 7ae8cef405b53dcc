/* SPDX-License-Identifier: Apache-2.0 */
/* search_neural.c -- the neural stages that the caller of a search names. */
#include "engine/search/search.h"

/* "small:100": a model's name and how many documents it reads. A colon that no number
 * follows belongs to the name. */
static qn_status read_model(qn_search *s, qn_slice part, qn_stage *stage, qn_error *err)
{
    size_t colon = part.n;
    int64_t keep = 0;
    part = qn_slice_trim(part);
    for (size_t i = 0; i < part.n; i++)
        if (part.p[i] == ':') colon = i;
    if (colon < part.n) {
        qn_slice number = {part.p + colon + 1, part.n - colon - 1};
        if (qn_slice_to_i64(number, &keep)) {
            if (keep < 1 || keep > QN_SEARCH_WORDS_WINDOW_MAX)
                return qn_fail(err, QN_EINVAL,
                               "rerank '%.*s': a model reads 1 to %d documents",
                               part.n > 100 ? 100 : (int)part.n, part.p,
                               QN_SEARCH_WORDS_WINDOW_MAX);
            part.n = colon;
        }
    }
    if (part.n == 0)
        return qn_fail(err, QN_EINVAL,
                       "rerank: MODEL[:DOCUMENTS][,MODEL[:DOCUMENTS]...] is expected");
    *stage = (qn_stage){.kind = QN_STAGE_NEURAL, .formula = QN_SLICE_LIT("")};
    stage->keep = (size_t)keep;
    stage->model = qn_arena_strndup(s->arena, part.p, part.n);
    return stage->model == NULL ? qn_fail(err, QN_ENOMEM, "rerank") : QN_OK;
}

/* "small:100,large:20" */
static qn_status read_models(qn_search *s, qn_slice text, qn_stage *stages,
                             size_t *count, qn_error *err)
{
    *count = 0;
    for (bool more = true; more;) {
        const char *comma = memchr(text.p, ',', text.n);
        qn_slice part = {text.p, comma == NULL ? text.n : (size_t)(comma - text.p)};
        more = comma != NULL;
        if (more) text = (qn_slice){comma + 1, text.n - part.n - 1};
        if (*count == QN_RANK_STAGES_MAX)
            return qn_fail(err, QN_ELIMIT, "rerank: at most %d models",
                           QN_RANK_STAGES_MAX);
        QN_TRY(read_model(s, part, &stages[(*count)++], err));
    }
    return QN_OK;
}

static qn_status caller_stages(qn_search *s, const qn_stage **out, size_t *count,
                               qn_error *err)
{
    qn_slice text = qn_slice_trim(qn_slice_of(s->options.rerank));
    *out = NULL;
    if (text.n > 0 && (text.p[0] == '{' || text.p[0] == '['))
        return qn_pipeline_neural(text, s->arena, out, count, err);
    qn_stage *stages = qn_arena_array(s->arena, QN_RANK_STAGES_MAX, sizeof *stages);
    if (stages == NULL) return qn_fail(err, QN_ENOMEM, "rerank");
    *out = stages;
    return read_models(s, text, stages, count, err);
}

static qn_status passage_options(qn_search *s, qn_passage_options *out, qn_error *err)
{
    *out = (qn_passage_options){0};
    if (s->options.rerank_join != NULL &&
        !qn_passage_join_parse(qn_slice_of(s->options.rerank_join), &out->join))
        return qn_fail(err, QN_EINVAL, "join [%s]: known are max, first, mean, sum",
                       s->options.rerank_join);
    if (s->options.rerank_chunking == NULL) return QN_OK;
    return qn_chunk_settings_parse(qn_slice_of(s->options.rerank_chunking), s->arena,
                                   &out->chunking, err);
}

qn_status qn_search__rerank_read(qn_search *s, qn_error *err)
{
    const qn_stage *given = NULL;
    qn_passage_options passages;
    if (s->options.rerank == NULL) return QN_OK;
    QN_TRY(caller_stages(s, &given, &s->own_stage_count, err));
    QN_TRY(passage_options(s, &passages, err));
    qn_stage *own = qn_arena_array(s->arena, s->own_stage_count + 1, sizeof *own);
    if (own == NULL) return qn_fail(err, QN_ENOMEM, "rerank");
    for (size_t i = 0; i < s->own_stage_count; i++) {
        own[i] = given[i];
        if (own[i].keep == 0) own[i].keep = s->options.rerank_window;
        if (own[i].keep == 0) own[i].keep = QN_RANK_NEURAL_KEEP_DEFAULT;
        if (s->options.rerank_chunking != NULL || s->options.rerank_join != NULL)
            own[i].passages = passages;
    }
    s->own_stages = own;
    return QN_OK;
}

/* rerank:small:100\,large:20, rerank_budget:800, rerank_chunking:sentence:100 */
qn_status qn_search__rerank_ha3(qn_search *s, const qn_request *r, qn_error *err)
{
    const qn_kvpair *rerank = qn_request_kvpair(r, "rerank");
    const qn_kvpair *budget = qn_request_kvpair(r, "rerank_budget");
    const qn_kvpair *chunking = qn_request_kvpair(r, "rerank_chunking");
    if (s->options.rerank != NULL || rerank == NULL) return QN_OK;
    s->options.rerank = qn_arena_strndup(s->arena, rerank->value.p, rerank->value.n);
    if (s->options.rerank == NULL) return qn_fail(err, QN_ENOMEM, "rerank");
    if (chunking != NULL) {
        s->options.rerank_chunking =
            qn_arena_strndup(s->arena, chunking->value.p, chunking->value.n);
        if (s->options.rerank_chunking == NULL)
            return qn_fail(err, QN_ENOMEM, "rerank");
    }
    if (budget != NULL &&
        (!qn_slice_to_i64(budget->value, &s->options.rerank_budget_ms) ||
         s->options.rerank_budget_ms < 1))
        return qn_fail(err, QN_EINVAL,
                       "kvpairs: rerank_budget is a number of milliseconds, not '%.*s'",
                       budget->value.n > 60 ? 60 : (int)budget->value.n,
                       budget->value.p);
    return qn_search__rerank_read(s, err);
}

/* Of a pipeline's own models too. */
static qn_status set_passages(qn_search *s, qn_error *err)
{
    qn_passage_options passages;
    if (s->options.rerank_chunking == NULL && s->options.rerank_join == NULL)
        return QN_OK;
    QN_TRY(passage_options(s, &passages, err));
    for (size_t i = 0; i < s->stage_count; i++)
        if (s->stages[i].kind == QN_STAGE_NEURAL) s->stages[i].passages = passages;
    return QN_OK;
}

qn_status qn_search__rerank(qn_search *s, qn_error *err)
{
    size_t count = s->own_stage_count;
    if (s->options.rerank_budget_ms > 0)
        s->neural_budget_ms = s->options.rerank_budget_ms;
    if (s->options.rerank == NULL) return set_passages(s, err);
    while (s->stage_count > 0 && s->stages[s->stage_count - 1].kind == QN_STAGE_NEURAL)
        s->stage_count--;
    if (s->stage_count + count > QN_RANK_STAGES_MAX)
        return qn_fail(err, QN_ELIMIT, "a pipeline has at most %d stages",
                       QN_RANK_STAGES_MAX);
    for (size_t i = 0; i < count; i++) s->stages[s->stage_count++] = s->own_stages[i];
    return QN_OK;
}

/* ---- retrievers ------------------------------------------------------------------------ */

/* The model behind an inference endpoint; it is looked for even where nothing is found. */
static qn_status endpoint_model(qn_search *s, const qn_retriever *r, const char **out,
                                qn_error *err)
{
    const char *name = qn_arena_strndup(s->arena, r->inference_id.p, r->inference_id.n);
    if (name == NULL) return qn_fail(err, QN_ENOMEM, "retriever");
    if (s->options.model_of != NULL)
        name = s->options.model_of(s->options.model_of_ctx, name);
    if (strcmp(name, ".rerank-v1-elasticsearch") == 0) name = "";
    *out = name[0] == 0 ? NULL : name;
    qn_model *model = NULL;
    qn_error why = {.at = QN_AT_NONE};
    qn_status st = qn_models_get_by(s->q->models, *out, QN_MODEL_RERANK, &s->deadline,
                                    &model, &why);
    qn_models_release(s->q->models, model);
    /* One that is still being opened is there. */
    if (st == QN_OK || st == QN_ETIMEOUT || r->allow_failures) return QN_OK;
    if (st == QN_ENOMODEL)
        return qn_fail(err, st, "Inference endpoint not found [%.*s]",
                       r->inference_id.n == 0 ? 24 : (int)r->inference_id.n,
                       r->inference_id.n == 0 ? ".rerank-v1-elasticsearch"
                                              : r->inference_id.p);
    if (err != NULL) *err = why;
    return st;
}

/* A retriever's own chunk_rescorer goes before what its endpoint says. */
static qn_status endpoint_passages(qn_search *s, const qn_retriever *r,
                                   qn_passage_options *out, qn_error *err)
{
    uint32_t most = 0;
    const char *id = qn_arena_strndup(s->arena, r->inference_id.p, r->inference_id.n);
    *out =
        (qn_passage_options){.chunking = r->chunking, .best_by_words = r->best_chunks};
    if (id == NULL) return qn_fail(err, QN_ENOMEM, "retriever");
    if (r->best_chunks > 0 || s->options.chunking_of == NULL) return QN_OK;
    const char *text = s->options.chunking_of(s->options.model_of_ctx, id, &most);
    if (text == NULL) return QN_OK;
    out->most = most;
    return qn_chunk_settings_parse(qn_slice_of(text), s->arena, &out->chunking, err);
}

static qn_status retriever_stage(qn_search *s, const qn_retriever *r, qn_stage *stage,
                                 qn_error *err)
{
    qn_slice *field = qn_arena_array(s->arena, 1, sizeof *field);
    if (field == NULL) return qn_fail(err, QN_ENOMEM, "retriever");
    *field = r->field;
    *stage = (qn_stage){
        .kind = QN_STAGE_NEURAL,
        .formula = QN_SLICE_LIT(""),
        .keep = r->window,
        .query = r->inference_text.p,
        .query_size = r->inference_text.n,
        .fields = field,
        .field_count = 1,
        .retriever = true,
        .has_min_score = r->has_min_score,
        .min_score = r->min_score,
        .may_fail = r->allow_failures,
    };
    QN_TRY(endpoint_passages(s, r, &stage->passages, err));
    return endpoint_model(s, r, &stage->model, err);
}

qn_status qn_search__retrievers(qn_search *s, const qn_retriever *r, qn_error *err)
{
    size_t n = 0;
    for (const qn_retriever *it = r; it != NULL; it = it->child)
        n += it->kind == QN_RETRIEVER_RERANKER;
    if (s->stage_count + n > QN_RANK_STAGES_MAX)
        return qn_fail(err, QN_ELIMIT, "a pipeline has at most %d stages",
                       QN_RANK_STAGES_MAX);
    size_t at = s->stage_count += n;
    for (; r != NULL && r->kind == QN_RETRIEVER_RERANKER; r = r->child)
        QN_TRY(retriever_stage(s, r, &s->stages[--at], err));
    return QN_OK;
}

bool qn_search__counts_ranked(const qn_search *s)
{
    for (size_t i = 0; i < s->stage_count; i++)
        if (s->stages[i].has_min_score) return true;
    return false;
}

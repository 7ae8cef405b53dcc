/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/search/search.h"

#include "engine/table/damage.h"
#include "engine/control/plugins.h"
#include "engine/control/rank_policies.h"
#include "engine/search/search_analysis.h"

#include "nn/calls/embed.h"
#include "query/sort.h"

/* ---- embedding queries ---------------------------------------------------------------------
 */

static qn_status embed_query(void *ctx, const qn_field *field, const char *model_name,
                             qn_slice text, float *out, qn_error *err)
{
    qn_search *s = ctx;
    qn_model *model = NULL;
    if (model_name != NULL && s->options.model_of != NULL)
        model_name = s->options.model_of(s->options.model_of_ctx, model_name);
    if (model_name == NULL) model_name = field->model;
    if (model_name == NULL)
        return qn_fail(err, QN_ENOMODEL,
                       "[%.*s] has no quern_model, so a text cannot be searched in it; "
                       "give a vector",
                       QN_SLICE_ARG(field->name));
    QN_TRY(qn_models_get_by(s->q->models, model_name, QN_MODEL_EMBED, &s->deadline,
                            &model, err));
    qn_serving serving =
        qn_models_serving(s->q->models, model, QN_PRIORITY_INTERACTIVE);
    serving.always = true;
    qn_embed_options options = {
        .deadline = &s->deadline, .serving = &serving, .role = QN_TEXT_QUERY};
    uint32_t dims = qn_model_describe(model)->dims;
    qn_status st =
        dims == field->dims
            ? qn_embed_run(model, &text, 1, &options, out, NULL, err)
            : qn_fail(err, QN_EDIMS, "[%.*s] has %u dims, the model %s makes %u",
                      QN_SLICE_ARG(field->name), field->dims, model_name, dims);
    qn_models_release(s->q->models, model);
    return st;
}

/* ---- front ends -----------------------------------------------------------------------------
 */

static qn_status one_path(qn_search *s, const qn_request *r, const char *name)
{
    s->request = *r;
    s->from = s->options.from < 0 ? r->from : (size_t)s->options.from;
    s->size = s->options.hits < 0 ? r->size : (size_t)s->options.hits;
    s->wanted = s->from + s->size;
    s->fusion = QN_FUSION_SUM;
    s->paths[0] = (qn_rank_path){
        .name = name, .query = r->query, .found = &s->found[0], .weight = 1.0f};
    s->path_count = 1;
    return QN_OK;
}

static qn_status read_ha3(qn_search *s, qn_error *err)
{
    const qn_request *r = NULL;
    const qn_stage *stages = NULL;
    QN_TRY(qn_ha3_parse(s->arena, &s->env, s->text, &r, err));
    qn_request resolved = *r;
    r = &resolved;
    QN_TRY(qn_search__rerank_ha3(s, r, err));
    QN_TRY(qn_search__plugin_ha3(s, &resolved, err));
    QN_TRY(qn_rank_policies_resolve(s->q->control, s->table, s->arena, &resolved,
                                    &s->policy_warning, err));
    QN_TRY(qn_rank_stages_ha3(r, s->arena, &stages, &s->stage_count, err));
    for (size_t i = 0; i < s->stage_count; i++) {
        s->stages[i] = stages[i];
        if (stages[i].kind == QN_STAGE_FINE) s->stages[i].plugin = s->ha3_plugin;
    }
    s->scale = QN_RANK_HA3;
    QN_TRY(one_path(s, r, "query"));
    if (r->fetch_count > 0) s->path_count = 0;
    return r->layer_count == 0 ? QN_OK
                               : qn_search__layer_query(s, &s->paths[0].query, err);
}

static qn_status read_dsl(qn_search *s, qn_error *err)
{
    const qn_request *r = NULL;
    const qn_json *body = NULL;
    if (qn_slice_trim(s->text).n != 0) {
        if (s->text.n > QN_QUERY_BODY_MAX)
            return qn_fail(err, QN_ELIMIT, "a search body of %zu bytes, at most %d",
                           s->text.n, QN_QUERY_BODY_MAX);
        QN_TRY(qn_json_parse(s->arena, s->text, &body, err));
    }
    QN_TRY(qn_dsl_parse(s->arena, &s->env, s->text, body, NULL, &r, err));
    s->scale = QN_RANK_PLAIN;
    QN_TRY(qn_search__retrievers(s, r->retriever, err));
    return one_path(s, r, "query");
}

static bool by_score_only(const qn_request *r)
{
    return r->sort_count == 0 ||
           (r->sort_count == 1 && r->sort[0].kind == QN_SORT_SCORE &&
            r->sort[0].descending);
}

static bool needs_scores(const qn_request *r)
{
    if (r->sort_count == 0 || r->has_min_score || r->explain) return true;
    for (size_t i = 0; i < r->sort_count; i++)
        if (r->sort[i].kind == QN_SORT_SCORE) return true;
    return false;
}

/* The executor itself can choose the best by keys when no stage scores them anew. */
static bool sorts_in_recall(const qn_search *s)
{
    const qn_request *r = &s->request;
    return !s->all_rows && s->stage_count == 0 && s->path_count == 1 &&
           r->distinct_count == 0 && (r->after != NULL || !by_score_only(r)) &&
           qn_sort_applies(r->sort, r->sort_count);
}

/* Of one path without formulas only the best can matter. */
static size_t depth_of(const qn_search *s)
{
    if (sorts_in_recall(s)) return s->wanted == 0 ? 1 : s->wanted;
    if (s->all_rows || !by_score_only(&s->request) || s->request.distinct_count > 0)
        return 0;
    size_t depth = s->wanted;
    for (size_t i = 0; i < s->stage_count; i++) {
        if (s->stages[i].kind != QN_STAGE_NEURAL) return 0;
        if (s->stages[i].keep > depth) depth = s->stages[i].keep;
    }
    return depth == 0 ? 1 : depth;
}

static qn_status read_query(qn_search *s, qn_error *err)
{
    QN_TRY(qn_search__rerank_read(s, err));
    switch (s->options.kind) {
    case QUERN_QUERY_WORDS:
        QN_TRY(qn_search__words(s, err));
        QN_TRY(qn_search__rerank(s, err));
        return qn_search__plugin_stages(s, err);
    case QUERN_QUERY_HA3:
        QN_TRY(read_ha3(s, err));
        break;
    case QUERN_QUERY_DSL:
        QN_TRY(read_dsl(s, err));
        break;
    }
    QN_TRY(qn_search__rerank(s, err));
    QN_TRY(qn_search__plugin_stages(s, err));
    if (s->request.after != NULL && s->stage_count > 0)
        return qn_fail(err, QN_EUNSUPPORTED,
                       "[search_after] cannot be used where results are reranked");
    QN_TRY(qn_search__distinct(s, err));
    s->top_n[0] = depth_of(s);
    return QN_OK;
}

/* ---- recall --------------------------------------------------------------------------------
 */

qn_exec_options qn_search__exec_options(const qn_search *s, size_t i)
{
    const qn_request *r = &s->request;
    bool hidden = s->wanted == 0 || s->options.count_only;
    bool count_only = hidden && !qn_search__counts_thinned(s);
    bool sorted = !count_only && sorts_in_recall(s);
    return (qn_exec_options){
        .sort = sorted ? r->sort : NULL,
        .sort_count = sorted ? r->sort_count : 0,
        .after = sorted ? r->after : NULL,
        .score_scale = r->score_scale,
        .vector_in_score = r->vector_in_score,
        .no_scores = count_only || !needs_scores(r),
        .top_n = count_only ? 1 : s->top_n[i],
        .total_limit = r->track_total == QN_TOTAL_EXACT ? 0
                       : r->track_total == 0            ? 1 /* not told: stop early */
                                                        : r->track_total,
        .has_min_score = r->has_min_score,
        .min_score = r->min_score,
        .filter = s->filter == NULL ? NULL : qn_rank_filter_run,
        .filter_ctx = s->filter,
        .deadline = &s->deadline,
        .pool = s->q->search_pool,
    };
}

static qn_status recall(qn_search *s, qn_error *err)
{
    int64_t began = qn_clock_mono_ns();
    const qn_query *best = NULL;
    size_t top_n = 0;
    QN_TRY(qn_search__prune(s, &best, &top_n, err));
    s->pruned = best != NULL;
    for (size_t i = 0; i < s->path_count; i++) {
        qn_exec_options o = s->pruned ? qn_search__prune_options(s, top_n)
                                      : qn_search__exec_options(s, i);
        const qn_query *query = s->pruned ? best : s->paths[i].query;
        if (s->request.layer_count > 0)
            QN_TRY(qn_search__layers(s, &s->found[i], err));
        else
            QN_TRY(qn_query_execute(&s->snapshot->view, query, &o, s->arena,
                                    &s->found[i], err));
        s->timed_out = s->timed_out || s->found[i].timed_out;
    }
    s->input.recall_is_rough = s->pruned;
    s->input.pruned = s->pruned && s->found[0].count == top_n;
    if (s->input.pruned) s->input.rough_bound = qn_search__prune_bound(s);
    /* Of several paths the text path's total is what matched; vectors add their few. */
    s->total = s->found[0].total;
    s->total_exact = s->found[0].total_exact;
    for (size_t i = 1; i < s->path_count; i++)
        if (s->found[i].total > s->total) s->total = s->found[i].total;
    s->recall_ms += (double)(qn_clock_mono_ns() - began) / 1e6;
    if (qn_deadline_cancelled(&s->deadline))
        return qn_fail(err, QN_ECANCELLED, "the search was cancelled");
    return QN_OK;
}

/* Of a time that was given, what is left after waiting before the search began. */
static int64_t left_of(const qn_search *s, int64_t ms)
{
    int64_t waited = s->options.waited_ms > 0 ? s->options.waited_ms : 0;
    return ms > waited ? ms - waited : 1;
}

static void fill_input(qn_search *s)
{
    const qn_request *r = &s->request;
    s->neural = (qn_neural_job){
        .q = s->q,
        .snapshot = s->snapshot,
        .fields = s->neural_fields,
        .field_count = s->neural_field_count,
        .tokens_max = s->neural_tokens,
        .arena = s->arena,
    };
    s->input = (qn_rank_input){
        .snapshot = &s->snapshot->view,
        .paths = s->paths,
        .path_count = s->path_count,
        .fusion = s->fusion,
        .score_scale = r->score_scale,
        .stages = s->stages,
        .stage_count = s->stage_count,
        .scale = s->scale,
        .sort = r->sort,
        .sort_count = r->sort_count,
        .rank_size = s->scale == QN_RANK_HA3 ? r->rank_size : 0,
        .wanted = s->all_rows ? s->snapshot->view.doc_count : s->wanted,
        .categories = s->categories,
        .category_count = s->category_count,
        .kvpairs = r->kvpairs,
        .kvpair_count = r->kvpair_count,
        .virtual_attributes = r->virtual_attributes,
        .virtual_attribute_count = r->virtual_attribute_count,
        .distincts = r->distincts,
        .distinct_count = r->distinct_count,
        .now_ms = s->now_ms,
        .seed = (uint64_t)s->now_ms,
        .trace = s->options.explain || r->explain ? QN_TRACE_ALL
                                                  : qn_trace_level_of(r->rank_trace),
        .watched = &s->watched,
        .watched_count = s->watches ? 1 : 0,
        .neural = qn_neural_score,
        .neural_ctx = &s->neural,
        .neural_budget_ms =
            s->neural_budget_ms > 0 ? left_of(s, s->neural_budget_ms) : 0,
        .length = qn_search__length,
        .length_ctx = s,
        .deadline = &s->deadline,
        .code = s->q->code,
    };
}

qn_status qn_search__run(qn_search *s, qn_error *err)
{
    QN_TRY(qn_search__analysis_begin(s, err));
    QN_TRY(read_query(s, err));
    if (s->options.defer_plugins && s->plugin_count > 0)
        return qn_fail(err, QN_EDEFERRED, "a plug-in would score");
    QN_TRY(qn_search__analysis_categories(s, err));
    if (s->options.timeout_ms <= 0 && s->request.timeout_ms != 0)
        s->deadline = qn_deadline_in_ms(left_of(s, (int64_t)s->request.timeout_ms),
                                        s->options.cancel);
    fill_input(s);
    QN_TRY(qn_search__check_attributes(s, err));
    if (s->request.fetch_count > 0) return qn_search__fetch(s, err);
    QN_TRY(qn_search__neural_text(s, &s->neural.query, err));
    if (s->request.filter.n != 0) {
        qn_status st = qn_rank_filter_open(&s->input, s->arena, s->request.filter,
                                           &s->filter, err);
        /* Places in the filter become places in the request. */
        if (st != QN_OK && err != NULL && err->at != QN_AT_NONE)
            err->at += s->request.filter_at;
        if (st != QN_OK) return st;
    }
    bool again = true;
    while (again) {
        QN_TRY(recall(s, err));
        QN_TRY(qn_search__analysis_again(s, &again, err));
    }
    QN_TRY(qn_search__facets(s, err));
    if (s->recall_only) return QN_OK;
    bool hidden = s->wanted == 0 || s->options.count_only;
    if (hidden && !qn_search__counts_thinned(s)) return QN_OK;
    QN_TRY(qn_rank_run(&s->input, s->arena, &s->ranked, err));
    if (s->ranked.unsure) { /* too many of nearly one score; or text scores are asked */
        s->unpruned = true;
        QN_TRY(recall(s, err));
        QN_TRY(qn_rank_run(&s->input, s->arena, &s->ranked, err));
    }
    s->total -= s->ranked.dropped < s->total ? s->ranked.dropped : s->total;
    if (qn_search__counts_ranked(s)) s->total = s->ranked.count;
    if (hidden) s->ranked.count = 0;
    return QN_OK;
}

/* ---- the public calls ------------------------------------------------------------------------
 */

qn_status qn_search__begin(quern *q, const char *table,
                           const quern_search_options *options, qn_search *s,
                           qn_reply_box **box, qn_error *err)
{
    *s = (qn_search){.q = q, .table = table, .began_ns = qn_clock_mono_ns()};
    *box = NULL;
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    if (options == NULL || options->size > sizeof o)
        return qn_fail(err, QN_EINVAL, "quern_search_options of a newer version");
    memcpy(&o, options, options->size);
    s->options = o;
    s->text = (qn_slice){o.query == NULL ? "" : o.query, o.query_size};
    s->now_ms = qn_clock_wall_ms();
    s->deadline = qn_deadline_in_ms(
        left_of(s, o.timeout_ms > 0 ? o.timeout_ms : QN_SEARCH_TIMEOUT_MS), o.cancel);
    qn_table *t = NULL;
    QN_TRY(qn_engine_table(q, table, &t, err));
    s->snapshot = qn_table_search(t);
    qn_table_release(t);
    qn_reply_box *b = qn_new0(q->alloc, sizeof *b);
    if (b == NULL) {
        qn_table_snapshot_release(s->snapshot);
        return qn_fail(err, QN_ENOMEM, "search");
    }
    b->alloc = q->alloc;
    qn_arena_init(&b->arena, q->alloc, 0);
    s->arena = &b->arena;
    s->env = (qn_query_env){
        .schema = s->snapshot->view.schema,
        .sort_ascending = s->q->ha3_sort_ascending,
        .analyzers = q->analyzers,
        .now_ms = s->now_ms,
        .embed = embed_query,
        .embed_ctx = s,
    };
    *box = b;
    return QN_OK;
}

void qn_search__end(qn_search *s)
{
    qn_search__analysis_end(s);
    qn_search__plugin_end(s);
    qn_rank_filter_close(s->filter);
    qn_table_snapshot_release(s->snapshot);
}

static qn_status search_once(quern *q, const char *table,
                             const quern_search_options *options, quern_reply **out,
                             qn_error *err)
{
    qn_search s;
    qn_reply_box *box = NULL;
    QN_TRY(qn_search__begin(q, table, options, &s, &box, err));
    qn_status st = qn_search__run(&s, err);
    if (st == QN_OK) {
        size_t first = s.from < s.ranked.count ? s.from : s.ranked.count;
        size_t count = s.ranked.count - first;
        if (count > s.size) count = s.size;
        st = qn_search__reply(&s, first, count, &box->reply, err);
    }
    qn_search__end(&s);
    if (st == QN_OK)
        *out = &box->reply;
    else
        quern_reply_free(&box->reply);
    return st;
}

/* A search that meets a damaged segment has it left out and begins again: as often as there
 * are segments. */
qn_status quern_search(quern *q, const char *table, const quern_search_options *options,
                       quern_reply **out, qn_error *err)
{
    qn_error why = {.at = QN_AT_NONE};
    *out = NULL;
    for (;;) {
        qn_status st = search_once(q, table, options, out, &why);
        if (st == QN_OK) return QN_OK;
        if (err != NULL) *err = why;
        qn_table *t = NULL;
        if (st != QN_ECORRUPT || qn_engine_table(q, table, &t, NULL) != QN_OK)
            return st;
        bool again = qn_damage_leave_out(t, &why);
        qn_table_release(t);
        if (!again) return st;
    }
}

qn_status qn_search__find(const qn_search *s, qn_slice id, qn_rank_place *out,
                          qn_error *err)
{
    for (size_t seg = 0; seg < s->snapshot->view.segment_count; seg++) {
        uint32_t doc = QN_DOC_END;
        QN_TRY(qn_segment_find(s->snapshot->segments[seg]->segment, id, &doc, err));
        if (doc == QN_DOC_END) continue;
        if (qn_segment_view_is_deleted(&s->snapshot->views[seg], doc)) continue;
        *out = (qn_rank_place){(uint32_t)seg, doc};
        return QN_OK;
    }
    return qn_fail(err, QN_ENODOC, "[%.*s]: document missing", QN_SLICE_ARG(id));
}

/* Its place among the ranked ones; SIZE_MAX when it is not there. */
static size_t place_of(const qn_search *s, const qn_rank_place *p)
{
    for (size_t i = 0; i < s->ranked.count; i++)
        if (s->ranked.docs[i].segment == p->segment && s->ranked.docs[i].doc == p->doc)
            return i;
    return SIZE_MAX;
}

/* A reply without a hit says why. */
static qn_status say_not_recalled(const qn_search *s, qn_slice id, quern_reply *reply,
                                  qn_error *err)
{
    const char *text = qn_arena_printf(
        s->arena, "[%.*s] is not recalled: it does not match the query%s\n%.*s",
        QN_SLICE_ARG(id),
        s->request.filter.n > 0 ? ", or the filter clause keeps it out" : "",
        (int)reply->trace_size, reply->trace == NULL ? "" : reply->trace);
    if (text == NULL) return qn_fail(err, QN_ENOMEM, "explanation");
    reply->trace = text;
    reply->trace_size = strlen(text);
    return QN_OK;
}

static qn_status explain(qn_search *s, qn_slice id, quern_reply *reply, qn_error *err)
{
    QN_TRY(qn_search__find(s, id, &s->watched, err));
    s->watches = true;
    QN_TRY(qn_search__run(s, err));
    size_t place = place_of(s, &s->watched);
    if (place != SIZE_MAX) return qn_search__reply(s, place, 1, reply, err);
    QN_TRY(qn_search__reply(s, 0, 0, reply, err));
    return say_not_recalled(s, id, reply, err);
}

qn_status quern_explain(quern *q, const char *table, const char *id, size_t id_size,
                        const quern_search_options *options, quern_reply **out,
                        qn_error *err)
{
    qn_search s;
    qn_reply_box *box = NULL;
    *out = NULL;
    QN_TRY(qn_search__begin(q, table, options, &s, &box, err));
    s.all_rows = true;
    s.options.explain = true;
    s.options.count_only = false;
    if (s.options.hits <= 0) s.options.hits = 1;
    if (s.options.from < 0) s.options.from = 0;
    qn_status st = explain(&s, (qn_slice){id, id_size}, &box->reply, err);
    qn_search__end(&s);
    if (st == QN_OK)
        *out = &box->reply;
    else
        quern_reply_free(&box->reply);
    return st;
}

void quern_reply_free(quern_reply *reply)
{
    if (reply == NULL) return;
    qn_reply_box *box = (qn_reply_box *)reply; /* the reply is its first member */
    qn_arena_deinit(&box->arena);
    qn_delete(box->alloc, box);
}

qn_status quern_ha3_table(quern *q, const char *request, size_t request_size,
                          char *name, size_t name_size, qn_error *err)
{
    qn_slice table = {0};
    QN_TRY(qn_ha3_table_of((qn_slice){request, request_size}, &table, err));
    if (table.n == 0 || qn_slice_eq_str(table, "general"))
        return quern_default_table(q, name, name_size, err);
    if (table.n >= name_size)
        return qn_fail(err, QN_EINVAL, "the name of the table does not fit");
    memcpy(name, table.p, table.n);
    name[table.n] = 0;
    return QN_OK;
}

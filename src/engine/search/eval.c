/* SPDX-License-Identifier: Apache-2.0 */
/* eval.c -- every query through every pipeline, against judgements.
 *
 * Queries without a judgement of their own are left out. A document counts with its
 * highest grade when it was judged twice. What a model said of a pair is in the score
 * cache, so a pair is scored once, whichever pipelines ask. */
#include "engine/engine_internal.h"
#include "rank/metrics.h"

#include <stdlib.h>

enum { DEPTH_DEFAULT = 100, METRICS_MAX = 32, PIPELINES_MAX = 32 };

typedef struct judged_query {
    const quern_eval_query *query;
    size_t first, count; /* judgements, after sorting by query */
} judged_query;

typedef struct eval_run {
    quern *q;
    const char *table;
    quern_eval_options o;
    qn_arena arena;
    qn_metric metrics[METRICS_MAX];
    judged_query *queries;
    size_t query_count;
    const quern_eval_judgement **judgements; /* sorted by query id */
    double *values, *per_query, *mean_ms;
    const char **query_ids;
    size_t done;
} eval_run;

typedef struct report_box {
    quern_eval_report report; /* first: the public pointer is the box's */
    qn_arena arena;
    qn_alloc *alloc;
} report_box;

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "evaluation");
}

/* ---- judgements --------------------------------------------------------------------------
 */

static int by_query(const void *a, const void *b)
{
    const quern_eval_judgement *const *x = a, *const *y = b;
    return strcmp((*x)->query_id, (*y)->query_id);
}

static bool find_judgements(const eval_run *r, const char *id, size_t *first,
                            size_t *count)
{
    size_t low = 0, high = r->o.judgement_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(r->judgements[middle]->query_id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *first = low;
    while (low < r->o.judgement_count && strcmp(r->judgements[low]->query_id, id) == 0)
        low++;
    *count = low - *first;
    return *count != 0;
}

static qn_status match_judgements(eval_run *r, qn_error *err)
{
    size_t n = r->o.judgement_count;
    r->judgements = qn_arena_array(&r->arena, n + 1, sizeof *r->judgements);
    r->queries = qn_arena_array(&r->arena, r->o.query_count + 1, sizeof *r->queries);
    if (r->judgements == NULL || r->queries == NULL) return no_memory(err);
    for (size_t i = 0; i < n; i++) r->judgements[i] = &r->o.judgements[i];
    qsort(r->judgements, n, sizeof *r->judgements, by_query);
    for (size_t i = 0; i < r->o.query_count; i++) {
        judged_query *j = &r->queries[r->query_count];
        j->query = &r->o.queries[i];
        if (find_judgements(r, j->query->id, &j->first, &j->count)) r->query_count++;
    }
    if (r->query_count != 0) return QN_OK;
    return qn_fail(err, QN_EINVAL, "none of the %zu queries has a judgement",
                   r->o.query_count);
}

/* ---- one query -----------------------------------------------------------------------------
 */

static qn_status grades_of(eval_run *r, const judged_query *j, qn_map *grades,
                           int **judged, size_t *judged_count, qn_error *err)
{
    *judged = qn_arena_array(&r->arena, j->count + 1, sizeof **judged);
    if (*judged == NULL) return no_memory(err);
    *judged_count = 0;
    for (size_t i = 0; i < j->count; i++) {
        const quern_eval_judgement *g = r->judgements[j->first + i];
        qn_slice id = qn_slice_of(g->document_id);
        uint64_t before = 0;
        int grade = g->grade < 0 ? 0 : g->grade;
        if (qn_map_get(grades, id, &before) && (int)before >= grade) continue;
        if (!qn_map_put(grades, id, (uint64_t)grade)) return no_memory(err);
    }
    size_t it = 0;
    qn_slice key;
    uint64_t grade;
    while (qn_map_next(grades, &it, &key, &grade))
        (*judged)[(*judged_count)++] = (int)grade;
    return QN_OK;
}

static qn_status run_query(eval_run *r, size_t pipeline, size_t query, qn_error *err)
{
    const judged_query *j = &r->queries[query];
    qn_map grades;
    qn_map_init(&grades, r->q->alloc);
    int *judged = NULL, *ranked = NULL;
    size_t judged_count = 0, n = 0;
    qn_status st = grades_of(r, j, &grades, &judged, &judged_count, err);
    quern_search_options s = QUERN_SEARCH_OPTIONS_INIT;
    s.kind = QUERN_QUERY_WORDS;
    s.query = j->query->text;
    s.query_size = j->query->text_size;
    s.pipeline = r->o.pipelines[pipeline];
    s.from = 0;
    s.hits = (int64_t)r->o.depth;
    s.cancel = r->o.cancel;
    s.no_source = true;
    quern_reply *reply = NULL;
    if (st == QN_OK) st = quern_search(r->q, r->table, &s, &reply, err);
    if (st == QN_OK) {
        n = reply->hit_count;
        ranked = qn_arena_array(&r->arena, n + 1, sizeof *ranked);
        if (ranked == NULL) st = no_memory(err);
    }
    for (size_t i = 0; i < n && st == QN_OK; i++) {
        uint64_t grade = 0;
        qn_slice id = {reply->hits[i].id, reply->hits[i].id_size};
        if (qn_map_get(&grades, id, &grade)) ranked[i] = (int)grade;
    }
    for (size_t m = 0; m < r->o.metric_count && st == QN_OK; m++) {
        size_t row = pipeline * r->o.metric_count + m;
        double v = qn_metric_compute(r->metrics[m], ranked, n, judged, judged_count);
        r->per_query[row * r->query_count + query] = v;
        r->values[row] += v / (double)r->query_count;
    }
    if (st == QN_OK) r->mean_ms[pipeline] += reply->took_ms / (double)r->query_count;
    quern_reply_free(reply);
    qn_map_deinit(&grades);
    return st;
}

/* ---- the whole -------------------------------------------------------------------------------
 */

static qn_status read_options(eval_run *r, const quern_eval_options *options,
                              qn_error *err)
{
    static const char *const default_pipelines[] = {"bm25"};
    static const char *const default_metrics[] = {"ndcg@10"};
    r->o = (quern_eval_options)QUERN_EVAL_OPTIONS_INIT;
    if (options == NULL || options->size > sizeof r->o)
        return qn_fail(err, QN_EINVAL, "quern_eval_options of a newer version");
    memcpy(&r->o, options, options->size);
    if (r->o.depth == 0) r->o.depth = DEPTH_DEFAULT;
    if (r->o.pipeline_count == 0) {
        r->o.pipelines = default_pipelines;
        r->o.pipeline_count = 1;
    }
    if (r->o.metric_count == 0) {
        r->o.metrics = default_metrics;
        r->o.metric_count = 1;
    }
    if (r->o.metric_count > METRICS_MAX || r->o.pipeline_count > PIPELINES_MAX)
        return qn_fail(err, QN_ELIMIT, "at most %d metrics and %d pipelines at a time",
                       METRICS_MAX, PIPELINES_MAX);
    for (size_t i = 0; i < r->o.metric_count; i++)
        QN_TRY(qn_metric_parse(qn_slice_of(r->o.metrics[i]), &r->metrics[i], err));
    return QN_OK;
}

static qn_status run_all(eval_run *r, qn_error *err)
{
    size_t rows = r->o.pipeline_count * r->o.metric_count;
    r->values = qn_arena_array(&r->arena, rows + 1, sizeof *r->values);
    r->per_query =
        qn_arena_array(&r->arena, rows * r->query_count + 1, sizeof *r->per_query);
    r->mean_ms = qn_arena_array(&r->arena, r->o.pipeline_count + 1, sizeof *r->mean_ms);
    r->query_ids = qn_arena_array(&r->arena, r->query_count + 1, sizeof *r->query_ids);
    if (r->values == NULL || r->per_query == NULL || r->mean_ms == NULL ||
        r->query_ids == NULL)
        return no_memory(err);
    size_t total = r->query_count * r->o.pipeline_count;
    for (size_t i = 0; i < r->query_count; i++) {
        const char *id = r->queries[i].query->id;
        r->query_ids[i] = qn_arena_strndup(&r->arena, id, strlen(id));
        if (r->query_ids[i] == NULL) return no_memory(err);
        for (size_t p = 0; p < r->o.pipeline_count; p++) {
            if (r->o.cancel != NULL && atomic_load(r->o.cancel))
                return qn_fail(err, QN_ECANCELLED, "the evaluation was cancelled");
            QN_TRY(run_query(r, p, i, err));
            if (r->o.progress != NULL)
                r->o.progress(r->o.progress_ctx, ++r->done, total);
        }
    }
    return QN_OK;
}

qn_status quern_eval(quern *q, const char *table, const quern_eval_options *options,
                     quern_eval_report **out, qn_error *err)
{
    *out = NULL;
    report_box *box = qn_new0(q->alloc, sizeof *box);
    if (box == NULL) return no_memory(err);
    box->alloc = q->alloc;
    eval_run r = {.q = q, .table = table};
    qn_arena_init(&r.arena, q->alloc, 0);
    qn_status st = read_options(&r, options, err);
    if (st == QN_OK) st = match_judgements(&r, err);
    if (st == QN_OK) st = run_all(&r, err);
    box->arena = r.arena; /* an arena holds no pointer to itself */
    box->report = (quern_eval_report){
        .pipeline_count = r.o.pipeline_count,
        .metric_count = r.o.metric_count,
        .query_count = r.query_count,
        .values = r.values,
        .per_query = r.per_query,
        .query_ids = r.query_ids,
        .mean_ms = r.mean_ms,
    };
    if (st == QN_OK)
        *out = &box->report;
    else
        quern_eval_report_free(&box->report);
    return st;
}

void quern_eval_report_free(quern_eval_report *report)
{
    if (report == NULL) return;
    report_box *box = (report_box *)report; /* the report is its first member */
    qn_arena_deinit(&box->arena);
    qn_delete(box->alloc, box);
}

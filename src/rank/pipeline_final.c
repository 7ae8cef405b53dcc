/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_final.c -- the last order, and the result with its trace. */
#include "rank/pipeline_internal.h"

#include <math.h>

void qn_rank__set_fine_ranks(qn_ranking *r)
{
    uint32_t rank = 0;
    for (size_t i = 0; i < r->row_count; i++)
        if (!isnan(r->rows[i].r.fine)) r->rows[i].r.fine_rank = rank++;
}

/* The first sort value of a row, for grades. */
static double first_value(const qn_ranking *r, const qn_rank_row *row)
{
    if (r->in->sort_count == 0 || row->keys == NULL) return row->r.score;
    return row->keys[0].kind == QN_SORT_VALUE_INT ? (double)row->keys[0].i64
                                                  : row->keys[0].f64;
}

/* Rows in their final order, thinned out; at most `most` of them stay. */
static qn_status thin_rows(qn_ranking *r, const qn_distinct *d, size_t most)
{
    qn_grouped g;
    size_t n = r->row_count;
    uint32_t *segments = qn_arena_raw(r->arena, n + 1, sizeof *segments);
    uint32_t *order = qn_arena_raw(r->arena, n + 1, sizeof *order);
    double *first = qn_arena_raw(r->arena, n + 1, sizeof *first);
    qn_rank_row *rows = qn_arena_raw(r->arena, n + 1, sizeof *rows);
    if (segments == NULL || order == NULL || first == NULL || rows == NULL)
        return qn_fail(r->err, QN_ENOMEM, "distinct over %zu documents", n);
    QN_TRY(qn_rank__group_rows(r, n, &g));
    for (uint32_t i = 0; i < n; i++) {
        segments[i] = (uint32_t)(g.order[i].document >> 32);
        first[i] = first_value(r, &r->rows[g.order[i].row]);
        order[g.order[i].row] = i;
    }
    qn_thin_job job = {.segments = segments,
                       .docs = g.docs,
                       .n = n,
                       .order = order,
                       .first = d->grade_count > 0 ? first : NULL,
                       .descending =
                           r->in->sort_count == 0 || r->in->sort[0].descending};
    QN_TRY(qn_rank__thin(r, d, &job));
    r->row_count = job.kept < most ? job.kept : most;
    for (size_t i = 0; i < r->row_count; i++) rows[i] = r->rows[g.order[order[i]].row];
    if (r->row_count > 0) memcpy(r->rows, rows, r->row_count * sizeof *rows);
    return QN_OK;
}

qn_status qn_rank__final_order(qn_ranking *r)
{
    const qn_rank_input *in = r->in;
    int64_t started = qn_clock_mono_ns();
    const qn_distinct *early = qn_rank__distinct_of(r, 0),
                      *late = qn_rank__distinct_of(r, 1);
    if (in->sort_count > 0) {
        QN_TRY(qn_rank__keys_fill(in, r->arena, r->rows, r->row_count, r->err));
        if (!qn_rank__by_score(in)) {
            QN_TRY(qn_rank__sort(in, r->arena, r->rows, r->row_count, r->err));
            qn_rank__report(r, "sort", r->row_count, r->row_count, started);
        }
    }
    if (!qn_rank__by_score(in) && in->distinct_count > 1 && early != NULL) {
        size_t most = early->max_item_count;
        QN_TRY(thin_rows(r, early, most > in->wanted ? most : in->wanted));
        QN_TRY(qn_rank__sort(in, r->arena, r->rows, r->row_count, r->err));
    }
    if (late != NULL) QN_TRY(thin_rows(r, late, r->row_count));
    for (uint32_t i = 0; i < r->row_count; i++) r->rows[i].r.final_rank = i;
    return QN_OK;
}

/* What a stage's formula made of the row, or why it did not see it. */
static qn_status trace_stage(qn_ranking *r, qn_stage_kind kind, qn_rank_formula *f,
                             const qn_rank_facts *facts, const qn_ranked *d,
                             qn_trace *trace)
{
    static const struct {
        const char *title, *name;
    } names[] = {[QN_STAGE_ROUGH] = {"FirstRank", "rough"},
                 [QN_STAGE_FINE] = {"SecondRank", "fine"},
                 [QN_STAGE_NEURAL] = {"NeuralRank", "neural"}};
    const qn_neural_mark none = {.score = (double)NAN, .rank = UINT32_MAX};
    const qn_neural_mark *mark = d->marks == NULL ? &none : &d->marks[r->neural_number];
    const double values[] = {d->rough, d->fine, mark->score};
    const uint32_t ranks[] = {d->rough_rank, d->fine_rank, mark->rank};
    const qn_stage *stage =
        kind == QN_STAGE_NEURAL ? r->neural_stage : qn_rank__find_stage(r->in, kind);
    if (stage == NULL || (f == NULL && kind != QN_STAGE_FINE)) return QN_OK;
    qn_trace_stage *t = &trace->stages[trace->stage_count];
    *t = (qn_trace_stage){.title = names[kind].title,
                          .name = names[kind].name,
                          .formula = stage->formula,
                          .scored = !isnan(values[kind]),
                          .value = values[kind],
                          .rank = ranks[kind]};
    if (stage->plugin != NULL) {
        t->plugin = stage->plugin->name;
        t->log = d->plugin_log;
    }
    if (t->scored) {
        trace->stage_count++;
        if (stage->plugin != NULL) return QN_OK;
        return qn_rank_formula_trace(f, r->in->trace, d->segment, d->doc, facts,
                                     r->arena, t, r->err);
    }
    if (kind != QN_STAGE_FINE) return QN_OK;
    if (stage->plugin != NULL && d->plugin_seen) {
        t->why = QN_SLICE_LIT("not scored: the plug-in was stopped");
        trace->stage_count++;
        return QN_OK;
    }
    uint32_t before = d->rough_rank == UINT32_MAX ? d->recall_rank : d->rough_rank;
    const char *why = qn_arena_printf(
        r->arena,
        "not in the fine sort: place %u %s, and the best %zu are fine-sorted "
        "(rerank_size)",
        before + 1, d->rough_rank == UINT32_MAX ? "of recall" : "of the rough sort",
        r->fine_count);
    if (why == NULL) return qn_fail(r->err, QN_ENOMEM, "trace");
    t->why = qn_slice_of(why);
    trace->stage_count++;
    return QN_OK;
}

static qn_status trace_row(qn_ranking *r, const qn_rank_row *row, qn_ranked *d)
{
    float text = (float)d->text, vector = (float)d->vector, recall = (float)d->recall;
    float rough = (float)d->rough;
    const double *models[QN_RANK_MODELS_MAX] = {0};
    for (size_t m = 0; row->models != NULL && m < QN_RANK_MODELS_MAX; m++)
        models[m] = row->models + m;
    qn_rank_facts facts = {.text = &text,
                           .vector = &vector,
                           .recall = &recall,
                           .rough = &rough,
                           .neural = &d->neural,
                           .text_spread = &r->spreads[0],
                           .vector_spread = &r->spreads[1],
                           .neural_spread = &r->spreads[2],
                           .models = models,
                           .model_spreads = r->model_spreads,
                           .pool = &r->pool};
    qn_rank_formula *const formulas[] = {r->rough_formula, r->fine_formula,
                                         r->neural_formula};
    qn_trace *trace = qn_arena_new(r->arena, sizeof *trace);
    if (trace == NULL) return qn_fail(r->err, QN_ENOMEM, "trace");
    for (size_t i = 0; i < QN_TRACE_STAGES_MAX; i++)
        QN_TRY(trace_stage(r, (qn_stage_kind)i, formulas[i], &facts, d, trace));
    d->trace = trace;
    return QN_OK;
}

/* The documents that are shown, unless the caller watches some. */
static bool is_traced(const qn_ranking *r, const qn_ranked *d, bool shown)
{
    const qn_rank_input *in = r->in;
    if (in->trace == QN_TRACE_NONE) return false;
    if (in->watched_count == 0) return shown;
    for (size_t i = 0; i < in->watched_count; i++)
        if (in->watched[i].segment == d->segment && in->watched[i].doc == d->doc)
            return true;
    return false;
}

qn_status qn_rank__finish(qn_ranking *r)
{
    const qn_rank_input *in = r->in;
    qn_rank_result *out = r->out;
    size_t shown = in->wanted < r->row_count ? in->wanted : r->row_count;
    size_t width = in->sort_count == 0 ? 1 : in->sort_count;
    qn_ranked *docs = qn_arena_array(r->arena, r->row_count + 1, sizeof *docs);
    qn_sort_value *values = qn_arena_array(r->arena, shown * width + 1, sizeof *values);
    qn_stage_run *stages = qn_arena_array(r->arena, r->stage_count + 1, sizeof *stages);
    qn_error *warnings =
        qn_arena_array(r->arena, r->warning_count + 1, sizeof *warnings);
    if (docs == NULL || values == NULL || stages == NULL || warnings == NULL)
        return qn_fail(r->err, QN_ENOMEM, "out of memory for the result");
    if (r->rough != NULL) QN_TRY(qn_rank__rank_recall(r, shown));
    out->max_score = (double)NAN;
    for (size_t i = 0; i < r->row_count; i++) {
        docs[i] = r->rows[i].r;
        if (!(out->max_score >= docs[i].score)) out->max_score = docs[i].score;
        if (is_traced(r, &docs[i], i < shown))
            QN_TRY(trace_row(r, &r->rows[i], &docs[i]));
        if (i >= shown) continue;
        for (size_t k = 0; k < width; k++)
            values[i * width + k] = in->sort_count > 0
                                        ? r->rows[i].keys[k]
                                        : (qn_sort_value){.kind = QN_SORT_VALUE_SCORE,
                                                          .f64 = docs[i].score};
    }
    memcpy(stages, r->stages, r->stage_count * sizeof *stages);
    memcpy(warnings, r->warnings, r->warning_count * sizeof *warnings);
    out->docs = docs;
    out->count = r->row_count;
    out->sort_values = values;
    out->sort_value_rows = shown;
    out->stages = stages;
    out->stage_count = r->stage_count;
    out->neural_runs = r->neural_runs; /* the ranking lives in the arena */
    out->neural_run_count = r->neural_count;
    out->warnings = warnings;
    out->warning_count = r->warning_count;
    return QN_OK;
}

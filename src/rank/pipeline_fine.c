/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_fine.c -- the fine stage, by formula or plug-in; scores, and the order of rows. */
#include "rank/pipeline_internal.h"

#include <math.h>

static qn_status fill_ties(qn_ranking *r, const qn_grouped *g)
{
    float *query = qn_arena_array(r->arena, g->n + 1, sizeof *query);
    float *field = qn_arena_array(r->arena, g->n + 1, sizeof *field);
    if (query == NULL || field == NULL) return qn_fail(r->err, QN_ENOMEM, "ties");
    for (size_t begin = 0, end; begin < g->n; begin = end) {
        end = qn_rank__segment_end(g, begin);
        QN_TRY(qn_rank_tie_values(
            r->in, r->arena, (size_t)(g->order[begin].document >> 32), g->docs + begin,
            end - begin, query + begin, field + begin, r->err));
    }
    for (size_t i = 0; i < g->n; i++) {
        qn_rank_row *row = &r->rows[g->order[i].row];
        row->tie_query = query[i];
        row->tie_field = field[i];
    }
    return QN_OK;
}

/* Documents that a plug-in deleted are no results at all. */
static void drop_deleted(qn_ranking *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->row_count; i++)
        if (!r->rows[i].r.deleted) r->rows[kept++] = r->rows[i];
    r->out->dropped += r->row_count - kept;
    r->row_count = kept;
}

static void take_plugin(qn_ranking *r, const qn_grouped *g,
                        const qn_rank_scorer *scorer)
{
    const qn_error *failure = qn_rank_scorer_failure(scorer);
    for (size_t i = 0; i < g->n; i++) {
        qn_ranked *d = &r->rows[g->order[i].row].r;
        d->plugin_log = qn_rank_scorer_log(scorer, i);
        d->plugin_values = qn_rank_scorer_values(scorer, i, &d->plugin_value_count);
        d->deleted = qn_rank_scorer_deleted(scorer, i);
        d->plugin_seen = true;
    }
    r->out->bad_docs += qn_rank_scorer_bad_docs(scorer);
    if (failure->code != QN_OK && r->warning_count < WARNINGS_MAX)
        r->warnings[r->warning_count++] = *failure;
}

/* The plug-in's score of the rows, in document order. */
static qn_status run_plugin(qn_ranking *r, const qn_stage *stage, qn_grouped *g)
{
    qn_rank_scorer *scorer = NULL;
    QN_TRY(qn_rank_scorer_open(r->in, r->arena, stage->plugin, g->n, &scorer, r->err));
    qn_status st = QN_OK;
    for (size_t begin = 0, end; st == QN_OK && begin < g->n; begin = end) {
        end = qn_rank__segment_end(g, begin);
        qn_rank_facts facts = qn_rank__facts_at(r, g, begin);
        st = qn_rank_scorer_run(scorer, begin, (size_t)(g->order[begin].document >> 32),
                                g->docs + begin, end - begin, &facts, g->values + begin,
                                r->err);
    }
    if (st == QN_OK) take_plugin(r, g, scorer);
    qn_rank_scorer_close(scorer);
    return st;
}

static qn_status run_fine_plugin(qn_ranking *r, const qn_stage *stage)
{
    int64_t started = qn_clock_mono_ns();
    qn_grouped g;
    QN_TRY(qn_rank__group_rows(r, r->fine_count, &g));
    QN_TRY(run_plugin(r, stage, &g));
    for (size_t i = 0; i < g.n; i++)
        r->rows[g.order[i].row].r.fine = (double)(float)g.values[i];
    if (r->in->scale == QN_RANK_HA3) QN_TRY(fill_ties(r, &g));
    size_t before = r->row_count;
    drop_deleted(r);
    r->fine_ran = true;
    qn_rank__report(r, "fine", before, r->fine_count, started);
    return QN_OK;
}

qn_status qn_rank__run_fine(qn_ranking *r, const qn_stage *stage)
{
    int64_t started = qn_clock_mono_ns();
    qn_grouped g;
    r->fine_count = r->row_count;
    if (stage->keep != 0 && stage->keep < r->fine_count) r->fine_count = stage->keep;
    if (stage->plugin != NULL) return run_fine_plugin(r, stage);
    QN_TRY(qn_rank_formula_open(r->in, r->arena, "fine formula", stage->formula,
                                QN_EXPR_IN_FINE, &r->fine_formula, r->err));
    if (r->in->recall_is_rough && qn_rank_formula_asks_recall(r->fine_formula)) {
        r->out->unsure = true;
        return QN_OK;
    }
    if (qn_rank_formula_asks_stage(r->fine_formula))
        return qn_fail(
            r->err, QN_EFUNCARGS,
            "fine formula: neural_score(), neural_logit() and neural_z() need "
            "the name of a model here, as in neural_score(\"model\"); without "
            "it they belong to the formula of a neural stage");
    QN_TRY(qn_rank__group_rows(r, r->fine_count, &g));
    QN_TRY(qn_rank__run_formula(r, r->fine_formula, &g));
    for (size_t i = 0; i < g.n; i++)
        r->rows[g.order[i].row].r.fine = (double)(float)g.values[i];
    if (r->in->scale == QN_RANK_HA3) QN_TRY(fill_ties(r, &g));
    r->fine_ran = true;
    qn_rank__report(r, "fine", r->row_count, r->fine_count, started);
    return QN_OK;
}

/* ---- scores ------------------------------------------------------------------------------- */

/* The last formula that scored the document, in the scale of the dialect. */
static double score_of(const qn_ranking *r, const qn_ranked *d)
{
    if (r->in->scale == QN_RANK_PLAIN) {
        if (!isnan(d->stage_score)) return d->stage_score;
        if (!isnan(d->fine)) return d->fine;
        return isnan(d->rough) ? d->recall : d->rough;
    }
    if (!isnan(d->stage_score)) return HA3_BASE + d->stage_score;
    if (!isnan(d->fine)) return HA3_BASE + d->fine;
    bool counts =
        r->rough_stage != NULL && !(r->rough_stage->selects_only && r->fine_ran);
    double rough = HA3_BASE + (counts && !isnan(d->rough) ? d->rough : 0);
    return rough > HA3_ROUGH_MAX ? HA3_ROUGH_MAX : rough;
}

static void set_scores(qn_ranking *r)
{
    for (size_t i = 0; i < r->row_count; i++)
        r->rows[i].r.score = score_of(r, &r->rows[i].r);
}

/* A document that a later neural stage reached stands before one that it did not. In a plain
 * pipeline documents that the fine sort did not see stay behind those it saw, whatever the
 * numbers; in HA3 the numbers decide (2.4: kept as documented). */
static void set_groups(qn_ranking *r)
{
    for (size_t i = 0; i < r->row_count; i++) {
        const qn_ranked *d = &r->rows[i].r;
        bool behind = r->in->scale == QN_RANK_PLAIN && r->fine_ran && isnan(d->fine);
        r->rows[i].group =
            2 * ((uint32_t)r->neural_count - d->reached) + (behind ? 1 : 0);
    }
}

/* Order by what is known so far. */
qn_status qn_rank__order_rows(qn_ranking *r)
{
    qn_rank_input by_score = *r->in;
    by_score.sort_count = 0;
    set_scores(r);
    set_groups(r);
    return qn_rank__sort(&by_score, r->arena, r->rows, r->row_count, r->err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_neural.c -- the neural stage: the model, and what is made of its scores. */
#include "rank/pipeline_internal.h"

#include <math.h>

static qn_status ask_model(qn_ranking *r, const qn_stage *stage, size_t n,
                           size_t *scored_count)
{
    uint32_t *segments = qn_arena_array(r->arena, n + 1, sizeof *segments);
    uint32_t *docs = qn_arena_array(r->arena, n + 1, sizeof *docs);
    float *logits = qn_arena_array(r->arena, n + 1, sizeof *logits);
    bool *scored = qn_arena_array(r->arena, n + 1, sizeof *scored);
    if (segments == NULL || docs == NULL || logits == NULL || scored == NULL)
        return qn_fail(r->err, QN_ENOMEM, "neural stage");
    for (size_t i = 0; i < n; i++) {
        segments[i] = r->rows[i].r.segment;
        docs[i] = r->rows[i].r.doc;
    }
    qn_deadline deadline =
        r->in->deadline == NULL ? (qn_deadline){0} : *r->in->deadline;
    if (stage->budget_ms > 0) {
        int64_t own = qn_clock_mono_ns() + stage->budget_ms * 1000000;
        if (deadline.at_ns == 0 || own < deadline.at_ns) deadline.at_ns = own;
    }
    QN_TRY(r->in->neural(r->in->neural_ctx, stage->model, NULL, 0, segments, docs, n,
                         &deadline, logits, scored, r->err));
    *scored_count = 0;
    for (size_t i = 0; i < n; i++) {
        if (!scored[i]) continue;
        r->rows[i].r.neural = (double)logits[i];
        (*scored_count)++;
    }
    return QN_OK;
}

/* The stage's score of the documents that were reached: its formula, or the logit. */
static qn_status blend(qn_ranking *r, const qn_stage *stage, size_t n)
{
    qn_grouped g;
    size_t reached = 0;
    /* Reached documents in front, each part in its order: a formula sees only them. */
    qn_rank_row *behind = qn_arena_array(r->arena, n + 1, sizeof *behind);
    if (behind == NULL) return qn_fail(r->err, QN_ENOMEM, "neural stage");
    size_t missed = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(r->rows[i].r.neural))
            behind[missed++] = r->rows[i];
        else
            r->rows[reached++] = r->rows[i];
    }
    memcpy(r->rows + reached, behind, missed * sizeof *behind);
    if (stage->formula.n == 0) {
        for (size_t i = 0; i < reached; i++)
            r->rows[i].r.stage_score = r->rows[i].r.neural;
        return QN_OK;
    }
    QN_TRY(qn_rank_formula_open(r->in, r->arena, "neural formula", stage->formula,
                                QN_EXPR_IN_FINE, &r->neural_formula, r->err));
    QN_TRY(qn_rank__group_rows(r, reached, &g));
    QN_TRY(qn_rank__run_formula(r, r->neural_formula, &g));
    for (size_t i = 0; i < reached; i++)
        r->rows[g.order[i].row].r.stage_score = (double)(float)g.values[i];
    return QN_OK;
}

qn_status qn_rank__run_neural(qn_ranking *r, const qn_stage *stage)
{
    int64_t started = qn_clock_mono_ns();
    size_t n = stage->keep == 0 ? QN_RANK_NEURAL_KEEP_DEFAULT : stage->keep, scored = 0;
    if (n > r->row_count) n = r->row_count;
    if (r->in->neural == NULL)
        return qn_fail(r->err, QN_EUNSUPPORTED, "no model can be run here");
    QN_TRY(qn_rank__order_rows(r, SIZE_MAX));
    QN_TRY(ask_model(r, stage, n, &scored));
    QN_TRY(blend(r, stage, n));
    r->out->neural_ran = true;
    r->out->neural_timed_out = scored < n;
    r->out->neural_model = stage->model;
    r->out->neural_scored = scored;
    r->out->neural_of = n;
    qn_rank__report(r, "neural", n, scored, started);
    QN_TRY(qn_rank__order_rows(r, scored));
    /* Those that were reached stand in front now. */
    for (size_t i = 0; i < scored; i++) r->rows[i].r.neural_rank = (uint32_t)i;
    return QN_OK;
}

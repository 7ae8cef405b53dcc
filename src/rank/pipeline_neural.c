/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_neural.c -- the neural stages: models, small ones on many documents before large
 * ones on few, and what is made of their scores.
 *
 * Each stage reads the first `keep` documents of the order before it. Those it reached stand
 * in front, by its scores; the others behind them as they were. So a document is where the
 * last stage that reached it put it, and none is lost. */
#include "rank/pipeline_internal.h"

#include <math.h>

typedef struct stage_run {
    const qn_stage *stage;
    size_t number; /* of the neural stages, from 0 */
    size_t n;      /* documents that it is asked for */
    size_t scored;
    qn_rank_neural_answer *answers; /* by row */
    qn_neural_run *report;
} stage_run;

static size_t window_of(const qn_ranking *r, const qn_stage *stage)
{
    size_t n = stage->keep == 0 ? QN_RANK_NEURAL_KEEP_DEFAULT : stage->keep;
    return n < r->row_count ? n : r->row_count;
}

/* ---- time ------------------------------------------------------------------------------ */

static void end_in(qn_deadline *d, int64_t now, double ns)
{
    int64_t at = now + (int64_t)ns;
    if (d->at_ns == 0 || at < d->at_ns) d->at_ns = at;
}

/* Until when stage `number` may run: what it was given, else its part of what is left. */
static qn_deadline stage_deadline(const qn_ranking *r, const qn_deadline *all,
                                  size_t number)
{
    const qn_stage *stage = r->neural_stages[number];
    qn_deadline d = *all;
    int64_t now = qn_clock_mono_ns();
    double left = d.at_ns > now ? (double)(d.at_ns - now) : 0;
    if (stage->budget_ms > 0)
        end_in(&d, now, (double)stage->budget_ms * 1e6);
    else if (d.at_ns != 0 && stage->budget_share > 0)
        end_in(&d, now, left * stage->budget_share);
    else if (d.at_ns != 0)
        end_in(&d, now, left / (double)(r->neural_count - number));
    return d;
}

/* ---- scores ---------------------------------------------------------------------------- */

static qn_status ask_model(qn_ranking *r, stage_run *s, const qn_deadline *deadline)
{
    const qn_stage *stage = s->stage;
    uint32_t *segments = qn_arena_array(r->arena, s->n + 1, sizeof *segments);
    uint32_t *docs = qn_arena_array(r->arena, s->n + 1, sizeof *docs);
    s->answers = qn_arena_array(r->arena, s->n + 1, sizeof *s->answers);
    if (segments == NULL || docs == NULL || s->answers == NULL)
        return qn_fail(r->err, QN_ENOMEM, "neural stage");
    for (size_t i = 0; i < s->n; i++) {
        segments[i] = r->rows[i].r.segment;
        docs[i] = r->rows[i].r.doc;
    }
    const qn_rank_neural_ask ask = {
        .model = stage->model,
        .query = stage->query,
        .query_size = stage->query_size,
        .fields = stage->fields,
        .field_count = stage->field_count,
        .tokens_max = stage->tokens_max,
        .passages = &stage->passages,
        .segments = segments,
        .docs = docs,
        .n = s->n,
        .deadline = deadline,
    };
    return r->in->neural(r->in->neural_ctx, &ask, s->answers, &s->report->model,
                         r->err);
}

/* Reached documents in front, each part in its order: a formula sees only them. */
static qn_status part_rows(qn_ranking *r, stage_run *s)
{
    size_t missed = 0;
    qn_rank_row *behind = qn_arena_array(r->arena, s->n + 1, sizeof *behind);
    qn_rank_neural_answer *front =
        qn_arena_array(r->arena, s->n + 1, sizeof(qn_rank_neural_answer));
    if (behind == NULL || front == NULL)
        return qn_fail(r->err, QN_ENOMEM, "neural stage");
    s->scored = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (!s->answers[i].scored) {
            behind[missed++] = r->rows[i];
            continue;
        }
        front[s->scored] = s->answers[i];
        r->rows[s->scored] = r->rows[i];
        r->rows[s->scored++].r.neural = (double)s->answers[i].logit;
    }
    memcpy(r->rows + s->scored, behind, missed * sizeof *behind);
    s->answers = front;
    return QN_OK;
}

typedef struct moments {
    double mean, deviation;
} moments;

static moments moments_of(const double *values, size_t n)
{
    moments m = {0, 0};
    for (size_t i = 0; i < n; i++) m.mean += values[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        m.deviation += (values[i] - m.mean) * (values[i] - m.mean) / (double)n;
    m.deviation = sqrt(m.deviation);
    return m;
}

static double standardised(double value, moments m)
{
    return m.deviation > 0 ? (value - m.mean) / m.deviation : 0;
}

/* weight x logit + (1 - weight) x the score before, both standardised. */
static qn_status weigh(qn_ranking *r, const stage_run *s, double *scores)
{
    double *before = qn_arena_array(r->arena, s->scored + 1, sizeof *before);
    if (before == NULL) return qn_fail(r->err, QN_ENOMEM, "neural stage");
    for (size_t i = 0; i < s->scored; i++) {
        before[i] = r->rows[i].r.score;
        scores[i] = r->rows[i].r.neural;
    }
    moments own = moments_of(scores, s->scored), old = moments_of(before, s->scored);
    for (size_t i = 0; i < s->scored; i++)
        scores[i] = s->stage->weight * standardised(scores[i], own) +
                    (1 - s->stage->weight) * standardised(before[i], old);
    return QN_OK;
}

static qn_status run_formula(qn_ranking *r, const stage_run *s, double *scores)
{
    qn_grouped g;
    qn_rank_formula_close(r->neural_formula);
    r->neural_formula = NULL;
    QN_TRY(qn_rank_formula_open(r->in, r->arena, "neural formula", s->stage->formula,
                                QN_EXPR_IN_FINE, &r->neural_formula, r->err));
    r->neural_stage = s->stage;
    r->neural_number = s->number;
    QN_TRY(qn_rank__group_rows(r, s->scored, &g));
    QN_TRY(qn_rank__run_formula(r, r->neural_formula, &g));
    for (size_t i = 0; i < s->scored; i++) scores[g.order[i].row] = g.values[i];
    return QN_OK;
}

/* What the stage makes of the logits of the rows that it reached. */
static qn_status score_rows(qn_ranking *r, const stage_run *s)
{
    double *scores = qn_arena_array(r->arena, s->scored + 1, sizeof *scores);
    if (scores == NULL) return qn_fail(r->err, QN_ENOMEM, "neural stage");
    for (size_t i = 0; i < s->scored; i++) scores[i] = r->rows[i].r.neural;
    if (s->stage->formula.n > 0)
        QN_TRY(run_formula(r, s, scores));
    else if (s->stage->weight > 0)
        QN_TRY(weigh(r, s, scores));
    for (size_t i = 0; i < s->scored; i++) {
        double score = scores[i];
        if (s->stage->retriever) score = fmax(score, 0) + fmin(exp(score), 1);
        r->rows[i].r.stage_score = (double)(float)score;
        r->rows[i].r.reached = (uint32_t)s->number + 1;
    }
    return QN_OK;
}

/* ---- marks ----------------------------------------------------------------------------- */

/* Room for the marks of rows that no stage reached before. */
static qn_status make_marks(qn_ranking *r, const stage_run *s)
{
    for (size_t i = 0; i < s->scored; i++) {
        if (r->rows[i].r.marks != NULL) continue;
        qn_neural_mark *marks =
            qn_arena_array(r->arena, r->neural_count, sizeof *marks);
        if (marks == NULL) return qn_fail(r->err, QN_ENOMEM, "neural stage");
        for (size_t k = 0; k < r->neural_count; k++) {
            marks[k].logit = marks[k].score = (double)NAN;
            marks[k].rank = UINT32_MAX;
        }
        r->rows[i].r.marks = marks;
    }
    return QN_OK;
}

static qn_neural_mark *mark_of(qn_rank_row *row, size_t number)
{
    return (qn_neural_mark *)(uintptr_t)&row->r.marks[number];
}

static void set_marks(qn_ranking *r, const stage_run *s)
{
    for (size_t i = 0; i < s->scored; i++) {
        const qn_rank_neural_answer *a = &s->answers[i];
        *mark_of(&r->rows[i], s->number) = (qn_neural_mark){
            .logit = r->rows[i].r.neural,
            .score = r->rows[i].r.stage_score,
            .passage_start = a->passage_start,
            .passage_end = a->passage_end,
            .passage = a->passage,
            .passages = a->passages,
        };
    }
}

/* Those that the stage reached stand in front now. */
static void set_ranks(qn_ranking *r, const stage_run *s)
{
    for (size_t i = 0; i < s->scored; i++) {
        r->rows[i].r.neural_rank = (uint32_t)i;
        mark_of(&r->rows[i], s->number)->rank = (uint32_t)i;
    }
}

/* ---- one stage --------------------------------------------------------------------------- */

/* A retriever gives no more than its window, and nothing below its least score: neither
 * what it scored lower nor what it cannot say. */
static void drop_rest(qn_ranking *r, const stage_run *s)
{
    const qn_stage *stage = s->stage;
    if (!stage->retriever) return;
    r->row_count = s->n;
    if (!stage->has_min_score || s->report->failure != QN_OK) return;
    size_t kept = 0;
    for (size_t i = 0; i < s->scored; i++)
        if (r->rows[i].r.stage_score >= (double)stage->min_score)
            r->rows[kept++] = r->rows[i];
    r->row_count = kept;
}

/* The next stage scores the same documents anew, and nobody looks at what this one says:
 * with a limit in time it would be the order of those that the next one does not reach. */
static bool is_idle(const qn_ranking *r, size_t number)
{
    if (number + 1 == r->neural_count) return false;
    const qn_stage *now = r->neural_stages[number],
                   *next = r->neural_stages[number + 1];
    bool cuts = now->retriever && r->row_count > now->keep;
    return r->row_count <= window_of(r, next) && next->weight <= 0 && !cuts &&
           !now->has_min_score && !next->may_fail && r->in->trace == QN_TRACE_NONE &&
           r->in->neural_budget_ms == 0 && now->budget_ms == 0 &&
           next->budget_ms == 0 && now->budget_share <= 0 && next->budget_share <= 0;
}

/* A stage that may fail leaves everything as it was. */
static qn_status forgive(qn_ranking *r, stage_run *s, qn_status st)
{
    bool ours = st == QN_ENOMEM || st == QN_ECANCELLED || st == QN_ECORRUPT;
    if (st == QN_OK || ours || !s->stage->may_fail) return st;
    s->report->failure = st;
    s->report->model = s->stage->model;
    s->scored = 0;
    if (r->err != NULL && r->warning_count < WARNINGS_MAX)
        r->warnings[r->warning_count++] = *r->err;
    if (s->answers != NULL) memset(s->answers, 0, s->n * sizeof *s->answers);
    return QN_OK;
}

static qn_status run_stage(qn_ranking *r, size_t number, const qn_deadline *all)
{
    int64_t started = qn_clock_mono_ns();
    stage_run s = {.stage = r->neural_stages[number],
                   .number = number,
                   .report = &r->neural_runs[number]};
    if (is_idle(r, number)) {
        s.report->skipped = true;
        s.report->model = s.stage->model;
        return QN_OK;
    }
    s.n = window_of(r, s.stage);
    qn_deadline deadline = stage_deadline(r, all, number);
    QN_TRY(forgive(r, &s, ask_model(r, &s, &deadline)));
    QN_TRY(part_rows(r, &s));
    QN_TRY(score_rows(r, &s));
    QN_TRY(make_marks(r, &s));
    set_marks(r, &s);
    s.report->scored = s.scored;
    s.report->of = s.n;
    s.report->timed_out = s.scored < s.n && s.report->failure == QN_OK;
    s.report->ms = (double)(qn_clock_mono_ns() - started) / 1e6;
    qn_rank__report(r, "neural", s.n, s.scored, started);
    QN_TRY(qn_rank__order_rows(r));
    set_ranks(r, &s);
    drop_rest(r, &s);
    return QN_OK;
}

static void sum_up(qn_ranking *r)
{
    qn_rank_result *out = r->out;
    for (size_t i = 0; i < r->neural_count; i++) {
        const qn_neural_run *run = &r->neural_runs[i];
        if (run->skipped) continue;
        out->neural_ran = true;
        out->neural_timed_out = out->neural_timed_out || run->timed_out;
        out->neural_model = run->model;
        out->neural_scored = run->scored;
        out->neural_of = run->of;
    }
}

qn_status qn_rank__run_neural(qn_ranking *r)
{
    const qn_rank_input *in = r->in;
    for (size_t i = 0; i < in->stage_count; i++)
        if (in->stages[i].kind == QN_STAGE_NEURAL)
            r->neural_stages[r->neural_count++] = &in->stages[i];
    if (r->neural_count == 0) return QN_OK;
    if (in->neural == NULL)
        return qn_fail(r->err, QN_EUNSUPPORTED, "no model can be run here");
    qn_deadline all = in->deadline == NULL ? (qn_deadline){0} : *in->deadline;
    if (in->neural_budget_ms > 0)
        end_in(&all, qn_clock_mono_ns(), (double)in->neural_budget_ms * 1e6);
    QN_TRY(qn_rank__order_rows(r));
    for (size_t i = 0; i < r->neural_count; i++) QN_TRY(run_stage(r, i, &all));
    sum_up(r);
    qn_rank__settle_scores(r);
    return QN_OK;
}

/* ---- scores that fall with the place ------------------------------------------------------ */

/* Rows [begin, end) get scores below `floor`, in the same order: moved down by one amount, or,
 * where scores may not be negative, made smaller by one factor. */
static void lower(qn_ranking *r, size_t begin, size_t end, double floor, bool positive)
{
    double most = -(double)INFINITY;
    for (size_t i = begin; i < end; i++) most = fmax(most, r->rows[i].r.score);
    if (most < floor) return;
    for (size_t i = begin; i < end; i++) {
        double *score = &r->rows[i].r.score;
        *score = positive && floor > 0 && most > 0 ? *score * (floor / most) * 0.999
                                                   : *score - (most - floor) - 1;
    }
}

/* Rows stand in order: what the last stage reached, what the one before it did, ... */
void qn_rank__settle_scores(qn_ranking *r)
{
    double floor = (double)INFINITY;
    bool positive = false;
    for (size_t i = 0; i < r->neural_count; i++)
        positive = positive || r->neural_stages[i]->retriever;
    for (size_t begin = 0, end; begin < r->row_count; begin = end) {
        uint32_t reached = r->rows[begin].r.reached;
        for (end = begin; end < r->row_count && r->rows[end].r.reached == reached;)
            end++;
        if (begin > 0) lower(r, begin, end, floor, positive);
        for (size_t i = begin; i < end; i++) floor = fmin(floor, r->rows[i].r.score);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline.c -- the stages, one after another.
 *
 * The rough stage works on the pool (small arrays over all candidates). Then only documents
 * that can still matter are kept as rows: the best of the rough sort, or all when the order
 * is by sort keys. Fine and neural stages work on rows. */
#include "rank/pipeline_internal.h"

#include <math.h>

enum { BATCH = 1024 };

const qn_stage *qn_rank__find_stage(const qn_rank_input *in, qn_stage_kind kind)
{
    for (size_t i = 0; i < in->stage_count; i++)
        if (in->stages[i].kind == kind) return &in->stages[i];
    return NULL;
}

void qn_rank__report(qn_ranking *r, const char *name, size_t in, size_t out,
                     int64_t started_ns)
{
    double ms = (double)(qn_clock_mono_ns() - started_ns) / 1e6;
    if (r->stage_count < STAGE_RUNS_MAX)
        r->stages[r->stage_count++] = (qn_stage_run){name, in, out, ms};
}

void qn_rank__take_warnings(qn_ranking *r, const qn_rank_formula *f)
{
    r->warning_count += qn_rank_formula_warnings(f, r->warnings + r->warning_count,
                                                 WARNINGS_MAX - r->warning_count);
    r->out->bad_docs += qn_rank_formula_bad_docs(f);
}

/* ---- rough: every candidate -------------------------------------------------------------- */

static qn_status run_rough(qn_ranking *r, const qn_stage *stage)
{
    const qn_rank_pool *pool = &r->pool;
    int64_t started = qn_clock_mono_ns();
    QN_TRY(qn_rank_formula_open(r->in, r->arena, "rough formula", stage->formula,
                                QN_EXPR_IN_ROUGH, &r->rough_formula, r->err));
    r->rough = qn_arena_array(r->arena, pool->n + 1, sizeof *r->rough);
    if (r->rough == NULL) return qn_fail(r->err, QN_ENOMEM, "rough sort");
    double values[BATCH];
    for (size_t begin = 0, n; begin < pool->n; begin += n) {
        for (n = 1; n < BATCH && begin + n < pool->n &&
                    pool->segments[begin + n] == pool->segments[begin];)
            n++;
        qn_rank_facts facts = {.text = pool->text + begin,
                               .vector =
                                   pool->vector == NULL ? NULL : pool->vector + begin,
                               .recall = pool->recall + begin,
                               .pool = pool};
        QN_TRY(qn_rank_formula_run(r->rough_formula, pool->segments[begin],
                                   pool->docs + begin, n, &facts, values, r->err));
        for (size_t i = 0; i < n; i++) r->rough[begin + i] = (float)values[i];
    }
    qn_rank__take_warnings(r, r->rough_formula);
    qn_rank__report(r, "rough", pool->n,
                    stage->keep == 0 || stage->keep > pool->n ? pool->n : stage->keep,
                    started);
    return QN_OK;
}

/* Does what recall left out stand behind the last row? Its bound was added up in another
 * order: a few last bits of a float. */
static bool is_unsure(const qn_ranking *r)
{
    double bound = r->in->rough_bound;
    if (!r->in->pruned || r->rough == NULL || r->row_count == 0) return false;
    return r->rows[r->row_count - 1].r.rough < bound - fabs(bound) * 1e-5;
}

static qn_status run_all(qn_ranking *r)
{
    const qn_stage *rough = qn_rank__find_stage(r->in, QN_STAGE_ROUGH);
    const qn_stage *fine = qn_rank__find_stage(r->in, QN_STAGE_FINE);
    int64_t started = qn_clock_mono_ns();
    QN_TRY(qn_rank__pool_make(r->in, r->arena, &r->pool, r->err));
    /* A budget of documents in their order, not of the best. */
    if (r->in->rank_size > 0 && r->pool.n > r->in->rank_size)
        r->pool.n = r->in->rank_size;
    qn_rank__report(r, "fuse", r->pool.n, r->pool.n, started);
    r->rough_stage = rough;
    if (rough != NULL) QN_TRY(run_rough(r, rough));
    QN_TRY(qn_rank__make_rows(r));
    r->out->unsure = is_unsure(r);
    if (fine != NULL && !r->out->unsure) QN_TRY(qn_rank__run_fine(r, fine));
    if (r->out->unsure) {
        *r->out = (qn_rank_result){.unsure = true};
        return QN_OK;
    }
    QN_TRY(qn_rank__order_rows(r));
    qn_rank__set_fine_ranks(r);
    QN_TRY(qn_rank__run_neural(r));
    QN_TRY(qn_rank__final_order(r));
    return qn_rank__finish(r);
}

qn_status qn_rank_run(const qn_rank_input *in, qn_arena *arena, qn_rank_result *out,
                      qn_error *err)
{
    *out = (qn_rank_result){0};
    if (in->stage_count > QN_RANK_STAGES_MAX)
        return qn_fail(err, QN_ELIMIT, "%zu stages, at most %d", in->stage_count,
                       QN_RANK_STAGES_MAX);
    qn_ranking *r = qn_arena_new(arena, sizeof *r);
    if (r == NULL) return qn_fail(err, QN_ENOMEM, "ranking");
    r->in = in;
    r->arena = arena;
    r->err = err;
    r->out = out;
    qn_status st = run_all(r);
    qn_rank_formula_close(r->rough_formula);
    qn_rank_formula_close(r->fine_formula);
    qn_rank_formula_close(r->neural_formula);
    return st;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_rows.c -- from the pool to rows: the documents that can still matter after the rough
 * sort. */
#include "rank/pipeline_internal.h"

#include <math.h>
#include <stdlib.h>

/* How many of the best can still matter. */
static size_t rows_needed(const qn_ranking *r)
{
    const qn_rank_input *in = r->in;
    if (!qn_rank__by_score(in)) return r->pool.n;
    size_t needed = in->wanted;
    for (size_t i = 0; i < in->stage_count; i++) {
        const qn_stage *s = &in->stages[i];
        if (s->kind == QN_STAGE_ROUGH) continue;
        size_t keep = s->keep;
        if (keep == 0)
            keep = s->kind == QN_STAGE_FINE ? r->pool.n : QN_RANK_NEURAL_KEEP_DEFAULT;
        if (keep > needed) needed = keep;
    }
    return needed < r->pool.n ? needed : r->pool.n;
}

static void fill_row(const qn_ranking *r, qn_rank_row *row, uint32_t at, uint32_t rank)
{
    const qn_rank_pool *pool = &r->pool;
    qn_ranked *d = &row->r;
    *row = (qn_rank_row){0};
    d->segment = pool->segments[at];
    d->doc = pool->docs[at];
    d->text = (double)pool->text[at];
    d->vector = pool->vector == NULL ? (double)NAN : (double)pool->vector[at];
    d->recall = (double)pool->recall[at];
    d->rough = r->rough == NULL ? (double)NAN : (double)r->rough[at];
    d->fine = d->neural = d->stage_score = (double)NAN;
    d->fine_rank = d->neural_rank = d->final_rank = UINT32_MAX;
    d->rough_rank = r->rough == NULL ? UINT32_MAX : rank;
    d->recall_rank = rank;
}

/* The description that thins out `phase` (0: the rough sort, 1: the final order); NULL:
 * none does. */
const qn_distinct *qn_rank__distinct_of(const qn_ranking *r, size_t phase)
{
    size_t n = r->in->distinct_count;
    if (n == 0) return NULL;
    const qn_distinct *d = &r->in->distincts[phase < n ? phase : n - 1];
    return d->none ? NULL : d;
}

qn_status qn_rank__thin(qn_ranking *r, const qn_distinct *d, qn_thin_job *job)
{
    int64_t started = qn_clock_mono_ns();
    qn_thinner *t = NULL;
    QN_TRY(qn_thinner_open(r->in, r->arena, d, &t, r->err));
    qn_status st = qn_thinner_run(t, job, r->err);
    qn_thinner_close(t);
    if (st != QN_OK) return st;
    if (d->update_total_hit) r->out->dropped += job->n - job->kept;
    qn_rank__report(r, "distinct", job->n, job->kept, started);
    return QN_OK;
}

/* All of the pool, best first, thinned out. */
static qn_status order_thinned(qn_ranking *r, const qn_distinct *d, uint32_t **order,
                               size_t *kept)
{
    size_t n = r->pool.n;
    const float *scores = r->rough == NULL ? r->pool.recall : r->rough;
    uint64_t *pairs = qn_arena_raw(r->arena, 2 * n + 1, sizeof *pairs);
    double *first = NULL;
    *order = qn_arena_raw(r->arena, n + 1, sizeof **order);
    if (d->grade_count > 0) first = qn_arena_raw(r->arena, n + 1, sizeof *first);
    if (pairs == NULL || *order == NULL || (d->grade_count > 0 && first == NULL))
        return qn_fail(r->err, QN_ENOMEM, "distinct over %zu documents", n);
    for (size_t i = 0; i < n; i++) pairs[i] = qn_rank__pair(scores[i], (uint32_t)i);
    qn_rank__sort_pairs(pairs, pairs + n, n);
    for (size_t i = 0; i < n; i++) (*order)[i] = (uint32_t)pairs[i];
    /* Grades compare what the sort key is told as. */
    for (size_t i = 0; first != NULL && i < n; i++) {
        double score = (r->in->scale == QN_RANK_HA3 ? HA3_BASE : 0) + (double)scores[i];
        bool capped = r->in->scale == QN_RANK_HA3 && score > HA3_ROUGH_MAX;
        first[i] = capped ? HA3_ROUGH_MAX : score;
    }
    qn_thin_job job = {.segments = r->pool.segments,
                       .docs = r->pool.docs,
                       .n = n,
                       .order = *order,
                       .first = first,
                       .descending = true};
    QN_TRY(qn_rank__thin(r, d, &job));
    *kept = job.kept;
    return QN_OK;
}

/* The best of the pool, best first: `needed` of them. Those that may be among them are
 * collected until there is no room; then the best stay, and the last of them is the limit. */
static qn_status order_plainly(qn_ranking *r, size_t needed, uint32_t **order)
{
    enum { SPARE = 4096 };
    size_t n = r->pool.n, count = 0;
    size_t room = n - needed < needed + SPARE ? n : 2 * needed + SPARE;
    const float *scores = r->rough == NULL ? r->pool.recall : r->rough;
    uint64_t *pairs = qn_arena_raw(r->arena, 2 * room + 1, sizeof *pairs);
    uint64_t limit = UINT64_MAX;
    *order = qn_arena_raw(r->arena, needed + 1, sizeof **order);
    if (pairs == NULL || *order == NULL)
        return qn_fail(r->err, QN_ENOMEM, "out of memory for %zu documents", n);
    for (uint32_t i = 0; i < n && needed > 0; i++) {
        uint64_t pair = qn_rank__pair(scores[i], i);
        if (pair > limit) continue;
        if (count == room) {
            qn_rank__sort_pairs(pairs, pairs + room, count);
            count = needed;
            limit = pairs[needed - 1];
        }
        pairs[count++] = pair;
    }
    /* Stable: the lower place first among equals, since places come in order. */
    qn_rank__sort_pairs(pairs, pairs + room, count);
    for (size_t i = 0; i < needed; i++) (*order)[i] = (uint32_t)pairs[i];
    return QN_OK;
}

qn_status qn_rank__make_rows(qn_ranking *r)
{
    size_t n = r->pool.n, needed = rows_needed(r);
    uint32_t *order = NULL;
    /* By sort keys the rough sort decides nothing: the final order is thinned out twice. */
    const qn_distinct *d = qn_rank__by_score(r->in) ? qn_rank__distinct_of(r, 0) : NULL;
    if (d != NULL) {
        QN_TRY(order_thinned(r, d, &order, &n));
        if (d->max_item_count > needed) needed = d->max_item_count;
        if (needed > n) needed = n;
    } else {
        QN_TRY(order_plainly(r, needed, &order));
    }
    r->rows = qn_arena_array(r->arena, needed + 1, sizeof *r->rows);
    if (r->rows == NULL)
        return qn_fail(r->err, QN_ENOMEM, "out of memory for %zu documents", needed);
    for (uint32_t i = 0; i < needed; i++) {
        fill_row(r, &r->rows[i], order[i], i);
        if (r->rough != NULL)
            r->rows[i].r.recall_rank =
                order[i]; /* qn_rank__rank_recall() replaces it */
    }
    r->row_count = needed;
    return QN_OK;
}

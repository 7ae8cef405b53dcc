/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_rows.c -- from the pool to rows: the documents that can still matter after the rough
 * sort. */
#include "rank/pipeline_internal.h"

#include <math.h>
#include <stdlib.h>

typedef struct place {
    float score;
    uint32_t at; /* in the pool, which is in document order */
} place;

static int by_score(const void *a, const void *b)
{
    const place *x = a, *y = b;
    bool nan_x = isnan(x->score), nan_y = isnan(y->score);
    if (nan_x != nan_y) return nan_x ? 1 : -1;
    if (!nan_x && x->score != y->score) return x->score > y->score ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

/* Puts the best `keep` of n in front (in no particular order): quickselect. */
static void select_best(place *p, size_t n, size_t keep)
{
    size_t low = 0, high = n;
    while (high - low > 32 && keep > low && keep < high) {
        place pivot = p[low + (high - low) / 2];
        size_t i = low, j = high - 1;
        for (;;) {
            while (by_score(&p[i], &pivot) < 0) i++;
            while (by_score(&p[j], &pivot) > 0) j--;
            if (i >= j) break;
            place swap = p[i];
            p[i++] = p[j];
            p[j--] = swap;
        }
        if (keep <= i)
            high = i;
        else
            low = i;
    }
    qsort(p + low, high - low, sizeof *p, by_score);
}

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
    d->vector = (double)pool->vector[at];
    d->recall = (double)pool->recall[at];
    d->rough = r->rough == NULL ? (double)NAN : (double)r->rough[at];
    d->fine = d->neural = d->stage_score = (double)NAN;
    d->fine_rank = d->neural_rank = d->final_rank = UINT32_MAX;
    d->rough_rank = r->rough == NULL ? UINT32_MAX : rank;
    d->recall_rank = rank;
}

/* Places by the fused score alone, for rows that a rough formula chose: how many documents
 * stand before each. Rows are sorted by (score, document); every document of the pool is
 * counted at the first row that it stands before, most of them at none. */
static qn_status rank_recall(qn_ranking *r)
{
    size_t n = r->pool.n, rows = r->row_count;
    place *p = qn_arena_raw(r->arena, rows + 1, sizeof *p);
    uint32_t *row_of = qn_arena_raw(r->arena, rows + 1, sizeof *row_of);
    uint32_t *before = qn_arena_array(r->arena, rows + 1, sizeof *before);
    if (p == NULL || row_of == NULL || before == NULL)
        return qn_fail(r->err, QN_ENOMEM, "ranks of recall");
    for (size_t i = 0; i < rows; i++) {
        uint32_t at = r->rows[i].r.recall_rank;
        p[i] = (place){r->pool.recall[at], at};
    }
    if (rows > 1) qsort(p, rows, sizeof *p, by_score);
    for (uint32_t i = 0; rows > 0 && i < n; i++) {
        place d = {r->pool.recall[i], i};
        if (d.score < p[rows - 1].score) continue;
        size_t low = 0, high = rows;
        while (low < high) {
            size_t middle = low + (high - low) / 2;
            if (by_score(&d, &p[middle]) < 0)
                high = middle;
            else
                low = middle + 1;
        }
        before[low]++;
    }
    uint32_t sum = 0;
    for (size_t i = 0; i < rows; i++) before[i] = sum += before[i];
    /* Rows by their place in the pool, to meet p. */
    for (size_t i = 0; i < rows; i++) {
        place d = {r->pool.recall[r->rows[i].r.recall_rank], r->rows[i].r.recall_rank};
        const place *found = bsearch(&d, p, rows, sizeof *p, by_score);
        row_of[i] = before[found - p];
    }
    for (size_t i = 0; i < rows; i++) r->rows[i].r.recall_rank = row_of[i];
    return QN_OK;
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
    for (size_t i = 0; i < n; i++)
        pairs[i] = (uint64_t)qn_rank__descending_key(scores[i]) << 32 | i;
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

/* The best of the pool, best first: `needed` of them. */
static qn_status order_plainly(qn_ranking *r, size_t needed, uint32_t **order)
{
    size_t n = r->pool.n;
    place *p = qn_arena_raw(r->arena, n + 1, sizeof *p);
    *order = qn_arena_raw(r->arena, needed + 1, sizeof **order);
    if (p == NULL || *order == NULL)
        return qn_fail(r->err, QN_ENOMEM, "out of memory for %zu documents", n);
    for (uint32_t i = 0; i < n; i++)
        p[i] = (place){r->rough == NULL ? r->pool.recall[i] : r->rough[i], i};
    if (needed < n) select_best(p, n, needed);
    if (needed > 1) qsort(p, needed, sizeof *p, by_score);
    for (size_t i = 0; i < needed; i++) (*order)[i] = p[i].at;
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
            r->rows[i].r.recall_rank = order[i]; /* rank_recall() replaces it */
    }
    r->row_count = needed;
    return r->rough != NULL ? rank_recall(r) : QN_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline.c -- the stages, one after another.
 *
 * The rough stage works on the pool (small arrays over all candidates). Then only documents
 * that can still matter are kept as rows: the best of the rough sort, or all when the order
 * is by sort keys. Fine and neural stages work on rows. */
#include "rank/pipeline.h"

#include "expr/expr.h"
#include "rank/bind.h"
#include "rank/plugin.h"
#include "rank/distinct.h"
#include "rank/rank_internal.h"
#include "vec/vindex.h"

#include <math.h>
#include <stdlib.h>

enum { BATCH = 1024, STAGE_RUNS_MAX = QN_RANK_STAGES_MAX + 5, WARNINGS_MAX = 16 };

#define HA3_BASE 10000.0
#define HA3_ROUGH_MAX 20000.0

typedef struct run {
    const qn_rank_input *in;
    qn_arena *arena;
    qn_error *err;
    qn_rank_pool pool;
    const qn_stage *rough_stage; /* NULL: none */
    float *rough;                /* parallel to the pool; NULL without a rough stage */
    qn_rank_row *rows;
    size_t row_count,
        fine_count; /* rows; the first of them went through the fine stage */
    bool fine_ran;
    qn_stage_run stages[STAGE_RUNS_MAX];
    size_t stage_count;
    qn_error warnings[WARNINGS_MAX];
    size_t warning_count;
    qn_rank_formula *rough_formula, *fine_formula, *neural_formula;
    qn_rank_spread spreads[3]; /* of the stage that ran last, for the trace */
    qn_rank_spread model_spreads[QN_RANK_MODELS_MAX];
    qn_rank_result *out;
} run;

static const qn_stage *find_stage(const qn_rank_input *in, qn_stage_kind kind)
{
    for (size_t i = 0; i < in->stage_count; i++)
        if (in->stages[i].kind == kind) return &in->stages[i];
    return NULL;
}

static void report(run *r, const char *name, size_t in, size_t out, int64_t started_ns)
{
    double ms = (double)(qn_clock_mono_ns() - started_ns) / 1e6;
    if (r->stage_count < STAGE_RUNS_MAX)
        r->stages[r->stage_count++] = (qn_stage_run){name, in, out, ms};
}

static void take_warnings(run *r, const qn_rank_formula *f)
{
    r->warning_count += qn_rank_formula_warnings(f, r->warnings + r->warning_count,
                                                 WARNINGS_MAX - r->warning_count);
    r->out->bad_docs += qn_rank_formula_bad_docs(f);
}

/* ---- rough: every candidate -------------------------------------------------------------- */

static qn_status run_rough(run *r, const qn_stage *stage)
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
                               .vector = pool->vector + begin,
                               .recall = pool->recall + begin,
                               .pool = pool};
        QN_TRY(qn_rank_formula_run(r->rough_formula, pool->segments[begin],
                                   pool->docs + begin, n, &facts, values, r->err));
        for (size_t i = 0; i < n; i++) r->rough[begin + i] = (float)values[i];
    }
    take_warnings(r, r->rough_formula);
    report(r, "rough", pool->n,
           stage->keep == 0 || stage->keep > pool->n ? pool->n : stage->keep, started);
    return QN_OK;
}

/* ---- from the pool to rows ------------------------------------------------------------------ */

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
static size_t rows_needed(const run *r)
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

static void fill_row(const run *r, qn_rank_row *row, uint32_t at, uint32_t rank)
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
static qn_status rank_recall(run *r)
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
static const qn_distinct *distinct_of(const run *r, size_t phase)
{
    size_t n = r->in->distinct_count;
    if (n == 0) return NULL;
    const qn_distinct *d = &r->in->distincts[phase < n ? phase : n - 1];
    return d->none ? NULL : d;
}

static qn_status thin(run *r, const qn_distinct *d, qn_thin_job *job)
{
    int64_t started = qn_clock_mono_ns();
    qn_thinner *t = NULL;
    QN_TRY(qn_thinner_open(r->in, r->arena, d, &t, r->err));
    qn_status st = qn_thinner_run(t, job, r->err);
    qn_thinner_close(t);
    if (st != QN_OK) return st;
    if (d->update_total_hit) r->out->dropped += job->n - job->kept;
    report(r, "distinct", job->n, job->kept, started);
    return QN_OK;
}

/* All of the pool, best first, thinned out. */
static qn_status order_thinned(run *r, const qn_distinct *d, uint32_t **order,
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
    QN_TRY(thin(r, d, &job));
    *kept = job.kept;
    return QN_OK;
}

/* The best of the pool, best first: `needed` of them. */
static qn_status order_plainly(run *r, size_t needed, uint32_t **order)
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

static qn_status make_rows(run *r)
{
    size_t n = r->pool.n, needed = rows_needed(r);
    uint32_t *order = NULL;
    /* By sort keys the rough sort decides nothing: the final order is thinned out twice. */
    const qn_distinct *d = qn_rank__by_score(r->in) ? distinct_of(r, 0) : NULL;
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

/* ---- a formula over rows ---------------------------------------------------------------- */

/* The first n rows in document order, with their facts in parallel arrays. */
typedef struct grouped {
    size_t n;
    struct keyed {
        uint64_t document; /* segment, doc */
        uint32_t row;
    } * order;
    uint32_t *docs;
    float *text, *vector, *recall, *rough;
    double *neural, *values;
    qn_rank_spread spreads[3];          /* of text, vector, neural scores */
    double *models[QN_RANK_MODELS_MAX]; /* logits of those that the formula names */
    const double *models_at[QN_RANK_MODELS_MAX];
    qn_rank_spread model_spreads[QN_RANK_MODELS_MAX];
} grouped;

static int by_document(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    return (x->document > y->document) - (x->document < y->document);
}

/* The end of the run of one segment that begins at `begin`. */
static size_t segment_end(const grouped *g, size_t begin)
{
    size_t end = begin + 1;
    while (end < g->n && g->order[end].document >> 32 == g->order[begin].document >> 32)
        end++;
    return end;
}

/* ---- what the stage's scores are like ------------------------------------------------- */

static qn_rank_spread spread_of(const double *values, size_t n)
{
    qn_rank_spread s = {0, 0, (double)INFINITY};
    size_t known = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(values[i])) continue;
        s.mean += values[i];
        s.least = fmin(s.least, values[i]);
        known++;
    }
    if (known == 0) return (qn_rank_spread){0, 0, 0};
    s.mean /= (double)known;
    for (size_t i = 0; i < n; i++)
        if (!isnan(values[i]))
            s.deviation += (values[i] - s.mean) * (values[i] - s.mean);
    s.deviation = sqrt(s.deviation / (double)known);
    return s;
}

/* The vector leaf whose nearness vector_score() means: the first of the paths. */
static const qn_query *vector_leaf(const qn_rank_input *in)
{
    for (size_t p = 0; p < in->path_count; p++)
        if (in->paths[p].found->vector_count > 0)
            return in->paths[p].found->vectors[0].leaf;
    return NULL;
}

/* Documents that only words found have a vector too: their nearness is computed here, for
 * the few that a stage looks at. */
static qn_status complete_vectors(run *r, const qn_query *leaf, grouped *g)
{
    const qn_field *field = leaf->fields[0].field;
    qn_vindex_query query = {.vector = leaf->u.vector.values, .dims = field->dims};
    for (size_t begin = 0, end; begin < g->n; begin = end) {
        end = segment_end(g, begin);
        const qn_segment_view *view =
            &r->in->snapshot->segments[g->order[begin].document >> 32];
        float *values = qn_arena_array(r->arena, end - begin, sizeof *values);
        if (values == NULL) return qn_fail(r->err, QN_ENOMEM, "vectors");
        for (size_t v = 0; v < view->vector_count; v++) {
            if (view->vectors[v].field_id != field->id) continue;
            QN_TRY(qn_vindex_values(view->vectors[v].index, &query, g->docs + begin,
                                    end - begin, values, r->err));
            for (size_t i = begin; i < end; i++)
                if (isnan(g->vector[i])) g->vector[i] = values[i - begin];
        }
    }
    return QN_OK;
}

static qn_status measure(run *r, grouped *g)
{
    const qn_query *leaf = vector_leaf(r->in);
    if (leaf != NULL && r->in->scale == QN_RANK_PLAIN)
        QN_TRY(complete_vectors(r, leaf, g));
    for (size_t i = 0; i < g->n; i++)
        g->values[i] = isnan(g->text[i]) ? 0 : (double)g->text[i];
    g->spreads[0] = spread_of(g->values, g->n);
    for (size_t i = 0; i < g->n; i++)
        g->values[i] =
            leaf == NULL || isnan(g->vector[i])
                ? (double)NAN
                : (double)qn_vector_score(leaf->fields[0].field, g->vector[i]);
    g->spreads[1] = spread_of(g->values, g->n);
    g->spreads[2] = spread_of(g->neural, g->n);
    return QN_OK;
}

static qn_status group_rows(run *r, size_t n, grouped *g)
{
    qn_arena *arena = r->arena;
    *g = (grouped){.n = n};
    g->order = qn_arena_array(arena, n + 1, sizeof *g->order);
    g->docs = qn_arena_array(arena, n + 1, sizeof *g->docs);
    float *floats = qn_arena_array(arena, 4 * n + 1, sizeof *floats);
    double *doubles = qn_arena_array(arena, 2 * n + 1, sizeof *doubles);
    if (g->order == NULL || g->docs == NULL || floats == NULL || doubles == NULL)
        return qn_fail(r->err, QN_ENOMEM, "out of memory for %zu documents", n);
    g->text = floats, g->vector = floats + n, g->recall = floats + 2 * n;
    g->rough = floats + 3 * n, g->neural = doubles, g->values = doubles + n;
    for (uint32_t i = 0; i < n; i++) {
        const qn_ranked *d = &r->rows[i].r;
        g->order[i] = (struct keyed){(uint64_t)d->segment << 32 | d->doc, i};
    }
    qsort(g->order, n, sizeof *g->order, by_document);
    for (size_t i = 0; i < n; i++) {
        const qn_ranked *d = &r->rows[g->order[i].row].r;
        g->docs[i] = d->doc;
        g->text[i] = (float)d->text;
        g->vector[i] = (float)d->vector;
        g->recall[i] = (float)d->recall;
        g->rough[i] = (float)d->rough;
        g->neural[i] = d->neural;
    }
    return measure(r, g);
}

static qn_rank_facts facts_at(const run *r, grouped *g, size_t i)
{
    for (size_t m = 0; m < QN_RANK_MODELS_MAX; m++)
        g->models_at[m] = g->models[m] == NULL ? NULL : g->models[m] + i;
    return (qn_rank_facts){.text = g->text + i,
                           .vector = g->vector + i,
                           .recall = g->recall + i,
                           .rough = g->rough + i,
                           .neural = g->neural + i,
                           .text_spread = &g->spreads[0],
                           .vector_spread = &g->spreads[1],
                           .neural_spread = &g->spreads[2],
                           .models = g->models_at,
                           .model_spreads = g->model_spreads,
                           .pool = &r->pool};
}

/* What the models that the formula names say of the rows, which stand in the order of
 * promise. */
static qn_status ask_models(run *r, const qn_rank_formula *f, grouped *g)
{
    const double *logits = NULL;
    size_t count = 0, missed = 0;
    (void)qn_rank_formula_models(f, &count);
    if (count == 0) return QN_OK;
    uint32_t *segments = qn_arena_array(r->arena, g->n + 1, sizeof *segments);
    uint32_t *docs = qn_arena_array(r->arena, g->n + 1, sizeof *docs);
    double *room = qn_arena_array(r->arena, 2 * count * g->n + 1, sizeof *room);
    if (segments == NULL || docs == NULL || room == NULL)
        return qn_fail(r->err, QN_ENOMEM, "models of a formula");
    for (size_t i = 0; i < g->n; i++) {
        segments[i] = r->rows[i].r.segment;
        docs[i] = r->rows[i].r.doc;
    }
    QN_TRY(qn_rank__ask_models(r->in, r->arena, f, segments, docs, g->n, &logits,
                               &count, &missed, r->err));
    double *by_row = room + count * g->n;
    for (size_t m = 0; m < count; m++) {
        g->models[m] = room + m * g->n;
        for (size_t i = 0; i < g->n; i++) {
            double logit = logits[m * g->n + g->order[i].row];
            g->models[m][i] = logit;
            by_row[g->order[i].row * count + m] = logit;
        }
        g->model_spreads[m] = r->model_spreads[m] = spread_of(g->models[m], g->n);
    }
    for (size_t i = 0; i < g->n; i++) r->rows[i].models = by_row + i * count;
    if (missed > 0 && r->warning_count < WARNINGS_MAX)
        (void)qn_fail(&r->warnings[r->warning_count++], QN_ETIMEOUT,
                      "the models of a formula did not reach %zu of %zu documents in "
                      "time; those count as scored lowest",
                      missed, g->n * count);
    return QN_OK;
}

static qn_status run_formula(run *r, qn_rank_formula *f, grouped *g)
{
    QN_TRY(ask_models(r, f, g));
    for (size_t begin = 0, end; begin < g->n; begin = end) {
        end = segment_end(g, begin);
        qn_rank_facts facts = facts_at(r, g, begin);
        QN_TRY(qn_rank_formula_run(f, (size_t)(g->order[begin].document >> 32),
                                   g->docs + begin, end - begin, &facts,
                                   g->values + begin, r->err));
    }
    take_warnings(r, f);
    memcpy(r->spreads, g->spreads, sizeof r->spreads);
    return QN_OK;
}

/* ---- fine --------------------------------------------------------------------------------- */

static qn_status fill_ties(run *r, const grouped *g)
{
    float *query = qn_arena_array(r->arena, g->n + 1, sizeof *query);
    float *field = qn_arena_array(r->arena, g->n + 1, sizeof *field);
    if (query == NULL || field == NULL) return qn_fail(r->err, QN_ENOMEM, "ties");
    for (size_t begin = 0, end; begin < g->n; begin = end) {
        end = segment_end(g, begin);
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
static void drop_deleted(run *r)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->row_count; i++)
        if (!r->rows[i].r.deleted) r->rows[kept++] = r->rows[i];
    r->out->dropped += r->row_count - kept;
    r->row_count = kept;
}

static void take_plugin(run *r, const grouped *g, const qn_rank_scorer *scorer)
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
static qn_status run_plugin(run *r, const qn_stage *stage, grouped *g)
{
    qn_rank_scorer *scorer = NULL;
    QN_TRY(qn_rank_scorer_open(r->in, r->arena, stage->plugin, g->n, &scorer, r->err));
    qn_status st = QN_OK;
    for (size_t begin = 0, end; st == QN_OK && begin < g->n; begin = end) {
        end = segment_end(g, begin);
        qn_rank_facts facts = facts_at(r, g, begin);
        st = qn_rank_scorer_run(scorer, begin, (size_t)(g->order[begin].document >> 32),
                                g->docs + begin, end - begin, &facts, g->values + begin,
                                r->err);
    }
    if (st == QN_OK) take_plugin(r, g, scorer);
    qn_rank_scorer_close(scorer);
    return st;
}

static qn_status run_fine_plugin(run *r, const qn_stage *stage)
{
    int64_t started = qn_clock_mono_ns();
    grouped g;
    QN_TRY(group_rows(r, r->fine_count, &g));
    QN_TRY(run_plugin(r, stage, &g));
    for (size_t i = 0; i < g.n; i++)
        r->rows[g.order[i].row].r.fine = (double)(float)g.values[i];
    if (r->in->scale == QN_RANK_HA3) QN_TRY(fill_ties(r, &g));
    size_t before = r->row_count;
    drop_deleted(r);
    r->fine_ran = true;
    report(r, "fine", before, r->fine_count, started);
    return QN_OK;
}

static qn_status run_fine(run *r, const qn_stage *stage)
{
    int64_t started = qn_clock_mono_ns();
    grouped g;
    r->fine_count = r->row_count;
    if (stage->keep != 0 && stage->keep < r->fine_count) r->fine_count = stage->keep;
    if (stage->plugin != NULL) return run_fine_plugin(r, stage);
    QN_TRY(qn_rank_formula_open(r->in, r->arena, "fine formula", stage->formula,
                                QN_EXPR_IN_FINE, &r->fine_formula, r->err));
    if (qn_rank_formula_asks_stage(r->fine_formula))
        return qn_fail(
            r->err, QN_EFUNCARGS,
            "fine formula: neural_score(), neural_logit() and neural_z() need "
            "the name of a model here, as in neural_score(\"model\"); without "
            "it they belong to the formula of a neural stage");
    QN_TRY(group_rows(r, r->fine_count, &g));
    QN_TRY(run_formula(r, r->fine_formula, &g));
    for (size_t i = 0; i < g.n; i++)
        r->rows[g.order[i].row].r.fine = (double)(float)g.values[i];
    if (r->in->scale == QN_RANK_HA3) QN_TRY(fill_ties(r, &g));
    r->fine_ran = true;
    report(r, "fine", r->row_count, r->fine_count, started);
    return QN_OK;
}

/* ---- scores ------------------------------------------------------------------------------- */

/* The last formula that scored the document, in the scale of the dialect. */
static double score_of(const run *r, const qn_ranked *d)
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

static void set_scores(run *r)
{
    for (size_t i = 0; i < r->row_count; i++)
        r->rows[i].r.score = score_of(r, &r->rows[i].r);
}

/* In a plain pipeline documents that the fine sort did not see stay behind those it saw,
 * whatever the numbers; in HA3 the numbers decide (2.4: kept as documented). */
static void set_groups(run *r, size_t scored_last)
{
    for (size_t i = 0; i < r->row_count; i++) {
        bool behind =
            r->in->scale == QN_RANK_PLAIN && r->fine_ran && isnan(r->rows[i].r.fine);
        r->rows[i].group = behind ? 1 : 0;
        if (scored_last != SIZE_MAX)
            r->rows[i].group = isnan(r->rows[i].r.neural) ? 1 + r->rows[i].group : 0;
    }
}

/* Order by what is known so far; `rank` says which member gets the places. */
static qn_status order_rows(run *r, size_t scored_last)
{
    qn_rank_input by_score = *r->in;
    by_score.sort_count = 0;
    set_scores(r);
    set_groups(r, scored_last);
    return qn_rank__sort(&by_score, r->arena, r->rows, r->row_count, r->err);
}

/* ---- neural ------------------------------------------------------------------------------- */

static qn_status ask_model(run *r, const qn_stage *stage, size_t n,
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
static qn_status blend(run *r, const qn_stage *stage, size_t n)
{
    grouped g;
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
    QN_TRY(group_rows(r, reached, &g));
    QN_TRY(run_formula(r, r->neural_formula, &g));
    for (size_t i = 0; i < reached; i++)
        r->rows[g.order[i].row].r.stage_score = (double)(float)g.values[i];
    return QN_OK;
}

static qn_status run_neural(run *r, const qn_stage *stage)
{
    int64_t started = qn_clock_mono_ns();
    size_t n = stage->keep == 0 ? QN_RANK_NEURAL_KEEP_DEFAULT : stage->keep, scored = 0;
    if (n > r->row_count) n = r->row_count;
    if (r->in->neural == NULL)
        return qn_fail(r->err, QN_EUNSUPPORTED, "no model can be run here");
    QN_TRY(order_rows(r, SIZE_MAX));
    QN_TRY(ask_model(r, stage, n, &scored));
    QN_TRY(blend(r, stage, n));
    r->out->neural_ran = true;
    r->out->neural_timed_out = scored < n;
    r->out->neural_model = stage->model;
    r->out->neural_scored = scored;
    r->out->neural_of = n;
    report(r, "neural", n, scored, started);
    QN_TRY(order_rows(r, scored));
    /* Those that were reached stand in front now. */
    for (size_t i = 0; i < scored; i++) r->rows[i].r.neural_rank = (uint32_t)i;
    return QN_OK;
}

/* ---- the end ------------------------------------------------------------------------------ */

static void set_fine_ranks(run *r)
{
    uint32_t rank = 0;
    for (size_t i = 0; i < r->row_count; i++)
        if (!isnan(r->rows[i].r.fine)) r->rows[i].r.fine_rank = rank++;
}

/* The first sort value of a row, for grades. */
static double first_value(const run *r, const qn_rank_row *row)
{
    if (r->in->sort_count == 0 || row->keys == NULL) return row->r.score;
    return row->keys[0].kind == QN_SORT_VALUE_INT ? (double)row->keys[0].i64
                                                  : row->keys[0].f64;
}

/* Rows in their final order, thinned out; at most `most` of them stay. */
static qn_status thin_rows(run *r, const qn_distinct *d, size_t most)
{
    grouped g;
    size_t n = r->row_count;
    uint32_t *segments = qn_arena_raw(r->arena, n + 1, sizeof *segments);
    uint32_t *order = qn_arena_raw(r->arena, n + 1, sizeof *order);
    double *first = qn_arena_raw(r->arena, n + 1, sizeof *first);
    qn_rank_row *rows = qn_arena_raw(r->arena, n + 1, sizeof *rows);
    if (segments == NULL || order == NULL || first == NULL || rows == NULL)
        return qn_fail(r->err, QN_ENOMEM, "distinct over %zu documents", n);
    QN_TRY(group_rows(r, n, &g));
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
    QN_TRY(thin(r, d, &job));
    r->row_count = job.kept < most ? job.kept : most;
    for (size_t i = 0; i < r->row_count; i++) rows[i] = r->rows[g.order[order[i]].row];
    if (r->row_count > 0) memcpy(r->rows, rows, r->row_count * sizeof *rows);
    return QN_OK;
}

static qn_status final_order(run *r)
{
    const qn_rank_input *in = r->in;
    int64_t started = qn_clock_mono_ns();
    const qn_distinct *early = distinct_of(r, 0), *late = distinct_of(r, 1);
    if (in->sort_count > 0) {
        QN_TRY(qn_rank__keys_fill(in, r->arena, r->rows, r->row_count, r->err));
        if (!qn_rank__by_score(in)) {
            QN_TRY(qn_rank__sort(in, r->arena, r->rows, r->row_count, r->err));
            report(r, "sort", r->row_count, r->row_count, started);
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
static qn_status trace_stage(run *r, qn_stage_kind kind, qn_rank_formula *f,
                             const qn_rank_facts *facts, const qn_ranked *d,
                             qn_trace *trace)
{
    static const struct {
        const char *title, *name;
    } names[] = {[QN_STAGE_ROUGH] = {"FirstRank", "rough"},
                 [QN_STAGE_FINE] = {"SecondRank", "fine"},
                 [QN_STAGE_NEURAL] = {"NeuralRank", "neural"}};
    const double values[] = {d->rough, d->fine, d->stage_score};
    const uint32_t ranks[] = {d->rough_rank, d->fine_rank, d->neural_rank};
    const qn_stage *stage = find_stage(r->in, kind);
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

static qn_status trace_row(run *r, const qn_rank_row *row, qn_ranked *d)
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
static bool is_traced(const run *r, const qn_ranked *d, bool shown)
{
    const qn_rank_input *in = r->in;
    if (in->trace == QN_TRACE_NONE) return false;
    if (in->watched_count == 0) return shown;
    for (size_t i = 0; i < in->watched_count; i++)
        if (in->watched[i].segment == d->segment && in->watched[i].doc == d->doc)
            return true;
    return false;
}

static qn_status finish(run *r)
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
    out->warnings = warnings;
    out->warning_count = r->warning_count;
    return QN_OK;
}

/* Does what recall left out stand behind the last row? Its bound was added up in another
 * order: a few last bits of a float. */
static bool is_unsure(const run *r)
{
    double bound = r->in->rough_bound;
    if (!r->in->pruned || r->rough == NULL || r->row_count == 0) return false;
    return r->rows[r->row_count - 1].r.rough < bound - fabs(bound) * 1e-5;
}

static qn_status run_all(run *r)
{
    const qn_stage *rough = find_stage(r->in, QN_STAGE_ROUGH);
    const qn_stage *fine = find_stage(r->in, QN_STAGE_FINE);
    const qn_stage *neural = find_stage(r->in, QN_STAGE_NEURAL);
    int64_t started = qn_clock_mono_ns();
    QN_TRY(qn_rank__pool_make(r->in, r->arena, &r->pool, r->err));
    /* A budget of documents in their order, not of the best. */
    if (r->in->rank_size > 0 && r->pool.n > r->in->rank_size)
        r->pool.n = r->in->rank_size;
    report(r, "fuse", r->pool.n, r->pool.n, started);
    r->rough_stage = rough;
    if (rough != NULL) QN_TRY(run_rough(r, rough));
    QN_TRY(make_rows(r));
    if (is_unsure(r)) {
        *r->out = (qn_rank_result){.unsure = true};
        return QN_OK;
    }
    if (fine != NULL) QN_TRY(run_fine(r, fine));
    QN_TRY(order_rows(r, SIZE_MAX));
    set_fine_ranks(r);
    if (neural != NULL) QN_TRY(run_neural(r, neural));
    QN_TRY(final_order(r));
    return finish(r);
}

qn_status qn_rank_run(const qn_rank_input *in, qn_arena *arena, qn_rank_result *out,
                      qn_error *err)
{
    *out = (qn_rank_result){0};
    if (in->stage_count > QN_RANK_STAGES_MAX)
        return qn_fail(err, QN_ELIMIT, "%zu stages, at most %d", in->stage_count,
                       QN_RANK_STAGES_MAX);
    run *r = qn_arena_new(arena, sizeof *r);
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

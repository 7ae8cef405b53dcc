/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_formula.c -- a formula over rows, in document order, with the facts it asks for. */
#include "rank/pipeline_internal.h"

#include <math.h>
#include <stdlib.h>

static int by_document(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    return (x->document > y->document) - (x->document < y->document);
}

/* The end of the run of one segment that begins at `begin`. */
size_t qn_rank__segment_end(const qn_grouped *g, size_t begin)
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
static qn_status complete_vectors(qn_ranking *r, const qn_query *leaf, qn_grouped *g)
{
    const qn_field *field = leaf->fields[0].field;
    qn_vindex_query query = {.vector = leaf->u.vector.values, .dims = field->dims};
    for (size_t begin = 0, end; begin < g->n; begin = end) {
        end = qn_rank__segment_end(g, begin);
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

static qn_status measure(qn_ranking *r, qn_grouped *g)
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

qn_status qn_rank__group_rows(qn_ranking *r, size_t n, qn_grouped *g)
{
    qn_arena *arena = r->arena;
    *g = (qn_grouped){.n = n};
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

qn_rank_facts qn_rank__facts_at(const qn_ranking *r, qn_grouped *g, size_t i)
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
static qn_status ask_models(qn_ranking *r, const qn_rank_formula *f, qn_grouped *g)
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

qn_status qn_rank__run_formula(qn_ranking *r, qn_rank_formula *f, qn_grouped *g)
{
    QN_TRY(ask_models(r, f, g));
    for (size_t begin = 0, end; begin < g->n; begin = end) {
        end = qn_rank__segment_end(g, begin);
        qn_rank_facts facts = qn_rank__facts_at(r, g, begin);
        QN_TRY(qn_rank_formula_run(f, (size_t)(g->order[begin].document >> 32),
                                   g->docs + begin, end - begin, &facts,
                                   g->values + begin, r->err));
    }
    qn_rank__take_warnings(r, f);
    memcpy(r->spreads, g->spreads, sizeof r->spreads);
    return QN_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* search_pruned.c -- the rough sort static_bm25() within recall.
 *
 * static_bm25() is a sum over words and fields of BM25's own shape with k1 = 2, b = 0.1. When
 * it alone is the rough formula and any word may match, recall itself looks for the best by
 * it: documents that cannot get among them are counted and not scored. The few that come out
 * are scored by the formula as always; what was left out scores at most `rough_bound`, and
 * should that not be below the last that goes on, everything is scored after all. So it is
 * when the fine formula, once bound, turns out to ask for the text scores of recall. */
#include "engine/search/search.h"

#include "index/bm25.h"

#include <math.h>

#define STATIC_K1 2.0f
#define STATIC_B 0.1f

enum { SPARE = 56, WORDS_MAX = 64 };

/* ---- may it be? -------------------------------------------------------------------------- */

/* "static_bm25()" or "static_bm25()*10": the factor. */
static bool is_static_bm25(qn_slice formula, double *factor)
{
    static const char call[] = "static_bm25()";
    formula = qn_slice_trim(formula);
    *factor = 1;
    if (!qn_slice_starts_with(formula, call)) return false;
    formula = qn_slice_trim(
        (qn_slice){formula.p + sizeof call - 1, formula.n - (sizeof call - 1)});
    if (formula.n == 0) return true;
    if (formula.p[0] != '*') return false;
    formula = qn_slice_trim((qn_slice){formula.p + 1, formula.n - 1});
    /* Above that the cap at 20000 would make equals of what is not. */
    return qn_slice_to_f64(formula, factor) && *factor > 0 && *factor < 5000;
}

static bool stages_allow(const qn_search *s, size_t *needed, double *factor)
{
    if (s->stage_count == 0 || s->stage_count > 2 ||
        s->stages[0].kind != QN_STAGE_ROUGH ||
        !is_static_bm25(s->stages[0].formula, factor))
        return false;
    *needed = s->wanted;
    if (s->stage_count == 1) return true;
    const qn_stage *fine = &s->stages[1];
    if (fine->kind != QN_STAGE_FINE || fine->keep == 0 || fine->plugin != NULL ||
        fine->plugin_name.n > 0)
        return false;
    if (fine->keep > *needed) *needed = fine->keep;
    return true;
}

static bool request_allows(const qn_search *s)
{
    const qn_request *r = &s->request;
    bool by_score =
        r->sort_count == 0 || (r->sort_count == 1 && r->sort[0].kind == QN_SORT_SCORE &&
                               r->sort[0].descending);
    return s->scale == QN_RANK_HA3 && s->path_count == 1 && by_score && !s->all_rows &&
           !s->recall_only && !s->options.count_only && !s->options.explain &&
           s->wanted > 0 && r->rank_size == 0 && r->aggregate_count == 0 &&
           r->distinct_count == 0 && r->layer_count == 0 && r->fetch_count == 0 &&
           r->virtual_attribute_count == 0 && r->rank_trace.n == 0 && !r->has_min_score;
}

/* Words of one index, any of which may match. */
static bool leaves_of(const qn_query *q, const qn_query *const **leaves, size_t *n)
{
    if (q->kind == QN_QUERY_BOOL) {
        const qn_query_bool *b = &q->u.boolean;
        if (b->must.n + b->filter.n + b->must_not.n > 0 || b->should_min > 1 ||
            q->boost != 1)
            return false;
        *leaves = b->should.p;
        *n = b->should.n;
    } else {
        *n = 1;
    }
    const qn_index_def *index = NULL;
    for (size_t i = 0; i < *n; i++) {
        const qn_query *leaf = q->kind == QN_QUERY_BOOL ? (*leaves)[i] : q;
        if (leaf->kind != QN_QUERY_TERM || leaf->term_count != 1 || leaf->every_field ||
            leaf->index == NULL || leaf->index->kind != QN_INDEX_TEXT ||
            leaf->field_count != leaf->index->field_count ||
            (index != NULL && leaf->index != index))
            return false;
        index = leaf->index;
    }
    return *n > 0 && *n <= WORDS_MAX;
}

/* ---- the query that scores so ---------------------------------------------------------------- */

static qn_status idf_of(const qn_search *s, const qn_field *field, qn_slice word,
                        double *exact, float *as_executed, qn_error *err)
{
    qn_term_totals df;
    qn_field_totals all = qn_snapshot_field_totals(&s->snapshot->view, field->id);
    QN_TRY(qn_snapshot_term_totals(&s->snapshot->view, field->id, word, &df, err));
    *exact = log(1 + ((double)all.doc_count - (double)df.doc_count + 0.5) /
                         ((double)df.doc_count + 0.5));
    *as_executed = df.doc_count == 0 ? 0 : qn_bm25_idf(all.doc_count, df.doc_count);
    return QN_OK;
}

typedef struct building {
    const qn_search *s;
    const qn_query **leaves; /* made: words x fields */
    size_t n;
    double own; /* sum of the words' idf */
    qn_error *err;
} building;

static qn_status add_word(building *b, const qn_query *leaf)
{
    const qn_index_def *index = leaf->index;
    double idf = 0, boosts = 0;
    for (size_t f = 0; f < index->field_count; f++) boosts += (double)index->boosts[f];
    for (size_t f = 0; f < leaf->field_count; f++) {
        const qn_field *field =
            qn_schema_field_by_id(b->s->snapshot->view.schema, index->fields[f]);
        double own = 0;
        float executed = 0;
        QN_TRY(idf_of(b->s, field, leaf->terms[0].bytes, &own, &executed, b->err));
        if (f == 0) {
            idf = own; /* the word's, as the feature has it: its first field's */
            b->own += idf;
        }
        if (!(executed > 0)) continue;
        qn_query *one = qn_query_new(b->s->arena, QN_QUERY_TERM, leaf->at);
        qn_query_field *fields = qn_arena_array(b->s->arena, 1, sizeof *fields);
        if (one == NULL || fields == NULL) return qn_fail(b->err, QN_ENOMEM, "search");
        *fields = (qn_query_field){.field = field,
                                   .boost = (float)(idf * (double)index->boosts[f] /
                                                    boosts / (double)executed)};
        one->index = index;
        one->fields = fields;
        one->field_count = 1;
        one->terms = leaf->terms;
        one->term_count = 1;
        one->weight = leaf->weight;
        b->leaves[b->n++] = one;
    }
    return QN_OK;
}

static qn_status build(building *b, const qn_query *q, const qn_query *const *leaves,
                       size_t n, const qn_query **out)
{
    *out = NULL;
    size_t fields = leaves == NULL ? q->field_count : leaves[0]->field_count;
    b->leaves = qn_arena_array(b->s->arena, n * fields + 1, sizeof *b->leaves);
    qn_query *root = qn_query_new(b->s->arena, QN_QUERY_BOOL, q->at);
    if (b->leaves == NULL || root == NULL) return qn_fail(b->err, QN_ENOMEM, "search");
    for (size_t i = 0; i < n; i++) QN_TRY(add_word(b, leaves == NULL ? q : leaves[i]));
    if (b->n == 0 || !(b->own > 0)) return QN_OK;
    root->u.boolean.should = (qn_query_list){b->leaves, b->n};
    root->u.boolean.should_min = 1;
    return qn_query_rewrite(b->s->arena, root, out, b->err);
}

qn_status qn_search__prune(qn_search *s, const qn_query **query, size_t *top_n,
                           qn_error *err)
{
    const qn_query *const *leaves = NULL;
    size_t n = 0, needed = 0;
    *query = NULL;
    if (s->unpruned || !request_allows(s) ||
        !stages_allow(s, &needed, &s->prune_factor))
        return QN_OK;
    if (!leaves_of(s->paths[0].query, &leaves, &n)) return QN_OK;
    building b = {.s = s, .err = err};
    QN_TRY(build(&b, s->paths[0].query, leaves, n, query));
    s->prune_factor /= b.own;
    *top_n = needed + SPARE;
    return QN_OK;
}

qn_exec_options qn_search__prune_options(const qn_search *s, size_t top_n)
{
    qn_exec_options o = qn_search__exec_options(s, 0);
    o.top_n = top_n;
    o.no_scores = false;
    o.bm25_k1 = STATIC_K1;
    o.bm25_b = STATIC_B;
    return o;
}

double qn_search__prune_bound(const qn_search *s)
{
    const qn_exec_result *found = &s->found[0];
    return (double)found->candidates[found->count - 1].score * s->prune_factor;
}

qn_status qn_search__text_score(qn_search *s, const qn_ranked *d, double *out,
                                qn_error *err)
{
    const qn_explanation *e = NULL;
    if (s->explainers[0] == NULL) {
        qn_exec_options o = qn_search__exec_options(s, 0);
        QN_TRY(qn_explainer_create(&s->snapshot->view, s->paths[0].query, &o, s->arena,
                                   &s->explainers[0], err));
    }
    QN_TRY(qn_explainer_run(s->explainers[0], d->segment, d->doc, s->arena, &e, err));
    *out = e->value;
    return QN_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/search/search_explain.h"

#include "nn/calls/rerank.h"

#include <math.h>

enum { DETAILS_MAX = 16 };

typedef struct details {
    quern_explanation *p;
    size_t n;
} details;

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "explanation");
}

/* ---- what the words gave -------------------------------------------------------------
 */

/* Depth is that of the query, which is bounded. */
static qn_status convert(qn_arena *arena, const qn_explanation *from,
                         quern_explanation *to, qn_error *err)
{
    size_t n = 0;
    for (const qn_explanation *it = from->first; it != NULL; it = it->next) n++;
    quern_explanation *list = qn_arena_array(arena, n + 1, sizeof *list);
    if (list == NULL) return no_memory(err);
    *to = (quern_explanation){.value = from->value,
                              .description = from->description,
                              .details = list,
                              .detail_count = n,
                              .whole = from->whole};
    for (const qn_explanation *it = from->first; it != NULL; it = it->next)
        QN_TRY(convert(arena, it, list++, err));
    return QN_OK;
}

static qn_status explain_path(qn_search *s, size_t i, const qn_ranked *d,
                              quern_explanation *out, qn_error *err)
{
    const qn_explanation *e = NULL;
    if (s->explainers[i] == NULL) {
        qn_exec_options o = qn_search__exec_options(s, i);
        QN_TRY(qn_explainer_create(&s->snapshot->view, s->paths[i].query, &o, s->arena,
                                   &s->explainers[i], err));
    }
    QN_TRY(qn_explainer_run(s->explainers[i], d->segment, d->doc, s->arena, &e, err));
    return convert(s->arena, e, out, err);
}

/* ---- what the stages gave --------------------------------------------------------------
 */

static void add(details *d, double value, const char *description)
{
    if (isnan(value) || d->n == DETAILS_MAX || description == NULL) return;
    d->p[d->n++] = (quern_explanation){.value = value, .description = description};
}

static const char *formula_text(qn_search *s, qn_stage_kind kind, const char *name,
                                uint32_t rank)
{
    for (size_t i = 0; i < s->stage_count; i++) {
        const qn_stage *stage = &s->stages[i];
        if (stage->kind != kind || stage->formula.n == 0) continue;
        return qn_arena_printf(s->arena, "%s sort: %.*s (place %u)", name,
                               QN_SLICE_ARG(stage->formula), rank);
    }
    return qn_arena_printf(s->arena, "%s sort (place %u)", name, rank);
}

static const qn_stage *neural_stage(const qn_search *s, size_t i)
{
    const qn_stage *stage = s->stages;
    for (;; stage++)
        if (stage->kind == QN_STAGE_NEURAL && i-- == 0) return stage;
}

/* What neural stage number `i` said. */
static void add_mark(qn_search *s, size_t i, const qn_neural_mark *m, details *list)
{
    const char *model = s->ranked.neural_runs[i].model;
    const qn_stage *stage = neural_stage(s, i);
    if (stage->retriever) {
        add(list, m->score,
            qn_arena_printf(s->arena,
                            "text_similarity_reranker match using inference endpoint: "
                            "[%s] on document field: [%.*s] matching on source query ",
                            model == NULL ? "" : model,
                            QN_SLICE_ARG(stage->fields[0])));
        return;
    }
    const char *passage = "";
    if (m->passages > 1)
        passage = qn_arena_printf(s->arena, ", passage %u of %u", m->passage + 1,
                                  m->passages);
    add(list, m->logit,
        qn_arena_printf(s->arena,
                        "neural rerank: logit of %s, as a score %.6f, the stage's %.6g "
                        "(place %u%s)",
                        model == NULL ? "the model" : model,
                        (double)qn_rerank_score((float)m->logit), m->score, m->rank + 1,
                        passage == NULL ? "" : passage));
}

static void add_stages(qn_search *s, const qn_ranked *d, details *list)
{
    for (size_t i = s->ranked.neural_run_count; d->marks != NULL && i-- > 0;)
        add_mark(s, i, &d->marks[i], list);
    if (!isnan(d->fine))
        add(list, d->fine, formula_text(s, QN_STAGE_FINE, "fine", d->fine_rank + 1));
    if (!isnan(d->rough))
        add(list, d->rough,
            formula_text(s, QN_STAGE_ROUGH, "rough", d->rough_rank + 1));
    if (s->path_count > 1)
        add(list, d->recall,
            qn_arena_printf(s->arena, "fused score of recall (place %u)",
                            d->recall_rank + 1));
}

/* A plain query is explained by itself, as its dialect does; stages and fusion stand
 * above what recall gave. */
qn_status qn_search__explain(qn_search *s, const qn_ranked *d,
                             const quern_explanation **out, qn_error *err)
{
    quern_explanation *root = qn_arena_new(s->arena, sizeof *root);
    details list = {qn_arena_array(s->arena, DETAILS_MAX, sizeof *list.p), 0};
    if (root == NULL || list.p == NULL) return no_memory(err);
    *out = root;
    if (s->stage_count == 0 && s->path_count == 1)
        return explain_path(s, 0, d, root, err);
    add_stages(s, d, &list);
    for (size_t i = 0; i < s->path_count && list.n < DETAILS_MAX; i++)
        QN_TRY(explain_path(s, i, d, &list.p[list.n++], err));
    root->value = d->score;
    root->description =
        qn_arena_printf(s->arena, "score (place %u), from:", d->final_rank + 1);
    root->details = list.p;
    root->detail_count = list.n;
    return root->description == NULL ? no_memory(err) : QN_OK;
}

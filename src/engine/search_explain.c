/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/search_explain.h"

#include "nn/rerank.h"

#include <math.h>

enum { DETAILS_MAX = 8 };

typedef struct details {
    quern_explanation *p;
    size_t n;
} details;

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

static void add_stages(qn_search *s, const qn_ranked *d, details *list)
{
    if (!isnan(d->neural)) {
        const char *model = s->neural.model_name;
        add(list, d->neural,
            qn_arena_printf(s->arena,
                            "neural rerank: logit of %s (place %u), as a "
                            "score %.6f",
                            model == NULL ? "the model" : model, d->neural_rank,
                            (double)qn_rerank_score((float)d->neural)));
    }
    if (!isnan(d->fine))
        add(list, d->fine, formula_text(s, QN_STAGE_FINE, "fine", d->fine_rank));
    if (!isnan(d->rough))
        add(list, d->rough, formula_text(s, QN_STAGE_ROUGH, "rough", d->rough_rank));
    if (!isnan(d->vector))
        add(list, d->vector, "vector: raw distance or similarity of the nearest leaf");
}

qn_status qn_search__explain(qn_search *s, const qn_ranked *d,
                             const quern_explanation **out, qn_error *err)
{
    details list = {qn_arena_array(s->arena, DETAILS_MAX, sizeof *list.p), 0};
    quern_explanation *root = qn_arena_new(s->arena, sizeof *root);
    if (list.p == NULL || root == NULL) return qn_fail(err, QN_ENOMEM, "explanation");
    add_stages(s, d, &list);
    add(&list, d->text, "text: BM25 of the words found");
    root->value = d->score;
    root->description =
        qn_arena_printf(s->arena, "score, place %u; recall gave %.6f at place %u",
                        d->final_rank, d->recall, d->recall_rank);
    if (root->description == NULL) return qn_fail(err, QN_ENOMEM, "explanation");
    root->details = list.p;
    root->detail_count = list.n;
    *out = root;
    return QN_OK;
}

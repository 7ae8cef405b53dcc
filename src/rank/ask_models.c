/* SPDX-License-Identifier: Apache-2.0 */
/* ask_models.c -- the scores of the models that a formula names, before it runs. */
#include "rank/rank_internal.h"

#include <math.h>

static qn_status ask_one(const qn_rank_input *in, qn_arena *arena,
                         const qn_rank_model_ask *ask, const uint32_t *segments,
                         const uint32_t *docs, size_t n, double *out, size_t *missed,
                         qn_error *err)
{
    qn_rank_neural_answer *answers = qn_arena_array(arena, n + 1, sizeof *answers);
    if (answers == NULL) return qn_fail(err, QN_ENOMEM, "models of a formula");
    const qn_deadline none = {0};
    const char *name = NULL;
    const qn_rank_neural_ask question = {
        .model = ask->model,
        .fields = ask->fields,
        .field_count = ask->field_count,
        .segments = segments,
        .docs = docs,
        .n = n,
        .deadline = in->deadline == NULL ? &none : in->deadline,
    };
    QN_TRY(in->neural(in->neural_ctx, &question, answers, &name, err));
    for (size_t i = 0; i < n; i++) {
        out[i] = answers[i].scored ? (double)answers[i].logit : (double)NAN;
        *missed += !answers[i].scored;
    }
    return QN_OK;
}

qn_status qn_rank__ask_models(const qn_rank_input *in, qn_arena *arena,
                              const qn_rank_formula *f, const uint32_t *segments,
                              const uint32_t *docs, size_t n, const double **out,
                              size_t *count, size_t *missed, qn_error *err)
{
    const qn_rank_model_ask *asks = qn_rank_formula_models(f, count);
    *out = NULL;
    *missed = 0;
    if (*count == 0) return QN_OK;
    if (in->neural == NULL)
        return qn_fail(err, QN_EUNSUPPORTED, "no model can be run here");
    double *logits = qn_arena_array(arena, *count * n + 1, sizeof *logits);
    if (logits == NULL) return qn_fail(err, QN_ENOMEM, "models of a formula");
    for (size_t m = 0; m < *count; m++)
        QN_TRY(ask_one(in, arena, &asks[m], segments, docs, n, logits + m * n, missed,
                       err));
    *out = logits;
    return QN_OK;
}

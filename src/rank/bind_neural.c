/* SPDX-License-Identifier: Apache-2.0 */
/* bind_neural.c -- scores of cross-encoders as terms of formulas.
 *
 * neural_score() without a name is the score of the pipeline's neural stage. With a name,
 * neural_score("model") of a fine formula has that model read the documents of the fine
 * sort before the formula runs; a document it did not reach in time scores 0, less than
 * any it read. neural_logit() and neural_z() then take the least logit. */
#include "rank/bind_internal.h"

#include <math.h>

static bool same_fields(const qn_rank_model_ask *a, const qn_slice *fields, size_t n)
{
    if (a->field_count != n) return false;
    for (size_t i = 0; i < n; i++)
        if (!qn_slice_eq(a->fields[i], fields[i])) return false;
    return true;
}

static qn_status add_model(qn_binding *b, const qn_expr_arg *name,
                           const qn_slice *fields, size_t n, size_t *out, qn_error *err)
{
    for (*out = 0; *out < b->model_count; (*out)++)
        if (qn_slice_eq_str(name->text, b->models[*out].model) &&
            same_fields(&b->models[*out], fields, n))
            return QN_OK;
    if (b->model_count == QN_RANK_MODELS_MAX)
        return qn_fail_at(err, QN_ELIMIT, name->at, "a formula asks at most %d models",
                          QN_RANK_MODELS_MAX);
    const char *text = qn_arena_strndup(b->arena, name->text.p, name->text.n);
    if (text == NULL) return qn_fail(err, QN_ENOMEM, "model of a formula");
    b->models[b->model_count++] = (qn_rank_model_ask){text, fields, n};
    return QN_OK;
}

/* "title#body" */
static qn_status read_fields(qn_binding *b, const qn_expr_arg *arg,
                             const qn_slice **fields, size_t *n, qn_error *err)
{
    const qn_schema *schema = b->in->snapshot->schema;
    qn_slice rest = qn_arena_slice(b->arena, arg->text);
    qn_slice *list = qn_arena_array(b->arena, arg->text.n + 1, sizeof *list);
    if (list == NULL || rest.p == NULL)
        return qn_fail(err, QN_ENOMEM, "fields of a formula");
    *fields = list;
    while (rest.n > 0) {
        const char *hash = memchr(rest.p, '#', rest.n);
        qn_slice name = {rest.p, hash == NULL ? rest.n : (size_t)(hash - rest.p)};
        size_t used = name.n + (hash != NULL);
        rest = (qn_slice){rest.p + used, rest.n - used};
        name = qn_slice_trim(name);
        if (name.n == 0) continue;
        if (qn_schema_field(schema, name) == NULL) {
            const char *near = qn_schema_nearest(schema, name);
            return qn_fail_at(err, QN_ENOATTR, arg->at, "no field '%.*s'%s%s%s",
                              QN_SLICE_ARG(name),
                              near == NULL ? "" : "; did you mean '",
                              near == NULL ? "" : near, near == NULL ? "" : "'?");
        }
        list[(*n)++] = name;
    }
    return QN_OK;
}

qn_status qn_slot_neural_make(qn_binding *b, qn_slot *slot, qn_slice function,
                              const qn_expr_arg *args, size_t n, qn_error *err)
{
    const qn_slice *fields = NULL;
    size_t field_count = 0;
    slot->model = SIZE_MAX;
    if (n == 0) {
        b->asks_stage_model = true;
        return QN_OK;
    }
    if (args[0].kind != QN_EXPR_ARG_NAME && args[0].kind != QN_EXPR_ARG_STRING)
        return qn_fail_at(err, QN_EFUNCARGS, args[0].at,
                          "the name of a model is expected");
    if (qn_slice_eq_str(function, "text_relevance_llm"))
        QN_TRY(read_fields(b, &args[1], &fields, &field_count, err));
    return add_model(b, &args[0], fields, field_count, &slot->model, err);
}

double qn_slot_standardised(double value, const qn_rank_spread *spread)
{
    if (spread == NULL) return 0;
    if (isnan(value)) value = spread->least;
    return spread->deviation > 0 ? (value - spread->mean) / spread->deviation : 0;
}

double qn_slot_neural_value(const qn_binding *b, const qn_slot *slot, size_t fact)
{
    const qn_rank_facts *f = b->facts;
    bool stage = slot->model == SIZE_MAX;
    const double *logits = stage               ? f->neural
                           : f->models == NULL ? NULL
                                               : f->models[slot->model];
    const qn_rank_spread *spread = stage ? f->neural_spread
                                   : f->model_spreads == NULL
                                       ? NULL
                                       : &f->model_spreads[slot->model];
    double logit = logits == NULL ? (double)NAN : logits[fact];
    switch (slot->kind) {
    case QN_SLOT_NEURAL_SCORE:
        return isnan(logit) ? 0 : 1 / (1 + exp(-logit));
    case QN_SLOT_NEURAL_LOGIT:
        if (!isnan(logit)) return logit;
        return stage || spread == NULL ? 0 : spread->least;
    default:
        return qn_slot_standardised(logit, spread);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* vectors_api.c -- the public calls of models that make sparse vectors or a vector for
 * each token. */
#include "engine/engine_internal.h"
#include "nn/calls/embed.h"

typedef struct texts_call {
    quern *q;
    quern_embed_options o;
    qn_model *model;
    qn_deadline deadline;
    qn_serving serving;
    qn_slice *slices;
    qn_embed_ids *ids;
    qn_embed_item *items;
    size_t count;
    qn_embed_options options;
} texts_call;

static void call_free(texts_call *c)
{
    qn_delete(c->q->alloc, c->slices);
    qn_delete(c->q->alloc, c->ids);
    qn_delete(c->q->alloc, c->items);
    qn_models_release(c->q->models, c->model);
}

static qn_status copy_texts(texts_call *c, const quern_text *texts, qn_error *err)
{
    qn_alloc *a = c->q->alloc;
    c->slices = qn_new_array(a, c->count + 1, sizeof *c->slices);
    c->items = qn_new_array(a, c->count + 1, sizeof *c->items);
    if (c->o.ids != NULL) c->ids = qn_new_array(a, c->count + 1, sizeof *c->ids);
    if (c->slices == NULL || c->items == NULL || (c->o.ids != NULL && c->ids == NULL))
        return qn_fail(err, QN_ENOMEM, "embed");
    for (size_t i = 0; i < c->count; i++) {
        c->slices[i] = (qn_slice){texts[i].text, texts[i].size};
        if (c->ids != NULL)
            c->ids[i] = (qn_embed_ids){c->o.ids[i].ids, c->o.ids[i].count};
    }
    return QN_OK;
}

static qn_status prepare(texts_call *c, const quern_embed_options *given,
                         qn_model_task task, const quern_text *texts, qn_error *err)
{
    QN_TRY(qn_engine_embed_options(&c->o, given, err));
    const quern_embed_options *o = &c->o;
    c->deadline = (qn_deadline){.cancelled = o->cancel};
    if (o->timeout_ms > 0) c->deadline = qn_deadline_in_ms(o->timeout_ms, o->cancel);
    QN_TRY(
        qn_models_get_by(c->q->models, o->model, task, &c->deadline, &c->model, err));
    c->serving = qn_models_serving(c->q->models, c->model, (qn_priority)o->priority);
    QN_TRY(copy_texts(c, texts, err));
    c->options = (qn_embed_options){
        .max_tokens = o->tokens_max,
        .deadline = &c->deadline,
        .serving = &c->serving,
        .refuse_long = o->refuse_long,
        .keep_ends = o->keep_ends,
        .specials_are_text = o->plain_special_tokens,
        .ids = c->ids,
        .role = qn_engine_text_role(o),
        .prompt_name = o->prompt_name,
    };
    return QN_OK;
}

static quern_embed_item item_of(const texts_call *c, size_t i)
{
    return (quern_embed_item){c->items[i].tokens, c->items[i].truncated};
}

/* ---- sparse ------------------------------------------------------------------------- */

typedef void each_sparse(void *ctx, size_t index, const quern_term *terms, size_t n,
                         const quern_embed_item *item);

static qn_status tell_sparse(const texts_call *c, const qn_sparse_vector *all,
                             each_sparse *each, void *ctx, qn_error *err)
{
    size_t most = 0;
    for (size_t i = 0; i < c->count; i++)
        if (all[i].n > most) most = all[i].n;
    quern_term *terms = qn_new_array(c->q->alloc, most + 1, sizeof *terms);
    const qn_tokenizer *tokenizer = qn_model_tokenizer(c->model);
    if (terms == NULL) return qn_fail(err, QN_ENOMEM, "embed");
    for (size_t i = 0; i < c->count; i++) {
        quern_embed_item item = item_of(c, i);
        for (size_t k = 0; k < all[i].n; k++) {
            qn_slice token = qn_tokenizer_piece(tokenizer, all[i].terms[k].id);
            terms[k] = (quern_term){all[i].terms[k].id, all[i].terms[k].weight, token.p,
                                    token.n};
        }
        each(ctx, i, terms, all[i].n, &item);
    }
    qn_delete(c->q->alloc, terms);
    return QN_OK;
}

qn_status quern_embed_sparse(quern *q, const quern_embed_options *given, size_t top_k,
                             float weight_min, const quern_text *texts, size_t count,
                             each_sparse *each, void *ctx, qn_error *err)
{
    texts_call c = {.q = q, .count = count};
    qn_sparse_vector *all = NULL;
    qn_status st;
    QN_TRY_TO(out, prepare(&c, given, QN_MODEL_SPARSE, texts, err));
    all = qn_new_array(q->alloc, count + 1, sizeof *all);
    if (all == NULL) {
        st = qn_fail(err, QN_ENOMEM, "embed");
        goto out;
    }
    qn_sparse_options options = {
        .text = &c.options, .top_k = top_k, .min_weight = weight_min};
    st = qn_sparse_run(c.model, c.slices, count, &options, q->alloc, all, c.items, err);
    if (st == QN_OK) st = tell_sparse(&c, all, each, ctx, err);
    qn_sparse_free(q->alloc, all, count);
out:
    qn_delete(q->alloc, all);
    call_free(&c);
    return st;
}

/* ---- token vectors ------------------------------------------------------------------ */

qn_status quern_embed_tokens(quern *q, const quern_embed_options *given,
                             const quern_text *texts, size_t count,
                             void (*each)(void *ctx, size_t index, const float *vectors,
                                          const uint32_t *ids, size_t n, size_t dims,
                                          const quern_embed_item *item),
                             void *ctx, qn_error *err)
{
    texts_call c = {.q = q, .count = count};
    qn_token_vectors *all = NULL;
    qn_status st;
    QN_TRY_TO(out, prepare(&c, given, QN_MODEL_TOKENS, texts, err));
    all = qn_new_array(q->alloc, count + 1, sizeof *all);
    if (all == NULL) {
        st = qn_fail(err, QN_ENOMEM, "embed");
        goto out;
    }
    st = qn_token_vectors_run(c.model, c.slices, count, &c.options, q->alloc, all,
                              c.items, err);
    for (size_t i = 0; st == QN_OK && i < count; i++) {
        quern_embed_item item = item_of(&c, i);
        each(ctx, i, all[i].values, all[i].ids, all[i].n,
             qn_model_describe(c.model)->dims, &item);
    }
    qn_token_vectors_free(q->alloc, all, count);
out:
    qn_delete(q->alloc, all);
    call_free(&c);
    return st;
}

float quern_max_sim(const float *query, size_t query_count, const float *document,
                    size_t document_count, size_t dims)
{
    /* The values are only read: the structure has no const of its own. */
    const qn_token_vectors a = {(float *)(uintptr_t)query, NULL, query_count};
    const qn_token_vectors b = {(float *)(uintptr_t)document, NULL, document_count};
    return qn_max_sim(qn_kernels_best(), &a, &b, dims);
}

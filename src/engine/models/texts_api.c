/* SPDX-License-Identifier: Apache-2.0 */
/* texts_api.c -- the public calls that turn texts into vectors and into tokens. */
#include "engine/engine_internal.h"
#include "nn/calls/embed.h"

#include "base/bits.h"

#include <math.h>

/* ---- vectors ---------------------------------------------------------------------- */

/* What is common to all calls. */
qn_status qn_engine_embed_options(quern_embed_options *o,
                                  const quern_embed_options *given, qn_error *err)
{
    *o = (quern_embed_options)QUERN_EMBED_OPTIONS_INIT;
    if (given == NULL) return QN_OK;
    if (given->size > sizeof *o)
        return qn_fail(err, QN_EINVAL, "quern_embed_options of a newer version");
    memcpy(o, given, given->size);
    if (o->role != NULL && strcmp(o->role, "query") != 0 &&
        strcmp(o->role, "document") != 0)
        return qn_fail(err, QN_EINVAL, "role [%.64s]: known are query, document",
                       o->role);
    if (o->priority != QUERN_PRIORITY_INTERACTIVE && o->priority != QUERN_PRIORITY_BULK)
        return qn_fail(err, QN_EINVAL, "priority %d is none", (int)o->priority);
    return QN_OK;
}

qn_text_role qn_engine_text_role(const quern_embed_options *o)
{
    if (o->role == NULL) return QN_TEXT_PLAIN;
    return strcmp(o->role, "query") == 0 ? QN_TEXT_QUERY : QN_TEXT_DOCUMENT;
}

typedef struct embed_call {
    quern *q;
    quern_embed_options o;
    qn_deadline deadline;
    qn_model *model;
    size_t dims, dims_out;
    bool scale; /* the result is scaled to length 1 here */
} embed_call;

static qn_status read_options(embed_call *c, const quern_embed_options *given,
                              qn_error *err)
{
    QN_TRY(qn_engine_embed_options(&c->o, given, err));
    c->deadline = (qn_deadline){.cancelled = c->o.cancel};
    if (c->o.timeout_ms > 0)
        c->deadline = qn_deadline_in_ms(c->o.timeout_ms, c->o.cancel);
    QN_TRY(qn_models_get_by(c->q->models, c->o.model, QN_MODEL_EMBED, &c->deadline,
                            &c->model, err));
    const qn_model_info *info = qn_model_describe(c->model);
    c->dims = info->dims;
    c->dims_out = c->o.dims == 0 ? c->dims : c->o.dims;
    if (c->dims_out > c->dims)
        return qn_fail(err, QN_EDIMS, "the model %s gives %zu dimensions, not %zu",
                       info->name, c->dims, c->dims_out);
    bool one = c->o.length == QUERN_LENGTH_ONE ||
               (c->o.length == QUERN_LENGTH_OF_MODEL && info->normalize);
    c->scale = one && (c->dims_out < c->dims || !info->normalize);
    return QN_OK;
}

static void scale_to_one(float *v, size_t n)
{
    double square = 0.0;
    for (size_t i = 0; i < n; i++) square += (double)v[i] * (double)v[i];
    double length = fmax(sqrt(square), 1e-12);
    for (size_t i = 0; i < n; i++) v[i] = (float)((double)v[i] / length);
}

/* `whole` to `out`: the numbers that were asked for. The two may be the same. */
static void shape(const embed_call *c, const float *whole, size_t count, float *out)
{
    for (size_t i = 0; i < count; i++) {
        float *v = out + i * c->dims_out;
        if (whole + i * c->dims != v)
            memmove(v, whole + i * c->dims, c->dims_out * sizeof *v);
        if (c->scale) scale_to_one(v, c->dims_out);
    }
}

static qn_status run(const embed_call *c, const qn_slice *slices, size_t count,
                     float *out, qn_embed_item *items, qn_error *err)
{
    const quern_embed_options *o = &c->o;
    qn_serving serving =
        qn_models_serving(c->q->models, c->model, (qn_priority)o->priority);
    qn_embed_ids *ids = NULL;
    if (o->ids != NULL) {
        ids = qn_new_array(c->q->alloc, count + 1, sizeof *ids);
        if (ids == NULL) return qn_fail(err, QN_ENOMEM, "embed");
        for (size_t i = 0; i < count; i++)
            ids[i] = (qn_embed_ids){o->ids[i].ids, o->ids[i].count};
    }
    qn_embed_options options = {
        .max_tokens = o->tokens_max,
        .deadline = &c->deadline,
        .serving = &serving,
        .refuse_long = o->refuse_long,
        .keep_ends = o->keep_ends,
        .specials_are_text = o->plain_special_tokens,
        .as_pooled = o->length == QUERN_LENGTH_AS_POOLED,
        .ids = ids,
        .role = qn_engine_text_role(o),
        .prompt_name = o->prompt_name,
    };
    qn_status st = qn_embed_run(c->model, slices, count, &options, out, items, err);
    qn_delete(c->q->alloc, ids);
    return st;
}

static qn_status embed_all(const embed_call *c, const quern_text *texts, size_t count,
                           float *out, size_t out_floats, quern_embed_item *items,
                           qn_error *err)
{
    size_t need = 0, all = 0;
    if (!qn_mul_size(count, c->dims_out, &need) || !qn_mul_size(count, c->dims, &all) ||
        need > out_floats)
        return qn_fail(err, QN_EINVAL, "room for %zu numbers, %zu texts make %zu",
                       out_floats, count, need);
    qn_alloc *a = c->q->alloc;
    qn_slice *slices = qn_new_array(a, count + 1, sizeof *slices);
    qn_embed_item *told = qn_new_array(a, count + 1, sizeof *told);
    float *whole = all == need ? out : qn_new_array(a, all + 1, sizeof *whole);
    qn_status st = slices == NULL || told == NULL || whole == NULL
                       ? qn_fail(err, QN_ENOMEM, "embed")
                       : QN_OK;
    for (size_t i = 0; st == QN_OK && i < count; i++)
        slices[i] = (qn_slice){texts[i].text, texts[i].size};
    if (st == QN_OK) st = run(c, slices, count, whole, told, err);
    if (st == QN_OK) shape(c, whole, count, out);
    for (size_t i = 0; st == QN_OK && items != NULL && i < count; i++)
        items[i] = (quern_embed_item){told[i].tokens, told[i].truncated};
    if (whole != out) qn_delete(a, whole);
    qn_delete(a, slices);
    qn_delete(a, told);
    return st;
}

qn_status quern_embed_texts(quern *q, const quern_embed_options *given,
                            const quern_text *texts, size_t count, float *out,
                            size_t out_floats, quern_embed_item *items, qn_error *err)
{
    embed_call c = {.q = q};
    qn_status st = read_options(&c, given, err);
    if (st == QN_OK) st = embed_all(&c, texts, count, out, out_floats, items, err);
    qn_models_release(q->models, c.model);
    return st;
}

qn_status quern_embed(quern *q, const char *model_name, const quern_text *texts,
                      size_t count, int64_t timeout_ms, const quern_cancel *cancel,
                      float *out, size_t out_floats, uint64_t *token_count,
                      qn_error *err)
{
    quern_embed_options o = QUERN_EMBED_OPTIONS_INIT;
    o.model = model_name;
    o.timeout_ms = timeout_ms;
    o.cancel = cancel;
    if (token_count == NULL)
        return quern_embed_texts(q, &o, texts, count, out, out_floats, NULL, err);
    *token_count = 0;
    quern_embed_item *items = qn_new_array(q->alloc, count + 1, sizeof *items);
    if (items == NULL) return qn_fail(err, QN_ENOMEM, "embed");
    qn_status st = quern_embed_texts(q, &o, texts, count, out, out_floats, items, err);
    for (size_t i = 0; st == QN_OK && i < count; i++) *token_count += items[i].tokens;
    qn_delete(q->alloc, items);
    return st;
}

/* ---- tokens ------------------------------------------------------------------------- */

enum { TOKENIZE_ARENA_LIMIT = 1 << 28 };

static void tell_special(const qn_tokenizer *t, uint32_t id,
                         void (*each)(void *ctx, const quern_piece *piece), void *ctx)
{
    qn_slice name = qn_tokenizer_piece(t, id);
    each(ctx, &(quern_piece){
                  .id = id, .text = name.p, .text_size = name.n, .special = true});
}

static void tell_pieces(const qn_tokenizer *t, quern_text text, const qn_pieces *p,
                        const qn_encoding *whole,
                        void (*each)(void *ctx, const quern_piece *piece), void *ctx)
{
    /* The special tokens stand around the pieces: so many before them. */
    size_t extra = whole->n - p->n, before = 0;
    while (before < extra && p->n > 0 &&
           memcmp(whole->ids + before, p->ids, p->n * sizeof *p->ids) != 0)
        before++;
    if (p->n == 0) before = extra;
    for (size_t i = 0; i < before; i++) tell_special(t, whole->ids[i], each, ctx);
    for (size_t i = 0; i < p->n; i++)
        each(ctx, &(quern_piece){.id = p->ids[i],
                                 .text = text.text + p->start[i],
                                 .text_size = p->end[i] - p->start[i],
                                 .start = p->start[i],
                                 .end = p->end[i]});
    for (size_t i = before + p->n; i < whole->n; i++)
        tell_special(t, whole->ids[i], each, ctx);
}

qn_status quern_tokenize(quern *q, const char *model_name, quern_text text,
                         bool special,
                         void (*each)(void *ctx, const quern_piece *piece), void *ctx,
                         qn_error *err)
{
    qn_model *model = NULL;
    if (model_name == NULL || model_name[0] == '\0')
        QN_TRY(qn_models_get(q->models, NULL, QN_MODEL_RERANK, &model, err));
    else
        QN_TRY(qn_models_any(q->models, model_name, &model, err));
    const qn_tokenizer *t = qn_model_tokenizer(model);
    qn_arena arena;
    qn_arena_init(&arena, q->alloc, TOKENIZE_ARENA_LIMIT);
    qn_pieces pieces = {0};
    qn_encoding whole = {0};
    qn_status st = qn_tokenizer_encode(t, (qn_slice){text.text, text.size},
                                       QN_TOKENIZE_SPECIALS, &arena, &pieces, err);
    if (st == QN_OK && special)
        st =
            qn_tokenizer_join(t, &pieces, NULL, pieces.n + qn_tokenizer_extra(t, false),
                              QN_TRUNCATE_NONE, &arena, &whole, err);
    else if (st == QN_OK)
        whole = (qn_encoding){.ids = pieces.ids, .n = pieces.n};
    if (st == QN_OK) tell_pieces(t, text, &pieces, &whole, each, ctx);
    qn_arena_deinit(&arena);
    qn_models_release(q->models, model);
    return st;
}

qn_status quern_detokenize(quern *q, const char *model_name, const uint32_t *ids,
                           size_t count, bool skip_special, char **text,
                           size_t *text_size, qn_error *err)
{
    qn_model *model = NULL;
    *text = NULL;
    if (model_name == NULL || model_name[0] == '\0')
        QN_TRY(qn_models_get(q->models, NULL, QN_MODEL_RERANK, &model, err));
    else
        QN_TRY(qn_models_any(q->models, model_name, &model, err));
    qn_arena arena;
    qn_buf out;
    qn_slice found = {0};
    qn_arena_init(&arena, q->alloc, TOKENIZE_ARENA_LIMIT);
    qn_buf_init(&out, q->alloc);
    qn_status st = qn_tokenizer_decode(qn_model_tokenizer(model), ids, count,
                                       skip_special, &arena, &found, err);
    if (st == QN_OK) qn_buf_add_slice(&out, found);
    st = qn_engine_reply(&out, st, text, text_size, err);
    qn_arena_deinit(&arena);
    qn_models_release(q->models, model);
    return st;
}

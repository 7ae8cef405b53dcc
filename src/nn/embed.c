/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/embed.h"

#include "nn/nn_internal.h"

#include <math.h>

enum { ARENA_LIMIT = 256 * 1024 * 1024 };

typedef struct job {
    qn_nn_work work; /* first: its functions get the job */
    const qn_slice *texts;
    size_t max_tokens;
    const qn_embed_options *options;
    float *out;
    qn_embed_item *items;
    atomic_size_t done;
} job;

/* A text given as ids is a sequence as it stands. */
static qn_status encode_ids(const job *j, size_t i, qn_arena *arena, qn_encoding *e,
                            qn_error *err)
{
    const qn_embed_ids *given = &j->options->ids[i];
    size_t vocabulary = qn_tokenizer_vocab_size(j->work.model->tokenizer);
    if (given->n == 0) return qn_fail(err, QN_EINVAL, "a list of token ids is empty");
    if (given->n > j->max_tokens && j->options->refuse_long)
        return qn_fail(err, QN_ETOOLONG, "%zu token ids, the model reads %zu", given->n,
                       j->max_tokens);
    e->n = given->n < j->max_tokens ? given->n : j->max_tokens;
    e->ids = qn_arena_array(arena, e->n, sizeof *e->ids);
    e->types = qn_arena_array(arena, e->n, sizeof *e->types);
    if (e->ids == NULL || e->types == NULL) return qn_fail(err, QN_ENOMEM, "token ids");
    memset(e->types, 0, e->n);
    for (size_t k = 0; k < e->n; k++) {
        if (given->ids[k] >= vocabulary)
            return qn_fail(err, QN_EINVAL,
                           "token id %u: the model's vocabulary ends at %zu (ids must "
                           "come from its own tokenizer)",
                           given->ids[k], vocabulary - 1);
        e->ids[k] = given->ids[k];
    }
    e->kept.truncated = e->n < given->n;
    return QN_OK;
}

static qn_status encode_text(const job *j, size_t i, qn_arena *arena, qn_encoding *e,
                             qn_error *err)
{
    const qn_embed_options *o = j->options;
    if (o->ids != NULL && o->ids[i].ids != NULL) return encode_ids(j, i, arena, e, err);
    qn_truncation how = o->refuse_long ? QN_TRUNCATE_NONE : QN_TRUNCATE_LONGEST_FIRST;
    qn_pieces pieces = {0};
    QN_TRY(qn_nn__encode(j->work.model, j->texts[i], o->specials_are_text,
                         j->max_tokens, arena, &pieces, err));
    return qn_tokenizer_join(j->work.model->tokenizer, &pieces, NULL, j->max_tokens,
                             how, arena, e, err);
}

static qn_status add_text(job *j, qn_nn_scratch *s, size_t i, qn_error *err)
{
    qn_arena arena;
    qn_arena_init(&arena, j->work.model->alloc, ARENA_LIMIT);
    qn_encoding e = {0};
    qn_status st = encode_text(j, i, &arena, &e, err);
    if (st == QN_OK) {
        if (j->items != NULL)
            j->items[i] = (qn_embed_item){(uint32_t)e.n, e.kept.truncated};
        qn_nn__batch_add(s, &e, i);
    }
    qn_arena_deinit(&arena);
    if (st != QN_OK && err->file[0] == '\0') {
        qn_error inner = *err;
        return qn_fail(err, st, "text %zu: %.400s", i, inner.text);
    }
    return st;
}

static void normalize(float *v, size_t n)
{
    double square = 0.0;
    for (size_t i = 0; i < n; i++) square += (double)v[i] * (double)v[i];
    double length = fmax(sqrt(square), 1e-12);
    for (size_t i = 0; i < n; i++) v[i] = (float)((double)v[i] / length);
}

static qn_status use(qn_nn_work *w, qn_nn_scratch *s, qn_error *err)
{
    job *j = (job *)w;
    const qn_model *m = w->model;
    size_t H = m->config.hidden;
    bool first_only = m->info.pooling == QN_POOL_CLS;
    if (s->st != QN_OK) *err = s->err;
    QN_TRY(s->st);
    for (size_t i = 0; i < s->sequences; i++) {
        size_t at = first_only ? i : s->starts[i];
        size_t n = first_only ? 1 : s->starts[i + 1] - s->starts[i];
        float *out = j->out + s->item[i] * H;
        qn_pool_rows(s->rows + at * H, n, H, out);
        if (m->info.normalize && !j->options->as_pooled) normalize(out, H);
        for (size_t c = 0; c < H; c++)
            if (!isfinite(out[c]))
                return qn_fail(err, QN_EMODEL, "the vector of text %u is not finite",
                               s->item[i]);
    }
    atomic_fetch_add(&j->done, s->sequences);
    return QN_OK;
}

static qn_status fill(qn_nn_work *w, qn_nn_scratch *s, qn_error *err)
{
    job *j = (job *)w;
    size_t taken = atomic_load(&w->next);
    size_t share = (taken < w->items ? w->items - taken : 0) / w->workers + 1;
    while (s->sequences < share && !qn_nn__batch_full(s) &&
           !atomic_load(&w->failure.stop)) {
        size_t i = atomic_fetch_add(&w->next, 1);
        if (i >= w->items) break;
        QN_TRY(add_text(j, s, i, err));
    }
    return QN_OK;
}

/* A call that was left by its time has vectors missing. */
static qn_status whole(job *j, qn_error *err)
{
    size_t done = atomic_load(&j->done);
    if (done == j->work.items) return QN_OK;
    bool cancelled = qn_deadline_cancelled(j->options->deadline);
    return qn_fail(err, cancelled ? QN_ECANCELLED : QN_ETIMEOUT,
                   "%s after %zu of %zu texts",
                   cancelled ? "cancelled" : "the time was up", done, j->work.items);
}

qn_status qn_embed_run(qn_model *model, const qn_slice *texts, size_t n,
                       const qn_embed_options *options, float *out,
                       qn_embed_item *items, qn_error *err)
{
    static const qn_embed_options defaults;
    const qn_embed_options *o = options == NULL ? &defaults : options;
    const qn_model_info *info = &model->info;
    if (info->task != QN_MODEL_EMBED)
        return qn_fail(err, QN_EMODELTASK, "model %s reranks, it makes no vectors",
                       info->name);
    if (n > UINT32_MAX) return qn_fail(err, QN_ELIMIT, "%zu texts", n);
    job j = {.work = {.model = model,
                      .items = n,
                      .fill = fill,
                      .use = use,
                      .deadline = o->deadline,
                      .pool = o->pool,
                      .serving = o->serving,
                      .whole = true},
             .texts = texts,
             .options = o,
             .out = out,
             .items = items};
    j.max_tokens = o->max_tokens == 0 || o->max_tokens > info->max_tokens
                       ? info->max_tokens
                       : o->max_tokens;
    if (j.max_tokens < 3)
        return qn_fail(err, QN_EINVAL, "max_tokens is %zu, at least 3", j.max_tokens);
    for (size_t i = 0; i < n; i++)
        j.work.tokens += qn_nn__guess_tokens(texts[i], j.max_tokens);
    qn_nn__work_prepare(&j.work);
    QN_TRY(qn_nn__work_run(&j.work, err));
    return whole(&j, err);
}

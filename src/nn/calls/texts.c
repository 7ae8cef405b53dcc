/* SPDX-License-Identifier: Apache-2.0 */
/* texts.c -- texts to sequences: prompts, lengths, added tokens; the way of a call that
 * makes something of each text. */
#include "nn/nn_internal.h"

#include <stdio.h>

enum { ARENA_LIMIT = 256 * 1024 * 1024 };

/* ---- prompts ---------------------------------------------------------------- */

static qn_status unknown_prompt(const qn_model_info *info, const char *name,
                                qn_error *err)
{
    char known[256] = "none";
    size_t n = 0;
    for (size_t i = 0; i < info->prompt_count && n < sizeof known; i++) {
        int more = snprintf(known + n, sizeof known - n, "%s%s", i == 0 ? "" : ", ",
                            info->prompts[i].name);
        n += more > 0 ? (size_t)more : 0;
    }
    return qn_fail(err, QN_EINVAL, "the model %s has no prompt [%.100s]; it has: %s",
                   info->name, name, known);
}

/* The named prompt, that of the role, or the default. */
static qn_status choose_prompt(qn_nn_texts *j, qn_error *err)
{
    static const char *const of_documents[] = {"document", "passage", "corpus"};
    const qn_embed_options *o = j->options;
    const qn_model_info *info = &j->work.model->info;
    const qn_prompt *p = NULL;
    if (o->prompt != NULL) {
        size_t n = strlen(o->prompt);
        if (n > QN_PROMPT_BYTES_MAX)
            return qn_fail(err, QN_ELIMIT, "a prompt of %zu bytes, at most %d", n,
                           QN_PROMPT_BYTES_MAX);
        return QN_OK;
    }
    if (o->prompt_name != NULL) {
        p = qn_model_prompt(info, qn_slice_of(o->prompt_name));
        if (p == NULL) return unknown_prompt(info, o->prompt_name, err);
    }
    if (p == NULL && o->role == QN_TEXT_QUERY)
        p = qn_model_prompt(info, QN_SLICE_LIT("query"));
    for (size_t i = 0; p == NULL && o->role == QN_TEXT_DOCUMENT && i < 3; i++)
        p = qn_model_prompt(info, qn_slice_of(of_documents[i]));
    if (p == NULL && info->default_prompt != NULL)
        p = qn_model_prompt(info, qn_slice_of(info->default_prompt));
    j->prompt = p;
    if (p != NULL) j->marker = j->work.model->markers[p - info->prompts];
    return QN_OK;
}

static const char *prompt_text(const qn_nn_texts *j)
{
    if (j->options->prompt != NULL) return j->options->prompt;
    return j->prompt == NULL ? "" : j->prompt->text;
}

/* How many tokens of a sequence are its prompt: those of the prompt alone, without what
 * ends it. */
static qn_status prompt_length(const qn_nn_texts *j, qn_slice prompt, qn_arena *arena,
                               size_t *out, qn_error *err)
{
    const qn_model *m = j->work.model;
    qn_pieces pieces = {0};
    qn_encoding e = {0};
    QN_TRY(qn_nn__encode(m, prompt, j->options->specials_are_text, j->max_tokens, arena,
                         &pieces, err));
    QN_TRY(qn_tokenizer_join(m->tokenizer, &pieces, NULL, j->max_tokens,
                             QN_TRUNCATE_LONGEST_FIRST, arena, &e, err));
    int32_t sep = qn_tokenizer_special(m->tokenizer)->sep;
    *out = e.n > 0 && sep >= 0 && e.ids[e.n - 1] == (uint32_t)sep ? e.n - 1 : e.n;
    return QN_OK;
}

/* The marker in front of the pieces. */
static qn_status put_marker(const qn_nn_texts *j, qn_pieces *p, qn_arena *arena,
                            qn_error *err)
{
    if (!qn_pieces_reserve(p, arena, 1)) return qn_fail(err, QN_ENOMEM, "tokens");
    memmove(p->ids + 1, p->ids, p->n * sizeof *p->ids);
    memmove(p->start + 1, p->start, p->n * sizeof *p->start);
    memmove(p->end + 1, p->end, p->n * sizeof *p->end);
    p->ids[0] = j->marker.id;
    p->start[0] = p->end[0] = 0;
    p->n++;
    return QN_OK;
}

/* ---- sequences -------------------------------------------------------------- */

/* A text given as ids is a sequence as it stands. */
static qn_status encode_ids(const qn_nn_texts *j, size_t i, qn_arena *arena,
                            qn_encoding *e, qn_error *err)
{
    const qn_embed_ids *given = &j->options->ids[i];
    size_t vocabulary = qn_tokenizer_vocab_size(j->work.model->tokenizer);
    if (given->n == 0) return qn_fail(err, QN_EINVAL, "a list of token ids is empty");
    if (given->n > j->max_tokens && j->options->refuse_long)
        return qn_fail(err, QN_ETOOLONG, "%zu token ids, the model reads %zu", given->n,
                       j->max_tokens);
    e->n = given->n < j->max_tokens ? given->n : j->max_tokens;
    size_t from = j->options->keep_ends ? given->n - e->n : 0;
    e->ids = qn_arena_array(arena, e->n, sizeof *e->ids);
    e->types = qn_arena_array(arena, e->n, sizeof *e->types);
    if (e->ids == NULL || e->types == NULL) return qn_fail(err, QN_ENOMEM, "token ids");
    memset(e->types, 0, e->n);
    for (size_t k = 0; k < e->n; k++) {
        if (given->ids[from + k] >= vocabulary)
            return qn_fail(err, QN_EINVAL,
                           "token id %u: the model's vocabulary ends at %zu (ids must "
                           "come from its own tokenizer)",
                           given->ids[from + k], vocabulary - 1);
        e->ids[k] = given->ids[from + k];
    }
    e->kept.truncated = e->n < given->n;
    return QN_OK;
}

static qn_status encode_text(const qn_nn_texts *j, size_t i, qn_arena *arena,
                             qn_encoding *e, size_t *skip, qn_error *err)
{
    const qn_embed_options *o = j->options;
    const qn_model *m = j->work.model;
    *skip = 0;
    if (o->ids != NULL && o->ids[i].ids != NULL) return encode_ids(j, i, arena, e, err);
    qn_truncation how = o->refuse_long ? QN_TRUNCATE_NONE : QN_TRUNCATE_LONGEST_FIRST;
    qn_slice text = j->texts[i], prompt = qn_slice_of(prompt_text(j));
    qn_pieces pieces = {0};
    if (prompt.n > 0 && !j->marker.one_token) {
        char *joined = qn_arena_raw(arena, prompt.n + text.n + 1, 1);
        if (joined == NULL) return qn_fail(err, QN_ENOMEM, "tokens");
        memcpy(joined, prompt.p, prompt.n);
        if (text.n > 0) memcpy(joined + prompt.n, text.p, text.n);
        text = (qn_slice){joined, prompt.n + text.n};
        if (m->tail.config.skip_prompt)
            QN_TRY(prompt_length(j, prompt, arena, skip, err));
    }
    if (o->keep_ends)
        QN_TRY(qn_nn__encode_end(m, text, o->specials_are_text, j->max_tokens, arena,
                                 &pieces, err));
    else
        QN_TRY(qn_nn__encode(m, text, o->specials_are_text, j->max_tokens, arena,
                             &pieces, err));
    bool cut = false;
    size_t all = pieces.n, marker = j->marker.one_token;
    if (o->keep_ends)
        QN_TRY(qn_nn__keep_ends(m->tokenizer, &pieces, NULL, j->max_tokens - marker,
                                how, &cut, err));
    size_t gone = all - pieces.n; /* the prompt first */
    *skip = *skip > gone ? *skip - gone : 0;
    if (marker > 0) QN_TRY(put_marker(j, &pieces, arena, err));
    QN_TRY(qn_tokenizer_join(m->tokenizer, &pieces, NULL, j->max_tokens, how, arena, e,
                             err));
    e->kept.truncated |= cut;
    return QN_OK;
}

/* ColBERT's queries are filled up with a token that says nothing. */
static qn_status expand(const qn_nn_texts *j, qn_arena *arena, qn_encoding *e,
                        size_t *more, qn_error *err)
{
    const qn_multi_config *c = &j->work.model->multi;
    *more = 0;
    if (j->options->role != QN_TEXT_QUERY || c->expand_to <= e->n) return QN_OK;
    size_t n = c->expand_to;
    uint32_t *ids = qn_arena_array(arena, n, sizeof *ids);
    uint8_t *types = qn_arena_array(arena, n, sizeof *types);
    if (ids == NULL || types == NULL) return qn_fail(err, QN_ENOMEM, "tokens");
    memcpy(ids, e->ids, e->n * sizeof *ids);
    memcpy(types, e->types, e->n * sizeof *types);
    for (size_t i = e->n; i < n; i++) ids[i] = c->expand_id;
    if (!c->expand_seen) *more = n - e->n;
    e->ids = ids;
    e->types = types;
    e->n = n;
    return QN_OK;
}

static qn_status add_text(qn_nn_texts *j, qn_nn_scratch *s, size_t i, qn_error *err)
{
    qn_arena arena;
    qn_arena_init(&arena, j->work.model->alloc, ARENA_LIMIT);
    qn_encoding e = {0};
    size_t skip = 0, more = 0;
    qn_status st = encode_text(j, i, &arena, &e, &skip, err);
    if (st == QN_OK) st = expand(j, &arena, &e, &more, err);
    if (st == QN_OK) {
        if (j->items != NULL)
            j->items[i] = (qn_embed_item){(uint32_t)e.n, e.kept.truncated};
        qn_nn__batch_add_text(s, &e, more, skip, i);
    }
    qn_arena_deinit(&arena);
    if (st != QN_OK && err->file[0] == '\0') {
        qn_error inner = *err;
        return qn_fail(err, st, "text %zu: %.400s", i, inner.text);
    }
    return st;
}

/* ---- work ------------------------------------------------------------------- */

static qn_status use(qn_nn_work *w, qn_nn_scratch *s, qn_error *err)
{
    qn_nn_texts *j = (qn_nn_texts *)w;
    size_t H = w->model->config.hidden;
    bool first_only = w->model->first_only;
    if (s->st != QN_OK) *err = s->err;
    QN_TRY(s->st);
    for (size_t i = 0; i < s->sequences; i++) {
        size_t at = first_only ? i : s->starts[i];
        size_t n = first_only ? 1 : s->starts[i + 1] - s->starts[i];
        QN_TRY(j->each(j, s, i, s->rows + at * H, n, err));
    }
    atomic_fetch_add(&j->done, s->sequences);
    return QN_OK;
}

static qn_status fill(qn_nn_work *w, qn_nn_scratch *s, qn_error *err)
{
    qn_nn_texts *j = (qn_nn_texts *)w;
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

/* A call that was left by its time has results missing. */
static qn_status whole(qn_nn_texts *j, qn_error *err)
{
    size_t done = atomic_load(&j->done);
    if (done == j->work.items) return QN_OK;
    bool cancelled = qn_deadline_cancelled(j->options->deadline);
    return qn_fail(err, cancelled ? QN_ECANCELLED : QN_ETIMEOUT,
                   "%s after %zu of %zu texts",
                   cancelled ? "cancelled" : "the time was up", done, j->work.items);
}

/* The model's own limit, the caller's, and that of the role. */
static size_t most_tokens(const qn_nn_texts *j)
{
    const qn_model *m = j->work.model;
    const qn_multi_config *c = &m->multi;
    uint32_t most = m->info.max_tokens, own = 0;
    if (j->options->role == QN_TEXT_QUERY)
        own = c->expand_to > 0 && c->expand_exact ? c->expand_to : c->query_tokens;
    if (j->options->role == QN_TEXT_DOCUMENT) own = c->document_tokens;
    if (own > 0 && own < most) most = own;
    if (j->options->max_tokens > 0 && j->options->max_tokens < most)
        most = j->options->max_tokens;
    return most;
}

qn_status qn_nn__texts_run(qn_nn_texts *j, qn_model_task task, const char *makes,
                           qn_error *err)
{
    static const qn_embed_options defaults;
    static const char *const does[] = {
        [QN_MODEL_EMBED] = "makes one vector of a text",
        [QN_MODEL_RERANK] = "reranks",
        [QN_MODEL_SPARSE] = "makes sparse vectors",
        [QN_MODEL_TOKENS] = "makes a vector of each token",
    };
    if (j->options == NULL) j->options = &defaults;
    const qn_embed_options *o = j->options;
    qn_nn_work *w = &j->work;
    const qn_model_info *info = &w->model->info;
    if (info->task != task)
        return qn_fail(err, QN_EMODELTASK, "model %s %s, it makes no %s", info->name,
                       does[info->task], makes);
    if (w->items > UINT32_MAX) return qn_fail(err, QN_ELIMIT, "%zu texts", w->items);
    j->max_tokens = most_tokens(j);
    if (j->max_tokens < 3)
        return qn_fail(err, QN_EINVAL, "max_tokens is %zu, at least 3", j->max_tokens);
    QN_TRY(choose_prompt(j, err));
    w->fill = fill;
    w->use = use;
    w->deadline = o->deadline;
    w->pool = o->pool;
    w->serving = o->serving;
    w->whole = true;
    for (size_t i = 0; i < w->items; i++)
        w->tokens += qn_nn__guess_tokens(j->texts[i], j->max_tokens);
    qn_nn__work_prepare(w);
    QN_TRY(qn_nn__work_run(w, err));
    return whole(j, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/calls/rerank.h"

#include "nn/nn_internal.h"

#include <math.h>

enum {
    ARENA_LIMIT = 256 * 1024 * 1024,
};
/* A speed that was measured not longer ago is believed. */
static const int64_t fresh_ns = 1000000000;

typedef struct job {
    qn_nn_work work; /* first: its functions get the job */
    const qn_pieces *query;
    const qn_slice *docs;
    qn_truncation truncation;
    size_t max_tokens, doc_tokens_max;
    bool specials_are_text, query_cut, keep_ends, single;
    qn_token_cache *token_cache;
    const uint32_t *numbers;
    bool hurried; /* there is a deadline with an end */
    qn_rerank_doc *out;
    float *logits;    /* n x labels, or NULL */
    atomic_bool late; /* time is up: nobody takes more */
    atomic_size_t scored;
    atomic_ullong tokens;
} job;

float qn_rerank_score(float logit)
{
    return (float)(1.0 / (1.0 + exp(-(double)logit)));
}

float qn_rerank_activate(const qn_model *model, float logit)
{
    return model->info.activation == QN_ACTIVATION_SIGMOID ? qn_rerank_score(logit)
                                                           : logit;
}

/* How many documents a worker takes before it runs them, at most: early ones in full
 * batches, the last ones shared among the workers. One while the speed is unknown and
 * matters. */
static size_t share_of(const job *j)
{
    const qn_nn_work *w = &j->work;
    if (j->hurried && !qn_speed_known(&w->model->speed)) return 1;
    size_t taken = atomic_load(&w->next);
    size_t left = taken < w->items ? w->items - taken : 0;
    return left / w->workers + 1;
}

/* Near the deadline batches are small: if the last one is caught by it, little is lost. */
static bool enough_for_now(const job *j, const qn_nn_scratch *s)
{
    if (qn_nn__batch_full(s)) return true;
    return j->hurried && s->sequences > 0 &&
           qn_nn__batch_time(s) > qn_deadline_left_ns(j->work.deadline) / 4;
}

/* true: something was cut off. */
static bool cap_pieces(qn_pieces *pieces, size_t most, bool keep_end)
{
    if (most == 0 || pieces->n <= most) return false;
    if (keep_end)
        qn_nn__keep_end(pieces, most);
    else
        pieces->n = most;
    return true;
}

/* The pieces of document i, with those of the query a pair. */
static qn_status join(const job *j, qn_pieces *pieces, qn_arena *arena,
                      qn_encoding *pair, qn_error *err)
{
    const qn_tokenizer *t = j->work.model->tokenizer;
    qn_truncation how = j->truncation;
    if (j->single && how != QN_TRUNCATE_NONE) how = QN_TRUNCATE_LONGEST_FIRST;
    qn_pieces first = j->single ? *pieces : *j->query;
    qn_pieces *second = j->single ? NULL : pieces;
    bool cut = false;
    if (j->keep_ends)
        QN_TRY(qn_nn__keep_ends(t, &first, second, j->max_tokens, how, &cut, err));
    QN_TRY(qn_tokenizer_join(t, &first, second, j->max_tokens, how, arena, pair, err));
    pair->kept.truncated |= cut;
    return QN_OK;
}

static qn_status encode(const job *j, qn_token_cache *cache, qn_slice text,
                        qn_arena *arena, qn_pieces *out, qn_error *err)
{
    const qn_model *m = j->work.model;
    return j->keep_ends ? qn_nn__encode_end(m, text, j->specials_are_text,
                                            j->max_tokens, arena, out, err)
                        : qn_nn__encode_kept(m, cache, text, j->specials_are_text,
                                             j->max_tokens, arena, out, err);
}

/* Tokenizes document i into the batch. */
static qn_status add_doc(job *j, qn_nn_scratch *s, size_t i, qn_error *err)
{
    qn_arena arena;
    qn_arena_init(&arena, j->work.model->alloc, ARENA_LIMIT);
    qn_pieces pieces = {0};
    qn_encoding pair = {0};
    qn_status st;
    QN_TRY_TO(out, encode(j, j->token_cache, j->docs[i], &arena, &pieces, err));
    bool cut = cap_pieces(&pieces, j->doc_tokens_max, j->keep_ends);
    QN_TRY_TO(out, join(j, &pieces, &arena, &pair, err));
    j->out[i].tokens = (uint32_t)pair.n;
    j->out[i].truncated = pair.kept.truncated || cut || j->query_cut;
    qn_nn__batch_add(s, &pair, i);
out:
    qn_arena_deinit(&arena);
    if (st != QN_OK && err->file[0] == '\0') {
        qn_error inner = *err;
        size_t number = j->numbers == NULL ? i : j->numbers[i];
        return qn_fail(err, st, "document %zu: %.400s", number, inner.text);
    }
    return st;
}

/* Drops from the end what will not be ready in time. The very first document is tried
 * even if the estimate says no, as long as it is not hopeless and the estimate not fresh:
 * estimates go stale, and only running corrects them. */
static void trim(job *j, qn_nn_scratch *s)
{
    if (!j->hurried) return;
    qn_speed *speed = &j->work.model->speed;
    int64_t left = qn_deadline_left_ns(j->work.deadline);
    while (s->sequences > 0) {
        int64_t need = qn_nn__batch_time(s);
        bool first = s->sequences == 1 && s->item[0] == 0 &&
                     qn_clock_mono_ns() - atomic_load(&speed->learned_ns) > fresh_ns;
        if (need <= left || (first && need / 4 <= left)) return;
        atomic_store(&j->late, true);
        qn_nn__batch_drop_last(s);
        /* Forget a little, or one bad moment could last for ever. */
        if (first) qn_speed_doubt(speed);
    }
}

/* Takes documents until there are enough or the share is used up. */
static qn_status fill(qn_nn_work *w, qn_nn_scratch *s, qn_error *err)
{
    job *j = (job *)w;
    size_t share = share_of(j);
    while (s->sequences < share && !enough_for_now(j, s)) {
        if (atomic_load(&j->late) || atomic_load(&w->failure.stop)) break;
        if (qn_deadline_passed(w->deadline)) {
            atomic_store(&j->late, true);
            break;
        }
        size_t i = atomic_fetch_add(&w->next, 1);
        if (i >= w->items) break;
        QN_TRY(add_doc(j, s, i, err));
    }
    trim(j, s);
    return QN_OK;
}

static qn_status use(qn_nn_work *w, qn_nn_scratch *s, qn_error *err)
{
    job *j = (job *)w;
    const qn_model *m = w->model;
    size_t H = m->config.hidden;
    bool first_only = m->first_only;
    if (s->st == QN_ETIMEOUT || s->st == QN_ECANCELLED) {
        atomic_store(&j->late, true);
        return QN_OK;
    }
    if (s->st != QN_OK) *err = s->err;
    QN_TRY(s->st);
    for (size_t i = 0; i < s->sequences; i++) {
        qn_rerank_doc *doc = &j->out[s->item[i]];
        size_t at = first_only ? i : s->starts[i];
        qn_pool_rows(s->rows + at * H, first_only ? 1 : s->starts[i + 1] - at, H,
                     s->pooled);
        qn_head_run(&m->head, s->pooled, s->logits, s->head);
        for (size_t k = 0; k < m->info.labels; k++)
            if (!isfinite(s->logits[k]))
                return qn_fail(err, QN_EMODEL, "the logit of document %u is not finite",
                               s->item[i]);
        doc->logit = s->logits[0];
        if (j->logits != NULL)
            memcpy(j->logits + s->item[i] * m->info.labels, s->logits,
                   m->info.labels * sizeof *s->logits);
        doc->scored = true;
        atomic_fetch_add(&j->tokens, doc->tokens);
    }
    atomic_fetch_add(&j->scored, s->sequences);
    return QN_OK;
}

static void set_options(job *j, const qn_rerank_options *o)
{
    qn_nn_work *w = &j->work;
    const qn_model_info *info = &w->model->info;
    j->truncation = o->truncation_given ? o->truncation : info->truncation;
    j->max_tokens = o->max_tokens == 0 || o->max_tokens > info->max_tokens
                        ? info->max_tokens
                        : o->max_tokens;
    j->doc_tokens_max = o->doc_tokens_max;
    j->specials_are_text = o->specials_are_text;
    j->keep_ends = o->keep_ends;
    j->single = o->single;
    j->token_cache = o->token_cache;
    j->numbers = o->numbers;
    j->hurried = o->deadline != NULL && o->deadline->at_ns != 0;
    w->fill = fill;
    w->use = use;
    w->deadline = o->deadline;
    w->pool = o->pool;
    w->serving = o->serving;
    w->whole = o->whole;
}

/* With the query's pieces at hand. */
static qn_status run(job *j, qn_error *err)
{
    qn_nn_work *w = &j->work;
    for (size_t i = 0; i < w->items; i++) {
        uint64_t tokens = j->query->n + qn_nn__guess_tokens(j->docs[i], j->max_tokens);
        w->tokens += tokens < j->max_tokens ? tokens : j->max_tokens;
    }
    qn_nn__work_prepare(w);
    return qn_nn__work_run(w, err);
}

/* The query's pieces; the model's default prompt stands in front of it. */
static qn_status encode_query(const job *j, qn_slice query, qn_arena *arena,
                              qn_pieces *out, qn_error *err)
{
    const qn_model *m = j->work.model;
    const qn_prompt *p =
        m->info.default_prompt == NULL
            ? NULL
            : qn_model_prompt(&m->info, qn_slice_of(m->info.default_prompt));
    if (p != NULL && p->text[0] != '\0') {
        size_t n = strlen(p->text);
        char *joined = qn_arena_raw(arena, n + query.n + 1, 1);
        if (joined == NULL) return qn_fail(err, QN_ENOMEM, "tokens");
        memcpy(joined, p->text, n);
        if (query.n > 0) memcpy(joined + n, query.p, query.n);
        query = (qn_slice){joined, n + query.n};
    }
    return encode(j, NULL, query, arena, out, err);
}

qn_status qn_rerank_run(qn_model *model, qn_slice query, const qn_slice *docs, size_t n,
                        const qn_rerank_options *options, qn_rerank_doc *out,
                        qn_rerank_stats *stats, qn_error *err)
{
    static const qn_rerank_options defaults;
    const qn_rerank_options *o = options == NULL ? &defaults : options;
    if (model->info.task != QN_MODEL_RERANK)
        return qn_fail(err, QN_EMODELTASK, "model %s makes vectors, it does not rerank",
                       model->info.name);
    if (n > UINT32_MAX) return qn_fail(err, QN_ELIMIT, "%zu documents", n);
    int64_t begin = qn_clock_mono_ns();
    job j = {.work = {.model = model, .items = n},
             .docs = docs,
             .out = out,
             .logits = o->logits};
    if (model->info.labels > 1 && o->logits == NULL)
        return qn_fail(err, QN_EMODELTASK,
                       "model %s has %u labels: it classifies, and ranks nothing",
                       model->info.name, model->info.labels);
    set_options(&j, o);
    size_t least = qn_tokenizer_extra(model->tokenizer, true) + 2;
    if (j.max_tokens < least)
        return qn_fail(err, QN_EINVAL, "max_tokens is %zu, at least %zu", j.max_tokens,
                       least);
    if (n > 0) memset(out, 0, n * sizeof *out);

    qn_arena arena;
    qn_arena_init(&arena, model->alloc, ARENA_LIMIT);
    qn_pieces pieces = {0};
    qn_error first = {0};
    qn_status st = QN_OK;
    if (!j.single) st = encode_query(&j, query, &arena, &pieces, &first);
    if (st == QN_OK) {
        j.query_cut = cap_pieces(&pieces, o->query_tokens_max, j.keep_ends);
        j.query = &pieces;
        st = run(&j, &first);
    }
    qn_arena_deinit(&arena);
    if (st != QN_OK && err != NULL) *err = first;
    if (stats != NULL)
        *stats = (qn_rerank_stats){.scored = atomic_load(&j.scored),
                                   .tokens = atomic_load(&j.tokens),
                                   .timed_out = atomic_load(&j.scored) < n,
                                   .took_ns = qn_clock_mono_ns() - begin};
    return st;
}

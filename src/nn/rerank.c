/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/rerank.h"

#include "nn/nn_internal.h"

#include <math.h>

enum {
    ARENA_LIMIT = 256 * 1024 * 1024,
    SPECIALS = 3,
};

typedef struct job {
    qn_model *model;
    const qn_pieces *query;
    const qn_slice *docs;
    size_t n, workers;
    qn_truncation truncation;
    size_t max_tokens, doc_tokens_max;
    bool specials_are_text, query_cut;
    const qn_deadline *deadline;
    bool hurried; /* there is a deadline with an end */
    qn_rerank_doc *out;
    atomic_size_t next; /* first document nobody took */
    atomic_bool late;   /* time is up: nobody takes more */
    atomic_size_t scored;
    atomic_ullong tokens;
    qn_nn_failure failure;
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

/* logit = Wc tanh(Wp x + bp) + bc, for one first row: a row alone has the same bits
 * whatever its batch. */
static float head(const qn_model *m, qn_nn_scratch *s, const float *x)
{
    size_t H = m->config.hidden;
    qn_gemm_run(m->pooler, 1, x, H, m->pooler_bias, s->head, H, s->head_gemm);
    m->kernels->tanh(s->head, H);
    return m->kernels->dot_f32(m->classifier, s->head, H) + m->classifier_bias[0];
}

/* How many documents a worker takes before it runs them, at most: early ones in full
 * batches, the last ones shared among the workers. One while the speed is unknown and
 * matters. */
static size_t share_of(const job *j)
{
    if (j->hurried && atomic_load(&j->model->token_ps) == 0) return 1;
    size_t taken = atomic_load(&j->next);
    size_t left = taken < j->n ? j->n - taken : 0;
    return left / j->workers + 1;
}

/* What the batch will take on this thread by the measured speed, and an eighth more. */
static int64_t time_needed(const job *j, const qn_nn_scratch *s)
{
    int64_t ns = (int64_t)s->tokens * atomic_load(&j->model->token_ps) / 1000;
    return ns + ns / 8;
}

/* Near the deadline batches are small: if the last one is caught by it, little is lost. */
static bool enough_for_now(const job *j, const qn_nn_scratch *s)
{
    if (qn_nn__batch_full(s)) return true;
    return j->hurried && s->sequences > 0 &&
           time_needed(j, s) > qn_deadline_left_ns(j->deadline) / 4;
}

/* true: something was cut off. */
static bool cap_pieces(qn_pieces *pieces, size_t most)
{
    if (most == 0 || pieces->n <= most) return false;
    pieces->n = most;
    return true;
}

/* Tokenizes document i into the batch. */
static qn_status add_doc(job *j, qn_nn_scratch *s, size_t i, qn_error *err)
{
    qn_arena arena;
    qn_arena_init(&arena, j->model->alloc, ARENA_LIMIT);
    qn_pieces pieces = {0};
    qn_encoding pair = {0};
    qn_status st;
    QN_TRY_TO(out, qn_nn__encode(j->model, j->docs[i], j->specials_are_text,
                                 j->max_tokens, &arena, &pieces, err));
    bool cut = cap_pieces(&pieces, j->doc_tokens_max);
    QN_TRY_TO(out, qn_tokenizer_join(j->model->tokenizer, j->query, &pieces,
                                     j->max_tokens, j->truncation, &arena, &pair, err));
    j->out[i].tokens = (uint32_t)pair.n;
    j->out[i].truncated = pair.kept.truncated || cut || j->query_cut;
    qn_nn__batch_add(s, &pair, i);
out:
    qn_arena_deinit(&arena);
    if (st != QN_OK && err->file[0] == '\0') {
        qn_error inner = *err;
        return qn_fail(err, st, "document %zu: %.400s", i, inner.text);
    }
    return st;
}

/* Takes documents until there are enough or the share is used up. */
static qn_status fill(job *j, qn_nn_scratch *s, qn_error *err)
{
    size_t share = share_of(j);
    while (s->sequences < share && !enough_for_now(j, s)) {
        if (atomic_load(&j->late) || atomic_load(&j->failure.stop)) break;
        if (qn_deadline_passed(j->deadline)) {
            atomic_store(&j->late, true);
            break;
        }
        size_t i = atomic_fetch_add(&j->next, 1);
        if (i >= j->n) break;
        QN_TRY(add_doc(j, s, i, err));
    }
    return QN_OK;
}

/* Drops from the end what will not be ready in time. The very first document is tried
 * even if the estimate says no, as long as it is not hopeless: estimates go stale, and
 * only running corrects them. */
static void trim(job *j, qn_nn_scratch *s)
{
    if (!j->hurried) return;
    int64_t left = qn_deadline_left_ns(j->deadline);
    while (s->sequences > 0) {
        int64_t need = time_needed(j, s);
        bool first = s->sequences == 1 && s->item[0] == 0;
        if (need <= left || (first && need / 4 <= left)) return;
        atomic_store(&j->late, true);
        s->tokens = s->starts[--s->sequences];
        if (!first) continue;
        /* Forget a little, or one bad moment could last for ever. */
        long long token_ps = atomic_load(&j->model->token_ps);
        atomic_store(&j->model->token_ps, token_ps - token_ps / 8);
    }
}

static qn_status score(job *j, qn_nn_scratch *s, qn_error *err)
{
    size_t count = s->sequences, H = j->model->config.hidden;
    const float *rows = NULL;
    qn_status st = qn_nn__batch_run(j->model, s, j->deadline, &rows, err);
    if (st == QN_ETIMEOUT || st == QN_ECANCELLED) {
        atomic_store(&j->late, true);
        return QN_OK;
    }
    QN_TRY(st);
    for (size_t i = 0; i < count; i++) {
        qn_rerank_doc *doc = &j->out[s->item[i]];
        float logit = head(j->model, s, rows + i * H);
        if (!isfinite(logit))
            return qn_fail(err, QN_EMODEL, "the logit of document %u is not finite",
                           s->item[i]);
        doc->logit = logit;
        doc->scored = true;
        atomic_fetch_add(&j->tokens, doc->tokens);
    }
    atomic_fetch_add(&j->scored, count);
    return QN_OK;
}

static qn_status work(job *j, qn_nn_scratch *s, qn_error *err)
{
    for (;;) {
        QN_TRY(fill(j, s, err));
        trim(j, s);
        if (s->sequences == 0) return QN_OK;
        QN_TRY(score(j, s, err));
    }
}

static void worker_main(void *arg, size_t index, size_t worker)
{
    (void)index;
    (void)worker;
    job *j = arg;
    if (atomic_load(&j->next) >= j->n) return;
    qn_error err = {0};
    qn_nn_scratch *s = NULL;
    qn_status st = qn_nn__scratch_take(j->model, &s, &err);
    if (st == QN_OK) {
        st = work(j, s, &err);
        qn_nn__scratch_give(j->model, s);
    }
    if (st != QN_OK) qn_nn__failure_set(&j->failure, st, &err);
}

static void set_options(job *j, const qn_rerank_options *o)
{
    const qn_model_info *info = &j->model->info;
    j->truncation = o->truncation_given ? o->truncation : info->truncation;
    j->max_tokens = o->max_tokens == 0 || o->max_tokens > info->max_tokens
                        ? info->max_tokens
                        : o->max_tokens;
    j->doc_tokens_max = o->doc_tokens_max;
    j->specials_are_text = o->specials_are_text;
    j->deadline = o->deadline;
    j->hurried = o->deadline != NULL && o->deadline->at_ns != 0;
    j->workers = qn_pool_width(o->pool);
    if (j->workers > j->n) j->workers = j->n;
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
    job j = {.model = model, .docs = docs, .n = n, .out = out};
    set_options(&j, o);
    if (j.max_tokens < SPECIALS + 2)
        return qn_fail(err, QN_EINVAL, "max_tokens is %zu, at least %d", j.max_tokens,
                       SPECIALS + 2);
    if (n > 0) memset(out, 0, n * sizeof *out);

    qn_arena arena;
    qn_arena_init(&arena, model->alloc, ARENA_LIMIT);
    qn_pieces pieces = {0};
    qn_error first = {0};
    qn_status st = qn_nn__encode(model, query, j.specials_are_text, j.max_tokens,
                                 &arena, &pieces, &first);
    if (st == QN_OK) {
        j.query_cut = cap_pieces(&pieces, o->query_tokens_max);
        j.query = &pieces;
        qn_nn__failure_init(&j.failure);
        qn_pool_run(o->pool, j.workers, worker_main, &j);
        st = qn_nn__failure_finish(&j.failure, &first);
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

/* SPDX-License-Identifier: Apache-2.0 */
/* batch.c -- texts to packed batches: tokenizing, filling, running. */
#include "nn/nn_internal.h"

enum {
    /* A token is rarely over 8 bytes with its blank; 16 leave room for odd scripts. */
    BYTES_A_TOKEN = 16,
    PREFIX_MIN = 256,
};

/* ---- scratch ---------------------------------------------------------------- */

static qn_status scratch_create(qn_model *m, qn_nn_scratch **out, qn_error *err)
{
    qn_nn_scratch *s = qn_new0(m->alloc, sizeof *s);
    *out = s;
    if (s == NULL) return qn_fail(err, QN_ENOMEM, "model scratch");
    s->capacity = QN_BATCH_TOKENS + m->info.max_tokens;
    s->ids = qn_new_array(m->alloc, s->capacity, sizeof *s->ids);
    s->types = qn_new_array(m->alloc, s->capacity, sizeof *s->types);
    s->starts = qn_new_array(m->alloc, s->capacity + 1, sizeof *s->starts);
    s->item = qn_new_array(m->alloc, s->capacity, sizeof *s->item);
    bool whole =
        s->ids != NULL && s->types != NULL && s->starts != NULL && s->item != NULL;
    if (m->pooler != NULL) {
        s->head = qn_new_aligned(m->alloc, 64, m->config.hidden * sizeof *s->head);
        s->head_gemm =
            qn_new_aligned(m->alloc, 64, qn_gemm_scratch_bytes(m->pooler, 1));
        whole = whole && s->head != NULL && s->head_gemm != NULL;
    }
    qn_status st = whole ? qn_encoder_scratch_create(m->alloc, m->encoder, s->capacity,
                                                     &s->encoder, err)
                         : qn_fail(err, QN_ENOMEM, "model scratch");
    if (st != QN_OK) {
        qn_nn__scratch_destroy(m, s);
        *out = NULL;
    }
    return st;
}

void qn_nn__scratch_destroy(qn_model *m, qn_nn_scratch *s)
{
    qn_encoder_scratch_destroy(s->encoder);
    qn_delete_aligned(m->alloc, s->head);
    qn_delete_aligned(m->alloc, s->head_gemm);
    qn_delete(m->alloc, s->ids);
    qn_delete(m->alloc, s->types);
    qn_delete(m->alloc, s->starts);
    qn_delete(m->alloc, s->item);
    qn_delete(m->alloc, s);
}

qn_status qn_nn__scratch_take(qn_model *m, qn_nn_scratch **out, qn_error *err)
{
    (void)pthread_mutex_lock(&m->lock);
    qn_nn_scratch *s = m->idle;
    if (s != NULL) m->idle = s->next;
    (void)pthread_mutex_unlock(&m->lock);
    *out = s;
    if (s == NULL) return scratch_create(m, out, err);
    s->sequences = s->tokens = 0;
    return QN_OK;
}

void qn_nn__scratch_give(qn_model *m, qn_nn_scratch *s)
{
    (void)pthread_mutex_lock(&m->lock);
    s->next = m->idle;
    m->idle = s;
    (void)pthread_mutex_unlock(&m->lock);
}

/* ---- tokenizing ------------------------------------------------------------- */

/* Up to `want` bytes, ending before a blank or a newline: words never cross one, so the
 * pieces of the prefix are the first pieces of the text. */
static qn_slice prefix_of(qn_slice text, size_t want)
{
    if (want >= text.n) return text;
    size_t n = want;
    while (n < text.n && text.p[n] != ' ' && text.p[n] != '\n') n++;
    return (qn_slice){text.p, n};
}

qn_status qn_nn__encode(const qn_model *m, qn_slice text, bool specials_are_text,
                        size_t most, qn_arena *arena, qn_pieces *out, qn_error *err)
{
    qn_tokenize_flags flags =
        specials_are_text ? QN_TOKENIZE_PLAIN : QN_TOKENIZE_SPECIALS;
    size_t want = most * BYTES_A_TOKEN + PREFIX_MIN;
    for (;; want *= 4) {
        qn_slice prefix = prefix_of(text, want);
        QN_TRY(qn_tokenizer_encode(m->tokenizer, prefix, flags, arena, out, err));
        if (prefix.n == text.n || out->n >= most) return QN_OK;
    }
}

/* ---- batches ---------------------------------------------------------------- */

void qn_nn__batch_add(qn_nn_scratch *s, const qn_encoding *e, size_t item)
{
    qn_assert(s->tokens + e->n <= s->capacity);
    memcpy(s->ids + s->tokens, e->ids, e->n * sizeof *s->ids);
    memcpy(s->types + s->tokens, e->types, e->n);
    s->starts[s->sequences] = (uint32_t)s->tokens;
    s->item[s->sequences++] = (uint32_t)item;
    s->tokens += e->n;
    s->starts[s->sequences] = (uint32_t)s->tokens;
}

bool qn_nn__batch_full(const qn_nn_scratch *s)
{
    return s->tokens >= QN_BATCH_TOKENS;
}

/* A quarter of bad news enters the average and half of good news: a slow moment does not
 * decide, and is soon forgotten. */
static void learn_speed(qn_model *m, int64_t ns, size_t tokens)
{
    long long sample = (long long)(ns * 1000 / (int64_t)tokens) + 1;
    long long known = atomic_load_explicit(&m->token_ps, memory_order_relaxed);
    long long next =
        known == 0 ? sample : known + (sample - known) / (sample > known ? 4 : 2);
    atomic_store_explicit(&m->token_ps, next, memory_order_relaxed);
}

qn_status qn_nn__batch_run(qn_model *m, qn_nn_scratch *s, const qn_deadline *deadline,
                           const float **rows, qn_error *err)
{
    qn_encoder_batch batch = {s->ids, s->types, s->starts, s->sequences};
    size_t tokens = s->tokens;
    int64_t begin = qn_clock_mono_ns();
    qn_status st =
        qn_encoder_run(m->encoder, s->encoder, &batch, deadline, NULL, rows, err);
    /* A run cut short counts as well: the tokens took at least that long. */
    learn_speed(m, qn_clock_mono_ns() - begin, tokens);
    s->sequences = s->tokens = 0;
    return st;
}

/* ---- failures --------------------------------------------------------------- */

void qn_nn__failure_init(qn_nn_failure *f)
{
    *f = (qn_nn_failure){.st = QN_OK};
    (void)pthread_mutex_init(&f->lock, NULL);
}

void qn_nn__failure_set(qn_nn_failure *f, qn_status st, const qn_error *err)
{
    (void)pthread_mutex_lock(&f->lock);
    if (f->st == QN_OK) {
        f->st = st;
        f->err = *err;
    }
    (void)pthread_mutex_unlock(&f->lock);
    atomic_store(&f->stop, true);
}

qn_status qn_nn__failure_finish(qn_nn_failure *f, qn_error *err)
{
    (void)pthread_mutex_destroy(&f->lock);
    if (f->st != QN_OK && err != NULL) *err = f->err;
    return f->st;
}

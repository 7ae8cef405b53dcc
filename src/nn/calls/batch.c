/* SPDX-License-Identifier: Apache-2.0 */
/* batch.c -- texts to packed batches: tokenizing, filling, running. */
#include "nn/nn_internal.h"

enum {
    /* A token is rarely over 8 bytes with its blank; 16 leave room for odd scripts. */
    BYTES_A_TOKEN = 16,
    PREFIX_MIN = 256,
    WORD_MAX = 8192,         /* a longer word is cut anywhere */
    UNSURE = 64,             /* pieces at the end of such a part, at most */
    BYTES_A_TOKEN_MAX = 128, /* of a text, all in all */
    TEXT_MIN = 256 * 1024,
    BLANKS_MAX = 64 * 1024, /* at the beginning */
};

/* ---- scratch ---------------------------------------------------------------- */

static qn_status scratch_create(qn_model *m, qn_nn_scratch **out, qn_error *err)
{
    qn_nn_scratch *s = qn_new0(m->alloc, sizeof *s);
    *out = s;
    if (s == NULL) return qn_fail(err, QN_ENOMEM, "model scratch");
    s->model = m;
    s->capacity = QN_BATCH_TOKENS + m->info.max_tokens;
    s->ids = qn_new_array(m->alloc, s->capacity, sizeof *s->ids);
    s->types = qn_new_array(m->alloc, s->capacity, sizeof *s->types);
    s->starts = qn_new_array(m->alloc, s->capacity + 1, sizeof *s->starts);
    s->item = qn_new_array(m->alloc, s->capacity, sizeof *s->item);
    s->keys = qn_new_array(m->alloc, s->capacity, sizeof *s->keys);
    s->skip = qn_new_array(m->alloc, s->capacity, sizeof *s->skip);
    bool whole = s->keys != NULL && s->skip != NULL && s->ids != NULL &&
                 s->types != NULL && s->starts != NULL && s->item != NULL;
    if (m->head.dense != NULL) {
        s->pooled = qn_new_array(m->alloc, m->config.hidden, sizeof *s->pooled);
        s->logits = qn_new_array(m->alloc, m->info.labels, sizeof *s->logits);
        s->head = qn_new_aligned(m->alloc, 64, qn_head_scratch_bytes(&m->head));
        whole = whole && s->pooled != NULL && s->logits != NULL && s->head != NULL;
    }
    if (m->info.task != QN_MODEL_RERANK) {
        bool sparse = m->info.task == QN_MODEL_SPARSE;
        size_t bytes =
            sparse ? qn_lm_head_scratch_bytes(&m->lm) : qn_tail_scratch_bytes(&m->tail);
        s->tail = qn_new_aligned(m->alloc, 64, bytes + 64);
        s->vector = qn_new_array(m->alloc, m->info.dims, sizeof *s->vector);
        whole = whole && s->tail != NULL && s->vector != NULL;
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
    qn_delete(m->alloc, s->pooled);
    qn_delete(m->alloc, s->logits);
    qn_delete_aligned(m->alloc, s->head);
    qn_delete_aligned(m->alloc, s->tail);
    qn_delete(m->alloc, s->vector);
    qn_delete(m->alloc, s->keys);
    qn_delete(m->alloc, s->skip);
    qn_delete(m->alloc, s->ids);
    qn_delete(m->alloc, s->types);
    qn_delete(m->alloc, s->starts);
    qn_delete(m->alloc, s->item);
    qn_delete(m->alloc, s);
}

static void count_unused(qn_model *m)
{
    if (--m->in_use == 0) (void)pthread_cond_broadcast(&m->unused);
}

qn_status qn_nn__scratch_take(qn_model *m, qn_nn_scratch **out, qn_error *err)
{
    (void)pthread_mutex_lock(&m->lock);
    qn_nn_scratch *s = m->idle;
    if (s != NULL) m->idle = s->next;
    m->in_use++;
    (void)pthread_mutex_unlock(&m->lock);
    *out = s;
    if (s != NULL) {
        s->sequences = s->tokens = 0;
        return QN_OK;
    }
    qn_status st = scratch_create(m, out, err);
    if (st == QN_OK) return QN_OK;
    (void)pthread_mutex_lock(&m->lock);
    count_unused(m);
    (void)pthread_mutex_unlock(&m->lock);
    return st;
}

void qn_nn__scratch_give(qn_model *m, qn_nn_scratch *s)
{
    (void)pthread_mutex_lock(&m->lock);
    s->next = m->idle;
    m->idle = s;
    count_unused(m);
    (void)pthread_mutex_unlock(&m->lock);
}

/* ---- tokenizing ------------------------------------------------------------- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\n';
}

static bool begins_char(char c)
{
    return ((unsigned char)c & 0xC0) != 0x80;
}

/* `want` bytes and a few more: to where blanks begin, since words never cross that, and
 * the pieces of such a prefix are the first pieces of the text. *in_word: no blank came
 * for long, and the last pieces may be others. */
static qn_slice prefix_of(qn_slice text, size_t want, bool *in_word)
{
    *in_word = false;
    if (want >= text.n) return text;
    size_t n = want, most = text.n - want > WORD_MAX ? want + WORD_MAX : text.n;
    while (n < most && !(is_blank(text.p[n]) && !is_blank(text.p[n - 1]))) n++;
    *in_word = n < text.n && !is_blank(text.p[n]);
    while (*in_word && n > want && !begins_char(text.p[n])) n--;
    return (qn_slice){text.p, n};
}

/* What of a text is looked at: not most of very many blanks in front, and not beyond a
 * limit: what is no words at all must not take any time and memory there is. */
static qn_slice readable(qn_slice text, size_t most)
{
    size_t max =
        most * BYTES_A_TOKEN_MAX > TEXT_MIN ? most * BYTES_A_TOKEN_MAX : TEXT_MIN;
    if (text.n <= max) return text;
    size_t blanks = 0;
    while (blanks < text.n && is_blank(text.p[blanks])) blanks++;
    size_t skip = blanks > BLANKS_MAX ? blanks - BLANKS_MAX : 0;
    text = (qn_slice){text.p + skip, text.n - skip};
    if (text.n <= max) return text;
    while (max > 0 && !begins_char(text.p[max])) max--;
    return (qn_slice){text.p, max};
}

qn_status qn_nn__encode(const qn_model *m, qn_slice text, bool specials_are_text,
                        size_t most, qn_arena *arena, qn_pieces *out, qn_error *err)
{
    qn_tokenize_flags flags =
        specials_are_text ? QN_TOKENIZE_PLAIN : QN_TOKENIZE_SPECIALS;
    size_t want = most * BYTES_A_TOKEN + PREFIX_MIN;
    text = readable(text, most);
    for (;; want *= 4) {
        bool in_word = false;
        qn_slice prefix = prefix_of(text, want, &in_word);
        QN_TRY(qn_tokenizer_encode(m->tokenizer, prefix, flags, arena, out, err));
        if (prefix.n == text.n || out->n >= most + (in_word ? UNSURE : 0)) return QN_OK;
    }
}

qn_status qn_nn__encode_end(const qn_model *m, qn_slice text, bool specials_are_text,
                            size_t most, qn_arena *arena, qn_pieces *out, qn_error *err)
{
    qn_tokenize_flags flags =
        specials_are_text ? QN_TOKENIZE_PLAIN : QN_TOKENIZE_SPECIALS;
    size_t max =
        most * BYTES_A_TOKEN_MAX > TEXT_MIN ? most * BYTES_A_TOKEN_MAX : TEXT_MIN;
    size_t from = text.n > max ? text.n - max : 0;
    while (from > 0 && from < text.n && !begins_char(text.p[from])) from++;
    return qn_tokenizer_encode(m->tokenizer, (qn_slice){text.p + from, text.n - from},
                               flags, arena, out, err);
}

qn_status qn_nn__encode_kept(const qn_model *m, qn_token_cache *cache, qn_slice text,
                             bool specials_are_text, size_t most, qn_arena *arena,
                             qn_pieces *out, qn_error *err)
{
    bool found = false;
    qn_token_key key = {0, 0};
    if (cache != NULL) {
        qn_tokenize_flags flags =
            specials_are_text ? QN_TOKENIZE_PLAIN : QN_TOKENIZE_SPECIALS;
        key = qn_token_cache_key(m->info.tokenizer_digest, flags, most, text);
        QN_TRY(qn_token_cache_get(cache, key, arena, out, &found, err));
    }
    if (found) return QN_OK;
    QN_TRY(qn_nn__encode(m, text, specials_are_text, most, arena, out, err));
    if (cache != NULL) qn_token_cache_put(cache, key, out);
    return QN_OK;
}

void qn_nn__keep_end(qn_pieces *p, size_t n)
{
    size_t gone = p->n - n;
    p->ids += gone;
    p->start += gone;
    p->end += gone;
    p->n = n;
    p->capacity = n; /* what is before the beginning is not reserved any more */
}

qn_status qn_nn__keep_ends(const qn_tokenizer *t, qn_pieces *first, qn_pieces *second,
                           size_t length_max, qn_truncation how, bool *cut,
                           qn_error *err)
{
    size_t extra = qn_tokenizer_extra(t, second != NULL);
    qn_pair_lengths kept;
    *cut = false;
    if (length_max < extra) return QN_OK; /* joining says why not */
    if (second == NULL)
        QN_TRY(qn_truncate_single(first->n, length_max - extra, how, &kept, err));
    else
        QN_TRY(
            qn_truncate_pair(first->n, second->n, length_max - extra, how, &kept, err));
    *cut = kept.truncated;
    if (kept.first < first->n) qn_nn__keep_end(first, kept.first);
    if (second != NULL && kept.second < second->n) qn_nn__keep_end(second, kept.second);
    return QN_OK;
}

/* ---- batches ---------------------------------------------------------------- */

void qn_nn__batch_add(qn_nn_scratch *s, const qn_encoding *e, size_t item)
{
    qn_nn__batch_add_text(s, e, 0, 0, item);
}

void qn_nn__batch_add_text(qn_nn_scratch *s, const qn_encoding *e, size_t more,
                           size_t skip, size_t item)
{
    qn_assert(s->tokens + e->n <= s->capacity);
    memcpy(s->ids + s->tokens, e->ids, e->n * sizeof *s->ids);
    if (s->model->untyped)
        memset(s->types + s->tokens, 0, e->n);
    else
        memcpy(s->types + s->tokens, e->types, e->n);
    s->starts[s->sequences] = (uint32_t)s->tokens;
    s->keys[s->sequences] = (uint32_t)(e->n - more);
    s->skip[s->sequences] = (uint32_t)skip;
    s->item[s->sequences++] = (uint32_t)item;
    s->tokens += e->n;
    s->starts[s->sequences] = (uint32_t)s->tokens;
}

bool qn_nn__batch_full(const qn_nn_scratch *s)
{
    return s->tokens >= QN_BATCH_TOKENS;
}

void qn_nn__batch_drop_last(qn_nn_scratch *s)
{
    s->tokens = s->starts[--s->sequences];
}

int64_t qn_nn__batch_time(const qn_nn_scratch *s)
{
    int64_t ns = qn_speed_estimate(&s->model->speed, s->starts, s->sequences);
    return ns + ns / 8;
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

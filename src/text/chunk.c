/* SPDX-License-Identifier: Apache-2.0 */
/* chunk.c -- a text by words and by sentences.
 *
 * The words of a text are found once; everything else is arithmetic on where they end. */
#include "text/chunk.h"

#include "text/chunk_internal.h"
#include "text/utf8.h"

enum { SPLIT_OVERLAP = 20 }; /* words that pieces of one long sentence share, at most */

/* ---- opening ---------------------------------------------------------------------- */

qn_status qn_chunk__failed(const qn_chunker *c, UErrorCode code)
{
    if (code == U_MEMORY_ALLOCATION_ERROR)
        return qn_fail(c->err, QN_ENOMEM, "chunks of a text");
    return qn_fail(c->err, QN_EINTERNAL, "chunks of a text: %s", u_errorName(code));
}

static UBreakIterator *open_iterator(UBreakIteratorType type, UErrorCode *code)
{
    UBreakIterator *it = ubrk_open(type, "", NULL, 0, code);
    if (U_SUCCESS(*code)) return it;
    if (it != NULL) ubrk_close(it);
    return NULL;
}

static qn_status open_iterators(qn_chunker *c)
{
    qn_chunk_strategy s = c->settings->strategy;
    UErrorCode code = U_ZERO_ERROR;
    if (s == QN_CHUNK_NONE || s == QN_CHUNK_TOKEN) return QN_OK;
    c->words_of = open_iterator(UBRK_WORD, &code);
    if (s != QN_CHUNK_WORD) c->sentences_of = open_iterator(UBRK_SENTENCE, &code);
    return U_SUCCESS(code) ? QN_OK : qn_chunk__failed(c, code);
}

qn_status qn_chunker_create(qn_alloc *a, const qn_chunk_settings *settings,
                            const struct qn_tokenizer *tokenizer, size_t room,
                            qn_chunker **out, qn_error *err)
{
    qn_chunker *c = *out = qn_new0(a, sizeof *c);
    if (c == NULL) return qn_fail(err, QN_ENOMEM, "chunks of a text");
    c->alloc = a;
    c->settings = settings;
    c->tokenizer = tokenizer;
    c->room = room;
    c->err = err;
    qn_status st = open_iterators(c);
    if (st == QN_OK && settings->strategy == QN_CHUNK_RECURSIVE)
        st = qn_chunk__recursive_open(c);
    if (st == QN_OK && settings->strategy == QN_CHUNK_TOKEN && tokenizer == NULL)
        st = qn_fail(err, QN_EINVAL, "chunks of tokens need a model's tokenizer");
    if (st == QN_OK) return QN_OK;
    qn_chunker_destroy(c);
    *out = NULL;
    return st;
}

void qn_chunker_destroy(qn_chunker *c)
{
    if (c == NULL) return;
    if (c->words_of != NULL) ubrk_close(c->words_of);
    if (c->sentences_of != NULL) ubrk_close(c->sentences_of);
    for (size_t i = 0; i < QN_CHUNK_SEPARATORS_MAX; i++)
        if (c->separators[i] != NULL) uregex_close(c->separators[i]);
    qn_vec_deinit(c->alloc, &c->words);
    qn_vec_deinit(c->alloc, &c->chunks);
    qn_delete(c->alloc, c);
}

/* ---- words ------------------------------------------------------------------------ */

qn_status qn_chunk__add(qn_chunker *c, uint32_t start, uint32_t end)
{
    if (qn_vec_push(c->alloc, &c->chunks, ((qn_chunk){start, end}))) return QN_OK;
    return qn_fail(c->err, QN_ENOMEM, "chunks of a text");
}

static qn_status find_words(qn_chunker *c)
{
    UErrorCode code = U_ZERO_ERROR;
    UText view = UTEXT_INITIALIZER;
    c->words.n = 0;
    utext_openUTF8(&view, c->text.p, (int64_t)c->text.n, &code);
    ubrk_setUText(c->words_of, &view, &code);
    bool room = true;
    while (U_SUCCESS(code) && room) {
        int32_t at = ubrk_next(c->words_of);
        if (at == UBRK_DONE) break;
        if (ubrk_getRuleStatus(c->words_of) < UBRK_WORD_NONE_LIMIT) continue;
        room = qn_vec_push(c->alloc, &c->words, (uint32_t)at);
    }
    utext_close(&view);
    if (!room) return qn_fail(c->err, QN_ENOMEM, "words of a text");
    return U_SUCCESS(code) ? QN_OK : qn_chunk__failed(c, code);
}

size_t qn_chunk__words_before(const qn_chunker *c, uint32_t at)
{
    size_t low = 0, high = c->words.n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c->words.p[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A piece with room for more: where it begins, its first word, how many it has. */
typedef struct open_piece {
    uint32_t start;
    size_t first, words;
} open_piece;

/* The words in pieces of `size`, but for the last one, which stays open. */
static qn_status split_words(qn_chunker *c, open_piece whole, size_t size,
                             size_t overlap, open_piece *rest)
{
    size_t step = size - overlap;
    *rest = whole;
    while (rest->words > size) {
        QN_TRY(qn_chunk__add(c, rest->start, c->words.p[rest->first + size - 1]));
        rest->start = c->words.p[rest->first + step - 1];
        rest->first += step;
        rest->words -= step;
    }
    return QN_OK;
}

static qn_status by_words(qn_chunker *c)
{
    size_t size = c->settings->size;
    open_piece rest, whole = {.words = c->words.n};
    QN_TRY(split_words(c, whole, size, c->settings->overlap, &rest));
    bool full = rest.words == size; /* then what follows the last word is left out */
    return qn_chunk__add(
        c, rest.start, full ? c->words.p[rest.first + size - 1] : (uint32_t)c->text.n);
}

/* ---- sentences -------------------------------------------------------------------- */

/* Sentences gathered into a piece. */
typedef struct gathering {
    size_t size;
    bool overlap;
    open_piece now, before; /* the piece; the sentence before */
    uint32_t end;           /* of the last sentence in the piece */
} gathering;

/* What the next piece begins with: the sentence before, or its last words. */
static void begin_again(const qn_chunker *c, gathering *g, const open_piece *s)
{
    if (!g->overlap) {
        g->now = (open_piece){g->end, s->first, s->words};
        return;
    }
    size_t skip = 0, most = g->size / 2 < 20 ? g->size / 2 : 20;
    if (g->before.words + s->words > g->size && g->before.words > most)
        skip = g->before.words - most;
    g->now = (open_piece){
        .start = skip == 0 ? g->before.start : c->words.p[g->before.first + skip - 1],
        .first = g->before.first + skip,
        .words = g->before.words - skip + s->words,
    };
}

static qn_status add_sentence(qn_chunker *c, gathering *g, open_piece s, uint32_t end)
{
    if (g->now.words + s.words <= g->size) {
        if (g->now.words == 0) g->now.first = s.first;
        g->now.words += s.words;
    } else {
        if (g->now.words > 0) {
            QN_TRY(qn_chunk__add(c, g->now.start, g->end));
            begin_again(c, g, &s);
        } else {
            g->now.first = s.first;
            g->now.words = s.words;
        }
        size_t shared = (g->size - 1) / 2;
        if (shared > SPLIT_OVERLAP) shared = SPLIT_OVERLAP;
        if (g->now.words > g->size)
            QN_TRY(split_words(c, g->now, g->size, shared, &g->now));
    }
    g->before = s;
    g->end = end;
    return QN_OK;
}

qn_status qn_chunk__sentences(qn_chunker *c, uint32_t start, uint32_t end, size_t size,
                              bool overlap)
{
    UErrorCode code = U_ZERO_ERROR;
    UText view = UTEXT_INITIALIZER;
    gathering g = {.size = size, .overlap = overlap, .now.start = start, .end = start};
    size_t first = qn_chunk__words_before(c, start);
    uint32_t from = start;
    qn_status st = QN_OK;
    utext_openUTF8(&view, c->text.p + start, (int64_t)(end - start), &code);
    ubrk_setUText(c->sentences_of, &view, &code);
    while (U_SUCCESS(code) && st == QN_OK) {
        int32_t at = ubrk_next(c->sentences_of);
        if (at == UBRK_DONE) break;
        uint32_t to = start + (uint32_t)at;
        size_t last = first;
        while (last < c->words.n && c->words.p[last] <= to) last++;
        st = add_sentence(c, &g, (open_piece){from, first, last - first}, to);
        first = last;
        from = to;
    }
    utext_close(&view);
    if (U_FAILURE(code)) return qn_chunk__failed(c, code);
    QN_TRY(st);
    return qn_chunk__add(c, g.now.start, end);
}

/* ---- the whole -------------------------------------------------------------------- */

static qn_status cut(qn_chunker *c)
{
    const qn_chunk_settings *s = c->settings;
    uint32_t size = (uint32_t)c->text.n;
    if (s->strategy == QN_CHUNK_TOKEN) return qn_chunk__tokens(c);
    if (s->strategy == QN_CHUNK_NONE || c->text.n == 0)
        return qn_chunk__add(c, 0, size);
    QN_TRY(find_words(c));
    if (s->strategy == QN_CHUNK_WORD) return by_words(c);
    if (c->words.n <= s->size) return qn_chunk__add(c, 0, size);
    if (s->strategy == QN_CHUNK_RECURSIVE) return qn_chunk__recursive(c, 0, size, 0);
    return qn_chunk__sentences(c, 0, size, s->size, s->overlap > 0);
}

qn_status qn_chunker_run(qn_chunker *c, qn_slice text, qn_arena *arena,
                         const qn_chunk **out, size_t *count, qn_error *err)
{
    *out = NULL;
    *count = 0;
    if (text.n > QN_CHUNK_TEXT_MAX)
        return qn_fail(err, QN_ELIMIT, "a text of %zu bytes cannot be cut, at most %d",
                       text.n, QN_CHUNK_TEXT_MAX);
    QN_TRY(qn_utf8_check(text, err));
    c->text = text;
    c->err = err;
    c->chunks.n = 0;
    QN_TRY(cut(c));
    qn_chunk *list = qn_arena_raw(arena, c->chunks.n, sizeof *list);
    if (list == NULL) return qn_fail(err, QN_ENOMEM, "chunks of a text");
    memcpy(list, c->chunks.p, c->chunks.n * sizeof *list);
    *out = list;
    *count = c->chunks.n;
    return QN_OK;
}

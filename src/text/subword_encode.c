/* SPDX-License-Identifier: Apache-2.0 */
/* subword_encode.c -- one text through a tokenizer.json: added tokens, normalizers, splits,
 * the model. */
#include "text/subword.h"

#include <unicode/uchar.h>

typedef struct encoder {
    const qn_tokenizer *t;
    qn_slice text;
    bool plain; /* special tokens in the text are text */
    qn_arena *arena;
    qn_pieces *out;
} encoder;

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "out of memory for a text");
}

static qn_status push(encoder *e, uint32_t id, uint32_t from, uint32_t to,
                      qn_error *err)
{
    if (!qn_pieces_reserve(e->out, e->arena, 1)) return no_memory(err);
    qn_pieces_push(e->out, id, from, to);
    return QN_OK;
}

/* Where bytes [start, end) of a text under way came from. */
static void origin(const qn_subtext *s, size_t start, size_t end, uint32_t *from,
                   uint32_t *to)
{
    *from = s->from[start];
    *to = s->to[end - 1];
    for (size_t i = start; i < end; i++) {
        if (s->from[i] < *from) *from = s->from[i];
        if (s->to[i] > *to) *to = s->to[i];
    }
}

static qn_status push_span(encoder *e, const qn_subtext *s, size_t start, size_t end,
                           uint32_t id, qn_error *err)
{
    uint32_t from, to;
    origin(s, start, end, &from, &to);
    return push(e, id, from, to, err);
}

/* ---- the models ------------------------------------------------------------------------- */

/* The bytes of what has no piece, each as its own; false when the model has not all. */
static bool push_bytes(encoder *e, const qn_subtext *s, size_t start, size_t end,
                       qn_status *st, qn_error *err)
{
    const qn_tokenizer *t = e->t;
    if (!t->byte_fallback) return false;
    for (size_t i = start; i < end; i++)
        if (t->byte_ids[(uint8_t)s->p[i]] == QN_TRIE_DEAD) return false;
    for (size_t i = start; *st == QN_OK && i < end; i++)
        *st = push_span(e, s, start, end, t->byte_ids[(uint8_t)s->p[i]], err);
    return true;
}

static qn_status no_unk(qn_error *err)
{
    return qn_fail(err, QN_EMODEL,
                   "a character has no piece, and the tokenizer no unk token");
}

static qn_status run_unigram(encoder *e, const qn_subtext *s, size_t start, size_t end,
                             qn_error *err)
{
    const qn_tokenizer *t = e->t;
    qn_unigram_cut *cuts = NULL;
    size_t n = 0;
    QN_TRY(qn_unigram_cut_text(&t->unigram, (qn_slice){s->p + start, end - start},
                               e->arena, &cuts, &n, err));
    for (size_t i = 0, next; i < n; i = next) {
        next = i + 1;
        uint32_t id = cuts[i].id;
        bool unknown = id == t->unigram.unk;
        while (unknown && next < n && cuts[next].id == t->unigram.unk) next++;
        size_t from = start + cuts[i].start, to = start + cuts[next - 1].end;
        qn_status st = QN_OK;
        if (unknown &&
            !qn_tokenizer__find(t, (qn_slice){s->p + from, to - from}, &id)) {
            if (push_bytes(e, s, from, to, &st, err)) {
                QN_TRY(st);
                continue;
            }
            if (!t->has_unk) return no_unk(err);
            id = t->unk;
        }
        QN_TRY(push_span(e, s, from, to, id, err));
    }
    return QN_OK;
}

/* "<" prefix piece suffix ">" of a symbol of BPE: which id, if any. */
static bool symbol_id(const qn_tokenizer *t, qn_slice c, bool first, bool last,
                      uint32_t *id)
{
    char name[256];
    size_t n = 0;
    qn_slice parts[3] = {first ? (qn_slice){"", 0} : t->prefix, c,
                         last ? t->suffix : (qn_slice){"", 0}};
    for (size_t i = 0; i < 3; i++) {
        if (parts[i].n > sizeof name - n) return false;
        if (parts[i].n > 0) memcpy(name + n, parts[i].p, parts[i].n);
        n += parts[i].n;
    }
    return qn_tokenizer__find(t, (qn_slice){name, n}, id);
}

/* The symbols that a word begins with: its characters, bytes or unk. */
static qn_status first_symbols(const qn_tokenizer *t, qn_slice word, qn_arena *arena,
                               qn_bpe_symbol **out, size_t *n, qn_error *err)
{
    qn_bpe_symbol *all = qn_arena_raw(arena, word.n, sizeof *all);
    if (all == NULL) return no_memory(err);
    size_t count = 0, length;
    bool fusing = false; /* the last one is an unk that may grow */
    for (size_t i = 0; i < word.n; i += length) {
        (void)qn_utf8_get(word.p + i, &length);
        uint32_t start = (uint32_t)i, end = (uint32_t)(i + length), id;
        if (symbol_id(t, (qn_slice){word.p + i, length}, i == 0, end == word.n, &id)) {
            all[count++] = (qn_bpe_symbol){id, start, end};
            fusing = false;
        } else if (t->byte_fallback && t->all_bytes) {
            for (size_t b = i; b < end; b++)
                all[count++] = (qn_bpe_symbol){t->byte_ids[(uint8_t)word.p[b]],
                                               (uint32_t)b, (uint32_t)b + 1};
            fusing = false;
        } else if (t->has_unk) {
            if (fusing && t->fuse_unk)
                all[count - 1].end = end;
            else
                all[count++] = (qn_bpe_symbol){t->unk, start, end};
            fusing = true;
        }
    }
    *out = all;
    *n = count;
    return QN_OK;
}

static qn_status run_bpe(encoder *e, const qn_subtext *s, size_t start, size_t end,
                         qn_error *err)
{
    const qn_tokenizer *t = e->t;
    qn_slice word = {s->p + start, end - start};
    uint32_t id;
    if (t->ignore_merges && qn_tokenizer__find(t, word, &id))
        return push_span(e, s, start, end, id, err);
    qn_bpe_symbol *symbols = NULL;
    size_t n = 0;
    QN_TRY(first_symbols(t, word, e->arena, &symbols, &n, err));
    QN_TRY(qn_bpe_merge_all(t->merges, symbols, &n, e->arena, err));
    for (size_t i = 0; i < n; i++)
        QN_TRY(push_span(e, s, start + symbols[i].start, start + symbols[i].end,
                         symbols[i].id, err));
    return QN_OK;
}

static size_t count_chars(qn_slice s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) n += ((unsigned char)s.p[i] & 0xC0) != 0x80;
    return n;
}

/* The longest piece that begins at `at`; later ones carry the prefix. */
static bool longest_piece(const qn_tokenizer *t, qn_slice word, size_t at, size_t *end,
                          uint32_t *id)
{
    for (*end = word.n; *end > at; --*end) {
        if (!qn_utf8_border(word, *end)) continue;
        if (symbol_id(t, (qn_slice){word.p + at, *end - at}, at == 0, false, id))
            return true;
    }
    return false;
}

static qn_status run_wordpiece(encoder *e, const qn_subtext *s, size_t start,
                               size_t end, qn_error *err)
{
    const qn_tokenizer *t = e->t;
    qn_slice word = {s->p + start, end - start};
    size_t before = e->out->n;
    bool whole = count_chars(word) <= t->word_chars_max;
    for (size_t at = 0, stop; whole && at < word.n; at = stop) {
        uint32_t id;
        whole = longest_piece(t, word, at, &stop, &id);
        if (whole) QN_TRY(push_span(e, s, start + at, start + stop, id, err));
    }
    if (whole) return QN_OK;
    e->out->n = before;
    if (!t->has_unk) return no_unk(err);
    return push_span(e, s, start, end, t->unk, err);
}

static qn_status run_model(encoder *e, const qn_subtext *s, size_t start, size_t end,
                           qn_error *err)
{
    switch (e->t->model) {
    case QN_SUBWORD_UNIGRAM:
        return run_unigram(e, s, start, end, err);
    case QN_SUBWORD_BPE:
        return run_bpe(e, s, start, end, err);
    default:
        return run_wordpiece(e, s, start, end, err);
    }
}

/* ---- splits -------------------------------------------------------------------------------- */

/* Bytes [start, end) through split `step` and those after it. A text is cut at most as
 * often as there are steps, so the depth is bounded by the file. */
static qn_status run_splits(encoder *e, size_t step, const qn_subtext *s, size_t start,
                            size_t end, qn_error *err)
{
    if (start == end) return QN_OK;
    if (step == e->t->split_count) return run_model(e, s, start, end, err);
    qn_subtext text;
    qn_subsplits splits;
    qn_subsplits_init(&splits, e->arena);
    QN_TRY(qn_split_run(&e->t->splits[step], s, start, end, &text, &splits, err));
    for (size_t i = 0; i < splits.n; i++)
        QN_TRY(run_splits(e, step + 1, &text, splits.p[i].start, splits.p[i].end, err));
    return QN_OK;
}

/* ---- added tokens --------------------------------------------------------------------------- */

static size_t char_before(qn_slice text, size_t at)
{
    do at--;
    while (((unsigned char)text.p[at] & 0xC0) == 0x80);
    return at;
}

static bool stands_alone(qn_slice text, size_t start, size_t end)
{
    size_t length;
    if (start > 0 &&
        qn_subword_is_word(qn_utf8_get(text.p + char_before(text, start), &length)))
        return false;
    return end == text.n || !qn_subword_is_word(qn_utf8_get(text.p + end, &length));
}

/* The longest added token at `at` of the kind asked for. */
static const qn_added_token *added_at(const encoder *e, qn_slice text, size_t at,
                                      bool normalized)
{
    if (!e->t->added_first[(uint8_t)text.p[at]]) return NULL;
    for (size_t i = 0; i < e->t->added_count; i++) {
        const qn_added_token *a = &e->t->added[i];
        if (a->normalized != normalized || (a->special && e->plain)) continue;
        if (a->content.n <= text.n - at &&
            memcmp(a->content.p, text.p + at, a->content.n) == 0)
            return a;
    }
    return NULL;
}

/* The next added token at or after `at`: where it is, blanks that it takes included. */
static const qn_added_token *next_added(const encoder *e, qn_slice text, size_t at,
                                        bool normalized, qn_subsplit *where)
{
    for (size_t i = at; i < text.n;) {
        const qn_added_token *a = added_at(e, text, i, normalized);
        if (a == NULL) {
            i++;
            continue;
        }
        size_t start = i, end = i + a->content.n, length;
        i = end;
        if (a->single_word && !stands_alone(text, start, end)) continue;
        while (a->lstrip && start > at) {
            size_t before = char_before(text, start);
            if (!u_isUWhiteSpace((UChar32)qn_utf8_get(text.p + before, &length))) break;
            start = before;
        }
        while (a->rstrip && end < text.n &&
               u_isUWhiteSpace((UChar32)qn_utf8_get(text.p + end, &length)))
            end += length;
        *where = (qn_subsplit){start, end};
        return a;
    }
    return NULL;
}

/* A normalized text: added tokens that are looked for in it, then the splits. */
static qn_status encode_normalized(encoder *e, const qn_subtext *s, qn_error *err)
{
    qn_slice text = {s->p, s->n};
    size_t at = 0;
    while (at < text.n) {
        qn_subsplit where;
        const qn_added_token *a = next_added(e, text, at, true, &where);
        size_t stop = a == NULL ? text.n : where.start;
        QN_TRY(run_splits(e, 0, s, at, stop, err));
        if (a != NULL) QN_TRY(push_span(e, s, where.start, where.end, a->id, err));
        at = a == NULL ? text.n : where.end;
    }
    return QN_OK;
}

/* Bytes [start, end) of the original, without special tokens in them. */
static qn_status encode_part(encoder *e, size_t start, size_t end, qn_error *err)
{
    if (start == end) return QN_OK;
    qn_subtext s;
    qn_subtext_init(&s, e->arena);
    qn_subtext_add_original(&s, e->text, start, end - start);
    if (s.failed) return no_memory(err);
    for (size_t i = 0; i < e->t->norm_count; i++)
        QN_TRY(qn_norm_run(&e->t->norms[i], &s, err));
    return encode_normalized(e, &s, err);
}

qn_status qn_tokenizer__encode(const qn_tokenizer *t, qn_slice text,
                               qn_tokenize_flags flags, qn_arena *arena, qn_pieces *out,
                               qn_error *err)
{
    encoder e = {t, text, (flags & QN_TOKENIZE_PLAIN) != 0, arena, out};
    size_t at = 0;
    while (at < text.n) {
        qn_subsplit where;
        const qn_added_token *a = next_added(&e, text, at, false, &where);
        size_t stop = a == NULL ? text.n : where.start;
        if (t->model == QN_SUBWORD_SPM)
            QN_TRY(qn_tokenizer__encode_spm(t, (qn_slice){text.p + at, stop - at},
                                            (uint32_t)at, arena, out, err));
        else
            QN_TRY(encode_part(&e, at, stop, err));
        if (a != NULL)
            QN_TRY(push(&e, a->id, (uint32_t)where.start, (uint32_t)where.end, err));
        at = a == NULL ? text.n : where.end;
    }
    return QN_OK;
}

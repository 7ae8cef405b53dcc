/* SPDX-License-Identifier: Apache-2.0 */
/* wordpiece.c -- the vocabulary, and encoding of one text; pairs: tokenizer.c.
 *
 * Normal forms follow the reference tokenizer. */
#include "text/wordpiece.h"

#include "text/bert_chars.h"
#include "text/text_internal.h"
#include "text/utf8.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>

enum {
    VOCAB_COUNT_MAX = 1 << 24,
    PIECE_BYTES_MAX = 400, /* longer pieces cannot match a word of 100 characters */
    WORD_CHARS = QN_WORDPIECE_WORD_CHARS_MAX,
    PENDING_MAX = 32,
    DECOMPOSITION_UNITS = 32,
    SPECIAL_COUNT = 5,
};

static const char *const special_names[SPECIAL_COUNT] = {"[PAD]", "[UNK]", "[CLS]",
                                                         "[SEP]", "[MASK]"};

typedef struct piece {
    uint32_t at, length; /* in the copied vocabulary */
} piece;

typedef struct slot {
    uint32_t tag; /* upper half of the hash, never 0 in use */
    uint32_t id;
} slot;

struct qn_wordpiece {
    qn_alloc *alloc;
    char *bytes;
    piece *pieces;
    size_t count;
    slot *slots; /* open addressing, at most half full */
    size_t mask;
    uint32_t piece_bytes_max;
    qn_wordpiece_specials special;
    const UNormalizer2 *nfd; /* ICU's own, never freed */
    uint16_t
        same[WORD_CHARS + 1]; /* 0, 1, 2...: where the letters of ASCII words are */
};

/* Words begin with one seed, pieces after "##" with the other. */
#define SEED_FIRST UINT64_C(0x243F6A8885A308D3)
#define SEED_MORE UINT64_C(0x13198A2E03707344)

static inline uint64_t hash_byte(uint64_t h, char c)
{
    return (h ^ (unsigned char)c) * UINT64_C(0x9E3779B97F4A7C15);
}

static inline uint64_t hash_end(uint64_t h)
{
    return h ^ h >> 29;
}

static inline uint32_t tag_of(uint64_t h)
{
    return (uint32_t)(h >> 32) | 1;
}

static uint64_t hash_piece(const char *p, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) seed = hash_byte(seed, p[i]);
    return hash_end(seed);
}

/* The id of a piece of `n` bytes without "##", or UINT32_MAX. */
static uint32_t look_up(const qn_wordpiece *wp, const char *p, size_t n, bool more,
                        uint64_t hash)
{
    uint32_t tag = tag_of(hash), skip = more ? 2 : 0;
    for (size_t i = hash & wp->mask;; i = (i + 1) & wp->mask) {
        const slot *s = &wp->slots[i];
        if (s->tag == 0) return UINT32_MAX;
        if (s->tag != tag) continue;
        const piece *known = &wp->pieces[s->id];
        const char *bytes = wp->bytes + known->at;
        bool is_more = known->length > 2 && bytes[0] == '#' && bytes[1] == '#';
        if (is_more == more && known->length == n + skip &&
            memcmp(bytes + skip, p, n) == 0)
            return s->id;
    }
}

/* ---- the vocabulary ---- */

static size_t count_lines(qn_slice vocab)
{
    size_t lines = 0;
    for (size_t i = 0; i < vocab.n; i++) lines += vocab.p[i] == '\n';
    return lines + (vocab.n > 0 && vocab.p[vocab.n - 1] != '\n');
}

static void split_lines(qn_wordpiece *wp, size_t n)
{
    size_t id = 0, start = 0;
    for (size_t i = 0; i <= n; i++) {
        if (i < n && wp->bytes[i] != '\n') continue;
        if (i == n && start == n) break;
        size_t end = i;
        while (end > start && (wp->bytes[end - 1] == '\r' || wp->bytes[end - 1] == ' '))
            end--;
        wp->pieces[id++] = (piece){(uint32_t)start, (uint32_t)(end - start)};
        start = i + 1;
    }
    qn_assert(id == wp->count);
}

/* Of equal pieces the last one counts, as in the reference. */
static void index_pieces(qn_wordpiece *wp)
{
    for (size_t id = 0; id < wp->count; id++) {
        const char *p = wp->bytes + wp->pieces[id].at;
        size_t n = wp->pieces[id].length;
        bool more = n > 2 && p[0] == '#' && p[1] == '#';
        if (more) p += 2, n -= 2;
        if (n == 0 || n > PIECE_BYTES_MAX) continue;
        if (n > wp->piece_bytes_max) wp->piece_bytes_max = (uint32_t)n;
        uint64_t h = hash_piece(p, n, more ? SEED_MORE : SEED_FIRST);
        uint32_t before = look_up(wp, p, n, more, h);
        size_t i = h & wp->mask;
        while (wp->slots[i].tag != 0 && wp->slots[i].id != before)
            i = (i + 1) & wp->mask;
        wp->slots[i] = (slot){tag_of(h), (uint32_t)id};
    }
}

static qn_status find_specials(qn_wordpiece *wp, qn_error *err)
{
    uint32_t *ids[SPECIAL_COUNT] = {&wp->special.pad, &wp->special.unk,
                                    &wp->special.cls, &wp->special.sep,
                                    &wp->special.mask};
    for (size_t i = 0; i < SPECIAL_COUNT; i++)
        if (!qn_wordpiece_id(wp, qn_slice_of(special_names[i]), ids[i]))
            return qn_fail(err, QN_EMODEL, "the vocabulary has no %s",
                           special_names[i]);
    return QN_OK;
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "out of memory for a vocabulary");
}

static qn_status fill(qn_wordpiece *wp, qn_slice vocab, qn_error *err)
{
    wp->count = count_lines(vocab);
    if (wp->count == 0 || wp->count > VOCAB_COUNT_MAX ||
        vocab.n > QN_TOKENIZE_BYTES_MAX)
        return qn_fail(err, QN_EMODEL, "a vocabulary of %zu pieces, %zu bytes",
                       wp->count, vocab.n);
    QN_TRY(qn_utf8_check(vocab, err));
    size_t slots = 64;
    while (slots < wp->count * 2) slots *= 2;
    wp->mask = slots - 1;
    wp->bytes = qn_strndup(wp->alloc, vocab.p, vocab.n);
    wp->pieces = qn_new_array(wp->alloc, wp->count, sizeof *wp->pieces);
    wp->slots = qn_new_array(wp->alloc, slots, sizeof *wp->slots);
    if (wp->bytes == NULL || wp->pieces == NULL || wp->slots == NULL)
        return no_memory(err);
    UErrorCode icu = U_ZERO_ERROR;
    wp->nfd = unorm2_getNFDInstance(&icu);
    if (U_FAILURE(icu))
        return qn_fail(err, QN_EINTERNAL, "ICU without normalization data: %s",
                       u_errorName(icu));
    for (uint16_t i = 0; i <= WORD_CHARS; i++) wp->same[i] = i;
    split_lines(wp, vocab.n);
    index_pieces(wp);
    return find_specials(wp, err);
}

qn_status qn_wordpiece_create(qn_alloc *a, qn_slice vocab, qn_wordpiece **out,
                              qn_error *err)
{
    *out = NULL;
    qn_wordpiece *wp = qn_new0(a, sizeof *wp);
    if (wp == NULL) return no_memory(err);
    wp->alloc = a;
    qn_status st = fill(wp, vocab, err);
    if (st != QN_OK) {
        qn_wordpiece_destroy(wp);
        return st;
    }
    *out = wp;
    return QN_OK;
}

void qn_wordpiece_destroy(qn_wordpiece *wp)
{
    if (wp == NULL) return;
    qn_delete(wp->alloc, wp->slots);
    qn_delete(wp->alloc, wp->pieces);
    qn_delete(wp->alloc, wp->bytes);
    qn_delete(wp->alloc, wp);
}

const qn_wordpiece_specials *qn_wordpiece_special(const qn_wordpiece *wp)
{
    return &wp->special;
}

size_t qn_wordpiece_vocab_size(const qn_wordpiece *wp)
{
    return wp->count;
}

qn_slice qn_wordpiece_piece(const qn_wordpiece *wp, uint32_t id)
{
    if (id >= wp->count) return (qn_slice){NULL, 0};
    return (qn_slice){wp->bytes + wp->pieces[id].at, wp->pieces[id].length};
}

bool qn_wordpiece_id(const qn_wordpiece *wp, qn_slice text, uint32_t *id)
{
    bool more = text.n > 2 && text.p[0] == '#' && text.p[1] == '#';
    if (more) text = (qn_slice){text.p + 2, text.n - 2};
    if (text.n == 0 || text.n > PIECE_BYTES_MAX) return false;
    uint64_t h = hash_piece(text.p, text.n, more ? SEED_MORE : SEED_FIRST);
    uint32_t found = look_up(wp, text.p, text.n, more, h);
    if (found == UINT32_MAX) return false;
    *id = found;
    return true;
}

/* ---- one text ---- */

/* A word in normal form. Character k stands at bytes [at[k], at[k+1]) and came from
 * [from[k], to[k]) of the text; for words of plain ASCII from and to are NULL, and
 * character k came from byte base + k. */
typedef struct word {
    const char *p;
    const uint16_t *at;
    const uint32_t *from, *to;
    uint32_t base;
    size_t n;
} word;

/* A character that waits for canonical order. */
typedef struct waiting {
    uint32_t c, from, to;
    uint8_t combining_class;
} waiting;

typedef struct encoder {
    const qn_wordpiece *wp;
    qn_slice text;
    qn_arena *arena;
    qn_pieces *out;
    bool specials;
    bool failed; /* out of memory */

    /* The word under way. */
    size_t n; /* characters; may exceed what is kept */
    char bytes[4 * WORD_CHARS];
    uint16_t at[WORD_CHARS + 1];
    uint32_t from[WORD_CHARS], to[WORD_CHARS];
    uint32_t first_from, last_to; /* of all characters, kept or not */
    waiting pending[PENDING_MAX];
    size_t pending_count;
} encoder;

static bool reserve_pieces(encoder *e, size_t more)
{
    if (qn_pieces_reserve(e->out, e->arena, more)) return true;
    e->failed = true;
    return false;
}

/* Characters [start, end) as a piece. Canonical order may have moved some, so the span
 * is from the first to the last place in the text. */
static void push_span(encoder *e, const word *w, uint32_t id, size_t start, size_t end)
{
    if (w->from == NULL) {
        qn_pieces_push(e->out, id, w->base + (uint32_t)start, w->base + (uint32_t)end);
        return;
    }
    uint32_t first = w->from[start], last = w->to[start];
    for (size_t k = start + 1; k < end; k++) {
        if (w->from[k] < first) first = w->from[k];
        if (w->to[k] > last) last = w->to[k];
    }
    qn_pieces_push(e->out, id, first, last);
}

/* The longest piece at character `start`: its id, and in *end where it stops. */
static uint32_t longest_piece(const qn_wordpiece *wp, const word *w, size_t start,
                              size_t *end)
{
    uint64_t hashes[WORD_CHARS];
    uint64_t h = start == 0 ? SEED_FIRST : SEED_MORE;
    size_t k = start;
    for (; k < w->n && (size_t)(w->at[k + 1] - w->at[start]) <= wp->piece_bytes_max;
         k++) {
        for (size_t b = w->at[k]; b < w->at[k + 1]; b++) h = hash_byte(h, w->p[b]);
        hashes[k - start] = h;
    }
    for (; k > start; k--) {
        uint32_t id =
            look_up(wp, w->p + w->at[start], (size_t)(w->at[k] - w->at[start]),
                    start != 0, hash_end(hashes[k - 1 - start]));
        if (id == UINT32_MAX) continue;
        *end = k;
        return id;
    }
    return UINT32_MAX;
}

/* The pieces of a word, or [UNK] for all of it. */
static void cut_word(encoder *e, const word *w)
{
    if (!reserve_pieces(e, w->n)) return;
    size_t before = e->out->n;
    for (size_t start = 0, end; start < w->n; start = end) {
        uint32_t id = longest_piece(e->wp, w, start, &end);
        if (id == UINT32_MAX) {
            e->out->n = before;
            push_span(e, w, e->wp->special.unk, 0, w->n);
            return;
        }
        push_span(e, w, id, start, end);
    }
}

static void finish_word(encoder *e)
{
    if (e->n == 0) return;
    if (e->n > WORD_CHARS) {
        if (reserve_pieces(e, 1))
            qn_pieces_push(e->out, e->wp->special.unk, e->first_from, e->last_to);
    } else {
        word w = {e->bytes, e->at, e->from, e->to, 0, e->n};
        cut_word(e, &w);
    }
    e->n = 0;
}

static void append_char(encoder *e, uint32_t c, uint32_t from, uint32_t to)
{
    if (e->n == 0 || from < e->first_from) e->first_from = from;
    if (e->n == 0 || to > e->last_to) e->last_to = to;
    if (e->n < WORD_CHARS) {
        size_t at = e->n == 0 ? 0 : e->at[e->n];
        e->at[e->n] = (uint16_t)at;
        e->from[e->n] = from;
        e->to[e->n] = to;
        e->at[e->n + 1] = (uint16_t)(at + qn_utf8_put(e->bytes + at, c));
    }
    e->n++;
}

/* A character by itself. */
static void single_char(encoder *e, uint32_t c, uint32_t from, uint32_t to)
{
    finish_word(e);
    append_char(e, c, from, to);
    finish_word(e);
}

/* Lower case and into the word, or a word of its own. */
static void place_char(encoder *e, uint32_t c, uint32_t from, uint32_t to)
{
    c = (uint32_t)u_tolower((UChar32)c);
    if (qn_bert_is_punctuation(c)) {
        single_char(e, c, from, to);
    } else {
        append_char(e, c, from, to);
    }
}

static void place_pending(encoder *e)
{
    for (size_t i = 0; i < e->pending_count; i++)
        place_char(e, e->pending[i].c, e->pending[i].from, e->pending[i].to);
    e->pending_count = 0;
}

/* One character of canonical decompositions, in their order: marks go, the others are
 * put in canonical order, which only a few spacing marks need. */
static void decomposed_char(encoder *e, uint32_t c, uint32_t from, uint32_t to)
{
    uint8_t combining_class = u_getCombiningClass((UChar32)c);
    if (combining_class == 0 || e->pending_count == PENDING_MAX) place_pending(e);
    if (c >= 0x80 && qn_bert_category_of(c) == QN_BERT_MARK) return;
    if (combining_class == 0) {
        place_char(e, c, from, to);
        return;
    }
    size_t i = e->pending_count++;
    for (; i > 0 && e->pending[i - 1].combining_class > combining_class; i--)
        e->pending[i] = e->pending[i - 1];
    e->pending[i] = (waiting){c, from, to, combining_class};
}

static void border(encoder *e)
{
    place_pending(e);
    finish_word(e);
}

/* A character beyond ASCII. */
static void other_char(encoder *e, uint32_t c, uint32_t from, uint32_t to)
{
    if (qn_bert_category_of(c) == QN_BERT_REMOVED) return;
    if (u_isUWhiteSpace((UChar32)c)) {
        border(e);
        return;
    }
    bool ideograph = qn_bert_is_ideograph(c);
    if (ideograph) border(e);
    UChar units[DECOMPOSITION_UNITS];
    UErrorCode icu = U_ZERO_ERROR;
    int32_t n = unorm2_getDecomposition(e->wp->nfd, (UChar32)c, units,
                                        DECOMPOSITION_UNITS, &icu);
    if (n < 0 || U_FAILURE(icu)) {
        decomposed_char(e, c, from, to);
    } else {
        for (int32_t i = 0; i < n; i++) {
            uint32_t d = units[i];
            if (U16_IS_LEAD(d)) d = (uint32_t)U16_GET_SUPPLEMENTARY(d, units[++i]);
            decomposed_char(e, d, from, to);
        }
    }
    if (ideograph) border(e);
}

/* What an ASCII byte is. */
enum ascii { ASCII_WORD, ASCII_BLANK, ASCII_PUNCTUATION, ASCII_REMOVED };

static enum ascii ascii_of(unsigned char c)
{
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') return ASCII_BLANK;
    if (c < 32 || c == 127) return ASCII_REMOVED;
    return qn_bert_is_ascii_punctuation(c) ? ASCII_PUNCTUATION : ASCII_WORD;
}

static char lower_ascii(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* A word of letters and digits alone, ended by a blank, a punctuation mark or the end
 * of the text: the common case. Returns its length, or 0 when it is not such a word. */
static size_t plain_word(encoder *e, size_t at)
{
    size_t n = 0, left = e->text.n - at;
    const char *p = e->text.p + at;
    char lower[WORD_CHARS];
    for (; n < left; n++) {
        unsigned char c = (unsigned char)p[n];
        if (c >= 0x80) return 0;
        enum ascii kind = ascii_of(c);
        if (kind == ASCII_REMOVED) return 0;
        if (kind != ASCII_WORD) break;
        if (n == WORD_CHARS) return 0;
        lower[n] = lower_ascii((char)c);
    }
    word w = {lower, e->wp->same, NULL, NULL, (uint32_t)at, n};
    cut_word(e, &w);
    return n;
}

/* Length of the special token at `at`, or 0. */
static size_t special_at(encoder *e, size_t at, uint32_t *id)
{
    const qn_wordpiece_specials *s = &e->wp->special;
    const uint32_t ids[SPECIAL_COUNT] = {s->pad, s->unk, s->cls, s->sep, s->mask};
    for (size_t i = 0; i < SPECIAL_COUNT; i++) {
        size_t n = strlen(special_names[i]);
        if (e->text.n - at < n || memcmp(e->text.p + at, special_names[i], n) != 0)
            continue;
        *id = ids[i];
        return n;
    }
    return 0;
}

/* Handles the ASCII byte at `at`, returns where to go on. */
static size_t ascii_char(encoder *e, size_t at)
{
    char c = e->text.p[at];
    uint32_t id = 0;
    switch (ascii_of((unsigned char)c)) {
    case ASCII_REMOVED:
        return at + 1;
    case ASCII_BLANK:
        border(e);
        return at + 1;
    case ASCII_PUNCTUATION:
        border(e);
        if (c == '[' && e->specials) {
            size_t n = special_at(e, at, &id);
            if (n > 0) {
                if (reserve_pieces(e, 1))
                    qn_pieces_push(e->out, id, (uint32_t)at, (uint32_t)(at + n));
                return at + n;
            }
        }
        single_char(e, (uint32_t)c, (uint32_t)at, (uint32_t)at + 1);
        return at + 1;
    case ASCII_WORD:
        break;
    }
    place_pending(e);
    if (e->n == 0) {
        size_t n = plain_word(e, at);
        if (n > 0) return at + n;
    }
    append_char(e, (uint32_t)lower_ascii(c), (uint32_t)at, (uint32_t)at + 1);
    return at + 1;
}

qn_status qn_wordpiece_encode(const qn_wordpiece *wp, qn_slice text,
                              qn_tokenize_flags flags, qn_arena *arena, qn_pieces *out,
                              qn_error *err)
{
    out->n = 0;
    if (text.n > QN_TOKENIZE_BYTES_MAX)
        return qn_fail(err, QN_ELIMIT, "text of %zu bytes; at most %d can be encoded",
                       text.n, QN_TOKENIZE_BYTES_MAX);
    QN_TRY(qn_utf8_check(text, err));
    encoder e;
    e.wp = wp;
    e.text = text;
    e.arena = arena;
    e.out = out;
    e.specials = (flags & QN_TOKENIZE_PLAIN) == 0;
    e.failed = false;
    e.n = 0;
    e.pending_count = 0;
    if (!reserve_pieces(&e, text.n / 4 + 8)) return qn_text__no_memory(err);
    for (size_t at = 0; at < text.n && !e.failed;) {
        if ((unsigned char)text.p[at] < 0x80) {
            at = ascii_char(&e, at);
        } else {
            size_t length;
            uint32_t c = qn_utf8_get(text.p + at, &length);
            other_char(&e, c, (uint32_t)at, (uint32_t)(at + length));
            at += length;
        }
    }
    border(&e);
    return e.failed ? qn_text__no_memory(err) : QN_OK;
}

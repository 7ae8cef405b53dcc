/* SPDX-License-Identifier: Apache-2.0 */
/* analyzer_chinese.c -- `chinese` and `chn_single`.
 *
 *     text -> NFKC, case folded -> runs of one kind of letter -> words
 *
 * Runs of ideographs are cut by MMSEG (C.-H. Tsai, 1996) over the words of a lexicon:
 * of all ways to take three words from here, the best one gives the next word. Then a
 * word of four or five characters made of shorter words is cut into those, so that a
 * query for a part finds the whole. Other runs (letters and digits, Katakana, Hangul)
 * are words as they are; Hiragana is cut into characters; everything else ends words
 * and is dropped.
 *
 * Not libfriso, whose dictionary this is: its tokenizer writes into the shared
 * dictionary entries, so two threads spoil each other's offsets. */
#include "text/lexicon.h"
#include "text/text_internal.h"
#include "text/utf8.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>

enum {
    RUN_MAX = QN_TOKEN_UNITS_MAX,
    LOOK_AHEAD = 3 * QN_LEXICON_CHARS_MAX, /* what one decision may depend on */
    CLUSTER_CHARS = 16,
    CLUSTER_UNITS = 18 * CLUSTER_CHARS, /* no character becomes more than 18 */
};

enum kind { NOTHING, WORD, KATAKANA, HANGUL, HIRAGANA, HAN };

/* A character of the folded text and the place it came from. */
typedef struct folded {
    uint32_t c, start, end, start16, end16;
} folded;

typedef struct chinese {
    const qn_lexicon *lexicon; /* NULL: ideographs one by one */
    const UNormalizer2 *fold;
    qn_slice text;
    qn_arena *arena;
    qn_token_list *out;
    bool failed; /* out of memory */
    uint32_t position;

    /* The run under way. */
    enum kind kind;
    size_t n;
    folded run[RUN_MAX];
    bool has_letter;
    bool joint;        /* a full stop or apostrophe waits for what follows */
    folded joint_char; /* that one */
    char bytes[4 * RUN_MAX];
    uint16_t at[RUN_MAX + 1]; /* character k is bytes [at[k], at[k + 1]) */
    uint8_t
        lengths[RUN_MAX]; /* bit L: a word of L characters begins here; 0: unknown */
} chinese;

/* Characters [from, limit) of the run as a token. */
static void emit(chinese *z, size_t from, size_t limit, const char *type)
{
    qn_token *t = qn_text__slot(z->out, z->arena);
    qn_slice bytes = {z->bytes + z->at[from], (size_t)(z->at[limit] - z->at[from])};
    qn_slice term = t == NULL ? (qn_slice){0} : qn_arena_slice(z->arena, bytes);
    if (term.p == NULL) {
        z->failed = true;
        return;
    }
    const folded *first = &z->run[from], *last = &z->run[limit - 1];
    *t = (qn_token){term,        first->start,  last->end, first->start16,
                    last->end16, z->position++, type};
    z->out->n++;
}

/* ---- runs of ideographs ---- */

/* The lengths of the words that begin at character k; a single one always counts. */
static uint8_t word_lengths(chinese *z, size_t k)
{
    if (z->lengths[k] != 0) return z->lengths[k];
    uint8_t lengths = 1 << 1;
    for (size_t length = 2; length <= QN_LEXICON_CHARS_MAX && k + length <= z->n;
         length++) {
        size_t at = z->at[k];
        qn_lexicon_entry e = qn_lexicon_find(
            z->lexicon, (qn_slice){z->bytes + at, (size_t)(z->at[k + length] - at)});
        if (e.is_word) lengths |= (uint8_t)(1 << length);
        if (!e.is_prefix) break;
    }
    return z->lengths[k] = lengths;
}

/* Up to three words from here, by MMSEG's rules: more characters, then fewer words,
 * then more even lengths, then more frequent single characters. */
typedef struct chunk {
    size_t length[3];
    size_t words, total, squares;
    double freedom; /* product of the frequencies of the words of one character */
} chunk;

static bool is_better(const chunk *a, const chunk *b)
{
    if (a->total != b->total) return a->total > b->total;
    if (a->words != b->words) return a->words < b->words;
    if (a->squares != b->squares) return a->squares < b->squares;
    return a->freedom > b->freedom;
}

static double freedom_of(const chinese *z, size_t k)
{
    size_t at = z->at[k];
    qn_lexicon_entry e = qn_lexicon_find(
        z->lexicon, (qn_slice){z->bytes + at, (size_t)(z->at[k + 1] - at)});
    return (double)e.frequency + 1.0;
}

static void extend(chinese *z, size_t k, const chunk *so_far, chunk *best)
{
    if (so_far->words == 3 || k == z->n) {
        if (is_better(so_far, best)) *best = *so_far;
        return;
    }
    uint8_t lengths = word_lengths(z, k);
    for (size_t length = QN_LEXICON_CHARS_MAX; length >= 1; length--) {
        if (!(lengths >> length & 1)) continue;
        chunk next = *so_far;
        next.length[next.words++] = length;
        next.total += length;
        next.squares += length * length;
        if (length == 1) next.freedom *= freedom_of(z, k);
        extend(z, k + length, &next, best);
    }
}

/* Where to cut a word of `length` characters that consists of words, or 0. Two
 * characters are the least that a part may have. */
static size_t inner_cut(chinese *z, size_t k, size_t length)
{
    for (size_t first = 2; first + 2 <= length; first++)
        if ((word_lengths(z, k) >> first & 1) &&
            (word_lengths(z, k + first) >> (length - first) & 1))
            return first;
    return 0;
}

/* Drops the first `count` characters. */
static void shift_run(chinese *z, size_t count)
{
    size_t left = z->n - count;
    uint16_t gone = z->at[count];
    memmove(z->bytes, z->bytes + gone, (size_t)(z->at[z->n] - gone));
    memmove(z->run, z->run + count, left * sizeof *z->run);
    for (size_t i = 0; i <= left; i++) z->at[i] = (uint16_t)(z->at[i + count] - gone);
    memset(z->lengths, 0, sizeof z->lengths);
    z->n = left;
}

/* Cuts the run into words; with more of it to come, only as far as is certain. */
static void cut_ideographs(chinese *z, bool more)
{
    size_t k = 0;
    while (k < z->n && (!more || z->n - k > LOOK_AHEAD)) {
        size_t length = 1;
        if (z->lexicon != NULL) {
            chunk best = {.total = 0}, start = {.freedom = 1.0};
            extend(z, k, &start, &best);
            length = best.length[0];
            size_t cut = inner_cut(z, k, length);
            if (cut > 0) {
                emit(z, k, k + cut, "word");
                k += cut;
                length -= cut;
            }
        }
        emit(z, k, k + length, "word");
        k += length;
    }
    shift_run(z, k);
}

/* ---- runs of other letters ---- */

static void finish_run(chinese *z)
{
    z->joint = false;
    if (z->n == 0) return;
    switch (z->kind) {
    case HAN:
        cut_ideographs(z, false);
        break;
    case WORD:
        emit(z, 0, z->n, z->has_letter ? "<ALPHANUM>" : "<NUM>");
        break;
    case KATAKANA:
        emit(z, 0, z->n, "<KATAKANA>");
        break;
    case HANGUL:
        emit(z, 0, z->n, "<HANGUL>");
        break;
    case HIRAGANA:
        emit(z, 0, z->n, "<HIRAGANA>");
        break;
    case NOTHING:
        break;
    }
    z->n = 0;
    z->has_letter = false;
}

static void append(chinese *z, const folded *f)
{
    if (z->n == RUN_MAX) {
        if (z->kind == HAN)
            cut_ideographs(z, true);
        else
            finish_run(z);
    }
    if (z->n == 0) {
        z->at[0] = 0;
        memset(z->lengths, 0, sizeof z->lengths);
    }
    z->at[z->n + 1] =
        (uint16_t)(z->at[z->n] + qn_utf8_put(z->bytes + z->at[z->n], f->c));
    z->run[z->n++] = *f;
}

static enum kind kind_of(uint32_t c)
{
    if (c < 0x80) {
        bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        return letter || (c >= '0' && c <= '9') ? WORD : NOTHING;
    }
    if (c >= 0x4E00 && c <= 0x9FFF) return HAN;
    bool mark = U_GET_GC_MASK((UChar32)c) & U_GC_M_MASK;
    if (!mark && !u_isalnum((UChar32)c) && c != 0x3007) return NOTHING;
    UErrorCode icu = U_ZERO_ERROR;
    switch (uscript_getScript((UChar32)c, &icu)) {
    case USCRIPT_HAN:
        return HAN;
    case USCRIPT_HIRAGANA:
        return HIRAGANA;
    case USCRIPT_KATAKANA:
        return KATAKANA;
    case USCRIPT_HANGUL:
        return HANGUL;
    default:
        return c == 0x30FC ? KATAKANA : WORD; /* the mark of long vowels */
    }
}

static bool is_digit(uint32_t c)
{
    return c < 0x80 ? c >= '0' && c <= '9' : u_isdigit((UChar32)c);
}

/* 2.0 and don't stay whole: the joint is kept when what follows is like what stands
 * before it. */
static void settle_joint(chinese *z, const folded *f, enum kind kind)
{
    bool digits = z->joint_char.c == '.';
    z->joint = false;
    if (kind == WORD && is_digit(f->c) == digits && z->n + 2 <= RUN_MAX)
        append(z, &z->joint_char);
    else
        finish_run(z);
}

static void folded_char(chinese *z, const folded *f)
{
    enum kind kind = kind_of(f->c);
    bool mark = kind != NOTHING && f->c >= 0x300 &&
                (U_GET_GC_MASK((UChar32)f->c) & U_GC_M_MASK) != 0;
    if (z->joint) settle_joint(z, f, kind);
    if (kind == NOTHING) {
        bool quote = f->c == '\'' || f->c == 0x2019;
        bool last_digit = z->n > 0 && is_digit(z->run[z->n - 1].c);
        if (z->n > 0 && z->kind == WORD &&
            ((quote && !last_digit) || (f->c == '.' && last_digit))) {
            z->joint = true;
            z->joint_char = *f;
            return;
        }
        finish_run(z);
        return;
    }
    if (mark) { /* goes with the letter before it, and alone it is nothing */
        if (z->n > 0 && z->kind != HAN) append(z, f);
        return;
    }
    if (z->n > 0 && (kind != z->kind || kind == HIRAGANA)) finish_run(z);
    z->kind = kind;
    append(z, f);
    if (kind == WORD && !is_digit(f->c)) z->has_letter = true;
}

/* ---- folding ---- */

/* NFKC and case folding of the characters that belong together at (at, at16); all that
 * comes out stands for all that went in. Moves both on. */
static void fold_cluster(chinese *z, uint32_t *at, uint32_t *at16)
{
    UChar in[2 * CLUSTER_CHARS], out[CLUSTER_UNITS];
    int32_t n = 0;
    folded f = {.start = *at, .start16 = *at16};
    for (size_t chars = 0; *at < z->text.n && chars < CLUSTER_CHARS; chars++) {
        size_t length;
        UChar32 c = (UChar32)qn_utf8_get(z->text.p + *at, &length);
        if (chars > 0 && unorm2_hasBoundaryBefore(z->fold, c)) break;
        if (c < 0x10000) {
            in[n++] = (UChar)c;
        } else {
            in[n++] = (UChar)(0xD800 + ((c - 0x10000) >> 10));
            in[n++] = (UChar)(0xDC00 + ((c - 0x10000) & 0x3FF));
        }
        *at += (uint32_t)length;
        *at16 += c < 0x10000 ? 1 : 2;
    }
    f.end = *at;
    f.end16 = *at16;
    UErrorCode icu = U_ZERO_ERROR;
    int32_t m = unorm2_normalize(z->fold, in, n, out, CLUSTER_UNITS, &icu);
    qn_assert(U_SUCCESS(icu) || icu == U_STRING_NOT_TERMINATED_WARNING);
    for (int32_t i = 0; i < m; i++) {
        f.c = out[i];
        if (U16_IS_LEAD(f.c)) f.c = (uint32_t)U16_GET_SUPPLEMENTARY(f.c, out[++i]);
        folded_char(z, &f);
    }
}

static qn_status run_chinese(const qn_lexicon *lexicon, qn_slice text, qn_arena *arena,
                             qn_token_list *out, qn_error *err)
{
    UErrorCode icu = U_ZERO_ERROR;
    const UNormalizer2 *fold = unorm2_getNFKCCasefoldInstance(&icu);
    if (U_FAILURE(icu))
        return qn_fail(err, QN_EINTERNAL, "ICU without normalization data: %s",
                       u_errorName(icu));
    chinese z;
    z.lexicon = lexicon;
    z.fold = fold;
    z.text = text;
    z.arena = arena;
    z.out = out;
    z.failed = z.has_letter = z.joint = false;
    z.position = 0;
    z.kind = NOTHING;
    z.n = 0;
    if (!qn_text__reserve(out, arena, text.n / 6 + 8)) return qn_text__no_memory(err);
    const unsigned char *p = (const unsigned char *)text.p;
    for (uint32_t at = 0, at16 = 0; at < text.n && !z.failed;) {
        bool ascii = p[at] < 0x80 && (at + 1 == text.n || p[at + 1] < 0x80);
        size_t length = 1;
        uint32_t c = p[at];
        if (!ascii) c = qn_utf8_get(text.p + at, &length);
        if (!ascii && !(c >= 0x4E00 && c <= 0x9FFF)) {
            fold_cluster(&z, &at, &at16);
            continue;
        }
        /* ASCII and the common ideographs fold to themselves, but for capitals. */
        folded f = {c, at, at + (uint32_t)length, at16, at16 + 1};
        if (c >= 'A' && c <= 'Z') f.c |= 0x20;
        folded_char(&z, &f);
        at = f.end;
        at16 = f.end16;
    }
    finish_run(&z);
    return z.failed ? qn_text__no_memory(err) : QN_OK;
}

qn_status qn_text__run_chinese(const qn_analyzers *set, qn_slice text, qn_arena *arena,
                               qn_token_list *out, qn_error *err)
{
    const qn_lexicon *lexicon = NULL;
    QN_TRY(qn_text__lexicon(set, &lexicon, err));
    return run_chinese(lexicon, text, arena, out, err);
}

qn_status qn_text__run_chn_single(const qn_analyzers *set, qn_slice text,
                                  qn_arena *arena, qn_token_list *out, qn_error *err)
{
    (void)set;
    return run_chinese(NULL, text, arena, out, err);
}

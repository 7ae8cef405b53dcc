/* SPDX-License-Identifier: Apache-2.0 */
/* analyzer_standard.c -- `standard` and `english`.
 *
 * Words of plain ASCII are found by a loop over bytes; anything else, and words near
 * the length limit, goes through the state machine of wordbreak.h. Both give the same
 * words: the tests run one text both ways. */
#include "base/bits.h"
#include "text/porter.h"
#include "text/text_internal.h"
#include "text/utf8.h"
#include "text/wordbreak.h"

#include <unicode/uchar.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* What a byte is to the fast loop. */
enum kind {
    OTHER,      /* begins no word, ends every word */
    LETTER,     /* */
    DIGIT,      /* */
    MID_BOTH,   /* joins letter with letter, digit with digit: . ' */
    MID_LETTER, /* joins letters: : */
    MID_DIGIT,  /* joins digits: , ; */
    MARK,       /* may begin a keycap: # * */
    COMPLEX,    /* underscore, and every byte of other characters */
};

static const uint8_t kinds[256] = {
    ['#'] = MARK,         ['*'] = MARK,         ['\''] = MID_BOTH,
    ['.'] = MID_BOTH,     [':'] = MID_LETTER,   [','] = MID_DIGIT,
    [';'] = MID_DIGIT,    ['_'] = COMPLEX,      ['0'] = DIGIT,
    ['1'] = DIGIT,        ['2'] = DIGIT,        ['3'] = DIGIT,
    ['4'] = DIGIT,        ['5'] = DIGIT,        ['6'] = DIGIT,
    ['7'] = DIGIT,        ['8'] = DIGIT,        ['9'] = DIGIT,
#define BOTH_CASES(upper, lower) [upper] = LETTER, [lower] = LETTER
    BOTH_CASES('A', 'a'), BOTH_CASES('B', 'b'), BOTH_CASES('C', 'c'),
    BOTH_CASES('D', 'd'), BOTH_CASES('E', 'e'), BOTH_CASES('F', 'f'),
    BOTH_CASES('G', 'g'), BOTH_CASES('H', 'h'), BOTH_CASES('I', 'i'),
    BOTH_CASES('J', 'j'), BOTH_CASES('K', 'k'), BOTH_CASES('L', 'l'),
    BOTH_CASES('M', 'm'), BOTH_CASES('N', 'n'), BOTH_CASES('O', 'o'),
    BOTH_CASES('P', 'p'), BOTH_CASES('Q', 'q'), BOTH_CASES('R', 'r'),
    BOTH_CASES('S', 's'), BOTH_CASES('T', 't'), BOTH_CASES('U', 'u'),
    BOTH_CASES('V', 'v'), BOTH_CASES('W', 'w'), BOTH_CASES('X', 'x'),
    BOTH_CASES('Y', 'y'), BOTH_CASES('Z', 'z'),
#undef BOTH_CASES
#define SIXTEEN(c)                                                                     \
    [c] = COMPLEX, [c + 1] = COMPLEX, [c + 2] = COMPLEX, [c + 3] = COMPLEX,            \
    [c + 4] = COMPLEX, [c + 5] = COMPLEX, [c + 6] = COMPLEX, [c + 7] = COMPLEX,        \
    [c + 8] = COMPLEX, [c + 9] = COMPLEX, [c + 10] = COMPLEX, [c + 11] = COMPLEX,      \
    [c + 12] = COMPLEX, [c + 13] = COMPLEX, [c + 14] = COMPLEX, [c + 15] = COMPLEX
    SIXTEEN(0x80),        SIXTEEN(0x90),        SIXTEEN(0xA0),
    SIXTEEN(0xB0),        SIXTEEN(0xC0),        SIXTEEN(0xD0),
    SIXTEEN(0xE0),        SIXTEEN(0xF0),
#undef SIXTEEN
};

/* One run over a text. Terms are written one behind the other. */
typedef struct run {
    const qn_wordbreak *wb;
    qn_slice text;
    qn_arena *arena;
    qn_token_list *out;
    bool english;
    char *term, *limit; /* where the next term goes; the end of that memory */
    uint32_t position;
} run;

/* Room for `n` bytes at r->term. */
static bool reserve_term(run *r, size_t n)
{
    if ((size_t)(r->limit - r->term) >= n) return true;
    size_t size = n > 4096 ? n : 4096;
    r->term = qn_arena_raw(r->arena, size, 1);
    r->limit = r->term == NULL ? NULL : r->term + size;
    return r->term != NULL;
}

/* A word of up to five letters as one number, the first letter lowest. */
#define KEY(a, b, c, d, e)                                                             \
    ((uint64_t)(a) | (uint64_t)(b) << 8 | (uint64_t)(c) << 16 | (uint64_t)(d) << 24 |  \
     (uint64_t)(e) << 32)

/* Sorted by first letter. */
static const uint64_t stop_words[] = {
    KEY('a', 0, 0, 0, 0),         KEY('a', 'n', 0, 0, 0),
    KEY('a', 'n', 'd', 0, 0),     KEY('a', 'r', 'e', 0, 0),
    KEY('a', 's', 0, 0, 0),       KEY('a', 't', 0, 0, 0),
    KEY('b', 'e', 0, 0, 0),       KEY('b', 'u', 't', 0, 0),
    KEY('b', 'y', 0, 0, 0),       KEY('f', 'o', 'r', 0, 0),
    KEY('i', 'f', 0, 0, 0),       KEY('i', 'n', 0, 0, 0),
    KEY('i', 'n', 't', 'o', 0),   KEY('i', 's', 0, 0, 0),
    KEY('i', 't', 0, 0, 0),       KEY('n', 'o', 0, 0, 0),
    KEY('n', 'o', 't', 0, 0),     KEY('o', 'f', 0, 0, 0),
    KEY('o', 'n', 0, 0, 0),       KEY('o', 'r', 0, 0, 0),
    KEY('s', 'u', 'c', 'h', 0),   KEY('t', 'h', 'a', 't', 0),
    KEY('t', 'h', 'e', 0, 0),     KEY('t', 'h', 'e', 'i', 'r'),
    KEY('t', 'h', 'e', 'n', 0),   KEY('t', 'h', 'e', 'r', 'e'),
    KEY('t', 'h', 'e', 's', 'e'), KEY('t', 'h', 'e', 'y', 0),
    KEY('t', 'h', 'i', 's', 0),   KEY('t', 'o', 0, 0, 0),
    KEY('w', 'a', 's', 0, 0),     KEY('w', 'i', 'l', 'l', 0),
    KEY('w', 'i', 't', 'h', 0),
};

/* Reads eight bytes at `word` whatever its length. */
static bool is_stop_word(const char *word, size_t length)
{
    /* Where the words of a letter begin; those of the next begin where they end. */
    static const uint8_t begin[27] = {
        0,  6,  9,  9,  9,  9,  10, 10, 10, 15, 15, 15, 15, 15,
        17, 20, 20, 20, 20, 21, 30, 30, 30, 33, 33, 33, 33,
    };
    if (length == 0 || length > 5) return false;
    unsigned first = (unsigned char)word[0] - (unsigned)'a';
    if (first >= 26) return false;
    uint64_t key = qn_load64(word) & ((UINT64_C(1) << 8 * length) - 1);
    for (size_t i = begin[first]; i < begin[first + 1]; i++)
        if (stop_words[i] == key) return true;
    return false;
}

/* "'s" in any of three apostrophes. */
static size_t without_possessive(const char *term, size_t n)
{
    if (n < 2 || term[n - 1] != 's') return n;
    if (term[n - 2] == '\'') return n - 2;
    if (n >= 4 && memcmp(term + n - 4, "\xE2\x80\x99", 3) == 0) return n - 4;
    if (n >= 4 && memcmp(term + n - 4, "\xEF\xBC\x87", 3) == 0) return n - 4;
    return n;
}

/* The stemmer sees UTF-16 units: each other character becomes one or two marks, equal
 * to the one before exactly when the units are. It removes and changes only ASCII
 * suffixes or whole units at the end, so what is left maps back. */
static size_t stem_other(char *term, size_t n)
{
    char marks[2 * QN_TOKEN_UNITS_MAX];
    uint32_t ends[2 * QN_TOKEN_UNITS_MAX]; /* byte after each unit */
    size_t units = 0;
    uint32_t before = 0;
    for (size_t i = 0; i < n;) {
        size_t length;
        uint32_t c = qn_utf8_get(term + i, &length);
        qn_assert(units + 2 <= sizeof marks);
        i += length;
        uint32_t pair[2] = {c, 0};
        size_t width = 1;
        if (c >= 0x10000) {
            pair[0] = 0xD800 + ((c - 0x10000) >> 10);
            pair[1] = 0xDC00 + ((c - 0x10000) & 0x3FF);
            width = 2;
        }
        for (size_t k = 0; k < width; k++) {
            uint32_t unit = pair[k];
            char mark = (char)unit;
            if (unit >= 0x80) {
                mark = units > 0 && marks[units - 1] == '\x01' ? '\x02' : '\x01';
                if (units > 0 && unit == before) mark = marks[units - 1];
            }
            before = unit;
            marks[units] = mark;
            ends[units++] = (uint32_t)i;
        }
    }
    size_t left = qn_porter_stem(marks, units);
    /* Up to the last mark nothing changed; behind it all is ASCII. */
    size_t kept = left;
    while (kept > 0 && marks[kept - 1] != '\x01' && marks[kept - 1] != '\x02') kept--;
    size_t bytes = kept == 0 ? 0 : ends[kept - 1];
    memcpy(term + bytes, marks + kept, left - kept);
    return bytes + left - kept;
}

/* The term of `n` bytes stands at r->term in lower case; takes it through the filters
 * of the analyzer and into the list. */
static inline bool emit(run *r, const qn_word *word, size_t n)
{
    uint32_t position = r->position++;
    if (r->english) {
        n = without_possessive(r->term, n);
        if (is_stop_word(r->term, n)) return true;
        n = word->ascii ? qn_porter_stem(r->term, n) : stem_other(r->term, n);
    }
    qn_token *t = qn_text__slot(r->out, r->arena);
    if (t == NULL) return false;
    *t = (qn_token){{r->term, n},
                    word->start,
                    word->end,
                    word->start16,
                    word->end16,
                    position,
                    qn_word_type_name(word->type)};
    r->out->n++;
    r->term += n;
    return true;
}

/* A word that the machine found: lower-cased character by character, as Lucene's
 * LowerCaseFilter does. */
static bool emit_other(run *r, const qn_word *word)
{
    const char *p = r->text.p + word->start, *end = r->text.p + word->end;
    if (!reserve_term(r, 2 * (size_t)(end - p) + 8)) return false;
    size_t n = 0, length;
    for (; p < end; p += length) {
        uint32_t c = qn_utf8_get(p, &length);
        n += qn_utf8_put(r->term + n, (uint32_t)u_tolower((UChar32)c));
    }
    return emit(r, word, n);
}

/* The ASCII word that begins with the letter or digit at r->text.p[at], lower-cased to
 * r->term; its length, or 0 when the machine must decide. */
static size_t scan_ascii(const run *r, size_t at, bool *has_letter)
{
    const unsigned char *p = (const unsigned char *)r->text.p + at;
    size_t n = r->text.n - at, i = 0;
    if (n > QN_TOKEN_UNITS_MAX) n = QN_TOKEN_UNITS_MAX;
    uint8_t seen = 0, last = 0;
    for (; i < n; i++) {
        uint8_t kind = kinds[p[i]];
        if (kind == LETTER || kind == DIGIT) {
            r->term[i] = (char)(kind == LETTER ? p[i] | 0x20 : p[i]);
            seen |= kind;
            last = kind;
            continue;
        }
        if (kind == COMPLEX) return 0;
        if (kind == OTHER || kind == MARK) break;
        if (i + 1 == n) break;
        uint8_t after = kinds[p[i + 1]];
        if (after == COMPLEX) return 0;
        bool joins = after == last &&
                     (kind == MID_BOTH || (kind == MID_LETTER && last == LETTER) ||
                      (kind == MID_DIGIT && last == DIGIT));
        if (!joins) break;
        r->term[i] = (char)p[i];
    }
    /* At the window's edge what follows decides, and the machine knows how. */
    if (i + 1 >= QN_TOKEN_UNITS_MAX) return 0;
    *has_letter = (seen & LETTER) != 0;
    return i;
}

#ifdef __SSE2__
/* As scan_ascii(), for the words that most are: under 16 letters and digits, then a byte
 * that ends every word. 0 for any other. */
static inline size_t scan_simple(const run *r, size_t at, bool *has_letter)
{
    const unsigned char *p = (const unsigned char *)r->text.p + at;
    if (r->text.n - at < 16) return 0;
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i blank = _mm_set1_epi8(0x20);
    /* x in [a, a + n) as one signed comparison: x - a - 128 < n - 128. */
    __m128i letters = _mm_cmplt_epi8(
        _mm_add_epi8(_mm_or_si128(bytes, blank), _mm_set1_epi8((char)(0x80 - 'a'))),
        _mm_set1_epi8(-128 + 26));
    __m128i digits =
        _mm_cmplt_epi8(_mm_add_epi8(bytes, _mm_set1_epi8((char)(0x80 - '0'))),
                       _mm_set1_epi8(-128 + 10));
    unsigned letter_bits = (unsigned)_mm_movemask_epi8(letters);
    unsigned word_bits = letter_bits | (unsigned)_mm_movemask_epi8(digits);
    if (word_bits == 0xFFFF) return 0;
    unsigned n = (unsigned)__builtin_ctz(~word_bits);
    uint8_t after = kinds[p[n]];
    if (after != OTHER && after != MARK) return 0;
    __m128i lower = _mm_or_si128(bytes, _mm_and_si128(letters, blank));
    _mm_storeu_si128((__m128i *)(void *)r->term, lower);
    *has_letter = (letter_bits & ((1u << n) - 1)) != 0;
    return n;
}
#else
static inline size_t scan_simple(const run *r, size_t at, bool *has_letter)
{
    (void)r, (void)at, (void)has_letter;
    return 0;
}
#endif

static qn_status run_all(run *r, qn_error *err)
{
    const unsigned char *p = (const unsigned char *)r->text.p;
    uint32_t at = 0, n = (uint32_t)r->text.n;
    uint32_t narrower = 0; /* bytes less UTF-16 units up to here */
    while (at < n) {
        uint8_t kind = kinds[p[at]];
        bool ok;
        if (kind == LETTER || kind == DIGIT) {
            if (!reserve_term(r, QN_TOKEN_UNITS_MAX)) return qn_text__no_memory(err);
            bool has_letter = false;
            uint32_t length = (uint32_t)scan_simple(r, at, &has_letter);
            if (length == 0) length = (uint32_t)scan_ascii(r, at, &has_letter);
            if (length > 0) {
                uint32_t end = at + length;
                qn_word word = {at,
                                end,
                                at - narrower,
                                end - narrower,
                                has_letter ? QN_WORD_ALPHANUM : QN_WORD_NUM,
                                true};
                ok = emit(r, &word, length);
                if (!ok) return qn_text__no_memory(err);
                at = end;
                continue;
            }
        } else if (kind != COMPLEX &&
                   !(kind == MARK && at + 1 < n && kinds[p[at + 1]] == COMPLEX)) {
            at++;
            continue;
        }
        qn_word word = qn_wordbreak_match(r->wb, r->text, at, at - narrower);
        if (word.type != QN_WORD_NONE) {
            if (!emit_other(r, &word)) return qn_text__no_memory(err);
            at = word.end;
            narrower = word.end - word.end16;
        } else {
            size_t length;
            uint32_t c = qn_utf8_get(r->text.p + at, &length);
            at += (uint32_t)length;
            narrower += (uint32_t)length - (c >= 0x10000 ? 2 : 1);
        }
    }
    return QN_OK;
}

static qn_status run_words(const qn_analyzers *set, qn_slice text, qn_arena *arena,
                           qn_token_list *out, bool english, qn_error *err)
{
    run r = {.wb = qn_text__wordbreak(set),
             .text = text,
             .arena = arena,
             .out = out,
             .english = english};
    /* About as much as English text needs; both grow when it is not enough. */
    if (!qn_text__reserve(out, arena, text.n / 6 + 8) ||
        !reserve_term(&r, text.n + 256))
        return qn_text__no_memory(err);
    return run_all(&r, err);
}

qn_status qn_text__run_standard(const qn_analyzers *set, qn_slice text, qn_arena *arena,
                                qn_token_list *out, qn_error *err)
{
    return run_words(set, text, arena, out, false, err);
}

qn_status qn_text__run_english(const qn_analyzers *set, qn_slice text, qn_arena *arena,
                               qn_token_list *out, qn_error *err)
{
    return run_words(set, text, arena, out, true, err);
}

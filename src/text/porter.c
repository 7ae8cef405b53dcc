/* SPDX-License-Identifier: Apache-2.0 */
#include "text/porter.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* The letters of the paper: a word is [C](VC){m}[V], C and V runs of consonants and
 * vowels. `stem` is the length of what stands before the suffix found last. */
typedef struct porter {
    char *word;
    size_t length, stem;
} porter;

/* A consonant: no vowel, and y only at the start or after a vowel. */
static bool is_consonant(const porter *p, size_t i)
{
    switch (p->word[i]) {
    case 'a':
    case 'e':
    case 'i':
    case 'o':
    case 'u':
        return false;
    case 'y':
        return i == 0 || !is_consonant(p, i - 1);
    default:
        return true;
    }
}

/* m of the stem, counted up to `enough`. */
static size_t measure(const porter *p, size_t enough)
{
    size_t m = 0;
    bool vowel_before = false;
    for (size_t i = 0; i < p->stem && m < enough; i++) {
        char c = p->word[i];
        bool vowel = c == 'a' || c == 'e' || c == 'i' || c == 'o' || c == 'u' ||
                     (c == 'y' && i > 0 && !vowel_before);
        m += vowel_before && !vowel;
        vowel_before = vowel;
    }
    return m;
}

static bool stem_has_vowel(const porter *p)
{
    for (size_t i = 0; i < p->stem; i++)
        if (!is_consonant(p, i)) return true;
    return false;
}

static bool ends_double_consonant(const porter *p)
{
    size_t n = p->length;
    return n >= 2 && p->word[n - 1] == p->word[n - 2] && is_consonant(p, n - 1);
}

/* The first n letters end in consonant, vowel, consonant, the last not w, x or y. */
static bool ends_cvc(const porter *p, size_t n)
{
    if (n < 3 || !is_consonant(p, n - 1) || is_consonant(p, n - 2) ||
        !is_consonant(p, n - 3))
        return false;
    char c = p->word[n - 1];
    return c != 'w' && c != 'x' && c != 'y';
}

static bool ends(porter *p, const char *suffix, size_t n)
{
    if (n > p->length || memcmp(p->word + p->length - n, suffix, n) != 0) return false;
    p->stem = p->length - n;
    return true;
}
#define ENDS(p, literal) ends((p), (literal), sizeof(literal) - 1)

/* Puts `suffix` (no longer than what was found) behind the stem. */
static void set_suffix(porter *p, const char *suffix, size_t n)
{
    memcpy(p->word + p->stem, suffix, n);
    p->length = p->stem + n;
}
#define SET(p, literal) set_suffix((p), (literal), sizeof(literal) - 1)

/* Plurals: caresses, ponies, cats. */
static void step_1a(porter *p)
{
    if (p->word[p->length - 1] != 's') return;
    if (ENDS(p, "sses")) {
        p->length -= 2;
    } else if (ENDS(p, "ies")) {
        SET(p, "i");
    } else if (p->word[p->length - 2] != 's') {
        p->length--;
    }
}

/* agreed, plastered, motoring; then conflat(e), hop(p), fil(e). */
static void step_1b(porter *p)
{
    char last = p->word[p->length - 1];
    if (last != 'd' && last != 'g') return;
    if (ENDS(p, "eed")) {
        if (measure(p, 1) > 0) p->length--;
        return;
    }
    if (!(ENDS(p, "ed") || ENDS(p, "ing")) || !stem_has_vowel(p)) return;
    p->length = p->stem;
    if (ENDS(p, "at")) {
        SET(p, "ate");
    } else if (ENDS(p, "bl")) {
        SET(p, "ble");
    } else if (ENDS(p, "iz")) {
        SET(p, "ize");
    } else if (ends_double_consonant(p)) {
        char c = p->word[p->length - 1];
        if (c != 'l' && c != 's' && c != 'z') p->length--;
    } else if (p->stem = p->length, measure(p, 2) == 1 && ends_cvc(p, p->length)) {
        SET(p, "e");
    }
}

/* happy, but not sky. */
static void step_1c(porter *p)
{
    if (ENDS(p, "y") && stem_has_vowel(p)) p->word[p->length - 1] = 'i';
}

/* A suffix found by one letter of the word; the first that fits decides. */
typedef struct suffix_row {
    char at;
    uint8_t length, new_length;
    char suffix[8], becomes[4];
} suffix_row;

#define ROW(at, suffix, becomes)                                                       \
    {                                                                                  \
        at, sizeof(suffix) - 1, sizeof(becomes) - 1, suffix, becomes                   \
    }
#define LETTER(c) (UINT32_C(1) << ((c) - 'a'))

static bool is_one_of(char c, uint32_t letters)
{
    return c >= 'a' && c <= 'z' && (letters >> (c - 'a') & 1);
}

static void replace_suffix(porter *p, const suffix_row *rows, size_t count, char at,
                           size_t m_least)
{
    char last = p->word[p->length - 1];
    for (size_t i = 0; i < count; i++) {
        const suffix_row *row = &rows[i];
        if (row->at != at || row->suffix[row->length - 1] != last ||
            !ends(p, row->suffix, row->length))
            continue;
        if (measure(p, m_least) >= m_least)
            set_suffix(p, row->becomes, row->new_length);
        return;
    }
}
#define REPLACE(p, rows, at, m_least)                                                  \
    replace_suffix((p), (rows), sizeof(rows) / sizeof *(rows), (at), (m_least))

/* By the last letter but one; the last is a quick test. */
static void step_2(porter *p)
{
    static const suffix_row rows[] = {
        ROW('a', "ational", "ate"), ROW('a', "tional", "tion"),
        ROW('c', "enci", "ence"),   ROW('c', "anci", "ance"),
        ROW('e', "izer", "ize"),    ROW('g', "logi", "log"),
        ROW('l', "bli", "ble"),     ROW('l', "alli", "al"),
        ROW('l', "entli", "ent"),   ROW('l', "eli", "e"),
        ROW('l', "ousli", "ous"),   ROW('o', "ization", "ize"),
        ROW('o', "ation", "ate"),   ROW('o', "ator", "ate"),
        ROW('s', "alism", "al"),    ROW('s', "iveness", "ive"),
        ROW('s', "fulness", "ful"), ROW('s', "ousness", "ous"),
        ROW('t', "aliti", "al"),    ROW('t', "iviti", "ive"),
        ROW('t', "biliti", "ble"),
    };
    static const uint32_t last = LETTER('i') | LETTER('l') | LETTER('m') | LETTER('n') |
                                 LETTER('r') | LETTER('s');
    if (p->length < 2 || !is_one_of(p->word[p->length - 1], last)) return;
    REPLACE(p, rows, p->word[p->length - 2], 1);
}

/* By the last letter. */
static void step_3(porter *p)
{
    static const suffix_row rows[] = {
        ROW('e', "icate", "ic"), ROW('e', "ative", ""),  ROW('e', "alize", "al"),
        ROW('i', "iciti", "ic"), ROW('l', "ical", "ic"), ROW('l', "ful", ""),
        ROW('s', "ness", ""),
    };
    static const uint32_t last = LETTER('e') | LETTER('i') | LETTER('l') | LETTER('s');
    char at = p->word[p->length - 1];
    if (is_one_of(at, last)) REPLACE(p, rows, at, 1);
}

/* By the last letter but one. */
static void step_4(porter *p)
{
    static const suffix_row rows[] = {
        ROW('a', "al", ""),   ROW('c', "ance", ""), ROW('c', "ence", ""),
        ROW('e', "er", ""),   ROW('i', "ic", ""),   ROW('l', "able", ""),
        ROW('l', "ible", ""), ROW('n', "ant", ""),  ROW('n', "ement", ""),
        ROW('n', "ment", ""), ROW('n', "ent", ""),  ROW('o', "ou", ""),
        ROW('s', "ism", ""),  ROW('t', "ate", ""),  ROW('t', "iti", ""),
        ROW('u', "ous", ""),  ROW('v', "ive", ""),  ROW('z', "ize", ""),
    };
    static const uint32_t last = LETTER('c') | LETTER('e') | LETTER('i') | LETTER('l') |
                                 LETTER('m') | LETTER('r') | LETTER('s') | LETTER('t') |
                                 LETTER('u');
    if (p->length < 2) return;
    if (ENDS(p, "ion")) { /* adoption, extension; the s or t belongs to the stem */
        char c = p->stem == 0 ? '\0' : p->word[p->stem - 1];
        if ((c == 's' || c == 't') && measure(p, 2) > 1) p->length = p->stem;
        return;
    }
    if (is_one_of(p->word[p->length - 1], last))
        REPLACE(p, rows, p->word[p->length - 2], 2);
}

/* probate, but not rate; controll. */
static void step_5(porter *p)
{
    p->stem = p->length;
    if (p->word[p->length - 1] == 'e') {
        size_t m = measure(p, 2);
        if (m > 1 || (m == 1 && !ends_cvc(p, p->length - 1))) p->length--;
    }
    if (p->word[p->length - 1] == 'l' && ends_double_consonant(p) && measure(p, 2) > 1)
        p->length--;
}

size_t qn_porter_stem(char *word, size_t length)
{
    if (length < 3) return length;
    porter p = {word, length, 0};
    step_1a(&p);
    step_1b(&p);
    step_1c(&p);
    step_2(&p);
    step_3(&p);
    step_4(&p);
    step_5(&p);
    return p.length;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "text/porter.h"

#include <stdbool.h>
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

/* Suffixes found by their last letter but one; the first that fits decides. */
typedef struct suffix_row {
    char at, suffix[8], becomes[5];
} suffix_row;

static void replace_suffix(porter *p, const suffix_row *row, char at, size_t m_least)
{
    for (; row->at != '\0' && row->at <= at; row++) {
        if (row->at != at || !ends(p, row->suffix, strlen(row->suffix))) continue;
        if (measure(p, m_least) >= m_least)
            set_suffix(p, row->becomes, strlen(row->becomes));
        return;
    }
}

static void step_2(porter *p)
{
    static const suffix_row rows[] = {
        {'a', "ational", "ate"}, {'a', "tional", "tion"}, {'c', "enci", "ence"},
        {'c', "anci", "ance"},   {'e', "izer", "ize"},    {'g', "logi", "log"},
        {'l', "bli", "ble"},     {'l', "alli", "al"},     {'l', "entli", "ent"},
        {'l', "eli", "e"},       {'l', "ousli", "ous"},   {'o', "ization", "ize"},
        {'o', "ation", "ate"},   {'o', "ator", "ate"},    {'s', "alism", "al"},
        {'s', "iveness", "ive"}, {'s', "fulness", "ful"}, {'s', "ousness", "ous"},
        {'t', "aliti", "al"},    {'t', "iviti", "ive"},   {'t', "biliti", "ble"},
        {'\0', "", ""},
    };
    if (p->length >= 2) replace_suffix(p, rows, p->word[p->length - 2], 1);
}

/* Here the key is the last letter. */
static void step_3(porter *p)
{
    static const suffix_row rows[] = {
        {'e', "icate", "ic"}, {'e', "ative", ""},  {'e', "alize", "al"},
        {'i', "iciti", "ic"}, {'l', "ical", "ic"}, {'l', "ful", ""},
        {'s', "ness", ""},    {'\0', "", ""},
    };
    replace_suffix(p, rows, p->word[p->length - 1], 1);
}

static void step_4(porter *p)
{
    static const suffix_row rows[] = {
        {'a', "al", ""},    {'c', "ance", ""}, {'c', "ence", ""}, {'e', "er", ""},
        {'i', "ic", ""},    {'l', "able", ""}, {'l', "ible", ""}, {'n', "ant", ""},
        {'n', "ement", ""}, {'n', "ment", ""}, {'n', "ent", ""},  {'o', "ou", ""},
        {'s', "ism", ""},   {'t', "ate", ""},  {'t', "iti", ""},  {'u', "ous", ""},
        {'v', "ive", ""},   {'z', "ize", ""},  {'\0', "", ""},
    };
    if (p->length < 2) return;
    if (ENDS(p, "ion")) { /* adoption, extension; the s or t belongs to the stem */
        char c = p->stem == 0 ? '\0' : p->word[p->stem - 1];
        if ((c == 's' || c == 't') && measure(p, 2) > 1) p->length = p->stem;
        return;
    }
    replace_suffix(p, rows, p->word[p->length - 2], 2);
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

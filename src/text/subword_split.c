/* SPDX-License-Identifier: Apache-2.0 */
/* subword_split.c -- the pre-tokenizers of tokenizer.json: where a text is cut before the
 * model sees it. A step finds matches; its behavior says what becomes of them. */
#include "text/bert_chars.h"
#include "text/subword.h"

#include <unicode/uchar.h>
#include <unicode/uregex.h>
#include <unicode/ustring.h>

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "out of memory for a text");
}

/* ---- patterns ----------------------------------------------------------------------- */

enum { PATTERN_BYTES_MAX = 4096, REGEX_TIME_LIMIT = 20000 };

struct qn_subregex {
    qn_alloc *alloc;
    URegularExpression *icu; /* cloned for each use; NULL: `text` as it stands */
    char *text;
    size_t n;
};

qn_status qn_subregex_create(qn_alloc *a, qn_slice pattern, bool regex,
                             qn_subregex **out, qn_error *err)
{
    *out = NULL;
    if (pattern.n == 0 || pattern.n > PATTERN_BYTES_MAX)
        return qn_fail(err, QN_EMODEL, "a pattern of %zu bytes; 1 to %d can be used",
                       pattern.n, PATTERN_BYTES_MAX);
    qn_subregex *r = qn_new0(a, sizeof *r);
    if (r == NULL) return no_memory(err);
    r->alloc = a;
    r->n = pattern.n;
    r->text = qn_strndup(a, pattern.p, pattern.n);
    UErrorCode icu = U_ZERO_ERROR;
    if (r->text != NULL && regex) {
        UText text = UTEXT_INITIALIZER;
        UParseError where;
        utext_openUTF8(&text, r->text, (int64_t)r->n, &icu);
        if (U_SUCCESS(icu)) r->icu = uregex_openUText(&text, 0, &where, &icu);
        utext_close(&text);
    }
    if (r->text == NULL || U_FAILURE(icu)) {
        qn_subregex_destroy(r);
        return U_FAILURE(icu) ? qn_fail(err, QN_EMODEL,
                                        "the expression \"%.*s\" cannot be used: %s",
                                        (int)(pattern.n < 80 ? pattern.n : 80),
                                        pattern.p, u_errorName(icu))
                              : no_memory(err);
    }
    *out = r;
    return QN_OK;
}

void qn_subregex_destroy(qn_subregex *r)
{
    if (r == NULL) return;
    if (r->icu != NULL) uregex_close(r->icu);
    qn_delete(r->alloc, r->text);
    qn_delete(r->alloc, r);
}

static void find_literal(const qn_subregex *r, qn_slice text, qn_subsplits *matches)
{
    for (size_t i = 0; i + r->n <= text.n;) {
        if (text.p[i] == r->text[0] && memcmp(text.p + i, r->text, r->n) == 0) {
            qn_subsplits_add(matches, i, i + r->n);
            i += r->n;
        } else {
            i++;
        }
    }
}

static qn_status find_regex(const qn_subregex *r, qn_slice text, qn_subsplits *matches,
                            qn_error *err)
{
    UErrorCode icu = U_ZERO_ERROR;
    UText source = UTEXT_INITIALIZER;
    URegularExpression *re = uregex_clone(r->icu, &icu);
    utext_openUTF8(&source, text.p, (int64_t)text.n, &icu);
    if (U_SUCCESS(icu)) {
        uregex_setTimeLimit(re, REGEX_TIME_LIMIT, &icu);
        uregex_setUText(re, &source, &icu);
    }
    while (U_SUCCESS(icu) && uregex_findNext(re, &icu)) {
        int64_t start = uregex_start64(re, 0, &icu), end = uregex_end64(re, 0, &icu);
        if (U_SUCCESS(icu)) qn_subsplits_add(matches, (size_t)start, (size_t)end);
    }
    utext_close(&source);
    if (re != NULL) uregex_close(re);
    if (U_SUCCESS(icu)) return QN_OK;
    return qn_fail(err, QN_EMODEL, "the expression \"%s\" gives up on a text: %s",
                   r->text, u_errorName(icu));
}

qn_status qn_subregex_find(const qn_subregex *r, qn_slice text, qn_subsplits *matches,
                           qn_error *err)
{
    if (text.n == 0) return QN_OK;
    if (r->icu != NULL)
        QN_TRY(find_regex(r, text, matches, err));
    else
        find_literal(r, text, matches);
    return matches->failed ? no_memory(err) : QN_OK;
}

/* ---- categories ---------------------------------------------------------------------- */

/* Letters, digits and marks of Unicode 15.1 and 16, which is what the reference knows, for
 * an ICU that does not. */
static const struct {
    uint32_t first, last, mask;
} newer[] = {{0x897, 0x897, U_GC_MN_MASK},     {0x1C89, 0x1C8A, U_GC_LO_MASK},
             {0xA7CB, 0xA7CD, U_GC_LO_MASK},   {0xA7DA, 0xA7DC, U_GC_LO_MASK},
             {0x105C0, 0x105F3, U_GC_LO_MASK}, {0x10D40, 0x10D49, U_GC_ND_MASK},
             {0x10D4A, 0x10D65, U_GC_LO_MASK}, {0x10D69, 0x10D6D, U_GC_MN_MASK},
             {0x10D6F, 0x10D85, U_GC_LO_MASK}, {0x10EC2, 0x10EC4, U_GC_LO_MASK},
             {0x10EFC, 0x10EFC, U_GC_MN_MASK}, {0x11380, 0x11389, U_GC_LO_MASK},
             {0x1138B, 0x1138B, U_GC_LO_MASK}, {0x1138E, 0x1138E, U_GC_LO_MASK},
             {0x11390, 0x113B5, U_GC_LO_MASK}, {0x113B7, 0x113B7, U_GC_LO_MASK},
             {0x113B8, 0x113C0, U_GC_MN_MASK}, {0x113C2, 0x113C2, U_GC_MN_MASK},
             {0x113C5, 0x113C5, U_GC_MN_MASK}, {0x113C7, 0x113CA, U_GC_MN_MASK},
             {0x113CC, 0x113D0, U_GC_MN_MASK}, {0x113D1, 0x113D1, U_GC_LO_MASK},
             {0x113D2, 0x113D2, U_GC_MN_MASK}, {0x113D3, 0x113D3, U_GC_LO_MASK},
             {0x113E1, 0x113E2, U_GC_MN_MASK}, {0x116D0, 0x116E3, U_GC_ND_MASK},
             {0x11BC0, 0x11BE0, U_GC_LO_MASK}, {0x11BF0, 0x11BF9, U_GC_ND_MASK},
             {0x11F5A, 0x11F5A, U_GC_MN_MASK}, {0x13460, 0x143FA, U_GC_LO_MASK},
             {0x16100, 0x1611D, U_GC_LO_MASK}, {0x1611E, 0x1612F, U_GC_MN_MASK},
             {0x16130, 0x16139, U_GC_ND_MASK}, {0x16D40, 0x16D6C, U_GC_LO_MASK},
             {0x16D70, 0x16D79, U_GC_ND_MASK}, {0x18CFF, 0x18CFF, U_GC_LO_MASK},
             {0x1CCF0, 0x1CCF9, U_GC_ND_MASK}, {0x1E5D0, 0x1E5ED, U_GC_LO_MASK},
             {0x1E5EE, 0x1E5EF, U_GC_MN_MASK}, {0x1E5F0, 0x1E5F0, U_GC_LO_MASK},
             {0x1E5F1, 0x1E5FA, U_GC_ND_MASK}, {0x2EBF0, 0x2EE5D, U_GC_LO_MASK}};

static uint32_t category_of(uint32_t c)
{
    uint32_t mask = U_GET_GC_MASK((UChar32)c);
    if (!(mask & U_GC_CN_MASK)) return mask;
    for (size_t i = 0; i < sizeof newer / sizeof *newer; i++)
        if (c >= newer[i].first && c <= newer[i].last) return newer[i].mask;
    return mask;
}

/* ---- GPT-2's words ------------------------------------------------------------------- */

typedef enum word_class {
    CLASS_END,
    CLASS_BLANK,
    CLASS_LETTER,
    CLASS_NUMBER,
    CLASS_OTHER,
} word_class;

static word_class class_at(qn_slice text, size_t at, size_t *length)
{
    if (at >= text.n) return CLASS_END;
    uint32_t c = qn_utf8_get(text.p + at, length);
    uint32_t mask = category_of(c);
    if (mask & U_GC_L_MASK) return CLASS_LETTER;
    if (mask & U_GC_N_MASK) return CLASS_NUMBER;
    return u_isUWhiteSpace((UChar32)c) ? CLASS_BLANK : CLASS_OTHER;
}

/* 's 't 're 've 'm 'll 'd */
static size_t contraction(qn_slice text, size_t at)
{
    static const char *const ends[] = {"s", "t", "re", "ve", "m", "ll", "d"};
    if (text.p[at] != '\'') return 0;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t n = strlen(ends[i]);
        if (text.n - at - 1 >= n && memcmp(text.p + at + 1, ends[i], n) == 0)
            return n + 1;
    }
    return 0;
}

static size_t run_end(qn_slice text, size_t at, word_class kind)
{
    size_t length;
    while (class_at(text, at, &length) == kind) at += length;
    return at;
}

/* Blanks: all of them at the end of the text, else all but the last, else the one. */
static size_t blanks_end(qn_slice text, size_t at)
{
    size_t end = run_end(text, at, CLASS_BLANK);
    if (end == text.n) return end;
    size_t last = end - 1;
    while (((unsigned char)text.p[last] & 0xC0) == 0x80) last--;
    return last > at ? last : end;
}

void qn_subsplit_gpt2(qn_slice text, qn_subsplits *matches)
{
    for (size_t at = 0, end; at < text.n; at = end) {
        end = at + contraction(text, at);
        if (end == at) {
            size_t length = 0, begin = at;
            word_class kind = class_at(text, at, &length);
            if (text.p[at] == ' ') kind = class_at(text, begin = at + 1, &length);
            if (kind == CLASS_BLANK || kind == CLASS_END)
                end = blanks_end(text, at);
            else
                end = run_end(text, begin, kind);
        }
        qn_subsplits_add(matches, at, end);
    }
}

/* ---- matches by character --------------------------------------------------------------- */

typedef bool is_match(uint32_t c);

static bool is_blank(uint32_t c)
{
    return u_isUWhiteSpace((UChar32)c);
}

static bool is_number(uint32_t c)
{
    return (category_of(c) & U_GC_N_MASK) != 0;
}

bool qn_subword_is_word(uint32_t c)
{
    uint32_t mask = category_of(c);
    return (mask & U_GC_L_MASK) != 0 || u_isUAlphabetic((UChar32)c) || c == 0x200C ||
           c == 0x200D || (mask & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0;
}

static void match_chars(qn_slice text, size_t start, size_t end, is_match *is,
                        qn_subsplits *matches)
{
    for (size_t i = start, length; i < end; i += length)
        if (is(qn_utf8_get(text.p + i, &length)))
            qn_subsplits_add(matches, i, i + length);
}

/* \w+|[^\w\s]+ */
static void match_words(qn_slice text, qn_subsplits *matches)
{
    for (size_t at = 0, length; at < text.n;) {
        uint32_t c = qn_utf8_get(text.p + at, &length);
        bool word = qn_subword_is_word(c), blank = !word && is_blank(c);
        size_t end = at + length;
        while (end < text.n) {
            c = qn_utf8_get(text.p + end, &length);
            if (qn_subword_is_word(c) != word || (!word && is_blank(c) != blank)) break;
            end += length;
        }
        if (!blank) qn_subsplits_add(matches, at, end);
        at = end;
    }
}

/* ---- what becomes of matches -------------------------------------------------------------- */

/* A stretch of the text, matched or not. */
typedef struct stretch {
    size_t start, end;
    bool match;
} stretch;

/* The matches and what lies between them. */
static stretch *cover(qn_slice text, const qn_subsplits *matches, bool invert,
                      qn_arena *arena, size_t *n)
{
    stretch *all = qn_arena_raw(arena, matches->n * 2 + 1, sizeof *all);
    size_t at = 0;
    *n = 0;
    for (size_t i = 0; all != NULL && i <= matches->n; i++) {
        qn_subsplit m = i < matches->n ? matches->p[i] : (qn_subsplit){text.n, text.n};
        if (m.start > at) all[(*n)++] = (stretch){at, m.start, invert};
        if (m.end > m.start) all[(*n)++] = (stretch){m.start, m.end, !invert};
        at = m.end;
    }
    return all;
}

/* Whether stretch i goes on what stretch i - 1 began; `before` is whether that one was
 * joined to the one before it as a match. */
static bool joined(qn_split_behavior b, const stretch *all, size_t i)
{
    if (i == 0) return false;
    switch (b) {
    case QN_SPLIT_CONTIGUOUS:
        return all[i].match == all[i - 1].match;
    case QN_SPLIT_MERGED_PREVIOUS:
        return all[i].match && !all[i - 1].match;
    case QN_SPLIT_MERGED_NEXT:
        return all[i - 1].match && !all[i].match;
    default:
        return false;
    }
}

static qn_status behave(qn_slice text, const qn_subsplits *matches,
                        qn_split_behavior behavior, bool invert, qn_subsplits *out,
                        qn_error *err)
{
    size_t n = 0;
    stretch *all = cover(text, matches, invert, out->arena, &n);
    if (all == NULL) return no_memory(err);
    for (size_t i = 0; i < n; i++) {
        if (behavior == QN_SPLIT_REMOVED && all[i].match) continue;
        if (joined(behavior, all, i) && out->n > 0)
            out->p[out->n - 1].end = all[i].end;
        else
            qn_subsplits_add(out, all[i].start, all[i].end);
    }
    return out->failed ? no_memory(err) : QN_OK;
}

/* ---- the steps ------------------------------------------------------------------------------ */

static qn_slice bytes_of(const qn_subtext *t)
{
    return (qn_slice){t->p == NULL ? "" : t->p, t->n};
}

static qn_status by_chars(const qn_subtext *text, is_match *is, qn_split_behavior how,
                          qn_subsplits *splits, qn_error *err)
{
    qn_subsplits matches;
    qn_subsplits_init(&matches, text->arena);
    match_chars(bytes_of(text), 0, text->n, is, &matches);
    if (matches.failed) return no_memory(err);
    return behave(bytes_of(text), &matches, how, false, splits, err);
}

static bool is_punctuation(uint32_t c)
{
    return qn_bert_is_punctuation(c);
}

/* Blanks go, punctuation stands alone. */
static void split_bert(const qn_subtext *text, qn_subsplits *splits)
{
    size_t start = 0;
    for (size_t i = 0, length; i < text->n; i += length) {
        uint32_t c = qn_utf8_get(text->p + i, &length);
        bool blank = is_blank(c), alone = !blank && is_punctuation(c);
        if (!blank && !alone) continue;
        qn_subsplits_add(splits, start, i);
        if (alone) qn_subsplits_add(splits, i, i + length);
        start = i + length;
    }
    qn_subsplits_add(splits, start, text->n);
}

static bool begins_with_char(const qn_subtext *t, uint32_t c)
{
    size_t length;
    return t->n > 0 && qn_utf8_get(t->p, &length) == c;
}

/* Blanks become the replacement; pieces begin with it. */
static qn_status split_metaspace(const qn_split_step *s, qn_subtext *text,
                                 qn_subsplits *splits, qn_error *err)
{
    qn_subtext out;
    qn_subtext_init(&out, text->arena);
    bool marked = begins_with_char(text, s->replacement) || begins_with_char(text, ' ');
    if (text->n > 0 && !marked &&
        (s->prepend == QN_PREPEND_ALWAYS ||
         (s->prepend == QN_PREPEND_FIRST && text->from[0] == 0)))
        qn_subtext_add_char(&out, s->replacement, text->from[0], text->from[0]);
    for (size_t i = 0; i < text->n; i++) {
        if (text->p[i] == ' ')
            qn_subtext_add_char(&out, s->replacement, text->from[i], text->to[i]);
        else
            qn_subtext_copy(&out, text, i, 1);
    }
    if (out.failed) return no_memory(err);
    *text = out;
    if (!s->split) {
        qn_subsplits_add(splits, 0, text->n);
        return splits->failed ? no_memory(err) : QN_OK;
    }
    qn_subsplits matches;
    qn_subsplits_init(&matches, text->arena);
    for (size_t i = 0, length; i < text->n; i += length)
        if (qn_utf8_get(text->p + i, &length) == s->replacement)
            qn_subsplits_add(&matches, i, i + length);
    if (matches.failed) return no_memory(err);
    return behave(bytes_of(text), &matches, QN_SPLIT_MERGED_NEXT, false, splits, err);
}

/* Words by GPT-2's expression, then each byte as a character. */
static qn_status split_byte_level(const qn_split_step *s, qn_subtext *text,
                                  qn_subsplits *splits, qn_error *err)
{
    if (s->add_prefix_space && text->n > 0 && text->p[0] != ' ') {
        const qn_norm_step space = {.kind = QN_NORM_PREPEND, .text = QN_SLICE_LIT(" ")};
        QN_TRY(qn_norm_run(&space, text, err));
    }
    qn_subsplits words;
    qn_subsplits_init(&words, text->arena);
    if (s->use_regex)
        qn_subsplit_gpt2(bytes_of(text), &words);
    else
        qn_subsplits_add(&words, 0, text->n);
    qn_subtext out;
    qn_subtext_init(&out, text->arena);
    for (size_t w = 0; w < words.n; w++) {
        size_t start = out.n;
        for (size_t i = words.p[w].start; i < words.p[w].end; i++)
            qn_subtext_add_char(&out, qn_byte_level_char((uint8_t)text->p[i]),
                                text->from[i], text->to[i]);
        qn_subsplits_add(splits, start, out.n);
    }
    if (out.failed || words.failed || splits->failed) return no_memory(err);
    *text = out;
    return QN_OK;
}

static qn_status by_pattern(const qn_split_step *s, const qn_subtext *text,
                            qn_subsplits *splits, qn_error *err)
{
    qn_subsplits matches;
    qn_subsplits_init(&matches, text->arena);
    QN_TRY(qn_subregex_find(s->pattern, bytes_of(text), &matches, err));
    return behave(bytes_of(text), &matches, s->behavior, s->invert, splits, err);
}

qn_status qn_split_run(const qn_split_step *s, const qn_subtext *in, size_t start,
                       size_t end, qn_subtext *out, qn_subsplits *splits, qn_error *err)
{
    qn_subtext text = *in;
    text.p += start;
    text.from += start;
    text.to += start;
    text.n = text.capacity = end - start;
    qn_status st = QN_OK;
    switch (s->kind) {
    case QN_SPLIT_BERT:
        split_bert(&text, splits);
        break;
    case QN_SPLIT_WHITESPACE:
        match_words(bytes_of(&text), splits);
        break;
    case QN_SPLIT_BLANKS:
        st = by_chars(&text, is_blank, QN_SPLIT_REMOVED, splits, err);
        break;
    case QN_SPLIT_PUNCTUATION:
        st = by_chars(&text, is_punctuation, s->behavior, splits, err);
        break;
    case QN_SPLIT_DIGITS:
        st = by_chars(&text, is_number, s->behavior, splits, err);
        break;
    case QN_SPLIT_METASPACE:
        st = split_metaspace(s, &text, splits, err);
        break;
    case QN_SPLIT_BYTE_LEVEL:
        st = split_byte_level(s, &text, splits, err);
        break;
    case QN_SPLIT_PATTERN:
        st = by_pattern(s, &text, splits, err);
        break;
    }
    *out = text;
    if (st == QN_OK && splits->failed) return no_memory(err);
    return st;
}

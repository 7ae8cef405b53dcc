/* SPDX-License-Identifier: Apache-2.0 */
/* cava_lex.c -- bytes to tokens. */
#include "expr/cava/cava_internal.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum { NUMBER_MAX = 64 };

typedef struct lexer {
    qn_cava_compiler *c;
    uint32_t base; /* place of the file's first byte */
    const char *p, *begin, *limit;
    QN_VEC(qn_cava_token) tokens;
} lexer;

static const char *const keywords[] = {
    "",
#define K(name) #name,
#define P(name, text)
#include "expr/cava/cava_tokens.def"
#undef K
#undef P
};
static const char *const punctuation[] = {
    "",
#define K(name)
#define P(name, text) text,
#include "expr/cava/cava_tokens.def"
#undef K
#undef P
};

const char *qn_cava__punct(unsigned code)
{
    return punctuation[code];
}

const char *qn_cava__keyword(unsigned code)
{
    return keywords[code];
}

static uint32_t place(const lexer *l, const char *p)
{
    return l->base + (uint32_t)(p - l->begin);
}

static void push(lexer *l, qn_cava_token t)
{
    if (!qn_vec_push(l->c->alloc, &l->tokens, t)) l->c->no_memory = true;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char peek(const lexer *l, size_t ahead)
{
    return (size_t)(l->limit - l->p) > ahead ? l->p[ahead] : '\0';
}

static void skip_comment(lexer *l)
{
    const char *begin = l->p;
    if (l->p[1] == '/') {
        while (l->p < l->limit && *l->p != '\n') l->p++;
        return;
    }
    for (l->p += 2; l->limit - l->p >= 2; l->p++)
        if (l->p[0] == '*' && l->p[1] == '/') {
            l->p += 2;
            return;
        }
    l->p = l->limit;
    qn_cava__error(l->c, place(l, begin), place(l, begin) + 2, QN_CAVA_E_CHARACTER,
                   "this comment does not end");
}

/* ---- names and numbers ------------------------------------------------------------------ */

static void lex_name(lexer *l)
{
    const char *begin = l->p;
    while (l->p < l->limit && (is_letter(*l->p) || is_digit(*l->p))) l->p++;
    qn_cava_token t = {.kind = T_NAME, .at = place(l, begin), .end = place(l, l->p)};
    t.text = (qn_slice){begin, (size_t)(l->p - begin)};
    for (size_t i = 1; i < sizeof keywords / sizeof *keywords; i++)
        if (qn_slice_eq_str(t.text, keywords[i])) {
            t.kind = T_KEYWORD;
            t.code = (uint8_t)i;
        }
    push(l, t);
}

static int digit_of(char c)
{
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return 99;
}

/* Digits of an integer, `_` between them left out; false: too large for 64 bits. */
static bool read_digits(const char *digits, unsigned radix, uint64_t *out)
{
    *out = 0;
    for (; *digits != '\0'; digits++) {
        uint64_t next = *out * radix + (uint64_t)digit_of(*digits);
        if (*out > UINT64_MAX / radix || next < *out * radix) return false;
        *out = next;
    }
    return true;
}

static void number_error(lexer *l, const char *begin, const char *why)
{
    qn_cava__error(l->c, place(l, begin), place(l, l->p), QN_CAVA_E_CHARACTER, "%s",
                   why);
}

/* Collects the characters of a number without `_`; `real` when it is no integer. */
static size_t collect(lexer *l, char *text, unsigned radix, bool *real)
{
    size_t n = 0;
    for (; l->p < l->limit && n < NUMBER_MAX; l->p++) {
        char c = *l->p;
        bool exponent = radix == 10 && (c == 'e' || c == 'E');
        bool point = radix == 10 && c == '.' && !*real;
        bool sign = (c == '+' || c == '-') && n > 0 &&
                    (text[n - 1] == 'e' || text[n - 1] == 'E') && radix == 10;
        if (c == '_' && n > 0) continue;
        if (!(digit_of(c) < (int)radix || exponent || point || sign)) break;
        if (exponent || point) *real = true;
        text[n++] = c;
    }
    text[n] = '\0';
    return n;
}

static void lex_real(lexer *l, const char *begin, const char *text, char suffix)
{
    char *end = NULL;
    bool single = suffix == 'f' || suffix == 'F';
    double value = single ? (double)strtof(text, &end) : strtod(text, &end);
    if (end == text || *end != '\0') number_error(l, begin, "this is no number");
    if (!isfinite(value)) number_error(l, begin, "this number is too large");
    push(l, (qn_cava_token){.kind = T_FLOAT,
                            .suffix = single ? 'F' : 0,
                            .at = place(l, begin),
                            .end = place(l, l->p),
                            .real = value});
}

static void lex_number(lexer *l)
{
    const char *begin = l->p;
    char text[NUMBER_MAX + 1];
    unsigned radix = 10;
    bool real = false;
    char second = peek(l, 1);
    if (*l->p == '0' && (second == 'x' || second == 'X')) radix = 16;
    if (*l->p == '0' && (second == 'b' || second == 'B')) radix = 2;
    if (radix != 10) l->p += 2;
    size_t n = collect(l, text, radix, &real);
    char c = peek(l, 0);
    bool is_long = c == 'l' || c == 'L';
    bool suffix = radix == 10 && (c == 'f' || c == 'F' || c == 'd' || c == 'D');
    if ((is_long && !real) || suffix) l->p++;
    if (l->p < l->limit && (is_letter(*l->p) || is_digit(*l->p))) {
        while (l->p < l->limit && (is_letter(*l->p) || is_digit(*l->p))) l->p++;
        number_error(l, begin, "this is no number");
    } else if (n == 0) {
        number_error(l, begin, "digits are missing");
    } else if (real || suffix) {
        lex_real(l, begin, text, suffix ? c : '\0');
        return;
    }
    uint64_t value = 0;
    if (radix == 10 && n > 1 && text[0] == '0') radix = 8;
    for (size_t i = 0; i < n && radix == 8; i++)
        if (text[i] > '7') number_error(l, begin, "8 and 9 are no octal digits");
    /* 2147483648 and 9223372036854775808 are for a minus in front: checked there. */
    uint64_t most = is_long ? (radix == 10 ? (uint64_t)1 << 63 : UINT64_MAX)
                            : (radix == 10 ? (uint64_t)1 << 31 : UINT32_MAX);
    if (!read_digits(text, radix, &value) || value > most)
        number_error(l, begin,
                     is_long ? "this number does not fit a long"
                             : "this number does not fit an int: write L after it");
    if (radix != 10 && !is_long) value = (uint64_t)(int64_t)(int32_t)(uint32_t)value;
    push(l, (qn_cava_token){.kind = T_INT,
                            .suffix = is_long ? 'L' : 0,
                            .code = radix == 10,
                            .at = place(l, begin),
                            .end = place(l, l->p),
                            .bits = value});
}

/* ---- characters and strings --------------------------------------------------------------- */

/* Four digits of \u; UINT32_MAX: they are not there. */
static uint32_t unicode_escape(lexer *l)
{
    uint32_t value = 0;
    while (l->p < l->limit && *l->p == 'u') l->p++;
    for (int i = 0; i < 4; i++, l->p++) {
        if (l->p >= l->limit || digit_of(*l->p) > 15) return UINT32_MAX;
        value = value * 16 + (uint32_t)digit_of(*l->p);
    }
    return value;
}

static uint32_t escape(lexer *l, const char *begin)
{
    static const char letters[] = "btnfr\"'\\0", values[] = "\b\t\n\f\r\"'\\\0";
    if (peek(l, 0) == 'u') {
        uint32_t value = unicode_escape(l);
        if (value != UINT32_MAX) return value;
        number_error(l, begin, "\\u takes four hexadecimal digits");
        return '?';
    }
    char c = peek(l, 0);
    if (l->p < l->limit) l->p++;
    for (size_t i = 0; i < sizeof letters - 1; i++)
        if (letters[i] == c) return (unsigned char)values[i];
    number_error(l, begin,
                 "no such escape: \\b \\t \\n \\f \\r \\\" \\' \\\\ \\0 \\uXXXX");
    return '?';
}

static uint32_t utf8_unit(lexer *l, const char *begin)
{
    unsigned char c = (unsigned char)*l->p++;
    unsigned more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : c >= 0xC0 ? 1 : 0;
    if (more == 0) return c;
    uint32_t value = c & (0x3Fu >> more);
    for (; more > 0 && l->p < l->limit && ((unsigned char)*l->p & 0xC0) == 0x80; more--)
        value = value << 6 | ((unsigned char)*l->p++ & 0x3F);
    if (value > UINT16_MAX)
        number_error(l, begin,
                     "a char holds one UTF-16 unit; this character needs two");
    return value & UINT16_MAX;
}

static void lex_char(lexer *l)
{
    const char *begin = l->p++;
    uint32_t value = 0;
    char c = peek(l, 0);
    if (c == '\\') {
        l->p++;
        value = escape(l, begin);
    } else if (l->p < l->limit && c != '\'' && c != '\n') {
        value = utf8_unit(l, begin);
    } else {
        number_error(l, begin, "a character is missing between the quotes");
    }
    if (peek(l, 0) == '\'')
        l->p++;
    else
        number_error(l, begin, "one character and a closing ' are expected");
    push(l, (qn_cava_token){.kind = T_CHAR,
                            .at = place(l, begin),
                            .end = place(l, l->p),
                            .bits = value});
}

static void add_utf8(qn_buf *b, uint32_t c)
{
    if (c < 0x80) {
        qn_buf_add_char(b, (char)c);
        return;
    }
    if (c >= 0x800) {
        qn_buf_add_char(b, (char)(0xE0 | c >> 12));
        qn_buf_add_char(b, (char)(0x80 | (c >> 6 & 0x3F)));
    } else {
        qn_buf_add_char(b, (char)(0xC0 | c >> 6));
    }
    qn_buf_add_char(b, (char)(0x80 | (c & 0x3F)));
}

static void lex_string(lexer *l)
{
    const char *begin = l->p++;
    qn_buf text;
    qn_buf_init(&text, l->c->alloc);
    while (l->p < l->limit && *l->p != '"' && *l->p != '\n') {
        if (*l->p != '\\') {
            qn_buf_add_char(&text, *l->p++);
            continue;
        }
        l->p++;
        add_utf8(&text, escape(l, begin));
    }
    if (peek(l, 0) == '"')
        l->p++;
    else
        number_error(l, begin, "this string does not end on its line");
    qn_cava_token t = {.kind = T_STRING, .at = place(l, begin), .end = place(l, l->p)};
    t.text = qn_arena_slice(&l->c->arena, qn_buf_slice(&text));
    if (text.failed || t.text.p == NULL) l->c->no_memory = true;
    qn_buf_deinit(&text);
    push(l, t);
}

/* ---- the rest --------------------------------------------------------------------------- */

static void lex_punct(lexer *l)
{
    size_t left = (size_t)(l->limit - l->p);
    for (size_t i = 1; i < sizeof punctuation / sizeof *punctuation; i++) {
        size_t n = strlen(punctuation[i]);
        if (n > left || memcmp(l->p, punctuation[i], n) != 0) continue;
        push(l, (qn_cava_token){.kind = T_PUNCT,
                                .code = (uint8_t)i,
                                .at = place(l, l->p),
                                .end = place(l, l->p + n),
                                .text = {l->p, n}});
        l->p += n;
        return;
    }
    const char *begin = l->p++;
    while (l->p < l->limit && ((unsigned char)*l->p & 0xC0) == 0x80) l->p++;
    unsigned char c = (unsigned char)*begin;
    if (c < 0x20 || c == 0x7F)
        qn_cava__error(l->c, place(l, begin), place(l, l->p), QN_CAVA_E_CHARACTER,
                       "the byte 0x%02x has no meaning here", c);
    else
        qn_cava__error(l->c, place(l, begin), place(l, l->p), QN_CAVA_E_CHARACTER,
                       "'%.*s' has no meaning here", (int)(l->p - begin), begin);
}

qn_cava_token *qn_cava__lex(qn_cava_compiler *c, uint32_t file, size_t *count)
{
    qn_slice source = c->program->files[file].source;
    lexer l = {.c = c, .base = c->program->bases[file], .p = source.p};
    l.begin = source.p, l.limit = source.p + source.n;
    /* A byte order mark is no part of the text. */
    if (source.n >= 3 && memcmp(source.p, "\xEF\xBB\xBF", 3) == 0) l.p += 3;
    while (l.p < l.limit && !c->no_memory) {
        char ch = *l.p;
        if (ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n' || ch == '\f')
            l.p++;
        else if (ch == '/' && (peek(&l, 1) == '/' || peek(&l, 1) == '*'))
            skip_comment(&l);
        else if (is_letter(ch))
            lex_name(&l);
        else if (is_digit(ch) || (ch == '.' && is_digit(peek(&l, 1))))
            lex_number(&l);
        else if (ch == '\'')
            lex_char(&l);
        else if (ch == '"')
            lex_string(&l);
        else
            lex_punct(&l);
    }
    uint32_t end = place(&l, l.limit);
    push(&l, (qn_cava_token){.kind = T_END, .at = end, .end = end + 1});
    qn_cava_token *out = qn_arena_array(&c->arena, l.tokens.n + 1, sizeof *out);
    if (out == NULL || l.tokens.p == NULL) {
        c->no_memory = true;
        out = NULL;
    } else {
        memcpy(out, l.tokens.p, l.tokens.n * sizeof *out);
    }
    *count = l.tokens.n;
    qn_vec_deinit(c->alloc, &l.tokens);
    return out;
}

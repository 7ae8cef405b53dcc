/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 8259 read byte by byte, with an explicit stack: the meaning of JSON here, and the
 * reader that says what is wrong and where. Plain on purpose. */
#include "io/json_internal.h"

#include <math.h>
#include <stdlib.h>

typedef struct plain {
    qn_slice text;
    size_t at;
    qn_error *err;
    qn_json_builder build;
} plain;

/* The byte at the cursor, 0 at the end (a zero byte in the text is no JSON either). */
static char peek(const plain *p)
{
    return p->at < p->text.n ? p->text.p[p->at] : '\0';
}

static void skip_blanks(plain *p)
{
    while (p->at < p->text.n) {
        char c = p->text.p[p->at];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return;
        p->at++;
    }
}

static qn_status no_memory(plain *p)
{
    return qn_fail(p->err, QN_ENOMEM, "no memory to read JSON");
}

/* "expected <what>, found <what stands at the cursor>" */
static qn_status unexpected(plain *p, const char *want)
{
    if (p->at >= p->text.n)
        return qn_fail_at(p->err, QN_EJSON, p->at,
                          "expected %s, found the end of the text", want);
    unsigned char c = (unsigned char)p->text.p[p->at];
    if (c >= 0x21 && c < 0x7F)
        return qn_fail_at(p->err, QN_EJSON, p->at, "expected %s, found '%c'", want, c);
    return qn_fail_at(p->err, QN_EJSON, p->at, "expected %s, found byte 0x%02X", want,
                      c);
}

/* ---- strings ---------------------------------------------------------------- */

/* Length of the valid UTF-8 sequence at the cursor, 0 when it is none. */
static size_t utf8_length(const plain *p)
{
    const unsigned char *s = (const unsigned char *)p->text.p + p->at;
    size_t left = p->text.n - p->at;
    size_t n = s[0] < 0x80   ? 1
               : s[0] < 0xC2 ? 0
               : s[0] < 0xE0 ? 2
               : s[0] < 0xF0 ? 3
                             : 4;
    if (n == 0 || s[0] > 0xF4 || n > left) return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xC0) != 0x80) return 0;
    if (s[0] == 0xE0 && s[1] < 0xA0) return 0; /* longer than needed */
    if (s[0] == 0xED && s[1] > 0x9F) return 0; /* surrogates */
    if (s[0] == 0xF0 && s[1] < 0x90) return 0;
    if (s[0] == 0xF4 && s[1] > 0x8F) return 0; /* past U+10FFFF */
    return n;
}

static size_t utf8_encode(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)((0xF0u << (4 - n)) | c);
    return n;
}

/* Four hexadecimal digits at the cursor, which moves past them. */
static qn_status read_hex4(plain *p, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++) {
        char c = peek(p);
        uint32_t digit = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit == 16) return unexpected(p, "a hexadecimal digit of \\uXXXX");
        *out = *out << 4 | digit;
        p->at++;
    }
    return QN_OK;
}

/* The cursor is on the 'u'. */
static qn_status read_unicode_escape(plain *p, char *out, size_t *n)
{
    size_t begin = p->at - 1;
    uint32_t c = 0, low = 0;
    p->at++;
    QN_TRY(read_hex4(p, &c));
    if (c >= 0xD800 && c < 0xDC00 && p->at + 1 < p->text.n &&
        p->text.p[p->at] == '\\' && p->text.p[p->at + 1] == 'u') {
        p->at += 2;
        QN_TRY(read_hex4(p, &low));
    }
    if (c >= 0xD800 && c < 0xE000) {
        if (c >= 0xDC00 || low < 0xDC00 || low >= 0xE000)
            return qn_fail_at(p->err, QN_EUTF8, begin,
                              "half of a surrogate pair stands alone");
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    }
    *n += utf8_encode(c, out + *n);
    return QN_OK;
}

/* The cursor is on the backslash. What is written is never longer than what is read. */
static qn_status read_escape(plain *p, char *out, size_t *n)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    p->at++;
    char c = peek(p);
    if (c == 'u') return read_unicode_escape(p, out, n);
    const char *found = c == '\0' ? NULL : strchr(from, c);
    if (found == NULL) return unexpected(p, "one of \"\\/bfnrtu after a backslash");
    out[(*n)++] = to[found - from];
    p->at++;
    return QN_OK;
}

/* Moves past the string at the cursor and tells whether it has escapes. */
static qn_status scan_string(plain *p, bool *escapes)
{
    *escapes = false;
    for (p->at++; p->at < p->text.n;) {
        unsigned char c = (unsigned char)p->text.p[p->at];
        if (c == '"') {
            p->at++;
            return QN_OK;
        }
        if (c < 0x20) return unexpected(p, "an escaped control character");
        if (c == '\\') {
            *escapes = true;
            p->at += p->at + 1 < p->text.n ? 2 : 1;
            continue;
        }
        size_t n = utf8_length(p);
        if (n == 0)
            return qn_fail_at(p->err, QN_EUTF8, p->at, "invalid UTF-8, byte 0x%02X", c);
        p->at += n;
    }
    return unexpected(p, "'\"' at the end of a string");
}

/* The cursor is on the quote. */
static qn_status read_string(plain *p, qn_slice *out)
{
    size_t begin = p->at;
    bool escapes = false;
    QN_TRY(scan_string(p, &escapes));
    size_t end = p->at;
    *out = (qn_slice){p->text.p + begin + 1, end - begin - 2};
    if (!escapes) return QN_OK;
    char *bytes = qn_arena_strndup(p->build.arena, out->p, out->n);
    if (bytes == NULL) return no_memory(p);
    size_t n = 0;
    for (p->at = begin + 1; p->at < end - 1;) {
        if (p->text.p[p->at] == '\\')
            QN_TRY(read_escape(p, bytes, &n));
        else
            bytes[n++] = p->text.p[p->at++];
    }
    p->at = end;
    bytes[n] = '\0';
    *out = (qn_slice){bytes, n};
    return QN_OK;
}

/* ---- numbers and words ------------------------------------------------------ */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static qn_status skip_digits(plain *p, const char *want)
{
    if (!is_digit(peek(p))) return unexpected(p, want);
    while (is_digit(peek(p))) p->at++;
    return QN_OK;
}

static qn_status scan_number(plain *p, bool *integer)
{
    *integer = true;
    if (peek(p) == '-') p->at++;
    if (peek(p) == '0') {
        p->at++;
        if (is_digit(peek(p))) return unexpected(p, "no digit after a leading zero");
    } else {
        QN_TRY(skip_digits(p, "a digit"));
    }
    if (peek(p) == '.') {
        *integer = false;
        p->at++;
        QN_TRY(skip_digits(p, "a digit after the decimal point"));
    }
    if (peek(p) == 'e' || peek(p) == 'E') {
        *integer = false;
        p->at++;
        if (peek(p) == '+' || peek(p) == '-') p->at++;
        QN_TRY(skip_digits(p, "a digit of the exponent"));
    }
    return QN_OK;
}

static qn_status read_number(plain *p)
{
    size_t begin = p->at;
    bool integer = false;
    QN_TRY(scan_number(p, &integer));
    qn_json *node = qn_io__json_add(&p->build, QN_JSON_DOUBLE);
    if (node == NULL) return no_memory(p);
    node->raw = (qn_slice){p->text.p + begin, p->at - begin};
    if (integer && qn_slice_to_i64(node->raw, &node->integer)) {
        node->kind = QN_JSON_INT;
        node->number = (double)node->integer;
        return QN_OK;
    }
    char *digits = qn_arena_strndup(p->build.arena, node->raw.p, node->raw.n);
    if (digits == NULL) return no_memory(p);
    node->number = strtod(digits, NULL);
    if (!isfinite(node->number))
        return qn_fail_at(p->err, QN_EJSON, begin,
                          "number out of the range of a double");
    return QN_OK;
}

static qn_status read_word(plain *p, const char *word, qn_json_kind kind, bool value)
{
    qn_slice rest = {p->text.p + p->at, p->text.n - p->at};
    if (!qn_slice_starts_with(rest, word)) return unexpected(p, "a value");
    qn_json *node = qn_io__json_add(&p->build, kind);
    if (node == NULL) return no_memory(p);
    node->boolean = value;
    node->raw = (qn_slice){rest.p, strlen(word)};
    p->at += node->raw.n;
    return QN_OK;
}

/* ---- values ----------------------------------------------------------------- */

/* The cursor is on a member's quote; ends after the colon. */
static qn_status read_key(plain *p)
{
    skip_blanks(p);
    if (peek(p) != '"') return unexpected(p, "'\"' of a member's name");
    QN_TRY(read_string(p, &p->build.key));
    skip_blanks(p);
    if (peek(p) != ':') return unexpected(p, "':' after a member's name");
    p->at++;
    return QN_OK;
}

/* Opens the container at the cursor; *empty when it was closed at once. */
static qn_status open_container(plain *p, char bracket, bool *empty)
{
    qn_json *node =
        qn_io__json_add(&p->build, bracket == '{' ? QN_JSON_OBJECT : QN_JSON_ARRAY);
    if (node == NULL) return no_memory(p);
    node->raw = (qn_slice){p->text.p + p->at, 0};
    if (!qn_io__json_open(&p->build, node))
        return qn_fail_at(p->err, QN_ELIMIT, p->at, "JSON nested deeper than %d levels",
                          QN_JSON_DEPTH_MAX);
    p->at++;
    skip_blanks(p);
    *empty = peek(p) == (bracket == '{' ? '}' : ']');
    if (!*empty && bracket == '{') return read_key(p);
    return QN_OK;
}

/* One value, or the beginning of one that has items. *complete: nothing of it is left
 * to read but its closing bracket. */
static qn_status read_value(plain *p, bool *complete)
{
    skip_blanks(p);
    *complete = true;
    char c = peek(p);
    qn_json *node = NULL;
    switch (c) {
    case '{':
    case '[':
        return open_container(p, c, complete);
    case '"': {
        size_t begin = p->at;
        node = qn_io__json_add(&p->build, QN_JSON_STRING);
        if (node == NULL) return no_memory(p);
        QN_TRY(read_string(p, &node->string));
        node->raw = (qn_slice){p->text.p + begin, p->at - begin};
        return QN_OK;
    }
    case 't':
        return read_word(p, "true", QN_JSON_BOOL, true);
    case 'f':
        return read_word(p, "false", QN_JSON_BOOL, false);
    case 'n':
        return read_word(p, "null", QN_JSON_NULL, false);
    default:
        if (c == '-' || is_digit(c)) return read_number(p);
        return unexpected(p, "a value");
    }
}

/* After a complete value: closing brackets, then perhaps a comma (and the next name).
 * *more: a value follows. */
static qn_status read_after_value(plain *p, bool *more)
{
    *more = false;
    while (p->build.depth > 0) {
        skip_blanks(p);
        bool object = p->build.open[p->build.depth - 1].node->kind == QN_JSON_OBJECT;
        char c = peek(p);
        if (c == ',') {
            p->at++;
            *more = true;
            return object ? read_key(p) : QN_OK;
        }
        if (c != (object ? '}' : ']'))
            return unexpected(p, object ? "',' or '}'" : "',' or ']'");
        p->at++;
        qn_json *node = qn_io__json_close(&p->build);
        node->raw.n = (size_t)(p->text.p + p->at - node->raw.p);
    }
    return QN_OK;
}

qn_status qn_io__json_parse_plain(qn_arena *arena, qn_slice text, const qn_json **out,
                                  qn_error *err)
{
    plain p = {.text = text, .err = err};
    p.build.arena = arena;
    for (bool more = true; more;) {
        bool complete = false;
        QN_TRY(read_value(&p, &complete));
        if (complete) QN_TRY(read_after_value(&p, &more));
    }
    skip_blanks(&p);
    if (p.at != text.n) return unexpected(&p, "nothing after the value");
    *out = p.build.root;
    return QN_OK;
}

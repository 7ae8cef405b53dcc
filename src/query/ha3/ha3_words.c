/* SPDX-License-Identifier: Apache-2.0 */
#include "query/ha3/ha3_words.h"

#include <stdarg.h>
#include <stdio.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* ---- words ------------------------------------------------------------------------ */

static const char *behind_number(const char *p, const char *end, qn_ha3_word_kind *kind)
{
    *kind = QN_WORD_INTEGER;
    if (end - p > 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X') && is_hex(p[2])) {
        p += 2;
        while (p < end && is_hex(*p)) p++;
        return p;
    }
    while (p < end && is_digit(*p)) p++;
    if (end - p < 2 || p[0] != '.' || !is_digit(p[1])) return p;
    *kind = QN_WORD_FLOAT;
    for (p++; p < end && is_digit(*p);) p++;
    return p;
}

static const char *behind_name(const char *p, const char *end, qn_ha3_word_kind *kind)
{
    const char *begin = p;
    while (p < end && (is_name(*p) || is_digit(*p))) p++;
    qn_slice s = {begin, (size_t)(p - begin)};
    *kind = qn_slice_eq_str(s, "AND")                  ? QN_WORD_AND
            : qn_slice_eq_str(s, "OR")                 ? QN_WORD_OR
            : qn_slice_eq_str(s, "RANK")               ? QN_WORD_RESERVED
            : qn_slice_eq_str(s, "refresh_attributes") ? QN_WORD_RESERVED
                                                       : QN_WORD_NAME;
    return p;
}

/* NULL when it is never closed. */
static const char *behind_string(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++)
        if (*p == '\\' && p + 1 < end) p++;
    return p < end ? p + 1 : NULL;
}

static const char *behind_mark(const char *p, const char *end, char *mark)
{
    bool equals = end - p > 1 && p[1] == '=';
    *mark = *p;
    if (equals && *p == '<') *mark = 'L';
    if (equals && *p == '>') *mark = 'G';
    if (*p == '!' && !equals) return NULL;
    if (equals && strchr("<>!", *p) != NULL) return p + 2;
    return strchr("=<>+-*/|^&(),%~:#;[]{}", *p) != NULL ? p + 1 : NULL;
}

void qn_ha3__advance(qn_ha3_cursor *c)
{
    qn_ha3_word *w = &c->word;
    c->taken = w->text.p + w->text.n;
    while (c->p < c->end && *c->p != '\0' && strchr(" \t\r\n", *c->p) != NULL) c->p++;
    const char *begin = c->p, *behind;
    *w = (qn_ha3_word){.kind = QN_WORD_END, .text = {begin, 0}};
    if (c->p >= c->end) return;
    w->kind = QN_WORD_MARK;
    if (is_digit(*c->p))
        behind = behind_number(c->p, c->end, &w->kind);
    else if (is_name(*c->p))
        behind = behind_name(c->p, c->end, &w->kind);
    else if (*c->p == '"') {
        w->kind = QN_WORD_STRING;
        behind = behind_string(c->p, c->end);
    } else {
        behind = *c->p == '\0' ? NULL : behind_mark(c->p, c->end, &w->mark);
    }
    if (behind == NULL) {
        w->kind = QN_WORD_WRONG;
        behind = c->p + 1;
    }
    c->p = behind;
    w->text.n = (size_t)(behind - begin);
}

void qn_ha3__cursor(qn_ha3_cursor *c, qn_ha3_request *r, qn_slice text,
                    const char *clause, qn_status code)
{
    *c = (qn_ha3_cursor){
        .r = r, .code = code, .clause = clause, .p = text.p, .end = text.p + text.n};
    c->word.text = (qn_slice){text.p, 0};
    qn_ha3__advance(c);
}

/* ---- errors ----------------------------------------------------------------------- */

qn_status qn_ha3__unexpected(qn_ha3_cursor *c, const char *wanted)
{
    const qn_ha3_word *w = &c->word;
    uint64_t at = qn_ha3__offset(c->r, w->text);
    if (w->kind == QN_WORD_END)
        return qn_fail_at(c->r->err, c->code, at, "%s: expected %s, found the end",
                          c->clause, wanted);
    if (w->kind == QN_WORD_WRONG && w->text.p[0] == '"')
        return qn_fail_at(c->r->err, c->code, at, "%s: the string is not closed",
                          c->clause);
    if (w->kind == QN_WORD_WRONG && w->text.p[0] == '\'')
        return qn_fail_at(c->r->err, c->code, at,
                          "%s: strings take double quotes here, not single ones",
                          c->clause);
    return qn_fail_at(c->r->err, c->code, at, "%s: expected %s, found '%.*s'",
                      c->clause, wanted, (int)(w->text.n > 40 ? 40 : w->text.n),
                      w->text.p);
}

qn_status qn_ha3__wrong(qn_ha3_cursor *c, qn_status code, const char *at,
                        const char *fmt, ...)
{
    char text[300];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return qn_fail_at(c->r->err, code, (uint64_t)(at - c->r->text.p), "%s: %s",
                      c->clause, text);
}

/* ---- readers ---------------------------------------------------------------------- */

bool qn_ha3__at_mark(const qn_ha3_cursor *c, char mark)
{
    return c->word.kind == QN_WORD_MARK && c->word.mark == mark;
}

bool qn_ha3__accept_mark(qn_ha3_cursor *c, char mark)
{
    if (!qn_ha3__at_mark(c, mark)) return false;
    qn_ha3__advance(c);
    return true;
}

qn_status qn_ha3__expect_mark(qn_ha3_cursor *c, char mark)
{
    const char wanted[] = {'\'', mark, '\'', '\0'};
    return qn_ha3__accept_mark(c, mark) ? QN_OK : qn_ha3__unexpected(c, wanted);
}

qn_status qn_ha3__expect_name(qn_ha3_cursor *c, qn_slice *name)
{
    if (c->word.kind != QN_WORD_NAME) return qn_ha3__unexpected(c, "a name");
    *name = c->word.text;
    qn_ha3__advance(c);
    return QN_OK;
}

bool qn_ha3__at_name(const qn_ha3_cursor *c, const char *name)
{
    return c->word.kind == QN_WORD_NAME && qn_slice_eq_str(c->word.text, name);
}

/* The digits of a whole number, in base 10 or 16, within int64. */
static bool read_integer(qn_slice digits, bool negative, int64_t *out)
{
    uint64_t v = 0;
    bool hex = digits.n > 2 && (digits.p[1] == 'x' || digits.p[1] == 'X');
    for (size_t i = hex ? 2 : 0; i < digits.n; i++) {
        char d = digits.p[i];
        unsigned digit =
            is_digit(d) ? (unsigned)(d - '0') : (unsigned)((d | 0x20) - 'a') + 10;
        unsigned base = hex ? 16 : 10;
        if (v > (UINT64_MAX - digit) / base) return false;
        v = v * base + digit;
    }
    if (v > (uint64_t)INT64_MAX + (negative ? 1 : 0)) return false;
    *out = (int64_t)(negative ? 0 - v : v);
    return true;
}

qn_status qn_ha3__expect_number(qn_ha3_cursor *c, qn_clause_number *out)
{
    const char *begin = c->word.text.p;
    bool negative = qn_ha3__accept_mark(c, '-');
    qn_ha3_word w = c->word;
    if (w.kind != QN_WORD_INTEGER && w.kind != QN_WORD_FLOAT)
        return qn_ha3__unexpected(c, "a number");
    *out = (qn_clause_number){.text = {begin, (size_t)(w.text.p + w.text.n - begin)}};
    if (w.kind == QN_WORD_INTEGER) {
        out->whole = read_integer(w.text, negative, &out->i64);
        out->f64 = (double)out->i64;
    }
    if (!out->whole) {
        if (!qn_slice_to_f64(w.text, &out->f64))
            return qn_ha3__unexpected(c, "a number that fits 64 bits");
        if (negative) out->f64 = -out->f64;
    }
    qn_ha3__advance(c);
    return QN_OK;
}

qn_status qn_ha3__expect_int(qn_ha3_cursor *c, qn_status code, int64_t *out)
{
    qn_status of_clause = c->code;
    c->code = code;
    bool negative = qn_ha3__accept_mark(c, '-');
    qn_status st = QN_OK;
    if (c->word.kind != QN_WORD_INTEGER || !read_integer(c->word.text, negative, out))
        st = qn_ha3__unexpected(c, "a whole number");
    c->code = of_clause;
    if (st == QN_OK) qn_ha3__advance(c);
    return st;
}

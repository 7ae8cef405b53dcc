/* SPDX-License-Identifier: Apache-2.0 */
#include "expr/expr_lex.h"

#include "expr/expr_internal.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_name(char c)
{
    return is_name_start(c) || is_digit(c);
}

static int hex_value(char c)
{
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* The character `ahead` of the position; 0 past the end. */
static char peek(const qn_expr__lexer *l, size_t ahead)
{
    return l->pos + ahead < l->text.n ? l->text.p[l->pos + ahead] : '\0';
}

static void skip_digits(qn_expr__lexer *l)
{
    while (is_digit(peek(l, 0))) l->pos++;
}

/* digits of `base` from [begin, pos): false when over 64 bits. */
static bool parse_magnitude(qn_slice digits, unsigned base, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < digits.n; i++) {
        unsigned d = (unsigned)hex_value(digits.p[i]);
        if (v > (UINT64_MAX - d) / base) return false;
        v = v * base + d;
    }
    *out = v;
    return true;
}

/* The typed suffixes of HA3's second parser: 1c 1uc 1s 1us 1i 1ui 1l 1ul. */
static bool take_suffix(qn_expr__lexer *l, qn_expr_type *type)
{
    bool is_unsigned = peek(l, 0) == 'u';
    qn_expr_type t;
    switch (peek(l, is_unsigned ? 1 : 0)) {
    case 'c':
        t = is_unsigned ? QN_EXPR_UINT8 : QN_EXPR_INT8;
        break;
    case 's':
        t = is_unsigned ? QN_EXPR_UINT16 : QN_EXPR_INT16;
        break;
    case 'i':
        t = is_unsigned ? QN_EXPR_UINT32 : QN_EXPR_INT32;
        break;
    case 'l':
        t = is_unsigned ? QN_EXPR_UINT64 : QN_EXPR_INT64;
        break;
    default:
        return false;
    }
    if (is_name(peek(l, is_unsigned ? 2 : 1))) return false;
    l->pos += is_unsigned ? 2 : 1;
    *type = t;
    return true;
}

static qn_status finish_integer(qn_expr__lexer *l, qn_expr__token *t, unsigned base)
{
    size_t skip = base == 16 ? 2 : 0;
    qn_slice digits = {l->text.p + t->begin + skip, l->pos - t->begin - skip};
    bool whole = parse_magnitude(digits, base, &t->magnitude);
    t->type = !whole                      ? QN_EXPR_DOUBLE
              : t->magnitude <= INT64_MAX ? QN_EXPR_INT64
                                          : QN_EXPR_UINT64;
    if (!whole && (base == 16 || !qn_slice_to_f64(digits, &t->f64)))
        return qn_fail_at(l->err, QN_ELIMIT, t->begin, "the number %.*s is too large",
                          (int)(digits.n > 40 ? 40 : digits.n), digits.p);
    if (whole && !l->strict && take_suffix(l, &t->type) &&
        (t->magnitude > INT64_MAX
             ? t->type != QN_EXPR_UINT64
             : !qn_expr__int_fits(t->type, (int64_t)t->magnitude, false)))
        return qn_fail_at(l->err, QN_ECONSTVALUE, t->begin,
                          "the constant does not fit its type %s",
                          qn_expr_type_name(t->type));
    return QN_OK;
}

static qn_status finish_float(qn_expr__lexer *l, qn_expr__token *t)
{
    qn_slice digits = {l->text.p + t->begin, l->pos - t->begin};
    t->type = QN_EXPR_DOUBLE;
    /* "5." and ".5" are not what qn_slice_to_f64 reads everywhere: pad them. */
    char padded[320];
    if (digits.n + 3 > sizeof padded)
        return qn_fail_at(l->err, QN_ELIMIT, t->begin, "a number of over %zu digits",
                          sizeof padded - 3);
    size_t n = 0;
    if (digits.p[0] == '.') padded[n++] = '0';
    for (size_t i = 0; i < digits.n; i++) {
        padded[n++] = digits.p[i];
        if (digits.p[i] == '.' && (i + 1 == digits.n || !is_digit(digits.p[i + 1])))
            padded[n++] = '0';
    }
    if (!qn_slice_to_f64((qn_slice){padded, n}, &t->f64))
        return qn_fail_at(l->err, QN_ELIMIT, t->begin, "a number out of range");
    if (!l->strict && peek(l, 0) == 'f' && !is_name(peek(l, 1))) {
        l->pos++;
        t->type = QN_EXPR_FLOAT;
        t->f64 = (double)(float)t->f64;
    }
    return QN_OK;
}

/* number = hex | digits [suffix] | digits "." digits [exponent] ["f"] */
static qn_status lex_number(qn_expr__lexer *l, qn_expr__token *t)
{
    t->kind = QN_TOK_NUMBER;
    qn_status st;
    if (peek(l, 0) == '0' && (peek(l, 1) == 'x' || peek(l, 1) == 'X') &&
        hex_value(peek(l, 2)) >= 0) {
        l->pos += 2;
        while (hex_value(peek(l, 0)) >= 0) l->pos++;
        st = finish_integer(l, t, 16);
    } else {
        bool is_float = false;
        skip_digits(l);
        if (peek(l, 0) == '.' && (!l->strict || is_digit(peek(l, 1)))) {
            is_float = true;
            l->pos++;
            skip_digits(l);
        }
        size_t sign = peek(l, 1) == '-' || peek(l, 1) == '+' ? 1 : 0;
        if (!l->strict && (peek(l, 0) == 'e' || peek(l, 0) == 'E') &&
            is_digit(peek(l, 1 + sign))) {
            is_float = true;
            l->pos += 1 + sign;
            skip_digits(l);
        }
        st = is_float ? finish_float(l, t) : finish_integer(l, t, 10);
    }
    QN_TRY(st);
    if (is_name(peek(l, 0)) || peek(l, 0) == '.')
        return qn_fail_at(l->err, QN_ESYNTAX, l->pos, "'%c' in a number", peek(l, 0));
    return QN_OK;
}

/* string = quote { character | "\" character } quote */
static qn_status lex_string(qn_expr__lexer *l, qn_expr__token *t)
{
    char quote = peek(l, 0);
    size_t close = l->pos + 1;
    while (close < l->text.n && l->text.p[close] != quote)
        close += l->text.p[close] == '\\' ? 2 : 1;
    if (close >= l->text.n)
        return qn_fail_at(l->err, QN_ESYNTAX, t->begin, "the string is not closed");
    char *copy = qn_arena_new(l->arena, close - l->pos);
    if (copy == NULL) return qn_fail(l->err, QN_ENOMEM, "string constant");
    size_t n = 0;
    for (size_t i = l->pos + 1; i < close; i++) {
        if (l->text.p[i] == '\\') i++;
        copy[n++] = l->text.p[i];
    }
    t->kind = QN_TOK_STRING;
    t->text = (qn_slice){copy, n};
    l->pos = close + 1;
    return QN_OK;
}

/* name = letter { letter | digit } [ "." letter { letter | digit } ] */
static void lex_name(qn_expr__lexer *l, qn_expr__token *t)
{
    while (is_name(peek(l, 0))) l->pos++;
    if (!l->strict && peek(l, 0) == '.' && is_name_start(peek(l, 1))) {
        l->pos++;
        while (is_name(peek(l, 0))) l->pos++;
    }
    t->kind = QN_TOK_NAME;
    t->text = (qn_slice){l->text.p + t->begin, l->pos - t->begin};
    if (qn_slice_eq_str(t->text, "and") || qn_slice_eq_str(t->text, "AND"))
        t->kind = QN_TOK_AND;
    if (qn_slice_eq_str(t->text, "or") || qn_slice_eq_str(t->text, "OR"))
        t->kind = QN_TOK_OR;
}

static qn_status lex_mark(qn_expr__lexer *l, qn_expr__token *t)
{
    static const struct {
        char text[3];
        qn_expr__token_kind kind;
    } pairs[] = {
        {"==", QN_TOK_EQ}, {"!=", QN_TOK_NE},  {"<=", QN_TOK_LE},
        {">=", QN_TOK_GE}, {"**", QN_TOK_POW},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (peek(l, 0) != pairs[i].text[0] || peek(l, 1) != pairs[i].text[1]) continue;
        t->kind = pairs[i].kind;
        l->pos += 2;
        return QN_OK;
    }
    t->mark = peek(l, 0);
    t->kind = t->mark == '=' ? QN_TOK_EQ : QN_TOK_MARK;
    if (t->mark == '\0' || strchr("=<>+-*/&|^!()[],?:", t->mark) == NULL) {
        unsigned char byte = (unsigned char)t->mark;
        if (byte < 0x20 || byte >= 0x7F)
            return qn_fail_at(l->err, QN_ESYNTAX, t->begin, "unexpected byte 0x%02x",
                              byte);
        return qn_fail_at(l->err, QN_ESYNTAX, t->begin, "unexpected character '%c'",
                          t->mark);
    }
    l->pos++;
    return QN_OK;
}

qn_status qn_expr__lex(qn_expr__lexer *l, qn_expr__token *out)
{
    while (l->pos < l->text.n && strchr(" \t\r\n\f\v", l->text.p[l->pos]) != NULL &&
           l->text.p[l->pos] != '\0')
        l->pos++;
    *out = (qn_expr__token){.begin = l->pos};
    qn_status st = QN_OK;
    char c = peek(l, 0);
    if (l->pos >= l->text.n)
        out->kind = QN_TOK_END;
    else if (is_digit(c) || (!l->strict && c == '.' && is_digit(peek(l, 1))))
        st = lex_number(l, out);
    else if (is_name_start(c))
        lex_name(l, out);
    else if (c == '"' || (c == '\'' && !l->strict))
        st = lex_string(l, out);
    else if (c == '\'')
        st = qn_fail_at(l->err, QN_ESYNTAX, l->pos,
                        "strings take double quotes here, not single ones");
    else
        st = lex_mark(l, out);
    out->limit = l->pos;
    return st;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "query/ha3/ha3_lexer.h"

#include "base/vec.h"

/* ORDER TOKENS */
static const char *const token_names[] = {
    "end of file", "AND",    "OR",     "ANDNOT", "RANK",   "number", "identifier",
    "word",        "phrase", "\"||\"", "\"<=\"", "\">=\"", "\"):\"", "'<'",
    "'>'",         "'='",    "':'",    "';'",    "'['",    "']'",    "'('",
    "')'",         "'^'",    "','",    "'|'",    "'&'",    "'#'",    "'@'",
};
static const char singles[] = "<>=:;[]()^,|&#@";

const char *qn_ha3_token_name(qn_ha3_token_kind kind)
{
    return token_names[kind];
}

typedef struct lexer {
    qn_arena *arena;
    const char *begin, *p, *end;
} lexer;

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool continues(const char *p)
{
    return ((unsigned char)*p & 0xC0) == 0x80;
}

/* Bytes of the word character at `p`, 0 when there is none: ASCII letters, digits and
 * some marks; CJK radicals (E2 BA..BF), E3..E9, half- and full-width forms. */
static size_t word_char(const char *p, const char *end)
{
    if (is_letter(*p) || is_digit(*p)) return 1;
    if (*p != '\0' && strchr(".-+*/!\\`?~%$", *p) != NULL) return 1;
    if (end - p < 3 || !continues(p + 1) || !continues(p + 2)) return 0;
    unsigned char a = (unsigned char)p[0], b = (unsigned char)p[1],
                  c = (unsigned char)p[2];
    if (a >= 0xE3 && a <= 0xE9) return 3;
    if (a == 0xE2 && b >= 0xBA) return 3;
    if (a == 0xEF && b >= 0xBC && b <= 0xBE) return 3;
    if (a == 0xEF && b == 0xBF && c <= 0xAF) return 3;
    return 0;
}

static qn_ha3_token_kind classify_word(qn_slice s)
{
    if (qn_slice_eq_str(s, "AND")) return QN_HA3_AND;
    if (qn_slice_eq_str(s, "OR")) return QN_HA3_OR;
    if (qn_slice_eq_str(s, "ANDNOT")) return QN_HA3_ANDNOT;
    if (qn_slice_eq_str(s, "RANK")) return QN_HA3_RANK;
    size_t i = s.p[0] == '+' || s.p[0] == '-', first = i;
    while (i < s.n && is_digit(s.p[i])) i++;
    if (i == s.n && i > first) return QN_HA3_NUMBER;
    if (!is_letter(s.p[0])) return QN_HA3_WORD;
    for (i = 1; i < s.n && (is_letter(s.p[i]) || is_digit(s.p[i]));) i++;
    return i == s.n ? QN_HA3_IDENTIFIER : QN_HA3_WORD;
}

/* The rest of a quoted text, after the quote; false when it never ends. `\` keeps the
 * quote and itself, and vanishes before anything else. */
static bool read_quoted(lexer *l, char quote, qn_slice *out, bool *no_memory)
{
    const char *begin = l->p;
    size_t escapes = 0;
    while (l->p < l->end && *l->p != quote) {
        if (*l->p == '\\') {
            escapes++;
            if (l->p + 1 < l->end && (l->p[1] == quote || l->p[1] == '\\')) l->p++;
        }
        l->p++;
    }
    if (l->p >= l->end) return false;
    *out = (qn_slice){begin, (size_t)(l->p - begin)};
    l->p++;
    if (escapes == 0) return true;
    char *text = qn_arena_new(l->arena, out->n + 1);
    *no_memory = text == NULL;
    if (*no_memory) return false;
    size_t n = 0;
    for (size_t i = 0; i < out->n; i++) {
        if (out->p[i] == '\\') {
            char next = i + 1 < out->n ? out->p[i + 1] : '\0';
            if (next != quote && next != '\\') continue;
            i++;
        }
        text[n++] = out->p[i];
    }
    *out = (qn_slice){text, n};
    return true;
}

static qn_ha3_token token_of(const lexer *l, qn_ha3_token_kind kind, const char *begin)
{
    return (qn_ha3_token){
        kind, {begin, (size_t)(l->p - begin)}, (size_t)(begin - l->begin)};
}

static qn_ha3_token next_mark(lexer *l)
{
    const char *begin = l->p++;
    char second = l->p < l->end ? *l->p : '\0';
    if (*begin == ')') {
        const char *p = l->p;
        while (p < l->end && (*p == ' ' || *p == '\t')) p++;
        if (p < l->end && *p == ':') {
            l->p = p + 1;
            return token_of(l, QN_HA3_RPAREN_COLON, begin);
        }
    }
    bool two = (*begin == '|' && second == '|') || (*begin == '<' && second == '=') ||
               (*begin == '>' && second == '=');
    if (two) {
        l->p++;
        return token_of(l,
                        *begin == '|'   ? QN_HA3_WEAKAND
                        : *begin == '<' ? QN_HA3_LESS_EQUAL
                                        : QN_HA3_GREATER_EQUAL,
                        begin);
    }
    size_t which = (size_t)(strchr(singles, *begin) - singles);
    return token_of(l, (qn_ha3_token_kind)(QN_HA3_LESS + which), begin);
}

static qn_ha3_token next_token(lexer *l, bool *no_memory)
{
    while (l->p < l->end) {
        const char *begin = l->p;
        size_t n = word_char(l->p, l->end);
        if (n > 0) {
            while (n > 0) {
                l->p += n;
                n = l->p < l->end ? word_char(l->p, l->end) : 0;
            }
            qn_ha3_token word = token_of(l, QN_HA3_WORD, begin);
            word.kind = classify_word(word.text);
            return word;
        }
        if (*l->p == '\'' || *l->p == '"') {
            char quote = *l->p++;
            qn_ha3_token t = token_of(l, QN_HA3_WORD, begin);
            if (quote == '"') t.kind = QN_HA3_PHRASE;
            if (read_quoted(l, quote, &t.text, no_memory)) return t;
            break;
        }
        if (*l->p != '\0' && strchr(singles, *l->p) != NULL) return next_mark(l);
        l->p++; /* a blank, or a byte that begins no token */
    }
    l->p = l->end;
    return token_of(l, QN_HA3_END, l->end);
}

qn_status qn_ha3_tokenize(qn_arena *arena, qn_slice clause, const qn_ha3_token **out,
                          size_t *n, qn_error *err)
{
    QN_VEC(qn_ha3_token) tokens = {0};
    lexer l = {arena, clause.p, clause.p, clause.p + clause.n};
    bool no_memory = false, at_end = false;
    while (!no_memory && !at_end) {
        qn_ha3_token t = next_token(&l, &no_memory);
        at_end = t.kind == QN_HA3_END;
        if (!qn_vec_push(arena->alloc, &tokens, t)) no_memory = true;
    }
    qn_ha3_token *copy = qn_arena_array(arena, tokens.n, sizeof *copy);
    if (copy != NULL && tokens.n > 0) memcpy(copy, tokens.p, tokens.n * sizeof *copy);
    *out = copy;
    *n = tokens.n;
    qn_vec_deinit(arena->alloc, &tokens);
    return no_memory || copy == NULL ? qn_fail(err, QN_ENOMEM, "query clause") : QN_OK;
}

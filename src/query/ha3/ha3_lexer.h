/* SPDX-License-Identifier: Apache-2.0 */
/* query/ha3/ha3_lexer.h -- a query clause as tokens.
 *
 * Longest match. Blanks are spaces and tabs; a byte that begins no token (newlines,
 * braces, Latin letters with accents, emoji) is passed over in silence, as in HA3:
 * such text has to be quoted. An unterminated quote ends the input.
 *
 * Lifetime   token texts point into the clause, quoted ones with escapes into the
 *            arena.
 * Threads    one lexer, one thread. */
#ifndef QN_QUERY_HA3_LEXER_H
#define QN_QUERY_HA3_LEXER_H

#include "base/arena.h"

/* ORDER TOKENS: names in ha3_lexer.c. */
typedef enum qn_ha3_token_kind {
    QN_HA3_END,
    QN_HA3_AND,
    QN_HA3_OR,
    QN_HA3_ANDNOT,
    QN_HA3_RANK,
    QN_HA3_NUMBER,     /* [+-]?[0-9]+ */
    QN_HA3_IDENTIFIER, /* [_A-Za-z][_A-Za-z0-9]* */
    QN_HA3_WORD,       /* 'quoted', or letters of any kind with . - + * / and others */
    QN_HA3_PHRASE,     /* "quoted" */
    QN_HA3_WEAKAND,    /* || */
    QN_HA3_LESS_EQUAL,
    QN_HA3_GREATER_EQUAL,
    QN_HA3_RPAREN_COLON, /* ")" blanks ":" */
    /* Single characters, in the order of their names. */
    QN_HA3_LESS,
    QN_HA3_GREATER,
    QN_HA3_EQUAL,
    QN_HA3_COLON,
    QN_HA3_SEMICOLON,
    QN_HA3_LBRACKET,
    QN_HA3_RBRACKET,
    QN_HA3_LPAREN,
    QN_HA3_RPAREN,
    QN_HA3_CARET,
    QN_HA3_COMMA,
    QN_HA3_BAR,
    QN_HA3_AMPERSAND,
    QN_HA3_HASH,
    QN_HA3_AT,
} qn_ha3_token_kind;

typedef struct qn_ha3_token {
    qn_ha3_token_kind kind;
    qn_slice text; /* of quoted ones without quotes, unescaped */
    size_t at;     /* first byte */
} qn_ha3_token;

/* All tokens, closed by QN_HA3_END. QN_ENOMEM only. */
QN_MUST_CHECK qn_status qn_ha3_tokenize(qn_arena *arena, qn_slice clause,
                                        const qn_ha3_token **out, size_t *n,
                                        qn_error *err);
/* As an error message names it: "'^'", "end of file", "identifier". */
const char *qn_ha3_token_name(qn_ha3_token_kind kind);

#endif

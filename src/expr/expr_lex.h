/* SPDX-License-Identifier: Apache-2.0 */
/* expr_lex.h -- the words of an expression. Private to this folder.
 *
 * Both spellings of an operator give the same token: `=` and `==`, `AND` and `and`.
 * The strict dialects know fewer forms: strings in double quotes only, no dots in
 * names, floats as digits.digits. */
#ifndef QN_EXPR_LEX_H
#define QN_EXPR_LEX_H

#include "expr/expr.h"

#include "base/arena.h"

typedef enum qn_expr__token_kind {
    QN_TOK_END,
    QN_TOK_NUMBER,
    QN_TOK_STRING,
    QN_TOK_NAME,
    QN_TOK_AND,
    QN_TOK_OR,
    QN_TOK_EQ, /* = or == */
    QN_TOK_NE,
    QN_TOK_LE,
    QN_TOK_GE,
    QN_TOK_POW,
    QN_TOK_MARK, /* any other single character: `mark` */
} qn_expr__token_kind;

typedef struct qn_expr__token {
    qn_expr__token_kind kind;
    char mark;
    size_t begin, limit;
    qn_slice text; /* NAME; STRING: unescaped */
    /* NUMBER: INT64, UINT64 or DOUBLE, or what its suffix says. */
    qn_expr_type type;
    uint64_t magnitude; /* of an integer */
    double f64;         /* of a float, and of an integer past uint64 */
} qn_expr__token;

typedef struct qn_expr__lexer {
    qn_slice text;
    size_t pos;
    bool strict;
    qn_arena *arena; /* unescaped strings */
    qn_error *err;
} qn_expr__lexer;

QN_MUST_CHECK qn_status qn_expr__lex(qn_expr__lexer *l, qn_expr__token *out);

#endif

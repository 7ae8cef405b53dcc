/* SPDX-License-Identifier: Apache-2.0 */
/* query/ha3/ha3_words.h -- the words of clauses other than query, and their expressions.
 *
 * One cursor reads a clause from left to right; every reader takes what it names or says
 * what it found instead, with the code of the clause. Words are ASCII; a string stands in
 * double quotes; blanks separate and mean nothing. */
#ifndef QN_QUERY_HA3_WORDS_H
#define QN_QUERY_HA3_WORDS_H

#include "query/ha3/ha3_internal.h"

typedef enum qn_ha3_word_kind {
    QN_WORD_END,
    QN_WORD_INTEGER, /* digits, or 0x and hexadecimal digits */
    QN_WORD_FLOAT,   /* digits "." digits */
    QN_WORD_NAME,
    QN_WORD_AND,
    QN_WORD_OR,
    QN_WORD_RESERVED, /* RANK, refresh_attributes: no names of attributes */
    QN_WORD_STRING,
    QN_WORD_MARK,  /* `mark`: 'L' is <=, 'G' is >=, '!' is != */
    QN_WORD_WRONG, /* a byte that begins no word */
} qn_ha3_word_kind;

typedef struct qn_ha3_word {
    qn_ha3_word_kind kind;
    char mark;
    qn_slice text; /* as written, quotes included */
} qn_ha3_word;

typedef struct qn_ha3_cursor {
    qn_ha3_request *r;
    qn_status code;     /* of whatever is wrong with the clause */
    const char *clause; /* its name, for messages */
    const char *p, *end;
    const char *taken; /* where the word taken last ends */
    qn_ha3_word word;  /* the next one */
    int depth;
} qn_ha3_cursor;

void qn_ha3__cursor(qn_ha3_cursor *c, qn_ha3_request *r, qn_slice text,
                    const char *clause, qn_status code);
void qn_ha3__advance(qn_ha3_cursor *c);
/* "<clause>: expected <wanted>, found ..." */
QN_MUST_CHECK qn_status qn_ha3__unexpected(qn_ha3_cursor *c, const char *wanted);
/* The same cause with another code and text; `at` is inside the clause. */
QN_MUST_CHECK qn_status qn_ha3__wrong(qn_ha3_cursor *c, qn_status code, const char *at,
                                      const char *fmt, ...) QN_PRINTF(4, 5);

bool qn_ha3__at_mark(const qn_ha3_cursor *c, char mark);
bool qn_ha3__accept_mark(qn_ha3_cursor *c, char mark);
QN_MUST_CHECK qn_status qn_ha3__expect_mark(qn_ha3_cursor *c, char mark);
QN_MUST_CHECK qn_status qn_ha3__expect_name(qn_ha3_cursor *c, qn_slice *name);
/* ["-"] INTEGER or FLOAT */
QN_MUST_CHECK qn_status qn_ha3__expect_number(qn_ha3_cursor *c, qn_clause_number *out);
/* ["-"] INTEGER within int64; the status `code` when it is something else. */
QN_MUST_CHECK qn_status qn_ha3__expect_int(qn_ha3_cursor *c, qn_status code,
                                           int64_t *out);
/* The word under the cursor is exactly this name. */
bool qn_ha3__at_name(const qn_ha3_cursor *c, const char *name);

/* What an expression can be said to give by its form alone. */
typedef enum qn_ha3_form {
    QN_FORM_VALUE,     /* arithmetic, names, constants */
    QN_FORM_CONDITION, /* comparisons, AND, OR */
    QN_FORM_CALL,      /* a function: either */
} qn_ha3_form;

/* Reads one expression, up to the first word that cannot go on with it. `form` may be
 * NULL. */
QN_MUST_CHECK qn_status qn_ha3__read_expr(qn_ha3_cursor *c, qn_clause_expr *out,
                                          QN_NULLABLE qn_ha3_form *form);
/* A clause that is one expression. */
QN_MUST_CHECK qn_status qn_ha3__parse_expr(qn_ha3_request *r, qn_slice text,
                                           const char *clause, qn_status code,
                                           qn_clause_expr *out,
                                           QN_NULLABLE qn_ha3_form *form);

#endif

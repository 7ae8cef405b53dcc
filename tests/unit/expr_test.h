/* SPDX-License-Identifier: Apache-2.0 */
/* expr_test.h -- what the tests of the ranking language share: a table of eight
 * documents as the environment, and one-line ways to compile and evaluate. */
#ifndef EXPR_TEST_H
#define EXPR_TEST_H

#include "../qn_test.h"

#include "expr/expr.h"

enum { EXPR_TEST_DOCS = 8, EXPR_TEST_NOW = 1700000000 };

/* Attributes (document 0 first):
 *   age int32 50,13,..; weight int32 70; mark int8; price double 2.5; hits, comments
 *   int64; pubtime int64; big uint64 2^63+5; small int8 100; ratio float; title string;
 *   tags multi int32; scores multi double; names multi string; zero int32 0.
 * `topic` is a request constant: int32 7. Features: value 0.25 * (number of the
 * function's row % 4 + 1), of bm25 0.5, of text_score 0.75; kvpairs_value is the constant 3.5. */
extern const qn_expr_env expr_test_env;

typedef struct expr_test_batch {
    qn_expr_batch batch;
    uint64_t bad_docs;
    uint32_t docs[EXPR_TEST_DOCS];
    unsigned loads;        /* calls of load() */
    unsigned feature_docs; /* documents whose features were asked */
} expr_test_batch;
void expr_test_batch_init(expr_test_batch *b);

qn_status expr_test_compile(qn_expr_dialect dialect, const char *text, qn_expr **out,
                            qn_error *err);
/* The value for document 0; fails the test when it does not compile. */
double expr_test_value(qn_expr_dialect dialect, const char *text);
/* Into a static buffer. */
const char *expr_test_dump(const qn_expr *e);
const char *expr_test_normalized(const qn_expr *e);

void test_expr_accepts(void **state);
void test_expr_refuses(void **state);
void test_expr_normalized_form(void **state);
void test_expr_limits(void **state);
void test_expr_strict_types(void **state);
void test_expr_strict_values(void **state);
void test_expr_functions_check(void **state);
void test_expr_function_values(void **state);
void test_expr_function_table(void **state);
void test_expr_features(void **state);
void test_expr_conformance(void **state);
void test_expr_bad_documents(void **state);
void test_expr_loads_once(void **state);
void test_expr_lazy(void **state);
void test_expr_terms(void **state);
void test_expr_listing(void **state);
void test_expr_strings_and_integers(void **state);
void test_expr_out_of_memory(void **state);
void test_expr_math_bounds(void **state);
void test_expr_math_pow(void **state);
void test_expr_math_edges(void **state);
void test_expr_math_beyond(void **state);
void test_expr_math_sets(void **state);
void test_expr_code_without(void **state);
void test_expr_code_shares(void **state);
void test_expr_code_drops(void **state);
void test_expr_code_threads(void **state);
void test_expr_code_blocks(void **state);

#endif

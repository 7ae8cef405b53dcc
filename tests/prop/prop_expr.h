/* SPDX-License-Identifier: Apache-2.0 */
/* prop_expr.h -- random well-typed expressions as trees of their own, their text, and
 * their value by the plainest evaluator: one document at a time, recursive, written
 * from the rules of the README and sharing nothing with src/expr. */
#ifndef PROP_EXPR_H
#define PROP_EXPR_H

#include "base/clock.h"
#include "expr/expr.h"

enum { PROP_DOCS = 1000, PROP_NODES_MAX = 400 };

/* The columns of the random table: one or two of each type. */
typedef struct prop_column {
    const char *name;
    qn_expr_type type;
} prop_column;
extern const prop_column prop_columns[];
extern const size_t prop_column_count;

typedef union prop_cell {
    int64_t i64; /* integers; uint64 as bits */
    double f64;
} prop_cell;

typedef struct prop_table {
    prop_cell *cells; /* column * PROP_DOCS + document */
    const char *texts[PROP_DOCS];
} prop_table;

typedef struct prop_node {
    int op; /* enum of prop_expr_gen.c */
    qn_expr_type type;
    bool literal;
    size_t column;
    prop_cell value; /* literal */
    struct prop_node *kids[4];
    size_t kid_count;
} prop_node;

typedef struct prop_gen {
    qn_rng rng;
    prop_node nodes[PROP_NODES_MAX];
    size_t used;
} prop_gen;

void prop_table_fill(prop_table *t, qn_rng *rng);
/* A formula, or a condition of the strict dialect. */
prop_node *prop_gen_formula(prop_gen *g, unsigned depth);
prop_node *prop_gen_condition(prop_gen *g, unsigned depth);
/* As few parentheses as the grammar allows, plus some at random. */
void prop_print(prop_gen *g, const prop_node *n, bool strict, qn_buf *out);
double prop_eval_formula(const prop_node *n, const prop_table *t, size_t doc);
int64_t prop_eval_strict(const prop_node *n, const prop_table *t, size_t doc);

#endif

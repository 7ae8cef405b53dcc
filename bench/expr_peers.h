/* SPDX-License-Identifier: Apache-2.0 */
/* expr_peers.h -- the same formulas by others: what bench_expr.c compares with. */
#ifndef QN_BENCH_EXPR_PEERS_H
#define QN_BENCH_EXPR_PEERS_H

#include "expr/expr_internal.h"

enum { PEER_NOW = 1700000000 };

/* A column in memory: one of the two. */
typedef struct peer_column {
    const int32_t *i32;
    const double *f64;
} peer_column;

/* The typed tree of a formula, one document after another, functions from <math.h>.
 * Inputs are columns by slot. */
void peer_walk(const qn_expr *e, const peer_column *columns, size_t n, double *out);

#ifdef QN_BENCH_LLVM
/* The formula as a plain loop over documents, as a C compiler would see it, through LLVM's
 * -O2 pipeline (loop vectoriser included) for this CPU; functions from <math.h>. */
typedef void (*peer_compiled)(const void *const *columns, uint64_t n, double *out);
typedef struct peer_code peer_code;
/* NULL: it has something that this peer does not do. */
peer_code *peer_compile(const qn_expr *e, const peer_column *columns,
                        peer_compiled *out);
void peer_code_free(peer_code *c);
#endif

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* num/attention.h -- softmax(scores) V for one sequence and one head, where
 *
 *     score[i][j] = alpha * (Q[i].K[j] + Q[i].PK[ix(i - j)] + K[j].PQ[ix(i - j)])
 *
 * over all j, or those with |i - j| <= window. The two terms with positions are those of
 * disentangled attention (DeBERTa, arXiv 2006.03654) and optional, each by itself.
 *
 * Query rows go through in blocks of 32 or so: a block's scores stay in the cache, and
 * the matrix of all scores is never written.
 *
 * `integers`: as models of int8 compute it. Queries, keys and positions are quantised to
 * bytes, row by row; values to eleven bits, column by column; probabilities to twelve.
 * All sums are exact, so sets differ only in how they round e^x. Keys less their mean give
 * the same softmax, and need fewer bits: it is taken away unless keys meet positions.
 *
 * Output row i has the same bits whether all queries are asked for or only the first
 * ones.
 *
 * Letters   d: size of a head; keys: tokens of the sequence.
 * Threads   pure; scratch belongs to the caller. */
#ifndef QN_NUM_ATTENTION_H
#define QN_NUM_ATTENTION_H

#include "base/clock.h"
#include "num/gemm.h"

/* Relative positions. Zero is none. */
typedef struct qn_attention_relative {
    /* What queries and what keys are multiplied by, turned: d rows, of this head, of one
     * value a position; leading dimension ld. */
    QN_NULLABLE const float *PK, *PQ;
    size_t ld;
    /* The same for `integers`: weights of d columns, made by qn_attention_pack(); the head
     * begins at row `first`. */
    QN_NULLABLE const qn_gemm *PK_i8, *PQ_i8;
    size_t first;
    /* Points at ix(0), the middle of a table from ix(-(keys - 1)) to ix(keys - 1): the
     * position's number; it never falls as i - j grows. */
    const int32_t *index;
} qn_attention_relative;

typedef struct qn_attention {
    const qn_kernels *kernels;
    size_t d, keys;
    /* The first so many tokens ask: keys, or 1 for the first alone; without relative
     * positions also more, for tokens that see the others and are not seen. */
    size_t queries;
    size_t window; /* 0: every token sees every other; who sees none has zeros */
    float alpha;
    const float *Q, *K, *V; /* rows of this head */
    size_t ldq, ldkv;
    qn_attention_relative relative;
    float *out; /* queries x d */
    size_t ldo;
    bool integers;
} qn_attention;

/* The leading dimension that `positions` columns are best kept with. */
size_t qn_attention_stride(size_t positions);
/* rows: positions x width becomes out: width x qn_attention_stride(positions). */
void qn_attention_turn(const qn_kernels *kernels, const float *rows, size_t positions,
                       size_t width, float *out);

/* Rows of a head in a table of positions for `integers`. */
size_t qn_attention_head_rows(size_t positions);
/* Packs rows: positions x width, of heads of d values. */
QN_MUST_CHECK qn_status qn_attention_pack(qn_alloc *a, const qn_kernels *kernels,
                                          const float *rows, size_t positions,
                                          size_t width, size_t d,
                                          QN_OWNED qn_gemm **out, qn_error *err);

/* Floats of scratch for sequences of up to `keys` tokens and position tables of up to
 * `positions` columns (0: none). */
size_t qn_attention_scratch(const qn_kernels *kernels, size_t d, size_t keys,
                            size_t positions);

/* False when the deadline passed before the end: `out` is then worthless. It is looked
 * at every half a millisecond or so of work, and not at all in a call of less. scratch:
 * aligned to 64. */
QN_MUST_CHECK bool qn_attention_run(const qn_attention *a,
                                    QN_NULLABLE const qn_deadline *deadline,
                                    float *scratch);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* num/tiles.h -- the innermost blocks of a matrix product, one struct per kernel set.
 *
 * A tile is as much of the result as fits the registers: `rows` x `cols`. gemm_own.c
 * and matmul.c cut a product into tiles and pack the operands; the functions here only
 * multiply. Each accepts any part of a tile's columns and any rows, and value (m, n) is
 * computed in the same way in every part, so cutting never changes a bit.
 *
 *     f32   one fused multiply-add per k, in order of k (scalar: in double)
 *     int8  exact int32 sums; then (float)sum * (row scale * column scale)
 *           + middle * column sum + bias + y, each step rounded; what is not there is
 *           left out
 *     bf16  two products a step, in order of k, as the instruction rounds them
 *     i16   exact int32 sums, scaled as those of int8 are: attention over int8 models */
#ifndef QN_NUM_TILES_H
#define QN_NUM_TILES_H

#include "base/status.h"

/* Before a loop of known length: all of it at once, so that an array of accumulators
 * lives in registers. */
#ifdef __clang__
#define QN_UNROLL _Pragma("clang loop unroll(full)")
#else
#define QN_UNROLL _Pragma("GCC unroll 16")
#endif

/* y[m][n] = alpha * ((first ? 0 : y[m][n]) + sum_k a[m * lda + k] * b[k * ldb + n])
 *           + bias[n], each step rounded; alpha 1 and bias NULL change nothing. */
typedef struct qn_tile_f32 {
    size_t rows, cols, depth; /* any number of rows; depth: how many k */
    const float *a, *b;
    size_t lda, ldb;
    bool first;
    float alpha;
    QN_NULLABLE const float *bias;
    float *y;
    size_t ldy;
} qn_tile_f32;

/* A product may be asked for more rows than a tile has; what is left of them chooses code
 * made for so many, `f` of a constant; a whole tile is the default:
 *
 *     switch (rows left) { QN_ROWS_UP_TO_3(f); default: f(4); } */
#define QN_ROWS_ONE(n, f)                                                              \
    case n:                                                                            \
        f(n);                                                                          \
        break
#define QN_ROWS_UP_TO_3(f)                                                             \
    QN_ROWS_ONE(1, f);                                                                 \
    QN_ROWS_ONE(2, f);                                                                 \
    QN_ROWS_ONE(3, f)
#define QN_ROWS_UP_TO_5(f)                                                             \
    QN_ROWS_UP_TO_3(f);                                                                \
    QN_ROWS_ONE(4, f);                                                                 \
    QN_ROWS_ONE(5, f)
#define QN_ROWS_UP_TO_7(f)                                                             \
    QN_ROWS_UP_TO_5(f);                                                                \
    QN_ROWS_ONE(6, f);                                                                 \
    QN_ROWS_ONE(7, f)

/* Packed int8 weights: panels of `cols` columns; within a panel, for each group of
 * `group` consecutive k, for each column, the group's values. */
typedef struct qn_tile_i8 {
    size_t rows, cols; /* any number of rows; this part of a tile's columns */
    size_t groups;     /* ceil(K / group) */
    const void *a;     /* rows of activations as made by `activations` */
    size_t lda_bytes;  /* a multiple of 64 */
    const int8_t *b;   /* one panel */
    const int32_t *start;
    const float *row_scale, *col_scale; /* one per row; one per column, padded */
    /* Both or none: what was taken from the values of each row, and the sum of each
     * column times its scale: their product comes back. */
    QN_NULLABLE const float *middle, *col_sum;
    QN_NULLABLE const float *bias;
    bool add; /* y += the result, instead of y = */
    float *y;
    size_t ldy;
} qn_tile_i8;

/* Packed bf16 weights: panels of `cols` columns; within a panel, for each pair of
 * consecutive k, for each column, the pair's values. y = products + bias. */
typedef struct qn_tile_bf16 {
    size_t rows, cols; /* any number of rows; this part of a tile's columns */
    size_t pairs;      /* ceil(K / 2) */
    const uint16_t *a; /* rows of rounded activations */
    size_t lda_bytes;  /* a multiple of 64 */
    const uint16_t *b; /* one panel */
    QN_NULLABLE const float *bias;
    float *y;
    size_t ldy;
} qn_tile_bf16;

typedef struct qn_tiles {
    size_t f32_rows, f32_cols;
    size_t f32_depth; /* K is cut into pieces of this much, for the cache */
    void (*f32)(const qn_tile_f32 *t);
    /* out[k * ldo + n] = B[n * ldb + k], n < cols, k < K */
    void (*transpose)(const float *B, size_t ldb, size_t cols, size_t K, float *out,
                      size_t ldo);
} qn_tiles;

/* Probabilities times values, both in 16 bits, so few of them that no sum leaves 32:
 *     y[m][n] = sum_k a[m][k] b[k][n] * (row_scale[m] * col_scale[n]) + bias[n] + y */
typedef struct qn_tile_i16 {
    size_t rows, cols; /* any number of rows */
    size_t pairs;      /* at most QN_I16_KEYS / 2 */
    const int16_t *a;  /* rows of [0, QN_I16_ONE] */
    size_t lda;
    const int16_t *b; /* [pair][column][2] in [-QN_I16_VALUE, QN_I16_VALUE] */
    size_t ldb;       /* from pair to pair */
    const float *row_scale, *col_scale; /* columns in whole vectors of 16 */
    QN_NULLABLE const float *bias;
    bool add; /* y += the result, instead of y = */
    float *y;
    size_t ldy;
} qn_tile_i16;

/* 512 * 4095 * 1023 < 2^31 */
#define QN_I16_KEYS 512
#define QN_I16_ONE 4095
#define QN_I16_VALUE 1023

typedef struct qn_i16_keys {
    const float *turned;
    size_t ld, d, keys; /* columns up to a multiple of 16 are read, and written */
    bool less_mean;     /* away[k], the mean of row k, is taken from it; else 0 */
    float *away;
    int8_t *panels;
    float *scale;
    int32_t *start;
} qn_i16_keys;

/* What attention in integers needs besides a set's int8 tiles. */
typedef struct qn_tiles_i16 {
    size_t rows, cols;
    /* p[i] = QN_I16_ONE * e^(x[i] - max x), rounded, within one of it; zeros up to a
     * multiple of 16. Returns 1 / the sum of p, infinite when no x is finite or one is
     * +inf. n at least 1; x has room for 15 values more, and is used up. */
    float (*probabilities)(float *x, size_t n, int16_t *p);
    /* Columns of `turned` (d x ld), each quantised as kernels.h quantize_i8 does, into
     * panels for the int8 tiles, with its scale and start. */
    void (*keys)(const qn_i16_keys *k);
    /* Rows of V, d columns each about its own middle, to [pair][column][2] with ldo from
     * pair to pair; a row of zeros behind an odd last one. */
    void (*values)(const float *V, size_t ldv, size_t keys, size_t d, int16_t *out,
                   size_t ldo, float *scale, float *middle);
    void (*run)(const qn_tile_i16 *t);
} qn_tiles_i16;

typedef struct qn_tiles_i8 {
    size_t rows, cols;
    size_t group;         /* consecutive k that lie together */
    size_t element_bytes; /* of one activation */
    int32_t offset;       /* activations are stored plus this; `start` takes it back */
    /* Quantises K values as kernels.h quantize_i8 does, into this set's form, zero
     * values up to the end of the group; returns the scale. */
    float (*activations)(const float *x, size_t K, void *q);
    /* The same of x after kernels.h center, which gives *middle; x stays. */
    float (*centered)(const float *x, size_t K, void *q, float *middle);
    void (*run)(const qn_tile_i8 *t);
    const qn_tiles_i16 *i16;
} qn_tiles_i8;

typedef struct qn_tiles_bf16 {
    size_t rows, cols;
    /* Rounds K values to nearest even, zero up to the end of the pair. */
    void (*activations)(const float *x, size_t K, uint16_t *q);
    void (*run)(const qn_tile_bf16 *t);
} qn_tiles_bf16;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* attention.c -- cut into the tiles of a kernel set. For each block of queries:
 *
 *     1. K PQ^T, for 16 keys at a time and the positions that they and the block need:
 *        for each key the values of the block's queries are picked, and turned into the
 *        block's scores, row by row of queries
 *     2. Q PK^T, for the positions that the block needs, picked and added
 *     3. Q K^T, added, and all of it times alpha
 *     4. e^(score - max) and its sum, row by row
 *     5. times V, divided by the sum
 *
 * Keys are turned once, and values brought together once, for all blocks. */
#include "num/attention_internal.h"

#include <string.h>

enum {
    LANES = 16,         /* floats in a line of the cache */
    BLOCK_MAX = 32,     /* queries */
    KEY_GROUP = 16,     /* keys of step 1 */
    PIECE_MAX = 48,     /* columns of a tile */
    VALUES_DEPTH = 128, /* keys of step 5 whose values stay in the first cache */
    COPY_VALUES = 8,    /* queries from which on it pays */
};

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t round_up(size_t n, size_t step)
{
    return (n + step - 1) / step * step;
}

/* An odd number of lines: columns then spread over the whole cache. */
size_t qn_attention_stride(size_t positions)
{
    return round_up(positions, LANES) / LANES % 2 == 0
               ? round_up(positions, LANES) + LANES
               : round_up(positions, LANES);
}

void qn_attention_turn(const qn_kernels *kernels, const float *rows, size_t positions,
                       size_t width, float *out)
{
    kernels->tiles->transpose(rows, width, positions, width, out,
                              qn_attention_stride(positions));
}

/* One call, and where its parts lie in the scratch. */
typedef struct work {
    const qn_attention *a;
    const qn_tiles *tiles;
    size_t block;  /* queries: whole tiles */
    float *keys;   /* d x key_ld: K turned */
    size_t key_ld; /* also of scores and picks */
    float *values; /* keys x value_ld, unless V is read in place */
    size_t value_ld;
    float *scores;     /* block x key_ld */
    float *terms;      /* block or KEY_GROUP x term_ld: products with positions */
    size_t term_ld;    /* a pick may read LANES past the last position */
    float *group;      /* KEY_GROUP x BLOCK_MAX */
    int32_t *backward; /* ix(keys - 1) .. ix(-(keys - 1)) */
} work;

static float *carve(float *base, size_t *at, size_t count)
{
    float *p = base == NULL ? NULL : base + *at;
    *at += round_up(count, LANES);
    return p;
}

static size_t lay_out(work *w, const qn_kernels *kernels, size_t d, size_t keys,
                      size_t positions, float *base)
{
    size_t at = 0;
    w->tiles = kernels->tiles;
    w->block = BLOCK_MAX - BLOCK_MAX % w->tiles->f32_rows;
    w->key_ld = qn_attention_stride(keys);
    w->value_ld = round_up(d, LANES);
    w->term_ld = round_up(positions, LANES) + LANES;
    w->keys = carve(base, &at, d * w->key_ld);
    w->values = carve(base, &at, keys * w->value_ld);
    w->scores = carve(base, &at, BLOCK_MAX * w->key_ld);
    if (positions > 0) {
        w->terms = carve(base, &at, BLOCK_MAX * w->term_ld);
        w->group = carve(base, &at, KEY_GROUP * BLOCK_MAX);
        w->backward = (int32_t *)(void *)carve(base, &at, 2 * keys);
    }
    return at;
}

size_t qn_attention_scratch(const qn_kernels *kernels, size_t d, size_t keys,
                            size_t positions)
{
    work w = {0};
    size_t floats = lay_out(&w, kernels, d, keys, positions, NULL);
    size_t integers = qn_num__attention_i8_scratch(kernels, d, keys, positions);
    return floats > integers ? floats : integers;
}

/* Columns to a tile: even pieces of whole vectors, so that 64 columns in tiles of 48 are
 * 32 + 32 and not 48 + 16. */
static size_t piece_cols(size_t N, size_t tile_cols)
{
    size_t cols = min_size(tile_cols, PIECE_MAX), pieces = (N + cols - 1) / cols;
    size_t even = (N + pieces - 1) / pieces;
    return min_size(round_up(even, LANES), tile_cols);
}

/* Y = A B, or alpha (Y + A B): M rows of A, N columns of B. */
static void multiply(const qn_tiles *tiles, size_t M, size_t N, qn_tile_f32 t)
{
    const float *A = t.a, *B = t.b;
    float *Y = t.y;
    size_t cols = piece_cols(N, tiles->f32_cols);
    for (size_t j = 0; j < N; j += cols) {
        t.cols = min_size(cols, N - j);
        t.b = B + j;
        for (size_t i = 0; i < M; i += tiles->f32_rows) {
            t.rows = min_size(tiles->f32_rows, M - i);
            t.a = A + i * t.lda;
            t.y = Y + i * t.ldy + j;
            tiles->f32(&t);
        }
    }
}

/* Step 1: scores of queries [at, at + m) and keys [from, to) begin as the products of
 * the keys with positions. */
static void keys_with_positions(const work *w, size_t at, size_t m, size_t from,
                                size_t to)
{
    const qn_attention *a = w->a;
    const int32_t *index = a->relative.index + at;
    for (size_t j = from; j < to; j += KEY_GROUP) {
        size_t n = min_size(KEY_GROUP, to - j);
        int32_t low = index[-(ptrdiff_t)(j + n - 1)];
        int32_t high = index[(ptrdiff_t)m - 1 - (ptrdiff_t)j];
        multiply(w->tiles, n, (size_t)(high - low) + 1,
                 (qn_tile_f32){.depth = a->d,
                               .a = a->K + j * a->ldkv,
                               .b = a->relative.PQ + low,
                               .lda = a->ldkv,
                               .ldb = a->relative.ld,
                               .first = true,
                               .alpha = 1,
                               .y = w->terms,
                               .ldy = w->term_ld});
        for (size_t k = 0; k < n; k++)
            a->kernels->pick(w->terms + k * w->term_ld, index - (ptrdiff_t)(j + k), low,
                             m, false, w->group + k * BLOCK_MAX);
        w->tiles->transpose(w->group, BLOCK_MAX, n, m, w->scores + (j - from),
                            w->key_ld);
    }
}

/* Step 2: the products of the queries with positions, added, or first. */
static void queries_with_positions(const work *w, size_t at, size_t m, size_t from,
                                   size_t to, bool first)
{
    const qn_attention *a = w->a;
    int32_t low = a->relative.index[(ptrdiff_t)at - (ptrdiff_t)(to - 1)];
    int32_t high = a->relative.index[(ptrdiff_t)(at + m - 1) - (ptrdiff_t)from];
    multiply(w->tiles, m, (size_t)(high - low) + 1,
             (qn_tile_f32){.depth = a->d,
                           .a = a->Q + at * a->ldq,
                           .b = a->relative.PK + low,
                           .lda = a->ldq,
                           .ldb = a->relative.ld,
                           .first = true,
                           .alpha = 1,
                           .y = w->terms,
                           .ldy = w->term_ld});
    for (size_t r = 0; r < m; r++)
        a->kernels->pick(w->terms + r * w->term_ld,
                         w->backward + (a->keys - 1 + from - at - r), low, to - from,
                         !first, w->scores + r * w->key_ld);
}

/* Step 4, of query i; returns what the products with V are to be multiplied by. */
static float exponentials(const work *w, size_t i, size_t from, size_t to, float *row)
{
    const qn_attention *a = w->a;
    size_t begin = from, end = to;
    if (a->window > 0) {
        begin = i > a->window && i - a->window > from ? i - a->window : from;
        end = min_size(to, i + a->window + 1);
        if (begin >= end) { /* a query behind all keys that sees none */
            memset(row, 0, (to - from) * sizeof *row);
            return 0.0f;
        }
        memset(row, 0, (begin - from) * sizeof *row);
        memset(row + (end - from), 0, (to - end) * sizeof *row);
    }
    return 1.0f / a->kernels->softmax_sum(row + (begin - from), end - begin);
}

/* Steps 1 to 5 of queries [at, at + m). */
static void run_block(const work *w, size_t at, size_t m)
{
    const qn_attention *a = w->a;
    size_t from = 0, to = a->keys;
    if (a->window > 0) { /* of a whole block, however short this one is */
        from = at > a->window ? at - a->window : 0;
        to = min_size(a->keys, at + w->block + a->window);
    }
    if (from >= to) {
        for (size_t r = 0; r < m; r++)
            memset(a->out + (at + r) * a->ldo, 0, a->d * sizeof *a->out);
        return;
    }
    bool first = true;
    if (a->relative.PQ != NULL) {
        keys_with_positions(w, at, m, from, to);
        first = false;
    }
    if (a->relative.PK != NULL) {
        queries_with_positions(w, at, m, from, to, first);
        first = false;
    }
    multiply(w->tiles, m, to - from,
             (qn_tile_f32){.depth = a->d,
                           .a = a->Q + at * a->ldq,
                           .b = w->keys + from,
                           .lda = a->ldq,
                           .ldb = w->key_ld,
                           .first = first,
                           .alpha = a->alpha,
                           .y = w->scores,
                           .ldy = w->key_ld});
    float scale[BLOCK_MAX];
    for (size_t r = 0; r < m; r++)
        scale[r] = exponentials(w, at + r, from, to, w->scores + r * w->key_ld);
    float *out = a->out + at * a->ldo;
    for (size_t k = from; k < to; k += VALUES_DEPTH)
        multiply(w->tiles, m, a->d,
                 (qn_tile_f32){.depth = min_size(VALUES_DEPTH, to - k),
                               .a = w->scores + (k - from),
                               .b = w->values + k * w->value_ld,
                               .lda = w->key_ld,
                               .ldb = w->value_ld,
                               .first = k == from,
                               .alpha = 1,
                               .y = out,
                               .ldy = a->ldo});
    for (size_t r = 0; r < m; r++) a->kernels->scale(out + r * a->ldo, scale[r], a->d);
}

/* Turns the keys, brings the values together, and the table of positions. */
static void prepare(work *w, bool relative)
{
    const qn_attention *a = w->a;
    w->tiles->transpose(a->K, a->ldkv, a->keys, a->d, w->keys, w->key_ld);
    if (a->queries < COPY_VALUES) {
        w->values = (float *)(uintptr_t)a->V; /* only read */
        w->value_ld = a->ldkv;
    } else {
        for (size_t j = 0; j < a->keys; j++)
            memcpy(w->values + j * w->value_ld, a->V + j * a->ldkv,
                   a->d * sizeof *a->V);
    }
    if (!relative) return;
    const int32_t *last = a->relative.index + (a->keys - 1);
    for (size_t i = 0; i < 2 * a->keys - 1; i++) w->backward[i] = *(last - i);
}

size_t qn_num__attention_positions(const qn_attention *a)
{
    const qn_attention_relative *r = &a->relative;
    ptrdiff_t farthest = (ptrdiff_t)a->keys - 1;
    return (size_t)(r->index[farthest] - r->index[-farthest]) + 1;
}

bool qn_attention_run(const qn_attention *a, const qn_deadline *deadline,
                      float *scratch)
{
    bool relative = a->relative.PK != NULL || a->relative.PQ != NULL;
    size_t work_done = 0;
    work w = {.a = a};
    if (a->keys == 0) return true;
    if (a->integers) return qn_num__attention_i8(a, deadline, scratch);
    (void)lay_out(&w, a->kernels, a->d, a->keys,
                  relative ? qn_num__attention_positions(a) : 0, scratch);
    prepare(&w, relative);
    for (size_t at = 0; at < a->queries; at += w.block) {
        size_t m = min_size(w.block, a->queries - at);
        work_done += m * a->keys * a->d;
        if (deadline != NULL && work_done >= QN_ATTENTION_WORK_BETWEEN) {
            if (qn_deadline_passed(deadline)) return false;
            work_done = 0;
        }
        run_block(&w, at, m);
    }
    return true;
}

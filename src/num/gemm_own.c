/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_own.c -- products by the tiles of a kernel set, over weights as gemm_packed.h
 * lays them out.
 *
 * X is taken in blocks of rows that fit the second-level cache beside a panel; for int8
 * and bf16 a block is quantised or rounded into the scratch first. For each block, each
 * panel is read from the cache once and multiplied with every tile of rows.
 *
 * In f32 the sum over k is cut into pieces (tiles->f32_depth) only to stay in the
 * cache: the partial sum goes to Y and comes back unchanged, so cutting never changes a
 * bit. */
#include "num/gemm_packed.h"

#include <string.h>

enum {
    LINE_BYTES = 64,
    BLOCK_BYTES = 448 * 1024, /* of X: less than half of a 1 MB second-level cache */
    BLOCK_ROWS_MIN = 48,
    BLOCK_ROWS_MAX = 384,
};

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t round_up(size_t n, size_t step)
{
    return (n + step - 1) / step * step;
}

/* Bytes of one part of a quantised or rounded row: whole cache lines. */
static size_t part_bytes(const qn_gemm *g)
{
    const qn_tiles_i8 *t = g->kernels->tiles_i8;
    if (g->type == QN_GEMM_BF16) return round_up(g->K * sizeof(uint16_t), LINE_BYTES);
    return round_up(round_up(g->K / g->parts, t->group) * t->element_bytes, LINE_BYTES);
}

/* Bytes of one quantised or rounded row: not a multiple of 1 KB, which would put the
 * same k of all rows of a tile into the same few places of the cache. */
static size_t activation_stride(const qn_gemm *g)
{
    size_t stride = g->parts * part_bytes(g);
    return stride % 1024 == 0 ? stride + LINE_BYTES : stride;
}

/* Rows of X in one block: whole tiles that together take about BLOCK_BYTES. */
static size_t block_rows(size_t row_bytes, size_t tile_rows)
{
    size_t rows = BLOCK_BYTES / row_bytes;
    if (rows < BLOCK_ROWS_MIN) rows = BLOCK_ROWS_MIN;
    if (rows > BLOCK_ROWS_MAX) rows = BLOCK_ROWS_MAX;
    return round_up(rows, tile_rows);
}

static size_t tile_rows(const qn_gemm *g)
{
    return g->type == QN_GEMM_I8 ? g->kernels->tiles_i8->rows
                                 : g->kernels->tiles_bf16->rows;
}

/* Rows; for int8 then, for each part, a scale and a middle a row. */
static size_t own_scratch_bytes(const qn_gemm *g, size_t M)
{
    if (qn_num__packed_is_f32(g)) return 0;
    size_t stride = activation_stride(g);
    size_t rows = min_size(M, block_rows(stride, tile_rows(g)));
    size_t bytes = rows * stride;
    if (g->type == QN_GEMM_I8)
        bytes += 2 * g->parts * round_up(rows * sizeof(float), LINE_BYTES);
    return bytes;
}

/* One piece of k over one block of rows. */
static void run_f32_piece(const qn_gemm *g, size_t row, size_t rows, size_t k,
                          size_t depth, const float *X, size_t ldx, const float *bias,
                          const qn_gemm_after *after, float *Y, size_t ldy)
{
    const qn_tiles *t = g->kernels->tiles;
    const qn_packed *o = g->state;
    const float *panels = (const float *)(const void *)o->panels;
    bool last = k + depth == g->K;
    for (size_t p = 0; p < o->panel_count; p++) {
        size_t n = p * t->f32_cols;
        qn_tile_f32 tile = {
            .cols = min_size(t->f32_cols, g->N - n),
            .depth = depth,
            .b = panels + n * g->K + k * t->f32_cols,
            .lda = ldx,
            .ldb = t->f32_cols,
            .first = k == 0,
            .alpha = 1,
            .bias = last && bias != NULL ? bias + n : NULL,
            .ldy = ldy,
        };
        for (size_t i = 0; i < rows; i += t->f32_rows) {
            size_t m = row + i;
            tile.rows = min_size(t->f32_rows, rows - i);
            tile.a = X + m * ldx + k;
            tile.y = Y + m * ldy + n;
            t->f32(&tile);
            if (last)
                qn_num__gemm_finish(g->kernels, after, m, n, tile.rows, tile.cols,
                                    tile.y, ldy);
        }
    }
}

static void run_f32(const qn_gemm *g, size_t M, const float *X, size_t ldx,
                    const float *bias, const qn_gemm_after *after, float *Y, size_t ldy)
{
    const qn_tiles *t = g->kernels->tiles;
    size_t depth_max = min_size(t->f32_depth, g->K);
    size_t block = block_rows(depth_max * sizeof(float), t->f32_rows);
    for (size_t m = 0; m < M; m += block) {
        size_t rows = min_size(block, M - m);
        for (size_t k = 0; k < g->K; k += depth_max)
            run_f32_piece(g, m, rows, k, min_size(depth_max, g->K - k), X, ldx, bias,
                          after, Y, ldy);
    }
}

static void run_bf16(const qn_gemm *g, size_t M, const float *X, size_t ldx,
                     const float *bias, const qn_gemm_after *after, float *Y,
                     size_t ldy, uint8_t *acts)
{
    const qn_tiles_bf16 *t = g->kernels->tiles_bf16;
    const qn_packed *o = g->state;
    size_t stride = activation_stride(g), block = block_rows(stride, t->rows);
    for (size_t m = 0; m < M; m += block) {
        size_t rows = min_size(block, M - m);
        for (size_t i = 0; i < rows; i++)
            t->activations(X + (m + i) * ldx, g->K,
                           (uint16_t *)(void *)(acts + i * stride));
        for (size_t p = 0; p < o->panel_count; p++) {
            size_t n = p * t->cols;
            qn_tile_bf16 tile = {
                .cols = min_size(t->cols, g->N - n),
                .pairs = (g->K + 1) / 2,
                .lda_bytes = stride,
                .b = (const uint16_t *)(const void *)(o->panels + p * o->panel_bytes),
                .bias = bias == NULL ? NULL : bias + n,
                .ldy = ldy,
            };
            for (size_t i = 0; i < rows; i += t->rows) {
                tile.rows = min_size(t->rows, rows - i);
                tile.a = (const uint16_t *)(const void *)(acts + i * stride);
                tile.y = Y + (m + i) * ldy + n;
                t->run(&tile);
                qn_num__gemm_finish(g->kernels, after, m + i, n, tile.rows, tile.cols,
                                    tile.y, ldy);
            }
        }
    }
}

/* A block of quantised rows; scales and middles lie part by part, `rows_max` apart. */
typedef struct quantised {
    const uint8_t *acts;
    const float *scale, *middle; /* middle NULL: not centered */
    size_t rows, rows_max, stride, part_stride;
} quantised;

/* One panel of columns against one tile of rows, part after part. */
static void run_i8_tile(const qn_gemm *g, const quantised *q, size_t panel, size_t i,
                        const float *bias, float *y, size_t ldy)
{
    const qn_tiles_i8 *t = g->kernels->tiles_i8;
    const qn_packed *o = g->state;
    size_t n = panel * t->cols, padded = o->panel_count * t->cols;
    for (size_t part = 0; part < o->parts; part++) {
        size_t number = part * o->panel_count + panel;
        size_t side = part * padded + n, row = part * q->rows_max + i;
        const qn_tile_i8 tile = {
            .rows = min_size(t->rows, q->rows - i),
            .cols = min_size(t->cols, g->N - n),
            .groups = (o->depth + t->group - 1) / t->group,
            .a = q->acts + i * q->stride + part * q->part_stride,
            .lda_bytes = q->stride,
            .b = (const int8_t *)(o->panels + number * o->panel_bytes),
            .start = o->start + side,
            .row_scale = q->scale + row,
            .col_scale = o->scale + n,
            .middle = q->middle == NULL ? NULL : q->middle + row,
            .col_sum = o->sum == NULL ? NULL : o->sum + side,
            .bias = part > 0 || bias == NULL ? NULL : bias + n,
            .add = part > 0,
            .y = y,
            .ldy = ldy,
        };
        t->run(&tile);
    }
}

static void run_i8(const qn_gemm *g, size_t M, const float *X, size_t ldx,
                   const float *bias, const qn_gemm_after *after, float *Y, size_t ldy,
                   uint8_t *acts)
{
    const qn_tiles_i8 *t = g->kernels->tiles_i8;
    const qn_packed *o = g->state;
    size_t stride = activation_stride(g), part_stride = part_bytes(g);
    size_t block = min_size(M, block_rows(stride, t->rows));
    size_t lane = round_up(block * sizeof(float), LINE_BYTES) / sizeof(float);
    float *scale = (float *)(void *)(acts + block * stride);
    float *middle = scale + o->parts * lane;
    for (size_t m = 0; m < M; m += block) {
        quantised q = {.acts = acts,
                       .scale = scale,
                       .middle = g->centered ? middle : NULL,
                       .rows = min_size(block, M - m),
                       .rows_max = lane,
                       .stride = stride,
                       .part_stride = part_stride};
        for (size_t i = 0; i < q.rows * o->parts; i++) {
            size_t row = i / o->parts, part = i % o->parts;
            const float *x = X + (m + row) * ldx + part * o->depth;
            uint8_t *to = acts + row * stride + part * part_stride;
            scale[part * lane + row] =
                g->centered ? t->centered(x, o->depth, to, &middle[part * lane + row])
                            : t->activations(x, o->depth, to);
        }
        for (size_t p = 0; p < o->panel_count; p++) {
            for (size_t i = 0; i < q.rows; i += t->rows) {
                size_t n = p * t->cols, at = (m + i) * ldy + n;
                run_i8_tile(g, &q, p, i, bias, Y + at, ldy);
                qn_num__gemm_finish(g->kernels, after, m + i, n,
                                    min_size(t->rows, q.rows - i),
                                    min_size(t->cols, g->N - n), Y + at, ldy);
            }
        }
    }
}

static void own_run(const qn_gemm *g, size_t M, const float *X, size_t ldx,
                    const float *bias, const qn_gemm_after *after, float *Y, size_t ldy,
                    void *scratch)
{
    if (qn_num__packed_is_f32(g))
        run_f32(g, M, X, ldx, bias, after, Y, ldy);
    else if (g->type == QN_GEMM_BF16)
        run_bf16(g, M, X, ldx, bias, after, Y, ldy, scratch);
    else
        run_i8(g, M, X, ldx, bias, after, Y, ldy, scratch);
}

const qn_gemm_maker qn_num__gemm_own = {
    .name = "own",
    .pack_f32 = qn_num__pack_f32,
    .pack_i8 = qn_num__pack_i8,
    .scratch_bytes = own_scratch_bytes,
    .run = own_run,
    .destroy = qn_num__packed_destroy,
};

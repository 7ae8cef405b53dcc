/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_own.c -- products by the tiles of a kernel set.
 *
 * W is cut into panels of as many rows n as a tile has columns (the last one filled up
 * with zeros) and each panel is stored k by k, so that a tile reads it straight
 * through:
 *
 *     f32   [panel][k][column]
 *     int8  [panel][k / group][column][k % group]
 *
 * X is taken in blocks of rows that fit the second-level cache beside a panel; for int8
 * a block is quantised into the scratch first. For each block, each panel is read from
 * the cache once and multiplied with every tile of rows.
 *
 * In f32 the sum over k is cut into pieces (tiles->f32_depth) only to stay in the
 * cache: the partial sum goes to Y and comes back unchanged, so cutting never changes a
 * bit. */
#include "num/gemm_internal.h"

#include <string.h>

enum {
    LINE_BYTES = 64,
    BLOCK_BYTES = 256 * 1024, /* of X: a quarter of a 1 MB second-level cache */
    BLOCK_ROWS_MIN = 48,
    BLOCK_ROWS_MAX = 384,
};

typedef struct own {
    void *panels;
    size_t panel_count;
    float *scale;   /* int8: one per column, padded */
    int32_t *start; /* int8: -offset * sum of the column, padded */
} own;

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t round_up(size_t n, size_t step)
{
    return (n + step - 1) / step * step;
}

static void own_destroy(qn_gemm *g)
{
    own *o = g->state;
    if (o == NULL) return;
    qn_delete_aligned(g->alloc, o->panels);
    qn_delete_aligned(g->alloc, o->scale);
    qn_delete_aligned(g->alloc, o->start);
    qn_delete(g->alloc, o);
    g->state = NULL;
}

static qn_status own_new(qn_gemm *g, size_t panel_cols, size_t panel_bytes,
                         qn_error *err)
{
    own *o = qn_new0(g->alloc, sizeof *o);
    if (o == NULL) return qn_fail(err, QN_ENOMEM, "a packed weight");
    g->state = o;
    o->panel_count = (g->N + panel_cols - 1) / panel_cols;
    size_t side_bytes = o->panel_count * panel_cols * sizeof(float);
    o->panels = qn_new_aligned(g->alloc, LINE_BYTES, o->panel_count * panel_bytes);
    bool ok = o->panels != NULL;
    g->bytes = sizeof *o + o->panel_count * panel_bytes;
    if (g->int8) {
        o->scale = qn_new_aligned(g->alloc, LINE_BYTES, side_bytes);
        o->start = qn_new_aligned(g->alloc, LINE_BYTES, side_bytes);
        ok = ok && o->scale != NULL && o->start != NULL;
        g->bytes += 2 * side_bytes;
    }
    if (ok) return QN_OK;
    own_destroy(g);
    return qn_fail(err, QN_ENOMEM, "a packed weight of %zu x %zu", g->N, g->K);
}

static qn_status own_pack_f32(qn_gemm *g, const float *W, qn_error *err)
{
    const qn_tiles *t = g->kernels->tiles;
    size_t cols = t->f32_cols;
    QN_TRY(own_new(g, cols, cols * g->K * sizeof(float), err));
    own *o = g->state;
    for (size_t p = 0; p < o->panel_count; p++) {
        size_t n = p * cols;
        t->transpose(W + n * g->K, g->K, min_size(cols, g->N - n), g->K,
                     (float *)o->panels + n * g->K, cols);
    }
    return QN_OK;
}

static qn_status own_pack_i8(qn_gemm *g, const int8_t *W, const float *scale,
                             qn_error *err)
{
    const qn_tiles *t = g->kernels->tiles;
    size_t cols = t->i8_cols, group = t->i8_group, depth = round_up(g->K, group);
    QN_TRY(own_new(g, cols, cols * depth, err));
    own *o = g->state;
    for (size_t n = 0; n < g->N; n++) {
        int8_t *panel = (int8_t *)o->panels + n / cols * cols * depth;
        int32_t sum = 0;
        for (size_t k = 0; k < g->K; k++) {
            int8_t w = W[n * g->K + k];
            sum += w;
            panel[(k / group * cols + n % cols) * group + k % group] = w;
        }
        o->start[n] = -t->i8_offset * sum;
        o->scale[n] = scale[n];
    }
    return QN_OK;
}

/* Bytes of one quantised row: whole cache lines, and not a multiple of 1 KB, which
 * would put the same k of all rows of a tile into the same few places of the cache. */
static size_t activation_stride(const qn_gemm *g)
{
    const qn_tiles *t = g->kernels->tiles;
    size_t bytes = round_up(g->K, t->i8_group) * t->i8_element_bytes;
    size_t stride = round_up(bytes, LINE_BYTES);
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

static size_t own_scratch_bytes(const qn_gemm *g, size_t M)
{
    if (!g->int8) return 0;
    size_t stride = activation_stride(g);
    size_t rows = min_size(M, block_rows(stride, g->kernels->tiles->i8_rows));
    return rows * stride + round_up(rows * sizeof(float), LINE_BYTES);
}

/* One piece of k over one block of rows. */
static void run_f32_piece(const qn_gemm *g, size_t row, size_t rows, size_t k,
                          size_t depth, const float *X, size_t ldx, const float *bias,
                          const qn_gemm_after *after, float *Y, size_t ldy)
{
    const qn_tiles *t = g->kernels->tiles;
    const own *o = g->state;
    bool last = k + depth == g->K;
    for (size_t p = 0; p < o->panel_count; p++) {
        size_t n = p * t->f32_cols;
        qn_tile_f32 tile = {
            .cols = min_size(t->f32_cols, g->N - n),
            .depth = depth,
            .b = (const float *)o->panels + n * g->K + k * t->f32_cols,
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

static void run_i8_block(const qn_gemm *g, size_t row, size_t rows, const float *bias,
                         const qn_gemm_after *after, float *Y, size_t ldy,
                         const uint8_t *acts, const float *row_scale)
{
    const qn_tiles *t = g->kernels->tiles;
    const own *o = g->state;
    size_t stride = activation_stride(g), depth = round_up(g->K, t->i8_group);
    for (size_t p = 0; p < o->panel_count; p++) {
        size_t n = p * t->i8_cols;
        qn_tile_i8 tile = {
            .cols = min_size(t->i8_cols, g->N - n),
            .groups = depth / t->i8_group,
            .lda_bytes = stride,
            .b = (const int8_t *)o->panels + n * depth,
            .start = o->start + n,
            .col_scale = o->scale + n,
            .bias = bias == NULL ? NULL : bias + n,
            .ldy = ldy,
        };
        for (size_t i = 0; i < rows; i += t->i8_rows) {
            tile.rows = min_size(t->i8_rows, rows - i);
            tile.a = acts + i * stride;
            tile.row_scale = row_scale + i;
            tile.y = Y + (row + i) * ldy + n;
            t->i8(&tile);
            qn_num__gemm_finish(g->kernels, after, row + i, n, tile.rows, tile.cols,
                                tile.y, ldy);
        }
    }
}

static void run_i8(const qn_gemm *g, size_t M, const float *X, size_t ldx,
                   const float *bias, const qn_gemm_after *after, float *Y, size_t ldy,
                   void *scratch)
{
    const qn_tiles *t = g->kernels->tiles;
    size_t stride = activation_stride(g);
    size_t block = min_size(M, block_rows(stride, t->i8_rows));
    uint8_t *acts = scratch;
    float *row_scale = (float *)(void *)(acts + block * stride);
    for (size_t m = 0; m < M; m += block) {
        size_t rows = min_size(block, M - m);
        for (size_t i = 0; i < rows; i++)
            row_scale[i] = t->activations(X + (m + i) * ldx, g->K, acts + i * stride);
        run_i8_block(g, m, rows, bias, after, Y, ldy, acts, row_scale);
    }
}

static void own_run(const qn_gemm *g, size_t M, const float *X, size_t ldx,
                    const float *bias, const qn_gemm_after *after, float *Y, size_t ldy,
                    void *scratch)
{
    if (g->int8)
        run_i8(g, M, X, ldx, bias, after, Y, ldy, scratch);
    else
        run_f32(g, M, X, ldx, bias, after, Y, ldy);
}

const qn_gemm_maker qn_num__gemm_own = {
    .name = "own",
    .pack_f32 = own_pack_f32,
    .pack_i8 = own_pack_i8,
    .scratch_bytes = own_scratch_bytes,
    .run = own_run,
    .destroy = own_destroy,
};

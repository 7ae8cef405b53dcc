/* SPDX-License-Identifier: Apache-2.0 */
/* matmul.c -- C = A B^T and C = A B over row-major operands that are used once: B is
 * turned (nt) or read in place (nn), A is read in place. */
#include "num/matmul.h"

enum { NT_COLS_MAX = 64, NT_DEPTH = 128 }; /* 32 KB of stack, the size of an L1 cache */

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Columns to a piece: even pieces of whole vectors, so that 64 columns in tiles of 48
 * are 32 + 32 and not 48 + 16. */
static size_t piece_cols(size_t N, size_t tile_cols)
{
    size_t pieces = (N + tile_cols - 1) / tile_cols;
    size_t even = (N + pieces - 1) / pieces;
    return min_size((even + 15) / 16 * 16, tile_cols);
}

static void scale_tile(float *C, size_t ldc, size_t rows, size_t cols, float alpha)
{
    for (size_t m = 0; m < rows; m++)
        for (size_t n = 0; n < cols; n++) C[m * ldc + n] *= alpha;
}

void qn_num__matmul_nt(const qn_tiles *tiles, size_t M, size_t N, size_t K, float alpha,
                       const float *A, size_t lda, const float *B, size_t ldb, float *C,
                       size_t ldc)
{
    _Alignas(64) float turned[NT_COLS_MAX * NT_DEPTH];
    if (N == 0) return;
    size_t cols_max = piece_cols(N, tiles->f32_cols);
    qn_assert(cols_max <= NT_COLS_MAX);
    for (size_t j = 0; j < N; j += cols_max) {
        size_t cols = min_size(cols_max, N - j), k = 0;
        do { /* once even for K = 0, which gives zeros */
            size_t depth = min_size(NT_DEPTH, K - k);
            tiles->transpose(B + j * ldb + k, ldb, cols, depth, turned, cols_max);
            for (size_t i = 0; i < M; i += tiles->f32_rows) {
                size_t rows = min_size(tiles->f32_rows, M - i);
                float *c = C + i * ldc + j;
                tiles->f32(rows, cols, depth, A + i * lda + k, lda, turned, cols_max,
                           k == 0, c, ldc);
                if (k + depth == K && alpha != 1) scale_tile(c, ldc, rows, cols, alpha);
            }
            k += depth;
        } while (k < K);
    }
}

void qn_num__matmul_nn(const qn_tiles *tiles, size_t M, size_t N, size_t K,
                       const float *A, size_t lda, const float *B, size_t ldb, float *C,
                       size_t ldc)
{
    if (N == 0) return;
    size_t cols_max = piece_cols(N, tiles->f32_cols);
    for (size_t j = 0; j < N; j += cols_max) {
        size_t cols = min_size(cols_max, N - j), k = 0;
        do {
            size_t depth = min_size(tiles->f32_depth, K - k);
            for (size_t i = 0; i < M; i += tiles->f32_rows) {
                size_t rows = min_size(tiles->f32_rows, M - i);
                tiles->f32(rows, cols, depth, A + i * lda + k, lda, B + k * ldb + j,
                           ldb, k == 0, C + i * ldc + j, ldc);
            }
            k += depth;
        } while (k < K);
    }
}

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

void qn_num__matmul_nt(const qn_tiles *tiles, size_t M, size_t N, size_t K, float alpha,
                       const float *A, size_t lda, const float *B, size_t ldb, float *C,
                       size_t ldc)
{
    _Alignas(64) float turned[NT_COLS_MAX * NT_DEPTH];
    if (N == 0) return;
    size_t cols_max = piece_cols(N, tiles->f32_cols);
    qn_assert(cols_max <= NT_COLS_MAX);
    qn_tile_f32 t = {.lda = lda, .b = turned, .ldb = cols_max, .ldy = ldc};
    for (size_t j = 0; j < N; j += cols_max) {
        size_t k = 0;
        t.cols = min_size(cols_max, N - j);
        do { /* once even for K = 0, which gives zeros */
            t.depth = min_size(NT_DEPTH, K - k);
            t.first = k == 0;
            t.alpha = k + t.depth == K ? alpha : 1;
            tiles->transpose(B + j * ldb + k, ldb, t.cols, t.depth, turned, cols_max);
            for (size_t i = 0; i < M; i += tiles->f32_rows) {
                t.rows = min_size(tiles->f32_rows, M - i);
                t.a = A + i * lda + k;
                t.y = C + i * ldc + j;
                tiles->f32(&t);
            }
            k += t.depth;
        } while (k < K);
    }
}

void qn_num__matmul_nn(const qn_tiles *tiles, size_t M, size_t N, size_t K,
                       const float *A, size_t lda, const float *B, size_t ldb, float *C,
                       size_t ldc)
{
    if (N == 0) return;
    size_t cols_max = piece_cols(N, tiles->f32_cols);
    qn_tile_f32 t = {.lda = lda, .ldb = ldb, .alpha = 1, .ldy = ldc};
    for (size_t j = 0; j < N; j += cols_max) {
        size_t k = 0;
        t.cols = min_size(cols_max, N - j);
        do {
            t.depth = min_size(tiles->f32_depth, K - k);
            t.first = k == 0;
            t.b = B + k * ldb + j;
            for (size_t i = 0; i < M; i += tiles->f32_rows) {
                t.rows = min_size(tiles->f32_rows, M - i);
                t.a = A + i * lda + k;
                t.y = C + i * ldc + j;
                tiles->f32(&t);
            }
            k += t.depth;
        } while (k < K);
    }
}

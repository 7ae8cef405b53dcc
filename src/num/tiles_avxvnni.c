/* SPDX-License-Identifier: Apache-2.0 */
/* tiles_avxvnni.c -- int8 products for CPUs that have vpdpbusd on 256 bits and no
 * AVX-512: 6 x 16 of the result in 12 of the 16 registers. Activations and sums are as
 * in tiles_avx512.c. Compiled with -mavx2 -mfma -mavxvnni. */
#include "num/kernels_internal.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

enum { ROWS = 6, COLS = 16, GROUP = 4, OFFSET = 128 };

INLINE __m256i first_lanes(size_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}

/* acc += four products of bytes in each lane; as in tiles_avx512.c, no intrinsic. */
INLINE __m256i dot_quads(__m256i acc, __m256i unsigned_bytes, __m256i signed_bytes)
{
    __asm__("%{vex%} vpdpbusd %2, %1, %0"
            : "+x"(acc)
            : "x"(unsigned_bytes), "x"(signed_bytes));
    return acc;
}

INLINE void store(const qn_tile_i8 *t, size_t row, size_t v, __m256i sum)
{
    __m256i mask = first_lanes(t->cols - 8 * v);
    __m256 scale = _mm256_mul_ps(_mm256_set1_ps(t->row_scale[row]),
                                 _mm256_loadu_ps(t->col_scale + 8 * v));
    __m256 y = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), scale);
    float *to = t->y + row * t->ldy + 8 * v;
    if (t->middle != NULL)
        y = _mm256_add_ps(y, _mm256_mul_ps(_mm256_set1_ps(t->middle[row]),
                                           _mm256_loadu_ps(t->col_sum + 8 * v)));
    if (t->bias != NULL)
        y = _mm256_add_ps(y, _mm256_maskload_ps(t->bias + 8 * v, mask));
    if (t->add) y = _mm256_add_ps(y, _mm256_maskload_ps(to, mask));
    _mm256_maskstore_ps(to, mask, y);
}

INLINE void rows(const size_t MR, const qn_tile_i8 *t, size_t at)
{
    __m256i acc[ROWS][2];
    const uint8_t *a = (const uint8_t *)t->a + at * t->lda_bytes;
    const int8_t *b = t->b;
    for (size_t i = 0; i < MR; i++) __builtin_prefetch(t->y + (at + i) * t->ldy, 1);
    QN_UNROLL
    for (size_t i = 0; i < MR; i++) {
        acc[i][0] = _mm256_loadu_si256((const __m256i *)(const void *)t->start);
        acc[i][1] = _mm256_loadu_si256((const __m256i *)(const void *)(t->start + 8));
    }
    for (size_t g = 0; g < t->groups; g++, b += COLS * GROUP) {
        __m256i b0 = _mm256_load_si256((const __m256i *)(const void *)b);
        __m256i b1 = _mm256_load_si256((const __m256i *)(const void *)(b + 32));
        QN_UNROLL
        for (size_t i = 0; i < MR; i++) {
            const int32_t *quad = (const int32_t *)(const void *)(a + i * t->lda_bytes);
            __m256i x = _mm256_set1_epi32(quad[g]);
            acc[i][0] = dot_quads(acc[i][0], x, b0);
            acc[i][1] = dot_quads(acc[i][1], x, b1);
        }
    }
    QN_UNROLL
    for (size_t i = 0; i < MR; i++) {
        store(t, at + i, 0, acc[i][0]);
        if (t->cols > 8) store(t, at + i, 1, acc[i][1]);
    }
}

#define ROWS_OF(mr) rows(mr, t, row)

static void tile_i8(const qn_tile_i8 *t)
{
    for (size_t row = 0; row < t->rows; row += ROWS) {
        switch (t->rows - row) {
            QN_ROWS_UP_TO_5(ROWS_OF);
        default:
            ROWS_OF(6);
        }
    }
}

const qn_tiles_i8 qn_num__tiles_i8_avxvnni = {
    .rows = ROWS,
    .cols = COLS,
    .group = GROUP,
    .element_bytes = 1,
    .offset = OFFSET,
    .activations = qn_num__activations_u8_avx2,
    .centered = qn_num__centered_u8_avx2,
    .run = tile_i8,
    .i16 = &qn_num__tiles_i16_avxvnni,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* tiles_avx512bf16.c -- bf16 products, 8 x 48 as in tiles_avx512.c: vdpbf16ps multiplies
 * pairs of bf16 and adds both products to a float. It takes denormals for zeros, so
 * rounding the activations may do so as well. Compiled with -mavx512f/bw/vl/dq/bf16. */
#include "num/kernels_internal.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

enum { ROWS = 8, COLS = 48, VECTORS = 3, GROUP = 2 };

INLINE __mmask16 last_mask(size_t n, size_t nv)
{
    return (__mmask16)(0xFFFFu >> (16 * nv - n));
}

static void activations(const float *x, size_t K, uint16_t *q)
{
    size_t padded = (K + GROUP - 1) / GROUP * GROUP;
    for (size_t i = 0; i < padded; i += 16) {
        size_t in = i < K ? K - i : 0, out = padded - i;
        __mmask16 in_mask = (__mmask16)(in >= 16 ? 0xFFFFu : (1u << in) - 1u);
        __mmask16 out_mask = (__mmask16)(out >= 16 ? 0xFFFFu : (1u << out) - 1u);
        __m256bh v = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(in_mask, x + i));
        _mm256_mask_storeu_epi16(q + i, out_mask, (__m256i)v);
    }
}

/* By the instruction and not the intrinsic, for which gcc 12 copies every accumulator
 * at the end of each step. */
INLINE __m512 dot_pairs(__m512 acc, __m512i a, __m512i b)
{
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b));
    return acc;
}

INLINE void rows(const bool WHOLE, const size_t MR, const size_t NV,
                 const qn_tile_bf16 *t, size_t at)
{
    __m512 acc[ROWS][VECTORS];
    __m512i b[VECTORS];
    const uint8_t *a = (const uint8_t *)t->a + at * t->lda_bytes;
    float *to = t->y + at * t->ldy;
    const uint16_t *panel = t->b;
    const size_t pairs = t->pairs, lda = t->lda_bytes;
    for (size_t i = 0; i < MR; i++)
        for (size_t v = 0; v < NV; v++) __builtin_prefetch(to + i * t->ldy + 16 * v, 1);
    QN_UNROLL
    for (size_t i = 0; i < MR; i++) {
        QN_UNROLL
        for (size_t v = 0; v < NV; v++) acc[i][v] = _mm512_setzero_ps();
    }
    for (size_t g = 0; g < pairs; g++, panel += COLS * GROUP) {
        QN_UNROLL
        for (size_t v = 0; v < NV; v++) b[v] = _mm512_load_si512(panel + 32 * v);
        QN_UNROLL
        for (size_t i = 0; i < MR; i++) {
            const int32_t *pair = (const int32_t *)(const void *)(a + i * lda);
            __m512i x = _mm512_set1_epi32(pair[g]);
            QN_UNROLL
            for (size_t v = 0; v < NV; v++) acc[i][v] = dot_pairs(acc[i][v], x, b[v]);
        }
    }
    QN_UNROLL
    for (size_t v = 0; v < NV; v++) {
        __mmask16 mask = WHOLE || v + 1 < NV ? 0xFFFF : last_mask(t->cols, NV);
        __m512 bias = _mm512_setzero_ps();
        if (t->bias != NULL) bias = _mm512_maskz_loadu_ps(mask, t->bias + 16 * v);
        QN_UNROLL
        for (size_t i = 0; i < MR; i++) {
            __m512 y = acc[i][v];
            if (t->bias != NULL) y = _mm512_add_ps(y, bias);
            if (WHOLE || v + 1 < NV)
                _mm512_storeu_ps(to + i * t->ldy + 16 * v, y);
            else
                _mm512_mask_storeu_ps(to + i * t->ldy + 16 * v, mask, y);
        }
    }
}

#define ROWS_OF(mr)                                                                    \
    if (t->cols == COLS)                                                               \
        rows(true, mr, 3, t, row);                                                     \
    else if (t->cols > 32)                                                             \
        rows(false, mr, 3, t, row);                                                    \
    else if (t->cols > 16)                                                             \
        rows(false, mr, 2, t, row);                                                    \
    else                                                                               \
        rows(false, mr, 1, t, row)

static void tile_bf16(const qn_tile_bf16 *t)
{
    for (size_t row = 0; row < t->rows; row += ROWS) {
        switch (t->rows - row) {
            QN_ROWS_UP_TO_7(ROWS_OF);
        default:
            ROWS_OF(8);
        }
    }
}

const qn_tiles_bf16 qn_num__tiles_bf16_avx512 = {
    .rows = ROWS,
    .cols = COLS,
    .activations = activations,
    .run = tile_bf16,
};

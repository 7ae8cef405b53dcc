/* SPDX-License-Identifier: Apache-2.0 */
/* attention_avx512.c -- attention in integers sixteen at a time. Compiled with
 * -mavx512f/bw/vl/dq/vnni. */
#include "num/kernels_internal.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 16, ROWS = 8, COLS = 48, VECTORS = 3 };
typedef __m512 vf;
typedef __m512i vi;

INLINE __mmask16 first_16(size_t n)
{
    return (__mmask16)(n >= 16 ? 0xFFFFu : (1u << n) - 1u);
}

#define set(x) _mm512_set1_ps(x)
#define set_i(x) _mm512_set1_epi32(x)
#define load(p) _mm512_loadu_ps(p)
#define load_first(p, n) _mm512_maskz_loadu_ps(first_16(n), p)
#define add(a, b) _mm512_add_ps(a, b)
#define sub(a, b) _mm512_sub_ps(a, b)
#define mul(a, b) _mm512_mul_ps(a, b)
#define quot(a, b) _mm512_div_ps(a, b)
#define fma(a, b, c) _mm512_fmadd_ps(a, b, c)
#define lower(a, b) _mm512_min_ps(a, b)
#define upper(a, b) _mm512_max_ps(a, b)
#define bits(v) _mm512_castps_si512(v)
#define as_float(v) _mm512_castsi512_ps(v)
#define add_i(a, b) _mm512_add_epi32(a, b)
#define sub_i(a, b) _mm512_sub_epi32(a, b)
#define and_i(a, b) _mm512_and_si512(a, b)
#define or_i(a, b) _mm512_or_si512(a, b)
#define shift_left(v, n) _mm512_slli_epi32(v, n)
#define less_i(a, b) _mm512_movm_epi32(_mm512_cmplt_epi32_mask(a, b))
#define upper_bits(a, b) _mm512_max_epu32(a, b)
#define select(m, a, b) _mm512_mask_blend_ps(_mm512_movepi32_mask(m), b, a)
#define round_i(v) _mm512_cvtps_epi32(v)
#define upper_lane(v) _mm512_reduce_max_ps(v)
#define sum_lanes(v) _mm512_reduce_add_epi32(v)
#define sum_lanes_f(v) _mm512_reduce_add_ps(v)
#define store_f(p, v) _mm512_storeu_ps(p, v)
#define store_i(p, v) _mm512_storeu_si512(p, v)
#define store_16(p, v)                                                                 \
    _mm256_storeu_si256((__m256i *)(void *)(p), _mm512_cvtepi32_epi16(v))
#define store_8(p, v) _mm_storeu_si128((__m128i *)(void *)(p), _mm512_cvtepi32_epi8(v))

#include "num/attention_body.h"

static void keys(const qn_i16_keys *k)
{
    keys_of(4, false, COLS, k);
}

/* As in tiles_avx512.c, no intrinsic. */
INLINE __m512i dot_pairs(__m512i acc, __m512i a, __m512i b)
{
    __asm__("vpdpwssd %2, %1, %0" : "+v"(acc) : "v"(a), "v"(b));
    return acc;
}

INLINE void rows(const size_t MR, const size_t NV, const qn_tile_i16 *t, size_t row)
{
    __m512i acc[ROWS][VECTORS], b[VECTORS];
    const int16_t *a = t->a + row * t->lda, *panel = t->b;
    const size_t pairs = t->pairs, lda = t->lda, ldb = t->ldb;
    const __mmask16 last = first_16(t->cols - 16 * (NV - 1));
    QN_UNROLL
    for (size_t i = 0; i < MR; i++) {
        QN_UNROLL
        for (size_t v = 0; v < NV; v++) acc[i][v] = _mm512_setzero_si512();
    }
    for (size_t k = 0; k < pairs; k++, panel += ldb) {
        QN_UNROLL
        for (size_t v = 0; v < NV; v++) b[v] = _mm512_loadu_si512(panel + 32 * v);
        QN_UNROLL
        for (size_t i = 0; i < MR; i++) {
            const int32_t *pair = (const int32_t *)(const void *)(a + i * lda);
            __m512i x = _mm512_set1_epi32(pair[k]);
            QN_UNROLL
            for (size_t v = 0; v < NV; v++) acc[i][v] = dot_pairs(acc[i][v], x, b[v]);
        }
    }
    QN_UNROLL
    for (size_t v = 0; v < NV; v++) {
        const __mmask16 mask = v + 1 < NV ? 0xFFFF : last;
        const __m512 scale = _mm512_loadu_ps(t->col_scale + 16 * v);
        QN_UNROLL
        for (size_t i = 0; i < MR; i++) {
            float *to = t->y + (row + i) * t->ldy + 16 * v;
            __m512 s = _mm512_mul_ps(_mm512_set1_ps(t->row_scale[row + i]), scale);
            __m512 y = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[i][v]), s);
            if (t->bias != NULL)
                y = _mm512_add_ps(y, _mm512_loadu_ps(t->bias + 16 * v));
            if (t->add) y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(mask, to));
            _mm512_mask_storeu_ps(to, mask, y);
        }
    }
}

#define ROWS_OF(mr)                                                                    \
    if (t->cols > 32)                                                                  \
        rows(mr, 3, t, row);                                                           \
    else if (t->cols > 16)                                                             \
        rows(mr, 2, t, row);                                                           \
    else                                                                               \
        rows(mr, 1, t, row)

static void run(const qn_tile_i16 *t)
{
    for (size_t row = 0; row < t->rows; row += ROWS) {
        switch (t->rows - row) {
            QN_ROWS_UP_TO_7(ROWS_OF);
        default:
            ROWS_OF(8);
        }
    }
}

const qn_tiles_i16 qn_num__tiles_i16_avx512 = {ROWS, COLS,   probabilities,
                                               keys, values, run};

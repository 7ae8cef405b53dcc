/* SPDX-License-Identifier: Apache-2.0 */
/* attention_avx2.c -- attention in integers eight at a time, for the int8 tiles of avx2
 * (pairs of keys' values) and those of avxvnni (fours). Compiled with -mavx2 -mfma. */
#include "num/kernels_internal.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 8, ROWS = 6, COLS = 16 };
typedef __m256 vf;
typedef __m256i vi;

INLINE __m256i first_lanes(size_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}

INLINE float upper_lane(__m256 v)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

INLINE int32_t sum_lanes(__m256i v)
{
    __m128i s =
        _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xB1)));
}

INLINE float sum_lanes_f(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

/* The low 16 bits of each lane, in order. */
INLINE void store_16(void *to, __m256i v)
{
    const __m256i low = _mm256_set1_epi32(0xFFFF);
    __m256i w = _mm256_and_si256(v, low);
    w = _mm256_permute4x64_epi64(_mm256_packus_epi32(w, w), 0x08);
    _mm_storeu_si128((__m128i *)to, _mm256_castsi256_si128(w));
}

#define set(x) _mm256_set1_ps(x)
#define set_i(x) _mm256_set1_epi32(x)
#define load(p) _mm256_loadu_ps(p)
#define load_first(p, n) _mm256_maskload_ps(p, first_lanes(n))
#define add(a, b) _mm256_add_ps(a, b)
#define sub(a, b) _mm256_sub_ps(a, b)
#define mul(a, b) _mm256_mul_ps(a, b)
#define quot(a, b) _mm256_div_ps(a, b)
#define fma(a, b, c) _mm256_fmadd_ps(a, b, c)
#define lower(a, b) _mm256_min_ps(a, b)
#define upper(a, b) _mm256_max_ps(a, b)
#define bits(v) _mm256_castps_si256(v)
#define as_float(v) _mm256_castsi256_ps(v)
#define add_i(a, b) _mm256_add_epi32(a, b)
#define sub_i(a, b) _mm256_sub_epi32(a, b)
#define and_i(a, b) _mm256_and_si256(a, b)
#define or_i(a, b) _mm256_or_si256(a, b)
#define shift_left(v, n) _mm256_slli_epi32(v, n)
#define less_i(a, b) _mm256_cmpgt_epi32(b, a)
#define upper_bits(a, b) _mm256_max_epu32(a, b)
#define select(m, a, b) _mm256_blendv_ps(b, a, _mm256_castsi256_ps(m))
#define round_i(v) _mm256_cvtps_epi32(v)
#define store_f(p, v) _mm256_storeu_ps(p, v)
#define store_i(p, v) _mm256_storeu_si256((__m256i *)(void *)(p), v)
#define store_8(p, v) (void)(p), (void)(v) /* no tile here has one value to a group */

#include "num/attention_body.h"

static void keys_pairs(const qn_i16_keys *k)
{
    keys_of(2, true, COLS, k);
}

static void keys_fours(const qn_i16_keys *k)
{
    keys_of(4, false, COLS, k);
}

/* acc += the products of pairs of words, for 16 columns; as in tiles_avx2.c, not by
 * intrinsics. */
INLINE void add_pairs(__m256i acc[2], __m256i x, __m256i b0, __m256i b1)
{
    __m256i t;
    __asm__("vpmaddwd %[b0], %[x], %[t]\n\t"
            "vpaddd %[t], %[s0], %[s0]\n\t"
            "vpmaddwd %[b1], %[x], %[x]\n\t"
            "vpaddd %[x], %[s1], %[s1]"
            : [s0] "+x"(acc[0]), [s1] "+x"(acc[1]), [x] "+x"(x), [t] "=&x"(t)
            : [b0] "x"(b0), [b1] "x"(b1));
}

INLINE void store(const qn_tile_i16 *t, size_t row, size_t v, __m256i sum)
{
    __m256i mask = first_lanes(t->cols - 8 * v);
    __m256 scale = _mm256_mul_ps(_mm256_set1_ps(t->row_scale[row]),
                                 _mm256_loadu_ps(t->col_scale + 8 * v));
    __m256 y = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), scale);
    float *to = t->y + row * t->ldy + 8 * v;
    if (t->bias != NULL) y = _mm256_add_ps(y, _mm256_loadu_ps(t->bias + 8 * v));
    if (t->add) y = _mm256_add_ps(y, _mm256_maskload_ps(to, mask));
    _mm256_maskstore_ps(to, mask, y);
}

INLINE void rows(const size_t MR, const qn_tile_i16 *t, size_t row)
{
    __m256i acc[ROWS][2];
    const int16_t *a = t->a + row * t->lda, *b = t->b;
    QN_UNROLL
    for (size_t i = 0; i < MR; i++) acc[i][0] = acc[i][1] = _mm256_setzero_si256();
    for (size_t k = 0; k < t->pairs; k++, b += t->ldb) {
        __m256i b0 = _mm256_loadu_si256((const __m256i *)(const void *)b);
        __m256i b1 = _mm256_loadu_si256((const __m256i *)(const void *)(b + 16));
        QN_UNROLL
        for (size_t i = 0; i < MR; i++) {
            const int32_t *pair = (const int32_t *)(const void *)(a + i * t->lda);
            add_pairs(acc[i], _mm256_set1_epi32(pair[k]), b0, b1);
        }
    }
    QN_UNROLL
    for (size_t i = 0; i < MR; i++) {
        store(t, row + i, 0, acc[i][0]);
        if (t->cols > 8) store(t, row + i, 1, acc[i][1]);
    }
}

#define ROWS_OF(mr) rows(mr, t, row)

static void run(const qn_tile_i16 *t)
{
    for (size_t row = 0; row < t->rows; row += ROWS) {
        switch (t->rows - row) {
            QN_ROWS_UP_TO_5(ROWS_OF);
        default:
            ROWS_OF(6);
        }
    }
}

const qn_tiles_i16 qn_num__tiles_i16_avx2 = {ROWS,       COLS,   probabilities,
                                             keys_pairs, values, run};
const qn_tiles_i16 qn_num__tiles_i16_avxvnni = {ROWS,       COLS,   probabilities,
                                                keys_fours, values, run};

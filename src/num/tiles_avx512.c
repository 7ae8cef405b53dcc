/* SPDX-License-Identifier: Apache-2.0 */
/* tiles_avx512.c -- 8 x 48 of the result in 24 of the 32 registers: enough chains to
 * hide the latency of two multiply-adds a cycle, three loads and eight broadcasts for
 * 24 of them. Compiled with -mavx512f/bw/vl/dq/vnni.
 *
 * int8: vpdpbusd multiplies bytes without sign (activations, stored plus 128) with
 * signed ones (weights) and adds four products in 32 bits, never saturating; the sum
 * starts at -128 * sum of the column, so it ends exact. */
#include "num/kernels_internal.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum { ROWS = 8, COLS = 48, VECTORS = 3, GROUP = 4, OFFSET = 128 };

/* The mask of the last of nv vectors that together hold n columns. */
INLINE __mmask16 last_mask(size_t n, size_t nv)
{
    return (__mmask16)(0xFFFFu >> (16 * nv - n));
}

INLINE __mmask16 first_16(size_t n)
{
    return (__mmask16)((1u << n) - 1u);
}

/* `WHOLE` below: all 48 columns are there. The store is then a plain one, from which a
 * following load (GELU, the residual) gets its data at once; not so from a masked one. */
INLINE void f32_store(const bool WHOLE, const size_t MR, const size_t NV,
                      const qn_tile_f32 *t, float *to, __m512 acc[ROWS][VECTORS])
{
    const __m512 alpha = _mm512_set1_ps(t->alpha);
    QN_UNROLL
    for (size_t v = 0; v < NV; v++) {
        __mmask16 mask = WHOLE || v + 1 < NV ? 0xFFFF : last_mask(t->cols, NV);
        __m512 bias = _mm512_setzero_ps();
        if (t->bias != NULL) bias = _mm512_maskz_loadu_ps(mask, t->bias + 16 * v);
        QN_UNROLL
        for (size_t i = 0; i < MR; i++) {
            __m512 y = _mm512_mul_ps(acc[i][v], alpha);
            if (t->bias != NULL) y = _mm512_add_ps(y, bias);
            if (WHOLE || v + 1 < NV)
                _mm512_storeu_ps(to + i * t->ldy + 16 * v, y);
            else
                _mm512_mask_storeu_ps(to + i * t->ldy + 16 * v, mask, y);
        }
    }
}

INLINE void f32_rows(const bool WHOLE, const size_t MR, const size_t NV,
                     const qn_tile_f32 *t, size_t at)
{
    __m512 acc[ROWS][VECTORS], b[VECTORS];
    const __mmask16 last = last_mask(t->cols, NV);
    const float *a = t->a + at * t->lda, *row = t->b;
    float *y = t->y + at * t->ldy;
    const size_t lda = t->lda, ldb = t->ldb, depth = t->depth;
    for (size_t i = 0; i < MR; i++)
        for (size_t v = 0; v < NV; v++) __builtin_prefetch(y + i * t->ldy + 16 * v, 1);
    QN_UNROLL
    for (size_t i = 0; i < MR; i++) {
        QN_UNROLL
        for (size_t v = 0; v < NV; v++)
            acc[i][v] = t->first
                            ? _mm512_setzero_ps()
                            : _mm512_maskz_loadu_ps(WHOLE || v + 1 < NV ? 0xFFFF : last,
                                                    y + i * t->ldy + 16 * v);
    }
    for (size_t k = 0; k < depth; k++, row += ldb) {
        QN_UNROLL
        for (size_t v = 0; v < NV; v++)
            b[v] = _mm512_maskz_loadu_ps(WHOLE || v + 1 < NV ? 0xFFFF : last,
                                         row + 16 * v);
        QN_UNROLL
        for (size_t i = 0; i < MR; i++) {
            __m512 x = _mm512_set1_ps(a[i * lda + k]);
            QN_UNROLL
            for (size_t v = 0; v < NV; v++)
                acc[i][v] = _mm512_fmadd_ps(x, b[v], acc[i][v]);
        }
    }
    f32_store(WHOLE, MR, NV, t, y, acc);
}

#define ROWS_OF(mr)                                                                    \
    if (t->cols == COLS)                                                               \
        f32_rows(true, mr, 3, t, row);                                                 \
    else if (t->cols > 32)                                                             \
        f32_rows(false, mr, 3, t, row);                                                \
    else if (t->cols > 16)                                                             \
        f32_rows(false, mr, 2, t, row);                                                \
    else                                                                               \
        f32_rows(false, mr, 1, t, row)

static void tile_f32(const qn_tile_f32 *t)
{
    for (size_t row = 0; row < t->rows; row += ROWS) {
        switch (t->rows - row) {
            QN_ROWS_UP_TO_7(ROWS_OF);
        default:
            ROWS_OF(8);
        }
    }
}
#undef ROWS_OF

/* Rows of 16 become columns: pairs, fours, then 128-bit blocks change places. */
INLINE void transpose_16x16(__m512 r[16])
{
    __m512 t[16];
    QN_UNROLL
    for (size_t i = 0; i < 8; i++) {
        t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    QN_UNROLL
    for (size_t i = 0; i < 4; i++) {
        r[4 * i] = _mm512_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        r[4 * i + 1] = _mm512_shuffle_ps(t[4 * i], t[4 * i + 2], 0xEE);
        r[4 * i + 2] = _mm512_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        r[4 * i + 3] = _mm512_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xEE);
    }
    QN_UNROLL
    for (size_t h = 0; h < 2; h++) {
        QN_UNROLL
        for (size_t j = 0; j < 4; j++) {
            t[8 * h + j] = _mm512_shuffle_f32x4(r[8 * h + j], r[8 * h + 4 + j], 0x88);
            t[8 * h + 4 + j] =
                _mm512_shuffle_f32x4(r[8 * h + j], r[8 * h + 4 + j], 0xDD);
        }
    }
    QN_UNROLL
    for (size_t j = 0; j < 8; j++) {
        r[j] = _mm512_shuffle_f32x4(t[j], t[8 + j], 0x88);
        r[8 + j] = _mm512_shuffle_f32x4(t[j], t[8 + j], 0xDD);
    }
}

static void transpose(const float *B, size_t ldb, size_t cols, size_t K, float *out,
                      size_t ldo)
{
    for (size_t n = 0; n < cols; n += 16) {
        size_t rows = cols - n < 16 ? cols - n : 16;
        __mmask16 out_mask = first_16(rows);
        for (size_t k = 0; k < K; k += 16) {
            size_t depth = K - k < 16 ? K - k : 16;
            __mmask16 in_mask = first_16(depth);
            __m512 r[16];
            QN_UNROLL
            for (size_t i = 0; i < 16; i++)
                r[i] = i < rows ? _mm512_maskz_loadu_ps(in_mask, B + (n + i) * ldb + k)
                                : _mm512_setzero_ps();
            transpose_16x16(r);
            QN_UNROLL
            for (size_t i = 0; i < 16; i++)
                if (i < depth)
                    _mm512_mask_storeu_ps(out + (k + i) * ldo + n, out_mask, r[i]);
        }
    }
}

/* ---- int8 ---- */

/* The largest |x|, as bits: for floats without sign the order of the bits is the order
 * of the values, infinities and NaNs above all. */
INLINE uint32_t most_bits(const float *x, size_t n)
{
    const __m512i drop_sign = _mm512_set1_epi32(0x7FFFFFFF);
    __m512i most = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = n - i >= 16 ? 0xFFFF : first_16(n - i);
        __m512i v = _mm512_maskz_loadu_epi32(mask, x + i);
        most = _mm512_max_epu32(most, _mm512_and_si512(v, drop_sign));
    }
    return _mm512_reduce_max_epu32(most);
}

/* Scale and its inverse for values of which |v| <= most; inverse 0 where there is none:
 * bits, of the largest |x|, say whether all were finite. */
INLINE float scale_of(uint32_t bits, float most, float *inverse)
{
    uint32_t most_is;
    memcpy(&most_is, &most, sizeof most_is);
    *inverse = 0;
    if (bits >= 0x7F800000u || most_is >= 0x7F800000u) return __builtin_nanf("");
    if (most < QN_QUANTIZE_TINY) return 0;
    *inverse = 127.0f / most;
    return most / 127.0f;
}

/* Writes round((x - middle) inv) as bytes, each with its sign bit turned by `flip`;
 * ends `padded` bytes on, with the code of zero behind n. inv 0: nothing is loaded,
 * since 0 times an infinity would be NaN. */
INLINE void quantize(const bool CENTERED, const float *x, size_t n, size_t padded,
                     float middle, float inv, uint8_t *q, int flip)
{
    const __m512 inverse = _mm512_set1_ps(inv), away = _mm512_set1_ps(middle);
    const __m128i turn = _mm_set1_epi8((char)flip);
    size_t live = inv == 0 ? 0 : n, i = 0;
    for (; i + 16 <= live; i += 16) {
        __m512 v = _mm512_loadu_ps(x + i);
        if (CENTERED) v = _mm512_sub_ps(v, away);
        __m512i w = _mm512_cvtps_epi32(_mm512_mul_ps(v, inverse));
        _mm_storeu_si128((__m128i *)(void *)(q + i),
                         _mm_xor_si128(_mm512_cvtsepi32_epi8(w), turn));
    }
    for (; i < padded; i += 16) {
        size_t in = i < live ? live - i : 0, out = padded - i;
        __mmask16 in_mask = in >= 16 ? 0xFFFF : first_16(in);
        __m512 v = _mm512_maskz_loadu_ps(in_mask, x + i);
        if (CENTERED) v = _mm512_maskz_sub_ps(in_mask, v, away);
        v = _mm512_mul_ps(v, inverse);
        __m128i b = _mm_xor_si128(_mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(v)), turn);
        _mm_mask_storeu_epi8(q + i, out >= 16 ? 0xFFFF : first_16(out), b);
    }
}

INLINE float quantize_plain(const float *x, size_t n, size_t padded, uint8_t *q,
                            int flip)
{
    float inverse, most;
    uint32_t bits = most_bits(x, n);
    memcpy(&most, &bits, sizeof most);
    float scale = scale_of(bits, most, &inverse);
    quantize(false, x, n, padded, 0, inverse, q, flip);
    return scale;
}

float qn_num__quantize_i8_avx512(const float *x, size_t n, int8_t *q)
{
    return quantize_plain(x, n, n, (uint8_t *)q, 0);
}

static float activations(const float *x, size_t K, void *q)
{
    return quantize_plain(x, K, (K + GROUP - 1) / GROUP * GROUP, q, 0x80);
}

/* The lowest and the highest of K values, and whether all are finite: x times 0 is. */
INLINE bool range_of(const float *x, size_t K, float *low, float *high)
{
    const __m512 first = _mm512_set1_ps(x[0]);
    __m512 lowest = first, highest = first, zero = _mm512_setzero_ps(), seen = zero;
    size_t i = 0;
    for (; i + 16 <= K; i += 16) {
        __m512 v = _mm512_loadu_ps(x + i);
        lowest = _mm512_min_ps(lowest, v);
        highest = _mm512_max_ps(highest, v);
        seen = _mm512_fmadd_ps(v, zero, seen);
    }
    if (i < K) {
        __m512 v = _mm512_mask_loadu_ps(first, first_16(K - i), x + i);
        lowest = _mm512_min_ps(lowest, v);
        highest = _mm512_max_ps(highest, v);
        seen = _mm512_fmadd_ps(v, zero, seen);
    }
    /* Both at once: the highest is minus the lowest of -x. */
    const __m256 sign = _mm256_set1_ps(-0.0f);
    __m256 l = _mm256_min_ps(_mm512_castps512_ps256(lowest),
                             _mm512_extractf32x8_ps(lowest, 1));
    __m256 h = _mm256_max_ps(_mm512_castps512_ps256(highest),
                             _mm512_extractf32x8_ps(highest, 1));
    h = _mm256_xor_ps(h, sign);
    __m256 both = _mm256_min_ps(_mm256_permute2f128_ps(l, h, 0x20),
                                _mm256_permute2f128_ps(l, h, 0x31));
    both = _mm256_min_ps(both, _mm256_shuffle_ps(both, both, 0x4E));
    both = _mm256_min_ps(both, _mm256_shuffle_ps(both, both, 0xB1));
    *low = _mm256_cvtss_f32(both);
    *high = -_mm_cvtss_f32(_mm256_extractf128_ps(both, 1));
    return _mm512_cmp_ps_mask(seen, seen, _CMP_UNORD_Q) == 0;
}

/* Subtracting is monotone: the largest |x - middle| is that of the lowest or of the
 * highest x. */
static float centered(const float *x, size_t K, void *q, float *middle)
{
    float low, high, inverse;
    bool finite = range_of(x, K, &low, &high);
    float mid = (low + high) / 2 + 0.0f, /* no -0 */
        below = mid - low, above = high - mid;
    float scale =
        scale_of(finite ? 0 : UINT32_MAX, above > below ? above : below, &inverse);
    quantize(true, x, K, (K + GROUP - 1) / GROUP * GROUP, mid, inverse, q, 0x80);
    *middle = mid;
    return scale;
}

INLINE void i8_store(const bool WHOLE, const size_t MR, const size_t NV,
                     const qn_tile_i8 *t, size_t at, __m512i acc[ROWS][VECTORS])
{
    QN_UNROLL
    for (size_t v = 0; v < NV; v++) {
        __mmask16 mask = WHOLE || v + 1 < NV ? 0xFFFF : last_mask(t->cols, NV);
        __m512 scale = _mm512_loadu_ps(t->col_scale + 16 * v),
               bias = _mm512_setzero_ps();
        if (t->bias != NULL) bias = _mm512_maskz_loadu_ps(mask, t->bias + 16 * v);
        QN_UNROLL
        for (size_t i = 0; i < MR; i++) {
            __m512 s = _mm512_mul_ps(_mm512_set1_ps(t->row_scale[at + i]), scale);
            __m512 y = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[i][v]), s);
            float *to = t->y + (at + i) * t->ldy + 16 * v;
            if (t->middle != NULL)
                y = _mm512_add_ps(y,
                                  _mm512_mul_ps(_mm512_set1_ps(t->middle[at + i]),
                                                _mm512_loadu_ps(t->col_sum + 16 * v)));
            if (t->bias != NULL) y = _mm512_add_ps(y, bias);
            if (t->add) y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(mask, to));
            if (WHOLE || v + 1 < NV)
                _mm512_storeu_ps(to, y);
            else
                _mm512_mask_storeu_ps(to, mask, y);
        }
    }
}

/* acc += four products of bytes in each lane. Not by the intrinsic: gcc 12 then copies
 * every accumulator at the end of each step (24 moves, 40 % of the speed). */
INLINE __m512i dot_quads(__m512i acc, __m512i unsigned_bytes, __m512i signed_bytes)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(unsigned_bytes), "v"(signed_bytes));
    return acc;
}

INLINE void i8_rows(const bool WHOLE, const size_t MR, const size_t NV,
                    const qn_tile_i8 *t, size_t at)
{
    __m512i acc[ROWS][VECTORS], b[VECTORS];
    const uint8_t *a = (const uint8_t *)t->a + at * t->lda_bytes;
    float *y = t->y + at * t->ldy;
    const int8_t *panel = t->b;
    const size_t groups = t->groups, lda = t->lda_bytes;
    for (size_t i = 0; i < MR; i++)
        for (size_t v = 0; v < NV; v++) __builtin_prefetch(y + i * t->ldy + 16 * v, 1);
    QN_UNROLL
    for (size_t i = 0; i < MR; i++) {
        QN_UNROLL
        for (size_t v = 0; v < NV; v++)
            acc[i][v] = _mm512_loadu_si512(t->start + 16 * v);
    }
    for (size_t g = 0; g < groups; g++, panel += COLS * GROUP) {
        QN_UNROLL
        for (size_t v = 0; v < NV; v++) b[v] = _mm512_load_si512(panel + 64 * v);
        QN_UNROLL
        for (size_t i = 0; i < MR; i++) {
            const int32_t *quads = (const int32_t *)(const void *)(a + i * lda);
            __m512i x = _mm512_set1_epi32(quads[g]);
            QN_UNROLL
            for (size_t v = 0; v < NV; v++) acc[i][v] = dot_quads(acc[i][v], x, b[v]);
        }
    }
    i8_store(WHOLE, MR, NV, t, at, acc);
}

#define ROWS_OF(mr)                                                                    \
    if (t->cols == COLS)                                                               \
        i8_rows(true, mr, 3, t, row);                                                  \
    else if (t->cols > 32)                                                             \
        i8_rows(false, mr, 3, t, row);                                                 \
    else if (t->cols > 16)                                                             \
        i8_rows(false, mr, 2, t, row);                                                 \
    else                                                                               \
        i8_rows(false, mr, 1, t, row)

static void tile_i8(const qn_tile_i8 *t)
{
    for (size_t row = 0; row < t->rows; row += ROWS) {
        switch (t->rows - row) {
            QN_ROWS_UP_TO_7(ROWS_OF);
        default:
            ROWS_OF(8);
        }
    }
}
#undef ROWS_OF

const qn_tiles qn_num__tiles_avx512 = {
    .f32_rows = ROWS,
    .f32_cols = COLS,
    .f32_depth = 768,
    .f32 = tile_f32,
    .transpose = transpose,
};

const qn_tiles_i8 qn_num__tiles_i8_avx512 = {
    .rows = ROWS,
    .cols = COLS,
    .group = GROUP,
    .element_bytes = 1,
    .offset = OFFSET,
    .activations = activations,
    .centered = centered,
    .run = tile_i8,
    .i16 = &qn_num__tiles_i16_avx512,
};

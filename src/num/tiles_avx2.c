/* SPDX-License-Identifier: Apache-2.0 */
/* tiles_avx2.c -- 6 x 16 of the result in 12 of the 16 registers; and the making of int8
 * activations. Compiled with -mavx2 -mfma.
 *
 * int8: activations and weights are widened to 16 bits, vpmaddwd multiplies pairs and
 * adds them in 32: exact for every input. (vpmaddubsw would do twice as many, but
 * saturates at 16 bits: 255 * 127 * 2 does not fit.) */
#include "num/kernels_internal.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

enum { ROWS = 6, I8_ROWS = 6, COLS = 16, GROUP = 2 };

INLINE __m256i first_lanes(size_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}

/* `WHOLE` below: all columns are there, and plain loads and stores will do. */
INLINE __m256 load_8(const bool WHOLE, const float *p, __m256i mask)
{
    return WHOLE ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, mask);
}

INLINE void store_8(const bool WHOLE, float *p, __m256i mask, __m256 v)
{
    if (WHOLE)
        _mm256_storeu_ps(p, v);
    else
        _mm256_maskstore_ps(p, mask, v);
}

INLINE void f32_store(const bool WHOLE, const qn_tile_f32 *t, size_t row, size_t v,
                      __m256i mask, __m256 sum)
{
    __m256 y = _mm256_mul_ps(sum, _mm256_set1_ps(t->alpha));
    if (t->bias != NULL) y = _mm256_add_ps(y, load_8(WHOLE, t->bias + 8 * v, mask));
    store_8(WHOLE, t->y + row * t->ldy + 8 * v, mask, y);
}

/* NV vectors of columns. */
INLINE void f32_rows(const bool WHOLE, const size_t MR, const size_t NV,
                     const qn_tile_f32 *t, size_t at)
{
    __m256i mask[2];
    __m256 acc[ROWS][2], b[2];
    const float *a = t->a + at * t->lda, *row = t->b;
    float *y = t->y + at * t->ldy;
    const size_t lda = t->lda, ldb = t->ldb, depth = t->depth;
    for (size_t v = 0; v < NV; v++) mask[v] = first_lanes(t->cols - 8 * v);
    for (size_t i = 0; i < MR; i++) __builtin_prefetch(y + i * t->ldy, 1);
    QN_UNROLL
    for (size_t i = 0; i < MR; i++) {
        QN_UNROLL
        for (size_t v = 0; v < NV; v++)
            acc[i][v] = t->first ? _mm256_setzero_ps()
                                 : load_8(WHOLE, y + i * t->ldy + 8 * v, mask[v]);
    }
    for (size_t k = 0; k < depth; k++, row += ldb) {
        QN_UNROLL
        for (size_t v = 0; v < NV; v++)
            b[v] = load_8(WHOLE || v + 1 < NV, row + 8 * v, mask[v]);
        QN_UNROLL
        for (size_t i = 0; i < MR; i++) {
            __m256 x = _mm256_broadcast_ss(a + i * lda + k);
            QN_UNROLL
            for (size_t v = 0; v < NV; v++)
                acc[i][v] = _mm256_fmadd_ps(x, b[v], acc[i][v]);
        }
    }
    QN_UNROLL
    for (size_t i = 0; i < MR; i++) {
        QN_UNROLL
        for (size_t v = 0; v < NV; v++)
            f32_store(WHOLE, t, at + i, v, mask[v], acc[i][v]);
    }
}

#define ROWS_OF(mr)                                                                    \
    if (t->cols == COLS)                                                               \
        f32_rows(true, mr, 2, t, row);                                                 \
    else if (t->cols > 8)                                                              \
        f32_rows(false, mr, 2, t, row);                                                \
    else                                                                               \
        f32_rows(false, mr, 1, t, row)

static void tile_f32(const qn_tile_f32 *t)
{
    for (size_t row = 0; row < t->rows; row += ROWS) {
        switch (t->rows - row) {
            QN_ROWS_UP_TO_5(ROWS_OF);
        default:
            ROWS_OF(6);
        }
    }
}
#undef ROWS_OF

/* Rows r0..r7 become columns. */
INLINE void transpose_8x8(__m256 r[8])
{
    __m256 t[8], u[8];
    QN_UNROLL
    for (size_t i = 0; i < 4; i++) {
        t[2 * i] = _mm256_unpacklo_ps(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm256_unpackhi_ps(r[2 * i], r[2 * i + 1]);
    }
    QN_UNROLL
    for (size_t i = 0; i < 2; i++) {
        u[4 * i] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0x44);
        u[4 * i + 1] = _mm256_shuffle_ps(t[4 * i], t[4 * i + 2], 0xEE);
        u[4 * i + 2] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0x44);
        u[4 * i + 3] = _mm256_shuffle_ps(t[4 * i + 1], t[4 * i + 3], 0xEE);
    }
    QN_UNROLL
    for (size_t i = 0; i < 4; i++) {
        r[i] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
        r[i + 4] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
    }
}

static void transpose(const float *B, size_t ldb, size_t cols, size_t K, float *out,
                      size_t ldo)
{
    size_t n = 0;
    for (; n + 8 <= cols; n += 8) {
        size_t k = 0;
        for (; k + 8 <= K; k += 8) {
            __m256 r[8];
            QN_UNROLL
            for (size_t i = 0; i < 8; i++)
                r[i] = _mm256_loadu_ps(B + (n + i) * ldb + k);
            transpose_8x8(r);
            QN_UNROLL
            for (size_t i = 0; i < 8; i++)
                _mm256_storeu_ps(out + (k + i) * ldo + n, r[i]);
        }
        for (; k < K; k++)
            for (size_t i = 0; i < 8; i++) out[k * ldo + n + i] = B[(n + i) * ldb + k];
    }
    for (; n < cols; n++)
        for (size_t k = 0; k < K; k++) out[k * ldo + n] = B[n * ldb + k];
}

/* ---- int8 ---- */

/* The largest |x|, as bits: for floats without sign the order of the bits is the order
 * of the values, infinities and NaNs above all. */
INLINE uint32_t most_bits(const float *x, size_t n)
{
    const __m256i drop_sign = _mm256_set1_epi32(0x7FFFFFFF);
    __m256i most = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256i v = _mm256_castps_si256(_mm256_loadu_ps(x + i));
        most = _mm256_max_epu32(most, _mm256_and_si256(v, drop_sign));
    }
    if (i < n) {
        __m256i v = _mm256_castps_si256(_mm256_maskload_ps(x + i, first_lanes(n - i)));
        most = _mm256_max_epu32(most, _mm256_and_si256(v, drop_sign));
    }
    __m128i m =
        _mm_max_epu32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0x4E));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0xB1));
    return (uint32_t)_mm_cvtsi128_si32(m);
}

/* Scale and its inverse for values of which |v| <= most; inverse 0 where there is none:
 * bits, of the largest |x|, say whether all were finite. */
INLINE float scale_of(uint32_t bits, float most, float *inverse)
{
    uint32_t most_is = (uint32_t)_mm_cvtsi128_si32(_mm_castps_si128(_mm_set_ss(most)));
    *inverse = 0;
    if (bits >= 0x7F800000u || most_is >= 0x7F800000u) return __builtin_nanf("");
    if (most < QN_QUANTIZE_TINY) return 0;
    *inverse = 127.0f / most;
    return most / 127.0f;
}

INLINE float scale_plain(const float *x, size_t n, float *inverse)
{
    uint32_t bits = most_bits(x, n);
    __m128i lane = _mm_cvtsi32_si128((int)bits);
    return scale_of(bits, _mm_cvtss_f32(_mm_castsi128_ps(lane)), inverse);
}

INLINE float min_lanes(__m256 v)
{
    __m128 m = _mm_min_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_min_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_min_ss(m, _mm_movehdup_ps(m)));
}

/* Subtracting is monotone: the largest |x - middle| is that of the lowest or of the
 * highest x. The highest is minus the lowest of -x. */
INLINE float scale_centered(const float *x, size_t n, float *middle, float *inverse)
{
    const __m256 sign = _mm256_set1_ps(-0.0f), first = _mm256_set1_ps(x[0]);
    __m256 lowest = first, highest = _mm256_xor_ps(first, sign);
    for (size_t i = 0; i < n; i += 8) {
        __m256i mask = first_lanes(n - i < 8 ? n - i : 8);
        __m256 v = _mm256_blendv_ps(first, _mm256_maskload_ps(x + i, mask),
                                    _mm256_castsi256_ps(mask));
        lowest = _mm256_min_ps(lowest, v);
        highest = _mm256_min_ps(highest, _mm256_xor_ps(v, sign));
    }
    float low = min_lanes(lowest), high = -min_lanes(highest);
    float mid = (low + high) / 2 + 0.0f, /* no -0 */
        below = mid - low, above = high - mid;
    *middle = mid;
    return scale_of(most_bits(x, n), above > below ? above : below, inverse);
}

/* Eight values from x, rounded: nearest, halves to even. */
INLINE __m256i quantize_8(__m256 x, __m256 inverse)
{
    /* inverse 0: x may be infinite or NaN, and 0 times that is NaN: masked away. */
    __m256 live = _mm256_cmp_ps(inverse, _mm256_setzero_ps(), _CMP_NEQ_OQ);
    return _mm256_cvtps_epi32(_mm256_and_ps(_mm256_mul_ps(x, inverse), live));
}

/* Eight 32-bit values in [-127, 127] as 16 bits, in order. */
INLINE __m128i narrow_16(__m256i v)
{
    __m256i w = _mm256_permute4x64_epi64(_mm256_packs_epi32(v, v), 0x08);
    return _mm256_castsi256_si128(w);
}

/* Eight values as bytes, each with its sign bit turned by `flip`. */
INLINE __m128i bytes_8(__m256 x, __m256 inverse, int flip)
{
    __m128i w = narrow_16(quantize_8(x, inverse));
    return _mm_xor_si128(_mm_packs_epi16(w, w), _mm_set1_epi8((char)flip));
}

/* Bytes, to `padded` values, with the code of zero behind n. */
INLINE void quantize_bytes(const float *x, size_t n, size_t padded, float middle,
                           float inverse, uint8_t *q, int flip)
{
    const __m256 inv = _mm256_set1_ps(inverse), away = _mm256_set1_ps(middle);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_sub_ps(_mm256_loadu_ps(x + i), away);
        _mm_storel_epi64((__m128i *)(void *)(q + i), bytes_8(v, inv, flip));
    }
    if (i < padded) {
        uint8_t last[16];
        __m256i mask = first_lanes(n - i);
        __m256 v = _mm256_sub_ps(_mm256_maskload_ps(x + i, mask), away);
        v = _mm256_and_ps(v, _mm256_castsi256_ps(mask));
        _mm_storeu_si128((__m128i *)(void *)last, bytes_8(v, inv, flip));
        for (size_t j = 0; i < padded; i++, j++) q[i] = last[j];
    }
}

float qn_num__quantize_i8_avx2(const float *x, size_t n, int8_t *q)
{
    float inverse, scale = scale_plain(x, n, &inverse);
    quantize_bytes(x, n, n, 0, inverse, (uint8_t *)q, 0);
    return scale;
}

/* 16 bits each, zero behind K up to the end of the group. */
INLINE void quantize_words(const float *x, size_t K, float middle, float inverse,
                           int16_t *out)
{
    const __m256 inv = _mm256_set1_ps(inverse), away = _mm256_set1_ps(middle);
    size_t k = 0;
    for (; k + 8 <= K; k += 8) {
        __m256 v = _mm256_sub_ps(_mm256_loadu_ps(x + k), away);
        _mm_storeu_si128((__m128i *)(void *)(out + k), narrow_16(quantize_8(v, inv)));
    }
    if (k < K) {
        int16_t last[8];
        __m256i mask = first_lanes(K - k);
        __m256 v = _mm256_sub_ps(_mm256_maskload_ps(x + k, mask), away);
        v = _mm256_and_ps(v, _mm256_castsi256_ps(mask));
        _mm_storeu_si128((__m128i *)(void *)last, narrow_16(quantize_8(v, inv)));
        size_t padded = (K + GROUP - 1) / GROUP * GROUP;
        for (size_t j = 0; k < padded; k++, j++) out[k] = last[j];
    }
}

static float activations(const float *x, size_t K, void *q)
{
    float inverse, scale = scale_plain(x, K, &inverse);
    quantize_words(x, K, 0, inverse, q);
    return scale;
}

static float centered(const float *x, size_t K, void *q, float *middle)
{
    float inverse, scale = scale_centered(x, K, middle, &inverse);
    quantize_words(x, K, *middle, inverse, q);
    return scale;
}

enum { U8_GROUP = 4, U8_FLIP = 0x80 };

float qn_num__activations_u8_avx2(const float *x, size_t K, void *q)
{
    float inverse, scale = scale_plain(x, K, &inverse);
    size_t padded = (K + U8_GROUP - 1) / U8_GROUP * U8_GROUP;
    quantize_bytes(x, K, padded, 0, inverse, q, U8_FLIP);
    return scale;
}

float qn_num__centered_u8_avx2(const float *x, size_t K, void *q, float *middle)
{
    float inverse, scale = scale_centered(x, K, middle, &inverse);
    size_t padded = (K + U8_GROUP - 1) / U8_GROUP * U8_GROUP;
    quantize_bytes(x, K, padded, *middle, inverse, q, U8_FLIP);
    return scale;
}

INLINE void i8_store(const bool WHOLE, const qn_tile_i8 *t, size_t row, size_t v,
                     __m256i sum)
{
    __m256i mask = first_lanes(t->cols - 8 * v);
    __m256 scale = _mm256_mul_ps(_mm256_set1_ps(t->row_scale[row]),
                                 _mm256_loadu_ps(t->col_scale + 8 * v));
    __m256 y = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), scale);
    float *to = t->y + row * t->ldy + 8 * v;
    if (t->middle != NULL)
        y = _mm256_add_ps(y, _mm256_mul_ps(_mm256_set1_ps(t->middle[row]),
                                           _mm256_loadu_ps(t->col_sum + 8 * v)));
    if (t->bias != NULL) y = _mm256_add_ps(y, load_8(WHOLE, t->bias + 8 * v, mask));
    if (t->add) y = _mm256_add_ps(y, load_8(WHOLE, to, mask));
    store_8(WHOLE, to, mask, y);
}

/* acc += the products of pairs of words, for 16 columns. Not by intrinsics, for which gcc
 * spills accumulators: twelve of them, b0, b1, x and t are all the registers there are. */
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

INLINE void i8_rows(const bool WHOLE, const size_t MR, const qn_tile_i8 *t, size_t at)
{
    __m256i acc[I8_ROWS][2];
    const uint8_t *a = (const uint8_t *)t->a + at * t->lda_bytes;
    const int8_t *b = t->b;
    for (size_t i = 0; i < MR; i++) __builtin_prefetch(t->y + (at + i) * t->ldy, 1);
    QN_UNROLL
    for (size_t i = 0; i < MR; i++) acc[i][0] = acc[i][1] = _mm256_setzero_si256();
    for (size_t g = 0; g < t->groups; g++, b += COLS * GROUP) {
        __m256i b0 =
            _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i *)(const void *)b));
        __m256i b1 = _mm256_cvtepi8_epi16(
            _mm_load_si128((const __m128i *)(const void *)(b + 16)));
        QN_UNROLL
        for (size_t i = 0; i < MR; i++) {
            const int32_t *pair = (const int32_t *)(const void *)(a + i * t->lda_bytes);
            add_pairs(acc[i], _mm256_set1_epi32(pair[g]), b0, b1);
        }
    }
    QN_UNROLL
    for (size_t i = 0; i < MR; i++) {
        i8_store(WHOLE || t->cols >= 8, t, at + i, 0, acc[i][0]);
        if (WHOLE || t->cols > 8) i8_store(WHOLE, t, at + i, 1, acc[i][1]);
    }
}

#define ROWS_OF(mr)                                                                    \
    if (t->cols == COLS)                                                               \
        i8_rows(true, mr, t, row);                                                     \
    else                                                                               \
        i8_rows(false, mr, t, row)

static void tile_i8(const qn_tile_i8 *t)
{
    for (size_t row = 0; row < t->rows; row += I8_ROWS) {
        switch (t->rows - row) {
            QN_ROWS_UP_TO_5(ROWS_OF);
        default:
            ROWS_OF(6);
        }
    }
}

const qn_tiles qn_num__tiles_avx2 = {
    .f32_rows = ROWS,
    .f32_cols = COLS,
    .f32_depth = 768,
    .f32 = tile_f32,
    .transpose = transpose,
};

const qn_tiles_i8 qn_num__tiles_i8_avx2 = {
    .rows = I8_ROWS,
    .cols = COLS,
    .group = GROUP,
    .element_bytes = 2,
    .activations = activations,
    .centered = centered,
    .run = tile_i8,
    .i16 = &qn_num__tiles_i16_avx2,
};

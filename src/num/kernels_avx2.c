/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_avx2.c -- compiled with -mavx2 -mfma; reached only through kernels.c. Sums
 * use four accumulators, because one would wait on its own multiply-add every step. */
#include "num/kernels_internal.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

/* All ones in the first n of eight lanes. */
INLINE __m256i first_lanes(size_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}

INLINE float sum_lanes(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

INLINE int32_t sum_lanes_i32(__m256i v)
{
    __m128i s =
        _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xB1)));
}

INLINE __m256 step_f32(bool l2, __m256 x, __m256 y, __m256 acc)
{
    if (!l2) return _mm256_fmadd_ps(x, y, acc);
    __m256 d = _mm256_sub_ps(x, y);
    return _mm256_fmadd_ps(d, d, acc);
}

INLINE float pair_f32(bool l2, const float *a, const float *b, size_t n)
{
    __m256 acc[4] = {_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps(),
                     _mm256_setzero_ps()};
    size_t i = 0;
    for (; i + 32 <= n; i += 32)
        for (size_t k = 0; k < 4; k++)
            acc[k] = step_f32(l2, _mm256_loadu_ps(a + i + 8 * k),
                              _mm256_loadu_ps(b + i + 8 * k), acc[k]);
    for (; i + 8 <= n; i += 8)
        acc[0] = step_f32(l2, _mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), acc[0]);
    if (i < n) {
        __m256i mask = first_lanes(n - i);
        acc[1] = step_f32(l2, _mm256_maskload_ps(a + i, mask),
                          _mm256_maskload_ps(b + i, mask), acc[1]);
    }
    return sum_lanes(
        _mm256_add_ps(_mm256_add_ps(acc[0], acc[1]), _mm256_add_ps(acc[2], acc[3])));
}

INLINE __m256i widen(const int8_t *p)
{
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)p));
}

/* Sixteen bits hold every value and difference, vpmaddwd adds two products of 16 bits
 * in 32: 2 * 255 * 255 is far from the end, so nothing can saturate. */
INLINE __m256i step_i8(bool l2, __m256i x, __m256i y, __m256i acc)
{
    if (!l2) return _mm256_add_epi32(acc, _mm256_madd_epi16(x, y));
    __m256i d = _mm256_sub_epi16(x, y);
    return _mm256_add_epi32(acc, _mm256_madd_epi16(d, d));
}

INLINE int32_t pair_i8(bool l2, const int8_t *a, const int8_t *b, size_t n)
{
    __m256i acc[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    size_t i = 0;
    for (; i + 32 <= n; i += 32)
        for (size_t k = 0; k < 2; k++)
            acc[k] = step_i8(l2, widen(a + i + 16 * k), widen(b + i + 16 * k), acc[k]);
    for (; i + 16 <= n; i += 16)
        acc[0] = step_i8(l2, widen(a + i), widen(b + i), acc[0]);
    int32_t sum = sum_lanes_i32(_mm256_add_epi32(acc[0], acc[1]));
    for (; i < n; i++) sum += l2 ? (a[i] - b[i]) * (a[i] - b[i]) : a[i] * b[i];
    return sum;
}

float qn_num__dot_f32_avx2(const float *a, const float *b, size_t n)
{
    return pair_f32(false, a, b, n);
}

float qn_num__l2_f32_avx2(const float *a, const float *b, size_t n)
{
    return pair_f32(true, a, b, n);
}

int32_t qn_num__dot_i8_avx2(const int8_t *a, const int8_t *b, size_t n)
{
    return pair_i8(false, a, b, n);
}

int32_t qn_num__l2_i8_avx2(const int8_t *a, const int8_t *b, size_t n)
{
    return pair_i8(true, a, b, n);
}

void qn_num__dot_f32_rows_avx2(const float *q, const float *v, size_t rows, size_t n,
                               float *out)
{
    for (size_t r = 0; r < rows; r++) out[r] = pair_f32(false, v + r * n, q, n);
}

void qn_num__l2_f32_rows_avx2(const float *q, const float *v, size_t rows, size_t n,
                              float *out)
{
    for (size_t r = 0; r < rows; r++) out[r] = pair_f32(true, v + r * n, q, n);
}

void qn_num__dot_i8_rows_avx2(const int8_t *q, const int8_t *v, size_t rows, size_t n,
                              int32_t *out)
{
    for (size_t r = 0; r < rows; r++) out[r] = pair_i8(false, v + r * n, q, n);
}

void qn_num__l2_i8_rows_avx2(const int8_t *q, const int8_t *v, size_t rows, size_t n,
                             int32_t *out)
{
    for (size_t r = 0; r < rows; r++) out[r] = pair_i8(true, v + r * n, q, n);
}

void qn_num__add_avx2(float *y, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i,
                         _mm256_add_ps(_mm256_loadu_ps(y + i), _mm256_loadu_ps(x + i)));
    for (; i < n; i++) y[i] += x[i];
}

void qn_num__axpy_avx2(float a, const float *x, float *y, size_t n)
{
    const __m256 va = _mm256_set1_ps(a);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 r = _mm256_fmadd_ps(va, _mm256_loadu_ps(x + i), _mm256_loadu_ps(y + i));
        _mm256_storeu_ps(y + i, r);
    }
    for (; i < n; i++) {
        __m128 r = _mm_fmadd_ss(_mm_set_ss(a), _mm_set_ss(x[i]), _mm_set_ss(y[i]));
        y[i] = _mm_cvtss_f32(r);
    }
}

void qn_num__mul_avx2(const float *x, const float *y, float *out, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(out + i,
                         _mm256_mul_ps(_mm256_loadu_ps(x + i), _mm256_loadu_ps(y + i)));
    for (; i < n; i++) out[i] = x[i] * y[i];
}

float qn_num__center_avx2(float *x, size_t n)
{
    float low = n == 0 ? 0.0f : x[0], high = low, lows[8], highs[8];
    __m256 vlow = _mm256_set1_ps(low), vhigh = vlow;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_loadu_ps(x + i);
        vlow = _mm256_min_ps(vlow, v);
        vhigh = _mm256_max_ps(vhigh, v);
    }
    _mm256_storeu_ps(lows, vlow);
    _mm256_storeu_ps(highs, vhigh);
    for (size_t l = 0; l < 8; l++) {
        low = lows[l] < low ? lows[l] : low;
        high = highs[l] > high ? highs[l] : high;
    }
    for (; i < n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    float middle = (low + high) / 2;
    const __m256 vmiddle = _mm256_set1_ps(middle);
    for (i = 0; i + 8 <= n; i += 8)
        _mm256_storeu_ps(x + i, _mm256_sub_ps(_mm256_loadu_ps(x + i), vmiddle));
    for (; i < n; i++) x[i] -= middle;
    return middle;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_avx512.c -- compiled with -mavx512f/bw/vl/dq/vnni; reached only through
 * kernels.c. The end of a vector is one masked step. */
#include "num/kernels_internal.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

INLINE __mmask16 first_16(size_t n)
{
    return (__mmask16)((1u << n) - 1u);
}

INLINE __m512 step_f32(bool l2, __m512 x, __m512 y, __m512 acc)
{
    if (!l2) return _mm512_fmadd_ps(x, y, acc);
    __m512 d = _mm512_sub_ps(x, y);
    return _mm512_fmadd_ps(d, d, acc);
}

INLINE float pair_f32(bool l2, const float *a, const float *b, size_t n)
{
    __m512 acc[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(),
                     _mm512_setzero_ps()};
    size_t i = 0;
    for (; i + 64 <= n; i += 64)
        for (size_t k = 0; k < 4; k++)
            acc[k] = step_f32(l2, _mm512_loadu_ps(a + i + 16 * k),
                              _mm512_loadu_ps(b + i + 16 * k), acc[k]);
    for (; i + 16 <= n; i += 16)
        acc[0] = step_f32(l2, _mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), acc[0]);
    if (i < n) {
        __mmask16 mask = first_16(n - i);
        acc[1] = step_f32(l2, _mm512_maskz_loadu_ps(mask, a + i),
                          _mm512_maskz_loadu_ps(mask, b + i), acc[1]);
    }
    return _mm512_reduce_add_ps(
        _mm512_add_ps(_mm512_add_ps(acc[0], acc[1]), _mm512_add_ps(acc[2], acc[3])));
}

/* 32 values of 8 bits as 16 bits: every product pair and squared difference then fits
 * the 32 bits that vpdpwssd adds in, and it does not saturate. */
INLINE __m512i step_i8(bool l2, __m256i x, __m256i y, __m512i acc)
{
    __m512i wx = _mm512_cvtepi8_epi16(x), wy = _mm512_cvtepi8_epi16(y);
    if (!l2) return _mm512_dpwssd_epi32(acc, wx, wy);
    __m512i d = _mm512_sub_epi16(wx, wy);
    return _mm512_dpwssd_epi32(acc, d, d);
}

INLINE int32_t pair_i8(bool l2, const int8_t *a, const int8_t *b, size_t n)
{
    __m512i acc0 = _mm512_setzero_si512(), acc1 = _mm512_setzero_si512();
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        acc0 =
            step_i8(l2, _mm256_loadu_si256((const __m256i *)(const void *)(a + i)),
                    _mm256_loadu_si256((const __m256i *)(const void *)(b + i)), acc0);
        acc1 = step_i8(
            l2, _mm256_loadu_si256((const __m256i *)(const void *)(a + i + 32)),
            _mm256_loadu_si256((const __m256i *)(const void *)(b + i + 32)), acc1);
    }
    for (; i < n; i += 32) {
        __mmask32 mask = n - i >= 32 ? ~0u : (1u << (n - i)) - 1u;
        acc0 = step_i8(l2, _mm256_maskz_loadu_epi8(mask, a + i),
                       _mm256_maskz_loadu_epi8(mask, b + i), acc0);
    }
    return _mm512_reduce_add_epi32(_mm512_add_epi32(acc0, acc1));
}

float qn_num__dot_f32_avx512(const float *a, const float *b, size_t n)
{
    return pair_f32(false, a, b, n);
}

float qn_num__l2_f32_avx512(const float *a, const float *b, size_t n)
{
    return pair_f32(true, a, b, n);
}

int32_t qn_num__dot_i8_avx512(const int8_t *a, const int8_t *b, size_t n)
{
    return pair_i8(false, a, b, n);
}

int32_t qn_num__l2_i8_avx512(const int8_t *a, const int8_t *b, size_t n)
{
    return pair_i8(true, a, b, n);
}

void qn_num__dot_f32_rows_avx512(const float *q, const float *v, size_t rows, size_t n,
                                 float *out)
{
    for (size_t r = 0; r < rows; r++) out[r] = pair_f32(false, v + r * n, q, n);
}

void qn_num__l2_f32_rows_avx512(const float *q, const float *v, size_t rows, size_t n,
                                float *out)
{
    for (size_t r = 0; r < rows; r++) out[r] = pair_f32(true, v + r * n, q, n);
}

/* sum (v + 128) q by vpdpbusd, which wants one side without sign; `back` is 128 sum q.
 * Four products of 255 * 128 at most are added in 32 bits: exact. */
INLINE int32_t dot_row_i8(const int8_t *v, const int8_t *q, size_t n, int32_t back)
{
    const __m512i flip = _mm512_set1_epi8((char)0x80);
    __m512i acc0 = _mm512_setzero_si512(), acc1 = _mm512_setzero_si512();
    size_t i = 0;
    for (; i + 128 <= n; i += 128) {
        __m512i v0 = _mm512_loadu_si512(v + i), v1 = _mm512_loadu_si512(v + i + 64);
        acc0 = _mm512_dpbusd_epi32(acc0, _mm512_xor_si512(v0, flip),
                                   _mm512_loadu_si512(q + i));
        acc1 = _mm512_dpbusd_epi32(acc1, _mm512_xor_si512(v1, flip),
                                   _mm512_loadu_si512(q + i + 64));
    }
    for (; i < n; i += 64) {
        __mmask64 mask = n - i >= 64 ? ~0ull : (1ull << (n - i)) - 1ull;
        __m512i v0 = _mm512_maskz_loadu_epi8(mask, v + i);
        acc0 = _mm512_dpbusd_epi32(acc0, _mm512_xor_si512(v0, flip),
                                   _mm512_maskz_loadu_epi8(mask, q + i));
    }
    return _mm512_reduce_add_epi32(_mm512_add_epi32(acc0, acc1)) - back;
}

INLINE int32_t sum_i8(const int8_t *q, size_t n)
{
    const __m512i ones = _mm512_set1_epi8(1);
    __m512i acc = _mm512_setzero_si512();
    for (size_t i = 0; i < n; i += 64) {
        __mmask64 mask = n - i >= 64 ? ~0ull : (1ull << (n - i)) - 1ull;
        acc = _mm512_dpbusd_epi32(acc, ones, _mm512_maskz_loadu_epi8(mask, q + i));
    }
    return _mm512_reduce_add_epi32(acc);
}

void qn_num__dot_i8_rows_avx512(const int8_t *q, const int8_t *v, size_t rows, size_t n,
                                int32_t *out)
{
    int32_t back = 128 * sum_i8(q, n);
    for (size_t r = 0; r < rows; r++) out[r] = dot_row_i8(v + r * n, q, n, back);
}

void qn_num__l2_i8_rows_avx512(const int8_t *q, const int8_t *v, size_t rows, size_t n,
                               int32_t *out)
{
    for (size_t r = 0; r < rows; r++) out[r] = pair_i8(true, v + r * n, q, n);
}

void qn_num__add_avx512(float *y, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm512_storeu_ps(y + i,
                         _mm512_add_ps(_mm512_loadu_ps(y + i), _mm512_loadu_ps(x + i)));
    if (i < n) {
        __mmask16 mask = first_16(n - i);
        __m512 r = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, y + i),
                                 _mm512_maskz_loadu_ps(mask, x + i));
        _mm512_mask_storeu_ps(y + i, mask, r);
    }
}

void qn_num__axpy_avx512(float a, const float *x, float *y, size_t n)
{
    const __m512 va = _mm512_set1_ps(a);
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm512_storeu_ps(
            y + i, _mm512_fmadd_ps(va, _mm512_loadu_ps(x + i), _mm512_loadu_ps(y + i)));
    if (i < n) {
        __mmask16 mask = first_16(n - i);
        __m512 r = _mm512_fmadd_ps(va, _mm512_maskz_loadu_ps(mask, x + i),
                                   _mm512_maskz_loadu_ps(mask, y + i));
        _mm512_mask_storeu_ps(y + i, mask, r);
    }
}

void qn_num__mul_avx512(const float *x, const float *y, float *out, size_t n)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm512_storeu_ps(out + i,
                         _mm512_mul_ps(_mm512_loadu_ps(x + i), _mm512_loadu_ps(y + i)));
    if (i < n) {
        __mmask16 mask = first_16(n - i);
        __m512 r = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i),
                                 _mm512_maskz_loadu_ps(mask, y + i));
        _mm512_mask_storeu_ps(out + i, mask, r);
    }
}

float qn_num__center_avx512(float *x, size_t n)
{
    if (n == 0) return 0.0f;
    __m512 low = _mm512_set1_ps(x[0]), high = low;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m512 v = _mm512_loadu_ps(x + i);
        low = _mm512_min_ps(low, v);
        high = _mm512_max_ps(high, v);
    }
    __mmask16 mask = first_16(n - i);
    __m512 tail = _mm512_mask_loadu_ps(low, mask, x + i); /* low elsewhere: no change */
    low = _mm512_min_ps(low, tail);
    high = _mm512_mask_max_ps(high, mask, high, tail);
    float middle = (_mm512_reduce_min_ps(low) + _mm512_reduce_max_ps(high)) / 2;
    const __m512 vmiddle = _mm512_set1_ps(middle);
    for (i = 0; i + 16 <= n; i += 16)
        _mm512_storeu_ps(x + i, _mm512_sub_ps(_mm512_loadu_ps(x + i), vmiddle));
    _mm512_mask_storeu_ps(x + i, mask,
                          _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), vmiddle));
    return middle;
}

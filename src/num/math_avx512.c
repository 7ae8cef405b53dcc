/* SPDX-License-Identifier: Apache-2.0 */
/* math_avx512.c -- softmax, layer norm and activations sixteen at a time. Compiled with
 * -mavx512f/bw/vl/dq/vnni. The polynomials are explained in README.md; the last 1..15
 * elements go through the same code under a mask, so an element's bits do not depend on
 * its place. */
#include "num/kernels_internal.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

INLINE __m512 set(float x)
{
    return _mm512_set1_ps(x);
}

/* Lanes of the vector that begins at i. */
INLINE __mmask16 lanes(size_t i, size_t n)
{
    return (__mmask16)(n - i >= 16 ? 0xFFFFu : (1u << (n - i)) - 1u);
}

#define PER_E 1.44269504088896341f /* log2 e: e^x = 2^(x PER_E) */

/* 2^(x per), |x per| <= 125: adding 1.5 * 2^23 rounds the exponent to n and leaves n in
 * the low bits, ready to be added to the exponent of 2^r. */
INLINE __m512 two_to(__m512 x, float per)
{
    const __m512 magic = set(12582912.0f);
    __m512 shifted = _mm512_fmadd_ps(x, set(per), magic);
    __m512 n = _mm512_sub_ps(shifted, magic);
    __m512 r = _mm512_fmsub_ps(x, set(per), n);
    __m512 p = set(1.546144470e-4f);
    p = _mm512_fmadd_ps(p, r, set(1.340042818e-3f));
    p = _mm512_fmadd_ps(p, r, set(9.618056679e-3f));
    p = _mm512_fmadd_ps(p, r, set(5.550327227e-2f));
    p = _mm512_fmadd_ps(p, r, set(2.402265092e-1f));
    p = _mm512_fmadd_ps(p, r, set(6.931472067e-1f));
    p = _mm512_fmadd_ps(p, r, set(1.0f));
    __m512i power = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), power));
}

/* e^x for x <= 0; below -87.33, where the result leaves the normal numbers, 0. */
INLINE __m512 exp_ps(__m512 x)
{
    __mmask16 live = _mm512_cmp_ps_mask(x, set(-87.33f), _CMP_NLT_UQ);
    return _mm512_maskz_mov_ps(live, two_to(_mm512_max_ps(set(-87.33f), x), PER_E));
}

/* x Phi(x) = max(x, 0) - |x| Q(|x|), where Q is the upper tail of the normal
 * distribution, by Abramowitz and Stegun 7.1.26 for erfc(|x| / sqrt 2) / 2. */
INLINE __m512 gelu_ps(__m512 x)
{
    /* The tail at 12.5 is 4e-36: nothing beside x, and not yet denormal, which is slow. */
    __m512 a = _mm512_min_ps(set(12.5f), _mm512_abs_ps(x));
    __m512 t =
        _mm512_div_ps(set(1.0f), _mm512_fmadd_ps(a, set(0.23164188827f), set(1.0f)));
    __m512 p = set(0.5307027145f);
    p = _mm512_fmadd_ps(p, t, set(-0.7265760135f));
    p = _mm512_fmadd_ps(p, t, set(0.7107068705f));
    p = _mm512_fmadd_ps(p, t, set(-0.142248368f));
    p = _mm512_fmadd_ps(p, t, set(0.127414796f));
    __m512 tail =
        _mm512_mul_ps(_mm512_mul_ps(p, t), two_to(_mm512_mul_ps(a, a), -0.5f * PER_E));
    return _mm512_fnmadd_ps(a, tail, _mm512_max_ps(_mm512_setzero_ps(), x));
}

/* x / (1 + e^-z), where e^-|z| is what is computed: it cannot overflow. */
INLINE __m512 gated(__m512 x, __m512 z)
{
    const __m512 one = set(1.0f);
    __m512 e = exp_ps(_mm512_or_ps(z, set(-0.0f)));
    __mmask16 below = _mm512_cmp_ps_mask(z, _mm512_setzero_ps(), _CMP_LT_OQ);
    __m512 top = _mm512_mask_blend_ps(below, one, e);
    return _mm512_mul_ps(x, _mm512_div_ps(top, _mm512_add_ps(one, e)));
}

INLINE __m512 silu_ps(__m512 x)
{
    return gated(x, x);
}

/* (1 + tanh u) / 2 = 1 / (1 + e^-2u) */
INLINE __m512 gelu_tanh_ps(__m512 x)
{
    const float twice = 1.59576912160573071f; /* 2 sqrt(2 / pi) */
    __m512 cube =
        _mm512_fmadd_ps(_mm512_mul_ps(x, x), set(0.044715f * twice), set(twice));
    return gated(x, _mm512_mul_ps(x, cube));
}

INLINE __m512 relu_ps(__m512 x)
{
    return _mm512_max_ps(_mm512_setzero_ps(), x); /* the second one, if one is NaN */
}

/* An odd polynomial near zero, 1 - 2 / (e^2|x| + 1) with the sign of x elsewhere. */
INLINE __m512 tanh_ps(__m512 x)
{
    __m512 a = _mm512_min_ps(set(20.0f), _mm512_abs_ps(x)), z = _mm512_mul_ps(x, x);
    __m512 p = set(-5.70498872745e-3f);
    p = _mm512_fmadd_ps(p, z, set(2.06390887954e-2f));
    p = _mm512_fmadd_ps(p, z, set(-5.37397155531e-2f));
    p = _mm512_fmadd_ps(p, z, set(1.33314422036e-1f));
    p = _mm512_fmadd_ps(p, z, set(-3.33332819422e-1f));
    __m512 small = _mm512_fmadd_ps(_mm512_mul_ps(p, z), x, x);
    __m512 e = _mm512_add_ps(two_to(a, 2 * PER_E), set(1.0f));
    __m512 big = _mm512_sub_ps(set(1.0f), _mm512_div_ps(set(2.0f), e));
    big = _mm512_or_ps(big, _mm512_and_ps(x, set(-0.0f)));
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, set(0.625f), _CMP_LT_OQ), big,
                                small);
}

#define EACH(name, f)                                                                  \
    void name(float *x, size_t n)                                                      \
    {                                                                                  \
        size_t i = 0;                                                                  \
        for (; i + 16 <= n; i += 16)                                                   \
            _mm512_storeu_ps(x + i, f(_mm512_loadu_ps(x + i)));                        \
        if (i < n) {                                                                   \
            __mmask16 m = lanes(i, n);                                                 \
            _mm512_mask_storeu_ps(x + i, m, f(_mm512_maskz_loadu_ps(m, x + i)));       \
        }                                                                              \
    }
EACH(qn_num__gelu_avx512, gelu_ps)
EACH(qn_num__tanh_avx512, tanh_ps)
EACH(qn_num__gelu_tanh_avx512, gelu_tanh_ps)
EACH(qn_num__silu_avx512, silu_ps)
EACH(qn_num__relu_avx512, relu_ps)

void qn_num__rotate_avx512(float *x, const float *c, const float *s, size_t half,
                           size_t count)
{
    for (size_t v = 0; v < count; v++, x += 2 * half) {
        for (size_t i = 0; i < half; i += 16) {
            __mmask16 m = lanes(i, half);
            __m512 a = _mm512_maskz_loadu_ps(m, x + i);
            __m512 b = _mm512_maskz_loadu_ps(m, x + half + i);
            __m512 cs = _mm512_maskz_loadu_ps(m, c + i);
            __m512 sn = _mm512_maskz_loadu_ps(m, s + i);
            _mm512_mask_storeu_ps(
                x + i, m, _mm512_sub_ps(_mm512_mul_ps(a, cs), _mm512_mul_ps(b, sn)));
            _mm512_mask_storeu_ps(
                x + half + i, m,
                _mm512_add_ps(_mm512_mul_ps(b, cs), _mm512_mul_ps(a, sn)));
        }
    }
}

float qn_num__softmax_sum_avx512(float *x, size_t n)
{
    __m512 most = set(-__builtin_inff()), sum = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = lanes(i, n);
        most = _mm512_mask_max_ps(most, m, most, _mm512_maskz_loadu_ps(m, x + i));
    }
    const __m512 top = set(_mm512_reduce_max_ps(most));
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = lanes(i, n);
        __m512 e = exp_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(m, x + i), top));
        sum = _mm512_mask_add_ps(sum, m, sum, e);
        _mm512_mask_storeu_ps(x + i, m, e);
    }
    return _mm512_reduce_add_ps(sum);
}

void qn_num__scale_avx512(float *x, float a, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = lanes(i, n);
        _mm512_mask_storeu_ps(x + i, m,
                              _mm512_mul_ps(_mm512_maskz_loadu_ps(m, x + i), set(a)));
    }
}

void qn_num__softmax_avx512(float *x, size_t n)
{
    qn_num__scale_avx512(x, 1.0f / qn_num__softmax_sum_avx512(x, n), n);
}

/* Sixteen values that lie within sixteen are one load and one shuffle. */
void qn_num__pick_avx512(const float *x, const int32_t *index, int32_t from, size_t n,
                         bool add, float *y)
{
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = lanes(i, n);
        int32_t first = index[i], last = index[n - i < 16 ? n - 1 : i + 15];
        int32_t low = first < last ? first : last, high = first < last ? last : first;
        __m512i at = _mm512_sub_epi32(_mm512_maskz_loadu_epi32(m, index + i),
                                      _mm512_set1_epi32(low));
        const float *base = x + (low - from);
        __m512 v = high - low < 16
                       ? _mm512_permutexvar_ps(at, _mm512_loadu_ps(base))
                       : _mm512_mask_i32gather_ps(set(0), m, at, base, sizeof(float));
        if (add) v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(m, y + i));
        _mm512_mask_storeu_ps(y + i, m, v);
    }
}

void qn_num__layer_norm_avx512(const float *x, const float *gamma, const float *beta,
                               float eps, size_t n, float *out)
{
    __m512 sum = _mm512_setzero_ps(), squares = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16)
        sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(lanes(i, n), x + i));
    const __m512 mean = set(_mm512_reduce_add_ps(sum) / (float)n);
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = lanes(i, n);
        __m512 d = _mm512_maskz_sub_ps(m, _mm512_maskz_loadu_ps(m, x + i), mean);
        squares = _mm512_fmadd_ps(d, d, squares);
    }
    __m128 variance = _mm_set_ss(_mm512_reduce_add_ps(squares) / (float)n + eps);
    const __m512 inverse = set(1.0f / _mm_cvtss_f32(_mm_sqrt_ss(variance)));
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = lanes(i, n);
        __m512 y = _mm512_sub_ps(_mm512_maskz_loadu_ps(m, x + i), mean);
        __m512 b = _mm512_setzero_ps();
        if (beta != NULL) b = _mm512_maskz_loadu_ps(m, beta + i);
        y = _mm512_fmadd_ps(_mm512_mul_ps(y, inverse),
                            _mm512_maskz_loadu_ps(m, gamma + i), b);
        _mm512_mask_storeu_ps(out + i, m, y);
    }
}

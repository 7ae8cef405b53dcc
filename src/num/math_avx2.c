/* SPDX-License-Identifier: Apache-2.0 */
/* math_avx2.c -- softmax, layer norm and activations eight at a time. Compiled with
 * -mavx2 -mfma. The polynomials are explained in README.md; the last 1..7 elements go
 * through the same code under a mask, so an element's bits do not depend on its place.
 */
#include "num/kernels_internal.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))

INLINE __m256 set(float x)
{
    return _mm256_set1_ps(x);
}

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

INLINE float max_lanes(__m256 v)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

INLINE __m256 abs_ps(__m256 x)
{
    return _mm256_andnot_ps(set(-0.0f), x);
}

#define PER_E 1.44269504088896341f /* log2 e: e^x = 2^(x PER_E) */

/* 2^(x per), |x per| <= 125: adding 1.5 * 2^23 rounds the exponent to n and leaves n in
 * the low bits, ready to be added to the exponent of 2^r. */
INLINE __m256 two_to(__m256 x, float per)
{
    const __m256 magic = set(12582912.0f);
    __m256 shifted = _mm256_fmadd_ps(x, set(per), magic);
    __m256 n = _mm256_sub_ps(shifted, magic);
    __m256 r = _mm256_fmsub_ps(x, set(per), n);
    __m256 p = set(1.546144470e-4f);
    p = _mm256_fmadd_ps(p, r, set(1.340042818e-3f));
    p = _mm256_fmadd_ps(p, r, set(9.618056679e-3f));
    p = _mm256_fmadd_ps(p, r, set(5.550327227e-2f));
    p = _mm256_fmadd_ps(p, r, set(2.402265092e-1f));
    p = _mm256_fmadd_ps(p, r, set(6.931472067e-1f));
    p = _mm256_fmadd_ps(p, r, set(1.0f));
    __m256i power = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), power));
}

/* e^x for x <= 0; below -87.33, where the result leaves the normal numbers, 0. */
INLINE __m256 exp_ps(__m256 x)
{
    __m256 live = _mm256_cmp_ps(x, set(-87.33f), _CMP_NLT_UQ);
    return _mm256_and_ps(live, two_to(_mm256_max_ps(set(-87.33f), x), PER_E));
}

/* x Phi(x) = max(x, 0) - |x| Q(|x|), where Q is the upper tail of the normal
 * distribution, by Abramowitz and Stegun 7.1.26 for erfc(|x| / sqrt 2) / 2. */
INLINE __m256 gelu_ps(__m256 x)
{
    /* The tail at 12.5 is 4e-36: nothing beside x, and not yet denormal, which is slow. */
    __m256 a = _mm256_min_ps(set(12.5f), abs_ps(x));
    __m256 t =
        _mm256_div_ps(set(1.0f), _mm256_fmadd_ps(a, set(0.23164188827f), set(1.0f)));
    __m256 p = set(0.5307027145f);
    p = _mm256_fmadd_ps(p, t, set(-0.7265760135f));
    p = _mm256_fmadd_ps(p, t, set(0.7107068705f));
    p = _mm256_fmadd_ps(p, t, set(-0.142248368f));
    p = _mm256_fmadd_ps(p, t, set(0.127414796f));
    __m256 tail =
        _mm256_mul_ps(_mm256_mul_ps(p, t), two_to(_mm256_mul_ps(a, a), -0.5f * PER_E));
    return _mm256_fnmadd_ps(a, tail, _mm256_max_ps(_mm256_setzero_ps(), x));
}

/* x / (1 + e^-z), where e^-|z| is what is computed: it cannot overflow. */
INLINE __m256 gated(__m256 x, __m256 z)
{
    const __m256 one = set(1.0f);
    __m256 e = exp_ps(_mm256_or_ps(z, set(-0.0f)));
    __m256 below = _mm256_cmp_ps(z, _mm256_setzero_ps(), _CMP_LT_OQ);
    __m256 top = _mm256_blendv_ps(one, e, below);
    return _mm256_mul_ps(x, _mm256_div_ps(top, _mm256_add_ps(one, e)));
}

INLINE __m256 silu_ps(__m256 x)
{
    return gated(x, x);
}

/* (1 + tanh u) / 2 = 1 / (1 + e^-2u) */
INLINE __m256 gelu_tanh_ps(__m256 x)
{
    const float twice = 1.59576912160573071f; /* 2 sqrt(2 / pi) */
    __m256 cube =
        _mm256_fmadd_ps(_mm256_mul_ps(x, x), set(0.044715f * twice), set(twice));
    return gated(x, _mm256_mul_ps(x, cube));
}

INLINE __m256 relu_ps(__m256 x)
{
    return _mm256_max_ps(_mm256_setzero_ps(), x); /* the second one, if one is NaN */
}

/* An odd polynomial near zero, 1 - 2 / (e^2|x| + 1) with the sign of x elsewhere. */
INLINE __m256 tanh_ps(__m256 x)
{
    __m256 a = _mm256_min_ps(set(20.0f), abs_ps(x)), z = _mm256_mul_ps(x, x);
    __m256 p = set(-5.70498872745e-3f);
    p = _mm256_fmadd_ps(p, z, set(2.06390887954e-2f));
    p = _mm256_fmadd_ps(p, z, set(-5.37397155531e-2f));
    p = _mm256_fmadd_ps(p, z, set(1.33314422036e-1f));
    p = _mm256_fmadd_ps(p, z, set(-3.33332819422e-1f));
    __m256 small = _mm256_fmadd_ps(_mm256_mul_ps(p, z), x, x);
    __m256 e = _mm256_add_ps(two_to(a, 2 * PER_E), set(1.0f));
    __m256 big = _mm256_sub_ps(set(1.0f), _mm256_div_ps(set(2.0f), e));
    big = _mm256_or_ps(big, _mm256_and_ps(x, set(-0.0f)));
    return _mm256_blendv_ps(big, small, _mm256_cmp_ps(a, set(0.625f), _CMP_LT_OQ));
}

#define EACH(name, f)                                                                  \
    void name(float *x, size_t n)                                                      \
    {                                                                                  \
        size_t i = 0;                                                                  \
        for (; i + 8 <= n; i += 8) _mm256_storeu_ps(x + i, f(_mm256_loadu_ps(x + i))); \
        if (i < n) {                                                                   \
            __m256i mask = first_lanes(n - i);                                         \
            _mm256_maskstore_ps(x + i, mask, f(_mm256_maskload_ps(x + i, mask)));      \
        }                                                                              \
    }
EACH(qn_num__gelu_avx2, gelu_ps)
EACH(qn_num__tanh_avx2, tanh_ps)
EACH(qn_num__gelu_tanh_avx2, gelu_tanh_ps)
EACH(qn_num__silu_avx2, silu_ps)
EACH(qn_num__relu_avx2, relu_ps)

void qn_num__rotate_avx2(float *x, const float *c, const float *s, size_t half,
                         size_t count)
{
    for (size_t v = 0; v < count; v++, x += 2 * half) {
        for (size_t i = 0; i < half; i += 8) {
            __m256i m = first_lanes(half - i);
            __m256 a = _mm256_maskload_ps(x + i, m);
            __m256 b = _mm256_maskload_ps(x + half + i, m);
            __m256 cs = _mm256_maskload_ps(c + i, m), sn = _mm256_maskload_ps(s + i, m);
            _mm256_maskstore_ps(
                x + i, m, _mm256_sub_ps(_mm256_mul_ps(a, cs), _mm256_mul_ps(b, sn)));
            _mm256_maskstore_ps(
                x + half + i, m,
                _mm256_add_ps(_mm256_mul_ps(b, cs), _mm256_mul_ps(a, sn)));
        }
    }
}

float qn_num__softmax_sum_avx2(float *x, size_t n)
{
    const __m256 lowest = set(-__builtin_inff());
    __m256 most = lowest, sum = _mm256_setzero_ps();
    __m256i mask = first_lanes(n % 8);
    size_t i, whole = n - n % 8;
    for (i = 0; i < whole; i += 8) most = _mm256_max_ps(most, _mm256_loadu_ps(x + i));
    if (i < n)
        most = _mm256_max_ps(most,
                             _mm256_blendv_ps(lowest, _mm256_maskload_ps(x + i, mask),
                                              _mm256_castsi256_ps(mask)));
    const __m256 top = set(max_lanes(most));
    for (i = 0; i < whole; i += 8) {
        __m256 e = exp_ps(_mm256_sub_ps(_mm256_loadu_ps(x + i), top));
        sum = _mm256_add_ps(sum, e);
        _mm256_storeu_ps(x + i, e);
    }
    if (i < n) {
        __m256 e = exp_ps(_mm256_sub_ps(_mm256_maskload_ps(x + i, mask), top));
        sum = _mm256_add_ps(sum, _mm256_and_ps(e, _mm256_castsi256_ps(mask)));
        _mm256_maskstore_ps(x + i, mask, e);
    }
    return sum_lanes(sum);
}

void qn_num__scale_avx2(float *x, float a, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(x + i, _mm256_mul_ps(_mm256_loadu_ps(x + i), set(a)));
    if (i < n) {
        __m256i mask = first_lanes(n - i);
        _mm256_maskstore_ps(x + i, mask,
                            _mm256_mul_ps(_mm256_maskload_ps(x + i, mask), set(a)));
    }
}

void qn_num__softmax_avx2(float *x, size_t n)
{
    qn_num__scale_avx2(x, 1.0f / qn_num__softmax_sum_avx2(x, n), n);
}

/* Eight values that lie within eight are one load and one shuffle. */
void qn_num__pick_avx2(const float *x, const int32_t *index, int32_t from, size_t n,
                       bool add, float *y)
{
    for (size_t i = 0; i < n; i += 8) {
        __m256i mask = first_lanes(n - i < 8 ? n - i : 8);
        int32_t first = index[i], last = index[n - i < 8 ? n - 1 : i + 7];
        int32_t low = first < last ? first : last, high = first < last ? last : first;
        __m256i at = _mm256_sub_epi32(_mm256_maskload_epi32(index + i, mask),
                                      _mm256_set1_epi32(low));
        const float *base = x + (low - from);
        __m256 v = high - low < 8 ? _mm256_permutevar8x32_ps(_mm256_loadu_ps(base), at)
                                  : _mm256_mask_i32gather_ps(
                                        set(0), base, at, _mm256_castsi256_ps(mask), 4);
        if (add) v = _mm256_add_ps(v, _mm256_maskload_ps(y + i, mask));
        _mm256_maskstore_ps(y + i, mask, v);
    }
}

INLINE __m256 normalised(__m256 x, __m256 mean, __m256 inverse, __m256 gamma,
                         __m256 beta)
{
    return _mm256_fmadd_ps(_mm256_mul_ps(_mm256_sub_ps(x, mean), inverse), gamma, beta);
}

void qn_num__layer_norm_avx2(const float *x, const float *gamma, const float *beta,
                             float eps, size_t n, float *out)
{
    __m256i mask = first_lanes(n % 8);
    __m256 sum = _mm256_setzero_ps(), squares = _mm256_setzero_ps();
    size_t i, whole = n - n % 8;
    for (i = 0; i < whole; i += 8) sum = _mm256_add_ps(sum, _mm256_loadu_ps(x + i));
    if (i < n) sum = _mm256_add_ps(sum, _mm256_maskload_ps(x + i, mask));
    const __m256 mean = set(sum_lanes(sum) / (float)n);
    for (i = 0; i < whole; i += 8) {
        __m256 d = _mm256_sub_ps(_mm256_loadu_ps(x + i), mean);
        squares = _mm256_fmadd_ps(d, d, squares);
    }
    if (i < n) {
        __m256 d = _mm256_sub_ps(_mm256_maskload_ps(x + i, mask), mean);
        d = _mm256_and_ps(d, _mm256_castsi256_ps(mask));
        squares = _mm256_fmadd_ps(d, d, squares);
    }
    __m128 variance = _mm_set_ss(sum_lanes(squares) / (float)n + eps);
    const __m256 inverse = set(1.0f / _mm_cvtss_f32(_mm_sqrt_ss(variance)));
    for (i = 0; i < whole; i += 8)
        _mm256_storeu_ps(out + i,
                         normalised(_mm256_loadu_ps(x + i), mean, inverse,
                                    _mm256_loadu_ps(gamma + i),
                                    beta == NULL ? set(0) : _mm256_loadu_ps(beta + i)));
    if (i < n)
        _mm256_maskstore_ps(
            out + i, mask,
            normalised(_mm256_maskload_ps(x + i, mask), mean, inverse,
                       _mm256_maskload_ps(gamma + i, mask),
                       beta == NULL ? set(0) : _mm256_maskload_ps(beta + i, mask)));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* math_avx2.c -- softmax, layer norm, GELU and tanh eight at a time. Compiled with
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

/* e^x for x <= 88; below -87.33, where the result leaves the normal numbers, 0. NaN
 * stays: min and max give their second operand then. */
INLINE __m256 exp_ps(__m256 x)
{
    __m256 live = _mm256_cmp_ps(x, set(-87.33f), _CMP_NLT_UQ);
    x = _mm256_max_ps(set(-87.33f), _mm256_min_ps(set(88.0f), x));
    __m256 n = _mm256_round_ps(_mm256_mul_ps(x, set(1.44269504088896341f)),
                               _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(n, set(0.693359375f), x);
    r = _mm256_fnmadd_ps(n, set(-2.12194440e-4f), r);
    __m256 p = set(1.9875691500e-4f);
    p = _mm256_fmadd_ps(p, r, set(1.3981999507e-3f));
    p = _mm256_fmadd_ps(p, r, set(8.3334519073e-3f));
    p = _mm256_fmadd_ps(p, r, set(4.1665795894e-2f));
    p = _mm256_fmadd_ps(p, r, set(1.6666665459e-1f));
    p = _mm256_fmadd_ps(p, r, set(5.0000001201e-1f));
    p = _mm256_fmadd_ps(p, _mm256_mul_ps(r, r), _mm256_add_ps(r, set(1.0f)));
    __m256i power = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    p = _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32(power, 23)));
    return _mm256_and_ps(p, live);
}

/* x Phi(x) = max(x, 0) - |x| Q(|x|), where Q is the upper tail of the normal
 * distribution, by Abramowitz and Stegun 7.1.26. */
INLINE __m256 gelu_ps(__m256 x)
{
    __m256 a = _mm256_min_ps(set(20.0f), abs_ps(x)); /* Q(20) is 0 in float */
    __m256 z = _mm256_mul_ps(a, set(0.70710678118654752f));
    __m256 t = _mm256_div_ps(set(1.0f), _mm256_fmadd_ps(z, set(0.3275911f), set(1.0f)));
    __m256 p = set(1.061405429f);
    p = _mm256_fmadd_ps(p, t, set(-1.453152027f));
    p = _mm256_fmadd_ps(p, t, set(1.421413741f));
    p = _mm256_fmadd_ps(p, t, set(-0.284496736f));
    p = _mm256_fmadd_ps(p, t, set(0.254829592f));
    p = _mm256_mul_ps(_mm256_mul_ps(p, t), set(0.5f));
    __m256 e = exp_ps(_mm256_mul_ps(_mm256_mul_ps(a, a), set(-0.5f)));
    __m256 tail = _mm256_mul_ps(p, e);
    return _mm256_fnmadd_ps(a, tail, _mm256_max_ps(_mm256_setzero_ps(), x));
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
    __m256 e = _mm256_add_ps(exp_ps(_mm256_add_ps(a, a)), set(1.0f));
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

void qn_num__softmax_avx2(float *x, size_t n)
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
    const __m256 inverse = set(1.0f / sum_lanes(sum));
    for (i = 0; i < whole; i += 8)
        _mm256_storeu_ps(x + i, _mm256_mul_ps(_mm256_loadu_ps(x + i), inverse));
    if (i < n)
        _mm256_maskstore_ps(x + i, mask,
                            _mm256_mul_ps(_mm256_maskload_ps(x + i, mask), inverse));
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
        _mm256_storeu_ps(out + i, normalised(_mm256_loadu_ps(x + i), mean, inverse,
                                             _mm256_loadu_ps(gamma + i),
                                             _mm256_loadu_ps(beta + i)));
    if (i < n)
        _mm256_maskstore_ps(out + i, mask,
                            normalised(_mm256_maskload_ps(x + i, mask), mean, inverse,
                                       _mm256_maskload_ps(gamma + i, mask),
                                       _mm256_maskload_ps(beta + i, mask)));
}

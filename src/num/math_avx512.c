/* SPDX-License-Identifier: Apache-2.0 */
/* math_avx512.c -- softmax, layer norm, GELU and tanh sixteen at a time. Compiled with
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
    return n - i >= 16 ? (__mmask16)0xFFFF : (__mmask16)((1u << (n - i)) - 1u);
}

/* e^x for x <= 88; 0 where even denormal numbers end. NaN stays: min and max give their
 * second operand then. */
INLINE __m512 exp_ps(__m512 x)
{
    x = _mm512_max_ps(set(-105.0f), _mm512_min_ps(set(88.0f), x));
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, set(1.44269504088896341f)),
                                    _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 r = _mm512_fnmadd_ps(n, set(0.693359375f), x);
    r = _mm512_fnmadd_ps(n, set(-2.12194440e-4f), r);
    __m512 p = set(1.9875691500e-4f);
    p = _mm512_fmadd_ps(p, r, set(1.3981999507e-3f));
    p = _mm512_fmadd_ps(p, r, set(8.3334519073e-3f));
    p = _mm512_fmadd_ps(p, r, set(4.1665795894e-2f));
    p = _mm512_fmadd_ps(p, r, set(1.6666665459e-1f));
    p = _mm512_fmadd_ps(p, r, set(5.0000001201e-1f));
    p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), _mm512_add_ps(r, set(1.0f)));
    return _mm512_scalef_ps(p, n);
}

/* x Phi(x) = max(x, 0) - |x| Q(|x|), where Q is the upper tail of the normal
 * distribution, by Abramowitz and Stegun 7.1.26. */
INLINE __m512 gelu_ps(__m512 x)
{
    __m512 a = _mm512_min_ps(set(20.0f), _mm512_abs_ps(x)); /* Q(20) is 0 in float */
    __m512 z = _mm512_mul_ps(a, set(0.70710678118654752f));
    __m512 t = _mm512_div_ps(set(1.0f), _mm512_fmadd_ps(z, set(0.3275911f), set(1.0f)));
    __m512 p = set(1.061405429f);
    p = _mm512_fmadd_ps(p, t, set(-1.453152027f));
    p = _mm512_fmadd_ps(p, t, set(1.421413741f));
    p = _mm512_fmadd_ps(p, t, set(-0.284496736f));
    p = _mm512_fmadd_ps(p, t, set(0.254829592f));
    p = _mm512_mul_ps(_mm512_mul_ps(p, t), set(0.5f));
    __m512 e = exp_ps(_mm512_mul_ps(_mm512_mul_ps(a, a), set(-0.5f)));
    __m512 tail = _mm512_mul_ps(p, e);
    return _mm512_fnmadd_ps(a, tail, _mm512_max_ps(_mm512_setzero_ps(), x));
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
    __m512 e = _mm512_add_ps(exp_ps(_mm512_add_ps(a, a)), set(1.0f));
    __m512 big = _mm512_sub_ps(set(1.0f), _mm512_div_ps(set(2.0f), e));
    big = _mm512_or_ps(big, _mm512_and_ps(x, set(-0.0f)));
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, set(0.625f), _CMP_LT_OQ), big,
                                small);
}

#define EACH(name, f)                                                                  \
    void name(float *x, size_t n)                                                      \
    {                                                                                  \
        for (size_t i = 0; i < n; i += 16) {                                           \
            __mmask16 m = lanes(i, n);                                                 \
            _mm512_mask_storeu_ps(x + i, m, f(_mm512_maskz_loadu_ps(m, x + i)));       \
        }                                                                              \
    }
EACH(qn_num__gelu_avx512, gelu_ps)
EACH(qn_num__tanh_avx512, tanh_ps)

void qn_num__softmax_avx512(float *x, size_t n)
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
    const __m512 inverse = set(1.0f / _mm512_reduce_add_ps(sum));
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 m = lanes(i, n);
        _mm512_mask_storeu_ps(x + i, m,
                              _mm512_mul_ps(_mm512_maskz_loadu_ps(m, x + i), inverse));
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
        y = _mm512_fmadd_ps(_mm512_mul_ps(y, inverse),
                            _mm512_maskz_loadu_ps(m, gamma + i),
                            _mm512_maskz_loadu_ps(m, beta + i));
        _mm512_mask_storeu_ps(out + i, m, y);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* math_neon.c -- softmax, layer norm and activations four at a time, for 64-bit Arm. The
 * formulas are those of math_avx512.c, explained in README.md; the last 1..3 elements go
 * through the same code, so an element's bits do not depend on its place. */
#include "num/kernels_internal.h"

#include <arm_neon.h>

#define INLINE static inline __attribute__((always_inline))

INLINE float32x4_t set(float x)
{
    return vdupq_n_f32(x);
}

/* Up to four elements, zeros behind. */
INLINE float32x4_t load(const float *p, size_t n)
{
    if (n >= 4) return vld1q_f32(p);
    float lanes[4] = {0};
    for (size_t i = 0; i < n; i++) lanes[i] = p[i];
    return vld1q_f32(lanes);
}

INLINE void store(float *p, size_t n, float32x4_t v)
{
    if (n >= 4) {
        vst1q_f32(p, v);
        return;
    }
    float lanes[4];
    vst1q_f32(lanes, v);
    for (size_t i = 0; i < n; i++) p[i] = lanes[i];
}

/* v in the first n lanes, `other` behind. */
INLINE float32x4_t first_lanes(float32x4_t v, size_t n, float32x4_t other)
{
    const uint32_t order[4] = {0, 1, 2, 3};
    uint32_t count = n >= 4 ? 4 : (uint32_t)n;
    return vbslq_f32(vcltq_u32(vld1q_u32(order), vdupq_n_u32(count)), v, other);
}

#define PER_E 1.44269504088896341f /* log2 e: e^x = 2^(x PER_E) */

/* 2^(x per), |x per| <= 125: adding 1.5 * 2^23 rounds the exponent to n and leaves n in
 * the low bits, ready to be added to the exponent of 2^r. */
INLINE float32x4_t two_to(float32x4_t x, float per)
{
    const float32x4_t magic = set(12582912.0f);
    float32x4_t shifted = vfmaq_n_f32(magic, x, per);
    float32x4_t n = vsubq_f32(shifted, magic);
    float32x4_t r = vfmaq_n_f32(vnegq_f32(n), x, per);
    float32x4_t p = set(1.546144470e-4f);
    p = vfmaq_f32(set(1.340042818e-3f), p, r);
    p = vfmaq_f32(set(9.618056679e-3f), p, r);
    p = vfmaq_f32(set(5.550327227e-2f), p, r);
    p = vfmaq_f32(set(2.402265092e-1f), p, r);
    p = vfmaq_f32(set(6.931472067e-1f), p, r);
    p = vfmaq_f32(set(1.0f), p, r);
    int32x4_t power = vshlq_n_s32(vreinterpretq_s32_f32(shifted), 23);
    return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(p), power));
}

/* e^x for x <= 0; below -87.33, where the result leaves the normal numbers, 0. */
INLINE float32x4_t exp_ps(float32x4_t x)
{
    uint32x4_t dead = vcltq_f32(x, set(-87.33f));
    float32x4_t e = two_to(vmaxq_f32(set(-87.33f), x), PER_E);
    return vbslq_f32(dead, set(0), e);
}

/* x Phi(x) = max(x, 0) - |x| Q(|x|), where Q is the upper tail of the normal
 * distribution, by Abramowitz and Stegun 7.1.26 for erfc(|x| / sqrt 2) / 2. */
INLINE float32x4_t gelu_ps(float32x4_t x)
{
    /* The tail at 12.5 is 4e-36: nothing beside x, and not yet denormal. */
    float32x4_t a = vminq_f32(set(12.5f), vabsq_f32(x));
    float32x4_t t = vdivq_f32(set(1.0f), vfmaq_n_f32(set(1.0f), a, 0.23164188827f));
    float32x4_t p = set(0.5307027145f);
    p = vfmaq_f32(set(-0.7265760135f), p, t);
    p = vfmaq_f32(set(0.7107068705f), p, t);
    p = vfmaq_f32(set(-0.142248368f), p, t);
    p = vfmaq_f32(set(0.127414796f), p, t);
    float32x4_t tail =
        vmulq_f32(vmulq_f32(p, t), two_to(vmulq_f32(a, a), -0.5f * PER_E));
    return vfmsq_f32(vmaxq_f32(set(0), x), a, tail);
}

/* x / (1 + e^-z), where e^-|z| is what is computed: it cannot overflow. */
INLINE float32x4_t gated(float32x4_t x, float32x4_t z)
{
    const float32x4_t one = set(1.0f);
    float32x4_t e = exp_ps(vnegq_f32(vabsq_f32(z)));
    float32x4_t top = vbslq_f32(vcltq_f32(z, set(0)), e, one);
    return vmulq_f32(x, vdivq_f32(top, vaddq_f32(one, e)));
}

INLINE float32x4_t silu_ps(float32x4_t x)
{
    return gated(x, x);
}

/* (1 + tanh u) / 2 = 1 / (1 + e^-2u) */
INLINE float32x4_t gelu_tanh_ps(float32x4_t x)
{
    const float twice = 1.59576912160573071f; /* 2 sqrt(2 / pi) */
    float32x4_t cube = vfmaq_n_f32(set(twice), vmulq_f32(x, x), 0.044715f * twice);
    return gated(x, vmulq_f32(x, cube));
}

INLINE float32x4_t relu_ps(float32x4_t x)
{
    return vmaxq_f32(set(0), x);
}

/* An odd polynomial near zero, 1 - 2 / (e^2|x| + 1) with the sign of x elsewhere. */
INLINE float32x4_t tanh_ps(float32x4_t x)
{
    float32x4_t a = vminq_f32(set(20.0f), vabsq_f32(x)), z = vmulq_f32(x, x);
    float32x4_t p = set(-5.70498872745e-3f);
    p = vfmaq_f32(set(2.06390887954e-2f), p, z);
    p = vfmaq_f32(set(-5.37397155531e-2f), p, z);
    p = vfmaq_f32(set(1.33314422036e-1f), p, z);
    p = vfmaq_f32(set(-3.33332819422e-1f), p, z);
    float32x4_t small = vfmaq_f32(x, vmulq_f32(p, z), x);
    float32x4_t e = vaddq_f32(two_to(a, 2 * PER_E), set(1.0f));
    float32x4_t big = vsubq_f32(set(1.0f), vdivq_f32(set(2.0f), e));
    big = vbslq_f32(vdupq_n_u32(0x80000000u), x, big);
    return vbslq_f32(vcltq_f32(a, set(0.625f)), small, big);
}

#define EACH(name, f)                                                                  \
    void name(float *x, size_t n)                                                      \
    {                                                                                  \
        for (size_t i = 0; i < n; i += 4) store(x + i, n - i, f(load(x + i, n - i)));  \
    }
EACH(qn_num__gelu_neon, gelu_ps)
EACH(qn_num__tanh_neon, tanh_ps)
EACH(qn_num__gelu_tanh_neon, gelu_tanh_ps)
EACH(qn_num__silu_neon, silu_ps)
EACH(qn_num__relu_neon, relu_ps)

void qn_num__rotate_neon(float *x, const float *c, const float *s, size_t half,
                         size_t count)
{
    for (size_t v = 0; v < count; v++, x += 2 * half) {
        for (size_t i = 0; i < half; i += 4) {
            size_t n = half - i;
            float32x4_t a = load(x + i, n), b = load(x + half + i, n);
            float32x4_t cs = load(c + i, n), sn = load(s + i, n);
            store(x + i, n, vsubq_f32(vmulq_f32(a, cs), vmulq_f32(b, sn)));
            store(x + half + i, n, vaddq_f32(vmulq_f32(b, cs), vmulq_f32(a, sn)));
        }
    }
}

float qn_num__softmax_sum_neon(float *x, size_t n)
{
    const float32x4_t lowest = set(-__builtin_inff());
    float32x4_t most = lowest, sum = set(0);
    for (size_t i = 0; i < n; i += 4)
        most = vmaxq_f32(most, first_lanes(load(x + i, n - i), n - i, lowest));
    const float32x4_t top = set(vmaxvq_f32(most));
    for (size_t i = 0; i < n; i += 4) {
        float32x4_t e = exp_ps(vsubq_f32(load(x + i, n - i), top));
        sum = vaddq_f32(sum, first_lanes(e, n - i, set(0)));
        store(x + i, n - i, e);
    }
    return vaddvq_f32(sum);
}

void qn_num__scale_neon(float *x, float a, size_t n)
{
    for (size_t i = 0; i < n; i += 4)
        store(x + i, n - i, vmulq_n_f32(load(x + i, n - i), a));
}

void qn_num__softmax_neon(float *x, size_t n)
{
    qn_num__scale_neon(x, 1.0f / qn_num__softmax_sum_neon(x, n), n);
}

/* No shuffle takes any lane: four loads. */
void qn_num__pick_neon(const float *x, const int32_t *index, int32_t from, size_t n,
                       bool add, float *y)
{
    qn_num__pick_scalar(x, index, from, n, add, y);
}

void qn_num__layer_norm_neon(const float *x, const float *gamma, const float *beta,
                             float eps, size_t n, float *out)
{
    float32x4_t sum = set(0), squares = set(0);
    for (size_t i = 0; i < n; i += 4) sum = vaddq_f32(sum, load(x + i, n - i));
    const float32x4_t mean = set(vaddvq_f32(sum) / (float)n);
    for (size_t i = 0; i < n; i += 4) {
        float32x4_t d = vsubq_f32(load(x + i, n - i), mean);
        d = first_lanes(d, n - i, set(0));
        squares = vfmaq_f32(squares, d, d);
    }
    float32x4_t variance = set(vaddvq_f32(squares) / (float)n + eps);
    const float32x4_t inverse = vdivq_f32(set(1.0f), vsqrtq_f32(variance));
    for (size_t i = 0; i < n; i += 4) {
        float32x4_t y = vmulq_f32(vsubq_f32(load(x + i, n - i), mean), inverse);
        float32x4_t b = beta == NULL ? set(0) : load(beta + i, n - i);
        y = vfmaq_f32(b, y, load(gamma + i, n - i));
        store(out + i, n - i, y);
    }
}

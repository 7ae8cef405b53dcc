/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_neon.c -- 64-bit Arm, where these instructions are always there. Distances use
 * four accumulators; int8 products of 8 x 8 bits fit 16 bits exactly (128 * 128 = 2^14)
 * and are added in pairs to 32. */
#include "num/kernels_internal.h"

#include <arm_neon.h>

#define INLINE static inline __attribute__((always_inline))

INLINE float32x4_t step_f32(bool l2, float32x4_t x, float32x4_t y, float32x4_t acc)
{
    if (!l2) return vfmaq_f32(acc, x, y);
    float32x4_t d = vsubq_f32(x, y);
    return vfmaq_f32(acc, d, d);
}

INLINE float32x4_t load_part(const float *p, size_t n)
{
    float lanes[4] = {0};
    for (size_t i = 0; i < n; i++) lanes[i] = p[i];
    return vld1q_f32(lanes);
}

INLINE float pair_f32(bool l2, const float *a, const float *b, size_t n)
{
    float32x4_t acc[4] = {vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0),
                          vdupq_n_f32(0)};
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (size_t k = 0; k < 4; k++)
            acc[k] = step_f32(l2, vld1q_f32(a + i + 4 * k), vld1q_f32(b + i + 4 * k),
                              acc[k]);
    for (; i + 4 <= n; i += 4)
        acc[0] = step_f32(l2, vld1q_f32(a + i), vld1q_f32(b + i), acc[0]);
    if (i < n)
        acc[1] = step_f32(l2, load_part(a + i, n - i), load_part(b + i, n - i), acc[1]);
    return vaddvq_f32(vaddq_f32(vaddq_f32(acc[0], acc[1]), vaddq_f32(acc[2], acc[3])));
}

INLINE int32x4_t step_i8(bool l2, int8x8_t x, int8x8_t y, int32x4_t acc)
{
    if (!l2) return vpadalq_s16(acc, vmull_s8(x, y));
    int16x8_t d = vsubl_s8(x, y);
    acc = vmlal_s16(acc, vget_low_s16(d), vget_low_s16(d));
    return vmlal_s16(acc, vget_high_s16(d), vget_high_s16(d));
}

INLINE int32_t pair_i8(bool l2, const int8_t *a, const int8_t *b, size_t n)
{
    int32x4_t acc0 = vdupq_n_s32(0), acc1 = vdupq_n_s32(0);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        acc0 = step_i8(l2, vld1_s8(a + i), vld1_s8(b + i), acc0);
        acc1 = step_i8(l2, vld1_s8(a + i + 8), vld1_s8(b + i + 8), acc1);
    }
    int32_t sum = vaddvq_s32(vaddq_s32(acc0, acc1));
    for (; i < n; i++) sum += l2 ? (a[i] - b[i]) * (a[i] - b[i]) : a[i] * b[i];
    return sum;
}

float qn_num__dot_f32_neon(const float *a, const float *b, size_t n)
{
    return pair_f32(false, a, b, n);
}

float qn_num__l2_f32_neon(const float *a, const float *b, size_t n)
{
    return pair_f32(true, a, b, n);
}

int32_t qn_num__dot_i8_neon(const int8_t *a, const int8_t *b, size_t n)
{
    return pair_i8(false, a, b, n);
}

int32_t qn_num__l2_i8_neon(const int8_t *a, const int8_t *b, size_t n)
{
    return pair_i8(true, a, b, n);
}

void qn_num__dot_f32_rows_neon(const float *q, const float *v, size_t rows, size_t n,
                               float *out)
{
    for (size_t r = 0; r < rows; r++) out[r] = pair_f32(false, v + r * n, q, n);
}

void qn_num__l2_f32_rows_neon(const float *q, const float *v, size_t rows, size_t n,
                              float *out)
{
    for (size_t r = 0; r < rows; r++) out[r] = pair_f32(true, v + r * n, q, n);
}

void qn_num__dot_i8_rows_neon(const int8_t *q, const int8_t *v, size_t rows, size_t n,
                              int32_t *out)
{
    for (size_t r = 0; r < rows; r++) out[r] = pair_i8(false, v + r * n, q, n);
}

void qn_num__l2_i8_rows_neon(const int8_t *q, const int8_t *v, size_t rows, size_t n,
                             int32_t *out)
{
    for (size_t r = 0; r < rows; r++) out[r] = pair_i8(true, v + r * n, q, n);
}

void qn_num__add_neon(float *y, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(y + i, vaddq_f32(vld1q_f32(y + i), vld1q_f32(x + i)));
    for (; i < n; i++) y[i] += x[i];
}

void qn_num__axpy_neon(float a, const float *x, float *y, size_t n)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(y + i, vfmaq_n_f32(vld1q_f32(y + i), vld1q_f32(x + i), a));
    for (; i < n; i++) y[i] = __builtin_fmaf(a, x[i], y[i]);
}

void qn_num__mul_neon(const float *x, const float *y, float *out, size_t n)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(out + i, vmulq_f32(vld1q_f32(x + i), vld1q_f32(y + i)));
    for (; i < n; i++) out[i] = x[i] * y[i];
}

float qn_num__center_neon(float *x, size_t n)
{
    if (n == 0) return 0.0f;
    float32x4_t vlow = vdupq_n_f32(x[0]), vhigh = vlow;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        float32x4_t v = vld1q_f32(x + i);
        vlow = vminq_f32(vlow, v);
        vhigh = vmaxq_f32(vhigh, v);
    }
    float low = vminvq_f32(vlow), high = vmaxvq_f32(vhigh);
    for (; i < n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    float middle = (low + high) / 2;
    const float32x4_t vmiddle = vdupq_n_f32(middle);
    for (i = 0; i + 4 <= n; i += 4)
        vst1q_f32(x + i, vsubq_f32(vld1q_f32(x + i), vmiddle));
    for (; i < n; i++) x[i] -= middle;
    return middle;
}

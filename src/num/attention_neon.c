/* SPDX-License-Identifier: Apache-2.0 */
/* attention_neon.c -- attention in integers four at a time, for 64-bit Arm. */
#include "num/kernels_internal.h"

#include <arm_neon.h>

#define INLINE static inline __attribute__((always_inline))

enum { LANES = 4, ROWS = 4, COLS = 16, VECTORS = 4 };
typedef float32x4_t vf;
typedef int32x4_t vi;

INLINE float32x4_t load_first(const float *p, size_t n)
{
    if (n >= 4) return vld1q_f32(p);
    float lanes[4] = {0};
    for (size_t i = 0; i < n; i++) lanes[i] = p[i];
    return vld1q_f32(lanes);
}

/* a > b ? a : b: the second operand if one is NaN, unlike vmaxq. */
INLINE float32x4_t upper(float32x4_t a, float32x4_t b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

INLINE float32x4_t lower(float32x4_t a, float32x4_t b)
{
    return vbslq_f32(vcltq_f32(a, b), a, b);
}

INLINE int32x4_t upper_bits(int32x4_t a, int32x4_t b)
{
    return vreinterpretq_s32_u32(
        vmaxq_u32(vreinterpretq_u32_s32(a), vreinterpretq_u32_s32(b)));
}

INLINE void store_8(int8_t *p, int32x4_t v)
{
    int32_t lanes[4];
    vst1q_s32(lanes, v);
    for (size_t i = 0; i < 4; i++) p[i] = (int8_t)(lanes[i] & 0xFF);
}

#define set(x) vdupq_n_f32(x)
#define set_i(x) vdupq_n_s32(x)
#define load(p) vld1q_f32(p)
#define add(a, b) vaddq_f32(a, b)
#define sub(a, b) vsubq_f32(a, b)
#define mul(a, b) vmulq_f32(a, b)
#define quot(a, b) vdivq_f32(a, b)
#define fma(a, b, c) vfmaq_f32(c, a, b)
#define bits(v) vreinterpretq_s32_f32(v)
#define as_float(v) vreinterpretq_f32_s32(v)
#define add_i(a, b) vaddq_s32(a, b)
#define sub_i(a, b) vsubq_s32(a, b)
#define and_i(a, b) vandq_s32(a, b)
#define or_i(a, b) vorrq_s32(a, b)
#define shift_left(v, n) vshlq_n_s32(v, n)
#define less_i(a, b) vreinterpretq_s32_u32(vcltq_s32(a, b))
#define select(m, a, b) vbslq_f32(vreinterpretq_u32_s32(m), a, b)
#define round_i(v) vcvtnq_s32_f32(v)
#define upper_lane(v) vmaxvq_f32(v)
#define sum_lanes(v) vaddvq_s32(v)
#define sum_lanes_f(v) vaddvq_f32(v)
#define store_f(p, v) vst1q_f32(p, v)
#define store_i(p, v) vst1q_s32((int32_t *)(void *)(p), v)
#define store_16(p, v) vst1_s16((int16_t *)(void *)(p), vmovn_s32(v))

#include "num/attention_body.h"

static void keys(const qn_i16_keys *k)
{
    keys_of(1, true, COLS, k);
}

INLINE void store(const qn_tile_i16 *t, size_t row, size_t v, int32x4_t sum)
{
    size_t n = t->cols > 4 * v ? t->cols - 4 * v : 0;
    float32x4_t scale = vmulq_n_f32(vld1q_f32(t->col_scale + 4 * v), t->row_scale[row]);
    float32x4_t y = vmulq_f32(vcvtq_f32_s32(sum), scale);
    float *to = t->y + row * t->ldy + 4 * v, lanes[4];
    if (t->bias != NULL) y = vaddq_f32(y, vld1q_f32(t->bias + 4 * v));
    if (t->add) y = vaddq_f32(y, load_first(to, n));
    vst1q_f32(lanes, y);
    for (size_t i = 0; i < 4 && i < n; i++) to[i] = lanes[i];
}

/* Pairs come apart as they are loaded: all first values, all second ones. */
INLINE void rows(const size_t MR, const qn_tile_i16 *t, size_t row)
{
    int32x4_t acc[ROWS][VECTORS];
    const int16_t *a = t->a + row * t->lda, *b = t->b;
    QN_UNROLL
    for (size_t i = 0; i < MR; i++) {
        QN_UNROLL
        for (size_t v = 0; v < VECTORS; v++) acc[i][v] = vdupq_n_s32(0);
    }
    for (size_t k = 0; k < t->pairs; k++, b += t->ldb) {
        int16x8x2_t low = vld2q_s16(b), high = vld2q_s16(b + 16);
        QN_UNROLL
        for (size_t i = 0; i < MR; i++) {
            QN_UNROLL
            for (size_t j = 0; j < 2; j++) {
                int16_t x = a[i * t->lda + 2 * k + j];
                acc[i][0] = vmlal_n_s16(acc[i][0], vget_low_s16(low.val[j]), x);
                acc[i][1] = vmlal_high_n_s16(acc[i][1], low.val[j], x);
                acc[i][2] = vmlal_n_s16(acc[i][2], vget_low_s16(high.val[j]), x);
                acc[i][3] = vmlal_high_n_s16(acc[i][3], high.val[j], x);
            }
        }
    }
    QN_UNROLL
    for (size_t i = 0; i < MR; i++) {
        QN_UNROLL
        for (size_t v = 0; v < VECTORS; v++) store(t, row + i, v, acc[i][v]);
    }
}

#define ROWS_OF(mr) rows(mr, t, row)

static void run(const qn_tile_i16 *t)
{
    for (size_t row = 0; row < t->rows; row += ROWS) {
        switch (t->rows - row) {
            QN_ROWS_UP_TO_3(ROWS_OF);
        default:
            ROWS_OF(4);
        }
    }
}

const qn_tiles_i16 qn_num__tiles_i16_neon = {ROWS, COLS,   probabilities,
                                             keys, values, run};

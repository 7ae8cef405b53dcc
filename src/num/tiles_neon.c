/* SPDX-License-Identifier: Apache-2.0 */
/* tiles_neon.c -- 6 x 16 of the result in 24 of the 32 registers (int8: 4 x 16 in 16);
 * and the making of int8 activations, for 64-bit Arm. int8: both sides are widened to 16
 * bits and multiplied into 32: exact, on every Arm (the dot-product extension is not
 * asked for). */
#include "num/kernels_internal.h"

#include <arm_neon.h>

#define INLINE static inline __attribute__((always_inline))

enum { ROWS = 6, I8_ROWS = 4, COLS = 16, VECTORS = 4 };

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

/* Columns from vector v on, of which `load` and `store` take at most four. */
INLINE size_t left(size_t cols, size_t v)
{
    return cols > 4 * v ? cols - 4 * v : 0;
}

INLINE void f32_rows(const bool WHOLE, const size_t MR, const qn_tile_f32 *t, size_t at)
{
    float32x4_t acc[ROWS][VECTORS], b[VECTORS];
    const size_t cols = WHOLE ? COLS : t->cols;
    const float *a = t->a + at * t->lda, *row = t->b;
    float *to = t->y + at * t->ldy;
    QN_UNROLL
    for (size_t i = 0; i < MR; i++) {
        QN_UNROLL
        for (size_t v = 0; v < VECTORS; v++)
            acc[i][v] = t->first ? vdupq_n_f32(0)
                                 : load(to + i * t->ldy + 4 * v, left(cols, v));
    }
    for (size_t k = 0; k < t->depth; k++, row += t->ldb) {
        QN_UNROLL
        for (size_t v = 0; v < VECTORS; v++) b[v] = load(row + 4 * v, left(cols, v));
        QN_UNROLL
        for (size_t i = 0; i < MR; i++) {
            float x = a[i * t->lda + k];
            QN_UNROLL
            for (size_t v = 0; v < VECTORS; v++)
                acc[i][v] = vfmaq_n_f32(acc[i][v], b[v], x);
        }
    }
    QN_UNROLL
    for (size_t i = 0; i < MR; i++) {
        QN_UNROLL
        for (size_t v = 0; v < VECTORS; v++) {
            float32x4_t y = vmulq_n_f32(acc[i][v], t->alpha);
            if (t->bias != NULL) y = vaddq_f32(y, load(t->bias + 4 * v, left(cols, v)));
            store(to + i * t->ldy + 4 * v, left(cols, v), y);
        }
    }
}

#define ROWS_OF(mr)                                                                    \
    if (t->cols == COLS)                                                               \
        f32_rows(true, mr, t, row);                                                    \
    else                                                                               \
        f32_rows(false, mr, t, row)

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

static void transpose(const float *B, size_t ldb, size_t cols, size_t K, float *out,
                      size_t ldo)
{
    size_t n = 0;
    for (; n + 4 <= cols; n += 4) {
        size_t k = 0;
        for (; k + 4 <= K; k += 4) {
            float32x4x4_t r;
            for (size_t i = 0; i < 4; i++) r.val[i] = vld1q_f32(B + (n + i) * ldb + k);
            float lanes[16];
            vst4q_f32(lanes, r); /* interleaves: rows become columns */
            for (size_t i = 0; i < 4; i++)
                vst1q_f32(out + (k + i) * ldo + n, vld1q_f32(lanes + 4 * i));
        }
        for (; k < K; k++)
            for (size_t i = 0; i < 4; i++) out[k * ldo + n + i] = B[(n + i) * ldb + k];
    }
    for (; n < cols; n++)
        for (size_t k = 0; k < K; k++) out[k * ldo + n] = B[n * ldb + k];
}

/* ---- int8 ---- */

/* Scale and its inverse for values of which |v| <= most; inverse 0 where there is none:
 * `all`, the largest |x| by its bits, says whether every one was finite. */
INLINE float scale_of(uint32_t all, float most, float *inverse)
{
    uint32_t most_is = vgetq_lane_u32(vreinterpretq_u32_f32(vdupq_n_f32(most)), 0);
    *inverse = 0;
    if (all >= 0x7F800000u || most_is >= 0x7F800000u) return __builtin_nanf("");
    if (most < QN_QUANTIZE_TINY) return 0;
    *inverse = 127.0f / most;
    return most / 127.0f;
}

/* The largest |x| by its bits: infinities and NaNs are above all numbers. */
INLINE uint32_t most_bits(const float *x, size_t n)
{
    uint32x4_t most = vdupq_n_u32(0);
    for (size_t i = 0; i < n; i += 4)
        most = vmaxq_u32(most, vreinterpretq_u32_f32(vabsq_f32(load(x + i, n - i))));
    return vmaxvq_u32(most);
}

INLINE float scale_plain(const float *x, size_t n, float *inverse)
{
    uint32_t bits = most_bits(x, n);
    float most = vgetq_lane_f32(vreinterpretq_f32_u32(vdupq_n_u32(bits)), 0);
    return scale_of(bits, most, inverse);
}

/* Subtracting is monotone: the largest |x - middle| is that of the lowest or of the
 * highest x. */
INLINE float scale_centered(const float *x, size_t n, float *middle, float *inverse)
{
    float low = x[0], high = x[0];
    size_t i = 0;
    if (n >= 4) {
        float32x4_t lowest = vld1q_f32(x), highest = lowest;
        for (i = 4; i + 4 <= n; i += 4) {
            lowest = vminq_f32(lowest, vld1q_f32(x + i));
            highest = vmaxq_f32(highest, vld1q_f32(x + i));
        }
        low = vminvq_f32(lowest);
        high = vmaxvq_f32(highest);
    }
    for (; i < n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    float mid = (low + high) / 2 + 0.0f, /* no -0 */
        below = mid - low, above = high - mid;
    *middle = mid;
    return scale_of(most_bits(x, n), above > below ? above : below, inverse);
}

/* Up to four values less `middle`, rounded to nearest, halves to even. */
INLINE int16x4_t quantize_4(const float *x, size_t n, float middle, float inverse)
{
    if (inverse == 0) return vdup_n_s16(0); /* 0 times an infinity would be NaN */
    float32x4_t v = vsubq_f32(load(x, n), vdupq_n_f32(middle));
    return vmovn_s32(vcvtnq_s32_f32(vmulq_n_f32(v, inverse)));
}

float qn_num__quantize_i8_neon(const float *x, size_t n, int8_t *q)
{
    float inverse, scale = scale_plain(x, n, &inverse);
    for (size_t i = 0; i < n; i += 4) {
        int16_t lanes[4];
        vst1_s16(lanes, quantize_4(x + i, n - i, 0, inverse));
        for (size_t j = 0; j < 4 && i + j < n; j++) q[i + j] = (int8_t)lanes[j];
    }
    return scale;
}

INLINE void quantize_words(const float *x, size_t K, float middle, float inverse,
                           int16_t *out)
{
    for (size_t k = 0; k < K; k += 4) {
        int16x4_t v = quantize_4(x + k, K - k, middle, inverse);
        if (k + 4 <= K) {
            vst1_s16(out + k, v);
            continue;
        }
        int16_t lanes[4];
        vst1_s16(lanes, v);
        for (size_t j = 0; k + j < K; j++) out[k + j] = lanes[j];
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

INLINE void i8_store(const qn_tile_i8 *t, size_t row, size_t v, int32x4_t sum)
{
    size_t n = left(t->cols, v);
    float32x4_t scale = vmulq_n_f32(load(t->col_scale + 4 * v, n), t->row_scale[row]);
    float32x4_t y = vmulq_f32(vcvtq_f32_s32(sum), scale);
    float *to = t->y + row * t->ldy + 4 * v;
    if (t->middle != NULL)
        y = vaddq_f32(y, vmulq_n_f32(load(t->col_sum + 4 * v, n), t->middle[row]));
    if (t->bias != NULL) y = vaddq_f32(y, load(t->bias + 4 * v, n));
    if (t->add) y = vaddq_f32(y, load(to, n));
    store(to, n, y);
}

INLINE void i8_rows(const size_t MR, const qn_tile_i8 *t, size_t at)
{
    int32x4_t acc[I8_ROWS][VECTORS];
    const uint8_t *a = (const uint8_t *)t->a + at * t->lda_bytes;
    const int8_t *b = t->b;
    QN_UNROLL
    for (size_t i = 0; i < MR; i++) {
        QN_UNROLL
        for (size_t v = 0; v < VECTORS; v++) acc[i][v] = vdupq_n_s32(0);
    }
    for (size_t k = 0; k < t->groups; k++, b += COLS) {
        int8x16_t bytes = vld1q_s8(b);
        int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
        QN_UNROLL
        for (size_t i = 0; i < MR; i++) {
            int16_t x = ((const int16_t *)(const void *)(a + i * t->lda_bytes))[k];
            acc[i][0] = vmlal_n_s16(acc[i][0], vget_low_s16(low), x);
            acc[i][1] = vmlal_high_n_s16(acc[i][1], low, x);
            acc[i][2] = vmlal_n_s16(acc[i][2], vget_low_s16(high), x);
            acc[i][3] = vmlal_high_n_s16(acc[i][3], high, x);
        }
    }
    QN_UNROLL
    for (size_t i = 0; i < MR; i++) {
        QN_UNROLL
        for (size_t v = 0; v < VECTORS; v++) i8_store(t, at + i, v, acc[i][v]);
    }
}

#define ROWS_OF(mr) i8_rows(mr, t, row)

static void tile_i8(const qn_tile_i8 *t)
{
    for (size_t row = 0; row < t->rows; row += I8_ROWS) {
        switch (t->rows - row) {
            QN_ROWS_UP_TO_3(ROWS_OF);
        default:
            ROWS_OF(4);
        }
    }
}

const qn_tiles qn_num__tiles_neon = {
    .f32_rows = ROWS,
    .f32_cols = COLS,
    .f32_depth = 768,
    .f32 = tile_f32,
    .transpose = transpose,
};

const qn_tiles_i8 qn_num__tiles_i8_neon = {
    .rows = I8_ROWS,
    .cols = COLS,
    .group = 1,
    .element_bytes = 2,
    .activations = activations,
    .centered = centered,
    .run = tile_i8,
    .i16 = &qn_num__tiles_i16_neon,
};

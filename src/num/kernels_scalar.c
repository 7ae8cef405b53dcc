/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_scalar.c -- the meaning of each kernel: every other set is tested against
 * this one. Plain on purpose, sums in double so that it is also the most exact; do not
 * optimise it. Where a result must have the same bits everywhere (quantize_i8), each
 * step is rounded to float here too. */
#include "num/kernels_internal.h"

#include <math.h>
#include <string.h>

float qn_num__dot_f32_scalar(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return (float)sum;
}

float qn_num__l2_f32_scalar(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)a[i] - (double)b[i];
        sum += d * d;
    }
    return (float)sum;
}

int32_t qn_num__dot_i8_scalar(const int8_t *a, const int8_t *b, size_t n)
{
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

int32_t qn_num__l2_i8_scalar(const int8_t *a, const int8_t *b, size_t n)
{
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sum;
}

void qn_num__dot_f32_rows_scalar(const float *q, const float *v, size_t rows, size_t n,
                                 float *out)
{
    for (size_t r = 0; r < rows; r++) out[r] = qn_num__dot_f32_scalar(q, v + r * n, n);
}

void qn_num__l2_f32_rows_scalar(const float *q, const float *v, size_t rows, size_t n,
                                float *out)
{
    for (size_t r = 0; r < rows; r++) out[r] = qn_num__l2_f32_scalar(q, v + r * n, n);
}

void qn_num__dot_i8_rows_scalar(const int8_t *q, const int8_t *v, size_t rows, size_t n,
                                int32_t *out)
{
    for (size_t r = 0; r < rows; r++) out[r] = qn_num__dot_i8_scalar(q, v + r * n, n);
}

void qn_num__l2_i8_rows_scalar(const int8_t *q, const int8_t *v, size_t rows, size_t n,
                               int32_t *out)
{
    for (size_t r = 0; r < rows; r++) out[r] = qn_num__l2_i8_scalar(q, v + r * n, n);
}

/* quantize_i8() of x - middle. */
static float quantize_about(const float *x, size_t n, float middle, int8_t *q)
{
    float most = 0;
    bool finite = true;
    for (size_t i = 0; i < n; i++) {
        float v = x[i] - middle;
        if (!isfinite(v)) finite = false;
        if (fabsf(v) > most) most = fabsf(v);
    }
    memset(q, 0, n);
    if (!finite) return NAN;
    if (most < QN_QUANTIZE_TINY) return 0;
    float inverse = 127.0f / most;
    for (size_t i = 0; i < n; i++) q[i] = (int8_t)lrintf((x[i] - middle) * inverse);
    return most / 127.0f;
}

float qn_num__quantize_i8_scalar(const float *x, size_t n, int8_t *q)
{
    return quantize_about(x, n, 0, q);
}

void qn_num__softmax_scalar(float *x, size_t n)
{
    float most = -INFINITY;
    for (size_t i = 0; i < n; i++)
        if (x[i] > most) most = x[i];
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)exp((double)x[i] - (double)most);
        sum += (double)x[i];
    }
    for (size_t i = 0; i < n; i++) x[i] = (float)((double)x[i] / sum);
}

float qn_num__softmax_sum_scalar(float *x, size_t n)
{
    float most = -INFINITY;
    for (size_t i = 0; i < n; i++)
        if (x[i] > most) most = x[i];
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)exp((double)x[i] - (double)most);
        sum += (double)x[i];
    }
    return (float)sum;
}

void qn_num__pick_scalar(const float *x, const int32_t *index, int32_t from, size_t n,
                         bool add, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = add ? y[i] + x[index[i] - from] : x[index[i] - from];
}

void qn_num__scale_scalar(float *x, float a, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] *= a;
}

void qn_num__layer_norm_scalar(const float *x, const float *gamma, const float *beta,
                               float eps, size_t n, float *out)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++) sum += (double)x[i];
    double mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) {
        double d = (double)x[i] - mean;
        squares += d * d;
    }
    double inverse = 1 / sqrt(squares / (double)n + (double)eps);
    for (size_t i = 0; i < n; i++) {
        double y = ((double)x[i] - mean) * inverse;
        y = y * (double)gamma[i] + (beta == NULL ? 0 : (double)beta[i]);
        out[i] = (float)y;
    }
}

void qn_num__gelu_scalar(float *x, size_t n)
{
    const double half_sqrt = 0.70710678118654752440;
    for (size_t i = 0; i < n; i++) {
        double v = (double)x[i];
        x[i] = (float)(0.5 * v * erfc(-v * half_sqrt));
    }
}

void qn_num__gelu_tanh_scalar(float *x, size_t n)
{
    const double two_over_pi_root = 0.79788456080286535588;
    for (size_t i = 0; i < n; i++) {
        double v = (double)x[i];
        double u = two_over_pi_root * (v + 0.044715 * v * v * v);
        x[i] = (float)(0.5 * v * (1 + tanh(u)));
    }
}

void qn_num__silu_scalar(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = (float)((double)x[i] / (1 + exp(-(double)x[i])));
}

void qn_num__relu_scalar(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = x[i] <= 0 ? 0 : x[i];
}

void qn_num__rotate_scalar(float *x, const float *c, const float *s, size_t half,
                           size_t count)
{
    for (size_t v = 0; v < count; v++, x += 2 * half) {
        for (size_t i = 0; i < half; i++) {
            float a = x[i], b = x[i + half];
            x[i] = a * c[i] - b * s[i];
            x[i + half] = b * c[i] + a * s[i];
        }
    }
}

void qn_num__add_scalar(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) y[i] += x[i];
}

void qn_num__axpy_scalar(float a, const float *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = (float)((double)a * (double)x[i] + (double)y[i]);
}

void qn_num__mul_scalar(const float *x, const float *y, float *out, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = x[i] * y[i];
}

static float middle_of(const float *x, size_t n)
{
    float low = n == 0 ? 0.0f : x[0], high = low;
    for (size_t i = 1; i < n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    return (low + high) / 2;
}

float qn_num__center_scalar(float *x, size_t n)
{
    float middle = middle_of(x, n);
    for (size_t i = 0; i < n; i++) x[i] -= middle;
    return middle;
}

void qn_num__tanh_scalar(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) x[i] = (float)tanh((double)x[i]);
}

/* ---- tiles: 4 x 8, one k to a group, activations as they are ---- */

enum { TILE_ROWS = 4, TILE_COLS = 8 };

static void tile_f32(const qn_tile_f32 *t)
{
    for (size_t m = 0; m < t->rows; m++) {
        for (size_t n = 0; n < t->cols; n++) {
            float *y = t->y + m * t->ldy + n;
            double sum = t->first ? 0 : (double)*y;
            for (size_t k = 0; k < t->depth; k++)
                sum += (double)t->a[m * t->lda + k] * (double)t->b[k * t->ldb + n];
            *y = (float)sum;
            if (t->alpha != 1) *y *= t->alpha;
            if (t->bias != NULL) *y += t->bias[n];
        }
    }
}

static void transpose(const float *B, size_t ldb, size_t cols, size_t K, float *out,
                      size_t ldo)
{
    for (size_t n = 0; n < cols; n++)
        for (size_t k = 0; k < K; k++) out[k * ldo + n] = B[n * ldb + k];
}

static float activations(const float *x, size_t K, void *q)
{
    return qn_num__quantize_i8_scalar(x, K, q);
}

static float centered(const float *x, size_t K, void *q, float *middle)
{
    *middle = middle_of(x, K) + 0.0f; /* no -0: it would depend on the order */
    return quantize_about(x, K, *middle, q);
}

static void tile_i8(const qn_tile_i8 *t)
{
    for (size_t m = 0; m < t->rows; m++) {
        const int8_t *a = (const int8_t *)t->a + m * t->lda_bytes;
        for (size_t n = 0; n < t->cols; n++) {
            int32_t sum = t->start[n];
            for (size_t k = 0; k < t->groups; k++)
                sum += a[k] * t->b[k * TILE_COLS + n];
            float y = (float)sum * (t->row_scale[m] * t->col_scale[n]);
            if (t->middle != NULL) y += t->middle[m] * t->col_sum[n];
            if (t->bias != NULL) y += t->bias[n];
            if (t->add) y += t->y[m * t->ldy + n];
            t->y[m * t->ldy + n] = y;
        }
    }
}

const qn_tiles qn_num__tiles_scalar = {
    .f32_rows = TILE_ROWS,
    .f32_cols = TILE_COLS,
    .f32_depth = SIZE_MAX, /* never rounded in the middle */
    .f32 = tile_f32,
    .transpose = transpose,
};

const qn_tiles_i8 qn_num__tiles_i8_scalar = {
    .rows = TILE_ROWS,
    .cols = TILE_COLS,
    .group = 1,
    .element_bytes = 1,
    .activations = activations,
    .centered = centered,
    .run = tile_i8,
    .i16 = &qn_num__tiles_i16_scalar,
};

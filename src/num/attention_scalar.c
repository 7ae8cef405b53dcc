/* SPDX-License-Identifier: Apache-2.0 */
/* attention_scalar.c -- what a set's kernels for attention in integers mean. */
#include "num/kernels_internal.h"

#include <math.h>
#include <string.h>

enum { ROWS = 4, COLS = 8 };

static float probabilities(float *x, size_t n, int16_t *p)
{
    float most = -INFINITY;
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++)
        if (x[i] > most) most = x[i];
    memset(p, 0, (n + 15) / 16 * 16 * sizeof *p);
    for (size_t i = 0; i < n && isfinite(most); i++) {
        double e = exp((double)x[i] - (double)most); /* of a NaN: a probability of 0 */
        p[i] = e > 0 ? (int16_t)lrint(QN_I16_ONE * e) : 0;
        sum += p[i];
    }
    return 1.0f / (float)sum;
}

static void keys(const qn_i16_keys *k)
{
    for (size_t r = 0; r < k->d; r++) {
        double sum = 0;
        for (size_t n = 0; n < k->keys; n++) sum += (double)k->turned[r * k->ld + n];
        k->away[r] = k->less_mean ? (float)(sum / (double)k->keys) : 0;
    }
    for (size_t n = 0; n < (k->keys + 15) / 16 * 16; n++) {
        const float *turned = k->turned + n;
        float most = 0, inverse = 0;
        bool finite = true;
        for (size_t r = 0; r < k->d; r++) {
            float v = turned[r * k->ld] - k->away[r];
            if (!isfinite(v)) finite = false;
            if (fabsf(v) > most) most = fabsf(v);
        }
        if (finite && most >= QN_QUANTIZE_TINY) inverse = 127.0f / most;
        k->scale[n] = !finite ? NAN : inverse == 0 ? 0 : most / 127.0f;
        k->start[n] = 0;
        for (size_t r = 0; r < k->d; r++) {
            float v = inverse == 0 ? 0 : (turned[r * k->ld] - k->away[r]) * inverse;
            k->panels[(n / COLS * k->d + r) * COLS + n % COLS] = (int8_t)lrintf(v);
        }
    }
}

static void values(const float *V, size_t ldv, size_t keys, size_t d, int16_t *out,
                   size_t ldo, float *scale, float *middle)
{
    for (size_t c = 0; c < d; c++) {
        float low = V[c], high = V[c], inverse = 0;
        bool finite = true;
        for (size_t k = 0; k < keys; k++) {
            float v = V[k * ldv + c];
            if (!isfinite(v)) finite = false;
            if (v < low) low = v;
            if (v > high) high = v;
        }
        float mid = (low + high) * 0.5f + 0.0f; /* no -0 */
        float most = mid - low > high - mid ? mid - low : high - mid;
        if (!isfinite(most)) finite = false;
        if (finite && most >= QN_QUANTIZE_TINY) inverse = QN_I16_VALUE / most;
        scale[c] = !finite ? NAN : inverse == 0 ? 0 : most / QN_I16_VALUE;
        middle[c] = mid;
        for (size_t k = 0; k < (keys + 1) / 2 * 2; k++) {
            float v = k < keys && inverse != 0 ? (V[k * ldv + c] - mid) * inverse : 0;
            out[k / 2 * ldo + 2 * c + k % 2] = (int16_t)lrintf(v);
        }
    }
}

static void run(const qn_tile_i16 *t)
{
    for (size_t m = 0; m < t->rows; m++) {
        for (size_t n = 0; n < t->cols; n++) {
            int32_t sum = 0;
            for (size_t k = 0; k < 2 * t->pairs; k++)
                sum += t->a[m * t->lda + k] * t->b[k / 2 * t->ldb + 2 * n + k % 2];
            float *to = t->y + m * t->ldy + n;
            float y = (float)sum * (t->row_scale[m] * t->col_scale[n]);
            if (t->bias != NULL) y += t->bias[n];
            if (t->add) y += *to;
            *to = y;
        }
    }
}

const qn_tiles_i16 qn_num__tiles_i16_scalar = {ROWS, COLS,   probabilities,
                                               keys, values, run};

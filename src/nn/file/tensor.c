/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/file/tensor.h"

#include "base/bits.h"

#include <math.h>

uint16_t qn_bf16_from_f32(float v)
{
    uint32_t bits = qn_float_bits(v);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

float qn_bf16_to_f32(uint16_t v)
{
    return qn_bits_float((uint32_t)v << 16);
}

float qn_f16_to_f32(uint16_t v)
{
    uint32_t sign = (uint32_t)(v & 0x8000u) << 16;
    uint32_t exponent = v >> 10 & 0x1Fu, fraction = v & 0x3FFu;
    if (exponent == 0x1F) return qn_bits_float(sign | 0x7F800000u | fraction << 13);
    if (exponent != 0)
        return qn_bits_float(sign | (exponent + 112) << 23 | fraction << 13);
    float magnitude = ldexpf((float)fraction, -24); /* subnormal, or zero */
    return sign != 0 ? -magnitude : magnitude;
}

void qn_tensor_row_f32(const qn_tensor *t, size_t r, float *out)
{
    size_t n = t->columns;
    switch (t->dtype) {
    case QN_MODEL_F32:
        memcpy(out, (const float *)t->data + r * n, n * sizeof *out);
        break;
    case QN_MODEL_BF16: {
        const uint16_t *row = (const uint16_t *)t->data + r * n;
        for (size_t i = 0; i < n; i++) out[i] = qn_bf16_to_f32(row[i]);
        break;
    }
    case QN_MODEL_INT8: {
        const int8_t *row = (const int8_t *)t->data + r * n;
        float scale = t->scale[r];
        for (size_t i = 0; i < n; i++) out[i] = scale * (float)row[i];
        break;
    }
    }
}

void qn_tensor_to_f32(const qn_tensor *t, float *out)
{
    for (size_t r = 0; r < t->rows; r++) qn_tensor_row_f32(t, r, out + r * t->columns);
}

float qn_tensor_quantize_row(const float *values, size_t n, int8_t *q)
{
    float most = 0.0f;
    for (size_t i = 0; i < n; i++) most = fmaxf(most, fabsf(values[i]));
    float scale = most / 127.0f;
    if (!(scale > 0.0f)) { /* zero, or so small that the scale underflows */
        memset(q, 0, n);
        return 0.0f;
    }
    for (size_t i = 0; i < n; i++) {
        float steps = rintf(values[i] / scale);
        q[i] = (int8_t)fmaxf(-127.0f, fminf(127.0f, steps));
    }
    return scale;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* nn/file/tensor.h -- a stored tensor: a matrix or a vector, in one of the stored types.
 *
 * f32 and bf16 hold values. int8 holds a matrix whose row r stands for scale[r] *
 * q[r][c], q in [-127, 127]. Vectors (biases, LayerNorm) are always f32.
 *
 * Lifetime   a view: data and scale belong to who opened the file.
 * Threads    plain values. */
#ifndef QN_NN_TENSOR_H
#define QN_NN_TENSOR_H

#include "nn/model.h"

typedef struct qn_tensor {
    const char *name;
    qn_model_dtype dtype;
    uint32_t rank; /* 1 or 2 */
    uint32_t rows; /* 1 for a vector */
    uint32_t columns;
    const void *data;
    QN_NULLABLE const float *scale; /* rows values; int8 only */
} qn_tensor;

/* Row r as f32, or the whole tensor. */
void qn_tensor_row_f32(const qn_tensor *t, size_t r, float *out);
void qn_tensor_to_f32(const qn_tensor *t, float *out);

/* bf16: the upper half of a float, rounded to nearest even; NaN stays NaN. */
uint16_t qn_bf16_from_f32(float v);
float qn_bf16_to_f32(uint16_t v);
/* IEEE binary16, subnormals and infinities included; exact. */
float qn_f16_to_f32(uint16_t v);

/* The largest |value| of the row becomes 127; q gets the rounded values (half to even),
 * the result is the scale. A row of zeros has scale 0. */
float qn_tensor_quantize_row(const float *values, size_t n, int8_t *q);

#endif

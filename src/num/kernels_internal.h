/* SPDX-License-Identifier: Apache-2.0 */
/* num/kernels_internal.h -- what a kernel set consists of: the names of its functions,
 * declared once for every set. Included by kernels.c and by the files that define them;
 * holds no inline function, since those files are compiled for CPUs that others lack.
 */
#ifndef QN_NUM_KERNELS_INTERNAL_H
#define QN_NUM_KERNELS_INTERNAL_H

#include "num/kernels.h"
#include "num/tiles.h"

/* clang-format off */
#define QN_DECLARE_KERNELS(set)                                                             \
    float qn_num__dot_f32_##set(const float *a, const float *b, size_t n);                  \
    float qn_num__l2_f32_##set(const float *a, const float *b, size_t n);                   \
    int32_t qn_num__dot_i8_##set(const int8_t *a, const int8_t *b, size_t n);               \
    int32_t qn_num__l2_i8_##set(const int8_t *a, const int8_t *b, size_t n);                \
    void qn_num__dot_f32_rows_##set(const float *q, const float *v, size_t rows, size_t n, float *out); \
    void qn_num__l2_f32_rows_##set(const float *q, const float *v, size_t rows, size_t n, float *out);  \
    void qn_num__dot_i8_rows_##set(const int8_t *q, const int8_t *v, size_t rows, size_t n, int32_t *out); \
    void qn_num__l2_i8_rows_##set(const int8_t *q, const int8_t *v, size_t rows, size_t n, int32_t *out);  \
    float qn_num__quantize_i8_##set(const float *x, size_t n, int8_t *q);                   \
    void qn_num__softmax_##set(float *x, size_t n);                                         \
    float qn_num__softmax_sum_##set(float *x, size_t n);                                    \
    void qn_num__pick_##set(const float *x, const int32_t *index, int32_t from, size_t n, bool add, float *y); \
    void qn_num__scale_##set(float *x, float a, size_t n);                                  \
    void qn_num__layer_norm_##set(const float *x, const float *gamma, const float *beta,    \
                                  float eps, size_t n, float *out);                         \
    void qn_num__gelu_##set(float *x, size_t n);                                            \
    void qn_num__gelu_tanh_##set(float *x, size_t n);                                       \
    void qn_num__silu_##set(float *x, size_t n);                                            \
    void qn_num__relu_##set(float *x, size_t n);                                            \
    void qn_num__rotate_##set(float *x, const float *c, const float *s, size_t half, size_t count); \
    void qn_num__add_##set(float *y, const float *x, size_t n);                             \
    void qn_num__axpy_##set(float a, const float *x, float *y, size_t n);                   \
    void qn_num__mul_##set(const float *x, const float *y, float *out, size_t n);           \
    float qn_num__center_##set(float *x, size_t n);                                         \
    void qn_num__tanh_##set(float *x, size_t n);                                            \
    void qn_num__match_packed_##set(const uint8_t *data, unsigned bits, size_t n, uint64_t low, uint64_t span, uint64_t *out); \
    extern const qn_tiles qn_num__tiles_##set;                                              \
    extern const qn_tiles_i8 qn_num__tiles_i8_##set;                                        \
    extern const qn_tiles_i16 qn_num__tiles_i16_##set
/* clang-format on */

QN_DECLARE_KERNELS(scalar);
QN_DECLARE_KERNELS(avx2);
QN_DECLARE_KERNELS(avx512);
QN_DECLARE_KERNELS(neon);
extern const qn_tiles_i8 qn_num__tiles_i8_avxvnni;
extern const qn_tiles_i16 qn_num__tiles_i16_avxvnni; /* in attention_avx2.c */
/* For tiles_avxvnni.c: bytes plus 128 in groups of four, made with AVX2. */
float qn_num__activations_u8_avx2(const float *x, size_t K, void *q);
float qn_num__centered_u8_avx2(const float *x, size_t K, void *q, float *middle);
extern const qn_tiles_bf16 qn_num__tiles_bf16_avx512;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/encoder/pack_weight.h"

/* Of a row of activations, where they divide it. GELU's values need it most; everywhere, it
 * takes a quarter off what int8 moves a logit, for a hundredth of the time. */
enum { CENTERED_PARTS = 2 };

static size_t value_bytes(qn_model_dtype dtype)
{
    return dtype == QN_MODEL_F32 ? 4 : dtype == QN_MODEL_BF16 ? 2 : 1;
}

static qn_gemm_type type_of(qn_model_dtype dtype)
{
    return dtype == QN_MODEL_F32    ? QN_GEMM_F32
           : dtype == QN_MODEL_BF16 ? QN_GEMM_BF16
                                    : QN_GEMM_I8;
}

static qn_status pack(qn_alloc *a, const qn_kernels *kernels, qn_model_dtype dtype,
                      const void *values, const float *scale, size_t N, size_t K,
                      qn_gemm **out, qn_error *err)
{
    switch (dtype) {
    case QN_MODEL_F32:
        return qn_gemm_pack_f32(a, kernels, values, N, K, out, err);
    case QN_MODEL_BF16:
        return qn_gemm_pack_bf16(a, kernels, values, N, K, out, err);
    case QN_MODEL_INT8:
        break;
    }
    size_t parts = K % CENTERED_PARTS == 0 ? CENTERED_PARTS : 1;
    return qn_gemm_pack_i8_centered(a, kernels, values, scale, N, K, parts, out, err);
}

/* The tensors' rows in one piece of memory. */
static qn_status pack_joined(qn_alloc *a, const qn_kernels *kernels,
                             const qn_tensor *const *t, size_t count, size_t N,
                             qn_gemm **out, qn_error *err)
{
    size_t K = t[0]->columns, row = K * value_bytes(t[0]->dtype);
    bool int8 = t[0]->dtype == QN_MODEL_INT8;
    char *values = qn_new_array(a, N, row);
    float *scale = qn_new_array(a, N, sizeof *scale);
    qn_status st = values == NULL || scale == NULL
                       ? qn_fail(err, QN_ENOMEM, "model weights")
                       : QN_OK;
    for (size_t i = 0, at = 0; st == QN_OK && i < count; at += t[i]->rows, i++) {
        memcpy(values + at * row, t[i]->data, t[i]->rows * row);
        if (int8) memcpy(scale + at, t[i]->scale, t[i]->rows * sizeof *scale);
    }
    if (st == QN_OK) st = pack(a, kernels, t[0]->dtype, values, scale, N, K, out, err);
    qn_delete(a, scale);
    qn_delete(a, values);
    return st;
}

qn_status qn_pack_tensors(qn_alloc *a, const qn_kernels *kernels,
                          const qn_tensor *const *t, size_t count, qn_gemm **out,
                          qn_error *err)
{
    const qn_tensor *first = t[0];
    size_t N = 0;
    for (size_t i = 0; i < count; i++) N += t[i]->rows;
    if (count > 1) return pack_joined(a, kernels, t, count, N, out, err);
    return pack(a, kernels, first->dtype, first->data, first->scale, N, first->columns,
                out, err);
}

qn_status qn_pack_weight(const qn_weight_source *p, const qn_tensor *const *t,
                         size_t count, qn_gemm **out, qn_error *err)
{
    const qn_tensor *first = t[0];
    size_t N = 0;
    *out = NULL;
    for (size_t i = 0; i < count; i++) {
        N += t[i]->rows;
        if (t[i]->dtype != first->dtype || t[i]->columns != first->columns)
            return qn_fail_file(err, QN_EMODEL, qn_qnm_name(p->file), QN_AT_NONE,
                                "tensor \"%s\" has another dtype than its neighbours",
                                t[i]->name);
    }
    if (qn_packed_copy_weight(p->copy, first->name, type_of(first->dtype), N,
                              first->columns, out))
        return QN_OK;
    for (size_t i = 0; i < count; i++) QN_TRY(qn_qnm_read(p->file, t[i], err));
    QN_TRY(qn_pack_tensors(p->alloc, p->kernels, t, count, out, err));
    qn_packed_copy_keep(p->copy, first->name, *out);
    return QN_OK;
}

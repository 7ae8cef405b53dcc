/* SPDX-License-Identifier: Apache-2.0 */
#include "nn/import/weight.h"

#include "base/bits.h"
#include "nn/file/tensor.h"

#include <math.h>

/* The data has no alignment: every value is loaded through memcpy. */
static float load_value(const qn_weight *t, size_t i)
{
    switch (t->dtype) {
    case QN_WEIGHT_F16:
        return qn_f16_to_f32(qn_load16(t->data + 2 * i));
    case QN_WEIGHT_BF16:
        return qn_bf16_to_f32(qn_load16(t->data + 2 * i));
    case QN_WEIGHT_F64:
        return (float)qn_bits_double(qn_load64(t->data + 8 * i));
    default:
        return qn_bits_float(qn_load32(t->data + 4 * i));
    }
}

qn_status qn_weight_to_f32(const qn_weight *t, const char *file, float *out,
                           qn_error *err)
{
    if (t->dtype == QN_WEIGHT_OTHER)
        return qn_fail_file(
            err, QN_EMODEL, file, QN_AT_NONE,
            "tensor \"%.100s\": its dtype is none of F32, F16, BF16, F64", t->name);
    for (size_t i = 0; i < t->count; i++) {
        out[i] = load_value(t, i);
        if (!isfinite(out[i]))
            return qn_fail_file(err, QN_EMODEL, file, QN_AT_NONE,
                                "tensor \"%.100s\": value %zu is not finite", t->name,
                                i);
    }
    return QN_OK;
}

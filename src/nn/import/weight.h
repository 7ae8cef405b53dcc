/* SPDX-License-Identifier: Apache-2.0 */
/* nn/import/weight.h -- a tensor as a file of weights holds it, whatever the file's form.
 *
 * Lifetime   a view into the file that it came from.
 * Threads    plain values.
 * Errors     QN_EMODEL with the tensor's name. */
#ifndef QN_NN_WEIGHT_H
#define QN_NN_WEIGHT_H

#include "base/slice.h"

enum { QN_WEIGHT_RANK_MAX = 8 };

typedef enum qn_weight_dtype {
    QN_WEIGHT_F32,
    QN_WEIGHT_F16,
    QN_WEIGHT_BF16,
    QN_WEIGHT_F64,
    QN_WEIGHT_OTHER, /* sized and skipped: position_ids are I64 */
} qn_weight_dtype;

typedef struct qn_weight {
    const char *name;
    qn_weight_dtype dtype;
    uint32_t rank;
    uint64_t shape[QN_WEIGHT_RANK_MAX];
    const uint8_t *data;  /* of no particular alignment; row after row */
    uint64_t size, count; /* bytes; values */
} qn_weight;

/* All values as f32: F16 and BF16 exactly, F64 rounded; out: t->count floats. QN_EMODEL when the tensor
 * holds no floats or one that is not finite; `file` stands in the message. */
QN_MUST_CHECK qn_status qn_weight_to_f32(const qn_weight *t, const char *file,
                                         float *out, qn_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* nn/encoder/pack_weight.h -- where packed weights come from: a model file, or its packed copy.
 *
 * Lifetime   the weights borrow from the copy: close it after them.
 * Errors     QN_EMODEL with the tensor's name, QN_ECORRUPT, QN_ENOMEM. */
#ifndef QN_NN_PACK_WEIGHT_H
#define QN_NN_PACK_WEIGHT_H

#include "nn/encoder/packed_copy.h"

typedef struct qn_weight_source {
    qn_alloc *alloc;
    const qn_kernels *kernels;
    const qn_qnm *file;
    QN_NULLABLE qn_packed_copy *copy;
} qn_weight_source;

/* One weight of `count` tensors (1 to 3), one below the other; int8 activations are
 * quantised about the middles of two halves of a row (num/gemm.h). The tensors are read
 * only when the copy does not have the weight. */
QN_MUST_CHECK qn_status qn_pack_weight(const qn_weight_source *p,
                                       const qn_tensor *const *tensors, size_t count,
                                       QN_OWNED qn_gemm **out, qn_error *err);

/* The same of tensors that are at hand, alike in type and width; no copy has a part in it. */
QN_MUST_CHECK qn_status qn_pack_tensors(qn_alloc *a, const qn_kernels *kernels,
                                        const qn_tensor *const *tensors, size_t count,
                                        QN_OWNED qn_gemm **out, qn_error *err);

#endif

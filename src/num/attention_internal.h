/* SPDX-License-Identifier: Apache-2.0 */
/* attention_internal.h -- what attention.c and attention_i8.c share. Private to num/. */
#ifndef QN_NUM_ATTENTION_INTERNAL_H
#define QN_NUM_ATTENTION_INTERNAL_H

#include "num/attention.h"
#include "num/tiles.h"

enum {
    QN_ATTENTION_WORK_BETWEEN = 1 << 20
}; /* products between looks at the deadline */

/* How many positions distances of this call use, from the first to the last. */
size_t qn_num__attention_positions(const qn_attention *a);

/* Parts of qn_attention_run() and qn_attention_scratch(); keys at least 1. */
size_t qn_num__attention_i8_scratch(const qn_kernels *kernels, size_t d, size_t keys,
                                    size_t positions);
QN_MUST_CHECK bool qn_num__attention_i8(const qn_attention *a,
                                        QN_NULLABLE const qn_deadline *deadline,
                                        float *scratch);

#endif

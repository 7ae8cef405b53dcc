/* SPDX-License-Identifier: Apache-2.0 */
/* nn/safetensors.h -- the reader of model.safetensors.
 *
 *     u64 header size N | N bytes of JSON | data
 *
 * The JSON maps names to {"dtype", "shape", "data_offsets": [begin, end]}, offsets
 * relative to the data. A file is accepted only when the tensors fill the data from
 * first byte to last without hole or overlap and every shape has the size of its
 * bytes: the rules of the reference reader. Nothing is trusted before.
 *
 * Lifetime   tensors are views, valid until close().
 * Threads    immutable once open.
 * Errors     QN_EMODEL naming the tensor or the rule; errors of files. */
#ifndef QN_NN_SAFETENSORS_H
#define QN_NN_SAFETENSORS_H

#include "base/slice.h"

enum {
    QN_SAFETENSORS_HEADER_MAX = 100000000,
    QN_SAFETENSORS_TENSORS_MAX = 100000,
    QN_SAFETENSORS_RANK_MAX = 8,
};

typedef enum qn_safetensors_dtype {
    QN_SAFETENSORS_F32,
    QN_SAFETENSORS_F16,
    QN_SAFETENSORS_BF16,
    QN_SAFETENSORS_OTHER, /* sized and skipped: position_ids are I64 */
} qn_safetensors_dtype;

typedef struct qn_safetensor {
    const char *name;
    qn_safetensors_dtype dtype;
    uint32_t rank;
    uint64_t shape[QN_SAFETENSORS_RANK_MAX];
    const uint8_t *data;
    uint64_t size, count; /* bytes; values */
} qn_safetensor;

typedef struct qn_safetensors qn_safetensors;

QN_MUST_CHECK qn_status qn_safetensors_open(qn_alloc *a, const char *path,
                                            QN_OWNED qn_safetensors **out,
                                            qn_error *err);
/* The bytes are borrowed; `name` stands in messages. */
QN_MUST_CHECK qn_status qn_safetensors_open_memory(qn_alloc *a, qn_slice bytes,
                                                   const char *name,
                                                   QN_OWNED qn_safetensors **out,
                                                   qn_error *err);
void qn_safetensors_close(QN_OWNED QN_NULLABLE qn_safetensors *s);

qn_slice qn_safetensors_bytes(const qn_safetensors *s); /* the whole file */
size_t qn_safetensors_count(const qn_safetensors *s);
/* In the order of their data. */
const qn_safetensor *qn_safetensors_at(const qn_safetensors *s, size_t i);
QN_NULLABLE const qn_safetensor *qn_safetensors_find(const qn_safetensors *s,
                                                     const char *name);
/* All values widened to f32, exactly; out: t->count floats. QN_EMODEL when the tensor
 * holds no floats or one that is not finite. */
QN_MUST_CHECK qn_status qn_safetensors_to_f32(const qn_safetensors *s,
                                              const qn_safetensor *t, float *out,
                                              qn_error *err);

#endif

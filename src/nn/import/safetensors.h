/* SPDX-License-Identifier: Apache-2.0 */
/* nn/import/safetensors.h -- the reader of model.safetensors.
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

#include "nn/import/weight.h"

enum {
    QN_SAFETENSORS_HEADER_MAX = 100000000,
    QN_SAFETENSORS_TENSORS_MAX = 100000,
};

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

const char *qn_safetensors_name(const qn_safetensors *s); /* for messages */
qn_slice qn_safetensors_bytes(const qn_safetensors *s);   /* the whole file */
size_t qn_safetensors_count(const qn_safetensors *s);
/* In the order of their data. */
const qn_weight *qn_safetensors_at(const qn_safetensors *s, size_t i);
QN_NULLABLE const qn_weight *qn_safetensors_find(const qn_safetensors *s,
                                                 const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* nn/import/weights.h -- all tensors of a model's folder, in whatever files they lie.
 *
 * The first of these that the folder has is read:
 *
 *     model.safetensors
 *     model.safetensors.index.json      its "weight_map" names the parts
 *     pytorch_model.bin                 a dictionary of tensors (torch_file.h)
 *     pytorch_model.bin.index.json
 *     the one file *.pt                 TorchScript, or a dictionary too
 *
 * What all names have in front ("module.", "model.") is left off.
 *
 * Of parts, every tensor is exactly where the map says: none is missing, none is in
 * another file, no file holds one that the map does not know.
 *
 * Lifetime   tensors are views, valid until close().
 * Threads    immutable once open.
 * Errors     those of safetensors.h and torch_file.h; QN_ENOTFOUND when the folder has
 *            none of these, naming them. */
#ifndef QN_NN_WEIGHTS_H
#define QN_NN_WEIGHTS_H

#include "nn/import/weight.h"

enum {
    QN_WEIGHTS_PARTS_MAX = 1000,
    QN_WEIGHTS_INDEX_MAX = 64 * 1024 * 1024, /* bytes of an index */
};

typedef struct qn_weights qn_weights;

QN_MUST_CHECK qn_status qn_weights_open(qn_alloc *a, const char *folder,
                                        QN_OWNED qn_weights **out, qn_error *err);
/* One file, by its suffix: .safetensors, else a file of PyTorch. */
QN_MUST_CHECK qn_status qn_weights_open_file(qn_alloc *a, const char *path,
                                             QN_OWNED qn_weights **out, qn_error *err);
void qn_weights_close(QN_OWNED QN_NULLABLE qn_weights *w);

size_t qn_weights_count(const qn_weights *w);
const qn_weight *qn_weights_at(const qn_weights *w, size_t i);
QN_NULLABLE const qn_weight *qn_weights_find(const qn_weights *w, const char *name);
/* The path that the tensor came from, for messages. */
const char *qn_weights_file(const qn_weights *w, const qn_weight *t);
/* The only file, or the index that lists the parts. */
const char *qn_weights_name(const qn_weights *w);
QN_MUST_CHECK qn_status qn_weights_to_f32(const qn_weights *w, const qn_weight *t,
                                          float *out, qn_error *err);

uint64_t qn_weights_bytes(const qn_weights *w); /* of all files */
/* 128 bits over all files, in the order of their names: 16 bytes, the highest first. */
QN_MUST_CHECK qn_status qn_weights_hash(const qn_weights *w, uint8_t out[16],
                                        qn_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* nn/import/torch_file.h -- the weights inside a file of PyTorch, read without executing it.
 *
 *     <root>/data.pkl      a pickle: names, shapes, which storage
 *     <root>/data/0, 1 ..  the storages' bytes
 *     <root>/byteorder     "little"
 *     <root>/code/...      TorchScript only; never looked at
 *
 * It is a ZIP archive (io/zip.h), written by torch.save since version 1.6 or by
 * TorchScript. Dictionaries, and attributes of TorchScript objects, are walked, their
 * names joined with '.': "model.bert.encoder.layer.0...".
 *
 * Lifetime   tensors are views, valid until close(); of those that did not lie row after
 *            row, of copies.
 * Threads    immutable once open.
 * Errors     QN_EUNSUPPORTED for the old form of torch.save and for whatever would have
 *            to be executed, with its name; QN_EMODEL naming entry or tensor; errors of
 *            files. */
#ifndef QN_NN_TORCH_FILE_H
#define QN_NN_TORCH_FILE_H

#include "nn/import/weight.h"

enum {
    QN_TORCH_TENSORS_MAX = 100000,
    QN_TORCH_DEPTH_MAX = 64,
    QN_TORCH_NAME_MAX = 512,
};

typedef struct qn_torch_file qn_torch_file;

QN_MUST_CHECK qn_status qn_torch_file_open(qn_alloc *a, const char *path,
                                           QN_OWNED qn_torch_file **out, qn_error *err);
/* The bytes are borrowed; `name` stands in messages. */
QN_MUST_CHECK qn_status qn_torch_file_open_memory(qn_alloc *a, qn_slice bytes,
                                                  const char *name,
                                                  QN_OWNED qn_torch_file **out,
                                                  qn_error *err);
void qn_torch_file_close(QN_OWNED QN_NULLABLE qn_torch_file *f);

const char *qn_torch_file_name(const qn_torch_file *f); /* for messages */
qn_slice qn_torch_file_bytes(const qn_torch_file *f);   /* the whole file */
size_t qn_torch_file_count(const qn_torch_file *f);
const qn_weight *qn_torch_file_at(const qn_torch_file *f, size_t i);

#endif

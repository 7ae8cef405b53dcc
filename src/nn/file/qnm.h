/* SPDX-License-Identifier: Apache-2.0 */
/* nn/file/qnm.h -- the model file (.qnm) as a container: named tensors, the tokenizer's
 * vocabulary and a JSON description, each a checksummed block of one block file.
 *
 * This layer knows the file, not the architecture: which tensors there must be is said
 * by who runs them (encoder.h). Bytes: docs/formats/qnm.md.
 *
 * Lifetime   all views live until close().
 * Threads    a reader is immutable; a writer belongs to one thread.
 * Errors     QN_ECORRUPT for damage, QN_EMODEL for a directory that contradicts the
 *            blocks, with the tensor's name. */
#ifndef QN_NN_QNM_H
#define QN_NN_QNM_H

#include "io/blockfile.h"
#include "io/json.h"
#include "nn/file/tensor.h"

#define QN_QNM_MAGIC "QNMODEL"
enum {
    QN_QNM_VERSION = 0,
    QN_QNM_TENSORS_MAX = 16384,
    QN_QNM_ROWS_MAX = 1 << 24,
    QN_QNM_COLUMNS_MAX = 1 << 16,
};

/* Kinds of blocks. Format: a number once used never changes its meaning. */
enum {
    QN_QNM_META = 1,    /* JSON: what the model is */
    QN_QNM_VOCAB = 2,   /* one token a line, line number = id */
    QN_QNM_TENSORS = 3, /* JSON: the list of tensors; item i is in blocks i */
    QN_QNM_DATA = 4,    /* id i: the values of tensor i */
    QN_QNM_SCALE = 5,   /* id i: one f32 a row; int8 only */
};

typedef struct qn_qnm qn_qnm;

/* Verifies every block. */
QN_MUST_CHECK qn_status qn_qnm_open(qn_alloc *a, const char *path,
                                    QN_OWNED qn_qnm **out, qn_error *err);
/* Leaves matrices for later: nothing of one has been read, and its data must not be
 * looked at, before qn_qnm_read(); or row by row by qn_qnm_row(). */
QN_MUST_CHECK qn_status qn_qnm_open_unread(qn_alloc *a, const char *path,
                                           QN_OWNED qn_qnm **out, qn_error *err);
/* The bytes are borrowed and stay until close(). */
QN_MUST_CHECK qn_status qn_qnm_open_memory(qn_alloc *a, const uint8_t *bytes, size_t n,
                                           const char *name, QN_OWNED qn_qnm **out,
                                           qn_error *err);
/* Verifies a tensor of the file, unless that was done; or all of them. */
QN_MUST_CHECK qn_status qn_qnm_read(const qn_qnm *q, const qn_tensor *t, qn_error *err);
QN_MUST_CHECK qn_status qn_qnm_read_all(const qn_qnm *q, qn_error *err);
/* Row r as f32, of which no more than the pages it lies on have been read. */
QN_MUST_CHECK qn_status qn_qnm_row(const qn_qnm *q, const qn_tensor *t, size_t r,
                                   float *out, qn_error *err);
void qn_qnm_close(QN_OWNED QN_NULLABLE qn_qnm *q);

const char *qn_qnm_name(const qn_qnm *q); /* path, for messages */
uint64_t qn_qnm_size(const qn_qnm *q);
uint64_t qn_qnm_digest(const qn_qnm *q);     /* of all that the file says */
const qn_json *qn_qnm_meta(const qn_qnm *q); /* an object */
qn_slice qn_qnm_vocab(const qn_qnm *q);
size_t qn_qnm_count(const qn_qnm *q);
const qn_tensor *qn_qnm_tensor(const qn_qnm *q, size_t i);
/* NULL when there is none of this name. */
QN_NULLABLE const qn_tensor *qn_qnm_find(const qn_qnm *q, const char *name);

/* ---- writing ---------------------------------------------------------------- */

typedef struct qn_qnm_writer qn_qnm_writer;

/* path NULL: in memory, see qn_qnm_writer_take(). */
QN_MUST_CHECK qn_status qn_qnm_writer_create(qn_alloc *a, QN_NULLABLE const char *path,
                                             QN_OWNED qn_qnm_writer **out,
                                             qn_error *err);
/* `values`: rows * columns; stored as `dtype`. rank 1: rows is 1 and dtype f32. Values
 * that are not finite are refused with the tensor's name. */
QN_MUST_CHECK qn_status qn_qnm_writer_tensor(qn_qnm_writer *w, const char *name,
                                             qn_model_dtype dtype, uint32_t rank,
                                             uint32_t rows, uint32_t columns,
                                             const float *values, qn_error *err);
/* The description, the vocabulary, the list of tensors; then the file is complete and
 * durable. */
QN_MUST_CHECK qn_status qn_qnm_writer_finish(qn_qnm_writer *w, qn_slice meta_json,
                                             qn_slice vocab, qn_error *err);
/* After finish() in memory; freed with qn_delete_aligned(). */
QN_OWNED uint8_t *qn_qnm_writer_take(qn_qnm_writer *w, size_t *n);
void qn_qnm_writer_destroy(QN_OWNED QN_NULLABLE qn_qnm_writer *w);

#endif

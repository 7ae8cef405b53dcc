/* SPDX-License-Identifier: Apache-2.0 */
/* nn/encoder/packed_copy.h -- a model's weights as one kernel set multiplies them, written once
 * per machine and mapped by every process.
 *
 * Opening a model packs its matrices (num/gemm.h), which takes a second for the larger
 * ones, and each process then has them for itself. A packed copy is a file in a folder
 * beside the models:
 *
 *     NAME.IDENTITY.SET.VERSION.qnp     reranker.4f0c....avx512vnni.1-1.qnp
 *
 * It belongs to the content of one .qnm file, not to its name: the identity is a hash of
 * its checksums. A copy is only ever a convenience. When there is none, weights are
 * packed and collected; when all are there the file is written, synced and renamed, and
 * the model opened again over its mapping. When the folder cannot be written, the disk
 * is full or another process is writing, weights stay private, which the log says. A
 * copy is verified whole at each open; one that is damaged or does not fit is removed
 * and made again. Copies of older contents and versions are removed by the next one.
 * Bytes: docs/formats/packed.md. Why so: docs/decisions/0008-packed.md.
 *
 *     c = qn_packed_copy_open(...)        mapped, else collecting, else off
 *     qn_packed_copy_weight(c, ...)       there: taken in place
 *     qn_packed_copy_keep(c, ...)         else packed by the caller, and collected
 *     qn_packed_copy_settle(c)            written, or removed: then open again
 *
 * Lifetime   weights and values from a mapped copy live until close().
 * Threads    one thread opens a model; a mapped copy is immutable.
 * Errors     none but memory: what goes wrong with a copy is logged. */
#ifndef QN_NN_PACKED_COPY_H
#define QN_NN_PACKED_COPY_H

#include "nn/file/qnm.h"
#include "num/gemm.h"

#define QN_PACKED_MAGIC "QNPACK\0"
enum {
    QN_PACKED_VERSION = 3, /* of what is stored under which name */
    /* Kinds of blocks. Format: a number once used never changes its meaning. */
    QN_PACKED_NAMES = 1,  /* one name a line; line i is in block i of the others */
    QN_PACKED_WEIGHT = 2, /* qn_gemm_packed_view() */
    QN_PACKED_VALUES = 3, /* f32 */
};

typedef struct qn_packed_copy qn_packed_copy;

typedef struct qn_packed_place {
    const char *dir; /* made when it is not there */
    bool read_only;  /* nothing is written or removed */
} qn_packed_place;

/* *out is NULL when the model has to do without. */
QN_MUST_CHECK qn_status qn_packed_copy_open(qn_alloc *a, const qn_packed_place *place,
                                            const qn_kernels *kernels,
                                            const qn_qnm *model,
                                            QN_OWNED qn_packed_copy **out,
                                            qn_error *err);
/* Gives back what was written but not settled. */
void qn_packed_copy_close(QN_OWNED QN_NULLABLE qn_packed_copy *c);

/* All take NULL: there is no copy. */
bool qn_packed_copy_is_mapped(QN_NULLABLE const qn_packed_copy *c);
uint64_t
qn_packed_copy_bytes(QN_NULLABLE const qn_packed_copy *c); /* of a mapped one */

/* The weight of that name, of that type and shape; false: the caller packs it. */
bool qn_packed_copy_weight(QN_NULLABLE qn_packed_copy *c, const char *name,
                           qn_gemm_type type, size_t N, size_t K,
                           QN_OWNED qn_gemm **out);
void qn_packed_copy_keep(QN_NULLABLE qn_packed_copy *c, const char *name,
                         const qn_gemm *g);
/* `count` floats computed from weights; NULL: the caller computes them. */
QN_NULLABLE const float *qn_packed_copy_values(QN_NULLABLE qn_packed_copy *c,
                                               const char *name, size_t count);
void qn_packed_copy_keep_values(QN_NULLABLE qn_packed_copy *c, const char *name,
                                const float *values, size_t count);

/* The model is open as far as weights go. true: its weights are to be opened again, with
 * a copy opened anew: this one was written just now, or removed for not fitting. */
bool qn_packed_copy_settle(QN_NULLABLE qn_packed_copy *c);

/* Removes all copies of models of that name (NULL: of all) from a folder. */
QN_MUST_CHECK qn_status qn_packed_copy_remove(const char *dir,
                                              QN_NULLABLE const char *name,
                                              qn_error *err);

#endif

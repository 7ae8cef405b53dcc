/* SPDX-License-Identifier: Apache-2.0 */
/* vec/flat.h -- exact vector search: every vector is compared.
 *
 * Vectors lie one after another, as f32 or as int8 with one scale each, so the rows
 * kernels of num/ run at memory speed. A map of documents is kept when not every
 * document has a vector. COSINE vectors are normalised when added; their length is
 * kept, so the vector can be given back. Bytes: docs/formats/vectors.md.
 *
 * Lifetime   the builder copies what it is given and may write any number of images.
 * Threads    one thread at a time.
 * Errors     QN_EDIMS, QN_EINVAL (a number that is not finite, zero with COSINE, not an
 *            int8 where `raw`), QN_ENOMEM. */
#ifndef QN_VEC_FLAT_H
#define QN_VEC_FLAT_H

#include "vec/vindex.h"

typedef struct qn_flat_options {
    uint32_t dims; /* 1..QN_VINDEX_DIMS_MAX */
    qn_vindex_metric metric;
    qn_vindex_element element;
    bool raw; /* I8: the numbers are int8 already and kept as they are; else each vector
               * is quantised with a scale of its own */
} qn_flat_options;

typedef struct qn_flat_builder qn_flat_builder;

QN_MUST_CHECK qn_status qn_flat_builder_create(qn_alloc *a, const qn_flat_options *o,
                                               QN_NULLABLE const qn_kernels *kernels,
                                               QN_OWNED qn_flat_builder **out,
                                               qn_error *err);
void qn_flat_builder_destroy(QN_OWNED QN_NULLABLE qn_flat_builder *b);
/* Documents in ascending order, each at most once. */
QN_MUST_CHECK qn_status qn_flat_builder_add(qn_flat_builder *b, uint32_t doc,
                                            const float *vector, size_t dims,
                                            qn_error *err);
uint32_t qn_flat_builder_count(const qn_flat_builder *b);
size_t qn_flat_builder_bytes(const qn_flat_builder *b);
/* `doc_count`: documents of the segment. Writes nothing when there is no vector. */
QN_MUST_CHECK qn_status qn_flat_builder_write(const qn_flat_builder *b, uint32_t field,
                                              uint32_t doc_count,
                                              qn_blockfile_writer *w, qn_error *err);

extern const qn_vindex_kind qn_flat_kind;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* vec/vindex.h -- the vectors of one field of one segment, whatever finds them.
 *
 * A kind of index (exact scan, clusters, graph) is one static struct of capability
 * flags and functions, after PostgreSQL's index access methods; a block names its kind
 * by a byte, and qn_vindex_open() picks the struct. Callers see only the functions
 * below.
 *
 * Values are the raw metric: squared distance for L2 (smaller is nearer), inner product
 * for DOT, cosine for COSINE (larger is nearer). Dialects turn them into their scores.
 *
 * Lifetime   an index borrows the block file it was opened over.
 * Threads    read by any number.
 * Errors     QN_EDIMS, QN_EINVAL for a query; QN_ECORRUPT with file and offset. */
#ifndef QN_VEC_VINDEX_H
#define QN_VEC_VINDEX_H

#include "base/clock.h"
#include "io/blockfile.h"
#include "num/kernels.h"

enum {
    QN_BLOCK_VINDEX = 64, /* kind of block; its id is the field's */
    QN_VINDEX_DIMS_MAX = 4096,
};

/* As qn_vector_metric and qn_vector_element of index/schema.h, which this module does
 * not know. ORDER QN_METRIC, ORDER QN_ELEMENT */
typedef enum qn_vindex_metric {
    QN_VINDEX_L2,
    QN_VINDEX_DOT,
    QN_VINDEX_COSINE
} qn_vindex_metric;
typedef enum qn_vindex_element { QN_VINDEX_F32, QN_VINDEX_I8 } qn_vindex_element;

typedef struct qn_vec_hit {
    uint32_t doc;
    float value; /* raw metric */
} qn_vec_hit;

typedef struct qn_vindex_query {
    const float *vector; /* `dims` finite numbers; for COSINE not all zero */
    size_t dims, k;
    bool has_threshold;
    float threshold; /* L2: the greatest value let through; else the least */
    QN_NULLABLE const uint64_t
        *accept; /* bit set of documents let through; NULL: all */
    QN_NULLABLE const qn_deadline *deadline;
    QN_NULLABLE const qn_kernels *kernels; /* NULL: the best */
} qn_vindex_query;

typedef struct qn_vindex qn_vindex;

typedef struct qn_vindex_info {
    const char *kind; /* "flat" */
    qn_vindex_metric metric;
    qn_vindex_element element;
    bool raw;   /* int8 given as such, not quantised */
    bool exact; /* search() finds the true nearest of what is stored */
    uint32_t dims;
    uint32_t count; /* documents with a vector */
    uint32_t doc_count;
} qn_vindex_info;

/* QN_ENOTFOUND when the file has no vectors of that field. */
QN_MUST_CHECK qn_status qn_vindex_open(qn_alloc *a, const qn_blockfile *file,
                                       uint32_t field, QN_OWNED qn_vindex **out,
                                       qn_error *err);
void qn_vindex_close(QN_OWNED QN_NULLABLE qn_vindex *v);
void qn_vindex_info_get(const qn_vindex *v, qn_vindex_info *out);
/* Does this document have a vector? */
bool qn_vindex_has(const qn_vindex *v, uint32_t doc);

/* The best k, sorted best first, equal values by document ascending. `hits` has room
 * for k. Past the deadline QN_ETIMEOUT or QN_ECANCELLED, with the best found so far. */
QN_MUST_CHECK qn_status qn_vindex_search(const qn_vindex *v, const qn_vindex_query *q,
                                         qn_vec_hit *hits, size_t *n, qn_error *err);
/* The same value that search() gives, for each of some documents; NaN for one without a
 * vector. Of the query only vector, dims and kernels are read. */
QN_MUST_CHECK qn_status qn_vindex_values(const qn_vindex *v, const qn_vindex_query *q,
                                         const uint32_t *docs, size_t n, float *out,
                                         qn_error *err);
/* The document's vector (`dims` numbers) as it was given, up to the precision kept;
 * false when it has none. */
bool qn_vindex_vector(const qn_vindex *v, uint32_t doc, float *out);

/* ---- merging ------------------------------------------------------------------------ */

/* The vectors of one segment that goes into another: those of its documents that are
 * not deleted follow, renumbered, on those of the inputs before. */
typedef struct qn_vindex_merge_input {
    QN_NULLABLE const qn_vindex *index;  /* NULL: no document has one */
    QN_NULLABLE const uint64_t *deleted; /* a bit a document; NULL: none */
    uint32_t doc_count;                  /* of the segment, deleted ones too */
} qn_vindex_merge_input;

/* Writes the block that the live documents would give; none when they have no vector.
 * What is kept of a vector is copied as it is, never rounded again. QN_EINVAL when the
 * inputs differ in metric, element or dimensions. */
QN_MUST_CHECK qn_status qn_vindex_merge(const qn_vindex_merge_input *inputs,
                                        size_t count, uint32_t field,
                                        qn_blockfile_writer *w, qn_error *err);

/* ---- what a kind is ------------------------------------------------------------ */

typedef struct qn_vindex_kind {
    uint8_t code; /* first byte of the block */
    const char *name;
    bool exact;
    qn_status (*open)(qn_alloc *a, const qn_blockfile *file, uint32_t field,
                      qn_slice block, QN_OWNED qn_vindex **out, qn_error *err);
    void (*close)(qn_vindex *v);
    void (*info)(const qn_vindex *v, qn_vindex_info *out);
    bool (*has)(const qn_vindex *v, uint32_t doc);
    qn_status (*search)(const qn_vindex *v, const qn_vindex_query *q, qn_vec_hit *hits,
                        size_t *n, qn_error *err);
    qn_status (*values)(const qn_vindex *v, const qn_vindex_query *q,
                        const uint32_t *docs, size_t n, float *out, qn_error *err);
    bool (*vector)(const qn_vindex *v, uint32_t doc, float *out);
} qn_vindex_kind;

/* Every kind begins with this; the rest is its own. */
struct qn_vindex {
    const qn_vindex_kind *kind;
    qn_alloc *alloc;
};

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* vec/flat_internal.h -- the block of flat.h, for its writer and its reader; its bytes
 * are drawn in docs/formats/vectors.md. Private. */
#ifndef QN_VEC_FLAT_INTERNAL_H
#define QN_VEC_FLAT_INTERNAL_H

#include "vec/flat.h"

enum {
    FLAT_HEADER = 64,
    FLAT_CODE = 1, /* of the kind */

    FLAT_RAW = 1, /* flags */
    FLAT_MAP = 2,
    FLAT_FLAGS = 3,
};

/* An opened block. */
typedef struct flat {
    qn_vindex base;
    qn_vindex_metric metric;
    qn_vindex_element element;
    bool raw;
    uint32_t dims, count, doc_count;
    const uint32_t *docs; /* NULL: row r is document r */
    const float *f32;     /* rows, one of the two */
    const int8_t *i8;
    const float *scales, *lengths;
    const int32_t *squares;
} flat;

/* Which sections a block has, besides its rows. */
static inline bool qn_flat__has_scales(qn_vindex_metric m, qn_vindex_element e,
                                       bool raw)
{
    return e == QN_VINDEX_I8 && (!raw || m == QN_VINDEX_COSINE);
}

/* Sums of squares of the int8 numbers. */
static inline bool qn_flat__has_squares(qn_vindex_metric m, qn_vindex_element e,
                                        bool raw)
{
    return e == QN_VINDEX_I8 && !raw && m == QN_VINDEX_L2;
}

/* Lengths that were divided out. */
static inline bool qn_flat__has_lengths(qn_vindex_metric m, bool raw)
{
    return m == QN_VINDEX_COSINE && !raw;
}

/* Euclidean length, in double. */
double qn_flat__length(const float *v, size_t n);
bool qn_flat__finite(const float *v, size_t n);
/* The numbers as int8 when they all are; false else. */
bool qn_flat__to_i8(const float *v, size_t n, int8_t *out);

#endif

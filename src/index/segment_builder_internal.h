/* SPDX-License-Identifier: Apache-2.0 */
/* index/segment_builder_internal.h -- a segment in the making. Private to
 * segment_builder.c, which fills it, and segment_write.c, which writes it out. */
#ifndef QN_INDEX_SEGMENT_BUILDER_INTERNAL_H
#define QN_INDEX_SEGMENT_BUILDER_INTERNAL_H

#include "index/segment_builder.h"
#include "index/segment_internal.h"

typedef struct builder_field {
    uint32_t id;
    qn_field_type type;
    bool indexed, column;
    term_table table;
    uint32_t doc_count; /* documents with a term */

    /* The document whose terms are arriving. */
    uint32_t doc, length, position;
    QN_VEC(uint8_t) norms; /* by document; may end before the last one */

    /* One entry a value: int64, double, or for keywords the index in `table`. */
    QN_VEC(uint32_t) column_docs;
    QN_VEC(uint64_t) column_values;
} builder_field;

struct qn_segment_builder {
    qn_alloc *alloc;
    uint64_t seed;
    ids ids;
    sources sources;
    byte_pool names, chunks;
    QN_VEC(builder_field *) fields; /* ascending id */
    builder_field *last;            /* used last */
};

#endif

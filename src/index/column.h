/* SPDX-License-Identifier: Apache-2.0 */
/* index/column.h -- one field's values, by document: what filters, sorts and formulas
 * read.
 *
 * A column holds integers (integer types, bool, date), floating-point numbers (float,
 * double) or keywords. Keywords are ordinals into a dictionary sorted by bytes, so
 * comparing ordinals compares values. A document may have no value (missing) or, in a
 * multi-value column, several: these keep the order they arrived in, duplicates too.
 *
 * Values are read in batches: one call for a run of documents, so the width of a stored
 * value is decided once a batch.
 *
 * Lifetime   a qn_column is a view that borrows the segment; it lives in the caller's
 *            memory and needs no close.
 * Threads    read by any number.
 * Errors     a column is validated whole when it is first asked for
 *            (qn_segment_column); after that reads do not fail. Document ids and
 *            ordinals passed in must be in range. */
#ifndef QN_INDEX_COLUMN_H
#define QN_INDEX_COLUMN_H

#include "index/schema.h"

typedef struct qn_column {
    qn_field_type type;
    bool multi;           /* some document has more than one value */
    bool has_missing;     /* some document has none */
    uint32_t doc_count;   /* documents of the segment */
    uint64_t value_count; /* single: documents with a value */
    uint32_t dict_count;  /* KEYWORD: distinct values */
    union {
        int64_t i64;
        double f64;
    } min, max; /* over all values; both 0 when there is none; NaN is left out */

    /* Private to column.c. */
    uint8_t width;          /* bytes a value: 0, 1, 2, 4 or 8 */
    const uint8_t *present; /* bit set by document, NULL: all there */
    const uint8_t *offsets; /* multi: u32[doc_count + 1] */
    const uint8_t *values;
    const uint8_t *dict_offsets, *dict_bytes;
} qn_column;

/* The values of several documents, of a multi-value column the first of each. Where a
 * document has none, out is 0 and, when `missing` is not NULL, bit i of it is set; the
 * other bits of the (n + 63) / 64 words are cleared. */
/* Integer columns only. */
void qn_column_get_i64(const qn_column *c, const uint32_t *docs, size_t n, int64_t *out,
                       QN_NULLABLE uint64_t *missing);
/* Integer and floating-point columns; integers are converted. */
void qn_column_get_f64(const qn_column *c, const uint32_t *docs, size_t n, double *out,
                       QN_NULLABLE uint64_t *missing);
/* Keyword columns; QN_ORD_NONE where there is no value. */
#define QN_ORD_NONE UINT32_MAX
void qn_column_get_ord(const qn_column *c, const uint32_t *docs, size_t n,
                       uint32_t *out);

bool qn_column_has(const qn_column *c, uint32_t doc);

/* All values of one document: places [begin, limit) for the value functions below. Also
 * for single columns (one place or none). */
void qn_column_range(const qn_column *c, uint32_t doc, uint64_t *begin,
                     uint64_t *limit);
int64_t qn_column_value_i64(const qn_column *c, uint64_t place);
double qn_column_value_f64(const qn_column *c, uint64_t place);
uint32_t qn_column_value_ord(const qn_column *c, uint64_t place);

/* The bytes of an ordinal; valid until the segment is closed. */
qn_slice qn_column_bytes(const qn_column *c, uint32_t ord);
/* The ordinal of exactly these bytes, or QN_ORD_NONE. */
uint32_t qn_column_find(const qn_column *c, qn_slice bytes);
/* The first ordinal whose bytes are >= these; dict_count when there is none. */
uint32_t qn_column_lower_bound(const qn_column *c, qn_slice bytes);

#endif

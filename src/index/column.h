/* SPDX-License-Identifier: Apache-2.0 */
/* index/column.h -- one field's values, by document: what filters, sorts and formulas
 * read.
 *
 * A column holds integers (integer types, bool, date), floating-point numbers (float,
 * double), keywords or points on the earth. Keywords are ordinals into a dictionary
 * sorted by bytes, so comparing ordinals compares values. A document may have no value
 * (missing) or, in a multi-value column, several: these keep the order they arrived in,
 * duplicates too.
 *
 * Values are bit-packed in blocks of 512 whose least and greatest are known, so that
 * what looks for a range passes over most blocks (qn_column_match, qn_column_bounds).
 * Values are read in batches: one call for a run of documents, best ascending.
 *
 * Values may be newer than the segment (column_overlay.h): nobody who reads them can tell.
 *
 * KEYS. Filters and sorts compare a column's values as int64 keys: the integer itself, a
 * keyword's ordinal, or a floating-point number's bits in an order-keeping form
 * (qn_column_key_f64). A point has two: fixed-point latitude and longitude.
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

enum { QN_COLUMN_BLOCK = 512 }; /* values bounded together */

/* Packed numbers; private to column_pack.h. */
typedef struct qn_packed {
    uint64_t count;
    int64_t base;
    uint64_t unit;
    bool flat;
    uint8_t bits;
    const uint8_t *table, *data;
} qn_packed;

typedef struct qn_column {
    qn_field_type type;
    bool multi;           /* some document has more than one value */
    bool has_missing;     /* some document has none */
    uint32_t doc_count;   /* documents of the segment */
    uint64_t value_count; /* single: documents with a value; with an overlay not less */
    uint32_t dict_count;  /* KEYWORD: distinct values */
    union {
        int64_t i64;
        double f64;
    } min, max; /* over all values of the segment itself; both 0 when there is none and
                 * for keywords and points; NaN is left out */

    /* Private to column.c. */
    const struct qn_kernels *kernels;
    QN_NULLABLE const struct overlay_column *over; /* then all is read through it */
    bool ranked; /* values stand by rank among the present, not by document */
    const uint8_t *present; /* bit set by document, NULL: all there */
    const uint8_t *ranks;   /* ranked: u32, present documents before each 512 */
    qn_packed places;       /* multi: doc_count + 1 of them */
    qn_packed values;       /* keys */
    qn_packed longitudes;   /* GEO; `values` are latitudes */
    qn_packed dict_places;
    const uint8_t *dict_bytes;
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
/* Keys of any column but GEO. */
void qn_column_get_keys(const qn_column *c, const uint32_t *docs, size_t n,
                        int64_t *out, QN_NULLABLE uint64_t *missing);

bool qn_column_has(const qn_column *c, uint32_t doc);

/* All values of one document: places [begin, limit) for the value functions below. Also
 * for single columns (one place or none). */
void qn_column_range(const qn_column *c, uint32_t doc, uint64_t *begin,
                     uint64_t *limit);
int64_t qn_column_value_i64(const qn_column *c, uint64_t place);
double qn_column_value_f64(const qn_column *c, uint64_t place);
uint32_t qn_column_value_ord(const qn_column *c, uint64_t place);
int64_t qn_column_value_key(const qn_column *c, uint64_t place);
/* As the builder took it: an int64, the bits of a double, an ordinal, a point's bits. */
uint64_t qn_column_value_bits(const qn_column *c, uint64_t place);

/* The bytes of an ordinal; valid until the segment is closed. */
qn_slice qn_column_bytes(const qn_column *c, uint32_t ord);
/* The ordinal of exactly these bytes, or QN_ORD_NONE. */
uint32_t qn_column_find(const qn_column *c, qn_slice bytes);
/* The first ordinal whose bytes are >= these; dict_count when there is none. */
uint32_t qn_column_lower_bound(const qn_column *c, qn_slice bytes);

/* ---- keys, blocks ------------------------------------------------------------------ */

/* Ascending as the numbers do; -0 just below 0; NaNs beyond both infinities. `type` is
 * FLOAT (the number is one) or DOUBLE. */
int64_t qn_column_key_f64(qn_field_type type, double v);
double qn_column_f64_of_key(qn_field_type type, int64_t key);

/* Sets the bit of each document of [begin, limit) that has a value with low <= key <=
 * high; the others stay. The first bit is that of `begin`, a multiple of 512. Not for
 * GEO. */
void qn_column_match(const qn_column *c, int64_t low, int64_t high, uint32_t begin,
                     uint32_t limit, uint64_t *bits);
/* Bounds of the keys around a document: those of all documents from `doc` to *last lie in
 * [*min, *max]; *min > *max: none of them has a value. */
void qn_column_bounds(const qn_column *c, uint32_t doc, uint32_t *last, int64_t *min,
                      int64_t *max);
/* Values in the blocks that reach into the range: a quick estimate from above. */
uint64_t qn_column_estimate(const qn_column *c, int64_t low, int64_t high);

/* ---- points ------------------------------------------------------------------------ */

/* 32 bits an angle, as Lucene keeps them: latitude is floor(degrees * 2^32 / 180),
 * longitude floor(degrees * 2^32 / 360), 90 and 180 one step below. */
typedef struct qn_geo_point {
    double lat, lon; /* degrees */
} qn_geo_point;

int32_t qn_geo_fix_lat(double lat);
int32_t qn_geo_fix_lon(double lon);
double qn_geo_lat(int32_t fixed);
double qn_geo_lon(int32_t fixed);
/* The bits that the builder takes: latitude above, longitude below. */
uint64_t qn_geo_bits(double lat, double lon);
qn_geo_point qn_geo_of_bits(uint64_t bits);
/* Metres between two points on a sphere of the earth's mean radius, 6,371,008.7714 m:
 * the haversine of Lucene's SloppyMath, computed exactly. */
double qn_geo_distance(qn_geo_point a, qn_geo_point b);

/* Bounds of both, as qn_column_bounds(). */
typedef struct qn_geo_box {
    int32_t lat_min, lat_max, lon_min, lon_max; /* fixed, both inside */
} qn_geo_box;
void qn_column_geo_bounds(const qn_column *c, uint32_t doc, uint32_t *last,
                          qn_geo_box *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* index/schema.h -- what a table is made of, whichever dialect described it.
 *
 * Two lists. FIELDS hold values: each document gives a field some values, and the flags
 * say what is kept of them (an inverted list, a column, a vector). INDEXES are what
 * queries name: a title, a pack of several text fields, the primary key, a vector. A
 * Retrieval Engine schema declares both; a mapping declares fields, and each searchable
 * field becomes an index of its own name, so every dialect can ask every table.
 *
 *     index "default" (TEXT) --> field "title"    boost 2
 *                           \--> field "overview" boost 1
 *
 * Parsers of the two schema dialects live in engine/; this header is the result, known
 * to the index, to queries and to ranking.
 *
 * Lifetime   a schema is immutable once built and owned by its table; everything in it
 *            lives in its arena.
 * Threads    read by any number. */
#ifndef QN_INDEX_SCHEMA_H
#define QN_INDEX_SCHEMA_H

#include "base/arena.h"

#define QN_FIELD_NONE UINT32_MAX

typedef enum qn_field_type {
    QN_FIELD_TEXT,    /* analysed, positions kept */
    QN_FIELD_KEYWORD, /* exact bytes, one term a value, no norms */
    QN_FIELD_BOOL,
    QN_FIELD_INT8,
    QN_FIELD_INT16,
    QN_FIELD_INT32,
    QN_FIELD_INT64,
    QN_FIELD_FLOAT,
    QN_FIELD_DOUBLE,
    QN_FIELD_DATE,   /* int64 milliseconds UTC */
    QN_FIELD_VECTOR, /* `dims` numbers */
    QN_FIELD_GEO,    /* a latitude and a longitude, in degrees */
} qn_field_type;

typedef enum qn_vector_metric {
    QN_METRIC_L2,     /* squared Euclidean distance, smaller is nearer */
    QN_METRIC_DOT,    /* inner product, larger is nearer */
    QN_METRIC_COSINE, /* vectors are normalised when written, then as DOT */
} qn_vector_metric;

typedef enum qn_vector_element { QN_ELEMENT_F32, QN_ELEMENT_I8 } qn_vector_element;

typedef struct qn_field {
    uint32_t id;   /* never reused within a table */
    qn_slice name; /* "title", "genres.keyword", "address.city" */
    qn_slice path; /* where in the document the values are: "genres", "address.city" */
    qn_field_type type;
    bool multi;           /* several values a document */
    bool indexed;         /* inverted list (TEXT, KEYWORD) */
    bool column;          /* attribute: filter, sort, expressions */
    bool stored;          /* shown in results as a summary field (HA3) */
    const char *analyzer; /* TEXT, documents */
    const char
        *search_analyzer;     /* TEXT, queries; the same unless the mapping says more */
    uint32_t ignore_above;    /* KEYWORD: longer values are not indexed; 0: no limit */
    uint32_t position_gap;    /* TEXT: between two values of one document, 100 in ES */
    int64_t int_min, int_max; /* integer types: the declared range, e.g. UINT8 0..255 */

    /* VECTOR */
    uint32_t dims;
    qn_vector_metric metric;
    bool any_length; /* DOT of vectors of any length (max_inner_product, InnerProduct);
                      * else their length is 1 */
    qn_vector_element element;
    QN_NULLABLE const char
        *model; /* embeds `model_paths` when a document gives no vector */
    const qn_slice *model_paths; /* joined by one blank, in this order */
    size_t model_path_count;
} qn_field;

typedef enum qn_index_kind {
    QN_INDEX_TEXT,    /* one or more TEXT fields */
    QN_INDEX_TERM,    /* one KEYWORD (or BOOL) field: whole values */
    QN_INDEX_NUMBER,  /* one numeric or DATE field: values and ranges, by column */
    QN_INDEX_PRIMARY, /* the primary key, `_id` */
    QN_INDEX_VECTOR,
} qn_index_kind;

typedef struct qn_index_def {
    qn_slice name;
    qn_index_kind kind;
    const uint32_t *fields; /* field ids */
    const float *boosts;    /* one a field */
    size_t field_count;
    const char *analyzer; /* TEXT: for queries on this index */
} qn_index_def;

typedef enum qn_schema_dialect { QN_SCHEMA_MAPPING, QN_SCHEMA_HA3 } qn_schema_dialect;
typedef enum qn_dynamic {
    QN_DYNAMIC_TRUE,
    QN_DYNAMIC_FALSE,
    QN_DYNAMIC_STRICT
} qn_dynamic;

typedef struct qn_schema {
    qn_schema_dialect dialect;
    qn_dynamic dynamic; /* mappings only; an HA3 schema ignores unknown fields */
    qn_slice source;    /* the JSON as it was given, verbatim */
    const qn_field *fields;
    size_t field_count;
    uint32_t field_id_next;
    const qn_index_def *indexes;
    size_t index_count;
    uint32_t primary_key; /* field id, or QN_FIELD_NONE: documents are named by `_id`
                             alone */
    QN_NULLABLE const qn_index_def *default_index; /* for HA3 terms without a prefix */
} qn_schema;

/* NULL when there is none. */
QN_NULLABLE const qn_field *qn_schema_field(const qn_schema *s, qn_slice name);
QN_NULLABLE const qn_field *qn_schema_field_by_id(const qn_schema *s, uint32_t id);
QN_NULLABLE const qn_index_def *qn_schema_index(const qn_schema *s, qn_slice name);
/* "text", "integer", "dense_vector", ... as the mapping dialect names it. */
const char *qn_field_type_name(qn_field_type type);
/* The field or index name nearest to `name` by edit distance, for "did you mean"; NULL
 * when nothing is near. The text lives as long as the schema. */
QN_NULLABLE const char *qn_schema_nearest(const qn_schema *s, qn_slice name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* engine/schema/document.h -- a JSON document against a schema: typed values, or why not.
 *
 *     {"title": "Up", "year": "2009", "cast": ["Asner", "Plummer"]}
 *         --> title "Up" | title.keyword "Up" | year 2009 | cast "Asner" | cast
 * "Plummer"
 *
 * Checked whole before anything is kept: a document that does not fit leaves no trace.
 * Objects are walked by dotted path, lists are flattened, null is nothing. A member
 * that no field reads is ignored, refused or mapped, as the schema says; new fields
 * come back as additions, and the caller makes a new schema and checks again.
 *
 * Lifetime   values live in the arena and point into the source text.
 * Errors     QN_EDOCUMENT in Elasticsearch's words with line and column; QN_EDIMS for a
 *            vector of another length. err->at is the offset in the source. */
#ifndef QN_ENGINE_DOCUMENT_H
#define QN_ENGINE_DOCUMENT_H

#include "engine/schema/schema_make.h"

#include "base/vec.h"

enum {
    QN_DOCUMENT_BYTES_MAX = 100 * 1024 * 1024,
    QN_DOCUMENT_VALUES_MAX = 1000000,
};

typedef struct qn_doc_value {
    const qn_field *field;
    qn_slice text; /* TEXT, KEYWORD */
    int64_t i64;   /* BOOL, integers, DATE; the bits of a GEO point */
    double f64;    /* FLOAT, DOUBLE */
    const float *vector;
} qn_doc_value;

typedef struct qn_document {
    qn_doc_value *values; /* in order of the document */
    size_t count;
    qn_schema_addition *additions; /* fields to be mapped first; then `values` is
                                      incomplete */
    size_t addition_count;
} qn_document;

/* `root` was parsed from `source` into the same arena. `id` stands in messages. */
QN_MUST_CHECK qn_status qn_document_check(qn_arena *arena,
                                          const qn_table_schema *schema,
                                          qn_slice source, const qn_json *root,
                                          qn_slice id, qn_document *out, qn_error *err);

/* The text that a vector field's model embeds: the strings at its model_paths, joined
 * by one blank; empty when there are none. */
QN_MUST_CHECK qn_status qn_document_embed_text(qn_arena *arena, const qn_field *field,
                                               const qn_json *root, qn_slice *out,
                                               qn_error *err);
/* Does the document give this field a value itself? */
bool qn_document_has(const qn_document *doc, const qn_field *field);

/* The value at a dotted path: members named by the path's parts, or by several parts
 * at once ("a.b" as one key). Of lists of objects the first that has it. */
QN_NULLABLE const qn_json *qn_document_at(const qn_json *root, qn_slice path);

/* The primary key in its canonical bytes: strings as they are, integers in decimal.
 * QN_EDOCUMENT when it is missing or neither. */
QN_MUST_CHECK qn_status qn_document_key(qn_arena *arena, const qn_json *root,
                                        qn_slice path, qn_slice *id, qn_error *err);

/* `partial` merged into `base`, as an update does: objects member by member, anything
 * else replaced. Appends JSON to `out`. */
QN_MUST_CHECK qn_status qn_document_merge(const qn_json *base, const qn_json *partial,
                                          qn_buf *out, qn_error *err);
/* Whether merging `partial` into `base` would give another document. */
bool qn_document_changes(const qn_json *base, const qn_json *partial);

#endif

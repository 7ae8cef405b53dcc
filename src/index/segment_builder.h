/* SPDX-License-Identifier: Apache-2.0 */
/* index/segment_builder.h -- documents collected in memory until they become a segment.
 *
 *     begin(id)            -> document number
 *     terms(field, ...)    the tokens of a TEXT field, in order
 *     keyword, i64, f64    once per value
 *     set_source(json)
 *     begin(next id) ...
 *     write(writer)        an image in memory (refresh) or a file (flush)
 *
 * The builder goes on after a write: the next image holds the same documents and those
 * added since. Each distinct (field, term) is interned once and keeps one chain of
 * growing chunks, in which every occurrence is a few bytes; there is no allocation per
 * token. Sources are compressed as they arrive, once.
 *
 * The analysis is the caller's: terms come as bytes with positions. A document's length
 * in a field is the number of its terms whose position differs from that of the term
 * before (stacked synonyms do not count), as in Lucene.
 *
 * Fields are named by their qn_field, of which the id, the type and the flags
 * `indexed`, `column` and `multi` are read; the pointer is not kept. Field ids from
 * QN_FIELD_INTERNAL on are free for the engine's own columns.
 *
 * Lifetime   everything passed in is copied.
 * Threads    one thread at a time.
 * Errors     QN_ENOMEM, QN_ELIMIT, QN_EINVAL. A document that failed half way stays,
 * with what was added: the caller deletes it. The builder itself stays sound. */
#ifndef QN_INDEX_SEGMENT_BUILDER_H
#define QN_INDEX_SEGMENT_BUILDER_H

#include "index/segment.h"

#define QN_FIELD_INTERNAL 0xFFFFFF00u

typedef struct qn_segment_builder qn_segment_builder;

/* `seed` keys the hash tables, also that of ids on disk: take qn_clock_seed(), or a
 * constant where images must repeat byte for byte. */
QN_MUST_CHECK qn_status qn_segment_builder_create(qn_alloc *a, uint64_t seed,
                                                  QN_OWNED qn_segment_builder **out,
                                                  qn_error *err);
void qn_segment_builder_destroy(QN_OWNED QN_NULLABLE qn_segment_builder *b);

/* Starts a document; the one before is complete with that. The id is 1 to
 * QN_SEGMENT_ID_MAX bytes. An id that is there already is no error: find() gives the
 * newest from now on, and the caller deletes the older. */
QN_MUST_CHECK qn_status qn_segment_builder_begin(qn_segment_builder *b, qn_slice id,
                                                 uint32_t *doc, qn_error *err);
typedef struct qn_segment_token {
    qn_slice term;
    uint32_t position;
} qn_segment_token;

/* Tokens of a TEXT field, in order; all of a field's text at once is fastest. Positions
 * of one field must not fall within a document; terms have 1 to QN_SEGMENT_TERM_MAX bytes
 * (longer: QN_ELIMIT). Both are checked before anything is added. */
QN_MUST_CHECK qn_status qn_segment_builder_terms(qn_segment_builder *b,
                                                 const qn_field *field,
                                                 const qn_segment_token *tokens,
                                                 size_t n, qn_error *err);
/* The same for one. */
QN_MUST_CHECK qn_status qn_segment_builder_term(qn_segment_builder *b,
                                                const qn_field *field, qn_slice term,
                                                uint32_t position, qn_error *err);
/* A value of a KEYWORD field: a term without position when `indexed`, a value of the
 * column when `column`. May be empty; over QN_SEGMENT_TERM_MAX bytes: QN_ELIMIT. */
QN_MUST_CHECK qn_status qn_segment_builder_keyword(qn_segment_builder *b,
                                                   const qn_field *field,
                                                   qn_slice value, qn_error *err);
/* A value of an integer, BOOL (0, 1) or DATE field. */
QN_MUST_CHECK qn_status qn_segment_builder_i64(qn_segment_builder *b,
                                               const qn_field *field, int64_t value,
                                               qn_error *err);
/* A value of a FLOAT (rounded to one) or DOUBLE field. */
QN_MUST_CHECK qn_status qn_segment_builder_f64(qn_segment_builder *b,
                                               const qn_field *field, double value,
                                               qn_error *err);
/* A point of a GEO field, in degrees: latitude within 90, longitude within 180 either
 * side (QN_EINVAL else). */
QN_MUST_CHECK qn_status qn_segment_builder_geo(qn_segment_builder *b,
                                               const qn_field *field, double lat,
                                               double lon, qn_error *err);
/* Once a document: its source JSON verbatim and bytes that only the caller understands
 * (both may be empty). */
QN_MUST_CHECK qn_status qn_segment_builder_set_source(qn_segment_builder *b,
                                                      qn_slice source, qn_slice extras,
                                                      qn_error *err);

/* The document begun last is not to be found by its id: from now on that names `before`,
 * what find() gave until then (QN_DOC_END: nothing). For one that failed half way. */
void qn_segment_builder_disown(qn_segment_builder *b, uint32_t doc, uint32_t before);

/* No more documents come. From now on write() may run in one thread while others call
 * find() and source(). */
QN_MUST_CHECK qn_status qn_segment_builder_seal(qn_segment_builder *b, qn_error *err);

uint32_t qn_segment_builder_doc_count(const qn_segment_builder *b);
/* Memory held, in bytes. */
size_t qn_segment_builder_bytes(const qn_segment_builder *b);
/* The newest document of that id, or QN_DOC_END. */
uint32_t qn_segment_builder_find(const qn_segment_builder *b, qn_slice id);
/* As qn_segment_source(). */
QN_MUST_CHECK qn_status qn_segment_builder_source(const qn_segment_builder *b,
                                                  uint32_t doc, qn_buf *scratch,
                                                  qn_slice *source,
                                                  QN_NULLABLE qn_slice *extras,
                                                  qn_error *err);

/* Writes the segment's blocks; the caller creates the writer (QN_SEGMENT_MAGIC,
 * QN_SEGMENT_VERSION), may add blocks of vec/, and finishes it. */
QN_MUST_CHECK qn_status qn_segment_builder_write(qn_segment_builder *b,
                                                 qn_blockfile_writer *w, qn_error *err);

#endif

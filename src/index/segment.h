/* SPDX-License-Identifier: Apache-2.0 */
/* index/segment.h -- an immutable set of documents: ids, sources, terms, lengths,
 * columns.
 *
 * A segment is a block file (io/blockfile.h), mapped from disk or an image in memory;
 * index/segment_builder.h writes it. Documents are numbered 0.. in order of arrival.
 * Deletions are not here: the engine keeps them beside the segment. Bytes:
 * docs/formats/segment.md.
 *
 * Vector blocks may lie in the same file; they belong to vec/.
 *
 * Lifetime   slices and cursors given out are valid until the segment is closed.
 * Threads    read by any number.
 * Errors     QN_ECORRUPT with file and offset, at open or when a part is first used. */
#ifndef QN_INDEX_SEGMENT_H
#define QN_INDEX_SEGMENT_H

#include "index/column.h"
#include "index/postings.h"
#include "io/blockfile.h"

#define QN_SEGMENT_MAGIC "QNSEG\0\0"
enum {
    QN_SEGMENT_VERSION = 1,      /* 0 was never released: refused */
    QN_SEGMENT_ID_MAX = 512,     /* bytes of a document id */
    QN_SEGMENT_TERM_MAX = 32766, /* bytes of a term */
};

/* Kinds of blocks in the file; 64 and up are vec's. The id is the field's, or 0. */
typedef enum qn_segment_block {
    QN_BLOCK_SEGMENT = 1, /* counts and the table of fields */
    QN_BLOCK_IDS = 2,
    QN_BLOCK_SOURCES = 3,
    QN_BLOCK_TERMS = 4,
    QN_BLOCK_POSTINGS = 5,
    QN_BLOCK_POSITIONS = 6,
    QN_BLOCK_NORMS = 7,
    QN_BLOCK_COLUMN = 8,
    QN_BLOCK_POINTS = 9,
} qn_segment_block;

typedef struct qn_segment qn_segment;

/* What the segment holds of one field. The statistics are to be summed over the
 * segments of a snapshot; deleted documents count until they are merged away. */
typedef struct qn_segment_field {
    uint32_t id;
    qn_field_type type;
    bool has_terms, has_positions, has_norms, has_column;
    uint32_t doc_count;           /* documents with at least one term */
    uint32_t term_count;          /* distinct terms */
    uint64_t sum_doc_freq;        /* of all terms */
    uint64_t sum_total_term_freq; /* tokens */
} qn_segment_field;

/* A term as the dictionary knows it. */
typedef struct qn_term {
    uint32_t doc_freq; /* 0: not in this segment; every other member is then void */
    uint64_t total_term_freq;

    /* Private to segment's files. */
    uint32_t field;
    uint32_t doc, position; /* the only ones, when doc_freq and total_term_freq are 1 */
    uint64_t postings_at, postings_size, positions_at, positions_size;
} qn_term;

/* The file passes to the segment when this succeeds; on failure it stays the caller's.
 */
QN_MUST_CHECK qn_status qn_segment_open(qn_alloc *a, QN_OWNED qn_blockfile *file,
                                        QN_OWNED qn_segment **out, qn_error *err);
/* Closes its file as well. */
void qn_segment_close(QN_OWNED QN_NULLABLE qn_segment *seg);
/* The file: for vec/, and for `quern table check`. */
const qn_blockfile *qn_segment_file(const qn_segment *seg);

uint32_t qn_segment_doc_count(const qn_segment *seg);
size_t qn_segment_field_count(const qn_segment *seg);
/* i-th field in ascending order of id. */
const qn_segment_field *qn_segment_field_at(const qn_segment *seg, size_t i);
/* NULL when no document of the segment has the field. */
QN_NULLABLE const qn_segment_field *qn_segment_field_of(const qn_segment *seg,
                                                        uint32_t field);

/* ---- documents ---------------------------------------------------------------- */

/* The newest document of that id, or QN_DOC_END. (An id can be there more than once:
 * all but the newest are deleted.) */
QN_MUST_CHECK qn_status qn_segment_find(const qn_segment *seg, qn_slice id,
                                        uint32_t *doc, qn_error *err);
QN_MUST_CHECK qn_status qn_segment_id(const qn_segment *seg, uint32_t doc, qn_slice *id,
                                      qn_error *err);
/* What set_source() was given. Unpacks about 16 KB into `scratch`, which is overwritten
 * and keeps the bytes: the slices are valid until it is touched. */
QN_MUST_CHECK qn_status qn_segment_source(const qn_segment *seg, uint32_t doc,
                                          qn_buf *scratch, qn_slice *source,
                                          QN_NULLABLE qn_slice *extras, qn_error *err);

/* ---- terms -------------------------------------------------------------------- */

/* term->doc_freq is 0 when the segment does not have it. */
QN_MUST_CHECK qn_status qn_segment_term(const qn_segment *seg, uint32_t field,
                                        qn_slice bytes, qn_term *term, qn_error *err);
/* A cursor on the term's first document; a term with doc_freq 0 gives one at the end.
 * `arena` is borrowed by the cursor, for documents with over 128 positions; NULL when
 * positions will not be asked for. */
QN_MUST_CHECK qn_status qn_segment_postings(const qn_segment *seg, const qn_term *term,
                                            QN_NULLABLE qn_arena *arena,
                                            qn_postings *out, qn_error *err);
/* The same with flags: 0 or QN_POSTINGS_LAZY. */
QN_MUST_CHECK qn_status qn_segment_postings_open(const qn_segment *seg,
                                                 const qn_term *term, unsigned flags,
                                                 QN_NULLABLE qn_arena *arena,
                                                 qn_postings *out, qn_error *err);
/* One length byte a document (index/bm25.h), 0 where it has no token of the field; NULL
 * for fields without norms. */
QN_MUST_CHECK qn_status qn_segment_norms(const qn_segment *seg, uint32_t field,
                                         const uint8_t **norms, qn_error *err);

/* Walks a field's terms in byte order.
 *
 *     qn_terms t;
 *     st = qn_terms_init(&t, seg, field, alloc, prefix, err);
 *     while (st == QN_OK && !t.at_end && starts_with(t.bytes, prefix)) {
 *         use(t.bytes, &t.term);
 *         st = qn_terms_next(&t, err);
 *     }
 *     qn_terms_deinit(&t); */
typedef struct qn_terms {
    bool at_end;
    qn_slice bytes; /* valid until the next move */
    qn_term term;

    /* Private to terms.c. */
    const qn_segment *seg;
    qn_buf buf;
    uint32_t index;
    const uint8_t *at;
} qn_terms;

/* On the first term >= `from` (empty: the first of all). deinit() also after a failure.
 */
QN_MUST_CHECK qn_status qn_terms_init(qn_terms *t, const qn_segment *seg,
                                      uint32_t field, qn_alloc *a, qn_slice from,
                                      qn_error *err);
QN_MUST_CHECK qn_status qn_terms_next(qn_terms *t, qn_error *err);
void qn_terms_deinit(qn_terms *t);

/* ---- columns ------------------------------------------------------------------ */

/* QN_ENOTFOUND when the segment has no column of that field: all documents miss it. */
QN_MUST_CHECK qn_status qn_segment_column(const qn_segment *seg, uint32_t field,
                                          qn_column *out, qn_error *err);

/* Reads terms, lists, positions, ids and columns whole and holds them against each other:
 * order, statistics, bounds that no score exceeds, the best documents. QN_ECORRUPT at the
 * first thing that does not hold. For `quern table check`: seconds a gigabyte. */
QN_MUST_CHECK qn_status qn_segment_check(const qn_segment *seg, qn_error *err);

/* The whole segment as text: for `quern inspect`, tests and curiosity. Lists at most
 * `terms_max` terms a field. */
QN_MUST_CHECK qn_status qn_segment_dump(const qn_segment *seg, size_t terms_max,
                                        qn_buf *out, qn_error *err);

#endif

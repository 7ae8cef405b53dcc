/* SPDX-License-Identifier: Apache-2.0 */
/* index/column_overlay.h -- new values of a segment's columns, beside the segment: what
 * an update of attributes changes instead of writing the document anew.
 *
 *     segment   | 512 docs | 512 docs | 512 docs | ...      packed, never changes
 *     overlay   |    .     |  values  |    .     | ...      plain numbers, where touched
 *     patches   |    .     |  texts   |    .     | ...      what changed in the source
 *
 * A block of 512 documents of which one was touched holds the values of all of them, so
 * that a read looks into one place, ranges and bounds included. Beside the values stands,
 * by document, a patch: JSON whose members replace those of the stored source. Keywords
 * that the segment does not know get numbers behind its dictionary; readers see both
 * sorted together.
 *
 * Blocks are counted and shared: freeze() gives readers an overlay that never changes,
 * and the next change of a block of it makes a copy. File: docs/formats/overlay.md.
 *
 * Lifetime   counted; a qn_column with an overlay borrows it.
 * Threads    one that changes it, or freezes it, at a time; frozen ones are read by any.
 * Errors     a failure leaves it as it was, but for keywords that nobody has yet; QN_ELIMIT
 *            when a column would get too many of these. */
#ifndef QN_INDEX_COLUMN_OVERLAY_H
#define QN_INDEX_COLUMN_OVERLAY_H

#include "index/merge.h"
#include "index/segment.h"

#define QN_OVERLAY_MAGIC "QNOVER\0"
enum {
    QN_OVERLAY_VERSION = 1,
    QN_OVERLAY_WORDS_MAX = 65536,       /* new keywords of a column */
    QN_OVERLAY_PATCH_MAX = 1024 * 1024, /* bytes */
};

typedef struct qn_overlay qn_overlay;

QN_MUST_CHECK qn_status qn_overlay_create(qn_alloc *a, uint32_t doc_count,
                                          QN_OWNED qn_overlay **out, qn_error *err);
/* As it is now, for readers. */
QN_MUST_CHECK qn_status qn_overlay_freeze(qn_overlay *o, QN_OWNED qn_overlay **out,
                                          qn_error *err);
qn_overlay *qn_overlay_acquire(qn_overlay *o);
void qn_overlay_release(QN_OWNED QN_NULLABLE qn_overlay *o);

/* Documents that have a patch. */
uint32_t qn_overlay_doc_count(const qn_overlay *o);
/* Grows with every change; a frozen one has that of its moment. */
uint64_t qn_overlay_changes(const qn_overlay *o);
/* Of memory, about; blocks that others share count. */
size_t qn_overlay_bytes(const qn_overlay *o);

/* ---- changing -------------------------------------------------------------------------- */

/* Which column: `base` is the segment's own, NULL when it has none. */
typedef struct qn_overlay_target {
    uint32_t field;
    qn_field_type type;
    QN_NULLABLE const qn_column *base;
} qn_overlay_target;

typedef struct qn_overlay_value {
    uint64_t bits; /* as qn_column_value_bits() */
    qn_slice text; /* KEYWORD */
} qn_overlay_value;

/* The document has these values from now on; n 0: none. */
typedef struct qn_overlay_change {
    qn_overlay_target target;
    qn_overlay_value *values;
    size_t n;
} qn_overlay_change;

/* Makes ready that a document's columns change together and that its patch becomes this
 * one (empty: it stays): all that can fail. Nothing else may happen to the overlay until
 * publish() makes it so, or unstage() forgets it. */
QN_MUST_CHECK qn_status qn_overlay_stage(qn_overlay *o, uint32_t doc,
                                         const qn_overlay_change *changes, size_t n,
                                         qn_slice patch, qn_error *err);
void qn_overlay_publish(qn_overlay *o);
void qn_overlay_unstage(qn_overlay *o);
/* *base: what the target of a field that was touched before had there; false: it was
 * not. */
bool qn_overlay_base(const qn_overlay *o, uint32_t field, const qn_column **base);
/* Has it just these now? */
bool qn_overlay_same(const qn_overlay *o, const qn_overlay_target *t, uint32_t doc,
                     const qn_overlay_value *values, size_t n);
/* Empty when there is none; valid until it is replaced or the overlay released. */
qn_slice qn_overlay_patch(const qn_overlay *o, uint32_t doc);
/* The first value of an integer column, where the overlay has touched it. */
bool qn_overlay_number(const qn_overlay *o, uint32_t field, uint32_t doc, int64_t *out);

/* What `now` has of documents that changed since `then` (a freeze of it, or NULL: of
 * all that it touched) becomes that of the documents that `map` makes of them, in `to`
 * over the bare segment `into`. May be done again. */
QN_MUST_CHECK qn_status qn_overlay_carry(const qn_overlay *now,
                                         QN_NULLABLE const qn_overlay *then,
                                         const qn_doc_map *map, const qn_segment *into,
                                         qn_overlay *to, qn_error *err);

/* ---- reading ----------------------------------------------------------------------------- */

/* A segment with the overlay's values: columns, fields and patches are those of both,
 * everything else is the bare segment's, which must outlive it and is not closed by
 * qn_segment_close(). `o` is frozen, and counted up. */
QN_MUST_CHECK qn_status qn_segment_with(const qn_segment *bare, qn_overlay *o,
                                        QN_OWNED qn_segment **out, qn_error *err);
/* NULL: it has none. */
QN_NULLABLE const qn_overlay *qn_segment_overlay(const qn_segment *seg);
/* The same counted up. */
QN_NULLABLE qn_overlay *qn_segment_overlay_share(const qn_segment *seg);
/* Has it newer values of that field? */
bool qn_segment_is_newer(const qn_segment *seg, uint32_t field);

/* ---- the file ------------------------------------------------------------------------------ */

/* All blocks; the caller creates the writer and finishes it. `o` is frozen. */
QN_MUST_CHECK qn_status qn_overlay_write(const qn_overlay *o, qn_alloc *a,
                                         qn_blockfile_writer *w, qn_error *err);
/* QN_ECORRUPT when the file does not go with the segment. */
QN_MUST_CHECK qn_status qn_overlay_read(qn_alloc *a, const qn_blockfile *f,
                                        const qn_segment *bare,
                                        QN_OWNED qn_overlay **out, qn_error *err);

#endif

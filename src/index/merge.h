/* SPDX-License-Identifier: Apache-2.0 */
/* index/merge.h -- several segments become one, without their deleted documents.
 *
 *     for each input: qn_doc_map_init(&maps[i], alloc, deleted, docs, base, err)
 *                     base += maps[i].live_count
 *     qn_segment_merge(...)            writes the blocks of the new segment
 *     (vec/ adds its blocks)           the caller finishes the writer
 *
 * The result answers as a segment that was built anew from the live documents in the
 * same order: dictionaries are merged term by term, posting lists decoded, renumbered
 * and encoded again, statistics and bounds computed from what is left. Nothing is
 * analysed again. Newer values of inputs (column_overlay.h) become the segment's own.
 * Documents keep their order: those of the first input, then those of
 * the second.
 *
 * Memory: a term's list, the dictionary of a field, a column, the names of documents:
 * one of these at a time. Postings, positions and sources go straight to the writer.
 *
 * Lifetime   everything passed in is borrowed during the call.
 * Threads    inputs are only read; they may be searched meanwhile.
 * Errors     QN_ECORRUPT from an input with file and offset, QN_ENOMEM, QN_ELIMIT,
 *            QN_ECANCELLED, errors of the writer. What was written is then void. */
#ifndef QN_INDEX_MERGE_H
#define QN_INDEX_MERGE_H

#include "base/bits.h"
#include "index/segment.h"

/* Where the documents of one input go. */
typedef struct qn_doc_map {
    uint32_t doc_count, live_count;
    uint32_t base;                       /* number of the first live one */
    QN_NULLABLE const uint64_t *deleted; /* borrowed; NULL: all live */

    /* Private. */
    qn_alloc *alloc;
    uint32_t *before; /* deleted documents before each word of `deleted` */
} qn_doc_map;

/* `deleted` NULL: none. deinit() also after a failure. */
QN_MUST_CHECK qn_status qn_doc_map_init(qn_doc_map *m, qn_alloc *a,
                                        QN_NULLABLE const uint64_t *deleted,
                                        uint32_t doc_count, uint32_t base,
                                        qn_error *err);
void qn_doc_map_deinit(qn_doc_map *m);

/* The new number of an old document, or QN_DOC_END when it is deleted. */
static inline uint32_t qn_doc_map_get(const qn_doc_map *m, uint32_t doc)
{
    if (m->deleted == NULL) return m->base + doc;
    uint64_t word = m->deleted[doc / 64], bit = (uint64_t)1 << (doc % 64);
    if (word & bit) return QN_DOC_END;
    uint32_t gone = (uint32_t)__builtin_popcountll(word & (bit - 1));
    return m->base + doc - m->before[doc / 64] - gone;
}

typedef struct qn_merge_input {
    const qn_segment *segment;
    const qn_doc_map *map;
} qn_merge_input;

/* A stored source with a patch of column_overlay.h in it. `patch` is not empty; the
 * result may lie in `out`. */
typedef qn_status qn_merge_patch_fn(qn_slice source, qn_slice patch, qn_buf *out,
                                    qn_error *err);

typedef struct qn_merge_options {
    uint64_t seed; /* of the new segment's hash tables: qn_clock_seed() */
    QN_NULLABLE qn_merge_patch_fn *patch; /* needed where inputs have newer values */
    QN_NULLABLE qn_pace *pace; /* the writer's: its cancel flag is looked at often */
} qn_merge_options;

/* Writes the blocks of this module; the caller creates the writer (QN_SEGMENT_MAGIC,
 * QN_SEGMENT_VERSION), may add blocks of vec/, and finishes it. `count` >= 1; the maps'
 * bases follow one another. */
QN_MUST_CHECK qn_status qn_segment_merge(qn_alloc *a, const qn_merge_input *inputs,
                                         size_t count, const qn_merge_options *o,
                                         qn_blockfile_writer *w, qn_error *err);

#endif

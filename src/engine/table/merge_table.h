/* SPDX-License-Identifier: Apache-2.0 */
/* engine/table/merge_table.h -- joining segments of a table that stand beside each other.
 *
 *     begin   counts the inputs up and copies their delete bits    (write lock, short)
 *     run     writes the new segment, a file or an image           (no lock)
 *     carry   what was deleted or updated meanwhile is so in it as well
 *                                                                  (write lock, short)
 *     swap    it takes its inputs' place                           (write lock, short)
 *     end
 *
 * Between begin and swap nobody else may replace the same segments: images and files
 * without a manifest are guarded by the table's `seal`, the others by `merging`.
 *
 * Threads    one merging, one thread.
 * Errors     of qn_segment_merge(); the table is then as it was, and end() has removed
 *            the file. */
#ifndef QN_ENGINE_MERGE_TABLE_H
#define QN_ENGINE_MERGE_TABLE_H

#include "engine/table/table.h"

typedef struct qn_merging {
    qn_table *table;
    size_t count;
    qn_live_segment **inputs;
    qn_overlaid **shown; /* inputs with newer values as they were then; NULL: none */
    qn_overlay **seen;   /* newer values that the output has by now; NULL: none */
    uint64_t **before;   /* delete bits of each when it began; NULL: none */
    qn_doc_map *maps;
    uint32_t live_count;
    bool many_looks;           /* for ids in the inputs */
    qn_live_segment *output;   /* NULL: no document was left */
    qn_delete_bits deleted;    /* of the output */
    qn_overlay *overlay;       /* of the output: what was updated meanwhile; or NULL */
    bool swapped, keep_output; /* keep: a manifest that failed may name it */
} qn_merging;

/* Under `write`: segments [first, first + count). end() also after a failure. */
QN_MUST_CHECK qn_status qn_merging_begin(qn_merging *m, qn_table *t, size_t first,
                                         size_t count, qn_error *err);
/* Without `write`. `id` 0: an image in memory. */
QN_MUST_CHECK qn_status qn_merging_run(qn_merging *m, uint64_t id,
                                       QN_NULLABLE qn_pace *pace, qn_error *err);
/* Under `write`. May be called again; only memory can be wanting. */
QN_MUST_CHECK qn_status qn_merging_carry(qn_merging *m, qn_error *err);
/* The same of deletes alone, which cannot fail: when the inputs were closed (`closing`)
 * after carry(). */
void qn_merging_carry_deletes(qn_merging *m);
/* Under `write`: closes the inputs to updates in place, or opens them again. */
void qn_merging_close(qn_merging *m, bool closing);
/* Under `write`: where the inputs stand in the table now. */
size_t qn_merging_place(const qn_merging *m);
/* Under `write`, after carry(): cannot fail. */
void qn_merging_swap(qn_merging *m);
void qn_merging_end(qn_merging *m);

/* Blocks of a segment in memory or in file seg-<id>, opened: used by refresh and flush
 * as well. `write` puts the blocks. */
typedef qn_status qn_blocks_fn(void *ctx, qn_blockfile_writer *w, qn_error *err);
QN_MUST_CHECK qn_status qn_table__write_segment(qn_table *t, uint64_t id,
                                                qn_blocks_fn *put, void *ctx,
                                                QN_NULLABLE qn_pace *pace,
                                                QN_OWNED qn_live_segment **out,
                                                qn_error *err);

#endif

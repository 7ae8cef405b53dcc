/* SPDX-License-Identifier: Apache-2.0 */
/* engine/table/table_overlay.h -- attributes of documents in segments, updated in place.
 *
 * An update whose members are attributes alone (kept as columns, and neither as words nor
 * as vectors) changes the overlay of the segment that the document is in, and no document
 * is written:
 *
 *     plan     which columns get which values; or: this one must be written anew
 *     stage    columns, _seq_no and _version, and the patch of the source are made ready
 *     log      the partial document, type 5
 *     publish
 *
 * Searches see frozen overlays (qn_overlaid) in their snapshots. A flush writes the
 * overlays that changed into files beside the segments; a merge takes the values into the
 * segment it writes.
 *
 * Threads    under the table's write lock, unless said.
 * Errors     a plan that cannot be made is none: writing the document anew says why. */
#ifndef QN_ENGINE_TABLE_OVERLAY_H
#define QN_ENGINE_TABLE_OVERLAY_H

#include "engine/engine_internal.h"

typedef struct qn_overlay_plan {
    qn_overlay_change *changes; /* in the arena, as all of it; room for two more */
    size_t count;
    qn_slice partial; /* the partial document, as the log has it */
    qn_slice patch;   /* with what was patched before */
    bool differs;     /* some column gets other values than it has */
} qn_overlay_plan;

/* *possible: `root`, a partial document, can be merged in place into the document there.
 * QN_ENOMEM alone is a failure. */
QN_MUST_CHECK qn_status qn_overlay_plan_make(qn_table *t, const qn_place *place,
                                             qn_slice id, qn_slice source,
                                             const qn_json *root, qn_arena *arena,
                                             qn_overlay_plan *out, bool *possible,
                                             qn_error *err);
/* All that can fail of it; then publish or drop, before anything else happens to the
 * table. QN_ELIMIT: it must be written anew. */
QN_MUST_CHECK qn_status qn_overlay_plan_stage(qn_table *t, const qn_place *place,
                                              const qn_overlay_plan *p, int64_t seq_no,
                                              int64_t version, qn_error *err);
void qn_overlay_plan_publish(qn_table *t, const qn_place *place,
                             const qn_overlay_plan *p);
void qn_overlay_plan_drop(qn_table *t, const qn_place *place);

/* The segment as it is seen now: NULL when it has no newer values. Stays the table's. */
QN_MUST_CHECK qn_status qn_table__show(qn_table_segment *s, qn_overlaid **out,
                                       qn_error *err);

/* A stored source of a segment with its patch in it: without any lock. The slice is valid
 * until `scratch` is touched. */
QN_MUST_CHECK qn_status qn_patched_source(const qn_segment *seg, uint32_t doc,
                                          qn_buf *scratch, qn_slice *source,
                                          qn_error *err);
/* What an overlay says of a source that was read: the same, of one that changes. */
QN_MUST_CHECK qn_status qn_overlaid_source(const qn_segment *seg, const qn_overlay *o,
                                           uint32_t doc, qn_buf *scratch,
                                           qn_slice *source, qn_error *err);
/* A source with a patch in it; a qn_merge_patch_fn. */
QN_MUST_CHECK qn_status qn_patch_source(qn_slice source, qn_slice patch, qn_buf *out,
                                        qn_error *err);

/* ---- files: without `write` ------------------------------------------------------------- */

/* Durable when it returns QN_OK; a file that failed is removed. `o` is frozen. */
QN_MUST_CHECK qn_status qn_overlay_save(qn_table *t, uint64_t id, const qn_overlay *o,
                                        qn_error *err);
void qn_overlay_remove(const qn_table *t, uint64_t id);
QN_MUST_CHECK qn_status qn_overlay_load(qn_alloc *a, const char *path,
                                        const qn_segment *segment,
                                        QN_OWNED qn_overlay **out, qn_error *err);

#endif

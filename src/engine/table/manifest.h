/* SPDX-License-Identifier: Apache-2.0 */
/* engine/table/manifest.h -- what a table consists of: the one file whose rename is a commit.
 *
 *     tables/films/
 *         manifest-7          a block file: JSON, and the delete bits of each segment
 *         seg-3.qns seg-5.qns the segments that it names
 *         over-8.qno          newer values of the attributes of one of them
 *         wal-1042            operations since
 *
 * manifest-N is written beside its name, synced, renamed, and the folder is synced;
 * then manifest-(N-1) and whatever no manifest names is removed. At open the highest N
 * counts. Bytes: docs/formats/manifest.md.
 *
 * Lifetime   a read manifest owns an arena with all its texts.
 * Errors     QN_ECORRUPT with the file, QN_EVERSION, errors of files. */
#ifndef QN_ENGINE_MANIFEST_H
#define QN_ENGINE_MANIFEST_H

#include "engine/schema/schema_make.h"

/* 0 was never released: refused. 2 is a manifest of a table whose attributes are updated
 * in place: overlays beside segments, and such updates in the log. */
enum { QN_MANIFEST_VERSION = 2, QN_MANIFEST_UPDATES = 2 };

typedef struct qn_manifest_segment {
    uint64_t id;      /* the file is seg-<id>.qns */
    uint64_t overlay; /* the file is over-<overlay>.qno; 0: none */
    uint32_t doc_count;
    const uint64_t *deleted; /* a bit a document; NULL: none */
} qn_manifest_segment;

typedef struct qn_manifest {
    uint64_t number; /* N of its name */
    bool updates;    /* version QN_MANIFEST_UPDATES: what it needs to be */
    qn_slice uuid;
    int64_t created_ms;
    qn_slice schema;
    const qn_schema_addition *additions;
    size_t addition_count;
    const qn_manifest_segment *segments;
    size_t segment_count;
    uint64_t segment_id_next;
    uint64_t replay_from; /* first log record that is not in the segments */
    int64_t seq_no_next;
    qn_policy policy; /* set later than the schema */

    qn_arena arena; /* of a read manifest */
} qn_manifest;

/* Writes manifest-<number>; durable and the one that counts when it returns QN_OK. */
QN_MUST_CHECK qn_status qn_manifest_write(qn_alloc *a, const char *dir,
                                          const qn_manifest *m, qn_error *err);
/* The newest of the folder. QN_ENOTFOUND when there is none. deinit() also after a
 * failure. */
QN_MUST_CHECK qn_status qn_manifest_read(qn_alloc *a, const char *dir, qn_manifest *out,
                                         qn_error *err);
void qn_manifest_deinit(qn_manifest *m);
/* Removes files of the folder that belong to a table but not to this manifest: older
 * manifests, segments it does not name, what a crash left half written. The log is left
 * alone: it cleans up after itself. */
void qn_manifest_sweep(const char *dir, const qn_manifest *m);
/* DIR/seg-<id>.qns */
void qn_manifest_segment_path(qn_buf *out, const char *dir, uint64_t id);
/* DIR/over-<id>.qno */
void qn_manifest_overlay_path(qn_buf *out, const char *dir, uint64_t id);

#endif

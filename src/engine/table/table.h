/* SPDX-License-Identifier: Apache-2.0 */
/* engine/table/table.h -- one table: log, memory, segments, snapshots.
 *
 *     write --> log --> memory (documents that no segment has yet)
 *                         | refresh: frozen, and written as a segment in memory
 *                         | flush: those joined in a file, a new manifest, the log cut
 *                         | merge: files joined, a new manifest
 *     search --> snapshot: segments, delete bits, schema; immutable, counted
 *
 * A document lives in memory or in one segment; the newest place of its id counts,
 * every older one is marked deleted. Segments stand in order of arrival: files that the
 * manifest names, then those it does not name yet. Delete bits belong to the table and
 * change under its write lock; a snapshot has its own copy.
 *
 * Lifetime   tables are counted by who uses them; the last release closes. Snapshots
 *            are counted as well and may outlive their table's next changes. The file
 *            of a segment that was merged away goes when the last snapshot lets go.
 * Threads    in this order:
 *              `seal`          held by a refresh or a flush from end to end
 *              `merging`       held by a merge of files from end to end
 *              `commit`        while a manifest is written; guards its number
 *              `write`         guards all members but those named below; never held
 *                              while segments are written or synced
 *              `current_lock`  guards `current`: searches take only that, for as long
 *                              as it takes to count one up
 *            Only qn_table_stop() takes `merging` with `seal` in hand.
 * Errors     a failed sync of the log makes the table read-only until reopened. A
 *            failed flush or merge leaves the table as it was. */
#ifndef QN_ENGINE_TABLE_H
#define QN_ENGINE_TABLE_H

#include "engine/schema/document.h"
#include "engine/table/graves.h"
#include "engine/table/id_filter.h"
#include "engine/table/oplog.h"
#include "index/column_overlay.h"
#include "engine/write/write_group.h"
#include "index/segment_builder.h"
#include "query/snapshot.h"
#include "quern/quern.h"
#include "vec/flat.h"

#include <pthread.h>

enum { QN_TABLE_UUID_SIZE = 22 };

/* Columns of the engine's own in every segment. */
extern const qn_field qn_seq_no_field, qn_version_field;

/* ---- what a snapshot is made of, each counted ----------------------------------------- */

/* The folder of a table, for as long as files may have to be removed from it. */
typedef struct qn_table_folder {
    atomic_uint refs;
    pthread_mutex_t lock; /* held while a file is removed */
    bool gone;            /* dropped: what has its name now is another's */
    char *path;
    qn_alloc *alloc;
} qn_table_folder;

QN_MUST_CHECK qn_status qn_table_folder_create(qn_alloc *a, const char *path,
                                               QN_OWNED qn_table_folder **out,
                                               qn_error *err);
qn_table_folder *qn_table_folder_acquire(qn_table_folder *f);
void qn_table_folder_release(QN_OWNED QN_NULLABLE qn_table_folder *f);
/* From now on nothing is removed from it. */
void qn_table_folder_set_gone(qn_table_folder *f);

typedef struct qn_live_segment {
    atomic_uint refs;
    uint64_t id;  /* of the file; 0: an image in memory */
    uint64_t uid; /* of no other segment of this process */
    qn_segment *segment;
    uint32_t doc_count;
    qn_vector_view *vectors;
    size_t vector_count;
    qn_column seq_no, version;
    qn_id_filter ids;        /* guarded by the table's `write` */
    qn_table_folder *doomed; /* the file is removed from here in the end; NULL: kept */
    qn_alloc *alloc;
} qn_live_segment;

/* Takes the file over, also when it fails. */
QN_MUST_CHECK qn_status qn_live_segment_create(qn_alloc *a, QN_OWNED qn_blockfile *file,
                                               uint64_t id, const qn_schema *schema,
                                               QN_OWNED qn_live_segment **out,
                                               qn_error *err);
/* A number that no segment of this process has had. */
uint64_t qn_live_segment_uid(void);
qn_live_segment *qn_live_segment_acquire(qn_live_segment *s);
void qn_live_segment_release(QN_OWNED QN_NULLABLE qn_live_segment *s);
/* No manifest names it any more: its file goes with the last reference. By whoever took
 * it out of its table, once. */
void qn_live_segment_doom(qn_live_segment *s, qn_table_folder *folder);

/* A segment with newer values of attributes, frozen; lives while the segment does. */
typedef struct qn_overlaid {
    atomic_uint refs;
    qn_segment *segment;
    uint64_t uid;
    qn_column seq_no, version;
    qn_alloc *alloc;
} qn_overlaid;

qn_overlaid *qn_overlaid_acquire(QN_NULLABLE qn_overlaid *s);
void qn_overlaid_release(QN_OWNED QN_NULLABLE qn_overlaid *s);

typedef struct qn_table_snapshot {
    qn_snapshot_view view; /* what queries see */
    atomic_uint refs;
    qn_table_schema *schema;
    qn_live_segment **segments;
    qn_overlaid **overlaid; /* NULL: the segment itself is what is seen */
    qn_segment_view *views;
    uint64_t **deleted; /* copies of the bits */
    uint64_t live_count;
    qn_error *damage; /* what is left out, and why */
    size_t damage_count;
    qn_alloc *alloc;
} qn_table_snapshot;

qn_table_snapshot *qn_table_snapshot_acquire(qn_table_snapshot *s);
void qn_table_snapshot_release(QN_OWNED QN_NULLABLE qn_table_snapshot *s);

/* ---- the table ------------------------------------------------------------------------ */

typedef struct qn_delete_bits {
    uint64_t *words;
    size_t word_capacity;
    uint32_t count; /* set bits */
} qn_delete_bits;

typedef struct qn_table_segment {
    qn_live_segment *live;
    qn_delete_bits deleted;
    qn_overlay *overlay;    /* newer values of attributes; NULL: none */
    qn_overlaid *shown;     /* as of the last time somebody wanted to see it, or NULL */
    uint64_t overlay_file;  /* that the manifest names; 0: none ... */
    uint64_t overlay_saved; /* ... and the changes that are in it */
    bool committed;         /* the manifest names it */
    bool closing; /* no more updates in place: a manifest without it is being written */
    bool damaged; /* found so by a search: left out of snapshots */
} qn_table_segment;

/* Of a document in memory. */
typedef struct qn_doc_state {
    int64_t seq_no, version;
} qn_doc_state;

typedef struct qn_vector_builder {
    uint32_t field;
    qn_flat_builder *flat;
} qn_vector_builder;

/* Documents on their way into a segment. */
typedef struct qn_memory {
    qn_segment_builder *builder;
    QN_VEC(qn_doc_state) docs;
    qn_delete_bits deleted;
    QN_VEC(qn_vector_builder) vectors;
    size_t frozen_bytes; /* what it held when it was frozen */
    bool any_live;       /* was some document of it not deleted then? */
} qn_memory;

/* What is said of merges in the statistics of a table. */
typedef struct qn_merge_stats {
    uint64_t done, failed, documents, bytes; /* of finished ones */
    bool running;
    size_t running_segments;
    qn_error last_error; /* code QN_OK: none yet */
} qn_merge_stats;

typedef struct qn_table {
    struct quern *engine;
    char *name, *dir;
    atomic_uint refs;

    qn_table_folder *folder;
    pthread_mutex_t seal, merging, commit;
    uint64_t manifest_number;       /* guarded by `commit` */
    atomic_bool stop_merging;       /* set: a running merge ends soon, none begins */
    atomic_bool dropping;           /* set: a running flush ends soon too */
    atomic_llong flush_retry_at_ns; /* after a failure: not by itself before */
    atomic_bool flush_wanted;       /* by a writer that found memory full */
    /* May attributes be updated in place? Once a manifest says so, which keeps older
     * programs away. Wanted: by a writer. */
    atomic_bool takes_updates, wants_updates;
    qn_pace pace; /* of the running merge */

    pthread_mutex_t write;
    /* Guarded by `write`. */
    qn_table_schema *schema; /* replaced under current_lock as well */
    char uuid[QN_TABLE_UUID_SIZE + 1];
    int64_t created_ms;
    uint64_t segment_id_next;
    QN_VEC(qn_table_segment) segments;
    qn_memory *memory;   /* takes the writes; NULL: nothing yet */
    qn_memory *frozen;   /* being written as a segment; NULL: none */
    uint32_t *positions; /* by place of a field: where its next value begins */
    size_t positions_capacity;
    qn_graves graves;
    qn_wal *wal;
    uint64_t lsn_next;
    uint64_t replay_from;       /* as the manifest says */
    size_t committed_additions; /* fields that the log need not bring back */
    int64_t seq_no_next;
    bool changed;        /* since the last refresh */
    bool unflushed;      /* the log holds something */
    size_t update_bytes; /* of updates in place that the log holds: they cost no memory,
                          * and the log must not grow for ever */
    qn_policy policy;    /* as set since the table was made */
    bool dropped;
    QN_VEC(qn_error) damage; /* damaged files, see damage.h */
    bool log_damaged;        /* among them; then `wal` is NULL */
    qn_status broken;        /* why the table takes no more writes; QN_OK: it does */
    qn_error broken_error;
    qn_buf scratch, source_scratch;
    qn_arena words; /* of the document being added */
    qn_merge_stats merges;
    int64_t merge_retry_at_ns; /* after a failure: not before */
    unsigned merge_failures;   /* in a row */

    /* The thread that refreshes spares the builder too many images: when the last was
     * ready, how long it took, when somebody last searched. */
    atomic_llong refreshed_at_ns, refresh_took_ns, searched_at_ns;
    int64_t seq_no_seen; /* what the next write would have had at the last look */

    /* What keeps memory bounded when flushing fails or falls behind: documents not in
     * files, at the last look; calls that wait for room. */
    atomic_size_t memory_seen, waiting;
    atomic_llong
        flush_failed_at_ns; /* a flush that failed is left alone for a second */
    qn_error flush_error;   /* why; guarded by `write` */

    /* What the policy comes to. */
    atomic_bool is_async;
    atomic_llong sync_interval_ms;
    atomic_llong
        unsynced_since_ns; /* acknowledged and not on the disk; 0: nothing is */

    qn_write_group group; /* has its own lock, never held with another */

    pthread_mutex_t current_lock;
    qn_table_snapshot *current; /* guarded by current_lock */
} qn_table;

/* Makes the folder with its first manifest. */
QN_MUST_CHECK qn_status qn_table_make(struct quern *q, const char *name,
                                      qn_slice schema, qn_error *err);
QN_MUST_CHECK qn_status qn_table_open(struct quern *q, const char *name,
                                      QN_OWNED qn_table **out, qn_error *err);
qn_table *qn_table_acquire(qn_table *t);
/* The last one flushes (unless dropped or read-only) and closes. */
void qn_table_release(QN_OWNED QN_NULLABLE qn_table *t);

/* The manifest and the files that it names stay until let_go(). Waits for a flush; writes
 * and merges go on, but no flush begins and no merge ends. */
void qn_table_hold(qn_table *t);
void qn_table_let_go(qn_table *t);
/* Ends flush and merge, and keeps both and all writes from beginning until go_on(), which
 * says whether the folder is no longer the table's. Searches go on. */
void qn_table_stop(qn_table *t);
void qn_table_go_on(qn_table *t, bool dropped);

/* The one that searches use now. */
qn_table_snapshot *qn_table_current(qn_table *t);
/* The same for a search: a table that is searched is refreshed more often. */
qn_table_snapshot *qn_table_search(qn_table *t);

/* The schema of now, counted, without waiting for writes. */
qn_table_schema *qn_table_schema_now(qn_table *t);

/* Without any lock of the table: */

/* What was written before is searched from now on. */
QN_MUST_CHECK qn_status qn_table_refresh(qn_table *t, qn_error *err);
/* What was written before is in files; the log is cut. */
QN_MUST_CHECK qn_status qn_table_flush(qn_table *t, qn_error *err);
/* A flush, then one segment without deleted documents. */
QN_MUST_CHECK qn_status qn_table_optimize(qn_table *t, qn_error *err);
/* A manifest that allows updates in place. When it fails, the next one does. */
void qn_table__allow_updates(qn_table *t);
/* A flush for want of memory, unless one failed a moment ago: then its error again. */
QN_MUST_CHECK qn_status qn_table__flush_full(qn_table *t, qn_error *err);
/* After a write: when much is in memory it asks for a flush in the background, and when
 * far too much is, it waits for one. */
QN_MUST_CHECK qn_status qn_table_relieve(qn_table *t, qn_error *err);

/* Under `write`: */

/* Bytes of documents that are not in files. */
size_t qn_table__memory_bytes(const qn_table *t);
/* Takes up what the policy comes to: the schema's, and over it what was set later. */
void qn_table__settle_policy(qn_table *t);
/* A new schema with more fields, logged when `log`. */
QN_MUST_CHECK qn_status qn_table__add_fields(qn_table *t,
                                             const qn_schema_addition *fields,
                                             size_t count, bool log, qn_error *err);

/* Where the newest document of an id is. */
typedef struct qn_place {
    bool found; /* and not deleted */
    QN_NULLABLE qn_memory *memory;
    size_t segment; /* place in t->segments, when it is not in memory */
    uint32_t doc;
    int64_t seq_no, version;
} qn_place;
QN_MUST_CHECK qn_status qn_table__find(qn_table *t, qn_slice id, qn_place *out,
                                       qn_error *err);
QN_MUST_CHECK qn_status qn_table__source(qn_table *t, const qn_place *place,
                                         qn_buf *scratch, qn_slice *source,
                                         qn_error *err);
QN_MUST_CHECK qn_status qn_table__mark_deleted(qn_table *t, const qn_place *place,
                                               qn_error *err);
/* So that marking it cannot fail: before the operation is logged. */
QN_MUST_CHECK qn_status qn_table__will_delete(qn_table *t, const qn_place *place,
                                              qn_error *err);
/* Adds a checked document to the builder. On failure half of it stays there, hidden. */
QN_MUST_CHECK qn_status qn_table__feed(qn_table *t, qn_slice id, const qn_document *doc,
                                       qn_slice source, const qn_made_vector *made,
                                       size_t made_count, int64_t seq_no,
                                       int64_t version, qn_error *err);
/* Applies what is in the log. */
QN_MUST_CHECK qn_status qn_table__replay(qn_table *t, const qn_oplog_op *op,
                                         qn_arena *arena, qn_error *err);
/* Ends what a segment's place in the table holds. */
void qn_table_segment_deinit(qn_alloc *a, qn_table_segment *s);
size_t qn_memory_bytes(QN_NULLABLE const qn_memory *m);
void qn_memory_destroy(qn_alloc *a, QN_OWNED QN_NULLABLE qn_memory *m);

bool qn_delete_bits_reserve(qn_alloc *a, qn_delete_bits *b, uint32_t doc);
bool qn_delete_bits_set(qn_alloc *a, qn_delete_bits *b, uint32_t doc);
static inline bool qn_delete_bits_has(const qn_delete_bits *b, uint32_t doc)
{
    return doc / 64 < b->word_capacity && ((b->words[doc / 64] >> (doc % 64)) & 1) != 0;
}

#endif

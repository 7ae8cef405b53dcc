/* SPDX-License-Identifier: Apache-2.0 */
/* table_commit.c -- from the builder to what searches see, and to the disk. */
#include "base/bits.h"
#include "base/log.h"
#include "engine/engine_internal.h"
#include "engine/manifest.h"

static const char segment_magic[8] = QN_SEGMENT_MAGIC;

enum {
    MERGE_SEGMENTS = 10, /* so many small ones at the end are joined */
    MERGE_DOCS = 100000, /* into one of at most so many documents */
};

/* ---- images and files -------------------------------------------------------------------
 */

static qn_status write_blocks(qn_table *t, qn_blockfile_writer *w, bool sync,
                              qn_error *err)
{
    QN_TRY(qn_segment_builder_write(t->builder, w, err));
    uint32_t docs = qn_segment_builder_doc_count(t->builder);
    for (size_t i = 0; i < t->vectors.n; i++)
        QN_TRY(qn_flat_builder_write(t->vectors.p[i].flat, t->vectors.p[i].field, docs,
                                     w, err));
    return qn_blockfile_finish(w, sync, err);
}

/* The builder's documents as a segment in memory. */
static qn_status make_image(qn_table *t, qn_live_segment **out, qn_error *err)
{
    qn_alloc *a = t->engine->alloc;
    qn_blockfile_writer *w = NULL;
    qn_blockfile *file = NULL;
    *out = NULL;
    QN_TRY(qn_blockfile_writer_create(a, NULL, segment_magic, QN_SEGMENT_VERSION, &w,
                                      err));
    qn_status st = write_blocks(t, w, false, err);
    if (st == QN_OK) {
        size_t n = 0;
        uint8_t *bytes = qn_blockfile_writer_take(w, &n);
        if (bytes == NULL)
            st = qn_fail(err, QN_ENOMEM, "image of %s", t->name);
        else
            st = qn_blockfile_open_memory(a, bytes, n, true, t->name, segment_magic,
                                          QN_SEGMENT_VERSION, &file, err);
        if (st != QN_OK) qn_delete_aligned(a, bytes);
    }
    qn_blockfile_writer_destroy(w);
    if (st != QN_OK) return st;
    return qn_live_segment_create(a, file, 0, &t->schema->schema, out, err);
}

static qn_status write_segment(qn_table *t, uint64_t id, qn_live_segment **out,
                               qn_error *err)
{
    qn_alloc *a = t->engine->alloc;
    qn_buf path;
    qn_buf_init(&path, a);
    qn_manifest_segment_path(&path, t->dir, id);
    qn_blockfile_writer *w = NULL;
    qn_blockfile *file = NULL;
    *out = NULL;
    qn_status st = path.failed ? qn_fail(err, QN_ENOMEM, "segment") : QN_OK;
    if (st == QN_OK)
        st = qn_blockfile_writer_create(a, path.p, segment_magic, QN_SEGMENT_VERSION,
                                        &w, err);
    if (st == QN_OK) st = write_blocks(t, w, true, err);
    qn_blockfile_writer_destroy(w);
    if (st == QN_OK)
        st =
            qn_blockfile_open(a, path.p, segment_magic, QN_SEGMENT_VERSION, &file, err);
    if (st == QN_OK)
        st = qn_live_segment_create(a, file, id, &t->schema->schema, out, err);
    qn_buf_deinit(&path);
    return st;
}

/* ---- snapshots ---------------------------------------------------------------------------
 */

static qn_status add_view(qn_table_snapshot *s, qn_live_segment *live,
                          const qn_delete_bits *deleted, uint32_t deleted_limit,
                          qn_error *err)
{
    size_t i = s->view.segment_count++;
    s->segments[i] = qn_live_segment_acquire(live);
    uint32_t gone = 0;
    if (deleted->count != 0) {
        size_t words = qn_bitset_words(live->doc_count);
        s->deleted[i] = qn_new_array(s->alloc, words + 1, sizeof **s->deleted);
        if (s->deleted[i] == NULL) return qn_fail(err, QN_ENOMEM, "snapshot");
        size_t copied = words < deleted->word_capacity ? words : deleted->word_capacity;
        memcpy(s->deleted[i], deleted->words, copied * sizeof **s->deleted);
        /* The builder may have gone on: bits past the image are not its business. */
        if (deleted_limit % 64 != 0 && copied == words)
            s->deleted[i][words - 1] &= ((uint64_t)1 << (deleted_limit % 64)) - 1;
        for (size_t k = 0; k < words; k++)
            gone += (uint32_t)__builtin_popcountll(s->deleted[i][k]);
    }
    s->views[i] = (qn_segment_view){
        .segment = live->segment,
        .uid = live->uid,
        .doc_base = s->view.doc_count,
        .doc_count = live->doc_count,
        .deleted = gone == 0 ? NULL : s->deleted[i],
        .vectors = live->vectors,
        .vector_count = live->vector_count,
    };
    if (live->doc_count > UINT32_MAX - s->view.doc_count)
        return qn_fail(err, QN_ELIMIT, "table %s has more than 2^32 documents",
                       "of this snapshot");
    s->view.doc_count += live->doc_count;
    s->live_count += live->doc_count - gone;
    return QN_OK;
}

static qn_status make_snapshot(qn_table *t, qn_table_snapshot **out, qn_error *err)
{
    qn_alloc *a = t->engine->alloc;
    size_t n = t->segments.n + 1;
    *out = NULL;
    qn_table_snapshot *s = qn_new0(a, sizeof *s);
    if (s == NULL) return qn_fail(err, QN_ENOMEM, "snapshot");
    s->alloc = a;
    atomic_init(&s->refs, 1);
    s->schema = qn_table_schema_acquire(t->schema);
    s->segments = qn_new_array(a, n, sizeof *s->segments);
    s->deleted = qn_new_array(a, n, sizeof *s->deleted);
    s->views = qn_new_array(a, n, sizeof *s->views);
    qn_status st = QN_OK;
    if (s->segments == NULL || s->deleted == NULL || s->views == NULL)
        st = qn_fail(err, QN_ENOMEM, "snapshot");
    for (size_t i = 0; i < t->segments.n && st == QN_OK; i++) {
        const qn_table_segment *seg = &t->segments.p[i];
        st = add_view(s, seg->live, &seg->deleted, seg->live->doc_count, err);
    }
    if (st == QN_OK && t->image != NULL)
        st = add_view(s, t->image, &t->builder_deleted, t->image->doc_count, err);
    if (st != QN_OK) {
        qn_table_snapshot_release(s);
        return st;
    }
    s->view.schema = &s->schema->schema;
    s->view.segments = s->views;
    s->view.filters = t->engine->filters;
    *out = s;
    return QN_OK;
}

qn_status qn_table__refresh(qn_table *t, qn_error *err)
{
    if (!t->changed && t->current != NULL) return QN_OK;
    int64_t began = qn_clock_mono_ns();
    uint32_t docs = t->builder == NULL ? 0 : qn_segment_builder_doc_count(t->builder);
    bool any = docs > t->builder_deleted.count;
    if (any && (t->image == NULL || t->image->doc_count != docs)) {
        qn_live_segment *image = NULL;
        QN_TRY(make_image(t, &image, err));
        qn_live_segment_release(t->image);
        t->image = image;
    }
    qn_table_snapshot *fresh = NULL;
    QN_TRY(make_snapshot(t, &fresh, err));
    (void)pthread_mutex_lock(&t->current_lock);
    qn_table_snapshot *old = t->current;
    t->current = fresh;
    (void)pthread_mutex_unlock(&t->current_lock);
    qn_table_snapshot_release(old);
    t->changed = false;
    int64_t now = qn_clock_mono_ns();
    atomic_store(&t->refreshed_at_ns, now);
    atomic_store(&t->refresh_took_ns, now - began);
    return QN_OK;
}

/* ---- flush --------------------------------------------------------------------------------
 */

void qn_table__reset_builder(qn_table *t)
{
    qn_alloc *a = t->engine->alloc;
    qn_segment_builder_destroy(t->builder);
    t->builder = NULL;
    for (size_t i = 0; i < t->vectors.n; i++)
        qn_flat_builder_destroy(t->vectors.p[i].flat);
    t->vectors.n = 0;
    t->docs.n = 0;
    qn_delete(a, t->builder_deleted.words);
    t->builder_deleted = (qn_delete_bits){0};
    qn_live_segment_release(t->image);
    t->image = NULL;
}

/* Commits the first `kept` segments of the table, and `added` behind them when not
 * NULL. */
static qn_status commit(qn_table *t, size_t kept, const qn_live_segment *added,
                        const qn_delete_bits *added_deleted, qn_error *err)
{
    qn_alloc *a = t->engine->alloc;
    qn_manifest_segment *list = qn_new_array(a, kept + 2, sizeof *list);
    if (list == NULL) return qn_fail(err, QN_ENOMEM, "manifest of %s", t->name);
    uint64_t **padded = qn_new_array(a, kept + 2, sizeof *padded);
    qn_status st = padded == NULL ? qn_fail(err, QN_ENOMEM, "manifest") : QN_OK;
    for (size_t i = 0; i < kept + (added != NULL) && st == QN_OK; i++) {
        const qn_live_segment *live = i < kept ? t->segments.p[i].live : added;
        const qn_delete_bits *bits =
            i < kept ? &t->segments.p[i].deleted : added_deleted;
        list[i] = (qn_manifest_segment){.id = live->id, .doc_count = live->doc_count};
        if (bits->count == 0) continue;
        size_t words = qn_bitset_words(live->doc_count);
        padded[i] = qn_new_array(a, words + 1, sizeof **padded);
        if (padded[i] == NULL) st = qn_fail(err, QN_ENOMEM, "manifest of %s", t->name);
        if (st != QN_OK) break;
        size_t copied = words < bits->word_capacity ? words : bits->word_capacity;
        memcpy(padded[i], bits->words, copied * sizeof **padded);
        list[i].deleted = padded[i];
    }
    qn_manifest m = {
        .number = t->manifest_number + 1,
        .uuid = qn_slice_of(t->uuid),
        .created_ms = t->created_ms,
        .schema = t->schema->schema.source,
        .additions = t->schema->additions,
        .addition_count = t->schema->addition_count,
        .segments = list,
        .segment_count = kept + (added != NULL),
        .segment_id_next = t->segment_id_next,
        .replay_from = t->lsn_next,
        .seq_no_next = t->seq_no_next,
    };
    if (st == QN_OK) st = qn_manifest_write(a, t->dir, &m, err);
    if (st == QN_OK) {
        t->manifest_number++;
        qn_manifest_sweep(t->dir, &m);
    }
    for (size_t i = 0; padded != NULL && i < kept + 2; i++) qn_delete(a, padded[i]);
    qn_delete(a, padded);
    qn_delete(a, list);
    return st;
}

static void drop_segments(qn_table *t, size_t kept)
{
    while (t->segments.n > kept) {
        qn_table_segment *last = &t->segments.p[--t->segments.n];
        qn_live_segment_release(last->live);
        qn_delete(t->engine->alloc, last->deleted.words);
    }
}

/* After the manifest: the builder's documents are a segment now. */
static qn_status adopt(qn_table *t, qn_live_segment *live, qn_error *err)
{
    if (live != NULL) {
        /* Room was made before the manifest was written. */
        t->segments.p[t->segments.n++] =
            (qn_table_segment){.live = live, .deleted = t->builder_deleted};
        t->builder_deleted = (qn_delete_bits){0};
    }
    qn_table__reset_builder(t);
    t->unflushed = false;
    t->changed = true;
    /* The manifest holds all that the log held. */
    return qn_wal_roll(t->wal, t->lsn_next, err);
}

/* Writes the builder as a segment and commits it behind the first `kept`; the others
 * are dropped. */
static qn_status flush_behind(qn_table *t, size_t kept, qn_error *err)
{
    uint32_t docs = t->builder == NULL ? 0 : qn_segment_builder_doc_count(t->builder);
    bool any = docs > t->builder_deleted.count;
    qn_live_segment *live = NULL;
    if (!qn_vec_grow(t->engine->alloc, &t->segments))
        return qn_fail(err, QN_ENOMEM, "flush of %s", t->name);
    if (any) QN_TRY(write_segment(t, t->segment_id_next++, &live, err));
    qn_status st = commit(t, kept, live, &t->builder_deleted, err);
    if (st != QN_OK) {
        /* The next commit sweeps the file. */
        qn_live_segment_release(live);
        return st;
    }
    drop_segments(t, kept);
    return adopt(t, live, err);
}

/* ---- merging -------------------------------------------------------------------------------
 */

static qn_status copy_vectors(qn_table *t, const qn_live_segment *live, uint32_t doc,
                              const qn_document *d, qn_arena *arena,
                              qn_made_vector **made, size_t *count, qn_error *err)
{
    *made = qn_arena_array(arena, live->vector_count + 1, sizeof **made);
    *count = 0;
    if (*made == NULL) return qn_fail(err, QN_ENOMEM, "optimize");
    for (size_t i = 0; i < live->vector_count; i++) {
        const qn_field *f =
            qn_schema_field_by_id(&t->schema->schema, live->vectors[i].field_id);
        if (f == NULL || qn_document_has(d, f)) continue;
        float *v = qn_arena_array(arena, f->dims, sizeof *v);
        if (v == NULL) return qn_fail(err, QN_ENOMEM, "optimize");
        if (!qn_vindex_vector(live->vectors[i].index, doc, v)) continue;
        (*made)[(*count)++] =
            (qn_made_vector){.field = f->id, .dims = f->dims, .values = v};
    }
    return QN_OK;
}

static qn_status copy_document(qn_table *t, const qn_live_segment *live, uint32_t doc,
                               qn_arena *arena, qn_error *err)
{
    qn_slice id = {0}, source = {0};
    QN_TRY(qn_segment_id(live->segment, doc, &id, err));
    QN_TRY(
        qn_segment_source(live->segment, doc, &t->source_scratch, &source, NULL, err));
    const qn_json *root = NULL;
    QN_TRY(qn_json_parse(arena, source, &root, err));
    qn_document d;
    QN_TRY(qn_document_check(arena, t->schema, source, root, id, &d, err));
    qn_made_vector *made = NULL;
    size_t made_count = 0;
    QN_TRY(copy_vectors(t, live, doc, &d, arena, &made, &made_count, err));
    int64_t seq_no = 0, version = 0;
    qn_column_get_i64(&live->seq_no, &doc, 1, &seq_no, NULL);
    qn_column_get_i64(&live->version, &doc, 1, &version, NULL);
    return qn_table__feed(t, id, &d, source, made, made_count, seq_no, version, err);
}

static qn_status copy_segment(qn_table *t, const qn_table_segment *s, qn_error *err)
{
    qn_arena arena;
    qn_arena_init(&arena, t->engine->alloc, 0);
    qn_status st = QN_OK;
    for (uint32_t doc = 0; doc < s->live->doc_count && st == QN_OK; doc++) {
        if (qn_delete_bits_has(&s->deleted, doc)) continue;
        st = copy_document(t, s->live, doc, &arena, err);
        if (doc % 64 != 63) continue;
        qn_arena_deinit(&arena);
        qn_arena_init(&arena, t->engine->alloc, 0);
    }
    qn_arena_deinit(&arena);
    return st;
}

/* The live documents of all segments from `first` on are added again, in order, and
 * become one. Until the manifest names it the old ones are the truth, and a failure
 * changes nothing. The builder is empty before. */
static qn_status merge_from(qn_table *t, size_t first, qn_error *err)
{
    qn_status st = QN_OK;
    for (size_t i = first; i < t->segments.n && st == QN_OK; i++)
        st = copy_segment(t, &t->segments.p[i], err);
    if (st == QN_OK) st = flush_behind(t, first, err);
    if (st != QN_OK) qn_table__reset_builder(t);
    t->changed = true;
    return st;
}

/* Small segments at the end are joined, so that many small flushes do not make a table
 * of many small segments. Bounded, since writes wait. */
static qn_status merge_tail(qn_table *t, qn_error *err)
{
    size_t first = t->segments.n;
    uint64_t docs = 0;
    while (first > 0 && docs + t->segments.p[first - 1].live->doc_count <= MERGE_DOCS)
        docs += t->segments.p[--first].live->doc_count;
    return t->segments.n - first < MERGE_SEGMENTS ? QN_OK : merge_from(t, first, err);
}

qn_status qn_table__flush(qn_table *t, qn_error *err)
{
    if (!t->unflushed) return QN_OK;
    if (t->broken != QN_OK) {
        if (err != NULL) *err = t->broken_error;
        return t->broken;
    }
    /* What is committed must not depend on a log that was never synced. */
    QN_TRY(qn_wal_sync(t->wal, err));
    QN_TRY(flush_behind(t, t->segments.n, err));
    qn_error why;
    if (merge_tail(t, &why) != QN_OK) /* what was to be durable is */
        qn_log(QN_LOG_WARN, "engine", "table %s: its segments stay apart: %s", t->name,
               why.text);
    return QN_OK;
}

qn_status qn_table__optimize(qn_table *t, qn_error *err)
{
    t->unflushed = true;
    QN_TRY(qn_table__flush(t, err));
    uint64_t deleted = 0;
    for (size_t i = 0; i < t->segments.n; i++)
        deleted += t->segments.p[i].deleted.count;
    if (t->segments.n == 0 || (t->segments.n == 1 && deleted == 0)) return QN_OK;
    return merge_from(t, 0, err);
}

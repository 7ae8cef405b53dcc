/* SPDX-License-Identifier: Apache-2.0 */
/* table_segment.c -- counted folders, segments and snapshots, and delete bits. */
#include "engine/table/table.h"

#include "base/bits.h"
#include "base/log.h"
#include "engine/table/manifest.h"
#include "io/file.h"
#include "vec/vindex.h"

/* ---- folders --------------------------------------------------------------------------
 */

qn_status qn_table_folder_create(qn_alloc *a, const char *path, qn_table_folder **out,
                                 qn_error *err)
{
    *out = NULL;
    qn_table_folder *f = qn_new0(a, sizeof *f);
    char *copy = qn_strndup(a, path, strlen(path));
    if (f == NULL || copy == NULL) {
        qn_delete(a, f);
        qn_delete(a, copy);
        return qn_fail(err, QN_ENOMEM, "table");
    }
    *f = (qn_table_folder){.path = copy, .alloc = a};
    atomic_init(&f->refs, 1);
    (void)pthread_mutex_init(&f->lock, NULL);
    *out = f;
    return QN_OK;
}

qn_table_folder *qn_table_folder_acquire(qn_table_folder *f)
{
    atomic_fetch_add(&f->refs, 1);
    return f;
}

void qn_table_folder_release(qn_table_folder *f)
{
    if (f == NULL || atomic_fetch_sub(&f->refs, 1) != 1) return;
    (void)pthread_mutex_destroy(&f->lock);
    qn_delete(f->alloc, f->path);
    qn_delete(f->alloc, f);
}

void qn_table_folder_set_gone(qn_table_folder *f)
{
    (void)pthread_mutex_lock(&f->lock);
    f->gone = true;
    (void)pthread_mutex_unlock(&f->lock);
}

static void remove_segment(qn_table_folder *f, uint64_t id)
{
    qn_buf path;
    qn_error err;
    qn_buf_init(&path, f->alloc);
    qn_manifest_segment_path(&path, f->path, id);
    (void)pthread_mutex_lock(&f->lock);
    /* What stays behind is swept when the table is opened. */
    if (!f->gone && !path.failed && qn_file_remove(path.p, &err) != QN_OK)
        qn_log(QN_LOG_WARN, "engine", "%s stays behind: %s", path.p, err.text);
    (void)pthread_mutex_unlock(&f->lock);
    qn_buf_deinit(&path);
}

/* ---- segments -------------------------------------------------------------------------
 */

static qn_status open_vectors(qn_live_segment *s, const qn_schema *schema,
                              qn_error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < schema->field_count; i++)
        if (schema->fields[i].type == QN_FIELD_VECTOR) n++;
    s->vectors = qn_new_array(s->alloc, n + 1, sizeof *s->vectors);
    if (s->vectors == NULL) return qn_fail(err, QN_ENOMEM, "segment");
    const qn_blockfile *file = qn_segment_file(s->segment);
    for (size_t i = 0; i < schema->field_count; i++) {
        const qn_field *f = &schema->fields[i];
        if (f->type != QN_FIELD_VECTOR) continue;
        qn_vindex *v = NULL;
        qn_status st = qn_vindex_open(s->alloc, file, f->id, &v, err);
        if (st == QN_ENOTFOUND) continue; /* no document of the segment has one */
        if (st != QN_OK) return st;
        s->vectors[s->vector_count++] = (qn_vector_view){.field_id = f->id, .index = v};
    }
    return QN_OK;
}

uint64_t qn_live_segment_uid(void)
{
    static atomic_ullong uids;
    return atomic_fetch_add(&uids, 1) + 1;
}

qn_status qn_live_segment_create(qn_alloc *a, qn_blockfile *file, uint64_t id,
                                 const qn_schema *schema, qn_live_segment **out,
                                 qn_error *err)
{
    *out = NULL;
    qn_live_segment *s = qn_new0(a, sizeof *s);
    if (s == NULL) {
        qn_blockfile_close(file);
        return qn_fail(err, QN_ENOMEM, "segment");
    }
    s->alloc = a;
    s->id = id;
    s->uid = qn_live_segment_uid();
    atomic_init(&s->refs, 1);
    qn_status st = qn_segment_open(a, file, &s->segment, err);
    if (st != QN_OK) {
        qn_blockfile_close(file);
        goto fail;
    }
    s->doc_count = qn_segment_doc_count(s->segment);
    QN_TRY_TO(fail, qn_segment_column(s->segment, qn_seq_no_field.id, &s->seq_no, err));
    QN_TRY_TO(fail,
              qn_segment_column(s->segment, qn_version_field.id, &s->version, err));
    QN_TRY_TO(fail, open_vectors(s, schema, err));
    *out = s;
    return QN_OK;

fail:
    qn_live_segment_release(s);
    return st;
}

qn_live_segment *qn_live_segment_acquire(qn_live_segment *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void qn_live_segment_release(qn_live_segment *s)
{
    if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1) return;
    for (size_t i = 0; i < s->vector_count; i++)
        qn_vindex_close((qn_vindex *)(uintptr_t)s->vectors[i].index);
    qn_delete(s->alloc, s->vectors);
    qn_id_filter_deinit(&s->ids, s->alloc);
    qn_segment_close(s->segment);
    if (s->doomed != NULL) remove_segment(s->doomed, s->id);
    qn_table_folder_release(s->doomed);
    qn_delete(s->alloc, s);
}

void qn_live_segment_doom(qn_live_segment *s, qn_table_folder *folder)
{
    if (s->id != 0 && s->doomed == NULL) s->doomed = qn_table_folder_acquire(folder);
}

void qn_table_segment_deinit(qn_alloc *a, qn_table_segment *s)
{
    qn_overlaid_release(s->shown);
    qn_overlay_release(s->overlay);
    qn_live_segment_release(s->live);
    qn_delete(a, s->deleted.words);
    *s = (qn_table_segment){0};
}

/* ---- snapshots ------------------------------------------------------------------------
 */

qn_table_snapshot *qn_table_snapshot_acquire(qn_table_snapshot *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void qn_table_snapshot_release(qn_table_snapshot *s)
{
    if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1) return;
    for (size_t i = 0; i < s->view.segment_count; i++) {
        if (s->overlaid != NULL) qn_overlaid_release(s->overlaid[i]);
        if (s->segments != NULL) qn_live_segment_release(s->segments[i]);
        if (s->deleted != NULL) qn_delete(s->alloc, s->deleted[i]);
    }
    qn_delete(s->alloc, s->segments);
    qn_delete(s->alloc, s->overlaid);
    qn_delete(s->alloc, s->deleted);
    qn_delete(s->alloc, s->views);
    qn_delete(s->alloc, s->damage);
    qn_table_schema_release(s->schema);
    qn_delete(s->alloc, s);
}

qn_table_snapshot *qn_table_current(qn_table *t)
{
    (void)pthread_mutex_lock(&t->current_lock);
    qn_table_snapshot *s = qn_table_snapshot_acquire(t->current);
    (void)pthread_mutex_unlock(&t->current_lock);
    return s;
}

qn_table_snapshot *qn_table_search(qn_table *t)
{
    atomic_store_explicit(&t->searched_at_ns, qn_clock_mono_ns(), memory_order_relaxed);
    return qn_table_current(t);
}

/* ---- delete bits ------------------------------------------------------------------------
 */

bool qn_delete_bits_reserve(qn_alloc *a, qn_delete_bits *b, uint32_t doc)
{
    size_t need = (size_t)doc / 64 + 1;
    if (need <= b->word_capacity) return true;
    size_t wider = b->word_capacity * 2 > need ? b->word_capacity * 2 : need;
    uint64_t *p = qn_resize(a, b->words, wider * sizeof *p);
    if (p == NULL) return false;
    memset(p + b->word_capacity, 0, (wider - b->word_capacity) * sizeof *p);
    b->words = p;
    b->word_capacity = wider;
    return true;
}

bool qn_delete_bits_set(qn_alloc *a, qn_delete_bits *b, uint32_t doc)
{
    if (!qn_delete_bits_reserve(a, b, doc)) return false;
    if (!qn_delete_bits_has(b, doc)) {
        qn_bitset_add(b->words, doc);
        b->count++;
    }
    return true;
}

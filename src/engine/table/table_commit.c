/* SPDX-License-Identifier: Apache-2.0 */
/* table_commit.c -- manifests, and what ends in one: flush, merges of files, optimize. */
#include "engine/table/table_commit.h"

#include "base/bits.h"
#include "base/log.h"
#include "engine/engine_internal.h"
#include "engine/table/manifest.h"
#include "engine/table/table_overlay.h"
#include "engine/table/table_seal.h"

/* ---- a manifest -------------------------------------------------------------------------
 *
 * What it says is gathered under `write`; the log is synced before it is written, because
 * it holds deletes whose operations may not be on the disk yet, and a delete whose
 * replacement is lost would lose the document. Operations from replay_from on are in the
 * log as well: applying them again changes nothing. */

/* An overlay that goes into a new file. */
typedef struct draft_overlay {
    const qn_live_segment *live;
    qn_overlay *frozen;
    uint64_t id;
} draft_overlay;

/* Everything of the table that goes into the manifest, copied. */
typedef struct draft {
    qn_manifest m;
    qn_arena arena;
    qn_table_schema *schema;
    draft_overlay *overlays;
    size_t overlay_count;
    uint64_t *old_overlays; /* files that the older manifest names */
    size_t old_count;
} draft;

/* A flush takes in what was updated until now, as nothing of it will be replayed. A merge
 * does so for its output; beside it the files that there are and the log say it all. */
static qn_status draft_newer(draft *d, qn_table *t, qn_manifest_segment *out,
                             const qn_live_segment *live, qn_overlay *o, bool anew,
                             const qn_table_segment *old, qn_error *err)
{
    out->overlay = old == NULL ? 0 : old->overlay_file;
    if (!anew || o == NULL || qn_overlay_doc_count(o) == 0 ||
        (old != NULL && old->overlay_file != 0 &&
         old->overlay_saved == qn_overlay_changes(o)))
        return QN_OK;
    draft_overlay *next = &d->overlays[d->overlay_count];
    QN_TRY(qn_overlay_freeze(o, &next->frozen, err));
    next->live = live;
    next->id = out->overlay = t->segment_id_next++;
    d->overlay_count++;
    return QN_OK;
}

static qn_status draft_segment(draft *d, qn_manifest_segment *out,
                               const qn_live_segment *live, const qn_delete_bits *bits,
                               qn_error *err)
{
    out->id = live->id;
    out->doc_count = live->doc_count;
    d->m.segment_count++;
    if (bits->count == 0) return QN_OK;
    size_t words = qn_bitset_words(live->doc_count);
    uint64_t *copy = qn_arena_array(&d->arena, words + 1, sizeof *copy);
    if (copy == NULL) return qn_fail(err, QN_ENOMEM, "manifest");
    size_t n = words < bits->word_capacity ? words : bits->word_capacity;
    memcpy(copy, bits->words, n * sizeof *copy);
    out->deleted = copy;
    return QN_OK;
}

static qn_status draft_segments(draft *d, qn_table *t, const qn_commit *c,
                                qn_error *err)
{
    size_t most = t->segments.n + 1;
    qn_manifest_segment *list = qn_arena_array(&d->arena, most, sizeof *list);
    d->overlays = qn_arena_array(&d->arena, most, sizeof *d->overlays);
    d->old_overlays = qn_arena_array(&d->arena, most, sizeof *d->old_overlays);
    if (list == NULL || d->overlays == NULL || d->old_overlays == NULL)
        return qn_fail(err, QN_ENOMEM, "manifest of %s", t->name);
    const qn_merging *m = c->merging;
    size_t place = m == NULL ? SIZE_MAX : qn_merging_place(m);
    for (size_t i = 0; i < t->segments.n; i++) {
        const qn_table_segment *s = &t->segments.p[i];
        if (!s->committed && c->flush == NULL) break;
        qn_manifest_segment *out = &list[d->m.segment_count];
        if (s->overlay_file != 0) d->old_overlays[d->old_count++] = s->overlay_file;
        if (i == place && m->output != NULL) {
            QN_TRY(draft_newer(d, t, out, m->output, m->overlay, true, NULL, err));
            QN_TRY(draft_segment(d, out, m->output, &m->deleted, err));
        }
        if (i >= place && i - place < m->count) continue;
        QN_TRY(draft_newer(d, t, out, s->live, s->overlay, c->flush != NULL, s, err));
        QN_TRY(draft_segment(d, out, s->live, &s->deleted, err));
    }
    d->m.segments = list;
    return QN_OK;
}

/* Under `commit` and `write`. */
static qn_status draft_fill(draft *d, qn_table *t, const qn_commit *c, qn_error *err)
{
    d->schema = qn_table_schema_acquire(t->schema);
    const qn_table_schema *s = d->schema;
    const qn_flush_point *f = c->flush;
    d->m = (qn_manifest){
        .number = t->manifest_number + 1,
        .updates = atomic_load(&t->wants_updates),
        .uuid = qn_slice_of(t->uuid),
        .created_ms = t->created_ms,
        .schema = s->schema.source,
        .additions = s->additions,
        .addition_count = f == NULL ? t->committed_additions : f->additions,
        .replay_from = f == NULL ? t->replay_from : f->lsn,
        .seq_no_next = t->seq_no_next,
        .policy = t->policy,
    };
    if (c->merging != NULL) QN_TRY(qn_merging_carry(c->merging, err));
    QN_TRY(draft_segments(d, t, c, err));
    d->m.segment_id_next = t->segment_id_next;
    if (c->merging != NULL) qn_merging_close(c->merging, true);
    return QN_OK;
}

static void remove_manifest(const qn_table *t, uint64_t number, bool *there)
{
    qn_buf path;
    qn_error err;
    qn_buf_init(&path, t->engine->alloc);
    qn_buf_printf(&path, "%s/manifest-%llu", t->dir, (unsigned long long)number);
    *there = path.failed ||
             (qn_file_exists(path.p) && qn_file_remove(path.p, &err) != QN_OK);
    if (*there)
        qn_log(QN_LOG_WARN, "engine", "%s: manifest %llu stays behind", t->name,
               (unsigned long long)number);
    qn_buf_deinit(&path);
}

static void note_saved(qn_table *t, const draft *d)
{
    for (size_t k = 0; k < d->overlay_count; k++)
        for (size_t i = 0; i < t->segments.n; i++) {
            qn_table_segment *s = &t->segments.p[i];
            if (s->live != d->overlays[k].live) continue;
            s->overlay_file = d->overlays[k].id;
            s->overlay_saved = qn_overlay_changes(d->overlays[k].frozen);
        }
}

/* Under `write`, when the manifest is on the disk. */
static void take_effect(qn_table *t, const qn_commit *c, const draft *d)
{
    if (c->merging != NULL) {
        qn_merging_carry_deletes(c->merging); /* of the time while it was written */
        qn_merging_swap(c->merging);
    }
    note_saved(t, d);
    if (d->m.updates) atomic_store(&t->takes_updates, true);
    const qn_flush_point *f = c->flush;
    if (f == NULL) return;
    for (size_t i = 0; i < t->segments.n; i++) t->segments.p[i].committed = true;
    t->update_bytes -= f->update_bytes;
    t->replay_from = f->lsn;
    t->committed_additions = f->additions;
    t->unflushed = t->lsn_next != f->lsn;
}

/* All or none. */
static qn_status save_overlays(qn_table *t, const draft *d, qn_error *err)
{
    for (size_t i = 0; i < d->overlay_count; i++) {
        qn_status st =
            qn_overlay_save(t, d->overlays[i].id, d->overlays[i].frozen, err);
        if (st == QN_OK) continue;
        while (i-- > 0) qn_overlay_remove(t, d->overlays[i].id);
        return st;
    }
    return QN_OK;
}

static qn_status write_manifest(qn_table *t, const qn_commit *c, draft *d,
                                qn_error *err)
{
    (void)pthread_mutex_lock(&t->write);
    qn_status st = t->broken;
    if (st != QN_OK && err != NULL) *err = t->broken_error;
    if (t->dropped) st = qn_fail(err, QN_ENOTABLE, "no such index [%s]", t->name);
    if (st == QN_OK) st = draft_fill(d, t, c, err);
    (void)pthread_mutex_unlock(&t->write);
    if (st == QN_OK) st = qn_wal_sync(t->wal, err);
    if (st == QN_OK) st = save_overlays(t, d, err);
    if (st != QN_OK) return st;
    st = qn_manifest_write(t->engine->alloc, t->dir, &d->m, err);
    if (st != QN_OK) {
        /* It may have got its name before it failed: then it is taken back, and if that
         * fails too, what it names must stay. */
        bool there = false;
        remove_manifest(t, d->m.number, &there);
        if (there && c->merging != NULL) c->merging->keep_output = true;
        for (size_t i = 0; !there && i < d->overlay_count; i++)
            qn_overlay_remove(t, d->overlays[i].id);
    }
    return st;
}

/* Files that the new manifest does not name. */
static void remove_old_overlays(const qn_table *t, const draft *d)
{
    for (size_t i = 0; i < d->old_count; i++) {
        bool named = false;
        for (size_t k = 0; k < d->m.segment_count; k++)
            named |= d->m.segments[k].overlay == d->old_overlays[i];
        if (!named) qn_overlay_remove(t, d->old_overlays[i]);
    }
}

static void draft_deinit(draft *d)
{
    for (size_t i = 0; i < d->overlay_count; i++)
        qn_overlay_release(d->overlays[i].frozen);
    qn_table_schema_release(d->schema);
    qn_arena_deinit(&d->arena);
}

qn_status qn_table__commit(qn_table *t, const qn_commit *c, qn_error *err)
{
    draft d = {0};
    qn_arena_init(&d.arena, t->engine->alloc, 0);
    (void)pthread_mutex_lock(&t->commit);
    qn_status st = write_manifest(t, c, &d, err);
    if (st == QN_OK) {
        bool there = false;
        (void)pthread_mutex_lock(&t->write);
        take_effect(t, c, &d);
        (void)pthread_mutex_unlock(&t->write);
        remove_manifest(t, t->manifest_number, &there);
        t->manifest_number = d.m.number;
        remove_old_overlays(t, &d);
    } else if (c->merging != NULL) {
        (void)pthread_mutex_lock(&t->write);
        qn_merging_close(c->merging, false);
        (void)pthread_mutex_unlock(&t->write);
    }
    (void)pthread_mutex_unlock(&t->commit);
    draft_deinit(&d);
    return st;
}

void qn_table__allow_updates(qn_table *t)
{
    qn_error err;
    const qn_commit c = {0};
    if (qn_table__commit(t, &c, &err) != QN_OK)
        qn_log(QN_LOG_WARN, "engine",
               "table %s: documents are written anew when attributes change, until the "
               "next manifest: %s",
               t->name, err.text);
}

/* Writers ask for a flush again and again while memory is full: not on a full disk. */
static const int64_t retry_ns = (int64_t)1000 * 1000 * 1000;

/* ---- flush --------------------------------------------------------------------------------
 */

/* Under `write`. What comes after the point goes into a new memory and stays in the
 * log. */
static qn_status begin_flush(qn_table *t, qn_flush_point *f, bool *images,
                             qn_error *err)
{
    if (t->dropped) return qn_fail(err, QN_ENOTABLE, "no such index [%s]", t->name);
    if (t->broken != QN_OK) {
        if (err != NULL) *err = t->broken_error;
        return t->broken;
    }
    QN_TRY(qn_table__freeze(t, err));
    *f = (qn_flush_point){.lsn = t->lsn_next,
                          .additions = t->schema->addition_count,
                          .update_bytes = t->update_bytes};
    *images = qn_table__first_image(t) != t->segments.n;
    return QN_OK;
}

/* All that no manifest names becomes one file. */
static qn_status join_and_commit(qn_table *t, const qn_flush_point *f, qn_error *err)
{
    qn_pace pace;
    qn_pace_init(&pace, 0, &t->dropping);
    qn_merging m = {.table = t};
    (void)pthread_mutex_lock(&t->write);
    size_t first = t->segments.n;
    while (first > 0 && !t->segments.p[first - 1].committed) first--;
    qn_status st = qn_merging_begin(&m, t, first, t->segments.n - first, err);
    uint64_t id = t->segment_id_next++;
    (void)pthread_mutex_unlock(&t->write);
    qn_commit c = {.merging = &m, .flush = f};
    if (st == QN_OK) st = qn_merging_run(&m, id, &pace, err);
    if (st == QN_OK) st = qn_table__commit(t, &c, err);
    qn_merging_end(&m);
    return st;
}

/* Under `seal`. */
static qn_status flush(qn_table *t, qn_error *err)
{
    qn_flush_point f = {0};
    bool images = false, due = false;
    (void)pthread_mutex_lock(&t->write);
    due = t->unflushed;
    qn_status broken = due ? t->broken : QN_OK;
    if (broken != QN_OK && err != NULL) *err = t->broken_error;
    (void)pthread_mutex_unlock(&t->write);
    if (!due || broken != QN_OK) return broken;
    QN_TRY(qn_table__seal(t, false, err)); /* what a failure left frozen */
    /* A new file of the log from about here on, so that the old ones can go. */
    QN_TRY(qn_wal_roll(t->wal, 0, err));
    (void)pthread_mutex_lock(&t->write);
    qn_status st = begin_flush(t, &f, &images, err);
    (void)pthread_mutex_unlock(&t->write);
    if (st == QN_OK) st = qn_table__seal(t, !images, err);
    if (st == QN_OK) {
        const qn_commit c = {.flush = &f};
        st = images ? join_and_commit(t, &f, err) : qn_table__commit(t, &c, err);
    }
    /* The manifest holds all that the log held up to there. */
    return st == QN_OK ? qn_wal_roll(t->wal, f.lsn, err) : st;
}

qn_status qn_table_flush(qn_table *t, qn_error *err)
{
    (void)pthread_mutex_lock(&t->seal);
    atomic_store(&t->flush_wanted, false);
    qn_status st = flush(t, err);
    if (st != QN_OK) atomic_store(&t->flush_retry_at_ns, qn_clock_mono_ns() + retry_ns);
    (void)pthread_mutex_unlock(&t->seal);
    if (st == QN_OK) qn_engine_wake_merges(t->engine);
    return st;
}

size_t qn_table__memory_bytes(const qn_table *t)
{
    size_t bytes = qn_memory_bytes(t->memory) + t->update_bytes;
    /* Another thread may be writing it out just now. */
    if (t->frozen != NULL) bytes += t->frozen->frozen_bytes;
    for (size_t i = qn_table__first_image(t); i < t->segments.n; i++)
        bytes +=
            (size_t)qn_blockfile_size(qn_segment_file(t->segments.p[i].live->segment));
    return bytes;
}

qn_status qn_table__flush_full(qn_table *t, qn_error *err)
{
    static const int64_t pause_ns = 1000000000;
    qn_error why = {.at = QN_AT_NONE};
    int64_t failed = atomic_load(&t->flush_failed_at_ns);
    bool again = failed == 0 || qn_clock_mono_ns() - failed >= pause_ns;
    qn_status st = again ? qn_table_flush(t, &why) : QN_OK;
    (void)pthread_mutex_lock(&t->write);
    if (!again) {
        why = t->flush_error;
        st = why.code;
    } else if (st != QN_OK) {
        t->flush_error = why;
        t->flush_error.code = st;
    }
    if (again)
        atomic_store(&t->flush_failed_at_ns, st == QN_OK ? 0 : qn_clock_mono_ns());
    atomic_store(&t->memory_seen, qn_table__memory_bytes(t));
    (void)pthread_mutex_unlock(&t->write);
    if (st != QN_OK && err != NULL) *err = why;
    return st;
}

qn_status qn_table_relieve(qn_table *t, qn_error *err)
{
    size_t most = qn_engine_flush_bytes(t->engine);
    (void)pthread_mutex_lock(&t->write);
    size_t bytes = qn_table__memory_bytes(t);
    atomic_store(&t->memory_seen, bytes);
    (void)pthread_mutex_unlock(&t->write);
    if (bytes < most || qn_clock_mono_ns() < atomic_load(&t->flush_retry_at_ns))
        return QN_OK;
    if (bytes >= 2 * most) return qn_table__flush_full(t, err);
    if (!atomic_exchange(&t->flush_wanted, true)) qn_engine_wake_upkeep(t->engine);
    return QN_OK;
}

/* ---- merges of files ------------------------------------------------------------------------
 */

qn_status qn_table__merge_files(qn_table *t, const qn_merge_choice *choice,
                                qn_pace *pace, qn_error *err)
{
    qn_merging m = {.table = t};
    (void)pthread_mutex_lock(&t->write);
    qn_status st = t->dropped
                       ? qn_fail(err, QN_ENOTABLE, "no such index [%s]", t->name)
                       : qn_merging_begin(&m, t, choice->first, choice->count, err);
    uint64_t id = t->segment_id_next++;
    t->merges.running = true;
    t->merges.running_segments = choice->count;
    (void)pthread_mutex_unlock(&t->write);
    if (st == QN_OK) st = qn_merging_run(&m, id, pace, err);
    const qn_commit c = {.merging = &m};
    if (st == QN_OK) st = qn_table__commit(t, &c, err);
    (void)pthread_mutex_lock(&t->write);
    t->merges.running = false;
    if (st == QN_OK) {
        t->merges.done++;
        t->merges.documents += m.live_count;
        t->merges.bytes += atomic_load(&pace->taken);
    }
    (void)pthread_mutex_unlock(&t->write);
    qn_merging_end(&m);
    return st;
}

size_t qn_table__committed(const qn_table *t)
{
    size_t n = 0;
    while (n < t->segments.n && t->segments.p[n].committed) n++;
    return n;
}

/* Under `merging`. */
static qn_status merge_all(qn_table *t, qn_error *err)
{
    (void)pthread_mutex_lock(&t->write);
    qn_merge_choice all = {0, qn_table__committed(t)};
    uint64_t changed = 0; /* deleted or updated */
    for (size_t i = 0; i < all.count; i++) {
        const qn_table_segment *s = &t->segments.p[i];
        changed += s->deleted.count;
        changed += s->overlay == NULL ? 0 : qn_overlay_doc_count(s->overlay);
    }
    qn_pace_init(&t->pace, 0, &t->stop_merging);
    (void)pthread_mutex_unlock(&t->write);
    if (all.count == 0 || (all.count == 1 && changed == 0)) return QN_OK;
    return qn_table__merge_files(t, &all, &t->pace, err);
}

qn_status qn_table_optimize(qn_table *t, qn_error *err)
{
    QN_TRY(qn_table_flush(t, err));
    (void)pthread_mutex_lock(&t->merging);
    qn_status st = merge_all(t, err);
    (void)pthread_mutex_unlock(&t->merging);
    return st;
}

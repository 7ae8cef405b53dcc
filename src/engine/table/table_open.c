/* SPDX-License-Identifier: Apache-2.0 */
/* table_open.c -- making, opening and closing a table. */
#include "base/bits.h"
#include "base/log.h"
#include "engine/table/damage.h"
#include "engine/engine_internal.h"
#include "engine/table/manifest.h"
#include "engine/table/names.h"
#include "engine/table/table_overlay.h"

static const char segment_magic[8] = QN_SEGMENT_MAGIC;

static char *join(qn_alloc *a, const char *left, const char *right)
{
    qn_buf b;
    qn_buf_init(&b, a);
    qn_buf_printf(&b, "%s/%s", left, right);
    return qn_buf_take(&b, NULL);
}

/* ---- making ------------------------------------------------------------------------------
 */

/* Made beside its name and renamed: a table is there whole or not at all. */
qn_status qn_table_make(quern *q, const char *name, qn_slice schema, qn_error *err)
{
    qn_table_schema *s = NULL;
    QN_TRY(qn_table_schema_create(q->alloc, q->analyzers, schema, NULL, 0, &s, err));
    qn_table_schema_release(s);
    char uuid[QN_TABLE_UUID_SIZE + 1];
    uint64_t entropy[2] = {qn_clock_seed(), qn_clock_seed()};
    qn_name_make_id(uuid, entropy);
    qn_buf draft;
    qn_buf_init(&draft, q->alloc);
    qn_buf_printf(&draft, "%s/.new-%s", q->tables_dir, uuid);
    char *path = join(q->alloc, q->tables_dir, name);
    qn_status st = draft.failed || path == NULL ? qn_fail(err, QN_ENOMEM, "table")
                                                : qn_dir_create(draft.p, err);
    qn_manifest m = {
        .number = 1,
        .uuid = qn_slice_of(uuid),
        .created_ms = qn_clock_wall_ms(),
        .schema = schema,
        .segment_id_next = 1,
        .replay_from = 1,
    };
    if (st == QN_OK) st = qn_manifest_write(q->alloc, draft.p, &m, err);
    if (st == QN_OK) st = qn_file_rename(draft.p, path, err);
    if (st == QN_OK) st = qn_dir_sync(q->tables_dir, err);
    qn_delete(q->alloc, path);
    qn_buf_deinit(&draft);
    return st;
}

/* ---- opening ------------------------------------------------------------------------------
 */

static qn_status open_overlay(qn_table *t, const qn_manifest_segment *from,
                              qn_table_segment *s, qn_error *err)
{
    qn_manifest_overlay_path(&t->scratch, t->dir, from->overlay);
    if (t->scratch.failed) return qn_fail(err, QN_ENOMEM, "table %s", t->name);
    QN_TRY(qn_overlay_load(t->engine->alloc, t->scratch.p, s->live->segment,
                           &s->overlay, err));
    s->overlay_file = from->overlay;
    s->overlay_saved = qn_overlay_changes(s->overlay);
    return QN_OK;
}

static qn_status open_segment(qn_table *t, const qn_manifest_segment *from,
                              qn_error *err)
{
    qn_alloc *a = t->engine->alloc;
    qn_manifest_segment_path(&t->scratch, t->dir, from->id);
    if (t->scratch.failed || !qn_vec_grow(a, &t->segments))
        return qn_fail(err, QN_ENOMEM, "table %s", t->name);
    qn_blockfile *file = NULL;
    QN_TRY(qn_blockfile_open(a, t->scratch.p, segment_magic, QN_SEGMENT_VERSION, &file,
                             err));
    qn_table_segment s = {0};
    QN_TRY(qn_live_segment_create(a, file, from->id, &t->schema->schema, &s.live, err));
    s.committed = true;
    t->segments.p[t->segments.n++] = s;
    if (s.live->doc_count != from->doc_count)
        return qn_fail_file(err, QN_ECORRUPT, t->scratch.p, QN_AT_NONE,
                            "the segment has %u documents, the manifest says %u",
                            s.live->doc_count, from->doc_count);
    if (from->overlay != 0)
        QN_TRY(open_overlay(t, from, &t->segments.p[t->segments.n - 1], err));
    if (from->deleted == NULL) return QN_OK;
    size_t words = qn_bitset_words(from->doc_count);
    qn_delete_bits *bits = &t->segments.p[t->segments.n - 1].deleted;
    bits->words = qn_new_array(a, words + 1, sizeof *bits->words);
    if (bits->words == NULL) return qn_fail(err, QN_ENOMEM, "table %s", t->name);
    bits->word_capacity = words;
    memcpy(bits->words, from->deleted, words * sizeof *bits->words);
    for (size_t i = 0; i < words; i++)
        bits->count += (uint32_t)__builtin_popcountll(bits->words[i]);
    return QN_OK;
}

typedef struct replaying {
    qn_table *t;
    uint64_t count;
} replaying;

static qn_status replay_record(void *ctx, const qn_wal_record *record, qn_error *err)
{
    replaying *r = ctx;
    qn_arena arena;
    qn_arena_init(&arena, r->t->engine->alloc, 0);
    qn_oplog_op op;
    qn_status st = qn_oplog_decode(&arena, record, &op, err);
    qn_error why = {.at = QN_AT_NONE};
    if (st == QN_OK) {
        do st = qn_table__replay(r->t, &op, &arena, &why);
        while (st != QN_OK && qn_damage_mark(r->t, &why));
        if (st != QN_OK && err != NULL) *err = why;
    }
    qn_arena_deinit(&arena);
    r->count++;
    return st;
}

void qn_table__settle_policy(qn_table *t)
{
    qn_policy p = qn_policy_over(t->schema->policy, t->policy);
    bool unset = p.durability == QN_DURABILITY_UNSET;
    atomic_store(&t->is_async,
                 unset ? t->engine->async_commit : p.durability == QN_DURABILITY_ASYNC);
    atomic_store(&t->sync_interval_ms, p.sync_interval_ms != 0
                                           ? p.sync_interval_ms
                                           : QN_SYNC_INTERVAL_DEFAULT_MS);
}

/* A segment that cannot be used is left out, and the table is read-only. */
static qn_status open_or_note(qn_table *t, const qn_manifest_segment *from,
                              qn_error *err)
{
    qn_error why = {.at = QN_AT_NONE};
    size_t before = t->segments.n;
    qn_status st = open_segment(t, from, &why);
    if (st == QN_OK) return QN_OK;
    if (err != NULL) *err = why;
    if (!qn_damage_is_known(st)) return st;
    if (t->segments.n != before) { /* opened, and not what the manifest says */
        qn_table_segment_deinit(t->engine->alloc, &t->segments.p[--t->segments.n]);
    }
    if (why.file[0] == '\0')
        (void)qn_fail_file(&why, st, t->scratch.p, QN_AT_NONE, "%s", why.text);
    return qn_damage_note(t, &why, err);
}

static void tell_torn(const qn_table *t)
{
    qn_wal_torn torn = qn_wal_torn_tail(t->wal);
    if (torn.bytes != 0)
        qn_log(
            QN_LOG_WARN, "engine",
            "table %s: torn tail of %s/wal-%020llu at byte %llu: %llu bytes of writes "
            "that were never acknowledged are dropped",
            t->name, t->dir, (unsigned long long)torn.file_first,
            (unsigned long long)torn.offset, (unsigned long long)torn.bytes);
}

/* A log that is damaged before its end counts up to there, and the table is read-only. */
static qn_status open_log(qn_table *t, uint64_t replay_from, replaying *r,
                          qn_error *err)
{
    qn_error why = {.at = QN_AT_NONE};
    qn_status st = qn_wal_open(t->engine->alloc, t->dir, replay_from, replay_record, r,
                               &t->wal, &t->lsn_next, &why);
    if (st == QN_OK) {
        tell_torn(t);
        return QN_OK;
    }
    if (err != NULL) *err = why;
    if (st != QN_ECORRUPT) return st;
    t->log_damaged = true;
    return qn_damage_note(t, &why, err);
}

static qn_status read_table(qn_table *t, qn_error *err)
{
    quern *q = t->engine;
    qn_manifest m;
    qn_status st = qn_manifest_read(q->alloc, t->dir, &m, err);
    replaying r = {t, 0};
    if (st != QN_OK) goto done;
    t->manifest_number = m.number;
    t->segment_id_next = m.segment_id_next;
    t->seq_no_next = m.seq_no_next;
    t->created_ms = m.created_ms;
    t->replay_from = m.replay_from;
    atomic_store(&t->takes_updates, m.updates);
    atomic_store(&t->wants_updates, m.updates);
    t->committed_additions = m.addition_count;
    size_t n = m.uuid.n < QN_TABLE_UUID_SIZE ? m.uuid.n : QN_TABLE_UUID_SIZE;
    memcpy(t->uuid, m.uuid.p, n);
    QN_TRY_TO(done,
              qn_table_schema_create(q->alloc, q->analyzers, m.schema, m.additions,
                                     m.addition_count, &t->schema, err));
    t->policy = m.policy;
    for (size_t i = 0; i < m.segment_count; i++)
        QN_TRY_TO(done, open_or_note(t, &m.segments[i], err));
    if (t->damage.n == 0) qn_manifest_sweep(t->dir, &m);
    QN_TRY_TO(done, open_log(t, m.replay_from, &r, err));
    t->unflushed = r.count != 0;
    qn_table__settle_policy(t);
    qn_log(QN_LOG_INFO, "engine", "table %s: %zu segments, %llu log records", t->name,
           t->segments.n, (unsigned long long)r.count);
done:
    qn_manifest_deinit(&m);
    return st;
}

static void table_destroy(qn_table *t)
{
    qn_alloc *a = t->engine->alloc;
    qn_memory_destroy(a, t->memory);
    qn_memory_destroy(a, t->frozen);
    qn_graves_deinit(&t->graves);
    qn_wal_close(t->wal);
    for (size_t i = 0; i < t->segments.n; i++)
        qn_table_segment_deinit(a, &t->segments.p[i]);
    qn_vec_deinit(a, &t->segments);
    qn_vec_deinit(a, &t->damage);
    qn_delete(a, t->positions);
    qn_table_snapshot_release(t->current);
    qn_table_schema_release(t->schema);
    qn_buf_deinit(&t->scratch);
    qn_buf_deinit(&t->source_scratch);
    qn_arena_deinit(&t->words);
    qn_write_group_deinit(&t->group);
    pthread_mutex_t *const locks[] = {&t->seal, &t->merging, &t->commit, &t->write,
                                      &t->current_lock};
    for (size_t i = 0; i < sizeof locks / sizeof *locks; i++)
        (void)pthread_mutex_destroy(locks[i]);
    qn_table_folder_release(t->folder);
    qn_delete(a, t->name);
    qn_delete(a, t->dir);
    qn_delete(a, t);
}

qn_status qn_table_open(quern *q, const char *name, qn_table **out, qn_error *err)
{
    *out = NULL;
    qn_table *t = qn_new0(q->alloc, sizeof *t);
    if (t == NULL) return qn_fail(err, QN_ENOMEM, "table %s", name);
    t->engine = q;
    atomic_init(&t->refs, 1);
    qn_write_group_init(&t->group);
    pthread_mutex_t *const locks[] = {&t->seal, &t->merging, &t->commit, &t->write,
                                      &t->current_lock};
    for (size_t i = 0; i < sizeof locks / sizeof *locks; i++)
        (void)pthread_mutex_init(locks[i], NULL);
    qn_buf_init(&t->scratch, q->alloc);
    qn_buf_init(&t->source_scratch, q->alloc);
    qn_graves_init(&t->graves, q->alloc);
    qn_arena_init(&t->words, q->alloc, 0);
    t->name = qn_strndup(q->alloc, name, strlen(name));
    t->dir = join(q->alloc, q->tables_dir, name);
    qn_status st = t->name == NULL || t->dir == NULL
                       ? qn_fail(err, QN_ENOMEM, "table %s", name)
                       : qn_table_folder_create(q->alloc, t->dir, &t->folder, err);
    if (st == QN_OK) st = read_table(t, err);
    t->changed = true;
    if (st == QN_OK) st = qn_table_refresh(t, err);
    if (st != QN_OK) {
        table_destroy(t);
        return st;
    }
    *out = t;
    return QN_OK;
}

qn_table_schema *qn_table_schema_now(qn_table *t)
{
    (void)pthread_mutex_lock(&t->current_lock);
    qn_table_schema *s = qn_table_schema_acquire(t->schema);
    (void)pthread_mutex_unlock(&t->current_lock);
    return s;
}

void qn_table_hold(qn_table *t)
{
    (void)pthread_mutex_lock(&t->seal);
    (void)pthread_mutex_lock(&t->commit);
}

void qn_table_let_go(qn_table *t)
{
    (void)pthread_mutex_unlock(&t->commit);
    (void)pthread_mutex_unlock(&t->seal);
}

void qn_table_stop(qn_table *t)
{
    atomic_store(&t->stop_merging, true);
    atomic_store(&t->dropping, true);
    (void)pthread_mutex_lock(&t->seal);
    (void)pthread_mutex_lock(&t->merging);
    (void)pthread_mutex_lock(&t->write);
}

void qn_table_go_on(qn_table *t, bool dropped)
{
    if (dropped) {
        t->dropped = true;
        qn_table_folder_set_gone(t->folder);
    } else {
        atomic_store(&t->stop_merging, false);
        atomic_store(&t->dropping, false);
    }
    (void)pthread_mutex_unlock(&t->write);
    (void)pthread_mutex_unlock(&t->merging);
    (void)pthread_mutex_unlock(&t->seal);
}

qn_table *qn_table_acquire(qn_table *t)
{
    atomic_fetch_add(&t->refs, 1);
    return t;
}

void qn_table_release(qn_table *t)
{
    if (t == NULL || atomic_fetch_sub(&t->refs, 1) != 1) return;
    qn_error err;
    if (!t->dropped && !t->engine->read_only && t->broken == QN_OK &&
        qn_table_flush(t, &err) != QN_OK)
        qn_log(QN_LOG_WARN, "engine",
               "table %s: its last documents stay in the log: %s", t->name, err.text);
    table_destroy(t);
}

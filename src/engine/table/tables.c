/* SPDX-License-Identifier: Apache-2.0 */
/* tables.c -- the calls about one table that are neither writes nor searches. */
#include "engine/engine_internal.h"
#include "engine/table/damage.h"
#include "engine/table/manifest.h"
#include "engine/write/write.h"
#include "io/file.h"
#include "vec/vindex.h"

void quern_free(void *p)
{
    qn_delete(qn_alloc_heap(), p);
}

qn_status qn_engine_need_table(quern *q, const char *name, qn_error *err)
{
    if (quern_table_exists(q, name)) return QN_OK;
    return qn_fail(err, QN_ENOTABLE, "no such index [%s]", name);
}

qn_status qn_engine_reply(qn_buf *b, qn_status st, char **json, size_t *json_size,
                          qn_error *err)
{
    if (st == QN_OK) {
        *json = qn_buf_take(b, json_size);
        if (*json == NULL) st = qn_fail(err, QN_ENOMEM, "no memory for the reply");
    }
    qn_buf_deinit(b);
    return st;
}

qn_status quern_table_create(quern *q, const char *name, const char *schema,
                             size_t schema_size, qn_error *err)
{
    return qn_engine_create(q, name, (qn_slice){schema, schema_size}, err);
}

/* Logged, and synced whatever the policy is now: the caller may rely on the new one. */
static qn_status set_policy(qn_table *t, qn_policy p, qn_error *err)
{
    (void)pthread_mutex_lock(&t->write);
    qn_status st = t->broken;
    if (st != QN_OK && err != NULL) *err = t->broken_error;
    if (t->dropped) st = qn_fail(err, QN_ENOTABLE, "no such index [%s]", t->name);
    qn_oplog_op op = {.type = QN_OPLOG_POLICY, .policy = qn_policy_over(t->policy, p)};
    if (st == QN_OK) st = qn_oplog_append(t->wal, t->lsn_next, &op, &t->scratch, err);
    if (st == QN_OK) {
        t->lsn_next++;
        t->unflushed = true;
        t->policy = op.policy;
        qn_table__settle_policy(t);
    }
    (void)pthread_mutex_unlock(&t->write);
    return st == QN_OK ? qn_write__sync(t, err) : st;
}

qn_status quern_table_set(quern *q, const char *name, const char *settings,
                          size_t settings_size, qn_error *err)
{
    if (q->read_only)
        return qn_fail(err, QN_EREADONLY, "the data folder is open read-only");
    qn_table *t = NULL;
    qn_policy p = {0};
    const qn_json *root = NULL;
    qn_arena arena;
    qn_arena_init(&arena, q->alloc, 0);
    qn_status st =
        qn_json_parse(&arena, (qn_slice){settings, settings_size}, &root, err);
    if (st == QN_OK) st = qn_policy_read_settings(root, true, &p, err);
    qn_arena_deinit(&arena);
    QN_TRY(st);
    QN_TRY(qn_engine_table(q, name, &t, err));
    st = set_policy(t, p, err);
    qn_table_release(t);
    return st;
}

typedef qn_status table_fn(qn_table *t, qn_error *err);

static qn_status with_table(quern *q, const char *name, bool writes, table_fn *fn,
                            qn_error *err)
{
    if (writes && q->read_only)
        return qn_fail(err, QN_EREADONLY, "the data folder is open read-only");
    qn_table *t = NULL;
    QN_TRY(qn_engine_table(q, name, &t, err));
    (void)pthread_mutex_lock(&t->write);
    bool dropped = t->dropped;
    (void)pthread_mutex_unlock(&t->write);
    qn_status st =
        dropped ? qn_fail(err, QN_ENOTABLE, "no such index [%s]", name) : fn(t, err);
    qn_table_release(t);
    return st;
}

static qn_status flush(qn_table *t, qn_error *err)
{
    QN_TRY(qn_table_flush(t, err));
    return qn_table_refresh(t, err);
}

static qn_status optimize(qn_table *t, qn_error *err)
{
    QN_TRY(qn_table_optimize(t, err));
    return qn_table_refresh(t, err);
}

qn_status quern_refresh(quern *q, const char *name, qn_error *err)
{
    return with_table(q, name, false, qn_table_refresh, err);
}

qn_status quern_flush(quern *q, const char *name, qn_error *err)
{
    return with_table(q, name, true, flush, err);
}

qn_status quern_table_optimize(quern *q, const char *name, qn_error *err)
{
    return with_table(q, name, true, optimize, err);
}

qn_status quern_count_all(quern *q, const char *name, uint64_t *count, qn_error *err)
{
    qn_table *t = NULL;
    *count = 0;
    QN_TRY(qn_engine_table(q, name, &t, err));
    qn_table_snapshot *s = qn_table_search(t);
    *count = s->live_count;
    qn_status st = QN_OK;
    if (s->damage_count != 0)
        st = qn_fail_file(
            err, QN_ECORRUPT, s->damage[0].file, s->damage[0].at,
            "table %s is damaged, so its documents cannot be counted: %.300s", name,
            s->damage[0].text);
    qn_table_snapshot_release(s);
    qn_table_release(t);
    return st;
}

/* ---- one document ------------------------------------------------------------------------
 */

typedef struct kept_document {
    qn_buf scratch;
    qn_buf source; /* terminated, which a document among others of its pack is not */
    char id[QN_SEGMENT_ID_MAX + 1];
} kept_document;

static qn_status read_document(qn_table *t, qn_slice id, kept_document *kept,
                               quern_document *out, qn_error *err)
{
    qn_place place;
    QN_TRY(qn_table__find(t, id, &place, err));
    QN_TRY(qn_damage_doubt(t, place.found, err));
    if (!place.found)
        return qn_fail(err, QN_ENODOC, "[%.*s]: document missing", QN_SLICE_ARG(id));
    qn_slice source = {0};
    QN_TRY(qn_table__source(t, &place, &kept->scratch, &source, err));
    qn_buf_add_slice(&kept->source, source);
    if (kept->source.failed) return qn_fail(err, QN_ENOMEM, "document");
    out->source = kept->source.p;
    out->source_size = source.n;
    out->seq_no = place.seq_no;
    out->version = place.version;
    return QN_OK;
}

qn_status quern_get(quern *q, const char *table, const char *id, size_t id_size,
                    quern_document *out, qn_error *err)
{
    *out = (quern_document){0};
    qn_table *t = NULL;
    QN_TRY(qn_engine_table(q, table, &t, err));
    kept_document *kept = qn_new0(q->alloc, sizeof *kept);
    qn_status st = kept == NULL ? qn_fail(err, QN_ENOMEM, "document") : QN_OK;
    if (st == QN_OK && (id_size == 0 || id_size > QN_SEGMENT_ID_MAX))
        st = qn_fail(err, QN_ENODOC, "an _id has 1 to %d bytes", QN_SEGMENT_ID_MAX);
    if (st == QN_OK) {
        qn_buf_init(&kept->scratch, q->alloc);
        qn_buf_init(&kept->source, q->alloc);
        memcpy(kept->id, id, id_size);
        (void)pthread_mutex_lock(&t->write);
        st = read_document(t, (qn_slice){id, id_size}, kept, out, err);
        (void)pthread_mutex_unlock(&t->write);
        out->id = kept->id;
        out->id_size = id_size;
    }
    out->owner_ = kept;
    qn_table_release(t);
    if (st != QN_OK) quern_document_free(out);
    return st;
}

void quern_document_free(quern_document *doc)
{
    if (doc == NULL) return;
    kept_document *kept = doc->owner_;
    if (kept != NULL) qn_buf_deinit(&kept->scratch);
    if (kept != NULL) qn_buf_deinit(&kept->source);
    qn_delete(qn_alloc_heap(), kept);
    *doc = (quern_document){0};
}

/* ---- facts --------------------------------------------------------------------------------
 */

static qn_status hand_over(qn_buf *b, char **json, size_t *json_size, qn_error *err)
{
    *json = qn_buf_take(b, json_size);
    return *json == NULL ? qn_fail(err, QN_ENOMEM, "reply") : QN_OK;
}

qn_status quern_table_show(quern *q, const char *name, char **json, size_t *json_size,
                           qn_error *err)
{
    qn_table *t = NULL;
    QN_TRY(qn_engine_table(q, name, &t, err));
    (void)pthread_mutex_lock(&t->write);
    qn_table_schema *s = qn_table_schema_acquire(t->schema);
    (void)pthread_mutex_unlock(&t->write);
    qn_buf b;
    qn_buf_init(&b, q->alloc);
    qn_json_writer w;
    qn_json_writer_init(&w, &b, false);
    qn_json_begin_object(&w);
    qn_json_member_str(&w, "name", t->name);
    qn_json_member_str(&w, "dialect",
                       s->schema.dialect == QN_SCHEMA_HA3 ? "ha3" : "mapping");
    qn_json_key(&w, "schema");
    qn_json_raw(&w, s->schema.source);
    qn_json_key(&w, "mappings");
    qn_table_schema_print(s, &w);
    qn_json_key(&w, "settings");
    qn_json_raw(&w, s->settings.n == 0 ? QN_SLICE_LIT("{}") : s->settings);
    qn_json_member_str(&w, "durability",
                       atomic_load(&t->is_async) ? "async" : "request");
    qn_json_member_int(&w, "sync_interval_ms", atomic_load(&t->sync_interval_ms));
    qn_json_member_int(&w, "created_ms", t->created_ms);
    qn_json_member_str(&w, "uuid", t->uuid);
    qn_json_end_object(&w);
    qn_table_schema_release(s);
    qn_table_release(t);
    return hand_over(&b, json, json_size, err);
}

static void print_segments(const qn_table_snapshot *s, qn_json_writer *w)
{
    qn_json_begin_array(w);
    for (size_t i = 0; i < s->view.segment_count; i++) {
        const qn_live_segment *live = s->segments[i];
        uint64_t gone = 0;
        for (uint32_t d = 0; s->views[i].deleted != NULL && d < live->doc_count; d++)
            gone += qn_segment_view_is_deleted(&s->views[i], d);
        qn_json_begin_object(w);
        qn_json_member_int(w, "id", (int64_t)live->id);
        qn_json_member_bool(w, "in_memory", live->id == 0);
        qn_json_member_int(w, "documents", live->doc_count);
        qn_json_member_int(w, "deleted", (int64_t)gone);
        const qn_overlay *newer = qn_segment_overlay(s->views[i].segment);
        qn_json_member_int(w, "updated",
                           newer == NULL ? 0 : (int64_t)qn_overlay_doc_count(newer));
        qn_json_member_int(w, "bytes",
                           (int64_t)qn_blockfile_size(qn_segment_file(live->segment)));
        qn_json_end_object(w);
    }
    qn_json_end_array(w);
}

/* Bytes of segment files by what they hold. */
static void print_kinds(const qn_table_snapshot *s, qn_json_writer *w)
{
    static const struct {
        uint32_t kind;
        const char *name;
    } kinds[] = {
        {QN_BLOCK_TERMS, "terms"},         {QN_BLOCK_POSTINGS, "postings"},
        {QN_BLOCK_POSITIONS, "positions"}, {QN_BLOCK_NORMS, "norms"},
        {QN_BLOCK_COLUMN, "columns"},      {QN_BLOCK_POINTS, "points"},
        {QN_BLOCK_SOURCES, "sources"},     {QN_BLOCK_IDS, "ids"},
        {QN_BLOCK_VINDEX, "vectors"},
    };
    enum { KINDS = sizeof kinds / sizeof *kinds };
    uint64_t bytes[KINDS + 1] = {0}, all = 0; /* the last: everything else */
    for (size_t i = 0; i < s->view.segment_count; i++) {
        const qn_blockfile *f = qn_segment_file(s->segments[i]->segment);
        if (s->segments[i]->id == 0) continue;
        uint64_t known = 0;
        for (size_t b = 0; b < qn_blockfile_count(f); b++) {
            uint32_t kind = 0, id = 0;
            uint64_t offset = 0, size = 0;
            qn_blockfile_entry(f, b, &kind, &id, &offset, &size);
            for (size_t k = 0; k < KINDS; k++) {
                if (kinds[k].kind != kind) continue;
                bytes[k] += size;
                known += size;
            }
        }
        all += qn_blockfile_size(f);
        bytes[KINDS] += qn_blockfile_size(f) - known;
    }
    qn_json_member_int(w, "segments", (int64_t)all);
    for (size_t k = 0; k < KINDS; k++)
        qn_json_member_int(w, kinds[k].name, (int64_t)bytes[k]);
    qn_json_member_int(w, "other", (int64_t)bytes[KINDS]);
}

/* Facts that the table's lock guards, taken at once. */
typedef struct table_facts {
    uint64_t log_bytes, log_next, replay_from;
    int64_t seq_no;
    uint64_t overlay_bytes;        /* files of updates in place */
    size_t memory, overlay_memory; /* what these take while the table is open */
    bool unflushed;
} table_facts;

static void add_overlays(qn_table *t, table_facts *f)
{
    for (size_t i = 0; i < t->segments.n; i++) {
        const qn_table_segment *s = &t->segments.p[i];
        uint64_t bytes = 0;
        qn_error ignored;
        if (s->overlay != NULL) f->overlay_memory += qn_overlay_bytes(s->overlay);
        if (s->overlay_file == 0) continue;
        qn_manifest_overlay_path(&t->scratch, t->dir, s->overlay_file);
        if (!t->scratch.failed && qn_file_size(t->scratch.p, &bytes, &ignored) == QN_OK)
            f->overlay_bytes += bytes;
    }
}

static table_facts take_facts(qn_table *t)
{
    (void)pthread_mutex_lock(&t->write);
    table_facts f = {
        .log_bytes = t->dropped || t->wal == NULL ? 0 : qn_wal_size_bytes(t->wal),
        .log_next = t->lsn_next,
        .replay_from = t->replay_from,
        .seq_no = t->seq_no_next - 1,
        .memory = qn_table__memory_bytes(t),
        .unflushed = t->unflushed,
    };
    if (!t->dropped) add_overlays(t, &f);
    (void)pthread_mutex_unlock(&t->write);
    return f;
}

static void print_log(const qn_table *t, const table_facts *f, qn_json_writer *w)
{
    qn_json_key(w, "log");
    qn_json_begin_object(w);
    qn_json_member_int(w, "bytes", (int64_t)f->log_bytes);
    qn_json_member_bool(w, "unflushed", f->unflushed);
    qn_json_member_int(w, "next_record", (int64_t)f->log_next);
    qn_json_member_int(w, "replay_from", (int64_t)f->replay_from);
    qn_json_member_str(w, "durability",
                       atomic_load(&t->is_async) ? "async" : "request");
    qn_json_end_object(w);
}

qn_status quern_table_stats(quern *q, const char *name, char **json, size_t *json_size,
                            qn_error *err)
{
    qn_table *t = NULL;
    QN_TRY(qn_engine_table(q, name, &t, err));
    table_facts f = take_facts(t);
    qn_table_snapshot *s = qn_table_current(t);
    qn_buf b;
    qn_buf_init(&b, q->alloc);
    qn_json_writer w;
    qn_json_writer_init(&w, &b, false);
    qn_json_begin_object(&w);
    qn_json_member_int(&w, "documents", (int64_t)s->live_count);
    qn_json_member_int(&w, "deleted", (int64_t)(s->view.doc_count - s->live_count));
    qn_json_key(&w, "segments");
    print_segments(s, &w);
    qn_json_key(&w, "bytes");
    qn_json_begin_object(&w);
    print_kinds(s, &w);
    qn_json_member_int(&w, "overlays", (int64_t)f.overlay_bytes);
    qn_json_member_int(&w, "log", (int64_t)f.log_bytes);
    qn_json_end_object(&w);
    print_log(t, &f, &w);
    qn_json_member_int(&w, "seq_no", f.seq_no);
    qn_json_member_int(&w, "memory_bytes", (int64_t)f.memory);
    qn_json_member_int(&w, "overlay_memory_bytes", (int64_t)f.overlay_memory);
    qn_json_member_int(&w, "memory_flush_bytes", (int64_t)qn_engine_flush_bytes(q));
    qn_table_print_merges(t, &w);
    (void)pthread_mutex_lock(&t->write);
    qn_damage_print(t, &w);
    (void)pthread_mutex_unlock(&t->write);
    qn_json_end_object(&w);
    qn_table_snapshot_release(s);
    qn_table_release(t);
    return hand_over(&b, json, json_size, err);
}

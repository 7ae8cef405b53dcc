/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/table/manifest.h"

#include "base/bits.h"
#include "base/log.h"
#include "io/blockfile.h"
#include "io/file.h"

#include <stdio.h>

static const char magic[8] = {'Q', 'N', 'M', 'A', 'N', 'I', 'F', 0};
enum { BLOCK_JSON = 1, BLOCK_DELETED = 2, PATH_MAX_BYTES = 4096 };

/* ---- names ---------------------------------------------------------------------------
 */

void qn_manifest_segment_path(qn_buf *out, const char *dir, uint64_t id)
{
    qn_buf_reset(out);
    qn_buf_printf(out, "%s/seg-%llu.qns", dir, (unsigned long long)id);
}

void qn_manifest_overlay_path(qn_buf *out, const char *dir, uint64_t id)
{
    qn_buf_reset(out);
    qn_buf_printf(out, "%s/over-%llu.qno", dir, (unsigned long long)id);
}

/* "manifest-12" gives 12; false for any other name. */
static bool numbered(const char *name, const char *prefix, const char *suffix,
                     uint64_t *number)
{
    qn_slice s = qn_slice_of(name);
    size_t head = strlen(prefix), tail = strlen(suffix);
    if (s.n <= head + tail || !qn_slice_starts_with(s, prefix) ||
        !qn_slice_ends_with(s, suffix))
        return false;
    int64_t v = 0;
    s.p += head;
    s.n -= head + tail;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9') return false;
    if (!qn_slice_to_i64(s, &v)) return false;
    *number = (uint64_t)v;
    return true;
}

/* ---- writing ----------------------------------------------------------------------------
 */

static void print_json(const qn_manifest *m, qn_buf *out)
{
    qn_json_writer w;
    qn_json_writer_init(&w, out, true);
    qn_json_begin_object(&w);
    qn_json_member_slice(&w, "uuid", m->uuid);
    qn_json_member_int(&w, "created_ms", m->created_ms);
    qn_json_member_int(&w, "analysis_version", QN_ANALYSIS_VERSION);
    qn_json_member_int(&w, "segment_id_next", (int64_t)m->segment_id_next);
    qn_json_member_int(&w, "replay_from", (int64_t)m->replay_from);
    qn_json_member_int(&w, "seq_no_next", m->seq_no_next);
    if (m->policy.durability != QN_DURABILITY_UNSET)
        qn_json_member_str(&w, "durability", qn_durability_name(m->policy.durability));
    if (m->policy.sync_interval_ms != 0)
        qn_json_member_int(&w, "sync_interval_ms", m->policy.sync_interval_ms);
    qn_json_key(&w, "segments");
    qn_json_begin_array(&w);
    for (size_t i = 0; i < m->segment_count; i++) {
        qn_json_begin_object(&w);
        qn_json_member_int(&w, "id", (int64_t)m->segments[i].id);
        qn_json_member_int(&w, "documents", m->segments[i].doc_count);
        if (m->segments[i].overlay != 0)
            qn_json_member_int(&w, "overlay", (int64_t)m->segments[i].overlay);
        qn_json_end_object(&w);
    }
    qn_json_end_array(&w);
    qn_json_key(&w, "fields_added");
    qn_json_begin_array(&w);
    for (size_t i = 0; i < m->addition_count; i++) {
        qn_json_begin_object(&w);
        qn_json_member_slice(&w, "name", m->additions[i].name);
        qn_json_member_slice(&w, "mapping", m->additions[i].mapping);
        qn_json_end_object(&w);
    }
    qn_json_end_array(&w);
    qn_json_member_slice(&w, "schema", m->schema); /* a string: kept verbatim */
    qn_json_end_object(&w);
}

static qn_status write_blocks(const qn_manifest *m, qn_blockfile_writer *w,
                              qn_slice json, qn_error *err)
{
    QN_TRY(qn_blockfile_put(w, BLOCK_JSON, 0, json.p, json.n, err));
    for (size_t i = 0; i < m->segment_count; i++) {
        const qn_manifest_segment *s = &m->segments[i];
        if (s->deleted == NULL) continue;
        QN_TRY(qn_blockfile_put(w, BLOCK_DELETED, (uint32_t)i, s->deleted,
                                qn_bitset_words(s->doc_count) * sizeof(uint64_t), err));
    }
    return qn_blockfile_finish(w, true, err);
}

qn_status qn_manifest_write(qn_alloc *a, const char *dir, const qn_manifest *m,
                            qn_error *err)
{
    char path[PATH_MAX_BYTES], draft[PATH_MAX_BYTES];
    (void)snprintf(path, sizeof path, "%s/manifest-%llu", dir,
                   (unsigned long long)m->number);
    (void)snprintf(draft, sizeof draft, "%s/draft-manifest", dir);
    qn_buf json;
    qn_buf_init(&json, a);
    print_json(m, &json);
    qn_blockfile_writer *w = NULL;
    qn_status st =
        json.failed
            ? qn_fail(err, QN_ENOMEM, "manifest of %s", dir)
            : qn_blockfile_writer_create(a, draft, magic,
                                         m->updates ? QN_MANIFEST_UPDATES : 1, &w, err);
    if (st == QN_OK) st = write_blocks(m, w, qn_buf_slice(&json), err);
    qn_blockfile_writer_destroy(w);
    qn_buf_deinit(&json);
    if (st == QN_OK) st = qn_file_rename(draft, path, err);
    if (st == QN_OK) st = qn_dir_sync(dir, err);
    return st;
}

/* ---- reading ----------------------------------------------------------------------------
 */

typedef struct newest {
    bool found;
    uint64_t number;
} newest;

static bool see_manifest(void *ctx, const char *name, bool is_dir)
{
    newest *n = ctx;
    uint64_t number = 0;
    if (!is_dir && numbered(name, "manifest-", "", &number) &&
        (!n->found || number > n->number)) {
        n->found = true;
        n->number = number;
    }
    return true;
}

static qn_status damaged(const char *file, const char *what, qn_error *err)
{
    return qn_fail_file(err, QN_ECORRUPT, file, QN_AT_NONE,
                        "the manifest's %s is missing or of the wrong type", what);
}

static bool want_int(const qn_json *root, const char *key, int64_t *out)
{
    const qn_json *v = qn_json_get(root, key);
    if (v == NULL || v->kind != QN_JSON_INT || v->integer < 0) return false;
    *out = v->integer;
    return true;
}

static bool want_text(const qn_json *root, const char *key, qn_slice *out)
{
    const qn_json *v = qn_json_get(root, key);
    if (v == NULL || v->kind != QN_JSON_STRING) return false;
    *out = v->string;
    return true;
}

static qn_status read_segments(const qn_blockfile *f, const char *file,
                               const qn_json *list, qn_manifest *m, qn_error *err)
{
    if (list == NULL || list->kind != QN_JSON_ARRAY)
        return damaged(file, "list of segments", err);
    qn_manifest_segment *s = qn_arena_array(&m->arena, list->count + 1, sizeof *s);
    if (s == NULL) return qn_fail(err, QN_ENOMEM, "manifest");
    size_t i = 0;
    for (const qn_json *it = qn_json_items(list); it != NULL; it = it->next, i++) {
        int64_t id = 0, docs = 0;
        if (!want_int(it, "id", &id) || !want_int(it, "documents", &docs) ||
            docs > UINT32_MAX)
            return damaged(file, "segment", err);
        int64_t overlay = 0;
        if (qn_json_get(it, "overlay") != NULL &&
            (!want_int(it, "overlay", &overlay) || overlay == 0 || !m->updates))
            return damaged(file, "overlay", err);
        s[i].id = (uint64_t)id;
        s[i].overlay = (uint64_t)overlay;
        s[i].doc_count = (uint32_t)docs;
        if (!qn_blockfile_has(f, BLOCK_DELETED, (uint32_t)i)) continue;
        qn_slice bits = {0};
        QN_TRY(qn_blockfile_block(f, BLOCK_DELETED, (uint32_t)i, &bits, err));
        size_t words = qn_bitset_words(s[i].doc_count);
        if (bits.n != words * sizeof(uint64_t))
            return damaged(file, "delete bits", err);
        uint64_t *copy = qn_arena_array(&m->arena, words + 1, sizeof *copy);
        if (copy == NULL) return qn_fail(err, QN_ENOMEM, "manifest");
        memcpy(copy, bits.p, bits.n);
        s[i].deleted = copy;
    }
    m->segments = s;
    m->segment_count = i;
    return QN_OK;
}

static qn_status read_additions(const char *file, const qn_json *list, qn_manifest *m,
                                qn_error *err)
{
    if (list == NULL || list->kind != QN_JSON_ARRAY)
        return damaged(file, "list of added fields", err);
    qn_schema_addition *a = qn_arena_array(&m->arena, list->count + 1, sizeof *a);
    if (a == NULL) return qn_fail(err, QN_ENOMEM, "manifest");
    size_t i = 0;
    for (const qn_json *it = qn_json_items(list); it != NULL; it = it->next, i++)
        if (!want_text(it, "name", &a[i].name) ||
            !want_text(it, "mapping", &a[i].mapping))
            return damaged(file, "added field", err);
    m->additions = a;
    m->addition_count = i;
    return QN_OK;
}

/* Absent keys leave it unset. */
static qn_status read_policy(const char *file, const qn_json *root, qn_policy *p,
                             qn_error *err)
{
    const qn_json *durability = qn_json_get(root, "durability");
    if (durability != NULL &&
        qn_policy_read_durability(durability, "durability", p, NULL) != QN_OK)
        return damaged(file, "durability", err);
    if (qn_json_get(root, "sync_interval_ms") != NULL &&
        !want_int(root, "sync_interval_ms", &p->sync_interval_ms))
        return damaged(file, "sync interval", err);
    return QN_OK;
}

static qn_status read_json(const qn_blockfile *f, qn_manifest *m, qn_error *err)
{
    const char *file = qn_blockfile_name(f);
    qn_slice bytes = {0};
    QN_TRY(qn_blockfile_block(f, BLOCK_JSON, 0, &bytes, err));
    qn_slice text = qn_arena_slice(&m->arena, bytes); /* outlives the mapping */
    if (text.p == NULL) return qn_fail(err, QN_ENOMEM, "manifest");
    const qn_json *root = NULL;
    if (qn_json_parse(&m->arena, text, &root, NULL) != QN_OK)
        return damaged(file, "JSON", err);
    int64_t next = 0, replay = 0, analysis = 0;
    if (!want_text(root, "uuid", &m->uuid) || !want_text(root, "schema", &m->schema) ||
        !want_int(root, "created_ms", &m->created_ms) ||
        !want_int(root, "segment_id_next", &next) ||
        !want_int(root, "replay_from", &replay) ||
        !want_int(root, "analysis_version", &analysis) ||
        !want_int(root, "seq_no_next", &m->seq_no_next))
        return damaged(file, "header", err);
    if (analysis != QN_ANALYSIS_VERSION)
        return qn_fail_file(err, QN_EVERSION, file, QN_AT_NONE,
                            "the table was analysed by version %lld, this is version "
                            "%d: ingest it again",
                            (long long)analysis, QN_ANALYSIS_VERSION);
    QN_TRY(read_policy(file, root, &m->policy, err));
    m->segment_id_next = (uint64_t)next;
    m->replay_from = (uint64_t)replay;
    QN_TRY(read_segments(f, file, qn_json_get(root, "segments"), m, err));
    return read_additions(file, qn_json_get(root, "fields_added"), m, err);
}

static qn_status check_version(const qn_blockfile *f, qn_error *err)
{
    if (qn_blockfile_version(f) >= 1) return QN_OK;
    return qn_fail_file(err, QN_EVERSION, qn_blockfile_name(f), QN_AT_NONE,
                        "%s is of an unreleased format (version %u): make the table "
                        "again and ingest its documents",
                        qn_blockfile_name(f), qn_blockfile_version(f));
}

qn_status qn_manifest_read(qn_alloc *a, const char *dir, qn_manifest *out,
                           qn_error *err)
{
    *out = (qn_manifest){0};
    qn_arena_init(&out->arena, a, 0);
    newest n = {0};
    QN_TRY(qn_dir_list(dir, see_manifest, &n, err));
    if (!n.found)
        return qn_fail_file(err, QN_ENOTFOUND, dir, QN_AT_NONE,
                            "the folder has no manifest");
    char path[PATH_MAX_BYTES];
    (void)snprintf(path, sizeof path, "%s/manifest-%llu", dir,
                   (unsigned long long)n.number);
    out->number = n.number;
    qn_blockfile *f = NULL;
    QN_TRY(qn_blockfile_open(a, path, magic, QN_MANIFEST_VERSION, &f, err));
    qn_status st = check_version(f, err);
    out->updates = qn_blockfile_version(f) >= QN_MANIFEST_UPDATES;
    if (st == QN_OK) st = read_json(f, out, err);
    qn_blockfile_close(f);
    return st;
}

void qn_manifest_deinit(qn_manifest *m)
{
    qn_arena_deinit(&m->arena);
}

/* ---- sweeping ---------------------------------------------------------------------------
 */

typedef struct sweep {
    const char *dir;
    const qn_manifest *m;
} sweep;

static bool named(const qn_manifest *m, uint64_t segment)
{
    for (size_t i = 0; i < m->segment_count; i++)
        if (m->segments[i].id == segment) return true;
    return false;
}

static bool overlay_named(const qn_manifest *m, uint64_t overlay)
{
    for (size_t i = 0; i < m->segment_count; i++)
        if (m->segments[i].overlay == overlay) return true;
    return false;
}

static bool sweep_one(void *ctx, const char *name, bool is_dir)
{
    const sweep *s = ctx;
    uint64_t number = 0;
    bool garbage = false;
    if (numbered(name, "manifest-", "", &number))
        garbage = number != s->m->number;
    else if (numbered(name, "seg-", ".qns", &number))
        garbage = !named(s->m, number);
    else if (numbered(name, "over-", ".qno", &number))
        garbage = !overlay_named(s->m, number);
    else
        garbage = strncmp(name, "draft-", 6) == 0;
    if (is_dir || !garbage) return true;
    char path[PATH_MAX_BYTES];
    (void)snprintf(path, sizeof path, "%s/%s", s->dir, name);
    qn_error err;
    if (qn_file_remove(path, &err) != QN_OK)
        qn_log(QN_LOG_WARN, "engine", "%s stays behind: %s", path, err.text);
    return true;
}

void qn_manifest_sweep(const char *dir, const qn_manifest *m)
{
    sweep s = {dir, m};
    qn_error err;
    if (qn_dir_list(dir, sweep_one, &s, &err) != QN_OK)
        qn_log(QN_LOG_WARN, "engine", "%s cannot be swept: %s", dir, err.text);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/table/table_check.h"

#include "engine/engine_internal.h"
#include "engine/table/manifest.h"
#include "engine/table/table_overlay.h"

typedef struct checking {
    const char *dir;
    qn_alloc *alloc;
    uint64_t files, blocks, damaged;
    qn_json_writer *w;
    qn_error failure; /* the first thing that kept it from looking */
} checking;

/* A file that cannot be read now may be sound: only what was read and is wrong is damage.
 */
static void note(checking *c, const char *file, const qn_error *e)
{
    if (e->code == QN_EIO || e->code == QN_ENOMEM) {
        if (c->failure.code == QN_OK) c->failure = *e;
        return;
    }
    c->damaged++;
    qn_json_begin_object(c->w);
    qn_json_member_str(c->w, "file", e->file[0] != 0 ? e->file : file);
    if (e->at != QN_AT_NONE) qn_json_member_int(c->w, "offset", (int64_t)e->at);
    qn_json_member_str(c->w, "text", e->text);
    qn_json_end_object(c->w);
}

/* Sound on disk; was it written right? Takes the file. */
static void check_segment(checking *c, const char *path, qn_blockfile *f)
{
    qn_error e = {.at = QN_AT_NONE};
    qn_segment *seg = NULL;
    if (qn_segment_open(c->alloc, f, &seg, &e) != QN_OK) {
        note(c, path, &e);
        qn_blockfile_close(f);
        return;
    }
    if (qn_segment_check(seg, &e) != QN_OK) note(c, path, &e);
    qn_segment_close(seg);
}

static void check_file(checking *c, const char *path, const char magic[8],
                       uint32_t version)
{
    qn_error e = {.at = QN_AT_NONE};
    qn_blockfile *f = NULL;
    qn_status st = qn_blockfile_open(c->alloc, path, magic, version, &f, &e);
    c->files++;
    if (st != QN_OK) {
        note(c, path, &e);
        return;
    }
    c->blocks += qn_blockfile_count(f);
    st = qn_blockfile_verify(f, &e);
    if (st != QN_OK) note(c, path, &e);
    if (st == QN_OK && memcmp(magic, QN_SEGMENT_MAGIC, 8) == 0)
        check_segment(c, path, f);
    else
        qn_blockfile_close(f);
}

static qn_status count_record(void *ctx, const qn_wal_record *r, qn_error *err)
{
    checking *c = ctx;
    qn_arena arena;
    qn_arena_init(&arena, c->alloc, 0);
    qn_oplog_op op;
    qn_status st = qn_oplog_decode(&arena, r, &op, err);
    qn_arena_deinit(&arena);
    c->blocks++;
    return st;
}

static bool check_entry(void *ctx, const char *name, bool is_dir)
{
    static const char manifest_magic[8] = {'Q', 'N', 'M', 'A', 'N', 'I', 'F', 0};
    checking *c = ctx;
    if (is_dir) return true;
    qn_slice s = qn_slice_of(name);
    qn_buf path;
    qn_buf_init(&path, c->alloc);
    qn_buf_printf(&path, "%s/%s", c->dir, name);
    if (!path.failed && qn_slice_starts_with(s, "manifest-"))
        check_file(c, path.p, manifest_magic, QN_MANIFEST_VERSION);
    else if (qn_slice_starts_with(s, "wal-"))
        c->files++;
    qn_buf_deinit(&path);
    return true;
}

/* Sound on disk; does it go with its segment? */
static void check_with_segment(checking *c, const char *path, uint64_t segment)
{
    static const char magic[8] = QN_SEGMENT_MAGIC;
    qn_error e = {.at = QN_AT_NONE};
    qn_blockfile *f = NULL;
    qn_segment *seg = NULL;
    qn_overlay *overlay = NULL;
    qn_buf beside;
    qn_buf_init(&beside, c->alloc);
    qn_manifest_segment_path(&beside, c->dir, segment);
    qn_status st = beside.failed ? qn_fail(&e, QN_ENOMEM, "check")
                                 : qn_blockfile_open(c->alloc, beside.p, magic,
                                                     QN_SEGMENT_VERSION, &f, &e);
    if (st == QN_OK) st = qn_segment_open(c->alloc, f, &seg, &e);
    if (st == QN_OK) {
        if (qn_overlay_load(c->alloc, path, seg, &overlay, &e) != QN_OK)
            note(c, path, &e);
        qn_overlay_release(overlay);
        qn_segment_close(seg);
    } else {
        qn_blockfile_close(f); /* the segment itself has been told of */
    }
    qn_buf_deinit(&beside);
}

static void check_overlay(checking *c, const qn_manifest_segment *s)
{
    static const char magic[8] = QN_OVERLAY_MAGIC;
    qn_buf path;
    qn_buf_init(&path, c->alloc);
    qn_manifest_overlay_path(&path, c->dir, s->overlay);
    uint64_t damaged = c->damaged;
    if (!path.failed) check_file(c, path.p, magic, QN_OVERLAY_VERSION);
    if (!path.failed && c->damaged == damaged) check_with_segment(c, path.p, s->id);
    qn_buf_deinit(&path);
}

/* Others are being written, or are what a crash left: nobody reads them. */
static void check_segments(checking *c, const qn_manifest *m)
{
    static const char magic[8] = QN_SEGMENT_MAGIC;
    qn_buf path;
    qn_buf_init(&path, c->alloc);
    for (size_t i = 0; i < m->segment_count; i++) {
        qn_manifest_segment_path(&path, c->dir, m->segments[i].id);
        if (!path.failed) check_file(c, path.p, magic, QN_SEGMENT_VERSION);
        if (m->segments[i].overlay != 0) check_overlay(c, &m->segments[i]);
    }
    qn_buf_deinit(&path);
}

static qn_status check_folder(quern *q, const char *dir, checking *c, qn_error *err)
{
    c->dir = dir;
    QN_TRY(qn_dir_list(dir, check_entry, c, err));
    qn_error e = {.at = QN_AT_NONE};
    qn_manifest m;
    if (qn_manifest_read(q->alloc, dir, &m, &e) != QN_OK) {
        note(c, dir, &e);
    } else {
        check_segments(c, &m);
        if (qn_wal_check(q->alloc, dir, m.replay_from, count_record, c, &e) != QN_OK)
            note(c, dir, &e);
    }
    qn_manifest_deinit(&m);
    if (c->failure.code != QN_OK) *err = c->failure;
    return c->failure.code;
}

qn_status qn_table_check_folder(quern *q, const char *dir, qn_buf *json,
                                uint64_t *damaged, qn_error *err)
{
    qn_json_writer w;
    qn_json_writer_init(&w, json, false);
    checking c = {.alloc = q->alloc, .w = &w};
    qn_json_begin_object(&w);
    qn_json_key(&w, "damaged");
    qn_json_begin_array(&w);
    qn_status st = check_folder(q, dir, &c, err);
    qn_json_end_array(&w);
    qn_json_member_int(&w, "files", (int64_t)c.files);
    qn_json_member_int(&w, "blocks", (int64_t)c.blocks);
    qn_json_end_object(&w);
    *damaged = c.damaged;
    return st;
}

qn_status quern_table_check(quern *q, const char *name, char **json, size_t *json_size,
                            qn_error *err)
{
    *json = NULL;
    if (!quern_table_exists(q, name))
        return qn_fail(err, QN_ENOTABLE, "no such index [%s]", name);
    qn_buf dir, b;
    uint64_t damaged = 0;
    qn_buf_init(&dir, q->alloc);
    qn_buf_init(&b, q->alloc);
    qn_buf_printf(&dir, "%s/%s", q->tables_dir, name);
    qn_table *open = qn_engine_table_if_open(q, name);
    if (open != NULL) qn_table_hold(open);
    qn_status st = dir.failed ? qn_fail(err, QN_ENOMEM, "check")
                              : qn_table_check_folder(q, dir.p, &b, &damaged, err);
    if (open != NULL) qn_table_let_go(open);
    qn_table_release(open);
    qn_buf_deinit(&dir);
    st = qn_engine_reply(&b, st, json, json_size, err);
    if (st == QN_OK && damaged != 0)
        st = qn_fail(err, QN_ECORRUPT, "table %s has %llu damaged parts", name,
                     (unsigned long long)damaged);
    return st;
}

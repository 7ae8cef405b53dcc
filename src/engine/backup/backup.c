/* SPDX-License-Identifier: Apache-2.0 */
/* backup.c -- a consistent copy of a table while it is written and searched.
 *
 *     hold     no manifest is written; segments get a second name in the copy, what cannot
 *              have one and the log are opened; the manifest is copied
 *     let go   from here on the table does what it likes
 *     copy     what was opened, as far as it was durable then
 *     name     BACKUP is written, everything synced, the folder renamed
 */
#include "base/log.h"
#include "base/vec.h"
#include "engine/backup/backup_list.h"
#include "engine/engine_internal.h"
#include "engine/table/manifest.h"
#include "engine/table/names.h"
#include "engine/write/write.h"
#include "io/file_copy.h"

#include <stdio.h>
#include <xxhash.h>

enum { PATH_MAX_BYTES = 4096 };

typedef struct part {
    char *name;
    qn_held_file held; /* to be copied; nothing when it was linked */
    uint64_t size, sum;
    bool linked;
} part;

typedef struct taking {
    quern *q;
    qn_table *t;
    char from[PATH_MAX_BYTES], to[PATH_MAX_BYTES]; /* of the file at hand */
    const char *draft; /* the folder, under its first name */
    QN_VEC(part) parts;
} taking;

static qn_status paths_of(taking *k, const char *name, qn_error *err)
{
    int a = snprintf(k->from, sizeof k->from, "%s/%s", k->t->dir, name);
    int b = snprintf(k->to, sizeof k->to, "%s/%s", k->draft, name);
    if (a < 0 || b < 0 || (size_t)a >= sizeof k->from || (size_t)b >= sizeof k->to)
        return qn_fail(err, QN_EINVAL, "the path %s is too long", k->draft);
    return QN_OK;
}

static qn_status add_part(taking *k, const char *name, part **out, qn_error *err)
{
    part p = {.name = qn_strndup(k->q->alloc, name, strlen(name))};
    if (p.name == NULL || !qn_vec_push(k->q->alloc, &k->parts, p)) {
        qn_delete(k->q->alloc, p.name);
        return qn_fail(err, QN_ENOMEM, "backup of %s", k->t->name);
    }
    *out = &k->parts.p[k->parts.n - 1];
    return paths_of(k, name, err);
}

static qn_status hold_part(taking *k, part *p, qn_error *err)
{
    QN_TRY(qn_file_hold(k->from, &p->held, err));
    p->size = p->held.size;
    return QN_OK;
}

/* `kind`: the file's name around its number. */
static qn_status take_file(taking *k, const char *kind, uint64_t id, const char *end,
                           qn_error *err)
{
    char name[64];
    part *p = NULL;
    (void)snprintf(name, sizeof name, "%s%llu%s", kind, (unsigned long long)id, end);
    QN_TRY(add_part(k, name, &p, err));
    qn_error why;
    qn_status st = qn_file_link(k->from, k->to, &why);
    if (st == QN_OK) {
        p->linked = true;
        return qn_file_size(k->to, &p->size, err);
    }
    if (st == QN_EUNSUPPORTED) return hold_part(k, p, err);
    if (err != NULL) *err = why;
    return st;
}

static qn_status take_log_file(void *ctx, uint64_t first, uint64_t size, qn_error *err)
{
    taking *k = ctx;
    char name[64];
    part *p = NULL;
    (void)snprintf(name, sizeof name, "wal-%020llu", (unsigned long long)first);
    QN_TRY(add_part(k, name, &p, err));
    QN_TRY(hold_part(k, p, err));
    p->size = size; /* more may come behind it meanwhile */
    return QN_OK;
}

/* Under hold(). */
static qn_status take_all(taking *k, qn_manifest *m, qn_error *err)
{
    char name[64];
    part *p = NULL;
    QN_TRY(qn_manifest_read(k->q->alloc, k->t->dir, m, err));
    (void)snprintf(name, sizeof name, "manifest-%llu", (unsigned long long)m->number);
    QN_TRY(add_part(k, name, &p, err));
    QN_TRY(hold_part(k, p, err));
    for (size_t i = 0; i < m->segment_count; i++) {
        const qn_manifest_segment *s = &m->segments[i];
        QN_TRY(take_file(k, "seg-", s->id, ".qns", err));
        if (s->overlay != 0) QN_TRY(take_file(k, "over-", s->overlay, ".qno", err));
    }
    /* Deletions in the manifest are of operations that the log has: it is synced after
     * the manifest was read. */
    QN_TRY(qn_write__sync(k->t, err));
    return qn_wal_extent(k->t->wal, m->replay_from, take_log_file, k, err);
}

static qn_status copy_parts(taking *k, qn_error *err)
{
    for (size_t i = 0; i < k->parts.n; i++) {
        part *p = &k->parts.p[i];
        if (p->linked) continue;
        QN_TRY(paths_of(k, p->name, err));
        QN_TRY(qn_held_file_copy(&p->held, k->from, p->size, k->to, &p->sum, err));
        qn_held_file_release(&p->held);
    }
    return QN_OK;
}

/* Policies, plug-ins, dictionaries: as they are now, if there are any. */
static qn_status take_records(taking *k, qn_error *err)
{
    part *p = NULL;
    qn_buf text;
    qn_buf_init(&text, k->q->alloc);
    qn_status st = qn_control_export(k->q->control, k->t->name, &text, err);
    if (st == QN_OK && text.n > 0) st = add_part(k, QN_BACKUP_CONTROL, &p, err);
    if (st == QN_OK && text.n > 0) {
        p->size = text.n;
        p->sum = XXH3_64bits(text.p, text.n);
        st = qn_file_replace(k->to, text.p, text.n, err);
    }
    qn_buf_deinit(&text);
    return st;
}

static qn_status write_list(taking *k, const qn_manifest *m, qn_error *err)
{
    qn_backup_file *files = qn_new_array(k->q->alloc, k->parts.n + 1, sizeof *files);
    if (files == NULL) return qn_fail(err, QN_ENOMEM, "backup of %s", k->t->name);
    for (size_t i = 0; i < k->parts.n; i++) {
        const part *p = &k->parts.p[i];
        files[i] = (qn_backup_file){p->name, p->size, p->linked, p->sum};
    }
    qn_backup_list list = {.table = qn_slice_of(k->t->name),
                           .uuid = m->uuid,
                           .created_ms = qn_clock_wall_ms(),
                           .updates = m->updates,
                           .files = files,
                           .count = k->parts.n};
    qn_status st = qn_backup_list_write(k->q->alloc, k->draft, &list, err);
    qn_delete(k->q->alloc, files);
    return st == QN_OK ? qn_dir_sync(k->draft, err) : st;
}

static qn_status take(taking *k, qn_error *err)
{
    qn_manifest m = {0};
    qn_table_hold(k->t);
    (void)pthread_mutex_lock(&k->t->write);
    bool dropped = k->t->dropped, damaged = k->t->damage.n != 0;
    (void)pthread_mutex_unlock(&k->t->write);
    qn_status st =
        dropped ? qn_fail(err, QN_ENOTABLE, "no such index [%s]", k->t->name) : QN_OK;
    if (st == QN_OK && damaged)
        st = qn_fail(
            err, QN_ECORRUPT,
            "table %s is damaged: what is left of it is no backup. 'quern table "
            "check' says what is wrong",
            k->t->name);
    if (st == QN_OK) st = take_all(k, &m, err);
    qn_table_let_go(k->t);
    if (st == QN_OK) st = copy_parts(k, err);
    if (st == QN_OK) st = take_records(k, err);
    if (st == QN_OK) st = write_list(k, &m, err);
    qn_manifest_deinit(&m);
    return st;
}

static qn_status report(const taking *k, const char *dir, char **json,
                        size_t *json_size, qn_error *err)
{
    if (json == NULL) return QN_OK;
    uint64_t bytes = 0, linked = 0;
    for (size_t i = 0; i < k->parts.n; i++) {
        bytes += k->parts.p[i].size;
        linked += k->parts.p[i].linked ? k->parts.p[i].size : 0;
    }
    qn_buf b;
    qn_buf_init(&b, k->q->alloc);
    qn_json_writer w;
    qn_json_writer_init(&w, &b, false);
    qn_json_begin_object(&w);
    qn_json_member_str(&w, "table", k->t->name);
    qn_json_member_str(&w, "directory", dir);
    qn_json_member_int(&w, "files", (int64_t)k->parts.n);
    qn_json_member_int(&w, "bytes", (int64_t)bytes);
    qn_json_member_int(&w, "linked_bytes", (int64_t)linked);
    qn_json_end_object(&w);
    return qn_engine_reply(&b, QN_OK, json, json_size, err);
}

static bool see_any(void *ctx, const char *name, bool is_dir)
{
    (void)name;
    (void)is_dir;
    *(bool *)ctx = true;
    return false;
}

/* An empty folder is as good as none: renaming over it is atomic too. */
static qn_status must_be_free(const char *dir, qn_error *err)
{
    bool any = false;
    if (!qn_file_exists(dir)) return QN_OK;
    QN_TRY(qn_dir_list(dir, see_any, &any, err));
    if (!any) return QN_OK;
    return qn_fail_file(err, QN_EEXISTS, dir, QN_AT_NONE,
                        "%s is there already and is never written over: name a folder "
                        "that does not exist",
                        dir);
}

static void destroy_parts(taking *k)
{
    for (size_t i = 0; i < k->parts.n; i++) {
        qn_held_file_release(&k->parts.p[i].held);
        qn_delete(k->q->alloc, k->parts.p[i].name);
    }
    qn_vec_deinit(k->q->alloc, &k->parts);
}

/* The folder that a path's last part is in. */
static void parent_of(const char *dir, char out[PATH_MAX_BYTES])
{
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/') n--;
    while (n > 0 && dir[n - 1] != '/') n--;
    while (n > 1 && dir[n - 1] == '/') n--;
    (void)snprintf(out, PATH_MAX_BYTES, "%.*s", n == 0 ? 1 : (int)n,
                   n == 0 ? "." : dir);
}

static qn_status back_up(quern *q, qn_table *t, const char *dir, char **json,
                         size_t *json_size, qn_error *err)
{
    char draft[PATH_MAX_BYTES], parent[PATH_MAX_BYTES], id[QN_AUTO_ID_SIZE + 3];
    uint64_t entropy[2] = {qn_clock_seed(), qn_clock_seed()};
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/') n--;
    qn_name_make_id(id, entropy);
    if (n == 0 || n > PATH_MAX_BYTES - 64)
        return qn_fail(err, QN_EINVAL, "the name of the backup's folder is %s",
                       n == 0 ? "empty" : "too long");
    (void)snprintf(draft, sizeof draft, "%.*s.draft-%s", (int)n, dir, id);
    parent_of(dir, parent);
    QN_TRY(must_be_free(dir, err));
    QN_TRY(qn_dir_create(draft, err));
    taking k = {.q = q, .t = t, .draft = draft};
    qn_status st = take(&k, err);
    if (st == QN_OK) st = must_be_free(dir, err);
    if (st == QN_OK) st = qn_file_rename(draft, dir, err);
    if (st == QN_OK) st = qn_dir_sync(parent, err);
    if (st == QN_OK) st = report(&k, dir, json, json_size, err);
    qn_error ignored;
    if (st != QN_OK && qn_file_exists(draft) && qn_dir_remove(draft, &ignored) != QN_OK)
        qn_log(QN_LOG_WARN, "engine", "%s stays behind: %s", draft, ignored.text);
    destroy_parts(&k);
    return st;
}

qn_status quern_table_backup(quern *q, const char *name, const char *dir, char **json,
                             size_t *json_size, qn_error *err)
{
    qn_table *t = NULL;
    if (json != NULL) *json = NULL;
    QN_TRY(qn_engine_table(q, name, &t, err));
    qn_status st = back_up(q, t, dir, json, json_size, err);
    qn_table_release(t);
    return st;
}

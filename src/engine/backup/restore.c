/* SPDX-License-Identifier: Apache-2.0 */
/* restore.c -- a table from its copy.
 *
 * The files are copied beside the tables, every byte of the copies is checked, the table
 * gets an id of its own, and only then its name: a restore that fails leaves nothing. */
#include "base/log.h"
#include "engine/backup/backup_list.h"
#include "engine/engine_internal.h"
#include "engine/table/manifest.h"
#include "engine/table/names.h"
#include "engine/table/table_check.h"
#include "io/file_copy.h"

#include <stdio.h>
#include <xxhash.h>

enum { PATH_MAX_BYTES = 4096, NAME_MAX_BYTES = 256 };

static qn_status copy_file(const char *from_dir, const char *to_dir,
                           const qn_backup_file *f, qn_error *err)
{
    char from[PATH_MAX_BYTES + NAME_MAX_BYTES], to[PATH_MAX_BYTES + NAME_MAX_BYTES];
    qn_held_file held = {0};
    uint64_t sum = 0;
    (void)snprintf(from, sizeof from, "%s/%s", from_dir, f->name);
    (void)snprintf(to, sizeof to, "%s/%s", to_dir, f->name);
    QN_TRY(qn_file_hold(from, &held, err));
    qn_status st = QN_OK;
    if (held.size != f->bytes)
        st = qn_fail_file(err, QN_ECORRUPT, from, QN_AT_NONE,
                          "%s has %llu bytes and had %llu when it was backed up", from,
                          (unsigned long long)held.size, (unsigned long long)f->bytes);
    if (st == QN_OK) st = qn_held_file_copy(&held, from, f->bytes, to, &sum, err);
    if (st == QN_OK && !f->linked && sum != f->sum)
        st =
            qn_fail_file(err, QN_ECORRUPT, from, QN_AT_NONE,
                         "%s is not what was backed up: its checksum is another", from);
    qn_held_file_release(&held);
    return st;
}

/* The first finding of a check, told of the file in the backup. */
static qn_status say_damage(qn_alloc *a, const qn_buf *json, const char *dir,
                            qn_error *err)
{
    qn_arena arena;
    const qn_json *root = NULL;
    qn_arena_init(&arena, a, 0);
    qn_status st = qn_json_parse(&arena, qn_buf_slice(json), &root, err);
    const qn_json *first =
        st == QN_OK ? qn_json_items(qn_json_get(root, "damaged")) : NULL;
    const qn_json *file = qn_json_get(first, "file"),
                  *text = qn_json_get(first, "text"),
                  *at = qn_json_get(first, "offset");
    if (file != NULL && text != NULL) {
        qn_slice name = file->string;
        for (size_t i = name.n; i-- > 0;) {
            if (name.p[i] != '/') continue;
            name = (qn_slice){name.p + i + 1, name.n - i - 1};
            break;
        }
        char path[PATH_MAX_BYTES];
        (void)snprintf(path, sizeof path, "%s/%.*s", dir, QN_SLICE_ARG(name));
        st = qn_fail_file(
            err, QN_ECORRUPT, path, at == NULL ? QN_AT_NONE : (uint64_t)at->integer,
            "%s is damaged: %.*s", path,
            text->string.n > 300 ? 300 : (int)text->string.n, text->string.p);
    }
    qn_arena_deinit(&arena);
    return st;
}

static qn_status check_copies(quern *q, const char *draft, const char *dir,
                              qn_error *err)
{
    uint64_t damaged = 0;
    qn_buf json;
    qn_buf_init(&json, q->alloc);
    qn_status st = qn_table_check_folder(q, draft, &json, &damaged, err);
    if (st == QN_OK && damaged != 0) st = say_damage(q->alloc, &json, dir, err);
    qn_buf_deinit(&json);
    return st;
}

/* Another table than the one that was copied: another id. Also refuses a schema whose
 * dialect does not go with the name. */
static qn_status rename_inside(quern *q, const char *draft, const char *name,
                               qn_error *err)
{
    qn_manifest m;
    char uuid[QN_TABLE_UUID_SIZE + 1];
    uint64_t entropy[2] = {qn_clock_seed(), qn_clock_seed()};
    qn_table_schema *schema = NULL;
    qn_status st = qn_manifest_read(q->alloc, draft, &m, err);
    if (st == QN_OK)
        st = qn_table_schema_create(q->alloc, q->analyzers, m.schema, m.additions,
                                    m.addition_count, &schema, err);
    if (st == QN_OK)
        st = qn_name_check_table(qn_slice_of(name),
                                 schema->schema.dialect == QN_SCHEMA_HA3, err);
    if (st == QN_OK) {
        qn_name_make_id(uuid, entropy);
        m.uuid = qn_slice_of(uuid);
        m.number++;
        st = qn_manifest_write(q->alloc, draft, &m, err);
    }
    if (st == QN_OK) qn_manifest_sweep(draft, &m);
    qn_table_schema_release(schema);
    qn_manifest_deinit(&m);
    return st;
}

/* Policies and what else stood beside the documents. They have the table's name before it
 * has it itself; should it never get it, they are swept. */
static qn_status restore_records(quern *q, const qn_backup_file *f, const char *dir,
                                 const char *name, qn_error *err)
{
    char path[PATH_MAX_BYTES + NAME_MAX_BYTES];
    qn_buf text;
    (void)snprintf(path, sizeof path, "%s/%s", dir, f->name);
    qn_buf_init(&text, q->alloc);
    qn_status st = qn_file_read(path, (size_t)f->bytes + 1, &text, err);
    if (st == QN_OK &&
        (text.n != f->bytes || XXH3_64bits(text.p, text.n) != f->sum || f->linked))
        st =
            qn_fail_file(err, QN_ECORRUPT, path, QN_AT_NONE,
                         "%s is not what was backed up: its checksum is another", path);
    if (st == QN_OK) st = qn_control_import(q->control, name, qn_buf_slice(&text), err);
    qn_buf_deinit(&text);
    return st;
}

static bool is_control(const qn_backup_file *f)
{
    return strcmp(f->name, QN_BACKUP_CONTROL) == 0;
}

static qn_status restore(quern *q, const qn_backup_list *list, const char *dir,
                         const char *draft, const char *name, qn_error *err)
{
    for (size_t i = 0; i < list->count; i++)
        if (!is_control(&list->files[i]))
            QN_TRY(copy_file(dir, draft, &list->files[i], err));
    QN_TRY(check_copies(q, draft, dir, err));
    QN_TRY(rename_inside(q, draft, name, err));
    QN_TRY(qn_dir_sync(draft, err));
    for (size_t i = 0; i < list->count; i++)
        if (is_control(&list->files[i]))
            QN_TRY(restore_records(q, &list->files[i], dir, name, err));
    return qn_engine_adopt(q, draft, name, err);
}

static qn_status report(quern *q, const qn_backup_list *list, const char *dir,
                        const char *name, char **json, size_t *json_size, qn_error *err)
{
    if (json == NULL) return QN_OK;
    uint64_t bytes = 0;
    for (size_t i = 0; i < list->count; i++) bytes += list->files[i].bytes;
    qn_buf b;
    qn_buf_init(&b, q->alloc);
    qn_json_writer w;
    qn_json_writer_init(&w, &b, false);
    qn_json_begin_object(&w);
    qn_json_member_str(&w, "table", name);
    qn_json_member_str(&w, "directory", dir);
    qn_json_member_slice(&w, "backup_of", list->table);
    qn_json_member_int(&w, "backed_up_ms", list->created_ms);
    qn_json_member_int(&w, "files", (int64_t)list->count);
    qn_json_member_int(&w, "bytes", (int64_t)bytes);
    qn_json_end_object(&w);
    return qn_engine_reply(&b, QN_OK, json, json_size, err);
}

qn_status quern_table_restore(quern *q, const char *dir, const char *name, char **json,
                              size_t *json_size, qn_error *err)
{
    char draft[PATH_MAX_BYTES], id[QN_AUTO_ID_SIZE + 3];
    uint64_t entropy[2] = {qn_clock_seed(), qn_clock_seed()};
    if (json != NULL) *json = NULL;
    if (q->read_only)
        return qn_fail(err, QN_EREADONLY, "the data folder is open read-only");
    if (strlen(dir) > PATH_MAX_BYTES - 300 ||
        strlen(q->tables_dir) > PATH_MAX_BYTES - 300)
        return qn_fail(err, QN_EINVAL, "the name of the folder is too long");
    QN_TRY(qn_name_check_table(qn_slice_of(name), true, err));
    if (quern_table_exists(q, name))
        return qn_fail(
            err, QN_ETABLEEXISTS,
            "index [%s] already exists: a restore writes over no table. Give "
            "another name, or drop that table first",
            name);
    qn_backup_list list;
    qn_status st = qn_backup_list_read(q->alloc, dir, &list, err);
    qn_name_make_id(id, entropy);
    (void)snprintf(draft, sizeof draft, "%s/.new-%s", q->tables_dir, id);
    if (st == QN_OK) st = qn_dir_create(draft, err);
    if (st == QN_OK) {
        st = restore(q, &list, dir, draft, name, err);
        qn_error ignored;
        if (st != QN_OK && qn_file_exists(draft) &&
            qn_dir_remove(draft, &ignored) != QN_OK)
            qn_log(QN_LOG_WARN, "engine", "%s stays behind: %s", draft, ignored.text);
    }
    if (st == QN_OK) st = report(q, &list, dir, name, json, json_size, err);
    qn_backup_list_deinit(&list);
    return st;
}

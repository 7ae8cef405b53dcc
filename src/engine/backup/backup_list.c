/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/backup/backup_list.h"

#include "io/blockfile.h"
#include "io/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char magic[8] = {'Q', 'N', 'B', 'A', 'C', 'K', 'U', 0};
enum { BLOCK_JSON = 1, PATH_MAX_BYTES = 4096, SUM_DIGITS = 16, NAME_BYTES_MAX = 64 };

static void print_list(const qn_backup_list *l, qn_buf *out)
{
    qn_json_writer w;
    qn_json_writer_init(&w, out, true);
    qn_json_begin_object(&w);
    qn_json_member_slice(&w, "table", l->table);
    qn_json_member_slice(&w, "uuid", l->uuid);
    qn_json_member_int(&w, "created_ms", l->created_ms);
    qn_json_key(&w, "files");
    qn_json_begin_array(&w);
    for (size_t i = 0; i < l->count; i++) {
        char sum[SUM_DIGITS + 1];
        qn_json_begin_object(&w);
        qn_json_member_str(&w, "name", l->files[i].name);
        qn_json_member_int(&w, "bytes", (int64_t)l->files[i].bytes);
        if (!l->files[i].linked) {
            (void)snprintf(sum, sizeof sum, "%016" PRIx64, l->files[i].sum);
            qn_json_member_str(&w, "xxh3", sum);
        }
        qn_json_end_object(&w);
    }
    qn_json_end_array(&w);
    qn_json_end_object(&w);
}

qn_status qn_backup_list_write(qn_alloc *a, const char *dir, const qn_backup_list *l,
                               qn_error *err)
{
    char path[PATH_MAX_BYTES];
    (void)snprintf(path, sizeof path, "%s/BACKUP", dir);
    qn_buf json;
    qn_buf_init(&json, a);
    print_list(l, &json);
    qn_blockfile_writer *w = NULL;
    qn_status st =
        json.failed ? qn_fail(err, QN_ENOMEM, "backup")
                    : qn_blockfile_writer_create(
                          a, path, magic, l->updates ? QN_BACKUP_UPDATES : 1, &w, err);
    if (st == QN_OK) st = qn_blockfile_put(w, BLOCK_JSON, 0, json.p, json.n, err);
    if (st == QN_OK) st = qn_blockfile_finish(w, true, err);
    qn_blockfile_writer_destroy(w);
    qn_buf_deinit(&json);
    return st;
}

/* ---- reading ---------------------------------------------------------------------------- */

static qn_status damaged(const char *file, const char *what, qn_error *err)
{
    return qn_fail_file(err, QN_ECORRUPT, file, QN_AT_NONE,
                        "the backup's %s is missing or of the wrong type", what);
}

/* A name that stays in the folder. */
static bool plain_name(qn_slice s)
{
    if (s.n > NAME_BYTES_MAX) return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '/' || s.p[i] == 0) return false;
    return qn_slice_starts_with(s, "manifest-") || qn_slice_starts_with(s, "wal-") ||
           (qn_slice_starts_with(s, "seg-") && qn_slice_ends_with(s, ".qns")) ||
           qn_slice_eq_str(s, QN_BACKUP_CONTROL) ||
           (qn_slice_starts_with(s, "over-") && qn_slice_ends_with(s, ".qno"));
}

static bool read_sum(const qn_json *v, uint64_t *sum)
{
    if (v->kind != QN_JSON_STRING || v->string.n != SUM_DIGITS) return false;
    *sum = 0;
    for (size_t i = 0; i < SUM_DIGITS; i++) {
        char c = v->string.p[i];
        uint64_t digit = c >= '0' && c <= '9'   ? (uint64_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint64_t)(c - 'a') + 10
                                                : 16;
        if (digit == 16) return false;
        *sum = *sum << 4 | digit;
    }
    return true;
}

static qn_status read_file(qn_backup_list *l, const char *path, const qn_json *v,
                           qn_backup_file *out, qn_error *err)
{
    const qn_json *name = qn_json_get(v, "name"), *bytes = qn_json_get(v, "bytes"),
                  *sum = qn_json_get(v, "xxh3");
    if (name == NULL || name->kind != QN_JSON_STRING || !plain_name(name->string) ||
        bytes == NULL || bytes->kind != QN_JSON_INT || bytes->integer < 0 ||
        (sum != NULL && !read_sum(sum, &out->sum)))
        return damaged(path, "file", err);
    out->name = qn_arena_strndup(&l->arena, name->string.p, name->string.n);
    if (out->name == NULL) return qn_fail(err, QN_ENOMEM, "backup");
    out->bytes = (uint64_t)bytes->integer;
    out->linked = sum == NULL;
    return QN_OK;
}

static qn_status read_json(qn_backup_list *l, const qn_blockfile *f, qn_error *err)
{
    const char *path = qn_blockfile_name(f);
    qn_slice bytes = {0};
    QN_TRY(qn_blockfile_block(f, BLOCK_JSON, 0, &bytes, err));
    qn_slice text = qn_arena_slice(&l->arena, bytes);
    const qn_json *root = NULL;
    if (text.p == NULL) return qn_fail(err, QN_ENOMEM, "backup");
    if (qn_json_parse(&l->arena, text, &root, NULL) != QN_OK)
        return damaged(path, "JSON", err);
    const qn_json *table = qn_json_get(root, "table"),
                  *uuid = qn_json_get(root, "uuid"),
                  *created = qn_json_get(root, "created_ms"),
                  *files = qn_json_get(root, "files");
    if (table == NULL || table->kind != QN_JSON_STRING || uuid == NULL ||
        uuid->kind != QN_JSON_STRING || created == NULL ||
        created->kind != QN_JSON_INT || files == NULL || files->kind != QN_JSON_ARRAY)
        return damaged(path, "header", err);
    l->table = table->string;
    l->uuid = uuid->string;
    l->created_ms = created->integer;
    qn_backup_file *list = qn_arena_array(&l->arena, files->count + 1, sizeof *list);
    if (list == NULL) return qn_fail(err, QN_ENOMEM, "backup");
    for (const qn_json *it = qn_json_items(files); it != NULL; it = it->next)
        QN_TRY(read_file(l, path, it, &list[l->count++], err));
    l->files = list;
    return QN_OK;
}

qn_status qn_backup_list_read(qn_alloc *a, const char *dir, qn_backup_list *out,
                              qn_error *err)
{
    char path[PATH_MAX_BYTES];
    *out = (qn_backup_list){0};
    qn_arena_init(&out->arena, a, 0);
    (void)snprintf(path, sizeof path, "%s/BACKUP", dir);
    qn_blockfile *f = NULL;
    qn_status st = qn_blockfile_open(a, path, magic, QN_BACKUP_VERSION, &f, err);
    if (st == QN_ENOTFOUND)
        return qn_fail_file(
            err, QN_ENOTFOUND, path, QN_AT_NONE,
            "%s is no backup of a table: it has no file BACKUP. Give the "
            "folder that 'quern table backup' made",
            dir);
    if (st == QN_OK) st = read_json(out, f, err);
    qn_blockfile_close(f);
    return st;
}

void qn_backup_list_deinit(qn_backup_list *l)
{
    qn_arena_deinit(&l->arena);
}

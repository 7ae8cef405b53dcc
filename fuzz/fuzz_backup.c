/* SPDX-License-Identifier: Apache-2.0 */
/* The list of a backup's files, with right checksums and any content, in front of a sound
 * backup: refused, or names of files of a table and nothing else; and restoring from it
 * ends in a table that can be read or in an error, never in half a table. The input is
 * the JSON; '@' in it stands for the sound list's files. */
#include "base/bits.h"
#include "engine/backup/backup_list.h"
#include "engine_target.h"
#include "io/blockfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { BLOCK_JSON = 1, SOUND_MAX = 2048 };
static const char magic[8] = {'Q', 'N', 'B', 'A', 'C', 'K', 'U', 0};
static char dir[128], files[SOUND_MAX]; /* the backup; its list of files as JSON */

static void make_backup(void)
{
    quern *q = target_open();
    qn_error err = {0};
    qn_backup_list list;
    size_t n = 0;
    (void)snprintf(dir, sizeof dir, "%s/backup", target_folder());
    target_table(q, "t", "{\"mappings\":{\"properties\":{\"w\":{\"type\":\"text\"}}}}");
    target_put(q, "t", "1", "{\"w\":\"stone\"}", true);
    qn_assert(quern_flush(q, "t", &err) == QN_OK);
    target_put(q, "t", "2", "{\"w\":\"mill\"}", true);
    qn_assert(quern_table_backup(q, "t", dir, NULL, NULL, &err) == QN_OK);
    qn_assert(qn_backup_list_read(qn_alloc_heap(), dir, &list, &err) == QN_OK);
    for (size_t i = 0; i < list.count && n < SOUND_MAX; i++) {
        const qn_backup_file *f = &list.files[i];
        n += (size_t)snprintf(files + n, SOUND_MAX - n,
                              "%s{\"name\":\"%s\",\"bytes\":%llu", i == 0 ? "" : ",",
                              f->name, (unsigned long long)f->bytes);
        if (!f->linked && n < SOUND_MAX)
            n += (size_t)snprintf(files + n, SOUND_MAX - n, ",\"xxh3\":\"%016llx\"",
                                  (unsigned long long)f->sum);
        if (n < SOUND_MAX) n += (size_t)snprintf(files + n, SOUND_MAX - n, "}");
    }
    qn_assert(n < SOUND_MAX);
    qn_backup_list_deinit(&list);
}

static void write_list(const uint8_t *bytes, size_t n)
{
    char path[160];
    qn_alloc *a = qn_alloc_heap();
    qn_blockfile_writer *w = NULL;
    qn_error err = {0};
    qn_buf json;
    qn_buf_init(&json, a);
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '@')
            qn_buf_add(&json, files, strlen(files));
        else
            qn_buf_add(&json, bytes + i, 1);
    }
    (void)snprintf(path, sizeof path, "%s/BACKUP", dir);
    qn_assert(qn_blockfile_writer_create(a, path, magic, QN_BACKUP_VERSION, &w, &err) ==
              QN_OK);
    qn_assert(qn_blockfile_put(w, BLOCK_JSON, 0, json.p, json.n, &err) == QN_OK);
    qn_assert(qn_blockfile_finish(w, false, &err) == QN_OK);
    qn_blockfile_writer_destroy(w);
    qn_buf_deinit(&json);
}

/* true: the list was taken. */
static bool check_list(void)
{
    qn_backup_list list;
    qn_error err = {0};
    qn_status st = qn_backup_list_read(qn_alloc_heap(), dir, &list, &err);
    qn_assert(st == QN_OK ||
              (err.text[0] != '\0' && (st == QN_ECORRUPT || st == QN_EVERSION)));
    for (size_t i = 0; st == QN_OK && i < list.count; i++) {
        const char *name = list.files[i].name;
        qn_assert(strchr(name, '/') == NULL);
        qn_assert(strncmp(name, "manifest-", 9) == 0 || strncmp(name, "seg-", 4) == 0 ||
                  strncmp(name, "wal-", 4) == 0);
    }
    qn_backup_list_deinit(&list);
    return st == QN_OK;
}

static void check_restore(quern *q, bool taken)
{
    qn_error err = {0};
    quern_document doc;
    qn_status st = quern_table_restore(q, dir, "r", NULL, NULL, &err);
    qn_assert(taken || st != QN_OK);
    if (st != QN_OK) {
        qn_assert(err.text[0] != '\0' && !quern_table_exists(q, "r"));
        return;
    }
    qn_assert(quern_get(q, "r", "1", 1, &doc, &err) == QN_OK);
    quern_document_free(&doc);
    qn_assert(quern_table_drop(q, "r", &err) == QN_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (dir[0] == '\0') make_backup();
    write_list(bytes, n);
    check_restore(target_open(), check_list());
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* engine/backup/backup_list.h -- the file BACKUP of a copied table: which files the copy has.
 *
 * A block file with magic QNBACKU\0 and one block of JSON; docs/formats/backup.md. It is
 * written last, and the folder gets its name after that: a folder with it is whole.
 *
 * Lifetime   a read list owns an arena with all its texts.
 * Errors     QN_ECORRUPT, QN_EVERSION with the file. */
#ifndef QN_ENGINE_BACKUP_LIST_H
#define QN_ENGINE_BACKUP_LIST_H

#include "base/arena.h"

/* 2: of a table whose attributes are updated in place, see manifest.h. */
enum { QN_BACKUP_VERSION = 2, QN_BACKUP_UPDATES = 2 };
#define QN_BACKUP_CONTROL "control.json" /* the table's policies and plug-ins */

typedef struct qn_backup_file {
    const char *name; /* "seg-3.qns" */
    uint64_t bytes;
    bool linked;  /* a second name: its own checksums must do */
    uint64_t sum; /* XXH3-64 of a copied one */
} qn_backup_file;

typedef struct qn_backup_list {
    qn_slice table, uuid;
    int64_t created_ms;
    bool updates; /* written as version QN_BACKUP_UPDATES */
    const qn_backup_file *files;
    size_t count;
    qn_arena arena; /* of a read list */
} qn_backup_list;

/* DIR/BACKUP; durable. */
QN_MUST_CHECK qn_status qn_backup_list_write(qn_alloc *a, const char *dir,
                                             const qn_backup_list *list, qn_error *err);
/* deinit() also after a failure. */
QN_MUST_CHECK qn_status qn_backup_list_read(qn_alloc *a, const char *dir,
                                            qn_backup_list *out, qn_error *err);
void qn_backup_list_deinit(qn_backup_list *list);

#endif

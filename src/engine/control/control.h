/* SPDX-License-Identifier: Apache-2.0 */
/* engine/control/control.h -- what people set beside the documents, in DATA/control.db: rank
 * policies, plug-ins, query analysis, dictionaries.
 *
 *     (table, kind, name) --put--> version 1, 2, 3 ...    one of them is active, or none
 *                                      get: the active one, or a version by number
 *                                      roll back: the version before the active one
 *
 * A record's body is text (UTF-8) that the store does not read. Every change is one
 * transaction, on the disk when the call returns. Of a name the newest
 * QN_CONTROL_VERSIONS_MAX versions are kept, the active one always. A table's records go
 * when it is dropped; table "" stands for the whole folder.
 *
 * The file is SQLite (docs/formats/control.md). It is made by the first put; without it
 * everything is empty. A checksum goes with every record.
 *
 * A file that is damaged or of a newer version does not keep the folder from being opened:
 * every call then fails with what is wrong, so that documents can still be searched.
 *
 * Lifetime   records live in the arena given.
 * Threads    any; one call at a time reads or writes.
 * Errors     QN_ENOTFOUND with the nearest name; QN_EBADNAME; QN_ELIMIT; QN_EUTF8;
 *            QN_EREADONLY; QN_ECORRUPT, QN_EVERSION, QN_EIO, QN_ENOSPC with the file. */
#ifndef QN_ENGINE_CONTROL_H
#define QN_ENGINE_CONTROL_H

#include "base/arena.h"

#include <stdint.h>

/* ORDER LIMITS: rows of server/limits.def. */
enum {
    QN_CONTROL_NAME_MAX = 64, /* bytes; letters, digits, _ - . */
    QN_CONTROL_BODY_MAX = 1 << 20,
    QN_CONTROL_VERSIONS_MAX = 20, /* of one name */
    QN_CONTROL_NAMES_MAX = 1000,  /* of one kind in one table */
};

/* Kinds of records. */
#define QN_CONTROL_ROUGH "rough"
#define QN_CONTROL_FINE "fine"
#define QN_CONTROL_CAVA "cava"
#define QN_CONTROL_ANALYSIS "analysis"
#define QN_CONTROL_DICTIONARY "dictionary"
#define QN_CONTROL_DEPLOYMENTS "deployments" /* of table "" */
#define QN_CONTROL_ENDPOINT "endpoint"       /* of table "" */

typedef struct qn_control qn_control;

typedef struct qn_control_record {
    uint64_t
        id; /* of this version; never given again, so it may key what is compiled */
    qn_slice table, kind, name;
    uint32_t version; /* from 1 */
    bool active;
    int64_t created_ms;
    qn_slice body; /* zero-terminated as well */
} qn_control_record;

/* Opens DATA/control.db when it is there. Fails for want of memory alone. */
QN_MUST_CHECK qn_status qn_control_open(qn_alloc *a, const char *data_dir,
                                        bool read_only, QN_OWNED qn_control **out,
                                        qn_error *err);
void qn_control_close(QN_OWNED QN_NULLABLE qn_control *c);

/* A new version, active when `activate`. *version may be NULL. Old versions over the limit
 * go. */
QN_MUST_CHECK qn_status qn_control_put(qn_control *c, const char *table,
                                       const char *kind, qn_slice name, qn_slice body,
                                       bool activate, QN_NULLABLE uint32_t *version,
                                       qn_error *err);
/* `version` 0: the active one. */
QN_MUST_CHECK qn_status qn_control_get(qn_control *c, const char *table,
                                       const char *kind, qn_slice name,
                                       uint32_t version, qn_arena *arena,
                                       qn_control_record *out, qn_error *err);
/* Records by kind, name, version; `kind` and `name` NULL or "": any. Without `bodies` they
 * are "". */
QN_MUST_CHECK qn_status qn_control_list(qn_control *c, const char *table,
                                        QN_NULLABLE const char *kind,
                                        QN_NULLABLE const char *name, bool bodies,
                                        qn_arena *arena, const qn_control_record **out,
                                        size_t *count, qn_error *err);
/* QN_ENOTFOUND when there is no such version. */
QN_MUST_CHECK qn_status qn_control_activate(qn_control *c, const char *table,
                                            const char *kind, qn_slice name,
                                            uint32_t version, qn_error *err);
/* The version before the active one becomes active; *version (may be NULL) is it. */
QN_MUST_CHECK qn_status qn_control_roll_back(qn_control *c, const char *table,
                                             const char *kind, qn_slice name,
                                             QN_NULLABLE uint32_t *version,
                                             qn_error *err);
/* All versions. */
QN_MUST_CHECK qn_status qn_control_drop(qn_control *c, const char *table,
                                        const char *kind, qn_slice name, qn_error *err);
/* Changes with every change of any record: what is kept of records elsewhere is fresh as
 * long as this is the same. */
uint64_t qn_control_generation(const qn_control *c);

/* ---- tables as a whole ------------------------------------------------------------------ */

/* All records of a table. QN_OK when there are none. */
QN_MUST_CHECK qn_status qn_control_drop_table(qn_control *c, const char *table,
                                              qn_error *err);
/* Records of tables that `exists` does not know: what a crash left of a drop. */
QN_MUST_CHECK qn_status qn_control_sweep(qn_control *c,
                                         bool (*exists)(void *ctx, const char *table),
                                         void *ctx, qn_error *err);
/* A table's records as JSON, for a backup; empty when there are none. */
QN_MUST_CHECK qn_status qn_control_export(qn_control *c, const char *table, qn_buf *out,
                                          qn_error *err);
/* What such a text says becomes the records of `table`, in place of any. */
QN_MUST_CHECK qn_status qn_control_import(qn_control *c, const char *table,
                                          qn_slice text, qn_error *err);

#endif

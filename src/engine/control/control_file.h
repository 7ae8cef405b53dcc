/* SPDX-License-Identifier: Apache-2.0 */
/* engine/control/control_file.h -- control.db: the statements behind engine/control.h, and nothing
 * of its rules.
 *
 * Lifetime   as in control.h.
 * Threads    everything but lock() and unlock() is called between them.
 * Errors     of SQLite, told with the file: QN_ECORRUPT, QN_EVERSION, QN_ENOSPC, QN_EIO. */
#ifndef QN_ENGINE_CONTROL_FILE_H
#define QN_ENGINE_CONTROL_FILE_H

#include "engine/control/control.h"

enum { QN_CONTROL_FILE_VERSION = 1 };

void qn_control_file_lock(qn_control *c);
void qn_control_file_unlock(qn_control *c);
/* A transaction; the file is made when there is none. */
QN_MUST_CHECK qn_status qn_control_file_begin(qn_control *c, qn_error *err);
/* Commits when `st` is QN_OK, else undoes and returns `st`. */
QN_MUST_CHECK qn_status qn_control_file_end(qn_control *c, qn_status st, qn_error *err);

/* Ascending by kind, name, version. */
QN_MUST_CHECK qn_status qn_control_file_list(qn_control *c, const char *table,
                                             QN_NULLABLE const char *kind,
                                             QN_NULLABLE const char *name, bool bodies,
                                             qn_arena *arena,
                                             const qn_control_record **out,
                                             size_t *count, qn_error *err);
/* `version` 0: the active one. */
QN_MUST_CHECK qn_status qn_control_file_get(qn_control *c, const char *table,
                                            const char *kind, qn_slice name,
                                            uint32_t version, qn_arena *arena,
                                            qn_control_record *out, bool *found,
                                            qn_error *err);
QN_MUST_CHECK qn_status qn_control_file_count_names(qn_control *c, const char *table,
                                                    const char *kind, size_t *n,
                                                    qn_error *err);
/* Names of tables that have records. */
QN_MUST_CHECK qn_status qn_control_file_tables(qn_control *c, qn_arena *arena,
                                               const char ***out, size_t *n,
                                               qn_error *err);

/* Within a transaction. */
QN_MUST_CHECK qn_status qn_control_file_insert(qn_control *c, const char *table,
                                               const char *kind,
                                               const qn_control_record *r,
                                               qn_error *err);
/* This version and no other of the name. */
QN_MUST_CHECK qn_status qn_control_file_set_active(qn_control *c, const char *table,
                                                   const char *kind, qn_slice name,
                                                   uint32_t version, qn_error *err);
QN_MUST_CHECK qn_status qn_control_file_remove(qn_control *c, const char *table,
                                               const char *kind, qn_slice name,
                                               qn_error *err);
/* The oldest version that is not active. */
QN_MUST_CHECK qn_status qn_control_file_remove_oldest(qn_control *c, const char *table,
                                                      const char *kind, qn_slice name,
                                                      qn_error *err);
QN_MUST_CHECK qn_status qn_control_file_remove_table(qn_control *c, const char *table,
                                                     qn_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* engine/table/table_commit.h -- a new manifest of a table: the moment at which a flush or a
 * merge counts.
 *
 * Threads    under `seal` (a flush) or `merging` (a merge of files), without `write`.
 * Errors     the table and its older manifest are then as they were. */
#ifndef QN_ENGINE_TABLE_COMMIT_H
#define QN_ENGINE_TABLE_COMMIT_H

#include "engine/table/merge_policy.h"
#include "engine/table/merge_table.h"

/* From where on the log is to be replayed, once all segments are named. */
typedef struct qn_flush_point {
    uint64_t lsn;
    size_t additions;    /* fields that were there */
    size_t update_bytes; /* of updates before it */
} qn_flush_point;

/* Neither: the manifest only comes to allow updates in place. */
typedef struct qn_commit {
    QN_NULLABLE qn_merging *merging; /* whose output replaces its inputs */
    QN_NULLABLE const qn_flush_point
        *flush; /* NULL: only files that were named before */
} qn_commit;

QN_MUST_CHECK qn_status qn_table__commit(qn_table *t, const qn_commit *c,
                                         qn_error *err);
/* Under `write`: how many segments the manifest names; they stand first. */
size_t qn_table__committed(const qn_table *t);
/* Under `merging`: joins files that the manifest names. */
QN_MUST_CHECK qn_status qn_table__merge_files(qn_table *t,
                                              const qn_merge_choice *choice,
                                              qn_pace *pace, qn_error *err);

#endif

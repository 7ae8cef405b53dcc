/* SPDX-License-Identifier: Apache-2.0 */
/* engine/table/table_check.h -- every byte of a table's files read, every checksum checked.
 *
 * Threads   the files that the manifest names must stay meanwhile.
 * Errors    only what kept it from looking; damage is in the report. */
#ifndef QN_ENGINE_TABLE_CHECK_H
#define QN_ENGINE_TABLE_CHECK_H

#include "base/slice.h"
#include "quern/quern.h"

/* Appends {"damaged":[{"file","offset","text"}],"files","blocks"}. */
QN_MUST_CHECK qn_status qn_table_check_folder(quern *q, const char *dir, qn_buf *json,
                                              uint64_t *damaged, qn_error *err);

#endif

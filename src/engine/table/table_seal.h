/* SPDX-License-Identifier: Apache-2.0 */
/* engine/table/table_seal.h -- what table_refresh.c and table_commit.c share: how documents
 * leave memory. Private to them. */
#ifndef QN_ENGINE_TABLE_SEAL_H
#define QN_ENGINE_TABLE_SEAL_H

#include "engine/table/merge_table.h"

/* Under `seal` and `write`, nothing being frozen: memory takes no more writes; the next one begins a new. */
QN_MUST_CHECK qn_status qn_table__freeze(qn_table *t, qn_error *err);
/* Under `seal`: what is frozen becomes the last segment of the table, a file that no
 * manifest names yet or an image. On failure it stays frozen. */
QN_MUST_CHECK qn_status qn_table__seal(qn_table *t, bool to_file, qn_error *err);
/* Under `write`: images stand from there on. */
size_t qn_table__first_image(const qn_table *t);
#endif

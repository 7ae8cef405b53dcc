/* SPDX-License-Identifier: Apache-2.0 */
/* engine/table/damage.h -- a table some of whose files are damaged: read-only, and what is sound
 * of it is searched.
 *
 *     a segment   found when the table is opened, or by a search whose checksums fail: left
 *                 out from then on. A document that is not found may be in it: reading one
 *                 that is not found is QN_ECORRUPT, not QN_ENODOC
 *     the log     its records up to the damage are applied; what came later is not known, so
 *                 no document is read by id
 *
 * Searches say what they left out, in their warnings. Nothing is written to a damaged
 * table: no operation, no manifest. A damaged manifest leaves nothing to go by, and the
 * table is not opened.
 *
 * Threads   under the table's write lock, unless said. */
#ifndef QN_ENGINE_DAMAGE_H
#define QN_ENGINE_DAMAGE_H

#include "engine/table/table.h"

/* Is it one that a table can be opened in spite of? */
bool qn_damage_is_known(qn_status st);
/* Takes note of it, with file and offset; the table takes no more writes. */
QN_MUST_CHECK qn_status qn_damage_note(qn_table *t, const qn_error *what,
                                       qn_error *err);
/* Copies of what was noted, freed by the caller; NULL and 0 when there is none. */
QN_MUST_CHECK qn_status qn_damage_copy(const qn_table *t, qn_error **out, size_t *count,
                                       qn_error *err);
/* An operation failed with `what`. true: the segment it names is left out from now on, and
 * trying again makes sense. */
bool qn_damage_mark(qn_table *t, const qn_error *what);
/* The same without the lock, for searches, which see it at once. */
bool qn_damage_leave_out(qn_table *t, const qn_error *what);
/* Why a document that was (not) found is not the answer; QN_OK: it is. */
QN_MUST_CHECK qn_status qn_damage_doubt(const qn_table *t, bool found, qn_error *err);
/* "damage": [{"file","offset","text"}], nothing when there is none. */
void qn_damage_print(const qn_table *t, qn_json_writer *w);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* engine/write/write.h -- the operations of one write call, on their way into a table.
 *
 *     prepare   without any lock: parse, take the id, embed texts in batches
 *     apply     under the table's lock: conflicts, types, log, builder
 *     sync      once for the whole call
 *
 * A short call is applied and synced with those of other threads (write_group.h), a long
 * one batch by batch on its own.
 *
 * An update is prepared while it is applied, since it needs the document as the
 * operations before it left it; when a model must embed the merged text, the lock is
 * let go meanwhile and the document is looked at again. */
#ifndef QN_ENGINE_WRITE_H
#define QN_ENGINE_WRITE_H

#include "engine/engine_internal.h"

typedef struct qn_write_op {
    const quern_op *op;
    quern_op_result *result;
    qn_slice id;
    qn_slice source;     /* of an update: the partial document */
    const qn_json *root; /* NULL for deletes */
    qn_slice upsert;     /* of an update: what is created, and parsed; NULL: nothing */
    const qn_json *upsert_root;
    qn_made_vector *made;
    size_t made_count;
    bool failed; /* the result says why */
} qn_write_op;

/* Fills id, source and root. What does not work is in the result. */
void qn_write__prepare(qn_table *t, const qn_table_schema *schema, qn_write_op *w,
                       qn_arena *arena);
/* Vectors that models make, for those INDEX and CREATE operations that give none. */
void qn_write__embed(quern *q, const qn_table_schema *schema, qn_write_op *ops,
                     size_t n, const quern_cancel *cancel, qn_arena *arena);
/* Under the table's lock, which is held again when it returns. */
void qn_write__apply(qn_table *t, qn_write_op *w, const quern_cancel *cancel,
                     qn_arena *arena);
/* Without any lock of the table: memory that has grown too big becomes files. What was written
 * is in the log whether that works or not. */
void qn_write__relieve(qn_table *t);
/* Applies the operations that have not failed yet, together with those of other threads,
 * and makes them durable as the table's policy says. */
QN_MUST_CHECK qn_status qn_write_group_run(qn_table *t, qn_write_op *ops, size_t count,
                                           const quern_cancel *cancel, qn_arena *arena,
                                           qn_error *err);
/* What was applied before, by anybody, is on the disk when this returns QN_OK. */
QN_MUST_CHECK qn_status qn_write__sync(qn_table *t, qn_error *err);
/* What was applied before, by anybody, is durable when this returns QN_OK; with async
 * durability it is handed to the kernel, and a thread syncs it later. */
QN_MUST_CHECK qn_status qn_write__make_durable(qn_table *t, qn_error *err);
void qn_write__fail(qn_write_op *w, qn_status st, const qn_error *err);

#endif

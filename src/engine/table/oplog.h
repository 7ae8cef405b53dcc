/* SPDX-License-Identifier: Apache-2.0 */
/* engine/table/oplog.h -- what a table writes into its log, and reads back after a crash.
 *
 *     type 1  INDEX   a document whole: id, source, and the vectors that a model made
 *                     of it, so that replaying needs no model
 *     type 2  DELETE  an id
 *     type 3  FIELDS  fields added to the schema, before the documents that use them
 *     type 4  POLICY  durability and interval of syncs, as set since the table was made
 *     type 5  UPDATE  an id, and a partial document of attributes alone
 *
 * Bytes: docs/formats/manifest.md. Numbers are LEB128, texts a length and bytes.
 *
 * Lifetime   a decoded record points into the bytes it was read from.
 * Errors     QN_ECORRUPT for bytes that are no record (the log's checksum held, so
 *            another version wrote them). */
#ifndef QN_ENGINE_OPLOG_H
#define QN_ENGINE_OPLOG_H

#include "engine/schema/schema_make.h"
#include "io/wal.h"

typedef enum qn_oplog_type {
    QN_OPLOG_INDEX = 1,
    QN_OPLOG_DELETE = 2,
    QN_OPLOG_FIELDS = 3,
    QN_OPLOG_POLICY = 4,
    QN_OPLOG_UPDATE = 5,
} qn_oplog_type;

/* A vector computed by a field's model. */
typedef struct qn_made_vector {
    uint32_t field, dims;
    const float *values; /* when decoded: copied into the arena, hence aligned */
} qn_made_vector;

typedef struct qn_oplog_op {
    qn_oplog_type type;
    int64_t seq_no, version; /* INDEX, DELETE, UPDATE */
    qn_slice id;
    qn_slice source; /* INDEX; UPDATE: the partial document */
    const qn_made_vector *vectors;
    size_t vector_count;
    const qn_schema_addition *fields; /* FIELDS */
    size_t field_count;
    qn_policy policy; /* POLICY */
} qn_oplog_op;

QN_MUST_CHECK qn_status qn_oplog_append(qn_wal *wal, uint64_t lsn,
                                        const qn_oplog_op *op, qn_buf *scratch,
                                        qn_error *err);
QN_MUST_CHECK qn_status qn_oplog_decode(qn_arena *arena, const qn_wal_record *record,
                                        qn_oplog_op *out, qn_error *err);

#endif

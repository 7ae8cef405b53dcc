/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/table/oplog.h"

#include "base/bits.h"

static void put_number(qn_buf *b, uint64_t v)
{
    uint8_t bytes[10];
    qn_buf_add(b, bytes, qn_varint_put(bytes, v));
}

static void put_text(qn_buf *b, qn_slice s)
{
    put_number(b, s.n);
    qn_buf_add_slice(b, s);
}

static void put_vectors(qn_buf *b, const qn_oplog_op *op)
{
    put_number(b, op->vector_count);
    for (size_t i = 0; i < op->vector_count; i++) {
        const qn_made_vector *v = &op->vectors[i];
        put_number(b, v->field);
        put_number(b, v->dims);
        qn_buf_add(b, v->values, v->dims * sizeof *v->values);
    }
}

qn_status qn_oplog_append(qn_wal *wal, uint64_t lsn, const qn_oplog_op *op,
                          qn_buf *scratch, qn_error *err)
{
    qn_buf_reset(scratch);
    if (op->type == QN_OPLOG_FIELDS) {
        put_number(scratch, op->field_count);
        for (size_t i = 0; i < op->field_count; i++) {
            put_text(scratch, op->fields[i].name);
            put_text(scratch, op->fields[i].mapping);
        }
    } else if (op->type == QN_OPLOG_POLICY) {
        put_number(scratch, (uint64_t)op->policy.durability);
        put_number(scratch, (uint64_t)op->policy.sync_interval_ms);
    } else {
        put_number(scratch, (uint64_t)op->seq_no);
        put_number(scratch, (uint64_t)op->version);
        put_text(scratch, op->id);
    }
    bool has_source = op->type == QN_OPLOG_INDEX || op->type == QN_OPLOG_UPDATE;
    if (op->type == QN_OPLOG_INDEX) put_vectors(scratch, op);
    if (has_source) put_number(scratch, op->source.n);
    if (scratch->failed) {
        qn_buf_deinit(scratch);
        return qn_fail(err, QN_ENOMEM, "log record");
    }
    /* The source, the bulk of it, goes last and without a copy. */
    qn_slice pieces[2] = {qn_buf_slice(scratch), op->source};
    return qn_wal_append(wal, lsn, (uint32_t)op->type, pieces, has_source ? 2 : 1, err);
}

/* ---- reading --------------------------------------------------------------------------
 */

typedef struct reader {
    const uint8_t *p, *end;
    bool bad;
} reader;

static uint64_t get_number(reader *r)
{
    uint64_t v = 0;
    const uint8_t *next = r->bad ? NULL : qn_varint_get(r->p, r->end, &v);
    if (next == NULL) {
        r->bad = true;
        return 0;
    }
    r->p = next;
    return v;
}

static qn_slice get_bytes(reader *r, uint64_t n)
{
    if (r->bad || n > (uint64_t)(r->end - r->p)) {
        r->bad = true;
        return (qn_slice){"", 0};
    }
    qn_slice s = {(const char *)r->p, (size_t)n};
    r->p += n;
    return s;
}

static qn_slice get_text(reader *r)
{
    return get_bytes(r, get_number(r));
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "out of memory while reading the log");
}

/* A count that was read is believed only as far as bytes are there for it. */
static bool plausible(reader *r, uint64_t count)
{
    if (count > (uint64_t)(r->end - r->p)) r->bad = true;
    return !r->bad;
}

static qn_status get_vectors(reader *r, qn_arena *arena, qn_oplog_op *out,
                             qn_error *err)
{
    uint64_t count = get_number(r);
    if (!plausible(r, count)) return QN_OK;
    qn_made_vector *v = qn_arena_array(arena, (size_t)count + 1, sizeof *v);
    if (v == NULL) return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        v[i].field = (uint32_t)get_number(r);
        uint64_t dims = get_number(r);
        if (dims > QN_VECTOR_DIMS_MAX) r->bad = true;
        qn_slice bytes = get_bytes(r, dims * sizeof(float));
        if (r->bad) return QN_OK;
        float *values = qn_arena_array(arena, (size_t)dims + 1, sizeof *values);
        if (values == NULL) return no_memory(err);
        memcpy(values, bytes.p, bytes.n);
        v[i].dims = (uint32_t)dims;
        v[i].values = values;
    }
    out->vectors = v;
    out->vector_count = (size_t)count;
    return QN_OK;
}

static qn_status get_fields(reader *r, qn_arena *arena, qn_oplog_op *out, qn_error *err)
{
    uint64_t count = get_number(r);
    if (!plausible(r, count)) return QN_OK;
    qn_schema_addition *f = qn_arena_array(arena, (size_t)count + 1, sizeof *f);
    if (f == NULL) return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        f[i].name = get_text(r);
        f[i].mapping = get_text(r);
    }
    out->fields = f;
    out->field_count = (size_t)count;
    return QN_OK;
}

qn_status qn_oplog_decode(qn_arena *arena, const qn_wal_record *record,
                          qn_oplog_op *out, qn_error *err)
{
    reader r = {(const uint8_t *)record->bytes.p,
                (const uint8_t *)record->bytes.p + record->bytes.n, false};
    *out = (qn_oplog_op){.type = (qn_oplog_type)record->type};
    switch (out->type) {
    case QN_OPLOG_INDEX:
    case QN_OPLOG_DELETE:
    case QN_OPLOG_UPDATE:
        out->seq_no = (int64_t)get_number(&r);
        out->version = (int64_t)get_number(&r);
        out->id = get_text(&r);
        if (out->type == QN_OPLOG_DELETE) break;
        if (out->type == QN_OPLOG_INDEX) QN_TRY(get_vectors(&r, arena, out, err));
        out->source = get_text(&r);
        break;
    case QN_OPLOG_FIELDS:
        QN_TRY(get_fields(&r, arena, out, err));
        break;
    case QN_OPLOG_POLICY: {
        uint64_t durability = get_number(&r), interval = get_number(&r);
        if (durability > QN_DURABILITY_ASYNC || interval > INT64_MAX) r.bad = true;
        out->policy = (qn_policy){(qn_durability)durability, (int64_t)interval};
        break;
    }
    default:
        r.bad = true;
        break;
    }
    if (r.bad || r.p != r.end)
        return qn_fail(err, QN_ECORRUPT,
                       "log record %llu of type %u is not one that this version knows",
                       (unsigned long long)record->seq_no, record->type);
    return QN_OK;
}

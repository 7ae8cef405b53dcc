/* SPDX-License-Identifier: Apache-2.0 */
/* A log record's bytes, the first one its type: what is read points inside them, or the
 * record is damaged. */
#include "engine/table/oplog.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void inside(qn_slice s, qn_slice whole)
{
    qn_assert(s.n == 0 || (s.p >= whole.p && s.p + s.n <= whole.p + whole.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n == 0) return 0;
    qn_arena arena;
    qn_oplog_op op;
    qn_error err;
    qn_slice whole = {(const char *)bytes + 1, n - 1};
    qn_wal_record record = {.seq_no = 1, .type = bytes[0] & 7, .bytes = whole};
    qn_arena_init(&arena, qn_alloc_heap(), (size_t)64 << 20);
    qn_status st = qn_oplog_decode(&arena, &record, &op, &err);
    qn_assert(st == QN_OK || st == QN_ECORRUPT || st == QN_ENOMEM);
    if (st == QN_OK) {
        inside(op.id, whole);
        inside(op.source, whole);
        float sum = 0;
        for (size_t i = 0; i < op.vector_count; i++)
            for (uint32_t k = 0; k < op.vectors[i].dims; k++)
                sum += op.vectors[i].values[k];
        for (size_t i = 0; i < op.field_count; i++) {
            inside(op.fields[i].name, whole);
            inside(op.fields[i].mapping, whole);
        }
        qn_assert(sum == sum || sum != sum); /* every number was read */
    }
    qn_arena_deinit(&arena);
    return 0;
}

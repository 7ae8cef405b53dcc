/* SPDX-License-Identifier: Apache-2.0 */
/* wal_internal.h -- the bytes of a log file, and reading one file.
 * docs/formats/wal.md says the same with drawings. */
#ifndef QN_IO_WAL_INTERNAL_H
#define QN_IO_WAL_INTERNAL_H

#include "io/wal.h"

enum {
    QN_WAL_VERSION = 1,
    QN_WAL_HEADER = 64,
    QN_WAL_RECORD_HEADER = 32,

    /* file header */
    QN_WAL_AT_MAGIC = 0,   /* 8 bytes */
    QN_WAL_AT_VERSION = 8, /* u32, then 4 zeros */
    QN_WAL_AT_FIRST = 16,  /* u64: sequence number in the name, then zeros */
    QN_WAL_AT_SUM = 56,    /* u64: XXH3-64 of the 56 bytes before */

    /* record header */
    QN_WAL_AT_SIZE = 0,        /* u32: bytes of the record, padding aside */
    QN_WAL_AT_TYPE = 4,        /* u32 */
    QN_WAL_AT_SEQ_NO = 8,      /* u64 */
    QN_WAL_AT_DURABLE = 16,    /* u64: file bytes synced before this append */
    QN_WAL_AT_RECORD_SUM = 24, /* u64 */
};

extern const char qn_wal__magic[8];

/* XXH3-64 of the bytes, seeded with that of the header's 24 bytes before the sum. */
uint64_t qn_wal__record_sum(const uint8_t *header, const void *bytes, size_t n);

typedef struct qn_wal_scan {
    uint64_t end;         /* the file is good up to here; 0: not even its header is */
    uint64_t last_seq_no; /* of the last good record */
    uint64_t record_count;
    uint64_t torn_bytes; /* behind `end`, up to the last that is not zero */
} qn_wal_scan;

/* Reads one file, `newest` or not, and hands on the records from `replay_from`.
 * Sequence numbers must be above `after` (`after_any`: no bound). */
QN_MUST_CHECK qn_status
qn_wal__read_file(qn_alloc *a, const char *path, uint64_t first, bool newest,
                  bool after_any, uint64_t after, uint64_t replay_from,
                  qn_status (*each)(void *ctx, const qn_wal_record *r, qn_error *err),
                  void *ctx, qn_wal_scan *out, qn_error *err);

#endif

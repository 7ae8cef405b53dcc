/* SPDX-License-Identifier: Apache-2.0 */
/* io/wal.h -- the write-ahead log: records appended, synced, read back after a crash.
 *
 * A log is a sequence of files wal-<first sequence number>; a file is a 64-byte header
 * and then records:
 *
 *     u32 size | u32 type | u64 sequence number | u64 durable | u64 XXH3-64 over the
 *     four and the bytes | bytes, padded with zeros to 8
 *
 * `durable` is how many bytes of the file were known to be on the disk when the record
 * was appended. Bytes: docs/formats/wal.md.
 *
 * Reading stops at the first record that is cut short or fails its checksum. In the
 * newest file that is the torn tail of a crash (a disk may keep a later page and lose
 * an earlier one), reported as the end; unless a valid record further on says that the
 * place had been durable: then it is QN_ECORRUPT, as it is in an older file.
 *
 * Appending gathers records in memory, for which the disk has set room aside; a sync
 * writes what gathered and calls fdatasync once. When one of the two fails nobody tries
 * again: the writer answers QN_EIO from then on.
 *
 * Threads   a writer may be shared: append is serialised inside, sync() calls that
 *           overlap share one fdatasync (group commit).
 * Errors    QN_EIO, QN_ENOSPC, QN_ECORRUPT with file and offset. */
#ifndef QN_IO_WAL_H
#define QN_IO_WAL_H

#include "base/slice.h"

enum { QN_WAL_RECORD_MAX = 256 * 1024 * 1024 };

typedef struct qn_wal qn_wal;

typedef struct qn_wal_record {
    uint64_t seq_no;
    uint32_t type;
    qn_slice bytes; /* valid during the callback */
} qn_wal_record;

/* Opens the log in folder `dir` for appending, after replaying, in order, every record
 * with seq_no >= `replay_from` through `each`; a status other than QN_OK from it ends
 * the opening with that status. A torn tail is cut off. *next_seq_no: one past the last
 * record, or `replay_from` when there is none. */
QN_MUST_CHECK qn_status qn_wal_open(qn_alloc *a, const char *dir, uint64_t replay_from,
                                    qn_status (*each)(void *ctx, const qn_wal_record *r,
                                                      qn_error *err),
                                    void *ctx, QN_OWNED qn_wal **out,
                                    uint64_t *next_seq_no, qn_error *err);
/* What was appended and not synced is handed to the kernel. */
void qn_wal_close(QN_OWNED QN_NULLABLE qn_wal *w);

/* What opening cut off; all zero when the log ended cleanly. */
typedef struct qn_wal_torn {
    uint64_t file_first; /* wal-<file_first> */
    uint64_t offset;     /* where the last sound record ends */
    uint64_t bytes;      /* dropped, up to the last one that is not zero */
} qn_wal_torn;
qn_wal_torn qn_wal_torn_tail(const qn_wal *w);

/* Reads what opening would, changing nothing. */
QN_MUST_CHECK qn_status qn_wal_check(qn_alloc *a, const char *dir, uint64_t replay_from,
                                     qn_status (*each)(void *ctx,
                                                       const qn_wal_record *r,
                                                       qn_error *err),
                                     void *ctx, qn_error *err);

/* Appends a record; sequence numbers must grow. Not durable before qn_wal_sync(). The
 * bytes are given in pieces to spare the caller a copy. */
QN_MUST_CHECK qn_status qn_wal_append(qn_wal *w, uint64_t seq_no, uint32_t type,
                                      const qn_slice *pieces, size_t piece_count,
                                      qn_error *err);
/* Everything appended up to now is with the kernel when this returns QN_OK: it survives
 * the end of the process, not that of the machine. */
QN_MUST_CHECK qn_status qn_wal_write_out(qn_wal *w, qn_error *err);
/* Everything appended up to now is durable when this returns QN_OK. */
QN_MUST_CHECK qn_status qn_wal_sync(qn_wal *w, qn_error *err);
/* Starts a new file with the next append, and removes files that hold only records
 * below `keep_from`: after a flush. */
QN_MUST_CHECK qn_status qn_wal_roll(qn_wal *w, uint64_t keep_from, qn_error *err);
/* The files that hold records from `from` on, oldest first, each with the bytes of it that
 * are durable: what a copy of the log must hold. They stay until the next roll. */
QN_MUST_CHECK qn_status qn_wal_extent(qn_wal *w, uint64_t from,
                                      qn_status (*each)(void *ctx, uint64_t file_first,
                                                        uint64_t size, qn_error *err),
                                      void *ctx, qn_error *err);
uint64_t qn_wal_size_bytes(const qn_wal *w);

#endif

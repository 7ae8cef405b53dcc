/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the newest log file: an error, or records in growing order; and after a
 * successful opening the log takes a record that comes back. The first byte decides
 * whether the checksums of the records are put right first. */
#include "base/bits.h"
#include "io/file.h"
#include "io/io_internal.h"
#include "io/wal_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void put_sums_right(uint8_t *log, size_t n)
{
    if (n < QN_WAL_HEADER) return;
    memcpy(log, qn_wal__magic, 8);
    qn_store64(log + QN_WAL_AT_SUM, XXH3_64bits(log, QN_WAL_AT_SUM));
    for (size_t at = QN_WAL_HEADER; n - at >= QN_WAL_RECORD_HEADER;) {
        uint32_t size = qn_load32(log + at);
        uint64_t whole = QN_WAL_RECORD_HEADER + qn_align_up(size, 8);
        if (whole > n - at) return;
        qn_store64(log + at + QN_WAL_AT_RECORD_SUM,
                   qn_wal__record_sum(log + at, log + at + QN_WAL_RECORD_HEADER, size));
        at += (size_t)whole;
    }
}

typedef struct seen {
    bool any;
    uint64_t last, count;
} seen;

static qn_status each(void *ctx, const qn_wal_record *r, qn_error *err)
{
    (void)err;
    seen *s = ctx;
    qn_assert(!s->any || r->seq_no > s->last);
    *s = (seen){true, r->seq_no, s->count + 1};
    return QN_OK;
}

static void open_twice(const char *dir)
{
    qn_alloc *a = qn_alloc_heap();
    qn_wal *w = NULL;
    qn_error err = {0};
    uint64_t next = 0;
    seen before = {0}, after = {0};
    qn_status st = qn_wal_open(a, dir, 0, each, &before, &w, &next, &err);
    qn_assert(st == QN_OK || st == QN_ECORRUPT || st == QN_EVERSION);
    if (st != QN_OK) return;
    qn_slice piece = QN_SLICE_LIT("more");
    st = qn_wal_append(w, next, 7, &piece, 1, &err);
    qn_wal_close(w);
    if (st != QN_OK) return; /* past the largest sequence number */
    st = qn_wal_open(a, dir, 0, each, &after, &w, &next, &err);
    qn_assert(st == QN_OK && after.count == before.count + 1);
    qn_wal_close(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static char dir[64];
    qn_error err = {0};
    if (n == 0) return 0;
    if (dir[0] == '\0') {
        const char *base = getenv("TMPDIR");
        (void)snprintf(dir, sizeof dir, "%.32s/fuzz_wal.%ld",
                       base == NULL ? "/tmp" : base, (long)getpid());
    }
    qn_io__fault.skip_sync = true;
    qn_assert(qn_dir_create(dir, &err) == QN_OK);
    qn_alloc *a = qn_alloc_heap();
    uint8_t *log = qn_new_array(a, n, 1);
    if (log == NULL) return 0;
    memcpy(log, bytes + 1, n - 1);
    if (bytes[0] % 2 == 1) put_sums_right(log, n - 1);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/wal-%020d", dir, 1);
    qn_assert(qn_file_replace(path, log, n - 1, &err) == QN_OK);
    qn_delete(a, log);
    open_twice(dir);
    qn_assert(qn_dir_remove(dir, &err) == QN_OK);
    return 0;
}

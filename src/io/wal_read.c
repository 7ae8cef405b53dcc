/* SPDX-License-Identifier: Apache-2.0 */
/* One log file from front to back. What is read has not been checked by anyone: every
 * field is bounded before it is used. */
#include "base/bits.h"
#include "io/io_internal.h"
#include "io/wal_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

const char qn_wal__magic[8] = "QNWAL\0\0";

enum { WINDOW_BYTES = 1024 * 1024 };

/* A window of the file in memory: [begin, begin + n). */
typedef struct window {
    int fd;
    const char *path;
    uint64_t file_size, begin;
    qn_buf bytes;
    qn_error *err;
} window;

uint64_t qn_wal__record_sum(const uint8_t *header, const void *bytes, size_t n)
{
    return XXH3_64bits_withSeed(bytes, n, XXH3_64bits(header, QN_WAL_AT_RECORD_SUM));
}

static qn_status refill(window *w, uint64_t at, size_t n)
{
    w->begin = at;
    qn_buf_reset(&w->bytes);
    size_t want = n > WINDOW_BYTES ? n : WINDOW_BYTES;
    if (want > w->file_size - at) want = (size_t)(w->file_size - at);
    char *room = qn_buf_reserve(&w->bytes, want);
    if (room == NULL)
        return qn_fail(w->err, QN_ENOMEM, "no memory to read %s", w->path);
    if (lseek(w->fd, (off_t)at, SEEK_SET) < 0)
        return qn_fail_errno(w->err, errno, w->path, "seek");
    ssize_t got = qn_io__read_all(w->fd, room, want);
    if (got < 0) return qn_fail_errno(w->err, errno, w->path, "read");
    w->bytes.n = (size_t)got;
    if ((size_t)got < n)
        return qn_fail_file(w->err, QN_EIO, w->path, at, "%s shrank while it was read",
                            w->path);
    return QN_OK;
}

/* `n` bytes at `at`, which must lie in the file; valid until the next call. */
static qn_status view(window *w, uint64_t at, size_t n, const uint8_t **out)
{
    bool inside = at >= w->begin && at - w->begin <= w->bytes.n &&
                  n <= w->bytes.n - (size_t)(at - w->begin);
    if (!inside) QN_TRY(refill(w, at, n));
    *out = (const uint8_t *)w->bytes.p + (at - w->begin);
    return QN_OK;
}

static bool all_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0) return false;
    return true;
}

static qn_status check_header(window *w, uint64_t first, bool *good)
{
    *good = false;
    if (w->file_size < QN_WAL_HEADER) return QN_OK;
    const uint8_t *h = NULL;
    QN_TRY(view(w, 0, QN_WAL_HEADER, &h));
    if (memcmp(h, qn_wal__magic, 8) != 0 ||
        qn_load64(h + QN_WAL_AT_SUM) != XXH3_64bits(h, QN_WAL_AT_SUM))
        return QN_OK;
    uint32_t version = qn_load32(h + QN_WAL_AT_VERSION);
    if (version != QN_WAL_VERSION)
        return qn_fail_file(w->err, QN_EVERSION, w->path, QN_WAL_AT_VERSION,
                            "%s has log version %" PRIu32 ", this program reads %d",
                            w->path, version, QN_WAL_VERSION);
    size_t after = QN_WAL_AT_FIRST + 8;
    *good = qn_load64(h + QN_WAL_AT_FIRST) == first &&
            qn_load32(h + QN_WAL_AT_VERSION + 4) == 0 &&
            all_zero(h + after, QN_WAL_AT_SUM - after);
    return QN_OK;
}

typedef struct found {
    qn_wal_record record;
    uint64_t durable, end;
} found;

/* The record at `at`, when there is a whole and sound one. */
static qn_status read_record(window *w, uint64_t at, found *out, bool *good)
{
    *good = false;
    const uint8_t *h = NULL;
    if (w->file_size - at < QN_WAL_RECORD_HEADER) return QN_OK;
    QN_TRY(view(w, at, QN_WAL_RECORD_HEADER, &h));
    uint32_t size = qn_load32(h + QN_WAL_AT_SIZE);
    uint64_t durable = qn_load64(h + QN_WAL_AT_DURABLE);
    uint64_t whole = QN_WAL_RECORD_HEADER + qn_align_up(size, 8);
    if (size > QN_WAL_RECORD_MAX || whole > w->file_size - at || durable > at)
        return QN_OK;
    QN_TRY(view(w, at, (size_t)whole, &h));
    const uint8_t *bytes = h + QN_WAL_RECORD_HEADER;
    if (qn_load64(h + QN_WAL_AT_RECORD_SUM) != qn_wal__record_sum(h, bytes, size) ||
        !all_zero(bytes + size, (size_t)whole - QN_WAL_RECORD_HEADER - size))
        return QN_OK;
    *out = (found){.record = {.seq_no = qn_load64(h + QN_WAL_AT_SEQ_NO),
                              .type = qn_load32(h + QN_WAL_AT_TYPE),
                              .bytes = {(const char *)bytes, size}},
                   .durable = durable,
                   .end = at + whole};
    *good = true;
    return QN_OK;
}

/* Damage at `at` in the newest file: is there a sound record behind it that was
 * appended when the place was durable already? Records begin at multiples of 8. */
static qn_status was_durable(window *w, uint64_t at, bool *out)
{
    *out = false;
    for (uint64_t next = at + 8; next + QN_WAL_RECORD_HEADER <= w->file_size;
         next += 8) {
        const uint8_t *h = NULL;
        QN_TRY(view(w, next, QN_WAL_RECORD_HEADER, &h));
        /* Cheap first: almost nothing else has this number in its place. */
        uint64_t durable = qn_load64(h + QN_WAL_AT_DURABLE);
        if (durable <= at || durable > next) continue;
        found f;
        QN_TRY(read_record(w, next, &f, out));
        if (*out) return QN_OK;
    }
    return QN_OK;
}

/* Bytes from `at` to the last one that is not zero: room that was set aside and never
 * written is no tail. */
static qn_status measure_tail(window *w, uint64_t at, uint64_t *bytes)
{
    *bytes = 0;
    for (uint64_t next = at; next < w->file_size;) {
        uint64_t n = w->file_size - next < WINDOW_BYTES / 4 ? w->file_size - next
                                                            : WINDOW_BYTES / 4;
        const uint8_t *p = NULL;
        QN_TRY(view(w, next, (size_t)n, &p));
        for (uint64_t i = n; i-- > 0;) {
            if (p[i] == 0) continue;
            *bytes = next + i + 1 - at;
            break;
        }
        next += n;
    }
    return QN_OK;
}

static qn_status damaged(window *w, uint64_t at)
{
    return qn_fail_file(w->err, QN_ECORRUPT, w->path, at,
                        "damaged log record in %s at byte %" PRIu64, w->path, at);
}

typedef struct reading {
    bool newest, after_any;
    uint64_t after, replay_from;
    qn_status (*each)(void *ctx, const qn_wal_record *r, qn_error *err);
    void *ctx;
    qn_wal_scan *scan;
} reading;

static qn_status read_records(window *w, reading *r)
{
    uint64_t at = QN_WAL_HEADER;
    while (at < w->file_size) {
        found f;
        bool good = false, durable = false;
        QN_TRY(read_record(w, at, &f, &good));
        if (good && !r->after_any && f.record.seq_no <= r->after)
            return damaged(w, at); /* a sound record out of order is no torn tail */
        if (!good) {
            if (r->newest) QN_TRY(was_durable(w, at, &durable));
            if (!r->newest || durable) return damaged(w, at);
            return measure_tail(w, at, &r->scan->torn_bytes);
        }
        if (f.record.seq_no >= r->replay_from && r->each != NULL)
            QN_TRY(r->each(r->ctx, &f.record, w->err));
        at = f.end;
        r->after_any = false;
        r->after = f.record.seq_no;
        r->scan->end = at;
        r->scan->last_seq_no = f.record.seq_no;
        r->scan->record_count++;
    }
    return QN_OK;
}

static qn_status read_window(window *w, uint64_t first, reading *r)
{
    bool good = false;
    QN_TRY(check_header(w, first, &good));
    if (good) {
        r->scan->end = QN_WAL_HEADER;
        return read_records(w, r);
    }
    /* The header is durable before the first record is written: a file whose creation
     * a crash interrupted holds nothing behind it. */
    if (r->newest && w->file_size <= QN_WAL_HEADER)
        return measure_tail(w, 0, &r->scan->torn_bytes);
    return qn_fail_file(w->err, QN_ECORRUPT, w->path, 0, "damaged header of the log %s",
                        w->path);
}

qn_status qn_wal__read_file(qn_alloc *a, const char *path, uint64_t first, bool newest,
                            bool after_any, uint64_t after, uint64_t replay_from,
                            qn_status (*each)(void *ctx, const qn_wal_record *r,
                                              qn_error *err),
                            void *ctx, qn_wal_scan *out, qn_error *err)
{
    *out = (qn_wal_scan){0};
    window w = {.fd = qn_io__open(path, O_RDONLY), .path = path, .err = err};
    if (w.fd < 0) return qn_fail_errno(err, errno, path, "open");
    qn_buf_init(&w.bytes, a);
    reading r = {.newest = newest,
                 .after_any = after_any,
                 .after = after,
                 .replay_from = replay_from,
                 .each = each,
                 .ctx = ctx,
                 .scan = out};
    struct stat st;
    qn_status result;
    if (fstat(w.fd, &st) != 0) {
        result = qn_fail_errno(err, errno, path, "stat");
    } else {
        w.file_size = (uint64_t)st.st_size;
        result = read_window(&w, first, &r);
    }
    qn_buf_deinit(&w.bytes);
    (void)close(w.fd);
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "io/wal.h"

#include "base/bits.h"
#include "base/vec.h"
#include "io/file.h"
#include "io/io_internal.h"
#include "io/wal_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <xxhash.h>

enum { KEEP_BUFFER_BYTES = 1024 * 1024 };

typedef struct log_file {
    uint64_t first, size;
} log_file;

struct qn_wal {
    qn_alloc *alloc;
    char *dir;

    /* All below: guarded by `lock`. */
    pthread_mutex_t lock;
    pthread_cond_t sync_done;
    QN_VEC(log_file) files; /* oldest first */
    int fd;                 /* of the newest file; -1: the next append starts one */
    uint64_t last_seq_no;
    bool any_seq_no;     /* nothing was appended ever: every number is fine */
    uint64_t appended;   /* bytes ever, over all files of this run */
    uint64_t synced;     /* of them durable */
    uint64_t file_begin; /* `appended` when the newest file began */
    bool syncing;        /* a thread is in fdatasync, without the lock */
    bool has_failed;     /* for good: a sync or the undoing of an append failed */
    qn_error failure;    /* why */
    qn_buf scratch;      /* a record on its way to the file */
};

static void path_of(const qn_wal *w, uint64_t first, char out[PATH_MAX])
{
    (void)snprintf(out, PATH_MAX, "%s/wal-%020" PRIu64, w->dir, first);
}

/* ---- opening ---------------------------------------------------------------- */

typedef struct listing {
    qn_wal *w;
    bool no_memory;
} listing;

static bool add_name(void *ctx, const char *name, bool is_dir)
{
    listing *l = ctx;
    int64_t first = 0;
    if (is_dir || strncmp(name, "wal-", 4) != 0 || strlen(name) != 24 ||
        !qn_slice_to_i64(qn_slice_of(name + 4), &first) || first < 0)
        return true;
    log_file file = {.first = (uint64_t)first};
    if (!qn_vec_push(l->w->alloc, &l->w->files, file)) l->no_memory = true;
    return !l->no_memory;
}

/* Cuts the torn tail of the newest file off and makes that durable; a file without a
 * sound header is taken away. */
static qn_status cut_tail(qn_wal *w, uint64_t end, qn_error *err)
{
    char path[PATH_MAX];
    log_file *newest = &w->files.p[w->files.n - 1];
    path_of(w, newest->first, path);
    if (end == 0) {
        w->files.n--;
        QN_TRY(qn_file_remove(path, err));
        return qn_dir_sync(w->dir, err);
    }
    w->fd = qn_io__open(path, O_RDWR);
    if (w->fd < 0) return qn_fail_errno(err, errno, path, "open");
    uint64_t size = 0;
    QN_TRY(qn_file_size(path, &size, err));
    if (size != end && !qn_io__truncate(w->fd, end))
        return qn_fail_errno(err, errno, path, "cut the torn tail of");
    /* What was read may have been in memory only: a process that was killed after the
     * append but before the sync leaves that. From now on it counts. */
    if (!qn_io__sync(w->fd, true)) return qn_fail_errno(err, errno, path, "sync");
    if (lseek(w->fd, (off_t)end, SEEK_SET) < 0)
        return qn_fail_errno(err, errno, path, "seek");
    newest->size = w->appended = w->synced = end;
    return QN_OK;
}

/* *end: how far the newest file is good. */
static qn_status read_all(qn_wal *w, uint64_t replay_from,
                          qn_status (*each)(void *ctx, const qn_wal_record *r,
                                            qn_error *err),
                          void *ctx, uint64_t *end, qn_error *err)
{
    qn_wal_scan scan = {0};
    char path[PATH_MAX];
    for (size_t i = 0; i < w->files.n; i++) {
        log_file *file = &w->files.p[i];
        bool newest = i + 1 == w->files.n;
        path_of(w, file->first, path);
        QN_TRY(qn_file_size(path, &file->size, err));
        if (!newest && w->files.p[i + 1].first <= replay_from) continue; /* all older */
        QN_TRY(qn_wal__read_file(w->alloc, path, file->first, newest, w->any_seq_no,
                                 w->last_seq_no, replay_from, each, ctx, &scan, err));
        if (scan.record_count == 0) continue;
        w->last_seq_no = scan.last_seq_no;
        w->any_seq_no = false;
    }
    *end = scan.end;
    return QN_OK;
}

/* A log that knows its files and has read none. */
static qn_status list_files(qn_alloc *a, const char *dir, qn_wal **out, qn_error *err)
{
    *out = NULL;
    qn_wal *w = qn_new0(a, sizeof *w);
    if (w == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the log");
    w->alloc = a;
    w->fd = -1;
    w->any_seq_no = true;
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_cond_init(&w->sync_done, NULL);
    qn_buf_init(&w->scratch, a);
    qn_status st = QN_OK;
    w->dir = qn_strndup(a, dir, strlen(dir));
    if (w->dir == NULL) st = qn_fail(err, QN_ENOMEM, "no memory for the log");
    if (st == QN_OK && strlen(dir) > PATH_MAX - 32)
        st = qn_fail_errno(err, ENAMETOOLONG, dir, "open the log in");
    listing l = {.w = w};
    if (st == QN_OK) st = qn_dir_list(dir, add_name, &l, err);
    if (st == QN_OK && l.no_memory)
        st = qn_fail(err, QN_ENOMEM, "no memory for the log");
    if (st == QN_OK)
        *out = w;
    else
        qn_wal_close(w);
    return st;
}

qn_status qn_wal_open(qn_alloc *a, const char *dir, uint64_t replay_from,
                      qn_status (*each)(void *ctx, const qn_wal_record *r,
                                        qn_error *err),
                      void *ctx, qn_wal **out, uint64_t *next_seq_no, qn_error *err)
{
    uint64_t end = 0;
    qn_wal *w = NULL;
    *out = NULL;
    QN_TRY(list_files(a, dir, &w, err));
    qn_status st = read_all(w, replay_from, each, ctx, &end, err);
    if (st == QN_OK && w->files.n != 0) st = cut_tail(w, end, err);
    if (st != QN_OK) {
        qn_wal_close(w);
        return st;
    }
    uint64_t next = w->any_seq_no ? replay_from : w->last_seq_no + 1;
    *next_seq_no = next > replay_from ? next : replay_from;
    *out = w;
    return QN_OK;
}

qn_status qn_wal_check(qn_alloc *a, const char *dir, uint64_t replay_from,
                       qn_status (*each)(void *ctx, const qn_wal_record *r,
                                         qn_error *err),
                       void *ctx, qn_error *err)
{
    uint64_t end = 0;
    qn_wal *w = NULL;
    QN_TRY(list_files(a, dir, &w, err));
    qn_status st = read_all(w, replay_from, each, ctx, &end, err);
    qn_wal_close(w);
    return st;
}

void qn_wal_close(qn_wal *w)
{
    if (w == NULL) return;
    if (w->fd >= 0) (void)close(w->fd);
    qn_vec_deinit(w->alloc, &w->files);
    qn_buf_deinit(&w->scratch);
    qn_delete(w->alloc, w->dir);
    (void)pthread_cond_destroy(&w->sync_done);
    (void)pthread_mutex_destroy(&w->lock);
    qn_delete(w->alloc, w);
}

/* ---- appending -------------------------------------------------------------- */

static qn_status answer_failed(const qn_wal *w, qn_error *err)
{
    if (err != NULL) *err = w->failure;
    return w->failure.code;
}

/* A file's header is durable, name included, before the first record goes behind it. */
static qn_status write_header(qn_wal *w, const char *path, uint64_t first,
                              qn_error *err)
{
    uint8_t header[QN_WAL_HEADER] = {0};
    memcpy(header + QN_WAL_AT_MAGIC, qn_wal__magic, 8);
    qn_store32(header + QN_WAL_AT_VERSION, QN_WAL_VERSION);
    qn_store64(header + QN_WAL_AT_FIRST, first);
    qn_store64(header + QN_WAL_AT_SUM, XXH3_64bits(header, QN_WAL_AT_SUM));
    if (!qn_io__write_all(w->fd, header, sizeof header))
        return qn_fail_errno(err, errno, path, "write");
    if (!qn_io__sync(w->fd, false)) return qn_fail_errno(err, errno, path, "sync");
    return qn_dir_sync(w->dir, err);
}

static qn_status start_file(qn_wal *w, uint64_t first, qn_error *err)
{
    char path[PATH_MAX];
    path_of(w, first, path);
    log_file file = {.first = first, .size = QN_WAL_HEADER};
    if (!qn_vec_push(w->alloc, &w->files, file))
        return qn_fail(err, QN_ENOMEM, "no memory for the log");
    w->fd = qn_io__open(path, O_RDWR | O_CREAT | O_TRUNC);
    qn_status st = w->fd < 0 ? qn_fail_errno(err, errno, path, "create")
                             : write_header(w, path, first, err);
    if (st != QN_OK) {
        w->files.n--;
        if (w->fd >= 0) {
            (void)close(w->fd);
            (void)unlink(path);
        }
        w->fd = -1;
        return st;
    }
    w->file_begin = w->appended;
    w->appended += QN_WAL_HEADER;
    w->synced = w->appended;
    return QN_OK;
}

/* The whole record, header and padding, in w->scratch. */
static qn_status build_record(qn_wal *w, uint64_t seq_no, uint32_t type,
                              const qn_slice *pieces, size_t piece_count, qn_error *err)
{
    size_t size = 0;
    for (size_t i = 0; i < piece_count; i++)
        if (!qn_add_size(size, pieces[i].n, &size) || size > QN_WAL_RECORD_MAX)
            return qn_fail(err, QN_ELIMIT, "a log record holds at most %d bytes",
                           QN_WAL_RECORD_MAX);
    uint8_t header[QN_WAL_RECORD_HEADER] = {0};
    qn_store32(header + QN_WAL_AT_SIZE, (uint32_t)size);
    qn_store32(header + QN_WAL_AT_TYPE, type);
    qn_store64(header + QN_WAL_AT_SEQ_NO, seq_no);
    qn_store64(header + QN_WAL_AT_DURABLE, w->synced - w->file_begin);
    qn_buf *b = &w->scratch;
    qn_buf_reset(b);
    qn_buf_add(b, header, sizeof header);
    for (size_t i = 0; i < piece_count; i++) qn_buf_add_slice(b, pieces[i]);
    qn_buf_add(b, "\0\0\0\0\0\0\0", (size_t)(qn_align_up(size, 8) - size));
    if (b->failed) return qn_fail(err, QN_ENOMEM, "no memory for a log record");
    qn_store64(b->p + QN_WAL_AT_RECORD_SUM,
               qn_wal__record_sum(header, b->p + QN_WAL_RECORD_HEADER, size));
    return QN_OK;
}

/* Takes back what a failed append left in the file, so that the next one can follow. */
static void undo_append(qn_wal *w, const char *path)
{
    uint64_t end = w->appended - w->file_begin;
    if (qn_io__truncate(w->fd, end) && lseek(w->fd, (off_t)end, SEEK_SET) >= 0) return;
    w->has_failed = true;
    (void)qn_fail_errno(&w->failure, errno, path, "undo a failed append to");
}

static qn_status append_locked(qn_wal *w, uint64_t seq_no, uint32_t type,
                               const qn_slice *pieces, size_t piece_count,
                               qn_error *err)
{
    if (w->has_failed) return answer_failed(w, err);
    if (!w->any_seq_no && seq_no <= w->last_seq_no)
        return qn_fail(err, QN_EINVAL,
                       "log sequence numbers must grow: %" PRIu64 " after %" PRIu64,
                       seq_no, w->last_seq_no);
    if (seq_no > INT64_MAX)
        return qn_fail(err, QN_EINVAL, "log sequence number %" PRIu64 " is too large",
                       seq_no);
    if (w->fd < 0) QN_TRY(start_file(w, seq_no, err));
    QN_TRY(build_record(w, seq_no, type, pieces, piece_count, err));
    if (!qn_io__write_all(w->fd, w->scratch.p, w->scratch.n)) {
        char path[PATH_MAX];
        path_of(w, w->files.p[w->files.n - 1].first, path);
        qn_status st = qn_fail_errno(err, errno, path, "append to");
        undo_append(w, path);
        return st;
    }
    w->appended += w->scratch.n;
    w->files.p[w->files.n - 1].size = w->appended - w->file_begin;
    w->last_seq_no = seq_no;
    w->any_seq_no = false;
    if (w->scratch.capacity > KEEP_BUFFER_BYTES) qn_buf_deinit(&w->scratch);
    return QN_OK;
}

qn_status qn_wal_append(qn_wal *w, uint64_t seq_no, uint32_t type,
                        const qn_slice *pieces, size_t piece_count, qn_error *err)
{
    (void)pthread_mutex_lock(&w->lock);
    qn_status st = append_locked(w, seq_no, type, pieces, piece_count, err);
    (void)pthread_mutex_unlock(&w->lock);
    return st;
}

/* ---- durability ------------------------------------------------------------- */

/* One fdatasync for all that was appended until now, by the first thread that finds
 * nobody at it; the others wait. The lock is released while the disk works, so appends
 * go on and gather for the next one. */
static qn_status sync_locked(qn_wal *w, qn_error *err)
{
    uint64_t target = w->appended;
    while (!w->has_failed && w->fd >= 0 && w->synced < target) {
        if (w->syncing) {
            (void)pthread_cond_wait(&w->sync_done, &w->lock);
            continue;
        }
        w->syncing = true;
        uint64_t upto = w->appended;
        (void)pthread_mutex_unlock(&w->lock);
        bool ok = qn_io__sync(w->fd, true);
        int errnum = errno;
        (void)pthread_mutex_lock(&w->lock);
        w->syncing = false;
        if (ok) {
            w->synced = upto;
        } else {
            char path[PATH_MAX];
            path_of(w, w->files.p[w->files.n - 1].first, path);
            w->has_failed = true;
            (void)qn_fail_errno(&w->failure, errnum, path, "sync");
            w->failure.code =
                QN_EIO; /* also for ENOSPC: what is on the disk is unknown */
        }
        (void)pthread_cond_broadcast(&w->sync_done);
    }
    return w->has_failed ? answer_failed(w, err) : QN_OK;
}

qn_status qn_wal_sync(qn_wal *w, qn_error *err)
{
    (void)pthread_mutex_lock(&w->lock);
    qn_status st = sync_locked(w, err);
    (void)pthread_mutex_unlock(&w->lock);
    return st;
}

/* Takes away the files that hold only records below `keep_from`, oldest first. */
static qn_status remove_old(qn_wal *w, uint64_t keep_from, qn_error *err)
{
    size_t n = 0, closed = w->files.n - (w->fd >= 0);
    char path[PATH_MAX];
    qn_status st = QN_OK;
    for (; n < closed; n++) {
        bool old = n + 1 < w->files.n ? w->files.p[n + 1].first <= keep_from
                                      : w->last_seq_no < keep_from;
        if (!old) break;
        path_of(w, w->files.p[n].first, path);
        st = qn_file_remove(path, err);
        if (st != QN_OK) break;
    }
    if (n == 0) return st;
    memmove(w->files.p, w->files.p + n, (w->files.n - n) * sizeof *w->files.p);
    w->files.n -= n;
    return st == QN_OK ? qn_dir_sync(w->dir, err) : st;
}

static qn_status roll_locked(qn_wal *w, uint64_t keep_from, qn_error *err)
{
    /* Appends may come while the disk works: they too must be durable before their file
     * is left. When all is, no thread is in fdatasync. */
    do QN_TRY(sync_locked(w, err));
    while (w->synced < w->appended);
    /* A file without a record is as good as a new one, and has the new one's name. */
    if (w->fd >= 0 && w->appended - w->file_begin > QN_WAL_HEADER) {
        (void)close(w->fd);
        w->fd = -1;
    }
    return remove_old(w, keep_from, err);
}

qn_status qn_wal_roll(qn_wal *w, uint64_t keep_from, qn_error *err)
{
    (void)pthread_mutex_lock(&w->lock);
    qn_status st = roll_locked(w, keep_from, err);
    (void)pthread_mutex_unlock(&w->lock);
    return st;
}

uint64_t qn_wal_size_bytes(const qn_wal *w)
{
    qn_wal *locked = (qn_wal *)(uintptr_t)w;
    (void)pthread_mutex_lock(&locked->lock);
    uint64_t sum = 0;
    for (size_t i = 0; i < w->files.n; i++) sum += w->files.p[i].size;
    (void)pthread_mutex_unlock(&locked->lock);
    return sum;
}

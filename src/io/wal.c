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

enum {
    WRITE_OUT_BYTES =
        1024 * 1024, /* pending bytes are written when there are so many */
    KEEP_BUFFER_BYTES = 4 * 1024 * 1024,
    ROOM_MIN = 64 * 1024, /* first room of a file, then twice what it has */
    ROOM_MAX = 8 * 1024 * 1024,
};

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
    bool any_seq_no; /* nothing was appended ever: every number is fine */
    /* appended >= written >= synced, in bytes ever, over all files of this run: put into
     * `pending`, handed to the kernel, durable. */
    uint64_t appended, written, synced;
    uint64_t file_begin; /* `appended` when the newest file began */
    uint64_t room;       /* bytes of the newest file that the disk has set aside */
    bool no_room_calls;  /* the file system cannot set room aside */
    qn_buf pending;      /* [written, appended) */
    bool syncing;        /* a thread writes and syncs, without the lock */
    bool has_failed;     /* for good: a write or a sync failed */
    qn_error failure;    /* why */
    qn_wal_torn torn;    /* what opening cut off */

    qn_buf leaving; /* what the syncing thread writes; its own while `syncing` */
};

static void path_of(const qn_wal *w, uint64_t first, char out[PATH_MAX])
{
    (void)snprintf(out, PATH_MAX, "%s/wal-%020" PRIu64, w->dir, first);
}

static qn_status answer_failed(const qn_wal *w, qn_error *err)
{
    if (err != NULL) *err = w->failure;
    return w->failure.code;
}

/* What is on the disk is unknown from now on: nothing more is taken. */
static void fail_for_good(qn_wal *w, int errnum, const char *doing)
{
    char path[PATH_MAX];
    path_of(w, w->files.p[w->files.n - 1].first, path);
    w->has_failed = true;
    (void)qn_fail_errno(&w->failure, errnum, path, doing);
    w->failure.code = QN_EIO; /* also for ENOSPC */
}

/* Pending bytes to the kernel. They belong to operations that were carried out, so a
 * failure is for good. */
static qn_status write_out(qn_wal *w, qn_error *err)
{
    if (w->pending.n == 0) return QN_OK;
    if (!qn_io__write_all_at(w->fd, w->pending.p, w->pending.n,
                             w->written - w->file_begin)) {
        fail_for_good(w, errno, "append to");
        return answer_failed(w, err);
    }
    w->written = w->appended;
    qn_buf_reset(&w->pending);
    return QN_OK;
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
static qn_status cut_tail(qn_wal *w, const qn_wal_scan *scan, qn_error *err)
{
    char path[PATH_MAX];
    uint64_t end = scan->end;
    log_file *newest = &w->files.p[w->files.n - 1];
    path_of(w, newest->first, path);
    if (scan->torn_bytes != 0)
        w->torn = (qn_wal_torn){newest->first, end, scan->torn_bytes};
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
    newest->size = w->appended = w->written = w->synced = w->room = end;
    return QN_OK;
}

/* *scan: of the newest file. */
static qn_status read_all(qn_wal *w, uint64_t replay_from,
                          qn_status (*each)(void *ctx, const qn_wal_record *r,
                                            qn_error *err),
                          void *ctx, qn_wal_scan *scan, qn_error *err)
{
    char path[PATH_MAX];
    for (size_t i = 0; i < w->files.n; i++) {
        log_file *file = &w->files.p[i];
        bool newest = i + 1 == w->files.n;
        path_of(w, file->first, path);
        QN_TRY(qn_file_size(path, &file->size, err));
        if (!newest && w->files.p[i + 1].first <= replay_from) continue; /* all older */
        QN_TRY(qn_wal__read_file(w->alloc, path, file->first, newest, w->any_seq_no,
                                 w->last_seq_no, replay_from, each, ctx, scan, err));
        file->size = scan->end;
        if (scan->record_count == 0) continue;
        w->last_seq_no = scan->last_seq_no;
        w->any_seq_no = false;
    }
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
    qn_buf_init(&w->pending, a);
    qn_buf_init(&w->leaving, a);
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
    qn_wal_scan scan = {0};
    qn_wal *w = NULL;
    *out = NULL;
    QN_TRY(list_files(a, dir, &w, err));
    qn_status st = read_all(w, replay_from, each, ctx, &scan, err);
    if (st == QN_OK && w->files.n != 0) st = cut_tail(w, &scan, err);
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
    qn_wal_scan scan = {0};
    qn_wal *w = NULL;
    QN_TRY(list_files(a, dir, &w, err));
    qn_status st = read_all(w, replay_from, each, ctx, &scan, err);
    qn_wal_close(w);
    return st;
}

/* Not durable, but there while the machine lives; room that was not needed goes. */
static void leave_file(qn_wal *w)
{
    uint64_t end = w->appended - w->file_begin;
    if (!w->has_failed && write_out(w, NULL) == QN_OK && w->room > end)
        (void)qn_io__truncate(w->fd, end);
    (void)close(w->fd);
}

void qn_wal_close(qn_wal *w)
{
    if (w == NULL) return;
    if (w->fd >= 0) leave_file(w);
    qn_vec_deinit(w->alloc, &w->files);
    qn_buf_deinit(&w->pending);
    qn_buf_deinit(&w->leaving);
    qn_delete(w->alloc, w->dir);
    (void)pthread_cond_destroy(&w->sync_done);
    (void)pthread_mutex_destroy(&w->lock);
    qn_delete(w->alloc, w);
}

/* ---- appending -------------------------------------------------------------- */

/* A file's header is durable, name included, before the first record goes behind it. */
static qn_status write_header(qn_wal *w, const char *path, uint64_t first,
                              qn_error *err)
{
    uint8_t header[QN_WAL_HEADER] = {0};
    memcpy(header + QN_WAL_AT_MAGIC, qn_wal__magic, 8);
    qn_store32(header + QN_WAL_AT_VERSION, QN_WAL_VERSION);
    qn_store64(header + QN_WAL_AT_FIRST, first);
    qn_store64(header + QN_WAL_AT_SUM, XXH3_64bits(header, QN_WAL_AT_SUM));
    if (!qn_io__write_all_at(w->fd, header, sizeof header, 0))
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
    w->written = w->synced = w->appended;
    w->room = QN_WAL_HEADER;
    return QN_OK;
}

/* The whole record, header and padding, behind what is pending. */
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
    qn_buf *b = &w->pending;
    size_t at = b->n, whole = QN_WAL_RECORD_HEADER + (size_t)qn_align_up(size, 8);
    if (qn_buf_reserve(b, whole) == NULL) {
        b->failed = false; /* what was pending before still is */
        return qn_fail(err, QN_ENOMEM, "no memory for a log record");
    }
    qn_buf_add(b, header, sizeof header);
    for (size_t i = 0; i < piece_count; i++) qn_buf_add_slice(b, pieces[i]);
    qn_buf_add(b, "\0\0\0\0\0\0\0", whole - QN_WAL_RECORD_HEADER - size);
    qn_store64(b->p + at + QN_WAL_AT_RECORD_SUM,
               qn_wal__record_sum(header, b->p + at + QN_WAL_RECORD_HEADER, size));
    return QN_OK;
}

/* Sets disk aside for the file up to `end` and more, so that bytes that were taken over
 * find their place, and a sync need not write the file's size. */
static qn_status make_room(qn_wal *w, uint64_t end, qn_error *err)
{
    if (w->no_room_calls || end <= w->room) return QN_OK;
    uint64_t more = w->room < ROOM_MIN   ? ROOM_MIN
                    : w->room < ROOM_MAX ? w->room
                                         : ROOM_MAX;
    uint64_t wanted = qn_align_up(end + more, 4096);
    if (qn_io__allocate(w->fd, wanted)) {
        w->room = wanted;
        return QN_OK;
    }
    int errnum = errno;
    if (errnum == EOPNOTSUPP || errnum == ENOSYS || errnum == EINVAL) {
        w->no_room_calls = true;
        return QN_OK;
    }
    /* Nearly full: what is needed now may still fit. */
    if (errnum == ENOSPC && qn_io__allocate(w->fd, end)) {
        w->room = end;
        return QN_OK;
    }
    char path[PATH_MAX];
    path_of(w, w->files.p[w->files.n - 1].first, path);
    return qn_fail_errno(err, errnum, path, "make room in");
}

/* Without room set aside a record is written at once: a disk that is full is told to
 * the operation whose record it is. */
static qn_status write_through(qn_wal *w, size_t record, qn_error *err)
{
    uint64_t at = w->written - w->file_begin;
    if (qn_io__write_all_at(w->fd, w->pending.p, w->pending.n, at)) {
        w->written = w->appended;
        qn_buf_reset(&w->pending);
        return QN_OK;
    }
    char path[PATH_MAX];
    path_of(w, w->files.p[w->files.n - 1].first, path);
    qn_status st = qn_fail_errno(err, errno, path, "append to");
    /* Takes back what is in the file, so that the next one can follow. */
    w->pending.n -= record;
    w->appended -= record;
    if (!qn_io__truncate(w->fd, at)) fail_for_good(w, errno, "undo a failed append to");
    return st;
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
    size_t before = w->pending.n;
    QN_TRY(build_record(w, seq_no, type, pieces, piece_count, err));
    size_t record = w->pending.n - before;
    qn_status st = make_room(w, w->appended - w->file_begin + record, err);
    if (st != QN_OK) {
        w->pending.n = before;
        return st;
    }
    w->appended += record;
    if (w->no_room_calls)
        QN_TRY(write_through(w, record, err));
    else if (w->pending.n >= WRITE_OUT_BYTES)
        QN_TRY(write_out(w, err));
    w->files.p[w->files.n - 1].size = w->appended - w->file_begin;
    w->last_seq_no = seq_no;
    w->any_seq_no = false;
    if (w->pending.n == 0 && w->pending.capacity > KEEP_BUFFER_BYTES)
        qn_buf_deinit(&w->pending);
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

/* Writes and syncs all that was appended until now, without the lock: appends go on and
 * gather for the next one. */
static void lead(qn_wal *w)
{
    w->syncing = true;
    uint64_t upto = w->appended, at = w->written - w->file_begin;
    qn_buf empty = w->leaving;
    w->leaving = w->pending;
    w->pending = empty;
    w->written = upto;
    (void)pthread_mutex_unlock(&w->lock);
    bool written =
        w->leaving.n == 0 || qn_io__write_all_at(w->fd, w->leaving.p, w->leaving.n, at);
    bool ok = written && qn_io__sync(w->fd, true);
    int errnum = errno;
    (void)pthread_mutex_lock(&w->lock);
    qn_buf_reset(&w->leaving);
    if (w->leaving.capacity > KEEP_BUFFER_BYTES) qn_buf_deinit(&w->leaving);
    w->syncing = false;
    if (ok)
        w->synced = upto;
    else
        fail_for_good(w, errnum, written ? "sync" : "append to");
    (void)pthread_cond_broadcast(&w->sync_done);
}

/* The first thread that finds nobody at it leads; the others wait for it, and one of
 * them leads next for those whose bytes were not part of it. */
static qn_status sync_locked(qn_wal *w, qn_error *err)
{
    uint64_t target = w->appended;
    while (!w->has_failed && w->fd >= 0 && w->synced < target) {
        if (w->syncing)
            (void)pthread_cond_wait(&w->sync_done, &w->lock);
        else
            lead(w);
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

qn_status qn_wal_write_out(qn_wal *w, qn_error *err)
{
    (void)pthread_mutex_lock(&w->lock);
    qn_status st = w->has_failed ? answer_failed(w, err) : QN_OK;
    if (st == QN_OK && w->fd >= 0) st = write_out(w, err);
    (void)pthread_mutex_unlock(&w->lock);
    return st;
}

qn_wal_torn qn_wal_torn_tail(const qn_wal *w)
{
    return w->torn;
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

/* An older file ends with its last record, and that is on the disk before there is a
 * newer one: what is missing of it is damage. */
static qn_status end_file(qn_wal *w, qn_error *err)
{
    uint64_t end = w->appended - w->file_begin;
    if (w->room <= end) return QN_OK;
    char path[PATH_MAX];
    path_of(w, w->files.p[w->files.n - 1].first, path);
    if (!qn_io__truncate(w->fd, end)) return qn_fail_errno(err, errno, path, "cut");
    w->room = end;
    if (qn_io__sync(w->fd, false)) return QN_OK;
    fail_for_good(w, errno, "sync");
    return answer_failed(w, err);
}

static qn_status roll_locked(qn_wal *w, uint64_t keep_from, qn_error *err)
{
    /* Appends may come while the disk works: they too must be durable before their file
     * is left. When all is, no thread is in fdatasync. */
    do QN_TRY(sync_locked(w, err));
    while (w->synced < w->appended);
    /* A file without a record is as good as a new one, and has the new one's name. */
    if (w->fd >= 0 && w->appended - w->file_begin > QN_WAL_HEADER) {
        QN_TRY(end_file(w, err));
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

qn_status qn_wal_extent(qn_wal *w, uint64_t from,
                        qn_status (*each)(void *ctx, uint64_t file_first, uint64_t size,
                                          qn_error *err),
                        void *ctx, qn_error *err)
{
    (void)pthread_mutex_lock(&w->lock);
    qn_status st = QN_OK;
    for (size_t i = 0; i < w->files.n && st == QN_OK; i++) {
        bool newest = i + 1 == w->files.n;
        if (!newest && w->files.p[i + 1].first <= from) continue;
        bool open = newest && w->fd >= 0;
        uint64_t size = open ? w->synced - w->file_begin : w->files.p[i].size;
        st = each(ctx, w->files.p[i].first, size, err);
    }
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

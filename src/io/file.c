/* SPDX-License-Identifier: Apache-2.0 */
#include "io/file.h"

#include "base/vec.h"
#include "io/io_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* ---- reading ---------------------------------------------------------------- */

/* Opens a regular file and tells its size. */
static qn_status open_regular(const char *path, int *fd, size_t *size, qn_error *err)
{
    *fd = qn_io__open(path, O_RDONLY);
    if (*fd < 0) return qn_fail_errno(err, errno, path, "open");
    struct stat st;
    qn_status failure = QN_OK;
    if (fstat(*fd, &st) != 0)
        failure = qn_fail_errno(err, errno, path, "stat");
    else if (!S_ISREG(st.st_mode))
        failure =
            qn_fail_file(err, QN_EIO, path, QN_AT_NONE, "%s is no regular file", path);
    if (failure != QN_OK) {
        (void)close(*fd);
        *fd = -1;
        return failure;
    }
    *size = (size_t)st.st_size;
    return QN_OK;
}

qn_status qn_file_map(qn_alloc *a, const char *path, qn_mapping *out, qn_error *err)
{
    *out = (qn_mapping){.alloc = a};
    int fd = -1;
    size_t size = 0;
    QN_TRY(open_regular(path, &fd, &size, err));
    qn_status st = QN_OK;
    char *name = qn_strndup(a, path, strlen(path));
    void *p = NULL;
    if (name == NULL)
        st = qn_fail(err, QN_ENOMEM, "no memory to map %s", path);
    else if (size > 0 && (p = qn_io__map(fd, size)) == NULL)
        st = qn_fail_errno(err, errno, path, "map");
    (void)close(fd);
    if (st != QN_OK) {
        qn_delete(a, name);
        return st;
    }
    out->p = p;
    out->n = size;
    out->path = name;
    return QN_OK;
}

void qn_file_unmap(qn_mapping *m)
{
    if (m->p != NULL) (void)munmap((void *)(uintptr_t)m->p, m->n);
    if (m->alloc != NULL) qn_delete(m->alloc, m->path);
    *m = (qn_mapping){0};
}

void qn_file_map_scattered(const qn_mapping *m)
{
    if (m->p != NULL) qn_io__map_scattered(m->p, m->n);
}

void qn_file_map_want(const qn_mapping *m, size_t at, size_t n)
{
    if (m->p == NULL || at >= m->n) return;
    qn_io__map_want(m->p + at, n < m->n - at ? n : m->n - at);
}

static qn_status read_from(int fd, const char *path, size_t limit_bytes, qn_buf *out,
                           qn_error *err)
{
    enum { STEP = 64 * 1024 };
    size_t begin = out->n;
    for (;;) {
        char *room = qn_buf_reserve(out, STEP);
        if (room == NULL) return qn_fail(err, QN_ENOMEM, "no memory to read %s", path);
        ssize_t got = qn_io__read(fd, room, STEP);
        if (got < 0) return qn_fail_errno(err, errno, path, "read");
        out->n += (size_t)got;
        out->p[out->n] = '\0';
        if (out->n - begin > limit_bytes)
            return qn_fail_file(err, QN_ELIMIT, path, QN_AT_NONE,
                                "%s is longer than the %zu bytes allowed", path,
                                limit_bytes);
        if (got == 0) return QN_OK;
    }
}

qn_status qn_file_read(const char *path, size_t limit_bytes, qn_buf *out, qn_error *err)
{
    int fd = qn_io__open(path, O_RDONLY);
    if (fd < 0) return qn_fail_errno(err, errno, path, "open");
    qn_status st = read_from(fd, path, limit_bytes, out, err);
    (void)close(fd);
    return st;
}

qn_status qn_file_size(const char *path, uint64_t *out, qn_error *err)
{
    struct stat st;
    if (stat(path, &st) != 0) return qn_fail_errno(err, errno, path, "stat");
    *out = (uint64_t)st.st_size;
    return QN_OK;
}

qn_status qn_file_free_bytes(const char *path, uint64_t *out, qn_error *err)
{
    struct statvfs st;
    *out = 0;
    if (statvfs(path, &st) != 0) return qn_fail_errno(err, errno, path, "statvfs");
    *out = (uint64_t)st.f_bavail * st.f_frsize;
    return QN_OK;
}

bool qn_file_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

/* ---- writing ---------------------------------------------------------------- */

/* The path of the folder that `path` is in. false when it is too long. */
static bool parent_of(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL ? 0 : (size_t)(slash - path);
    while (n > 1 && path[n - 1] == '/') n--;
    if (n >= PATH_MAX) return false;
    if (slash == NULL) {
        memcpy(out, ".", 2);
        return true;
    }
    if (n == 0) n = 1; /* "/x" is in "/" */
    memcpy(out, path, n);
    out[n] = '\0';
    return true;
}

qn_status qn_io__sync_parent(const char *path, qn_error *err)
{
    char parent[PATH_MAX];
    if (!parent_of(path, parent))
        return qn_fail_errno(err, ENAMETOOLONG, path, "sync the folder of");
    return qn_dir_sync(parent, err);
}

static qn_status write_whole(const char *path, const void *bytes, size_t n,
                             qn_error *err)
{
    int fd = qn_io__open(path, O_WRONLY | O_CREAT | O_TRUNC);
    if (fd < 0) return qn_fail_errno(err, errno, path, "create");
    qn_status st = QN_OK;
    if (!qn_io__write_all(fd, bytes, n))
        st = qn_fail_errno(err, errno, path, "write");
    else if (!qn_io__sync(fd, false))
        st = qn_fail_errno(err, errno, path, "sync");
    if (close(fd) != 0 && st == QN_OK) st = qn_fail_errno(err, errno, path, "close");
    return st;
}

qn_status qn_file_replace(const char *path, const void *bytes, size_t n, qn_error *err)
{
    char fresh[PATH_MAX];
    int length = snprintf(fresh, sizeof fresh, "%s.tmp", path);
    if (length < 0 || (size_t)length >= sizeof fresh)
        return qn_fail_errno(err, ENAMETOOLONG, path, "replace");
    qn_status st = write_whole(fresh, bytes, n, err);
    if (st == QN_OK && !qn_io__rename(fresh, path))
        st = qn_fail_errno(err, errno, path, "replace");
    if (st != QN_OK) {
        (void)unlink(fresh);
        return st;
    }
    return qn_io__sync_parent(path, err);
}

qn_status qn_file_remove(const char *path, qn_error *err)
{
    if (qn_io__remove(path) || errno == ENOENT) return QN_OK;
    return qn_fail_errno(err, errno, path, "remove");
}

qn_status qn_file_rename(const char *from, const char *to, qn_error *err)
{
    if (qn_io__rename(from, to)) return QN_OK;
    return qn_fail_errno(err, errno, from, "rename");
}

/* ---- folders ---------------------------------------------------------------- */

/* Makes one level. */
static qn_status make_dir(const char *path, qn_error *err)
{
    if (qn_io__mkdir(path)) return qn_io__sync_parent(path, err);
    int saved = errno;
    struct stat st;
    if (saved == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return QN_OK;
    return qn_fail_errno(err, saved == EEXIST ? ENOTDIR : saved, path, "create folder");
}

qn_status qn_dir_create(const char *path, qn_error *err)
{
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n >= sizeof part)
        return qn_fail_errno(err, ENAMETOOLONG, path, "create folder");
    memcpy(part, path, n + 1);
    struct stat st;
    for (size_t i = 1; i < n; i++) {
        if (part[i] != '/' || part[i - 1] == '/') continue;
        part[i] = '\0';
        if (stat(part, &st) != 0) QN_TRY(make_dir(part, err));
        part[i] = '/';
    }
    return make_dir(path, err);
}

typedef struct dir_entry {
    char *name;
    bool is_dir;
} dir_entry;
typedef QN_VEC(dir_entry) dir_entries;

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const dir_entry *)a)->name, ((const dir_entry *)b)->name);
}

static bool add_entry(qn_alloc *a, dir_entries *list, const char *dir, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    int length = snprintf(path, sizeof path, "%s/%s", dir, name);
    bool is_dir = length > 0 && (size_t)length < sizeof path && lstat(path, &st) == 0 &&
                  S_ISDIR(st.st_mode);
    dir_entry entry = {qn_strndup(a, name, strlen(name)), is_dir};
    if (entry.name != NULL && qn_vec_push(a, list, entry)) return true;
    qn_delete(a, entry.name);
    return false;
}

static qn_status read_entries(qn_alloc *a, const char *path, dir_entries *list,
                              qn_error *err)
{
    DIR *dir = qn_io__opendir(path);
    if (dir == NULL) return qn_fail_errno(err, errno, path, "open folder");
    qn_status st = QN_OK;
    for (;;) {
        errno = 0;
        const struct dirent *e = readdir(dir);
        if (e == NULL) {
            if (errno != 0) st = qn_fail_errno(err, errno, path, "read folder");
            break;
        }
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (!add_entry(a, list, path, e->d_name)) {
            st = qn_fail(err, QN_ENOMEM, "no memory to list %s", path);
            break;
        }
    }
    (void)closedir(dir);
    return st;
}

qn_status qn_dir_list(const char *path,
                      bool (*each)(void *ctx, const char *name, bool is_dir), void *ctx,
                      qn_error *err)
{
    qn_alloc *a = qn_alloc_heap();
    dir_entries list = {0};
    qn_status st = read_entries(a, path, &list, err);
    if (st == QN_OK && list.n > 0) {
        qsort(list.p, list.n, sizeof *list.p, compare_entries);
        for (size_t i = 0; i < list.n; i++)
            if (!each(ctx, list.p[i].name, list.p[i].is_dir)) break;
    }
    for (size_t i = 0; i < list.n; i++) qn_delete(a, list.p[i].name);
    qn_vec_deinit(a, &list);
    return st;
}

qn_status qn_dir_sync(const char *path, qn_error *err)
{
    int fd = qn_io__open(path, O_RDONLY | O_DIRECTORY);
    if (fd < 0) return qn_fail_errno(err, errno, path, "open folder");
    qn_status st = QN_OK;
    if (!qn_io__sync(fd, false)) st = qn_fail_errno(err, errno, path, "sync folder");
    (void)close(fd);
    return st;
}

/* Walks down with one growing path instead of recursion: the deepest folder is emptied
 * first. */
typedef struct remove_walk {
    char path[PATH_MAX];
    bool descended;
    qn_status st;
    qn_error *err;
} remove_walk;

static bool remove_entry(void *ctx, const char *name, bool is_dir)
{
    remove_walk *w = ctx;
    size_t n = strlen(w->path);
    int length = snprintf(w->path + n, sizeof w->path - n, "/%s", name);
    if (length < 0 || (size_t)length >= sizeof w->path - n) {
        w->path[n] = '\0';
        w->st = qn_fail_errno(w->err, ENAMETOOLONG, w->path, "remove");
        return false;
    }
    if (is_dir) { /* stay in it; the parent is listed again later */
        w->descended = true;
        return false;
    }
    w->st = qn_file_remove(w->path, w->err);
    w->path[n] = '\0';
    return w->st == QN_OK;
}

qn_status qn_dir_remove(const char *path, qn_error *err)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    remove_walk w = {.err = err};
    if (n >= sizeof w.path) return qn_fail_errno(err, ENAMETOOLONG, path, "remove");
    memcpy(w.path, path, n);
    for (;;) {
        w.descended = false;
        QN_TRY(qn_dir_list(w.path, remove_entry, &w, err));
        if (w.st != QN_OK) return w.st;
        if (w.descended) continue;
        if (rmdir(w.path) != 0)
            return qn_fail_errno(err, errno, w.path, "remove folder");
        if (strlen(w.path) <= n) return QN_OK;
        *strrchr(w.path, '/') = '\0';
    }
}

/* ---- lock ------------------------------------------------------------------- */

static qn_status fail_locked(int fd, const char *path, qn_error *err)
{
    char holder[24] = {0};
    ssize_t n = pread(fd, holder, sizeof holder - 1, 0);
    long pid = n > 0 ? strtol(holder, NULL, 10) : 0;
    if (pid <= 0)
        return qn_fail_file(err, QN_ELOCKED, path, QN_AT_NONE,
                            "%s is held by another process", path);
    return qn_fail_file(err, QN_ELOCKED, path, QN_AT_NONE,
                        "%s is held by the process %ld", path, pid);
}

qn_status qn_lock_acquire(const char *path, qn_lock *out, qn_error *err)
{
    out->fd = -1;
    int fd = qn_io__open(path, O_RDWR | O_CREAT);
    if (fd < 0) return qn_fail_errno(err, errno, path, "open");
    qn_status st = QN_OK;
    char pid[24];
    int n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        st = errno == EWOULDBLOCK ? fail_locked(fd, path, err)
                                  : qn_fail_errno(err, errno, path, "lock");
    else if (!qn_io__truncate(fd, 0) || !qn_io__write_all(fd, pid, (size_t)n))
        st = qn_fail_errno(err, errno, path, "write");
    if (st != QN_OK) {
        (void)close(fd);
        return st;
    }
    out->fd = fd;
    return QN_OK;
}

void qn_lock_release(qn_lock *lock)
{
    /* The file stays: removing it would let two processes lock two files of one name.
     */
    if (lock->fd >= 0) (void)close(lock->fd);
    lock->fd = -1;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "io/file_copy.h"

#include "base/alloc.h"
#include "io/io_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { STEP_BYTES = 1024 * 1024 };

qn_status qn_file_hold(const char *path, qn_held_file *out, qn_error *err)
{
    *out = (qn_held_file){0};
    int fd = qn_io__open(path, O_RDONLY);
    if (fd < 0) return qn_fail_errno(err, errno, path, "open");
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        (void)close(fd);
        return qn_fail_file(err, QN_EIO, path, QN_AT_NONE, "%s is no regular file",
                            path);
    }
    *out = (qn_held_file){fd + 1, (uint64_t)st.st_size};
    return QN_OK;
}

void qn_held_file_release(qn_held_file *f)
{
    if (f->fd_plus_one != 0) (void)close(f->fd_plus_one - 1);
    *f = (qn_held_file){0};
}

static qn_status copy_bytes(int from, const char *name, uint64_t size, int to,
                            const char *to_name, uint8_t *buffer, XXH3_state_t *sum,
                            qn_error *err)
{
    for (uint64_t at = 0; at < size;) {
        size_t n = size - at < STEP_BYTES ? (size_t)(size - at) : STEP_BYTES;
        ssize_t got = qn_io__read_all_at(from, buffer, n, at);
        if (got < 0) return qn_fail_errno(err, errno, name, "read");
        if ((size_t)got < n)
            return qn_fail_file(err, QN_ECORRUPT, name, at + (uint64_t)got,
                                "%s ends before its %llu bytes", name,
                                (unsigned long long)size);
        if (!qn_io__write_all_at(to, buffer, n, at))
            return qn_fail_errno(err, errno, to_name, "write");
        (void)XXH3_64bits_update(sum, buffer, n);
        at += n;
    }
    if (!qn_io__sync(to, false)) return qn_fail_errno(err, errno, to_name, "sync");
    return QN_OK;
}

qn_status qn_held_file_copy(const qn_held_file *f, const char *name, uint64_t size,
                            const char *to, uint64_t *sum, qn_error *err)
{
    uint8_t *buffer = qn_new_array(qn_alloc_heap(), STEP_BYTES, 1);
    XXH3_state_t *state = XXH3_createState();
    qn_status st = QN_OK;
    int fd = -1;
    if (buffer == NULL || state == NULL || XXH3_64bits_reset(state) == XXH_ERROR)
        st = qn_fail(err, QN_ENOMEM, "no memory to copy %s", name);
    if (st == QN_OK && (fd = qn_io__open(to, O_WRONLY | O_CREAT | O_EXCL)) < 0)
        st = qn_fail_errno(err, errno, to, "create");
    if (st == QN_OK)
        st = copy_bytes(f->fd_plus_one - 1, name, size, fd, to, buffer, state, err);
    if (st == QN_OK) *sum = XXH3_64bits_digest(state);
    if (fd >= 0) (void)close(fd);
    (void)XXH3_freeState(state);
    qn_delete(qn_alloc_heap(), buffer);
    return st;
}

qn_status qn_file_link(const char *from, const char *to, qn_error *err)
{
    if (qn_io__link(from, to)) return QN_OK;
    int errnum = errno;
    qn_status st = qn_fail_errno(err, errnum, to, "link");
    bool other = errnum == EXDEV || errnum == EPERM || errnum == EMLINK ||
                 errnum == EOPNOTSUPP || errnum == ENOSYS;
    if (!other) return st;
    if (err != NULL) err->code = QN_EUNSUPPORTED;
    return QN_EUNSUPPORTED;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "io/io_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

qn_io_fault qn_io__fault;

void qn_io__fault_set(const qn_io_fault *to)
{
    qn_io_fault *f = &qn_io__fault;
    atomic_store(&f->calls, 0);
    atomic_store(&f->countdown, atomic_load(&to->countdown));
    atomic_store(&f->delivered, atomic_load(&to->delivered));
    atomic_store(&f->skip_sync, atomic_load(&to->skip_sync));
    atomic_store(&f->errnum, atomic_load(&to->errnum));
    atomic_store(&f->sticky, atomic_load(&to->sticky));
    atomic_store(&f->torn, atomic_load(&to->torn));
    atomic_store(&f->shorten, atomic_load(&to->shorten));
    atomic_store(&f->calls, atomic_load(&to->calls));
}

/* true: this call has to fail; errno is set. */
static bool fault_hits(unsigned call)
{
    unsigned calls = atomic_load_explicit(&qn_io__fault.calls, memory_order_relaxed);
    if ((calls & call) == 0) return false;
    long left = atomic_fetch_sub(&qn_io__fault.countdown, 1);
    if (left != 1 && !(qn_io__fault.sticky && left < 1)) return false;
    atomic_fetch_add(&qn_io__fault.delivered, 1);
    errno = qn_io__fault.errnum;
    return true;
}

int qn_io__open(const char *path, int flags)
{
    int fd;
    do fd = fault_hits(QN_IO_OPEN) ? -1 : open(path, flags | O_CLOEXEC, 0666);
    while (fd < 0 && errno == EINTR);
    return fd;
}

/* ---- reading and writing -------------------------------------------------------- */

enum { HERE = -1 }; /* at the file's own position */

static ssize_t read_once(int fd, void *out, size_t n, off_t at)
{
    if (fault_hits(QN_IO_READ)) {
        if (!qn_io__fault.shorten) return -1;
        n = (n + 1) / 2;
    }
    return at == HERE ? read(fd, out, n) : pread(fd, out, n, at);
}

ssize_t qn_io__read(int fd, void *out, size_t n)
{
    ssize_t got;
    do got = read_once(fd, out, n, HERE);
    while (got < 0 && errno == EINTR);
    return got;
}

static ssize_t read_all(int fd, char *out, size_t n, off_t at)
{
    size_t filled = 0;
    while (filled < n) {
        off_t place = at == HERE ? HERE : at + (off_t)filled;
        ssize_t got = read_once(fd, out + filled, n - filled, place);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -1;
        if (got == 0) break;
        filled += (size_t)got;
    }
    return (ssize_t)filled;
}

ssize_t qn_io__read_all(int fd, void *out, size_t n)
{
    return read_all(fd, out, n, HERE);
}

ssize_t qn_io__read_all_at(int fd, void *out, size_t n, uint64_t at)
{
    return read_all(fd, out, n, (off_t)at);
}

static ssize_t put_bytes(int fd, const void *bytes, size_t n, off_t at)
{
    return at == HERE ? write(fd, bytes, n) : pwrite(fd, bytes, n, at);
}

static ssize_t write_once(int fd, const void *bytes, size_t n, off_t at)
{
    if (!fault_hits(QN_IO_WRITE)) return put_bytes(fd, bytes, n, at);
    if (qn_io__fault.shorten) return put_bytes(fd, bytes, (n + 1) / 2, at);
    int saved = errno;
    if (qn_io__fault.torn) (void)put_bytes(fd, bytes, n / 2, at);
    errno = saved;
    return -1;
}

static bool write_all(int fd, const char *bytes, size_t n, off_t at)
{
    while (n > 0) {
        ssize_t done = write_once(fd, bytes, n, at);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return false;
        bytes += done;
        n -= (size_t)done;
        if (at != HERE) at += done;
    }
    return true;
}

bool qn_io__write_all(int fd, const void *bytes, size_t n)
{
    return write_all(fd, bytes, n, HERE);
}

bool qn_io__write_all_at(int fd, const void *bytes, size_t n, uint64_t at)
{
    return write_all(fd, bytes, n, (off_t)at);
}

/* ---- files and folders ------------------------------------------------------------ */

bool qn_io__sync(int fd, bool data_only)
{
    int rc;
    do {
        if (fault_hits(QN_IO_SYNC))
            rc = -1;
        else if (qn_io__fault.skip_sync)
            rc = 0;
        else
            rc = data_only ? fdatasync(fd) : fsync(fd);
    } while (rc != 0 && errno == EINTR);
    return rc == 0;
}

bool qn_io__rename(const char *from, const char *to)
{
    return !fault_hits(QN_IO_RENAME) && rename(from, to) == 0;
}

bool qn_io__truncate(int fd, uint64_t size)
{
    int rc;
    do rc = fault_hits(QN_IO_TRUNCATE) ? -1 : ftruncate(fd, (off_t)size);
    while (rc != 0 && errno == EINTR);
    return rc == 0;
}

bool qn_io__allocate(int fd, uint64_t size)
{
    int errnum; /* this call returns it */
    do
        errnum =
            fault_hits(QN_IO_ALLOCATE) ? errno : posix_fallocate(fd, 0, (off_t)size);
    while (errnum == EINTR);
    errno = errnum;
    return errnum == 0;
}

bool qn_io__remove(const char *path)
{
    return !fault_hits(QN_IO_REMOVE) && unlink(path) == 0;
}

bool qn_io__link(const char *from, const char *to)
{
    return !fault_hits(QN_IO_LINK) && link(from, to) == 0;
}

bool qn_io__mkdir(const char *path)
{
    return !fault_hits(QN_IO_MKDIR) && mkdir(path, 0777) == 0;
}

void *qn_io__map(int fd, size_t n)
{
    if (fault_hits(QN_IO_MAP)) return NULL;
    void *p = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* The functions take pointers to what may be written, which they do not do. */
void qn_io__map_scattered(const void *p, size_t n)
{
    (void)posix_madvise((void *)(uintptr_t)p, n, POSIX_MADV_RANDOM);
}

void qn_io__map_want(const void *p, size_t n)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)p;
    uintptr_t begin = at & ~(page - 1);
    (void)posix_madvise((void *)begin, n + (size_t)(at - begin), POSIX_MADV_WILLNEED);
}

DIR *qn_io__opendir(const char *path)
{
    return fault_hits(QN_IO_LIST) ? NULL : opendir(path);
}

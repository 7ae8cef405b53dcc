/* SPDX-License-Identifier: Apache-2.0 */
#include "io/io_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

qn_io_fault qn_io__fault;

/* true: this call has to fail; errno is set. */
static bool fault_hits(unsigned call)
{
    if ((qn_io__fault.calls & call) == 0) return false;
    long left = atomic_fetch_sub(&qn_io__fault.countdown, 1);
    if (left != 1 && !(qn_io__fault.sticky && left < 1)) return false;
    atomic_fetch_add(&qn_io__fault.delivered, 1);
    errno = qn_io__fault.errnum;
    return true;
}

int qn_io__open(const char *path, int flags)
{
    if (fault_hits(QN_IO_OPEN)) return -1;
    int fd;
    do fd = open(path, flags | O_CLOEXEC, 0666);
    while (fd < 0 && errno == EINTR);
    return fd;
}

ssize_t qn_io__read(int fd, void *out, size_t n)
{
    if (fault_hits(QN_IO_READ)) return -1;
    ssize_t got;
    do got = read(fd, out, n);
    while (got < 0 && errno == EINTR);
    return got;
}

ssize_t qn_io__read_all(int fd, void *out, size_t n)
{
    size_t filled = 0;
    while (filled < n) {
        ssize_t got = qn_io__read(fd, (char *)out + filled, n - filled);
        if (got < 0) return -1;
        if (got == 0) break;
        filled += (size_t)got;
    }
    return (ssize_t)filled;
}

static bool write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, bytes, n);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return false;
        bytes += done;
        n -= (size_t)done;
    }
    return true;
}

bool qn_io__write_all(int fd, const void *bytes, size_t n)
{
    if (fault_hits(QN_IO_WRITE)) {
        int saved = errno;
        if (qn_io__fault.torn) (void)write_all(fd, bytes, n / 2);
        errno = saved;
        return false;
    }
    return write_all(fd, bytes, n);
}

bool qn_io__sync(int fd, bool data_only)
{
    if (fault_hits(QN_IO_SYNC)) return false;
    if (qn_io__fault.skip_sync) return true;
    int rc;
    do rc = data_only ? fdatasync(fd) : fsync(fd);
    while (rc != 0 && errno == EINTR);
    return rc == 0;
}

bool qn_io__rename(const char *from, const char *to)
{
    return !fault_hits(QN_IO_RENAME) && rename(from, to) == 0;
}

bool qn_io__truncate(int fd, uint64_t size)
{
    if (fault_hits(QN_IO_TRUNCATE)) return false;
    int rc;
    do rc = ftruncate(fd, (off_t)size);
    while (rc != 0 && errno == EINTR);
    return rc == 0;
}

bool qn_io__remove(const char *path)
{
    return !fault_hits(QN_IO_REMOVE) && unlink(path) == 0;
}

void *qn_io__map(int fd, size_t n)
{
    if (fault_hits(QN_IO_MAP)) return NULL;
    void *p = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, 0);
    return p == MAP_FAILED ? NULL : p;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* io_internal.h -- the system calls that can fail, in one place, so that a test can
 * make the Nth of them fail: how recovery and error paths are tried out.
 *
 * Every call restarts after EINTR; read_all and write_all go on after short counts. A
 * fault counts each attempt, so an errnum of EINTR tries the restart.
 *
 * Threads   the fault switch is for tests; counting is atomic. qn_io__fault_set() changes
 *           it while other threads are in here, as storing to `calls` does. */
#ifndef QN_IO_INTERNAL_H
#define QN_IO_INTERNAL_H

#include "base/status.h"

#include <dirent.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    QN_IO_OPEN = 1,
    QN_IO_READ = 2,
    QN_IO_WRITE = 4,
    QN_IO_SYNC = 8, /* fsync and fdatasync, of files and folders */
    QN_IO_RENAME = 16,
    QN_IO_TRUNCATE = 32,
    QN_IO_REMOVE = 64,
    QN_IO_MAP = 128,
    QN_IO_LINK = 256,
    QN_IO_ALLOCATE = 512, /* posix_fallocate */
    QN_IO_MKDIR = 1024,
    QN_IO_LIST = 2048, /* opendir */
    QN_IO_ALL = 4095,
};

/* All zero: off. Atomic, since a test turns it on and off while threads run. */
typedef struct qn_io_fault {
    atomic_uint calls;     /* which kinds count: QN_IO_... */
    atomic_long countdown; /* the call that takes it from 1 to 0 fails */
    atomic_int errnum;     /* with this */
    atomic_bool sticky;    /* and all later ones too */
    atomic_bool torn;      /* a failing write leaves half of its bytes behind */
    atomic_bool shorten;   /* the read or write does half of its bytes and succeeds */
    atomic_bool skip_sync; /* syncs do nothing: for tests of many small files */
    atomic_long delivered; /* failures handed out: a test asserts that there was one */
} qn_io_fault;

extern qn_io_fault qn_io__fault;
void qn_io__fault_set(const qn_io_fault *to);

/* All set errno; -1 or false is failure. */
int qn_io__open(const char *path, int flags);
ssize_t qn_io__read(int fd, void *out, size_t n);
/* Fills `out` unless the file ends before; returns how many bytes. */
ssize_t qn_io__read_all(int fd, void *out, size_t n);
bool qn_io__write_all(int fd, const void *bytes, size_t n);
/* The same at a place of the file, which leaves its position alone. */
ssize_t qn_io__read_all_at(int fd, void *out, size_t n, uint64_t at);
bool qn_io__write_all_at(int fd, const void *bytes, size_t n, uint64_t at);
bool qn_io__sync(int fd, bool data_only);
bool qn_io__rename(const char *from, const char *to);
bool qn_io__truncate(int fd, uint64_t size);
/* Room on the disk for [0, size), which the file then has. */
bool qn_io__allocate(int fd, uint64_t size);
bool qn_io__remove(const char *path);
/* A second name for a file. */
bool qn_io__link(const char *from, const char *to);
bool qn_io__mkdir(const char *path);
/* NULL on failure. */
void *qn_io__map(int fd, size_t n);
/* Hints that nothing depends on; `p` of the second may stand anywhere in the mapping. */
void qn_io__map_scattered(const void *p, size_t n);
void qn_io__map_want(const void *p, size_t n);
DIR *qn_io__opendir(const char *path);
/* Opens the folder that `path` is in and syncs it. */
QN_MUST_CHECK qn_status qn_io__sync_parent(const char *path, qn_error *err);

#endif

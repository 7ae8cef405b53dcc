/* SPDX-License-Identifier: Apache-2.0 */
/* io_internal.h -- the system calls that can fail, in one place, so that a test can
 * make the Nth of them fail: how recovery and error paths are tried out.
 *
 * Every call restarts after EINTR; read_all and write_all go on after short counts.
 *
 * Threads   the fault switch is for tests; counting is atomic, arming is not. */
#ifndef QN_IO_INTERNAL_H
#define QN_IO_INTERNAL_H

#include "base/status.h"

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
    QN_IO_ALL = 255,
};

/* All zero: off. */
typedef struct qn_io_fault {
    unsigned calls;        /* which kinds count: QN_IO_... */
    atomic_long countdown; /* the call that takes it from 1 to 0 fails */
    int errnum;            /* with this */
    bool sticky;           /* and all later ones too */
    bool torn;             /* a failing write leaves half of its bytes behind */
    bool skip_sync;        /* syncs do nothing: for tests of many small files */
    atomic_long delivered; /* failures handed out: a test asserts that there was one */
} qn_io_fault;

extern qn_io_fault qn_io__fault;

/* All set errno; -1 or false is failure. */
int qn_io__open(const char *path, int flags);
ssize_t qn_io__read(int fd, void *out, size_t n);
/* Fills `out` unless the file ends before; returns how many bytes. */
ssize_t qn_io__read_all(int fd, void *out, size_t n);
bool qn_io__write_all(int fd, const void *bytes, size_t n);
bool qn_io__sync(int fd, bool data_only);
bool qn_io__rename(const char *from, const char *to);
bool qn_io__truncate(int fd, uint64_t size);
bool qn_io__remove(const char *path);
/* NULL on failure. */
void *qn_io__map(int fd, size_t n);
/* Opens the folder that `path` is in and syncs it. */
QN_MUST_CHECK qn_status qn_io__sync_parent(const char *path, qn_error *err);

#endif

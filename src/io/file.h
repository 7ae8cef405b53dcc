/* SPDX-License-Identifier: Apache-2.0 */
/* io/file.h -- files as Quern uses them: mapped to read, replaced whole to write.
 *
 * Nothing is updated in place. A small file (manifest, schema) is written beside its
 * final name, synced, renamed over it, and the folder is synced: after a crash either
 * the old or the new content is there. Big files are written once and then mapped.
 *
 * Lifetime   a mapping is valid until qn_file_unmap().
 * Threads    plain functions; a mapping may be read by any number of threads.
 * Errors     QN_ENOTFOUND, QN_ENOSPC, QN_EIO ..., with the path in err->file. */
#ifndef QN_IO_FILE_H
#define QN_IO_FILE_H

#include "base/slice.h"

typedef struct qn_mapping {
    const uint8_t *p; /* NULL for an empty file */
    size_t n;
    char *path; /* owned; for messages */
    qn_alloc *alloc;
} qn_mapping;

QN_MUST_CHECK qn_status qn_file_map(qn_alloc *a, const char *path, qn_mapping *out,
                                    qn_error *err);
/* Accepts a zeroed mapping. */
void qn_file_unmap(qn_mapping *m);
/* Hints, nothing when m->p is NULL. The mapping will be read here and there: what lies
 * around a byte is not to be fetched with it. */
void qn_file_map_scattered(const qn_mapping *m);
/* Bytes [at, at + n) will be read now: they are fetched together. */
void qn_file_map_want(const qn_mapping *m, size_t at, size_t n);

/* The whole file into `out` (initialised by the caller); over `limit_bytes`: QN_ELIMIT.
 */
QN_MUST_CHECK qn_status qn_file_read(const char *path, size_t limit_bytes, qn_buf *out,
                                     qn_error *err);
/* Atomic replacement, durable when it returns QN_OK. */
QN_MUST_CHECK qn_status qn_file_replace(const char *path, const void *bytes, size_t n,
                                        qn_error *err);
/* QN_OK also when it did not exist. */
QN_MUST_CHECK qn_status qn_file_remove(const char *path, qn_error *err);
QN_MUST_CHECK qn_status qn_file_rename(const char *from, const char *to, qn_error *err);
QN_MUST_CHECK qn_status qn_file_size(const char *path, uint64_t *out, qn_error *err);
bool qn_file_exists(const char *path);
/* What is free for this user on the file system that `path` lies on. */
QN_MUST_CHECK qn_status qn_file_free_bytes(const char *path, uint64_t *out,
                                           qn_error *err);

/* The folder and its parents; QN_OK when it is there already. */
QN_MUST_CHECK qn_status qn_dir_create(const char *path, qn_error *err);
/* Names in the folder, sorted by bytes, "." and ".." left out; `each` false stops. */
QN_MUST_CHECK qn_status qn_dir_list(const char *path,
                                    bool (*each)(void *ctx, const char *name,
                                                 bool is_dir),
                                    void *ctx, qn_error *err);
/* Makes renames and new names in the folder durable. */
QN_MUST_CHECK qn_status qn_dir_sync(const char *path, qn_error *err);
/* The folder with all that is in it. */
QN_MUST_CHECK qn_status qn_dir_remove(const char *path, qn_error *err);

/* An advisory lock that dies with the process. QN_ELOCKED names the holder's process
 * id, which the holder wrote into the file. */
typedef struct qn_lock {
    int fd; /* -1: not held */
} qn_lock;
QN_MUST_CHECK qn_status qn_lock_acquire(const char *path, qn_lock *out, qn_error *err);
void qn_lock_release(qn_lock *lock);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* io/file_copy.h -- second names and copies of files that others may remove meanwhile.
 *
 * A held file is open: its bytes can be read when its name is gone.
 *
 * Lifetime   a held file until qn_held_file_release(); zeroed it is a held nothing.
 * Threads    plain functions.
 * Errors     those of files; QN_ECORRUPT when a file is shorter than it should be;
 *            QN_EUNSUPPORTED for a second name that the file system does not give. */
#ifndef QN_IO_FILE_COPY_H
#define QN_IO_FILE_COPY_H

#include "base/status.h"

#include <stdint.h>

typedef struct qn_held_file {
    int fd_plus_one;
    uint64_t size;
} qn_held_file;

QN_MUST_CHECK qn_status qn_file_hold(const char *path, qn_held_file *out,
                                     qn_error *err);
/* The first `size` bytes into a new file, durable but for its name; QN_EEXISTS when there
 * is one. *sum: their XXH3-64. `name` stands in messages. */
QN_MUST_CHECK qn_status qn_held_file_copy(const qn_held_file *f, const char *name,
                                          uint64_t size, const char *to, uint64_t *sum,
                                          qn_error *err);
void qn_held_file_release(qn_held_file *f);
/* Another name for the same bytes: for files that never change. */
QN_MUST_CHECK qn_status qn_file_link(const char *from, const char *to, qn_error *err);

#endif

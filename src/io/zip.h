/* SPDX-License-Identifier: Apache-2.0 */
/* io/zip.h -- the directory of a ZIP archive, and views of what is stored in it.
 *
 *     local header | data | local header | data | ... | directory | end
 *
 * Only the directory at the end is believed, and only after every claim in it was
 * checked against the bytes: each entry's local header has the same name, its data lies
 * before the directory, no two entries overlap, no name is there twice or leads out of
 * the archive. Archives of 4 GB and more (ZIP64) are read. Nothing is decompressed:
 * entries that are compressed or encrypted are listed, and refused when asked for.
 *
 * Lifetime   borrows the bytes; views are valid as long as they are.
 * Threads    immutable once open.
 * Errors     QN_EMODEL for bytes that are no sound archive, naming the entry or the
 *            rule; QN_EUNSUPPORTED for archives in several parts and compressed entries. */
#ifndef QN_IO_ZIP_H
#define QN_IO_ZIP_H

#include "base/arena.h"

enum {
    QN_ZIP_ENTRIES_MAX = 200000,
    QN_ZIP_NAME_MAX = 1024,
};

typedef struct qn_zip_entry {
    qn_slice name;
    uint16_t method; /* 0: stored */
    bool encrypted;
    qn_slice data; /* as it lies there: compressed when `method` is not 0 */
} qn_zip_entry;

typedef struct qn_zip qn_zip;

/* `name` stands in messages. */
QN_MUST_CHECK qn_status qn_zip_open(qn_alloc *a, qn_slice bytes, const char *name,
                                    QN_OWNED qn_zip **out, qn_error *err);
void qn_zip_close(QN_OWNED QN_NULLABLE qn_zip *z);

size_t qn_zip_count(const qn_zip *z);
const qn_zip_entry *qn_zip_at(const qn_zip *z, size_t i); /* in order of place */
QN_NULLABLE const qn_zip_entry *qn_zip_find(const qn_zip *z, qn_slice name);
/* The bytes of a stored entry; anything else is refused by its name. */
QN_MUST_CHECK qn_status qn_zip_stored(const qn_zip *z, const qn_zip_entry *e,
                                      qn_slice *out, qn_error *err);

#endif

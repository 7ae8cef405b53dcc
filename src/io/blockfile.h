/* SPDX-License-Identifier: Apache-2.0 */
/* io/blockfile.h -- the container of everything immutable on disk: named blocks, each
 * aligned to 64 bytes and covered by a checksum. Segments and models are block files.
 *
 *     header 64 | block, padding | block, padding | ... | directory | footer 64
 *
 * The header has magic and format version; the directory lists (kind, id, offset,
 * size, checksum); the footer locates and checks the directory. A block of more than 64
 * KB has a checksum for each 64 KB of it. All padding is zero and checked. Bytes:
 * docs/formats/blockfile.md.
 *
 * A reader checks header, footer and directory at open, and a block's checksums the
 * first time the block, or the part of it, is asked for, once per mapping; from then on its bytes are
 * trusted against bit rot, though not against a hostile writer: who interprets a block
 * still checks bounds.
 *
 * Lifetime   slices of blocks are valid until the reader is closed.
 * Threads    a writer belongs to one thread; a reader may be shared by any number.
 * Errors     QN_ECORRUPT with file and offset, QN_EVERSION for a newer format. */
#ifndef QN_IO_BLOCKFILE_H
#define QN_IO_BLOCKFILE_H

#include "base/slice.h"
#include "io/pace.h"

enum { QN_BLOCK_ALIGN = 64 };

/* ---- writing ---------------------------------------------------------------- */

typedef struct qn_blockfile_writer qn_blockfile_writer;

/* `magic`: 8 bytes naming the kind of file ("QNSEG\0\0\0"). `path` NULL: the image is
 * built in memory, see qn_blockfile_writer_take(). The file appears under its own name
 * at once; who needs atomicity names it in a manifest only after finish(). */
QN_MUST_CHECK qn_status qn_blockfile_writer_create(
    qn_alloc *a, QN_NULLABLE const char *path, const char magic[8], uint32_t version,
    QN_OWNED qn_blockfile_writer **out, qn_error *err);
/* From now on bytes are taken from `pace` (borrowed; NULL: as fast as it goes) before
 * they are written; its cancel flag makes the writer fail with QN_ECANCELLED. */
void qn_blockfile_writer_pace(qn_blockfile_writer *w, QN_NULLABLE qn_pace *pace);
/* One block at a time: begin, any number of writes, end. (kind, id) is unique. Write
 * errors stick and are reported by end and finish. */
void qn_blockfile_begin(qn_blockfile_writer *w, uint32_t kind, uint32_t id);
void qn_blockfile_write(qn_blockfile_writer *w, const void *bytes, size_t n);
QN_MUST_CHECK qn_status qn_blockfile_end(qn_blockfile_writer *w, qn_error *err);
/* begin, write, end. */
QN_MUST_CHECK qn_status qn_blockfile_put(qn_blockfile_writer *w, uint32_t kind,
                                         uint32_t id, const void *bytes, size_t n,
                                         qn_error *err);
/* Directory and footer; `sync`: durable when it returns QN_OK. */
QN_MUST_CHECK qn_status qn_blockfile_finish(qn_blockfile_writer *w, bool sync,
                                            qn_error *err);
/* After finish() of an image in memory: moves its bytes out (aligned to 64, freed with
 * qn_delete_aligned()). */
QN_OWNED uint8_t *qn_blockfile_writer_take(qn_blockfile_writer *w, size_t *n);
/* An unfinished file is removed. */
void qn_blockfile_writer_destroy(QN_OWNED QN_NULLABLE qn_blockfile_writer *w);

/* ---- reading ---------------------------------------------------------------- */

typedef struct qn_blockfile qn_blockfile;

QN_MUST_CHECK qn_status qn_blockfile_open(qn_alloc *a, const char *path,
                                          const char magic[8], uint32_t version_max,
                                          QN_OWNED qn_blockfile **out, qn_error *err);
/* Over an image in memory. `owned`: `bytes` came from qn_blockfile_writer_take() and
 * passes to the reader when QN_OK is returned; else it is borrowed. `name` stands in
 * messages. Bytes not aligned to 64 are copied. */
QN_MUST_CHECK qn_status qn_blockfile_open_memory(qn_alloc *a, const uint8_t *bytes,
                                                 size_t n, bool owned, const char *name,
                                                 const char magic[8],
                                                 uint32_t version_max,
                                                 QN_OWNED qn_blockfile **out,
                                                 qn_error *err);
void qn_blockfile_close(QN_OWNED QN_NULLABLE qn_blockfile *f);

uint32_t qn_blockfile_version(const qn_blockfile *f);
uint64_t qn_blockfile_size(const qn_blockfile *f);
const char *qn_blockfile_name(const qn_blockfile *f);
/* The checksum of the directory, which holds those of all blocks: what the file says. */
uint64_t qn_blockfile_digest(const qn_blockfile *f);
/* The block's bytes, aligned to 64. QN_ENOTFOUND when there is no such block (out is
 * then an empty slice), QN_ECORRUPT when its checksum is wrong. */
QN_MUST_CHECK qn_status qn_blockfile_block(const qn_blockfile *f, uint32_t kind,
                                           uint32_t id, qn_slice *out, qn_error *err);
/* The whole block, of which only the pages (64 KB) that hold bytes [at, at + n) are
 * checked; the rest of it must not be looked at. Both ends may lie outside. */
QN_MUST_CHECK qn_status qn_blockfile_part(const qn_blockfile *f, uint32_t kind,
                                          uint32_t id, uint64_t at, uint64_t n,
                                          qn_slice *out, qn_error *err);
bool qn_blockfile_has(const qn_blockfile *f, uint32_t kind, uint32_t id);
/* Walks the directory: block i of count; checks nothing. */
size_t qn_blockfile_count(const qn_blockfile *f);
void qn_blockfile_entry(const qn_blockfile *f, size_t i, uint32_t *kind, uint32_t *id,
                        uint64_t *offset, uint64_t *size);
/* Reads and checks every block: `quern table check`. */
QN_MUST_CHECK qn_status qn_blockfile_verify(const qn_blockfile *f, qn_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "io/blockfile.h"

#include "base/bits.h"
#include "base/vec.h"
#include "io/blockfile_internal.h"
#include "io/file.h"
#include "io/io_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#define XXH_STATIC_LINKING_ONLY /* the state lives inside the writer */
#include <xxhash.h>

enum {
    BUFFER_BYTES = 256 * 1024,
    PACED_BYTES = 64 * 1024, /* taken from the pace at a time */
};

typedef struct entry {
    uint32_t kind, id;
    uint64_t offset, size, sum;
} entry;

struct qn_blockfile_writer {
    XXH3_state_t hash; /* of the page being written */
    qn_alloc *alloc;
    char *path; /* NULL: in memory */
    int fd;
    char magic[8];
    uint64_t offset; /* where the next byte goes */
    QN_VEC(entry) entries;
    QN_VEC(uint64_t) sums; /* of the block's full pages */
    size_t page;           /* bytes of the page being written */
    bool in_block, finished;
    qn_pace *pace;    /* NULL: none */
    qn_error failure; /* the first one; code QN_OK: none */

    /* To a file: bytes not written yet. In memory: the whole image. Aligned to 64. */
    uint8_t *bytes;
    size_t filled, capacity;
};

static const uint8_t zeros[QN_BLOCK_ALIGN];

static bool failed(const qn_blockfile_writer *w)
{
    return w->failure.code != QN_OK;
}

static qn_status answer(const qn_blockfile_writer *w, qn_error *err)
{
    if (failed(w) && err != NULL) *err = w->failure;
    return w->failure.code;
}

static void flush(qn_blockfile_writer *w)
{
    if (!qn_io__write_all(w->fd, w->bytes, w->filled))
        (void)qn_fail_errno(&w->failure, errno, w->path, "write");
    w->filled = 0;
}

/* In memory: room for `n` more bytes. */
static void grow(qn_blockfile_writer *w, size_t n)
{
    size_t need = 0;
    if (!qn_add_size(w->filled, n, &need) || need > SIZE_MAX / 4) need = SIZE_MAX / 4;
    if (need <= w->capacity) return;
    size_t capacity = w->capacity == 0 ? 4096 : w->capacity * 2;
    while (capacity < need) capacity *= 2;
    uint8_t *grown = qn_new_aligned(w->alloc, QN_BLOCK_ALIGN, capacity);
    if (grown == NULL) {
        (void)qn_fail(&w->failure, QN_ENOMEM, "no memory for an image of %zu bytes",
                      capacity);
        return;
    }
    if (w->filled > 0) memcpy(grown, w->bytes, w->filled);
    qn_delete_aligned(w->alloc, w->bytes);
    w->bytes = grown;
    w->capacity = capacity;
}

static void put_bytes(qn_blockfile_writer *w, const void *bytes, size_t n)
{
    if (n == 0 || failed(w)) return;
    w->offset += n;
    if (w->path == NULL) {
        grow(w, n);
    } else if (n > w->capacity - w->filled) {
        flush(w);
        if (!failed(w) && n >= w->capacity) {
            if (!qn_io__write_all(w->fd, bytes, n))
                (void)qn_fail_errno(&w->failure, errno, w->path, "write");
            return;
        }
    }
    if (failed(w)) return;
    memcpy(w->bytes + w->filled, bytes, n);
    w->filled += n;
}

static void pad(qn_blockfile_writer *w)
{
    put_bytes(w, zeros, (size_t)(qn_align_up(w->offset, QN_BLOCK_ALIGN) - w->offset));
}

static qn_status open_target(qn_blockfile_writer *w, const char *path, qn_error *err)
{
    if (path == NULL) return QN_OK;
    w->path = qn_strndup(w->alloc, path, strlen(path));
    w->bytes = qn_new_aligned(w->alloc, QN_BLOCK_ALIGN, BUFFER_BYTES);
    if (w->path == NULL || w->bytes == NULL)
        return qn_fail(err, QN_ENOMEM, "no memory to write %s", path);
    w->capacity = BUFFER_BYTES;
    w->fd = qn_io__open(path, O_WRONLY | O_CREAT | O_TRUNC);
    return w->fd < 0 ? qn_fail_errno(err, errno, path, "create") : QN_OK;
}

qn_status qn_blockfile_writer_create(qn_alloc *a, const char *path, const char magic[8],
                                     uint32_t version, qn_blockfile_writer **out,
                                     qn_error *err)
{
    *out = NULL;
    qn_blockfile_writer *w = qn_new_aligned(a, 64, sizeof *w);
    if (w == NULL) return qn_fail(err, QN_ENOMEM, "no memory for a block file writer");
    w->alloc = a;
    w->fd = -1;
    memcpy(w->magic, magic, sizeof w->magic);
    uint8_t header[QN_BLOCKFILE_HEADER] = {0};
    memcpy(header + QN_BLOCKFILE_AT_MAGIC, magic, 8);
    qn_store32(header + QN_BLOCKFILE_AT_VERSION, version);
    header[QN_BLOCKFILE_AT_PAGE] = QN_BLOCKFILE_PAGE_BITS;
    qn_store64(header + QN_BLOCKFILE_AT_SUM, XXH3_64bits(header, QN_BLOCKFILE_AT_SUM));
    qn_status st = open_target(w, path, err);
    if (st == QN_OK) {
        put_bytes(w, header, sizeof header);
        st = answer(w, err);
    }
    if (st != QN_OK) {
        qn_blockfile_writer_destroy(w);
        return st;
    }
    *out = w;
    return QN_OK;
}

void qn_blockfile_writer_pace(qn_blockfile_writer *w, qn_pace *pace)
{
    w->pace = pace;
}

void qn_blockfile_begin(qn_blockfile_writer *w, uint32_t kind, uint32_t id)
{
    qn_assert(!w->in_block && !w->finished);
    w->in_block = true;
    pad(w);
    entry e = {.kind = kind, .id = id, .offset = w->offset};
    if (!failed(w) && !qn_vec_push(w->alloc, &w->entries, e))
        (void)qn_fail(&w->failure, QN_ENOMEM, "no memory for the directory");
    (void)XXH3_64bits_reset(&w->hash);
    w->sums.n = 0;
    w->page = 0;
}

static void end_page(qn_blockfile_writer *w)
{
    if (!qn_vec_push(w->alloc, &w->sums, XXH3_64bits_digest(&w->hash)))
        (void)qn_fail(&w->failure, QN_ENOMEM, "no memory for checksums");
    (void)XXH3_64bits_reset(&w->hash);
    w->page = 0;
}

static void sum_bytes(qn_blockfile_writer *w, const void *bytes, size_t n)
{
    for (const char *p = bytes; n > 0 && !failed(w);) {
        size_t room = QN_BLOCKFILE_PAGE - w->page, piece = n < room ? n : room;
        (void)XXH3_64bits_update(&w->hash, p, piece);
        w->page += piece;
        p += piece;
        n -= piece;
        if (w->page == QN_BLOCKFILE_PAGE) end_page(w);
    }
}

void qn_blockfile_write(qn_blockfile_writer *w, const void *bytes, size_t n)
{
    qn_assert(w->in_block);
    sum_bytes(w, bytes, n);
    if (w->pace == NULL) {
        put_bytes(w, bytes, n);
        return;
    }
    for (const char *p = bytes; n > 0 && !failed(w);) {
        size_t piece = n < PACED_BYTES ? n : PACED_BYTES;
        if (qn_pace_take(w->pace, piece, &w->failure) != QN_OK) return;
        put_bytes(w, p, piece);
        p += piece;
        n -= piece;
    }
}

qn_status qn_blockfile_end(qn_blockfile_writer *w, qn_error *err)
{
    qn_assert(w->in_block);
    w->in_block = false;
    if (failed(w)) return answer(w, err);
    entry *e = &w->entries.p[w->entries.n - 1];
    e->size = w->offset - e->offset;
    if (w->page > 0 || w->sums.n == 0) end_page(w);
    if (failed(w)) return answer(w, err);
    e->sum = w->sums.p[0];
    if (w->sums.n == 1) return QN_OK;
    size_t size = w->sums.n * sizeof *w->sums.p;
    e->sum = XXH3_64bits(w->sums.p, size);
    pad(w);
    put_bytes(w, w->sums.p, size);
    return answer(w, err);
}

qn_status qn_blockfile_put(qn_blockfile_writer *w, uint32_t kind, uint32_t id,
                           const void *bytes, size_t n, qn_error *err)
{
    qn_blockfile_begin(w, kind, id);
    qn_blockfile_write(w, bytes, n);
    return qn_blockfile_end(w, err);
}

static int compare_entries(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

/* Entries sorted by (kind, id): a reader looks them up by halving. */
static void put_directory(qn_blockfile_writer *w, uint8_t footer[QN_BLOCKFILE_FOOTER])
{
    size_t count = w->entries.n;
    if (count > 0) qsort(w->entries.p, count, sizeof *w->entries.p, compare_entries);
    for (size_t i = 1; i < count; i++)
        qn_assert(compare_entries(&w->entries.p[i - 1], &w->entries.p[i]) < 0);
    pad(w);
    qn_store64(footer + QN_BLOCKFILE_AT_DIR_OFFSET, w->offset);
    qn_store64(footer + QN_BLOCKFILE_AT_DIR_COUNT, count);
    (void)XXH3_64bits_reset(&w->hash);
    for (size_t i = 0; i < count; i++) {
        const entry *e = &w->entries.p[i];
        uint8_t bytes[QN_BLOCKFILE_ENTRY];
        qn_store32(bytes + QN_BLOCKFILE_AT_KIND, e->kind);
        qn_store32(bytes + QN_BLOCKFILE_AT_ID, e->id);
        qn_store64(bytes + QN_BLOCKFILE_AT_OFFSET, e->offset);
        qn_store64(bytes + QN_BLOCKFILE_AT_SIZE, e->size);
        qn_store64(bytes + QN_BLOCKFILE_AT_BLOCK_SUM, e->sum);
        (void)XXH3_64bits_update(&w->hash, bytes, sizeof bytes);
        put_bytes(w, bytes, sizeof bytes);
    }
    qn_store64(footer + QN_BLOCKFILE_AT_DIR_SUM, XXH3_64bits_digest(&w->hash));
    pad(w);
}

/* The bytes reach the file; `sync`: and the disk, with the file's name. */
static void finish_file(qn_blockfile_writer *w, bool sync)
{
    flush(w);
    if (!failed(w) && sync && !qn_io__sync(w->fd, false))
        (void)qn_fail_errno(&w->failure, errno, w->path, "sync");
    if (close(w->fd) != 0 && !failed(w))
        (void)qn_fail_errno(&w->failure, errno, w->path, "close");
    w->fd = -1;
    if (!failed(w) && sync) {
        qn_error err = {0};
        if (qn_io__sync_parent(w->path, &err) != QN_OK) w->failure = err;
    }
}

qn_status qn_blockfile_finish(qn_blockfile_writer *w, bool sync, qn_error *err)
{
    qn_assert(!w->in_block && !w->finished);
    uint8_t footer[QN_BLOCKFILE_FOOTER] = {0};
    if (!failed(w)) put_directory(w, footer);
    qn_store64(footer + QN_BLOCKFILE_AT_FILE_SIZE, w->offset + sizeof footer);
    memcpy(footer + QN_BLOCKFILE_AT_END_MAGIC, w->magic, 8);
    qn_store64(footer + QN_BLOCKFILE_AT_SUM, XXH3_64bits(footer, QN_BLOCKFILE_AT_SUM));
    put_bytes(w, footer, sizeof footer);
    if (!failed(w) && w->path != NULL) finish_file(w, sync);
    w->finished = !failed(w);
    return answer(w, err);
}

uint8_t *qn_blockfile_writer_take(qn_blockfile_writer *w, size_t *n)
{
    qn_assert(w->finished && w->path == NULL);
    uint8_t *bytes = w->bytes;
    *n = w->filled;
    w->bytes = NULL;
    w->filled = w->capacity = 0;
    return bytes;
}

void qn_blockfile_writer_destroy(qn_blockfile_writer *w)
{
    if (w == NULL) return;
    bool created = w->fd >= 0 || (w->path != NULL && failed(w));
    if (w->fd >= 0) (void)close(w->fd);
    if (created && !w->finished) (void)unlink(w->path);
    qn_vec_deinit(w->alloc, &w->entries);
    qn_vec_deinit(w->alloc, &w->sums);
    qn_delete(w->alloc, w->path);
    qn_delete_aligned(w->alloc, w->bytes);
    qn_delete_aligned(w->alloc, w);
}

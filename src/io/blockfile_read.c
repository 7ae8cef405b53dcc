/* SPDX-License-Identifier: Apache-2.0 */
#include "io/blockfile.h"

#include "base/bits.h"
#include "io/blockfile_internal.h"
#include "io/file.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <xxhash.h>

struct qn_blockfile {
    qn_alloc *alloc;
    char *name;
    const uint8_t *p;
    size_t n;
    qn_mapping mapping; /* when opened by path */
    uint8_t *owned;     /* when the image is ours */
    uint32_t version;
    size_t count;
    const uint8_t *directory;   /* count entries, sorted by (kind, id) */
    bool paged;                 /* blocks longer than a page have a checksum for each */
    atomic_uchar *checked;      /* per block: one of CHECKED_... */
    size_t *first_page;         /* per block: in `page_checked` */
    atomic_uchar *page_checked; /* per page of a block that has pages */
};

enum {
    CHECKED_NOT,
    CHECKED_SUMS, /* a block with pages: the checksums of them */
    CHECKED_WHOLE,
};

static qn_status corrupt(const qn_blockfile *f, uint64_t at, const char *what,
                         qn_error *err)
{
    return qn_fail_file(err, QN_ECORRUPT, f->name, at, "%s of %s at byte %" PRIu64,
                        what, f->name, at);
}

static bool all_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0) return false;
    return true;
}

static const uint8_t *entry_at(const qn_blockfile *f, size_t i)
{
    return f->directory + i * QN_BLOCKFILE_ENTRY;
}

/* ---- opening ---------------------------------------------------------------- */

static qn_status check_header(qn_blockfile *f, const char magic[8],
                              uint32_t version_max, qn_error *err)
{
    if (f->n < QN_BLOCKFILE_HEADER + QN_BLOCKFILE_FOOTER)
        return corrupt(f, f->n, "cut short: end", err);
    if (memcmp(f->p, magic, 8) != 0)
        return corrupt(f, 0, "not this kind of file: magic number", err);
    if (qn_load64(f->p + QN_BLOCKFILE_AT_SUM) != XXH3_64bits(f->p, QN_BLOCKFILE_AT_SUM))
        return corrupt(f, 0, "wrong checksum of the header", err);
    f->version = qn_load32(f->p + QN_BLOCKFILE_AT_VERSION);
    if (f->version > version_max)
        return qn_fail_file(err, QN_EVERSION, f->name, QN_BLOCKFILE_AT_VERSION,
                            "%s has format version %" PRIu32
                            ", this program reads up to %" PRIu32,
                            f->name, f->version, version_max);
    f->paged = f->p[QN_BLOCKFILE_AT_PAGE] == QN_BLOCKFILE_PAGE_BITS;
    size_t after = QN_BLOCKFILE_AT_PAGE + f->paged;
    if (!all_zero(f->p + after, QN_BLOCKFILE_AT_SUM - after))
        return corrupt(f, after, "reserved bytes in use in the header", err);
    return QN_OK;
}

static qn_status check_footer(qn_blockfile *f, qn_error *err)
{
    uint64_t at = f->n - QN_BLOCKFILE_FOOTER;
    const uint8_t *footer = f->p + at;
    if (qn_load64(footer + QN_BLOCKFILE_AT_SUM) !=
        XXH3_64bits(footer, QN_BLOCKFILE_AT_SUM))
        return corrupt(f, at, "wrong checksum of the footer", err);
    size_t after = QN_BLOCKFILE_AT_END_MAGIC + 8;
    if (qn_load64(footer + QN_BLOCKFILE_AT_FILE_SIZE) != f->n ||
        memcmp(footer + QN_BLOCKFILE_AT_END_MAGIC, f->p, 8) != 0 ||
        !all_zero(footer + after, QN_BLOCKFILE_AT_SUM - after))
        return corrupt(f, at, "wrong footer", err);
    uint64_t offset = qn_load64(footer + QN_BLOCKFILE_AT_DIR_OFFSET);
    uint64_t count = qn_load64(footer + QN_BLOCKFILE_AT_DIR_COUNT);
    if (offset < QN_BLOCKFILE_HEADER || offset > at || offset % QN_BLOCK_ALIGN != 0 ||
        count > (at - offset) / QN_BLOCKFILE_ENTRY ||
        qn_align_up(offset + count * QN_BLOCKFILE_ENTRY, QN_BLOCK_ALIGN) != at)
        return corrupt(f, at, "wrong place of the directory in the footer", err);
    f->count = (size_t)count;
    f->directory = f->p + offset;
    size_t size = f->count * QN_BLOCKFILE_ENTRY;
    if (XXH3_64bits(f->directory, size) != qn_load64(footer + QN_BLOCKFILE_AT_DIR_SUM))
        return corrupt(f, offset, "wrong checksum of the directory", err);
    if (!all_zero(f->directory + size, (size_t)(at - offset) - size))
        return corrupt(f, offset + size, "padding not zero behind the directory", err);
    return QN_OK;
}

static int compare_key(const uint8_t *e, uint32_t kind, uint32_t id)
{
    uint32_t k = qn_load32(e + QN_BLOCKFILE_AT_KIND);
    uint32_t i = qn_load32(e + QN_BLOCKFILE_AT_ID);
    if (k != kind) return k < kind ? -1 : 1;
    return (i > id) - (i < id);
}

/* A block with its directory entry taken apart. */
typedef struct block {
    uint64_t offset, size, sum;
    size_t pages; /* 0: one checksum for all */
} block;

static block block_at(const qn_blockfile *f, size_t i)
{
    const uint8_t *e = entry_at(f, i);
    block b = {
        .offset = qn_load64(e + QN_BLOCKFILE_AT_OFFSET),
        .size = qn_load64(e + QN_BLOCKFILE_AT_SIZE),
        .sum = qn_load64(e + QN_BLOCKFILE_AT_BLOCK_SUM),
    };
    if (f->paged && b.size > QN_BLOCKFILE_PAGE)
        b.pages = (size_t)((b.size - 1) / QN_BLOCKFILE_PAGE + 1);
    return b;
}

/* Where the checksums of its pages stand; without pages, where it ends. */
static uint64_t sums_at(const block *b)
{
    uint64_t end = b->offset + b->size;
    return b->pages == 0 ? end : qn_align_up(end, QN_BLOCK_ALIGN);
}

static uint64_t end_of(const block *b)
{
    return sums_at(b) + b->pages * 8;
}

/* Sorted without duplicates, and every block with its padding between the header and
 * the directory. */
static qn_status check_directory(const qn_blockfile *f, qn_error *err)
{
    uint64_t begin = (uint64_t)(f->directory - f->p);
    for (size_t i = 0; i < f->count; i++) {
        const uint8_t *e = entry_at(f, i);
        block b = block_at(f, i);
        bool placed = b.offset % QN_BLOCK_ALIGN == 0 &&
                      b.offset >= QN_BLOCKFILE_HEADER && b.offset <= begin &&
                      b.size <= begin - b.offset && end_of(&b) <= begin;
        bool sorted = i == 0 || compare_key(entry_at(f, i - 1),
                                            qn_load32(e + QN_BLOCKFILE_AT_KIND),
                                            qn_load32(e + QN_BLOCKFILE_AT_ID)) < 0;
        if (!placed || !sorted)
            return corrupt(f, (uint64_t)(e - f->p), "wrong entry in the directory",
                           err);
    }
    return QN_OK;
}

/* For what has been checked. */
static qn_status make_room(qn_blockfile *f, qn_error *err)
{
    size_t pages = 0;
    f->checked = qn_new_array(f->alloc, f->count, sizeof *f->checked);
    f->first_page = qn_new_array(f->alloc, f->count, sizeof *f->first_page);
    for (size_t i = 0; f->first_page != NULL && i < f->count; i++) {
        f->first_page[i] = pages;
        pages += block_at(f, i).pages;
    }
    /* One more: nothing for none would look like a leak to who looks for them. */
    f->page_checked = qn_new_array(f->alloc, pages + 1, sizeof *f->page_checked);
    if (f->checked == NULL || f->first_page == NULL || f->page_checked == NULL)
        return qn_fail(err, QN_ENOMEM, "no memory to open %s", f->name);
    return QN_OK;
}

/* On failure everything but the caller's bytes is released. */
static qn_status open_image(qn_blockfile *f, const char *name, const char magic[8],
                            uint32_t version_max, qn_error *err)
{
    f->name = qn_strndup(f->alloc, name, strlen(name));
    if (f->name == NULL) return qn_fail(err, QN_ENOMEM, "no memory to open %s", name);
    QN_TRY(check_header(f, magic, version_max, err));
    QN_TRY(check_footer(f, err));
    QN_TRY(check_directory(f, err));
    return make_room(f, err);
}

qn_status qn_blockfile_open(qn_alloc *a, const char *path, const char magic[8],
                            uint32_t version_max, qn_blockfile **out, qn_error *err)
{
    *out = NULL;
    qn_blockfile *f = qn_new0(a, sizeof *f);
    if (f == NULL) return qn_fail(err, QN_ENOMEM, "no memory to open %s", path);
    f->alloc = a;
    qn_status st = qn_file_map(a, path, &f->mapping, err);
    if (st == QN_OK) {
        f->p = f->mapping.p;
        f->n = f->mapping.n;
        /* Pages are asked for when their checksums are due. */
        qn_file_map_scattered(&f->mapping);
        st = open_image(f, path, magic, version_max, err);
    }
    if (st != QN_OK) {
        qn_blockfile_close(f);
        return st;
    }
    *out = f;
    return QN_OK;
}

qn_status qn_blockfile_open_memory(qn_alloc *a, const uint8_t *bytes, size_t n,
                                   bool owned, const char *name, const char magic[8],
                                   uint32_t version_max, qn_blockfile **out,
                                   qn_error *err)
{
    *out = NULL;
    qn_blockfile *f = qn_new0(a, sizeof *f);
    if (f == NULL) return qn_fail(err, QN_ENOMEM, "no memory to open %s", name);
    f->alloc = a;
    f->p = bytes;
    f->n = n;
    /* Blocks are promised to be aligned: bytes that are not get copied. */
    if ((uintptr_t)bytes % QN_BLOCK_ALIGN != 0 && n > 0) {
        uint8_t *copy = qn_new_aligned(a, QN_BLOCK_ALIGN, n);
        if (copy == NULL) {
            qn_delete(a, f);
            return qn_fail(err, QN_ENOMEM, "no memory to open %s", name);
        }
        memcpy(copy, bytes, n);
        f->p = f->owned = copy;
    }
    qn_status st = open_image(f, name, magic, version_max, err);
    if (st != QN_OK) {
        qn_blockfile_close(f);
        return st;
    }
    if (owned && f->owned == NULL) f->owned = (uint8_t *)(uintptr_t)bytes;
    *out = f;
    return QN_OK;
}

void qn_blockfile_close(qn_blockfile *f)
{
    if (f == NULL) return;
    qn_file_unmap(&f->mapping);
    qn_delete_aligned(f->alloc, f->owned);
    qn_delete(f->alloc, f->checked);
    qn_delete(f->alloc, f->first_page);
    qn_delete(f->alloc, f->page_checked);
    qn_delete(f->alloc, f->name);
    qn_delete(f->alloc, f);
}

/* ---- blocks ----------------------------------------------------------------- */

uint32_t qn_blockfile_version(const qn_blockfile *f)
{
    return f->version;
}

uint64_t qn_blockfile_size(const qn_blockfile *f)
{
    return f->n;
}

uint64_t qn_blockfile_digest(const qn_blockfile *f)
{
    return XXH3_64bits(f->directory, f->count * QN_BLOCKFILE_ENTRY);
}

const char *qn_blockfile_name(const qn_blockfile *f)
{
    return f->name;
}

/* The index of (kind, id) in the directory, or count. */
static size_t find(const qn_blockfile *f, uint32_t kind, uint32_t id)
{
    size_t low = 0, high = f->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_key(entry_at(f, middle), kind, id);
        if (order == 0) return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return f->count;
}

static bool is_done(const atomic_uchar *flag, unsigned least)
{
    return atomic_load_explicit(flag, memory_order_relaxed) >= least;
}

static void set_done(atomic_uchar *flag, unsigned char what)
{
    atomic_store_explicit(flag, what, memory_order_relaxed);
}

static qn_status check_zeros(const qn_blockfile *f, uint64_t from, qn_error *err)
{
    if (all_zero(f->p + from, (size_t)(qn_align_up(from, QN_BLOCK_ALIGN) - from)))
        return QN_OK;
    return corrupt(f, from, "padding not zero behind a block", err);
}

/* What stands behind a block: padding, the checksums of its pages. */
static qn_status check_sums(const qn_blockfile *f, size_t i, const block *b,
                            qn_error *err)
{
    if (is_done(&f->checked[i], CHECKED_SUMS)) return QN_OK;
    QN_TRY(check_zeros(f, b->offset + b->size, err));
    QN_TRY(check_zeros(f, end_of(b), err));
    qn_file_map_want(&f->mapping, sums_at(b), b->pages * 8);
    if (XXH3_64bits(f->p + sums_at(b), b->pages * 8) != b->sum)
        return corrupt(f, sums_at(b), "wrong checksum of the checksums of a block",
                       err);
    set_done(&f->checked[i], CHECKED_SUMS);
    return QN_OK;
}

static qn_status check_page(const qn_blockfile *f, size_t i, const block *b,
                            size_t page, qn_error *err)
{
    atomic_uchar *flag = &f->page_checked[f->first_page[i] + page];
    if (is_done(flag, 1)) return QN_OK;
    uint64_t at = (uint64_t)page * QN_BLOCKFILE_PAGE, n = b->size - at;
    if (n > QN_BLOCKFILE_PAGE) n = QN_BLOCKFILE_PAGE;
    if (XXH3_64bits(f->p + b->offset + at, (size_t)n) !=
        qn_load64(f->p + sums_at(b) + page * 8))
        return corrupt(f, b->offset + at, "wrong checksum of a page of a block", err);
    set_done(flag, 1);
    return QN_OK;
}

/* Bytes [at, at + n) of block i, as far as they are inside it, unless that was done
 * before. Two threads may both do it the first time. */
static qn_status check_bytes(const qn_blockfile *f, size_t i, const block *b,
                             uint64_t at, uint64_t n, qn_error *err)
{
    if (is_done(&f->checked[i], CHECKED_WHOLE)) return QN_OK;
    if (b->pages == 0) {
        qn_file_map_want(&f->mapping, b->offset, b->size);
        if (XXH3_64bits(f->p + b->offset, (size_t)b->size) != b->sum)
            return corrupt(f, b->offset, "wrong checksum of a block", err);
        QN_TRY(check_zeros(f, end_of(b), err));
        set_done(&f->checked[i], CHECKED_WHOLE);
        return QN_OK;
    }
    QN_TRY(check_sums(f, i, b, err));
    if (at >= b->size || n == 0) return QN_OK;
    if (n > b->size - at) n = b->size - at;
    uint64_t first = at / QN_BLOCKFILE_PAGE, last = (at + n - 1) / QN_BLOCKFILE_PAGE;
    while (first <= last && is_done(&f->page_checked[f->first_page[i] + first], 1))
        first++;
    if (first <= last)
        qn_file_map_want(&f->mapping, b->offset + first * QN_BLOCKFILE_PAGE,
                         (last - first + 1) * QN_BLOCKFILE_PAGE);
    for (uint64_t page = first; page <= last; page++)
        QN_TRY(check_page(f, i, b, (size_t)page, err));
    if (n == b->size) set_done(&f->checked[i], CHECKED_WHOLE);
    return QN_OK;
}

qn_status qn_blockfile_part(const qn_blockfile *f, uint32_t kind, uint32_t id,
                            uint64_t at, uint64_t n, qn_slice *out, qn_error *err)
{
    *out = (qn_slice){"", 0};
    size_t i = find(f, kind, id);
    if (i == f->count)
        return qn_fail_file(err, QN_ENOTFOUND, f->name, QN_AT_NONE,
                            "%s has no block %" PRIu32 ".%" PRIu32, f->name, kind, id);
    block b = block_at(f, i);
    QN_TRY(check_bytes(f, i, &b, at, n, err));
    *out = (qn_slice){(const char *)f->p + b.offset, (size_t)b.size};
    return QN_OK;
}

qn_status qn_blockfile_block(const qn_blockfile *f, uint32_t kind, uint32_t id,
                             qn_slice *out, qn_error *err)
{
    return qn_blockfile_part(f, kind, id, 0, UINT64_MAX, out, err);
}

bool qn_blockfile_has(const qn_blockfile *f, uint32_t kind, uint32_t id)
{
    return find(f, kind, id) < f->count;
}

size_t qn_blockfile_count(const qn_blockfile *f)
{
    return f->count;
}

void qn_blockfile_entry(const qn_blockfile *f, size_t i, uint32_t *kind, uint32_t *id,
                        uint64_t *offset, uint64_t *size)
{
    const uint8_t *e = entry_at(f, i);
    *kind = qn_load32(e + QN_BLOCKFILE_AT_KIND);
    *id = qn_load32(e + QN_BLOCKFILE_AT_ID);
    *offset = qn_load64(e + QN_BLOCKFILE_AT_OFFSET);
    *size = qn_load64(e + QN_BLOCKFILE_AT_SIZE);
}

qn_status qn_blockfile_verify(const qn_blockfile *f, qn_error *err)
{
    for (size_t i = 0; i < f->count; i++) {
        /* On purpose again: the disk may have changed since the first time. */
        block b = block_at(f, i);
        set_done(&f->checked[i], CHECKED_NOT);
        for (size_t page = 0; page < b.pages; page++)
            set_done(&f->page_checked[f->first_page[i] + page], 0);
        QN_TRY(check_bytes(f, i, &b, 0, b.size, err));
    }
    return QN_OK;
}

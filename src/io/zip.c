/* SPDX-License-Identifier: Apache-2.0 */
/* zip.c -- see zip.h. Names of the format's records and where their fields lie:
 *
 *     end of directory          22 bytes + comment, the last thing in the file
 *     ZIP64 end, its locator    56+ and 20 bytes, just before, when the numbers of the
 *                               end record do not suffice (all ones in it)
 *     directory entry           46 bytes, name, extra fields, comment
 *     local header              30 bytes, name, extra fields; then the data */
#include "io/zip.h"

#include "base/bits.h"
#include "base/map.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    END_SIZE = 22,
    END64_SIZE = 56,
    LOCATOR_SIZE = 20,
    ENTRY_SIZE = 46,
    LOCAL_SIZE = 30,
    COMMENT_MAX = 65535,
    FLAG_ENCRYPTED = 1 << 0,
    FLAG_STRONG = 1 << 6,
    FLAG_MASKED = 1 << 13,
    EXTRA_ZIP64 = 1,
};

static const uint32_t END_MAGIC = 0x06054b50, END64_MAGIC = 0x06064b50,
                      LOCATOR_MAGIC = 0x07064b50, ENTRY_MAGIC = 0x02014b50,
                      LOCAL_MAGIC = 0x04034b50;

typedef struct entry {
    qn_zip_entry e;
    uint64_t begin, size; /* of the local header; of the data */
} entry;

struct qn_zip {
    qn_alloc *alloc;
    const char *name;
    qn_slice bytes;
    qn_arena arena;
    entry *entries;
    size_t count;
    qn_map by_name;
};

/* Where the directory is. */
typedef struct directory {
    uint64_t begin, size, count;
    uint64_t end; /* the first byte of the records behind it */
} directory;

static qn_status bad(const qn_zip *z, const char *what, qn_error *err)
{
    return qn_fail_file(err, QN_EMODEL, z->name, QN_AT_NONE, "zip: %s", what);
}

static qn_status bad_entry(const qn_zip *z, qn_slice name, const char *what,
                           qn_error *err)
{
    int n = (int)(name.n < 200 ? name.n : 200);
    return qn_fail_file(err, QN_EMODEL, z->name, QN_AT_NONE, "zip: entry \"%.*s\" %s",
                        n, name.p, what);
}

/* ---- the end ---------------------------------------------------------------- */

/* The end record: the last one whose comment reaches exactly to the end of the file. */
static bool find_end(const qn_zip *z, size_t *at)
{
    size_t n = z->bytes.n;
    if (n < END_SIZE) return false;
    for (size_t back = 0; back <= COMMENT_MAX && back + END_SIZE <= n; back++) {
        const char *p = z->bytes.p + n - END_SIZE - back;
        if (qn_load32(p) != END_MAGIC || qn_load16(p + 20) != back) continue;
        *at = n - END_SIZE - back;
        return true;
    }
    return false;
}

static qn_status read_end64(const qn_zip *z, size_t end, directory *d, qn_error *err)
{
    if (end < LOCATOR_SIZE) return QN_OK;
    const char *p = z->bytes.p + end - LOCATOR_SIZE;
    if (qn_load32(p) != LOCATOR_MAGIC) return QN_OK;
    uint64_t at = qn_load64(p + 8);
    if (qn_load32(p + 4) != 0 || qn_load32(p + 16) > 1)
        return qn_fail_file(err, QN_EUNSUPPORTED, z->name, QN_AT_NONE,
                            "zip: an archive in several parts");
    size_t limit = end - LOCATOR_SIZE;
    if (limit < END64_SIZE || at > limit - END64_SIZE)
        return bad(z, "the ZIP64 end record lies outside", err);
    p = z->bytes.p + at;
    if (qn_load32(p) != END64_MAGIC) return bad(z, "no ZIP64 end record", err);
    if (qn_load64(p + 4) != limit - at - 12)
        return bad(z, "the ZIP64 end record has another size", err);
    if (qn_load32(p + 16) != 0 || qn_load32(p + 20) != 0)
        return qn_fail_file(err, QN_EUNSUPPORTED, z->name, QN_AT_NONE,
                            "zip: an archive in several parts");
    if (qn_load64(p + 24) != qn_load64(p + 32))
        return bad(z, "two counts of entries differ", err);
    d->count = qn_load64(p + 32);
    d->size = qn_load64(p + 40);
    d->begin = qn_load64(p + 48);
    d->end = at;
    return QN_OK;
}

static qn_status read_end(const qn_zip *z, directory *d, qn_error *err)
{
    size_t end = 0;
    if (!find_end(z, &end)) return bad(z, "no end of directory: no zip, or cut", err);
    const char *p = z->bytes.p + end;
    *d = (directory){.begin = qn_load32(p + 16),
                     .size = qn_load32(p + 12),
                     .count = qn_load16(p + 10),
                     .end = end};
    if (qn_load16(p + 4) != 0 || qn_load16(p + 6) != 0)
        return qn_fail_file(err, QN_EUNSUPPORTED, z->name, QN_AT_NONE,
                            "zip: an archive in several parts");
    if (qn_load16(p + 8) != qn_load16(p + 10))
        return bad(z, "two counts of entries differ", err);
    bool large =
        d->begin == UINT32_MAX || d->size == UINT32_MAX || d->count == UINT16_MAX;
    uint64_t before = d->end;
    QN_TRY(read_end64(z, end, d, err));
    if (large && d->end == before)
        return bad(z, "the ZIP64 end record is missing", err);
    if (d->count > QN_ZIP_ENTRIES_MAX)
        return qn_fail_file(err, QN_ELIMIT, z->name, QN_AT_NONE,
                            "zip: %" PRIu64 " entries, at most %d", d->count,
                            QN_ZIP_ENTRIES_MAX);
    if (d->begin > d->end || d->size != d->end - d->begin)
        return bad(z, "the directory does not end where the end record begins", err);
    return QN_OK;
}

/* ---- the directory ---------------------------------------------------------- */

/* Numbers that are all ones in a directory entry stand in its ZIP64 field, in order. */
static bool read_extra64(const char *extra, size_t n, uint64_t *const *wanted,
                         size_t count)
{
    for (size_t at = 0; at + 4 <= n;) {
        size_t size = qn_load16(extra + at + 2);
        if (size > n - at - 4) return false;
        if (qn_load16(extra + at) == EXTRA_ZIP64) {
            if (size < 8 * count) return false;
            for (size_t i = 0; i < count; i++)
                *wanted[i] = qn_load64(extra + at + 4 + 8 * i);
            return true;
        }
        at += 4 + size;
    }
    return false;
}

/* Nothing that a careless program could take for a place outside. */
static bool name_ok(qn_slice name)
{
    if (name.n == 0 || name.n > QN_ZIP_NAME_MAX || name.p[0] == '/') return false;
    size_t part = 0;
    for (size_t i = 0; i <= name.n; i++) {
        if (i < name.n && (name.p[i] == '\\' || (unsigned char)name.p[i] < 0x20))
            return false;
        if (i < name.n && name.p[i] != '/') continue;
        if (i - part == 2 && name.p[part] == '.' && name.p[part + 1] == '.')
            return false;
        part = i + 1;
    }
    return true;
}

static qn_status read_local(const qn_zip *z, const directory *d, entry *t,
                            qn_error *err)
{
    qn_slice name = t->e.name;
    if (d->begin < LOCAL_SIZE || t->begin > d->begin - LOCAL_SIZE)
        return bad_entry(z, name, "begins outside of the archive", err);
    const char *p = z->bytes.p + t->begin;
    if (qn_load32(p) != LOCAL_MAGIC)
        return bad_entry(z, name, "has no header where the directory says", err);
    uint64_t data = t->begin + LOCAL_SIZE + qn_load16(p + 26) + qn_load16(p + 28);
    if (data > d->begin || t->size > d->begin - data)
        return bad_entry(z, name, "goes past the end", err);
    qn_slice here = {p + LOCAL_SIZE, qn_load16(p + 26)};
    if (!qn_slice_eq(here, name) || qn_load16(p + 8) != t->e.method)
        return bad_entry(z, name, "has another header than the directory says", err);
    t->e.data = (qn_slice){z->bytes.p + data, (size_t)t->size};
    return QN_OK;
}

/* One entry of the directory at *at, which moves behind it. */
static qn_status read_entry(qn_zip *z, const directory *d, uint64_t *at, qn_error *err)
{
    entry *t = &z->entries[z->count];
    uint64_t left = d->end - *at;
    const char *p = z->bytes.p + *at;
    if (left < ENTRY_SIZE || qn_load32(p) != ENTRY_MAGIC)
        return bad(z, "the directory is cut or has fewer entries than it says", err);
    size_t name = qn_load16(p + 28), extra = qn_load16(p + 30);
    size_t all = ENTRY_SIZE + name + extra + qn_load16(p + 32);
    if (all > left) return bad(z, "the directory is cut", err);
    unsigned flags = qn_load16(p + 8);
    t->e.name = (qn_slice){p + ENTRY_SIZE, name};
    t->e.method = qn_load16(p + 10);
    t->e.encrypted = (flags & (FLAG_ENCRYPTED | FLAG_STRONG | FLAG_MASKED)) != 0;
    uint64_t whole = qn_load32(p + 24);
    t->size = qn_load32(p + 20);
    t->begin = qn_load32(p + 42);
    if (!name_ok(t->e.name)) return bad_entry(z, t->e.name, "has a bad name", err);

    uint64_t *wanted[3];
    size_t count = 0;
    if (whole == UINT32_MAX) wanted[count++] = &whole;
    if (t->size == UINT32_MAX) wanted[count++] = &t->size;
    if (t->begin == UINT32_MAX) wanted[count++] = &t->begin;
    if (count > 0 && !read_extra64(p + ENTRY_SIZE + name, extra, wanted, count))
        return bad_entry(z, t->e.name, "lacks its ZIP64 sizes", err);
    if (t->e.method == 0 && !t->e.encrypted && whole != t->size)
        return bad_entry(z, t->e.name, "is stored and has two sizes", err);
    QN_TRY(read_local(z, d, t, err));
    if (qn_map_get(&z->by_name, t->e.name, NULL))
        return bad_entry(z, t->e.name, "is there twice", err);
    if (!qn_map_put(&z->by_name, t->e.name, 0)) return qn_fail(err, QN_ENOMEM, "zip");
    z->count++;
    *at += all;
    return QN_OK;
}

static int compare_place(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

static qn_status check_places(qn_zip *z, qn_error *err)
{
    if (z->count > 0) qsort(z->entries, z->count, sizeof *z->entries, compare_place);
    const char *end = z->bytes.p;
    for (size_t i = 0; i < z->count; i++) {
        const entry *t = &z->entries[i];
        if (z->bytes.p + t->begin < end)
            return bad_entry(z, t->e.name, "overlaps another", err);
        end = t->e.data.p + t->e.data.n;
        if (!qn_map_put(&z->by_name, t->e.name, i))
            return qn_fail(err, QN_ENOMEM, "zip");
    }
    return QN_OK;
}

static qn_status read_all(qn_zip *z, qn_error *err)
{
    directory d = {0};
    QN_TRY(read_end(z, &d, err));
    if (d.count > d.size / ENTRY_SIZE)
        return bad(z, "the directory has fewer entries than it says", err);
    z->entries = qn_arena_array(&z->arena, (size_t)d.count + 1, sizeof *z->entries);
    if (z->entries == NULL) return qn_fail(err, QN_ENOMEM, "zip");
    uint64_t at = d.begin;
    while (z->count < d.count) QN_TRY(read_entry(z, &d, &at, err));
    if (at != d.end) return bad(z, "the directory has more entries than it says", err);
    return check_places(z, err);
}

qn_status qn_zip_open(qn_alloc *a, qn_slice bytes, const char *name, qn_zip **out,
                      qn_error *err)
{
    *out = NULL;
    qn_zip *z = qn_new0(a, sizeof *z);
    if (z == NULL) return qn_fail(err, QN_ENOMEM, "zip");
    z->alloc = a;
    z->bytes = bytes;
    qn_arena_init(&z->arena, a, 0);
    qn_map_init(&z->by_name, a);
    z->name = qn_arena_strndup(&z->arena, name, strlen(name));
    qn_status st = z->name == NULL ? qn_fail(err, QN_ENOMEM, "zip") : read_all(z, err);
    if (st != QN_OK) {
        qn_zip_close(z);
        return st;
    }
    *out = z;
    return QN_OK;
}

void qn_zip_close(qn_zip *z)
{
    if (z == NULL) return;
    qn_map_deinit(&z->by_name);
    qn_arena_deinit(&z->arena);
    qn_delete(z->alloc, z);
}

size_t qn_zip_count(const qn_zip *z)
{
    return z->count;
}

const qn_zip_entry *qn_zip_at(const qn_zip *z, size_t i)
{
    return &z->entries[i].e;
}

const qn_zip_entry *qn_zip_find(const qn_zip *z, qn_slice name)
{
    uint64_t i = 0;
    return qn_map_get(&z->by_name, name, &i) ? &z->entries[i].e : NULL;
}

qn_status qn_zip_stored(const qn_zip *z, const qn_zip_entry *e, qn_slice *out,
                        qn_error *err)
{
    if (e->encrypted || e->method != 0)
        return qn_fail_file(err, QN_EUNSUPPORTED, z->name, QN_AT_NONE,
                            "zip: entry \"%.*s\" is %s", QN_SLICE_ARG(e->name),
                            e->encrypted ? "encrypted" : "compressed");
    *out = e->data;
    return QN_OK;
}

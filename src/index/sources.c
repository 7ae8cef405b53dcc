/* SPDX-License-Identifier: Apache-2.0 */
/* Sources of documents: packed about 16 KB at a time, unpacked to read one. */
#include "index/segment_internal.h"

#include <zstd.h>

/* The fastest level: sources are text, of which it keeps a third or so. */
enum { LEVEL = 1, SIZES_PER_DOC = 8 };

void qn_sources__init(sources *s, qn_alloc *a)
{
    *s = (sources){.alloc = a};
    qn_buf_init(&s->packed, a);
    qn_buf_init(&s->open_sizes, a);
    qn_buf_init(&s->open_bytes, a);
}

void qn_sources__deinit(sources *s)
{
    qn_vec_deinit(s->alloc, &s->entries);
    qn_buf_deinit(&s->packed);
    qn_buf_deinit(&s->open_sizes);
    qn_buf_deinit(&s->open_bytes);
    ZSTD_freeCCtx(s->compressor);
    s->compressor = NULL;
}

size_t qn_sources__bytes(const sources *s)
{
    return s->packed.capacity + s->open_sizes.capacity + s->open_bytes.capacity +
           s->entries.capacity * sizeof *s->entries.p +
           (s->compressor == NULL ? 0 : ZSTD_sizeof_CCtx(s->compressor));
}

static uint32_t open_count(const sources *s)
{
    return (uint32_t)(s->open_sizes.n / SIZES_PER_DOC);
}

static qn_status no_memory(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "sources of documents");
}

/* Appends the open block, compressed, to `out`. */
static qn_status pack_open(sources *s, qn_buf *out, uint32_t *raw_size, qn_error *err)
{
    if (s->compressor == NULL) s->compressor = ZSTD_createCCtx();
    if (s->compressor == NULL) return no_memory(err);
    qn_buf raw;
    qn_buf_init(&raw, s->alloc);
    qn_buf_add(&raw, s->open_sizes.p, s->open_sizes.n);
    qn_buf_add(&raw, s->open_bytes.p, s->open_bytes.n);
    size_t bound = ZSTD_compressBound(raw.n);
    char *room = raw.failed ? NULL : qn_buf_reserve(out, bound);
    size_t n = 0;
    if (room != NULL) {
        n = ZSTD_compressCCtx(s->compressor, room, bound, raw.p, raw.n, LEVEL);
        if (!ZSTD_isError(n)) out->n += n;
    }
    *raw_size = (uint32_t)raw.n;
    qn_buf_deinit(&raw);
    if (room == NULL) return no_memory(err);
    if (ZSTD_isError(n))
        return qn_fail(err, QN_ENOMEM, "sources: %s", ZSTD_getErrorName(n));
    return QN_OK;
}

qn_status qn_sources__close_block(sources *s, qn_error *err)
{
    if (open_count(s) == 0) return QN_OK;
    if (!qn_vec_grow(s->alloc, &s->entries)) return no_memory(err);
    source_entry e = {.first_doc = s->open_doc, .offset = s->packed.n};
    QN_TRY(pack_open(s, &s->packed, &e.raw_size, err));
    s->entries.p[s->entries.n++] = e;
    s->open_doc += open_count(s);
    qn_buf_reset(&s->open_sizes);
    qn_buf_reset(&s->open_bytes);
    return QN_OK;
}

/* Empty sources for the documents before `doc` that were given none. */
static qn_status pad_to(sources *s, uint32_t doc, qn_error *err)
{
    static const uint8_t none[SIZES_PER_DOC];
    while (s->open_doc + open_count(s) < doc)
        qn_buf_add(&s->open_sizes, none, sizeof none);
    if (!s->open_sizes.failed) return QN_OK;
    s->open_sizes.failed = false; /* what was appended stands; the next call goes on */
    return no_memory(err);
}

qn_status qn_sources__add(sources *s, uint32_t doc, qn_slice source, qn_slice extras,
                          qn_error *err)
{
    if (source.n > SOURCE_BLOCK_MAX / 4 || extras.n > SOURCE_BLOCK_MAX / 4)
        return qn_fail(err, QN_EDOCTOOLARGE, "a document's source has over %d bytes",
                       SOURCE_BLOCK_MAX / 4);
    QN_TRY(pad_to(s, doc, err));
    char *sizes = qn_buf_reserve(&s->open_sizes, SIZES_PER_DOC);
    char *room = qn_buf_reserve(&s->open_bytes, source.n + extras.n);
    if (sizes == NULL || room == NULL) {
        s->open_sizes.failed = s->open_bytes.failed = false;
        return no_memory(err);
    }
    qn_store32(sizes, (uint32_t)source.n);
    qn_store32(sizes + 4, (uint32_t)extras.n);
    s->open_sizes.n += SIZES_PER_DOC;
    qn_buf_add(&s->open_bytes, source.p, source.n);
    qn_buf_add(&s->open_bytes, extras.p, extras.n);
    s->next_doc = doc + 1;
    if (s->open_sizes.n + s->open_bytes.n < SOURCE_BLOCK) return QN_OK;
    return qn_sources__close_block(s, err);
}

bool qn_sources__find(qn_slice raw, uint32_t index, uint32_t count, qn_slice *source,
                      qn_slice *extras)
{
    uint64_t at = (uint64_t)count * SIZES_PER_DOC;
    if (at > raw.n || index >= count) return false;
    for (uint32_t i = 0; i < index; i++)
        at += (uint64_t)qn_load32(raw.p + (size_t)i * SIZES_PER_DOC) +
              qn_load32(raw.p + (size_t)i * SIZES_PER_DOC + 4);
    uint64_t source_size = qn_load32(raw.p + (size_t)index * SIZES_PER_DOC);
    uint64_t extras_size = qn_load32(raw.p + (size_t)index * SIZES_PER_DOC + 4);
    if (at > raw.n || source_size > raw.n - at ||
        extras_size > raw.n - at - source_size)
        return false;
    *source = (qn_slice){raw.p + at, source_size};
    if (extras != NULL) *extras = (qn_slice){raw.p + at + source_size, extras_size};
    return true;
}

bool qn_sources__unpack(qn_slice frame, uint32_t raw_size, qn_buf *scratch)
{
    qn_buf_reset(scratch);
    if (raw_size > SOURCE_BLOCK_MAX ||
        ZSTD_getFrameContentSize(frame.p, frame.n) != raw_size)
        return false;
    char *room = qn_buf_reserve(scratch, raw_size);
    if (room == NULL) return false;
    if (ZSTD_decompress(room, raw_size, frame.p, frame.n) != raw_size) return false;
    scratch->n = raw_size;
    return true;
}

qn_status qn_sources__get(const sources *s, uint32_t doc, qn_buf *scratch,
                          qn_slice *source, qn_slice *extras, qn_error *err)
{
    *source = (qn_slice){"", 0};
    if (extras != NULL) *extras = (qn_slice){"", 0};
    qn_buf_reset(scratch);
    if (doc >= s->open_doc) {
        if (doc - s->open_doc >= open_count(s)) return QN_OK; /* none was set */
        qn_buf_add(scratch, s->open_sizes.p, s->open_sizes.n);
        qn_buf_add(scratch, s->open_bytes.p, s->open_bytes.n);
        if (scratch->failed) return no_memory(err);
        qn_assert(qn_sources__find(qn_buf_slice(scratch), doc - s->open_doc,
                                   open_count(s), source, extras));
        return QN_OK;
    }
    size_t low = 0, high = s->entries.n;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (s->entries.p[middle].first_doc <= doc)
            low = middle;
        else
            high = middle;
    }
    const source_entry *e = &s->entries.p[low];
    bool last = low + 1 == s->entries.n;
    uint64_t limit = last ? s->packed.n : e[1].offset;
    uint32_t doc_limit = last ? s->open_doc : e[1].first_doc;
    qn_slice frame = {s->packed.p + e->offset, limit - e->offset};
    if (!qn_sources__unpack(frame, e->raw_size, scratch)) return no_memory(err);
    qn_assert(qn_sources__find(qn_buf_slice(scratch), doc - e->first_doc,
                               doc_limit - e->first_doc, source, extras));
    return QN_OK;
}

static void put_entry(qn_blockfile_writer *w, const source_entry *e)
{
    uint8_t bytes[SOURCE_ENTRY];
    qn_store32(bytes, e->first_doc);
    qn_store32(bytes + 4, e->raw_size);
    qn_store64(bytes + 8, e->offset);
    qn_blockfile_write(w, bytes, sizeof bytes);
}

qn_status qn_sources__write(sources *s, uint32_t doc_count, qn_blockfile_writer *w,
                            qn_error *err)
{
    QN_TRY(pad_to(s, doc_count, err));
    s->next_doc = doc_count;
    qn_buf tail;
    qn_buf_init(&tail, s->alloc);
    source_entry open = {.first_doc = s->open_doc, .offset = s->packed.n};
    if (open_count(s) > 0) {
        qn_status st = pack_open(s, &tail, &open.raw_size, err);
        if (st != QN_OK) {
            qn_buf_deinit(&tail);
            return st;
        }
    }
    uint8_t header[SEGMENT_HEADER] = {0};
    qn_store32(header, doc_count);
    qn_store32(header + 4, (uint32_t)(s->entries.n + (open_count(s) > 0)));
    qn_blockfile_begin(w, QN_BLOCK_SOURCES, 0);
    qn_blockfile_write(w, header, sizeof header);
    for (size_t i = 0; i < s->entries.n; i++) put_entry(w, &s->entries.p[i]);
    if (open_count(s) > 0) put_entry(w, &open);
    source_entry end = {.first_doc = doc_count, .offset = s->packed.n + tail.n};
    put_entry(w, &end);
    if (s->packed.n > 0) qn_blockfile_write(w, s->packed.p, s->packed.n);
    if (tail.n > 0) qn_blockfile_write(w, tail.p, tail.n);
    qn_buf_deinit(&tail);
    return qn_blockfile_end(w, err);
}

/* ---- reading back ------------------------------------------------------------------
 */

static qn_status corrupt(const qn_blockfile *f, uint64_t at, qn_error *err)
{
    return qn_segment__corrupt(f, QN_BLOCK_SOURCES, 0, at, "broken sources", err);
}

static uint32_t entry_first(const char *entries, uint32_t i)
{
    return qn_load32(entries + (size_t)i * SOURCE_ENTRY);
}

/* The table of frames, once its header is right. */
static qn_status view_frames(const qn_blockfile *f, qn_slice block, uint32_t doc_count,
                             uint32_t *count, qn_slice *data, qn_error *err)
{
    if (block.n < SEGMENT_HEADER) return corrupt(f, 0, err);
    *count = qn_load32(block.p + 4);
    uint64_t entries_size = ((uint64_t)*count + 1) * SOURCE_ENTRY;
    if (qn_load32(block.p) != doc_count || (*count == 0 && doc_count > 0) ||
        !qn_segment__zero(block.p + 8, SEGMENT_HEADER - 8) ||
        entries_size > block.n - SEGMENT_HEADER)
        return corrupt(f, 0, err);
    data->p = block.p + SEGMENT_HEADER + entries_size;
    data->n = (size_t)(block.n - SEGMENT_HEADER - entries_size);
    return QN_OK;
}

static bool frame_at(qn_slice block, qn_slice data, uint32_t i, uint32_t doc_count,
                     source_frame *out)
{
    const char *e = block.p + SEGMENT_HEADER + (size_t)i * SOURCE_ENTRY;
    uint64_t begin = qn_load64(e + 8), end = qn_load64(e + 8 + SOURCE_ENTRY);
    *out = (source_frame){.first_doc = qn_load32(e),
                          .doc_limit = qn_load32(e + SOURCE_ENTRY),
                          .raw_size = qn_load32(e + 4)};
    if (out->first_doc >= out->doc_limit || out->doc_limit > doc_count || begin > end ||
        end > data.n)
        return false;
    out->packed = (qn_slice){data.p + begin, (size_t)(end - begin)};
    return true;
}

qn_status qn_sources__frame(const qn_blockfile *f, qn_slice block, uint32_t doc_count,
                            uint32_t i, source_frame *out, uint32_t *count,
                            qn_error *err)
{
    qn_slice data;
    QN_TRY(view_frames(f, block, doc_count, count, &data, err));
    if (i >= *count || frame_at(block, data, i, doc_count, out)) return QN_OK;
    return corrupt(f, SEGMENT_HEADER + (uint64_t)i * SOURCE_ENTRY, err);
}

qn_status qn_sources__read(const qn_blockfile *f, qn_slice block, uint32_t doc,
                           uint32_t doc_count, qn_buf *scratch, qn_slice *source,
                           qn_slice *extras, qn_error *err)
{
    uint32_t count = 0;
    qn_slice data;
    QN_TRY(view_frames(f, block, doc_count, &count, &data, err));
    const char *entries = block.p + SEGMENT_HEADER;
    uint32_t low = 0, high = count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (entry_first(entries, middle) <= doc)
            low = middle;
        else
            high = middle;
    }
    uint64_t at = SEGMENT_HEADER + (uint64_t)low * SOURCE_ENTRY;
    source_frame e;
    if (!frame_at(block, data, low, doc_count, &e) || doc < e.first_doc ||
        doc >= e.doc_limit)
        return corrupt(f, at, err);
    if (!qn_sources__unpack(e.packed, e.raw_size, scratch)) {
        if (scratch->failed) return no_memory(err);
        return corrupt(f, at, err);
    }
    if (!qn_sources__find(qn_buf_slice(scratch), doc - e.first_doc,
                          e.doc_limit - e.first_doc, source, extras))
        return corrupt(f, at, err);
    return QN_OK;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Sources of documents as they lie in a segment. */
#include "index/segment_internal.h"

#include <zdict.h>

enum { SIZES_PER_DOC = 8 };

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

static qn_status corrupt(const qn_blockfile *f, uint64_t at, qn_error *err)
{
    return qn_segment__corrupt(f, QN_BLOCK_SOURCES, 0, at, "broken sources", err);
}

static uint32_t entry_first(const char *entries, uint32_t i)
{
    return qn_load32(entries + (size_t)i * SOURCE_ENTRY);
}

/* Dictionaries, of which each frame says by number which one it needs. */
static bool view_dicts(qn_slice rest, uint32_t n, uint64_t bytes, source_dicts *out,
                       qn_slice *data)
{
    uint64_t table = (uint64_t)n * SOURCE_DICT_ENTRY;
    if (n > SOURCE_DICTS_MAX || bytes > SOURCE_BLOCK_MAX || table + bytes > rest.n)
        return false;
    qn_slice left = {rest.p + table, (size_t)bytes};
    out->n = n;
    for (uint32_t i = 0; i < n; i++) {
        const char *e = rest.p + (size_t)i * SOURCE_DICT_ENTRY;
        uint32_t size = qn_load32(e + 4);
        out->ids[i] = qn_load32(e);
        if (size > left.n || out->ids[i] == 0 ||
            ZDICT_getDictID(left.p, size) != out->ids[i])
            return false;
        out->p[i] = (qn_slice){left.p, size};
        left = (qn_slice){left.p + size, left.n - size};
    }
    *data = (qn_slice){rest.p + table + bytes, (size_t)(rest.n - table - bytes)};
    return left.n == 0;
}

qn_status qn_sources__view(const qn_blockfile *f, qn_slice block, uint32_t doc_count,
                           source_view *out, qn_error *err)
{
    *out = (source_view){.block = block};
    if (block.n < SEGMENT_HEADER) return corrupt(f, 0, err);
    out->count = qn_load32(block.p + 4);
    uint64_t entries_size = ((uint64_t)out->count + 1) * SOURCE_ENTRY;
    if (qn_load32(block.p) != doc_count || (out->count == 0 && doc_count > 0) ||
        qn_load32(block.p + 12) != 0 ||
        !qn_segment__zero(block.p + 24, SEGMENT_HEADER - 24) ||
        entries_size > block.n - SEGMENT_HEADER)
        return corrupt(f, 0, err);
    out->doc_count = doc_count;
    qn_slice rest = {block.p + SEGMENT_HEADER + entries_size,
                     (size_t)(block.n - SEGMENT_HEADER - entries_size)};
    if (view_dicts(rest, qn_load32(block.p + 8), qn_load64(block.p + 16), &out->dicts,
                   &out->data))
        return QN_OK;
    return corrupt(f, SEGMENT_HEADER + entries_size, err);
}

static bool frame_at(const source_view *v, uint32_t i, source_frame *out)
{
    const char *e = v->block.p + SEGMENT_HEADER + (size_t)i * SOURCE_ENTRY;
    uint64_t begin = qn_load64(e + 8), end = qn_load64(e + 8 + SOURCE_ENTRY);
    *out = (source_frame){.first_doc = qn_load32(e),
                          .doc_limit = qn_load32(e + SOURCE_ENTRY),
                          .raw_size = qn_load32(e + 4)};
    if (out->first_doc >= out->doc_limit || out->doc_limit > v->doc_count ||
        begin > end || end > v->data.n)
        return false;
    out->packed = (qn_slice){v->data.p + begin, (size_t)(end - begin)};
    return true;
}

qn_status qn_sources__frame(const qn_blockfile *f, const source_view *v, uint32_t i,
                            source_frame *out, qn_error *err)
{
    if (frame_at(v, i, out)) return QN_OK;
    return corrupt(f, SEGMENT_HEADER + (uint64_t)i * SOURCE_ENTRY, err);
}

qn_status qn_sources__front(const qn_blockfile *f, qn_slice *block, qn_error *err)
{
    QN_TRY(qn_segment__part(f, QN_BLOCK_SOURCES, 0, 0, SEGMENT_HEADER, block, err));
    if (block->n < SEGMENT_HEADER) return corrupt(f, 0, err);
    uint64_t entries = ((uint64_t)qn_load32(block->p + 4) + 1) * SOURCE_ENTRY;
    uint64_t dicts = (uint64_t)qn_load32(block->p + 8) * SOURCE_DICT_ENTRY;
    uint64_t bytes = qn_load64(block->p + 16);
    if (bytes > block->n) return corrupt(f, 0, err);
    return qn_segment__part(f, QN_BLOCK_SOURCES, 0, 0,
                            SEGMENT_HEADER + entries + dicts + bytes, block, err);
}

qn_status qn_sources__read(const qn_blockfile *f, source_unpacker *u, qn_slice block,
                           uint32_t doc, uint32_t doc_count, qn_buf *scratch,
                           qn_slice *source, qn_slice *extras, qn_error *err)
{
    source_view v;
    QN_TRY(qn_sources__view(f, block, doc_count, &v, err));
    const char *entries = block.p + SEGMENT_HEADER;
    uint32_t low = 0, high = v.count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (entry_first(entries, middle) <= doc)
            low = middle;
        else
            high = middle;
    }
    uint64_t at = SEGMENT_HEADER + (uint64_t)low * SOURCE_ENTRY;
    source_frame e;
    if (!frame_at(&v, low, &e) || doc < e.first_doc || doc >= e.doc_limit)
        return corrupt(f, at, err);
    qn_slice checked;
    QN_TRY(qn_segment__part(f, QN_BLOCK_SOURCES, 0, (uint64_t)(e.packed.p - block.p),
                            e.packed.n, &checked, err));
    if (!qn_unpacker__run(u, &v.dicts, e.packed, e.raw_size, scratch)) {
        if (scratch->failed) return qn_fail(err, QN_ENOMEM, "sources of documents");
        return corrupt(f, at, err);
    }
    if (!qn_sources__find(qn_buf_slice(scratch), doc - e.first_doc,
                          e.doc_limit - e.first_doc, source, extras))
        return corrupt(f, at, err);
    return QN_OK;
}

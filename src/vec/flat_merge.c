/* SPDX-License-Identifier: Apache-2.0 */
/* Merging blocks of flat vectors: section after section, straight from the inputs to
 * the writer. */
#include "base/bits.h"
#include "vec/flat_internal.h"

static const flat *flat_of(const qn_vindex_merge_input *in)
{
    return (const flat *)(const void *)in->index; /* `base` is the first member */
}

static bool is_deleted(const qn_vindex_merge_input *in, uint32_t doc)
{
    return in->deleted != NULL && qn_bitset_has(in->deleted, doc);
}

static uint32_t doc_at(const flat *f, uint32_t row)
{
    return f->docs == NULL ? row : f->docs[row];
}

/* One more run of live rows: [*begin, *limit) from *limit on; false: there is none. */
static bool next_run(const qn_vindex_merge_input *in, uint32_t *begin, uint32_t *limit)
{
    const flat *f = flat_of(in);
    uint32_t row = *limit;
    while (row < f->count && is_deleted(in, doc_at(f, row))) row++;
    *begin = row;
    if (in->deleted == NULL) row = f->count;
    while (row < f->count && !is_deleted(in, doc_at(f, row))) row++;
    *limit = row;
    return *begin < *limit;
}

/* A section of `size` bytes a row, `base` giving its first byte. */
static void put_section(const qn_vindex_merge_input *inputs, size_t count,
                        const void *(*base)(const flat *f), size_t size,
                        qn_blockfile_writer *w)
{
    static const uint8_t zero[QN_BLOCK_ALIGN];
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if (inputs[i].index == NULL) continue;
        const uint8_t *rows = base(flat_of(&inputs[i]));
        for (uint32_t begin = 0, limit = 0; next_run(&inputs[i], &begin, &limit);) {
            size_t n = (size_t)(limit - begin) * size;
            qn_blockfile_write(w, rows + (size_t)begin * size, n);
            total += n;
        }
    }
    qn_blockfile_write(w, zero, (size_t)(qn_align_up(total, QN_BLOCK_ALIGN) - total));
}

static const void *rows_of(const flat *f)
{
    return f->i8 != NULL ? (const void *)f->i8 : (const void *)f->f32;
}

static const void *scales_of(const flat *f)
{
    return f->scales;
}

static const void *squares_of(const flat *f)
{
    return f->squares;
}

static const void *lengths_of(const flat *f)
{
    return f->lengths;
}

/* The documents of all rows in the new numbering. */
static void put_docs(const qn_vindex_merge_input *inputs, size_t count,
                     qn_blockfile_writer *w)
{
    static const uint8_t zero[QN_BLOCK_ALIGN];
    uint32_t chunk[1024], filled = 0, base = 0;
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        const flat *f = flat_of(&inputs[i]);
        uint32_t row = 0, live = 0;
        for (uint32_t doc = 0; doc < inputs[i].doc_count; doc++) {
            bool has = f != NULL && row < f->count && doc_at(f, row) == doc;
            row += has;
            if (is_deleted(&inputs[i], doc)) continue;
            if (has) {
                chunk[filled++] = base + live;
                total += sizeof *chunk;
            }
            live++;
            if (filled < sizeof chunk / sizeof *chunk) continue;
            qn_blockfile_write(w, chunk, filled * sizeof *chunk);
            filled = 0;
        }
        base += live;
    }
    qn_blockfile_write(w, chunk, filled * sizeof *chunk);
    qn_blockfile_write(w, zero, (size_t)(qn_align_up(total, QN_BLOCK_ALIGN) - total));
}

static qn_status count_rows(const qn_vindex_merge_input *inputs, size_t count,
                            const flat **like, uint32_t *rows, uint32_t *docs,
                            qn_error *err)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t live = inputs[i].doc_count;
        for (uint32_t doc = 0; doc < inputs[i].doc_count; doc++)
            live -= is_deleted(&inputs[i], doc);
        *docs += live;
        const flat *f = flat_of(&inputs[i]);
        if (f == NULL) continue;
        if (f->base.kind != &qn_flat_kind || f->doc_count != inputs[i].doc_count)
            return qn_fail(err, QN_EINVAL, "vectors that cannot be merged");
        if (*like == NULL) *like = f;
        if (f->metric != (*like)->metric || f->element != (*like)->element ||
            f->raw != (*like)->raw || f->dims != (*like)->dims)
            return qn_fail(err, QN_EINVAL, "vectors of different kinds in one field");
        for (uint32_t begin = 0, limit = 0; next_run(&inputs[i], &begin, &limit);)
            *rows += limit - begin;
    }
    return QN_OK;
}

qn_status qn_vindex_merge(const qn_vindex_merge_input *inputs, size_t count,
                          uint32_t field, qn_blockfile_writer *w, qn_error *err)
{
    const flat *like = NULL;
    uint32_t rows = 0, docs = 0;
    QN_TRY(count_rows(inputs, count, &like, &rows, &docs, err));
    if (rows == 0) return QN_OK;
    bool map = rows < docs;
    uint8_t header[FLAT_HEADER] = {0};
    header[0] = FLAT_CODE;
    header[2] = (uint8_t)like->metric;
    header[3] = (uint8_t)like->element;
    header[4] = (uint8_t)((like->raw ? FLAT_RAW : 0) | (map ? FLAT_MAP : 0));
    qn_store32(header + 8, like->dims);
    qn_store32(header + 12, rows);
    qn_store32(header + 16, docs);
    size_t row_size = like->dims * (like->i8 != NULL ? 1 : sizeof(float));
    qn_blockfile_begin(w, QN_BLOCK_VINDEX, field);
    qn_blockfile_write(w, header, sizeof header);
    if (map) put_docs(inputs, count, w);
    put_section(inputs, count, rows_of, row_size, w);
    if (like->scales != NULL) put_section(inputs, count, scales_of, sizeof(float), w);
    if (like->squares != NULL)
        put_section(inputs, count, squares_of, sizeof(int32_t), w);
    if (like->lengths != NULL) put_section(inputs, count, lengths_of, sizeof(float), w);
    return qn_blockfile_end(w, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a column; read back by column.c. */
#include "index/segment_internal.h"

#include <math.h>

/* What the values need, found in one pass. */
typedef struct shape {
    uint8_t flags, width;
    uint64_t min_bits, max_bits, dict_bytes;
    int64_t base; /* integers and ordinals are stored as what they are above it */
} shape;

static uint8_t width_for(uint64_t range)
{
    if (range == 0) return 0;
    if (range <= UINT8_MAX) return 1;
    if (range <= UINT16_MAX) return 2;
    return range <= UINT32_MAX ? 4 : 8;
}

static double as_double(uint64_t bits)
{
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

static uint64_t double_bits(double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    return bits;
}

static void shape_floats(const column_values *c, shape *s)
{
    double min = 0, max = 0;
    bool any = false;
    for (size_t i = 0; i < c->count; i++) {
        double v = as_double(c->values[i]);
        if (isnan(v)) continue;
        if (!any || v < min) min = v;
        if (!any || v > max) max = v;
        any = true;
    }
    s->min_bits = double_bits(min);
    s->max_bits = double_bits(max);
    s->width = c->type == QN_FIELD_FLOAT ? 4 : 8;
}

static void shape_integers(const column_values *c, shape *s)
{
    int64_t min = 0, max = 0;
    for (size_t i = 0; i < c->count; i++) {
        int64_t v = (int64_t)c->values[i];
        if (i == 0 || v < min) min = v;
        if (i == 0 || v > max) max = v;
    }
    s->min_bits = (uint64_t)min;
    s->max_bits = (uint64_t)max;
    s->base = min;
    s->width = width_for((uint64_t)max - (uint64_t)min);
}

static void shape_keywords(const column_values *c, shape *s)
{
    s->width = width_for(c->dict_count - 1);
    for (uint32_t i = 0; i < c->dict_count; i++) s->dict_bytes += c->dict[i].n;
}

static void shape_of(const column_values *c, shape *s)
{
    *s = (shape){0};
    if (qn_column__is_float(c->type))
        shape_floats(c, s);
    else if (c->type == QN_FIELD_KEYWORD)
        shape_keywords(c, s);
    else
        shape_integers(c, s);
    uint32_t with_value = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (i > 0 && c->docs[i] == c->docs[i - 1])
            s->flags |= COLUMN_MULTI;
        else
            with_value++;
    }
    if (with_value < c->doc_count) s->flags |= COLUMN_MISSING;
}

/* ---- sections ------------------------------------------------------------------- */

static void pad(qn_blockfile_writer *w, uint64_t size)
{
    static const uint8_t zero[8];
    qn_blockfile_write(w, zero, (size_t)(qn_align_up(size, 8) - size));
}

static void put_header(const column_values *c, const shape *s, qn_blockfile_writer *w)
{
    uint8_t header[SEGMENT_HEADER] = {0};
    header[0] = (uint8_t)c->type;
    header[2] = s->flags;
    header[3] = s->width;
    qn_store32(header + 4, c->doc_count);
    qn_store64(header + 8, c->count);
    qn_store64(header + 16, s->min_bits);
    qn_store64(header + 24, s->max_bits);
    qn_store32(header + 32, c->dict_count);
    qn_store64(header + 40, s->dict_bytes);
    qn_blockfile_write(w, header, sizeof header);
}

static qn_status put_present(const column_values *c, qn_alloc *a,
                             qn_blockfile_writer *w, qn_error *err)
{
    size_t words = qn_bitset_words(c->doc_count);
    uint64_t *bits = qn_new_array(a, words, sizeof *bits);
    if (bits == NULL) return qn_fail(err, QN_ENOMEM, "a column");
    for (size_t i = 0; i < c->count; i++) qn_bitset_add(bits, c->docs[i]);
    qn_blockfile_write(w, bits, words * sizeof *bits);
    qn_delete(a, bits);
    return QN_OK;
}

static qn_status put_offsets(const column_values *c, qn_alloc *a,
                             qn_blockfile_writer *w, qn_error *err)
{
    size_t n = (size_t)c->doc_count + 1, place = 0;
    uint32_t *offsets = qn_new_array(a, n, sizeof *offsets);
    if (offsets == NULL) return qn_fail(err, QN_ENOMEM, "a column");
    for (uint32_t doc = 0; doc < c->doc_count; doc++) {
        offsets[doc] = (uint32_t)place;
        while (place < c->count && c->docs[place] == doc) place++;
    }
    offsets[c->doc_count] = (uint32_t)place;
    qn_blockfile_write(w, offsets, n * sizeof *offsets);
    pad(w, n * sizeof *offsets);
    qn_delete(a, offsets);
    return QN_OK;
}

static void store_value(const column_values *c, const shape *s, uint64_t bits,
                        uint8_t *out)
{
    if (c->type == QN_FIELD_FLOAT) {
        float f = (float)as_double(bits);
        memcpy(out, &f, sizeof f);
        return;
    }
    if (!qn_column__is_float(c->type)) bits -= (uint64_t)s->base;
    memcpy(out, &bits, s->width); /* little-endian: the low bytes come first */
}

static qn_status put_values(const column_values *c, const shape *s, qn_alloc *a,
                            qn_blockfile_writer *w, qn_error *err)
{
    bool multi = s->flags & COLUMN_MULTI;
    size_t n = multi ? c->count : c->doc_count;
    uint8_t *bytes = qn_new_array(a, n, s->width);
    if (bytes == NULL) return qn_fail(err, QN_ENOMEM, "a column");
    for (size_t i = 0; i < c->count; i++) {
        size_t place = multi ? i : c->docs[i];
        store_value(c, s, c->values[i], bytes + place * s->width);
    }
    qn_blockfile_write(w, bytes, n * s->width);
    pad(w, n * s->width);
    qn_delete(a, bytes);
    return QN_OK;
}

static void put_dict(const column_values *c, const shape *s, qn_blockfile_writer *w)
{
    uint8_t bytes[4];
    uint32_t offset = 0;
    for (uint32_t i = 0; i <= c->dict_count; i++) {
        qn_store32(bytes, offset);
        qn_blockfile_write(w, bytes, sizeof bytes);
        if (i < c->dict_count) offset += (uint32_t)c->dict[i].n;
    }
    pad(w, ((uint64_t)c->dict_count + 1) * 4);
    for (uint32_t i = 0; i < c->dict_count; i++)
        if (c->dict[i].n > 0) qn_blockfile_write(w, c->dict[i].p, c->dict[i].n);
    pad(w, s->dict_bytes);
}

qn_status qn_column__write(const column_values *c, uint32_t field, qn_alloc *a,
                           qn_blockfile_writer *w, qn_error *err)
{
    shape s;
    shape_of(c, &s);
    if (c->count > UINT32_MAX || s.dict_bytes > UINT32_MAX)
        return qn_fail(err, QN_ELIMIT, "a column is over 4 GB");
    qn_blockfile_begin(w, QN_BLOCK_COLUMN, field);
    put_header(c, &s, w);
    qn_status st = QN_OK;
    /* With several values a document, an empty range says missing. */
    if (s.flags & COLUMN_MULTI)
        QN_TRY_TO(end, put_offsets(c, a, w, err));
    else if (s.flags & COLUMN_MISSING)
        QN_TRY_TO(end, put_present(c, a, w, err));
    QN_TRY_TO(end, put_values(c, &s, a, w, err));
    if (c->type == QN_FIELD_KEYWORD) put_dict(c, &s, w);
end:;
    qn_status ended = qn_blockfile_end(w, st == QN_OK ? err : NULL);
    return st != QN_OK ? st : ended;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a column; read back by column.c. */
#include "index/column_pack.h"
#include "index/segment_builder.h"
#include "index/segment_internal.h"

#include <math.h>

/* What the values need, found in one pass, and room for keys. */
typedef struct shape {
    uint8_t flags;
    uint64_t min_bits, max_bits, dict_bytes;
    uint64_t *present; /* a bit a document; NULL: all there, or several values */
    int64_t *keys;     /* by place */
    uint64_t key_count;
} shape;

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
}

/* Values by rank are smaller where most documents have none, but cost a count of bits
 * to read. */
static void shape_of(const column_values *c, shape *s)
{
    *s = (shape){0};
    if (qn_column__is_float(c->type))
        shape_floats(c, s);
    else if (c->type != QN_FIELD_KEYWORD && c->type != QN_FIELD_GEO)
        shape_integers(c, s);
    for (uint32_t i = 0; i < c->dict_count; i++) s->dict_bytes += c->dict[i].n;
    uint32_t with_value = 0;
    for (size_t i = 0; i < c->count; i++) {
        if (i > 0 && c->docs[i] == c->docs[i - 1])
            s->flags |= COLUMN_MULTI;
        else
            with_value++;
    }
    if (with_value < c->doc_count) s->flags |= COLUMN_MISSING;
    if (!(s->flags & COLUMN_MULTI) && with_value < c->doc_count / 2)
        s->flags |= COLUMN_RANKED;
    s->key_count = s->flags & (COLUMN_MULTI | COLUMN_RANKED) ? c->count : c->doc_count;
}

/* ---- sections ------------------------------------------------------------------- */

static void put_header(const column_values *c, const shape *s, qn_blockfile_writer *w)
{
    uint8_t header[SEGMENT_HEADER] = {0};
    header[0] = (uint8_t)c->type;
    header[1] = COLUMN_CODEC;
    header[2] = s->flags;
    qn_store32(header + 4, c->doc_count);
    qn_store64(header + 8, c->count);
    qn_store64(header + 16, s->min_bits);
    qn_store64(header + 24, s->max_bits);
    qn_store32(header + 32, c->dict_count);
    qn_store64(header + 40, s->dict_bytes);
    qn_blockfile_write(w, header, sizeof header);
}

static qn_status put_present(const column_values *c, shape *s, qn_alloc *a,
                             qn_blockfile_writer *w, qn_error *err)
{
    size_t words = qn_bitset_words(c->doc_count);
    s->present = qn_new_array(a, words, sizeof *s->present);
    if (s->present == NULL) return qn_fail(err, QN_ENOMEM, "a column");
    for (size_t i = 0; i < c->count; i++) qn_bitset_add(s->present, c->docs[i]);
    qn_blockfile_write(w, s->present, words * sizeof *s->present);
    if (!(s->flags & COLUMN_RANKED)) return QN_OK;
    uint32_t n = 0;
    uint64_t blocks = ((uint64_t)c->doc_count + QN_COLUMN_BLOCK) / QN_COLUMN_BLOCK;
    for (uint64_t block = 0, word = 0; block < blocks; block++) {
        uint8_t bytes[4];
        qn_store32(bytes, n);
        qn_blockfile_write(w, bytes, sizeof bytes);
        for (; word < words && word < (block + 1) * (QN_COLUMN_BLOCK / 64); word++)
            n += (uint32_t)__builtin_popcountll(s->present[word]);
    }
    qn_packed__pad(w, blocks * 4);
    return QN_OK;
}

static qn_status put_places(const column_values *c, qn_alloc *a, qn_blockfile_writer *w,
                            qn_error *err)
{
    size_t n = (size_t)c->doc_count + 1, place = 0;
    int64_t *places = qn_new_array(a, n, sizeof *places);
    if (places == NULL) return qn_fail(err, QN_ENOMEM, "a column");
    for (uint32_t doc = 0; doc < c->doc_count; doc++) {
        places[doc] = (int64_t)place;
        while (place < c->count && c->docs[place] == doc) place++;
    }
    places[c->doc_count] = (int64_t)place;
    qn_status st = qn_packed__write(places, n, NULL, a, w, err);
    qn_delete(a, places);
    return st;
}

/* A point's half, or the value's key. */
static int64_t key_of(const column_values *c, uint64_t bits, bool longitude)
{
    if (c->type == QN_FIELD_GEO)
        return (int32_t)(uint32_t)(longitude ? bits : bits >> 32);
    return qn_column__is_float(c->type) ? qn_column_key_f64(c->type, as_double(bits))
                                        : (int64_t)bits;
}

static qn_status put_values(const column_values *c, shape *s, bool longitude,
                            qn_alloc *a, qn_blockfile_writer *w, qn_error *err)
{
    bool by_doc = !(s->flags & (COLUMN_MULTI | COLUMN_RANKED));
    if (s->keys == NULL)
        s->keys = qn_new_array(a, (size_t)s->key_count + 1, sizeof *s->keys);
    if (s->keys == NULL) return qn_fail(err, QN_ENOMEM, "a column");
    for (size_t i = 0; i < c->count; i++)
        s->keys[by_doc ? c->docs[i] : i] = key_of(c, c->values[i], longitude);
    return qn_packed__write(s->keys, s->key_count, by_doc ? s->present : NULL, a, w,
                            err);
}

static qn_status put_dict(const column_values *c, const shape *s, qn_alloc *a,
                          qn_blockfile_writer *w, qn_error *err)
{
    int64_t *places = qn_new_array(a, (size_t)c->dict_count + 1, sizeof *places);
    if (places == NULL) return qn_fail(err, QN_ENOMEM, "a column");
    for (uint32_t i = 0; i < c->dict_count; i++)
        places[i + 1] = places[i] + (int64_t)c->dict[i].n;
    qn_status st =
        qn_packed__write(places, (uint64_t)c->dict_count + 1, NULL, a, w, err);
    qn_delete(a, places);
    for (uint32_t i = 0; i < c->dict_count; i++)
        if (c->dict[i].n > 0) qn_blockfile_write(w, c->dict[i].p, c->dict[i].n);
    qn_packed__pad(w, s->dict_bytes);
    return st;
}

static qn_status put_sections(const column_values *c, shape *s, qn_alloc *a,
                              qn_blockfile_writer *w, qn_error *err)
{
    /* With several values a document, an empty range says missing. */
    if (s->flags & COLUMN_MULTI)
        QN_TRY(put_places(c, a, w, err));
    else if (s->flags & COLUMN_MISSING)
        QN_TRY(put_present(c, s, a, w, err));
    QN_TRY(put_values(c, s, false, a, w, err));
    if (c->type == QN_FIELD_GEO) QN_TRY(put_values(c, s, true, a, w, err));
    return c->type == QN_FIELD_KEYWORD ? put_dict(c, s, a, w, err) : QN_OK;
}

/* Numbers and dates; not the engine's own. */
static bool has_points(const column_values *c, uint32_t field)
{
    return !c->no_points && c->type != QN_FIELD_KEYWORD && c->type != QN_FIELD_BOOL &&
           c->type != QN_FIELD_GEO && field < QN_FIELD_INTERNAL;
}

/* Keys by value: where the column has them by document, closed up. */
static qn_status put_points(const column_values *c, shape *s, uint32_t field,
                            qn_alloc *a, qn_blockfile_writer *w, qn_error *err)
{
    for (size_t i = 0; s->key_count != c->count && i < c->count; i++)
        s->keys[i] = s->keys[c->docs[i]];
    return qn_points__write(s->keys, c->docs, c->count, field, a, w, err);
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
    qn_status st = put_sections(c, &s, a, w, err);
    qn_status ended = qn_blockfile_end(w, st == QN_OK ? err : NULL);
    if (st == QN_OK) st = ended;
    if (st == QN_OK && has_points(c, field)) st = put_points(c, &s, field, a, w, err);
    qn_delete(a, s.present);
    qn_delete(a, s.keys);
    return st;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "index/column.h"

#include "index/segment_internal.h"

#include <math.h>

/* ---- opening ----------------------------------------------------------------------
 */

static bool is_column_type(uint8_t type)
{
    return type >= QN_FIELD_KEYWORD && type <= QN_FIELD_DATE;
}

static bool is_width(const qn_column *c)
{
    if (c->type == QN_FIELD_FLOAT) return c->width == 4;
    if (c->type == QN_FIELD_DOUBLE) return c->width == 8;
    if (c->width == 8) return c->type != QN_FIELD_KEYWORD;
    return c->width == 0 || c->width == 1 || c->width == 2 || c->width == 4;
}

/* Takes `size` bytes off the block, and the zeros up to the next multiple of 8. */
static const uint8_t *take(qn_slice *rest, uint64_t size)
{
    uint64_t padded = qn_align_up(size, 8);
    if (padded < size || padded > rest->n ||
        !qn_segment__zero(rest->p + size, (size_t)(padded - size)))
        return NULL;
    const uint8_t *p = (const uint8_t *)rest->p;
    rest->p += padded;
    rest->n -= padded;
    return p;
}

static bool read_header(qn_column *c, qn_slice *rest, uint32_t doc_count,
                        uint64_t *dict_bytes)
{
    const uint8_t *p = take(rest, SEGMENT_HEADER);
    if (p == NULL || !is_column_type(p[0]) || p[1] != 0 ||
        p[2] > (COLUMN_MULTI | COLUMN_MISSING) ||
        !qn_segment__zero((const char *)p + 36, 4) ||
        !qn_segment__zero((const char *)p + 48, SEGMENT_HEADER - 48))
        return false;
    c->type = (qn_field_type)p[0];
    c->multi = p[2] & COLUMN_MULTI;
    c->has_missing = p[2] & COLUMN_MISSING;
    c->width = p[3];
    c->doc_count = qn_load32(p + 4);
    c->value_count = qn_load64(p + 8);
    c->min.i64 = (int64_t)qn_load64(p + 16);
    c->max.i64 = (int64_t)qn_load64(p + 24);
    c->dict_count = qn_load32(p + 32);
    *dict_bytes = qn_load64(p + 40);
    bool keyword = c->type == QN_FIELD_KEYWORD;
    return is_width(c) && c->doc_count == doc_count && c->value_count <= UINT32_MAX &&
           *dict_bytes <= UINT32_MAX && (keyword ? c->dict_count > 0 : true) &&
           (keyword || (c->dict_count == 0 && *dict_bytes == 0)) &&
           (c->multi || c->value_count <= doc_count);
}

static bool lay_sections(qn_column *c, qn_slice *rest, uint64_t dict_bytes)
{
    if (c->has_missing && !c->multi) {
        c->present = take(rest, (uint64_t)qn_bitset_words(c->doc_count) * 8);
        if (c->present == NULL) return false;
    }
    if (c->multi) {
        c->offsets = take(rest, ((uint64_t)c->doc_count + 1) * 4);
        if (c->offsets == NULL) return false;
    }
    c->values = take(rest, (c->multi ? c->value_count : c->doc_count) * c->width);
    if (c->values == NULL) return false;
    if (c->type == QN_FIELD_KEYWORD) {
        c->dict_offsets = take(rest, ((uint64_t)c->dict_count + 1) * 4);
        c->dict_bytes = c->dict_offsets == NULL ? NULL : take(rest, dict_bytes);
        if (c->dict_bytes == NULL) return false;
    }
    return rest->n == 0;
}

static bool present(const qn_column *c, uint32_t doc)
{
    if (c->present == NULL) return true;
    return (c->present[doc / 8] >> (doc % 8)) & 1;
}

/* ---- validating whole --------------------------------------------------------------
 */

static bool offsets_rise(const uint8_t *offsets, uint32_t count, uint64_t end)
{
    uint32_t before = 0;
    if (qn_load32(offsets) != 0) return false;
    for (uint32_t i = 1; i <= count; i++) {
        uint32_t at = qn_load32(offsets + (size_t)i * 4);
        if (at < before) return false;
        before = at;
    }
    return before == end;
}

static bool ordinals_fit(const qn_column *c)
{
    uint64_t n = c->multi ? c->value_count : c->doc_count;
    for (uint64_t i = 0; i < n; i++)
        if (qn_column_value_ord(c, i) >= c->dict_count) return false;
    return true;
}

static bool dict_sorted(const qn_column *c)
{
    for (uint32_t i = 1; i < c->dict_count; i++)
        if (qn_slice_compare(qn_column_bytes(c, i - 1), qn_column_bytes(c, i)) >= 0)
            return false;
    return true;
}

static bool present_count_fits(const qn_column *c)
{
    uint64_t n = 0;
    for (uint32_t doc = 0; doc < c->doc_count; doc++) n += qn_column_has(c, doc);
    return (c->multi || n == c->value_count) && c->has_missing == (n < c->doc_count);
}

/* Everything that a read relies on, so that reads need not look again. */
static bool all_values_fit(const qn_column *c, uint64_t dict_bytes)
{
    if (c->multi && !offsets_rise(c->offsets, c->doc_count, c->value_count))
        return false;
    if (!present_count_fits(c)) return false;
    if (c->type != QN_FIELD_KEYWORD) return true;
    return offsets_rise(c->dict_offsets, c->dict_count, dict_bytes) && dict_sorted(c) &&
           ordinals_fit(c);
}

qn_status qn_column__init(qn_column *c, const qn_blockfile *f, uint32_t field,
                          uint32_t doc_count, bool thorough, qn_error *err)
{
    *c = (qn_column){0};
    qn_slice rest;
    uint64_t dict_bytes = 0;
    QN_TRY(qn_segment__block(f, QN_BLOCK_COLUMN, field, &rest, err));
    if (!read_header(c, &rest, doc_count, &dict_bytes) ||
        !lay_sections(c, &rest, dict_bytes) ||
        (thorough && !all_values_fit(c, dict_bytes))) {
        *c = (qn_column){0};
        return qn_segment__corrupt(f, QN_BLOCK_COLUMN, field, 0, "broken column", err);
    }
    return QN_OK;
}

/* ---- reading ------------------------------------------------------------------------
 */

static uint64_t load_value(const qn_column *c, uint64_t place)
{
    switch (c->width) {
    case 1:
        return c->values[place];
    case 2:
        return qn_load16(c->values + place * 2);
    case 4:
        return qn_load32(c->values + place * 4);
    case 8:
        return qn_load64(c->values + place * 8);
    default:
        return 0;
    }
}

int64_t qn_column_value_i64(const qn_column *c, uint64_t place)
{
    return (int64_t)((uint64_t)c->min.i64 + load_value(c, place));
}

double qn_column_value_f64(const qn_column *c, uint64_t place)
{
    uint64_t bits = load_value(c, place);
    if (c->type == QN_FIELD_FLOAT) return (double)qn_bits_float((uint32_t)bits);
    if (c->type != QN_FIELD_DOUBLE) return (double)qn_column_value_i64(c, place);
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

uint32_t qn_column_value_ord(const qn_column *c, uint64_t place)
{
    return (uint32_t)load_value(c, place);
}

void qn_column_range(const qn_column *c, uint32_t doc, uint64_t *begin, uint64_t *limit)
{
    if (c->multi) {
        *begin = qn_load32(c->offsets + (size_t)doc * 4);
        *limit = qn_load32(c->offsets + (size_t)doc * 4 + 4);
    } else {
        *begin = doc;
        *limit = (uint64_t)doc + present(c, doc);
    }
}

bool qn_column_has(const qn_column *c, uint32_t doc)
{
    uint64_t begin = 0, limit = 0;
    qn_column_range(c, doc, &begin, &limit);
    return begin < limit;
}

/* The place of a document's first value; false when it has none. */
static inline bool first_place(const qn_column *c, uint32_t doc, uint64_t *place)
{
    uint64_t limit = 0;
    qn_column_range(c, doc, place, &limit);
    return *place < limit;
}

static void clear_missing(uint64_t *missing, size_t n)
{
    if (missing != NULL) memset(missing, 0, qn_bitset_words(n) * sizeof *missing);
}

void qn_column_get_i64(const qn_column *c, const uint32_t *docs, size_t n, int64_t *out,
                       uint64_t *missing)
{
    clear_missing(missing, n);
    if (!c->multi && !c->has_missing) {
        for (size_t i = 0; i < n; i++) out[i] = qn_column_value_i64(c, docs[i]);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint64_t place = 0;
        bool there = first_place(c, docs[i], &place);
        out[i] = there ? qn_column_value_i64(c, place) : 0;
        if (!there && missing != NULL) qn_bitset_add(missing, i);
    }
}

void qn_column_get_f64(const qn_column *c, const uint32_t *docs, size_t n, double *out,
                       uint64_t *missing)
{
    clear_missing(missing, n);
    for (size_t i = 0; i < n; i++) {
        uint64_t place = 0;
        bool there = first_place(c, docs[i], &place);
        out[i] = there ? qn_column_value_f64(c, place) : 0.0;
        if (!there && missing != NULL) qn_bitset_add(missing, i);
    }
}

void qn_column_get_ord(const qn_column *c, const uint32_t *docs, size_t n,
                       uint32_t *out)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t place = 0;
        out[i] = first_place(c, docs[i], &place) ? qn_column_value_ord(c, place)
                                                 : QN_ORD_NONE;
    }
}

qn_slice qn_column_bytes(const qn_column *c, uint32_t ord)
{
    uint32_t begin = qn_load32(c->dict_offsets + (size_t)ord * 4);
    uint32_t limit = qn_load32(c->dict_offsets + (size_t)ord * 4 + 4);
    return (qn_slice){(const char *)c->dict_bytes + begin, limit - begin};
}

uint32_t qn_column_lower_bound(const qn_column *c, qn_slice bytes)
{
    uint32_t low = 0, high = c->dict_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (qn_slice_compare(qn_column_bytes(c, middle), bytes) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t qn_column_find(const qn_column *c, qn_slice bytes)
{
    uint32_t ord = qn_column_lower_bound(c, bytes);
    if (ord == c->dict_count || !qn_slice_eq(qn_column_bytes(c, ord), bytes))
        return QN_ORD_NONE;
    return ord;
}

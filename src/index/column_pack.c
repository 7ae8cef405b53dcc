/* SPDX-License-Identifier: Apache-2.0 */
#include "index/column_pack.h"

#include "index/segment_internal.h"

/* ---- reading ----------------------------------------------------------------------- */

const uint8_t *qn_packed__take(qn_slice *rest, uint64_t size)
{
    uint64_t padded = qn_align_up(size, 8);
    if (padded < size || padded > rest->n ||
        !qn_segment__zero(rest->p + size, (size_t)(padded - size)))
        return NULL;
    const uint8_t *p = (const uint8_t *)rest->p;
    rest->p += padded;
    rest->n -= (size_t)padded;
    return p;
}

static uint64_t block_count(uint64_t count)
{
    return count / PACK_BLOCK + (count % PACK_BLOCK != 0);
}

/* Bytes of a block of n values: whole words. */
static uint64_t block_bytes(uint64_t n, uint32_t bits)
{
    return (n * bits + 63) / 64 * 8;
}

static bool is_bits(uint32_t bits)
{
    return bits <= 56 || bits == 64;
}

/* Each block begins where the one before ends; *size is where the last one does. */
static bool entries_fit(const qn_packed *p, uint64_t *size)
{
    uint64_t at = 0;
    for (uint64_t i = 0; i * PACK_BLOCK < p->count; i++) {
        const uint8_t *e = qn_packed__entry(p, i);
        uint64_t left = p->count - i * PACK_BLOCK;
        bool empty = qn_packed__min(p, i) > qn_packed__max(p, i);
        if (!is_bits(e[24]) || qn_load64(e + 16) != at ||
            !qn_segment__zero((const char *)e + 25, PACK_ENTRY - 25) ||
            (p->flat && e[24] != p->bits) ||
            (empty &&
             (qn_packed__min(p, i) != INT64_MAX || qn_packed__max(p, i) != INT64_MIN)))
            return false;
        at += block_bytes(left < PACK_BLOCK ? left : PACK_BLOCK, e[24]);
    }
    *size = at;
    return true;
}

bool qn_packed__lay(qn_packed *p, uint64_t count, qn_slice *rest)
{
    *p = (qn_packed){0};
    const uint8_t *h = qn_packed__take(rest, PACK_HEADER);
    if (h == NULL || count > UINT32_MAX || qn_load64(h) != count ||
        !qn_segment__zero((const char *)h + 25, PACK_HEADER - 25))
        return false;
    p->count = count;
    p->base = (int64_t)qn_load64(h + 8);
    p->unit = qn_load64(h + 16);
    p->flat = h[24] != PACK_NOT_FLAT;
    p->bits = p->flat ? h[24] : 0;
    p->table = qn_packed__take(rest, block_count(count) * PACK_ENTRY);
    uint64_t size = 0;
    if (p->unit == 0 || !is_bits(p->bits) || p->table == NULL || !entries_fit(p, &size))
        return false;
    p->data = qn_packed__take(rest, size);
    const uint8_t *zero = p->data == NULL ? NULL : qn_packed__take(rest, 8);
    return zero != NULL && qn_load64(zero) == 0;
}

void qn_packed__run(const qn_packed *p, uint64_t begin, size_t n, int64_t *out)
{
    packed_block b = qn_packed__block(p, begin / PACK_BLOCK);
    begin %= PACK_BLOCK;
    for (size_t i = 0; i < n; i++)
        out[i] = (int64_t)(b.base + p->unit * qn_packed__raw(&b, begin + i));
}

/* ---- writing ------------------------------------------------------------------------ */

typedef struct pack_bounds {
    int64_t min, max;
} pack_bounds;

typedef struct pack_shape {
    pack_bounds all;
    uint64_t unit;
    bool flat;
    uint8_t bits; /* flat */
} pack_shape;

static bool counts(const uint64_t *present, uint64_t i)
{
    return present == NULL || qn_bitset_has(present, (size_t)i);
}

static pack_bounds bounds_of(const int64_t *values, uint64_t begin, uint64_t end,
                             const uint64_t *present)
{
    pack_bounds b = {INT64_MAX, INT64_MIN};
    for (uint64_t i = begin; i < end; i++) {
        if (!counts(present, i)) continue;
        if (values[i] < b.min) b.min = values[i];
        if (values[i] > b.max) b.max = values[i];
    }
    return b;
}

static uint64_t divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* What divides every distance from `min`; 1 where there is none. */
static uint64_t unit_of(const int64_t *values, uint64_t count, const uint64_t *present,
                        int64_t min)
{
    uint64_t unit = 0;
    for (uint64_t i = 0; i < count && unit != 1; i++)
        if (counts(present, i))
            unit = divisor((uint64_t)values[i] - (uint64_t)min, unit);
    return unit == 0 ? 1 : unit;
}

static uint8_t bits_for(pack_bounds b, uint64_t unit)
{
    if (b.min >= b.max) return 0;
    uint64_t range = ((uint64_t)b.max - (uint64_t)b.min) / unit;
    uint32_t bits = range == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(range);
    return (uint8_t)(bits > 56 ? 64 : bits);
}

/* Flat wins when its reads cost less than an eighth more bytes. */
static pack_shape shape_of(const int64_t *values, uint64_t count,
                           const uint64_t *present)
{
    pack_shape s = {.all = bounds_of(values, 0, count, present)};
    s.unit = unit_of(values, count, present, s.all.min);
    s.bits = bits_for(s.all, s.unit);
    uint64_t packed = 0;
    for (uint64_t at = 0; at < count; at += PACK_BLOCK) {
        uint64_t end = count - at < PACK_BLOCK ? count : at + PACK_BLOCK;
        packed += block_bytes(end - at,
                              bits_for(bounds_of(values, at, end, present), s.unit));
    }
    s.flat = block_bytes(count, s.bits) <= packed + packed / 8;
    return s;
}

static void put_entry(pack_bounds b, uint64_t at, uint8_t bits, qn_blockfile_writer *w)
{
    uint8_t e[PACK_ENTRY] = {0};
    qn_store64(e, (uint64_t)b.min);
    qn_store64(e + 8, (uint64_t)b.max);
    qn_store64(e + 16, at);
    e[24] = bits;
    qn_blockfile_write(w, e, sizeof e);
}

static void pack_block(const int64_t *values, uint64_t begin, uint64_t end,
                       const uint64_t *present, uint64_t base, uint64_t unit,
                       uint8_t bits, qn_blockfile_writer *w)
{
    uint64_t words[PACK_BLOCK + 1] = {0};
    for (uint64_t i = begin; i < end && bits > 0; i++) {
        if (!counts(present, i)) continue;
        uint64_t raw = (uint64_t)values[i] - base, bit = (i - begin) * bits;
        if (unit != 1) raw /= unit; /* nearly always 1, and a division is dear */
        words[bit / 64] |= raw << (bit % 64);
        if (bit % 64 + bits > 64) words[bit / 64 + 1] |= raw >> (64 - bit % 64);
    }
    size_t size = (size_t)block_bytes(end - begin, bits);
    if (size > 0) qn_blockfile_write(w, words, size);
}

void qn_packed__pad(qn_blockfile_writer *w, uint64_t size)
{
    static const uint8_t zero[8];
    size_t n = (size_t)(qn_align_up(size, 8) - size);
    if (n > 0) qn_blockfile_write(w, zero, n);
}

static void put_header(const pack_shape *s, uint64_t count, qn_blockfile_writer *w)
{
    uint8_t h[PACK_HEADER] = {0};
    qn_store64(h, count);
    qn_store64(h + 8, s->all.min > s->all.max ? 0 : (uint64_t)s->all.min);
    qn_store64(h + 16, s->unit);
    h[24] = s->flat ? s->bits : PACK_NOT_FLAT;
    qn_blockfile_write(w, h, sizeof h);
}

qn_status qn_packed__write(const int64_t *values, uint64_t count,
                           const uint64_t *present, qn_alloc *a, qn_blockfile_writer *w,
                           qn_error *err)
{
    pack_shape s = shape_of(values, count, present);
    size_t blocks = (size_t)block_count(count);
    pack_bounds *bounds = qn_new_array(a, blocks + 1, sizeof *bounds);
    if (bounds == NULL) return qn_fail(err, QN_ENOMEM, "a column");
    put_header(&s, count, w);
    uint64_t at = 0;
    for (size_t i = 0; i < blocks; i++) {
        uint64_t begin = (uint64_t)i * PACK_BLOCK;
        uint64_t end = count - begin < PACK_BLOCK ? count : begin + PACK_BLOCK;
        bounds[i] = bounds_of(values, begin, end, present);
        uint8_t bits = s.flat ? s.bits : bits_for(bounds[i], s.unit);
        put_entry(bounds[i], at, bits, w);
        at += block_bytes(end - begin, bits);
    }
    for (size_t i = 0; i < blocks; i++) {
        uint64_t begin = (uint64_t)i * PACK_BLOCK;
        uint64_t end = count - begin < PACK_BLOCK ? count : begin + PACK_BLOCK;
        uint8_t bits = s.flat ? s.bits : bits_for(bounds[i], s.unit);
        int64_t base = s.flat ? s.all.min : bounds[i].min;
        pack_block(values, begin, end, present, (uint64_t)base, s.unit, bits, w);
    }
    static const uint8_t zero[8];
    qn_blockfile_write(w, zero, sizeof zero);
    qn_delete(a, bounds);
    return QN_OK;
}

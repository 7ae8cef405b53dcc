/* SPDX-License-Identifier: Apache-2.0 */
/* index/column_pack.h -- an array of int64, bit-packed in blocks of 512, each value
 * readable at its place. Private to this module.
 *
 *     header | entry a block: least, greatest, where, bits | blocks of words | a zero word
 *
 * A value is base + unit x (what its bits say). `unit` divides all distances of the
 * array; `base` is the block's least value, or, where that saves little, the array's
 * (`flat`): a read then needs no look at the table. Entries bound their block either way,
 * so that a reader can pass over blocks. Bytes: docs/formats/segment.md.
 *
 * Threads    read by any number.
 * Errors     qn_packed__lay() refuses what does not hold together; reads of any place
 *            below `count` then stay inside. What the values are is not checked. */
#ifndef QN_INDEX_COLUMN_PACK_H
#define QN_INDEX_COLUMN_PACK_H

#include "base/bits.h"
#include "index/column.h"
#include "io/blockfile.h"

enum {
    PACK_BLOCK = QN_COLUMN_BLOCK,
    PACK_HEADER = 32,
    PACK_ENTRY = 32,
    PACK_NOT_FLAT = 255,
};

/* Takes `size` bytes off the front, and the zeros up to the next multiple of 8; NULL
 * when they are not there. */
QN_NULLABLE const uint8_t *qn_packed__take(qn_slice *rest, uint64_t size);
/* Lays a view over the front of `rest`, which moves behind it. */
bool qn_packed__lay(qn_packed *p, uint64_t count, qn_slice *rest);

/* `present` NULL: every value counts. Else values of clear bits are anything, and are
 * left out of bounds. */
QN_MUST_CHECK qn_status qn_packed__write(const int64_t *values, uint64_t count,
                                         QN_NULLABLE const uint64_t *present,
                                         qn_alloc *a, qn_blockfile_writer *w,
                                         qn_error *err);
/* Zeros up to a multiple of 8. */
void qn_packed__pad(qn_blockfile_writer *w, uint64_t size);

/* How the values of one block are read: base + unit x raw(data, bits, place in it). */
typedef struct packed_block {
    const uint8_t *data;
    uint64_t base, mask;
    uint32_t bits;
} packed_block;

static inline uint64_t qn_packed__mask(uint32_t bits)
{
    return bits == 0 ? 0 : UINT64_MAX >> (64 - bits);
}

/* Up to 56 bits lie within 8 bytes wherever they begin; 64 begin on a byte. */
static inline uint64_t qn_packed__raw(const packed_block *b, uint64_t i)
{
    uint64_t bit = i * b->bits;
    return (qn_load64(b->data + bit / 8) >> (bit % 8)) & b->mask;
}

static inline const uint8_t *qn_packed__entry(const qn_packed *p, uint64_t block)
{
    return p->table + block * PACK_ENTRY;
}

static inline int64_t qn_packed__min(const qn_packed *p, uint64_t block)
{
    return (int64_t)qn_load64(qn_packed__entry(p, block));
}

static inline int64_t qn_packed__max(const qn_packed *p, uint64_t block)
{
    return (int64_t)qn_load64(qn_packed__entry(p, block) + 8);
}

static inline packed_block qn_packed__block(const qn_packed *p, uint64_t block)
{
    const uint8_t *e = qn_packed__entry(p, block);
    uint32_t bits = e[24];
    return (packed_block){p->data + qn_load64(e + 16),
                          p->flat ? (uint64_t)p->base : qn_load64(e),
                          qn_packed__mask(bits), bits};
}

/* The whole array as one block, when it is flat. */
static inline packed_block qn_packed__whole(const qn_packed *p)
{
    return (packed_block){p->data, (uint64_t)p->base, qn_packed__mask(p->bits),
                          p->bits};
}

static inline int64_t qn_packed__get(const qn_packed *p, uint64_t i)
{
    packed_block b;
    if (p->flat) {
        b = qn_packed__whole(p);
    } else {
        b = qn_packed__block(p, i / PACK_BLOCK);
        i %= PACK_BLOCK;
    }
    return (int64_t)(b.base + p->unit * qn_packed__raw(&b, i));
}

/* Values [begin, begin + n) of the array, all of one block. */
void qn_packed__run(const qn_packed *p, uint64_t begin, size_t n, int64_t *out);

#endif

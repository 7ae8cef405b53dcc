/* SPDX-License-Identifier: Apache-2.0 */
/* index/packing.h -- numbers of posting lists as bytes. Private to this module.
 *
 * *Packed*: up to 128 numbers in as many bits each as most of them need; the few that
 * need more are exceptions, patched after unpacking (Zukowski et al., "Super-scalar
 * RAM-CPU cache compression", 2006). 128 numbers lie in four lanes, so that vectors
 * unpack them (Lemire and Boytsov, "Decoding billions of integers per second through
 * vectorization", 2015); fewer are a plain stream of bits.
 *
 * A *set*: n ascending numbers below `span`. A bitmap where that is smallest (span up
 * to 4 n), else Elias-Fano: the low bits of each number, and the high bits as gaps in
 * unary; two bits a number above the least possible for clusters and none at all. The
 * size follows from n and span, so it is stored nowhere.
 *
 * Readers may look QN_PACK_SLACK bytes past the end: a block of a file is never the last
 * thing in it (io/blockfile.h).
 *
 * Bytes: docs/formats/segment.md. */
#ifndef QN_INDEX_PACKING_H
#define QN_INDEX_PACKING_H

#include "base/bits.h"
#include "num/lists.h"

enum {
    QN_PACK_COUNT = QN_LIST_BLOCK,
    QN_PACK_MAX = 1 + 16 * 32, /* bytes of packed numbers at most */
    QN_SET_MAX = 640,          /* bytes of a set at most */
    QN_SET_SPARE = QN_LIST_SPARE,
    QN_PACK_SLACK = QN_LIST_SLACK,
};

/* Writes n numbers, 1 to 128; returns the size. */
size_t qn_pack__put(const uint32_t *values, size_t n, uint8_t *out);
/* Reads them from [at, limit); returns the byte after, NULL when broken. */
const uint8_t *qn_pack__get(const qn_lists *k, const uint8_t *at, const uint8_t *limit,
                            size_t n, uint32_t *values);

/* Bytes of a set of n numbers, 1 to 128, below `span` (n <= span). */
size_t qn_set__size(size_t n, uint64_t span);
/* Writes numbers ascending in [base, base + span). */
size_t qn_set__put(const uint32_t *values, size_t n, uint32_t base, uint64_t span,
                   uint8_t *out);
/* Reads qn_set__size() bytes; `values` has room for QN_SET_SPARE more. false when there
 * are not n numbers, ascending, in that range. */
bool qn_set__get(const qn_lists *k, const uint8_t *in, size_t n, uint32_t base,
                 uint64_t span, uint32_t *values);
/* Is the set a bitmap: bit i set for base + i? */
static inline bool qn_set__is_bitmap(size_t n, uint64_t span)
{
    return span <= 4 * (uint64_t)n;
}

/* A frequency in a byte, rounded up: itself below 128, then four significant bits; 255
 * stands for all from 7864320 on. */
static inline uint8_t qn_freq__code(uint32_t freq)
{
    if (freq < 128) return (uint8_t)freq;
    if (freq >= 7864320) return 255;
    unsigned bits = 32 - (unsigned)__builtin_clz(freq);
    return (uint8_t)(128 + ((bits - 8) << 3) + ((freq >> (bits - 4)) & 7));
}

/* The greatest frequency with that code. */
static inline uint32_t qn_freq__most(uint8_t code)
{
    if (code < 128) return code;
    if (code == 255) return UINT32_MAX;
    unsigned step = (code - 128u) >> 3, head = (code & 7u) + 9u;
    return (head << (step + 4)) - 1;
}

#endif

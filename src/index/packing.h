/* SPDX-License-Identifier: Apache-2.0 */
/* index/packing.h -- 128 numbers in as many bits each as the greatest needs.
 *
 * Private to this module. Value i goes to lane i % 4; each of the four lanes is a
 * stream of 32-bit words, and word w of lane l is stored at place 4 * w + l: what a
 * vector of four lanes reads in one load (Lemire and Boytsov, "Decoding billions of
 * integers per second through vectorization", 2015, section 4.2). 16 * bits bytes in
 * all. */
#ifndef QN_INDEX_PACKING_H
#define QN_INDEX_PACKING_H

#include <stddef.h>
#include <stdint.h>

enum { QN_PACK_COUNT = 128 };

/* Bits that the greatest of 128 values needs, 0..32. */
unsigned qn_pack__bits(const uint32_t *values);
/* Writes 16 * bits bytes. */
void qn_pack__write(const uint32_t *values, unsigned bits, uint8_t *out);
/* Reads 16 * bits bytes; bits at most 32. */
void qn_pack__read(const uint8_t *in, unsigned bits, uint32_t *values);

static inline size_t qn_pack__size(unsigned bits)
{
    return (size_t)16 * bits;
}

#endif

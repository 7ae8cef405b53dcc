/* SPDX-License-Identifier: Apache-2.0 */
/* lists_body.h -- loops of num/lists.h that compilers turn into good vector code by
 * themselves. Included by lists_<isa>.c, each compiled with the flags of its
 * instruction set; private to them. */
#include "num/lists.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* Four lanes; in C, because it means the same on every instruction set. */
typedef uint32_t lanes __attribute__((vector_size(16)));

INLINE lanes load_row(const uint8_t *in, unsigned row)
{
    lanes v;
    memcpy(&v, in + (size_t)16 * row, sizeof v);
    return v;
}

INLINE void unpack_rows(const uint8_t *in, const unsigned bits, uint32_t *out)
{
    const uint32_t ones = bits == 32 ? UINT32_MAX : ((uint32_t)1 << bits) - 1;
    const lanes mask = {ones, ones, ones, ones};
#pragma GCC unroll 32
    for (unsigned r = 0; r < 32; r++) {
        const unsigned word = r * bits / 32, shift = r * bits % 32;
        lanes v = load_row(in, word) >> shift;
        if (shift + bits > 32) v |= load_row(in, word + 1) << (32 - shift);
        if (shift + bits != 32) v &= mask;
        memcpy(out + (size_t)4 * r, &v, sizeof v);
    }
}

#define UNPACK_CASE(b)                                                                 \
    case (b):                                                                          \
        unpack_rows(in, (b), out);                                                     \
        return
#define UNPACK_CASES(b)                                                                \
    UNPACK_CASE(b);                                                                    \
    UNPACK_CASE((b) + 1);                                                              \
    UNPACK_CASE((b) + 2);                                                              \
    UNPACK_CASE((b) + 3)

static void unpack(const uint8_t *in, unsigned bits, uint32_t *out)
{
    switch (bits) {
        UNPACK_CASES(1);
        UNPACK_CASES(5);
        UNPACK_CASES(9);
        UNPACK_CASES(13);
        UNPACK_CASES(17);
        UNPACK_CASES(21);
        UNPACK_CASES(25);
        UNPACK_CASES(29);
    default:
        memset(out, 0, QN_LIST_BLOCK * sizeof *out);
    }
}

static void join(uint32_t *v, const uint32_t *low, unsigned l, uint32_t base)
{
    for (uint32_t i = 0; i < QN_LIST_BLOCK; i++)
        v[i] = base + ((v[i] - i) << l | low[i]);
}

static bool ascending(const uint32_t *v, size_t n)
{
    uint32_t wrong = 0;
    for (size_t i = 1; i < n; i++) wrong |= v[i] <= v[i - 1];
    return wrong == 0;
}

static uint64_t add_one(uint32_t *v, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (uint64_t)v[i] + 1;
        v[i]++;
    }
    return sum;
}

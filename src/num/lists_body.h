/* SPDX-License-Identifier: Apache-2.0 */
/* lists_body.h -- loops of num/lists.h that compilers turn into good vector code by
 * themselves. Included by lists_<isa>.c, each compiled with the flags of its
 * instruction set; private to them. */
#ifndef QN_NUM_LISTS_BODY_H
#define QN_NUM_LISTS_BODY_H

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

INLINE uint32_t add_to(uint32_t *v, size_t n)
{
    uint32_t wrapped = 0;
    for (size_t i = 0; i < n; i++) {
        v[i]++;
        wrapped |= v[i] == 0;
    }
    return wrapped;
}

/* A whole block is a loop without ends. */
static bool add_one(uint32_t *v, size_t n)
{
    return (n == QN_LIST_BLOCK ? add_to(v, QN_LIST_BLOCK) : add_to(v, n)) == 0;
}

/* Eight bytes a store, so that vectors that load them soon need not wait for many. */
static void pick_bytes(const uint8_t *table, const uint32_t *places, size_t n,
                       uint8_t *out)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t eight = 0;
#pragma GCC unroll 8
        for (size_t k = 0; k < 8; k++)
            eight |= (uint64_t)table[places[i + k]] << (8 * k);
        memcpy(out + i, &eight, sizeof eight);
    }
    for (; i < n; i++) out[i] = table[places[i]];
}

enum { WORDS_MAX = 8 }; /* 512 bits */

/* `bits` bits as words, zeros behind; returns how many are set. All eight words are read,
 * which takes a load: the slack allows it, and how many matter cannot be foreseen. */
INLINE size_t load_words(const uint8_t *in, size_t bits, uint64_t *words)
{
    size_t count = 0;
    memcpy(words, in, WORDS_MAX * sizeof *words);
    for (size_t i = 0; i < WORDS_MAX; i++) {
        size_t left = bits > 64 * i ? bits - 64 * i : 0;
        uint64_t ones = left >= 64 ? UINT64_MAX : ((uint64_t)1 << left) - 1;
        words[i] &= ones;
        count += (size_t)__builtin_popcountll(words[i]);
    }
    return count;
}

#endif

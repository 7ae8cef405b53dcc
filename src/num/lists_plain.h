/* SPDX-License-Identifier: Apache-2.0 */
/* lists_plain.h -- the loops of num/lists.h for instruction sets that cannot pick lanes
 * by a mask. */
#ifndef QN_NUM_LISTS_PLAIN_H
#define QN_NUM_LISTS_PLAIN_H

#include "num/lists_body.h"

/* The loops' lengths are known from the count: no branch a bit. */
INLINE void spread(const uint64_t *words, size_t n, uint32_t base, uint32_t *out)
{
    for (size_t w = 0; w < n; w++, base += 64) {
        uint64_t left = words[w];
        uint32_t *end = out + __builtin_popcountll(left);
        for (; out + 4 <= end; out += 4)
            for (size_t k = 0; k < 4; k++, left &= left - 1)
                out[k] = base + (uint32_t)__builtin_ctzll(left);
        for (; out < end; out++, left &= left - 1)
            *out = base + (uint32_t)__builtin_ctzll(left);
    }
}

static size_t set_bits(const uint8_t *in, size_t bits, size_t most, uint32_t base,
                       uint32_t *out)
{
    uint64_t words[WORDS_MAX];
    size_t count = load_words(in, bits, words);
    if (count <= most) spread(words, (bits + 63) / 64, base, out);
    return count;
}

static bool elias_fano(const uint8_t *in, unsigned l, size_t high_bits, uint32_t base,
                       uint32_t *out)
{
    uint64_t words[WORDS_MAX];
    uint32_t low[QN_LIST_BLOCK], wrong = 0;
    if (load_words(in + (size_t)16 * l, high_bits, words) != QN_LIST_BLOCK)
        return false;
    spread(words, (high_bits + 63) / 64, 0, out);
    unpack(in, l, low);
    for (uint32_t i = 0; i < QN_LIST_BLOCK; i++)
        out[i] = base + ((out[i] - i) << l | low[i]);
    for (size_t i = 1; i < QN_LIST_BLOCK; i++) wrong |= out[i] <= out[i - 1];
    return wrong == 0;
}

enum { STEP = 32 };

static void bm25(float weight, const float *inverse, const uint32_t *freqs,
                 const uint8_t *norms, size_t n, float *out)
{
    size_t i = 0;
    for (; i + STEP <= n; i += STEP) {
        float by[STEP];
        for (size_t k = 0; k < STEP; k++) by[k] = inverse[norms[i + k]];
        for (size_t k = 0; k < STEP; k++)
            out[i + k] =
                weight - weight / (1.0f + (float)(int32_t)freqs[i + k] * by[k]);
    }
    for (; i < n; i++)
        out[i] = weight - weight / (1.0f + (float)freqs[i] * inverse[norms[i]]);
}

/* Halving, without a branch on what is compared. */
static size_t meet(const uint32_t *list, size_t count, const uint32_t *wanted, size_t n,
                   uint8_t *which, uint8_t *places)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = 0;
        for (size_t left = count; left > 1;) {
            size_t half = left / 2;
            at += (size_t)(list[at + half - 1] < wanted[i]) * half;
            left -= half;
        }
        which[found] = (uint8_t)i;
        places[found] = (uint8_t)at;
        found += list[at] == wanted[i];
    }
    return found;
}

static uint64_t take_above(double *x, uint64_t among, double least, double *out,
                           size_t *others)
{
    uint64_t mask = 0;
    for (size_t i = 0; i < 64; i += 8) {
        uint64_t byte = 0;
        for (size_t k = 0; k < 8; k++) byte |= (uint64_t)(x[i + k] > least) << k;
        mask |= byte << i;
    }
    mask &= among;
    for (uint64_t left = mask; left != 0; left &= left - 1)
        *out++ = x[__builtin_ctzll(left)];
    for (size_t i = 0; i < 64; i++) x[i] = 0;
    *others += (size_t)__builtin_popcountll(among & ~mask);
    return mask;
}

static uint64_t take_positive(double *x, double least, double *out, size_t *others)
{
    uint64_t among = 0;
    for (size_t i = 0; i < 64; i += 8) {
        uint64_t byte = 0;
        for (size_t k = 0; k < 8; k++) byte |= (uint64_t)(x[i + k] > 0) << k;
        among |= byte << i;
    }
    return take_above(x, among, least, out, others);
}

#endif

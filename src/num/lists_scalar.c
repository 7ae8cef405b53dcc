/* SPDX-License-Identifier: Apache-2.0 */
/* lists_scalar.c -- the meaning of num/lists.h. Plain on purpose. */
#include "num/lists.h"

#include <string.h>

enum { LANES = 4, ROWS = QN_LIST_BLOCK / LANES };

static void unpack(const uint8_t *in, unsigned bits, uint32_t *out)
{
    uint32_t words[LANES * 33] = {0};
    memcpy(words, in, (size_t)16 * bits);
    uint64_t mask = ((uint64_t)1 << bits) - 1;
    for (unsigned i = 0; i < QN_LIST_BLOCK; i++) {
        unsigned lane = i % LANES, at = i / LANES * bits;
        const uint32_t *low = words + LANES * (at / 32) + lane;
        uint64_t both = low[0] | (uint64_t)low[LANES] << 32;
        out[i] = (uint32_t)(both >> (at % 32) & mask);
    }
}

static size_t set_bits(const uint64_t *words, size_t n, uint32_t *out)
{
    size_t count = 0;
    for (size_t w = 0; w < n; w++)
        for (uint64_t left = words[w]; left != 0; left &= left - 1)
            out[count++] = (uint32_t)(w * 64) + (uint32_t)__builtin_ctzll(left);
    return count;
}

static void join(uint32_t *v, const uint32_t *low, unsigned l, uint32_t base)
{
    for (uint32_t i = 0; i < QN_LIST_BLOCK; i++)
        v[i] = base + ((v[i] - i) << l | low[i]);
}

static bool ascending(const uint32_t *v, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (v[i] <= v[i - 1]) return false;
    return true;
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

static void bm25(float weight, const float *inverse, const uint32_t *freqs,
                 const uint8_t *norms, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = weight - weight / (1.0f + (float)freqs[i] * inverse[norms[i]]);
}

const qn_lists qn_num__lists_scalar = {unpack,    set_bits, join,
                                       ascending, add_one,  bm25};

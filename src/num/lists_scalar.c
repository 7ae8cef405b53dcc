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

static bool bit_at(const uint8_t *in, size_t i)
{
    return in[i / 8] >> (i % 8) & 1;
}

static size_t set_bits(const uint8_t *in, size_t bits, size_t most, uint32_t base,
                       uint32_t *out)
{
    size_t count = 0, n = 0;
    for (size_t i = 0; i < bits; i++) count += bit_at(in, i);
    for (size_t i = 0; i < bits && count <= most; i++)
        if (bit_at(in, i)) out[n++] = base + (uint32_t)i;
    return count;
}

static bool elias_fano(const uint8_t *in, unsigned l, size_t high_bits, uint32_t base,
                       uint32_t *out)
{
    uint32_t low[QN_LIST_BLOCK];
    const uint8_t *high = in + (size_t)16 * l;
    if (set_bits(high, high_bits, QN_LIST_BLOCK, 0, out) != QN_LIST_BLOCK) return false;
    unpack(in, l, low);
    bool ascending = true;
    for (uint32_t i = 0; i < QN_LIST_BLOCK; i++) {
        out[i] = base + ((out[i] - i) << l | low[i]);
        if (i > 0 && out[i] <= out[i - 1]) ascending = false;
    }
    return ascending;
}

static bool add_one(uint32_t *v, size_t n)
{
    bool fits = true;
    for (size_t i = 0; i < n; i++)
        if (++v[i] == 0) fits = false;
    return fits;
}

static void pick_bytes(const uint8_t *table, const uint32_t *places, size_t n,
                       uint8_t *out)
{
    for (size_t i = 0; i < n; i++) out[i] = table[places[i]];
}

static void bm25(float weight, const float *inverse, const uint32_t *freqs,
                 const uint8_t *norms, size_t n, float *out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = weight - weight / (1.0f + (float)freqs[i] * inverse[norms[i]]);
}

static size_t meet(const uint32_t *list, size_t count, const uint32_t *wanted, size_t n,
                   uint8_t *which, uint8_t *places)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = 0;
        while (at < count && list[at] != wanted[i]) at++;
        if (at == count) continue;
        which[found] = (uint8_t)i;
        places[found++] = (uint8_t)at;
    }
    return found;
}

static uint64_t take_above(double *x, uint64_t among, double least, double *out,
                           size_t *others)
{
    uint64_t mask = 0;
    for (size_t i = 0; i < 64; i++) {
        double v = x[i];
        x[i] = 0;
        if ((among >> i & 1) == 0) continue;
        if (v > least) {
            mask |= (uint64_t)1 << i;
            *out++ = v;
        } else {
            ++*others;
        }
    }
    return mask;
}

static uint64_t take_positive(double *x, double least, double *out, size_t *others)
{
    uint64_t among = 0;
    for (size_t i = 0; i < 64; i++) among |= (uint64_t)(x[i] > 0) << i;
    return take_above(x, among, least, out, others);
}

const qn_lists qn_num__lists_scalar = {unpack,  set_bits,   elias_fano,
                                       add_one, pick_bytes, bm25,
                                       meet,    take_above, take_positive};

/* SPDX-License-Identifier: Apache-2.0 */
#include "index/packing.h"

#include <string.h>

enum { LANES = 4, ROWS = QN_PACK_COUNT / LANES };

unsigned qn_pack__bits(const uint32_t *values)
{
    uint32_t all = 0;
    for (size_t i = 0; i < QN_PACK_COUNT; i++) all |= values[i];
    unsigned bits = 0;
    while (bits < 32 && all >> bits != 0) bits++;
    return bits;
}

void qn_pack__write(const uint32_t *values, unsigned bits, uint8_t *out)
{
    uint32_t words[LANES * 33] = {0};
    unsigned at = 0; /* bit in each lane's stream */
    for (size_t row = 0; row < ROWS; row++, at += bits) {
        uint32_t *low = words + LANES * (at / 32), *high = low + LANES;
        unsigned shift = at % 32;
        for (size_t lane = 0; lane < LANES; lane++) {
            uint64_t v = (uint64_t)values[LANES * row + lane] << shift;
            low[lane] |= (uint32_t)v;
            high[lane] |= (uint32_t)(v >> 32);
        }
    }
    memcpy(out, words, qn_pack__size(bits));
}

void qn_pack__read(const uint8_t *in, unsigned bits, uint32_t *values)
{
    if (bits == 0) {
        memset(values, 0, QN_PACK_COUNT * sizeof *values);
        return;
    }
    uint32_t words[LANES * 32]; /* a copy, because the input is not aligned */
    memcpy(words, in, qn_pack__size(bits));
    uint32_t mask = bits == 32 ? UINT32_MAX : ((uint32_t)1 << bits) - 1;
    unsigned at = 0;
    for (size_t row = 0; row < ROWS; row++, at += bits) {
        const uint32_t *low = words + LANES * (at / 32);
        uint32_t *out = values + LANES * row;
        unsigned shift = at % 32;
        if (shift + bits <= 32) {
            for (size_t lane = 0; lane < LANES; lane++)
                out[lane] = (low[lane] >> shift) & mask;
        } else { /* shift > 0: the value lies across two words */
            const uint32_t *high = low + LANES;
            for (size_t lane = 0; lane < LANES; lane++)
                out[lane] =
                    ((low[lane] >> shift) | (high[lane] << (32 - shift))) & mask;
        }
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* sort_pairs.c -- pairs of a key and a place sorted by key, a byte at a time. */
#include "rank/rank_internal.h"

void qn_rank__sort_pairs(uint64_t *pairs, uint64_t *room, size_t n)
{
    uint64_t *from = pairs, *to = room, differ = 0;
    for (size_t i = 1; i < n; i++) differ |= pairs[i] ^ pairs[0];
    for (unsigned shift = 32; shift < 64; shift += 8) {
        if ((differ >> shift & 255) == 0) continue;
        size_t starts[257] = {0};
        for (size_t i = 0; i < n; i++) starts[(from[i] >> shift & 255) + 1]++;
        for (size_t d = 0; d < 256; d++) starts[d + 1] += starts[d];
        for (size_t i = 0; i < n; i++) to[starts[from[i] >> shift & 255]++] = from[i];
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
    if (from != pairs && n > 0) memcpy(pairs, from, n * sizeof *pairs);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* packed_scalar.c -- the meaning of match_packed(). */
#include "num/kernels_internal.h"

#include <string.h>

void qn_num__match_packed_scalar(const uint8_t *data, unsigned bits, size_t n,
                                 uint64_t low, uint64_t span, uint64_t *out)
{
    uint64_t mask = bits == 0 ? 0 : UINT64_MAX >> (64 - bits);
    for (size_t at = 0; at < n; at += 64) {
        size_t end = n - at < 64 ? n - at : 64;
        uint64_t word = 0;
        for (size_t i = 0; i < end; i++) {
            uint64_t bit = (uint64_t)(at + i) * bits, v;
            memcpy(&v, data + bit / 8, sizeof v);
            v = (v >> (bit % 8)) & mask;
            word |= (uint64_t)((v >= low) & (v - low <= span)) << i; /* no branch */
        }
        out[at / 64] = word;
    }
}

#ifdef QN_BUILD_NEON
void qn_num__match_packed_neon(const uint8_t *data, unsigned bits, size_t n,
                               uint64_t low, uint64_t span, uint64_t *out)
{
    qn_num__match_packed_scalar(data, bits, n, low, span, out);
}
#endif

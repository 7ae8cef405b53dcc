/* SPDX-License-Identifier: Apache-2.0 */
/* num/lists.h -- the inner loops of posting lists: numbers from bits, documents from
 * numbers, scores from both. One row per kernel set, reached through qn_kernels.lists;
 * the same bits in every set, floats included.
 *
 * Pointers  need no alignment; inputs and outputs do not overlap.
 * Threads   pure functions. */
#ifndef QN_NUM_LISTS_H
#define QN_NUM_LISTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    QN_LIST_BLOCK = 128,
    QN_LIST_SPARE = 16, /* numbers that set_bits() may write behind the last one */
};

typedef struct qn_lists {
    /* 128 numbers of `bits` bits, 0..32, out of 16 * bits bytes. Number i belongs to
     * lane i % 4; a lane is a stream of bits, low first, cut into words of 32 bits; word
     * w of lane l stands at 4 * (4 * w + l). */
    void (*unpack)(const uint8_t *in, unsigned bits, uint32_t *out);
    /* The places of the bits that are set in n words, ascending; returns how many. `out`
     * has room for them and QN_LIST_SPARE more. */
    size_t (*set_bits)(const uint64_t *words, size_t n, uint32_t *out);
    /* Elias-Fano, 128 numbers, in place: v[i] = base + ((v[i] - i) << l | low[i]). */
    void (*join)(uint32_t *v, const uint32_t *low, unsigned l, uint32_t base);
    /* Is each number greater than the one before? */
    bool (*ascending)(const uint32_t *v, size_t n);
    /* Adds 1 to each and returns their sum. */
    uint64_t (*add_one)(uint32_t *v, size_t n);
    /* out[i] = weight - weight / (1 + freqs[i] * inverse[norms[i]]), each step rounded;
     * frequencies below 2^31. */
    void (*bm25)(float weight, const float *inverse, const uint32_t *freqs,
                 const uint8_t *norms, size_t n, float *out);
} qn_lists;

extern const qn_lists qn_num__lists_scalar, qn_num__lists_avx2, qn_num__lists_avx512,
    qn_num__lists_neon;

#endif

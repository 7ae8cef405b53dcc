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
    QN_LIST_SPARE = 16, /* numbers that may be written behind the last one */
    QN_LIST_SLACK = 64, /* bytes that may be read behind the last one */
};

typedef struct qn_lists {
    /* 128 numbers of `bits` bits, 0..32, out of 16 * bits bytes. Number i belongs to
     * lane i % 4; a lane is a stream of bits, low first, cut into words of 32 bits; word
     * w of lane l stands at 4 * (4 * w + l). */
    void (*unpack)(const uint8_t *in, unsigned bits, uint32_t *out);
    /* base + the places of the bits that are set among `bits` (at most 512) bits,
     * ascending; returns how many. More than `most`: none is written. `out` has room for
     * `most` and QN_LIST_SPARE more; `in` has QN_LIST_SLACK readable bytes behind. */
    size_t (*set_bits)(const uint8_t *in, size_t bits, size_t most, uint32_t base,
                       uint32_t *out);
    /* 128 numbers: out[i] = base + (high << l | low), low bits as for unpack(), behind
     * them high_bits bits (at most 384), of which number i is the i-th that is set, in
     * place high + i. false when 128 are not set or the numbers do not ascend. Room and
     * slack as above. */
    bool (*elias_fano)(const uint8_t *in, unsigned l, size_t high_bits, uint32_t base,
                       uint32_t *out);
    /* Adds 1 to each; false when one of them was the greatest there is. */
    bool (*add_one)(uint32_t *v, size_t n);
    /* out[i] = table[places[i]] */
    void (*pick_bytes)(const uint8_t *table, const uint32_t *places, size_t n,
                       uint8_t *out);
    /* out[i] = weight - weight / (1 + freqs[i] * inverse[norms[i]]), each step rounded;
     * `inverse` has 256 numbers; frequencies below 2^31. */
    void (*bm25)(float weight, const float *inverse, const uint32_t *freqs,
                 const uint8_t *norms, size_t n, float *out);
    /* Which of `wanted` (n ascending numbers, at most 256) are among the `count` (1..128)
     * ascending numbers of the list: wanted[which[k]] is list[places[k]]. Returns how
     * many. Both arrays have room for n; `list` has QN_LIST_SPARE readable numbers
     * behind. */
    size_t (*meet)(const uint32_t *list, size_t count, const uint32_t *wanted, size_t n,
                   uint8_t *which, uint8_t *places);
    /* Of 64 numbers those that are marked in `among` and greater than `least`: moved to
     * `out`, in order, which has room for 72; all 64 become nought. *others grows by how
     * many of the marked ones are not greater. */
    uint64_t (*take_above)(double *x, uint64_t among, double least, double *out,
                           size_t *others);
    /* The same where those greater than nought count as marked. */
    uint64_t (*take_positive)(double *x, double least, double *out, size_t *others);
} qn_lists;

extern const qn_lists qn_num__lists_scalar, qn_num__lists_avx2, qn_num__lists_avx512,
    qn_num__lists_neon;

#endif

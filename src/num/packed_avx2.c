/* SPDX-License-Identifier: Apache-2.0 */
/* packed_avx2.c -- compiled with -mavx2. Eight numbers a step, where each lies
 * within four bytes, which a shuffle brings into its lane; a shift and a mask leave the
 * number, and an unsigned comparison becomes a bit. Wider ones go one by one. */
#include "num/kernels_internal.h"

#include <immintrin.h>
#include <string.h>

enum { BITS_MAX = 32, GROUP = 8, LOAD = 16 };

/* Does every number lie within four bytes? 26 and 28 bits begin on even bits. */
static bool is_narrow(unsigned bits)
{
    return bits > 0 && (bits <= 26 || bits == 28 || bits == 32);
}

/* Bytes of [n numbers] and the word behind them, as columns keep them. */
static size_t readable(size_t n, unsigned bits)
{
    return (n * bits + 63) / 64 * 8 + 8;
}

typedef struct spread {
    __m256i bytes, shifts; /* of eight numbers: which bytes, shifted by how much */
    size_t second;         /* where the upper four are loaded from */
} spread;

static spread spread_of(unsigned bits)
{
    uint8_t bytes[32];
    uint32_t shifts[GROUP];
    for (unsigned k = 0; k < GROUP; k++) {
        unsigned bit = k < 4 ? k * bits : 4 * bits % 8 + (k - 4) * bits;
        for (unsigned b = 0; b < 4; b++) bytes[4 * k + b] = (uint8_t)(bit / 8 + b);
        shifts[k] = bit % 8;
    }
    return (spread){_mm256_loadu_si256((const __m256i *)(const void *)bytes),
                    _mm256_loadu_si256((const __m256i *)(const void *)shifts),
                    4 * bits / 8};
}

static unsigned match_group(const uint8_t *p, const spread *s, __m256i mask,
                            __m256i low, __m256i span)
{
    __m128i lower = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i upper = _mm_loadu_si128((const __m128i *)(const void *)(p + s->second));
    __m256i v = _mm256_inserti128_si256(_mm256_castsi128_si256(lower), upper, 1);
    v = _mm256_srlv_epi32(_mm256_shuffle_epi8(v, s->bytes), s->shifts);
    __m256i above = _mm256_sub_epi32(_mm256_and_si256(v, mask), low);
    __m256i hit = _mm256_cmpeq_epi32(_mm256_min_epu32(above, span), above);
    return (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(hit));
}

/* 64 numbers from `p` on: a word of answers. */
static uint64_t match_word(const uint8_t *p, unsigned bits, const spread *s,
                           __m256i mask, __m256i low, __m256i span)
{
    uint64_t word = 0;
    for (unsigned g = 0; g < 64 / GROUP; g++)
        word |= (uint64_t)match_group(p + g * bits, s, mask, low, span) << (GROUP * g);
    return word;
}

void qn_num__match_packed_avx2(const uint8_t *data, unsigned bits, size_t n,
                               uint64_t low, uint64_t span, uint64_t *out)
{
    uint32_t mask = is_narrow(bits) ? UINT32_MAX >> (BITS_MAX - bits) : 0;
    size_t bytes = readable(n, bits), done = 0, words = 0;
    if (mask == 0 || low > mask) {
        qn_num__match_packed_scalar(data, bits, n, low, span, out);
        return;
    }
    const spread s = spread_of(bits);
    const __m256i m = _mm256_set1_epi32((int)mask), l = _mm256_set1_epi32((int)low);
    uint32_t most = mask - (uint32_t)low; /* so that nothing wraps around into it */
    const __m256i w = _mm256_set1_epi32((int)(span > most ? most : (uint32_t)span));
    for (; n - done >= 64 &&
           (done + 64 - GROUP) / GROUP * bits + s.second + LOAD <= bytes;
         done += 64)
        out[words++] = match_word(data + done / GROUP * bits, bits, &s, m, l, w);
    /* Loads would reach beyond the end: the rest is copied to where they may. */
    for (; done < n; done += 64) {
        uint8_t room[64 / GROUP * BITS_MAX + LOAD + GROUP] = {0};
        size_t begin = done / GROUP * bits, left = bytes - begin;
        memcpy(room, data + begin, left < 64 / 8 * bits ? left : 64 / 8 * bits);
        uint64_t word = match_word(room, bits, &s, m, l, w);
        out[words++] = n - done < 64 ? word & (UINT64_MAX >> (64 - (n - done))) : word;
    }
}

void qn_num__match_packed_avx512(const uint8_t *data, unsigned bits, size_t n,
                                 uint64_t low, uint64_t span, uint64_t *out)
{
    qn_num__match_packed_avx2(data, bits, n, low, span, out);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* lists_avx512.c -- compiled with -mavx512f and its kin; reached only through
 * kernels.c. Lanes are compressed in the register and stored whole: compressing into
 * memory is twenty times slower on some processors. */
#include "num/lists_body.h"

#include <immintrin.h>

INLINE __m512i lane_numbers(void)
{
    return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

static size_t set_bits(const uint64_t *words, size_t n, uint32_t *out)
{
    const __m512i lane = lane_numbers(), step = _mm512_set1_epi32(16);
    __m512i place = lane;
    size_t count = 0;
    for (size_t w = 0; w < n; w++) {
        uint64_t left = words[w];
        for (int k = 0; k < 4; k++, left >>= 16) {
            __mmask16 mask = (__mmask16)left;
            _mm512_storeu_si512(out + count, _mm512_maskz_compress_epi32(mask, place));
            count += (size_t)__builtin_popcount((unsigned)mask);
            place = _mm512_add_epi32(place, step);
        }
    }
    return count;
}

INLINE __m512 score16(__m512 weight, const float *inverse, __m512i freqs, __m128i norms)
{
    __m512 by = _mm512_i32gather_ps(_mm512_cvtepu8_epi32(norms), inverse, 4);
    __m512 grown = _mm512_mul_ps(_mm512_cvtepi32_ps(freqs), by);
    grown = _mm512_add_ps(_mm512_set1_ps(1.0f), grown);
    return _mm512_sub_ps(weight, _mm512_div_ps(weight, grown));
}

static void bm25(float weight, const float *inverse, const uint32_t *freqs,
                 const uint8_t *norms, size_t n, float *out)
{
    const __m512 w = _mm512_set1_ps(weight);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m128i norm = _mm_loadu_si128((const __m128i *)(const void *)(norms + i));
        __m512i freq = _mm512_loadu_si512(freqs + i);
        _mm512_storeu_ps(out + i, score16(w, inverse, freq, norm));
    }
    if (i == n) return;
    __mmask16 mask = (__mmask16)((1u << (n - i)) - 1);
    __m128i norm = _mm_maskz_loadu_epi8(mask, norms + i);
    __m512i freq = _mm512_maskz_loadu_epi32(mask, freqs + i);
    _mm512_mask_storeu_ps(out + i, mask, score16(w, inverse, freq, norm));
}

const qn_lists qn_num__lists_avx512 = {unpack,    set_bits, join,
                                       ascending, add_one,  bm25};

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

INLINE void spread(const uint64_t *words, size_t n, uint32_t base, uint32_t *out)
{
    const __m512i step = _mm512_set1_epi32(16);
    __m512i place = _mm512_add_epi32(lane_numbers(), _mm512_set1_epi32((int)base));
    for (size_t w = 0; w < n; w++) {
        uint64_t left = words[w];
        for (int k = 0; k < 4; k++, left >>= 16) {
            __mmask16 mask = (__mmask16)left;
            _mm512_storeu_si512(out, _mm512_maskz_compress_epi32(mask, place));
            out += __builtin_popcount((unsigned)mask);
            place = _mm512_add_epi32(place, step);
        }
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
    uint32_t places[QN_LIST_BLOCK + QN_LIST_SPARE], low[QN_LIST_BLOCK];
    if (load_words(in + (size_t)16 * l, high_bits, words) != QN_LIST_BLOCK)
        return false;
    spread(words, (high_bits + 63) / 64, 0, places);
    unpack(in, l, low);
    const __m512i first = _mm512_set1_epi32((int)base);
    const __m128i shift = _mm_cvtsi32_si128((int)l);
    __m512i index = lane_numbers(), before = first;
    __mmask16 wrong = 0, look = 0xFFFE; /* nothing stands before the first */
    for (size_t i = 0; i < QN_LIST_BLOCK; i += 16) {
        __m512i high = _mm512_sub_epi32(_mm512_loadu_si512(places + i), index);
        __m512i v =
            _mm512_or_si512(_mm512_sll_epi32(high, shift), _mm512_loadu_si512(low + i));
        v = _mm512_add_epi32(v, first);
        _mm512_storeu_si512(out + i, v);
        before = _mm512_alignr_epi32(v, before, 15);
        wrong |= _mm512_mask_cmple_epu32_mask(look, v, before);
        look = 0xFFFF;
        before = v;
        index = _mm512_add_epi32(index, _mm512_set1_epi32(16));
    }
    return wrong == 0;
}

/* ---- scores ------------------------------------------------------------------------- */

/* Sixty-four neighbours out of the table, in registers. */
typedef struct near {
    __m512 v[4];
} near;

INLINE __m512 pick(const near *t, __m512i i)
{
    __m512 low = _mm512_permutex2var_ps(t->v[0], i, t->v[1]);
    __m512 high = _mm512_permutex2var_ps(t->v[2], i, t->v[3]);
    return _mm512_mask_blend_ps(_mm512_test_epi32_mask(i, _mm512_set1_epi32(32)), low,
                                high);
}

INLINE unsigned least_byte(__m512i v)
{
    __m256i half =
        _mm256_min_epu8(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
    __m128i x =
        _mm_min_epu8(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    x = _mm_minpos_epu16(_mm_min_epu8(x, _mm_srli_epi16(x, 8)));
    return (unsigned)_mm_cvtsi128_si32(x) & 0xFF;
}

INLINE __m512 score16(__m512 weight, __m512 by, __m512i freqs)
{
    __m512 grown = _mm512_mul_ps(_mm512_cvtepi32_ps(freqs), by);
    grown = _mm512_add_ps(_mm512_set1_ps(1.0f), grown);
    return _mm512_sub_ps(weight, _mm512_div_ps(weight, grown));
}

/* Up to 64. Lengths are alike most of the time: their inverses then come out of
 * registers; a gather is ten times dearer. */
INLINE void score64(__m512 weight, const float *inverse, const uint32_t *freqs,
                    const uint8_t *norms, size_t n, float *out)
{
    const __m512i ones = _mm512_set1_epi8(-1);
    __mmask64 all = UINT64_MAX >> (64 - n);
    __m512i norm = _mm512_mask_loadu_epi8(ones, all, norms);
    unsigned least = least_byte(norm);
    unsigned most = 255 - least_byte(_mm512_mask_sub_epi8(ones, all, ones, norm));
    if (least > 192) least = 192;
    const __m512i from = _mm512_set1_epi32((int)least);
    near t;
    for (size_t k = 0; k < 4; k++) t.v[k] = _mm512_loadu_ps(inverse + least + 16 * k);
    for (size_t i = 0; i < n; i += 16) {
        __mmask16 mask = (__mmask16)(n - i >= 16 ? 0xFFFFu : (1u << (n - i)) - 1);
        __m512i index = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask, norms + i));
        __m512i freq = _mm512_maskz_loadu_epi32(mask, freqs + i);
        __m512 by;
        if (most - least < 64)
            by = pick(&t, _mm512_sub_epi32(index, from));
        else
            by = _mm512_i32gather_ps(index, inverse, 4);
        _mm512_mask_storeu_ps(out + i, mask, score16(weight, by, freq));
    }
}

static void bm25(float weight, const float *inverse, const uint32_t *freqs,
                 const uint8_t *norms, size_t n, float *out)
{
    const __m512 w = _mm512_set1_ps(weight);
    size_t i = 0;
    for (; i + 64 <= n; i += 64) score64(w, inverse, freqs + i, norms + i, 64, out + i);
    if (i < n) score64(w, inverse, freqs + i, norms + i, n - i, out + i);
}

/* ---- candidates --------------------------------------------------------------------- */

/* Which sixteen: by their last ones, all at once. Then the sixteen. */
static size_t meet(const uint32_t *list, size_t count, const uint32_t *wanted, size_t n,
                   uint8_t *which, uint8_t *places)
{
    const __m256i eighth = _mm256_setr_epi32(15, 31, 47, 63, 79, 95, 111, 127);
    const __mmask8 whole = (__mmask8)((1u << (count / 16)) - 1);
    const __m256i lasts =
        _mm256_mmask_i32gather_epi32(_mm256_set1_epi32(-1), whole, eighth, list, 4);
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        __m256i low = _mm256_set1_epi32((int)wanted[i]);
        size_t at = 16 * (size_t)__builtin_popcount(
                             (unsigned)_mm256_cmplt_epu32_mask(lasts, low));
        at = at < 112 ? at : 112;
        unsigned same = (unsigned)_mm512_cmpeq_epu32_mask(
            _mm512_loadu_si512(list + at), _mm512_set1_epi32((int)wanted[i]));
        at += (size_t)__builtin_ctz(same | 1u << 16);
        which[found] = (uint8_t)i;
        places[found] = (uint8_t)at;
        found += same != 0 && at < count;
    }
    return found;
}

static uint64_t take_above(double *x, uint64_t among, double least, double *out,
                           size_t *others)
{
    const __m512d bar = _mm512_set1_pd(least);
    uint64_t mask = 0;
    for (size_t i = 0; i < 64; i += 8) {
        __m512d v = _mm512_loadu_pd(x + i);
        __mmask8 good =
            _mm512_mask_cmp_pd_mask((__mmask8)(among >> i), v, bar, _CMP_GT_OQ);
        _mm512_storeu_pd(x + i, _mm512_setzero_pd());
        _mm512_storeu_pd(out, _mm512_maskz_compress_pd(good, v));
        out += __builtin_popcount((unsigned)good);
        mask |= (uint64_t)good << i;
    }
    *others += (size_t)__builtin_popcountll(among & ~mask);
    return mask;
}

static uint64_t take_positive(double *x, double least, double *out, size_t *others)
{
    const __m512d bar = _mm512_set1_pd(least), nought = _mm512_setzero_pd();
    uint64_t mask = 0, among = 0;
    for (size_t i = 0; i < 64; i += 8) {
        __m512d v = _mm512_loadu_pd(x + i);
        __mmask8 some = _mm512_cmp_pd_mask(v, nought, _CMP_GT_OQ);
        __mmask8 good = _mm512_mask_cmp_pd_mask(some, v, bar, _CMP_GT_OQ);
        _mm512_storeu_pd(x + i, nought);
        among |= (uint64_t)some << i;
        mask |= (uint64_t)good << i;
        if (good == 0) continue; /* most often */
        _mm512_storeu_pd(out, _mm512_maskz_compress_pd(good, v));
        out += __builtin_popcount((unsigned)good);
    }
    *others += (size_t)__builtin_popcountll(among & ~mask);
    return mask;
}

const qn_lists qn_num__lists_avx512 = {unpack,  set_bits,   elias_fano,
                                       add_one, pick_bytes, bm25,
                                       meet,    take_above, take_positive};

/* SPDX-License-Identifier: Apache-2.0 */
/* lists_plain.h -- the loops of num/lists.h for instruction sets that cannot pick lanes
 * by a mask. Included behind lists_body.h. */

/* The loops' lengths are known from the count: no branch a bit. */
static size_t set_bits(const uint64_t *words, size_t n, uint32_t *out)
{
    size_t count = 0;
    for (size_t w = 0; w < n; w++) {
        uint64_t left = words[w];
        uint32_t base = (uint32_t)(w * 64);
        size_t end = count + (size_t)__builtin_popcountll(left);
        for (; count + 4 <= end; count += 4)
            for (size_t k = 0; k < 4; k++, left &= left - 1)
                out[count + k] = base + (uint32_t)__builtin_ctzll(left);
        for (; count < end; count++, left &= left - 1)
            out[count] = base + (uint32_t)__builtin_ctzll(left);
    }
    return count;
}

enum { STEP = 32 };

static void bm25(float weight, const float *inverse, const uint32_t *freqs,
                 const uint8_t *norms, size_t n, float *out)
{
    size_t i = 0;
    for (; i + STEP <= n; i += STEP) {
        float by[STEP];
        for (size_t k = 0; k < STEP; k++) by[k] = inverse[norms[i + k]];
        for (size_t k = 0; k < STEP; k++)
            out[i + k] =
                weight - weight / (1.0f + (float)(int32_t)freqs[i + k] * by[k]);
    }
    for (; i < n; i++)
        out[i] = weight - weight / (1.0f + (float)freqs[i] * inverse[norms[i]]);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "index/packing.h"

#include <string.h>

enum { EXCEPTIONS = 0x80, LANES = 4, ROWS = QN_PACK_COUNT / LANES };

static unsigned width_of(uint32_t v)
{
    return v == 0 ? 0 : 32 - (unsigned)__builtin_clz(v);
}

static uint32_t mask_of(unsigned bits)
{
    return bits == 32 ? UINT32_MAX : ((uint32_t)1 << bits) - 1;
}

/* ---- streams of bits -------------------------------------------------------------- */

static size_t stream_size(size_t n, unsigned bits)
{
    return n == QN_PACK_COUNT ? (size_t)16 * bits : (n * bits + 7) / 8;
}

/* ORs up to 32 bits into zeroed bytes, of which 8 from there on may be touched. */
static void put_bits(uint8_t *out, size_t at, uint32_t v)
{
    uint8_t *p = out + at / 8;
    qn_store64(p, qn_load64(p) | (uint64_t)v << (at % 8));
}

typedef uint32_t lanes __attribute__((vector_size(16)));

static void put_lanes(const uint32_t *values, unsigned bits, uint8_t *out)
{
    uint32_t ones = mask_of(bits);
    const lanes mask = {ones, ones, ones, ones};
    lanes word = {0};
    unsigned filled = 0;
    for (size_t row = 0; row < ROWS; row++) {
        lanes v;
        memcpy(&v, values + LANES * row, sizeof v);
        v &= mask;
        word |= v << filled;
        filled += bits;
        if (filled < 32) continue;
        memcpy(out, &word, sizeof word);
        out += sizeof word;
        filled -= 32;
        word = filled == 0 ? (lanes){0} : v >> (bits - filled);
    }
}

/* The low `bits` of n numbers; `out` has 8 bytes more than stream_size(). */
static void put_stream(const uint32_t *values, size_t n, unsigned bits, uint8_t *out)
{
    if (bits == 0) return;
    if (n == QN_PACK_COUNT) {
        put_lanes(values, bits, out);
        return;
    }
    memset(out, 0, stream_size(n, bits) + 8);
    for (size_t i = 0; i < n; i++) put_bits(out, i * bits, values[i] & mask_of(bits));
}

/* `in` has slack. */
static void get_stream(const uint8_t *in, size_t n, unsigned bits, uint32_t *values)
{
    uint64_t mask = mask_of(bits);
    for (size_t i = 0, at = 0; i < n; i++, at += bits)
        values[i] = (uint32_t)(qn_load64(in + at / 8) >> (at % 8) & mask);
}

/* ---- packed with exceptions --------------------------------------------------------- */

/* The width that needs the fewest bytes, by how many numbers have each width. */
static unsigned best_width(const uint32_t *counts, unsigned most, size_t n)
{
    unsigned best = most;
    size_t least = stream_size(n, most);
    for (unsigned bits = most; bits-- > 0;) {
        size_t size = stream_size(n, bits) + 1;
        for (unsigned w = bits + 1; w <= most; w++)
            size += counts[w] * (size_t)(1 + (w - bits + 6) / 7);
        if (size < least) {
            least = size;
            best = bits;
        }
    }
    return best;
}

static uint8_t *put_exceptions(const uint32_t *values, size_t n, unsigned bits,
                               uint8_t *out)
{
    uint8_t *count = out++;
    for (size_t i = 0; i < n; i++)
        if (values[i] >> bits != 0) *out++ = (uint8_t)i;
    *count = (uint8_t)(out - count - 1);
    for (size_t i = 0; i < n; i++)
        if (values[i] >> bits != 0) out += qn_varint_put(out, (values[i] >> bits) - 1);
    return out;
}

size_t qn_pack__put(const uint32_t *values, size_t n, uint8_t *out)
{
    uint32_t counts[33] = {0}, all = 0;
    for (size_t i = 0; i < n; i++) {
        counts[width_of(values[i])]++;
        all |= values[i];
    }
    unsigned most = width_of(all), bits = best_width(counts, most, n);
    uint8_t room[QN_PACK_MAX + 8];
    size_t size = stream_size(n, bits);
    out[0] = (uint8_t)bits;
    put_stream(values, n, bits, room);
    if (size > 0) memcpy(out + 1, room, size);
    if (bits == most) return 1 + size;
    out[0] |= EXCEPTIONS;
    return (size_t)(put_exceptions(values, n, bits, out + 1 + size) - out);
}

static const uint8_t *patch(const uint8_t *at, const uint8_t *limit, unsigned bits,
                            size_t n, uint32_t *values)
{
    if (at == limit) return NULL;
    size_t count = *at++;
    if (count == 0 || count > n || bits > 31 || count > (size_t)(limit - at))
        return NULL;
    const uint8_t *places = at;
    at += count;
    for (size_t i = 0; i < count; i++) {
        uint64_t high = 0;
        if (at < limit && *at < 0x80)
            high = *at++;
        else
            at = qn_varint_get(at, limit, &high);
        if (at == NULL || places[i] >= n || high >= UINT32_MAX >> bits) return NULL;
        values[places[i]] |= (uint32_t)(high + 1) << bits;
    }
    return at;
}

const uint8_t *qn_pack__get(const qn_lists *k, const uint8_t *at, const uint8_t *limit,
                            size_t n, uint32_t *values)
{
    if (at >= limit) return NULL;
    uint8_t head = *at++;
    unsigned bits = head & 0x7Fu;
    size_t size = stream_size(n, bits);
    if (bits > 32 || size > (size_t)(limit - at)) return NULL;
    if (n == QN_PACK_COUNT)
        k->unpack(at, bits, values);
    else
        get_stream(at, n, bits, values);
    at += size;
    return head & EXCEPTIONS ? patch(at, limit, bits, n, values) : at;
}

/* ---- sets --------------------------------------------------------------------------- */

/* Low bits of each number: floor(log2(span / n)). */
static unsigned low_bits(size_t n, uint64_t span)
{
    return 63 - (unsigned)__builtin_clzll(span / n);
}

/* Bits of the high parts: n ones, and a zero for each step. */
static size_t high_bits(size_t n, uint64_t span, unsigned low)
{
    return n + (size_t)((span - 1) >> low);
}

size_t qn_set__size(size_t n, uint64_t span)
{
    if (qn_set__is_bitmap(n, span)) return (size_t)(span + 7) / 8;
    unsigned low = low_bits(n, span);
    size_t high = high_bits(n, span, low);
    return n == QN_PACK_COUNT ? (size_t)16 * low + (high + 7) / 8
                              : (n * low + high + 7) / 8;
}

size_t qn_set__put(const uint32_t *values, size_t n, uint32_t base, uint64_t span,
                   uint8_t *out)
{
    uint8_t room[QN_SET_MAX] = {0};
    size_t size = qn_set__size(n, span);
    if (qn_set__is_bitmap(n, span)) {
        for (size_t i = 0; i < n; i++)
            room[(values[i] - base) / 8] |= (uint8_t)(1u << ((values[i] - base) % 8));
        memcpy(out, room, size);
        return size;
    }
    unsigned low = low_bits(n, span);
    uint32_t relative[QN_PACK_COUNT] = {0};
    for (size_t i = 0; i < n; i++) relative[i] = values[i] - base;
    put_stream(relative, n, low, room);
    size_t high = n == QN_PACK_COUNT ? (size_t)128 * low : n * low;
    for (size_t i = 0; i < n; i++) {
        size_t place = high + (relative[i] >> low) + i;
        room[place / 8] |= (uint8_t)(1u << (place % 8));
    }
    memcpy(out, room, size);
    return size;
}

/* Fewer than a block: low bits and high parts in one stream. */
static bool get_few(const uint8_t *in, size_t n, uint32_t base, uint64_t span,
                    uint32_t *values)
{
    unsigned low = low_bits(n, span);
    get_stream(in, n, low, values);
    size_t at = n * low, end = at + high_bits(n, span, low), found = 0;
    uint32_t passed = 0; /* bits of high parts */
    while (at < end) {
        uint64_t left = qn_load64(in + at / 8) >> (at % 8); /* 57 bits at least */
        size_t fresh = end - at < 56 ? end - at : 56;
        left &= ((uint64_t)1 << fresh) - 1;
        for (; left != 0; left &= left - 1, found++) {
            if (found == n) return false;
            uint32_t place = passed + (uint32_t)__builtin_ctzll(left);
            values[found] += base + ((place - (uint32_t)found) << low);
        }
        passed += (uint32_t)fresh;
        at += fresh;
    }
    if (found != n) return false;
    bool ordered = true;
    for (size_t i = 1; i < n; i++) ordered &= values[i] > values[i - 1];
    return ordered && values[0] >= base && values[n - 1] - base < span;
}

bool qn_set__get(const qn_lists *k, const uint8_t *in, size_t n, uint32_t base,
                 uint64_t span, uint32_t *values)
{
    if (qn_set__is_bitmap(n, span))
        return k->set_bits(in, (size_t)span, n, base, values) == n;
    if (n < QN_PACK_COUNT) return get_few(in, n, base, span, values);
    unsigned low = low_bits(n, span);
    return k->elias_fano(in, low, high_bits(n, span, low), base, values) &&
           values[0] >= base && values[n - 1] - base < span;
}

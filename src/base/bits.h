/* SPDX-License-Identifier: Apache-2.0 */
/* base/bits.h -- integers as bytes, checked arithmetic, and bit sets.
 *
 * Everything on disk is little-endian; loads and stores go through memcpy, so they
 * need no alignment. Sizes that came from outside go through the checked helpers. */
#ifndef QN_BASE_BITS_H
#define QN_BASE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Quern's files are mapped little-endian; this machine is not"
#endif

static inline uint16_t qn_load16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint32_t qn_load32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t qn_load64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void qn_store16(void *p, uint16_t v)
{
    memcpy(p, &v, sizeof v);
}

static inline void qn_store32(void *p, uint32_t v)
{
    memcpy(p, &v, sizeof v);
}

static inline void qn_store64(void *p, uint64_t v)
{
    memcpy(p, &v, sizeof v);
}

/* The bits of a float as an integer, and back. */
static inline uint32_t qn_float_bits(float f)
{
    uint32_t v;
    memcpy(&v, &f, sizeof v);
    return v;
}

static inline float qn_bits_float(uint32_t v)
{
    float f;
    memcpy(&f, &v, sizeof f);
    return f;
}

static inline double qn_bits_double(uint64_t v)
{
    double d;
    memcpy(&d, &v, sizeof d);
    return d;
}

/* false on overflow; *out is then untouched. */
static inline bool qn_add_size(size_t a, size_t b, size_t *out)
{
    if (a > SIZE_MAX - b) return false;
    *out = a + b;
    return true;
}

static inline bool qn_mul_size(size_t a, size_t b, size_t *out)
{
    if (a != 0 && b > SIZE_MAX / a) return false;
    *out = a * b;
    return true;
}

/* Rounds up to a multiple of `align`, a power of two. */
static inline uint64_t qn_align_up(uint64_t v, uint64_t align)
{
    return (v + align - 1) & ~(align - 1);
}

/* LEB128: 7 bits a byte, low first. Writes at most 10 bytes, returns how many. */
static inline size_t qn_varint_put(uint8_t *p, uint64_t v)
{
    size_t n = 0;
    while (v >= 0x80) {
        p[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    p[n++] = (uint8_t)v;
    return n;
}

/* Reads from [p, end). Returns the byte after, or NULL when cut short or too long. */
static inline const uint8_t *qn_varint_get(const uint8_t *p, const uint8_t *end,
                                           uint64_t *v)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && p < end; shift += 7) {
        uint8_t byte = *p++;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *v = value;
            return p;
        }
    }
    return NULL;
}

/* A bit set over caller's words: (count + 63) / 64 of them. */
static inline size_t qn_bitset_words(size_t count)
{
    return count / 64 + (count % 64 != 0);
}

static inline bool qn_bitset_has(const uint64_t *words, size_t i)
{
    return (words[i / 64] >> (i % 64)) & 1;
}

static inline void qn_bitset_add(uint64_t *words, size_t i)
{
    words[i / 64] |= (uint64_t)1 << (i % 64);
}

static inline void qn_bitset_remove(uint64_t *words, size_t i)
{
    words[i / 64] &= ~((uint64_t)1 << (i % 64));
}

#endif

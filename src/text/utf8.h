/* SPDX-License-Identifier: Apache-2.0 */
/* text/utf8.h -- UTF-8 checked once at the border, then walked without checks.
 *
 * Everything inside Quern is valid UTF-8 with byte offsets; Elasticsearch's replies
 * count UTF-16 units, which qn_utf16_length() gives. Valid means Unicode's own
 * definition: no overlong forms, no surrogates, nothing above U+10FFFF.
 *
 * Threads   no state.
 * Errors    QN_EUTF8 with the offset of the first byte of the broken sequence. */
#ifndef QN_TEXT_UTF8_H
#define QN_TEXT_UTF8_H

#include "base/slice.h"

/* false for invalid bytes; *bad_at (may be NULL) is then where they begin. */
bool qn_utf8_valid(qn_slice s, QN_NULLABLE size_t *bad_at);
/* The same as a status. */
QN_MUST_CHECK qn_status qn_utf8_check(qn_slice s, QN_NULLABLE qn_error *err);
/* UTF-16 units of valid UTF-8. */
size_t qn_utf16_length(qn_slice valid);
/* The byte offset of the UTF-16 unit `unit` of valid UTF-8; the end when there are
 * fewer. A unit inside a pair gives the start of its character. */
size_t qn_utf16_to_byte(qn_slice valid, size_t unit);

/* Writes `c` (a scalar value), returns how many bytes: 1 to 4. */
static inline size_t qn_utf8_put(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | (c >> 6));
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | (c >> 12));
        out[1] = (char)(0x80 | ((c >> 6) & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | (c >> 18));
    out[1] = (char)(0x80 | ((c >> 12) & 0x3F));
    out[2] = (char)(0x80 | ((c >> 6) & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* The character at p, and its length in bytes. Requires valid UTF-8 and at least one
 * byte; reads no byte beyond the character. */
static inline uint32_t qn_utf8_get(const char *p, size_t *length)
{
    const unsigned char *u = (const unsigned char *)p;
    uint32_t c = u[0];
    if (c < 0x80) {
        *length = 1;
        return c;
    }
    if (c < 0xE0) {
        *length = 2;
        return (c & 0x1F) << 6 | (u[1] & 0x3Fu);
    }
    if (c < 0xF0) {
        *length = 3;
        return (c & 0x0F) << 12 | (u[1] & 0x3Fu) << 6 | (u[2] & 0x3Fu);
    }
    *length = 4;
    return (c & 0x07) << 18 | (u[1] & 0x3Fu) << 12 | (u[2] & 0x3Fu) << 6 |
           (u[3] & 0x3Fu);
}

/* Whether byte `at` of valid UTF-8 begins a character (the end counts). */
static inline bool qn_utf8_border(qn_slice s, size_t at)
{
    return at >= s.n || ((unsigned char)s.p[at] & 0xC0) != 0x80;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "text/utf8.h"

#include "base/bits.h"

#include <inttypes.h>

/* Length of the valid sequence at p (n >= 1 bytes left), or 0. The second byte's
 * range depends on the first: Unicode standard, table 3-7. */
static size_t sequence_length(const unsigned char *p, size_t n)
{
    unsigned c = p[0], low = 0x80, high = 0xBF;
    size_t length;
    if (c < 0x80) return 1;
    if (c >= 0xC2 && c <= 0xDF) {
        length = 2;
    } else if (c >= 0xE0 && c <= 0xEF) {
        length = 3;
        if (c == 0xE0) low = 0xA0;
        if (c == 0xED) high = 0x9F;
    } else if (c >= 0xF0 && c <= 0xF4) {
        length = 4;
        if (c == 0xF0) low = 0x90;
        if (c == 0xF4) high = 0x8F;
    } else {
        return 0;
    }
    if (n < length || p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < length; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    return length;
}

bool qn_utf8_valid(qn_slice s, size_t *bad_at)
{
    const unsigned char *p = (const unsigned char *)s.p;
    size_t i = 0;
    while (i < s.n) {
        while (i + 8 <= s.n && (qn_load64(p + i) & 0x8080808080808080u) == 0) i += 8;
        if (i == s.n) break;
        size_t length = sequence_length(p + i, s.n - i);
        if (length == 0) {
            if (bad_at != NULL) *bad_at = i;
            return false;
        }
        i += length;
    }
    return true;
}

qn_status qn_utf8_check(qn_slice s, qn_error *err)
{
    size_t at = 0;
    if (qn_utf8_valid(s, &at)) return QN_OK;
    return qn_fail_at(err, QN_EUTF8, at, "invalid UTF-8 at byte %zu", at);
}

size_t qn_utf16_length(qn_slice valid)
{
    size_t units = 0;
    for (size_t i = 0; i < valid.n; i++) {
        unsigned char c = (unsigned char)valid.p[i];
        units += (c & 0xC0) != 0x80; /* one for each character */
        units += c >= 0xF0;          /* and one more for a pair */
    }
    return units;
}

size_t qn_utf16_to_byte(qn_slice valid, size_t unit)
{
    size_t i = 0, units = 0;
    while (i < valid.n) {
        size_t length;
        size_t width = qn_utf8_get(valid.p + i, &length) >= 0x10000 ? 2 : 1;
        if (units + width > unit) break;
        units += width;
        i += length;
    }
    return i;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "io/gid.h"

#include <xxhash.h>

static const char hex[] = "0123456789abcdef";

const char *qn_gid_of_key(qn_slice key, char digits[QN_GID_DIGITS_MAX + 1])
{
    unsigned char bytes[QN_GID_KEY_MAX];
    size_t n = key.n;
    if (n > QN_GID_KEY_MAX) {
        XXH128_canonical_t canonical;
        XXH128_canonicalFromHash(&canonical, XXH3_128bits(key.p, key.n));
        n = sizeof canonical.digest;
        memcpy(bytes, canonical.digest, n);
    } else if (n > 0) {
        memcpy(bytes, key.p, n);
    }
    for (size_t i = 0; i < n; i++) {
        digits[2 * i] = hex[bytes[i] >> 4];
        digits[2 * i + 1] = hex[bytes[i] & 15];
    }
    digits[2 * n] = '\0';
    return digits;
}

static int value_of(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static qn_slice without_zeros(qn_slice digits)
{
    while (digits.n > 0 && digits.p[0] == '0') {
        digits.p++;
        digits.n--;
    }
    return digits;
}

bool qn_gid_to_key(qn_slice digits, char key[QN_GID_KEY_MAX], size_t *n)
{
    digits = without_zeros(digits);
    *n = 0;
    if (digits.n == 0 || digits.n > QN_GID_DIGITS_MAX) return false;
    unsigned byte = 0;
    for (size_t i = 0; i < digits.n; i++) {
        int v = value_of(digits.p[i]);
        if (v < 0) return false;
        byte = byte << 4 | (unsigned)v;
        /* The last digit of each pair, counted from the right, ends a byte. */
        if ((digits.n - i) % 2 == 0) continue;
        key[(*n)++] = (char)(unsigned char)byte;
        byte = 0;
    }
    return true;
}

bool qn_gid_names(qn_slice digits, qn_slice key)
{
    char of_key[QN_GID_DIGITS_MAX + 1];
    qn_slice want = without_zeros(qn_slice_of(qn_gid_of_key(key, of_key)));
    digits = without_zeros(digits);
    if (digits.n != want.n) return false;
    for (size_t i = 0; i < digits.n; i++)
        if (value_of(digits.p[i]) != value_of(want.p[i])) return false;
    return true;
}

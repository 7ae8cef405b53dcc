/* SPDX-License-Identifier: Apache-2.0 */
/* charsmap.c -- SentencePiece's precompiled_charsmap: a u32 with the size of a double array
 * (darts-clone's layout), the array, then replacements that end with a zero byte. The bytes
 * come from outside: every step is checked. */
#include "text/subword.h"

enum { UNIT_BYTES = 4 };

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

/* A unit of the array: bits 0-7 label, 8 has a leaf, 9 the offset is in units of 256,
 * 10-31 offset; of a leaf: bits 0-30 value, bit 31 set. */
static bool unit_has_leaf(uint32_t u)
{
    return (u >> 8 & 1) != 0;
}

static uint32_t unit_label(uint32_t u)
{
    return u & (UINT32_C(1) << 31 | 0xFF);
}

static uint32_t unit_offset(uint32_t u)
{
    return u >> 10 << ((u & UINT32_C(1) << 9) >> 6);
}

static uint32_t unit_value(uint32_t u)
{
    return u & (UINT32_MAX >> 1);
}

qn_status qn_charsmap_read(qn_slice bytes, qn_charsmap *out, qn_error *err)
{
    *out = (qn_charsmap){0};
    if (bytes.n == 0) return QN_OK;
    const uint8_t *p = (const uint8_t *)bytes.p;
    size_t array = bytes.n < UNIT_BYTES ? 0 : read_u32(p);
    if (array < UNIT_BYTES || array % UNIT_BYTES != 0 || array > bytes.n - UNIT_BYTES)
        return qn_fail(err, QN_EMODEL,
                       "precompiled_charsmap: %zu bytes with an array of %zu", bytes.n,
                       array);
    out->units = p + UNIT_BYTES;
    out->unit_count = array / UNIT_BYTES;
    out->texts = bytes.p + UNIT_BYTES + array;
    out->text_bytes = bytes.n - UNIT_BYTES - array;
    if (out->text_bytes == 0 || out->texts[out->text_bytes - 1] != '\0')
        return qn_fail(err, QN_EMODEL,
                       "precompiled_charsmap: its texts do not end with a zero");
    return qn_utf8_check((qn_slice){out->texts, out->text_bytes}, NULL) == QN_OK
               ? QN_OK
               : qn_fail(err, QN_EMODEL, "precompiled_charsmap: invalid UTF-8");
}

static bool unit_at(const qn_charsmap *m, uint32_t i, uint32_t *unit)
{
    if (i >= m->unit_count) return false;
    *unit = read_u32(m->units + (size_t)i * UNIT_BYTES);
    return true;
}

bool qn_charsmap_find(const qn_charsmap *m, qn_slice text, bool longest, size_t *length,
                      qn_slice *replacement)
{
    uint32_t at = 0, unit = 0, value = UINT32_MAX;
    if (!unit_at(m, at, &unit)) return false;
    at ^= unit_offset(unit);
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = (uint8_t)text.p[i];
        at ^= c;
        if (c == 0 || !unit_at(m, at, &unit) || unit_label(unit) != c) break;
        at ^= unit_offset(unit);
        if (!unit_has_leaf(unit)) continue;
        uint32_t leaf;
        if (!unit_at(m, at, &leaf)) break;
        value = unit_value(leaf);
        *length = i + 1;
        if (!longest) break;
    }
    if (value >= m->text_bytes) return false;
    *replacement = qn_slice_of(m->texts + value);
    return qn_utf8_border((qn_slice){m->texts, m->text_bytes}, value);
}

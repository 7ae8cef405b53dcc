/* SPDX-License-Identifier: Apache-2.0 */
/* check_column.h -- the ways of reading a column agree with its values one by one. */
#ifndef QN_FUZZ_CHECK_COLUMN_H
#define QN_FUZZ_CHECK_COLUMN_H

#include "sound_segment.h"

enum { DOCS = 1100, WORDS = (DOCS + 63) / 64 }; /* three blocks of 512 */

/* Whether a value of the document lies in [low, high]. */
static inline bool has_between(const qn_column *c, uint32_t doc, int64_t low,
                               int64_t high)
{
    uint64_t begin = 0, limit = 0;
    qn_column_range(c, doc, &begin, &limit);
    for (; begin < limit; begin++) {
        int64_t key = qn_column_value_key(c, begin);
        if (key >= low && key <= high) return true;
    }
    return false;
}

static inline void check_match(const qn_column *c, bool edited, int64_t low,
                               int64_t high)
{
    uint64_t bits[WORDS] = {0};
    qn_column_match(c, low, high, 0, c->doc_count, bits);
    for (uint32_t d = 0; d < c->doc_count; d++)
        qn_assert(edited ||
                  ((bits[d / 64] >> (d % 64)) & 1) == has_between(c, d, low, high));
}

static inline void check_bounds(const qn_column *c, bool edited)
{
    for (uint32_t d = 0; d < c->doc_count;) {
        uint32_t last = 0;
        int64_t min = 0, max = 0;
        qn_column_bounds(c, d, &last, &min, &max);
        qn_assert(last >= d);
        for (; d <= last && d < c->doc_count; d++) {
            uint64_t begin = 0, limit = 0;
            qn_column_range(c, d, &begin, &limit);
            for (; begin < limit; begin++) {
                int64_t key = qn_column_value_key(c, begin);
                qn_assert(edited || (key >= min && key <= max));
            }
        }
    }
}

static inline void check_keys(const qn_column *c)
{
    static uint32_t docs[DOCS];
    static int64_t keys[DOCS];
    uint64_t missing[WORDS];
    for (uint32_t d = 0; d < c->doc_count; d++) docs[d] = d;
    qn_column_get_keys(c, docs, c->doc_count, keys, missing);
    for (uint32_t d = 0; d < c->doc_count; d++) {
        uint64_t begin = 0, limit = 0;
        qn_column_range(c, d, &begin, &limit);
        qn_assert(qn_column_has(c, d) == (begin < limit));
        qn_assert(((missing[d / 64] >> (d % 64)) & 1) == (begin == limit));
        qn_assert(keys[d] == (begin < limit ? qn_column_value_key(c, begin) : 0));
    }
}

static inline void check_column(const qn_segment *seg, uint32_t field, bool edited,
                                int64_t low, int64_t high)
{
    qn_error err = {0};
    qn_column c;
    if (!sound(qn_segment_column(seg, field, &c, &err), &err)) return;
    qn_assert(c.doc_count <= DOCS);
    if (c.type == QN_FIELD_GEO) return;
    check_keys(&c);
    check_match(&c, edited, low, high);
    check_match(&c, edited, INT64_MIN, INT64_MAX);
    check_bounds(&c, edited);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What documents have a value between two keys; blocks that can have none are not
 * looked into. */
#include "index/column_overlay_read.h"
#include "index/column_pack.h"
#include "index/segment_internal.h"
#include "num/kernels.h"

/* Bits of the first n values of a block with keys in [low, high]; false when there are
 * none. */
static bool match_block(const qn_kernels *k, const qn_packed *p, uint64_t block,
                        size_t n, int64_t low, int64_t high, uint64_t *out)
{
    int64_t min = qn_packed__min(p, block), max = qn_packed__max(p, block);
    if (low > max || high < min || min > max) return false;
    if (low <= min && high >= max) {
        memset(out, 0xFF, qn_bitset_words(n) * sizeof *out);
        return true;
    }
    packed_block b = qn_packed__block(p, block);
    int64_t base = (int64_t)b.base;
    uint64_t from = 0, to = ((uint64_t)high - b.base) / p->unit;
    if (low > base) {
        uint64_t above = (uint64_t)low - b.base;
        from = above / p->unit + (above % p->unit != 0);
    }
    if (high < base || from > to) return false;
    k->match_packed(b.data, b.bits, n, from, to - from, out);
    return true;
}

typedef struct key_range {
    int64_t low, high;
} key_range;

/* ---- one value a document ------------------------------------------------------------ */

static void match_dense(const qn_column *c, key_range r, uint32_t begin, uint32_t limit,
                        uint64_t *bits)
{
    for (uint32_t at = begin; at < limit; at += QN_COLUMN_BLOCK) {
        uint64_t hits[QN_COLUMN_BLOCK / 64];
        size_t n = limit - at < QN_COLUMN_BLOCK ? limit - at : QN_COLUMN_BLOCK;
        if (!match_block(c->kernels, &c->values, at / QN_COLUMN_BLOCK, n, r.low, r.high,
                         hits))
            continue;
        for (size_t word = 0; word < qn_bitset_words(n); word++) {
            uint64_t left = hits[word];
            if (c->present != NULL)
                left &= qn_load64(c->present + ((size_t)at / 64 + word) * 8);
            if (n - word * 64 < 64) left &= UINT64_MAX >> (64 - (n - word * 64));
            bits[(at - begin) / 64 + word] |= left;
        }
    }
}

/* ---- runs of places ---------------------------------------------------------------------- */

/* A reader of hits at ascending places: blocks are matched as they are reached. */
typedef struct hit_reader {
    const qn_kernels *kernels;
    const qn_packed *p;
    key_range range;
    uint64_t block; /* the one in `hits` */
    bool any;
    uint64_t hits[PACK_BLOCK / 64];
} hit_reader;

static bool hit_at(hit_reader *h, uint64_t place)
{
    if (place / PACK_BLOCK != h->block) {
        h->block = place / PACK_BLOCK;
        uint64_t left = h->p->count - h->block * PACK_BLOCK;
        h->any = match_block(h->kernels, h->p, h->block,
                             left < PACK_BLOCK ? left : PACK_BLOCK, h->range.low,
                             h->range.high, h->hits);
    }
    return h->any && qn_bitset_has(h->hits, place % PACK_BLOCK);
}

/* Does any block that holds places of [begin, limit) reach into the range? */
static bool may_hit(const qn_packed *p, key_range r, uint64_t begin, uint64_t limit)
{
    for (uint64_t b = begin / PACK_BLOCK; begin < limit && b * PACK_BLOCK < limit; b++)
        if (qn_packed__min(p, b) <= r.high && qn_packed__max(p, b) >= r.low)
            return true;
    return false;
}

static void match_ranked(const qn_column *c, hit_reader *h, uint32_t begin,
                         uint32_t limit, uint64_t place, uint64_t *bits)
{
    for (uint32_t at = begin; at < limit; at += 64) {
        uint64_t here = qn_load64(c->present + (size_t)at / 8), found = 0;
        if (limit - at < 64) here &= UINT64_MAX >> (64 - (limit - at));
        for (; here != 0; here &= here - 1)
            if (hit_at(h, place++)) found |= here & (~here + 1);
        bits[(at - begin) / 64] |= found;
    }
}

static void match_multi(const qn_column *c, hit_reader *h, uint32_t begin,
                        uint32_t limit, uint64_t place, uint64_t *bits)
{
    for (uint32_t doc = begin; doc < limit; doc++) {
        uint64_t end = (uint64_t)qn_packed__get(&c->places, (uint64_t)doc + 1);
        bool found = false;
        for (; place < end; place++) found |= hit_at(h, place);
        if (found) qn_bitset_add(bits, doc - begin);
    }
}

void qn_column_match(const qn_column *c, int64_t low, int64_t high, uint32_t begin,
                     uint32_t limit, uint64_t *bits)
{
    if (c->over != NULL) {
        qn_overlay__match(c, low, high, begin, limit, bits);
        return;
    }
    key_range r = {low, high};
    if (low > high) return;
    if (!c->multi && !c->ranked) {
        match_dense(c, r, begin, limit, bits);
        return;
    }
    hit_reader h = {
        .kernels = c->kernels, .p = &c->values, .range = r, .block = UINT64_MAX};
    for (uint32_t at = begin; at < limit; at += QN_COLUMN_BLOCK) {
        uint32_t end = limit - at < QN_COLUMN_BLOCK ? limit : at + QN_COLUMN_BLOCK;
        uint64_t from = qn_column__place(c, at);
        if (!may_hit(&c->values, r, from, qn_column__place(c, end))) continue;
        if (c->multi)
            match_multi(c, &h, at, end, from, bits + (at - begin) / 64);
        else
            match_ranked(c, &h, at, end, from, bits + (at - begin) / 64);
    }
}

/* ---- bounds ------------------------------------------------------------------------- */

static void bounds_of(const qn_column *c, const qn_packed *p, uint32_t doc,
                      uint32_t last, int64_t *min, int64_t *max)
{
    *min = INT64_MAX;
    *max = INT64_MIN;
    uint64_t begin = doc, limit = (uint64_t)last + 1;
    if (c->multi || c->ranked) {
        begin = qn_column__place(c, doc);
        limit = qn_column__place(c, last + 1);
    }
    for (uint64_t b = begin / PACK_BLOCK; begin < limit && b * PACK_BLOCK < limit;
         b++) {
        if (qn_packed__min(p, b) < *min) *min = qn_packed__min(p, b);
        if (qn_packed__max(p, b) > *max) *max = qn_packed__max(p, b);
    }
}

static uint32_t last_of(const qn_column *c, uint32_t doc)
{
    uint32_t last = doc | (QN_COLUMN_BLOCK - 1);
    return last < c->doc_count ? last : c->doc_count - 1;
}

void qn_column_bounds(const qn_column *c, uint32_t doc, uint32_t *last, int64_t *min,
                      int64_t *max)
{
    *last = last_of(c, doc);
    if (c->over != NULL)
        qn_overlay__bounds(c, doc, min, max);
    else
        bounds_of(c, &c->values, doc, *last, min, max);
}

void qn_column_geo_bounds(const qn_column *c, uint32_t doc, uint32_t *last,
                          qn_geo_box *out)
{
    if (c->over != NULL) {
        qn_overlay__geo_bounds(c, doc, last, out);
        return;
    }
    int64_t lat_min, lat_max, lon_min, lon_max;
    *last = last_of(c, doc);
    bounds_of(c, &c->values, doc, *last, &lat_min, &lat_max);
    bounds_of(c, &c->longitudes, doc, *last, &lon_min, &lon_max);
    if (lat_min > lat_max) /* none: a box that nothing meets */
        *out = (qn_geo_box){INT32_MAX, INT32_MIN, INT32_MAX, INT32_MIN};
    else
        *out = (qn_geo_box){(int32_t)lat_min, (int32_t)lat_max, (int32_t)lon_min,
                            (int32_t)lon_max};
}

uint64_t qn_column_estimate(const qn_column *c, int64_t low, int64_t high)
{
    if (c->over != NULL) return qn_overlay__estimate(c, low, high);
    uint64_t n = 0;
    const qn_packed *p = &c->values;
    for (uint64_t b = 0; b * PACK_BLOCK < p->count; b++) {
        uint64_t left = p->count - b * PACK_BLOCK;
        if (qn_packed__min(p, b) <= high && qn_packed__max(p, b) >= low)
            n += left < PACK_BLOCK ? left : PACK_BLOCK;
    }
    return n;
}

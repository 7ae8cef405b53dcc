/* SPDX-License-Identifier: Apache-2.0 */
#include "index/column_overlay_read.h"

#include "index/column_overlay_internal.h"

#define PLACE_NEW ((uint64_t)1 << 63)

/* ---- ordinals --------------------------------------------------------------------------- */

/* Words of the segment and new ones are numbered together in byte order: the i-th new one
 * is ordinal before[i] + i, which grows with i. */

uint32_t qn_overlay__new_before(const overlay_dict *d, int64_t ord)
{
    uint32_t low = 0, high = d->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if ((int64_t)d->before[middle] + middle < ord)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint32_t own_ord(const overlay_dict *d, uint32_t ord)
{
    uint32_t low = 0, high = d->count; /* new words that stand before it */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (d->before[middle] <= ord)
            low = middle + 1;
        else
            high = middle;
    }
    return ord + low;
}

uint32_t qn_overlay__ord(const overlay_dict *d, uint32_t number)
{
    if (number < d->base_count) return own_ord(d, number);
    uint32_t place = d->place_of[number - d->base_count];
    return d->before[place] + place;
}

static int64_t sorted(const overlay_column *o, int64_t number)
{
    return o->dict == NULL ? number : qn_overlay__ord(o->dict, (uint32_t)number);
}

qn_slice qn_overlay__bytes(const qn_column *c, uint32_t ord)
{
    const overlay_dict *d = c->over->dict;
    if (d == NULL) return qn_column_bytes(&c->over->base, ord);
    uint32_t i = qn_overlay__new_before(d, ord);
    if (i < d->count && d->before[i] + i == ord) return d->words[i];
    return qn_column_bytes(&c->over->base, ord - i);
}

uint32_t qn_overlay__lower_bound(const qn_column *c, qn_slice bytes)
{
    const overlay_dict *d = c->over->dict;
    uint32_t own = c->over->has_base ? qn_column_lower_bound(&c->over->base, bytes) : 0;
    if (d == NULL) return own;
    uint32_t low = 0, high = d->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (qn_slice_compare(d->words[middle], bytes) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return own + low; /* what is before it on both sides */
}

/* ---- attaching ---------------------------------------------------------------------------- */

void qn_overlay__attach(const overlay_column *over, uint32_t doc_count, qn_column *c)
{
    if (!over->has_base) {
        *c = (qn_column){.type = over->type};
        c->doc_count = doc_count;
    }
    c->over = over;
    c->multi |= over->multi;
    c->has_missing |= over->has_missing || !over->has_base;
    c->value_count += over->value_count;
    if (over->dict != NULL) c->dict_count += over->dict->count;
}

/* ---- values --------------------------------------------------------------------------------- */

void qn_overlay__places(const qn_column *c, uint32_t doc, uint64_t *begin,
                        uint64_t *limit)
{
    const overlay_block *b = qn_overlay__block(c->over, doc);
    *begin = *limit = 0;
    if (b != NULL) {
        uint32_t from = 0, to = 0;
        qn_overlay__range(b, doc, &from, &to);
        uint64_t base = PLACE_NEW | (uint64_t)(doc / OVERLAY_BLOCK) << 32;
        *begin = base + from;
        *limit = base + to;
    } else if (c->over->has_base) {
        qn_column_range(&c->over->base, doc, begin, limit);
    }
}

bool qn_overlay__has(const qn_column *c, uint32_t doc)
{
    const overlay_block *b = qn_overlay__block(c->over, doc);
    if (b != NULL) return qn_bitset_has(b->present, doc % OVERLAY_BLOCK);
    return c->over->has_base && qn_column_has(&c->over->base, doc);
}

/* As it stands in the block. */
static int64_t new_value(const overlay_column *o, uint64_t place)
{
    const overlay_block *b = o->blocks[(place & ~PLACE_NEW) >> 32];
    return qn_overlay__value(b, (uint32_t)place);
}

int64_t qn_overlay__key(const qn_column *c, uint64_t place)
{
    const overlay_column *o = c->over;
    int64_t v =
        place & PLACE_NEW ? new_value(o, place) : qn_column_value_key(&o->base, place);
    return o->type == QN_FIELD_KEYWORD ? sorted(o, v) : v;
}

uint64_t qn_overlay__bits(const qn_column *c, uint64_t place)
{
    const overlay_column *o = c->over;
    if (!(place & PLACE_NEW) && o->type != QN_FIELD_KEYWORD)
        return qn_column_value_bits(&o->base, place);
    if (o->type == QN_FIELD_GEO) return (uint64_t)new_value(o, place);
    uint64_t bits = (uint64_t)qn_overlay__key(c, place);
    if (!qn_column__is_float(o->type)) return bits;
    double v = qn_column_f64_of_key(o->type, (int64_t)bits);
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

static void own_keys(const overlay_column *o, const uint32_t *docs, size_t n,
                     int64_t none, int64_t *out, uint64_t *missing)
{
    if (!o->has_base) {
        for (size_t i = 0; i < n; i++) out[i] = none;
        if (missing == NULL) return;
        memset(missing, 0, qn_bitset_words(n) * sizeof *missing);
        for (size_t i = 0; i < n; i++) qn_bitset_add(missing, i);
        return;
    }
    qn_column_get_keys(&o->base, docs, n, out, missing);
    if (o->type != QN_FIELD_KEYWORD) return; /* then none is 0 already */
    for (size_t i = 0; i < n; i++)
        out[i] = qn_column_has(&o->base, docs[i]) ? sorted(o, out[i]) : none;
}

void qn_overlay__keys(const qn_column *c, const uint32_t *docs, size_t n, int64_t none,
                      int64_t *out, uint64_t *missing)
{
    const overlay_column *o = c->over;
    own_keys(o, docs, n, none, out, missing);
    for (size_t i = 0; i < n; i++) {
        const overlay_block *b = qn_overlay__block(o, docs[i]);
        if (b == NULL) continue;
        uint32_t at = docs[i] % OVERLAY_BLOCK;
        bool there = qn_bitset_has(b->present, at);
        out[i] = there ? b->values[at] : none;
        if (there && o->type == QN_FIELD_KEYWORD) out[i] = sorted(o, out[i]);
        if (missing == NULL) continue;
        if (there)
            qn_bitset_remove(missing, i);
        else
            qn_bitset_add(missing, i);
    }
}

/* ---- ranges --------------------------------------------------------------------------------- */

/* Documents [begin, limit) of the segment's own, whose first bit is that of `base`. */
static void match_own(const overlay_column *o, int64_t low, int64_t high,
                      uint32_t begin, uint32_t limit, uint64_t *bits)
{
    if (!o->has_base || begin >= limit) return;
    if (o->dict != NULL) { /* ordinals of both become the segment's */
        int64_t all = (int64_t)o->dict->base_count + o->dict->count;
        if (low < 0) low = 0;
        if (high >= all) high = all - 1;
        if (low > high) return;
        low -= qn_overlay__new_before(o->dict, low);
        high -= qn_overlay__new_before(o->dict, high + 1);
    }
    qn_column_match(&o->base, low, high, begin, limit, bits);
}

static bool in_block(const overlay_column *o, const overlay_block *b, uint32_t place,
                     int64_t low, int64_t high)
{
    int64_t v = qn_overlay__value(b, place);
    if (o->type == QN_FIELD_KEYWORD) v = sorted(o, v);
    return low <= v && v <= high;
}

/* One value a document at most: 64 comparisons a word, without a branch. */
static void match_single(const overlay_block *b, int64_t low, int64_t high, uint32_t n,
                         uint64_t *bits)
{
    uint64_t span = (uint64_t)high - (uint64_t)low;
    for (uint32_t word = 0; word < qn_bitset_words(n); word++) {
        const int64_t *values = b->values + word * 64;
        uint64_t found = 0;
        for (uint32_t i = 0; i < 64; i++) {
            uint64_t above = (uint64_t)values[i] - (uint64_t)low;
            found |= (uint64_t)(above <= span) << i;
        }
        bits[word] |= found & b->present[word]; /* none behind the last document */
    }
}

/* The first n documents of a block. */
static void match_new(const overlay_column *o, const overlay_block *b, int64_t low,
                      int64_t high, uint32_t n, uint64_t *bits)
{
    bool bounded = o->type != QN_FIELD_KEYWORD;
    if (bounded && (low > b->max || high < b->min)) return;
    if (bounded && b->ends == NULL && n == OVERLAY_BLOCK) {
        match_single(b, low, high, n, bits);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t place = i, limit = i;
        qn_overlay__range(b, i, &place, &limit);
        bool hit = false;
        for (; place < limit && !hit; place++) hit = in_block(o, b, place, low, high);
        if (hit) qn_bitset_add(bits, i);
    }
}

void qn_overlay__match(const qn_column *c, int64_t low, int64_t high, uint32_t begin,
                       uint32_t limit, uint64_t *bits)
{
    const overlay_column *o = c->over;
    if (low > high) return;
    uint32_t from = begin; /* not matched yet */
    for (uint32_t at = begin; at < limit; at += OVERLAY_BLOCK) {
        const overlay_block *b = qn_overlay__block(o, at);
        if (b == NULL) continue;
        uint32_t n = limit - at < OVERLAY_BLOCK ? limit - at : OVERLAY_BLOCK;
        match_own(o, low, high, from, at, bits + (from - begin) / 64);
        match_new(o, b, low, high, n, bits + (at - begin) / 64);
        from = at + n;
    }
    match_own(o, low, high, from, limit, bits + (from - begin) / 64);
}

/* ---- bounds ----------------------------------------------------------------------------------- */

void qn_overlay__bounds(const qn_column *c, uint32_t doc, int64_t *min, int64_t *max)
{
    const overlay_column *o = c->over;
    const overlay_block *b = qn_overlay__block(o, doc);
    uint32_t last;
    *min = INT64_MAX;
    *max = INT64_MIN;
    if (b == NULL && o->has_base) qn_column_bounds(&o->base, doc, &last, min, max);
    if (o->type != QN_FIELD_KEYWORD) {
        if (b != NULL) *min = b->min, *max = b->max;
    } else if (b != NULL && b->count != 0) {
        *min = 0;
        *max = (int64_t)c->dict_count - 1;
    } else if (b == NULL && *min <= *max) {
        *min = sorted(o, *min);
        *max = sorted(o, *max);
    }
}

void qn_overlay__geo_bounds(const qn_column *c, uint32_t doc, uint32_t *last,
                            qn_geo_box *out)
{
    const overlay_block *b = qn_overlay__block(c->over, doc);
    *last = doc | (OVERLAY_BLOCK - 1);
    if (*last >= c->doc_count) *last = c->doc_count - 1;
    *out = (qn_geo_box){INT32_MAX, INT32_MIN, INT32_MAX, INT32_MIN};
    if (b != NULL)
        *out = b->box;
    else if (c->over->has_base)
        qn_column_geo_bounds(&c->over->base, doc, last, out);
}

uint64_t qn_overlay__estimate(const qn_column *c, int64_t low, int64_t high)
{
    uint64_t n = 0;
    for (uint32_t doc = 0; doc < c->doc_count; doc += OVERLAY_BLOCK) {
        const overlay_block *b = qn_overlay__block(c->over, doc);
        int64_t min, max;
        uint32_t last;
        qn_column_bounds(c, doc, &last, &min, &max);
        if (min > high || max < low) continue;
        uint64_t from = 0, to = b == NULL ? 0 : b->count, ignored;
        if (b == NULL) {
            qn_column_range(&c->over->base, doc, &from, &ignored);
            qn_column_range(&c->over->base, last, &ignored, &to);
        }
        n += to - from;
    }
    return n;
}

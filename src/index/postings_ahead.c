/* SPDX-License-Identifier: Apache-2.0 */
/* Looking ahead in a list: which block, and what its scores are bounded by. */
#include "index/postings_internal.h"

/* ---- finding a block ------------------------------------------------------------- */

/* The first super-block from `from` on whose last document is >= target. Gallops,
 * because the next target is most often near. */
static uint32_t find_super(const qn_postings *p, uint32_t from, uint32_t target)
{
    uint32_t count = (p->block_count - 1) / QN_POSTINGS_SUPER + 1;
    uint32_t low = from, step = 1; /* all before `low` end before target */
    while (low < count && qn_load32(super_entry(p, low)) < target) {
        uint32_t high = step < count - low ? low + step : count;
        if (high < count && qn_load32(super_entry(p, high)) < target) {
            low = high;
            step *= 2;
            continue;
        }
        while (high - low > 1) {
            uint32_t middle = low + (high - low) / 2;
            if (qn_load32(super_entry(p, middle)) < target)
                low = middle;
            else
                high = middle;
        }
        return high;
    }
    return low;
}

uint32_t qn_postings__find(const qn_postings *p, uint32_t from, uint32_t target)
{
    if (from >= p->block_count || block_last(p, from) >= target) return from;
    uint32_t super = from / QN_POSTINGS_SUPER;
    if (has_supers(p)) {
        super = find_super(p, super, target);
        if (super * QN_POSTINGS_SUPER > from) from = super * QN_POSTINGS_SUPER;
    }
    if (from >= p->block_count) return p->block_count;
    uint32_t end = (super + 1) * QN_POSTINGS_SUPER;
    if (end > p->block_count) end = p->block_count;
    for (uint32_t n = end - from; n > 0;) {
        uint32_t half = (n + 1) / 2;
        /* By arithmetic: which half cannot be foreseen. */
        from += half & (0u - (uint32_t)(block_last(p, from + half - 1) < target));
        n -= half;
    }
    return from;
}

/* ---- bounds ---------------------------------------------------------------------- */

static void read_pairs(const uint8_t *pairs, uint32_t most, qn_postings_range *out)
{
    out->n = 0;
    for (uint32_t i = 0; i < most && pairs[2 * i] != 0; i++)
        out->pairs[out->n++] =
            (qn_postings_bound){qn_freq__most(pairs[2 * i]), pairs[2 * i + 1]};
}

uint32_t qn_postings__look(qn_postings *p, uint32_t target)
{
    uint32_t from = p->block;
    if (p->ahead > from && p->ahead < p->block_count &&
        block_last(p, p->ahead - 1) < target)
        from = p->ahead;
    p->ahead = qn_postings__find(p, from, target);
    return p->ahead;
}

/* A list without tables, or a cursor at the end; true when that was all. */
static bool short_range(const qn_postings *p, uint32_t target, qn_postings_range *out)
{
    out->last = QN_DOC_END;
    out->n = 0;
    if (p->doc == QN_DOC_END) return true;
    if (!p->whole) return false;
    if (p->docs[p->filled - 1] < target) return true;
    out->last = p->docs[p->filled - 1];
    out->n = 1;
    out->pairs[0] = p->bound;
    return true;
}

static void block_range(const qn_postings *p, uint32_t block, qn_postings_range *out)
{
    out->last = block_last(p, block);
    read_pairs(block_entry(p, block) + 2, BLOCK_PAIRS, out);
}

static void super_range(const qn_postings *p, uint32_t super, qn_postings_range *out)
{
    if (!has_supers(p)) {
        out->last = block_last(p, p->block_count - 1);
        read_pairs(p->pairs, QN_POSTINGS_PAIRS, out);
        return;
    }
    out->last = qn_load32(super_entry(p, super));
    read_pairs(super_entry(p, super) + 12, QN_POSTINGS_PAIRS, out);
}

void qn_postings_block_ahead(qn_postings *p, uint32_t target, qn_postings_range *out)
{
    if (short_range(p, target, out)) return;
    uint32_t block = qn_postings__look(p, target);
    if (block < p->block_count) block_range(p, block, out);
}

void qn_postings_super_ahead(qn_postings *p, uint32_t target, qn_postings_range *out)
{
    if (short_range(p, target, out)) return;
    uint32_t block = qn_postings__look(p, target);
    if (block < p->block_count) super_range(p, block / QN_POSTINGS_SUPER, out);
}

uint32_t qn_postings_last_ahead(qn_postings *p, uint32_t target, uint32_t blocks)
{
    if (p->doc == QN_DOC_END || p->whole) return QN_DOC_END;
    uint32_t block = qn_postings__look(p, target > p->doc ? target : p->doc);
    if (block >= p->block_count || p->block_count - block <= blocks) return QN_DOC_END;
    return block_last(p, block + blocks - 1);
}

uint32_t qn_postings_block_at(qn_postings *p, uint32_t target, uint32_t *last)
{
    *last = QN_DOC_END;
    if (p->doc == QN_DOC_END || p->whole) return p->block;
    uint32_t block = qn_postings__look(p, target);
    if (block < p->block_count) *last = block_last(p, block);
    return block;
}

void qn_postings_want_block(const qn_postings *p, uint32_t block)
{
    enum { LINES = 3 };
    const uint8_t *at, *limit;
    if (p->whole || block >= p->block_count ||
        !qn_postings__bytes(p, block, &at, &limit))
        return;
    for (size_t i = 0; i < LINES; i++) __builtin_prefetch(at + 64 * i);
}

void qn_postings_want(qn_postings *p, uint32_t target)
{
    if (p->doc == QN_DOC_END || p->whole) return;
    qn_postings_want_block(p, qn_postings__look(p, target));
}

void qn_postings_peek(const qn_postings *p, uint32_t target, uint32_t *last,
                      qn_postings_bound *bound)
{
    qn_postings_range r;
    *bound = (qn_postings_bound){0, 255};
    if (!short_range(p, target, &r)) {
        uint32_t block = qn_postings__find(p, p->block, target);
        if (block < p->block_count) block_range(p, block, &r);
    }
    *last = r.last;
    if (r.n > 0) *bound = (qn_postings_bound){r.pairs[0].freq, r.pairs[r.n - 1].norm};
}

void qn_postings_list_range(const qn_postings *p, qn_postings_range *out)
{
    if (short_range(p, 0, out)) return;
    out->last = block_last(p, p->block_count - 1);
    read_pairs(p->pairs, QN_POSTINGS_PAIRS, out);
}

/* Scores grow with freq * inverse[norm], step by step, roundings included: one division
 * for the greatest. */
float qn_postings_range_score(const qn_postings_range *r, const qn_bm25_term *t)
{
    float most = 0;
    if (r->n == 0) return 0;
    for (uint32_t i = 0; i < r->n; i++) {
        const qn_postings_bound *b = &r->pairs[i];
        if (b->freq == UINT32_MAX) return t->weight;
        float by = (float)b->freq * t->inverse[b->norm];
        if (by > most) most = by;
    }
    float score = t->weight - t->weight / (1.0f + most);
    return score > 0 ? score : 0;
}

float qn_postings_bound_between(qn_postings *p, uint32_t base, uint32_t limit,
                                const qn_bm25_term *t)
{
    qn_postings_range r;
    float best = 0;
    uint32_t at = p->doc > base ? p->doc : base;
    if (at >= limit) return 0;
    if (short_range(p, at, &r)) return qn_postings_range_score(&r, t);
    for (uint32_t block = qn_postings__look(p, at);
         block < p->block_count && at < limit;) {
        uint32_t super = block / QN_POSTINGS_SUPER;
        super_range(p, super, &r);
        if (block % QN_POSTINGS_SUPER == 0 && r.last < limit) {
            block = (super + 1) * QN_POSTINGS_SUPER;
        } else {
            block_range(p, block, &r);
            block++;
        }
        float score = qn_postings_range_score(&r, t);
        if (score > best) best = score;
        if (r.last >= QN_DOC_END - 1) break;
        at = r.last + 1;
    }
    return best;
}

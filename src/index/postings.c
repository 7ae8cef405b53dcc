/* SPDX-License-Identifier: Apache-2.0 */
#include "index/postings.h"

#include "index/packing.h"
#include "index/segment_internal.h"

enum { FREQ_UNBOUNDED = 0xFFFF };

static qn_status corrupt(const qn_postings *p, const uint8_t *at, const char *what,
                         qn_error *err)
{
    uint64_t offset = (uint64_t)(at - (const uint8_t *)p->base);
    return qn_segment__corrupt(p->file, QN_BLOCK_POSTINGS, p->field, offset, what, err);
}

static qn_status corrupt_positions(const qn_postings *p, const uint8_t *at,
                                   qn_error *err)
{
    uint64_t offset = (uint64_t)(at - (const uint8_t *)p->pos_base);
    return qn_segment__corrupt(p->file, QN_BLOCK_POSITIONS, p->field, offset,
                               "broken positions", err);
}

/* ---- the table of blocks -------------------------------------------------------- */

static uint32_t skip_last(const qn_postings *p, uint32_t block)
{
    return qn_load32(p->skip + (size_t)block * SKIP_ENTRY);
}

static uint32_t skip_data_end(const qn_postings *p, uint32_t block)
{
    return qn_load32(p->skip + (size_t)block * SKIP_ENTRY + 4);
}

static uint32_t skip_pos_end(const qn_postings *p, uint32_t block)
{
    return qn_load32(p->skip + (size_t)block * SKIP_ENTRY + 8);
}

static qn_postings_bound skip_bound(const qn_postings *p, uint32_t block)
{
    const uint8_t *entry = p->skip + (size_t)block * SKIP_ENTRY;
    uint32_t freq = qn_load16(entry + 12);
    return (qn_postings_bound){
        .freq = freq == FREQ_UNBOUNDED ? UINT32_MAX : freq,
        .norm = entry[14],
    };
}

/* The bytes of block `block`, or of the tail; false when the table lies. */
static bool block_bytes(const qn_postings *p, uint32_t block, const uint8_t **begin,
                        const uint8_t **limit)
{
    size_t size = (size_t)(p->data_end - p->data);
    size_t first = block == 0 ? 0 : skip_data_end(p, block - 1);
    size_t last = block == p->block_count ? size : skip_data_end(p, block);
    if (first > last || last > size) return false;
    *begin = p->data + first;
    *limit = p->data + last;
    return true;
}

/* ---- decoding -------------------------------------------------------------------- */

/* Adds up gaps (each one less than it is) after `before`; false past doc_limit. The
 * sums fit 64 bits, and since they only grow, the last one decides for all. */
static bool sum_gaps(qn_postings *p, uint32_t n, uint32_t before)
{
    uint64_t doc = before; /* UINT32_MAX: nothing before; the wrap makes it 0 */
    if (before == UINT32_MAX) doc = UINT64_MAX;
    for (uint32_t i = 0; i < n; i++) {
        doc += (uint64_t)p->docs[i] + 1;
        p->docs[i] = (uint32_t)doc;
    }
    return doc < p->doc_limit;
}

static qn_status decode_full(qn_postings *p, uint32_t block, qn_error *err)
{
    const uint8_t *at = NULL, *limit = NULL;
    if (!block_bytes(p, block, &at, &limit) || limit - at < 2)
        return corrupt(p, p->skip, "broken table of blocks", err);
    unsigned gap_bits = at[0], freq_bits = at[1];
    if (gap_bits > 32 || freq_bits > 32 || (freq_bits != 0 && !p->has_freqs) ||
        (size_t)(limit - at) != 2 + qn_pack__size(gap_bits) + qn_pack__size(freq_bits))
        return corrupt(p, at, "broken block of postings", err);
    qn_pack__read(at + 2, gap_bits, p->docs);
    qn_pack__read(at + 2 + qn_pack__size(gap_bits), freq_bits, p->freqs);

    uint32_t before = block == 0 ? UINT32_MAX : skip_last(p, block - 1);
    if (!sum_gaps(p, QN_POSTINGS_BLOCK, before) ||
        p->docs[QN_POSTINGS_BLOCK - 1] != skip_last(p, block))
        return corrupt(p, at, "documents out of order", err);
    uint64_t sum = 0;
    for (size_t i = 0; i < QN_POSTINGS_BLOCK; i++) {
        sum += (uint64_t)p->freqs[i] + 1;
        p->freqs[i]++;
    }
    uint64_t pos_before = block == 0 ? 0 : skip_pos_end(p, block - 1);
    if (p->has_freqs && (skip_pos_end(p, block) > p->pos_count ||
                         pos_before + sum != skip_pos_end(p, block)))
        return corrupt(p, at, "frequencies do not add up", err);
    p->filled = QN_POSTINGS_BLOCK;
    p->pos_first = pos_before;
    return QN_OK;
}

static qn_status decode_tail(qn_postings *p, qn_error *err)
{
    const uint8_t *at = NULL, *limit = NULL;
    if (!block_bytes(p, p->block_count, &at, &limit))
        return corrupt(p, p->skip, "broken table of blocks", err);
    const uint8_t *start = at;
    uint32_t n = p->doc_count % QN_POSTINGS_BLOCK;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t gap = 0, freq = 1;
        at = qn_varint_get(at, limit, &gap);
        if (at != NULL && p->has_freqs) {
            bool once = gap & 1;
            gap >>= 1;
            if (!once) at = qn_varint_get(at, limit, &freq);
        }
        if (at == NULL || gap > UINT32_MAX || freq == 0 || freq > UINT32_MAX)
            return corrupt(p, start, "broken tail of postings", err);
        p->docs[i] = (uint32_t)gap;
        p->freqs[i] = (uint32_t)freq;
        sum += freq;
    }
    uint32_t blocks = p->block_count;
    uint64_t pos_before = blocks == 0 ? 0 : skip_pos_end(p, blocks - 1);
    if (at != limit ||
        !sum_gaps(p, n, blocks == 0 ? UINT32_MAX : skip_last(p, blocks - 1)) ||
        (p->has_freqs && pos_before + sum != p->pos_count))
        return corrupt(p, start, "broken tail of postings", err);
    p->filled = n;
    p->pos_first = pos_before;
    return QN_OK;
}

static void set_end(qn_postings *p)
{
    p->doc = QN_DOC_END;
    p->freq = 0;
    p->slot = p->filled = 0;
    p->block = p->block_count + 1;
}

static void set_slot(qn_postings *p, uint32_t slot)
{
    p->slot = slot;
    p->doc = p->docs[slot];
    p->freq = p->freqs[slot];
}

/* Decodes `block` and moves to its first document, or to the end. */
static qn_status enter_block(qn_postings *p, uint32_t block, qn_error *err)
{
    bool tail = block == p->block_count;
    if (block > p->block_count || (tail && p->doc_count % QN_POSTINGS_BLOCK == 0)) {
        set_end(p);
        return QN_OK;
    }
    qn_status st = tail ? decode_tail(p, err) : decode_full(p, block, err);
    if (st != QN_OK) {
        set_end(p); /* what lies in the arrays must not be used */
        return st;
    }
    p->block = block;
    p->pos_slot = 0;
    p->has_block_norms = false;
    set_slot(p, 0);
    return QN_OK;
}

/* ---- the cursor ------------------------------------------------------------------ */

static qn_status init_positions(qn_postings *p, const postings_source *s,
                                const qn_term *term, qn_error *err)
{
    p->has_positions = true;
    p->pos_base = s->positions.p;
    if (term->positions_at > s->positions.n ||
        term->positions_size > s->positions.n - term->positions_at)
        return corrupt_positions(p, (const uint8_t *)p->pos_base, err);
    p->pos_table = (const uint8_t *)s->positions.p + term->positions_at;
    p->pos_end = p->pos_table + term->positions_size;
    uint64_t chunks = p->pos_count / QN_PACK_COUNT;
    if (chunks > term->positions_size / 4)
        return corrupt_positions(p, p->pos_table, err);
    p->pos_data = p->pos_table + chunks * 4;
    return QN_OK;
}

static qn_status init_list(qn_postings *p, const postings_source *s,
                           const qn_term *term, qn_error *err)
{
    const uint8_t *at = (const uint8_t *)s->postings.p;
    if (term->postings_at > s->postings.n ||
        term->postings_size > s->postings.n - term->postings_at)
        return corrupt(p, at, "a list past the end", err);
    at += term->postings_at;
    const uint8_t *start = at;
    p->data_end = at + term->postings_size;
    if (p->data_end - at < 3) return corrupt(p, at, "a list cut short", err);
    if (at[0] != 0) return corrupt(p, at, "unknown codec of a list", err);
    uint64_t freq = 0;
    p->bound.norm = at[1];
    at = qn_varint_get(at + 2, p->data_end, &freq);
    if (at == NULL || freq == 0 || freq > UINT32_MAX)
        return corrupt(p, start, "broken bound of a list", err);
    p->bound.freq = (uint32_t)freq;
    p->block_count = p->doc_count / QN_POSTINGS_BLOCK;
    if ((size_t)(p->data_end - at) / SKIP_ENTRY < p->block_count)
        return corrupt(p, start, "a list cut short", err);
    p->skip = at;
    p->data = at + (size_t)p->block_count * SKIP_ENTRY;
    return enter_block(p, 0, err);
}

qn_status qn_postings__init(qn_postings *p, const postings_source *s,
                            const qn_term *term, qn_arena *arena, qn_error *err)
{
    *p = (qn_postings){
        .doc = QN_DOC_END,
        .doc_count = term->doc_freq,
        .field = s->field,
        .doc_limit = s->doc_limit,
        .has_freqs = s->has_freqs,
        .file = s->file,
        .base = s->postings.p,
        .norms_of = s->norms,
        .kernels = s->kernels,
        .pos_count = term->total_term_freq,
        .pos_chunk = UINT64_MAX,
        .arena = arena,
    };
    if (term->doc_freq == 0) {
        set_end(p);
        return QN_OK;
    }
    if (term->doc_freq > s->doc_limit || term->total_term_freq < term->doc_freq ||
        (term->doc_freq == 1 && term->total_term_freq > UINT32_MAX))
        return corrupt(p, (const uint8_t *)p->base, "impossible statistics", err);
    if (s->has_freqs) QN_TRY(init_positions(p, s, term, err));
    if (term->doc_freq > 1) return init_list(p, s, term, err);

    if (term->doc >= s->doc_limit)
        return corrupt(p, (const uint8_t *)p->base, "no such document", err);
    p->docs[0] = term->doc;
    p->freqs[0] = (uint32_t)term->total_term_freq;
    p->bound = (qn_postings_bound){
        .freq = p->freqs[0],
        .norm = s->norms == NULL ? 1 : s->norms[term->doc],
    };
    p->filled = 1;
    set_slot(p, 0);
    return QN_OK;
}

qn_status qn_postings_next(qn_postings *p, qn_error *err)
{
    if (p->slot + 1 < p->filled) {
        set_slot(p, p->slot + 1);
        return QN_OK;
    }
    return qn_postings_next_block(p, err);
}

qn_status qn_postings_next_block(qn_postings *p, qn_error *err)
{
    if (p->doc == QN_DOC_END) return QN_OK;
    if (p->doc_count == 1) {
        set_end(p);
        return QN_OK;
    }
    return enter_block(p, p->block + 1, err);
}

/* The first block from `block` on whose last document is >= target, block_count when
 * only the tail can hold it. Gallops, because the next target is most often near. */
static uint32_t find_block(const qn_postings *p, uint32_t block, uint32_t target)
{
    uint32_t low = block, step = 1;
    while (low < p->block_count && skip_last(p, low) < target) {
        uint32_t high = step < p->block_count - low ? low + step : p->block_count;
        if (high < p->block_count && skip_last(p, high) < target) {
            low = high;
            step *= 2;
            continue;
        }
        while (high - low >
               1) { /* last(low) < target <= last(high), or high is the end */
            uint32_t middle = low + (high - low) / 2;
            if (skip_last(p, middle) < target)
                low = middle;
            else
                high = middle;
        }
        return high;
    }
    return low;
}

qn_status qn_postings_seek(qn_postings *p, uint32_t target, qn_error *err)
{
    if (p->doc == QN_DOC_END || target <= p->doc) return QN_OK;
    if (p->docs[p->filled - 1] < target) {
        if (p->doc_count == 1 || p->block == p->block_count) {
            set_end(p);
            return QN_OK;
        }
        QN_TRY(enter_block(p, find_block(p, p->block + 1, target), err));
        if (p->doc == QN_DOC_END) return QN_OK;
        if (p->docs[p->filled - 1] < target) { /* in the tail, and past it */
            set_end(p);
            return QN_OK;
        }
    }
    uint32_t low = p->slot, high = p->filled - 1; /* docs[high] >= target */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (p->docs[middle] < target)
            low = middle + 1;
        else
            high = middle;
    }
    set_slot(p, low);
    return QN_OK;
}

void qn_postings_rest(const qn_postings *p, const uint32_t **docs,
                      const uint32_t **freqs, size_t *n)
{
    *docs = p->docs + p->slot;
    *freqs = p->freqs + p->slot;
    *n = p->filled - p->slot;
}

void qn_postings_rest_docs(const qn_postings *p, const uint32_t **docs, size_t *n)
{
    *docs = p->docs + p->slot;
    *n = p->filled - p->slot;
}

qn_status qn_postings_rest3(qn_postings *p, const uint32_t **docs,
                            const uint32_t **freqs, const uint8_t **norms, size_t *n,
                            qn_error *err)
{
    (void)err;
    if (!p->has_block_norms) {
        for (size_t i = 0; i < p->filled; i++)
            p->norms[i] = p->norms_of == NULL ? 1 : p->norms_of[p->docs[i]];
        p->has_block_norms = true;
    }
    *docs = p->docs + p->slot;
    *freqs = p->freqs + p->slot;
    *norms = p->norms + p->slot;
    *n = p->filled - p->slot;
    return QN_OK;
}

qn_status qn_postings_freq(qn_postings *p, uint32_t *freq, qn_error *err)
{
    (void)err;
    *freq = p->freqs[p->slot];
    return QN_OK;
}

qn_status qn_postings_or_bits(qn_postings *p, uint32_t base, uint32_t limit,
                              uint64_t *bits, qn_error *err)
{
    while (p->doc < limit) {
        uint32_t i = p->slot;
        for (; i < p->filled && p->docs[i] < limit; i++)
            qn_bitset_add(bits, p->docs[i] - base);
        if (i < p->filled) {
            set_slot(p, i);
            return QN_OK;
        }
        QN_TRY(qn_postings_next_block(p, err));
    }
    return QN_OK;
}

/* ---- bounds ahead ----------------------------------------------------------------- */

void qn_postings_peek(const qn_postings *p, uint32_t target, uint32_t *last,
                      qn_postings_bound *bound)
{
    *last = QN_DOC_END;
    *bound = p->bound; /* of the tail we know no better one */
    if (p->doc == QN_DOC_END || p->doc_count == 1 || p->block >= p->block_count) return;
    uint32_t block = find_block(p, p->block, target);
    if (block == p->block_count) return;
    *last = skip_last(p, block);
    *bound = skip_bound(p, block);
}

void qn_postings_block_ahead(qn_postings *p, uint32_t target, qn_postings_range *out)
{
    *out = (qn_postings_range){.n = p->doc != QN_DOC_END};
    qn_postings_peek(p, target, &out->last, &out->pairs[0]);
}

void qn_postings_super_ahead(qn_postings *p, uint32_t target, qn_postings_range *out)
{
    qn_postings_block_ahead(p, target, out);
}

float qn_postings_range_score(const qn_postings_range *r, const qn_bm25_term *t)
{
    float best = 0;
    for (uint32_t i = 0; i < r->n; i++) {
        const qn_postings_bound *b = &r->pairs[i];
        float score = b->freq == UINT32_MAX ? t->weight
                                            : qn_bm25_score(t, (float)b->freq, b->norm);
        if (score > best) best = score;
    }
    return best;
}

float qn_postings_bound_between(qn_postings *p, uint32_t base, uint32_t limit,
                                const qn_bm25_term *t)
{
    float best = 0;
    uint32_t at = p->doc > base ? p->doc : base;
    while (at < limit) {
        qn_postings_range r;
        qn_postings_block_ahead(p, at, &r);
        float score = qn_postings_range_score(&r, t);
        if (score > best) best = score;
        if (r.last == QN_DOC_END) break;
        at = r.last + 1;
    }
    return best;
}

qn_status qn_postings_best(qn_postings *p, qn_arena *arena, qn_postings_top *out,
                           qn_error *err)
{
    (void)p;
    (void)arena;
    (void)err;
    *out = (qn_postings_top){0};
    return QN_OK;
}

/* ---- positions --------------------------------------------------------------------
 */

static qn_status decode_chunk(qn_postings *p, uint64_t chunk, qn_error *err)
{
    uint64_t full = p->pos_count / QN_PACK_COUNT;
    size_t size = (size_t)(p->pos_end - p->pos_data);
    size_t first = chunk == 0 ? 0 : qn_load32(p->pos_table + (chunk - 1) * 4);
    size_t last = chunk == full ? size : qn_load32(p->pos_table + chunk * 4);
    if (first > last || last > size) return corrupt_positions(p, p->pos_table, err);
    const uint8_t *at = p->pos_data + first, *limit = p->pos_data + last;

    p->pos_chunk = UINT64_MAX;
    if (chunk < full) {
        if (at == limit || at[0] > 32 ||
            (size_t)(limit - at) != 1 + qn_pack__size(at[0]))
            return corrupt_positions(p, at, err);
        qn_pack__read(at + 1, at[0], p->chunk);
    } else {
        const uint8_t *start = at;
        for (uint64_t i = 0; i < p->pos_count % QN_PACK_COUNT; i++) {
            uint64_t delta = 0;
            at = qn_varint_get(at, limit, &delta);
            if (at == NULL || delta > UINT32_MAX)
                return corrupt_positions(p, start, err);
            p->chunk[i] = (uint32_t)delta;
        }
        if (at != limit) return corrupt_positions(p, start, err);
    }
    p->pos_chunk = chunk;
    return QN_OK;
}

/* Where the current document's positions go: in place, or in the arena. */
static uint32_t *positions_room(qn_postings *p)
{
    if (p->freq <= QN_POSTINGS_BLOCK) return p->few;
    if (p->freq <= p->many_capacity) return p->many;
    if (p->arena == NULL) return NULL;
    size_t capacity = p->many_capacity * 2 > p->freq ? p->many_capacity * 2 : p->freq;
    p->many_capacity = 0;
    p->many = qn_arena_array(p->arena, capacity, sizeof *p->many);
    if (p->many != NULL) p->many_capacity = capacity;
    return p->many;
}

qn_status qn_postings_positions(qn_postings *p, const uint32_t **positions, size_t *n,
                                qn_error *err)
{
    *n = 0;
    *positions = NULL;
    if (!p->has_positions)
        return qn_fail(err, QN_EUNSUPPORTED, "the field keeps no positions");
    if (p->doc == QN_DOC_END) return QN_OK;
    for (; p->pos_slot < p->slot; p->pos_slot++) p->pos_first += p->freqs[p->pos_slot];

    uint32_t *out = positions_room(p);
    if (out == NULL) return qn_fail(err, QN_ENOMEM, "%u positions", p->freq);
    uint64_t index = p->pos_first, position = 0;
    for (uint32_t i = 0; i < p->freq; i++, index++) {
        if (index / QN_PACK_COUNT != p->pos_chunk)
            QN_TRY(decode_chunk(p, index / QN_PACK_COUNT, err));
        position += p->chunk[index % QN_PACK_COUNT];
        if (position > UINT32_MAX) return corrupt_positions(p, p->pos_table, err);
        out[i] = (uint32_t)position;
    }
    *positions = out;
    *n = p->freq;
    return QN_OK;
}

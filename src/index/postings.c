/* SPDX-License-Identifier: Apache-2.0 */
/* A cursor: opening a list, decoding its blocks, moving. */
#include "index/postings.h"

#include "index/postings_internal.h"

qn_status qn_postings__corrupt(const qn_postings *p, const uint8_t *at,
                               const char *what, qn_error *err)
{
    uint64_t offset = (uint64_t)(at - (const uint8_t *)p->base);
    return qn_segment__corrupt(p->file, QN_BLOCK_POSTINGS, p->field, offset, what, err);
}

/* ---- decoding -------------------------------------------------------------------- */

bool qn_postings__bytes(const qn_postings *p, uint32_t block, const uint8_t **begin,
                        const uint8_t **limit)
{
    uint32_t super = block / QN_POSTINGS_SUPER, place = block % QN_POSTINGS_SUPER;
    size_t size = (size_t)(p->data_end - p->data);
    size_t base = super == 0 ? 0 : qn_load32(super_entry(p, super - 1) + 4);
    size_t first = place == 0 ? base : base + qn_load16(block_entry(p, block - 1));
    size_t last = base + qn_load16(block_entry(p, block));
    if (first > last || last > size) return false;
    *begin = p->data + first;
    *limit = p->data + last;
    return true;
}

enum { NEXT_LINES = 3 }; /* of cache, most blocks */

static qn_status load_docs(qn_postings *p, uint32_t block, qn_error *err)
{
    const uint8_t *at = NULL, *limit = NULL;
    if (!qn_postings__bytes(p, block, &at, &limit))
        return qn_postings__corrupt(p, p->lasts, "broken table of blocks", err);
    uint32_t n = block_docs(p, block), last = block_last(p, block);
    uint32_t base = block == 0 ? 0 : block_last(p, block - 1) + 1;
    if (last < base || last >= p->doc_limit || last - base < n - 1)
        return qn_postings__corrupt(p, p->lasts, "broken table of blocks", err);
    uint64_t span = (uint64_t)(last - base) + 1;
    size_t size = qn_set__size(n, span);
    if (size > (size_t)(limit - at) ||
        !qn_set__get(p->kernels->lists, at, n, base, span, p->docs) ||
        p->docs[n - 1] != last)
        return qn_postings__corrupt(p, at, "documents out of order", err);
    if (!p->counted && size != (size_t)(limit - at))
        return qn_postings__corrupt(p, at, "broken block of postings", err);
    /* The next block is likely to be wanted soon, and may lie on another page. */
    for (size_t i = 0; i < NEXT_LINES; i++) __builtin_prefetch(limit + 64 * i);
    p->filled = n;
    p->freqs_at = at + size;
    p->freqs_end = limit;
    return QN_OK;
}

qn_status qn_postings__load_freqs(qn_postings *p, qn_error *err)
{
    if (p->freqs_ready) return QN_OK;
    const uint8_t *at = p->freqs_at;
    uint64_t before = 0;
    if (!p->whole) {
        at = qn_varint_get(at, p->freqs_end, &before);
        if (at == NULL)
            return qn_postings__corrupt(p, p->freqs_at, "broken frequencies", err);
    }
    if (p->block >= QN_POSTINGS_SUPER)
        before += qn_load32(super_entry(p, p->block / QN_POSTINGS_SUPER - 1) + 8);
    at = qn_pack__get(p->kernels->lists, at, p->freqs_end, p->filled, p->freqs);
    if (at == NULL || (at != p->freqs_end && !p->whole))
        return qn_postings__corrupt(p, p->freqs_at, "broken frequencies", err);
    if (!p->kernels->lists->add_one(p->freqs, p->filled))
        return qn_postings__corrupt(p, p->freqs_at, "broken frequencies", err);
    p->pos_first = before;
    p->freqs_end = at; /* positions of a short list follow */
    p->freqs_ready = true;
    return QN_OK;
}

static void set_end(qn_postings *p)
{
    p->doc = QN_DOC_END;
    p->slot = p->filled = 0;
    p->block = p->block_count;
}

static inline void set_slot(qn_postings *p, uint32_t slot)
{
    p->slot = slot;
    p->doc = p->docs[slot];
    p->freq = p->freqs[slot]; /* void in a lazy cursor */
}

/* Moves to the first document of a block. What lies in the arrays after a failure must
 * not be used: the cursor is then at the end. */
static qn_status enter_block(qn_postings *p, uint32_t block, qn_error *err)
{
    if (block >= p->block_count) {
        set_end(p);
        return QN_OK;
    }
    p->block = block;
    p->pos_slot = 0;
    p->pos_first = (uint64_t)block * QN_POSTINGS_BLOCK;
    p->freqs_ready = !p->counted;
    p->norms_ready = p->norms_of == NULL;
    qn_status st = load_docs(p, block, err);
    if (st == QN_OK && !p->lazy) st = qn_postings__load_freqs(p, err);
    if (st != QN_OK) {
        set_end(p);
        return st;
    }
    set_slot(p, 0);
    return QN_OK;
}

/* ---- opening ------------------------------------------------------------------------ */

static uint8_t norm_of(const qn_postings *p, uint32_t doc)
{
    return p->norms_of == NULL ? 1 : p->norms_of[doc];
}

static qn_status init_one(qn_postings *p, const qn_term *term, const uint8_t *at,
                          qn_error *err)
{
    if (term->doc >= p->doc_limit)
        return qn_postings__corrupt(p, at, "no such document", err);
    p->docs[0] = term->doc;
    p->freqs[0] = (uint32_t)term->total_term_freq;
    p->filled = 1;
    p->bound = (qn_postings_bound){p->freqs[0], norm_of(p, term->doc)};
    if (!p->has_positions) return QN_OK;
    p->pos_first = 0;
    if (p->freqs[0] > 1)
        return qn_positions__init(p, at, at + term->postings_size, err);
    p->chunk[0] = term->position;
    p->pos_chunk = 0;
    return QN_OK;
}

/* Fewer documents than a block: all are decoded at once. */
static qn_status init_few(qn_postings *p, const qn_term *term, const uint8_t *at,
                          qn_error *err)
{
    size_t size = qn_set__size(p->doc_count, p->doc_limit);
    if (size > term->postings_size ||
        !qn_set__get(p->kernels->lists, at, p->doc_count, 0, p->doc_limit, p->docs))
        return qn_postings__corrupt(p, at, "broken list", err);
    p->filled = p->doc_count;
    p->freqs_at = at + size;
    p->freqs_end = at + term->postings_size;
    if (p->counted) {
        p->freqs_ready = false;
        QN_TRY(qn_postings__load_freqs(p, err));
        if (p->pos_first != 0) /* never: a short list has no block before */
            return qn_postings__corrupt(p, at, "broken list", err);
    } else {
        p->freqs_end = p->freqs_at;
    }
    p->bound = (qn_postings_bound){1, norm_of(p, p->docs[0])};
    for (uint32_t i = 0; i < p->filled; i++) {
        uint8_t norm = norm_of(p, p->docs[i]);
        if (p->freqs[i] > p->bound.freq) p->bound.freq = p->freqs[i];
        if (norm < p->bound.norm) p->bound.norm = norm;
    }
    if (p->has_positions)
        return qn_positions__init(p, p->freqs_end, at + term->postings_size, err);
    return p->freqs_end == at + term->postings_size
               ? QN_OK
               : qn_postings__corrupt(p, at, "broken list", err);
}

enum { FIRST_LINES = 4 }; /* of a block's data */

static bool lay_out(qn_postings *p, const uint8_t *at, size_t size)
{
    size_t supers = 0;
    if (has_supers(p))
        supers = (p->block_count + QN_POSTINGS_SUPER - 1) / QN_POSTINGS_SUPER;
    size_t tables =
        LIST_HEADER + supers * SUPER_ENTRY + (size_t)p->block_count * (4 + BLOCK_ENTRY);
    if (size < tables) return false;
    p->supers = at + LIST_HEADER;
    p->lasts = p->supers + supers * SUPER_ENTRY;
    p->entries = p->lasts + (size_t)p->block_count * 4;
    p->data = p->entries + (size_t)p->block_count * BLOCK_ENTRY;
    /* A cold list lies in lines far apart: ask for all of them before the first waits. */
    __builtin_prefetch(p->lasts);
    __builtin_prefetch(p->entries);
    __builtin_prefetch(p->data - BLOCK_ENTRY);
    for (size_t i = 0; i < FIRST_LINES; i++) __builtin_prefetch(p->data + 64 * i);
    size_t data = supers == 0 ? qn_load16(block_entry(p, p->block_count - 1))
                              : qn_load32(super_entry(p, (uint32_t)supers - 1) + 4);
    if (data > size - tables) return false;
    p->data_end = p->data + data;
    return true;
}

/* Pairs stand with the greatest frequency first, zeros behind the last. */
static bool read_bound(qn_postings *p, const uint8_t *pairs)
{
    if (pairs[0] == 0) return false;
    p->bound.freq = qn_freq__most(pairs[0]);
    for (size_t i = 0; i < QN_POSTINGS_PAIRS && pairs[2 * i] != 0; i++)
        p->bound.norm = pairs[2 * i + 1];
    return true;
}

static qn_status init_blocks(qn_postings *p, const postings_source *s,
                             const qn_term *term, const uint8_t *at, qn_error *err)
{
    p->whole = false;
    p->pairs = at + 1;
    p->list_end = at + term->postings_size;
    p->block_count = (p->doc_count - 1) / QN_POSTINGS_BLOCK + 1;
    if (!lay_out(p, at, (size_t)term->postings_size) || !read_bound(p, p->pairs))
        return qn_postings__corrupt(p, at, "broken list", err);
    if (at[0] != LIST_CODEC)
        return qn_postings__corrupt(p, at, "unknown codec of a list", err);
    if (p->has_positions) {
        const uint8_t *pos = (const uint8_t *)s->positions.p + term->positions_at;
        QN_TRY(qn_positions__init(p, pos, pos + term->positions_size, err));
    }
    return enter_block(p, 0, err);
}

static bool inside(qn_slice block, uint64_t at, uint64_t size)
{
    return at <= block.n && size <= block.n - at;
}

static qn_status init_list(qn_postings *p, const postings_source *s,
                           const qn_term *term, qn_error *err)
{
    const uint8_t *base = (const uint8_t *)p->base;
    if (term->doc_freq > s->doc_limit || term->total_term_freq < term->doc_freq ||
        term->total_term_freq > UINT32_MAX)
        return qn_postings__corrupt(p, base, "impossible statistics", err);
    if (!inside(s->postings, term->postings_at, term->postings_size) ||
        (s->has_freqs &&
         !inside(s->positions, term->positions_at, term->positions_size)))
        return qn_postings__corrupt(p, base, "a list past the end", err);
    const uint8_t *at = base + term->postings_at;
    if (term->doc_freq >= QN_POSTINGS_BLOCK) return init_blocks(p, s, term, at, err);
    if (term->doc_freq == 1)
        QN_TRY(init_one(p, term, at, err));
    else
        QN_TRY(init_few(p, term, at, err));
    set_slot(p, 0);
    return QN_OK;
}

qn_status qn_postings__init(qn_postings *p, const postings_source *s,
                            const qn_term *term, qn_arena *arena, qn_error *err)
{
    memset(p, 0,
           offsetof(qn_postings, norms)); /* the arrays behind may hold anything */
    p->doc = QN_DOC_END;
    p->doc_count = term->doc_freq;
    p->has_positions = s->has_freqs;
    p->kernels = s->kernels;
    p->field = s->field;
    p->doc_limit = s->doc_limit;
    p->has_freqs = s->has_freqs;
    p->lazy = s->lazy;
    p->counted = s->has_freqs && term->total_term_freq > term->doc_freq;
    p->whole = true;
    p->block_count = 1;
    p->freqs_ready = true;
    p->norms_ready = s->norms == NULL;
    p->file = s->file;
    p->base = s->postings.p;
    p->pos_base = s->positions.p;
    p->norms_of = s->norms;
    p->pos_count = term->total_term_freq;
    p->pos_chunk = UINT64_MAX;
    p->arena = arena;
    if (!p->counted)
        for (size_t i = 0; i < QN_POSTINGS_BLOCK; i++) p->freqs[i] = 1;
    if (p->norms_of == NULL) memset(p->norms, 1, sizeof p->norms);
    if (term->doc_freq == 0) return QN_OK;
    qn_status st = init_list(p, s, term, err);
    if (st != QN_OK) set_end(p);
    return st;
}

/* ---- moving --------------------------------------------------------------------------- */

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
    return enter_block(p, p->block + 1, err);
}

/* In the decoded block, whose last document is >= target. */
static void seek_slot(qn_postings *p, uint32_t target)
{
    const uint32_t *docs = p->docs + p->slot;
    size_t n = p->filled - p->slot;
    while (n > 1) { /* without a branch on the comparison */
        size_t half = n / 2;
        docs += (size_t)(docs[half - 1] < target) * half;
        n -= half;
    }
    set_slot(p, (uint32_t)(docs - p->docs));
}

qn_status qn_postings_seek(qn_postings *p, uint32_t target, qn_error *err)
{
    if (p->doc == QN_DOC_END || target <= p->doc) return QN_OK;
    if (p->docs[p->filled - 1] < target) {
        if (p->whole) {
            set_end(p);
            return QN_OK;
        }
        QN_TRY(enter_block(p, qn_postings__look(p, target), err));
        if (p->doc >= target) return QN_OK;
        if (p->docs[p->filled - 1] < target) {
            set_end(p);
            return qn_postings__corrupt(p, p->lasts, "broken table of blocks", err);
        }
    }
    seek_slot(p, target);
    return QN_OK;
}

qn_status qn_postings_seek_block(qn_postings *p, uint32_t block, uint32_t target,
                                 qn_error *err)
{
    if (p->doc == QN_DOC_END || target <= p->docs[p->filled - 1]) return QN_OK;
    if (!p->whole && block > p->block) return enter_block(p, block, err);
    set_end(p);
    return QN_OK;
}

/* ---- a block at a time ------------------------------------------------------------------ */

void qn_postings_rest_docs(const qn_postings *p, const uint32_t **docs, size_t *n)
{
    *docs = p->docs + p->slot;
    *n = p->filled - p->slot;
}

void qn_postings_rest(const qn_postings *p, const uint32_t **docs,
                      const uint32_t **freqs, size_t *n)
{
    *docs = p->docs + p->slot;
    *freqs = p->freqs + p->slot;
    *n = p->filled - p->slot;
}

qn_status qn_postings_freqs(qn_postings *p, const uint32_t **freqs, qn_error *err)
{
    QN_TRY(qn_postings__load_freqs(p, err));
    *freqs = p->freqs + p->slot;
    return QN_OK;
}

qn_status qn_postings_rest3(qn_postings *p, const uint32_t **docs,
                            const uint32_t **freqs, const uint8_t **norms, size_t *n,
                            qn_error *err)
{
    *n = 0;
    QN_TRY(qn_postings__load_freqs(p, err));
    if (!p->norms_ready) {
        p->kernels->lists->pick_bytes(p->norms_of, p->docs, p->filled, p->norms);
        p->norms_ready = true;
    }
    *docs = p->docs + p->slot;
    *freqs = p->freqs + p->slot;
    *norms = p->norms + p->slot;
    *n = p->filled - p->slot;
    return QN_OK;
}

qn_status qn_postings_freq(qn_postings *p, uint32_t *freq, qn_error *err)
{
    *freq = 0;
    QN_TRY(qn_postings__load_freqs(p, err));
    *freq = p->freqs[p->slot];
    return QN_OK;
}

/* ---- documents as bits --------------------------------------------------------------------- */

static void or_docs(const uint32_t *docs, size_t n, uint32_t base, uint64_t *bits)
{
    for (size_t i = 0; i < n; i++) qn_bitset_add(bits, docs[i] - base);
}

/* ORs a bitmap of `span` bits that begins at bit `shift` of `bits`. */
static void or_words(const uint64_t *words, size_t span, size_t shift, uint64_t *bits)
{
    uint64_t *out = bits + shift / 64;
    unsigned by = shift % 64;
    for (size_t i = 0; i * 64 < span; i++) {
        out[i] |= words[i] << by;
        if (by != 0 && words[i] >> (64 - by) != 0) out[i + 1] |= words[i] >> (64 - by);
    }
}

/* A block that lies before `limit` whole, without decoding it; *done is false where it is
 * not a bitmap. */
static qn_status or_block(const qn_postings *p, uint32_t block, uint32_t base,
                          uint64_t *bits, bool *done, qn_error *err)
{
    *done = false;
    const uint8_t *at = NULL, *limit = NULL;
    uint32_t n = block_docs(p, block), last = block_last(p, block);
    uint32_t first = block_last(p, block - 1) + 1;
    if (!qn_postings__bytes(p, block, &at, &limit) || last < first ||
        last >= p->doc_limit || last - first < n - 1)
        return qn_postings__corrupt(p, p->lasts, "broken table of blocks", err);
    uint64_t span = (uint64_t)(last - first) + 1;
    if (!qn_set__is_bitmap(n, span)) return QN_OK;
    size_t size = qn_set__size(n, span);
    uint64_t words[QN_POSTINGS_BLOCK * 4 / 64] = {0};
    uint32_t none[QN_SET_SPARE];
    if (size > (size_t)(limit - at))
        return qn_postings__corrupt(p, at, "broken block of postings", err);
    memcpy(words, at, size);
    if (p->kernels->lists->set_bits(at, (size_t)span, 0, 0, none) != n ||
        (span % 64 != 0 && words[span / 64] >> (span % 64) != 0))
        return qn_postings__corrupt(p, at, "documents out of order", err);
    or_words(words, (size_t)span, first - base, bits);
    *done = true;
    return QN_OK;
}

qn_status qn_postings_or_bits(qn_postings *p, uint32_t base, uint32_t limit,
                              uint64_t *bits, qn_error *err)
{
    while (p->doc < limit) {
        if (p->docs[p->filled - 1] >= limit) {
            uint32_t from = p->slot;
            seek_slot(p, limit);
            or_docs(p->docs + from, p->slot - from, base, bits);
            return QN_OK;
        }
        or_docs(p->docs + p->slot, p->filled - p->slot, base, bits);
        uint32_t block = p->block + 1;
        for (bool done = true; block < p->block_count && block_last(p, block) < limit;
             block++) {
            QN_TRY(or_block(p, block, base, bits, &done, err));
            if (!done) break;
        }
        QN_TRY(enter_block(p, block, err));
    }
    return QN_OK;
}

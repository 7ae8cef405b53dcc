/* SPDX-License-Identifier: Apache-2.0 */
/* Dictionary of a field: look up one term, or walk them in order. */
#include "index/segment_internal.h"

/* A dictionary block with its header taken apart. */
typedef struct terms_view {
    const qn_blockfile *file;
    uint32_t field, term_count, block_count;
    bool has_freqs;
    const uint8_t *base, *offsets, *data, *data_end;
} terms_view;

static qn_status corrupt(const terms_view *v, const uint8_t *at, qn_error *err)
{
    return qn_segment__corrupt(v->file, QN_BLOCK_TERMS, v->field,
                               (uint64_t)(at - v->base), "broken dictionary", err);
}

static qn_status view_open(terms_view *v, const qn_segment *seg,
                           const qn_segment_field *field, qn_error *err)
{
    qn_slice block;
    QN_TRY(qn_segment__block(seg->file, QN_BLOCK_TERMS, field->id, &block, err));
    const uint8_t *p = (const uint8_t *)block.p;
    *v = (terms_view){.file = seg->file, .field = field->id, .base = p};
    if (block.n < SEGMENT_HEADER) return corrupt(v, p, err);
    v->term_count = qn_load32(p);
    v->has_freqs = p[4] == 1;
    v->block_count = qn_load32(p + 8);
    uint64_t data_size = qn_load64(p + 16);
    uint64_t offsets_size = ((uint64_t)v->block_count + 1) * 4;
    if (p[4] > 1 || v->has_freqs != field->has_positions || p[5] != TERMS_PER_BLOCK ||
        v->term_count != field->term_count ||
        v->block_count !=
            v->term_count / TERMS_PER_BLOCK + (v->term_count % TERMS_PER_BLOCK != 0) ||
        !qn_segment__zero(block.p + 6, 2) || !qn_segment__zero(block.p + 12, 4) ||
        !qn_segment__zero(block.p + 24, SEGMENT_HEADER - 24) ||
        block.n - SEGMENT_HEADER < offsets_size ||
        block.n - SEGMENT_HEADER - offsets_size != data_size)
        return corrupt(v, p, err);
    v->offsets = p + SEGMENT_HEADER;
    v->data = v->offsets + offsets_size;
    v->data_end = v->data + data_size;
    return QN_OK;
}

/* The bytes of one block of terms; false when the offsets lie. */
static bool block_bytes(const terms_view *v, uint32_t block, const uint8_t **begin,
                        const uint8_t **limit)
{
    size_t first = qn_load32(v->offsets + (size_t)block * 4);
    size_t last = qn_load32(v->offsets + (size_t)block * 4 + 4);
    if (first >= last || last > (size_t)(v->data_end - v->data)) return false;
    *begin = v->data + first;
    *limit = v->data + last;
    return true;
}

/* One entry: how much of the term before it keeps, and the rest. */
typedef struct entry {
    uint64_t shared, suffix_size;
    const uint8_t *suffix;
} entry;

static const uint8_t *read_head(const uint8_t *at, const uint8_t *limit, entry *e)
{
    at = qn_varint_get(at, limit, &e->shared);
    if (at == NULL || (at = qn_varint_get(at, limit, &e->suffix_size)) == NULL)
        return NULL;
    if (e->suffix_size > (uint64_t)(limit - at) || e->suffix_size > QN_SEGMENT_TERM_MAX)
        return NULL;
    e->suffix = at;
    return at + e->suffix_size;
}

/* `t` holds the term before on entry (in a block's first entry: anything) and this one
 * after. NULL when broken. Places are checked by whoever reads there. */
static const uint8_t *read_meta(const terms_view *v, const uint8_t *at,
                                const uint8_t *limit, bool first, qn_term *t)
{
    uint64_t doc_freq = 0, more = 0, place = 0;
    t->postings_at += t->postings_size;
    t->positions_at += t->positions_size;
    t->positions_size = 0;
    at = qn_varint_get(at, limit, &doc_freq);
    if (at != NULL && v->has_freqs) at = qn_varint_get(at, limit, &more);
    if (at != NULL && first) at = qn_varint_get(at, limit, &t->postings_at);
    if (at != NULL && first && v->has_freqs)
        at = qn_varint_get(at, limit, &t->positions_at);
    if (at != NULL) at = qn_varint_get(at, limit, &place);
    if (at != NULL && v->has_freqs) at = qn_varint_get(at, limit, &t->positions_size);
    if (at == NULL || doc_freq == 0 || doc_freq > UINT32_MAX || more > UINT32_MAX ||
        (doc_freq == 1 && place >= QN_DOC_END))
        return NULL;
    t->field = v->field;
    t->doc_freq = (uint32_t)doc_freq;
    t->total_term_freq = doc_freq + more;
    t->doc = doc_freq == 1 ? (uint32_t)place : 0;
    t->postings_size = doc_freq == 1 ? 0 : place;
    return at;
}

/* The last block whose first term is <= bytes; 0 when there is none such. */
static qn_status find_block(const terms_view *v, qn_slice bytes, uint32_t *block,
                            qn_error *err)
{
    uint32_t low = 0, high = v->block_count; /* first(low) <= bytes < first(high) */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        const uint8_t *at = NULL, *limit = NULL;
        entry e;
        if (!block_bytes(v, middle, &at, &limit) || read_head(at, limit, &e) == NULL)
            return corrupt(v, v->offsets, err);
        qn_slice first = {(const char *)e.suffix, e.suffix_size};
        if (qn_slice_compare(first, bytes) <= 0)
            low = middle;
        else
            high = middle;
    }
    *block = low;
    return QN_OK;
}

/* Compares an entry with the wanted bytes without putting its term together. The term
 * before is below the wanted one and equals it in exactly `*equal` bytes.
 * < 0: go on; 0: found; > 0: not there. */
static int compare_entry(const entry *e, qn_slice bytes, size_t *equal)
{
    if (e->shared > *equal) return -1; /* differs where the term before did */
    if (e->shared < *equal) return 1;
    size_t i = 0, n = bytes.n - *equal;
    if (e->suffix_size < n) n = e->suffix_size;
    while (i < n && e->suffix[i] == (uint8_t)bytes.p[*equal + i]) i++;
    size_t place = *equal + i;
    if (i < n) {
        int order = e->suffix[i] < (uint8_t)bytes.p[place] ? -1 : 1;
        *equal = place;
        return order;
    }
    *equal = place;
    if (i < e->suffix_size) return 1;
    return place < bytes.n ? -1 : 0;
}

qn_status qn_segment_term(const qn_segment *seg, uint32_t field, qn_slice bytes,
                          qn_term *term, qn_error *err)
{
    *term = (qn_term){.field = field};
    const qn_segment_field *f = qn_segment_field_of(seg, field);
    if (f == NULL || !f->has_terms || f->term_count == 0) return QN_OK;
    terms_view v;
    QN_TRY(view_open(&v, seg, f, err));
    uint32_t block = 0;
    QN_TRY(find_block(&v, bytes, &block, err));
    const uint8_t *at = NULL, *limit = NULL;
    if (!block_bytes(&v, block, &at, &limit)) return corrupt(&v, v.offsets, err);
    size_t equal = 0;
    for (bool first = true; at < limit; first = false) {
        const uint8_t *start = at;
        entry e;
        at = read_head(at, limit, &e);
        if (at == NULL || (first && e.shared != 0)) return corrupt(&v, start, err);
        int order = compare_entry(&e, bytes, &equal);
        if (order > 0) break;
        at = read_meta(&v, at, limit, first, term);
        if (at == NULL) return corrupt(&v, start, err);
        if (order == 0) return QN_OK;
    }
    *term = (qn_term){.field = field};
    return QN_OK;
}

/* ---- walking ----------------------------------------------------------------------
 */

qn_status qn_terms_next(qn_terms *t, qn_error *err)
{
    if (t->at_end) return QN_OK;
    const qn_segment_field *f = qn_segment_field_of(t->seg, t->term.field);
    terms_view v;
    QN_TRY(view_open(&v, t->seg, f, err));
    if (t->index == f->term_count) {
        t->at_end = true;
        return QN_OK;
    }
    bool first = t->index % TERMS_PER_BLOCK == 0;
    const uint8_t *begin = NULL, *limit = NULL;
    if (!block_bytes(&v, t->index / TERMS_PER_BLOCK, &begin, &limit))
        return corrupt(&v, v.offsets, err);
    const uint8_t *start = first ? begin : t->at;
    entry e;
    const uint8_t *at = read_head(start, limit, &e);
    if (at == NULL || (first && e.shared != 0) || e.shared > t->buf.n ||
        e.shared + e.suffix_size > QN_SEGMENT_TERM_MAX)
        return corrupt(&v, start, err);
    at = read_meta(&v, at, limit, first, &t->term);
    if (at == NULL) return corrupt(&v, start, err);
    t->buf.n = (size_t)e.shared;
    qn_buf_add(&t->buf, e.suffix, (size_t)e.suffix_size);
    if (t->buf.failed) return qn_fail(err, QN_ENOMEM, "a term");
    t->bytes = qn_buf_slice(&t->buf);
    t->at = at;
    t->index++;
    return QN_OK;
}

qn_status qn_terms_init(qn_terms *t, const qn_segment *seg, uint32_t field, qn_alloc *a,
                        qn_slice from, qn_error *err)
{
    *t = (qn_terms){.seg = seg, .term = {.field = field}};
    qn_buf_init(&t->buf, a);
    const qn_segment_field *f = qn_segment_field_of(seg, field);
    if (f == NULL || !f->has_terms || f->term_count == 0) {
        t->at_end = true;
        return QN_OK;
    }
    terms_view v;
    QN_TRY(view_open(&v, seg, f, err));
    uint32_t block = 0;
    QN_TRY(find_block(&v, from, &block, err));
    t->index = block * TERMS_PER_BLOCK;
    do {
        QN_TRY(qn_terms_next(t, err));
    } while (!t->at_end && qn_slice_compare(t->bytes, from) < 0);
    return QN_OK;
}

void qn_terms_deinit(qn_terms *t)
{
    qn_buf_deinit(&t->buf);
}

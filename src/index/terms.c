/* SPDX-License-Identifier: Apache-2.0 */
/* Dictionary of a field: look up one term, or walk them in order. */
#include "index/segment_internal.h"

/* A dictionary block with its header taken apart. */
typedef struct terms_view {
    const qn_blockfile *file;
    uint32_t field, term_count, block_count;
    bool has_freqs;
    const uint8_t *base, *keys, *offsets, *data, *data_end;
} terms_view;

static qn_status corrupt(const terms_view *v, const uint8_t *at, qn_error *err)
{
    return qn_segment__corrupt(v->file, QN_BLOCK_TERMS, v->field,
                               (uint64_t)(at - v->base), "broken dictionary", err);
}

/* Takes the header apart, which says what it should. */
static void view_init(terms_view *v, const qn_segment *seg, uint32_t field,
                      const uint8_t *p)
{
    *v = (terms_view){.file = seg->file, .field = field, .base = p};
    v->term_count = qn_load32(p);
    v->has_freqs = p[4] == 1;
    v->block_count = qn_load32(p + 8);
    v->keys = p + SEGMENT_HEADER;
    v->offsets = v->keys + (uint64_t)v->block_count * 8;
    v->data = v->offsets + ((uint64_t)v->block_count + 1) * 4;
    v->data_end = v->data + qn_load64(p + 16);
}

static bool is_sound(const uint8_t *p, uint64_t size, const qn_segment_field *field)
{
    if (size < SEGMENT_HEADER) return false;
    uint32_t terms = qn_load32(p), blocks = qn_load32(p + 8);
    uint64_t data_size = qn_load64(p + 16);
    uint64_t tables = (uint64_t)blocks * 8 + ((uint64_t)blocks + 1) * 4;
    return p[4] <= 1 && (p[4] == 1) == field->has_positions &&
           p[5] == TERMS_PER_BLOCK && terms == field->term_count &&
           blocks == terms / TERMS_PER_BLOCK + (terms % TERMS_PER_BLOCK != 0) &&
           qn_segment__zero((const char *)p + 6, 2) &&
           qn_segment__zero((const char *)p + 12, 4) &&
           qn_segment__zero((const char *)p + 24, SEGMENT_HEADER - 24) &&
           size - SEGMENT_HEADER >= tables &&
           size - SEGMENT_HEADER - tables == data_size;
}

/* The header is looked at the first time only. */
static qn_status view_open(terms_view *v, const qn_segment *seg, segment_field *field,
                           qn_error *err)
{
    const uint8_t *p = atomic_load_explicit(&field->terms, memory_order_acquire);
    if (p == NULL) {
        uint32_t id = field->pub.id;
        qn_slice block;
        QN_TRY(qn_segment__block(seg->file, QN_BLOCK_TERMS, id, &block, err));
        p = (const uint8_t *)block.p;
        *v = (terms_view){.file = seg->file, .field = id, .base = p};
        if (!is_sound(p, block.n, &field->pub)) return corrupt(v, p, err);
        atomic_store_explicit(&field->terms, p, memory_order_release);
    }
    view_init(v, seg, field->pub.id, p);
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
    if (at >= limit) return NULL;
    uint64_t more = 0;
    e->shared = *at >> 4;
    e->suffix_size = *at++ & HEAD_MORE;
    if (e->shared == HEAD_MORE) {
        at = qn_varint_get(at, limit, &more);
        if (at == NULL || more > QN_SEGMENT_TERM_MAX) return NULL;
        e->shared += more;
    }
    if (e->suffix_size == HEAD_MORE) {
        at = qn_varint_get(at, limit, &more);
        if (at == NULL || more > QN_SEGMENT_TERM_MAX) return NULL;
        e->suffix_size += more;
    }
    if (e->suffix_size > (uint64_t)(limit - at) || e->suffix_size > QN_SEGMENT_TERM_MAX)
        return NULL;
    e->suffix = at;
    return at + e->suffix_size;
}

/* Most are one byte. */
static inline const uint8_t *get(const uint8_t *at, const uint8_t *limit, uint64_t *v)
{
    if (at == NULL) return NULL;
    if (at < limit && *at < 0x80) {
        *v = *at;
        return at + 1;
    }
    return qn_varint_get(at, limit, v);
}

static const uint8_t *read_statistics(const terms_view *v, const uint8_t *at,
                                      const uint8_t *limit, qn_term *t)
{
    uint64_t code = 0, more = 0;
    at = get(at, limit, &code);
    uint64_t doc_freq = v->has_freqs ? code >> 1 : code;
    bool once = !v->has_freqs || code & 1;
    if (!once) {
        at = get(at, limit, &more);
        more++;
    }
    if (doc_freq == 0 || doc_freq >= QN_DOC_END || more > UINT32_MAX) return NULL;
    t->doc_freq = (uint32_t)doc_freq;
    t->total_term_freq = doc_freq + more;
    return at;
}

/* `t` holds the term before on entry (in a block's first entry: anything) and this one
 * after. NULL when broken. Places are checked by whoever reads there. */
static const uint8_t *read_meta(const terms_view *v, const uint8_t *at,
                                const uint8_t *limit, bool first, qn_term *t)
{
    uint64_t doc = 0, position = 0;
    t->field = v->field;
    t->postings_at += t->postings_size;
    t->positions_at += t->positions_size;
    t->postings_size = 0;
    t->positions_size = 0;
    at = read_statistics(v, at, limit, t);
    if (first) at = get(at, limit, &t->postings_at);
    if (first && v->has_freqs) at = get(at, limit, &t->positions_at);
    if (t->doc_freq == 1) at = get(at, limit, &doc);
    if (t->doc_freq == 1 && v->has_freqs && t->total_term_freq == 1)
        at = get(at, limit, &position);
    else if (t->doc_freq > 1 || v->has_freqs)
        at = get(at, limit, &t->postings_size);
    if (t->doc_freq >= QN_POSTINGS_BLOCK && v->has_freqs)
        at = get(at, limit, &t->positions_size);
    if (at == NULL || doc >= QN_DOC_END || position > UINT32_MAX) return NULL;
    t->doc = (uint32_t)doc;
    t->position = (uint32_t)position;
    return at;
}

/* ---- finding ---------------------------------------------------------------------- */

/* How many of the block's keys are below `key`. */
static uint32_t count_below(const terms_view *v, uint64_t key)
{
    const uint8_t *at = v->keys;
    for (uint32_t n = v->block_count; n > 0;) { /* no branch on the comparison */
        uint32_t half = (n + 1) / 2;
        at += qn_load64(at + (size_t)(half - 1) * 8) < key ? (size_t)half * 8 : 0;
        n -= half;
    }
    return (uint32_t)((size_t)(at - v->keys) / 8);
}

/* The last block whose first term is <= bytes; 0 when there is none such. */
static qn_status find_block(const terms_view *v, qn_slice bytes, uint32_t *block,
                            qn_error *err)
{
    uint64_t key = qn_terms__key(bytes);
    uint32_t low = count_below(v, key), high = low;
    while (high < v->block_count && qn_load64(v->keys + (size_t)high * 8) == key) {
        const uint8_t *at = NULL, *limit = NULL;
        entry e;
        if (!block_bytes(v, high, &at, &limit) || read_head(at, limit, &e) == NULL)
            return corrupt(v, v->offsets, err);
        qn_slice first = {(const char *)e.suffix, e.suffix_size};
        if (qn_slice_compare(first, bytes) > 0) break;
        high++;
    }
    *block = high == 0 ? 0 : high - 1;
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

/* A term that was found is soon opened: its list is asked for while the next term is
 * looked up, which waits for the memory as well. */
static void want_list(const segment_field *f, const qn_term *t)
{
    enum { LINES = 4, DATA_LINES = 2 };
    const uint8_t *base = atomic_load_explicit(&f->postings, memory_order_acquire);
    if (base == NULL || t->postings_size == 0) return;
    const uint8_t *list = base + t->postings_at;
    for (uint64_t i = 0; i < LINES && i * 64 < t->postings_size; i++)
        __builtin_prefetch(list + i * 64);
    uint64_t blocks = t->doc_freq / QN_POSTINGS_BLOCK;
    uint64_t data = LIST_HEADER + blocks * (4 + BLOCK_ENTRY);
    if (blocks == 0 || data >= t->postings_size) return;
    for (uint64_t i = 0; i < DATA_LINES; i++) __builtin_prefetch(list + data + i * 64);
}

qn_status qn_segment_term(const qn_segment *seg, uint32_t field, qn_slice bytes,
                          qn_term *term, qn_error *err)
{
    *term = (qn_term){.field = field};
    segment_field *f = qn_segment__field(seg, field);
    if (f == NULL || !f->pub.has_terms || f->pub.term_count == 0) return QN_OK;
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
        if (order == 0) {
            want_list(f, term);
            return QN_OK;
        }
    }
    *term = (qn_term){.field = field};
    return QN_OK;
}

/* ---- walking ----------------------------------------------------------------------
 */

qn_status qn_terms_next(qn_terms *t, qn_error *err)
{
    if (t->at_end) return QN_OK;
    segment_field *f = qn_segment__field(t->seg, t->term.field);
    terms_view v;
    QN_TRY(view_open(&v, t->seg, f, err));
    if (t->index == f->pub.term_count) {
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
    segment_field *f = qn_segment__field(seg, field);
    if (f == NULL || !f->pub.has_terms || f->pub.term_count == 0) {
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

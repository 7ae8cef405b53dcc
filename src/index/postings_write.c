/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of posting lists and of positions; read back by postings.c and its kin. */
#include "index/list_bounds.h"
#include "index/packing.h"
#include "index/segment_internal.h"

static void put_varint(qn_buf *out, uint64_t v)
{
    uint8_t bytes[10];
    qn_buf_add(out, bytes, qn_varint_put(bytes, v));
}

static void put_packed(qn_buf *out, const uint32_t *values, size_t n)
{
    char *p = qn_buf_reserve(out, QN_PACK_MAX);
    if (p != NULL) out->n += qn_pack__put(values, n, (uint8_t *)p);
}

static void put_set(qn_buf *out, const uint32_t *values, size_t n, uint32_t base,
                    uint64_t span)
{
    char *p = qn_buf_reserve(out, QN_SET_MAX);
    if (p != NULL) out->n += qn_set__put(values, n, base, span, (uint8_t *)p);
}

/* Frequencies less one. */
static void put_freqs(qn_buf *out, const uint32_t *freqs, size_t n)
{
    uint32_t less[QN_POSTINGS_BLOCK];
    for (size_t i = 0; i < n; i++) less[i] = freqs[i] - 1;
    put_packed(out, less, n);
}

/* ---- positions ------------------------------------------------------------------- */

static qn_status positions_failed(qn_error *err)
{
    return qn_fail(err, QN_ENOMEM, "positions");
}

static qn_status put_positions(const postings_list *l, qn_buf *out, qn_error *err)
{
    size_t chunks = (size_t)((l->pos_count + QN_PACK_COUNT - 1) / QN_PACK_COUNT);
    size_t groups = chunks > 1 ? (chunks - 1) / POSITIONS_GROUP : 0;
    size_t starts = out->n, ends = starts + 4 * groups;
    size_t table = chunks > 1 ? 4 * groups + 2 * chunks : 0;
    if (qn_buf_reserve(out, table) == NULL) return positions_failed(err);
    out->n += table;
    size_t data = out->n, group = data;
    for (size_t c = 0; c < chunks; c++) {
        size_t first = c * QN_PACK_COUNT;
        size_t n = l->pos_count - first < QN_PACK_COUNT ? (size_t)l->pos_count - first
                                                        : QN_PACK_COUNT;
        if (c > 0 && c % POSITIONS_GROUP == 0) {
            group = out->n;
            qn_store32(out->p + starts + 4 * (c / POSITIONS_GROUP - 1),
                       (uint32_t)(group - data));
        }
        put_packed(out, l->deltas + first, n);
        if (out->failed) return positions_failed(err);
        if (out->n - data > UINT32_MAX)
            return qn_fail(err, QN_ELIMIT, "the positions of a term are over 4 GB");
        if (chunks > 1) qn_store16(out->p + ends + 2 * c, (uint16_t)(out->n - group));
    }
    return QN_OK;
}

/* ---- lists of blocks --------------------------------------------------------------- */

typedef struct list_writer {
    const postings_list *l;
    qn_buf *out;
    size_t blocks, supers; /* the tail is a block; supers 0: one, implied */
    size_t header, lasts, entries, data; /* places in `out`, which moves */
    bool counted;                        /* frequencies are there and not all 1 */
    uint64_t positions, super_positions; /* so far; at the super-block's begin */
    list_bounds whole, super;
} list_writer;

static size_t block_size(const list_writer *w, size_t b)
{
    size_t left = w->l->doc_count - b * QN_POSTINGS_BLOCK;
    return left < QN_POSTINGS_BLOCK ? left : QN_POSTINGS_BLOCK;
}

static void put_block(list_writer *w, size_t b)
{
    const postings_list *l = w->l;
    size_t first = b * QN_POSTINGS_BLOCK, n = block_size(w, b);
    const uint32_t *docs = l->docs + first;
    uint32_t base = first == 0 ? 0 : docs[-1] + 1;
    put_set(w->out, docs, n, base, (uint64_t)docs[n - 1] - base + 1);
    if (!w->counted) return;
    put_varint(w->out, w->positions - w->super_positions);
    put_freqs(w->out, l->freqs + first, n);
    for (size_t i = 0; i < n; i++) w->positions += l->freqs[first + i];
}

static void put_pairs(const list_bounds *b, const float *inverse, size_t most,
                      uint8_t *out)
{
    list_pair pairs[QN_POSTINGS_PAIRS];
    size_t n = qn_list_bounds__pairs(b, inverse, most, pairs);
    for (size_t i = 0; i < most; i++) {
        out[2 * i] = i < n ? pairs[i].freq : 0;
        out[2 * i + 1] = i < n ? pairs[i].norm : 0;
    }
}

static void end_super(list_writer *w, size_t b)
{
    size_t s = b / QN_POSTINGS_SUPER;
    uint64_t positions = w->counted ? w->positions : (b + 1) * QN_POSTINGS_BLOCK;
    if (positions > w->l->pos_count) positions = w->l->pos_count;
    if (w->supers > 0) {
        uint8_t *entry = (uint8_t *)w->out->p + w->header + s * SUPER_ENTRY;
        qn_store32(entry, w->l->docs[b * QN_POSTINGS_BLOCK + block_size(w, b) - 1]);
        qn_store32(entry + 4, (uint32_t)(w->out->n - w->data));
        qn_store32(entry + 8, (uint32_t)positions);
        put_pairs(&w->super, w->l->inverse, QN_POSTINGS_PAIRS, entry + 12);
    }
    qn_list_bounds__add_all(&w->whole, &w->super);
    qn_list_bounds__reset(&w->super);
    w->super_positions = w->positions;
}

static qn_status put_blocks(list_writer *w, qn_error *err)
{
    const postings_list *l = w->l;
    size_t super = w->data;
    for (size_t b = 0; b < w->blocks; b++) {
        size_t first = b * QN_POSTINGS_BLOCK, n = block_size(w, b);
        put_block(w, b);
        if (w->out->failed) return qn_fail(err, QN_ENOMEM, "postings");
        if (w->out->n - w->data > UINT32_MAX)
            return qn_fail(err, QN_ELIMIT, "a posting list is over 4 GB");
        list_bounds bounds;
        qn_list_bounds__reset(&bounds);
        qn_list_bounds__add(&bounds, l, first, n);
        uint8_t *base = (uint8_t *)w->out->p,
                *entry = base + w->entries + b * BLOCK_ENTRY;
        qn_store32(base + w->lasts + 4 * b, l->docs[first + n - 1]);
        qn_store16(entry, (uint16_t)(w->out->n - super));
        put_pairs(&bounds, l->inverse, BLOCK_PAIRS, entry + 2);
        qn_list_bounds__add_all(&w->super, &bounds);
        if (b + 1 == w->blocks || (b + 1) % QN_POSTINGS_SUPER == 0) {
            end_super(w, b);
            super = w->out->n;
        }
    }
    return QN_OK;
}

/* The pairs of the whole list stand in front, where room was left for the most. */
static void put_header(list_writer *w, size_t start)
{
    uint8_t *p = (uint8_t *)w->out->p + start;
    p[0] = LIST_CODEC;
    put_pairs(&w->whole, w->l->inverse, QN_POSTINGS_PAIRS, p + 1);
}

static qn_status put_list(const postings_list *l, qn_buf *out, qn_error *err)
{
    size_t blocks = (l->doc_count + QN_POSTINGS_BLOCK - 1) / QN_POSTINGS_BLOCK;
    size_t supers = (blocks + QN_POSTINGS_SUPER - 1) / QN_POSTINGS_SUPER;
    list_writer w = {
        .l = l,
        .out = out,
        .blocks = blocks,
        .supers = supers > 1 ? supers : 0,
        .counted = l->freqs != NULL && l->pos_count > l->doc_count,
    };
    size_t start = out->n;
    w.header = start + LIST_HEADER;
    w.lasts = w.header + w.supers * SUPER_ENTRY;
    w.entries = w.lasts + 4 * blocks;
    w.data = w.entries + BLOCK_ENTRY * blocks;
    qn_list_bounds__reset(&w.whole);
    qn_list_bounds__reset(&w.super);
    if (qn_buf_reserve(out, w.data - start) == NULL)
        return qn_fail(err, QN_ENOMEM, "postings");
    out->n = w.data;
    QN_TRY(put_blocks(&w, err));
    put_header(&w, start);
    if (l->freqs != NULL && l->norms != NULL && l->doc_count >= BEST_FROM)
        QN_TRY(qn_best__put(l, out, err));
    return out->failed ? qn_fail(err, QN_ENOMEM, "postings") : QN_OK;
}

/* ---- any list ------------------------------------------------------------------------ */

/* Fewer documents than a block: one set over all documents, frequencies, positions. */
static qn_status put_few(const postings_list *l, qn_buf *out, qn_error *err)
{
    put_set(out, l->docs, l->doc_count, 0, l->doc_limit);
    if (l->freqs != NULL && l->pos_count > l->doc_count)
        put_freqs(out, l->freqs, l->doc_count);
    if (out->failed) return qn_fail(err, QN_ENOMEM, "postings");
    return l->freqs == NULL ? QN_OK : put_positions(l, out, err);
}

void qn_postings__scale(const uint8_t *norms, uint32_t doc_count, qn_bm25_field *out)
{
    uint64_t tokens = 0, docs = 0;
    for (uint32_t doc = 0; norms != NULL && doc < doc_count; doc++) {
        tokens += qn_bm25_norm_length(norms[doc]);
        docs += norms[doc] != 0;
    }
    qn_bm25_field_init(out, QN_BM25_K1, QN_BM25_B, tokens, docs);
}

void qn_postings__describe(const postings_list *l, qn_term *t)
{
    t->doc_freq = l->doc_count;
    t->total_term_freq = l->freqs == NULL ? l->doc_count : l->pos_count;
    t->doc = l->docs[0];
    t->position = 0;
    if (l->freqs != NULL && l->pos_count == 1) t->position = l->deltas[0];
}

qn_status qn_postings__write(const postings_list *l, qn_buf *out, qn_term *t,
                             qn_error *err)
{
    t->postings_at = out->n;
    if (l->freqs != NULL && l->pos_count > UINT32_MAX)
        return qn_fail(err, QN_ELIMIT, "a term occurs over 4294967295 times");
    if (l->doc_count >= QN_POSTINGS_BLOCK)
        QN_TRY(put_list(l, out, err));
    else if (l->doc_count > 1)
        QN_TRY(put_few(l, out, err));
    else if (l->freqs != NULL && l->pos_count > 1) /* else the dictionary says it all */
        QN_TRY(put_positions(l, out, err));
    t->postings_size = out->n - t->postings_at;
    return QN_OK;
}

qn_status qn_positions__write(const postings_list *l, qn_buf *out, qn_term *t,
                              qn_error *err)
{
    t->positions_at = out->n;
    if (l->freqs != NULL && l->doc_count >= QN_POSTINGS_BLOCK)
        QN_TRY(put_positions(l, out, err));
    t->positions_size = out->n - t->positions_at;
    return QN_OK;
}

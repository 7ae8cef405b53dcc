/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of posting lists and of positions; read back by postings.c. */
#include "index/packing.h"
#include "index/segment_internal.h"

/* A frequency that does not fit its two bytes: not bounded. */
enum { FREQ_UNBOUNDED = 0xFFFF };

static void put_varint(qn_buf *out, uint64_t v)
{
    uint8_t bytes[10];
    qn_buf_add(out, bytes, qn_varint_put(bytes, v));
}

static qn_postings_bound bound_of(const postings_list *l, size_t begin, size_t limit)
{
    qn_postings_bound bound = {.freq = 1, .norm = l->norms == NULL ? 1 : 255};
    for (size_t i = begin; i < limit; i++) {
        if (l->freqs != NULL && l->freqs[i] > bound.freq) bound.freq = l->freqs[i];
        if (l->norms != NULL && l->norms[l->docs[i]] < bound.norm)
            bound.norm = l->norms[l->docs[i]];
    }
    return bound;
}

/* Gaps and frequencies of 128 documents from `first` on, both one less than they are.
 */
static void put_block(const postings_list *l, size_t first, qn_buf *out)
{
    uint32_t gaps[QN_POSTINGS_BLOCK], freqs[QN_POSTINGS_BLOCK] = {0};
    uint32_t before = first == 0 ? UINT32_MAX : l->docs[first - 1];
    for (size_t i = 0; i < QN_POSTINGS_BLOCK; i++) {
        gaps[i] = l->docs[first + i] - before - 1;
        before = l->docs[first + i];
        if (l->freqs != NULL) freqs[i] = l->freqs[first + i] - 1;
    }
    unsigned gap_bits = qn_pack__bits(gaps), freq_bits = qn_pack__bits(freqs);
    size_t size = 2 + qn_pack__size(gap_bits) + qn_pack__size(freq_bits);
    uint8_t *p = (uint8_t *)qn_buf_reserve(out, size);
    if (p == NULL) return;
    p[0] = (uint8_t)gap_bits;
    p[1] = (uint8_t)freq_bits;
    qn_pack__write(gaps, gap_bits, p + 2);
    qn_pack__write(freqs, freq_bits, p + 2 + qn_pack__size(gap_bits));
    out->n += size;
}

static void put_tail(const postings_list *l, size_t first, qn_buf *out)
{
    uint32_t before = first == 0 ? UINT32_MAX : l->docs[first - 1];
    for (size_t i = first; i < l->doc_count; i++) {
        uint32_t gap = l->docs[i] - before - 1;
        before = l->docs[i];
        if (l->freqs == NULL) {
            put_varint(out, gap);
        } else if (l->freqs[i] == 1) {
            put_varint(out, (uint64_t)gap << 1 | 1);
        } else {
            put_varint(out, (uint64_t)gap << 1);
            put_varint(out, l->freqs[i]);
        }
    }
}

/* One entry of the table in front, for the block that ends before document `limit`. */
static void put_skip(uint8_t *entry, const postings_list *l, size_t limit,
                     size_t data_end, uint64_t pos_end)
{
    qn_postings_bound bound = bound_of(l, limit - QN_POSTINGS_BLOCK, limit);
    qn_store32(entry, l->docs[limit - 1]);
    qn_store32(entry + 4, (uint32_t)data_end);
    qn_store32(entry + 8, (uint32_t)pos_end);
    qn_store16(entry + 12,
               bound.freq >= FREQ_UNBOUNDED ? FREQ_UNBOUNDED : (uint16_t)bound.freq);
    entry[14] = bound.norm;
    entry[15] = 0;
}

qn_status qn_postings__encode(const postings_list *l, qn_buf *out, qn_error *err)
{
    if (l->doc_count <= 1) return QN_OK; /* the dictionary says it all */
    if (l->pos_count > UINT32_MAX)
        return qn_fail(err, QN_ELIMIT, "a term occurs over 4294967295 times");

    qn_postings_bound bound = bound_of(l, 0, l->doc_count);
    qn_buf_add_char(out, 0); /* codec */
    qn_buf_add_char(out, (char)bound.norm);
    put_varint(out, bound.freq);

    size_t blocks = l->doc_count / QN_POSTINGS_BLOCK;
    size_t skip = out->n; /* a place, not a pointer: the buffer moves */
    if (qn_buf_reserve(out, blocks * SKIP_ENTRY) == NULL)
        return qn_fail(err, QN_ENOMEM, "postings");
    out->n += blocks * SKIP_ENTRY;
    size_t data = out->n;
    uint64_t positions = 0;
    for (size_t b = 0; b < blocks; b++) {
        size_t first = b * QN_POSTINGS_BLOCK;
        put_block(l, first, out);
        if (out->failed) return qn_fail(err, QN_ENOMEM, "postings");
        for (size_t i = 0; i < QN_POSTINGS_BLOCK && l->freqs != NULL; i++)
            positions += l->freqs[first + i];
        if (out->n - data > UINT32_MAX)
            return qn_fail(err, QN_ELIMIT, "a posting list is over 4 GB");
        put_skip((uint8_t *)out->p + skip + b * SKIP_ENTRY, l,
                 first + QN_POSTINGS_BLOCK, out->n - data, positions);
    }
    put_tail(l, blocks * QN_POSTINGS_BLOCK, out);
    return out->failed ? qn_fail(err, QN_ENOMEM, "postings") : QN_OK;
}

qn_status qn_positions__encode(const postings_list *l, qn_buf *out, qn_error *err)
{
    size_t chunks = (size_t)(l->pos_count / QN_PACK_COUNT), table = out->n;
    if (qn_buf_reserve(out, chunks * 4) == NULL)
        return qn_fail(err, QN_ENOMEM, "positions");
    out->n += chunks * 4;
    size_t data = out->n;
    for (size_t c = 0; c < chunks; c++) {
        const uint32_t *deltas = l->deltas + c * QN_PACK_COUNT;
        unsigned bits = qn_pack__bits(deltas);
        uint8_t *p = (uint8_t *)qn_buf_reserve(out, 1 + qn_pack__size(bits));
        if (p == NULL) return qn_fail(err, QN_ENOMEM, "positions");
        p[0] = (uint8_t)bits;
        qn_pack__write(deltas, bits, p + 1);
        out->n += 1 + qn_pack__size(bits);
        if (out->n - data > UINT32_MAX)
            return qn_fail(err, QN_ELIMIT, "the positions of a term are over 4 GB");
        qn_store32(out->p + table + c * 4, (uint32_t)(out->n - data));
    }
    for (uint64_t i = (uint64_t)chunks * QN_PACK_COUNT; i < l->pos_count; i++)
        put_varint(out, l->deltas[i]);
    return out->failed ? qn_fail(err, QN_ENOMEM, "positions") : QN_OK;
}

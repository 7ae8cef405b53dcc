/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a dictionary; read back by terms.c. */
#include "index/segment_internal.h"

void qn_terms__writer_init(terms_writer *w, qn_alloc *a, bool has_freqs)
{
    *w = (terms_writer){.has_freqs = has_freqs};
    qn_buf_init(&w->data, a);
    qn_buf_init(&w->offsets, a);
    qn_buf_init(&w->keys, a);
}

void qn_terms__writer_deinit(terms_writer *w)
{
    qn_buf_deinit(&w->data);
    qn_buf_deinit(&w->offsets);
    qn_buf_deinit(&w->keys);
}

static size_t shared_prefix(qn_slice a, qn_slice b)
{
    size_t n = a.n < b.n ? a.n : b.n, i = 0;
    while (i < n && a.p[i] == b.p[i]) i++;
    return i;
}

static void put_offset(terms_writer *w)
{
    uint8_t bytes[4];
    if (w->data.n > UINT32_MAX) w->data.failed = true; /* finish() tells why */
    qn_store32(bytes, (uint32_t)w->data.n);
    qn_buf_add(&w->offsets, bytes, 4);
}

/* The block's first term, so that a look-up goes through numbers that lie together. */
static void put_key(terms_writer *w, qn_slice bytes)
{
    uint8_t key[8];
    qn_store64(key, qn_terms__key(bytes));
    qn_buf_add(&w->keys, key, sizeof key);
}

/* How much of the term before stays and how long the rest is: a byte, and more where
 * four bits are not enough. */
static size_t put_head(uint8_t *out, size_t shared, size_t rest)
{
    size_t n = 1;
    out[0] = (uint8_t)((shared < HEAD_MORE ? shared : HEAD_MORE) << 4 |
                       (rest < HEAD_MORE ? rest : HEAD_MORE));
    if (shared >= HEAD_MORE) n += qn_varint_put(out + n, shared - HEAD_MORE);
    if (rest >= HEAD_MORE) n += qn_varint_put(out + n, rest - HEAD_MORE);
    return n;
}

static size_t put_statistics(const terms_writer *w, const qn_term *t, uint8_t *out)
{
    if (!w->has_freqs) return qn_varint_put(out, t->doc_freq);
    bool once = t->total_term_freq == t->doc_freq;
    size_t n = qn_varint_put(out, (uint64_t)t->doc_freq << 1 | once);
    if (!once) n += qn_varint_put(out + n, t->total_term_freq - t->doc_freq - 1);
    return n;
}

static size_t put_places(const terms_writer *w, const qn_term *t, bool first,
                         uint8_t *out)
{
    size_t n = 0;
    if (first) n += qn_varint_put(out, t->postings_at);
    if (first && w->has_freqs) n += qn_varint_put(out + n, t->positions_at);
    if (t->doc_freq == 1) n += qn_varint_put(out + n, t->doc);
    if (t->doc_freq == 1 && w->has_freqs && t->total_term_freq == 1)
        n += qn_varint_put(out + n, t->position);
    else if (t->doc_freq > 1 || w->has_freqs)
        n += qn_varint_put(out + n, t->postings_size);
    if (t->doc_freq >= QN_POSTINGS_BLOCK && w->has_freqs)
        n += qn_varint_put(out + n, t->positions_size);
    return n;
}

void qn_terms__add(terms_writer *w, qn_slice bytes, const qn_term *term)
{
    bool first = w->count % TERMS_PER_BLOCK == 0;
    if (first) {
        put_offset(w);
        put_key(w, bytes);
    }
    size_t shared = first ? 0 : shared_prefix(w->last, bytes);
    uint8_t head[24], meta[80];
    qn_buf_add(&w->data, head, put_head(head, shared, bytes.n - shared));
    qn_buf_add(&w->data, bytes.p + shared, bytes.n - shared);
    size_t n = put_statistics(w, term, meta);
    n += put_places(w, term, first, meta + n);
    qn_buf_add(&w->data, meta, n);
    w->last = bytes;
    w->count++;
}

qn_status qn_terms__finish(terms_writer *w, uint32_t field, qn_blockfile_writer *out,
                           qn_error *err)
{
    put_offset(w);
    if (w->data.n > UINT32_MAX)
        return qn_fail(err, QN_ELIMIT, "the dictionary of a field is over 4 GB");
    if (w->data.failed || w->offsets.failed || w->keys.failed)
        return qn_fail(err, QN_ENOMEM, "dictionary");
    uint8_t header[SEGMENT_HEADER] = {0};
    qn_store32(header, w->count);
    header[4] = w->has_freqs;
    header[5] = TERMS_PER_BLOCK;
    qn_store32(header + 8, (uint32_t)(w->offsets.n / 4 - 1));
    qn_store64(header + 16, w->data.n);
    qn_blockfile_begin(out, QN_BLOCK_TERMS, field);
    qn_blockfile_write(out, header, sizeof header);
    qn_blockfile_write(out, w->keys.p == NULL ? "" : w->keys.p, w->keys.n);
    qn_blockfile_write(out, w->offsets.p, w->offsets.n);
    qn_blockfile_write(out, w->data.p == NULL ? "" : w->data.p, w->data.n);
    return qn_blockfile_end(out, err);
}

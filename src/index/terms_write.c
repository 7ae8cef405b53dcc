/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a dictionary; read back by terms.c. */
#include "index/segment_internal.h"

void qn_terms__writer_init(terms_writer *w, qn_alloc *a, bool has_freqs)
{
    *w = (terms_writer){.has_freqs = has_freqs};
    qn_buf_init(&w->data, a);
    qn_buf_init(&w->offsets, a);
}

void qn_terms__writer_deinit(terms_writer *w)
{
    qn_buf_deinit(&w->data);
    qn_buf_deinit(&w->offsets);
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

void qn_terms__add(terms_writer *w, qn_slice bytes, const qn_term *term)
{
    bool first = w->count % TERMS_PER_BLOCK == 0;
    if (first) put_offset(w);
    size_t shared = first ? 0 : shared_prefix(w->last, bytes);
    uint8_t head[20], meta[60];
    size_t n = qn_varint_put(head, shared);
    n += qn_varint_put(head + n, bytes.n - shared);
    qn_buf_add(&w->data, head, n);
    qn_buf_add(&w->data, bytes.p + shared, bytes.n - shared);

    n = qn_varint_put(meta, term->doc_freq);
    if (w->has_freqs)
        n += qn_varint_put(meta + n, term->total_term_freq - term->doc_freq);
    if (first) n += qn_varint_put(meta + n, term->postings_at);
    if (first && w->has_freqs) n += qn_varint_put(meta + n, term->positions_at);
    n += qn_varint_put(meta + n, term->doc_freq == 1 ? term->doc : term->postings_size);
    if (w->has_freqs) n += qn_varint_put(meta + n, term->positions_size);
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
    if (w->data.failed || w->offsets.failed)
        return qn_fail(err, QN_ENOMEM, "dictionary");
    uint8_t header[SEGMENT_HEADER] = {0};
    qn_store32(header, w->count);
    header[4] = w->has_freqs;
    header[5] = TERMS_PER_BLOCK;
    qn_store32(header + 8, (uint32_t)(w->offsets.n / 4 - 1));
    qn_store64(header + 16, w->data.n);
    qn_blockfile_begin(out, QN_BLOCK_TERMS, field);
    qn_blockfile_write(out, header, sizeof header);
    qn_blockfile_write(out, w->offsets.p, w->offsets.n);
    qn_blockfile_write(out, w->data.p == NULL ? "" : w->data.p, w->data.n);
    return qn_blockfile_end(out, err);
}

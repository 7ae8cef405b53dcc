/* SPDX-License-Identifier: Apache-2.0 */
/* From a segment in the making to the blocks of one. */
#include "index/segment_builder_internal.h"

/* What one field's blocks need while they are written. */
typedef struct field_writer {
    qn_segment_builder *b;
    builder_field *f;
    uint32_t doc_count;
    const uint8_t *norms; /* of every document, or NULL */
    uint32_t *order;      /* indexes of the terms in byte order */
    terms_writer terms;
    qn_buf postings, positions;
    decoded_term decoded;
    uint64_t sum_doc_freq, sum_total_term_freq;
    qn_bm25_field scale; /* the segment's own statistics */
} field_writer;

static void writer_deinit(field_writer *w)
{
    qn_delete(w->b->alloc, w->order);
    qn_terms__writer_deinit(&w->terms);
    qn_buf_deinit(&w->postings);
    qn_buf_deinit(&w->positions);
    qn_decoded__deinit(&w->decoded);
}

static void writer_init(field_writer *w, qn_segment_builder *b, builder_field *f)
{
    *w = (field_writer){.b = b, .f = f, .doc_count = b->ids.count};
    w->decoded.alloc = b->alloc;
    qn_buf_init(&w->decoded.bytes, b->alloc);
    qn_buf_init(&w->postings, b->alloc);
    qn_buf_init(&w->positions, b->alloc);
    qn_terms__writer_init(&w->terms, b->alloc, f->type == QN_FIELD_TEXT);
}

static qn_status write_term(field_writer *w, const pending_term *t, qn_error *err)
{
    bool text = w->f->type == QN_FIELD_TEXT;
    /* A term that a failed document left behind: interned, never seen. */
    if (t->doc_count == 0) return QN_OK;
    QN_TRY(qn_term__decode(t, &w->b->chunks, text, &w->decoded, err));
    postings_list l = {
        .doc_count = t->doc_count,
        .pos_count = t->pos_count,
        .docs = w->decoded.docs,
        .freqs = text ? w->decoded.freqs : NULL,
        .deltas = text ? w->decoded.deltas : NULL,
        .norms = w->norms,
        .inverse = w->scale.inverse,
        .doc_limit = w->doc_count,
    };
    qn_term term = {0};
    qn_postings__describe(&l, &term);
    QN_TRY(qn_postings__write(&l, &w->postings, &term, err));
    QN_TRY(qn_positions__write(&l, &w->positions, &term, err));
    qn_terms__add(&w->terms, qn_term_bytes(t), &term);
    w->sum_doc_freq += term.doc_freq;
    w->sum_total_term_freq += term.total_term_freq;
    return QN_OK;
}

static qn_status put_buf(qn_blockfile_writer *out, uint32_t kind, uint32_t id,
                         const qn_buf *bytes, qn_error *err)
{
    if (bytes->failed) return qn_fail(err, QN_ENOMEM, "a segment's image");
    return qn_blockfile_put(out, kind, id, bytes->p == NULL ? "" : bytes->p, bytes->n,
                            err);
}

static qn_status write_terms(field_writer *w, qn_blockfile_writer *out, qn_error *err)
{
    qn_postings__scale(w->norms, w->doc_count, &w->scale);
    const term_table *t = &w->f->table;
    for (uint32_t i = 0; i < t->count; i++) {
        /* Terms and chains lie anywhere: ask for them early. */
        if (i + 16 < t->count) __builtin_prefetch(qn_term_at(t, w->order[i + 16]));
        if (i + 8 < t->count)
            qn_term__expect_chain(qn_term_at(t, w->order[i + 8]), &w->b->chunks);
        QN_TRY(write_term(w, qn_term_at(t, w->order[i]), err));
    }
    QN_TRY(qn_terms__finish(&w->terms, w->f->id, out, err));
    QN_TRY(put_buf(out, QN_BLOCK_POSTINGS, w->f->id, &w->postings, err));
    if (w->f->type != QN_FIELD_TEXT) return QN_OK;
    return put_buf(out, QN_BLOCK_POSITIONS, w->f->id, &w->positions, err);
}

/* A length byte for every document; those after the last with a token have 0. */
static qn_status write_norms(field_writer *w, qn_blockfile_writer *out, qn_error *err)
{
    builder_field *f = w->f;
    while (f->norms.n < w->doc_count)
        if (!qn_vec_push(w->b->alloc, &f->norms, 0))
            return qn_fail(err, QN_ENOMEM, "lengths of documents");
    w->norms = f->norms.p;
    return qn_blockfile_put(out, QN_BLOCK_NORMS, f->id, f->norms.p, w->doc_count, err);
}

/* ---- columns ----------------------------------------------------------------------
 */

/* Keywords: the indexes of terms become ordinals. */
static qn_status keyword_column(field_writer *w, qn_slice *dict, uint32_t *ords,
                                uint64_t *values, qn_blockfile_writer *out,
                                qn_error *err)
{
    const builder_field *f = w->f;
    for (uint32_t i = 0; i < f->table.count; i++) {
        const pending_term *t = qn_term_at(&f->table, w->order[i]);
        dict[i] = qn_term_bytes(t);
        ords[w->order[i]] = i;
    }
    for (size_t i = 0; i < f->column_values.n; i++)
        values[i] = ords[f->column_values.p[i]];
    column_values c = {
        .type = f->type,
        .doc_count = w->doc_count,
        .count = f->column_values.n,
        .docs = f->column_docs.p,
        .values = values,
        .dict = dict,
        .dict_count = f->table.count,
    };
    return qn_column__write(&c, f->id, w->b->alloc, out, err);
}

static qn_status write_column(field_writer *w, qn_blockfile_writer *out, qn_error *err)
{
    const builder_field *f = w->f;
    qn_alloc *a = w->b->alloc;
    if (f->type != QN_FIELD_KEYWORD) {
        column_values c = {
            .type = f->type,
            .doc_count = w->doc_count,
            .count = f->column_values.n,
            .docs = f->column_docs.p,
            .values = f->column_values.p,
        };
        return qn_column__write(&c, f->id, a, out, err);
    }
    qn_slice *dict = qn_new_array(a, f->table.count, sizeof *dict);
    uint32_t *ords = qn_new_array(a, f->table.count, sizeof *ords);
    uint64_t *values = qn_new_array(a, f->column_values.n, sizeof *values);
    qn_status st = QN_OK;
    if (dict == NULL || ords == NULL || values == NULL)
        st = qn_fail(err, QN_ENOMEM, "a column");
    else
        st = keyword_column(w, dict, ords, values, out, err);
    qn_delete(a, dict);
    qn_delete(a, ords);
    qn_delete(a, values);
    return st;
}

/* ---- the field, the segment
 * ---------------------------------------------------------- */

static void describe_field(const field_writer *w, uint8_t flags, uint8_t *out)
{
    memset(out, 0, SEGMENT_FIELD);
    qn_store32(out, w->f->id);
    out[4] = (uint8_t)w->f->type;
    out[5] = flags;
    qn_store32(out + 8, w->f->doc_count);
    qn_store32(out + 12, w->terms.count);
    qn_store64(out + 16, w->sum_doc_freq);
    qn_store64(out + 24, w->sum_total_term_freq);
}

static qn_status write_field(field_writer *w, uint8_t *description,
                             qn_blockfile_writer *out, qn_error *err)
{
    builder_field *f = w->f;
    uint8_t flags = 0;
    if (f->table.count > 0)
        QN_TRY(qn_term_table__sort(&f->table, w->b->alloc, &w->order, err));
    if (f->type == QN_FIELD_TEXT) {
        flags |= FIELD_POSITIONS | FIELD_NORMS;
        QN_TRY(write_norms(w, out, err));
    }
    if (f->indexed) {
        flags |= FIELD_TERMS;
        QN_TRY(write_terms(w, out, err));
    }
    if (f->column_values.n > 0) {
        flags |= FIELD_COLUMN;
        QN_TRY(write_column(w, out, err));
    }
    describe_field(w, flags, description);
    return QN_OK;
}

qn_status qn_segment_builder_write(qn_segment_builder *b, qn_blockfile_writer *out,
                                   qn_error *err)
{
    size_t size = SEGMENT_HEADER + b->fields.n * SEGMENT_FIELD;
    uint8_t *header = qn_new0(b->alloc, size);
    if (header == NULL) return qn_fail(err, QN_ENOMEM, "a segment's header");
    qn_store32(header, b->ids.count);
    qn_store32(header + 4, (uint32_t)b->fields.n);
    qn_store64(header + 8, b->seed);
    qn_status st = QN_OK;
    for (size_t i = 0; i < b->fields.n; i++) {
        field_writer w;
        writer_init(&w, b, b->fields.p[i]);
        st = write_field(&w, header + SEGMENT_HEADER + i * SEGMENT_FIELD, out, err);
        writer_deinit(&w);
        if (st != QN_OK) goto end;
    }
    QN_TRY_TO(end, qn_ids__write(&b->ids, out, err));
    QN_TRY_TO(end, qn_sources__write(&b->sources, b->ids.count, out, err));
    QN_TRY_TO(end, qn_blockfile_put(out, QN_BLOCK_SEGMENT, 0, header, size, err));
end:
    qn_delete(b->alloc, header);
    return st;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A segment as text. */
#include "index/segment_internal.h"

#include <inttypes.h>

static void add_quoted(qn_buf *out, qn_slice s)
{
    qn_buf_add_char(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7F)
            qn_buf_printf(out, "\\x%02x", c);
        else
            qn_buf_add_char(out, s.p[i]);
    }
    qn_buf_add_char(out, '"');
}

static qn_status dump_docs(const qn_segment *seg, size_t docs_max, qn_buf *out,
                           qn_error *err)
{
    for (uint32_t doc = 0; doc < seg->doc_count && doc < docs_max; doc++) {
        qn_slice id;
        QN_TRY(qn_segment_id(seg, doc, &id, err));
        qn_buf_printf(out, "doc %" PRIu32 " ", doc);
        add_quoted(out, id);
        qn_buf_add_char(out, '\n');
    }
    return QN_OK;
}

enum { POSTINGS_MAX = 16 };

static qn_status dump_postings(const qn_segment *seg, const qn_term *term,
                               qn_arena *arena, qn_buf *out, qn_error *err)
{
    qn_postings p;
    QN_TRY(qn_segment_postings(seg, term, arena, &p, err));
    for (int i = 0; i < POSTINGS_MAX && p.doc != QN_DOC_END; i++) {
        qn_buf_printf(out, " %" PRIu32, p.doc);
        if (p.has_positions) {
            const uint32_t *positions = NULL;
            size_t n = 0;
            QN_TRY(qn_postings_positions(&p, &positions, &n, err));
            for (size_t k = 0; k < n && k < POSTINGS_MAX; k++)
                qn_buf_printf(out, "%c%" PRIu32, k == 0 ? ':' : ',', positions[k]);
        }
        QN_TRY(qn_postings_next(&p, err));
    }
    qn_buf_add_str(out, p.doc == QN_DOC_END ? "\n" : " ...\n");
    return QN_OK;
}

static qn_status dump_terms(const qn_segment *seg, const qn_segment_field *f,
                            size_t terms_max, qn_buf *out, qn_error *err)
{
    qn_arena arena;
    qn_arena_init(&arena, seg->alloc, 0);
    qn_terms t;
    qn_status st = qn_terms_init(&t, seg, f->id, seg->alloc, QN_SLICE_LIT(""), err);
    for (size_t i = 0; st == QN_OK && i < terms_max && !t.at_end; i++) {
        qn_buf_add_str(out, "  ");
        add_quoted(out, t.bytes);
        qn_buf_printf(out, " df=%" PRIu32 " ttf=%" PRIu64, t.term.doc_freq,
                      t.term.total_term_freq);
        st = dump_postings(seg, &t.term, &arena, out, err);
        if (st == QN_OK) st = qn_terms_next(&t, err);
    }
    qn_terms_deinit(&t);
    qn_arena_deinit(&arena);
    return st;
}

static qn_status dump_column(const qn_segment *seg, const qn_segment_field *f,
                             qn_buf *out, qn_error *err)
{
    qn_column c;
    QN_TRY(qn_segment_column(seg, f->id, &c, err));
    qn_buf_printf(out, "  column values=%" PRIu64 " bits=%d%s%s%s", c.value_count,
                  c.values.bits, c.values.flat ? "" : " blocks",
                  c.multi ? " multi" : "", c.has_missing ? " missing" : "");
    if (c.type == QN_FIELD_KEYWORD)
        qn_buf_printf(out, " distinct=%" PRIu32 "\n", c.dict_count);
    else if (c.type == QN_FIELD_GEO)
        qn_buf_printf(out, "\n");
    else if (qn_column__is_float(c.type))
        qn_buf_printf(out, " min=%.9g max=%.9g\n", c.min.f64, c.max.f64);
    else
        qn_buf_printf(out, " min=%" PRId64 " max=%" PRId64 "\n", c.min.i64, c.max.i64);
    return QN_OK;
}

qn_status qn_segment_dump(const qn_segment *seg, size_t terms_max, qn_buf *out,
                          qn_error *err)
{
    qn_buf_printf(out, "segment %s docs=%" PRIu32 " bytes=%" PRIu64 "\n",
                  qn_blockfile_name(seg->file), seg->doc_count,
                  qn_blockfile_size(seg->file));
    QN_TRY(dump_docs(seg, terms_max, out, err));
    for (size_t i = 0; i < seg->field_count; i++) {
        const qn_segment_field *f = &seg->fields[i].pub;
        qn_buf_printf(out,
                      "field %" PRIu32 " %s docs=%" PRIu32 " terms=%" PRIu32
                      " df=%" PRIu64 " ttf=%" PRIu64 "\n",
                      f->id, qn_field_type_name(f->type), f->doc_count, f->term_count,
                      f->sum_doc_freq, f->sum_total_term_freq);
        if (f->has_terms) QN_TRY(dump_terms(seg, f, terms_max, out, err));
        if (f->has_column) QN_TRY(dump_column(seg, f, out, err));
    }
    return out->failed ? qn_fail(err, QN_ENOMEM, "the dump of a segment") : QN_OK;
}

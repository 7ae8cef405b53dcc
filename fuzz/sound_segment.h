/* SPDX-License-Identifier: Apache-2.0 */
/* sound_segment.h -- a sound segment with a field of every kind, and reading everything
 * that a segment has: for targets that edit its blocks. */
#ifndef QN_FUZZ_SOUND_SEGMENT_H
#define QN_FUZZ_SOUND_SEGMENT_H

#include "edit_blocks.h"
#include "index/segment_builder.h"

#include <stdio.h>

enum { READ_DOCS = 1000 }; /* at most so many are looked at one by one */

static const qn_field text = {.id = 1, .type = QN_FIELD_TEXT, .indexed = true};
static const qn_field tag = {
    .id = 2, .type = QN_FIELD_KEYWORD, .indexed = true, .column = true};
static const qn_field year = {.id = 3, .type = QN_FIELD_INT32, .column = true};
static const qn_field price = {.id = 4, .type = QN_FIELD_DOUBLE, .column = true};
static const qn_field sold = {.id = 5, .type = QN_FIELD_BOOL, .column = true};
static const qn_field sizes = {.id = 6, .type = QN_FIELD_INT64, .column = true};
static const qn_field weight = {.id = 7, .type = QN_FIELD_FLOAT, .column = true};
static const qn_field place = {.id = 8, .type = QN_FIELD_GEO, .column = true};

static inline void must(qn_status st)
{
    qn_assert(st == QN_OK);
}

static inline void add_doc(qn_segment_builder *b, uint32_t d)
{
    qn_error err = {0};
    char word[64];
    uint32_t doc = 0;
    int n = snprintf(word, sizeof word, "id%u", d);
    must(qn_segment_builder_begin(b, (qn_slice){word, (size_t)n}, &doc, &err));
    for (uint32_t i = 0; i < 3 + d % 5; i++) {
        n = snprintf(word, sizeof word, "w%u", d * (i + 1) % (i == 0 ? 1 : 40));
        must(qn_segment_builder_term(b, &text, (qn_slice){word, (size_t)n}, 2 * i,
                                     &err));
    }
    if (d % 7 == 3) /* far apart: no bitmap */
        must(qn_segment_builder_term(b, &text, QN_SLICE_LIT("seventh"), 20, &err));
    for (uint32_t i = 0; i < d % 3; i++) {
        n = snprintf(word, sizeof word, "tag%u", (d + i) % 9);
        must(qn_segment_builder_keyword(b, &tag, (qn_slice){word, (size_t)n}, &err));
    }
    if (d % 4 != 0) must(qn_segment_builder_i64(b, &year, 1900 + d, &err));
    must(qn_segment_builder_f64(b, &price, d * 0.25, &err));
    if (d % 7 != 0) must(qn_segment_builder_i64(b, &sold, d % 2, &err));
    for (uint32_t i = 0; i < d % 4; i++)
        must(qn_segment_builder_i64(b, &sizes, (int64_t)(d % 50) * 1000 - i, &err));
    if (d > 20) must(qn_segment_builder_f64(b, &weight, d % 11 * 0.5 - 2, &err));
    if (d % 3 != 0) must(qn_segment_builder_geo(b, &place, d % 90, d % 170, &err));
    n = snprintf(word, sizeof word, "{\"d\":%u}", d);
    must(qn_segment_builder_set_source(b, (qn_slice){word, (size_t)n},
                                       QN_SLICE_LIT("x"), &err));
}

/* A segment of the documents [from, to); lives as long as the process. */
static inline qn_blockfile *sound_image(uint32_t from, uint32_t to)
{
    qn_blockfile *file = NULL;
    qn_alloc *a = qn_alloc_heap();
    qn_error err = {0};
    qn_segment_builder *b = NULL;
    qn_blockfile_writer *w = NULL;
    must(qn_segment_builder_create(a, 1, &b, &err));
    for (uint32_t d = from; d < to; d++) add_doc(b, d);
    must(qn_blockfile_writer_create(a, NULL, QN_SEGMENT_MAGIC, QN_SEGMENT_VERSION, &w,
                                    &err));
    must(qn_segment_builder_write(b, w, &err));
    must(qn_blockfile_finish(w, false, &err));
    size_t n = 0;
    uint8_t *image = qn_blockfile_writer_take(w, &n);
    qn_blockfile_writer_destroy(w);
    qn_segment_builder_destroy(b);
    must(qn_blockfile_open_memory(a, image, n, true, "sound", QN_SEGMENT_MAGIC,
                                  QN_SEGMENT_VERSION, &file, &err));
    return file;
}

/* An error is damage, and says where. True when there was none. */
static inline bool sound(qn_status st, const qn_error *err)
{
    bool known = st == QN_OK || st == QN_ENOTFOUND || st == QN_ENOMEM ||
                 (st == QN_ECORRUPT && strcmp(err->file, "fuzz") == 0);
    if (!known) (void)fprintf(stderr, "%d: %s: %s\n", st, err->file, err->text);
    qn_assert(known);
    return st == QN_OK;
}

/* By blocks: what a scorer reads, the bounds ahead, the bits, the best documents. */
static inline void walk_blocks(const qn_segment *seg, const qn_term *term,
                               qn_arena *arena)
{
    qn_error err = {0};
    qn_postings p;
    qn_bm25_field field;
    qn_bm25_term t;
    qn_bm25_field_init(&field, QN_BM25_K1, QN_BM25_B, 3000, 100);
    qn_bm25_term_init(&t, &field, 1, 1);
    uint32_t limit = qn_segment_doc_count(seg);
    if (!sound(qn_segment_postings_open(seg, term, QN_POSTINGS_LAZY, NULL, &p, &err),
               &err))
        return;
    qn_postings_top top;
    if (sound(qn_postings_best(&p, arena, &top, &err), &err))
        for (size_t i = 0; i < top.n; i++)
            qn_assert(top.entries[i].doc < limit && top.entries[i].freq > 0);
    for (int step = 0; p.doc != QN_DOC_END; step++) {
        const uint32_t *docs = NULL, *freqs = NULL;
        const uint8_t *norms = NULL;
        size_t n = 0;
        float scores[QN_POSTINGS_BLOCK];
        qn_postings_range r;
        if (sound(qn_postings_rest3(&p, &docs, &freqs, &norms, &n, &err), &err)) {
            qn_bm25_scores(p.kernels, &t, freqs, norms, n, scores);
            for (size_t i = 1; i < n; i++) qn_assert(docs[i] > docs[i - 1]);
            qn_assert(docs[n - 1] < limit);
        }
        qn_postings_block_ahead(&p, p.doc + 200, &r);
        qn_postings_super_ahead(&p, p.doc + 9, &r);
        (void)qn_postings_range_score(&r, &t);
        (void)qn_postings_bound_between(&p, p.doc, limit, &t);
        uint64_t bits[4096 / 64] = {0};
        qn_status st = step % 2 == 0
                           ? qn_postings_next_block(&p, &err)
                           : qn_postings_or_bits(&p, p.doc, p.doc + 4096, bits, &err);
        if (!sound(st, &err)) return;
    }
}

static inline void walk_postings(const qn_segment *seg, const qn_term *term,
                                 qn_arena *arena, uint32_t stride)
{
    qn_error err = {0};
    qn_postings p;
    if (!sound(qn_segment_postings(seg, term, arena, &p, &err), &err)) return;
    uint64_t next = 0;
    while (p.doc != QN_DOC_END) {
        qn_assert(p.doc >= next && p.doc < qn_segment_doc_count(seg) && p.freq > 0);
        const uint32_t *positions = NULL;
        size_t n = 0;
        if (p.has_positions &&
            sound(qn_postings_positions(&p, &positions, &n, &err), &err)) {
            qn_assert(n == p.freq);
            for (size_t i = 1; i < n; i++) qn_assert(positions[i] >= positions[i - 1]);
        }
        uint32_t last = 0;
        qn_postings_bound bound;
        qn_postings_peek(&p, p.doc + stride, &last, &bound);
        next = (uint64_t)p.doc + stride;
        qn_status st = stride == 1 ? qn_postings_next(&p, &err)
                                   : qn_postings_seek(&p, p.doc + stride, &err);
        if (!sound(st, &err)) return;
    }
}

static inline void walk_terms(const qn_segment *seg, uint32_t field, qn_slice from)
{
    qn_error err = {0};
    qn_terms t;
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 1 << 24);
    qn_status st = qn_terms_init(&t, seg, field, qn_alloc_heap(), from, &err);
    while (sound(st, &err) && !t.at_end) {
        qn_term found;
        (void)sound(qn_segment_term(seg, field, t.bytes, &found, &err), &err);
        walk_postings(seg, &t.term, &arena, 1);
        walk_postings(seg, &t.term, &arena, 100);
        walk_blocks(seg, &t.term, &arena);
        st = qn_terms_next(&t, &err);
    }
    qn_terms_deinit(&t);
    qn_arena_deinit(&arena);
}

static inline void read_column(const qn_segment *seg, uint32_t field)
{
    qn_error err = {0};
    qn_column c;
    if (!sound(qn_segment_column(seg, field, &c, &err), &err)) return;
    for (uint32_t d = 0; d < c.doc_count; d++) {
        uint64_t begin = 0, limit = 0;
        qn_column_range(&c, d, &begin, &limit);
        for (; begin < limit; begin++) {
            if (c.type == QN_FIELD_KEYWORD)
                (void)qn_column_bytes(&c, qn_column_value_ord(&c, begin));
            else if (c.type == QN_FIELD_GEO)
                (void)qn_geo_of_bits(qn_column_value_bits(&c, begin));
            else
                (void)qn_column_value_f64(&c, begin);
        }
    }
    if (c.type == QN_FIELD_KEYWORD)
        qn_assert(qn_column_find(&c, qn_column_bytes(&c, 0)) == 0);
}

static inline void read_docs(const qn_segment *seg)
{
    qn_error err = {0};
    qn_buf scratch;
    qn_buf_init(&scratch, qn_alloc_heap());
    for (uint32_t d = 0; d < qn_segment_doc_count(seg) && d < READ_DOCS; d++) {
        qn_slice id, source, extras;
        uint32_t found = 0;
        if (sound(qn_segment_id(seg, d, &id, &err), &err) &&
            sound(qn_segment_find(seg, id, &found, &err), &err))
            qn_assert(found == QN_DOC_END || found < qn_segment_doc_count(seg));
        if (d % 37 == 0)
            (void)sound(qn_segment_source(seg, d, &scratch, &source, &extras, &err),
                        &err);
    }
    qn_buf_deinit(&scratch);
}

/* Everything, through every function. Takes the file over. */
static inline void read_segment(qn_blockfile *file)
{
    qn_error err = {0};
    qn_segment *seg = NULL;
    if (!sound(qn_segment_open(qn_alloc_heap(), file, &seg, &err), &err)) {
        qn_blockfile_close(file);
        return;
    }
    read_docs(seg);
    for (size_t i = 0; i < qn_segment_field_count(seg); i++) {
        uint32_t field = qn_segment_field_at(seg, i)->id;
        const uint8_t *norms = NULL;
        (void)sound(qn_segment_norms(seg, field, &norms, &err), &err);
        walk_terms(seg, field, QN_SLICE_LIT(""));
        walk_terms(seg, field, QN_SLICE_LIT("w2"));
        read_column(seg, field);
    }
    qn_segment_close(seg);
}

#endif

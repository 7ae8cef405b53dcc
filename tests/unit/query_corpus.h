/* SPDX-License-Identifier: Apache-2.0 */
/* query_corpus.h -- documents in memory, as plain arrays and as a snapshot of segments,
 * so that a tree can be run and also evaluated by looking at every document. */
#ifndef QN_QUERY_CORPUS_H
#define QN_QUERY_CORPUS_H

#include "../qn_test.h"
#include "base/bits.h"
#include "base/clock.h"
#include "index/segment_builder.h"
#include "query/exec.h"
#include "query/filter_cache.h"
#include "query_fixture.h"
#include "vec/flat.h"

#include <stdlib.h>

enum { DOC_TOKENS = 40, DOC_TAGS = 3, CORPUS_SEGMENTS = 8 };

typedef struct test_doc {
    char key[16];
    size_t title_n, body_n, tag_n, weight_n;
    uint8_t title[DOC_TOKENS], body[DOC_TOKENS]; /* numbers of words */
    uint8_t tags[DOC_TAGS];
    float weights[DOC_TAGS];
    bool has_year, has_vector, deleted;
    int year;
    double price;
    float vector[2];
} test_doc;

typedef struct test_corpus {
    test_doc *docs;
    size_t n;
    qn_snapshot_view view;
    qn_segment_view segments[CORPUS_SEGMENTS];
    qn_vector_view vectors[CORPUS_SEGMENTS];
    qn_segment *owned[CORPUS_SEGMENTS];
    qn_vindex *indexes[CORPUS_SEGMENTS];
    uint64_t *deleted[CORPUS_SEGMENTS];
    qn_filter_cache *filters; /* small: entries come and go */
} test_corpus;

static inline void corpus_word(char out[8], const char *letter, unsigned number)
{
    snprintf(out, 8, "%s%u", letter, number);
}

static inline void corpus_add_words(qn_segment_builder *b, const qn_field *f,
                                    const uint8_t *words, size_t n)
{
    qn_error err;
    for (size_t i = 0; i < n; i++) {
        char word[8];
        corpus_word(word, "w", words[i]);
        T_CALL(qn_segment_builder_term(b, f, qn_slice_of(word), (uint32_t)i, &err),
               &err);
    }
}

static inline void corpus_add_doc(qn_segment_builder *b, qn_flat_builder *v,
                                  const test_doc *d)
{
    qn_error err;
    uint32_t doc;
    T_CALL(qn_segment_builder_begin(b, qn_slice_of(d->key), &doc, &err), &err);
    corpus_add_words(b, &fix_fields[FIX_TITLE], d->title, d->title_n);
    corpus_add_words(b, &fix_fields[FIX_BODY], d->body, d->body_n);
    for (size_t i = 0; i < d->tag_n; i++) {
        char tag[8];
        corpus_word(tag, "t", d->tags[i]);
        T_CALL(
            qn_segment_builder_keyword(b, &fix_fields[FIX_TAG], qn_slice_of(tag), &err),
            &err);
        T_CALL(qn_segment_builder_keyword(b, &fix_fields[FIX_CODE], qn_slice_of(tag),
                                          &err),
               &err);
    }
    if (d->has_year) {
        T_CALL(qn_segment_builder_i64(b, &fix_fields[FIX_YEAR], d->year, &err), &err);
        T_CALL(qn_segment_builder_f64(b, &fix_fields[FIX_PRICE], d->price, &err), &err);
    }
    for (size_t i = 0; i < d->weight_n; i++)
        T_CALL(qn_segment_builder_f64(b, &fix_fields[FIX_WEIGHT], (double)d->weights[i],
                                      &err),
               &err);
    T_CALL(qn_segment_builder_set_source(b, QN_SLICE_LIT("{}"), QN_SLICE_LIT(""), &err),
           &err);
    if (d->has_vector) T_CALL(qn_flat_builder_add(v, doc, d->vector, 2, &err), &err);
}

/* Documents [from, limit) as segment number `place`. */
static inline void corpus_segment(test_corpus *c, size_t place, size_t from,
                                  size_t limit)
{
    qn_alloc *heap = qn_alloc_heap();
    qn_error err;
    qn_segment_builder *b;
    qn_flat_builder *v;
    const qn_flat_options options = {.dims = 2, .metric = QN_VINDEX_L2};
    T_CALL(qn_segment_builder_create(heap, 7, &b, &err), &err);
    T_CALL(qn_flat_builder_create(heap, &options, NULL, &v, &err), &err);
    uint32_t count = (uint32_t)(limit - from);
    c->deleted[place] = qn_new_array(heap, qn_bitset_words(count) + 1, 8);
    bool any_deleted = false;
    for (size_t i = from; i < limit; i++) {
        corpus_add_doc(b, v, &c->docs[i]);
        if (!c->docs[i].deleted) continue;
        any_deleted = true;
        qn_bitset_add(c->deleted[place], i - from);
    }
    qn_blockfile_writer *w;
    qn_blockfile *file;
    size_t n;
    T_CALL(qn_blockfile_writer_create(heap, NULL, QN_SEGMENT_MAGIC, QN_SEGMENT_VERSION,
                                      &w, &err),
           &err);
    T_CALL(qn_segment_builder_write(b, w, &err), &err);
    T_CALL(qn_flat_builder_write(v, FIX_EMBEDDING, count, w, &err), &err);
    T_CALL(qn_blockfile_finish(w, false, &err), &err);
    uint8_t *bytes = qn_blockfile_writer_take(w, &n);
    qn_blockfile_writer_destroy(w);
    T_CALL(qn_blockfile_open_memory(heap, bytes, n, true, "image", QN_SEGMENT_MAGIC,
                                    QN_SEGMENT_VERSION, &file, &err),
           &err);
    T_CALL(qn_segment_open(heap, file, &c->owned[place], &err), &err);
    bool has_vectors = qn_flat_builder_count(v) > 0;
    if (has_vectors)
        T_CALL(qn_vindex_open(heap, file, FIX_EMBEDDING, &c->indexes[place], &err),
               &err);
    c->vectors[place] = (qn_vector_view){FIX_EMBEDDING, c->indexes[place]};
    c->segments[place] =
        (qn_segment_view){.segment = c->owned[place],
                          .doc_base = (uint32_t)from,
                          .doc_count = count,
                          .deleted = any_deleted ? c->deleted[place] : NULL,
                          .vectors = &c->vectors[place],
                          .vector_count = has_vectors};
    qn_flat_builder_destroy(v);
    qn_segment_builder_destroy(b);
}

/* `docs` cut into `segments` runs of about equal length. */
static inline void corpus_open(test_corpus *c, test_doc *docs, size_t n,
                               size_t segments)
{
    *c = (test_corpus){.docs = docs, .n = n};
    qn_error err;
    T_CALL(qn_filter_cache_create(qn_alloc_heap(), 1 << 17, 1, &c->filters, &err),
           &err);
    for (size_t i = 0; i < segments; i++) {
        corpus_segment(c, i, n * i / segments, n * (i + 1) / segments);
        c->segments[i].uid = i + 1;
    }
    c->view = (qn_snapshot_view){.schema = &fix_schema,
                                 .segments = c->segments,
                                 .segment_count = segments,
                                 .filters = c->filters,
                                 .doc_count = (uint32_t)n};
}

static inline void corpus_close(test_corpus *c)
{
    qn_filter_cache_destroy(c->filters);
    for (size_t i = 0; i < CORPUS_SEGMENTS; i++) {
        qn_vindex_close(c->indexes[i]);
        qn_segment_close(c->owned[i]);
        qn_delete(qn_alloc_heap(), c->deleted[i]);
    }
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Stored sources with dictionaries: what was put in comes out, from the builder, from its
 * images and after merging, whichever pack and dictionary a document came to lie in. */
#include "index/merge.h"
#include "test_index.h"

enum { PARTS = 3, DOCS = 2500, ROOM = 600 };

/* A document is made from its number alone. */
static qn_slice source_of(unsigned part, unsigned number, char room[ROOM])
{
    static const char *const words[] = {"quern",   "stone", "flour", "mill", "grain",
                                        "harvest", "water", "wheel", "bread"};
    qn_rng rng = {part * 100000u + number};
    if (number % 97 == 0) return (qn_slice){room, 0}; /* none */
    int n = snprintf(room, ROOM, "{\"id\":\"p%u-%u\",\"kind\":\"document of part %u\",",
                     part, number, part);
    n += snprintf(room + n, ROOM - (size_t)n, "\"year\":%u,\"text\":\"",
                  (unsigned)(qn_rng_next(&rng) % 2000));
    for (unsigned i = (unsigned)(qn_rng_next(&rng) % 40); i > 0; i--)
        n += snprintf(room + n, ROOM - (size_t)n, "%s ",
                      words[qn_rng_next(&rng) % (sizeof words / sizeof *words)]);
    n += snprintf(room + n, ROOM - (size_t)n, "%llx\"}",
                  (unsigned long long)qn_rng_next(&rng));
    return (qn_slice){room, (size_t)n};
}

static qn_segment *build(unsigned part, unsigned docs, qn_segment_builder **out)
{
    qn_error err = {0};
    char room[ROOM];
    qn_segment_builder *b = *out = t_builder();
    for (unsigned i = 0; i < docs; i++) {
        t_begin(b, part * DOCS + i);
        qn_slice s = source_of(part, i, room);
        if (s.n > 0)
            T_CALL(qn_segment_builder_set_source(b, s, QN_SLICE_LIT("x"), &err), &err);
    }
    return t_image(b);
}

static void check_source(const qn_segment *seg, uint32_t doc, unsigned part,
                         unsigned number, qn_buf *scratch)
{
    qn_error err = {0};
    char room[ROOM];
    qn_slice want = source_of(part, number, room), got, extras;
    T_CALL(qn_segment_source(seg, doc, scratch, &got, &extras, &err), &err);
    if (!qn_slice_eq(got, want))
        T_FAIL("document %u: got '%.*s', want '%.*s'", doc, QN_SLICE_ARG(got),
               QN_SLICE_ARG(want));
    T_EQ_I(extras.n, want.n > 0);
}

static uint32_t dict_count(const qn_segment *seg)
{
    qn_slice block;
    qn_error err = {0};
    T_CALL(qn_blockfile_block(qn_segment_file(seg), QN_BLOCK_SOURCES, 0, &block, &err),
           &err);
    return qn_load32(block.p + 8);
}

void test_sources_dictionary(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned docs, dicts;
    } rows[] = {{"too little to learn from", 300, 0}, {"enough", DOCS, 1}};
    qn_buf scratch;
    qn_buf_init(&scratch, qn_alloc_heap());
    for (size_t r = 0; r < 2; r++) {
        T_ROW(rows[r].name);
        qn_segment_builder *b = NULL;
        qn_segment *seg = build(0, rows[r].docs, &b);
        T_EQ_I(dict_count(seg), rows[r].dicts);
        for (unsigned i = 0; i < rows[r].docs; i++) {
            qn_error err = {0};
            char room[ROOM];
            qn_slice got, want = source_of(0, i, room);
            check_source(seg, i, 0, i, &scratch);
            T_CALL(qn_segment_builder_source(b, i, &scratch, &got, NULL, &err), &err);
            T_OK(qn_slice_eq(got, want));
        }
        qn_segment_close(seg);
        qn_segment_builder_destroy(b);
    }
    qn_buf_deinit(&scratch);
}

static qn_segment *merge(qn_segment *const *segs, const qn_doc_map *maps, size_t n)
{
    qn_error err = {0};
    qn_blockfile_writer *w = NULL;
    qn_blockfile *file = NULL;
    qn_segment *out = NULL;
    qn_merge_input in[PARTS];
    const qn_merge_options o = {.seed = 1};
    size_t size = 0;
    for (size_t i = 0; i < n; i++) in[i] = (qn_merge_input){segs[i], &maps[i]};
    T_CALL(qn_blockfile_writer_create(qn_alloc_heap(), NULL, QN_SEGMENT_MAGIC,
                                      QN_SEGMENT_VERSION, &w, &err),
           &err);
    T_CALL(qn_segment_merge(qn_alloc_heap(), in, n, &o, w, &err), &err);
    T_CALL(qn_blockfile_finish(w, false, &err), &err);
    uint8_t *bytes = qn_blockfile_writer_take(w, &size);
    qn_blockfile_writer_destroy(w);
    T_CALL(qn_blockfile_open_memory(qn_alloc_heap(), bytes, size, true, "image",
                                    QN_SEGMENT_MAGIC, QN_SEGMENT_VERSION, &file, &err),
           &err);
    T_CALL(qn_segment_open(qn_alloc_heap(), file, &out, &err), &err);
    return out;
}

void test_sources_merged(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        unsigned deleted_every; /* 0: none */
        unsigned docs[PARTS];
        unsigned dicts;
    } rows[] = {
        {"each brings its own", 0, {DOCS, DOCS, DOCS}, 3},
        {"none has one, together they have enough", 0, {700, 700, 700}, 1},
        {"copied and packed again", 40, {DOCS, 300, DOCS}, 3},
    };
    qn_error err = {0};
    qn_buf scratch;
    qn_buf_init(&scratch, qn_alloc_heap());
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        T_ROW(rows[r].name);
        qn_segment *segs[PARTS];
        qn_segment_builder *builders[PARTS];
        qn_doc_map maps[PARTS];
        uint64_t deleted[PARTS][DOCS / 64 + 1] = {{0}};
        uint32_t base = 0;
        for (unsigned p = 0; p < PARTS; p++) {
            segs[p] = build(p, rows[r].docs[p], &builders[p]);
            unsigned every = rows[r].deleted_every;
            for (unsigned i = 0; every > 0 && i < rows[r].docs[p]; i += every)
                if (i % (DOCS / 2) < DOCS / 4) qn_bitset_add(deleted[p], i);
            T_CALL(qn_doc_map_init(&maps[p], qn_alloc_heap(),
                                   every > 0 ? deleted[p] : NULL, rows[r].docs[p], base,
                                   &err),
                   &err);
            base += maps[p].live_count;
        }
        qn_segment *merged = merge(segs, maps, PARTS);
        T_EQ_I(qn_segment_doc_count(merged), base);
        T_EQ_I(dict_count(merged), rows[r].dicts);
        for (unsigned p = 0; p < PARTS; p++)
            for (unsigned i = 0; i < rows[r].docs[p]; i++) {
                uint32_t to = qn_doc_map_get(&maps[p], i);
                if (to != QN_DOC_END) check_source(merged, to, p, i, &scratch);
            }
        qn_segment_close(merged);
        for (unsigned p = 0; p < PARTS; p++) {
            qn_doc_map_deinit(&maps[p]);
            qn_segment_close(segs[p]);
            qn_segment_builder_destroy(builders[p]);
        }
    }
    qn_buf_deinit(&scratch);
}

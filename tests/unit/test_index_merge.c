/* SPDX-License-Identifier: Apache-2.0 */
/* Merging against building anew: block by block the same bytes, and of the sources,
 * whose frames may fall otherwise, the same content. */
#include "index/merge.h"
#include "test_index.h"
#include "vec/flat.h"

static const qn_field t_place = {
    .id = 5, .type = QN_FIELD_GEO, .column = true, .multi = true};

enum { PARTS_MAX = 12, WORDS = 40, DIMS = 5 };

/* A document is made from its number alone, so that it can be made again. */
typedef struct plan {
    const char *name;
    uint64_t seed;
    unsigned parts, docs; /* documents of a part: up to so many */
    unsigned deleted_percent;
    unsigned source_bytes;
    bool sparse; /* fields come and go */
} plan;

static const plan plans[] = {
    {"one part, nothing deleted", 1, 1, 300, 0, 40, false},
    {"one part, some deleted", 2, 1, 300, 30, 40, false},
    {"two parts", 3, 2, 200, 0, 40, false},
    {"many parts, some deleted", 4, 12, 150, 20, 60, true},
    {"many parts, most deleted", 5, 8, 200, 95, 30, true},
    {"tiny parts", 6, 12, 2, 10, 20, true},
    {"long lists", 7, 3, 3000, 1, 10, false},
    {"long sources", 8, 4, 60, 5, 3000, false},
    {"all of a part deleted", 9, 3, 1, 60, 20, true},
    {"all deleted", 10, 3, 20, 100, 20, false},
};

typedef struct made {
    qn_segment_builder *builder;
    qn_flat_builder *vectors;
    uint32_t vector_docs;
} made;

typedef struct opened {
    qn_segment *segment;
    qn_vindex *vectors; /* NULL: none */
} opened;

static made made_begin(void)
{
    qn_error err = {0};
    const qn_flat_options o = {.dims = DIMS, .metric = QN_VINDEX_COSINE};
    made m = {.builder = t_builder()};
    T_CALL(qn_flat_builder_create(qn_alloc_heap(), &o, NULL, &m.vectors, &err), &err);
    return m;
}

static void made_end(made *m)
{
    qn_segment_builder_destroy(m->builder);
    qn_flat_builder_destroy(m->vectors);
}

static void add_text(made *m, qn_rng *rng)
{
    qn_error err = {0};
    uint32_t position = 0;
    size_t n = qn_rng_next(rng) % 30 + 1;
    if (qn_rng_next(rng) % 50 == 0) n = 400; /* more than a block of positions */
    for (size_t i = 0; i < n; i++) {
        char word[16];
        /* Frequent ones and rare ones. */
        uint64_t w = qn_rng_next(rng) % WORDS;
        if (qn_rng_next(rng) % 20 == 0) w = 1000 + qn_rng_next(rng) % 5000;
        (void)snprintf(word, sizeof word, "w%u", (unsigned)(w * w / WORDS));
        position += (uint32_t)(qn_rng_next(rng) % 4); /* stacked ones too */
        T_CALL(qn_segment_builder_term(m->builder, &t_text, qn_slice_of(word), position,
                                       &err),
               &err);
    }
}

static void add_values(made *m, const plan *p, unsigned number, qn_rng *rng)
{
    qn_error err = {0};
    char tag[16];
    for (size_t i = qn_rng_next(rng) % 4; i > 0; i--) {
        (void)snprintf(tag, sizeof tag, "t%u", (unsigned)(qn_rng_next(rng) % 70));
        T_CALL(qn_segment_builder_keyword(m->builder, &t_tag, qn_slice_of(tag), &err),
               &err);
    }
    if (!p->sparse || number % 3 != 0)
        T_CALL(qn_segment_builder_i64(m->builder, &t_year,
                                      (int64_t)(qn_rng_next(rng) % 3000) - 1000, &err),
               &err);
    for (size_t i = qn_rng_next(rng) % 3; i > 0; i--)
        T_CALL(qn_segment_builder_geo(m->builder, &t_place, qn_rng_unit(rng) * 180 - 90,
                                      qn_rng_unit(rng) * 360 - 180, &err),
               &err);
    if (!p->sparse || number % 40 < 20)
        T_CALL(
            qn_segment_builder_f64(m->builder, &t_price, qn_rng_unit(rng) * 1e3, &err),
            &err);
}

static void add_vector(made *m, const plan *p, uint32_t doc, unsigned number,
                       qn_rng *rng)
{
    qn_error err = {0};
    float v[DIMS];
    if (p->sparse && number % 5 == 0) return;
    for (size_t i = 0; i < DIMS; i++) v[i] = (float)qn_rng_unit(rng) - 0.4f;
    T_CALL(qn_flat_builder_add(m->vectors, doc, v, DIMS, &err), &err);
}

static void add_document(made *m, const plan *p, unsigned number)
{
    qn_error err = {0};
    qn_rng rng = {p->seed * 100000 + number};
    uint32_t doc = t_begin(m->builder, number);
    if (!p->sparse || number % 7 != 0) add_text(m, &rng);
    add_values(m, p, number, &rng);
    add_vector(m, p, doc, number, &rng);
    char source[4096];
    size_t n = qn_rng_next(&rng) % p->source_bytes;
    for (size_t i = 0; i < n; i++) source[i] = (char)('a' + qn_rng_next(&rng) % 26);
    if (number % 11 != 0)
        T_CALL(qn_segment_builder_set_source(m->builder, (qn_slice){source, n},
                                             (qn_slice){source, n / 3}, &err),
               &err);
}

/* ---- images --------------------------------------------------------------------------- */

static qn_status open_image(qn_alloc *a, qn_blockfile_writer *w, opened *out,
                            qn_error *err)
{
    qn_blockfile *file = NULL;
    size_t n = 0;
    QN_TRY(qn_blockfile_finish(w, false, err));
    uint8_t *bytes = qn_blockfile_writer_take(w, &n);
    qn_status st = qn_blockfile_open_memory(
        a, bytes, n, true, "image", QN_SEGMENT_MAGIC, QN_SEGMENT_VERSION, &file, err);
    if (st != QN_OK) {
        qn_delete_aligned(a, bytes);
        return st;
    }
    st = qn_segment_open(a, file, &out->segment, err);
    if (st != QN_OK) {
        qn_blockfile_close(file);
        return st;
    }
    st = qn_vindex_open(a, file, 9, &out->vectors, err);
    return st == QN_ENOTFOUND ? QN_OK : st;
}

static void opened_close(opened *o)
{
    qn_vindex_close(o->vectors);
    qn_segment_close(o->segment);
    *o = (opened){0};
}

static opened image_of(made *m)
{
    qn_error err = {0};
    opened out = {0};
    qn_blockfile_writer *w = NULL;
    qn_alloc *a = qn_alloc_heap();
    T_CALL(qn_blockfile_writer_create(a, NULL, QN_SEGMENT_MAGIC, QN_SEGMENT_VERSION, &w,
                                      &err),
           &err);
    T_CALL(qn_segment_builder_write(m->builder, w, &err), &err);
    T_CALL(qn_flat_builder_write(m->vectors, 9,
                                 qn_segment_builder_doc_count(m->builder), w, &err),
           &err);
    T_CALL(open_image(a, w, &out, &err), &err);
    qn_blockfile_writer_destroy(w);
    return out;
}

typedef struct part {
    opened in;
    uint64_t *deleted;
} part;

static qn_status merge_into(qn_alloc *a, const part *parts, size_t count, qn_pace *pace,
                            qn_doc_map *maps, opened *out, qn_error *err)
{
    qn_merge_input in[PARTS_MAX];
    qn_vindex_merge_input vectors[PARTS_MAX];
    uint32_t base = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t docs = qn_segment_doc_count(parts[i].in.segment);
        QN_TRY(qn_doc_map_init(&maps[i], a, parts[i].deleted, docs, base, err));
        base += maps[i].live_count;
        in[i] = (qn_merge_input){parts[i].in.segment, &maps[i]};
        vectors[i] =
            (qn_vindex_merge_input){parts[i].in.vectors, maps[i].deleted, docs};
    }
    qn_blockfile_writer *w = NULL;
    const qn_merge_options o = {.seed = 42, .pace = pace};
    QN_TRY(qn_blockfile_writer_create(a, NULL, QN_SEGMENT_MAGIC, QN_SEGMENT_VERSION, &w,
                                      err));
    qn_blockfile_writer_pace(w, pace);
    qn_status st = qn_segment_merge(a, in, count, &o, w, err);
    if (st == QN_OK) st = qn_vindex_merge(vectors, count, 9, w, err);
    if (st == QN_OK) st = open_image(a, w, out, err);
    qn_blockfile_writer_destroy(w);
    return st;
}

static qn_status try_merge(qn_alloc *a, const part *parts, size_t count, qn_pace *pace,
                           opened *out, qn_error *err)
{
    qn_doc_map maps[PARTS_MAX] = {0};
    *out = (opened){0};
    qn_status st = merge_into(a, parts, count, pace, maps, out, err);
    for (size_t i = 0; i < count; i++) qn_doc_map_deinit(&maps[i]);
    if (st != QN_OK) opened_close(out);
    return st;
}

/* ---- comparing ------------------------------------------------------------------------ */

static void same_sources(const qn_segment *got, const qn_segment *want)
{
    qn_error err = {0};
    qn_buf a, b;
    qn_buf_init(&a, qn_alloc_heap());
    qn_buf_init(&b, qn_alloc_heap());
    for (uint32_t doc = 0; doc < qn_segment_doc_count(want); doc++) {
        qn_slice source[2], extras[2];
        T_CALL(qn_segment_source(got, doc, &a, &source[0], &extras[0], &err), &err);
        T_CALL(qn_segment_source(want, doc, &b, &source[1], &extras[1], &err), &err);
        T_OK(qn_slice_eq(source[0], source[1]));
        T_OK(qn_slice_eq(extras[0], extras[1]));
    }
    qn_buf_deinit(&a);
    qn_buf_deinit(&b);
}

static void same_blocks(const qn_segment *got, const qn_segment *want)
{
    const qn_blockfile *f = qn_segment_file(want);
    qn_error err = {0};
    T_EQ_I(qn_segment_doc_count(got), qn_segment_doc_count(want));
    for (size_t i = 0; i < qn_blockfile_count(f); i++) {
        uint32_t kind = 0, id = 0;
        uint64_t at = 0, size = 0;
        qn_slice a, b;
        qn_blockfile_entry(f, i, &kind, &id, &at, &size);
        if (kind == QN_BLOCK_SOURCES) continue;
        if (qn_blockfile_block(qn_segment_file(got), kind, id, &a, &err) != QN_OK)
            T_FAIL("block %u of field %u: %s", kind, id, err.text);
        T_CALL(qn_blockfile_block(f, kind, id, &b, &err), &err);
        if (!qn_slice_eq(a, b)) T_FAIL("block %u of field %u differs", kind, id);
    }
    same_sources(got, want);
}

/* The parts of a plan, and the same live documents built anew. */
static size_t make_parts(const plan *p, part *parts, opened *anew)
{
    qn_rng rng = {p->seed};
    made whole = made_begin();
    unsigned number = 0;
    for (unsigned i = 0; i < p->parts; i++) {
        made m = made_begin();
        unsigned docs = 1 + (unsigned)(qn_rng_next(&rng) % p->docs);
        parts[i].deleted = qn_new_array(qn_alloc_heap(), qn_bitset_words(docs), 8);
        T_OK(parts[i].deleted != NULL);
        for (unsigned d = 0; d < docs; d++, number++) {
            add_document(&m, p, number);
            if (qn_rng_next(&rng) % 100 < p->deleted_percent)
                qn_bitset_add(parts[i].deleted, d);
            else
                add_document(&whole, p, number);
        }
        /* Vectors count documents of the builder they are in. */
        parts[i].in = image_of(&m);
        made_end(&m);
    }
    *anew = image_of(&whole);
    made_end(&whole);
    return p->parts;
}

static void end_parts(part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        opened_close(&parts[i].in);
        qn_delete(qn_alloc_heap(), parts[i].deleted);
    }
}

void test_merge_random(void **state)
{
    (void)state;
    for (size_t r = 0; r < sizeof plans / sizeof *plans; r++) {
        T_ROW(plans[r].name);
        qn_error err = {0};
        part parts[PARTS_MAX] = {0};
        opened anew = {0}, merged = {0}, again = {0};
        size_t n = make_parts(&plans[r], parts, &anew);
        T_CALL(try_merge(qn_alloc_heap(), parts, n, NULL, &merged, &err), &err);
        same_blocks(merged.segment, anew.segment);
        /* What was merged can be merged: alone it stays what it is. */
        part one = {.in = merged};
        T_CALL(try_merge(qn_alloc_heap(), &one, 1, NULL, &again, &err), &err);
        same_blocks(again.segment, anew.segment);
        opened_close(&again);
        opened_close(&merged);
        opened_close(&anew);
        end_parts(parts, n);
    }
}

/* In two steps, as a tiered policy does it, the result is the same. */
void test_merge_steps(void **state)
{
    (void)state;
    T_ROW("in steps");
    qn_error err = {0};
    part parts[PARTS_MAX] = {0}, halves[2] = {0};
    opened anew = {0}, merged = {0};
    size_t n = make_parts(&plans[3], parts, &anew);
    T_CALL(try_merge(qn_alloc_heap(), parts, n / 2, NULL, &halves[0].in, &err), &err);
    T_CALL(
        try_merge(qn_alloc_heap(), parts + n / 2, n - n / 2, NULL, &halves[1].in, &err),
        &err);
    T_CALL(try_merge(qn_alloc_heap(), halves, 2, NULL, &merged, &err), &err);
    same_blocks(merged.segment, anew.segment);
    opened_close(&merged);
    opened_close(&anew);
    end_parts(halves, 2);
    end_parts(parts, n);
}

void test_merge_cancelled(void **state)
{
    (void)state;
    T_ROW("cancelled");
    qn_error err = {0};
    part parts[PARTS_MAX] = {0};
    opened anew = {0}, merged = {0};
    atomic_bool stop = true;
    qn_pace pace;
    qn_pace_init(&pace, 0, &stop);
    size_t n = make_parts(&plans[2], parts, &anew);
    T_EQ_I(try_merge(qn_alloc_heap(), parts, n, &pace, &merged, &err), QN_ECANCELLED);
    atomic_store(&stop, false);
    /* At 10 MB a second these bytes take a while, but not long. */
    uint64_t size = qn_blockfile_size(qn_segment_file(anew.segment));
    qn_pace_init(&pace, size * 5, &stop);
    int64_t began = qn_clock_mono_ns();
    T_CALL(try_merge(qn_alloc_heap(), parts, n, &pace, &merged, &err), &err);
    int64_t took = qn_clock_mono_ns() - began;
    T_OK(took > 100 * 1000 * 1000); /* a fifth of a second, less what is saved up */
    T_OK(atomic_load(&pace.taken) > size / 2);
    same_blocks(merged.segment, anew.segment);
    opened_close(&merged);
    opened_close(&anew);
    end_parts(parts, n);
}

/* Each allocation fails once: QN_ENOMEM, nothing is leaked. */
void test_merge_no_memory(void **state)
{
    (void)state;
    T_ROW("no memory");
    qn_error err = {0};
    part parts[PARTS_MAX] = {0};
    opened anew = {0}, merged = {0};
    size_t n = make_parts(&plans[5], parts, &anew);
    qn_alloc a = {0};
    long failed = 0;
    for (long fail = 1;; fail++) {
        atomic_store(&a.fail_countdown, fail);
        qn_status st = try_merge(&a, parts, n, NULL, &merged, &err);
        if (atomic_load(&a.fail_countdown) > 0) {
            T_CALL(st, &err);
            break;
        }
        failed++;
        if (st == QN_OK) /* a failure that could be done without */
            opened_close(&merged);
        else
            T_EQ_I(st, QN_ENOMEM);
        T_EQ_I(atomic_load(&a.live_bytes), 0);
    }
    T_OK(failed > 50);
    atomic_store(&a.fail_countdown, 0);
    same_blocks(merged.segment, anew.segment);
    opened_close(&merged);
    T_EQ_I(atomic_load(&a.live_bytes), 0);
    opened_close(&anew);
    end_parts(parts, n);
}

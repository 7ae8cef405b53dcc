/* SPDX-License-Identifier: Apache-2.0 */
/* bench_column.c -- reading columns, filtering by them, and fetching stored documents;
 * one JSON line a figure, on one thread, by its CPU time, the best of several runs.
 *
 *     bench_column          1000000 made documents
 *     bench_column DOCS */
#include "base/clock.h"
#include "base/bits.h"
#include "index/points.h"
#include "index/segment_builder.h"

#include <stdio.h>
#include <stdlib.h>

enum { RUNS = 9, BATCH = 1024 };
enum {
    BYTE_FIELD,
    WIDE_FIELD,
    TIME_FIELD,
    SPARSE_FIELD,
    PRICE_FIELD,
    TAG_FIELD,
    FIELDS
};

static const qn_field fields[FIELDS] = {
    {.id = 0, .type = QN_FIELD_INT32, .column = true},
    {.id = 1, .type = QN_FIELD_INT64, .column = true},
    {.id = 2, .type = QN_FIELD_DATE, .column = true},
    {.id = 3, .type = QN_FIELD_INT64, .column = true},
    {.id = 4, .type = QN_FIELD_DOUBLE, .column = true},
    {.id = 5, .type = QN_FIELD_KEYWORD, .column = true},
};
static const char *const names[FIELDS] = {
    "0-199", "32 bits", "rising times", "a tenth of documents", "doubles", "keywords"};

static void check(qn_status st, const qn_error *err)
{
    if (st == QN_OK) return;
    (void)fprintf(stderr, "bench_column: %s\n", err->text);
    exit(1);
}

static void report(const char *what, const char *column, double best_s, double n)
{
    printf("{\"bench\":\"%s\",\"of\":\"%s\",\"ns\":%.2f}\n", what, column,
           best_s * 1e9 / n);
    (void)fflush(stdout);
}

/* A document as a table has them: words, names, numbers. */
static qn_slice source_of(qn_rng *rng, uint32_t i, char *room, size_t size)
{
    static const char *const words[] = {"millstone", "grain", "water", "flour",
                                        "harvest",   "rye",   "wheel", "granite",
                                        "the",       "of",    "and",   "ground"};
    int n = snprintf(room, size,
                     "{\"id\":%u,\"title\":\"document number %u\",\"text\":\"", i, i);
    for (unsigned k = 20 + (unsigned)(qn_rng_next(rng) % 80); k > 0; k--)
        n += snprintf(room + n, size - (size_t)n, "%s ", words[qn_rng_next(rng) % 12]);
    n += snprintf(room + n, size - (size_t)n, "\",\"year\":%u}",
                  (unsigned)(1900 + qn_rng_next(rng) % 130));
    return (qn_slice){room, (size_t)n};
}

static void add_doc(qn_segment_builder *b, uint32_t i, qn_rng *rng)
{
    qn_error err;
    char text[2048];
    uint32_t doc;
    int n = snprintf(text, sizeof text, "doc-%u", i);
    check(qn_segment_builder_begin(b, (qn_slice){text, (size_t)n}, &doc, &err), &err);
    check(qn_segment_builder_i64(b, &fields[BYTE_FIELD],
                                 (int64_t)(qn_rng_next(rng) % 200), &err),
          &err);
    check(qn_segment_builder_i64(b, &fields[WIDE_FIELD],
                                 (int64_t)(qn_rng_next(rng) >> 32), &err),
          &err);
    check(qn_segment_builder_i64(b, &fields[TIME_FIELD],
                                 1700000000000 + i * INT64_C(1000) +
                                     (int64_t)(qn_rng_next(rng) % 5000),
                                 &err),
          &err);
    if (qn_rng_next(rng) % 10 == 0)
        check(qn_segment_builder_i64(b, &fields[SPARSE_FIELD],
                                     (int64_t)(qn_rng_next(rng) % 100000), &err),
              &err);
    check(qn_segment_builder_f64(b, &fields[PRICE_FIELD],
                                 (double)(qn_rng_next(rng) % 100000) / 100, &err),
          &err);
    n = snprintf(text, sizeof text, "tag-%u", (unsigned)(qn_rng_next(rng) % 1000));
    check(qn_segment_builder_keyword(b, &fields[TAG_FIELD], (qn_slice){text, (size_t)n},
                                     &err),
          &err);
    check(qn_segment_builder_set_source(b, source_of(rng, i, text, sizeof text),
                                        QN_SLICE_LIT(""), &err),
          &err);
}

static qn_segment *build(uint32_t docs)
{
    qn_error err;
    qn_alloc *heap = qn_alloc_heap();
    qn_rng rng = {1};
    qn_segment_builder *b;
    qn_blockfile_writer *w;
    qn_blockfile *file;
    qn_segment *seg;
    size_t size;
    check(qn_segment_builder_create(heap, 7, &b, &err), &err);
    for (uint32_t i = 0; i < docs; i++) add_doc(b, i, &rng);
    check(qn_blockfile_writer_create(heap, NULL, QN_SEGMENT_MAGIC, QN_SEGMENT_VERSION,
                                     &w, &err),
          &err);
    check(qn_segment_builder_write(b, w, &err), &err);
    check(qn_blockfile_finish(w, false, &err), &err);
    uint8_t *bytes = qn_blockfile_writer_take(w, &size);
    qn_blockfile_writer_destroy(w);
    qn_segment_builder_destroy(b);
    check(qn_blockfile_open_memory(heap, bytes, size, true, "image", QN_SEGMENT_MAGIC,
                                   QN_SEGMENT_VERSION, &file, &err),
          &err);
    check(qn_segment_open(heap, file, &seg, &err), &err);
    return seg;
}

static void report_sizes(const qn_segment *seg, uint32_t docs)
{
    const qn_blockfile *f = qn_segment_file(seg);
    for (size_t i = 0; i < qn_blockfile_count(f); i++) {
        uint32_t kind = 0, id = 0;
        uint64_t begin = 0, size = 0;
        qn_blockfile_entry(f, i, &kind, &id, &begin, &size);
        const char *what = kind == QN_BLOCK_COLUMN    ? "column"
                           : kind == QN_BLOCK_POINTS  ? "points"
                           : kind == QN_BLOCK_SOURCES ? "sources"
                                                      : NULL;
        if (what == NULL) continue;
        printf("{\"bench\":\"size\",\"of\":\"%s %s\",\"bytes_per_doc\":%.3f}\n", what,
               kind == QN_BLOCK_SOURCES || id >= FIELDS ? "" : names[id],
               (double)size / docs);
    }
}

/* ---- reading ------------------------------------------------------------------------ */

/* Batches of documents, `step` apart. */
static void bench_read(const qn_segment *seg, uint32_t docs, int field, uint32_t step)
{
    qn_column c;
    qn_error err;
    check(qn_segment_column(seg, fields[field].id, &c, &err), &err);
    uint32_t *list = qn_new_array(qn_alloc_heap(), docs, sizeof *list);
    size_t n = 0;
    for (uint32_t d = 0; d < docs; d += step) list[n++] = d;
    double best = 1e9;
    uint64_t sum = 0;
    for (int run = 0; run < RUNS; run++) {
        int64_t out[BATCH], began = qn_clock_cpu_ns();
        for (size_t at = 0; at < n; at += BATCH) {
            size_t run_n = n - at < BATCH ? n - at : BATCH;
            qn_column_get_keys(&c, list + at, run_n, out, NULL);
            sum += (uint64_t)out[0];
        }
        double s = (double)(qn_clock_cpu_ns() - began) * 1e-9;
        if (s < best) best = s;
    }
    if (sum == 42) printf(" ");
    report(step == 1 ? "read in a row" : "read each 7th", names[field], best,
           (double)n);
    qn_delete(qn_alloc_heap(), list);
}

static void bench_match(const qn_segment *seg, uint32_t docs, int field, int64_t low,
                        int64_t high)
{
    qn_column c;
    qn_error err;
    check(qn_segment_column(seg, fields[field].id, &c, &err), &err);
    uint64_t *bits = qn_new_array(qn_alloc_heap(), docs / 64 + 1, sizeof *bits);
    double best = 1e9;
    for (int run = 0; run < RUNS; run++) {
        int64_t began = qn_clock_cpu_ns();
        qn_column_match(&c, low, high, 0, docs, bits);
        double s = (double)(qn_clock_cpu_ns() - began) * 1e-9;
        if (s < best) best = s;
    }
    report("range by column, a document", names[field], best, docs);
    qn_points p;
    if (qn_segment_points(seg, fields[field].id, &p, &err) == QN_OK) {
        best = 1e9;
        qn_points_run r = {0, 0};
        for (int run = 0; run < RUNS; run++) {
            int64_t began = qn_clock_cpu_ns();
            r = qn_points_find(&p, low, high);
            qn_points_match(&p, r, bits);
            double s = (double)(qn_clock_cpu_ns() - began) * 1e-9;
            if (s < best) best = s;
        }
        report("range by points, a match", names[field], best,
               (double)(r.limit - r.begin + 1));
    }
    qn_delete(qn_alloc_heap(), bits);
}

/* ---- documents -------------------------------------------------------------------------- */

static void bench_fetch(const qn_segment *seg, uint32_t docs)
{
    enum { FETCHES = 20000 };
    qn_buf scratch;
    qn_buf_init(&scratch, qn_alloc_heap());
    double best = 1e9;
    for (int run = 0; run < RUNS; run++) {
        qn_rng rng = {3};
        int64_t began = qn_clock_cpu_ns();
        for (int i = 0; i < FETCHES; i++) {
            qn_slice source;
            qn_error err;
            check(qn_segment_source(seg, (uint32_t)(qn_rng_next(&rng) % docs), &scratch,
                                    &source, NULL, &err),
                  &err);
        }
        double s = (double)(qn_clock_cpu_ns() - began) * 1e-9;
        if (s < best) best = s;
    }
    qn_buf_deinit(&scratch);
    report("fetch a document", "sources", best, FETCHES);
}

int main(int argc, char **argv)
{
    uint32_t docs = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
    if (docs == 0) return 2;
    qn_segment *seg = build(docs);
    report_sizes(seg, docs);
    for (int f = 0; f < FIELDS; f++) {
        bench_read(seg, docs, f, 1);
        bench_read(seg, docs, f, 7);
    }
    bench_match(seg, docs, BYTE_FIELD, 50, 99);
    bench_match(seg, docs, WIDE_FIELD, 1 << 20, 1 << 25);
    bench_match(seg, docs, TIME_FIELD, 1700000000000 + docs * INT64_C(400),
                1700000000000 + docs * INT64_C(500));
    bench_match(seg, docs, SPARSE_FIELD, 1000, 2000);
    bench_match(seg, docs, PRICE_FIELD, qn_column_key_f64(QN_FIELD_DOUBLE, 10),
                qn_column_key_f64(QN_FIELD_DOUBLE, 20));
    bench_match(seg, docs, TAG_FIELD, 100, 200);
    bench_fetch(seg, docs);
    qn_segment_close(seg);
    return 0;
}

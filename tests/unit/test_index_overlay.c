/* SPDX-License-Identifier: Apache-2.0 */
/* Columns with newer values against columns of a segment built anew from the same values:
 * every way of reading, frozen ones that stay as they were, files, merges, and what is
 * carried over a merge. */
#include "index/column_overlay.h"
#include "index/points.h"
#include "test_index.h"

#include <stdlib.h>

enum { DOCS = 1700, VALUES = 3, WORDS = 60, WORD_BYTES = 8, ROUNDS = 4 };

static const struct shape {
    const char *name;
    qn_field_type type;
    unsigned fill_percent; /* documents with a value at first */
    unsigned first_max, later_max;
    unsigned updates; /* a round */
} shapes[] = {
    {"longs", QN_FIELD_INT64, 100, 1, 1, 300},
    {"longs, one update", QN_FIELD_INT64, 100, 1, 1, 1},
    {"longs, few there", QN_FIELD_INT64, 5, 1, 1, 200},
    {"longs, none there", QN_FIELD_INT64, 0, 1, 1, 50},
    {"longs, several later", QN_FIELD_INT64, 90, 1, VALUES, 200},
    {"longs, several", QN_FIELD_INT64, 70, VALUES, VALUES, 400},
    {"bools", QN_FIELD_BOOL, 95, 1, 1, 100},
    {"dates", QN_FIELD_DATE, 100, 1, 1, 2500},
    {"floats", QN_FIELD_FLOAT, 60, 1, 1, 200},
    {"doubles, several", QN_FIELD_DOUBLE, 60, VALUES, VALUES, 200},
    {"keywords", QN_FIELD_KEYWORD, 100, 1, 1, 300},
    {"keywords, none there", QN_FIELD_KEYWORD, 0, 1, 1, 300},
    {"keywords, several", QN_FIELD_KEYWORD, 50, VALUES, VALUES, 300},
    {"points", QN_FIELD_GEO, 80, 1, VALUES, 300},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static char words[WORDS][WORD_BYTES];

typedef struct model {
    uint32_t docs;
    size_t n[DOCS];
    qn_overlay_value values[DOCS][VALUES];
    int patched[DOCS]; /* number of the patch; 0: none */
} model;

static qn_field field_of(const struct shape *s)
{
    return (qn_field){.id = 7, .type = s->type, .column = true, .multi = true};
}

static bool is_float(qn_field_type t)
{
    return t == QN_FIELD_FLOAT || t == QN_FIELD_DOUBLE;
}

/* `later`: words that the segment may not have. */
static qn_overlay_value draw(const struct shape *s, bool later, qn_rng *rng)
{
    uint64_t r = qn_rng_next(rng);
    qn_overlay_value v = {.bits = r % 50000 - 20000};
    if (s->type == QN_FIELD_BOOL) v.bits = r & 1;
    if (s->type == QN_FIELD_KEYWORD) {
        size_t at = later ? r % WORDS : r % (WORDS / 2) * 2; /* every other one */
        v = (qn_overlay_value){.text = qn_slice_of(words[at])};
    }
    if (s->type == QN_FIELD_GEO)
        v.bits = qn_geo_bits((double)(r % 1800) / 10.0 - 90, (double)(r % 359) - 179);
    if (is_float(s->type)) {
        double d = (double)(int64_t)(r % 4000) / 8.0 - 100;
        memcpy(&v.bits, &d, sizeof d);
    }
    return v;
}

static void draw_doc(const struct shape *s, model *m, uint32_t doc, bool later,
                     qn_rng *rng)
{
    unsigned most = later ? s->later_max : s->first_max;
    bool there = qn_rng_next(rng) % 100 < (later ? 85 : s->fill_percent);
    m->n[doc] = there ? 1 + qn_rng_next(rng) % most : 0;
    for (size_t i = 0; i < m->n[doc]; i++) m->values[doc][i] = draw(s, later, rng);
}

static void add_value(qn_segment_builder *b, const qn_field *f,
                      const qn_overlay_value *v)
{
    qn_error err = {0};
    if (f->type == QN_FIELD_KEYWORD) {
        T_CALL(qn_segment_builder_keyword(b, f, v->text, &err), &err);
    } else if (f->type == QN_FIELD_GEO) {
        qn_geo_point p = qn_geo_of_bits(v->bits);
        T_CALL(qn_segment_builder_geo(b, f, p.lat, p.lon, &err), &err);
    } else if (is_float(f->type)) {
        double d;
        memcpy(&d, &v->bits, sizeof d);
        T_CALL(qn_segment_builder_f64(b, f, d, &err), &err);
    } else {
        T_CALL(qn_segment_builder_i64(b, f, (int64_t)v->bits, &err), &err);
    }
}

static qn_segment *build(const struct shape *s, const model *m)
{
    qn_error err = {0};
    qn_field f = field_of(s);
    qn_segment_builder *b = t_builder();
    for (uint32_t d = 0; d < m->docs; d++) {
        t_begin(b, d);
        for (size_t i = 0; i < m->n[d]; i++) add_value(b, &f, &m->values[d][i]);
        T_CALL(qn_segment_builder_set_source(b, QN_SLICE_LIT("{\"a\":1}"),
                                             (qn_slice){"", 0}, &err),
               &err);
    }
    qn_segment *seg = t_image(b);
    qn_segment_builder_destroy(b);
    return seg;
}

/* ---- two columns that say the same ------------------------------------------------------- */

static void same_value(const qn_column *a, uint64_t x, const qn_column *b, uint64_t y)
{
    if (a->type == QN_FIELD_KEYWORD) {
        qn_slice p = qn_column_bytes(a, qn_column_value_ord(a, x));
        T_OK(qn_slice_eq(p, qn_column_bytes(b, qn_column_value_ord(b, y))));
        T_EQ_I(qn_column_find(a, p), qn_column_value_ord(a, x));
        return;
    }
    T_EQ_I((long long)qn_column_value_bits(a, x),
           (long long)qn_column_value_bits(b, y));
    if (a->type == QN_FIELD_GEO) return;
    T_EQ_I(qn_column_value_key(a, x), qn_column_value_key(b, y));
    T_OK(qn_column_value_f64(a, x) == qn_column_value_f64(b, y));
}

static void same_docs(const qn_column *a, const qn_column *b, uint32_t docs)
{
    for (uint32_t d = 0; d < docs; d++) {
        uint64_t x, x_end, y, y_end;
        qn_column_range(a, d, &x, &x_end);
        qn_column_range(b, d, &y, &y_end);
        T_EQ_I(x_end - x, y_end - y);
        T_EQ_I(qn_column_has(a, d), qn_column_has(b, d));
        T_OK(a->multi || x_end - x <= 1);
        T_OK(a->has_missing || x_end != x);
        for (; x < x_end; x++, y++) same_value(a, x, b, y);
    }
}

static void same_batches(const qn_column *a, const qn_column *b, uint32_t docs)
{
    enum { BATCH = 300 };
    uint32_t list[BATCH], ords[2][BATCH];
    int64_t keys[2][BATCH];
    double floats[2][BATCH];
    uint64_t missing[2][BATCH / 64 + 1];
    bool words_too = a->type == QN_FIELD_KEYWORD;
    if (a->type == QN_FIELD_GEO || docs == 0) return;
    for (uint32_t i = 0; i < BATCH; i++)
        list[i] = (uint32_t)((uint64_t)i * docs / BATCH);
    qn_column_get_keys(a, list, BATCH, keys[0], missing[0]);
    qn_column_get_keys(b, list, BATCH, keys[1], missing[1]);
    if (words_too) qn_column_get_ord(a, list, BATCH, ords[0]);
    if (words_too) qn_column_get_ord(b, list, BATCH, ords[1]);
    if (!words_too) qn_column_get_f64(a, list, BATCH, floats[0], NULL);
    if (!words_too) qn_column_get_f64(b, list, BATCH, floats[1], NULL);
    for (size_t i = 0; i < BATCH; i++) {
        T_EQ_I(qn_bitset_has(missing[0], i), qn_bitset_has(missing[1], i));
        if (!words_too) {
            T_EQ_I(keys[0][i], keys[1][i]);
            T_OK(floats[0][i] == floats[1][i]);
        } else if (ords[1][i] == QN_ORD_NONE) {
            T_EQ_I(ords[0][i], QN_ORD_NONE);
        } else {
            T_EQ_I(keys[0][i], ords[0][i]);
            T_OK(qn_slice_eq(qn_column_bytes(a, ords[0][i]),
                             qn_column_bytes(b, ords[1][i])));
        }
    }
}

/* Both ends of a range as each column's keys. */
static void draw_range(const struct shape *s, const qn_column *a, const qn_column *b,
                       qn_rng *rng, int64_t low[2], int64_t high[2])
{
    qn_overlay_value x = draw(s, true, rng), y = draw(s, true, rng);
    low[0] = low[1] = (int64_t)x.bits;
    high[0] = high[1] = (int64_t)y.bits;
    if (s->type == QN_FIELD_KEYWORD) {
        low[0] = qn_column_lower_bound(a, x.text);
        low[1] = qn_column_lower_bound(b, x.text);
        high[0] = (int64_t)qn_column_lower_bound(a, y.text) - 1;
        high[1] = (int64_t)qn_column_lower_bound(b, y.text) - 1;
    } else if (is_float(s->type)) {
        double from, to;
        memcpy(&from, &x.bits, sizeof from);
        memcpy(&to, &y.bits, sizeof to);
        low[0] = low[1] = qn_column_key_f64(s->type, from);
        high[0] = high[1] = qn_column_key_f64(s->type, to);
    }
}

static void same_ranges(const struct shape *s, const qn_column *a, const qn_column *b,
                        uint32_t docs, qn_rng *rng)
{
    enum { QUERIES = 12 };
    for (int q = 0; q < QUERIES && s->type != QN_FIELD_GEO; q++) {
        uint64_t got[DOCS / 64 + 1] = {0}, want[DOCS / 64 + 1] = {0}, hits = 0;
        int64_t low[2], high[2];
        draw_range(s, a, b, rng, low, high);
        uint32_t begin = docs < 512 ? 0 : (uint32_t)(qn_rng_next(rng) % 2) * 512;
        qn_column_match(a, low[0], high[0], begin, docs, got);
        qn_column_match(b, low[1], high[1], begin, docs, want);
        for (size_t w = 0; w < DOCS / 64 + 1; w++) {
            T_OK(got[w] == want[w]);
            hits += (uint64_t)__builtin_popcountll(got[w]);
        }
        T_OK(qn_column_estimate(a, low[0], high[0]) >= hits);
    }
}

static void bounds_hold(const qn_column *c, uint32_t docs)
{
    for (uint32_t d = 0; d < docs; d++) {
        uint32_t last;
        uint64_t at, end;
        int64_t min, max;
        qn_geo_box box;
        qn_column_range(c, d, &at, &end);
        if (c->type == QN_FIELD_GEO)
            qn_column_geo_bounds(c, d, &last, &box);
        else
            qn_column_bounds(c, d, &last, &min, &max);
        T_EQ_I(last, (d | 511) < docs ? (d | 511) : docs - 1);
        for (; at < end; at++) {
            if (c->type == QN_FIELD_GEO) {
                uint64_t v = qn_column_value_bits(c, at);
                int32_t lat = (int32_t)(uint32_t)(v >> 32), lon = (int32_t)(uint32_t)v;
                T_OK(lat >= box.lat_min && lat <= box.lat_max);
                T_OK(lon >= box.lon_min && lon <= box.lon_max);
            } else {
                int64_t v = qn_column_value_key(c, at);
                T_OK(v >= min && v <= max);
            }
        }
    }
}

/* The segment's column against one built from the model. */
static void check(const struct shape *s, const qn_segment *seg, const model *m,
                  qn_rng *rng)
{
    qn_error err = {0};
    qn_column a, b;
    qn_segment *fresh = build(s, m);
    qn_status st = qn_segment_column(seg, 7, &a, &err);
    qn_status want = qn_segment_column(fresh, 7, &b, &err);
    if (want == QN_ENOTFOUND) { /* no document has a value */
        for (uint32_t d = 0; st == QN_OK && d < m->docs; d++)
            T_OK(!qn_column_has(&a, d));
    } else {
        T_EQ_I(st, QN_OK);
        T_OK(qn_segment_field_of(seg, 7)->has_column);
        T_EQ_I(a.doc_count, m->docs);
        same_docs(&a, &b, m->docs);
        same_batches(&a, &b, m->docs);
        same_ranges(s, &a, &b, m->docs, rng);
        bounds_hold(&a, m->docs);
    }
    qn_segment_close(fresh);
}

/* ---- updates ------------------------------------------------------------------------------ */

static void update(const struct shape *s, qn_overlay *o, const qn_segment *bare,
                   model *m, uint32_t doc, int number, qn_rng *rng)
{
    qn_error err = {0};
    qn_column base;
    char patch[32];
    bool there = qn_segment_column(bare, 7, &base, &err) == QN_OK;
    qn_overlay_target t = {7, s->type, there ? &base : NULL};
    T_OK(qn_overlay_same(o, &t, doc, m->values[doc], m->n[doc]));
    draw_doc(s, m, doc, true, rng);
    m->patched[doc] = number;
    (void)snprintf(patch, sizeof patch, "{\"a\":%d}", number);
    const qn_overlay_change change = {t, m->values[doc], m->n[doc]};
    T_CALL(qn_overlay_stage(o, doc, &change, 1, qn_slice_of(patch), &err), &err);
    if (number % 16 == 3) { /* another beginning */
        qn_overlay_unstage(o);
        T_CALL(qn_overlay_stage(o, doc, &change, 1, qn_slice_of(patch), &err), &err);
    }
    qn_overlay_publish(o);
    T_OK(qn_overlay_same(o, &t, doc, m->values[doc], m->n[doc]));
}

static void check_patches(const qn_overlay *o, const model *m)
{
    uint32_t n = 0;
    for (uint32_t d = 0; d < m->docs; d++) {
        char want[32] = "";
        if (m->patched[d] != 0)
            (void)snprintf(want, sizeof want, "{\"a\":%d}", m->patched[d]);
        T_OK(qn_slice_eq_str(qn_overlay_patch(o, d), want));
        n += m->patched[d] != 0;
    }
    T_EQ_I(qn_overlay_doc_count(o), n);
}

static qn_segment *show(qn_overlay *o, const qn_segment *bare)
{
    qn_error err = {0};
    qn_overlay *frozen = NULL;
    qn_segment *seg = NULL;
    T_CALL(qn_overlay_freeze(o, &frozen, &err), &err);
    T_CALL(qn_segment_with(bare, frozen, &seg, &err), &err);
    qn_overlay_release(frozen);
    return seg;
}

/* ---- files --------------------------------------------------------------------------------- */

static uint8_t *image_of(const qn_overlay *frozen, size_t *n)
{
    qn_error err = {0};
    qn_blockfile_writer *w = NULL;
    T_CALL(qn_blockfile_writer_create(qn_alloc_heap(), NULL, QN_OVERLAY_MAGIC,
                                      QN_OVERLAY_VERSION, &w, &err),
           &err);
    T_CALL(qn_overlay_write(frozen, qn_alloc_heap(), w, &err), &err);
    T_CALL(qn_blockfile_finish(w, false, &err), &err);
    uint8_t *bytes = qn_blockfile_writer_take(w, n);
    qn_blockfile_writer_destroy(w);
    return bytes;
}

static qn_status open_image(const uint8_t *bytes, size_t n, const qn_segment *bare,
                            qn_overlay **out, qn_error *err)
{
    qn_blockfile *f = NULL;
    *out = NULL;
    QN_TRY(qn_blockfile_open_memory(qn_alloc_heap(), bytes, n, false, "overlay",
                                    QN_OVERLAY_MAGIC, QN_OVERLAY_VERSION, &f, err));
    qn_status st = qn_overlay_read(qn_alloc_heap(), f, bare, out, err);
    qn_blockfile_close(f);
    return st;
}

static void check_file(const struct shape *s, const qn_segment *shown,
                       const qn_segment *bare, model *m, qn_rng *rng)
{
    qn_error err = {0};
    size_t n = 0;
    uint8_t *bytes = image_of(qn_segment_overlay(shown), &n);
    qn_overlay *o = NULL;
    T_CALL(open_image(bytes, n, bare, &o, &err), &err);
    check_patches(o, m);
    qn_segment *again = show(o, bare);
    check(s, again, m, rng);
    qn_segment_close(again);
    qn_overlay_release(o);
    qn_delete_aligned(qn_alloc_heap(), bytes);
}

/* ---- merging --------------------------------------------------------------------------------- */

static qn_status put_patch(qn_slice source, qn_slice patch, qn_buf *out, qn_error *err)
{
    T_OK(qn_slice_eq_str(source, "{\"a\":1}"));
    qn_buf_add_slice(out, patch);
    return out->failed ? qn_fail(err, QN_ENOMEM, "patch") : QN_OK;
}

static qn_segment *merge_one(const qn_segment *in, const qn_doc_map *map)
{
    qn_error err = {0};
    qn_blockfile_writer *w = NULL;
    qn_blockfile *f = NULL;
    qn_segment *out = NULL;
    size_t n = 0;
    const qn_merge_input inputs[1] = {{in, map}};
    const qn_merge_options o = {.seed = 5, .patch = put_patch};
    T_CALL(qn_blockfile_writer_create(qn_alloc_heap(), NULL, QN_SEGMENT_MAGIC,
                                      QN_SEGMENT_VERSION, &w, &err),
           &err);
    T_CALL(qn_segment_merge(qn_alloc_heap(), inputs, 1, &o, w, &err), &err);
    T_CALL(qn_blockfile_finish(w, false, &err), &err);
    uint8_t *bytes = qn_blockfile_writer_take(w, &n);
    qn_blockfile_writer_destroy(w);
    T_CALL(qn_blockfile_open_memory(qn_alloc_heap(), bytes, n, true, "merged",
                                    QN_SEGMENT_MAGIC, QN_SEGMENT_VERSION, &f, &err),
           &err);
    T_CALL(qn_segment_open(qn_alloc_heap(), f, &out, &err), &err);
    return out;
}

static void keep_live(const model *m, const qn_doc_map *map, model *out)
{
    *out = (model){0};
    for (uint32_t d = 0; d < m->docs; d++) {
        uint32_t to = qn_doc_map_get(map, d);
        if (to == QN_DOC_END) continue;
        out->n[to] = m->n[d];
        out->patched[to] = m->patched[d];
        memcpy(out->values[to], m->values[d], sizeof out->values[to]);
        out->docs = to + 1;
    }
}

static void check_sources(const qn_segment *seg, const model *m)
{
    qn_error err = {0};
    qn_buf scratch;
    qn_buf_init(&scratch, qn_alloc_heap());
    for (uint32_t d = 0; d < m->docs; d += 7) {
        char want[32];
        qn_slice got;
        (void)snprintf(want, sizeof want, "{\"a\":%d}",
                       m->patched[d] == 0 ? 1 : m->patched[d]);
        T_CALL(qn_segment_source(seg, d, &scratch, &got, NULL, &err), &err);
        T_OK(qn_slice_eq_str(got, want));
    }
    qn_buf_deinit(&scratch);
}

/* The merge takes what there is; what comes later is carried over. */
static void check_merge(const struct shape *s, qn_overlay *o, const qn_segment *bare,
                        model *m, qn_rng *rng)
{
    static model live;
    qn_error err = {0};
    uint64_t deleted[DOCS / 64 + 1] = {0};
    qn_doc_map map;
    for (uint32_t d = 0; d < m->docs; d++)
        if (qn_rng_next(rng) % 5 == 0) qn_bitset_add(deleted, d);
    T_CALL(qn_doc_map_init(&map, qn_alloc_heap(), deleted, m->docs, 0, &err), &err);
    qn_segment *then = show(o, bare);
    qn_segment *merged = merge_one(then, &map);
    keep_live(m, &map, &live);
    check(s, merged, &live, rng);
    check_sources(merged, &live);
    for (int i = 0; i < 100; i++)
        update(s, o, bare, m, (uint32_t)(qn_rng_next(rng) % DOCS), 90000 + i, rng);
    qn_overlay *newer = NULL;
    T_CALL(qn_overlay_create(qn_alloc_heap(), live.docs, &newer, &err), &err);
    for (int twice = 0; twice < 2; twice++)
        T_CALL(qn_overlay_carry(o, qn_segment_overlay(then), &map, merged, newer, &err),
               &err);
    keep_live(m, &map, &live);
    qn_segment *both = show(newer, merged);
    check(s, both, &live, rng);
    for (uint32_t d = 0; d < live.docs; d++)
        T_EQ_I(qn_overlay_patch(newer, d).n != 0, live.patched[d] >= 90000);
    qn_segment_close(both);
    qn_overlay_release(newer);
    qn_segment_close(merged);
    qn_segment_close(then);
    qn_doc_map_deinit(&map);
}

/* ---- the tests --------------------------------------------------------------------------------- */

static void run_shape(const struct shape *s)
{
    static model m, before;
    qn_error err = {0};
    qn_rng rng = {s->fill_percent * 131u + (unsigned)s->type + s->updates};
    m = (model){.docs = DOCS};
    for (uint32_t d = 0; d < DOCS; d++) draw_doc(s, &m, d, false, &rng);
    qn_segment *bare = build(s, &m);
    qn_overlay *o = NULL;
    T_CALL(qn_overlay_create(qn_alloc_heap(), DOCS, &o, &err), &err);
    qn_segment *earlier = NULL;
    for (int round = 0; round < ROUNDS; round++) {
        before = m;
        for (unsigned i = 0; i < s->updates; i++)
            update(s, o, bare, &m, (uint32_t)(qn_rng_next(&rng) % DOCS),
                   round * 10000 + (int)i + 2, &rng);
        check_patches(o, &m);
        qn_segment *shown = show(o, bare);
        check(s, shown, &m, &rng);
        qn_points points;
        T_EQ_I(qn_segment_points(shown, 7, &points, &err), QN_ENOTFOUND);
        if (earlier != NULL) { /* it has not changed */
            check(s, earlier, &before, &rng);
            check_patches(qn_segment_overlay(earlier), &before);
        }
        check_file(s, shown, bare, &m, &rng);
        qn_segment_close(earlier);
        earlier = shown;
    }
    check_merge(s, o, bare, &m, &rng);
    qn_segment_close(earlier);
    qn_overlay_release(o);
    qn_segment_close(bare);
}

void test_overlay_reads(void **state)
{
    (void)state;
    for (int i = 0; i < WORDS; i++)
        (void)snprintf(words[i], WORD_BYTES, "w%02u", (unsigned)i % 100);
    for (size_t i = 0; i < SHAPES; i++) {
        T_ROW(shapes[i].name);
        run_shape(&shapes[i]);
    }
}

static qn_overlay *small_overlay(const struct shape *s, const qn_segment *bare,
                                 model *m, qn_rng *rng)
{
    qn_error err = {0};
    qn_overlay *o = NULL;
    T_CALL(qn_overlay_create(qn_alloc_heap(), m->docs, &o, &err), &err);
    for (uint32_t d = 0; d < m->docs; d += 3) update(s, o, bare, m, d, 2, rng);
    return o;
}

/* Every byte of a file changed in turn: found when it is read. */
void test_overlay_bit_flips(void **state)
{
    (void)state;
    static model m;
    const struct shape s = {"", QN_FIELD_KEYWORD, 80, VALUES, VALUES, 0};
    qn_rng rng = {4};
    m = (model){.docs = 20};
    for (uint32_t d = 0; d < m.docs; d++) draw_doc(&s, &m, d, false, &rng);
    qn_segment *bare = build(&s, &m);
    qn_overlay *o = small_overlay(&s, bare, &m, &rng);
    qn_segment *shown = show(o, bare);
    size_t n = 0;
    uint8_t *bytes = image_of(qn_segment_overlay(shown), &n);
    for (size_t bit = 0; bit <= 8 * n; bit++) { /* the last turn flips nothing */
        qn_overlay *got = NULL;
        qn_error err = {0};
        uint8_t mask = (uint8_t)(1u << (bit % 8));
        if (bit < 8 * n) bytes[bit / 8] ^= mask;
        qn_status st = open_image(bytes, n, bare, &got, &err);
        if (bit < 8 * n) bytes[bit / 8] ^= mask;
        if (bit == 8 * n) T_CALL(st, &err);
        if (bit < 8 * n) T_OK(st == QN_ECORRUPT || st == QN_EVERSION);
        qn_overlay_release(got);
    }
    qn_delete_aligned(qn_alloc_heap(), bytes);
    qn_segment_close(shown);
    qn_overlay_release(o);
    qn_segment_close(bare);
}

/* Each allocation fails once: an update is whole or not there at all for readers, and
 * goes through when tried again. */
void test_overlay_no_memory(void **state)
{
    (void)state;
    static model m;
    const struct shape s = {"", QN_FIELD_KEYWORD, 80, 1, VALUES, 0};
    qn_alloc a = {0};
    qn_error err = {0};
    qn_rng rng = {4};
    m = (model){.docs = 40};
    for (uint32_t d = 0; d < m.docs; d++) draw_doc(&s, &m, d, false, &rng);
    qn_segment *bare = build(&s, &m);
    qn_column base;
    T_CALL(qn_segment_column(bare, 7, &base, &err), &err);
    qn_overlay_target t = {7, s.type, &base};
    bool failed = true;
    for (long n = 1; failed; n++) {
        qn_overlay *o = NULL, *frozen = NULL;
        T_OK(n < 1000);
        atomic_store(&a.fail_countdown, n);
        qn_overlay_value v = {.text = QN_SLICE_LIT("new")};
        const qn_overlay_change change = {t, &v, 1};
        qn_status st = qn_overlay_create(&a, m.docs, &o, &err);
        if (st == QN_OK)
            st = qn_overlay_stage(o, 5, &change, 1, QN_SLICE_LIT("{}"), &err);
        if (st == QN_OK) qn_overlay_publish(o);
        if (st == QN_OK) st = qn_overlay_freeze(o, &frozen, &err);
        failed = atomic_load(&a.fail_countdown) <= 0;
        T_EQ_I(st, failed ? QN_ENOMEM : QN_OK);
        atomic_store(&a.fail_countdown, 0);
        if (o != NULL) {
            bool done = qn_overlay_doc_count(o) != 0;
            T_EQ_I(done, qn_overlay_same(o, &t, 5, &v, 1));
            T_CALL(qn_overlay_stage(o, 5, &change, 1, QN_SLICE_LIT("{}"), &err), &err);
            qn_overlay_publish(o);
            T_OK(qn_overlay_same(o, &t, 5, &v, 1));
            qn_overlay_release(frozen);
            T_CALL(qn_overlay_freeze(o, &frozen, &err), &err);
        }
        qn_overlay_release(frozen);
        qn_overlay_release(o);
        T_EQ_I(atomic_load(&a.live_bytes), 0);
    }
    qn_segment_close(bare);
}

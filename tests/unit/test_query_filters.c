/* SPDX-License-Identifier: Apache-2.0 */
/* Filters over one large segment against a look at every document: ranges by column and
 * by points, sets, points on the earth; what the cache keeps, gives and lets go; the
 * canonical bytes of filters. */
#include "../qn_test.h"
#include "base/clock.h"
#include "index/points.h"
#include "index/segment_builder.h"
#include "query/filters.h"

#include <math.h>

enum { DOCS = 20000, POINTS_PER_DOC = 2 };
enum { YEAR, PRICE, PLACE, TAG, FIELDS };

static const qn_field fields[FIELDS] = {
    [YEAR] = {.id = YEAR, .name = {"year", 4}, .type = QN_FIELD_INT32, .column = true},
    [PRICE] = {.id = PRICE,
               .name = {"price", 5},
               .type = QN_FIELD_DOUBLE,
               .column = true},
    [PLACE] = {.id = PLACE, .name = {"place", 5}, .type = QN_FIELD_GEO, .column = true},
    [TAG] = {.id = TAG,
             .name = {"tag", 3},
             .type = QN_FIELD_KEYWORD,
             .indexed = true,
             .column = true},
};
static const qn_schema schema = {.fields = fields, .field_count = FIELDS};
static const qn_query_field asked[FIELDS] = {
    {&fields[YEAR], 1}, {&fields[PRICE], 1}, {&fields[PLACE], 1}, {&fields[TAG], 1}};

typedef struct doc {
    bool has_year;
    int year;
    double price;
    size_t place_n;
    qn_geo_point places[POINTS_PER_DOC];
    unsigned tag;
    bool deleted;
} doc;

typedef struct corpus {
    doc *docs;
    qn_segment *segment;
    qn_segment_view seg;
    qn_snapshot_view view;
    uint64_t *deleted;
    qn_filter_cache *cache;
} corpus;

static void make_doc(doc *d, unsigned i, qn_rng *rng)
{
    d->has_year = qn_rng_next(rng) % 10 != 0;
    d->year = (int)(qn_rng_next(rng) % 3000) - 500;
    d->price = (double)(i / 10) + (double)(qn_rng_next(rng) % 100) / 8;
    d->place_n = qn_rng_next(rng) % (POINTS_PER_DOC + 1);
    for (size_t k = 0; k < d->place_n; k++) {
        /* Many around the poles and the date line. */
        double lat = (double)(qn_rng_next(rng) % 18001) / 100 - 90;
        double lon = (double)(qn_rng_next(rng) % 36001) / 100 - 180;
        if (qn_rng_next(rng) % 4 == 0) lon = lon < 0 ? -180 - lon / 90 : 180 - lon / 90;
        if (qn_rng_next(rng) % 8 == 0) lat = lat < 0 ? -90 - lat / 90 : 90 - lat / 90;
        d->places[k] = qn_geo_of_bits(qn_geo_bits(lat, lon));
    }
    d->tag = (unsigned)(qn_rng_next(rng) % 8);
    d->deleted = qn_rng_next(rng) % 20 == 0;
}

static void add_doc(qn_segment_builder *b, const doc *d, unsigned i)
{
    qn_error err;
    char text[16];
    uint32_t number;
    int n = snprintf(text, sizeof text, "d%u", i);
    T_CALL(qn_segment_builder_begin(b, (qn_slice){text, (size_t)n}, &number, &err),
           &err);
    if (d->has_year)
        T_CALL(qn_segment_builder_i64(b, &fields[YEAR], d->year, &err), &err);
    T_CALL(qn_segment_builder_f64(b, &fields[PRICE], d->price, &err), &err);
    for (size_t k = 0; k < d->place_n; k++)
        T_CALL(qn_segment_builder_geo(b, &fields[PLACE], d->places[k].lat,
                                      d->places[k].lon, &err),
               &err);
    n = snprintf(text, sizeof text, "t%u", d->tag);
    T_CALL(
        qn_segment_builder_keyword(b, &fields[TAG], (qn_slice){text, (size_t)n}, &err),
        &err);
}

static void corpus_open(corpus *c, uint64_t budget)
{
    qn_alloc *heap = qn_alloc_heap();
    qn_error err;
    qn_rng rng = {17};
    qn_segment_builder *b;
    qn_blockfile_writer *w;
    qn_blockfile *file;
    size_t size;
    *c = (corpus){.docs = qn_new_array(heap, DOCS, sizeof *c->docs)};
    c->deleted = qn_new_array(heap, DOCS / 64 + 1, sizeof *c->deleted);
    T_CALL(qn_segment_builder_create(heap, 7, &b, &err), &err);
    for (unsigned i = 0; i < DOCS; i++) {
        make_doc(&c->docs[i], i, &rng);
        add_doc(b, &c->docs[i], i);
        if (c->docs[i].deleted) qn_bitset_add(c->deleted, i);
    }
    T_CALL(qn_blockfile_writer_create(heap, NULL, QN_SEGMENT_MAGIC, QN_SEGMENT_VERSION,
                                      &w, &err),
           &err);
    T_CALL(qn_segment_builder_write(b, w, &err), &err);
    T_CALL(qn_blockfile_finish(w, false, &err), &err);
    uint8_t *bytes = qn_blockfile_writer_take(w, &size);
    qn_blockfile_writer_destroy(w);
    qn_segment_builder_destroy(b);
    T_CALL(qn_blockfile_open_memory(heap, bytes, size, true, "image", QN_SEGMENT_MAGIC,
                                    QN_SEGMENT_VERSION, &file, &err),
           &err);
    T_CALL(qn_segment_open(heap, file, &c->segment, &err), &err);
    T_CALL(qn_filter_cache_create(heap, budget, 1, &c->cache, &err), &err);
    c->seg = (qn_segment_view){
        .segment = c->segment, .uid = 1, .doc_count = DOCS, .deleted = c->deleted};
    c->view = (qn_snapshot_view){.schema = &schema,
                                 .segments = &c->seg,
                                 .segment_count = 1,
                                 .doc_count = DOCS,
                                 .filters = c->cache};
}

static void corpus_close(corpus *c)
{
    qn_filter_cache_destroy(c->cache);
    qn_segment_close(c->segment);
    qn_delete(qn_alloc_heap(), c->docs);
    qn_delete(qn_alloc_heap(), c->deleted);
}

/* ---- the plain meaning ------------------------------------------------------------------- */

static bool in_box(const qn_query_geo *g, qn_geo_point p)
{
    if (p.lat > g->top || p.lat < g->bottom) return false;
    if (g->left > g->right) return p.lon >= g->left || p.lon <= g->right;
    return p.lon >= g->left && p.lon <= g->right;
}

static bool plain_geo(const qn_query_geo *g, const doc *d)
{
    for (size_t k = 0; k < d->place_n; k++) {
        qn_geo_point from = {g->lat, g->lon};
        if (g->is_box ? in_box(g, d->places[k])
                      : qn_geo_distance(from, d->places[k]) <= g->radius_m)
            return true;
    }
    return false;
}

static bool plain_match(const qn_query *q, const doc *d)
{
    const qn_query_end *low = &q->u.range.low, *high = &q->u.range.high;
    char tag[8];
    switch (q->kind) {
    case QN_QUERY_GEO:
        return plain_geo(&q->u.geo, d);
    case QN_QUERY_TERM:
        (void)snprintf(tag, sizeof tag, "t%u", d->tag);
        return qn_slice_eq_str(q->terms[0].bytes, tag);
    case QN_QUERY_RANGE:
        if (q->fields[0].field->id == YEAR)
            return d->has_year && d->year >= low->i64 && d->year <= high->i64;
        return (low->inclusive ? d->price >= low->f64 : d->price > low->f64) &&
               (high->inclusive ? d->price <= high->f64 : d->price < high->f64);
    default:
        return false;
    }
}

static qn_query random_leaf(qn_rng *rng)
{
    qn_query q = {.kind = QN_QUERY_RANGE, .boost = 1, .field_count = 1};
    q.u.range.low = q.u.range.high = (qn_query_end){.present = true, .inclusive = true};
    unsigned what = (unsigned)(qn_rng_next(rng) % 4);
    if (what == 0) {
        q.fields = &asked[YEAR];
        q.u.range.low.i64 = (int64_t)(qn_rng_next(rng) % 3000) - 500;
        static const int64_t spans[] = {0, 3, 40, 2000}; /* few, many */
        q.u.range.high.i64 = q.u.range.low.i64 + spans[qn_rng_next(rng) % 4];
    } else if (what == 1) {
        q.fields = &asked[PRICE];
        q.u.range.low.f64 = (double)(qn_rng_next(rng) % 16000) / 8;
        q.u.range.high.f64 = q.u.range.low.f64 + (double)(qn_rng_next(rng) % 4000) / 8;
        q.u.range.low.inclusive = qn_rng_next(rng) % 2;
        q.u.range.high.inclusive = qn_rng_next(rng) % 2;
    } else if (what == 2) {
        static const double radii[] = {1000, 100e3, 1e6, 9e6, 21e6};
        q.kind = QN_QUERY_GEO;
        q.fields = &asked[PLACE];
        q.u.geo = (qn_query_geo){.lat = (double)(qn_rng_next(rng) % 181) - 90,
                                 .lon = (double)(qn_rng_next(rng) % 361) - 180,
                                 .radius_m = radii[qn_rng_next(rng) % 5]};
    } else {
        q.kind = QN_QUERY_GEO;
        q.fields = &asked[PLACE];
        double a = (double)(qn_rng_next(rng) % 18100) / 100 - 90.5;
        double b = (double)(qn_rng_next(rng) % 18100) / 100 - 90.5;
        q.u.geo =
            (qn_query_geo){.is_box = true,
                           .top = fmin(fmax(a, b), 90),
                           .bottom = fmax(fmin(a, b), -90),
                           .left = (double)(qn_rng_next(rng) % 36001) / 100 - 180,
                           .right = (double)(qn_rng_next(rng) % 36001) / 100 - 180};
    }
    return q;
}

/* Runs the filter three times: walked, made into bits, from the cache. */
static void check_leaf(const corpus *c, const qn_query *q)
{
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    const qn_query *list[] = {q};
    qn_query tree = {.kind = QN_QUERY_BOOL, .boost = 1};
    tree.u.boolean.filter = (qn_query_list){list, 1};
    const qn_exec_options o = {0};
    for (int run = 0; run < 3; run++) {
        qn_error err;
        qn_exec_result r;
        T_CALL(qn_query_execute(&c->view, &tree, &o, &arena, &r, &err), &err);
        size_t at = 0;
        for (uint32_t d = 0; d < DOCS; d++) {
            if (c->docs[d].deleted || !plain_match(q, &c->docs[d])) continue;
            if (at == r.count || r.candidates[at].doc != d)
                T_FAIL("run %d: document %u is missing or out of order", run, d);
            at++;
        }
        T_EQ_I(at, r.count);
    }
    qn_arena_deinit(&arena);
}

static void test_leaves(void **state)
{
    (void)state;
    corpus c;
    corpus_open(&c, 64 * 1024);
    qn_points points;
    qn_error err;
    T_CALL(qn_segment_points(c.segment, YEAR, &points, &err), &err);
    T_EQ_I(qn_segment_points(c.segment, PRICE, &points, &err), QN_ENOTFOUND);
    qn_rng rng = {5};
    for (unsigned i = 0; i < 160; i++) {
        qn_query q = random_leaf(&rng);
        qn_buf row = {.alloc = qn_alloc_heap()};
        qn_query_dump(&q, &row);
        T_ROW(row.p);
        check_leaf(&c, &q);
        T_ROW("");
        qn_buf_deinit(&row);
    }
    qn_filter_cache_stats stats = qn_filter_cache_look(c.cache);
    T_OK(stats.hits > 100 && stats.evictions > 0 && stats.bytes <= 64 * 1024);
    corpus_close(&c);
}

/* ---- several together ----------------------------------------------------------------------- */

static void test_accept(void **state)
{
    (void)state;
    corpus c;
    corpus_open(&c, 1 << 20);
    qn_rng rng = {6};
    for (unsigned run = 0; run < 60; run++) {
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        qn_error err;
        qn_planner p;
        qn_query leaves[3], tree = {.kind = QN_QUERY_BOOL, .boost = 1};
        const qn_query *list[3];
        qn_plan *plan;
        const qn_exec_options o = {0};
        for (size_t i = 0; i < 3; i++) {
            leaves[i] = random_leaf(&rng);
            list[i] = &leaves[i];
        }
        size_t needed = run % 4;
        tree.u.boolean.filter = (qn_query_list){list, needed};
        tree.u.boolean.must_not = (qn_query_list){list + needed, 3 - needed};
        c.seg.deleted = run % 3 == 0 ? NULL : c.deleted;
        T_CALL(qn_planner_init(&p, &c.view, &o, &arena, &err), &err);
        T_CALL(qn_plan_build(&p, &tree, 1, false, &plan), &err);
        qn_iter_maker m = {
            .planner = &p, .view = &c.seg, .scratch = &arena, .err = &err};
        qn_filter_bits bits;
        T_CALL(qn_filter_accept(&m, plan->filter, plan->must_not, &bits), &err);
        size_t count = 0;
        for (uint32_t d = 0; d < DOCS; d++) {
            bool want = c.seg.deleted == NULL || !c.docs[d].deleted;
            for (size_t i = 0; i < 3; i++)
                want = want && plain_match(&leaves[i], &c.docs[d]) == (i < needed);
            T_EQ_I(qn_bitset_has(bits.words, d), want);
            count += want;
        }
        T_EQ_I(bits.count, count);
        qn_planner_deinit(&p);
        qn_arena_deinit(&arena);
    }
    corpus_close(&c);
}

/* ---- the cache by itself ---------------------------------------------------------------------- */

static void test_cache(void **state)
{
    (void)state;
    qn_error err;
    qn_filter_cache *c;
    uint64_t words[4] = {5, 0, 0, 8};
    qn_filter_bits got, held;
    bool wanted;
    T_CALL(qn_filter_cache_create(qn_alloc_heap(), 1000, 1, &c, &err), &err);
    T_ROW("wanted when asked again, by segment");
    T_OK(!qn_filter_cache_get(c, 1, QN_SLICE_LIT("a"), &got, &wanted) && !wanted);
    T_OK(!qn_filter_cache_get(c, 2, QN_SLICE_LIT("a"), &got, &wanted) && !wanted);
    T_OK(!qn_filter_cache_get(c, 1, QN_SLICE_LIT("a"), &got, &wanted) && wanted);
    T_OK(qn_filter_cache_put(c, 1, QN_SLICE_LIT("a"), words, 256, 3, &held));
    T_OK(qn_filter_cache_get(c, 1, QN_SLICE_LIT("a"), &got, &wanted));
    T_EQ_I(got.count, 3);
    T_OK(memcmp(got.words, words, sizeof words) == 0 && got.words[4] == 0);
    qn_filter_bits_release(&got);
    T_ROW("the least recently used goes; what is held stays");
    T_OK(qn_filter_cache_put(c, 1, QN_SLICE_LIT("b"), words, 256, 3, &got));
    qn_filter_bits_release(&got);
    T_OK(qn_filter_cache_put(c, 1, QN_SLICE_LIT("c"), words, 256, 3, &got));
    qn_filter_bits_release(&got);
    T_OK(qn_filter_cache_put(c, 1, QN_SLICE_LIT("d"), words, 256, 3, &got));
    qn_filter_bits_release(&got);
    T_OK(!qn_filter_cache_get(c, 1, QN_SLICE_LIT("a"), &got, &wanted));
    T_EQ_I(held.words[3], 8);
    T_OK(qn_filter_cache_look(c).evictions > 0 &&
         qn_filter_cache_look(c).bytes <= 1000);
    T_ROW("too large by itself");
    uint64_t *many = qn_new_array(qn_alloc_heap(), 1000, sizeof *many);
    T_OK(!qn_filter_cache_put(c, 1, QN_SLICE_LIT("e"), many, 64000, 0, &got));
    qn_delete(qn_alloc_heap(), many);
    T_ROW("what is held outlives the cache");
    qn_filter_cache_destroy(c);
    T_EQ_I(held.words[0], 5);
    qn_filter_bits_release(&held);
}

static void key_of(const qn_query *q, qn_buf *out)
{
    qn_buf_init(out, qn_alloc_heap());
    T_OK(qn_filter_key(q, out));
}

static bool same_key(const qn_query *a, const qn_query *b)
{
    qn_buf x, y;
    key_of(a, &x);
    key_of(b, &y);
    bool same = qn_slice_eq(qn_buf_slice(&x), qn_buf_slice(&y));
    qn_buf_deinit(&x);
    qn_buf_deinit(&y);
    return same;
}

static void test_keys(void **state)
{
    (void)state;
    qn_rng rng = {8};
    qn_query a = random_leaf(&rng), b = a,
             c = {.kind = QN_QUERY_CONSTANT, .u.child = &a};
    b.boost = 3;
    b.label = QN_SLICE_LIT("x");
    b.at = 77;
    T_ROW("boosts, labels and CONSTANT change nothing");
    T_OK(same_key(&a, &b) && same_key(&a, &c));
    qn_query_term word = {{"t1", 2}, 0};
    qn_query term = {.kind = QN_QUERY_TERM,
                     .fields = &asked[TAG],
                     .field_count = 1,
                     .terms = &word,
                     .term_count = 1};
    const qn_query *ab[] = {&a, &term}, *ba[] = {&term, &a};
    qn_query x = {.kind = QN_QUERY_BOOL}, y = x, z = x;
    x.u.boolean.filter = (qn_query_list){ab, 2};
    y.u.boolean.filter = (qn_query_list){ba, 2};
    z.u.boolean.must_not = (qn_query_list){ab, 2};
    T_ROW("nor does the order of clauses");
    T_OK(same_key(&x, &y) && !same_key(&x, &z) && !same_key(&a, &term));
    T_ROW("other values, other keys");
    for (unsigned i = 0; i < 50; i++) {
        qn_query other = random_leaf(&rng);
        T_OK(!same_key(&a, &other));
    }
    T_ROW("vectors depend on more than the segment");
    qn_query v = {.kind = QN_QUERY_VECTOR};
    const qn_query *with[] = {&a, &v};
    x.u.boolean.filter = (qn_query_list){with, 2};
    qn_buf out;
    qn_buf_init(&out, qn_alloc_heap());
    T_OK(!qn_filter_key(&v, &out) && !qn_filter_key(&x, &out));
    qn_buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaves),
        cmocka_unit_test(test_accept),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Columns of every type and shape against the list of values that went in: reads one by
 * one and in batches, ranges into bit sets, bounds of blocks, points. */
#include "index/points.h"
#include "test_index.h"

#include <math.h>
#include <stdlib.h>

enum { DOCS = 2900, VALUES = 3, QUERIES = 40 };

typedef enum draw { DRAW_ANY, DRAW_CLUSTERED, DRAW_SPARSE_VALUES, DRAW_ONE } draw;

static const struct shape {
    const char *name;
    qn_field_type type;
    unsigned fill_percent; /* documents with a value */
    unsigned values_max;
    draw how;
} shapes[] = {
    {"bytes", QN_FIELD_INT8, 100, 1, DRAW_ANY},
    {"bytes, some missing", QN_FIELD_INT8, 80, 1, DRAW_ANY},
    {"shorts, few there", QN_FIELD_INT16, 3, 1, DRAW_ANY},
    {"ints, rising", QN_FIELD_INT32, 100, 1, DRAW_CLUSTERED},
    {"ints, rising, half there", QN_FIELD_INT32, 45, 1, DRAW_CLUSTERED},
    {"longs, wide", QN_FIELD_INT64, 100, 1, DRAW_ANY},
    {"longs, multiples of 250", QN_FIELD_INT64, 90, 1, DRAW_SPARSE_VALUES},
    {"longs, one value", QN_FIELD_INT64, 100, 1, DRAW_ONE},
    {"longs, several", QN_FIELD_INT64, 70, VALUES, DRAW_ANY},
    {"longs, several, rising", QN_FIELD_INT64, 100, VALUES, DRAW_CLUSTERED},
    {"bools", QN_FIELD_BOOL, 95, 1, DRAW_ANY},
    {"dates, rising", QN_FIELD_DATE, 100, 1, DRAW_CLUSTERED},
    {"floats", QN_FIELD_FLOAT, 100, 1, DRAW_ANY},
    {"floats, few there", QN_FIELD_FLOAT, 10, 1, DRAW_ANY},
    {"doubles", QN_FIELD_DOUBLE, 90, 1, DRAW_ANY},
    {"doubles, whole", QN_FIELD_DOUBLE, 100, 1, DRAW_SPARSE_VALUES},
    {"doubles, several", QN_FIELD_DOUBLE, 60, VALUES, DRAW_ANY},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

typedef struct model {
    size_t n[DOCS];
    int64_t ints[DOCS][VALUES];
    double floats[DOCS][VALUES];
} model;

static bool is_float(qn_field_type t)
{
    return t == QN_FIELD_FLOAT || t == QN_FIELD_DOUBLE;
}

static int64_t draw_int(const struct shape *s, uint32_t doc, qn_rng *rng)
{
    uint64_t r = qn_rng_next(rng);
    if (s->type == QN_FIELD_BOOL) return (int64_t)(r & 1);
    if (s->how == DRAW_ONE) return -77;
    if (s->how == DRAW_CLUSTERED) return (int64_t)(doc * 1000u + r % 2000);
    if (s->how == DRAW_SPARSE_VALUES) return (int64_t)(r % 4000) * 250 - 300000;
    if (s->type == QN_FIELD_INT8) return (int8_t)r;
    if (s->type == QN_FIELD_INT16) return (int16_t)r;
    return r % 5 == 0 ? (int64_t)qn_rng_next(rng) : (int64_t)(r % 100000);
}

static double draw_float(const struct shape *s, qn_rng *rng)
{
    uint64_t r = qn_rng_next(rng);
    double v = (double)(int64_t)(r % 200000) / 64.0 - 1500;
    if (r % 97 == 0) v = r % 2 ? -0.0 : 0.0;
    if (r % 101 == 0) v = r % 2 ? HUGE_VAL : -HUGE_VAL;
    if (s->how == DRAW_SPARSE_VALUES) v = (double)(r % 1000);
    return s->type == QN_FIELD_FLOAT ? (double)(float)v : v;
}

static qn_segment *build(const struct shape *s, const qn_field *f, model *m,
                         qn_segment_builder **builder)
{
    qn_error err = {0};
    qn_rng rng = {s->fill_percent * 31u + (unsigned)s->type};
    qn_segment_builder *b = *builder = t_builder();
    for (uint32_t d = 0; d < DOCS; d++) {
        t_begin(b, d);
        bool there = qn_rng_next(&rng) % 100 < s->fill_percent;
        m->n[d] = there ? 1 + qn_rng_next(&rng) % s->values_max : 0;
        for (size_t i = 0; i < m->n[d]; i++) {
            if (is_float(s->type)) {
                m->floats[d][i] = draw_float(s, &rng);
                T_CALL(qn_segment_builder_f64(b, f, m->floats[d][i], &err), &err);
                m->ints[d][i] = qn_column_key_f64(s->type, m->floats[d][i]);
            } else {
                m->ints[d][i] = draw_int(s, d, &rng);
                T_CALL(qn_segment_builder_i64(b, f, m->ints[d][i], &err), &err);
                m->floats[d][i] = (double)m->ints[d][i];
            }
        }
    }
    return t_image(b);
}

/* Batches of documents picked here and there, ascending with repeats. */
static void check_batches(const qn_column *c, const model *m, qn_rng *rng)
{
    enum { BATCH = 700 };
    uint32_t docs[BATCH];
    int64_t keys[BATCH];
    double floats[BATCH];
    uint64_t missing[BATCH / 64 + 1];
    uint32_t doc = 0;
    for (size_t i = 0; i < BATCH; i++) {
        docs[i] = doc;
        doc = (doc + (uint32_t)(qn_rng_next(rng) % 9)) % DOCS;
    }
    qn_column_get_keys(c, docs, BATCH, keys, missing);
    qn_column_get_f64(c, docs, BATCH, floats, NULL);
    for (size_t i = 0; i < BATCH; i++) {
        uint32_t d = docs[i];
        T_EQ_I(qn_bitset_has(missing, i), m->n[d] == 0);
        T_EQ_I(keys[i], m->n[d] == 0 ? 0 : m->ints[d][0]);
        T_OK(floats[i] == (m->n[d] == 0 ? 0.0 : m->floats[d][0]));
    }
}

static void check_values(const qn_column *c, const model *m)
{
    for (uint32_t d = 0; d < DOCS; d++) {
        uint64_t begin = 0, limit = 0;
        qn_column_range(c, d, &begin, &limit);
        T_EQ_I(limit - begin, m->n[d]);
        T_EQ_I(qn_column_has(c, d), m->n[d] > 0);
        for (size_t i = 0; i < m->n[d]; i++) {
            T_EQ_I(qn_column_value_key(c, begin + i), m->ints[d][i]);
            T_OK(qn_column_value_f64(c, begin + i) == m->floats[d][i]);
            uint64_t bits = (uint64_t)m->ints[d][i];
            if (is_float(c->type)) memcpy(&bits, &m->floats[d][i], sizeof bits);
            T_EQ_I(qn_column_value_bits(c, begin + i), bits);
        }
    }
}

/* An end of a range: near a value that is there, or anywhere. */
static int64_t draw_end(const model *m, qn_rng *rng)
{
    uint32_t d = (uint32_t)(qn_rng_next(rng) % DOCS);
    if (m->n[d] == 0) return (int64_t)qn_rng_next(rng);
    return m->ints[d][0] + (int64_t)(qn_rng_next(rng) % 3) - 1;
}

static void check_match(const qn_column *c, const model *m, qn_rng *rng)
{
    int64_t low = draw_end(m, rng), high = draw_end(m, rng);
    if (qn_rng_next(rng) % 8 == 0) low = INT64_MIN;
    if (qn_rng_next(rng) % 8 == 0) high = INT64_MAX;
    uint64_t bits[DOCS / 64 + 1] = {0}, count = 0;
    uint32_t middle = (uint32_t)(qn_rng_next(rng) % 5) * QN_COLUMN_BLOCK;
    qn_column_match(c, low, high, 0, middle, bits);
    qn_column_match(c, low, high, middle, DOCS, bits + middle / 64);
    for (uint32_t d = 0; d < DOCS; d++) {
        bool want = false;
        for (size_t i = 0; i < m->n[d]; i++) {
            want = want || (m->ints[d][i] >= low && m->ints[d][i] <= high);
            count += m->ints[d][i] >= low && m->ints[d][i] <= high;
        }
        if (qn_bitset_has(bits, d) != want)
            T_FAIL("document %u: got %d for [%lld, %lld]", d, !want, (long long)low,
                   (long long)high);
    }
    T_OK(bits[DOCS / 64] >> (DOCS % 64) == 0);
    T_OK(qn_column_estimate(c, low, high) >= count);
}

static void check_bounds(const qn_column *c, const model *m)
{
    for (uint32_t doc = 0, last = 0; doc < DOCS; doc = last + 1) {
        int64_t min = 0, max = 0;
        qn_column_bounds(c, doc, &last, &min, &max);
        T_OK(last >= doc && last < DOCS);
        for (uint32_t d = doc; d <= last; d++)
            for (size_t i = 0; i < m->n[d]; i++)
                T_OK(m->ints[d][i] >= min && m->ints[d][i] <= max);
        if (min <= max && !c->multi &&
            !c->ranked) { /* tight where blocks are documents */
            bool least = false, most = false;
            for (uint32_t d = doc; d <= last; d++) {
                least = least || (m->n[d] > 0 && m->ints[d][0] == min);
                most = most || (m->n[d] > 0 && m->ints[d][0] == max);
            }
            T_OK(least && most);
        }
    }
}

void test_column_shapes(void **state)
{
    (void)state;
    static model m;
    qn_error err = {0};
    for (size_t r = 0; r < SHAPES; r++) {
        T_ROW(shapes[r].name);
        const qn_field f = {.id = 9, .type = shapes[r].type, .column = true};
        qn_segment_builder *b = NULL;
        qn_segment *seg = build(&shapes[r], &f, &m, &b);
        qn_column c;
        T_CALL(qn_segment_column(seg, f.id, &c, &err), &err);
        T_EQ_I(c.multi, shapes[r].values_max > 1);
        T_EQ_I(c.has_missing, shapes[r].fill_percent < 100);
        qn_rng rng = {r};
        check_values(&c, &m);
        check_bounds(&c, &m);
        for (int q = 0; q < QUERIES; q++) {
            check_batches(&c, &m, &rng);
            check_match(&c, &m, &rng);
        }
        qn_segment_close(seg);
        qn_segment_builder_destroy(b);
    }
}

/* Points against a scan of the values, where a segment has them. */
static void check_points(qn_segment *seg, const int64_t *values, size_t n, qn_rng *rng)
{
    qn_error err = {0};
    qn_points p;
    T_CALL(qn_segment_points(seg, 9, &p, &err), &err);
    for (int q = 0; q < QUERIES; q++) {
        int64_t low =
            values[qn_rng_next(rng) % n] + (int64_t)(qn_rng_next(rng) % 3) - 1;
        int64_t high = values[qn_rng_next(rng) % n] + (int64_t)(qn_rng_next(rng) % 3);
        if (q == 0) low = INT64_MIN;
        if (q == 1) high = INT64_MAX;
        qn_points_run run = qn_points_find(&p, low, high);
        uint64_t *bits = qn_new_array(qn_alloc_heap(), n / 64 + 1, sizeof *bits);
        uint32_t *docs = qn_new_array(qn_alloc_heap(), n + 1, sizeof *docs);
        qn_points_match(&p, run, bits);
        qn_points_docs(&p, run, docs);
        size_t want = 0;
        for (size_t d = 0; d < n; d++) {
            bool in = values[d] >= low && values[d] <= high;
            want += in;
            T_EQ_I(qn_bitset_has(bits, d), in);
        }
        T_EQ_I(run.limit - run.begin, want);
        for (size_t i = 0; i < want; i++) T_OK(qn_bitset_has(bits, docs[i]));
        qn_delete(qn_alloc_heap(), bits);
        qn_delete(qn_alloc_heap(), docs);
    }
}

void test_points(void **state)
{
    (void)state;
    enum { MANY = 20000 };
    static const struct {
        const char *name;
        qn_field_type type;
        uint64_t step, span, values;
        bool there;
    } rows[] = {
        {"anywhere", QN_FIELD_INT64, 0, UINT64_MAX, MANY, true},
        {"small numbers", QN_FIELD_INT32, 0, 5000, MANY, true},
        {"dates", QN_FIELD_DATE, 0, 1000000000, MANY, true},
        {"in order of arrival", QN_FIELD_INT64, 100, 1000, MANY, false},
        {"few different", QN_FIELD_INT64, 0, 40, MANY, false},
        {"few", QN_FIELD_INT64, 0, 5000, 1000, false},
    };
    qn_error err = {0};
    int64_t *values = qn_new_array(qn_alloc_heap(), MANY, sizeof *values);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        T_ROW(rows[r].name);
        qn_rng rng = {r};
        const qn_field f = {.id = 9, .type = rows[r].type, .column = true};
        qn_segment_builder *b = t_builder();
        for (unsigned i = 0; i < rows[r].values; i++) {
            values[i] = (int64_t)(i * rows[r].step + qn_rng_next(&rng) % rows[r].span);
            t_begin(b, i);
            T_CALL(qn_segment_builder_i64(b, &f, values[i], &err), &err);
        }
        qn_segment *seg = t_image(b);
        qn_points p;
        T_EQ_I(qn_segment_points(seg, 9, &p, &err),
               rows[r].there ? QN_OK : QN_ENOTFOUND);
        if (rows[r].there) check_points(seg, values, MANY, &rng);
        qn_segment_close(seg);
        qn_segment_builder_destroy(b);
    }
    qn_delete(qn_alloc_heap(), values);
}

/* Order and round trip of keys of floating-point numbers. */
void test_column_float_keys(void **state)
{
    (void)state;
    static const double rising[] = {-HUGE_VAL, -1e30, -2.5, -1, -1e-30, -0.0,    0.0,
                                    1e-30,     1,     1.5,  3,  1e30,   HUGE_VAL};
    static const qn_field_type types[] = {QN_FIELD_FLOAT, QN_FIELD_DOUBLE};
    for (size_t t = 0; t < 2; t++) {
        T_ROW(qn_field_type_name(types[t]));
        int64_t before = INT64_MIN;
        for (size_t i = 0; i < sizeof rising / sizeof *rising; i++) {
            double v =
                types[t] == QN_FIELD_FLOAT ? (double)(float)rising[i] : rising[i];
            int64_t key = qn_column_key_f64(types[t], v);
            T_OK(key > before);
            T_OK(qn_column_f64_of_key(types[t], key) == v);
            before = key;
        }
        T_OK(qn_column_key_f64(types[t], (double)NAN) > before);
    }
}

void test_column_points(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double lat, lon, other_lat, other_lon, metres, slack;
    } rows[] = {
        {"nowhere", 10, 20, 10, 20, 0, 0.03},
        {"a degree along the equator", 0, 0, 0, 1, 111195.0797, 0.03},
        {"pole to pole", 90, 0, -90, 0, 20015114.3522, 0.03},
        {"over the date line", 0, 179.5, 0, -179.5, 111195.0797, 0.03},
        /* By the spherical law of cosines on the same sphere. */
        {"Hangzhou to Beijing", 30.2741, 120.1551, 39.9042, 116.4074, 1123492.2745,
         0.03},
    };
    qn_error err = {0};
    const qn_field f = {.id = 4, .type = QN_FIELD_GEO, .column = true};
    qn_segment_builder *b = t_builder();
    unsigned n = sizeof rows / sizeof *rows;
    for (unsigned i = 0; i < n; i++) {
        t_begin(b, i);
        T_CALL(qn_segment_builder_geo(b, &f, rows[i].lat, rows[i].lon, &err), &err);
    }
    t_begin(b, n);
    T_EQ_I(qn_segment_builder_geo(b, &f, 90.1, 0, &err), QN_EINVAL);
    T_EQ_I(qn_segment_builder_geo(b, &f, 0, -180.1, &err), QN_EINVAL);
    T_EQ_I(qn_segment_builder_geo(b, &f, (double)NAN, 0, &err), QN_EINVAL);
    qn_segment *seg = t_image(b);
    qn_column c;
    T_CALL(qn_segment_column(seg, f.id, &c, &err), &err);
    T_OK(c.has_missing && !qn_column_has(&c, n));
    uint32_t last;
    qn_geo_box box;
    qn_column_geo_bounds(&c, 0, &last, &box);
    T_EQ_I(last, n);
    for (unsigned i = 0; i < n; i++) {
        T_ROW(rows[i].name);
        qn_geo_point p = qn_geo_of_bits(qn_column_value_bits(&c, i));
        T_NEAR(p.lat, rows[i].lat, 180.0 / 4294967296.0);
        T_NEAR(p.lon, rows[i].lon, 360.0 / 4294967296.0);
        qn_geo_point o = {rows[i].other_lat, rows[i].other_lon};
        T_NEAR(qn_geo_distance(p, o), rows[i].metres, rows[i].slack);
        int32_t lat = qn_geo_fix_lat(rows[i].lat), lon = qn_geo_fix_lon(rows[i].lon);
        T_OK(lat >= box.lat_min && lat <= box.lat_max);
        T_OK(lon >= box.lon_min && lon <= box.lon_max);
    }
    qn_segment_close(seg);
    qn_segment_builder_destroy(b);
}

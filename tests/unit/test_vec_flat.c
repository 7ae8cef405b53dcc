/* SPDX-License-Identifier: Apache-2.0 */
#include "test_vec.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

/* Every metric with every element, and every document or some with a vector. */
static const struct {
    const char *name;
    qn_vindex_metric metric;
    qn_vindex_element element;
    bool raw;
    uint32_t dims, docs, every; /* each `every`-th document has a vector */
} rows[] = {
    {"l2 f32", QN_VINDEX_L2, QN_VINDEX_F32, false, 24, 1500, 1},
    {"l2 f32, some", QN_VINDEX_L2, QN_VINDEX_F32, false, 7, 3000, 3},
    {"dot f32", QN_VINDEX_DOT, QN_VINDEX_F32, false, 33, 1025, 1},
    {"cosine f32", QN_VINDEX_COSINE, QN_VINDEX_F32, false, 64, 1024, 1},
    {"cosine f32, some", QN_VINDEX_COSINE, QN_VINDEX_F32, false, 1, 50, 2},
    {"l2 int8", QN_VINDEX_L2, QN_VINDEX_I8, false, 100, 1100, 1},
    {"dot int8", QN_VINDEX_DOT, QN_VINDEX_I8, false, 31, 1100, 2},
    {"cosine int8", QN_VINDEX_COSINE, QN_VINDEX_I8, false, 128, 1100, 1},
    {"l2 raw bytes", QN_VINDEX_L2, QN_VINDEX_I8, true, 48, 1100, 1},
    {"dot raw bytes", QN_VINDEX_DOT, QN_VINDEX_I8, true, 48, 1100, 5},
    {"cosine raw bytes", QN_VINDEX_COSINE, QN_VINDEX_I8, true, 48, 1100, 1},
};
enum { ROWS = sizeof rows / sizeof *rows, DIMS_MAX = 128, DOCS_MAX = 3000 };

static float vectors[DOCS_MAX][DIMS_MAX];

static bool has_vector(size_t r, uint32_t doc)
{
    return doc % rows[r].every == rows[r].every - 1;
}

static void random_vector(size_t r, qn_rng *rng, float *out)
{
    for (uint32_t i = 0; i < rows[r].dims; i++)
        out[i] =
            rows[r].raw ? (float)(int)(qn_rng_next(rng) % 256) - 128.0f : t_normal(rng);
    if (rows[r].raw) out[0] = -128; /* the edge of int8, and never all zero */
}

static t_vectors open_row(size_t r)
{
    qn_error err = {0};
    qn_rng rng = {r + 1};
    const qn_flat_options o = {rows[r].dims, rows[r].metric, rows[r].element,
                               rows[r].raw};
    qn_flat_builder *b = NULL;
    t_vectors v;
    T_ROW(rows[r].name);
    T_CALL(qn_flat_builder_create(qn_alloc_heap(), &o, NULL, &b, &err), &err);
    for (uint32_t d = 0; d < rows[r].docs; d++) {
        random_vector(r, &rng, vectors[d]);
        if (has_vector(r, d))
            T_CALL(qn_flat_builder_add(b, d, vectors[d], o.dims, &err), &err);
    }
    T_EQ_I(qn_flat_builder_count(b), rows[r].docs / rows[r].every);
    T_CALL(t_vectors_open(qn_alloc_heap(), b, rows[r].docs, &v, &err), &err);
    qn_flat_builder_destroy(b);
    qn_vindex_info info;
    qn_vindex_info_get(v.index, &info);
    T_EQ_S(info.kind, "flat");
    T_EQ_I(info.dims, rows[r].dims);
    T_EQ_I(info.count, rows[r].docs / rows[r].every);
    T_EQ_I(info.raw, rows[r].raw);
    return v;
}

/* The metric of the definition, in double. */
static double naive(qn_vindex_metric m, const float *a, const float *b, uint32_t n)
{
    double dot = 0, l2 = 0, aa = 0, bb = 0;
    for (uint32_t i = 0; i < n; i++) {
        double x = (double)a[i], y = (double)b[i];
        dot += x * y;
        l2 += (x - y) * (x - y);
        aa += x * x;
        bb += y * y;
    }
    if (m == QN_VINDEX_L2) return l2;
    return m == QN_VINDEX_DOT ? dot : dot / sqrt(aa) / sqrt(bb);
}

/* How far a value may lie from the naive one: float sums of n terms, each within half an
 * ulp of its size; quantised, each number within half a step, and a step is the greatest
 * number / 127. */
static double tolerance(size_t r, const float *a, const float *b)
{
    uint32_t n = rows[r].dims;
    double mass = 0, most = 0, sum = 0, length = 1;
    for (uint32_t i = 0; i < n; i++) {
        double x = fabs((double)a[i]), y = fabs((double)b[i]);
        mass += rows[r].metric == QN_VINDEX_L2 ? (x + y) * (x + y) : x * y;
        sum += x + y;
        most = fmax(most, fmax(x, y));
    }
    if (rows[r].metric == QN_VINDEX_COSINE)
        length =
            sqrt(naive(QN_VINDEX_DOT, a, a, n)) * sqrt(naive(QN_VINDEX_DOT, b, b, n));
    double rounding = (n + 8) * (double)FLT_EPSILON * mass / length;
    if (rows[r].element == QN_VINDEX_F32 || rows[r].raw) return rounding;
    double step = most / 127 / 2;
    double error = step * sum + n * step * step;
    if (rows[r].metric == QN_VINDEX_L2)
        error = 2 * step * 2 * sum + 4 * n * step * step;
    return rounding + error / length;
}

static int compare_best(const void *a, const void *b)
{
    const qn_vec_hit *x = a, *y = b;
    if (x->value != y->value) return x->value > y->value ? -1 : 1;
    return (x->doc > y->doc) - (x->doc < y->doc);
}

/* All candidates sorted by the definition of the order, from single comparisons. */
static size_t sorted_values(size_t r, const t_vectors *v, const qn_vindex_query *q,
                            qn_vec_hit *out)
{
    static float values[DOCS_MAX];
    static uint32_t docs[DOCS_MAX];
    qn_error err = {0};
    size_t n = 0;
    float sign = rows[r].metric == QN_VINDEX_L2 ? -1.0f : 1.0f;
    for (uint32_t d = 0; d < rows[r].docs; d++) docs[d] = d;
    T_CALL(qn_vindex_values(v->index, q, docs, rows[r].docs, values, &err), &err);
    for (uint32_t d = 0; d < rows[r].docs; d++) {
        T_EQ_I(isnan(values[d]), !has_vector(r, d));
        T_EQ_I(qn_vindex_has(v->index, d), has_vector(r, d));
        if (isnan(values[d])) continue;
        if (q->accept != NULL && !qn_bitset_has(q->accept, d)) continue;
        out[n++] = (qn_vec_hit){d, sign * values[d]};
    }
    qsort(out, n, sizeof *out, compare_best);
    for (size_t i = 0; i < n; i++) out[i].value *= sign;
    return n;
}

static void check_hits(const qn_vec_hit *got, size_t n, const qn_vec_hit *want,
                       size_t want_n)
{
    T_EQ_I(n, want_n);
    for (size_t i = 0; i < n; i++) {
        T_EQ_I(got[i].doc, want[i].doc);
        T_EQ_I(qn_float_bits(got[i].value), qn_float_bits(want[i].value));
    }
}

static qn_vec_hit all[DOCS_MAX], hits[DOCS_MAX + 10];

void test_flat_search(void **state)
{
    (void)state;
    static const size_t ks[] = {0, 1, 10, 100, DOCS_MAX + 10};
    qn_error err = {0};
    for (size_t r = 0; r < ROWS; r++) {
        t_vectors v = open_row(r);
        qn_rng rng = {r + 100};
        for (size_t run = 0; run < sizeof ks / sizeof *ks; run++) {
            float query[DIMS_MAX];
            random_vector(r, &rng, query);
            qn_vindex_query q = {.vector = query, .dims = rows[r].dims, .k = ks[run]};
            size_t total = sorted_values(r, &v, &q, all), n = 0;
            T_EQ_I(total, rows[r].docs / rows[r].every);
            for (size_t i = 0; i < total; i++) {
                const float *vector = vectors[all[i].doc];
                T_NEAR(all[i].value, naive(rows[r].metric, query, vector, rows[r].dims),
                       tolerance(r, query, vector));
            }
            T_CALL(qn_vindex_search(v.index, &q, hits, &n, &err), &err);
            check_hits(hits, n, all, q.k < total ? q.k : total);
        }
        t_vectors_close(&v);
    }
}

/* Filters that let through nothing, little, much and all. */
void test_flat_filter(void **state)
{
    (void)state;
    static const unsigned percent[] = {0, 1, 10, 60, 100};
    static uint64_t accept[(DOCS_MAX + 63) / 64];
    qn_error err = {0};
    for (size_t r = 0; r < ROWS; r++) {
        t_vectors v = open_row(r);
        qn_rng rng = {r + 200};
        for (size_t run = 0; run < sizeof percent / sizeof *percent; run++) {
            float query[DIMS_MAX];
            random_vector(r, &rng, query);
            memset(accept, 0, sizeof accept);
            for (uint32_t d = 0; d < rows[r].docs; d++)
                if (qn_rng_next(&rng) % 100 < percent[run]) qn_bitset_add(accept, d);
            qn_vindex_query q = {
                .vector = query, .dims = rows[r].dims, .k = 20, .accept = accept};
            size_t total = sorted_values(r, &v, &q, all), n = 0;
            T_CALL(qn_vindex_search(v.index, &q, hits, &n, &err), &err);
            check_hits(hits, n, all, q.k < total ? q.k : total);
        }
        t_vectors_close(&v);
    }
}

/* The threshold itself is let through, the next worse value is not. */
void test_flat_threshold(void **state)
{
    (void)state;
    qn_error err = {0};
    for (size_t r = 0; r < ROWS; r++) {
        t_vectors v = open_row(r);
        qn_rng rng = {r + 300};
        float query[DIMS_MAX];
        random_vector(r, &rng, query);
        qn_vindex_query q = {.vector = query,
                             .dims = rows[r].dims,
                             .k = DOCS_MAX,
                             .has_threshold = true};
        size_t total = sorted_values(r, &v, &q, all);
        static const size_t cuts[] = {0, 1, 17};
        for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++) {
            size_t want = cuts[c] + 1, n = 0;
            q.threshold = all[cuts[c]].value;
            while (want < total && all[want].value == q.threshold) want++;
            T_CALL(qn_vindex_search(v.index, &q, hits, &n, &err), &err);
            check_hits(hits, n, all, want);
            q.k = 5;
            T_CALL(qn_vindex_search(v.index, &q, hits, &n, &err), &err);
            check_hits(hits, n, all, want < 5 ? want : 5);
            q.k = DOCS_MAX;
        }
        t_vectors_close(&v);
    }
}

void test_flat_ties(void **state)
{
    (void)state;
    qn_error err = {0};
    const qn_flat_options o = {2, QN_VINDEX_L2, QN_VINDEX_F32, false};
    qn_flat_builder *b = NULL;
    t_vectors v;
    T_CALL(qn_flat_builder_create(qn_alloc_heap(), &o, NULL, &b, &err), &err);
    for (uint32_t d = 0; d < 30; d++) {
        const float vector[] = {d % 3 == 0 ? 1.0f : 2.0f, 0};
        T_CALL(qn_flat_builder_add(b, d, vector, 2, &err), &err);
    }
    T_CALL(t_vectors_open(qn_alloc_heap(), b, 30, &v, &err), &err);
    const float query[] = {1, 0};
    qn_vindex_query q = {.vector = query, .dims = 2, .k = 14};
    size_t n = 0;
    T_CALL(qn_vindex_search(v.index, &q, hits, &n, &err), &err);
    static const uint32_t want[] = {0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 1, 2, 4, 5};
    T_EQ_I(n, 14);
    for (size_t i = 0; i < n; i++) T_EQ_I(hits[i].doc, want[i]);
    t_vectors_close(&v);
    qn_flat_builder_destroy(b);
}

/* Vectors come back as they were given, up to the precision kept. */
void test_flat_vectors(void **state)
{
    (void)state;
    for (size_t r = 0; r < ROWS; r++) {
        t_vectors v = open_row(r);
        for (uint32_t d = 0; d < rows[r].docs; d++) {
            float got[DIMS_MAX];
            T_EQ_I(qn_vindex_vector(v.index, d, got), has_vector(r, d));
            if (!has_vector(r, d)) continue;
            double most = 0, part = 4 * (double)FLT_EPSILON;
            for (uint32_t i = 0; i < rows[r].dims; i++)
                most = fmax(most, fabs((double)vectors[d][i]));
            if (rows[r].raw || (rows[r].element == QN_VINDEX_F32 &&
                                rows[r].metric != QN_VINDEX_COSINE))
                part = 0;
            else if (rows[r].element == QN_VINDEX_I8)
                part = 0.501 / 127;
            for (uint32_t i = 0; i < rows[r].dims; i++)
                T_NEAR(got[i], vectors[d][i], most * part);
        }
        T_OK(!qn_vindex_vector(v.index, rows[r].docs + 5, vectors[0]));
        t_vectors_close(&v);
    }
}

void test_flat_refusals(void **state)
{
    (void)state;
    qn_error err = {0};
    qn_alloc *a = qn_alloc_heap();
    qn_flat_builder *b = NULL;
    qn_flat_options o = {2, QN_VINDEX_COSINE, QN_VINDEX_F32, false};
    T_ROW("dimensions");
    T_EQ_I(qn_flat_builder_create(a, &(qn_flat_options){.dims = 0}, NULL, &b, &err),
           QN_EDIMS);
    T_EQ_I(qn_flat_builder_create(a, &(qn_flat_options){.dims = QN_VINDEX_DIMS_MAX + 1},
                                  NULL, &b, &err),
           QN_EDIMS);
    T_CALL(qn_flat_builder_create(a, &(qn_flat_options){.dims = QN_VINDEX_DIMS_MAX},
                                  NULL, &b, &err),
           &err);
    qn_flat_builder_destroy(b);
    T_ROW("raw floats");
    T_EQ_I(qn_flat_builder_create(a, &(qn_flat_options){.dims = 2, .raw = true}, NULL,
                                  &b, &err),
           QN_EINVAL);
    T_ROW("vectors");
    T_CALL(qn_flat_builder_create(a, &o, NULL, &b, &err), &err);
    const float good[] = {3, 4}, zero[] = {0, 0}, bad[] = {1, NAN},
                inf[] = {INFINITY, 0};
    T_EQ_I(qn_flat_builder_add(b, 0, good, 3, &err), QN_EDIMS);
    T_EQ_I(qn_flat_builder_add(b, 0, zero, 2, &err), QN_EINVAL);
    T_EQ_I(qn_flat_builder_add(b, 0, bad, 2, &err), QN_EINVAL);
    T_EQ_I(qn_flat_builder_add(b, 0, inf, 2, &err), QN_EINVAL);
    T_CALL(qn_flat_builder_add(b, 5, good, 2, &err), &err);
    T_EQ_I(qn_flat_builder_add(b, 5, good, 2, &err), QN_EINVAL);
    T_EQ_I(qn_flat_builder_add(b, 4, good, 2, &err), QN_EINVAL);
    T_EQ_I(qn_flat_builder_count(b), 1);
    t_vectors v;
    T_EQ_I(t_vectors_open(a, b, 5, &v, &err), QN_EINVAL);
    T_CALL(t_vectors_open(a, b, 6, &v, &err), &err);
    T_ROW("queries");
    size_t n = 0;
    qn_vindex_query q = {.vector = good, .dims = 3, .k = 1};
    T_EQ_I(qn_vindex_search(v.index, &q, hits, &n, &err), QN_EDIMS);
    q = (qn_vindex_query){.vector = zero, .dims = 2, .k = 1};
    T_EQ_I(qn_vindex_search(v.index, &q, hits, &n, &err), QN_EINVAL);
    q.vector = bad;
    T_EQ_I(qn_vindex_search(v.index, &q, hits, &n, &err), QN_EINVAL);
    q.vector = good;
    T_CALL(qn_vindex_search(v.index, &q, hits, &n, &err), &err);
    T_EQ_I(n, 1);
    T_EQ_I(hits[0].doc, 5);
    T_NEAR(hits[0].value, 1, 1e-6);
    qn_vindex *none = NULL;
    T_EQ_I(qn_vindex_open(a, v.file, T_FIELD + 1, &none, &err), QN_ENOTFOUND);
    t_vectors_close(&v);
    qn_flat_builder_destroy(b);
    T_ROW("bytes");
    o = (qn_flat_options){2, QN_VINDEX_DOT, QN_VINDEX_I8, true};
    T_CALL(qn_flat_builder_create(a, &o, NULL, &b, &err), &err);
    const float half[] = {0.5f, 1}, big[] = {128, 1}, edge[] = {-128, 127};
    T_EQ_I(qn_flat_builder_add(b, 0, half, 2, &err), QN_EINVAL);
    T_EQ_I(qn_flat_builder_add(b, 0, big, 2, &err), QN_EINVAL);
    T_CALL(qn_flat_builder_add(b, 0, edge, 2, &err), &err);
    T_CALL(t_vectors_open(a, b, 1, &v, &err), &err);
    q = (qn_vindex_query){.vector = half, .dims = 2, .k = 1};
    T_EQ_I(qn_vindex_search(v.index, &q, hits, &n, &err), QN_EINVAL);
    t_vectors_close(&v);
    qn_flat_builder_destroy(b);
}

void test_flat_deadline(void **state)
{
    (void)state;
    qn_error err = {0};
    t_vectors v = open_row(0);
    atomic_bool cancelled = true;
    const qn_deadline gone = {.at_ns = 1}, given_up = {.cancelled = &cancelled};
    size_t n = 1;
    qn_vindex_query q = {
        .vector = vectors[0], .dims = rows[0].dims, .k = 5, .deadline = &gone};
    T_EQ_I(qn_vindex_search(v.index, &q, hits, &n, &err), QN_ETIMEOUT);
    T_EQ_I(n, 0);
    q.deadline = &given_up;
    T_EQ_I(qn_vindex_search(v.index, &q, hits, &n, &err), QN_ECANCELLED);
    cancelled = false;
    T_CALL(qn_vindex_search(v.index, &q, hits, &n, &err), &err);
    T_EQ_I(hits[0].doc, 0);
    t_vectors_close(&v);
}

/* ---- damage and memory ------------------------------------------------------------------ */

static qn_status build_few(qn_alloc *a, qn_flat_builder **b, qn_error *err)
{
    const qn_flat_options o = {3, QN_VINDEX_COSINE, QN_VINDEX_I8, false};
    QN_TRY(qn_flat_builder_create(a, &o, NULL, b, err));
    for (uint32_t d = 0; d < 5; d++) {
        const float vector[] = {1, (float)d, -2};
        qn_status st = qn_flat_builder_add(*b, 2 * d, vector, 3, err);
        if (st == QN_OK) continue;
        qn_flat_builder_destroy(*b);
        *b = NULL;
        return st;
    }
    return QN_OK;
}

void test_flat_bit_flips(void **state)
{
    (void)state;
    qn_alloc *a = qn_alloc_heap();
    qn_error err = {0};
    qn_flat_builder *b = NULL;
    qn_blockfile_writer *w = NULL;
    T_CALL(build_few(a, &b, &err), &err);
    T_CALL(qn_blockfile_writer_create(a, NULL, "QNTEST\0", 0, &w, &err), &err);
    T_CALL(qn_flat_builder_write(b, T_FIELD, 20, w, &err), &err);
    T_CALL(qn_blockfile_finish(w, false, &err), &err);
    size_t n = 0;
    uint8_t *bytes = qn_blockfile_writer_take(w, &n);
    qn_blockfile_writer_destroy(w);
    for (size_t i = 0; i <= n; i++) { /* the last turn flips nothing */
        char name[64];
        snprintf(name, sizeof name, "byte %zu of %zu", i, n);
        T_ROW(name);
        uint8_t none = 0, bit = (uint8_t)(1u << (i % 8)),
                *at = i < n ? bytes + i : &none;
        t_vectors v = {0};
        *at ^= bit;
        qn_status st = qn_blockfile_open_memory(a, bytes, n, false, "flipped",
                                                "QNTEST\0", 0, &v.file, &err);
        if (st == QN_OK) st = qn_vindex_open(a, v.file, T_FIELD, &v.index, &err);
        t_vectors_close(&v);
        *at ^= bit;
        T_OK(i == n ? st == QN_OK : st == QN_ECORRUPT || st == QN_EVERSION);
    }
    qn_delete_aligned(a, bytes);
    qn_flat_builder_destroy(b);
}

void test_flat_no_memory(void **state)
{
    (void)state;
    for (long nth = 1;; nth++) {
        char name[32];
        snprintf(name, sizeof name, "allocation %ld", nth);
        T_ROW(name);
        qn_alloc a = {.fail_countdown = nth};
        qn_error err = {0};
        qn_flat_builder *b = NULL;
        t_vectors v = {0};
        qn_status st = build_few(&a, &b, &err);
        if (st == QN_OK) st = t_vectors_open(&a, b, 20, &v, &err);
        t_vectors_close(&v);
        qn_flat_builder_destroy(b);
        T_EQ_I(a.live_bytes, 0);
        if (st == QN_OK) {
            T_OK(nth > 5);
            break;
        }
        T_EQ_I(st, QN_ENOMEM);
    }
}

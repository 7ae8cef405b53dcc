/* SPDX-License-Identifier: Apache-2.0 */
/* What quantising to int8 costs: how many of the true ten nearest are still found, on
 * clustered vectors as embeddings are, for each metric. */
#include "test_vec.h"

#include <math.h>

enum { DOCS = 4000, DIMS = 96, CLUSTERS = 40, QUERIES = 50, K = 10 };

static const struct {
    const char *name;
    qn_vindex_metric metric;
    double floor; /* measured: 0.966, 0.988, 0.974 */
} rows[] = {
    {"l2", QN_VINDEX_L2, 0.95},
    {"dot", QN_VINDEX_DOT, 0.95},
    {"cosine", QN_VINDEX_COSINE, 0.95},
};

static float centres[CLUSTERS][DIMS];

static void clustered(qn_rng *rng, float *out)
{
    const float *centre = centres[qn_rng_next(rng) % CLUSTERS];
    for (int i = 0; i < DIMS; i++) out[i] = centre[i] + 0.5f * t_normal(rng);
}

static t_vectors build(qn_vindex_metric metric, qn_vindex_element element)
{
    qn_error err = {0};
    qn_rng rng = {11};
    const qn_flat_options o = {DIMS, metric, element, false};
    qn_flat_builder *b = NULL;
    t_vectors v;
    T_CALL(qn_flat_builder_create(qn_alloc_heap(), &o, NULL, &b, &err), &err);
    for (int c = 0; c < CLUSTERS; c++)
        for (int i = 0; i < DIMS; i++) centres[c][i] = t_normal(&rng);
    for (uint32_t d = 0; d < DOCS; d++) {
        float vector[DIMS];
        clustered(&rng, vector);
        T_CALL(qn_flat_builder_add(b, d, vector, DIMS, &err), &err);
    }
    T_CALL(t_vectors_open(qn_alloc_heap(), b, DOCS, &v, &err), &err);
    qn_flat_builder_destroy(b);
    return v;
}

static size_t common(const qn_vec_hit *a, const qn_vec_hit *b)
{
    size_t n = 0;
    for (int i = 0; i < K; i++)
        for (int j = 0; j < K; j++) n += a[i].doc == b[j].doc;
    return n;
}

void test_flat_recall(void **state)
{
    (void)state;
    qn_error err = {0};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        T_ROW(rows[r].name);
        t_vectors exact = build(rows[r].metric, QN_VINDEX_F32);
        t_vectors small = build(rows[r].metric, QN_VINDEX_I8);
        qn_rng rng = {r + 5};
        size_t found = 0;
        for (int i = 0; i < QUERIES; i++) {
            float query[DIMS];
            qn_vec_hit want[K], got[K];
            size_t n = 0;
            clustered(&rng, query);
            qn_vindex_query q = {.vector = query, .dims = DIMS, .k = K};
            T_CALL(qn_vindex_search(exact.index, &q, want, &n, &err), &err);
            T_EQ_I(n, K);
            T_CALL(qn_vindex_search(small.index, &q, got, &n, &err), &err);
            found += common(want, got);
        }
        double recall = (double)found / (QUERIES * K);
        print_message("recall of int8, %s: %.3f\n", rows[r].name, recall);
        T_OK(recall >= rows[r].floor);
        t_vectors_close(&exact);
        t_vectors_close(&small);
    }
}

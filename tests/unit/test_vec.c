/* SPDX-License-Identifier: Apache-2.0 */
#include "test_vec.h"

#include <math.h>
#include <stdlib.h>

qn_status t_vectors_open(qn_alloc *a, const qn_flat_builder *b, uint32_t doc_count,
                         t_vectors *out, qn_error *err)
{
    qn_blockfile_writer *w = NULL;
    uint8_t *bytes = NULL;
    size_t n = 0;
    *out = (t_vectors){0};
    qn_status st = qn_blockfile_writer_create(a, NULL, "QNTEST\0", 0, &w, err);
    if (st == QN_OK) st = qn_flat_builder_write(b, T_FIELD, doc_count, w, err);
    if (st == QN_OK) st = qn_blockfile_finish(w, false, err);
    if (st == QN_OK) bytes = qn_blockfile_writer_take(w, &n);
    qn_blockfile_writer_destroy(w);
    if (st != QN_OK) return st;
    st = qn_blockfile_open_memory(a, bytes, n, true, "image", "QNTEST\0", 0, &out->file,
                                  err);
    if (st != QN_OK) qn_delete_aligned(a, bytes);
    if (st == QN_OK) st = qn_vindex_open(a, out->file, T_FIELD, &out->index, err);
    if (st != QN_OK) t_vectors_close(out);
    return st;
}

void t_vectors_close(t_vectors *v)
{
    qn_vindex_close(v->index);
    qn_blockfile_close(v->file);
    *v = (t_vectors){0};
}

float t_normal(qn_rng *rng)
{
    double sum = -6;
    for (int i = 0; i < 12; i++) sum += qn_rng_unit(rng);
    return (float)sum;
}

/* ---- the best k ----------------------------------------------------------------------- */

static int compare_hits(const void *a, const void *b)
{
    const qn_vec_hit *x = a, *y = b;
    if (x->value != y->value) return x->value > y->value ? -1 : 1;
    return (x->doc > y->doc) - (x->doc < y->doc);
}

void test_top(void **state)
{
    (void)state;
    enum { N = 200 };
    static const size_t ks[] = {0, 1, 2, 3, 7, 10, 199, 200, 1000};
    qn_rng rng = {3};
    for (size_t run = 0; run < 200; run++) {
        size_t k = ks[run % (sizeof ks / sizeof *ks)];
        char name[32];
        snprintf(name, sizeof name, "run %zu, k %zu", run, k);
        T_ROW(name);
        qn_vec_hit all[N], got[1000];
        qn_top top;
        qn_top_init(&top, got, k, -INFINITY);
        for (uint32_t i = 0; i < N; i++) { /* few distinct values: many ties */
            all[i] = (qn_vec_hit){i, (float)(qn_rng_next(&rng) % 20)};
            qn_top_offer(&top, i, all[i].value);
            qn_top_offer(&top, 5, NAN);
        }
        qsort(all, N, sizeof *all, compare_hits);
        size_t n = qn_top_finish(&top);
        T_EQ_I(n, k < N ? k : N);
        for (size_t i = 0; i < n; i++) {
            T_EQ_I(got[i].doc, all[i].doc);
            T_OK(got[i].value == all[i].value);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_top),
        cmocka_unit_test(test_flat_search),
        cmocka_unit_test(test_flat_filter),
        cmocka_unit_test(test_flat_threshold),
        cmocka_unit_test(test_flat_ties),
        cmocka_unit_test(test_flat_vectors),
        cmocka_unit_test(test_flat_refusals),
        cmocka_unit_test(test_flat_deadline),
        cmocka_unit_test(test_flat_bit_flips),
        cmocka_unit_test(test_flat_no_memory),
        cmocka_unit_test(test_flat_recall),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "../qn_test.h"

#include "rank/metrics.h"

/* Values worked out by hand from the definitions in metrics.h. */
static void test_metrics(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int ranked[6];
        size_t n;
        int judged[4];
        size_t judged_count;
        double want;
    } rows[] = {
        {"ndcg@10", {1, 0, 1}, 3, {1, 1}, 2, (1 + 0.5) / (1 + 0.6309297535714574)},
        {"ndcg@1", {0, 2}, 2, {2}, 1, 0},
        {"ndcg@2",
         {1, 2},
         2,
         {1, 2},
         2,
         (1 + 2 * 0.6309297535714574) / (2 + 0.6309297535714574)},
        {"mrr@10", {0, 0, 1}, 3, {1}, 1, 1.0 / 3},
        {"mrr@2", {0, 0, 1}, 3, {1}, 1, 0},
        {"mrr", {0, 0, 0, 0, 1}, 5, {1}, 1, 0.2},
        {"recall@2", {1, 0, 1}, 3, {1, 1, 0, 1}, 4, 1.0 / 3},
        {"recall@100", {1, 0, 1}, 3, {1, 1, 1}, 3, 2.0 / 3},
        {"map", {1, 0, 1}, 3, {1, 1, 1}, 3, (1.0 + 2.0 / 3) / 3},
        {"precision@5", {1, 0, 1}, 3, {1, 1, 1}, 3, 0.4},
        {"map", {0, 0}, 2, {0}, 1, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_metric m;
        qn_error err = {0};
        int judged[4];
        memcpy(judged, rows[i].judged, sizeof judged);
        T_CALL(qn_metric_parse(qn_slice_of(rows[i].name), &m, &err), &err);
        T_NEAR(qn_metric_compute(m, rows[i].ranked, rows[i].n, judged,
                                 rows[i].judged_count),
               rows[i].want, 1e-12);
    }
}

static void test_unknown_metrics_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"ndcg", "ndcg@0", "ndcg@x",
                                      "",     "map@-1", "bleu@4"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        T_ROW(bad[i]);
        qn_metric m;
        T_EQ_I(qn_metric_parse(qn_slice_of(bad[i]), &m, NULL), QN_EINVAL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_unknown_metrics_are_refused),
    };
    return cmocka_run_group_tests_name("rank metrics", tests, NULL, NULL);
}

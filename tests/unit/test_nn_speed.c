/* SPDX-License-Identifier: Apache-2.0 */
/* The measured speed: what is learned from which run, and what is guessed. */
#include "../qn_test.h"

#include "nn/calls/speed.h"

enum { US = 1000, MS = 1000 * US };

static void test_learning(void **state)
{
    (void)state;
    qn_speed s = {0};
    const uint32_t one[] = {0, 100}; /* the class up to 128 */
    T_ROW("nothing is known");
    T_OK(!qn_speed_known(&s));
    T_EQ_I(qn_speed_estimate(&s, one, 1), 0);
    T_ROW("a run that was cut short at the start teaches nothing");
    qn_speed_learn(&s, one, 1, MS, false, 1);
    T_OK(!qn_speed_known(&s));
    T_ROW("the first run is believed");
    qn_speed_learn(&s, one, 1, 10 * MS, true, 2);
    T_EQ_I(qn_speed_estimate(&s, one, 1), 10 * MS);
    T_ROW("a quarter of bad news");
    qn_speed_learn(&s, one, 1, 14 * MS, true, 3);
    T_EQ_I(qn_speed_estimate(&s, one, 1), 11 * MS);
    T_ROW("half of good news");
    qn_speed_learn(&s, one, 1, 9 * MS, true, 4);
    T_EQ_I(qn_speed_estimate(&s, one, 1), 10 * MS);
    T_ROW("cut short before the estimate: it says nothing");
    qn_speed_learn(&s, one, 1, MS, false, 5);
    T_EQ_I(qn_speed_estimate(&s, one, 1), 10 * MS);
    T_ROW("cut short after it: it would have taken longer");
    qn_speed_learn(&s, one, 1, 14 * MS, false, 6);
    T_EQ_I(qn_speed_estimate(&s, one, 1), 11 * MS);
    T_ROW("doubt");
    qn_speed_doubt(&s);
    T_EQ_I(qn_speed_estimate(&s, one, 1) / US, 11 * 875);
    T_EQ_I(atomic_load(&s.learned_ns), 6);
}

static void test_classes(void **state)
{
    (void)state;
    qn_speed s = {0};
    const uint32_t small[] = {0, 32, 64}, large[] = {0, 512}, both[] = {0, 32, 544};
    qn_speed_learn(&s, small, 2, 64 * US, true, 1); /* 1 us a token */
    T_ROW("a class that was not measured: an eighth more for each step up");
    T_EQ_I(qn_speed_tokens(&s, 512, 512), 512 * US * 12 / 8);
    qn_speed_learn(&s, large, 1, 1024 * US, true, 2); /* 2 us a token */
    T_ROW("once measured, it has its own figure");
    T_EQ_I(qn_speed_estimate(&s, large, 1), 1024 * US);
    T_EQ_I(qn_speed_estimate(&s, small, 2), 64 * US);
    T_EQ_I(qn_speed_estimate(&s, both, 2), (32 + 1024) * US);
    T_ROW("a class down is the nearest one up");
    qn_speed t = {0};
    qn_speed_learn(&t, large, 1, 1024 * US, true, 1);
    T_EQ_I(qn_speed_estimate(&t, small, 2), 128 * US);
    T_ROW("a mixed run moves both by the same share");
    qn_speed_learn(&s, both, 2, 2 * (32 + 1024) * US, true, 3);
    T_EQ_I(qn_speed_estimate(&s, large, 1), 1280 * US);
    T_EQ_I(qn_speed_estimate(&s, small, 2), 80 * US);
    T_ROW("lengths of the classes");
    T_EQ_I(qn_speed_class_length(0), 32);
    T_EQ_I(qn_speed_class_length(4), 512);
    T_EQ_I(qn_speed_class_length(5), 0);
    T_ROW("a sum that would overflow is long");
    T_OK(qn_speed_tokens(&s, UINT64_MAX, 512) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_learning),
        cmocka_unit_test(test_classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

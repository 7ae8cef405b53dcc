/* SPDX-License-Identifier: Apache-2.0 */
/* How many allocations: the filter, the thresholds, the way to nothing and back; and a
 * simulated deployment under load that comes and goes. No clock anywhere. */
#include "../qn_test.h"

#include "base/clock.h"
#include "engine/models/allocations.h"

#include <math.h>

static void test_filter(void **state)
{
    (void)state;
    qn_estimate e = {0};
    T_ROW("the first value is believed");
    qn_estimate_add(&e, 10.0, 4.0, false, false);
    T_NEAR(e.value, 10.0, 0.0);
    T_NEAR(e.variance, 4.0, 0.0);
    T_ROW("the second one too: drift is its square. gain = (4+144)/(4+144+4)");
    qn_estimate_add(&e, 12.0, 4.0, false, false);
    double gain = (4.0 + 144.0) / (4.0 + 144.0 + 4.0);
    T_NEAR(e.value, 10.0 + gain * 2.0, 1e-12);
    T_NEAR(e.variance, (1.0 - gain) * 148.0, 1e-12);
    T_ROW("then drift is a hundredth of the variance");
    double value = e.value, before = e.variance + 0.04;
    gain = before / (before + 4.0);
    qn_estimate_add(&e, 11.0, 4.0, false, false);
    T_NEAR(e.value, value + gain * (11.0 - value), 1e-12);
    T_ROW("bounds are one deviation off, the lower one not below zero");
    T_NEAR(qn_estimate_upper(&e) - e.value, sqrt(e.variance), 1e-12);
    qn_estimate small = {.value = 1.0, .variance = 9.0, .known = true};
    T_NEAR(qn_estimate_lower(&small), 0.0, 0.0);
}

static void test_filter_noise(void **state)
{
    (void)state;
    qn_rng rng = {7};
    qn_estimate e = {0};
    T_ROW("noise is averaged away");
    for (int i = 0; i < 400; i++)
        qn_estimate_add(&e, 50.0 + 20.0 * (qn_rng_unit(&rng) - 0.5), 33.0, false, true);
    T_NEAR(e.value, 50.0, 2.5);
    T_OK(e.variance < 5.0);
    T_ROW("a jump of over ten deviations is believed at once");
    qn_estimate_add(&e, 500.0, 33.0, false, true);
    T_NEAR(e.value, 500.0, 1.0);
    T_ROW("without detection it is not");
    qn_estimate slow = {.value = 50.0, .variance = 1.0, .known = true};
    qn_estimate_add(&slow, 500.0, 33.0, false, false);
    T_OK(slow.value < 80.0);
}

/* Ten seconds with `rate` items a second of `item_ms` each, as far as they can be done. */
static qn_allocation_sample tick(double rate, double item_ms, unsigned threads)
{
    double asked = rate * 10.0, busy = asked * item_ms / 1000.0;
    double can = 10.0 * (double)threads;
    double done = busy > can && busy > 0.0 ? asked * can / busy : asked;
    return (qn_allocation_sample){
        .seconds = 10.0,
        .asked = (uint64_t)asked,
        .done = (uint64_t)done,
        .busy_seconds = (double)(uint64_t)done * item_ms / 1000.0,
    };
}

static void test_load(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double rate, item_ms;
        unsigned min, max, threads, begin, want;
    } rows[] = {
        {"nearly nothing", 1, 10, 1, 10, 1, 4, 1},
        {"half a thread", 50, 10, 1, 10, 1, 1, 1},
        {"three and a half threads", 350, 10, 1, 10, 1, 1, 4},
        {"the same with two threads each", 350, 10, 1, 10, 2, 1, 2},
        {"over the limit", 5000, 10, 1, 10, 1, 1, 10},
        {"no limit is 32", 50000, 10, 1, 0, 1, 1, 32},
        {"not under min", 1, 10, 3, 10, 1, 5, 3},
        {"fewer when it falls", 100, 10, 1, 10, 1, 8, 2},
        {"slow items", 1.5, 1000, 1, 10, 1, 1, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_allocation_rule rule = {rows[i].min, rows[i].max, rows[i].threads, 900.0};
        qn_allocations a = {.count = rows[i].begin};
        for (int k = 0; k < 300; k++) {
            qn_allocation_sample s =
                tick(rows[i].rate, rows[i].item_ms, a.count * rows[i].threads);
            (void)qn_allocations_step(&a, &rule, &s);
        }
        T_EQ_I(a.count, rows[i].want);
    }
}

static void test_to_zero(void **state)
{
    (void)state;
    qn_allocation_rule rule = {0, 4, 1, 900.0};
    qn_allocations a = {.count = 1};
    qn_allocation_sample some = tick(10, 10, 1), none = tick(0, 10, 1);
    T_ROW("fifteen minutes without a request");
    (void)qn_allocations_step(&a, &rule, &some);
    for (int i = 0; i < 89; i++) T_EQ_I(qn_allocations_step(&a, &rule, &none), 1);
    T_EQ_I(qn_allocations_step(&a, &rule, &none), 0);
    T_EQ_I(qn_allocations_step(&a, &rule, &none), 0);
    T_ROW("and back when somebody asks");
    qn_allocations_wake(&a, &rule);
    T_EQ_I(a.count, 1);
    T_EQ_I(qn_allocations_step(&a, &rule, &some), 1);
    T_ROW("a request starts the time anew");
    for (int i = 0; i < 89; i++) (void)qn_allocations_step(&a, &rule, &none);
    (void)qn_allocations_step(&a, &rule, &some);
    T_EQ_I(qn_allocations_step(&a, &rule, &none), 1);
    T_ROW("never when min is 1");
    rule.min = 1;
    for (int i = 0; i < 500; i++) T_EQ_I(qn_allocations_step(&a, &rule, &none), 1);
    T_ROW("an empty interval changes nothing");
    qn_allocation_sample empty = {0};
    T_EQ_I(qn_allocations_step(&a, &rule, &empty), 1);
}

/* Whatever is measured, the count stays within its bounds and estimates stay numbers. */
static void test_any(void **state)
{
    (void)state;
    qn_rng rng = {11};
    T_ROW("random measurements");
    for (int run = 0; run < 200; run++) {
        qn_allocation_rule rule = {(unsigned)(qn_rng_next(&rng) % 3), 0, 1, 30.0};
        rule.max = rule.min + 1 + (unsigned)(qn_rng_next(&rng) % 8);
        rule.threads = 1 + (unsigned)(qn_rng_next(&rng) % 3);
        qn_allocations a = {.count = rule.min == 0 ? 1 : rule.min};
        for (int i = 0; i < 100; i++) {
            qn_allocation_sample s = {.seconds = 10.0 * qn_rng_unit(&rng)};
            if (qn_rng_next(&rng) % 4 != 0) s.asked = qn_rng_next(&rng) % 10000;
            s.done = s.asked == 0 ? 0 : qn_rng_next(&rng) % (s.asked + 1);
            s.busy_seconds = 100.0 * qn_rng_unit(&rng);
            unsigned n = qn_allocations_step(&a, &rule, &s);
            T_OK(n <= rule.max && (n >= rule.min));
            T_OK(isfinite(a.rate.value) && a.rate.variance >= 0.0);
            T_OK(!a.time.known || (isfinite(a.time.value) && a.time.variance >= 0.0));
            if (n == 0) qn_allocations_wake(&a, &rule);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filter), cmocka_unit_test(test_filter_noise),
        cmocka_unit_test(test_load),   cmocka_unit_test(test_to_zero),
        cmocka_unit_test(test_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

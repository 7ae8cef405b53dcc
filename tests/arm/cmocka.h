/* SPDX-License-Identifier: Apache-2.0 */
/* cmocka.h -- as much of the library as the tests of num/ need, for a machine that is
 * emulated and has no packages: the first failure ends the program with 1. */
#ifndef QN_ARM_CMOCKA_H
#define QN_ARM_CMOCKA_H

#include <stdio.h>
#include <stdlib.h>

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};

#define cmocka_unit_test(f)                                                            \
    {                                                                                  \
#f, f                                                                          \
    }
#define print_message printf
#define print_error printf
#define fail() exit(1)
#define skip() return
#define assert_int_equal(a, b) ((a) == (b) ? (void)0 : exit(1))
#define assert_non_null(p) ((p) != NULL ? (void)0 : exit(1))

static inline int cmocka_run_all(const struct CMUnitTest *tests, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        void *state = NULL;
        (void)printf("%s\n", tests[i].name);
        (void)fflush(stdout);
        tests[i].run(&state);
    }
    return 0;
}
#define cmocka_run_group_tests_name(name, tests, setup, teardown)                      \
    cmocka_run_all(tests, sizeof tests / sizeof *tests)

#endif

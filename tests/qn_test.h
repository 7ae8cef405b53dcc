/* SPDX-License-Identifier: Apache-2.0 */
/* qn_test.h -- what every test includes: cmocka, and checks that name the row of the
 * table that failed, with what was got and what was wanted. */
#ifndef QN_TEST_H
#define QN_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The row under test, printed in every failure that follows. */
static const char *qn_test_row = "";
#define T_ROW(name) (qn_test_row = (name))

#define T_FAIL(...)                                                                    \
    do {                                                                               \
        print_error("row '%s': ", qn_test_row);                                        \
        print_error(__VA_ARGS__);                                                      \
        print_error("\n");                                                             \
        fail();                                                                        \
    } while (0)
#define T_OK(cond)                                                                     \
    do {                                                                               \
        if (!(cond)) T_FAIL("%s:%d: not true: %s", __FILE__, __LINE__, #cond);         \
    } while (0)
#define T_EQ_I(got, want)                                                              \
    do {                                                                               \
        long long t_g_ = (long long)(got), t_w_ = (long long)(want);                   \
        if (t_g_ != t_w_)                                                              \
            T_FAIL("%s:%d: %s: got %lld, want %lld", __FILE__, __LINE__, #got, t_g_,   \
                   t_w_);                                                              \
    } while (0)
#define T_EQ_S(got, want)                                                              \
    do {                                                                               \
        const char *t_g_ = (got), *t_w_ = (want);                                      \
        if (strcmp(t_g_, t_w_) != 0)                                                   \
            T_FAIL("%s:%d: %s: got \"%s\", want \"%s\"", __FILE__, __LINE__, #got,     \
                   t_g_, t_w_);                                                        \
    } while (0)
#define T_NEAR(got, want, tol)                                                         \
    do {                                                                               \
        double t_g_ = (double)(got), t_w_ = (double)(want), t_d_ = t_g_ - t_w_;        \
        if (!((t_d_ < 0 ? -t_d_ : t_d_) <= (double)(tol)))                             \
            T_FAIL("%s:%d: %s: got %.9g, want %.9g", __FILE__, __LINE__, #got, t_g_,   \
                   t_w_);                                                              \
    } while (0)
/* A call that must succeed; prints what the error says. */
#define T_CALL(call, err)                                                              \
    do {                                                                               \
        if ((call) != 0)                                                               \
            T_FAIL("%s:%d: %s: %s", __FILE__, __LINE__, #call, (err)->text);           \
    } while (0)

#endif

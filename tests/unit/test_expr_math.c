/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of math.def: near the truth by the stated bounds, right at the edges, and
 * the same bits from every kernel set. */
#include "expr_test.h"

#include "expr/expr_internal.h"

#include "base/clock.h"

#include <float.h>
#include <math.h>

enum { SAMPLES = 20000, EDGE_COUNT = 16 };

static double uniform(qn_rng *rng, double low, double high)
{
    return low + (high - low) * qn_rng_unit(rng);
}

/* Any positive double, all exponents alike. */
static double any_positive(qn_rng *rng)
{
    double m = 1 + qn_rng_unit(rng);
    return ldexp(m, (int)(qn_rng_next(rng) % 2046) - 1074);
}

static double ulps_off(double got, long double want)
{
    double nearest = (double)want;
    if (got == nearest || (isnan(got) && isnan(nearest))) return 0;
    if (!isfinite(got) || !isfinite(nearest)) return (double)INFINITY;
    double next = nextafter(fabs(nearest), (double)INFINITY);
    double ulp = isfinite(next) ? next - fabs(nearest) : DBL_MAX * DBL_EPSILON;
    return (double)(fabsl((long double)got - want) / (long double)ulp);
}

static long double sigmoid_l(long double x)
{
    return 1 / (1 + expl(-x));
}

static const struct {
    const char *name;
    qn_expr__math_id id;
    long double (*truth)(long double);
    double low, high; /* low == high: any positive number */
    double bound;
} unary[] = {
    {"ln", QN_MATH_ln, logl, 0, 0, 1},
    {"ln near 1", QN_MATH_ln, logl, 0.5, 2, 1},
    {"log2", QN_MATH_log2, log2l, 0, 0, 1},
    {"log2 near 1", QN_MATH_log2, log2l, 0.5, 2, 1},
    {"log10", QN_MATH_log10, log10l, 0, 0, 1},
    {"log10 near 1", QN_MATH_log10, log10l, 0.5, 2, 1},
    {"exp", QN_MATH_exp, expl, -750, 710, 1},
    {"exp near 0", QN_MATH_exp, expl, -1, 1, 1},
    {"sigmoid", QN_MATH_sigmoid, sigmoid_l, -30, 30, 2},
    {"sin", QN_MATH_sin, sinl, -10, 10, 1},
    {"sin far", QN_MATH_sin, sinl, -1e6, 1e6, 1},
    {"cos", QN_MATH_cos, cosl, -10, 10, 1},
    {"cos far", QN_MATH_cos, cosl, -1e6, 1e6, 1},
    {"tan", QN_MATH_tan, tanl, -100, 100, 2.5},
    {"atan", QN_MATH_atan, atanl, -5, 5, 1},
    {"atan far", QN_MATH_atan, atanl, 0, 0, 1},
    {"asin", QN_MATH_asin, asinl, -1, 1, 1},
    {"acos", QN_MATH_acos, acosl, -1, 1, 1},
};

void test_expr_math_bounds(void **state)
{
    (void)state;
    qn_rng rng = {5};
    for (size_t r = 0; r < sizeof unary / sizeof *unary; r++) {
        T_ROW(unary[r].name);
        double worst = 0;
        for (size_t i = 0; i < SAMPLES; i++) {
            double x = unary[r].low == unary[r].high
                           ? any_positive(&rng)
                           : uniform(&rng, unary[r].low, unary[r].high);
            double off =
                ulps_off(qn_expr__math_eval(unary[r].id, &x), unary[r].truth(x));
            worst = off > worst ? off : worst;
            if (off > unary[r].bound)
                T_FAIL("%.17g: %g units of the last place off", x, off);
        }
        T_OK(worst > 0 || unary[r].bound == 0); /* something was compared */
    }
}

void test_expr_math_pow(void **state)
{
    (void)state;
    qn_rng rng = {6};
    static const struct {
        const char *name;
        double low_x, high_x, low_y, high_y;
    } rows[] = {
        {"small", 0.01, 100, -10, 10},
        {"near 1, far", 0.999, 1.001, -1e5, 1e5},
        {"wide", 0, 0, -1, 1},
        {"over and under", 1, 1e10, -40, 40},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        T_ROW(rows[r].name);
        for (size_t i = 0; i < SAMPLES; i++) {
            double x = rows[r].low_x == rows[r].high_x
                           ? any_positive(&rng)
                           : uniform(&rng, rows[r].low_x, rows[r].high_x);
            double y = uniform(&rng, rows[r].low_y, rows[r].high_y);
            double got = qn_expr__math_eval(QN_MATH_pow, (double[]){x, y});
            double off = ulps_off(got, powl(x, y));
            if (off > 1) T_FAIL("pow(%.17g, %.17g): %g off", x, y, off);
        }
    }
}

static const double edges[EDGE_COUNT] = {
    0,       -0.0,      1,       -1,       0.5,    -2,        3,     5e-324,
    -5e-324, 0x1p-1022, DBL_MAX, -DBL_MAX, 0x1p53, -0x1.8p10, 1e300, 1e6};

static bool same_number(double a, double b)
{
    return isnan(a) ? isnan(b) : memcmp(&a, &b, sizeof a) == 0;
}

/* Where the answer is 0, an infinity, NaN or a whole number, it is exactly that. */
void test_expr_math_edges(void **state)
{
    (void)state;
    double inf = (double)INFINITY, nan = (double)NAN;
    const struct {
        const char *name;
        qn_expr__math_id id;
        double x, y, want;
    } rows[] = {
        {"ln(0)", QN_MATH_ln, 0, 0, -inf},
        {"ln(-0)", QN_MATH_ln, -0.0, 0, -inf},
        {"ln(-1)", QN_MATH_ln, -1, 0, nan},
        {"ln(inf)", QN_MATH_ln, inf, 0, inf},
        {"ln(nan)", QN_MATH_ln, nan, 0, nan},
        {"ln(1)", QN_MATH_ln, 1, 0, 0},
        {"log2(8)", QN_MATH_log2, 8, 0, 3},
        {"log2 of the least", QN_MATH_log2, 5e-324, 0, -1074},
        {"log10(1000)", QN_MATH_log10, 1000, 0, 3},
        {"log10(1e22)", QN_MATH_log10, 1e22, 0, 22},
        {"exp(0)", QN_MATH_exp, 0, 0, 1},
        {"exp(-inf)", QN_MATH_exp, -inf, 0, 0},
        {"exp(inf)", QN_MATH_exp, inf, 0, inf},
        {"exp(1000)", QN_MATH_exp, 1000, 0, inf},
        {"exp(nan)", QN_MATH_exp, nan, 0, nan},
        {"pow(2,10)", QN_MATH_pow, 2, 10, 1024},
        {"pow(-2,3)", QN_MATH_pow, -2, 3, -8},
        {"pow(-2,2)", QN_MATH_pow, -2, 2, 4},
        {"pow(-2,0.5)", QN_MATH_pow, -2, 0.5, nan},
        {"pow(0,0)", QN_MATH_pow, 0, 0, 1},
        {"pow(0,-1)", QN_MATH_pow, 0, -1, inf},
        {"pow(-0,-1)", QN_MATH_pow, -0.0, -1, -inf},
        {"pow(-0,3)", QN_MATH_pow, -0.0, 3, -0.0},
        {"pow(1,nan)", QN_MATH_pow, 1, nan, nan},
        {"pow(nan,0)", QN_MATH_pow, nan, 0, nan},
        {"pow(inf,-1)", QN_MATH_pow, inf, -1, 0},
        {"pow(-inf,3)", QN_MATH_pow, -inf, 3, -inf},
        {"pow(-inf,0.5)", QN_MATH_pow, -inf, 0.5, inf},
        {"pow(-1,inf)", QN_MATH_pow, -1, inf, 1},
        {"pow(0.5,inf)", QN_MATH_pow, 0.5, inf, 0},
        {"pow(0.5,-inf)", QN_MATH_pow, 0.5, -inf, inf},
        {"pow(10,308)", QN_MATH_pow, 10, 308, 1e308},
        {"pow(2,-1074)", QN_MATH_pow, 2, -1074, 5e-324},
        {"sin(-0)", QN_MATH_sin, -0.0, 0, -0.0},
        {"sin(inf)", QN_MATH_sin, inf, 0, nan},
        {"cos(0)", QN_MATH_cos, 0, 0, 1},
        {"asin(2)", QN_MATH_asin, 2, 0, nan},
        {"asin(-1)", QN_MATH_asin, -1, 0, -1.5707963267948966},
        {"acos(1)", QN_MATH_acos, 1, 0, 0},
        {"acos(-1)", QN_MATH_acos, -1, 0, 3.141592653589793},
        {"atan(inf)", QN_MATH_atan, inf, 0, 1.5707963267948966},
        {"atan(-0)", QN_MATH_atan, -0.0, 0, -0.0},
        {"floor(-0.5)", QN_MATH_floor, -0.5, 0, -1},
        {"ceil(-0.5)", QN_MATH_ceil, -0.5, 0, -0.0},
        {"sigmoid(-1000)", QN_MATH_sigmoid, -1000, 0, 0},
    };
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        T_ROW(rows[r].name);
        double got = qn_expr__math_eval(rows[r].id, (double[]){rows[r].x, rows[r].y});
        if (!same_number(got, rows[r].want))
            T_FAIL("got %.17g, want %.17g", got, rows[r].want);
    }
}

/* Beyond the range of the vector code <math.h> serves: the same bits as it gives. */
void test_expr_math_beyond(void **state)
{
    (void)state;
    static const double far[] = {1.0000001e6, 1e15, -1e300};
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        T_OK(qn_expr__math_eval(QN_MATH_sin, &far[i]) == sin(far[i]));
        T_OK(qn_expr__math_eval(QN_MATH_cos, &far[i]) == cos(far[i]));
        T_OK(qn_expr__math_eval(QN_MATH_tan, &far[i]) == tan(far[i]));
    }
}

void test_expr_math_sets(void **state)
{
    (void)state;
    enum { N = 256 };
    static _Alignas(64) double columns[QN_EXPR__MATH_ARGS_MAX][N], want[N], got[N];
    qn_rng rng = {7};
    for (size_t f = 0; f < QN_MATH_COUNT; f++) {
        T_ROW(qn_expr__maths[f].name);
        const double *args[QN_EXPR__MATH_ARGS_MAX];
        for (size_t k = 0; k < QN_EXPR__MATH_ARGS_MAX; k++) {
            args[k] = columns[k];
            for (size_t i = 0; i < N; i++) {
                uint64_t r = qn_rng_next(&rng);
                columns[k][i] = r % 3 == 0   ? edges[r / 3 % EDGE_COUNT]
                                : r % 3 == 1 ? uniform(&rng, -100, 100)
                                             : any_positive(&rng);
            }
        }
        qn_expr__kernels_base.calls[f](N, want, args);
        for (size_t s = 0; qn_expr__kernels_at(s) != NULL; s++) {
            qn_expr__kernels_at(s)->calls[f](N, got, args);
            for (size_t i = 0; i < N; i++)
                if (!same_number(got[i], want[i]))
                    T_FAIL("%s, lane %zu: %.17g, want %.17g",
                           qn_expr__kernels_at(s)->name, i, got[i], want[i]);
        }
    }
}

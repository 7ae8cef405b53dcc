/* SPDX-License-Identifier: Apache-2.0 */
/* Every kernel set against `scalar`: int8 to the bit, f32 within a bound derived from
 * the rounding of each step. All lengths 0..131, pointers off by one element when the
 * length is odd, and a guard behind every output. */
#include "base/alloc.h"
#include "num_test.h"

#include <stdlib.h>

enum { N_MAX = 131, SPACE = N_MAX + 8, ROWS = 5 };
static const double EPS = (double)FLT_EPSILON; /* twice the rounding of one step */
static const float GUARD = -12345.0f;

static double dot_mass(const float *a, const float *b, size_t n)
{
    double mass = 0;
    for (size_t i = 0; i < n; i++) mass += fabs((double)a[i] * (double)b[i]);
    return mass;
}

static void check_dot_f32(const qn_kernels *k)
{
    qn_rng r = {7};
    float a[SPACE], v[ROWS * SPACE], got[ROWS + 1], l2[ROWS + 1];
    for (size_t n = 0; n <= N_MAX; n++) {
        NUM_ROW(k, "dot and l2, n = %zu", n);
        const float *x = a + n % 2, *y = v + n % 2;
        num_fill(&r, a, SPACE, 2);
        num_fill(&r, v, ROWS * SPACE, 2);
        got[ROWS] = l2[ROWS] = GUARD;
        k->dot_f32_rows(x, y, ROWS, n, got);
        k->l2_f32_rows(x, y, ROWS, n, l2);
        for (size_t row = 0; row < ROWS; row++) {
            const float *w = y + row * n;
            double tol = (double)(n + 1) * EPS * dot_mass(x, w, n);
            T_NEAR(k->dot_f32(x, w, n), num_scalar()->dot_f32(x, w, n), tol);
            double want = (double)num_scalar()->l2_f32(x, w, n);
            T_NEAR(k->l2_f32(x, w, n), want, (double)(n + 4) * EPS * want);
            T_OK(got[row] == k->dot_f32(w, x, n));
            T_OK(l2[row] == k->l2_f32(w, x, n));
        }
        T_OK(got[ROWS] == GUARD && l2[ROWS] == GUARD);
    }
}

static void check_dot_i8(const qn_kernels *k)
{
    enum { RANDOM, LOW_LOW, HIGH_LOW, LOW_HIGH, KINDS };
    qn_rng r = {8};
    int8_t a[SPACE], v[ROWS * SPACE];
    int32_t got[ROWS + 1], l2[ROWS + 1];
    for (size_t n = 0; n <= N_MAX; n++) {
        for (int kind = RANDOM; kind < KINDS; kind++) {
            NUM_ROW(k, "int8 kind %d, n = %zu", kind, n);
            const int8_t *x = a + n % 2, *y = v + n % 2;
            num_fill_i8(&r, a, SPACE, -128);
            num_fill_i8(&r, v, ROWS * SPACE, -128);
            if (kind != RANDOM) {
                memset(a, kind == HIGH_LOW ? 127 : -128, sizeof a);
                memset(v, kind == LOW_HIGH ? 127 : -128, sizeof v);
            }
            got[ROWS] = l2[ROWS] = 77;
            k->dot_i8_rows(x, y, ROWS, n, got);
            k->l2_i8_rows(x, y, ROWS, n, l2);
            for (size_t row = 0; row < ROWS; row++) {
                const int8_t *w = y + row * n;
                T_EQ_I(k->dot_i8(x, w, n), num_scalar()->dot_i8(x, w, n));
                T_EQ_I(k->l2_i8(x, w, n), num_scalar()->l2_i8(x, w, n));
                T_EQ_I(got[row], num_scalar()->dot_i8(x, w, n));
                T_EQ_I(l2[row], num_scalar()->l2_i8(x, w, n));
            }
            T_OK(got[ROWS] == 77 && l2[ROWS] == 77);
        }
    }
}

/* The ends that kernels.h promises: the largest sums that still fit. */
static void check_i8_limits(const qn_kernels *k)
{
    enum { DOT_MAX = 65536, L2_MAX = 32768 };
    static int8_t low[DOT_MAX], high[DOT_MAX];
    memset(low, -128, sizeof low);
    memset(high, 127, sizeof high);
    NUM_ROW(k, "int8 at the limits");
    int32_t got = 0;
    T_EQ_I(k->dot_i8(low, low, DOT_MAX), 16384 * DOT_MAX);
    T_EQ_I(k->dot_i8(low, high, DOT_MAX), -16256 * DOT_MAX);
    k->dot_i8_rows(low, low, 1, DOT_MAX, &got);
    T_EQ_I(got, 16384 * DOT_MAX);
    k->dot_i8_rows(high, high, 1, DOT_MAX, &got);
    T_EQ_I(got, 16129 * DOT_MAX);
    T_EQ_I(k->l2_i8(low, high, L2_MAX), 65025 * L2_MAX);
    k->l2_i8_rows(low, high, 1, L2_MAX, &got);
    T_EQ_I(got, 65025 * L2_MAX);
}

static bool same_bits(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static void check_quantize(const qn_kernels *k)
{
    qn_rng r = {9};
    static const struct {
        const char *name;
        double most;
        float plant; /* at the middle */
    } rows[] = {
        {"plain", 3, 0},
        {"huge", 3e38, 0},
        {"small", 1e-25, 0},
        {"below tiny", 1e-31, 0},
        {"denormal", 1e-40, 0},
        {"zero", 0, 0},
        {"NaN", 3, NAN},
        {"infinity", 3, INFINITY},
        {"-infinity", 3, -INFINITY},
        {"outlier", 0.01, 100.0f},
        {"halves", 0, 127.0f},
    };
    float x[SPACE];
    int8_t got[SPACE], want[SPACE];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t n = 1; n <= N_MAX; n++) {
            NUM_ROW(k, "quantize %s, n = %zu", rows[i].name, n);
            float *v = x + n % 2;
            num_fill(&r, x, SPACE, rows[i].most);
            if (strcmp(rows[i].name, "halves") == 0)
                for (size_t j = 0; j < n; j++) v[j] = (float)(j % 120) - 60.5f;
            if (rows[i].plant != 0) v[n / 2] = rows[i].plant;
            memset(got, 99, sizeof got);
            float s = k->quantize_i8(v, n, got + n % 2);
            float want_s = num_scalar()->quantize_i8(v, n, want);
            T_OK(same_bits(s, want_s));
            T_OK(memcmp(got + n % 2, want, n) == 0);
            T_OK(got[n % 2 + n] == 99);
            if (s > 0)
                for (size_t j = 0; j < n; j++)
                    T_NEAR((double)want[j] * (double)s, v[j], (double)s * 0.50001);
        }
    }
}

static void check_softmax(const qn_kernels *k)
{
    qn_rng r = {10};
    static const double spreads[] = {1, 30, 200};
    float x[SPACE], got[SPACE], want[SPACE];
    for (size_t i = 0; i < sizeof spreads / sizeof *spreads; i++) {
        for (size_t n = 1; n <= N_MAX; n++) {
            NUM_ROW(k, "softmax, spread %g, n = %zu", spreads[i], n);
            num_fill(&r, x, SPACE, spreads[i]);
            if (n > 3) x[n % 2 + n / 2] = -INFINITY;
            memcpy(got, x, sizeof x);
            memcpy(want, x, sizeof x);
            got[n % 2 + n] = GUARD;
            k->softmax(got + n % 2, n);
            num_scalar()->softmax(want + n % 2, n);
            for (size_t j = n % 2; j < n % 2 + n; j++) {
                /* x - max is rounded, the exponential is good to 2 steps, the sum and
                 * the division to n + 2; results below the normal numbers may be 0. */
                double rounding = EPS * (2 * spreads[i] + 4 + (double)n);
                T_NEAR(got[j], want[j],
                       rounding * (double)want[j] + 2.0 * (double)FLT_MIN);
            }
            T_OK(got[n % 2 + n] == GUARD);
        }
    }
}

static void check_layer_norm(const qn_kernels *k)
{
    qn_rng r = {11};
    static const float epsilons[] = {1e-12f, 1e-7f, 1e-5f};
    float x[SPACE], gamma[SPACE], beta[SPACE], got[SPACE], want[SPACE];
    for (size_t n = 2; n <= N_MAX; n++) {
        float eps = epsilons[n % 3];
        NUM_ROW(k, "layer norm, n = %zu", n);
        const size_t o = n % 2;
        num_fill(&r, x, SPACE, 4);
        num_fill(&r, gamma, SPACE, 2);
        num_fill(&r, beta, SPACE, 1);
        for (size_t j = 0; j < SPACE; j++) x[j] += 1.5f;
        got[o + n] = GUARD;
        k->layer_norm(x + o, gamma + o, beta + o, eps, n, got + o);
        num_scalar()->layer_norm(x + o, gamma + o, beta + o, eps, n, want + o);
        double mean = 0, var = (double)eps, most = 0;
        for (size_t j = o; j < o + n; j++) mean += (double)x[j] / (double)n;
        for (size_t j = o; j < o + n; j++) {
            var += pow((double)x[j] - mean, 2) / (double)n;
            most = fmax(most, fabs((double)x[j]));
        }
        for (size_t j = o; j < o + n; j++) {
            /* The mean is a sum of n terms; what it is off by reaches y through 1 / sd.
             * The variance adds a relative error, beta one last rounding. */
            double shift =
                (double)(n + 2) * EPS * most / sqrt(var) * fabs((double)gamma[j]);
            double part = fabs((double)want[j] - (double)beta[j]);
            double tol = shift + (double)(n + 8) * EPS * part + EPS * 2;
            T_NEAR(got[j], want[j], tol);
        }
        T_OK(got[o + n] == GUARD);
        float bare[SPACE], zeros[SPACE] = {0};
        k->layer_norm(x + o, gamma + o, NULL, eps, n, bare + o);
        k->layer_norm(x + o, gamma + o, zeros, eps, n, want + o);
        T_OK(memcmp(bare + o, want + o, n * sizeof *x) == 0);
        k->layer_norm(x + o, gamma + o, beta + o, eps, n, x + o); /* out may be x */
        T_OK(memcmp(x + o, got + o, n * sizeof *x) == 0);
    }
}

static void check_gelu_tanh(const qn_kernels *k)
{
    enum { STEPS = 40000 };
    static float x[STEPS], g[STEPS], t[STEPS], want[STEPS];
    for (size_t i = 0; i < STEPS; i++) x[i] = (float)i * 1e-3f - 20.0f;
    for (size_t i = 0; i < 200; i++)
        x[i] = (i % 2 ? -1.0f : 1.0f) * powf(10, -(float)i / 6);
    x[200] = 1e30f, x[201] = -1e30f, x[202] = 100, x[203] = -100, x[204] = -0.0f;
    x[205] = NAN;
    memcpy(g, x, sizeof x);
    memcpy(t, x, sizeof x);
    memcpy(want, x, sizeof x);
    k->gelu(g, STEPS);
    k->tanh(t, STEPS);
    num_scalar()->gelu(want, STEPS);
    for (size_t i = 0; i < STEPS; i++) {
        NUM_ROW(k, "x = %.9g", (double)x[i]);
        if (isnan(x[i])) {
            T_OK(isnan(g[i]) && isnan(t[i]));
            continue;
        }
        T_NEAR(g[i], want[i], 1e-6 * fmax(1, fabs((double)x[i])));
        double th = tanh((double)x[i]);
        T_NEAR(t[i], th, 6 * EPS * fabs(th));
    }
    static const qn_pointwise others[] = {QN_POINTWISE_GELU_TANH, QN_POINTWISE_SILU,
                                          QN_POINTWISE_RELU};
    for (size_t f = 0; f < sizeof others / sizeof *others; f++) {
        memcpy(g, x, sizeof x);
        memcpy(want, x, sizeof x);
        qn_pointwise_apply(k, others[f], g, STEPS);
        qn_pointwise_apply(num_scalar(), others[f], want, STEPS);
        for (size_t i = 0; i < STEPS; i++) {
            NUM_ROW(k, "activation %d, x = %.9g", (int)others[f], (double)x[i]);
            T_OK(isnan(x[i]) == isnan(g[i]));
            if (!isnan(x[i])) T_NEAR(g[i], want[i], 1e-6 * fmax(1, fabs((double)x[i])));
        }
    }
}

/* An element's bits do not depend on its place, nor on how many there are. */
static void check_place(const qn_kernels *k)
{
    qn_rng r = {12};
    float x[SPACE], all[SPACE], part[SPACE];
    num_fill(&r, x, SPACE, 4);
    for (qn_pointwise f = QN_POINTWISE_NONE; f <= QN_POINTWISE_TANH; f++) {
        memcpy(all, x, sizeof x);
        qn_pointwise_apply(k, f, all, SPACE);
        for (size_t from = 0; from < 20; from++) {
            for (size_t n = 0; n <= 40; n++) {
                NUM_ROW(k, "activation %d, %zu elements from %zu", (int)f, n, from);
                memcpy(part, x, sizeof x);
                qn_pointwise_apply(k, f, part + from, n);
                T_OK(memcmp(part + from, all + from, n * sizeof *x) == 0);
                T_OK(part[from + n] == x[from + n]);
            }
        }
    }
}

static void check_rotate(const qn_kernels *k)
{
    enum { COUNT = 3 };
    qn_rng r = {16};
    float x[COUNT * 2 * SPACE + 1], got[COUNT * 2 * SPACE + 1], c[SPACE], s[SPACE];
    for (size_t half = 1; half <= N_MAX; half++) {
        NUM_ROW(k, "rotate, half = %zu", half);
        size_t n = COUNT * 2 * half;
        num_fill(&r, x, sizeof x / sizeof *x, 3);
        for (size_t i = 0; i < half; i++) {
            double angle = qn_rng_unit(&r) * 6;
            c[i] = (float)cos(angle);
            s[i] = (float)sin(angle);
        }
        memcpy(got, x, sizeof x);
        got[n] = GUARD;
        k->rotate(got, c, s, half, COUNT);
        for (size_t v = 0; v < COUNT; v++) {
            for (size_t i = 0; i < half; i++) {
                float a = x[v * 2 * half + i], b = x[v * 2 * half + half + i];
                float p = a * c[i], q = b * s[i], t = b * c[i], u = a * s[i];
                T_OK(got[v * 2 * half + i] == p - q);
                T_OK(got[v * 2 * half + half + i] == t + u);
            }
        }
        T_OK(got[n] == GUARD);
    }
}

static void check_add_axpy(const qn_kernels *k)
{
    qn_rng r = {13};
    float x[SPACE], y[SPACE], got[SPACE], want[SPACE];
    for (size_t n = 0; n <= N_MAX; n++) {
        NUM_ROW(k, "add and axpy, n = %zu", n);
        const size_t o = n % 2;
        num_fill(&r, x, SPACE, 2);
        num_fill(&r, y, SPACE, 2);
        memcpy(got, y, sizeof y);
        memcpy(want, y, sizeof y);
        k->add(got + o, x + o, n);
        num_scalar()->add(want + o, x + o, n);
        T_OK(memcmp(got, want, sizeof got) == 0);
        memcpy(got, y, sizeof y);
        k->axpy(-1.7f, x + o, got + o, n);
        for (size_t j = o; j < o + n; j++) {
            double product = -(double)1.7f * (double)x[j];
            T_NEAR(got[j], product + (double)y[j],
                   EPS * (fabs(product) + fabs((double)y[j])));
        }
        T_OK(memcmp(got + o + n, y + o + n, (SPACE - o - n) * sizeof *y) == 0);
    }
}

static void check_mul_center(const qn_kernels *k)
{
    qn_rng r = {14};
    float x[SPACE], y[SPACE], got[SPACE], want[SPACE];
    for (size_t n = 0; n <= N_MAX; n++) {
        NUM_ROW(k, "mul and center, n = %zu", n);
        const size_t o = n % 2;
        num_fill(&r, x, SPACE, 2);
        num_fill(&r, y, SPACE, 2);
        memcpy(got, x, sizeof x);
        memcpy(want, x, sizeof x);
        k->mul(got + o, y + o, got + o, n);
        num_scalar()->mul(want + o, y + o, want + o, n);
        T_OK(memcmp(got, want, sizeof got) == 0);
        float middle = k->center(got + o, n);
        T_OK(middle == num_scalar()->center(want + o, n));
        T_OK(memcmp(got, want, sizeof got) == 0);
        float most = 0.0f, least = 0.0f;
        for (size_t j = o; j < o + n; j++) {
            most = fmaxf(most, got[j]);
            least = fminf(least, got[j]);
        }
        T_NEAR(most, -least, 1e-5); /* the middle is in the middle */
    }
}

/* Every width, counts around whole words; memory ends where it is said to. */
static void check_match_packed(const qn_kernels *k)
{
    enum { NUMBERS_MAX = 600 };
    static const size_t counts[] = {1, 7, 63, 64, 65, 127, 128, 500, 512, 600};
    qn_rng r = {15};
    for (unsigned bits = 0; bits <= 64; bits++) {
        if (bits > 56 && bits < 64) continue;
        NUM_ROW(k, "match_packed, %u bits", bits);
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            size_t n = counts[c], words = (n * bits + 63) / 64 + 1;
            uint64_t *data = qn_new_array(qn_alloc_heap(), words, sizeof *data);
            uint64_t got[NUMBERS_MAX / 64 + 1], want[NUMBERS_MAX / 64 + 1];
            uint64_t mask = bits == 0 ? 0 : UINT64_MAX >> (64 - bits);
            for (size_t i = 0; i + 1 < words; i++) data[i] = qn_rng_next(&r);
            for (int q = 0; q < 6; q++) {
                uint64_t low = qn_rng_next(&r) & mask, span = qn_rng_next(&r) & mask;
                if (q == 0) span = UINT64_MAX;
                if (q == 1) low = mask + 1;
                if (q == 2) span = 0;
                const uint8_t *bytes = (const uint8_t *)data;
                k->match_packed(bytes, bits, n, low, span, got);
                num_scalar()->match_packed(bytes, bits, n, low, span, want);
                T_OK(memcmp(got, want, (n + 63) / 64 * 8) == 0);
                for (size_t i = 0; i < n; i++) {
                    uint64_t at = i * bits, v = 0;
                    for (unsigned b = 0; b < bits; b++)
                        v |= (data[(at + b) / 64] >> ((at + b) % 64) & 1) << b;
                    T_OK(((want[i / 64] >> (i % 64)) & 1) ==
                         (v >= low && v - low <= span));
                }
            }
            qn_delete(qn_alloc_heap(), data);
        }
    }
}

#define EACH_SET(name)                                                                 \
    static void test_##name(void **state)                                              \
    {                                                                                  \
        (void)state;                                                                   \
        num_each_set(check_##name);                                                    \
    }
EACH_SET(dot_f32)
EACH_SET(dot_i8)
EACH_SET(i8_limits)
EACH_SET(quantize)
EACH_SET(softmax)
EACH_SET(layer_norm)
EACH_SET(gelu_tanh)
EACH_SET(place)
EACH_SET(add_axpy)
EACH_SET(mul_center)
EACH_SET(rotate)
EACH_SET(match_packed)

static void test_choice(void **state)
{
    (void)state;
    assert_int_equal(setenv("QUERN_KERNELS", "scalar", 1), 0);
    T_EQ_S(qn_kernels_best()->name, "scalar");
    assert_int_equal(setenv("QUERN_KERNELS", "no-such-set", 1), 0);
    const qn_kernels *best = qn_kernels_best();
    T_OK(best->usable());
    assert_int_equal(unsetenv("QUERN_KERNELS"), 0);
    T_OK(qn_kernels_best() == best);
    T_OK(qn_kernels_find(best->name) == best);
    T_OK(qn_kernels_find("no-such-set") == NULL);
    T_OK(qn_kernels_find("scalar") == num_scalar());
    print_message("best: %s\n", best->name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choice),     cmocka_unit_test(test_dot_f32),
        cmocka_unit_test(test_dot_i8),     cmocka_unit_test(test_i8_limits),
        cmocka_unit_test(test_quantize),   cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_layer_norm), cmocka_unit_test(test_gelu_tanh),
        cmocka_unit_test(test_place),      cmocka_unit_test(test_add_axpy),
        cmocka_unit_test(test_mul_center), cmocka_unit_test(test_match_packed),
        cmocka_unit_test(test_rotate),
    };
    return cmocka_run_group_tests_name("kernels", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Attention of one head against plain loops in double, on every kernel set: lengths
 * around blocks and tiles, windows, the two terms with positions in every mixture; the
 * first rows alone have the same bits; deadlines. And the kernels it rests on. */
#include "num_test.h"

#include "base/alloc.h"
#include "num/attention.h"

static const double EPS = (double)FLT_EPSILON;

enum { SPAN = 20, POSITIONS = 2 * SPAN, PAD = 5 };

static float *room(size_t n)
{
    float *p = qn_new_aligned(qn_alloc_heap(), 64, (n == 0 ? 1 : n) * sizeof *p);
    assert_non_null(p);
    return p;
}

static void give(void *p)
{
    qn_delete_aligned(qn_alloc_heap(), p);
}

typedef struct head {
    const char *name;
    size_t d, keys, window;
    bool c2p, p2c;
    int32_t run; /* distances that share a position, or, below 0, positions skipped */
} head;

static const head heads[] = {
    {"one token", 8, 1, 0, false, false, 1},
    {"one token, positions", 8, 1, 0, true, true, 1},
    {"two", 3, 2, 0, true, true, 1},
    {"a block less one", 32, 29, 0, false, false, 1},
    {"a block", 32, 32, 0, true, true, 3},
    {"past a block", 64, 33, 0, true, false, 3},
    {"keys alone", 64, 47, 0, false, true, 2},
    {"both", 64, 128, 0, true, true, 7},
    {"both, odd", 65, 131, 0, true, true, 7},
    {"positions skipped", 16, 9, 0, true, true, -2},
    {"long", 32, 300, 0, false, false, 1},
    {"window", 64, 200, 9, false, false, 1},
    {"window of one", 16, 40, 1, false, false, 1},
    {"window and positions", 24, 150, 33, true, true, 8},
    {"window past the ends", 24, 50, 400, true, true, 3},
};
enum { HEADS = sizeof heads / sizeof *heads };

/* One call with its operands, filled at random. */
typedef struct problem {
    head h;
    float *qkv, *rows_k, *rows_q, *PK, *PQ, *out, *scratch;
    int32_t *index; /* the middle of a table */
    int32_t table[2 * 400];
    qn_attention a;
} problem;

static int32_t position(const head *h, ptrdiff_t distance)
{
    ptrdiff_t p = h->run > 0 ? distance / h->run : distance * -h->run;
    if (p < -SPAN) p = -SPAN;
    if (p > SPAN - 1) p = SPAN - 1;
    return (int32_t)(p + SPAN);
}

static void problem_init(problem *p, const qn_kernels *k, const head *h, uint64_t seed)
{
    qn_rng r = {seed};
    size_t ld = 3 * h->d + PAD, stride = qn_attention_stride(POSITIONS);
    *p = (problem){.h = *h};
    p->qkv = room(h->keys * ld);
    p->rows_k = room(POSITIONS * h->d);
    p->rows_q = room(POSITIONS * h->d);
    p->PK = room(stride * h->d);
    p->PQ = room(stride * h->d);
    p->out = room(h->keys * (h->d + PAD));
    p->scratch = room(qn_attention_scratch(k, h->d, h->keys, POSITIONS));
    num_fill(&r, p->qkv, h->keys * ld, 2);
    num_fill(&r, p->rows_k, POSITIONS * h->d, 1);
    num_fill(&r, p->rows_q, POSITIONS * h->d, 1);
    num_fill(&r, p->out, h->keys * (h->d + PAD), 3);
    qn_attention_turn(k, p->rows_k, POSITIONS, h->d, p->PK);
    qn_attention_turn(k, p->rows_q, POSITIONS, h->d, p->PQ);
    p->index = p->table + 400;
    for (ptrdiff_t t = 1 - (ptrdiff_t)h->keys; t < (ptrdiff_t)h->keys; t++)
        p->index[t] = position(h, t);
    p->a = (qn_attention){.kernels = k,
                          .d = h->d,
                          .keys = h->keys,
                          .queries = h->keys,
                          .window = h->window,
                          .alpha = 0.11f,
                          .Q = p->qkv,
                          .K = p->qkv + h->d,
                          .V = p->qkv + 2 * h->d,
                          .ldq = ld,
                          .ldkv = ld,
                          .relative = {.PK = h->c2p ? p->PK : NULL,
                                       .PQ = h->p2c ? p->PQ : NULL,
                                       .ld = stride,
                                       .index = p->index},
                          .out = p->out,
                          .ldo = h->d + PAD};
}

static void problem_deinit(problem *p)
{
    float *all[] = {p->qkv, p->rows_k, p->rows_q, p->PK, p->PQ, p->out, p->scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) give(all[i]);
}

static double dot(const float *x, const float *y, size_t n, double *mass)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)x[i] * (double)y[i];
        *mass += fabs((double)x[i] * (double)y[i]);
    }
    return sum;
}

/* The meaning, and how far off it may be: a score by the rounding of its terms; a
 * probability by that, twice, relative to itself; the sum of values by its terms. */
static void check_row(const problem *p, size_t i)
{
    const qn_attention *a = &p->a;
    const head *h = &p->h;
    static double score[400];
    double most = -INFINITY, sum = 0, off = 0;
    for (size_t j = 0; j < h->keys; j++) {
        double mass = 0;
        size_t row = (size_t)position(h, (ptrdiff_t)i - (ptrdiff_t)j);
        const float *q = a->Q + i * a->ldq, *k = a->K + j * a->ldkv;
        double s = dot(q, k, h->d, &mass);
        if (h->c2p) s += dot(q, p->rows_k + row * h->d, h->d, &mass);
        if (h->p2c) s += dot(k, p->rows_q + row * h->d, h->d, &mass);
        score[j] = s * (double)a->alpha;
        if (h->window > 0 && (j + h->window < i || j > i + h->window))
            score[j] = -INFINITY;
        off = fmax(off, (double)(3 * h->d + 4) * EPS * mass * (double)a->alpha);
        most = fmax(most, score[j]);
    }
    for (size_t j = 0; j < h->keys; j++) sum += exp(score[j] - most);
    for (size_t c = 0; c < h->d; c++) {
        double want = 0, mass = 0;
        for (size_t j = 0; j < h->keys; j++) {
            double v = (double)a->V[j * a->ldkv + c] * exp(score[j] - most) / sum;
            want += v;
            mass += fabs(v);
        }
        double tol = mass * (4 * off + (double)(h->keys + 20) * EPS);
        T_NEAR(a->out[i * a->ldo + c], want, tol);
    }
}

static void check_run(const qn_kernels *k)
{
    for (size_t n = 0; n < HEADS; n++) {
        NUM_ROW(k, "%s", heads[n].name);
        problem p;
        problem_init(&p, k, &heads[n], 300 + n);
        float *before = room(p.h.keys * p.a.ldo);
        memcpy(before, p.out, p.h.keys * p.a.ldo * sizeof *before);
        T_OK(qn_attention_run(&p.a, NULL, p.scratch));
        for (size_t i = 0; i < p.h.keys; i++) {
            check_row(&p, i);
            for (size_t c = p.h.d; c < p.a.ldo; c++)
                T_OK(p.out[i * p.a.ldo + c] == before[i * p.a.ldo + c]);
        }
        give(before);
        problem_deinit(&p);
    }
}

/* The first rows alone, in other scratch. */
static void check_first(const qn_kernels *k)
{
    for (size_t n = 0; n < HEADS; n++) {
        problem p;
        problem_init(&p, k, &heads[n], 330 + n);
        float *all = room(p.h.keys * p.a.ldo);
        T_OK(qn_attention_run(&p.a, NULL, p.scratch));
        memcpy(all, p.out, p.h.keys * p.a.ldo * sizeof *all);
        static const size_t counts[] = {1, 2, 7, 9, 33};
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            if (counts[c] > p.h.keys) continue;
            NUM_ROW(k, "%s, %zu queries", heads[n].name, counts[c]);
            qn_attention a = p.a;
            a.queries = counts[c];
            memset(p.out, 0, p.h.keys * p.a.ldo * sizeof *p.out);
            T_OK(qn_attention_run(&a, NULL, p.scratch));
            for (size_t i = 0; i < counts[c]; i++)
                T_OK(memcmp(p.out + i * a.ldo, all + i * a.ldo, a.d * sizeof *all) ==
                     0);
        }
        give(all);
        problem_deinit(&p);
    }
}

static void check_deadline(const qn_kernels *k)
{
    NUM_ROW(k, "deadline");
    const head h = {"much", 64, 390, 0, false, false, 1};
    problem p;
    problem_init(&p, k, &h, 360);
    atomic_bool cancelled;
    atomic_init(&cancelled, true);
    qn_deadline never = {0}, now = {.cancelled = &cancelled};
    T_OK(qn_attention_run(&p.a, &never, p.scratch));
    T_OK(!qn_attention_run(&p.a, &now, p.scratch));
    p.a.keys = p.a.queries = 0;
    T_OK(qn_attention_run(&p.a, &now, p.scratch)); /* nothing to do */
    problem_deinit(&p);
}

/* Indices that go up or down, by 0, 1 or more a step; only what is in range is read. */
static void check_pick(const qn_kernels *k)
{
    enum { N = 70, FROM = 7 };
    qn_rng r = {370};
    float x[N * 3 + 16], y[N + 1], got[N + 1];
    int32_t index[N];
    num_fill(&r, x, sizeof x / sizeof *x, 1);
    num_fill(&r, y, N + 1, 1);
    for (int32_t most = 0; most <= 3; most++) {
        for (size_t n = 0; n <= N; n++) {
            for (int kind = 0; kind < 4; kind++) {
                bool down = (kind & 1) != 0, add = (kind & 2) != 0;
                NUM_ROW(k, "pick %zu, steps to %d, kind %d", n, (int)most, kind);
                int32_t at = FROM;
                for (size_t i = 0; i < n; i++) {
                    index[down ? n - 1 - i : i] = at;
                    at += (int32_t)(qn_rng_next(&r) % (uint64_t)(most + 1));
                }
                memcpy(got, y, sizeof y);
                k->pick(x, index, FROM, n, add, got);
                for (size_t i = 0; i < n; i++) {
                    float v = x[index[i] - FROM];
                    T_OK(got[i] == (add ? y[i] + v : v));
                }
                T_OK(got[n] == y[n]);
            }
        }
    }
}

/* softmax_sum() and scale() are softmax() in two steps. */
static void check_parts(const qn_kernels *k)
{
    enum { N = 70 };
    qn_rng r = {371};
    float x[N + 1], y[N + 1];
    for (size_t n = 1; n <= N; n++) {
        NUM_ROW(k, "softmax in two steps, n = %zu", n);
        num_fill(&r, x, N + 1, 5);
        memcpy(y, x, sizeof x);
        k->softmax(x, n);
        float sum = k->softmax_sum(y, n);
        double total = 0;
        for (size_t i = 0; i < n; i++) total += (double)y[i];
        T_NEAR(sum, total, (double)n * EPS * total);
        k->scale(y, 1.0f / sum, n);
        for (size_t i = 0; i < n; i++) T_NEAR(y[i], x[i], 3 * EPS * (double)x[i]);
        T_OK(y[n] == x[n]);
    }
}

#define EACH_SET(name)                                                                 \
    static void test_##name(void **state)                                              \
    {                                                                                  \
        (void)state;                                                                   \
        num_each_set(check_##name);                                                    \
    }
EACH_SET(run)
EACH_SET(first)
EACH_SET(deadline)
EACH_SET(pick)
EACH_SET(parts)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pick),     cmocka_unit_test(test_parts),
        cmocka_unit_test(test_run),      cmocka_unit_test(test_first),
        cmocka_unit_test(test_deadline),
    };
    return cmocka_run_group_tests_name("attention", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Attention of one head against plain loops in double, on every kernel set: lengths
 * around blocks and tiles, windows, the two terms with positions in every mixture; the
 * first rows alone have the same bits; deadlines. The same in integers, against what their
 * steps may lose; sums that fill 32 bits; what is not finite. And the kernels it rests
 * on. */
#include "num_test.h"

#include "base/alloc.h"
#include "num/attention.h"
#include "num/tiles.h"

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
    qn_gemm *PK_i8, *PQ_i8;
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
    size_t filler = qn_attention_head_rows(POSITIONS); /* a head before this one */
    float *two = room(POSITIONS * 2 * h->d);
    num_fill(&r, two, POSITIONS * 2 * h->d, 1);
    for (size_t i = 0; i < POSITIONS; i++)
        memcpy(two + (2 * i + 1) * h->d, p->rows_k + i * h->d, h->d * sizeof *two);
    assert_int_equal(QN_OK, qn_attention_pack(qn_alloc_heap(), k, two, POSITIONS,
                                              2 * h->d, h->d, &p->PK_i8, NULL));
    for (size_t i = 0; i < POSITIONS; i++)
        memcpy(two + (2 * i + 1) * h->d, p->rows_q + i * h->d, h->d * sizeof *two);
    assert_int_equal(QN_OK, qn_attention_pack(qn_alloc_heap(), k, two, POSITIONS,
                                              2 * h->d, h->d, &p->PQ_i8, NULL));
    give(two);
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
                                       .PK_i8 = h->c2p ? p->PK_i8 : NULL,
                                       .PQ_i8 = h->p2c ? p->PQ_i8 : NULL,
                                       .first = filler,
                                       .index = p->index},
                          .out = p->out,
                          .ldo = h->d + PAD};
}

static void problem_deinit(problem *p)
{
    float *all[] = {p->qkv, p->rows_k, p->rows_q, p->PK, p->PQ, p->out, p->scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) give(all[i]);
    qn_gemm_destroy(p->PK_i8);
    qn_gemm_destroy(p->PQ_i8);
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

/* How far off bytes may put x . y: each value by half a 127th of its row's largest. */
static double dot_off(const float *x, const float *y, size_t n)
{
    double most_x = 0, most_y = 0, sum_x = 0, sum_y = 0;
    for (size_t i = 0; i < n; i++) {
        most_x = fmax(most_x, fabs((double)x[i]));
        most_y = fmax(most_y, fabs((double)y[i]));
        sum_x += fabs((double)x[i]);
        sum_y += fabs((double)y[i]);
    }
    return (most_x * sum_y + most_y * sum_x + (double)n * most_x * most_y / 254) / 254;
}

/* The meaning, and how far off it may be: a score by the rounding of its terms; a
 * probability by that, twice, relative to itself; the sum of values by its terms. In
 * integers also: bytes in scores (of keys less their mean, up to twice as large), one of
 * 4095 in a probability, half a 1023rd of half a column's range in a value. */
static void check_row(const problem *p, size_t i)
{
    const qn_attention *a = &p->a;
    const head *h = &p->h;
    static double score[400];
    double most = -INFINITY, sum = 0, off = 0, bytes = 0;
    for (size_t j = 0; j < h->keys; j++) {
        double mass = 0;
        size_t row = (size_t)position(h, (ptrdiff_t)i - (ptrdiff_t)j);
        const float *q = a->Q + i * a->ldq, *k = a->K + j * a->ldkv;
        double s = dot(q, k, h->d, &mass);
        if (h->c2p) s += dot(q, p->rows_k + row * h->d, h->d, &mass);
        if (h->p2c) s += dot(k, p->rows_q + row * h->d, h->d, &mass);
        double lost = 2 * dot_off(q, k, h->d);
        if (h->c2p) lost += dot_off(q, p->rows_k + row * h->d, h->d);
        if (h->p2c) lost += dot_off(k, p->rows_q + row * h->d, h->d);
        bytes = fmax(bytes, a->integers ? lost * (double)a->alpha : 0);
        score[j] = s * (double)a->alpha;
        if (h->window > 0 && (j + h->window < i || j > i + h->window))
            score[j] = -INFINITY;
        off = fmax(off, (double)(3 * h->d + 4) * EPS * mass * (double)a->alpha);
        most = fmax(most, score[j]);
    }
    for (size_t j = 0; j < h->keys; j++) sum += exp(score[j] - most);
    for (size_t c = 0; c < h->d; c++) {
        double want = 0, mass = 0, range = 0;
        for (size_t j = 0; j < h->keys; j++) {
            range = fmax(range, fabs((double)a->V[j * a->ldkv + c]));
            double v = (double)a->V[j * a->ldkv + c] * exp(score[j] - most) / sum;
            want += v;
            mass += fabs(v);
        }
        double tol = mass * (4 * off + (double)(h->keys + 20) * EPS);
        if (a->integers) /* the middle's share moves with the probabilities' */
            tol += (mass + range) * (exp(2 * bytes) - 1) +
                   range * (1.0 / 2046 + 2.0 * (double)h->keys / QN_I16_ONE / sum);
        T_NEAR(a->out[i * a->ldo + c], want, tol);
    }
}

static void run_each(const qn_kernels *k, bool integers)
{
    for (size_t n = 0; n < HEADS; n++) {
        NUM_ROW(k, "%s%s", heads[n].name, integers ? ", integers" : "");
        problem p;
        problem_init(&p, k, &heads[n], 300 + n);
        p.a.integers = integers;
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

static void check_run(const qn_kernels *k)
{
    run_each(k, false);
    run_each(k, true);
}

/* The first rows alone, in other scratch. */
static void first_each(const qn_kernels *k, bool integers)
{
    for (size_t n = 0; n < HEADS; n++) {
        problem p;
        problem_init(&p, k, &heads[n], 330 + n);
        p.a.integers = integers;
        float *all = room(p.h.keys * p.a.ldo);
        T_OK(qn_attention_run(&p.a, NULL, p.scratch));
        memcpy(all, p.out, p.h.keys * p.a.ldo * sizeof *all);
        static const size_t counts[] = {1, 2, 7, 9, 33};
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            if (counts[c] > p.h.keys) continue;
            NUM_ROW(k, "%s, %zu queries%s", heads[n].name, counts[c],
                    integers ? ", integers" : "");
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

static void check_first(const qn_kernels *k)
{
    first_each(k, false);
    first_each(k, true);
}

static void deadline_of(const qn_kernels *k, bool integers)
{
    NUM_ROW(k, "deadline");
    const head h = {"much", 64, 390, 0, false, false, 1};
    problem p;
    problem_init(&p, k, &h, 360);
    p.a.integers = integers;
    atomic_bool cancelled;
    atomic_init(&cancelled, true);
    qn_deadline never = {0}, now = {.cancelled = &cancelled};
    T_OK(qn_attention_run(&p.a, &never, p.scratch));
    T_OK(!qn_attention_run(&p.a, &now, p.scratch));
    p.a.keys = p.a.queries = 0;
    T_OK(qn_attention_run(&p.a, &now, p.scratch)); /* nothing to do */
    problem_deinit(&p);
}

static void check_deadline(const qn_kernels *k)
{
    deadline_of(k, false);
    deadline_of(k, true);
}

/* Equal scores, the largest values of one sign: sums are as large as they become. */
static void check_full(const qn_kernels *k)
{
    enum { KEYS = 1100, D = 40 };
    NUM_ROW(k, "full sums");
    float *qkv = room(KEYS * 3 * D), *out = room(KEYS * D),
          *scratch = room(qn_attention_scratch(k, D, KEYS, 0));
    for (size_t i = 0; i < KEYS; i++)
        for (size_t c = 0; c < D; c++) {
            qkv[i * 3 * D + c] = qkv[i * 3 * D + D + c] = 1;
            qkv[i * 3 * D + 2 * D + c] = i == KEYS - 1 ? -3.0f : 5.0f;
        }
    const qn_attention a = {.kernels = k,
                            .d = D,
                            .keys = KEYS,
                            .queries = 3,
                            .alpha = 1,
                            .Q = qkv,
                            .K = qkv + D,
                            .V = qkv + 2 * D,
                            .ldq = 3 * D,
                            .ldkv = 3 * D,
                            .out = out,
                            .ldo = D,
                            .integers = true};
    T_OK(qn_attention_run(&a, NULL, scratch));
    for (size_t i = 0; i < 3 * D; i++) T_NEAR(out[i], 5.0 - 8.0 / KEYS, 1e-5);
    give(scratch);
    give(out);
    give(qkv);
}

/* A NaN or an infinity must not get lost. */
static void check_not_finite(const qn_kernels *k)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    static const char *const which[] = {"query", "key", "value"};
    for (size_t n = 0; n < 3; n++) {
        for (size_t w = 0; w < 3; w++) {
            NUM_ROW(k, "%s of %g", which[w], (double)bad[n]);
            const head h = {"", 16, 37, 0, false, false, 1};
            problem p;
            problem_init(&p, k, &h, 380);
            p.a.integers = true;
            p.qkv[20 * p.a.ldq + w * h.d + 5] = bad[n];
            T_OK(qn_attention_run(&p.a, NULL, p.scratch));
            for (size_t i = 0; i < h.keys; i++)
                for (size_t c = 0; c < h.d; c++)
                    if (w == 1 || (w == 0 && i == 20) || (w == 2 && c == 5))
                        T_OK(!isfinite(p.out[i * p.a.ldo + c]));
                    else
                        T_OK(isfinite(p.out[i * p.a.ldo + c]));
            problem_deinit(&p);
        }
    }
}

/* Against plain double, and the sum that is returned. */
static void check_probabilities(const qn_kernels *k)
{
    enum { N = 70 };
    qn_rng r = {372};
    float x[N + 16], was[N];
    int16_t p[N + 16];
    for (size_t n = 1; n <= N; n++) {
        for (double range = 0; range <= 300; range = range * 8 + 0.5) {
            NUM_ROW(k, "%zu probabilities of %g", n, range);
            num_fill(&r, x, n, range);
            memcpy(was, x, n * sizeof *x);
            memset(p, 0x55, sizeof p);
            float inverse = k->tiles_i8->i16->probabilities(x, n, p);
            float most = was[0];
            long sum = 0;
            for (size_t i = 0; i < n; i++) most = was[i] > most ? was[i] : most;
            for (size_t i = 0; i < n; i++) {
                T_NEAR(p[i], QN_I16_ONE * exp((double)was[i] - (double)most), 1.0);
                sum += p[i];
            }
            T_NEAR(inverse, 1.0 / (double)sum, EPS / (double)sum);
            for (size_t i = n; i < (n + 15) / 16 * 16; i++) T_EQ_I(p[i], 0);
        }
    }
}

/* Keys and values are quantised to the bit as the meaning has it: through products. */
static void check_tiles_i16(const qn_kernels *k)
{
    enum { KEYS = 37, D = 48, ROWS = 11 };
    qn_rng r = {373};
    float V[KEYS * D], want[ROWS * D], got[ROWS * D], scale[2][D], middle[2][D],
        row_scale[ROWS];
    int16_t a[ROWS * (KEYS + 1)] = {0};
    int16_t *b = (int16_t *)(void *)room((KEYS + 1) * D);
    num_fill(&r, V, KEYS * D, 3);
    num_fill(&r, row_scale, ROWS, 1);
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < KEYS; j++)
            a[i * (KEYS + 1) + j] = (int16_t)(qn_rng_next(&r) % (QN_I16_ONE + 1));
    for (size_t rows = 1; rows <= ROWS; rows++) {
        for (size_t cols = 1; cols <= D; cols += 5) {
            NUM_ROW(k, "i16: %zu x %zu", rows, cols);
            const qn_kernels *sets[] = {num_scalar(), k};
            float *out[] = {want, got};
            for (size_t s = 0; s < 2; s++) {
                const qn_tiles_i16 *t = sets[s]->tiles_i8->i16;
                for (size_t i = 0; i < ROWS * D; i++) out[s][i] = (float)i;
                t->values(V, D, KEYS, D, b, 2 * D, scale[s], middle[s]);
                for (size_t n = 0; n < cols; n += t->cols) {
                    qn_tile_i16 tile = {.rows = rows,
                                        .cols = cols - n < t->cols ? cols - n : t->cols,
                                        .pairs = (KEYS + 1) / 2,
                                        .a = a,
                                        .lda = KEYS + 1,
                                        .b = b + 2 * n,
                                        .ldb = 2 * D,
                                        .row_scale = row_scale,
                                        .col_scale = scale[s] + n,
                                        .bias = middle[s] + n,
                                        .add = cols % 2 == 0,
                                        .y = out[s] + n,
                                        .ldy = D};
                    t->run(&tile);
                }
            }
            T_OK(memcmp(want, got, sizeof want) == 0);
            T_OK(memcmp(scale[0], scale[1], sizeof scale[0]) == 0);
        }
    }
    give(b);
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
EACH_SET(full)
EACH_SET(not_finite)
EACH_SET(probabilities)
EACH_SET(tiles_i16)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pick),       cmocka_unit_test(test_parts),
        cmocka_unit_test(test_run),        cmocka_unit_test(test_first),
        cmocka_unit_test(test_deadline),   cmocka_unit_test(test_full),
        cmocka_unit_test(test_not_finite), cmocka_unit_test(test_probabilities),
        cmocka_unit_test(test_tiles_i16),
    };
    return cmocka_run_group_tests_name("attention", tests, NULL, NULL);
}

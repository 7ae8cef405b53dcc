/* SPDX-License-Identifier: Apache-2.0 */
/* Products against plain loops in double: f32 within the rounding of K terms, int8 to
 * the bit; and the promise that a row's bits do not depend on its batch. */
#include "num_test.h"

#include "base/alloc.h"
#include "base/pool.h"
#include "num/gemm_internal.h"

static const double EPS = (double)FLT_EPSILON;

static const struct {
    const char *name;
    size_t M, N, K;
} shapes[] = {
    {"one value", 1, 1, 1},
    {"one row", 1, 384, 384},
    {"one column", 37, 1, 65},
    {"odd", 7, 13, 17},
    {"below a tile", 5, 15, 3},
    {"one tile", 8, 48, 64},
    {"past a tile", 9, 49, 65},
    {"two panels", 14, 96, 31},
    {"panel and a bit", 33, 100, 66},
    {"many rows", 401, 50, 40},
    {"deep", 3, 33, 1537},
    {"past a piece", 13, 17, 769},
    {"past a block", 203, 31, 2000},
};
enum { SHAPES = sizeof shapes / sizeof *shapes, PAD = 3 };

/* One product with its operands, filled at random; lines are PAD longer than needed. */
typedef struct problem {
    size_t M, N, K, ldx, ldy;
    float *X, *W, *bias, *scale, *Y, *residual;
    int8_t *W8;
    qn_rng rng;
} problem;

static float *floats(size_t n)
{
    float *p = qn_new_array(qn_alloc_heap(), n, sizeof *p);
    assert_non_null(p);
    return p;
}

static problem problem_new(size_t M, size_t N, size_t K, uint64_t seed)
{
    problem p = {.M = M, .N = N, .K = K, .ldx = K + PAD, .ldy = N + PAD, .rng = {seed}};
    p.X = floats(M * p.ldx);
    p.W = floats(N * K);
    p.bias = floats(N);
    p.scale = floats(N);
    p.Y = floats(M * p.ldy);
    p.residual = floats(M * p.ldy);
    p.W8 = qn_new0(qn_alloc_heap(), N * K);
    assert_non_null(p.W8);
    num_fill(&p.rng, p.X, M * p.ldx, 2);
    num_fill(&p.rng, p.W, N * K, 1);
    num_fill(&p.rng, p.bias, N, 1);
    num_fill(&p.rng, p.residual, M * p.ldy, 1);
    num_fill(&p.rng, p.Y, M * p.ldy, 9); /* must be overwritten, but for the padding */
    num_fill_i8(&p.rng, p.W8, N * K, -127);
    for (size_t n = 0; n < N; n++) p.scale[n] = 0.001f + 0.0001f * (float)(n % 50);
    return p;
}

static void problem_free(problem *p)
{
    float *all[] = {p->X, p->W, p->bias, p->scale, p->Y, p->residual};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        qn_delete(qn_alloc_heap(), all[i]);
    qn_delete(qn_alloc_heap(), p->W8);
}

static qn_gemm *pack(const qn_kernels *k, const problem *p, bool int8,
                     const qn_gemm_maker *maker)
{
    qn_gemm *g = NULL;
    qn_error err = {0};
    if (int8)
        T_CALL(qn_num__gemm_pack_i8(qn_alloc_heap(), maker, k, p->W8, p->scale, p->N,
                                    p->K, &g, &err),
               &err);
    else
        T_CALL(qn_num__gemm_pack_f32(qn_alloc_heap(), maker, k, p->W, p->N, p->K, &g,
                                     &err),
               &err);
    T_EQ_I(qn_gemm_rows(g), p->N);
    T_EQ_I(qn_gemm_columns(g), p->K);
    T_OK(qn_gemm_bytes(g) >= p->N * p->K * (int8 ? 1 : 4));
    return g;
}

/* Rows [m, m + rows) of the product; the scratch is exactly as large as asked for, so
 * that the address sanitizer sees a step past it. */
static void run(const qn_gemm *g, const problem *p, size_t m, size_t rows,
                const qn_gemm_after *after, float *Y)
{
    void *scratch = qn_new_aligned(qn_alloc_heap(), 64, qn_gemm_scratch_bytes(g, rows));
    assert_non_null(scratch);
    if (after == NULL)
        qn_gemm_run(g, rows, p->X + m * p->ldx, p->ldx, p->bias, Y, p->ldy, scratch);
    else
        qn_gemm_run_after(g, rows, p->X + m * p->ldx, p->ldx, p->bias, after, Y, p->ldy,
                          scratch);
    qn_delete_aligned(qn_alloc_heap(), scratch);
}

static void compare_f32(const problem *p, const float *padding)
{
    for (size_t m = 0; m < p->M; m++) {
        for (size_t n = 0; n < p->N; n++) {
            double sum = (double)p->bias[n], mass = fabs(sum);
            for (size_t k = 0; k < p->K; k++) {
                double t = (double)p->X[m * p->ldx + k] * (double)p->W[n * p->K + k];
                sum += t;
                mass += fabs(t);
            }
            T_NEAR(p->Y[m * p->ldy + n], sum, (double)(p->K + 2) * EPS * mass);
        }
        for (size_t n = p->N; n < p->ldy; n++)
            T_OK(p->Y[m * p->ldy + n] == padding[m * p->ldy + n]);
    }
}

static void check_f32(const qn_kernels *k)
{
    for (size_t i = 0; i < SHAPES; i++) {
        NUM_ROW(k, "f32 %s", shapes[i].name);
        problem p = problem_new(shapes[i].M, shapes[i].N, shapes[i].K, 20 + i);
        float *before = floats(p.M * p.ldy);
        memcpy(before, p.Y, p.M * p.ldy * sizeof(float));
        qn_gemm *g = pack(k, &p, false, &qn_num__gemm_own);
        run(g, &p, 0, p.M, NULL, p.Y);
        compare_f32(&p, before);
        qn_gemm_destroy(g);
        qn_delete(qn_alloc_heap(), before);
        problem_free(&p);
    }
}

/* The meaning of an int8 product, step by step as gemm.h says. */
static float i8_value(const problem *p, const int8_t *q, float scale, size_t n)
{
    int32_t sum = 0;
    for (size_t k = 0; k < p->K; k++) sum += q[k] * p->W8[n * p->K + k];
    float y = (float)sum * (scale * p->scale[n]);
    return y + p->bias[n];
}

static void compare_i8(const problem *p)
{
    int8_t *q = qn_new0(qn_alloc_heap(), p->K);
    assert_non_null(q);
    for (size_t m = 0; m < p->M; m++) {
        float scale = num_scalar()->quantize_i8(p->X + m * p->ldx, p->K, q);
        for (size_t n = 0; n < p->N; n++) {
            float want = i8_value(p, q, scale, n), got = p->Y[m * p->ldy + n];
            if (memcmp(&want, &got, sizeof got) != 0)
                T_FAIL("row %zu column %zu: got %.9g, want %.9g", m, n, (double)got,
                       (double)want);
        }
    }
    qn_delete(qn_alloc_heap(), q);
}

static void check_i8(const qn_kernels *k)
{
    for (size_t i = 0; i < SHAPES; i++) {
        NUM_ROW(k, "i8 %s", shapes[i].name);
        problem p = problem_new(shapes[i].M, shapes[i].N, shapes[i].K, 40 + i);
        qn_gemm *g = pack(k, &p, true, &qn_num__gemm_own);
        run(g, &p, 0, p.M, NULL, p.Y);
        compare_i8(&p);
        qn_gemm_destroy(g);
        problem_free(&p);
    }
}

/* The largest sums: every factor 127 or -127, K at its limit. */
static void check_i8_extremes(const qn_kernels *k)
{
    static const int signs[][2] = {{127, 127}, {127, -127}, {-127, 127}, {-127, -127}};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        NUM_ROW(k, "i8 %d * %d", signs[i][0], signs[i][1]);
        problem p = problem_new(2, 17, 65536, 60);
        for (size_t j = 0; j < p.M * p.ldx; j++) p.X[j] = (float)signs[i][0];
        for (size_t j = 0; j < p.N * p.K; j++) p.W8[j] = (int8_t)signs[i][1];
        qn_gemm *g = pack(k, &p, true, &qn_num__gemm_own);
        run(g, &p, 0, p.M, NULL, p.Y);
        compare_i8(&p);
        qn_gemm_destroy(g);
        problem_free(&p);
    }
}

/* A row that holds a NaN or an infinity gives NaN, and only that row. */
static void check_i8_not_finite(const qn_kernels *k)
{
    NUM_ROW(k, "i8 NaN");
    problem p = problem_new(9, 50, 70, 61);
    p.X[4 * p.ldx + 69] = NAN;
    p.X[6 * p.ldx + 3] = INFINITY;
    qn_gemm *g = pack(k, &p, true, &qn_num__gemm_own);
    run(g, &p, 0, p.M, NULL, p.Y);
    for (size_t m = 0; m < p.M; m++)
        for (size_t n = 0; n < p.N; n++)
            T_EQ_I(isnan(p.Y[m * p.ldy + n]), m == 4 || m == 6);
    qn_gemm_destroy(g);
    problem_free(&p);
}

static void batch_row(const qn_kernels *k, bool int8)
{
    static const size_t batches[] = {1, 2, 3, 5, 7, 8, 11, 64, 250};
    problem p = problem_new(460, 101, 790, 70);
    qn_gemm *g = pack(k, &p, int8, &qn_num__gemm_own);
    float *part = floats(p.M * p.ldy);
    run(g, &p, 0, p.M, NULL, p.Y);
    for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
        NUM_ROW(k, "%s, batches of %zu", int8 ? "i8" : "f32", batches[i]);
        size_t step = batches[i] < 8 ? 37 : batches[i];
        for (size_t m = 0; m + batches[i] <= p.M; m += step) {
            run(g, &p, m, batches[i], NULL, part);
            for (size_t j = 0; j < batches[i]; j++)
                T_OK(memcmp(part + j * p.ldy, p.Y + (m + j) * p.ldy,
                            p.N * sizeof(float)) == 0);
        }
    }
    qn_delete(qn_alloc_heap(), part);
    qn_gemm_destroy(g);
    problem_free(&p);
}

static void check_batch(const qn_kernels *k)
{
    batch_row(k, false);
    batch_row(k, true);
}

/* Sets with fused multiply-add agree to the bit in f32. */
static void check_sets_agree(const qn_kernels *k)
{
    static float *first = NULL; /* of the first usable set, which is a fused one */
    problem p = problem_new(20, 75, 800, 80);
    NUM_ROW(k, "f32 agrees with the other sets");
    if (k != num_scalar()) {
        qn_gemm *g = pack(k, &p, false, &qn_num__gemm_own);
        memset(p.Y, 0, p.M * p.ldy * sizeof(float));
        run(g, &p, 0, p.M, NULL, p.Y);
        qn_gemm_destroy(g);
        if (first == NULL) {
            first = floats(p.M * p.ldy);
            memcpy(first, p.Y, p.M * p.ldy * sizeof(float));
        }
        T_OK(memcmp(first, p.Y, p.M * p.ldy * sizeof(float)) == 0);
    } else {
        qn_delete(qn_alloc_heap(), first);
        first = NULL;
    }
    problem_free(&p);
}

/* A second opinion: the library multiplies the same operands. int8 sums are exact on
 * both sides, and scaled in the same order. */
static void test_onednn(void **state)
{
    (void)state;
#ifdef QN_HAVE_ONEDNN
    const qn_kernels *k = qn_kernels_best();
    for (size_t i = 0; i < SHAPES; i++) {
        NUM_ROW(k, "oneDNN %s", shapes[i].name);
        problem p = problem_new(shapes[i].M, shapes[i].N, shapes[i].K, 100 + i);
        float *before = floats(p.M * p.ldy);
        memcpy(before, p.Y, p.M * p.ldy * sizeof(float));
        qn_gemm *g = pack(k, &p, false, &qn_num__gemm_onednn);
        run(g, &p, 0, p.M, NULL, p.Y);
        compare_f32(&p, before);
        qn_gemm_destroy(g);
        g = pack(k, &p, true, &qn_num__gemm_onednn);
        run(g, &p, 0, p.M, NULL, p.Y);
        compare_i8(&p);
        qn_gemm_destroy(g);
        qn_delete(qn_alloc_heap(), before);
        problem_free(&p);
    }
#else
    print_message("skipped: oneDNN is not built in\n");
    skip();
#endif
}

/* One weight, many threads, each with its own scratch and rows. */
typedef struct shared_weight {
    const problem *p;
    const qn_gemm *g;
    float *Y;
} shared_weight;

static void multiply_row(void *arg, size_t m, size_t worker)
{
    (void)worker;
    const shared_weight *s = arg;
    run(s->g, s->p, m, 1, NULL, s->Y + m * s->p->ldy);
}

static void check_threads(const qn_kernels *k)
{
    for (int int8 = 0; int8 < 2; int8++) {
        NUM_ROW(k, "threads, %s", int8 ? "i8" : "f32");
        problem p = problem_new(40, 70, 90, 95);
        qn_pool *pool = NULL;
        qn_error err = {0};
        T_CALL(qn_pool_create(qn_alloc_heap(), 3, &pool, &err), &err);
        qn_gemm *g = pack(k, &p, int8 != 0, &qn_num__gemm_own);
        shared_weight s = {&p, g, floats(p.M * p.ldy)};
        qn_pool_run(pool, p.M, multiply_row, &s);
        run(g, &p, 0, p.M, NULL, p.Y);
        for (size_t m = 0; m < p.M; m++)
            T_OK(memcmp(s.Y + m * p.ldy, p.Y + m * p.ldy, p.N * sizeof(float)) == 0);
        qn_pool_destroy(pool);
        qn_gemm_destroy(g);
        qn_delete(qn_alloc_heap(), s.Y);
        problem_free(&p);
    }
}

static void after_rows(const qn_kernels *k, bool int8)
{
    problem p = problem_new(23, 101, 430, 90);
    qn_gemm *g = pack(k, &p, int8, &qn_num__gemm_own);
    float *want = floats(p.M * p.ldy);
    for (int which = 0; which < 4; which++) {
        NUM_ROW(k, "after %d, %s", which, int8 ? "i8" : "f32");
        qn_gemm_after after = {.ldr = p.ldy};
        if (which & 1) after.pointwise = QN_POINTWISE_GELU;
        if (which & 2) after.residual = p.residual;
        run(g, &p, 0, p.M, NULL, want);
        for (size_t m = 0; m < p.M; m++) {
            if (which & 1) k->gelu(want + m * p.ldy, p.N);
            if (which & 2) k->add(want + m * p.ldy, p.residual + m * p.ldy, p.N);
        }
        run(g, &p, 0, p.M, &after, p.Y);
        for (size_t m = 0; m < p.M; m++)
            T_OK(memcmp(want + m * p.ldy, p.Y + m * p.ldy, p.N * sizeof(float)) == 0);
    }
    qn_delete(qn_alloc_heap(), want);
    qn_gemm_destroy(g);
    problem_free(&p);
}

static void check_after(const qn_kernels *k)
{
    after_rows(k, false);
    after_rows(k, true);
}

/* C = alpha A B^T (nt) or A B (nn), against double. */
static void matmul_row(const qn_kernels *k, size_t M, size_t N, size_t K, bool nt)
{
    const float alpha = nt ? 0.125f * 3 : 1;
    qn_rng r = {M * 1000 + N * 10 + K};
    size_t lda = K + 1, ldb = (nt ? K : N) + 2, ldc = N + 3;
    float *A = floats(M * lda), *B = floats((nt ? N : K) * ldb), *C = floats(M * ldc);
    num_fill(&r, A, M * lda, 2);
    num_fill(&r, B, (nt ? N : K) * ldb, 2);
    for (size_t i = 0; i < M * ldc; i++) C[i] = 5;
    if (nt)
        k->matmul_nt(M, N, K, alpha, A, lda, B, ldb, C, ldc);
    else
        k->matmul_nn(M, N, K, A, lda, B, ldb, C, ldc);
    for (size_t m = 0; m < M; m++) {
        for (size_t n = 0; n < ldc; n++) {
            double sum = 0, mass = 0;
            for (size_t i = 0; n < N && i < K; i++) {
                double b = (double)(nt ? B[n * ldb + i] : B[i * ldb + n]);
                sum += (double)A[m * lda + i] * b;
                mass += fabs((double)A[m * lda + i] * b);
            }
            if (n < N)
                T_NEAR(C[m * ldc + n], (double)alpha * sum,
                       (double)(K + 2) * EPS * mass);
            else
                T_OK(C[m * ldc + n] == 5);
        }
    }
    qn_delete(qn_alloc_heap(), A);
    qn_delete(qn_alloc_heap(), B);
    qn_delete(qn_alloc_heap(), C);
}

static void check_matmul(const qn_kernels *k)
{
    static const size_t sizes[] = {1, 2, 7, 15, 16, 17, 33, 47, 64, 65, 129};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    for (size_t i = 0; i < COUNT * COUNT * COUNT; i++) {
        size_t M = sizes[i % COUNT], N = sizes[i / COUNT % COUNT];
        size_t K = sizes[i / COUNT / COUNT];
        if ((M + N + K) % 3 == 0) continue; /* two thirds of all are enough */
        NUM_ROW(k, "matmul %zu x %zu x %zu", M, N, K);
        matmul_row(k, M, N, K, true);
        matmul_row(k, M, N, K, false);
    }
    NUM_ROW(k, "matmul of nothing");
    matmul_row(k, 3, 4, 0, true); /* no terms: zeros */
    matmul_row(k, 3, 4, 0, false);
    matmul_row(k, 2, 20, 500, true);
    matmul_row(k, 2, 20, 500, false);
}

#define EACH_SET(name)                                                                 \
    static void test_##name(void **state)                                              \
    {                                                                                  \
        (void)state;                                                                   \
        num_each_set(check_##name);                                                    \
    }
EACH_SET(f32)
EACH_SET(i8)
EACH_SET(i8_extremes)
EACH_SET(i8_not_finite)
EACH_SET(batch)
EACH_SET(sets_agree)
EACH_SET(threads)
EACH_SET(after)
EACH_SET(matmul)

static void test_refusals(void **state)
{
    (void)state;
    const float w[4] = {1, 2, 3, 4};
    static const struct {
        const char *name;
        size_t N, K;
    } rows[] = {{"no rows", 0, 2}, {"no columns", 2, 0}, {"too deep", 1, 65537}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_error err = {0};
        qn_gemm *g = NULL;
        T_EQ_I(qn_gemm_pack_f32(qn_alloc_heap(), qn_kernels_best(), w, rows[i].N,
                                rows[i].K, &g, &err),
               QN_EINVAL);
        T_OK(g == NULL && err.text[0] != '\0');
    }
}

/* Failing each allocation in turn leaves nothing behind. */
static void test_no_memory(void **state)
{
    (void)state;
    qn_alloc a = {0};
    problem p = problem_new(1, 50, 60, 99);
    for (int int8 = 0; int8 < 2; int8++) {
        qn_status st = QN_ENOMEM;
        for (long n = 1; st != QN_OK; n++) {
            qn_gemm *g = NULL;
            qn_error err = {0};
            atomic_store(&a.fail_countdown, n);
            if (int8)
                st = qn_gemm_pack_i8(&a, qn_kernels_best(), p.W8, p.scale, p.N, p.K, &g,
                                     &err);
            else
                st = qn_gemm_pack_f32(&a, qn_kernels_best(), p.W, p.N, p.K, &g, &err);
            T_OK(st == QN_OK || (st == QN_ENOMEM && g == NULL && n < 20));
            atomic_store(&a.fail_countdown, 0);
            qn_gemm_destroy(g);
            T_EQ_I(atomic_load(&a.live_bytes), 0);
        }
    }
    problem_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f32),         cmocka_unit_test(test_i8),
        cmocka_unit_test(test_i8_extremes), cmocka_unit_test(test_i8_not_finite),
        cmocka_unit_test(test_batch),       cmocka_unit_test(test_sets_agree),
        cmocka_unit_test(test_threads),     cmocka_unit_test(test_after),
        cmocka_unit_test(test_matmul),      cmocka_unit_test(test_onednn),
        cmocka_unit_test(test_refusals),    cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests_name("gemm", tests, NULL, NULL);
}

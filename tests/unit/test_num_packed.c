/* SPDX-License-Identifier: Apache-2.0 */
/* bf16 products against double; int8 products with centered activations to the bit; and
 * packed weights as bytes, opened in place. */
#include "num_test.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "num/gemm.h"

#include <stdlib.h>

static const double EPS = (double)FLT_EPSILON;

static const struct {
    const char *name;
    size_t M, N, K;
} shapes[] = {
    {"one value", 1, 1, 1},
    {"one row", 1, 96, 64},
    {"odd", 7, 13, 17},
    {"past a tile", 9, 49, 66},
    {"two panels", 14, 96, 30},
    {"a bit", 33, 100, 68},
    {"many rows", 401, 50, 40},
    {"deep", 3, 33, 1538},
    {"past a block", 203, 31, 2000},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void *room(size_t bytes)
{
    void *p = qn_new_aligned(qn_alloc_heap(), 64, bytes == 0 ? 64 : bytes);
    assert_non_null(p);
    return p;
}

static void give(void *p)
{
    qn_delete_aligned(qn_alloc_heap(), p);
}

typedef struct problem {
    size_t M, N, K;
    float *X, *bias, *scale, *Y, *W;
    uint16_t *W16;
    int8_t *W8;
} problem;

static uint16_t bf16(float v)
{
    uint32_t bits = qn_float_bits(v);
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

static float widen(uint16_t v)
{
    return qn_bits_float((uint32_t)v << 16);
}

static problem problem_new(size_t M, size_t N, size_t K, uint64_t seed)
{
    qn_rng r = {seed};
    problem p = {.M = M, .N = N, .K = K};
    p.X = room(M * K * sizeof(float));
    p.bias = room(N * sizeof(float));
    p.scale = room(N * sizeof(float));
    p.Y = room(M * N * sizeof(float));
    p.W = room(N * K * sizeof(float));
    p.W16 = room(N * K * sizeof(uint16_t));
    p.W8 = room(N * K);
    num_fill(&r, p.X, M * K, 2);
    for (size_t i = 0; i < M * K; i += 3) p.X[i] += 1.75f; /* not about zero */
    num_fill(&r, p.bias, N, 1);
    num_fill(&r, p.W, N * K, 1);
    num_fill_i8(&r, p.W8, N * K, -127);
    for (size_t i = 0; i < N * K; i++) p.W16[i] = bf16(p.W[i]);
    for (size_t n = 0; n < N; n++) p.scale[n] = 0.001f + 0.0001f * (float)(n % 50);
    return p;
}

static void problem_free(problem *p)
{
    void *all[] = {p->X, p->bias, p->scale, p->Y, p->W, p->W16, p->W8};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) give(all[i]);
}

static void run(const qn_gemm *g, const problem *p, size_t m, size_t rows, float *Y)
{
    void *scratch = room(qn_gemm_scratch_bytes(g, rows));
    qn_gemm_run(g, rows, p->X + m * p->K, p->K, p->bias, Y, p->N, scratch);
    give(scratch);
}

static qn_gemm *pack_bf16(const qn_kernels *k, const problem *p)
{
    qn_gemm *g = NULL;
    qn_error err = {0};
    T_CALL(qn_gemm_pack_bf16(qn_alloc_heap(), k, p->W16, p->N, p->K, &g, &err), &err);
    T_EQ_I(qn_gemm_type_of(g), QN_GEMM_BF16);
    return g;
}

static qn_gemm *pack_centered(const qn_kernels *k, const problem *p, size_t parts)
{
    qn_gemm *g = NULL;
    qn_error err = {0};
    T_CALL(qn_gemm_pack_i8_centered(qn_alloc_heap(), k, p->W8, p->scale, p->N, p->K,
                                    parts, &g, &err),
           &err);
    return g;
}

/* What the set multiplies: activations rounded to bf16, or, where the name says so, as
 * they are. Products of two bf16 are exact in f32; each of the K additions rounds. */
static void check_bf16(const qn_kernels *k)
{
    for (size_t i = 0; i < SHAPES; i++) {
        NUM_ROW(k, "bf16 %s", shapes[i].name);
        problem p = problem_new(shapes[i].M, shapes[i].N, shapes[i].K, 200 + i);
        qn_gemm *g = pack_bf16(k, &p);
        bool as_f32 = strstr(qn_gemm_backend(g), "as f32") != NULL;
        T_OK(as_f32 == (strstr(k->name, "bf16") == NULL));
        run(g, &p, 0, p.M, p.Y);
        for (size_t m = 0; m < p.M; m++) {
            for (size_t n = 0; n < p.N; n++) {
                double sum = (double)p.bias[n], mass = fabs(sum);
                for (size_t j = 0; j < p.K; j++) {
                    float x = p.X[m * p.K + j];
                    if (!as_f32) x = widen(bf16(x));
                    double t = (double)x * (double)widen(p.W16[n * p.K + j]);
                    sum += t;
                    mass += fabs(t);
                }
                T_NEAR(p.Y[m * p.N + n], sum, (double)(p.K + 2) * EPS * mass);
            }
        }
        qn_gemm_destroy(g);
        problem_free(&p);
    }
}

/* A NaN or an infinity stays in its row; halves round to even. */
static void check_bf16_edges(const qn_kernels *k)
{
    NUM_ROW(k, "bf16 edges");
    problem p = problem_new(5, 20, 34, 230);
    p.X[1 * p.K + 33] = NAN;
    p.X[3 * p.K + 2] = INFINITY;
    qn_gemm *g = pack_bf16(k, &p);
    run(g, &p, 0, p.M, p.Y);
    for (size_t m = 0; m < p.M; m++)
        for (size_t n = 0; n < p.N; n++)
            T_EQ_I(isfinite(p.Y[m * p.N + n]), m != 1 && m != 3);
    qn_gemm_destroy(g);
    problem_free(&p);
    static const struct {
        float x, rounded;
    } rows[] = {{1.00390625f, 1.0f},       /* half: down to even */
                {1.01171875f, 1.015625f},  /* half: up to even */
                {1.00390637f, 1.0078125f}, /* a bit over */
                {-1.01171875f, -1.015625f}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NUM_ROW(k, "bf16 of %.9g", (double)rows[i].x);
        const uint16_t one = 0x3F80;
        float y = 0;
        qn_gemm *w = NULL;
        qn_error err = {0};
        T_CALL(qn_gemm_pack_bf16(qn_alloc_heap(), k, &one, 1, 1, &w, &err), &err);
        void *scratch = room(qn_gemm_scratch_bytes(w, 1));
        qn_gemm_run(w, 1, &rows[i].x, 1, NULL, &y, 1, scratch);
        bool as_f32 = strstr(qn_gemm_backend(w), "as f32") != NULL;
        T_OK(y == (as_f32 ? rows[i].x : rows[i].rounded));
        give(scratch);
        qn_gemm_destroy(w);
    }
}

/* The meaning of an int8 product with centered activations, step by step. */
static float centered_value(const problem *p, size_t parts, size_t m, size_t n)
{
    size_t depth = p->K / parts;
    float x[2048], y = 0;
    int8_t q[2048];
    for (size_t part = 0; part < parts; part++) {
        const int8_t *w = p->W8 + n * p->K + part * depth;
        memcpy(x, p->X + m * p->K + part * depth, depth * sizeof *x);
        float middle = num_scalar()->center(x, depth);
        float scale = num_scalar()->quantize_i8(x, depth, q);
        int32_t dot = 0, sum = 0;
        for (size_t j = 0; j < depth; j++) {
            dot += q[j] * w[j];
            sum += w[j];
        }
        float column = p->scale[n] * (float)sum;
        float taken = middle * column, v = (float)dot * (scale * p->scale[n]) + taken;
        if (part == 0)
            y = v + p->bias[n];
        else
            y = v + y;
    }
    return y;
}

static void check_centered(const qn_kernels *k)
{
    for (size_t i = 0; i < SHAPES; i++) {
        for (size_t parts = 1; parts <= 2; parts++) {
            if (shapes[i].K % parts != 0) continue;
            NUM_ROW(k, "centered %s, %zu parts", shapes[i].name, parts);
            problem p = problem_new(shapes[i].M, shapes[i].N, shapes[i].K, 240 + i);
            qn_gemm *g = pack_centered(k, &p, parts);
            run(g, &p, 0, p.M, p.Y);
            for (size_t m = 0; m < p.M; m++) {
                for (size_t n = 0; n < p.N; n++) {
                    float want = centered_value(&p, parts, m, n);
                    float got = p.Y[m * p.N + n];
                    if (memcmp(&want, &got, sizeof got) != 0)
                        T_FAIL("row %zu column %zu: got %.9g, want %.9g", m, n,
                               (double)got, (double)want);
                }
            }
            qn_gemm_destroy(g);
            problem_free(&p);
        }
    }
    NUM_ROW(k, "centered NaN");
    problem p = problem_new(9, 50, 70, 260);
    p.X[4 * p.K + 69] = NAN;
    p.X[6 * p.K + 3] = -INFINITY;
    qn_gemm *g = pack_centered(k, &p, 2);
    run(g, &p, 0, p.M, p.Y);
    for (size_t m = 0; m < p.M; m++)
        for (size_t n = 0; n < p.N; n++)
            T_EQ_I(isnan(p.Y[m * p.N + n]), m == 4 || m == 6);
    qn_gemm_destroy(g);
    problem_free(&p);
}

enum { KINDS = 4 };
static qn_gemm *pack_kind(const qn_kernels *k, const problem *p, int kind)
{
    qn_gemm *g = NULL;
    qn_error err = {0};
    if (kind == 0) return pack_bf16(k, p);
    if (kind == 1) return pack_centered(k, p, 2);
    if (kind == 2)
        T_CALL(
            qn_gemm_pack_i8(qn_alloc_heap(), k, p->W8, p->scale, p->N, p->K, &g, &err),
            &err);
    else
        T_CALL(qn_gemm_pack_f32(qn_alloc_heap(), k, p->W, p->N, p->K, &g, &err), &err);
    return g;
}

/* A row's bits do not depend on its batch. */
static void check_batch(const qn_kernels *k)
{
    static const size_t batches[] = {1, 2, 3, 5, 7, 8, 11, 64, 200};
    problem p = problem_new(330, 101, 790, 270);
    float *part = room(p.M * p.N * sizeof *part);
    for (int kind = 0; kind < 2; kind++) {
        qn_gemm *g = pack_kind(k, &p, kind);
        run(g, &p, 0, p.M, p.Y);
        for (size_t i = 0; i < sizeof batches / sizeof *batches; i++) {
            NUM_ROW(k, "%s, batches of %zu", kind == 0 ? "bf16" : "centered",
                    batches[i]);
            size_t step = batches[i] < 8 ? 37 : batches[i];
            for (size_t m = 0; m + batches[i] <= p.M; m += step) {
                run(g, &p, m, batches[i], part);
                T_OK(memcmp(part, p.Y + m * p.N, batches[i] * p.N * sizeof *part) == 0);
            }
        }
        qn_gemm_destroy(g);
    }
    give(part);
    problem_free(&p);
}

/* Bytes written and opened in place multiply to the same bits; the block ends where it
 * says, so that the address sanitizer sees a step past it. */
static void check_open(const qn_kernels *k)
{
    problem p = problem_new(19, 101, 130, 280);
    float *again = room(p.M * p.N * sizeof *again);
    for (int kind = 0; kind < KINDS; kind++) {
        NUM_ROW(k, "opened, kind %d", kind);
        qn_error err = {0};
        size_t size = 0;
        qn_gemm *g = pack_kind(k, &p, kind), *h = NULL;
        const void *view = qn_gemm_packed_view(g, &size);
        T_OK(size % 64 == 0 && size > 64);
        void *bytes = room(size);
        memcpy(bytes, view, size);
        run(g, &p, 0, p.M, p.Y);
        T_OK(qn_gemm_bytes(g) >= size);
        char name[64];
        (void)snprintf(name, sizeof name, "%s", qn_gemm_backend(g));
        qn_gemm_destroy(g);
        T_CALL(qn_gemm_packed_open(qn_alloc_heap(), k, bytes, size, &h, &err), &err);
        T_EQ_S(qn_gemm_backend(h), name);
        T_EQ_I(qn_gemm_rows(h), p.N);
        T_EQ_I(qn_gemm_columns(h), p.K);
        T_OK(qn_gemm_bytes(h) < 1024);
        run(h, &p, 0, p.M, again);
        T_OK(memcmp(again, p.Y, p.M * p.N * sizeof *again) == 0);
        qn_gemm_destroy(h);
        give(bytes);
    }
    give(again);
    problem_free(&p);
}

/* Every damaged head is refused, and so is another set's. */
static void check_refused(const qn_kernels *k)
{
    static const struct {
        const char *name;
        size_t at;
        uint8_t value;
        long grow; /* of the size that is told */
    } rows[] = {
        {"short", 0, 0, -64},         {"long", 0, 0, 64},
        {"no head", 0, 0, -100000},   {"magic", 0, 7, 0},
        {"no rows", 8, 0, 0},         {"other rows", 8, 150, 0},
        {"many rows", 15, 255, 0},    {"no columns", 16, 0, 0},
        {"other columns", 16, 90, 0}, {"deep", 22, 9, 0},
        {"version", 24, 99, 0},       {"type", 28, 3, 0},
        {"another type", 28, 0, 0},   {"no parts", 32, 0, 0},
        {"odd parts", 32, 3, 0},      {"centered", 36, 2, 0},
        {"set", 40, 'X', 0},
    };
    problem p = problem_new(1, 50, 64, 290);
    qn_gemm *g = pack_kind(k, &p, 1), *h = NULL;
    size_t size = 0;
    const void *view = qn_gemm_packed_view(g, &size);
    uint8_t *bytes = room(size + 64);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        NUM_ROW(k, "packed, %s", rows[i].name);
        qn_error err = {0};
        memcpy(bytes, view, size);
        if (rows[i].grow == 0) bytes[rows[i].at] = rows[i].value;
        long told = (long)size + rows[i].grow;
        T_EQ_I(qn_gemm_packed_open(qn_alloc_heap(), k, bytes,
                                   told < 0 ? 0 : (size_t)told, &h, &err),
               QN_EMODEL);
        T_OK(h == NULL && err.text[0] != '\0');
    }
    qn_error err = {0};
    memmove(bytes + 32, view, size);
    NUM_ROW(k, "packed, not on a line");
    T_EQ_I(qn_gemm_packed_open(qn_alloc_heap(), k, bytes + 32, size, &h, &err),
           QN_EMODEL);
    memcpy(bytes, view, size);
    for (size_t i = 0; i < qn_kernel_set_count; i++) {
        if (&qn_kernel_sets[i] == k) continue;
        NUM_ROW(k, "packed, for %s", qn_kernel_sets[i].name);
        T_EQ_I(qn_gemm_packed_open(qn_alloc_heap(), &qn_kernel_sets[i], bytes, size, &h,
                                   &err),
               QN_EMODEL);
        T_OK(strstr(err.text, k->name) != NULL);
    }
    give(bytes);
    qn_gemm_destroy(g);
    problem_free(&p);
}

#define EACH_SET(name)                                                                 \
    static void test_##name(void **state)                                              \
    {                                                                                  \
        (void)state;                                                                   \
        num_each_set(check_##name);                                                    \
    }
EACH_SET(bf16)
EACH_SET(bf16_edges)
EACH_SET(centered)
EACH_SET(batch)
EACH_SET(open)
EACH_SET(refused)

/* Failing each allocation in turn leaves nothing behind. */
static void test_no_memory(void **state)
{
    (void)state;
    qn_alloc a = {0};
    problem p = problem_new(1, 50, 60, 299);
    for (size_t s = 0; s < qn_kernel_set_count; s++) {
        const qn_kernels *k = &qn_kernel_sets[s];
        if (!k->usable()) continue;
        for (int kind = 0; kind < 2; kind++) {
            qn_status st = QN_ENOMEM;
            for (long n = 1; st != QN_OK; n++) {
                qn_gemm *g = NULL;
                qn_error err = {0};
                atomic_store(&a.fail_countdown, n);
                st = kind == 0 ? qn_gemm_pack_bf16(&a, k, p.W16, p.N, p.K, &g, &err)
                               : qn_gemm_pack_i8_centered(&a, k, p.W8, p.scale, p.N,
                                                          p.K, 2, &g, &err);
                T_OK(st == QN_OK || (st == QN_ENOMEM && g == NULL && n < 20));
                atomic_store(&a.fail_countdown, 0);
                qn_gemm_destroy(g);
                T_EQ_I(atomic_load(&a.live_bytes), 0);
            }
        }
    }
    problem_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bf16),      cmocka_unit_test(test_bf16_edges),
        cmocka_unit_test(test_centered),  cmocka_unit_test(test_batch),
        cmocka_unit_test(test_open),      cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests_name("packed weights", tests, NULL, NULL);
}

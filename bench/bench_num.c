/* SPDX-License-Identifier: Apache-2.0 */
/* bench_num.c -- kernels and products of every usable set, one JSON line each, on one
 * thread. Rates are by the CPU time of the thread, the best of several runs, so that a
 * shared machine disturbs them little.
 *
 *     bench_num [seconds per figure, default 0.2] [only lines whose name has this] */
#include "base/clock.h"
#include "num/gemm_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef void bench_fn(void *arg);

static double seconds_per_figure = 0.2;
static const char *only = "";

static bool wanted(const char *name)
{
    return strstr(name, only) != NULL;
}

static int64_t process_cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Least CPU time of one call, seconds. The whole process is counted: threads that a
 * library starts on the side would show. */
static double best_time(bench_fn *fn, void *arg)
{
    int64_t best = INT64_MAX, begin = qn_clock_mono_ns();
    fn(arg); /* warms caches and lazily built code */
    int64_t probe = process_cpu_ns();
    fn(arg);
    int64_t once = process_cpu_ns() - probe;
    int64_t inner = once < 50000 ? 50000 / (once + 1) + 1 : 1;
    do {
        int64_t t0 = process_cpu_ns();
        for (int64_t i = 0; i < inner; i++) fn(arg);
        int64_t t = (process_cpu_ns() - t0) / inner;
        if (t < best) best = t;
    } while ((double)(qn_clock_mono_ns() - begin) * 1e-9 < seconds_per_figure);
    return (double)best * 1e-9;
}

static void *memory(size_t bytes)
{
    void *p = qn_new_aligned(qn_alloc_heap(), 64, bytes == 0 ? 64 : bytes);
    if (p == NULL) abort();
    return p;
}

static float *noise(size_t n)
{
    qn_rng r = {n};
    float *p = memory(n * sizeof *p);
    for (size_t i = 0; i < n; i++) p[i] = (float)(qn_rng_unit(&r) * 2 - 1);
    return p;
}

/* ---- products ---- */

typedef struct product {
    const qn_gemm *g;
    size_t M, N, K;
    const float *X, *bias;
    float *Y;
    void *scratch;
    qn_gemm_after after;
} product;

static void run_product(void *arg)
{
    const product *p = arg;
    qn_gemm_run_after(p->g, p->M, p->X, p->K, p->bias, &p->after, p->Y, p->N,
                      p->scratch);
}

static void bench_gemm(const qn_gemm_maker *maker, const qn_kernels *k, bool int8,
                       size_t M, size_t N, size_t K, bool gelu)
{
    qn_gemm *g = NULL;
    qn_error err = {0};
    float *W = noise(N * K), *scale = noise(N);
    int8_t *W8 = memory(N * K);
    for (size_t i = 0; i < N * K; i++) W8[i] = (int8_t)(W[i] * 127.0f);
    qn_status st =
        int8
            ? qn_num__gemm_pack_i8(qn_alloc_heap(), maker, k, W8, scale, N, K, &g, &err)
            : qn_num__gemm_pack_f32(qn_alloc_heap(), maker, k, W, N, K, &g, &err);
    if (st == QN_OK) {
        product p = {.g = g, .M = M, .N = N, .K = K, .X = noise(M * K), .bias = scale};
        p.Y = memory(M * N * sizeof(float));
        p.scratch = memory(qn_gemm_scratch_bytes(g, M));
        p.after.pointwise = gelu ? QN_POINTWISE_GELU : QN_POINTWISE_NONE;
        double t = best_time(run_product, &p);
        printf("{\"bench\":\"gemm\",\"backend\":\"%s\",\"gelu\":%s,\"M\":%zu,\"N\":%zu,"
               "\"K\":%zu,\"us\":%.1f,\"gops\":%.1f}\n",
               qn_gemm_backend(g), gelu ? "true" : "false", M, N, K, t * 1e6,
               2e-9 * (double)M * (double)N * (double)K / t);
        qn_delete_aligned(qn_alloc_heap(), p.scratch);
        qn_delete_aligned(qn_alloc_heap(), p.Y);
        qn_delete_aligned(qn_alloc_heap(), (void *)(uintptr_t)p.X);
        qn_gemm_destroy(g);
    }
    qn_delete_aligned(qn_alloc_heap(), W);
    qn_delete_aligned(qn_alloc_heap(), W8);
    qn_delete_aligned(qn_alloc_heap(), scale);
}

static void bench_products(void)
{
    static const size_t shapes[][3] = {
        {1, 384, 384},    {4, 384, 384},     {16, 384, 384},    {32, 384, 384},
        {1, 768, 768},    {8, 768, 768},     {32, 768, 768},    {128, 384, 384},
        {128, 1152, 384}, {128, 1536, 384},  {128, 384, 1536},  {512, 1536, 384},
        {512, 384, 1536}, {128, 768, 768},   {256, 2304, 768},  {256, 3072, 768},
        {256, 768, 3072}, {1024, 3072, 768}, {1024, 768, 3072},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        for (int int8 = 0; int8 < 2; int8++) {
            const size_t *s = shapes[i];
            for (size_t v = 0; v + 1 < qn_kernel_set_count; v++)
                if (qn_kernel_sets[v].usable())
                    bench_gemm(&qn_num__gemm_own, &qn_kernel_sets[v], int8 != 0, s[0],
                               s[1], s[2], false);
#ifdef QN_HAVE_ONEDNN
            bench_gemm(&qn_num__gemm_onednn, qn_kernels_best(), int8 != 0, s[0], s[1],
                       s[2], false);
#endif
        }
    }
    bench_gemm(&qn_num__gemm_own, qn_kernels_best(), false, 128, 1536, 384, true);
    bench_gemm(&qn_num__gemm_own, qn_kernels_best(), true, 128, 1536, 384, true);
}

/* ---- kernels ---- */

typedef struct vectors {
    const qn_kernels *k;
    size_t n, rows;
    float *x, *y, *out;
    int8_t *q, *q2;
    int32_t *out_i32;
} vectors;

static void run_dot_f32(void *arg)
{
    vectors *v = arg;
    v->k->dot_f32_rows(v->x, v->y, v->rows, v->n, v->out);
}
static void run_l2_f32(void *arg)
{
    vectors *v = arg;
    v->k->l2_f32_rows(v->x, v->y, v->rows, v->n, v->out);
}
static void run_dot_i8(void *arg)
{
    vectors *v = arg;
    v->k->dot_i8_rows(v->q, v->q2, v->rows, v->n, v->out_i32);
}
static void run_l2_i8(void *arg)
{
    vectors *v = arg;
    v->k->l2_i8_rows(v->q, v->q2, v->rows, v->n, v->out_i32);
}
static void run_quantize(void *arg)
{
    vectors *v = arg;
    for (size_t r = 0; r < v->rows; r++) v->k->quantize_i8(v->y + r * v->n, v->n, v->q);
}
static void run_softmax(void *arg)
{
    vectors *v = arg;
    for (size_t r = 0; r < v->rows; r++) v->k->softmax(v->y + r * v->n, v->n);
}
static void run_layer_norm(void *arg)
{
    vectors *v = arg;
    for (size_t r = 0; r < v->rows; r++)
        v->k->layer_norm(v->y + r * v->n, v->x, v->x, 1e-7f, v->n, v->out);
}
static void run_gelu(void *arg)
{
    vectors *v = arg;
    v->k->gelu(v->y, v->rows * v->n);
}
static void run_tanh(void *arg)
{
    vectors *v = arg;
    v->k->tanh(v->y, v->rows * v->n);
}

static void bench_vectors(const qn_kernels *k)
{
    static const struct {
        const char *name;
        bench_fn *fn;
    } rows[] = {
        {"dot_f32_rows", run_dot_f32},
        {"l2_f32_rows", run_l2_f32},
        {"dot_i8_rows", run_dot_i8},
        {"l2_i8_rows", run_l2_i8},
        {"quantize_i8", run_quantize},
        {"softmax", run_softmax},
        {"layer_norm", run_layer_norm},
        {"gelu", run_gelu},
        {"tanh", run_tanh},
    };
    vectors v = {.k = k, .n = 384, .rows = 256};
    v.x = noise(v.n);
    v.out = memory((v.n + v.rows) * sizeof(float));
    v.q = memory(v.n);
    v.q2 = memory(v.n * v.rows);
    memset(v.q, 3, v.n);
    memset(v.q2, 5, v.n * v.rows);
    v.out_i32 = memory(v.rows * sizeof(int32_t));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!wanted(rows[i].name)) continue;
        v.y = noise(v.n * v.rows);
        double t = best_time(rows[i].fn, &v);
        printf("{\"bench\":\"%s\",\"set\":\"%s\",\"n\":%zu,\"ns_per_vector\":%.1f,"
               "\"elements_per_ns\":%.2f}\n",
               rows[i].name, k->name, v.n, t * 1e9 / (double)v.rows,
               (double)(v.n * v.rows) / (t * 1e9));
        qn_delete_aligned(qn_alloc_heap(), v.y);
    }
}

typedef struct attention {
    const qn_kernels *k;
    size_t S, d, width;
    float *q, *kv, *scores, *out;
} attention;

static void run_scores(void *arg)
{
    attention *a = arg;
    a->k->matmul_nt(a->S, a->S, a->d, 0.125f, a->q, a->width, a->kv, a->width,
                    a->scores, a->S);
}
static void run_mix(void *arg)
{
    attention *a = arg;
    a->k->matmul_nn(a->S, a->d, a->S, a->scores, a->S, a->kv, a->width, a->out, a->d);
}

static void bench_attention(const qn_kernels *k, size_t S, size_t d)
{
    attention a = {.k = k, .S = S, .d = d, .width = 768};
    a.q = noise(S * a.width);
    a.kv = noise(S * a.width);
    a.scores = noise(S * S);
    a.out = noise(S * d);
    bench_fn *fns[] = {run_scores, run_mix};
    const char *names[] = {"matmul_nt", "matmul_nn"};
    for (size_t i = 0; i < 2; i++) {
        double t = best_time(fns[i], &a);
        printf("{\"bench\":\"%s\",\"set\":\"%s\",\"S\":%zu,\"d\":%zu,\"us\":%.2f,"
               "\"gops\":%.1f}\n",
               names[i], k->name, S, d, t * 1e6, 2e-9 * (double)(S * S * d) / t);
    }
    float *all[] = {a.q, a.kv, a.scores, a.out};
    for (size_t i = 0; i < 4; i++) qn_delete_aligned(qn_alloc_heap(), all[i]);
}

int main(int argc, char **argv)
{
    if (argc > 1) seconds_per_figure = strtod(argv[1], NULL);
    if (argc > 2) only = argv[2];
    for (size_t v = 0; v < qn_kernel_set_count; v++) {
        const qn_kernels *k = &qn_kernel_sets[v];
        if (!k->usable()) continue;
        bench_vectors(k);
        if (wanted("matmul")) bench_attention(k, 128, 32);
        if (wanted("matmul")) bench_attention(k, 128, 64);
        if (wanted("matmul")) bench_attention(k, 512, 64);
    }
    if (wanted("gemm")) bench_products();
    return 0;
}

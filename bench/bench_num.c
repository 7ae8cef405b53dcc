/* SPDX-License-Identifier: Apache-2.0 */
/* bench_num.c -- kernels and products of every usable set, one JSON line each, on one
 * thread. Rates are by the CPU time of the thread, the best of several runs, so that a
 * shared machine disturbs them little.
 *
 * Products and attention are also shares of a peak measured just before (num_peak.h).
 *
 * int8 with `parts` is quantised about the middles of so many parts of a row.
 *
 *     bench_num [seconds per figure, default 0.2] [only: gemm, attention, a kernel's name]
 *         [only sets whose name has this] */
#include "base/clock.h"
#include "num/attention.h"
#include "num/gemm_internal.h"
#include "num_peak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef void bench_fn(void *arg);

static double seconds_per_figure = 0.2;
static const char *only = "", *only_set = "";

static bool wanted(const char *name)
{
    return strstr(name, only) != NULL;
}

static bool set_wanted(const qn_kernels *k)
{
    return k->usable() && strstr(k->name, only_set) != NULL;
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
    int64_t least = 4000000; /* shorter ones are not counted exactly everywhere */
    int64_t inner = once < least ? least / (once + 1) + 1 : 1;
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

/* parts 0: not centered */
static qn_gemm *pack(const qn_gemm_maker *maker, const qn_kernels *k, qn_gemm_type type,
                     size_t N, size_t K, size_t parts)
{
    qn_gemm *g = NULL;
    float *W = noise(N * K);
    int8_t *W8 = memory(N * K);
    uint16_t *W16 = memory(N * K * sizeof *W16);
    for (size_t i = 0; i < N * K; i++) {
        uint32_t bits;
        memcpy(&bits, W + i, sizeof bits);
        W16[i] = (uint16_t)(bits >> 16);
        W8[i] = (int8_t)(W[i] * 127.0f);
    }
    qn_alloc *a = qn_alloc_heap();
    qn_status st =
        parts > 0 ? qn_gemm_pack_i8_centered(a, k, W8, W, N, K, parts, &g, NULL)
        : type == QN_GEMM_I8  ? qn_num__gemm_pack_i8(a, maker, k, W8, W, N, K, &g, NULL)
        : type == QN_GEMM_F32 ? qn_num__gemm_pack_f32(a, maker, k, W, N, K, &g, NULL)
                              : qn_gemm_pack_bf16(a, k, W16, N, K, &g, NULL);
    if (st != QN_OK) abort();
    void *all[] = {W, W8, W16};
    for (size_t i = 0; i < 3; i++) qn_delete_aligned(a, all[i]);
    return g;
}

/* The set's peak, in operations a nanosecond; 0 where none is known. */
static double peak_of(const qn_kernels *k, qn_gemm_type type)
{
    const num_peak *p = num_peak_find(k->name, type);
    return p == NULL ? 0 : p->ops * 1e-9 / best_time(p->run, NULL);
}

static void bench_gemm(const qn_gemm_maker *maker, const qn_kernels *k,
                       qn_gemm_type type, const size_t shape[3], bool gelu,
                       size_t parts)
{
    size_t M = shape[0], N = shape[1], K = shape[2];
    qn_gemm *g = pack(maker, k, type, N, K, parts);
    product p = {.g = g, .M = M, .N = N, .K = K, .X = noise(M * K), .bias = noise(N)};
    p.Y = memory(M * N * sizeof(float));
    p.scratch = memory(qn_gemm_scratch_bytes(g, M));
    p.after.pointwise = gelu ? QN_POINTWISE_GELU : QN_POINTWISE_NONE;
    double peak = peak_of(k, type), t = best_time(run_product, &p);
    double gops = 2e-9 * (double)M * (double)N * (double)K / t;
    printf("{\"bench\":\"gemm\",\"backend\":\"%s\",\"gelu\":%s,\"parts\":%zu,\"M\":%zu,"
           "\"N\":%zu,"
           "\"K\":%zu,\"us\":%.1f,\"gops\":%.1f",
           qn_gemm_backend(g), gelu ? "true" : "false", parts, M, N, K, t * 1e6, gops);
    if (peak > 0)
        printf(",\"peak_gops\":%.0f,\"share_of_peak\":%.2f", peak, gops / peak);
    printf("}\n");
    void *all[] = {p.scratch, p.Y, (void *)(uintptr_t)p.X, (void *)(uintptr_t)p.bias};
    for (size_t i = 0; i < 4; i++) qn_delete_aligned(qn_alloc_heap(), all[i]);
    qn_gemm_destroy(g);
}

static void bench_products(void)
{
    static const size_t shapes[][3] = {
        {1, 384, 384},     {4, 384, 384},    {16, 384, 384},   {32, 384, 384},
        {32, 1152, 384},   {32, 1536, 384},  {32, 384, 1536},  {1, 768, 768},
        {8, 768, 768},     {32, 768, 768},   {128, 384, 384},  {128, 1152, 384},
        {128, 1536, 384},  {128, 384, 1536}, {512, 1536, 384}, {512, 384, 1536},
        {128, 768, 768},   {128, 2304, 768}, {128, 3072, 768}, {128, 768, 3072},
        {256, 2304, 768},  {256, 3072, 768}, {256, 768, 3072}, {1024, 3072, 768},
        {1024, 768, 3072},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        for (qn_gemm_type type = QN_GEMM_F32; type <= QN_GEMM_BF16; type++) {
            for (size_t v = 0; v + 1 < qn_kernel_set_count; v++) {
                const qn_kernels *k = &qn_kernel_sets[v];
                bool own = type != QN_GEMM_BF16 || k->tiles_bf16 != NULL;
                if (own && set_wanted(k))
                    bench_gemm(&qn_num__gemm_own, k, type, shapes[i], false, 0);
                if (own && set_wanted(k) && type == QN_GEMM_I8) /* as models have it */
                    bench_gemm(&qn_num__gemm_own, k, type, shapes[i], false, 2);
            }
#ifdef QN_HAVE_ONEDNN
            if (type != QN_GEMM_BF16)
                bench_gemm(&qn_num__gemm_onednn, qn_kernels_best(), type, shapes[i],
                           false, 0);
#endif
        }
    }
    static const size_t up[] = {128, 1536, 384};
    bench_gemm(&qn_num__gemm_own, qn_kernels_best(), QN_GEMM_F32, up, true, 0);
    bench_gemm(&qn_num__gemm_own, qn_kernels_best(), QN_GEMM_I8, up, true, 2);
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

/* ---- attention ---- */

static void run_attention(void *arg)
{
    const qn_attention *a = arg;
    static _Alignas(64) float scratch[1 << 20];
    if (qn_attention_scratch(a->kernels, a->d, a->keys, 512) > 1 << 20) abort();
    if (!qn_attention_run(a, NULL, scratch)) abort();
}

/* One head of S tokens; with positions as DeBERTa has them, 128 to each side by ones and
 * farther off by runs. */
static void bench_attention(const qn_kernels *k, size_t S, size_t d, bool positions,
                            bool integers)
{
    enum { POSITIONS = 512, WIDTH = 768 };
    static int32_t table[2 * POSITIONS];
    size_t ld = qn_attention_stride(POSITIONS);
    float *qkv = noise(3 * WIDTH * S), *out = memory(WIDTH * S * sizeof(float));
    float *PK = noise(ld * d), *PQ = noise(ld * d);
    for (int32_t i = 1 - POSITIONS; i < POSITIONS; i++) {
        int32_t far = i < 0 ? -i : i, at = far <= 128 ? far : 128 + (far - 128) / 4;
        table[i + POSITIONS] = POSITIONS / 2 + (i < 0 ? -at : at);
    }
    qn_attention a = {.kernels = k, .d = d, .keys = S, .queries = S, .alpha = 0.1f};
    a.Q = qkv, a.K = qkv + WIDTH, a.V = qkv + 2 * WIDTH;
    a.ldq = a.ldkv = 3 * WIDTH;
    a.out = out, a.ldo = WIDTH;
    a.relative.ld = ld, a.relative.index = table + POSITIONS;
    qn_gemm *PK_i8 = NULL, *PQ_i8 = NULL;
    float *rows = noise(POSITIONS * d);
    a.integers = integers;
    if (positions) {
        a.relative.PK = PK, a.relative.PQ = PQ;
        if (qn_attention_pack(qn_alloc_heap(), k, rows, POSITIONS, d, d, &PK_i8,
                              NULL) != QN_OK ||
            qn_attention_pack(qn_alloc_heap(), k, rows, POSITIONS, d, d, &PQ_i8,
                              NULL) != QN_OK)
            abort();
        a.relative.PK_i8 = PK_i8, a.relative.PQ_i8 = PQ_i8;
    }
    double t = best_time(run_attention, &a), peak = peak_of(k, QN_GEMM_F32);
    double gops = (positions ? 8e-9 : 4e-9) * (double)(S * S * d) / t;
    printf("{\"bench\":\"attention\",\"set\":\"%s\",\"S\":%zu,\"d\":%zu,\"positions\":"
           "%s,\"integers\":%s,\"us\":%.2f,\"gops\":%.1f",
           k->name, S, d, positions ? "true" : "false", integers ? "true" : "false",
           t * 1e6, gops);
    if (peak > 0) printf(",\"share_of_peak\":%.2f", gops / peak);
    printf("}\n");
    qn_gemm_destroy(PK_i8);
    qn_gemm_destroy(PQ_i8);
    float *all[] = {qkv, out, PK, PQ, rows};
    for (size_t i = 0; i < 5; i++) qn_delete_aligned(qn_alloc_heap(), all[i]);
}

int main(int argc, char **argv)
{
    if (argc > 1) seconds_per_figure = strtod(argv[1], NULL);
    if (argc > 2) only = argv[2];
    if (argc > 3) only_set = argv[3];
    for (size_t v = 0; v < qn_kernel_set_count; v++) {
        const qn_kernels *k = &qn_kernel_sets[v];
        if (!set_wanted(k)) continue;
        bench_vectors(k);
        static const size_t lengths[] = {32, 128, 256, 512};
        for (size_t i = 0; i < 4 && wanted("attention"); i++) {
            for (int integers = 0; integers < 2; integers++) {
                bench_attention(k, lengths[i], 32, false, integers != 0);
                bench_attention(k, lengths[i], 64, false, integers != 0);
                bench_attention(k, lengths[i], 64, true, integers != 0);
            }
        }
    }
    if (wanted("gemm")) bench_products();
    return 0;
}

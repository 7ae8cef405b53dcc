/* SPDX-License-Identifier: Apache-2.0 */
/* kernels.c -- the one place where a CPU feature chooses code. Fastest first. A new set
 * is new files plus one row; tests walk this table, so the row is also what gets it
 * tested. */
#include "num/kernels.h"

#include "base/log.h"
#include "num/kernels_internal.h"
#include "num/lists.h"
#include "num/matmul.h"

#include <stdlib.h>
#include <string.h>
#ifdef QN_BUILD_X86
#include <cpuid.h>
#endif

static bool any_cpu(void)
{
    return true;
}

/* __builtin_cpu_supports() answers no when the system does not save the wide registers:
 * it asks XGETBV as well as CPUID. */
#ifdef QN_BUILD_X86
static bool has_avx512vnni(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vnni");
}
static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

/* Two bits that not every compiler has a name for: leaf 7.1, register A. */
static bool has_leaf_7_1(unsigned bit)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> bit & 1) != 0;
}
static bool has_avx512bf16(void)
{
    return has_avx512vnni() && has_leaf_7_1(5);
}
static bool has_avxvnni(void)
{
    return has_avx2() && has_leaf_7_1(4);
}
#endif

#define MATMUL(set)                                                                    \
    static void matmul_nt_##set(size_t M, size_t N, size_t K, float alpha,             \
                                const float *A, size_t lda, const float *B,            \
                                size_t ldb, float *C, size_t ldc)                      \
    {                                                                                  \
        qn_num__matmul_nt(&qn_num__tiles_##set, M, N, K, alpha, A, lda, B, ldb, C,     \
                          ldc);                                                        \
    }                                                                                  \
    static void matmul_nn_##set(size_t M, size_t N, size_t K, const float *A,          \
                                size_t lda, const float *B, size_t ldb, float *C,      \
                                size_t ldc)                                            \
    {                                                                                  \
        qn_num__matmul_nn(&qn_num__tiles_##set, M, N, K, A, lda, B, ldb, C, ldc);      \
    }

/* clang-format off */
/* set: whose functions; i8, bf16: whose tiles. */
#define ROW(text, test, set, i8, bf16)              \
    {.name = (text), .usable = (test),              \
     .dot_f32 = qn_num__dot_f32_##set,              \
     .l2_f32 = qn_num__l2_f32_##set,                \
     .dot_i8 = qn_num__dot_i8_##set,                \
     .l2_i8 = qn_num__l2_i8_##set,                  \
     .dot_f32_rows = qn_num__dot_f32_rows_##set,    \
     .l2_f32_rows = qn_num__l2_f32_rows_##set,      \
     .dot_i8_rows = qn_num__dot_i8_rows_##set,      \
     .l2_i8_rows = qn_num__l2_i8_rows_##set,        \
     .quantize_i8 = qn_num__quantize_i8_##set,      \
     .softmax = qn_num__softmax_##set,              \
     .softmax_sum = qn_num__softmax_sum_##set,      \
     .pick = qn_num__pick_##set,                    \
     .scale = qn_num__scale_##set,                  \
     .layer_norm = qn_num__layer_norm_##set,        \
     .gelu = qn_num__gelu_##set,                    \
     .gelu_tanh = qn_num__gelu_tanh_##set,          \
     .silu = qn_num__silu_##set,                    \
     .relu = qn_num__relu_##set,                    \
     .rotate = qn_num__rotate_##set,                \
     .add = qn_num__add_##set,                      \
     .axpy = qn_num__axpy_##set,                    \
     .mul = qn_num__mul_##set,                      \
     .center = qn_num__center_##set,                \
     .tanh = qn_num__tanh_##set,                    \
     .match_packed = qn_num__match_packed_##set,    \
     .matmul_nt = matmul_nt_##set,                  \
     .matmul_nn = matmul_nn_##set,                  \
     .lists = &qn_num__lists_##set,                 \
     .tiles = &qn_num__tiles_##set,                 \
     .tiles_i8 = &qn_num__tiles_i8_##i8,            \
     .tiles_bf16 = (bf16)}
/* clang-format on */

#ifdef QN_BUILD_X86
MATMUL(avx512)
MATMUL(avx2)
#endif
#ifdef QN_BUILD_NEON
MATMUL(neon)
#endif
MATMUL(scalar)

const qn_kernels qn_kernel_sets[] = {
#ifdef QN_BUILD_X86
    ROW("avx512bf16", has_avx512bf16, avx512, avx512, &qn_num__tiles_bf16_avx512),
    ROW("avx512vnni", has_avx512vnni, avx512, avx512, NULL),
    ROW("avxvnni", has_avxvnni, avx2, avxvnni, NULL),
    ROW("avx2", has_avx2, avx2, avx2, NULL),
#endif
#ifdef QN_BUILD_NEON
    ROW("neon", any_cpu, neon, neon, NULL), /* part of every 64-bit Arm */
#endif
    ROW("scalar", any_cpu, scalar, scalar, NULL),
};
const size_t qn_kernel_set_count = sizeof qn_kernel_sets / sizeof *qn_kernel_sets;

void qn_pointwise_apply(const qn_kernels *kernels, qn_pointwise f, float *x, size_t n)
{
    switch (f) {
    case QN_POINTWISE_NONE:
        break;
    case QN_POINTWISE_GELU:
        kernels->gelu(x, n);
        break;
    case QN_POINTWISE_GELU_TANH:
        kernels->gelu_tanh(x, n);
        break;
    case QN_POINTWISE_RELU:
        kernels->relu(x, n);
        break;
    case QN_POINTWISE_SILU:
        kernels->silu(x, n);
        break;
    case QN_POINTWISE_TANH:
        kernels->tanh(x, n);
        break;
    }
}

const qn_kernels *qn_kernels_find(const char *name)
{
    for (size_t i = 0; i < qn_kernel_set_count; i++) {
        const qn_kernels *k = &qn_kernel_sets[i];
        if (strcmp(k->name, name) == 0) return k->usable() ? k : NULL;
    }
    return NULL;
}

const qn_kernels *qn_kernels_best(void)
{
    const char *wanted = getenv("QUERN_KERNELS");
    if (wanted != NULL && wanted[0] != '\0') {
        const qn_kernels *k = qn_kernels_find(wanted);
        if (k != NULL) return k;
        qn_log(QN_LOG_WARN, "num", "QUERN_KERNELS=%s: no such kernel set here, ignored",
               wanted);
    }
    for (size_t i = 0; i < qn_kernel_set_count; i++)
        if (qn_kernel_sets[i].usable()) return &qn_kernel_sets[i];
    return &qn_kernel_sets[qn_kernel_set_count - 1]; /* scalar: usable by definition */
}

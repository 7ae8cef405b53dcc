/* SPDX-License-Identifier: Apache-2.0 */
#include "num_peak.h"

#include <string.h>

#if defined(__x86_64__)

enum { PASSES = 2000, CHAINS = 12 };

/* Registers 0 to 11 add up; 13 and 14 are multiplied; 15 is for a step in between. */
#define CHAINS_OF(step)                                                                \
    step("0") step("1") step("2") step("3") step("4") step("5") step("6") step("7")    \
        step("8") step("9") step("10") step("11")
#define FMA_512(i) "vfmadd231ps %%zmm14, %%zmm13, %%zmm" i "\n\t"
#define FMA_256(i) "vfmadd231ps %%ymm14, %%ymm13, %%ymm" i "\n\t"
#define BF16_512(i) "vdpbf16ps %%zmm14, %%zmm13, %%zmm" i "\n\t"
#define VNNI_512(i) "vpdpbusd %%zmm14, %%zmm13, %%zmm" i "\n\t"
#define VNNI_256(i) "%{vex%} vpdpbusd %%ymm14, %%ymm13, %%ymm" i "\n\t"
#define WORDS_256(i)                                                                   \
    "vpmaddwd %%ymm14, %%ymm13, %%ymm15\n\t"                                           \
    "vpaddd %%ymm15, %%ymm" i ", %%ymm" i "\n\t"

#define LOOP(name, step)                                                               \
    static void name(void *unused)                                                     \
    {                                                                                  \
        (void)unused;                                                                  \
        for (int i = 0; i < PASSES; i++)                                               \
            __asm__ volatile(CHAINS_OF(step)::                                         \
                                 : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",     \
                                   "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11",   \
                                   "xmm13", "xmm14", "xmm15");                         \
        __asm__ volatile("vzeroall" ::                                                 \
                             : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", \
                               "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm13",      \
                               "xmm14", "xmm15");                                      \
    }
LOOP(fma_512, FMA_512)
LOOP(fma_256, FMA_256)
LOOP(bf16_512, BF16_512)
LOOP(vnni_512, VNNI_512)
LOOP(vnni_256, VNNI_256)
LOOP(words_256, WORDS_256)

#define OPS(values) (2.0 * (values)*CHAINS * PASSES)
static const num_peak peaks[] = {
    {"avx512bf16", QN_GEMM_F32, OPS(16), fma_512},
    {"avx512bf16", QN_GEMM_I8, OPS(64), vnni_512},
    {"avx512bf16", QN_GEMM_BF16, OPS(32), bf16_512},
    {"avx512vnni", QN_GEMM_F32, OPS(16), fma_512},
    {"avx512vnni", QN_GEMM_I8, OPS(64), vnni_512},
    {"avxvnni", QN_GEMM_F32, OPS(8), fma_256},
    {"avxvnni", QN_GEMM_I8, OPS(32), vnni_256},
    {"avx2", QN_GEMM_F32, OPS(8), fma_256},
    {"avx2", QN_GEMM_I8, OPS(16), words_256},
};

const num_peak *num_peak_find(const char *set, qn_gemm_type type)
{
    for (size_t i = 0; i < sizeof peaks / sizeof *peaks; i++)
        if (peaks[i].type == type && strcmp(peaks[i].set, set) == 0) return &peaks[i];
    return NULL;
}

#else

const num_peak *num_peak_find(const char *set, qn_gemm_type type)
{
    (void)set, (void)type;
    return NULL;
}

#endif

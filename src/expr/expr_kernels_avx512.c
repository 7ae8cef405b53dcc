/* SPDX-License-Identifier: Apache-2.0 */
/* expr_kernels_avx512.c -- the steps compiled for AVX-512. No FMA, as in the other sets. */
#define QN_EXPR_KERNELS qn_expr__kernels_avx512
#define QN_EXPR_KERNELS_NAME "avx512"
#define QN_VEC_BYTES 64
#include "expr/expr_kernels_body.h"

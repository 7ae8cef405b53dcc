/* SPDX-License-Identifier: Apache-2.0 */
/* expr_kernels_avx2.c -- the steps compiled with -mavx2. No FMA: the same operations in
 * the same order give the same bits as the base set. */
#define QN_EXPR_KERNELS qn_expr__kernels_avx2
#define QN_EXPR_KERNELS_NAME "avx2"
#define QN_VEC_BYTES 32
#include "expr/expr_kernels_body.h"

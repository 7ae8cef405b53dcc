/* SPDX-License-Identifier: Apache-2.0 */
/* expr_kernels_base.c -- the steps for any machine: the meaning of all other sets. */
#define QN_EXPR_KERNELS qn_expr__kernels_base
#define QN_EXPR_KERNELS_NAME "scalar"
#define QN_VEC_BYTES 16
#include "expr/expr_kernels_body.h"

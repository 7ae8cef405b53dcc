/* SPDX-License-Identifier: Apache-2.0 */
/* expr_math.c -- the table of math.def, and single values through its kernels. */
#include "expr/expr_internal.h"

#include <math.h>

const qn_expr__math qn_expr__maths[QN_MATH_COUNT] = {
#define M(name, args, beyond) {#name, args, beyond},
#include "expr/math.def"
#undef M
};

double qn_expr__math_eval(qn_expr__math_id function, const double *values)
{
    enum { LANES = 8 };
    _Alignas(64) double lanes[QN_EXPR__MATH_ARGS_MAX][LANES], out[LANES];
    const double *args[QN_EXPR__MATH_ARGS_MAX];
    for (size_t k = 0; k < qn_expr__maths[function].args; k++) {
        for (size_t i = 0; i < LANES; i++) lanes[k][i] = values[k];
        args[k] = lanes[k];
    }
    qn_expr__kernels_base.calls[function](LANES, out, args);
    return out[0];
}

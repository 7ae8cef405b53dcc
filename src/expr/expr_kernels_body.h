/* SPDX-License-Identifier: Apache-2.0 */
/* expr_kernels_body.h -- the loops of all OP rows of opcodes.def and of the functions of
 * math.def, and what else touches every lane.
 *
 * Included once by each expr_kernels_<isa>.c, which is compiled with the flags of its
 * instruction set, names the set through QN_EXPR_KERNELS and QN_EXPR_KERNELS_NAME, and
 * says through QN_VEC_BYTES how much one instruction works on. The result never shares
 * a register with an operand (expr_emit.c sees to it), hence `restrict`. */
#include "expr/expr_internal.h"

#include "expr/expr_vector.h"

#include "expr/expr_math_body.h"

#include <float.h>

#define TYPE_I int64_t
#define TYPE_F double
#define TYPE_S qn_slice
#define TYPE_N char
#define LANE_I(p, i) ((const int64_t *)(p))[i]
#define LANE_F(p, i) ((const double *)(p))[i]
#define LANE_S(p, i) ((const qn_slice *)(p))[i]
#define LANE_N(p, i) 0

static inline int64_t qn_expr__to_int(double x)
{
    if (x >= 9223372036854775808.0) return INT64_MAX;
    if (x < -9223372036854775808.0) return INT64_MIN;
    return x != x ? 0 : (int64_t)x;
}

static inline int64_t qn_expr__div_int(int64_t x, int64_t y)
{
    if (y == 0) return 0;
    return y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y;
}

static inline int64_t qn_expr__div_uint(int64_t x, int64_t y)
{
    return y == 0 ? 0 : (int64_t)((uint64_t)x / (uint64_t)y);
}

static inline int64_t qn_expr__bit_count(int64_t x)
{
    return __builtin_popcountll((unsigned long long)x);
}

#define OP(name, text, r, a, b, c, value, meaning)                                     \
    static void run_##name(size_t n, void *restrict dst, const void *px,               \
                           const void *py, const void *pz)                             \
    {                                                                                  \
        TYPE_##r *restrict d = dst;                                                    \
        (void)px, (void)py, (void)pz;                                                  \
        for (size_t i = 0; i < n; i++) {                                               \
            const TYPE_##a x = LANE_##a(px, i);                                        \
            const TYPE_##b y = LANE_##b(py, i);                                        \
            const TYPE_##c z = LANE_##c(pz, i);                                        \
            (void)x, (void)y, (void)z;                                                 \
            d[i] = (value);                                                            \
        }                                                                              \
    }
#define OPX(name, text, r, a, b, c, meaning)
#include "expr/opcodes.def"
#undef OP
#undef OPX

/* --- functions --- */

typedef double (*beyond_fn)(double);

/* Lanes whose angle the vector code does not take, NaN among them. */
static void run_beyond(size_t n, double *dst, const double *x, beyond_fn beyond)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs(x[i]) <= QN_EXPR__ANGLE_MAX)) dst[i] = beyond(x[i]);
}

#define M(name, args, beyond)                                                          \
    static void call_##name(size_t n, double *restrict dst, const double *const *x)    \
    {                                                                                  \
        for (size_t i = 0; i < n; i += VEC_LANES) {                                    \
            vecf v[args];                                                              \
            for (size_t k = 0; k < (args); k++) v[k] = *(const vecf *)(x[k] + i);      \
            *(vecf *)(dst + i) = math_##name(v);                                       \
        }                                                                              \
        const beyond_fn other = beyond;                                                \
        if (other != NULL) run_beyond(n, dst, x[0], other);                            \
    }
#include "expr/math.def"
#undef M

/* --- whole runs --- */

static bool any_lane(size_t n, const int64_t *x, bool wanted)
{
    uint64_t seen = 0;
    for (size_t i = 0; i < n; i++) seen |= (uint64_t)((x[i] != 0) == wanted);
    return seen != 0;
}

static size_t finish(size_t n, const double *restrict x, double *restrict out)
{
    uint64_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        bool fine = fabs(x[i]) <= DBL_MAX;
        out[i] = fine ? x[i] : 0;
        bad += (uint64_t)!fine;
    }
    return (size_t)bad;
}

#define IN(suffix, type)                                                               \
    static void in_##suffix(size_t n, int64_t *restrict dst, const type *restrict x,   \
                            const type *set, size_t count)                             \
    {                                                                                  \
        memset(dst, 0, n * sizeof *dst);                                               \
        for (size_t k = 0; k < count; k++) {                                           \
            const type one = set[k];                                                   \
            for (size_t i = 0; i < n; i++) dst[i] |= x[i] == one;                      \
        }                                                                              \
    }
IN(i64, int64_t)
IN(f64, double)
#undef IN

const qn_expr__kernels QN_EXPR_KERNELS = {
    .name = QN_EXPR_KERNELS_NAME,
    .any_lane = any_lane,
    .finish = finish,
    .in_i64 = in_i64,
    .in_f64 = in_f64,
    .ops =
        {
#define OP(name, text, r, a, b, c, value, meaning) [QN_OP_##name] = run_##name,
#define OPX(name, text, r, a, b, c, meaning) [QN_OP_##name] = NULL,
#include "expr/opcodes.def"
#undef OP
#undef OPX
        },
    .calls =
        {
#define M(name, args, beyond) call_##name,
#include "expr/math.def"
#undef M
        },
};

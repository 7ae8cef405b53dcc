/* SPDX-License-Identifier: Apache-2.0 */
/* expr_vector.h -- the notation of expr_math_body.h as arithmetic: vectors of
 * QN_VEC_BYTES, what one instruction of the including file's set works on. */
#ifndef QN_EXPR_VECTOR_H
#define QN_EXPR_VECTOR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#ifndef QN_VEC_BYTES
#define QN_VEC_BYTES 16
#endif

enum { VEC_LANES = QN_VEC_BYTES / 8 };
typedef double vecf __attribute__((vector_size(QN_VEC_BYTES)));
typedef int64_t veci __attribute__((vector_size(QN_VEC_BYTES)));
typedef uint64_t vecu __attribute__((vector_size(QN_VEC_BYTES)));
typedef veci mask; /* lanes of all ones or all zeros */

#define MATH_INLINE __attribute__((always_inline, unused))
#define QN_MATH_NAME(name) vec_##name
#define CTX
#define PASS

static inline MATH_INLINE vecf vec_all(double x)
{
    return x - (vecf){0};
}

static inline MATH_INLINE veci vec_all_bits(int64_t x)
{
    return x - (veci){0};
}

static inline MATH_INLINE vecf vec_sqrt(vecf x)
{
    vecf y;
    for (size_t i = 0; i < VEC_LANES; i++) y[i] = sqrt(x[i]);
    return y;
}

static inline MATH_INLINE vecf vec_floor(vecf x)
{
    vecf y;
    for (size_t i = 0; i < VEC_LANES; i++) y[i] = floor(x[i]);
    return y;
}

static inline MATH_INLINE vecf vec_ceil(vecf x)
{
    vecf y;
    for (size_t i = 0; i < VEC_LANES; i++) y[i] = ceil(x[i]);
    return y;
}

static inline MATH_INLINE vecf vec_pick(mask m, vecf a, vecf b)
{
    return (vecf)((m & (veci)a) | (~m & (veci)b));
}

#define K(d) vec_all(d)
#define KI(i) vec_all_bits(i)
#define ADD(a, b) ((a) + (b))
#define SUB(a, b) ((a) - (b))
#define MUL(a, b) ((a) * (b))
#define DIV(a, b) ((a) / (b))
#define NEG(a) (-(a))
#define ABS(a) DOUBLE(BITS(a) & KI(INT64_MAX))
#define SQRT(a) vec_sqrt(a)
#define FLOOR(a) vec_floor(a)
#define CEIL(a) vec_ceil(a)
#define LT(a, b) ((a) < (b))
#define LE(a, b) ((a) <= (b))
#define EQ(a, b) ((a) == (b))
#define AND(a, b) ((a) & (b))
#define OR(a, b) ((a) | (b))
#define NOT(a) (~(a))
#define PICK(m, a, b) vec_pick(m, a, b)
#define BITS(f) ((veci)(f))
#define DOUBLE(i) ((vecf)(i))
#define IADD(a, b) ((veci)((vecu)(a) + (vecu)(b)))
#define IAND(a, b) ((a) & (b))
#define IOR(a, b) ((a) | (b))
#define IXOR(a, b) ((a) ^ (b))
#define ISHL(a, n) ((veci)((vecu)(a) << (n)))
#define ISHR(a, n) ((veci)((vecu)(a) >> (n)))
#define BELOW_0(a) ((a) < KI(0))

#endif

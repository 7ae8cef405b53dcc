/* SPDX-License-Identifier: Apache-2.0 */
/* expr_math_body.h -- the functions of math.def, written once for every executor.
 *
 * The text below is arithmetic on vectors of documents in a small notation; who includes
 * it says what the notation means: expr_vector.h computes (each kernel set, scalars
 * included, the constant folder), the compiler emits instructions. All operations are
 * IEEE double in the order written, none is fused, so every reading gives the same bits.
 *
 *     vecf veci mask          doubles, 64-bit integers, truth values, one per document
 *     CTX, PASS               a first parameter and argument that a reader may need
 *     K(d) KI(i)              a constant in every lane
 *     ADD SUB MUL DIV NEG ABS SQRT FLOOR CEIL            on doubles
 *     LT LE EQ                doubles to masks, false for NaN; AND OR NOT on masks
 *     PICK(m, a, b)           a where m, else b
 *     BITS(f) DOUBLE(i) IADD IAND IOR IXOR ISHL(i, n) ISHR(i, n)   on the bits
 *     BELOW_0(i)              integers to masks
 *
 * Error bounds, in units of the last place, by the test against long double: ln, log2,
 * log10, exp, pow 1; sigmoid, asin, acos, atan, sin, cos 1.5; tan 3. The methods and
 * coefficients of ln, log2, log10, exp, pow, atan, asin, sin and cos are those of fdlibm,
 * with its branches turned into choices:
 *
 *     Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved. Developed at
 *     SunPro, a Sun Microsystems, Inc. business. Permission to use, copy, modify, and
 *     distribute this software is freely granted, provided that this notice is preserved.
 */

#define MATH_FN static inline MATH_INLINE

/* c[0] + x (c[1] + x (...)) */
MATH_FN vecf horner(CTX vecf x, const double *c, int n)
{
    vecf r = K(c[n - 1]);
    for (int i = n - 2; i >= 0; i--) r = ADD(K(c[i]), MUL(x, r));
    return r;
}

/* The upper 32 bits of a double: two such numbers multiply without rounding. */
MATH_FN vecf upper_half(CTX vecf x)
{
    return DOUBLE(IAND(BITS(x), KI((int64_t)0xffffffff00000000u)));
}

#define MATH_NAN K((double)__builtin_nanf(""))
#define MATH_INF K((double)__builtin_inff())
/* Adding and taking away 1.5 * 2^52 rounds to an integer. */
#define ROUNDER 0x1.8p52

/* --- exp --- */

/* 2^k of an integer |k| <= 1022: its bits are k + 1023 in the exponent's place. */
MATH_FN vecf power_of_two(CTX vecf k)
{
    return DOUBLE(ISHL(BITS(ADD(k, K(ROUNDER + 1023))), 52));
}

/* x 2^k, in two steps for results that are subnormal or overflow. |k| <= 2044. */
MATH_FN vecf scale_by(CTX vecf x, vecf k)
{
    vecf half = SUB(ADD(MUL(k, K(0.5)), K(ROUNDER)), K(ROUNDER));
    return MUL(MUL(x, power_of_two(PASS half)), power_of_two(PASS SUB(k, half)));
}

static const double exp_coefficients[] = {
    1.66666666666666019037e-01, -2.77777777770155933842e-03, 6.61375632143793436117e-05,
    -1.65339022054652515390e-06, 4.13813679705723846039e-08};

/* x = k ln 2 + r, |r| <= ln 2 / 2; e^r by a rational approximation. */
MATH_FN vecf vec_exp(CTX vecf x)
{
    x = PICK(LT(K(710), x), K(710), x);   /* e^710 overflows, */
    x = PICK(LT(x, K(-746)), K(-746), x); /* e^-746 is 0 */
    vecf k = SUB(ADD(MUL(x, K(1.44269504088896338700)), K(ROUNDER)), K(ROUNDER));
    vecf hi = SUB(x, MUL(k, K(6.93147180369123816490e-01)));
    vecf lo = MUL(k, K(1.90821492927058770002e-10));
    vecf r = SUB(hi, lo), t = MUL(r, r);
    vecf c = SUB(r, MUL(t, horner(PASS t, exp_coefficients, 5)));
    vecf y = SUB(K(1), SUB(SUB(lo, DIV(MUL(r, c), SUB(K(2), c))), hi));
    return scale_by(PASS y, k);
}

/* --- logarithms --- */

/* x = 2^k (1 + f), sqrt(1/2) < 1 + f < sqrt(2), for positive finite x. */
typedef struct QN_MATH_NAME(parts) {
    vecf k, f;
} QN_MATH_NAME(parts);

MATH_FN QN_MATH_NAME(parts) take_apart(CTX vecf x)
{
    const int64_t split = INT64_C(0x3fe6a09e) << 32; /* bits of sqrt(1/2) */
    const int64_t one = INT64_C(0x3ff00000) << 32;
    mask small = LT(x, K(0x1p-1022));
    veci bits = BITS(PICK(small, MUL(x, K(0x1p54)), x));
    veci u = IADD(bits, KI(one - split));
    /* The exponent as a double: put under 2^52, taken away again. */
    vecf k = SUB(DOUBLE(IOR(ISHR(u, 52), KI(INT64_C(0x433) << 52))), K(0x1p52 + 1023));
    vecf m = DOUBLE(IADD(IAND(u, KI((INT64_C(1) << 52) - 1)), KI(split)));
    QN_MATH_NAME(parts) p;
    p.k = PICK(small, SUB(k, K(54)), k);
    p.f = SUB(m, K(1));
    return p;
}

static const double log_coefficients[] = {
    6.666666666666735130e-01, 3.999999999940941908e-01, 2.857142874366239149e-01,
    2.222219843214978396e-01, 1.818357216161805012e-01, 1.531383769920937332e-01,
    1.479819860511658591e-01};

/* log(1 + f) = f - half + rest, half = f^2 / 2. */
typedef struct QN_MATH_NAME(log1p_parts) {
    vecf half, rest;
} QN_MATH_NAME(log1p_parts);

MATH_FN QN_MATH_NAME(log1p_parts) log1p_of(CTX vecf f)
{
    vecf s = DIV(f, ADD(K(2), f)), z = MUL(s, s);
    QN_MATH_NAME(log1p_parts) p;
    p.half = MUL(MUL(K(0.5), f), f);
    p.rest = MUL(s, ADD(p.half, MUL(z, horner(PASS z, log_coefficients, 7))));
    return p;
}

/* What a logarithm is where there is none: of 0 -inf, below NaN; inf and NaN as they
 * are. */
MATH_FN vecf log_edges(CTX vecf x, vecf y)
{
    y = PICK(LT(x, MATH_INF), y, x);
    y = PICK(LE(x, K(0)), PICK(EQ(x, K(0)), NEG(MATH_INF), MATH_NAN), y);
    return y;
}

MATH_FN vecf vec_ln(CTX vecf x)
{
    QN_MATH_NAME(parts) p = take_apart(PASS x);
    QN_MATH_NAME(log1p_parts) l = log1p_of(PASS p.f);
    vecf low = ADD(l.rest, MUL(p.k, K(1.90821492927058770002e-10)));
    vecf y = ADD(ADD(SUB(low, l.half), p.f), MUL(p.k, K(6.93147180369123816490e-01)));
    return log_edges(PASS x, y);
}

/* log(1 + f) in two pieces, the first of few bits, times a constant in two pieces, plus
 * k times another one. */
typedef struct QN_MATH_NAME(base) {
    double inverse_hi, inverse_lo; /* 1 / ln(base) */
    double two_hi, two_lo;         /* log of 2 to the base */
} QN_MATH_NAME(base);

MATH_FN vecf log_to_base(CTX vecf x, QN_MATH_NAME(base) b)
{
    QN_MATH_NAME(parts) p = take_apart(PASS x);
    QN_MATH_NAME(log1p_parts) l = log1p_of(PASS p.f);
    vecf hi = upper_half(PASS SUB(p.f, l.half));
    vecf lo = ADD(SUB(SUB(p.f, hi), l.half), l.rest);
    vecf high = MUL(hi, K(b.inverse_hi));
    vecf low = ADD(MUL(ADD(lo, hi), K(b.inverse_lo)), MUL(lo, K(b.inverse_hi)));
    low = ADD(MUL(p.k, K(b.two_lo)), low);
    vecf whole = MUL(p.k, K(b.two_hi)), sum = ADD(whole, high);
    low = ADD(low, ADD(SUB(whole, sum), high));
    return log_edges(PASS x, ADD(low, sum));
}

MATH_FN vecf vec_log2(CTX vecf x)
{
    return log_to_base(PASS x, (QN_MATH_NAME(base)){1.44269504072144627571e+00,
                                                    1.67517131648865118353e-10, 1, 0});
}

MATH_FN vecf vec_log10(CTX vecf x)
{
    return log_to_base(PASS x, (QN_MATH_NAME(base)){4.34294481878168880939e-01,
                                                    2.50829467116452752298e-11,
                                                    3.01029995663611771306e-01,
                                                    3.69423907715893078616e-13});
}

/* --- pow --- */

static const double pow_coefficients[] = {
    5.99999999999994648725e-01, 4.28571428578550184252e-01, 3.33333329818377432918e-01,
    2.72728123808534006489e-01, 2.30660745775561754067e-01, 2.06975017800338417784e-01};

/* The logarithm to base 2 of positive finite x in two pieces, the first of few bits. */
typedef struct QN_MATH_NAME(pair) {
    vecf hi, lo;
} QN_MATH_NAME(pair);

MATH_FN QN_MATH_NAME(pair) log2_pair(CTX vecf x)
{
    mask small = LT(x, K(0x1p-1022));
    veci bits = BITS(PICK(small, MUL(x, K(0x1p53)), x));
    vecf n =
        SUB(DOUBLE(IOR(ISHR(bits, 52), KI(INT64_C(0x433) << 52))), K(0x1p52 + 1023));
    n = PICK(small, SUB(n, K(53)), n);
    vecf ax =
        DOUBLE(IOR(IAND(bits, KI((INT64_C(1) << 52) - 1)), KI(INT64_C(0x3ff) << 52)));
    /* Near 1, near 1.5 or near 2: log of the quotient by that and the log of that. */
    mask middle = LT(K(1.2247447967529297), ax), upper = LE(K(1.7320499420166016), ax);
    n = PICK(upper, ADD(n, K(1)), n);
    ax = PICK(upper, MUL(ax, K(0.5)), ax);
    mask near_15 = AND(middle, NOT(upper));
    vecf near = PICK(near_15, K(1.5), K(1));
    vecf dp_hi = PICK(near_15, K(5.84962487220764160156e-01), K(0));
    vecf dp_lo = PICK(near_15, K(1.35003920212974897128e-08), K(0));

    vecf u = SUB(ax, near), v = DIV(K(1), ADD(ax, near)), ss = MUL(u, v);
    vecf s_h = upper_half(PASS ss);
    vecf t_h = upper_half(PASS ADD(ax, near));
    vecf t_l = SUB(ax, SUB(t_h, near));
    vecf s_l = MUL(v, SUB(SUB(u, MUL(s_h, t_h)), MUL(s_h, t_l)));
    vecf s2 = MUL(ss, ss);
    vecf r = MUL(MUL(s2, s2), horner(PASS s2, pow_coefficients, 6));
    r = ADD(r, MUL(s_l, ADD(s_h, ss)));
    s2 = MUL(s_h, s_h);
    t_h = upper_half(PASS ADD(ADD(K(3), s2), r));
    t_l = SUB(r, SUB(SUB(t_h, K(3)), s2));
    u = MUL(s_h, t_h);
    v = ADD(MUL(s_l, t_h), MUL(t_l, ss));
    vecf p_h = upper_half(PASS ADD(u, v));
    vecf p_l = SUB(v, SUB(p_h, u));
    vecf z_h = MUL(K(9.61796700954437255859e-01), p_h);
    vecf z_l = ADD(ADD(MUL(K(-7.02846165095275826516e-09), p_h),
                       MUL(p_l, K(9.61796693925975554329e-01))),
                   dp_lo);
    QN_MATH_NAME(pair) out;
    out.hi = upper_half(PASS ADD(ADD(ADD(z_h, z_l), dp_hi), n));
    out.lo = SUB(z_l, SUB(SUB(SUB(out.hi, n), dp_hi), z_h));
    return out;
}

/* 2^(hi + lo). */
MATH_FN vecf exp2_pair(CTX vecf hi, vecf lo)
{
    vecf z = ADD(hi, lo);
    mask beyond = LT(K(1100), ABS(z)); /* it overflows or is 0 */
    hi = PICK(beyond, PICK(LT(z, K(0)), K(-1100), K(1100)), hi);
    lo = PICK(beyond, K(0), lo);
    vecf n = SUB(ADD(ADD(hi, lo), K(ROUNDER)), K(ROUNDER));
    hi = SUB(hi, n);
    vecf t = upper_half(PASS ADD(lo, hi));
    vecf u = MUL(t, K(6.93147182464599609375e-01));
    vecf v = ADD(MUL(SUB(lo, SUB(t, hi)), K(6.93147180559945286227e-01)),
                 MUL(t, K(-1.90465429995776804525e-09)));
    z = ADD(u, v);
    vecf w = SUB(v, SUB(z, u));
    t = MUL(z, z);
    vecf t1 = SUB(z, MUL(t, horner(PASS t, exp_coefficients, 5)));
    vecf r = SUB(DIV(MUL(z, t1), SUB(t1, K(2))), ADD(w, MUL(z, w)));
    return scale_by(PASS SUB(K(1), SUB(r, z)), n);
}

/* The standard says pow(1, NaN) = pow(NaN, 0) = 1; here NaN always goes through. */
MATH_FN vecf vec_pow(CTX vecf x, vecf y)
{
    vecf ax = ABS(x), ay = ABS(y);
    QN_MATH_NAME(pair) l = log2_pair(PASS ax);
    vecf y1 = upper_half(PASS y);
    vecf lo = ADD(MUL(SUB(y, y1), l.hi), MUL(y, l.lo));
    vecf r = exp2_pair(PASS MUL(y1, l.hi), lo);

    mask rises = LT(K(0), y), no_y = EQ(y, K(0));
    mask none = EQ(ax, K(0)), endless = EQ(ax, MATH_INF);
    r = PICK(none, PICK(rises, K(0), MATH_INF), r);
    r = PICK(endless, PICK(rises, MATH_INF, K(0)), r);
    mask grows = OR(AND(LT(K(1), ax), rises), AND(LT(ax, K(1)), NOT(rises)));
    vecf limit = PICK(EQ(ax, K(1)), K(1), PICK(grows, MATH_INF, K(0)));
    r = PICK(EQ(ay, MATH_INF), limit, r);
    /* Negative x: by whether y is even, odd or no integer at all. */
    mask negative = BELOW_0(BITS(x));
    mask whole = OR(LE(K(0x1p53), ay), EQ(FLOOR(y), y));
    vecf pairs = MUL(y, K(0.5));
    mask odd = AND(AND(LT(ay, K(0x1p53)), whole), NOT(EQ(FLOOR(pairs), pairs)));
    r = PICK(AND(negative, odd), NEG(r), r);
    mask ordinary = AND(NOT(none), NOT(endless));
    r = PICK(AND(AND(negative, ordinary), NOT(whole)), MATH_NAN, r);
    r = PICK(OR(no_y, EQ(x, K(1))), K(1), r);
    return PICK(AND(EQ(x, x), EQ(y, y)), r, MATH_NAN);
}

/* --- angles --- */

static const double atan_even[] = {
    3.33333333333329318027e-01, 1.42857142725034663711e-01, 9.09088713343650656196e-02,
    6.66107313738753120669e-02, 4.97687799461593236017e-02, 1.62858201153657823623e-02};
static const double atan_odd[] = {
    -1.99999999998764832476e-01, -1.11111104054623557880e-01,
    -7.69187620504482999495e-02, -5.83357013379057348645e-02,
    -3.65315727442169155270e-02};

/* The sign of `from` on `x`, which has none. */
MATH_FN vecf with_sign(CTX vecf x, vecf from)
{
    return DOUBLE(IOR(BITS(x), IAND(BITS(from), KI(INT64_MIN))));
}

/* atan(x) = atan(c) + atan((x - c) / (1 + c x)), c one of 0, 1/2, 1, 3/2, infinity. */
MATH_FN vecf vec_atan(CTX vecf x)
{
    vecf a = ABS(x), top = a, bottom = K(1), hi = K(0), lo = K(0);
    mask m = LE(K(0.4375), a);
    top = PICK(m, SUB(ADD(a, a), K(1)), top);
    bottom = PICK(m, ADD(K(2), a), bottom);
    hi = PICK(m, K(4.63647609000806093515e-01), hi);
    lo = PICK(m, K(2.26987774529616870924e-17), lo);
    m = LE(K(0.6875), a);
    top = PICK(m, SUB(a, K(1)), top);
    bottom = PICK(m, ADD(a, K(1)), bottom);
    hi = PICK(m, K(7.85398163397448278999e-01), hi);
    lo = PICK(m, K(3.06161699786838301793e-17), lo);
    m = LE(K(1.1875), a);
    top = PICK(m, SUB(a, K(1.5)), top);
    bottom = PICK(m, ADD(K(1), MUL(K(1.5), a)), bottom);
    hi = PICK(m, K(9.82793723247329054082e-01), hi);
    lo = PICK(m, K(1.39033110312309984516e-17), lo);
    m = LE(K(2.4375), a);
    top = PICK(m, K(-1), top);
    bottom = PICK(m, a, bottom);
    hi = PICK(m, K(1.57079632679489655800e+00), hi);
    lo = PICK(m, K(6.12323399573676603587e-17), lo);
    vecf q = DIV(top, bottom), z = MUL(q, q), w = MUL(z, z);
    vecf s =
        ADD(MUL(z, horner(PASS w, atan_even, 6)), MUL(w, horner(PASS w, atan_odd, 5)));
    vecf y = SUB(hi, SUB(SUB(MUL(q, s), lo), q));
    return PICK(EQ(x, x), with_sign(PASS y, x), x);
}

static const double asin_top[] = {
    1.66666666666666657415e-01, -3.25565818622400915405e-01,
    2.01212532134862925881e-01, -4.00555345006794114027e-02,
    7.91534994289814532176e-04, 3.47933107596021167570e-05};
static const double asin_bottom[] = {
    1, -2.40339491173441421878e+00, 2.02094576023350569471e+00,
    -6.88283971605453293030e-01, 7.70381505559019352791e-02};
#define HALF_PI_HI 1.57079632679489655800e+00
#define HALF_PI_LO 6.12323399573676603587e-17

/* (asin(x) - x) / x of x with x^2 = z <= 1/4 */
MATH_FN vecf asin_rest(CTX vecf z)
{
    return DIV(MUL(z, horner(PASS z, asin_top, 6)), horner(PASS z, asin_bottom, 5));
}

/* s = sqrt(z) as upper half plus remainder. */
MATH_FN vecf sqrt_remainder(CTX vecf z, vecf s, vecf s_upper)
{
    vecf c = DIV(SUB(z, MUL(s_upper, s_upper)), ADD(s, s_upper));
    return PICK(EQ(s, K(0)), K(0), c);
}

/* Above 1/2: asin(x) = pi/2 - 2 asin(sqrt((1 - x) / 2)). Above 1: NaN, of the root. */
MATH_FN vecf vec_asin(CTX vecf x)
{
    vecf a = ABS(x);
    mask low = LT(a, K(0.5));
    vecf z = PICK(low, MUL(a, a), MUL(SUB(K(1), a), K(0.5)));
    vecf r = asin_rest(PASS z), s = SQRT(z);
    vecf w = upper_half(PASS s), c = sqrt_remainder(PASS z, s, w);
    vecf p = SUB(MUL(MUL(K(2), s), r), SUB(K(HALF_PI_LO), MUL(K(2), c)));
    vecf q = SUB(K(0.5 * HALF_PI_HI), MUL(K(2), w));
    vecf high = SUB(K(0.5 * HALF_PI_HI), SUB(p, q));
    vecf top = SUB(K(HALF_PI_HI), SUB(MUL(K(2), ADD(s, MUL(s, r))), K(HALF_PI_LO)));
    vecf y = PICK(low, ADD(a, MUL(a, r)), PICK(LE(K(0.975), a), top, high));
    return with_sign(PASS y, x);
}

MATH_FN vecf vec_acos(CTX vecf x)
{
    vecf a = ABS(x);
    mask low = LT(a, K(0.5)), negative = LT(x, K(0));
    vecf z = PICK(low, MUL(x, x), MUL(SUB(K(1), a), K(0.5)));
    vecf r = asin_rest(PASS z), s = SQRT(z);
    vecf w = upper_half(PASS s), c = sqrt_remainder(PASS z, s, w);
    vecf middle = SUB(K(HALF_PI_HI), SUB(x, SUB(K(HALF_PI_LO), MUL(x, r))));
    vecf right = MUL(K(2), ADD(w, ADD(MUL(r, s), c)));
    vecf left = MUL(K(2), SUB(K(HALF_PI_HI), ADD(s, SUB(MUL(r, s), K(HALF_PI_LO)))));
    return PICK(low, middle, PICK(negative, left, right));
}

static const double sin_coefficients[] = {
    8.33333333332248946124e-03, -1.98412698298579493134e-04, 2.75573137070700676789e-06,
    -2.50507602534068634195e-08, 1.58969099521155010221e-10};
static const double cos_coefficients[] = {
    4.16666666666666019037e-02, -1.38888888888741095749e-03,
    2.48015872894767294178e-05, -2.75573143513906633035e-07,
    2.08757232129817482790e-09, -1.13596475577881948265e-11};

/* x = n pi/2 + hi + lo, |hi| <= pi/4, for |x| up to QN_EXPR__ANGLE_MAX: pi/2 in three
 * pieces, the first two times n < 2^20 exact. */
typedef struct QN_MATH_NAME(angle) {
    vecf n, hi, lo;
} QN_MATH_NAME(angle);

MATH_FN QN_MATH_NAME(angle) reduce(CTX vecf x)
{
    QN_MATH_NAME(angle) a;
    a.n = SUB(ADD(MUL(x, K(6.36619772367581382433e-01)), K(ROUNDER)), K(ROUNDER));
    vecf t = SUB(x, MUL(a.n, K(1.57079632673412561417e+00)));
    vecf w = MUL(a.n, K(6.07710050630396597660e-11)), r = SUB(t, w);
    w = SUB(MUL(a.n, K(2.02226624879595063154e-21)), SUB(SUB(t, r), w));
    a.hi = SUB(r, w);
    a.lo = SUB(SUB(r, a.hi), w);
    return a;
}

MATH_FN vecf sin_near_0(CTX QN_MATH_NAME(angle) a)
{
    vecf z = MUL(a.hi, a.hi), v = MUL(z, a.hi);
    vecf r = horner(PASS z, sin_coefficients, 5);
    vecf t = SUB(MUL(z, SUB(MUL(K(0.5), a.lo), MUL(v, r))), a.lo);
    return SUB(a.hi, SUB(t, MUL(v, K(-1.66666666666666324348e-01))));
}

MATH_FN vecf cos_near_0(CTX QN_MATH_NAME(angle) a)
{
    vecf z = MUL(a.hi, a.hi), half = MUL(K(0.5), z), w = SUB(K(1), half);
    vecf r = MUL(z, horner(PASS z, cos_coefficients, 6));
    return ADD(w, ADD(SUB(SUB(K(1), w), half), SUB(MUL(z, r), MUL(a.hi, a.lo))));
}

/* The sine of an angle a quarter turns further on. */
MATH_FN vecf sin_turned(CTX QN_MATH_NAME(angle) a, double quarters)
{
    veci q = BITS(ADD(a.n, K(ROUNDER + quarters))); /* its low bits are n + quarters */
    vecf s = sin_near_0(PASS a), c = cos_near_0(PASS a);
    vecf y = PICK(BELOW_0(ISHL(q, 63)), c, s);
    return DOUBLE(IXOR(BITS(y), ISHL(ISHR(q, 1), 63)));
}

MATH_FN vecf vec_sin(CTX vecf x)
{
    QN_MATH_NAME(angle) a = reduce(PASS x);
    /* Of what has no lower half, itself: -0 stays. */
    return PICK(EQ(x, K(0)), x, sin_turned(PASS a, 0));
}

MATH_FN vecf vec_cos(CTX vecf x)
{
    QN_MATH_NAME(angle) a = reduce(PASS x);
    return sin_turned(PASS a, 1);
}

MATH_FN vecf vec_tan(CTX vecf x)
{
    QN_MATH_NAME(angle) a = reduce(PASS x);
    vecf y = DIV(sin_turned(PASS a, 0), sin_turned(PASS a, 1));
    return PICK(EQ(x, K(0)), x, y);
}

/* ==== the rows of math.def: v[0], v[1].. are the arguments ==== */

#define MATH_ROW(name) MATH_FN vecf math_##name(CTX const vecf *v)
#define LEAST(a, b) PICK(LT(a, b), a, b)

MATH_ROW(ln)
{
    return vec_ln(PASS v[0]);
}
MATH_ROW(log2)
{
    return vec_log2(PASS v[0]);
}
MATH_ROW(log10)
{
    return vec_log10(PASS v[0]);
}
/* base, a, ln(base) */
MATH_ROW(log)
{
    vecf y = DIV(vec_ln(PASS v[1]), v[2]);
    mask none = OR(OR(LE(v[0], K(0)), LE(v[1], K(0))), EQ(v[0], K(1)));
    return PICK(none, K(0), y);
}
MATH_ROW(sin)
{
    return vec_sin(PASS v[0]);
}
MATH_ROW(cos)
{
    return vec_cos(PASS v[0]);
}
MATH_ROW(tan)
{
    return vec_tan(PASS v[0]);
}
MATH_ROW(asin)
{
    return vec_asin(PASS v[0]);
}
MATH_ROW(acos)
{
    return vec_acos(PASS v[0]);
}
MATH_ROW(atan)
{
    return vec_atan(PASS v[0]);
}
MATH_ROW(ceil)
{
    return CEIL(v[0]);
}
MATH_ROW(floor)
{
    return FLOOR(v[0]);
}
MATH_ROW(pow)
{
    return vec_pow(PASS v[0], v[1]);
}
MATH_ROW(exp)
{
    return vec_exp(PASS v[0]);
}
MATH_ROW(sigmoid)
{
    return DIV(K(1), ADD(K(1), vec_exp(PASS NEG(v[0]))));
}

/* --- normalize(a), (a, max), (a, max, min) --- */

MATH_ROW(normalize_atan)
{
    vecf y = MUL(K(2 / 3.14159265358979323846), vec_atan(PASS v[0]));
    return PICK(LT(v[0], K(0)), K(0), y);
}

MATH_FN vecf clamp_unit(CTX vecf x)
{
    return PICK(LT(x, K(0)), K(0), PICK(LT(K(1), x), K(1), x));
}

/* a, max, ln(max). max <= 1 has no logarithm to divide by: NaN, so the document is
 * reported. */
MATH_ROW(normalize_log)
{
    vecf y = clamp_unit(PASS DIV(vec_ln(PASS v[0]), v[2]));
    y = PICK(LE(v[0], K(1)), K(0), y);
    return PICK(LT(K(1), v[1]), y, MATH_NAN);
}

MATH_ROW(normalize_linear)
{
    vecf y = clamp_unit(PASS DIV(SUB(v[0], v[2]), SUB(v[1], v[2])));
    return PICK(LT(v[2], v[1]), y, MATH_NAN);
}

/* --- decay: 1 within offset of origin, `decay` at `scale` beyond it ---
 * origin, a, scale, decay, offset; of the curves also ln(greatest(decay, 0.000001)) */

MATH_FN vecf beyond_offset(CTX const vecf *v)
{
    vecf offset = PICK(LT(v[4], K(0)), K(0), v[4]);
    vecf beyond = SUB(ABS(SUB(v[1], v[0])), offset);
    return PICK(LT(beyond, K(0)), K(0), beyond);
}

/* No decay: 1 everywhere. No scale: 0. */
MATH_FN vecf decay_edges(CTX const vecf *v, vecf y)
{
    y = PICK(LE(K(1), v[3]), K(1), y);
    return PICK(LE(v[2], K(0)), K(0), y);
}

MATH_ROW(gauss_decay)
{
    vecf d = beyond_offset(PASS v);
    vecf y = DIV(MUL(MUL(d, d), v[5]), MUL(v[2], v[2]));
    return decay_edges(PASS v, vec_exp(PASS y));
}

MATH_ROW(exp_decay)
{
    vecf y = DIV(MUL(beyond_offset(PASS v), v[5]), v[2]);
    return decay_edges(PASS v, vec_exp(PASS y));
}

MATH_ROW(linear_decay)
{
    vecf decay = PICK(LE(v[3], K(0)), K(0.000001), v[3]);
    vecf left = SUB(K(1), DIV(MUL(beyond_offset(PASS v), SUB(K(1), decay)), v[2]));
    return decay_edges(PASS v, PICK(LT(left, K(0)), K(0), left));
}

/* --- time and place --- */

/* time, now, units per second; 1/2 after 30 days */
MATH_ROW(timeliness)
{
    vecf now = MUL(v[1], v[2]);
    vecf y = DIV(K(1), ADD(K(1), DIV(SUB(now, v[0]), MUL(K(2592000), v[2]))));
    return PICK(OR(LT(v[0], K(0)), LT(now, v[0])), K(0), y);
}

MATH_FN mask within(CTX vecf x, double most)
{
    return AND(LE(K(-most), x), LE(x, K(most)));
}

/* lonA, latA, lonB, latB: haversine; 0 for coordinates that are none. */
MATH_ROW(distance)
{
    const double radians = 3.14159265358979323846 / 180, earth_radius_km = 6371.0088;
    mask places = AND(AND(within(PASS v[0], 180), within(PASS v[1], 90)),
                      AND(within(PASS v[2], 180), within(PASS v[3], 90)));
    vecf lat_a = MUL(v[1], K(radians)), lat_b = MUL(v[3], K(radians));
    vecf dlat = vec_sin(PASS DIV(SUB(lat_b, lat_a), K(2)));
    vecf dlon = vec_sin(PASS DIV(MUL(SUB(v[2], v[0]), K(radians)), K(2)));
    vecf across = MUL(MUL(MUL(vec_cos(PASS lat_a), vec_cos(PASS lat_b)), dlon), dlon);
    vecf h = ADD(MUL(dlat, dlat), across);
    vecf angle = vec_asin(PASS SQRT(LEAST(h, K(1))));
    return PICK(places, MUL(K(2 * earth_radius_km), angle), K(0));
}

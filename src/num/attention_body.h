/* SPDX-License-Identifier: Apache-2.0 */
/* attention_body.h -- scores, keys and values of attention in integers, in terms of a
 * vector. Included by attention_<isa>.c, which say what a vector is and are compiled for
 * their instruction set; private to them. They define
 *
 *     LANES; vf, vi                 a divisor of 16; a vector of floats, of int32
 *     set, set_i                    all lanes equal
 *     load, load_first(p, n)        from memory; n lanes, zeros behind
 *     add, sub, mul, quot, fma      fma(a, b, c) = a b + c
 *     lower, upper                  the second operand if one is NaN
 *     bits, as_float                the same bits as another type
 *     add_i, sub_i, and_i, or_i, shift_left, less_i, upper_bits
 *                                   less_i: all ones or zeros; upper_bits: without sign
 *     round_i, to_float             nearest, halves to even; and back
 *     upper_lane, sum_lanes, sum_lanes_f    of one vector
 *     store_f, store_i, store_16, store_8   the low bits of every lane */

/* 2^t for t in [-2, 14], within 3e-6 of itself: a polynomial on |r| <= 1/2, whose
 * exponent n is added to. */
INLINE vf two_to(vf t)
{
    const vf magic = set(12582912.0f); /* 1.5 * 2^23 */
    vf shifted = add(t, magic), r = sub(t, sub(shifted, magic));
    vf p = fma(set(9.569983357e-3f), r, set(5.591771941e-2f));
    p = fma(p, r, set(2.402474607e-1f));
    p = fma(p, r, set(6.931218338e-1f));
    p = fma(p, r, set(9.999992617e-1f));
    return as_float(add_i(bits(p), shift_left(bits(shifted), 23)));
}

static float probabilities(float *x, size_t n, int16_t *p)
{
    const float lowest = -__builtin_inff(), per_e = 1.44269504088896341f,
                one = 11.99964774f; /* log2 QN_I16_ONE */
    size_t padded = (n + 15) / 16 * 16;
    vf most = set(lowest), most_2 = most;
    vi sum = set_i(0);
    QN_UNROLL
    for (size_t i = 0; i < 15; i++) x[n + i] = lowest;
    for (size_t i = 0; i < padded; i += 2 * LANES) {
        most = upper(load(x + i), most);
        if (i + LANES < padded) most_2 = upper(load(x + i + LANES), most_2);
    }
    most = upper(most, most_2);
    const vf less = set(one - upper_lane(most) * per_e);
    for (size_t i = 0; i < padded; i += LANES) {
        vf t = upper(fma(load(x + i), set(per_e), less), set(-2.0f)); /* 2^-2 gives 0 */
        vi q = round_i(two_to(t));
        sum = add_i(sum, q);
        store_16(p + i, q);
    }
    return 1.0f / (float)sum_lanes(sum);
}

/* The scale with which `most` is `range`, and its inverse, as quantize_i8() has them;
 * seen: the bits of the largest |x|, infinities and NaNs above all. */
INLINE vf scale_of(vf most, vi seen, float range, vf *inverse)
{
    const vi infinite = set_i(0x7F800000);
    const vf zero = set(0);
    vi finite = and_i(less_i(seen, infinite), less_i(bits(most), infinite));
    vi enough = less_i(sub_i(bits(set(QN_QUANTIZE_TINY)), set_i(1)), bits(most));
    *inverse = select(and_i(finite, enough), quot(set(range), most), zero);
    return select(finite, select(enough, quot(most, set(range)), zero),
                  set(__builtin_nanf("")));
}

/* The sum of n values; zeros lie behind them. */
INLINE float sum_of(const float *x, size_t n)
{
    vf sum[4] = {set(0), set(0), set(0), set(0)};
    for (size_t i = 0; i < n; i += 4 * LANES)
        for (size_t j = 0; j < 4; j++)
            if (i + j * LANES < n) sum[j] = add(sum[j], load(x + i + j * LANES));
    return sum_lanes_f(add(add(sum[0], sum[1]), add(sum[2], sum[3])));
}

/* Keys [at, at + LANES) into a panel of `cols` columns in which `group` values of a key
 * lie together; the start is -128 times their sum, or 0 for `plain` activations. */
INLINE void keys_at(const size_t group, const bool plain, const qn_i16_keys *k,
                    size_t at, size_t cols, int8_t *panel)
{
    const vi no_sign = set_i(0x7FFFFFFF), byte = set_i(0xFF);
    const float *turned = k->turned + at;
    vi most = set_i(0), sum = set_i(0);
    for (size_t r = 0; r < k->d; r++) {
        vf v = sub(load(turned + r * k->ld), set(k->away[r]));
        most = upper_bits(most, and_i(bits(v), no_sign));
    }
    vf inverse;
    store_f(k->scale + at, scale_of(as_float(most), most, 127.0f, &inverse));
    for (size_t r = 0; r < k->d; r += group) {
        vi together = set_i(0);
        QN_UNROLL
        for (size_t j = 0; j < group; j++) {
            if (r + j >= k->d) break;
            vf v = sub(load(turned + (r + j) * k->ld), set(k->away[r + j]));
            vi q = round_i(mul(v, inverse));
            sum = add_i(sum, q);
            q = and_i(q, byte);
            together = or_i(together, j == 0   ? q
                                      : j == 1 ? shift_left(q, 8)
                                      : j == 2 ? shift_left(q, 16)
                                               : shift_left(q, 24));
        }
        int8_t *to = panel + r * cols;
        if (group == 4)
            store_i(to, together);
        else if (group == 2)
            store_16(to, together);
        else
            store_8(to, together);
    }
    store_i(k->start + at, plain ? set_i(0) : sub_i(set_i(0), shift_left(sum, 7)));
}

INLINE void keys_of(const size_t group, const bool plain, const size_t cols,
                    const qn_i16_keys *k)
{
    const size_t depth = (k->d + group - 1) / group * group;
    for (size_t r = 0; r < k->d; r++)
        k->away[r] = k->less_mean
                         ? sum_of(k->turned + r * k->ld, (k->keys + 15) / 16 * 16) /
                               (float)k->keys
                         : 0;
    for (size_t at = 0; at < k->keys; at += LANES)
        keys_at(group, plain, k, at, cols,
                k->panels + at / cols * cols * depth + at % cols * group);
}

/* The same of a vector of columns of V, of which n are there. */
INLINE void values_at(const float *V, size_t ldv, size_t keys, size_t n, int16_t *out,
                      size_t ldo, float *scale, float *middle)
{
    const vi no_sign = set_i(0x7FFFFFFF), word = set_i(0xFFFF);
    vf low = load_first(V, n), high = low;
    vi seen = set_i(0);
    for (size_t k = 0; k < keys; k++) {
        vf v = load_first(V + k * ldv, n);
        low = lower(v, low);
        high = upper(v, high);
        seen = upper_bits(seen, and_i(bits(v), no_sign));
    }
    vf mid = add(mul(add(low, high), set(0.5f)), set(0)), inverse;
    vf most = upper(sub(mid, low), sub(high, mid));
    store_f(scale, scale_of(most, seen, QN_I16_VALUE, &inverse));
    store_f(middle, mid);
    for (size_t k = 0; k < keys; k += 2) {
        vf even = sub(load_first(V + k * ldv, n), mid), odd = set(0);
        if (k + 1 < keys) odd = sub(load_first(V + (k + 1) * ldv, n), mid);
        vi pair = or_i(and_i(round_i(mul(even, inverse)), word),
                       shift_left(round_i(mul(odd, inverse)), 16));
        store_i(out + k / 2 * ldo, pair);
    }
}

static void values(const float *V, size_t ldv, size_t keys, size_t d, int16_t *out,
                   size_t ldo, float *scale, float *middle)
{
    for (size_t c = 0; c < d; c += LANES)
        values_at(V + c, ldv, keys, d - c < LANES ? d - c : LANES, out + 2 * c, ldo,
                  scale + c, middle + c);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* expr_walk.c -- a tree walker: the plainest way to run a formula. */
#include "expr_peers.h"

#include <math.h>

typedef union value {
    int64_t i;
    double f;
} value;

typedef struct walker {
    const qn_expr *e;
    const peer_column *columns;
    size_t doc;
} walker;

static value walk(const walker *w, uint32_t id);

static double number(const walker *w, uint32_t id)
{
    return walk(w, id).f;
}

static double decayed(const double *v, bool gauss)
{
    double d = fabs(v[1] - v[0]) - (v[4] < 0 ? 0 : v[4]);
    if (d < 0) d = 0;
    if (v[3] >= 1) return 1;
    if (v[2] <= 0) return 0;
    return gauss ? exp(d * d * v[5] / (v[2] * v[2])) : exp(d * v[5] / v[2]);
}

static double distance(const double *v)
{
    double radians = 3.14159265358979323846 / 180;
    double a = v[1] * radians, b = v[3] * radians;
    double dlat = sin((b - a) / 2), dlon = sin((v[2] - v[0]) * radians / 2);
    double h = dlat * dlat + cos(a) * cos(b) * dlon * dlon;
    return 2 * 6371.0088 * asin(sqrt(h > 1 ? 1 : h));
}

static double unit(double x)
{
    return x < 0 ? 0 : x > 1 ? 1 : x;
}

static double call(const walker *w, const qn_expr__node *n)
{
    double v[QN_EXPR__MATH_ARGS_MAX];
    for (uint32_t k = 0; k < n->b; k++) v[k] = number(w, w->e->args.p[n->a + k]);
    switch (n->c) {
    case QN_MATH_ln:
        return log(v[0]);
    case QN_MATH_log10:
        return log10(v[0]);
    case QN_MATH_normalize_atan:
        return v[0] < 0 ? 0 : 2 / 3.14159265358979323846 * atan(v[0]);
    case QN_MATH_normalize_log:
        return v[0] <= 1 ? 0 : unit(log(v[0]) / v[2]);
    case QN_MATH_normalize_linear:
        return unit((v[0] - v[2]) / (v[1] - v[2]));
    case QN_MATH_gauss_decay:
        return decayed(v, true);
    case QN_MATH_exp_decay:
        return decayed(v, false);
    case QN_MATH_timeliness:
        return v[0] < 0 || v[0] > v[1] * v[2]
                   ? 0
                   : 1 / (1 + (v[1] * v[2] - v[0]) / (2592000 * v[2]));
    case QN_MATH_distance:
        return distance(v);
    default:
        return (double)NAN;
    }
}

static bool is_in(const walker *w, const qn_expr__node *n)
{
    const qn_expr__set *set = &w->e->sets.p[n->b];
    value x = walk(w, n->a);
    for (size_t k = 0; k < set->n; k++)
        if (n->op == QN_OP_INI ? set->of.i64[k] == x.i : set->of.f64[k] == x.f)
            return true;
    return false;
}

static value walk(const walker *w, uint32_t id)
{
    const qn_expr__node *n = &w->e->nodes.p[id];
    const peer_column *c = NULL;
    value v = {0};
    switch (n->op) {
    case QN_OP_CONSTI:
    case QN_OP_CONSTF:
        memcpy(&v, &n->bits, sizeof v);
        break;
    case QN_OP_LOADI:
    case QN_OP_LOADF:
        c = &w->columns[w->e->inputs.p[n->a].symbol.slot];
        if (n->op == QN_OP_LOADI)
            v.i = c->i32[w->doc];
        else
            v.f = c->f64[w->doc];
        break;
    case QN_OP_NOW:
        v.i = PEER_NOW;
        break;
    case QN_OP_CALL:
        v.f = call(w, n);
        break;
    case QN_OP_INI:
    case QN_OP_INF:
        v.i = is_in(w, n);
        break;
    case QN_OP_SELI:
    case QN_OP_SELF:
        return walk(w, walk(w, n->a).i != 0 ? n->b : n->c);
#define F(op, expression)                                                              \
    case QN_OP_##op:                                                                   \
        v.f = (expression);                                                            \
        break
#define I(op, expression)                                                              \
    case QN_OP_##op:                                                                   \
        v.i = (expression);                                                            \
        break
        F(I2F, (double)walk(w, n->a).i);
        F(ADDF, number(w, n->a) + number(w, n->b));
        F(SUBF, number(w, n->a) - number(w, n->b));
        F(MULF, number(w, n->a) * number(w, n->b));
        F(DIVF, number(w, n->a) / number(w, n->b));
        F(NEGF, -number(w, n->a));
        F(MINF, fmin(number(w, n->a), number(w, n->b)));
        F(MAXF, fmax(number(w, n->a), number(w, n->b)));
        I(ANDI, walk(w, n->a).i & walk(w, n->b).i);
        I(ORI, walk(w, n->a).i | walk(w, n->b).i);
        I(XORI, walk(w, n->a).i ^ walk(w, n->b).i);
        I(EQI, walk(w, n->a).i == walk(w, n->b).i);
        I(LTI, walk(w, n->a).i < walk(w, n->b).i);
        I(LEI, walk(w, n->a).i <= walk(w, n->b).i);
        I(LTF, number(w, n->a) < number(w, n->b));
        I(LEF, number(w, n->a) <= number(w, n->b));
        I(F2I, (int64_t)number(w, n->a));
#undef F
#undef I
    default:
        v.f = (double)NAN; /* the comparison of answers tells */
        break;
    }
    return v;
}

void peer_walk(const qn_expr *e, const peer_column *columns, size_t n, double *out)
{
    walker w = {.e = e, .columns = columns};
    bool whole = !qn_expr__type_is_float(qn_expr_result_type(e));
    for (w.doc = 0; w.doc < n; w.doc++) {
        value v = walk(&w, e->root);
        out[w.doc] = whole ? (double)v.i : v.f;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* cava_lang.c -- natives that need no host: mathematics, time, multi-values. Texts are in
 * cava_text.c. What formulas have too is computed by the same function (math.def). */
#include "expr/cava/cava_internal.h"
#include "expr/expr_internal.h"

#include <math.h>

/* ---- mathematics ------------------------------------------------------------------------ */

static double one_argument(qn_cava_native id, double a)
{
    switch (id) {
    case QN_CAVA_N_LANG_MATH_SQRT:
        return sqrt(a);
    case QN_CAVA_N_LANG_MATH_CEIL:
        return ceil(a);
    case QN_CAVA_N_LANG_MATH_FLOOR:
        return floor(a);
    case QN_CAVA_N_LANG_MATH_LN:
    case QN_CAVA_N_LANG_MATH_LOG:
        return log(a);
    case QN_CAVA_N_LANG_MATH_LOG2:
        return log2(a);
    case QN_CAVA_N_LANG_MATH_LOG10:
        return log10(a);
    case QN_CAVA_N_LANG_MATH_EXP:
        return exp(a);
    case QN_CAVA_N_LANG_MATH_SIN:
        return sin(a);
    case QN_CAVA_N_LANG_MATH_COS:
        return cos(a);
    case QN_CAVA_N_LANG_MATH_TAN:
        return tan(a);
    case QN_CAVA_N_LANG_MATH_ASIN:
        return asin(a);
    case QN_CAVA_N_LANG_MATH_ACOS:
        return acos(a);
    case QN_CAVA_N_LANG_MATH_ATAN:
        return atan(a);
    case QN_CAVA_N_LANG_MATH_SINH:
        return sinh(a);
    case QN_CAVA_N_LANG_MATH_COSH:
        return cosh(a);
    case QN_CAVA_N_LANG_MATH_TANH:
        return tanh(a);
    case QN_CAVA_N_LANG_MATH_ASINH:
        return asinh(a);
    case QN_CAVA_N_LANG_MATH_ACOSH:
        return acosh(a);
    default:
        return atanh(a);
    }
}

/* Java's: NaN goes through, -0 is below 0. */
static double least(double a, double b)
{
    if (isnan(a) || isnan(b)) return (double)NAN;
    if (a == 0 && b == 0) return signbit(a) ? a : b;
    return a < b ? a : b;
}

static double greatest(double a, double b)
{
    if (isnan(a) || isnan(b)) return (double)NAN;
    if (a == 0 && b == 0) return signbit(a) ? b : a;
    return a > b ? a : b;
}

static int64_t absolute(int64_t v, int bits)
{
    int64_t r = v < 0 ? (int64_t)(0 - (uint64_t)v) : v;
    return bits == 32 ? (int32_t)r : r;
}

static double decay_value(const qn_cava_call *c)
{
    static const qn_expr__math_id ids[] = {QN_MATH_gauss_decay, QN_MATH_exp_decay,
                                           QN_MATH_linear_decay};
    const double least = 0.000001;
    double v[6] = {0, 0, 0, least, 0, 0};
    for (size_t i = 0; i < c->n; i++) v[i] = c->args[i].d;
    double decay = v[3] <= 0 ? least : v[3];
    v[5] = qn_expr__math_eval(QN_MATH_ln, &decay);
    return qn_expr__math_eval(ids[c->arg], v);
}

static double normalize(const qn_cava_call *c)
{
    double v[3] = {0, 0, 0};
    for (size_t i = 0; i < c->n; i++) v[i] = c->args[i].d;
    if (c->n == 2) v[2] = qn_expr__math_eval(QN_MATH_ln, &v[1]);
    return qn_expr__math_eval(c->n == 1   ? QN_MATH_normalize_atan
                              : c->n == 2 ? QN_MATH_normalize_log
                                          : QN_MATH_normalize_linear,
                              v);
}

/* Time.timeliness: as the formulas', but a time that is now counts as one to come. */
static double timeliness(const qn_cava_call *c)
{
    int64_t now_s = qn_cava_now_ms(c->run) / 1000;
    double v[3] = {(double)c->args[0].i, (double)now_s, c->arg};
    if (v[0] < 0 || v[0] >= v[1] * v[2]) return 0;
    return (double)(float)qn_expr__math_eval(QN_MATH_timeliness, v);
}

static bool mathematics(qn_cava_call *c)
{
    const qn_cava_slot *a = c->args;
    if (c->id >= QN_CAVA_N_LANG_MATH_SQRT && c->id <= QN_CAVA_N_LANG_MATH_ATANH) {
        c->result.d = one_argument(c->id, a[0].d);
        return true;
    }
    switch (c->id) {
    case QN_CAVA_N_LANG_ABS_INT:
        return c->result.i = absolute(a[0].i, c->arg), true;
    case QN_CAVA_N_LANG_ABS_REAL:
        return c->result.d = fabs(a[0].d), true;
    case QN_CAVA_N_LANG_MAX_INT:
        return c->result.i = a[0].i > a[1].i ? a[0].i : a[1].i, true;
    case QN_CAVA_N_LANG_MIN_INT:
        return c->result.i = a[0].i < a[1].i ? a[0].i : a[1].i, true;
    case QN_CAVA_N_LANG_MAX_REAL:
        return c->result.d = greatest(a[0].d, a[1].d), true;
    case QN_CAVA_N_LANG_MIN_REAL:
        return c->result.d = least(a[0].d, a[1].d), true;
    case QN_CAVA_N_LANG_RANDOM:
        return c->result.d = (double)(qn_cava_random(c->run) >> 11) * 0x1.0p-53, true;
    case QN_CAVA_N_LANG_MATH_POW:
        return c->result.d = pow(a[0].d, a[1].d), true;
    case QN_CAVA_N_LANG_MATH_ATAN2:
        return c->result.d = atan2(a[0].d, a[1].d), true;
    case QN_CAVA_N_LANG_NOW_MS:
        return c->result.i = qn_cava_now_ms(c->run), true;
    case QN_CAVA_N_LANG_NOW_S:
        return c->result.i = qn_cava_now_ms(c->run) / 1000, true;
    case QN_CAVA_N_LANG_TIMELINESS:
        return c->result.d = timeliness(c), true;
    case QN_CAVA_N_LANG_DECAY:
        return c->result.d = decay_value(c), true;
    case QN_CAVA_N_LANG_NORMALIZE:
        return c->result.d = normalize(c), true;
    default:
        return false;
    }
}

/* ---- small objects ---------------------------------------------------------------------- */

static qn_status no_memory(const qn_error *err)
{
    return err == NULL ? QN_EPLUGIN : err->code;
}

/* Two numbers in an object of a class of the library. */
static qn_status pair(qn_cava_call *c, qn_cava_class_id id, qn_cava_slot first,
                      double second, qn_error *err)
{
    qn_cava_object *o = qn_cava_new_native(c->run, id, first.i, err);
    if (o == NULL) return no_memory(err);
    *qn_cava_payload(o) = second;
    c->result.r = o;
    return QN_OK;
}

static double as_double(int64_t bits)
{
    return (qn_cava_slot){.i = bits}.d;
}

/* ---- multi-values: one slot says whether it may be written, then the items --------------- */

static qn_status multi_create(qn_cava_call *c, qn_error *err)
{
    uint64_t n = (uint64_t)c->args[0].i;
    if (n == 0) return qn_fail(err, QN_EPLUGIN, "a multi-value of length 0");
    QN_TRY(qn_cava_charge(c->run, n * sizeof(qn_cava_slot), err));
    c->result.r = qn_cava_new_multi(c->run, (qn_cava_class_id)c->arg, n, true, err);
    return c->result.r == NULL ? no_memory(err) : QN_OK;
}

qn_cava_object *qn_cava_new_multi(qn_cava_run *run, qn_cava_class_id id, uint64_t n,
                                  bool writable, qn_error *err)
{
    uint64_t bytes = sizeof(qn_cava_instance) + (n + 1) * sizeof(qn_cava_slot);
    qn_cava_instance *o = n > UINT32_MAX ? NULL : qn_cava__allocate(run, bytes, err);
    if (n > UINT32_MAX) (void)qn_fail(err, QN_EPLUGIN, "out of memory");
    if (o == NULL) return NULL;
    o->head = (qn_cava_object){qn_cava__class_type(run->program, id), (uint32_t)n};
    o->slots[0].i = writable;
    return &o->head;
}

qn_cava_slot *qn_cava_multi_items(qn_cava_object *o)
{
    return ((qn_cava_instance *)(void *)o)->slots + 1;
}

static qn_status multi(qn_cava_call *c, qn_error *err)
{
    qn_cava_instance *o = (qn_cava_instance *)(void *)c->args[0].r;
    if (c->id == QN_CAVA_N_LANG_MULTI_SIZE) {
        c->result.i = o->head.n;
        return QN_OK;
    }
    uint64_t i = (uint64_t)c->args[1].i;
    if (i >= o->head.n)
        return qn_fail(err, QN_EPLUGIN, "index %llu out of a multi-value of %u items",
                       (unsigned long long)i, o->head.n);
    if (c->id == QN_CAVA_N_LANG_MULTI_GET) {
        c->result = o->slots[1 + i];
        return QN_OK;
    }
    if (o->slots[0].i == 0)
        return qn_fail(
            err, QN_EPLUGIN,
            "the items of an attribute cannot be written: declare a variable");
    o->slots[1 + i] = c->args[2];
    return QN_OK;
}

/* MChar is a CString of another class. */
static qn_status mchar_of(qn_cava_run *run, qn_slice bytes, qn_cava_slot *out,
                          qn_error *err)
{
    out->r = qn_cava_new_view(run, bytes, err);
    if (out->r == NULL) return no_memory(err);
    out->r->type = qn_cava__class_type(run->program, QN_CAVA_MChar);
    return QN_OK;
}

static qn_status mstring_create(qn_cava_call *c, qn_error *err)
{
    const qn_cava_object *array = c->args[0].r;
    if (array == NULL) return qn_fail(err, QN_EPLUGIN, "null array");
    QN_TRY(qn_cava_charge(c->run, array->n * sizeof(qn_cava_slot), err));
    c->result.r = qn_cava_new_multi(c->run, QN_CAVA_MString, array->n, true, err);
    if (c->result.r == NULL) return no_memory(err);
    qn_cava_object *const *items = qn_cava_items(array);
    for (uint32_t i = 0; i < array->n; i++) {
        if (items[i] == NULL) return qn_fail(err, QN_EPLUGIN, "null");
        QN_TRY(mchar_of(c->run, qn_cava_string(items[i]),
                        &qn_cava_multi_items(c->result.r)[i], err));
    }
    return QN_OK;
}

static qn_status mchar(qn_cava_call *c, qn_error *err)
{
    if (c->args[0].r == NULL || (c->n > 1 && c->args[1].r == NULL))
        return qn_fail(err, QN_EPLUGIN, "null");
    qn_slice bytes = qn_cava_string(c->args[0].r);
    if (c->id == QN_CAVA_N_LANG_MCHAR_CREATE)
        return mchar_of(c->run, bytes, &c->result, err);
    if (c->id == QN_CAVA_N_LANG_MCHAR_COMPARE) {
        c->result.i = qn_slice_compare(bytes, qn_cava_string(c->args[1].r));
        return QN_OK;
    }
    c->result.r = qn_cava_new_view(c->run, bytes, err);
    return c->result.r == NULL ? no_memory(err) : QN_OK;
}

/* ---- all -------------------------------------------------------------------------------- */

static qn_status abort_run(qn_cava_call *c, qn_error *err)
{
    qn_slice why = {"Abort.abort() was called", 24};
    if (c->n > 0 && c->args[0].r != NULL) why = qn_cava_string(c->args[0].r);
    int n = why.n > 200 ? 200 : (int)why.n;
    return qn_fail(err, QN_EPLUGIN, "aborted: %.*s", n, why.p);
}

qn_status qn_cava__lang(qn_cava_call *c, qn_error *err)
{
    if (mathematics(c)) return QN_OK;
    if (c->id <= QN_CAVA_N_LANG_STRING_GET_CHARS) return qn_cava__lang_text(c, err);
    switch (c->id) {
    case QN_CAVA_N_LANG_RANDOM_BELOW:
        if (c->args[0].i <= 0)
            return qn_fail(err, QN_EPLUGIN, "random(%lld): the limit is not over 0",
                           (long long)c->args[0].i);
        c->result.i = (int64_t)(qn_cava_random(c->run) % (uint64_t)c->args[0].i);
        return QN_OK;
    case QN_CAVA_N_LANG_ABORT:
        return abort_run(c, err);
    case QN_CAVA_N_LANG_GEO_NEW:
        return pair(c, QN_CAVA_OpsGeoPoint, c->args[0], c->args[1].d, err);
    case QN_CAVA_N_LANG_GEO_LONGITUDE:
        c->result.d = as_double(qn_cava_handle(c->args[0].r));
        return QN_OK;
    case QN_CAVA_N_LANG_GEO_LATITUDE:
        c->result.d = *qn_cava_payload(c->args[0].r);
        return QN_OK;
    case QN_CAVA_N_LANG_TIMESTAMP_NEW:
        return pair(c, QN_CAVA_OpsTimestamp, c->args[0], 0, err);
    case QN_CAVA_N_LANG_TIMESTAMP_VALUE:
        c->result.i = qn_cava_handle(c->args[0].r);
        return QN_OK;
    case QN_CAVA_N_LANG_MULTI_CREATE:
        return multi_create(c, err);
    case QN_CAVA_N_LANG_MULTI_GET:
    case QN_CAVA_N_LANG_MULTI_SET:
    case QN_CAVA_N_LANG_MULTI_SIZE:
        return multi(c, err);
    case QN_CAVA_N_LANG_MSTRING_CREATE:
        return mstring_create(c, err);
    default:
        return mchar(c, err);
    }
}

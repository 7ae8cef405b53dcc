/* SPDX-License-Identifier: Apache-2.0 */
/* expr_names.c -- functions.def as a table, and the nearest name to a wrong one. */
#include "expr/expr_internal.h"

#include "base/nearest.h"

#define R QN_EXPR_IN_ROUGH
#define F QN_EXPR_IN_FINE
#define W QN_EXPR_IN_FILTER
#define S QN_EXPR_IN_SORT
#define ANY QN_EXPR_IN_ANY
#define FEATURE true
#define MATH(f) false
#define OPCODE(o) false
#define BUILD(b) false
static const qn_expr_function functions[] = {
#define FN(name, min, max, args, where, how, signature, meaning, source)               \
    {#name, min, max, args, where, how, signature, meaning, source},
#include "expr/functions.def"
#undef FN
};
#undef R
#undef F
#undef W
#undef S
#undef ANY
#undef FEATURE
#undef MATH
#undef OPCODE
#undef BUILD

enum { FUNCTION_COUNT = sizeof functions / sizeof *functions };

size_t qn_expr_function_count(void)
{
    return FUNCTION_COUNT;
}

const qn_expr_function *qn_expr_function_at(size_t i)
{
    return i < FUNCTION_COUNT ? &functions[i] : NULL;
}

uint32_t qn_expr__function_index(qn_slice name)
{
    for (uint32_t i = 0; i < FUNCTION_COUNT; i++)
        if (qn_slice_eq_str(name, functions[i].name)) return i;
    return QN_EXPR__NONE;
}

const qn_expr_function *qn_expr_function_find(qn_slice name)
{
    return qn_expr_function_at(qn_expr__function_index(name));
}

/* --- nearest names --- */

const char *qn_expr_function_nearest(qn_slice name)
{
    qn_nearest near = qn_nearest_begin(name);
    for (size_t i = 0; i < FUNCTION_COUNT; i++)
        qn_nearest_offer(&near, qn_slice_of(functions[i].name));
    return near.best.p; /* a whole name of the table, so it ends in a zero */
}

qn_slice qn_expr__name_nearest(const qn_expr_env *env, qn_slice name)
{
    qn_nearest near = qn_nearest_begin(name);
    qn_slice known;
    if (env != NULL && env->list_name != NULL)
        for (size_t i = 0; env->list_name(env->ctx, i, &known); i++)
            qn_nearest_offer(&near, known);
    return near.best;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* expr_calls.c -- calls: checked against functions.def, then typed by their row. */
#include "expr/expr_internal.h"

#include <stdio.h>

typedef struct call {
    uint32_t id;
    const qn_expr__syntax *syntax;
    const qn_expr_function *row;
    const uint32_t *args; /* syntax nodes */
    uint32_t n;
} call;

typedef qn_status (*build_fn)(qn_expr__builder *b, const call *c, qn_expr__value *out);

static uint32_t arg_node(const qn_expr__builder *b, const call *c, uint32_t i)
{
    return b->values[c->args[i]].node;
}

static const qn_expr__syntax *arg_syntax(const qn_expr__builder *b, const call *c,
                                         uint32_t i)
{
    return qn_expr__syntax_at(b, c->args[i]);
}

static qn_status bad_arg(const qn_expr__builder *b, const call *c, uint32_t i,
                         const char *wanted)
{
    return qn_fail_at(b->err, QN_EFUNCARGS, arg_syntax(b, c, i)->begin,
                      "argument %u of %s() must be %s: %s", i + 1, c->row->name, wanted,
                      c->row->signature);
}

/* --- sets and choices --- */

/* Both branches as integers when they are, else both as doubles. */
static void formula_choice(qn_expr__builder *b, uint32_t condition, uint32_t yes,
                           uint32_t no, qn_expr__value *out)
{
    qn_expr_type ty = (qn_expr_type)qn_expr__node_at(b, yes)->type;
    qn_expr_type tn = (qn_expr_type)qn_expr__node_at(b, no)->type;
    bool floats = qn_expr__type_is_float(ty) || qn_expr__type_is_float(tn) ||
                  (ty == QN_EXPR_UINT64) != (tn == QN_EXPR_UINT64);
    if (floats)
        out->node = qn_expr__op(b, QN_OP_SELF, QN_EXPR_DOUBLE, condition,
                                qn_expr__to_double(b, yes), qn_expr__to_double(b, no));
    else
        out->node = qn_expr__op(b, QN_OP_SELI, ty == tn ? ty : QN_EXPR_INT64, condition,
                                yes, no);
}

static qn_status build_if(qn_expr__builder *b, const call *c, qn_expr__value *out)
{
    uint32_t condition = qn_expr__to_bool(b, arg_node(b, c, 0));
    if (b->failed) return qn_fail(b->err, QN_ENOMEM, "expression");
    if (b->e->dialect == QN_EXPR_FORMULA) {
        formula_choice(b, condition, arg_node(b, c, 1), arg_node(b, c, 2), out);
        return QN_OK;
    }
    QN_TRY(qn_expr__strict_unify(b, c->syntax->at, c->args[1], c->args[2]));
    qn_expr_type type = (qn_expr_type)qn_expr__node_at(b, arg_node(b, c, 1))->type;
    out->node = qn_expr__op(b, qn_expr__type_is_float(type) ? QN_OP_SELF : QN_OP_SELI,
                            type, condition, arg_node(b, c, 1), arg_node(b, c, 2));
    return QN_OK;
}

static qn_status in_call(qn_expr__builder *b, const call *c, bool negated,
                         qn_expr__value *out)
{
    const qn_expr__syntax *list = arg_syntax(b, c, 1);
    qn_slice separator = c->n > 2 ? arg_syntax(b, c, 2)->text : QN_SLICE_LIT("|");
    QN_TRY(qn_expr__type_in_text(b, list->begin, arg_node(b, c, 0), list->text,
                                 separator, &out->node));
    if (negated) out->node = qn_expr__op(b, QN_OP_NOTB, QN_EXPR_BOOL, out->node, 0, 0);
    return QN_OK;
}

static qn_status build_in(qn_expr__builder *b, const call *c, qn_expr__value *out)
{
    return in_call(b, c, false, out);
}

static qn_status build_notin(qn_expr__builder *b, const call *c, qn_expr__value *out)
{
    return in_call(b, c, true, out);
}

static qn_status build_ha_in(qn_expr__builder *b, const call *c, qn_expr__value *out)
{
    return in_call(b, c, false, out);
}

static qn_status build_not_ha_in(qn_expr__builder *b, const call *c,
                                 qn_expr__value *out)
{
    return in_call(b, c, true, out);
}

/* A number written plainly or in quotes. */
static bool literal_number(const qn_expr__syntax *s, double *value)
{
    if (s->kind == QN_SYN_STRING) return qn_slice_to_f64(qn_slice_trim(s->text), value);
    if (s->kind != QN_SYN_NUMBER) return false;
    *value = qn_expr__type_is_float(s->type) ? s->f64 : (double)s->i64;
    return true;
}

static qn_status build_multi_attr(qn_expr__builder *b, const call *c,
                                  qn_expr__value *out)
{
    const qn_expr__node list = *qn_expr__node_at(b, arg_node(b, c, 0));
    qn_expr_type type = (qn_expr_type)list.type;
    if (!list.is_list || !qn_expr__type_is_number(type))
        return bad_arg(b, c, 0, "a multi-value attribute of numbers");
    double value = 0;
    if (c->n > 2 && !literal_number(arg_syntax(b, c, 2), &value))
        return bad_arg(b, c, 2, "a number");
    bool is_float = qn_expr__type_is_float(type);
    int64_t whole = 0;
    if (!is_float) {
        if (!(value > -9e18 && value < 9e18)) return bad_arg(b, c, 2, "in range");
        whole = (int64_t)value;
        if ((double)whole != value) return bad_arg(b, c, 2, "an integer");
    }
    uint32_t fallback =
        is_float ? qn_expr__const_f(b, type, value) : qn_expr__const_i(b, type, whole);
    out->node =
        qn_expr__op(b, is_float ? QN_OP_ITEMF : QN_OP_ITEMI, type, arg_node(b, c, 0),
                    qn_expr__to_integer(b, arg_node(b, c, 1)), fallback);
    return QN_OK;
}

/* --- numbers --- */

/* pow and log are floats in HA3, doubles in a formula. */
static uint32_t float_if_strict(qn_expr__builder *b, uint32_t node)
{
    return b->e->dialect == QN_EXPR_FORMULA ? node
                                            : qn_expr__narrow(b, node, QN_EXPR_FLOAT);
}

static qn_status build_pow(qn_expr__builder *b, const call *c, qn_expr__value *out)
{
    uint32_t args[] = {arg_node(b, c, 0), arg_node(b, c, 1)};
    out->node = float_if_strict(b, qn_expr__call(b, QN_MATH_pow, args));
    return QN_OK;
}

/* A value of its own, so that of a constant it is computed once. */
static uint32_t ln_of(qn_expr__builder *b, uint32_t node)
{
    return qn_expr__call(b, QN_MATH_ln, &node);
}

static qn_status build_log(qn_expr__builder *b, const call *c, qn_expr__value *out)
{
    uint32_t base = arg_node(b, c, 0);
    uint32_t args[] = {base, arg_node(b, c, 1), ln_of(b, base)};
    out->node = float_if_strict(b, qn_expr__call(b, QN_MATH_log, args));
    return QN_OK;
}

static qn_status build_hamming(qn_expr__builder *b, const call *c, qn_expr__value *out)
{
    if (b->e->dialect != QN_EXPR_FORMULA)
        QN_TRY(qn_expr__strict_unify(b, c->syntax->at, c->args[0], c->args[1]));
    for (uint32_t i = 0; i < 2; i++)
        if (qn_expr__type_is_float(
                (qn_expr_type)qn_expr__node_at(b, arg_node(b, c, i))->type))
            return bad_arg(b, c, i, "an integer");
    uint32_t differ = qn_expr__op(b, QN_OP_XORI, QN_EXPR_INT64, arg_node(b, c, 0),
                                  arg_node(b, c, 1), 0);
    out->node = qn_expr__op(b, QN_OP_POPI, QN_EXPR_UINT16, differ, 0, 0);
    return QN_OK;
}

static qn_status build_random(qn_expr__builder *b, const call *c, qn_expr__value *out)
{
    (void)c;
    out->node = qn_expr__op(b, QN_OP_RAND, QN_EXPR_DOUBLE, 0, 0, 0);
    return QN_OK;
}

static qn_status build_now(qn_expr__builder *b, const call *c, qn_expr__value *out)
{
    (void)c;
    out->node = qn_expr__op(b, QN_OP_NOW, QN_EXPR_INT64, 0, 0, 0);
    return QN_OK;
}

static qn_status build_normalize(qn_expr__builder *b, const call *c,
                                 qn_expr__value *out)
{
    uint32_t args[3] = {0};
    for (uint32_t i = 0; i < c->n; i++) args[i] = arg_node(b, c, i);
    double max, min;
    bool has_max = c->n > 1 && qn_expr__is_const(b->e, args[1], &max);
    if (c->n == 2 && has_max && !(max > 1)) return bad_arg(b, c, 1, "over 1");
    if (c->n == 3 && has_max && qn_expr__is_const(b->e, args[2], &min) && !(max > min))
        return bad_arg(b, c, 1, "over the minimum");
    if (c->n == 2) args[2] = ln_of(b, args[1]);
    out->node = qn_expr__call(b,
                              c->n == 1   ? QN_MATH_normalize_atan
                              : c->n == 2 ? QN_MATH_normalize_log
                                          : QN_MATH_normalize_linear,
                              args);
    return QN_OK;
}

static qn_status decay_call(qn_expr__builder *b, const call *c, qn_expr__math_id id,
                            qn_expr__value *out)
{
    uint32_t args[6], least = qn_expr__const_f(b, QN_EXPR_DOUBLE, 0.000001);
    args[3] = least;
    args[4] = qn_expr__const_f(b, QN_EXPR_DOUBLE, 0);
    for (uint32_t i = 0; i < c->n; i++) args[i] = arg_node(b, c, i);
    uint32_t decay = qn_expr__to_double(b, args[3]);
    uint32_t none = qn_expr__op(b, QN_OP_LEF, QN_EXPR_BOOL, decay,
                                qn_expr__const_f(b, QN_EXPR_DOUBLE, 0), 0);
    args[5] = ln_of(b, qn_expr__op(b, QN_OP_SELF, QN_EXPR_DOUBLE, none, least, decay));
    out->node = qn_expr__call(b, id, args);
    return QN_OK;
}

static qn_status build_gauss_decay(qn_expr__builder *b, const call *c,
                                   qn_expr__value *out)
{
    return decay_call(b, c, QN_MATH_gauss_decay, out);
}

static qn_status build_exp_decay(qn_expr__builder *b, const call *c,
                                 qn_expr__value *out)
{
    return decay_call(b, c, QN_MATH_exp_decay, out);
}

static qn_status build_linear_decay(qn_expr__builder *b, const call *c,
                                    qn_expr__value *out)
{
    return decay_call(b, c, QN_MATH_linear_decay, out);
}

static void newness(qn_expr__builder *b, const call *c, double units_per_second,
                    qn_expr__value *out)
{
    uint32_t now = qn_expr__op(b, QN_OP_NOW, QN_EXPR_INT64, 0, 0, 0);
    uint32_t args[3] = {arg_node(b, c, 0), now,
                        qn_expr__const_f(b, QN_EXPR_DOUBLE, units_per_second)};
    out->node = qn_expr__call(b, QN_MATH_timeliness, args);
}

static qn_status build_timeliness(qn_expr__builder *b, const call *c,
                                  qn_expr__value *out)
{
    newness(b, c, 1, out);
    return QN_OK;
}

static qn_status build_timeliness_ms(qn_expr__builder *b, const call *c,
                                     qn_expr__value *out)
{
    newness(b, c, 1000, out);
    return QN_OK;
}

static qn_status build_distance(qn_expr__builder *b, const call *c, qn_expr__value *out)
{
    uint32_t args[4];
    for (uint32_t i = 0; i < 4; i++) {
        double value;
        const qn_expr__syntax *s = arg_syntax(b, c, i);
        args[i] = arg_node(b, c, i);
        if (s->kind != QN_SYN_STRING) continue;
        if (!literal_number(s, &value)) return bad_arg(b, c, i, "a coordinate");
        args[i] = qn_expr__const_f(b, QN_EXPR_DOUBLE, value);
    }
    out->node = qn_expr__call(b, QN_MATH_distance, args);
    return QN_OK;
}

/* --- the table's other half --- */

typedef struct how {
    int math, opcode; /* -1: not by this */
    build_fn build;
} how;

/* ORDER FUNCTIONS: parallel to the table of expr_names.c, from the same rows. */
static const how hows[] = {
#define FEATURE                                                                        \
    {                                                                                  \
        -1, -1, NULL                                                                   \
    }
#define MATH(f)                                                                        \
    {                                                                                  \
        QN_MATH_##f, -1, NULL                                                          \
    }
#define OPCODE(o)                                                                      \
    {                                                                                  \
        -1, QN_OP_##o, NULL                                                            \
    }
#define BUILD(f)                                                                       \
    {                                                                                  \
        -1, -1, build_##f                                                              \
    }
#define FN(name, min, max, args, where, how, signature, meaning, source) how,
#include "expr/functions.def"
#undef FN
#undef FEATURE
#undef MATH
#undef OPCODE
#undef BUILD
};

/* --- checking --- */

static char letter_of(const qn_expr_function *row, uint32_t i)
{
    size_t n = strlen(row->args);
    return row->args[i < n ? i : n - 1];
}

void qn_expr__mark_names(qn_expr__tree *t)
{
    for (size_t k = 0; k < t->nodes.n; k++) {
        const qn_expr__syntax *s = &t->nodes.p[k];
        if (s->kind != QN_SYN_CALL) continue;
        const qn_expr_function *row = qn_expr_function_find(s->text);
        for (uint32_t i = 0; i < s->list_size; i++) {
            qn_expr__syntax *arg = &t->nodes.p[t->kids.p[s->list + i]];
            /* Of an unknown function: its own name is the error, not theirs. */
            char letter = row == NULL ? 'x' : letter_of(row, i);
            if (arg->kind == QN_SYN_NAME && (letter == 'n' || letter == 'x'))
                arg->unevaluated = true;
        }
    }
}

static qn_status check_arg(qn_expr__builder *b, const call *c, uint32_t i)
{
    const qn_expr__syntax *s = arg_syntax(b, c, i);
    bool literal = s->kind == QN_SYN_NAME || s->kind == QN_SYN_STRING ||
                   s->kind == QN_SYN_BOOL || s->kind == QN_SYN_NUMBER;
    double value;
    switch (letter_of(c->row, i)) {
    case 'n':
        if (s->kind != QN_SYN_NAME) return bad_arg(b, c, i, "a name");
        return QN_OK;
    case 'x':
        if (!literal) return bad_arg(b, c, i, "a name or a constant");
        return QN_OK;
    case 's':
        if (s->kind != QN_SYN_STRING) return bad_arg(b, c, i, "a quoted string");
        return QN_OK;
    case 'k':
        if (!qn_expr__is_const(b->e, arg_node(b, c, i), &value))
            return bad_arg(b, c, i, "a constant number");
        return QN_OK;
    case 'a':
        if (qn_expr__node_at(b, arg_node(b, c, i))->is_list)
            return qn_fail_at(b->err, QN_EMULTIEXPR, s->begin,
                              "%s() takes no multi-value attribute; use ha_in()",
                              c->row->name);
        return QN_OK;
    case 'g':
        if (s->kind == QN_SYN_STRING) return QN_OK;
        return qn_expr__want_number(b, c->args[i]);
    case 'v':
        return qn_expr__want_number(b, c->args[i]);
    default:
        return QN_OK;
    }
}

static const char *place_names(unsigned where, char *buf, size_t size)
{
    static const char *const names[] = {"the rough sort", "the fine sort", "filters",
                                        "the sort clause"};
    size_t n = 0;
    buf[0] = '\0';
    for (unsigned i = 0; i < 4; i++)
        if ((where >> i & 1) != 0 && n < size)
            n += (size_t)snprintf(buf + n, size - n, "%s%s", n == 0 ? "" : " and ",
                                  names[i]);
    return buf;
}

static qn_status check_call(qn_expr__builder *b, const call *c)
{
    unsigned where = b->env == NULL ? 0 : b->env->where;
    char places[80];
    if (where != 0 && (c->row->where & where) == 0)
        return qn_fail_at(b->err, QN_ENOFUNC, c->syntax->begin, "%s() is for %s only",
                          c->row->name,
                          place_names(c->row->where, places, sizeof places));
    if (c->n < c->row->args_min || c->n > c->row->args_max)
        return qn_fail_at(b->err, QN_EFUNCARGS, c->syntax->begin,
                          "%s() with %u arguments: %s", c->row->name, c->n,
                          c->row->signature);
    for (uint32_t i = 0; i < c->n; i++) QN_TRY(check_arg(b, c, i));
    return QN_OK;
}

/* --- features --- */

enum { FEATURE_ARGS_MAX = 16 };

static void feature_arg(const qn_expr__builder *b, const call *c, uint32_t i,
                        qn_expr_arg *out)
{
    const qn_expr__syntax *s = arg_syntax(b, c, i);
    *out = (qn_expr_arg){.at = s->begin, .text = s->text};
    if (s->kind == QN_SYN_NAME) {
        out->kind = QN_EXPR_ARG_NAME;
    } else if (s->kind == QN_SYN_STRING) {
        out->kind = QN_EXPR_ARG_STRING;
    } else if (s->kind == QN_SYN_BOOL) {
        out->kind = QN_EXPR_ARG_BOOL;
        out->flag = s->i64 != 0;
    } else {
        const qn_expr__node *n = qn_expr__node_at(b, arg_node(b, c, i));
        out->kind = QN_EXPR_ARG_NUMBER;
        out->is_int = n->op == QN_OP_CONSTI;
        out->i64 = out->is_int ? (int64_t)n->bits : 0;
        (void)qn_expr__is_const(b->e, arg_node(b, c, i), &out->f64);
    }
}

/* text_relevance(title,"x",true): equal calls have equal keys. */
static void feature_key(const call *c, const qn_expr_arg *args, qn_buf *out)
{
    qn_buf_add_str(out, c->row->name);
    for (uint32_t i = 0; i < c->n; i++) {
        qn_buf_add_char(out, i == 0 ? '(' : ',');
        switch (args[i].kind) {
        case QN_EXPR_ARG_NAME:
            qn_buf_add_slice(out, args[i].text);
            break;
        case QN_EXPR_ARG_BOOL:
            qn_buf_add_str(out, args[i].flag ? "true" : "false");
            break;
        case QN_EXPR_ARG_NUMBER:
            if (args[i].is_int)
                qn_buf_printf(out, "%lld", (long long)args[i].i64);
            else
                qn_buf_printf(out, "%.17g", args[i].f64);
            break;
        case QN_EXPR_ARG_STRING:
            qn_buf_add_char(out, '"');
            for (size_t k = 0; k < args[i].text.n; k++) {
                char ch = args[i].text.p[k];
                if (ch == '"' || ch == '\\') qn_buf_add_char(out, '\\');
                qn_buf_add_char(out, ch);
            }
            qn_buf_add_char(out, '"');
            break;
        }
    }
    qn_buf_add_str(out, c->n == 0 ? "()" : ")");
}

static qn_status bind_feature(qn_expr__builder *b, const call *c,
                              const qn_expr_arg *args, qn_slice key,
                              qn_expr__value *out)
{
    for (size_t i = 0; i < b->e->inputs.n; i++) {
        if (!b->e->inputs.p[i].is_call) continue;
        if (!qn_slice_eq(b->e->inputs.p[i].text, key)) continue;
        out->node = b->e->input_nodes.p[i];
        return QN_OK;
    }
    if (b->env == NULL || b->env->resolve_call == NULL)
        return qn_fail_at(b->err, QN_ENOFUNC, c->syntax->begin,
                          "%s() has nothing to work on here", c->row->name);
    qn_expr_symbol symbol = {0};
    QN_TRY(b->env->resolve_call(b->env->ctx, qn_slice_of(c->row->name), args, c->n,
                                c->syntax->begin, &symbol, b->err));
    return qn_expr__input(b, key, true, &symbol, c->syntax->begin, &out->node);
}

static qn_status type_feature(qn_expr__builder *b, const call *c, qn_expr__value *out)
{
    qn_expr_arg args[FEATURE_ARGS_MAX];
    qn_assert(c->n <= FEATURE_ARGS_MAX);
    for (uint32_t i = 0; i < c->n; i++) feature_arg(b, c, i, &args[i]);
    qn_buf key;
    qn_buf_init(&key, b->alloc);
    feature_key(c, args, &key);
    qn_status st = key.failed ? qn_fail(b->err, QN_ENOMEM, "expression")
                              : bind_feature(b, c, args, qn_buf_slice(&key), out);
    qn_buf_deinit(&key);
    return st;
}

/* --- a call --- */

static qn_status unknown_function(qn_expr__builder *b, const qn_expr__syntax *s)
{
    const char *near = qn_expr_function_nearest(s->text);
    int shown = (int)(s->text.n > 64 ? 64 : s->text.n);
    if (near != NULL)
        return qn_fail_at(b->err, QN_ENOFUNC, s->begin,
                          "no function '%.*s'; did you mean '%s'?", shown, s->text.p,
                          near);
    return qn_fail_at(b->err, QN_ENOFUNC, s->begin, "no function '%.*s'", shown,
                      s->text.p);
}

qn_status qn_expr__type_call(qn_expr__builder *b, uint32_t syntax, qn_expr__value *out)
{
    call c = {.id = syntax, .syntax = qn_expr__syntax_at(b, syntax)};
    uint32_t index = qn_expr__function_index(c.syntax->text);
    if (index == QN_EXPR__NONE) return unknown_function(b, c.syntax);
    c.row = qn_expr_function_at(index);
    c.n = c.syntax->list_size;
    c.args = c.n == 0 ? NULL : b->e->tree.kids.p + c.syntax->list;
    QN_TRY(check_call(b, &c));
    if (c.row->feature) return type_feature(b, &c, out);
    const how *h = &hows[index];
    if (h->build != NULL) return h->build(b, &c, out);
    uint32_t args[QN_EXPR__MATH_ARGS_MAX] = {0};
    for (uint32_t i = 0; i < c.n; i++)
        args[i] = qn_expr__to_double(b, arg_node(b, &c, i));
    out->node = h->math >= 0 ? qn_expr__call(b, (qn_expr__math_id)h->math, args)
                             : qn_expr__op(b, (qn_expr__opcode)h->opcode,
                                           QN_EXPR_DOUBLE, args[0], args[1], 0);
    return QN_OK;
}

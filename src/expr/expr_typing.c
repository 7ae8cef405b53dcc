/* SPDX-License-Identifier: Apache-2.0 */
/* expr_typing.c -- syntax to typed nodes. Children come before their parents, so one
 * loop over the tree sees every operand before its operator. The formula's operators
 * are here; those of the strict dialects in expr_strict.c. */
#include "expr/expr_internal.h"

/* ORDER TYPES */
static const char *const type_names[] = {
    "bool",   "int8",   "int16",  "int32", "int64",  "uint8",
    "uint16", "uint32", "uint64", "float", "double", "string",
};

const char *qn_expr_type_name(qn_expr_type type)
{
    return (unsigned)type <= QN_EXPR_STRING ? type_names[type] : "?";
}

static const qn_expr__node *operand(const qn_expr__builder *b, uint32_t syntax)
{
    return qn_expr__node_at(b, b->values[syntax].node);
}

qn_status qn_expr__want_number(qn_expr__builder *b, uint32_t syntax)
{
    const qn_expr__node *n = operand(b, syntax);
    uint64_t at = qn_expr__syntax_at(b, syntax)->begin;
    if (n->is_list)
        return qn_fail_at(b->err, QN_EMULTIEXPR, at,
                          "a multi-value attribute is no number; use multi_attr() or "
                          "ha_in()");
    if (n->type == QN_EXPR_STRING)
        return qn_fail_at(b->err, QN_ESTRINGEXPR, at,
                          "a string where a number is wanted");
    return QN_OK;
}

static qn_status type_name(qn_expr__builder *b, const qn_expr__syntax *s,
                           qn_expr__value *out)
{
    for (size_t i = 0; i < b->e->inputs.n; i++) {
        if (b->e->inputs.p[i].is_call) continue;
        if (!qn_slice_eq(b->e->inputs.p[i].text, s->text)) continue;
        out->node = b->e->input_nodes.p[i];
        return QN_OK;
    }
    qn_expr_symbol symbol = {0};
    if (b->env != NULL && b->env->resolve_name != NULL &&
        b->env->resolve_name(b->env->ctx, s->text, &symbol))
        return qn_expr__input(b, s->text, false, &symbol, s->at, &out->node);
    int shown = (int)(s->text.n > 64 ? 64 : s->text.n);
    qn_slice near = qn_expr__name_nearest(b->env, s->text);
    if (qn_expr__function_index(s->text) != QN_EXPR__NONE)
        return qn_fail_at(b->err, QN_ENOATTR, s->at,
                          "'%.*s' is a function: write %.*s(...)", shown, s->text.p,
                          shown, s->text.p);
    if (near.p != NULL)
        return qn_fail_at(b->err, QN_ENOATTR, s->at,
                          "no attribute '%.*s'; did you mean '%.*s'?", shown, s->text.p,
                          QN_SLICE_ARG(near));
    return qn_fail_at(b->err, QN_ENOATTR, s->at, "no attribute '%.*s'", shown,
                      s->text.p);
}

static void type_literal(qn_expr__builder *b, const qn_expr__syntax *s,
                         qn_expr__value *out)
{
    out->literal = true;
    out->decimal = qn_expr__type_is_float(s->type);
    if (s->kind == QN_SYN_STRING)
        out->node = qn_expr__const_s(b, s->text);
    else if (out->decimal)
        out->node = qn_expr__const_f(b, s->type, s->f64);
    else
        out->node = qn_expr__const_i(b, s->type, s->i64);
}

/* --- formula --- */

static bool is_float_node(const qn_expr__builder *b, uint32_t node)
{
    return qn_expr__type_is_float((qn_expr_type)qn_expr__node_at(b, node)->type);
}

/* Integers are compared as such where both have one sign rule; else as doubles. */
static bool compare_as_integers(const qn_expr__builder *b, uint32_t x, uint32_t y,
                                bool *is_unsigned)
{
    if (is_float_node(b, x) || is_float_node(b, y)) return false;
    const qn_expr__node *nx = qn_expr__node_at(b, x), *ny = qn_expr__node_at(b, y);
    bool ux = nx->type == QN_EXPR_UINT64, uy = ny->type == QN_EXPR_UINT64;
    bool x_free = nx->op == QN_OP_CONSTI && (int64_t)nx->bits >= 0;
    bool y_free = ny->op == QN_OP_CONSTI && (int64_t)ny->bits >= 0;
    *is_unsigned = ux || uy;
    return ux == uy || (ux && y_free) || (uy && x_free);
}

uint32_t qn_expr__compare(qn_expr__builder *b, qn_expr__operator op, uint32_t x,
                          uint32_t y)
{
    if (b->failed) return 0;
    /* ORDER OPERATORS: EQ NE LT LE GT GE; the last two are the two before, swapped. */
    static const qn_expr__opcode by_kind[4][4] = {
        {QN_OP_EQI, QN_OP_NEI, QN_OP_LTI, QN_OP_LEI},
        {QN_OP_EQI, QN_OP_NEI, QN_OP_LTU, QN_OP_LEU},
        {QN_OP_EQF, QN_OP_NEF, QN_OP_LTF, QN_OP_LEF},
        {QN_OP_EQS, QN_OP_NES, QN_OP_LTS, QN_OP_LES},
    };
    bool is_unsigned = false;
    size_t kind;
    if (qn_expr__node_at(b, x)->type == QN_EXPR_STRING) {
        kind = 3;
    } else if (compare_as_integers(b, x, y, &is_unsigned)) {
        kind = is_unsigned ? 1 : 0;
    } else {
        kind = 2;
        x = qn_expr__to_double(b, x);
        y = qn_expr__to_double(b, y);
    }
    bool swapped = op == QN_EX_GT || op == QN_EX_GE;
    size_t which = (size_t)op - QN_EX_EQ - (swapped ? 2 : 0);
    return qn_expr__op(b, by_kind[kind][which], QN_EXPR_BOOL, swapped ? y : x,
                       swapped ? x : y, 0);
}

static uint32_t formula_arithmetic(qn_expr__builder *b, qn_expr__operator op,
                                   uint32_t x, uint32_t y)
{
    uint32_t args[2] = {qn_expr__to_double(b, x), qn_expr__to_double(b, y)};
    if (op == QN_EX_POW) return qn_expr__call(b, QN_MATH_pow, args);
    qn_expr__opcode opcode = op == QN_EX_ADD   ? QN_OP_ADDF
                             : op == QN_EX_SUB ? QN_OP_SUBF
                             : op == QN_EX_MUL ? QN_OP_MULF
                                               : QN_OP_DIVF;
    return qn_expr__op(b, opcode, QN_EXPR_DOUBLE, args[0], args[1], 0);
}

static qn_status formula_binary(qn_expr__builder *b, const qn_expr__syntax *s,
                                qn_expr__value *out)
{
    QN_TRY(qn_expr__want_number(b, s->a));
    QN_TRY(qn_expr__want_number(b, s->b));
    uint32_t x = b->values[s->a].node, y = b->values[s->b].node;
    switch (s->op) {
    case QN_EX_OR:
    case QN_EX_AND:
        out->node =
            qn_expr__op(b, s->op == QN_EX_OR ? QN_OP_ORI : QN_OP_ANDI, QN_EXPR_BOOL,
                        qn_expr__to_bool(b, x), qn_expr__to_bool(b, y), 0);
        break;
    case QN_EX_BIT_OR:
    case QN_EX_BIT_XOR:
    case QN_EX_BIT_AND:
        out->node = qn_expr__op(b,
                                s->op == QN_EX_BIT_OR    ? QN_OP_ORI
                                : s->op == QN_EX_BIT_XOR ? QN_OP_XORI
                                                         : QN_OP_ANDI,
                                QN_EXPR_INT64, qn_expr__to_integer(b, x),
                                qn_expr__to_integer(b, y), 0);
        break;
    case QN_EX_ADD:
    case QN_EX_SUB:
    case QN_EX_MUL:
    case QN_EX_DIV:
    case QN_EX_POW:
        out->node = formula_arithmetic(b, s->op, x, y);
        break;
    default:
        out->node = qn_expr__compare(b, s->op, x, y);
        break;
    }
    return QN_OK;
}

/* --- the walk --- */

static qn_status type_unary(qn_expr__builder *b, const qn_expr__syntax *s,
                            qn_expr__value *out)
{
    QN_TRY(qn_expr__want_number(b, s->a));
    uint32_t x = b->values[s->a].node;
    if (s->op == QN_EX_NEG) {
        out->node =
            qn_expr__op(b, QN_OP_NEGF, QN_EXPR_DOUBLE, qn_expr__to_double(b, x), 0, 0);
        return QN_OK;
    }
    if (b->e->dialect != QN_EXPR_FORMULA && operand(b, s->a)->type != QN_EXPR_BOOL)
        return qn_fail_at(b->err, QN_ELOGICTYPE, s->at, "'!' takes a condition");
    out->node = qn_expr__op(b, QN_OP_NOTB, QN_EXPR_BOOL, qn_expr__to_bool(b, x), 0, 0);
    return QN_OK;
}

static qn_status type_node(qn_expr__builder *b, uint32_t id)
{
    /* A copy: a call may not move the tree, but the reader should not have to check. */
    const qn_expr__syntax s = *qn_expr__syntax_at(b, id);
    qn_expr__value *out = &b->values[id];
    if (s.unevaluated) return QN_OK;
    qn_status st = QN_OK;
    switch (s.kind) {
    case QN_SYN_NUMBER:
    case QN_SYN_STRING:
    case QN_SYN_BOOL:
        type_literal(b, &s, out);
        break;
    case QN_SYN_NAME:
        st = type_name(b, &s, out);
        break;
    case QN_SYN_UNARY:
        st = type_unary(b, &s, out);
        break;
    case QN_SYN_IN:
        st = qn_expr__type_in(b, id, out);
        break;
    case QN_SYN_CALL:
        st = qn_expr__type_call(b, id, out);
        break;
    case QN_SYN_BINARY:
        st = b->e->dialect == QN_EXPR_FORMULA ? formula_binary(b, &s, out)
                                              : qn_expr__strict_binary(b, id, out);
        break;
    }
    if (st == QN_OK && b->failed) st = qn_fail(b->err, QN_ENOMEM, "expression");
    return st;
}

/* What each dialect may come to. */
static qn_status check_result(qn_expr__builder *b)
{
    uint32_t root = b->e->tree.root;
    const qn_expr__node *n = operand(b, root);
    uint64_t at = qn_expr__syntax_at(b, root)->begin;
    switch (b->e->dialect) {
    case QN_EXPR_FORMULA:
        return qn_expr__want_number(b, root);
    case QN_EXPR_FILTER:
        if (n->type == QN_EXPR_BOOL && !n->is_list) return QN_OK;
        return qn_fail_at(b->err, QN_ERESULTTYPE, at,
                          "a filter is a condition, not a value of type %s",
                          qn_expr_type_name((qn_expr_type)n->type));
    case QN_EXPR_SORT_KEY:
        if (n->type != QN_EXPR_BOOL && !n->is_list) return QN_OK;
        return qn_fail_at(b->err, QN_ERESULTTYPE, at,
                          n->is_list ? "a multi-value attribute cannot be sorted by"
                                     : "a condition cannot be sorted by");
    }
    return QN_OK;
}

/* --- additive terms --- */

typedef struct pending_term {
    uint32_t syntax;
    bool minus;
} pending_term;

static bool is_sum(const qn_expr__builder *b, uint32_t syntax)
{
    const qn_expr__syntax *s = qn_expr__syntax_at(b, syntax);
    return b->e->dialect == QN_EXPR_FORMULA && s->kind == QN_SYN_BINARY &&
           (s->op == QN_EX_ADD || s->op == QN_EX_SUB);
}

static qn_status add_term(qn_expr__builder *b, pending_term t)
{
    const qn_expr__syntax *s = qn_expr__syntax_at(b, t.syntax);
    uint32_t node = b->values[t.syntax].node;
    if (b->e->dialect == QN_EXPR_FORMULA) node = qn_expr__to_double(b, node);
    if (t.minus) node = qn_expr__op(b, QN_OP_NEGF, QN_EXPR_DOUBLE, node, 0, 0);
    qn_expr__term term = {
        .text = {b->e->text.p + s->begin, s->limit - s->begin},
        .minus = t.minus,
        .node = node,
    };
    if (b->failed || !qn_vec_push(b->alloc, &b->e->terms, term))
        return qn_fail(b->err, QN_ENOMEM, "expression");
    return QN_OK;
}

/* Leftmost first: the stack holds what lies to the right. */
static qn_status find_terms(qn_expr__builder *b)
{
    QN_VEC(pending_term) stack = {0};
    qn_status st = QN_OK;
    if (!qn_vec_push(b->alloc, &stack, ((pending_term){b->e->tree.root, false})))
        st = qn_fail(b->err, QN_ENOMEM, "expression");
    while (st == QN_OK && stack.n > 0) {
        pending_term t = stack.p[--stack.n];
        if (!is_sum(b, t.syntax)) {
            st = add_term(b, t);
            continue;
        }
        const qn_expr__syntax *s = qn_expr__syntax_at(b, t.syntax);
        pending_term right = {s->b, t.minus != (s->op == QN_EX_SUB)};
        pending_term left = {s->a, t.minus};
        if (!qn_vec_push(b->alloc, &stack, right) ||
            !qn_vec_push(b->alloc, &stack, left))
            st = qn_fail(b->err, QN_ENOMEM, "expression");
    }
    qn_vec_deinit(b->alloc, &stack);
    return st;
}

qn_status qn_expr__type_tree(qn_expr__builder *b)
{
    qn_expr__mark_names(&b->e->tree);
    for (uint32_t i = 0; i < b->e->tree.nodes.n; i++) QN_TRY(type_node(b, i));
    QN_TRY(check_result(b));
    uint32_t root = b->values[b->e->tree.root].node;
    b->e->root = b->e->dialect == QN_EXPR_FORMULA ? qn_expr__to_double(b, root) : root;
    return find_terms(b);
}

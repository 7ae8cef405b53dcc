/* SPDX-License-Identifier: Apache-2.0 */
/* expr_strict.c -- operators of the filter and sort-key dialects, typed as HA3 does:
 * both sides of one type, no promotion; a literal takes the type of the other side. */
#include "expr/expr_internal.h"

static const qn_expr__node *node_of(const qn_expr__builder *b, uint32_t syntax)
{
    return qn_expr__node_at(b, b->values[syntax].node);
}

static const char *type_text(const qn_expr__builder *b, uint32_t syntax)
{
    return qn_expr_type_name((qn_expr_type)node_of(b, syntax)->type);
}

qn_status qn_expr__strict_adapt(qn_expr__builder *b, uint32_t syntax, qn_expr__value *v,
                                qn_expr_type type)
{
    const qn_expr__node n = *qn_expr__node_at(b, v->node);
    uint64_t at = qn_expr__syntax_at(b, syntax)->begin;
    if (n.type == type) return QN_OK;
    bool number = qn_expr__type_is_number((qn_expr_type)n.type);
    if (!number || !qn_expr__type_is_number(type) ||
        (v->decimal && !qn_expr__type_is_float(type)))
        return qn_fail_at(
            b->err, QN_ECONSTTYPE, at, "a %s constant against a value of type %s",
            qn_expr_type_name((qn_expr_type)n.type), qn_expr_type_name(type));
    if (qn_expr__type_is_float(type)) {
        double value = 0;
        if (qn_expr__is_const(b->e, v->node, &value))
            v->node = qn_expr__const_f(
                b, type, type == QN_EXPR_FLOAT ? (double)(float)value : value);
        return QN_OK;
    }
    if (!qn_expr__int_fits(type, (int64_t)n.bits, n.type == QN_EXPR_UINT64))
        return qn_fail_at(b->err, QN_ECONSTVALUE, at,
                          "the constant does not fit a value of type %s",
                          qn_expr_type_name(type));
    v->node = qn_expr__const_i(b, type, (int64_t)n.bits);
    return QN_OK;
}

/* Both sides to one type. */
qn_status qn_expr__strict_unify(qn_expr__builder *b, uint64_t at, uint32_t left,
                                uint32_t right)
{
    qn_expr__value *x = &b->values[left], *y = &b->values[right];
    qn_expr_type tx = (qn_expr_type)node_of(b, left)->type;
    qn_expr_type ty = (qn_expr_type)node_of(b, right)->type;
    if (x->literal && !y->literal) return qn_expr__strict_adapt(b, left, x, ty);
    if (y->literal && !x->literal) return qn_expr__strict_adapt(b, right, y, tx);
    if (tx == ty) return QN_OK;
    return qn_fail_at(b->err, QN_EEXPRTYPE, at,
                      "left & right expression type not matched: %s and %s",
                      type_text(b, left), type_text(b, right));
}

static qn_status strict_logical(qn_expr__builder *b, const qn_expr__syntax *s,
                                qn_expr__value *out)
{
    if (node_of(b, s->a)->type != QN_EXPR_BOOL ||
        node_of(b, s->b)->type != QN_EXPR_BOOL)
        return qn_fail_at(b->err, QN_ELOGICTYPE, s->at,
                          "both sides of AND and OR must be conditions, not %s and %s",
                          type_text(b, s->a), type_text(b, s->b));
    out->node = qn_expr__op(b, s->op == QN_EX_OR ? QN_OP_ORI : QN_OP_ANDI, QN_EXPR_BOOL,
                            b->values[s->a].node, b->values[s->b].node, 0);
    return QN_OK;
}

/* multi = x: any item equals; multi != x: none does. */
static qn_status strict_multi(qn_expr__builder *b, const qn_expr__syntax *s,
                              qn_expr__value *out)
{
    bool left = node_of(b, s->a)->is_list, right = node_of(b, s->b)->is_list;
    if ((left && right) || (s->op != QN_EX_EQ && s->op != QN_EX_NE))
        return qn_fail_at(b->err, QN_EMULTIEXPR, s->at,
                          "a multi-value attribute takes = and != against one value");
    QN_TRY(qn_expr__strict_unify(b, s->at, s->a, s->b));
    uint32_t list = b->values[left ? s->a : s->b].node;
    uint32_t single = b->values[left ? s->b : s->a].node;
    qn_expr_type type = (qn_expr_type)qn_expr__node_at(b, list)->type;
    qn_expr__opcode op = type == QN_EXPR_STRING         ? QN_OP_ANYS
                         : qn_expr__type_is_float(type) ? QN_OP_ANYF
                                                        : QN_OP_ANYI;
    out->node = qn_expr__op(b, op, QN_EXPR_BOOL, list, single, 0);
    if (s->op == QN_EX_NE)
        out->node = qn_expr__op(b, QN_OP_NOTB, QN_EXPR_BOOL, out->node, 0, 0);
    return QN_OK;
}

static qn_expr__opcode arithmetic_opcode(qn_expr__operator op, qn_expr_type type)
{
    bool is_float = qn_expr__type_is_float(type);
    switch (op) {
    case QN_EX_ADD:
        return is_float ? QN_OP_ADDF : QN_OP_ADDI;
    case QN_EX_SUB:
        return is_float ? QN_OP_SUBF : QN_OP_SUBI;
    case QN_EX_MUL:
        return is_float ? QN_OP_MULF : QN_OP_MULI;
    case QN_EX_BIT_AND:
        return QN_OP_ANDI;
    case QN_EX_BIT_OR:
        return QN_OP_ORI;
    case QN_EX_BIT_XOR:
        return QN_OP_XORI;
    default:
        break;
    }
    return is_float ? QN_OP_DIVZF : type == QN_EXPR_UINT64 ? QN_OP_DIVU : QN_OP_DIVI;
}

static qn_status strict_arithmetic(qn_expr__builder *b, const qn_expr__syntax *s,
                                   qn_expr__value *out)
{
    qn_expr_type type = (qn_expr_type)node_of(b, s->a)->type;
    bool bits =
        s->op == QN_EX_BIT_AND || s->op == QN_EX_BIT_OR || s->op == QN_EX_BIT_XOR;
    if (bits && !qn_expr__type_is_int(type))
        return qn_fail_at(b->err, QN_EBITTYPE, s->at,
                          "bit operators take integers, not %s",
                          qn_expr_type_name(type));
    if (type == QN_EXPR_STRING)
        return qn_fail_at(b->err, QN_ESTRINGEXPR, s->at,
                          "strings can only be compared");
    if (!qn_expr__type_is_number(type))
        return qn_fail_at(b->err, QN_EEXPRTYPE, s->at,
                          "arithmetic takes numbers, not conditions");
    uint32_t x = b->values[s->a].node, y = b->values[s->b].node;
    out->literal = b->values[s->a].literal && b->values[s->b].literal;
    out->decimal = qn_expr__type_is_float(type);
    out->node = qn_expr__op(b, arithmetic_opcode(s->op, type), type, x, y, 0);
    /* The bits of narrow operands stay narrow; sums and products may not. */
    if (!bits) out->node = qn_expr__narrow(b, out->node, type);
    return QN_OK;
}

qn_status qn_expr__strict_binary(qn_expr__builder *b, uint32_t syntax,
                                 qn_expr__value *out)
{
    const qn_expr__syntax s = *qn_expr__syntax_at(b, syntax);
    if (s.op == QN_EX_AND || s.op == QN_EX_OR) return strict_logical(b, &s, out);
    if (node_of(b, s.a)->is_list || node_of(b, s.b)->is_list)
        return strict_multi(b, &s, out);
    QN_TRY(qn_expr__strict_unify(b, s.at, s.a, s.b));
    if (s.op < QN_EX_EQ || s.op > QN_EX_GE) return strict_arithmetic(b, &s, out);
    bool ordered = s.op != QN_EX_EQ && s.op != QN_EX_NE;
    if (ordered && node_of(b, s.a)->type == QN_EXPR_BOOL)
        return qn_fail_at(b->err, QN_EEXPRTYPE, s.at, "conditions have no order");
    out->node = qn_expr__compare(b, s.op, b->values[s.a].node, b->values[s.b].node);
    return QN_OK;
}

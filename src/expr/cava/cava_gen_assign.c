/* SPDX-License-Identifier: Apache-2.0 */
/* cava_gen_assign.c -- assignment, compound assignment, ++ and --. */
#include "expr/cava/cava_gen.h"

typedef qn_cava_gen gen;
typedef qn_cava_value value;
typedef qn_cava_node node;

enum { NONE = QN_CAVA_NO_REGISTER };

/* Where a value goes. */
typedef struct target {
    enum { WRONG, LOCAL, FIELD, ITEM } kind;
    qn_cava_type type;
    uint16_t reg;        /* LOCAL */
    value object, index; /* FIELD; ITEM */
    unsigned field;
} target;

static target wrong(gen *g, const node *n)
{
    qn_cava__error(g->c, n->at, n->end, QN_CAVA_E_SYNTAX,
                   "this is nothing that a value can be assigned to");
    return (target){.kind = WRONG};
}

static target field_target(gen *g, value object, size_t k, size_t field)
{
    qn_cava_type t = g->p->classes.p[k].fields[field].type;
    return (target){.kind = t == QN_CT_ERROR ? WRONG : FIELD,
                    .type = t,
                    .object = object,
                    .field = (unsigned)field};
}

static target name_target(gen *g, const node *n)
{
    const qn_cava_local *l = qn_cava__find_local(g, n->text);
    size_t field = qn_cava__find_field(g, g->class_index, n->text);
    if (l != NULL)
        return (target){.kind = l->type == QN_CT_ERROR ? WRONG : LOCAL,
                        .type = l->type,
                        .reg = l->reg};
    if (field == SIZE_MAX || g->is_static) {
        (void)qn_cava__gen(g, n, NONE); /* which says what is wrong with it */
        return (target){.kind = WRONG};
    }
    value self = {.type = g->p->classes.p[g->class_index].type, .reg = 0};
    return field_target(g, self, g->class_index, field);
}

static target dot_target(gen *g, const node *n, bool effects)
{
    value v;
    qn_cava_type item;
    if (qn_cava__as_class(g, n->a) != SIZE_MAX) {
        (void)qn_cava__gen(g, n, NONE);
        return (target){.kind = WRONG};
    }
    v = qn_cava__stable(g, qn_cava__gen(g, n->a, NONE), effects);
    if (v.type == QN_CT_ERROR) return (target){.kind = WRONG};
    size_t k = qn_cava__class_of(g, v.type);
    size_t field =
        k == SIZE_MAX ? SIZE_MAX : qn_cava__find_field(g, (uint32_t)k, n->text);
    if (field != SIZE_MAX) return field_target(g, v, k, field);
    if (qn_cava__is_array(g, v.type, &item)) return wrong(g, n);
    (void)qn_cava__gen(g, n, NONE);
    return (target){.kind = WRONG};
}

static target item_target(gen *g, const node *n, bool effects)
{
    target t = {.kind = ITEM};
    t.object = qn_cava__gen(g, n->a, NONE);
    t.object = qn_cava__stable(g, t.object, n->b->effects || effects);
    t.index = qn_cava__gen(g, n->b, NONE);
    if (t.object.type == QN_CT_ERROR || t.index.type == QN_CT_ERROR)
        return (target){.kind = WRONG};
    if (!qn_cava__is_array(g, t.object.type, &t.type)) return wrong(g, n);
    t.index = qn_cava__assignable(
        g, t.index, t.index.type == QN_CT_UINT ? QN_CT_UINT : QN_CT_INT, n->b, NONE);
    t.index = qn_cava__load(g, qn_cava__stable(g, t.index, effects), QN_CT_INT);
    if (t.index.type == QN_CT_ERROR) t.kind = WRONG;
    return t;
}

static target target_of(gen *g, const node *n, bool effects)
{
    switch (n->kind) {
    case N_NAME:
        return name_target(g, n);
    case N_DOT:
        return dot_target(g, n, effects);
    case N_INDEX:
        return item_target(g, n, effects);
    default:
        if (n->kind == N_EMPTY) return (target){.kind = WRONG};
        return wrong(g, n);
    }
}

static qn_cava_opcode field_op(qn_cava_type t, bool put)
{
    qn_cava_type s = qn_cava__storage(t);
    if (s == QN_CT_LONG) return put ? QN_COP_PUT_I : QN_COP_GET_I;
    if (s == QN_CT_DOUBLE) return put ? QN_COP_PUT_D : QN_COP_GET_D;
    return put ? QN_COP_PUT_R : QN_COP_GET_R;
}

static value get(gen *g, const target *t)
{
    if (t->kind == LOCAL) return (value){.type = t->type, .reg = t->reg};
    uint16_t reg = qn_cava__register(g, t->type);
    if (t->kind == FIELD)
        (void)qn_cava__emit(g, field_op(t->type, false), reg, t->object.reg, t->field);
    else
        (void)qn_cava__emit(g, qn_cava__load_op(t->type), reg, t->object.reg,
                            t->index.reg);
    return (value){.type = t->type, .temporary = true, .reg = reg};
}

/* The value, in a register; the target's own registers are done with. */
static value put(gen *g, const target *t, value v)
{
    if (t->kind == LOCAL) {
        qn_cava__move(g, t->reg, v, t->type);
        qn_cava__release(g, v);
        return (value){.type = t->type, .reg = t->reg};
    }
    v = qn_cava__load(g, v, t->type);
    if (t->kind == FIELD)
        (void)qn_cava__emit(g, field_op(t->type, true), t->object.reg, t->field, v.reg);
    else
        (void)qn_cava__emit(g, qn_cava__store_op(t->type), t->object.reg, t->index.reg,
                            v.reg);
    qn_cava__release(g, t->object);
    if (t->kind == ITEM) qn_cava__release(g, t->index);
    return v;
}

static unsigned operator_of(unsigned code)
{
    static const struct {
        uint8_t compound, plain;
    } pairs[] = {{P_ADD_SET, P_ADD}, {P_SUB_SET, P_SUB},  {P_MUL_SET, P_MUL},
                 {P_DIV_SET, P_DIV}, {P_REM_SET, P_REM},  {P_AND_SET, P_AND},
                 {P_OR_SET, P_OR},   {P_XOR_SET, P_XOR},  {P_SHL_SET, P_SHL},
                 {P_SHR_SET, P_SHR}, {P_USHR_SET, P_USHR}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i].compound == code) return pairs[i].plain;
    return P_none;
}

static value plain(gen *g, const node *n)
{
    target t = target_of(g, n->a, n->b->effects);
    uint16_t wanted = t.kind == LOCAL ? t.reg : NONE;
    value v = qn_cava__gen(g, n->b, wanted);
    if (t.kind == WRONG || v.type == QN_CT_ERROR) return qn_cava__wrong();
    v = qn_cava__assignable(g, v, t.type, n->b, wanted);
    if (v.type == QN_CT_ERROR) return v;
    g->place = n->at;
    return put(g, &t, v);
}

/* a op= b is a = (type of a)(a op b), a evaluated once. */
static value compound(gen *g, const node *n)
{
    target t = target_of(g, n->a, n->b->effects);
    if (t.kind == WRONG) {
        (void)qn_cava__gen(g, n->b, NONE);
        return qn_cava__wrong();
    }
    uint16_t wanted = t.kind == LOCAL ? t.reg : NONE;
    value before = qn_cava__stable(g, get(g, &t), n->b->effects);
    value b = qn_cava__gen(g, n->b, NONE);
    value v = qn_cava__gen_binary(g, operator_of(n->code), before, b, n, wanted);
    if (v.type == QN_CT_ERROR) return v;
    bool numbers = qn_cava__is_number(v.type) && qn_cava__is_number(t.type);
    if (v.type != t.type && !numbers) {
        qn_cava__type_error(g, n, v.type, t.type, "this is");
        return qn_cava__wrong();
    }
    v = qn_cava__emit_convert(g, v, t.type, wanted);
    g->place = n->at;
    return put(g, &t, v);
}

value qn_cava__gen_assign(gen *g, const node *n)
{
    return n->code == P_SET ? plain(g, n) : compound(g, n);
}

value qn_cava__gen_step(gen *g, const node *n, bool used)
{
    target t = target_of(g, n->a, false);
    if (t.kind == WRONG) return qn_cava__wrong();
    if (!qn_cava__is_number(t.type)) {
        char room[96];
        qn_cava__error(
            g->c, n->at, n->end, QN_CAVA_E_TYPE, "'%s' does not take %.*s",
            qn_cava__punct(n->code),
            QN_SLICE_ARG(qn_cava__type_name(g->p, t.type, room, sizeof room)));
        return qn_cava__wrong();
    }
    bool keep = used && n->kind == N_POSTFIX;
    value before = get(g, &t), old = before;
    if (keep) {
        old = (value){.type = t.type, .temporary = true};
        old.reg = qn_cava__register(g, t.type);
        qn_cava__move(g, old.reg, before, t.type);
    }
    uint16_t wanted = t.kind == LOCAL ? t.reg : NONE;
    value one = qn_cava__constant(QN_CT_INT, (qn_cava_slot){.i = 1});
    value v = qn_cava__gen_binary(g, n->code == P_INC ? P_ADD : P_SUB, before, one, n,
                                  wanted);
    v = qn_cava__emit_convert(g, v, t.type, wanted);
    if (v.type == QN_CT_ERROR) return v;
    v = put(g, &t, v);
    if (!keep) return v;
    qn_cava__release(g, v);
    return old;
}

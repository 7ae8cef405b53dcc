/* SPDX-License-Identifier: Apache-2.0 */
/* cava_gen_expr.c -- expressions: names, literals, operators, conditions. */
#include "expr/cava/cava_gen.h"

typedef qn_cava_gen gen;
typedef qn_cava_value value;
typedef qn_cava_node node;

enum { NONE = QN_CAVA_NO_REGISTER };

/* ---- literals and names ----------------------------------------------------------------- */

static value string_literal(gen *g, qn_slice text, uint16_t wanted)
{
    qn_cava_program *p = g->p;
    size_t i = 0;
    while (i < p->strings.n && !qn_slice_eq(p->strings.p[i], text)) i++;
    if (i == p->strings.n) {
        qn_slice copy = qn_arena_slice(&p->arena, text);
        if (copy.p == NULL || !qn_vec_push(p->alloc, &p->strings, copy))
            g->c->no_memory = true;
    }
    qn_cava_type t = p->classes.p[QN_CAVA_CString].type;
    uint16_t reg = qn_cava__target(g, wanted, t);
    (void)qn_cava__emit(g, QN_COP_STRING, reg, (unsigned)i, 0);
    return qn_cava__in_register(g, reg, t, wanted);
}

static value this_value(gen *g, const node *n)
{
    if (g->is_static) {
        qn_cava__error(g->c, n->at, n->end, QN_CAVA_E_NAME,
                       "a static method has no 'this'");
        return qn_cava__wrong();
    }
    return (value){.type = g->p->classes.p[g->class_index].type, .reg = 0};
}

static value literal(gen *g, const node *n, uint16_t wanted)
{
    const qn_cava_token *t = n->token;
    qn_cava_slot k = {.i = (int64_t)t->bits};
    switch (t->kind) {
    case T_INT:
        if (t->code != 0 && k.i == (t->suffix == 'L' ? INT64_MIN : (int64_t)1 << 31))
            qn_cava__error(g->c, n->at, n->end, QN_CAVA_E_TYPE,
                           "this number fits only with a minus in front of it");
        return qn_cava__constant(t->suffix == 'L' ? QN_CT_LONG : QN_CT_INT, k);
    case T_FLOAT:
        return qn_cava__constant(t->suffix == 'F' ? QN_CT_FLOAT : QN_CT_DOUBLE,
                                 (qn_cava_slot){.d = t->real});
    case T_CHAR:
        return qn_cava__constant(QN_CT_CHAR, k);
    case T_STRING:
        return string_literal(g, t->text, wanted);
    default:
        if (t->code == K_null)
            return qn_cava__constant(QN_CT_NULL, (qn_cava_slot){.i = 0});
        if (t->code == K_this) return this_value(g, n);
        return qn_cava__constant(QN_CT_BOOLEAN, (qn_cava_slot){.i = t->code == K_true});
    }
}

const qn_cava_local *qn_cava__find_local(const gen *g, qn_slice name)
{
    for (size_t i = g->locals.n; i-- > 0;)
        if (qn_slice_eq(g->locals.p[i].name, name)) return &g->locals.p[i];
    return NULL;
}

size_t qn_cava__find_field(const gen *g, uint32_t class_index, qn_slice name)
{
    const qn_cava_class *k = &g->p->classes.p[class_index];
    for (uint32_t i = 0; i < k->field_count; i++)
        if (qn_slice_eq(k->fields[i].name, name)) return i;
    return SIZE_MAX;
}

static bool is_variable(const gen *g, qn_slice name)
{
    return qn_cava__find_local(g, name) != NULL ||
           qn_cava__find_field(g, g->class_index, name) != SIZE_MAX;
}

size_t qn_cava__as_class(gen *g, const node *n)
{
    const node *first = n;
    while (first->kind == N_DOT) first = first->a;
    if (first->kind != N_NAME || is_variable(g, first->text)) return SIZE_MAX;
    qn_slice text = {first->text.p, (size_t)(n->text.p + n->text.n - first->text.p)};
    return qn_cava__find_class(g->c, g->file, text);
}

size_t qn_cava__class_of(const gen *g, qn_cava_type t)
{
    if (t < QN_CT_FIRST || g->p->types.p[t - QN_CT_FIRST].is_array) return SIZE_MAX;
    return g->p->types.p[t - QN_CT_FIRST].of;
}

bool qn_cava__is_array(const gen *g, qn_cava_type t, qn_cava_type *item)
{
    if (t < QN_CT_FIRST || !g->p->types.p[t - QN_CT_FIRST].is_array) return false;
    *item = g->p->types.p[t - QN_CT_FIRST].of;
    return true;
}

/* Field i of the object in `v`. */
static value get_field(gen *g, value object, uint32_t class_index, size_t i,
                       uint16_t wanted)
{
    qn_cava_type t = g->p->classes.p[class_index].fields[i].type;
    if (t == QN_CT_ERROR) return qn_cava__wrong();
    qn_cava_type s = qn_cava__storage(t);
    uint16_t reg = qn_cava__target(g, wanted, t);
    (void)qn_cava__emit(g,
                        s == QN_CT_LONG     ? QN_COP_GET_I
                        : s == QN_CT_DOUBLE ? QN_COP_GET_D
                                            : QN_COP_GET_R,
                        reg, object.reg, (unsigned)i);
    qn_cava__release(g, object);
    return qn_cava__in_register(g, reg, t, wanted);
}

static value name(gen *g, const node *n, uint16_t wanted)
{
    const qn_cava_local *l = qn_cava__find_local(g, n->text);
    if (l != NULL) {
        if (l->type == QN_CT_ERROR) return qn_cava__wrong();
        return (value){.type = l->type, .reg = l->reg};
    }
    size_t field = qn_cava__find_field(g, g->class_index, n->text);
    if (field == SIZE_MAX) {
        qn_cava__error(g->c, n->at, n->end, QN_CAVA_E_NAME, "no variable '%.*s'",
                       QN_SLICE_ARG(n->text));
        return qn_cava__wrong();
    }
    if (g->is_static) {
        qn_cava__error(g->c, n->at, n->end, QN_CAVA_E_NAME,
                       "a static method cannot use the field '%.*s'",
                       QN_SLICE_ARG(n->text));
        return qn_cava__wrong();
    }
    return get_field(g, (value){.type = g->p->classes.p[g->class_index].type, .reg = 0},
                     g->class_index, field, wanted);
}

static value dot(gen *g, const node *n, uint16_t wanted)
{
    qn_cava_type item;
    char room[96];
    if (qn_cava__as_class(g, n->a) != SIZE_MAX) {
        qn_cava__error(g->c, n->at, n->end, QN_CAVA_E_NAME,
                       "a class has no variables: '%.*s'", QN_SLICE_ARG(n->text));
        return qn_cava__wrong();
    }
    value v = qn_cava__gen(g, n->a, NONE);
    if (v.type == QN_CT_ERROR) return v;
    if (qn_cava__is_array(g, v.type, &item) && qn_slice_eq_str(n->text, "length")) {
        uint16_t reg = qn_cava__target(g, wanted, QN_CT_INT);
        (void)qn_cava__emit(g, QN_COP_LENGTH, reg, v.reg, 0);
        qn_cava__release(g, v);
        return qn_cava__in_register(g, reg, QN_CT_INT, wanted);
    }
    size_t k = qn_cava__class_of(g, v.type);
    size_t field =
        k == SIZE_MAX ? SIZE_MAX : qn_cava__find_field(g, (uint32_t)k, n->text);
    if (field != SIZE_MAX) return get_field(g, v, (uint32_t)k, field, wanted);
    qn_cava__error(g->c, n->at, n->end, QN_CAVA_E_NAME, "%.*s has no field '%.*s'",
                   QN_SLICE_ARG(qn_cava__type_name(g->p, v.type, room, sizeof room)),
                   QN_SLICE_ARG(n->text));
    return qn_cava__wrong();
}

/* ---- arrays ----------------------------------------------------------------------------- */

qn_cava_opcode qn_cava__load_op(qn_cava_type item)
{
    static const qn_cava_opcode ops[QN_CT_FIRST] = {
        [QN_CT_BOOLEAN] = QN_COP_LD_I8, [QN_CT_BYTE] = QN_COP_LD_I8,
        [QN_CT_SHORT] = QN_COP_LD_I16,  [QN_CT_CHAR] = QN_COP_LD_U16,
        [QN_CT_INT] = QN_COP_LD_I32,    [QN_CT_LONG] = QN_COP_LD_I64,
        [QN_CT_UBYTE] = QN_COP_LD_U8,   [QN_CT_USHORT] = QN_COP_LD_U16,
        [QN_CT_UINT] = QN_COP_LD_U32,   [QN_CT_ULONG] = QN_COP_LD_I64,
        [QN_CT_FLOAT] = QN_COP_LD_F32,  [QN_CT_DOUBLE] = QN_COP_LD_F64};
    return item >= QN_CT_FIRST ? QN_COP_LD_R : ops[item];
}

qn_cava_opcode qn_cava__store_op(qn_cava_type item)
{
    static const qn_cava_opcode ops[QN_CT_FIRST] = {
        [QN_CT_BOOLEAN] = QN_COP_ST_8, [QN_CT_BYTE] = QN_COP_ST_8,
        [QN_CT_SHORT] = QN_COP_ST_16,  [QN_CT_CHAR] = QN_COP_ST_16,
        [QN_CT_INT] = QN_COP_ST_32,    [QN_CT_LONG] = QN_COP_ST_64,
        [QN_CT_UBYTE] = QN_COP_ST_8,   [QN_CT_USHORT] = QN_COP_ST_16,
        [QN_CT_UINT] = QN_COP_ST_32,   [QN_CT_ULONG] = QN_COP_ST_64,
        [QN_CT_FLOAT] = QN_COP_ST_F32, [QN_CT_DOUBLE] = QN_COP_ST_F64};
    return item >= QN_CT_FIRST ? QN_COP_ST_R : ops[item];
}

static value array_item(gen *g, const node *n, uint16_t wanted)
{
    qn_cava_type item;
    char room[96];
    value a = qn_cava__gen(g, n->a, NONE);
    a = qn_cava__stable(g, a, n->b->effects);
    value i = qn_cava__gen(g, n->b, NONE);
    if (a.type == QN_CT_ERROR || i.type == QN_CT_ERROR) return qn_cava__wrong();
    if (!qn_cava__is_array(g, a.type, &item)) {
        qn_cava__error(
            g->c, n->at, n->end, QN_CAVA_E_TYPE, "%.*s is no array",
            QN_SLICE_ARG(qn_cava__type_name(g->p, a.type, room, sizeof room)));
        return qn_cava__wrong();
    }
    i = qn_cava__assignable(g, i, i.type == QN_CT_UINT ? QN_CT_UINT : QN_CT_INT, n->b,
                            NONE);
    i = qn_cava__load(g, i, QN_CT_INT);
    if (i.type == QN_CT_ERROR) return i;
    uint16_t reg = qn_cava__target(g, wanted, item);
    (void)qn_cava__emit(g, qn_cava__load_op(item), reg, a.reg, i.reg);
    qn_cava__release(g, a);
    qn_cava__release(g, i);
    return qn_cava__in_register(g, reg, item, wanted);
}

/* ---- operators -------------------------------------------------------------------------- */

static value operand_error(gen *g, const node *n, unsigned code, qn_cava_type a,
                           qn_cava_type b)
{
    char x[96], y[96];
    if (a == QN_CT_ERROR || b == QN_CT_ERROR) return qn_cava__wrong();
    qn_cava__error(
        g->c, n->at, n->end, QN_CAVA_E_TYPE, "'%s' does not take %.*s and %.*s%s",
        qn_cava__punct(code), QN_SLICE_ARG(qn_cava__type_name(g->p, a, x, sizeof x)),
        QN_SLICE_ARG(qn_cava__type_name(g->p, b, y, sizeof y)),
        code == P_ADD && (qn_cava__is_reference(a) || qn_cava__is_reference(b))
            ? ": strings cannot be joined"
            : "");
    return qn_cava__wrong();
}

static bool is_comparison(unsigned code)
{
    return code == P_LT || code == P_LE || code == P_GT || code == P_GE ||
           code == P_EQ || code == P_NE;
}

static bool is_shift(unsigned code)
{
    return code == P_SHL || code == P_SHR || code == P_USHR;
}

static bool is_bitwise(unsigned code)
{
    return code == P_AND || code == P_OR || code == P_XOR;
}

/* The instruction of an operator on operands of `t`; a WRAP may have to follow. */
static qn_cava_opcode arithmetic_op(unsigned code, qn_cava_type t)
{
    unsigned kind = t == QN_CT_INT      ? 0
                    : t == QN_CT_DOUBLE ? 2
                    : t == QN_CT_FLOAT  ? 3
                                        : 1;
    bool ul = t == QN_CT_ULONG, u = t == QN_CT_UINT;
    static const qn_cava_opcode ops[5][4] = {
        {QN_COP_ADD_I, QN_COP_ADD_L, QN_COP_ADD_D, QN_COP_ADD_F},
        {QN_COP_SUB_I, QN_COP_SUB_L, QN_COP_SUB_D, QN_COP_SUB_F},
        {QN_COP_MUL_I, QN_COP_MUL_L, QN_COP_MUL_D, QN_COP_MUL_F},
        {QN_COP_DIV_I, QN_COP_DIV_L, QN_COP_DIV_D, QN_COP_DIV_F},
        {QN_COP_REM_I, QN_COP_REM_L, QN_COP_REM_D, QN_COP_REM_F}};
    switch (code) {
    case P_ADD:
        return ops[0][kind];
    case P_SUB:
        return ops[1][kind];
    case P_MUL:
        return ops[2][kind];
    case P_DIV:
        return ul ? QN_COP_DIV_U : ops[3][kind];
    case P_REM:
        return ul ? QN_COP_REM_U : ops[4][kind];
    case P_AND:
        return QN_COP_AND;
    case P_OR:
        return QN_COP_OR;
    case P_XOR:
        return QN_COP_XOR;
    case P_SHL:
        return kind == 0 || u ? QN_COP_SHL_I : QN_COP_SHL_L;
    case P_SHR:
        return kind == 0 ? QN_COP_SHR_I
               : u       ? QN_COP_USHR_I
               : ul      ? QN_COP_USHR_L
                         : QN_COP_SHR_L;
    default: /* P_USHR */
        return kind == 0 || u ? QN_COP_USHR_I : QN_COP_USHR_L;
    }
}

static value comparison(gen *g, unsigned code, qn_cava_type t, value a, value b,
                        uint16_t wanted)
{
    bool real = t == QN_CT_FLOAT || t == QN_CT_DOUBLE, u = t == QN_CT_ULONG;
    bool swap = code == P_GT || code == P_GE;
    bool less = code == P_LT || code == P_GT, equal = code == P_EQ;
    qn_cava_opcode op;
    if (code == P_EQ || code == P_NE)
        op = qn_cava__is_reference(t) ? (equal ? QN_COP_EQ_R : QN_COP_NE_R)
             : real                   ? (equal ? QN_COP_EQ_D : QN_COP_NE_D)
                                      : (equal ? QN_COP_EQ_I : QN_COP_NE_I);
    else if (real)
        op = less ? QN_COP_LT_D : QN_COP_LE_D;
    else if (u)
        op = less ? QN_COP_LT_U : QN_COP_LE_U;
    else
        op = less ? QN_COP_LT_I : QN_COP_LE_I;
    uint16_t reg = qn_cava__target(g, wanted, QN_CT_BOOLEAN);
    (void)qn_cava__emit(g, op, reg, swap ? b.reg : a.reg, swap ? a.reg : b.reg);
    return qn_cava__in_register(g, reg, QN_CT_BOOLEAN, wanted);
}

/* The common type of the operands; QN_CT_ERROR: there is none. */
static qn_cava_type operand_type(unsigned code, qn_cava_type a, qn_cava_type b)
{
    bool equality = code == P_EQ || code == P_NE;
    if (a == QN_CT_BOOLEAN && b == QN_CT_BOOLEAN && (equality || is_bitwise(code)))
        return QN_CT_BOOLEAN;
    if (equality && qn_cava__is_reference(a) && qn_cava__is_reference(b)) {
        if (a == QN_CT_NULL) return b;
        return b == QN_CT_NULL || a == b ? a : QN_CT_ERROR;
    }
    if (!qn_cava__is_number(a) || !qn_cava__is_number(b)) return QN_CT_ERROR;
    if (is_shift(code))
        return qn_cava__is_integer(a) && qn_cava__is_integer(b)
                   ? qn_cava__promote(a, QN_CT_INT)
                   : QN_CT_ERROR;
    if (is_bitwise(code) && (!qn_cava__is_integer(a) || !qn_cava__is_integer(b)))
        return QN_CT_ERROR;
    return qn_cava__promote(a, b);
}

/* x + k and x - k for a small number k. */
static bool add_number(gen *g, unsigned code, qn_cava_type t, value a, value b,
                       uint16_t wanted, value *out)
{
    if ((code != P_ADD && code != P_SUB) || (t != QN_CT_INT && t != QN_CT_LONG) ||
        a.is_constant || !b.is_constant)
        return false;
    int64_t k = code == P_ADD ? b.k.i : (int64_t)(0 - (uint64_t)b.k.i);
    if (b.k.i == INT64_MIN || k < INT16_MIN || k > INT16_MAX) return false;
    uint16_t reg = qn_cava__target(g, wanted, t);
    (void)qn_cava__emit(g, t == QN_CT_INT ? QN_COP_ADDK_I : QN_COP_ADDK_L, reg, a.reg,
                        (uint16_t)(int16_t)k);
    qn_cava__release(g, a);
    *out = qn_cava__in_register(g, reg, t, wanted);
    return true;
}

value qn_cava__gen_binary(gen *g, unsigned code, value a, value b, const node *n,
                          uint16_t wanted)
{
    value out;
    qn_cava_type t = operand_type(code, a.type, b.type);
    if (t == QN_CT_ERROR) return operand_error(g, n, code, a.type, b.type);
    if (t == QN_CT_NULL) /* null == null */
        return qn_cava__constant(QN_CT_BOOLEAN, (qn_cava_slot){.i = code == P_EQ});
    bool shift = is_shift(code), compares = is_comparison(code);
    if (!qn_cava__is_reference(t) && t != QN_CT_BOOLEAN) {
        a = qn_cava__emit_convert(g, a, t, NONE);
        if (!shift) b = qn_cava__emit_convert(g, b, t, NONE);
    }
    if (a.is_constant && b.is_constant && !qn_cava__is_reference(t) &&
        qn_cava__binary(code, t, a.k, b.k, &out.k))
        return qn_cava__constant(compares ? QN_CT_BOOLEAN : t, out.k);
    g->place = n->at;
    if (add_number(g, code, t, a, b, wanted, &out)) return out;
    a = qn_cava__load(g, a, t);
    b = qn_cava__load(g, b, t);
    if (compares) {
        out = comparison(g, code, t, a, b, wanted);
    } else {
        uint16_t reg = qn_cava__target(g, wanted, t);
        (void)qn_cava__emit(g, arithmetic_op(code, t), reg, a.reg, b.reg);
        if (t == QN_CT_UINT && !is_bitwise(code))
            (void)qn_cava__emit(g, QN_COP_WRAP, reg, reg, t);
        out = qn_cava__in_register(g, reg, t, wanted);
    }
    qn_cava__release(g, a);
    qn_cava__release(g, b);
    return out;
}

static value unary_number(gen *g, const node *n, value v, uint16_t wanted)
{
    qn_cava_type t = qn_cava__promote(v.type, QN_CT_INT);
    v = qn_cava__emit_convert(g, v, t, NONE);
    bool real = t == QN_CT_FLOAT || t == QN_CT_DOUBLE, minus = n->code == P_SUB;
    if (v.is_constant) {
        if (real) return qn_cava__constant(t, (qn_cava_slot){.d = -v.k.d});
        int64_t i = minus ? (int64_t)(0 - (uint64_t)v.k.i) : ~v.k.i;
        return qn_cava__constant(t, (qn_cava_slot){.i = qn_cava__wrap(t, i)});
    }
    uint16_t reg = qn_cava__target(g, wanted, t);
    (void)qn_cava__emit(g,
                        real    ? QN_COP_NEG_D
                        : minus ? QN_COP_NEG_L
                                : QN_COP_NOT,
                        reg, v.reg, 0);
    if (t == QN_CT_UINT || (t == QN_CT_INT && minus))
        (void)qn_cava__emit(g, QN_COP_WRAP, reg, reg, t);
    qn_cava__release(g, v);
    return qn_cava__in_register(g, reg, t, wanted);
}

/* -2147483648 and -9223372036854775808, whose numbers alone would not fit. */
static bool least_number(const node *n, value *out)
{
    const qn_cava_token *t = n->a->kind == N_LITERAL ? n->a->token : NULL;
    if (n->code != P_SUB || t == NULL || t->kind != T_INT || t->code == 0) return false;
    bool is_long = t->suffix == 'L';
    if (t->bits != (is_long ? (uint64_t)1 << 63 : (uint64_t)1 << 31)) return false;
    *out = qn_cava__constant(is_long ? QN_CT_LONG : QN_CT_INT,
                             (qn_cava_slot){.i = is_long ? INT64_MIN : INT32_MIN});
    return true;
}

static value unary(gen *g, const node *n, uint16_t wanted)
{
    value v;
    if (least_number(n, &v)) return v;
    v = qn_cava__gen(g, n->a, NONE);
    if (v.type == QN_CT_ERROR) return v;
    if (n->code == P_NOT && v.type == QN_CT_BOOLEAN) {
        if (v.is_constant)
            return qn_cava__constant(QN_CT_BOOLEAN, (qn_cava_slot){.i = 1 - v.k.i});
        uint16_t reg = qn_cava__target(g, wanted, QN_CT_BOOLEAN);
        (void)qn_cava__emit(g, QN_COP_FLIP, reg, v.reg, 0);
        qn_cava__release(g, v);
        return qn_cava__in_register(g, reg, QN_CT_BOOLEAN, wanted);
    }
    bool fits = n->code == P_TILDE ? qn_cava__is_integer(v.type)
                                   : n->code != P_NOT && qn_cava__is_number(v.type);
    if (!fits) {
        char room[96];
        qn_cava__error(
            g->c, n->at, n->end, QN_CAVA_E_TYPE, "'%s' does not take %.*s",
            qn_cava__punct(n->code),
            QN_SLICE_ARG(qn_cava__type_name(g->p, v.type, room, sizeof room)));
        return qn_cava__wrong();
    }
    if (n->code == P_ADD)
        return qn_cava__emit_convert(g, v, qn_cava__promote(v.type, QN_CT_INT), wanted);
    return unary_number(g, n, v, wanted);
}

static value cast(gen *g, const node *n, uint16_t wanted)
{
    qn_cava_type t = qn_cava__resolve_type(g->c, g->file, n->type);
    value v = qn_cava__gen(g, n->a, NONE);
    if (v.type == QN_CT_ERROR || t == QN_CT_ERROR) return qn_cava__wrong();
    if (v.type == t) return v;
    if (v.type == QN_CT_NULL && t >= QN_CT_FIRST) {
        value out = qn_cava__load(g, v, t);
        return out;
    }
    if (qn_cava__is_number(v.type) && qn_cava__is_number(t))
        return qn_cava__emit_convert(g, v, t, wanted);
    qn_cava__type_error(g, n, v.type, t, "no cast makes");
    return qn_cava__wrong();
}

/* ---- conditions ------------------------------------------------------------------------- */

static value condition_value(gen *g, const node *n)
{
    value v = qn_cava__gen(g, n, NONE);
    if (v.type != QN_CT_ERROR && v.type != QN_CT_BOOLEAN) {
        qn_cava__type_error(g, n, v.type, QN_CT_BOOLEAN, "this is");
        return qn_cava__wrong();
    }
    return v;
}

static void jump(gen *g, qn_cava_opcode op, unsigned a, unsigned b, qn_cava_jumps *list)
{
    qn_cava__jump_add(g, list, qn_cava__emit(g, op, a, b, 0));
}

/* Compare and jump in one instruction. */
static bool fused(gen *g, const node *n, bool when, qn_cava_jumps *list)
{
    if (n->kind != N_BINARY || !is_comparison(n->code)) return false;
    value a = qn_cava__gen(g, n->a, NONE);
    a = qn_cava__stable(g, a, n->b->effects);
    value b = qn_cava__gen(g, n->b, NONE);
    qn_cava_type t = operand_type(n->code, a.type, b.type);
    bool real = t == QN_CT_FLOAT || t == QN_CT_DOUBLE, null = false;
    value test = {.type = QN_CT_ERROR};
    if (t != QN_CT_ERROR && qn_cava__is_reference(t)) {
        null = (a.type == QN_CT_NULL) != (b.type == QN_CT_NULL);
        if (null) {
            bool is_null = (n->code == P_EQ) == when;
            value v = a.type == QN_CT_NULL ? b : a;
            jump(g, is_null ? QN_COP_JNULL : QN_COP_JSOME, v.reg, 0, list);
            qn_cava__release(g, v);
            return true;
        }
    }
    if (t == QN_CT_ERROR || t == QN_CT_ULONG || qn_cava__is_reference(t) ||
        (a.is_constant && b.is_constant)) {
        test = qn_cava__gen_binary(g, n->code, a, b, n, NONE);
        if (test.type == QN_CT_ERROR) return true;
        if (test.is_constant) {
            if ((test.k.i != 0) == when) jump(g, QN_COP_JMP, 0, 0, list);
            return true;
        }
        jump(g, when ? QN_COP_JT : QN_COP_JF, test.reg, 0, list);
        qn_cava__release(g, test);
        return true;
    }
    if (t != QN_CT_BOOLEAN) {
        a = qn_cava__emit_convert(g, a, t, NONE);
        b = qn_cava__emit_convert(g, b, t, NONE);
    }
    a = qn_cava__load(g, a, t);
    b = qn_cava__load(g, b, t);
    bool swap = n->code == P_GT || n->code == P_GE;
    bool less = n->code == P_LT || n->code == P_GT;
    bool equality = n->code == P_EQ || n->code == P_NE;
    unsigned x = swap ? b.reg : a.reg, y = swap ? a.reg : b.reg;
    qn_cava_opcode op;
    if (equality) {
        bool equal = (n->code == P_EQ) == when;
        op = real ? (equal ? QN_COP_JEQ_D : QN_COP_JNE_D)
                  : (equal ? QN_COP_JEQ_I : QN_COP_JNE_I);
    } else if (real) {
        op = when ? (less ? QN_COP_JLT_D : QN_COP_JLE_D)
                  : (less ? QN_COP_JNLT_D : QN_COP_JNLE_D);
    } else if (when) {
        op = less ? QN_COP_JLT_I : QN_COP_JLE_I;
    } else { /* not x < y: y <= x */
        op = less ? QN_COP_JLE_I : QN_COP_JLT_I;
        unsigned z = x;
        x = y, y = z;
    }
    g->place = n->at;
    jump(g, op, x, y, list);
    qn_cava__release(g, a);
    qn_cava__release(g, b);
    return true;
}

void qn_cava__gen_jump(gen *g, const node *n, bool when, qn_cava_jumps *list)
{
    if (++g->depth > QN_CAVA_GEN_DEPTH_MAX) {
        g->depth--;
        (void)qn_cava__gen(g, n, NONE); /* which reports the depth */
        return;
    }
    if (n->kind == N_UNARY && n->code == P_NOT) {
        qn_cava__gen_jump(g, n->a, !when, list);
    } else if (n->kind == N_BINARY && (n->code == P_ANDAND || n->code == P_OROR)) {
        /* `a && b` jumps on false as soon as one is false; on true past the first. */
        if ((n->code == P_ANDAND) != when) {
            qn_cava__gen_jump(g, n->a, when, list);
            qn_cava__gen_jump(g, n->b, when, list);
        } else {
            qn_cava_jumps past = QN_CAVA_NO_JUMP;
            qn_cava__gen_jump(g, n->a, !when, &past);
            qn_cava__gen_jump(g, n->b, when, list);
            qn_cava__jumps_to(g, past, qn_cava__here(g));
        }
    } else if (!fused(g, n, when, list)) {
        value v = condition_value(g, n);
        if (v.type != QN_CT_ERROR && v.is_constant) {
            if ((v.k.i != 0) == when) jump(g, QN_COP_JMP, 0, 0, list);
        } else if (v.type != QN_CT_ERROR) {
            jump(g, when ? QN_COP_JT : QN_COP_JF, v.reg, 0, list);
            qn_cava__release(g, v);
        }
    }
    g->depth--;
}

/* && and || as a value. */
static value logical(gen *g, const node *n)
{
    value a = condition_value(g, n->a);
    if (a.type != QN_CT_ERROR && a.is_constant) {
        bool decided = (a.k.i != 0) == (n->code == P_OROR);
        qn_cava_jumps past = QN_CAVA_NO_JUMP;
        if (decided) jump(g, QN_COP_JMP, 0, 0, &past);
        value b = condition_value(g, n->b);
        if (b.type == QN_CT_ERROR || !decided) return b;
        qn_cava__jumps_to(g, past, qn_cava__here(g));
        qn_cava__release(g, b);
        return a;
    }
    uint16_t reg = qn_cava__register(g, QN_CT_BOOLEAN);
    qn_cava_jumps end = QN_CAVA_NO_JUMP;
    if (a.type != QN_CT_ERROR) {
        qn_cava__move(g, reg, a, QN_CT_BOOLEAN);
        qn_cava__release(g, a);
        jump(g, n->code == P_OROR ? QN_COP_JT : QN_COP_JF, reg, 0, &end);
    }
    value b = condition_value(g, n->b);
    if (a.type == QN_CT_ERROR || b.type == QN_CT_ERROR) return qn_cava__wrong();
    qn_cava__move(g, reg, b, QN_CT_BOOLEAN);
    qn_cava__release(g, b);
    qn_cava__jumps_to(g, end, qn_cava__here(g));
    return (value){.type = QN_CT_BOOLEAN, .temporary = true, .reg = reg};
}

/* What both branches of a ? b : c become. */
static qn_cava_type choice_type(value a, value b)
{
    if (a.type == b.type) return a.type;
    if (a.type == QN_CT_NULL || b.type == QN_CT_NULL) {
        qn_cava_type t = a.type == QN_CT_NULL ? b.type : a.type;
        return qn_cava__is_reference(t) ? t : QN_CT_ERROR;
    }
    if (!qn_cava__is_number(a.type) || !qn_cava__is_number(b.type)) return QN_CT_ERROR;
    for (int i = 0; i < 2; i++) {
        value x = i == 0 ? a : b, y = i == 0 ? b : a;
        bool small =
            y.type == QN_CT_BYTE || y.type == QN_CT_SHORT || y.type == QN_CT_CHAR;
        if (small && x.is_constant && x.type == QN_CT_INT &&
            qn_cava__wrap(y.type, x.k.i) == x.k.i)
            return y.type;
    }
    if ((a.type == QN_CT_BYTE && b.type == QN_CT_SHORT) ||
        (a.type == QN_CT_SHORT && b.type == QN_CT_BYTE))
        return QN_CT_SHORT;
    return qn_cava__promote(a.type, b.type);
}

/* The one step that brings a branch's value into `reg`, put at `at`, where room was left.
 */
static void settle(gen *g, uint32_t at, uint16_t reg, value v, qn_cava_type t)
{
    uint32_t before = qn_cava__here(g);
    if (qn_cava__is_number(t)) v = qn_cava__emit_convert(g, v, t, reg);
    if (v.is_constant || v.reg != reg) qn_cava__move(g, reg, v, t);
    if (g->too_large || g->c->no_memory || g->c->errors > 0) return;
    qn_assert(g->code.n <= before + 1);
    if (g->code.n > before) {
        g->code.p[at] = g->code.p[before];
        g->code.n = g->places.n = g->links.n = before;
    }
}

static value choice(gen *g, const node *n)
{
    qn_cava_jumps otherwise = QN_CAVA_NO_JUMP, end = QN_CAVA_NO_JUMP;
    qn_cava__gen_jump(g, n->a, false, &otherwise);
    value a = qn_cava__gen(g, n->b, NONE);
    uint32_t first =
        qn_cava__emit(g, QN_COP_JMP, 0, 0, 0); /* on to the next: nothing */
    jump(g, QN_COP_JMP, 0, 0, &end);
    qn_cava__jumps_to(g, otherwise, qn_cava__here(g));
    qn_cava__release(g, a);
    value b = qn_cava__gen(g, n->c, NONE);
    uint32_t second = qn_cava__emit(g, QN_COP_JMP, 0, 0, 0);
    qn_cava__jumps_to(g, end, qn_cava__here(g));
    qn_cava__release(g, b);
    if (a.type == QN_CT_ERROR || b.type == QN_CT_ERROR) return qn_cava__wrong();
    qn_cava_type t = choice_type(a, b);
    if (t == QN_CT_ERROR || t == QN_CT_VOID) {
        qn_cava__type_error(g, n->c, b.type, a.type, "this is");
        return qn_cava__wrong();
    }
    if (t == QN_CT_NULL) return a;
    uint16_t reg = qn_cava__register(g, t);
    settle(g, first, reg, a, t);
    settle(g, second, reg, b, t);
    return (value){.type = t, .temporary = true, .reg = reg};
}

/* ---- all of them ------------------------------------------------------------------------ */

static value binary(gen *g, const node *n, uint16_t wanted)
{
    if (n->code == P_ANDAND || n->code == P_OROR) return logical(g, n);
    value a = qn_cava__gen(g, n->a, NONE);
    a = qn_cava__stable(g, a, n->b->effects);
    value b = qn_cava__gen(g, n->b, NONE);
    return qn_cava__gen_binary(g, n->code, a, b, n, wanted);
}

static value expression(gen *g, const node *n, uint16_t wanted)
{
    switch (n->kind) {
    case N_LITERAL:
        return literal(g, n, wanted);
    case N_NAME:
        return name(g, n, wanted);
    case N_DOT:
        return dot(g, n, wanted);
    case N_INDEX:
        return array_item(g, n, wanted);
    case N_CALL:
        return qn_cava__gen_call(g, n, wanted);
    case N_NEW:
        return qn_cava__gen_new(g, n);
    case N_NEW_ARRAY:
        return qn_cava__gen_new_array(g, n);
    case N_UNARY:
        return unary(g, n, wanted);
    case N_PREFIX:
    case N_POSTFIX:
        return qn_cava__gen_step(g, n, true);
    case N_BINARY:
        return binary(g, n, wanted);
    case N_ASSIGN:
        return qn_cava__gen_assign(g, n);
    case N_CAST:
        return cast(g, n, wanted);
    case N_CHOICE:
        return choice(g, n);
    case N_LIST:
        qn_cava__error(g->c, n->at, n->end, QN_CAVA_E_SYNTAX,
                       "a list of items stands only in a declaration or after new T[]");
        return qn_cava__wrong();
    default:
        return qn_cava__wrong(); /* reported by the parser */
    }
}

value qn_cava__gen(gen *g, const node *n, uint16_t wanted)
{
    if (++g->depth > QN_CAVA_GEN_DEPTH_MAX || g->c->no_memory || g->too_large) {
        if (g->depth > QN_CAVA_GEN_DEPTH_MAX)
            qn_cava__error(g->c, n->at, n->end, QN_CAVA_E_DEPTH,
                           "an expression with more than %d operators in a row",
                           QN_CAVA_GEN_DEPTH_MAX);
        g->depth--;
        return qn_cava__wrong();
    }
    g->place = n->at;
    value v = expression(g, n, wanted);
    g->place = n->at;
    g->depth--;
    return v;
}

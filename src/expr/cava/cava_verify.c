/* SPDX-License-Identifier: Apache-2.0 */
/* cava_verify.c -- every instruction against the static types of its registers.
 *
 * The machine trusts what passed here: it checks values (null, indexes, divisors), never
 * types. One pass is enough, since a register has one type in all of its function. */
#include "expr/cava/cava_internal.h"

typedef struct verifier {
    const qn_cava_program *p;
    const qn_cava_function *f;
    uint32_t pc;
} verifier;

static const char *const operands[] = {
#define OP(name, operands, meaning) operands,
#include "expr/cava/cava_opcodes.def"
#undef OP
};

/* Type of a register; QN_CT_ERROR: there is no such register. */
static qn_cava_type type_of(const verifier *v, unsigned reg)
{
    return reg < v->f->register_count ? v->f->registers[reg] : QN_CT_ERROR;
}

static bool is_reference(qn_cava_type t)
{
    return t >= QN_CT_FIRST;
}

static bool check_letter(const verifier *v, char letter, unsigned operand)
{
    qn_cava_type t = type_of(v, operand);
    int64_t target = (int64_t)v->pc + 1 + (int16_t)operand;
    switch (letter) {
    case 'I':
    case 'i':
        return t == QN_CT_LONG;
    case 'D':
    case 'd':
        return t == QN_CT_DOUBLE;
    case 'R':
    case 'r':
        return is_reference(t);
    case 'j':
        return target >= 0 && target < (int64_t)v->f->code_count;
    default:
        return true;
    }
}

static bool check_constant(const verifier *v, const qn_cava_step *s)
{
    if (s->b >= v->p->constants.n) return false;
    bool real = v->p->constants.p[s->b].is_real;
    return type_of(v, s->a) == (real ? QN_CT_DOUBLE : QN_CT_LONG);
}

static bool check_field(const verifier *v, unsigned object, unsigned field,
                        unsigned value, qn_cava_type storage)
{
    qn_cava_type t = type_of(v, object), got = type_of(v, value);
    if (!is_reference(t) || v->p->types.p[t - QN_CT_FIRST].is_array) return false;
    const qn_cava_class *k = &v->p->classes.p[v->p->types.p[t - QN_CT_FIRST].of];
    if (k->native || field >= k->field_count) return false;
    qn_cava_type want = qn_cava__storage(k->fields[field].type);
    if (want != got) return false;
    return storage == QN_CT_NULL ? is_reference(got) : got == storage;
}

/* `op` reads or writes items of this kind. */
static bool item_fits(qn_cava_opcode op, qn_cava_type item)
{
    switch (op) {
    case QN_COP_LD_I8:
        return item == QN_CT_BOOLEAN || item == QN_CT_BYTE;
    case QN_COP_LD_U8:
        return item == QN_CT_UBYTE;
    case QN_COP_LD_I16:
        return item == QN_CT_SHORT;
    case QN_COP_LD_U16:
        return item == QN_CT_CHAR || item == QN_CT_USHORT;
    case QN_COP_LD_I32:
        return item == QN_CT_INT;
    case QN_COP_LD_U32:
        return item == QN_CT_UINT;
    case QN_COP_LD_I64:
    case QN_COP_ST_64:
        return item == QN_CT_LONG || item == QN_CT_ULONG;
    case QN_COP_ST_8:
        return item == QN_CT_BOOLEAN || item == QN_CT_BYTE || item == QN_CT_UBYTE;
    case QN_COP_ST_16:
        return item == QN_CT_SHORT || item == QN_CT_CHAR || item == QN_CT_USHORT;
    case QN_COP_ST_32:
        return item == QN_CT_INT || item == QN_CT_UINT;
    case QN_COP_LD_F32:
    case QN_COP_ST_F32:
        return item == QN_CT_FLOAT;
    case QN_COP_LD_F64:
    case QN_COP_ST_F64:
        return item == QN_CT_DOUBLE;
    default:
        return is_reference(item);
    }
}

static bool check_item(const verifier *v, qn_cava_opcode op, unsigned array,
                       unsigned index, unsigned value)
{
    qn_cava_type t = type_of(v, array);
    if (!is_reference(t) || !v->p->types.p[t - QN_CT_FIRST].is_array) return false;
    qn_cava_type item = v->p->types.p[t - QN_CT_FIRST].of;
    return item_fits(op, item) && type_of(v, index) == QN_CT_LONG &&
           type_of(v, value) == qn_cava__storage(item);
}

/* Registers that follow a call against the types that are expected. */
static bool check_arguments(const verifier *v, qn_cava_type self, bool has_self,
                            const qn_cava_type *types, uint32_t n)
{
    const qn_cava_step *s = &v->f->code[v->pc];
    uint32_t count = n + has_self;
    if (s->c != count) return false;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = v->pc + 1 + i / 3;
        if (at >= v->f->code_count || v->f->code[at].op != QN_COP_ARGS) return false;
        const qn_cava_step *a = &v->f->code[at];
        unsigned reg = i % 3 == 0 ? a->a : i % 3 == 1 ? a->b : a->c;
        qn_cava_type want = has_self && i == 0 ? self : types[i - has_self];
        if (type_of(v, reg) != qn_cava__storage(want)) return false;
    }
    return true;
}

static bool check_result(const verifier *v, qn_cava_type result, unsigned reg)
{
    if (result == QN_CT_VOID) return reg == UINT16_MAX;
    return type_of(v, reg) == qn_cava__storage(result);
}

static bool check_call(const verifier *v, const qn_cava_step *s)
{
    const qn_cava_program *p = v->p;
    const qn_cava_method *m = NULL;
    if (s->op == QN_COP_NATIVE) {
        if (s->b >= p->methods.n) return false;
        m = &p->methods.p[s->b];
        if (!m->is_native) return false;
    } else {
        if (s->b >= p->functions.n) return false;
        const qn_cava_function *f = &p->functions.p[s->b];
        qn_cava_type self = p->classes.p[f->class_index].type;
        if (f->method == UINT32_MAX)
            return s->a == UINT16_MAX && check_arguments(v, self, true, NULL, 0);
        m = &p->methods.p[f->method];
    }
    bool has_self = !m->is_static && !(m->is_native && m->is_constructor);
    return check_result(v, m->result, s->a) &&
           check_arguments(v, p->classes.p[m->class_index].type, has_self, m->args,
                           m->arg_count);
}

static bool check_return(const verifier *v, const qn_cava_step *s)
{
    qn_cava_type want = v->f->method == UINT32_MAX ? QN_CT_VOID : v->f->result;
    if (s->op == QN_COP_RETURN) return want == QN_CT_VOID;
    if (want == QN_CT_VOID || type_of(v, s->a) != qn_cava__storage(want)) return false;
    qn_cava_type t = type_of(v, s->a);
    return s->op == QN_COP_RETURN_I   ? t == QN_CT_LONG
           : s->op == QN_COP_RETURN_D ? t == QN_CT_DOUBLE
                                      : is_reference(t);
}

static bool check_new(const verifier *v, const qn_cava_step *s)
{
    qn_cava_type t = type_of(v, s->a);
    if (s->op == QN_COP_STRING)
        return s->b < v->p->strings.n && t == v->p->classes.p[QN_CAVA_CString].type;
    if (s->op == QN_COP_NEW)
        return s->b < v->p->classes.n && !v->p->classes.p[s->b].native &&
               t == v->p->classes.p[s->b].type;
    return is_reference(t) && v->p->types.p[t - QN_CT_FIRST].is_array &&
           type_of(v, s->b) == QN_CT_LONG;
}

static bool check_special(const verifier *v, const qn_cava_step *s)
{
    switch (s->op) {
    case QN_COP_MOVE_R:
        return is_reference(type_of(v, s->a)) && type_of(v, s->a) == type_of(v, s->b);
    case QN_COP_EQ_R:
    case QN_COP_NE_R:
        return type_of(v, s->a) == QN_CT_LONG && is_reference(type_of(v, s->b)) &&
               is_reference(type_of(v, s->c));
    case QN_COP_STRING:
    case QN_COP_NEW:
    case QN_COP_ARRAY:
        return check_new(v, s);
    case QN_COP_GET_I:
        return check_field(v, s->b, s->c, s->a, QN_CT_LONG);
    case QN_COP_GET_D:
        return check_field(v, s->b, s->c, s->a, QN_CT_DOUBLE);
    case QN_COP_GET_R:
        return check_field(v, s->b, s->c, s->a, QN_CT_NULL);
    case QN_COP_PUT_I:
        return check_field(v, s->a, s->b, s->c, QN_CT_LONG);
    case QN_COP_PUT_D:
        return check_field(v, s->a, s->b, s->c, QN_CT_DOUBLE);
    case QN_COP_PUT_R:
        return check_field(v, s->a, s->b, s->c, QN_CT_NULL);
    case QN_COP_CALL:
    case QN_COP_NATIVE:
        return check_call(v, s);
    case QN_COP_ARGS: /* looked at with the call; reached alone it would do nothing */
        return true;
    case QN_COP_RETURN_I:
    case QN_COP_RETURN_D:
    case QN_COP_RETURN_R:
    case QN_COP_RETURN:
        return check_return(v, s);
    default:
        if (s->op >= QN_COP_LD_I8 && s->op <= QN_COP_LD_R)
            return check_item(v, (qn_cava_opcode)s->op, s->b, s->c, s->a);
        return s->op >= QN_COP_ST_8 && s->op <= QN_COP_ST_R &&
               check_item(v, (qn_cava_opcode)s->op, s->a, s->b, s->c);
    }
}

static bool check_step(const verifier *v)
{
    const qn_cava_step *s = &v->f->code[v->pc];
    if (s->op >= QN_COP_COUNT) return false;
    const char *o = operands[s->op];
    if (*o == '*') return check_special(v, s);
    if (*o == 'K') return check_constant(v, s);
    if (s->op == QN_COP_WRAP && (s->c < QN_CT_BOOLEAN || s->c > QN_CT_ULONG))
        return false;
    return check_letter(v, o[0], s->a) && check_letter(v, o[1], s->b) &&
           check_letter(v, o[2], s->c);
}

/* `this` and the parameters are the first registers. */
static bool check_parameters(const verifier *v)
{
    const qn_cava_function *f = v->f;
    if (f->arg_count > f->register_count) return false;
    const qn_cava_method *m =
        f->method == UINT32_MAX ? NULL : &v->p->methods.p[f->method];
    bool has_self = m == NULL || !m->is_static;
    for (uint32_t i = 0; i < f->arg_count; i++) {
        qn_cava_type want = has_self && i == 0 ? v->p->classes.p[f->class_index].type
                                               : m->args[i - has_self];
        if (f->registers[i] != qn_cava__storage(want)) return false;
    }
    return f->arg_count == (m == NULL ? 0 : m->arg_count) + has_self;
}

static bool ends(const qn_cava_function *f)
{
    return f->code_count > 0 && f->code[f->code_count - 1].op == QN_COP_END;
}

qn_status qn_cava__verify(const qn_cava_program *p, qn_error *err)
{
    for (size_t i = 0; i < p->functions.n; i++) {
        verifier v = {p, &p->functions.p[i], 0};
        if (!ends(v.f) || !check_parameters(&v))
            return qn_fail(err, QN_EINTERNAL, "Cava: function %zu is not well-formed",
                           i);
        for (; v.pc < v.f->code_count; v.pc++)
            if (!check_step(&v))
                return qn_fail(
                    err, QN_EINTERNAL,
                    "Cava: instruction %u of function %zu is not well-formed", v.pc, i);
    }
    return QN_OK;
}

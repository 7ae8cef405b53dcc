/* SPDX-License-Identifier: Apache-2.0 */
/* llvm_steps.c -- a block as a function: a loop over vectors of documents whose body is
 * the steps, each value in a register of the CPU until a store.
 *
 * Every case below says what the value column of opcodes.def says; where C leaves
 * something undefined there, the column's functions (expr_kernels_body.h) and these agree
 * on the same choices. No flag allows LLVM to reorder, fuse or assume. */
#include "llvm_gen.h"

#define B g->builder

LLVMValueRef qn_llvm_f64(gen *g, double v)
{
    LLVMValueRef lanes[QN_LLVM_LANES];
    for (size_t i = 0; i < QN_LLVM_LANES; i++) lanes[i] = LLVMConstReal(g->f64, v);
    return LLVMConstVector(lanes, QN_LLVM_LANES);
}

LLVMValueRef qn_llvm_i64(gen *g, int64_t v)
{
    LLVMValueRef lanes[QN_LLVM_LANES];
    for (size_t i = 0; i < QN_LLVM_LANES; i++)
        lanes[i] = LLVMConstInt(g->i64, (unsigned long long)v, 0);
    return LLVMConstVector(lanes, QN_LLVM_LANES);
}

LLVMValueRef qn_llvm_intrinsic(gen *g, const char *name, LLVMTypeRef type,
                               LLVMValueRef x)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMValueRef f = LLVMGetIntrinsicDeclaration(g->module, id, &type, 1);
    LLVMTypeRef signature = LLVMIntrinsicGetType(g->context, id, &type, 1);
    return LLVMBuildCall2(B, signature, f, &x, 1, "");
}

/* --- registers --- */

static LLVMValueRef address_of(gen *g, uint16_t reg, LLVMTypeRef type)
{
    LLVMValueRef offset =
        LLVMConstInt(g->i64, (unsigned long long)reg * QN_EXPR_LANES, 0);
    LLVMValueRef index = LLVMBuildAdd(B, g->lane, offset, "");
    LLVMValueRef p = LLVMBuildGEP2(B, g->i64, g->registers, &index, 1, "");
    return LLVMBuildBitCast(B, p, LLVMPointerType(type, 0), "");
}

static LLVMValueRef value_of(gen *g, uint16_t reg)
{
    if (g->values[reg] == NULL) {
        LLVMValueRef load =
            LLVMBuildLoad2(B, g->vec_i64, address_of(g, reg, g->vec_i64), "");
        LLVMSetAlignment(load, 64);
        g->values[reg] = load;
    }
    return g->values[reg];
}

static LLVMValueRef int_of(gen *g, uint16_t reg)
{
    LLVMValueRef v = value_of(g, reg);
    LLVMTypeRef type = LLVMTypeOf(v);
    if (type == g->vec_bool) return LLVMBuildZExt(B, v, g->vec_i64, "");
    return type == g->vec_i64 ? v : LLVMBuildBitCast(B, v, g->vec_i64, "");
}

static LLVMValueRef double_of(gen *g, uint16_t reg)
{
    LLVMValueRef v = value_of(g, reg);
    if (LLVMTypeOf(v) == g->vec_bool) v = LLVMBuildZExt(B, v, g->vec_i64, "");
    return LLVMTypeOf(v) == g->vec_f64 ? v : LLVMBuildBitCast(B, v, g->vec_f64, "");
}

/* x != 0; the comparison itself when the value is one. */
static LLVMValueRef truth_of(gen *g, uint16_t reg)
{
    if (LLVMTypeOf(value_of(g, reg)) == g->vec_bool) return g->values[reg];
    return LLVMBuildICmp(B, LLVMIntNE, int_of(g, reg), qn_llvm_i64(g, 0), "");
}

static bool is_truth(gen *g, uint16_t reg)
{
    return LLVMTypeOf(value_of(g, reg)) == g->vec_bool;
}

/* --- steps --- */

static LLVMValueRef pick(gen *g, LLVMValueRef m, LLVMValueRef a, LLVMValueRef b)
{
    return LLVMBuildSelect(B, m, a, b, "");
}

static LLVMValueRef cut(gen *g, const qn_expr__step *s, unsigned bits, bool sign)
{
    LLVMTypeRef narrow =
        LLVMVectorType(LLVMIntTypeInContext(g->context, bits), QN_LLVM_LANES);
    LLVMValueRef v = LLVMBuildTrunc(B, int_of(g, s->a), narrow, "");
    return sign ? LLVMBuildSExt(B, v, g->vec_i64, "")
                : LLVMBuildZExt(B, v, g->vec_i64, "");
}

static LLVMValueRef to_int(gen *g, LLVMValueRef x)
{
    LLVMValueRef limit = qn_llvm_f64(g, 9223372036854775808.0),
                 least = qn_llvm_f64(g, -9223372036854775808.0);
    LLVMValueRef high = LLVMBuildFCmp(B, LLVMRealOGE, x, limit, ""),
                 low = LLVMBuildFCmp(B, LLVMRealOLT, x, least, ""),
                 none = LLVMBuildFCmp(B, LLVMRealUNO, x, x, "");
    LLVMValueRef outside = LLVMBuildOr(B, LLVMBuildOr(B, high, low, ""), none, "");
    LLVMValueRef inside = pick(g, outside, qn_llvm_f64(g, 0), x);
    LLVMValueRef v = LLVMBuildFPToSI(B, inside, g->vec_i64, "");
    v = pick(g, low, qn_llvm_i64(g, INT64_MIN), v);
    return pick(g, high, qn_llvm_i64(g, INT64_MAX), v);
}

static LLVMValueRef divide_int(gen *g, LLVMValueRef x, LLVMValueRef y, bool sign)
{
    LLVMValueRef zero = qn_llvm_i64(g, 0);
    LLVMValueRef none = LLVMBuildICmp(B, LLVMIntEQ, y, zero, "");
    if (!sign) {
        LLVMValueRef q = LLVMBuildUDiv(B, x, pick(g, none, qn_llvm_i64(g, 1), y), "");
        return pick(g, none, zero, q);
    }
    LLVMValueRef minus = LLVMBuildICmp(B, LLVMIntEQ, y, qn_llvm_i64(g, -1), "");
    LLVMValueRef odd = LLVMBuildOr(B, none, minus, "");
    LLVMValueRef q = LLVMBuildSDiv(B, x, pick(g, odd, qn_llvm_i64(g, 1), y), "");
    q = pick(g, minus, LLVMBuildSub(B, zero, x, ""), q);
    return pick(g, none, zero, q);
}

/* x / y, and what stands for it where y is 0. */
static LLVMValueRef divide(gen *g, LLVMValueRef x, LLVMValueRef y, double by_zero)
{
    LLVMValueRef none = LLVMBuildFCmp(B, LLVMRealOEQ, y, qn_llvm_f64(g, 0), "");
    return pick(g, none, qn_llvm_f64(g, by_zero), LLVMBuildFDiv(B, x, y, ""));
}

/* x < y || x != x ? x : y, or with >. */
static LLVMValueRef extreme(gen *g, LLVMRealPredicate p, LLVMValueRef x, LLVMValueRef y)
{
    LLVMValueRef m = LLVMBuildOr(B, LLVMBuildFCmp(B, p, x, y, ""),
                                 LLVMBuildFCmp(B, LLVMRealUNO, x, x, ""), "");
    return pick(g, m, x, y);
}

static LLVMValueRef logic(gen *g, const qn_expr__step *s, LLVMOpcode op)
{
    if (is_truth(g, s->a) && is_truth(g, s->b))
        return LLVMBuildBinOp(B, op, truth_of(g, s->a), truth_of(g, s->b), "");
    return LLVMBuildBinOp(B, op, int_of(g, s->a), int_of(g, s->b), "");
}

static LLVMValueRef choose_int(gen *g, const qn_expr__step *s)
{
    LLVMValueRef m = truth_of(g, s->a);
    if (is_truth(g, s->b) && is_truth(g, s->c))
        return pick(g, m, truth_of(g, s->b), truth_of(g, s->c));
    return pick(g, m, int_of(g, s->b), int_of(g, s->c));
}

/* Steps on integers; NULL: none of them. */
static LLVMValueRef int_step(gen *g, const qn_expr__step *s)
{
    switch (s->op) {
    case QN_OP_SX8:
        return cut(g, s, 8, true);
    case QN_OP_SX16:
        return cut(g, s, 16, true);
    case QN_OP_SX32:
        return cut(g, s, 32, true);
    case QN_OP_ZX8:
        return cut(g, s, 8, false);
    case QN_OP_ZX16:
        return cut(g, s, 16, false);
    case QN_OP_ZX32:
        return cut(g, s, 32, false);
    case QN_OP_ADDI:
        return LLVMBuildAdd(B, int_of(g, s->a), int_of(g, s->b), "");
    case QN_OP_SUBI:
        return LLVMBuildSub(B, int_of(g, s->a), int_of(g, s->b), "");
    case QN_OP_MULI:
        return LLVMBuildMul(B, int_of(g, s->a), int_of(g, s->b), "");
    case QN_OP_DIVI:
        return divide_int(g, int_of(g, s->a), int_of(g, s->b), true);
    case QN_OP_DIVU:
        return divide_int(g, int_of(g, s->a), int_of(g, s->b), false);
    case QN_OP_ANDI:
        return logic(g, s, LLVMAnd);
    case QN_OP_ORI:
        return logic(g, s, LLVMOr);
    case QN_OP_XORI:
        return logic(g, s, LLVMXor);
    case QN_OP_POPI:
        return qn_llvm_intrinsic(g, "llvm.ctpop", g->vec_i64, int_of(g, s->a));
    case QN_OP_EQI:
        return LLVMBuildICmp(B, LLVMIntEQ, int_of(g, s->a), int_of(g, s->b), "");
    case QN_OP_NEI:
        return LLVMBuildICmp(B, LLVMIntNE, int_of(g, s->a), int_of(g, s->b), "");
    case QN_OP_LTI:
        return LLVMBuildICmp(B, LLVMIntSLT, int_of(g, s->a), int_of(g, s->b), "");
    case QN_OP_LEI:
        return LLVMBuildICmp(B, LLVMIntSLE, int_of(g, s->a), int_of(g, s->b), "");
    case QN_OP_LTU:
        return LLVMBuildICmp(B, LLVMIntULT, int_of(g, s->a), int_of(g, s->b), "");
    case QN_OP_LEU:
        return LLVMBuildICmp(B, LLVMIntULE, int_of(g, s->a), int_of(g, s->b), "");
    case QN_OP_TRUEI:
        return truth_of(g, s->a);
    case QN_OP_NOTB:
        if (is_truth(g, s->a)) return LLVMBuildNot(B, truth_of(g, s->a), "");
        return LLVMBuildXor(B, int_of(g, s->a), qn_llvm_i64(g, 1), "");
    case QN_OP_SELI:
        return choose_int(g, s);
    default:
        return NULL;
    }
}

static LLVMValueRef compare(gen *g, const qn_expr__step *s, LLVMRealPredicate p)
{
    return LLVMBuildFCmp(B, p, double_of(g, s->a), double_of(g, s->b), "");
}

static LLVMValueRef round_to_float(gen *g, LLVMValueRef x)
{
    LLVMTypeRef narrow =
        LLVMVectorType(LLVMFloatTypeInContext(g->context), QN_LLVM_LANES);
    return LLVMBuildFPExt(B, LLVMBuildFPTrunc(B, x, narrow, ""), g->vec_f64, "");
}

/* Steps on doubles, and from one to the other. */
static LLVMValueRef double_step(gen *g, const qn_expr__step *s)
{
    switch (s->op) {
    case QN_OP_I2F:
        /* Of a 0 or 1 that was just compared, a choice. */
        if (is_truth(g, s->a))
            return pick(g, truth_of(g, s->a), qn_llvm_f64(g, 1), qn_llvm_f64(g, 0));
        return LLVMBuildSIToFP(B, int_of(g, s->a), g->vec_f64, "");
    case QN_OP_U2F:
        return LLVMBuildUIToFP(B, int_of(g, s->a), g->vec_f64, "");
    case QN_OP_F2I:
        return to_int(g, double_of(g, s->a));
    case QN_OP_RNDF:
        return round_to_float(g, double_of(g, s->a));
    case QN_OP_ADDF:
        return LLVMBuildFAdd(B, double_of(g, s->a), double_of(g, s->b), "");
    case QN_OP_SUBF:
        return LLVMBuildFSub(B, double_of(g, s->a), double_of(g, s->b), "");
    case QN_OP_MULF:
        return LLVMBuildFMul(B, double_of(g, s->a), double_of(g, s->b), "");
    case QN_OP_DIVF:
        return divide(g, double_of(g, s->a), double_of(g, s->b), QN_EXPR__NAN);
    case QN_OP_DIVZF:
        return divide(g, double_of(g, s->a), double_of(g, s->b), 0);
    case QN_OP_NEGF:
        return LLVMBuildFNeg(B, double_of(g, s->a), "");
    case QN_OP_ABSF:
        return qn_llvm_intrinsic(g, "llvm.fabs", g->vec_f64, double_of(g, s->a));
    case QN_OP_SQRTF:
        return qn_llvm_intrinsic(g, "llvm.sqrt", g->vec_f64, double_of(g, s->a));
    case QN_OP_MINF:
        return extreme(g, LLVMRealOLT, double_of(g, s->a), double_of(g, s->b));
    case QN_OP_MAXF:
        return extreme(g, LLVMRealOGT, double_of(g, s->a), double_of(g, s->b));
    case QN_OP_EQF:
        return compare(g, s, LLVMRealOEQ);
    case QN_OP_NEF:
        return compare(g, s, LLVMRealUNE);
    case QN_OP_LTF:
        return compare(g, s, LLVMRealOLT);
    case QN_OP_LEF:
        return compare(g, s, LLVMRealOLE);
    case QN_OP_TRUEF:
        return LLVMBuildFCmp(B, LLVMRealONE, double_of(g, s->a), qn_llvm_f64(g, 0), "");
    case QN_OP_SELF:
        return pick(g, truth_of(g, s->a), double_of(g, s->b), double_of(g, s->c));
    default:
        return NULL;
    }
}

static LLVMValueRef call_step(gen *g, const qn_expr__form_view *form,
                              const qn_expr__step *s)
{
    LLVMValueRef args[QN_EXPR__MATH_ARGS_MAX];
    for (size_t k = 0; k < s->b; k++) args[k] = double_of(g, form->args[s->a + k]);
    return qn_llvm_call(g, s->c, args);
}

static void write_steps(gen *g, const qn_expr__form_view *form,
                        const qn_expr__step *steps, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const qn_expr__step *s = &steps[i];
        if (s->op == QN_OP_SKIP) continue;
        LLVMValueRef v = s->op == QN_OP_CALL ? call_step(g, form, s) : int_step(g, s);
        g->values[s->dst] = v != NULL ? v : double_step(g, s);
    }
}

/* --- the function --- */

static void add_attribute(gen *g, LLVMValueRef f, const char *name, const char *value)
{
    LLVMAddAttributeAtIndex(f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateStringAttribute(g->context, name,
                                                      (unsigned)strlen(name), value,
                                                      (unsigned)strlen(value)));
}

static LLVMValueRef declare(gen *g, const char *name)
{
    LLVMTypeRef args[] = {g->pointer, g->i64};
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(g->context), args, 2, 0);
    LLVMValueRef f = LLVMAddFunction(g->module, name, type);
    unsigned nounwind = LLVMGetEnumAttributeKindForName("nounwind", 8);
    LLVMAddAttributeAtIndex(f, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(g->context, nounwind, 0));
    add_attribute(g, f, "min-legal-vector-width", "512");
    add_attribute(g, f, "prefer-vector-width", "512");
    return f;
}

static void read_constants(gen *g, const qn_expr__form_view *form)
{
    memset(g->values, 0, form->head->regs * sizeof *g->values);
    for (uint32_t i = 0; i < form->head->constant_count; i++) {
        const qn_expr__form_constant *c = &form->constants[i];
        double d;
        memcpy(&d, &c->bits, sizeof d);
        g->values[c->reg] =
            c->is_float ? qn_llvm_f64(g, d) : qn_llvm_i64(g, (int64_t)c->bits);
    }
}

void qn_llvm_block(gen *g, const char *name, const qn_expr__form_view *form,
                   const qn_expr__step *steps, size_t step_count,
                   const uint16_t *stores, size_t store_count)
{
    LLVMValueRef f = declare(g, name);
    LLVMBasicBlockRef entry = LLVMAppendBasicBlockInContext(g->context, f, "entry"),
                      loop = LLVMAppendBasicBlockInContext(g->context, f, "loop"),
                      end = LLVMAppendBasicBlockInContext(g->context, f, "end");
    LLVMPositionBuilderAtEnd(B, entry);
    LLVMBuildBr(B, loop);
    LLVMPositionBuilderAtEnd(B, loop);
    LLVMValueRef lane = LLVMBuildPhi(B, g->i64, "lane");
    g->registers = LLVMGetParam(f, 0);
    g->lane = lane;
    read_constants(g, form);
    write_steps(g, form, steps, step_count);
    for (size_t i = 0; i < store_count; i++) {
        LLVMValueRef v = value_of(g, stores[i]);
        if (LLVMTypeOf(v) == g->vec_bool) v = LLVMBuildZExt(B, v, g->vec_i64, "");
        LLVMValueRef store =
            LLVMBuildStore(B, v, address_of(g, stores[i], LLVMTypeOf(v)));
        LLVMSetAlignment(store, 64);
    }
    LLVMValueRef next =
        LLVMBuildAdd(B, lane, LLVMConstInt(g->i64, QN_LLVM_LANES, 0), "next");
    LLVMValueRef more = LLVMBuildICmp(B, LLVMIntULT, next, LLVMGetParam(f, 1), "");
    LLVMBuildCondBr(B, more, loop, end);
    LLVMBasicBlockRef from[] = {entry, loop};
    LLVMValueRef lanes[] = {LLVMConstInt(g->i64, 0, 0), next};
    LLVMAddIncoming(lane, lanes, from, 2);
    LLVMPositionBuilderAtEnd(B, end);
    LLVMBuildRetVoid(B);
}

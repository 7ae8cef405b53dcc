/* SPDX-License-Identifier: Apache-2.0 */
/* llvm_math.c -- the functions of math.def as instructions: expr_math_body.h read with a
 * notation in which adding two vectors means writing an addition. */
#include "llvm_gen.h"

typedef LLVMValueRef vecf, veci, mask;

#define MATH_INLINE __attribute__((unused))
#define QN_MATH_NAME(name) llvm_##name
#define CTX gen *g,
#define PASS g,

static LLVMValueRef bits_of(gen *g, LLVMValueRef x)
{
    return LLVMBuildBitCast(g->builder, x, g->vec_i64, "");
}

static LLVMValueRef double_of(gen *g, LLVMValueRef x)
{
    return LLVMBuildBitCast(g->builder, x, g->vec_f64, "");
}

#define K(d) qn_llvm_f64(g, d)
#define KI(i) qn_llvm_i64(g, i)
#define ADD(a, b) LLVMBuildFAdd(g->builder, a, b, "")
#define SUB(a, b) LLVMBuildFSub(g->builder, a, b, "")
#define MUL(a, b) LLVMBuildFMul(g->builder, a, b, "")
#define DIV(a, b) LLVMBuildFDiv(g->builder, a, b, "")
#define NEG(a) LLVMBuildFNeg(g->builder, a, "")
#define ABS(a) DOUBLE(IAND(BITS(a), KI(INT64_MAX)))
#define SQRT(a) qn_llvm_intrinsic(g, "llvm.sqrt", g->vec_f64, a)
#define FLOOR(a) qn_llvm_intrinsic(g, "llvm.floor", g->vec_f64, a)
#define CEIL(a) qn_llvm_intrinsic(g, "llvm.ceil", g->vec_f64, a)
#define LT(a, b) LLVMBuildFCmp(g->builder, LLVMRealOLT, a, b, "")
#define LE(a, b) LLVMBuildFCmp(g->builder, LLVMRealOLE, a, b, "")
#define EQ(a, b) LLVMBuildFCmp(g->builder, LLVMRealOEQ, a, b, "")
#define AND(a, b) LLVMBuildAnd(g->builder, a, b, "")
#define OR(a, b) LLVMBuildOr(g->builder, a, b, "")
#define NOT(a) LLVMBuildNot(g->builder, a, "")
#define PICK(m, a, b) LLVMBuildSelect(g->builder, m, a, b, "")
#define BITS(f) bits_of(g, f)
#define DOUBLE(i) double_of(g, i)
#define IADD(a, b) LLVMBuildAdd(g->builder, a, b, "")
#define IAND(a, b) LLVMBuildAnd(g->builder, a, b, "")
#define IOR(a, b) LLVMBuildOr(g->builder, a, b, "")
#define IXOR(a, b) LLVMBuildXor(g->builder, a, b, "")
#define ISHL(a, n) LLVMBuildShl(g->builder, a, KI(n), "")
#define ISHR(a, n) LLVMBuildLShr(g->builder, a, KI(n), "")
#define BELOW_0(a) LLVMBuildICmp(g->builder, LLVMIntSLT, a, KI(0), "")

#include "expr/expr_math_body.h"

LLVMValueRef qn_llvm_call(gen *g, unsigned function, const LLVMValueRef *args)
{
    static LLVMValueRef (*const rows[])(gen *, const LLVMValueRef *) = {
#define M(name, args, beyond) math_##name,
#include "expr/math.def"
#undef M
    };
    return rows[function](g, args);
}

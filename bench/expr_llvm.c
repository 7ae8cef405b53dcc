/* SPDX-License-Identifier: Apache-2.0 */
/* expr_llvm.c -- a formula as scalar code in a loop, and all of LLVM's -O2 over it. */
#include "expr_peers.h"

#include <llvm-c/Core.h>
#include <llvm-c/ExecutionEngine.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm-c/Transforms/PassBuilder.h>

struct peer_code {
    LLVMContextRef context;
    LLVMExecutionEngineRef engine;
};

typedef struct maker {
    const qn_expr *e;
    const peer_column *columns;
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef b;
    LLVMTypeRef i64, i32, f64;
    LLVMValueRef bases[QN_EXPR_INPUTS_MAX]; /* by input */
    LLVMValueRef doc;
    LLVMValueRef *values; /* by node */
    bool failed;
} maker;

#define B m->b

static LLVMValueRef real(maker *m, double v)
{
    return LLVMConstReal(m->f64, v);
}

static LLVMValueRef intrinsic(maker *m, const char *name, LLVMValueRef x)
{
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMValueRef f = LLVMGetIntrinsicDeclaration(m->module, id, &m->f64, 1);
    return LLVMBuildCall2(B, LLVMIntrinsicGetType(m->context, id, &m->f64, 1), f, &x, 1,
                          "");
}

static LLVMValueRef library(maker *m, const char *name, LLVMValueRef x)
{
    LLVMTypeRef type = LLVMFunctionType(m->f64, &m->f64, 1, 0);
    LLVMValueRef f = LLVMGetNamedFunction(m->module, name);
    if (f == NULL) f = LLVMAddFunction(m->module, name, type);
    return LLVMBuildCall2(B, type, f, &x, 1, "");
}

static LLVMValueRef pick(maker *m, LLVMRealPredicate p, LLVMValueRef x, LLVMValueRef y,
                         LLVMValueRef yes, LLVMValueRef no)
{
    return LLVMBuildSelect(B, LLVMBuildFCmp(B, p, x, y, ""), yes, no, "");
}

static LLVMValueRef unit(maker *m, LLVMValueRef x)
{
    x = pick(m, LLVMRealOLT, x, real(m, 0), real(m, 0), x);
    return pick(m, LLVMRealOGT, x, real(m, 1), real(m, 1), x);
}

#define ADD(x, y) LLVMBuildFAdd(B, x, y, "")
#define SUB(x, y) LLVMBuildFSub(B, x, y, "")
#define MUL(x, y) LLVMBuildFMul(B, x, y, "")
#define DIV(x, y) LLVMBuildFDiv(B, x, y, "")

static LLVMValueRef decayed(maker *m, LLVMValueRef *v, bool gauss)
{
    LLVMValueRef d = SUB(intrinsic(m, "llvm.fabs", SUB(v[1], v[0])), v[4]);
    d = pick(m, LLVMRealOLT, d, real(m, 0), real(m, 0), d);
    LLVMValueRef x =
        gauss ? DIV(MUL(MUL(d, d), v[5]), MUL(v[2], v[2])) : DIV(MUL(d, v[5]), v[2]);
    return intrinsic(m, "llvm.exp", x);
}

static LLVMValueRef distance(maker *m, LLVMValueRef *v)
{
    LLVMValueRef radians = real(m, 3.14159265358979323846 / 180), two = real(m, 2);
    LLVMValueRef a = MUL(v[1], radians), b = MUL(v[3], radians);
    LLVMValueRef dlat = intrinsic(m, "llvm.sin", DIV(SUB(b, a), two));
    LLVMValueRef dlon =
        intrinsic(m, "llvm.sin", DIV(MUL(SUB(v[2], v[0]), radians), two));
    LLVMValueRef across = MUL(
        MUL(MUL(intrinsic(m, "llvm.cos", a), intrinsic(m, "llvm.cos", b)), dlon), dlon);
    LLVMValueRef h = ADD(MUL(dlat, dlat), across);
    h = pick(m, LLVMRealOGT, h, real(m, 1), real(m, 1), h);
    return MUL(real(m, 2 * 6371.0088),
               library(m, "asin", intrinsic(m, "llvm.sqrt", h)));
}

static LLVMValueRef timeliness(maker *m, LLVMValueRef *v)
{
    LLVMValueRef now = MUL(v[1], v[2]);
    LLVMValueRef x = DIV(SUB(now, v[0]), MUL(real(m, 2592000), v[2]));
    x = DIV(real(m, 1), ADD(real(m, 1), x));
    x = pick(m, LLVMRealOGT, v[0], now, real(m, 0), x);
    return pick(m, LLVMRealOLT, v[0], real(m, 0), real(m, 0), x);
}

static LLVMValueRef call(maker *m, const qn_expr__node *n)
{
    LLVMValueRef v[QN_EXPR__MATH_ARGS_MAX], x;
    for (uint32_t k = 0; k < n->b; k++) v[k] = m->values[m->e->args.p[n->a + k]];
    switch (n->c) {
    case QN_MATH_ln:
        return intrinsic(m, "llvm.log", v[0]);
    case QN_MATH_log10:
        return intrinsic(m, "llvm.log10", v[0]);
    case QN_MATH_normalize_atan:
        x = MUL(real(m, 2 / 3.14159265358979323846), library(m, "atan", v[0]));
        return pick(m, LLVMRealOLT, v[0], real(m, 0), real(m, 0), x);
    case QN_MATH_normalize_log:
        x = unit(m, DIV(intrinsic(m, "llvm.log", v[0]), v[2]));
        return pick(m, LLVMRealOLE, v[0], real(m, 1), real(m, 0), x);
    case QN_MATH_normalize_linear:
        return unit(m, DIV(SUB(v[0], v[2]), SUB(v[1], v[2])));
    case QN_MATH_gauss_decay:
        return decayed(m, v, true);
    case QN_MATH_exp_decay:
        return decayed(m, v, false);
    case QN_MATH_timeliness:
        return timeliness(m, v);
    case QN_MATH_distance:
        return distance(m, v);
    default:
        m->failed = true;
        return real(m, 0);
    }
}

static LLVMValueRef load(maker *m, const qn_expr__node *n)
{
    LLVMTypeRef type = n->op == QN_OP_LOADI ? m->i32 : m->f64;
    LLVMValueRef p = LLVMBuildGEP2(B, type, m->bases[n->a], &m->doc, 1, "");
    LLVMValueRef v = LLVMBuildLoad2(B, type, p, "");
    return n->op == QN_OP_LOADI ? LLVMBuildSExt(B, v, m->i64, "") : v;
}

static LLVMValueRef is_in(maker *m, const qn_expr__node *n)
{
    const qn_expr__set *set = &m->e->sets.p[n->b];
    LLVMValueRef any = LLVMConstInt(LLVMInt1TypeInContext(m->context), 0, 0);
    for (size_t k = 0; k < set->n; k++) {
        LLVMValueRef same =
            n->op == QN_OP_INI
                ? LLVMBuildICmp(B, LLVMIntEQ, m->values[n->a],
                                LLVMConstInt(m->i64, (uint64_t)set->of.i64[k], 1), "")
                : LLVMBuildFCmp(B, LLVMRealOEQ, m->values[n->a],
                                real(m, set->of.f64[k]), "");
        any = LLVMBuildOr(B, any, same, "");
    }
    return LLVMBuildZExt(B, any, m->i64, "");
}

static LLVMValueRef truth(maker *m, LLVMValueRef bit)
{
    return LLVMBuildZExt(B, bit, m->i64, "");
}

static LLVMValueRef choice(maker *m, const qn_expr__node *n)
{
    LLVMValueRef c =
        LLVMBuildICmp(B, LLVMIntNE, m->values[n->a], LLVMConstInt(m->i64, 0, 0), "");
    return LLVMBuildSelect(B, c, m->values[n->b], m->values[n->c], "");
}

static LLVMValueRef make(maker *m, const qn_expr__node *n)
{
    LLVMValueRef x = m->values[n->a], y = m->values[n->b];
    double d;
    switch (n->op) {
    case QN_OP_CONSTI:
        return LLVMConstInt(m->i64, n->bits, 1);
    case QN_OP_CONSTF:
        memcpy(&d, &n->bits, sizeof d);
        return real(m, d);
    case QN_OP_LOADI:
    case QN_OP_LOADF:
        return load(m, n);
    case QN_OP_NOW:
        return LLVMConstInt(m->i64, PEER_NOW, 0);
    case QN_OP_CALL:
        return call(m, n);
    case QN_OP_INI:
    case QN_OP_INF:
        return is_in(m, n);
    case QN_OP_SELI:
    case QN_OP_SELF:
        return choice(m, n);
    case QN_OP_I2F:
        return LLVMBuildSIToFP(B, x, m->f64, "");
    case QN_OP_F2I:
        return LLVMBuildFPToSI(B, x, m->i64, "");
    case QN_OP_ADDF:
        return ADD(x, y);
    case QN_OP_SUBF:
        return SUB(x, y);
    case QN_OP_MULF:
        return MUL(x, y);
    case QN_OP_DIVF:
        return DIV(x, y);
    case QN_OP_NEGF:
        return LLVMBuildFNeg(B, x, "");
    case QN_OP_MINF:
        return pick(m, LLVMRealOLT, x, y, x, y);
    case QN_OP_MAXF:
        return pick(m, LLVMRealOGT, x, y, x, y);
    case QN_OP_ANDI:
        return LLVMBuildAnd(B, x, y, "");
    case QN_OP_ORI:
        return LLVMBuildOr(B, x, y, "");
    case QN_OP_XORI:
        return LLVMBuildXor(B, x, y, "");
    case QN_OP_EQI:
        return truth(m, LLVMBuildICmp(B, LLVMIntEQ, x, y, ""));
    case QN_OP_LTI:
        return truth(m, LLVMBuildICmp(B, LLVMIntSLT, x, y, ""));
    case QN_OP_LEI:
        return truth(m, LLVMBuildICmp(B, LLVMIntSLE, x, y, ""));
    case QN_OP_LTF:
        return truth(m, LLVMBuildFCmp(B, LLVMRealOLT, x, y, ""));
    case QN_OP_LEF:
        return truth(m, LLVMBuildFCmp(B, LLVMRealOLE, x, y, ""));
    default:
        m->failed = true;
        return real(m, 0);
    }
}

static void make_body(maker *m, LLVMValueRef out)
{
    for (uint32_t id = 0; id < m->e->nodes.n; id++)
        m->values[id] = make(m, &m->e->nodes.p[id]);
    LLVMValueRef v = m->values[m->e->root];
    if (LLVMTypeOf(v) == m->i64) v = LLVMBuildSIToFP(B, v, m->f64, "");
    LLVMBuildStore(B, v, LLVMBuildGEP2(B, m->f64, out, &m->doc, 1, ""));
}

static void load_bases(maker *m, LLVMValueRef columns, LLVMTypeRef pointer)
{
    for (size_t i = 0; i < m->e->inputs.n; i++) {
        const qn_expr_symbol *s = &m->e->inputs.p[i].symbol;
        LLVMValueRef slot = LLVMConstInt(m->i64, s->slot, 0);
        LLVMValueRef p = LLVMBuildGEP2(B, pointer, columns, &slot, 1, "");
        LLVMTypeRef type =
            LLVMPointerType(m->columns[s->slot].i32 != NULL ? m->i32 : m->f64, 0);
        m->bases[i] = LLVMBuildBitCast(B, LLVMBuildLoad2(B, pointer, p, ""), type, "");
    }
}

static void make_function(maker *m)
{
    LLVMTypeRef pointer = LLVMPointerType(m->f64, 0);
    LLVMTypeRef args[] = {LLVMPointerType(pointer, 0), m->i64, pointer};
    LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(m->context), args, 3, 0);
    LLVMValueRef f = LLVMAddFunction(m->module, "formula", type);
    unsigned noalias = LLVMGetEnumAttributeKindForName("noalias", 7);
    LLVMAddAttributeAtIndex(f, 3, LLVMCreateEnumAttribute(m->context, noalias, 0));
    LLVMBasicBlockRef entry = LLVMAppendBasicBlockInContext(m->context, f, ""),
                      loop = LLVMAppendBasicBlockInContext(m->context, f, ""),
                      end = LLVMAppendBasicBlockInContext(m->context, f, "");
    LLVMPositionBuilderAtEnd(B, entry);
    load_bases(m, LLVMGetParam(f, 0), pointer);
    LLVMBuildBr(B, loop);
    LLVMPositionBuilderAtEnd(B, loop);
    m->doc = LLVMBuildPhi(B, m->i64, "");
    make_body(m, LLVMGetParam(f, 2));
    LLVMValueRef next = LLVMBuildAdd(B, m->doc, LLVMConstInt(m->i64, 1, 0), "");
    LLVMBuildCondBr(B, LLVMBuildICmp(B, LLVMIntULT, next, LLVMGetParam(f, 1), ""), loop,
                    end);
    LLVMValueRef docs[] = {LLVMConstInt(m->i64, 0, 0), next};
    LLVMBasicBlockRef from[] = {entry, loop};
    LLVMAddIncoming(m->doc, docs, from, 2);
    LLVMPositionBuilderAtEnd(B, end);
    LLVMBuildRetVoid(B);
}

static void optimise(maker *m)
{
    char *triple = LLVMGetDefaultTargetTriple(), *cpu = LLVMGetHostCPUName(),
         *features = LLVMGetHostCPUFeatures(), *error = NULL;
    LLVMTargetRef target = NULL;
    LLVMValueRef f = LLVMGetNamedFunction(m->module, "formula");
    LLVMAddTargetDependentFunctionAttr(f, "target-cpu", cpu);
    LLVMAddTargetDependentFunctionAttr(f, "target-features", features);
    LLVMAddTargetDependentFunctionAttr(f, "prefer-vector-width", "512");
    if (LLVMGetTargetFromTriple(triple, &target, &error) != 0) {
        m->failed = true;
        return;
    }
    LLVMTargetMachineRef machine =
        LLVMCreateTargetMachine(target, triple, cpu, features, LLVMCodeGenLevelDefault,
                                LLVMRelocDefault, LLVMCodeModelJITDefault);
    LLVMSetTarget(m->module, triple);
    LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
    LLVMErrorRef failed = LLVMRunPasses(m->module, "default<O2>", machine, options);
    if (failed != NULL) m->failed = true;
    LLVMDisposePassBuilderOptions(options);
    LLVMDisposeTargetMachine(machine);
    LLVMDisposeMessage(triple);
    LLVMDisposeMessage(cpu);
    LLVMDisposeMessage(features);
}

peer_code *peer_compile(const qn_expr *e, const peer_column *columns,
                        peer_compiled *out)
{
    LLVMLinkInMCJIT();
    (void)LLVMInitializeNativeTarget();
    (void)LLVMInitializeNativeAsmPrinter();
    maker made = {.e = e, .columns = columns, .context = LLVMContextCreate()},
          *m = &made;
    m->module = LLVMModuleCreateWithNameInContext("peer", m->context);
    m->b = LLVMCreateBuilderInContext(m->context);
    m->i64 = LLVMInt64TypeInContext(m->context);
    m->i32 = LLVMInt32TypeInContext(m->context);
    m->f64 = LLVMDoubleTypeInContext(m->context);
    m->values = qn_new_array(qn_alloc_heap(), e->nodes.n + 1, sizeof *m->values);
    make_function(m);
    LLVMDisposeBuilder(m->b);
    qn_delete(qn_alloc_heap(), m->values);
    optimise(m);
    struct LLVMMCJITCompilerOptions options;
    LLVMInitializeMCJITCompilerOptions(&options, sizeof options);
    options.OptLevel = 2;
    peer_code *c = qn_new0(qn_alloc_heap(), sizeof *c);
    char *error = NULL;
    c->context = m->context;
    if (LLVMCreateMCJITCompilerForModule(&c->engine, m->module, &options,
                                         sizeof options, &error) != 0)
        c->engine = NULL;
    if (c->engine != NULL)
        *out = (peer_compiled)(uintptr_t)LLVMGetFunctionAddress(c->engine, "formula");
    if (c->engine != NULL && !m->failed) return c;
    peer_code_free(c);
    return NULL;
}

void peer_code_free(peer_code *c)
{
    if (c->engine != NULL) LLVMDisposeExecutionEngine(c->engine);
    LLVMContextDispose(c->context);
    qn_delete(qn_alloc_heap(), c);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* llvm_module.c -- the module's door: one form in, machine code out.
 *
 * Each form gets a context, a module and an engine of its own, all gone when the code is
 * made; what stays are pages that this file mapped itself. They are written while they
 * are not executable and never writable again afterwards. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "llvm_gen.h"

#include "expr/code_backend.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/ExecutionEngine.h>
#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>
#include <llvm/Config/llvm-config.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

/* --- pages --- */

/* One stretch of addresses, so that code reaches its constants: code from the front, data
 * from the middle. Untouched pages cost nothing; they are given back at the end. */
enum { HALF = 32 << 20, PAGE = 4096 };

typedef struct pages {
    char *base;
    size_t code, data; /* used in each half */
} pages;

static uint8_t *take(char *base, size_t *used, uintptr_t size, unsigned align)
{
    size_t begin = (*used + align - 1) / align * align;
    if (begin + size > HALF) return NULL;
    *used = begin + size;
    return (uint8_t *)base + begin;
}

static uint8_t *take_code(void *arg, uintptr_t size, unsigned align, unsigned id,
                          const char *name)
{
    pages *p = arg;
    (void)id, (void)name;
    return take(p->base, &p->code, size, align);
}

static uint8_t *take_data(void *arg, uintptr_t size, unsigned align, unsigned id,
                          const char *name, LLVMBool read_only)
{
    pages *p = arg;
    (void)id, (void)name, (void)read_only;
    return take(p->base + HALF, &p->data, size, align);
}

static size_t whole_pages(size_t bytes)
{
    return (bytes + PAGE - 1) / PAGE * PAGE;
}

/* Readable data beside executable code, nothing writable. */
static LLVMBool seal(void *arg, char **error)
{
    pages *p = arg;
    bool fine = mprotect(p->base, whole_pages(p->code), PROT_READ | PROT_EXEC) == 0 &&
                (p->data == 0 ||
                 mprotect(p->base + HALF, whole_pages(p->data), PROT_READ) == 0);
    if (!fine) *error = LLVMCreateMessage("mprotect failed");
    return !fine;
}

/* The pages outlive the engine. */
static void keep(void *arg)
{
    (void)arg;
}

/* Moves nothing: gives back what lies between code and data and behind them. */
static void give_back_unused(pages *p, qn_code_result *out)
{
    size_t code = whole_pages(p->code), data = whole_pages(p->data);
    out->pages = p->base;
    out->bytes = data == 0 ? code : HALF + data;
    (void)munmap(p->base + out->bytes, 2 * (size_t)HALF - out->bytes);
    out->resident = code + data;
}

/* --- one compilation --- */

static void fill_types(gen *g)
{
    g->i64 = LLVMInt64TypeInContext(g->context);
    g->f64 = LLVMDoubleTypeInContext(g->context);
    g->pointer = LLVMPointerType(g->i64, 0);
    g->vec_i64 = LLVMVectorType(g->i64, QN_LLVM_LANES);
    g->vec_f64 = LLVMVectorType(g->f64, QN_LLVM_LANES);
    g->vec_bool = LLVMVectorType(LLVMInt1TypeInContext(g->context), QN_LLVM_LANES);
}

static void write_blocks(gen *g, const qn_expr__form_view *form)
{
    const qn_expr__step *steps = form->steps;
    const uint16_t *stores = form->stores;
    for (uint32_t k = 0; k < form->head->block_count; k++) {
        char name[32];
        const qn_expr__form_block *b = &form->blocks[k];
        (void)snprintf(name, sizeof name, "block%u", k);
        qn_llvm_block(g, name, form, steps, b->step_count, stores, b->store_count);
        steps += b->step_count;
        stores += b->store_count;
    }
}

/* The engine takes the module with it. NULL: *error says why. */
static LLVMExecutionEngineRef engine_of(gen *g, pages *p, char **error)
{
    LLVMExecutionEngineRef engine = NULL;
    struct LLVMMCJITCompilerOptions options;
    LLVMInitializeMCJITCompilerOptions(&options, sizeof options);
    options.OptLevel = 2;
    options.CodeModel = LLVMCodeModelSmall;
    options.MCJMM =
        LLVMCreateSimpleMCJITMemoryManager(p, take_code, take_data, seal, keep);
    if (LLVMCreateMCJITCompilerForModule(&engine, g->module, &options, sizeof options,
                                         error) != 0)
        return NULL;
    return engine;
}

/* What this CPU has: on every function, for the engine asks there. */
static void add_target(gen *g, char *cpu, char *features)
{
    for (LLVMValueRef f = LLVMGetFirstFunction(g->module); f != NULL;
         f = LLVMGetNextFunction(f)) {
        if (LLVMIsDeclaration(f)) continue;
        LLVMAddTargetDependentFunctionAttr(f, "target-cpu", cpu);
        LLVMAddTargetDependentFunctionAttr(f, "target-features", features);
    }
}

static bool fail(char *why, size_t why_size, const char *what, char *error)
{
    (void)snprintf(why, why_size, "%s: %s", what, error == NULL ? "?" : error);
    if (error != NULL) LLVMDisposeMessage(error);
    return false;
}

static bool make_code(gen *g, const qn_expr__form_view *form, pages *p,
                      qn_code_result *out, char *why, size_t why_size)
{
    char *error = NULL;
    write_blocks(g, form);
    char *cpu = LLVMGetHostCPUName(), *features = LLVMGetHostCPUFeatures();
    add_target(g, cpu, features);
    LLVMDisposeMessage(cpu);
    LLVMDisposeMessage(features);
    if (LLVMVerifyModule(g->module, LLVMReturnStatusAction, &error) != 0) {
        LLVMDisposeModule(g->module);
        return fail(why, why_size, "what was made of the formula is no program", error);
    }
    if (error != NULL) LLVMDisposeMessage(error);
    error = NULL;
    LLVMExecutionEngineRef engine = engine_of(g, p, &error);
    if (engine == NULL) return fail(why, why_size, "no engine", error);
    bool fine = true;
    for (uint32_t k = 0; k < form->head->block_count; k++) {
        char name[32];
        (void)snprintf(name, sizeof name, "block%u", k);
        out->entries[k] = (void *)(uintptr_t)LLVMGetFunctionAddress(engine, name);
        fine = fine && out->entries[k] != NULL;
    }
    LLVMDisposeExecutionEngine(engine);
    return fine ? true : fail(why, why_size, "no code", NULL);
}

static bool compile_expr(const void *bytes, size_t size, qn_code_result *out, char *why,
                         size_t why_size)
{
    qn_expr__form_view form;
    if (!qn_expr__form_read(bytes, size, &form))
        return fail(why, why_size, "not a form of this build", NULL);
    pages p = {.base = mmap(NULL, 2 * (size_t)HALF, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)};
    if (p.base == MAP_FAILED) return fail(why, why_size, "no memory for code", NULL);
    gen g = {.context = LLVMContextCreate()};
    LLVMValueRef values[UINT16_MAX + 1];
    g.values = values;
    g.module = LLVMModuleCreateWithNameInContext("quern", g.context);
    g.builder = LLVMCreateBuilderInContext(g.context);
    fill_types(&g);
    bool fine = make_code(&g, &form, &p, out, why, why_size);
    LLVMDisposeBuilder(g.builder);
    LLVMContextDispose(g.context);
    if (fine)
        give_back_unused(&p, out);
    else
        (void)munmap(p.base, 2 * (size_t)HALF);
    return fine;
}

static bool compile(qn_code_kind kind, const void *form, size_t size,
                    qn_code_result *out, char *why, size_t why_size)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    *out = (qn_code_result){0};
    if (kind != QN_CODE_EXPR) return fail(why, why_size, "unknown kind of form", NULL);
    (void)pthread_mutex_lock(&lock);
    bool fine = compile_expr(form, size, out, why, why_size);
    (void)pthread_mutex_unlock(&lock);
    return fine;
}

/* --- the door --- */

static const qn_code_backend back_end = {
    .build = QN_CODE_BUILD, .name = "LLVM " LLVM_VERSION_STRING, .compile = compile};

static void start(void)
{
    LLVMLinkInMCJIT();
    (void)LLVMInitializeNativeTarget();
    (void)LLVMInitializeNativeAsmPrinter();
}

__attribute__((visibility("default"))) const qn_code_backend *qn_code_backend_get(void);

const qn_code_backend *qn_code_backend_get(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, start);
    return &back_end;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* llvm_gen.h -- what the files of the back end share: a function being written. */
#ifndef QN_LLVM_GEN_H
#define QN_LLVM_GEN_H

#include "expr/expr_form.h"

#include <llvm-c/Core.h>

/* Documents in a vector; eight doubles are one register of AVX-512, two of AVX2. */
enum { QN_LLVM_LANES = 8 };

typedef struct gen {
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef builder;
    LLVMTypeRef i64, f64, pointer;          /* of a document */
    LLVMTypeRef vec_i64, vec_f64, vec_bool; /* of a vector */

    /* The block being written (llvm_steps.c). */
    LLVMValueRef registers, lane; /* the argument; the loop's first lane */
    LLVMValueRef *values;         /* by register: its vector now; NULL: not read yet */
} gen;

LLVMValueRef qn_llvm_f64(gen *g, double v);
LLVMValueRef qn_llvm_i64(gen *g, int64_t v);
/* llvm.<name> on doubles or integers, of one vector. */
LLVMValueRef qn_llvm_intrinsic(gen *g, const char *name, LLVMTypeRef type,
                               LLVMValueRef x);

/* A row of math.def (llvm_math.c); args as vectors of doubles. */
LLVMValueRef qn_llvm_call(gen *g, unsigned function, const LLVMValueRef *args);
/* The function of a block (llvm_steps.c), named `name`. */
void qn_llvm_block(gen *g, const char *name, const qn_expr__form_view *form,
                   const qn_expr__step *steps, size_t step_count,
                   const uint16_t *stores, size_t store_count);

#endif

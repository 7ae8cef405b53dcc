/* SPDX-License-Identifier: Apache-2.0 */
/* expr/code_backend.h -- what stands between this library and the module that makes
 * machine code: one exported function. The module is a shared object of its own, loaded
 * when something is first to be compiled, because loading LLVM costs more time and memory
 * than the rest of the program. It calls nothing of this library. */
#ifndef QN_EXPR_CODE_BACKEND_H
#define QN_EXPR_CODE_BACKEND_H

#include "expr/code.h"

enum { QN_CODE_ENTRIES_MAX = 32 };

/* Machine code: mapped pages, not writable, that hold everything the entries need. */
typedef struct qn_code_result {
    void *pages;     /* ended by munmap() */
    size_t bytes;    /* of addresses */
    size_t resident; /* of memory */
    void *entries[QN_CODE_ENTRIES_MAX];
} qn_code_result;

typedef struct qn_code_backend {
    const char *build; /* QN_CODE_BUILD of its sources: must equal ours */
    char name[64];     /* for people: "LLVM 14.0.6" */
    /* Compiles one form. On failure false, and why. One thread at a time. */
    bool (*compile)(qn_code_kind kind, const void *form, size_t size,
                    qn_code_result *out, char *why, size_t why_size);
} qn_code_backend;

/* The symbol that the module exports. */
typedef const qn_code_backend *qn_code_backend_get_fn(void);
#define QN_CODE_BACKEND_SYMBOL "qn_code_backend_get"

/* Loads the module; NULL, and why. It is never unloaded. */
const qn_code_backend *qn_code__load(QN_NULLABLE const char *module, char *why,
                                     size_t why_size);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* expr/code.h -- machine code for programs that run often.
 *
 *     form (flat bytes) --acquire--> unit --run: work noted--> queued --thread--> entries
 *
 * Everything that has an executor of its own may ask for code beside it: it describes a
 * program as flat bytes (a *form*, no pointers in it), acquires the unit of those bytes
 * and says now and then how much it has worked. A unit that has seen enough work is
 * compiled on a thread of this module; from then on its entries can be called. Nobody
 * ever waits, and nobody depends on it: without a back end (code_backend.h), or when
 * compiling fails, entries never come and the caller goes on as it did.
 *
 * Units are shared by all who have equal forms, also later: they are kept, the least
 * recently used dropped first, within a limit of bytes.
 *
 * Lifetime   units are counted: by the cache, and by acquire(). Code is freed when the
 *            last reference goes. destroy() waits for the thread; all units must have
 *            been released.
 * Threads    any number.
 * Errors     none: no code is no error. qn_code_stats says what happened. */
#ifndef QN_EXPR_CODE_H
#define QN_EXPR_CODE_H

#include "base/slice.h"

typedef struct qn_code qn_code;
typedef struct qn_code_unit qn_code_unit;

/* What the bytes of a form are. */
typedef enum qn_code_kind {
    QN_CODE_EXPR, /* expr_form.h */
} qn_code_kind;

typedef struct qn_code_options {
    size_t bytes_max;  /* of forms and code kept; 0: 64 MB */
    uint64_t work_min; /* work after which a unit is compiled; 0: the default */
    bool at_once;      /* compile in the thread that noted the work: for tests */
    const char
        *module; /* file of the back end; NULL: where it is looked for; "" : none */
} qn_code_options;

typedef struct qn_code_stats {
    uint64_t compiled, failed; /* units */
    uint64_t compile_ns;       /* the thread's time for them */
    uint64_t dropped;          /* units that made room for others */
    size_t units, bytes;       /* kept now; machine code included */
    char back_end[64]; /* "LLVM 14.0.6", "" before it was needed or without one */
    char why_not[160]; /* why there is none, or the last failure */
} qn_code_stats;

QN_MUST_CHECK qn_status qn_code_create(qn_alloc *alloc, const qn_code_options *options,
                                       QN_OWNED qn_code **out, qn_error *err);
void qn_code_destroy(QN_OWNED QN_NULLABLE qn_code *c);

/* The unit of these bytes; NULL when out of memory. */
QN_OWNED qn_code_unit *qn_code_acquire(qn_code *c, qn_code_kind kind, qn_slice form);
void qn_code_release(QN_OWNED QN_NULLABLE qn_code_unit *u);
/* Adds `work` (documents times weighted steps); the entries of the code, in the order of
 * the form, once there is some; NULL before. Valid until the release. */
void *const *qn_code_entries(qn_code_unit *u, uint64_t work);

/* How much work to do before the first acquire() is worth it. */
uint64_t qn_code_ask_after(const qn_code *c);

void qn_code_stats_of(qn_code *c, qn_code_stats *out);
/* Loads the back end now: its name and version into `name`, or why there is none. For
 * `quern version --build`; takes as long as loading LLVM does. */
bool qn_code_probe(const char *module, char *name, size_t size);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* expr/expr.h -- the ranking language: text in, one number per document out.
 *
 *     text --parse--> tree --type, fold, share--> nodes --emit--> steps --run-->
 * numbers
 *
 * Three dialects share everything after the parser's first decisions. A *formula*
 * scores documents: integers become doubles when they meet one, anything non-zero is
 * true. A *filter* keeps documents: typed strictly as HA3 does, constants adapt to the
 * other side, the result is a bool. A *sort key* is typed like a filter and gives one
 * number or string. Names and feature calls are bound by the caller (qn_expr_env), so
 * this module knows neither columns nor queries; the functions themselves, with their
 * arguments, are rows of functions.def.
 *
 * The compiled form is a flat array of typed steps ending in DONE, each working on
 * whole registers of QN_EXPR_LANES documents; opcodes.def says what each step means. It is
 * interpreted; what runs often may be compiled (code.h).
 *
 * Lifetime   a qn_expr owns copies of all it needs; text and env may go after compile.
 *            A machine borrows its qn_expr, which must outlive it.
 * Threads    a qn_expr is immutable: any number of threads. One machine, one thread.
 * Errors     compile: ESYNTAX, ELIMIT, ENOFUNC, ENOATTR, EFUNCARGS and the type errors,
 *            all with the byte offset in err->at. Evaluation fails only when load()
 *            does; a score that is no finite number is 0 and counted (bad_docs). */
#ifndef QN_EXPR_EXPR_H
#define QN_EXPR_EXPR_H

#include "base/slice.h"

/* Limits. Over one of them: QN_ELIMIT. */
enum {
    QN_EXPR_TEXT_MAX = 65536, /* bytes of source */
    QN_EXPR_DEPTH_MAX = 100,  /* open parentheses, calls and unary operators */
    QN_EXPR_NODES_MAX = 8192, /* operands and operators of the source */
    QN_EXPR_ARGS_MAX = 1024,  /* elements of an `in` list; functions take fewer */
    QN_EXPR_INPUTS_MAX = 256, /* distinct names and feature calls */
    QN_EXPR_LANES = 256,      /* documents worked on together */
};

typedef enum qn_expr_dialect {
    QN_EXPR_FORMULA,  /* gives a double */
    QN_EXPR_FILTER,   /* gives a bool */
    QN_EXPR_SORT_KEY, /* gives one number or one string */
} qn_expr_dialect;

/* Where an expression is used: some functions are only for some places. */
enum {
    QN_EXPR_IN_ROUGH = 1,
    QN_EXPR_IN_FINE = 2,
    QN_EXPR_IN_FILTER = 4,
    QN_EXPR_IN_SORT = 8,
    QN_EXPR_IN_ANY = 15,
};

/* ORDER TYPES: names in typing.c. */
typedef enum qn_expr_type {
    QN_EXPR_BOOL, /* 0 or 1 in an int64 */
    QN_EXPR_INT8,
    QN_EXPR_INT16,
    QN_EXPR_INT32,
    QN_EXPR_INT64,
    QN_EXPR_UINT8,
    QN_EXPR_UINT16,
    QN_EXPR_UINT32,
    QN_EXPR_UINT64, /* the same 64 bits in an int64 */
    QN_EXPR_FLOAT,  /* a double that holds a float */
    QN_EXPR_DOUBLE,
    QN_EXPR_STRING,
} qn_expr_type;

/* What a name or a feature call stands for. */
typedef struct qn_expr_symbol {
    qn_expr_type type;
    bool multi;    /* a list per document instead of one value */
    bool costly;   /* a name worth not computing where an if() leaves it out; feature
                    * calls always are */
    bool constant; /* the same for every document: the value is below, never loaded */
    uint32_t slot; /* the caller's own number, handed back to load() */
    int64_t i64;   /* constant of an integer type or bool */
    double f64;    /* constant of type float or double */
    qn_slice str;  /* constant string; copied */
} qn_expr_symbol;

typedef enum qn_expr_arg_kind {
    QN_EXPR_ARG_NAME,   /* a bare identifier: field, index, key */
    QN_EXPR_ARG_STRING, /* a quoted string, unescaped */
    QN_EXPR_ARG_BOOL,   /* true or false */
    QN_EXPR_ARG_NUMBER, /* a constant number */
} qn_expr_arg_kind;

/* An argument of a feature call: known at compile time. */
typedef struct qn_expr_arg {
    qn_expr_arg_kind kind;
    qn_slice text; /* NAME, STRING: valid during resolve_call() only */
    bool flag;     /* BOOL */
    bool is_int;   /* NUMBER written as an integer: i64 holds it exactly */
    int64_t i64;
    double f64; /* NUMBER, always set */
    uint64_t at;
} qn_expr_arg;

/* The caller's side of compiling. `list_name` may be NULL. */
typedef struct qn_expr_env {
    void *ctx;
    unsigned where; /* one or more QN_EXPR_IN_*; 0: anywhere */
    /* Binds an attribute, variable or request constant; false: no such name. */
    bool (*resolve_name)(void *ctx, qn_slice name, qn_expr_symbol *out);
    /* The i-th name that resolve_name knows, for "did you mean"; false past the last.
     */
    bool (*list_name)(void *ctx, size_t i, qn_slice *name);
    /* Binds a feature of functions.def whose arguments have passed the checks of its
     * row. Called once for calls that are written alike. NULL: no features here. */
    qn_status (*resolve_call)(void *ctx, qn_slice function, const qn_expr_arg *args,
                              size_t n, uint64_t at, qn_expr_symbol *out,
                              qn_error *err);
} qn_expr_env;

typedef struct qn_expr qn_expr;

/* Compiles `text`. On failure *out is NULL. */
QN_MUST_CHECK qn_status qn_expr_compile(qn_alloc *alloc, qn_expr_dialect dialect,
                                        qn_slice text, const qn_expr_env *env,
                                        QN_OWNED qn_expr **out, qn_error *err);
void qn_expr_destroy(QN_OWNED QN_NULLABLE qn_expr *e);

/* FORMULA: DOUBLE. FILTER: BOOL. SORT_KEY: a number's type or STRING. */
qn_expr_type qn_expr_result_type(const qn_expr *e);
/* True when the value is the same for every document; *value (may be NULL) is it. */
bool qn_expr_is_constant(const qn_expr *e, double *value);

/* One list of a multi-value column. */
typedef struct qn_expr_list {
    const void *items; /* int64_t, double or qn_slice, by the symbol's type */
    size_t n;
} qn_expr_list;

/* Where load() writes n values; exactly one pointer is set, by the symbol's type. */
typedef struct qn_expr_values {
    int64_t *i64;        /* bool and integers */
    double *f64;         /* float and double */
    qn_slice *str;       /* strings; bytes valid until the evaluation returns */
    qn_expr_list *lists; /* multi: items valid until the evaluation returns */
} qn_expr_values;

/* Documents to evaluate, and how their inputs are had. load() is called at most once
 * for a document and a slot, in runs of at most QN_EXPR_LANES documents, ascending where
 * `docs` is, only for what the folded expression still needs; of features and costly
 * names, only for documents that need them where an if(), `and`, `or` depends on them. */
typedef struct qn_expr_batch {
    const uint32_t *docs;
    size_t n;
    qn_status (*load)(void *ctx, uint32_t slot, const uint32_t *docs, size_t n,
                      qn_expr_values *out, qn_error *err);
    void *ctx;
    int64_t now_s;      /* now(): fixed per request */
    uint64_t seed;      /* random() is a hash of this and the document id */
    uint64_t *bad_docs; /* NULL, or counts documents whose score was not finite */
} qn_expr_batch;

/* Registers for one expression on one thread; nothing is allocated after this. */
typedef struct qn_expr_machine qn_expr_machine;
QN_MUST_CHECK qn_status qn_expr_machine_create(qn_alloc *alloc, const qn_expr *e,
                                               QN_OWNED qn_expr_machine **out,
                                               qn_error *err);
void qn_expr_machine_destroy(QN_OWNED QN_NULLABLE qn_expr_machine *m);

/* Lets the machine run machine code from `code` once its program has worked enough;
 * before, and without any, it interprets: the answers are the same bits. `code` outlives
 * the machine; NULL: it interprets. */
struct qn_code;
void qn_expr_machine_use(qn_expr_machine *m, QN_NULLABLE struct qn_code *code);
/* Did the last evaluation run machine code? */
bool qn_expr_machine_is_compiled(const qn_expr_machine *m);

/* Any numeric result as double. NaN and infinities become 0 and are counted. */
QN_MUST_CHECK qn_status qn_expr_eval(qn_expr_machine *m, const qn_expr_batch *b,
                                     double *out, qn_error *err);
/* Integer and bool results, exact. */
QN_MUST_CHECK qn_status qn_expr_eval_i64(qn_expr_machine *m, const qn_expr_batch *b,
                                         int64_t *out, qn_error *err);
/* String results: bytes as load() gave them. */
QN_MUST_CHECK qn_status qn_expr_eval_str(qn_expr_machine *m, const qn_expr_batch *b,
                                         qn_slice *out, qn_error *err);

/* --- for the trace --- */

/* What the expression asks the caller for: one row per distinct name or feature call.
 */
typedef struct qn_expr_input {
    qn_slice text; /* "text_relevance(title,false)", without blanks; the qn_expr's */
    bool is_call;
    qn_expr_symbol symbol;
} qn_expr_input;
size_t qn_expr_input_count(const qn_expr *e);
const qn_expr_input *qn_expr_input_at(const qn_expr *e, size_t i);

/* The additive terms of the outermost + and -: their signed values add up to the
 * result. An expression that is no sum has one term: itself. */
typedef struct qn_expr_term {
    qn_slice text; /* as written; owned by the qn_expr */
    bool minus;    /* it is subtracted; its value below carries the sign */
} qn_expr_term;
size_t qn_expr_term_count(const qn_expr *e);
qn_expr_term qn_expr_term_at(const qn_expr *e, size_t i);

/* A sub-expression: no constant, no name of a field or index. */
typedef struct qn_expr_part {
    qn_slice text;   /* as written, without parentheses around it; the qn_expr's */
    uint32_t parent; /* the part it stands in; UINT32_MAX: it is the whole */
} qn_expr_part;
/* All of them, each before those within it, at most `most`; returns how many. */
size_t qn_expr_parts(const qn_expr *e, qn_expr_part *out, size_t most);

/* Evaluates every term and every input of a formula for the documents of `b`:
 * terms[t * b->n + d] and inputs[i * b->n + d], raw (NaN stays NaN; strings and lists
 * give NaN). Either array may be NULL. Allocates; for explanations, not for scoring. */
QN_MUST_CHECK qn_status qn_expr_trace(qn_alloc *alloc, const qn_expr *e,
                                      const qn_expr_batch *b, double *terms,
                                      double *inputs, qn_error *err);

/* --- text forms, for goldens and people --- */

/* The typed tree as an S-expression: (add.f (load.f price) 10). */
void qn_expr_dump(const qn_expr *e, qn_buf *out);
/* The steps, one a line. */
void qn_expr_list_steps(const qn_expr *e, qn_buf *out);
/* The source in HA3's normalised spelling: (((a+b)<c) AND (d=10)). */
void qn_expr_normalized(const qn_expr *e, qn_buf *out);

/* --- the function table --- */

typedef struct qn_expr_function {
    const char *name;
    unsigned args_min, args_max;
    const char *args; /* one letter per argument, the last repeated; functions.def */
    unsigned where;   /* QN_EXPR_IN_* */
    bool feature;     /* bound by the env; otherwise computed here */
    const char *signature, *meaning, *source;
} qn_expr_function;
size_t qn_expr_function_count(void);
const qn_expr_function *qn_expr_function_at(size_t i);
/* NULL when there is none. */
const qn_expr_function *qn_expr_function_find(qn_slice name);
const char *qn_expr_type_name(qn_expr_type type);

/* The function whose name is nearest by edit distance; NULL when none is near. */
const char *qn_expr_function_nearest(qn_slice name);

#endif

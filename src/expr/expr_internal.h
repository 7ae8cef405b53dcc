/* SPDX-License-Identifier: Apache-2.0 */
/* expr_internal.h -- the forms an expression passes through: syntax tree, typed nodes,
 * steps. All three are flat arrays whose items refer only to items before them, so
 * every pass is one loop and no depth of nesting can exhaust the stack. */
#ifndef QN_EXPR_INTERNAL_H
#define QN_EXPR_INTERNAL_H

#include "expr/expr.h"

#include "base/arena.h"
#include "base/vec.h"

#define QN_EXPR__NONE UINT32_MAX
#define QN_EXPR__NAN ((double)__builtin_nanf(""))

/* --- syntax tree (expr_parse.c) --- */

/* ORDER OPERATORS: spelling in expr_dump.c, precedence in expr_parse.c. */
typedef enum qn_expr__operator {
    QN_EX_OR,
    QN_EX_AND,
    QN_EX_BIT_OR,
    QN_EX_BIT_XOR,
    QN_EX_BIT_AND,
    QN_EX_EQ,
    QN_EX_NE,
    QN_EX_LT,
    QN_EX_LE,
    QN_EX_GT,
    QN_EX_GE,
    QN_EX_ADD,
    QN_EX_SUB,
    QN_EX_MUL,
    QN_EX_DIV,
    QN_EX_POW,
    QN_EX_NEG,
    QN_EX_NOT,
    QN_EX_IN,
    QN_EX_NOT_IN,
} qn_expr__operator;

typedef enum qn_expr__syntax_kind {
    QN_SYN_NUMBER, /* type, i64 or f64 */
    QN_SYN_STRING, /* text: unescaped */
    QN_SYN_BOOL,   /* i64 */
    QN_SYN_NAME,   /* text */
    QN_SYN_UNARY,  /* op, a */
    QN_SYN_BINARY, /* op, a, b */
    QN_SYN_IN,     /* op IN or NOT_IN, a, list */
    QN_SYN_CALL,   /* text: name, list; `c ? t : e` is a call of if */
} qn_expr__syntax_kind;

/* The strict dialects know conditions from numbers by grammar alone. */
typedef enum qn_expr__category {
    QN_CAT_VALUE,
    QN_CAT_CONDITION,
    QN_CAT_EITHER,
} qn_expr__category;

typedef struct qn_expr__syntax {
    qn_expr__syntax_kind kind;
    qn_expr__operator op;
    qn_expr__category category;
    qn_expr_type type;
    bool unevaluated;         /* an argument that is a name, not a value */
    uint32_t begin, limit;    /* bytes of the source, parentheses around it left out */
    uint32_t at;              /* where an error about it points: its operator */
    uint32_t a, b;            /* children */
    uint32_t list, list_size; /* arguments: kids[list ..] */
    int64_t i64;
    double f64;
    qn_slice text;
} qn_expr__syntax;

typedef struct qn_expr__tree {
    QN_VEC(qn_expr__syntax) nodes;
    QN_VEC(uint32_t) kids;
    uint32_t root;
} qn_expr__tree;

/* Strings of the tree are in `arena` or in `text`. */
QN_MUST_CHECK qn_status qn_expr__parse(qn_alloc *alloc, qn_arena *arena,
                                       qn_expr_dialect dialect, qn_slice text,
                                       qn_expr__tree *out, qn_error *err);
void qn_expr__tree_deinit(qn_alloc *alloc, qn_expr__tree *t);

/* --- typed nodes (expr_nodes.c) --- */

typedef enum qn_expr__opcode {
#define OP(name, text, r, a, b, c, value, meaning) QN_OP_##name,
#define OPX(name, text, r, a, b, c, meaning) QN_OP_##name,
#include "expr/opcodes.def"
#undef OP
#undef OPX
    QN_OP_COUNT
} qn_expr__opcode;

typedef struct qn_expr__opinfo {
    const char *text;
    char r, a, b, c; /* register kinds I F S L, N none, X an index */
    bool pure;       /* one of the OP rows: folds, runs in a kernel */
} qn_expr__opinfo;
extern const qn_expr__opinfo qn_expr__opcodes[QN_OP_COUNT];

/* A value: an opcode, and what it works on: node ids, or for the OPX rows the index of
 * an input, a set, a function. Two equal values are the same node. */
typedef struct qn_expr__node {
    uint16_t op;
    uint8_t type;    /* qn_expr_type; of a list, its items' */
    uint8_t is_list; /* LOADL */
    uint32_t a, b, c;
    uint64_t bits; /* CONSTI, CONSTF */
} qn_expr__node;

/* The constants of an `in`: sorted, each once. */
typedef struct qn_expr__set {
    char kind; /* I, F, S */
    size_t n;
    union {
        const int64_t *i64;
        const double *f64;
        const qn_slice *str;
    } of;
} qn_expr__set;

typedef struct qn_expr__term {
    qn_slice text;
    bool minus;
    uint32_t node;
} qn_expr__term;

/* --- steps (expr_emit.c) --- */

/* One instruction. Registers below the number of constants hold constants. */
typedef struct qn_expr__step {
    uint16_t op, dst, a, b, c;
} qn_expr__step;

typedef struct qn_expr__constant {
    uint16_t reg;
    char kind; /* I, F, S */
    uint64_t bits;
    qn_slice str;
} qn_expr__constant;

/* What an executor needs, and all it needs. Numbers, strings and lists have register
 * files of their own. */
typedef struct qn_expr__program {
    QN_VEC(qn_expr__step) steps;
    QN_VEC(uint16_t) args; /* operands of CALL steps */
    QN_VEC(qn_expr__constant) constants;
    uint32_t regs, string_regs, list_regs;
    QN_VEC(uint16_t) outputs; /* registers, as the roots were asked for */
} qn_expr__program;

struct qn_expr {
    qn_alloc *alloc;
    qn_arena arena; /* strings, sets, terms */
    qn_expr_dialect dialect;
    qn_slice text;
    qn_expr__tree tree;
    QN_VEC(qn_expr__node) nodes;
    QN_VEC(uint32_t) args; /* operands of CALL nodes */
    QN_VEC(qn_expr__set) sets;
    QN_VEC(qn_slice) strings;
    QN_VEC(qn_expr_input) inputs;
    QN_VEC(uint32_t) input_nodes; /* the LOAD of each input */
    QN_VEC(qn_expr__term) terms;
    uint32_t root;
    qn_expr__program program;
};

/* --- what is computed when (expr_order.c) --- */

/* Values looked at only where `condition` is 1 (wanted) or 0, and where `parent` holds.
 * Guard 0 is none. */
typedef struct qn_expr__guard {
    uint32_t condition; /* a node */
    bool wanted;
    uint16_t parent, depth;
} qn_expr__guard;

#define QN_EXPR__UNUSED UINT16_MAX

typedef struct qn_expr__order {
    uint32_t *nodes; /* those to compute, operands before operators */
    size_t count;
    uint16_t *guard; /* by node; QN_EXPR__UNUSED: not computed */
    qn_expr__guard *guards;
    uint16_t guard_count;
} qn_expr__order;

QN_MUST_CHECK qn_status qn_expr__order_make(const qn_expr *e, const uint32_t *roots,
                                            size_t n, qn_expr__order *out,
                                            qn_error *err);
void qn_expr__order_deinit(qn_alloc *alloc, qn_expr__order *o);
/* The innermost guard that both stand under. */
uint16_t qn_expr__guard_meet(const qn_expr__order *o, uint16_t x, uint16_t y);
bool qn_expr__is_constant(const qn_expr__node *n);
/* `and` or `or` of two conditions. */
bool qn_expr__is_logical(const qn_expr *e, const qn_expr__node *n);
/* Only numbers in, a number out, nothing asked of the caller or the machine. `function`
 * is that of a CALL. */
bool qn_expr__is_numeric(uint16_t op, uint16_t function);
enum { QN_EXPR__OPERANDS_MAX = 8 };
/* The nodes that `n` reads; how many. */
size_t qn_expr__operands(const qn_expr *e, const qn_expr__node *n, uint32_t *out);

/* Emits the steps that compute `roots`; outputs in their order. */
QN_MUST_CHECK qn_status qn_expr__emit(const qn_expr *e, const uint32_t *roots, size_t n,
                                      qn_expr__program *out, qn_error *err);
void qn_expr__program_deinit(qn_alloc *alloc, qn_expr__program *p);

/* --- scalar functions (expr_math.c) --- */

typedef enum qn_expr__math_id {
#define M(name, args, beyond) QN_MATH_##name,
#include "expr/math.def"
#undef M
    QN_MATH_COUNT
} qn_expr__math_id;

enum { QN_EXPR__MATH_ARGS_MAX = 6 };
#define QN_EXPR__ANGLE_MAX 1e6 /* radians */

typedef struct qn_expr__math {
    const char *name;
    unsigned args;
    double (*beyond)(
        double); /* of <math.h>: what is over QN_EXPR__ANGLE_MAX; or NULL */
} qn_expr__math;
extern const qn_expr__math qn_expr__maths[QN_MATH_COUNT];
/* One value, by the base kernels. */
double qn_expr__math_eval(qn_expr__math_id function, const double *values);

/* --- building nodes while typing (expr_nodes.c) --- */

/* A typed value on its way up the tree. */
typedef struct qn_expr__value {
    uint32_t node;
    bool literal; /* made of literals only: in strict dialects it adapts its type */
    bool decimal; /* a literal written with a point */
} qn_expr__value;

typedef struct qn_expr__builder {
    qn_expr *e;
    const qn_expr_env *env;
    qn_alloc *alloc;
    qn_error *err;
    qn_expr__value *values; /* by syntax node */
    uint32_t *buckets;      /* hash of node contents -> id + 1 */
    size_t bucket_count;
    bool failed; /* out of memory */
} qn_expr__builder;

uint32_t qn_expr__node_add(qn_expr__builder *b, qn_expr__node n);
uint32_t qn_expr__const_i(qn_expr__builder *b, qn_expr_type type, int64_t v);
uint32_t qn_expr__const_f(qn_expr__builder *b, qn_expr_type type, double v);
uint32_t qn_expr__const_s(qn_expr__builder *b, qn_slice v);
/* An OP row; folded when all operands are constant. */
uint32_t qn_expr__op(qn_expr__builder *b, qn_expr__opcode op, qn_expr_type type,
                     uint32_t x, uint32_t y, uint32_t z);
/* A row of math.def; folded likewise. */
uint32_t qn_expr__call(qn_expr__builder *b, qn_expr__math_id function,
                       const uint32_t *args);
uint32_t qn_expr__to_double(qn_expr__builder *b, uint32_t node);
uint32_t qn_expr__to_integer(qn_expr__builder *b, uint32_t node);
uint32_t qn_expr__to_bool(qn_expr__builder *b, uint32_t node);
/* false when it is no constant number. */
bool qn_expr__is_const(const qn_expr *e, uint32_t node, double *value);

bool qn_expr__type_is_int(qn_expr_type t); /* not bool */
bool qn_expr__type_is_float(qn_expr_type t);
bool qn_expr__type_is_number(qn_expr_type t);
/* The range of an integer type: `bits` as int64, or as uint64 when is_unsigned. */
bool qn_expr__int_fits(qn_expr_type type, int64_t v, bool is_unsigned);
/* Wraps an integer or rounds a double node to `type` where that is narrower. */
uint32_t qn_expr__narrow(qn_expr__builder *b, uint32_t node, qn_expr_type type);

/* --- typing (expr_typing.c, expr_strict.c, expr_calls.c) --- */

static inline const qn_expr__node *qn_expr__node_at(const qn_expr__builder *b,
                                                    uint32_t id)
{
    return &b->e->nodes.p[id];
}

static inline const qn_expr__syntax *qn_expr__syntax_at(const qn_expr__builder *b,
                                                        uint32_t id)
{
    return &b->e->tree.nodes.p[id];
}

/* Types the whole tree; fills e->root and e->terms. */
QN_MUST_CHECK qn_status qn_expr__type_tree(qn_expr__builder *b);
QN_MUST_CHECK qn_status qn_expr__type_call(qn_expr__builder *b, uint32_t syntax,
                                           qn_expr__value *out);
/* Marks the arguments that are names, before anything is typed. */
void qn_expr__mark_names(qn_expr__tree *t);
QN_MUST_CHECK qn_status qn_expr__strict_binary(qn_expr__builder *b, uint32_t syntax,
                                               qn_expr__value *out);
/* A literal to `type`; it must fit. */
QN_MUST_CHECK qn_status qn_expr__strict_adapt(qn_expr__builder *b, uint32_t syntax,
                                              qn_expr__value *v, qn_expr_type type);
/* The operands `left` and `right` (syntax) to one type. */
QN_MUST_CHECK qn_status qn_expr__strict_unify(qn_expr__builder *b, uint64_t at,
                                              uint32_t left, uint32_t right);
/* EQ..GE of two numbers, or of two strings. */
uint32_t qn_expr__compare(qn_expr__builder *b, qn_expr__operator op, uint32_t x,
                          uint32_t y);
/* Refuses strings and lists. */
QN_MUST_CHECK qn_status qn_expr__want_number(qn_expr__builder *b, uint32_t syntax);
/* x in (elements) */
QN_MUST_CHECK qn_status qn_expr__type_in(qn_expr__builder *b, uint32_t syntax,
                                         qn_expr__value *out);
/* x, a value or a list, in the set that `text` spells with `separator`. */
QN_MUST_CHECK qn_status qn_expr__type_in_text(qn_expr__builder *b, uint64_t at,
                                              uint32_t x, qn_slice text,
                                              qn_slice separator, uint32_t *out);
/* Adds or finds the input for a symbol; a constant symbol gives a constant. */
QN_MUST_CHECK qn_status qn_expr__input(qn_expr__builder *b, qn_slice key, bool is_call,
                                       const qn_expr_symbol *symbol, uint64_t at,
                                       uint32_t *node);

/* --- functions (expr_names.c, expr_calls.c) --- */

/* Index into the table, or QN_EXPR__NONE. */
uint32_t qn_expr__function_index(qn_slice name);
/* The nearest name that the env lists; p is NULL when none is near. */
qn_slice qn_expr__name_nearest(const qn_expr_env *env, qn_slice name);

/* --- execution (expr_machine.c, expr_kernels_*.c) --- */

/* One pure step on n lanes, n a multiple of 8, at most QN_EXPR_LANES; registers stand at
 * 64 bytes. */
typedef void (*qn_expr__kernel)(size_t n, void *dst, const void *x, const void *y,
                                const void *z);
/* One function of math.def likewise, on a register per argument. */
typedef void (*qn_expr__call_kernel)(size_t n, double *dst, const double *const *args);

/* All steps for one instruction set. Every set gives the bits of the base set. */
typedef struct qn_expr__kernels {
    const char *name;
    /* Is x[i] != 0 (wanted) or x[i] == 0 (not wanted) for any i? */
    bool (*any_lane)(size_t n, const int64_t *x, bool wanted);
    /* Copies scores, 0 for what is not finite; how many of those. */
    size_t (*finish)(size_t n, const double *x, double *out);
    /* Is x[i] one of `count` values? For few of them. */
    void (*in_i64)(size_t n, int64_t *dst, const int64_t *x, const int64_t *set,
                   size_t count);
    void (*in_f64)(size_t n, int64_t *dst, const double *x, const double *set,
                   size_t count);
    qn_expr__kernel ops[QN_OP_COUNT];
    qn_expr__call_kernel calls[QN_MATH_COUNT];
} qn_expr__kernels;
extern const qn_expr__kernels qn_expr__kernels_base;
#ifdef QN_EXPR_X86
extern const qn_expr__kernels qn_expr__kernels_avx2, qn_expr__kernels_avx512;
#endif
/* The k-th set that this CPU can run, fastest first; NULL past the last. */
const qn_expr__kernels *qn_expr__kernels_at(size_t k);

QN_MUST_CHECK qn_status qn_expr__machine_make(qn_alloc *alloc, const qn_expr *e,
                                              const qn_expr__program *p,
                                              const qn_expr__kernels *kernels,
                                              qn_expr_machine **out, qn_error *err);
/* Runs the steps over at most QN_EXPR_LANES documents from `first`. */
QN_MUST_CHECK qn_status qn_expr__run(qn_expr_machine *m, const qn_expr_batch *b,
                                     size_t first, size_t n, qn_error *err);
/* The lanes of the k-th output, of register kind I, F or S. */
const void *qn_expr__output(const qn_expr_machine *m, size_t k, char kind);

#endif

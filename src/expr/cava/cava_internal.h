/* SPDX-License-Identifier: Apache-2.0 */
/* cava_internal.h -- the forms between text and run: tokens, tree, symbols, code.
 *
 * A place in the sources is one number: the files stand one after another, each followed
 * by a zero byte. Types are numbers too: primitives first, then classes and arrays. */
#ifndef QN_EXPR_CAVA_INTERNAL_H
#define QN_EXPR_CAVA_INTERNAL_H

#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "expr/cava/cava.h"

/* ---- tokens --------------------------------------------------------------------------- */

/* ORDER TOKENS: names in cava_lex.c. */
typedef enum qn_cava_token_kind {
    T_END,
    T_NAME,
    T_KEYWORD,
    T_INT,    /* bits in `bits`; `suffix` says L */
    T_FLOAT,  /* `real`; suffix F or 0 */
    T_CHAR,   /* bits */
    T_STRING, /* text: unescaped, in the arena */
    T_PUNCT,
} qn_cava_token_kind;

/* Keywords and punctuation are compared by number: index of these lists. */
typedef enum qn_cava_keyword {
    K_none,
#define K(name) K_##name,
#define P(name, text)
#include "expr/cava/cava_tokens.def"
#undef K
#undef P
} qn_cava_keyword;

typedef enum qn_cava_punct {
    P_none,
#define K(name)
#define P(name, text) P_##name,
#include "expr/cava/cava_tokens.def"
#undef K
#undef P
} qn_cava_punct;

typedef struct qn_cava_token {
    uint8_t kind, suffix;
    uint8_t code; /* keyword or punctuation */
    uint32_t at, end;
    qn_slice text;
    union {
        uint64_t bits;
        double real;
    };
} qn_cava_token;

/* ---- the tree ------------------------------------------------------------------------- */

typedef enum qn_cava_node_kind {
    /* declarations */
    N_CLASS,  /* text; list: members */
    N_FIELD,  /* type, text; a: initial value */
    N_METHOD, /* type (NULL: constructor), text; a: parameters, b: body */
    N_PARAM,  /* type, text */
    /* statements */
    N_BLOCK,      /* a: statements */
    N_LOCAL,      /* type; a: N_DECLARATOR... */
    N_DECLARATOR, /* text, dims in bits; a: initial value */
    N_IF,         /* a cond, b then, c else */
    N_FOR,        /* a init list, b cond, c update list, d body */
    N_WHILE,      /* b cond, d body */
    N_DO,
    N_SWITCH, /* a value; b: N_CASE... */
    N_CASE,   /* a: constant (NULL: default); b: statements */
    N_BREAK,
    N_CONTINUE,
    N_RETURN, /* a */
    N_EXPR,   /* a */
    N_EMPTY,
    /* types */
    N_TYPE, /* code: keyword of a primitive, or text: name with dots; bits: dims */
    /* expressions */
    N_LITERAL,   /* of `token` */
    N_NAME,      /* text */
    N_DOT,       /* a . text */
    N_INDEX,     /* a [ b ] */
    N_CALL,      /* a: NULL or what stands before the dot; text; b: arguments */
    N_NEW,       /* type; b: arguments */
    N_NEW_ARRAY, /* type of the items, bits: further dims; a: length or NULL, b: list */
    N_LIST,      /* {a, ...} */
    N_UNARY,     /* code: punct; a */
    N_PREFIX,    /* ++a */
    N_POSTFIX,   /* a++ */
    N_BINARY,    /* code; a, b */
    N_ASSIGN,    /* code: SET, ADD_SET...; a, b */
    N_CAST,      /* type; a */
    N_CHOICE,    /* a ? b : c */
} qn_cava_node_kind;

typedef struct qn_cava_node qn_cava_node;
struct qn_cava_node {
    uint8_t kind, code;
    bool effects; /* an assignment or call is in it */
    bool is_static;
    uint32_t at, end;
    qn_slice text;
    uint64_t bits;
    const qn_cava_token *token;
    qn_cava_node *type, *a, *b, *c, *d, *next;
};

/* ---- types and symbols ---------------------------------------------------------------- */

typedef uint32_t qn_cava_type;
/* ORDER CAVA TYPES: names in cava_symbols.c. Integers in one row, by the order of their
 * registers' use; above QN_CT_FIRST numbers of the program's table. */
enum {
    QN_CT_ERROR,
    QN_CT_VOID,
    QN_CT_NULL,
    QN_CT_BOOLEAN,
    QN_CT_BYTE,
    QN_CT_SHORT,
    QN_CT_CHAR,
    QN_CT_INT,
    QN_CT_LONG,
    QN_CT_UBYTE,
    QN_CT_USHORT,
    QN_CT_UINT,
    QN_CT_ULONG,
    QN_CT_FLOAT,
    QN_CT_DOUBLE,
    QN_CT_FIRST, /* classes and arrays from here on */
};

typedef struct qn_cava_type_info {
    bool is_array;
    uint32_t of; /* array: type of the items; else class */
} qn_cava_type_info;

typedef struct qn_cava_method {
    qn_slice name, signature; /* "double score(OpsScoreParams)" */
    uint32_t class_index;
    bool is_static, is_constructor, is_native;
    qn_cava_type result;
    qn_cava_type args[QN_CAVA_ARGS_MAX];
    qn_slice arg_names[QN_CAVA_ARGS_MAX];
    uint32_t arg_count; /* `this` is not among them */
    qn_cava_native native;
    int native_arg;
    uint32_t function; /* of the program, when it has a body */
    const qn_cava_node *node;
    uint32_t next; /* of the class; UINT32_MAX: the last */
} qn_cava_method;

typedef struct qn_cava_field {
    qn_slice name;
    qn_cava_type type;
    const qn_cava_node *node;
} qn_cava_field;

typedef struct qn_cava_class {
    qn_slice package, name; /* package may be "" */
    qn_cava_type type;
    bool native;
    uint32_t first_method, last_method;
    qn_cava_field *fields;
    uint32_t field_count;
    uint32_t file;
    uint32_t init_function; /* field initialisers; UINT32_MAX: none */
    const qn_cava_node *node;
} qn_cava_class;

/* ---- code ----------------------------------------------------------------------------- */

typedef enum qn_cava_opcode {
#define OP(name, operands, meaning) QN_COP_##name,
#include "expr/cava/cava_opcodes.def"
#undef OP
    QN_COP_COUNT
} qn_cava_opcode;

typedef struct qn_cava_step {
    uint16_t op, a, b, c;
} qn_cava_step;

typedef struct qn_cava_constant {
    bool is_real;
    qn_cava_slot value;
} qn_cava_constant;

typedef struct qn_cava_function {
    uint32_t method; /* UINT32_MAX: field initialisers of `class_index` */
    uint32_t class_index;
    qn_cava_step *code;
    uint32_t *places; /* of each step, in the sources */
    uint32_t code_count;
    qn_cava_type
        *registers; /* LONG for integers, DOUBLE for reals, or a reference type */
    uint32_t register_count, arg_count; /* with `this` */
    qn_cava_type result;                /* of the method */
} qn_cava_function;

struct qn_cava_program {
    qn_alloc *alloc;
    qn_arena arena;
    const qn_cava_file *files; /* copies */
    uint32_t *bases;           /* where each file begins */
    size_t file_count;
    QN_VEC(qn_cava_type_info) types; /* of number QN_CT_FIRST + i */
    QN_VEC(qn_cava_class) classes;   /* the library's first */
    QN_VEC(qn_cava_method) methods;
    QN_VEC(qn_cava_function) functions;
    QN_VEC(qn_cava_constant) constants;
    QN_VEC(qn_slice) strings;
};

/* ---- diagnostics ---------------------------------------------------------------------- */

/* ORDER CAVA CODES: the thousands say which pass found it. */
enum {
    QN_CAVA_E_CHARACTER = 10001, /* a character or literal that is none */
    QN_CAVA_E_SYNTAX = 20001,
    QN_CAVA_E_DEPTH = 20002,
    QN_CAVA_E_UNSUPPORTED = 20003, /* Java has it, Cava does not */
    QN_CAVA_E_STATIC = 30001,      /* static variable */
    QN_CAVA_E_NAME = 30002,        /* no such variable, class, method */
    QN_CAVA_E_TYPE = 30003,        /* types that do not fit */
    QN_CAVA_E_TWICE = 30004,       /* declared before */
    QN_CAVA_E_ARGUMENTS = 30005,   /* no overload takes them, or several do */
    QN_CAVA_E_FLOW = 30006,        /* missing return, break outside of a loop */
    QN_CAVA_E_NATIVE = 30007,      /* native method */
    QN_CAVA_E_LIMIT = 30008,
    QN_CAVA_E_ENTRY = 30009, /* no entry point */
};

typedef struct qn_cava_compiler {
    qn_alloc *alloc;
    qn_arena arena; /* of tokens and tree */
    qn_cava_program *program;
    qn_cava_report *report;
    size_t errors;
    bool no_memory;
    uint32_t quiet_until; /* places before this one were reported */
    qn_map class_map;     /* qualified name -> class + 1 */
    qn_map array_map;     /* item type -> array type */

    /* Of each file. */
    struct qn_cava_unit {
        qn_slice package;
        qn_cava_node *imports; /* N_NAME: text with dots; bits 1: wildcard */
        qn_cava_node *classes;
    } units[QN_CAVA_FILES_MAX];
} qn_cava_compiler;

void qn_cava__error(qn_cava_compiler *c, uint32_t at, uint32_t end, unsigned code,
                    const char *fmt, ...) QN_PRINTF(5, 6);
/* File, line and column of a place. */
uint32_t qn_cava__locate(const qn_cava_program *p, uint32_t at, uint32_t *line,
                         uint32_t *column);

/* ---- passes --------------------------------------------------------------------------- */

/* Tokens of one file, ending in T_END; NULL when out of memory. */
qn_cava_token *qn_cava__lex(qn_cava_compiler *c, uint32_t file, size_t *count);
const char *qn_cava__punct(unsigned code);
const char *qn_cava__keyword(unsigned code);

typedef struct qn_cava_parser {
    qn_cava_compiler *c;
    const qn_cava_token *t; /* the current one */
    unsigned depth;
    bool panic; /* an error was told; quiet until the next statement or member */
} qn_cava_parser;
void qn_cava__parse(qn_cava_compiler *c, uint32_t file);
qn_cava_node *qn_cava__node(qn_cava_parser *p, qn_cava_node_kind kind, uint32_t at);
qn_cava_node *qn_cava__expression(qn_cava_parser *p);
qn_cava_node *qn_cava__type(qn_cava_parser *p, bool with_dims);
bool qn_cava__type_ahead(const qn_cava_parser *p); /* a local declaration begins here */
void qn_cava__expected(qn_cava_parser *p, const char *what);
bool qn_cava__is(const qn_cava_parser *p, qn_cava_punct code);
bool qn_cava__accept(qn_cava_parser *p, qn_cava_punct code);
void qn_cava__expect(qn_cava_parser *p, qn_cava_punct code);
bool qn_cava__deeper(qn_cava_parser *p); /* false: too deep, reported */

/* The classes of the library. */
QN_MUST_CHECK qn_status qn_cava__library(qn_cava_compiler *c, qn_error *err);
/* The plug-in's classes, fields and methods, from the trees. */
void qn_cava__declare(qn_cava_compiler *c);
qn_cava_type qn_cava__array_of(qn_cava_compiler *c, qn_cava_type item);
/* SIZE_MAX: none. `file`: whose imports are in force. */
size_t qn_cava__find_class(qn_cava_compiler *c, uint32_t file, qn_slice name);
qn_cava_type qn_cava__resolve_type(qn_cava_compiler *c, uint32_t file,
                                   const qn_cava_node *type);
qn_slice qn_cava__type_name(const qn_cava_program *p, qn_cava_type t, char *room,
                            size_t size);
bool qn_cava__is_integer(qn_cava_type t);
bool qn_cava__is_number(qn_cava_type t);
bool qn_cava__is_reference(qn_cava_type t);
/* What kind of register holds it. */
qn_cava_type qn_cava__storage(qn_cava_type t);

/* All bodies to code. */
void qn_cava__generate(qn_cava_compiler *c);
/* Every instruction against the registers' types; a failure is a fault of ours. */
QN_MUST_CHECK qn_status qn_cava__verify(const qn_cava_program *p, qn_error *err);

/* ---- constants and arithmetic --------------------------------------------------------- */

/* Java's value of `a op b` of operands already of `type` (shifts: b is a long). False:
 * division by zero. */
bool qn_cava__binary(unsigned punct, qn_cava_type type, qn_cava_slot a, qn_cava_slot b,
                     qn_cava_slot *out);
qn_cava_slot qn_cava__convert(qn_cava_type from, qn_cava_type to, qn_cava_slot v);
int64_t qn_cava__wrap(qn_cava_type type, int64_t v);
/* To integer as Java does: NaN is 0, beyond the ends the ends. */
int64_t qn_cava__to_i32(double v);
int64_t qn_cava__to_i64(double v);
uint64_t qn_cava__to_u64(double v);

/* ---- run ------------------------------------------------------------------------------ */

typedef struct qn_cava_frame {
    const qn_cava_function *function;
    uint32_t pc, base;
    uint16_t result; /* register of the caller */
} qn_cava_frame;

struct qn_cava_run {
    qn_alloc *alloc;
    const qn_cava_program *program;
    qn_cava_host host;
    qn_cava_limits limits;
    uint64_t fuel, fuel_checked;
    qn_rng rng;
    struct qn_cava_chunk *chunk;
    size_t heap_used;
    qn_cava_slot *stack;
    qn_cava_frame frames[QN_CAVA_CALLS_MAX];
    uint32_t frame_count;
    bool failed;              /* a run that failed answers nothing more */
    qn_cava_object **strings; /* literals, made when first met */
};

/* Natives of cava.lang and what else is pure. */
qn_status qn_cava__lang(qn_cava_call *call, qn_error *err);
qn_status qn_cava__lang_text(qn_cava_call *call, qn_error *err);
void *qn_cava__allocate(qn_cava_run *run, uint64_t bytes, qn_error *err);
/* Bytes of an item of an array of this type. */
size_t qn_cava__item_size(const qn_cava_program *p, qn_cava_type array);
qn_cava_type qn_cava__class_type(const qn_cava_program *p, qn_cava_class_id id);

/* A CString: its bytes are elsewhere. */
typedef struct qn_cava_text {
    qn_cava_object head;
    const char *p;
} qn_cava_text;
/* An object of a class of the plug-in, or of the library: slots. */
typedef struct qn_cava_instance {
    qn_cava_object head;
    qn_cava_slot slots[];
} qn_cava_instance;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* expr/cava/cava.h -- Cava: the language of ranking plug-ins.
 *
 *     files --lex, parse--> tree --type, emit--> register code --verify--> program
 *     program + host + limits --> run --call init(), score()...--> numbers
 *
 * A small Java: classes, methods, arrays, loops, strings of bytes; no inheritance, no
 * exceptions, no threads, nothing of the outside but what the host hands in. The library
 * (cava_library.def) is declared here as classes with native methods; cava.lang is
 * implemented here, the rest by the host, who knows documents and queries.
 *
 * What keeps a plug-in harmless: registers have one static type each and the verifier
 * holds every instruction to it; references come only from the run's own heap; indexes,
 * null and integer division are checked; every jump backwards and every call costs fuel;
 * the heap, the depth of calls and the time have limits. Each breach ends the run with an
 * error that names the plug-in's file and line.
 *
 * Lifetime   a program owns copies of all it needs. A run borrows program, host, deadline.
 * Threads    a program is immutable: any number of threads. One run, one thread.
 * Errors     compile: QN_ESYNTAX with the first diagnostic as text; all of them, with
 *            source line and caret, in the report. Run: QN_EPLUGIN. */
#ifndef QN_EXPR_CAVA_CAVA_H
#define QN_EXPR_CAVA_CAVA_H

#include "base/clock.h"
#include "base/slice.h"
#include "expr/cava/cava_natives.h"

/* Limits. Values are told in docs/reference/cava.md, which a test compares. */
enum {
    QN_CAVA_FILE_BYTES_MAX = 10240, /* of one source file */
    QN_CAVA_FILES_MAX = 5,          /* of one plug-in */
    QN_CAVA_DEPTH_MAX = 200,        /* nested expressions and statements */
    QN_CAVA_DIAGNOSTICS_MAX = 20,   /* reported by one compilation */
    QN_CAVA_CLASSES_MAX = 256,      /* of one plug-in's own */
    QN_CAVA_METHODS_MAX = 1024,
    QN_CAVA_FIELDS_MAX = 256,     /* of one class */
    QN_CAVA_ARGS_MAX = 16,        /* of one method */
    QN_CAVA_REGISTERS_MAX = 4096, /* of one method */
    QN_CAVA_CODE_MAX = 30000,     /* instructions of one method */
    QN_CAVA_CALLS_MAX = 512,      /* calls in progress */
    QN_CAVA_STACK_SLOTS = 65536,  /* registers of all of them */
};
#define QN_CAVA_HEAP_DEFAULT ((size_t)40 << 20) /* bytes of one run */
#define QN_CAVA_FUEL_DEFAULT                                                           \
    ((uint64_t)10000000) /* backward jumps and calls of one run */

/* ORDER CAVA CLASSES: the classes of the library, by their simple names. */
typedef enum qn_cava_class_id {
#define PACKAGE(name)
#define CLASS(id, name) QN_CAVA_##id,
#define ALIAS(package, id)
#define METHOD(id, arg, signature)
#include "expr/cava/cava_library.def"
#undef PACKAGE
#undef CLASS
#undef ALIAS
#undef METHOD
    QN_CAVA_CLASS_COUNT
} qn_cava_class_id;

/* ---- compiling ------------------------------------------------------------------------ */

typedef struct qn_cava_file {
    qn_slice name; /* as diagnostics show it: "scorer.cava" */
    qn_slice source;
} qn_cava_file;

/* One thing that is wrong. Lines and columns count from 1, columns in bytes. */
typedef struct qn_cava_diagnostic {
    unsigned code;
    uint32_t file; /* which of the files */
    uint32_t line, column, end_line, end_column;
    char text[192];
} qn_cava_diagnostic;

typedef struct qn_cava_report {
    qn_cava_diagnostic items[QN_CAVA_DIAGNOSTICS_MAX];
    size_t n;
    size_t left_out; /* found beyond the most that are kept */
} qn_cava_report;

typedef struct qn_cava_program qn_cava_program;

/* Compiles the files of one plug-in. On failure *out is NULL and `report` (may be NULL)
 * holds what is wrong. */
QN_MUST_CHECK qn_status qn_cava_compile(qn_alloc *alloc, const qn_cava_file *files,
                                        size_t n, QN_NULLABLE qn_cava_report *report,
                                        QN_OWNED qn_cava_program **out, qn_error *err);
void qn_cava_program_destroy(QN_OWNED QN_NULLABLE qn_cava_program *p);

/* "a.cava:3.5-3.9 [30007] no variable 'x'", the source line, a caret: appended for each. */
void qn_cava_report_print(const qn_cava_report *report, const qn_cava_file *files,
                          qn_buf *out);
/* Classes, fields, methods and instructions as text, for goldens and people. */
void qn_cava_program_dump(const qn_cava_program *p, qn_buf *out);
/* Bytes that the program holds: caches count them. */
size_t qn_cava_program_bytes(const qn_cava_program *p);

/* A method by the qualified name of its class and its signature as the library spells it:
 * "double score(OpsScoreParams)". SIZE_MAX: there is none. Static ones begin with
 * "static ". */
size_t qn_cava_find(const qn_cava_program *p, qn_slice class_name,
                    const char *signature);
/* The i-th class of the plug-in's own: its qualified name; false past the last. */
typedef struct qn_cava_class_name {
    size_t n;
    char text[256];
} qn_cava_class_name;
bool qn_cava_class_at(const qn_cava_program *p, size_t i, qn_cava_class_name *name);
/* Is the first parameter of the method an object of this class of the library? */
bool qn_cava_takes(const qn_cava_program *p, size_t method, qn_cava_class_id id);
/* The constructor without arguments; SIZE_MAX: there is none. */
size_t qn_cava_find_constructor(const qn_cava_program *p, qn_slice class_name);

/* ---- running -------------------------------------------------------------------------- */

typedef union qn_cava_slot {
    int64_t i; /* boolean and integers */
    double d;  /* float and double */
    struct qn_cava_object *r;
} qn_cava_slot;

/* Everything on the heap of a run begins with this. */
typedef struct qn_cava_object {
    uint32_t type; /* of the program */
    uint32_t n;    /* array: items; CString: bytes */
} qn_cava_object;

typedef struct qn_cava_run qn_cava_run;

/* A call of a native method. */
typedef struct qn_cava_call {
    qn_cava_run *run;
    qn_cava_native id;
    int arg;                  /* of the row of the library */
    uint32_t type;            /* of what it returns, for those that make objects */
    const qn_cava_slot *args; /* `this` first, unless it is static */
    size_t n;
    qn_cava_slot result;
} qn_cava_call;

/* Who implements the classes that are not cava.lang. */
typedef struct qn_cava_host {
    void *ctx;
    /* A failure ends the run with its text; the line is added. */
    qn_status (*call)(void *ctx, qn_cava_call *call, qn_error *err);
} qn_cava_host;

typedef struct qn_cava_limits {
    size_t heap_bytes; /* 0: the default */
    uint64_t fuel;     /* 0: the default */
    QN_NULLABLE const qn_deadline *deadline;
    uint64_t seed; /* Math.random() */
    int64_t now_ms;
} qn_cava_limits;

QN_MUST_CHECK qn_status qn_cava_run_create(qn_alloc *alloc, const qn_cava_program *p,
                                           const qn_cava_host *host,
                                           const qn_cava_limits *limits,
                                           QN_OWNED qn_cava_run **out, qn_error *err);
void qn_cava_run_destroy(QN_OWNED QN_NULLABLE qn_cava_run *run);

/* Calls method `method` of qn_cava_find(); `args` begins with `this` unless it is static.
 * QN_EPLUGIN: the plug-in failed, the text names file, line and reason; QN_ECANCELLED. */
QN_MUST_CHECK qn_status qn_cava_run_call(qn_cava_run *run, size_t method,
                                         const qn_cava_slot *args, size_t n,
                                         qn_cava_slot *result, qn_error *err);
/* A fresh object of the class: its fields, then its constructor without arguments. */
QN_MUST_CHECK qn_status qn_cava_run_new(qn_cava_run *run, qn_slice class_name,
                                        qn_cava_slot *result, qn_error *err);

typedef struct qn_cava_usage {
    uint64_t fuel;
    size_t heap_bytes;
} qn_cava_usage;
qn_cava_usage qn_cava_run_usage(const qn_cava_run *run);

/* ---- for hosts ------------------------------------------------------------------------ */

/* Room on the heap of the run; NULL when its limit is reached, with `err` filled. All
 * zeroed. `type` of arrays: that of the call. */
qn_cava_object *qn_cava_new_string(qn_cava_run *run, qn_slice bytes, qn_error *err);
/* The bytes stay the caller's, and must last as long as the run. */
qn_cava_object *qn_cava_new_view(qn_cava_run *run, qn_slice bytes, qn_error *err);
qn_cava_object *qn_cava_new_array(qn_cava_run *run, uint32_t type, uint64_t n,
                                  qn_error *err);
qn_cava_object *qn_cava_new_native(qn_cava_run *run, qn_cava_class_id id,
                                   int64_t handle, qn_error *err);
/* A multi-value of n items; those of attributes cannot be written by the plug-in. */
qn_cava_object *qn_cava_new_multi(qn_cava_run *run, qn_cava_class_id id, uint64_t n,
                                  bool writable, qn_error *err);
qn_cava_slot *qn_cava_multi_items(qn_cava_object *o);
qn_cava_object *qn_cava_new_mchar(qn_cava_run *run, qn_slice bytes, qn_error *err);
/* An object of the class that a call returns (qn_cava_call.type). */
qn_cava_object *qn_cava_new_object_of(qn_cava_run *run, uint32_t type, int64_t handle,
                                      qn_error *err);
qn_slice qn_cava_string(const qn_cava_object *o);
/* The items of an array: int8_t... double or qn_cava_object *, by its type. */
void *qn_cava_items(const qn_cava_object *o);
/* The number that qn_cava_new_native() was given. */
int64_t qn_cava_handle(const qn_cava_object *o);
double *qn_cava_payload(qn_cava_object *o); /* a second number beside the handle */
uint64_t qn_cava_random(qn_cava_run *run);
int64_t qn_cava_now_ms(const qn_cava_run *run);
/* Fuel for work of n bytes or items: what a native method does beyond a few steps. */
QN_MUST_CHECK qn_status qn_cava_charge(qn_cava_run *run, uint64_t n, qn_error *err);
/* Where the code that called the native method stands: "scorer.cava:12". */
qn_slice qn_cava_where(qn_cava_run *run, char *room, size_t size);

#endif

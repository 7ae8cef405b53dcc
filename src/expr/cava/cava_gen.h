/* SPDX-License-Identifier: Apache-2.0 */
/* cava_gen.h -- from trees to register code, types checked on the way.
 *
 * Each function of the generator returns a value: a constant that is not in a register
 * yet, or a register. Registers have one type for their whole life (integers, reals, or
 * one reference type) and are used again only for the same; constants get registers that
 * are filled once, when the method begins. */
#ifndef QN_EXPR_CAVA_GEN_H
#define QN_EXPR_CAVA_GEN_H

#include "expr/cava/cava_internal.h"

enum { QN_CAVA_NO_REGISTER = UINT16_MAX, QN_CAVA_GEN_DEPTH_MAX = 1000 };
#define QN_CAVA_NO_JUMP UINT32_MAX

typedef struct qn_cava_value {
    qn_cava_type type; /* QN_CT_ERROR: reported already */
    bool is_constant, temporary;
    uint16_t reg;
    qn_cava_slot k;
} qn_cava_value;

typedef struct qn_cava_local {
    qn_slice name;
    qn_cava_type type;
    uint16_t reg;
} qn_cava_local;

typedef struct qn_cava_pinned {
    qn_cava_type storage;
    qn_cava_slot k;
    uint16_t reg;
} qn_cava_pinned;

/* Jumps that wait for their target: the last of them; the one before is in `links`. */
typedef uint32_t qn_cava_jumps;

typedef struct qn_cava_loop {
    struct qn_cava_loop *outer;
    qn_cava_jumps breaks, continues;
    bool is_switch, broken;
} qn_cava_loop;

typedef struct qn_cava_gen {
    qn_cava_compiler *c;
    qn_cava_program *p;
    uint32_t file, class_index;
    const qn_cava_method *method; /* NULL: field initialisers */
    bool is_static;
    QN_VEC(qn_cava_step) code;
    QN_VEC(uint32_t) places;
    QN_VEC(uint32_t) links;
    QN_VEC(qn_cava_type) registers;
    QN_VEC(bool) busy;
    QN_VEC(qn_cava_local) locals;
    QN_VEC(qn_cava_pinned) pinned;
    qn_cava_loop *loop;
    unsigned depth;
    uint32_t place;
    bool too_large;
} qn_cava_gen;

/* ---- cava_gen.c: code, registers, conversions ----------------------------------------- */

uint32_t qn_cava__emit(qn_cava_gen *g, qn_cava_opcode op, unsigned a, unsigned b,
                       unsigned c);
uint16_t qn_cava__register(qn_cava_gen *g, qn_cava_type storage);
void qn_cava__release(qn_cava_gen *g, qn_cava_value v);
void qn_cava__release_register(qn_cava_gen *g, uint16_t reg);
/* `wanted` when it can hold this type, else a fresh temporary. */
uint16_t qn_cava__target(qn_cava_gen *g, uint16_t wanted, qn_cava_type type);
qn_cava_value qn_cava__in_register(qn_cava_gen *g, uint16_t reg, qn_cava_type type,
                                   uint16_t wanted);
qn_cava_value qn_cava__constant(qn_cava_type type, qn_cava_slot k);
qn_cava_value qn_cava__wrong(void);
/* Brings a constant into a register; null as `type`. */
qn_cava_value qn_cava__load(qn_cava_gen *g, qn_cava_value v, qn_cava_type type);
void qn_cava__move(qn_cava_gen *g, uint16_t to, qn_cava_value v, qn_cava_type type);
/* A copy where `later` could change the register that `v` is in. */
qn_cava_value qn_cava__stable(qn_cava_gen *g, qn_cava_value v, bool later);
void qn_cava__jump_add(qn_cava_gen *g, qn_cava_jumps *list, uint32_t jump);
void qn_cava__jumps_to(qn_cava_gen *g, qn_cava_jumps list, uint32_t target);
uint32_t qn_cava__here(const qn_cava_gen *g);

/* Does every value of `from` fit `to` without a cast? */
bool qn_cava__widens(qn_cava_type from, qn_cava_type to);
/* Emits the conversion; both are numbers, or it is none. */
qn_cava_value qn_cava__emit_convert(qn_cava_gen *g, qn_cava_value v, qn_cava_type to,
                                    uint16_t wanted);
/* As assignment does it: widening, constants that fit, double to float; else an error at
 * the node. */
qn_cava_value qn_cava__assignable(qn_cava_gen *g, qn_cava_value v, qn_cava_type to,
                                  const qn_cava_node *node, uint16_t wanted);
qn_cava_type qn_cava__promote(qn_cava_type a, qn_cava_type b);

/* ---- cava_gen_expr.c, cava_gen_call.c, cava_gen_assign.c -------------------------------- */

qn_cava_value qn_cava__gen(qn_cava_gen *g, const qn_cava_node *n, uint16_t wanted);
/* Jumps when the condition is `when`; goes on otherwise. */
void qn_cava__gen_jump(qn_cava_gen *g, const qn_cava_node *n, bool when,
                       qn_cava_jumps *list);
qn_cava_value qn_cava__gen_binary(qn_cava_gen *g, unsigned code, qn_cava_value a,
                                  qn_cava_value b, const qn_cava_node *n,
                                  uint16_t wanted);
qn_cava_value qn_cava__gen_call(qn_cava_gen *g, const qn_cava_node *n, uint16_t wanted);
qn_cava_value qn_cava__gen_new(qn_cava_gen *g, const qn_cava_node *n);
qn_cava_value qn_cava__gen_new_array(qn_cava_gen *g, const qn_cava_node *n);
qn_cava_value qn_cava__gen_list(qn_cava_gen *g, const qn_cava_node *n,
                                qn_cava_type type);
qn_cava_value qn_cava__gen_assign(qn_cava_gen *g, const qn_cava_node *n);
qn_cava_value qn_cava__gen_step(qn_cava_gen *g, const qn_cava_node *n, bool used);
void qn_cava__emit_call(qn_cava_gen *g, qn_cava_opcode op, uint16_t result,
                        uint32_t what, const uint16_t *registers, size_t n);
/* Local variable; NULL: none of that name. */
const qn_cava_local *qn_cava__find_local(const qn_cava_gen *g, qn_slice name);
/* Field of a class; SIZE_MAX: none. */
size_t qn_cava__find_field(const qn_cava_gen *g, uint32_t class_index, qn_slice name);
/* A name, with dots, that stands for a class; SIZE_MAX: it does not. */
size_t qn_cava__as_class(qn_cava_gen *g, const qn_cava_node *n);
bool qn_cava__is_array(const qn_cava_gen *g, qn_cava_type t, qn_cava_type *item);
/* Index of the class; SIZE_MAX: the type is none. */
size_t qn_cava__class_of(const qn_cava_gen *g, qn_cava_type t);
qn_cava_opcode qn_cava__load_op(qn_cava_type item);
qn_cava_opcode qn_cava__store_op(qn_cava_type item);

/* ---- cava_gen_stmt.c -------------------------------------------------------------------- */

/* False: control does not go on behind it. */
bool qn_cava__gen_statement(qn_cava_gen *g, const qn_cava_node *n);

void qn_cava__type_error(qn_cava_gen *g, const qn_cava_node *n, qn_cava_type got,
                         qn_cava_type want, const char *what);

#endif

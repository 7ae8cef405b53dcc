/* SPDX-License-Identifier: Apache-2.0 */
/* cava_gen.c -- code, registers, conversions; and all methods one after another. */
#include "expr/cava/cava_gen.h"

enum { PINNED_MAX = 48 };

typedef qn_cava_gen gen;
typedef qn_cava_value value;

/* ---- code ------------------------------------------------------------------------------- */

uint32_t qn_cava__emit(gen *g, qn_cava_opcode op, unsigned a, unsigned b, unsigned c)
{
    qn_alloc *alloc = g->c->alloc;
    qn_cava_step s = {(uint16_t)op, (uint16_t)a, (uint16_t)b, (uint16_t)c};
    if (g->code.n >= QN_CAVA_CODE_MAX) {
        if (!g->too_large)
            qn_cava__error(g->c, g->place, g->place + 1, QN_CAVA_E_LIMIT,
                           "the method is too large: more than %d instructions",
                           QN_CAVA_CODE_MAX);
        g->too_large = true;
        return 0;
    }
    if (!qn_vec_push(alloc, &g->code, s) || !qn_vec_push(alloc, &g->places, g->place) ||
        !qn_vec_push(alloc, &g->links, QN_CAVA_NO_JUMP)) {
        g->c->no_memory = true;
        return 0;
    }
    return (uint32_t)g->code.n - 1;
}

uint32_t qn_cava__here(const gen *g)
{
    return (uint32_t)g->code.n;
}

void qn_cava__jump_add(gen *g, qn_cava_jumps *list, uint32_t jump)
{
    if (g->too_large || g->c->no_memory) return;
    g->links.p[jump] = *list;
    *list = jump;
}

void qn_cava__jumps_to(gen *g, qn_cava_jumps list, uint32_t target)
{
    if (g->too_large || g->c->no_memory) return;
    while (list != QN_CAVA_NO_JUMP) {
        g->code.p[list].c = (uint16_t)(int16_t)((int32_t)target - (int32_t)list - 1);
        list = g->links.p[list];
    }
}

/* ---- registers -------------------------------------------------------------------------- */

uint16_t qn_cava__register(gen *g, qn_cava_type type)
{
    qn_cava_type storage = qn_cava__storage(type);
    for (size_t i = 0; i < g->registers.n; i++)
        if (!g->busy.p[i] && g->registers.p[i] == storage) {
            g->busy.p[i] = true;
            return (uint16_t)i;
        }
    if (g->registers.n >= QN_CAVA_REGISTERS_MAX) {
        if (!g->too_large)
            qn_cava__error(g->c, g->place, g->place + 1, QN_CAVA_E_LIMIT,
                           "the method is too large: more than %d values at once",
                           QN_CAVA_REGISTERS_MAX);
        g->too_large = true;
        return 0;
    }
    if (!qn_vec_push(g->c->alloc, &g->registers, storage) ||
        !qn_vec_push(g->c->alloc, &g->busy, true)) {
        g->c->no_memory = true;
        return 0;
    }
    return (uint16_t)(g->registers.n - 1);
}

void qn_cava__release_register(gen *g, uint16_t reg)
{
    if (reg < g->busy.n) g->busy.p[reg] = false;
}

void qn_cava__release(gen *g, value v)
{
    if (!v.is_constant && v.temporary) qn_cava__release_register(g, v.reg);
}

uint16_t qn_cava__target(gen *g, uint16_t wanted, qn_cava_type type)
{
    if (wanted < g->registers.n && g->registers.p[wanted] == qn_cava__storage(type))
        return wanted;
    return qn_cava__register(g, type);
}

value qn_cava__in_register(gen *g, uint16_t reg, qn_cava_type type, uint16_t wanted)
{
    (void)g;
    return (value){.type = type, .temporary = reg != wanted, .reg = reg};
}

value qn_cava__constant(qn_cava_type type, qn_cava_slot k)
{
    return (value){.type = type, .is_constant = true, .k = k};
}

value qn_cava__wrong(void)
{
    return (value){.type = QN_CT_ERROR, .is_constant = true};
}

static void emit_constant(gen *g, uint16_t reg, qn_cava_type storage, qn_cava_slot k)
{
    if (storage == QN_CT_LONG && k.i == (int32_t)k.i) {
        uint32_t bits = (uint32_t)(int32_t)k.i;
        (void)qn_cava__emit(g, QN_COP_INT, reg, bits & 0xFFFF, bits >> 16);
        return;
    }
    qn_cava_constant c = {storage == QN_CT_DOUBLE, k};
    size_t i = 0;
    while (i < g->p->constants.n &&
           (g->p->constants.p[i].is_real != c.is_real ||
            memcmp(&g->p->constants.p[i].value, &k, sizeof k) != 0))
        i++;
    if (i == g->p->constants.n && !qn_vec_push(g->p->alloc, &g->p->constants, c))
        g->c->no_memory = true;
    if (i > UINT16_MAX) g->too_large = true;
    (void)qn_cava__emit(g, QN_COP_CONST, reg, (unsigned)i, 0);
}

static bool pin(gen *g, qn_cava_type storage, qn_cava_slot k, uint16_t *reg)
{
    for (size_t i = 0; i < g->pinned.n; i++)
        if (g->pinned.p[i].storage == storage &&
            memcmp(&g->pinned.p[i].k, &k, sizeof k) == 0) {
            *reg = g->pinned.p[i].reg;
            return true;
        }
    if (g->pinned.n >= PINNED_MAX) return false;
    /* A register of its own: one that had other values would not hold it from the start.
     */
    if (g->registers.n >= QN_CAVA_REGISTERS_MAX) return false;
    *reg = (uint16_t)g->registers.n;
    if (!qn_vec_push(g->c->alloc, &g->registers, storage) ||
        !qn_vec_push(g->c->alloc, &g->busy, true) ||
        !qn_vec_push(g->c->alloc, &g->pinned, ((qn_cava_pinned){storage, k, *reg})))
        g->c->no_memory = true;
    return true;
}

value qn_cava__load(gen *g, value v, qn_cava_type type)
{
    if (!v.is_constant || v.type == QN_CT_ERROR) return v;
    value out = {.type = v.type == QN_CT_NULL ? type : v.type};
    if (v.type == QN_CT_NULL) {
        out.reg = qn_cava__register(g, type);
        out.temporary = true;
        (void)qn_cava__emit(g, QN_COP_NULL, out.reg, 0, 0);
        return out;
    }
    qn_cava_type storage = qn_cava__storage(v.type);
    if (pin(g, storage, v.k, &out.reg)) return out;
    out.reg = qn_cava__register(g, storage);
    out.temporary = true;
    emit_constant(g, out.reg, storage, v.k);
    return out;
}

void qn_cava__move(gen *g, uint16_t to, value v, qn_cava_type type)
{
    if (v.type == QN_CT_ERROR) return;
    if (v.is_constant && v.type == QN_CT_NULL) {
        (void)qn_cava__emit(g, QN_COP_NULL, to, 0, 0);
    } else if (v.is_constant) {
        emit_constant(g, to, qn_cava__storage(type), v.k);
    } else if (v.reg != to) {
        qn_cava_type storage = qn_cava__storage(type);
        qn_cava_opcode op = storage == QN_CT_LONG     ? QN_COP_MOVE_I
                            : storage == QN_CT_DOUBLE ? QN_COP_MOVE_D
                                                      : QN_COP_MOVE_R;
        (void)qn_cava__emit(g, op, to, v.reg, 0);
    }
}

value qn_cava__stable(gen *g, value v, bool later)
{
    if (!later || v.is_constant || v.temporary || v.type == QN_CT_ERROR) return v;
    value out = {.type = v.type, .temporary = true};
    out.reg = qn_cava__register(g, v.type);
    qn_cava__move(g, out.reg, v, v.type);
    return out;
}

/* ---- conversions ------------------------------------------------------------------------ */

void qn_cava__type_error(gen *g, const qn_cava_node *n, qn_cava_type got,
                         qn_cava_type want, const char *what)
{
    char a[96], b[96];
    if (got == QN_CT_ERROR || want == QN_CT_ERROR) return;
    qn_cava__error(g->c, n->at, n->end, QN_CAVA_E_TYPE,
                   "%s %.*s where %.*s is expected", what,
                   QN_SLICE_ARG(qn_cava__type_name(g->p, got, a, sizeof a)),
                   QN_SLICE_ARG(qn_cava__type_name(g->p, want, b, sizeof b)));
}

static unsigned bits_of(qn_cava_type t)
{
    switch (t) {
    case QN_CT_BYTE:
    case QN_CT_UBYTE:
        return 8;
    case QN_CT_SHORT:
    case QN_CT_CHAR:
    case QN_CT_USHORT:
        return 16;
    case QN_CT_INT:
    case QN_CT_UINT:
        return 32;
    default:
        return 64;
    }
}

static bool is_unsigned(qn_cava_type t)
{
    return t == QN_CT_CHAR || (t >= QN_CT_UBYTE && t <= QN_CT_ULONG);
}

bool qn_cava__widens(qn_cava_type from, qn_cava_type to)
{
    if (from == to) return true;
    if (from == QN_CT_NULL) return to >= QN_CT_FIRST;
    if (!qn_cava__is_number(from) || !qn_cava__is_number(to)) return false;
    if (to == QN_CT_DOUBLE) return true;
    if (to == QN_CT_FLOAT) return from != QN_CT_DOUBLE;
    if (!qn_cava__is_integer(from) || to == QN_CT_CHAR) return false;
    if (is_unsigned(from))
        return is_unsigned(to) ? bits_of(to) >= bits_of(from)
                               : bits_of(to) > bits_of(from);
    return !is_unsigned(to) && bits_of(to) >= bits_of(from);
}

qn_cava_type qn_cava__promote(qn_cava_type a, qn_cava_type b)
{
    static const qn_cava_type order[] = {QN_CT_DOUBLE, QN_CT_FLOAT, QN_CT_ULONG,
                                         QN_CT_LONG, QN_CT_UINT};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        if (a == order[i] || b == order[i]) return order[i];
    return QN_CT_INT;
}

static bool is_real(qn_cava_type t)
{
    return t == QN_CT_FLOAT || t == QN_CT_DOUBLE;
}

/* Real to integer: by 64 bits or 32, then into the range. */
static value from_real(gen *g, value v, qn_cava_type to, uint16_t wanted)
{
    bool wide = to == QN_CT_LONG || to == QN_CT_UINT;
    qn_cava_opcode op = to == QN_CT_ULONG ? QN_COP_D2U : wide ? QN_COP_D2L : QN_COP_D2I;
    uint16_t reg = qn_cava__target(g, wanted, to);
    (void)qn_cava__emit(g, op, reg, v.reg, 0);
    if (to != QN_CT_LONG && to != QN_CT_ULONG && to != QN_CT_INT)
        (void)qn_cava__emit(g, QN_COP_WRAP, reg, reg, to);
    return qn_cava__in_register(g, reg, to, wanted);
}

value qn_cava__emit_convert(gen *g, value v, qn_cava_type to, uint16_t wanted)
{
    if (v.type == QN_CT_ERROR || v.type == to) return v;
    if (v.type == QN_CT_NULL) return v;
    if (v.is_constant) return qn_cava__constant(to, qn_cava__convert(v.type, to, v.k));
    value out = v;
    if (is_real(v.type) && is_real(to)) {
        out.type = to;
        if (to == QN_CT_DOUBLE) return out;
        uint16_t reg = qn_cava__target(g, wanted, to);
        (void)qn_cava__emit(g, QN_COP_D2F, reg, v.reg, 0);
        out = qn_cava__in_register(g, reg, to, wanted);
    } else if (is_real(v.type)) {
        out = from_real(g, v, to, wanted);
    } else if (is_real(to)) {
        bool u = v.type == QN_CT_ULONG;
        uint16_t reg = qn_cava__target(g, wanted, to);
        (void)qn_cava__emit(g,
                            to == QN_CT_FLOAT ? u ? QN_COP_U2F : QN_COP_I2F
                            : u               ? QN_COP_U2D
                                              : QN_COP_I2D,
                            reg, v.reg, 0);
        out = qn_cava__in_register(g, reg, to, wanted);
    } else {
        out.type = to;
        if (qn_cava__widens(v.type, to) || to == QN_CT_LONG || to == QN_CT_ULONG)
            return out;
        uint16_t reg = qn_cava__target(g, wanted, to);
        (void)qn_cava__emit(g, QN_COP_WRAP, reg, v.reg, to);
        out = qn_cava__in_register(g, reg, to, wanted);
    }
    if (out.reg != v.reg) qn_cava__release(g, v);
    return out;
}

/* A constant int that the narrower type can hold. */
static bool fits(value v, qn_cava_type to)
{
    bool small = v.type == QN_CT_INT || v.type == QN_CT_SHORT || v.type == QN_CT_BYTE ||
                 v.type == QN_CT_CHAR;
    return v.is_constant && small && qn_cava__is_integer(to) &&
           qn_cava__wrap(to, v.k.i) == v.k.i && !(to == QN_CT_ULONG && v.k.i < 0);
}

value qn_cava__assignable(gen *g, value v, qn_cava_type to, const qn_cava_node *node,
                          uint16_t wanted)
{
    if (v.type == QN_CT_ERROR || to == QN_CT_ERROR) return qn_cava__wrong();
    bool narrows = v.type == QN_CT_DOUBLE && to == QN_CT_FLOAT;
    if (qn_cava__widens(v.type, to) || narrows || fits(v, to))
        return qn_cava__emit_convert(g, v, to, wanted);
    bool cast = qn_cava__is_number(v.type) && qn_cava__is_number(to);
    qn_cava__type_error(g, node, v.type, to, cast ? "a cast is needed:" : "this is");
    qn_cava__release(g, v);
    return qn_cava__wrong();
}

/* ---- methods ---------------------------------------------------------------------------- */

static void free_gen(gen *g)
{
    qn_alloc *a = g->c->alloc;
    qn_vec_deinit(a, &g->code);
    qn_vec_deinit(a, &g->places);
    qn_vec_deinit(a, &g->links);
    qn_vec_deinit(a, &g->registers);
    qn_vec_deinit(a, &g->busy);
    qn_vec_deinit(a, &g->locals);
    qn_vec_deinit(a, &g->pinned);
}

static void add_local(gen *g, qn_slice name, qn_cava_type type)
{
    qn_cava_local l = {name, type, qn_cava__register(g, type)};
    if (!qn_vec_push(g->c->alloc, &g->locals, l)) g->c->no_memory = true;
}

/* Constants in front, then the code; all of it into the program. */
static void store(gen *g, qn_cava_function *f)
{
    qn_arena *arena = &g->p->arena;
    gen front = {.c = g->c, .p = g->p, .place = g->place};
    for (size_t i = 0; i < g->pinned.n; i++)
        emit_constant(&front, g->pinned.p[i].reg, g->pinned.p[i].storage,
                      g->pinned.p[i].k);
    size_t before = front.code.n, n = before + g->code.n;
    f->code = qn_arena_array(arena, n + 1, sizeof *f->code);
    f->places = qn_arena_array(arena, n + 1, sizeof *f->places);
    f->registers = qn_arena_array(arena, g->registers.n + 1, sizeof *f->registers);
    if (f->code == NULL || f->places == NULL || f->registers == NULL) {
        g->c->no_memory = true;
    } else if (g->c->errors == 0 && !g->c->no_memory) {
        if (before > 0) {
            memcpy(f->code, front.code.p, before * sizeof *f->code);
            memcpy(f->places, front.places.p, before * sizeof *f->places);
        }
        memcpy(f->code + before, g->code.p, g->code.n * sizeof *f->code);
        memcpy(f->places + before, g->places.p, g->places.n * sizeof *f->places);
        if (g->registers.n > 0)
            memcpy(f->registers, g->registers.p, g->registers.n * sizeof *f->registers);
        f->code_count = (uint32_t)n;
        f->register_count = (uint32_t)g->registers.n;
    }
    free_gen(&front);
}

static void gen_begin(gen *g, qn_cava_compiler *c, uint32_t class_index,
                      const qn_cava_method *m)
{
    const qn_cava_class *k = &c->program->classes.p[class_index];
    *g = (gen){.c = c, .p = c->program, .class_index = class_index, .method = m};
    g->file = k->file;
    g->is_static = m != NULL && m->is_static;
    g->place = m == NULL ? k->node->at : m->node->at;
    if (!g->is_static) add_local(g, QN_SLICE_LIT("this"), k->type);
    for (uint32_t i = 0; m != NULL && i < m->arg_count; i++)
        add_local(g, m->arg_names[i], m->args[i]);
}

/* `this` and the initial values of its fields. */
static void gen_fields(qn_cava_compiler *c, uint32_t class_index, qn_cava_function *f)
{
    gen g;
    gen_begin(&g, c, class_index, NULL);
    const qn_cava_class *k = &c->program->classes.p[class_index];
    for (uint32_t i = 0; i < k->field_count; i++) {
        const qn_cava_node *n = k->fields[i].node;
        qn_cava_type t = k->fields[i].type;
        if (n->a == NULL) continue;
        g.place = n->at;
        value v = n->a->kind == N_LIST ? qn_cava__gen_list(&g, n->a, t)
                                       : qn_cava__gen(&g, n->a, QN_CAVA_NO_REGISTER);
        v = qn_cava__assignable(&g, v, t, n->a, QN_CAVA_NO_REGISTER);
        v = qn_cava__load(&g, v, t);
        if (v.type == QN_CT_ERROR) continue;
        qn_cava_type s = qn_cava__storage(t);
        (void)qn_cava__emit(&g,
                            s == QN_CT_LONG     ? QN_COP_PUT_I
                            : s == QN_CT_DOUBLE ? QN_COP_PUT_D
                                                : QN_COP_PUT_R,
                            0, i, v.reg);
        qn_cava__release(&g, v);
    }
    (void)qn_cava__emit(&g, QN_COP_RETURN, 0, 0, 0);
    (void)qn_cava__emit(&g, QN_COP_END, 0, 0, 0);
    f->arg_count = 1;
    store(&g, f);
    free_gen(&g);
}

static void gen_method(qn_cava_compiler *c, uint32_t number)
{
    /* Copies: the vectors may move while code is made. */
    qn_cava_method m = c->program->methods.p[number];
    qn_cava_function f = {.method = number, .class_index = m.class_index};
    gen g;
    gen_begin(&g, c, m.class_index, &m);
    uint32_t init = c->program->classes.p[m.class_index].init_function;
    if (m.is_constructor && init != UINT32_MAX) {
        uint16_t self = 0;
        qn_cava__emit_call(&g, QN_COP_CALL, QN_CAVA_NO_REGISTER, init, &self, 1);
    }
    bool completes = true;
    if (m.node->b != NULL) completes = qn_cava__gen_statement(&g, m.node->b);
    g.place = m.node->b != NULL ? m.node->b->end - 1 : m.node->at;
    if (completes && m.result != QN_CT_VOID && m.result != QN_CT_ERROR)
        qn_cava__error(c, g.place, g.place + 1, QN_CAVA_E_FLOW,
                       "%.*s() ends without a return", QN_SLICE_ARG(m.name));
    if (m.result == QN_CT_VOID) (void)qn_cava__emit(&g, QN_COP_RETURN, 0, 0, 0);
    (void)qn_cava__emit(&g, QN_COP_END, 0, 0, 0);
    f.arg_count = m.arg_count + !m.is_static;
    f.result = m.result;
    store(&g, &f);
    free_gen(&g);
    c->program->functions.p[m.function] = f;
}

/* Numbers for all functions first, so that calls can name those that come later. */
static void number_functions(qn_cava_compiler *c)
{
    qn_cava_program *p = c->program;
    for (uint32_t k = QN_CAVA_CLASS_COUNT; k < p->classes.n; k++) {
        qn_cava_class *class = &p->classes.p[k];
        bool init = false;
        for (uint32_t i = 0; i < class->field_count; i++)
            init = init || class->fields[i].node->a != NULL;
        if (!init) continue;
        class->init_function = (uint32_t)p->functions.n;
        qn_cava_function f = {.method = UINT32_MAX, .class_index = k};
        if (!qn_vec_push(p->alloc, &p->functions, f)) c->no_memory = true;
    }
    for (uint32_t i = 0; i < p->methods.n && !c->no_memory; i++) {
        if (p->methods.p[i].is_native) continue;
        p->methods.p[i].function = (uint32_t)p->functions.n;
        qn_cava_function f = {.method = i, .class_index = p->methods.p[i].class_index};
        if (!qn_vec_push(p->alloc, &p->functions, f)) c->no_memory = true;
    }
}

void qn_cava__generate(qn_cava_compiler *c)
{
    qn_cava_program *p = c->program;
    number_functions(c);
    for (uint32_t k = QN_CAVA_CLASS_COUNT; k < p->classes.n && !c->no_memory; k++) {
        uint32_t init = p->classes.p[k].init_function;
        if (init == UINT32_MAX) continue;
        qn_cava_function f = p->functions.p[init];
        gen_fields(c, k, &f);
        p->functions.p[init] = f;
    }
    for (uint32_t i = 0; i < p->methods.n && !c->no_memory; i++)
        if (!p->methods.p[i].is_native) gen_method(c, i);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* expr_emit.c -- nodes in their order (expr_order.c) to steps. Guards become SKIP steps
 * around what they guard. A register is given back after the last use of its value, but
 * only after the result of that use has one: no step overwrites what it reads. Constants
 * come first and keep their registers. */
#include "expr/expr_internal.h"

typedef struct emitter {
    const qn_expr *e;
    qn_alloc *alloc;
    qn_error *err;
    qn_expr__program *out;
    qn_expr__order order;
    uint32_t *last_use; /* by node: the node after which it is not needed */
    uint32_t *place;    /* by node: its place in the order */
    uint16_t *reg;      /* by node, in the file of its kind */
    QN_VEC(uint16_t) free;
    QN_VEC(uint32_t) open; /* SKIP steps whose end is not known yet */
    uint16_t guard;        /* the innermost guard that is open */
} emitter;

static const uint32_t ALWAYS = UINT32_MAX; /* a last use that never comes */

static qn_status no_memory(const emitter *m)
{
    return qn_fail(m->err, QN_ENOMEM, "expression");
}

/* last_use by place in the order, counted from 1; 0: not used. */
static void find_last_uses(emitter *m, const uint32_t *roots, size_t n)
{
    uint32_t operands[QN_EXPR__OPERANDS_MAX];
    for (uint32_t k = 0; k < m->order.count; k++) {
        uint32_t id = m->order.nodes[k];
        m->place[id] = k + 1;
        size_t count = qn_expr__operands(m->e, &m->e->nodes.p[id], operands);
        for (size_t i = 0; i < count; i++) m->last_use[operands[i]] = k + 1;
    }
    for (size_t i = 0; i < n; i++) m->last_use[roots[i]] = ALWAYS;
}

static qn_status take_register(emitter *m, char kind, uint16_t *out)
{
    qn_expr__program *p = m->out;
    if (kind != 'S' && kind != 'L' && m->free.n > 0) {
        *out = m->free.p[--m->free.n];
        return QN_OK;
    }
    uint32_t *count = kind == 'S'   ? &p->string_regs
                      : kind == 'L' ? &p->list_regs
                                    : &p->regs;
    if (*count >= UINT16_MAX)
        return qn_fail(m->err, QN_ELIMIT, "the expression needs too many registers");
    *out = (uint16_t)(*count)++;
    return QN_OK;
}

static void give_back(emitter *m, uint32_t operand, uint32_t place)
{
    const qn_expr__node *n = &m->e->nodes.p[operand];
    char kind = qn_expr__opcodes[n->op].r;
    if (m->last_use[operand] != place || qn_expr__is_constant(n) || kind == 'S' ||
        kind == 'L')
        return;
    m->last_use[operand] = 0; /* an operand used twice is given back once */
    /* Without memory for the list the register is just not used again. */
    (void)(qn_vec_push(m->alloc, &m->free, m->reg[operand]));
}

static qn_status place_constants(emitter *m)
{
    for (uint32_t id = 0; id < m->e->nodes.n; id++) {
        const qn_expr__node *n = &m->e->nodes.p[id];
        if (m->last_use[id] == 0 || !qn_expr__is_constant(n)) continue;
        char kind = qn_expr__opcodes[n->op].r;
        QN_TRY(take_register(m, kind, &m->reg[id]));
        qn_expr__constant c = {.reg = m->reg[id], .kind = kind, .bits = n->bits};
        if (kind == 'S') c.str = m->e->strings.p[n->a];
        if (!qn_vec_push(m->alloc, &m->out->constants, c)) return no_memory(m);
    }
    return QN_OK;
}

/* --- guards --- */

static qn_status add_step(emitter *m, qn_expr__step step)
{
    if (m->out->steps.n >= UINT16_MAX)
        return qn_fail(m->err, QN_ELIMIT, "the expression needs too many steps");
    return qn_vec_push(m->alloc, &m->out->steps, step) ? QN_OK : no_memory(m);
}

static void close_guard(emitter *m)
{
    uint32_t skip = m->open.p[--m->open.n];
    m->out->steps.p[skip].c = (uint16_t)m->out->steps.n;
    m->guard = m->order.guards[m->guard].parent;
}

/* Opens the guards from the open one down to `guard`, outermost first. */
static qn_status open_guards(emitter *m, uint16_t guard)
{
    while (m->guard != guard) {
        uint16_t next = guard; /* the ancestor of `guard` just under the open one */
        while (m->order.guards[next].parent != m->guard)
            next = m->order.guards[next].parent;
        const qn_expr__guard *g = &m->order.guards[next];
        if (!qn_vec_push(m->alloc, &m->open, (uint32_t)m->out->steps.n))
            return no_memory(m);
        QN_TRY(add_step(m, (qn_expr__step){.op = QN_OP_SKIP,
                                           .a = m->reg[g->condition],
                                           .b = g->wanted}));
        m->guard = next;
    }
    return QN_OK;
}

static qn_status go_under(emitter *m, uint16_t guard)
{
    uint16_t outer = qn_expr__guard_meet(&m->order, m->guard, guard);
    while (m->guard != outer) close_guard(m);
    return open_guards(m, guard);
}

/* --- nodes --- */

/* An operand field: a register, or an index as it is. */
static uint16_t field(const emitter *m, char kind, uint32_t value)
{
    if (kind == 'N') return 0;
    return kind == 'X' ? (uint16_t)value : m->reg[value];
}

static qn_status emit_call(emitter *m, const qn_expr__node *n, qn_expr__step *step)
{
    step->a = (uint16_t)m->out->args.n;
    step->b = (uint16_t)n->b;
    step->c = (uint16_t)n->c;
    if (m->out->args.n + n->b > UINT16_MAX)
        return qn_fail(m->err, QN_ELIMIT, "the expression has too many calls");
    for (uint32_t i = 0; i < n->b; i++)
        if (!qn_vec_push(m->alloc, &m->out->args, m->reg[m->e->args.p[n->a + i]]))
            return no_memory(m);
    return QN_OK;
}

static qn_status emit_node(emitter *m, uint32_t id)
{
    const qn_expr__node *n = &m->e->nodes.p[id];
    const qn_expr__opinfo *info = &qn_expr__opcodes[n->op];
    qn_expr__step step = {.op = n->op,
                          .a = field(m, info->a, n->a),
                          .b = field(m, info->b, n->b),
                          .c = field(m, info->c, n->c)};
    QN_TRY(go_under(m, m->order.guard[id]));
    if (n->op == QN_OP_CALL) QN_TRY(emit_call(m, n, &step));
    /* The right side of `or` may have been jumped over: it is looked at only where the
     * left side does not decide. */
    if (n->op == QN_OP_ORI && qn_expr__is_logical(m->e, n) &&
        m->order.guard[n->b] != m->order.guard[id]) {
        step.op = QN_OP_SELI;
        step.c = step.b;
        step.b = step.a;
    }
    QN_TRY(take_register(m, info->r, &m->reg[id]));
    step.dst = m->reg[id];
    uint32_t operands[QN_EXPR__OPERANDS_MAX];
    size_t count = qn_expr__operands(m->e, n, operands);
    for (size_t i = 0; i < count; i++) give_back(m, operands[i], m->place[id]);
    return add_step(m, step);
}

static qn_status emit_all(emitter *m, const uint32_t *roots, size_t n)
{
    find_last_uses(m, roots, n);
    QN_TRY(place_constants(m));
    for (size_t k = 0; k < m->order.count; k++) QN_TRY(emit_node(m, m->order.nodes[k]));
    QN_TRY(go_under(m, 0));
    QN_TRY(add_step(m, (qn_expr__step){.op = QN_OP_DONE}));
    for (size_t i = 0; i < n; i++)
        if (!qn_vec_push(m->alloc, &m->out->outputs, m->reg[roots[i]]))
            return no_memory(m);
    return QN_OK;
}

qn_status qn_expr__emit(const qn_expr *e, const uint32_t *roots, size_t n,
                        qn_expr__program *out, qn_error *err)
{
    *out = (qn_expr__program){0};
    emitter m = {.e = e, .alloc = e->alloc, .err = err, .out = out};
    m.last_use = qn_new_array(e->alloc, e->nodes.n + 1, sizeof *m.last_use);
    m.place = qn_new_array(e->alloc, e->nodes.n + 1, sizeof *m.place);
    m.reg = qn_new_array(e->alloc, e->nodes.n + 1, sizeof *m.reg);
    qn_status st = m.last_use == NULL || m.place == NULL || m.reg == NULL
                       ? no_memory(&m)
                       : qn_expr__order_make(e, roots, n, &m.order, err);
    if (st == QN_OK) st = emit_all(&m, roots, n);
    qn_expr__order_deinit(e->alloc, &m.order);
    qn_delete(e->alloc, m.last_use);
    qn_delete(e->alloc, m.place);
    qn_delete(e->alloc, m.reg);
    qn_vec_deinit(e->alloc, &m.free);
    qn_vec_deinit(e->alloc, &m.open);
    return st;
}

void qn_expr__program_deinit(qn_alloc *alloc, qn_expr__program *p)
{
    qn_vec_deinit(alloc, &p->steps);
    qn_vec_deinit(alloc, &p->args);
    qn_vec_deinit(alloc, &p->constants);
    qn_vec_deinit(alloc, &p->outputs);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* expr_emit.c -- nodes to steps. Operands are older than operators, so the order of the
 * nodes is an order of execution. A register is given back after the last use of its
 * value, but only after the result of that use has one: no step overwrites what it
 * reads. Constants come first and keep their registers. */
#include "expr/expr_internal.h"

typedef struct emitter {
    const qn_expr *e;
    qn_alloc *alloc;
    qn_error *err;
    qn_expr__program *out;
    uint32_t *last_use; /* by node; 0: not needed */
    uint16_t *reg;      /* by node, in the file of its kind */
    QN_VEC(uint16_t) free;
} emitter;

static const uint32_t ALWAYS = UINT32_MAX; /* a last use that never comes */

static qn_status no_memory(const emitter *m)
{
    return qn_fail(m->err, QN_ENOMEM, "expression");
}

/* Calls use() for each node that `n` reads. */
static void for_operands(emitter *m, const qn_expr__node *n, uint32_t id,
                         void (*use)(emitter *m, uint32_t operand, uint32_t user))
{
    const qn_expr__opinfo *info = &qn_expr__opcodes[n->op];
    if (n->op == QN_OP_CALL) {
        for (uint32_t i = 0; i < n->b; i++) use(m, m->e->args.p[n->a + i], id);
        return;
    }
    if (strchr("IFSL", info->a) != NULL) use(m, n->a, id);
    if (strchr("IFSL", info->b) != NULL) use(m, n->b, id);
    if (strchr("IFSL", info->c) != NULL) use(m, n->c, id);
}

static void mark_use(emitter *m, uint32_t operand, uint32_t user)
{
    if (m->last_use[operand] < user) m->last_use[operand] = user;
}

/* Backwards, so that a node is known to be needed before its operands are marked. */
static void find_last_uses(emitter *m, const uint32_t *roots, size_t n)
{
    for (size_t i = 0; i < n; i++) m->last_use[roots[i]] = ALWAYS;
    for (uint32_t id = (uint32_t)m->e->nodes.n; id-- > 0;)
        if (m->last_use[id] != 0) for_operands(m, &m->e->nodes.p[id], id, mark_use);
}

static bool is_constant(const qn_expr__node *n)
{
    return n->op == QN_OP_CONSTI || n->op == QN_OP_CONSTF || n->op == QN_OP_CONSTS;
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

static void give_back(emitter *m, uint32_t operand, uint32_t user)
{
    const qn_expr__node *n = &m->e->nodes.p[operand];
    char kind = qn_expr__opcodes[n->op].r;
    if (m->last_use[operand] != user || is_constant(n) || kind == 'S' || kind == 'L')
        return;
    m->last_use[operand] = 0; /* an operand used twice is given back once */
    /* Without memory for the list the register is just not used again. */
    (void)(qn_vec_push(m->alloc, &m->free, m->reg[operand]));
}

static qn_status place_constants(emitter *m)
{
    for (uint32_t id = 0; id < m->e->nodes.n; id++) {
        const qn_expr__node *n = &m->e->nodes.p[id];
        if (m->last_use[id] == 0 || !is_constant(n)) continue;
        char kind = qn_expr__opcodes[n->op].r;
        QN_TRY(take_register(m, kind, &m->reg[id]));
        qn_expr__constant c = {.reg = m->reg[id], .kind = kind, .bits = n->bits};
        if (kind == 'S') c.str = m->e->strings.p[n->a];
        if (!qn_vec_push(m->alloc, &m->out->constants, c)) return no_memory(m);
    }
    return QN_OK;
}

/* An operand field: a register, or an index as it is. */
static uint16_t field(const emitter *m, char kind, uint32_t value)
{
    if (kind == 'N') return 0;
    return kind == 'X' ? (uint16_t)value : m->reg[value];
}

static qn_status emit_node(emitter *m, uint32_t id)
{
    const qn_expr__node *n = &m->e->nodes.p[id];
    const qn_expr__opinfo *info = &qn_expr__opcodes[n->op];
    qn_expr__step step = {.op = n->op};
    if (n->op == QN_OP_CALL) {
        step.a = (uint16_t)m->out->args.n;
        step.b = (uint16_t)n->b;
        step.c = (uint16_t)n->c;
        if (m->out->args.n + n->b > UINT16_MAX)
            return qn_fail(m->err, QN_ELIMIT, "the expression has too many calls");
        for (uint32_t i = 0; i < n->b; i++)
            if (!qn_vec_push(m->alloc, &m->out->args, m->reg[m->e->args.p[n->a + i]]))
                return no_memory(m);
    } else {
        step.a = field(m, info->a, n->a);
        step.b = field(m, info->b, n->b);
        step.c = field(m, info->c, n->c);
    }
    QN_TRY(take_register(m, info->r, &m->reg[id]));
    step.dst = m->reg[id];
    for_operands(m, n, id, give_back);
    return qn_vec_push(m->alloc, &m->out->steps, step) ? QN_OK : no_memory(m);
}

static qn_status emit_all(emitter *m, const uint32_t *roots, size_t n)
{
    find_last_uses(m, roots, n);
    QN_TRY(place_constants(m));
    for (uint32_t id = 0; id < m->e->nodes.n; id++)
        if (m->last_use[id] != 0 && !is_constant(&m->e->nodes.p[id]))
            QN_TRY(emit_node(m, id));
    qn_expr__step done = {.op = QN_OP_DONE};
    if (!qn_vec_push(m->alloc, &m->out->steps, done)) return no_memory(m);
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
    m.reg = qn_new_array(e->alloc, e->nodes.n + 1, sizeof *m.reg);
    qn_status st =
        m.last_use == NULL || m.reg == NULL ? no_memory(&m) : emit_all(&m, roots, n);
    qn_delete(e->alloc, m.last_use);
    qn_delete(e->alloc, m.reg);
    qn_vec_deinit(e->alloc, &m.free);
    return st;
}

void qn_expr__program_deinit(qn_alloc *alloc, qn_expr__program *p)
{
    qn_vec_deinit(alloc, &p->steps);
    qn_vec_deinit(alloc, &p->args);
    qn_vec_deinit(alloc, &p->constants);
    qn_vec_deinit(alloc, &p->outputs);
}

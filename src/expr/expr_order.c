/* SPDX-License-Identifier: Apache-2.0 */
/* expr_order.c -- which nodes are computed, when, and on what condition.
 *
 * A *guard* is a condition without which nobody looks at a value: under if(c, x, y) what
 * only x needs has the guard "c", what only y needs "not c"; the right side of `and` has
 * its left side, that of `or` the contrary. Guards nest. A value that is looked at from
 * several places has what all their guards begin with, often nothing. Where a guard
 * holds for no document of a run, its steps are jumped over: what they would have
 * written is never chosen.
 *
 * Order: what comes from outside and has no guard first, so that the arithmetic stays in
 * one piece, which is what a compiler likes; then each value after the conditions of its guards
 * and its operands. */
#include "expr/expr_internal.h"

enum {
    GUARDS_MAX = 64,
    /* Guarded steps that weigh less than looking at the guard are just run. */
    WEIGHT_MIN = 8,
};

typedef struct orderer {
    const qn_expr *e;
    qn_alloc *alloc;
    qn_expr__order *out;
    uint32_t weights[GUARDS_MAX];
    bool *done; /* by node: it has its place */
    QN_VEC(uint32_t) stack;
} orderer;

bool qn_expr__is_constant(const qn_expr__node *n)
{
    return n->op == QN_OP_CONSTI || n->op == QN_OP_CONSTF || n->op == QN_OP_CONSTS;
}

static bool is_load(const qn_expr__node *n)
{
    return n->op >= QN_OP_LOADI && n->op <= QN_OP_LOADL;
}

/* Worth leaving out where nobody looks. */
static bool is_costly_load(const qn_expr *e, const qn_expr__node *n)
{
    return is_load(n) && (e->inputs.p[n->a].is_call || e->inputs.p[n->a].symbol.costly);
}

size_t qn_expr__operands(const qn_expr *e, const qn_expr__node *n, uint32_t *out)
{
    size_t count = 0;
    const qn_expr__opinfo *info = &qn_expr__opcodes[n->op];
    if (n->op == QN_OP_CALL) {
        for (uint32_t i = 0; i < n->b; i++) out[count++] = e->args.p[n->a + i];
        return count;
    }
    if (strchr("IFSL", info->a) != NULL) out[count++] = n->a;
    if (strchr("IFSL", info->b) != NULL) out[count++] = n->b;
    if (strchr("IFSL", info->c) != NULL) out[count++] = n->c;
    return count;
}

/* --- guards --- */

/* Guard `parent` and the condition; the parent itself when there are too many. */
static uint16_t guard_under(orderer *o, uint16_t parent, uint32_t condition,
                            bool wanted)
{
    qn_expr__order *out = o->out;
    for (uint16_t g = 1; g < out->guard_count; g++)
        if (out->guards[g].parent == parent && out->guards[g].condition == condition &&
            out->guards[g].wanted == wanted)
            return g;
    if (out->guard_count == GUARDS_MAX) return parent;
    out->guards[out->guard_count] = (qn_expr__guard){
        .condition = condition,
        .wanted = wanted,
        .parent = parent,
        .depth = (uint16_t)(out->guards[parent].depth + 1),
    };
    return out->guard_count++;
}

uint16_t qn_expr__guard_meet(const qn_expr__order *o, uint16_t x, uint16_t y)
{
    while (x != y)
        if (o->guards[x].depth >= o->guards[y].depth)
            x = o->guards[x].parent;
        else
            y = o->guards[y].parent;
    return x;
}

static void look_at(orderer *o, uint32_t operand, uint16_t guard)
{
    uint16_t *g = &o->out->guard[operand];
    *g = *g == QN_EXPR__UNUSED ? guard : qn_expr__guard_meet(o->out, *g, guard);
}

bool qn_expr__is_logical(const qn_expr *e, const qn_expr__node *n)
{
    return (n->op == QN_OP_ANDI || n->op == QN_OP_ORI) &&
           e->nodes.p[n->a].type == QN_EXPR_BOOL &&
           e->nodes.p[n->b].type == QN_EXPR_BOOL;
}

static void look_at_operands(orderer *o, const qn_expr__node *n, uint16_t guard)
{
    uint32_t operands[QN_EXPR__OPERANDS_MAX];
    size_t count = qn_expr__operands(o->e, n, operands);
    if (n->op == QN_OP_SELI || n->op == QN_OP_SELF) {
        look_at(o, n->a, guard);
        look_at(o, n->b, guard_under(o, guard, n->a, true));
        look_at(o, n->c, guard_under(o, guard, n->a, false));
    } else if (qn_expr__is_logical(o->e, n)) {
        look_at(o, n->a, guard);
        look_at(o, n->b, guard_under(o, guard, n->a, n->op == QN_OP_ANDI));
    } else {
        for (size_t i = 0; i < count; i++) look_at(o, operands[i], guard);
    }
}

static uint32_t weight_of(const orderer *o, const qn_expr__node *n)
{
    if (is_costly_load(o->e, n)) return 100;
    if (is_load(n) || qn_expr__is_constant(n)) return 0;
    if (n->op == QN_OP_CALL) return WEIGHT_MIN;
    return qn_expr__opcodes[n->op].pure ? 1 : 4;
}

/* Guards over too little become their parents. */
static void drop_light_guards(orderer *o)
{
    qn_expr__order *out = o->out;
    for (uint32_t id = 0; id < o->e->nodes.n; id++)
        if (out->guard[id] != QN_EXPR__UNUSED)
            o->weights[out->guard[id]] += weight_of(o, &o->e->nodes.p[id]);
    for (uint16_t g = out->guard_count; g-- > 1;)
        o->weights[out->guards[g].parent] += o->weights[g];
    uint16_t stands_for[GUARDS_MAX] = {0};
    for (uint16_t g = 1; g < out->guard_count; g++) {
        uint16_t parent = stands_for[out->guards[g].parent];
        out->guards[g].parent = parent;
        out->guards[g].depth = (uint16_t)(out->guards[parent].depth + 1);
        stands_for[g] = o->weights[g] < WEIGHT_MIN ? parent : g;
    }
    for (uint32_t id = 0; id < o->e->nodes.n; id++)
        if (out->guard[id] != QN_EXPR__UNUSED)
            out->guard[id] = stands_for[out->guard[id]];
}

static void find_guards(orderer *o, const uint32_t *roots, size_t n)
{
    qn_expr__order *out = o->out;
    for (size_t i = 0; i < n; i++) out->guard[roots[i]] = 0;
    /* Backwards: who looks at a node is known before its operands are marked. */
    for (uint32_t id = (uint32_t)o->e->nodes.n; id-- > 0;) {
        const qn_expr__node *node = &o->e->nodes.p[id];
        if (out->guard[id] == QN_EXPR__UNUSED) continue;
        if (is_load(node) && !is_costly_load(o->e, node)) out->guard[id] = 0;
        look_at_operands(o, node, out->guard[id]);
    }
    drop_light_guards(o);
}

/* --- order --- */

/* Steps that no compiled code contains: they need the caller, the machine, or bytes. */
bool qn_expr__is_numeric(uint16_t op, uint16_t function)
{
    const qn_expr__opinfo *info = &qn_expr__opcodes[op];
    if (op == QN_OP_CALL) return qn_expr__maths[function].beyond == NULL;
    return info->pure && info->a != 'S' && info->r != 'S';
}

/* What comes from outside, and what is made of nothing else. */
static bool goes_first(const orderer *o, uint32_t id)
{
    const qn_expr__node *n = &o->e->nodes.p[id];
    uint32_t operands[QN_EXPR__OPERANDS_MAX];
    if (o->out->guard[id] != 0 ||
        qn_expr__is_numeric(n->op, n->op == QN_OP_CALL ? (uint16_t)n->c : 0))
        return false;
    size_t count = qn_expr__operands(o->e, n, operands);
    for (size_t i = 0; i < count; i++)
        if (!o->done[operands[i]] && !qn_expr__is_constant(&o->e->nodes.p[operands[i]]))
            return false;
    return true;
}

static void put_first(orderer *o)
{
    qn_expr__order *out = o->out;
    for (uint32_t id = 0; id < o->e->nodes.n; id++) {
        const qn_expr__node *n = &o->e->nodes.p[id];
        if (out->guard[id] == QN_EXPR__UNUSED || qn_expr__is_constant(n) ||
            !goes_first(o, id))
            continue;
        o->done[id] = true;
        out->nodes[out->count++] = id;
    }
}

static bool push(orderer *o, uint32_t id)
{
    return o->done[id] || qn_expr__is_constant(&o->e->nodes.p[id]) ||
           qn_vec_push(o->alloc, &o->stack, id);
}

/* What a node waits for: the conditions of its guards, outermost first, then its operands.
 * A condition never waits for what it guards: that would be looked at without it. */
static bool push_awaited(orderer *o, uint32_t id)
{
    uint32_t operands[QN_EXPR__OPERANDS_MAX];
    size_t count = qn_expr__operands(o->e, &o->e->nodes.p[id], operands);
    bool fine = true;
    while (count > 0) fine &= push(o, operands[--count]);
    for (uint16_t g = o->out->guard[id]; g != 0; g = o->out->guards[g].parent)
        fine &= push(o, o->out->guards[g].condition);
    return fine;
}

/* Depth first: a node stays on the stack until what it waits for is done. */
static bool put_after_awaited(orderer *o, uint32_t root)
{
    bool fine = push(o, root);
    while (fine && o->stack.n > 0) {
        uint32_t id = o->stack.p[o->stack.n - 1];
        size_t before = o->stack.n;
        if (!o->done[id]) fine = push_awaited(o, id);
        if (o->stack.n > before) continue;
        o->stack.n--;
        if (o->done[id]) continue;
        o->done[id] = true;
        o->out->nodes[o->out->count++] = id;
    }
    return fine;
}

qn_status qn_expr__order_make(const qn_expr *e, const uint32_t *roots, size_t n,
                              qn_expr__order *out, qn_error *err)
{
    size_t count = e->nodes.n + 1;
    *out = (qn_expr__order){.guard_count = 1};
    orderer o = {.e = e, .alloc = e->alloc, .out = out};
    o.done = qn_new_array(e->alloc, count, sizeof *o.done);
    out->guard = qn_new_array(e->alloc, count, sizeof *out->guard);
    out->nodes = qn_new_array(e->alloc, count, sizeof *out->nodes);
    out->guards = qn_new_array(e->alloc, GUARDS_MAX, sizeof *out->guards);
    bool fine = o.done != NULL && out->guard != NULL && out->nodes != NULL &&
                out->guards != NULL;
    if (fine) {
        for (size_t i = 0; i < e->nodes.n; i++) out->guard[i] = QN_EXPR__UNUSED;
        find_guards(&o, roots, n);
        put_first(&o);
        for (size_t i = 0; fine && i < n; i++) fine = put_after_awaited(&o, roots[i]);
    }
    qn_vec_deinit(e->alloc, &o.stack);
    qn_delete(e->alloc, o.done);
    return fine ? QN_OK : qn_fail(err, QN_ENOMEM, "expression");
}

void qn_expr__order_deinit(qn_alloc *alloc, qn_expr__order *o)
{
    qn_delete(alloc, o->guard);
    qn_delete(alloc, o->nodes);
    qn_delete(alloc, o->guards);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* cava_gen_stmt.c -- statements. Each says whether control can go on behind it, by the
 * rules of Java (15.28, 14.22): constants count, other values do not. */
#include "expr/cava/cava_gen.h"

typedef qn_cava_gen gen;
typedef qn_cava_value value;
typedef qn_cava_node node;
typedef qn_cava_loop loop;

enum { NONE = QN_CAVA_NO_REGISTER };

static void leave_scope(gen *g, size_t mark)
{
    while (g->locals.n > mark)
        qn_cava__release_register(g, g->locals.p[--g->locals.n].reg);
}

static void declare_local(gen *g, const node *n, const node *d)
{
    qn_cava_type t = qn_cava__resolve_type(g->c, g->file, n->type);
    for (uint64_t i = 0; i < d->bits && t != QN_CT_ERROR; i++)
        t = qn_cava__array_of(g->c, t);
    if (t == QN_CT_VOID) {
        qn_cava__error(g->c, d->at, d->end, QN_CAVA_E_TYPE,
                       "a variable cannot be void");
        t = QN_CT_ERROR;
    }
    if (qn_cava__find_local(g, d->text) != NULL)
        qn_cava__error(g->c, d->at, d->end, QN_CAVA_E_TWICE,
                       "variable '%.*s' is declared twice", QN_SLICE_ARG(d->text));
    uint16_t reg = qn_cava__register(g, t);
    value zero =
        qn_cava__constant(t >= QN_CT_FIRST ? QN_CT_NULL : t, (qn_cava_slot){.i = 0});
    if (t == QN_CT_FLOAT || t == QN_CT_DOUBLE) zero.k.d = 0;
    if (d->a == NULL) {
        if (t != QN_CT_ERROR) qn_cava__move(g, reg, zero, t);
    } else {
        value v = d->a->kind == N_LIST ? qn_cava__gen_list(g, d->a, t)
                                       : qn_cava__gen(g, d->a, reg);
        v = qn_cava__assignable(g, v, t, d->a, reg);
        qn_cava__move(g, reg, v, t);
        qn_cava__release(g, v);
    }
    qn_cava_local l = {d->text, t, reg};
    if (!qn_vec_push(g->c->alloc, &g->locals, l)) g->c->no_memory = true;
}

/* 1 true, 0 false, -1 not known while compiling. */
static int constant_condition(const node *n)
{
    if (n == NULL) return 1;
    if (n->kind == N_LITERAL && n->token->kind == T_KEYWORD)
        return n->token->code == K_true ? 1 : n->token->code == K_false ? 0 : -1;
    if (n->kind == N_UNARY && n->code == P_NOT) {
        int inner = constant_condition(n->a);
        return inner < 0 ? -1 : 1 - inner;
    }
    return -1;
}

static void go(gen *g, qn_cava_jumps *list)
{
    qn_cava__jump_add(g, list, qn_cava__emit(g, QN_COP_JMP, 0, 0, 0));
}

static bool if_statement(gen *g, const node *n)
{
    qn_cava_jumps otherwise = QN_CAVA_NO_JUMP, end = QN_CAVA_NO_JUMP;
    qn_cava__gen_jump(g, n->a, false, &otherwise);
    bool first = qn_cava__gen_statement(g, n->b);
    if (n->c == NULL) {
        qn_cava__jumps_to(g, otherwise, qn_cava__here(g));
        return true;
    }
    if (first) go(g, &end);
    qn_cava__jumps_to(g, otherwise, qn_cava__here(g));
    bool second = qn_cava__gen_statement(g, n->c);
    qn_cava__jumps_to(g, end, qn_cava__here(g));
    return first || second;
}

/* Body, what follows each round, and the condition at the end: one jump a round. */
static bool loop_body(gen *g, const node *n, bool test_first)
{
    qn_cava_jumps test = QN_CAVA_NO_JUMP, back = QN_CAVA_NO_JUMP;
    loop l = {
        .outer = g->loop, .breaks = QN_CAVA_NO_JUMP, .continues = QN_CAVA_NO_JUMP};
    int condition = constant_condition(n->b);
    if (test_first && condition != 1) go(g, &test);
    g->loop = &l;
    uint32_t begin = qn_cava__here(g);
    bool completes = n->d == NULL || qn_cava__gen_statement(g, n->d);
    bool continued = l.continues != QN_CAVA_NO_JUMP;
    qn_cava__jumps_to(g, l.continues, qn_cava__here(g));
    g->loop = l.outer;
    for (const node *u = n->c; u != NULL; u = u->next)
        (void)qn_cava__gen_statement(g, u);
    qn_cava__jumps_to(g, test, qn_cava__here(g));
    if (n->b == NULL)
        go(g, &back);
    else
        qn_cava__gen_jump(g, n->b, true, &back);
    qn_cava__jumps_to(g, back, begin);
    qn_cava__jumps_to(g, l.breaks, qn_cava__here(g));
    if (l.broken) return true;
    return test_first ? condition != 1 : condition != 1 && (completes || continued);
}

static bool for_statement(gen *g, const node *n)
{
    size_t mark = g->locals.n;
    for (const node *i = n->a; i != NULL; i = i->next)
        (void)qn_cava__gen_statement(g, i);
    bool completes = loop_body(g, n, true);
    leave_scope(g, mark);
    return completes;
}

/* ---- switch ----------------------------------------------------------------------------- */

static bool constant_of(gen *g, const node *n, qn_cava_type type, int64_t *out)
{
    value v = qn_cava__gen(g, n, NONE);
    if (v.type == QN_CT_ERROR) return false;
    if (!v.is_constant || !qn_cava__is_integer(v.type) || v.type == QN_CT_LONG ||
        qn_cava__wrap(type, v.k.i) != v.k.i) {
        qn_cava__error(g->c, n->at, n->end, QN_CAVA_E_TYPE,
                       "a case is a constant that fits the value of the switch");
        return false;
    }
    *out = v.k.i;
    return true;
}

static bool duplicate(gen *g, const node *first, const node *c, int64_t k)
{
    for (const node *o = first; o != c; o = o->next)
        if (o->a != NULL && o->bits == (uint64_t)k && o->code != 0) {
            qn_cava__error(g->c, c->at, c->end, QN_CAVA_E_TWICE,
                           "this case is there twice");
            return true;
        }
    return false;
}

/* A comparison for each case, then the bodies one after another. */
static bool switch_statement(gen *g, const node *n)
{
    size_t mark = g->locals.n, count = 0;
    loop l = {.outer = g->loop,
              .is_switch = true,
              .breaks = QN_CAVA_NO_JUMP,
              .continues = QN_CAVA_NO_JUMP};
    value v = qn_cava__gen(g, n->a, NONE);
    if (v.type != QN_CT_ERROR && (!qn_cava__is_integer(v.type) ||
                                  v.type == QN_CT_LONG || v.type == QN_CT_ULONG)) {
        qn_cava__type_error(g, n->a, v.type, QN_CT_INT, "this is");
        v = qn_cava__wrong();
    }
    qn_cava_type type = v.type;
    v = qn_cava__load(g, qn_cava__stable(g, v, true), type);
    for (const node *c = n->b; c != NULL; c = c->next) count++;
    qn_cava_jumps *entries = qn_arena_array(&g->c->arena, count + 1, sizeof *entries);
    if (entries == NULL) {
        g->c->no_memory = true;
        return true;
    }
    bool has_default = false;
    size_t i = 0;
    for (qn_cava_node *c = n->b; c != NULL; c = c->next, i++) {
        int64_t k = 0;
        entries[i] = QN_CAVA_NO_JUMP;
        if (c->a == NULL) {
            if (has_default)
                qn_cava__error(g->c, c->at, c->end, QN_CAVA_E_TWICE,
                               "'default' is there twice");
            has_default = true;
            continue;
        }
        if (type == QN_CT_ERROR || !constant_of(g, c->a, type, &k) ||
            duplicate(g, n->b, c, k))
            continue;
        c->bits = (uint64_t)k;
        c->code = 1;
        value want = qn_cava__load(
            g, qn_cava__constant(QN_CT_INT, (qn_cava_slot){.i = k}), QN_CT_INT);
        qn_cava__jump_add(g, &entries[i],
                          qn_cava__emit(g, QN_COP_JEQ_I, v.reg, want.reg, 0));
        qn_cava__release(g, want);
    }
    qn_cava_jumps otherwise = QN_CAVA_NO_JUMP;
    go(g, &otherwise);
    g->loop = &l;
    bool completes = true;
    i = 0;
    for (const node *c = n->b; c != NULL; c = c->next, i++) {
        qn_cava__jumps_to(g, entries[i], qn_cava__here(g));
        if (c->a == NULL) qn_cava__jumps_to(g, otherwise, qn_cava__here(g));
        completes = true;
        for (const node *s = c->b; s != NULL; s = s->next)
            completes = qn_cava__gen_statement(g, s) && completes;
    }
    g->loop = l.outer;
    /* `continue` in a switch is the loop's. */
    while (l.continues != QN_CAVA_NO_JUMP && l.outer != NULL && !g->too_large &&
           !g->c->no_memory) {
        qn_cava_jumps next = g->links.p[l.continues];
        loop *target = l.outer;
        qn_cava__jump_add(g, &target->continues, l.continues);
        l.continues = next;
    }
    if (!has_default) qn_cava__jumps_to(g, otherwise, qn_cava__here(g));
    qn_cava__jumps_to(g, l.breaks, qn_cava__here(g));
    qn_cava__release(g, v);
    leave_scope(g, mark);
    return completes || l.broken || !has_default;
}

/* ---- the others ------------------------------------------------------------------------- */

static bool jump_statement(gen *g, const node *n)
{
    bool is_break = n->kind == N_BREAK, in_loop = false;
    for (const loop *l = g->loop; l != NULL; l = l->outer)
        in_loop = in_loop || !l->is_switch;
    if (g->loop == NULL || (!is_break && !in_loop)) {
        qn_cava__error(g->c, n->at, n->end, QN_CAVA_E_FLOW, "'%s' outside of a loop",
                       is_break ? "break" : "continue");
        return true;
    }
    go(g, is_break ? &g->loop->breaks : &g->loop->continues);
    if (is_break) g->loop->broken = true;
    return false;
}

static bool return_statement(gen *g, const node *n)
{
    qn_cava_type want = g->method == NULL ? QN_CT_VOID : g->method->result;
    if (n->a == NULL) {
        if (want != QN_CT_VOID && want != QN_CT_ERROR)
            qn_cava__error(g->c, n->at, n->end, QN_CAVA_E_TYPE,
                           "a value is to be returned");
        (void)qn_cava__emit(g, QN_COP_RETURN, 0, 0, 0);
        return false;
    }
    value v = qn_cava__gen(g, n->a, NONE);
    if (want == QN_CT_VOID) {
        qn_cava__error(g->c, n->a->at, n->a->end, QN_CAVA_E_TYPE,
                       "a void method returns no value");
        return false;
    }
    v = qn_cava__load(g, qn_cava__assignable(g, v, want, n->a, NONE), want);
    if (v.type == QN_CT_ERROR) return false;
    qn_cava_type s = qn_cava__storage(want);
    (void)qn_cava__emit(g,
                        s == QN_CT_LONG     ? QN_COP_RETURN_I
                        : s == QN_CT_DOUBLE ? QN_COP_RETURN_D
                                            : QN_COP_RETURN_R,
                        v.reg, 0, 0);
    qn_cava__release(g, v);
    return false;
}

static bool block(gen *g, const node *n)
{
    size_t mark = g->locals.n;
    bool completes = true;
    for (const node *s = n->a; s != NULL; s = s->next)
        completes = qn_cava__gen_statement(g, s) && completes;
    leave_scope(g, mark);
    return completes;
}

static bool statement(gen *g, const node *n)
{
    switch (n->kind) {
    case N_BLOCK:
        return block(g, n);
    case N_LOCAL:
        for (const node *d = n->a; d != NULL; d = d->next) declare_local(g, n, d);
        return true;
    case N_IF:
        return if_statement(g, n);
    case N_FOR:
        return for_statement(g, n);
    case N_WHILE:
        return loop_body(g, n, true);
    case N_DO:
        return loop_body(g, n, false);
    case N_SWITCH:
        return switch_statement(g, n);
    case N_BREAK:
    case N_CONTINUE:
        return jump_statement(g, n);
    case N_RETURN:
        return return_statement(g, n);
    case N_EXPR: {
        bool step = n->a->kind == N_PREFIX || n->a->kind == N_POSTFIX;
        qn_cava__release(g, step ? qn_cava__gen_step(g, n->a, false)
                                 : qn_cava__gen(g, n->a, NONE));
        return true;
    }
    default:
        return true;
    }
}

bool qn_cava__gen_statement(gen *g, const node *n)
{
    if (g->c->no_memory || g->too_large) return true;
    g->place = n->at;
    /* A branch that is a declaration alone is its own scope. */
    return statement(g, n);
}

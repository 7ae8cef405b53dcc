/* SPDX-License-Identifier: Apache-2.0 */
/* expr_parts.c -- the sub-expressions of an expression, for the trace. */
#include "expr/expr_internal.h"

/* A node to be visited, and the part that it stands in. */
typedef struct left {
    uint32_t node, parent;
    bool in_sum; /* that part is a sum */
} left;

/* A sum of thousands of terms is as deep: a stack of its own. */
typedef struct walk {
    const qn_expr *e;
    QN_VEC(left) stack;
    bool failed;
} walk;

static void push(walk *w, uint32_t node, uint32_t parent, bool in_sum)
{
    const qn_expr__syntax *s = &w->e->tree.nodes.p[node];
    bool value = !s->unevaluated && s->kind != QN_SYN_NUMBER &&
                 s->kind != QN_SYN_STRING && s->kind != QN_SYN_BOOL;
    if (!value) return;
    left later = {node, parent, in_sum};
    if (!qn_vec_push(w->e->alloc, &w->stack, later)) w->failed = true;
}

static bool is_sum(const qn_expr__syntax *s)
{
    return s->kind == QN_SYN_BINARY && (s->op == QN_EX_ADD || s->op == QN_EX_SUB);
}

/* Last first, so that the first comes off the stack first. */
static void push_children(walk *w, const qn_expr__syntax *s, uint32_t self)
{
    switch (s->kind) {
    case QN_SYN_BINARY:
        push(w, s->b, self, is_sum(s));
        push(w, s->a, self, is_sum(s));
        break;
    case QN_SYN_UNARY:
    case QN_SYN_IN:
        push(w, s->a, self, false);
        break;
    case QN_SYN_CALL:
        for (uint32_t i = s->list_size; i-- > 0;)
            push(w, w->e->tree.kids.p[s->list + i], self, false);
        break;
    default:
        break;
    }
}

size_t qn_expr_parts(const qn_expr *e, qn_expr_part *out, size_t most)
{
    walk w = {.e = e};
    size_t n = 0;
    push(&w, e->tree.root, UINT32_MAX, false);
    while (w.stack.n > 0 && n < most && !w.failed) {
        left top = w.stack.p[--w.stack.n];
        const qn_expr__syntax *s = &e->tree.nodes.p[top.node];
        if (top.in_sum && is_sum(s)) { /* a + b + c is one sum of three */
            push_children(&w, s, top.parent);
            continue;
        }
        out[n] = (qn_expr_part){{e->text.p + s->begin, (size_t)(s->limit - s->begin)},
                                top.parent};
        push_children(&w, s, (uint32_t)n++);
    }
    qn_vec_deinit(e->alloc, &w.stack);
    return n;
}

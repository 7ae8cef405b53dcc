/* SPDX-License-Identifier: Apache-2.0 */
/* expr_dump.c -- an expression as text: tree, steps, HA3's normalised spelling. Trees
 * are walked with a stack of their own, as a sum of thousands of terms is as deep. */
#include "expr/expr_internal.h"

/* A piece of work left: text, a set or a node to print when its time comes. */
typedef struct piece {
    const char *text; /* NULL: the number below */
    uint32_t node;
    bool is_set;
} piece;

typedef struct printer {
    const qn_expr *e;
    qn_buf *out;
    QN_VEC(piece) stack; /* the top is printed next */
} printer;

static void push_text(printer *p, const char *text)
{
    if (!qn_vec_push(p->e->alloc, &p->stack, ((piece){.text = text})))
        p->out->failed = true;
}

static void push_node(printer *p, uint32_t node)
{
    if (!qn_vec_push(p->e->alloc, &p->stack, ((piece){.node = node})))
        p->out->failed = true;
}

static void add_quoted(qn_buf *out, qn_slice s)
{
    qn_buf_add_char(out, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\') qn_buf_add_char(out, '\\');
        qn_buf_add_char(out, s.p[i]);
    }
    qn_buf_add_char(out, '"');
}

/* --- typed tree --- */

static void add_bits(qn_buf *out, uint16_t op, uint8_t type, uint64_t bits)
{
    double f;
    memcpy(&f, &bits, sizeof f);
    if (op == QN_OP_CONSTF && f != f)
        qn_buf_add_str(out, "nan");
    else if (op == QN_OP_CONSTF)
        qn_buf_printf(out, "%.17g", f);
    else if (type == QN_EXPR_UINT64)
        qn_buf_printf(out, "%llu", (unsigned long long)bits);
    else
        qn_buf_printf(out, "%lld", (long long)bits);
}

static void add_set(qn_buf *out, const qn_expr__set *set)
{
    qn_buf_add_char(out, '{');
    for (size_t i = 0; i < set->n; i++) {
        if (i > 0) qn_buf_add_char(out, ' ');
        if (set->kind == 'I') qn_buf_printf(out, "%lld", (long long)set->of.i64[i]);
        if (set->kind == 'F') qn_buf_printf(out, "%.17g", set->of.f64[i]);
        if (set->kind == 'S') add_quoted(out, set->of.str[i]);
    }
    qn_buf_add_char(out, '}');
}

static void run_printer(printer *p, uint32_t root, void (*node)(printer *, uint32_t))
{
    push_node(p, root);
    while (p->stack.n > 0 && !p->out->failed) {
        piece top = p->stack.p[--p->stack.n];
        if (top.text != NULL)
            qn_buf_add_str(p->out, top.text);
        else if (top.is_set)
            add_set(p->out, &p->e->sets.p[top.node]);
        else
            node(p, top.node);
    }
    qn_vec_deinit(p->e->alloc, &p->stack);
}

static bool is_load(uint16_t op)
{
    return op >= QN_OP_LOADI && op <= QN_OP_LOADL;
}

static bool takes_set(uint16_t op)
{
    return op >= QN_OP_INI && op <= QN_OP_ANYINS;
}

/* Prints the head now and leaves operands and the closing for the stack, last first. */
static void print_node(printer *p, uint32_t id)
{
    const qn_expr__node *n = &p->e->nodes.p[id];
    const qn_expr__opinfo *info = &qn_expr__opcodes[n->op];
    if (n->op == QN_OP_CONSTI || n->op == QN_OP_CONSTF) {
        add_bits(p->out, n->op, n->type, n->bits);
        return;
    }
    if (n->op == QN_OP_CONSTS) {
        add_quoted(p->out, p->e->strings.p[n->a]);
        return;
    }
    if (is_load(n->op)) {
        qn_buf_printf(p->out, "%.*s", QN_SLICE_ARG(p->e->inputs.p[n->a].text));
        return;
    }
    qn_buf_printf(p->out, "(%s",
                  n->op == QN_OP_CALL ? qn_expr__maths[n->c].name : info->text);
    push_text(p, ")");
    if (n->op == QN_OP_CALL) {
        for (uint32_t i = n->b; i-- > 0;) {
            push_node(p, p->e->args.p[n->a + i]);
            push_text(p, " ");
        }
        return;
    }
    if (takes_set(n->op)) {
        if (!qn_vec_push(p->e->alloc, &p->stack,
                         ((piece){.node = n->b, .is_set = true})))
            p->out->failed = true;
        push_text(p, " ");
    }
    const char kinds[3] = {info->a, info->b, info->c};
    const uint32_t operands[3] = {n->a, n->b, n->c};
    for (size_t i = 3; i-- > 0;) {
        if (strchr("IFSL", kinds[i]) == NULL) continue;
        push_node(p, operands[i]);
        push_text(p, " ");
    }
}

void qn_expr_dump(const qn_expr *e, qn_buf *out)
{
    printer p = {.e = e, .out = out};
    run_printer(&p, e->root, print_node);
}

/* --- steps --- */

static void list_constants(const qn_expr *e, qn_buf *out)
{
    for (size_t i = 0; i < e->program.constants.n; i++) {
        const qn_expr__constant *c = &e->program.constants.p[i];
        qn_buf_printf(out, "      %c%u = ", c->kind == 'S' ? 's' : 'r', c->reg);
        if (c->kind == 'S')
            add_quoted(out, c->str);
        else
            add_bits(out, c->kind == 'F' ? QN_OP_CONSTF : QN_OP_CONSTI, QN_EXPR_INT64,
                     c->bits);
        qn_buf_add_char(out, '\n');
    }
}

static void add_register(qn_buf *out, char kind, uint16_t r)
{
    qn_buf_printf(out, "%c%u", kind == 'S' ? 's' : kind == 'L' ? 'l' : 'r', r);
}

static void list_step(const qn_expr *e, size_t index, qn_buf *out)
{
    const qn_expr__step *s = &e->program.steps.p[index];
    const qn_expr__opinfo *info = &qn_expr__opcodes[s->op];
    qn_buf_printf(out, "%4zu  ", index);
    if (info->r != 'N') {
        add_register(out, info->r, s->dst);
        qn_buf_add_str(out, " = ");
    }
    qn_buf_add_str(out, s->op == QN_OP_CALL ? qn_expr__maths[s->c].name : info->text);
    if (s->op == QN_OP_CALL)
        for (size_t i = 0; i < s->b; i++) {
            qn_buf_add_char(out, ' ');
            add_register(out, 'F', e->program.args.p[s->a + i]);
        }
    const char kinds[3] = {info->a, info->b, info->c};
    const uint16_t operands[3] = {s->a, s->b, s->c};
    for (size_t i = 0; i < 3; i++) {
        if (strchr("IFSL", kinds[i]) == NULL) continue;
        qn_buf_add_char(out, ' ');
        add_register(out, kinds[i], operands[i]);
    }
    if (s->op == QN_OP_SKIP) qn_buf_printf(out, " %u to %u", s->b, s->c);
    if (is_load(s->op))
        qn_buf_printf(out, " %.*s", QN_SLICE_ARG(e->inputs.p[s->a].text));
    if (takes_set(s->op)) {
        qn_buf_add_char(out, ' ');
        add_set(out, &e->sets.p[s->b]);
    }
    qn_buf_add_char(out, '\n');
}

void qn_expr_list_steps(const qn_expr *e, qn_buf *out)
{
    list_constants(e, out);
    for (size_t i = 0; i < e->program.steps.n; i++) list_step(e, i, out);
    qn_buf_printf(out, "      result ");
    add_register(out, e->nodes.p[e->root].type == QN_EXPR_STRING ? 'S' : 'I',
                 e->program.outputs.p[0]);
    qn_buf_add_char(out, '\n');
}

/* --- normalised source --- */

/* ORDER OPERATORS: HA3's spelling where it has one. */
static const char *const spellings[] = {
    " OR ", " AND ", "|", "^", "&", "=",  "!=", "<", "<=",   ">",
    ">=",   "+",     "-", "*", "/", "**", "-",  "!", " in ", " not in ",
};

static void print_literal(printer *p, const qn_expr__syntax *s)
{
    if (s->kind == QN_SYN_STRING)
        add_quoted(p->out, s->text);
    else if (s->kind == QN_SYN_BOOL)
        qn_buf_add_str(p->out, s->i64 != 0 ? "true" : "false");
    else if (s->kind == QN_SYN_NAME)
        qn_buf_add_slice(p->out, s->text);
    else /* a number keeps the spelling of the source */
        qn_buf_add_slice(p->out,
                         (qn_slice){p->e->text.p + s->begin, s->limit - s->begin});
}

static void push_list(printer *p, const qn_expr__syntax *s, const char *separator)
{
    for (uint32_t i = s->list_size; i-- > 0;) {
        push_node(p, p->e->tree.kids.p[s->list + i]);
        if (i > 0) push_text(p, separator);
    }
}

static void print_syntax(printer *p, uint32_t id)
{
    const qn_expr__syntax *s = &p->e->tree.nodes.p[id];
    switch (s->kind) {
    case QN_SYN_BINARY:
        qn_buf_add_char(p->out, '(');
        push_text(p, ")");
        push_node(p, s->b);
        push_text(p, spellings[s->op]);
        push_node(p, s->a);
        break;
    case QN_SYN_UNARY:
        qn_buf_add_str(p->out, spellings[s->op]);
        push_node(p, s->a);
        break;
    case QN_SYN_IN:
        qn_buf_add_char(p->out, '(');
        push_text(p, "))");
        push_list(p, s, ",");
        push_text(p, "(");
        push_text(p, spellings[s->op]);
        push_node(p, s->a);
        break;
    case QN_SYN_CALL:
        qn_buf_printf(p->out, "%.*s(", QN_SLICE_ARG(s->text));
        push_text(p, ")");
        push_list(p, s, " , ");
        break;
    default:
        print_literal(p, s);
        break;
    }
}

void qn_expr_normalized(const qn_expr *e, qn_buf *out)
{
    printer p = {.e = e, .out = out};
    run_printer(&p, e->tree.root, print_syntax);
}

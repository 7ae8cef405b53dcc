/* SPDX-License-Identifier: Apache-2.0 */
/* expr_parse.c -- text to syntax tree, by precedence climbing.
 *
 * Loosest to tightest; all binary operators group to the left, except ** and ?:
 *
 *   formula   ?:  or  and  |  ^  &  == !=  < <= > >= in  + -  * /  **  unary - !
 *   strict    OR  AND  = != < <= > >= in   |  ^  &  + -  * /  unary !
 *
 * The formula's order is that of C. The strict dialects follow HA3's grammar, in which
 * a comparison is never an operand of arithmetic: `a & 1 = 0` is (a & 1) = 0. There a
 * minus belongs to a number only, and AND, OR and ! take conditions only. */
#include "expr/expr_internal.h"
#include "expr/expr_lex.h"

typedef struct parser {
    qn_alloc *alloc;
    qn_expr__lexer lexer;
    qn_expr__token token; /* the next one, not yet taken */
    bool strict;
    unsigned depth;
    size_t last_limit; /* end of the token taken last */
    qn_expr__tree *tree;
    QN_VEC(uint32_t) pending; /* arguments of calls not yet closed */
} parser;

/* An operand: its node, and where it begins with its parentheses. */
typedef struct operand {
    uint32_t node, begin;
} operand;

static qn_status parse_expression(parser *p, operand *out);

static qn_status advance(parser *p)
{
    p->last_limit = p->token.limit;
    return qn_expr__lex(&p->lexer, &p->token);
}

static bool at_mark(const parser *p, char mark)
{
    return p->token.kind == QN_TOK_MARK && p->token.mark == mark;
}

static bool at_word(const parser *p, const char *lower, const char *upper)
{
    return p->token.kind == QN_TOK_NAME && (qn_slice_eq_str(p->token.text, lower) ||
                                            qn_slice_eq_str(p->token.text, upper));
}

/* "expected <wanted>, found <the next token>" */
static qn_status unexpected(const parser *p, const char *wanted)
{
    const qn_expr__token *t = &p->token;
    if (t->kind == QN_TOK_END)
        return qn_fail_at(p->lexer.err, QN_ESYNTAX, t->begin,
                          "expected %s, found the end", wanted);
    size_t n = t->limit - t->begin > 40 ? 40 : t->limit - t->begin;
    return qn_fail_at(p->lexer.err, QN_ESYNTAX, t->begin, "expected %s, found '%.*s'",
                      wanted, (int)n, p->lexer.text.p + t->begin);
}

static qn_status expect_mark(parser *p, char mark, const char *wanted)
{
    if (!at_mark(p, mark)) return unexpected(p, wanted);
    return advance(p);
}

static qn_status enter(parser *p, size_t at)
{
    if (p->depth >= QN_EXPR_DEPTH_MAX)
        return qn_fail_at(p->lexer.err, QN_ELIMIT, at, "nested deeper than %d levels",
                          QN_EXPR_DEPTH_MAX);
    p->depth++;
    return QN_OK;
}

static qn_status add_node(parser *p, qn_expr__syntax n, uint32_t *out)
{
    if (p->tree->nodes.n >= QN_EXPR_NODES_MAX)
        return qn_fail_at(p->lexer.err, QN_ELIMIT, n.at,
                          "more than %d operands and operators", QN_EXPR_NODES_MAX);
    if (!qn_vec_push(p->alloc, &p->tree->nodes, n))
        return qn_fail(p->lexer.err, QN_ENOMEM, "expression");
    *out = (uint32_t)(p->tree->nodes.n - 1);
    return QN_OK;
}

static qn_expr__category category_of(const parser *p, uint32_t node)
{
    return p->tree->nodes.p[node].category;
}

/* --- operands --- */

static qn_status parse_number(parser *p, size_t begin, bool negative, operand *out)
{
    const qn_expr__token *t = &p->token;
    qn_expr__syntax n = {.kind = QN_SYN_NUMBER,
                         .type = t->type,
                         .begin = (uint32_t)begin,
                         .at = (uint32_t)begin,
                         .limit = (uint32_t)t->limit};
    if (qn_expr__type_is_float(t->type)) {
        n.f64 = negative ? -t->f64 : t->f64;
    } else if (!negative) {
        n.i64 = (int64_t)t->magnitude;
    } else if (t->magnitude <= (uint64_t)INT64_MAX + 1) {
        n.i64 = (int64_t)(0 - t->magnitude);
        if (t->type == QN_EXPR_UINT64) n.type = QN_EXPR_INT64;
    } else {
        n.type = QN_EXPR_DOUBLE;
        n.f64 = -(double)t->magnitude;
    }
    out->begin = n.begin;
    QN_TRY(add_node(p, n, &out->node));
    return advance(p);
}

/* list = [ expression { "," expression } ] close; the opening mark is taken. */
static qn_status parse_list(parser *p, char close, const char *wanted,
                            qn_expr__syntax *n)
{
    size_t base = p->pending.n;
    while (!at_mark(p, close)) {
        if (p->pending.n > base) QN_TRY(expect_mark(p, ',', wanted));
        operand item;
        QN_TRY(parse_expression(p, &item));
        if (p->pending.n - base >= QN_EXPR_ARGS_MAX)
            return qn_fail_at(p->lexer.err, QN_ELIMIT, item.begin,
                              "a list of more than %d values", QN_EXPR_ARGS_MAX);
        if (!qn_vec_push(p->alloc, &p->pending, item.node))
            return qn_fail(p->lexer.err, QN_ENOMEM, "expression");
    }
    QN_TRY(advance(p));
    n->list = (uint32_t)p->tree->kids.n;
    n->list_size = (uint32_t)(p->pending.n - base);
    for (size_t i = base; i < p->pending.n; i++)
        if (!qn_vec_push(p->alloc, &p->tree->kids, p->pending.p[i]))
            return qn_fail(p->lexer.err, QN_ENOMEM, "expression");
    p->pending.n = base;
    return QN_OK;
}

/* name = NAME | "true" | "false" | NAME "(" list */
static qn_status parse_name(parser *p, operand *out)
{
    qn_expr__token t = p->token;
    qn_expr__syntax n = {.kind = QN_SYN_NAME,
                         .text = t.text,
                         .begin = (uint32_t)t.begin,
                         .at = (uint32_t)t.begin,
                         .limit = (uint32_t)t.limit};
    QN_TRY(advance(p));
    if (at_mark(p, '(')) {
        QN_TRY(enter(p, p->token.begin));
        QN_TRY(advance(p));
        QN_TRY(parse_list(p, ')', "',' or ')'", &n));
        p->depth--;
        n.kind = QN_SYN_CALL;
        n.category = QN_CAT_EITHER;
        n.limit = (uint32_t)p->last_limit;
    } else if (qn_slice_eq_str(t.text, "true") || qn_slice_eq_str(t.text, "false")) {
        n.kind = QN_SYN_BOOL;
        n.type = QN_EXPR_BOOL;
        n.category = QN_CAT_EITHER;
        n.i64 = t.text.n == 4;
    }
    out->begin = n.begin;
    return add_node(p, n, &out->node);
}

static qn_status parse_primary(parser *p, operand *out)
{
    const qn_expr__token t = p->token;
    if (t.kind == QN_TOK_NUMBER) return parse_number(p, t.begin, false, out);
    if (t.kind == QN_TOK_NAME) return parse_name(p, out);
    if (t.kind == QN_TOK_STRING) {
        qn_expr__syntax n = {.kind = QN_SYN_STRING,
                             .type = QN_EXPR_STRING,
                             .text = t.text,
                             .begin = (uint32_t)t.begin,
                             .at = (uint32_t)t.begin,
                             .limit = (uint32_t)t.limit};
        out->begin = n.begin;
        QN_TRY(add_node(p, n, &out->node));
        return advance(p);
    }
    if (!at_mark(p, '(')) return unexpected(p, "a value");
    QN_TRY(enter(p, t.begin));
    QN_TRY(advance(p));
    QN_TRY(parse_expression(p, out));
    if (!at_mark(p, ')')) {
        if (p->token.kind == QN_TOK_END)
            return qn_fail_at(p->lexer.err, QN_ESYNTAX, t.begin,
                              "the parenthesis is not closed");
        return unexpected(p, "')' or an operator");
    }
    p->depth--;
    out->begin = (uint32_t)t.begin;
    return advance(p);
}

/* unary = ["-" | "!"] unary | primary */
static qn_status parse_unary(parser *p, operand *out)
{
    bool minus = at_mark(p, '-');
    if (!minus && !at_mark(p, '!')) return parse_primary(p, out);
    size_t at = p->token.begin;
    QN_TRY(enter(p, at));
    QN_TRY(advance(p));
    operand inner;
    if (minus && p->token.kind == QN_TOK_NUMBER) {
        p->depth--;
        return parse_number(p, at, true, out);
    }
    if (minus && p->strict)
        return qn_fail_at(p->lexer.err, QN_ESYNTAX, at,
                          "a minus sign goes before a number only; write 0-x");
    QN_TRY(parse_unary(p, &inner));
    p->depth--;
    if (p->strict && category_of(p, inner.node) == QN_CAT_VALUE)
        return qn_fail_at(p->lexer.err, QN_ESYNTAX, inner.begin,
                          "'!' takes a condition, not a value");
    qn_expr__syntax n = {.kind = QN_SYN_UNARY,
                         .op = minus ? QN_EX_NEG : QN_EX_NOT,
                         .category = minus ? QN_CAT_VALUE : QN_CAT_CONDITION,
                         .a = inner.node,
                         .begin = (uint32_t)at,
                         .at = (uint32_t)at,
                         .limit = (uint32_t)p->last_limit};
    out->begin = n.begin;
    return add_node(p, n, &out->node);
}

/* --- operators --- */

typedef struct precedence {
    uint8_t formula, strict; /* 0: not an operator there */
} precedence;

/* ORDER OPERATORS */
static const precedence precedences[] = {
    [QN_EX_OR] = {1, 1},      [QN_EX_AND] = {2, 2},     [QN_EX_BIT_OR] = {3, 4},
    [QN_EX_BIT_XOR] = {4, 5}, [QN_EX_BIT_AND] = {5, 6}, [QN_EX_EQ] = {6, 3},
    [QN_EX_NE] = {6, 3},      [QN_EX_LT] = {7, 3},      [QN_EX_LE] = {7, 3},
    [QN_EX_GT] = {7, 3},      [QN_EX_GE] = {7, 3},      [QN_EX_IN] = {7, 3},
    [QN_EX_NOT_IN] = {7, 3},  [QN_EX_ADD] = {8, 7},     [QN_EX_SUB] = {8, 7},
    [QN_EX_MUL] = {9, 8},     [QN_EX_DIV] = {9, 8},     [QN_EX_POW] = {10, 0},
};

/* The binary operator at the next token; false when there is none. */
static bool binary_at(const parser *p, qn_expr__operator *op, unsigned *level)
{
    static const struct {
        qn_expr__token_kind kind;
        char mark;
        qn_expr__operator op;
    } rows[] = {
        {QN_TOK_OR, 0, QN_EX_OR},         {QN_TOK_AND, 0, QN_EX_AND},
        {QN_TOK_MARK, '|', QN_EX_BIT_OR}, {QN_TOK_MARK, '^', QN_EX_BIT_XOR},
        {QN_TOK_EQ, 0, QN_EX_EQ},         {QN_TOK_MARK, '&', QN_EX_BIT_AND},
        {QN_TOK_NE, 0, QN_EX_NE},         {QN_TOK_MARK, '<', QN_EX_LT},
        {QN_TOK_LE, 0, QN_EX_LE},         {QN_TOK_MARK, '>', QN_EX_GT},
        {QN_TOK_GE, 0, QN_EX_GE},         {QN_TOK_MARK, '+', QN_EX_ADD},
        {QN_TOK_POW, 0, QN_EX_POW},       {QN_TOK_MARK, '-', QN_EX_SUB},
        {QN_TOK_MARK, '*', QN_EX_MUL},    {QN_TOK_MARK, '/', QN_EX_DIV},
    };
    bool found = false;
    for (size_t i = 0; i < sizeof rows / sizeof *rows && !found; i++) {
        found = p->token.kind == rows[i].kind &&
                (rows[i].kind != QN_TOK_MARK || p->token.mark == rows[i].mark);
        if (found) *op = rows[i].op;
    }
    if (!found && at_word(p, "in", "IN")) found = true, *op = QN_EX_IN;
    if (!found && at_word(p, "not", "NOT")) found = true, *op = QN_EX_NOT_IN;
    if (!found) return false;
    *level = p->strict ? precedences[*op].strict : precedences[*op].formula;
    return *level != 0;
}

/* The strict grammar: which side of `op` may be a condition. */
static qn_status check_operand(const parser *p, qn_expr__operator op, operand side)
{
    if (!p->strict) return QN_OK;
    qn_expr__category c = category_of(p, side.node);
    bool logical = op == QN_EX_AND || op == QN_EX_OR;
    if (logical && c == QN_CAT_VALUE)
        return qn_fail_at(p->lexer.err, QN_ESYNTAX, side.begin,
                          "AND and OR take conditions, such as a=1, not values");
    if (!logical && c == QN_CAT_CONDITION)
        return qn_fail_at(p->lexer.err, QN_ESYNTAX, side.begin,
                          "a condition cannot be an operand here");
    return QN_OK;
}

/* in = ["not"] "in" ("(" list | "[" list); the word is the next token. */
static qn_status parse_in(parser *p, qn_expr__operator op, operand *left)
{
    qn_expr__syntax n = {.kind = QN_SYN_IN,
                         .op = op,
                         .category = QN_CAT_CONDITION,
                         .a = left->node,
                         .begin = left->begin,
                         .at = (uint32_t)p->token.begin};
    QN_TRY(check_operand(p, op, *left));
    QN_TRY(advance(p));
    if (op == QN_EX_NOT_IN) {
        if (!at_word(p, "in", "IN")) return unexpected(p, "'in' after 'not'");
        QN_TRY(advance(p));
    }
    bool square = at_mark(p, '[');
    if (!square && !at_mark(p, '(')) return unexpected(p, "'(' or '['");
    QN_TRY(enter(p, p->token.begin));
    QN_TRY(advance(p));
    QN_TRY(parse_list(p, square ? ']' : ')', square ? "',' or ']'" : "',' or ')'", &n));
    p->depth--;
    if (n.list_size == 0)
        return qn_fail_at(p->lexer.err, QN_ESYNTAX, n.at, "'in' needs a value");
    n.limit = (uint32_t)p->last_limit;
    return add_node(p, n, &left->node);
}

/* binary = unary { operator binary-of-a-tighter-level } */
static qn_status parse_binary(parser *p, unsigned level_min, operand *left)
{
    QN_TRY(parse_unary(p, left));
    qn_expr__operator op;
    unsigned level;
    while (binary_at(p, &op, &level) && level >= level_min) {
        if (op == QN_EX_IN || op == QN_EX_NOT_IN) {
            QN_TRY(parse_in(p, op, left));
            continue;
        }
        size_t at = p->token.begin;
        operand right;
        QN_TRY(check_operand(p, op, *left));
        /* Tighter levels are few; only ** can call itself on its own level. */
        if (op == QN_EX_POW) QN_TRY(enter(p, at));
        QN_TRY(advance(p));
        QN_TRY(parse_binary(p, op == QN_EX_POW ? level : level + 1, &right));
        if (op == QN_EX_POW) p->depth--;
        QN_TRY(check_operand(p, op, right));
        bool condition =
            op == QN_EX_AND || op == QN_EX_OR || (op >= QN_EX_EQ && op <= QN_EX_GE);
        qn_expr__syntax n = {.kind = QN_SYN_BINARY,
                             .op = op,
                             .category = condition ? QN_CAT_CONDITION : QN_CAT_VALUE,
                             .a = left->node,
                             .b = right.node,
                             .begin = left->begin,
                             .at = (uint32_t)at,
                             .limit = (uint32_t)p->last_limit};
        QN_TRY(add_node(p, n, &left->node));
    }
    return QN_OK;
}

/* expression = binary [ "?" expression ":" expression ] */
static qn_status parse_expression(parser *p, operand *out)
{
    QN_TRY(parse_binary(p, 1, out));
    if (p->strict || !at_mark(p, '?')) return QN_OK;
    qn_expr__syntax n = {.kind = QN_SYN_CALL,
                         .text = QN_SLICE_LIT("if"),
                         .category = QN_CAT_EITHER,
                         .begin = out->begin,
                         .at = (uint32_t)p->token.begin,
                         .list_size = 3};
    operand yes, no;
    QN_TRY(enter(p, n.at));
    QN_TRY(advance(p));
    QN_TRY(parse_expression(p, &yes));
    QN_TRY(expect_mark(p, ':', "':'"));
    QN_TRY(parse_expression(p, &no));
    p->depth--;
    n.limit = (uint32_t)p->last_limit;
    n.list = (uint32_t)p->tree->kids.n;
    if (!qn_vec_push(p->alloc, &p->tree->kids, out->node) ||
        !qn_vec_push(p->alloc, &p->tree->kids, yes.node) ||
        !qn_vec_push(p->alloc, &p->tree->kids, no.node))
        return qn_fail(p->lexer.err, QN_ENOMEM, "expression");
    return add_node(p, n, &out->node);
}

static qn_status parse_all(parser *p)
{
    operand root;
    QN_TRY(advance(p));
    if (p->token.kind == QN_TOK_END)
        return qn_fail_at(p->lexer.err, QN_ESYNTAX, 0, "the expression is empty");
    QN_TRY(parse_expression(p, &root));
    if (p->token.kind != QN_TOK_END) return unexpected(p, "an operator or the end");
    p->tree->root = root.node;
    return QN_OK;
}

qn_status qn_expr__parse(qn_alloc *alloc, qn_arena *arena, qn_expr_dialect dialect,
                         qn_slice text, qn_expr__tree *out, qn_error *err)
{
    *out = (qn_expr__tree){.root = QN_EXPR__NONE};
    if (text.n > QN_EXPR_TEXT_MAX)
        return qn_fail_at(err, QN_ELIMIT, QN_EXPR_TEXT_MAX,
                          "an expression of %zu bytes, at most %d", text.n,
                          QN_EXPR_TEXT_MAX);
    bool strict = dialect != QN_EXPR_FORMULA;
    parser p = {.alloc = alloc, .strict = strict, .tree = out};
    p.lexer =
        (qn_expr__lexer){.text = text, .strict = strict, .arena = arena, .err = err};
    qn_status st = parse_all(&p);
    qn_vec_deinit(alloc, &p.pending);
    return st;
}

void qn_expr__tree_deinit(qn_alloc *alloc, qn_expr__tree *t)
{
    qn_vec_deinit(alloc, &t->nodes);
    qn_vec_deinit(alloc, &t->kids);
}

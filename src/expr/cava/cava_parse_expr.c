/* SPDX-License-Identifier: Apache-2.0 */
/* cava_parse_expr.c -- expressions: precedence climbing over Java's table. */
#include "expr/cava/cava_internal.h"

typedef qn_cava_parser parser;
typedef qn_cava_node node;

static node *unary(parser *p);

static node *finish(parser *p, node *n)
{
    n->end = p->t[-1].end;
    n->effects = n->effects || (n->a != NULL && n->a->effects) ||
                 (n->b != NULL && n->b->effects) || (n->c != NULL && n->c->effects);
    return n;
}

/* What stands where an expression was expected. */
static node *nothing(parser *p)
{
    qn_cava__expected(p, "an expression");
    return qn_cava__node(p, N_EMPTY, p->t->at);
}

/* ---- primaries -------------------------------------------------------------------------- */

/* arguments = "(" [ expression { "," expression } ] ")" */
static node *arguments(parser *p, bool *effects)
{
    node *first = NULL, **link = &first;
    qn_cava__expect(p, P_OPEN);
    if (p->panic || qn_cava__accept(p, P_CLOSE)) return NULL;
    do {
        *link = qn_cava__expression(p);
        *effects = *effects || (*link)->effects;
        link = &(*link)->next;
    } while (!p->panic && qn_cava__accept(p, P_COMMA));
    qn_cava__expect(p, P_CLOSE);
    return first;
}

/* list = "{" [ item { "," item } [","] ] "}" */
static node *list(parser *p)
{
    node *n = qn_cava__node(p, N_LIST, p->t->at), **link = &n->a;
    qn_cava__expect(p, P_BRACE);
    while (!p->panic && !qn_cava__is(p, P_END_BRACE)) {
        *link = qn_cava__expression(p);
        n->effects = n->effects || (*link)->effects;
        link = &(*link)->next;
        if (!qn_cava__accept(p, P_COMMA)) break;
    }
    qn_cava__expect(p, P_END_BRACE);
    n->end = p->t[-1].end;
    return n;
}

/* new = "new" type ( arguments | "[" expression "]" {"[" "]"} | "[" "]"... list ) */
static node *creation(parser *p)
{
    node *n = qn_cava__node(p, N_NEW, p->t->at);
    p->t++;
    n->type = qn_cava__type(p, false);
    if (!qn_cava__is(p, P_BRACKET)) {
        n->b = arguments(p, &n->effects);
        n->end = p->t[-1].end;
        return n;
    }
    n->kind = N_NEW_ARRAY;
    p->t++;
    if (!qn_cava__is(p, P_END_BRACKET)) n->a = qn_cava__expression(p);
    qn_cava__expect(p, P_END_BRACKET);
    while (!p->panic && qn_cava__is(p, P_BRACKET)) {
        p->t++;
        if (!qn_cava__is(p, P_END_BRACKET)) {
            if (!p->panic)
                qn_cava__error(p->c, p->t->at, p->t->end, QN_CAVA_E_UNSUPPORTED,
                               "one length: make the inner arrays in a loop");
            p->panic = true;
            return n;
        }
        p->t++;
        n->bits++;
    }
    if (n->a == NULL) {
        if (!qn_cava__is(p, P_BRACE))
            qn_cava__expected(p, "the length or the items");
        else
            n->b = list(p);
    }
    return finish(p, n);
}

static node *literal(parser *p)
{
    node *n = qn_cava__node(p, N_LITERAL, p->t->at);
    n->token = p->t++;
    return n;
}

static node *primary(parser *p)
{
    const qn_cava_token *t = p->t;
    if (t->kind == T_INT || t->kind == T_FLOAT || t->kind == T_CHAR ||
        t->kind == T_STRING)
        return literal(p);
    if (t->kind == T_NAME) {
        node *n = qn_cava__node(p, N_NAME, t->at);
        n->text = t->text;
        p->t++;
        if (!qn_cava__is(p, P_OPEN)) return n;
        n->kind = N_CALL;
        n->b = arguments(p, &n->effects);
        n->end = p->t[-1].end;
        return n;
    }
    if (t->kind == T_KEYWORD) switch (t->code) {
        case K_true:
        case K_false:
        case K_null:
        case K_this:
            return literal(p);
        case K_new:
            return creation(p);
        default:
            return nothing(p);
        }
    if (qn_cava__is(p, P_BRACE)) return list(p);
    if (!qn_cava__accept(p, P_OPEN)) return nothing(p);
    node *inner = qn_cava__expression(p);
    qn_cava__expect(p, P_CLOSE);
    return inner;
}

/* postfix = primary { "." NAME [arguments] | "[" expression "]" | "++" | "--" } */
static node *postfix(parser *p)
{
    node *n = primary(p);
    while (!p->panic) {
        node *outer = NULL;
        uint32_t at = n->at;
        if (qn_cava__accept(p, P_DOT)) {
            outer = qn_cava__node(p, N_DOT, at);
            outer->a = n;
            if (p->t->kind != T_NAME) {
                qn_cava__expected(p, "a name");
                return outer;
            }
            outer->text = p->t->text;
            p->t++;
            if (qn_cava__is(p, P_OPEN)) {
                outer->kind = N_CALL;
                outer->b = arguments(p, &outer->effects);
            }
        } else if (qn_cava__accept(p, P_BRACKET)) {
            outer = qn_cava__node(p, N_INDEX, at);
            outer->a = n;
            outer->b = qn_cava__expression(p);
            qn_cava__expect(p, P_END_BRACKET);
        } else if (qn_cava__is(p, P_INC) || qn_cava__is(p, P_DEC)) {
            outer = qn_cava__node(p, N_POSTFIX, at);
            outer->code = p->t->code;
            outer->effects = true;
            outer->a = n;
            p->t++;
        } else {
            return n;
        }
        n = finish(p, outer);
    }
    return n;
}

/* ---- casts and unary operators ---------------------------------------------------------- */

static bool punct_at(const qn_cava_token *t, qn_cava_punct code)
{
    return t->kind == T_PUNCT && t->code == code;
}

/* "(" type ")" in front of something that a cast can stand before. */
static bool cast_ahead(const parser *p)
{
    if (!qn_cava__is(p, P_OPEN)) return false;
    const qn_cava_token *t = p->t + 1;
    bool primitive =
        t->kind == T_KEYWORD && t->code >= K_boolean && t->code <= K_double;
    if (!primitive && t->kind != T_NAME) return false;
    for (t++; !primitive && punct_at(t, P_DOT) && t[1].kind == T_NAME;) t += 2;
    while (punct_at(t, P_BRACKET) && punct_at(t + 1, P_END_BRACKET)) t += 2;
    if (!punct_at(t, P_CLOSE)) return false;
    if (primitive) return true;
    t++;
    if (t->kind == T_KEYWORD)
        return t->code == K_new || t->code == K_null || t->code == K_this ||
               t->code == K_true || t->code == K_false;
    return t->kind == T_NAME || t->kind == T_INT || t->kind == T_FLOAT ||
           t->kind == T_CHAR || t->kind == T_STRING || punct_at(t, P_OPEN) ||
           punct_at(t, P_NOT) || punct_at(t, P_TILDE);
}

static node *unary_here(parser *p)
{
    uint32_t at = p->t->at;
    if (cast_ahead(p)) {
        p->t++;
        node *n = qn_cava__node(p, N_CAST, at);
        n->type = qn_cava__type(p, true);
        qn_cava__expect(p, P_CLOSE);
        n->a = unary(p);
        return finish(p, n);
    }
    bool step = qn_cava__is(p, P_INC) || qn_cava__is(p, P_DEC);
    bool sign = qn_cava__is(p, P_ADD) || qn_cava__is(p, P_SUB) ||
                qn_cava__is(p, P_NOT) || qn_cava__is(p, P_TILDE);
    if (!step && !sign) return postfix(p);
    node *n = qn_cava__node(p, step ? N_PREFIX : N_UNARY, at);
    n->code = p->t->code;
    n->effects = step;
    p->t++;
    n->a = unary(p);
    return finish(p, n);
}

static node *unary(parser *p)
{
    if (!qn_cava__deeper(p)) return qn_cava__node(p, N_EMPTY, p->t->at);
    node *n = unary_here(p);
    p->depth--;
    return n;
}

/* ---- binary operators ------------------------------------------------------------------- */

/* Tightest 10; 0: no binary operator. */
static unsigned strength(const parser *p)
{
    if (p->t->kind != T_PUNCT) return 0;
    switch (p->t->code) {
    case P_MUL:
    case P_DIV:
    case P_REM:
        return 10;
    case P_ADD:
    case P_SUB:
        return 9;
    case P_SHL:
    case P_SHR:
    case P_USHR:
        return 8;
    case P_LT:
    case P_LE:
    case P_GT:
    case P_GE:
        return 7;
    case P_EQ:
    case P_NE:
        return 6;
    case P_AND:
        return 5;
    case P_XOR:
        return 4;
    case P_OR:
        return 3;
    case P_ANDAND:
        return 2;
    case P_OROR:
        return 1;
    default:
        return 0;
    }
}

static node *binary(parser *p, unsigned least)
{
    node *left = unary(p);
    for (unsigned s; !p->panic && (s = strength(p)) >= least && s > 0;) {
        node *n = qn_cava__node(p, N_BINARY, left->at);
        n->code = p->t->code;
        p->t++;
        n->a = left;
        n->b = binary(p, s + 1);
        left = finish(p, n);
    }
    return left;
}

/* choice = binary [ "?" expression ":" choice ] */
static node *choice(parser *p)
{
    node *n = binary(p, 1);
    if (p->panic || !qn_cava__accept(p, P_QUESTION)) return n;
    node *outer = qn_cava__node(p, N_CHOICE, n->at);
    if (!qn_cava__deeper(p)) return n;
    outer->a = n;
    outer->b = qn_cava__expression(p);
    qn_cava__expect(p, P_COLON);
    outer->c = p->panic ? qn_cava__node(p, N_EMPTY, n->at) : choice(p);
    p->depth--;
    return finish(p, outer);
}

/* expression = choice [ assignment-operator expression ] */
node *qn_cava__expression(parser *p)
{
    if (!qn_cava__deeper(p)) return qn_cava__node(p, N_EMPTY, p->t->at);
    node *n = choice(p);
    bool assigns =
        p->t->kind == T_PUNCT &&
        (p->t->code == P_SET || (p->t->code >= P_ADD_SET && p->t->code <= P_XOR_SET) ||
         p->t->code <= P_SHR_SET);
    if (assigns && !p->panic) {
        node *outer = qn_cava__node(p, N_ASSIGN, n->at);
        outer->code = p->t->code;
        outer->effects = true;
        p->t++;
        outer->a = n;
        outer->b = qn_cava__expression(p);
        n = finish(p, outer);
    }
    p->depth--;
    return n;
}

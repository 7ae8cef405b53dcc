/* SPDX-License-Identifier: Apache-2.0 */
/* cava_parse.c -- tokens to trees: declarations and statements. Expressions are in
 * cava_parse_expr.c.
 *
 * After an error the parser skips to the next statement or member and goes on, so one
 * compilation reports several. Grammar rules stand above their functions. */
#include "expr/cava/cava_internal.h"

typedef qn_cava_parser parser;
typedef qn_cava_node node;

/* ---- helpers ---------------------------------------------------------------------------- */

node *qn_cava__node(parser *p, qn_cava_node_kind kind, uint32_t at)
{
    static node none; /* out of memory: the compilation fails before it is looked at */
    node *n = qn_arena_new(&p->c->arena, sizeof *n);
    if (n == NULL) {
        p->c->no_memory = true;
        none = (node){.kind = N_EMPTY};
        return &none;
    }
    n->kind = (uint8_t)kind;
    n->at = at;
    n->end = p->t->end;
    return n;
}

bool qn_cava__is(const parser *p, qn_cava_punct code)
{
    return p->t->kind == T_PUNCT && p->t->code == code;
}

static bool is_keyword(const parser *p, qn_cava_keyword code)
{
    return p->t->kind == T_KEYWORD && p->t->code == code;
}

static void advance(parser *p)
{
    if (p->t->kind != T_END) p->t++;
}

bool qn_cava__accept(parser *p, qn_cava_punct code)
{
    if (!qn_cava__is(p, code)) return false;
    advance(p);
    return true;
}

static bool accept_keyword(parser *p, qn_cava_keyword code)
{
    if (!is_keyword(p, code)) return false;
    advance(p);
    return true;
}

static const char *const unsupported[] = {
    [K_try] = "exceptions",        [K_catch] = "exceptions",
    [K_throw] = "exceptions",      [K_finally] = "exceptions",
    [K_throws] = "exceptions",     [K_interface] = "interfaces",
    [K_implements] = "interfaces", [K_extends] = "inheritance",
    [K_super] = "inheritance",     [K_abstract] = "inheritance",
    [K_enum] = "enumerations",     [K_goto] = "goto",
    [K_instanceof] = "instanceof", [K_synchronized] = "threads",
};

void qn_cava__expected(parser *p, const char *what)
{
    if (p->panic) return;
    p->panic = true;
    const qn_cava_token *t = p->t;
    const char *missing = NULL;
    if (t->kind == T_KEYWORD && t->code < sizeof unsupported / sizeof *unsupported)
        missing = unsupported[t->code];
    if (missing != NULL)
        qn_cava__error(p->c, t->at, t->end, QN_CAVA_E_UNSUPPORTED,
                       "'%s': Cava has no %s", qn_cava__keyword(t->code), missing);
    else if (t->kind == T_END)
        qn_cava__error(p->c, t->at, t->end, QN_CAVA_E_SYNTAX,
                       "%s is expected, the file ends here", what);
    else
        qn_cava__error(p->c, t->at, t->end, QN_CAVA_E_SYNTAX, "%s is expected here",
                       what);
}

void qn_cava__expect(parser *p, qn_cava_punct code)
{
    char what[8];
    if (qn_cava__accept(p, code)) return;
    const char *text = qn_cava__punct(code);
    size_t n = strlen(text);
    what[0] = '\'';
    memcpy(what + 1, text, n);
    memcpy(what + 1 + n, "'", 2);
    qn_cava__expected(p, what);
}

bool qn_cava__deeper(parser *p)
{
    if (p->depth < QN_CAVA_DEPTH_MAX) {
        p->depth++;
        return true;
    }
    if (!p->panic)
        qn_cava__error(p->c, p->t->at, p->t->end, QN_CAVA_E_DEPTH,
                       "nested more than %d deep", QN_CAVA_DEPTH_MAX);
    p->panic = true;
    return false;
}

static qn_slice expect_name(parser *p, const char *what)
{
    if (p->t->kind != T_NAME) {
        qn_cava__expected(p, what);
        return QN_SLICE_LIT("?");
    }
    qn_slice name = p->t->text;
    advance(p);
    return name;
}

/* Past the next `;` of this level, or to a brace. */
static void recover(parser *p)
{
    unsigned depth = 0;
    while (p->t->kind != T_END) {
        if (depth == 0 && qn_cava__is(p, P_END_BRACE)) break;
        if (qn_cava__is(p, P_BRACE)) depth++;
        if (qn_cava__is(p, P_END_BRACE) && --depth == 0) {
            advance(p);
            break;
        }
        if (depth == 0 && qn_cava__is(p, P_SEMICOLON)) {
            advance(p);
            break;
        }
        advance(p);
    }
    p->panic = false;
}

/* ---- types ------------------------------------------------------------------------------ */

static bool is_primitive(const qn_cava_token *t)
{
    return t->kind == T_KEYWORD && t->code >= K_boolean && t->code <= K_double;
}

/* name = NAME { "." NAME } */
static qn_slice dotted(parser *p, const char *what)
{
    qn_slice first = expect_name(p, what), last = first;
    while (qn_cava__is(p, P_DOT) && p->t[1].kind == T_NAME) {
        advance(p);
        last = p->t->text;
        advance(p);
    }
    return (qn_slice){first.p, (size_t)(last.p + last.n - first.p)};
}

/* type = ("int" | ... | name) { "[" "]" } */
node *qn_cava__type(parser *p, bool with_dims)
{
    node *n = qn_cava__node(p, N_TYPE, p->t->at);
    if (is_primitive(p->t) || is_keyword(p, K_void)) {
        n->code = p->t->code;
        advance(p);
    } else {
        n->text = dotted(p, "a type");
    }
    n->end = p->t[-1].end;
    while (with_dims && qn_cava__is(p, P_BRACKET) && p->t[1].kind == T_PUNCT &&
           p->t[1].code == P_END_BRACKET) {
        p->t += 2;
        n->bits++;
    }
    if (qn_cava__is(p, P_LT) && p->t[1].kind == T_NAME && n->code == 0 && with_dims &&
        p->t[2].kind == T_PUNCT && p->t[2].code == P_GT) {
        qn_cava__error(p->c, p->t->at, p->t->end, QN_CAVA_E_UNSUPPORTED,
                       "Cava has no generic types");
        p->panic = true;
    }
    return n;
}

bool qn_cava__type_ahead(const parser *p)
{
    const qn_cava_token *t = p->t;
    if (is_primitive(t)) return !(t[1].kind == T_PUNCT && t[1].code == P_DOT);
    if (t->kind != T_NAME) return false;
    for (t++; t->kind == T_PUNCT && t->code == P_DOT && t[1].kind == T_NAME;) t += 2;
    while (t->kind == T_PUNCT && t->code == P_BRACKET && t[1].kind == T_PUNCT &&
           t[1].code == P_END_BRACKET)
        t += 2;
    return t->kind == T_NAME;
}

/* ---- statements ------------------------------------------------------------------------- */

static node *statement(parser *p);

/* { statement } up to "}" or the end; `stop_case`: or to "case" and "default". */
static node *statements(parser *p, bool stop_case)
{
    node *first = NULL, **link = &first;
    while (p->t->kind != T_END && !qn_cava__is(p, P_END_BRACE) &&
           !(stop_case && (is_keyword(p, K_case) || is_keyword(p, K_default)))) {
        const qn_cava_token *before = p->t;
        *link = statement(p);
        link = &(*link)->next;
        if (p->panic) recover(p);
        if (p->t == before) advance(p); /* never stand still */
        if (p->c->no_memory) break;
    }
    return first;
}

static node *block(parser *p)
{
    node *n = qn_cava__node(p, N_BLOCK, p->t->at);
    qn_cava__expect(p, P_BRACE);
    if (p->panic) return n;
    n->a = statements(p, false);
    n->end = p->t->end;
    qn_cava__expect(p, P_END_BRACE);
    return n;
}

/* local = ["final"] type NAME {"[" "]"} ["=" value] { "," ... } */
static node *local(parser *p)
{
    (void)accept_keyword(p, K_final);
    node *n = qn_cava__node(p, N_LOCAL, p->t->at);
    n->type = qn_cava__type(p, true);
    node **link = &n->a;
    do {
        node *d = qn_cava__node(p, N_DECLARATOR, p->t->at);
        d->end = p->t->end;
        d->text = expect_name(p, "a name");
        while (qn_cava__is(p, P_BRACKET)) {
            advance(p);
            qn_cava__expect(p, P_END_BRACKET);
            d->bits++;
        }
        if (qn_cava__accept(p, P_SET)) d->a = qn_cava__expression(p);
        *link = d;
        link = &d->next;
    } while (!p->panic && qn_cava__accept(p, P_COMMA));
    return n;
}

static node *expression_statement(parser *p)
{
    node *n = qn_cava__node(p, N_EXPR, p->t->at);
    n->a = qn_cava__expression(p);
    bool allowed = n->a->kind == N_ASSIGN || n->a->kind == N_PREFIX ||
                   n->a->kind == N_POSTFIX || n->a->kind == N_CALL ||
                   n->a->kind == N_NEW || n->a->kind == N_EMPTY;
    if (!allowed && !p->panic) {
        qn_cava__error(p->c, n->a->at, n->a->end, QN_CAVA_E_SYNTAX,
                       "a statement is an assignment, a call, ++ or --");
    }
    return n;
}

static node *if_statement(parser *p)
{
    node *n = qn_cava__node(p, N_IF, p->t->at);
    advance(p);
    qn_cava__expect(p, P_OPEN);
    n->a = qn_cava__expression(p);
    qn_cava__expect(p, P_CLOSE);
    if (p->panic) return n;
    n->b = statement(p);
    if (!p->panic && accept_keyword(p, K_else)) n->c = statement(p);
    return n;
}

/* for = "for" "(" [local | list] ";" [expression] ";" [list] ")" statement */
static node *for_statement(parser *p)
{
    node *n = qn_cava__node(p, N_FOR, p->t->at);
    advance(p);
    qn_cava__expect(p, P_OPEN);
    if (p->panic) return n;
    if (is_keyword(p, K_final) || qn_cava__type_ahead(p)) {
        n->a = local(p);
        if (qn_cava__is(p, P_COLON)) {
            qn_cava__error(p->c, p->t->at, p->t->end, QN_CAVA_E_UNSUPPORTED,
                           "Cava has no for over items: count with an index");
            p->panic = true;
        }
    } else if (!qn_cava__is(p, P_SEMICOLON)) {
        node **link = &n->a;
        do {
            *link = expression_statement(p);
            link = &(*link)->next;
        } while (!p->panic && qn_cava__accept(p, P_COMMA));
    }
    qn_cava__expect(p, P_SEMICOLON);
    if (!p->panic && !qn_cava__is(p, P_SEMICOLON)) n->b = qn_cava__expression(p);
    qn_cava__expect(p, P_SEMICOLON);
    node **link = &n->c;
    if (!p->panic && !qn_cava__is(p, P_CLOSE)) do {
            *link = expression_statement(p);
            link = &(*link)->next;
        } while (!p->panic && qn_cava__accept(p, P_COMMA));
    qn_cava__expect(p, P_CLOSE);
    if (!p->panic) n->d = statement(p);
    return n;
}

static node *while_statement(parser *p)
{
    node *n = qn_cava__node(p, N_WHILE, p->t->at);
    advance(p);
    qn_cava__expect(p, P_OPEN);
    n->b = qn_cava__expression(p);
    qn_cava__expect(p, P_CLOSE);
    if (!p->panic) n->d = statement(p);
    return n;
}

static node *do_statement(parser *p)
{
    node *n = qn_cava__node(p, N_DO, p->t->at);
    advance(p);
    n->d = statement(p);
    if (p->panic) return n;
    if (!accept_keyword(p, K_while)) {
        qn_cava__expected(p, "'while'");
        return n;
    }
    qn_cava__expect(p, P_OPEN);
    n->b = qn_cava__expression(p);
    qn_cava__expect(p, P_CLOSE);
    qn_cava__expect(p, P_SEMICOLON);
    return n;
}

/* switch = "switch" "(" expression ")" "{" { ("case" expression | "default") ":" {
 * statement } } "}" */
static node *switch_statement(parser *p)
{
    node *n = qn_cava__node(p, N_SWITCH, p->t->at);
    advance(p);
    qn_cava__expect(p, P_OPEN);
    n->a = qn_cava__expression(p);
    qn_cava__expect(p, P_CLOSE);
    qn_cava__expect(p, P_BRACE);
    node **link = &n->b;
    while (!p->panic && !qn_cava__is(p, P_END_BRACE)) {
        node *c = qn_cava__node(p, N_CASE, p->t->at);
        if (accept_keyword(p, K_case))
            c->a = qn_cava__expression(p);
        else if (!accept_keyword(p, K_default))
            qn_cava__expected(p, "'case' or 'default'");
        qn_cava__expect(p, P_COLON);
        if (!p->panic) c->b = statements(p, true);
        *link = c;
        link = &c->next;
    }
    qn_cava__expect(p, P_END_BRACE);
    return n;
}

static node *simple_statement(parser *p)
{
    node *n = qn_cava__node(p, N_EMPTY, p->t->at);
    if (accept_keyword(p, K_break) || accept_keyword(p, K_continue)) {
        n->kind = p->t[-1].code == K_break ? N_BREAK : N_CONTINUE;
        if (p->t->kind == T_NAME) {
            qn_cava__error(p->c, p->t->at, p->t->end, QN_CAVA_E_UNSUPPORTED,
                           "Cava has no labels");
            advance(p);
        }
    } else if (accept_keyword(p, K_return)) {
        n->kind = N_RETURN;
        if (!qn_cava__is(p, P_SEMICOLON)) n->a = qn_cava__expression(p);
    } else if (is_keyword(p, K_final) || qn_cava__type_ahead(p)) {
        n = local(p);
    } else {
        n = expression_statement(p);
    }
    qn_cava__expect(p, P_SEMICOLON);
    n->end = p->t[-1].end;
    return n;
}

static node *statement_here(parser *p)
{
    if (qn_cava__is(p, P_BRACE)) return block(p);
    if (qn_cava__is(p, P_SEMICOLON)) {
        node *n = qn_cava__node(p, N_EMPTY, p->t->at);
        advance(p);
        return n;
    }
    if (p->t->kind == T_KEYWORD) switch (p->t->code) {
        case K_if:
            return if_statement(p);
        case K_for:
            return for_statement(p);
        case K_while:
            return while_statement(p);
        case K_do:
            return do_statement(p);
        case K_switch:
            return switch_statement(p);
        default:
            break;
        }
    return simple_statement(p);
}

static node *statement(parser *p)
{
    uint32_t at = p->t->at;
    if (!qn_cava__deeper(p)) return qn_cava__node(p, N_EMPTY, at);
    node *n = statement_here(p);
    p->depth--;
    return n;
}

/* ---- members ---------------------------------------------------------------------------- */

/* parameters = "(" [ ["final"] type NAME { "," ... } ] ")" */
static node *parameters(parser *p)
{
    node *first = NULL, **link = &first;
    qn_cava__expect(p, P_OPEN);
    if (p->panic || qn_cava__accept(p, P_CLOSE)) return NULL;
    do {
        (void)accept_keyword(p, K_final);
        node *n = qn_cava__node(p, N_PARAM, p->t->at);
        n->type = qn_cava__type(p, true);
        n->text = expect_name(p, "the name of a parameter");
        n->end = p->t[-1].end;
        *link = n;
        link = &n->next;
    } while (!p->panic && qn_cava__accept(p, P_COMMA));
    qn_cava__expect(p, P_CLOSE);
    return first;
}

typedef struct modifiers {
    bool is_static, is_native;
} modifiers;

static modifiers take_modifiers(parser *p)
{
    modifiers m = {false, false};
    for (;; advance(p)) {
        if (p->t->kind != T_KEYWORD) return m;
        switch (p->t->code) {
        case K_static:
            m.is_static = true;
            break;
        case K_native:
        case K_extern:
        case K_externC:
            m.is_native = true;
            break;
        case K_public:
        case K_protected:
        case K_private:
        case K_final:
            break;
        default:
            return m;
        }
    }
}

static node *method(parser *p, node *n, modifiers m)
{
    n->kind = N_METHOD;
    n->is_static = m.is_static;
    n->a = parameters(p);
    n->end = p->t[-1].end;
    if (m.is_native && !p->panic) {
        qn_cava__error(p->c, n->at, n->end, QN_CAVA_E_NATIVE,
                       "not support native method for security reason: %.*s",
                       QN_SLICE_ARG(n->text));
        if (qn_cava__accept(p, P_SEMICOLON)) return n;
    }
    if (is_keyword(p, K_throws)) qn_cava__expected(p, "a body");
    if (!p->panic) n->b = block(p);
    return n;
}

/* One field; further names of the same declaration become fields of their own. */
static node *field(parser *p, node *n, modifiers m)
{
    node *first = n;
    for (;;) {
        n->kind = N_FIELD;
        if (m.is_static)
            qn_cava__error(p->c, n->at, n->end, QN_CAVA_E_STATIC,
                           "static variable is not support:%.*s",
                           QN_SLICE_ARG(n->text));
        while (qn_cava__is(p, P_BRACKET)) {
            advance(p);
            qn_cava__expect(p, P_END_BRACKET);
            n->bits++;
        }
        if (qn_cava__accept(p, P_SET)) n->a = qn_cava__expression(p);
        if (p->panic || !qn_cava__accept(p, P_COMMA)) break;
        n->next = qn_cava__node(p, N_FIELD, p->t->at);
        n->next->type = n->type;
        n = n->next;
        n->text = expect_name(p, "a name");
    }
    qn_cava__expect(p, P_SEMICOLON);
    return first;
}

/* member = modifiers ( NAME parameters block | type NAME (parameters block | [= value]
 * ";") ) */
static node *member(parser *p, qn_slice class_name)
{
    modifiers m = take_modifiers(p);
    node *n = qn_cava__node(p, N_METHOD, p->t->at);
    if (is_keyword(p, K_class)) {
        qn_cava__error(p->c, p->t->at, p->t->end, QN_CAVA_E_UNSUPPORTED,
                       "Cava has no classes inside of classes");
        p->panic = true;
        return n;
    }
    bool constructor =
        p->t->kind == T_NAME && p->t[1].kind == T_PUNCT && p->t[1].code == P_OPEN;
    if (constructor) {
        n->text = expect_name(p, "a name");
        if (!qn_slice_eq(n->text, class_name))
            qn_cava__error(p->c, n->at, n->end, QN_CAVA_E_SYNTAX,
                           "a method needs a type; a constructor has the name of its "
                           "class, %.*s",
                           QN_SLICE_ARG(class_name));
        return method(p, n, m);
    }
    n->type = qn_cava__type(p, true);
    n->text = expect_name(p, "the name of a field or method");
    n->end = p->t[-1].end;
    if (p->panic) return n;
    return qn_cava__is(p, P_OPEN) ? method(p, n, m) : field(p, n, m);
}

static node *class_declaration(parser *p)
{
    (void)take_modifiers(p);
    if (!accept_keyword(p, K_class)) {
        qn_cava__expected(p, "'class'");
        return qn_cava__node(p, N_EMPTY, p->t->at);
    }
    node *n = qn_cava__node(p, N_CLASS, p->t->at), **link = &n->a;
    n->end = p->t->end;
    n->text = expect_name(p, "the name of a class");
    qn_cava__expect(p, P_BRACE);
    while (!p->panic && p->t->kind != T_END && !qn_cava__is(p, P_END_BRACE)) {
        const qn_cava_token *before = p->t;
        if (!qn_cava__accept(p, P_SEMICOLON)) {
            *link = member(p, n->text);
            while (*link != NULL) link = &(*link)->next;
        }
        if (p->panic) recover(p);
        if (p->t == before) advance(p);
        if (p->c->no_memory) return n;
    }
    qn_cava__expect(p, P_END_BRACE);
    (void)qn_cava__accept(p, P_SEMICOLON);
    return n;
}

/* import = "import" name [ "." "*" ] ";" */
static node *import(parser *p)
{
    node *n = qn_cava__node(p, N_NAME, p->t->at);
    n->text = dotted(p, "the name of a class");
    n->end = p->t[-1].end;
    if (qn_cava__accept(p, P_DOT)) {
        qn_cava__expect(p, P_MUL);
        n->bits = 1;
    }
    qn_cava__expect(p, P_SEMICOLON);
    return n;
}

/* file = [ "package" name ";" ] { import } { class } */
void qn_cava__parse(qn_cava_compiler *c, uint32_t file)
{
    size_t count = 0;
    const qn_cava_token *tokens = qn_cava__lex(c, file, &count);
    if (tokens == NULL) return;
    parser p = {.c = c, .t = tokens};
    struct qn_cava_unit *unit = &c->units[file];
    node **link = &unit->imports;
    if (accept_keyword(&p, K_package)) {
        unit->package = dotted(&p, "the name of a package");
        qn_cava__expect(&p, P_SEMICOLON);
        if (p.panic) recover(&p);
    }
    while (accept_keyword(&p, K_import)) {
        *link = import(&p);
        link = &(*link)->next;
        if (p.panic) recover(&p);
    }
    link = &unit->classes;
    while (p.t->kind != T_END && !c->no_memory) {
        const qn_cava_token *before = p.t;
        if (qn_cava__accept(&p, P_SEMICOLON)) continue;
        *link = class_declaration(&p);
        link = &(*link)->next;
        if (p.panic) recover(&p);
        if (p.t == before) advance(&p);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The query clause, by recursive descent. Each function carries its production; the
 * tree is built on the way. Binding, loosest first: juxtaposition, RANK, OR, AND,
 * ANDNOT, then inside one `index:` prefix |, &, ||. All associate to the left.
 *
 * A NULL node is one whose words the analyzer dropped: it vanishes from its group.
 * What is wrong with names and words is reported only when the syntax is right. */
#include "query/ha3/ha3_internal.h"
#include "query/ha3/ha3_lexer.h"

#include <stdio.h>

typedef struct parser {
    qn_leaf_maker make;
    const qn_ha3_token *t; /* the token under the head */
    qn_slice text;         /* the clause */
    uint64_t base;         /* of it in the request */
    const qn_ha3_query_options *options;
    int depth;
    size_t cores;
    qn_status deferred; /* the first error that is not one of syntax */
    qn_error deferred_error;
} parser;

static qn_status parse_exprs(parser *p, qn_query **out);

static uint64_t at_of(const parser *p, const qn_ha3_token *t)
{
    return p->base + t->at;
}

static bool accept(parser *p, qn_ha3_token_kind kind)
{
    if (p->t->kind != kind) return false;
    p->t++;
    return true;
}

/* HA3's words for a query that cannot be read. */
static qn_status broken(parser *p, const qn_ha3_token *t, const char *what)
{
    int shown = (int)(p->text.n > 200 ? 200 : p->text.n);
    return qn_fail_at(p->make.err, QN_ESYNTAX, at_of(p, t),
                      "Parse query failed! error description: %s, queryClauseStr:%.*s",
                      what, shown, p->text.p);
}

static qn_status unexpected(parser *p, const char *expecting)
{
    char what[120];
    (void)snprintf(what, sizeof what, "syntax error, unexpected %s%s%s",
                   qn_ha3_token_name(p->t->kind),
                   expecting == NULL ? "" : ", expecting ",
                   expecting == NULL ? "" : expecting);
    return broken(p, p->t, what);
}

static qn_status expect(parser *p, qn_ha3_token_kind kind)
{
    return accept(p, kind) ? QN_OK : unexpected(p, qn_ha3_token_name(kind));
}

static qn_status too_many(parser *p)
{
    return qn_fail_at(p->make.err, QN_ELIMIT, at_of(p, p->t),
                      "too many clauses, maxClauseCount is set to %d",
                      QN_QUERY_CLAUSES_MAX);
}

static qn_status enter(parser *p)
{
    if (++p->depth <= QN_QUERY_DEPTH_MAX) return QN_OK;
    return qn_fail_at(p->make.err, QN_ELIMIT, at_of(p, p->t),
                      "the query is nested more than %d deep", QN_QUERY_DEPTH_MAX);
}

/* Keeps an error about names or words for the end; memory and limits stop at once. */
static qn_status defer(parser *p, qn_status st, qn_query **node)
{
    if (st == QN_OK || st == QN_ENOMEM || st == QN_ELIMIT) return st;
    *node = NULL;
    if (p->deferred == QN_OK && p->make.err != NULL) p->deferred_error = *p->make.err;
    if (p->deferred == QN_OK) p->deferred = st;
    return QN_OK;
}

/* ---- what a prefix names -------------------------------------------------------- */

static qn_status find_index(parser *p, qn_slice name, uint64_t at, qn_leaf_target *out)
{
    const qn_schema *schema = p->make.env->schema;
    if (name.n > 0) return qn_leaf_target_find(&p->make, name, at, out);
    if (p->options->default_index.n > 0)
        return qn_leaf_target_find(&p->make, p->options->default_index, at, out);
    if (schema->default_index != NULL)
        return qn_leaf_target_index(&p->make, schema->default_index, out);
    return qn_leaf_target_find(&p->make, QN_SLICE_LIT("default"), at, out);
}

/* Leaves only the named fields in the target; names up to `end`, commas between. */
static qn_status restrict_fields(parser *p, const qn_ha3_token *names,
                                 const qn_ha3_token *end, bool every,
                                 qn_leaf_target *target)
{
    if (target->kind != QN_INDEX_TEXT)
        return qn_fail_at(p->make.err, QN_EINDEXKIND, at_of(p, names),
                          "index [%.*s] is not of text: it cannot be asked by field",
                          QN_SLICE_ARG(qn_leaf_target_name(target)));
    qn_query_field *kept =
        qn_arena_array(p->make.arena, (size_t)(end - names), sizeof *kept);
    if (kept == NULL) return qn_fail(p->make.err, QN_ENOMEM, "query clause");
    size_t n = 0;
    for (; names < end; names += 2) {
        size_t i = 0;
        while (i < target->field_count &&
               !qn_slice_eq(target->fields[i].field->name, names->text))
            i++;
        if (i == target->field_count)
            return qn_fail_at(p->make.err, QN_EINDEXFIELD, at_of(p, names),
                              "[%.*s] is not a field of index [%.*s]",
                              QN_SLICE_ARG(names->text),
                              QN_SLICE_ARG(qn_leaf_target_name(target)));
        kept[n++] = target->fields[i];
    }
    target->fields = kept;
    target->field_count = n;
    target->every_field = every;
    return QN_OK;
}

/* fields = "(" IDENTIFIER {"," IDENTIFIER} "):" | "[" ... "]" ":"
 * The token behind them when `t` begins that, else NULL. */
static const qn_ha3_token *behind_fields(const qn_ha3_token *t,
                                         const qn_ha3_token **end)
{
    bool round = t->kind == QN_HA3_LPAREN;
    if (!round && t->kind != QN_HA3_LBRACKET) return NULL;
    for (t++; t->kind == QN_HA3_IDENTIFIER && t[1].kind == QN_HA3_COMMA;) t += 2;
    if (t->kind != QN_HA3_IDENTIFIER) return NULL;
    *end = ++t;
    if (round) return t->kind == QN_HA3_RPAREN_COLON ? t + 1 : NULL;
    return t->kind == QN_HA3_RBRACKET && t[1].kind == QN_HA3_COLON ? t + 2 : NULL;
}

/* ---- cores ------------------------------------------------------------------------
 */

/* Something that is not yet a node: whether its words are analysed depends on what
 * follows. */
typedef struct operand {
    bool is_core;
    const qn_ha3_token *core; /* its first token */
    bool is_range;
    qn_leaf_end low, high;
    qn_leaf_target target; /* with weight and chain */
    qn_query *node;        /* when it is no core */
    bool flat_weak;        /* `node` is one `||` group and nothing else */
} operand;

static qn_status invalid_range(parser *p, const qn_ha3_token *t, int64_t low,
                               int64_t high)
{
    char what[80];
    (void)snprintf(what, sizeof what, "Invalid Range: [%lld, %lld].", (long long)low,
                   (long long)high);
    return broken(p, t, what);
}

static qn_status read_end(parser *p, bool inclusive, qn_leaf_end *end, int64_t *value)
{
    const qn_ha3_token *t = p->t;
    QN_TRY(expect(p, QN_HA3_NUMBER));
    if (!qn_slice_to_i64(t->text, value)) return broken(p, t, "a number out of range");
    *end = (qn_leaf_end){t->text, inclusive, at_of(p, t)};
    return QN_OK;
}

/* ("["|"(") NUMBER "," NUMBER ("]"|")") | ("["|"(") NUMBER "," ")"
 *   | "(" "," NUMBER ("]"|")") */
static qn_status parse_interval(parser *p, operand *o)
{
    const qn_ha3_token *begin = p->t;
    bool from_inside = begin->kind == QN_HA3_LBRACKET, has_low, has_high;
    int64_t low = 0, high = 0;
    p->t++;
    has_low = p->t->kind != QN_HA3_COMMA || from_inside;
    if (has_low) QN_TRY(read_end(p, from_inside, &o->low, &low));
    QN_TRY(expect(p, QN_HA3_COMMA));
    has_high = !has_low || p->t->kind == QN_HA3_NUMBER;
    if (has_high) QN_TRY(read_end(p, false, &o->high, &high));
    if (accept(p, QN_HA3_RBRACKET)) {
        if (!has_high) {
            p->t--;
            return unexpected(p, "number or ')'");
        }
        o->high.inclusive = true;
    } else {
        QN_TRY(expect(p, QN_HA3_RPAREN));
    }
    bool closed = o->low.inclusive && o->high.inclusive;
    if (has_low && has_high && (low > high || (low == high && !closed)))
        return invalid_range(p, begin, low, high);
    return QN_OK;
}

static qn_status parse_comparison(parser *p, operand *o)
{
    qn_ha3_token_kind op = p->t++->kind;
    int64_t value;
    bool equal = op == QN_HA3_LESS_EQUAL || op == QN_HA3_GREATER_EQUAL;
    bool upper = op == QN_HA3_LESS || op == QN_HA3_LESS_EQUAL;
    return read_end(p, equal, upper ? &o->high : &o->low, &value);
}

static bool begins_interval(const qn_ha3_token *t)
{
    if (t->kind == QN_HA3_LBRACKET) return true;
    return t->kind == QN_HA3_LPAREN &&
           (t[1].kind == QN_HA3_COMMA ||
            (t[1].kind == QN_HA3_NUMBER && t[2].kind == QN_HA3_COMMA));
}

/* core = WORD | IDENTIFIER | NUMBER | "=" NUMBER | PHRASE | range */
static qn_status parse_core(parser *p, operand *o)
{
    if (++p->cores > QN_QUERY_CLAUSES_MAX) return too_many(p);
    o->is_core = true;
    o->core = p->t;
    switch (p->t->kind) {
    case QN_HA3_WORD:
    case QN_HA3_IDENTIFIER:
    case QN_HA3_NUMBER:
    case QN_HA3_PHRASE:
        p->t++;
        return QN_OK;
    case QN_HA3_EQUAL:
        o->core = ++p->t;
        return expect(p, QN_HA3_NUMBER);
    case QN_HA3_LESS:
    case QN_HA3_LESS_EQUAL:
    case QN_HA3_GREATER:
    case QN_HA3_GREATER_EQUAL:
        o->is_range = true;
        return parse_comparison(p, o);
    default:
        if (!begins_interval(p->t)) return unexpected(p, NULL);
        o->is_range = true;
        return parse_interval(p, o);
    }
}

/* atoi: saturates instead of overflowing. */
static int32_t weight_of(qn_slice number)
{
    int64_t v;
    if (!qn_slice_to_i64(number, &v)) v = number.p[0] == '-' ? INT32_MIN : INT32_MAX;
    if (v > INT32_MAX) v = INT32_MAX;
    return (int32_t)(v < INT32_MIN ? INT32_MIN : v);
}

/* boost_term = core | core "^" NUMBER ["#" IDENTIFIER] | core "#" IDENTIFIER ["^"
 * NUMBER]
 */
static qn_status parse_boost_term(parser *p, const qn_leaf_target *target, operand *o)
{
    *o = (operand){.target = *target};
    QN_TRY(parse_core(p, o));
    bool has_weight = false, has_chain = false;
    for (;;) {
        if (!has_weight && accept(p, QN_HA3_CARET)) {
            o->target.has_weight = has_weight = true;
            QN_TRY(expect(p, QN_HA3_NUMBER));
            o->target.weight = weight_of(p->t[-1].text);
        } else if (!has_chain && accept(p, QN_HA3_HASH)) {
            has_chain = true;
            QN_TRY(expect(p, QN_HA3_IDENTIFIER));
            o->target.chain = p->t[-1].text;
        } else {
            return QN_OK;
        }
    }
}

/* Is `name` in "a;b;c"? */
static bool names_index(qn_slice list, qn_slice name)
{
    qn_slice piece;
    while (qn_ha3__next_piece(&list, ';', &piece))
        if (qn_slice_eq(piece, name)) return true;
    return false;
}

/* The analyzer that the request names for an index, for all of them, or none. */
static qn_slice analyzer_for(const parser *p, qn_slice index)
{
    qn_slice list = p->options->index_analyzers, piece, name;
    while (qn_ha3__next_piece(&list, ';', &piece)) {
        qn_slice rest = piece;
        if (qn_ha3__next_piece(&rest, '#', &name) && qn_slice_eq(name, index) &&
            qn_ha3__next_piece(&rest, '#', &name))
            return name;
    }
    return p->options->analyzer;
}

static qn_status build_core(parser *p, const operand *o, bool raw, qn_query **out)
{
    const qn_leaf_target *t = &o->target;
    uint64_t at = at_of(p, o->core);
    qn_slice text = o->core->text;
    if (o->is_range && t->kind != QN_INDEX_NUMBER)
        return qn_fail_at(p->make.err, QN_EINDEXKIND, at,
                          "index [%.*s] is not of numbers: it has no ranges",
                          QN_SLICE_ARG(qn_leaf_target_name(t)));
    if (o->is_range) return qn_leaf_range(&p->make, t, &o->low, &o->high, at, out);
    if (t->kind == QN_INDEX_VECTOR)
        return qn_ha3__vector_term(&p->make, t, text, at, out);
    if (t->kind != QN_INDEX_TEXT) {
        qn_status st = qn_leaf_value(&p->make, t, text, at, out);
        bool no_value = st == QN_EFIELDTYPE && t->kind == QN_INDEX_NUMBER;
        /* A word is no number: HA3 finds nothing and does not mind. */
        return no_value ? qn_leaf_new(&p->make, QN_QUERY_NONE, NULL, at, out) : st;
    }
    if (raw) return qn_leaf_term(&p->make, t, text, at, out);
    if (names_index(p->options->raw_indexes, qn_leaf_target_name(t)))
        return qn_leaf_term(&p->make, t, text, at, out);
    bool phrase = o->core->kind == QN_HA3_PHRASE;
    qn_leaf_match how = {.any = p->options->default_or,
                         .phrase = phrase,
                         .analyzer = analyzer_for(p, qn_leaf_target_name(t))};
    QN_TRY(qn_leaf_text(&p->make, t, text, at, &how, out));
    if (*out == NULL && phrase)
        return qn_fail_at(p->make.err, QN_ENULLPHRASE, at,
                          "the phrase \"%.*s\" has no word to look for",
                          (int)(text.n > 100 ? 100 : text.n), text.p);
    return QN_OK;
}

/* `raw`: inside a `||` group words are looked up as they stand. */
static qn_status to_node(parser *p, operand *o, bool raw)
{
    if (!o->is_core) return QN_OK;
    o->is_core = false;
    if (o->target.field_count == 0 && o->target.kind != QN_INDEX_PRIMARY) return QN_OK;
    return defer(p, build_core(p, o, raw, &o->node), &o->node);
}

/* ---- groups inside one prefix ---------------------------------------------------- */

typedef struct node_list {
    qn_query *p[QN_QUERY_CLAUSES_MAX];
    size_t n;
} node_list;

static node_list *list_new(parser *p)
{
    return qn_arena_new(p->make.arena, sizeof(node_list));
}

static qn_status list_add(parser *p, node_list *list, qn_query *node)
{
    if (list == NULL) return qn_fail(p->make.err, QN_ENOMEM, "query clause");
    if (list->n == QN_QUERY_CLAUSES_MAX) return too_many(p);
    list->p[list->n++] = node;
    return QN_OK;
}

static qn_status parse_bars(parser *p, const qn_leaf_target *target, operand *o);

/* "(" boost_terms ")" ["^" NUMBER] | boost_term */
static qn_status parse_operand(parser *p, const qn_leaf_target *target, operand *o)
{
    if (p->t->kind != QN_HA3_LPAREN || begins_interval(p->t))
        return parse_boost_term(p, target, o);
    QN_TRY(enter(p));
    p->t++;
    QN_TRY(parse_bars(p, target, o));
    QN_TRY(expect(p, QN_HA3_RPAREN));
    p->depth--;
    if (!accept(p, QN_HA3_CARET)) return QN_OK;
    QN_TRY(expect(p, QN_HA3_NUMBER));
    int32_t least = weight_of(p->t[-1].text);
    if (o->node == NULL || !o->flat_weak || least < 1) return QN_OK;
    size_t count = o->node->u.boolean.should.n;
    o->node->u.boolean.should_min =
        (size_t)least > count ? (uint32_t)count : (uint32_t)least;
    return QN_OK;
}

/* One level of a group: operands of `next` joined by `op`. */
typedef qn_status parse_level(parser *p, const qn_leaf_target *target, operand *o);

static qn_status parse_chain(parser *p, const qn_leaf_target *target, operand *o,
                             qn_ha3_token_kind op, qn_leaf_join how, parse_level *next)
{
    uint64_t at = at_of(p, p->t);
    QN_TRY(next(p, target, o));
    if (p->t->kind != op) return QN_OK;
    bool weak = op == QN_HA3_WEAKAND, flat = weak && o->is_core;
    node_list *list = list_new(p);
    QN_TRY(to_node(p, o, weak));
    QN_TRY(list_add(p, list, o->node));
    while (accept(p, op)) {
        operand right;
        QN_TRY(next(p, target, &right));
        flat = flat && right.is_core;
        QN_TRY(to_node(p, &right, weak));
        QN_TRY(list_add(p, list, right.node));
    }
    *o = (operand){.flat_weak = flat};
    QN_TRY(qn_leaf_join_nodes(&p->make, how, list->p, list->n, at, &o->node));
    if (o->node != NULL && o->node->kind != QN_QUERY_BOOL) o->flat_weak = false;
    return QN_OK;
}

static qn_status parse_weaks(parser *p, const qn_leaf_target *target, operand *o)
{
    return parse_chain(p, target, o, QN_HA3_WEAKAND, QN_JOIN_OR, parse_operand);
}

static qn_status parse_ampersands(parser *p, const qn_leaf_target *target, operand *o)
{
    return parse_chain(p, target, o, QN_HA3_AMPERSAND, QN_JOIN_AND, parse_weaks);
}

static qn_status parse_bars(parser *p, const qn_leaf_target *target, operand *o)
{
    return parse_chain(p, target, o, QN_HA3_BAR, QN_JOIN_OR, parse_ampersands);
}

/* atomic = boost_term | IDENTIFIER ":" boost_terms | [IDENTIFIER] fields boost_terms */
static qn_status parse_atomic(parser *p, qn_query **out)
{
    const qn_ha3_token *name = NULL, *fields, *end = NULL, *behind;
    if (p->t->kind == QN_HA3_IDENTIFIER &&
        (p->t[1].kind == QN_HA3_COLON || behind_fields(p->t + 1, &end) != NULL))
        name = p->t;
    fields = name == NULL ? p->t : p->t + 1;
    behind = behind_fields(fields, &end);

    qn_leaf_target target = {0};
    qn_query *ignored = NULL;
    qn_status st = find_index(p, name == NULL ? QN_SLICE_LIT("") : name->text,
                              at_of(p, p->t), &target);
    if (st == QN_OK && behind != NULL)
        st =
            restrict_fields(p, fields + 1, end, fields->kind == QN_HA3_LPAREN, &target);
    if (st != QN_OK) target = (qn_leaf_target){.kind = QN_INDEX_TEXT};
    QN_TRY(defer(p, st, &ignored));

    operand o;
    if (behind != NULL) {
        p->t = behind;
        QN_TRY(parse_bars(p, &target, &o));
    } else if (name != NULL) {
        p->t += 2;
        QN_TRY(parse_bars(p, &target, &o));
    } else {
        QN_TRY(parse_boost_term(p, &target, &o));
    }
    QN_TRY(to_node(p, &o, false));
    *out = o.node;
    return QN_OK;
}

/* ---- expressions ------------------------------------------------------------------
 */

static bool begins_expr(const qn_ha3_token *t)
{
    switch (t->kind) {
    case QN_HA3_LPAREN:
    case QN_HA3_LBRACKET:
    case QN_HA3_WORD:
    case QN_HA3_IDENTIFIER:
    case QN_HA3_NUMBER:
    case QN_HA3_PHRASE:
    case QN_HA3_EQUAL:
    case QN_HA3_LESS:
    case QN_HA3_LESS_EQUAL:
    case QN_HA3_GREATER:
    case QN_HA3_GREATER_EQUAL:
        return true;
    default:
        return false;
    }
}

/* primary = "(" exprs ")" ["@" IDENTIFIER] | atomic */
static qn_status parse_primary(parser *p, qn_query **out)
{
    const qn_ha3_token *end;
    if (p->t->kind != QN_HA3_LPAREN || begins_interval(p->t) ||
        behind_fields(p->t, &end) != NULL)
        return parse_atomic(p, out);
    QN_TRY(enter(p));
    p->t++;
    QN_TRY(parse_exprs(p, out));
    QN_TRY(expect(p, QN_HA3_RPAREN));
    p->depth--;
    if (!accept(p, QN_HA3_AT)) return QN_OK;
    QN_TRY(expect(p, QN_HA3_IDENTIFIER));
    if (*out != NULL) (*out)->label = p->t[-1].text;
    return QN_OK;
}

/* left op right, for ANDNOT and RANK. */
static qn_status join_sides(parser *p, qn_ha3_token_kind op, node_list *list,
                            uint64_t at, qn_query **out)
{
    qn_query *left = list->p[0];
    if (left == NULL && p->deferred == QN_OK)
        return defer(p,
                     qn_fail_at(p->make.err, QN_EQUERYSIDE, at,
                                "the left side of %s has no word to look for",
                                qn_ha3_token_name(op)),
                     out);
    qn_query *right;
    *out = left;
    size_t n = 0;
    for (size_t i = 1; i < list->n; i++) {
        if (list->p[i] != NULL) list->p[1 + n++] = list->p[i];
    }
    if (left == NULL || n == 0) return QN_OK;
    /* Joined only for its copied list. */
    list->p[0] = left;
    QN_TRY(qn_leaf_join_nodes(&p->make, QN_JOIN_AND, list->p, n + 1, at, &right));
    qn_query_list all = right->u.boolean.must;
    QN_TRY(qn_leaf_new(&p->make, QN_QUERY_BOOL, NULL, at, out));
    (*out)->u.boolean.must = (qn_query_list){all.p, 1};
    qn_query_list rest = {all.p + 1, all.n - 1};
    if (op == QN_HA3_ANDNOT)
        (*out)->u.boolean.must_not = rest;
    else
        (*out)->u.boolean.should = rest; /* should_min 0: never filters */
    return QN_OK;
}

/* level(i) = level(i+1) { op(i) level(i+1) }, loosest operator first. */
static qn_status parse_level_of(parser *p, size_t level, qn_query **out)
{
    static const qn_ha3_token_kind ops[] = {QN_HA3_RANK, QN_HA3_OR, QN_HA3_AND,
                                            QN_HA3_ANDNOT};
    if (level == sizeof ops / sizeof *ops) return parse_primary(p, out);
    uint64_t at = at_of(p, p->t);
    QN_TRY(parse_level_of(p, level + 1, out));
    if (p->t->kind != ops[level]) return QN_OK;
    node_list *list = list_new(p);
    QN_TRY(list_add(p, list, *out));
    while (accept(p, ops[level])) {
        QN_TRY(parse_level_of(p, level + 1, out));
        QN_TRY(list_add(p, list, *out));
    }
    if (ops[level] == QN_HA3_RANK || ops[level] == QN_HA3_ANDNOT)
        return join_sides(p, ops[level], list, at, out);
    return qn_leaf_join_nodes(&p->make,
                              ops[level] == QN_HA3_AND ? QN_JOIN_AND : QN_JOIN_OR,
                              list->p, list->n, at, out);
}

/* exprs = expr { expr }     juxtaposition is the default operator */
static qn_status parse_exprs(parser *p, qn_query **out)
{
    uint64_t at = at_of(p, p->t);
    QN_TRY(parse_level_of(p, 0, out));
    if (!begins_expr(p->t)) return QN_OK;
    node_list *list = list_new(p);
    QN_TRY(list_add(p, list, *out));
    while (begins_expr(p->t)) {
        QN_TRY(parse_level_of(p, 0, out));
        QN_TRY(list_add(p, list, *out));
    }
    return qn_leaf_join_nodes(&p->make,
                              p->options->default_or ? QN_JOIN_OR : QN_JOIN_AND,
                              list->p, list->n, at, out);
}

/* query = exprs { ";" exprs } END     the ones after the first are for layers */
static qn_status parse_query(parser *p, qn_query **trees, size_t *n)
{
    do {
        if (*n == QN_LAYERS_MAX)
            return qn_fail_at(p->make.err, QN_ELIMIT, at_of(p, p->t),
                              "over %d queries for layers", QN_LAYERS_MAX);
        QN_TRY(parse_exprs(p, &trees[(*n)++]));
    } while (accept(p, QN_HA3_SEMICOLON));
    return p->t->kind == QN_HA3_END ? QN_OK : unexpected(p, "end of file or ';'");
}

/* A layer whose words were all dropped finds nothing; the whole query may not be that. */
static qn_status finish(parser *p, qn_query *const *trees, size_t n, qn_ha3_layers *out)
{
    if (p->deferred != QN_OK) {
        *p->make.err = p->deferred_error;
        return p->deferred;
    }
    if (trees[0] == NULL)
        return qn_fail_at(p->make.err, QN_ENULLQUERY, p->base,
                          "no word of the query is left to look for");
    const qn_query **queries = qn_arena_array(p->make.arena, n, sizeof *queries);
    if (queries == NULL) return qn_fail(p->make.err, QN_ENOMEM, "query clause");
    for (size_t i = 0; i < n; i++) {
        if (trees[i] == NULL)
            QN_TRY(qn_leaf_none(&p->make, p->base, &queries[i]));
        else
            QN_TRY(qn_query_rewrite(p->make.arena, trees[i], &queries[i], p->make.err));
    }
    *out = (qn_ha3_layers){queries, n};
    return QN_OK;
}

qn_status qn_ha3__parse_clause(qn_arena *arena, const qn_query_env *env,
                               qn_slice clause, uint64_t base,
                               const qn_ha3_query_options *options, qn_ha3_layers *out,
                               qn_error *err)
{
    *out = (qn_ha3_layers){0};
    if (clause.n > QN_QUERY_BYTES_MAX)
        return qn_fail(err, QN_ELIMIT, "a query of %zu bytes, at most %d are allowed",
                       clause.n, QN_QUERY_BYTES_MAX);
    const qn_ha3_token *tokens;
    size_t n;
    QN_TRY(qn_ha3_tokenize(arena, clause, &tokens, &n, err));
    qn_error local = {0};
    parser p = {.make = {arena, env, err == NULL ? &local : err},
                .t = tokens,
                .base = base,
                .options = options,
                .text = clause};
    qn_query *trees[QN_LAYERS_MAX] = {NULL};
    size_t count = 0;
    QN_TRY(parse_query(&p, trees, &count));
    return finish(&p, trees, count, out);
}

qn_status qn_ha3_parse_query(qn_arena *arena, const qn_query_env *env, qn_slice text,
                             const qn_ha3_query_options *options, const qn_query **out,
                             qn_error *err)
{
    qn_ha3_layers layers;
    *out = NULL;
    QN_TRY(qn_ha3__parse_clause(arena, env, text, 0, options, &layers, err));
    *out = layers.queries[0];
    return QN_OK;
}

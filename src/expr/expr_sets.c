/* SPDX-License-Identifier: Apache-2.0 */
/* expr_sets.c -- `x in (1, 2, 3)` and in(x, "1|2|3"): constants go to a sorted set,
 * anything else is compared one by one. */
#include "expr/expr_internal.h"

#include <stdlib.h>

/* --- building a set --- */

static int compare_i64(const void *x, const void *y)
{
    int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;
    return (a > b) - (a < b);
}

static int compare_f64(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

static int compare_str(const void *x, const void *y)
{
    return qn_slice_compare(*(const qn_slice *)x, *(const qn_slice *)y);
}

/* Room for n constants of one kind, filled by the caller, then sealed. */
typedef struct set_draft {
    char kind;
    size_t n;
    void *items;
} set_draft;

static size_t item_size(char kind)
{
    return kind == 'S' ? sizeof(qn_slice) : 8;
}

static bool draft_begin(qn_expr__builder *b, char kind, size_t capacity, set_draft *d)
{
    *d = (set_draft){.kind = kind};
    d->items = qn_arena_array(&b->e->arena, capacity + 1, item_size(kind));
    if (d->items == NULL) b->failed = true;
    return d->items != NULL;
}

/* Sorts, drops repetitions, and keeps it: the index, for an IN step. */
static uint32_t draft_seal(qn_expr__builder *b, set_draft *d)
{
    int (*compare)(const void *, const void *) = d->kind == 'S'   ? compare_str
                                                 : d->kind == 'F' ? compare_f64
                                                                  : compare_i64;
    size_t size = item_size(d->kind), kept = 0;
    char *items = d->items;
    if (d->n > 1) qsort(items, d->n, size, compare);
    for (size_t i = 0; i < d->n; i++) {
        if (kept > 0 && compare(items + (kept - 1) * size, items + i * size) == 0)
            continue;
        memmove(items + kept++ * size, items + i * size, size);
    }
    qn_expr__set set = {.kind = d->kind, .n = kept};
    if (d->kind == 'S') set.of.str = d->items;
    if (d->kind == 'F') set.of.f64 = d->items;
    if (d->kind == 'I') set.of.i64 = d->items;
    if (!qn_vec_push(b->alloc, &b->e->sets, set)) b->failed = true;
    return (uint32_t)(b->e->sets.n - 1);
}

static char kind_of_type(qn_expr_type t)
{
    if (t == QN_EXPR_STRING) return 'S';
    return qn_expr__type_is_float(t) ? 'F' : 'I';
}

static uint32_t in_set(qn_expr__builder *b, uint32_t x, bool is_list, set_draft *d)
{
    uint32_t set = draft_seal(b, d);
    qn_expr__opcode op;
    if (d->kind == 'S')
        op = is_list ? QN_OP_ANYINS : QN_OP_INS;
    else if (d->kind == 'F')
        op = is_list ? QN_OP_ANYINF : QN_OP_INF;
    else
        op = is_list ? QN_OP_ANYINI : QN_OP_INI;
    return qn_expr__op(b, op, QN_EXPR_BOOL, x, set, 0);
}

/* --- x in (a, b, c) --- */

/* The same integer in the sign rule of x; false when x can never be it. */
static bool same_integer(qn_expr_type x, const qn_expr__node *element)
{
    bool huge = (int64_t)element->bits < 0;
    return !huge || (x == QN_EXPR_UINT64) == (element->type == QN_EXPR_UINT64);
}

/* Adds a constant element; false when it is none and has to be compared. */
static bool add_constant(const qn_expr__builder *b, qn_expr_type x, uint32_t node,
                         set_draft *d)
{
    const qn_expr__node *n = qn_expr__node_at(b, node);
    double value = 0;
    if (d->kind == 'S') {
        if (n->op != QN_OP_CONSTS) return false;
        ((qn_slice *)d->items)[d->n++] = b->e->strings.p[n->a];
    } else if (!qn_expr__is_const(b->e, node, &value)) {
        return false;
    } else if (d->kind == 'F') {
        if (value == value) ((double *)d->items)[d->n++] = value;
    } else if (same_integer(x, n)) {
        ((int64_t *)d->items)[d->n++] = (int64_t)n->bits;
    }
    return true;
}

static qn_status check_element(qn_expr__builder *b, const qn_expr__syntax *s,
                               uint32_t element)
{
    uint64_t at = qn_expr__syntax_at(b, element)->begin;
    const qn_expr__node *x = qn_expr__node_at(b, b->values[s->a].node);
    const qn_expr__node *y = qn_expr__node_at(b, b->values[element].node);
    if (y->is_list)
        return qn_fail_at(b->err, QN_EMULTIEXPR, at,
                          "a multi-value attribute cannot be an element of a list");
    if (b->e->dialect != QN_EXPR_FORMULA)
        return qn_expr__strict_unify(b, at, s->a, element);
    if ((x->type == QN_EXPR_STRING) != (y->type == QN_EXPR_STRING))
        return qn_fail_at(b->err, QN_EEXPRTYPE, at,
                          "a string and a number are never equal");
    return QN_OK;
}

qn_status qn_expr__type_in(qn_expr__builder *b, uint32_t syntax, qn_expr__value *out)
{
    const qn_expr__syntax s = *qn_expr__syntax_at(b, syntax);
    const uint32_t *elements = b->e->tree.kids.p + s.list;
    bool doubles = false;
    for (uint32_t i = 0; i < s.list_size; i++) {
        QN_TRY(check_element(b, &s, elements[i]));
        doubles |=
            kind_of_type(
                (qn_expr_type)qn_expr__node_at(b, b->values[elements[i]].node)->type) ==
            'F';
    }
    uint32_t x = b->values[s.a].node;
    bool is_list = qn_expr__node_at(b, x)->is_list;
    qn_expr_type type = (qn_expr_type)qn_expr__node_at(b, x)->type;
    if (doubles && kind_of_type(type) == 'I') {
        if (is_list)
            return qn_fail_at(b->err, QN_EEXPRTYPE, s.at,
                              "integers are never equal to decimals");
        x = qn_expr__to_double(b, x);
        type = QN_EXPR_DOUBLE;
    }
    set_draft draft;
    if (b->failed || !draft_begin(b, kind_of_type(type), s.list_size, &draft))
        return qn_fail(b->err, QN_ENOMEM, "expression");
    uint32_t any = QN_EXPR__NONE;
    for (uint32_t i = 0; i < s.list_size; i++) {
        uint32_t y = b->values[elements[i]].node;
        if (add_constant(b, type, y, &draft)) continue;
        if (is_list)
            return qn_fail_at(b->err, QN_EMULTIEXPR,
                              qn_expr__syntax_at(b, elements[i])->begin,
                              "a multi-value attribute takes constants here");
        uint32_t equal = qn_expr__compare(b, QN_EX_EQ, x, y);
        any = any == QN_EXPR__NONE
                  ? equal
                  : qn_expr__op(b, QN_OP_ORI, QN_EXPR_BOOL, any, equal, 0);
    }
    out->node = any;
    if (draft.n > 0 || any == QN_EXPR__NONE) {
        uint32_t in = in_set(b, x, is_list, &draft);
        out->node = any == QN_EXPR__NONE
                        ? in
                        : qn_expr__op(b, QN_OP_ORI, QN_EXPR_BOOL, in, any, 0);
    }
    if (s.op == QN_EX_NOT_IN)
        out->node = qn_expr__op(b, QN_OP_NOTB, QN_EXPR_BOOL, out->node, 0, 0);
    return QN_OK;
}

/* --- in(x, "a|b|c") --- */

static bool parse_u64(qn_slice s, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned d = (unsigned)(unsigned char)s.p[i] - '0';
        if (d > 9 || v > (UINT64_MAX - d) / 10) return false;
        v = v * 10 + d;
    }
    *out = v;
    return s.n > 0;
}

/* One element, read as the type of x. */
static bool add_text(qn_slice text, qn_expr_type type, set_draft *d)
{
    if (d->kind == 'S') {
        ((qn_slice *)d->items)[d->n++] = text;
        return true;
    }
    if (d->kind == 'F') {
        double v;
        if (!qn_slice_to_f64(text, &v)) return false;
        ((double *)d->items)[d->n++] = type == QN_EXPR_FLOAT ? (double)(float)v : v;
        return true;
    }
    int64_t v;
    uint64_t u = 0;
    bool is_signed = qn_slice_to_i64(text, &v);
    if (!is_signed && !parse_u64(text, &u)) return false;
    if (!is_signed) v = (int64_t)u;
    if (!qn_expr__int_fits(type, v, !is_signed)) return false;
    ((int64_t *)d->items)[d->n++] = v;
    return true;
}

/* The next piece of `rest` up to the separator, trimmed. */
static qn_slice next_piece(qn_slice *rest, qn_slice separator)
{
    size_t n = 0;
    while (n + separator.n <= rest->n &&
           memcmp(rest->p + n, separator.p, separator.n) != 0)
        n++;
    bool found = n + separator.n <= rest->n;
    qn_slice piece = {rest->p, found ? n : rest->n};
    size_t step = found ? n + separator.n : rest->n;
    *rest = (qn_slice){rest->p + step, rest->n - step};
    return qn_slice_trim(piece);
}

qn_status qn_expr__type_in_text(qn_expr__builder *b, uint64_t at, uint32_t x,
                                qn_slice text, qn_slice separator, uint32_t *out)
{
    const qn_expr__node n = *qn_expr__node_at(b, x);
    qn_expr_type type = (qn_expr_type)n.type;
    if (separator.n == 0)
        return qn_fail_at(b->err, QN_EFUNCARGS, at, "the separator is empty");
    if (type == QN_EXPR_BOOL)
        return qn_fail_at(b->err, QN_EFUNCARGS, at, "a condition is in no set");
    set_draft draft;
    if (!draft_begin(b, kind_of_type(type), text.n / 2 + 1, &draft))
        return qn_fail(b->err, QN_ENOMEM, "expression");
    while (text.n > 0) {
        qn_slice piece = next_piece(&text, separator);
        if (piece.n == 0) continue;
        if (draft.n >= QN_EXPR_ARGS_MAX)
            return qn_fail_at(b->err, QN_ELIMIT, at, "a list of more than %d values",
                              QN_EXPR_ARGS_MAX);
        if (!add_text(piece, type, &draft))
            return qn_fail_at(
                b->err, QN_EFUNCARGS, at, "'%.*s' in the list is no value of type %s",
                (int)(piece.n > 40 ? 40 : piece.n), piece.p, qn_expr_type_name(type));
    }
    /* Text pieces point into the syntax tree's strings, which live as long. */
    *out = in_set(b, x, n.is_list, &draft);
    return QN_OK;
}

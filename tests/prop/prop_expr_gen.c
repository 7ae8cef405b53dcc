/* SPDX-License-Identifier: Apache-2.0 */
#include "prop_expr.h"

#include "expr/expr_internal.h"

#include <math.h>
#include <stdio.h>

const prop_column prop_columns[] = {
    {"b", QN_EXPR_INT8},    {"s", QN_EXPR_INT16},   {"i", QN_EXPR_INT32},
    {"l", QN_EXPR_INT64},   {"m", QN_EXPR_INT64},   {"ub", QN_EXPR_UINT8},
    {"us", QN_EXPR_UINT16}, {"ui", QN_EXPR_UINT32}, {"ul", QN_EXPR_UINT64},
    {"f", QN_EXPR_FLOAT},   {"g", QN_EXPR_FLOAT},   {"d", QN_EXPR_DOUBLE},
    {"e", QN_EXPR_DOUBLE},  {"t", QN_EXPR_STRING},
};
const size_t prop_column_count = sizeof prop_columns / sizeof *prop_columns;

enum {
    OP_LEAF,
    OP_OR,
    OP_AND,
    OP_BOR,
    OP_BXOR,
    OP_BAND,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_POW,
    OP_NEG,
    OP_NOT,
    OP_IN,  /* kid 0 in the others */
    OP_IF,  /* if(a, b, c) */
    OP_MIN, /* calls of one or two */
    OP_MAX,
    OP_ABS,
    OP_SQRT,
    OP_FLOOR,
    OP_MATH, /* and one more for each row of math_calls */
};

/* Functions whose values come from the kernels of math.def, one document at a time: how
 * near those are to the truth is another test's question. */
static const struct {
    const char *name;
    qn_expr__math_id id;
} math_calls[] = {
    {"ln", QN_MATH_ln},       {"log2", QN_MATH_log2},
    {"log10", QN_MATH_log10}, {"exp", QN_MATH_exp},
    {"atan", QN_MATH_atan},   {"asin", QN_MATH_asin},
    {"acos", QN_MATH_acos},   {"sin", QN_MATH_sin},
    {"cos", QN_MATH_cos},     {"sigmoid", QN_MATH_sigmoid},
    {"ceil", QN_MATH_ceil},   {"normalize", QN_MATH_normalize_atan},
};
enum { MATH_CALLS = sizeof math_calls / sizeof *math_calls };

/* Of origin, value and scale; decay and offset by default. */
static const struct {
    const char *name;
    qn_expr__math_id id;
} decay_calls[] = {
    {"gauss_decay", QN_MATH_gauss_decay},
    {"exp_decay", QN_MATH_exp_decay},
    {"linear_decay", QN_MATH_linear_decay},
};
enum {
    DECAY_CALLS = sizeof decay_calls / sizeof *decay_calls,
    OP_DECAY = OP_MATH + MATH_CALLS,
    OP_LIMIT = OP_DECAY + DECAY_CALLS,
};

/* How tightly each binary operator binds: the two tables of the README. */
static const int formula_level[] = {0, 1, 2, 3, 4, 5, 6, 6, 7, 7, 7, 7, 8, 8, 9, 9, 10};
static const int strict_level[] = {0, 1, 2, 4, 5, 6, 3, 3, 3, 3, 3, 3, 7, 7, 8, 8, 9};
static const char *const spelling[] = {
    "",   "or", "and", "|", "^", "&", "==", "!=", "<",
    "<=", ">",  ">=",  "+", "-", "*", "/",  "**"};

static bool is_binary(int op)
{
    return op >= OP_OR && op <= OP_POW;
}

static bool is_float(qn_expr_type t)
{
    return t == QN_EXPR_FLOAT || t == QN_EXPR_DOUBLE;
}

static unsigned below(prop_gen *g, unsigned n)
{
    return (unsigned)(qn_rng_next(&g->rng) % n);
}

/* --- the table --- */

static int64_t wrap(int64_t v, qn_expr_type t)
{
    switch (t) {
    case QN_EXPR_INT8:
        return (int8_t)v;
    case QN_EXPR_INT16:
        return (int16_t)v;
    case QN_EXPR_INT32:
        return (int32_t)v;
    case QN_EXPR_UINT8:
        return (uint8_t)v;
    case QN_EXPR_UINT16:
        return (uint16_t)v;
    case QN_EXPR_UINT32:
        return (uint32_t)v;
    default:
        return v;
    }
}

static prop_cell random_cell(qn_rng *rng, qn_expr_type t)
{
    static const int64_t integers[] = {
        0, 1, -1, 2, 3, 7, 10, 127, 128, INT64_MAX, INT64_MIN, 9007199254740993};
    static const double decimals[] = {
        0, -0.0, 1, -1, 0.1, 2.5, 1e18, 1e19, -1e300, 1e308, 5e-324, 0.333333333333};
    uint64_t r = qn_rng_next(rng);
    prop_cell c;
    if (is_float(t)) {
        double v = r % 2 == 0 ? decimals[r / 2 % 12] : (qn_rng_unit(rng) - 0.5) * 100;
        c.f64 = t == QN_EXPR_FLOAT ? (double)(float)(fabs(v) > 1e30 ? 1e30 : v) : v;
    } else {
        int64_t v = r % 2 == 0 ? integers[r / 2 % 12] : (int64_t)(r / 2 % 200) - 100;
        c.i64 = wrap(v, t);
    }
    return c;
}

void prop_table_fill(prop_table *t, qn_rng *rng)
{
    static const char *const texts[] = {"", "a", "ab", "abc", "b", "\xe6\xb0\x91"};
    for (size_t c = 0; c < prop_column_count; c++)
        for (size_t d = 0; d < PROP_DOCS; d++)
            t->cells[c * PROP_DOCS + d] = random_cell(rng, prop_columns[c].type);
    for (size_t d = 0; d < PROP_DOCS; d++) t->texts[d] = texts[qn_rng_next(rng) % 6];
}

/* --- trees --- */

static prop_node *new_node(prop_gen *g, int op, qn_expr_type type)
{
    prop_node *n = &g->nodes[g->used++];
    *n = (prop_node){.op = op, .type = type};
    return n;
}

static prop_node *leaf_column(prop_gen *g, qn_expr_type type, bool any)
{
    for (;;) {
        size_t c = below(g, (unsigned)prop_column_count);
        if (prop_columns[c].type == QN_EXPR_STRING) continue;
        if (!any && prop_columns[c].type != type) continue;
        prop_node *n = new_node(g, OP_LEAF, prop_columns[c].type);
        n->column = c;
        return n;
    }
}

/* A literal that a value of `type` can be compared to. */
static prop_node *leaf_literal(prop_gen *g, qn_expr_type type)
{
    prop_node *n = new_node(g, OP_LEAF, type);
    n->literal = true;
    if (is_float(type)) {
        static const double decimals[] = {0.5, 2.0, 0.1, 3.25, 100.0, 0.0};
        n->value.f64 = decimals[below(g, 6)];
        if (type == QN_EXPR_FLOAT) n->value.f64 = (double)(float)n->value.f64;
    } else {
        bool is_signed = type <= QN_EXPR_INT64;
        n->value.i64 = (int64_t)below(g, 128) - (is_signed ? 64 : 0);
    }
    return n;
}

static bool room(const prop_gen *g)
{
    return g->used + 16 < PROP_NODES_MAX;
}

prop_node *prop_gen_formula(prop_gen *g, unsigned depth)
{
    if (depth == 0 || !room(g) || below(g, 8) == 0) {
        if (below(g, 3) == 0)
            return leaf_literal(g, below(g, 2) == 0 ? QN_EXPR_INT64 : QN_EXPR_DOUBLE);
        return leaf_column(g, 0, true);
    }
    int op = OP_OR + (int)below(g, OP_LIMIT - OP_OR);
    prop_node *n = new_node(g, op, 0);
    n->kid_count = is_binary(op)                   ? 2
                   : op == OP_IF || op >= OP_DECAY ? 3
                   : op == OP_IN                   ? 2 + below(g, 3)
                   : op == OP_MIN || op == OP_MAX  ? 2
                                                   : 1;
    for (size_t k = 0; k < n->kid_count; k++)
        n->kids[k] =
            prop_gen_formula(g, op == OP_IN && k > 0 ? below(g, 2) : depth - 1);
    return n;
}

/* A number of one type, as the strict dialect wants it; never all literal. */
static prop_node *strict_number(prop_gen *g, qn_expr_type type, unsigned depth)
{
    if (depth == 0 || !room(g) || below(g, 4) == 0) return leaf_column(g, type, false);
    static const int ops[] = {OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_BOR, OP_BXOR, OP_BAND};
    prop_node *n = new_node(g, ops[below(g, is_float(type) ? 4 : 7)], type);
    n->kid_count = 2;
    bool literal_left = below(g, 6) == 0,
         literal_right = !literal_left && below(g, 3) == 0;
    n->kids[0] =
        literal_left ? leaf_literal(g, type) : strict_number(g, type, depth - 1);
    n->kids[1] =
        literal_right ? leaf_literal(g, type) : strict_number(g, type, depth - 1);
    return n;
}

prop_node *prop_gen_condition(prop_gen *g, unsigned depth)
{
    unsigned pick = depth == 0 || !room(g) ? 3 : below(g, 6);
    if (pick < 2) {
        prop_node *n = new_node(g, pick == 0 ? OP_OR : OP_AND, QN_EXPR_BOOL);
        n->kid_count = 2;
        n->kids[0] = prop_gen_condition(g, depth - 1);
        n->kids[1] = prop_gen_condition(g, depth - 1);
        return n;
    }
    if (pick == 2) {
        prop_node *n = new_node(g, OP_NOT, QN_EXPR_BOOL);
        n->kid_count = 1;
        n->kids[0] = prop_gen_condition(g, depth - 1);
        return n;
    }
    qn_expr_type type = prop_columns[below(g, (unsigned)prop_column_count - 1)].type;
    if (pick == 4) {
        prop_node *n = new_node(g, OP_IN, QN_EXPR_BOOL);
        n->kid_count = 2 + below(g, 3);
        n->kids[0] = strict_number(g, type, depth / 2);
        for (size_t k = 1; k < n->kid_count; k++) n->kids[k] = leaf_literal(g, type);
        return n;
    }
    prop_node *n = new_node(g, OP_EQ + (int)below(g, 6), QN_EXPR_BOOL);
    n->kid_count = 2;
    n->kids[0] = strict_number(g, type, depth / 2);
    n->kids[1] =
        below(g, 2) == 0 ? leaf_literal(g, type) : strict_number(g, type, depth / 2);
    return n;
}

/* --- text --- */

static void print_leaf(const prop_node *n, qn_buf *out)
{
    if (!n->literal)
        qn_buf_add_str(out, prop_columns[n->column].name);
    else if (is_float(n->type)) {
        /* Digits with a point and no exponent: all the strict lexer reads. The values
         * are chosen to be exact in few digits, or the float nearest to them. */
        double v = n->type == QN_EXPR_FLOAT && n->value.f64 == (double)0.1f
                       ? 0.1
                       : n->value.f64;
        qn_buf_printf(out, "%.2f", v);
    } else
        qn_buf_printf(out, "%lld", (long long)n->value.i64);
}

static int level_of(const prop_node *n, bool strict)
{
    if (n->op == OP_IN) return strict ? 3 : 7;
    if (is_binary(n->op)) return strict ? strict_level[n->op] : formula_level[n->op];
    return 100;
}

static void print_kid(prop_gen *g, const prop_node *kid, bool wrap_it, bool strict,
                      qn_buf *out)
{
    if (!wrap_it) wrap_it = below(g, 8) == 0;
    if (wrap_it) qn_buf_add_char(out, '(');
    prop_print(g, kid, strict, out);
    if (wrap_it) qn_buf_add_char(out, ')');
}

static void print_call(prop_gen *g, const prop_node *n, const char *name, bool strict,
                       qn_buf *out)
{
    qn_buf_printf(out, "%s(", name);
    for (size_t k = 0; k < n->kid_count; k++) {
        if (k > 0) qn_buf_add_str(out, ", ");
        prop_print(g, n->kids[k], strict, out);
    }
    qn_buf_add_char(out, ')');
}

void prop_print(prop_gen *g, const prop_node *n, bool strict, qn_buf *out)
{
    static const char *const names[] = {"if", "min", "max", "abs", "sqrt", "floor"};
    int level = level_of(n, strict);
    if (n->op == OP_LEAF) {
        print_leaf(n, out);
    } else if (n->op == OP_IN) {
        print_kid(g, n->kids[0], level_of(n->kids[0], strict) < level, strict, out);
        qn_buf_add_str(out, " in (");
        for (size_t k = 1; k < n->kid_count; k++) {
            if (k > 1) qn_buf_add_char(out, ',');
            prop_print(g, n->kids[k], strict, out);
        }
        qn_buf_add_char(out, ')');
    } else if (n->op == OP_NEG || n->op == OP_NOT) {
        qn_buf_add_str(out, n->op == OP_NEG ? "- " : "!");
        print_kid(g, n->kids[0], level_of(n->kids[0], strict) < 100, strict, out);
    } else if (is_binary(n->op)) {
        bool to_the_right = n->op == OP_POW; /* the only one that groups so */
        int left = level_of(n->kids[0], strict), right = level_of(n->kids[1], strict);
        print_kid(g, n->kids[0], left < level || (left == level && to_the_right),
                  strict, out);
        qn_buf_printf(out, " %s\n", spelling[n->op]);
        print_kid(g, n->kids[1], right < level || (right == level && !to_the_right),
                  strict, out);
    } else {
        print_call(g, n,
                   n->op >= OP_DECAY  ? decay_calls[n->op - OP_DECAY].name
                   : n->op >= OP_MATH ? math_calls[n->op - OP_MATH].name
                                      : names[n->op - OP_IF],
                   strict, out);
    }
}

/* --- the formula's meaning --- */

/* A number that is still an integer, or a double. */
typedef struct number {
    bool is_int, is_unsigned;
    int64_t i64;
    double f64;
} number;

static number integer(int64_t v)
{
    return (number){.is_int = true, .i64 = v};
}

static number decimal(double v)
{
    return (number){.f64 = v};
}

static double as_double(number v)
{
    if (!v.is_int) return v.f64;
    return v.is_unsigned ? (double)(uint64_t)v.i64 : (double)v.i64;
}

static int64_t as_integer(number v)
{
    if (v.is_int) return v.i64;
    if (isnan(v.f64)) return 0;
    if (v.f64 >= 0x1p63) return INT64_MAX;
    return v.f64 < -0x1p63 ? INT64_MIN : (int64_t)v.f64;
}

static bool as_bool(number v)
{
    if (v.is_int) return v.i64 != 0;
    return !isnan(v.f64) && v.f64 != 0;
}

/* Integers exactly, across the sign rules where the rules allow; else as doubles. */
static bool holds(int op, number a, number b, bool a_literal, bool b_literal)
{
    bool exact =
        a.is_int && b.is_int &&
        (a.is_unsigned == b.is_unsigned || (a.is_unsigned && b_literal && b.i64 >= 0) ||
         (b.is_unsigned && a_literal && a.i64 >= 0));
    bool less, equal, greater;
    if (exact && (a.is_unsigned || b.is_unsigned)) {
        uint64_t x = (uint64_t)a.i64, y = (uint64_t)b.i64;
        less = x<y, equal = x == y, greater = x> y;
    } else if (exact) {
        less = a.i64<b.i64, equal = a.i64 == b.i64, greater = a.i64> b.i64;
    } else {
        double x = as_double(a), y = as_double(b);
        less = x<y, equal = x == y, greater = x> y;
    }
    switch (op) {
    case OP_EQ:
        return equal;
    case OP_NE:
        return !equal;
    case OP_LT:
        return less;
    case OP_LE:
        return less || equal;
    case OP_GT:
        return greater;
    default:
        return greater || equal;
    }
}

/* A literal, or what folds to an integer constant: only leaves are generated so that
 * "constant" needs no second definition; see eval_in and holds. */
static bool is_constant(const prop_node *n)
{
    if (n->op == OP_LEAF) return n->literal;
    for (size_t k = 0; k < n->kid_count; k++)
        if (!is_constant(n->kids[k])) return false;
    return true;
}

static number eval(const prop_node *n, const prop_table *t, size_t doc);

/* All as doubles when x or a constant element is one; else as integers. */
static number eval_in(const prop_node *n, const prop_table *t, size_t doc)
{
    number x = eval(n->kids[0], t, doc);
    bool any = false, doubles = !x.is_int;
    for (size_t k = 1; k < n->kid_count; k++)
        doubles |= !eval(n->kids[k], t, doc).is_int;
    for (size_t k = 1; k < n->kid_count; k++) {
        number y = eval(n->kids[k], t, doc);
        if (doubles)
            any |= as_double(x) == as_double(y);
        else if (is_constant(n->kids[k])) /* same value in the same sign rule */
            any |= x.i64 == y.i64 && (x.i64 >= 0 || x.is_unsigned == y.is_unsigned);
        else
            any |= holds(OP_EQ, x, y, is_constant(n->kids[0]), false);
    }
    return integer(any);
}

static double pow_of(double x, double y)
{
    return qn_expr__math_eval(QN_MATH_pow, (double[]){x, y});
}

static number eval_arithmetic(int op, double x, double y)
{
    switch (op) {
    case OP_ADD:
        return decimal(x + y);
    case OP_SUB:
        return decimal(x - y);
    case OP_MUL:
        return decimal(x * y);
    case OP_DIV:
        return decimal(y == 0 ? (double)NAN : x / y);
    default:
        return decimal(isnan(x) || isnan(y) ? (double)NAN : pow_of(x, y));
    }
}

static number eval_binary(const prop_node *n, number a, number b)
{
    switch (n->op) {
    case OP_OR:
        return integer(as_bool(a) || as_bool(b));
    case OP_AND:
        return integer(as_bool(a) && as_bool(b));
    case OP_BOR:
        return integer(as_integer(a) | as_integer(b));
    case OP_BXOR:
        return integer(as_integer(a) ^ as_integer(b));
    case OP_BAND:
        return integer(as_integer(a) & as_integer(b));
    case OP_EQ:
    case OP_NE:
    case OP_LT:
    case OP_LE:
    case OP_GT:
    case OP_GE:
        return integer(
            holds(n->op, a, b, is_constant(n->kids[0]), is_constant(n->kids[1])));
    default:
        return eval_arithmetic(n->op, as_double(a), as_double(b));
    }
}

/* if(): an integer when both branches are, of one sign rule. The branch that a constant
 * condition leaves out counts too: types do not depend on values. */
static number eval_if(const prop_node *n, const prop_table *t, size_t doc)
{
    number yes = eval(n->kids[1], t, doc), no = eval(n->kids[2], t, doc);
    bool condition = as_bool(eval(n->kids[0], t, doc));
    number chosen = condition ? yes : no;
    if (yes.is_int && no.is_int && yes.is_unsigned == no.is_unsigned) return chosen;
    return decimal(as_double(chosen));
}

static number eval_decay(const prop_node *n, number a, number b, number c)
{
    double least = 0.000001;
    double ln = qn_expr__math_eval(QN_MATH_ln, &least);
    double v[] = {as_double(a), as_double(b), as_double(c), least, 0, ln};
    return decimal(qn_expr__math_eval(decay_calls[n->op - OP_DECAY].id, v));
}

static number eval_call(const prop_node *n, number a, number b)
{
    double x = as_double(a), y = as_double(b);
    switch (n->op) {
    case OP_MIN:
        return decimal(isnan(x) || isnan(y) ? (double)NAN : x < y ? x : y);
    case OP_MAX:
        return decimal(isnan(x) || isnan(y) ? (double)NAN : x > y ? x : y);
    case OP_ABS:
        return decimal(fabs(x));
    case OP_SQRT:
        return decimal(sqrt(x));
    case OP_FLOOR:
        return decimal(floor(x));
    default:
        return decimal(qn_expr__math_eval(math_calls[n->op - OP_MATH].id, &x));
    }
}

static number eval(const prop_node *n, const prop_table *t, size_t doc)
{
    if (n->op == OP_LEAF) {
        prop_cell c = n->literal ? n->value : t->cells[n->column * PROP_DOCS + doc];
        if (is_float(n->type)) return decimal(c.f64);
        number v = integer(c.i64);
        v.is_unsigned = n->type == QN_EXPR_UINT64;
        return v;
    }
    if (n->op == OP_IN) return eval_in(n, t, doc);
    if (n->op == OP_IF) return eval_if(n, t, doc);
    number a = eval(n->kids[0], t, doc);
    if (n->op >= OP_DECAY)
        return eval_decay(n, a, eval(n->kids[1], t, doc), eval(n->kids[2], t, doc));
    if (n->op == OP_NEG) return decimal(-as_double(a));
    if (n->op == OP_NOT) return integer(!as_bool(a));
    number b = n->kid_count > 1 ? eval(n->kids[1], t, doc) : integer(0);
    return is_binary(n->op) ? eval_binary(n, a, b) : eval_call(n, a, b);
}

double prop_eval_formula(const prop_node *n, const prop_table *t, size_t doc)
{
    return as_double(eval(n, t, doc));
}

/* --- the strict meaning: C's own types do the work --- */

#define STRICT_INT(T, x, y)                                                            \
    switch (n->op) {                                                                   \
    case OP_ADD:                                                                       \
        return (int64_t)(T)((uint64_t)(x) + (uint64_t)(y));                            \
    case OP_SUB:                                                                       \
        return (int64_t)(T)((uint64_t)(x) - (uint64_t)(y));                            \
    case OP_MUL:                                                                       \
        return (int64_t)(T)((uint64_t)(x) * (uint64_t)(y));                            \
    case OP_BOR:                                                                       \
        return (int64_t)(T)((x) | (y));                                                \
    case OP_BXOR:                                                                      \
        return (int64_t)(T)((x) ^ (y));                                                \
    case OP_BAND:                                                                      \
        return (int64_t)(T)((x) & (y));                                                \
    default:                                                                           \
        break;                                                                         \
    }                                                                                  \
    if ((y) == 0) return 0;                                                            \
    if (n->type <= QN_EXPR_INT64 && (int64_t)(y) == -1) /* the quotient may not fit */ \
        return (int64_t)(T)(0 - (uint64_t)(x));                                        \
    return (int64_t)(T)((T)(x) / (T)(y))

static int64_t strict_int(const prop_node *n, int64_t x, int64_t y)
{
    switch (n->type) {
    case QN_EXPR_INT8:
        STRICT_INT(int8_t, x, y);
    case QN_EXPR_INT16:
        STRICT_INT(int16_t, x, y);
    case QN_EXPR_INT32:
        STRICT_INT(int32_t, x, y);
    case QN_EXPR_INT64:
        STRICT_INT(int64_t, x, y);
    case QN_EXPR_UINT8:
        STRICT_INT(uint8_t, x, y);
    case QN_EXPR_UINT16:
        STRICT_INT(uint16_t, x, y);
    case QN_EXPR_UINT32:
        STRICT_INT(uint32_t, x, y);
    default:
        STRICT_INT(uint64_t, x, y);
    }
}

static double strict_float(const prop_node *n, double x, double y)
{
    float a = (float)x, b = (float)y;
    bool narrow = n->type == QN_EXPR_FLOAT;
    switch (n->op) {
    case OP_ADD:
        return narrow ? (double)(a + b) : x + y;
    case OP_SUB:
        return narrow ? (double)(a - b) : x - y;
    case OP_MUL:
        return narrow ? (double)(a * b) : x * y;
    default:
        break;
    }
    if (y == 0) return 0;
    return narrow ? (double)(a / b) : x / y;
}

static prop_cell strict_cell(const prop_node *n, const prop_table *t, size_t doc)
{
    prop_cell c;
    if (n->op == OP_LEAF)
        return n->literal ? n->value : t->cells[n->column * PROP_DOCS + doc];
    prop_cell x = strict_cell(n->kids[0], t, doc), y = strict_cell(n->kids[1], t, doc);
    if (is_float(n->type))
        c.f64 = strict_float(n, x.f64, y.f64);
    else
        c.i64 = strict_int(n, x.i64, y.i64);
    return c;
}

static bool strict_holds(int op, qn_expr_type type, prop_cell x, prop_cell y)
{
    number a = is_float(type) ? decimal(x.f64) : integer(x.i64);
    number b = is_float(type) ? decimal(y.f64) : integer(y.i64);
    a.is_unsigned = b.is_unsigned = type == QN_EXPR_UINT64;
    return holds(op, a, b, false, false);
}

int64_t prop_eval_strict(const prop_node *n, const prop_table *t, size_t doc)
{
    if (n->op == OP_OR)
        return prop_eval_strict(n->kids[0], t, doc) ||
               prop_eval_strict(n->kids[1], t, doc);
    if (n->op == OP_AND)
        return prop_eval_strict(n->kids[0], t, doc) &&
               prop_eval_strict(n->kids[1], t, doc);
    if (n->op == OP_NOT) return !prop_eval_strict(n->kids[0], t, doc);
    qn_expr_type type = n->kids[0]->type;
    prop_cell x = strict_cell(n->kids[0], t, doc);
    bool any = false;
    for (size_t k = 1; k < n->kid_count; k++)
        any |= strict_holds(n->op == OP_IN ? OP_EQ : n->op, type, x,
                            strict_cell(n->kids[k], t, doc));
    return any;
}

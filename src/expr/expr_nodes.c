/* SPDX-License-Identifier: Apache-2.0 */
/* expr_nodes.c -- making typed values: equal ones are one node, constant ones fold. */
#include "expr/expr_internal.h"

#include <math.h>

const qn_expr__opinfo qn_expr__opcodes[QN_OP_COUNT] = {
#define KIND(letter) (#letter)[0]
#define OP(name, text, r, a, b, c, value, meaning)                                     \
    {text, KIND(r), KIND(a), KIND(b), KIND(c), true},
#define OPX(name, text, r, a, b, c, meaning)                                           \
    {text, KIND(r), KIND(a), KIND(b), KIND(c), false},
#include "expr/opcodes.def"
#undef OP
#undef OPX
#undef KIND
};

/* --- sharing --- */

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9E3779B97F4A7C15u;
    return h ^ (h >> 29);
}

static uint64_t hash_node(const qn_expr__node *n)
{
    uint64_t h = mix(0, (uint64_t)n->op << 16 | (uint64_t)n->type << 8 | n->is_list);
    h = mix(h, (uint64_t)n->a << 32 | n->b);
    return mix(mix(h, n->c), n->bits);
}

static bool same_node(const qn_expr__node *x, const qn_expr__node *y)
{
    return x->op == y->op && x->type == y->type && x->is_list == y->is_list &&
           x->a == y->a && x->b == y->b && x->c == y->c && x->bits == y->bits;
}

/* The slot that holds an equal node, or the free one where it belongs. */
static uint32_t *find_bucket(qn_expr__builder *b, const qn_expr__node *n)
{
    size_t mask = b->bucket_count - 1, i = hash_node(n) & mask;
    while (b->buckets[i] != 0 && !same_node(&b->e->nodes.p[b->buckets[i] - 1], n))
        i = (i + 1) & mask;
    return &b->buckets[i];
}

static bool grow_buckets(qn_expr__builder *b)
{
    size_t count = b->bucket_count == 0 ? 128 : b->bucket_count * 2;
    uint32_t *grown = qn_new_array(b->alloc, count, sizeof *grown);
    if (grown == NULL) return false;
    qn_delete(b->alloc, b->buckets);
    b->buckets = grown;
    b->bucket_count = count;
    for (size_t i = 0; i < b->e->nodes.n; i++)
        *find_bucket(b, &b->e->nodes.p[i]) = (uint32_t)i + 1;
    return true;
}

/* Node 0 stands in when memory ran out; `failed` is checked before any is used. */
uint32_t qn_expr__node_add(qn_expr__builder *b, qn_expr__node n)
{
    if (b->e->nodes.n * 2 >= b->bucket_count && !grow_buckets(b)) b->failed = true;
    if (b->failed) return 0;
    uint32_t *bucket = find_bucket(b, &n);
    if (*bucket == 0) {
        if (!qn_vec_push(b->alloc, &b->e->nodes, n)) {
            b->failed = true;
            return 0;
        }
        *bucket = (uint32_t)b->e->nodes.n;
    }
    return *bucket - 1;
}

/* --- constants --- */

uint32_t qn_expr__const_i(qn_expr__builder *b, qn_expr_type type, int64_t v)
{
    return qn_expr__node_add(b, (qn_expr__node){.op = QN_OP_CONSTI,
                                                .type = (uint8_t)type,
                                                .bits = (uint64_t)v});
}

uint32_t qn_expr__const_f(qn_expr__builder *b, qn_expr_type type, double v)
{
    qn_expr__node n = {.op = QN_OP_CONSTF, .type = (uint8_t)type};
    memcpy(&n.bits, &v, sizeof v);
    return qn_expr__node_add(b, n);
}

uint32_t qn_expr__const_s(qn_expr__builder *b, qn_slice v)
{
    size_t i = 0, n = b->e->strings.n;
    while (i < n && !qn_slice_eq(b->e->strings.p[i], v)) i++;
    if (i == n) {
        qn_slice copy = qn_arena_slice(&b->e->arena, v);
        if (copy.p == NULL || !qn_vec_push(b->alloc, &b->e->strings, copy))
            b->failed = true;
    }
    return qn_expr__node_add(
        b,
        (qn_expr__node){.op = QN_OP_CONSTS, .type = QN_EXPR_STRING, .a = (uint32_t)i});
}

static double node_double(const qn_expr__node *n)
{
    double v;
    memcpy(&v, &n->bits, sizeof v);
    return v;
}

bool qn_expr__is_const(const qn_expr *e, uint32_t node, double *value)
{
    if (node >= e->nodes.n) return false;
    const qn_expr__node *n = &e->nodes.p[node];
    if (n->op == QN_OP_CONSTF)
        *value = node_double(n);
    else if (n->op == QN_OP_CONSTI && n->type == QN_EXPR_UINT64)
        *value = (double)n->bits;
    else if (n->op == QN_OP_CONSTI)
        *value = (double)(int64_t)n->bits;
    else
        return false;
    return true;
}

/* --- operations --- */

enum { FOLD_LANES = 8 };
typedef union fold_lanes {
    int64_t i64[FOLD_LANES];
    double f64[FOLD_LANES];
    qn_slice str[FOLD_LANES];
} fold_lanes;

/* Fills the lanes from a constant node; false when it is none. Kind N needs none. */
static bool fold_operand(const qn_expr__builder *b, char kind, uint32_t node,
                         fold_lanes *out)
{
    if (kind == 'N') return true;
    const qn_expr__node *n = qn_expr__node_at(b, node);
    if (n->op != QN_OP_CONSTI && n->op != QN_OP_CONSTF && n->op != QN_OP_CONSTS)
        return false;
    for (size_t i = 0; i < FOLD_LANES; i++) {
        if (n->op == QN_OP_CONSTS) out->str[i] = b->e->strings.p[n->a];
        if (n->op == QN_OP_CONSTI) out->i64[i] = (int64_t)n->bits;
        if (n->op == QN_OP_CONSTF) out->f64[i] = node_double(n);
    }
    return true;
}

uint32_t qn_expr__op(qn_expr__builder *b, qn_expr__opcode op, qn_expr_type type,
                     uint32_t x, uint32_t y, uint32_t z)
{
    const qn_expr__opinfo *info = &qn_expr__opcodes[op];
    if (b->failed) return 0;
    _Alignas(64) fold_lanes fx, fy, fz, dst;
    if (info->pure && fold_operand(b, info->a, x, &fx) &&
        fold_operand(b, info->b, y, &fy) && fold_operand(b, info->c, z, &fz)) {
        qn_expr__kernels_base.ops[op](FOLD_LANES, &dst, &fx, &fy, &fz);
        return info->r == 'F' ? qn_expr__const_f(b, type, dst.f64[0])
                              : qn_expr__const_i(b, type, dst.i64[0]);
    }
    /* A choice that is known needs only the chosen side. */
    if ((op == QN_OP_SELF || op == QN_OP_SELI) && fold_operand(b, 'I', x, &fx))
        return fx.i64[0] != 0 ? y : z;
    return qn_expr__node_add(b, (qn_expr__node){.op = (uint16_t)op,
                                                .type = (uint8_t)type,
                                                .a = x,
                                                .b = info->b == 'N' ? 0 : y,
                                                .c = info->c == 'N' ? 0 : z});
}

/* The index of these operands in e->args, shared with an equal earlier call. */
static uint32_t call_args(qn_expr__builder *b, const uint32_t *args, size_t n)
{
    for (size_t i = 0; i + n <= b->e->args.n; i++)
        if (memcmp(b->e->args.p + i, args, n * sizeof *args) == 0) return (uint32_t)i;
    uint32_t at = (uint32_t)b->e->args.n;
    for (size_t i = 0; i < n; i++)
        if (!qn_vec_push(b->alloc, &b->e->args, args[i])) b->failed = true;
    return at;
}

uint32_t qn_expr__call(qn_expr__builder *b, qn_expr__math_id function,
                       const uint32_t *args)
{
    const qn_expr__math *math = &qn_expr__maths[function];
    uint32_t doubles[QN_EXPR__MATH_ARGS_MAX];
    double values[QN_EXPR__MATH_ARGS_MAX];
    size_t constant = 0;
    for (size_t i = 0; i < math->args; i++) {
        doubles[i] = qn_expr__to_double(b, args[i]);
        constant += qn_expr__is_const(b->e, doubles[i], &values[i]);
    }
    if (b->failed) return 0;
    if (constant == math->args)
        return qn_expr__const_f(b, QN_EXPR_DOUBLE,
                                qn_expr__math_eval(function, values));
    uint32_t at = call_args(b, doubles, math->args);
    return qn_expr__node_add(b, (qn_expr__node){.op = QN_OP_CALL,
                                                .type = QN_EXPR_DOUBLE,
                                                .a = at,
                                                .b = math->args,
                                                .c = (uint32_t)function});
}

/* --- types --- */

bool qn_expr__type_is_int(qn_expr_type t)
{
    return t >= QN_EXPR_INT8 && t <= QN_EXPR_UINT64;
}

bool qn_expr__type_is_float(qn_expr_type t)
{
    return t == QN_EXPR_FLOAT || t == QN_EXPR_DOUBLE;
}

bool qn_expr__type_is_number(qn_expr_type t)
{
    return qn_expr__type_is_int(t) || qn_expr__type_is_float(t);
}

bool qn_expr__int_fits(qn_expr_type type, int64_t v, bool is_unsigned)
{
    bool huge = is_unsigned && v < 0; /* 2^63 and more */
    switch (type) {
    case QN_EXPR_INT8:
        return !huge && v >= INT8_MIN && v <= INT8_MAX;
    case QN_EXPR_INT16:
        return !huge && v >= INT16_MIN && v <= INT16_MAX;
    case QN_EXPR_INT32:
        return !huge && v >= INT32_MIN && v <= INT32_MAX;
    case QN_EXPR_INT64:
        return !huge;
    case QN_EXPR_UINT8:
        return !huge && v >= 0 && v <= UINT8_MAX;
    case QN_EXPR_UINT16:
        return !huge && v >= 0 && v <= UINT16_MAX;
    case QN_EXPR_UINT32:
        return !huge && v >= 0 && v <= (int64_t)UINT32_MAX;
    case QN_EXPR_UINT64:
        return huge || v >= 0;
    default:
        return false;
    }
}

uint32_t qn_expr__narrow(qn_expr__builder *b, uint32_t node, qn_expr_type type)
{
    static const qn_expr__opcode ops[] = {
        [QN_EXPR_INT8] = QN_OP_SX8,    [QN_EXPR_INT16] = QN_OP_SX16,
        [QN_EXPR_INT32] = QN_OP_SX32,  [QN_EXPR_UINT8] = QN_OP_ZX8,
        [QN_EXPR_UINT16] = QN_OP_ZX16, [QN_EXPR_UINT32] = QN_OP_ZX32,
        [QN_EXPR_FLOAT] = QN_OP_RNDF,  [QN_EXPR_STRING] = QN_OP_DONE,
    };
    qn_expr__opcode op = ops[type]; /* DONE, which is 0: as wide as the register */
    return op == QN_OP_DONE ? node : qn_expr__op(b, op, type, node, 0, 0);
}

static qn_expr_type type_of(const qn_expr__builder *b, uint32_t node)
{
    return (qn_expr_type)qn_expr__node_at(b, node)->type;
}

uint32_t qn_expr__to_double(qn_expr__builder *b, uint32_t node)
{
    if (b->failed) return 0;
    qn_expr_type t = type_of(b, node);
    if (qn_expr__type_is_float(t)) return node;
    return qn_expr__op(b, t == QN_EXPR_UINT64 ? QN_OP_U2F : QN_OP_I2F, QN_EXPR_DOUBLE,
                       node, 0, 0);
}

uint32_t qn_expr__to_integer(qn_expr__builder *b, uint32_t node)
{
    if (b->failed || !qn_expr__type_is_float(type_of(b, node))) return node;
    return qn_expr__op(b, QN_OP_F2I, QN_EXPR_INT64, node, 0, 0);
}

uint32_t qn_expr__to_bool(qn_expr__builder *b, uint32_t node)
{
    if (b->failed) return 0;
    qn_expr_type t = type_of(b, node);
    if (t == QN_EXPR_BOOL) return node;
    return qn_expr__op(b, qn_expr__type_is_float(t) ? QN_OP_TRUEF : QN_OP_TRUEI,
                       QN_EXPR_BOOL, node, 0, 0);
}

/* --- inputs --- */

static uint32_t constant_symbol(qn_expr__builder *b, const qn_expr_symbol *s)
{
    if (s->type == QN_EXPR_STRING) return qn_expr__const_s(b, s->str);
    if (qn_expr__type_is_float(s->type)) return qn_expr__const_f(b, s->type, s->f64);
    return qn_expr__const_i(b, s->type, s->i64);
}

qn_status qn_expr__input(qn_expr__builder *b, qn_slice key, bool is_call,
                         const qn_expr_symbol *symbol, uint64_t at, uint32_t *node)
{
    if (symbol->constant) {
        *node = constant_symbol(b, symbol);
        return QN_OK;
    }
    if (b->e->inputs.n >= QN_EXPR_INPUTS_MAX)
        return qn_fail_at(b->err, QN_ELIMIT, at, "more than %d names and features",
                          QN_EXPR_INPUTS_MAX);
    qn_expr_input input = {.text = qn_arena_slice(&b->e->arena, key),
                           .is_call = is_call,
                           .symbol = *symbol};
    if (input.text.p == NULL || !qn_vec_push(b->alloc, &b->e->inputs, input))
        return qn_fail(b->err, QN_ENOMEM, "expression");
    qn_expr__opcode op = symbol->multi                          ? QN_OP_LOADL
                         : symbol->type == QN_EXPR_STRING       ? QN_OP_LOADS
                         : qn_expr__type_is_float(symbol->type) ? QN_OP_LOADF
                                                                : QN_OP_LOADI;
    *node = qn_expr__node_add(b, (qn_expr__node){.op = (uint16_t)op,
                                                 .type = (uint8_t)symbol->type,
                                                 .is_list = symbol->multi,
                                                 .a = (uint32_t)(b->e->inputs.n - 1)});
    if (b->failed || !qn_vec_push(b->alloc, &b->e->input_nodes, *node))
        return qn_fail(b->err, QN_ENOMEM, "expression");
    return QN_OK;
}

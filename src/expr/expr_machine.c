/* SPDX-License-Identifier: Apache-2.0 */
/* expr_machine.c -- the interpreter: each step over a whole register of documents, so
 * that the cost of choosing a step is shared by QN_EXPR_LANES of them. */
#include "expr/code.h"
#include "expr/expr_form.h"

#include "base/clock.h"

#include <math.h>
#include <stdlib.h>

struct qn_expr_machine {
    qn_alloc *alloc;
    const qn_expr *e;
    const qn_expr__program *program;
    const qn_expr__kernels *kernels;
    uint64_t *regs;      /* numbers: regs + r * QN_EXPR_LANES */
    qn_slice *strings;   /* the same for strings */
    qn_expr_list *lists; /* and lists */

    /* Machine code. */
    qn_code *code;      /* NULL: none wanted */
    qn_code_unit *unit; /* NULL: not asked yet */
    uint64_t work;      /* since the unit was last told */
    uint64_t weight;    /* of a document */
    qn_expr__blocks blocks;
    void *const *entries; /* by block; NULL: interpret */
};

/* --- registers --- */

static int64_t *reg_i(const qn_expr_machine *m, uint16_t r)
{
    return (int64_t *)(m->regs + (size_t)r * QN_EXPR_LANES);
}

static double *reg_f(const qn_expr_machine *m, uint16_t r)
{
    return (double *)(m->regs + (size_t)r * QN_EXPR_LANES);
}

static qn_slice *reg_s(const qn_expr_machine *m, uint16_t r)
{
    return m->strings + (size_t)r * QN_EXPR_LANES;
}

static qn_expr_list *reg_l(const qn_expr_machine *m, uint16_t r)
{
    return m->lists + (size_t)r * QN_EXPR_LANES;
}

static void *reg_of_kind(const qn_expr_machine *m, char kind, uint16_t r)
{
    if (kind == 'S') return reg_s(m, r);
    return kind == 'N' ? NULL : (void *)reg_i(m, r);
}

static void fill_constants(qn_expr_machine *m)
{
    for (size_t k = 0; k < m->program->constants.n; k++) {
        const qn_expr__constant *c = &m->program->constants.p[k];
        for (size_t i = 0; i < QN_EXPR_LANES; i++)
            if (c->kind == 'S')
                reg_s(m, c->reg)[i] = c->str;
            else
                reg_i(m, c->reg)[i] = (int64_t)c->bits;
    }
}

const qn_expr__kernels *qn_expr__kernels_at(size_t k)
{
#ifdef QN_EXPR_X86
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && k-- == 0)
        return &qn_expr__kernels_avx512;
    if (__builtin_cpu_supports("avx2") && k-- == 0) return &qn_expr__kernels_avx2;
#endif
    return k == 0 ? &qn_expr__kernels_base : NULL;
}

/* The fastest, or the one that $QUERN_KERNELS names where this CPU can run it. */
static const qn_expr__kernels *choose_kernels(void)
{
    const char *forced = getenv("QUERN_KERNELS");
    for (size_t k = 0; forced != NULL; k++) {
        const qn_expr__kernels *set = qn_expr__kernels_at(k);
        if (set == NULL) break;
        if (strcmp(set->name, forced) == 0) return set;
    }
    return qn_expr__kernels_at(0);
}

qn_status qn_expr__machine_make(qn_alloc *alloc, const qn_expr *e,
                                const qn_expr__program *p,
                                const qn_expr__kernels *kernels,
                                QN_OWNED qn_expr_machine **out, qn_error *err)
{
    *out = NULL;
    qn_expr_machine *m = qn_new0(alloc, sizeof *m);
    if (m == NULL) return qn_fail(err, QN_ENOMEM, "registers");
    *m = (qn_expr_machine){.alloc = alloc, .e = e, .program = p};
    m->kernels = kernels != NULL ? kernels : choose_kernels();
    size_t lane_count = QN_EXPR_LANES;
    m->regs = qn_new_aligned(alloc, 64, p->regs * lane_count * sizeof *m->regs + 64);
    m->strings = qn_new_array(alloc, p->string_regs * lane_count + 1, sizeof(qn_slice));
    m->lists = qn_new_array(alloc, p->list_regs * lane_count + 1, sizeof(qn_expr_list));
    if (m->regs == NULL || m->strings == NULL || m->lists == NULL) {
        qn_expr_machine_destroy(m);
        return qn_fail(err, QN_ENOMEM, "registers");
    }
    /* Of a string that was jumped over and is never looked at, too. */
    for (size_t i = 0; i < p->string_regs * lane_count; i++)
        m->strings[i] = (qn_slice){"", 0};
    fill_constants(m);
    *out = m;
    return QN_OK;
}

qn_status qn_expr_machine_create(qn_alloc *alloc, const qn_expr *e,
                                 QN_OWNED qn_expr_machine **out, qn_error *err)
{
    return qn_expr__machine_make(alloc, e, &e->program, NULL, out, err);
}

void qn_expr_machine_destroy(QN_OWNED QN_NULLABLE qn_expr_machine *m)
{
    if (m == NULL) return;
    if (m->unit != NULL) (void)qn_code_entries(m->unit, m->work);
    qn_code_release(m->unit);
    qn_delete_aligned(m->alloc, m->regs);
    qn_delete(m->alloc, m->strings);
    qn_delete(m->alloc, m->lists);
    qn_delete(m->alloc, m);
}

/* --- machine code --- */

void qn_expr_machine_use(qn_expr_machine *m, QN_NULLABLE qn_code *code)
{
    qn_assert(m->unit == NULL);
    m->code = code;
    m->weight = m->program->steps.n;
}

bool qn_expr_machine_is_compiled(const qn_expr_machine *m)
{
    return m->entries != NULL;
}

/* The first time it has worked a little: what of the program could be compiled. */
static void ask_for_unit(qn_expr_machine *m)
{
    enum { WEIGHT_MIN = 3 };
    qn_expr__blocks_find(m->program, &m->blocks);
    m->weight = m->blocks.weight;
    qn_buf form;
    qn_buf_init(&form, m->alloc);
    if (m->weight >= WEIGHT_MIN) qn_expr__form_write(m->program, &m->blocks, &form);
    if (m->weight >= WEIGHT_MIN && !form.failed)
        m->unit = qn_code_acquire(m->code, QN_CODE_EXPR, qn_buf_slice(&form));
    qn_buf_deinit(&form);
    if (m->unit == NULL) m->code = NULL;
}

static void note_work(qn_expr_machine *m, size_t n)
{
    if (m->code == NULL || m->entries != NULL) return;
    m->work += n * m->weight;
    if (m->work < qn_code_ask_after(m->code)) return;
    if (m->unit == NULL) ask_for_unit(m);
    if (m->unit != NULL) m->entries = qn_code_entries(m->unit, m->work);
    m->work = 0;
}

typedef void (*block_code)(uint64_t *registers, uint64_t n);

static void run_block(qn_expr_machine *m, size_t block, size_t n)
{
    block_code run = (block_code)(uintptr_t)m->entries[block];
    run(m->regs, (n + 7) & ~(uint64_t)7);
}

/* --- steps that are no plain loop --- */

static qn_status run_load(qn_expr_machine *m, const qn_expr__step *s,
                          const qn_expr_batch *b, size_t first, size_t n, qn_error *err)
{
    qn_expr_values v = {0};
    switch (qn_expr__opcodes[s->op].r) {
    case 'I':
        v.i64 = reg_i(m, s->dst);
        break;
    case 'F':
        v.f64 = reg_f(m, s->dst);
        break;
    case 'S':
        v.str = reg_s(m, s->dst);
        break;
    default:
        v.lists = reg_l(m, s->dst);
        break;
    }
    return b->load(b->ctx, m->e->inputs.p[s->a].symbol.slot, b->docs + first, n, &v,
                   err);
}

/* Under a guard, only for the documents that it holds for, when they are few: the other
 * lanes keep what they had, nobody looks at them. */
static qn_status run_guarded_load(qn_expr_machine *m, const qn_expr__step *s,
                                  const qn_expr__step *guard, const qn_expr_batch *b,
                                  size_t first, size_t n, qn_error *err)
{
    uint32_t docs[QN_EXPR_LANES];
    uint16_t lanes[QN_EXPR_LANES];
    uint64_t values[QN_EXPR_LANES];
    const int64_t *condition = reg_i(m, guard->a);
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        docs[count] = b->docs[first + i];
        lanes[count] = (uint16_t)i;
        count += (condition[i] != 0) == (guard->b != 0);
    }
    char kind = qn_expr__opcodes[s->op].r;
    if ((kind != 'I' && kind != 'F') || count > n - n / 4)
        return run_load(m, s, b, first, n, err);
    qn_expr_values v = {0};
    if (kind == 'I')
        v.i64 = (int64_t *)values;
    else
        v.f64 = (double *)values;
    QN_TRY(b->load(b->ctx, m->e->inputs.p[s->a].symbol.slot, docs, count, &v, err));
    uint64_t *dst = (uint64_t *)reg_i(m, s->dst);
    for (size_t k = 0; k < count; k++) dst[lanes[k]] = values[k];
    return QN_OK;
}

/* In [0,1], from 53 bits of a hash of both. */
static double random_of(uint64_t seed, uint32_t doc)
{
    qn_rng rng = {seed ^ ((uint64_t)doc * 0xD6E8FEB86659FD93u)};
    return (double)(qn_rng_next(&rng) >> 11) / (double)((UINT64_C(1) << 53) - 1);
}

/* Kernels work on whole vectors: on lanes past the last one too. */
static size_t whole_vectors(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

static void run_call(qn_expr_machine *m, const qn_expr__step *s, size_t n)
{
    const uint16_t *args = m->program->args.p + s->a;
    const double *columns[QN_EXPR__MATH_ARGS_MAX];
    for (size_t k = 0; k < s->b; k++) columns[k] = reg_f(m, args[k]);
    m->kernels->calls[s->c](whole_vectors(n), reg_f(m, s->dst), columns);
}

static bool has_i64(const qn_expr__set *set, int64_t v)
{
    size_t low = 0, high = set->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (set->of.i64[mid] < v)
            low = mid + 1;
        else
            high = mid;
    }
    return low < set->n && set->of.i64[low] == v;
}

static bool has_f64(const qn_expr__set *set, double v)
{
    size_t low = 0, high = set->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (set->of.f64[mid] < v)
            low = mid + 1;
        else
            high = mid;
    }
    return low < set->n && set->of.f64[low] == v;
}

static bool has_str(const qn_expr__set *set, qn_slice v)
{
    size_t low = 0, high = set->n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (qn_slice_compare(set->of.str[mid], v) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low < set->n && qn_slice_eq(set->of.str[low], v);
}

/* Looking at each of a few values for all documents beats a search for each document. */
static void run_in(qn_expr_machine *m, const qn_expr__step *s, size_t n)
{
    enum { FEW = 24 };
    const qn_expr__set *set = &m->e->sets.p[s->b];
    int64_t *dst = reg_i(m, s->dst);
    size_t all = whole_vectors(n);
    if (s->op == QN_OP_INI && set->n <= FEW)
        m->kernels->in_i64(all, dst, reg_i(m, s->a), set->of.i64, set->n);
    else if (s->op == QN_OP_INI)
        for (size_t i = 0; i < n; i++) dst[i] = has_i64(set, reg_i(m, s->a)[i]);
    else if (s->op == QN_OP_INF && set->n <= FEW)
        m->kernels->in_f64(all, dst, reg_f(m, s->a), set->of.f64, set->n);
    else if (s->op == QN_OP_INF)
        for (size_t i = 0; i < n; i++) dst[i] = has_f64(set, reg_f(m, s->a)[i]);
    else
        for (size_t i = 0; i < n; i++) dst[i] = has_str(set, reg_s(m, s->a)[i]);
}

static bool list_in_set(uint16_t op, const qn_expr_list *list, const qn_expr__set *set)
{
    for (size_t k = 0; k < list->n; k++) {
        if (op == QN_OP_ANYINI && has_i64(set, ((const int64_t *)list->items)[k]))
            return true;
        if (op == QN_OP_ANYINF && has_f64(set, ((const double *)list->items)[k]))
            return true;
        if (op == QN_OP_ANYINS && has_str(set, ((const qn_slice *)list->items)[k]))
            return true;
    }
    return false;
}

/* The value of lane i as a set of one. */
static bool list_has(qn_expr_machine *m, const qn_expr__step *s, size_t i)
{
    qn_expr__set one = {.n = 1};
    const qn_expr_list *list = &reg_l(m, s->a)[i];
    if (s->op == QN_OP_ANYI) {
        one.of.i64 = &reg_i(m, s->b)[i];
        return list_in_set(QN_OP_ANYINI, list, &one);
    }
    if (s->op == QN_OP_ANYF) {
        one.of.f64 = &reg_f(m, s->b)[i];
        return list_in_set(QN_OP_ANYINF, list, &one);
    }
    one.of.str = &reg_s(m, s->b)[i];
    return list_in_set(QN_OP_ANYINS, list, &one);
}

static void run_any(qn_expr_machine *m, const qn_expr__step *s, size_t n)
{
    bool one = s->op == QN_OP_ANYI || s->op == QN_OP_ANYF || s->op == QN_OP_ANYS;
    for (size_t i = 0; i < n; i++)
        reg_i(m, s->dst)[i] =
            one ? list_has(m, s, i)
                : list_in_set(s->op, &reg_l(m, s->a)[i], &m->e->sets.p[s->b]);
}

static void run_item(qn_expr_machine *m, const qn_expr__step *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const qn_expr_list *list = &reg_l(m, s->a)[i];
        int64_t index = reg_i(m, s->b)[i];
        bool inside = index >= 0 && (uint64_t)index < list->n;
        if (s->op == QN_OP_ITEMI)
            reg_i(m, s->dst)[i] =
                inside ? ((const int64_t *)list->items)[index] : reg_i(m, s->c)[i];
        else
            reg_f(m, s->dst)[i] =
                inside ? ((const double *)list->items)[index] : reg_f(m, s->c)[i];
    }
}

/* --- the loop --- */

static void run_kernel(qn_expr_machine *m, const qn_expr__step *s, size_t n)
{
    const qn_expr__opinfo *info = &qn_expr__opcodes[s->op];
    /* Not on strings: past the last lane they may be those of an earlier batch. */
    size_t lanes = info->a == 'S' ? n : whole_vectors(n);
    m->kernels->ops[s->op](lanes, reg_i(m, s->dst), reg_of_kind(m, info->a, s->a),
                           reg_of_kind(m, info->b, s->b),
                           reg_of_kind(m, info->c, s->c));
}

qn_status qn_expr__run(qn_expr_machine *m, const qn_expr_batch *b, size_t first,
                       size_t n, qn_error *err)
{
    const qn_expr__step *steps = m->program->steps.p, *guard = NULL;
    size_t block = 0, block_count = m->entries == NULL ? 0 : m->blocks.count;
    for (const qn_expr__step *s = steps;; s++) {
        while (block < block_count && m->blocks.begin[block] < s - steps) block++;
        if (block < block_count && m->blocks.begin[block] == s - steps) {
            run_block(m, block, n);
            s = steps + m->blocks.limit[block] - 1;
            continue;
        }
        /* Of nested guards the innermost counts; past its end none does, which only
         * loads more. */
        if (guard != NULL && s >= steps + guard->c) guard = NULL;
        switch (s->op) {
        case QN_OP_DONE:
            return QN_OK;
        case QN_OP_SKIP:
            if (m->kernels->any_lane(n, reg_i(m, s->a), s->b != 0))
                guard = s;
            else
                s = steps + s->c - 1;
            break;
        case QN_OP_LOADI:
        case QN_OP_LOADF:
        case QN_OP_LOADS:
        case QN_OP_LOADL:
            QN_TRY(guard == NULL ? run_load(m, s, b, first, n, err)
                                 : run_guarded_load(m, s, guard, b, first, n, err));
            break;
        case QN_OP_NOW:
            for (size_t i = 0; i < n; i++) reg_i(m, s->dst)[i] = b->now_s;
            break;
        case QN_OP_RAND:
            for (size_t i = 0; i < n; i++)
                reg_f(m, s->dst)[i] = random_of(b->seed, b->docs[first + i]);
            break;
        case QN_OP_CALL:
            run_call(m, s, n);
            break;
        case QN_OP_INI:
        case QN_OP_INF:
        case QN_OP_INS:
            run_in(m, s, n);
            break;
        case QN_OP_ANYINI:
        case QN_OP_ANYINF:
        case QN_OP_ANYINS:
        case QN_OP_ANYI:
        case QN_OP_ANYF:
        case QN_OP_ANYS:
            run_any(m, s, n);
            break;
        case QN_OP_ITEMI:
        case QN_OP_ITEMF:
            run_item(m, s, n);
            break;
        default:
            run_kernel(m, s, n);
            break;
        }
    }
}

const void *qn_expr__output(const qn_expr_machine *m, size_t k, char kind)
{
    return reg_of_kind(m, kind, m->program->outputs.p[k]);
}

/* --- results --- */

/* Bounds on the next run of documents. */
static size_t run_length(const qn_expr_batch *b, size_t first)
{
    size_t left = b->n - first;
    return left < QN_EXPR_LANES ? left : QN_EXPR_LANES;
}

static double lane_double(const void *lanes, qn_expr_type type, size_t i)
{
    if (qn_expr__type_is_float(type)) return ((const double *)lanes)[i];
    if (type == QN_EXPR_UINT64) return (double)((const uint64_t *)lanes)[i];
    return (double)((const int64_t *)lanes)[i];
}

qn_status qn_expr_eval(qn_expr_machine *m, const qn_expr_batch *b, double *out,
                       qn_error *err)
{
    qn_expr_type type = qn_expr_result_type(m->e);
    if (type == QN_EXPR_STRING)
        return qn_fail(err, QN_EEXPRTYPE, "a string is no score");
    uint64_t bad = 0;
    for (size_t first = 0; first < b->n;) {
        size_t n = run_length(b, first);
        QN_TRY(qn_expr__run(m, b, first, n, err));
        note_work(m, n);
        const void *lanes = qn_expr__output(m, 0, 'I');
        if (qn_expr__type_is_float(type))
            bad += m->kernels->finish(n, lanes, out + first);
        else
            for (size_t i = 0; i < n; i++) out[first + i] = lane_double(lanes, type, i);
        first += n;
    }
    if (b->bad_docs != NULL) *b->bad_docs += bad;
    return QN_OK;
}

qn_status qn_expr_eval_i64(qn_expr_machine *m, const qn_expr_batch *b, int64_t *out,
                           qn_error *err)
{
    qn_expr_type type = qn_expr_result_type(m->e);
    if (type != QN_EXPR_BOOL && !qn_expr__type_is_int(type))
        return qn_fail(err, QN_EEXPRTYPE, "the result is a %s, no integer",
                       qn_expr_type_name(type));
    for (size_t first = 0; first < b->n;) {
        size_t n = run_length(b, first);
        QN_TRY(qn_expr__run(m, b, first, n, err));
        memcpy(out + first, qn_expr__output(m, 0, 'I'), n * sizeof *out);
        note_work(m, n);
        first += n;
    }
    return QN_OK;
}

qn_status qn_expr_eval_str(qn_expr_machine *m, const qn_expr_batch *b, qn_slice *out,
                           qn_error *err)
{
    qn_expr_type type = qn_expr_result_type(m->e);
    if (type != QN_EXPR_STRING)
        return qn_fail(err, QN_EEXPRTYPE, "the result is a %s, no string",
                       qn_expr_type_name(type));
    for (size_t first = 0; first < b->n;) {
        size_t n = run_length(b, first);
        QN_TRY(qn_expr__run(m, b, first, n, err));
        memcpy(out + first, qn_expr__output(m, 0, 'S'), n * sizeof *out);
        note_work(m, n);
        first += n;
    }
    return QN_OK;
}

/* --- trace --- */

static void copy_output(qn_expr_machine *m, size_t k, uint32_t node, size_t n,
                        double *out)
{
    const qn_expr__node *nd = &m->e->nodes.p[node];
    bool number = nd->type != QN_EXPR_STRING && !nd->is_list;
    const void *lanes = number ? qn_expr__output(m, k, 'I') : NULL;
    for (size_t i = 0; i < n; i++)
        out[i] = number ? lane_double(lanes, (qn_expr_type)nd->type, i) : QN_EXPR__NAN;
}

static qn_status run_trace(qn_expr_machine *m, const qn_expr_batch *b, double *terms,
                           double *inputs, qn_error *err)
{
    const qn_expr *e = m->e;
    for (size_t first = 0; first < b->n; first += QN_EXPR_LANES) {
        size_t n = run_length(b, first);
        QN_TRY(qn_expr__run(m, b, first, n, err));
        for (size_t t = 0; terms != NULL && t < e->terms.n; t++)
            copy_output(m, t, e->terms.p[t].node, n, terms + t * b->n + first);
        for (size_t i = 0; inputs != NULL && i < e->inputs.n; i++)
            copy_output(m, e->terms.n + i, e->input_nodes.p[i], n,
                        inputs + i * b->n + first);
    }
    return QN_OK;
}

qn_status qn_expr_trace(qn_alloc *alloc, const qn_expr *e, const qn_expr_batch *b,
                        double *terms, double *inputs, qn_error *err)
{
    size_t count = e->terms.n + e->inputs.n;
    uint32_t *roots = qn_new_array(alloc, count, sizeof *roots);
    if (roots == NULL) return qn_fail(err, QN_ENOMEM, "trace");
    for (size_t t = 0; t < e->terms.n; t++) roots[t] = e->terms.p[t].node;
    for (size_t i = 0; i < e->inputs.n; i++)
        roots[e->terms.n + i] = e->input_nodes.p[i];
    qn_expr__program program;
    qn_expr_machine *m = NULL;
    qn_status st = qn_expr__emit(e, roots, count, &program, err);
    if (st == QN_OK) st = qn_expr__machine_make(alloc, e, &program, NULL, &m, err);
    if (st == QN_OK) st = run_trace(m, b, terms, inputs, err);
    qn_expr_machine_destroy(m);
    qn_expr__program_deinit(e->alloc, &program);
    qn_delete(alloc, roots);
    return st;
}

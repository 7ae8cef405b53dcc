/* SPDX-License-Identifier: Apache-2.0 */
#include "expr/expr_form.h"

/* --- blocks --- */

enum {
    STEPS_MIN = 2,    /* in a block: less is not worth a call */
    STEPS_MAX = 2000, /* in all blocks: what a compiler takes well */
    CALL_WEIGHT = 12, /* of a function of math.def, where an addition is 1 */
};

static bool is_numeric_step(const qn_expr__step *s)
{
    return qn_expr__is_numeric(s->op, s->op == QN_OP_CALL ? s->c : 0);
}

/* The steps from a SKIP up to its target are numeric or such SKIPs themselves. */
static bool is_numeric_range(const qn_expr__program *p, size_t skip)
{
    for (size_t i = skip + 1; i < p->steps.p[skip].c; i++)
        if (!is_numeric_step(&p->steps.p[i]) && p->steps.p[i].op != QN_OP_SKIP)
            return false;
    return true;
}

/* Where the block that begins at `i` ends: at `border` at the latest, the target of a jump
 * around it. */
static size_t block_limit(const qn_expr__program *p, size_t i, size_t border)
{
    while (i < border) {
        const qn_expr__step *s = &p->steps.p[i];
        if (is_numeric_step(s))
            i++;
        else if (s->op == QN_OP_SKIP && s->c <= border && is_numeric_range(p, i))
            i = s->c;
        else
            break;
    }
    return i;
}

static uint64_t weigh(const qn_expr__program *p, size_t begin, size_t limit)
{
    uint64_t weight = 0;
    for (size_t i = begin; i < limit; i++)
        weight += p->steps.p[i].op == QN_OP_CALL ? CALL_WEIGHT : 1;
    return weight;
}

/* The nearest target after `i` of jumps before it; the end when there is none. */
static size_t next_border(const qn_expr__program *p, const size_t *targets, size_t n,
                          size_t i)
{
    size_t border = p->steps.n;
    for (size_t k = 0; k < n; k++)
        if (targets[k] > i && targets[k] < border) border = targets[k];
    return border;
}

void qn_expr__blocks_find(const qn_expr__program *p, qn_expr__blocks *out)
{
    enum { TARGETS_MAX = 128 };
    size_t targets[TARGETS_MAX], target_count = 0, steps = 0;
    *out = (qn_expr__blocks){0};
    for (size_t i = 0; i < p->steps.n && out->count < QN_EXPR__BLOCKS_MAX;) {
        size_t limit = block_limit(p, i, next_border(p, targets, target_count, i));
        if (limit - i >= STEPS_MIN) {
            steps += limit - i;
            if (steps > STEPS_MAX) return;
            out->begin[out->count] = (uint32_t)i;
            out->limit[out->count++] = (uint32_t)limit;
            out->weight += weigh(p, i, limit);
        }
        if (limit > i) {
            i = limit;
            continue;
        }
        if (p->steps.p[i].op == QN_OP_SKIP) {
            if (target_count == TARGETS_MAX) return;
            targets[target_count++] = p->steps.p[i].c;
        }
        i++;
    }
}

/* --- what later steps read --- */

/* Registers of numbers that a step reads. */
static size_t reads_of(const qn_expr__program *p, const qn_expr__step *s, uint16_t *out)
{
    const qn_expr__opinfo *info = &qn_expr__opcodes[s->op];
    size_t n = 0;
    if (s->op == QN_OP_CALL) {
        for (; n < s->b; n++) out[n] = p->args.p[s->a + n];
        return n;
    }
    if (strchr("IF", info->a) != NULL) out[n++] = s->a;
    if (strchr("IF", info->b) != NULL) out[n++] = s->b;
    if (strchr("IF", info->c) != NULL) out[n++] = s->c;
    return n;
}

static bool writes(const qn_expr__step *s, uint16_t reg)
{
    char r = qn_expr__opcodes[s->op].r;
    return (r == 'I' || r == 'F') && s->dst == reg;
}

/* Is the register read from step `i` on, or an output, before it is surely written? */
static bool is_needed_from(const qn_expr__program *p, size_t i, uint16_t reg)
{
    size_t jumped_to = 0; /* steps before it may have been jumped over */
    uint16_t reads[QN_EXPR__OPERANDS_MAX];
    for (; i < p->steps.n; i++) {
        const qn_expr__step *s = &p->steps.p[i];
        size_t n = reads_of(p, s, reads);
        for (size_t k = 0; k < n; k++)
            if (reads[k] == reg) return true;
        if (s->op == QN_OP_SKIP && s->c > jumped_to) jumped_to = s->c;
        if (writes(s, reg) && i >= jumped_to) return false;
    }
    for (size_t k = 0; k < p->outputs.n; k++)
        if (p->outputs.p[k] == reg) return true;
    return false;
}

/* Calls add() for each register that the block writes and somebody reads after it. */
static uint32_t add_stores(const qn_expr__program *p, size_t begin, size_t limit,
                           qn_buf *out)
{
    uint32_t count = 0;
    for (size_t i = begin; i < limit; i++) {
        const qn_expr__step *s = &p->steps.p[i];
        bool last = qn_expr__opcodes[s->op].r != 'N';
        for (size_t k = i + 1; k < limit && last; k++)
            last = !writes(&p->steps.p[k], s->dst);
        if (!last || !is_needed_from(p, limit, s->dst)) continue;
        if (out != NULL) qn_buf_add(out, &s->dst, sizeof s->dst);
        count++;
    }
    return count;
}

/* --- writing and reading --- */

static void write_head(const qn_expr__program *p, const qn_expr__blocks *blocks,
                       qn_buf *out)
{
    qn_expr__form head = {.block_count = (uint32_t)blocks->count,
                          .arg_count = (uint32_t)p->args.n,
                          .regs = p->regs};
    for (size_t i = 0; i < p->constants.n; i++)
        head.constant_count += p->constants.p[i].kind != 'S';
    for (size_t k = 0; k < blocks->count; k++) {
        head.step_count += blocks->limit[k] - blocks->begin[k];
        head.store_count += add_stores(p, blocks->begin[k], blocks->limit[k], NULL);
    }
    qn_buf_add(out, &head, sizeof head);
}

void qn_expr__form_write(const qn_expr__program *p, const qn_expr__blocks *blocks,
                         qn_buf *out)
{
    write_head(p, blocks, out);
    for (size_t i = 0; i < p->constants.n; i++) {
        const qn_expr__constant *c = &p->constants.p[i];
        qn_expr__form_constant written = {
            .bits = c->bits, .reg = c->reg, .is_float = c->kind == 'F'};
        if (c->kind != 'S') qn_buf_add(out, &written, sizeof written);
    }
    for (size_t k = 0; k < blocks->count; k++) {
        size_t begin = blocks->begin[k], limit = blocks->limit[k];
        qn_expr__form_block b = {.step_count = (uint32_t)(limit - begin),
                                 .store_count = add_stores(p, begin, limit, NULL)};
        qn_buf_add(out, &b, sizeof b);
    }
    for (size_t k = 0; k < blocks->count; k++)
        qn_buf_add(out, p->steps.p + blocks->begin[k],
                   (blocks->limit[k] - blocks->begin[k]) * sizeof(qn_expr__step));
    for (size_t k = 0; k < blocks->count; k++)
        (void)add_stores(p, blocks->begin[k], blocks->limit[k], out);
    qn_buf_add(out, p->args.p, p->args.n * sizeof *p->args.p);
}

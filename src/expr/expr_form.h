/* SPDX-License-Identifier: Apache-2.0 */
/* expr_form.h -- what a compiler reads of a program: its blocks, as flat bytes.
 *
 * A *block* is a run of steps that need only numbers (qn_expr__is_numeric): arithmetic
 * between the loads. SKIP steps whose whole range lies in the block are in it and may be
 * ignored: what they jump over does no harm. The machine calls the code of a block in
 * place of its steps, with the same registers before and after:
 *
 *     void entry(uint64_t *registers, size_t n);   n a multiple of 8
 *
 * where lane i of register r is registers[r * QN_EXPR_LANES + i]. A block reads registers
 * that it has not written, and must write those it lists as stores.
 *
 * The form is a header and then, each array where the one before ends: constants, blocks,
 * steps, stores, args. No pointer is in it, every byte is set, so equal programs have
 * equal forms and the form is the key of its code. */
#ifndef QN_EXPR_FORM_H
#define QN_EXPR_FORM_H

#include "expr/expr_internal.h"

enum { QN_EXPR__BLOCKS_MAX = 32 };

typedef struct qn_expr__form {
    uint32_t constant_count, block_count, step_count, store_count, arg_count, regs;
} qn_expr__form;

typedef struct qn_expr__form_constant {
    uint64_t bits;
    uint32_t reg, is_float;
} qn_expr__form_constant;

typedef struct qn_expr__form_block {
    uint32_t step_count, store_count; /* of the arrays, in turn */
} qn_expr__form_block;

/* Pointers into a form; made by reading it. */
typedef struct qn_expr__form_view {
    const qn_expr__form *head;
    const qn_expr__form_constant *constants;
    const qn_expr__form_block *blocks;
    const qn_expr__step *steps;
    const uint16_t *stores, *args;
} qn_expr__form_view;
/* `form` stands at 8 bytes; false when its parts do not fill its size. */
bool qn_expr__form_read(const void *form, size_t size, qn_expr__form_view *out);

/* The blocks of a program, by steps [begin, limit), ascending. */
typedef struct qn_expr__blocks {
    size_t count;
    uint32_t begin[QN_EXPR__BLOCKS_MAX], limit[QN_EXPR__BLOCKS_MAX];
    uint64_t weight; /* what the steps in them cost, by a document */
} qn_expr__blocks;
void qn_expr__blocks_find(const qn_expr__program *p, qn_expr__blocks *out);
/* Appends the form; out of memory shows in out->failed. */
void qn_expr__form_write(const qn_expr__program *p, const qn_expr__blocks *blocks,
                         qn_buf *out);

#endif

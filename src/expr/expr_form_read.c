/* SPDX-License-Identifier: Apache-2.0 */
/* expr_form_read.c -- of expr_form.h what a back end needs, which links nothing else. */
#include "expr/expr_form.h"

bool qn_expr__form_read(const void *form, size_t size, qn_expr__form_view *out)
{
    const qn_expr__form *head = form;
    if (size < sizeof *head) return false;
    const char *at = (const char *)form + sizeof *head;
    *out = (qn_expr__form_view){.head = head};
    out->constants = (const void *)at;
    at += head->constant_count * sizeof *out->constants;
    out->blocks = (const void *)at;
    at += head->block_count * sizeof *out->blocks;
    out->steps = (const void *)at;
    at += head->step_count * sizeof *out->steps;
    out->stores = (const void *)at;
    at += head->store_count * sizeof *out->stores;
    out->args = (const void *)at;
    at += head->arg_count * sizeof *out->args;
    return at == (const char *)form + size && head->block_count <= QN_EXPR__BLOCKS_MAX;
}

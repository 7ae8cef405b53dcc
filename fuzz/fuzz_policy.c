/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a rank policy: refused with a reason, or a formula within its limits. */
#include "expr/expr.h"
#include "rank/rank_policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static void read_one(qn_slice text, bool features)
{
    qn_arena arena;
    qn_rank_policy p;
    qn_error err = {.at = QN_AT_NONE};
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_status st = qn_rank_policy_parse(text, features, &arena, &p, &err);
    if (st == QN_OK) {
        qn_assert(p.formula.n > 0 && p.formula.n <= QN_EXPR_TEXT_MAX);
    } else {
        qn_assert(err.code == st && err.text[0] != '\0');
        qn_assert(err.at == QN_AT_NONE || err.at <= text.n);
    }
    qn_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    qn_slice text = {(const char *)bytes, n};
    read_one(text, true);
    read_one(text, false);
    return 0;
}

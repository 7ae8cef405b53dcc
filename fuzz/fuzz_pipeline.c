/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a pipeline: refused with a reason, or stages within their limits. */
#include "rank/pipeline.h"

#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    const qn_pipeline *p = NULL;
    qn_error err = {0};
    qn_status st =
        qn_pipeline_parse((qn_slice){(const char *)bytes, n}, &arena, &p, &err);
    if (st == QN_OK) {
        qn_assert(p->has_text || p->has_vector);
        qn_assert(p->stage_count <= QN_RANK_STAGES_MAX);
        qn_assert(isfinite(p->text_weight) && isfinite(p->vector_weight));
        for (size_t i = 0; i < p->stage_count; i++)
            qn_assert(p->stages[i].kind != QN_STAGE_NEURAL ||
                      p->stages[i].budget_ms >= 0);
    } else {
        qn_assert(err.code == st && err.text[0] != '\0');
        qn_assert(err.at == QN_AT_NONE || err.at <= n);
    }
    qn_arena_deinit(&arena);
    return 0;
}

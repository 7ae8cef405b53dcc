/* SPDX-License-Identifier: Apache-2.0 */
/* stages_ha3.c -- the stages that an HA3 request implies. The policies that it names have
 * become formulas before (engine/control/rank_policies.h). */
#include "rank/pipeline.h"

static bool sorts_by_rank(const qn_request *request)
{
    if (request->sort_count == 0) return true;
    for (size_t i = 0; i < request->sort_count; i++)
        if (request->sort[i].kind == QN_SORT_SCORE) return true;
    return false;
}

qn_status qn_rank_stages_ha3(const qn_request *request, qn_arena *arena,
                             const qn_stage **stages, size_t *count, qn_error *err)
{
    /* The default rough expression of the hosted product. */
    static const char rough_default[] = "static_bm25()*10";
    *stages = NULL;
    *count = 0;
    if (request->rerank_size > QN_RANK_RERANK_SIZE_MAX)
        return qn_fail(err, QN_ELIMIT, "rerank_size is %u, at most %d",
                       request->rerank_size, QN_RANK_RERANK_SIZE_MAX);
    /* Without RANK among the keys no expression is evaluated at all. */
    if (!sorts_by_rank(request)) return QN_OK;
    qn_stage *list = qn_arena_array(arena, 2, sizeof *list);
    if (list == NULL) return qn_fail(err, QN_ENOMEM, "stages");
    size_t n = 0, fine_keep = request->rerank_size == 0 ? QN_RANK_RERANK_SIZE_DEFAULT
                                                        : request->rerank_size;
    bool fine = request->formula.n > 0, rough = request->first_formula.n > 0;
    if (rough)
        list[n++] =
            (qn_stage){.kind = QN_STAGE_ROUGH, .formula = request->first_formula};
    else if (request->query != NULL)
        list[n++] = (qn_stage){.kind = QN_STAGE_ROUGH,
                               .formula = {rough_default, sizeof rough_default - 1},
                               .selects_only = fine};
    if (fine)
        list[n++] = (qn_stage){
            .kind = QN_STAGE_FINE, .formula = request->formula, .keep = fine_keep};
    *stages = list;
    *count = n;
    return QN_OK;
}

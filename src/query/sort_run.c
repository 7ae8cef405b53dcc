/* SPDX-License-Identifier: Apache-2.0 */
#include "query/sort_run.h"

#include "query/filters.h"
#include "query/set_run.h"

/* Every match in document order; once enough is counted, documents that cannot get in are
 * passed over by the block. */
static qn_status walk_sorted(qn_collector *c, qn_iter *it, const qn_segment_view *view,
                             qn_exec_result *out)
{
    const qn_exec_options *o = c->options;
    uint32_t until_look = QN_COLLECT_RUN;
    while (it->doc != QN_DOC_END && !out->timed_out) {
        if (!qn_segment_view_is_deleted(view, it->doc)) {
            float score = 0.0f;
            if (!o->no_scores) QN_TRY(it->kind->score(it, &score, c->err));
            QN_TRY(qn_collector_add(c, it->doc, score));
        }
        QN_TRY(it->kind->next(it, c->err));
        if (--until_look > 0) continue;
        until_look = QN_COLLECT_RUN;
        out->timed_out = qn_deadline_passed(o->deadline);
        if (o->total_limit <= 0 || it->doc == QN_DOC_END) continue;
        QN_TRY(qn_collector_flush(c));
        if (c->total <= (uint64_t)o->total_limit) continue;
        uint32_t target = qn_sorter_skip(c->sorter, it->doc);
        if (target == it->doc) continue;
        out->total_exact = false;
        if (target == QN_DOC_END) break;
        QN_TRY(it->kind->seek(it, target, c->err));
    }
    return qn_collector_flush(c);
}

/* Is it quick to know all the documents of a plan at once? */
static bool is_set(const qn_plan *plan)
{
    return plan->query->kind == QN_QUERY_ALL || plan->query->kind == QN_QUERY_RANGE ||
           plan->query->kind == QN_QUERY_EXISTS || plan->query->kind == QN_QUERY_GEO;
}

qn_status qn_sort_segment(qn_iter_maker *m, const qn_plan *plan, qn_collector *c,
                          qn_exec_result *out)
{
    const qn_exec_options *o = c->options;
    qn_filter_bits set = {0};
    bool all = plan->query->kind == QN_QUERY_ALL;
    QN_TRY(qn_sorter_begin(c->sorter, m->segment, m->err));
    if (o->no_scores && o->filter == NULL && !o->has_min_score) {
        if (!all && is_set(plan))
            QN_TRY(qn_filter_fill(m, plan, &set));
        else if (!all)
            QN_TRY(qn_filter_find(m, plan, &set));
        if (all || set.words != NULL) {
            c->total += qn_set_count(m->view, set.words);
            return qn_sorter_blocks(c->sorter, set.words, m->scratch, m->err);
        }
    }
    qn_iter *it;
    QN_TRY(qn_iter_make(m, plan, &it));
    return it == NULL ? QN_OK : walk_sorted(c, it, m->view, out);
}

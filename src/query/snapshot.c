/* SPDX-License-Identifier: Apache-2.0 */
#include "query/snapshot.h"

#include "index/segment.h"

qn_field_totals qn_snapshot_field_totals(const qn_snapshot_view *view,
                                         uint32_t field_id)
{
    qn_field_totals sum = {0};
    for (size_t i = 0; i < view->segment_count; i++) {
        const qn_segment_field *f =
            qn_segment_field_of(view->segments[i].segment, field_id);
        if (f == NULL) continue;
        sum.doc_count += f->doc_count;
        sum.token_count += f->sum_total_term_freq;
    }
    return sum;
}

qn_status qn_snapshot_term_totals(const qn_snapshot_view *view, uint32_t field_id,
                                  qn_slice term, qn_term_totals *out, qn_error *err)
{
    *out = (qn_term_totals){0};
    for (size_t i = 0; i < view->segment_count; i++) {
        qn_term t;
        QN_TRY(qn_segment_term(view->segments[i].segment, field_id, term, &t, err));
        if (t.doc_freq == 0) continue;
        out->doc_count += t.doc_freq;
        out->occurrence_count += t.total_term_freq;
    }
    return QN_OK;
}

uint32_t qn_snapshot_live_count(const qn_snapshot_view *view)
{
    uint32_t live = 0;
    for (size_t i = 0; i < view->segment_count; i++) {
        const qn_segment_view *s = &view->segments[i];
        live += s->doc_count;
        for (uint32_t w = 0; s->deleted != NULL && w * 64 < s->doc_count; w++) {
            uint64_t word = s->deleted[w];
            uint32_t left = s->doc_count - w * 64;
            if (left < 64) word &= ((uint64_t)1 << left) - 1;
            live -= (uint32_t)__builtin_popcountll(word);
        }
    }
    return live;
}

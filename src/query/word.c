/* SPDX-License-Identifier: Apache-2.0 */
#include "query/word.h"

enum { PIECES_MAX = 8 }; /* more are not looked at for one bound */

static double score_of_pair(const qn_word *w, qn_postings_bound b)
{
    if (b.freq == UINT32_MAX) return (double)w->bm25.weight;
    return (double)qn_bm25_score(&w->bm25, (float)b.freq,
                                 w->norms == NULL ? 1 : b.norm);
}

qn_status qn_word_open(qn_iter_maker *m, const qn_plan *plan, size_t field,
                       size_t which, qn_word **out)
{
    const qn_plan_field *f = &plan->fields[field];
    const qn_segment *seg = m->view->segment;
    const qn_term *term = qn_plan_term(plan, field, which, m->segment);
    *out = NULL;
    if (term->doc_freq == 0) return QN_OK;
    qn_word *w = qn_arena_new(m->scratch, sizeof *w);
    if (w == NULL) return qn_fail(m->err, QN_ENOMEM, "query iterator");
    QN_TRY(qn_segment_postings(seg, term, m->scratch, &w->p, m->err));
    QN_TRY(qn_segment_norms(seg, f->field->id, &w->norms, m->err));
    w->bm25 = f->bm25;
    w->bound_all = score_of_pair(w, w->p.bound);
    w->piece_from = 1; /* empty: nothing looked at yet */
    *out = w;
    return QN_OK;
}

void qn_word_scores(const qn_word *w, const uint32_t *docs, const uint32_t *freqs,
                    size_t n, float *scores)
{
    float inverse[QN_POSTINGS_BLOCK];
    const float *by_norm = w->bm25.inverse;
    const uint8_t *norms = w->norms;
    for (size_t i = 0; i < n; i++)
        inverse[i] = norms == NULL ? by_norm[1] : by_norm[norms[docs[i]]];
    float weight = w->bm25.weight;
    for (size_t i = 0; i < n; i++)
        scores[i] = weight - weight / (1.0f + (float)freqs[i] * inverse[i]);
}

void qn_word_look(qn_word *w, uint32_t doc)
{
    if (doc >= w->piece_from && doc <= w->piece_last) return;
    qn_postings_peek(&w->p, doc < w->p.doc ? w->p.doc : doc, &w->piece_last,
                     &w->piece_pair);
    w->piece_from = doc;
    w->piece = score_of_pair(w, w->piece_pair);
}

double qn_word_bound(qn_word *w, uint32_t base, uint32_t limit)
{
    uint32_t at = w->p.doc > base ? w->p.doc : base;
    double bound = 0;
    for (int i = 0; at < limit; i++) {
        if (i == PIECES_MAX) return w->bound_all;
        qn_word_look(w, at);
        if (w->piece > bound) bound = w->piece;
        if (w->piece_last == QN_DOC_END) break; /* the list's tail */
        at = w->piece_last + 1;
    }
    return bound;
}

qn_postings_bound qn_word_bound_pair(qn_word *w, uint32_t base, uint32_t limit)
{
    uint32_t at = w->p.doc > base ? w->p.doc : base;
    qn_postings_bound bound = {0, UINT8_MAX};
    for (int i = 0; at < limit; i++) {
        if (i == PIECES_MAX) return w->p.bound;
        qn_word_look(w, at);
        if (w->piece_pair.freq > bound.freq) bound.freq = w->piece_pair.freq;
        if (w->piece_pair.norm < bound.norm) bound.norm = w->piece_pair.norm;
        if (w->piece_last == QN_DOC_END) break;
        at = w->piece_last + 1;
    }
    return bound;
}

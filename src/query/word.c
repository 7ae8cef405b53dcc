/* SPDX-License-Identifier: Apache-2.0 */
#include "query/word.h"

#include <math.h>

enum {
    BLOCKS_MAX = 3,  /* more are not looked at for one bound */
    SUPERS_MAX = 16, /* nor for the bound of a list */
    SHORT = 1024,    /* a list that is read from end to end for a seed */
};

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
    QN_TRY(qn_segment_postings_open(seg, term, QN_POSTINGS_LAZY, m->scratch, &w->p,
                                    m->err));
    w->bm25 = f->bm25;
    w->block_from = w->super_from = 1; /* empty: nothing looked at yet */
    w->bound_all =
        (double)qn_bm25_score(&w->bm25, (float)w->p.bound.freq, w->p.bound.norm);
    if (w->p.bound.freq == UINT32_MAX) w->bound_all = (double)w->bm25.weight;
    if (w->p.doc_count <= SUPERS_MAX * QN_POSTINGS_SUPER * QN_POSTINGS_BLOCK) {
        double bound = 0;
        for (uint32_t at = w->p.doc;; at = w->super_last + 1) {
            qn_word_look_far(w, at);
            if (w->super > bound) bound = w->super;
            if (w->super_last == QN_DOC_END || w->super_last + 1 >= m->view->doc_count)
                break;
        }
        w->bound_all = bound;
    }
    *out = w;
    return QN_OK;
}

/* ---- bounds ------------------------------------------------------------------------- */

void qn_word_look_block(qn_word *w, uint32_t doc)
{
    qn_postings_range r;
    qn_postings_block_ahead(&w->p, doc < w->p.doc ? w->p.doc : doc, &r);
    w->block_from = doc;
    w->block_last = r.last;
    w->block = (double)qn_postings_range_score(&r, &w->bm25);
    w->pair = (qn_postings_bound){0, UINT8_MAX};
    for (uint32_t i = 0; i < r.n; i++) {
        if (r.pairs[i].freq > w->pair.freq) w->pair.freq = r.pairs[i].freq;
        if (r.pairs[i].norm < w->pair.norm) w->pair.norm = r.pairs[i].norm;
    }
}

void qn_word_look_super(qn_word *w, uint32_t doc)
{
    qn_postings_range r;
    qn_postings_super_ahead(&w->p, doc < w->p.doc ? w->p.doc : doc, &r);
    w->super_from = doc;
    w->super_last = r.last;
    w->super = (double)qn_postings_range_score(&r, &w->bm25);
}

double qn_word_bound(qn_word *w, uint32_t base, uint32_t limit, double otherwise)
{
    uint32_t at = w->p.doc > base ? w->p.doc : base;
    double bound = 0;
    for (int i = 0; at < limit; i++) {
        if (i == BLOCKS_MAX) return otherwise;
        qn_word_look(w, at);
        if (w->block > bound) bound = w->block;
        if (w->block_last == QN_DOC_END) break;
        at = w->block_last + 1;
    }
    return bound < otherwise ? bound : otherwise;
}

qn_postings_bound qn_word_bound_pair(qn_word *w, uint32_t base, uint32_t limit)
{
    uint32_t at = w->p.doc > base ? w->p.doc : base;
    qn_postings_bound bound = {0, UINT8_MAX};
    for (int i = 0; at < limit; i++) {
        if (i == BLOCKS_MAX) return w->p.bound;
        qn_word_look(w, at);
        if (w->pair.freq > bound.freq) bound.freq = w->pair.freq;
        if (w->pair.norm < bound.norm) bound.norm = w->pair.norm;
        if (w->block_last == QN_DOC_END) break;
        at = w->block_last + 1;
    }
    return bound;
}

/* ---- runs --------------------------------------------------------------------------- */

qn_status qn_word_run(qn_word *w, uint32_t limit, const uint32_t **docs, float *scores,
                      size_t *n, qn_error *err)
{
    const uint32_t *freqs;
    const uint8_t *norms;
    QN_TRY(qn_postings_rest3(&w->p, docs, &freqs, &norms, n, err));
    *n = qn_word_below(*docs, *n, limit);
    qn_bm25_scores(w->p.kernels, &w->bm25, freqs, norms, *n, scores);
    return QN_OK;
}

qn_status qn_word_pass(qn_word *w, size_t n, qn_error *err)
{
    const uint32_t *docs;
    size_t rest;
    qn_postings_rest_docs(&w->p, &docs, &rest);
    return n < rest ? qn_postings_seek(&w->p, docs[n], err)
                    : qn_postings_next_block(&w->p, err);
}

/* ---- seeds -------------------------------------------------------------------------- */

/* The greatest k seen so far, the least of them first. */
typedef struct best_floats {
    float *heap;
    size_t n, k;
} best_floats;

static void best_add(best_floats *b, float x)
{
    size_t i;
    if (b->n < b->k) {
        for (i = b->n++; i > 0 && b->heap[(i - 1) / 2] > x; i = (i - 1) / 2)
            b->heap[i] = b->heap[(i - 1) / 2];
        b->heap[i] = x;
        return;
    }
    if (x <= b->heap[0]) return;
    for (i = 0;;) {
        size_t child = 2 * i + 1;
        if (child >= b->n) break;
        if (child + 1 < b->n && b->heap[child + 1] < b->heap[child]) child++;
        if (b->heap[child] >= x) break;
        b->heap[i] = b->heap[child];
        i = child;
    }
    b->heap[i] = x;
}

static bool passes(const qn_accept *a, uint32_t doc)
{
    return a->bits_count == 0 || ((qn_accept_word(a, doc / 64) >> (doc % 64)) & 1) != 0;
}

/* A short list from end to end, by a cursor of its own. */
static qn_status seed_by_list(qn_iter_maker *m, const qn_word *w, const qn_term *term,
                              const qn_accept *accept, best_floats *best)
{
    qn_postings *p = qn_arena_new(m->scratch, sizeof *p);
    if (p == NULL) return qn_fail(m->err, QN_ENOMEM, "query iterator");
    QN_TRY(qn_segment_postings_open(m->view->segment, term, QN_POSTINGS_LAZY, NULL, p,
                                    m->err));
    while (p->doc != QN_DOC_END) {
        const uint32_t *docs, *freqs;
        const uint8_t *norms;
        float scores[QN_POSTINGS_BLOCK];
        size_t n;
        QN_TRY(qn_postings_rest3(p, &docs, &freqs, &norms, &n, m->err));
        qn_bm25_scores(p->kernels, &w->bm25, freqs, norms, n, scores);
        for (size_t i = 0; i < n; i++)
            if (passes(accept, docs[i])) best_add(best, scores[i]);
        QN_TRY(qn_postings_next_block(p, m->err));
    }
    return QN_OK;
}

qn_status qn_word_seed(qn_iter_maker *m, qn_word *w, const qn_term *term, size_t k,
                       const qn_accept *accept, float *seed)
{
    qn_postings_top top;
    *seed = -HUGE_VALF;
    if (w->p.doc_count < k) return QN_OK;
    QN_TRY(qn_postings_best(&w->p, m->scratch, &top, m->err));
    if (top.n < k && w->p.doc_count > SHORT) return QN_OK;
    best_floats best = {.heap = qn_arena_array(m->scratch, k, sizeof(float)), .k = k};
    if (best.heap == NULL) return qn_fail(m->err, QN_ENOMEM, "query iterator");
    for (size_t i = 0; i < top.n; i++)
        if (passes(accept, top.entries[i].doc))
            best_add(&best, qn_bm25_score(&w->bm25, (float)top.entries[i].freq,
                                          top.entries[i].norm));
    if (best.n < k && w->p.doc_count <= SHORT) {
        best.n = 0;
        QN_TRY(seed_by_list(m, w, term, accept, &best));
    }
    if (best.n == k) *seed = best.heap[0];
    return QN_OK;
}

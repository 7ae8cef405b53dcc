/* SPDX-License-Identifier: Apache-2.0 */
#include "query/word.h"

#include "num/kernels.h"
#include "num/lists.h"

#include <math.h>

enum {
    BLOCKS_MAX = 3, /* more are not looked at for one bound */
    SHORT = 1024,   /* a list below is read from end to end for a seed */
    BINS = 32,      /* of scores, for a seed */
};

qn_status qn_word_open(qn_iter_maker *m, const qn_plan *plan, size_t field,
                       size_t which, qn_word **out)
{
    const qn_plan_field *f = &plan->fields[field];
    const qn_term *term = qn_plan_term(plan, field, which, m->segment);
    *out = NULL;
    if (term->doc_freq == 0) return QN_OK;
    qn_word *w = qn_arena_raw(m->scratch, 1, sizeof *w); /* large: all is set below */
    if (w == NULL) return qn_fail(m->err, QN_ENOMEM, "query iterator");
    QN_TRY(qn_segment_postings_open(m->view->segment, term, QN_POSTINGS_LAZY,
                                    m->scratch, &w->p, m->err));
    w->bm25 = f->bm25;
    w->block_from = w->super_from = 1; /* empty: nothing looked at yet */
    w->block_last = w->super_last = 0;
    w->block = w->super = 0;
    w->pair = (qn_postings_bound){0, 0};
    qn_postings_range all;
    qn_postings_list_range(&w->p, &all);
    w->bound_all = (double)qn_postings_range_score(&all, &w->bm25);
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
    w->block_at = w->p.ahead;
    w->block = (double)qn_postings_range_score(&r, &w->bm25);
    /* The first pair has the greatest frequency, the last the least length. */
    w->pair = (qn_postings_bound){0, UINT8_MAX};
    if (r.n > 0) w->pair = (qn_postings_bound){r.pairs[0].freq, r.pairs[r.n - 1].norm};
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
    if (at >= limit) return 0;
    qn_word_look_far(w, at);
    if (w->super_last >= limit - 1 && w->super < otherwise) otherwise = w->super;
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

/* Only frequencies and lengths of what passes are looked at. */
static qn_status run_passing(qn_word *w, const qn_accept *accept, qn_word_docs *out,
                             qn_error *err)
{
    uint8_t places[QN_POSTINGS_BLOCK], norms[QN_POSTINGS_BLOCK];
    uint32_t freqs[QN_POSTINGS_BLOCK];
    const uint32_t *docs = out->docs, *all;
    size_t n = 0;
    const uint64_t *words = accept->bits[0].words, flip = accept->bits[0].flip;
    bool one = accept->bits_count == 1;
    for (size_t i = 0; i < out->taken; i++) {
        uint32_t doc = docs[i];
        uint64_t word = one ? words[doc / 64] ^ flip : qn_accept_word(accept, doc / 64);
        places[n] = (uint8_t)i;
        out->passed[n] = doc;
        n += (word >> (doc % 64)) & 1;
    }
    out->docs = out->passed;
    out->n = n;
    if (n == 0) return QN_OK;
    QN_TRY(qn_postings_freqs(&w->p, &all, err));
    for (size_t i = 0; i < n; i++) {
        freqs[i] = all[places[i]];
        norms[i] = qn_postings_norm_of(&w->p, out->passed[i]);
    }
    qn_bm25_scores(w->p.kernels, &w->bm25, freqs, norms, n, out->scores);
    return QN_OK;
}

qn_status qn_word_run(qn_word *w, uint32_t limit, const qn_accept *accept,
                      qn_word_docs *out, qn_error *err)
{
    const uint32_t *freqs;
    const uint8_t *norms;
    qn_postings_rest_docs(&w->p, &out->docs, &out->n);
    out->n = out->taken = qn_word_below(out->docs, out->n, limit);
    out->end = out->docs[out->taken - 1] + 1;
    out->last = out->end == limit;
    if (accept->bits_count > 0) return run_passing(w, accept, out, err);
    size_t rest;
    QN_TRY(qn_postings_rest3(&w->p, &out->docs, &freqs, &norms, &rest, err));
    qn_bm25_scores(w->p.kernels, &w->bm25, freqs, norms, out->n, out->scores);
    return QN_OK;
}

qn_status qn_word_pass(qn_word *w, size_t taken, qn_error *err)
{
    const uint32_t *docs;
    size_t rest;
    qn_postings_rest_docs(&w->p, &docs, &rest);
    return taken < rest ? qn_postings_seek(&w->p, docs[taken], err)
                        : qn_postings_next_block(&w->p, err);
}

/* ---- looking candidates up --------------------------------------------------------- */

/* Candidates that a block holds. */
typedef struct word_hits {
    uint8_t which[QN_WORD_BATCH], places[QN_WORD_BATCH];
    uint32_t freqs[QN_WORD_BATCH]; /* where the word's use needs them */
    size_t n;
} word_hits;

static bool needs_freqs(qn_word_how how)
{
    return how != QN_WORD_HAS;
}

static void add_scores(const qn_word *w, const qn_word_batch *b, size_t from,
                       const word_hits *h, bool marks)
{
    float scores[QN_WORD_BATCH];
    uint8_t norms[QN_WORD_BATCH];
    for (size_t k = 0; k < h->n; k++)
        norms[k] = qn_postings_norm_of(&w->p, b->docs[from + h->which[k]]);
    qn_bm25_scores(w->p.kernels, &w->bm25, h->freqs, norms, h->n, scores);
    for (size_t k = 0; k < h->n; k++) b->sums[from + h->which[k]] += (double)scores[k];
    for (size_t k = 0; marks && k < h->n; k++) b->marks[from + h->which[k]] = 1;
}

static void take_least(const qn_word_batch *b, size_t from, const word_hits *h)
{
    for (size_t k = 0; k < h->n; k++) {
        uint32_t *mark = &b->marks[from + h->which[k]];
        if (h->freqs[k] < *mark) *mark = h->freqs[k];
    }
}

/* Moves those of n candidates from `from` on that may still pass to `to`. */
static size_t keep_hopeful(qn_word_batch *b, size_t from, size_t n, size_t to,
                           double rest, float floor)
{
    size_t kept = to;
    if (from == to && floor == -HUGE_VALF) return n;
    for (size_t i = from; i < from + n; i++) {
        double sum = b->sums[i];
        b->docs[kept] = b->docs[i];
        b->sums[kept] = sum;
        if (b->marks != NULL) b->marks[kept] = b->marks[i];
        kept += (sum + rest) * QN_SUM_SLACK > (double)floor;
    }
    return kept - to;
}

static void keep_hits(qn_word_batch *b, size_t from, const word_hits *h)
{
    for (size_t k = 0; k < h->n; k++) {
        size_t at = from + h->which[k];
        b->docs[from + k] = b->docs[at];
        b->sums[from + k] = b->sums[at];
        if (b->marks != NULL) b->marks[from + k] = b->marks[at];
    }
}

static size_t up_to(const qn_word_batch *b, size_t from, uint32_t last)
{
    size_t end = from;
    while (end < b->n && b->docs[end] <= last) end++;
    return end - from;
}

size_t qn_word_groups(qn_postings *p, const uint32_t *docs, size_t n,
                      qn_word_group *out)
{
    size_t groups = 0;
    for (size_t i = 0; i < n;) {
        qn_word_group g = {.block = p->block, .at = (uint16_t)i};
        uint32_t last = qn_postings_decoded_last(p);
        if (docs[i] > last || p->doc == QN_DOC_END)
            g.block = qn_postings_block_at(p, docs[i], &last);
        if (g.block != p->block) qn_postings_want_block(p, g.block);
        while (i < n && docs[i] <= last) i++;
        g.n = (uint16_t)(i - g.at);
        out[groups++] = g;
    }
    return groups;
}

/* The same, without those candidates that have no hope by the bounds of their blocks. */
static size_t hopeful_groups(qn_word *w, qn_word_batch *b, double rest, float floor,
                             qn_word_group *out)
{
    size_t groups = 0, kept = 0;
    for (size_t i = 0, n = 0; i < b->n; i += n) {
        qn_word_group g = {.block = w->p.block, .at = (uint16_t)kept};
        uint32_t last = qn_postings_decoded_last(&w->p);
        double bound = HUGE_VAL; /* known from here on: nobody was dropped before */
        if (b->docs[i] > last || w->p.doc == QN_DOC_END) {
            qn_word_look(w, b->docs[i]);
            g.block = w->block_at;
            last = w->block_last;
            bound = w->block;
        }
        n = up_to(b, i, last);
        g.n = (uint16_t)keep_hopeful(b, i, n, kept, bound + rest, floor);
        if (g.n == 0) continue;
        if (g.block != w->p.block) qn_postings_want_block(&w->p, g.block);
        kept += g.n;
        out[groups++] = g;
    }
    b->n = kept;
    return groups;
}

/* Which candidates of a group its block holds. */
static qn_status find_hits(qn_word *w, const qn_word_batch *b, const qn_word_group *g,
                           qn_word_how how, word_hits *h, qn_error *err)
{
    const uint32_t *list, *freqs;
    size_t count;
    QN_TRY(qn_postings_seek_block(&w->p, g->block, b->docs[g->at], err));
    qn_postings_rest_docs(&w->p, &list, &count);
    h->n = count == 0 ? 0
                      : w->p.kernels->lists->meet(list, count, b->docs + g->at, g->n,
                                                  h->which, h->places);
    if (h->n == 0 || !needs_freqs(how)) return QN_OK;
    QN_TRY(qn_postings_freqs(&w->p, &freqs, err));
    for (size_t k = 0; k < h->n; k++) h->freqs[k] = freqs[h->places[k]];
    return QN_OK;
}

/* Uses what was found among the *n candidates from `i` on; *n of those that do not fit
 * the word are dropped. */
static void use_hits(const qn_word *w, qn_word_batch *b, size_t i, size_t *n,
                     qn_word_how how, const word_hits *h)
{
    if (h->n > 0 && (how == QN_WORD_MAY || how == QN_WORD_MUST))
        add_scores(w, b, i, h, how == QN_WORD_MAY && b->marks != NULL);
    if (h->n > 0 && how == QN_WORD_LEAST) take_least(b, i, h);
    if (how == QN_WORD_MAY) return;
    keep_hits(b, i, h);
    *n = h->n;
}

qn_status qn_word_look_up(qn_word *w, qn_word_batch *b, qn_word_how how, double rest,
                          float floor, qn_error *err)
{
    word_hits h;
    qn_word_group groups[QN_WORD_BATCH];
    bool bounds = floor > 0 && (how == QN_WORD_MAY || how == QN_WORD_MUST);
    size_t kept = 0, n = bounds ? hopeful_groups(w, b, rest, floor, groups)
                                : qn_word_groups(&w->p, b->docs, b->n, groups);
    for (size_t i = 0; i < n; i++) {
        const qn_word_group *g = &groups[i];
        size_t found = g->n;
        QN_TRY(find_hits(w, b, g, how, &h, err));
        use_hits(w, b, g->at, &found, how, &h);
        kept += keep_hopeful(b, g->at, found, kept, rest, floor);
    }
    b->n = kept;
    return QN_OK;
}

/* ---- seeds -------------------------------------------------------------------------- */

/* The least score of the first k that pass. They stand nearly in order, so that this is
 * nearly the k-th best. */
static void seed_by_best(const qn_word *w, const qn_postings_top *top, size_t k,
                         const qn_accept *accept, float *seed)
{
    float least = HUGE_VALF;
    size_t n = 0;
    for (size_t i = 0; i < top->n && n < k; i++) {
        const qn_postings_entry *e = &top->entries[i];
        if (!qn_accept_bit(accept, e->doc)) continue;
        float score = qn_bm25_score(&w->bm25, (float)e->freq, e->norm);
        if (score < least) least = score;
        n++;
    }
    if (n == k) *seed = least;
}

/* Counts scores by how great they are; `unit` bins to one. */
static void count_scores(const float *scores, const uint32_t *docs, size_t n,
                         const qn_accept *accept, float unit, uint32_t *bins)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bin = (uint32_t)(scores[i] * unit);
        if (bin >= BINS) bin = BINS - 1;
        bins[bin] += qn_accept_bit(accept, docs[i]);
    }
}

/* Reads a short list from end to end, by a cursor of its own if it has several blocks. */
static qn_status seed_by_list(qn_iter_maker *m, qn_word *w, const qn_term *term,
                              size_t k, const qn_accept *accept, float bound,
                              float *seed)
{
    uint32_t bins[BINS] = {0};
    qn_postings *p = &w->p;
    float unit = (float)BINS / bound;
    if (w->p.doc_count >= QN_POSTINGS_BLOCK) {
        p = qn_arena_new(m->scratch, sizeof *p);
        if (p == NULL) return qn_fail(m->err, QN_ENOMEM, "query iterator");
        QN_TRY(qn_segment_postings_open(m->view->segment, term, QN_POSTINGS_LAZY, NULL,
                                        p, m->err));
    }
    while (p->doc != QN_DOC_END) {
        const uint32_t *docs, *freqs;
        const uint8_t *norms;
        float scores[QN_POSTINGS_BLOCK];
        size_t n;
        QN_TRY(qn_postings_rest3(p, &docs, &freqs, &norms, &n, m->err));
        qn_bm25_scores(p->kernels, &w->bm25, freqs, norms, n, scores);
        count_scores(scores, docs, n, accept, unit, bins);
        if (p == &w->p) break;
        QN_TRY(qn_postings_next_block(p, m->err));
    }
    size_t n = 0, bin = BINS;
    while (bin > 0 && n < k) n += bins[--bin];
    /* A little less: the bin was found by a rounded product. */
    if (n >= k) *seed = (float)bin / unit * (1.0f - 1e-5f);
    return QN_OK;
}

qn_status qn_word_seed(qn_iter_maker *m, qn_word *w, const qn_term *term, size_t k,
                       const qn_accept *accept, float than, float *seed)
{
    *seed = -HUGE_VALF;
    if (w->p.doc_count < k) return QN_OK;
    float bound =
        w->p.bound.freq == UINT32_MAX
            ? w->bm25.weight
            : qn_bm25_score(&w->bm25, (float)w->p.bound.freq, w->p.bound.norm);
    if (bound <= than || !(bound > 0)) return QN_OK;
    if (w->p.doc_count < SHORT) return seed_by_list(m, w, term, k, accept, bound, seed);
    qn_postings_top top;
    size_t most = accept->bits_count == 0 ? k : SIZE_MAX;
    QN_TRY(qn_postings_best_some(&w->p, m->scratch, most, &top, m->err));
    seed_by_best(w, &top, k, accept, seed);
    return QN_OK;
}

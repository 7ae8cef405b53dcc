/* SPDX-License-Identifier: Apache-2.0 */
/* query/iter.h -- the documents of one segment that match, one after another. Private
 * to this module.
 *
 *     it->doc                the current document, QN_DOC_END past the last one;
 *                            a fresh iterator is on its first document
 *     it->kind->next         to the next one
 *     it->kind->seek         to the first one >= target; never backwards
 *     it->kind->score        of the current one; nought under filters
 *     it->kind->window       all documents of [base, limit) at once, scores added up
 *
 * NULL stands for an iterator without documents.
 *
 * Lifetime   in the segment's scratch arena. */
#ifndef QN_QUERY_ITER_H
#define QN_QUERY_ITER_H

#include "base/bits.h"
#include "index/segment.h"
#include "query/plan.h"

typedef struct qn_iter qn_iter;

enum { QN_WINDOW = 4096 };

/* Sums by document, for the union of many lists: each clause adds to `sums` and marks
 * `seen`; `counts` (NULL unless asked for) says how many clauses had the document. */
typedef struct qn_window {
    uint32_t base, limit; /* limit - base <= QN_WINDOW */
    double sums[QN_WINDOW];
    uint64_t seen[QN_WINDOW / 64];
    QN_NULLABLE uint16_t *counts; /* QN_WINDOW of them */
} qn_window;

typedef struct qn_iter_kind {
    qn_status (*next)(qn_iter *it, qn_error *err);
    qn_status (*seek)(qn_iter *it, uint32_t target, qn_error *err);
    qn_status (*score)(qn_iter *it, float *score, qn_error *err);
    /* NULL: by next() and score(). Leaves the iterator on the first document >=
     * limit. */
    qn_status (*window)(qn_iter *it, qn_window *w, qn_error *err);
} qn_iter_kind;

/* Every iterator begins with this. */
struct qn_iter {
    const qn_iter_kind *kind;
    uint32_t doc;
    uint64_t cost; /* documents at most, roughly: the cheapest leads */
};

/* What iterators are made in. */
typedef struct qn_iter_maker {
    const qn_planner *planner;
    size_t segment;
    const qn_segment_view *view;
    qn_arena *scratch;
    bool jumps; /* what is made will be asked for few documents, far apart */
    qn_error *err;
} qn_iter_maker;

/* *out is NULL when nothing in the segment matches. */
QN_MUST_CHECK qn_status qn_iter_make(qn_iter_maker *m, const qn_plan *plan,
                                     qn_iter **out);
/* One function a file; qn_iter_make() picks. */
QN_MUST_CHECK qn_status qn_iter_make_term(qn_iter_maker *m, const qn_plan *plan,
                                          qn_iter **out);
QN_MUST_CHECK qn_status qn_iter_make_phrase(qn_iter_maker *m, const qn_plan *plan,
                                            qn_iter **out);
QN_MUST_CHECK qn_status qn_iter_make_values(qn_iter_maker *m, const qn_plan *plan,
                                            qn_iter **out);
QN_MUST_CHECK qn_status qn_iter_make_geo(qn_iter_maker *m, const qn_plan *plan,
                                         qn_iter **out);
QN_MUST_CHECK qn_status qn_iter_make_bool(qn_iter_maker *m, const qn_plan *plan,
                                          qn_iter **out);

/* Every document of the segment, with one score. */
QN_MUST_CHECK qn_status qn_iter_make_all(qn_iter_maker *m, float score, qn_iter **out);
/* Ascending documents, with one score each or (scores NULL) one for all. */
QN_MUST_CHECK qn_status qn_iter_make_list(qn_iter_maker *m, const uint32_t *docs,
                                          const float *scores, size_t n, float score,
                                          qn_iter **out);
/* The documents of a bit set over the segment. */
QN_MUST_CHECK qn_status qn_iter_make_bits(qn_iter_maker *m, const uint64_t *bits,
                                          float score, qn_iter **out);
/* The same when it is known how many there are. */
QN_MUST_CHECK qn_status qn_iter_make_counted_bits(qn_iter_maker *m,
                                                  const uint64_t *bits, uint64_t count,
                                                  float score, qn_iter **out);
/* GEO: sets the bit of every document that matches. */
QN_MUST_CHECK qn_status qn_iter_geo_bits(qn_iter_maker *m, const qn_query *q,
                                         uint64_t *bits);
/* RANGE, SET, EXISTS and GEO (also under CONSTANT): sets the bit of every document that
 * matches, all at once. *done is false for other plans. */
QN_MUST_CHECK qn_status qn_iter_values_bits(qn_iter_maker *m, const qn_plan *plan,
                                            uint64_t *bits, bool *done);
/* Union: `at_least` of the children have to match. Scores: their sum, or DISMAX. Sums
 * that will be walked from end to end are made a window at a time. */
typedef enum qn_union_score { QN_UNION_SUM, QN_UNION_DISMAX } qn_union_score;
QN_MUST_CHECK qn_status qn_iter_make_union(qn_iter_maker *m, qn_iter *const *children,
                                           size_t n, uint32_t at_least,
                                           qn_union_score how, float tie_breaker,
                                           qn_iter **out);
/* Intersection; `scored` are those of `all` whose scores are added, in clause order. */
QN_MUST_CHECK qn_status qn_iter_make_both(qn_iter_maker *m, qn_iter *const *all,
                                          size_t n, qn_iter *const *scored,
                                          size_t scored_count, qn_iter **out);
/* The same documents, another score. */
QN_MUST_CHECK qn_status qn_iter_make_constant(qn_iter_maker *m, qn_iter *child,
                                              float score, qn_iter **out);

/* Of an iterator that qn_iter_make_phrase() made for one field: how often the phrase
 * stands in the current document. */
float qn_iter_phrase_freq(const qn_iter *it);

/* Moves to the first document >= target when the iterator is behind it. */
static inline qn_status qn_iter_reach(qn_iter *it, uint32_t target, qn_error *err)
{
    return it->doc < target ? it->kind->seek(it, target, err) : QN_OK;
}

/* window() for those that have none. */
QN_MUST_CHECK qn_status qn_iter_window_by_steps(qn_iter *it, qn_window *w,
                                                qn_error *err);
static inline qn_status qn_iter_window(qn_iter *it, qn_window *w, qn_error *err)
{
    return it->kind->window != NULL ? it->kind->window(it, w, err)
                                    : qn_iter_window_by_steps(it, w, err);
}

static inline void qn_window_add(qn_window *w, uint32_t doc, float score)
{
    uint32_t i = doc - w->base;
    w->sums[i] += (double)score;
    w->seen[i / 64] |= (uint64_t)1 << (i % 64);
    if (w->counts != NULL) w->counts[i]++;
}

#endif

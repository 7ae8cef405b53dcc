/* SPDX-License-Identifier: Apache-2.0 */
/* query/word.h -- one word of one field in one segment, for the bulk executors: its
 * list, its scores by the block, and upper bounds of them. Private to this module.
 *
 * Bounds come in pieces, a piece being a block of the list: "no document up to
 * `piece_last` scores more than `piece`". They are found in the table of blocks, without
 * decoding anything.
 *
 * Lifetime   in the segment's scratch arena. */
#ifndef QN_QUERY_WORD_H
#define QN_QUERY_WORD_H

#include "query/iter.h"

typedef struct qn_word {
    qn_postings p;
    qn_bm25_term bm25;
    QN_NULLABLE const uint8_t *norms; /* NULL: every length counts as 1 */
    double bound_all;                 /* of the whole list */

    /* Private to word.c and the functions below. */
    uint32_t piece_from, piece_last; /* documents that `piece` speaks of */
    double piece;
    qn_postings_bound piece_pair;
} qn_word;

/* NULL when no document of the segment has it. `which`: the spelling. */
QN_MUST_CHECK qn_status qn_word_open(qn_iter_maker *m, const qn_plan *plan,
                                     size_t field, size_t which,
                                     QN_NULLABLE qn_word **out);

/* The scores of n documents with these frequencies. */
void qn_word_scores(const qn_word *w, const uint32_t *docs, const uint32_t *freqs,
                    size_t n, float *scores);

/* Makes piece, piece_last those of `doc`, which is not before the list's place. */
void qn_word_look(qn_word *w, uint32_t doc);
/* No document of [base, limit) scores more; looks at a few pieces at most. */
double qn_word_bound(qn_word *w, uint32_t base, uint32_t limit);
/* The same as a frequency and a length. */
qn_postings_bound qn_word_bound_pair(qn_word *w, uint32_t base, uint32_t limit);

static inline float qn_word_score(const qn_word *w, uint32_t doc, uint32_t freq)
{
    return qn_bm25_score(&w->bm25, (float)freq, w->norms == NULL ? 1 : w->norms[doc]);
}

static inline qn_status qn_word_seek(qn_word *w, uint32_t doc, qn_error *err)
{
    return w->p.doc < doc ? qn_postings_seek(&w->p, doc, err) : QN_OK;
}

/* The decoded documents from the current one on that are below `limit`, and where the
 * list is to be taken up after them: by qn_word_pass(w, n). n may be 0. */
static inline size_t qn_word_run(const qn_word *w, uint32_t limit,
                                 const uint32_t **docs, const uint32_t **freqs)
{
    size_t n;
    qn_postings_rest(&w->p, docs, freqs, &n);
    if (n == 0 || (*docs)[n - 1] < limit) return n;
    size_t low = 0, high = n - 1; /* docs[high] >= limit */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((*docs)[middle] < limit)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static inline qn_status qn_word_pass(qn_word *w, size_t n, qn_error *err)
{
    const uint32_t *docs, *freqs;
    size_t rest;
    qn_postings_rest(&w->p, &docs, &freqs, &rest);
    return n < rest ? qn_postings_seek(&w->p, docs[n], err)
                    : qn_postings_next_block(&w->p, err);
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* query/word.h -- one word of one field in one segment, for the bulk executors: its
 * list, its scores by the block, and upper bounds of them. Private to this module.
 *
 * Bounds are found in the tables of the list, without decoding anything, and kept as
 * long as they hold: for a block ("no document up to `block_last` scores more than
 * `block`") and for a super-block of many.
 *
 * Lifetime   in the segment's scratch arena. */
#ifndef QN_QUERY_WORD_H
#define QN_QUERY_WORD_H

#include "query/accept.h"

typedef struct qn_word {
    qn_postings p; /* lazy: frequencies by the functions below */
    qn_bm25_term bm25;
    double bound_all; /* no document of the list scores more */

    /* Made by qn_word_look() and qn_word_look_far(). */
    uint32_t block_from, block_last;
    uint32_t block_at; /* which */
    double block;
    uint32_t super_from, super_last;
    double super;
    qn_postings_bound pair; /* of the block: greatest frequency, least length */
} qn_word;

/* NULL when no document of the segment has it. `which`: the spelling. */
QN_MUST_CHECK qn_status qn_word_open(qn_iter_maker *m, const qn_plan *plan,
                                     size_t field, size_t which,
                                     QN_NULLABLE qn_word **out);

void qn_word_look_block(qn_word *w, uint32_t doc);
void qn_word_look_super(qn_word *w, uint32_t doc);

/* Makes block, block_last those of `doc`, which is not before the list's place. */
static inline void qn_word_look(qn_word *w, uint32_t doc)
{
    if (doc < w->block_from || doc > w->block_last) qn_word_look_block(w, doc);
}

static inline void qn_word_look_far(qn_word *w, uint32_t doc)
{
    if (doc < w->super_from || doc > w->super_last) qn_word_look_super(w, doc);
}

/* No document of [base, limit) scores more than this, nor than `otherwise`, which is
 * given where too many blocks would have to be looked at. */
double qn_word_bound(qn_word *w, uint32_t base, uint32_t limit, double otherwise);
/* The same as a frequency and a length. */
qn_postings_bound qn_word_bound_pair(qn_word *w, uint32_t base, uint32_t limit);

/* k documents of the list that pass the bits of `accept` score as much as this or
 * more; -inf when that many are not known. Reads the list's best documents, or the list
 * itself when it is short and may do better than `than`. */
QN_MUST_CHECK qn_status qn_word_seed(qn_iter_maker *m, qn_word *w, const qn_term *term,
                                     size_t k, const qn_accept *accept, float than,
                                     float *seed);

/* Candidates: ascending documents with what is known of their scores. */
typedef struct qn_word_batch {
    uint32_t *docs;
    double *sums;
    QN_NULLABLE uint32_t *marks; /* see qn_word_how */
    size_t n;                    /* at most QN_WORD_BATCH */
} qn_word_batch;
enum { QN_WORD_BATCH = 256 };

/* What is done with candidates that the word holds. The others stay with QN_WORD_MAY
 * and are dropped else. */
typedef enum qn_word_how {
    QN_WORD_MAY,   /* its score is added, the mark becomes 1 */
    QN_WORD_MUST,  /* its score is added */
    QN_WORD_LEAST, /* the mark becomes the frequency if that is less */
    QN_WORD_HAS,   /* nothing */
} qn_word_how;

/* Drops, besides, candidates whose sum, with `rest` that is still to come, stays at or
 * under the floor. */
QN_MUST_CHECK qn_status qn_word_look_up(qn_word *w, qn_word_batch *b, qn_word_how how,
                                        double rest, float floor, qn_error *err);

/* Candidates [at, at + n) that `block` of a list would hold. */
typedef struct qn_word_group {
    uint32_t block;
    uint16_t at, n;
} qn_word_group;
/* Cuts ascending documents, not before the list's place, into groups (at most n), and
 * asks the memory for their blocks: all, before the first is waited for. Returns how
 * many. */
size_t qn_word_groups(qn_postings *p, const uint32_t *docs, size_t n,
                      qn_word_group *out);

/* Sums of bounds are compared with scores that are rounded sums of floats; this covers
 * the rounding of the sums themselves. */
#define QN_SUM_SLACK (1.0 + 1e-9)

/* Of the current document. */
static inline qn_status qn_word_score(qn_word *w, float *score, qn_error *err)
{
    uint32_t freq;
    QN_TRY(qn_postings_freq(&w->p, &freq, err));
    *score = qn_bm25_score(&w->bm25, (float)freq, qn_postings_norm(&w->p));
    return QN_OK;
}

static inline qn_status qn_word_seek(qn_word *w, uint32_t doc, qn_error *err)
{
    return w->p.doc < doc ? qn_postings_seek(&w->p, doc, err) : QN_OK;
}

/* How many of n ascending documents are below `limit`. */
static inline size_t qn_word_below(const uint32_t *docs, size_t n, uint32_t limit)
{
    if (n == 0 || docs[n - 1] < limit) return n;
    size_t low = 0, high = n - 1; /* docs[high] >= limit */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (docs[middle] < limit)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The decoded documents from the current one on (which is below `limit`) that are below
 * `limit` and pass the bits of `accept`, with their scores. */
typedef struct qn_word_docs {
    const uint32_t *docs; /* `passed`, or the list's own */
    size_t n;
    size_t taken; /* of the list, passed or not: for qn_word_pass() */
    bool last;    /* the last one taken stands right before `limit` */
    uint32_t end; /* the document behind the last one taken */
    float scores[QN_POSTINGS_BLOCK];
    uint32_t passed[QN_POSTINGS_BLOCK];
} qn_word_docs;
QN_MUST_CHECK qn_status qn_word_run(qn_word *w, uint32_t limit, const qn_accept *accept,
                                    qn_word_docs *out, qn_error *err);
/* Takes the list up behind what was taken. */
QN_MUST_CHECK qn_status qn_word_pass(qn_word *w, size_t taken, qn_error *err);

#endif

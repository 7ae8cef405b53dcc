/* SPDX-License-Identifier: Apache-2.0 */
/* query/run_any.h -- what the files of the union executor share. Private to them.
 *
 *     run_any.c          making the parts; which words are essential; the segment
 *     any_candidates.c   candidates looked up in the other words and handed over; one
 *                        essential word
 *     any_window.c       several essential words: sums by document
 *     any_merge.c        several that are rare: lists merged
 *     any_best.c         one word from its stored best documents
 *
 * Lifetime   in the segment's scratch arena. */
#ifndef QN_QUERY_RUN_ANY_H
#define QN_QUERY_RUN_ANY_H

#include "num/kernels.h"
#include "num/lists.h"
#include "query/run.h"

enum {
    STEP_MIN = 512, /* documents of a window of several words, at least */
    ONE_MAX = 8192, /* of a window of one word before there is a floor */
    BATCH = QN_WORD_BATCH,
    LEAD_GAIN = 8, /* a filter leads when it has that many times fewer documents */
};

/* A word in one field; or in several, of which the best counts. */
typedef struct any_clause {
    qn_word **words;
    const qn_plan_field *field; /* of the last one */
    size_t n;
    uint64_t cost;
    double outer; /* no score in the outer window is greater */
    double bound; /* nor in the window */
    size_t row;   /* of any_run.rows */
} any_clause;

/* Sums by document. `some` says which words of `seen` are not empty; with `full` neither
 * is kept, since nearly every word has some: what is greater than nought is there. */
typedef struct any_window {
    uint32_t base, limit;
    bool full;
    uint64_t some, seen[QN_WINDOW / 64];
    double sums[QN_WINDOW];
} any_window;

typedef struct any_row any_row;

typedef struct any_part {
    any_clause **clauses; /* by bound, the least first */
    size_t n, essential;  /* the first of those that are */
    any_clause **outer;   /* the same in the outer window */
    size_t outer_essential;
    double *reach; /* reach[i]: bounds of clauses [0, i) together */
    QN_NULLABLE any_window *w;
    double sums[BATCH + 8]; /* the kernel writes some behind */
} any_part;

typedef struct any_run {
    qn_run *r;
    const qn_lists *lists; /* kernels */
    bool alone;            /* one word in one field */
    any_part *parts;
    size_t part_count;
    float tie;
    uint32_t doc_count;
    uint32_t outer_end; /* of the outer window; and what it was split for */
    float outer_floor;
    bool outer_pruning;
    uint32_t docs[BATCH]; /* the candidates */
    bool only_hits;       /* candidates come from a filter: a word must match */
    uint32_t hits[BATCH]; /* does one? */
    size_t n;
    qn_word_docs run;
    QN_NULLABLE any_row *rows; /* any_merge.c's */
    float *best;               /* several fields: a window of their greatest scores */
    uint64_t *seen;            /* and where they are */
} any_run;

qn_status qn_any__no_memory(const any_run *a);

/* Hands a->n candidates over, when all that may matter is known of them. */
QN_MUST_CHECK qn_status qn_any__finish(any_run *a, bool bits_said);
/* Up to which sum a match is of no use, when all but filters is known of it. */
float qn_any__useless(const any_run *a, bool accepted);
/* All documents of the word in [base, limit). Leaves the list on the last of them, so
 * that no block is decoded that may be passed over. */
QN_MUST_CHECK qn_status qn_any__run_word(any_run *a, any_part *part, qn_word *w,
                                         uint32_t base, uint32_t limit);
/* All documents of the essential words in [base, limit), at most QN_WINDOW of them. */
QN_MUST_CHECK qn_status qn_any__run_window(any_run *a, uint32_t base, uint32_t limit);
/* Are the essential words so rare that merging is cheaper than a window? Then the end of
 * the piece from `base` on, and the piece. */
bool qn_any__is_sparse(const any_run *a);
uint32_t qn_any__merge_end(const any_run *a, uint32_t base);
QN_MUST_CHECK qn_status qn_any__run_merge(any_run *a, uint32_t base, uint32_t limit);
/* A single word whose k best documents are stored: nothing else need be read, if how
 * many match is known as well. */
QN_MUST_CHECK qn_status qn_any__take_best(any_run *a, bool *done);

#endif

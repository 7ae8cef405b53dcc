/* SPDX-License-Identifier: Apache-2.0 */
/* index/list_bounds.h -- what bounds the scores of a run of documents, while a list is
 * written. Private.
 *
 * A score grows with the frequency and falls with the length, so only documents that no
 * other beats in both can be the best: a few pairs. They are kept as frequency and
 * length, because what a pair is worth changes with the statistics. Where there are more
 * pairs than room, neighbours are joined (the greater frequency, the shorter length),
 * those first whose joint score under the segment's own statistics is the least. */
#ifndef QN_INDEX_LIST_BOUNDS_H
#define QN_INDEX_LIST_BOUNDS_H

#include "index/segment_internal.h"

enum { NORM_NONE = 256 };

/* The shortest document's norm of each frequency code; NORM_NONE where there is none. */
typedef struct list_bounds {
    uint16_t norm[256];
    unsigned limit; /* codes from here on have none */
} list_bounds;

typedef struct list_pair {
    uint8_t freq, norm; /* code and norm */
} list_pair;

void qn_list_bounds__reset(list_bounds *b);
/* Documents [first, first + n) of the list. */
void qn_list_bounds__add(list_bounds *b, const postings_list *l, size_t first,
                         size_t n);
void qn_list_bounds__add_all(list_bounds *b, const list_bounds *other);
/* Pairs that nothing dominates, greatest frequency first: at most `most`, joined to fit.
 * `inverse` as in qn_bm25_field. */
size_t qn_list_bounds__pairs(const list_bounds *b, const float *inverse, size_t most,
                             list_pair *out);
/* The same without joining: at most 256. */
size_t qn_list_bounds__frontier(const list_bounds *b, list_pair *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* index/points.h -- a column's numbers sorted, each with its document: for ranges that
 * few documents are in.
 *
 *     keys       3 3 7 9 | 12 12 15 ...     ascending, bit-packed in blocks of 512
 *     documents  8 2 5 1 |  0  4  9 ...     beside them
 *
 * A range is one run of places, found by two searches over the blocks' bounds, so that
 * its size is known before anything is read. A segment has points of a numeric column
 * when it is large and documents of a block do not lie close together anyway, as times
 * of arrival do: there the column's own bounds serve as well.
 *
 * Lifetime   a view that borrows the segment.
 * Threads    read by any number.
 * Errors     checked whole when first asked for; reads do not fail. */
#ifndef QN_INDEX_POINTS_H
#define QN_INDEX_POINTS_H

#include "index/segment.h"

typedef struct qn_points {
    uint32_t doc_count;
    qn_packed keys, docs;
} qn_points;

/* Places [begin, limit) of the keys within [low, high]. */
typedef struct qn_points_run {
    uint64_t begin, limit;
} qn_points_run;

/* QN_ENOTFOUND when the segment has none of that field: ask the column. */
QN_MUST_CHECK qn_status qn_segment_points(const qn_segment *seg, uint32_t field,
                                          qn_points *out, qn_error *err);
qn_points_run qn_points_find(const qn_points *p, int64_t low, int64_t high);
/* Sets the documents' bits. */
void qn_points_match(const qn_points *p, qn_points_run run, uint64_t *bits);
/* The documents of the run as they stand: by key. */
void qn_points_docs(const qn_points *p, qn_points_run run, uint32_t *docs);

#endif

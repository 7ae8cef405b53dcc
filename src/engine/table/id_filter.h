/* SPDX-License-Identifier: Apache-2.0 */
/* engine/table/id_filter.h -- which segments surely do not have an id.
 *
 * Before a document is written its id is looked for in every segment, and is in none or
 * one of them. A filter answers "no" from one cache line: twelve bits an id, six of which
 * are set within a line of 512 (a Bloom filter in blocks). One in a hundred noes is
 * missed.
 *
 * It is made in memory, when an id was looked for so often that making it pays, and a
 * little at each look, so that no write waits for all of it.
 *
 * Lifetime   deinit() frees; zeroed it is a filter that says "maybe" to all.
 * Threads    one at a time: the table's write lock. */
#ifndef QN_ENGINE_ID_FILTER_H
#define QN_ENGINE_ID_FILTER_H

#include "index/segment.h"

typedef struct qn_id_filter {
    uint64_t *lines; /* 8 words each; NULL: not begun */
    uint32_t line_count;
    uint32_t taken; /* documents whose ids are in it */
    uint32_t looks; /* until it was begun */
} qn_id_filter;

/* The same for all segments of this process. */
uint64_t qn_id_filter_hash(qn_slice id);
/* false: the segment does not have the id of that hash. Out of memory it is "maybe". */
bool qn_id_filter_maybe(qn_id_filter *f, qn_alloc *a, const qn_segment *seg,
                        uint64_t hash);
bool qn_id_filter_complete(const qn_id_filter *f, const qn_segment *seg);
/* All of it at once. */
void qn_id_filter_make(qn_id_filter *f, qn_alloc *a, const qn_segment *seg);
void qn_id_filter_deinit(qn_id_filter *f, qn_alloc *a);

#endif

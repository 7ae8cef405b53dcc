/* SPDX-License-Identifier: Apache-2.0 */
/* query/sort.h -- the best n documents by sort keys, without reading those of all.
 *
 * A key becomes a cell: a rank (missing first, a value, not a number, missing last) and
 * an int64 that ascends as the results do. Cells of keywords are ordinals within one
 * segment and compare as bytes across segments. The first key is read in batches and
 * compared with the worst kept; only what passes has its other keys read.
 *
 *     begin(segment)  add(documents) ...  skip(doc)   begin(next segment) ...   finish
 *
 * Once the best n are had, blocks of the column whose bounds cannot compete need not be
 * looked at: qn_sorter_skip() says where to go on, qn_sorter_blocks() takes a whole
 * segment, best block first.
 *
 * Lifetime   in the arena; texts point into the segments.
 * Threads    one sorter, one thread.
 * Errors     damaged columns; QN_EINVAL for keys that cannot be sorted by here. */
#ifndef QN_QUERY_SORT_H
#define QN_QUERY_SORT_H

#include "index/segment.h"
#include "query/exec.h"
#include "query/request.h"

typedef struct qn_sorter qn_sorter;

/* May a request be sorted so? (No expressions.) */
bool qn_sort_applies(const qn_sort_key *keys, size_t count);

QN_MUST_CHECK qn_status qn_sorter_create(const qn_snapshot_view *snapshot,
                                         const qn_exec_options *options,
                                         qn_arena *arena, qn_sorter **out,
                                         qn_error *err);
QN_MUST_CHECK qn_status qn_sorter_begin(qn_sorter *s, size_t segment, qn_error *err);
/* Documents that match, ascending; scores NULL when no key needs them. false: out of
 * memory. */
bool qn_sorter_add(qn_sorter *s, const uint32_t *docs, QN_NULLABLE const float *scores,
                   size_t n);
/* The first document >= doc that may still get in, or QN_DOC_END. */
uint32_t qn_sorter_skip(const qn_sorter *s, uint32_t doc);
/* Adds those of the segment's documents whose bits are set (`accept` NULL: all), the
 * best block first, and leaves out blocks that cannot compete. */
QN_MUST_CHECK qn_status qn_sorter_blocks(qn_sorter *s,
                                         QN_NULLABLE const uint64_t *accept,
                                         qn_arena *scratch, qn_error *err);
/* Best first. */
QN_MUST_CHECK qn_status qn_sorter_finish(qn_sorter *s, const qn_candidate **out,
                                         size_t *count, qn_error *err);

/* What a FIELD or DISTANCE key is of one document, as a key of qn_sort_type(); false:
 * missing. Also for who shows the values. */
bool qn_sort_read(const qn_sort_key *key, const qn_column *c, uint32_t doc,
                  int64_t *out);
/* The field's type; DOUBLE for distances. */
qn_field_type qn_sort_type(const qn_sort_key *key);

#endif

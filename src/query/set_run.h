/* SPDX-License-Identifier: Apache-2.0 */
/* query/set_run.h -- queries whose matches all have one score: filters alone, ranges,
 * everything. Their documents are a set of bits, their total is its count, and the best n
 * are the first n. Private to this module. */
#ifndef QN_QUERY_SET_RUN_H
#define QN_QUERY_SET_RUN_H

#include "query/collect.h"
#include "query/iter.h"

/* One segment. *done is false when the plan is not such a one, or every document has to
 * be handed on: it is to be run otherwise. */
QN_MUST_CHECK qn_status qn_set_segment(qn_iter_maker *m, const qn_plan *plan,
                                       qn_collector *c, bool *done);
/* Documents of the segment that are not deleted and whose bit is set (NULL: all). */
uint64_t qn_set_count(const qn_segment_view *v, QN_NULLABLE const uint64_t *accept);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* query/sort_run.h -- one segment of a query whose best are chosen by sort keys. Private
 * to this module.
 *
 * A query whose documents are quickly known as a set (everything, a range, a filter in
 * the cache) is counted by its bits and sorted block by block, the best block first;
 * any other one is walked in document order. */
#ifndef QN_QUERY_SORT_RUN_H
#define QN_QUERY_SORT_RUN_H

#include "query/collect.h"
#include "query/iter.h"

/* The collector has a sorter. total_exact becomes false when matches may have been
 * passed over. */
QN_MUST_CHECK qn_status qn_sort_segment(qn_iter_maker *m, const qn_plan *plan,
                                        qn_collector *c, qn_exec_result *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* query/filters.h -- filters of a query as bit sets over a segment. Private to this
 * module.
 *
 * A filter is a plan without scores: under filter, must_not, CONSTANT. What repeats
 * comes from the cache (filter_cache.h); the rest is an iterator, or is made into bits
 * by who wants them.
 *
 *     qn_filter_find()   the cached bits, or none
 *     qn_filter_fill()   bits of any filter, cached or not
 *     qn_filter_accept() one set for a whole BOOL: all filters, no must_not, not deleted
 *
 * Lifetime   what is found is held by the planner until qn_planner_deinit().
 * Threads    one maker, one thread; makers of one planner may find at the same time. */
#ifndef QN_QUERY_FILTERS_H
#define QN_QUERY_FILTERS_H

#include "query/filter_cache.h"
#include "query/iter.h"

/* Cached bits of the plan over the maker's segment; made and kept when this filter was
 * asked for before. out->words is NULL when there are none to be had. */
QN_MUST_CHECK qn_status qn_filter_find(qn_iter_maker *m, const qn_plan *plan,
                                       qn_filter_bits *out);
/* The bits, whatever it takes: cached, or made in the scratch arena. */
QN_MUST_CHECK qn_status qn_filter_fill(qn_iter_maker *m, const qn_plan *plan,
                                       qn_filter_bits *out);
/* What the filters let through, the must_not clauses do not match and is not deleted:
 * the documents that may be scored. *out may be cached bits or in the scratch arena;
 * words NULL: every document. */
QN_MUST_CHECK qn_status qn_filter_accept(qn_iter_maker *m, qn_plan_list filters,
                                         qn_plan_list must_not, qn_filter_bits *out);
/* An iterator: over cached bits when there are, else as qn_iter_make(). */
QN_MUST_CHECK qn_status qn_filter_iter(qn_iter_maker *m, const qn_plan *plan,
                                       qn_iter **out);

/* The filter as bytes: equal bytes let the same documents through, whatever the boosts,
 * labels and the order of clauses. false: not to be kept (vectors, whose hits depend on
 * more than the segment). */
bool qn_filter_key(const qn_query *q, qn_buf *out);

#endif

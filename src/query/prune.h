/* SPDX-License-Identifier: Apache-2.0 */
/* query/prune.h -- the best n of a union of words without scoring every match. Private
 * to this module.
 *
 * MaxScore with block bounds (Turtle and Flood 1995; Chakrabarti et al. 2011; as in
 * Lucene's MaxScoreBulkScorer). The documents are taken in windows. In each window a
 * word cannot give more than its blocks' (frequency, length) bound allows. Words whose
 * bounds together do not reach the score that is needed now are not essential: a
 * document that holds only those is never looked at, and for one that holds others they
 * are looked up only as long as the document can still get in.
 *
 * What is found is what scoring everything finds, to the last bit; only the count of
 * matches stays behind (total_exact is then false). */
#ifndef QN_QUERY_PRUNE_H
#define QN_QUERY_PRUNE_H

#include "query/collect.h"
#include "query/iter.h"

/* May this plan be run so, under these options? */
bool qn_prune_applies(const qn_plan *plan, const qn_exec_options *options);
/* *exact becomes false when matches may have been passed over. */
QN_MUST_CHECK qn_status qn_prune_segment(qn_iter_maker *m, const qn_plan *plan,
                                         qn_collector *c, bool *exact, bool *timed_out);

#endif

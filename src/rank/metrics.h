/* SPDX-License-Identifier: Apache-2.0 */
/* rank/metrics.h -- how good an order is, given judgements.
 *
 * For one query: the grades of the documents in the order returned (0 where unjudged), and
 * the grades of all its judged documents. Definitions as in trec_eval, except that gains are
 * linear (grade, not 2^grade - 1):
 *
 *   ndcg@k    sum_{i<=k} g_i / log2(i + 1), over the same sum of the best order there could be
 *   mrr@k     1 / rank of the first document with a grade over 0 among the first k, else 0
 *   recall@k  relevant documents among the first k / all relevant ones
 *   map       mean over relevant documents of precision at their rank; absent ones count 0
 *   precision@k  relevant documents among the first k / k
 *
 * `map` without @k looks at the whole list. A query without a relevant document counts 0.
 *
 * Threads   pure functions.
 * Errors    QN_EINVAL for an unknown metric, listing the known ones. */
#ifndef QN_RANK_METRICS_H
#define QN_RANK_METRICS_H

#include "base/slice.h"

typedef enum qn_metric_kind {
    QN_METRIC_NDCG,
    QN_METRIC_MRR,
    QN_METRIC_RECALL,
    QN_METRIC_MAP,
    QN_METRIC_PRECISION,
} qn_metric_kind;

typedef struct qn_metric {
    qn_metric_kind kind;
    size_t k; /* SIZE_MAX: the whole list */
} qn_metric;

/* "ndcg@10", "mrr@10", "recall@100", "map", "precision@5". */
QN_MUST_CHECK qn_status qn_metric_parse(qn_slice text, qn_metric *out, qn_error *err);
/* `ranked`: grades in the order returned. `judged`: grades of all judged documents, in any
 * order; sorted in place. */
double qn_metric_compute(qn_metric m, const int *ranked, size_t n, int *judged,
                         size_t judged_count);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* server/metrics.h -- counters and histograms of a server, and their Prometheus text.
 *
 * Threads   any; updates are relaxed atomics. */
#ifndef QN_SERVER_SERVER_METRICS_H
#define QN_SERVER_SERVER_METRICS_H

#include "base/slice.h"
#include "server/router.h"

#include <stdatomic.h>
#include <stdint.h>

typedef enum qn_metric {
#define ROW(kind, NAME, name, help) QN_METRIC_##NAME,
#include "server/metrics.def"
#undef ROW
    QN_METRIC_COUNT
} qn_metric;

enum { QN_METRIC_BUCKETS = 14, QN_METRIC_APIS = QN_API_QUERN + 1 };

typedef struct qn_metrics {
    struct {
        atomic_ullong count, microseconds, buckets[QN_METRIC_BUCKETS];
    } rows[QN_METRIC_COUNT];
    atomic_ullong requests[QN_METRIC_APIS]
                          [6]; /* by dialect and first digit of the status */
} qn_metrics;

void qn_metrics_add(qn_metrics *m, qn_metric row, uint64_t n);
/* One duration, for rows of kind SECONDS. */
void qn_metrics_time(qn_metrics *m, qn_metric row, int64_t nanoseconds);
void qn_metrics_request(qn_metrics *m, qn_api api, int status);
/* Appends everything in Prometheus' text form. */
void qn_metrics_write(qn_metrics *m, qn_buf *out);

#endif

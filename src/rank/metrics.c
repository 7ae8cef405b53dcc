/* SPDX-License-Identifier: Apache-2.0 */
#include "rank/metrics.h"

#include <math.h>
#include <stdlib.h>

static const struct {
    const char *name;
    qn_metric_kind kind;
    bool needs_k;
} metrics[] = {
    {"ndcg", QN_METRIC_NDCG, true},           {"mrr", QN_METRIC_MRR, false},
    {"recall", QN_METRIC_RECALL, true},       {"map", QN_METRIC_MAP, false},
    {"precision", QN_METRIC_PRECISION, true},
};

qn_status qn_metric_parse(qn_slice text, qn_metric *out, qn_error *err)
{
    const char *at = memchr(text.p, '@', text.n);
    qn_slice name = {text.p, at == NULL ? text.n : (size_t)(at - text.p)};
    int64_t k = 0;
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        if (!qn_slice_eq_str(name, metrics[i].name)) continue;
        if (at == NULL && metrics[i].needs_k) break;
        if (at != NULL) {
            qn_slice number = {at + 1, text.n - name.n - 1};
            if (!qn_slice_to_i64(number, &k) || k < 1) break;
        }
        *out = (qn_metric){metrics[i].kind, at == NULL ? SIZE_MAX : (size_t)k};
        return QN_OK;
    }
    return qn_fail(err, QN_EINVAL,
                   "unknown metric '%.*s': ndcg@K, mrr@K, recall@K, precision@K, map",
                   QN_SLICE_ARG(text));
}

static int by_grade_down(const void *a, const void *b)
{
    const int *x = a, *y = b;
    return (*x < *y) - (*x > *y);
}

static double gain_sum(const int *grades, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        if (grades[i] > 0) sum += (double)grades[i] / log2((double)i + 2);
    return sum;
}

double qn_metric_compute(qn_metric m, const int *ranked, size_t n, int *judged,
                         size_t judged_count)
{
    size_t relevant = 0, seen = 0, depth = n < m.k ? n : m.k;
    double precisions = 0;
    for (size_t i = 0; i < judged_count; i++) relevant += judged[i] > 0;
    if (relevant == 0) return 0;
    if (m.kind == QN_METRIC_NDCG) {
        qsort(judged, judged_count, sizeof *judged, by_grade_down);
        size_t ideal = judged_count < m.k ? judged_count : m.k;
        return gain_sum(ranked, depth) / gain_sum(judged, ideal);
    }
    for (size_t i = 0; i < depth; i++) {
        if (ranked[i] <= 0) continue;
        seen++;
        if (m.kind == QN_METRIC_MRR) return 1.0 / ((double)i + 1);
        precisions += (double)seen / ((double)i + 1);
    }
    switch (m.kind) {
    case QN_METRIC_RECALL:
        return (double)seen / (double)relevant;
    case QN_METRIC_MAP:
        return precisions / (double)relevant;
    case QN_METRIC_PRECISION:
        return (double)seen / (double)m.k;
    default:
        return 0;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "server/server_metrics.h"

/* Upper bounds in microseconds; the last bucket has none. */
static const uint64_t bounds_us[QN_METRIC_BUCKETS - 1] = {
    250,   500,    1000,   2500,   5000,    10000,  25000,
    50000, 100000, 250000, 500000, 1000000, 5000000};

typedef enum metric_kind { KIND_COUNTER, KIND_SECONDS } metric_kind;
static const struct {
    metric_kind kind;
    const char *name, *help;
} rows[QN_METRIC_COUNT] = {
#define ROW(kind, NAME, name, help) {KIND_##kind, name, help},
#include "server/metrics.def"
#undef ROW
};

void qn_metrics_add(qn_metrics *m, qn_metric row, uint64_t n)
{
    (void)atomic_fetch_add_explicit(&m->rows[row].count, n, memory_order_relaxed);
}

void qn_metrics_time(qn_metrics *m, qn_metric row, int64_t nanoseconds)
{
    uint64_t us = nanoseconds <= 0 ? 0 : (uint64_t)nanoseconds / 1000;
    size_t b = 0;
    while (b < QN_METRIC_BUCKETS - 1 && us > bounds_us[b]) b++;
    qn_metrics_add(m, row, 1);
    (void)atomic_fetch_add_explicit(&m->rows[row].microseconds, us,
                                    memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&m->rows[row].buckets[b], 1, memory_order_relaxed);
}

void qn_metrics_request(qn_metrics *m, qn_api api, int status)
{
    int digit = status / 100;
    if (digit < 1 || digit > 5) digit = 0;
    (void)atomic_fetch_add_explicit(&m->requests[api][digit], 1, memory_order_relaxed);
}

static void write_histogram(qn_metrics *m, size_t i, qn_buf *out)
{
    unsigned long long sum = 0;
    for (size_t b = 0; b < QN_METRIC_BUCKETS; b++) {
        sum += atomic_load_explicit(&m->rows[i].buckets[b], memory_order_relaxed);
        if (b < QN_METRIC_BUCKETS - 1)
            qn_buf_printf(out, "%s_bucket{le=\"%g\"} %llu\n", rows[i].name,
                          (double)bounds_us[b] / 1e6, sum);
        else
            qn_buf_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n", rows[i].name, sum);
    }
    unsigned long long us =
        atomic_load_explicit(&m->rows[i].microseconds, memory_order_relaxed);
    qn_buf_printf(out, "%s_sum %.6f\n%s_count %llu\n", rows[i].name, (double)us / 1e6,
                  rows[i].name, sum);
}

static void write_requests(qn_metrics *m, qn_buf *out)
{
    qn_buf_add_str(out, "# HELP quern_http_requests_total requests answered\n"
                        "# TYPE quern_http_requests_total counter\n");
    for (size_t a = 0; a < QN_METRIC_APIS; a++) {
        for (size_t digit = 1; digit <= 5; digit++) {
            unsigned long long n =
                atomic_load_explicit(&m->requests[a][digit], memory_order_relaxed);
            if (n > 0)
                qn_buf_printf(
                    out,
                    "quern_http_requests_total{dialect=\"%s\",status=\"%zuxx\"} "
                    "%llu\n",
                    qn_api_name((qn_api)a), digit, n);
        }
    }
}

void qn_metrics_write(qn_metrics *m, qn_buf *out)
{
    write_requests(m, out);
    for (size_t i = 0; i < QN_METRIC_COUNT; i++) {
        bool seconds = rows[i].kind == KIND_SECONDS;
        qn_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", rows[i].name, rows[i].help,
                      rows[i].name, seconds ? "histogram" : "counter");
        if (seconds)
            write_histogram(m, i, out);
        else
            qn_buf_printf(out, "%s %llu\n", rows[i].name,
                          (unsigned long long)atomic_load_explicit(
                              &m->rows[i].count, memory_order_relaxed));
    }
}

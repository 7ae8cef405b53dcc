/* SPDX-License-Identifier: Apache-2.0 */
/* bench_search -- search latency inside the process: every query of a file, once to warm up
 * and then `rounds` times, through each pipeline given.
 *
 *     bench_search DATA TABLE QUERIES.tsv MODELS ROUNDS PIPELINE...
 *
 * One JSON line per pipeline: p50, p90, p99 of wall microseconds, queries per second of wall
 * and of CPU time. */
#include "base/clock.h"
#include "base/slice.h"
#include "io/file.h"
#include "quern/quern.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { QUERIES_MAX = 10000, FILE_MAX_BYTES = 1 << 24 };

static qn_slice queries[QUERIES_MAX];
static size_t query_count;

static void split_queries(qn_slice text)
{
    while (text.n > 0 && query_count < QUERIES_MAX) {
        const char *end = memchr(text.p, '\n', text.n);
        size_t n = end == NULL ? text.n : (size_t)(end - text.p);
        const char *tab = memchr(text.p, '\t', n);
        if (tab != NULL)
            queries[query_count++] =
                (qn_slice){tab + 1, n - (size_t)(tab + 1 - text.p)};
        text.p += end == NULL ? n : n + 1;
        text.n -= end == NULL ? n : n + 1;
    }
}

static int by_time(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int64_t process_cpu_ns(void)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static bool ask(quern *q, const char *table, const char *pipeline, qn_slice words)
{
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    quern_reply *reply = NULL;
    qn_error err = {0};
    o.query = words.p;
    o.query_size = words.n;
    o.pipeline = pipeline;
    o.from = 0, o.hits = 10;
    if (quern_search(q, table, &o, &reply, &err) != QN_OK) {
        (void)fprintf(stderr, "%.*s: %s\n", QN_SLICE_ARG(words), err.text);
        return false;
    }
    quern_reply_free(reply);
    return true;
}

static bool measure(quern *q, const char *table, const char *pipeline, size_t rounds)
{
    size_t total = query_count * rounds, n = 0;
    int64_t *times = calloc(total + 1, sizeof *times);
    if (times == NULL) return false;
    bool ok = true;
    for (size_t i = 0; ok && i < query_count; i++)
        ok = ask(q, table, pipeline, queries[i]);
    int64_t wall = qn_clock_mono_ns(), cpu = process_cpu_ns();
    for (size_t r = 0; ok && r < rounds; r++)
        for (size_t i = 0; ok && i < query_count; i++) {
            int64_t began = qn_clock_mono_ns();
            ok = ask(q, table, pipeline, queries[i]);
            times[n++] = qn_clock_mono_ns() - began;
        }
    wall = qn_clock_mono_ns() - wall;
    cpu = process_cpu_ns() - cpu;
    qsort(times, n, sizeof *times, by_time);
    if (ok && n > 0)
        (void)printf(
            "{\"bench\":\"search\",\"pipeline\":\"%s\",\"queries\":%zu,\"p50_us\":%.0f,"
            "\"p90_us\":%.0f,\"p99_us\":%.0f,\"per_second\":%.0f,\"per_cpu_second\":%."
            "0f}\n",
            pipeline, n, (double)times[n / 2] / 1e3, (double)times[n * 9 / 10] / 1e3,
            (double)times[n * 99 / 100] / 1e3, (double)n / ((double)wall / 1e9),
            (double)n / ((double)cpu / 1e9));
    free(times);
    return ok;
}

int main(int argc, char **argv)
{
    if (argc < 7) {
        (void)fprintf(
            stderr, "bench_search DATA TABLE QUERIES.tsv MODELS ROUNDS PIPELINE...\n");
        return 2;
    }
    quern_options o = QUERN_OPTIONS_INIT;
    quern *q = NULL;
    qn_error err = {0};
    qn_buf text;
    int64_t rounds = 1;
    o.data_dir = argv[1];
    o.models_dir = argv[4];
    qn_buf_init(&text, qn_alloc_heap());
    bool ok = qn_file_read(argv[3], FILE_MAX_BYTES, &text, &err) == QN_OK &&
              qn_slice_to_i64(qn_slice_of(argv[5]), &rounds) &&
              quern_open(&o, &q, &err) == QN_OK;
    if (!ok) (void)fprintf(stderr, "%s\n", err.text);
    split_queries(qn_buf_slice(&text));
    for (int i = 6; ok && i < argc; i++)
        ok = measure(q, argv[2], argv[i], (size_t)rounds);
    quern_close(q);
    qn_buf_deinit(&text);
    return ok ? 0 : 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* text_latency.c -- `search` writes what is found, `bench` says how long it takes; the
 * forms of both are the peers'. */
#include "text_peer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *create(const char *path)
{
    FILE *f = strcmp(path, "-") == 0 ? stdout : fopen(path, "w");
    if (f == NULL) peer_die("cannot write", path);
    return f;
}

/* ---- search ---------------------------------------------------------------------------- */

static void write_hit(const peer_index *index, FILE *f, qn_slice topic, size_t rank,
                      const qn_candidate *c)
{
    qn_error err = {0};
    qn_slice id = {0};
    const qn_segment *seg = index->snapshot->view.segments[c->segment].segment;
    peer_check(qn_segment_id(seg, c->doc, &id, &err), &err);
    (void)fprintf(f, "%.*s\t%.*s\t%zu\t%.9g\n", QN_SLICE_ARG(topic), QN_SLICE_ARG(id),
                  rank, (double)c->score);
}

void peer_run_search(const peer_options *o)
{
    peer_index index;
    peer_topics topics;
    peer_index_open(o, &index);
    index.exact = strcmp(peer_text(o, "mode", "exact"), "exact") == 0;
    peer_topics_read(peer_required(o, "queries"), &topics);
    FILE *f = create(peer_text(o, "out", "-"));
    for (size_t i = 0; i < topics.list.n; i++) {
        qn_arena arena;
        qn_exec_result found;
        qn_arena_init(&arena, index.alloc, 0);
        peer_search(&index, topics.list.p[i].text, &arena, &found);
        for (size_t k = 0; k < found.count; k++)
            write_hit(&index, f, topics.list.p[i].id, k + 1, &found.candidates[k]);
        qn_arena_deinit(&arena);
    }
    if (f != stdout && fclose(f) != 0) peer_die("cannot write", "the run");
    peer_topics_free(&topics);
    peer_index_close(&index);
}

/* ---- bench ----------------------------------------------------------------------------- */

typedef struct row {
    int64_t *ns; /* one a round */
    uint64_t hits;
    double best;
    double min_us, median_us, max_us;
} row;

typedef struct run {
    const peer_options *options;
    peer_index index;
    peer_topics topics;
    row *rows;
    size_t rounds;
    int64_t cpu_ns, wall_ns;
} run;

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int by_double(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int64_t one(run *r, size_t i, qn_arena *arena)
{
    row *x = &r->rows[i];
    int64_t before = qn_clock_mono_ns();
    if (r->index.api) {
        x->hits = peer_search_api(&r->index, r->topics.list.p[i].text, &x->best);
        return qn_clock_mono_ns() - before;
    }
    qn_exec_result found;
    peer_search(&r->index, r->topics.list.p[i].text, arena, &found);
    int64_t took = qn_clock_mono_ns() - before;
    x->hits = r->index.exact ? found.total : found.count;
    x->best = found.count > 0 ? (double)found.candidates[0].score : 0;
    qn_arena_reset(arena);
    return took;
}

/* With --turns N the rounds are cut into N parts, each waiting for a line on standard
 * input: several engines are so measured in turns. */
static void measure(run *r, qn_arena *arena)
{
    size_t turns = peer_number(r->options, "turns", 0);
    size_t part = turns == 0 ? 0 : r->rounds / turns > 0 ? r->rounds / turns : 1;
    if (part > 0) {
        (void)puts("ready");
        (void)fflush(stdout);
    }
    for (size_t round = 0; round < r->rounds; round++) {
        char line[64];
        if (part > 0 && round % part == 0 && fgets(line, sizeof line, stdin) == NULL)
            peer_die("turns", "standard input ended");
        int64_t cpu = qn_clock_cpu_ns(), wall = qn_clock_mono_ns();
        for (size_t i = 0; i < r->topics.list.n; i++)
            r->rows[i].ns[round] = one(r, i, arena);
        r->cpu_ns += qn_clock_cpu_ns() - cpu;
        r->wall_ns += qn_clock_mono_ns() - wall;
        if (part > 0 && ((round + 1) % part == 0 || round + 1 == r->rounds)) {
            (void)puts("done");
            (void)fflush(stdout);
        }
    }
}

static void write_rows(const run *r, const char *path)
{
    FILE *f = create(path);
    (void)fputs("query\thits\tbest_score\tmin_us\tmedian_us\tmax_us\n", f);
    for (size_t i = 0; i < r->topics.list.n; i++) {
        const row *x = &r->rows[i];
        (void)fprintf(f, "%.*s\t%llu\t%.9g\t%.1f\t%.1f\t%.1f\n",
                      QN_SLICE_ARG(r->topics.list.p[i].id), (unsigned long long)x->hits,
                      x->best, x->min_us, x->median_us, x->max_us);
    }
    if (f != stdout && fclose(f) != 0) peer_die("cannot write", path);
}

static double geomean(const double *values, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += log(values[i] > 1e-3 ? values[i] : 1e-3);
    return n == 0 ? 0 : exp(sum / (double)n);
}

static double at(const double *sorted, size_t n, double share)
{
    size_t i = (size_t)(share * (double)n);
    return n == 0 ? 0 : sorted[i < n ? i : n - 1];
}

static void report(run *r)
{
    size_t n = r->topics.list.n;
    double *min = calloc(n + 1, sizeof *min), *median = calloc(n + 1, sizeof *median);
    if (min == NULL || median == NULL) peer_die("report", "memory");
    uint64_t hits = 0;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        row *x = &r->rows[i];
        qsort(x->ns, r->rounds, sizeof *x->ns, by_value);
        min[i] = x->min_us = (double)x->ns[0] / 1e3;
        median[i] = x->median_us = (double)x->ns[r->rounds / 2] / 1e3;
        x->max_us = (double)x->ns[r->rounds - 1] / 1e3;
        hits += x->hits;
        sum += x->min_us;
    }
    const char *path = peer_option(r->options, "out");
    if (path != NULL) write_rows(r, path);
    double geo_min = geomean(min, n), geo_median = geomean(median, n);
    qsort(median, n, sizeof *median, by_double);
    printf("engine=quern op=%s k=%zu count=%s queries=%zu geomean_min_us=%.1f "
           "geomean_us=%.1f p50_us=%.1f p90_us=%.1f p99_us=%.1f mean_min_us=%.1f "
           "hits=%llu mhits_per_s=%.1f cpu_share=%.2f\n",
           r->index.op, r->index.k, r->index.exact ? "exact" : "none", n, geo_min,
           geo_median, at(median, n, 0.5), at(median, n, 0.9), at(median, n, 0.99),
           n == 0 ? 0 : sum / (double)n, (unsigned long long)hits,
           sum > 0 ? (double)hits / sum : 0, (double)r->cpu_ns / (double)r->wall_ns);
    free(min);
    free(median);
}

void peer_run_bench(const peer_options *o)
{
    run r = {.options = o, .rounds = peer_number(o, "rounds", 10)};
    peer_index_open(o, &r.index);
    peer_topics_read(peer_required(o, "queries"), &r.topics);
    if (r.rounds == 0) r.rounds = 1;
    size_t n = r.topics.list.n;
    r.rows = calloc(n + 1, sizeof *r.rows);
    if (r.rows == NULL) peer_die("bench", "memory");
    for (size_t i = 0; i < n; i++) {
        r.rows[i].ns = calloc(r.rounds, sizeof *r.rows[i].ns);
        if (r.rows[i].ns == NULL) peer_die("bench", "memory");
    }
    qn_arena arena;
    qn_arena_init(&arena, r.index.alloc, 0);
    size_t warmup = peer_number(o, "warmup", 5);
    double warmup_s = (double)peer_number(o, "warmup-s", 2);
    int64_t start = qn_clock_mono_ns();
    for (size_t round = 0;
         round < warmup || (double)(qn_clock_mono_ns() - start) * 1e-9 < warmup_s;
         round++)
        for (size_t i = 0; i < n; i++) (void)one(&r, i, &arena);
    measure(&r, &arena);
    report(&r);
    qn_arena_deinit(&arena);
    for (size_t i = 0; i < n; i++) free(r.rows[i].ns);
    free(r.rows);
    peer_topics_free(&r.topics);
    peer_index_close(&r.index);
}

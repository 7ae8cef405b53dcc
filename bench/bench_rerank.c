/* SPDX-License-Identifier: Apache-2.0 */
/* bench_rerank.c -- pairs a second of a reranker (or texts a second of an embedding
 * model), at a given length, on one and on more threads. One JSON line a figure.
 *
 *     bench_rerank MODEL.qnm [tokens, default 128] [threads, default 2] [seconds, 3]
 *
 * Pairs have exactly `tokens` tokens. "cpu" rates are by the CPU time of the process,
 * best run, one thread: they hardly move on a shared machine. "wall" rates are what a
 * user sees, best run. Peer: bench/peers/ort_rerank.py. */
#include "nn/calls/embed.h"
#include "nn/calls/rerank.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PAIRS = 32, TEXT_MAX = 8192 };

static int64_t process_cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void die(const qn_error *err)
{
    (void)fprintf(stderr, "%s %s\n", err->file, err->text);
    exit(1);
}

/* `n` words that are one piece each, another selection for another seed. */
static qn_slice words(char *out, size_t n, uint64_t seed)
{
    static const char *const one[] = {"water", "stone", "house", "river",
                                      "table", "light", "green", "night"};
    qn_rng rng = {seed};
    size_t at = 0;
    for (size_t i = 0; i < n && at + 8 < TEXT_MAX; i++)
        at += (size_t)snprintf(out + at, TEXT_MAX - at, "%s ",
                               one[qn_rng_next(&rng) % 8]);
    return (qn_slice){out, at};
}

typedef struct bench {
    qn_model *model;
    qn_pool *pool;
    qn_slice query, docs[PAIRS];
    float *vectors;
} bench;

static void run_once(bench *b)
{
    qn_error err = {0};
    qn_status st;
    if (qn_model_describe(b->model)->task == QN_MODEL_RERANK) {
        qn_rerank_doc out[PAIRS];
        qn_rerank_options o = {.pool = b->pool};
        st = qn_rerank_run(b->model, b->query, b->docs, PAIRS, &o, out, NULL, &err);
    } else {
        qn_embed_options o = {.pool = b->pool};
        st = qn_embed_run(b->model, b->docs, PAIRS, &o, b->vectors, NULL, &err);
    }
    if (st != QN_OK) die(&err);
}

static void measure(bench *b, size_t tokens, size_t threads, double seconds)
{
    const qn_model_info *info = qn_model_describe(b->model);
    qn_error err = {0};
    if (qn_pool_create(qn_alloc_heap(), threads - 1, &b->pool, &err) != QN_OK)
        die(&err);
    run_once(b);
    int64_t wall = INT64_MAX, cpu = INT64_MAX, begin = qn_clock_mono_ns();
    while ((double)(qn_clock_mono_ns() - begin) < seconds * 1e9) {
        int64_t w = qn_clock_mono_ns(), c = process_cpu_ns();
        run_once(b);
        w = qn_clock_mono_ns() - w;
        c = process_cpu_ns() - c;
        if (w < wall) wall = w;
        if (c < cpu) cpu = c;
    }
    qn_pool_destroy(b->pool);
    (void)printf(
        "{\"bench\":\"%s\",\"engine\":\"quern\",\"model\":\"%s\",\"dtype\":\"%s\","
        "\"backend\":\"%s\",\"tokens\":%zu,\"threads\":%zu,"
        "\"per_second_wall\":%.1f,\"per_core_second_cpu\":%.1f}\n",
        qn_model_task_name(info->task), info->name, qn_model_dtype_name(info->dtype),
        info->backend, tokens, threads, PAIRS * 1e9 / (double)wall,
        PAIRS * 1e9 / (double)cpu);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    static char texts[PAIRS + 1][TEXT_MAX];
    if (argc < 2) {
        (void)fprintf(stderr, "bench_rerank MODEL.qnm [tokens] [threads] [seconds]\n");
        return 2;
    }
    size_t tokens = argc > 2 ? strtoul(argv[2], NULL, 10) : 128;
    size_t threads = argc > 3 ? strtoul(argv[3], NULL, 10) : 2;
    double seconds = argc > 4 ? strtod(argv[4], NULL) : 3.0;
    bench b = {0};
    qn_error err = {0};
    int64_t begin = qn_clock_mono_ns();
    if (qn_model_open(qn_alloc_heap(), argv[1], NULL, &b.model, &err) != QN_OK)
        die(&err);
    (void)printf("{\"bench\":\"open\",\"ms\":%.1f}\n",
                 (double)(qn_clock_mono_ns() - begin) * 1e-6);
    bool pairs = qn_model_describe(b.model)->task == QN_MODEL_RERANK;
    size_t question = pairs ? 12 : 0, specials = pairs ? 3 : 2;
    if (tokens <= question + specials || threads < 1) return 2;
    b.query = words(texts[PAIRS], question, 1000);
    for (size_t i = 0; i < PAIRS; i++)
        b.docs[i] = words(texts[i], tokens - question - specials, i);
    b.vectors = qn_new_array(qn_alloc_heap(), PAIRS * qn_model_describe(b.model)->dims,
                             sizeof *b.vectors);
    if (b.vectors == NULL) return 1;
    measure(&b, tokens, 1, seconds);
    if (threads > 1) measure(&b, tokens, threads, seconds);
    qn_delete(qn_alloc_heap(), b.vectors);
    qn_model_close(b.model);
    return 0;
}

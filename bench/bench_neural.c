/* SPDX-License-Identifier: Apache-2.0 */
/* bench_neural.c -- a reranker that is told what to do, line by line, so that a script
 * can take turns between it and its peers (bench/neural.py).
 *
 *     bench_neural MODEL.qnm [DIR]  {"opened_ms", "first_score_ms", "rss_anon_kb", ...};
 *                                   DIR: where packed copies lie
 *     load FILE                     lines of {"query": ..., "docs": [...]}: requests
 *     threads N
 *     run                           every request once: {"wall_ns", "cpu_ns", "pairs"}
 *     scores FILE                   one {"logits": [...], "tokens": [...]} a request
 *     memory                        resident anonymous memory now
 *
 * cpu_ns is of the whole process. */
#include "base/vec.h"
#include "io/file.h"
#include "io/json.h"
#include "nn/calls/rerank.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { LINE_MAX_BYTES = 4096, FILE_LIMIT = 1 << 30 };

typedef struct request {
    qn_slice query;
    qn_slice *docs;
    qn_rerank_doc *out;
    size_t n;
} request;

typedef struct bench {
    qn_model *model;
    qn_pool *pool;
    qn_buf text;
    qn_arena arena;
    QN_VEC(request) requests;
} bench;

static void die(const qn_error *err)
{
    (void)fprintf(stderr, "%s %s\n", err->file, err->text);
    exit(1);
}

static int64_t process_cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* A line of /proc/self/status in kB, -1 where there is none. */
static long status_kb(const char *key)
{
    char line[256];
    long kb = -1;
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            kb = strtol(line + strlen(key), NULL, 10);
    if (f != NULL) (void)fclose(f);
    return kb;
}

static void run_one(bench *b, const request *r)
{
    qn_error err = {0};
    qn_rerank_options o = {.pool = b->pool};
    if (qn_rerank_run(b->model, r->query, r->docs, r->n, &o, r->out, NULL, &err) !=
        QN_OK)
        die(&err);
}

static void run_all(bench *b)
{
    for (size_t i = 0; i < b->requests.n; i++) run_one(b, &b->requests.p[i]);
}

static void add_request(bench *b, qn_slice line)
{
    qn_error err = {0};
    const qn_json *tree = NULL;
    if (qn_json_parse(&b->arena, line, &tree, &err) != QN_OK) die(&err);
    const qn_json *query = qn_json_get(tree, "query"),
                  *docs = qn_json_get(tree, "docs");
    if (query == NULL || docs == NULL) exit(2);
    request r = {.query = query->string, .n = docs->count};
    r.docs = qn_arena_array(&b->arena, r.n, sizeof *r.docs);
    r.out = qn_arena_array(&b->arena, r.n, sizeof *r.out);
    if (r.docs == NULL || r.out == NULL) exit(1);
    size_t i = 0;
    for (const qn_json *it = qn_json_items(docs); it != NULL; it = it->next)
        r.docs[i++] = it->string;
    if (!qn_vec_push(qn_alloc_heap(), &b->requests, r)) exit(1);
}

static void load(bench *b, const char *path)
{
    qn_error err = {0};
    qn_arena_deinit(&b->arena);
    qn_arena_init(&b->arena, qn_alloc_heap(), FILE_LIMIT);
    b->requests.n = 0;
    qn_buf_reset(&b->text);
    if (qn_file_read(path, FILE_LIMIT, &b->text, &err) != QN_OK) die(&err);
    for (size_t at = 0; at < b->text.n;) {
        const char *end = memchr(b->text.p + at, '\n', b->text.n - at);
        size_t n = end == NULL ? b->text.n - at : (size_t)(end - (b->text.p + at));
        if (n > 0) add_request(b, (qn_slice){b->text.p + at, n});
        at += n + 1;
    }
    (void)printf("{\"requests\":%zu}\n", b->requests.n);
}

static void set_threads(bench *b, size_t n)
{
    qn_error err = {0};
    if (n < 1) exit(2);
    qn_pool_destroy(b->pool);
    b->pool = NULL;
    if (qn_pool_create(qn_alloc_heap(), n - 1, &b->pool, &err) != QN_OK) die(&err);
    (void)printf("{\"threads\":%zu}\n", n);
}

static void run_timed(bench *b)
{
    size_t pairs = 0;
    for (size_t i = 0; i < b->requests.n; i++) pairs += b->requests.p[i].n;
    int64_t wall = qn_clock_mono_ns(), cpu = process_cpu_ns();
    run_all(b);
    cpu = process_cpu_ns() - cpu;
    wall = qn_clock_mono_ns() - wall;
    (void)printf("{\"wall_ns\":%lld,\"cpu_ns\":%lld,\"pairs\":%zu}\n", (long long)wall,
                 (long long)cpu, pairs);
}

static void write_scores(bench *b, const char *path)
{
    FILE *f = fopen(path, "w");
    if (f == NULL) exit(1);
    run_all(b);
    for (size_t i = 0; i < b->requests.n; i++) {
        const request *r = &b->requests.p[i];
        (void)fprintf(f, "{\"logits\":[");
        for (size_t k = 0; k < r->n; k++)
            (void)fprintf(f, "%s%.9g", k > 0 ? "," : "", (double)r->out[k].logit);
        (void)fprintf(f, "],\"tokens\":[");
        for (size_t k = 0; k < r->n; k++)
            (void)fprintf(f, "%s%u", k > 0 ? "," : "", r->out[k].tokens);
        (void)fprintf(f, "]}\n");
    }
    if (fclose(f) != 0) exit(1);
    (void)printf("{\"scores\":%zu}\n", b->requests.n);
}

static void memory(void)
{
    (void)printf("{\"rss_anon_kb\":%ld,\"rss_file_kb\":%ld}\n", status_kb("RssAnon:"),
                 status_kb("RssFile:"));
}

/* Opens the model and scores one short pair. */
static void open_model(bench *b, const char *path, const char *packed)
{
    qn_error err = {0};
    int64_t begin = qn_clock_mono_ns(), cpu = process_cpu_ns();
    const qn_model_options o = {.packed_dir = packed};
    if (qn_model_open(qn_alloc_heap(), path, &o, &b->model, &err) != QN_OK) die(&err);
    int64_t opened = qn_clock_mono_ns();
    qn_slice doc = qn_slice_of("Bread is made of flour, water, salt and time.");
    qn_rerank_doc out;
    const request r = {qn_slice_of("how is bread made"), &doc, &out, 1};
    run_one(b, &r);
    int64_t first = qn_clock_mono_ns();
    cpu = process_cpu_ns() - cpu;
    const qn_model_info *info = qn_model_describe(b->model);
    (void)printf(
        "{\"name\":\"%s\",\"dtype\":\"%s\",\"backend\":\"%s\",\"opened_ms\":%.1f,"
        "\"first_score_ms\":%.1f,\"first_score_cpu_ms\":%.1f,\"logit\":%.9g,\"weights_"
        "kb\":%llu,"
        "\"packed_kb\":%llu,\"rss_anon_kb\":%ld}\n",
        info->name, qn_model_dtype_name(info->dtype), info->backend,
        (double)(opened - begin) * 1e-6, (double)(first - begin) * 1e-6,
        (double)cpu * 1e-6, (double)out.logit,
        (unsigned long long)(info->memory_bytes / 1024),
        (unsigned long long)(info->packed_bytes / 1024), status_kb("RssAnon:"));
}

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 3) {
        (void)fprintf(stderr,
                      "bench_neural MODEL.qnm [DIR], then commands line by line\n");
        return 2;
    }
    bench b = {0};
    qn_buf_init(&b.text, qn_alloc_heap());
    qn_arena_init(&b.arena, qn_alloc_heap(), FILE_LIMIT);
    open_model(&b, argv[1], argc > 2 ? argv[2] : NULL);
    (void)fflush(stdout);
    char line[LINE_MAX_BYTES];
    while (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *arg = strchr(line, ' ');
        if (arg != NULL) *arg++ = '\0';
        if (strcmp(line, "load") == 0 && arg != NULL)
            load(&b, arg);
        else if (strcmp(line, "threads") == 0 && arg != NULL)
            set_threads(&b, strtoul(arg, NULL, 10));
        else if (strcmp(line, "run") == 0)
            run_timed(&b);
        else if (strcmp(line, "scores") == 0 && arg != NULL)
            write_scores(&b, arg);
        else if (strcmp(line, "memory") == 0)
            memory();
        else
            return 2;
        (void)fflush(stdout);
    }
    qn_vec_deinit(qn_alloc_heap(), &b.requests);
    qn_pool_destroy(b.pool);
    qn_arena_deinit(&b.arena);
    qn_buf_deinit(&b.text);
    qn_model_close(b.model);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* bench_passages.c -- what cutting texts and their tokens cost beside the model, and what
 * keeping token ids saves. CPU time, one thread, the best of several runs. One JSON line a
 * figure.
 *
 *     bench_passages MODEL.qnm FILE     FILE: one document a line
 */
#include "nn/calls/rerank.h"
#include "text/chunk.h"

#include "io/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { DOCS_MAX = 2000, RUNS = 7, PAIRS = 16 };

static void die(const qn_error *err)
{
    (void)fprintf(stderr, "%s %s\n", err->file, err->text);
    exit(1);
}

static double cpu_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

typedef struct bench {
    qn_model *model;
    qn_slice docs[DOCS_MAX];
    size_t n, bytes;
    qn_token_cache *cache;
    qn_token_key keys[DOCS_MAX];
    qn_chunk_settings settings;
    qn_error err;
} bench;

static void split(bench *b, qn_slice text)
{
    while (text.n > 0 && b->n < DOCS_MAX) {
        const char *end = memchr(text.p, '\n', text.n);
        size_t n = end == NULL ? text.n : (size_t)(end - text.p);
        if (n > 0) b->docs[b->n++] = (qn_slice){text.p, n};
        b->bytes += n;
        size_t used = n + (end != NULL);
        text = (qn_slice){text.p + used, text.n - used};
    }
}

/* ---- what is measured: all documents once --------------------------------------------- */

static void encode_all(bench *b)
{
    const qn_tokenizer *t = qn_model_tokenizer(b->model);
    for (size_t i = 0; i < b->n; i++) {
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        qn_pieces p = {0};
        if (qn_tokenizer_encode(t, b->docs[i], QN_TOKENIZE_PLAIN, &arena, &p,
                                &b->err) != QN_OK)
            die(&b->err);
        qn_token_cache_put(b->cache, b->keys[i], &p);
        qn_arena_deinit(&arena);
    }
}

static void get_all(bench *b)
{
    uint64_t digest = qn_model_describe(b->model)->tokenizer_digest;
    for (size_t i = 0; i < b->n; i++) {
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        qn_pieces p = {0};
        bool found = false;
        qn_token_key key =
            qn_token_cache_key(digest, QN_TOKENIZE_PLAIN, 512, b->docs[i]);
        if (qn_token_cache_get(b->cache, key, &arena, &p, &found, &b->err) != QN_OK)
            die(&b->err);
        qn_assert(found);
        qn_arena_deinit(&arena);
    }
}

static void cut_all(bench *b)
{
    qn_chunker *c = NULL;
    if (qn_chunker_create(qn_alloc_heap(), &b->settings, qn_model_tokenizer(b->model),
                          256, &c, &b->err) != QN_OK)
        die(&b->err);
    for (size_t i = 0; i < b->n; i++) {
        qn_arena arena;
        const qn_chunk *chunks;
        size_t count;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        if (qn_chunker_run(c, b->docs[i], &arena, &chunks, &count, &b->err) != QN_OK)
            die(&b->err);
        qn_arena_deinit(&arena);
    }
    qn_chunker_destroy(c);
}

static void score_some(bench *b)
{
    qn_rerank_doc out[PAIRS];
    size_t n = b->n < PAIRS ? b->n : PAIRS;
    if (qn_rerank_run(b->model, QN_SLICE_LIT("what is the effect of this"), b->docs, n,
                      NULL, out, NULL, &b->err) != QN_OK)
        die(&b->err);
}

static double best_of(bench *b, void (*run)(bench *b))
{
    double best = 1e300;
    for (int i = 0; i < RUNS; i++) {
        double began = cpu_us();
        run(b);
        double took = cpu_us() - began;
        if (took < best) best = took;
    }
    return best;
}

static void tell(const bench *b, const char *what, double us, size_t docs)
{
    (void)printf("{\"what\": \"%s\", \"us_per_document\": %.2f", what,
                 us / (double)docs);
    if (docs == b->n) (void)printf(", \"mb_per_second\": %.1f", (double)b->bytes / us);
    (void)printf("}\n");
}

int main(int argc, char **argv)
{
    static bench b;
    static const char *const hows[] = {"sentence", "word", "recursive", "token:128"};
    if (argc != 3) {
        (void)fprintf(stderr, "bench_passages MODEL.qnm FILE\n");
        return 2;
    }
    qn_buf text;
    qn_buf_init(&text, qn_alloc_heap());
    if (qn_file_read(argv[2], (size_t)1 << 30, &text, &b.err) != QN_OK ||
        qn_model_open(qn_alloc_heap(), argv[1], NULL, &b.model, &b.err) != QN_OK ||
        qn_token_cache_create(qn_alloc_heap(), (size_t)256 << 20, &b.cache, &b.err) !=
            QN_OK)
        die(&b.err);
    split(&b, qn_buf_slice(&text));
    uint64_t digest = qn_model_describe(b.model)->tokenizer_digest;
    for (size_t i = 0; i < b.n; i++)
        b.keys[i] = qn_token_cache_key(digest, QN_TOKENIZE_PLAIN, 512, b.docs[i]);
    tell(&b, "tokens, cut anew", best_of(&b, encode_all), b.n);
    tell(&b, "tokens, kept", best_of(&b, get_all), b.n);
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    for (size_t i = 0; i < sizeof hows / sizeof *hows; i++) {
        char what[64];
        if (qn_chunk_settings_parse(qn_slice_of(hows[i]), &arena, &b.settings,
                                    &b.err) != QN_OK)
            die(&b.err);
        (void)snprintf(what, sizeof what, "passages, %s", hows[i]);
        tell(&b, what, best_of(&b, cut_all), b.n);
    }
    tell(&b, "the model", best_of(&b, score_some), b.n < PAIRS ? b.n : PAIRS);
    qn_arena_deinit(&arena);
    qn_token_cache_destroy(b.cache);
    qn_model_close(b.model);
    qn_buf_deinit(&text);
    return 0;
}

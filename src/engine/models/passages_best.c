/* SPDX-License-Identifier: Apache-2.0 */
/* passages_best.c -- which passages of a text have most of the query's words: BM25 over the
 * passages alone, as if they were the documents of a small index. */
#include "engine/models/passages.h"

#include "text/analyzer.h"

#include <math.h>
#include <stdlib.h>

#define K1 1.2
#define B 0.75

enum { WORDS_MAX = 256 };

typedef struct counted {
    qn_chunk chunk;
    double score;
    uint32_t *counts; /* of each word of the query */
    size_t length;
} counted;

static int by_score(const void *a, const void *b)
{
    const counted *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    if (x->chunk.start != y->chunk.start)
        return x->chunk.start < y->chunk.start ? -1 : 1;
    return (x->chunk.end > y->chunk.end) - (x->chunk.end < y->chunk.end);
}

/* The query's words, each once. */
static size_t words_of(const qn_token_list *tokens, qn_slice *words)
{
    size_t n = 0;
    for (size_t i = 0; i < tokens->n && n < WORDS_MAX; i++) {
        size_t k = 0;
        while (k < n && !qn_slice_eq(words[k], tokens->p[i].term)) k++;
        if (k == n) words[n++] = tokens->p[i].term;
    }
    return n;
}

static qn_status count_words(const qn_analyzer *a, qn_slice text, const qn_slice *words,
                             size_t n, counted *c, qn_arena *arena, qn_error *err)
{
    qn_token_list tokens = {0};
    qn_slice part = {text.p + c->chunk.start, c->chunk.end - c->chunk.start};
    QN_TRY(qn_analyzer_run(a, part, arena, &tokens, err));
    c->length = tokens.n;
    for (size_t i = 0; i < tokens.n; i++)
        for (size_t k = 0; k < n; k++)
            c->counts[k] += qn_slice_eq(tokens.p[i].term, words[k]);
    return QN_OK;
}

static void score_all(counted *list, size_t n, size_t words)
{
    double total = 0;
    for (size_t i = 0; i < n; i++) total += (double)list[i].length;
    double mean = total > 0 ? total / (double)n : 1;
    for (size_t k = 0; k < words; k++) {
        double df = 0;
        for (size_t i = 0; i < n; i++) df += list[i].counts[k] > 0;
        double idf = log(1 + ((double)n - df + 0.5) / (df + 0.5));
        for (size_t i = 0; i < n; i++) {
            double tf = list[i].counts[k];
            double norm = K1 * (1 - B + B * (double)list[i].length / mean);
            list[i].score += idf * tf / (tf + norm);
        }
    }
}

/* Counts go with the arena of the text, its tokens with that of each passage. */
static qn_status count_all(const qn_analyzer *a, qn_slice query, qn_slice text,
                           counted *list, size_t n, qn_arena *arena, qn_error *err)
{
    qn_token_list tokens = {0};
    qn_slice words[WORDS_MAX];
    QN_TRY(qn_analyzer_run(a, query, arena, &tokens, err));
    size_t word_count = words_of(&tokens, words);
    qn_arena own;
    qn_arena_init(&own, arena->alloc, 0);
    qn_status st = QN_OK;
    for (size_t i = 0; i < n && st == QN_OK; i++) {
        list[i].counts = qn_arena_array(arena, word_count + 1, sizeof(uint32_t));
        st = list[i].counts == NULL
                 ? qn_fail(err, QN_ENOMEM, "passages")
                 : count_words(a, text, words, word_count, &list[i], &own, err);
        qn_arena_reset(&own);
    }
    qn_arena_deinit(&own);
    if (st == QN_OK) score_all(list, n, word_count);
    return st;
}

qn_status qn_passages__best(quern *q, qn_slice query, qn_slice text, qn_chunk *chunks,
                            size_t n, size_t keep, qn_error *err)
{
    const qn_analyzer *a = NULL;
    QN_TRY(qn_analyzer_find(q->analyzers, QN_SLICE_LIT("standard"), &a, err));
    qn_arena arena;
    qn_arena_init(&arena, q->alloc, 0);
    counted *list = qn_arena_array(&arena, n, sizeof *list);
    for (size_t i = 0; list != NULL && i < n; i++) list[i].chunk = chunks[i];
    qn_status st = list == NULL ? qn_fail(err, QN_ENOMEM, "passages")
                                : count_all(a, query, text, list, n, &arena, err);
    if (st == QN_OK) {
        qsort(list, n, sizeof *list, by_score);
        for (size_t i = 0; i < keep; i++) chunks[i] = list[i].chunk;
    }
    qn_arena_deinit(&arena);
    return st;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* candidates.c -- the union of the paths of recall, and one score out of several. */
#include "rank/rank_internal.h"

#include <math.h>
#include <stdlib.h>

/* Where document (segment, doc) stands in a total order of documents. */
static uint64_t key_of(uint32_t segment, uint32_t doc)
{
    return (uint64_t)segment << 32 | doc;
}

static int by_key(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int by_document(const void *a, const void *b)
{
    const qn_candidate *x = a, *y = b;
    uint64_t kx = key_of(x->segment, x->doc), ky = key_of(y->segment, y->doc);
    return (kx > ky) - (kx < ky);
}

static int by_score(const void *a, const void *b)
{
    const qn_candidate *x = a, *y = b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return by_document(a, b);
}

static bool is_sorted_by_document(const qn_candidate *c, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (by_document(&c[i - 1], &c[i]) > 0) return false;
    return true;
}

/* A path's candidates by document; the executor's own array when it is so already. */
static const qn_candidate *ordered(const qn_rank_path *path, qn_arena *arena)
{
    const qn_exec_result *found = path->found;
    if (is_sorted_by_document(found->candidates, found->count))
        return found->candidates;
    qn_candidate *copy = qn_arena_array(arena, found->count, sizeof *copy);
    if (copy == NULL) return NULL;
    memcpy(copy, found->candidates, found->count * sizeof *copy);
    qsort(copy, found->count, sizeof *copy, by_document);
    return copy;
}

static qn_status make_arrays(qn_rank_pool *pool, size_t n, qn_arena *arena,
                             qn_error *err)
{
    pool->n = n;
    pool->segments = qn_arena_array(arena, n, sizeof *pool->segments);
    pool->docs = qn_arena_array(arena, n, sizeof *pool->docs);
    pool->text = qn_arena_array(arena, n, sizeof *pool->text);
    pool->vector = qn_arena_array(arena, n, sizeof *pool->vector);
    pool->recall = qn_arena_array(arena, n, sizeof *pool->recall);
    if (pool->segments == NULL || pool->docs == NULL || pool->text == NULL ||
        pool->vector == NULL || pool->recall == NULL)
        return qn_fail(err, QN_ENOMEM, "out of memory for %zu candidates", n);
    return QN_OK;
}

/* The documents of all paths, each once, ascending. */
static qn_status unite(const qn_rank_input *in, const qn_candidate *const *lists,
                       qn_arena *arena, qn_rank_pool *pool, qn_error *err)
{
    size_t total = 0, n = 0;
    for (size_t p = 0; p < in->path_count; p++) total += in->paths[p].found->count;
    uint64_t *keys = qn_arena_array(arena, total + 1, sizeof *keys);
    if (keys == NULL)
        return qn_fail(err, QN_ENOMEM, "out of memory for %zu candidates", total);
    for (size_t p = 0; p < in->path_count; p++)
        for (size_t i = 0; i < in->paths[p].found->count; i++)
            keys[n++] = key_of(lists[p][i].segment, lists[p][i].doc);
    if (in->path_count > 1) {
        qsort(keys, n, sizeof *keys, by_key);
        size_t kept = 0;
        for (size_t i = 0; i < n; i++)
            if (i == 0 || keys[i] != keys[i - 1]) keys[kept++] = keys[i];
        n = kept;
    }
    QN_TRY(make_arrays(pool, n, arena, err));
    for (size_t i = 0; i < n; i++) {
        pool->segments[i] = (uint32_t)(keys[i] >> 32);
        pool->docs[i] = (uint32_t)keys[i];
        pool->text[i] = pool->vector[i] = NAN;
    }
    return QN_OK;
}

static uint64_t pool_key(const qn_rank_pool *pool, size_t i)
{
    return key_of(pool->segments[i], pool->docs[i]);
}

/* The raw metric of every document that a vector leaf of the path found. */
static void take_vectors(const qn_rank_path *path, qn_rank_pool *pool)
{
    for (size_t v = 0; v < path->found->vector_count; v++) {
        const qn_vector_hits *leaf = &path->found->vectors[v];
        size_t i = 0;
        for (size_t h = 0; h < leaf->count; h++) {
            uint64_t key = key_of(leaf->hits[h].segment, leaf->hits[h].doc);
            while (i < pool->n && pool_key(pool, i) < key) i++;
            if (i == pool->n) break;
            if (pool_key(pool, i) == key) pool->vector[i] = leaf->hits[h].metric;
        }
        pool->has_vector = true;
    }
}

static void take_text(const qn_rank_input *in, const qn_rank_path *path,
                      const qn_candidate *list, qn_rank_pool *pool)
{
    float scale = in->score_scale == 0 ? 1 : in->score_scale;
    size_t i = 0;
    for (size_t c = 0; c < path->found->count; c++) {
        uint64_t key = key_of(list[c].segment, list[c].doc);
        while (pool_key(pool, i) < key) i++;
        /* A document that only a vector leaf of a mixed query found has no text score. */
        if (list[c].score > 0 || isnan(pool->vector[i]))
            pool->text[i] = list[c].score / scale;
    }
    pool->has_text = true;
}

/* ---- fusion --------------------------------------------------------------------------- */

static void add_sum(const qn_candidate *list, size_t n, qn_rank_pool *pool)
{
    size_t i = 0;
    for (size_t c = 0; c < n; c++) {
        while (pool_key(pool, i) < key_of(list[c].segment, list[c].doc)) i++;
        pool->recall[i] += list[c].score;
    }
}

static qn_status add_rrf(const qn_rank_path *path, const qn_candidate *list,
                         qn_arena *arena, qn_rank_pool *pool, qn_error *err)
{
    size_t n = path->found->count;
    qn_candidate *best = qn_arena_array(arena, n + 1, sizeof *best);
    if (best == NULL)
        return qn_fail(err, QN_ENOMEM, "out of memory for %zu candidates", n);
    if (n > 0) memcpy(best, list, n * sizeof *best);
    qsort(best, n, sizeof *best, by_score);
    for (size_t rank = 0; rank < n; rank++)
        best[rank].score = path->weight / (float)(QN_RANK_RRF_CONSTANT + rank + 1);
    qsort(best, n, sizeof *best, by_document);
    add_sum(best, n, pool);
    return QN_OK;
}

/* Scores of a path scaled to [0,1] by its least and greatest; one value alone counts 1. */
static void add_linear(const qn_rank_path *path, const qn_candidate *list,
                       qn_rank_pool *pool)
{
    float least = INFINITY, most = -INFINITY;
    size_t n = path->found->count, i = 0;
    for (size_t c = 0; c < n; c++) {
        least = fminf(least, list[c].score);
        most = fmaxf(most, list[c].score);
    }
    for (size_t c = 0; c < n; c++) {
        while (pool_key(pool, i) < key_of(list[c].segment, list[c].doc)) i++;
        float scaled = most > least ? (list[c].score - least) / (most - least) : 1;
        pool->recall[i] += path->weight * scaled;
    }
}

static qn_status fuse(const qn_rank_input *in, const qn_candidate *const *lists,
                      qn_arena *arena, qn_rank_pool *pool, qn_error *err)
{
    for (size_t p = 0; p < in->path_count; p++) {
        const qn_rank_path *path = &in->paths[p];
        if (in->path_count == 1 || in->fusion == QN_FUSION_SUM)
            add_sum(lists[p], path->found->count, pool);
        else if (in->fusion == QN_FUSION_RRF)
            QN_TRY(add_rrf(path, lists[p], arena, pool, err));
        else
            add_linear(path, lists[p], pool);
    }
    return QN_OK;
}

/* Of one path of words alone there is nothing to unite, and its scores are all there is. */
static bool is_words_alone(const qn_rank_input *in)
{
    return in->path_count == 1 && !in->paths[0].is_vector &&
           in->paths[0].found->vector_count == 0;
}

static qn_status take_words(const qn_rank_input *in, const qn_candidate *list,
                            qn_arena *arena, qn_rank_pool *pool, qn_error *err)
{
    size_t n = in->paths[0].found->count;
    float scale = in->score_scale == 0 ? 1 : in->score_scale;
    pool->n = n;
    pool->has_text = true;
    pool->segments = qn_arena_raw(arena, n + 1, sizeof *pool->segments);
    pool->docs = qn_arena_raw(arena, n + 1, sizeof *pool->docs);
    pool->recall = qn_arena_raw(arena, n + 1, sizeof *pool->recall);
    pool->text =
        scale == 1 ? pool->recall : qn_arena_raw(arena, n + 1, sizeof *pool->text);
    if (pool->segments == NULL || pool->docs == NULL || pool->recall == NULL ||
        pool->text == NULL)
        return qn_fail(err, QN_ENOMEM, "out of memory for %zu candidates", n);
    for (size_t i = 0; i < n; i++) {
        pool->segments[i] = list[i].segment;
        pool->docs[i] = list[i].doc;
        pool->recall[i] = list[i].score;
        pool->text[i] = list[i].score / scale;
    }
    return QN_OK;
}

qn_status qn_rank__pool_make(const qn_rank_input *in, qn_arena *arena,
                             qn_rank_pool *out, qn_error *err)
{
    const qn_candidate *lists[QN_RANK_PATHS_MAX];
    *out = (qn_rank_pool){0};
    if (in->path_count == 0 || in->path_count > QN_RANK_PATHS_MAX)
        return qn_fail(err, QN_ELIMIT, "%zu paths of recall, 1 to %d are possible",
                       in->path_count, QN_RANK_PATHS_MAX);
    for (size_t p = 0; p < in->path_count; p++) {
        lists[p] = ordered(&in->paths[p], arena);
        if (lists[p] == NULL && in->paths[p].found->count > 0)
            return qn_fail(err, QN_ENOMEM, "out of memory for candidates");
    }
    if (is_words_alone(in)) return take_words(in, lists[0], arena, out, err);
    QN_TRY(unite(in, lists, arena, out, err));
    for (size_t p = 0; p < in->path_count; p++) take_vectors(&in->paths[p], out);
    for (size_t p = 0; p < in->path_count; p++)
        if (!in->paths[p].is_vector) take_text(in, &in->paths[p], lists[p], out);
    return fuse(in, lists, arena, out, err);
}

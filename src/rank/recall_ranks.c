/* SPDX-License-Identifier: Apache-2.0 */
/* recall_ranks.c -- places by the fused score alone, for rows that a rough formula chose. */
#include "rank/pipeline_internal.h"

#include <stdlib.h>

enum { BUCKETS = 1 << 16 };

/* How many documents stand before each row. They are counted by the upper half of their keys;
 * only where a row has the same half they are compared. */
typedef struct recall_ranks {
    uint64_t *rows;   /* the rows' pairs, ascending */
    uint32_t *before; /* documents between a row and the one before, of its bucket */
    size_t n;
    uint32_t *counts; /* documents of a bucket without rows */
    uint8_t *has_rows;
} recall_ranks;

static void count_before(recall_ranks *ranks, uint64_t pair)
{
    size_t low = 0, high = ranks->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (pair < ranks->rows[middle])
            high = middle;
        else
            low = middle + 1;
    }
    ranks->before[low]++;
}

static int by_pair(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* From counts to ranks: of the i-th best row in before[i]. */
static void sum_up(recall_ranks *ranks)
{
    uint32_t sum = 0;
    size_t bucket = 0;
    for (size_t i = 0; i < ranks->n; i++) {
        for (; bucket < ranks->rows[i] >> 48; bucket++) sum += ranks->counts[bucket];
        ranks->before[i] = sum += ranks->before[i];
    }
}

qn_status qn_rank__rank_recall(qn_ranking *r, size_t rows)
{
    recall_ranks ranks = {
        .rows = qn_arena_raw(r->arena, rows + 1, sizeof *ranks.rows),
        .before = qn_arena_array(r->arena, rows + 1, sizeof *ranks.before),
        .n = rows,
        .counts = qn_arena_array(r->arena, BUCKETS, sizeof *ranks.counts),
        .has_rows = qn_arena_array(r->arena, BUCKETS, 1),
    };
    if (ranks.rows == NULL || ranks.before == NULL || ranks.counts == NULL ||
        ranks.has_rows == NULL)
        return qn_fail(r->err, QN_ENOMEM, "ranks of recall");
    for (size_t i = 0; i < rows; i++) {
        uint32_t at = r->rows[i].r.recall_rank;
        ranks.rows[i] = qn_rank__pair(r->pool.recall[at], at);
        ranks.has_rows[ranks.rows[i] >> 48] = 1;
    }
    if (rows > 1) qsort(ranks.rows, rows, sizeof *ranks.rows, by_pair);
    for (uint32_t i = 0; rows > 0 && i < r->pool.n; i++) {
        uint64_t pair = qn_rank__pair(r->pool.recall[i], i);
        if (ranks.has_rows[pair >> 48] == 0)
            ranks.counts[pair >> 48]++;
        else
            count_before(&ranks, pair);
    }
    sum_up(&ranks);
    for (size_t i = rows; i < r->row_count; i++) r->rows[i].r.recall_rank = UINT32_MAX;
    for (size_t i = 0; i < rows; i++) {
        uint32_t at = r->rows[i].r.recall_rank;
        uint64_t pair = qn_rank__pair(r->pool.recall[at], at);
        const uint64_t *found = bsearch(&pair, ranks.rows, rows, sizeof pair, by_pair);
        r->rows[i].r.recall_rank = ranks.before[found - ranks.rows];
    }
    return QN_OK;
}

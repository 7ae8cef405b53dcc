/* SPDX-License-Identifier: Apache-2.0 */
/* rank_internal.h -- what the files of rank/ share.
 *
 * All candidates first live in a pool: parallel arrays in document order, small, so that a
 * rough formula can run over millions. Those that can still matter become qn_ranked rows. */
#ifndef QN_RANK_RANK_INTERNAL_H
#define QN_RANK_RANK_INTERNAL_H

#include "rank/bind.h"
#include "rank/pipeline.h"

#include <math.h>

/* ---- candidates.c: every recalled document, once ---------------------------------- */

typedef struct qn_rank_pool {
    size_t n;
    uint32_t *segments, *docs; /* ascending by (segment, doc) */
    float *
        text; /* NaN where no text path has the document; the input's scale divided out */
    QN_NULLABLE float
        *vector;   /* raw metric; NaN where no vector leaf found it; NULL: none
                                * was asked */
    float *recall; /* fused score; may be the same array as `text` */
    bool has_text, has_vector;
} qn_rank_pool;

QN_MUST_CHECK qn_status qn_rank__pool_make(const qn_rank_input *in, qn_arena *arena,
                                           qn_rank_pool *out, qn_error *err);

/* ---- sort_pairs.c ----------------------------------------------------------------------- */

/* The higher the score, the lower the key; one for both zeros. */
static inline uint32_t qn_rank__descending_key(float score)
{
    uint32_t bits;
    score += 0.0F; /* -0 becomes 0 */
    memcpy(&bits, &score, sizeof bits);
    return (bits & 0x80000000u) != 0 ? bits : ~(bits | 0x80000000u);
}
/* Documents are put in order as pairs of a key (the lower, the better) and a place in the
 * pool, which is in document order. What is no number stands last. */
static inline uint64_t qn_rank__pair(float score, uint32_t at)
{
    uint32_t key = isnan(score) ? UINT32_MAX : qn_rank__descending_key(score);
    return (uint64_t)key << 32 | at;
}
/* Sorts n pairs (key above, place below: 32 bits each) by key, stable; `room` for n. */
void qn_rank__sort_pairs(uint64_t *pairs, uint64_t *room, size_t n);

/* ---- ask_models.c --------------------------------------------------------------------- */

/* The logits of every model that the formula names, for n documents, the most promising
 * first: model after model, NaN where one was not reached in time; *missed counts those.
 */
QN_MUST_CHECK qn_status qn_rank__ask_models(const qn_rank_input *in, qn_arena *arena,
                                            const qn_rank_formula *f,
                                            const uint32_t *segments,
                                            const uint32_t *docs, size_t n,
                                            const double **out, size_t *count,
                                            size_t *missed, qn_error *err);

/* ---- order.c: sort keys -------------------------------------------------------------- */

/* A row on its way through the stages. */
typedef struct qn_rank_row {
    qn_ranked r;
    float tie_query, tie_field; /* HA3 fine ties */
    uint32_t group; /* 0 scored by the model, 1 the others, when a model ran */
    const qn_sort_value *keys; /* sort_count of them, when there are keys */
    /* The logits of the models that the last formula named, for the trace. */
    const double *models;
} qn_rank_row;

/* True when the order is by score alone. */
bool qn_rank__by_score(const qn_rank_input *in);
/* Fills row->keys of every row. */
QN_MUST_CHECK qn_status qn_rank__keys_fill(const qn_rank_input *in, qn_arena *arena,
                                           qn_rank_row *rows, size_t n, qn_error *err);
/* Sorts the rows by group and score or by their keys, then by the tie rules. Stable. */
QN_MUST_CHECK qn_status qn_rank__sort(const qn_rank_input *in, qn_arena *arena,
                                      qn_rank_row *rows, size_t n, qn_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* engine/models/score_cache.h -- scores of (model, query, passage) already computed.
 *
 * A pair's logit depends on its two texts, the model and how pairs are cut alone, so it
 * may be kept. The key is a 128-bit hash of all of them with lengths between (two pairs
 * would have to collide in 128 bits to be mixed up). Bounded: a set-associative table
 * in which the oldest of four gives way.
 *
 * Threads    any number of threads. */
#ifndef QN_ENGINE_SCORE_CACHE_H
#define QN_ENGINE_SCORE_CACHE_H

#include "base/slice.h"

typedef struct qn_score_cache qn_score_cache;

typedef struct qn_score_key {
    uint64_t low, high;
} qn_score_key;

/* `bytes`: how much memory it may take; 0 gives a cache that keeps nothing. */
QN_MUST_CHECK qn_status qn_score_cache_create(qn_alloc *a, size_t bytes,
                                              QN_OWNED qn_score_cache **out,
                                              qn_error *err);
void qn_score_cache_destroy(QN_OWNED QN_NULLABLE qn_score_cache *c);

typedef struct qn_score {
    float logit;
    uint32_t tokens; /* of the pair */
    bool truncated;
} qn_score;

/* `model` is all but the texts: what the model is, and how it is asked. */
qn_score_key qn_score_cache_key(qn_slice model, qn_slice query, qn_slice passage);
bool qn_score_cache_get(qn_score_cache *c, qn_score_key key, qn_score *score);
void qn_score_cache_put(qn_score_cache *c, qn_score_key key, qn_score score);

typedef struct qn_score_cache_stats {
    uint64_t hits, misses, entries, capacity;
} qn_score_cache_stats;
qn_score_cache_stats qn_score_cache_stats_get(qn_score_cache *c);

#endif

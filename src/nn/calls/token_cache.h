/* SPDX-License-Identifier: Apache-2.0 */
/* nn/calls/token_cache.h -- the token ids of documents already read.
 *
 * A document that comes up for many queries is cut into tokens once. The key is a 128-bit
 * hash of the text, the tokenizer's own bytes and how it was asked, so models that share a
 * tokenizer share the ids, and a changed text is another text. Bounded by bytes; what was
 * used longest ago gives way.
 *
 * Lifetime   what get() gives is a copy in the caller's arena.
 * Threads    any number of threads. */
#ifndef QN_NN_TOKEN_CACHE_H
#define QN_NN_TOKEN_CACHE_H

#include "base/arena.h"
#include "text/pieces.h"

typedef struct qn_token_cache qn_token_cache;

typedef struct qn_token_key {
    uint64_t low, high;
} qn_token_key;

/* `bytes`: how much memory the ids may take; 0 gives a cache that keeps nothing. */
QN_MUST_CHECK qn_status qn_token_cache_create(qn_alloc *a, size_t bytes,
                                              QN_OWNED qn_token_cache **out,
                                              qn_error *err);
void qn_token_cache_destroy(QN_OWNED QN_NULLABLE qn_token_cache *c);

/* `most`: how many tokens were asked for. */
qn_token_key qn_token_cache_key(uint64_t tokenizer_digest, qn_tokenize_flags flags,
                                size_t most, qn_slice text);
/* *found with the ids alone, no places in the text. QN_ENOMEM. */
QN_MUST_CHECK qn_status qn_token_cache_get(qn_token_cache *c, qn_token_key key,
                                           qn_arena *arena, qn_pieces *out, bool *found,
                                           qn_error *err);
/* Without memory for it, nothing is kept. */
void qn_token_cache_put(qn_token_cache *c, qn_token_key key, const qn_pieces *pieces);

typedef struct qn_token_cache_stats {
    uint64_t hits, misses, entries, bytes, bytes_max;
} qn_token_cache_stats;
qn_token_cache_stats qn_token_cache_stats_get(qn_token_cache *c);

#endif

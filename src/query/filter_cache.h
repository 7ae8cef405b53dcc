/* SPDX-License-Identifier: Apache-2.0 */
/* query/filter_cache.h -- filters as bit sets, kept from one query to the next.
 *
 * An entry is what one filter lets through of one segment, deleted documents included:
 * segments never change, deletions are applied apart, so an entry is never wrong. It is
 * found by the segment's number and the filter's canonical bytes (filters.h), and made
 * when the pair was asked for before not long ago: what comes once is not worth keeping.
 * Over the budget the least recently used go; those of segments that are gone, which
 * nobody asks for any more, among the first.
 *
 * Lifetime   entries are counted: found or put ones are the caller's until released, and
 *            may outlive their place in the cache.
 * Threads    any number; a lock is held for a look-up, never while bits are made.
 * Errors     out of memory only: then nothing is kept. */
#ifndef QN_QUERY_FILTER_CACHE_H
#define QN_QUERY_FILTER_CACHE_H

#include "base/slice.h"

typedef struct qn_filter_bits {
    const uint64_t *words; /* a bit a document of the segment, and a zero word */
    uint32_t count;        /* set bits */

    /* Private to filter_cache.c. */
    struct qn_filter_entry *entry;
} qn_filter_bits;

typedef struct qn_filter_cache qn_filter_cache;

typedef struct qn_filter_cache_stats {
    uint64_t entries, bytes, hits, misses, evictions;
} qn_filter_cache_stats;

/* Segments of fewer documents are not worth an entry. */
enum { QN_FILTER_DOCS_MIN = 4096 };

/* `docs_min`: entries are made for segments of as many documents. */
QN_MUST_CHECK qn_status qn_filter_cache_create(qn_alloc *a, uint64_t budget_bytes,
                                               uint32_t docs_min,
                                               QN_OWNED qn_filter_cache **out,
                                               qn_error *err);
/* Entries that are still held live on. */
void qn_filter_cache_destroy(QN_OWNED QN_NULLABLE qn_filter_cache *c);
qn_filter_cache_stats qn_filter_cache_look(qn_filter_cache *c);
uint32_t qn_filter_cache_docs_min(const qn_filter_cache *c);

/* The entry, held for the caller; false when there is none, and *wanted says whether to
 * make one. */
bool qn_filter_cache_get(qn_filter_cache *c, uint64_t segment, qn_slice key,
                         qn_filter_bits *out, bool *wanted);
/* Copies the words of `doc_count` documents in and gives the entry, held. false: no
 * memory, or over the budget by itself. */
bool qn_filter_cache_put(qn_filter_cache *c, uint64_t segment, qn_slice key,
                         const uint64_t *words, uint32_t doc_count, uint32_t count,
                         qn_filter_bits *out);
void qn_filter_bits_release(const qn_filter_bits *b);

#endif

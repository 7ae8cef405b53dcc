/* SPDX-License-Identifier: Apache-2.0 */
/* query/exec.h -- run a tree over a snapshot: which documents match, with what
 * score.
 *
 *     vectors first (whole snapshot, exact top k) --> lists of documents with
 * scores then each segment: plan --> iterators --> candidates in document order
 *
 * BM25 and the sums are Lucene's to the last bit. Vector scores take part in
 * `score` only when asked (`vector_in_score`, mapped as Elasticsearch does);
 * the raw metric of each vector leaf is kept beside the candidates either way.
 *
 * `top_n` keeps the best only. The bulk executors (query/run.h) and sorted searches then
 * pass documents over that cannot get among the best, once `total_limit` matches are
 * counted: the same result, an inexact total.
 *
 * Lifetime   results live in the arena.
 * Threads    one call, one thread and those of `pool`; calls share nothing.
 * Errors     QN_ECORRUPT from the index; QN_EDIMS, QN_EFIELDTYPE for leaves
 * that do not fit their field; QN_ELIMIT over `candidates_max`. Past the
 * deadline is no error: the result says timed_out and holds what was found so
 * far. */
#ifndef QN_QUERY_EXEC_H
#define QN_QUERY_EXEC_H

#include "base/clock.h"
#include "query/snapshot.h"
#include "query/tree.h"

struct qn_pool;
struct qn_sort_key;
struct qn_sort_after;

/* Keeps documents of one segment: writes n flags. `docs` ascend. */
typedef qn_status qn_doc_filter_fn(void *ctx, size_t segment, const uint32_t *docs,
                                   size_t n, bool *keep, qn_error *err);

typedef struct qn_exec_options {
    float score_scale;     /* 0 counts as 1; Elasticsearch: 2.2 */
    float bm25_k1, bm25_b; /* of TERM and PHRASE leaves; k1 0: Lucene's 1.2 and 0.75 */
    bool vector_in_score;  /* see above */
    bool no_scores;        /* candidates have score 0: for counting and other sorts */
    size_t top_n;          /* keep the best by (score, then document order); 0: all */
    size_t candidates_max; /* 0: no limit */
    int64_t total_limit;   /* counting may stop here once top_n is had; 0 or less:
                            * count everything */
    bool has_min_score;
    float min_score;
    QN_NULLABLE qn_doc_filter_fn *filter; /* HA3's filter clause; also before
                                           * vectors' k best are taken */
    void *filter_ctx;
    QN_NULLABLE const qn_deadline *deadline;
    QN_NULLABLE struct qn_pool *pool; /* segments are searched at the same time, where
                                       * that pays; not with `filter` or `sort` */
    uint64_t pool_from; /* that is from so many documents in the query's lists on; 0: a
                         * million, about a millisecond */
    bool by_document;   /* the plain way, a document at a time: what the bulk executors
                       * are compared with */

    /* The best top_n (not 0) are those by these keys instead of the score, then by
     * document order; no expressions. `after`: only what comes behind it, a value a
     * key; documents equal to it in all keys are left out. */
    const struct qn_sort_key *sort;
    size_t sort_count;
    QN_NULLABLE const struct qn_sort_after *after;
} qn_exec_options;

typedef struct qn_candidate {
    uint32_t segment, doc;
    float score;
} qn_candidate;

/* One document found by a vector leaf. */
typedef struct qn_vector_hit {
    uint32_t segment, doc;
    float metric; /* raw: squared distance, inner product or cosine */
} qn_vector_hit;

typedef struct qn_vector_hits {
    const qn_query *leaf;
    const qn_vector_hit *hits; /* by (segment, doc) */
    size_t count;
} qn_vector_hits;

typedef struct qn_exec_result {
    const qn_candidate *candidates; /* top_n 0: in document order; else best first */
    size_t count;
    uint64_t total;   /* documents that matched */
    bool total_exact; /* else at least that many */
    bool timed_out;
    float max_score;               /* of the candidates; 0 when none */
    const qn_vector_hits *vectors; /* one per VECTOR leaf, left to right */
    size_t vector_count;
} qn_exec_result;

/* `query` is a rewritten tree. */
QN_MUST_CHECK qn_status qn_query_execute(const qn_snapshot_view *snapshot,
                                         const qn_query *query,
                                         const qn_exec_options *options,
                                         qn_arena *arena, qn_exec_result *out,
                                         qn_error *err);

/* The raw metric by which a vector leaf on `field_id` found the document; of
 * several such leaves the best. false when none did. */
bool qn_exec_vector_metric(const qn_exec_result *r, uint32_t field_id, uint32_t segment,
                           uint32_t doc, float *metric);
/* Elasticsearch's _score of a raw metric: 1/(1+d2), (1+cos)/2, (1+dot)/2.
 * `element` I8 with DOT has a scale of its own. */
float qn_vector_score(const qn_field *field, float metric);

#endif

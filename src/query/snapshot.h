/* SPDX-License-Identifier: Apache-2.0 */
/* query/snapshot.h -- what a search looks at: some segments, frozen.
 *
 * The engine owns and counts segments, delete bits and vector indexes, and
 * lends them here for the length of one request. Document order, which decides
 * ties, is (segment, doc).
 *
 * Statistics are those of the whole snapshot: N, document frequency and token
 * sums over all segments, deleted documents included until a merge drops them,
 * as in Lucene.
 *
 * Lifetime   a view borrows everything; valid while the engine's snapshot is
 * held. Threads    immutable: any number. Errors     statistics read
 * dictionaries and can meet damage (QN_ECORRUPT). */
#ifndef QN_QUERY_SNAPSHOT_H
#define QN_QUERY_SNAPSHOT_H

#include "index/schema.h"

struct qn_segment;
struct qn_vindex;
struct qn_filter_cache;

/* The vectors of one field in one segment. */
typedef struct qn_vector_view {
    uint32_t field_id;
    const struct qn_vindex *index;
} qn_vector_view;

typedef struct qn_segment_view {
    const struct qn_segment *segment;
    uint64_t uid;                        /* of no other segment, ever; 0: no filters
                                          * of it are kept */
    uint64_t newer_uid;                  /* the same of its newer values of columns; 0:
                                          * it has none */
    uint32_t doc_base;                   /* documents in the segments before this one */
    uint32_t doc_count;                  /* deleted ones included */
    QN_NULLABLE const uint64_t *deleted; /* a bit a document; NULL: none */
    const qn_vector_view *vectors;
    size_t vector_count;
} qn_segment_view;

typedef struct qn_snapshot_view {
    const qn_schema *schema;
    const qn_segment_view *segments;
    size_t segment_count;
    uint32_t doc_count; /* all segments, deleted ones included */
    QN_NULLABLE struct qn_filter_cache *filters;
} qn_snapshot_view;

/* Of one field over the snapshot. avgdl = token_count / (double)doc_count. */
typedef struct qn_field_totals {
    uint64_t doc_count;   /* documents with at least one token in the field */
    uint64_t token_count; /* sum of their lengths */
} qn_field_totals;

/* Of one term of one field over the snapshot. */
typedef struct qn_term_totals {
    uint64_t doc_count;        /* df */
    uint64_t occurrence_count; /* ttf; equals df where frequencies are not kept */
} qn_term_totals;

qn_field_totals qn_snapshot_field_totals(const qn_snapshot_view *view,
                                         uint32_t field_id);
QN_MUST_CHECK qn_status qn_snapshot_term_totals(const qn_snapshot_view *view,
                                                uint32_t field_id, qn_slice term,
                                                qn_term_totals *out, qn_error *err);
/* Documents that are not deleted. */
uint32_t qn_snapshot_live_count(const qn_snapshot_view *view);

static inline bool qn_segment_view_is_deleted(const qn_segment_view *s, uint32_t doc)
{
    return s->deleted != NULL && ((s->deleted[doc / 64] >> (doc % 64)) & 1) != 0;
}

#endif

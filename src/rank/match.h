/* SPDX-License-Identifier: Apache-2.0 */
/* rank/match.h -- where the words of a query stand in documents: what features look at.
 *
 *     query tree --collect--> words, in query order, with the index each is aimed at
 *     (words, field) x documents of one segment --walk--> qn_match_view per document
 *
 * Words under must_not and in filters are left out: they score nothing. A phrase gives its
 * words. A word asked of an index over several fields has a view in each of them. Where the
 * analysis of the query gave several spellings for one place they are one word, seen by
 * every one of them: counts add up, positions are united.
 *
 * Lifetime   words borrow the tree; walks borrow the segment, and views are valid until the
 *            walk moves on.
 * Threads    words may be shared; a walk belongs to one thread.
 * Errors     damage met in postings. */
#ifndef QN_RANK_MATCH_H
#define QN_RANK_MATCH_H

#include "query/snapshot.h"
#include "query/tree.h"
#include "rank/features.h"

typedef struct qn_match_word {
    const qn_slice *spellings; /* one or more */
    size_t spelling_count;
    uint32_t id; /* equal for equal spellings */
    const qn_query *leaf;
    int32_t weight; /* HA3's ^boost, QN_QUERY_WEIGHT_DEFAULT when none was written */
} qn_match_word;

typedef struct qn_match_words {
    const qn_match_word *p;
    size_t n;
} qn_match_words;

/* The words of a tree, in query order, at most QN_FEATURE_TERMS_MAX of them. Several trees
 * (paths of recall) may be joined by calling it again with the same list. */
QN_MUST_CHECK qn_status qn_match_words_collect(const qn_query *tree, qn_arena *arena,
                                               qn_match_words *words, qn_error *err);

/* The words asked of `field` through `index`; index NULL: through the index of the field's
 * own name when it was asked, else through the first index asked that has the field. */
QN_MUST_CHECK qn_status qn_match_words_of(const qn_match_words *all,
                                          const qn_field *field,
                                          QN_NULLABLE const qn_index_def *index,
                                          qn_arena *arena, qn_match_words *out,
                                          qn_error *err);
/* The words asked of one index; the distinct indexes asked: i-th, NULL past the last. */
QN_MUST_CHECK qn_status qn_match_words_of_index(const qn_match_words *all,
                                                const qn_index_def *index,
                                                qn_arena *arena, qn_match_words *out,
                                                qn_error *err);
QN_NULLABLE const qn_index_def *qn_match_index_at(const qn_match_words *all, size_t i);

/* One field, some words, the documents of one segment in ascending order. */
typedef struct qn_match_walk qn_match_walk;
/* `positions`: whether views carry them. */
QN_MUST_CHECK qn_status qn_match_walk_open(const qn_snapshot_view *snapshot,
                                           size_t segment, const qn_field *field,
                                           const qn_match_words *words, bool positions,
                                           qn_arena *arena, qn_match_walk **out,
                                           qn_error *err);
/* Moves to `doc`, not below the last one. */
QN_MUST_CHECK qn_status qn_match_walk_to(qn_match_walk *walk, uint32_t doc,
                                         qn_match_view *out, qn_error *err);

#endif

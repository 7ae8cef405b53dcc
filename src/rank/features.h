/* SPDX-License-Identifier: Apache-2.0 */
/* rank/features.h -- the text features of ranking formulas, as pure functions of a match.
 *
 * A qn_match_view is one group of query terms held against one field of one document:
 * how the positions were fetched is no matter of this file. The query's terms are in query
 * order, repeats kept; equal terms carry equal ids and the same positions.
 *
 *     query  黑色 幽默 周杰伦      field  黑色 幽默 女版 原唱 周杰伦 Jay Chou
 *     ids     0    1    2         positions {0} {1} {4}, length 7
 *
 * A query that was expanded (synonyms) has more than one group; text_relevance and
 * query_min_slide_window then join the values of the groups.
 *
 * The definitions are those of the reference notes on Alibaba OpenSearch 1.1-1.4: what its
 * pages document, and where they are silent the formulas stated here.
 *
 * Lifetime   a view borrows everything; nothing is kept.
 * Threads    no shared state.
 * Errors     none: a term that does not occur has count 0, an empty field length 0. */
#ifndef QN_RANK_FEATURES_H
#define QN_RANK_FEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Terms of one group that are looked at; those behind are ignored. */
enum { QN_FEATURE_TERMS_MAX = 256 };

typedef struct qn_match_term {
    uint32_t id;               /* equal for equal terms of the query */
    uint32_t count;            /* occurrences in the field */
    const uint32_t *positions; /* `count` of them, ascending; token ordinals from 0.
                                * NULL where only counts are known: window, proximity
                                * and exactness then see a miss */
    double weight;             /* term weight, 1 by default */
    double idf;                /* ln(1 + (N - df + 0.5) / (df + 0.5)) */
    bool expanded;             /* not the user's own word: an expansion */
    uint32_t frequency;        /* `count`, but of several spellings at one position
                                * every one counts */
    double rarity;             /* ln(N / df) */
} qn_match_term;

typedef struct qn_match_view {
    const qn_match_term *terms; /* query order */
    size_t term_count;
    uint32_t length;   /* tokens of the field */
    double avg_length; /* of the field over the table; 0: unknown, 20 is taken */
} qn_match_view;

/* ln(1 + (N - df + 0.5) / (df + 0.5)) */
double qn_feature_idf(uint64_t doc_count, uint64_t doc_freq);

/* --- counts and ratios --- */

double qn_feature_field_length(const qn_match_view *v);
/* All terms, repeats counted. */
double qn_feature_query_term_count(const qn_match_view *v);
/* Terms of the query that occur; repeated terms count each time. */
double qn_feature_query_term_match_count(const qn_match_view *v);
/* Tokens of the field that are query terms, repeats counted. */
double qn_feature_field_term_match_count(const qn_match_view *v);
/* field_term_match_count over length, at most 1; 0 for an empty field. */
double qn_feature_field_match_ratio(const qn_match_view *v);
/* query_term_match_count over query_term_count; 0 without terms. */
double qn_feature_query_match_ratio(const qn_match_view *v);
/* The same over several fields: a term matches where any field has it. The views hold
 * the same terms in the same order. */
double qn_feature_query_term_match_count_any(const qn_match_view *fields, size_t n);
double qn_feature_query_match_ratio_any(const qn_match_view *fields, size_t n);

/* --- positions --- */

/* m / W: m terms of the query that occur (a repeated one as often as both sides have
 * it), W the length of the shortest stretch that holds them all; at most 1; 0 when
 * nothing occurs. `in_order`: the occurrences ascend strictly in query order (of a
 * repeated term with too few occurrences the later repeats are left out); 0 when there
 * is no such stretch. */
double qn_feature_query_min_slide_window(const qn_match_view *v, bool in_order);
/* Mean over neighbours in the query of the best (y > x ? 1 : 0.5) / |y - x| over their
 * occurrences, weighted by the mean of their weights; one term: 1 when it occurs. */
double qn_feature_fieldterm_proximity(const qn_match_view *v);

/* --- relevance --- */

/* Of an index over `n` fields, boosts[f] each (NULL: 1):
 *     sum over terms  w idf s(q)  /  sum over own terms  w idf
 *     s(q) = sum_f boost_f tf / (tf + k_f) / sum_f boost_f
 *     k_f  = K (1 - B + B L_f / avgL_f),  K 2, B 0.1
 * In [0,1) for the user's own terms; expansions can take it above. Never reads
 * positions. The views hold the same terms in the same order. */
double qn_feature_static_bm25(const qn_match_view *fields, const double *boosts,
                              size_t n);

/* text_relevance and its parts, for one group. */
typedef struct qn_text_relevance {
    double field_match; /* (0.5 base + bonus) / 1.5 */
    double bm25;        /* of this field, over all terms */
    double proximity;   /* fieldterm_proximity */
    double value;       /* (5 field_match + 0.5 bm25 + 9 proximity) / 14.5 */
} qn_text_relevance;
qn_text_relevance qn_feature_text_relevance(const qn_match_view *v);
/* Several groups of one field: the greatest, or the sum, at most 1. */
double qn_feature_text_relevance_groups(const qn_match_view *groups, size_t n,
                                        bool greatest);

/* --- boosts --- */

typedef struct qn_boost_term {
    bool matched;
    bool has_boost; /* written as term^n; else 99 */
    int64_t boost;
} qn_boost_term;
/* The greatest boost of the terms that matched, each clamped to [0, 99]; 0 when none
 * did. `sum`: their sum, as clamped. */
double qn_feature_exact_match_boost(const qn_boost_term *terms, size_t n, bool sum);

#endif

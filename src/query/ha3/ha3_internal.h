/* SPDX-License-Identifier: Apache-2.0 */
/* query/ha3/ha3_internal.h -- what the files of this folder share. */
#ifndef QN_QUERY_HA3_INTERNAL_H
#define QN_QUERY_HA3_INTERNAL_H

#include "query/leaf.h"

/* A vector term: `0.1,0.2&n=100&sf=1.1`, percent-encoded. NONE when the field has no
 * vectors of that kind. */
QN_MUST_CHECK qn_status qn_ha3__vector_term(qn_leaf_maker *m, const qn_leaf_target *t,
                                            qn_slice text, uint64_t at, qn_query **out);

/* The queries of a clause: the first, and after each `;` one for the next layer. */
typedef struct qn_ha3_layers {
    const qn_query **queries;
    size_t count;
} qn_ha3_layers;

/* A query clause that begins at `base` of the request string. */
QN_MUST_CHECK qn_status qn_ha3__parse_clause(qn_arena *arena, const qn_query_env *env,
                                             qn_slice clause, uint64_t base,
                                             const qn_ha3_query_options *options,
                                             qn_ha3_layers *out, qn_error *err);

/* The config clause as written. */
typedef struct qn_ha3_config {
    uint32_t start, hit, searcher_hits, timeout, research_threshold, ignored;
    uint32_t rank_size, total_rank_size, rerank_size, total_rerank_size;
    qn_slice default_index, analyzer, trace, rank_trace, trace_type, debug_key;
    bool no_summary, cache_info, rerank_hint;
} qn_ha3_config;

/* The request under construction. */
typedef struct qn_ha3_request {
    qn_arena *arena;
    const qn_query_env *env;
    qn_slice text; /* the whole string; offsets are into it */
    qn_error *err;
    qn_request *request;
    qn_ha3_config config;
    qn_ha3_query_options query;
    qn_slice fetch_cluster; /* fetch_summary_cluster */
    qn_slice format;        /* of config, not yet looked at */
    bool pb_matchdoc;       /* proto_format_option:pb_matchdoc_format */
    bool aux;               /* there is an aux_query or aux_filter */
    qn_slice pkfilter;
    qn_status held; /* an error of the query that is told last */
    qn_error held_error;
    qn_kvpair *kvpairs; /* QN_REQUEST_KVPAIRS_MAX of them */
    size_t kvpair_count;
} qn_ha3_request;

static inline uint64_t qn_ha3__offset(const qn_ha3_request *r, qn_slice part)
{
    return (uint64_t)(part.p - r->text.p);
}

QN_MUST_CHECK qn_status qn_ha3__parse_config(qn_ha3_request *r, qn_slice clause);
/* After everything is parsed: before the query's names are looked at, and after. */
QN_MUST_CHECK qn_status qn_ha3__check_summary(const qn_ha3_request *r);
QN_MUST_CHECK qn_status qn_ha3__check_config(qn_ha3_request *r);
QN_MUST_CHECK qn_status qn_ha3__parse_sort(qn_ha3_request *r, qn_slice clause);
QN_MUST_CHECK qn_status qn_ha3__parse_kvpairs(qn_ha3_request *r, qn_slice clause);
QN_MUST_CHECK qn_status qn_ha3__add_kvpair(qn_ha3_request *r, qn_slice key,
                                           qn_slice value);
QN_MUST_CHECK qn_status qn_ha3__parse_clusters(qn_ha3_request *r, qn_slice names,
                                               char separator);

QN_MUST_CHECK qn_status qn_ha3__parse_aggregate(qn_ha3_request *r, qn_slice clause);
QN_MUST_CHECK qn_status qn_ha3__parse_distinct(qn_ha3_request *r, qn_slice clause);
QN_MUST_CHECK qn_status qn_ha3__parse_layer(qn_ha3_request *r, qn_slice clause);
QN_MUST_CHECK qn_status qn_ha3__parse_cache(qn_ha3_request *r, qn_slice clause);
QN_MUST_CHECK qn_status qn_ha3__parse_rank(qn_ha3_request *r, qn_slice clause);
QN_MUST_CHECK qn_status qn_ha3__parse_health(qn_ha3_request *r, qn_slice clause);
QN_MUST_CHECK qn_status qn_ha3__parse_optimizer(qn_ha3_request *r, qn_slice clause);
QN_MUST_CHECK qn_status qn_ha3__parse_rank_sort(qn_ha3_request *r, qn_slice clause);
QN_MUST_CHECK qn_status qn_ha3__parse_final_sort(qn_ha3_request *r, qn_slice clause);
QN_MUST_CHECK qn_status qn_ha3__parse_level(qn_ha3_request *r, qn_slice clause);
QN_MUST_CHECK qn_status qn_ha3__parse_analyzer(qn_ha3_request *r, qn_slice clause);
QN_MUST_CHECK qn_status qn_ha3__parse_fetch(qn_ha3_request *r, qn_slice clause);
QN_MUST_CHECK qn_status qn_ha3__parse_attributes(qn_ha3_request *r, qn_slice clause);
QN_MUST_CHECK qn_status qn_ha3__parse_virtuals(qn_ha3_request *r, qn_slice clause);

/* Cuts the next piece off *rest at `separator`, trimmed; empty pieces are passed over.
 * false when nothing is left. */
bool qn_ha3__next_piece(qn_slice *rest, char separator, qn_slice *piece);

#endif

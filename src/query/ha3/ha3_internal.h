/* SPDX-License-Identifier: Apache-2.0 */
/* query/ha3/ha3_internal.h -- what the files of this folder share. */
#ifndef QN_QUERY_HA3_INTERNAL_H
#define QN_QUERY_HA3_INTERNAL_H

#include "query/leaf.h"

/* A vector term: `0.1,0.2&n=100&sf=1.1`, percent-encoded. NONE when the field has no
 * vectors of that kind. */
QN_MUST_CHECK qn_status qn_ha3__vector_term(qn_leaf_maker *m, const qn_leaf_target *t,
                                            qn_slice text, uint64_t at, qn_query **out);

/* A query clause that begins at `base` of the request string. */
QN_MUST_CHECK qn_status qn_ha3__parse_clause(qn_arena *arena, const qn_query_env *env,
                                             qn_slice clause, uint64_t base,
                                             const qn_ha3_query_options *options,
                                             const qn_query **out, qn_error *err);

/* The request under construction. */
typedef struct qn_ha3_request {
    qn_arena *arena;
    const qn_query_env *env;
    qn_slice text; /* the whole string; offsets are into it */
    qn_error *err;
    qn_request *request;
    qn_ha3_query_options query;
    qn_kvpair *kvpairs; /* QN_REQUEST_KVPAIRS_MAX of them */
    size_t kvpair_count;
} qn_ha3_request;

static inline uint64_t qn_ha3__offset(const qn_ha3_request *r, qn_slice part)
{
    return (uint64_t)(part.p - r->text.p);
}

QN_MUST_CHECK qn_status qn_ha3__parse_config(qn_ha3_request *r, qn_slice clause);
QN_MUST_CHECK qn_status qn_ha3__parse_sort(qn_ha3_request *r, qn_slice clause);
QN_MUST_CHECK qn_status qn_ha3__parse_kvpairs(qn_ha3_request *r, qn_slice clause);
QN_MUST_CHECK qn_status qn_ha3__add_kvpair(qn_ha3_request *r, qn_slice key,
                                           qn_slice value);
QN_MUST_CHECK qn_status qn_ha3__parse_clusters(qn_ha3_request *r, qn_slice names,
                                               char separator);

QN_MUST_CHECK qn_status qn_ha3__parse_aggregate(qn_ha3_request *r, qn_slice clause);
QN_MUST_CHECK qn_status qn_ha3__parse_distinct(qn_ha3_request *r, qn_slice clause);

/* Cuts the next piece off *rest at `separator`, trimmed; empty pieces are passed over.
 * false when nothing is left. */
bool qn_ha3__next_piece(qn_slice *rest, char separator, qn_slice *piece);

#endif

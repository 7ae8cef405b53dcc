/* SPDX-License-Identifier: Apache-2.0 */
/* query/dsl/dsl_internal.h -- what the files of this folder share.
 *
 * Messages follow Elasticsearch's, since clients and people look for them. */
#ifndef QN_QUERY_DSL_INTERNAL_H
#define QN_QUERY_DSL_INTERNAL_H

#include "io/json.h"
#include "query/leaf.h"

typedef struct qn_dsl {
    qn_leaf_maker make;
    qn_slice text; /* what the JSON was parsed from; offsets are into it */
    int depth;
    uint32_t size; /* of the request: the default of knn's k */
} qn_dsl;

static inline uint64_t qn_dsl__at(const qn_dsl *d, const qn_json *v)
{
    return qn_json_offset(v, d->text);
}

/* One query object: {"match": {...}}. */
QN_MUST_CHECK qn_status qn_dsl__query(qn_dsl *d, const qn_json *v,
                                      const qn_query **out);

/* A query type: `body` is the value behind its name. */
typedef qn_status qn_dsl__builder(qn_dsl *d, const char *type, const qn_json *body,
                                  const qn_query **out);
qn_dsl__builder qn_dsl__match, qn_dsl__match_phrase, qn_dsl__multi_match, qn_dsl__term,
    qn_dsl__terms, qn_dsl__range, qn_dsl__geo_distance, qn_dsl__geo_box, qn_dsl__ids,
    qn_dsl__exists, qn_dsl__knn, qn_dsl__bool, qn_dsl__dis_max, qn_dsl__constant_score,
    qn_dsl__match_all, qn_dsl__match_none;

/* The sort section; search_after, once `sort` and `from` are read (v NULL: none). */
QN_MUST_CHECK qn_status qn_dsl__sort(qn_dsl *d, const qn_json *v,
                                     const qn_sort_key **out, size_t *count);
QN_MUST_CHECK qn_status qn_dsl__after(qn_dsl *d, QN_NULLABLE const qn_json *v,
                                      qn_request *r);

/* The retriever section of a body: sets r->retriever and the query of the innermost. */
QN_MUST_CHECK qn_status qn_dsl__retriever(qn_dsl *d, const qn_json *body,
                                          qn_request *r);

/* ---- reading values ---------------------------------------------------------------- */

static inline bool qn_dsl__key_is(const qn_json *member, const char *key)
{
    return qn_slice_eq_str(member->key, key);
}
/* The text of a string, number or boolean. */
QN_MUST_CHECK qn_status qn_dsl__text(qn_dsl *d, const qn_json *v, qn_slice *out);
QN_MUST_CHECK qn_status qn_dsl__float(qn_dsl *d, const qn_json *v, float *out);
QN_MUST_CHECK qn_status qn_dsl__i64(qn_dsl *d, const qn_json *v, int64_t *out);
QN_MUST_CHECK qn_status qn_dsl__flag(qn_dsl *d, const qn_json *v, bool *out);
QN_MUST_CHECK qn_status qn_dsl__object(qn_dsl *d, const char *type, const qn_json *v);

/* [type] query does not support [key] */
qn_status qn_dsl__unknown_key(qn_dsl *d, const char *type, const qn_json *member);

/* What every query has. */
typedef struct qn_dsl_common {
    float boost;
    qn_slice name;
} qn_dsl_common;
#define QN_DSL_COMMON ((qn_dsl_common){1.0f, {"", 0}})
/* Takes `boost` and `_name`; *taken is false for any other member. */
QN_MUST_CHECK qn_status qn_dsl__common(qn_dsl *d, const char *type,
                                       const qn_json *member, qn_dsl_common *c,
                                       bool *taken);
/* Gives them to a fresh node; NULL becomes NONE. */
QN_MUST_CHECK qn_status qn_dsl__finish(qn_dsl *d, const qn_json *v, qn_query *node,
                                       const qn_dsl_common *c, const qn_query **out);

/* {"field": ...} with one member besides boost and _name: that member. */
QN_MUST_CHECK qn_status qn_dsl__one_field(qn_dsl *d, const char *type,
                                          const qn_json *body, qn_dsl_common *c,
                                          const qn_json **out);
/* *known is false for a name that the table does not have: nothing matches then. */
QN_MUST_CHECK qn_status qn_dsl__target(qn_dsl *d, qn_slice name, const qn_json *v,
                                       qn_leaf_target *out, bool *known);
/* "red*le": `*` stands for any text. */
bool qn_dsl__pattern_matches(qn_slice pattern, qn_slice name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* query/clauses.h -- the clauses of an HA3 request that group, thin out, layer and fetch.
 *
 *     aggregate=group_key:brand,agg_fun:count()#max(price)   --> qn_aggregate
 *     distinct=dist_key:shop,dist_count:2,reserved:false     --> qn_distinct
 *     layer=range:%docid{[0,1000)},quota:500;quota:UNLIMITED --> qn_layer
 *
 * Numbers, flags and keys are read here; expressions are checked against the grammar of
 * clauses and kept as text, in HA3's normalised spelling too: compiling needs to know what
 * they may use, and is ranking's. What is absent has its default.
 *
 * Lifetime   as qn_request: the arena of the parser. Threads    immutable. */
#ifndef QN_QUERY_CLAUSES_H
#define QN_QUERY_CLAUSES_H

#include "base/slice.h"
#include "index/schema.h"

enum {
    QN_AGGREGATES_MAX = 32,
    QN_AGG_FUNCTIONS_MAX = 32,
    QN_AGG_KEYS_MAX = 8,
    QN_AGG_BOUNDS_MAX = 256,
    QN_AGG_GROUPS_DEFAULT = 1000, /* max_group */
    QN_DISTINCTS_MAX = 2,
    QN_DIST_GRADES_MAX = 64,
    QN_LAYERS_MAX = 32,
    QN_LAYER_RANGES_MAX = 16,
    QN_LAYER_INTERVALS_MAX = 256,
    QN_FETCH_SUMMARY_MAX = 5000,
};

/* An expression as it stands in a clause. `text` is "" where there is none. */
typedef struct qn_clause_expr {
    qn_slice text;       /* as written */
    qn_slice normalized; /* (a+1), "f(a , b)", ((a=1) AND (b<2)) */
    uint64_t at;         /* where `text` begins in the request */
} qn_clause_expr;

/* ---- aggregate ---------------------------------------------------------------------- */

typedef enum qn_agg_kind {
    QN_AGG_COUNT,
    QN_AGG_SUM,
    QN_AGG_MAX,
    QN_AGG_MIN,
    QN_AGG_DISTINCT_COUNT,
} qn_agg_kind;

typedef struct qn_agg_function {
    qn_agg_kind kind;
    qn_clause_expr argument; /* "" for COUNT */
    qn_slice name;           /* its key in replies: "count()", "max((a+1))" */
} qn_agg_function;

/* A boundary of `range`, or a threshold of `grade`. */
typedef struct qn_clause_number {
    qn_slice text;
    bool whole; /* written as an integer: i64 holds it exactly */
    int64_t i64;
    double f64; /* always set */
} qn_clause_number;

/* One description; a request may hold several. */
typedef struct qn_aggregate {
    const qn_clause_expr *keys; /* several: group_key:[a,b], grouped by the tuple */
    size_t key_count;
    qn_slice key_name; /* its key in replies: "brand", "[a, b]" */
    const qn_agg_function
        *functions; /* at least one, none twice, as they were written */
    size_t function_count;
    const qn_clause_number *bounds; /* range, strictly ascending; none: by value */
    size_t bound_count;
    qn_clause_expr filter; /* agg_filter: "" is all documents */
    uint32_t max_group;
    uint32_t sampler_threshold, sampler_step; /* step 0: no sampling */
    bool order_by_count; /* groups by their count, descending; otherwise by key */
} qn_aggregate;

/* ---- distinct ----------------------------------------------------------------------- */

typedef struct qn_distinct {
    bool none; /* none_dist: nothing is thinned out in this phase */
    qn_clause_expr key;
    uint32_t count, times; /* at least 1 */
    uint32_t max_item_count;
    bool reserved;         /* leftovers stay, at the end */
    bool update_total_hit; /* those that do not stay leave the total */
    qn_clause_expr filter; /* dist_filter: documents that are not grouped; "" is none */
    const double *grades;  /* thresholds on the first sort value, ascending */
    size_t grade_count;
    qn_slice module; /* dbmodule, "" when absent */
} qn_distinct;

/* ---- layer -------------------------------------------------------------------------- */

typedef enum qn_layer_key {
    QN_LAYER_ATTRIBUTE,
    QN_LAYER_DOCID, /* of the snapshot: documents in order, deleted ones counted */
    QN_LAYER_SEGMENTID,
    QN_LAYER_PERCENT, /* [0,100) of the documents in order */
    QN_LAYER_OTHER,   /* what no other layer names */
    QN_LAYER_SORTED,  /* documents of an index that is sorted: none here */
    QN_LAYER_UNSORTED,
} qn_layer_key;

/* {v}, {[a,b]}, {[a,)}. HA3 keeps "]" and ")" alike: of attributes the upper end is
 * inside either way; of places in the order of documents it is outside, but for {v}. */
typedef struct qn_layer_interval {
    bool has_low, has_high;
    qn_clause_number low, high;
} qn_layer_interval;

typedef struct qn_layer_range {
    qn_layer_key key;
    qn_slice name;
    QN_NULLABLE const qn_field *field;  /* ATTRIBUTE */
    const qn_layer_interval *intervals; /* none: everything */
    size_t interval_count;
} qn_layer_range;

typedef enum qn_quota_type {
    QN_QUOTA_PROPORTIONAL, /* over ranges, by their lengths */
    QN_QUOTA_AVERAGE,      /* over ranges, in equal parts */
    QN_QUOTA_EACH,         /* for each range */
} qn_quota_type;

typedef struct qn_layer {
    const qn_layer_range *ranges; /* a document must be inside each of them */
    size_t range_count;
    bool unlimited;
    uint32_t quota; /* matches that are taken */
    qn_quota_type quota_type;
} qn_layer;

/* ---- rank --------------------------------------------------------------------------- */

typedef struct qn_field_boost {
    qn_slice index, field;
    uint32_t boost;
} qn_field_boost;

typedef struct qn_rank_clause {
    qn_slice profile; /* rank_profile: the name of a stored policy; "" when absent */
    const qn_field_boost *boosts;
    size_t boost_count;
    qn_slice hint; /* the field of rank_hint, "" when absent: advice about the order */
    bool hint_descending;
} qn_rank_clause;

/* ---- fetch_summary ------------------------------------------------------------------ */

typedef enum qn_fetch_by {
    QN_FETCH_DOCID, /* by the place in a gid */
    QN_FETCH_PK,    /* by the key in a gid */
    QN_FETCH_RAWPK, /* by the key itself */
} qn_fetch_by;

/* One document of the second phase alone. */
typedef struct qn_fetch_address {
    qn_slice cluster; /* without the part after a dot */
    qn_slice pk;      /* PK: hexadecimal digits; RAWPK: the key, unescaped */
    int64_t docid;    /* DOCID */
} qn_fetch_address;

/* ---- searcher_cache ----------------------------------------------------------------- */

typedef struct qn_searcher_cache {
    bool use, has_key;
    uint64_t key;
    uint32_t current_time;
    qn_clause_expr expire_time, filter;
    qn_slice refresh_attributes; /* names with ';' between */
} qn_searcher_cache;

#endif

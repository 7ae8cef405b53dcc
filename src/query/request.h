/* SPDX-License-Identifier: Apache-2.0 */
/* query/request.h -- a whole search request, whichever dialect wrote it.
 *
 *     HA3 clause string  --qn_ha3_parse-->  qn_request  --> rank and engine
 *     _search body       --qn_dsl_parse-->
 *
 * The front ends resolve names against the schema and analyse text, so a
 * request holds a finished tree. Formulas, filters and sort expressions stay
 * text here: ranking compiles them, knowing what each may use.
 *
 * Lifetime   lives in the arena given to the parser; slices may point into the
 * parsed text, so both must last. Threads    immutable after parsing. Errors
 * QN_ESYNTAX and its relatives with the byte offset into the parsed text. */
#ifndef QN_QUERY_REQUEST_H
#define QN_QUERY_REQUEST_H

#include "query/clauses.h"
#include "query/tree.h"
#include "text/chunk.h"

struct qn_analyzers;
struct qn_json;
struct qn_leaf_maker;
struct qn_leaf_match;
struct qn_leaf_target;

enum {
    QN_REQUEST_SIZE_DEFAULT = 10,
    QN_REQUEST_HA3_WINDOW_MAX = 5000,  /* start + hit */
    QN_REQUEST_DSL_WINDOW_MAX = 10000, /* from + size */
    QN_REQUEST_SORT_KEYS_MAX = 32,
    QN_REQUEST_KVPAIRS_MAX = 256,
    QN_REQUEST_TOTAL_DEFAULT = 10000, /* what the DSL counts exactly when not told */
};
#define QN_TOTAL_EXACT INT64_MAX /* track_total_hits: true, and HA3 always */

typedef enum qn_dialect { QN_DIALECT_HA3, QN_DIALECT_DSL } qn_dialect;

/* What the front ends need besides the text. */
typedef struct qn_query_env {
    const qn_schema *schema;
    const struct qn_analyzers *analyzers;
    int64_t now_ms;      /* the request's "now", for dates */
    bool sort_ascending; /* HA3: what a sort key without a sign means */

    /* Turns text into a vector, for query_vector_builder and text aimed at a
     * vector index; `model` may be NULL: the field's own. NULL: such queries are
     * refused. */
    qn_status (*embed)(void *ctx, const qn_field *field, QN_NULLABLE const char *model,
                       qn_slice text, float *out, qn_error *err);
    void *embed_ctx;

    /* Query analysis (query/analysis/analysis.h): words aimed at a text index become a
     * tree by rules. *done false: as if there were none. NULL: there are none. */
    qn_status (*analyse)(void *ctx, struct qn_leaf_maker *m,
                         const struct qn_leaf_target *t, qn_slice text, uint64_t at,
                         const struct qn_leaf_match *how, qn_query **out, bool *done);
    void *analyse_ctx;
} qn_query_env;

typedef enum qn_sort_kind {
    QN_SORT_SCORE,    /* _score, RANK */
    QN_SORT_DOC,      /* _doc: document order */
    QN_SORT_FIELD,    /* a column */
    QN_SORT_DISTANCE, /* of a column of points from one point */
    QN_SORT_EXPR,     /* HA3: an expression over columns, see `text` */
} qn_sort_kind;

/* Which of several values of a document counts, or what is made of them. */
typedef enum qn_sort_mode {
    QN_SORT_MODE_DEFAULT, /* the least ascending, the greatest descending */
    QN_SORT_MODE_MIN,
    QN_SORT_MODE_MAX,
    QN_SORT_MODE_SUM, /* this and the following: numbers only */
    QN_SORT_MODE_AVG,
    QN_SORT_MODE_MEDIAN,
} qn_sort_mode;

typedef enum qn_sort_missing {
    QN_MISSING_LAST, /* whatever the direction */
    QN_MISSING_FIRST,
    QN_MISSING_VALUE, /* `missing_text` takes the place of the value */
} qn_sort_missing;

typedef struct qn_sort_key {
    qn_sort_kind kind;
    bool descending;
    bool signed_key; /* HA3: a sign was written */
    qn_slice text;   /* the key as written, without sign: "RANK", "age", "a+b" */
    uint32_t at;
    QN_NULLABLE const qn_field *field; /* FIELD, DISTANCE */
    qn_sort_mode mode;
    qn_sort_missing missing;
    qn_slice missing_text;
    double lat, lon; /* DISTANCE: from where, in degrees */
    double unit_m;   /* DISTANCE: metres in the unit that values are told in */
} qn_sort_key;

/* Where the page before ended: a value for each sort key. */
typedef struct qn_sort_after {
    bool missing;  /* the document had no value */
    int64_t i64;   /* integers, dates, _doc */
    double f64;    /* floating-point numbers, _score, distances */
    qn_slice text; /* keywords */
} qn_sort_after;

enum {
    QN_RETRIEVER_DEPTH_MAX = 8,
    QN_RETRIEVER_WINDOW_DEFAULT = 10,
};

typedef enum qn_retriever_kind {
    QN_RETRIEVER_STANDARD,
    QN_RETRIEVER_KNN,
    QN_RETRIEVER_RERANKER,
} qn_retriever_kind;

/* A retriever of the DSL: a way of recall, or a model over another retriever. */
typedef struct qn_retriever {
    qn_retriever_kind kind;
    const qn_query *query; /* STANDARD, KNN: with the filters of all around it */
    bool has_min_score;    /* RERANKER: of the score that is shown */
    float min_score;
    QN_NULLABLE const struct qn_retriever *child; /* this and the rest: RERANKER */
    uint32_t window;
    qn_slice field, inference_id, inference_text;
    bool allow_failures;
    uint32_t best_chunks; /* 0: whole texts */
    qn_chunk_settings chunking;
} qn_retriever;

typedef struct qn_kvpair {
    qn_slice key, value; /* unescaped */
} qn_kvpair;

/* `_source`: all, nothing, or patterns with `*`. */
typedef struct qn_source_filter {
    bool none;
    const qn_slice *includes, *excludes;
    size_t include_count, exclude_count;
} qn_source_filter;

/* A vector path beside the query (the DSL's top-level `knn`). The paths are
 * also should clauses of `query`; kept so that traces can tell them apart. */
typedef struct qn_request {
    qn_dialect dialect;
    const qn_query *query; /* what is recalled: query and knn together; rewritten */
    float score_scale;     /* multiplies BM25 leaf weights: 2.2 for the DSL, 1 for HA3
                            */
    bool vector_in_score;  /* the DSL adds mapped vector scores; HA3 keeps them
                              apart */

    uint32_t from, size;
    int64_t track_total;     /* count matches exactly up to here; 0: do not count */
    uint32_t timeout_ms;     /* 0: the server's default */
    const qn_sort_key *sort; /* none: by score */
    size_t sort_count;
    QN_NULLABLE const qn_sort_after *after; /* search_after: one a key of `sort` */
    bool explain;
    bool has_min_score;
    float min_score;
    qn_source_filter source;

    /* HA3. Texts are "" when absent; *_at is where they begin. */
    qn_slice query_text; /* the query clause as written */
    /* One for each layer; `query` is the first. Layers after the last use the first. */
    const qn_query *const *queries;
    size_t query_count;
    qn_slice filter;
    uint64_t filter_at;
    qn_slice first_formula, formula;            /* rough and fine expression */
    qn_slice first_rank_name, second_rank_name; /* stored policies by name */
    const qn_slice *fetch_fields;               /* none: all stored fields */
    size_t fetch_field_count;
    const qn_slice *attributes; /* the attribute clause */
    size_t attribute_count;
    const qn_kvpair *virtual_attributes; /* name, expression text */
    size_t virtual_attribute_count;
    const qn_kvpair *kvpairs; /* all of them, later ones win */
    size_t kvpair_count;
    const qn_slice *clusters; /* table names, without the part after a dot */
    size_t cluster_count;
    qn_slice format;            /* "xml" unless said: xml, json, fulljson, protobuf */
    qn_slice trace, rank_trace; /* levels, "" is off */
    uint32_t rank_size, rerank_size; /* 0: the policy's */
    uint32_t research_threshold; /* searched again when fewer documents are found; 0: as
                                  * the rules of query analysis have it */
    bool no_summary;
    bool rerank_hint; /* fine scorers run also where RANK is no sort key */
    bool trace_tree;  /* request_trace_type:kvtracer */
    bool cache_info;  /* the reply says whether it came from a cache: no */

    const qn_aggregate *aggregates;
    size_t aggregate_count;
    /* The first thins out what the rough sort orders, the second (or, without one, the
     * first) the final order. */
    const qn_distinct *distincts;
    size_t distinct_count;
    QN_NULLABLE const qn_retriever *retriever; /* DSL: the outermost */
    const qn_layer *layers; /* searched in order, each until its quota is used */
    size_t layer_count;
    qn_rank_clause rank;
    QN_NULLABLE const qn_searcher_cache *searcher_cache;
    /* Without a query: these documents, in this order. */
    qn_fetch_by fetch_by;
    const qn_fetch_address *fetch;
    size_t fetch_count;
} qn_request;

/* The request on one line: what it says beyond the defaults, parts with "; " between. */
void qn_request_dump(const qn_request *r, qn_buf *out);

/* NULL when absent; the last one of that name otherwise. */
QN_NULLABLE const qn_kvpair *qn_request_kvpair(const qn_request *r, const char *key);

/* ---- HA3
 * -------------------------------------------------------------------------- A
 * whole request string: clauses joined by `&&` (docs/reference: HA3 queries).
 */
QN_MUST_CHECK qn_status qn_ha3_parse(qn_arena *arena, const qn_query_env *env,
                                     qn_slice text, const qn_request **out,
                                     qn_error *err);

typedef struct qn_ha3_query_options {
    qn_slice default_index; /* "": the schema's */
    bool default_or;        /* default_operator:OR */
    qn_slice analyzer;      /* for all text indexes; "": each its own */
    /* "title#simple;body#english": before `analyzer`; "" for none. */
    qn_slice index_analyzers;
    /* "title;body": words of these are looked up as they stand; "" for none. */
    qn_slice raw_indexes;
} qn_ha3_query_options;

/* A query clause alone, without `query=`. */
QN_MUST_CHECK qn_status qn_ha3_parse_query(qn_arena *arena, const qn_query_env *env,
                                           qn_slice text,
                                           const qn_ha3_query_options *options,
                                           const qn_query **out, qn_error *err);

/* The table a request string is for, found before there is a schema to parse
 * with: its first cluster, "" when it names none. */
QN_MUST_CHECK qn_status qn_ha3_table_of(qn_slice text, qn_slice *table, qn_error *err);

/* ---- Query DSL
 * ---------------------------------------------------------------------- A
 * `_search` body. Members named in `others` (NULL-terminated, may be NULL)
 * belong to the caller and are passed over; any other unknown one is refused.
 * `body` must be a tree parsed from `text`, or NULL for an empty body. */
QN_MUST_CHECK qn_status qn_dsl_parse(qn_arena *arena, const qn_query_env *env,
                                     qn_slice text,
                                     QN_NULLABLE const struct qn_json *body,
                                     QN_NULLABLE const char *const *others,
                                     const qn_request **out, qn_error *err);
/* One query object, {"match": {...}}: for retrievers, filters, rescorers. */
QN_MUST_CHECK qn_status qn_dsl_parse_query(qn_arena *arena, const qn_query_env *env,
                                           qn_slice text, const struct qn_json *node,
                                           const qn_query **out, qn_error *err);
/* One knn section; `size` is the default of k. `filter` is added to its own;
 * may be NULL. */
QN_MUST_CHECK qn_status qn_dsl_parse_knn(qn_arena *arena, const qn_query_env *env,
                                         qn_slice text, const struct qn_json *node,
                                         uint32_t size,
                                         QN_NULLABLE const qn_query *filter,
                                         const qn_query **out, qn_error *err);
/* A sort section. */
QN_MUST_CHECK qn_status qn_dsl_parse_sort(qn_arena *arena, const qn_query_env *env,
                                          qn_slice text, const struct qn_json *node,
                                          const qn_sort_key **out, size_t *count,
                                          qn_error *err);

#endif

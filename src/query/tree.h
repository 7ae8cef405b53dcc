/* SPDX-License-Identifier: Apache-2.0 */
/* query/tree.h -- the one query tree that every dialect becomes.
 *
 *     default:'red car' OR vector:'0.1,0.2&n=10'        {"bool": {"should":
 * [...]}} \                                 / (or (and (term default 'red')
 * (term default 'car')) (vector embedding :k 10))
 *
 * Leaves ask something of a field, or of the several fields of one index; the
 * inner nodes are BOOL (must, should, filter, must_not, as in Lucene), DISMAX
 * and CONSTANT. HA3's AND, OR, ANDNOT and RANK are BOOLs: must; should with a
 * minimum of one; must and must_not; must and should with a minimum of nought.
 *
 * Boosts multiply down the tree as floats, outermost first, as in Lucene; the
 * boost of HA3 (`^80`) is information for ranking features and lives apart, in
 * `weight`.
 *
 * A TERM or PHRASE over several fields matches where any field has it and
 * scores as the best of its fields (boost x BM25 each). A TERM with several
 * spellings (tokens at one position) scores as one pseudo-term: frequencies
 * added, document frequency the greatest.
 *
 * Lifetime   nodes and all they point at live in the request's arena; fields
 * and indexes in the schema, which must last as long. Threads    a finished
 * tree is immutable. Errors     building answers QN_ELIMIT over one of the
 * limits below. */
#ifndef QN_QUERY_TREE_H
#define QN_QUERY_TREE_H

#include "index/schema.h"

/* Limits, each tested at the value and one past it. Over one of them:
 * QN_ELIMIT. */
enum {
    QN_QUERY_BYTES_MAX = 1 << 20,    /* of an HA3 request string */
    QN_QUERY_BODY_MAX = 1 << 24,     /* of a search body */
    QN_QUERY_DEPTH_MAX = 64,         /* nested groups */
    QN_QUERY_CLAUSES_MAX = 1024,     /* leaves of the whole tree */
    QN_QUERY_SET_MAX = 65536,        /* values of one SET or IDS */
    QN_QUERY_TERM_BYTES_MAX = 32766, /* of one term, as in Lucene */
    QN_QUERY_VECTORS_MAX = 16,       /* VECTOR leaves of one tree */
    QN_QUERY_VECTOR_K_MAX = 10000,   /* k, n and num_candidates */
    QN_QUERY_VECTOR_DIMS_MAX = 4096,
    QN_QUERY_FIELDS_MAX = 64,      /* fields of one leaf */
    QN_QUERY_WEIGHT_DEFAULT = 100, /* HA3's `^` where none is written */
};

/* ORDER KINDS: names in tree_dump.c. */
typedef enum qn_query_kind {
    QN_QUERY_ALL,      /* every document, score = boost */
    QN_QUERY_NONE,     /* no document */
    QN_QUERY_TERM,     /* a term in one or several fields, BM25 */
    QN_QUERY_PHRASE,   /* terms at given distances in one field of several, BM25 */
    QN_QUERY_RANGE,    /* values between two ends, score = boost */
    QN_QUERY_SET,      /* any of many values of one field, score = boost */
    QN_QUERY_IDS,      /* documents by primary key, score = boost */
    QN_QUERY_EXISTS,   /* the field has a value, score = boost */
    QN_QUERY_GEO,      /* a point within a distance or a box, score = boost */
    QN_QUERY_VECTOR,   /* the k nearest vectors of the whole snapshot */
    QN_QUERY_BOOL,     /* see qn_query_bool */
    QN_QUERY_DISMAX,   /* best child + tie_breaker x the others */
    QN_QUERY_CONSTANT, /* its one child's documents, score = boost */
} qn_query_kind;

typedef struct qn_query qn_query;

typedef struct qn_query_field {
    const qn_field *field;
    float boost; /* of the index definition, or "title^2" */
} qn_query_field;

/* One end of a RANGE. For integer and date fields ends are inclusive i64 (the
 * front ends turn `>5` into `>=6`); for float fields f64; for keyword fields
 * bytes. */
typedef struct qn_query_end {
    bool present, inclusive;
    int64_t i64;
    double f64;
    qn_slice bytes;
} qn_query_end;

typedef struct qn_query_term {
    qn_slice bytes;
    uint32_t position; /* PHRASE: from the first term's 0; equal ones are
                          alternatives */
} qn_query_term;

typedef struct qn_query_vector {
    const float *values;        /* field->dims numbers; not yet normalised for COSINE */
    uint32_t k;                 /* documents kept over the whole snapshot (HA3: n) */
    uint32_t num_candidates;    /* advice for approximate indexes; >= k */
    bool has_threshold, strict; /* strict: `<` or `>`, as HA3's sf; else `<=`, `>=` */
    float threshold;            /* raw metric: L2 at most (squared for HA3 and here),
                                 * DOT and COSINE at least */
    QN_NULLABLE const qn_query *filter; /* applied before the k best are taken */
    qn_slice search_params;             /* HA3's JSON, verbatim; "" */
} qn_query_vector;

/* Degrees. A box with left > right goes over the date line. */
typedef struct qn_query_geo {
    bool is_box;
    double lat, lon, radius_m;
    double top, left, bottom, right;
} qn_query_geo;

typedef struct qn_query_list {
    const qn_query *const *p;
    size_t n;
} qn_query_list;

/* Score: the sum of must and should clauses that match, added in double and
 * rounded once. `should_min` of the should clauses have to match. */
typedef struct qn_query_bool {
    qn_query_list must, should, filter, must_not;
    uint32_t should_min;
} qn_query_bool;

struct qn_query {
    qn_query_kind kind;
    float boost;    /* 1 unless the query says more; >= 0 */
    uint32_t at;    /* byte offset in the text it came from */
    qn_slice label; /* HA3's @label, the DSL's _name; "" */

    /* Leaves: what they ask. `index` is NULL when the query named a bare field.
     */
    QN_NULLABLE const qn_index_def *index;
    const qn_query_field *fields; /* TERM, PHRASE: one or more; other leaves: one */
    size_t field_count;
    bool every_field; /* TERM: all of `fields` must have it (HA3's `(f1,f2):x`) */

    /* TERM: its spellings, nearly always one. PHRASE: its words. SET: its values
     * for a keyword field. IDS: the keys, canonical bytes. */
    const qn_query_term *terms;
    size_t term_count;
    int32_t weight; /* HA3's `^80` */
    uint32_t slop;  /* PHRASE: how far its words may be moved; one word a place then */
    qn_slice chain; /* HA3's `#chain`; kept for the trace, nothing is truncated here */

    union {
        struct {
            qn_query_end low, high;
        } range;
        struct {
            const int64_t *values; /* ascending, for integer, date and bool fields */
            const double *floats;  /* ascending, for float fields */
            size_t count;
        } set;
        qn_query_vector vector;
        qn_query_geo geo;
        qn_query_bool boolean;
        struct {
            qn_query_list children;
            float tie_breaker;
        } dismax;
        const qn_query *child; /* CONSTANT */
    } u;
};

/* A zeroed node with boost 1 and the default weight; NULL when out of memory.
 */
QN_NULLABLE qn_query *qn_query_new(qn_arena *arena, qn_query_kind kind, uint32_t at);

/* The tree made simpler without changing what matches, in which order, with
 * which scores and terms:
 *   - AND in AND, OR in OR (left and right), ANDNOT in ANDNOT and RANK in RANK
 * (left) are joined unless the inner one carries a label or a boost;
 *   - a BOOL of one must clause is that clause; an empty BOOL is ALL;
 *   - NONE among must makes NONE; NONE among should and must_not goes away;
 *   - CONSTANT of CONSTANT is the outer one, DISMAX of one is that one.
 * Shares unchanged parts with the input. */
QN_MUST_CHECK qn_status qn_query_rewrite(qn_arena *arena, const qn_query *query,
                                         const qn_query **out, qn_error *err);

/* Counts leaves, vectors and depth against the limits. */
QN_MUST_CHECK qn_status qn_query_check_limits(const qn_query *query, qn_error *err);

/* The tree as an S-expression on one line:
 *     (or (term default 'red') (vector embedding :k 10 :dims 2))
 *     (and a b)  (or a b)  (andnot a b)  (rank a b)  for the BOOLs that are
 * just that, (bool (must ...) (should ...) (filter ...) (not ...) (min 2))  for
 * the others. Boosts follow as ^2, weights as :weight 80, labels as @name,
 * chains as #name. */
void qn_query_dump(const qn_query *query, qn_buf *out);
const char *qn_query_kind_name(qn_query_kind kind);

#endif

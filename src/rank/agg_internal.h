/* SPDX-License-Identifier: Apache-2.0 */
/* agg_internal.h -- what the files of aggregation share: values of batches, groups by value.
 */
#ifndef QN_RANK_AGG_INTERNAL_H
#define QN_RANK_AGG_INTERNAL_H

#include "base/vec.h"
#include "index/column.h"
#include "rank/aggregate.h"
#include "rank/bind.h"

enum { QN_AGG_BATCH = 1024 };
#define QN_AGG_NONE UINT32_MAX /* no group: over the limit */

/* ---- agg_source.c: an attribute, or an expression -------------------------------------- */

typedef struct qn_agg_source {
    const qn_field *field; /* a column; NULL: */
    qn_rank_key *key;      /* an expression */
    qn_expr_type type;
    bool multi, text, real; /* text: keywords; real: doubles; else integers */

    /* Of the current segment. */
    qn_column column;
    bool there;
    size_t segment;
} qn_agg_source;

/* Messages begin with `what`; places are those of the request. */
QN_MUST_CHECK qn_status qn_agg_source_open(const qn_rank_input *in, qn_arena *arena,
                                           const char *what, const qn_clause_expr *expr,
                                           qn_agg_source *out, qn_error *err);
void qn_agg_source_close(qn_agg_source *s);
QN_MUST_CHECK qn_status qn_agg_source_begin(const qn_rank_input *in, qn_agg_source *s,
                                            size_t segment, qn_error *err);
/* Single values of at most QN_AGG_BATCH documents; 0 and "" where there is none. */
QN_MUST_CHECK qn_status qn_agg_source_i64(qn_agg_source *s, const uint32_t *docs,
                                          size_t n, int64_t *out, qn_error *err);
QN_MUST_CHECK qn_status qn_agg_source_f64(qn_agg_source *s, const uint32_t *docs,
                                          size_t n, double *out, qn_error *err);
QN_MUST_CHECK qn_status qn_agg_source_text(qn_agg_source *s, const uint32_t *docs,
                                           size_t n, qn_slice *out, qn_error *err);
/* "agg_filter: ..." and the place in the request instead of that in the expression. */
qn_status qn_agg_place(qn_error *err, const char *what, const qn_clause_expr *expr,
                       qn_status st);

/* ---- agg_keys.c: values become numbers from 0 ---------------------------------------- */

/* 64-bit keys to the numbers 0, 1, 2 ... in the order they came. */
typedef struct qn_agg_numbers {
    struct qn_agg_slot {
        uint64_t key;
        uint32_t id; /* number + 1; 0: free */
    } * slots;
    size_t capacity, n, limit;
} qn_agg_numbers;

void qn_agg_numbers_deinit(qn_agg_numbers *t);
/* The number of a key; QN_AGG_NONE past the limit. */
QN_MUST_CHECK qn_status qn_agg_number(qn_agg_numbers *t, uint64_t key, uint32_t *id,
                                      qn_error *err);

/* One key expression: its values, numbered. */
typedef struct qn_agg_keys {
    qn_agg_source source;
    const qn_clause_number *bounds; /* range: numbers are places between boundaries */
    size_t bound_count;
    qn_agg_numbers numbers;  /* of texts: by their hash */
    QN_VEC(uint64_t) values; /* by number: an integer, or a double's bits */
    QN_VEC(qn_slice) labels; /* by number: texts, the segment's or the arena's */
    uint64_t seed;           /* of the hash */
    qn_arena *arena;
    size_t limit;
    uint64_t refused; /* values past the limit, each time they came */

    /* Of the current segment: ordinal, or value - least, to number + 1. */
    uint32_t *local;
    size_t local_count;
    int64_t local_least;
    uint32_t missing; /* number of "" + 1 */
} qn_agg_keys;

QN_MUST_CHECK qn_status qn_agg_keys_open(const qn_rank_input *in, qn_arena *arena,
                                         const char *what, const qn_clause_expr *expr,
                                         const qn_clause_number *bounds,
                                         size_t bound_count, size_t limit,
                                         qn_agg_keys *out, qn_error *err);
void qn_agg_keys_close(qn_agg_keys *k);
QN_MUST_CHECK qn_status qn_agg_keys_begin(const qn_rank_input *in, qn_agg_keys *k,
                                          size_t segment, qn_error *err);
/* Numbers of single values. */
QN_MUST_CHECK qn_status qn_agg_keys_of(qn_agg_keys *k, const uint32_t *docs, size_t n,
                                       uint32_t *ids, qn_error *err);
/* Numbers of all values of one document of a multi-value attribute, appended. */
typedef QN_VEC(uint32_t) qn_agg_ids;
QN_MUST_CHECK qn_status qn_agg_keys_all(qn_agg_keys *k, uint32_t doc, qn_agg_ids *ids,
                                        qn_error *err);
size_t qn_agg_keys_count(const qn_agg_keys *k);
/* -1: a first. */
int qn_agg_keys_compare(const qn_agg_keys *k, uint32_t a, uint32_t b);
/* The value as text: a range's is low:high. */
void qn_agg_keys_label(const qn_agg_keys *k, uint32_t id, qn_buf *out);

#endif

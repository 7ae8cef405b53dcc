/* SPDX-License-Identifier: Apache-2.0 */
/* query/leaf.h -- for the front ends: leaves of the tree, from names and text.
 *
 * A target is what a query names: an index, or a field. All fields of a target are of
 * one kind, and text aimed at it goes through one analyzer.
 *
 * Lifetime   leaves and targets live in the arena.
 * Errors     offsets are the caller's `at`. */
#ifndef QN_QUERY_LEAF_H
#define QN_QUERY_LEAF_H

#include "query/request.h"

typedef struct qn_leaf_target {
    QN_NULLABLE const qn_index_def *index;
    const qn_query_field *fields;
    size_t field_count;
    bool every_field;
    qn_index_kind kind;
    QN_NULLABLE const char *analyzer; /* TEXT */
    bool has_weight; /* HA3: given to the leaves made for this target */
    int32_t weight;
    qn_slice chain;
} qn_leaf_target;

/* Where leaves are made: the request's arena and environment. */
typedef struct qn_leaf_maker {
    qn_arena *arena;
    const qn_query_env *env;
    qn_error *err;
} qn_leaf_maker;

QN_MUST_CHECK qn_status qn_leaf_target_index(qn_leaf_maker *m, const qn_index_def *def,
                                             qn_leaf_target *out);
QN_MUST_CHECK qn_status qn_leaf_target_field(qn_leaf_maker *m, const qn_field *field,
                                             qn_leaf_target *out);
/* By name: an index, else a field. QN_ENOFIELD with the nearest name. */
QN_MUST_CHECK qn_status qn_leaf_target_find(qn_leaf_maker *m, qn_slice name,
                                            uint64_t at, qn_leaf_target *out);

/* The index name or the field's, for messages. */
qn_slice qn_leaf_target_name(const qn_leaf_target *t);

/* A node aimed at the target. */
QN_MUST_CHECK qn_status qn_leaf_new(qn_leaf_maker *m, qn_query_kind kind,
                                    const qn_leaf_target *t, uint64_t at,
                                    qn_query **out);
QN_MUST_CHECK qn_status qn_leaf_none(qn_leaf_maker *m, uint64_t at,
                                     const qn_query **out);
/* A TERM of exactly these bytes (copied). */
QN_MUST_CHECK qn_status qn_leaf_term(qn_leaf_maker *m, const qn_leaf_target *t,
                                     qn_slice bytes, uint64_t at, qn_query **out);

typedef struct qn_leaf_match {
    bool any;            /* tokens join by OR; else all must match */
    bool phrase;         /* tokens must stand as in the text */
    uint32_t slop;       /* with `phrase`: nearly as in the text */
    qn_slice should_min; /* with `any`: "2", "75%", "3<90%"; "" is one */
    qn_slice analyzer;   /* instead of the target's; "" */
} qn_leaf_match;

/* Text as the target's analyzer cuts it: a term, a group of terms or a phrase; *out is
 * NULL when no token is left. Targets that are not TEXT take the whole text as one
 * value (qn_leaf_value). */
QN_MUST_CHECK qn_status qn_leaf_text(qn_leaf_maker *m, const qn_leaf_target *t,
                                     qn_slice text, uint64_t at,
                                     const qn_leaf_match *how, qn_query **out);
/* One exact value: a TERM, a RANGE of one number, an id. A text that is no value of the
 * field is QN_EFIELDTYPE; a number that no document can have gives NONE; a field that
 * cannot be searched is QN_EINDEXKIND. */
QN_MUST_CHECK qn_status qn_leaf_value(qn_leaf_maker *m, const qn_leaf_target *t,
                                      qn_slice value, uint64_t at, qn_query **out);

/* An end of a range as written. `text` NULL p: open. */
typedef struct qn_leaf_end {
    qn_slice text;
    bool inclusive;
    uint64_t at;
} qn_leaf_end;
/* A RANGE; one that nothing can match becomes NONE. */
QN_MUST_CHECK qn_status qn_leaf_range(qn_leaf_maker *m, const qn_leaf_target *t,
                                      const qn_leaf_end *low, const qn_leaf_end *high,
                                      uint64_t at, qn_query **out);
/* Integers, dates and booleans. */
bool qn_field_is_integer(const qn_field *f);
bool qn_field_is_float(const qn_field *f);
/* The value of a text as the field keeps it, whole numbers only. *in_range is false
 * for numbers that the type cannot hold and for fractions. */
QN_MUST_CHECK qn_status qn_leaf_parse_i64(qn_leaf_maker *m, const qn_field *f,
                                          qn_slice text, uint64_t at, int64_t *out,
                                          bool *in_range);
QN_MUST_CHECK qn_status qn_leaf_parse_f64(qn_leaf_maker *m, const qn_field *f,
                                          qn_slice text, uint64_t at, double *out);

/* A BOOL over finished children: NULLs are left out; NULL when nothing is left. */
typedef enum qn_leaf_join { QN_JOIN_AND, QN_JOIN_OR } qn_leaf_join;
QN_MUST_CHECK qn_status qn_leaf_join_nodes(qn_leaf_maker *m, qn_leaf_join how,
                                           qn_query *const *nodes, size_t n,
                                           uint64_t at, qn_query **out);

/* "2", "-1", "75%", "-25%", "3<90%", "2<-25% 9<-3" of `clauses`; false when it is none
 * of these. */
bool qn_should_min_of(qn_slice spec, size_t clauses, uint32_t *out);

#endif

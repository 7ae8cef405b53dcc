/* SPDX-License-Identifier: Apache-2.0 */
#include "query/tree.h"

/* ORDER KINDS */
static const char *const kind_names[] = {
    "all",    "none", "term",   "phrase", "range",  "set",      "ids",
    "exists", "geo",  "vector", "bool",   "dismax", "constant",
};

const char *qn_query_kind_name(qn_query_kind kind)
{
    return kind_names[kind];
}

qn_query *qn_query_new(qn_arena *arena, qn_query_kind kind, uint32_t at)
{
    qn_query *q = qn_arena_new(arena, sizeof *q);
    if (q == NULL) return NULL;
    q->kind = kind;
    q->boost = 1.0f;
    q->at = at;
    q->weight = QN_QUERY_WEIGHT_DEFAULT;
    q->label = q->chain = QN_SLICE_LIT("");
    return q;
}

typedef struct tree_size {
    size_t leaves, vectors;
} tree_size;

static qn_status measure(const qn_query *q, size_t depth, tree_size *size,
                         qn_error *err);

static qn_status measure_list(qn_query_list list, size_t depth, tree_size *size,
                              qn_error *err)
{
    for (size_t i = 0; i < list.n; i++) QN_TRY(measure(list.p[i], depth, size, err));
    return QN_OK;
}

static qn_status measure_leaf(const qn_query *q, tree_size *size, qn_error *err)
{
    bool many = q->kind == QN_QUERY_SET || q->kind == QN_QUERY_IDS;
    size_t values = q->term_count;
    if (q->kind == QN_QUERY_SET) values += q->u.set.count;
    if (many && values > QN_QUERY_SET_MAX)
        return qn_fail_at(err, QN_ELIMIT, q->at,
                          "%zu values in one clause, at most %d are allowed", values,
                          QN_QUERY_SET_MAX);
    /* A phrase counts once per word, as it costs. */
    size->leaves += q->kind == QN_QUERY_PHRASE ? q->term_count : 1;
    if (size->leaves > QN_QUERY_CLAUSES_MAX)
        return qn_fail_at(err, QN_ELIMIT, q->at,
                          "too many clauses, maxClauseCount is set to %d",
                          QN_QUERY_CLAUSES_MAX);
    return QN_OK;
}

static qn_status measure(const qn_query *q, size_t depth, tree_size *size,
                         qn_error *err)
{
    if (depth > QN_QUERY_DEPTH_MAX)
        return qn_fail_at(err, QN_ELIMIT, q->at,
                          "the query is nested more than %d deep", QN_QUERY_DEPTH_MAX);
    switch (q->kind) {
    case QN_QUERY_BOOL:
        QN_TRY(measure_list(q->u.boolean.must, depth + 1, size, err));
        QN_TRY(measure_list(q->u.boolean.should, depth + 1, size, err));
        QN_TRY(measure_list(q->u.boolean.filter, depth + 1, size, err));
        return measure_list(q->u.boolean.must_not, depth + 1, size, err);
    case QN_QUERY_DISMAX:
        return measure_list(q->u.dismax.children, depth + 1, size, err);
    case QN_QUERY_CONSTANT:
        return measure(q->u.child, depth + 1, size, err);
    case QN_QUERY_VECTOR:
        if (++size->vectors > QN_QUERY_VECTORS_MAX)
            return qn_fail_at(err, QN_ELIMIT, q->at,
                              "at most %d vector clauses are allowed",
                              QN_QUERY_VECTORS_MAX);
        QN_TRY(measure_leaf(q, size, err));
        if (q->u.vector.filter == NULL) return QN_OK;
        return measure(q->u.vector.filter, depth + 1, size, err);
    default:
        return measure_leaf(q, size, err);
    }
}

qn_status qn_query_check_limits(const qn_query *query, qn_error *err)
{
    tree_size size = {0};
    return measure(query, 1, &size, err);
}

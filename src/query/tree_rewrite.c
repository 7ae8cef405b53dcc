/* SPDX-License-Identifier: Apache-2.0 */
/* The rules are those that keep Lucene's scores: it joins nested pure disjunctions and
 * nested conjunctions in the same way before it weighs anything. */
#include "base/vec.h"
#include "query/tree.h"

typedef struct rewriter {
    qn_arena *arena;
    qn_error *err;
} rewriter;

/* A clause list under construction, in the arena's allocator until it is copied in. */
typedef QN_VEC(const qn_query *) clause_vec;

typedef struct clause_lists {
    clause_vec must, should, filter, must_not;
} clause_lists;

static qn_status no_memory(rewriter *r)
{
    return qn_fail(r->err, QN_ENOMEM, "query tree");
}

static qn_status rewrite(rewriter *r, const qn_query *q, const qn_query **out);

/* A copy with another boost; the same node when nothing changes. */
static qn_status boosted(rewriter *r, const qn_query *q, float by, const qn_query **out)
{
    *out = q;
    if (by == 1.0f) return QN_OK;
    qn_query *copy = qn_arena_new(r->arena, sizeof *copy);
    if (copy == NULL) return no_memory(r);
    *copy = *q;
    copy->boost = by * q->boost;
    *out = copy;
    return QN_OK;
}

static qn_status nothing(rewriter *r, const qn_query *q, const qn_query **out)
{
    qn_query *none = qn_query_new(r->arena, QN_QUERY_NONE, q->at);
    if (none == NULL) return no_memory(r);
    *out = none;
    return QN_OK;
}

static bool is_plain_bool(const qn_query *q)
{
    return q->kind == QN_QUERY_BOOL && q->boost == 1.0f && q->label.n == 0;
}

static qn_status push(rewriter *r, clause_vec *v, const qn_query *q)
{
    return qn_vec_push(r->arena->alloc, v, q) ? QN_OK : no_memory(r);
}

static qn_status push_list(rewriter *r, clause_vec *v, qn_query_list list)
{
    for (size_t i = 0; i < list.n; i++) QN_TRY(push(r, v, list.p[i]));
    return QN_OK;
}

/* Adds one must clause; a BOOL that only requires and excludes dissolves into the
 * outer one, and a RANK does where the outer one ranks or has no should clauses. */
static qn_status add_must(rewriter *r, const qn_query_bool *outer, const qn_query *q,
                          clause_lists *l)
{
    const qn_query_bool *b = &q->u.boolean;
    bool inner_ranks = is_plain_bool(q) && b->should.n > 0;
    bool joins = is_plain_bool(q) && b->must.n + b->filter.n > 0;
    if (joins && inner_ranks)
        joins = b->should_min == 0 && (outer->should_min == 0 || outer->should.n == 0);
    if (!joins) return push(r, &l->must, q);
    QN_TRY(push_list(r, &l->must, b->must));
    QN_TRY(push_list(r, &l->should, b->should));
    QN_TRY(push_list(r, &l->filter, b->filter));
    return push_list(r, &l->must_not, b->must_not);
}

static qn_status add_should(rewriter *r, const qn_query_bool *outer, const qn_query *q,
                            clause_lists *l)
{
    if (q->kind == QN_QUERY_NONE) return QN_OK;
    const qn_query_bool *b = &q->u.boolean;
    bool joins = is_plain_bool(q) && outer->should_min <= 1 && b->should_min <= 1 &&
                 b->must.n + b->filter.n + b->must_not.n == 0;
    return joins ? push_list(r, &l->should, b->should) : push(r, &l->should, q);
}

static qn_status collect(rewriter *r, const qn_query *q, clause_lists *l, bool *none)
{
    const qn_query_bool *b = &q->u.boolean;
    const qn_query *c;
    for (size_t i = 0; i < b->must.n; i++) {
        QN_TRY(rewrite(r, b->must.p[i], &c));
        if (c->kind == QN_QUERY_NONE) *none = true;
        QN_TRY(add_must(r, b, c, l));
    }
    for (size_t i = 0; i < b->should.n; i++) {
        QN_TRY(rewrite(r, b->should.p[i], &c));
        QN_TRY(add_should(r, b, c, l));
    }
    for (size_t i = 0; i < b->filter.n; i++) {
        QN_TRY(rewrite(r, b->filter.p[i], &c));
        if (c->kind == QN_QUERY_NONE) *none = true;
        QN_TRY(push(r, &l->filter, c));
    }
    for (size_t i = 0; i < b->must_not.n; i++) {
        QN_TRY(rewrite(r, b->must_not.p[i], &c));
        if (c->kind == QN_QUERY_ALL) *none = true;
        if (c->kind != QN_QUERY_NONE) QN_TRY(push(r, &l->must_not, c));
    }
    return QN_OK;
}

static qn_status to_list(rewriter *r, const clause_vec *v, qn_query_list *out)
{
    *out = (qn_query_list){0};
    if (v->n == 0) return QN_OK;
    const qn_query **p = qn_arena_array(r->arena, v->n, sizeof *p);
    if (p == NULL) return no_memory(r);
    for (size_t i = 0; i < v->n; i++) p[i] = v->p[i];
    *out = (qn_query_list){p, v->n};
    return QN_OK;
}

/* What is left of a BOOL once its clauses are known. */
static qn_status finish_bool(rewriter *r, const qn_query *q, clause_lists *l,
                             const qn_query **out)
{
    uint32_t should_min = q->u.boolean.should_min;
    bool had_should = q->u.boolean.should.n > 0;
    bool required = l->must.n + l->filter.n > 0;
    if (had_should && !required && should_min == 0) should_min = 1;
    if (should_min > l->should.n) return nothing(r, q, out);
    if (l->should.n > 0 && should_min == l->should.n && (required || should_min > 1)) {
        for (size_t i = 0; i < l->should.n; i++) {
            QN_TRY(push(r, &l->must, l->should.p[i]));
        }
        l->should.n = 0;
        should_min = 0;
    }
    size_t count = l->must.n + l->should.n + l->filter.n + l->must_not.n;
    if (count == 1 && q->label.n == 0 && l->must.n + l->should.n == 1)
        return boosted(r, l->must.n == 1 ? l->must.p[0] : l->should.p[0], q->boost,
                       out);
    qn_query *b =
        qn_query_new(r->arena, count == 0 ? QN_QUERY_ALL : QN_QUERY_BOOL, q->at);
    if (b == NULL) return no_memory(r);
    /* Exclusions that exclude nothing: as with those that do, the score is 0. */
    b->boost = count == 0 && q->u.boolean.must_not.n > 0 ? 0 : q->boost;
    b->label = q->label;
    if (count > 0) {
        QN_TRY(to_list(r, &l->must, &b->u.boolean.must));
        QN_TRY(to_list(r, &l->should, &b->u.boolean.should));
        QN_TRY(to_list(r, &l->filter, &b->u.boolean.filter));
        QN_TRY(to_list(r, &l->must_not, &b->u.boolean.must_not));
        b->u.boolean.should_min = should_min;
    }
    *out = b;
    return QN_OK;
}

static qn_status rewrite_bool(rewriter *r, const qn_query *q, const qn_query **out)
{
    clause_lists l = {0};
    bool none = false;
    qn_status st = collect(r, q, &l, &none);
    if (st == QN_OK) st = none ? nothing(r, q, out) : finish_bool(r, q, &l, out);
    qn_vec_deinit(r->arena->alloc, &l.must);
    qn_vec_deinit(r->arena->alloc, &l.should);
    qn_vec_deinit(r->arena->alloc, &l.filter);
    qn_vec_deinit(r->arena->alloc, &l.must_not);
    return st;
}

static qn_status rewrite_dismax(rewriter *r, const qn_query *q, const qn_query **out)
{
    qn_query_list from = q->u.dismax.children;
    const qn_query **to = qn_arena_array(r->arena, from.n + 1, sizeof *to);
    if (to == NULL) return no_memory(r);
    size_t n = 0;
    for (size_t i = 0; i < from.n; i++) {
        const qn_query *c;
        QN_TRY(rewrite(r, from.p[i], &c));
        if (c->kind != QN_QUERY_NONE) to[n++] = c;
    }
    if (n == 0) return nothing(r, q, out);
    if (n == 1 && q->label.n == 0) return boosted(r, to[0], q->boost, out);
    if (q->u.dismax.tie_breaker == 1.0f) { /* then it is a sum */
        qn_query *sum = qn_query_new(r->arena, QN_QUERY_BOOL, q->at);
        if (sum == NULL) return no_memory(r);
        sum->boost = q->boost;
        sum->label = q->label;
        sum->u.boolean = (qn_query_bool){.should = {to, n}, .should_min = 1};
        return rewrite_bool(r, sum, out);
    }
    qn_query *copy = qn_arena_new(r->arena, sizeof *copy);
    if (copy == NULL) return no_memory(r);
    *copy = *q;
    copy->u.dismax.children = (qn_query_list){to, n};
    *out = copy;
    return QN_OK;
}

static qn_status rewrite_constant(rewriter *r, const qn_query *q, const qn_query **out)
{
    const qn_query *child;
    QN_TRY(rewrite(r, q->u.child, &child));
    if (child->kind == QN_QUERY_CONSTANT) child = child->u.child;
    if (child->kind == QN_QUERY_NONE) return nothing(r, q, out);
    qn_query *copy = qn_arena_new(r->arena, sizeof *copy);
    if (copy == NULL) return no_memory(r);
    *copy = *q;
    copy->u.child = child;
    *out = copy;
    return QN_OK;
}

static qn_status rewrite_vector(rewriter *r, const qn_query *q, const qn_query **out)
{
    *out = q;
    if (q->u.vector.filter == NULL) return QN_OK;
    const qn_query *filter;
    QN_TRY(rewrite(r, q->u.vector.filter, &filter));
    if (filter->kind == QN_QUERY_NONE) return nothing(r, q, out);
    qn_query *copy = qn_arena_new(r->arena, sizeof *copy);
    if (copy == NULL) return no_memory(r);
    *copy = *q;
    copy->u.vector.filter = filter->kind == QN_QUERY_ALL ? NULL : filter;
    *out = copy;
    return QN_OK;
}

static qn_status rewrite(rewriter *r, const qn_query *q, const qn_query **out)
{
    switch (q->kind) {
    case QN_QUERY_BOOL:
        return rewrite_bool(r, q, out);
    case QN_QUERY_DISMAX:
        return rewrite_dismax(r, q, out);
    case QN_QUERY_CONSTANT:
        return rewrite_constant(r, q, out);
    case QN_QUERY_VECTOR:
        return rewrite_vector(r, q, out);
    default:
        *out = q;
        return QN_OK;
    }
}

qn_status qn_query_rewrite(qn_arena *arena, const qn_query *query, const qn_query **out,
                           qn_error *err)
{
    QN_TRY(qn_query_check_limits(query, err));
    rewriter r = {arena, err};
    return rewrite(&r, query, out);
}

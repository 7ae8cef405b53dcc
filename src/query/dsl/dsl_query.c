/* SPDX-License-Identifier: Apache-2.0 */
/* Query types by name, and those that hold other queries. */
#include "base/nearest.h"
#include "query/dsl/dsl_internal.h"

static const struct {
    const char *name;
    qn_dsl__builder *build; /* NULL: known to Elasticsearch, not to us */
} types[] = {
    {"bool", qn_dsl__bool},
    {"constant_score", qn_dsl__constant_score},
    {"dis_max", qn_dsl__dis_max},
    {"exists", qn_dsl__exists},
    {"geo_bounding_box", qn_dsl__geo_box},
    {"geo_distance", qn_dsl__geo_distance},
    {"ids", qn_dsl__ids},
    {"knn", qn_dsl__knn},
    {"match", qn_dsl__match},
    {"match_all", qn_dsl__match_all},
    {"match_none", qn_dsl__match_none},
    {"match_phrase", qn_dsl__match_phrase},
    {"multi_match", qn_dsl__multi_match},
    {"range", qn_dsl__range},
    {"term", qn_dsl__term},
    {"terms", qn_dsl__terms},
    {"boosting", NULL},
    {"combined_fields", NULL},
    {"distance_feature", NULL},
    {"function_score", NULL},
    {"fuzzy", NULL},
    {"has_child", NULL},
    {"has_parent", NULL},
    {"intervals", NULL},
    {"match_bool_prefix", NULL},
    {"match_phrase_prefix", NULL},
    {"more_like_this", NULL},
    {"nested", NULL},
    {"percolate", NULL},
    {"pinned", NULL},
    {"prefix", NULL},
    {"query_string", NULL},
    {"rank_feature", NULL},
    {"regexp", NULL},
    {"rule", NULL},
    {"script", NULL},
    {"script_score", NULL},
    {"semantic", NULL},
    {"simple_query_string", NULL},
    {"sparse_vector", NULL},
    {"span_near", NULL},
    {"span_term", NULL},
    {"terms_set", NULL},
    {"wildcard", NULL},
    {"wrapper", NULL},
};

static qn_status unknown_type(qn_dsl *d, const qn_json *member)
{
    qn_nearest near = qn_nearest_begin(member->key);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].build != NULL) qn_nearest_offer(&near, qn_slice_of(types[i].name));
    }
    bool found = near.best.n > 0;
    return qn_fail_at(
        d->make.err, QN_ESYNTAX, qn_dsl__at(d, member), "unknown query [%.*s]%s%.*s%s",
        (int)(member->key.n > 100 ? 100 : member->key.n), member->key.p,
        found ? " did you mean [" : "", QN_SLICE_ARG(near.best), found ? "]?" : "");
}

qn_status qn_dsl__query(qn_dsl *d, const qn_json *v, const qn_query **out)
{
    uint64_t at = qn_dsl__at(d, v);
    if (v->kind != QN_JSON_OBJECT)
        return qn_fail_at(d->make.err, QN_ESYNTAX, at,
                          "[_na] query malformed, must start with start_object");
    const qn_json *member = v->first;
    if (member == NULL)
        return qn_fail_at(d->make.err, QN_ESYNTAX, at,
                          "query malformed, empty clause found");
    if (d->depth == QN_QUERY_DEPTH_MAX)
        return qn_fail_at(d->make.err, QN_ELIMIT, at,
                          "the query is nested more than %d deep", QN_QUERY_DEPTH_MAX);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (!qn_dsl__key_is(member, types[i].name)) continue;
        if (types[i].build == NULL)
            return qn_fail_at(d->make.err, QN_EUNSUPPORTED, qn_dsl__at(d, member),
                              "[%s] queries are not supported", types[i].name);
        if (member->next != NULL)
            return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, member->next),
                              "[%s] malformed query, expected [END_OBJECT] but found "
                              "[FIELD_NAME]",
                              types[i].name);
        d->depth++;
        qn_status st = types[i].build(d, types[i].name, member, out);
        d->depth--;
        return st;
    }
    return unknown_type(d, member);
}

/* ---- compound queries ------------------------------------------------------------ */

/* A query, or an array of them. */
static qn_status query_list(qn_dsl *d, const qn_json *v, qn_query_list *out)
{
    bool array = v->kind == QN_JSON_ARRAY;
    size_t n = array ? v->count : 1;
    if (n > QN_QUERY_CLAUSES_MAX)
        return qn_fail_at(d->make.err, QN_ELIMIT, qn_dsl__at(d, v),
                          "too many clauses, maxClauseCount is set to %d",
                          QN_QUERY_CLAUSES_MAX);
    /* The same key twice: both count, as in Elasticsearch. */
    const qn_query **p = qn_arena_array(d->make.arena, out->n + n + 1, sizeof *p);
    if (p == NULL) return qn_fail(d->make.err, QN_ENOMEM, "query tree");
    for (size_t i = 0; i < out->n; i++) p[i] = out->p[i];
    n = out->n;
    if (!array) QN_TRY(qn_dsl__query(d, v, &p[n++]));
    for (const qn_json *q = array ? v->first : NULL; q != NULL; q = q->next) {
        QN_TRY(qn_dsl__query(d, q, &p[n]));
        n++;
    }
    *out = (qn_query_list){p, n};
    return QN_OK;
}

static qn_status bool_member(qn_dsl *d, const qn_json *m, qn_query_bool *b,
                             qn_slice *should_min)
{
    if (qn_dsl__key_is(m, "must")) return query_list(d, m, &b->must);
    if (qn_dsl__key_is(m, "should")) return query_list(d, m, &b->should);
    if (qn_dsl__key_is(m, "filter")) return query_list(d, m, &b->filter);
    if (qn_dsl__key_is(m, "must_not") || qn_dsl__key_is(m, "mustNot"))
        return query_list(d, m, &b->must_not);
    if (qn_dsl__key_is(m, "minimum_should_match"))
        return qn_dsl__text(d, m, should_min);
    bool ignored;
    if (qn_dsl__key_is(m, "adjust_pure_negative")) return qn_dsl__flag(d, m, &ignored);
    return qn_dsl__unknown_key(d, "bool", m);
}

qn_status qn_dsl__bool(qn_dsl *d, const char *type, const qn_json *body,
                       const qn_query **out)
{
    QN_TRY(qn_dsl__object(d, type, body));
    qn_dsl_common common = QN_DSL_COMMON;
    qn_slice should_min = {"", 0};
    qn_query *q;
    QN_TRY(qn_leaf_new(&d->make, QN_QUERY_BOOL, NULL, qn_dsl__at(d, body), &q));
    qn_query_bool *b = &q->u.boolean;
    for (const qn_json *m = body->first; m != NULL; m = m->next) {
        bool taken;
        QN_TRY(qn_dsl__common(d, type, m, &common, &taken));
        if (!taken) QN_TRY(bool_member(d, m, b, &should_min));
    }
    b->should_min = b->should.n > 0 && b->must.n + b->filter.n == 0;
    if (should_min.n > 0 && !qn_should_min_of(should_min, b->should.n, &b->should_min))
        return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, body),
                          "wrong minimum_should_match [%.*s]",
                          QN_SLICE_ARG(should_min));
    return qn_dsl__finish(d, body, q, &common, out);
}

qn_status qn_dsl__dis_max(qn_dsl *d, const char *type, const qn_json *body,
                          const qn_query **out)
{
    QN_TRY(qn_dsl__object(d, type, body));
    qn_dsl_common common = QN_DSL_COMMON;
    qn_query *q;
    QN_TRY(qn_leaf_new(&d->make, QN_QUERY_DISMAX, NULL, qn_dsl__at(d, body), &q));
    bool has_queries = false;
    for (const qn_json *m = body->first; m != NULL; m = m->next) {
        bool taken;
        QN_TRY(qn_dsl__common(d, type, m, &common, &taken));
        if (taken) continue;
        if (qn_dsl__key_is(m, "queries")) {
            has_queries = true;
            QN_TRY(query_list(d, m, &q->u.dismax.children));
        } else if (qn_dsl__key_is(m, "tie_breaker")) {
            QN_TRY(qn_dsl__float(d, m, &q->u.dismax.tie_breaker));
        } else {
            return qn_dsl__unknown_key(d, type, m);
        }
    }
    if (!has_queries || q->u.dismax.children.n == 0)
        return qn_fail_at(
            d->make.err, QN_ESYNTAX, qn_dsl__at(d, body),
            "[dis_max] requires 'queries' field with at least one clause");
    return qn_dsl__finish(d, body, q, &common, out);
}

qn_status qn_dsl__constant_score(qn_dsl *d, const char *type, const qn_json *body,
                                 const qn_query **out)
{
    QN_TRY(qn_dsl__object(d, type, body));
    qn_dsl_common common = QN_DSL_COMMON;
    qn_query *q;
    QN_TRY(qn_leaf_new(&d->make, QN_QUERY_CONSTANT, NULL, qn_dsl__at(d, body), &q));
    for (const qn_json *m = body->first; m != NULL; m = m->next) {
        bool taken;
        QN_TRY(qn_dsl__common(d, type, m, &common, &taken));
        if (taken) continue;
        if (!qn_dsl__key_is(m, "filter")) return qn_dsl__unknown_key(d, type, m);
        QN_TRY(qn_dsl__query(d, m, &q->u.child));
    }
    if (q->u.child == NULL)
        return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, body),
                          "[constant_score] requires a 'filter' element");
    return qn_dsl__finish(d, body, q, &common, out);
}

static qn_status only_common(qn_dsl *d, const char *type, const qn_json *body,
                             qn_query_kind kind, const qn_query **out)
{
    QN_TRY(qn_dsl__object(d, type, body));
    qn_dsl_common common = QN_DSL_COMMON;
    for (const qn_json *m = body->first; m != NULL; m = m->next) {
        bool taken;
        QN_TRY(qn_dsl__common(d, type, m, &common, &taken));
        if (!taken) return qn_dsl__unknown_key(d, type, m);
    }
    qn_query *q;
    QN_TRY(qn_leaf_new(&d->make, kind, NULL, qn_dsl__at(d, body), &q));
    return qn_dsl__finish(d, body, q, &common, out);
}

qn_status qn_dsl__match_all(qn_dsl *d, const char *type, const qn_json *body,
                            const qn_query **out)
{
    return only_common(d, type, body, QN_QUERY_ALL, out);
}

qn_status qn_dsl__match_none(qn_dsl *d, const char *type, const qn_json *body,
                             const qn_query **out)
{
    return only_common(d, type, body, QN_QUERY_NONE, out);
}

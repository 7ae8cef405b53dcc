/* SPDX-License-Identifier: Apache-2.0 */
/* The body of a search. */
#include "query/dsl/dsl_internal.h"

static qn_status new_parser(qn_arena *arena, const qn_query_env *env, qn_slice text,
                            qn_error *err, qn_dsl *d)
{
    if (text.n > QN_QUERY_BODY_MAX)
        return qn_fail(err, QN_ELIMIT,
                       "a search body of %zu bytes, at most %d are "
                       "allowed",
                       text.n, QN_QUERY_BODY_MAX);
    *d = (qn_dsl){
        .make = {arena, env, err}, .text = text, .size = QN_REQUEST_SIZE_DEFAULT};
    return QN_OK;
}

/* ---- _source ----------------------------------------------------------------------- */

static qn_status patterns(qn_dsl *d, const qn_json *v, const qn_slice **out,
                          size_t *count)
{
    bool array = v->kind == QN_JSON_ARRAY;
    if (!array && v->kind != QN_JSON_STRING)
        return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, v),
                          "[_source] takes true, false, names of fields or an object "
                          "with [includes] and [excludes], not %s",
                          qn_json_kind_name(v->kind));
    qn_slice *p = qn_arena_array(d->make.arena, array ? v->count + 1 : 1, sizeof *p);
    if (p == NULL) return qn_fail(d->make.err, QN_ENOMEM, "_source");
    size_t n = 0;
    if (!array) QN_TRY(qn_dsl__text(d, v, &p[n++]));
    for (const qn_json *i = array ? v->first : NULL; i != NULL; i = i->next)
        QN_TRY(qn_dsl__text(d, i, &p[n++]));
    *out = p;
    *count = n;
    return QN_OK;
}

static qn_status parse_source(qn_dsl *d, const qn_json *v, qn_source_filter *s)
{
    if (v->kind == QN_JSON_BOOL) {
        s->none = !v->boolean;
        return QN_OK;
    }
    if (v->kind != QN_JSON_OBJECT)
        return patterns(d, v, &s->includes, &s->include_count);
    for (const qn_json *m = v->first; m != NULL; m = m->next) {
        bool ignored;
        if (qn_dsl__key_is(m, "includes") || qn_dsl__key_is(m, "include"))
            QN_TRY(patterns(d, m, &s->includes, &s->include_count));
        else if (qn_dsl__key_is(m, "excludes") || qn_dsl__key_is(m, "exclude"))
            QN_TRY(patterns(d, m, &s->excludes, &s->exclude_count));
        else if (qn_dsl__key_is(m, "exclude_vectors"))
            QN_TRY(qn_dsl__flag(d, m, &ignored));
        else
            return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, m),
                              "Unknown key for a START_OBJECT in [%.*s].",
                              QN_SLICE_ARG(m->key));
    }
    return QN_OK;
}

/* ---- the body ---------------------------------------------------------------------- */

static qn_status parse_size(qn_dsl *d, const qn_json *v, uint32_t *out)
{
    int64_t n;
    QN_TRY(qn_dsl__i64(d, v, &n));
    if (n < 0)
        return qn_fail_at(d->make.err, QN_EINVAL, qn_dsl__at(d, v),
                          "[%.*s] parameter cannot be negative but was [%lld]",
                          QN_SLICE_ARG(v->key), (long long)n);
    *out = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
    return QN_OK;
}

static qn_status parse_track_total(qn_dsl *d, const qn_json *v, int64_t *out)
{
    if (v->kind == QN_JSON_BOOL) {
        *out = v->boolean ? QN_TOTAL_EXACT : 0;
        return QN_OK;
    }
    QN_TRY(qn_dsl__i64(d, v, out));
    if (*out < -1)
        return qn_fail_at(d->make.err, QN_EINVAL, qn_dsl__at(d, v),
                          "[track_total_hits] parameter must be positive or equals to "
                          "-1, got %lld",
                          (long long)*out);
    if (*out == -1) *out = QN_TOTAL_EXACT;
    return QN_OK;
}

/* "500ms", "10s", "2m", "1h"; -1: none. */
static qn_status parse_timeout(qn_dsl *d, const qn_json *v, uint32_t *out)
{
    int64_t ms = 0;
    qn_slice s;
    QN_TRY(qn_dsl__text(d, v, &s));
    if (qn_slice_eq_str(s, "-1") || qn_slice_eq_str(s, "0")) return QN_OK;
    if (qn_slice_to_ms(s, &ms)) {
        *out = ms > UINT32_MAX ? UINT32_MAX : ms < 1 ? 1 : (uint32_t)ms;
        return QN_OK;
    }
    return qn_fail_at(d->make.err, QN_EINVAL, qn_dsl__at(d, v),
                      "failed to parse setting [timeout] with value [%.*s] as a time "
                      "value: unit is missing or unrecognized",
                      QN_SLICE_ARG(s));
}

static bool is_other(const qn_json *m, const char *const *others)
{
    for (; others != NULL && *others != NULL; others++)
        if (qn_dsl__key_is(m, *others)) return true;
    return false;
}

static qn_status unknown_member(qn_dsl *d, const qn_json *m)
{
    static const char *const tokens[] = {
        [QN_JSON_NULL] = "VALUE_NULL",     [QN_JSON_BOOL] = "VALUE_BOOLEAN",
        [QN_JSON_INT] = "VALUE_NUMBER",    [QN_JSON_DOUBLE] = "VALUE_NUMBER",
        [QN_JSON_STRING] = "VALUE_STRING", [QN_JSON_ARRAY] = "START_ARRAY",
        [QN_JSON_OBJECT] = "START_OBJECT",
    };
    return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, m),
                      "Unknown key for a %s in [%.*s].", tokens[m->kind],
                      (int)(m->key.n > 100 ? 100 : m->key.n), m->key.p);
}

static qn_status body_member(qn_dsl *d, const qn_json *m, qn_request *r,
                             const char *const *others)
{
    if (qn_dsl__key_is(m, "query") || qn_dsl__key_is(m, "knn") ||
        qn_dsl__key_is(m, "search_after") || qn_dsl__key_is(m, "retriever"))
        return QN_OK; /* later */
    if (qn_dsl__key_is(m, "from")) return parse_size(d, m, &r->from);
    if (qn_dsl__key_is(m, "size")) return parse_size(d, m, &r->size);
    if (qn_dsl__key_is(m, "sort")) return qn_dsl__sort(d, m, &r->sort, &r->sort_count);
    if (qn_dsl__key_is(m, "_source")) return parse_source(d, m, &r->source);
    if (qn_dsl__key_is(m, "track_total_hits"))
        return parse_track_total(d, m, &r->track_total);
    if (qn_dsl__key_is(m, "explain")) return qn_dsl__flag(d, m, &r->explain);
    if (qn_dsl__key_is(m, "timeout")) return parse_timeout(d, m, &r->timeout_ms);
    if (qn_dsl__key_is(m, "min_score")) {
        r->has_min_score = true;
        return qn_dsl__float(d, m, &r->min_score);
    }
    return is_other(m, others) ? QN_OK : unknown_member(d, m);
}

/* query and every knn section as one should group: scores add. */
static qn_status body_query(qn_dsl *d, const qn_json *body, const qn_query **out)
{
    const qn_json *query = qn_json_get(body, "query"), *knn = qn_json_get(body, "knn");
    bool array = knn != NULL && knn->kind == QN_JSON_ARRAY;
    size_t sections = knn == NULL ? 0 : array ? knn->count : 1, n = 0;
    if (sections > QN_QUERY_VECTORS_MAX)
        return qn_fail_at(d->make.err, QN_ELIMIT, qn_dsl__at(d, knn),
                          "at most %d vector clauses are allowed",
                          QN_QUERY_VECTORS_MAX);
    const qn_query **p = qn_arena_array(d->make.arena, sections + 1, sizeof *p);
    if (p == NULL) return qn_fail(d->make.err, QN_ENOMEM, "search body");
    if (query != NULL) QN_TRY(qn_dsl__query(d, query, &p[n++]));
    for (const qn_json *v = array ? knn->first : knn; v != NULL;
         v = array ? v->next : NULL) {
        QN_TRY(qn_dsl_parse_knn(d->make.arena, d->make.env, d->text, v, d->size, NULL,
                                &p[n], d->make.err));
        n++;
    }
    qn_query *q;
    qn_query_kind kind = n == 0 ? QN_QUERY_ALL : QN_QUERY_BOOL;
    QN_TRY(qn_leaf_new(&d->make, kind, NULL, 0, &q));
    if (n > 0) {
        q->u.boolean.should = (qn_query_list){p, n};
        q->u.boolean.should_min = 1;
    }
    return qn_query_rewrite(d->make.arena, n == 1 ? p[0] : q, out, d->make.err);
}

static qn_status check_window(qn_dsl *d, const qn_request *r)
{
    uint64_t window = (uint64_t)r->from + r->size;
    if (window <= QN_REQUEST_DSL_WINDOW_MAX) return QN_OK;
    return qn_fail(d->make.err, QN_EWINDOW,
                   "Result window is too large, from + size must be less than or equal "
                   "to: [%d] but was [%llu]. See the scroll api for a more efficient "
                   "way to request large data sets. This limit can be set by changing "
                   "the [index.max_result_window] index level setting.",
                   QN_REQUEST_DSL_WINDOW_MAX, (unsigned long long)window);
}

static void set_defaults(qn_request *r)
{
    r->dialect = QN_DIALECT_DSL;
    r->score_scale = 2.2f; /* 1 + k1, in float */
    r->vector_in_score = true;
    r->size = QN_REQUEST_SIZE_DEFAULT;
    r->track_total = QN_REQUEST_TOTAL_DEFAULT;
    r->query_text = r->filter = r->first_formula = r->formula = QN_SLICE_LIT("");
    r->first_rank_name = r->second_rank_name = QN_SLICE_LIT("");
    r->format = QN_SLICE_LIT("json");
    r->trace = r->rank_trace = QN_SLICE_LIT("");
}

qn_status qn_dsl_parse(qn_arena *arena, const qn_query_env *env, qn_slice text,
                       QN_NULLABLE const qn_json *body,
                       QN_NULLABLE const char *const *others, const qn_request **out,
                       qn_error *err)
{
    qn_dsl d;
    *out = NULL;
    QN_TRY(new_parser(arena, env, text, err, &d));
    qn_request *r = qn_arena_new(arena, sizeof *r);
    if (r == NULL) return qn_fail(err, QN_ENOMEM, "search body");
    set_defaults(r);
    if (body != NULL && body->kind != QN_JSON_OBJECT)
        return qn_fail_at(err, QN_ESYNTAX, qn_dsl__at(&d, body),
                          "Expected [START_OBJECT] but found %s",
                          qn_json_kind_name(body->kind));
    for (const qn_json *m = qn_json_items(body); m != NULL; m = m->next)
        QN_TRY(body_member(&d, m, r, others));
    QN_TRY(check_window(&d, r));
    QN_TRY(qn_dsl__after(&d, qn_json_get(body, "search_after"), r));
    d.size = r->size;
    QN_TRY(qn_dsl__retriever(&d, body, r));
    if (r->retriever == NULL) QN_TRY(body_query(&d, body, &r->query));
    *out = r;
    return QN_OK;
}

qn_status qn_dsl_parse_query(qn_arena *arena, const qn_query_env *env, qn_slice text,
                             const qn_json *node, const qn_query **out, qn_error *err)
{
    qn_dsl d;
    QN_TRY(new_parser(arena, env, text, err, &d));
    const qn_query *tree;
    QN_TRY(qn_dsl__query(&d, node, &tree));
    return qn_query_rewrite(arena, tree, out, err);
}

qn_status qn_dsl_parse_sort(qn_arena *arena, const qn_query_env *env, qn_slice text,
                            const qn_json *node, const qn_sort_key **out, size_t *count,
                            qn_error *err)
{
    qn_dsl d;
    QN_TRY(new_parser(arena, env, text, err, &d));
    return qn_dsl__sort(&d, node, out, count);
}

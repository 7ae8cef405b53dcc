/* SPDX-License-Identifier: Apache-2.0 */
/* The retriever section: text_similarity_reranker over another one, down to standard or
 * knn. A filter of an outer retriever holds for those inside it. */
#include "base/nearest.h"
#include "query/dsl/dsl_internal.h"

static const char reranker_name[] = "text_similarity_reranker";

/* Retrievers around one another, and the filters that they gave so far. */
typedef struct nesting {
    const qn_query *filters[2 * QN_RETRIEVER_DEPTH_MAX];
    size_t filter_count, depth;
} nesting;

static qn_status read_retriever(qn_dsl *d, const qn_json *v, nesting *n,
                                const qn_retriever **out);

/* ---- errors ----------------------------------------------------------------------------- */

static qn_status bad(qn_dsl *d, const qn_json *v, const char *text)
{
    return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, v), "%s", text);
}

static qn_status unknown_field(qn_dsl *d, const char *type, const qn_json *m,
                               const char *const *known)
{
    qn_nearest near = qn_nearest_begin(m->key);
    for (; *known != NULL; known++) qn_nearest_offer(&near, qn_slice_of(*known));
    bool has = near.best.p != NULL;
    qn_slice best = has ? near.best : QN_SLICE_LIT("");
    return qn_fail_at(
        d->make.err, QN_ESYNTAX, qn_dsl__at(d, m), "[%s] unknown field [%.*s]%s%.*s%s",
        type, m->key.n > 60 ? 60 : (int)m->key.n, m->key.p,
        has ? " did you mean [" : "", QN_SLICE_ARG(best), has ? "]?" : "");
}

static qn_status required(qn_dsl *d, const qn_json *v, const char *field)
{
    return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, v), "[%s] Required [%s]",
                      reranker_name, field);
}

/* ---- what all of them have ---------------------------------------------------------------- */

static qn_status add_filters(qn_dsl *d, const qn_json *v, nesting *n)
{
    if (v == NULL) return QN_OK;
    bool array = v->kind == QN_JSON_ARRAY;
    for (const qn_json *it = array ? v->first : v; it != NULL;
         it = array ? it->next : NULL) {
        if (n->filter_count == sizeof n->filters / sizeof *n->filters)
            return qn_fail_at(d->make.err, QN_ELIMIT, qn_dsl__at(d, it),
                              "too many filters of retrievers");
        QN_TRY(qn_dsl__query(d, it, &n->filters[n->filter_count++]));
    }
    return QN_OK;
}

static qn_status read_min_score(qn_dsl *d, const qn_json *m, qn_retriever *r)
{
    r->has_min_score = true;
    return qn_dsl__float(d, m, &r->min_score);
}

/* A list of queries that all have to match, as one that scores nothing; NULL for none. */
static qn_status join_filters(qn_dsl *d, const nesting *n, const qn_query **out)
{
    qn_query *q;
    *out = NULL;
    if (n->filter_count == 0) return QN_OK;
    const qn_query **p = qn_arena_array(d->make.arena, n->filter_count, sizeof *p);
    if (p == NULL) return qn_fail(d->make.err, QN_ENOMEM, "retriever");
    for (size_t i = 0; i < n->filter_count; i++) p[i] = n->filters[i];
    QN_TRY(qn_leaf_new(&d->make, QN_QUERY_BOOL, NULL, 0, &q));
    q->u.boolean.filter = (qn_query_list){p, n->filter_count};
    *out = q;
    return QN_OK;
}

/* ---- standard and knn ------------------------------------------------------------------- */

static qn_status standard(qn_dsl *d, const qn_json *v, nesting *n, qn_retriever *r)
{
    static const char *const known[] = {"query", "filter", "min_score", "_name", NULL};
    static const char *const refused[] = {"sort", "search_after", "terminate_after",
                                          "collapse", NULL};
    const qn_json *query = NULL;
    for (const qn_json *m = v->first; m != NULL; m = m->next) {
        for (const char *const *k = refused; *k != NULL; k++)
            if (qn_dsl__key_is(m, *k))
                return qn_fail_at(d->make.err, QN_EUNSUPPORTED, qn_dsl__at(d, m),
                                  "[standard] retriever: [%s] is not supported here",
                                  *k);
        if (qn_dsl__key_is(m, "query"))
            query = m;
        else if (qn_dsl__key_is(m, "filter"))
            QN_TRY(add_filters(d, m, n));
        else if (qn_dsl__key_is(m, "min_score"))
            QN_TRY(read_min_score(d, m, r));
        else if (!qn_dsl__key_is(m, "_name"))
            return unknown_field(d, "standard", m, known);
    }
    const qn_query *filter = NULL,
                   **must = qn_arena_array(d->make.arena, 1, sizeof *must);
    if (must == NULL) return qn_fail(d->make.err, QN_ENOMEM, "retriever");
    QN_TRY(join_filters(d, n, &filter));
    if (query != NULL) QN_TRY(qn_dsl__query(d, query, &must[0]));
    if (filter == NULL && query != NULL) {
        r->query = must[0];
        return QN_OK;
    }
    qn_query *q;
    qn_query_kind kind = filter == NULL ? QN_QUERY_ALL : QN_QUERY_BOOL;
    QN_TRY(qn_leaf_new(&d->make, kind, NULL, 0, &q));
    if (filter != NULL) q->u.boolean.filter = filter->u.boolean.filter;
    if (query != NULL) q->u.boolean.must = (qn_query_list){must, 1};
    r->query = q;
    return QN_OK;
}

static qn_status knn(qn_dsl *d, const qn_json *v, nesting *n, qn_retriever *r)
{
    const qn_query *filter = NULL;
    static const char *const needed[] = {"field", "k", "num_candidates", NULL};
    for (const char *const *k = needed; *k != NULL; k++)
        if (qn_json_get(v, *k) == NULL)
            return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, v),
                              "[knn] Required [%s]", *k);
    QN_TRY(join_filters(d, n, &filter));
    return qn_dsl_parse_knn(d->make.arena, d->make.env, d->text, v, d->size, filter,
                            &r->query, d->make.err);
}

/* ---- text_similarity_reranker ------------------------------------------------------------- */

static qn_status read_window(qn_dsl *d, const qn_json *m, uint32_t *out)
{
    int64_t n;
    QN_TRY(qn_dsl__i64(d, m, &n));
    if (n < 0)
        return qn_fail_at(
            d->make.err, QN_EINVAL, qn_dsl__at(d, m),
            "[rank_window_size] parameter cannot be negative, found [%lld]",
            (long long)n);
    if (n > QN_REQUEST_DSL_WINDOW_MAX)
        return qn_fail_at(d->make.err, QN_EINVAL, qn_dsl__at(d, m),
                          "[rank_window_size] must be at most [%d], was [%lld]",
                          QN_REQUEST_DSL_WINDOW_MAX, (long long)n);
    *out = (uint32_t)n;
    return QN_OK;
}

static qn_status read_chunks(qn_dsl *d, const qn_json *v, qn_retriever *r)
{
    static const char *const known[] = {"size", "chunking_settings", NULL};
    int64_t size = 1;
    QN_TRY(qn_dsl__object(d, "chunk_rescorer", v));
    const qn_json *settings = NULL;
    for (const qn_json *m = v->first; m != NULL; m = m->next) {
        if (qn_dsl__key_is(m, "size"))
            QN_TRY(qn_dsl__i64(d, m, &size));
        else if (qn_dsl__key_is(m, "chunking_settings"))
            settings = m;
        else
            return unknown_field(d, "chunk_rescorer", m, known);
    }
    if (size < 1 || size > QN_REQUEST_DSL_WINDOW_MAX)
        return qn_fail_at(d->make.err, QN_EINVAL, qn_dsl__at(d, v),
                          size < 1 ? "size must be greater than 0, was: %lld"
                                   : "size must be at most 10000, was: %lld",
                          (long long)size);
    r->best_chunks = (uint32_t)size;
    r->chunking = (qn_chunk_settings){
        .strategy = QN_CHUNK_SENTENCE, .size = QN_CHUNK_SIZE_DEFAULT, .overlap = 1};
    return settings == NULL ? QN_OK
                            : qn_chunk_settings_read(settings, d->text, d->make.arena,
                                                     &r->chunking, d->make.err);
}

static qn_status reranker_member(qn_dsl *d, const qn_json *m, nesting *n,
                                 qn_retriever *r, const qn_json **child)
{
    static const char *const known[] = {"retriever",
                                        "field",
                                        "inference_id",
                                        "inference_text",
                                        "rank_window_size",
                                        "min_score",
                                        "allow_rerank_failures",
                                        "chunk_rescorer",
                                        "filter",
                                        "_name",
                                        NULL};
    if (qn_dsl__key_is(m, "retriever")) {
        *child = m;
        return QN_OK;
    }
    if (qn_dsl__key_is(m, "field")) return qn_dsl__text(d, m, &r->field);
    if (qn_dsl__key_is(m, "inference_id")) return qn_dsl__text(d, m, &r->inference_id);
    if (qn_dsl__key_is(m, "inference_text"))
        return qn_dsl__text(d, m, &r->inference_text);
    if (qn_dsl__key_is(m, "rank_window_size")) return read_window(d, m, &r->window);
    if (qn_dsl__key_is(m, "min_score")) return read_min_score(d, m, r);
    if (qn_dsl__key_is(m, "allow_rerank_failures"))
        return qn_dsl__flag(d, m, &r->allow_failures);
    if (qn_dsl__key_is(m, "chunk_rescorer")) return read_chunks(d, m, r);
    if (qn_dsl__key_is(m, "filter")) return add_filters(d, m, n);
    return qn_dsl__key_is(m, "_name") ? QN_OK
                                      : unknown_field(d, reranker_name, m, known);
}

static qn_status reranker(qn_dsl *d, const qn_json *v, nesting *n, qn_retriever *r)
{
    const qn_json *child = NULL;
    r->window = QN_RETRIEVER_WINDOW_DEFAULT;
    for (const qn_json *m = v->first; m != NULL; m = m->next)
        QN_TRY(reranker_member(d, m, n, r, &child));
    if (child == NULL) return required(d, v, "retriever");
    if (r->inference_text.n == 0) return required(d, v, "inference_text");
    if (r->field.n == 0) return required(d, v, "field");
    QN_TRY(read_retriever(d, child, n, &r->child));
    if (r->child->kind == QN_RETRIEVER_RERANKER && r->child->window < r->window)
        return qn_fail_at(d->make.err, QN_EINVAL, qn_dsl__at(d, v),
                          "[%s] requires [rank_window_size: %u] to be smaller than or "
                          "equal to its sub retriever's %s [rank_window_size: %u]",
                          reranker_name, r->window, reranker_name, r->child->window);
    return QN_OK;
}

/* ---- any of them -------------------------------------------------------------------------- */

typedef qn_status builder(qn_dsl *d, const qn_json *v, nesting *n, qn_retriever *r);

static const struct {
    const char *name;
    qn_retriever_kind kind;
    builder *build; /* NULL: known, and not supported */
} kinds[] = {
    {"standard", QN_RETRIEVER_STANDARD, standard},
    {"knn", QN_RETRIEVER_KNN, knn},
    {reranker_name, QN_RETRIEVER_RERANKER, reranker},
    {"rrf", 0, NULL},
    {"linear", 0, NULL},
    {"rescorer", 0, NULL},
    {"rule", 0, NULL},
    {"pinned", 0, NULL},
    {"diversify", 0, NULL},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static qn_status unknown_kind(qn_dsl *d, const qn_json *m)
{
    qn_nearest near = qn_nearest_begin(m->key);
    for (size_t i = 0; i < KINDS; i++)
        qn_nearest_offer(&near, qn_slice_of(kinds[i].name));
    bool has = near.best.p != NULL;
    qn_slice best = has ? near.best : QN_SLICE_LIT("");
    return qn_fail_at(
        d->make.err, QN_ESYNTAX, qn_dsl__at(d, m), "unknown retriever [%.*s]%s%.*s%s",
        m->key.n > 60 ? 60 : (int)m->key.n, m->key.p, has ? " did you mean [" : "",
        QN_SLICE_ARG(best), has ? "]?" : "");
}

static qn_status build(qn_dsl *d, const qn_json *m, nesting *n, qn_retriever *r)
{
    size_t i = 0;
    while (i < KINDS && !qn_dsl__key_is(m, kinds[i].name)) i++;
    if (i == KINDS) return unknown_kind(d, m);
    if (kinds[i].build == NULL)
        return qn_fail_at(
            d->make.err, QN_EUNSUPPORTED, qn_dsl__at(d, m),
            "the retriever [%s] is not supported: standard, knn and %s are",
            kinds[i].name, reranker_name);
    if (m->kind != QN_JSON_OBJECT)
        return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, m),
                          "[%s] retriever malformed, no [START_OBJECT] after retriever "
                          "name",
                          kinds[i].name);
    r->kind = kinds[i].kind;
    return kinds[i].build(d, m, n, r);
}

static qn_status read_retriever(qn_dsl *d, const qn_json *v, nesting *n,
                                const qn_retriever **out)
{
    if (n->depth++ == QN_RETRIEVER_DEPTH_MAX)
        return qn_fail_at(d->make.err, QN_ELIMIT, qn_dsl__at(d, v),
                          "retrievers may be nested %d deep", QN_RETRIEVER_DEPTH_MAX);
    if (v->kind != QN_JSON_OBJECT)
        return bad(d, v, "retriever malformed, must start with [START_OBJECT]");
    if (v->first == NULL) return bad(d, v, "retriever malformed, empty clause found");
    qn_retriever *r = qn_arena_new(d->make.arena, sizeof *r);
    if (r == NULL) return qn_fail(d->make.err, QN_ENOMEM, "retriever");
    QN_TRY(build(d, v->first, n, r));
    if (v->count > 1)
        return qn_fail_at(d->make.err, QN_ESYNTAX, qn_dsl__at(d, v->first->next),
                          "[%.*s] malformed retriever, expected [END_OBJECT] but found "
                          "[FIELD_NAME]",
                          QN_SLICE_ARG(v->first->key));
    *out = r;
    return QN_OK;
}

/* Members that say by themselves which documents are best. */
static qn_status check_body(qn_dsl *d, const qn_json *body)
{
    static const char *const others[] = {"query",   "knn",       "search_after",
                                         "sort",    "min_score", "terminate_after",
                                         "rescore", "rank",      NULL};
    for (const char *const *k = others; *k != NULL; k++) {
        const qn_json *m = qn_json_get(body, *k);
        if (m != NULL)
            return qn_fail_at(
                d->make.err, QN_EINVAL, qn_dsl__at(d, m),
                "Validation Failed: 1: cannot specify [retriever] and [%s];", *k);
    }
    return QN_OK;
}

qn_status qn_dsl__retriever(qn_dsl *d, const qn_json *body, qn_request *r)
{
    nesting n = {.depth = 0};
    const qn_json *v = qn_json_get(body, "retriever");
    if (v == NULL) return QN_OK;
    QN_TRY(check_body(d, body));
    QN_TRY(read_retriever(d, v, &n, &r->retriever));
    const qn_retriever *leaf = r->retriever;
    if (leaf->kind == QN_RETRIEVER_RERANKER && leaf->window < r->size)
        return qn_fail_at(
            d->make.err, QN_EINVAL, qn_dsl__at(d, v),
            "Validation Failed: 1: [%s] requires [rank_window_size: %u] be "
            "greater than or equal to [size: %u];",
            reranker_name, leaf->window, r->size);
    while (leaf->child != NULL) leaf = leaf->child;
    if (leaf->has_min_score) {
        r->has_min_score = true;
        r->min_score = leaf->min_score;
    }
    return qn_query_rewrite(d->make.arena, leaf->query, &r->query, d->make.err);
}

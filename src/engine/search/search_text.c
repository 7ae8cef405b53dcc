/* SPDX-License-Identifier: Apache-2.0 */
/* search_text.c -- the words of a query, for a model to read.
 *
 * A DSL body has them in its match-like clauses, an HA3 query between quotes. Each text
 * is taken once, in the order it appears; texts aimed at vectors are numbers and left
 * out. The kvpair `raw_query`, where a client sends what the user typed, goes first. */
#include "engine/search/search.h"

#include "engine/search/search_analysis.h"

/* Blanks between texts; a text that is there already is not repeated. */
static void add_text(qn_buf *out, qn_slice text)
{
    text = qn_slice_trim(text);
    if (text.n == 0) return;
    for (size_t at = 0; at + text.n <= out->n; at++)
        if (memcmp(out->p + at, text.p, text.n) == 0) return;
    if (out->n != 0) qn_buf_add_char(out, ' ');
    qn_buf_add_slice(out, text);
}

static bool is_match(qn_slice key)
{
    static const char *const keys[] = {
        "match",       "match_phrase", "match_phrase_prefix", "match_bool_prefix",
        "multi_match", "query_string", "simple_query_string", "combined_fields"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (qn_slice_eq_str(key, keys[i])) return true;
    return false;
}

/* {"query": "words"}, {"field": "words"} or {"field": {"query": "words"}} */
static void add_match(qn_buf *out, const qn_json *clause)
{
    const qn_json *query = qn_json_get(clause, "query");
    if (query != NULL && query->kind == QN_JSON_STRING) {
        add_text(out, query->string);
        return;
    }
    for (const qn_json *it = qn_json_items(clause); it != NULL; it = it->next) {
        query = it->kind == QN_JSON_OBJECT ? qn_json_get(it, "query") : it;
        if (query != NULL && query->kind == QN_JSON_STRING)
            add_text(out, query->string);
    }
}

/* Depth is bounded by the JSON parser. Filters and exclusions say nothing of what is
 * looked for. */
static void walk_dsl(qn_buf *out, const qn_json *v)
{
    for (const qn_json *it = qn_json_items(v); it != NULL; it = it->next) {
        if (v->kind == QN_JSON_OBJECT && (qn_slice_eq_str(it->key, "filter") ||
                                          qn_slice_eq_str(it->key, "must_not")))
            continue;
        if (v->kind == QN_JSON_OBJECT && is_match(it->key)) {
            add_match(out, it);
        } else if (qn_slice_eq_str(it->key, "model_text") &&
                   it->kind == QN_JSON_STRING) {
            add_text(out, it->string);
        } else {
            walk_dsl(out, it);
        }
    }
}

/* The name that ends before the colon at `colon`. */
static qn_slice name_before(qn_slice text, size_t colon)
{
    size_t begin = colon;
    while (begin > 0) {
        char c = text.p[begin - 1];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    (c >= '0' && c <= '9') || c == '_' || (unsigned char)c >= 0x80;
        if (!word) break;
        begin--;
    }
    return (qn_slice){text.p + begin, colon - begin};
}

static bool is_vector(const qn_search *s, qn_slice index)
{
    const qn_index_def *d = qn_schema_index(s->snapshot->view.schema, index);
    return d != NULL && d->kind == QN_INDEX_VECTOR;
}

static void walk_ha3(const qn_search *s, qn_buf *out, qn_slice text)
{
    qn_slice index = {0};
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == ':') index = name_before(text, i);
        if (c != '\'' && c != '"') continue;
        size_t end = i + 1;
        while (end < text.n && text.p[end] != c) end += text.p[end] == '\\' ? 2 : 1;
        if (end > text.n) end = text.n;
        if (!is_vector(s, index))
            add_text(out, (qn_slice){text.p + i + 1, end - i - 1});
        i = end;
    }
}

qn_status qn_search__neural_text(qn_search *s, qn_slice *out, qn_error *err)
{
    *out = s->text;
    if (s->options.rerank_query != NULL) {
        *out = (qn_slice){s->options.rerank_query, s->options.rerank_query_size};
        return QN_OK;
    }
    if (s->options.kind == QUERN_QUERY_WORDS)
        *out = qn_search__analysis_words(s, s->text);
    if (s->options.kind == QUERN_QUERY_WORDS || s->stage_count == 0) return QN_OK;
    qn_buf b;
    qn_buf_init(&b, s->q->alloc);
    qn_status st = QN_OK;
    const qn_kvpair *raw = qn_request_kvpair(&s->request, "raw_query");
    if (raw != NULL && raw->value.n != 0) {
        add_text(&b, raw->value);
    } else if (s->options.kind == QUERN_QUERY_HA3) {
        walk_ha3(s, &b, s->request.query_text);
    } else if (qn_slice_trim(s->text).n != 0) {
        const qn_json *body = NULL;
        st = qn_json_parse(s->arena, s->text, &body, err);
        if (st == QN_OK) {
            walk_dsl(&b, qn_json_get(body, "query"));
            walk_dsl(&b, qn_json_get(body, "knn"));
        }
    }
    *out = qn_arena_slice(s->arena, qn_buf_slice(&b));
    if (st == QN_OK && (b.failed || out->p == NULL))
        st = qn_fail(err, QN_ENOMEM, "search");
    qn_buf_deinit(&b);
    return st;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* text_peer.c -- options, query files, corpora; opening an index and asking it. */
#include "text_peer.h"

#include "io/json.h"
#include "query/leaf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { QUERIES_BYTES_MAX = 1 << 26, FIELDS_MAX = 8 };

/* ---- options --------------------------------------------------------------------------- */

const char *peer_option(const peer_options *o, const char *name)
{
    for (int i = 0; i < o->argc; i++) {
        if (strncmp(o->argv[i], "--", 2) != 0 || strcmp(o->argv[i] + 2, name) != 0)
            continue;
        bool has_value = i + 1 < o->argc && strncmp(o->argv[i + 1], "--", 2) != 0;
        return has_value ? o->argv[i + 1] : "";
    }
    return NULL;
}

const char *peer_text(const peer_options *o, const char *name, const char *fallback)
{
    const char *value = peer_option(o, name);
    return value == NULL ? fallback : value;
}

const char *peer_required(const peer_options *o, const char *name)
{
    const char *value = peer_option(o, name);
    if (value == NULL || value[0] == '\0') peer_die("missing option", name);
    return value;
}

size_t peer_number(const peer_options *o, const char *name, size_t fallback)
{
    const char *value = peer_option(o, name);
    int64_t n = 0;
    if (value == NULL) return fallback;
    if (!qn_slice_to_i64(qn_slice_of(value), &n) || n < 0)
        peer_die("not a number", name);
    return (size_t)n;
}

void peer_die(const char *what, const char *why)
{
    (void)fprintf(stderr, "bench_text: %s: %s\n", what, why);
    exit(2);
}

void peer_check(qn_status st, const qn_error *err)
{
    if (st != QN_OK) peer_die("failed", err->text);
}

int64_t peer_process_cpu_ns(void)
{
    struct timespec t = {0};
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* ---- query files, corpora -------------------------------------------------------------- */

void peer_topics_read(const char *path, peer_topics *out)
{
    qn_error err = {0};
    *out = (peer_topics){0};
    qn_buf_init(&out->text, qn_alloc_heap());
    peer_check(qn_file_read(path, QUERIES_BYTES_MAX, &out->text, &err), &err);
    qn_slice rest = qn_buf_slice(&out->text);
    while (rest.n > 0) {
        const char *end = memchr(rest.p, '\n', rest.n);
        size_t n = end == NULL ? rest.n : (size_t)(end - rest.p);
        const char *tab = memchr(rest.p, '\t', n);
        if (tab != NULL) {
            size_t id = (size_t)(tab - rest.p);
            peer_topic t = {{rest.p, id}, {tab + 1, n - id - 1}};
            if (!qn_vec_push(qn_alloc_heap(), &out->list, t)) peer_die(path, "memory");
        }
        n += end != NULL;
        rest = (qn_slice){rest.p + n, rest.n - n};
    }
}

void peer_topics_free(peer_topics *topics)
{
    qn_vec_deinit(qn_alloc_heap(), &topics->list);
    qn_buf_deinit(&topics->text);
}

void peer_corpus_open(const char *path, peer_corpus *out)
{
    qn_error err = {0};
    peer_check(qn_file_map(qn_alloc_heap(), path, &out->file, &err), &err);
    out->at = (const char *)out->file.p;
    out->end = out->at + out->file.n;
}

void peer_corpus_close(peer_corpus *c)
{
    qn_file_unmap(&c->file);
}

bool peer_corpus_next(peer_corpus *c, qn_slice *line)
{
    if (c->at == c->end) return false;
    const char *stop = memchr(c->at, '\n', (size_t)(c->end - c->at));
    if (stop == NULL) stop = c->end;
    *line = (qn_slice){c->at, (size_t)(stop - c->at)};
    c->at = stop == c->end ? stop : stop + 1;
    return true;
}

/* ---- opening --------------------------------------------------------------------------- */

void peer_index_open(const peer_options *o, peer_index *out)
{
    quern_options options = QUERN_OPTIONS_INIT;
    qn_error err = {0};
    *out = (peer_index){.alloc = qn_alloc_heap(),
                        .fields = peer_text(o, "fields", "text"),
                        .op = peer_text(o, "op", "or"),
                        .k = peer_number(o, "k", 10)};
    out->sum = strcmp(peer_text(o, "combine", "max"), "sum") == 0;
    out->exact = strcmp(peer_text(o, "count", "none"), "exact") == 0;
    out->api = strcmp(peer_text(o, "via", "internals"), "api") == 0;
    const char *filter = peer_text(o, "filter", "");
    const char *equals = strchr(filter, '=');
    if (equals != NULL) {
        out->filter_field = (qn_slice){filter, (size_t)(equals - filter)};
        out->filter_value = qn_slice_of(equals + 1);
    }
    options.data_dir = peer_required(o, "index");
    options.read_only = true;
    peer_check(quern_open(&options, &out->q, &err), &err);
    peer_check(qn_engine_table(out->q, PEER_TABLE, &out->table, &err), &err);
    out->snapshot = qn_table_current(out->table);
}

void peer_index_close(peer_index *index)
{
    qn_table_snapshot_release(index->snapshot);
    qn_table_release(index->table);
    quern_close(index->q);
}

/* ---- asking ---------------------------------------------------------------------------- */

/* The text as a match, a match with operator and, or a match_phrase of one field. */
static void make_field(const peer_index *index, qn_leaf_maker *m, qn_slice name,
                       qn_slice text, qn_query **out)
{
    qn_leaf_target target;
    qn_leaf_match how = {.any = index->op[0] == 'o', .phrase = index->op[0] == 'p'};
    peer_check(qn_leaf_target_find(m, name, 0, &target), m->err);
    peer_check(qn_leaf_text(m, &target, text, 0, &how, out), m->err);
}

static const qn_query *add_filter(const peer_index *index, qn_leaf_maker *m,
                                  const qn_query *query)
{
    qn_leaf_target target;
    qn_query *filter = NULL;
    const qn_query **two = qn_arena_array(m->arena, 2, sizeof *two);
    qn_query *both = qn_query_new(m->arena, QN_QUERY_BOOL, 0);
    if (two == NULL || both == NULL) peer_die("query", "memory");
    peer_check(qn_leaf_target_find(m, index->filter_field, 0, &target), m->err);
    peer_check(qn_leaf_value(m, &target, index->filter_value, 0, &filter), m->err);
    two[0] = query;
    two[1] = filter;
    both->u.boolean.must = (qn_query_list){&two[0], 1};
    both->u.boolean.filter = (qn_query_list){&two[1], 1};
    return both;
}

static const qn_query *make_query(const peer_index *index, qn_slice text,
                                  qn_arena *arena)
{
    qn_error err = {0};
    const qn_query_env env = {.schema = index->snapshot->view.schema,
                              .analyzers = index->q->analyzers};
    qn_leaf_maker m = {.arena = arena, .env = &env, .err = &err};
    const qn_query *fields[FIELDS_MAX];
    size_t n = 0;
    for (qn_slice rest = qn_slice_of(index->fields); rest.n > 0 && n < FIELDS_MAX;) {
        const char *comma = memchr(rest.p, ',', rest.n);
        size_t used = comma == NULL ? rest.n : (size_t)(comma - rest.p);
        qn_query *one = NULL;
        make_field(index, &m, (qn_slice){rest.p, used}, text, &one);
        if (one != NULL) fields[n++] = one;
        used += comma != NULL;
        rest = (qn_slice){rest.p + used, rest.n - used};
    }
    const qn_query *whole = fields[0];
    if (n == 0) {
        whole = qn_query_new(arena, QN_QUERY_NONE, 0);
    } else if (n > 1) {
        qn_query *join =
            qn_query_new(arena, index->sum ? QN_QUERY_BOOL : QN_QUERY_DISMAX, 0);
        const qn_query **list = qn_arena_array(arena, n, sizeof *list);
        if (join == NULL || list == NULL) peer_die("query", "memory");
        memcpy(list, fields, n * sizeof *list);
        if (index->sum) {
            join->u.boolean.should = (qn_query_list){list, n};
            join->u.boolean.should_min = 1;
        } else {
            join->u.dismax.children = (qn_query_list){list, n};
        }
        whole = join;
    }
    return index->filter_field.n > 0 ? add_filter(index, &m, whole) : whole;
}

void peer_search(const peer_index *index, qn_slice text, qn_arena *arena,
                 qn_exec_result *out)
{
    qn_error err = {0};
    const qn_query *query = make_query(index, text, arena);
    peer_check(qn_query_rewrite(arena, query, &query, &err), &err);
    const qn_snapshot_view *view = &index->snapshot->view;
    const qn_exec_options options = {
        .top_n = index->k == 0 ? (size_t)view->doc_count + 1 : index->k,
        .total_limit = index->exact ? 0 : 1,
    };
    peer_check(qn_query_execute(view, query, &options, arena, out, &err), &err);
}

uint64_t peer_search_api(const peer_index *index, qn_slice text, double *best)
{
    qn_buf body;
    qn_json_writer w;
    quern_reply *reply = NULL;
    qn_error err = {0};
    qn_buf_init(&body, index->alloc);
    qn_json_writer_init(&w, &body, false);
    qn_json_begin_object(&w);
    qn_json_member_int(&w, "size", (int64_t)index->k);
    qn_json_member_bool(&w, "track_total_hits", index->exact);
    qn_json_key(&w, "query");
    qn_json_begin_object(&w);
    qn_json_key(&w, index->op[0] == 'p' ? "match_phrase" : "match");
    qn_json_begin_object(&w);
    qn_json_key(&w, index->fields);
    qn_json_begin_object(&w);
    qn_json_member_slice(&w, "query", text);
    if (index->op[0] != 'p') qn_json_member_str(&w, "operator", index->op);
    qn_json_end_object(&w);
    qn_json_end_object(&w);
    qn_json_end_object(&w);
    qn_json_end_object(&w);
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    o.kind = QUERN_QUERY_DSL;
    o.query = body.p;
    o.query_size = body.n;
    o.no_source = true;
    peer_check(quern_search(index->q, PEER_TABLE, &o, &reply, &err), &err);
    uint64_t total = index->exact ? reply->total : reply->hit_count;
    *best = reply->hit_count > 0 ? reply->hits[0].score : 0;
    quern_reply_free(reply);
    qn_buf_deinit(&body);
    return total;
}

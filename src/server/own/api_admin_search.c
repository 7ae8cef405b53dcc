/* SPDX-License-Identifier: Apache-2.0 */
/* /_quern/search and /_quern/explain: plain words (or either query language) through a
 * pipeline, with what every stage did. */
#include "server/handlers.h"

#include "server/reply_json.h"
#include "server/server_internal.h"

#include <stdio.h>

typedef struct own_search {
    qn_slice table, id, kind, analysis, disable, raw_query, join;
    const qn_json *query, *pipeline, *rerank, *chunking;
    int64_t from, size, window, timeout_ms, budget_ms;
    bool explain;
} own_search;

static qn_status read_search(qn_call *c, own_search *s, bool with_id, qn_error *err)
{
    const qn_json *body = NULL;
    *s = (own_search){.kind = QN_SLICE_LIT("words"), .from = -1, .size = -1};
    const qn_member members[] = {
        {"query", QN_MEMBER_ANY, &s->query, 0, 0},
        {"table", QN_MEMBER_STRING, &s->table, 0, 0},
        {"kind", QN_MEMBER_STRING, &s->kind, 0, 0},
        {"pipeline", QN_MEMBER_ANY, &s->pipeline, 0, 0},
        {"from", QN_MEMBER_INT, &s->from, 0, QN_LIMIT_SEARCH_WINDOW},
        {"size", QN_MEMBER_INT, &s->size, 0, QN_LIMIT_SEARCH_WINDOW},
        {"explain", QN_MEMBER_BOOL, &s->explain, 0, 0},
        {"rerank", QN_MEMBER_ANY, &s->rerank, 0, 0},
        {"chunking", QN_MEMBER_ANY, &s->chunking, 0, 0},
        {"join", QN_MEMBER_STRING, &s->join, 0, 0},
        {"analysis", QN_MEMBER_STRING, &s->analysis, 0, 0},
        {"disable", QN_MEMBER_STRING, &s->disable, 0, 0},
        {"raw_query", QN_MEMBER_STRING, &s->raw_query, 0, 0},
        {"window", QN_MEMBER_INT, &s->window, 1, QN_LIMIT_SEARCH_WINDOW},
        {"timeout_ms", QN_MEMBER_INT, &s->timeout_ms, 1, 86400000},
        {"budget_ms", QN_MEMBER_INT, &s->budget_ms, 1, 86400000},
        {with_id ? "id" : NULL, QN_MEMBER_STRING, &s->id, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    if (s->query == NULL) return qn_fail(err, QN_EINVAL, "[query] is required");
    if (with_id && s->id.n == 0) return qn_fail(err, QN_EINVAL, "[id] is required");
    return QN_OK;
}

static qn_status set_kind(const own_search *s, quern_search_options *o, qn_error *err)
{
    static const struct {
        const char *name;
        quern_query_kind kind;
    } kinds[] = {{"words", QUERN_QUERY_WORDS},
                 {"ha3", QUERN_QUERY_HA3},
                 {"dsl", QUERN_QUERY_DSL}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (!qn_slice_eq_str(s->kind, kinds[i].name)) continue;
        o->kind = kinds[i].kind;
        return QN_OK;
    }
    return qn_fail(err, QN_EINVAL, "[kind] must be words, ha3 or dsl, not '%.*s'",
                   s->kind.n > 60 ? 60 : (int)s->kind.n, s->kind.p);
}

static qn_status set_query(const own_search *s, quern_search_options *o, qn_error *err)
{
    qn_slice text = s->query->string;
    if (o->kind == QUERN_QUERY_DSL && s->query->kind == QN_JSON_OBJECT)
        text = s->query->raw;
    else if (s->query->kind != QN_JSON_STRING)
        return qn_fail(err, QN_EINVAL, "[query] must be a string%s, not %s",
                       o->kind == QUERN_QUERY_DSL ? " or an object" : "",
                       qn_json_kind_name(s->query->kind));
    size_t max = o->kind == QUERN_QUERY_WORDS ? QN_LIMIT_WORDS_BYTES
                                              : QN_LIMIT_SEARCH_BODY_BYTES;
    if (text.n > max)
        return qn_fail(err, QN_ELIMIT, "[query] has at most %zu bytes", max);
    o->query = text.p;
    o->query_size = text.n;
    return QN_OK;
}

/* A name, or an object that goes on as text. */
static qn_status set_pipeline(qn_call *c, const own_search *s, quern_search_options *o,
                              qn_error *err)
{
    const qn_json *p = s->pipeline;
    if (p == NULL) return QN_OK;
    if (p->kind != QN_JSON_STRING && p->kind != QN_JSON_OBJECT)
        return qn_fail(err, QN_EINVAL, "[pipeline] must be a name or an object, not %s",
                       qn_json_kind_name(p->kind));
    qn_slice text = p->kind == QN_JSON_STRING ? p->string : p->raw;
    o->pipeline = qn_arena_strndup(c->arena, text.p, text.n);
    return o->pipeline == NULL ? qn_fail(err, QN_ENOMEM, "no memory") : QN_OK;
}

/* Rules of query analysis and what is switched off, as texts with an end. */
static qn_status set_analysis(qn_call *c, const own_search *s, quern_search_options *o,
                              qn_error *err)
{
    if (s->analysis.p != NULL)
        o->analysis = qn_arena_strndup(c->arena, s->analysis.p, s->analysis.n);
    if (s->disable.p != NULL)
        o->analysis_off = qn_arena_strndup(c->arena, s->disable.p, s->disable.n);
    o->raw_query = s->raw_query.p;
    o->raw_query_size = s->raw_query.n;
    bool failed = (s->analysis.p != NULL && o->analysis == NULL) ||
                  (s->disable.p != NULL && o->analysis_off == NULL);
    return failed ? qn_fail(err, QN_ENOMEM, "no memory") : QN_OK;
}

/* A string as it is, anything else as JSON. */
static qn_status as_text(qn_call *c, const qn_json *v, const char **out, qn_error *err)
{
    qn_slice text = v->kind == QN_JSON_STRING ? v->string : v->raw;
    if (v->kind == QN_JSON_STRING && text.n == 0) return QN_OK;
    *out = qn_arena_strndup(c->arena, text.p, text.n);
    return *out == NULL ? qn_fail(err, QN_ENOMEM, "no memory") : QN_OK;
}

/* Models by name, or stages as "neural" of a pipeline has them. */
static qn_status set_rerank(qn_call *c, const own_search *s, quern_search_options *o,
                            qn_error *err)
{
    if (s->rerank != NULL) {
        qn_json_kind kind = s->rerank->kind;
        if (kind != QN_JSON_STRING && kind != QN_JSON_OBJECT && kind != QN_JSON_ARRAY)
            return qn_fail(err, QN_EINVAL,
                           "[rerank] must be names of models, a stage or a list of "
                           "stages, not %s",
                           qn_json_kind_name(kind));
        QN_TRY(kind == QN_JSON_STRING
                   ? qn_server_model(c, s->rerank->string, "", &o->rerank, err)
                   : as_text(c, s->rerank, &o->rerank, err));
        if (kind == QN_JSON_STRING && s->rerank->string.n == 0) o->rerank = NULL;
    }
    if (s->chunking != NULL) QN_TRY(as_text(c, s->chunking, &o->rerank_chunking, err));
    if (s->join.n == 0) return QN_OK;
    o->rerank_join = qn_arena_strndup(c->arena, s->join.p, s->join.n);
    return o->rerank_join == NULL ? qn_fail(err, QN_ENOMEM, "no memory") : QN_OK;
}

static qn_status make_options(qn_call *c, const own_search *s, quern_search_options *o,
                              qn_error *err)
{
    QN_TRY(set_kind(s, o, err));
    QN_TRY(set_query(s, o, err));
    QN_TRY(set_pipeline(c, s, o, err));
    QN_TRY(set_analysis(c, s, o, err));
    o->from = s->from;
    o->hits = s->size;
    o->explain = s->explain;
    o->timeout_ms = s->timeout_ms;
    o->rerank_window = (unsigned)s->window;
    o->rerank_budget_ms = s->budget_ms;
    o->cancel = c->request->cancelled;
    QN_TRY(set_rerank(c, s, o, err));
    if (s->table.n > 0) {
        (void)snprintf(c->table, sizeof c->table, "%.*s", QN_SLICE_ARG(s->table));
        return QN_OK;
    }
    if (o->kind == QUERN_QUERY_HA3)
        return quern_ha3_table(c->q, o->query, o->query_size, c->table, sizeof c->table,
                               err);
    return quern_default_table(c->q, c->table, sizeof c->table, err);
}

static void answer(qn_call *c, quern_reply *reply)
{
    qn_call_json(c, 200);
    qn_reply_json(&c->w, c->table, reply);
    quern_reply_free(reply);
}

qn_status qn_admin_search(qn_call *c, qn_error *err)
{
    own_search s;
    quern_reply *reply = NULL;
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    QN_TRY(read_search(c, &s, false, err));
    QN_TRY(make_options(c, &s, &o, err));
    QN_TRY(qn_server_search(c, c->table, &o, &reply, err));
    answer(c, reply);
    return QN_OK;
}

qn_status qn_admin_explain(qn_call *c, qn_error *err)
{
    own_search s;
    quern_reply *reply = NULL;
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    QN_TRY(read_search(c, &s, true, err));
    QN_TRY(make_options(c, &s, &o, err));
    o.explain = true;
    QN_TRY(qn_server_explain(c, c->table, s.id, &o, &reply, err));
    answer(c, reply);
    return QN_OK;
}

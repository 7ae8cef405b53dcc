/* SPDX-License-Identifier: Apache-2.0 */
/* Plug-ins in Cava: check, put, list, show, test, activate, roll back, drop. */
#include "server/handlers.h"
#include "server/own/records.h"

#include "server/server_internal.h"

static qn_status read_names(qn_call *c, const char **table, const char **name,
                            qn_error *err)
{
    *name = qn_call_arg(c, "name");
    return qn_call_table(c, table, err);
}

/* What does not compile is answered with the whole report. */
static qn_status answer_report(qn_call *c, qn_status st, char *json, size_t n)
{
    if (st == QN_OK || (st == QN_EPLUGINCODE && json != NULL))
        return qn_records_answer(c, st == QN_OK ? 200 : 400, json, n);
    quern_free(json);
    return st;
}

static const char *body_of(const qn_call *c)
{
    return c->request->body.p == NULL ? "" : c->request->body.p;
}

qn_status qn_plugin_check(qn_call *c, qn_error *err)
{
    const qn_slice *name = qn_call_param(c, "name");
    const char *called = NULL;
    char *json = NULL;
    size_t n = 0;
    if (name != NULL) called = qn_arena_strndup(c->arena, name->p, name->n);
    qn_status st = quern_plugin_check(c->q, called, body_of(c), c->request->body.n,
                                      &json, &n, err);
    /* The question was answered, whatever the answer is. */
    if (st == QN_EPLUGINCODE && json != NULL) return qn_records_answer(c, 200, json, n);
    return answer_report(c, st, json, n);
}

qn_status qn_plugin_list(qn_call *c, qn_error *err)
{
    const char *table = NULL;
    char *json = NULL;
    size_t n = 0;
    QN_TRY(qn_call_table(c, &table, err));
    QN_TRY(quern_plugin_list(c->q, table, &json, &n, err));
    return qn_records_answer(c, 200, json, n);
}

qn_status qn_plugin_put(qn_call *c, qn_error *err)
{
    const char *table = NULL, *name = NULL;
    char *json = NULL;
    size_t n = 0;
    bool draft = false;
    QN_TRY(read_names(c, &table, &name, err));
    QN_TRY(qn_call_flag(c, "draft", &draft, err));
    qn_status st = quern_plugin_put(c->q, table, name, body_of(c), c->request->body.n,
                                    draft, &json, &n, err);
    return answer_report(c, st, json, n);
}

qn_status qn_plugin_show(qn_call *c, qn_error *err)
{
    const char *table = NULL, *name = NULL;
    char *json = NULL;
    size_t n = 0;
    uint32_t version = 0;
    QN_TRY(read_names(c, &table, &name, err));
    QN_TRY(qn_records_version(c, &version, err));
    QN_TRY(quern_plugin_show(c->q, table, name, version, &json, &n, err));
    return qn_records_answer(c, 200, json, n);
}

qn_status qn_plugin_drop(qn_call *c, qn_error *err)
{
    const char *table = NULL, *name = NULL;
    QN_TRY(read_names(c, &table, &name, err));
    QN_TRY(quern_plugin_drop(c->q, table, name, err));
    return qn_records_dropped(c);
}

static qn_status set_kind(qn_slice kind, quern_search_options *o, qn_error *err)
{
    if (qn_slice_eq_str(kind, "words")) {
        o->kind = QUERN_QUERY_WORDS;
    } else if (qn_slice_eq_str(kind, "ha3")) {
        o->kind = QUERN_QUERY_HA3;
    } else if (qn_slice_eq_str(kind, "dsl")) {
        o->kind = QUERN_QUERY_DSL;
    } else {
        return qn_fail(err, QN_EINVAL, "[kind] must be words, ha3 or dsl");
    }
    return QN_OK;
}

qn_status qn_plugin_test(qn_call *c, qn_error *err)
{
    const char *table = NULL, *name = NULL;
    const qn_json *body = NULL, *query = NULL;
    qn_slice id = {0}, kind = QN_SLICE_LIT("words"), source = {0};
    int64_t version = 0;
    char *json = NULL;
    size_t n = 0;
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    const qn_member members[] = {
        {"id", QN_MEMBER_STRING, &id, 0, 0},
        {"query", QN_MEMBER_ANY, &query, 0, 0},
        {"kind", QN_MEMBER_STRING, &kind, 0, 0},
        {"version", QN_MEMBER_INT, &version, 1, UINT32_MAX},
        {"source", QN_MEMBER_STRING, &source, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(read_names(c, &table, &name, err));
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    if (id.n == 0 || query == NULL)
        return qn_fail(err, QN_EINVAL, "[id] and [query] are required");
    QN_TRY(set_kind(kind, &o, err));
    bool object = o.kind == QUERN_QUERY_DSL && query->kind == QN_JSON_OBJECT;
    if (!object && query->kind != QN_JSON_STRING)
        return qn_fail(err, QN_EINVAL, "[query] must be a string, not %s",
                       qn_json_kind_name(query->kind));
    o.query = object ? query->raw.p : query->string.p;
    o.query_size = object ? query->raw.n : query->string.n;
    o.plugin = name;
    o.plugin_version = (uint32_t)version;
    o.plugin_body = source.p;
    o.plugin_body_size = source.n;
    o.cancel = c->request->cancelled;
    QN_TRY(qn_server_take_time(c, err));
    QN_TRY(quern_plugin_test(c->q, table, id.p, id.n, &o, &json, &n, err));
    return qn_records_answer(c, 200, json, n);
}

qn_status qn_plugin_activate(qn_call *c, qn_error *err)
{
    const char *table = NULL, *name = NULL;
    uint32_t version = 0;
    char *json = NULL;
    size_t n = 0;
    QN_TRY(read_names(c, &table, &name, err));
    QN_TRY(qn_records_body_version(c, &version, err));
    QN_TRY(quern_plugin_activate(c->q, table, name, version, err));
    QN_TRY(quern_plugin_show(c->q, table, name, version, &json, &n, err));
    return qn_records_answer(c, 200, json, n);
}

qn_status qn_plugin_roll_back(qn_call *c, qn_error *err)
{
    const char *table = NULL, *name = NULL;
    uint32_t version = 0;
    char *json = NULL;
    size_t n = 0;
    QN_TRY(read_names(c, &table, &name, err));
    QN_TRY(quern_plugin_roll_back(c->q, table, name, &version, err));
    QN_TRY(quern_plugin_show(c->q, table, name, version, &json, &n, err));
    return qn_records_answer(c, 200, json, n);
}

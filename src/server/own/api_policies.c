/* SPDX-License-Identifier: Apache-2.0 */
/* Named rank policies: put, list, show, activate, roll back, drop, test. */
#include "server/handlers.h"
#include "server/own/records.h"

#include "server/server_internal.h"

static qn_status read_stage(qn_slice text, quern_policy_stage *out, qn_error *err)
{
    if (qn_slice_eq_str(text, "rough") || qn_slice_eq_str(text, "fine")) {
        *out = text.n == 5 ? QUERN_POLICY_ROUGH : QUERN_POLICY_FINE;
        return QN_OK;
    }
    return qn_fail(err, QN_EINVAL, "the stage is rough or fine, not '%.*s'",
                   text.n > 40 ? 40 : (int)text.n, text.p);
}

/* {index}, {stage} and {name} of the address. */
static qn_status read_names(qn_call *c, const char **table, quern_policy_stage *stage,
                            const char **name, qn_error *err)
{
    QN_TRY(qn_call_table(c, table, err));
    *name = qn_call_arg(c, "name");
    return read_stage(qn_slice_of(qn_call_arg(c, "stage")), stage, err);
}

qn_status qn_policy_list(qn_call *c, qn_error *err)
{
    const char *table = NULL;
    char *json = NULL;
    size_t n = 0;
    QN_TRY(qn_call_table(c, &table, err));
    QN_TRY(quern_policy_list(c->q, table, &json, &n, err));
    return qn_records_answer(c, 200, json, n);
}

qn_status qn_policy_put(qn_call *c, qn_error *err)
{
    const char *table = NULL, *name = NULL;
    quern_policy_stage stage = QUERN_POLICY_ROUGH;
    char *json = NULL;
    size_t n = 0;
    bool draft = false;
    qn_slice body = c->request->body;
    QN_TRY(read_names(c, &table, &stage, &name, err));
    QN_TRY(qn_call_flag(c, "draft", &draft, err));
    QN_TRY(quern_policy_put(c->q, table, stage, name, body.p == NULL ? "" : body.p,
                            body.n, draft, &json, &n, err));
    return qn_records_answer(c, 200, json, n);
}

qn_status qn_policy_show(qn_call *c, qn_error *err)
{
    const char *table = NULL, *name = NULL;
    quern_policy_stage stage = QUERN_POLICY_ROUGH;
    char *json = NULL;
    size_t n = 0;
    uint32_t version = 0;
    QN_TRY(read_names(c, &table, &stage, &name, err));
    QN_TRY(qn_records_version(c, &version, err));
    QN_TRY(quern_policy_show(c->q, table, stage, name, version, &json, &n, err));
    return qn_records_answer(c, 200, json, n);
}

qn_status qn_policy_drop(qn_call *c, qn_error *err)
{
    const char *table = NULL, *name = NULL;
    quern_policy_stage stage = QUERN_POLICY_ROUGH;
    QN_TRY(read_names(c, &table, &stage, &name, err));
    QN_TRY(quern_policy_drop(c->q, table, stage, name, err));
    return qn_records_dropped(c);
}

qn_status qn_policy_activate(qn_call *c, qn_error *err)
{
    const char *table = NULL, *name = NULL;
    quern_policy_stage stage = QUERN_POLICY_ROUGH;
    uint32_t version = 0;
    char *json = NULL;
    size_t n = 0;
    QN_TRY(read_names(c, &table, &stage, &name, err));
    QN_TRY(qn_records_body_version(c, &version, err));
    QN_TRY(quern_policy_activate(c->q, table, stage, name, version, err));
    QN_TRY(quern_policy_show(c->q, table, stage, name, version, &json, &n, err));
    return qn_records_answer(c, 200, json, n);
}

qn_status qn_policy_roll_back(qn_call *c, qn_error *err)
{
    const char *table = NULL, *name = NULL;
    quern_policy_stage stage = QUERN_POLICY_ROUGH;
    uint32_t version = 0;
    char *json = NULL;
    size_t n = 0;
    QN_TRY(read_names(c, &table, &stage, &name, err));
    QN_TRY(quern_policy_roll_back(c->q, table, stage, name, &version, err));
    QN_TRY(quern_policy_show(c->q, table, stage, name, version, &json, &n, err));
    return qn_records_answer(c, 200, json, n);
}

/* {"stage", "policy" or "name" (and "version"), "query", "ids"} */
static qn_status read_test(qn_call *c, quern_policy_test_options *o, qn_error *err)
{
    const qn_json *body = NULL, *policy = NULL, *ids = NULL;
    qn_slice stage = {"", 0}, name = {"", 0}, query = {"", 0};
    int64_t version = 0;
    const qn_member members[] = {
        {"stage", QN_MEMBER_STRING, &stage, 0, 0},
        {"policy", QN_MEMBER_ANY, &policy, 0, 0},
        {"name", QN_MEMBER_STRING, &name, 0, 0},
        {"version", QN_MEMBER_INT, &version, 1, UINT32_MAX},
        {"query", QN_MEMBER_STRING, &query, 0, 0},
        {"ids", QN_MEMBER_ANY, &ids, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    QN_TRY(read_stage(stage, &o->stage, err));
    size_t n = 0;
    const char **list =
        qn_arena_array(c->arena, ids == NULL ? 1 : ids->count + 1, sizeof *list);
    o->name = qn_arena_strndup(c->arena, name.p, name.n);
    if (list == NULL || o->name == NULL) return qn_fail(err, QN_ENOMEM, "no memory");
    for (const qn_json *it = qn_json_items(ids); it != NULL; it = it->next) {
        if (ids->kind != QN_JSON_ARRAY || it->kind != QN_JSON_STRING)
            return qn_fail(err, QN_EINVAL, "[ids] must be a list of strings");
        list[n] = qn_arena_strndup(c->arena, it->string.p, it->string.n);
        if (list[n++] == NULL) return qn_fail(err, QN_ENOMEM, "no memory");
    }
    if (policy != NULL) {
        qn_slice text = policy->kind == QN_JSON_STRING ? policy->string : policy->raw;
        o->policy = text.p;
        o->policy_size = text.n;
    }
    o->version = (uint32_t)version;
    o->query = query.p;
    o->query_size = query.n;
    o->ids = list;
    o->id_count = n;
    return QN_OK;
}

qn_status qn_policy_test(qn_call *c, qn_error *err)
{
    quern_policy_test_options o = QUERN_POLICY_TEST_OPTIONS_INIT;
    const char *table = NULL;
    char *json = NULL;
    size_t n = 0;
    QN_TRY(qn_call_table(c, &table, err));
    QN_TRY(read_test(c, &o, err));
    QN_TRY(qn_server_take_time(c, err));
    QN_TRY(quern_policy_test(c->q, table, &o, &json, &n, err));
    return qn_records_answer(c, 200, json, n);
}

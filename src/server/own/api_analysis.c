/* SPDX-License-Identifier: Apache-2.0 */
/* Query analysis of a table: rules and dictionaries put, listed, shown, activated, rolled
 * back, dropped; entries changed; words tried. */
#include "server/handlers.h"
#include "server/own/records.h"

#include "server/server_internal.h"

/* {index}, {kind} and {name} of the address. */
static qn_status read_names(qn_call *c, const char **table, quern_analysis_kind *kind,
                            const char **name, qn_error *err)
{
    qn_slice text = qn_slice_of(qn_call_arg(c, "kind"));
    QN_TRY(qn_call_table(c, table, err));
    *name = qn_call_arg(c, "name");
    *kind = QUERN_ANALYSIS_RULE;
    if (qn_slice_eq_str(text, "rules")) return QN_OK;
    *kind = QUERN_ANALYSIS_DICTIONARY;
    if (qn_slice_eq_str(text, "dictionaries")) return QN_OK;
    return qn_fail(err, QN_EINVAL, "there are rules and dictionaries, no '%.*s'",
                   text.n > 40 ? 40 : (int)text.n, text.p);
}

qn_status qn_analysis_list(qn_call *c, qn_error *err)
{
    const char *table = NULL;
    char *json = NULL;
    size_t n = 0;
    QN_TRY(qn_call_table(c, &table, err));
    QN_TRY(quern_analysis_list(c->q, table, &json, &n, err));
    return qn_records_answer(c, 200, json, n);
}

static qn_slice body_of(const qn_call *c)
{
    qn_slice body = c->request->body;
    return body.p == NULL ? QN_SLICE_LIT("") : body;
}

qn_status qn_analysis_put(qn_call *c, qn_error *err)
{
    const char *table = NULL, *name = NULL;
    quern_analysis_kind kind;
    char *json = NULL;
    size_t n = 0;
    bool draft = false;
    qn_slice body = body_of(c);
    QN_TRY(read_names(c, &table, &kind, &name, err));
    QN_TRY(qn_call_flag(c, "draft", &draft, err));
    QN_TRY(quern_analysis_put(c->q, table, kind, name, body.p, body.n, draft, &json, &n,
                              err));
    return qn_records_answer(c, 200, json, n);
}

qn_status qn_analysis_change(qn_call *c, qn_error *err)
{
    const char *table = NULL;
    char *json = NULL;
    size_t n = 0;
    qn_slice body = body_of(c);
    QN_TRY(qn_call_table(c, &table, err));
    QN_TRY(quern_analysis_change(c->q, table, qn_call_arg(c, "name"), body.p, body.n,
                                 &json, &n, err));
    return qn_records_answer(c, 200, json, n);
}

qn_status qn_analysis_show(qn_call *c, qn_error *err)
{
    const char *table = NULL, *name = NULL;
    quern_analysis_kind kind;
    char *json = NULL;
    size_t n = 0;
    uint32_t version = 0;
    QN_TRY(read_names(c, &table, &kind, &name, err));
    QN_TRY(qn_records_version(c, &version, err));
    QN_TRY(quern_analysis_show(c->q, table, kind, name, version, &json, &n, err));
    return qn_records_answer(c, 200, json, n);
}

qn_status qn_analysis_drop(qn_call *c, qn_error *err)
{
    const char *table = NULL, *name = NULL;
    quern_analysis_kind kind;
    QN_TRY(read_names(c, &table, &kind, &name, err));
    QN_TRY(quern_analysis_drop(c->q, table, kind, name, err));
    return qn_records_dropped(c);
}

qn_status qn_analysis_activate(qn_call *c, qn_error *err)
{
    const char *table = NULL, *name = NULL;
    quern_analysis_kind kind;
    uint32_t version = 0;
    char *json = NULL;
    size_t n = 0;
    QN_TRY(read_names(c, &table, &kind, &name, err));
    QN_TRY(qn_records_body_version(c, &version, err));
    QN_TRY(quern_analysis_activate(c->q, table, kind, name, version, err));
    QN_TRY(quern_analysis_show(c->q, table, kind, name, version, &json, &n, err));
    return qn_records_answer(c, 200, json, n);
}

qn_status qn_analysis_roll_back(qn_call *c, qn_error *err)
{
    const char *table = NULL, *name = NULL;
    quern_analysis_kind kind;
    uint32_t version = 0;
    char *json = NULL;
    size_t n = 0;
    QN_TRY(read_names(c, &table, &kind, &name, err));
    QN_TRY(quern_analysis_roll_back(c->q, table, kind, name, &version, err));
    QN_TRY(quern_analysis_show(c->q, table, kind, name, version, &json, &n, err));
    return qn_records_answer(c, 200, json, n);
}

qn_status qn_analysis_test(qn_call *c, qn_error *err)
{
    const char *table = NULL;
    const qn_json *body = NULL, *rule = NULL;
    qn_slice query = {0}, rules = {0}, off = {0};
    const qn_member members[] = {
        {"query", QN_MEMBER_STRING, &query, 0, 0},
        {"rules", QN_MEMBER_STRING, &rules, 0, 0},
        {"rule", QN_MEMBER_ANY, &rule, 0, 0},
        {"disable", QN_MEMBER_STRING, &off, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    char *json = NULL;
    size_t n = 0;
    QN_TRY(qn_call_table(c, &table, err));
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    if (query.n == 0) return qn_fail(err, QN_EINVAL, "[query] is required");
    if (rule != NULL && rule->kind != QN_JSON_OBJECT)
        return qn_fail(err, QN_EINVAL,
                       "[rule] is an object, a rule that is not stored");
    quern_analysis_test_options o = QUERN_ANALYSIS_TEST_OPTIONS_INIT;
    o.words = query.p;
    o.words_size = query.n;
    if (rules.p != NULL) o.rules = qn_arena_strndup(c->arena, rules.p, rules.n);
    if (off.p != NULL) o.off = qn_arena_strndup(c->arena, off.p, off.n);
    if (rule != NULL) {
        o.rule = rule->raw.p;
        o.rule_size = rule->raw.n;
    }
    if ((rules.p != NULL && o.rules == NULL) || (off.p != NULL && o.off == NULL))
        return qn_fail(err, QN_ENOMEM, "no memory");
    QN_TRY(quern_analysis_test(c->q, table, &o, &json, &n, err));
    return qn_records_answer(c, 200, json, n);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* /update/NAME/actions/bulk: [{"cmd":"add","fields":{...}}]. */
#include "server/handlers.h"

#include "server/aliyun/api_aliyun.h"

#include <stdio.h>

typedef struct name_search {
    qn_slice wanted;
    char best[256];
    bool exact;
} name_search;

/* The table of that name, else the longest name that ends it after '_': clients write
 * INSTANCE_TABLE. */
static bool offer_name(void *ctx, const char *name)
{
    name_search *s = ctx;
    size_t n = strlen(name);
    if (qn_slice_eq_str(s->wanted, name)) s->exact = true;
    bool ends = s->wanted.n > n && s->wanted.p[s->wanted.n - n - 1] == '_' &&
                qn_slice_ends_with(s->wanted, name);
    if (s->exact || (ends && n > strlen(s->best)))
        (void)snprintf(s->best, sizeof s->best, "%s", name);
    return !s->exact;
}

static qn_status find_table(qn_call *c, qn_error *err)
{
    name_search s = {.wanted = qn_route_arg(&c->match, "source")};
    QN_TRY(quern_table_list(c->q, offer_name, &s, err));
    if (s.best[0] == '\0')
        return qn_fail(err, QN_ENOTABLE,
                       "no table [%.*s], and none whose name ends it after '_'",
                       s.wanted.n > 200 ? 200 : (int)s.wanted.n, s.wanted.p);
    (void)snprintf(c->table, sizeof c->table, "%s", s.best);
    return QN_OK;
}

static bool command_kind(qn_slice cmd, quern_op_kind *kind)
{
    static const struct {
        const char *cmd;
        quern_op_kind kind;
    } rows[] = {
        {"add", QUERN_OP_INDEX},
        {"update", QUERN_OP_UPDATE},
        {"upsert", QUERN_OP_UPSERT},
        {"delete", QUERN_OP_DELETE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!qn_slice_eq_nocase(cmd, rows[i].cmd)) continue;
        *kind = rows[i].kind;
        return true;
    }
    return false;
}

/* The field that the client calls the primary key (X-Opensearch-Swift-PK-Field), for
 * tables that have none of their own: those made from mappings. Empty otherwise. */
static qn_status find_key(qn_call *c, qn_slice *key, qn_error *err)
{
    const qn_http_request *r = c->request;
    const qn_param *h =
        qn_header_find(r->headers, r->header_count, "X-Opensearch-Swift-PK-Field");
    *key = (qn_slice){"", 0};
    if (h == NULL || h->value.n == 0) return QN_OK;
    char *json = NULL;
    size_t n = 0;
    const qn_json *facts = NULL;
    QN_TRY(quern_table_show(c->q, c->table, &json, &n, err));
    qn_slice copy = qn_arena_slice(c->arena, (qn_slice){json, n});
    quern_free(json);
    if (copy.p == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the push");
    QN_TRY(qn_json_parse(c->arena, copy, &facts, err));
    const qn_json *dialect = qn_json_get(facts, "dialect");
    if (dialect != NULL && qn_slice_eq_str(dialect->string, "mapping")) *key = h->value;
    return QN_OK;
}

/* The value of `key` among the fields as the operation's id. */
static qn_status take_key(const qn_call *c, const qn_json *fields, qn_slice key,
                          size_t number, quern_op *op, qn_error *err)
{
    const qn_json *v = fields->first;
    while (v != NULL && !qn_slice_eq(v->key, key)) v = v->next;
    if (v == NULL || (v->kind != QN_JSON_STRING && v->kind != QN_JSON_INT))
        return qn_fail_at(
            err, QN_EDOCUMENT, qn_json_offset(fields, c->request->body),
            "document %zu: the key field [%.*s] must be a string or a whole "
            "number",
            number, key.n > 60 ? 60 : (int)key.n, key.p);
    qn_slice id = v->kind == QN_JSON_STRING ? v->string : v->raw;
    op->id = id.p;
    op->id_size = id.n;
    return QN_OK;
}

static qn_status read_command(const qn_call *c, const qn_json *v, qn_slice key,
                              size_t number, quern_op *op, qn_error *err)
{
    qn_slice cmd = {"", 0};
    const qn_json *fields = NULL;
    qn_slice text = c->request->body;
    const qn_member members[] = {
        {"cmd", QN_MEMBER_STRING, &cmd, 0, 0},
        {"fields", QN_MEMBER_ANY, &fields, 0, 0},
        {"timestamp", QN_MEMBER_IGNORE, NULL, 0, 0}, /* arrival orders the writes */
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    if (v->kind != QN_JSON_OBJECT)
        return qn_fail_at(err, QN_EINVAL, qn_json_offset(v, text),
                          "document %zu is not an object", number);
    QN_TRY(qn_call_members(v, members, text, err));
    if (!command_kind(cmd, &op->kind))
        return qn_fail_at(
            err, QN_EINVAL, qn_json_offset(v, text),
            "document %zu: cmd must be add, update, upsert or delete, not "
            "'%.*s'",
            number, cmd.n > 60 ? 60 : (int)cmd.n, cmd.p);
    if (fields == NULL || fields->kind != QN_JSON_OBJECT)
        return qn_fail_at(err, QN_EINVAL, qn_json_offset(v, text),
                          "document %zu has no object [fields]", number);
    op->source = fields->raw.p;
    op->source_size = fields->raw.n;
    op->if_seq_no = QUERN_SEQ_NONE;
    return key.n == 0 ? QN_OK : take_key(c, fields, key, number, op, err);
}

static qn_status read_commands(qn_call *c, quern_op **ops, size_t *count, qn_error *err)
{
    const qn_json *body = NULL;
    QN_TRY(qn_call_body(c, &body, err));
    if (body == NULL || body->kind != QN_JSON_ARRAY)
        return qn_fail(err, QN_EINVAL,
                       "the body must be an array of documents: "
                       "[{\"cmd\":\"add\",\"fields\":{...}}]");
    if (body->count > QN_LIMIT_BULK_OPERATIONS)
        return qn_fail(err, QN_ELIMIT, "more than %d documents in one push",
                       QN_LIMIT_BULK_OPERATIONS);
    *ops = qn_arena_array(c->arena, body->count, sizeof **ops);
    if (*ops == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the push");
    size_t n = 0;
    qn_slice key;
    QN_TRY(find_key(c, &key, err));
    for (const qn_json *v = body->first; v != NULL; v = v->next, n++)
        QN_TRY(read_command(c, v, key, n + 1, &(*ops)[n], err));
    *count = n;
    return QN_OK;
}

/* The first operation that failed; deleting what is not there is no failure. */
static const quern_op_result *first_failure(const quern_op *ops,
                                            const quern_op_result *results, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool missing = ops[i].kind == QUERN_OP_DELETE && results[i].status == QN_ENODOC;
        if (results[i].status != QN_OK && !missing) return &results[i];
    }
    return NULL;
}

qn_status qn_ha3_push(qn_call *c, qn_error *err)
{
    quern_op *ops = NULL;
    size_t n = 0;
    QN_TRY(find_table(c, err));
    QN_TRY(read_commands(c, &ops, &n, err));
    quern_op_result *results = qn_arena_array(c->arena, n, sizeof *results);
    if (results == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the push");
    quern_write_options o = QUERN_WRITE_OPTIONS_INIT;
    o.refresh = true; /* clients of this dialect have no call for it */
    o.cancel = c->request->cancelled;
    QN_TRY(quern_write(c->q, c->table, ops, n, &o, results, err));
    const quern_op_result *failure = first_failure(ops, results, n);
    if (failure != NULL)
        return qn_fail(err, failure->status, "document %zu: %.400s",
                       (size_t)(failure - results) + 1, failure->error.text);
    qn_call_json(c, 200);
    qn_json_begin_object(&c->w);
    qn_json_member_str(&c->w, "status", "OK");
    qn_json_member_int(&c->w, "code", 200);
    qn_json_key(&c->w, "errors");
    qn_json_begin_array(&c->w);
    qn_json_end_array(&c->w);
    qn_json_end_object(&c->w);
    return QN_OK;
}

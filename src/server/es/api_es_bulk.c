/* SPDX-License-Identifier: Apache-2.0 */
/* _bulk: lines of JSON, an action and, except for deletes, a source. Operations are
 * handed on in runs of one table, so that a run is one commit. */
#include "server/handlers.h"

#include "base/vec.h"
#include "server/es/api_es.h"
#include "server/writes.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct item {
    const char *action; /* "index" */
    const char *table;
    quern_op op;
    quern_op_result *result;
    bool refused; /* result->error says why; it is not handed on */
} item;

typedef struct bulk {
    qn_call *c;
    const char *default_table; /* NULL: each action names its own */
    QN_VEC(item) items;
    qn_alloc *alloc;
    qn_slice rest;
    size_t line;
} bulk;

/* The next line without its end. */
static qn_slice next_line(bulk *b)
{
    const char *end = memchr(b->rest.p, '\n', b->rest.n);
    qn_slice line = {b->rest.p, end == NULL ? b->rest.n : (size_t)(end - b->rest.p)};
    size_t used = line.n + (end != NULL);
    b->rest = (qn_slice){b->rest.p + used, b->rest.n - used};
    b->line++;
    if (line.n > 0 && line.p[line.n - 1] == '\r') line.n--;
    return line;
}

static qn_status malformed(const bulk *b, const char *what, qn_error *err)
{
    return qn_fail(err, QN_EINVAL, "Malformed action/metadata line [%zu], %s", b->line,
                   what);
}

typedef struct meta {
    qn_slice index, id, op_type;
    qn_slice version_type;
    const qn_json *id_value, *pipeline, *version;
    int64_t if_seq_no, if_primary_term;
    bool require_alias;
} meta;

static qn_status read_meta(const bulk *b, const qn_json *v, qn_slice line, meta *m,
                           qn_error *err)
{
    m->if_seq_no = QUERN_SEQ_NONE;
    m->if_primary_term = 1;
    const qn_member members[] = {
        {"_index", QN_MEMBER_STRING, &m->index, 0, 0},
        {"_id", QN_MEMBER_ANY, &m->id_value, 0, 0},
        {"routing", QN_MEMBER_IGNORE, NULL, 0, 0}, /* one shard: it changes nothing */
        {"op_type", QN_MEMBER_STRING, &m->op_type, 0, 0},
        {"if_seq_no", QN_MEMBER_INT, &m->if_seq_no, 0, INT64_MAX},
        {"if_primary_term", QN_MEMBER_INT, &m->if_primary_term, 1, INT64_MAX},
        {"retry_on_conflict", QN_MEMBER_IGNORE, NULL, 0, 0},
        {"require_alias", QN_MEMBER_BOOL, &m->require_alias, 0, 0},
        {"pipeline", QN_MEMBER_ANY, &m->pipeline, 0, 0},
        {"version", QN_MEMBER_ANY, &m->version, 0, 0},
        {"version_type", QN_MEMBER_STRING, &m->version_type, 0, 0},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    qn_error inner = {0};
    if (qn_call_members(v, members, line, &inner) != QN_OK)
        return qn_fail(err, QN_EINVAL, "Action/metadata line [%zu]: %.400s", b->line,
                       inner.text);
    if (m->pipeline != NULL || m->require_alias)
        return qn_fail(err, QN_EUNSUPPORTED,
                       "Action/metadata line [%zu]: [%s] is not supported", b->line,
                       m->pipeline != NULL ? "pipeline" : "require_alias");
    if (m->version != NULL && m->version->kind != QN_JSON_INT)
        return malformed(b, "expected a whole number for [version]", err);
    const qn_json *id = m->id_value;
    if (id == NULL) return QN_OK;
    if (id->kind == QN_JSON_STRING)
        m->id = id->string;
    else if (id->kind == QN_JSON_INT)
        m->id = id->raw;
    else
        return malformed(b, "expected a string or a number for [_id]", err);
    return QN_OK;
}

static bool action_kind(qn_slice name, quern_op_kind *kind, const char **word)
{
    static const struct {
        const char *word;
        quern_op_kind kind;
    } rows[] = {
        {"index", QUERN_OP_INDEX},
        {"create", QUERN_OP_CREATE},
        {"update", QUERN_OP_UPDATE},
        {"delete", QUERN_OP_DELETE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!qn_slice_eq_str(name, rows[i].word)) continue;
        *kind = rows[i].kind;
        *word = rows[i].word;
        return true;
    }
    return false;
}

static qn_status refuse(const bulk *b, item *it, const qn_error *why, qn_error *err)
{
    quern_op_result *r = qn_arena_new(b->c->arena, sizeof *r);
    if (r == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the bulk request");
    it->refused = true;
    r->status = why->code;
    r->error = *why;
    size_t n = it->op.id_size < sizeof r->id ? it->op.id_size : sizeof r->id - 1;
    if (it->op.id != NULL) memcpy(r->id, it->op.id, n);
    it->result = r;
    return QN_OK;
}

/* An update's source is looked into; any other is the table's matter. */
static qn_status read_source(bulk *b, item *it, qn_error *err)
{
    if (it->op.kind == QUERN_OP_DELETE) return QN_OK;
    if (b->rest.n == 0)
        return qn_fail(err, QN_EINVAL,
                       "Validation Failed: line [%zu] has no source behind it;",
                       b->line);
    qn_slice line = next_line(b);
    it->op.source = line.p;
    it->op.source_size = line.n;
    if (it->op.kind != QUERN_OP_UPDATE) return QN_OK;
    const qn_json *body = NULL;
    qn_error why = {0};
    qn_status st = qn_json_parse(b->c->arena, line, &body, &why);
    if (st == QN_OK && body->kind != QN_JSON_OBJECT)
        st = qn_fail(&why, QN_EINVAL, "an update must be a JSON object");
    if (st == QN_OK) st = qn_write_read_update(body, line, &it->op, NULL, &why);
    return st == QN_OK ? QN_OK : refuse(b, it, &why, err);
}

static qn_status read_action(bulk *b, qn_slice line, qn_error *err)
{
    const qn_json *action = NULL;
    qn_error inner = {0};
    item it = {0};
    meta m = {0};
    if (qn_json_parse(b->c->arena, line, &action, &inner) != QN_OK)
        return qn_fail(err, QN_EINVAL, "Malformed action/metadata line [%zu]: %.400s",
                       b->line, inner.text);
    if (action->kind != QN_JSON_OBJECT || action->count != 1 ||
        action->first->kind != QN_JSON_OBJECT)
        return malformed(b, "expected {\"index\": {...}} or another action", err);
    if (!action_kind(action->first->key, &it.op.kind, &it.action))
        return qn_fail(err, QN_EINVAL,
                       "Malformed action/metadata line [%zu], expected one of [create, "
                       "delete, index, update] but found [%.*s]",
                       b->line,
                       action->first->key.n > 60 ? 60 : (int)action->first->key.n,
                       action->first->key.p);
    QN_TRY(read_meta(b, action->first, line, &m, err));
    if (qn_slice_eq_str(m.op_type, "create") && it.op.kind == QUERN_OP_INDEX) {
        it.op.kind = QUERN_OP_CREATE;
        it.action = "create";
    }
    it.op.if_seq_no = m.if_seq_no;
    if (m.id.n > 0) {
        it.op.id = m.id.p;
        it.op.id_size = m.id.n;
    }
    it.table = m.index.n > 0 ? qn_arena_strndup(b->c->arena, m.index.p, m.index.n)
                             : b->default_table;
    if (it.table == NULL)
        return qn_fail(err, QN_EINVAL,
                       "Validation Failed: line [%zu]: index is missing;", b->line);
    bool needs_id = it.op.kind == QUERN_OP_UPDATE || it.op.kind == QUERN_OP_DELETE;
    if (needs_id && it.op.id == NULL)
        return qn_fail(err, QN_EINVAL, "Validation Failed: line [%zu]: id is missing;",
                       b->line);
    QN_TRY(read_source(b, &it, err));
    if (!it.refused && qn_write_read_version(&it.op, m.version_type, m.version != NULL,
                                             m.version == NULL ? 0 : m.version->integer,
                                             &inner) != QN_OK)
        QN_TRY(refuse(b, &it, &inner, err));
    if (m.if_primary_term != 1 && !it.refused) {
        (void)qn_fail(&inner, QN_ECONFLICT,
                      "version conflict, required primary term [%" PRId64
                      "], current primary term [1]",
                      m.if_primary_term);
        QN_TRY(refuse(b, &it, &inner, err));
    }
    if (b->items.n == QN_LIMIT_BULK_OPERATIONS)
        return qn_fail(err, QN_ELIMIT, "more than %d operations in one bulk request",
                       QN_LIMIT_BULK_OPERATIONS);
    if (!qn_vec_push(b->alloc, &b->items, it))
        return qn_fail(err, QN_ENOMEM, "no memory for the bulk request");
    return QN_OK;
}

static qn_status read_lines(bulk *b, qn_error *err)
{
    b->rest = b->c->request->body;
    if (b->rest.n == 0) return qn_fail(err, QN_EINVAL, "request body is required");
    if (b->rest.p[b->rest.n - 1] != '\n')
        return qn_fail(err, QN_EINVAL,
                       "The bulk request must be terminated by a newline [\\n]");
    while (b->rest.n > 0) {
        qn_slice line = next_line(b);
        if (qn_slice_trim(line).n > 0) QN_TRY(read_action(b, line, err));
    }
    if (b->items.n == 0)
        return qn_fail(err, QN_EINVAL, "Validation Failed: 1: no requests added;");
    return QN_OK;
}

/* Items [begin, end): one table, none refused. A failure of the whole write is the
 * failure of each. */
static qn_status write_run(bulk *b, size_t begin, size_t end, bool refresh,
                           qn_error *err)
{
    size_t n = end - begin;
    item *items = b->items.p + begin;
    quern_op *ops = qn_arena_array(b->c->arena, n, sizeof *ops);
    quern_op_result *results = qn_arena_array(b->c->arena, n, sizeof *results);
    if (ops == NULL || results == NULL)
        return qn_fail(err, QN_ENOMEM, "no memory for the bulk request");
    quern_write_options o = QUERN_WRITE_OPTIONS_INIT;
    o.refresh = refresh;
    o.create_table = true;
    o.cancel = b->c->request->cancelled;
    for (size_t i = 0; i < n; i++) ops[i] = items[i].op;
    qn_error why = {0};
    qn_status st = quern_write(b->c->q, items[0].table, ops, n, &o, results, &why);
    if (st == QN_ECANCELLED)
        return qn_fail(err, QN_ECANCELLED, "the client left before the end");
    for (size_t i = 0; i < n; i++) {
        items[i].result = &results[i];
        if (st != QN_OK) QN_TRY(refuse(b, &items[i], &why, err));
    }
    return QN_OK;
}

static qn_status write_items(bulk *b, bool refresh, qn_error *err)
{
    for (size_t i = 0; i < b->items.n;) {
        size_t end = i;
        while (end < b->items.n && !b->items.p[end].refused &&
               strcmp(b->items.p[end].table, b->items.p[i].table) == 0)
            end++;
        if (end > i) QN_TRY(write_run(b, i, end, refresh, err));
        i = end > i ? end : i + 1;
    }
    return QN_OK;
}

static bool is_error(const item *it)
{
    bool missing = it->op.kind == QUERN_OP_DELETE && it->result->status == QN_ENODOC &&
                   !it->refused;
    return it->result->status != QN_OK && !missing;
}

static void write_item(qn_call *c, const item *it)
{
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_key(w, it->action);
    qn_json_begin_object(w);
    if (is_error(it)) {
        qn_json_member_str(w, "_index", it->table);
        qn_json_key(w, "_id");
        if (it->result->id[0] != '\0')
            qn_json_str(w, it->result->id);
        else if (it->op.id != NULL)
            qn_json_string(w, (qn_slice){it->op.id, it->op.id_size});
        else
            qn_json_null(w);
        qn_json_member_int(w, "status", qn_write_result_status(&it->op, it->result));
        qn_json_key(w, "error");
        qn_es_error_object(c, w, &it->result->error, it->table);
    } else {
        qn_write_result_members(w, it->table, it->result);
        qn_json_member_int(w, "status", qn_write_result_status(&it->op, it->result));
    }
    qn_json_end_object(w);
    qn_json_end_object(w);
}

static qn_status run_bulk(bulk *b, qn_error *err)
{
    bool refresh = false, errors = false;
    int64_t begin_ns = qn_clock_mono_ns();
    QN_TRY(qn_es_refresh_param(b->c, &refresh, err));
    QN_TRY(read_lines(b, err));
    QN_TRY(write_items(b, refresh, err));
    for (size_t i = 0; i < b->items.n; i++) errors |= is_error(&b->items.p[i]);
    qn_call_json(b->c, 200);
    qn_json_writer *w = &b->c->w;
    qn_json_begin_object(w);
    qn_json_member_bool(w, "errors", errors);
    qn_json_member_int(w, "took", (qn_clock_mono_ns() - begin_ns) / 1000000);
    qn_json_key(w, "items");
    qn_json_begin_array(w);
    for (size_t i = 0; i < b->items.n; i++) write_item(b->c, &b->items.p[i]);
    qn_json_end_array(w);
    qn_json_end_object(w);
    return QN_OK;
}

qn_status qn_es_bulk(qn_call *c, qn_error *err)
{
    bulk b = {.c = c, .alloc = c->out->body.alloc};
    if (qn_route_arg(&c->match, "index").n > 0)
        QN_TRY(qn_call_table(c, &b.default_table, err));
    qn_status st = run_bulk(&b, err);
    qn_vec_deinit(b.alloc, &b.items);
    return st;
}

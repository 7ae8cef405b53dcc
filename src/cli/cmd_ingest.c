/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_ingest.c -- quern ingest TABLE FILE...
 *
 * Every format becomes the same thing: operations with an id and a JSON object, written
 * in batches. A document that does not fit is reported with its file and line, the others
 * go on; the exit code is then 1. */
#include "cli/cli.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/vec.h"
#include "io/json.h"

#include <string.h>

const cli_option cmd_ingest_options[] = {
    {"format", CLI_TEXT, "jsonl|bulk|csv|tsv|ha3", "by the file's ending, else jsonl",
     "what the files hold", 0, 0},
    {"id", CLI_TEXT, "FIELD", "_id, then id, then the schema's primary key",
     "the field that names a document", 0, 0},
    {"batch", CLI_INT, "N", "500", "documents a commit", 1, 100000},
    {"no-sync", CLI_FLAG, NULL, "", "acknowledge before the log is on disk", 0, 0},
    {"server", CLI_TEXT, "URL", "$QUERN_SERVER", "go through a running server", 0, 0},
    {NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0},
};

typedef enum input_format { JSONL, BULK, CSV, TSV, HA3 } input_format;

typedef struct pending {
    quern_op op;
    uint64_t line;
} pending;

typedef struct ingest {
    cli *c;
    const char *table, *id_field, *path;
    input_format format;
    size_t batch;
    qn_arena arena; /* ids and sources of the batch */
    QN_VEC(pending) waiting;
    uint64_t bytes; /* of the sources written */
    size_t written, refused, errors_shown;
    cli_progress progress;
    /* csv, tsv: names of the columns; bulk: the action line read before its document */
    QN_VEC(qn_slice) columns;
    qn_buf record; /* csv: the lines of a record that is not at its end yet */
    uint64_t record_line;
    qn_arena names;
    quern_op action;
    bool have_action;
} ingest;

enum { ERRORS_SHOWN_MAX = 10 };

static void report(ingest *g, uint64_t line, const char *text)
{
    g->refused++;
    if (g->errors_shown++ < ERRORS_SHOWN_MAX) {
        cli_progress_end(&g->progress);
        (void)fprintf(stderr, "quern: %s:%llu: %s\n", g->path, (unsigned long long)line,
                      text);
    } else if (g->errors_shown == ERRORS_SHOWN_MAX + 1) {
        (void)fprintf(stderr,
                      "quern: more refused documents follow; only counted from here\n");
    }
}

/* The batch as Elasticsearch action lines, to a server. */
static bool send_batch(ingest *g)
{
    static const char *const actions[] = {"index", "create", "update", "update",
                                          "delete"};
    qn_buf body, reply;
    qn_json_writer w;
    qn_buf_init(&body, qn_alloc_heap());
    qn_buf_init(&reply, qn_alloc_heap());
    for (size_t i = 0; i < g->waiting.n; i++) {
        const quern_op *op = &g->waiting.p[i].op;
        qn_json_writer_init(&w, &body, false);
        qn_json_begin_object(&w);
        qn_json_key(&w, actions[op->kind]);
        qn_json_begin_object(&w);
        if (op->id != NULL)
            qn_json_member_slice(&w, "_id", (qn_slice){op->id, op->id_size});
        qn_json_end_object(&w);
        qn_json_end_object(&w);
        qn_buf_add_char(&body, '\n');
        if (op->kind == QUERN_OP_DELETE) continue;
        bool update = op->kind == QUERN_OP_UPDATE || op->kind == QUERN_OP_UPSERT;
        if (update) qn_buf_add_str(&body, "{\"doc\":");
        qn_buf_add(&body, op->source, op->source_size);
        if (op->kind == QUERN_OP_UPSERT)
            qn_buf_add_str(&body, ",\"doc_as_upsert\":true");
        qn_buf_add_str(&body, update ? "}\n" : "\n");
    }
    char path[600];
    (void)snprintf(path, sizeof path, "/%s/_bulk", g->table);
    int code = cli_remote(g->c, "POST", path, "application/x-ndjson",
                          qn_buf_slice(&body), &reply);
    qn_arena arena;
    const qn_json *root = NULL;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    if (code == 0 &&
        qn_json_parse(&arena, qn_buf_slice(&reply), &root, NULL) == QN_OK) {
        size_t i = 0;
        for (const qn_json *it = qn_json_items(qn_json_get(root, "items"));
             it != NULL && i < g->waiting.n; it = it->next, i++) {
            const qn_json *error = qn_json_get(it->first, "error");
            const qn_json *reason = qn_json_get(error, "reason");
            if (error == NULL)
                g->written++;
            else
                report(g, g->waiting.p[i].line,
                       reason == NULL ? "refused"
                                      : qn_arena_strndup(&arena, reason->string.p,
                                                         reason->string.n));
        }
    }
    qn_arena_deinit(&arena);
    qn_buf_deinit(&body);
    qn_buf_deinit(&reply);
    return code == 0;
}

static bool refresh_remote(ingest *g)
{
    char path[600];
    qn_buf reply;
    qn_buf_init(&reply, qn_alloc_heap());
    (void)snprintf(path, sizeof path, "/%s/_refresh", g->table);
    int code = cli_remote(g->c, "POST", path, NULL, (qn_slice){"", 0}, &reply);
    qn_buf_deinit(&reply);
    return code == 0;
}

static void progressed(void *ctx, size_t done, size_t total)
{
    ingest *g = ctx;
    (void)total;
    cli_progress_at(&g->progress, g->written + g->refused + done);
}

static bool write_batch(ingest *g)
{
    size_t n = g->waiting.n;
    quern_op *ops = qn_arena_array(&g->arena, n, sizeof *ops);
    quern_op_result *results = qn_new_array(qn_alloc_heap(), n, sizeof *results);
    quern_write_options o = QUERN_WRITE_OPTIONS_INIT;
    o.create_table = true;
    o.progress = progressed;
    o.progress_ctx = g;
    if (ops == NULL || results == NULL) {
        qn_delete(qn_alloc_heap(), results);
        (void)qn_fail(&g->c->err, QN_ENOMEM,
                      "out of memory for a batch of %zu documents", n);
        return false;
    }
    for (size_t i = 0; i < n; i++) ops[i] = g->waiting.p[i].op;
    bool ok = quern_write(g->c->q, g->table, ops, n, &o, results, &g->c->err) == QN_OK;
    for (size_t i = 0; ok && i < n; i++) {
        if (results[i].status == QN_OK)
            g->written++;
        else
            report(g, g->waiting.p[i].line, results[i].error.text);
    }
    qn_delete(qn_alloc_heap(), results);
    return ok;
}

/* Writes what waits. False: the write as a whole failed (g->c->err). */
static bool flush_batch(ingest *g)
{
    if (g->waiting.n == 0) return true;
    bool ok = cli_server(g->c) != NULL ? send_batch(g) : write_batch(g);
    g->waiting.n = 0;
    qn_arena_deinit(&g->arena);
    cli_progress_at(&g->progress, g->written);
    return ok;
}

/* Takes over copies of id and source. */
static bool add(ingest *g, quern_op_kind kind, qn_slice id, qn_slice source,
                uint64_t line)
{
    pending p = {.op = {.kind = kind, .if_seq_no = QUERN_SEQ_NONE}, .line = line};
    if (id.p != NULL) {
        p.op.id = qn_arena_strndup(&g->arena, id.p, id.n);
        p.op.id_size = id.n;
    }
    p.op.source = qn_arena_strndup(&g->arena, source.p, source.n);
    p.op.source_size = source.n;
    if (p.op.source == NULL || (id.p != NULL && p.op.id == NULL) ||
        !qn_vec_push(qn_alloc_heap(), &g->waiting, p)) {
        (void)qn_fail(&g->c->err, QN_ENOMEM, "out of memory");
        return false;
    }
    g->bytes += source.n;
    return g->waiting.n < g->batch || flush_batch(g);
}

/* The text of a member that names the document; numbers as they are written. */
static qn_slice id_text(const qn_json *v)
{
    if (v == NULL || v->kind == QN_JSON_NULL) return (qn_slice){NULL, 0};
    return v->kind == QN_JSON_STRING ? v->string : v->raw;
}

static qn_slice find_id(const ingest *g, const qn_json *object)
{
    if (g->id_field != NULL) return id_text(qn_json_get(object, g->id_field));
    qn_slice id = id_text(qn_json_get(object, "_id"));
    return id.p != NULL ? id : id_text(qn_json_get(object, "id"));
}

/* `_id` is the document's name, not one of its fields: it is left out of the source. */
static qn_slice without_id_member(ingest *g, const qn_json *object, qn_slice line)
{
    if (qn_json_get(object, "_id") == NULL) return line;
    qn_buf out;
    qn_json_writer w;
    qn_buf_init(&out, qn_alloc_heap());
    qn_json_writer_init(&w, &out, false);
    qn_json_begin_object(&w);
    for (const qn_json *it = qn_json_items(object); it != NULL; it = it->next) {
        if (qn_slice_eq_str(it->key, "_id")) continue;
        qn_json_key_slice(&w, it->key);
        qn_json_raw(&w, it->raw);
    }
    qn_json_end_object(&w);
    qn_slice copy = qn_arena_slice(&g->arena, qn_buf_slice(&out));
    qn_buf_deinit(&out);
    return copy;
}

static bool take_jsonl(ingest *g, qn_slice line, uint64_t number)
{
    qn_arena scratch;
    const qn_json *root = NULL;
    qn_error err = {0};
    qn_arena_init(&scratch, qn_alloc_heap(), 0);
    bool ok = true;
    if (qn_json_parse(&scratch, line, &root, &err) != QN_OK) {
        report(g, number, err.text);
    } else if (root->kind != QN_JSON_OBJECT) {
        report(g, number, "a document is a JSON object");
    } else {
        qn_slice id = find_id(g, root);
        if (g->id_field != NULL && id.p == NULL)
            report(g, number, "the document has no value in the field that --id names");
        else
            ok = add(g, QUERN_OP_INDEX, id, without_id_member(g, root, line), number);
    }
    qn_arena_deinit(&scratch);
    return ok;
}

static bool bulk_action(ingest *g, const qn_json *root, uint64_t number)
{
    static const struct {
        const char *name;
        quern_op_kind kind;
    } kinds[] = {{"index", QUERN_OP_INDEX},
                 {"create", QUERN_OP_CREATE},
                 {"update", QUERN_OP_UPDATE},
                 {"delete", QUERN_OP_DELETE}};
    const qn_json *member = root->kind == QN_JSON_OBJECT ? root->first : NULL;
    for (size_t i = 0; member != NULL && i < sizeof kinds / sizeof *kinds; i++) {
        if (!qn_slice_eq_str(member->key, kinds[i].name)) continue;
        qn_slice id = qn_arena_slice(&g->arena, id_text(qn_json_get(member, "_id")));
        g->action = (quern_op){
            .kind = kinds[i].kind, .id = id.n > 0 ? id.p : NULL, .id_size = id.n};
        g->have_action = kinds[i].kind != QUERN_OP_DELETE;
        if (g->have_action) return true;
        return add(g, QUERN_OP_DELETE, (qn_slice){g->action.id, g->action.id_size},
                   (qn_slice){"", 0}, number);
    }
    report(g, number, "expected an action line: index, create, update or delete");
    return true;
}

static bool take_bulk(ingest *g, qn_slice line, uint64_t number)
{
    qn_arena scratch;
    const qn_json *root = NULL;
    qn_error err = {0};
    bool ok = true;
    qn_arena_init(&scratch, qn_alloc_heap(), 0);
    if (qn_json_parse(&scratch, line, &root, &err) != QN_OK) {
        report(g, number, err.text);
        g->have_action = false;
    } else if (!g->have_action) {
        ok = bulk_action(g, root, number);
    } else {
        const qn_json *doc = qn_json_get(root, "doc"),
                      *upsert = qn_json_get(root, "doc_as_upsert");
        bool update = g->action.kind == QUERN_OP_UPDATE && doc != NULL;
        quern_op_kind kind = update && upsert != NULL && upsert->boolean
                                 ? QUERN_OP_UPSERT
                                 : g->action.kind;
        g->have_action = false;
        ok = add(g, kind, (qn_slice){g->action.id, g->action.id_size},
                 update ? doc->raw : line, number);
    }
    qn_arena_deinit(&scratch);
    return ok;
}

/* One cell of a csv or tsv line from *at; quotes as in RFC 4180. */
static qn_slice next_cell(qn_slice line, size_t *at, char comma, qn_buf *unquoted)
{
    qn_buf_reset(unquoted);
    size_t i = *at;
    if (comma == ',' && i < line.n && line.p[i] == '"') {
        for (i++; i < line.n; i++) {
            if (line.p[i] == '"' && (i + 1 == line.n || line.p[i + 1] != '"')) break;
            if (line.p[i] == '"') i++;
            qn_buf_add_char(unquoted, line.p[i]);
        }
        i = i < line.n ? i + 1 : i;
    } else {
        for (; i < line.n && line.p[i] != comma; i++)
            qn_buf_add_char(unquoted, line.p[i]);
    }
    *at = i < line.n ? i + 1 : line.n + 1;
    return qn_buf_slice(unquoted);
}

static bool ends_inside_quotes(qn_slice line)
{
    bool quoted = false;
    for (size_t i = 0, cell = 0; i < line.n; i++) {
        if (!quoted && line.p[i] == ',') cell = i + 1;
        if (line.p[i] == '"' && (quoted || i == cell)) quoted = !quoted;
        /* A doubled quote closes and opens again: the second one is no cell's begin. */
        if (line.p[i] == '"' && !quoted && i + 1 < line.n && line.p[i + 1] == '"')
            cell = i + 1;
    }
    return quoted;
}

static bool take_cells(ingest *g, qn_slice line, uint64_t number)
{
    char comma = g->format == CSV ? ',' : '\t';
    qn_buf cell, object;
    qn_json_writer w;
    qn_buf_init(&cell, qn_alloc_heap());
    qn_buf_init(&object, qn_alloc_heap());
    qn_json_writer_init(&w, &object, false);
    qn_json_begin_object(&w);
    bool header = g->columns.n == 0, ok = true;
    qn_slice id = {NULL, 0};
    const char *id_field = g->id_field == NULL ? "id" : g->id_field;
    size_t column = 0;
    for (size_t at = 0; ok && at <= line.n; column++) {
        qn_slice value = next_cell(line, &at, comma, &cell);
        if (header) {
            ok = qn_vec_push(qn_alloc_heap(), &g->columns,
                             qn_arena_slice(&g->names, value));
        } else if (column < g->columns.n) {
            qn_slice name = g->columns.p[column];
            if (qn_slice_eq_str(name, id_field) || qn_slice_eq_str(name, "_id"))
                id = qn_arena_slice(&g->arena, value);
            if (value.n == 0 || qn_slice_eq_str(name, "_id")) continue;
            qn_json_key_slice(&w, name);
            qn_json_string(&w, value);
        }
    }
    qn_json_end_object(&w);
    if (ok && !header) {
        if (column != g->columns.n)
            report(g, number,
                   "the line has another number of cells than the first line");
        else
            ok = add(g, QUERN_OP_INDEX, id, qn_buf_slice(&object), number);
    }
    qn_buf_deinit(&cell);
    qn_buf_deinit(&object);
    return ok;
}

/* A quoted cell may hold line breaks: lines are joined until its quotes close. */
static bool take_csv(ingest *g, qn_slice line, uint64_t number)
{
    if (g->record.n == 0 && qn_slice_trim(line).n == 0) return true;
    if (g->record.n == 0 && !ends_inside_quotes(line))
        return take_cells(g, line, number);
    if (g->record.n == 0)
        g->record_line = number;
    else
        qn_buf_add_char(&g->record, '\n');
    qn_buf_add_slice(&g->record, line);
    if (ends_inside_quotes(qn_buf_slice(&g->record))) return true;
    bool ok = take_cells(g, qn_buf_slice(&g->record), g->record_line);
    qn_buf_reset(&g->record);
    return ok;
}

/* ---- ha3: CMD=add^_\nfield=value^_\n...^^\n -------------------------------------- */

typedef struct ha3_document {
    qn_buf object, value;
    qn_json_writer w;
    qn_slice name; /* of the field whose value is still open */
    qn_buf name_text;
    quern_op_kind kind;
    qn_buf id;
    bool open, have_id;
    uint64_t line;
} ha3_document;

static void ha3_reset(ha3_document *d)
{
    qn_buf_reset(&d->object);
    qn_buf_reset(&d->value);
    qn_buf_reset(&d->id);
    qn_json_writer_init(&d->w, &d->object, false);
    qn_json_begin_object(&d->w);
    d->kind = QUERN_OP_INDEX;
    d->open = d->have_id = false;
    d->line = 0;
}

static void ha3_end_field(const ingest *g, ha3_document *d)
{
    qn_slice name = qn_buf_slice(&d->name_text), value = qn_buf_slice(&d->value);
    const char *id_field = g->id_field == NULL ? "id" : g->id_field;
    if (qn_slice_eq_str(name, "CMD")) {
        if (qn_slice_eq_str(value, "delete"))
            d->kind = QUERN_OP_DELETE;
        else if (qn_slice_starts_with(value, "update"))
            d->kind = QUERN_OP_UPDATE;
    } else {
        if (qn_slice_eq_str(name, id_field)) {
            qn_buf_add_slice(&d->id, value);
            d->have_id = true;
        }
        qn_json_key_slice(&d->w, name);
        qn_json_string(&d->w, value);
    }
    qn_buf_reset(&d->value);
    d->open = false;
}

static bool take_ha3(ingest *g, ha3_document *d, qn_slice line, uint64_t number)
{
    if (line.n > 0 && line.p[0] == '\x1E') {
        qn_json_end_object(&d->w);
        qn_slice id = d->have_id ? qn_buf_slice(&d->id) : (qn_slice){NULL, 0};
        bool ok =
            d->line == 0 || add(g, d->kind, id, qn_buf_slice(&d->object), d->line);
        ha3_reset(d);
        return ok;
    }
    if (line.n == 0 && !d->open) return true;
    if (d->line == 0) d->line = number;
    bool ends = line.n > 0 && line.p[line.n - 1] == '\x1F';
    if (ends) line.n--;
    const char *equals = d->open ? NULL : memchr(line.p, '=', line.n);
    if (!d->open && equals == NULL) {
        report(g, number, "expected field=value");
        return true;
    }
    if (equals != NULL) {
        size_t n = (size_t)(equals - line.p);
        qn_buf_reset(&d->name_text);
        qn_buf_add(&d->name_text, line.p, n);
        line = (qn_slice){equals + 1, line.n - n - 1};
    } else {
        qn_buf_add_char(&d->value, '\n');
    }
    qn_buf_add_slice(&d->value, line);
    d->open = true;
    if (ends) ha3_end_field(g, d);
    return true;
}

/* ---- one file ---------------------------------------------------------------------- */

static bool format_of(const cli *c, const char *path, input_format *out)
{
    static const struct {
        const char *name, *ending;
        input_format format;
    } rows[] = {{"jsonl", ".jsonl", JSONL}, {"bulk", ".bulk", BULK},
                {"csv", ".csv", CSV},       {"tsv", ".tsv", TSV},
                {"ha3", ".ha3", HA3},       {"jsonl", ".json", JSONL},
                {"bulk", ".ndjson", BULK}};
    const char *given = cli_text(c, "format", NULL);
    qn_slice name = qn_slice_of(path);
    if (qn_slice_ends_with(name, ".gz")) name.n -= 3;
    *out = JSONL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool match = given != NULL ? strcmp(given, rows[i].name) == 0
                                   : qn_slice_ends_with(name, rows[i].ending);
        if (!match) continue;
        *out = rows[i].format;
        return true;
    }
    if (given == NULL) return true;
    return cli_usage(c, "--format is jsonl, bulk, csv, tsv or ha3, not '%s'", given),
           false;
}

static bool ingest_file(ingest *g, const char *path)
{
    cli_lines in;
    ha3_document d = {0};
    g->path = path;
    g->columns.n = 0;
    g->have_action = false;
    if (!cli_lines_open(&in, path, &g->c->err)) return false;
    qn_buf *bufs[] = {&d.object, &d.value, &d.id, &d.name_text};
    for (size_t i = 0; i < 4; i++) qn_buf_init(bufs[i], qn_alloc_heap());
    ha3_reset(&d);
    bool ok = true;
    qn_slice line;
    while (ok && cli_lines_next(&in, &line, &g->c->err)) {
        bool lines_only = g->format != HA3 && g->format != CSV;
        if (lines_only && qn_slice_trim(line).n == 0) continue;
        switch (g->format) {
        case JSONL:
            ok = take_jsonl(g, line, in.line_number);
            break;
        case BULK:
            ok = take_bulk(g, line, in.line_number);
            break;
        case CSV:
            ok = take_csv(g, line, in.line_number);
            break;
        case TSV:
            ok = take_cells(g, line, in.line_number);
            break;
        case HA3:
            ok = take_ha3(g, &d, line, in.line_number);
            break;
        }
    }
    if (ok && g->format == HA3 && d.line != 0) {
        static const char end[] = "\x1E";
        ok = take_ha3(g, &d, (qn_slice){end, 1}, in.line_number);
    }
    if (ok && g->record.n > 0)
        report(g, g->record_line, "a quoted cell is open to the end of the file");
    qn_buf_reset(&g->record);
    ok = ok && !in.failed && flush_batch(g);
    cli_lines_close(&in);
    for (size_t i = 0; i < 4; i++) qn_buf_deinit(bufs[i]);
    return ok;
}

static int finish(ingest *g, bool ok, int64_t started_ns)
{
    double seconds = (double)(qn_clock_mono_ns() - started_ns) / 1e9;
    cli_progress_end(&g->progress);
    int code = ok ? 0 : cli_fail(g->c, &g->c->err);
    if (!g->c->quiet)
        (void)fprintf(stderr, "%zu documents in %.1f s (%.0f/s, %.1f MB/s)%s",
                      g->written, seconds, (double)g->written / seconds,
                      (double)g->bytes / 1e6 / seconds, g->refused == 0 ? "\n" : "");
    if (g->refused > 0) (void)fprintf(stderr, ", %zu refused\n", g->refused);
    return code != 0 ? code : g->refused > 0 ? 1 : 0;
}

int cli_ingest(cli *c, const char *table, const char *const *paths, size_t count,
               size_t expected)
{
    ingest g = {.c = c, .table = table, .id_field = cli_text(c, "id", NULL)};
    g.batch = (size_t)cli_int(c, "batch", 500);
    qn_arena_init(&g.arena, qn_alloc_heap(), 0);
    qn_arena_init(&g.names, qn_alloc_heap(), 0);
    qn_buf_init(&g.record, qn_alloc_heap());
    cli_progress_begin(&g.progress, c, "ingesting", expected);
    int64_t started = qn_clock_mono_ns();
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        if (!format_of(c, paths[i], &g.format)) return 2;
        ok = ingest_file(&g, paths[i]);
    }
    if (ok && c->q != NULL) ok = quern_refresh(c->q, g.table, &c->err) == QN_OK;
    if (ok && c->q == NULL) ok = refresh_remote(&g);
    int code = finish(&g, ok, started);
    qn_arena_deinit(&g.arena);
    qn_arena_deinit(&g.names);
    qn_buf_deinit(&g.record);
    qn_vec_deinit(qn_alloc_heap(), &g.waiting);
    qn_vec_deinit(qn_alloc_heap(), &g.columns);
    return code;
}

int cmd_ingest(cli *c)
{
    if (cli_server(c) == NULL && !cli_open(c))
        return qn_status_describe(c->err.code)->exit_code;
    return cli_ingest(c, c->arguments[0], c->arguments + 1, c->argument_count - 1, 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_table.c -- quern table ... */
#include "cli/cli.h"

#include "io/json.h"

#include <string.h>
#include <unistd.h>

enum { SCHEMA_MAX_BYTES = 16 << 20 };

const cli_option cmd_table_options[] = {
    {"server", CLI_TEXT, "URL", "$QUERN_SERVER", "go through a running server", 0, 0},
    {"format", CLI_TEXT, "table|json", "table", "how to print", 0, 0},
    {NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0},
};

const cli_option cmd_table_create_options[] = {
    {"schema", CLI_TEXT, "FILE", "",
     "Retrieval Engine schema or mapping (- is standard input)", 0, 0},
    {"durability", CLI_TEXT, "request|async", "the schema's",
     "acknowledge writes on the disk, or before", 0, 0},
    {"sync-interval", CLI_TEXT, "TIME", "5s",
     "async: on the disk after so long (100ms or more)", 0, 0},
    {"server", CLI_TEXT, "URL", "$QUERN_SERVER", "go through a running server", 0, 0},
    {NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0},
};

const cli_option cmd_table_set_options[] = {
    {"durability", CLI_TEXT, "request|async", "",
     "acknowledge writes on the disk, or before", 0, 0},
    {"sync-interval", CLI_TEXT, "TIME", "",
     "async: on the disk after so long (100ms or more)", 0, 0},
    {"server", CLI_TEXT, "URL", "$QUERN_SERVER", "go through a running server", 0, 0},
    {NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0},
};

/* A request to the server that answers for the table; prints the reply. */
static int through_server(cli *c, const char *method, const char *suffix, qn_slice body)
{
    char path[1024];
    qn_buf reply;
    (void)snprintf(path, sizeof path, "/%s%s",
                   c->argument_count > 0 ? c->arguments[0] : "", suffix);
    qn_buf_init(&reply, qn_alloc_heap());
    int code = cli_remote(c, method, path, "application/json", body, &reply);
    if (code == 0) cli_print_json(stdout, qn_buf_slice(&reply));
    qn_buf_deinit(&reply);
    return code;
}

/* --durability and --sync-interval as settings; false: neither was given. */
static bool policy_settings(const cli *c, qn_buf *out)
{
    const char *durability = cli_text(c, "durability", NULL),
               *interval = cli_text(c, "sync-interval", NULL);
    qn_json_writer w;
    qn_json_writer_init(&w, out, false);
    qn_json_begin_object(&w);
    if (durability != NULL)
        qn_json_member_str(&w, "index.translog.durability", durability);
    if (interval != NULL)
        qn_json_member_str(&w, "index.translog.sync_interval", interval);
    qn_json_end_object(&w);
    return durability != NULL || interval != NULL;
}

static int set_policy(cli *c, qn_slice settings)
{
    if (cli_server(c) != NULL) return through_server(c, "PUT", "/_settings", settings);
    if (c->q == NULL && !cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    return quern_table_set(c->q, c->arguments[0], settings.p, settings.n, &c->err) ==
                   QN_OK
               ? 0
               : cli_fail(c, &c->err);
}

int cmd_table_set(cli *c)
{
    qn_buf settings;
    qn_buf_init(&settings, qn_alloc_heap());
    int code = policy_settings(c, &settings)
                   ? set_policy(c, qn_buf_slice(&settings))
                   : cli_usage(c, "--durability or --sync-interval is needed");
    qn_buf_deinit(&settings);
    return code;
}

int cmd_table_create(cli *c)
{
    const char *path = cli_text(c, "schema", NULL);
    if (path == NULL)
        return cli_usage(c, "--schema FILE is needed: what the table is made of");
    qn_buf schema;
    qn_buf_init(&schema, qn_alloc_heap());
    int code = 0;
    if (!cli_read_all(path, SCHEMA_MAX_BYTES, &schema, &c->err)) {
        code = cli_fail(c, &c->err);
    } else if (cli_server(c) != NULL) {
        code = through_server(c, "PUT", "", qn_buf_slice(&schema));
    } else if (!cli_open(c)) {
        code = qn_status_describe(c->err.code)->exit_code;
    } else if (quern_table_create(c->q, c->arguments[0],
                                  schema.p == NULL ? "" : schema.p, schema.n,
                                  &c->err) != QN_OK) {
        code = cli_fail_at(c, &c->err, qn_buf_slice(&schema));
    } else if (!c->quiet) {
        (void)fprintf(stderr, "table %s created\n", c->arguments[0]);
    }
    qn_buf_deinit(&schema);
    qn_buf settings;
    qn_buf_init(&settings, qn_alloc_heap());
    if (code == 0 && policy_settings(c, &settings))
        code = set_policy(c, qn_buf_slice(&settings));
    qn_buf_deinit(&settings);
    return code;
}

typedef struct listing {
    cli *c;
    cli_table table;
    bool json;
    size_t count;
} listing;

static bool list_one(void *ctx, const char *name)
{
    listing *l = ctx;
    uint64_t documents = 0;
    if (quern_count_all(l->c->q, name, &documents, NULL) != QN_OK) documents = 0;
    if (l->json) {
        (void)printf("%s{\"name\":\"%s\",\"documents\":%llu}", l->count > 0 ? "," : "",
                     name, (unsigned long long)documents);
    } else {
        cli_table_cell(&l->table, "%s", name);
        cli_table_cell(&l->table, "%llu", (unsigned long long)documents);
    }
    l->count++;
    return true;
}

int cmd_table_list(cli *c)
{
    static const char *const titles[] = {"table", "documents"};
    static const cli_align aligns[] = {CLI_LEFT, CLI_RIGHT};
    if (cli_server(c) != NULL) {
        qn_buf reply;
        qn_buf_init(&reply, qn_alloc_heap());
        int code =
            cli_remote(c, "GET", "/_quern/tables", NULL, (qn_slice){"", 0}, &reply);
        if (code == 0) cli_print_json(stdout, qn_buf_slice(&reply));
        qn_buf_deinit(&reply);
        return code;
    }
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    listing l = {.c = c, .json = cli_wants_json(c)};
    cli_table_init(&l.table, 2, titles, aligns, NULL);
    if (l.json) (void)printf("[");
    qn_status st = quern_table_list(c->q, list_one, &l, &c->err);
    if (l.json)
        (void)printf("]\n");
    else if (l.count > 0)
        cli_table_print(&l.table, c, stdout);
    else if (!c->quiet)
        (void)fprintf(stderr, "no tables yet: 'quern table create --help'\n");
    cli_table_deinit(&l.table);
    return st == QN_OK ? 0 : cli_fail(c, &c->err);
}

typedef qn_status json_call(quern *q, const char *name, char **json, size_t *size,
                            qn_error *err);

static int print_json_of(cli *c, json_call *call)
{
    char *json = NULL;
    size_t size = 0;
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    qn_status st = call(c->q, c->arguments[0], &json, &size, &c->err);
    if (json != NULL) cli_print_json(stdout, (qn_slice){json, size});
    quern_free(json);
    return st == QN_OK ? 0 : cli_fail(c, &c->err);
}

int cmd_table_show(cli *c)
{
    if (cli_server(c) != NULL) return through_server(c, "GET", "", (qn_slice){"", 0});
    return print_json_of(c, quern_table_show);
}

/* ---- statistics as text ------------------------------------------------------------------ */

static bool is_bytes(qn_slice name, bool inside_bytes)
{
    return inside_bytes || qn_slice_eq_str(name, "bytes") ||
           qn_slice_ends_with(name, "_bytes");
}

static void print_number(qn_slice name, int64_t n, bool inside_bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double shown = (double)n;
    size_t unit = 0;
    if (!is_bytes(name, inside_bytes)) {
        (void)printf("%lld\n", (long long)n);
        return;
    }
    while (shown >= 1000 && unit + 1 < sizeof units / sizeof *units) {
        shown /= 1000;
        unit++;
    }
    (void)printf(unit == 0 ? "%.0f %s\n" : "%.1f %s\n", shown, units[unit]);
}

/* One member a line, those of objects further in; "memory_bytes" as "memory bytes". */
static void print_members(const qn_json *object, int indent, bool bytes)
{
    enum { VALUES_AT = 24 };
    for (const qn_json *it = qn_json_items(object); it != NULL; it = it->next) {
        if (it->kind == QN_JSON_ARRAY) continue;
        (void)printf("%*s", indent, "");
        for (size_t i = 0; i < it->key.n; i++)
            (void)putchar(it->key.p[i] == '_' ? ' ' : it->key.p[i]);
        if (it->kind == QN_JSON_OBJECT) {
            (void)printf("\n");
            print_members(it, indent + 2, qn_slice_eq_str(it->key, "bytes"));
            continue;
        }
        int gap = VALUES_AT - indent - (int)it->key.n;
        (void)printf("%*s", gap < 1 ? 1 : gap, "");
        if (it->kind == QN_JSON_INT)
            print_number(it->key, it->integer, bytes);
        else if (it->kind == QN_JSON_BOOL)
            (void)printf("%s\n", it->boolean ? "yes" : "no");
        else
            (void)printf("%.*s\n", QN_SLICE_ARG(it->kind == QN_JSON_STRING ? it->string
                                                                           : it->raw));
    }
}

static long long number_of(const qn_json *object, const char *key)
{
    const qn_json *v = qn_json_get(object, key);
    return v != NULL && v->kind == QN_JSON_INT ? (long long)v->integer : 0;
}

static void print_segments(const cli *c, const qn_json *list)
{
    static const char *const titles[] = {"segment", "documents", "deleted", "updated",
                                         "bytes"};
    static const cli_align aligns[] = {CLI_LEFT, CLI_RIGHT, CLI_RIGHT, CLI_RIGHT,
                                       CLI_RIGHT};
    cli_table t;
    if (list == NULL || list->count == 0) return;
    cli_table_init(&t, sizeof titles / sizeof *titles, titles, aligns, NULL);
    for (const qn_json *it = qn_json_items(list); it != NULL; it = it->next) {
        const qn_json *memory = qn_json_get(it, "in_memory");
        if (memory != NULL && memory->kind == QN_JSON_BOOL && memory->boolean)
            cli_table_cell(&t, "in memory");
        else
            cli_table_cell(&t, "%lld", number_of(it, "id"));
        for (size_t i = 1; i < sizeof titles / sizeof *titles; i++)
            cli_table_cell(&t, "%lld", number_of(it, titles[i]));
    }
    (void)printf("\n");
    cli_table_print(&t, c, stdout);
    cli_table_deinit(&t);
}

static void print_damage(const qn_json *list)
{
    for (const qn_json *it = qn_json_items(list); it != NULL; it = it->next) {
        const qn_json *text = qn_json_get(it, "text");
        if (text != NULL && text->kind == QN_JSON_STRING)
            (void)printf("\ndamaged: %.*s\n", QN_SLICE_ARG(text->string));
    }
}

static int print_stats(cli *c, qn_slice json)
{
    qn_arena arena;
    const qn_json *root = NULL;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_status st = qn_json_parse(&arena, json, &root, &c->err);
    if (st == QN_OK) {
        print_members(root, 0, false);
        print_segments(c, qn_json_get(root, "segments"));
        print_damage(qn_json_get(root, "damage"));
    }
    qn_arena_deinit(&arena);
    return st == QN_OK ? 0 : cli_fail(c, &c->err);
}

/* Text for a person at a terminal; for scripts JSON, as it has always been. */
int cmd_table_stats(cli *c)
{
    const char *format = cli_text(c, "format", isatty(1) ? "table" : "json");
    bool text = strcmp(format, "table") == 0;
    if (!text && strcmp(format, "json") != 0)
        return cli_usage(c, "--format is table or json, not '%s'", format);
    if (cli_server(c) != NULL)
        return through_server(c, "GET", "/_stats", (qn_slice){"", 0});
    if (!text) return print_json_of(c, quern_table_stats);
    char *json = NULL;
    size_t size = 0;
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    qn_status st = quern_table_stats(c->q, c->arguments[0], &json, &size, &c->err);
    int code =
        st == QN_OK ? print_stats(c, (qn_slice){json, size}) : cli_fail(c, &c->err);
    quern_free(json);
    return code;
}

int cmd_table_check(cli *c)
{
    return print_json_of(c, quern_table_check);
}

/* "table backup NAME DIR" and "table restore DIR NAME": with a server, DIR is the name of
 * a folder in its backup_dir. */
static int copy_through_server(cli *c, const char *table, const char *dir,
                               const char *verb)
{
    char path[1024];
    qn_buf body, reply;
    qn_buf_init(&body, qn_alloc_heap());
    qn_buf_init(&reply, qn_alloc_heap());
    qn_json_writer w;
    qn_json_writer_init(&w, &body, false);
    qn_json_begin_object(&w);
    qn_json_member_str(&w, "name", dir);
    qn_json_end_object(&w);
    (void)snprintf(path, sizeof path, "/_quern/tables/%s/%s", table, verb);
    int code =
        cli_remote(c, "POST", path, "application/json", qn_buf_slice(&body), &reply);
    if (code == 0) cli_print_json(stdout, qn_buf_slice(&reply));
    qn_buf_deinit(&body);
    qn_buf_deinit(&reply);
    return code;
}

typedef qn_status copy_call(quern *q, const char *from, const char *to, char **json,
                            size_t *size, qn_error *err);

static int copy_here(cli *c, copy_call *call)
{
    char *json = NULL;
    size_t size = 0;
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    qn_status st = call(c->q, c->arguments[0], c->arguments[1], &json, &size, &c->err);
    if (json != NULL) cli_print_json(stdout, (qn_slice){json, size});
    quern_free(json);
    return st == QN_OK ? 0 : cli_fail(c, &c->err);
}

int cmd_table_backup(cli *c)
{
    if (cli_server(c) != NULL)
        return copy_through_server(c, c->arguments[0], c->arguments[1], "backup");
    return copy_here(c, quern_table_backup);
}

int cmd_table_restore(cli *c)
{
    if (cli_server(c) != NULL)
        return copy_through_server(c, c->arguments[1], c->arguments[0], "restore");
    return copy_here(c, quern_table_restore);
}

int cmd_table_drop(cli *c)
{
    if (cli_server(c) != NULL)
        return through_server(c, "DELETE", "", (qn_slice){"", 0});
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    if (quern_table_drop(c->q, c->arguments[0], &c->err) != QN_OK)
        return cli_fail(c, &c->err);
    if (!c->quiet) (void)fprintf(stderr, "table %s dropped\n", c->arguments[0]);
    return 0;
}

int cmd_table_optimize(cli *c)
{
    if (cli_server(c) != NULL)
        return through_server(c, "POST", "/_forcemerge", (qn_slice){"", 0});
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    if (quern_table_optimize(c->q, c->arguments[0], &c->err) != QN_OK)
        return cli_fail(c, &c->err);
    return 0;
}

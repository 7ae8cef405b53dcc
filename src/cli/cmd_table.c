/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_table.c -- quern table ... */
#include "cli/cli.h"

#include "io/json.h"

#include <string.h>

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

int cmd_table_stats(cli *c)
{
    if (cli_server(c) != NULL)
        return through_server(c, "GET", "/_stats", (qn_slice){"", 0});
    return print_json_of(c, quern_table_stats);
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

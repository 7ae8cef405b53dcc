/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_plugin.c -- quern plugin ...: scorers in Cava of a table, here or on a server. */
#include "cli/cli.h"

#include "io/json.h"
#include "net/url.h"

#include <string.h>

enum { SOURCE_MAX_BYTES = 1 << 20 };

#define SERVER_OPTION                                                                  \
    {                                                                                  \
        "server", CLI_TEXT, "URL", "$QUERN_SERVER", "go through a running server", 0,  \
            0                                                                          \
    }
#define END_OPTION                                                                     \
    {                                                                                  \
        NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0                                         \
    }

const cli_option cmd_plugin_check_options[] = {
    END_OPTION,
};

const cli_option cmd_plugin_put_options[] = {
    {"draft", CLI_FLAG, NULL, "", "a new version that is not active yet", 0, 0},
    SERVER_OPTION,
    END_OPTION,
};

const cli_option cmd_plugin_options[] = {
    {"version", CLI_INT, "N", "the active one", "of which version", 1, UINT32_MAX},
    SERVER_OPTION,
    END_OPTION,
};

const cli_option cmd_plugin_test_options[] = {
    {"version", CLI_INT, "N", "the active one", "of which version", 1, UINT32_MAX},
    {"file", CLI_TEXT, "FILE", "", "a source, in the place of what is stored", 0, 0},
    {"query", CLI_TEXT, "TEXT", "", "the query", 0, 0},
    {"kind", CLI_TEXT, "words|ha3|dsl", "words", "what kind of query", 0, 0},
    {"id", CLI_TEXT, "ID", "", "the document", 0, 0},
    SERVER_OPTION,
    END_OPTION,
};

/* ---- bodies ----------------------------------------------------------------------------- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* The files of arguments [first, ...) as {"files": [...]}; a JSON file as it is. */
static int read_files(cli *c, size_t first, qn_buf *out)
{
    qn_json_writer w;
    qn_buf text;
    qn_buf_init(&text, qn_alloc_heap());
    if (c->argument_count == first + 1) {
        if (!cli_read_all(c->arguments[first], SOURCE_MAX_BYTES, &text, &c->err))
            return cli_fail(c, &c->err);
        qn_slice body = qn_slice_trim(qn_buf_slice(&text));
        if (body.n > 0 && body.p[0] == '{') {
            qn_buf_add_slice(out, body);
            qn_buf_deinit(&text);
            return 0;
        }
    }
    qn_json_writer_init(&w, out, false);
    qn_json_begin_object(&w);
    qn_json_key(&w, "files");
    qn_json_begin_array(&w);
    for (size_t i = first; i < c->argument_count; i++) {
        qn_buf_reset(&text);
        if (!cli_read_all(c->arguments[i], SOURCE_MAX_BYTES, &text, &c->err)) {
            qn_buf_deinit(&text);
            return cli_fail(c, &c->err);
        }
        qn_json_begin_object(&w);
        qn_json_member_str(&w, "name", base_name(c->arguments[i]));
        qn_json_member_slice(&w, "source", qn_buf_slice(&text));
        qn_json_end_object(&w);
    }
    qn_json_end_array(&w);
    qn_json_end_object(&w);
    qn_buf_deinit(&text);
    return 0;
}

/* What does not compile is shown as the compiler prints it. */
static int show_report(cli *c, qn_status st, char *json, size_t n)
{
    qn_arena arena;
    const qn_json *root = NULL;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    bool told = false;
    if (json != NULL &&
        qn_json_parse(&arena, (qn_slice){json, n}, &root, NULL) == QN_OK) {
        const qn_json *text = qn_json_get(root, "text");
        told = text != NULL && text->string.n > 0;
        if (told) (void)fprintf(stderr, "%.*s", QN_SLICE_ARG(text->string));
    }
    qn_arena_deinit(&arena);
    quern_free(json);
    if (told) return qn_status_describe(st)->exit_code;
    return cli_fail(c, &c->err);
}

static int print_reply(cli *c, qn_status st, char *json, size_t n)
{
    if (st == QN_EPLUGINCODE) return show_report(c, st, json, n);
    return cli_print_reply(c, st, json, n);
}

/* ---- through a server ------------------------------------------------------------------- */

static int remote(cli *c, const char *method, bool named, const char *tail,
                  qn_slice body)
{
    const char *const parts[] = {"plugins", named ? c->arguments[1] : NULL, NULL};
    return cli_remote_table(c, method, parts, tail, body);
}

/* ---- commands --------------------------------------------------------------------------- */

int cmd_plugin_check(cli *c)
{
    char *json = NULL;
    size_t n = 0;
    qn_buf body;
    qn_buf_init(&body, qn_alloc_heap());
    int code = read_files(c, 0, &body);
    if (code == 0) {
        qn_slice text = qn_buf_slice(&body);
        qn_status st =
            quern_plugin_check(NULL, NULL, text.p, text.n, &json, &n, &c->err);
        if (st == QN_OK && !c->quiet) (void)printf("it compiles\n");
        if (st != QN_OK)
            code = show_report(c, st, json, n);
        else
            quern_free(json);
    }
    qn_buf_deinit(&body);
    return code;
}

int cmd_plugin_put(cli *c)
{
    char *json = NULL;
    size_t n = 0;
    qn_buf body;
    qn_buf_init(&body, qn_alloc_heap());
    bool draft = cli_has(c, "draft");
    int code = read_files(c, 2, &body);
    qn_slice text = qn_buf_slice(&body);
    if (code == 0 && cli_server(c) != NULL) {
        code = remote(c, "PUT", true, draft ? "?draft" : "", text);
    } else if (code == 0) {
        if (cli_open(c)) {
            qn_status st = quern_plugin_put(c->q, c->arguments[0], c->arguments[1],
                                            text.p, text.n, draft, &json, &n, &c->err);
            code = print_reply(c, st, json, n);
        } else {
            code = qn_status_describe(c->err.code)->exit_code;
        }
    }
    qn_buf_deinit(&body);
    return code;
}

int cmd_plugin_list(cli *c)
{
    char *json = NULL;
    size_t n = 0;
    if (cli_server(c) != NULL) return remote(c, "GET", false, "", QN_SLICE_LIT(""));
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    qn_status st = quern_plugin_list(c->q, c->arguments[0], &json, &n, &c->err);
    return print_reply(c, st, json, n);
}

int cmd_plugin_show(cli *c)
{
    char *json = NULL, tail[64] = "";
    size_t n = 0;
    uint32_t version = (uint32_t)cli_int(c, "version", 0);
    if (version > 0) (void)snprintf(tail, sizeof tail, "?version=%u", version);
    if (cli_server(c) != NULL) return remote(c, "GET", true, tail, QN_SLICE_LIT(""));
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    qn_status st = quern_plugin_show(c->q, c->arguments[0], c->arguments[1], version,
                                     &json, &n, &c->err);
    return print_reply(c, st, json, n);
}

static int test_remote(cli *c, qn_slice source)
{
    qn_json_writer w;
    qn_buf body;
    qn_buf_init(&body, qn_alloc_heap());
    qn_json_writer_init(&w, &body, false);
    qn_json_begin_object(&w);
    qn_json_member_str(&w, "id", cli_text(c, "id", ""));
    qn_json_member_str(&w, "query", cli_text(c, "query", ""));
    qn_json_member_str(&w, "kind", cli_text(c, "kind", "words"));
    if (cli_int(c, "version", 0) > 0)
        qn_json_member_int(&w, "version", cli_int(c, "version", 0));
    if (source.n > 0) qn_json_member_slice(&w, "source", source);
    qn_json_end_object(&w);
    int code = remote(c, "POST", true, "/test", qn_buf_slice(&body));
    qn_buf_deinit(&body);
    return code;
}

static int test_here(cli *c, qn_slice source)
{
    static const char *const kinds[] = {"words", "ha3", "dsl"};
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    const char *kind = cli_text(c, "kind", "words"), *id = cli_text(c, "id", "");
    char *json = NULL;
    size_t n = 0, k = 0;
    while (k < 3 && strcmp(kind, kinds[k]) != 0) k++;
    if (k == 3) return cli_usage(c, "--kind is words, ha3 or dsl");
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    o.kind = (quern_query_kind)k;
    o.query = cli_text(c, "query", "");
    o.query_size = strlen(o.query);
    o.plugin = c->arguments[1];
    o.plugin_version = (uint32_t)cli_int(c, "version", 0);
    o.plugin_body = source.p;
    o.plugin_body_size = source.n;
    qn_status st = quern_plugin_test(c->q, c->arguments[0], id, strlen(id), &o, &json,
                                     &n, &c->err);
    return print_reply(c, st, json, n);
}

int cmd_plugin_test(cli *c)
{
    const char *file = cli_text(c, "file", NULL);
    qn_buf source;
    if (cli_text(c, "id", NULL) == NULL || cli_text(c, "query", NULL) == NULL)
        return cli_usage(c, "--id and --query are needed");
    qn_buf_init(&source, qn_alloc_heap());
    int code = 0;
    if (file != NULL && !cli_read_all(file, SOURCE_MAX_BYTES, &source, &c->err))
        code = cli_fail(c, &c->err);
    qn_slice text = file == NULL ? QN_SLICE_LIT("") : qn_buf_slice(&source);
    if (code == 0)
        code = cli_server(c) != NULL ? test_remote(c, text) : test_here(c, text);
    qn_buf_deinit(&source);
    return code;
}

int cmd_plugin_activate(cli *c)
{
    char body[64];
    uint32_t version = (uint32_t)cli_int(c, "version", 0);
    if (version == 0) return cli_usage(c, "--version N is needed");
    int n = snprintf(body, sizeof body, "{\"version\":%u}", version);
    if (cli_server(c) != NULL)
        return remote(c, "POST", true, "/activate", (qn_slice){body, (size_t)n});
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    qn_status st =
        quern_plugin_activate(c->q, c->arguments[0], c->arguments[1], version, &c->err);
    return st == QN_OK ? 0 : cli_fail(c, &c->err);
}

int cmd_plugin_rollback(cli *c)
{
    uint32_t version = 0;
    if (cli_server(c) != NULL)
        return remote(c, "POST", true, "/rollback", QN_SLICE_LIT(""));
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    if (quern_plugin_roll_back(c->q, c->arguments[0], c->arguments[1], &version,
                               &c->err) != QN_OK)
        return cli_fail(c, &c->err);
    if (!c->quiet) (void)printf("version %u is active\n", version);
    return 0;
}

int cmd_plugin_drop(cli *c)
{
    if (cli_server(c) != NULL) return remote(c, "DELETE", true, "", QN_SLICE_LIT(""));
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    if (quern_plugin_drop(c->q, c->arguments[0], c->arguments[1], &c->err) != QN_OK)
        return cli_fail(c, &c->err);
    return 0;
}

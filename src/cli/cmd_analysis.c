/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_analysis.c -- quern analysis: rules of query analysis and their dictionaries. */
#include "cli/cli.h"

#include "io/json.h"

#include <string.h>

enum { FILE_BYTES_MAX = 4 << 20 };

#define ANALYSIS_SERVER                                                                \
    {                                                                                  \
        "server", CLI_TEXT, "URL", "$QUERN_SERVER", "go through a running server", 0,  \
            0                                                                          \
    }
#define ANALYSIS_DICTIONARY                                                            \
    {                                                                                  \
        "dictionary", CLI_FLAG, NULL, "", "a dictionary, not a rule", 0, 0             \
    }
#define ANALYSIS_END                                                                   \
    {                                                                                  \
        NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0                                         \
    }

const cli_option cmd_analysis_put_options[] = {
    ANALYSIS_DICTIONARY,
    {"type", CLI_TEXT, "synonym|correction", "",
     "the file is plain text: synonym rules, or lines `word count`", 0, 0},
    {"syntax", CLI_TEXT, "solr|wordnet", "solr", "of synonym rules", 0, 0},
    {"draft", CLI_FLAG, NULL, "", "keep the version that is active", 0, 0},
    ANALYSIS_SERVER,
    ANALYSIS_END,
};
const cli_option cmd_analysis_options[] = {
    ANALYSIS_DICTIONARY,
    {"version", CLI_INT, "N", "the active one", "which version", 1, UINT32_MAX},
    ANALYSIS_SERVER,
    ANALYSIS_END,
};
const cli_option cmd_analysis_test_options[] = {
    {"rules", CLI_TEXT, "NAMES", "the active ones", "rules by name, commas between", 0,
     0},
    {"rule", CLI_TEXT, "FILE", "", "a rule that is not stored", 0, 0},
    {"disable", CLI_TEXT, "LIST", "", "as qp:stop_word,qp:synonym:title", 0, 0},
    ANALYSIS_SERVER,
    ANALYSIS_END,
};

static quern_analysis_kind kind_of(const cli *c)
{
    return cli_has(c, "dictionary") ? QUERN_ANALYSIS_DICTIONARY : QUERN_ANALYSIS_RULE;
}

/* 0 when the data folder is open. */
static int open_folder(cli *c)
{
    return cli_open(c) ? 0 : qn_status_describe(c->err.code)->exit_code;
}

/* One request to /_quern/tables/TABLE/analysis[/KIND/NAME]SUFFIX. */
static int remote(cli *c, const char *method, bool named, const char *tail,
                  qn_slice body)
{
    bool rule = kind_of(c) == QUERN_ANALYSIS_RULE;
    const char *const parts[] = {"analysis",
                                 !named ? NULL
                                 : rule ? "rules"
                                        : "dictionaries",
                                 named ? c->arguments[1] : NULL, NULL};
    return cli_remote_table(c, method, parts, tail, body);
}

/* ---- put ------------------------------------------------------------------------------ */

/* Plain text becomes a dictionary of its type. */
static bool read_body(cli *c, const char *path, qn_buf *out)
{
    qn_buf text;
    qn_json_writer w;
    const char *type = cli_text(c, "type", "");
    qn_buf_init(&text, qn_alloc_heap());
    bool good =
        cli_read_all(path, FILE_BYTES_MAX, type[0] == '\0' ? out : &text, &c->err);
    if (good && type[0] != '\0') {
        qn_json_writer_init(&w, out, false);
        qn_json_begin_object(&w);
        qn_json_member_str(&w, "type", type);
        qn_json_member_str(&w, "format", cli_text(c, "syntax", "solr"));
        qn_json_member_slice(&w, "text", qn_buf_slice(&text));
        qn_json_end_object(&w);
    }
    qn_buf_deinit(&text);
    return good;
}

static int put_body(cli *c, qn_slice body)
{
    char *json = NULL;
    size_t n = 0;
    bool draft = cli_has(c, "draft");
    if (cli_server(c) != NULL)
        return remote(c, "PUT", true, draft ? "?draft" : "", body);
    int code = open_folder(c);
    if (code != 0) return code;
    if (quern_analysis_put(c->q, c->arguments[0], kind_of(c), c->arguments[1], body.p,
                           body.n, draft, &json, &n, &c->err) != QN_OK)
        return cli_fail_at(c, &c->err, body);
    return cli_print_reply(c, QN_OK, json, n);
}

int cmd_analysis_put(cli *c)
{
    qn_buf body;
    if (cli_text(c, "type", "")[0] != '\0' && kind_of(c) == QUERN_ANALYSIS_RULE)
        return cli_usage(c, "--type is of dictionaries: add --dictionary");
    qn_buf_init(&body, qn_alloc_heap());
    int code = read_body(c, c->arguments[2], &body) ? put_body(c, qn_buf_slice(&body))
                                                    : cli_fail(c, &c->err);
    qn_buf_deinit(&body);
    return code;
}

static int entries_remote(cli *c, qn_slice body)
{
    const char *const parts[] = {"analysis", "dictionaries", c->arguments[1], "entries",
                                 NULL};
    return cli_remote_table(c, "POST", parts, "", body);
}

static int entries_here(cli *c, qn_slice body)
{
    char *json = NULL;
    size_t n = 0;
    int code = open_folder(c);
    if (code != 0) return code;
    if (quern_analysis_change(c->q, c->arguments[0], c->arguments[1], body.p, body.n,
                              &json, &n, &c->err) != QN_OK)
        return cli_fail_at(c, &c->err, body);
    return cli_print_reply(c, QN_OK, json, n);
}

int cmd_analysis_entries(cli *c)
{
    qn_buf body;
    int code = 0;
    qn_buf_init(&body, qn_alloc_heap());
    if (!cli_read_all(c->arguments[2], FILE_BYTES_MAX, &body, &c->err))
        code = cli_fail(c, &c->err);
    else if (cli_server(c) != NULL)
        code = entries_remote(c, qn_buf_slice(&body));
    else
        code = entries_here(c, qn_buf_slice(&body));
    qn_buf_deinit(&body);
    return code;
}

/* ---- the others ------------------------------------------------------------------------ */

int cmd_analysis_list(cli *c)
{
    char *json = NULL;
    size_t n = 0;
    if (cli_server(c) != NULL) return remote(c, "GET", false, "", QN_SLICE_LIT(""));
    int code = open_folder(c);
    if (code != 0) return code;
    if (quern_analysis_list(c->q, c->arguments[0], &json, &n, &c->err) != QN_OK)
        return cli_fail(c, &c->err);
    return cli_print_reply(c, QN_OK, json, n);
}

int cmd_analysis_show(cli *c)
{
    char *json = NULL;
    size_t n = 0;
    uint32_t version = (uint32_t)cli_int(c, "version", 0);
    char suffix[32] = "";
    if (version != 0) (void)snprintf(suffix, sizeof suffix, "?version=%u", version);
    if (cli_server(c) != NULL) return remote(c, "GET", true, suffix, QN_SLICE_LIT(""));
    int code = open_folder(c);
    if (code != 0) return code;
    if (quern_analysis_show(c->q, c->arguments[0], kind_of(c), c->arguments[1], version,
                            &json, &n, &c->err) != QN_OK)
        return cli_fail(c, &c->err);
    return cli_print_reply(c, QN_OK, json, n);
}

int cmd_analysis_activate(cli *c)
{
    char body[48];
    uint32_t version = (uint32_t)cli_int(c, "version", 0);
    if (version == 0) return cli_usage(c, "which one? add --version N");
    (void)snprintf(body, sizeof body, "{\"version\":%u}", version);
    if (cli_server(c) != NULL)
        return remote(c, "POST", true, "/activate", qn_slice_of(body));
    int code = open_folder(c);
    if (code != 0) return code;
    if (quern_analysis_activate(c->q, c->arguments[0], kind_of(c), c->arguments[1],
                                version, &c->err) != QN_OK)
        return cli_fail(c, &c->err);
    return 0;
}

int cmd_analysis_rollback(cli *c)
{
    uint32_t version = 0;
    if (cli_server(c) != NULL)
        return remote(c, "POST", true, "/rollback", QN_SLICE_LIT(""));
    int code = open_folder(c);
    if (code != 0) return code;
    if (quern_analysis_roll_back(c->q, c->arguments[0], kind_of(c), c->arguments[1],
                                 &version, &c->err) != QN_OK)
        return cli_fail(c, &c->err);
    printf("version %u is active\n", version);
    return 0;
}

int cmd_analysis_drop(cli *c)
{
    if (cli_server(c) != NULL) return remote(c, "DELETE", true, "", QN_SLICE_LIT(""));
    int code = open_folder(c);
    if (code != 0) return code;
    if (quern_analysis_drop(c->q, c->arguments[0], kind_of(c), c->arguments[1],
                            &c->err) != QN_OK)
        return cli_fail(c, &c->err);
    return 0;
}

static int test_remote(cli *c, const quern_analysis_test_options *o)
{
    qn_buf body;
    qn_json_writer w;
    qn_buf_init(&body, qn_alloc_heap());
    qn_json_writer_init(&w, &body, false);
    qn_json_begin_object(&w);
    qn_json_member_slice(&w, "query", (qn_slice){o->words, o->words_size});
    if (o->rules != NULL) qn_json_member_str(&w, "rules", o->rules);
    if (o->off != NULL) qn_json_member_str(&w, "disable", o->off);
    if (o->rule != NULL) {
        qn_json_key(&w, "rule");
        qn_json_raw(&w, (qn_slice){o->rule, o->rule_size});
    }
    qn_json_end_object(&w);
    int code = remote(c, "POST", false, "/test", qn_buf_slice(&body));
    qn_buf_deinit(&body);
    return code;
}

static int test_here(cli *c, const quern_analysis_test_options *o)
{
    char *json = NULL;
    size_t n = 0;
    int code = open_folder(c);
    if (code != 0) return code;
    if (quern_analysis_test(c->q, c->arguments[0], o, &json, &n, &c->err) != QN_OK)
        return cli_fail(c, &c->err);
    return cli_print_reply(c, QN_OK, json, n);
}

int cmd_analysis_test(cli *c)
{
    quern_analysis_test_options o = QUERN_ANALYSIS_TEST_OPTIONS_INIT;
    qn_buf rule;
    int code;
    const char *path = cli_text(c, "rule", NULL);
    o.words = c->arguments[1];
    o.words_size = strlen(o.words);
    o.rules = cli_has(c, "rules") ? cli_text(c, "rules", "") : NULL;
    o.off = cli_text(c, "disable", NULL);
    qn_buf_init(&rule, qn_alloc_heap());
    if (path != NULL && !cli_read_all(path, FILE_BYTES_MAX, &rule, &c->err)) {
        qn_buf_deinit(&rule);
        return cli_fail(c, &c->err);
    }
    if (path != NULL) {
        o.rule = rule.p;
        o.rule_size = rule.n;
    }
    code = cli_server(c) != NULL ? test_remote(c, &o) : test_here(c, &o);
    qn_buf_deinit(&rule);
    return code;
}

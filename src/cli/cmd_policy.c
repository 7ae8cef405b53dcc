/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_policy.c -- quern policy ...: named rank policies of a table, here or on a server. */
#include "cli/cli.h"

#include "io/json.h"
#include "net/url.h"

#include <string.h>

enum { POLICY_MAX_BYTES = 1 << 21, IDS_MAX = 100 };

#define SERVER_OPTION                                                                  \
    {                                                                                  \
        "server", CLI_TEXT, "URL", "$QUERN_SERVER", "go through a running server", 0,  \
            0                                                                          \
    }
#define END_OPTION                                                                     \
    {                                                                                  \
        NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0                                         \
    }

const cli_option cmd_policy_create_options[] = {
    {"formula", CLI_TEXT, "EXPR", "", "the formula", 0, 0},
    {"file", CLI_TEXT, "FILE", "",
     "the policy as JSON or as a formula (- is standard input)", 0, 0},
    {"draft", CLI_FLAG, NULL, "", "a new version that is not active yet", 0, 0},
    SERVER_OPTION,
    END_OPTION,
};

const cli_option cmd_policy_options[] = {
    {"version", CLI_INT, "N", "the active one", "of which version", 1, UINT32_MAX},
    SERVER_OPTION,
    END_OPTION,
};

const cli_option cmd_policy_test_options[] = {
    {"formula", CLI_TEXT, "EXPR", "", "the formula", 0, 0},
    {"file", CLI_TEXT, "FILE", "", "the policy as JSON or as a formula", 0, 0},
    {"name", CLI_TEXT, "NAME", "", "a stored policy", 0, 0},
    {"version", CLI_INT, "N", "the active one", "of --name", 1, UINT32_MAX},
    {"query", CLI_TEXT, "HA3", "", "an HA3 query clause or a whole request", 0, 0},
    {"id", CLI_LIST, "ID", "", "a document; may be given up to 100 times", 0, 0},
    SERVER_OPTION,
    END_OPTION,
};

/* ---- what the command line says -------------------------------------------------------- */

static bool read_stage(const cli *c, const char *word, quern_policy_stage *out)
{
    if (strcmp(word, "rough") == 0 || strcmp(word, "fine") == 0) {
        *out = word[0] == 'r' ? QUERN_POLICY_ROUGH : QUERN_POLICY_FINE;
        return true;
    }
    (void)cli_usage(c, "the stage is rough or fine, not '%s'", word);
    return false;
}

/* --formula or --file; *given false when there is neither. */
static int read_policy(cli *c, qn_buf *out, bool *given)
{
    const char *formula = cli_text(c, "formula", NULL),
               *file = cli_text(c, "file", NULL);
    *given = formula != NULL || file != NULL;
    if (formula != NULL && file != NULL)
        return cli_usage(c, "give --formula or --file, not both");
    if (formula != NULL) qn_buf_add_str(out, formula);
    if (file != NULL && !cli_read_all(file, POLICY_MAX_BYTES, out, &c->err))
        return cli_fail(c, &c->err);
    return 0;
}

static uint32_t version_of(const cli *c)
{
    return (uint32_t)cli_int(c, "version", 0);
}

/* ---- through a server ------------------------------------------------------------------- */

static int remote(cli *c, const char *method, bool named, const char *tail,
                  qn_slice body)
{
    const char *const parts[] = {"policies", named ? c->arguments[1] : NULL,
                                 named ? c->arguments[2] : NULL, NULL};
    return cli_remote_table(c, method, parts, tail, body);
}

/* ---- commands ------------------------------------------------------------------------------ */

static int create(cli *c, quern_policy_stage stage, const qn_buf *policy)
{
    char *json = NULL;
    size_t n = 0;
    bool draft = cli_has(c, "draft");
    qn_slice text = qn_buf_slice(policy);
    if (cli_server(c) != NULL)
        return remote(c, "PUT", true, draft ? "?draft" : "", text);
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    qn_status st = quern_policy_put(c->q, c->arguments[0], stage, c->arguments[2],
                                    text.p, text.n, draft, &json, &n, &c->err);
    if (st != QN_OK && c->err.at != QN_AT_NONE && text.p[0] != '{')
        return cli_fail_at(c, &c->err, text);
    return cli_print_reply(c, st, json, n);
}

int cmd_policy_create(cli *c)
{
    quern_policy_stage stage = QUERN_POLICY_ROUGH;
    bool given = false;
    if (!read_stage(c, c->arguments[1], &stage)) return 2;
    qn_buf policy;
    qn_buf_init(&policy, qn_alloc_heap());
    int code = read_policy(c, &policy, &given);
    if (code == 0 && !given)
        code = cli_usage(c, "--formula EXPR or --file FILE is needed");
    if (code == 0) code = create(c, stage, &policy);
    qn_buf_deinit(&policy);
    return code;
}

int cmd_policy_list(cli *c)
{
    char *json = NULL;
    size_t n = 0;
    if (cli_server(c) != NULL) return remote(c, "GET", false, "", (qn_slice){"", 0});
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    qn_status st = quern_policy_list(c->q, c->arguments[0], &json, &n, &c->err);
    return cli_print_reply(c, st, json, n);
}

int cmd_policy_show(cli *c)
{
    quern_policy_stage stage = QUERN_POLICY_ROUGH;
    char *json = NULL, tail[40] = "";
    size_t n = 0;
    if (!read_stage(c, c->arguments[1], &stage)) return 2;
    if (version_of(c) != 0)
        (void)snprintf(tail, sizeof tail, "?version=%u", version_of(c));
    if (cli_server(c) != NULL) return remote(c, "GET", true, tail, (qn_slice){"", 0});
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    qn_status st = quern_policy_show(c->q, c->arguments[0], stage, c->arguments[2],
                                     version_of(c), &json, &n, &c->err);
    return cli_print_reply(c, st, json, n);
}

/* With a version that one, else the one before the active one. */
static qn_status activate(cli *c, quern_policy_stage stage, uint32_t version)
{
    if (version == 0)
        return quern_policy_roll_back(c->q, c->arguments[0], stage, c->arguments[2],
                                      NULL, &c->err);
    return quern_policy_activate(c->q, c->arguments[0], stage, c->arguments[2], version,
                                 &c->err);
}

static int activate_either(cli *c, uint32_t version)
{
    quern_policy_stage stage = QUERN_POLICY_ROUGH;
    char *json = NULL, body[64];
    size_t n = 0;
    if (!read_stage(c, c->arguments[1], &stage)) return 2;
    int bytes = snprintf(body, sizeof body, "{\"version\":%u}", version);
    if (cli_server(c) != NULL && version == 0)
        return remote(c, "POST", true, "/rollback", (qn_slice){"", 0});
    if (cli_server(c) != NULL)
        return remote(c, "POST", true, "/activate", (qn_slice){body, (size_t)bytes});
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    qn_status st = activate(c, stage, version);
    if (st == QN_OK)
        st = quern_policy_show(c->q, c->arguments[0], stage, c->arguments[2], 0, &json,
                               &n, &c->err);
    return cli_print_reply(c, st, json, n);
}

int cmd_policy_activate(cli *c)
{
    if (version_of(c) == 0) return cli_usage(c, "--version N is needed");
    return activate_either(c, version_of(c));
}

int cmd_policy_rollback(cli *c)
{
    if (version_of(c) != 0)
        return cli_usage(c,
                         "rollback takes no --version: 'quern policy activate' does");
    return activate_either(c, 0);
}

int cmd_policy_drop(cli *c)
{
    quern_policy_stage stage = QUERN_POLICY_ROUGH;
    if (!read_stage(c, c->arguments[1], &stage)) return 2;
    if (version_of(c) != 0)
        return cli_usage(c, "a policy is dropped with all its versions");
    if (cli_server(c) != NULL) return remote(c, "DELETE", true, "", (qn_slice){"", 0});
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    if (quern_policy_drop(c->q, c->arguments[0], stage, c->arguments[2], &c->err) !=
        QN_OK)
        return cli_fail(c, &c->err);
    if (!c->quiet)
        (void)fprintf(stderr, "%s policy %s dropped\n", c->arguments[1],
                      c->arguments[2]);
    return 0;
}

static int test_remote(cli *c, const quern_policy_test_options *o)
{
    qn_buf body;
    qn_json_writer w;
    qn_buf_init(&body, qn_alloc_heap());
    qn_json_writer_init(&w, &body, false);
    qn_json_begin_object(&w);
    qn_json_member_str(&w, "stage", c->arguments[1]);
    if (o->policy != NULL)
        qn_json_member_slice(&w, "policy", (qn_slice){o->policy, o->policy_size});
    if (o->name != NULL) qn_json_member_str(&w, "name", o->name);
    if (o->version != 0) qn_json_member_int(&w, "version", o->version);
    qn_json_member_slice(&w, "query", (qn_slice){o->query, o->query_size});
    qn_json_key(&w, "ids");
    qn_json_begin_array(&w);
    for (size_t i = 0; i < o->id_count; i++) qn_json_str(&w, o->ids[i]);
    qn_json_end_array(&w);
    qn_json_end_object(&w);
    int code = remote(c, "POST", false, "/test", qn_buf_slice(&body));
    qn_buf_deinit(&body);
    return code;
}

static int run_test(cli *c, quern_policy_test_options *o)
{
    const char *ids[IDS_MAX];
    char *json = NULL;
    size_t n = 0;
    o->name = cli_text(c, "name", NULL);
    o->version = version_of(c);
    o->query = cli_text(c, "query", "");
    o->query_size = strlen(o->query);
    for (const char *id; (id = cli_list(c, "id", o->id_count)) != NULL;) {
        if (o->id_count == IDS_MAX) return cli_usage(c, "at most %d --id", IDS_MAX);
        ids[o->id_count++] = id;
    }
    o->ids = ids;
    if (o->query_size == 0 || o->id_count == 0)
        return cli_usage(c,
                         "--query HA3 and --id ID are needed: what features look at");
    if ((o->policy == NULL) == (o->name == NULL))
        return cli_usage(c, "one of --formula, --file and --name is needed");
    if (cli_server(c) != NULL) return test_remote(c, o);
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    qn_status st = quern_policy_test(c->q, c->arguments[0], o, &json, &n, &c->err);
    return cli_print_reply(c, st, json, n);
}

int cmd_policy_test(cli *c)
{
    quern_policy_test_options o = QUERN_POLICY_TEST_OPTIONS_INIT;
    bool given = false;
    if (!read_stage(c, c->arguments[1], &o.stage)) return 2;
    qn_buf policy;
    qn_buf_init(&policy, qn_alloc_heap());
    int code = read_policy(c, &policy, &given);
    if (given) {
        o.policy = policy.p == NULL ? "" : policy.p;
        o.policy_size = policy.n;
    }
    if (code == 0) code = run_test(c, &o);
    qn_buf_deinit(&policy);
    return code;
}

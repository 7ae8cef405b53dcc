/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_serve.c -- quern serve: the server in the foreground until a signal says stop. */
#include "cli/cli.h"

#include "base/log.h"
#include "server/server.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLI_KIND_TEXT CLI_TEXT
#define CLI_KIND_INT CLI_INT
#define CLI_KIND_FLAG CLI_FLAG

const cli_option cmd_serve_options[] = {
#define ROW(name, kind, fallback, min, max, value, help)                               \
    {#name, CLI_KIND_##kind, value, fallback, help, min, max},
#include "server/options.def"
#undef ROW
    {"config", CLI_TEXT, "FILE", "$QUERN_CONFIG", "a file of `name = value` lines", 0,
     0},
    {"print-config", CLI_FLAG, NULL, "", "print all options with their values and stop",
     0, 0},
    {NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0},
};

/* Defaults, then the file, then the environment, then flags: later ones win. */
static qn_status read_options(cli *c, qn_server_options *o)
{
    const char *file = cli_text(c, "config", NULL);
    qn_server_options_init(o);
    if (file != NULL) QN_TRY(qn_server_options_read_file(o, file, &c->err));
    QN_TRY(qn_server_options_read_environment(o, getenv, &c->err));
    for (size_t i = 0; i < c->given_count; i++) {
        const cli_option *given = c->given[i].option;
        for (size_t k = 0; k < qn_server_option_count; k++) {
            if (strcmp(given->name, qn_server_option_table[k].name) != 0) continue;
            const char *value = c->given[i].value == NULL ? "true" : c->given[i].value;
            QN_TRY(qn_server_options_set(o, given->name, value, &c->err));
        }
    }
    return QN_OK;
}

static void set_log_level(const char *name)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0) qn_log_set_level((qn_log_level)i);
}

/* Blocks until SIGINT or SIGTERM. They must be blocked in every thread, so this is set up
 * before the first thread starts. */
static void block_signals(sigset_t *set)
{
    (void)sigemptyset(set);
    (void)sigaddset(set, SIGINT);
    (void)sigaddset(set, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, set, NULL);
}

static int serve_until_told(cli *c, const qn_server_options *o, const sigset_t *set,
                            const char *greeting)
{
    qn_server *server = NULL;
    int signal_number = 0;
    if (qn_server_create(c->q, o, &server, &c->err) != QN_OK)
        return cli_fail(c, &c->err);
    (void)fflush(stdout);
    if (greeting != NULL)
        (void)fprintf(stderr, "%s is at %s/_console/ (stop with Ctrl-C)\n", greeting,
                      qn_server_url(server));
    else
        (void)fprintf(stderr, "quern %s listening on %s\n", quern_version(),
                      qn_server_url(server));
    (void)sigwait(set, &signal_number);
    if (!c->quiet) (void)fprintf(stderr, "stopping\n");
    qn_server_destroy(server);
    return 0;
}

int cli_serve(cli *c, const char *greeting)
{
    qn_server_options o;
    sigset_t set;
    block_signals(&set);
    qn_server_options_init(&o);
    if (qn_server_options_set(&o, "listen", cli_text(c, "listen", "127.0.0.1:9200"),
                              &c->err) != QN_OK)
        return cli_fail(c, &c->err);
    return serve_until_told(c, &o, &set, greeting);
}

int cmd_serve(cli *c)
{
    static qn_server_options o;
    sigset_t set;
    char models[4200];
    if (read_options(c, &o) != QN_OK) return cli_fail(c, &c->err);
    if (cli_has(c, "print-config")) {
        qn_buf text;
        qn_buf_init(&text, qn_alloc_heap());
        qn_server_options_print(&o, &text);
        (void)printf("%.*s", QN_SLICE_ARG(qn_buf_slice(&text)));
        qn_buf_deinit(&text);
        return 0;
    }
    set_log_level(o.log_level);
    block_signals(&set);
    quern_options open = QUERN_OPTIONS_INIT;
    quern_deployment deployment;
    qn_server_options_apply(&o, &deployment, &open);
    open.data_dir = cli_text(c, "data", "quern-data");
    open.models_dir =
        cli_text(c, "models", cli_shipped("models", models, sizeof models));
    if (quern_open(&open, &c->q, &c->err) != QN_OK) return cli_open_failed(c);
    return serve_until_told(c, &o, &set, NULL);
}

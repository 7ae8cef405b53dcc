/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_deploy.c -- quern model deploy, quern model undeploy: how much of the machine a
 * model's calls may have, kept in the data folder. */
#include "cli/cmd_deploy.h"

#include "io/json.h"
#include "net/url.h"

#include <string.h>

const cli_option cmd_model_deploy_options[] = {
    {"allocations", CLI_INT, "N", "as many as use all neural threads",
     "how many batches may run at a time", 1, 1024},
    {"adaptive", CLI_FLAG, NULL, "", "allocations follow the load", 0, 0},
    {"min", CLI_INT, "N", "0", "adaptive: at least so many; 0: an idle model goes", 0,
     1024},
    {"max", CLI_INT, "N", "32", "adaptive: at most so many", 1, 1024},
    {"idle-ms", CLI_INT, "MS", "900000",
     "adaptive, --min 0: without a request for so long the model goes from memory",
     1000, 86400000},
    {"threads", CLI_INT, "N", "1", "threads of one allocation", 1, 32},
    {"server", CLI_TEXT, "URL", "$QUERN_SERVER", "go through a running server", 0, 0},
    {NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0},
};

const cli_option cmd_model_undeploy_options[] = {
    {"server", CLI_TEXT, "URL", "$QUERN_SERVER", "go through a running server", 0, 0},
    {NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0},
};

const char *cli_deployment_text(const quern_deployment *d, char *out, size_t size)
{
    unsigned threads = d->threads;
    if (d->adaptive)
        (void)snprintf(out, size, "%u to %u of %u thread%s", d->allocations_min,
                       d->allocations_max, threads, threads == 1 ? "" : "s");
    else if (d->allocations == 0 && threads == 1)
        (void)snprintf(out, size, "all threads");
    else if (d->allocations == 0)
        (void)snprintf(out, size, "all threads, by %u", threads);
    else
        (void)snprintf(out, size, "%u of %u thread%s", d->allocations, threads,
                       threads == 1 ? "" : "s");
    return out;
}

static quern_deployment read_settings(const cli *c)
{
    quern_deployment d = QUERN_DEPLOYMENT_INIT;
    d.adaptive = cli_has(c, "adaptive");
    d.allocations_min = (unsigned)cli_int(c, "min", 0);
    d.allocations_max = (unsigned)cli_int(c, "max", 0);
    d.allocations = (unsigned)cli_int(c, "allocations", 0);
    d.threads = (unsigned)cli_int(c, "threads", 0);
    d.idle_ms = cli_int(c, "idle-ms", 0);
    return d;
}

/* Settings of the one kind do not go with the other. */
static int check_options(cli *c)
{
    static const char *const of_adaptive[] = {"min", "max", "idle-ms"};
    bool adaptive = cli_has(c, "adaptive");
    for (size_t i = 0; !adaptive && i < sizeof of_adaptive / sizeof *of_adaptive; i++)
        if (cli_has(c, of_adaptive[i]))
            return cli_usage(c, "--%s goes with --adaptive", of_adaptive[i]);
    if (adaptive && cli_has(c, "allocations"))
        return cli_usage(c, "--allocations does not go with --adaptive: --min, --max");
    return 0;
}

/* PUT or DELETE /_quern/models/NAME/deployment. */
static int deploy_there(cli *c, const char *method, qn_slice body)
{
    qn_buf path, reply;
    qn_buf_init(&path, qn_alloc_heap());
    qn_buf_init(&reply, qn_alloc_heap());
    qn_buf_add_str(&path, "/_quern/models/");
    qn_url_encode(&path, qn_slice_of(c->arguments[0]));
    qn_buf_add_str(&path, "/deployment");
    int code = cli_remote(c, method, path.p, body.n > 0 ? "application/json" : NULL,
                          body, &reply);
    if (code == 0) cli_print_json(stdout, qn_buf_slice(&reply));
    qn_buf_deinit(&path);
    qn_buf_deinit(&reply);
    return code;
}

static int print_state(cli *c)
{
    quern_deployment_state state;
    char text[80];
    quern_model_deployment(c->q, c->arguments[0], &state);
    (void)printf("%s: %s\n", c->arguments[0],
                 cli_deployment_text(&state.settings, text, sizeof text));
    return 0;
}

int cmd_model_deploy(cli *c)
{
    quern_deployment d = read_settings(c);
    int code = check_options(c);
    if (code != 0) return code;
    if (cli_server(c) != NULL) {
        qn_buf body;
        qn_json_writer w;
        qn_buf_init(&body, qn_alloc_heap());
        qn_json_writer_init(&w, &body, false);
        qn_json_begin_object(&w);
        qn_json_member_bool(&w, "adaptive", d.adaptive);
        if (d.adaptive) qn_json_member_int(&w, "min_allocations", d.allocations_min);
        if (d.allocations_max > 0)
            qn_json_member_int(&w, "max_allocations", d.allocations_max);
        if (d.allocations > 0) qn_json_member_int(&w, "allocations", d.allocations);
        if (d.threads > 0) qn_json_member_int(&w, "threads", d.threads);
        if (d.idle_ms > 0) qn_json_member_int(&w, "idle_ms", d.idle_ms);
        qn_json_end_object(&w);
        code = deploy_there(c, "PUT", qn_buf_slice(&body));
        qn_buf_deinit(&body);
        return code;
    }
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    if (quern_model_deploy(c->q, c->arguments[0], &d, &c->err) != QN_OK)
        return cli_fail(c, &c->err);
    return print_state(c);
}

int cmd_model_undeploy(cli *c)
{
    if (cli_server(c) != NULL) return deploy_there(c, "DELETE", (qn_slice){"", 0});
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    if (quern_model_deploy(c->q, c->arguments[0], NULL, &c->err) != QN_OK)
        return cli_fail(c, &c->err);
    return print_state(c);
}

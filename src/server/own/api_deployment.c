/* SPDX-License-Identifier: Apache-2.0 */
/* Deployments: how much of the machine a model's calls may have, and what they do. */
#include "server/handlers.h"

#include "server/reply_json.h"
#include "server/server_internal.h"

#include <inttypes.h>

static void write_speed(qn_json_writer *w, const quern_deployment_state *s)
{
    static const char *const names[] = {"32", "64", "128", "256", "512", "more"};
    qn_json_key(w, "token_ns");
    qn_json_begin_object(w);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (s->token_ns[i] != 0) qn_json_member_int(w, names[i], s->token_ns[i]);
    qn_json_end_object(w);
}

void qn_deployment_write(qn_call *c, const char *model)
{
    quern_deployment_state s;
    quern_model_deployment(c->q, model, &s);
    qn_json_writer *w = &c->w;
    qn_json_begin_object(w);
    qn_json_key(w, "settings");
    qn_reply_deployment_json(w, &s.settings);
    qn_json_member_bool(w, "loaded", s.loaded);
    qn_json_member_int(w, "memory_bytes", (int64_t)s.memory_bytes);
    qn_json_member_int(w, "allocations", s.allocations);
    qn_json_member_int(w, "running", s.running);
    qn_json_member_int(w, "calls_waiting", (int64_t)s.calls_waiting);
    qn_json_member_int(w, "tokens_waiting", (int64_t)s.tokens_waiting);
    qn_json_member_double(w, "wait_seconds", s.wait_seconds);
    qn_json_member_double(w, "items_per_second", s.rate);
    qn_json_member_double(w, "seconds_per_item", s.item_seconds);
    qn_json_member_int(w, "calls", (int64_t)s.calls);
    qn_json_member_int(w, "items", (int64_t)s.items);
    qn_json_member_int(w, "refused", (int64_t)s.refused);
    qn_json_member_int(w, "timed_out", (int64_t)s.timed_out);
    qn_json_member_int(w, "cancelled", (int64_t)s.cancelled);
    write_speed(w, &s);
    qn_json_end_object(w);
}

qn_status qn_admin_deployment_get(qn_call *c, qn_error *err)
{
    quern_model_info info;
    QN_TRY(quern_model_info_get(c->q, qn_call_arg(c, "name"), &info, err));
    qn_call_json(c, 200);
    qn_deployment_write(c, qn_call_arg(c, "name"));
    return QN_OK;
}

qn_status qn_admin_deployment_put(qn_call *c, qn_error *err)
{
    const qn_json *body = NULL;
    quern_deployment d = QUERN_DEPLOYMENT_INIT;
    int64_t min = 0, max = 0, allocations = 0, threads = 0;
    const qn_member members[] = {
        {"adaptive", QN_MEMBER_BOOL, &d.adaptive, 0, 0},
        {"min_allocations", QN_MEMBER_INT, &min, 0, 1024},
        {"max_allocations", QN_MEMBER_INT, &max, 1, 1024},
        {"allocations", QN_MEMBER_INT, &allocations, 1, 1024},
        {"threads", QN_MEMBER_INT, &threads, 1, 32},
        {"idle_ms", QN_MEMBER_INT, &d.idle_ms, 1000, 86400000},
        {NULL, QN_MEMBER_IGNORE, NULL, 0, 0},
    };
    QN_TRY(qn_call_object(c, &body, err));
    QN_TRY(qn_call_members(body, members, c->request->body, err));
    d.allocations_min = (unsigned)min;
    d.allocations_max = (unsigned)max;
    d.allocations = (unsigned)allocations;
    d.threads = (unsigned)threads;
    QN_TRY(quern_model_deploy(c->q, qn_call_arg(c, "name"), &d, err));
    return qn_admin_deployment_get(c, err);
}

qn_status qn_admin_deployment_delete(qn_call *c, qn_error *err)
{
    QN_TRY(quern_model_deploy(c->q, qn_call_arg(c, "name"), NULL, err));
    return qn_admin_deployment_get(c, err);
}

/* ---- metrics ---------------------------------------------------------------------- */

enum { MODELS_MAX = 256 };

typedef struct gauges {
    qn_call *c;
    const char *names[MODELS_MAX];
    quern_deployment_state states[MODELS_MAX];
    size_t n;
} gauges;

static bool take_model(void *ctx, const quern_model_info *info)
{
    gauges *g = ctx;
    if (g->n == MODELS_MAX) return false;
    g->names[g->n] = qn_arena_strndup(g->c->arena, info->name, strlen(info->name));
    if (g->names[g->n] == NULL) return false;
    quern_model_deployment(g->c->q, info->name, &g->states[g->n]);
    g->n++;
    return true;
}

static double value_of(const quern_deployment_state *s, size_t row)
{
    switch (row) {
    case 0:
        return s->loaded;
    case 1:
        return s->allocations;
    case 2:
        return s->running;
    case 3:
        return (double)s->calls_waiting;
    case 4:
        return (double)s->tokens_waiting;
    case 5:
        return s->wait_seconds;
    case 6:
        return (double)s->calls;
    case 7:
        return (double)s->items;
    case 8:
        return (double)s->refused;
    case 9:
        return (double)s->timed_out;
    case 10:
        return (double)s->cancelled;
    case 11:
        return s->busy_seconds;
    default:
        return s->waited_seconds;
    }
}

qn_status qn_deployment_metrics(qn_call *c, qn_error *err)
{
    /* ORDER value_of(). */
    static const struct {
        const char *name, *type, *help;
    } rows[] = {
        {"loaded", "gauge", "1: the model is in memory"},
        {"allocations", "gauge", "allocations it has"},
        {"running", "gauge", "batches that run"},
        {"calls_waiting", "gauge", "calls that are not finished"},
        {"tokens_waiting", "gauge", "tokens of them, estimated"},
        {"wait_seconds", "gauge", "until they would be done, estimated"},
        {"calls_total", "counter", "calls that were let in"},
        {"items_total", "counter", "pairs scored and texts embedded"},
        {"refused_total", "counter", "calls refused with 429"},
        {"timed_out_total", "counter", "calls whose time was up"},
        {"cancelled_total", "counter", "calls whose client went away"},
        {"busy_seconds_total", "counter", "time of threads inside batches"},
        {"waited_seconds_total", "counter", "time of calls before their first batch"},
    };
    gauges *g = qn_arena_array(c->arena, 1, sizeof *g);
    if (g == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the metrics");
    g->c = c;
    g->n = 0;
    QN_TRY(quern_model_list(c->q, take_model, g, err));
    qn_buf *out = &c->out->body;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        qn_buf_printf(out, "# HELP quern_model_%s %s\n# TYPE quern_model_%s %s\n",
                      rows[r].name, rows[r].help, rows[r].name, rows[r].type);
        for (size_t i = 0; i < g->n; i++)
            qn_buf_printf(out, "quern_model_%s{model=\"%s\"} %.9g\n", rows[r].name,
                          g->names[i], value_of(&g->states[i], r));
    }
    return QN_OK;
}

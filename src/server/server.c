/* SPDX-License-Identifier: Apache-2.0 */
/* A request's way through the dialects: route, checks of its dialect, handler, and the
 * dialect's envelope when anything failed. */
#include "server/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "server/es/api_es.h"
#include "server/es/api_es_endpoints.h"
#include "server/handlers.h"
#include "server/server_internal.h"

#include <inttypes.h>
#include <stdio.h>

const qn_route qn_routes[] = {
#define ROW(methods, pattern, params, api, run, summary)                               \
    {methods, pattern, params, QN_API_##api, run, summary},
#include "server/routes.def"
#undef ROW
};
const size_t qn_route_count = sizeof qn_routes / sizeof *qn_routes;

/* What differs between dialects outside of handlers. */
static const struct {
    void (*error)(qn_call *c, const qn_error *err);
} dialects[] = {
    [QN_API_ES] = {qn_es_error},
    [QN_API_HA3] = {qn_ha3_error},
    [QN_API_TEI] = {qn_tei_error},
    [QN_API_COHERE] = {qn_cohere_error},
    [QN_API_VLLM] = {qn_vllm_error},
    [QN_API_OPENAI] = {qn_openai_error},
    [QN_API_DASHSCOPE] = {qn_dashscope_error},
    [QN_API_QUERN] = {qn_admin_error},
};

static qn_status no_route(const qn_call *c, qn_error *err)
{
    const qn_http_request *r = c->request;
    int n = r->url.path.n > 200 ? 200 : (int)r->url.path.n;
    if (c->match.allowed[0] != '\0')
        return qn_fail(
            err, QN_EMETHOD,
            "Incorrect HTTP method for uri [%.*s] and method [%.*s], allowed: "
            "[%s]",
            n, r->url.path.p, QN_SLICE_ARG(r->method), c->match.allowed);
    return qn_fail(err, QN_EROUTE, "no handler found for uri [%.*s] and method [%.*s]",
                   n, r->url.path.p, QN_SLICE_ARG(r->method));
}

static qn_status dispatch(qn_call *c, qn_error *err)
{
    const qn_http_request *r = c->request;
    bool found =
        qn_route_find(qn_routes, qn_route_count, r->method, &r->url, &c->match);
    c->route = c->match.route;
    c->api = found ? c->route->api : qn_route_api_of(&r->url);
    if (c->api == QN_API_ES) qn_es_headers(c);
    if (r->failure.code != QN_OK) {
        *err = r->failure;
        return err->code;
    }
    if (!found) return no_route(c, err);
    if (c->api == QN_API_ES) {
        QN_TRY(qn_es_check_params(c, err));
        QN_TRY(qn_es_check_media(c, err));
        QN_TRY(qn_call_flag(c, "pretty", &c->pretty, err));
    }
    return c->route->run(c, err);
}

void qn_server_tell_place(const qn_call *c, qn_error *err)
{
    /* Elasticsearch tells line and column beside the text. */
    if (c->api == QN_API_ES || err->at == QN_AT_NONE || err->file[0] != '\0') return;
    /* The inference dialects do it themselves: qn_call_error_text(). */
    if (c->api >= QN_API_TEI && c->api <= QN_API_DASHSCOPE) return;
    size_t n = strlen(err->text);
    (void)snprintf(err->text + n, sizeof err->text - n, " (byte %" PRIu64 ")", err->at);
}

/* Too much to do: when a new try makes sense. What waits for models is known; for
 * anything else a second is as good as any. */
static void tell_when(qn_call *c)
{
    quern_deployment_state state;
    quern_neural_state(c->q, &state);
    double seconds = state.wait_seconds < 1 ? 1 : state.wait_seconds;
    const char *text =
        qn_arena_printf(c->arena, "%d", seconds > 60 ? 60 : (int)(seconds + 0.5));
    if (text != NULL) qn_http_add_header(c->out, "Retry-After", text);
}

/* HTTP wants it beside 405. */
static void tell_methods(qn_call *c)
{
    const char *text = qn_arena_printf(c->arena, "%s", c->match.allowed);
    if (text != NULL) qn_http_add_header(c->out, "Allow", text);
}

void qn_server_handle(void *server, const qn_http_request *request,
                      qn_http_response *response)
{
    qn_server *s = server;
    qn_call c = {.server = s,
                 .q = s->q,
                 .request = request,
                 .out = response,
                 .arena = request->arena};
    qn_error err = {0};
    qn_status st = dispatch(&c, &err);
    if (response->deferred) {
        qn_metrics_add(&s->metrics, QN_METRIC_DEFERRED, 1);
        return;
    }
    if (st != QN_OK) {
        err.code = st;
        if (st == QN_EINTERNAL || st == QN_ECORRUPT || st == QN_EIO)
            qn_log(QN_LOG_ERROR, "server", "%.*s %.*s: %s",
                   QN_SLICE_ARG(request->method), QN_SLICE_ARG(request->url.path),
                   err.text);
        qn_server_tell_place(&c, &err);
        dialects[c.api].error(&c, &err);
    }
    if (response->status == 429) tell_when(&c);
    if (st == QN_EMETHOD) tell_methods(&c);
    if (c.api == QN_API_ES && qn_es_finish(&c, &err) != QN_OK) qn_es_error(&c, &err);
    qn_metrics_request(&s->metrics, c.api, response->status);
    qn_metrics_time(&s->metrics, QN_METRIC_REQUEST_SECONDS,
                    qn_clock_mono_ns() - request->arrived_ns);
}

/* ---- for handlers ---------------------------------------------------------------------- */

qn_status qn_server_search(qn_call *c, const char *table, quern_search_options *o,
                           quern_reply **out, qn_error *err)
{
    qn_metrics *m = &c->server->metrics;
    int64_t begin = qn_clock_mono_ns();
    if (o->timeout_ms == 0 && o->kind == QUERN_QUERY_WORDS)
        o->timeout_ms = c->server->options.request_timeout_ms;
    o->defer_plugins = c->request->may_defer;
    /* What it waited for a worker is gone; a deferred one has all its time again. */
    if (c->request->may_defer)
        o->waited_ms = (begin - c->request->arrived_ns) / 1000000;
    qn_status st = quern_search(c->q, table, o, out, err);
    if (st == QN_EDEFERRED) {
        c->out->deferred = true;
        return st;
    }
    qn_metrics_add(m, QN_METRIC_SEARCHES, 1);
    qn_metrics_time(m, QN_METRIC_SEARCH_SECONDS, qn_clock_mono_ns() - begin);
    if (st != QN_OK)
        qn_metrics_add(m, QN_METRIC_SEARCH_FAILURES, 1);
    else if ((*out)->timed_out)
        qn_metrics_add(m, QN_METRIC_SEARCH_TIMEOUTS, 1);
    if (st == QN_OK && (*out)->rerank_timed_out)
        qn_metrics_add(m, QN_METRIC_RERANK_CUT, 1);
    return st;
}

qn_status qn_server_explain(qn_call *c, const char *table, qn_slice id,
                            quern_search_options *o, quern_reply **out, qn_error *err)
{
    o->defer_plugins = c->request->may_defer;
    qn_status st = quern_explain(c->q, table, id.p, id.n, o, out, err);
    c->out->deferred = st == QN_EDEFERRED;
    return st;
}

qn_status qn_server_take_time(qn_call *c, qn_error *err)
{
    if (!c->request->may_defer) return QN_OK;
    c->out->deferred = true;
    return qn_fail(err, QN_EDEFERRED, "for the slow workers");
}

/* The value of `name` in "a=b,c=d"; an empty slice when it is not there. */
static qn_slice alias_of(const char *list, qn_slice name)
{
    qn_slice rest = qn_slice_of(list);
    while (rest.n > 0) {
        const char *comma = memchr(rest.p, ',', rest.n);
        qn_slice part = {rest.p, comma == NULL ? rest.n : (size_t)(comma - rest.p)};
        size_t used = part.n + (comma != NULL);
        rest = (qn_slice){rest.p + used, rest.n - used};
        const char *equals = part.n == 0 ? NULL : memchr(part.p, '=', part.n);
        if (equals == NULL) continue;
        qn_slice key = {part.p, (size_t)(equals - part.p)};
        if (qn_slice_eq(qn_slice_trim(key), name))
            return qn_slice_trim((qn_slice){equals + 1, part.n - key.n - 1});
    }
    return (qn_slice){"", 0};
}

qn_status qn_server_model(qn_call *c, qn_slice name, const char *fallback,
                          const char **out, qn_error *err)
{
    qn_slice alias = alias_of(c->server->options.model_aliases, name);
    if (alias.n > 0) name = alias;
    if (name.n == 0) name = qn_slice_of(fallback);
    *out = qn_arena_strndup(c->arena, name.p, name.n);
    return *out == NULL ? qn_fail(err, QN_ENOMEM, "no memory") : QN_OK;
}

/* ---- the server -------------------------------------------------------------------------- */

qn_status qn_server_create(quern *q, const qn_server_options *options, qn_server **out,
                           qn_error *err)
{
    *out = NULL;
    qn_alloc *a = qn_alloc_heap();
    qn_server *s = qn_new0(a, sizeof *s);
    if (s == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the server");
    s->q = q;
    s->alloc = a;
    s->options = *options;
    s->started_ms = qn_clock_wall_ms();
    qn_es_endpoints_start(q);
    const qn_http_server_options http = {
        .listen = s->options.listen,
        .allow_remote = options->insecure,
        .workers = (unsigned)options->workers,
        .io_threads = (unsigned)options->io_threads,
        .connections_max = (unsigned)options->connections_max,
        .queue_max = (unsigned)options->queue_max,
        .slow_workers = (unsigned)options->slow_workers,
        .slow_queue_max = (unsigned)options->slow_queue_max,
        .body_max_bytes = (size_t)options->body_max_bytes,
        .grace_ms = options->grace_ms,
        .handler = qn_server_handle,
        .ctx = s,
    };
    qn_http_server *listener = NULL;
    qn_status st = qn_http_server_create(a, &http, &listener, err);
    atomic_store(&s->http, listener);
    if (st != QN_OK) {
        qn_server_destroy(s);
        return st;
    }
    qn_log(QN_LOG_INFO, "server", "listening on %s", qn_server_url(s));
    *out = s;
    return QN_OK;
}

void qn_server_destroy(qn_server *s)
{
    if (s == NULL) return;
    qn_http_server_destroy(s->http);
    qn_delete(s->alloc, s);
}

uint16_t qn_server_port(const qn_server *s)
{
    return qn_http_server_port(s->http);
}

const char *qn_server_url(const qn_server *s)
{
    return qn_http_server_url(s->http);
}

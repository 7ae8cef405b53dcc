/* SPDX-License-Identifier: Apache-2.0 */
/* deployments_api.c -- the public calls about deployments. */
#include "engine/engine_internal.h"

#include "base/log.h"
#include "io/json.h"

qn_status qn_deployment_of(const quern_deployment *given, qn_deployment_settings *out,
                           qn_error *err)
{
    quern_deployment d = QUERN_DEPLOYMENT_INIT;
    if (given != NULL) {
        if (given->size > sizeof d)
            return qn_fail(err, QN_EINVAL, "quern_deployment of a newer version");
        memcpy(&d, given, given->size);
    }
    *out = (qn_deployment_settings){.adaptive = d.adaptive,
                                    .min = d.allocations_min,
                                    .max = d.allocations_max,
                                    .count = d.allocations,
                                    .threads = d.threads,
                                    .idle_ms = d.idle_ms};
    return qn_deployment_check(out, err);
}

/* ---- remembered ------------------------------------------------------------------ */

/* One record holds them all: {"model":{"adaptive":true,...},...}. */
static qn_slice record_name(void)
{
    return QN_SLICE_LIT("models");
}

static void write_one(void *ctx, const char *name, const qn_deployment_settings *s)
{
    qn_json_writer *w = ctx;
    qn_json_key(w, name);
    qn_json_begin_object(w);
    qn_json_member_bool(w, "adaptive", s->adaptive);
    qn_json_member_int(w, "min", s->min);
    qn_json_member_int(w, "max", s->max);
    qn_json_member_int(w, "count", s->count);
    qn_json_member_int(w, "threads", s->threads);
    qn_json_member_int(w, "idle_ms", s->idle_ms);
    qn_json_end_object(w);
}

static qn_status save(quern *q, qn_error *err)
{
    qn_buf body;
    qn_buf_init(&body, q->alloc);
    qn_json_writer w;
    qn_json_writer_init(&w, &body, false);
    qn_json_begin_object(&w);
    qn_models_deployed(q->models, write_one, &w);
    qn_json_end_object(&w);
    qn_status st = body.failed ? qn_fail(err, QN_ENOMEM, "deployments")
                               : qn_control_put(q->control, "", QN_CONTROL_DEPLOYMENTS,
                                                record_name(), qn_buf_slice(&body),
                                                true, NULL, err);
    qn_buf_deinit(&body);
    return st;
}

static unsigned number(const qn_json *object, const char *key)
{
    const qn_json *v = qn_json_get(object, key);
    return v != NULL && v->kind == QN_JSON_INT && v->integer > 0 &&
                   v->integer <= UINT32_MAX
               ? (unsigned)v->integer
               : 0;
}

static qn_status load_all(quern *q, qn_arena *arena, qn_error *err)
{
    qn_control_record record;
    const qn_json *all = NULL;
    qn_status st = qn_control_get(q->control, "", QN_CONTROL_DEPLOYMENTS, record_name(),
                                  0, arena, &record, err);
    if (st == QN_ENOTFOUND) return QN_OK;
    QN_TRY(st);
    QN_TRY(qn_json_parse(arena, record.body, &all, err));
    for (const qn_json *v = qn_json_items(all); v != NULL; v = v->next) {
        const qn_json *adaptive = qn_json_get(v, "adaptive");
        const qn_deployment_settings settings = {
            .adaptive =
                adaptive != NULL && adaptive->kind == QN_JSON_BOOL && adaptive->boolean,
            .min = number(v, "min"),
            .max = number(v, "max"),
            .count = number(v, "count"),
            .threads = number(v, "threads"),
            .idle_ms = number(v, "idle_ms"),
        };
        const char *name = qn_arena_strndup(arena, v->key.p, v->key.n);
        if (name == NULL) return qn_fail(err, QN_ENOMEM, "deployments");
        QN_TRY(qn_models_deploy(q->models, name, &settings, true, err));
    }
    return QN_OK;
}

void qn_deployments_load(quern *q)
{
    qn_error why = {0};
    qn_arena arena;
    qn_arena_init(&arena, q->alloc, 0);
    if (load_all(q, &arena, &why) != QN_OK)
        qn_log(QN_LOG_WARN, "engine", "deployments of models: %s", why.text);
    qn_arena_deinit(&arena);
}

qn_status quern_model_deploy(quern *q, const char *name,
                             const quern_deployment *deployment, qn_error *err)
{
    qn_deployment_settings settings;
    if (q->read_only)
        return qn_fail(err, QN_EREADONLY, "the data folder is open read-only");
    if (deployment != NULL) QN_TRY(qn_deployment_of(deployment, &settings, err));
    QN_TRY(qn_models_deploy(q->models, name, deployment == NULL ? NULL : &settings,
                            false, err));
    return save(q, err);
}

/* ---- told ------------------------------------------------------------------------ */

static void tell(const qn_schedule_stats *s, quern_deployment_state *out)
{
    size_t limit = s->limit == 0 ? 1 : s->limit;
    out->running = (unsigned)s->running;
    out->threads_max = (unsigned)s->limit;
    out->calls_waiting = s->calls_now;
    out->tokens_waiting = s->tokens_now;
    out->wait_seconds = (double)s->work_ns_now / (double)limit / 1e9;
    out->calls = s->calls;
    out->refused = s->refused;
    out->timed_out = s->timed_out;
    out->cancelled = s->cancelled;
    out->items = s->items_done;
    out->batches = s->turns;
    out->paused = s->pauses;
    out->busy_seconds = (double)s->busy_ns / 1e9;
    out->waited_seconds = (double)s->wait_ns / 1e9;
}

/* What a setting of 0 stands for is told. */
static unsigned effective(unsigned set, unsigned otherwise)
{
    return set == 0 ? otherwise : set;
}

void quern_model_deployment(quern *q, const char *name, quern_deployment_state *out)
{
    qn_model_state state;
    qn_models_state(q->models, name, &state);
    *out = (quern_deployment_state){
        .settings = {.size = sizeof out->settings,
                     .adaptive = state.settings.adaptive,
                     .allocations_min = state.settings.min,
                     .allocations_max =
                         effective(state.settings.max, QN_ALLOCATIONS_MOST),
                     .allocations = state.settings.count,
                     .threads = effective(state.settings.threads, 1),
                     .idle_ms = state.settings.idle_ms == 0 ? QN_ALLOCATIONS_IDLE_MS
                                                            : state.settings.idle_ms},
        .loaded = state.loaded,
        .memory_bytes = state.memory_bytes,
        .allocations = state.allocations,
        .rate = state.rate,
        .item_seconds = state.item_seconds,
    };
    for (size_t i = 0; i < QN_MODEL_SPEEDS; i++) {
        int64_t ns = state.token_ns[i];
        out->token_ns[i] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
    }
    tell(&state.stats, out);
}

void quern_neural_state(quern *q, quern_deployment_state *out)
{
    qn_schedule_stats stats;
    qn_scheduler_stats(q->scheduler, &stats);
    *out = (quern_deployment_state){.settings = QUERN_DEPLOYMENT_INIT};
    tell(&stats, out);
}

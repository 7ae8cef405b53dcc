/* SPDX-License-Identifier: Apache-2.0 */
/* deployments_api.c -- the public calls about deployments. */
#include "engine/engine_internal.h"

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

qn_status quern_model_deploy(quern *q, const char *name,
                             const quern_deployment *deployment, qn_error *err)
{
    qn_deployment_settings settings;
    if (deployment == NULL) return qn_models_deploy(q->models, name, NULL, err);
    QN_TRY(qn_deployment_of(deployment, &settings, err));
    return qn_models_deploy(q->models, name, &settings, err);
}

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

void quern_model_deployment(quern *q, const char *name, quern_deployment_state *out)
{
    qn_model_state state;
    qn_models_state(q->models, name, &state);
    *out = (quern_deployment_state){
        .settings = {.size = sizeof out->settings,
                     .adaptive = state.settings.adaptive,
                     .allocations_min = state.settings.min,
                     .allocations_max = state.settings.max,
                     .allocations = state.settings.count,
                     .threads = state.settings.threads,
                     .idle_ms = state.settings.idle_ms},
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

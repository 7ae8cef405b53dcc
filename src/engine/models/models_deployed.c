/* SPDX-License-Identifier: Apache-2.0 */
/* models_deployed.c -- what part of the machine each model has. */
#include "engine/models/models_internal.h"

static qn_model_deployed *find_deployed(qn_models *m, const char *name)
{
    for (size_t i = 0; i < m->deployments.n; i++)
        if (strcmp(m->deployments.p[i].name, name) == 0) return &m->deployments.p[i];
    return NULL;
}

qn_deployment *qn_models__deployment(qn_models *m, const char *name)
{
    const qn_model_deployed *d = find_deployed(m, name);
    return d == NULL ? NULL : d->deployment;
}

qn_status qn_models__need_deployment(qn_models *m, const char *name,
                                     qn_deployment **out, qn_error *err)
{
    *out = qn_models__deployment(m, name);
    if (*out != NULL) return QN_OK;
    qn_model_deployed d = {.name = qn_strndup(m->alloc, name, strlen(name))};
    if (d.name == NULL) return qn_fail(err, QN_ENOMEM, "model");
    qn_status st =
        qn_deployment_create(m->alloc, m->options.scheduler, &m->options.deployment,
                             qn_clock_mono_ns(), &d.deployment, err);
    if (st == QN_OK && !qn_vec_push(m->alloc, &m->deployments, d))
        st = qn_fail(err, QN_ENOMEM, "model");
    if (st != QN_OK) {
        qn_deployment_destroy(d.deployment);
        qn_delete(m->alloc, d.name);
        return st;
    }
    *out = d.deployment;
    return QN_OK;
}

qn_serving qn_models_serving(qn_models *m, const qn_model *model, qn_priority priority)
{
    (void)pthread_mutex_lock(&m->lock);
    const qn_model_entry *e = qn_models__entry_of(m, model);
    qn_assert(e != NULL);
    qn_serving serving = {.group =
                              qn_deployment_group(qn_models__deployment(m, e->name)),
                          .priority = priority};
    (void)pthread_mutex_unlock(&m->lock);
    return serving;
}

qn_status qn_models_deploy(qn_models *m, const char *name,
                           const qn_deployment_settings *settings, bool unseen,
                           qn_error *err)
{
    bool given = settings != NULL;
    if (settings == NULL) settings = &m->options.deployment;
    QN_TRY(qn_deployment_check(settings, err));
    (void)pthread_mutex_lock(&m->lock);
    qn_model_entry *e = NULL;
    qn_deployment *d = NULL;
    qn_status st = unseen ? QN_OK : qn_models__need_entry(m, name, &e, err);
    if (st == QN_OK) st = qn_models__need_deployment(m, name, &d, err);
    if (st == QN_OK) {
        qn_deployment_set(d, settings);
        find_deployed(m, name)->given = given;
    }
    (void)pthread_mutex_unlock(&m->lock);
    return st;
}

void qn_models_deployed(qn_models *m,
                        void (*each)(void *ctx, const char *name,
                                     const qn_deployment_settings *settings),
                        void *ctx)
{
    (void)pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->deployments.n; i++) {
        qn_deployment_settings settings;
        qn_deployment_settings_get(m->deployments.p[i].deployment, &settings);
        if (m->deployments.p[i].given) each(ctx, m->deployments.p[i].name, &settings);
    }
    (void)pthread_mutex_unlock(&m->lock);
}

void qn_models_state(qn_models *m, const char *name, qn_model_state *out)
{
    *out = (qn_model_state){.settings = m->options.deployment};
    (void)pthread_mutex_lock(&m->lock);
    const qn_model_entry *e = qn_models__find(m, name);
    const qn_deployment *d = qn_models__deployment(m, name);
    if (e != NULL && e->model != NULL) {
        out->loaded = true;
        out->users = e->users;
        out->memory_bytes = e->info.memory_bytes + e->info.packed_bytes;
        qn_model_speed(e->model, out->token_ns);
    }
    if (d != NULL) {
        qn_deployment_settings_get(d, &out->settings);
        out->allocations = qn_deployment_count(d);
        qn_deployment_load(d, &out->rate, &out->item_seconds);
        qn_schedule_group_stats(qn_deployment_group(d), &out->stats);
    }
    (void)pthread_mutex_unlock(&m->lock);
}

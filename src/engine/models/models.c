/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/models/models_internal.h"

#include "engine/table/names.h"
#include "io/file.h"
#include "nn/encoder/packed_copy.h"

enum { TEXTS_LIMIT = 1024 * 1024 };

#define DEFAULT_EMBEDDER "minilm-l6-v2"
#define DEFAULT_RERANKER "reranker-minilm-l6"

static char *copied(qn_alloc *a, const char *s, const char *absent)
{
    if (s == NULL || *s == 0) s = absent;
    return s == NULL ? NULL : qn_strndup(a, s, strlen(s));
}

static void cond_create(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(cond, &attr);
    (void)pthread_condattr_destroy(&attr);
}

static char *folder_of_copies(qn_alloc *a, const char *own_dir)
{
    qn_buf b;
    qn_buf_init(&b, a);
    qn_buf_printf(&b, "%s/packed", own_dir);
    char *path = b.failed ? NULL : qn_buf_take(&b, NULL);
    qn_buf_deinit(&b);
    return path;
}

qn_status qn_models_create(qn_alloc *a, const qn_models_options *options,
                           qn_models **out, qn_error *err)
{
    *out = NULL;
    QN_TRY(qn_deployment_check(&options->deployment, err));
    qn_models *m = *out = qn_new0(a, sizeof *m);
    if (m == NULL) return qn_fail(err, QN_ENOMEM, "models");
    m->alloc = a;
    m->options = *options;
    (void)pthread_mutex_init(&m->lock, NULL);
    cond_create(&m->opened);
    m->dirs[0] = copied(a, options->own_dir, NULL);
    m->dirs[1] = copied(a, options->shipped_dir, NULL);
    m->packed = folder_of_copies(a, options->own_dir);
    m->embedder = copied(a, options->default_embedder, DEFAULT_EMBEDDER);
    m->reranker = copied(a, options->default_reranker, DEFAULT_RERANKER);
    bool shipped = options->shipped_dir == NULL || *options->shipped_dir == 0 ||
                   m->dirs[1] != NULL;
    if (m->dirs[0] != NULL && m->packed != NULL && shipped && m->embedder != NULL &&
        m->reranker != NULL)
        return QN_OK;
    qn_models_destroy(m);
    *out = NULL;
    return qn_fail(err, QN_ENOMEM, "models");
}

static void destroy_entry(qn_models *m, qn_model_entry *e)
{
    if (e == NULL) return;
    qn_model_close(e->model);
    qn_delete(m->alloc, e->name);
    qn_delete(m->alloc, e->path);
    qn_arena_deinit(&e->texts);
    qn_delete(m->alloc, e);
}

void qn_models_destroy(qn_models *m)
{
    if (m == NULL) return;
    (void)pthread_mutex_lock(&m->lock);
    while (m->openers > 0) (void)pthread_cond_wait(&m->opened, &m->lock);
    (void)pthread_mutex_unlock(&m->lock);
    for (size_t i = 0; i < m->entries.n; i++) destroy_entry(m, m->entries.p[i]);
    qn_vec_deinit(m->alloc, &m->entries);
    for (size_t i = 0; i < m->deployments.n; i++) {
        qn_deployment_destroy(m->deployments.p[i].deployment);
        qn_delete(m->alloc, m->deployments.p[i].name);
    }
    qn_vec_deinit(m->alloc, &m->deployments);
    qn_delete(m->alloc, m->dirs[0]);
    qn_delete(m->alloc, m->dirs[1]);
    qn_delete(m->alloc, m->packed);
    qn_delete(m->alloc, m->embedder);
    qn_delete(m->alloc, m->reranker);
    (void)pthread_mutex_destroy(&m->lock);
    (void)pthread_cond_destroy(&m->opened);
    qn_delete(m->alloc, m);
}

/* ---- entries ---------------------------------------------------------------------- */

qn_model_entry *qn_models__find(qn_models *m, const char *name)
{
    for (size_t i = 0; i < m->entries.n; i++) {
        qn_model_entry *e = m->entries.p[i];
        if (!e->forgotten && strcmp(e->name, name) == 0) return e;
    }
    return NULL;
}

qn_model_entry *qn_models__entry_of(qn_models *m, const qn_model *model)
{
    for (size_t i = 0; i < m->entries.n; i++)
        if (m->entries.p[i]->model == model) return m->entries.p[i];
    return NULL;
}

/* While a model was away another file may have come in its place. */
static bool is_changed(qn_models *m, const qn_model_entry *e)
{
    if (e->model != NULL || e->opening || e->users > 0 || !e->described) return false;
    qn_buf path;
    qn_buf_init(&path, m->alloc);
    uint64_t size = 0;
    bool same = qn_models_path(m, e->name, &path, NULL) == QN_OK && path.n > 0 &&
                strcmp(path.p, e->path) == 0 &&
                qn_file_size(path.p, &size, NULL) == QN_OK &&
                size == e->info.file_bytes;
    qn_buf_deinit(&path);
    return !same;
}

qn_status qn_models__need_entry(qn_models *m, const char *name, qn_model_entry **out,
                                qn_error *err)
{
    qn_deployment *deployment = NULL;
    *out = qn_models__find(m, name);
    if (*out != NULL && is_changed(m, *out)) {
        (*out)->forgotten = true;
        *out = NULL;
    }
    if (*out != NULL) return QN_OK;
    qn_buf path;
    qn_buf_init(&path, m->alloc);
    qn_model_entry *e = NULL;
    qn_status st = qn_models_path(m, name, &path, err);
    if (st == QN_OK && path.n == 0) st = qn_models__unknown(m, name, err);
    if (st == QN_OK) st = qn_models__need_deployment(m, name, &deployment, err);
    if (st == QN_OK) {
        e = qn_new0(m->alloc, sizeof *e);
        if (e != NULL) {
            qn_arena_init(&e->texts, m->alloc, TEXTS_LIMIT);
            e->name = qn_strndup(m->alloc, name, strlen(name));
            e->path = qn_buf_take(&path, NULL);
        }
        if (e == NULL || e->name == NULL || e->path == NULL ||
            !qn_vec_push(m->alloc, &m->entries, e)) {
            destroy_entry(m, e);
            e = NULL;
            st = qn_fail(err, QN_ENOMEM, "model");
        }
    }
    qn_buf_deinit(&path);
    *out = e;
    return st;
}

/* With the lock. Of a file that went or changed while it was opened nobody is told. */
static qn_status find_and_open(qn_models *m, const char *name,
                               const qn_deadline *deadline, qn_model_entry **found,
                               qn_error *err)
{
    enum { ROUNDS = 3 };
    qn_status st = QN_OK;
    for (int i = 0; i < ROUNDS; i++) {
        QN_TRY(qn_models__need_entry(m, name, found, err));
        qn_model_entry *e = *found;
        e->users++; /* also while it is opened: it must not go then */
        st = qn_models__open(m, e, deadline, err);
        if (st == QN_OK) return QN_OK;
        e->users--;
        if (st == QN_ETIMEOUT || st == QN_ECANCELLED) return st;
        if (!qn_file_exists(e->path)) e->forgotten = true;
        if (!e->forgotten) return st;
    }
    return st;
}

static qn_status get(qn_models *m, const char *name, const qn_deadline *deadline,
                     qn_model_entry **found, qn_model **out, qn_error *err)
{
    *out = NULL;
    (void)pthread_mutex_lock(&m->lock);
    qn_status st = find_and_open(m, name, deadline, found, err);
    if (st == QN_OK) {
        qn_deployment *d = qn_models__deployment(m, name);
        if (d != NULL) qn_deployment_wake(d);
        *out = (*found)->model;
    }
    (void)pthread_mutex_unlock(&m->lock);
    return st;
}

qn_status qn_models_any(qn_models *m, const char *name, qn_model **out, qn_error *err)
{
    qn_model_entry *e = NULL;
    return get(m, name, NULL, &e, out, err);
}

qn_status qn_models_get_by(qn_models *m, const char *name, qn_model_task task,
                           const qn_deadline *deadline, qn_model **out, qn_error *err)
{
    bool common = task == QN_MODEL_EMBED || task == QN_MODEL_RERANK;
    if (!common && (name == NULL || *name == 0))
        return qn_fail(err, QN_EINVAL, "name a model: there is none by default for %s",
                       qn_model_task_name(task));
    if (name == NULL || *name == 0)
        name = task == QN_MODEL_EMBED ? m->embedder : m->reranker;
    qn_model_entry *e = NULL;
    QN_TRY(get(m, name, deadline, &e, out, err));
    qn_model_task has = e->info.task;
    if (has == task) return QN_OK;
    qn_models_release(m, *out);
    *out = NULL;
    return qn_fail(err, QN_EMODELTASK, "the model [%s] is for %s, not for %s", name,
                   qn_model_task_name(has), qn_model_task_name(task));
}

qn_status qn_models_get(qn_models *m, const char *name, qn_model_task task,
                        qn_model **out, qn_error *err)
{
    return qn_models_get_by(m, name, task, NULL, out, err);
}

/* With the lock: the model, when nobody needs it any more; to be closed without. */
static qn_model *unneeded(qn_models *m, qn_model_entry *e)
{
    if (e->users > 0 || e->opening || e->model == NULL) return NULL;
    const qn_deployment *d = qn_models__deployment(m, e->name);
    if (!e->forgotten && (d == NULL || qn_deployment_count(d) > 0)) return NULL;
    qn_model *model = e->model;
    e->model = NULL;
    return model;
}

void qn_models_release(qn_models *m, qn_model *model)
{
    if (model == NULL) return;
    (void)pthread_mutex_lock(&m->lock);
    qn_model_entry *e = qn_models__entry_of(m, model);
    qn_assert(e != NULL && e->users > 0);
    e->users--;
    qn_model *gone = e->forgotten ? unneeded(m, e) : NULL;
    (void)pthread_mutex_unlock(&m->lock);
    qn_model_close(gone);
}

qn_status qn_models_info(qn_models *m, const char *name, const qn_model_info **info,
                         const char **path, qn_error *err)
{
    (void)pthread_mutex_lock(&m->lock);
    qn_model_entry *e = qn_models__find(m, name);
    if (e != NULL && !e->described) e = NULL;
    (void)pthread_mutex_unlock(&m->lock);
    if (e == NULL) {
        qn_model *model = NULL;
        QN_TRY(get(m, name, NULL, &e, &model, err));
        qn_models_release(m, model);
    }
    *info = &e->info;
    if (path != NULL) *path = e->path;
    return QN_OK;
}

void qn_models_forget(qn_models *m, const char *name)
{
    qn_model *gone = NULL;
    (void)pthread_mutex_lock(&m->lock);
    qn_model_entry *e = qn_models__find(m, name);
    if (e != NULL) {
        e->forgotten = true;
        gone = unneeded(m, e);
    }
    (void)pthread_mutex_unlock(&m->lock);
    qn_model_close(gone);
}

qn_status qn_models_forget_copies(qn_models *m, const char *name, qn_error *err)
{
    qn_models_forget(m, name);
    return qn_packed_copy_remove(m->packed, name, err);
}

const char *qn_models_path_of(qn_models *m, const qn_model *model)
{
    (void)pthread_mutex_lock(&m->lock);
    const qn_model_entry *e = qn_models__entry_of(m, model);
    (void)pthread_mutex_unlock(&m->lock);
    return e == NULL ? "" : e->path;
}

const qn_model_info *qn_models_info_of(qn_models *m, const qn_model *model)
{
    (void)pthread_mutex_lock(&m->lock);
    const qn_model_entry *e = qn_models__entry_of(m, model);
    (void)pthread_mutex_unlock(&m->lock);
    qn_assert(e != NULL);
    return &e->info;
}

void qn_models_tick(qn_models *m, int64_t now_ns)
{
    for (;;) {
        qn_model *gone = NULL;
        (void)pthread_mutex_lock(&m->lock);
        for (size_t i = 0; i < m->deployments.n; i++)
            qn_deployment_tick(m->deployments.p[i].deployment, now_ns);
        for (size_t i = 0; i < m->entries.n && gone == NULL; i++)
            gone = unneeded(m, m->entries.p[i]);
        (void)pthread_mutex_unlock(&m->lock);
        if (gone == NULL) return;
        qn_model_close(gone);
    }
}

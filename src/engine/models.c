/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/models.h"

#include "base/vec.h"
#include "engine/names.h"
#include "io/file.h"

#include <pthread.h>

#define DEFAULT_EMBEDDER "minilm-l6-v2"
#define DEFAULT_RERANKER "reranker-minilm-l6"

typedef struct entry {
    char *name, *path;
    qn_model *model;
    bool forgotten; /* kept for those who still use it */
} entry;

struct qn_models {
    qn_alloc *alloc;
    char *dirs[2]; /* own, shipped; may be NULL */
    char *embedder, *reranker;
    const qn_kernels *kernels;
    pthread_mutex_t lock;
    QN_VEC(entry) open; /* guarded by lock */
};

static char *copied(qn_alloc *a, const char *s, const char *absent)
{
    if (s == NULL || *s == 0) s = absent;
    return s == NULL ? NULL : qn_strndup(a, s, strlen(s));
}

qn_status qn_models_create(qn_alloc *a, const char *own_dir, const char *shipped_dir,
                           const char *default_embedder, const char *default_reranker,
                           const qn_kernels *kernels, qn_models **out, qn_error *err)
{
    qn_models *m = *out = qn_new0(a, sizeof *m);
    if (m == NULL) return qn_fail(err, QN_ENOMEM, "models");
    m->alloc = a;
    m->kernels = kernels;
    (void)pthread_mutex_init(&m->lock, NULL);
    m->dirs[0] = copied(a, own_dir, NULL);
    m->dirs[1] = copied(a, shipped_dir, NULL);
    m->embedder = copied(a, default_embedder, DEFAULT_EMBEDDER);
    m->reranker = copied(a, default_reranker, DEFAULT_RERANKER);
    bool shipped = shipped_dir == NULL || *shipped_dir == 0 || m->dirs[1] != NULL;
    if (m->dirs[0] != NULL && shipped && m->embedder != NULL && m->reranker != NULL)
        return QN_OK;
    qn_models_destroy(m);
    *out = NULL;
    return qn_fail(err, QN_ENOMEM, "models");
}

void qn_models_destroy(qn_models *m)
{
    if (m == NULL) return;
    for (size_t i = 0; i < m->open.n; i++) {
        qn_model_close(m->open.p[i].model);
        qn_delete(m->alloc, m->open.p[i].name);
        qn_delete(m->alloc, m->open.p[i].path);
    }
    qn_vec_deinit(m->alloc, &m->open);
    qn_delete(m->alloc, m->dirs[0]);
    qn_delete(m->alloc, m->dirs[1]);
    qn_delete(m->alloc, m->embedder);
    qn_delete(m->alloc, m->reranker);
    (void)pthread_mutex_destroy(&m->lock);
    qn_delete(m->alloc, m);
}

/* ---- files ------------------------------------------------------------------------------
 */

/* Also keeps names from leaving their folder. */
static qn_status check_name(const char *name, qn_error *err)
{
    qn_slice s = qn_slice_of(name);
    bool bad = s.n == 0 || s.n > 128 || s.p[0] == '-';
    for (size_t i = 0; i < s.n; i++)
        bad = bad || (unsigned char)s.p[i] <= ' ' || s.p[i] == '/' || s.p[i] == '\\' ||
              s.p[i] == 0x7F;
    if (!bad && strcmp(name, ".") != 0 && strcmp(name, "..") != 0) return QN_OK;
    return qn_fail(err, QN_EBADNAME,
                   "a model's name has 1 to 128 bytes, no blanks and no slashes");
}

qn_status qn_models_new_path(qn_models *m, const char *name, qn_buf *path,
                             qn_error *err)
{
    qn_buf_reset(path);
    QN_TRY(check_name(name, err));
    QN_TRY(qn_dir_create(m->dirs[0], err));
    qn_buf_printf(path, "%s/%s.qnm", m->dirs[0], name);
    return path->failed ? qn_fail(err, QN_ENOMEM, "model") : QN_OK;
}

qn_status qn_models_path(qn_models *m, const char *name, qn_buf *path, qn_error *err)
{
    for (size_t i = 0; i < 2; i++) {
        qn_buf_reset(path);
        if (m->dirs[i] == NULL || check_name(name, NULL) != QN_OK) continue;
        qn_buf_printf(path, "%s/%s.qnm", m->dirs[i], name);
        if (path->failed) return qn_fail(err, QN_ENOMEM, "model");
        if (qn_file_exists(path->p)) return QN_OK;
    }
    qn_buf_reset(path);
    return QN_OK;
}

typedef struct names {
    qn_alloc *alloc;
    QN_VEC(char *) list;
    const char *dir;
    bool failed;
} names;

static bool see_file(void *ctx, const char *name, bool is_dir)
{
    names *n = ctx;
    qn_slice s = qn_slice_of(name);
    if (is_dir || s.n <= 4 || !qn_slice_ends_with(s, ".qnm")) return true;
    for (size_t i = 0; i < n->list.n; i++)
        if (strlen(n->list.p[i]) == s.n - 4 && memcmp(n->list.p[i], s.p, s.n - 4) == 0)
            return true;
    char *copy = qn_strndup(n->alloc, s.p, s.n - 4);
    if (copy == NULL || !qn_vec_push(n->alloc, &n->list, copy)) {
        qn_delete(n->alloc, copy);
        n->failed = true;
    }
    return !n->failed;
}

static void sort_names(names *n)
{
    for (size_t i = 1; i < n->list.n; i++) {
        char *one = n->list.p[i];
        size_t k = i;
        for (; k > 0 && strcmp(n->list.p[k - 1], one) > 0; k--)
            n->list.p[k] = n->list.p[k - 1];
        n->list.p[k] = one;
    }
}

qn_status qn_models_list(qn_models *m,
                         bool (*each)(void *ctx, const char *name, const char *path),
                         void *ctx, qn_error *err)
{
    names n = {.alloc = m->alloc};
    qn_status st = QN_OK;
    qn_buf path;
    qn_buf_init(&path, m->alloc);
    for (size_t i = 0; i < 2 && st == QN_OK; i++) {
        qn_error ignored;
        if (m->dirs[i] == NULL) continue;
        st = qn_dir_list(m->dirs[i], see_file, &n, &ignored);
        if (st == QN_ENOTFOUND) st = QN_OK;
        if (st != QN_OK && err != NULL) *err = ignored;
    }
    if (n.failed) st = qn_fail(err, QN_ENOMEM, "models");
    sort_names(&n);
    for (size_t i = 0; i < n.list.n && st == QN_OK; i++) {
        st = qn_models_path(m, n.list.p[i], &path, err);
        if (st != QN_OK || path.n == 0) continue;
        if (!each(ctx, n.list.p[i], path.p)) break;
    }
    for (size_t i = 0; i < n.list.n; i++) qn_delete(m->alloc, n.list.p[i]);
    qn_vec_deinit(m->alloc, &n.list);
    qn_buf_deinit(&path);
    return st;
}

/* ---- opening ------------------------------------------------------------------------------
 */

static bool add_known(void *ctx, const char *name, const char *path)
{
    qn_buf *known = ctx;
    (void)path;
    qn_buf_printf(known, "%s%s", known->n == 0 ? "" : ", ", name);
    return known->n < 256;
}

static qn_status unknown(qn_models *m, const char *name, qn_error *err)
{
    qn_buf known;
    qn_buf_init(&known, m->alloc);
    if (qn_models_list(m, add_known, &known, NULL) != QN_OK) qn_buf_reset(&known);
    qn_status st = qn_fail(err, QN_ENOMODEL, "there is no model [%.128s]; %s%s", name,
                           known.n == 0 ? "no models are installed" : "there are: ",
                           known.n == 0 ? "" : known.p);
    qn_buf_deinit(&known);
    return st;
}

/* Under the lock: a model is opened once. */
static qn_status open_locked(qn_models *m, const char *name, qn_model **out,
                             qn_error *err)
{
    for (size_t i = 0; i < m->open.n; i++) {
        if (m->open.p[i].forgotten || strcmp(m->open.p[i].name, name) != 0) continue;
        *out = m->open.p[i].model;
        return QN_OK;
    }
    qn_buf path;
    qn_buf_init(&path, m->alloc);
    entry e = {0};
    qn_status st = qn_models_path(m, name, &path, err);
    if (st == QN_OK && path.n == 0) st = unknown(m, name, err);
    qn_model_options options = {.kernels = m->kernels};
    if (st == QN_OK) st = qn_model_open(m->alloc, path.p, &options, &e.model, err);
    if (st == QN_OK) {
        e.name = qn_strndup(m->alloc, name, strlen(name));
        e.path = qn_buf_take(&path, NULL);
        if (e.name == NULL || e.path == NULL || !qn_vec_push(m->alloc, &m->open, e)) {
            qn_model_close(e.model);
            qn_delete(m->alloc, e.name);
            qn_delete(m->alloc, e.path);
            st = qn_fail(err, QN_ENOMEM, "model");
        } else {
            *out = e.model;
        }
    }
    qn_buf_deinit(&path);
    return st;
}

qn_status qn_models_any(qn_models *m, const char *name, qn_model **out, qn_error *err)
{
    *out = NULL;
    (void)pthread_mutex_lock(&m->lock);
    qn_status st = open_locked(m, name, out, err);
    (void)pthread_mutex_unlock(&m->lock);
    return st;
}

qn_status qn_models_get(qn_models *m, const char *name, qn_model_task task,
                        qn_model **out, qn_error *err)
{
    bool common = task == QN_MODEL_EMBED || task == QN_MODEL_RERANK;
    if (!common && (name == NULL || *name == 0))
        return qn_fail(err, QN_EINVAL, "name a model: there is none by default for %s",
                       qn_model_task_name(task));
    if (name == NULL || *name == 0)
        name = task == QN_MODEL_EMBED ? m->embedder : m->reranker;
    QN_TRY(qn_models_any(m, name, out, err));
    qn_model_task has = qn_model_describe(*out)->task;
    if (has == task) return QN_OK;
    *out = NULL;
    return qn_fail(err, QN_EMODELTASK, "the model [%s] is for %s, not for %s", name,
                   qn_model_task_name(has), qn_model_task_name(task));
}

void qn_models_forget(qn_models *m, const char *name)
{
    (void)pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->open.n; i++)
        if (strcmp(m->open.p[i].name, name) == 0) m->open.p[i].forgotten = true;
    (void)pthread_mutex_unlock(&m->lock);
}

const char *qn_models_path_of(qn_models *m, const qn_model *model)
{
    const char *path = "";
    (void)pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->open.n; i++)
        if (m->open.p[i].model == model) path = m->open.p[i].path;
    (void)pthread_mutex_unlock(&m->lock);
    return path;
}

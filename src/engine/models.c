/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/models.h"

#include "base/vec.h"
#include "engine/names.h"
#include "io/file.h"
#include "nn/packed_copy.h"

#include <pthread.h>
#include <time.h>

enum { TEXTS_LIMIT = 1024 * 1024 };

#define DEFAULT_EMBEDDER "minilm-l6-v2"
#define DEFAULT_RERANKER "reranker-minilm-l6"

/* One file of a name as it was found once. Entries are never freed before the end: what
 * was told about them stays true. */
typedef struct entry {
    char *name, *path;
    qn_model *model;    /* NULL: not open */
    qn_model_info info; /* as of the first opening; its texts are in `texts` */
    qn_arena texts;
    bool described;
    bool opening;
    bool forgotten; /* for those alone who still use it */
    size_t users;
    qn_error why; /* code: of the last opening */
} entry;

typedef struct deployed {
    char *name;
    qn_deployment *deployment;
    bool given; /* settings of its own */
} deployed;

struct qn_models {
    qn_alloc *alloc;
    char *dirs[2]; /* own, shipped; may be NULL */
    char *packed;  /* folder of packed copies */
    char *embedder, *reranker;
    qn_models_options options;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t opened;
    QN_VEC(entry *) entries;
    QN_VEC(deployed) deployments;
    size_t openers; /* threads */
};

static const int64_t look_ns = 4000000;

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

static void destroy_entry(qn_models *m, entry *e)
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

static entry *find_entry(qn_models *m, const char *name)
{
    for (size_t i = 0; i < m->entries.n; i++) {
        entry *e = m->entries.p[i];
        if (!e->forgotten && strcmp(e->name, name) == 0) return e;
    }
    return NULL;
}

static entry *entry_of(qn_models *m, const qn_model *model)
{
    for (size_t i = 0; i < m->entries.n; i++)
        if (m->entries.p[i]->model == model) return m->entries.p[i];
    return NULL;
}

static deployed *find_deployed(qn_models *m, const char *name)
{
    for (size_t i = 0; i < m->deployments.n; i++)
        if (strcmp(m->deployments.p[i].name, name) == 0) return &m->deployments.p[i];
    return NULL;
}

static qn_deployment *find_deployment(qn_models *m, const char *name)
{
    const deployed *d = find_deployed(m, name);
    return d == NULL ? NULL : d->deployment;
}

static qn_status need_deployment(qn_models *m, const char *name, qn_deployment **out,
                                 qn_error *err)
{
    *out = find_deployment(m, name);
    if (*out != NULL) return QN_OK;
    deployed d = {.name = qn_strndup(m->alloc, name, strlen(name))};
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

/* While a model was away another file may have come in its place. */
static bool is_changed(qn_models *m, const entry *e)
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

/* A name's file as it lies there now becomes an entry. */
static qn_status need_entry(qn_models *m, const char *name, entry **out, qn_error *err)
{
    qn_deployment *deployment = NULL;
    *out = find_entry(m, name);
    if (*out != NULL && is_changed(m, *out)) {
        (*out)->forgotten = true;
        *out = NULL;
    }
    if (*out != NULL) return QN_OK;
    qn_buf path;
    qn_buf_init(&path, m->alloc);
    entry *e = NULL;
    qn_status st = qn_models_path(m, name, &path, err);
    if (st == QN_OK && path.n == 0) st = unknown(m, name, err);
    if (st == QN_OK) st = need_deployment(m, name, &deployment, err);
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

static bool keep_text(entry *e, const char **text)
{
    if (*text == NULL) return true;
    *text = qn_arena_strndup(&e->texts, *text, strlen(*text));
    return *text != NULL;
}

/* What the model says of itself outlives it. */
static bool describe(entry *e, const qn_model_info *info)
{
    if (e->described) return e->info.digest == info->digest;
    e->info = *info;
    const char **texts[] = {&e->info.name,        &e->info.architecture,
                            &e->info.licence,     &e->info.origin,
                            &e->info.source_hash, &e->info.default_prompt};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!keep_text(e, texts[i])) return false;
    qn_prompt *prompts =
        qn_arena_array(&e->texts, info->prompt_count + 1, sizeof *prompts);
    if (prompts == NULL) return false;
    for (size_t i = 0; i < info->prompt_count; i++) {
        prompts[i] = info->prompts[i];
        if (!keep_text(e, &prompts[i].name) || !keep_text(e, &prompts[i].text))
            return false;
    }
    e->info.prompts = prompts;
    e->described = true;
    return true;
}

/* Without the lock; `opening` is set. */
static void open_entry(qn_models *m, entry *e)
{
    qn_model *model = NULL;
    qn_error err = {0};
    qn_model_options options = {.kernels = m->options.kernels,
                                .packed_dir = m->packed,
                                .packed_read_only = m->options.read_only};
    qn_status st = qn_model_open(m->alloc, e->path, &options, &model, &err);
    (void)pthread_mutex_lock(&m->lock);
    if (st == QN_OK && !describe(e, qn_model_describe(model))) {
        qn_model_close(model);
        model = NULL;
        st = qn_fail(&err, QN_EBUSY,
                     "the file of the model [%.128s] is another one than before; try "
                     "again",
                     e->name);
        e->forgotten = true;
    }
    e->why = err;
    e->why.code = st;
    e->model = model;
    e->opening = false;
    (void)pthread_cond_broadcast(&m->opened);
    (void)pthread_mutex_unlock(&m->lock);
}

typedef struct opener {
    qn_models *m;
    entry *e;
} opener;

static void *opener_main(void *arg)
{
    opener *o = arg;
    qn_models *m = o->m;
    open_entry(m, o->e);
    (void)pthread_mutex_lock(&m->lock);
    qn_delete(m->alloc, o);
    m->openers--;
    (void)pthread_cond_broadcast(&m->opened);
    (void)pthread_mutex_unlock(&m->lock);
    return NULL;
}

/* With the lock: opens on a thread of its own, so that nobody has to wait to the end.
 * false: there is none to be had. */
static bool open_aside(qn_models *m, entry *e)
{
    opener *o = qn_new0(m->alloc, sizeof *o);
    if (o == NULL) return false;
    *o = (opener){m, e};
    pthread_t thread;
    pthread_attr_t attr;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    m->openers++;
    bool runs = pthread_create(&thread, &attr, opener_main, o) == 0;
    (void)pthread_attr_destroy(&attr);
    if (!runs) {
        m->openers--;
        qn_delete(m->alloc, o);
    }
    return runs;
}

static void wait_a_little(qn_models *m, const qn_deadline *deadline)
{
    bool limited =
        deadline != NULL && (deadline->at_ns != 0 || deadline->cancelled != NULL);
    if (!limited) {
        (void)pthread_cond_wait(&m->opened, &m->lock);
        return;
    }
    int64_t at = qn_clock_mono_ns() + look_ns;
    struct timespec until = {.tv_sec = (time_t)(at / 1000000000),
                             .tv_nsec = (long)(at % 1000000000)};
    (void)pthread_cond_timedwait(&m->opened, &m->lock, &until);
}

/* With the lock: until the entry's model is open, or the reason why not. */
static qn_status open_locked(qn_models *m, entry *e, const qn_deadline *deadline,
                             qn_error *err)
{
    if (e->model != NULL) return QN_OK;
    if (!e->opening) {
        e->opening = true;
        bool limited =
            deadline != NULL && (deadline->at_ns != 0 || deadline->cancelled != NULL);
        if (!limited || !open_aside(m, e)) {
            (void)pthread_mutex_unlock(&m->lock);
            open_entry(m, e);
            (void)pthread_mutex_lock(&m->lock);
        }
    }
    while (e->opening) {
        if (qn_deadline_passed(deadline))
            return qn_fail(
                err, qn_deadline_cancelled(deadline) ? QN_ECANCELLED : QN_ETIMEOUT,
                "the model [%.128s] is still being opened", e->name);
        wait_a_little(m, deadline);
    }
    if (e->model != NULL) return QN_OK;
    if (err != NULL) *err = e->why;
    return e->why.code;
}

static qn_status get(qn_models *m, const char *name, const qn_deadline *deadline,
                     entry **found, qn_model **out, qn_error *err)
{
    *out = NULL;
    (void)pthread_mutex_lock(&m->lock);
    entry *e = NULL;
    qn_status st = need_entry(m, name, &e, err);
    if (st == QN_OK) {
        e->users++; /* also while it is opened: it must not go then */
        st = open_locked(m, e, deadline, err);
        if (st != QN_OK) e->users--;
    }
    if (st == QN_OK) {
        qn_deployment *d = find_deployment(m, name);
        if (d != NULL) qn_deployment_wake(d);
        *out = e->model;
    }
    *found = e;
    (void)pthread_mutex_unlock(&m->lock);
    return st;
}

qn_status qn_models_any(qn_models *m, const char *name, qn_model **out, qn_error *err)
{
    entry *e = NULL;
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
    entry *e = NULL;
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
static qn_model *unneeded(qn_models *m, entry *e)
{
    if (e->users > 0 || e->opening || e->model == NULL) return NULL;
    const qn_deployment *d = find_deployment(m, e->name);
    if (!e->forgotten && (d == NULL || qn_deployment_count(d) > 0)) return NULL;
    qn_model *model = e->model;
    e->model = NULL;
    return model;
}

void qn_models_release(qn_models *m, qn_model *model)
{
    if (model == NULL) return;
    (void)pthread_mutex_lock(&m->lock);
    entry *e = entry_of(m, model);
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
    entry *e = find_entry(m, name);
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
    entry *e = find_entry(m, name);
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
    const entry *e = entry_of(m, model);
    (void)pthread_mutex_unlock(&m->lock);
    return e == NULL ? "" : e->path;
}

const qn_model_info *qn_models_info_of(qn_models *m, const qn_model *model)
{
    (void)pthread_mutex_lock(&m->lock);
    const entry *e = entry_of(m, model);
    (void)pthread_mutex_unlock(&m->lock);
    qn_assert(e != NULL);
    return &e->info;
}

/* ---- deployments ----------------------------------------------------------------- */

qn_serving qn_models_serving(qn_models *m, const qn_model *model, qn_priority priority)
{
    (void)pthread_mutex_lock(&m->lock);
    const entry *e = entry_of(m, model);
    qn_assert(e != NULL);
    qn_serving serving = {.group = qn_deployment_group(find_deployment(m, e->name)),
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
    entry *e = NULL;
    qn_deployment *d = NULL;
    qn_status st = unseen ? QN_OK : need_entry(m, name, &e, err);
    if (st == QN_OK) st = need_deployment(m, name, &d, err);
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
    const entry *e = find_entry(m, name);
    const qn_deployment *d = find_deployment(m, name);
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

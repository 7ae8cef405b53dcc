/* SPDX-License-Identifier: Apache-2.0 */
/* models_open.c -- a model is opened, on a thread of its own where somebody cannot wait. */
#include "engine/models/models_internal.h"

#include <time.h>

static const int64_t look_ns = 4000000;

static bool keep_text(qn_model_entry *e, const char **text)
{
    if (*text == NULL) return true;
    *text = qn_arena_strndup(&e->texts, *text, strlen(*text));
    return *text != NULL;
}

static bool keep_labels(qn_model_entry *e, const qn_model_info *info)
{
    if (info->label_names == NULL) return true;
    const char **names = qn_arena_array(&e->texts, info->labels + 1u, sizeof *names);
    if (names == NULL) return false;
    for (size_t i = 0; i < info->labels; i++) {
        names[i] = info->label_names[i];
        if (!keep_text(e, &names[i])) return false;
    }
    e->info.label_names = names;
    return true;
}

/* What the model says of itself outlives it. */
static bool describe(qn_model_entry *e, const qn_model_info *info)
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
    if (!keep_labels(e, info)) return false;
    e->described = true;
    return true;
}

/* Without the lock; `opening` is set. */
static void open_entry(qn_models *m, qn_model_entry *e)
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
    qn_model_entry *e;
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
static bool open_aside(qn_models *m, qn_model_entry *e)
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
qn_status qn_models__open(qn_models *m, qn_model_entry *e, const qn_deadline *deadline,
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

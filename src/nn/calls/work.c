/* SPDX-License-Identifier: Apache-2.0 */
/* work.c -- the way of a call's batches: filled, run, used; on threads of a pool that
 * are the call's alone, or on those that all calls share. */
#include "nn/nn_internal.h"

enum {
    BYTES_OF_A_TOKEN = 4, /* English; other scripts have more tokens in fewer letters */
    SPECIALS = 3,
    FEW_TOKENS = 64, /* not worth another thread */
};

uint64_t qn_nn__guess_tokens(qn_slice text, size_t most)
{
    uint64_t tokens = text.n / BYTES_OF_A_TOKEN + SPECIALS;
    return tokens < most ? tokens : most;
}

/* ---- one batch ------------------------------------------------------------------- */

/* A batch that is ready to run, or NULL. */
static qn_nn_scratch *filled(qn_nn_work *w)
{
    if (atomic_load(&w->failure.stop) || atomic_load(&w->next) >= w->items) return NULL;
    qn_error err = {0};
    qn_nn_scratch *s = NULL;
    qn_status st = qn_nn__scratch_take(w->model, &s, &err);
    if (st == QN_OK) st = w->fill(w, s, &err);
    if (st != QN_OK) qn_nn__failure_set(&w->failure, st, &err);
    if (s != NULL && (st != QN_OK || s->sequences == 0)) {
        qn_nn__scratch_give(s->model, s);
        s = NULL;
    }
    return s;
}

static void run(qn_nn_scratch *s, const qn_deadline *deadline, const int64_t *paused_ns)
{
    qn_encoder_batch batch = {s->ids, s->types, s->starts, s->sequences, s->keys};
    qn_model *m = s->model;
    int64_t begin = qn_clock_mono_ns();
    s->err = (qn_error){0};
    s->st = qn_encoder_run(m->encoder, s->encoder, &batch, deadline, NULL, &s->rows,
                           &s->err);
    int64_t end = qn_clock_mono_ns();
    if (s->st == QN_OK || s->st == QN_ETIMEOUT || s->st == QN_ECANCELLED)
        qn_speed_learn(&m->speed, s->starts, s->sequences,
                       end - begin - (paused_ns == NULL ? 0 : *paused_ns),
                       s->st == QN_OK, end);
}

static void use(QN_NULLABLE qn_nn_work *w, qn_nn_scratch *s)
{
    if (w != NULL) {
        qn_error err = {0};
        qn_status st = w->use(w, s, &err);
        if (st != QN_OK) qn_nn__failure_set(&w->failure, st, &err);
    }
    qn_nn__scratch_give(s->model, s);
}

/* ---- on shared threads ----------------------------------------------------------- */

static bool take_turn(void *job, void **batch, qn_turn *turn)
{
    qn_nn_scratch *s = filled(job);
    *batch = s;
    if (s == NULL) return false;
    *turn = (qn_turn){s->sequences, qn_nn__batch_time(s)};
    return true;
}

static void run_turn(void *batch, const qn_deadline *deadline, const int64_t *paused_ns)
{
    run(batch, deadline, paused_ns);
}

static void give_turn(void *job, void *batch)
{
    use(job, batch);
}

static qn_status run_served(qn_nn_work *w, qn_error *err)
{
    static const qn_schedule_work turns = {take_turn, run_turn, give_turn};
    size_t length = w->items == 0 ? 0 : (size_t)(w->tokens / w->items);
    const qn_schedule_call call = {
        .group = w->serving->group,
        .priority = w->serving->priority,
        .deadline = w->deadline,
        .items = w->items,
        .tokens = w->tokens,
        .cost_ns = qn_speed_tokens(&w->model->speed, w->tokens, length),
        .whole = w->whole,
        .always = w->serving->always,
        .work = &turns,
        .job = w,
    };
    return qn_scheduler_run(&call, err);
}

/* ---- on a pool ------------------------------------------------------------------- */

static void worker_main(void *arg, size_t index, size_t worker)
{
    (void)index;
    (void)worker;
    qn_nn_work *w = arg;
    for (qn_nn_scratch *s = filled(w); s != NULL; s = filled(w)) {
        run(s, w->deadline, NULL);
        use(w, s);
    }
}

void qn_nn__work_prepare(qn_nn_work *w)
{
    w->workers = w->serving == NULL ? qn_pool_width(w->pool)
                                    : qn_schedule_group_width(w->serving->group);
    size_t worth = (size_t)(w->tokens / FEW_TOKENS) + 1;
    if (w->workers > worth) w->workers = worth;
    if (w->workers > w->items) w->workers = w->items;
}

qn_status qn_nn__work_run(qn_nn_work *w, qn_error *err)
{
    if (w->items == 0) return QN_OK;
    qn_nn__failure_init(&w->failure);
    qn_status st = QN_OK;
    if (w->serving != NULL)
        st = run_served(w, err);
    else
        qn_pool_run(w->pool, w->workers, worker_main, w);
    qn_status failed = qn_nn__failure_finish(&w->failure, st == QN_OK ? err : NULL);
    return st == QN_OK ? failed : st;
}

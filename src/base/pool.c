/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pool.h"

#include <pthread.h>
#ifdef __linux__
#include <sys/resource.h>
#endif

/* One call of qn_pool_run, on its caller's stack. Threads join it while indexes are
 * left; the caller leaves when nobody is inside any more. */
typedef struct run {
    struct run *next;
    qn_pool_fn *fn;
    void *arg;
    size_t count;
    atomic_size_t taken;
    size_t inside; /* threads working on it, caller excluded; under pool->lock */
    size_t joined; /* workers ever, to number them; under pool->lock */
} run;

typedef struct job {
    struct job *next;
    qn_pool_job *fn;
    void *arg;
} job;

struct qn_pool {
    qn_alloc *alloc;
    size_t thread_count;
    pthread_t *threads;
    pthread_mutex_t lock; /* guards all below, and run.inside, run.joined */
    pthread_cond_t wake, left;
    run *runs; /* with work left */
    job *jobs, **jobs_tail;
    bool stopping;
};

static void work_on(run *r, size_t worker)
{
    for (;;) {
        size_t i = atomic_fetch_add(&r->taken, 1);
        if (i >= r->count) return;
        r->fn(r->arg, i, worker);
    }
}

static void unlink_run(qn_pool *pool, run *r)
{
    for (run **at = &pool->runs; *at != NULL; at = &(*at)->next) {
        if (*at != r) continue;
        *at = r->next;
        return;
    }
}

/* Called and returns with the lock held. */
static void help(qn_pool *pool, run *r)
{
    size_t worker = ++r->joined;
    r->inside++;
    /* Each thread joins a run once: it numbers at most thread_count workers. */
    if (r->joined >= pool->thread_count) unlink_run(pool, r);
    (void)pthread_mutex_unlock(&pool->lock);
    work_on(r, worker);
    (void)pthread_mutex_lock(&pool->lock);
    unlink_run(pool, r);
    if (--r->inside == 0) (void)pthread_cond_broadcast(&pool->left);
}

static void *thread_main(void *arg)
{
    qn_pool *pool = arg;
    (void)pthread_mutex_lock(&pool->lock);
    for (;;) {
        if (pool->runs != NULL) {
            help(pool, pool->runs);
        } else if (pool->jobs != NULL) {
            job *j = pool->jobs;
            pool->jobs = j->next;
            if (pool->jobs == NULL) pool->jobs_tail = &pool->jobs;
            (void)pthread_mutex_unlock(&pool->lock);
            j->fn(j->arg);
            qn_delete(pool->alloc, j);
            (void)pthread_mutex_lock(&pool->lock);
        } else if (pool->stopping) {
            break;
        } else {
            (void)pthread_cond_wait(&pool->wake, &pool->lock);
        }
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return NULL;
}

qn_status qn_pool_create(qn_alloc *a, size_t threads, qn_pool **out, qn_error *err)
{
    *out = NULL;
    qn_pool *pool = qn_new0(a, sizeof *pool);
    if (pool == NULL) return qn_fail(err, QN_ENOMEM, "thread pool");
    pool->alloc = a;
    pool->jobs_tail = &pool->jobs;
    (void)pthread_mutex_init(&pool->lock, NULL);
    (void)pthread_cond_init(&pool->wake, NULL);
    (void)pthread_cond_init(&pool->left, NULL);
    pool->threads = qn_new_array(a, threads + 1, sizeof *pool->threads);
    qn_status st =
        pool->threads == NULL ? qn_fail(err, QN_ENOMEM, "thread pool") : QN_OK;
    for (size_t i = 0; st == QN_OK && i < threads; i++) {
        if (pthread_create(&pool->threads[i], NULL, thread_main, pool) != 0)
            st = qn_fail(err, QN_EBUSY, "cannot start thread %zu of %zu", i + 1,
                         threads);
        else
            pool->thread_count++;
    }
    if (st != QN_OK) {
        qn_pool_destroy(pool);
        return st;
    }
    *out = pool;
    return QN_OK;
}

void qn_pool_destroy(qn_pool *pool)
{
    if (pool == NULL) return;
    (void)pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    (void)pthread_cond_broadcast(&pool->wake);
    (void)pthread_mutex_unlock(&pool->lock);
    for (size_t i = 0; i < pool->thread_count; i++)
        (void)pthread_join(pool->threads[i], NULL);
    (void)pthread_mutex_destroy(&pool->lock);
    (void)pthread_cond_destroy(&pool->wake);
    (void)pthread_cond_destroy(&pool->left);
    qn_delete(pool->alloc, pool->threads);
    qn_delete(pool->alloc, pool);
}

size_t qn_pool_width(const qn_pool *pool)
{
    return pool == NULL ? 1 : pool->thread_count + 1;
}

void qn_pool_run(qn_pool *pool, size_t count, qn_pool_fn *fn, void *arg)
{
    run r = {.fn = fn, .arg = arg, .count = count};
    bool shared = pool != NULL && pool->thread_count > 0 && count > 1;
    if (shared) {
        (void)pthread_mutex_lock(&pool->lock);
        run **at = &pool->runs; /* at the end: older runs get helpers first */
        while (*at != NULL) at = &(*at)->next;
        *at = &r;
        (void)pthread_cond_broadcast(&pool->wake);
        (void)pthread_mutex_unlock(&pool->lock);
    }
    work_on(&r, 0);
    if (shared) {
        (void)pthread_mutex_lock(&pool->lock);
        unlink_run(pool, &r);
        while (r.inside > 0) (void)pthread_cond_wait(&pool->left, &pool->lock);
        (void)pthread_mutex_unlock(&pool->lock);
    }
}

qn_status qn_pool_submit(qn_pool *pool, qn_pool_job *fn, void *arg, qn_error *err)
{
    if (pool->thread_count == 0) {
        fn(arg);
        return QN_OK;
    }
    job *j = qn_new0(pool->alloc, sizeof *j);
    if (j == NULL) return qn_fail(err, QN_ENOMEM, "job");
    j->fn = fn;
    j->arg = arg;
    (void)pthread_mutex_lock(&pool->lock);
    *pool->jobs_tail = j;
    pool->jobs_tail = &j->next;
    (void)pthread_cond_signal(&pool->wake);
    (void)pthread_mutex_unlock(&pool->lock);
    return QN_OK;
}

void qn_thread_lower_priority(int by)
{
#ifdef __linux__
    /* Of this thread alone. Without the right to, it works at the usual priority. */
    (void)setpriority(PRIO_PROCESS, 0, by);
#else
    (void)by;
#endif
}

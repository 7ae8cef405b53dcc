/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/write/sync_thread.h"

#include "base/log.h"
#include "engine/engine_internal.h"
#include "engine/write/write.h"

#include <time.h>

enum { LOOK_MS = 100 };

/* false: nothing waits in the table any more. */
static bool look_at(qn_table *t, int64_t now_ns)
{
    int64_t since = atomic_load(&t->unsynced_since_ns);
    if (since == 0) return false;
    if (now_ns - since < atomic_load(&t->sync_interval_ms) * 1000000) return true;
    /* What is appended from here on counts anew, whether this sync covers it or not. */
    atomic_store(&t->unsynced_since_ns, 0);
    qn_error err;
    if (qn_write__sync(t, &err) != QN_OK)
        qn_log(QN_LOG_ERROR, "engine", "table %s: %s", t->name, err.text);
    return false;
}

static bool look_at_all(quern *q)
{
    bool work = false, end = false;
    for (size_t i = 0;; i++) {
        qn_table *t = qn_engine_open_table_at(q, i, &end);
        if (end) return work;
        if (t == NULL) continue;
        work |= look_at(t, qn_clock_mono_ns());
        qn_table_release(t);
    }
}

static void *sync_main(void *arg)
{
    quern *q = arg;
    qn_sync_thread *s = &q->syncer;
    (void)pthread_mutex_lock(&s->lock);
    while (!s->stopping) {
        if (!s->work) {
            (void)pthread_cond_wait(&s->signal, &s->lock);
            continue;
        }
        s->work = false;
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += LOOK_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        while (!s->stopping &&
               pthread_cond_timedwait(&s->signal, &s->lock, &until) == 0)
            continue;
        if (s->stopping) break;
        (void)pthread_mutex_unlock(&s->lock);
        bool work = look_at_all(q);
        (void)pthread_mutex_lock(&s->lock);
        s->work |= work;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return NULL;
}

qn_status qn_sync_thread_start(quern *q, qn_error *err)
{
    qn_sync_thread *s = &q->syncer;
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_cond_init(&s->signal, NULL);
    s->runs = pthread_create(&s->thread, NULL, sync_main, q) == 0;
    if (s->runs) return QN_OK;
    (void)pthread_cond_destroy(&s->signal);
    (void)pthread_mutex_destroy(&s->lock);
    return qn_fail(err, QN_ENOMEM, "no thread for syncing logs");
}

void qn_sync_thread_stop(quern *q)
{
    qn_sync_thread *s = &q->syncer;
    if (!s->runs) return;
    (void)pthread_mutex_lock(&s->lock);
    s->stopping = true;
    (void)pthread_cond_signal(&s->signal);
    (void)pthread_mutex_unlock(&s->lock);
    (void)pthread_join(s->thread, NULL);
    (void)pthread_cond_destroy(&s->signal);
    (void)pthread_mutex_destroy(&s->lock);
    s->runs = false;
}

void qn_sync_thread_wake(quern *q)
{
    qn_sync_thread *s = &q->syncer;
    (void)pthread_mutex_lock(&s->lock);
    if (!s->work) (void)pthread_cond_signal(&s->signal);
    s->work = true;
    (void)pthread_mutex_unlock(&s->lock);
}

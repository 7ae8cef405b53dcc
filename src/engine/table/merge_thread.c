/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/table/merge_thread.h"

#include "base/log.h"
#include "base/pool.h"
#include "engine/engine_internal.h"
#include "engine/table/table_commit.h"

#include <time.h>

enum {
    LOOK_S = 5, /* also when nobody calls */
    RETRY_S_MAX = 300,
    PRIORITY = 15,
};

static const uint64_t rate_default = 40 * 1024 * 1024;
static const uint64_t bytes_max_default = (uint64_t)5 * 1024 * 1024 * 1024;

static const qn_merge_policy policy_default = {
    .fan_in = 10,
    .segments_max = 30,
    .floor_bytes = 2 * 1024 * 1024,
    .docs_max = UINT32_MAX / 8,
    .deleted_percent = 20,
    .updated_percent = 50,
};

/* ---- one merge ---------------------------------------------------------------------- */

static void note_failure(qn_table *t, const qn_error *why)
{
    (void)pthread_mutex_lock(&t->write);
    unsigned shift = t->merge_failures < 9 ? t->merge_failures : 9;
    int64_t wait = (int64_t)1 << shift;
    if (wait > RETRY_S_MAX) wait = RETRY_S_MAX;
    t->merge_failures++;
    t->merge_retry_at_ns = qn_clock_mono_ns() + wait * 1000000000;
    t->merges.failed++;
    t->merges.last_error = *why;
    (void)pthread_mutex_unlock(&t->write);
    qn_log(QN_LOG_WARN, "engine",
           "table %s: a merge failed and is tried again in %lld s: %s", t->name,
           (long long)wait, why->text);
}

/* Under `merging`. */
static bool choose(qn_table *t, qn_merge_choice *choice)
{
    const qn_merger *m = &t->engine->merger;
    (void)pthread_mutex_lock(&t->write);
    size_t n = qn_table__committed(t);
    bool idle = t->dropped || t->broken != QN_OK || atomic_load(&t->stop_merging) ||
                qn_clock_mono_ns() < t->merge_retry_at_ns;
    *choice = (qn_merge_choice){0};
    if (!idle && qn_merge_choose(t, 0, n, &m->policy, choice, NULL) != QN_OK)
        idle = true; /* no memory: at the next look */
    if (!idle && choice->count != 0)
        qn_pace_init(&t->pace, n > m->policy.segments_max ? 0 : m->bytes_per_second,
                     &t->stop_merging);
    (void)pthread_mutex_unlock(&t->write);
    return !idle && choice->count != 0;
}

/* true: something was joined, and there may be more. */
static bool merge_once(qn_table *t)
{
    qn_error err = {.at = QN_AT_NONE};
    qn_merge_choice choice;
    (void)pthread_mutex_lock(&t->merging);
    bool any = choose(t, &choice);
    qn_status st = any ? qn_table__merge_files(t, &choice, &t->pace, &err) : QN_OK;
    (void)pthread_mutex_unlock(&t->merging);
    if (!any) return false;
    if (st == QN_OK) {
        (void)pthread_mutex_lock(&t->write);
        t->merge_failures = 0;
        (void)pthread_mutex_unlock(&t->write);
    } else if (!atomic_load(&t->stop_merging)) {
        note_failure(t, &err);
    }
    return st == QN_OK;
}

/* ---- the thread ----------------------------------------------------------------------- */

static void look_at_all(quern *q)
{
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0;; i++) {
            bool end = false;
            qn_table *t = qn_engine_open_table_at(q, i, &end);
            if (end) break;
            if (t == NULL) continue;
            more |= merge_once(t);
            qn_table_release(t);
        }
        (void)pthread_mutex_lock(&q->merger.lock);
        more &= !q->merger.stopping;
        (void)pthread_mutex_unlock(&q->merger.lock);
    }
}

static void *merger_main(void *arg)
{
    quern *q = arg;
    qn_merger *m = &q->merger;
    qn_thread_lower_priority(PRIORITY);
    (void)pthread_mutex_lock(&m->lock);
    while (!m->stopping) {
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += LOOK_S;
        if (!m->work) (void)pthread_cond_timedwait(&m->signal, &m->lock, &until);
        if (m->stopping) break;
        m->work = false;
        (void)pthread_mutex_unlock(&m->lock);
        look_at_all(q);
        (void)pthread_mutex_lock(&m->lock);
    }
    (void)pthread_mutex_unlock(&m->lock);
    return NULL;
}

qn_status qn_merger_start(quern *q, uint64_t bytes_per_second,
                          uint64_t segment_bytes_max, qn_error *err)
{
    qn_merger *m = &q->merger;
    *m = (qn_merger){.policy = policy_default};
    m->policy.bytes_max =
        segment_bytes_max == 0 ? bytes_max_default : segment_bytes_max;
    m->bytes_per_second = bytes_per_second == 0 ? rate_default : bytes_per_second;
    (void)pthread_mutex_init(&m->lock, NULL);
    (void)pthread_cond_init(&m->signal, NULL);
    if (pthread_create(&m->thread, NULL, merger_main, q) != 0) {
        (void)pthread_mutex_destroy(&m->lock);
        (void)pthread_cond_destroy(&m->signal);
        return qn_fail(err, QN_ENOMEM, "the thread that merges");
    }
    m->runs = true;
    return QN_OK;
}

void qn_merger_stop(quern *q)
{
    qn_merger *m = &q->merger;
    if (!m->runs) return;
    (void)pthread_mutex_lock(&m->lock);
    m->stopping = true;
    (void)pthread_cond_signal(&m->signal);
    (void)pthread_mutex_unlock(&m->lock);
    for (size_t i = 0;; i++) {
        bool end = false;
        qn_table *t = qn_engine_open_table_at(q, i, &end);
        if (end) break;
        if (t != NULL) atomic_store(&t->stop_merging, true);
        qn_table_release(t);
    }
    (void)pthread_join(m->thread, NULL);
    (void)pthread_mutex_destroy(&m->lock);
    (void)pthread_cond_destroy(&m->signal);
    m->runs = false;
}

void qn_engine_wake_merges(quern *q)
{
    qn_merger *m = &q->merger;
    if (!m->runs) return;
    (void)pthread_mutex_lock(&m->lock);
    m->work = true;
    (void)pthread_cond_signal(&m->signal);
    (void)pthread_mutex_unlock(&m->lock);
}

/* ---- statistics ------------------------------------------------------------------------ */

void qn_table_print_merges(qn_table *t, qn_json_writer *w)
{
    (void)pthread_mutex_lock(&t->write);
    qn_merge_stats s = t->merges;
    uint64_t written = s.running ? atomic_load(&t->pace.taken) : 0;
    (void)pthread_mutex_unlock(&t->write);
    qn_json_key(w, "merges");
    qn_json_begin_object(w);
    qn_json_member_int(w, "running", s.running);
    if (s.running) {
        qn_json_member_int(w, "running_segments", (int64_t)s.running_segments);
        qn_json_member_int(w, "running_bytes", (int64_t)written);
    }
    qn_json_member_int(w, "done", (int64_t)s.done);
    qn_json_member_int(w, "documents", (int64_t)s.documents);
    qn_json_member_int(w, "bytes", (int64_t)s.bytes);
    qn_json_member_int(w, "failed", (int64_t)s.failed);
    if (s.failed != 0) qn_json_member_str(w, "last_error", s.last_error.text);
    qn_json_end_object(w);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/write/write_group.h"

#include "engine/write/write.h"

#include <semaphore.h>

enum { GROUP_MAX = 256 }; /* calls: bounds how long the table's lock is held */

typedef struct qn_write_ticket {
    qn_write_op *ops;
    size_t count;
    const quern_cancel *cancel;
    qn_arena *arena;
    struct qn_write_ticket *next;
    bool leads; /* woken to lead, not because all is done */
    qn_status st;
    qn_error err;
    sem_t wake;
} qn_write_ticket;

void qn_write_group_init(qn_write_group *g)
{
    (void)pthread_mutex_init(&g->lock, NULL);
    (void)pthread_cond_init(&g->sync_done, NULL);
    g->first = NULL;
    g->last = &g->first;
    g->led = g->syncing = false;
}

void qn_write_group_deinit(qn_write_group *g)
{
    (void)pthread_cond_destroy(&g->sync_done);
    (void)pthread_mutex_destroy(&g->lock);
}

/* ---- durability ------------------------------------------------------------------------ */

static void take_no_more(qn_table *t, const qn_error *why)
{
    (void)pthread_mutex_lock(&t->write);
    if (t->broken == QN_OK) {
        t->broken = QN_EREADONLY;
        (void)qn_fail(&t->broken_error, QN_EREADONLY,
                      "table %s takes no writes until reopened: its log could not be "
                      "made durable (%s)",
                      t->name, why->text);
    }
    (void)pthread_mutex_unlock(&t->write);
}

qn_status qn_write__sync(qn_table *t, qn_error *err)
{
    qn_error why = {.at = QN_AT_NONE};
    if (t->wal == NULL) return QN_OK; /* damaged: nothing was written */
    qn_status st = qn_wal_sync(t->wal, &why);
    if (st != QN_OK) take_no_more(t, &why);
    if (st != QN_OK && err != NULL) *err = why;
    return st;
}

qn_status qn_write__make_durable(qn_table *t, qn_error *err)
{
    if (t->wal == NULL || !atomic_load(&t->is_async)) return qn_write__sync(t, err);
    qn_error why = {.at = QN_AT_NONE};
    qn_status st = qn_wal_write_out(t->wal, &why);
    if (st != QN_OK) {
        take_no_more(t, &why);
        if (err != NULL) *err = why;
        return st;
    }
    long long none = 0;
    if (atomic_compare_exchange_strong(&t->unsynced_since_ns, &none,
                                       qn_clock_mono_ns()))
        qn_sync_thread_wake(t->engine);
    return QN_OK;
}

/* ---- leading --------------------------------------------------------------------------- */

/* Takes up to GROUP_MAX tickets off the queue and hangs them on **tail. */
static size_t take(qn_write_group *g, qn_write_ticket ***tail)
{
    size_t n = 0;
    qn_write_ticket **end = &g->first;
    for (; *end != NULL && n < GROUP_MAX; n++) end = &(*end)->next;
    if (n == 0) return 0;
    **tail = g->first;
    *tail = end;
    g->first = *end;
    *end = NULL;
    if (g->first == NULL) g->last = &g->first;
    return n;
}

static void apply_all(qn_table *t, const qn_write_ticket *tickets)
{
    (void)pthread_mutex_lock(&t->write);
    for (const qn_write_ticket *k = tickets; k != NULL; k = k->next)
        for (size_t i = 0; i < k->count; i++)
            if (!k->ops[i].failed) qn_write__apply(t, &k->ops[i], k->cancel, k->arena);
    (void)pthread_mutex_unlock(&t->write);
    qn_write__relieve(t);
}

/* The group of which `mine` is the first. */
static void lead(qn_table *t, qn_write_ticket *mine)
{
    qn_write_group *g = &t->group;
    qn_write_ticket *group = NULL, **tail = &group;
    size_t n = 0;
    (void)pthread_mutex_lock(&g->lock);
    for (;;) {
        qn_write_ticket **before = tail;
        size_t more = n < GROUP_MAX ? take(g, &tail) : 0;
        n += more;
        if (more == 0 && !g->syncing) break;
        if (more == 0) {
            (void)pthread_cond_wait(&g->sync_done, &g->lock);
            continue;
        }
        (void)pthread_mutex_unlock(&g->lock);
        apply_all(t, *before);
        (void)pthread_mutex_lock(&g->lock);
    }
    g->syncing = true;
    qn_write_ticket *next = g->first;
    if (next != NULL)
        next->leads = true;
    else
        g->led = false;
    (void)pthread_mutex_unlock(&g->lock);
    if (next != NULL) (void)sem_post(&next->wake);

    qn_error err = {.at = QN_AT_NONE};
    qn_status st = qn_write__make_durable(t, &err);
    (void)pthread_mutex_lock(&g->lock);
    g->syncing = false;
    (void)pthread_cond_signal(&g->sync_done);
    (void)pthread_mutex_unlock(&g->lock);
    for (qn_write_ticket *k = group; k != NULL;) {
        qn_write_ticket *after = k->next; /* a woken one's ticket goes away */
        k->st = st;
        if (st != QN_OK) k->err = err;
        if (k != mine) (void)sem_post(&k->wake);
        k = after;
    }
}

qn_status qn_write_group_run(qn_table *t, qn_write_op *ops, size_t count,
                             const quern_cancel *cancel, qn_arena *arena, qn_error *err)
{
    qn_write_group *g = &t->group;
    qn_write_ticket mine = {
        .ops = ops, .count = count, .cancel = cancel, .arena = arena};
    (void)sem_init(&mine.wake, 0, 0);
    (void)pthread_mutex_lock(&g->lock);
    *g->last = &mine;
    g->last = &mine.next;
    bool leads = !g->led;
    g->led = true;
    (void)pthread_mutex_unlock(&g->lock);
    if (!leads) {
        while (sem_wait(&mine.wake) != 0) continue; /* a signal */
        leads = mine.leads;
    }
    if (leads) lead(t, &mine);
    (void)sem_destroy(&mine.wake);
    if (mine.st != QN_OK && err != NULL) *err = mine.err;
    return mine.st;
}

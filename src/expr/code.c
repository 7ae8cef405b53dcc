/* SPDX-License-Identifier: Apache-2.0 */
/* code.c -- units by their forms, the queue to the one thread that compiles. */
#include "expr/code.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/pool.h"
#include "expr/code_backend.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>

/* About a tenth of a second of interpreting, where compiling takes some milliseconds. */
static const uint64_t WORK_MIN = 60 * 1000 * 1000;
static const size_t BYTES_MAX = 64 << 20;
static const uint64_t ASK_AFTER = 32 * 1024; /* microseconds of interpreting */
enum { QUEUE_MAX = 64 };

typedef enum unit_state {
    UNIT_COLD,   /* not enough work yet */
    UNIT_QUEUED, /* for the thread, or with it */
    UNIT_READY,
    UNIT_FAILED, /* never again */
} unit_state;

struct qn_code_unit {
    qn_code *code;
    atomic_uint references; /* the cache's one among them */
    atomic_int state;       /* unit_state; READY is stored after `result` is complete */
    _Atomic uint64_t work;
    qn_code_kind kind;
    qn_slice form; /* behind the struct */
    qn_code_result result;
    size_t bytes; /* as counted by the cache; under its lock, with the links */
    bool kept;
    qn_code_unit *newer, *older;
};

struct qn_code {
    qn_alloc *alloc;
    qn_code_options options;
    pthread_mutex_t lock;          /* guards all below */
    qn_map units;                  /* kind and form to unit */
    qn_code_unit *newest, *oldest; /* by last acquire */
    qn_pool *pool; /* of one thread; NULL before the first compilation */
    size_t queued;
    bool looked; /* for the back end */
    const qn_code_backend *back_end;
    qn_code_stats stats;
};

/* --- life --- */

qn_status qn_code_create(qn_alloc *alloc, const qn_code_options *options,
                         QN_OWNED qn_code **out, qn_error *err)
{
    *out = NULL;
    qn_code *c = qn_new0(alloc, sizeof *c);
    if (c == NULL) return qn_fail(err, QN_ENOMEM, "code cache");
    c->alloc = alloc;
    c->options = *options;
    if (c->options.bytes_max == 0) c->options.bytes_max = BYTES_MAX;
    if (c->options.work_min == 0) c->options.work_min = WORK_MIN;
    (void)pthread_mutex_init(&c->lock, NULL);
    qn_map_init(&c->units, alloc);
    *out = c;
    return QN_OK;
}

static void unit_free(qn_code_unit *u)
{
    if (u->result.pages != NULL) (void)munmap(u->result.pages, u->result.bytes);
    qn_delete(u->code->alloc, u);
}

void qn_code_release(QN_OWNED QN_NULLABLE qn_code_unit *u)
{
    if (u != NULL && atomic_fetch_sub(&u->references, 1) == 1) unit_free(u);
}

static void unlink_unit(qn_code *c, qn_code_unit *u)
{
    *(u->newer == NULL ? &c->newest : &u->newer->older) = u->older;
    *(u->older == NULL ? &c->oldest : &u->older->newer) = u->newer;
    u->newer = u->older = NULL;
}

static void link_newest(qn_code *c, qn_code_unit *u)
{
    u->older = c->newest;
    *(c->newest == NULL ? &c->oldest : &c->newest->newer) = u;
    c->newest = u;
}

/* Kind and form are one stretch of bytes behind the struct. */
static qn_slice key_of(const qn_code_unit *u)
{
    return (qn_slice){(const char *)(u + 1), sizeof(uint64_t) + u->form.n};
}

static void drop(qn_code *c, qn_code_unit *u)
{
    (void)qn_map_remove(&c->units, key_of(u));
    unlink_unit(c, u);
    u->kept = false;
    c->stats.bytes -= u->bytes;
    c->stats.units--;
    qn_code_release(u);
}

void qn_code_destroy(QN_OWNED QN_NULLABLE qn_code *c)
{
    if (c == NULL) return;
    qn_pool_destroy(c->pool); /* waits for what is queued */
    while (c->oldest != NULL) drop(c, c->oldest);
    qn_map_deinit(&c->units);
    (void)pthread_mutex_destroy(&c->lock);
    qn_delete(c->alloc, c);
}

/* --- units --- */

/* Makes room; what is being compiled counts little yet and is left alone. */
static void shrink(qn_code *c, const qn_code_unit *spared)
{
    qn_code_unit *u = c->oldest;
    while (u != NULL && c->stats.bytes > c->options.bytes_max) {
        qn_code_unit *next = u->newer;
        if (u != spared && atomic_load(&u->state) != UNIT_QUEUED) {
            drop(c, u);
            c->stats.dropped++;
        }
        u = next;
    }
}

static qn_code_unit *unit_make(qn_code *c, qn_code_kind kind, qn_slice form)
{
    qn_code_unit *u = qn_new0(c->alloc, sizeof *u + sizeof(uint64_t) + form.n);
    if (u == NULL) return NULL;
    uint64_t number = (uint64_t)kind;
    char *behind = (char *)(u + 1);
    memcpy(behind, &number, sizeof number);
    memcpy(behind + sizeof number, form.p, form.n);
    u->code = c;
    u->kind = kind;
    u->form = (qn_slice){behind + sizeof number, form.n};
    u->bytes = sizeof *u + sizeof number + form.n;
    atomic_store(&u->references, 1);
    if (qn_map_put(&c->units, key_of(u), (uint64_t)(uintptr_t)u)) {
        u->kept = true;
        link_newest(c, u);
        c->stats.bytes += u->bytes;
        c->stats.units++;
        return u;
    }
    qn_delete(c->alloc, u);
    return NULL;
}

QN_OWNED qn_code_unit *qn_code_acquire(qn_code *c, qn_code_kind kind, qn_slice form)
{
    qn_buf key;
    uint64_t number = (uint64_t)kind, found = 0;
    qn_buf_init(&key, c->alloc);
    qn_buf_add(&key, &number, sizeof number);
    qn_buf_add_slice(&key, form);
    qn_code_unit *u = NULL;
    (void)pthread_mutex_lock(&c->lock);
    if (!key.failed && qn_map_get(&c->units, qn_buf_slice(&key), &found)) {
        u = (qn_code_unit *)(uintptr_t)found;
        unlink_unit(c, u);
        link_newest(c, u);
    } else if (!key.failed) {
        u = unit_make(c, kind, form);
        if (u != NULL) shrink(c, u);
    }
    if (u != NULL) atomic_fetch_add(&u->references, 1);
    (void)pthread_mutex_unlock(&c->lock);
    qn_buf_deinit(&key);
    return u;
}

/* --- compiling --- */

static const qn_code_backend *find_back_end(qn_code *c)
{
    (void)pthread_mutex_lock(&c->lock);
    bool looked = c->looked;
    const qn_code_backend *b = c->back_end;
    (void)pthread_mutex_unlock(&c->lock);
    if (looked) return b;
    char why[sizeof c->stats.why_not] = "";
    b = qn_code__load(c->options.module, why, sizeof why);
    (void)pthread_mutex_lock(&c->lock);
    c->looked = true;
    c->back_end = b;
    memcpy(c->stats.why_not, why, sizeof why);
    if (b != NULL) memcpy(c->stats.back_end, b->name, sizeof c->stats.back_end);
    (void)pthread_mutex_unlock(&c->lock);
    return b;
}

static void compile(void *arg)
{
    qn_code_unit *u = arg;
    qn_code *c = u->code;
    char why[sizeof c->stats.why_not] = "";
    const qn_code_backend *b = find_back_end(c);
    int64_t begin = qn_clock_cpu_ns();
    bool fine = b != NULL &&
                b->compile(u->kind, u->form.p, u->form.n, &u->result, why, sizeof why);
    int64_t took = qn_clock_cpu_ns() - begin;
    (void)pthread_mutex_lock(&c->lock);
    c->queued--;
    c->stats.compiled += fine;
    c->stats.failed += !fine && b != NULL;
    c->stats.compile_ns += (uint64_t)took;
    if (b != NULL && !fine) memcpy(c->stats.why_not, why, sizeof why);
    if (fine && u->kept) {
        u->bytes += u->result.resident;
        c->stats.bytes += u->result.resident;
    }
    atomic_store(&u->state, fine ? UNIT_READY : UNIT_FAILED);
    shrink(c, u);
    (void)pthread_mutex_unlock(&c->lock);
    qn_code_release(u);
}

/* A unit waits for its turn; when the queue is full, for more work. */
static void enqueue(qn_code_unit *u)
{
    qn_code *c = u->code;
    int cold = UNIT_COLD;
    (void)pthread_mutex_lock(&c->lock);
    bool room = c->queued < QUEUE_MAX && !(c->looked && c->back_end == NULL);
    if (room && !c->options.at_once && c->pool == NULL)
        room = qn_pool_create(c->alloc, 1, &c->pool, NULL) == QN_OK;
    room = room && atomic_compare_exchange_strong(&u->state, &cold, UNIT_QUEUED);
    c->queued += room;
    (void)pthread_mutex_unlock(&c->lock);
    if (!room) return;
    atomic_fetch_add(&u->references, 1); /* the thread's */
    if (c->options.at_once) {
        compile(u);
    } else if (qn_pool_submit(c->pool, compile, u, NULL) != QN_OK) {
        (void)pthread_mutex_lock(&c->lock);
        c->queued--;
        (void)pthread_mutex_unlock(&c->lock);
        atomic_store(&u->state, UNIT_COLD);
        qn_code_release(u);
    }
}

void *const *qn_code_entries(qn_code_unit *u, uint64_t work)
{
    int state = atomic_load_explicit(&u->state, memory_order_acquire);
    if (state == UNIT_COLD) {
        uint64_t before =
            atomic_fetch_add_explicit(&u->work, work, memory_order_relaxed);
        if (before + work < u->code->options.work_min) return NULL;
        enqueue(u);
        state = atomic_load_explicit(&u->state, memory_order_acquire);
    }
    return state == UNIT_READY ? u->result.entries : NULL;
}

uint64_t qn_code_ask_after(const qn_code *c)
{
    return c->options.work_min < ASK_AFTER ? c->options.work_min : ASK_AFTER;
}

/* --- what happened --- */

void qn_code_stats_of(qn_code *c, qn_code_stats *out)
{
    (void)pthread_mutex_lock(&c->lock);
    *out = c->stats;
    (void)pthread_mutex_unlock(&c->lock);
}

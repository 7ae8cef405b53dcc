/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler: order, fairness, lanes, admission and deadlines with a clock and an
 * encoder that are tables (so nothing here depends on how fast the machine is), then
 * many clients on real threads. */
#include "../qn_test.h"

#include "nn/calls/scheduler.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- a fake world ---------------------------------------------------------------- */

enum { LOG_MAX = 4096, MS = 1000000 };

/* Time goes on when a batch runs, and only then. */
typedef struct world {
    int64_t now_ns;
    char log[LOG_MAX]; /* the name of each batch's call, in order */
    size_t logged;
    qn_scheduler *s;
    qn_schedule_group *g;
} world;

typedef struct fake_job {
    world *w;
    char name;
    size_t items, next, step, done;
    int64_t item_ns;
    qn_deadline deadline;
} fake_job;

typedef struct fake_batch {
    fake_job *job; /* only what run() may know: its world, name and cost */
    world *w;
    char name;
    size_t items;
    int64_t cost_ns;
    bool cut;
} fake_batch;

static int64_t fake_now(void *ctx)
{
    return ((world *)ctx)->now_ns;
}

static bool fake_take(void *arg, void **batch, qn_turn *turn)
{
    fake_job *j = arg;
    if (j->next >= j->items) return false;
    if (j->deadline.at_ns != 0 && j->w->now_ns >= j->deadline.at_ns) return false;
    size_t n = j->items - j->next < j->step ? j->items - j->next : j->step;
    fake_batch *b = calloc(1, sizeof *b);
    *b = (fake_batch){j, j->w, j->name, n, (int64_t)n * j->item_ns, false};
    j->next += n;
    *batch = b;
    *turn = (qn_turn){n, b->cost_ns};
    return true;
}

static void fake_run(void *arg, const qn_deadline *deadline, const int64_t *paused_ns)
{
    fake_batch *b = arg;
    (void)paused_ns;
    if (b->w->logged + 1 < LOG_MAX) b->w->log[b->w->logged++] = b->name;
    /* A look every millisecond, as an encoder has one every few. */
    for (int64_t t = 0; t < b->cost_ns && !b->cut; t += MS) {
        b->w->now_ns += MS;
        b->cut = qn_deadline_cancelled(deadline) ||
                 (deadline->at_ns != 0 && b->w->now_ns >= deadline->at_ns);
    }
}

static void fake_give(void *job, void *arg)
{
    fake_batch *b = arg;
    fake_job *j = job;
    if (j != NULL && !b->cut) j->done += b->items;
    free(b);
}

static const qn_schedule_work fake_work = {fake_take, fake_run, fake_give};

static void world_open(world *w, uint64_t queue_tokens)
{
    qn_error err;
    memset(w, 0, sizeof *w);
    w->now_ns = 1000 * (int64_t)MS;
    qn_scheduler_options o = {
        .queue_tokens = queue_tokens, .now = fake_now, .now_ctx = w};
    T_CALL(qn_scheduler_create(qn_alloc_heap(), &o, &w->s, &err), &err);
    T_CALL(qn_schedule_group_create(w->s, 0, &w->g, &err), &err);
}

static void world_close(world *w)
{
    qn_schedule_group_destroy(w->g);
    qn_scheduler_destroy(w->s);
}

/* 100 tokens an item; deadline_ms 0: none. */
static qn_status begin(world *w, fake_job *j, qn_priority priority, int64_t deadline_ms,
                       bool whole, bool always, qn_ticket **t)
{
    qn_error err;
    j->w = w;
    if (deadline_ms != 0) j->deadline.at_ns = w->now_ns + deadline_ms * MS;
    const qn_schedule_call call = {
        .group = w->g,
        .priority = priority,
        .deadline = &j->deadline,
        .items = j->items,
        .tokens = j->items * 100,
        .cost_ns = (int64_t)j->items * j->item_ns,
        .whole = whole,
        .always = always,
        .work = &fake_work,
        .job = j,
    };
    return qn_scheduler_begin(&call, t, &err);
}

static size_t count_in(const char *text, char c)
{
    size_t n = 0;
    for (; *text != 0; text++) n += *text == c;
    return n;
}

/* ---- order ------------------------------------------------------------------------ */

static void test_fair(void **state)
{
    (void)state;
    world w;
    world_open(&w, 0);
    fake_job big = {.name = 'B', .items = 1000, .step = 2, .item_ns = 10 * MS};
    fake_job small = {.name = 's', .items = 10, .step = 2, .item_ns = 10 * MS};
    qn_ticket *tb, *ts;
    T_ROW("a small call that comes later is served every other batch");
    T_EQ_I(begin(&w, &big, QN_PRIORITY_INTERACTIVE, 0, false, false, &tb), QN_OK);
    for (int i = 0; i < 5; i++) T_OK(qn_scheduler_step(w.s));
    T_EQ_I(begin(&w, &small, QN_PRIORITY_INTERACTIVE, 0, false, false, &ts), QN_OK);
    for (int i = 0; i < 12; i++) T_OK(qn_scheduler_step(w.s));
    T_EQ_I(small.done, 10);
    T_OK(count_in(w.log, 'B') <= 5 + 7);
    qn_scheduler_end(ts);
    qn_scheduler_end(tb);
    T_EQ_I(big.done, 1000);
    world_close(&w);
}

static void test_fair_among_many(void **state)
{
    (void)state;
    enum { CALLS = 7 };
    world w;
    world_open(&w, 0);
    fake_job jobs[CALLS];
    qn_ticket *t[CALLS];
    T_ROW("no call is ever more than one batch ahead of another");
    for (size_t i = 0; i < CALLS; i++) {
        /* Batches of different sizes: time counts, not batches. */
        jobs[i] = (fake_job){
            .name = (char)('a' + i), .items = 400, .step = i + 1, .item_ns = 30 * MS};
        T_EQ_I(begin(&w, &jobs[i], QN_PRIORITY_INTERACTIVE, 0, false, false, &t[i]),
               QN_OK);
    }
    for (int step = 0; step < 500; step++) {
        T_OK(qn_scheduler_step(w.s));
        size_t least = SIZE_MAX, most = 0;
        for (size_t i = 0; i < CALLS; i++) {
            if (jobs[i].done < least) least = jobs[i].done;
            if (jobs[i].done > most) most = jobs[i].done;
        }
        T_OK(most - least <= CALLS);
    }
    for (size_t i = 0; i < CALLS; i++) qn_scheduler_end(t[i]);
    for (size_t i = 0; i < CALLS; i++) T_EQ_I(jobs[i].done, 400);
    world_close(&w);
}

static void test_lanes(void **state)
{
    (void)state;
    world w;
    world_open(&w, 0);
    fake_job bulk = {.name = 'b', .items = 2000, .step = 1, .item_ns = 10 * MS};
    fake_job search = {.name = 'i', .items = 2000, .step = 1, .item_ns = 10 * MS};
    fake_job query = {.name = 'q', .items = 1, .step = 1, .item_ns = 5 * MS};
    qn_ticket *tb, *ti, *tq;
    T_EQ_I(begin(&w, &bulk, QN_PRIORITY_BULK, 0, false, false, &tb), QN_OK);
    for (int i = 0; i < 20; i++) T_OK(qn_scheduler_step(w.s));
    T_ROW("interactive work goes first");
    T_EQ_I(begin(&w, &search, QN_PRIORITY_INTERACTIVE, 0, false, false, &ti), QN_OK);
    for (int i = 0; i < 10; i++) T_OK(qn_scheduler_step(w.s));
    T_EQ_I(search.done, 10);
    T_ROW("a query's embedding before that");
    T_EQ_I(begin(&w, &query, QN_PRIORITY_INTERACTIVE, 0, false, false, &tq), QN_OK);
    T_OK(qn_scheduler_step(w.s));
    T_EQ_I(query.done, 1);
    qn_scheduler_end(tq);
    T_ROW("and bulk work never starves: a sixteenth of the time");
    size_t before = bulk.done;
    for (int i = 0; i < 850; i++) T_OK(qn_scheduler_step(w.s));
    size_t got = bulk.done - before;
    T_OK(got >= 850 / 17 - 5 && got <= 850 / 17 + 5);
    qn_scheduler_end(ti);
    qn_scheduler_end(tb);
    T_EQ_I(bulk.done, 2000);
    world_close(&w);
}

/* ---- time and admission -------------------------------------------------------------- */

static void test_deadline(void **state)
{
    (void)state;
    world w;
    world_open(&w, 0);
    fake_job j = {.name = 'j', .items = 50, .step = 1, .item_ns = 100 * MS};
    qn_ticket *t;
    T_ROW("what fits is done, and the call ends on time");
    int64_t at = w.now_ns;
    T_EQ_I(begin(&w, &j, QN_PRIORITY_INTERACTIVE, 850, false, false, &t), QN_OK);
    qn_scheduler_end(t);
    T_EQ_I(j.done, 8);
    T_OK(w.now_ns - at <= 851 * (int64_t)MS);

    T_ROW("a time that is over before the start");
    fake_job late = {.name = 'l', .items = 5, .step = 1, .item_ns = MS};
    late.deadline.at_ns = 1;
    T_EQ_I(begin(&w, &late, QN_PRIORITY_INTERACTIVE, 0, false, false, &t), QN_OK);
    qn_scheduler_end(t);
    T_EQ_I(late.done, 0);

    T_ROW("cancelled");
    atomic_bool cancelled = true;
    fake_job gone = {.name = 'g', .items = 5, .step = 1, .item_ns = MS};
    gone.deadline.cancelled = &cancelled;
    T_EQ_I(begin(&w, &gone, QN_PRIORITY_INTERACTIVE, 0, false, false, &t), QN_OK);
    qn_scheduler_end(t);
    T_EQ_I(gone.done, 0);
    qn_schedule_stats stats;
    qn_schedule_group_stats(w.g, &stats);
    T_EQ_I(stats.calls, 3);
    T_EQ_I(stats.timed_out, 2);
    T_EQ_I(stats.cancelled, 1);
    T_EQ_I(stats.calls_now + stats.tokens_now + stats.running, 0);
    T_EQ_I(stats.work_ns_now, 0);
    world_close(&w);
}

static void test_admission(void **state)
{
    (void)state;
    world w;
    world_open(&w, 2000);
    fake_job big = {.name = 'B', .items = 100, .step = 1, .item_ns = 10 * MS};
    fake_job next = {.name = 'n', .items = 10, .step = 1, .item_ns = 10 * MS};
    qn_ticket *tb, *tn;
    T_ROW("an empty queue takes a call of any size");
    T_EQ_I(begin(&w, &big, QN_PRIORITY_INTERACTIVE, 0, false, false, &tb), QN_OK);
    T_ROW("a full one refuses");
    T_EQ_I(begin(&w, &next, QN_PRIORITY_INTERACTIVE, 0, false, false, &tn), QN_EBUSY);
    T_OK(tn == NULL);
    T_ROW("but never those of a search");
    T_EQ_I(begin(&w, &next, QN_PRIORITY_INTERACTIVE, 0, false, true, &tn), QN_OK);
    qn_scheduler_end(tn);
    T_EQ_I(next.done, 10);
    qn_scheduler_end(tb);
    T_ROW("and has room again");
    fake_job again = {.name = 'a', .items = 10, .step = 1, .item_ns = 10 * MS};
    T_EQ_I(begin(&w, &again, QN_PRIORITY_INTERACTIVE, 0, false, false, &tn), QN_OK);
    qn_scheduler_end(tn);
    qn_schedule_stats stats;
    qn_schedule_group_stats(w.g, &stats);
    T_EQ_I(stats.refused, 1);
    world_close(&w);
}

static void test_all_or_nothing(void **state)
{
    (void)state;
    /* A call of 10 items, 100 ms of work; `others` calls of 1000 ms run. */
    static const struct {
        const char *name;
        size_t others;
        int64_t deadline_ms;
        qn_priority priority;
        qn_status want;
    } rows[] = {
        {"alone, in time", 0, 101, QN_PRIORITY_INTERACTIVE, QN_OK},
        {"alone, too late", 0, 99, QN_PRIORITY_INTERACTIVE, QN_EBUSY},
        {"one other takes as long as the call, not longer", 1, 201,
         QN_PRIORITY_INTERACTIVE, QN_OK},
        {"and not shorter", 1, 199, QN_PRIORITY_INTERACTIVE, QN_EBUSY},
        {"three others", 3, 401, QN_PRIORITY_INTERACTIVE, QN_OK},
        {"three others, too late", 3, 399, QN_PRIORITY_INTERACTIVE, QN_EBUSY},
        {"bulk waits for interactive work", 1, 199, QN_PRIORITY_BULK, QN_EBUSY},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        world w;
        world_open(&w, 0);
        fake_job others[3],
            j = {.name = 'j', .items = 10, .step = 1, .item_ns = 10 * MS};
        qn_ticket *to[3], *t;
        for (size_t k = 0; k < rows[i].others; k++) {
            others[k] =
                (fake_job){.name = 'o', .items = 100, .step = 1, .item_ns = 10 * MS};
            T_EQ_I(
                begin(&w, &others[k], QN_PRIORITY_INTERACTIVE, 0, false, false, &to[k]),
                QN_OK);
        }
        T_EQ_I(begin(&w, &j, rows[i].priority, rows[i].deadline_ms, true, false, &t),
               rows[i].want);
        if (rows[i].want == QN_OK) {
            qn_scheduler_end(t);
            T_EQ_I(j.done, 10);
        }
        for (size_t k = 0; k < rows[i].others; k++) qn_scheduler_end(to[k]);
        world_close(&w);
    }
}

/* ---- threads ---------------------------------------------------------------------------- */

/* Real threads, an encoder that counts. What is checked never depends on time: every
 * item is done once or not at all, nobody touches a job after end(), limits hold. */
enum { CLIENTS = 12, ROUNDS = 30, ITEMS_MAX = 24 };

typedef struct plant {
    qn_scheduler *s;
    qn_schedule_group *groups[2];
    atomic_int running[2], most[2], total, most_total;
    atomic_bool failed;
} plant;

typedef struct real_job {
    plant *p;
    size_t group, items;
    atomic_size_t next, done;
    atomic_int seen[ITEMS_MAX];
    atomic_bool over; /* end() returned: nobody may come any more */
} real_job;

typedef struct real_batch {
    plant *p;
    size_t group, first, n;
    unsigned spin;
    bool cut;
} real_batch;

static bool real_take(void *arg, void **batch, qn_turn *turn)
{
    real_job *j = arg;
    if (atomic_load(&j->over)) atomic_store(&j->p->failed, true);
    size_t i = atomic_fetch_add(&j->next, 2);
    if (i >= j->items) return false;
    real_batch *b = calloc(1, sizeof *b);
    size_t n = j->items - i < 2 ? j->items - i : 2;
    *b = (real_batch){j->p, j->group, i, n, (unsigned)(i * 7 + j->items), false};
    *batch = b;
    *turn = (qn_turn){n, (int64_t)n * MS};
    return true;
}

static void highest(atomic_int *most, int value)
{
    int known = atomic_load(most);
    while (value > known && !atomic_compare_exchange_weak(most, &known, value)) {
    }
}

static void real_run(void *arg, const qn_deadline *deadline, const int64_t *paused_ns)
{
    real_batch *b = arg;
    plant *p = b->p;
    (void)paused_ns;
    highest(&p->most[b->group], atomic_fetch_add(&p->running[b->group], 1) + 1);
    highest(&p->most_total, atomic_fetch_add(&p->total, 1) + 1);
    volatile unsigned sum = 0;
    for (unsigned i = 0; i < 20 + b->spin && !b->cut; i++) {
        for (unsigned k = 0; k < 2000; k++) sum = sum + k;
        /* Standing aside is not running. */
        atomic_fetch_sub(&p->running[b->group], 1);
        atomic_fetch_sub(&p->total, 1);
        b->cut = qn_deadline_passed(deadline);
        if (b->cut)
            return; /* who stood aside and is not wanted any more has no place */
        highest(&p->most[b->group], atomic_fetch_add(&p->running[b->group], 1) + 1);
        highest(&p->most_total, atomic_fetch_add(&p->total, 1) + 1);
    }
    atomic_fetch_sub(&p->running[b->group], 1);
    atomic_fetch_sub(&p->total, 1);
}

static void real_give(void *arg, void *batch)
{
    real_job *j = arg;
    real_batch *b = batch;
    if (j != NULL && atomic_load(&j->over)) atomic_store(&j->p->failed, true);
    if (j != NULL && !b->cut) {
        for (size_t i = 0; i < b->n; i++) atomic_fetch_add(&j->seen[b->first + i], 1);
        atomic_fetch_add(&j->done, b->n);
    }
    free(b);
}

typedef struct client {
    plant *p;
    unsigned number;
    size_t whole_calls;
} client;

static void one_call(client *c, qn_rng *rng, size_t kind)
{
    static const qn_schedule_work work = {real_take, real_run, real_give};
    real_job j = {.p = c->p, .group = qn_rng_next(rng) % 2};
    j.items = 1 + qn_rng_next(rng) % ITEMS_MAX;
    atomic_bool cancelled = kind == 1;
    qn_deadline deadline = {.cancelled = &cancelled};
    if (kind == 2) deadline = qn_deadline_in_ms(1, &cancelled);
    qn_error err;
    const qn_schedule_call call = {
        .group = c->p->groups[j.group],
        .priority = c->number % 3 == 0 ? QN_PRIORITY_BULK : QN_PRIORITY_INTERACTIVE,
        .deadline = &deadline,
        .items = j.items,
        .tokens = j.items * 40,
        .cost_ns = (int64_t)j.items * (c->number % 2 == 0 ? MS : 4 * MS),
        .always = true,
        .work = &work,
        .job = &j,
    };
    if (qn_scheduler_run(&call, &err) != QN_OK) atomic_store(&c->p->failed, true);
    atomic_store(&j.over, true);
    size_t seen = 0;
    for (size_t i = 0; i < ITEMS_MAX; i++) {
        if (atomic_load(&j.seen[i]) > 1) atomic_store(&c->p->failed, true);
        seen += (size_t)atomic_load(&j.seen[i]);
    }
    if (seen != atomic_load(&j.done)) atomic_store(&c->p->failed, true);
    if (kind == 0 && seen != j.items) atomic_store(&c->p->failed, true);
    if (kind == 0) c->whole_calls++;
}

static void *client_main(void *arg)
{
    client *c = arg;
    qn_rng rng = {c->number};
    for (size_t i = 0; i < ROUNDS; i++) one_call(c, &rng, qn_rng_next(&rng) % 3);
    return NULL;
}

static void test_clients(void **state)
{
    (void)state;
    for (size_t threads = 1; threads <= 3; threads++) {
        qn_error err;
        plant p = {0};
        qn_scheduler_options o = {.threads = threads};
        T_ROW("many clients, a third cancelled, a third out of time");
        T_CALL(qn_scheduler_create(qn_alloc_heap(), &o, &p.s, &err), &err);
        T_CALL(qn_schedule_group_create(p.s, 1, &p.groups[0], &err), &err);
        T_CALL(qn_schedule_group_create(p.s, 0, &p.groups[1], &err), &err);
        client clients[CLIENTS];
        pthread_t ids[CLIENTS];
        for (unsigned i = 0; i < CLIENTS; i++) {
            clients[i] = (client){&p, i, 0};
            T_EQ_I(pthread_create(&ids[i], NULL, client_main, &clients[i]), 0);
        }
        for (size_t i = 0; i < CLIENTS; i++) (void)pthread_join(ids[i], NULL);
        T_OK(!atomic_load(&p.failed));
        T_ROW("a group's limit holds, and that of all");
        T_OK(atomic_load(&p.most[0]) <= 1);
        T_OK(atomic_load(&p.most_total) <= (int)threads);
        qn_schedule_stats stats;
        qn_scheduler_stats(p.s, &stats);
        T_EQ_I(stats.calls, CLIENTS * ROUNDS);
        T_EQ_I(stats.tokens_now + stats.calls_now, 0);
        qn_schedule_group_destroy(p.groups[0]);
        qn_schedule_group_destroy(p.groups[1]);
        qn_scheduler_destroy(p.s);
    }
}

/* ---- standing aside ---------------------------------------------------------------------- */

/* A bulk batch that runs until an interactive call was done, on the only place. */
typedef struct aside {
    atomic_bool bulk_runs, quick_done;
    atomic_size_t bulk_done;
    bool taken;
} aside;

static bool aside_take(void *job, void **batch, qn_turn *turn)
{
    aside *a = job;
    if (a->taken) return false;
    a->taken = true;
    *batch = a;
    *turn = (qn_turn){1, 50 * MS};
    return true;
}

static void aside_run(void *batch, const qn_deadline *deadline,
                      const int64_t *paused_ns)
{
    aside *a = batch;
    (void)paused_ns;
    atomic_store(&a->bulk_runs, true);
    /* Without standing aside this would never end. */
    while (!atomic_load(&a->quick_done)) (void)qn_deadline_passed(deadline);
}

static void aside_give(void *job, void *batch)
{
    (void)batch;
    if (job != NULL) atomic_fetch_add(&((aside *)job)->bulk_done, 1);
}

static bool quick_take(void *job, void **batch, qn_turn *turn)
{
    aside *a = job;
    *batch = a;
    *turn = (qn_turn){1, MS};
    return !atomic_load(&a->quick_done);
}

static void quick_run(void *batch, const qn_deadline *deadline,
                      const int64_t *paused_ns)
{
    (void)deadline;
    (void)paused_ns;
    atomic_store(&((aside *)batch)->quick_done, true);
}

static void quick_give(void *job, void *batch)
{
    (void)job;
    (void)batch;
}

static void test_standing_aside(void **state)
{
    (void)state;
    static const qn_schedule_work bulk_work = {aside_take, aside_run, aside_give};
    static const qn_schedule_work quick_work = {quick_take, quick_run, quick_give};
    qn_error err;
    aside a = {.taken = false};
    qn_scheduler *s = NULL;
    qn_schedule_group *g = NULL;
    qn_scheduler_options o = {.threads = 1};
    T_ROW("a running bulk batch makes room for a query");
    T_CALL(qn_scheduler_create(qn_alloc_heap(), &o, &s, &err), &err);
    T_CALL(qn_schedule_group_create(s, 0, &g, &err), &err);
    qn_schedule_call bulk = {.group = g,
                             .priority = QN_PRIORITY_BULK,
                             .items = 1,
                             .tokens = 1000,
                             .cost_ns = 50 * MS,
                             .work = &bulk_work,
                             .job = &a};
    qn_schedule_call quick = {.group = g,
                              .items = 1,
                              .tokens = 10,
                              .cost_ns = MS,
                              .work = &quick_work,
                              .job = &a};
    qn_ticket *t = NULL;
    T_CALL(qn_scheduler_begin(&bulk, &t, &err), &err);
    while (!atomic_load(&a.bulk_runs)) (void)sched_yield();
    T_CALL(qn_scheduler_run(&quick, &err), &err);
    qn_scheduler_end(t);
    T_EQ_I(atomic_load(&a.bulk_done), 1);
    qn_schedule_stats stats;
    qn_scheduler_stats(s, &stats);
    T_OK(stats.pauses >= 1);
    qn_schedule_group_destroy(g);
    qn_scheduler_destroy(s);
}

/* Model A may run one batch; its bulk batch stood aside for an interactive one. Model B's
 * bulk call has the other place meanwhile. */
typedef struct shared {
    atomic_bool first_runs, search_runs, b_done;
    atomic_bool taken[3];
} shared;

typedef struct shared_job {
    shared *all;
    size_t which; /* 0: A's bulk batch, 1: A's interactive one, 2: B's */
} shared_job;

static bool shared_take(void *job, void **batch, qn_turn *turn)
{
    shared_job *j = job;
    *batch = j;
    *turn = (qn_turn){1, 50 * MS};
    return !atomic_exchange(&j->all->taken[j->which], true);
}

static void shared_run(void *batch, const qn_deadline *deadline,
                       const int64_t *paused_ns)
{
    shared_job *j = batch;
    shared *all = j->all;
    (void)paused_ns;
    atomic_store(j->which == 0   ? &all->first_runs
                 : j->which == 1 ? &all->search_runs
                                 : &all->b_done,
                 true);
    int64_t end = qn_clock_mono_ns() + 20 * 1000 * (int64_t)MS;
    while (j->which == 0 && !atomic_load(&all->search_runs))
        (void)qn_deadline_passed(deadline);
    while (j->which == 1 && !atomic_load(&all->b_done) && qn_clock_mono_ns() < end)
        (void)sched_yield();
}

static void shared_give(void *job, void *batch)
{
    (void)job;
    (void)batch;
}

static void test_place_of_another_model(void **state)
{
    (void)state;
    static const qn_schedule_work work = {shared_take, shared_run, shared_give};
    static const qn_priority priorities[] = {QN_PRIORITY_BULK, QN_PRIORITY_INTERACTIVE,
                                             QN_PRIORITY_BULK};
    qn_error err;
    shared all = {.b_done = false};
    qn_scheduler *s = NULL;
    qn_schedule_group *groups[2];
    qn_ticket *t[3];
    shared_job jobs[3];
    qn_scheduler_options o = {.threads = 2};
    T_CALL(qn_scheduler_create(qn_alloc_heap(), &o, &s, &err), &err);
    T_CALL(qn_schedule_group_create(s, 1, &groups[0], &err), &err);
    T_CALL(qn_schedule_group_create(s, 0, &groups[1], &err), &err);
    for (size_t i = 0; i < 3; i++) {
        jobs[i] = (shared_job){&all, i};
        const qn_schedule_call call = {.group = groups[i / 2],
                                       .priority = priorities[i],
                                       .items = 1,
                                       .tokens = 1000,
                                       .cost_ns = 50 * MS,
                                       .work = &work,
                                       .job = &jobs[i]};
        T_CALL(qn_scheduler_begin(&call, &t[i], &err), &err);
        while (i == 0 && !atomic_load(&all.first_runs)) (void)sched_yield();
        while (i == 1 && !atomic_load(&all.search_runs)) (void)sched_yield();
    }
    int64_t begin = qn_clock_mono_ns();
    qn_scheduler_end(t[1]);
    T_ROW("a batch that stands aside holds no place that it cannot use itself");
    T_OK(qn_clock_mono_ns() - begin < 15 * 1000 * (int64_t)MS);
    qn_scheduler_end(t[2]);
    qn_scheduler_end(t[0]);
    T_OK(atomic_load(&all.b_done));
    qn_schedule_group_destroy(groups[0]);
    qn_schedule_group_destroy(groups[1]);
    qn_scheduler_destroy(s);
}

static void test_priority_names(void **state)
{
    (void)state;
    qn_priority p;
    T_OK(qn_priority_parse(QN_SLICE_LIT("bulk"), &p) && p == QN_PRIORITY_BULK);
    T_OK(qn_priority_parse(QN_SLICE_LIT("interactive"), &p) &&
         p == QN_PRIORITY_INTERACTIVE);
    T_OK(!qn_priority_parse(QN_SLICE_LIT("BULK"), &p));
    T_OK(!qn_priority_parse(QN_SLICE_LIT(""), &p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fair),
        cmocka_unit_test(test_fair_among_many),
        cmocka_unit_test(test_lanes),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_admission),
        cmocka_unit_test(test_all_or_nothing),
        cmocka_unit_test(test_standing_aside),
        cmocka_unit_test(test_clients),
        cmocka_unit_test(test_place_of_another_model),
        cmocka_unit_test(test_priority_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Writers, readers and maintenance on one table at once, and what must hold all the time:
 *
 *   - a document that was acknowledged and refreshed is found, with what was written;
 *     a deleted one is not;
 *   - documents that are replaced again and again are there exactly once in every
 *     snapshot, and never older than they were seen before;
 *   - documents that are only added never become fewer;
 *   - compare and set lets one writer through: a counter misses no increment.
 *
 * Run it with the thread sanitizer.    prop_engine_threads [SEED [ROUNDS]] */
#include "../fault/folders.h"
#include "../qn_test.h"
#include "prop_arguments.h"
#include "prop_engine.h"

#include "io/io_internal.h"
#include "quern/quern.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    WRITERS = 3,
    READERS = 2,
    OWN_DOCS = 24,   /* of each writer */
    FIXED_DOCS = 15, /* replaced again and again by writer 0 */
    ROUNDS = 200,
    BATCH = 6,
    SOURCE = 160,
};

static const char schema[] =
    "{\"mappings\":{\"properties\":{\"id\":{\"type\":\"keyword\"},\"g\":{\"type\":"
    "\"keyword\"},\"n\":{\"type\":\"long\"},\"t\":{\"type\":\"text\"}}}}";

typedef struct shared {
    quern *q;
    uint64_t seed;
    long rounds;
    atomic_int writers_left;
    atomic_long grown;      /* documents added and refreshed */
    atomic_long increments; /* that the counter let through */
    atomic_int failures;
    char failure[768]; /* the first one */
    pthread_mutex_t lock;
} shared;

typedef struct worker {
    shared *s;
    int number;
    naive_rng rng;
    long own[OWN_DOCS]; /* what was acknowledged; 0: not there */
    long next, grown;
    long seen_fixed[FIXED_DOCS], seen_grown;
} worker;

/* cmocka's checks are for one thread: here the first failure is kept. */
static void failed(worker *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void failed(worker *w, const char *fmt, ...)
{
    va_list args;
    (void)pthread_mutex_lock(&w->s->lock);
    if (atomic_fetch_add(&w->s->failures, 1) == 0) {
        va_start(args, fmt);
        (void)vsnprintf(w->s->failure, sizeof w->s->failure, fmt, args);
        va_end(args);
    }
    (void)pthread_mutex_unlock(&w->s->lock);
}

/* ---- writers ------------------------------------------------------------------------------
 */

static void fill(quern_op *op, quern_op_kind kind, const char *id, const char *source)
{
    *op = (quern_op){.kind = kind,
                     .id = id,
                     .id_size = strlen(id),
                     .source = source,
                     .source_size = strlen(source),
                     .if_seq_no = QUERN_SEQ_NONE};
}

/* One call; false when it, or one of its operations, failed. */
static bool write_ops(worker *w, quern_op *ops, int n, bool refresh)
{
    quern_op_result results[BATCH];
    qn_error err;
    quern_write_options o = QUERN_WRITE_OPTIONS_INIT;
    o.refresh = refresh;
    if (quern_write(w->s->q, "t", ops, (size_t)n, &o, results, &err) != QN_OK) {
        failed(w, "write: %s", err.text);
        return false;
    }
    for (int i = 0; i < n; i++) {
        if (results[i].status == QN_OK || results[i].status == QN_ENODOC) continue;
        failed(w, "write of %s: %s", results[i].id, results[i].error.text);
        return false;
    }
    return true;
}

/* The one document whose field "id" is this: its n, or 0. */
static long search_own(worker *w, const char *id)
{
    char body[128];
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    quern_reply *reply = NULL;
    qn_error err;
    (void)snprintf(body, sizeof body, "{\"query\":{\"term\":{\"id\":\"%s\"}}}", id);
    o.kind = QUERN_QUERY_DSL;
    o.query = body;
    o.query_size = strlen(body);
    if (quern_search(w->s->q, "t", &o, &reply, &err) != QN_OK) {
        failed(w, "%s: %s", body, err.text);
        return -1;
    }
    long n = 0;
    if (reply->hit_count > 1) failed(w, "%s is there %zu times", id, reply->hit_count);
    if (reply->hit_count == 1)
        n = strtol(strstr(reply->hits[0].source, "\"n\":") + 4, NULL, 10);
    quern_reply_free(reply);
    return n;
}

static long get_own(worker *w, const char *id)
{
    quern_document doc;
    qn_error err;
    qn_status st = quern_get(w->s->q, "t", id, strlen(id), &doc, &err);
    if (st == QN_ENODOC) return 0;
    if (st != QN_OK) {
        failed(w, "get %s: %s", id, err.text);
        return -1;
    }
    long n = strtol(strstr(doc.source, "\"n\":") + 4, NULL, 10);
    quern_document_free(&doc);
    return n;
}

/* Its own documents: nobody else writes them, so it knows what they are. */
static void write_own(worker *w)
{
    quern_op ops[BATCH];
    char ids[BATCH][24], sources[BATCH][SOURCE];
    int n = 1 + naive_below(&w->rng, BATCH), first = naive_below(&w->rng, OWN_DOCS);
    bool refresh = naive_below(&w->rng, 4) == 0;
    for (int i = 0; i < n; i++) {
        int doc = (first + i) % OWN_DOCS, dice = naive_below(&w->rng, 4);
        (void)snprintf(ids[i], sizeof ids[i], "w%d-%d", w->number, doc);
        quern_op_kind kind = dice == 0   ? QUERN_OP_DELETE
                             : dice == 1 ? QUERN_OP_UPDATE
                                         : QUERN_OP_INDEX;
        long fresh = ++w->next;
        (void)snprintf(sources[i], SOURCE,
                       kind == QUERN_OP_UPDATE ? "{\"n\":%ld}"
                                               : "{\"n\":%ld,\"id\":\"w%d-%d\",\"t\":"
                                                 "\"stone grain %d\"}",
                       fresh, w->number, doc, doc);
        fill(&ops[i], kind, ids[i], sources[i]);
        if (kind == QUERN_OP_DELETE)
            w->own[doc] = 0;
        else if (kind == QUERN_OP_INDEX || w->own[doc] != 0)
            w->own[doc] = fresh;
    }
    if (!write_ops(w, ops, n, refresh)) return;
    for (int i = 0; i < n; i++) {
        int doc = (first + i) % OWN_DOCS;
        long got = get_own(w, ids[i]);
        if (got != w->own[doc])
            failed(w, "get %s: %ld, want %ld", ids[i], got, w->own[doc]);
        if (!refresh) continue;
        got = search_own(w, ids[i]);
        if (got != w->own[doc])
            failed(w, "search %s: %ld, want %ld", ids[i], got, w->own[doc]);
    }
}

static void write_fixed(worker *w, int first)
{
    quern_op ops[BATCH];
    char ids[BATCH][24], sources[BATCH][SOURCE];
    for (int i = 0; i < BATCH; i++) {
        long n = ++w->next;
        (void)snprintf(ids[i], sizeof ids[i], "fixed-%d", (first + i) % FIXED_DOCS);
        (void)snprintf(sources[i], SOURCE,
                       "{\"n\":%ld,\"g\":\"fixed\",\"t\":\"stone %ld\"}", n, n % 7);
        fill(&ops[i], QUERN_OP_INDEX, ids[i], sources[i]);
    }
    (void)write_ops(w, ops, BATCH, false);
}

static void write_grown(worker *w)
{
    quern_op ops[BATCH];
    char ids[BATCH][24];
    for (int i = 0; i < BATCH; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "grown-%ld", w->grown++);
        fill(&ops[i], QUERN_OP_CREATE, ids[i], "{\"g\":\"grown\",\"t\":\"grain\"}");
    }
    bool refresh = naive_below(&w->rng, 3) == 0;
    if (write_ops(w, ops, BATCH, refresh) && refresh)
        atomic_store(&w->s->grown, w->grown);
}

/* Adds one to the counter, unless another one came first. */
static void increment(worker *w)
{
    char source[SOURCE];
    quern_document doc;
    quern_op op;
    quern_op_result r;
    qn_error err;
    if (quern_get(w->s->q, "t", "counter", 7, &doc, &err) != QN_OK) {
        failed(w, "counter: %s", err.text);
        return;
    }
    long n = strtol(strstr(doc.source, "\"n\":") + 4, NULL, 10);
    (void)snprintf(source, sizeof source, "{\"n\":%ld}", n + 1);
    fill(&op, QUERN_OP_INDEX, "counter", source);
    op.if_seq_no = doc.seq_no;
    quern_document_free(&doc);
    if (quern_write(w->s->q, "t", &op, 1, NULL, &r, &err) != QN_OK)
        failed(w, "counter: %s", err.text);
    else if (r.status == QN_OK)
        atomic_fetch_add(&w->s->increments, 1);
    else if (r.status != QN_ECONFLICT)
        failed(w, "counter: %s", r.error.text);
}

static void *writer_main(void *arg)
{
    worker *w = arg;
    for (long i = 0; i < w->s->rounds && atomic_load(&w->s->failures) == 0; i++) {
        write_own(w);
        increment(w);
        if (w->number == 0) write_fixed(w, naive_below(&w->rng, FIXED_DOCS));
        if (w->number == 1) write_grown(w);
    }
    atomic_fetch_sub(&w->s->writers_left, 1);
    return NULL;
}

/* ---- readers ------------------------------------------------------------------------------
 */

static quern_reply *ask(worker *w, const char *body)
{
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    quern_reply *reply = NULL;
    qn_error err;
    o.kind = QUERN_QUERY_DSL;
    o.query = body;
    o.query_size = strlen(body);
    if (quern_search(w->s->q, "t", &o, &reply, &err) == QN_OK) return reply;
    failed(w, "%s: %s", body, err.text);
    return NULL;
}

static void read_fixed(worker *w, const char *body)
{
    quern_reply *reply = ask(w, body);
    if (reply == NULL) return;
    bool seen[FIXED_DOCS] = {0};
    if (reply->hit_count != FIXED_DOCS || reply->total != FIXED_DOCS)
        failed(w, "%zu hits of %llu fixed documents: %s", reply->hit_count,
               (unsigned long long)reply->total, body);
    for (size_t i = 0; i < reply->hit_count; i++) {
        const quern_hit *hit = &reply->hits[i];
        long doc = strtol(hit->id + strlen("fixed-"), NULL, 10);
        long n = strtol(strstr(hit->source, "\"n\":") + 4, NULL, 10);
        if (doc < 0 || doc >= FIXED_DOCS || seen[doc])
            failed(w, "%s is there twice: %s", hit->id, body);
        else if (n < w->seen_fixed[doc])
            failed(w, "%s went back from %ld to %ld: %s", hit->id, w->seen_fixed[doc],
                   n, body);
        else
            seen[doc] = (w->seen_fixed[doc] = n) != 0;
    }
    quern_reply_free(reply);
}

static void read_grown(worker *w)
{
    long least = atomic_load(&w->s->grown);
    quern_reply *reply =
        ask(w, "{\"query\":{\"bool\":{\"must\":[{\"match\":{\"t\":"
               "\"grain\"}}],\"filter\":[{\"term\":{\"g\":\"grown\"}}]}},"
               "\"track_total_hits\":true}");
    if (reply == NULL) return;
    long n = (long)reply->total;
    if (n < least || n < w->seen_grown)
        failed(w, "%ld documents, %ld were seen and %ld refreshed", n, w->seen_grown,
               least);
    w->seen_grown = n;
    quern_reply_free(reply);
}

static void *reader_main(void *arg)
{
    worker *w = arg;
    while (atomic_load(&w->s->writers_left) > 0 && atomic_load(&w->s->failures) == 0) {
        read_fixed(w, "{\"query\":{\"term\":{\"g\":\"fixed\"}},\"size\":50}");
        read_fixed(w,
                   "{\"query\":{\"bool\":{\"must\":[{\"match\":{\"t\":\"stone\"}}],"
                   "\"filter\":[{\"term\":{\"g\":\"fixed\"}}]}},\"size\":50,\"sort\":[{"
                   "\"n\":\"desc\"}]}");
        read_grown(w);
    }
    return NULL;
}

static void *keeper_main(void *arg)
{
    worker *w = arg;
    quern *q = w->s->q;
    while (atomic_load(&w->s->writers_left) > 0 && atomic_load(&w->s->failures) == 0) {
        qn_error err = {.text = ""};
        char *json = NULL;
        size_t n = 0;
        int dice = naive_below(&w->rng, 10);
        qn_status st = dice < 4   ? quern_refresh(q, "t", &err)
                       : dice < 7 ? quern_flush(q, "t", &err)
                       : dice < 8 ? quern_table_optimize(q, "t", &err)
                       : dice < 9 ? quern_table_stats(q, "t", &json, &n, &err)
                                  : quern_table_check(q, "t", &json, &n, &err);
        if (st != QN_OK)
            failed(w, "maintenance %d: %s %s", dice, err.text,
                   json == NULL ? "" : json);
        quern_free(json);
    }
    return NULL;
}

/* ---- the test -------------------------------------------------------------------------------
 */

static void open_engine(shared *s, const char *dir)
{
    qn_error err;
    quern_options o = QUERN_OPTIONS_INIT;
    o.data_dir = dir;
    o.neural_threads = 1;
    T_CALL(quern_open(&o, &s->q, &err), &err);
}

static void begin(shared *s, worker *all)
{
    qn_error err;
    T_CALL(quern_table_create(s->q, "t", schema, strlen(schema), &err), &err);
    quern_op op;
    fill(&op, QUERN_OP_INDEX, "counter", "{\"n\":0}");
    T_OK(write_ops(&all[0], &op, 1, false));
    for (int i = 0; i < FIXED_DOCS; i += BATCH) write_fixed(&all[0], i);
    T_CALL(quern_refresh(s->q, "t", &err), &err);
    T_EQ_S(s->failure, "");
}

/* After a reopening: each writer's documents, the added ones, the counter. */
static void check_end(shared *s, worker *all)
{
    qn_error err;
    char id[32];
    T_CALL(quern_refresh(s->q, "t", &err), &err);
    for (int k = 0; k < WRITERS; k++)
        for (int doc = 0; doc < OWN_DOCS; doc++) {
            (void)snprintf(id, sizeof id, "w%d-%d", k, doc);
            T_EQ_I(get_own(&all[k], id), all[k].own[doc]);
            T_EQ_I(search_own(&all[k], id), all[k].own[doc]);
        }
    T_EQ_I(get_own(&all[0], "counter"), atomic_load(&s->increments));
    atomic_store(&s->grown, all[1].grown);
    read_grown(&all[1]);
    read_fixed(&all[0], "{\"query\":{\"term\":{\"g\":\"fixed\"}},\"size\":50}");
    T_EQ_S(s->failure, "");
}

static uint64_t seed = 20251122;
static long rounds = ROUNDS;

static void test_at_once(void **state)
{
    (void)state;
    enum { ALL = WRITERS + READERS + 1 };
    shared s = {.seed = seed, .rounds = rounds, .writers_left = WRITERS};
    worker all[ALL];
    pthread_t threads[ALL];
    char dir[FOLDER_PATH];
    qn_io__fault.skip_sync = true;
    memset(all, 0, sizeof all);
    (void)pthread_mutex_init(&s.lock, NULL);
    folder_make(dir);
    open_engine(&s, dir);
    for (int i = 0; i < ALL; i++) {
        all[i].s = &s;
        all[i].number = i;
        all[i].rng = (naive_rng){seed + (uint64_t)i * 1000};
    }
    begin(&s, all);
    for (int i = 0; i < ALL; i++) {
        void *(*run)(void *) = i < WRITERS             ? writer_main
                               : i < WRITERS + READERS ? reader_main
                                                       : keeper_main;
        T_EQ_I(pthread_create(&threads[i], NULL, run, &all[i]), 0);
    }
    for (int i = 0; i < ALL; i++) (void)pthread_join(threads[i], NULL);
    T_EQ_S(s.failure, "");
    quern_close(s.q);
    open_engine(&s, dir);
    check_end(&s, all);
    quern_close(s.q);
    folder_remove(dir);
    (void)pthread_mutex_destroy(&s.lock);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_at_once)};
    prop_arguments(argc, argv, &seed, &rounds);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

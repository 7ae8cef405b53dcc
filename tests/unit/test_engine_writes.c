/* SPDX-License-Identifier: Apache-2.0 */
/* Writing: many callers in one log, operations and their versions, durability. */
#include "engine_fixture.h"
#include "test_engine.h"

#include "engine/engine_internal.h"
#include "engine/table/graves.h"
#include "io/io_internal.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

/* ---- many callers ------------------------------------------------------------------------ */

enum { WRITERS = 8, ROUNDS = 40 };

typedef struct writer {
    quern *q;
    int number;
    int64_t seq_nos[ROUNDS]; /* of its own documents */
    int shared;              /* times it was the one that wrote the shared document */
    bool failed;
} writer;

/* Its own document is written again and again: versions count up and seq_no grows, so
 * that nothing was reordered or lost. The shared one is written over its seq_no: each
 * version of it has exactly one writer. */
static void *write_in_turns(void *arg)
{
    writer *w = arg;
    char id[16], source[48];
    (void)snprintf(id, sizeof id, "own-%d", w->number);
    for (int i = 0; i < ROUNDS; i++) {
        qn_error err;
        quern_op_result r;
        (void)snprintf(source, sizeof source, "{\"n\":%d}", i);
        quern_op op = op_of(QUERN_OP_INDEX, id, source);
        w->failed |= quern_write(w->q, "t", &op, 1, NULL, &r, &err) != QN_OK ||
                     r.status != QN_OK || r.version != i + 1;
        w->seq_nos[i] = r.seq_no;
        quern_document doc;
        if (quern_get(w->q, "t", "shared", 6, &doc, &err) != QN_OK) {
            w->failed = true;
            continue;
        }
        op = op_of(QUERN_OP_INDEX, "shared", source);
        op.if_seq_no = doc.seq_no;
        quern_document_free(&doc);
        w->failed |= quern_write(w->q, "t", &op, 1, NULL, &r, &err) != QN_OK ||
                     (r.status != QN_OK && r.status != QN_ECONFLICT);
        w->shared += r.status == QN_OK;
    }
    return NULL;
}

void test_group_of_writers(void **state)
{
    (void)state;
    fixture f;
    T_ROW("many writers");
    fixture_begin(&f);
    fixture_table(&f, "t", "{}");
    put(&f, "t", "shared", "{}");
    pthread_t threads[WRITERS];
    static writer writers[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (writer){.q = f.q, .number = i};
        T_OK(pthread_create(&threads[i], NULL, write_in_turns, &writers[i]) == 0);
    }
    for (int i = 0; i < WRITERS; i++) (void)pthread_join(threads[i], NULL);
    int shared = 0;
    static bool seen[1 + 2 * WRITERS * ROUNDS];
    memset(seen, 0, sizeof seen);
    for (int i = 0; i < WRITERS; i++) {
        T_OK(!writers[i].failed);
        shared += writers[i].shared;
        for (int k = 0; k < ROUNDS; k++) {
            int64_t s = writers[i].seq_nos[k];
            T_OK(k == 0 || s > writers[i].seq_nos[k - 1]);
            T_OK(s >= 0 && (size_t)s < sizeof seen && !seen[s]);
            seen[s] = true;
        }
    }
    quern_document doc;
    T_CALL(quern_get(f.q, "t", "shared", 6, &doc, &f.err), &f.err);
    T_EQ_I(doc.version, 1 + shared);
    quern_document_free(&doc);
    fixture_reopen(&f);
    T_EQ_I(count_of(&f, "t"), WRITERS + 1);
    T_EQ_S(source_of(&f, "t", "own-3"), "{\"n\":39}");
    fixture_end(&f);
}

/* A sync that fails: every call of the group is told, none of them counts, and the table
 * takes no more writes until it is opened again. */
void test_sync_fails(void **state)
{
    (void)state;
    fixture f;
    quern_op_result r;
    T_ROW("failed sync");
    fixture_begin(&f);
    fixture_table(&f, "t", "{}");
    put(&f, "t", "1", "{}");
    quern_op op = op_of(QUERN_OP_INDEX, "2", "{}");
    qn_io__fault_set(
        &(qn_io_fault){.calls = QN_IO_SYNC, .countdown = 1, .errnum = EIO});
    T_EQ_I(quern_write(f.q, "t", &op, 1, NULL, &r, &f.err), QN_EIO);
    T_EQ_I(atomic_load(&qn_io__fault.delivered), 1);
    qn_io__fault_set(&(qn_io_fault){0});
    T_EQ_I(r.status, QN_EIO);
    op.id = "3";
    (void)quern_write(f.q, "t", &op, 1, NULL, &r, &f.err);
    T_OK(r.status == QN_EREADONLY || r.status == QN_EIO);
    fixture_reopen(&f);
    T_EQ_S(source_of(&f, "t", "1"), "{}");
    T_EQ_S(source_of(&f, "t", "3"), "");
    put(&f, "t", "4", "{}");
    fixture_end(&f);
}

/* ---- operations -------------------------------------------------------------------------- */

#define INT QUERN_VERSION_INTERNAL, 0
#define EXT QUERN_VERSION_EXTERNAL
#define GTE QUERN_VERSION_EXTERNAL_GTE

/* In order, over one table; what document "1" is after each. */
static const struct {
    const char *name;
    quern_op_kind kind;
    quern_version_type type;
    int64_t version;
    const char *source, *upsert;
    bool always;
    qn_status st;
    quern_outcome outcome;
    int64_t want_version;
    const char *one;
} outcomes[] = {
    {"update of none", QUERN_OP_UPDATE, INT, "{\"a\":1}", NULL, false, QN_ENODOC,
     QUERN_CREATED, 0, ""},
    {"upsert document", QUERN_OP_UPDATE, INT, "{\"a\":1}", "{\"b\":2}", false, QN_OK,
     QUERN_CREATED, 1, "{\"b\":2}"},
    {"no upsert when there", QUERN_OP_UPDATE, INT, "{\"a\":1}", "{\"b\":3}", false,
     QN_OK, QUERN_UPDATED, 2, "{\"b\":2,\"a\":1}"},
    {"noop", QUERN_OP_UPDATE, INT, "{\"a\":1}", NULL, false, QN_OK, QUERN_NOOP, 2,
     "{\"b\":2,\"a\":1}"},
    {"noop, given twice", QUERN_OP_UPDATE, INT, "{\"a\":7,\"a\":1}", NULL, false, QN_OK,
     QUERN_NOOP, 2, "{\"b\":2,\"a\":1}"},
    {"nothing at all", QUERN_OP_UPSERT, INT, "{}", NULL, false, QN_OK, QUERN_NOOP, 2,
     "{\"b\":2,\"a\":1}"},
    {"noop not looked for", QUERN_OP_UPDATE, INT, "{\"a\":1}", NULL, true, QN_OK,
     QUERN_UPDATED, 3, "{\"b\":2,\"a\":1}"},
    {"null is a change", QUERN_OP_UPDATE, INT, "{\"a\":null}", NULL, false, QN_OK,
     QUERN_UPDATED, 4, "{\"b\":2,\"a\":null}"},
    {"inner object", QUERN_OP_UPDATE, INT, "{\"o\":{\"x\":[\"x\",\"y\"]}}", NULL, false,
     QN_OK, QUERN_UPDATED, 5, "{\"b\":2,\"a\":null,\"o\":{\"x\":[\"x\",\"y\"]}}"},
    {"inner noop", QUERN_OP_UPDATE, INT, "{\"o\":{\"x\":[\"x\",\"\\u0079\"]}}", NULL,
     false, QN_OK, QUERN_NOOP, 5, "{\"b\":2,\"a\":null,\"o\":{\"x\":[\"x\",\"y\"]}}"},
    {"order in a list counts", QUERN_OP_UPDATE, INT, "{\"o\":{\"x\":[\"y\",\"x\"]}}",
     NULL, false, QN_OK, QUERN_UPDATED, 6,
     "{\"b\":2,\"a\":null,\"o\":{\"x\":[\"y\",\"x\"]}}"},
    {"external too low", QUERN_OP_INDEX, EXT, 6, "{}", NULL, false, QN_ECONFLICT,
     QUERN_CREATED, 0, "{\"b\":2,\"a\":null,\"o\":{\"x\":[\"y\",\"x\"]}}"},
    {"external", QUERN_OP_INDEX, EXT, 100, "{\"a\":9}", NULL, false, QN_OK,
     QUERN_UPDATED, 100, "{\"a\":9}"},
    {"external again", QUERN_OP_INDEX, EXT, 100, "{}", NULL, false, QN_ECONFLICT,
     QUERN_CREATED, 0, "{\"a\":9}"},
    {"external_gte again", QUERN_OP_INDEX, GTE, 100, "{\"a\":8}", NULL, false, QN_OK,
     QUERN_UPDATED, 100, "{\"a\":8}"},
    {"external_gte below", QUERN_OP_INDEX, GTE, 99, "{}", NULL, false, QN_ECONFLICT,
     QUERN_CREATED, 0, "{\"a\":8}"},
    {"internal goes on", QUERN_OP_INDEX, INT, "{\"a\":7}", NULL, false, QN_OK,
     QUERN_UPDATED, 101, "{\"a\":7}"},
    {"external negative", QUERN_OP_INDEX, EXT, -3, "{}", NULL, false, QN_EINVAL,
     QUERN_CREATED, 0, "{\"a\":7}"},
    {"external create", QUERN_OP_CREATE, EXT, 200, "{}", NULL, false, QN_EINVAL,
     QUERN_CREATED, 0, "{\"a\":7}"},
    {"external delete", QUERN_OP_DELETE, EXT, 200, NULL, NULL, false, QN_OK,
     QUERN_DELETED, 200, ""},
    {"late external write", QUERN_OP_INDEX, EXT, 150, "{}", NULL, false, QN_ECONFLICT,
     QUERN_CREATED, 0, ""},
    {"delete of none", QUERN_OP_DELETE, INT, NULL, NULL, false, QN_ENODOC,
     QUERN_NOT_FOUND, 201, ""},
    {"external after it", QUERN_OP_INDEX, EXT, 300, "{\"z\":1}", NULL, false, QN_OK,
     QUERN_CREATED, 300, "{\"z\":1}"},
};

void test_outcomes(void **state)
{
    (void)state;
    /* In memory, and with every step in a segment and the table opened again. */
    for (int flushed = 0; flushed < 2; flushed++) {
        fixture f;
        int64_t seq_no = -1;
        fixture_begin(&f);
        fixture_table(&f, "t", "{}");
        for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++) {
            T_ROW(outcomes[i].name);
            quern_op op = op_of(outcomes[i].kind, "1", outcomes[i].source);
            op.version_type = outcomes[i].type;
            op.version = outcomes[i].version;
            op.upsert = outcomes[i].upsert;
            op.upsert_size = op.upsert == NULL ? 0 : strlen(op.upsert);
            op.always = outcomes[i].always;
            quern_op_result r;
            T_EQ_I(write_one(&f, "t", op, &r), outcomes[i].st);
            bool written = r.status == QN_OK || outcomes[i].outcome == QUERN_NOT_FOUND;
            if (written) {
                T_EQ_I(r.outcome, outcomes[i].outcome);
                T_EQ_I(r.version, outcomes[i].want_version);
                if (r.outcome != QUERN_NOOP) seq_no++;
                T_EQ_I(r.seq_no, seq_no);
            }
            T_EQ_S(source_of(&f, "t", "1"), outcomes[i].one);
            if (flushed) T_CALL(quern_flush(f.q, "t", &f.err), &f.err);
        }
        fixture_end(&f);
    }
}

/* Versions of deleted documents: forgotten after 60 to 120 seconds, by a clock that the
 * test turns, and when there are too many. */
void test_graves(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t put_s, look_s, want;
    } rows[] = {
        {"at once", 0, 0, 7},        {"a second before", 0, 59, 7},
        {"second minute", 0, 61, 7}, {"long after", 0, 1000, -1},
        {"put late", 59, 119, 7},
    };
    static const int64_t s = 1000000000;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_graves g;
        qn_graves_init(&g, qn_alloc_heap());
        T_OK(qn_graves_put(&g, QN_SLICE_LIT("first"), 1, 0));
        T_OK(qn_graves_put(&g, QN_SLICE_LIT("x"), 7, rows[i].put_s * s));
        T_EQ_I(qn_graves_version(&g, QN_SLICE_LIT("x"), rows[i].look_s * s),
               rows[i].want);
        T_EQ_I(qn_graves_version(&g, QN_SLICE_LIT("y"), rows[i].look_s * s), -1);
        qn_graves_deinit(&g);
    }
}

/* ---- durability -------------------------------------------------------------------------- */

/* What a table's policy comes to, from its schema and from what is set later. */
static const struct {
    const char *name, *schema, *set; /* "" sets nothing */
    qn_status created, st;
    const char *shown;
} policies[] = {
    {"default", "{}", "", QN_OK, QN_OK,
     "\"durability\":\"request\",\"sync_interval_ms\":5000"},
    {"nested", "{\"settings\":{\"index\":{\"translog\":{\"durability\":\"async\"}}}}",
     "", QN_OK, QN_OK, "\"durability\":\"async\",\"sync_interval_ms\":5000"},
    {"dotted",
     "{\"settings\":{\"index.translog.durability\":\"ASYNC\","
     "\"index.translog.sync_interval\":\"250ms\"}}",
     "", QN_OK, QN_OK, "\"durability\":\"async\",\"sync_interval_ms\":250"},
    {"mixed",
     "{\"settings\":{\"translog.sync_interval\":\"1m\",\"number_of_shards\":1}}", "",
     QN_OK, QN_OK, "\"durability\":\"request\",\"sync_interval_ms\":60000"},
    {"own words", "{\"quern\":{\"durability\":\"async\",\"sync_interval\":\"2s\"}}", "",
     QN_OK, QN_OK, "\"durability\":\"async\",\"sync_interval_ms\":2000"},
    {"own words, HA3",
     "{\"fields\":[{\"field_name\":\"pk\",\"field_type\":\"INT64\"}],\"indexs\":[{"
     "\"index_name\":\"pk\",\"index_type\":\"PRIMARYKEY64\",\"index_fields\":\"pk\"}],"
     "\"quern\":{\"durability\":\"async\"}}",
     "", QN_OK, QN_OK, "\"durability\":\"async\",\"sync_interval_ms\":5000"},
    {"unknown", "{\"settings\":{\"index.translog.durability\":\"later\"}}", "",
     QN_EINVAL, QN_OK, NULL},
    {"too often", "{\"settings\":{\"index.translog.sync_interval\":\"99ms\"}}", "",
     QN_EINVAL, QN_OK, NULL},
    {"no unit", "{\"settings\":{\"index.translog.sync_interval\":5}}", "", QN_EINVAL,
     QN_OK, NULL},
    {"set later", "{}", "{\"index\":{\"translog.durability\":\"async\"}}", QN_OK, QN_OK,
     "\"durability\":\"async\",\"sync_interval_ms\":5000"},
    {"one of two", "{\"quern\":{\"durability\":\"async\"}}",
     "{\"translog\":{\"sync_interval\":\"100ms\"}}", QN_OK, QN_OK,
     "\"durability\":\"async\",\"sync_interval_ms\":100"},
    {"back", "{\"quern\":{\"durability\":\"async\"}}",
     "{\"index.translog.durability\":\"request\"}", QN_OK, QN_OK,
     "\"durability\":\"request\",\"sync_interval_ms\":5000"},
    {"not to be set", "{}", "{\"index.number_of_shards\":2}", QN_OK, QN_EINVAL,
     "\"durability\":\"request\""},
    {"set to nonsense", "{}", "{\"index.translog.durability\":1}", QN_OK, QN_EINVAL,
     "\"durability\":\"request\""},
};

static void expect_shown(fixture *f, const char *want)
{
    char *json = NULL;
    size_t n = 0;
    T_CALL(quern_table_show(f->q, "t", &json, &n, &f->err), &f->err);
    if (strstr(json, want) == NULL) T_FAIL("no %s in %s", want, json);
    quern_free(json);
}

void test_policies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof policies / sizeof *policies; i++) {
        fixture f;
        T_ROW(policies[i].name);
        fixture_begin(&f);
        const char *schema = policies[i].schema, *set = policies[i].set;
        T_EQ_I(quern_table_create(f.q, "t", schema, strlen(schema), &f.err),
               policies[i].created);
        if (policies[i].created == QN_OK && *set != 0)
            T_EQ_I(quern_table_set(f.q, "t", set, strlen(set), &f.err), policies[i].st);
        /* As it is now, out of the log, out of the manifest. */
        for (int round = 0; policies[i].created == QN_OK && round < 3; round++) {
            expect_shown(&f, policies[i].shown);
            if (round > 0) put(&f, "t", "1", "{\"pk\":1}");
            if (round > 0) T_CALL(quern_flush(f.q, "t", &f.err), &f.err);
            fixture_reopen(&f);
        }
        fixture_end(&f);
    }
}

/* An asynchronous write is acknowledged without a sync, and synced within its interval; a
 * sync that fails then makes the table read-only. */
void test_async(void **state)
{
    (void)state;
    fixture f;
    quern_op_result r;
    T_ROW("async");
    qn_io__fault.errnum = EIO; /* before any thread may look */
    fixture_begin(&f);
    fixture_table(&f, "t",
                  "{\"quern\":{\"durability\":\"async\",\"sync_interval\":\"100ms\"}}");
    put(&f, "t", "1", "{}"); /* the first one makes the file of the log */
    qn_io__fault_set(
        &(qn_io_fault){.calls = QN_IO_SYNC, .countdown = 1, .errnum = EIO});
    quern_op op = op_of(QUERN_OP_INDEX, "2", "{}");
    T_EQ_I(quern_write(f.q, "t", &op, 1, NULL, &r, &f.err), QN_OK);
    T_EQ_I(r.status, QN_OK);
    for (int i = 0; i < 500 && atomic_load(&qn_io__fault.delivered) == 0; i++) {
        struct timespec pause = {0, 10000000};
        (void)nanosleep(&pause, NULL);
    }
    T_EQ_I(atomic_load(&qn_io__fault.delivered), 1);
    qn_io__fault_set(&(qn_io_fault){0});
    for (int i = 0; i < 500; i++) {
        struct timespec pause = {0, 10000000};
        if (quern_write(f.q, "t", &op, 1, NULL, &r, &f.err) != QN_OK) break;
        if (r.status != QN_OK) break;
        (void)nanosleep(&pause, NULL);
    }
    T_OK(r.status == QN_EREADONLY || r.status == QN_EIO);
    fixture_reopen(&f);
    T_EQ_S(source_of(&f, "t", "1"), "{}");
    put(&f, "t", "3", "{}");
    fixture_end(&f);
    qn_io__fault = (qn_io_fault){0};
}

/* A disk on which no file can be made: memory stays bounded, writes are refused when it
 * is full, what was acknowledged is kept, and writing goes on when the disk is well. */
/* A table that is full, and cannot be flushed or has too many waiting for that, refuses
 * writes for now: nothing of them is there. */
static const struct {
    const char *name;
    size_t memory; /* in flushes' worth */
    size_t waiting;
    unsigned failing; /* calls */
    qn_status want;
    const char *text;
} admissions[] = {
    {"room", 2, 0, 0, QN_OK, ""},
    {"full, and flushed", 3, 0, 0, QN_OK, ""},
    {"full, one place to wait left", 3, 999, 0, QN_OK, ""},
    {"full, too many wait", 3, 1000, 0, QN_EBUSY,
     "1000 writes wait for memory already"},
    {"full, no flush", 3, 0, QN_IO_OPEN, QN_EBUSY, "could not be written to files"},
    {"not full, others wait", 2, 5000, 0, QN_OK, ""},
};

void test_admission(void **state)
{
    (void)state;
    fixture f;
    qn_table *t = NULL;
    quern_op_result r;
    fixture_begin(&f);
    fixture_table(&f, "t", "{}");
    T_CALL(qn_engine_table(f.q, "t", &t, &f.err), &f.err);
    T_EQ_I(qn_status_describe(QN_EBUSY)->http_status, 429);
    uint64_t there = 0;
    for (size_t i = 0; i < sizeof admissions / sizeof *admissions; i++) {
        char id[16];
        T_ROW(admissions[i].name);
        (void)snprintf(id, sizeof id, "%zu", i);
        put(&f, "t", "something to flush", "{}");
        atomic_store(&t->memory_seen,
                     admissions[i].memory * qn_engine_flush_bytes(f.q));
        atomic_store(&t->waiting, admissions[i].waiting);
        if (admissions[i].failing != 0)
            qn_io__fault_set(&(qn_io_fault){.calls = admissions[i].failing,
                                            .countdown = 1,
                                            .errnum = EIO,
                                            .sticky = true});
        quern_op op = op_of(QUERN_OP_INDEX, id, "{}");
        qn_status st = quern_write(f.q, "t", &op, 1, NULL, &r, &f.err);
        qn_io__fault_set(&(qn_io_fault){0});
        T_EQ_I(st, admissions[i].want);
        T_EQ_I(r.status, admissions[i].want);
        T_OK(st == QN_OK || strstr(f.err.text, admissions[i].text) != NULL);
        T_EQ_I(atomic_load(&t->waiting), admissions[i].waiting);
        atomic_store(&t->waiting, 0);
        atomic_store(&t->memory_seen, 0);
        atomic_store(&t->flush_failed_at_ns, 0);
        there += st == QN_OK;
        T_EQ_I(count_of(&f, "t"), there + 1);
    }
    qn_table_release(t);
    fixture_end(&f);
}

void test_full_disk(void **state)
{
    (void)state;
    enum { DOCS_MAX = 20000, TEXT = 900 };
    fixture f;
    T_ROW("full disk");
    fixture_begin(&f);
    quern_close(f.q);
    quern_options o = QUERN_OPTIONS_INIT;
    o.data_dir = f.dir;
    o.neural_threads = 1;
    o.memory_budget_bytes = 4 * 1024 * 1024; /* a flush begins at a quarter */
    T_CALL(quern_open(&o, &f.q, &f.err), &f.err);
    fixture_table(&f, "t", "{\"mappings\":{\"dynamic\":false}}");
    put(&f, "t", "first", "{}");
    static char source[TEXT + 16], id[24];
    uint32_t noise = 1;
    atomic_store(&qn_io__fault.delivered, 0);
    qn_io__fault.errnum = ENOSPC;
    qn_io__fault.sticky = true;
    atomic_store(&qn_io__fault.countdown, 1);
    atomic_store(&qn_io__fault.calls, QN_IO_OPEN);
    quern_op_result r = {0};
    qn_status st = QN_OK;
    uint64_t n = 1;
    for (; n < DOCS_MAX; n++) {
        char *p = source + snprintf(source, sizeof source, "{\"x\":\"");
        for (int i = 0; i < TEXT; i++) { /* nothing that packs well */
            noise = noise * 1664525 + 1013904223;
            *p++ = (char)('a' + (noise >> 24) % 26);
        }
        (void)snprintf(p, 3, "\"}");
        (void)snprintf(id, sizeof id, "%llu", (unsigned long long)n);
        quern_op op = op_of(QUERN_OP_INDEX, id, source);
        st = quern_write(f.q, "t", &op, 1, NULL, &r, &f.err);
        if (st == QN_OK) st = r.status;
        if (st != QN_OK) break;
    }
    atomic_store(&qn_io__fault.calls, 0);
    if (st != QN_ENOSPC) T_FAIL("%d after %llu", st, (unsigned long long)n);
    T_OK(n > 500);
    for (int i = 0; i < 500 && st != QN_OK; i++) { /* a failure is left alone a while */
        struct timespec pause = {0, 10000000};
        quern_op op = op_of(QUERN_OP_INDEX, "more", "{}");
        st = quern_write(f.q, "t", &op, 1, NULL, &r, &f.err);
        if (st == QN_OK) st = r.status;
        (void)nanosleep(&pause, NULL);
    }
    T_EQ_I(st, QN_OK);
    T_EQ_I(count_of(&f, "t"), n + 1);
    fixture_reopen(&f);
    T_EQ_I(count_of(&f, "t"), n + 1);
    fixture_end(&f);
    qn_io__fault = (qn_io_fault){0};
}

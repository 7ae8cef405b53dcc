/* SPDX-License-Identifier: Apache-2.0 */
/* Every allocation of a session fails once: nothing crashes, nothing leaks, and what was
 * acknowledged before is there afterwards. */
#include "engine_fixture.h"

#include "base/alloc.h"

#include <stdlib.h>

enum { DOCS = 3, STEP = 1 };

#define SCHEMA                                                                         \
    "{\"mappings\":{\"properties\":{\"t\":{\"type\":\"text\"},\"v\":{\"type\":"        \
    "\"dense_vector\","                                                                \
    "\"dims\":2,\"similarity\":\"l2_norm\"}}}}"

typedef struct session {
    bool table;         /* its creation was acknowledged */
    bool written[DOCS]; /* and these documents */
    bool done;
} session;

static qn_status ask(quern *q, quern_query_kind kind, const char *text, qn_error *err)
{
    quern_search_options s = QUERN_SEARCH_OPTIONS_INIT;
    quern_reply *reply = NULL;
    s.kind = kind;
    s.query = text;
    s.query_size = strlen(text);
    s.explain = true;
    qn_status st = quern_search(q, "t", &s, &reply, err);
    quern_reply_free(reply);
    return st;
}

static qn_status work(quern *q, session *s, qn_error *err)
{
    static const char *const ids[DOCS] = {"1", "2", "3"};
    static const char *const sources[DOCS] = {
        "{\"t\":\"red car\",\"v\":[1,2]}", "{\"t\":\"red bike\",\"n\":5,\"v\":[2,2]}",
        "{\"t\":\"blue car\",\"n\":7,\"tags\":[\"a\",\"b\"]}"};
    qn_status st = quern_table_create(q, "t", SCHEMA, strlen(SCHEMA), err);
    if (st != QN_OK && st != QN_ETABLEEXISTS) return st;
    s->table = true;
    for (int i = 0; i < DOCS; i++) {
        quern_op op = op_of(QUERN_OP_INDEX, ids[i], sources[i]);
        quern_op_result r;
        st = quern_write(q, "t", &op, 1, NULL, &r, err);
        if (st == QN_OK && r.status != QN_OK) {
            *err = r.error;
            st = r.status;
        }
        if (st != QN_OK) return st;
        s->written[i] = true;
        if (i == 1 && (st = quern_flush(q, "t", err)) != QN_OK) return st;
    }
    if ((st = quern_refresh(q, "t", err)) != QN_OK) return st;
    if ((st = ask(q, QUERN_QUERY_WORDS, "red car", err)) != QN_OK) return st;
    st = ask(q, QUERN_QUERY_HA3, "query=t:'red' OR v:'1,1&n=2'&&filter=n>=0", err);
    if (st != QN_OK) return st;
    st =
        ask(q, QUERN_QUERY_DSL,
            "{\"query\":{\"match\":{\"t\":\"car\"}},\"sort\":[{\"n\":\"desc\"}]}", err);
    if (st != QN_OK) return st;
    return quern_table_optimize(q, "t", err);
}

static qn_status open_here(const char *dir, quern **q, qn_error *err)
{
    quern_options o = QUERN_OPTIONS_INIT;
    o.data_dir = dir;
    o.neural_threads = 1;
    return quern_open(&o, q, err);
}

/* What was acknowledged is there, in a process with memory. */
static void check(const char *dir, const session *s)
{
    static const char *const ids[DOCS] = {"1", "2", "3"};
    quern *q = NULL;
    qn_error err;
    T_CALL(open_here(dir, &q, &err), &err);
    if (s->table) T_OK(quern_table_exists(q, "t"));
    for (int i = 0; i < DOCS; i++) {
        quern_document doc;
        if (!s->written[i]) continue;
        T_CALL(quern_get(q, "t", ids[i], 1, &doc, &err), &err);
        quern_document_free(&doc);
    }
    quern_close(q);
}

static void test_allocation_failures(void **state)
{
    (void)state;
    qn_alloc *heap = qn_alloc_heap();
    char row[32];
    for (long n = 1;; n += STEP) {
        (void)snprintf(row, sizeof row, "allocation %ld", n);
        T_ROW(row);
        fixture f;
        memset(&f, 0, sizeof f);
        (void)snprintf(f.dir, sizeof f.dir, "/tmp/quern-test-XXXXXX");
        T_OK(mkdtemp(f.dir) != NULL);
        size_t before = atomic_load(&heap->live_bytes);
        session s = {0};
        quern *q = NULL;
        atomic_store(&heap->fail_countdown, n);
        qn_status st = open_here(f.dir, &q, &f.err);
        if (st == QN_OK) st = work(q, &s, &f.err);
        quern_close(q);
        bool hit = atomic_load(&heap->fail_countdown) <= 0;
        atomic_store(&heap->fail_countdown, 0);
        if (st != QN_OK && st != QN_ENOMEM && st != QN_EREADONLY)
            T_FAIL("status %d: %s", st, f.err.text);
        T_EQ_I(atomic_load(&heap->live_bytes), before);
        check(f.dir, &s);
        T_CALL(qn_dir_remove(f.dir, &f.err), &f.err);
        if (!hit) {
            print_message("%ld allocations\n", n);
            T_EQ_I(st, QN_OK);
            return;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_allocation_failures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

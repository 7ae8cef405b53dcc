/* SPDX-License-Identifier: Apache-2.0 */
/* Writers, readers and maintenance at the same time: nothing is lost, nothing is seen
 * half, and under tsan nothing races. */
#include "engine_fixture.h"
#include "test_engine.h"

#include <pthread.h>

enum { WRITERS = 2, READERS = 2, DOCS = 150 };

typedef struct shared_work {
    quern *q;
    int first;
    atomic_bool *stop;
    atomic_int *failures;
} shared_work;

static void *write_documents(void *arg)
{
    const shared_work *w = arg;
    char id[24], source[96];
    qn_error err;
    for (int i = 0; i < DOCS; i++) {
        (void)snprintf(id, sizeof id, "%d", w->first + i);
        (void)snprintf(source, sizeof source,
                       "{\"t\":\"common word%d\",\"n\":%d,\"v\":[%d,1]}", i, i, i);
        quern_op op = op_of(QUERN_OP_INDEX, id, source);
        quern_op_result result;
        if (quern_write(w->q, "t", &op, 1, NULL, &result, &err) != QN_OK ||
            result.status != QN_OK)
            atomic_fetch_add(w->failures, 1);
        if (i % 10 == 9) { /* every tenth goes again */
            op = op_of(QUERN_OP_DELETE, id, NULL);
            if (quern_write(w->q, "t", &op, 1, NULL, &result, &err) != QN_OK ||
                result.status != QN_OK)
                atomic_fetch_add(w->failures, 1);
        }
        if (i % 40 == 39 && quern_flush(w->q, "t", &err) != QN_OK)
            atomic_fetch_add(w->failures, 1);
    }
    return NULL;
}

static void *read_documents(void *arg)
{
    const shared_work *w = arg;
    static const char query[] =
        "config=hit:500&&query=t:'common'&&filter=n>=0&&sort=-n";
    qn_error err;
    while (!atomic_load(w->stop)) {
        quern_search_options s = QUERN_SEARCH_OPTIONS_INIT;
        quern_reply *reply = NULL;
        s.kind = QUERN_QUERY_HA3;
        s.query = query;
        s.query_size = sizeof query - 1;
        if (quern_refresh(w->q, "t", &err) != QN_OK ||
            quern_search(w->q, "t", &s, &reply, &err) != QN_OK) {
            atomic_fetch_add(w->failures, 1);
            continue;
        }
        for (size_t i = 0; i < reply->hit_count; i++)
            if (reply->hits[i].source_size == 0) atomic_fetch_add(w->failures, 1);
        quern_reply_free(reply);
        quern_document doc;
        qn_status st = quern_get(w->q, "t", "5", 1, &doc, &err);
        if (st != QN_OK && st != QN_ENODOC) atomic_fetch_add(w->failures, 1);
        quern_document_free(&doc);
    }
    return NULL;
}

void test_threads(void **state)
{
    (void)state;
    fixture f;
    T_ROW("threads");
    fixture_begin(&f);
    fixture_table(
        &f, "t",
        "{\"mappings\":{\"properties\":{\"t\":{\"type\":\"text\"},\"n\":{\"type\":"
        "\"long\"},\"v\":{\"type\":\"dense_vector\",\"dims\":2,\"similarity\":"
        "\"l2_norm\"}}}}");
    atomic_bool stop = false;
    atomic_int failures = 0;
    pthread_t threads[WRITERS + READERS];
    shared_work work[WRITERS + READERS];
    for (int i = 0; i < WRITERS + READERS; i++) {
        work[i] = (shared_work){f.q, i * 1000, &stop, &failures};
        T_OK(pthread_create(&threads[i], NULL,
                            i < WRITERS ? write_documents : read_documents,
                            &work[i]) == 0);
    }
    for (int i = 0; i < WRITERS; i++) (void)pthread_join(threads[i], NULL);
    atomic_store(&stop, true);
    for (int i = WRITERS; i < WRITERS + READERS; i++)
        (void)pthread_join(threads[i], NULL);
    T_EQ_I(atomic_load(&failures), 0);
    T_EQ_I(count_of(&f, "t"), WRITERS * DOCS * 9 / 10);
    fixture_reopen(&f);
    T_EQ_I(count_of(&f, "t"), WRITERS * DOCS * 9 / 10);
    T_CALL(quern_table_optimize(f.q, "t", &f.err), &f.err);
    T_EQ_I(count_of(&f, "t"), WRITERS * DOCS * 9 / 10);
    fixture_end(&f);
}

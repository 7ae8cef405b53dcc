/* SPDX-License-Identifier: Apache-2.0 */
/* Writing: many callers in one log, operations and their versions, durability. */
#include "engine_fixture.h"
#include "test_engine.h"

#include "io/io_internal.h"

#include <errno.h>
#include <pthread.h>

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
    qn_io__fault = (qn_io_fault){.calls = QN_IO_SYNC, .countdown = 1, .errnum = EIO};
    T_EQ_I(quern_write(f.q, "t", &op, 1, NULL, &r, &f.err), QN_EIO);
    T_EQ_I(atomic_load(&qn_io__fault.delivered), 1);
    qn_io__fault = (qn_io_fault){0};
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

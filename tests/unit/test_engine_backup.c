/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of tables and back: whole, consistent under writers, never over anything, and no
 * damage of a copy goes unseen. */
#include "engine_fixture.h"
#include "test_engine.h"

#include "base/slice.h"
#include "io/io_internal.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

static char copy_dir[128];

static const char *copy_of(const fixture *f, const char *name)
{
    (void)snprintf(copy_dir, sizeof copy_dir, "%s/copies/%s", f->dir, name);
    return copy_dir;
}

/* Documents in two segments, one of them deleted later, and two in the log. */
static void fill(fixture *f)
{
    fixture_table(f, "t", "{}");
    put(f, "t", "1", "{\"a\":\"one\"}");
    put(f, "t", "2", "{\"a\":\"two\"}");
    T_CALL(quern_flush(f->q, "t", &f->err), &f->err);
    put(f, "t", "3", "{\"a\":\"three\"}");
    T_CALL(quern_flush(f->q, "t", &f->err), &f->err);
    put(f, "t", "4", "{\"a\":\"four\"}");
    T_EQ_I(write_one(f, "t", op_of(QUERN_OP_DELETE, "1", NULL), NULL), QN_OK);
}

static void expect_filled(fixture *f, const char *table)
{
    T_EQ_I(count_of(f, table), 3);
    T_EQ_S(source_of(f, table, "1"), "");
    T_EQ_S(source_of(f, table, "2"), "{\"a\":\"two\"}");
    T_EQ_S(source_of(f, table, "4"), "{\"a\":\"four\"}");
}

void test_backup(void **state)
{
    (void)state;
    /* With second names, and on a file system that gives none. */
    for (int links = 0; links < 2; links++) {
        fixture f;
        char *json = NULL;
        size_t n = 0;
        T_ROW(links ? "linked" : "copied");
        fixture_begin(&f);
        fill(&f);
        if (!links)
            qn_io__fault_set(&(qn_io_fault){
                .calls = QN_IO_LINK, .countdown = 1, .errnum = EXDEV, .sticky = true});
        T_CALL(quern_table_backup(f.q, "t", copy_of(&f, "a"), &json, &n, &f.err),
               &f.err);
        T_EQ_I(atomic_load(&qn_io__fault.delivered), links ? 0 : 2);
        qn_io__fault_set(&(qn_io_fault){0});
        T_OK(strstr(json, "\"table\":\"t\"") != NULL);
        T_EQ_I(strstr(json, "\"linked_bytes\":0") != NULL, !links);
        quern_free(json);
        T_EQ_I(quern_table_backup(f.q, "t", copy_of(&f, "a"), NULL, NULL, &f.err),
               QN_EEXISTS);
        T_EQ_I(quern_table_backup(f.q, "none", copy_of(&f, "b"), NULL, NULL, &f.err),
               QN_ENOTABLE);
        /* What comes later is not in it. */
        put(&f, "t", "5", "{\"a\":\"five\"}");
        T_CALL(quern_table_optimize(f.q, "t", &f.err), &f.err);
        T_CALL(quern_table_restore(f.q, copy_of(&f, "a"), "u", &json, &n, &f.err),
               &f.err);
        T_OK(strstr(json, "\"backup_of\":\"t\"") != NULL);
        quern_free(json);
        expect_filled(&f, "u");
        T_EQ_S(source_of(&f, "u", "5"), "");
        /* Restored again and again from the same folder, over nothing. */
        T_EQ_I(quern_table_restore(f.q, copy_of(&f, "a"), "u", NULL, NULL, &f.err),
               QN_ETABLEEXISTS);
        put(&f, "u", "6", "{}");
        T_CALL(quern_table_drop(f.q, "u", &f.err), &f.err);
        T_CALL(quern_table_restore(f.q, copy_of(&f, "a"), "u", NULL, NULL, &f.err),
               &f.err);
        T_EQ_I(quern_table_restore(f.q, copy_of(&f, "none"), "v", NULL, NULL, &f.err),
               QN_ENOTFOUND);
        T_OK(strstr(f.err.text, "no backup of a table") != NULL);
        T_EQ_I(
            quern_table_restore(f.q, copy_of(&f, "a"), "No/Name", NULL, NULL, &f.err),
            QN_EBADNAME);
        fixture_reopen(&f);
        expect_filled(&f, "u");
        T_EQ_I(count_of(&f, "t"), 4);
        fixture_end(&f);
    }
}

/* ---- under writers ------------------------------------------------------------------------ */

static void pause_ms(long ms)
{
    struct timespec t = {0, ms * 1000000};
    (void)nanosleep(&t, NULL);
}

typedef struct writing {
    quern *q;
    atomic_bool stop;
    atomic_long acknowledged; /* documents 0 to this - 1 */
    bool failed;
} writing;

static void *write_on(void *arg)
{
    writing *w = arg;
    for (long i = 0; !atomic_load(&w->stop); i++) {
        char id[24], source[48];
        qn_error err;
        quern_op_result r;
        (void)snprintf(id, sizeof id, "%ld", i);
        (void)snprintf(source, sizeof source, "{\"n\":%ld}", i);
        quern_op op = op_of(QUERN_OP_INDEX, id, source);
        w->failed |= quern_write(w->q, "t", &op, 1, NULL, &r, &err) != QN_OK;
        atomic_store(&w->acknowledged, i + 1);
        if (i % 50 == 49) w->failed |= quern_flush(w->q, "t", &err) != QN_OK;
        if (i % 200 == 199) w->failed |= quern_table_optimize(w->q, "t", &err) != QN_OK;
    }
    return NULL;
}

/* Each copy has what was acknowledged before it began and nothing from after a gap. */
void test_backup_while_writing(void **state)
{
    (void)state;
    enum { COPIES = 6 };
    fixture f;
    T_ROW("while writing");
    fixture_begin(&f);
    fixture_table(&f, "t", "{}");
    writing w = {.q = f.q};
    pthread_t thread;
    long before[COPIES];
    T_OK(pthread_create(&thread, NULL, write_on, &w) == 0);
    for (int i = 0; i < COPIES; i++) {
        char name[16];
        while (atomic_load(&w.acknowledged) < 60 * (i + 1)) pause_ms(1);
        before[i] = atomic_load(&w.acknowledged);
        (void)snprintf(name, sizeof name, "c%d", i);
        T_CALL(quern_table_backup(f.q, "t", copy_of(&f, name), NULL, NULL, &f.err),
               &f.err);
    }
    atomic_store(&w.stop, true);
    (void)pthread_join(thread, NULL);
    T_OK(!w.failed);
    for (int i = 0; i < COPIES; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "c%d", i);
        T_CALL(quern_table_restore(f.q, copy_of(&f, name), name, NULL, NULL, &f.err),
               &f.err);
        long count = (long)count_of(&f, name);
        T_OK(count >= before[i]);
        char last[24];
        (void)snprintf(last, sizeof last, "%ld", count - 1);
        T_OK(*source_of(&f, name, last) != 0);
    }
    fixture_end(&f);
}

/* ---- damage ------------------------------------------------------------------------------- */

typedef struct file_list {
    char names[16][64];
    int n;
} file_list;

static bool note_name(void *ctx, const char *name, bool is_dir)
{
    file_list *l = ctx;
    if (!is_dir && l->n < 16)
        (void)snprintf(l->names[l->n++], sizeof l->names[0], "%.63s", name);
    return true;
}

/* A changed byte, a missing end, a missing file: told with the file, and nothing is left
 * of the attempt. */
void test_backup_damaged(void **state)
{
    (void)state;
    fixture f;
    file_list l = {0};
    fixture_begin(&f);
    fill(&f);
    qn_io__fault_set(&(qn_io_fault){
        .calls = QN_IO_LINK, .countdown = 1, .errnum = EXDEV, .sticky = true});
    T_CALL(quern_table_backup(f.q, "t", copy_of(&f, "a"), NULL, NULL, &f.err), &f.err);
    qn_io__fault_set(&(qn_io_fault){0});
    T_CALL(qn_dir_list(copy_of(&f, "a"), note_name, &l, &f.err), &f.err);
    T_EQ_I(l.n, 5); /* BACKUP, manifest, two segments, log */
    for (int i = 0; i < l.n; i++) {
        char path[256];
        qn_buf bytes;
        qn_buf_init(&bytes, qn_alloc_heap());
        (void)snprintf(path, sizeof path, "%s/%s", copy_of(&f, "a"), l.names[i]);
        T_ROW(l.names[i]);
        T_CALL(qn_file_read(path, 1 << 20, &bytes, &f.err), &f.err);
        for (size_t at = 0; at < bytes.n; at += 37) {
            bytes.p[at] = (char)(bytes.p[at] ^ 0x10);
            T_CALL(qn_file_replace(path, bytes.p, bytes.n, &f.err), &f.err);
            bytes.p[at] = (char)(bytes.p[at] ^ 0x10);
            qn_status st =
                quern_table_restore(f.q, copy_of(&f, "a"), "u", NULL, NULL, &f.err);
            if (st == QN_OK) T_FAIL("byte %zu went unseen", at);
            T_OK(strstr(f.err.file, l.names[i]) != NULL);
            T_OK(!quern_table_exists(f.q, "u"));
        }
        T_CALL(qn_file_replace(path, bytes.p, bytes.n - 1, &f.err), &f.err);
        T_EQ_I(quern_table_restore(f.q, copy_of(&f, "a"), "u", NULL, NULL, &f.err),
               QN_ECORRUPT);
        T_CALL(qn_file_remove(path, &f.err), &f.err);
        T_EQ_I(quern_table_restore(f.q, copy_of(&f, "a"), "u", NULL, NULL, &f.err),
               QN_ENOTFOUND);
        T_CALL(qn_file_replace(path, bytes.p, bytes.n, &f.err), &f.err);
        qn_buf_deinit(&bytes);
    }
    T_CALL(quern_table_restore(f.q, copy_of(&f, "a"), "u", NULL, NULL, &f.err), &f.err);
    expect_filled(&f, "u");
    fixture_end(&f);
}

/* Every system call of a backup and of a restore fails once: the table is as it was, and
 * there is a whole copy or none. */
void test_backup_faults(void **state)
{
    (void)state;
    fixture f;
    long n = 1;
    char row[48];
    fixture_begin(&f);
    fill(&f);
    for (bool hit = true; hit; n++) {
        (void)snprintf(row, sizeof row, "backup, call %ld", n);
        T_ROW(row);
        (void)snprintf(row, sizeof row, "b%ld", n);
        qn_io__fault_set(&(qn_io_fault){
            .calls = QN_IO_ALL & ~(unsigned)QN_IO_SYNC, .countdown = n, .errnum = EIO});
        qn_status st =
            quern_table_backup(f.q, "t", copy_of(&f, row), NULL, NULL, &f.err);
        hit = atomic_load(&qn_io__fault.delivered) > 0;
        qn_io__fault_set(&(qn_io_fault){0});
        expect_filled(&f, "t");
        if (st == QN_OK) {
            T_CALL(quern_table_restore(f.q, copy_of(&f, row), "u", NULL, NULL, &f.err),
                   &f.err);
            T_CALL(quern_table_drop(f.q, "u", &f.err), &f.err);
        } else {
            T_OK(hit);
        }
    }
    T_OK(n > 10);
    T_CALL(quern_table_backup(f.q, "t", copy_of(&f, "whole"), NULL, NULL, &f.err),
           &f.err);
    n = 1;
    for (bool hit = true; hit; n++) {
        (void)snprintf(row, sizeof row, "restore, call %ld", n);
        T_ROW(row);
        qn_io__fault_set(
            &(qn_io_fault){.calls = QN_IO_ALL, .countdown = n, .errnum = EIO});
        qn_status st =
            quern_table_restore(f.q, copy_of(&f, "whole"), "u", NULL, NULL, &f.err);
        hit = atomic_load(&qn_io__fault.delivered) > 0;
        qn_io__fault_set(&(qn_io_fault){0});
        T_EQ_I(quern_table_exists(f.q, "u"), st == QN_OK);
        if (st == QN_OK) {
            expect_filled(&f, "u");
            T_CALL(quern_table_drop(f.q, "u", &f.err), &f.err);
        } else {
            T_OK(hit);
        }
    }
    T_OK(n > 10);
    fixture_end(&f);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "test_io.h"

#include "../qn_test.h"

#include "base/clock.h"
#include "io/file.h"
#include "io/io_internal.h"
#include "io/wal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* What a replay hands out, as text: "1:1:bytes 2:1:..." */
typedef struct replayed {
    char text[4096];
    uint64_t count;
    qn_status answer;
} replayed;

static qn_status collect(void *ctx, const qn_wal_record *r, qn_error *err)
{
    replayed *out = ctx;
    size_t n = strlen(out->text);
    (void)snprintf(out->text + n, sizeof out->text - n, "%llu:%u:%.*s ",
                   (unsigned long long)r->seq_no, (unsigned)r->type,
                   r->bytes.n > 40 ? 3 : (int)r->bytes.n, r->bytes.p);
    out->count++;
    return out->answer == QN_OK ? QN_OK : qn_fail(err, out->answer, "stop");
}

static qn_status open_log(qn_alloc *a, const char *dir, uint64_t from, replayed *out,
                          qn_wal **w, uint64_t *next, qn_error *err)
{
    out->text[0] = '\0';
    out->count = 0;
    return qn_wal_open(a, dir, from, collect, out, w, next, err);
}

static void append(qn_wal *w, uint64_t seq_no, const char *text)
{
    qn_error err = {0};
    size_t half = strlen(text) / 2;
    qn_slice pieces[] = {{text, half}, qn_slice_of(text + half)};
    T_CALL(qn_wal_append(w, seq_no, 1, pieces, 2, &err), &err);
}

static void test_append_and_replay(void **state)
{
    (void)state;
    qn_alloc a = {0};
    char dir[256];
    test_io_folder(dir);
    qn_error err = {0};
    qn_wal *w = NULL;
    replayed r = {0};
    uint64_t next = 99;
    T_CALL(open_log(&a, dir, 5, &r, &w, &next, &err), &err);
    T_EQ_I(next, 5);
    T_EQ_I(qn_wal_size_bytes(w), 0);
    append(w, 5, "five");
    append(w, 6, "");
    append(w, 9, "nine, a longer one");
    T_EQ_I(qn_wal_append(w, 9, 1, NULL, 0, &err), QN_EINVAL);
    T_CALL(qn_wal_sync(w, &err), &err);
    T_CALL(qn_wal_sync(w, &err), &err);
    T_EQ_I(qn_wal_size_bytes(w), 64 + 3 * 32 + 8 + 0 + 24);
    qn_wal_close(w);

    T_CALL(open_log(&a, dir, 0, &r, &w, &next, &err), &err);
    T_EQ_S(r.text, "5:1:five 6:1: 9:1:nine, a longer one ");
    T_EQ_I(next, 10);
    append(w, 10, "ten");
    qn_wal_close(w); /* not synced: the process lives on, so it is there */
    T_CALL(open_log(&a, dir, 9, &r, &w, &next, &err), &err);
    T_EQ_S(r.text, "9:1:nine, a longer one 10:1:ten ");
    qn_wal_close(w);
    T_CALL(open_log(&a, dir, 50, &r, &w, &next, &err), &err);
    T_EQ_S(r.text, "");
    T_EQ_I(next, 50);
    qn_wal_close(w);
    r.answer = QN_EDOCUMENT;
    T_EQ_I(open_log(&a, dir, 0, &r, &w, &next, &err), QN_EDOCUMENT);
    T_OK(w == NULL);
    T_EQ_I(atomic_load(&a.live_bytes), 0);
    T_CALL(qn_dir_remove(dir, &err), &err);
}

static void test_roll(void **state)
{
    (void)state;
    qn_alloc a = {0};
    char dir[256];
    test_io_folder(dir);
    qn_error err = {0};
    qn_wal *w = NULL;
    replayed r = {0};
    uint64_t next = 0;
    T_CALL(open_log(&a, dir, 0, &r, &w, &next, &err), &err);
    T_CALL(qn_wal_roll(w, 0, &err), &err);
    append(w, 1, "a");
    append(w, 2, "b");
    T_CALL(qn_wal_roll(w, 2, &err), &err); /* 2 is still needed */
    append(w, 3, "c");
    T_CALL(qn_wal_roll(w, 2, &err), &err);
    T_OK(qn_file_exists(test_io_path(dir, "wal-00000000000000000001")));
    append(w, 4, "d");
    T_CALL(qn_wal_roll(w, 3, &err), &err);
    T_OK(!qn_file_exists(test_io_path(dir, "wal-00000000000000000001")));
    qn_wal_close(w);
    T_CALL(open_log(&a, dir, 3, &r, &w, &next, &err), &err);
    T_EQ_S(r.text, "3:1:c 4:1:d ");
    T_CALL(qn_wal_roll(w, 5, &err), &err);
    T_EQ_I(qn_wal_size_bytes(w), 0);
    append(w, 5, "e");
    qn_wal_close(w);
    T_CALL(open_log(&a, dir, 5, &r, &w, &next, &err), &err);
    T_EQ_S(r.text, "5:1:e ");
    qn_wal_close(w);
    T_CALL(qn_dir_remove(dir, &err), &err);
}

/* A log of three records, the first two synced, as bytes. */
static void sample_log(qn_alloc *a, const char *dir, qn_buf *out)
{
    qn_error err = {0};
    qn_wal *w = NULL;
    replayed r = {0};
    uint64_t next = 0;
    T_CALL(open_log(a, dir, 1, &r, &w, &next, &err), &err);
    append(w, 1, "one");
    append(w, 2, "two, more");
    T_CALL(qn_wal_sync(w, &err), &err);
    append(w, 3, "three");
    qn_wal_close(w);
    T_CALL(qn_file_read(test_io_path(dir, "wal-00000000000000000001"), 4096, out, &err),
           &err);
}

static void put_log(const char *dir, const void *bytes, size_t n)
{
    qn_error err = {0};
    T_CALL(
        qn_file_replace(test_io_path(dir, "wal-00000000000000000001"), bytes, n, &err),
        &err);
}

/* A crash leaves any prefix: what is whole comes back, and appending goes on. */
static void test_cut_at_every_byte(void **state)
{
    (void)state;
    qn_alloc a = {0};
    char dir[256];
    test_io_folder(dir);
    qn_buf log = {.alloc = qn_alloc_heap()};
    sample_log(&a, dir, &log);
    static const char *const want[] = {"", "1:1:one ", "1:1:one 2:1:two, more ",
                                       "1:1:one 2:1:two, more 3:1:three "};
    static const size_t ends[] = {0, 64 + 40, 64 + 40 + 48, 64 + 40 + 48 + 40};
    T_EQ_I(log.n, ends[3]);
    for (size_t cut = 0; cut <= log.n; cut++) {
        put_log(dir, log.p, cut);
        size_t whole = 0;
        while (whole < 3 && ends[whole + 1] <= cut) whole++;
        qn_error err = {0};
        qn_wal *w = NULL;
        replayed r = {0};
        uint64_t next = 0;
        T_CALL(open_log(&a, dir, 1, &r, &w, &next, &err), &err);
        T_EQ_S(r.text, want[whole]);
        T_EQ_I(next, whole + 1);
        append(w, next, "again");
        T_CALL(qn_wal_sync(w, &err), &err);
        qn_wal_close(w);
        T_CALL(open_log(&a, dir, next, &r, &w, &next, &err), &err);
        T_EQ_I(r.count, 1);
        T_CALL(qn_wal_roll(w, next, &err), &err);
        qn_wal_close(w);
    }
    T_EQ_I(atomic_load(&a.live_bytes), 0);
    qn_buf_deinit(&log);
    qn_error err = {0};
    T_CALL(qn_dir_remove(dir, &err), &err);
}

/* A flipped bit where a later record says that the place was durable is damage; in the
 * records behind the last sync it is a torn tail. Never is a wrong record handed out.
 */
static void test_every_bit_counts(void **state)
{
    (void)state;
    qn_alloc a = {0};
    char dir[256];
    test_io_folder(dir);
    qn_buf log = {.alloc = qn_alloc_heap()};
    sample_log(&a, dir, &log);
    for (size_t bit = 0; bit < log.n * 8; bit++) {
        log.p[bit / 8] = (char)(log.p[bit / 8] ^ (char)(1u << bit % 8));
        put_log(dir, log.p, log.n);
        log.p[bit / 8] = (char)(log.p[bit / 8] ^ (char)(1u << bit % 8));
        qn_error err = {0};
        qn_wal *w = NULL;
        replayed r = {0};
        uint64_t next = 0;
        qn_status st = open_log(&a, dir, 1, &r, &w, &next, &err);
        if (bit / 8 < 64 + 40 + 48) {
            if (st != QN_ECORRUPT) T_FAIL("byte %zu: undetected", bit / 8);
            T_OK(err.at <= bit / 8 && strstr(err.file, "wal-") != NULL);
        } else {
            T_EQ_I(st, QN_OK);
            T_EQ_S(r.text, "1:1:one 2:1:two, more ");
        }
        qn_wal_close(w);
    }
    qn_buf_deinit(&log);
    qn_error err = {0};
    T_CALL(qn_dir_remove(dir, &err), &err);
}

/* A page lost in the middle of what no sync had promised is a torn tail too. */
static void test_lost_page_in_tail(void **state)
{
    (void)state;
    qn_alloc a = {0};
    char dir[256];
    test_io_folder(dir);
    qn_error err = {0};
    qn_wal *w = NULL;
    replayed r = {0};
    uint64_t next = 0;
    T_CALL(open_log(&a, dir, 1, &r, &w, &next, &err), &err);
    append(w, 1, "one");
    T_CALL(qn_wal_sync(w, &err), &err);
    append(w, 2, "two");
    append(w, 3, "three");
    qn_wal_close(w);
    qn_buf log = {.alloc = qn_alloc_heap()};
    T_CALL(
        qn_file_read(test_io_path(dir, "wal-00000000000000000001"), 4096, &log, &err),
        &err);
    memset(log.p + 64 + 40, 0, 40); /* record 2 */
    put_log(dir, log.p, log.n);
    T_CALL(open_log(&a, dir, 1, &r, &w, &next, &err), &err);
    T_EQ_S(r.text, "1:1:one ");
    append(w, 2, "2");
    qn_wal_close(w);
    T_CALL(open_log(&a, dir, 1, &r, &w, &next, &err), &err);
    T_EQ_S(r.text, "1:1:one 2:1:2 ");
    qn_wal_close(w);
    qn_buf_deinit(&log);
    T_CALL(qn_dir_remove(dir, &err), &err);
}

static void test_older_file_damaged(void **state)
{
    (void)state;
    qn_alloc a = {0};
    char dir[256];
    test_io_folder(dir);
    qn_error err = {0};
    qn_buf log = {.alloc = qn_alloc_heap()};
    sample_log(&a, dir, &log);
    qn_wal *w = NULL;
    replayed r = {0};
    uint64_t next = 0;
    T_CALL(open_log(&a, dir, 1, &r, &w, &next, &err), &err);
    T_CALL(qn_wal_roll(w, 0, &err), &err);
    append(w, 4, "four");
    qn_wal_close(w);
    put_log(dir, log.p, log.n - 8);
    T_EQ_I(open_log(&a, dir, 1, &r, &w, &next, &err), QN_ECORRUPT);
    T_CALL(open_log(&a, dir, 4, &r, &w, &next, &err), &err); /* nobody needs it */
    T_EQ_S(r.text, "4:1:four ");
    qn_wal_close(w);
    qn_buf_deinit(&log);
    T_CALL(qn_dir_remove(dir, &err), &err);
}

/* The Nth system call of a workload fails; what had been acknowledged comes back. */
static void run_workload(qn_alloc *a, const char *dir, uint64_t *acked, qn_status *st)
{
    qn_error err = {0};
    qn_wal *w = NULL;
    replayed r = {0};
    uint64_t next = 0;
    *acked = 0;
    *st = open_log(a, dir, 1, &r, &w, &next, &err);
    for (uint64_t n = 1; n <= 6 && *st == QN_OK; n++) {
        qn_slice s = QN_SLICE_LIT("some bytes");
        *st = qn_wal_append(w, n, 1, &s, 1, &err);
        if (*st == QN_OK) *st = qn_wal_sync(w, &err);
        if (*st == QN_OK) *acked = n;
        if (*st == QN_OK && n == 3) *st = qn_wal_roll(w, 0, &err);
    }
    qn_wal_close(w);
}

static void test_faults(void **state)
{
    (void)state;
    qn_alloc a = {0};
    long n = 1;
    for (bool failed = true; failed; n++) {
        char dir[256];
        test_io_folder(dir);
        qn_io__fault = (qn_io_fault){
            .calls = QN_IO_ALL, .countdown = n, .errnum = EIO, .torn = true};
        uint64_t acked = 0, next = 0;
        qn_status st = QN_OK;
        run_workload(&a, dir, &acked, &st);
        failed = atomic_load(&qn_io__fault.delivered) > 0;
        qn_io__fault = (qn_io_fault){0};
        /* Closing gives room back, and cannot say that it failed. */
        T_OK(st == QN_EIO || (st == QN_OK && acked == 6));
        qn_error err = {0};
        qn_wal *w = NULL;
        replayed r = {0};
        T_CALL(open_log(&a, dir, 1, &r, &w, &next, &err), &err);
        T_OK(r.count >= acked && r.count <= acked + 1);
        qn_wal_close(w);
        T_EQ_I(atomic_load(&a.live_bytes), 0);
        T_CALL(qn_dir_remove(dir, &err), &err);
    }
    T_OK(n > 15);
}

/* Closes the log, reads it again from its first record and removes its folder. */
static void close_and_expect(qn_wal *w, const char *dir, const char *want)
{
    qn_alloc a = {0};
    qn_error err = {0};
    replayed r = {0};
    uint64_t next = 0;
    qn_wal_close(w);
    T_CALL(open_log(&a, dir, 1, &r, &w, &next, &err), &err);
    T_EQ_S(r.text, want);
    qn_wal_close(w);
    T_CALL(qn_dir_remove(dir, &err), &err);
}

static void test_failures_stick_or_pass(void **state)
{
    (void)state;
    qn_alloc a = {0};
    char dir[256];
    test_io_folder(dir);
    qn_error err = {0};
    qn_wal *w = NULL;
    replayed r = {0};
    uint64_t next = 0;
    T_CALL(open_log(&a, dir, 1, &r, &w, &next, &err), &err);
    append(w, 1, "one");
    /* A full disk is told to the record that does not fit, and the log goes on. */
    static const char big[200000];
    qn_slice no_room = {big, sizeof big};
    qn_io__fault = (qn_io_fault){
        .calls = QN_IO_ALLOCATE, .countdown = 1, .errnum = ENOSPC, .sticky = true};
    T_EQ_I(qn_wal_append(w, 2, 1, &no_room, 1, &err), QN_ENOSPC);
    T_EQ_I(atomic_load(&qn_io__fault.delivered), 2);
    qn_io__fault = (qn_io_fault){0};
    append(w, 2, "two");
    T_CALL(qn_wal_sync(w, &err), &err);
    /* A failed sync is not tried again. */
    append(w, 3, "three");
    qn_io__fault = (qn_io_fault){.calls = QN_IO_SYNC, .countdown = 1, .errnum = EIO};
    T_EQ_I(qn_wal_sync(w, &err), QN_EIO);
    T_EQ_I(atomic_load(&qn_io__fault.delivered), 1);
    qn_io__fault = (qn_io_fault){0};
    T_EQ_I(qn_wal_sync(w, &err), QN_EIO);
    T_EQ_I(qn_wal_append(w, 4, 1, NULL, 0, &err), QN_EIO);
    T_EQ_I(qn_wal_roll(w, 0, &err), QN_EIO);
    close_and_expect(w, dir, "1:1:one 2:1:two 3:1:three ");
}

/* A file system that sets no room aside: every record is written at once, and a full disk
 * is undone. */
static void test_without_room(void **state)
{
    (void)state;
    qn_alloc a = {0};
    char dir[256];
    test_io_folder(dir);
    qn_error err = {0};
    qn_wal *w = NULL;
    replayed r = {0};
    uint64_t next = 0;
    T_CALL(open_log(&a, dir, 1, &r, &w, &next, &err), &err);
    qn_io__fault =
        (qn_io_fault){.calls = QN_IO_ALLOCATE, .countdown = 1, .errnum = EOPNOTSUPP};
    append(w, 1, "one");
    T_EQ_I(atomic_load(&qn_io__fault.delivered), 1);
    qn_io__fault = (qn_io_fault){
        .calls = QN_IO_WRITE, .countdown = 1, .errnum = ENOSPC, .torn = true};
    T_EQ_I(qn_wal_append(w, 2, 1, &QN_SLICE_LIT("no room here"), 1, &err), QN_ENOSPC);
    qn_io__fault = (qn_io_fault){0};
    append(w, 2, "two");
    T_CALL(qn_wal_sync(w, &err), &err);
    T_EQ_I(qn_wal_size_bytes(w), 64 + 2 * 40);
    close_and_expect(w, dir, "1:1:one 2:1:two ");
}

/* What a killed process leaves: records, then room that was never written. Cut at the
 * last sound record, told apart from a torn tail, and appended to. */
static void test_room_is_no_tail(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t zeros, garbage; /* behind the three records of the sample */
        uint64_t torn;
    } rows[] = {
        {"clean end", 0, 0, 0},
        {"room", 64 * 1024, 0, 0},
        {"more room than a window", 3 * 1024 * 1024, 0, 0},
        {"torn and room", 64 * 1024, 5, 5},
        {"torn", 0, 9, 9},
    };
    qn_alloc a = {0};
    char dir[256];
    test_io_folder(dir);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_buf log = {.alloc = qn_alloc_heap()};
        sample_log(&a, dir, &log);
        uint64_t end = log.n;
        for (size_t k = 0; k < rows[i].garbage; k++) qn_buf_add_char(&log, 'x');
        for (size_t k = 0; k < rows[i].zeros; k++) qn_buf_add_char(&log, 0);
        put_log(dir, log.p, log.n);
        qn_error err = {0};
        qn_wal *w = NULL;
        replayed r = {0};
        uint64_t next = 0;
        T_CALL(open_log(&a, dir, 1, &r, &w, &next, &err), &err);
        T_EQ_S(r.text, "1:1:one 2:1:two, more 3:1:three ");
        qn_wal_torn torn = qn_wal_torn_tail(w);
        T_EQ_I(torn.bytes, rows[i].torn);
        T_EQ_I(torn.offset, rows[i].torn == 0 ? 0 : end);
        T_EQ_I(qn_wal_size_bytes(w), end);
        append(w, next, "four");
        T_CALL(qn_wal_roll(w, 0, &err), &err);
        qn_wal_close(w);
        uint64_t size = 0;
        T_CALL(qn_file_size(test_io_path(dir, "wal-00000000000000000001"), &size, &err),
               &err);
        T_EQ_I(size, end + 40);
        T_CALL(open_log(&a, dir, 1, &r, &w, &next, &err), &err);
        T_EQ_I(next, 5);
        T_CALL(qn_wal_roll(w, 5, &err), &err);
        qn_wal_close(w);
        qn_buf_deinit(&log);
    }
    qn_error err = {0};
    T_CALL(qn_dir_remove(dir, &err), &err);
}

typedef struct crowd {
    qn_wal *w;
    pthread_mutex_t lock;
    uint64_t next;
    bool failed;
} crowd;

static void *crowd_member(void *arg)
{
    crowd *c = arg;
    for (int i = 0; i < 50; i++) {
        qn_error err = {0};
        qn_slice s = QN_SLICE_LIT("from one of many");
        (void)pthread_mutex_lock(&c->lock);
        qn_status st = qn_wal_append(c->w, c->next++, 1, &s, 1, &err);
        (void)pthread_mutex_unlock(&c->lock);
        if (st == QN_OK) st = qn_wal_sync(c->w, &err);
        if (st == QN_OK && i % 10 == 9) st = qn_wal_roll(c->w, 0, &err);
        if (st != QN_OK) c->failed = true;
    }
    return NULL;
}

static void test_group_commit(void **state)
{
    (void)state;
    enum { THREADS = 8 };
    qn_alloc a = {0};
    char dir[256];
    test_io_folder(dir);
    qn_error err = {0};
    replayed r = {0};
    uint64_t next = 0;
    crowd c = {.next = 1, .lock = PTHREAD_MUTEX_INITIALIZER};
    T_CALL(open_log(&a, dir, 1, &r, &c.w, &next, &err), &err);
    pthread_t threads[THREADS];
    /* Counting only: the countdown starts far away. */
    qn_io__fault = (qn_io_fault){.calls = QN_IO_SYNC, .countdown = 1000000};
    for (size_t i = 0; i < THREADS; i++)
        T_EQ_I(pthread_create(&threads[i], NULL, crowd_member, &c), 0);
    for (size_t i = 0; i < THREADS; i++) (void)pthread_join(threads[i], NULL);
    long syncs = 1000000 - atomic_load(&qn_io__fault.countdown);
    qn_io__fault = (qn_io_fault){0};
    T_OK(!c.failed);
    /* At most one per record, and two for each new file. */
    T_OK(syncs > 0 && syncs <= THREADS * 50 + 2 * (THREADS * 5 + 1));
    qn_wal_close(c.w);
    T_CALL(open_log(&a, dir, 1, &r, &c.w, &next, &err), &err);
    T_EQ_I(r.count, THREADS * 50);
    T_EQ_I(next, THREADS * 50 + 1);
    qn_wal_close(c.w);
    T_CALL(qn_dir_remove(dir, &err), &err);
}

int test_io_wal(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_and_replay),
        cmocka_unit_test(test_roll),
        cmocka_unit_test(test_without_room),
        cmocka_unit_test(test_room_is_no_tail),
        cmocka_unit_test(test_cut_at_every_byte),
        cmocka_unit_test(test_every_bit_counts),
        cmocka_unit_test(test_lost_page_in_tail),
        cmocka_unit_test(test_older_file_damaged),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_failures_stick_or_pass),
        cmocka_unit_test(test_group_commit),
    };
    return cmocka_run_group_tests_name("io/wal", tests, NULL, NULL);
}

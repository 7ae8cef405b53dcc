/* SPDX-License-Identifier: Apache-2.0 */
#include "test_io.h"

#include "../qn_test.h"

#include "io/file.h"
#include "io/io_internal.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

static void read_all(const char *path, char *out, size_t room)
{
    qn_buf buf = {.alloc = qn_alloc_heap()};
    qn_error err = {0};
    T_CALL(qn_file_read(path, room - 1, &buf, &err), &err);
    memcpy(out, qn_buf_slice(&buf).p, buf.n);
    out[buf.n] = '\0';
    qn_buf_deinit(&buf);
}

static void test_replace_read_map(void **state)
{
    (void)state;
    char dir[256], text[64];
    test_io_folder(dir);
    const char *path = test_io_path(dir, "a");
    qn_error err = {0};
    qn_buf buf = {.alloc = qn_alloc_heap()};
    T_EQ_I(qn_file_read(path, 10, &buf, &err), QN_ENOTFOUND);
    T_EQ_S(err.file, path);
    T_CALL(qn_file_replace(path, "hello", 5, &err), &err);
    T_CALL(qn_file_replace(path, "hi", 2, &err), &err);
    read_all(path, text, sizeof text);
    T_EQ_S(text, "hi");
    T_EQ_I(qn_file_read(path, 1, &buf, &err), QN_ELIMIT);
    qn_buf_reset(&buf);
    T_EQ_I(qn_file_read(path, 2, &buf, &err), QN_OK);
    uint64_t size = 0;
    T_CALL(qn_file_size(path, &size, &err), &err);
    T_EQ_I(size, 2);

    qn_mapping m = {0};
    qn_file_unmap(&m);
    T_CALL(qn_file_map(qn_alloc_heap(), path, &m, &err), &err);
    T_OK(m.n == 2 && memcmp(m.p, "hi", 2) == 0);
    T_EQ_S(m.path, path);
    qn_file_unmap(&m);
    T_CALL(qn_file_replace(path, "", 0, &err), &err);
    T_CALL(qn_file_map(qn_alloc_heap(), path, &m, &err), &err);
    T_OK(m.n == 0 && m.p == NULL);
    qn_file_unmap(&m);
    T_EQ_I(qn_file_map(qn_alloc_heap(), dir, &m, &err), QN_EIO);

    const char *other = test_io_path(dir, "b");
    T_CALL(qn_file_rename(path, other, &err), &err);
    T_OK(!qn_file_exists(path) && qn_file_exists(other));
    T_CALL(qn_file_remove(other, &err), &err);
    T_CALL(qn_file_remove(other, &err), &err);
    qn_buf_deinit(&buf);
    T_CALL(qn_dir_remove(dir, &err), &err);
}

typedef struct names {
    char text[128];
} names;

static bool collect(void *ctx, const char *name, bool is_dir)
{
    names *n = ctx;
    size_t used = strlen(n->text);
    (void)snprintf(n->text + used, sizeof n->text - used, "%s%s ", name,
                   is_dir ? "/" : "");
    return strcmp(name, "stop") != 0;
}

static void test_folders(void **state)
{
    (void)state;
    char dir[256];
    test_io_folder(dir);
    qn_error err = {0};
    T_CALL(qn_dir_create(test_io_path(dir, "x//y/z/"), &err), &err);
    T_CALL(qn_dir_create(test_io_path(dir, "x/y/z"), &err), &err);
    T_CALL(qn_file_replace(test_io_path(dir, "b"), "1", 1, &err), &err);
    T_CALL(qn_file_replace(test_io_path(dir, "x/y/f"), "1", 1, &err), &err);
    T_CALL(qn_file_replace(test_io_path(dir, "A"), "1", 1, &err), &err);
    names n = {{0}};
    T_CALL(qn_dir_list(dir, collect, &n, &err), &err);
    T_EQ_S(n.text, "A b x/ ");
    T_CALL(qn_file_replace(test_io_path(dir, "stop"), "1", 1, &err), &err);
    n = (names){{0}};
    T_CALL(qn_dir_list(dir, collect, &n, &err), &err);
    T_EQ_S(n.text, "A b stop ");
    T_EQ_I(qn_dir_create(test_io_path(dir, "A"), &err), QN_EIO);
    T_EQ_I(qn_dir_create(test_io_path(dir, "A/under"), &err), QN_EIO);
    T_CALL(qn_dir_remove(test_io_path(dir, ""), &err), &err);
    T_OK(!qn_file_exists(dir));
    T_EQ_I(qn_dir_list(dir, collect, &n, &err), QN_ENOTFOUND);
}

static void test_lock(void **state)
{
    (void)state;
    char dir[256], want[64];
    test_io_folder(dir);
    const char *path = test_io_path(dir, "lock");
    qn_error err = {0};
    qn_lock lock = {-1}, second = {-1};
    T_CALL(qn_lock_acquire(path, &lock, &err), &err);
    T_EQ_I(qn_lock_acquire(path, &second, &err), QN_ELOCKED);
    T_EQ_I(second.fd, -1);
    (void)snprintf(want, sizeof want, "process %ld", (long)getpid());
    T_OK(strstr(err.text, want) != NULL);
    qn_lock_release(&second);
    qn_lock_release(&lock);
    T_CALL(qn_lock_acquire(path, &second, &err), &err);
    qn_lock_release(&second);

    /* The lock of a process that died is free. */
    pid_t child = fork();
    if (child == 0) {
        qn_lock held;
        _exit(qn_lock_acquire(path, &held, NULL) == QN_OK ? 0 : 1);
    }
    int status = 1;
    T_OK(waitpid(child, &status, 0) == child && status == 0);
    T_CALL(qn_lock_acquire(path, &lock, &err), &err);
    qn_lock_release(&lock);
    T_CALL(qn_dir_remove(dir, &err), &err);
}

/* Whatever call of a replacement fails: the old content is there, or the new one. */
static void test_replace_faults(void **state)
{
    (void)state;
    char dir[256], text[64], path[300];
    test_io_folder(dir);
    (void)snprintf(path, sizeof path, "%s/a", dir);
    qn_error err = {0};
    T_CALL(qn_file_replace(path, "old", 3, &err), &err);
    static const int errnums[] = {EIO, ENOSPC};
    for (size_t e = 0; e < 2; e++) {
        long n = 1;
        for (bool failed = true; failed; n++) {
            qn_io__fault = (qn_io_fault){
                .calls = QN_IO_ALL, .countdown = n, .errnum = errnums[e], .torn = true};
            qn_status st = qn_file_replace(path, "new", 3, &err);
            failed = atomic_load(&qn_io__fault.delivered) > 0;
            qn_io__fault = (qn_io_fault){0};
            T_EQ_I(st, !failed ? QN_OK : e == 0 ? QN_EIO : QN_ENOSPC);
            read_all(path, text, sizeof text);
            T_OK(strcmp(text, "new") == 0 || (failed && strcmp(text, "old") == 0));
            if (st == QN_OK) T_EQ_S(text, "new");
            T_OK(!qn_file_exists(test_io_path(dir, "a.tmp")));
            T_CALL(qn_file_replace(path, "old", 3, &err), &err);
        }
        T_OK(n > 5); /* open, write, sync, rename, open, sync all failed once */
    }
    T_CALL(qn_dir_remove(dir, &err), &err);
}

int test_io_file(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replace_read_map),
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_replace_faults),
    };
    return cmocka_run_group_tests_name("io/file", tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Packed copies: made once, used by the next, and never in the way: whatever happens to
 * the file or the folder, the model opens and scores have the same bits. */
#include "test_nn.h"

#include "../qn_test.h"

#include "base/log.h"
#include "io/file.h"
#include "io/io_internal.h"
#include "nn/encoder/packed_copy.h"
#include "nn/calls/rerank.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DOCS = 3 };

/* nn_path() forgets; these paths are used for longer. */
static const char *lasting(char *out, const char *path)
{
    (void)snprintf(out, 512, "%s", path);
    return out;
}

static const char *copies(void)
{
    static char path[512];
    return lasting(path, nn_path("packed"));
}

static void score(qn_model *m, float logits[DOCS])
{
    const qn_slice docs[DOCS] = {QN_SLICE_LIT("the mill grinds grain to flour"),
                                 QN_SLICE_LIT("water turns the stone"),
                                 QN_SLICE_LIT("")};
    qn_rerank_doc out[DOCS];
    qn_error err = {0};
    T_CALL(qn_rerank_run(m, QN_SLICE_LIT("what turns the stone"), docs, DOCS, NULL, out,
                         NULL, &err),
           &err);
    for (size_t i = 0; i < DOCS; i++) logits[i] = out[i].logit;
}

/* Opens, scores, closes; bytes of the mapped copy. */
static uint64_t use(const char *path, const qn_model_options *o, float logits[DOCS])
{
    qn_model *m = NULL;
    qn_error err = {0};
    T_CALL(qn_model_open(qn_alloc_heap(), path, o, &m, &err), &err);
    uint64_t bytes = qn_model_describe(m)->packed_bytes;
    score(m, logits);
    qn_model_close(m);
    return bytes;
}

static bool same(const float *a, const float *b)
{
    return memcmp(a, b, DOCS * sizeof *a) == 0;
}

typedef struct found {
    size_t copies, others;
    char name[256]; /* of the last copy */
} found;

static bool see(void *ctx, const char *name, bool is_dir)
{
    found *f = ctx;
    (void)is_dir;
    qn_slice n = qn_slice_of(name);
    if (qn_slice_ends_with(n, ".lock")) return true;
    if (!qn_slice_ends_with(n, ".qnp")) {
        f->others++;
        return true;
    }
    f->copies++;
    (void)snprintf(f->name, sizeof f->name, "%s", name);
    return true;
}

static found look(void)
{
    found f = {0};
    qn_error err = {0};
    qn_status st = qn_dir_list(copies(), see, &f, &err);
    if (st != QN_ENOTFOUND) T_CALL(st, &err);
    return f;
}

static const char *copy_path(void)
{
    static char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", copies(), look().name);
    return path;
}

static void clear(void)
{
    qn_error err = {0};
    if (qn_file_exists(copies())) T_CALL(qn_dir_remove(copies(), &err), &err);
}

static const char *model_path(qn_model_dtype dtype)
{
    static char paths[3][512];
    return lasting(paths[dtype], nn_tiny("tiny-deberta-v3", dtype));
}

static void test_made_once(void **state)
{
    (void)state;
    static const qn_model_dtype dtypes[] = {QN_MODEL_F32, QN_MODEL_BF16, QN_MODEL_INT8};
    for (size_t i = 0; i < 3; i++) {
        T_ROW(qn_model_dtype_name(dtypes[i]));
        const char *path = model_path(dtypes[i]);
        float want[DOCS], first[DOCS], second[DOCS];
        T_EQ_I(use(path, NULL, want), 0);
        clear();
        qn_model_options o = {.packed_dir = copies(), .packed_read_only = true};
        T_EQ_I(use(path, &o, first), 0);
        T_OK(same(first, want) && look().copies == 0);
        o.packed_read_only = false;
        uint64_t bytes = use(path, &o, first), size = 0;
        T_OK(bytes > 0 && same(first, want));
        T_EQ_I(look().copies, 1);
        T_EQ_I(look().others, 0);
        T_OK(qn_file_size(copy_path(), &size, NULL) == QN_OK && size == bytes);
        o.packed_read_only = true;
        T_EQ_I(use(path, &o, second), bytes);
        T_OK(same(second, want));
    }
}

static void write_file(const char *path, const void *bytes, size_t n)
{
    qn_error err = {0};
    T_CALL(qn_file_replace(path, bytes, n, &err), &err);
}

/* Whatever stands in the file: it is made again, or the model does without. */
static void test_damage(void **state)
{
    (void)state;
    const char *path = model_path(QN_MODEL_INT8);
    float want[DOCS], got[DOCS];
    qn_error err = {0};
    qn_buf whole;
    qn_buf_init(&whole, qn_alloc_heap());
    clear();
    qn_model_options o = {.packed_dir = copies()};
    uint64_t bytes = use(path, &o, want);
    T_CALL(qn_file_read(copy_path(), 1 << 30, &whole, &err), &err);
    enum { FLIPS = 40 };
    for (size_t i = 0; i < FLIPS + 3; i++) {
        char name[32];
        const char *copy = copy_path();
        size_t at = whole.n / FLIPS * i, n = i == FLIPS       ? 0
                                             : i == FLIPS + 1 ? whole.n / 2
                                                              : whole.n;
        (void)snprintf(name, sizeof name, "%zu", i);
        T_ROW(name);
        if (i < FLIPS) whole.p[at] = (char)(whole.p[at] ^ 0x10);
        write_file(copy, whole.p, n);
        if (i < FLIPS) whole.p[at] = (char)(whole.p[at] ^ 0x10);
        o.packed_read_only = true;
        uint64_t mapped = use(path, &o, got);
        T_OK(same(got, want) && (mapped == 0 || i == FLIPS + 2));
        o.packed_read_only = false;
        T_EQ_I(use(path, &o, got), bytes);
        T_OK(same(got, want));
        T_EQ_I(look().others, 0);
    }
    qn_buf_deinit(&whole);
}

/* A whole copy under another one's name: checksums are right, weights are not these. */
static void test_unfit(void **state)
{
    (void)state;
    float want[DOCS], got[DOCS];
    qn_error err = {0};
    qn_buf other;
    qn_buf_init(&other, qn_alloc_heap());
    qn_model_options o = {.packed_dir = copies()};
    clear();
    (void)use(nn_tiny("tiny-rerank", QN_MODEL_F32), &o, got);
    T_CALL(qn_file_read(copy_path(), 1 << 30, &other, &err), &err);
    clear();
    uint64_t bytes = use(model_path(QN_MODEL_F32), &o, want);
    write_file(copy_path(), other.p, other.n);
    T_EQ_I(use(model_path(QN_MODEL_F32), &o, got), bytes);
    T_OK(same(got, want));
    qn_buf_deinit(&other);
}

static void test_no_place(void **state)
{
    (void)state;
    float want[DOCS], got[DOCS];
    const char *path = model_path(QN_MODEL_F32);
    (void)use(path, NULL, want);
    write_file(nn_path("a-file"), "x", 1);
    T_ROW("the folder is a file");
    char file[512];
    qn_model_options o = {.packed_dir = lasting(file, nn_path("a-file"))};
    T_EQ_I(use(path, &o, got), 0);
    T_OK(same(got, want));

    T_ROW("somebody else is writing");
    clear();
    qn_error err = {0};
    qn_lock lock;
    T_CALL(qn_dir_create(copies(), &err), &err);
    T_CALL(qn_lock_acquire(nn_path("packed/tiny-deberta-v3.f32.lock"), &lock, &err),
           &err);
    o.packed_dir = copies();
    T_EQ_I(use(path, &o, got), 0);
    T_OK(same(got, want) && look().copies == 0);
    qn_lock_release(&lock);
    T_OK(use(path, &o, got) > 0 && same(got, want));
}

/* Another content under the same name takes the older one's place, and its alone. */
static void test_stale(void **state)
{
    (void)state;
    float logits[DOCS];
    qn_error err = {0};
    qn_model_options o = {.packed_dir = copies()};
    clear();
    (void)use(model_path(QN_MODEL_INT8), &o, logits);
    (void)use(nn_tiny("tiny-rerank", QN_MODEL_F32), &o, logits);
    T_EQ_I(look().copies, 2);
    T_CALL(qn_dir_create(nn_path("same"), &err), &err);
    const qn_model_dtype in_turn[] = {QN_MODEL_F32, QN_MODEL_BF16};
    for (size_t i = 0; i < 2; i++) {
        qn_buf bytes;
        qn_buf_init(&bytes, qn_alloc_heap());
        T_CALL(qn_file_read(model_path(in_turn[i]), 1 << 30, &bytes, &err), &err);
        write_file(nn_path("same/tiny-deberta-v3.int8.qnm"), bytes.p, bytes.n);
        qn_buf_deinit(&bytes);
        T_OK(use(nn_path("same/tiny-deberta-v3.int8.qnm"), &o, logits) > 0);
        T_EQ_I(look().copies, 2);
    }
    T_CALL(qn_packed_copy_remove(copies(), "tiny-deberta-v3", &err), &err);
    T_EQ_I(look().copies, 2); /* that is no whole name */
    T_CALL(qn_packed_copy_remove(copies(), "tiny-deberta-v3.int8", &err), &err);
    T_EQ_I(look().copies, 1);
    T_CALL(qn_packed_copy_remove(copies(), NULL, &err), &err);
    T_EQ_I(look().copies, 0);
    T_CALL(qn_packed_copy_remove(nn_path("nowhere"), NULL, &err), &err);
}

/* Several processes open the model for the first time: one copy, and nobody fails. */
static void test_race(void **state)
{
    (void)state;
    enum { PROCESSES = 6, TURNS = 3 };
    const char *path = model_path(QN_MODEL_F32);
    float want[DOCS], got[DOCS];
    (void)use(path, NULL, want);
    for (size_t turn = 0; turn < TURNS; turn++) {
        pid_t children[PROCESSES];
        clear();
        for (size_t i = 0; i < PROCESSES; i++) {
            children[i] = fork();
            if (children[i] != 0) continue;
            qn_model_options o = {.packed_dir = copies()};
            (void)use(path, &o, got);
            _exit(same(got, want) ? 0 : 1);
        }
        for (size_t i = 0; i < PROCESSES; i++) {
            int status = -1;
            T_OK(children[i] > 0 && waitpid(children[i], &status, 0) == children[i]);
            T_EQ_I(status, 0);
        }
        T_EQ_I(look().copies, 1);
        T_EQ_I(look().others, 0);
    }
}

/* Every call to the system fails once. */
static void test_faults(void **state)
{
    (void)state;
    const char *path = model_path(QN_MODEL_INT8);
    float want[DOCS], got[DOCS];
    (void)use(path, NULL, want);
    const unsigned calls = QN_IO_WRITE | QN_IO_SYNC | QN_IO_RENAME | QN_IO_REMOVE |
                           QN_IO_MKDIR | QN_IO_LIST | QN_IO_TRUNCATE | QN_IO_ALLOCATE;
    bool failed = true;
    size_t n = 1;
    for (; failed; n++) {
        clear();
        qn_model_options o = {.packed_dir = copies()};
        qn_io__fault =
            (qn_io_fault){.calls = calls, .countdown = (long)n, .errnum = ENOSPC};
        (void)use(path, &o, got);
        failed = atomic_load(&qn_io__fault.delivered) > 0;
        qn_io__fault = (qn_io_fault){0};
        T_OK(same(got, want));
        T_OK(use(path, &o, got) > 0 && same(got, want)); /* the next one mends it */
        T_EQ_I(look().copies, 1);
        T_EQ_I(look().others, 0);
    }
    T_OK(n > 5);
}

static void test_no_memory(void **state)
{
    (void)state;
    const char *path = model_path(QN_MODEL_INT8);
    qn_alloc a = {0};
    qn_status st = QN_ENOMEM;
    clear();
    for (long n = 1; st != QN_OK; n++) {
        qn_error err = {0};
        qn_model *m = NULL;
        qn_model_options o = {.packed_dir = copies()};
        atomic_store(&a.fail_countdown, n);
        st = qn_model_open(&a, path, &o, &m, &err);
        atomic_store(&a.fail_countdown, 0);
        T_OK(st == QN_OK || st == QN_ENOMEM);
        qn_model_close(m);
        T_EQ_I(atomic_load(&a.live_bytes), 0);
    }
}

int test_nn_packed(void)
{
    qn_log_set_level(QN_LOG_ERROR); /* of damage, which is on purpose */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_made_once), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_unfit),     cmocka_unit_test(test_no_place),
        cmocka_unit_test(test_stale),     cmocka_unit_test(test_race),
        cmocka_unit_test(test_faults),    cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests_name("nn packed", tests, NULL, NULL);
}

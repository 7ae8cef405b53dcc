/* SPDX-License-Identifier: Apache-2.0 */
#include "../qn_test.h"

#include "base/arena.h"
#include "base/bits.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/nearest.h"
#include "base/pool.h"
#include "base/vec.h"

static void test_status_table(void **state)
{
    (void)state;
    T_EQ_S(qn_status_describe(QN_ENOTABLE)->name, "ENOTABLE");
    T_EQ_I(qn_status_describe((qn_status)99999)->code, QN_EINTERNAL);
    /* No two have one number: each is found under its own name. */
#define ROW(row, number, exit, http, es_type, ha3, text)                               \
    T_EQ_S(qn_status_describe(QN_##row)->name, #row);
#include "quern/quern_status.def"
#undef ROW
    qn_error err = {0};
    T_EQ_I(qn_fail_file(&err, QN_ECORRUPT, "a.seg", 4096, "block %d", 7), QN_ECORRUPT);
    T_EQ_S(err.text, "block 7");
    T_EQ_S(err.file, "a.seg");
    T_EQ_I(err.at, 4096);
}

static void test_alloc_counts_and_refuses(void **state)
{
    (void)state;
    qn_alloc a = {.budget_bytes = 1000};
    void *p = qn_new0(&a, 600);
    assert_non_null(p);
    assert_null(qn_new0(&a, 401));
    p = qn_resize(&a, p, 900);
    assert_non_null(p);
    T_EQ_I(atomic_load(&a.live_bytes), 900);
    assert_null(qn_resize(&a, p, 1001));
    qn_delete(&a, p);
    T_EQ_I(atomic_load(&a.live_bytes), 0);
    assert_null(qn_new_array(&a, SIZE_MAX / 2, 3));
    void *al = qn_new_aligned(&a, 64, 100);
    T_EQ_I((uintptr_t)al % 64, 0);
    qn_delete_aligned(&a, al);
    atomic_store(&a.fail_countdown, 2);
    void *first = qn_new0(&a, 1);
    assert_non_null(first);
    assert_null(qn_new0(&a, 1));
    qn_delete(&a, first);
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool ok;
        int64_t want;
    } rows[] = {
        {"0", true, 0},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775807", true, INT64_MAX},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"1x", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        int64_t got = 0;
        T_EQ_I(qn_slice_to_i64(qn_slice_of(rows[i].name), &got), rows[i].ok);
        if (rows[i].ok) T_OK(got == rows[i].want);
    }
    double f = 0;
    T_OK(qn_slice_to_f64(QN_SLICE_LIT("-1.5e3"), &f) && f > -1500.1 && f < -1499.9);
    T_OK(!qn_slice_to_f64(QN_SLICE_LIT("nan"), &f));
    T_OK(!qn_slice_to_f64(QN_SLICE_LIT("0x10"), &f));
    T_OK(!qn_slice_to_f64(QN_SLICE_LIT("1e999"), &f));
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool ok;
        int64_t want;
    } rows[] = {
        {"500ms", true, 500},   {"1.5s", true, 1500},
        {"2m", true, 120000},   {"1h", true, 3600000},
        {"1d", true, 86400000}, {"0s", true, 0},
        {"0.1ms", true, 1},     {"1e300d", true, 31536000000},
        {"30", false, 0},       {"s", false, 0},
        {"-1s", false, 0},      {"soon", false, 0},
        {"", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        int64_t got = 0;
        T_EQ_I(qn_slice_to_ms(qn_slice_of(rows[i].name), &got), rows[i].ok);
        if (rows[i].ok) T_OK(got == rows[i].want);
    }
}

static void test_varint_round_trip(void **state)
{
    (void)state;
    const uint64_t values[] = {0, 1, 127, 128, 300, 1u << 31, UINT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        uint8_t bytes[10];
        size_t n = qn_varint_put(bytes, values[i]);
        uint64_t got = 0;
        T_OK(qn_varint_get(bytes, bytes + n, &got) == bytes + n && got == values[i]);
        T_OK(qn_varint_get(bytes, bytes + n - 1, &got) == NULL);
    }
}

static void test_map_against_itself(void **state)
{
    (void)state;
    qn_map m;
    qn_map_init(&m, qn_alloc_heap());
    enum { N = 20000 };
    char key[32];
    for (int i = 0; i < N; i++) {
        int n = snprintf(key, sizeof key, "key-%d", i);
        T_OK(qn_map_put(&m, (qn_slice){key, (size_t)n}, (uint64_t)i));
    }
    for (int i = 0; i < N; i += 2) {
        int n = snprintf(key, sizeof key, "key-%d", i);
        T_OK(qn_map_remove(&m, (qn_slice){key, (size_t)n}));
    }
    T_EQ_I(m.count, N / 2);
    size_t seen = 0, it = 0;
    qn_slice k;
    uint64_t v;
    while (qn_map_next(&m, &it, &k, &v)) {
        T_OK(v % 2 == 1);
        seen++;
    }
    T_EQ_I(seen, N / 2);
    for (int i = 0; i < N; i++) {
        int n = snprintf(key, sizeof key, "key-%d", i);
        T_EQ_I(qn_map_get(&m, (qn_slice){key, (size_t)n}, NULL), i % 2);
    }
    qn_map_deinit(&m);
}

static void test_arena_and_vec(void **state)
{
    (void)state;
    qn_alloc a = {0};
    qn_arena arena;
    qn_arena_init(&arena, &a, 1 << 20);
    for (size_t i = 0; i < 1000; i++) {
        char *p = qn_arena_new(&arena, i % 300);
        T_OK(p != NULL && (uintptr_t)p % 16 == 0);
        if (i % 300 > 0) p[i % 300 - 1] = 'x';
    }
    T_OK(qn_arena_new(&arena, 2 << 20) == NULL);
    T_EQ_S(qn_arena_printf(&arena, "%d-%s", 7, "x"), "7-x");
    for (size_t i = 0; i < 300; i++) { /* what comes after a reset is zeroed again */
        qn_arena_reset(&arena);
        unsigned char *piece = qn_arena_new(&arena, 1000 + i * 100);
        T_OK(piece[0] == 0 && piece[999 + i * 100] == 0);
        memset(piece, 0xA5, 1000 + i * 100);
        memset(qn_arena_raw(&arena, 10, 7), 0xA5, 70);
    }
    qn_arena_reset(&arena);
    T_EQ_I(arena.used_bytes, 0);
    qn_arena_deinit(&arena);
    QN_VEC(uint32_t) v = {0};
    for (uint32_t i = 0; i < 1000; i++) T_OK(qn_vec_push(&a, &v, i));
    T_EQ_I(v.p[999], 999);
    qn_vec_deinit(&a, &v);
    T_EQ_I(atomic_load(&a.live_bytes), 0);
}

typedef struct sums {
    atomic_long total;
    size_t width;
} sums;

static void add_index(void *arg, size_t i, size_t worker)
{
    sums *s = arg;
    qn_assert(worker < s->width);
    atomic_fetch_add(&s->total, (long)i);
}

static void submitted(void *arg)
{
    atomic_fetch_add((atomic_long *)arg, 1);
}

static void test_pool_runs_everything_once(void **state)
{
    (void)state;
    for (size_t threads = 0; threads < 4; threads++) {
        qn_pool *pool = NULL;
        qn_error err = {0};
        T_CALL(qn_pool_create(qn_alloc_heap(), threads, &pool, &err), &err);
        for (size_t n = 0; n < 300; n += 7) {
            sums s = {.width = qn_pool_width(pool)};
            qn_pool_run(pool, n, add_index, &s);
            T_EQ_I(atomic_load(&s.total), n == 0 ? 0 : n * (n - 1) / 2);
        }
        atomic_long done = 0;
        for (int i = 0; i < 50; i++)
            T_CALL(qn_pool_submit(pool, submitted, &done, &err), &err);
        qn_pool_destroy(pool);
        T_EQ_I(atomic_load(&done), 50);
    }
}

static void test_nearest_name(void **state)
{
    (void)state;
    static const struct {
        const char *name, *wanted, *best;
    } rows[] = {
        {"swap", "titel", "title"},
        {"one missing", "yer", "year"},
        {"equal wins", "year", "year"},
        {"too far", "zzzzzz", NULL},
        {"one letter off", "genre", "genres"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_nearest near = qn_nearest_begin(qn_slice_of(rows[i].wanted));
        qn_nearest_offer(&near, QN_SLICE_LIT("title"));
        qn_nearest_offer(&near, QN_SLICE_LIT("year"));
        qn_nearest_offer(&near, QN_SLICE_LIT("genres"));
        if (rows[i].best == NULL)
            T_OK(near.best.p == NULL);
        else
            T_EQ_S(near.best.p, rows[i].best);
    }
    T_EQ_I(qn_edit_distance(QN_SLICE_LIT("kitten"), QN_SLICE_LIT("sitting"), 9), 3);
    T_EQ_I(qn_edit_distance(QN_SLICE_LIT(""), QN_SLICE_LIT("abc"), 9), 3);
    T_EQ_I(qn_edit_distance(QN_SLICE_LIT("abcdef"), QN_SLICE_LIT("uvwxyz"), 2), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_table),
        cmocka_unit_test(test_alloc_counts_and_refuses),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_varint_round_trip),
        cmocka_unit_test(test_map_against_itself),
        cmocka_unit_test(test_arena_and_vec),
        cmocka_unit_test(test_nearest_name),
        cmocka_unit_test(test_pool_runs_everything_once),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}

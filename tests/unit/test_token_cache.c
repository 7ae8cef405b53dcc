/* SPDX-License-Identifier: Apache-2.0 */
/* Token ids kept by content: found again, bounded, the oldest gives way, many threads. */
#include "../qn_test.h"

#include "base/pool.h"
#include "nn/calls/token_cache.h"

static qn_token_key key_of(unsigned i)
{
    char text[32];
    int n = snprintf(text, sizeof text, "document %u", i);
    return qn_token_cache_key(7, QN_TOKENIZE_PLAIN, 512, (qn_slice){text, (size_t)n});
}

static void fill_pieces(qn_pieces *p, uint32_t *ids, size_t n, unsigned i, bool wide)
{
    for (size_t k = 0; k < n; k++)
        ids[k] = (uint32_t)(i * 31 + k) % (wide ? 99999 : 65536);
    if (wide && n > 0) ids[n - 1] = 128000;
    *p = (qn_pieces){.ids = ids, .n = n};
}

/* *found, and then with the very ids. */
static bool look(qn_token_cache *c, unsigned i, size_t n, bool wide)
{
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_pieces got = {0}, want;
    uint32_t ids[512];
    bool found = false;
    qn_error err = {0};
    T_CALL(qn_token_cache_get(c, key_of(i), &arena, &got, &found, &err), &err);
    if (found) {
        fill_pieces(&want, ids, n, i, wide);
        T_EQ_I(got.n, want.n);
        T_OK(n == 0 || memcmp(got.ids, want.ids, n * sizeof *ids) == 0);
    }
    qn_arena_deinit(&arena);
    return found;
}

static void keep(qn_token_cache *c, unsigned i, size_t n, bool wide)
{
    uint32_t ids[512];
    qn_pieces p;
    fill_pieces(&p, ids, n, i, wide);
    qn_token_cache_put(c, key_of(i), &p);
}

static qn_token_cache *make(size_t bytes)
{
    qn_token_cache *c = NULL;
    qn_error err = {0};
    T_CALL(qn_token_cache_create(qn_alloc_heap(), bytes, &c, &err), &err);
    return c;
}

static void test_kept(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t n;
        bool wide;
    } rows[] = {
        {"no tokens", 0, false}, {"one", 1, false},           {"16 bits", 300, false},
        {"32 bits", 300, true},  {"one of 32 bits", 1, true},
    };
    qn_token_cache *c = make(1 << 20);
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        T_OK(!look(c, i, rows[i].n, rows[i].wide));
        keep(c, i, rows[i].n, rows[i].wide);
        keep(c, i, rows[i].n, rows[i].wide);
        T_OK(look(c, i, rows[i].n, rows[i].wide));
        T_EQ_I(qn_token_cache_stats_get(c).entries, i + 1);
    }
    qn_token_cache_stats s = qn_token_cache_stats_get(c);
    T_EQ_I(s.hits, 5);
    T_EQ_I(s.misses, 5);
    qn_token_cache_destroy(c);
}

static void test_keys(void **state)
{
    (void)state;
    qn_slice text = QN_SLICE_LIT("text");
    const qn_token_key keys[] = {
        qn_token_cache_key(7, QN_TOKENIZE_PLAIN, 512, text),
        qn_token_cache_key(8, QN_TOKENIZE_PLAIN, 512, text),
        qn_token_cache_key(7, QN_TOKENIZE_SPECIALS, 512, text),
        qn_token_cache_key(7, QN_TOKENIZE_PLAIN, 511, text),
        qn_token_cache_key(7, QN_TOKENIZE_PLAIN, 512, QN_SLICE_LIT("texT")),
        qn_token_cache_key(7, QN_TOKENIZE_PLAIN, 512, QN_SLICE_LIT("")),
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        for (size_t k = 0; k < i; k++)
            T_OK(keys[i].low != keys[k].low || keys[i].high != keys[k].high);
}

static void test_bounded(void **state)
{
    (void)state;
    enum { BYTES = 256 * 1024 };
    qn_token_cache *c = make(BYTES);
    unsigned kept = 0;
    for (unsigned i = 0; i < 4000; i++) {
        keep(c, i, 200, false);
        (void)look(c, 0, 200, false); /* in use all the time */
    }
    for (unsigned i = 0; i < 4000; i++) kept += look(c, i, 200, false);
    qn_token_cache_stats s = qn_token_cache_stats_get(c);
    T_OK(s.bytes <= BYTES && s.bytes > BYTES / 2);
    T_EQ_I(kept, s.entries);
    T_OK(look(c, 0, 200, false));
    T_OK(look(c, 3999, 200, false));
    T_OK(!look(c, 1, 200, false));
    qn_token_cache_destroy(c);

    T_ROW("too large for a part");
    c = make(16 * 1024);
    keep(c, 1, 512, true);
    T_EQ_I(qn_token_cache_stats_get(c).entries, 0);
    qn_token_cache_destroy(c);

    T_ROW("off");
    c = make(0);
    keep(c, 1, 5, false);
    T_OK(!look(c, 1, 5, false));
    qn_token_cache_destroy(c);
}

static void use_some(void *ctx, size_t index, size_t worker)
{
    qn_token_cache *c = ctx;
    (void)worker;
    for (unsigned i = 0; i < 500; i++) {
        unsigned which = (i * 7 + (unsigned)index) % 97;
        if (!look(c, which, which, which % 2 == 0))
            keep(c, which, which, which % 2 == 0);
    }
}

static void test_threads(void **state)
{
    (void)state;
    qn_pool *pool = NULL;
    qn_error err = {0};
    qn_token_cache *c = make(32 * 1024);
    T_CALL(qn_pool_create(qn_alloc_heap(), 3, &pool, &err), &err);
    qn_pool_run(pool, 16, use_some, c);
    T_OK(qn_token_cache_stats_get(c).bytes <= 32 * 1024);
    qn_pool_destroy(pool);
    qn_token_cache_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

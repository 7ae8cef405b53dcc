/* SPDX-License-Identifier: Apache-2.0 */
#include "../qn_test.h"

#include "base/clock.h"
#include "text/analyzer.h"
#include "text/porter.h"
#include "text/utf8.h"
#include "text/wordbreak.h"

/* Invalid UTF-8 is refused where it begins. */
static void test_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *name, *bytes;
        size_t n;
        bool valid;
        size_t bad_at, units;
    } rows[] = {
        {"empty", "", 0, true, 0, 0},
        {"ascii", "plain text, more than eight", 27, true, 0, 27},
        {"zero byte", "a\0b", 3, true, 0, 3},
        {"two bytes", "\xC3\xA9", 2, true, 0, 1},
        {"three bytes", "\xE4\xB8\xAD", 3, true, 0, 1},
        {"four bytes", "\xF0\x9F\x98\x80", 4, true, 0, 2},
        {"last", "\xF4\x8F\xBF\xBF", 4, true, 0, 2},
        {"above last", "a\xF4\x90\x80\x80", 5, false, 1, 0},
        {"surrogate", "ab\xED\xA0\x80", 5, false, 2, 0},
        {"overlong 2", "\xC0\x80", 2, false, 0, 0},
        {"overlong 3", "\xE0\x80\x80", 3, false, 0, 0},
        {"overlong 4", "\xF0\x80\x80\x80", 4, false, 0, 0},
        {"cut short", "12345678\xE4\xB8", 10, false, 8, 0},
        {"lone follower", "1234567\x80", 8, false, 7, 0},
        {"bad follower", "\xE4\xB8z", 3, false, 0, 0},
        {"no such byte", "abc\xFF", 4, false, 3, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_slice s = {rows[i].bytes, rows[i].n};
        size_t bad_at = 0;
        T_EQ_I(qn_utf8_valid(s, &bad_at), rows[i].valid);
        T_EQ_I(bad_at, rows[i].bad_at);
        qn_error err = {0};
        T_EQ_I(qn_utf8_check(s, &err), rows[i].valid ? QN_OK : QN_EUTF8);
        if (!rows[i].valid) T_EQ_I(err.at, rows[i].bad_at);
        if (rows[i].valid) T_EQ_I(qn_utf16_length(s), rows[i].units);
        if (rows[i].valid) T_EQ_I(qn_utf16_to_byte(s, rows[i].units), rows[i].n);
    }
}

static void test_find(void **state)
{
    (void)state;
    static const struct {
        const char *name, *proper; /* proper NULL: no such analyzer */
    } rows[] = {
        {"whitespace", "whitespace"},
        {"standard", "standard"},
        {"english", "english"},
        {"chinese", "chinese"},
        {"chn_single", "chn_single"},
        {"chn_standard", "chinese"},
        {"eng_standard", "english"},
        {"simple", "whitespace"},
        {"keyword", "keyword"},
        {"", NULL},
        {"Keyword", NULL},
        {"klingon", NULL},
    };
    qn_error err = {0};
    qn_analyzers *set = NULL;
    T_CALL(qn_analyzers_create(qn_alloc_heap(), &set, &err), &err);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        const qn_analyzer *found = NULL;
        qn_status st = qn_analyzer_find(set, qn_slice_of(rows[i].name), &found, &err);
        T_EQ_I(st, rows[i].proper != NULL ? QN_OK : QN_ENOANALYZER);
        if (st == QN_OK) T_EQ_S(qn_analyzer_name(found), rows[i].proper);
        if (st != QN_OK) T_OK(strstr(err.text, "whitespace") != NULL);
    }
    qn_analyzers_destroy(set);
}

/* One analyzer and a list that lives as long as the test. */
typedef struct bench {
    qn_analyzers *set;
    const qn_analyzer *analyzer;
    qn_arena arena;
    qn_token_list list;
} bench;

static void bench_init(bench *b, const char *name)
{
    qn_error err = {0};
    *b = (bench){0};
    T_CALL(qn_analyzers_create(qn_alloc_heap(), &b->set, &err), &err);
    T_CALL(qn_analyzer_find(b->set, qn_slice_of(name), &b->analyzer, &err), &err);
    qn_arena_init(&b->arena, qn_alloc_heap(), 0);
}

static void bench_deinit(bench *b)
{
    qn_arena_deinit(&b->arena);
    qn_analyzers_destroy(b->set);
}

static void bench_run(bench *b, qn_slice text)
{
    qn_error err = {0};
    T_CALL(qn_analyzer_run(b->analyzer, text, &b->arena, &b->list, &err), &err);
}

/* Tokens as "START-END" in UTF-16 units, as Lucene's WhitespaceTokenizer has them. */
static void test_whitespace(void **state)
{
    (void)state;
    static const struct {
        const char *name, *unit; /* unit: repeated */
        size_t times;
        const char *tail, *want;
    } rows[] = {
        {"empty", "", 0, "", ""},
        {"blanks", " ", 9, "", ""},
        {"words", "", 0, " Ab  cd\n", "1-3 5-7"},
        {"blanks of Java", "", 0,
         "a b\u00a0c\u2007d\u1680e\u3000f\x1cg\xC2\x85h\u2028i\u200bj",
         "0-1 2-7 8-9 10-11 12-15 16-19"},
        {"at the limit", "a", 255, "", "0-255"},
        {"over the limit", "a", 256, "", "0-255 255-256"},
        {"far over the limit", "a", 600, "", "0-255 255-510 510-600"},
        {"pairs over the limit", "\U0001f600", 300, "", "0-256 256-512 512-600"},
        {"a pair at the limit", "a", 254, "\U0001f600bbbbbbbbbb", "0-256 256-266"},
    };
    bench b;
    bench_init(&b, "whitespace");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_buf text;
        qn_buf_init(&text, qn_alloc_heap());
        for (size_t k = 0; k < rows[i].times; k++) qn_buf_add_str(&text, rows[i].unit);
        qn_buf_add_str(&text, rows[i].tail);
        bench_run(&b, qn_buf_slice(&text));
        char got[256] = "";
        for (size_t k = 0, n = 0; k < b.list.n; k++) {
            const qn_token *t = &b.list.p[k];
            n += (size_t)snprintf(got + n, sizeof got - n, "%s%u-%u", k > 0 ? " " : "",
                                  t->start16, t->end16);
            T_EQ_S(t->type, "word");
            T_EQ_I(t->position, k);
            T_OK(qn_slice_eq(
                t->term, (qn_slice){text.p + t->start, (size_t)(t->end - t->start)}));
        }
        T_EQ_S(got, rows[i].want);
        qn_buf_deinit(&text);
    }
    bench_deinit(&b);
}

static void test_keyword(void **state)
{
    (void)state;
    static const char *const rows[] = {"", " ", "one Token, whole", "\U0001f600 x"};
    bench b;
    bench_init(&b, "keyword");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i]);
        bench_run(&b, qn_slice_of(rows[i]));
        T_EQ_I(b.list.n, 1);
        T_OK(qn_slice_eq_str(b.list.p[0].term, rows[i]));
        T_EQ_I(b.list.p[0].end, strlen(rows[i]));
        T_EQ_I(b.list.p[0].end16, qn_utf16_length(qn_slice_of(rows[i])));
    }
    bench_deinit(&b);
}

static void test_refused(void **state)
{
    (void)state;
    bench b;
    bench_init(&b, "standard");
    for (size_t i = 0; qn_analyzers_name_at(b.set, i) != NULL; i++) {
        T_ROW(qn_analyzers_name_at(b.set, i));
        qn_error err = {0};
        T_CALL(qn_analyzer_find(b.set, qn_slice_of(qn_test_row), &b.analyzer, &err),
               &err);
        T_EQ_I(qn_analyzer_run(b.analyzer, QN_SLICE_LIT("ab\xE4\xB8"), &b.arena,
                               &b.list, &err),
               QN_EUTF8);
        T_EQ_I(err.at, 2);
        T_EQ_I(b.list.n, 0);
    }
    qn_error err = {0};
    T_ROW("too long");
    qn_slice huge = {"", (size_t)INT32_MAX + 1};
    T_EQ_I(qn_analyzer_run(b.analyzer, huge, &b.arena, &b.list, &err), QN_ELIMIT);
    bench_deinit(&b);
}

/* The fast loop over ASCII gives the words of the machine: random texts of what joins
 * and what parts, some words near the length limit. */
static void test_ascii_words(void **state)
{
    (void)state;
    static const char letters[] = "ab1 .,':;_-#*\"0zZ9\x01/\n";
    bench b;
    bench_init(&b, "standard");
    qn_wordbreak wb;
    qn_error err = {0};
    T_CALL(qn_wordbreak_init(&wb, qn_alloc_heap(), &err), &err);
    qn_rng rng = {20260101};
    for (size_t round = 0; round < 3000; round++) {
        char text[700], name[32];
        (void)snprintf(name, sizeof name, "round %zu", round);
        T_ROW(name);
        size_t n = qn_rng_next(&rng) % (round % 10 == 0 ? sizeof text : 24);
        size_t choice = round % 10 == 0 ? 7 : sizeof letters - 1;
        for (size_t i = 0; i < n; i++) text[i] = letters[qn_rng_next(&rng) % choice];
        if (round % 10 == 0)
            for (size_t i = 0; i < n; i++)
                if (text[i] == ' ' && i % 3 != 0) text[i] = 'c';
        bench_run(&b, (qn_slice){text, n});
        size_t seen = 0;
        for (uint32_t at = 0; at < n;) {
            qn_word w = qn_wordbreak_match(&wb, (qn_slice){text, n}, at, at);
            if (w.type == QN_WORD_NONE) {
                at++;
                continue;
            }
            T_OK(seen < b.list.n);
            T_EQ_I(b.list.p[seen].start, w.start);
            T_EQ_I(b.list.p[seen].end, w.end);
            T_EQ_S(b.list.p[seen].type, qn_word_type_name(w.type));
            seen++;
            at = w.end;
        }
        T_EQ_I(seen, b.list.n);
    }
    qn_wordbreak_deinit(&wb);
    bench_deinit(&b);
}

static void test_porter(void **state)
{
    (void)state;
    FILE *f = fopen(QN_SOURCE_DIR "/tests/golden/text/porter.tsv", "r");
    if (f == NULL) T_FAIL("no porter.tsv");
    char line[256];
    size_t words = 0;
    while (fgets(line, sizeof line, f) != NULL) {
        if (line[0] == '#') continue;
        line[strcspn(line, "\n")] = '\0';
        char *want = strchr(line, '\t');
        T_OK(want != NULL);
        *want++ = '\0';
        char word[256];
        (void)snprintf(word, sizeof word, "%s", line);
        T_ROW(line);
        word[qn_porter_stem(word, strlen(word))] = '\0';
        T_EQ_S(word, want);
        words++;
    }
    (void)fclose(f);
    T_OK(words > 3000);
}

/* Every allocation refused once: an error, no leak. */
static void test_no_memory(void **state)
{
    (void)state;
    static const char text[] = "The quick \u4e2d\u6587 na\u00efve running foxes";
    qn_alloc a = {0};
    bool done = false;
    for (long n = 1; !done; n++) {
        T_OK(n < 50);
        atomic_store(&a.fail_countdown, n);
        qn_error err = {0};
        qn_analyzers *set = NULL;
        const qn_analyzer *analyzer = NULL;
        qn_arena arena;
        qn_arena_init(&arena, &a, 0);
        qn_token_list list = {0};
        qn_status st = qn_analyzers_create(&a, &set, &err);
        if (st == QN_OK)
            st = qn_analyzer_find(set, QN_SLICE_LIT("english"), &analyzer, &err);
        if (st == QN_OK)
            st = qn_analyzer_run(analyzer, QN_SLICE_LIT(text), &arena, &list, &err);
        done = atomic_load(&a.fail_countdown) > 0;
        T_EQ_I(st, done ? QN_OK : QN_ENOMEM);
        atomic_store(&a.fail_countdown, 0);
        qn_arena_deinit(&arena);
        qn_analyzers_destroy(set);
        T_EQ_I(atomic_load(&a.live_bytes), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8),       cmocka_unit_test(test_find),
        cmocka_unit_test(test_whitespace), cmocka_unit_test(test_keyword),
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_ascii_words),
        cmocka_unit_test(test_porter),     cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

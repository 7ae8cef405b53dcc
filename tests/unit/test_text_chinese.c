/* SPDX-License-Identifier: Apache-2.0 */
/* `chinese` over a dictionary of a few words, and the practice guides' queries over
 * the installed one (skipped where it is not installed). */
#include "../qn_test.h"

#include "text/analyzer.h"
#include "text/lexicon.h"

#include <pthread.h>

#define TEST_DICTIONARY QN_SOURCE_DIR "/tests/golden/text/lexicon"

static qn_analyzers *create_set(const char *dictionary)
{
    qn_error err = {0};
    qn_analyzers *set = NULL;
    T_CALL(qn_analyzers_create(qn_alloc_heap(), &set, &err), &err);
    if (dictionary != NULL)
        T_CALL(qn_analyzers_set_dictionary(set, dictionary, &err), &err);
    return set;
}

/* Terms joined by '/'. */
static qn_status terms_of(const qn_analyzers *set, const char *name, const char *text,
                          char *out, size_t size, qn_error *err)
{
    const qn_analyzer *analyzer = NULL;
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_token_list list = {0};
    out[0] = '\0';
    qn_status st = qn_analyzer_find(set, qn_slice_of(name), &analyzer, err);
    if (st == QN_OK)
        st = qn_analyzer_run(analyzer, qn_slice_of(text), &arena, &list, err);
    for (size_t i = 0, n = 0; st == QN_OK && i < list.n; i++) {
        n += (size_t)snprintf(out + n, size - n, "%s%.*s", i > 0 ? "/" : "",
                              QN_SLICE_ARG(list.p[i].term));
        T_EQ_I(list.p[i].position, i);
    }
    qn_arena_deinit(&arena);
    return st;
}

static void test_small_dictionary(void **state)
{
    (void)state;
    static const struct {
        const char *name, *analyzer, *text, *want;
    } rows[] = {
        {"words", "chinese", "研究生命起源", "研究/生命/起源"},
        {"a word of words", "chinese", "黑色幽默", "黑色/幽默"},
        {"five characters", "chinese", "中华人民共和国", "中华/人民/共和国"},
        {"three stay whole", "chinese", "研究生", "研究生"},
        {"no word", "chinese", "是黑的", "是/黑/的"},
        {"too long for a word", "chinese", "一二三四五六", "一/二/三/四/五/六"},
        {"a word that is not of ideographs", "chinese", "b超", "b/超"},
        {"punctuation", "chinese", "《黑色》,幽默。", "黑色/幽默"},
        {"mixed", "chinese", "xxx公司Jay Chou", "xxx/公司/jay/chou"},
        {"underscores", "chinese", "dim_itm_tb", "dim/itm/tb"},
        {"hyphen and slash", "chinese", "a-b/c", "a/b/c"},
        {"letters and digits", "chinese", "iPhone8 iphone 8", "iphone8/iphone/8"},
        {"decimal", "chinese", "2.0升 3. .5", "2.0/升/3/5"},
        {"apostrophe", "chinese", "Don't 'x' 9'9", "don't/x/9/9"},
        {"full width", "chinese", "ＩＰｈｏｎｅ１２", "iphone12"},
        {"compatibility", "chinese", "㎏①ﬁ", "kg1fi"},
        {"combining", "chinese", "cafe\xCC\x81", "caf\xC3\xA9"},
        {"kana, hangul", "chinese", "テスト한국のを", "テスト/한국/の/を"},
        {"emoji", "chinese", "黑色😀幽默", "黑色/幽默"},
        {"blank", "chinese", " \t\n", ""},
        {"empty", "chinese", "", ""},
        {"one by one", "chn_single", "黑色幽默 Jay", "黑/色/幽/默/jay"},
        {"other name", "chn_standard", "黑色幽默", "黑色/幽默"},
    };
    qn_analyzers *set = create_set(TEST_DICTIONARY);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        char got[256];
        qn_error err = {0};
        T_CALL(terms_of(set, rows[i].analyzer, rows[i].text, got, sizeof got, &err),
               &err);
        T_EQ_S(got, rows[i].want);
    }
    qn_analyzers_destroy(set);
}

static void test_offsets(void **state)
{
    (void)state;
    static const qn_token want[] = {
        {{"kg", 2}, 0, 3, 0, 1, 0, "<ALPHANUM>"},
        {{"\xE9\xBB\x91\xE8\x89\xB2", 6}, 3, 9, 1, 3, 1, "word"},
        {{"12", 2}, 14, 16, 6, 8, 2, "<NUM>"},
    };
    qn_analyzers *set = create_set(TEST_DICTIONARY);
    const qn_analyzer *analyzer = NULL;
    qn_error err = {0};
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_token_list list = {0};
    T_CALL(qn_analyzer_find(set, QN_SLICE_LIT("chinese"), &analyzer, &err), &err);
    /* An emoji is two units, four bytes. */
    T_CALL(qn_analyzer_run(analyzer, QN_SLICE_LIT("㎏黑色😀 12"), &arena, &list, &err),
           &err);
    T_EQ_I(list.n, 3);
    for (size_t i = 0; i < 3; i++) {
        const qn_token *t = &list.p[i];
        T_OK(qn_slice_eq(t->term, want[i].term));
        T_EQ_I(t->start, want[i].start);
        T_EQ_I(t->end, want[i].end);
        T_EQ_I(t->start16, want[i].start16);
        T_EQ_I(t->end16, want[i].end16);
        T_EQ_I(t->position, want[i].position);
        T_EQ_S(t->type, want[i].type);
    }
    qn_arena_deinit(&arena);
    qn_analyzers_destroy(set);
}

/* A run longer than the buffer is cut as if there were no buffer. */
static void test_long_run(void **state)
{
    (void)state;
    enum { TIMES = 400 };
    qn_buf text;
    qn_buf_init(&text, qn_alloc_heap());
    for (size_t i = 0; i < TIMES; i++) qn_buf_add_str(&text, "研究生命起源");
    qn_analyzers *set = create_set(TEST_DICTIONARY);
    const qn_analyzer *analyzer = NULL;
    qn_error err = {0};
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_token_list list = {0};
    T_CALL(qn_analyzer_find(set, QN_SLICE_LIT("chinese"), &analyzer, &err), &err);
    T_CALL(qn_analyzer_run(analyzer, qn_buf_slice(&text), &arena, &list, &err), &err);
    T_EQ_I(list.n, 3 * TIMES);
    for (size_t i = 0; i < list.n; i++) {
        T_EQ_I(list.p[i].start, 6 * i);
        T_EQ_I(list.p[i].end, 6 * i + 6);
        T_EQ_I(list.p[i].start16, 2 * i);
    }
    qn_arena_deinit(&arena);
    qn_analyzers_destroy(set);
    qn_buf_deinit(&text);
}

/* Only `chinese` needs the dictionary, and says which file it misses. */
static void test_missing_dictionary(void **state)
{
    (void)state;
    qn_analyzers *set = create_set("/nonexistent/dictionary");
    char got[64];
    qn_error err = {0};
    T_EQ_I(terms_of(set, "chinese", "黑色", got, sizeof got, &err), QN_ENOTFOUND);
    T_OK(strstr(err.file, "/nonexistent/dictionary/friso.lex.ini") != NULL);
    T_EQ_I(terms_of(set, "chn_single", "黑色", got, sizeof got, &err), QN_OK);
    T_EQ_I(terms_of(set, "standard", "黑色", got, sizeof got, &err), QN_OK);
    T_CALL(qn_analyzers_set_dictionary(set, TEST_DICTIONARY, &err), &err);
    T_EQ_I(terms_of(set, "chinese", "黑色", got, sizeof got, &err), QN_OK);
    qn_analyzers_destroy(set);
}

static void *use_first(void *set)
{
    char got[64];
    qn_error err = {0};
    qn_status st = terms_of(set, "chinese", "黑色幽默", got, sizeof got, &err);
    return st == QN_OK && strcmp(got, "黑色/幽默") == 0 ? NULL : set;
}

static void test_first_use_by_many(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    qn_analyzers *set = create_set(TEST_DICTIONARY);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        T_EQ_I(pthread_create(&threads[i], NULL, use_first, set), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *failed = NULL;
        T_EQ_I(pthread_join(threads[i], &failed), 0);
        T_OK(failed == NULL);
    }
    qn_analyzers_destroy(set);
}

static void test_practice_guides(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } rows[] = {
        {"黑色幽默周杰伦", "黑色/幽默/周杰伦"},
        {"《黑色幽默》是周杰伦演唱的一首歌曲", "黑色/幽默/是/周杰伦/演唱/的/一首/歌曲"},
        {"黑夜将至,周围一切都是黑色的,周杰伦很幽默的说了一个笑话",
         "黑夜/将至/周围/一切/都是/黑色/的/周杰伦/很/幽默/的/说/了/一个/笑话"},
        {"Jay Chou 周杰伦【黑色幽默 Black Humor】-Official Music Video",
         "jay/chou/周杰伦/黑色/幽默/black/humor/official/music/video"},
        {"xxx公司", "xxx/公司"},
        {"xxx杭州分公司", "xxx/杭州/分公司"},
        {"dim_itm_tb_dst_itm_relation_dd", "dim/itm/tb/dst/itm/relation/dd"},
        {"民国", "民国"},
        {"民国趣闻-民国", "民国/趣闻/民国"},
        {"中国民族史-民国", "中国/民族/史/民国"},
        {"iphone 8", "iphone/8"},
    };
    qn_analyzers *set = create_set(NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].text);
        char got[256];
        qn_error err = {0};
        qn_status st = terms_of(set, "chinese", rows[i].text, got, sizeof got, &err);
        if (st == QN_ENOTFOUND) {
            qn_analyzers_destroy(set);
            skip();
        }
        T_CALL(st, &err);
        T_EQ_S(got, rows[i].want);
    }
    qn_analyzers_destroy(set);
}

static void test_no_memory(void **state)
{
    (void)state;
    qn_alloc a = {0};
    bool done = false;
    for (long n = 1; !done; n++) {
        T_OK(n < 200);
        atomic_store(&a.fail_countdown, n);
        qn_error err = {0};
        qn_lexicon *lexicon = NULL;
        qn_status st = qn_lexicon_load(&a, TEST_DICTIONARY, &lexicon, &err);
        done = atomic_load(&a.fail_countdown) > 0;
        T_EQ_I(st, done ? QN_OK : QN_ENOMEM);
        if (done) T_EQ_I(qn_lexicon_word_count(lexicon), 14);
        atomic_store(&a.fail_countdown, 0);
        qn_lexicon_destroy(lexicon);
        T_EQ_I(atomic_load(&a.live_bytes), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_dictionary),
        cmocka_unit_test(test_offsets),
        cmocka_unit_test(test_long_run),
        cmocka_unit_test(test_missing_dictionary),
        cmocka_unit_test(test_first_use_by_many),
        cmocka_unit_test(test_practice_guides),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

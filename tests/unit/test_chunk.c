/* SPDX-License-Identifier: Apache-2.0 */
/* Long texts cut into chunks: settings, and what each strategy makes of small texts. */
#include "../qn_test.h"

#include "text/chunk.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

/* ---- settings ----------------------------------------------------------------------- */

static const struct {
    const char *name, *text, *want; /* want: printed again, or the message */
    qn_status st;
} settings[] = {
    {"nothing said", "{}",
     "{\"strategy\":\"sentence\",\"max_chunk_size\":250,\"sentence_overlap\":1}",
     QN_OK},
    {"sentence",
     "{\"strategy\":\"Sentence\",\"max_chunk_size\":20,\"sentence_overlap\":0}",
     "{\"strategy\":\"sentence\",\"max_chunk_size\":20,\"sentence_overlap\":0}", QN_OK},
    {"word", "{\"strategy\":\"word\"}",
     "{\"strategy\":\"word\",\"max_chunk_size\":250,\"overlap\":100}", QN_OK},
    {"a small word size halves the default overlap",
     "{\"strategy\":\"word\",\"max_chunk_size\":10}",
     "{\"strategy\":\"word\",\"max_chunk_size\":10,\"overlap\":5}", QN_OK},
    {"own separators",
     "{\"strategy\":\"recursive\",\"max_chunk_size\":10,\"separators\":[\"#\",\"--\"]}",
     "{\"strategy\":\"recursive\",\"max_chunk_size\":10,\"separators\":[\"#\",\"--\"]}",
     QN_OK},
    {"none", "{\"strategy\":\"none\"}", "{\"strategy\":\"none\"}", QN_OK},
    {"token", "{\"strategy\":\"token\",\"max_chunk_size\":64,\"overlap\":16}",
     "{\"strategy\":\"token\",\"max_chunk_size\":64,\"overlap\":16}", QN_OK},
    {"short", "word:100:20",
     "{\"strategy\":\"word\",\"max_chunk_size\":100,\"overlap\":20}", QN_OK},
    {"short sentence", " sentence ",
     "{\"strategy\":\"sentence\",\"max_chunk_size\":250,\"sentence_overlap\":1}",
     QN_OK},
    {"short token", "token", "{\"strategy\":\"token\",\"overlap\":0}", QN_OK},
    {"unknown strategy", "{\"strategy\":\"sentense\"}",
     "Invalid chunkingStrategy sentense, did you mean sentence?", QN_EINVAL},
    {"no strategy", "{\"max_chunk_size\":30}",
     "Can't generate Chunker without ChunkingStrategy provided", QN_EINVAL},
    {"a key of another strategy", "{\"strategy\":\"sentence\",\"overlap\":3}",
     "Sentence based chunking settings can not have the following settings: [overlap]",
     QN_EINVAL},
    {"too small", "{\"strategy\":\"sentence\",\"max_chunk_size\":19}",
     "[chunking_settings] Invalid value [19]. [max_chunk_size] must be greater than or "
     "equal to [20]",
     QN_EINVAL},
    {"too small for words", "word:9",
     "[chunking_settings] Invalid value [9]. [max_chunk_size] must be greater than or "
     "equal to [10]",
     QN_EINVAL},
    {"too large", "{\"strategy\":\"word\",\"max_chunk_size\":100001}",
     "[chunking_settings] Invalid value [100001]. [max_chunk_size] must be less than",
     QN_EINVAL},
    {"negative", "{\"strategy\":\"word\",\"max_chunk_size\":-1}",
     "[chunking_settings] Invalid value [-1]. [max_chunk_size] must be a positive "
     "integer",
     QN_EINVAL},
    {"no number", "{\"strategy\":\"word\",\"max_chunk_size\":\"many\"}",
     "field [max_chunk_size] is not of the expected type.", QN_EINVAL},
    {"overlap over half",
     "{\"strategy\":\"word\",\"max_chunk_size\":21,\"overlap\":11}",
     "[chunking_settings] Invalid value [11]. [overlap] must be a less than or equal "
     "to "
     "[10]",
     QN_EINVAL},
    {"two sentences of overlap",
     "{\"strategy\":\"sentence\",\"max_chunk_size\":30,\"sentence_overlap\":2}",
     "sentence_overlap[2] must be either 0 or 1", QN_EINVAL},
    {"group and separators",
     "{\"strategy\":\"recursive\",\"separator_group\":\"markdown\",\"separators\":["
     "\"a\"]}",
     "Recursive chunking settings can not have both separators and separator_group",
     QN_EINVAL},
    {"unknown group", "recursive:20:html",
     "[chunking_settings] Invalid value [html] received. [separator_group] must be one "
     "of "
     "[markdown, plaintext]",
     QN_EINVAL},
    {"no separators", "{\"strategy\":\"recursive\",\"separators\":[]}",
     "Recursive chunking settings can not have an empty list of separators", QN_EINVAL},
    {"an empty separator", "{\"strategy\":\"recursive\",\"separators\":[\"\"]}",
     "[chunking_settings] a separator is a string of 1 to 1024 bytes", QN_EINVAL},
    {"too many parts", "word:20:3:4", "chunking 'word:20:3:4': STRATEGY", QN_EINVAL},
    {"no JSON", "{\"strategy\"", "", QN_EJSON},
};

static void test_settings(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        T_ROW(settings[i].name);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        qn_chunk_settings s;
        qn_error err = {0};
        qn_status st =
            qn_chunk_settings_parse(qn_slice_of(settings[i].text), &arena, &s, &err);
        T_EQ_I(st, settings[i].st);
        if (st == QN_OK) {
            qn_buf b;
            qn_json_writer w;
            qn_buf_init(&b, qn_alloc_heap());
            qn_json_writer_init(&w, &b, false);
            qn_chunk_settings_print(&s, &w);
            qn_buf_add_char(&b, '\0');
            T_EQ_S(b.p, settings[i].want);
            qn_buf_deinit(&b);
        } else if (settings[i].want[0] != '\0') {
            err.text[strlen(settings[i].want)] = '\0';
            T_EQ_S(err.text, settings[i].want);
        }
        qn_arena_deinit(&arena);
    }
}

/* ---- cutting ------------------------------------------------------------------------ */

#define TEN(w) w "1 " w "2 " w "3 " w "4 " w "5 " w "6 " w "7 " w "8 " w "9 " w "10"

/* Chunks are shown with '|' between them. */
static const struct {
    const char *name, *how, *text, *want;
} rows[] = {
    {"nothing", "sentence:20", "", ""},
    {"nothing, by words", "word:10", "", ""},
    {"nothing, recursively", "recursive:10", "", ""},
    {"no words", "word:10", " ... !", " ... !"},
    {"short", "sentence:20", "One. Two.", "One. Two."},
    {"none", "none", "One. Two.", "One. Two."},
    {"words: blanks begin the next", "word:10:0", TEN("a") ", " TEN("b") ".",
     TEN("a") "|, " TEN("b")},
    {"words: a rest", "word:10:0", TEN("a") " b1 b2.", TEN("a") "| b1 b2."},
    {"words: overlap", "word:10:4", TEN("a") " b1 b2", TEN("a") "| a7 a8 a9 a10 b1 b2"},
    {"words: a rest that was there already", "word:10:5", TEN("a") ".", TEN("a")},
    {"words: overlap of half", "word:10:5", TEN("a") " " TEN("b"),
     TEN("a") "| a6 a7 a8 a9 a10 b1 b2 b3 b4 b5| " TEN("b")},
    {"sentences, each too long with the next", "sentence:20:0",
     TEN("a") " x y. " TEN("B") ". C d e.", TEN("a") " x y. |" TEN("B") ". C d e."},
    {"sentences with the one before", "sentence:20:1",
     TEN("A") ". " TEN("B") ". " TEN("C") ".",
     TEN("A") ". " TEN("B") ". |" TEN("B") ". " TEN("C") "."},
    {"the end of the one before, where all of it is too long", "sentence:20:1",
     TEN("A") " " TEN("b") ". " TEN("C") " d1 d2.",
     TEN("A") " " TEN("b") ". | b1 b2 b3 b4 b5 b6 b7 b8 b9 b10. " TEN(
         "C") "| C2 C3 C4 C5 C6 C7 C8 C9 C10 d1 d2."},
    {"one long sentence", "sentence:20:0",
     TEN("a") " " TEN("b") " " TEN("c") ". The end.",
     TEN("a") " " TEN("b") "| b2 b3 b4 b5 b6 b7 b8 b9 b10 " TEN("c") ". |The end."},
    {"a sentence is no end before a small letter", "sentence:20:0",
     TEN("a") " b. " TEN("c"),
     TEN("a") " b. c1 c2 c3 c4 c5 c6 c7 c8 c9|. c1 c2 c3 c4 c5 "
              "c6 c7 c8 c9 c10"},
    {"a question, a line, an ellipsis", "sentence:20:0",
     TEN("a") "?\n" TEN("B") " c1... " TEN("D") "!",
     TEN("a") "?\n|" TEN("B") " c1... |" TEN("D") "!"},
    {"no word after the last sentence", "sentence:20:0",
     TEN("a") " " TEN("b") ". C. ***", TEN("a") " " TEN("b") ". |C. ***"},
    {"Chinese", "word:10:0", "我们今天去北京大学学习计算机科学。你们明天来吗?",
     "我们今天去北京大学学习计算机科学。你们|明天来吗?"},
    {"Japanese", "sentence:20:0",
     "東京は日本の首都です。大阪は西日本の大都市です。京都は古い都です。奈良も古い都で"
     "す。",
     "東京は日本の首都です。大阪は西日本の大都市です。京都は古い都です。|"
     "奈良も古い都です。"},
    {"emoji are no words and stay whole", "word:10:0",
     "👩‍👩‍👧 a1 👍🏽a2 a3 a4 a5 a6 a7 a8 a9 a10🇩🇪 end",
     "👩‍👩‍👧 a1 👍🏽a2 a3 a4 a5 a6 a7 a8 a9 a10|🇩🇪 end"},
    {"paragraphs", "recursive:10", TEN("a") "\n\nb1 b2\nc1\n\nd1",
     TEN("a") "|\n\nb1 b2\nc1|\n\nd1"},
    {"lines where a paragraph is too long", "recursive:10",
     "x1\n\n" TEN("a") "\nb1 b2\n\nd1", "x1|\n\n" TEN("a") "|\nb1 b2|\n\nd1"},
    {"sentences where nothing separates", "recursive:10", "y1\n" TEN("a") ". B1 b2.",
     "y1|\n" TEN("a") ". |B1 b2."},
    {"three line breaks are no paragraph", "recursive:10", TEN("a") "\n\n\nb1. B2 b3",
     TEN("a") "\n\n\n|b1. B2 b3"},
    {"headings", "recursive:10:markdown", "# A\n" TEN("a") "\n## B\nb1 b2\n# C\nc1",
     "# A\n|" TEN("a") "|\n## B\nb1 b2|\n# C\nc1"},
    {"underlined headings", "recursive:10:markdown",
     TEN("a") "\nTitle\n-----\nb1 b2\nOther\n=====\nc1",
     TEN("a") "|\nTitle\n-----\nb1 b2\nOther\n=====\nc1"},
};

static void show(qn_slice text, const qn_chunk *chunks, size_t n, qn_buf *out)
{
    qn_buf_reset(out);
    for (size_t i = 0; i < n; i++) {
        T_OK(chunks[i].start <= chunks[i].end && chunks[i].end <= text.n);
        T_OK(qn_utf8_border(text, chunks[i].start));
        T_OK(qn_utf8_border(text, chunks[i].end));
        if (i > 0) qn_buf_add_char(out, '|');
        qn_buf_add(out, text.p + chunks[i].start, chunks[i].end - chunks[i].start);
    }
    qn_buf_add_char(out, '\0');
}

static void test_rows(void **state)
{
    (void)state;
    qn_buf shown;
    qn_buf_init(&shown, qn_alloc_heap());
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        qn_chunk_settings s;
        qn_chunker *c = NULL;
        const qn_chunk *chunks = NULL;
        size_t n = 0;
        qn_error err = {0};
        qn_slice text = qn_slice_of(rows[i].text);
        T_CALL(qn_chunk_settings_parse(qn_slice_of(rows[i].how), &arena, &s, &err),
               &err);
        T_CALL(qn_chunker_create(qn_alloc_heap(), &s, NULL, 0, &c, &err), &err);
        /* Twice: a chunker keeps nothing of the text before. */
        for (size_t k = 0; k < 2; k++) {
            T_CALL(qn_chunker_run(c, text, &arena, &chunks, &n, &err), &err);
            show(text, chunks, n, &shown);
            T_EQ_S(shown.p, rows[i].want);
        }
        qn_chunker_destroy(c);
        qn_arena_deinit(&arena);
    }
    qn_buf_deinit(&shown);
}

/* ---- hostile texts and separators ---------------------------------------------------- */

static qn_status cut(const char *how, qn_slice text, size_t *n, qn_error *err)
{
    qn_arena arena;
    qn_chunk_settings s;
    qn_chunker *c = NULL;
    const qn_chunk *chunks = NULL;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_status st = qn_chunk_settings_parse(qn_slice_of(how), &arena, &s, err);
    if (st == QN_OK) st = qn_chunker_create(qn_alloc_heap(), &s, NULL, 0, &c, err);
    if (st == QN_OK) st = qn_chunker_run(c, text, &arena, &chunks, n, err);
    if (st == QN_OK) T_OK(*n >= 1 && chunks[*n - 1].end <= text.n);
    qn_chunker_destroy(c);
    qn_arena_deinit(&arena);
    return st;
}

static void test_hostile(void **state)
{
    (void)state;
    static const char *const hows[] = {"sentence:20:1", "word:10:5", "recursive:10",
                                       "recursive:10:markdown", "none"};
    enum { SIZE = 200000 };
    char *giant = qn_new_array(qn_alloc_heap(), SIZE, 1);
    size_t n = 0;
    qn_error err = {0};
    for (size_t i = 0; i < sizeof hows / sizeof *hows; i++) {
        T_ROW(hows[i]);
        memset(giant, 'x', SIZE);
        T_CALL(cut(hows[i], (qn_slice){giant, SIZE}, &n, &err), &err);
        T_EQ_I(n, 1); /* one word is never cut */
        memset(giant, '\n', SIZE);
        T_CALL(cut(hows[i], (qn_slice){giant, SIZE}, &n, &err), &err);
        T_EQ_I(n, 1);
    }
    T_ROW("invalid UTF-8");
    T_EQ_I(cut("word:10", (qn_slice){"ab\xff", 3}, &n, &err), QN_EUTF8);
    T_EQ_I(err.at, 2);
    T_ROW("a broken separator");
    T_EQ_I(cut("{\"strategy\":\"recursive\",\"separators\":[\"(\"]}", QN_SLICE_LIT("a"),
               &n, &err),
           QN_EINVAL);
    T_OK(strstr(err.text, "separator [(]") != NULL);
    T_ROW("a separator that matches nothing, everywhere");
    T_CALL(cut("{\"strategy\":\"recursive\",\"max_chunk_size\":10,\"separators\":[\"q*"
               "\"]}",
               QN_SLICE_LIT(TEN("a") " b c"), &n, &err),
           &err);
    T_OK(n > 10);
    T_ROW("a separator without end");
    for (size_t i = 0; i < SIZE; i++) giant[i] = i % 2 == 0 ? 'a' : ' ';
    T_EQ_I(cut("{\"strategy\":\"recursive\",\"max_chunk_size\":10,"
               "\"separators\":[\"(([a ]+)+)+b\"]}",
               (qn_slice){giant, SIZE}, &n, &err),
           QN_ELIMIT);
    T_OK(strstr(err.text, "takes too long") != NULL);
    qn_delete(qn_alloc_heap(), giant);
}

/* ---- tokens ------------------------------------------------------------------------- */

static void test_tokens(void **state)
{
    (void)state;
    static const char vocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##b\nc\n";
    qn_tokenizer *t = NULL;
    qn_chunker *c = NULL;
    qn_error err = {0};
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    T_CALL(qn_tokenizer_create(qn_alloc_heap(), QN_TOKENIZER_VOCAB, qn_slice_of(vocab),
                               &t, &err),
           &err);
    static const struct {
        const char *name;
        uint32_t size, overlap;
        size_t room;
        const char *text, *want;
    } windows[] = {
        {"short", 10, 0, 100, "a b c", "a b c"},
        {"empty", 10, 0, 100, "", ""},
        {"full", 3, 0, 100, "a b c a b", "a b c |a b"},
        {"what there is room for", 0, 0, 2, "a b c a b", "a b |c a |b"},
        {"no more than there is room for", 10, 0, 2, "a b c", "a b |c"},
        {"overlap", 4, 2, 100, "a b c a b c a", "a b c a |c a b c |b c a"},
        {"back to where a word begins", 4, 0, 100, "a b abb c", "a b |abb c"},
        {"a word longer than a window", 3, 0, 100, "abbbbbb c", "abb|bbb|b c"},
    };
    qn_buf shown;
    qn_buf_init(&shown, qn_alloc_heap());
    for (size_t i = 0; i < sizeof windows / sizeof *windows; i++) {
        T_ROW(windows[i].name);
        qn_chunk_settings s = {.strategy = QN_CHUNK_TOKEN,
                               .size = windows[i].size,
                               .overlap = windows[i].overlap};
        const qn_chunk *chunks = NULL;
        size_t n = 0;
        qn_slice text = qn_slice_of(windows[i].text);
        T_CALL(qn_chunker_create(qn_alloc_heap(), &s, t, windows[i].room, &c, &err),
               &err);
        T_CALL(qn_chunker_run(c, text, &arena, &chunks, &n, &err), &err);
        show(text, chunks, n, &shown);
        T_EQ_S(shown.p, windows[i].want);
        qn_chunker_destroy(c);
    }
    T_ROW("without a tokenizer");
    qn_chunk_settings s = {.strategy = QN_CHUNK_TOKEN};
    T_EQ_I(qn_chunker_create(qn_alloc_heap(), &s, NULL, 0, &c, &err), QN_EINVAL);
    T_OK(c == NULL);
    qn_buf_deinit(&shown);
    qn_arena_deinit(&arena);
    qn_tokenizer_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

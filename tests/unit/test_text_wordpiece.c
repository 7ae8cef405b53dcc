/* SPDX-License-Identifier: Apache-2.0 */
/* WordPiece against golden ids of Hugging Face `tokenizers` (written by
 * tests/oracle/wordpiece_oracle.py), and the cutting of pairs. */
#include "../qn_test.h"

#include "text/tokenizer.h"
#include "text/wordpiece.h"
#include "text_golden.h"

enum { LINE_MAX_BYTES = 1 << 16 };

static FILE *open_golden(const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/tests/golden/text/%s", QN_SOURCE_DIR, name);
    FILE *f = fopen(path, "r");
    if (f == NULL) T_FAIL("cannot open %s", path);
    return f;
}

static qn_wordpiece *golden_wordpiece(void)
{
    qn_buf vocab;
    qn_buf_init(&vocab, qn_alloc_heap());
    FILE *f = open_golden("wordpiece-vocab.txt");
    char part[4096];
    for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;)
        qn_buf_add(&vocab, part, n);
    (void)fclose(f);
    qn_error err = {0};
    qn_wordpiece *wp = NULL;
    T_CALL(qn_wordpiece_create(qn_alloc_heap(), qn_buf_slice(&vocab), &wp, &err), &err);
    qn_buf_deinit(&vocab);
    return wp;
}

static void check_pieces(const qn_pieces *pieces, const char *want)
{
    size_t i = 0;
    for (const char *p = want; p != NULL && *p != '\0'; i++) {
        unsigned id, start, end;
        T_EQ_I(sscanf(p, "%u:%u-%u", &id, &start, &end), 3);
        T_OK(i < pieces->n);
        T_EQ_I(pieces->ids[i], id);
        T_EQ_I(pieces->start[i], start);
        T_EQ_I(pieces->end[i], end);
        p = strchr(p, ' ');
        if (p != NULL) p++;
    }
    T_EQ_I(pieces->n, i);
}

static void test_golden(void **state)
{
    (void)state;
    qn_wordpiece *wp = golden_wordpiece();
    FILE *f = open_golden("wordpiece.txt");
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_pieces pieces = {0};
    static char line[LINE_MAX_BYTES], name[80];
    size_t lines = 0;
    while (fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#') continue;
        char *text = strchr(line, '\t'), *want = text ? strchr(text + 1, '\t') : NULL;
        T_OK(want != NULL);
        *text++ = '\0';
        *want++ = '\0';
        (void)snprintf(name, sizeof name, "%.10s: %.60s", line, text);
        T_ROW(name);
        qn_slice s = {text, golden_unescape(text)};
        qn_tokenize_flags flags =
            strcmp(line, "plain") == 0 ? QN_TOKENIZE_PLAIN : QN_TOKENIZE_SPECIALS;
        qn_error err = {0};
        T_CALL(qn_wordpiece_encode(wp, s, flags, &arena, &pieces, &err), &err);
        check_pieces(&pieces, want);
        lines++;
    }
    T_OK(lines > 500);
    (void)fclose(f);
    qn_arena_deinit(&arena);
    qn_wordpiece_destroy(wp);
}

/* room 509 is 512 less three specials. */
static void test_truncate(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        qn_truncation how;
        size_t first, second, room, want_first, want_second;
        qn_status st;
    } rows[] = {
        {"fits", QN_TRUNCATE_BALANCED, 255, 254, 509, 255, 254, QN_OK},
        {"short first", QN_TRUNCATE_BALANCED, 10, 600, 509, 10, 499, QN_OK},
        {"equal", QN_TRUNCATE_BALANCED, 300, 300, 509, 254, 255, QN_OK},
        {"both over", QN_TRUNCATE_BALANCED, 400, 300, 509, 254, 255, QN_OK},
        {"long first", QN_TRUNCATE_BALANCED, 600, 100, 509, 409, 100, QN_OK},
        {"one over", QN_TRUNCATE_BALANCED, 256, 254, 509, 255, 254, QN_OK},
        {"second over", QN_TRUNCATE_BALANCED, 254, 400, 509, 254, 255, QN_OK},
        {"first over", QN_TRUNCATE_BALANCED, 400, 254, 509, 255, 254, QN_OK},
        {"no room", QN_TRUNCATE_BALANCED, 4, 4, 0, 0, 0, QN_OK},
        {"room of one", QN_TRUNCATE_BALANCED, 4, 4, 1, 0, 1, QN_OK},
        {"lf fits", QN_TRUNCATE_LONGEST_FIRST, 255, 254, 509, 255, 254, QN_OK},
        {"lf short first", QN_TRUNCATE_LONGEST_FIRST, 10, 600, 509, 10, 499, QN_OK},
        {"lf equal", QN_TRUNCATE_LONGEST_FIRST, 300, 300, 509, 254, 255, QN_OK},
        {"lf both over", QN_TRUNCATE_LONGEST_FIRST, 400, 300, 509, 255, 254, QN_OK},
        {"lf long first", QN_TRUNCATE_LONGEST_FIRST, 600, 100, 509, 409, 100, QN_OK},
        {"lf one over", QN_TRUNCATE_LONGEST_FIRST, 256, 254, 509, 255, 254, QN_OK},
        {"lf second over", QN_TRUNCATE_LONGEST_FIRST, 254, 400, 509, 254, 255, QN_OK},
        {"lf first over", QN_TRUNCATE_LONGEST_FIRST, 400, 254, 509, 255, 254, QN_OK},
        {"lf both huge", QN_TRUNCATE_LONGEST_FIRST, 9000, 800, 509, 255, 254, QN_OK},
        {"os cut", QN_TRUNCATE_ONLY_SECOND, 400, 254, 509, 400, 109, QN_OK},
        {"os one left", QN_TRUNCATE_ONLY_SECOND, 508, 254, 509, 508, 1, QN_OK},
        {"os nothing left", QN_TRUNCATE_ONLY_SECOND, 509, 254, 509, 0, 0, QN_ETOOLONG},
        {"os first over", QN_TRUNCATE_ONLY_SECOND, 600, 0, 509, 0, 0, QN_ETOOLONG},
        {"none fits", QN_TRUNCATE_NONE, 255, 254, 509, 255, 254, QN_OK},
        {"none over", QN_TRUNCATE_NONE, 256, 254, 509, 0, 0, QN_ETOOLONG},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_pair_lengths got = {0};
        qn_error err = {0};
        T_EQ_I(qn_truncate_pair(rows[i].first, rows[i].second, rows[i].room,
                                rows[i].how, &got, &err),
               rows[i].st);
        if (rows[i].st != QN_OK) continue;
        T_EQ_I(got.first, rows[i].want_first);
        T_EQ_I(got.second, rows[i].want_second);
        T_EQ_I(got.truncated, rows[i].first + rows[i].second > rows[i].room);
    }
}

static void test_truncation_names(void **state)
{
    (void)state;
    static const char *const names[] = {"balanced", "longest_first", "only_second",
                                        "none"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        T_ROW(names[i]);
        qn_truncation t = QN_TRUNCATE_NONE;
        T_OK(qn_truncation_parse(qn_slice_of(names[i]), &t));
        T_EQ_S(qn_truncation_name(t), names[i]);
    }
    qn_truncation t;
    T_OK(!qn_truncation_parse(QN_SLICE_LIT("Balanced"), &t));
}

static const char tiny_vocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##c\nabc\n";

static qn_wordpiece *tiny_wordpiece(void)
{
    qn_wordpiece *wp = NULL;
    qn_error err = {0};
    T_CALL(qn_wordpiece_create(qn_alloc_heap(), QN_SLICE_LIT(tiny_vocab), &wp, &err),
           &err);
    return wp;
}

/* ids: [PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, a 5, b 6, ##c 7 */
static void test_join(void **state)
{
    (void)state;
    static const struct {
        const char *name, *first, *second;
        size_t length_max;
        qn_truncation how;
        qn_status st;
        const char *ids, *types;
        bool truncated;
    } rows[] = {
        {"pair", "a b", "ac", 9, QN_TRUNCATE_NONE, QN_OK, "2 5 6 3 5 7 3", "0000111",
         false},
        {"exact", "a b", "ac", 7, QN_TRUNCATE_NONE, QN_OK, "2 5 6 3 5 7 3", "0000111",
         false},
        {"one over", "a b", "ac", 6, QN_TRUNCATE_NONE, QN_ETOOLONG, "", "", false},
        {"cut", "a b", "ac", 6, QN_TRUNCATE_BALANCED, QN_OK, "2 5 3 5 7 3", "000111",
         true},
        {"cut second", "a b", "ac", 6, QN_TRUNCATE_ONLY_SECOND, QN_OK, "2 5 6 3 5 3",
         "000011", true},
        {"empty", "", "", 3, QN_TRUNCATE_NONE, QN_OK, "2 3 3", "001", false},
        {"no room", "", "", 2, QN_TRUNCATE_BALANCED, QN_ETOOLONG, "", "", false},
        {"single", "a b", NULL, 4, QN_TRUNCATE_NONE, QN_OK, "2 5 6 3", "0000", false},
        {"single cut", "a b", NULL, 3, QN_TRUNCATE_LONGEST_FIRST, QN_OK, "2 5 3", "000",
         true},
        {"single refused", "a b", NULL, 3, QN_TRUNCATE_ONLY_SECOND, QN_ETOOLONG, "", "",
         false},
        {"single, no room", "a", NULL, 1, QN_TRUNCATE_BALANCED, QN_ETOOLONG, "", "",
         false},
    };
    qn_tokenizer *t = NULL;
    qn_error err = {0};
    T_CALL(qn_tokenizer_create(qn_alloc_heap(), QN_TOKENIZER_VOCAB,
                               QN_SLICE_LIT(tiny_vocab), &t, &err),
           &err);
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_pieces first = {0}, second = {0};
        T_CALL(qn_tokenizer_encode(t, qn_slice_of(rows[i].first), QN_TOKENIZE_PLAIN,
                                   &arena, &first, &err),
               &err);
        const char *text = rows[i].second != NULL ? rows[i].second : "";
        T_CALL(qn_tokenizer_encode(t, qn_slice_of(text), QN_TOKENIZE_PLAIN, &arena,
                                   &second, &err),
               &err);
        qn_encoding got;
        T_EQ_I(qn_tokenizer_join(t, &first, rows[i].second != NULL ? &second : NULL,
                                 rows[i].length_max, rows[i].how, &arena, &got, &err),
               rows[i].st);
        if (rows[i].st != QN_OK) continue;
        char ids[64] = "", types[16] = "";
        for (size_t k = 0; k < got.n; k++) {
            size_t n = strlen(ids);
            (void)snprintf(ids + n, sizeof ids - n, "%s%u", k > 0 ? " " : "",
                           got.ids[k]);
            types[k] = (char)('0' + got.types[k]);
        }
        T_EQ_S(ids, rows[i].ids);
        T_EQ_S(types, rows[i].types);
        T_EQ_I(got.kept.truncated, rows[i].truncated);
    }
    qn_arena_deinit(&arena);
    qn_tokenizer_destroy(t);
}

static void test_vocabulary(void **state)
{
    (void)state;
    static const struct {
        const char *name, *vocab;
        qn_status st;
    } rows[] = {
        {"good", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na", QN_OK},
        {"carriage return", "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n[MASK]", QN_OK},
        {"empty line", "[PAD]\n\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", QN_OK},
        {"empty", "", QN_EMODEL},
        {"no mask", "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n", QN_EMODEL},
        {"not UTF-8", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n\xFF", QN_EUTF8},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_error err = {0};
        qn_wordpiece *wp = NULL;
        T_EQ_I(
            qn_wordpiece_create(qn_alloc_heap(), qn_slice_of(rows[i].vocab), &wp, &err),
            rows[i].st);
        T_EQ_I(wp != NULL, rows[i].st == QN_OK);
        qn_wordpiece_destroy(wp);
    }
    qn_wordpiece *wp = tiny_wordpiece();
    T_ROW("look up");
    uint32_t id = 0;
    T_EQ_I(qn_wordpiece_vocab_size(wp), 9);
    T_OK(qn_wordpiece_id(wp, QN_SLICE_LIT("##c"), &id));
    T_EQ_I(id, 7);
    T_OK(!qn_wordpiece_id(wp, QN_SLICE_LIT("c"), &id));
    T_OK(!qn_wordpiece_id(wp, QN_SLICE_LIT("##a"), &id));
    T_OK(qn_slice_eq_str(qn_wordpiece_piece(wp, 8), "abc"));
    T_OK(qn_wordpiece_piece(wp, 9).p == NULL);
    T_EQ_I(qn_wordpiece_special(wp)->mask, 4);
    qn_wordpiece_destroy(wp);
}

static void test_refused(void **state)
{
    (void)state;
    qn_wordpiece *wp = tiny_wordpiece();
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_pieces pieces = {0};
    qn_error err = {0};
    T_EQ_I(qn_wordpiece_encode(wp, QN_SLICE_LIT("a\xC3("), QN_TOKENIZE_PLAIN, &arena,
                               &pieces, &err),
           QN_EUTF8);
    T_EQ_I(err.at, 1);
    qn_arena_deinit(&arena);
    qn_wordpiece_destroy(wp);
}

/* Every allocation refused once: an error, no leak. */
static void test_no_memory(void **state)
{
    (void)state;
    qn_alloc a = {0};
    bool done = false;
    for (long n = 1; !done; n++) {
        T_OK(n < 50);
        atomic_store(&a.fail_countdown, n);
        qn_error err = {0};
        qn_tokenizer *t = NULL;
        qn_arena arena;
        qn_arena_init(&arena, &a, 0);
        qn_pieces pieces = {0};
        qn_encoding pair;
        qn_status st = qn_tokenizer_create(&a, QN_TOKENIZER_VOCAB,
                                           QN_SLICE_LIT(tiny_vocab), &t, &err);
        if (st == QN_OK)
            st = qn_tokenizer_encode(t, QN_SLICE_LIT("a b ac \xC3\xA9"),
                                     QN_TOKENIZE_PLAIN, &arena, &pieces, &err);
        if (st == QN_OK)
            st = qn_tokenizer_join(t, &pieces, &pieces, 512, QN_TRUNCATE_NONE, &arena,
                                   &pair, &err);
        done = atomic_load(&a.fail_countdown) > 0; /* nothing failed any more */
        T_EQ_I(st, done ? QN_OK : QN_ENOMEM);
        atomic_store(&a.fail_countdown, 0);
        qn_arena_deinit(&arena);
        qn_tokenizer_destroy(t);
        T_EQ_I(atomic_load(&a.live_bytes), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),           cmocka_unit_test(test_truncate),
        cmocka_unit_test(test_truncation_names), cmocka_unit_test(test_join),
        cmocka_unit_test(test_vocabulary),       cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

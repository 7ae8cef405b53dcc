/* SPDX-License-Identifier: Apache-2.0 */
/* Corrections from a small dictionary; the trie against a look at every word. */
#include "../qn_test.h"

#include "base/nearest.h"
#include "text/spelling.h"

static qn_spelling *make(const char *text)
{
    qn_spelling *s = NULL;
    qn_error err = {0};
    T_CALL(qn_spelling_create(qn_alloc_heap(), &s, &err), &err);
    T_CALL(qn_spelling_add_text(s, qn_slice_of(text), &err), &err);
    T_CALL(qn_spelling_build(s, &err), &err);
    return s;
}

static const char films[] = "\xef\xbb\xbf"
                            "the 90000\nblack 900\nadam 300\nretrieval 120\n"
                            "relevant 200\nadaptation 40\nwar 800\nwars 500\n\n"
                            "star 900\nstart 400\ncafé 50\nboundary\t80\nlayer 90\n";

static const struct {
    const char *name, *typed, *best;
    unsigned edits;
    bool sure; /* at least 0.8 */
} rows[] = {
    {"a letter left out", "retreval", "retrieval", 1, true},
    {"a letter too many", "blackk", "black", 1, true},
    {"a letter doubled and one wrong", "relevannt", "relevant", 1, true},
    {"two swapped", "retreival", "retrieval", 1, true},
    {"a vowel for another", "relevent", "relevant", 1, true},
    {"two slips", "adaptasion", "adaptation", 1, true},
    {"two slips, far apart", "rettrievel", "retrieval", 2, true},
    {"accent forgotten", "cafe", "café", 1, true},
    {"blank forgotten", "blackadam", "black adam", 1, true},
    {"blank forgotten, long", "boundarylayer", "boundary layer", 1, true},
    {"short words stay", "ad", NULL, 0, false},
    {"four letters: one slip", "blck", "black", 1, true},
    {"four letters: not two", "blkc", NULL, 0, false},
    {"nothing near", "xylophone", NULL, 0, false},
    {"the first letter", "bwars", "wars", 1, true},
    {"a known word's neighbours", "wars", "war", 1, false},
};

static void test_rows(void **state)
{
    (void)state;
    qn_spelling *s = make(films);
    T_EQ_I(qn_spelling_word_count(s), 13);
    T_EQ_I(qn_spelling_count_of(s, QN_SLICE_LIT("boundary")), 80);
    T_EQ_I(qn_spelling_count_of(s, QN_SLICE_LIT("boundar")), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        const qn_suggestion *list = NULL;
        size_t n = 0;
        qn_error err = {0};
        qn_spelling_options o = {.count_min = 1};
        T_CALL(qn_spelling_suggest(s, qn_slice_of(rows[i].typed), &o, &arena, &list, &n,
                                   &err),
               &err);
        if (rows[i].best == NULL) {
            T_EQ_I(n, 0);
        } else {
            T_OK(n > 0);
            T_EQ_S(list[0].word.p, rows[i].best);
            T_EQ_I(list[0].edits, rows[i].edits);
            T_EQ_I(list[0].confidence >= 0.8, rows[i].sure);
        }
        double sum = 0;
        for (size_t k = 0; k < n; k++) sum += list[k].confidence;
        T_OK(sum <= 1.0000001);
        qn_arena_deinit(&arena);
    }
    qn_spelling_destroy(s);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525U + 1013904223U;
    return *seed >> 16;
}

/* Every word within the edits, and no other: 4,000 words over few letters. */
static void test_against_scan(void **state)
{
    (void)state;
    enum { WORDS = 4000, PROBES = 300 };
    static char words[WORDS][12];
    uint32_t seed = 20261122;
    qn_spelling *s = NULL;
    qn_error err = {0};
    T_CALL(qn_spelling_create(qn_alloc_heap(), &s, &err), &err);
    for (size_t i = 0; i < WORDS; i++) {
        size_t n = 3 + next_random(&seed) % 8;
        for (size_t k = 0; k < n; k++)
            words[i][k] = (char)('a' + next_random(&seed) % 4);
        T_CALL(qn_spelling_add(s, qn_slice_of(words[i]), 1, &err), &err);
    }
    T_CALL(qn_spelling_build(s, &err), &err);
    for (size_t probe = 0; probe < PROBES; probe++) {
        char typed[12] = {0};
        size_t n = 5 + next_random(&seed) % 6;
        for (size_t k = 0; k < n; k++) typed[k] = (char)('a' + next_random(&seed) % 5);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        const qn_suggestion *list = NULL;
        size_t count = 0;
        unsigned nearest = 3;
        for (size_t i = 0; i < WORDS; i++) {
            unsigned d = qn_edit_distance(qn_slice_of(typed), qn_slice_of(words[i]), 2);
            if (d > 0 && d < nearest) nearest = d;
        }
        qn_spelling_options o = {.suggestions = 16, .no_splits = true};
        T_CALL(
            qn_spelling_suggest(s, qn_slice_of(typed), &o, &arena, &list, &count, &err),
            &err);
        T_EQ_I(count > 0, nearest < 3);
        for (size_t i = 0; i < count; i++) {
            T_EQ_I(list[i].edits,
                   qn_edit_distance(qn_slice_of(typed), list[i].word, 2));
            T_OK(list[i].edits >= nearest);
            T_OK(i == 0 || list[i].confidence <= list[i - 1].confidence);
        }
        qn_arena_deinit(&arena);
    }
    qn_spelling_destroy(s);
}

static void test_wrong_text(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        qn_status st;
        uint64_t at;
    } wrong[] = {
        {"no count", "the 5\nof\n", QN_ESYNTAX, 6},
        {"a count that is none", "the x", QN_ESYNTAX, 0},
        {"below nought", "the -1", QN_ESYNTAX, 0},
        {"not UTF-8", "the 1\n\xff 2", QN_EUTF8, 6},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        T_ROW(wrong[i].name);
        qn_spelling *s = NULL;
        qn_error err = {0};
        T_CALL(qn_spelling_create(qn_alloc_heap(), &s, &err), &err);
        T_EQ_I(qn_spelling_add_text(s, qn_slice_of(wrong[i].text), &err), wrong[i].st);
        T_EQ_I(err.at, wrong[i].at);
        qn_spelling_destroy(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_against_scan),
        cmocka_unit_test(test_wrong_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

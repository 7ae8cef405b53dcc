/* SPDX-License-Identifier: Apache-2.0 */
#include "../qn_test.h"

#include "text/analyzer.h"
#include "text/utf8.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

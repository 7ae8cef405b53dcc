/* SPDX-License-Identifier: Apache-2.0 */
/* Analyzers against what Lucene 10.4.0 gives, token by token: term, byte offsets,
 * UTF-16 offsets, position, type. The golden files escape as \u{HEX} and \\. */
#include "../qn_test.h"

#include "text/analyzer.h"
#include "text_golden.h"

enum { LINE_MAX_BYTES = 1 << 16 };

static void check_token(const qn_token *t, char *line)
{
    unsigned start, end, start16, end16, position;
    char type[32];
    int at = 0;
    T_EQ_I(sscanf(line, "%u %u %u %u %u %31s %n", &start, &end, &start16, &end16,
                  &position, type, &at),
           6);
    char *term = line + at;
    size_t n = golden_unescape(term);
    T_EQ_I(t->term.n, n);
    T_OK(memcmp(t->term.p, term, n) == 0);
    T_EQ_I(t->start, start);
    T_EQ_I(t->end, end);
    T_EQ_I(t->start16, start16);
    T_EQ_I(t->end16, end16);
    T_EQ_I(t->position, position);
    T_EQ_S(t->type, type);
}

static void check_file(const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/tests/golden/text/analysis-%s.txt",
                   QN_SOURCE_DIR, name);
    FILE *f = fopen(path, "r");
    if (f == NULL) T_FAIL("cannot open %s", path);

    qn_error err = {0};
    qn_analyzers *set = NULL;
    const qn_analyzer *analyzer = NULL;
    T_CALL(qn_analyzers_create(qn_alloc_heap(), &set, &err), &err);
    T_CALL(qn_analyzer_find(set, qn_slice_of(name), &analyzer, &err), &err);
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_token_list tokens = {0};
    size_t strings = 0, seen = 0;
    static char line[LINE_MAX_BYTES], text[LINE_MAX_BYTES], id[64];
    while (fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#') continue;
        if (line[0] != '=') {
            T_OK(seen < tokens.n);
            check_token(&tokens.p[seen++], line);
            continue;
        }
        T_EQ_I(seen, tokens.n); /* none more than the string before has */
        char *tab = strchr(line, '\t');
        T_OK(tab != NULL);
        *tab = '\0';
        (void)snprintf(id, sizeof id, "%.60s", line + 2);
        T_ROW(id);
        (void)snprintf(text, sizeof text, "%s", tab + 1);
        qn_slice s = {text, golden_unescape(text)};
        T_CALL(qn_analyzer_run(analyzer, s, &arena, &tokens, &err), &err);
        seen = 0;
        strings++;
    }
    T_EQ_I(seen, tokens.n);
    T_EQ_I(strings, 212);
    (void)fclose(f);
    qn_arena_deinit(&arena);
    qn_analyzers_destroy(set);
}

static void test_standard(void **state)
{
    (void)state;
    check_file("standard");
}

static void test_english(void **state)
{
    (void)state;
    check_file("english");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_standard),
        cmocka_unit_test(test_english),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

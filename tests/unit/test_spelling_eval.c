/* SPDX-License-Identifier: Apache-2.0 */
/* Spelling on published lists of misspellings, with a dictionary of 82,834 words. */
#include "../qn_test.h"

#include "base/map.h"
#include "text/spelling.h"

#include <stdlib.h>

/* What is corrected without asking: as the policies have it by default. */
static const double confident = 0.8;

static char *shared_path(const char *name, char *path, size_t size)
{
    const char *shared = getenv("QUERN_SHARED");
    if (shared == NULL)
        (void)snprintf(path, size, "%s/../shared/data/%s", QN_SOURCE_DIR, name);
    else
        (void)snprintf(path, size, "%s/data/%s", shared, name);
    return path;
}

static bool read_file(const char *name, qn_buf *out)
{
    char path[1024];
    FILE *f = fopen(shared_path(name, path, sizeof path), "rb");
    if (f == NULL) return false;
    size_t n;
    char *p;
    while ((p = qn_buf_reserve(out, 65536)) != NULL && (n = fread(p, 1, 65536, f)) > 0)
        out->n += n;
    (void)fclose(f);
    return out->n > 0;
}

typedef struct counts {
    size_t cases, real_words, first, among, corrected, corrected_right;
} counts;

static bool plain(qn_slice word)
{
    for (size_t i = 0; i < word.n; i++)
        if ((word.p[i] < 'a' || word.p[i] > 'z') && word.p[i] != '\'') return false;
    return word.n > 0;
}

static void one_case(const qn_spelling *s, qn_slice wrong, qn_slice right, counts *c)
{
    if (!plain(wrong) || !plain(right) || qn_spelling_count_of(s, right) == 0) return;
    c->cases++;
    if (qn_spelling_count_of(s, wrong) != 0) {
        c->real_words++;
        return;
    }
    qn_arena arena;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    const qn_suggestion *list;
    size_t n;
    qn_error err = {0};
    qn_spelling_options options = {0};
    T_CALL(qn_spelling_suggest(s, wrong, &options, &arena, &list, &n, &err), &err);
    if (n > 0 && qn_slice_eq(list[0].word, right)) c->first++;
    for (size_t i = 0; i < n; i++) c->among += qn_slice_eq(list[i].word, right);
    if (n > 0 && list[0].confidence >= confident) {
        c->corrected++;
        c->corrected_right += qn_slice_eq(list[0].word, right);
    }
    qn_arena_deinit(&arena);
}

/* "right: wrong wrong ..." */
static void read_cases(const qn_spelling *s, qn_slice text, counts *c)
{
    while (text.n > 0) {
        const char *end = memchr(text.p, '\n', text.n);
        size_t n = end == NULL ? text.n : (size_t)(end - text.p);
        qn_slice line = {text.p, n};
        if (end != NULL) n++;
        text = (qn_slice){text.p + n, text.n - n};
        const char *colon = memchr(line.p, ':', line.n);
        if (colon == NULL) continue;
        qn_slice right = {line.p, (size_t)(colon - line.p)};
        qn_slice rest = {colon + 1, line.n - right.n - 1};
        while ((rest = qn_slice_trim(rest)).n > 0) {
            size_t cut = 0;
            while (cut < rest.n && rest.p[cut] != ' ') cut++;
            one_case(s, (qn_slice){rest.p, cut}, right, c);
            rest = (qn_slice){rest.p + cut, rest.n - cut};
        }
    }
}

static double share(size_t part, size_t whole)
{
    return whole == 0 ? 0 : (double)part / (double)whole;
}

static qn_spelling *dictionary(void)
{
    qn_buf text;
    qn_buf_init(&text, qn_alloc_heap());
    if (!read_file("symspell/frequency_dictionary_en_82_765.txt", &text)) {
        qn_buf_deinit(&text);
        return NULL;
    }
    qn_spelling *s = NULL;
    qn_error err = {0};
    T_CALL(qn_spelling_create(qn_alloc_heap(), &s, &err), &err);
    T_CALL(qn_spelling_add_text(s, qn_buf_slice(&text), &err), &err);
    T_CALL(qn_spelling_build(s, &err), &err);
    qn_buf_deinit(&text);
    return s;
}

/* Floors a little below what was measured. */
static const struct {
    const char *name, *file;
    double first_min, precision_min, recall_min;
} rows[] = {
    {"norvig 1", "spelling-errors/spell-testset1.txt", 0.83, 0.97, 0.72},
    {"norvig 2", "spelling-errors/spell-testset2.txt", 0.80, 0.93, 0.70},
    {"aspell", "spelling-errors/aspell.txt", 0.59, 0.80, 0.48},
    {"wikipedia", "spelling-errors/wikipedia.txt", 0.84, 0.92, 0.75},
    {"birkbeck", "spelling-errors/birkbeck.txt", 0.40, 0.69, 0.33},
};

static void test_lists(void **state)
{
    (void)state;
    qn_spelling *s = dictionary();
    if (s == NULL) exit(77);
    printf("%-10s %6s %6s %6s %6s %9s %7s\n", "list", "cases", "real", "first",
           "among5", "precision", "recall");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_buf text;
        qn_buf_init(&text, qn_alloc_heap());
        T_OK(read_file(rows[i].file, &text));
        counts c = {0};
        read_cases(s, qn_buf_slice(&text), &c);
        qn_buf_deinit(&text);
        size_t open = c.cases - c.real_words;
        double first = share(c.first, open), recall = share(c.corrected_right, open);
        double precision = share(c.corrected_right, c.corrected);
        printf("%-10s %6zu %6zu %6.3f %6.3f %9.3f %7.3f\n", rows[i].name, c.cases,
               c.real_words, first, share(c.among, open), precision, recall);
        T_OK(first >= rows[i].first_min);
        T_OK(precision >= rows[i].precision_min);
        T_OK(recall >= rows[i].recall_min);
    }
    qn_spelling_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lists)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

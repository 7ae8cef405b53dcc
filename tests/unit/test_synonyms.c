/* SPDX-License-Identifier: Apache-2.0 */
/* Synonym rules as Lucene's parsers read them, and the greedy look-up. */
#include "../qn_test.h"

#include "text/synonyms.h"

typedef struct fixture {
    qn_analyzers *analyzers;
    qn_arena arena;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    qn_error err = {0};
    T_CALL(qn_analyzers_create(qn_alloc_heap(), &f.analyzers, &err), &err);
    qn_arena_init(&f.arena, qn_alloc_heap(), 0);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    qn_arena_deinit(&f->arena);
    qn_analyzers_destroy(f->analyzers);
    return 0;
}

static qn_synonyms *make(fixture *f, const char *analyzer)
{
    const qn_analyzer *a = NULL;
    qn_synonyms *s = NULL;
    qn_error err = {0};
    T_CALL(qn_analyzer_find(f->analyzers, qn_slice_of(analyzer), &a, &err), &err);
    T_CALL(qn_synonyms_create(qn_alloc_heap(), a, &s, &err), &err);
    return s;
}

/* "new york|(ny|big apple) hotel": what is kept, then what stands for it. */
static void expand(fixture *f, const qn_synonyms *s, const char *analyzer,
                   const char *text, qn_buf *out)
{
    const qn_analyzer *a = NULL;
    qn_token_list tokens = {0};
    qn_error err = {0};
    qn_slice terms[64];
    T_CALL(qn_analyzer_find(f->analyzers, qn_slice_of(analyzer), &a, &err), &err);
    T_CALL(qn_analyzer_run(a, qn_slice_of(text), &f->arena, &tokens, &err), &err);
    for (size_t i = 0; i < tokens.n; i++) terms[i] = tokens.p[i].term;
    for (size_t i = 0; i < tokens.n;) {
        qn_synonym_match m = {0};
        if (i > 0) qn_buf_add_char(out, ' ');
        if (!qn_synonyms_match(s, terms + i, tokens.n - i, &m)) {
            qn_buf_add_slice(out, terms[i++]);
            continue;
        }
        for (size_t k = 0; m.keep && k < m.length; k++)
            qn_buf_printf(out, "%s%.*s", k > 0 ? "_" : "", QN_SLICE_ARG(terms[i + k]));
        for (size_t k = 0; k < m.count; k++) {
            qn_synonym one = qn_synonyms_at(s, &m, k);
            if (k > 0 || m.keep) qn_buf_add_char(out, '|');
            for (size_t t = 0; t < one.count; t++)
                qn_buf_printf(out, "%s%.*s", t > 0 ? "_" : "",
                              QN_SLICE_ARG(one.terms[t].bytes));
        }
        i += m.length;
    }
}

static const struct {
    const char *name, *analyzer, *rules, *text, *want;
    qn_synonym_options options;
} rows[] = {
    {"equivalent", "standard", "a, b, c", "x a b", "x a|b|c b|a|c", {0}},
    {"the first only", "standard", "a, b, c", "a b c", "a a a", {.first_only = true}},
    {"replaced", "standard", "a, b => c, d", "a x b", "c|d x c|d", {0}},
    {"replaced, itself again", "standard", "a => a, b", "a", "a|b", {0}},
    {"one way only", "standard", "a => b", "b", "b", {0}},
    {"words on the left",
     "standard",
     "new york city, nyc",
     "in new york city now",
     "in new_york_city|nyc now",
     {0}},
    {"words on the right",
     "standard",
     "nyc, new york city",
     "nyc hotel",
     "nyc|new_york_city hotel",
     {0}},
    {"the longest wins",
     "standard",
     "new york => ny\nnew york city => nyc",
     "new york city new york new",
     "nyc ny new",
     {0}},
    {"no overlap", "standard", "a b => x\nb c => y", "a b c", "x c", {0}},
    {"same left side, two lines", "standard", "a => b\na => c", "a", "b|c", {0}},
    {"comments and empty lines", "standard", "# a => b\n\n  \na => c\n", "a", "c", {0}},
    {"last line without an end", "standard", "a => b", "a", "b", {0}},
    {"carriage returns", "standard", "a => b\r\nc => d\r\n", "a c", "b d", {0}},
    {"escaped comma", "whitespace", "a\\,b => c", "a,b", "c", {0}},
    {"escaped arrow", "whitespace", "a\\=>b => c", "a=>b", "c", {0}},
    {"escaped backslash", "whitespace", "a\\\\b => c", "a\\b", "c", {0}},
    {"rules are analysed",
     "english",
     "Sneakers, trainers",
     "a sneaker",
     "sneaker|trainer",
     {0}},
    {"a dropped word keeps its place",
     "english",
     "bank of america => boa",
     "the bank of america",
     "boa",
     {0}},
    {"a dropped side, lenient",
     "english",
     "foo, the => baz",
     "foo",
     "baz",
     {.lenient = true}},
    {"nothing is left, lenient",
     "english",
     "the => baz",
     "the baz",
     "baz",
     {.lenient = true}},
    {"wordnet",
     "standard",
     "s(100000001,1,'abstain',v,1,0).\ns(100000001,2,'refrain',v,1,0).\n"
     "s(100000002,1,'king''s evil',n,1,1).\ns(100000002,2,'scrofula',n,1,0).\n",
     "scrofula refrain",
     "scrofula|king's_evil refrain|abstain",
     {.format = QN_SYNONYMS_WORDNET}},
    {"wordnet, the first only",
     "standard",
     "s(1,1,'woods',n,1,0).\ns(1,2,'wood',n,1,0).\ns(1,3,'forest',n,1,0).",
     "forest woods",
     "woods woods",
     {.format = QN_SYNONYMS_WORDNET, .first_only = true}},
    {"chinese", "chn_single", "肯德基, kfc", "吃kfc", "吃 kfc|肯_德_基", {0}},
};

static void test_expansions(void **state)
{
    fixture *f = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        qn_synonyms *s = make(f, rows[i].analyzer);
        qn_error err = {0};
        qn_synonym_options o = rows[i].options;
        T_CALL(qn_synonyms_add_text(s, qn_slice_of(rows[i].rules), &o, &err), &err);
        qn_buf out;
        qn_buf_init(&out, qn_alloc_heap());
        expand(f, s, rows[i].analyzer, rows[i].text, &out);
        qn_synonym_match none;
        T_OK(!qn_synonyms_match(s, NULL, 0, &none));
        char got[256];
        (void)snprintf(got, sizeof got, "%.*s", QN_SLICE_ARG(qn_buf_slice(&out)));
        T_EQ_S(got, rows[i].want);
        qn_buf_deinit(&out);
        qn_synonyms_destroy(s);
    }
}

static const struct {
    const char *name, *analyzer, *rules, *text;
    uint64_t at;
    qn_synonym_format format;
} wrong[] = {
    {"two arrows", "standard", "x, y\na => b => c", "line 2: more than one", 5, 0},
    {"empty side", "standard", "a, , b", "line 1: term: [] was completely", 0, 0},
    {"stop word", "english", "\nfoo, the", "line 2: term: [the] was completely", 1, 0},
    {"nothing on the right", "standard", "a =>", "line 1: nothing after the [=>]", 0,
     0},
    {"nothing on the left", "standard", "=> a", "line 1: nothing before the [=>]", 0,
     0},
    {"too many words", "standard", "a b c d e f g h i j k l m n o p q => x",
     "line 1: a synonym of 17 words, at most 16", 0, 0},
    {"no wordnet", "standard", "a, b", "line 1: not a line s(", 0, QN_SYNONYMS_WORDNET},
    {"one quote", "standard", "s(1,1,'woods", "line 1: not a line s(", 0,
     QN_SYNONYMS_WORDNET},
};

static void test_wrong(void **state)
{
    fixture *f = *state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        T_ROW(wrong[i].name);
        qn_synonyms *s = make(f, wrong[i].analyzer);
        qn_error err = {0};
        qn_synonym_options o = {.format = wrong[i].format};
        T_OK(qn_synonyms_add_text(s, qn_slice_of(wrong[i].rules), &o, &err) != QN_OK);
        T_OK(strncmp(err.text, wrong[i].text, strlen(wrong[i].text)) == 0);
        T_EQ_I(err.at, wrong[i].at);
        qn_synonyms_destroy(s);
    }
}

/* Pairs added and taken away, and the limits. */
static void test_pairs(void **state)
{
    fixture *f = *state;
    qn_synonyms *s = make(f, "standard");
    qn_error err = {0};
    qn_buf out;
    qn_buf_init(&out, qn_alloc_heap());
    T_CALL(
        qn_synonyms_add(s, QN_SLICE_LIT("tv"), QN_SLICE_LIT("television"), true, &err),
        &err);
    T_CALL(qn_synonyms_add(s, QN_SLICE_LIT("tv"), QN_SLICE_LIT("telly"), true, &err),
           &err);
    T_CALL(qn_synonyms_remove(s, QN_SLICE_LIT("tv"), QN_SLICE_LIT("television"), &err),
           &err);
    T_CALL(qn_synonyms_remove(s, QN_SLICE_LIT("no"), QN_SLICE_LIT("yes"), &err), &err);
    expand(f, s, "standard", "tv no", &out);
    T_EQ_S(out.p, "tv|telly no");
    qn_buf_deinit(&out);
    char word[16];
    for (int i = 0; i < QN_SYNONYM_SIDES_MAX; i++) {
        (void)snprintf(word, sizeof word, "w%d", i);
        T_CALL(qn_synonyms_add(s, QN_SLICE_LIT("x"), qn_slice_of(word), true, &err),
               &err);
    }
    T_EQ_I(qn_synonyms_add(s, QN_SLICE_LIT("x"), QN_SLICE_LIT("one more"), true, &err),
           QN_ELIMIT);
    qn_synonyms_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expansions),
        cmocka_unit_test(test_wrong),
        cmocka_unit_test(test_pairs),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

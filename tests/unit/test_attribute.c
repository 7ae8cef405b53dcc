/* SPDX-License-Identifier: Apache-2.0 */
/* Which words moved a score: words and their places, texts without them, and that each
 * effect is the difference of two scores of the shipped reranker. */
#include "../qn_test.h"

#include "engine/models/attribute_units.h"
#include "io/file.h"
#include "io/json.h"
#include "quern/quern.h"

#include <stdlib.h>

static const struct {
    const char *name, *text,
        *units; /* one after another, '|' before each; punctuation ',' */
} unit_rows[] = {
    {"words", "how do mills grind", "|how|do|mills|grind"},
    {"a stop", "Paris.", "|Paris,."},
    {"punctuation in runs", "\"Yes\" -- no!?", ",\"|Yes,\",--|no,!?"},
    {"blanks only", " \t\n ", ""},
    {"nothing", "", ""},
    {"punctuation only", "?! ...", ",?!,..."},
    {"Chinese", "\xE7\xA3\xA8\xE5\x9D\x8A\xE3\x80\x82",
     "|\xE7\xA3\xA8|\xE5\x9D\x8A,\xE3\x80\x82"},
    {"blanks of other kinds",
     "a\xC2\xA0,\xE3\x80\x80"
     "b",
     "|a,,|b"},
};

static void test_units(void **state)
{
    (void)state;
    qn_analyzers *set = NULL;
    qn_error err = {0};
    T_ROW("analyzers");
    T_CALL(qn_analyzers_create(qn_alloc_heap(), &set, &err), &err);
    for (size_t r = 0; r < sizeof unit_rows / sizeof *unit_rows; r++) {
        T_ROW(unit_rows[r].name);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        qn_slice text = qn_slice_of(unit_rows[r].text);
        const qn_pieces none = {0};
        qn_unit *units = NULL;
        size_t n = 0;
        T_CALL(qn_units_find(set, text, &none, &arena, &units, &n, &err), &err);
        qn_buf found = {.alloc = qn_alloc_heap()};
        for (size_t i = 0; i < n; i++) {
            qn_buf_add_char(&found, units[i].word ? '|' : ',');
            qn_buf_add(&found, text.p + units[i].start, units[i].end - units[i].start);
            T_OK(i == 0 || units[i].start >= units[i - 1].end);
        }
        T_EQ_S(qn_buf_slice(&found).p, unit_rows[r].units);
        qn_buf_deinit(&found);
        qn_arena_deinit(&arena);
    }
    qn_analyzers_destroy(set);
}

static const struct {
    const char *name, *text;
    size_t start, end, count; /* of the one unit, or of the first and the last */
    const char *removed, *masked;
} without_rows[] = {
    {"the first word", "how do mills", 0, 3, 1, "do mills", "M do mills"},
    {"one in the middle", "how do mills", 4, 6, 1, "how mills", "how M mills"},
    {"the last", "how do mills", 7, 12, 1, "how do", "how do M"},
    {"all there is", "mills", 0, 5, 1, "", "M"},
    {"before a stop", "how do mills.", 7, 12, 1, "how do .", "how do M."},
    {"the stop", "how do mills.", 12, 13, 1, "how do mills", "how do millsM"},
    {"two", "how do mills", 0, 6, 2, "mills", "M M mills"},
};

static void test_without(void **state)
{
    (void)state;
    for (size_t r = 0; r < sizeof without_rows / sizeof *without_rows; r++) {
        T_ROW(without_rows[r].name);
        qn_arena arena;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        qn_unit units[2] = {{.start = (uint32_t)without_rows[r].start},
                            {.end = (uint32_t)without_rows[r].end}};
        size_t n = without_rows[r].count;
        units[n - 1].end = (uint32_t)without_rows[r].end;
        qn_slice text = qn_slice_of(without_rows[r].text);
        qn_slice out = qn_units_without(text, units, n, (qn_slice){"", 0}, &arena);
        T_EQ_S(out.p, without_rows[r].removed);
        T_EQ_I(out.n, strlen(out.p));
        out = qn_units_without(text, units, n, QN_SLICE_LIT("M"), &arena);
        T_EQ_S(out.p, without_rows[r].masked);
        qn_arena_deinit(&arena);
    }
}

/* ---- with the shipped reranker ------------------------------------------------------- */

typedef struct fixture {
    char dir[64];
    quern *q;
} fixture;

static void open_folder(fixture *f)
{
    qn_error err = {0};
    (void)snprintf(f->dir, sizeof f->dir, "/tmp/quern-attribute-XXXXXX");
    T_OK(mkdtemp(f->dir) != NULL);
    quern_options o = QUERN_OPTIONS_INIT;
    o.data_dir = f->dir;
    o.models_dir = QN_SOURCE_DIR "/models";
    o.neural_threads = 1;
    T_CALL(quern_open(&o, &f->q, &err), &err);
}

static void close_folder(fixture *f)
{
    qn_error err = {0};
    quern_close(f->q);
    T_CALL(qn_dir_remove(f->dir, &err), &err);
}

static double logit_of(fixture *f, const char *query, const char *text)
{
    qn_error err = {0};
    quern_rerank_score score;
    quern_text document = {text, strlen(text)};
    T_CALL(quern_rerank(f->q, NULL, (quern_text){query, strlen(query)}, &document, 1,
                        &score, NULL, &err),
           &err);
    return (double)score.logit;
}

static const qn_json *attribute(fixture *f, const quern_attribute_options *o,
                                const char *query, const char *text, qn_arena *arena,
                                char **json)
{
    qn_error err = {0};
    size_t n = 0;
    const qn_json *root = NULL;
    T_CALL(quern_attribute(f->q, o, (quern_text){query, strlen(query)},
                           (quern_text){text, strlen(text)}, json, &n, &err),
           &err);
    T_CALL(qn_json_parse(arena, (qn_slice){*json, n}, &root, &err), &err);
    return root;
}

static double effect_of(const qn_json *root, const char *side, const char *word)
{
    for (const qn_json *v = qn_json_get(root, side)->first; v != NULL; v = v->next)
        if (qn_slice_eq_str(qn_json_get(v, "text")->string, word))
            return qn_json_get(v, "effect")->number;
    T_FAIL("no %s", word);
    return 0;
}

static double number_of(const qn_json *root, const char *key)
{
    return qn_json_get(root, key)->number;
}

/* Each number is the difference of two scores that anybody can ask for. */
static void test_effects(void **state)
{
    (void)state;
    fixture f;
    T_ROW("effects");
    open_folder(&f);
    qn_arena arena;
    char *json = NULL;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    const char *query = "how do mills grind grain";
    const char *text = "A mill grinds grain between two stones.";
    const qn_json *root = attribute(&f, NULL, query, text, &arena, &json);
    double whole = logit_of(&f, query, text), empty = logit_of(&f, query, "");
    T_NEAR(number_of(root, "logit"), whole, 1e-6);
    T_NEAR(number_of(qn_json_get(root, "baseline"), "logit"), empty, 1e-6);
    T_NEAR(number_of(root, "document_difference"), whole - empty, 1e-6);
    T_NEAR(effect_of(root, "query", "grind"),
           whole - logit_of(&f, "how do mills grain", text), 1e-6);
    T_NEAR(effect_of(root, "query", "grain"),
           whole - logit_of(&f, "how do mills grind", text), 1e-6);
    T_NEAR(effect_of(root, "document", "A"),
           whole - logit_of(&f, query, "mill grinds grain between two stones."), 1e-6);
    T_NEAR(effect_of(root, "document", "stones"),
           whole - logit_of(&f, query, "A mill grinds grain between two ."), 1e-6);
    double sum = 0;
    for (const qn_json *v = qn_json_get(root, "document")->first; v != NULL;
         v = v->next)
        sum += number_of(v, "effect");
    T_NEAR(number_of(root, "document_sum"), sum, 1e-5);
    T_OK(!qn_json_get(root, "partial")->boolean);
    T_EQ_I(qn_json_get(root, "passes")->integer, 2 + 5 + 8);
    quern_free(json);
    quern_attribute_options mask = QUERN_ATTRIBUTE_OPTIONS_INIT;
    mask.how = "mask";
    root = attribute(&f, &mask, query, text, &arena, &json);
    T_NEAR(effect_of(root, "document", "stones"),
           whole - logit_of(&f, query, "A mill grinds grain between two [MASK]."),
           1e-6);
    quern_free(json);
    qn_arena_deinit(&arena);
    close_folder(&f);
}

/* A word that answers raised the score by more than any other; one beside the point did not
 * raise it. */
static const struct {
    const char *name, *query, *text, *raises, *does_not;
} direction_rows[] = {
    {"capital", "what is the capital of France",
     "Paris is the capital and largest city of France, and its nights are cold.",
     "France", "cold"},
    {"grinding", "how do mills grind grain",
     "Yesterday my uncle said that a mill grinds grain between two stones.", "grinds",
     "uncle"},
    {"rain", "will it rain tomorrow",
     "The old radio on the shelf says there will be heavy rain tomorrow.", "rain",
     "radio"},
};

static void test_direction(void **state)
{
    (void)state;
    fixture f;
    T_ROW("open");
    open_folder(&f);
    for (size_t i = 0; i < sizeof direction_rows / sizeof *direction_rows; i++) {
        T_ROW(direction_rows[i].name);
        qn_arena arena;
        char *json = NULL;
        qn_arena_init(&arena, qn_alloc_heap(), 0);
        const qn_json *root = attribute(&f, NULL, direction_rows[i].query,
                                        direction_rows[i].text, &arena, &json);
        double right = effect_of(root, "document", direction_rows[i].raises);
        double wrong = effect_of(root, "document", direction_rows[i].does_not);
        if (!(right > 0.3 && wrong < right / 2))
            T_FAIL("%s %g, %s %g", direction_rows[i].raises, right,
                   direction_rows[i].does_not, wrong);
        quern_free(json);
        qn_arena_deinit(&arena);
    }
    close_folder(&f);
}

/* What the model does not read has no effect, and is said to be unread; a long text is
 * looked at in runs first. */
static void test_long(void **state)
{
    (void)state;
    fixture f;
    T_ROW("long");
    open_folder(&f);
    qn_arena arena;
    char *json = NULL;
    qn_buf text = {.alloc = qn_alloc_heap()};
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    for (size_t i = 0; i < 40; i++) qn_buf_add_str(&text, "the river turns ");
    qn_buf_add_str(&text, "stones grind grain");
    quern_attribute_options o = QUERN_ATTRIBUTE_OPTIONS_INIT;
    o.timeout_ms = 86400000;
    const qn_json *root =
        attribute(&f, &o, "how do mills grind grain", text.p, &arena, &json);
    size_t words = qn_json_get(root, "document")->count;
    T_EQ_I(words, 123);
    T_EQ_I(qn_json_get(root, "runs")->count, 11);
    T_OK(!qn_json_get(root, "truncated")->boolean);
    T_OK(effect_of(root, "document", "grain") > 0);
    qn_buf_deinit(&text);
    quern_free(json);
    qn_arena_deinit(&arena);
    close_folder(&f);
}

/* What can go wrong, by name; no time at all. */
static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *name, *model, *how, *query;
        qn_status st;
        const char *says;
    } rows[] = {
        {"unknown model", "nope", NULL, "q", QN_ENOMODEL, "nope"},
        {"an embedder", "minilm-l6-v2", NULL, "q", QN_EMODELTASK, "rerank"},
        {"how", NULL, "blur", "q", QN_EINVAL, "remove or mask"},
        {"no UTF-8", NULL, NULL, "\xFF", QN_EUTF8, ""},
    };
    fixture f;
    T_ROW("open");
    open_folder(&f);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        T_ROW(rows[i].name);
        quern_attribute_options o = QUERN_ATTRIBUTE_OPTIONS_INIT;
        qn_error err = {0};
        char *json = NULL;
        size_t n = 0;
        o.model = rows[i].model;
        o.how = rows[i].how;
        T_EQ_I(quern_attribute(f.q, &o, (quern_text){rows[i].query, 1},
                               (quern_text){"a", 1}, &json, &n, &err),
               rows[i].st);
        T_OK(strstr(err.text, rows[i].says) != NULL && json == NULL);
    }
    close_folder(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_units),   cmocka_unit_test(test_without),
        cmocka_unit_test(test_effects), cmocka_unit_test(test_direction),
        cmocka_unit_test(test_long),    cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

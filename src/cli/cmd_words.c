/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_words.c -- which words moved a score, as bars to either side of a line. */
#include "cli/cli_texts.h"

#include "io/json.h"

#include <math.h>
#include <string.h>

enum { BAR = 24, WORD = 24 };

static double number_of(const qn_json *object, const char *key)
{
    const qn_json *v = qn_json_get(object, key);
    return v == NULL ? 0 : v->number;
}

static bool known_effect(const qn_json *word, double *effect)
{
    const qn_json *v = qn_json_get(word, "effect");
    bool known = v != NULL && v->kind != QN_JSON_NULL;
    *effect = known ? v->number : 0;
    return known;
}

static double greatest(const qn_json *words)
{
    double most = 0, effect = 0;
    for (const qn_json *v = qn_json_items(words); v != NULL; v = v->next)
        if (known_effect(v, &effect)) most = fmax(most, fabs(effect));
    return most;
}

/* "      ====|          " for what lowered the score, "|====" for what raised it. */
static void print_bar(const cli *c, double effect, double most)
{
    int n = most > 0 ? (int)lround(fabs(effect) / most * BAR) : 0;
    bool up = effect > 0;
    const char *color = !c->color || n == 0 ? "" : up ? "\033[32m" : "\033[31m";
    (void)printf("%*s", up ? BAR : BAR - n, "");
    if (!up) (void)printf("%s", color);
    for (int i = 0; !up && i < n; i++) (void)printf("=");
    if (!up && color[0] != '\0') (void)printf("\033[0m");
    (void)printf("|");
    if (up) (void)printf("%s", color);
    for (int i = 0; up && i < n; i++) (void)printf("=");
    if (up && color[0] != '\0') (void)printf("\033[0m");
}

static void print_word(const cli *c, const qn_json *word, double most)
{
    const qn_json *text = qn_json_get(word, "text");
    qn_slice s = text == NULL ? (qn_slice){"", 0} : text->string;
    double effect = 0;
    bool known = known_effect(word, &effect);
    /* Punctuation that moved little tells nothing. */
    if (qn_json_get(word, "punctuation") != NULL && fabs(effect) < most / 20) return;
    size_t width = cli_width(s);
    (void)printf("  %.*s%*s ", QN_SLICE_ARG(s), width < WORD ? (int)(WORD - width) : 0,
                 "");
    if (known) {
        (void)printf("%+8.3f  ", effect);
        print_bar(c, effect, most);
        (void)printf("\n");
    } else {
        (void)printf("%8s\n", "?");
    }
}

static void print_side(const cli *c, const char *title, const qn_json *words,
                       double most)
{
    (void)printf("%s\n", title);
    for (const qn_json *v = qn_json_items(words); v != NULL; v = v->next)
        print_word(c, v, most);
}

void cli_print_words(const cli *c, qn_slice json)
{
    qn_arena arena;
    const qn_json *root = NULL;
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    if (qn_json_parse(&arena, json, &root, NULL) == QN_OK) {
        const qn_json *query = qn_json_get(root, "query");
        const qn_json *document = qn_json_get(root, "document");
        const qn_json *base = qn_json_get(root, "baseline");
        const qn_json *partial = qn_json_get(root, "partial");
        double most = fmax(greatest(query), greatest(document));
        (void)printf(
            "logit %.4f, score %.4f; without the text %.4f; what leaving out each "
            "word alone changes:\n",
            number_of(root, "logit"), number_of(root, "score"),
            number_of(base, "logit"));
        print_side(c, "query", query, most);
        print_side(c, "text", document, most);
        (void)printf("sum over the text's words %+.4f, all of them together %+.4f\n",
                     number_of(root, "document_sum"),
                     number_of(root, "document_difference"));
        if (partial != NULL && partial->boolean)
            (void)printf("time was up before every word was left out once (?)\n");
    }
    qn_arena_deinit(&arena);
}

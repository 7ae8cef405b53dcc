/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_rerank.c -- quern rerank: texts in, in the order of a cross-encoder out, and the words
 * that moved their scores. */
#include "cli/cli_texts.h"

#include "io/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const cli_option cmd_rerank_options[] = {
    {"model", CLI_TEXT, "NAME", "reranker-minilm-l6", "the cross-encoder", 0, 0},
    {"query", CLI_TEXT, "TEXT", "", "what the texts should answer", 0, 0},
    {"top", CLI_INT, "N", "all", "print only the best N", 1, 1000000},
    {"raw", CLI_FLAG, NULL, "", "the model's logit instead of its sigmoid", 0, 0},
    {"timeout", CLI_INT, "MS", "none", "texts not reached in time stay unscored", 1,
     86400000},
    {"max-tokens", CLI_INT, "N", "the model's", "of a pair; longer ones are cut", 8,
     1000000},
    {"max-query-tokens", CLI_INT, "N", "none", "of the query, cut before the pair is",
     1, 1000000},
    {"max-document-tokens", CLI_INT, "N", "none", "of a text, cut before the pair is",
     1, 1000000},
    {"truncation", CLI_TEXT, "HOW", "the model's",
     "balanced, longest_first, only_second; none refuses what is too long", 0, 0},
    {"chunk", CLI_TEXT, "STRATEGY[:SIZE[:OVERLAP]]", "none",
     "cut long texts: sentence, word, recursive, token; or a JSON object", 0, 0},
    {"join", CLI_TEXT, "HOW", "max", "max, first, mean or sum of a text's passages", 0,
     0},
    {"passages", CLI_INT, "N", "all", "score only the first N passages of a text", 1,
     1000000},
    {"text", CLI_FLAG, NULL, "", "the texts in the output too", 0, 0},
    {"explain-words", CLI_FLAG, NULL, "",
     "which words moved the scores of the best (3, or --top): each word is left out "
     "once",
     0, 0},
    {"mask", CLI_FLAG, NULL, "",
     "with --explain-words: a mask in the place of a word, which is not cut out", 0, 0},
    {"format", CLI_TEXT, "jsonl|json|table", "jsonl",
     "one object a line, a list of them, a table; words: bars or json", 0, 0},
    {"json", CLI_FLAG, NULL, "", "the same as --format json", 0, 0},
    {"server", CLI_TEXT, "URL", "$QUERN_SERVER", "go through a running server", 0, 0},
    {NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0},
};

enum { WORDS_TOP = 3 };

typedef struct ranked {
    size_t index;
    quern_rerank_score score;
} ranked;

typedef struct rerank_run {
    cli *c;
    const char *query;
    cli_texts texts;
    ranked *rows;
    size_t count, scored;
    cli_items items;
    bool table;
} rerank_run;

/* Scored ones by logit, then by index; unscored ones behind in their order. */
static int by_rank(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->score.scored != y->score.scored) return x->score.scored ? -1 : 1;
    if (x->score.scored && x->score.logit != y->score.logit)
        return x->score.logit > y->score.logit ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

/* ---- scoring ------------------------------------------------------------------------ */

static int score_here(rerank_run *r)
{
    cli *c = r->c;
    size_t n = r->texts.texts.n;
    quern_rerank_options o = QUERN_RERANK_OPTIONS_INIT;
    o.model = cli_text(c, "model", NULL);
    o.timeout_ms = cli_int(c, "timeout", 0);
    o.tokens_max = (uint32_t)cli_int(c, "max-tokens", 0);
    o.query_tokens_max = (uint32_t)cli_int(c, "max-query-tokens", 0);
    o.document_tokens_max = (uint32_t)cli_int(c, "max-document-tokens", 0);
    o.truncation = cli_text(c, "truncation", NULL);
    o.chunking = cli_text(c, "chunk", NULL);
    o.join = cli_text(c, "join", NULL);
    o.passages_max = (uint32_t)cli_int(c, "passages", 0);
    quern_rerank_score *scores = qn_new_array(qn_alloc_heap(), n + 1, sizeof *scores);
    int code = scores == NULL ? cli_no_memory(c) : 0;
    if (code == 0 &&
        quern_rerank(c->q, &o, (quern_text){r->query, strlen(r->query)},
                     r->texts.texts.p, n, scores, &r->scored, &c->err) != QN_OK)
        code = cli_fail(c, &c->err);
    for (size_t i = 0; code == 0 && i < n; i++) r->rows[i] = (ranked){i, scores[i]};
    r->count = n;
    qn_delete(qn_alloc_heap(), scores);
    return code;
}

static void write_request(const rerank_run *r, qn_buf *out)
{
    qn_json_writer w;
    qn_json_writer_init(&w, out, false);
    qn_json_begin_object(&w);
    if (cli_text(r->c, "model", NULL) != NULL)
        qn_json_member_str(&w, "model", cli_text(r->c, "model", ""));
    qn_json_member_str(&w, "query", r->query);
    qn_json_member_bool(&w, "raw_scores", true);
    qn_json_key(&w, "texts");
    qn_json_begin_array(&w);
    for (size_t i = 0; i < r->texts.texts.n; i++)
        qn_json_string(&w,
                       (qn_slice){r->texts.texts.p[i].text, r->texts.texts.p[i].size});
    qn_json_end_array(&w);
    qn_json_end_object(&w);
}

static int score_there(rerank_run *r)
{
    static const char *const local[] = {"timeout",
                                        "max-tokens",
                                        "max-query-tokens",
                                        "max-document-tokens",
                                        "truncation",
                                        "chunk",
                                        "join",
                                        "passages"};
    qn_buf body, reply;
    qn_arena arena;
    const qn_json *root = NULL;
    for (size_t i = 0; i < sizeof local / sizeof *local; i++)
        if (cli_has(r->c, local[i]))
            return cli_usage(r->c, "--%s does not go with --server", local[i]);
    qn_buf_init(&body, qn_alloc_heap());
    qn_buf_init(&reply, qn_alloc_heap());
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    write_request(r, &body);
    int code = cli_remote(r->c, "POST", "/rerank", "application/json",
                          qn_buf_slice(&body), &reply);
    if (code == 0 &&
        qn_json_parse(&arena, qn_buf_slice(&reply), &root, &r->c->err) != QN_OK)
        code = cli_fail(r->c, &r->c->err);
    const qn_json *v = code == 0 ? qn_json_items(root) : NULL;
    for (; v != NULL && r->count < r->texts.texts.n; v = v->next) {
        const qn_json *index = qn_json_get(v, "index"),
                      *score = qn_json_get(v, "score");
        if (index == NULL || score == NULL || index->integer < 0 ||
            index->integer >= (int64_t)r->texts.texts.n)
            continue;
        float logit = (float)score->number;
        r->rows[r->count++] =
            (ranked){(size_t)index->integer,
                     {.scored = true,
                      .logit = logit,
                      .score = (float)(1 / (1 + exp(-(double)logit)))}};
    }
    r->scored = r->count;
    qn_arena_deinit(&arena);
    qn_buf_deinit(&body);
    qn_buf_deinit(&reply);
    return code;
}

/* ---- printing ----------------------------------------------------------------------- */

static float shown(const rerank_run *r, const ranked *row)
{
    return cli_has(r->c, "raw") ? row->score.logit : row->score.score;
}

/* Which passage the score is owed to. */
static void print_passage(qn_json_writer *w, const quern_rerank_score *s)
{
    qn_json_key(w, "passage");
    qn_json_begin_object(w);
    qn_json_member_int(w, "number", s->passage);
    qn_json_member_int(w, "of", s->passages);
    qn_json_member_int(w, "start", (int64_t)s->passage_start);
    qn_json_member_int(w, "end", (int64_t)s->passage_end);
    qn_json_end_object(w);
}

static void print_items(rerank_run *r, size_t n)
{
    qn_buf out;
    qn_buf_init(&out, qn_alloc_heap());
    for (size_t i = 0; i < n; i++) {
        const ranked *row = &r->rows[i];
        const quern_text *text = &r->texts.texts.p[row->index];
        qn_json_writer w;
        qn_buf_reset(&out);
        qn_json_writer_init(&w, &out, false);
        qn_json_begin_object(&w);
        qn_json_member_int(&w, "index", (int64_t)row->index);
        qn_json_key(&w, "score");
        row->score.scored ? qn_json_float(&w, shown(r, row)) : qn_json_null(&w);
        if (row->score.tokens > 0) qn_json_member_int(&w, "tokens", row->score.tokens);
        if (row->score.truncated) qn_json_member_bool(&w, "truncated", true);
        if (row->score.passages > 1) print_passage(&w, &row->score);
        if (cli_has(r->c, "text"))
            qn_json_member_slice(&w, "text", (qn_slice){text->text, text->size});
        qn_json_end_object(&w);
        cli_items_add(&r->items, &out);
    }
    cli_items_end(&r->items);
    qn_buf_deinit(&out);
}

static void print_table(const rerank_run *r, size_t n)
{
    static const char *const titles[] = {"score", "index", "tokens", "text"};
    static const cli_align aligns[] = {CLI_RIGHT, CLI_RIGHT, CLI_RIGHT, CLI_LEFT};
    static const size_t widths[] = {0, 0, 0, 80};
    cli_table t;
    cli_table_init(&t, 4, titles, aligns, widths);
    for (size_t i = 0; i < n; i++) {
        const ranked *row = &r->rows[i];
        const quern_text *text = &r->texts.texts.p[row->index];
        if (row->score.scored)
            cli_table_cell(&t, "%.4f", (double)shown(r, row));
        else
            cli_table_cell(&t, "-");
        cli_table_cell(&t, "%zu", row->index);
        cli_table_cell(&t, "%u%s", row->score.tokens, row->score.truncated ? "+" : "");
        cli_table_cell(&t, "%.*s", (int)(text->size > 400 ? 400 : text->size),
                       text->text);
    }
    cli_table_print(&t, r->c, stdout);
    cli_table_deinit(&t);
}

/* ---- words -------------------------------------------------------------------------- */

static int words_here(rerank_run *r, const quern_text *text, qn_buf *out)
{
    quern_attribute_options o = QUERN_ATTRIBUTE_OPTIONS_INIT;
    char *json = NULL;
    size_t n = 0;
    o.model = cli_text(r->c, "model", NULL);
    o.timeout_ms = cli_int(r->c, "timeout", 0);
    o.how = cli_has(r->c, "mask") ? "mask" : "remove";
    o.truncation = cli_text(r->c, "truncation", NULL);
    o.tokens_max = (uint32_t)cli_int(r->c, "max-tokens", 0);
    o.query_tokens_max = (uint32_t)cli_int(r->c, "max-query-tokens", 0);
    o.document_tokens_max = (uint32_t)cli_int(r->c, "max-document-tokens", 0);
    if (quern_attribute(r->c->q, &o, (quern_text){r->query, strlen(r->query)}, *text,
                        &json, &n, &r->c->err) != QN_OK)
        return cli_fail(r->c, &r->c->err);
    qn_buf_add(out, json, n);
    quern_free(json);
    return 0;
}

static int words_there(rerank_run *r, const quern_text *text, qn_buf *out)
{
    qn_buf body;
    qn_json_writer w;
    qn_buf_init(&body, qn_alloc_heap());
    qn_json_writer_init(&w, &body, false);
    qn_json_begin_object(&w);
    if (cli_text(r->c, "model", NULL) != NULL)
        qn_json_member_str(&w, "model", cli_text(r->c, "model", ""));
    qn_json_member_str(&w, "query", r->query);
    qn_json_member_slice(&w, "text", (qn_slice){text->text, text->size});
    qn_json_member_str(&w, "how", cli_has(r->c, "mask") ? "mask" : "remove");
    qn_json_end_object(&w);
    int code = cli_remote(r->c, "POST", "/_quern/attribute", "application/json",
                          qn_buf_slice(&body), out);
    qn_buf_deinit(&body);
    return code;
}

static int explain_words(rerank_run *r, size_t n)
{
    qn_buf json, object;
    int code = 0;
    bool bars = !r->items.list && !cli_has(r->c, "format");
    qn_buf_init(&json, qn_alloc_heap());
    qn_buf_init(&object, qn_alloc_heap());
    for (size_t i = 0; code == 0 && i < n && r->rows[i].score.scored; i++) {
        const ranked *row = &r->rows[i];
        quern_text text = r->texts.texts.p[row->index];
        /* Of a text in passages the words of the one that it owes its score to. */
        if (row->score.passages > 1)
            text = (quern_text){text.text + row->score.passage_start,
                                row->score.passage_end - row->score.passage_start};
        qn_buf_reset(&json);
        code = cli_server(r->c) == NULL ? words_here(r, &text, &json)
                                        : words_there(r, &text, &json);
        if (code == 0 && (bars || r->table)) {
            (void)printf("%s%zu. text %zu", i > 0 ? "\n" : "", i + 1, row->index);
            if (row->score.passages > 1)
                (void)printf(", passage %u of %u", row->score.passage + 1,
                             row->score.passages);
            (void)printf("\n");
            cli_print_words(r->c, qn_buf_slice(&json));
        } else if (code == 0) {
            qn_buf_reset(&object);
            qn_buf_printf(&object, "{\"index\":%zu,", row->index);
            if (row->score.passages > 1)
                qn_buf_printf(&object,
                              "\"passage\":{\"number\":%u,\"of\":%u,\"start\":%zu,"
                              "\"end\":%zu},",
                              row->score.passage, row->score.passages,
                              row->score.passage_start, row->score.passage_end);
            qn_buf_printf(&object, "\"words\":");
            qn_buf_add_slice(&object, qn_buf_slice(&json));
            qn_buf_add_char(&object, '}');
            cli_items_add(&r->items, &object);
        }
    }
    if (code == 0 && !bars && !r->table) cli_items_end(&r->items);
    qn_buf_deinit(&json);
    qn_buf_deinit(&object);
    return code;
}

static int rank_texts(rerank_run *r)
{
    cli *c = r->c;
    size_t n = r->texts.texts.n;
    r->rows = qn_new_array(qn_alloc_heap(), n + 1, sizeof *r->rows);
    if (r->rows == NULL) return cli_no_memory(c);
    int code = n == 0 ? 0 : cli_server(c) == NULL ? score_here(r) : score_there(r);
    if (code == 0 && r->count > 1) qsort(r->rows, r->count, sizeof *r->rows, by_rank);
    bool words = cli_has(c, "explain-words");
    size_t top = (size_t)cli_int(c, "top", words ? WORDS_TOP : (int64_t)r->count);
    if (top > r->count) top = r->count;
    if (code == 0 && words)
        code = explain_words(r, top);
    else if (code == 0 && r->table)
        print_table(r, top);
    else if (code == 0)
        print_items(r, top);
    if (code == 0 && r->scored < n && !c->quiet)
        (void)fprintf(stderr, "scored %zu of %zu: the time ran out\n", r->scored, n);
    qn_delete(qn_alloc_heap(), r->rows);
    return code;
}

int cmd_rerank(cli *c)
{
    rerank_run r = {.c = c, .query = cli_text(c, "query", NULL)};
    if (r.query == NULL) return cli_usage(c, "--query TEXT is needed");
    if (cli_has(c, "mask") && !cli_has(c, "explain-words"))
        return cli_usage(c, "--mask goes with --explain-words");
    if (!cli_items_begin(c, &r.items, &r.table)) return 2;
    if (cli_server(c) == NULL && !cli_open(c))
        return qn_status_describe(c->err.code)->exit_code;
    cli_texts_init(&r.texts);
    int code =
        cli_texts_read(c, c->argument_count > 0 ? c->arguments[0] : "-", &r.texts);
    if (code == 0) code = rank_texts(&r);
    cli_texts_deinit(&r.texts);
    return code;
}

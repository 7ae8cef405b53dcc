/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_text.c -- quern analyze, embed, rerank: texts in, tokens, vectors or scores out. */
#include "cli/cli.h"

#include "base/arena.h"
#include "base/vec.h"
#include "io/json.h"

#include <stdlib.h>
#include <string.h>

const cli_option cmd_analyze_options[] = {
    {"analyzer", CLI_TEXT, "NAME", "standard",
     "standard, english, whitespace, keyword, chinese", 0, 0},
    {"table", CLI_TEXT, "TABLE", "", "take the analyzer of a field of this table", 0,
     0},
    {"field", CLI_TEXT, "FIELD", "", "the field", 0, 0},
    {"format", CLI_TEXT, "table|json", "table", "how to print", 0, 0},
    {NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0},
};

const cli_option cmd_embed_options[] = {
    {"model", CLI_TEXT, "NAME", "minilm-l6-v2", "the embedding model", 0, 0},
    {NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0},
};

const cli_option cmd_rerank_options[] = {
    {"model", CLI_TEXT, "NAME", "reranker-minilm-l6", "the cross-encoder", 0, 0},
    {"query", CLI_TEXT, "TEXT", "", "what the texts should answer", 0, 0},
    {"top", CLI_INT, "N", "all", "print only the best N", 1, 1000000},
    {"raw", CLI_FLAG, NULL, "", "the model's logit instead of its sigmoid", 0, 0},
    {"timeout", CLI_INT, "MS", "none", "texts not reached in time stay unscored", 1,
     86400000},
    {"chunk", CLI_TEXT, "STRATEGY[:SIZE[:OVERLAP]]", "none",
     "cut long texts: sentence, word, recursive, token; or a JSON object", 0, 0},
    {"join", CLI_TEXT, "HOW", "max", "max, first, mean or sum of a text's passages", 0,
     0},
    {"passages", CLI_INT, "N", "all", "score only the first N passages of a text", 1,
     1000000},
    {NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0},
};

/* ---- analyze ------------------------------------------------------------------------ */

typedef struct token_print {
    cli_table table;
    qn_json_writer w;
    bool json;
} token_print;

static void print_token(void *ctx, const quern_token *t)
{
    token_print *p = ctx;
    if (p->json) {
        qn_json_begin_object(&p->w);
        qn_json_member_slice(&p->w, "token", (qn_slice){t->text, t->text_size});
        qn_json_member_int(&p->w, "start_offset", t->start16);
        qn_json_member_int(&p->w, "end_offset", t->end16);
        qn_json_member_int(&p->w, "start_byte", t->start);
        qn_json_member_int(&p->w, "end_byte", t->end);
        qn_json_member_str(&p->w, "type", t->type);
        qn_json_member_int(&p->w, "position", t->position);
        qn_json_end_object(&p->w);
        return;
    }
    cli_table_cell(&p->table, "%u", t->position);
    cli_table_cell(&p->table, "%.*s", (int)t->text_size, t->text);
    cli_table_cell(&p->table, "%u-%u", t->start, t->end);
    cli_table_cell(&p->table, "%s", t->type);
}

int cmd_analyze(cli *c)
{
    static const char *const titles[] = {"position", "token", "bytes", "type"};
    static const cli_align aligns[] = {CLI_RIGHT, CLI_LEFT, CLI_LEFT, CLI_LEFT};
    const char *table = cli_text(c, "table", NULL), *field = cli_text(c, "field", NULL);
    const char *analyzer = cli_text(c, "analyzer", field == NULL ? "standard" : NULL);
    qn_slice text = qn_slice_of(c->arguments[0]);
    if (field != NULL && table == NULL) return cli_usage(c, "--field needs --table");
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    qn_buf out;
    token_print p = {.json = cli_wants_json(c)};
    qn_buf_init(&out, qn_alloc_heap());
    qn_json_writer_init(&p.w, &out, false);
    cli_table_init(&p.table, 4, titles, aligns, NULL);
    if (p.json) qn_json_begin_array(&p.w);
    qn_status st = quern_analyze(c->q, table, field, analyzer, text.p, text.n,
                                 print_token, &p, &c->err);
    if (p.json) qn_json_end_array(&p.w);
    int code = 0;
    if (st != QN_OK)
        code = cli_fail_at(c, &c->err, text);
    else if (p.json)
        (void)printf("%.*s\n", QN_SLICE_ARG(qn_buf_slice(&out)));
    else
        cli_table_print(&p.table, c, stdout);
    cli_table_deinit(&p.table);
    qn_buf_deinit(&out);
    return code;
}

/* ---- texts from lines ----------------------------------------------------------------- */

typedef struct text_list {
    qn_arena arena;
    QN_VEC(quern_text) texts;
} text_list;

/* {"text": ...}, a JSON string, or the bare line. */
static bool take_text(text_list *l, qn_slice line)
{
    qn_arena scratch;
    const qn_json *root = NULL;
    qn_slice text = line, trimmed = qn_slice_trim(line);
    qn_arena_init(&scratch, qn_alloc_heap(), 0);
    bool json = trimmed.n > 1 && (trimmed.p[0] == '{' || trimmed.p[0] == '"');
    if (json && qn_json_parse(&scratch, trimmed, &root, NULL) == QN_OK) {
        const qn_json *member =
            root->kind == QN_JSON_STRING ? root : qn_json_get(root, "text");
        if (member != NULL && member->kind == QN_JSON_STRING) text = member->string;
    }
    text = qn_arena_slice(&l->arena, text);
    qn_arena_deinit(&scratch);
    return text.p != NULL &&
           qn_vec_push(qn_alloc_heap(), &l->texts, ((quern_text){text.p, text.n}));
}

static void text_list_deinit(text_list *l)
{
    qn_arena_deinit(&l->arena);
    qn_vec_deinit(qn_alloc_heap(), &l->texts);
}

/* ---- embed ------------------------------------------------------------------------------ */

enum { EMBED_BATCH = 64 };

static int embed_batch(cli *c, const char *model, text_list *l, uint32_t dims,
                       qn_buf *line)
{
    size_t n = l->texts.n;
    float *out = qn_new_array(qn_alloc_heap(), n * dims, sizeof *out);
    int code = 0;
    if (out == NULL)
        code = cli_fail(
            c,
            &(qn_error){.code = QN_ENOMEM, .text = "out of memory", .at = QN_AT_NONE});
    if (code == 0 && quern_embed(c->q, model, l->texts.p, n, 0, NULL, out, n * dims,
                                 NULL, &c->err) != QN_OK)
        code = cli_fail(c, &c->err);
    for (size_t i = 0; code == 0 && i < n; i++) {
        qn_json_writer w;
        qn_buf_reset(line);
        qn_json_writer_init(&w, line, false);
        qn_json_begin_object(&w);
        qn_json_key(&w, "embedding");
        qn_json_begin_array(&w);
        for (uint32_t k = 0; k < dims; k++) qn_json_float(&w, out[i * dims + k]);
        qn_json_end_array(&w);
        qn_json_end_object(&w);
        (void)printf("%.*s\n", QN_SLICE_ARG(qn_buf_slice(line)));
    }
    qn_delete(qn_alloc_heap(), out);
    text_list_deinit(l);
    qn_arena_init(&l->arena, qn_alloc_heap(), 0);
    return code;
}

int cmd_embed(cli *c)
{
    const char *model = cli_text(c, "model", "minilm-l6-v2");
    quern_model_info info = {0};
    cli_lines in;
    text_list l = {0};
    qn_buf line_out;
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    if (quern_model_info_get(c->q, model, &info, &c->err) != QN_OK ||
        !cli_lines_open(&in, c->argument_count > 0 ? c->arguments[0] : "-", &c->err))
        return cli_fail(c, &c->err);
    qn_buf_init(&line_out, qn_alloc_heap());
    qn_arena_init(&l.arena, qn_alloc_heap(), 0);
    cli_progress progress;
    cli_progress_begin(&progress, c, "embedding", 0);
    int code = 0;
    qn_slice line;
    while (code == 0 && cli_lines_next(&in, &line, &c->err)) {
        if (!take_text(&l, line)) code = 1;
        if (l.texts.n == EMBED_BATCH)
            code = embed_batch(c, model, &l, info.dims, &line_out);
        cli_progress_at(&progress, (size_t)in.line_number);
    }
    if (code == 0 && in.failed) code = cli_fail(c, &c->err);
    if (code == 0 && l.texts.n > 0)
        code = embed_batch(c, model, &l, info.dims, &line_out);
    cli_progress_end(&progress);
    text_list_deinit(&l);
    qn_buf_deinit(&line_out);
    cli_lines_close(&in);
    return code;
}

/* ---- rerank ----------------------------------------------------------------------------- */

typedef struct ranked {
    size_t index;
    quern_rerank_score score;
} ranked;

/* Scored ones by logit, then by index; unscored ones behind in their order. */
static int by_rank(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->score.scored != y->score.scored) return x->score.scored ? -1 : 1;
    if (x->score.scored && x->score.logit != y->score.logit)
        return x->score.logit > y->score.logit ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
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

static void print_ranked(const cli *c, const ranked *rows, size_t n)
{
    qn_buf out;
    qn_buf_init(&out, qn_alloc_heap());
    size_t top = (size_t)cli_int(c, "top", (int64_t)n);
    for (size_t i = 0; i < n && i < top; i++) {
        qn_json_writer w;
        qn_buf_reset(&out);
        qn_json_writer_init(&w, &out, false);
        qn_json_begin_object(&w);
        qn_json_member_int(&w, "index", (int64_t)rows[i].index);
        qn_json_key(&w, "score");
        if (!rows[i].score.scored)
            qn_json_null(&w);
        else
            qn_json_float(&w, cli_has(c, "raw") ? rows[i].score.logit
                                                : rows[i].score.score);
        qn_json_member_int(&w, "tokens", rows[i].score.tokens);
        if (rows[i].score.truncated) qn_json_member_bool(&w, "truncated", true);
        if (rows[i].score.passages > 1) print_passage(&w, &rows[i].score);
        qn_json_end_object(&w);
        (void)printf("%.*s\n", QN_SLICE_ARG(qn_buf_slice(&out)));
    }
    qn_buf_deinit(&out);
}

static int rerank_texts(cli *c, const char *query, const text_list *l)
{
    size_t n = l->texts.n, scored = 0;
    quern_rerank_options o = QUERN_RERANK_OPTIONS_INIT;
    o.model = cli_text(c, "model", NULL);
    o.timeout_ms = cli_int(c, "timeout", 0);
    o.chunking = cli_text(c, "chunk", NULL);
    o.join = cli_text(c, "join", NULL);
    o.passages_max = (uint32_t)cli_int(c, "passages", 0);
    quern_rerank_score *scores = qn_new_array(qn_alloc_heap(), n + 1, sizeof *scores);
    ranked *rows = qn_new_array(qn_alloc_heap(), n + 1, sizeof *rows);
    int code = 1;
    if (scores == NULL || rows == NULL) {
        (void)fprintf(stderr, "quern: out of memory\n");
    } else if (quern_rerank(c->q, &o, (quern_text){query, strlen(query)}, l->texts.p, n,
                            scores, &scored, &c->err) != QN_OK) {
        code = cli_fail(c, &c->err);
    } else {
        for (size_t i = 0; i < n; i++) rows[i] = (ranked){i, scores[i]};
        qsort(rows, n, sizeof *rows, by_rank);
        print_ranked(c, rows, n);
        if (scored < n && !c->quiet)
            (void)fprintf(stderr, "scored %zu of %zu: the time ran out\n", scored, n);
        code = 0;
    }
    qn_delete(qn_alloc_heap(), scores);
    qn_delete(qn_alloc_heap(), rows);
    return code;
}

int cmd_rerank(cli *c)
{
    const char *query = cli_text(c, "query", NULL);
    cli_lines in;
    text_list l = {0};
    if (query == NULL) return cli_usage(c, "--query TEXT is needed");
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    if (!cli_lines_open(&in, c->argument_count > 0 ? c->arguments[0] : "-", &c->err))
        return cli_fail(c, &c->err);
    qn_arena_init(&l.arena, qn_alloc_heap(), 0);
    int code = 0;
    qn_slice line;
    while (code == 0 && cli_lines_next(&in, &line, &c->err))
        if (!take_text(&l, line)) code = 1;
    if (code == 0 && in.failed) code = cli_fail(c, &c->err);
    if (code == 0) code = rerank_texts(c, query, &l);
    text_list_deinit(&l);
    cli_lines_close(&in);
    return code;
}

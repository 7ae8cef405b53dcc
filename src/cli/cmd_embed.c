/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_embed.c -- quern embed: texts in, vectors out; weights of tokens, or a vector for each
 * token, where the model makes those. */
#include "cli/cli_texts.h"

#include "io/json.h"
#include "net/url.h"

#include <string.h>

const cli_option cmd_embed_options[] = {
    {"model", CLI_TEXT, "NAME", "minilm-l6-v2", "the embedding model", 0, 0},
    {"dims", CLI_INT, "N", "all", "the first N numbers, scaled anew", 1, 65536},
    {"pooled", CLI_FLAG, NULL, "", "as pooling gives them, not scaled to length 1", 0,
     0},
    {"max-tokens", CLI_INT, "N", "the model's", "longer texts are cut", 3, 1000000},
    {"keep-ends", CLI_FLAG, NULL, "", "longer texts are cut at their beginnings", 0, 0},
    {"role", CLI_TEXT, "query|document", "the model's", "which of its prompts", 0, 0},
    {"top-k", CLI_INT, "N", "all", "sparse vectors: only the N greatest weights", 1,
     1 << 24},
    {"format", CLI_TEXT, "jsonl|json", "jsonl", "one object a line, or a list of them",
     0, 0},
    {"json", CLI_FLAG, NULL, "", "the same as --format json", 0, 0},
    {"server", CLI_TEXT, "URL", "$QUERN_SERVER", "go through a running server", 0, 0},
    {NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0},
};

enum { BATCH = 64 };

typedef struct embed_run {
    cli *c;
    quern_embed_options o;
    size_t dims, truncated, top_k;
    enum { OF_TEXTS, OF_VOCABULARY, OF_TOKENS } kind;
    cli_items items;
    cli_texts texts;
    qn_buf line;
} embed_run;

static void print_vector(embed_run *r, const float *v, size_t dims, bool truncated)
{
    qn_json_writer w;
    qn_buf_reset(&r->line);
    qn_json_writer_init(&w, &r->line, false);
    qn_json_begin_object(&w);
    qn_json_key(&w, "embedding");
    qn_json_begin_array(&w);
    for (size_t k = 0; k < dims; k++) qn_json_float(&w, v[k]);
    qn_json_end_array(&w);
    if (truncated) qn_json_member_bool(&w, "truncated", true);
    qn_json_end_object(&w);
    cli_items_add(&r->items, &r->line);
}

static int embed_here(embed_run *r)
{
    size_t n = r->texts.texts.n;
    float *out = qn_new_array(qn_alloc_heap(), n * r->dims, sizeof *out);
    quern_embed_item items[BATCH];
    int code = out == NULL ? cli_no_memory(r->c) : 0;
    if (code == 0 && quern_embed_texts(r->c->q, &r->o, r->texts.texts.p, n, out,
                                       n * r->dims, items, &r->c->err) != QN_OK)
        code = cli_fail(r->c, &r->c->err);
    for (size_t i = 0; code == 0 && i < n; i++) {
        r->truncated += items[i].truncated;
        print_vector(r, out + i * r->dims, r->dims, items[i].truncated);
    }
    qn_delete(qn_alloc_heap(), out);
    return code;
}

/* {"sparse_embedding":[{"index","value","token"},...]} */
static void print_terms(void *ctx, size_t index, const quern_term *terms, size_t n,
                        const quern_embed_item *item)
{
    embed_run *r = ctx;
    qn_json_writer w;
    (void)index;
    qn_buf_reset(&r->line);
    qn_json_writer_init(&w, &r->line, false);
    qn_json_begin_object(&w);
    qn_json_key(&w, "sparse_embedding");
    qn_json_begin_array(&w);
    for (size_t i = 0; i < n; i++) {
        qn_json_begin_object(&w);
        qn_json_member_int(&w, "index", terms[i].id);
        qn_json_key(&w, "value");
        qn_json_float(&w, terms[i].weight);
        qn_json_member_slice(&w, "token",
                             (qn_slice){terms[i].token, terms[i].token_size});
        qn_json_end_object(&w);
    }
    qn_json_end_array(&w);
    if (item->truncated) qn_json_member_bool(&w, "truncated", true);
    qn_json_end_object(&w);
    r->truncated += item->truncated;
    cli_items_add(&r->items, &r->line);
}

/* {"embeddings":[[...],...]}, one for each token that the model keeps. */
static void print_rows(void *ctx, size_t index, const float *vectors,
                       const uint32_t *ids, size_t n, size_t dims,
                       const quern_embed_item *item)
{
    embed_run *r = ctx;
    qn_json_writer w;
    (void)index;
    (void)ids;
    qn_buf_reset(&r->line);
    qn_json_writer_init(&w, &r->line, false);
    qn_json_begin_object(&w);
    qn_json_key(&w, "embeddings");
    qn_json_begin_array(&w);
    for (size_t i = 0; i < n; i++) {
        qn_json_begin_array(&w);
        for (size_t k = 0; k < dims; k++) qn_json_float(&w, vectors[i * dims + k]);
        qn_json_end_array(&w);
    }
    qn_json_end_array(&w);
    if (item->truncated) qn_json_member_bool(&w, "truncated", true);
    qn_json_end_object(&w);
    r->truncated += item->truncated;
    cli_items_add(&r->items, &r->line);
}

static int embed_parts(embed_run *r)
{
    cli *c = r->c;
    const quern_text *texts = r->texts.texts.p;
    size_t n = r->texts.texts.n;
    qn_status st =
        r->kind == OF_TOKENS
            ? quern_embed_tokens(c->q, &r->o, texts, n, print_rows, r, &c->err)
            : quern_embed_sparse(c->q, &r->o, r->top_k, 0, texts, n, print_terms, r,
                                 &c->err);
    return st == QN_OK ? 0 : cli_fail(c, &c->err);
}

static void write_request(embed_run *r, qn_buf *out)
{
    qn_json_writer w;
    qn_json_writer_init(&w, out, false);
    qn_json_begin_object(&w);
    qn_json_member_str(&w, "model", r->o.model);
    if (r->kind == OF_TEXTS)
        qn_json_member_bool(&w, "normalize", r->o.length != QUERN_LENGTH_AS_POOLED);
    if (r->o.keep_ends) qn_json_member_str(&w, "truncation_direction", "Left");
    if (r->o.role != NULL) qn_json_member_str(&w, "input_type", r->o.role);
    if (r->top_k > 0) qn_json_member_int(&w, "top_k", (int64_t)r->top_k);
    if (r->o.dims > 0) qn_json_member_int(&w, "dimensions", r->o.dims);
    qn_json_key(&w, "inputs");
    qn_json_begin_array(&w);
    for (size_t i = 0; i < r->texts.texts.n; i++)
        qn_json_string(&w,
                       (qn_slice){r->texts.texts.p[i].text, r->texts.texts.p[i].size});
    qn_json_end_array(&w);
    qn_json_end_object(&w);
}

/* The server's lists of numbers are printed as they came. */
static int embed_there(embed_run *r)
{
    static const char *const paths[] = {"/embed", "/embed_sparse", "/embed_all"};
    static const char *const names[] = {"embedding", "sparse_embedding", "embeddings"};
    qn_buf body, reply;
    qn_arena arena;
    const qn_json *root = NULL;
    qn_buf_init(&body, qn_alloc_heap());
    qn_buf_init(&reply, qn_alloc_heap());
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    write_request(r, &body);
    int code = cli_remote(r->c, "POST", paths[r->kind], "application/json",
                          qn_buf_slice(&body), &reply);
    if (code == 0 &&
        qn_json_parse(&arena, qn_buf_slice(&reply), &root, &r->c->err) != QN_OK)
        code = cli_fail(r->c, &r->c->err);
    const qn_json *v = code == 0 ? qn_json_items(root) : NULL;
    for (; v != NULL; v = v->next) {
        qn_buf_reset(&r->line);
        qn_buf_printf(&r->line, "{\"%s\":%.*s}", names[r->kind], QN_SLICE_ARG(v->raw));
        cli_items_add(&r->items, &r->line);
    }
    qn_arena_deinit(&arena);
    qn_buf_deinit(&body);
    qn_buf_deinit(&reply);
    return code;
}

static int embed_batch(embed_run *r)
{
    int code = cli_server(r->c) != NULL ? embed_there(r)
               : r->kind == OF_TEXTS    ? embed_here(r)
                                        : embed_parts(r);
    cli_texts_deinit(&r->texts);
    cli_texts_init(&r->texts);
    return code;
}

static int embed_lines(embed_run *r, const char *path)
{
    cli *c = r->c;
    cli_lines in;
    cli_progress progress;
    qn_slice line;
    int code = 0;
    if (!cli_lines_open(&in, path, &c->err)) return cli_fail(c, &c->err);
    cli_progress_begin(&progress, c, "embedding", 0);
    while (code == 0 && cli_lines_next(&in, &line, &c->err)) {
        code = cli_texts_add(c, &r->texts, line, (uint64_t)in.line_number);
        if (code == 0 && r->texts.texts.n == BATCH) code = embed_batch(r);
        cli_progress_at(&progress, (size_t)in.line_number);
    }
    if (code == 0 && in.failed) code = cli_fail(c, &c->err);
    if (code == 0 && r->texts.texts.n > 0) code = embed_batch(r);
    cli_progress_end(&progress);
    cli_lines_close(&in);
    return code;
}

/* What the model makes, as the server has it. */
static int ask_task(embed_run *r, char *task, size_t size)
{
    qn_buf path, reply;
    qn_arena arena;
    const qn_json *root = NULL;
    qn_buf_init(&path, qn_alloc_heap());
    qn_buf_init(&reply, qn_alloc_heap());
    qn_arena_init(&arena, qn_alloc_heap(), 0);
    qn_buf_add_str(&path, "/v1/models/");
    qn_url_encode(&path, qn_slice_of(r->o.model));
    int code = cli_remote(r->c, "GET", path.p, NULL, (qn_slice){"", 0}, &reply);
    if (code == 0 &&
        qn_json_parse(&arena, qn_buf_slice(&reply), &root, &r->c->err) != QN_OK)
        code = cli_fail(r->c, &r->c->err);
    const qn_json *v = code == 0 ? qn_json_get(root, "task") : NULL;
    if (v != NULL) (void)snprintf(task, size, "%.*s", (int)v->string.n, v->string.p);
    qn_arena_deinit(&arena);
    qn_buf_deinit(&reply);
    qn_buf_deinit(&path);
    return code;
}

static int find_model(embed_run *r)
{
    cli *c = r->c;
    char task[32] = "";
    if (cli_server(c) != NULL) {
        int code = ask_task(r, task, sizeof task);
        if (code != 0) return code;
    } else {
        quern_model_info info = {0};
        if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
        if (quern_model_info_get(c->q, r->o.model, &info, &c->err) != QN_OK)
            return cli_fail(c, &c->err);
        (void)snprintf(task, sizeof task, "%s", info.task);
        r->dims = r->o.dims > 0 ? r->o.dims : info.dims;
    }
    r->kind = strcmp(task, "sparse") == 0   ? OF_VOCABULARY
              : strcmp(task, "tokens") == 0 ? OF_TOKENS
                                            : OF_TEXTS;
    if (r->kind != OF_TEXTS && (cli_has(c, "dims") || cli_has(c, "pooled")))
        return cli_usage(c, "--dims and --pooled are of models that make one vector a "
                            "text");
    if (r->kind != OF_VOCABULARY && r->top_k > 0)
        return cli_usage(c, "--top-k is of models that make sparse vectors");
    return 0;
}

int cmd_embed(cli *c)
{
    embed_run r = {.c = c, .o = QUERN_EMBED_OPTIONS_INIT};
    r.o.model = cli_text(c, "model", "minilm-l6-v2");
    r.o.dims = (uint32_t)cli_int(c, "dims", 0);
    r.o.tokens_max = (uint32_t)cli_int(c, "max-tokens", 0);
    r.o.keep_ends = cli_has(c, "keep-ends");
    r.o.role = cli_text(c, "role", NULL);
    r.top_k = (size_t)cli_int(c, "top-k", 0);
    if (cli_has(c, "pooled")) r.o.length = QUERN_LENGTH_AS_POOLED;
    if (!cli_items_begin(c, &r.items, NULL)) return 2;
    if (cli_server(c) != NULL && r.o.tokens_max > 0)
        return cli_usage(c, "--max-tokens does not go with --server");
    int code = find_model(&r);
    if (code != 0) return code;
    qn_buf_init(&r.line, qn_alloc_heap());
    cli_texts_init(&r.texts);
    code = embed_lines(&r, c->argument_count > 0 ? c->arguments[0] : "-");
    if (code == 0) cli_items_end(&r.items);
    if (code == 0 && r.truncated > 0 && !c->quiet)
        (void)fprintf(stderr, "%zu texts were longer than the model reads, and cut\n",
                      r.truncated);
    cli_texts_deinit(&r.texts);
    qn_buf_deinit(&r.line);
    return code;
}

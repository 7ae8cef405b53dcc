/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_demo.c -- quern demo: the movies, three searches with every stage shown, the console.
 *
 * What it does is written in examples/movies/demo.json: the table's schema and data, and
 * the searches with a sentence on each. */
#include "cli/cli.h"

#include "base/arena.h"
#include "base/clock.h"
#include "cli/cli_reply.h"
#include "io/json.h"

#include <string.h>

enum { DEMO_MAX_BYTES = 4 << 20 };

const cli_option cmd_demo_options[] = {
    {"no-serve", CLI_FLAG, NULL, "", "stop after the searches", 0, 0},
    {"listen", CLI_TEXT, "ADDRESS", "127.0.0.1:9200", "where the console answers", 0,
     0},
    {"examples", CLI_TEXT, "DIR", "the shipped examples/movies",
     "a folder with a demo.json", 0, 0},
    {NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0},
};

typedef struct demo {
    cli *c;
    const char *folder, *table;
    qn_arena arena;
    const qn_json *script;
} demo;

static const char *text_of(demo *d, const qn_json *object, const char *key)
{
    const qn_json *v = qn_json_get(object, key);
    if (v == NULL || v->kind != QN_JSON_STRING) return NULL;
    return qn_arena_strndup(&d->arena, v->string.p, v->string.n);
}

static bool read_file(demo *d, const char *name, qn_slice *out)
{
    qn_buf text;
    const char *path = qn_arena_printf(&d->arena, "%s/%s", d->folder, name);
    qn_buf_init(&text, qn_alloc_heap());
    bool ok = cli_read_all(path, DEMO_MAX_BYTES, &text, &d->c->err);
    if (ok) *out = qn_arena_slice(&d->arena, qn_buf_slice(&text));
    qn_buf_deinit(&text);
    return ok;
}

static bool read_script(demo *d)
{
    qn_slice text;
    if (!read_file(d, "demo.json", &text)) return false;
    if (qn_json_parse(&d->arena, text, &d->script, &d->c->err) != QN_OK) return false;
    d->table = text_of(d, d->script, "table");
    if (d->table != NULL) return true;
    (void)qn_fail(&d->c->err, QN_EJSON, "%s/demo.json: \"table\" is missing",
                  d->folder);
    return false;
}

/* The table with all its documents: made on the first run, found on later ones. */
static int load(demo *d)
{
    cli *c = d->c;
    uint64_t have = 0;
    const qn_json *expected = qn_json_get(d->script, "documents");
    size_t wanted = expected == NULL ? 0 : (size_t)expected->integer;
    if (quern_table_exists(c->q, d->table)) {
        if (quern_count_all(c->q, d->table, &have, &c->err) != QN_OK)
            return cli_fail(c, &c->err);
        if (have >= wanted) {
            (void)printf("Table %s is there already: %llu documents.\n", d->table,
                         (unsigned long long)have);
            return 0;
        }
        /* A load that was stopped half way begins again: documents replace themselves. */
    } else {
        qn_slice schema;
        if (!read_file(d, text_of(d, d->script, "schema"), &schema))
            return cli_fail(c, &c->err);
        if (quern_table_create(c->q, d->table, schema.p, schema.n, &c->err) != QN_OK)
            return cli_fail_at(c, &c->err, schema);
    }
    (void)printf(
        "Loading %zu documents into table %s: text, columns, and a vector for each, "
        "made by the embedding model.\n",
        wanted, d->table);
    (void)fflush(stdout);
    const char *path =
        qn_arena_printf(&d->arena, "%s/%s", d->folder, text_of(d, d->script, "data"));
    int code = cli_ingest(c, d->table, &path, 1, wanted);
    if (code == 0 && quern_flush(c->q, d->table, &c->err) != QN_OK)
        code = cli_fail(c, &c->err);
    return code;
}

/* What the first hit would be without the rest of the pipeline. */
static int show_comparison(demo *d, const char *query, const char *pipeline)
{
    cli *c = d->c;
    char title[512];
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    quern_reply *reply = NULL;
    o.query = query;
    o.query_size = strlen(query);
    o.pipeline = pipeline;
    o.from = 0, o.hits = 1;
    if (quern_search(c->q, d->table, &o, &reply, &c->err) != QN_OK)
        return cli_fail(c, &c->err);
    if (reply->hit_count > 0)
        (void)printf("%s alone would begin with: %s\n", pipeline,
                     cli_reply_title(&reply->hits[0], title, sizeof title));
    quern_reply_free(reply);
    return 0;
}

static int show_search(demo *d, const qn_json *search, size_t number)
{
    cli *c = d->c;
    const char *kind = text_of(d, search, "kind"), *query = text_of(d, search, "query");
    const char *say = text_of(d, search, "say"),
               *pipeline = text_of(d, search, "pipeline");
    const char *compare = text_of(d, search, "compare");
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    quern_reply *reply = NULL;
    qn_slice text = {NULL, 0};
    if (query == NULL) return 0;
    o.kind =
        kind != NULL && strcmp(kind, "ha3") == 0 ? QUERN_QUERY_HA3 : QUERN_QUERY_WORDS;
    o.query = query;
    o.query_size = strlen(query);
    if (pipeline != NULL && qn_slice_ends_with(qn_slice_of(pipeline), ".json")) {
        if (!read_file(d, pipeline, &text)) return cli_fail(c, &c->err);
        o.pipeline = text.p;
    } else {
        o.pipeline = pipeline;
    }
    if (o.kind == QUERN_QUERY_WORDS) o.from = 0, o.hits = 5;
    (void)printf("\n%s%zu. %s%s\n", c->color ? "\033[1m" : "", number, query,
                 c->color ? "\033[0m" : "");
    if (say != NULL) (void)printf("%s\n", say);
    (void)printf("\n");
    if (quern_search(c->q, d->table, &o, &reply, &c->err) != QN_OK)
        return cli_fail_at(c, &c->err, qn_slice_of(query));
    cli_reply_table_all(c, reply);
    quern_reply_free(reply);
    return compare == NULL ? 0 : show_comparison(d, query, compare);
}

static int run_demo(demo *d)
{
    cli *c = d->c;
    int64_t started = qn_clock_mono_ns();
    if (!read_script(d)) return cli_fail(c, &c->err);
    int code = load(d);
    size_t number = 0;
    for (const qn_json *it = qn_json_items(qn_json_get(d->script, "searches"));
         code == 0 && it != NULL; it = it->next)
        code = show_search(d, it, ++number);
    if (code != 0) return code;
    (void)printf("\nDone in %.1f s.\n", (double)(qn_clock_mono_ns() - started) / 1e9);
    if (cli_has(c, "no-serve")) return 0;
    return cli_serve(c, "The console");
}

int cmd_demo(cli *c)
{
    char folder[4200];
    demo d = {.c = c};
    d.folder =
        cli_text(c, "examples", cli_shipped("examples/movies", folder, sizeof folder));
    if (d.folder == NULL) {
        (void)fprintf(stderr,
                      "quern: the folder examples/movies is not to be found beside the "
                      "program; say --examples DIR\n");
        return 3;
    }
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    qn_arena_init(&d.arena, qn_alloc_heap(), 0);
    int code = run_demo(&d);
    qn_arena_deinit(&d.arena);
    return code;
}

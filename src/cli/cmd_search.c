/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_search.c -- quern query, search, explain: three ways to ask, one way to print. */
#include "cli/cli.h"

#include "base/arena.h"
#include "cli/cli_reply.h"
#include "io/json.h"

#include <math.h>
#include <string.h>

enum { QUERY_MAX_BYTES = 16 << 20 };

const cli_option cmd_query_options[] = {
    {"format", CLI_TEXT, "table|json|fulljson", "table", "how to print", 0, 0},
    {"explain", CLI_FLAG, NULL, "", "why each hit has its score", 0, 0},
    {"rerank", CLI_TEXT, "MODEL[:N][,...]", "",
     "models over the best hits, as in search", 0, 0},
    {"budget", CLI_INT, "MS", "what is left of the timeout", "time for the models", 1,
     86400000},
    {"analysis", CLI_TEXT, "NAMES", "the query's, else the active ones",
     "rules of query analysis, commas between; \"\" none", 0, 0},
    {"disable", CLI_TEXT, "LIST", "", "as qp:stop_word,qp:synonym:title", 0, 0},
    {"timeout", CLI_INT, "MS", "the query's, else 60000", "time for the whole search",
     1, 86400000},
    {"server", CLI_TEXT, "URL", "$QUERN_SERVER", "go through a running server", 0, 0},
    {NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0},
};

const cli_option cmd_search_options[] = {
    {"dsl", CLI_TEXT, "FILE", "", "an Elasticsearch _search body instead of words", 0,
     0},
    {"pipeline", CLI_TEXT, "NAME|FILE", "the table's own, else bm25",
     "bm25, vector, hybrid (each also +rerank), a stored one, or a JSON file", 0, 0},
    {"rerank", CLI_TEXT, "MODEL[:N][,...]", "",
     "a cross-encoder over the best N hits, another over the best of those, ...", 0, 0},
    {"window", CLI_INT, "N", "100", "how many one scores that says no N", 1, 10000},
    {"chunk", CLI_TEXT, "STRATEGY[:SIZE]", "none",
     "cut long texts: sentence, word, recursive, token; the best passage counts", 0, 0},
    {"join", CLI_TEXT, "HOW", "max", "max, first, mean or sum of the passages", 0, 0},
    {"analysis", CLI_TEXT, "NAMES", "the active ones",
     "rules of query analysis, commas between; \"\" none", 0, 0},
    {"disable", CLI_TEXT, "LIST", "", "as qp:stop_word,qp:synonym:title", 0, 0},
    {"size", CLI_INT, "N", "10", "hits to print", 0, 10000},
    {"from", CLI_INT, "N", "0", "hits to skip", 0, 10000},
    {"timeout", CLI_INT, "MS", "60000", "time for the whole search", 1, 86400000},
    {"budget", CLI_INT, "MS", "what is left of the timeout", "time for the models", 1,
     86400000},
    {"explain", CLI_FLAG, NULL, "", "why each hit has its score", 0, 0},
    {"format", CLI_TEXT, "table|json", "table", "how to print", 0, 0},
    {"server", CLI_TEXT, "URL", "$QUERN_SERVER", "go through a running server", 0, 0},
    {NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0},
};

const cli_option cmd_explain_options[] = {
    {"pipeline", CLI_TEXT, "NAME|FILE", "the table's own, else bm25", "as for search",
     0, 0},
    {"ha3", CLI_FLAG, NULL, "", "the query is a whole HA3 request", 0, 0},
    {"dsl", CLI_TEXT, "FILE", "", "a search body (query DSL) in the place of a query",
     0, 0},
    {"analysis", CLI_TEXT, "NAMES", "the active ones",
     "rules of query analysis, commas between; \"\" none", 0, 0},
    {"disable", CLI_TEXT, "LIST", "", "as qp:stop_word,qp:synonym:title", 0, 0},
    {"format", CLI_TEXT, "table|json", "table", "how to print", 0, 0},
    {"server", CLI_TEXT, "URL", "$QUERN_SERVER", "go through a running server", 0, 0},
    {NULL, CLI_FLAG, NULL, NULL, NULL, 0, 0},
};

/* ---- through a server --------------------------------------------------------------- */

static void add_encoded(qn_buf *out, const char *s)
{
    for (; *s != '\0'; s++) {
        bool plain = (*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') ||
                     (*s >= '0' && *s <= '9') || strchr("-_.~", *s) != NULL;
        if (plain)
            qn_buf_add_char(out, *s);
        else
            qn_buf_printf(out, "%%%02X", (unsigned)(unsigned char)*s);
    }
}

static int search_remote(cli *c, const char *method, const char *path,
                         const char *content_type, qn_slice body)
{
    qn_buf reply;
    qn_buf_init(&reply, qn_alloc_heap());
    int code = cli_remote(c, method, path, content_type, body, &reply);
    if (code == 0) cli_print_json(stdout, qn_buf_slice(&reply));
    qn_buf_deinit(&reply);
    return code;
}

static int query_remote(cli *c)
{
    qn_buf path;
    qn_buf_init(&path, qn_alloc_heap());
    qn_buf_add_str(&path, "/query?table=");
    add_encoded(&path, c->arguments[0]);
    qn_buf_add_str(&path, "&query=");
    add_encoded(&path, c->arguments[1]);
    if (cli_has(c, "analysis")) {
        qn_buf_add_str(&path, "&qp=");
        add_encoded(&path, cli_text(c, "analysis", ""));
    }
    if (cli_has(c, "disable")) {
        qn_buf_add_str(&path, "&disable=");
        add_encoded(&path, cli_text(c, "disable", ""));
    }
    int code = search_remote(c, "GET", path.p, NULL, (qn_slice){"", 0});
    qn_buf_deinit(&path);
    return code;
}

static void write_pipeline(qn_json_writer *w, qn_slice pipeline)
{
    if (pipeline.n == 0) return;
    qn_json_key(w, "pipeline");
    if (pipeline.p[0] == '{')
        qn_json_raw(w, pipeline);
    else
        qn_json_string(w, pipeline);
}

static int words_remote(cli *c, const char *words, qn_slice pipeline)
{
    qn_buf body;
    qn_json_writer w;
    qn_buf_init(&body, qn_alloc_heap());
    qn_json_writer_init(&w, &body, false);
    qn_json_begin_object(&w);
    qn_json_member_str(&w, "table", c->arguments[0]);
    qn_json_member_str(&w, "query", words);
    write_pipeline(&w, pipeline);
    if (cli_text(c, "rerank", NULL) != NULL)
        qn_json_member_str(&w, "rerank", cli_text(c, "rerank", ""));
    if (cli_text(c, "chunk", NULL) != NULL)
        qn_json_member_str(&w, "chunking", cli_text(c, "chunk", ""));
    if (cli_text(c, "join", NULL) != NULL)
        qn_json_member_str(&w, "join", cli_text(c, "join", ""));
    if (cli_has(c, "budget"))
        qn_json_member_int(&w, "budget_ms", cli_int(c, "budget", 0));
    if (cli_has(c, "analysis"))
        qn_json_member_str(&w, "analysis", cli_text(c, "analysis", ""));
    if (cli_has(c, "disable"))
        qn_json_member_str(&w, "disable", cli_text(c, "disable", ""));
    qn_json_member_int(&w, "window", cli_int(c, "window", 100));
    qn_json_member_int(&w, "size", cli_int(c, "size", 10));
    qn_json_member_int(&w, "from", cli_int(c, "from", 0));
    qn_json_member_bool(&w, "explain", cli_has(c, "explain"));
    qn_json_end_object(&w);
    int code = search_remote(c, "POST", "/_quern/search", "application/json",
                             qn_buf_slice(&body));
    qn_buf_deinit(&body);
    return code;
}

/* ---- here ----------------------------------------------------------------------------- */

static int run_search(cli *c, quern_search_options *o)
{
    quern_reply *reply = NULL;
    if (quern_search(c->q, c->arguments[0], o, &reply, &c->err) != QN_OK)
        return cli_fail_at(c, &c->err, (qn_slice){o->query, o->query_size});
    if (strcmp(cli_text(c, "format", "table"), "table") == 0)
        cli_reply_table(c, reply);
    else
        cli_reply_json(c, reply);
    quern_reply_free(reply);
    return 0;
}

static int bad_format(cli *c)
{
    const char *format = cli_text(c, "format", "table");
    static const char *const known[] = {"table", "json", "fulljson"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(format, known[i]) == 0) return 0;
    return cli_usage(c, "--format is table, json or fulljson, not '%s'", format);
}

int cmd_query(cli *c)
{
    int code = bad_format(c);
    if (code != 0) return code;
    if (cli_server(c) != NULL && cli_has(c, "rerank"))
        return cli_usage(c, "--rerank is not for a query through a server: send "
                            "{\"kind\": \"ha3\", \"rerank\": ...} to /_quern/search");
    if (cli_server(c) != NULL) return query_remote(c);
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    o.kind = QUERN_QUERY_HA3;
    o.query = c->arguments[1];
    o.query_size = strlen(o.query);
    o.analysis = cli_has(c, "analysis") ? cli_text(c, "analysis", "") : NULL;
    o.analysis_off = cli_text(c, "disable", NULL);
    o.explain = cli_has(c, "explain");
    o.timeout_ms = cli_int(c, "timeout", 0);
    o.rerank = cli_text(c, "rerank", NULL);
    o.rerank_budget_ms = cli_int(c, "budget", 0);
    return run_search(c, &o);
}

/* --pipeline: a file when there is one of that name, else a name. */
static bool read_pipeline(cli *c, qn_buf *out)
{
    const char *given = cli_text(c, "pipeline", NULL);
    if (given == NULL) return true;
    if (!qn_slice_ends_with(qn_slice_of(given), ".json")) {
        qn_buf_add_str(out, given);
        return true;
    }
    return cli_read_all(given, QUERY_MAX_BYTES, out, &c->err);
}

static int search_here(cli *c, qn_buf *dsl, qn_buf *pipeline)
{
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    bool words = cli_text(c, "dsl", NULL) == NULL;
    o.kind = words ? QUERN_QUERY_WORDS : QUERN_QUERY_DSL;
    o.query = words ? c->arguments[1] : dsl->p == NULL ? "" : dsl->p;
    o.query_size = words ? strlen(o.query) : dsl->n;
    o.pipeline = pipeline->p;
    o.analysis = cli_has(c, "analysis") ? cli_text(c, "analysis", "") : NULL;
    o.analysis_off = cli_text(c, "disable", NULL);
    o.from = cli_int(c, "from", words ? 0 : -1);
    o.hits = cli_int(c, "size", words ? 10 : -1);
    o.explain = cli_has(c, "explain");
    o.timeout_ms = cli_int(c, "timeout", 0);
    o.rerank = cli_text(c, "rerank", NULL);
    o.rerank_window = (unsigned)cli_int(c, "window", 0);
    o.rerank_budget_ms = cli_int(c, "budget", 0);
    o.rerank_chunking = cli_text(c, "chunk", NULL);
    o.rerank_join = cli_text(c, "join", NULL);
    return run_search(c, &o);
}

int cmd_search(cli *c)
{
    const char *dsl_path = cli_text(c, "dsl", NULL);
    int code = bad_format(c);
    if (code != 0) return code;
    if ((dsl_path == NULL) != (c->argument_count == 2))
        return cli_usage(c, "give either words or --dsl FILE");
    qn_buf dsl, pipeline;
    qn_buf_init(&dsl, qn_alloc_heap());
    qn_buf_init(&pipeline, qn_alloc_heap());
    if (!read_pipeline(c, &pipeline) ||
        (dsl_path != NULL && !cli_read_all(dsl_path, QUERY_MAX_BYTES, &dsl, &c->err))) {
        code = cli_fail(c, &c->err);
    } else if (cli_server(c) == NULL) {
        code = search_here(c, &dsl, &pipeline);
    } else if (dsl_path == NULL) {
        code = words_remote(c, c->arguments[1], qn_buf_slice(&pipeline));
    } else {
        char path[600];
        (void)snprintf(path, sizeof path, "/%s/_search", c->arguments[0]);
        code = search_remote(c, "POST", path, "application/json", qn_buf_slice(&dsl));
    }
    qn_buf_deinit(&dsl);
    qn_buf_deinit(&pipeline);
    return code;
}

/* ---- explain ------------------------------------------------------------------------ */

static quern_query_kind explained_kind(const cli *c)
{
    return cli_has(c, "dsl")   ? QUERN_QUERY_DSL
           : cli_has(c, "ha3") ? QUERN_QUERY_HA3
                               : QUERN_QUERY_WORDS;
}

static int explain_remote(cli *c, qn_slice query, qn_slice pipeline)
{
    static const char *const kinds[] = {[QUERN_QUERY_WORDS] = "words",
                                        [QUERN_QUERY_HA3] = "ha3",
                                        [QUERN_QUERY_DSL] = "dsl"};
    qn_buf body;
    qn_json_writer w;
    qn_buf_init(&body, qn_alloc_heap());
    qn_json_writer_init(&w, &body, false);
    qn_json_begin_object(&w);
    qn_json_member_str(&w, "table", c->arguments[0]);
    qn_json_member_str(&w, "id", c->arguments[1]);
    qn_json_member_str(&w, "kind", kinds[explained_kind(c)]);
    qn_json_member_slice(&w, "query", query);
    write_pipeline(&w, pipeline);
    if (cli_has(c, "analysis"))
        qn_json_member_str(&w, "analysis", cli_text(c, "analysis", ""));
    if (cli_has(c, "disable"))
        qn_json_member_str(&w, "disable", cli_text(c, "disable", ""));
    qn_json_end_object(&w);
    int code = search_remote(c, "POST", "/_quern/explain", "application/json",
                             qn_buf_slice(&body));
    qn_buf_deinit(&body);
    return code;
}

static int explain_here(cli *c, qn_slice query, const qn_buf *pipeline)
{
    quern_search_options o = QUERN_SEARCH_OPTIONS_INIT;
    quern_reply *reply = NULL;
    const char *id = c->arguments[1];
    if (!cli_open(c)) return qn_status_describe(c->err.code)->exit_code;
    o.kind = explained_kind(c);
    o.query = query.p;
    o.query_size = query.n;
    o.pipeline = pipeline->p;
    o.analysis = cli_has(c, "analysis") ? cli_text(c, "analysis", "") : NULL;
    o.analysis_off = cli_text(c, "disable", NULL);
    o.explain = true;
    if (quern_explain(c->q, c->arguments[0], id, strlen(id), &o, &reply, &c->err) !=
        QN_OK)
        return cli_fail_at(c, &c->err, query);
    if (cli_wants_json(c))
        cli_reply_json(c, reply);
    else
        cli_reply_table(c, reply);
    quern_reply_free(reply);
    return 0;
}

int cmd_explain(cli *c)
{
    const char *dsl_path = cli_text(c, "dsl", NULL);
    int code = bad_format(c);
    if (code != 0) return code;
    if ((dsl_path == NULL) != (c->argument_count == 3))
        return cli_usage(c, "give either a query or --dsl FILE");
    if (dsl_path != NULL && cli_has(c, "ha3"))
        return cli_usage(c, "--ha3 and --dsl exclude each other");
    qn_buf dsl, pipeline;
    qn_buf_init(&dsl, qn_alloc_heap());
    qn_buf_init(&pipeline, qn_alloc_heap());
    if (!read_pipeline(c, &pipeline) ||
        (dsl_path != NULL && !cli_read_all(dsl_path, QUERY_MAX_BYTES, &dsl, &c->err))) {
        code = cli_fail(c, &c->err);
    } else {
        qn_slice query =
            dsl_path == NULL ? qn_slice_of(c->arguments[2]) : qn_buf_slice(&dsl);
        code = cli_server(c) == NULL
                   ? explain_here(c, query, &pipeline)
                   : explain_remote(c, query, qn_buf_slice(&pipeline));
    }
    qn_buf_deinit(&dsl);
    qn_buf_deinit(&pipeline);
    return code;
}
